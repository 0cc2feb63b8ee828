//go:build !wasm && !tinygo.wasm

package host

import (
	"os"
	"sync"

	"streamalert/sdk/internal/packed"
)

// Wasm says whether this is a component, asked by one thread.
const Wasm = false

func Get(row uint32, path string) {}

func JSON(row uint32) {}

var (
	lock   sync.Mutex
	tables = map[string]map[string]string{}
)

// Fake sets a lookup table for tests: a JSON object.
func Fake(table, entries string) {
	record, err := packed.Parse(entries)
	if err != nil {
		panic("lookup table " + table + ": " + err.Error())
	}
	root := packed.Root(record)
	if root.Kind() != packed.Object {
		panic("lookup table " + table + ": not an object: " + entries)
	}
	count, _ := root.Len()
	fake := make(map[string]string, count)
	for index := range count {
		key, value := root.Entry(index)
		fake[key] = string(value.AppendJSON(nil))
	}
	lock.Lock()
	defer lock.Unlock()
	tables[table] = fake
}

// ForgetFakes forgets all tables of tests.
func ForgetFakes() {
	lock.Lock()
	defer lock.Unlock()
	tables = map[string]map[string]string{}
}

func Lookup(table, key string) (string, bool) {
	lock.Lock()
	defer lock.Unlock()
	value, ok := tables[table][key]
	return value, ok
}

func Log(level uint32, message string) {
	names := [...]string{"debug", "info", "warn", "error"}
	os.Stderr.WriteString(names[level] + ": " + message + "\n")
}
