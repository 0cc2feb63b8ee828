package helpers

import (
	"math"
	"strings"
	"testing"

	"streamalert/sdk"
)

func check(t *testing.T, what string, found, expected bool) {
	t.Helper()
	if found != expected {
		t.Errorf("%s: %v, should be %v", what, found, expected)
	}
}

func TestWildcards(t *testing.T) {
	for _, pair := range [][2]string{
		{"", ""}, {"", "*"}, {"abc", "a*"}, {"abc", "*c"}, {"abc", "a?c"}, {"a/b", "a*b"}, {"abcabd", "*ab?"}, {"b", "[a-c]"},
		{"z", "[!a-c]"}, {"]", "[]]"}, {"a", "[!]]"}, {"-", "[a-]"}, {"[x", "[x"}, {"*", "[*]"}, {"ü", "?"}, {"^", "[^a]"},
		{"aXbXc", "a*X*c"},
	} {
		check(t, pair[0]+" and "+pair[1], MatchesAny(pair[0], "no", pair[1]), true)
	}
	for _, pair := range [][2]string{
		{"a", ""}, {"", "?"}, {"abc", "ab"}, {"ABC", "abc"}, {"d", "[a-c]"}, {"a", "[!a]"}, {"b", "[c-a]"}, {"x", "[x"},
		// The work of many stars is bounded.
		{strings.Repeat("a", 5_000), strings.Repeat("*a", 50) + "b"},
	} {
		check(t, pair[0]+" and "+pair[1], MatchesAny(pair[0], pair[1]), false)
	}
}

func TestPathsMatchPartByPart(t *testing.T) {
	for _, pair := range [][2]string{{"/a/b/c", "b/*"}, {"/a//b/./c/", "/a/b/c"}, {"a/b", "a/b"}, {"/", "/"}} {
		check(t, pair[0]+" and "+pair[1], PathMatchesAny(pair[0], pair[1]), true)
	}
	for _, pair := range [][2]string{{"/a/b/c", "/a/*"}, {"a/b", "/a/b"}, {"b", "a/b"}, {"/a", ""}} {
		check(t, pair[0]+" and "+pair[1], PathMatchesAny(pair[0], pair[1]), false)
	}
}

func TestMappedAddressesAreIPv4(t *testing.T) {
	check(t, "mapped address", InNetwork("::ffff:10.0.0.1", "10.0.0.0/8"), true)
	check(t, "mapped network", InNetwork("10.0.0.1", "::ffff:10.0.0.0/104"), true)
	check(t, "outside of a mapped network", InNetwork("11.0.0.1", "::ffff:10.0.0.0/104"), false)
	check(t, "all of IPv6", InNetwork("10.0.0.1", "::/0"), false)
	check(t, "private", IsPrivateIP("::ffff:192.168.1.1") && !IsPublicIP("::ffff:192.168.1.1"), true)
}

func TestWhatIsAnAddress(t *testing.T) {
	for _, ip := range []string{"1.2.3.4", "::1", "::", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4",
		"1::8", "ABCD::", "::2:3:4:5:6:7:8"} {
		check(t, ip, ValidIP(ip), true)
	}
	for _, ip := range []string{"", "fe80::1%eth0", "1.2.3.4:80", "10.1", "167772161", "01.2.3.4", "1.2.3.256", "1.2.3.4.", "1.2.3", "1.2.3.4/8",
		":", ":::", "1:::2", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1:", ":1",
		"1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "[::1]", " ::1", "1::-1"} {
		check(t, ip, ValidIP(ip), false)
	}
}

func TestNetworksAreReadOnce(t *testing.T) {
	networks := NewNetworks("10.0.0.5/24", "not a network", "192.0.2.1", "1.2.3.4/33", "1.2.3.4/x", "/8")
	check(t, "three of them", len(networks) == 2 && networks.Contain("10.0.0.200") && networks.Contain("192.0.2.1"), true)
	check(t, "outside", networks.Contain("10.0.1.1") || networks.Contain(""), false)
	check(t, "bits", InNetwork("10.127.0.1", "10.0.0.0/9") && !InNetwork("10.128.0.1", "10.0.0.0/9"), true)
}

