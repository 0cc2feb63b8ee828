//go:build tinygo

package sdk

func where() string { return "" }
