// Package packed reads and writes packed records; the layout is wit/packed.md.
//
// Nothing is checked while reading: the bytes are what the host, or Parse, wrote.
package packed

import "unsafe"

// What a slot holds.
type Kind uint32

const (
	Null Kind = iota
	False
	True
	Int32
	Int64
	Uint64
	Float64
	Text
	// A number that fits no 64 bits, as it was written.
	NumberText
	Array
	Object
)

const (
	headerBytes = 16
	slotBytes   = 8
	entryBytes  = 16
)

// Record is the first byte of a packed record.
type Record unsafe.Pointer

// Node is one value within a record.
type Node struct {
	record  unsafe.Pointer
	tag     uint32
	payload uint32
}

func u32(at unsafe.Pointer) uint32 { return *(*uint32)(at) }

func node(record, slot unsafe.Pointer) Node {
	return Node{record, u32(slot), u32(unsafe.Add(slot, 4))}
}

// Root is the record as a value.
func Root(record Record) Node { return node(unsafe.Pointer(record), unsafe.Pointer(record)) }

// Two records with one shape, other than 0, have the same root keys in the same order.
func shape(record unsafe.Pointer) uint32 { return u32(unsafe.Add(record, 12)) }

// Row is a record of a frame, and whether there is one.
func Row(frame []byte, row uint32) (Record, bool) {
	if len(frame) < 8 {
		return nil, false
	}
	start := unsafe.Pointer(unsafe.SliceData(frame))
	if row >= u32(unsafe.Add(start, 4)) {
		return nil, false
	}
	return Record(unsafe.Add(start, u32(unsafe.Add(start, 8+uintptr(row)*4)))), true
}

func (n Node) Kind() Kind { return Kind(n.tag & 15) }

func (n Node) length() int { return int(n.tag >> 4) }

func (n Node) at() unsafe.Pointer { return unsafe.Add(n.record, n.payload) }

func (n Node) string() string { return unsafe.String((*byte)(n.at()), n.length()) }

// Text is the text, or a number that was kept as written.
func (n Node) Text() (string, bool) {
	if kind := n.Kind(); kind != Text && kind != NumberText || n.length() == 0 {
		return "", kind == Text
	}
	return n.string(), true
}

func (n Node) Int() (int64, bool) {
	switch n.Kind() {
	case Int32:
		return int64(int32(n.payload)), true
	case Int64:
		return *(*int64)(n.at()), true
	}
	return 0, false
}

func (n Node) Uint() (uint64, bool) {
	if n.Kind() == Uint64 {
		return *(*uint64)(n.at()), true
	}
	value, ok := n.Int()
	if !ok || value < 0 {
		return 0, false
	}
	return uint64(value), true
}

// Float is any number, rounded where a double does not hold it.
func (n Node) Float() (float64, bool) {
	switch n.Kind() {
	case Int32, Int64:
		value, _ := n.Int()
		return float64(value), true
	case Uint64:
		value, _ := n.Uint()
		return float64(value), true
	case Float64:
		return *(*float64)(n.at()), true
	case NumberText:
		return parseFloat(n.string())
	}
	return 0, false
}

func (n Node) Bool() (value, ok bool) {
	kind := n.Kind()
	return kind == True, kind == True || kind == False
}

// Len is how many items or entries there are.
func (n Node) Len() (int, bool) {
	if kind := n.Kind(); kind != Array && kind != Object {
		return 0, false
	}
	return n.length(), true
}

// Item of a list that is long enough.
func (n Node) Item(index int) Node {
	return node(n.record, unsafe.Add(n.at(), index*slotBytes))
}

// Entry of an object that has so many.
func (n Node) Entry(index int) (string, Node) {
	at := unsafe.Add(n.at(), index*entryBytes)
	return n.key(at), node(n.record, unsafe.Add(at, 8))
}

func (n Node) key(entry unsafe.Pointer) string {
	length := u32(unsafe.Add(entry, 4))
	if length == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Add(n.record, u32(entry))), int(length))
}

// Find gives the place among the entries, and the value, of a key.
func (n Node) Find(key string) (int, Node, bool) {
	if n.Kind() != Object {
		return 0, Node{}, false
	}
	at := n.at()
	for index := range n.length() {
		if u32(unsafe.Add(at, 4)) == uint32(len(key)) && n.key(at) == key {
			return index, node(n.record, unsafe.Add(at, 8)), true
		}
		at = unsafe.Add(at, entryBytes)
	}
	return 0, Node{}, false
}

// One step of a path: a key of an object, or the number of an item.
func (n Node) Step(step string) (Node, bool) {
	switch n.Kind() {
	case Object:
		_, found, ok := n.Find(step)
		return found, ok
	case Array:
		if index, ok := number(step); ok && index < n.length() {
			return n.Item(index), true
		}
	}
	return Node{}, false
}

// At is what a path leads to.
func (n Node) At(path string) (Node, bool) {
	for _, step := range steps(path) {
		var ok bool
		if n, ok = n.Step(step); !ok {
			return Node{}, false
		}
	}
	return n, true
}
