package packed

import (
	"reflect"
	"testing"
	"unsafe"
)

func TestPathsComeApartAtBareDotsOnly(t *testing.T) {
	for path, expected := range map[string][]string{
		"a.b.0":  {"a", "b", "0"},
		`a\.b.c`: {"a.b", "c"},
		`a\\.b`:  {`a\`, "b"},
		`end\`:   {`end\`},
		"":       {""},
		"é.ü":    {"é", "ü"},
	} {
		if found := steps(path); !reflect.DeepEqual(found, expected) {
			t.Errorf("%q comes apart as %q", path, found)
		}
	}
}

// Records of one shape, of another, and of none, by one memory of paths.
func TestPlacesAreRememberedByShape(t *testing.T) {
	parse := func(text string, shape uint32) Record {
		record, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		*(*uint32)(unsafe.Add(unsafe.Pointer(record), 12)) = shape
		return record
	}
	var paths Paths
	for range 3 {
		for _, of := range []struct {
			record   Record
			path     string
			expected string
		}{
			{parse(`{"x": {"y": "1"}, "z": 0}`, 7), "x.y", "1"},
			{parse(`{"x": {"w": 0, "y": "2"}, "z": 0}`, 7), "x.y", "2"},
			{parse(`{"x": {"w": 0}, "z": 0}`, 7), "x.y", ""},
			{parse(`{"z": 0, "x": {"y": "3"}}`, 8), "x.y", "3"},
			{parse(`{"z": 0}`, 9), "x.y", ""},
			// The same place in the memory as 7.
			{parse(`{"z": 0, "y": 1, "x": {"y": "4"}}`, 7+shapesMax), "x.y", "4"},
			{parse(`{"z": 0}`, 0), "x.y", ""},
			{parse(`{"x": {"y": "5"}}`, 0), "x.y", "5"},
			{parse(`{"y": 1, "x": {"y": "6"}}`, 0), "x.y", "6"},
			{parse(`{"a": [{"b": {"c": {"d": "7"}}}]}`, 10), "a.0.b.c.d", "7"},
			{parse(`{"a": [{"b": {"c": {"e": "7"}}}]}`, 10), "a.0.b.c.d", ""},
			{parse(`{"a": [{"b": {"c": {"d": "8"}}}]}`, 10), "a.1.b.c.d", ""},
		} {
			node, _ := paths.Get(of.record, of.path)
			if text, _ := node.Text(); text != of.expected {
				t.Errorf("%s of %s: %q, should be %q", of.path, Root(of.record).AppendJSON(nil), text, of.expected)
			}
		}
	}
}
