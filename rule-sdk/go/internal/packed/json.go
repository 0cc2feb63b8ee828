package packed

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Levels of lists and objects within one another.
const depthMax = 128

// Parse makes a record of JSON text.
func Parse(text string) (Record, error) { return parse(parser{text: text}) }

// ParseAny does, too, and keeps a number that no double holds as it was written.
func ParseAny(text string) (Record, error) { return parse(parser{text: text, keeps: true}) }

func parse(p parser) (Record, error) {
	text := p.text
	p.out = make([]byte, headerBytes, headerBytes+2*len(text))
	root, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(text) {
		return nil, p.fault("nothing more")
	}
	p.put(0, root)
	p.put(8, slot{uint32(len(p.out)), 0})
	return Record(unsafe.SliceData(p.out)), nil
}

type slot struct{ tag, payload uint32 }

type entry struct {
	key   slot
	value slot
}

type parser struct {
	text  string
	at    int
	out   []byte
	keeps bool
}

func (p *parser) fault(expected string) error {
	return errors.New("JSON, byte " + strconv.Itoa(p.at) + ": expected " + expected)
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// Whether this comes next; then it is passed.
func (p *parser) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *parser) put(at int, s slot) { *(*slot)(unsafe.Pointer(&p.out[at])) = s }

func (p *parser) raw(kind Kind, bits uint64) slot {
	at := uint32(len(p.out))
	p.out = append(p.out, (*[8]byte)(unsafe.Pointer(&bits))[:]...)
	return slot{uint32(kind), at}
}

func (p *parser) value(depth int) (slot, error) {
	if depth > depthMax {
		return slot{}, p.fault("less depth")
	}
	p.space()
	if p.at == len(p.text) {
		return slot{}, p.fault("a value")
	}
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		return p.string()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case p.word("null"):
		return slot{uint32(Null), 0}, nil
	case p.word("false"):
		return slot{uint32(False), 0}, nil
	case p.word("true"):
		return slot{uint32(True), 0}, nil
	}
	return slot{}, p.fault("a value")
}

// Whether this word comes next; then it is passed.
func (p *parser) word(word string) bool {
	comes := strings.HasPrefix(p.text[p.at:], word)
	if comes {
		p.at += len(word)
	}
	return comes
}

func (p *parser) array(depth int) (slot, error) {
	p.at++
	var items []slot
	for !p.next(']') {
		if len(items) > 0 && !p.next(',') {
			return slot{}, p.fault("a comma or the end of the list")
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return slot{}, err
		}
		items = append(items, item)
	}
	at := len(p.out)
	p.out = append(p.out, make([]byte, len(items)*slotBytes)...)
	for index, item := range items {
		p.put(at+index*slotBytes, item)
	}
	return slot{uint32(len(items))<<4 | uint32(Array), uint32(at)}, nil
}

func (p *parser) object(depth int) (slot, error) {
	p.at++
	var entries []entry
	for !p.next('}') {
		if len(entries) > 0 && !p.next(',') {
			return slot{}, p.fault("a comma or the end of the object")
		}
		if p.space(); p.at == len(p.text) || p.text[p.at] != '"' {
			return slot{}, p.fault("a key")
		}
		key, err := p.string()
		if err != nil {
			return slot{}, err
		}
		if !p.next(':') {
			return slot{}, p.fault("a colon")
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return slot{}, err
		}
		entries = append(entries, entry{key, value})
	}
	at := len(p.out)
	p.out = append(p.out, make([]byte, len(entries)*entryBytes)...)
	for index, entry := range entries {
		p.put(at+index*entryBytes, slot{entry.key.payload, entry.key.tag >> 4})
		p.put(at+index*entryBytes+8, entry.value)
	}
	return slot{uint32(len(entries))<<4 | uint32(Object), uint32(at)}, nil
}

func (p *parser) string() (slot, error) {
	start := len(p.out)
	p.at++
	for {
		if p.at == len(p.text) {
			return slot{}, p.fault("the end of a text")
		}
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			if !utf8.Valid(p.out[start:]) {
				return slot{}, p.fault("UTF-8")
			}
			return slot{uint32(len(p.out)-start)<<4 | uint32(Text), uint32(start)}, nil
		case c < ' ':
			return slot{}, p.fault("no control character in a text")
		case c != '\\':
			p.out = append(p.out, c)
			p.at++
		default:
			if err := p.escape(); err != nil {
				return slot{}, err
			}
		}
	}
}

