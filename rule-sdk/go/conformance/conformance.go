// The component of rule-sdk/conformance/README.md.
package main

import (
	"strconv"

	"streamalert/sdk"
	"streamalert/sdk/helpers"
	"streamalert/sdk/log"
	"streamalert/sdk/lookup"
)

var edge = []string{"test:edge"}

func init() {
	sdk.Add(sdk.Rule{Name: "edge_reads", Description: "Reads every path that the record names.", Logs: edge}, reads)
	sdk.Add(sdk.Rule{Name: "edge_all", Description: "Reports every row.", Logs: edge}, all)
	sdk.Add(sdk.Rule{Name: "edge_error", Description: "Fails on demand.", Logs: edge}, fails)
	sdk.Add(sdk.Rule{Name: "edge_trap", Description: "Breaks on demand.", Logs: edge}, breaks)
	sdk.Add(sdk.Rule{Name: "edge_log", Description: "Writes to the log.", Logs: edge}, logs)
	sdk.Add(sdk.Rule{Name: "edge_lookup", Description: "Looks things up.", Logs: edge}, looks)
	sdk.Add(sdk.Rule{
		Name:        "edge_when",
		Description: "Is asked about few records.",
		Logs:        edge,
		When: sdk.When{
			sdk.Equals("kind", "login", "logout"),
			sdk.Equals("code", 401, 403),
			sdk.Equals("flag", true),
			sdk.Prefix("agent", "aws-cli", "Boto"),
			sdk.Suffix("host", ".example.com"),
			sdk.Contains("command", "-enc", "-nop"),
			sdk.Exists("detail.error"),
		},
	}, all)
	sdk.Add(sdk.Rule{Name: "edge_finding", Description: "Says all that a finding can say.", Logs: edge}, says)
	sdk.Add(sdk.Rule{
		Name:        "edge_options",
		Description: "Declares all that can be declared.",
		Logs:        edge,
		Datatypes:   []string{"sourceAddress"},
		Outputs:     []string{"slack:security", "pagerduty:soc"},
		Publishers:  []string{"add_record"},
		Severity:    sdk.High,
		Merge:       &sdk.Merge{By: []string{"user", "host"}, Minutes: 30, On: "event", First: "send", Max: 20},
		Context:     map[string]any{"team": "cloud"},
		Tags:        []string{"one", "two"},
		References:  []string{"https://example.com/é"},
	}, nothing)
	sdk.Add(sdk.Rule{Name: "edge_helpers", Description: "Calls helpers.", Logs: edge}, helps)
}

func all(*sdk.Record) bool { return true }

func nothing(*sdk.Record) bool { return false }

func ok(record *sdk.Record) bool { return record.Is("mode", "ok") }

// Bytes of a text that is told whole, and characters of a longer one.
const (
	wholeBytes = 64
	startChars = 16
)

func reads(record *sdk.Record) *sdk.Finding {
	context := map[string]any{}
	for path := range record.Texts("want") {
		found := map[string]any{
			"text": nil, "int": nil, "uint": nil, "float": nil, "bool": nil, "len": nil,
			"exists": record.Exists(path), "is_null": record.IsNull(path),
		}
		if text, ok := record.Text(path); ok {
			found["text"] = short(text)
		}
		if value, ok := record.Int(path); ok {
			found["int"] = strconv.FormatInt(value, 10)
		}
		if value, ok := record.Uint(path); ok {
			found["uint"] = strconv.FormatUint(value, 10)
		}
		if value, ok := record.Float(path); ok {
			found["float"] = value
		}
		if value, ok := record.Bool(path); ok {
			found["bool"] = value
		}
		if length, ok := record.Len(path); ok {
			found["len"] = length
		}
		context[path] = found
	}
	return &sdk.Finding{Title: "reads", Context: context}
}

func short(text string) string {
	if len(text) <= wholeBytes {
		return text
	}
	chars := 0
	for at := range text {
		if chars == startChars {
			return text[:at] + "…" + strconv.Itoa(len(text))
		}
		chars++
	}
	return text + "…" + strconv.Itoa(len(text))
}

func fails(record *sdk.Record) bool {
	if record.Is("mode", "error") {
		panic("failed on demand")
	}
	return ok(record)
}

var (
	none []int
	kept [][]byte
)

func breaks(record *sdk.Record) bool {
	switch record.TextOr("mode", "") {
	case "trap":
		return none[len(kept)] > 0
	case "overflow":
		return deeper(1) > 0
	case "loop":
		for sum := 1; ; sum += 2 {
			if sum == 0 {
				return true
			}
		}
	case "alloc":
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	}
	return ok(record)
}

// Each call needs what it keeps, so that no compiler makes a loop of it.
//
//go:noinline
func deeper(level int) int {
	var kept [4]int
	kept[level%len(kept)] = level
	return deeper(level+1) + kept[(level+1)%len(kept)]
}

func logs(record *sdk.Record) bool {
	log.Debug("debug")
	log.Info("info")
	log.Warn("warn")
	log.Error("error")
	lines, _ := record.Int("flood")
	for line := range lines {
		log.Info("line " + strconv.FormatInt(line, 10))
	}
	return ok(record)
}

func looks(*sdk.Record) *sdk.Finding {
	stored := func(table, key string) any {
		if value, ok := lookup.Get(table, key); ok {
			return value
		}
		return nil
	}
	return &sdk.Finding{Context: map[string]any{
		"hit": stored("owners", "alice"), "miss": stored("owners", "nobody"), "no_table": stored("none", "x"),
	}}
}

func says(*sdk.Record) *sdk.Finding {
	return &sdk.Finding{
		Title:    "Title é 日本",
		Severity: sdk.Critical,
		DedupKey: "key é",
		Context: map[string]any{
			"nested": map[string]any{"list": []any{1, "two", nil, true, 0.5}},
			"text":   "é",
		},
		Outputs: []string{"pagerduty:soc"},
	}
}

func helps(record *sdk.Record) *sdk.Finding {
	results := []any{}
	for call := range record.Items("calls") {
		results = append(results, answer(call))
	}
	return &sdk.Finding{Context: map[string]any{"results": results}}
}

// What a helper, the first item, says to its arguments, the others.
func answer(call sdk.Field) any {
	item := func(index int) sdk.Field {
		field, _ := call.Item(index)
		return field
	}
	helper, _ := item(0).Text()
	key, _ := item(2).Text()
	switch helper {
	case "get_first_key":
		if field, ok := helpers.GetFirstKey(item(1), key); ok {
			return field
		}
		return nil
	case "get_keys":
		return helpers.GetKeys(item(1), key, helpers.All)
	}
	var texts []string
	for field := range item(2).Items() {
		text, _ := field.Text()
		texts = append(texts, text)
	}
	text, ok := item(1).Text()
	if !ok {
		return false
	}
	switch helper {
	case "in_network":
		return helpers.InNetwork(text, texts...)
	case "starts_with_any":
		return helpers.StartsWithAny(text, texts...)
	case "ends_with_any":
		return helpers.EndsWithAny(text, texts...)
	case "contains_any":
		return helpers.ContainsAny(text, texts...)
	case "matches_any":
		return helpers.MatchesAny(text, texts...)
	}
	panic("there is no helper " + helper)
}

func main() {}
