// Package lookup asks tables that the operator keeps beside the rules: allow lists, asset inventories, owners.
//
// In tests the tables are those that Fake set.
package lookup

import (
	"streamalert/sdk"
	"streamalert/sdk/internal/host"
	"streamalert/sdk/log"
)

// Get is what is stored under key. Not ok: the table has no such key, or there is no such table; a stored null is a field.
func Get(table, key string) (value sdk.Field, ok bool) {
	text, ok := host.Lookup(table, key)
	if !ok {
		return sdk.Field{}, false
	}
	record, err := sdk.Parse(text)
	if err != nil {
		log.Error("lookup table " + table + ", key " + key + ": " + err.Error())
		return sdk.Field{}, false
	}
	return record.Root(), true
}

// Contains says whether the table has this key, whatever is stored there; false also when there is no such table.
func Contains(table, key string) bool {
	_, ok := host.Lookup(table, key)
	return ok
}
