//go:build wasm || tinygo.wasm

package sdk

import (
	"math"
	"unsafe"

	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/packed"
	"streamalert/sdk/internal/wire"
)

// The component's side of wit/detection.wit.

type (
	wireText   = wire.Text
	wireList   = wire.List
	wireOption = wire.Option
	held       = wire.Held
)

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

func lowered(h *held, value any) wireValue {
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
		text := h.Text(value)
		return wireValue{valueText, uint64(text.At) | uint64(text.Bytes)<<32}
	}
	panic("a condition compares with string, bool, int, int32, int64, uint32 or float64")
}

var described held

//go:wasmexport streamalert:plugin/detection@0.1.0#describe
func describe() unsafe.Pointer {
	defer wire.Report()
	h := &described
	*h = held{}
	infos := make([]wireRule, len(rules))
	for index := range rules {
		rule := &rules[index]
		when := make([]wireCondition, len(rule.When))
		for index, condition := range rule.When {
			lower := wireCondition{path: h.Text(condition.path), test: uint32(condition.test)}
			switch condition.test {
			case testEquals:
				values := make([]wireValue, len(condition.values))
				for index, value := range condition.values {
					values[index] = lowered(h, value)
				}
				lower.list = wire.ListOf(h, values)
			case testPrefix, testSuffix, testContains:
				lower.list = h.Texts(condition.texts)
			}
			when[index] = lower
		}
		infos[index] = wireRule{
			name:        h.Text(rule.Name),
			description: h.Text(rule.Description),
			logs:        h.Texts(rule.Logs),
			when:        wire.ListOf(h, when),
			options:     h.Text(rule.options()),
		}
	}
	h.List = wire.ListOf(h, infos)
	return unsafe.Pointer(&h.List)
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
	defer wire.Report()
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
			findings = append(findings, lowerFinding(&reported, row, finding))
		}
	}
	reported.List = wireList{wire.Address(unsafe.Pointer(unsafe.SliceData(findings))), uint32(len(findings))}
	return unsafe.Pointer(&reported.List)
}

func lowerFinding(h *held, row uint32, finding *Finding) wireFinding {
	if len(findings) == 0 {
		h.Clear()
	}
	lower := wireFinding{
		row:      row,
		title:    h.Option(finding.Title),
		dedupKey: h.Option(finding.DedupKey),
		outputs:  h.Texts(finding.Outputs),
	}
	if finding.Severity != 0 {
		lower.hasSeverity, lower.severity = 1, uint8(finding.Severity-Info)
	}
	if len(finding.Context) > 0 {
		lower.context = h.Option(string(appendObject(nil, finding.Context)))
	}
	return lower
}
