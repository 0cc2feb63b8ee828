// Package alert is the alert, with a name for everything in it; publishers and outputs show it under their own names.
package alert

import (
	"errors"
	"strings"

	"streamalert/sdk/internal/clock"
	"streamalert/sdk/internal/packed"
)

// Object is a JSON object: texts, bool, int64, uint64, float64, nil, []any and Object's like.
type Object = map[string]any

// ParseObject makes values of JSON text. A number that no double holds comes as text.
func ParseObject(text string) (Object, error) {
	record, err := packed.ParseAny(text)
	if err != nil {
		return nil, err
	}
	object, ok := value(packed.Root(record)).(Object)
	if !ok {
		return nil, errors.New("this is no JSON object")
	}
	return object, nil
}

// ParseValue makes a value of JSON text; not ok for no JSON.
func ParseValue(text string) (any, bool) {
	record, err := packed.ParseAny(text)
	if err != nil {
		return nil, false
	}
	return value(packed.Root(record)), true
}

func value(node packed.Node) any {
	switch node.Kind() {
	case packed.False, packed.True:
		value, _ := node.Bool()
		return value
	case packed.Int32, packed.Int64:
		value, _ := node.Int()
		return value
	case packed.Uint64:
		value, _ := node.Uint()
		return value
	case packed.Float64:
		value, _ := node.Float()
		return value
	case packed.Text, packed.NumberText:
		text, _ := node.Text()
		return text
	case packed.Array:
		length, _ := node.Len()
		items := make([]any, length)
		for index := range items {
			items[index] = value(node.Item(index))
		}
		return items
	case packed.Object:
		length, _ := node.Len()
		entries := make(Object, length)
		for index := range length {
			key, of := node.Entry(index)
			entries[key] = value(of)
		}
		return entries
	}
	return nil
}

// Source is where a log came from.
type Source struct {
	// "s3", "kinesis", "file".
	Service string
	// Bucket, stream, folder.
	Resource string
	// Key, path; empty where there is none.
	Object string
}

// Alert is an alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes.
type Alert struct{ fields Object }

// New makes an alert of its fields.
func New(fields Object) *Alert { return &Alert{fields} }

// Parse makes an alert of JSON text.
func Parse(text string) (*Alert, error) {
	fields, err := ParseObject(text)
	if err != nil {
		return nil, err
	}
	return New(fields), nil
}

func (a *Alert) ID() string { return a.text("id") }

func (a *Alert) RuleName() string { return a.text("rule_name") }

// Title is the finding's, or the rule's name where it has none.
func (a *Alert) Title() string {
	if title := a.text("title"); title != "" {
		return title
	}
	return a.RuleName()
}

// Severity is "info", "low", "medium", "high" or "critical".
func (a *Alert) Severity() string {
	switch name := strings.ToLower(a.text("severity")); name {
	case "info", "low", "medium", "high", "critical":
		return name
	}
	return "medium"
}

// Description is the rule's, for whoever gets the alert.
func (a *Alert) Description() string { return a.text("rule_description") }

// Created is when it was raised: RFC 3339, UTC.
func (a *Alert) Created() string { return a.text("created") }

// CreatedAt is the same in seconds since 1970; not ok: it does not say.
func (a *Alert) CreatedAt() (seconds int64, ok bool) { return clock.ParseTime(a.Created()) }

// EventTime is the time the log itself names, as written there; empty: it names none.
func (a *Alert) EventTime() string { return a.text("event_time") }

func (a *Alert) Cluster() string { return a.text("cluster") }

// LogSource is the full log type, "cloudtrail:events".
func (a *Alert) LogSource() string { return a.text("log_source") }

func (a *Alert) Source() Source {
	source, _ := a.fields["source"].(Object)
	text := func(name string) string {
		text, _ := source[name].(string)
		return text
	}
	return Source{text("service"), text("resource"), text("object")}
}

// Context is what the rule says beside the record.
func (a *Alert) Context() Object {
	if context, ok := a.fields["context"].(Object); ok {
		return context
	}
	return Object{}
}

// Record is the record it was raised on.
func (a *Alert) Record() any { return a.fields["record"] }

func (a *Alert) References() []string { return a.texts("references") }

func (a *Alert) Tags() []string { return a.texts("tags") }

// DedupKey: alerts of one rule with one key belong together; empty: it has none.
func (a *Alert) DedupKey() string { return a.text("dedup_key") }

// Outputs are all that it goes to, "service:descriptor" each.
func (a *Alert) Outputs() []string { return a.texts("outputs") }

// Staged: it was raised by a rule that is still on trial.
func (a *Alert) Staged() bool {
	staged, _ := a.fields["staged"].(bool)
	return staged
}

// Get is any field by its name; nil if there is none.
func (a *Alert) Get(name string) any { return a.fields[name] }

// Fields are all of it.
func (a *Alert) Fields() Object { return a.fields }

func (a *Alert) text(name string) string {
	text, _ := a.fields[name].(string)
	return text
}

func (a *Alert) texts(name string) []string {
	list, _ := a.fields[name].([]any)
	texts := []string{}
	for _, item := range list {
		if text, ok := item.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// Sample is the alert that tests begin with; all of its fields are there.
func Sample() Object {
	fields, err := ParseObject(sample)
	if err != nil {
		panic(err)
	}
	return fields
}

const sample = `{
	"id": "3f9c1e0b7a5d4826", "rule_name": "root_login", "title": "Root logged in without MFA", "severity": "high",
	"rule_description": "Somebody logged in as root.", "created": "2026-01-02T03:04:05Z", "event_time": "2026-01-02T03:03:59Z",
	"cluster": "prod", "log_source": "cloudtrail:events", "log_type": "json",
	"source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
	"position": {"offset": 0, "length": 120, "index": 0}, "outputs": ["sample:sample"], "publishers": null, "merge": null,
	"dedup_key": null, "tags": ["aws"], "references": ["https://example.com/runbooks/root"],
	"context": {"account": "123456789012"},
	"record": {"eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"}},
	"staged": false, "component_digest": "", "host_version": "0.1.0", "fuel": 0
}`
