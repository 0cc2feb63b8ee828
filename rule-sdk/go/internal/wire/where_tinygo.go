//go:build tinygo

package wire

func where() string { return "" }
