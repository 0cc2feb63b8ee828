// Package helpers holds StreamAlert's helpers for rules, under their old names, with their faults mended.
//
// They take texts as TextOr(path, "") gives them: an empty text is no address, and begins, ends and holds nothing but "".
package helpers

import (
	"strings"
	"unicode/utf8"

	"streamalert/sdk"
)

// StartsWithAny says whether the text begins with one of these; no wildcards. Case counts, as everywhere here. An empty needle
// begins every text.
func StartsWithAny(text string, needles ...string) bool {
	return any(needles, func(needle string) bool { return strings.HasPrefix(text, needle) })
}

// EndsWithAny says whether the text ends with one of these; no wildcards. An empty needle ends every text.
func EndsWithAny(text string, needles ...string) bool {
	return any(needles, func(needle string) bool { return strings.HasSuffix(text, needle) })
}

// ContainsAny says whether one of these occurs in the text; no wildcards. An empty needle occurs in every text.
func ContainsAny(text string, needles ...string) bool {
	return any(needles, func(needle string) bool { return strings.Contains(text, needle) })
}

// MatchesAny says whether the whole text matches one of the patterns: `*` any characters, `/` among them, `?` one character,
// `[a-z]` one of these, `[!a]` any but these. There is no escape: `[*]` is a star. A `[` that is never closed is just that.
func MatchesAny(text string, patterns ...string) bool {
	return any(patterns, func(pattern string) bool { return matches(text, pattern) })
}

// PathMatchesAny says whether the path matches one of the patterns part by part, so that `*` does not cross a `/`. A pattern
// that begins with `/` must match the whole path; any other matches from the right, as many parts as it has. Doubled slashes, a
// slash at the end and parts that are just `.` do not count. An empty pattern matches nothing.
func PathMatchesAny(path string, patterns ...string) bool {
	return any(patterns, func(pattern string) bool { return pathMatches(path, pattern) })
}

// SafeJSON is JSON text as a value, which may be a list or a number; an empty object for what is no JSON.
func SafeJSON(text string) sdk.Field {
	record, err := sdk.Parse(text)
	if err != nil {
		record = sdk.FromJSON("{}")
	}
	return record.Root()
}

func any(texts []string, test func(string) bool) bool {
	for _, text := range texts {
		if test(text) {
			return true
		}
	}
	return false
}

func parts(path string) []string {
	var found []string
	for _, part := range strings.Split(path, "/") {
		if part != "" && part != "." {
			found = append(found, part)
		}
	}
	return found
}

func pathMatches(path, pattern string) bool {
	have, want := parts(path), parts(pattern)
	whole := strings.HasPrefix(pattern, "/")
	if whole && (!strings.HasPrefix(path, "/") || len(have) != len(want)) || !whole && (len(want) == 0 || len(have) < len(want)) {
		return false
	}
	have = have[len(have)-len(want):]
	for index, pattern := range want {
		if !matches(have[index], pattern) {
			return false
		}
	}
	return true
}

// One step back at most for each star: the work is bounded by text times pattern.
func matches(text, pattern string) bool {
	// Where the last star left off: the pattern behind it, and the text it has not swallowed.
	star, behind, kept := false, "", ""
	for {
		if strings.HasPrefix(pattern, "*") {
			pattern = pattern[1:]
			if pattern == "" {
				return true
			}
			star, behind, kept = true, pattern, text
			continue
		}
		if text == "" {
			return pattern == ""
		}
		char, bytes := utf8.DecodeRuneInString(text)
		if rest, ok := one(char, pattern); ok {
			text, pattern = text[bytes:], rest
			continue
		}
		if !star || kept == "" {
			return false
		}
		_, bytes = utf8.DecodeRuneInString(kept)
		kept = kept[bytes:]
		text, pattern = kept, behind
	}
}

// What is left of the pattern when its first element stands for char.
func one(char rune, pattern string) (rest string, ok bool) {
	if pattern == "" {
		return "", false
	}
	first, bytes := utf8.DecodeRuneInString(pattern)
	rest = pattern[bytes:]
	switch first {
	case '?':
		return rest, true
	case '[':
		set, negated := strings.CutPrefix(rest, "!")
		// A bracket closed at once would be an empty set: there the `]` belongs to the set.
		skip := 0
		if strings.HasPrefix(set, "]") {
			skip = 1
		}
		end := strings.IndexByte(set[skip:], ']')
		if end < 0 {
			return rest, char == '['
		}
		return set[skip+end+1:], inSet(char, set[:skip+end]) != negated
	}
	return rest, char == first
}

func inSet(char rune, set string) bool {
	chars := []rune(set)
	for at := 0; at < len(chars); at++ {
		low := chars[at]
		if at+2 < len(chars) && chars[at+1] == '-' {
			if low <= char && char <= chars[at+2] {
				return true
			}
			at += 2
		} else if low == char {
			return true
		}
	}
	return false
}
