//go:build wasm || tinygo.wasm

package output

import (
	"runtime"
	"strings"
	"unsafe"

	"streamalert/sdk/internal/alert"
	"streamalert/sdk/internal/host"
	"streamalert/sdk/internal/wire"
)

// The component's side of wit/delivery.wit.

type wireSetting struct {
	name, description wire.Text
	secret, required  uint8
	_                 uint16
}

type wireInfo struct {
	service, description wire.Text
	settings, hosts      wire.List
	options              wire.Text
}

type wireDisposition struct {
	kind uint32
	// Of delivered: the option of the place. Of reject: the reason. Of retry: the reason, the seconds, the progress.
	words [7]uint32
}

func init() { host.Several() }

var (
	held   wire.Held
	info   wireInfo
	answer wireDisposition
)

func flag(is bool) uint8 {
	if is {
		return 1
	}
	return 0
}

//go:wasmexport streamalert:plugin/delivery@0.1.0#describe
func describe() unsafe.Pointer {
	defer wire.Report()
	if only == nil {
		panic("this component declares no output; call output.Add in an init function")
	}
	held.Clear()
	settings := make([]wireSetting, len(only.Settings))
	for index, setting := range only.Settings {
		settings[index] = wireSetting{
			name: held.Text(setting.Name), description: held.Text(setting.Description),
			secret: flag(setting.IsSecret), required: flag(setting.Required),
		}
	}
	info = wireInfo{
		service: held.Text(only.Service), description: held.Text(only.Description),
		settings: wire.ListOf(&held, settings), hosts: held.Texts(only.Hosts), options: held.Text(only.options()),
	}
	return unsafe.Pointer(&info)
}

// Settings of an argument.
func given(at unsafe.Pointer, count uint32, arguments [][]uint64) Settings {
	settings := Settings{}
	for _, pair := range wire.Pairs(at, count) {
		settings[strings.Clone(pair.Name.String())] = strings.Clone(pair.Value.String())
	}
	runtime.KeepAlive(arguments)
	return settings
}

//go:wasmexport streamalert:plugin/delivery@0.1.0#validate
func validate(settings unsafe.Pointer, count uint32) unsafe.Pointer {
	defer wire.Report()
	held.Clear()
	found := only.Check(given(settings, count, host.Arguments()))
	faults := make([]wire.Pair, len(found))
	for index, fault := range found {
		faults[index] = wire.Pair{Name: held.Text(fault.Setting), Value: held.Text(fault.Message)}
	}
	held.List = wire.ListOf(&held, faults)
	return unsafe.Pointer(&held.List)
}

//go:wasmexport streamalert:plugin/delivery@0.1.0#deliver
func deliver(descriptor unsafe.Pointer, descriptorBytes uint32, key unsafe.Pointer, keyBytes uint32, attempt uint32, now uint64,
	about unsafe.Pointer, aboutBytes uint32, publication unsafe.Pointer, publicationBytes uint32, settings unsafe.Pointer,
	settingCount uint32, hasProgress uint32, progress unsafe.Pointer, progressBytes uint32) unsafe.Pointer {
	defer wire.Report()
	held.Clear()
	parcel := Parcel{
		Service:    only.Service,
		Descriptor: wire.String(descriptor, descriptorBytes), IdempotencyKey: wire.String(key, keyBytes),
		Attempt: attempt, Now: now,
		Settings: given(settings, settingCount, host.Arguments()),
	}
	if hasProgress&0xff == 1 {
		parcel.Progress = wire.String(progress, progressBytes)
	}
	var err error
	if parcel.Alert, err = alert.Parse(wire.String(about, aboutBytes)); err != nil {
		panic(err)
	}
	if parcel.Publication, err = alert.ParseObject(wire.String(publication, publicationBytes)); err != nil {
		panic(err)
	}
	for _, setting := range only.Settings {
		if !setting.IsSecret {
			continue
		}
		if value, ok := host.Secret(setting.Name); ok {
			parcel.Settings[setting.Name] = value
		}
	}
	lower(only.deliver(&parcel, overHost{}))
	return unsafe.Pointer(&answer)
}

func lower(d Disposition) {
	text := func(text string) (at, bytes uint32) {
		held := held.Text(text)
		return held.At, held.Bytes
	}
	some := func(words []uint32, given string) {
		if given != "" {
			words[0] = 1
			words[1], words[2] = text(given)
		}
	}
	answer = wireDisposition{}
	words := answer.words[:]
	switch d.kind {
	case isDelivered:
		some(words, d.text)
	case isRetry:
		answer.kind = 1
		words[0], words[1] = text(d.text)
		if d.hasAfter {
			words[2], words[3] = 1, d.after
		}
		some(words[4:], d.progress)
	case isReject:
		answer.kind = 2
		words[0], words[1] = text(d.text)
	default:
		panic("an output returns output.Delivered, Retry, Reject or Answer, and not an empty Disposition")
	}
}

// Requests go through the host.
type overHost struct{}

func (overHost) Send(request *Request) (*Response, error) {
	answer, failure := host.Send(request.Method, request.URL, request.Headers, request.Body)
	if failure != nil {
		return nil, &Failure{Kind(failure.Kind), failure.Message, failure.Sent}
	}
	return &Response{answer.Status, answer.Headers, answer.Body, answer.Truncated}, nil
}
