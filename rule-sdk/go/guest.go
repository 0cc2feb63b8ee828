//go:build wasm || tinygo.wasm

package sdk

import (
	"math"
	"strings"
	"unsafe"

	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/packed"
)

// The component's side of wit/detection.wit. What the host reads lies as the canonical ABI wants it, in numbers of 32 bits
// whatever pointers are here, and is held by what is global until the next call.

type wireText struct{ at, bytes uint32 }

type wireList struct{ at, count uint32 }

type wireOption struct {
	some uint32
	text wireText
}

type wireValue struct {
	kind    uint64
	payload uint64
}

type wireCondition struct {
	path wireText
	test uint32
	list wireList
}

type wireRule struct {
	name, description wireText
	logs, when        wireList
	options           wireText
}

type wireFinding struct {
	row               uint32
	title             wireOption
	hasSeverity       uint8
	severity          uint8
	_                 uint16
	dedupKey, context wireOption
	outputs           wireList
}

// Kinds of wit/types.wit's value.
const (
	valueBoolean = iota + 1
	valueInteger
	valueFloat
	valueText
)

func address(at unsafe.Pointer) uint32 { return uint32(uintptr(at)) }

// What is handed to the host, so that it is not collected before the host has read it.
type held struct {
	list  wireList
	texts []string
	parts []any
}

func (h *held) text(text string) wireText {
	text = strings.ToValidUTF8(text, "\uFFFD")
	h.texts = append(h.texts, text)
	return wireText{address(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

func (h *held) option(text string) wireOption {
	if text == "" {
		return wireOption{}
	}
	return wireOption{1, h.text(text)}
}

func list[T any](h *held, items []T) wireList {
	h.parts = append(h.parts, items)
	return wireList{address(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

func (h *held) listOfTexts(texts []string) wireList {
	if len(texts) == 0 {
		return wireList{}
	}
	items := make([]wireText, len(texts))
	for index, text := range texts {
		items[index] = h.text(text)
	}
	return list(h, items)
}

func (h *held) value(value any) wireValue {
	integer := func(value int64) wireValue { return wireValue{valueInteger, uint64(value)} }
	switch value := value.(type) {
	case bool:
		if value {
			return wireValue{valueBoolean, 1}
		}
		return wireValue{valueBoolean, 0}
	case int:
		return integer(int64(value))
	case int32:
		return integer(int64(value))
	case int64:
		return integer(value)
	case uint32:
		return integer(int64(value))
	case float64:
		return wireValue{valueFloat, math.Float64bits(value)}
	case string:
		text := h.text(value)
		return wireValue{valueText, uint64(text.at) | uint64(text.bytes)<<32}
	}
	panic("a condition compares with string, bool, int, int32, int64, uint32 or float64")
}

var described held

//go:wasmexport streamalert:plugin/detection@0.1.0#describe
func describe() unsafe.Pointer {
	defer report()
	h := &described
	*h = held{}
	infos := make([]wireRule, len(rules))
	for index := range rules {
		rule := &rules[index]
		when := make([]wireCondition, len(rule.When))
		for index, condition := range rule.When {
			wire := wireCondition{path: h.text(condition.path), test: uint32(condition.test)}
			switch condition.test {
			case testEquals:
				values := make([]wireValue, len(condition.values))
				for index, value := range condition.values {
					values[index] = h.value(value)
				}
				wire.list = list(h, values)
			case testPrefix, testSuffix, testContains:
				wire.list = h.listOfTexts(condition.texts)
			}
			when[index] = wire
		}
		infos[index] = wireRule{
			name:        h.text(rule.Name),
			description: h.text(rule.Description),
			logs:        h.listOfTexts(rule.Logs),
			when:        list(h, when),
			options:     h.text(rule.options()),
		}
	}
	h.list = list(h, infos)
	return unsafe.Pointer(&h.list)
}

var (
	// The rows of the last call: the host asks one rule after the other about the same rows. A batch has a buffer of its own,
	// since a rule may keep texts of it.
	frame struct {
		bytes []byte
		batch uint64
		there bool
	}
	record   Record
	findings []wireFinding
	reported held
)

//go:wasmexport streamalert:plugin/detection@0.1.0#evaluate
func evaluate(number uint32, batch uint64, rows unsafe.Pointer, count uint32, explain uint32) unsafe.Pointer {
	defer report()
	if !frame.there || frame.batch != batch {
		// The old buffer goes before the new one comes: both may be large.
		frame.bytes, record = nil, Record{}
		frame.bytes = host.Packed()
		frame.batch, frame.there = batch, true
	}
	rule := &rules[number]
	findings = findings[:0]
	for _, row := range unsafe.Slice((*uint32)(rows), count) {
		start, ok := packed.Row(frame.bytes, row)
		if !ok {
			continue
		}
		record = Record{start, row, explain != 0}
		if rule.yes != nil {
			if rule.yes(&record) {
				findings = append(findings, wireFinding{row: row})
			}
		} else if finding := rule.say(&record); finding != nil {
			findings = append(findings, reported.finding(row, finding))
		}
	}
	reported.list = wireList{address(unsafe.Pointer(unsafe.SliceData(findings))), uint32(len(findings))}
	return unsafe.Pointer(&reported.list)
}

func (h *held) finding(row uint32, finding *Finding) wireFinding {
	if len(findings) == 0 {
		h.texts, h.parts = h.texts[:0], h.parts[:0]
	}
	wire := wireFinding{
		row:      row,
		title:    h.option(finding.Title),
		dedupKey: h.option(finding.DedupKey),
		outputs:  h.listOfTexts(finding.Outputs),
	}
	if finding.Severity != 0 {
		wire.hasSeverity, wire.severity = 1, uint8(finding.Severity-Info)
	}
	if len(finding.Context) > 0 {
		wire.context = h.option(string(appendObject(nil, finding.Context)))
	}
	return wire
}

// A panic ends in a trap that carries no text; this puts the text into the log first.
func report() {
	if cause := recover(); cause != nil {
		host.Log(host.Error, "panic: "+message(cause)+where())
		host.Trap()
	}
}

func message(cause any) string {
	switch cause := cause.(type) {
	case error:
		return cause.Error()
	case string:
		return cause
	case interface{ String() string }:
		return cause.String()
	}
	return "a value that is no text"
}
