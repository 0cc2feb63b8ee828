//go:build wasm || tinygo.wasm

// Package wire is what the component's side of every world needs: what the host reads lies as the canonical ABI wants it, in
// numbers of 32 bits whatever pointers are here, and is held by what is global until the next call.
package wire

import (
	"strings"
	"unsafe"

	"streamalert/sdk/internal/host"
)

// Text is a string.
type Text struct{ At, Bytes uint32 }

// List is a list of anything.
type List struct{ At, Count uint32 }

// Option is an option of a string.
type Option struct {
	Some uint32
	Text Text
}

// Address is where something lies.
func Address(at unsafe.Pointer) uint32 { return uint32(uintptr(at)) }

// Held is what is handed to the host, so that it is not collected before the host has read it.
type Held struct {
	List  List
	texts []string
	parts []any
}

// Clear lets go of what was held.
func (h *Held) Clear() { h.texts, h.parts = h.texts[:0], h.parts[:0] }

// Text holds a text; the host takes none that is no UTF-8.
func (h *Held) Text(text string) Text {
	text = strings.ToValidUTF8(text, "\uFFFD")
	h.texts = append(h.texts, text)
	return Text{Address(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

// Option is none for no text.
func (h *Held) Option(text string) Option {
	if text == "" {
		return Option{}
	}
	return Option{1, h.Text(text)}
}

// ListOf holds items.
func ListOf[T any](h *Held, items []T) List {
	h.parts = append(h.parts, items)
	return List{Address(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

// Texts holds a list of texts.
func (h *Held) Texts(texts []string) List {
	if len(texts) == 0 {
		return List{}
	}
	items := make([]Text, len(texts))
	for index, text := range texts {
		items[index] = h.Text(text)
	}
	return ListOf(h, items)
}

// String is an argument's text, in its place.
func String(at unsafe.Pointer, bytes uint32) string { return unsafe.String((*byte)(at), int(bytes)) }

// Pair is a record of two texts, such as a header or a setting with its value.
type Pair struct{ Name, Value Text }

// Pairs of an argument, in their place.
func Pairs(at unsafe.Pointer, count uint32) []Pair { return unsafe.Slice((*Pair)(at), int(count)) }

// String of a text that the host wrote.
func (t Text) String() string { return String(pointer(t.At), t.Bytes) }

// Places come as numbers. What lies there is held by what the host asked for room with, see host.Arguments.
func pointer(at uint32) unsafe.Pointer {
	address := uintptr(at)
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// Report is deferred by every export. A panic ends in a trap that carries no text; this puts the text into the log first.
func Report() {
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
