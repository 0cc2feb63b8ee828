package sdk

import (
	"maps"
	"slices"
	"strconv"

	"streamalert/sdk/internal/packed"
)

// A value of the author's as JSON.
func appendJSON(out []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(out, "null"...)
	case bool:
		return strconv.AppendBool(out, value)
	case string:
		return packed.AppendText(out, value)
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
		return packed.AppendFloat(out, float64(value))
	case float64:
		return packed.AppendFloat(out, value)
	case Field:
		return value.node.AppendJSON(out)
	case []string:
		return appendList(out, value)
	case []any:
		return appendList(out, value)
	case []Field:
		return appendList(out, value)
	case map[string]any:
		return appendObject(out, value)
	case map[string]string:
		return appendObject(out, value)
	case map[string][]string:
		return appendObject(out, value)
	}
	panic("a context cannot hold this type of value; it holds nil, bool, string, numbers, sdk.Field, and []any, []string and " +
		"map[string]any of them")
}

func appendList[T any](out []byte, items []T) []byte {
	out = append(out, '[')
	for index, item := range items {
		if index > 0 {
			out = append(out, ',')
		}
		out = appendJSON(out, item)
	}
	return append(out, ']')
}

// Keys in order, so that the same is always written the same.
func appendObject[T any](out []byte, entries map[string]T) []byte {
	out = append(out, '{')
	for index, key := range slices.Sorted(maps.Keys(entries)) {
		if index > 0 {
			out = append(out, ',')
		}
		out = append(packed.AppendText(out, key), ':')
		out = appendJSON(out, entries[key])
	}
	return append(out, '}')
}

// The options of a rule, as wit/detection.wit has them.
func (r *Rule) options() string {
	options := map[string]any{}
	texts := func(name string, texts []string) {
		if len(texts) > 0 {
			options[name] = texts
		}
	}
	texts("datatypes", r.Datatypes)
	texts("outputs", r.Outputs)
	texts("tags", r.Tags)
	texts("references", r.References)
	texts("tests", r.Tests)
	switch {
	case len(r.PublishersOf) > 0:
		options["publishers"] = r.PublishersOf
	case len(r.Publishers) == 1:
		options["publishers"] = r.Publishers[0]
	default:
		texts("publishers", r.Publishers)
	}
	if len(r.Context) > 0 {
		options["context"] = r.Context
	}
	if r.Severity != 0 {
		options["severity"] = r.Severity.String()
	}
	if r.Merge != nil {
		merge := map[string]any{"minutes": r.Merge.Minutes}
		if len(r.Merge.By) > 0 {
			merge["by"] = r.Merge.By
		}
		if r.Merge.On != "" {
			merge["on"] = r.Merge.On
		}
		if r.Merge.First != "" {
			merge["first"] = r.Merge.First
		}
		if r.Merge.Max != 0 {
			merge["max"] = r.Merge.Max
		}
		if r.Merge.Threshold != 0 {
			merge["threshold"] = r.Merge.Threshold
		}
		options["merge"] = merge
	}
	return string(appendObject(nil, options))
}
