package sdk

import (
	"cmp"
	"slices"
)

// Severity is how bad it is, after the reader has to decide what to look at first. The zero Severity is none.
type Severity uint8

const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severities = [...]string{"", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severities[s] }

// Rule is what the host must know of a rule. Name and Logs, or Datatypes, are needed.
type Rule struct {
	// Unique among all rules that are loaded together.
	Name string
	// Goes into every alert.
	Description string
	// Log types: "cloudtrail:events"; a source alone, "cloudtrail", stands for all its types.
	Logs []string
	// What a record must have a value of, at least one: "sourceAddress", "ocsf:authentication", "ecs:source.ip".
	Datatypes []string
	// All of these must hold before the function is called.
	When When
	// "service:descriptor" each.
	Outputs []string
	// Names of publishers, for all outputs.
	Publishers []string
	// Names of publishers by output, instead of Publishers.
	PublishersOf map[string][]string
	// Folds alerts into one; nil: every alert on its own.
	Merge *Merge
	// Goes with every alert. Values are as those of Finding.Context.
	Context map[string]any
	// None: medium.
	Severity Severity
	Tags     []string
	// For whoever gets the alert: addresses of pages.
	References []string
	// Names of files of test events.
	Tests []string
}

// Merge folds alerts of a rule into one.
type Merge struct {
	// Keys, looked for at any depth, whose values must be equal. None: alerts of one dedup key.
	By []string
	// How long alerts are gathered.
	Minutes uint32
	// "arrival" (as if left out), or "event": the time that the log names counts.
	On string
	// "wait" (as if left out), or "send": the first is sent at once, the rest is merged.
	First string
	// The most in one; 0: the host's limit.
	Max uint32
	// Of fewer nobody is told; 0: of each.
	Threshold uint32
}

// When is a list of conditions that must all hold. They are data: the host tests them for all rules at once and calls a rule
// only for records that meet all of its own.
type When []Condition

// Condition is made by Equals, Prefix, Suffix, Contains or Exists.
type Condition struct {
	path   string
	test   uint8
	values []any
	texts  []string
}

// Tests of a condition, as wit/detection.wit has them.
const (
	testEquals uint8 = iota
	testPrefix
	testSuffix
	testContains
	testExists
)

// Equals holds if the value at path is one of these: texts, numbers, booleans.
func Equals(path string, values ...any) Condition {
	return Condition{path: path, test: testEquals, values: values}
}

// Prefix holds if the text at path begins with one of these.
func Prefix(path string, texts ...string) Condition {
	return Condition{path: path, test: testPrefix, texts: texts}
}

// Suffix holds if the text at path ends with one of these.
func Suffix(path string, texts ...string) Condition {
	return Condition{path: path, test: testSuffix, texts: texts}
}

// Contains holds if one of these occurs in the text at path.
func Contains(path string, texts ...string) Condition {
	return Condition{path: path, test: testContains, texts: texts}
}

// Exists holds if anything is at path, a null too.
func Exists(path string) Condition { return Condition{path: path, test: testExists} }

// Finding is a report about one record, for rules that say more than yes. Every part may be left out; the rule's own applies
// then.
type Finding struct {
	// "": the rule's name.
	Title string
	// None: the rule's severity.
	Severity Severity
	// Alerts of one rule with one key belong together. "": every record is its own.
	DedupKey string
	// Laid over the context of the rule. Values are nil, bool, string, numbers, Field, and []any, []string and map[string]any
	// of them.
	Context map[string]any
	// Besides the outputs of the rule, "service:descriptor" each.
	Outputs []string
}

type added struct {
	Rule
	// One of the two.
	yes func(*Record) bool
	say func(*Record) *Finding
}

var rules []added

// Add makes a function a rule, in an init function. It reports a record by true, or by a finding; false and nil report
// nothing.
func Add[Verdict bool | *Finding](rule Rule, judge func(*Record) Verdict) {
	one := added{Rule: rule}
	switch judge := any(judge).(type) {
	case func(*Record) bool:
		one.yes = judge
	case func(*Record) *Finding:
		one.say = judge
	}
	// By name, since the host knows a rule by its place, which must not depend on the order of files.
	at, _ := slices.BinarySearchFunc(rules, rule.Name, func(other added, name string) int {
		return cmp.Compare(other.Name, name)
	})
	rules = slices.Insert(rules, at, one)
}
