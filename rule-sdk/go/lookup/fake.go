//go:build !wasm && !tinygo.wasm

package lookup

import "streamalert/sdk/internal/host"

// Fake is for tests: what table holds from now on, a JSON object of keys and values. It panics at anything else.
func Fake(table, entries string) { host.Fake(table, entries) }

// ForgetFakes is for tests: forgets all tables that Fake set.
func ForgetFakes() { host.ForgetFakes() }
