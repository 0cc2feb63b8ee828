package output

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unit is how a service counts the length of a text.
type Unit uint8

const (
	Chars Unit = iota
	// Bytes of UTF-8.
	Bytes
	// UTF16 units, as JavaScript, Java and .NET count: 2 for an emoji.
	UTF16
)

func (u Unit) of(c rune) int {
	switch {
	case u == Bytes:
		return utf8.RuneLen(c)
	case u == UTF16 && c > 0xffff:
		return 2
	}
	return 1
}

const zeroWidthJoiner = '\u200d'

// Belongs to the character before it: accents, variants, skin tones.
func joins(c rune) bool {
	return unicode.Is(unicode.Mn, c) || c >= 0x1f3fb && c <= 0x1f3ff || c == zeroWidthJoiner
}

// Shorten gives the text if it fits, otherwise its beginning and "…", together no longer than most of this unit. A letter and its
// accents are not parted.
func Shorten(text string, most int, unit Unit) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	length := 0
	for _, c := range text {
		length += unit.of(c)
	}
	if length <= most {
		return text
	}
	dots := unit.of('…')
	left := most - dots
	if left < 0 {
		left = max(most, 0)
	}
	good, joined := 0, false
	for at, c := range text {
		if !joined && !joins(c) {
			good = at
		}
		if left < unit.of(c) {
			break
		}
		joined = c == zeroWidthJoiner
		left -= unit.of(c)
	}
	if most < dots {
		return text[:good]
	}
	return strings.TrimRightFunc(text[:good], unicode.IsSpace) + "…"
}

// Plain is the text without control characters and without what turns its direction around; line breaks and tabs become blanks.
func Plain(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t' || c == 0x2028 || c == 0x2029:
			return ' '
		case unicode.IsControl(c) || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069:
			return -1
		}
		return c
	}, text)
}

var entities = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

// EscapeHTML is the text as it may stand in HTML and XML, in an attribute too.
func EscapeHTML(text string) string {
	return entities.Replace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' {
			return -1
		}
		return c
	}, text))
}