func TestPublicPrivateAndNeither(t *testing.T) {
	for kind, ips := range map[[2]bool][]string{
		{true, false}: {"8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "198.20.0.1"},
		{false, true}: {"10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1"},
		{false, false}: {"127.0.0.1", "::1", "169.254.169.254", "fe80::1", "100.64.0.1", "192.0.2.1", "2001:db8::1", "x", "0.0.0.0", "255.255.255.255",
			"224.0.0.1", "ff02::1"},
	} {
		for _, ip := range ips {
			check(t, ip, [2]bool{IsPublicIP(ip), IsPrivateIP(ip)} == kind, true)
		}
	}
}

func TestValuesAreFoundByKindAndSize(t *testing.T) {
	data := sdk.FromJSON(`{"a": [{"b": 1.0}, true, 18446744073709551615, null], "c": {"d": ["x"]}}`).Root()
	for _, value := range []interface{}{1, true, uint64(math.MaxUint64), nil, []interface{}{"x"}, map[string]interface{}{"d": []interface{}{"x"}}} {
		check(t, "there", HasValue(data, value), true)
	}
	for _, value := range []interface{}{"a", 2, false, []interface{}{}} {
		check(t, "not there", HasValue(data, value), false)
	}
	check(t, "true is not 1", HasValue(sdk.FromJSON(`{"a": true}`).Root(), 1), false)
	texts := sdk.FromJSON(`{"a": ["", "mimikatz.exe"], "katz": 1}`).Root()
	check(t, "wildcards", HasValueFromList(texts, "mimi*") && !HasValueFromList(sdk.FromJSON(`[""]`).Root(), "*"), true)
	check(t, "substrings", HasValueWithSubstring(texts, "katz.") && HasValueFromSubstringList(texts, "x", ".exe"), true)
}

func TestKeysAreFoundOutermostFirst(t *testing.T) {
	data := sdk.FromJSON(`{"l": [{"k": 2}, {"k": {"k": 3}}], "k": 1, "streamalert_normalization": {"k": 4}}`).Root()
	found := ""
	for _, field := range GetKeys(data, "k", All) {
		found += field.JSON()
	}
	check(t, found, found == `12{"k":3}3`, true)
	check(t, "none of none", len(GetKeys(data, "k", 0)) == 0 && len(GetKeys(data, "k", 2)) == 2, true)
	_, ok := GetFirstKey(data, "x")
	check(t, "no such key", ok, false)
}

func TestTimesAreRead(t *testing.T) {
	for text, expected := range map[string]int64{
		"1970-01-01T00:00:00Z": 0, "2024-05-01T12:00:00Z": 1_714_564_800, "2024-02-29T23:59:60Z": 1_709_251_200,
		"2000-03-01 00:00:00.123456+01:00": 951_865_200, "1969-12-31t23:59:59.9z": -1, "0000-01-01T00:00:00Z": -62_167_219_200,
		"9999-12-31T23:59:59-00:30": 253_402_302_599,
	} {
		seconds, ok := ParseTime(text)
		check(t, text, ok && seconds == expected, true)
	}
	for _, text := range []string{
		"", "2024-05-01", "2024-05-01T12:00:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-01T24:00:00Z",
		"2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Zx", "2024-05-01T12:00:00+0200", "2024-05-01T12:00:00+02", "２024-05-01T12:00:00Z",
	} {
		_, ok := ParseTime(text)
		check(t, text, ok, false)
	}
}

func TestTheLastHourEndsNow(t *testing.T) {
	check(t, "within", LastHour(6_400, 10_000, 1) && LastHour(10_000, 10_000, 1), true)
	check(t, "outside", LastHour(6_399, 10_000, 1) || LastHour(10_001, 10_000, 1) || LastHour(math.MinInt64, math.MaxInt64, math.MaxUint32), false)
}

func TestTimesOfARecord(t *testing.T) {
	record := sdk.FromJSON(`{"a": "2024-05-01T12:00:00Z", "b": 1714564860.9, "c": true, "min": -9223372036854775808, "max": 1e300}`)
	seconds, ok := SecondsBetween(record, "a", "b")
	check(t, "after", ok && seconds == 60, true)
	seconds, ok = SecondsBetween(record, "b", "a")
	check(t, "before", ok && seconds == -60, true)
	_, ok = SecondsBetween(record, "a", "c")
	check(t, "no time", ok, false)
	_, ok = SecondsBetween(record, "min", "max")
	check(t, "too far apart", ok, false)
}
