//go:build wasm || tinygo.wasm

package host

import (
	"strings"
	"unsafe"
)

// Words of the largest answer that does not lie elsewhere: that of http.send.
const answerWords = 4

// Wasm says whether this is a component, asked by one thread.
const Wasm = true

//go:wasmimport streamalert:plugin/records@0.1.0 get
func recordsGet(row uint32, path unsafe.Pointer, pathBytes uint32, answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/records@0.1.0 json
func recordsJSON(row uint32, answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/records@0.1.0 packed
func recordsPacked(answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/lookup@0.1.0 get
func lookupGet(table unsafe.Pointer, tableBytes uint32, key unsafe.Pointer, keyBytes uint32, answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/secrets@0.1.0 get
func secretsGet(name unsafe.Pointer, nameBytes uint32, answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/http@0.1.0 send
func httpSend(method unsafe.Pointer, methodBytes uint32, url unsafe.Pointer, urlBytes uint32, headers unsafe.Pointer,
	headerCount uint32, body unsafe.Pointer, bodyBytes uint32, answer unsafe.Pointer)

//go:wasmimport streamalert:plugin/log@0.1.0 write
func logWrite(level uint32, message unsafe.Pointer, messageBytes uint32)

//go:wasmimport wasi_snapshot_preview1 streamalert_lines
func stdoutLines(room unsafe.Pointer, bytes uint32)

//go:wasmimport wasi_snapshot_preview1 streamalert_trap
func trap()

// Bytes of a line on standard output that reach the log; the host cuts at the same place.
const lineBytes = 1024

var (
	// Where the host writes an answer that is more than one number. No call is made while another is under way.
	answer [answerWords]uint64
	// Whether a call of ours is under way, so that what is allocated is its answer's text or bytes; else it is an argument.
	asking bool
	// The bytes of the last answer; one that is of several pieces has the others in answeredBefore.
	answered       []byte
	answeredBefore [][]byte
	// The bytes of the arguments of the call that the host makes; they are read at once and their place is used again.
	arguments []uint64
	// Of worlds whose calls have several, each has a place of its own, kept until the next call.
	several      bool
	allArguments [][]uint64

	line [lineBytes]byte
)

func init() { stdoutLines(unsafe.Pointer(&line), lineBytes) }

// The host asks for room. Nothing it asks for grows, and nothing is given back: what nobody holds is collected.
//
//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldBytes, align, bytes uint32) unsafe.Pointer {
	if asking {
		if answered != nil {
			answeredBefore = append(answeredBefore, answered)
		}
		// Of a size that suits lists of records as well.
		answered = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]uint64, (bytes+7)/8)))), bytes)
		return unsafe.Pointer(unsafe.SliceData(answered))
	}
	if several {
		one := make([]uint64, (bytes+7)/8)
		allArguments = append(allArguments, one)
		return unsafe.Pointer(unsafe.SliceData(one))
	}
	if words := int(bytes+7) / 8; words > len(arguments) {
		arguments = make([]uint64, words)
	}
	return unsafe.Pointer(unsafe.SliceData(arguments))
}

// Several says that calls of this world have several arguments with bytes.
func Several() { several = true }

// Arguments lets go of what the host asked room for when it made the call before: what an export is given is held from there on
// by what the export makes of it.
func Arguments() (held [][]uint64) {
	held = allArguments
	allArguments = nil
	return held
}

func ask() unsafe.Pointer {
	answered, answeredBefore = nil, nil
	asking = true
	return unsafe.Pointer(&answer)
}

func bytes() []byte {
	asking = false
	found := answered
	answered, answeredBefore = nil, nil
	return found
}

// The host takes no text that is no UTF-8.
func text(text string) (unsafe.Pointer, uint32) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return unsafe.Pointer(unsafe.StringData(text)), uint32(len(text))
}

// Get shows the host that a path is read.
func Get(row uint32, path string) {
	at, length := text(path)
	recordsGet(row, at, length, ask())
	bytes()
}

// JSON shows the host that a whole record is read.
func JSON(row uint32) {
	recordsJSON(row, ask())
	bytes()
}

// Packed is the frame of the batch.
func Packed() []byte {
	recordsPacked(ask())
	return bytes()
}

// Lookup is the JSON text under a key of a table, and whether there is one.
func Lookup(table, key string) (string, bool) {
	tableAt, tableBytes := text(table)
	keyAt, keyBytes := text(key)
	lookupGet(tableAt, tableBytes, keyAt, keyBytes, ask())
	found := bytes()
	return unsafe.String(unsafe.SliceData(found), len(found)), uint8(answer[0]) == 1
}

// Secret is a secret setting of the descriptor that the current call is for, and whether it is given.
func Secret(name string) (string, bool) {
	at, length := text(name)
	secretsGet(at, length, ask())
	found := bytes()
	return unsafe.String(unsafe.SliceData(found), len(found)), uint8(answer[0]) == 1
}

type wireText struct{ at, bytes uint32 }

type wireHeader struct{ name, value wireText }

func (t wireText) copied() string {
	address := uintptr(t.at)
	return strings.Clone(unsafe.String(*(**byte)(unsafe.Pointer(&address)), int(t.bytes)))
}

// What http.send answers, as the canonical ABI has it.
type wireAnswer struct {
	failed uint32
	// Of an answer: its status. Of a failure: its kind.
	first uint32
	// Of an answer: its headers. Of a failure: its message.
	second wireText
	// Of an answer: its body. Of a failure: whether the request was sent.
	third     uint32
	bodyBytes uint32
	truncated uint32
}

var sent []string

// Send makes a request.
func Send(method, url string, headers []Header, body []byte) (Answer, *Failure) {
	// On the heap, where nothing moves: their places are handed over as numbers.
	sent = sent[:0]
	lowered := func(given string) wireText {
		given = strings.ToValidUTF8(given, "\uFFFD")
		sent = append(sent, given)
		return wireText{uint32(uintptr(unsafe.Pointer(unsafe.StringData(given)))), uint32(len(given))}
	}
	list := make([]wireHeader, len(headers))
	for index, header := range headers {
		list[index] = wireHeader{lowered(header.Name), lowered(header.Value)}
	}
	methodAt, methodBytes := text(method)
	urlAt, urlBytes := text(url)
	httpSend(methodAt, methodBytes, urlAt, urlBytes, unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list)),
		unsafe.Pointer(unsafe.SliceData(body)), uint32(len(body)), ask())
	wire := (*wireAnswer)(unsafe.Pointer(&answer))
	if uint8(wire.failed) == 1 {
		failure := &Failure{Kind: uint8(wire.first), Message: wire.second.copied(), Sent: uint8(wire.third) == 1}
		bytes()
		return Answer{}, failure
	}
	found := Answer{Status: uint16(wire.first), Truncated: uint8(wire.truncated) == 1}
	address := uintptr(wire.second.at)
	for _, header := range unsafe.Slice(*(**wireHeader)(unsafe.Pointer(&address)), int(wire.second.bytes)) {
		found.Headers = append(found.Headers, Header{header.name.copied(), header.value.copied()})
	}
	address = uintptr(wire.third)
	found.Body = append([]byte(nil), unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), int(wire.bodyBytes))...)
	bytes()
	return found, nil
}

// Log writes a line for whoever runs the pipeline.
func Log(level uint32, message string) {
	at, length := text(message)
	logWrite(level, at, length)
}

// Trap ends the call.
func Trap() { trap() }
