package sdk

import (
	"iter"

	"streamalert/sdk/internal/packed"
)

// Field is one value within a record; the zero Field is a null. An explaining host is shown where the walk began, not its
// steps.
type Field struct{ node packed.Node }

// Text: not ok for something else than text. A number that fits neither 64 bits nor a double counts as text, as written.
func (f Field) Text() (text string, ok bool) { return f.node.Text() }

// Int: not ok for no integer (1.0 is none), or one above the largest int64.
func (f Field) Int() (value int64, ok bool) { return f.node.Int() }

// Uint: not ok for no integer (1.0 is none), or a negative one.
func (f Field) Uint() (value uint64, ok bool) { return f.node.Uint() }

// Float is rounded where a double does not hold the number; not ok for no number.
func (f Field) Float() (value float64, ok bool) { return f.node.Float() }

// Bool: not ok for no boolean.
func (f Field) Bool() (value, ok bool) { return f.node.Bool() }

func (f Field) IsNull() bool { return f.node.Kind() == packed.Null }

func (f Field) IsObject() bool { return f.node.Kind() == packed.Object }

func (f Field) IsList() bool { return f.node.Kind() == packed.Array }

// Len is how many items or entries there are; not ok for neither list nor object.
func (f Field) Len() (length int, ok bool) { return f.node.Len() }

// At is what lies at path from here; not ok for nothing.
func (f Field) At(path string) (field Field, ok bool) {
	node, ok := f.node.At(path)
	return Field{node}, ok
}

// Get is the value under this very key, whatever dots it has; not ok for no object, or no such key.
func (f Field) Get(key string) (field Field, ok bool) {
	_, node, ok := f.node.Find(key)
	return Field{node}, ok
}

// Item is not ok for no list, or a shorter one.
func (f Field) Item(index int) (field Field, ok bool) {
	if length, ok := f.node.Len(); !ok || !f.IsList() || index < 0 || index >= length {
		return Field{}, false
	}
	return Field{f.node.Item(index)}, true
}

// Items are the items of a list; of anything else, none.
func (f Field) Items() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		if !f.IsList() {
			return
		}
		length, _ := f.node.Len()
		for index := range length {
			if !yield(Field{f.node.Item(index)}) {
				return
			}
		}
	}
}

// Entries are the keys and values of an object in the order of the log; of anything else, none.
func (f Field) Entries() iter.Seq2[string, Field] {
	return func(yield func(string, Field) bool) {
		if !f.IsObject() {
			return
		}
		length, _ := f.node.Len()
		for index := range length {
			key, value := f.node.Entry(index)
			if !yield(key, Field{value}) {
				return
			}
		}
	}
}

// Value is a value of its own, see Record.Value.
func (f Field) Value() any {
	switch f.node.Kind() {
	case packed.False, packed.True:
		value, _ := f.Bool()
		return value
	case packed.Int32, packed.Int64:
		value, _ := f.Int()
		return value
	case packed.Uint64:
		value, _ := f.Uint()
		return value
	case packed.Float64:
		value, _ := f.Float()
		return value
	case packed.Text, packed.NumberText:
		text, _ := f.Text()
		return text
	case packed.Array:
		items := []any{}
		for item := range f.Items() {
			items = append(items, item.Value())
		}
		return items
	case packed.Object:
		entries := map[string]any{}
		for key, value := range f.Entries() {
			entries[key] = value.Value()
		}
		return entries
	}
	return nil
}

// JSON is compact JSON text.
func (f Field) JSON() string { return string(f.node.AppendJSON(nil)) }

// AppendJSON appends the same to out.
func (f Field) AppendJSON(out []byte) []byte { return f.node.AppendJSON(out) }
