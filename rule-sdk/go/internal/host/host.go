// Package host is what a component imports, and what stands in for it in tests.
package host

// Levels of the log, as wit/log.wit has them.
const (
	Debug uint32 = iota
	Info
	Warn
	Error
)
