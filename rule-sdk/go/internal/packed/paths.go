package packed

import "unsafe"

// The steps of a path: it is divided at its dots, `\` takes the next character as it is.
func steps(path string) []string {
	var found []string
	var step []byte
	for at := 0; at < len(path); at++ {
		switch c := path[at]; {
		case c == '.':
			found = append(found, string(step))
			step = step[:0]
		case c == '\\' && at+1 < len(path):
			at++
			step = append(step, path[at])
		default:
			step = append(step, c)
		}
	}
	return append(found, string(step))
}

// A number of decimal digits.
func number(text string) (int, bool) {
	if text == "" || len(text) > 9 {
		return 0, false
	}
	value := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, true
}

const (
	// Paths that are remembered: more than a component of fifty rules reads.
	pathsMax = 256
	// Shapes remembered for each path: those that are frequent at a time.
	shapesMax = 16
	// Steps of a path whose places are remembered; the rest of a longer path is searched for.
	placesMax = 3

	absent  = 0xffff
	unknown = 0xfffe
)

// Paths remembers for each path and shape of record where its keys were found, so that one comparison confirms a place, and
// that a key is not there needs no search at all.
type Paths [pathsMax]*path

type path struct {
	text   string
	steps  []string
	shapes [shapesMax]places
}

type places struct {
	shape uint32
	at    [placesMax]uint16
}

// Get is what a path leads to in a record.
func (p *Paths) Get(record Record, text string) (Node, bool) {
	start := unsafe.StringData(text)
	address := uintptr(unsafe.Pointer(start))
	slot := &p[(address^address>>8^uintptr(len(text))*31)%pathsMax]
	known := *slot
	// A text in the same place is the same text: ours keeps the bytes there from being used again.
	if known == nil || len(known.text) != len(text) || unsafe.StringData(known.text) != start && known.text != text {
		known = &path{text: text, steps: steps(text)}
		*slot = known
	}
	return known.get(unsafe.Pointer(record))
}

func (p *path) get(record unsafe.Pointer) (Node, bool) {
	shape := shape(record)
	places := &p.shapes[shape%shapesMax]
	if places.shape != shape {
		places.shape = shape
		places.at = [placesMax]uint16{unknown, unknown, unknown}
	}
	n := node(record, record)
	for step, key := range p.steps {
		if step >= placesMax || n.Kind() != Object {
			var ok bool
			if n, ok = n.Step(key); !ok {
				return Node{}, false
			}
			continue
		}
		place := &places.at[step]
		if *place < unknown && int(*place) < n.length() {
			entry := unsafe.Add(n.at(), uintptr(*place)*entryBytes)
			// The root's keys are what a shape vouches for: where the first was found once, there it is.
			if step == 0 && shape != 0 || u32(unsafe.Add(entry, 4)) == uint32(len(key)) && n.key(entry) == key {
				n = node(record, unsafe.Add(entry, 8))
				continue
			}
		}
		if *place == absent {
			return Node{}, false
		}
		index, found, ok := n.Find(key)
		if !ok {
			if step == 0 && shape != 0 {
				*place = absent
			}
			return Node{}, false
		}
		if index < unknown {
			*place = uint16(index)
		}
		n = found
	}
	return n, true
}
