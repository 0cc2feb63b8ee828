//go:build (wasm || tinygo.wasm) && !tinygo

package wire

import (
	"runtime"
	"strconv"
	"strings"
)

// Frames from the panic outwards that are looked through for the author's.
const framesMax = 16

// Where the panic that is being recovered from began, for the log.
func where() string {
	var counters [framesMax]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters[:])])
	for {
		frame, more := frames.Next()
		if name := frame.Function; !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "streamalert/sdk/internal/wire.Report") {
			return " at " + frame.File + ":" + strconv.Itoa(frame.Line)
		}
		if !more {
			return ""
		}
	}
}
