// Package sdk is for rules in Go: a rule is a function that is handed to Add together with its declaration.
//
//	func init() {
//		sdk.Add(sdk.Rule{
//			Name:        "root_login",
//			Description: "Somebody logged in as root.",
//			Logs:        []string{"cloudtrail:events"},
//			When:        sdk.When{sdk.Equals("eventName", "ConsoleLogin")},
//		}, rootLogin)
//	}
//
//	func rootLogin(record *sdk.Record) bool {
//		return record.Is("responseElements.ConsoleLogin", "Success")
//	}
//
// Built for WebAssembly, a main package of such rules is a component that StreamAlert loads. Built for the machine at hand,
// the same functions are ordinary functions, so that go test needs no WebAssembly.
package sdk

import (
	"iter"

	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/packed"
)

// Record is a log record. Values are found by path: "userIdentity.arn", with `\.` for a dot inside a key and a number for an
// item of a list, "resources.0.type".
//
// Nothing is converted: a text of digits is no integer, and the integer 1 is not true. A record is there for the call alone;
// texts and fields of it may be kept.
type Record struct {
	packed packed.Record
	row    uint32
	// The host wants to see each read.
	watched bool
}

var paths packed.Paths

func (r *Record) node(path string) (packed.Node, bool) {
	if r.watched {
		host.Get(r.row, path)
	}
	if host.Wasm {
		return paths.Get(r.packed, path)
	}
	// Tests may run side by side.
	return packed.Root(r.packed).At(path)
}

// Parse makes a record of JSON text, for tests. It is read in the same way as the host's.
func Parse(json string) (*Record, error) {
	record, err := packed.Parse(json)
	if err != nil {
		return nil, err
	}
	return &Record{packed: record}, nil
}

// FromJSON is Parse for texts in the test itself: it panics where Parse gives an error.
func FromJSON(json string) *Record {
	record, err := Parse(json)
	if err != nil {
		panic(err.Error())
	}
	return record
}

// Text is the text at path. Not ok: nothing there, or something else than text. A number that fits neither 64 bits nor a
// double counts as text, as it was written.
func (r *Record) Text(path string) (text string, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Text()
	}
	return "", false
}

// TextOr is the text at path, or otherwise where Text has none.
func (r *Record) TextOr(path, otherwise string) string {
	if text, ok := r.Text(path); ok {
		return text
	}
	return otherwise
}

// Int is the integer at path. Not ok: nothing there, no integer (1.0 is none), or above the largest int64.
func (r *Record) Int(path string) (value int64, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Int()
	}
	return 0, false
}

// Uint is the integer at path. Not ok: nothing there, no integer (1.0 is none), or a negative one.
func (r *Record) Uint(path string) (value uint64, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Uint()
	}
	return 0, false
}

// Float is the number at path, rounded where a double does not hold it. Not ok: nothing there, or no number.
func (r *Record) Float(path string) (value float64, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Float()
	}
	return 0, false
}

// Bool is the boolean at path. Not ok: nothing there, or no boolean.
func (r *Record) Bool(path string) (value, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Bool()
	}
	return false, false
}

// Exists says whether anything is at path, a null too.
func (r *Record) Exists(path string) bool {
	_, ok := r.node(path)
	return ok
}

// IsNull says whether a null is at path; false when nothing is there.
func (r *Record) IsNull(path string) bool {
	node, ok := r.node(path)
	return ok && node.Kind() == packed.Null
}

// Len is how many items the list, or entries the object, at path has. Not ok: nothing there, or neither list nor object.
func (r *Record) Len(path string) (length int, ok bool) {
	if node, ok := r.node(path); ok {
		return node.Len()
	}
	return 0, false
}

// Is says whether the text at path is this one; false when nothing is there.
func (r *Record) Is(path, text string) bool {
	found, ok := r.Text(path)
	return ok && found == text
}

// IsAny says whether the text at path is one of these; false when nothing is there.
func (r *Record) IsAny(path string, texts ...string) bool {
	found, ok := r.Text(path)
	if !ok {
		return false
	}
	for _, text := range texts {
		if found == text {
			return true
		}
	}
	return false
}

// Texts are the texts of the list at path, passing over other items; a text counts as a list of one. Nothing there, or
// something else: no texts.
func (r *Record) Texts(path string) iter.Seq[string] {
	node, ok := r.node(path)
	return func(yield func(string) bool) {
		if !ok {
			return
		}
		if text, ok := node.Text(); ok {
			yield(text)
			return
		}
		for item := range (Field{node}).Items() {
			if text, ok := item.Text(); ok && !yield(text) {
				return
			}
		}
	}
}

// Items are the items of the list at path. Nothing there, or no list: no items.
func (r *Record) Items(path string) iter.Seq[Field] {
	node, _ := r.node(path)
	return Field{node}.Items()
}

// Field is what is at path, to be walked on from there. Not ok: nothing there.
func (r *Record) Field(path string) (field Field, ok bool) {
	node, ok := r.node(path)
	return Field{node}, ok
}

// Value is what is at path as a value of its own: nil, bool, int64, uint64 (above the largest int64), float64, string, []any
// or map[string]any. Not ok: nothing there; a null is nil and ok.
func (r *Record) Value(path string) (value any, ok bool) {
	if node, ok := r.node(path); ok {
		return Field{node}.Value(), true
	}
	return nil, false
}

// Root is the whole record, to be walked.
func (r *Record) Root() Field {
	if r.watched {
		host.JSON(r.row)
	}
	return Field{packed.Root(r.packed)}
}

// JSON is the whole record as JSON text.
func (r *Record) JSON() string { return r.Root().JSON() }
