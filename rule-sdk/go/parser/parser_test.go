package parser

import (
	"fmt"
	"testing"
)

func TestLinesKnowTheirPlace(t *testing.T) {
	for payload, expected := range map[string]string{
		"":                              "[]",
		"a":                             "[{a {0 1}}]",
		"a\nbc\r\n\nd":                  "[{a {0 1}} {bc {2 2}} { {6 0}} {d {7 1}}]",
		"\n\r\n":                        "[{ {0 0}} { {1 0}}]",
		"\xff\xfe\xe2\x82A\xed\xa0\x80": "[{\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFD\uFFFD {0 8}}]",
		"\xf0\x9f\x98|\xf4\x90é\xc3":    "[{\uFFFD|\uFFFD\uFFFDé\uFFFD {0 9}}]",
	} {
		type told struct {
			Text  string
			Place Place
		}
		found := []told{}
		for line := range Lines([]byte(payload)) {
			found = append(found, told{line.Text(), line.Place})
		}
		if fmt.Sprint(found) != expected {
			t.Errorf("%q: %v, should be %s", payload, found, expected)
		}
	}
}

func TestPartsAreRecordsOrReasons(t *testing.T) {
	place := Place{1, 2}
	part := Record(place, "a:b", Object{"n": int64(1<<63 - 1), "t": "é\x00", "l": []string{"x"}, "o": map[string]any{"f": 1.0}})
	if part.JSON != `{"l":["x"],"n":9223372036854775807,"o":{"f":1.0},"t":"é\u0000"}` || part.LogType != "a:b" || part.failed {
		t.Errorf("%+v", part)
	}
	if part := Error(place, ""); !part.failed {
		t.Error("an error without a reason is a record")
	}
}

func TestAComponentIsOneParser(t *testing.T) {
	defer func() {
		only = nil
		if told := recover(); told != "a component is one parser; there are one and two" {
			t.Error(told)
		}
	}()
	nothing := func([]byte) ([]Part, error) { return nil, nil }
	Add(Parser{Name: "one"}, nothing)
	Add(Parser{Name: "two"}, nothing)
}
