// Package publisher makes a package publishers, which shape an alert for an output. What a package imports decides what its
// component is, so one that imports this imports neither streamalert/sdk nor the packages of parsers and outputs.
package publisher

import (
	"strings"

	"streamalert/sdk/internal/alert"
)

type (
	// Alert is an alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes.
	Alert = alert.Alert
	// Source is where a log came from.
	Source = alert.Source
	// Object is a JSON object. Values are nil, bool, string, int64, uint64, float64, []any and map[string]any; numbers of any
	// type, []string and map[string]string may be put into it.
	Object = alert.Object
)

// NewAlert makes an alert for tests: that of a sample, with these fields in place of its own.
func NewAlert(fields Object) *Alert {
	all := alert.Sample()
	for name, value := range fields {
		all[name] = value
	}
	return alert.New(all)
}

// Publisher is what the host must know of a publisher. Name is needed.
type Publisher struct {
	// What rules call it; unique among all components that are loaded together.
	Name        string
	Description string
}

// Target is what a publication is for.
type Target struct{ Service, Descriptor string }

// NewTarget makes it of "service:descriptor".
func NewTarget(output string) Target {
	service, descriptor, _ := strings.Cut(output, ":")
	return Target{service, descriptor}
}

// Magic is the key by which a publisher speaks to an output of this service: "@service.field".
func (t Target) Magic(field string) string { return "@" + t.Service + "." + field }

func (t Target) String() string { return t.Service + ":" + t.Descriptor }

// Publish is given the alert, the publication so far and what it is for; the answer is the publication. An error holds the
// delivery back: it is tried again later.
type Publish func(alert *Alert, publication Object, target Target) (Object, error)

type added struct {
	Publisher
	publish Publish
}

var all []added

// Add makes a function a publisher, in an init function.
func Add(publisher Publisher, publish Publish) { all = append(all, added{publisher, publish}) }
