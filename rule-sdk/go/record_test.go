package sdk_test

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"

	"streamalert/sdk"
	"streamalert/sdk/lookup"
)

// Reading records: what is there, what is not, and what is something else.
var record = sdk.FromJSON(`{
	"who": {"type": "Root", "a.b": "dotted", "groups": ["a", 1, "b"]},
	"n": -7, "one": 1.0, "big": 18446744073709551615, "exact": 9007199254740993, "f": 0.5,
	"yes": true, "no": false, "null": null, "empty": "", "list": [], "object": {},
	"items": [{"port": 22}, {"port": 80}]
}`)

func check[T comparable](t *testing.T, what string, found, expected T) {
	t.Helper()
	if found != expected {
		t.Errorf("%s: %v, should be %v", what, found, expected)
	}
}

func TestTexts(t *testing.T) {
	for path, expected := range map[string]string{"who.type": "Root", `who.a\.b`: "dotted", "empty": "", "who.groups.2": "b"} {
		found, ok := record.Text(path)
		check(t, path, found, expected)
		check(t, path, ok, true)
	}
	for _, path := range []string{"nope", "who", "n", "null", "yes", "who.type.x", "", "who.groups.1", "who.groups.-1"} {
		if found, ok := record.Text(path); ok {
			t.Errorf("%s: %q", path, found)
		}
	}
	check(t, "TextOr", record.TextOr("nope", "-")+record.TextOr("who.type", "-"), "-Root")
	check(t, "Is", record.Is("who.type", "Root"), true)
	check(t, "Is in other case", record.Is("who.type", "root"), false)
	check(t, "Is of nothing", record.Is("nope", ""), false)
	check(t, "IsAny", record.IsAny("who.type", "x", "Root"), true)
	check(t, "IsAny of a number", record.IsAny("n", "-7"), false)
}

func TestNumbersAndBooleans(t *testing.T) {
	type read struct {
		int     int64
		isInt   bool
		uint    uint64
		isUint  bool
		float   float64
		isFloat bool
		bool    bool
		isBool  bool
	}
	for path, expected := range map[string]read{
		"n":     {int: -7, isInt: true, float: -7, isFloat: true},
		"one":   {float: 1, isFloat: true},
		"big":   {uint: math.MaxUint64, isUint: true, float: math.MaxUint64, isFloat: true},
		"exact": {int: 9007199254740993, isInt: true, uint: 9007199254740993, isUint: true, float: 9007199254740992, isFloat: true},
		"f":     {float: 0.5, isFloat: true},
		"yes":   {bool: true, isBool: true},
		"no":    {isBool: true},
		"empty": {},
		"null":  {},
		"nope":  {},
	} {
		var found read
		found.int, found.isInt = record.Int(path)
		found.uint, found.isUint = record.Uint(path)
		found.float, found.isFloat = record.Float(path)
		found.bool, found.isBool = record.Bool(path)
		check(t, path, found, expected)
	}
}

func TestPresence(t *testing.T) {
	check(t, "a null", record.Exists("null") && record.IsNull("null"), true)
	check(t, "nothing", record.Exists("nope") || record.IsNull("nope") || record.IsNull("empty"), false)
	for path, expected := range map[string]int{"who.groups": 3, "who": 3, "list": 0, "object": 0, "empty": -1, "nope": -1} {
		length, ok := record.Len(path)
		if !ok {
			length = -1
		}
		check(t, path, length, expected)
	}
}

func TestLists(t *testing.T) {
	texts := func(path string) []string { return slices.Collect(record.Texts(path)) }
	check(t, "texts", reflect.DeepEqual(texts("who.groups"), []string{"a", "b"}), true)
	check(t, "a text is a list of one", reflect.DeepEqual(texts("who.type"), []string{"Root"}), true)
	check(t, "no texts", len(texts("nope"))+len(texts("who")), 0)
	var ports []int64
	for item := range record.Items("items") {
		port, _ := item.Get("port")
		number, _ := port.Int()
		ports = append(ports, number)
	}
	check(t, "items", reflect.DeepEqual(ports, []int64{22, 80}), true)
	check(t, "no items", len(slices.Collect(record.Items("who")))+len(slices.Collect(record.Items("nope"))), 0)
}

func TestWalking(t *testing.T) {
	who, _ := record.Field("who")
	keys := slices.Sorted(maps.Keys(maps.Collect(who.Entries())))
	check(t, "keys", reflect.DeepEqual(keys, []string{"a.b", "groups", "type"}), true)
	dotted, _ := who.Get("a.b")
	last, _ := who.At("groups.2")
	port, _ := record.Root().At("items.1.port")
	check(t, "steps", dotted.JSON()+last.JSON()+port.JSON(), `"dotted""b"80`)
	_, item := who.Item(0)
	_, beyond := who.At("groups.3")
	check(t, "nothing", item || beyond, false)
}

func TestValuesComeOutAsTheyWentIn(t *testing.T) {
	groups, _ := record.Value("who.groups")
	check(t, "a value", reflect.DeepEqual(groups, []any{"a", int64(1), "b"}), true)
	null, ok := record.Value("null")
	check(t, "a null", null == nil && ok, true)
	_, ok = record.Value("nope")
	check(t, "nothing", ok, false)
	again := sdk.FromJSON(record.JSON())
	check(t, "the whole", reflect.DeepEqual(again.Root().Value(), record.Root().Value()), true)
	odd := sdk.FromJSON(`{"t": "q\"uote\\ \n \u00fc \ud83d\ude00 \u0001", "f": 1e300, "z": -0.0, "e": {"": [[]]}}`)
	check(t, "odd texts", odd.JSON(), `{"t":"q\"uote\\ \n ü 😀 \u0001","f":1e+300,"z":-0.0,"e":{"":[[]]}}`)
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, text := range []string{"", "{", `{"a"}`, `{"a":1,}`, "[1 2]", "01", "1.", "nul", `"\x"`, `"\ud800"`, "\"\xff\"", "1 1", "1e999"} {
		if _, err := sdk.Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestLookupTablesAreFakesHere(t *testing.T) {
	defer lookup.ForgetFakes()
	lookup.Fake("owners", `{"i-1": {"team": "cloud"}, "i-2": null}`)
	owner, ok := lookup.Get("owners", "i-1")
	check(t, "what is stored", owner.JSON(), `{"team":"cloud"}`)
	check(t, "it is there", ok, true)
	null, ok := lookup.Get("owners", "i-2")
	check(t, "a null", null.IsNull() && ok && lookup.Contains("owners", "i-2"), true)
	_, ok = lookup.Get("owners", "i-3")
	check(t, "nothing", ok || lookup.Contains("owners", "i-3") || lookup.Contains("x", "i-1"), false)
}
