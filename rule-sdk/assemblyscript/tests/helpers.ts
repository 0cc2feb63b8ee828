import { Field, helpers, Networks, Record } from "streamalert-as";
import { assertEqual, test } from "streamalert-as/testing";

function matches(text: string, pattern: string): bool {
  return helpers.matchesAny(text, [pattern]);
}

test("wildcards", () => {
  const yes = [
    ["", ""], ["", "*"], ["abc", "a*"], ["abc", "*c"], ["abc", "a?c"], ["a/b", "a*b"], ["abcabd", "*ab?"], ["b", "[a-c]"],
    ["z", "[!a-c]"], ["]", "[]]"], ["a", "[!]]"], ["-", "[a-]"], ["[x", "[x"], ["*", "[*]"], ["ü", "?"], ["😀", "?"],
    ["a😀b", "a[😀]b"], ["^", "[^a]"], ["aXbXc", "a*X*c"],
  ];
  const no = [["a", ""], ["", "?"], ["abc", "ab"], ["ABC", "abc"], ["d", "[a-c]"], ["a", "[!a]"], ["b", "[c-a]"], ["x", "[x"]];
  for (let at = 0; at < yes.length; at++) assert(matches(yes[at][0], yes[at][1]), yes[at].join(" "));
  for (let at = 0; at < no.length; at++) assert(!matches(no[at][0], no[at][1]), no[at].join(" "));
  assert(!matches("a".repeat(5000), "*a".repeat(50) + "b"));
});

test("texts", () => {
  assert(helpers.startsWithAny("aws-cli", ["x", "aws"]) && !helpers.startsWithAny(null, [""]));
  assert(helpers.endsWithAny("a.exe", [".exe"]) && helpers.containsAny("abc", ["b"]) && !helpers.containsAny("abc", []));
  assert(helpers.pathMatchesAny("/Users/eve/Downloads/x.dmg", ["/Users/*/Downloads/*"]));
  assert(helpers.pathMatchesAny("/a//b/./c/", ["/a/b/c"]) && helpers.pathMatchesAny("/", ["/"]));
  assert(!helpers.pathMatchesAny("/a/b/c", ["/a/*"]) && !helpers.pathMatchesAny("a/b", ["/a/b"]) && !helpers.pathMatchesAny("/a", [""]));
  assertEqual(helpers.safeJson("[1]").toString() + helpers.safeJson("{").toString() + helpers.safeJson(null).toString(), "[1]{}{}");
});

test("addresses and networks", () => {
  assert(helpers.inNetwork("10.1.2.3", ["192.168.0.0/16", "10.0.0.0/8"]) && helpers.inNetwork("::ffff:10.0.0.1", ["10.0.0.0/8"]));
  assert(helpers.inNetwork("10.0.0.1", ["::ffff:10.0.0.0/104"]) && helpers.inNetwork("::1", ["::/0"]));
  assert(helpers.inNetwork("255.255.255.255", ["0.0.0.0/0"]) && helpers.inNetwork("2001:db8::1", ["2001:db8::/32"]));
  assert(!helpers.inNetwork("11.0.0.1", ["::ffff:10.0.0.0/104"]) && !helpers.inNetwork("10.0.0.1", ["::/0"]) && !helpers.inNetwork("x", ["0.0.0.0/0"]));
  const networks = new Networks(["10.0.0.5/24", "not a network", "192.0.2.1"]);
  assert(networks.contain("10.0.0.200") && networks.contain("192.0.2.1") && !networks.contain("10.0.1.1") && !networks.contain(null));
  assert(helpers.validIp("::1") && helpers.validIp("::") && helpers.validIp("1:2:3:4:5:6:1.2.3.4"));
  const wrong = ["fe80::1%eth0", "1.2.3.4:80", "", "10.1", "01.2.3.4", "1::2::3", "1.2.3.4::", "1:2:3:4:5:6:7", ":1", "1:2:3:4:5:6:7:8:9"];
  for (let at = 0; at < wrong.length; at++) assert(!helpers.validIp(wrong[at]), wrong[at]);
});

test("public, private and neither", () => {
  const open = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "198.20.0.1"];
  const own = ["10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1", "::ffff:192.168.1.1"];
  const neither = ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "100.64.0.1", "192.0.2.1", "2001:db8::1", "x", "0.0.0.0"];
  for (let at = 0; at < open.length; at++) assert(helpers.isPublicIp(open[at]) && !helpers.isPrivateIp(open[at]), open[at]);
  for (let at = 0; at < own.length; at++) assert(!helpers.isPublicIp(own[at]) && helpers.isPrivateIp(own[at]), own[at]);
  for (let at = 0; at < neither.length; at++) {
    assert(!helpers.isPublicIp(neither[at]) && !helpers.isPrivateIp(neither[at]), neither[at]);
  }
});

test("keys and values at any depth", () => {
  const data = Record.parse(`{"path": "/a", "list": [{"path": "/b"}, {"path": "/c"}],
    "streamalert_normalization": {"path": ["/a"]}, "n": [1, "mimikatz.exe", ""]}`).root();
  const texts = (found: Field[]): string => found.map<string>((field: Field): string => field.text()!).join("|");
  assertEqual(texts(helpers.getKeys(data, "path")), "/a|/b|/c");
  assertEqual(texts(helpers.getKeys(data, "path", 2)), "/a|/b");
  assertEqual(helpers.getFirstKey(data, "path")!.text(), "/a");
  assert(helpers.hasValue(data, 1) && helpers.hasValue(data, ["/a"]) && !helpers.hasValue(data, "1"));
  assert(helpers.hasValueFromList(data, ["mimi*"]) && helpers.hasValueWithSubstring(data, "katz"));
  assert(helpers.hasValueFromSubstringList(data, ["katz"]));
  assert(!helpers.hasValueFromList(Record.parse('{"a": ""}').root(), ["*"]));
});

test("times", () => {
  const texts = [
    "1970-01-01T00:00:00Z", "2024-05-01T12:00:00Z", "2024-02-29T23:59:60Z", "2000-03-01 00:00:00.123456+01:00",
    "1969-12-31t23:59:59.9z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:30",
  ];
  const seconds: i64[] = [0, 1714564800, 1709251200, 951865200, -1, -62167219200, 253402302599];
  for (let at = 0; at < texts.length; at++) assertEqual(helpers.parseTime(texts[at])!.value, seconds[at]);
  const wrong = [
    "", "2024-05-01", "2024-05-01T12:00:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-01T24:00:00Z",
    "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Zx", "2024-05-01T12:00:00+0200", "２024-05-01T12:00:00Z",
  ];
  for (let at = 0; at < wrong.length; at++) assert(helpers.parseTime(wrong[at]) === null, wrong[at]);
  const record = Record.parse('{"a": "2024-05-01T12:00:00Z", "b": 1714564860.9, "c": true, "d": 6400, "e": 10000}');
  assertEqual(helpers.secondsBetween(record, "a", "b")!.value, 60);
  assert(helpers.secondsBetween(record, "a", "c") === null);
  const d = helpers.eventTime(record, "d");
  const e = helpers.eventTime(record, "e");
  assert(helpers.lastHour(d, e) && !helpers.lastHour(e, d) && !helpers.lastHour(null, e));
});
