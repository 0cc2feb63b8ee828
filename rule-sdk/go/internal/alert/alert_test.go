package alert

import (
	"testing"

	"streamalert/sdk/internal/packed"
)

func TestNumbersComeOutAsTheyWentIn(t *testing.T) {
	// What no double holds becomes a text.
	for text, expected := range map[string]string{
		`{"a":9007199254740993,"b":18446744073709551615,"c":[-1.5,null,true]}`: "",
		`{"n":1e999,"t":"x"}`: `{"n":"1e999","t":"x"}`,
	} {
		if expected == "" {
			expected = text
		}
		object, err := ParseObject(text)
		if err != nil {
			t.Fatal(err)
		}
		if found := string(packed.AppendObject(nil, object)); found != expected {
			t.Errorf("%s, should be %s", found, expected)
		}
	}
	for _, text := range []string{"[]", "{", "", `"x"`} {
		if _, err := ParseObject(text); err == nil {
			t.Errorf("%s is an object", text)
		}
	}
}

func TestAnAlertSaysNothingWhereThereIsNothing(t *testing.T) {
	alert := New(Object{"rule_name": "r", "title": "", "severity": "HIGH", "created": "2026-01-02T03:04:05Z", "tags": []any{"a", 1}})
	if at, ok := alert.CreatedAt(); !ok || at != 1767323045 || alert.Title() != "r" || alert.Severity() != "high" || len(alert.Tags()) != 1 {
		t.Errorf("%+v", alert)
	}
	nothing := New(nil)
	if _, ok := nothing.CreatedAt(); ok || nothing.Title() != "" || nothing.Severity() != "medium" || nothing.Record() != nil ||
		nothing.Context() == nil || nothing.Staged() || nothing.Source() != (Source{}) {
		t.Errorf("%+v", nothing)
	}
}
