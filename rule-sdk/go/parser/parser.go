// Package parser makes a package a parser: bytes in, records out. What a package imports decides what its component is, so one
// that imports this imports neither streamalert/sdk nor the packages of publishers and outputs.
package parser

import (
	"bytes"
	"iter"
	"strings"

	"streamalert/sdk/internal/packed"
)

// Parser is what the host must know of a parser. Name and Schemas are needed.
type Parser struct {
	// What clusters call it; unique among all parsers that are loaded together.
	Name string
	// For whoever chooses a parser.
	Description string
	// The log types it makes records of, written as the files of conf/schemas; their parser is json.
	Schemas string
	// It must see an object as a whole; if not, it is given any number of whole lines.
	Whole bool
	// Whether an object that begins so is one of its own. nil: it reads only what a cluster gives it by name.
	Sniff func(head []byte) bool
}

// Object is a record under construction. Values are nil, bool, string, numbers, and []any, []string and map[string]any of them.
type Object map[string]any

// Place is a piece of the payload.
type Place struct{ Offset, Length int }

// Part is a piece of the payload and what became of it. Parts do not overlap and do not leave the payload; several may be about
// the very same piece, which then holds several records.
type Part struct {
	Place Place
	// Empty: whichever of the parser's log types fits.
	LogType string
	// The record, if it is one.
	JSON string
	// Why it is no record, if it is none.
	Reason string
	failed bool
}

// Record is a record of one of the parser's log types.
func Record(place Place, logType string, record Object) Part {
	return Part{Place: place, LogType: logType, JSON: string(packed.AppendObject(nil, map[string]any(record)))}
}

// Raw is a record that is JSON already; of whichever log type fits.
func Raw(place Place, json string) Part { return Part{Place: place, JSON: json} }

// Error is bytes that should be a record and are none. The reason is for whoever reads the dead letter.
func Error(place Place, reason string) Part { return Part{Place: place, Reason: reason, failed: true} }

// Line is one line, without what ends it.
type Line struct {
	Bytes []byte
	// Of Bytes in the payload.
	Place Place
}

// Text is the line as text; what is no UTF-8 becomes U+FFFD.
func (l Line) Text() string { return valid(string(l.Bytes)) }

// Each broken sequence becomes one mark, as in other languages; strings.ToValidUTF8 makes one of several.
func valid(text string) string {
	if clean := strings.ToValidUTF8(text, ""); len(clean) == len(text) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		bytes := sequence(text)
		if bytes < 0 {
			out.WriteString("\uFFFD")
			bytes = -bytes
		} else {
			out.WriteString(text[:bytes])
		}
		text = text[bytes:]
	}
	return out.String()
}

// Bytes of the first character; of a broken one, as many as it had right, and negative.
func sequence(text string) int {
	lead := text[0]
	more, low, high := 0, byte(0x80), byte(0xbf)
	switch {
	case lead < 0x80:
		return 1
	case lead >= 0xc2 && lead <= 0xdf:
		more = 1
	case lead >= 0xe0 && lead <= 0xef:
		more = 2
		if lead == 0xe0 {
			low = 0xa0
		} else if lead == 0xed {
			high = 0x9f
		}
	case lead >= 0xf0 && lead <= 0xf4:
		more = 3
		if lead == 0xf0 {
			low = 0x90
		} else if lead == 0xf4 {
			high = 0x8f
		}
	default:
		return -1
	}
	for at := 1; at <= more; at++ {
		if at == len(text) || text[at] < low || text[at] > high {
			return -at
		}
		low, high = 0x80, 0xbf
	}
	return more + 1
}

// Lines of a payload, ended by \n or \r\n; the last may lack its end.
func Lines(payload []byte) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for at := 0; at < len(payload); {
			length := bytes.IndexByte(payload[at:], '\n')
			if length < 0 {
				length = len(payload) - at
			}
			line := bytes.TrimSuffix(payload[at:at+length], []byte{'\r'})
			if !yield(Line{line, Place{at, len(line)}}) {
				return
			}
			at += length + 1
		}
	}
}

type added struct {
	Parser
	parse func(payload []byte) ([]Part, error)
}

var only *added

// Add makes a function the parser of this component, in an init function; there is one. An error in place of parts: nothing can
// be made of the payload.
func Add(parser Parser, parse func(payload []byte) ([]Part, error)) {
	if only != nil {
		panic("a component is one parser; there are " + only.Name + " and " + parser.Name)
	}
	only = &added{parser, parse}
}
