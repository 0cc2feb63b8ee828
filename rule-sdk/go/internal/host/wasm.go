//go:build wasm || tinygo.wasm

package host

import (
	"strings"
	"unsafe"
)

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
	answer [2]uint64
	// Whether a call of ours is under way, so that what is allocated is its answer's text or bytes; else it is an argument.
	asking bool
	// The bytes of the last answer.
	answered []byte
	// The bytes of the arguments of the call that the host makes; they are read at once and their place is used again.
	arguments []uint64

	line [lineBytes]byte
)

func init() { stdoutLines(unsafe.Pointer(&line), lineBytes) }

// The host asks for room. Nothing it asks for grows, and nothing is given back: what nobody holds is collected.
//
//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldBytes, align, bytes uint32) unsafe.Pointer {
	if asking {
		answered = make([]byte, bytes)
		return unsafe.Pointer(unsafe.SliceData(answered))
	}
	if words := int(bytes+7) / 8; words > len(arguments) {
		arguments = make([]uint64, words)
	}
	return unsafe.Pointer(unsafe.SliceData(arguments))
}

func ask() unsafe.Pointer {
	answered = nil
	asking = true
	return unsafe.Pointer(&answer)
}

func bytes() []byte {
	asking = false
	found := answered
	answered = nil
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

// Log writes a line for whoever runs the pipeline.
func Log(level uint32, message string) {
	at, length := text(message)
	logWrite(level, at, length)
}

// Trap ends the call.
func Trap() { trap() }
