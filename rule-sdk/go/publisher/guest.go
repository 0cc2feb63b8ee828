//go:build wasm || tinygo.wasm

package publisher

import (
	"unsafe"

	"streamalert/sdk/internal/alert"
	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/packed"
	"streamalert/sdk/internal/wire"
)

// The component's side of wit/publishing.wit.

type wireInfo struct{ name, description wire.Text }

type wireAnswer struct {
	failed uint32
	text   wire.Text
}

func init() { host.Several() }

var (
	held   wire.Held
	answer wireAnswer
)

//go:wasmexport streamalert:plugin/publishing@0.1.0#describe
func describe() unsafe.Pointer {
	defer wire.Report()
	if len(all) == 0 {
		panic("this component declares no publishers; call publisher.Add in an init function")
	}
	held.Clear()
	infos := make([]wireInfo, len(all))
	for index, one := range all {
		infos[index] = wireInfo{held.Text(one.Name), held.Text(one.Description)}
	}
	held.List = wire.ListOf(&held, infos)
	return unsafe.Pointer(&held.List)
}

//go:wasmexport streamalert:plugin/publishing@0.1.0#publish
func publish(number uint32, alertAt unsafe.Pointer, alertBytes uint32, publicationAt unsafe.Pointer, publicationBytes uint32,
	outputAt unsafe.Pointer, outputBytes uint32) unsafe.Pointer {
	defer wire.Report()
	held.Clear()
	host.Arguments()
	about, err := alert.Parse(wire.String(alertAt, alertBytes))
	if err != nil {
		panic(err)
	}
	publication, err := alert.ParseObject(wire.String(publicationAt, publicationBytes))
	if err != nil {
		panic(err)
	}
	published, err := all[number].publish(about, publication, NewTarget(wire.String(outputAt, outputBytes)))
	if err != nil {
		answer = wireAnswer{1, held.Text(err.Error())}
	} else {
		answer = wireAnswer{0, held.Text(string(packed.AppendObject(nil, published)))}
	}
	return unsafe.Pointer(&answer)
}
