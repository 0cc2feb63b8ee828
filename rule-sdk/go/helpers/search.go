package helpers

import (
	"math"
	"strings"

	"streamalert/sdk"
)

// What the pipeline adds to a record about its values; they would be found twice.
const normalization = "streamalert_normalization"

// All is no limit, for GetKeys.
const All = math.MaxInt32

// GetKeys are all values under key at any depth, the outermost first, most at most (All: all of them). It does not look inside
// streamalert_normalization, which repeats values of the record. No such key, or neither object nor list: none.
func GetKeys(data sdk.Field, key string, most int) []sdk.Field {
	var found []sdk.Field
	waiting := []sdk.Field{data}
	for len(waiting) > 0 && len(found) < most {
		field := waiting[0]
		waiting = waiting[1:]
		if value, ok := field.Get(key); ok {
			found = append(found, value)
		}
		for key, value := range field.Entries() {
			if length, _ := value.Len(); length > 0 && key != normalization {
				waiting = append(waiting, value)
			}
		}
		for value := range field.Items() {
			if length, _ := value.Len(); length > 0 {
				waiting = append(waiting, value)
			}
		}
	}
	return found
}

// GetFirstKey is the first of GetKeys. Not ok: there is no such key; a null that is there is a field.
func GetFirstKey(data sdk.Field, key string) (field sdk.Field, ok bool) {
	if found := GetKeys(data, key, 1); len(found) > 0 {
		return found[0], true
	}
	return sdk.Field{}, false
}

// HasValue says whether some value, at any depth, equals this one: same kind, and a number the same number. Keys do not count.
// Values are nil, bool, int, int64, uint64, float64, string, and []any and map[string]any of them.
func HasValue(data sdk.Field, value interface{}) bool {
	return anywhere(data, func(field sdk.Field) bool { return equals(field, value) })
}

// HasValueWithSubstring says whether this text occurs in some text, at any depth. Keys do not count, nor do numbers.
func HasValueWithSubstring(data sdk.Field, needle string) bool {
	return anywhere(data, func(field sdk.Field) bool {
		text, ok := field.Text()
		return ok && strings.Contains(text, needle)
	})
}

// HasValueFromList says whether some text, at any depth, matches one of the wildcard patterns (see MatchesAny). Keys do not
// count, nor do numbers. An empty text matches nothing, so that `*` means "has a text that says something".
func HasValueFromList(data sdk.Field, patterns ...string) bool {
	return anywhere(data, func(field sdk.Field) bool {
		text, _ := field.Text()
		return text != "" && MatchesAny(text, patterns...)
	})
}

// HasValueFromSubstringList says whether one of these occurs in some text, at any depth. Keys do not count, nor do numbers; in
// an empty text nothing occurs.
func HasValueFromSubstringList(data sdk.Field, needles ...string) bool {
	return anywhere(data, func(field sdk.Field) bool {
		text, _ := field.Text()
		return text != "" && ContainsAny(text, needles...)
	})
}

// The field itself or something in it.
func anywhere(field sdk.Field, test func(sdk.Field) bool) bool {
	if test(field) {
		return true
	}
	for item := range field.Items() {
		if anywhere(item, test) {
			return true
		}
	}
	for _, value := range field.Entries() {
		if anywhere(value, test) {
			return true
		}
	}
	return false
}

func equals(field sdk.Field, value interface{}) bool {
	switch value := value.(type) {
	case nil:
		return field.IsNull()
	case bool:
		found, ok := field.Bool()
		return ok && found == value
	case string:
		found, ok := field.Text()
		return ok && found == value
	case int:
		return equals(field, int64(value))
	case int64:
		if found, ok := field.Int(); ok {
			return found == value
		}
		return equals(field, float64(value))
	case uint64:
		if found, ok := field.Uint(); ok {
			return found == value
		}
		return equals(field, float64(value))
	case float64:
		found, ok := field.Float()
		_, text := field.Text()
		return ok && !text && found == value
	case []interface{}:
		length, ok := field.Len()
		if !ok || !field.IsList() || length != len(value) {
			return false
		}
		for index, value := range value {
			if item, _ := field.Item(index); !equals(item, value) {
				return false
			}
		}
		return true
	case map[string]interface{}:
		length, ok := field.Len()
		if !ok || !field.IsObject() || length != len(value) {
			return false
		}
		for key, value := range value {
			if found, ok := field.Get(key); !ok || !equals(found, value) {
				return false
			}
		}
		return true
	}
	return false
}
