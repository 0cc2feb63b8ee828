package sdk

import (
	"testing"

	"streamalert/sdk/internal/packed"
)

func TestOptionsAreThoseOfTheContract(t *testing.T) {
	for expected, rule := range map[string]Rule{
		`{}`: {},
		`{"context":{"n":1,"team":"cloud"},"datatypes":["sourceAddress"],` +
			`"merge":{"by":["user"],"first":"send","max":20,"minutes":30,"on":"event","threshold":5},` +
			`"outputs":["slack:security","aws-sqs:queue:fifo"],"publishers":"short","references":["https://example.com/é"],` +
			`"severity":"high","tags":["one"],"tests":["root.json"]}`: {
			Datatypes:  []string{"sourceAddress"},
			Outputs:    []string{"slack:security", "aws-sqs:queue:fifo"},
			Publishers: []string{"short"},
			Merge:      &Merge{By: []string{"user"}, Minutes: 30, On: "event", First: "send", Max: 20, Threshold: 5},
			Context:    map[string]any{"team": "cloud", "n": 1},
			Severity:   High,
			Tags:       []string{"one"},
			References: []string{"https://example.com/é"},
			Tests:      []string{"root.json"},
		},
		`{"publishers":["a","b"]}`:          {Publishers: []string{"a", "b"}},
		`{"publishers":{"slack":["a"]}}`:    {PublishersOf: map[string][]string{"slack": {"a"}}},
		`{"merge":{"minutes":5}}`:           {Merge: &Merge{Minutes: 5}},
		`{"severity":"info"}`:               {Severity: Info},
		"{\"tags\":[\"no UTF-8: \uFFFD\"]}": {Tags: []string{"no UTF-8: \xff"}},
	} {
		if found := rule.options(); found != expected {
			t.Errorf("%s, should be %s", found, expected)
		}
	}
}

func TestRulesAreKnownByName(t *testing.T) {
	rules = nil
	defer func() { rules = nil }()
	Add(Rule{Name: "b"}, func(*Record) bool { return true })
	Add(Rule{Name: "c"}, func(*Record) *Finding { return &Finding{Title: "c"} })
	Add(Rule{Name: "a"}, func(*Record) *Finding { return nil })
	names := ""
	for _, rule := range rules {
		names += rule.Name
	}
	if names != "abc" {
		t.Errorf("rules come as %s", names)
	}
	if rules[1].yes == nil || rules[1].say != nil || rules[2].say == nil || rules[2].say(nil).Title != "c" {
		t.Error("a rule has another function than its own")
	}
}

func TestContextsHoldWhatJSONHolds(t *testing.T) {
	record := FromJSON(`{"who": {"id": 18446744073709551615}}`)
	who, _ := record.Field("who")
	context := map[string]any{
		"a": nil, "b": true, "c": int8(-1), "d": uint64(1 << 63), "e": 1.0, "f": float32(0.5), "g": "ü\x00",
		"h": []any{1, "two", []string{"three"}}, "i": map[string]string{"z": "1", "y": "2"}, "j": who, "k": []Field{who},
	}
	const expected = `{"a":null,"b":true,"c":-1,"d":9223372036854775808,"e":1.0,"f":0.5,"g":"ü\u0000","h":[1,"two",["three"]],` +
		`"i":{"y":"2","z":"1"},"j":{"id":18446744073709551615},"k":[{"id":18446744073709551615}]}`
	if found := string(packed.AppendValue(nil, context)); found != expected {
		t.Errorf("%s, should be %s", found, expected)
	}
	defer func() {
		if recover() == nil {
			t.Error("a channel is taken")
		}
	}()
	packed.AppendValue(nil, make(chan int))
}
