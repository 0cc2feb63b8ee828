package helpers

import (
	"os"
	"strings"
	"testing"

	"streamalert/sdk"
)

// Where we answer otherwise than StreamAlert's own helpers on purpose.
var differences = map[string]string{
	"in_network/2":                         "::1 is an address like any other",
	"in_network/9":                         "`10.1` is short for different things in different places",
	"in_network/10":                        "a decimal number is no address; that is \"no\", not an error",
	"valid_ip/10":                          "leading zeros are octal to some readers",
	"data_has_value/4":                     "true is not 1",
	"data_has_value_from_substring_list/1": "a number is passed over, not an error",
	"data_has_value_from_substring_list/4": "a boolean is passed over, not an error",
	"safe_json_loads/5":                    "nothing to read is an empty object, not an error",
	"last_hour/4":                          "a text that is no time is \"no\", not an error",
}

// What StreamAlert's own helpers answered, against ours. The answers are kept outside this repository; where they are not at hand
// there is nothing to compare.
func TestHelpersAnswerAsStreamAlertDid(t *testing.T) {
	const path = "../../../../shared/data/streamalert/vectors/helpers.jsonl"
	vectors, err := os.ReadFile(path)
	if err != nil {
		t.Skip("there is no " + path)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(vectors)), "\n") {
		vector := sdk.FromJSON(line)
		id, function := vector.TextOr("id", ""), vector.TextOr("fn", "")
		// A text is no list, and a rule answers the same each time it is asked.
		if second, ok := vector.Field("args.1"); function == "random_bool" || ok && isText(second) && strings.HasSuffix(function, "s_any") {
			continue
		}
		expected, _ := vector.Field("result")
		found := answer(t, function, vector)
		differs := found != expected.JSON()
		if _, meant := differences[id]; differs != meant {
			t.Errorf("%s: %s gives %s, was %s", id, function, found, expected.JSON())
		}
	}
}

func isText(field sdk.Field) bool {
	_, ok := field.Text()
	return ok
}

func answer(t *testing.T, function string, vector *sdk.Record) string {
	data, _ := vector.Field("args.0")
	text, isText := data.Text()
	var list []string
	for text := range vector.Texts("args.1") {
		list = append(list, text)
	}
	value, _ := vector.Value("args.1")
	yes := func(yes bool) string {
		if yes {
			return "true"
		}
		return "false"
	}
	switch function {
	case "in_network":
		return yes(InNetwork(text, list...))
	case "valid_ip":
		return yes(ValidIP(text))
	case "path_matches_any":
		return yes(PathMatchesAny(text, list...))
	case "starts_with_any":
		return yes(isText && StartsWithAny(text, list...))
	case "ends_with_any":
		return yes(isText && EndsWithAny(text, list...))
	case "contains_any":
		return yes(isText && ContainsAny(text, list...))
	case "matches_any":
		return yes(isText && MatchesAny(text, list...))
	case "data_has_value":
		return yes(HasValue(data, value))
	case "data_has_value_with_substring":
		return yes(HasValueWithSubstring(data, list[0]))
	case "data_has_value_from_list":
		return yes(HasValueFromList(data, list...))
	case "data_has_value_from_substring_list":
		return yes(HasValueFromSubstringList(data, list...))
	case "safe_json_loads":
		return SafeJSON(text).JSON()
	case "last_hour":
		time, ok := data.Int()
		if !ok {
			time, ok = ParseTime(text)
		}
		// The old helper asked a clock; none of the kept answers depends on what it said.
		return yes(ok && LastHour(time, 1_700_000_000, 1))
	case "get_keys":
		most := All
		if given, ok := vector.Int("args.2"); ok {
			most = int(given)
		}
		var found []string
		for _, field := range GetKeys(data, list[0], most) {
			found = append(found, field.JSON())
		}
		return "[" + strings.Join(found, ",") + "]"
	case "get_first_key":
		field, ok := GetFirstKey(data, list[0])
		if !ok {
			field, _ = vector.Field("args.2")
		}
		return field.JSON()
	}
	t.Fatal("a helper we do not know: " + function)
	return ""
}
