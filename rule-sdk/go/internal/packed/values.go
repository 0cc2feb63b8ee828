package packed

import (
	"maps"
	"slices"
	"strconv"
)

// Appender writes itself as JSON.
type Appender interface{ AppendJSON(out []byte) []byte }

// Others writes values of types that this package does not know.
var Others func(out []byte, value any) ([]byte, bool)

// AppendValue writes a value of the author's.
func AppendValue(out []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(out, "null"...)
	case bool:
		return strconv.AppendBool(out, value)
	case string:
		return AppendText(out, value)
	case int:
		return strconv.AppendInt(out, int64(value), 10)
	case int8:
		return strconv.AppendInt(out, int64(value), 10)
	case int16:
		return strconv.AppendInt(out, int64(value), 10)
	case int32:
		return strconv.AppendInt(out, int64(value), 10)
	case int64:
		return strconv.AppendInt(out, value, 10)
	case uint:
		return strconv.AppendUint(out, uint64(value), 10)
	case uint8:
		return strconv.AppendUint(out, uint64(value), 10)
	case uint16:
		return strconv.AppendUint(out, uint64(value), 10)
	case uint32:
		return strconv.AppendUint(out, uint64(value), 10)
	case uint64:
		return strconv.AppendUint(out, value, 10)
	case float32:
		return AppendFloat(out, float64(value))
	case float64:
		return AppendFloat(out, value)
	case Appender:
		return value.AppendJSON(out)
	case []string:
		return appendList(out, value)
	case []any:
		return appendList(out, value)
	case map[string]any:
		return AppendObject(out, value)
	case map[string]string:
		return AppendObject(out, value)
	case map[string][]string:
		return AppendObject(out, value)
	}
	if Others != nil {
		if out, ok := Others(out, value); ok {
			return out
		}
	}
	panic("JSON cannot hold this type of value; it holds nil, bool, string, numbers, fields of records, and []any, []string and " +
		"map[string]any of them")
}

func appendList[T any](out []byte, items []T) []byte {
	out = append(out, '[')
	for index, item := range items {
		if index > 0 {
			out = append(out, ',')
		}
		out = AppendValue(out, item)
	}
	return append(out, ']')
}

// AppendObject writes its keys in order, so that the same is always written the same.
func AppendObject[T any](out []byte, entries map[string]T) []byte {
	out = append(out, '{')
	for index, key := range slices.Sorted(maps.Keys(entries)) {
		if index > 0 {
			out = append(out, ',')
		}
		out = append(AppendText(out, key), ':')
		out = AppendValue(out, entries[key])
	}
	return append(out, '}')
}
