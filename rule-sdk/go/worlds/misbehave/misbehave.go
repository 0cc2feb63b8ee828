// Package misbehave is what a component must be contained at; the same words in every language.
package misbehave

// As does it, if this is one of the words.
func As(word string) {
	switch word {
	case "loop":
		for count := 0; ; count++ {
			sink = count
		}
	case "deep":
		sink = deeper(0)
	case "grow":
		for {
			grown = append(grown, make([]byte, 1<<20))
		}
	case "fail":
		var nothing []int
		sink = nothing[sink&0]
	}
}

var (
	sink  int
	grown [][]byte
)

func deeper(depth int) int {
	if depth < 0 {
		return depth
	}
	return deeper(depth+1) + 1
}
