//go:build wasm && !tinygo

package host

import _ "unsafe"

// Bytes of the call stack: recursion of some thousand frames, as much as the host allows other languages.
//
// Go begins with a small stack and moves it to a larger one again and again, which takes so much work that a recursion without
// end would be ended for it and nothing would say what it was. So the stack has its size from the start; what goes beyond is
// Go's stack overflow or the host's.
const stackBytes = 256 << 10

//go:linkname setMaxStack runtime/debug.setMaxStack
func setMaxStack(bytes int) int

func init() {
	grow(false)
	setMaxStack(stackBytes)
}

// The stack has to have room for what a function may use, whether it does or not.
//
//go:noinline
func grow(really bool) {
	if really {
		// Larger ones lie on the heap.
		var first, second [stackBytes / 3]byte
		fill(first[:], second[:])
	}
}

//go:noinline
func fill(first, second []byte) {
	for index := range first {
		first[index] = second[index] + 1
	}
}
