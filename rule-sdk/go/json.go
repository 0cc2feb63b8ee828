package sdk

import "streamalert/sdk/internal/packed"

func init() {
	packed.Others = func(out []byte, value any) ([]byte, bool) {
		fields, ok := value.([]Field)
		if !ok {
			return out, false
		}
		out = append(out, '[')
		for index, field := range fields {
			if index > 0 {
				out = append(out, ',')
			}
			out = field.AppendJSON(out)
		}
		return append(out, ']'), true
	}
}

// Objects of the author's as JSON.
func appendObject(out []byte, entries map[string]any) []byte {
	return packed.AppendObject(out, entries)
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
