//go:build wasm || tinygo.wasm

package parser

import (
	"unsafe"

	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/wire"
)

// The component's side of wit/parsing.wit.

type wireInfo struct {
	name, description, schemas wire.Text
	takes, sniffs              uint8
	_                          uint16
}

type wirePart struct {
	offset, length uint32
	failed         uint32
	// The log type and the record, or the reason alone.
	first, second wire.Text
}

type wireParts struct {
	failed uint32
	list   wire.List
}

func init() { host.Several() }

var (
	held   wire.Held
	info   wireInfo
	answer wireParts
	parts  []wirePart
)

//go:wasmexport streamalert:plugin/parsing@0.1.0#describe
func describe() unsafe.Pointer {
	defer wire.Report()
	if only == nil {
		panic("this component declares no parser; call parser.Add in an init function")
	}
	held.Clear()
	info = wireInfo{name: held.Text(only.Name), description: held.Text(only.Description), schemas: held.Text(only.Schemas)}
	if only.Whole {
		info.takes = 1
	}
	if only.Sniff != nil {
		info.sniffs = 1
	}
	return unsafe.Pointer(&info)
}

//go:wasmexport streamalert:plugin/parsing@0.1.0#sniff
func sniff(head unsafe.Pointer, bytes uint32) uint32 {
	defer wire.Report()
	host.Arguments()
	if only.Sniff != nil && only.Sniff(unsafe.Slice((*byte)(head), int(bytes))) {
		return 1
	}
	return 0
}

//go:wasmexport streamalert:plugin/parsing@0.1.0#parse
func parse(payload unsafe.Pointer, bytes uint32) unsafe.Pointer {
	defer wire.Report()
	held.Clear()
	host.Arguments()
	found, err := only.parse(unsafe.Slice((*byte)(payload), int(bytes)))
	if err != nil {
		reason := held.Text(err.Error())
		answer = wireParts{1, wire.List{At: reason.At, Count: reason.Bytes}}
		return unsafe.Pointer(&answer)
	}
	parts = make([]wirePart, len(found))
	for index, part := range found {
		one := &parts[index]
		*one = wirePart{offset: number(part.Place.Offset), length: number(part.Place.Length)}
		if part.failed {
			one.failed, one.first = 1, held.Text(part.Reason)
		} else {
			one.first, one.second = held.Text(part.LogType), held.Text(part.JSON)
		}
	}
	answer = wireParts{0, wire.List{At: wire.Address(unsafe.Pointer(unsafe.SliceData(parts))), Count: uint32(len(parts))}}
	return unsafe.Pointer(&answer)
}

// A place beyond what 32 bits can say lies outside of every payload; the host refuses it as such.
func number(place int) uint32 {
	if place < 0 || uint64(place) > 1<<32-1 {
		return 1<<32 - 1
	}
	return uint32(place)
}
