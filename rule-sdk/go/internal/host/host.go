// Package host is what a component imports, and what stands in for it in tests.
package host

// Levels of the log, as wit/log.wit has them.
const (
	Debug uint32 = iota
	Info
	Warn
	Error
)

// Header of a request or an answer.
type Header struct{ Name, Value string }

// Answer of whatever status.
type Answer struct {
	Status    uint16
	Headers   []Header
	Body      []byte
	Truncated bool
}

// Failure says why there is no answer; kinds are those of wit/http.wit.
type Failure struct {
	Kind    uint8
	Message string
	Sent    bool
}