func (p *parser) escape() error {
	p.at++
	if p.at == len(p.text) {
		return p.fault("an escaped character")
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		p.out = append(p.out, c)
	case 'b':
		p.out = append(p.out, '\b')
	case 'f':
		p.out = append(p.out, '\f')
	case 'n':
		p.out = append(p.out, '\n')
	case 'r':
		p.out = append(p.out, '\r')
	case 't':
		p.out = append(p.out, '\t')
	case 'u':
		char, ok := p.hex()
		if !ok {
			return p.fault("four hexadecimal digits")
		}
		if utf16.IsSurrogate(char) {
			low := rune(0)
			if len(p.text)-p.at >= 6 && p.text[p.at:p.at+2] == `\u` {
				p.at += 2
				low, _ = p.hex()
			}
			if char = utf16.DecodeRune(char, low); char == utf8.RuneError {
				return p.fault("a pair of surrogates")
			}
		}
		p.out = utf8.AppendRune(p.out, char)
	default:
		p.at--
		return p.fault("an escaped character")
	}
	return nil
}

func (p *parser) hex() (rune, bool) {
	if len(p.text)-p.at < 4 {
		return 0, false
	}
	value, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 16)
	p.at += 4
	return rune(value), err == nil
}

func (p *parser) number() (slot, error) {
	start := p.at
	digits := func() bool {
		from := p.at
		for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	is := func(chars string) bool {
		for _, c := range []byte(chars) {
			if p.at < len(p.text) && p.text[p.at] == c {
				p.at++
				return true
			}
		}
		return false
	}
	is("-")
	// No digit follows a leading zero.
	if !is("0") && !digits() {
		return slot{}, p.fault("a digit")
	}
	integer := true
	if is(".") {
		integer = false
		if !digits() {
			return slot{}, p.fault("a digit")
		}
	}
	if is("eE") {
		integer = false
		is("+-")
		if !digits() {
			return slot{}, p.fault("a digit")
		}
	}
	text := p.text[start:p.at]
	if integer {
		if value, err := strconv.ParseInt(text, 10, 64); err == nil {
			if value == int64(int32(value)) {
				return slot{uint32(Int32), uint32(int32(value))}, nil
			}
			return p.raw(Int64, uint64(value)), nil
		}
		if value, err := strconv.ParseUint(text, 10, 64); err == nil {
			return p.raw(Uint64, value), nil
		}
	}
	value, ok := parseFloat(text)
	if !ok && p.keeps {
		at := len(p.out)
		p.out = append(p.out, text...)
		return slot{uint32(len(text))<<4 | uint32(NumberText), uint32(at)}, nil
	}
	if !ok {
		return slot{}, p.fault("a number that a double holds")
	}
	return p.raw(Float64, math.Float64bits(value)), nil
}

func parseFloat(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil
}

// AppendJSON writes compact JSON; a number kept as written stands as written.
func (n Node) AppendJSON(out []byte) []byte {
	switch n.Kind() {
	case Null:
		return append(out, "null"...)
	case False:
		return append(out, "false"...)
	case True:
		return append(out, "true"...)
	case Int32, Int64:
		value, _ := n.Int()
		return strconv.AppendInt(out, value, 10)
	case Uint64:
		value, _ := n.Uint()
		return strconv.AppendUint(out, value, 10)
	case Float64:
		value, _ := n.Float()
		return AppendFloat(out, value)
	case Text:
		text, _ := n.Text()
		return AppendText(out, text)
	case NumberText:
		return append(out, n.string()...)
	case Array:
		out = append(out, '[')
		for index := range n.length() {
			if index > 0 {
				out = append(out, ',')
			}
			out = n.Item(index).AppendJSON(out)
		}
		return append(out, ']')
	}
	out = append(out, '{')
	for index := range n.length() {
		if index > 0 {
			out = append(out, ',')
		}
		key, value := n.Entry(index)
		out = append(AppendText(out, key), ':')
		out = value.AppendJSON(out)
	}
	return append(out, '}')
}

// AppendFloat writes a number that stays no integer; JSON has none that is not finite.
func AppendFloat(out []byte, value float64) []byte {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return append(out, "null"...)
	}
	start := len(out)
	out = strconv.AppendFloat(out, value, 'g', -1, 64)
	for _, c := range out[start:] {
		if c == '.' || c == 'e' {
			return out
		}
	}
	return append(out, ".0"...)
}

// AppendText writes a text between quotes. What is no UTF-8 in it becomes U+FFFD.
func AppendText(out []byte, text string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	plain := 0
	for at := 0; at < len(text); {
		c := text[at]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			at++
			continue
		}
		if c >= utf8.RuneSelf {
			char, bytes := utf8.DecodeRuneInString(text[at:])
			if char != utf8.RuneError || bytes > 1 {
				at += bytes
				continue
			}
		}
		out = append(out, text[plain:at]...)
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, "\uFFFD"...)
		}
		at++
		plain = at
	}
	out = append(out, text[plain:]...)
	return append(out, '"')
}
