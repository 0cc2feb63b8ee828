import assert from "node:assert/strict";
import test from "node:test";
import { Record, helpers } from "streamalert-js";

test("wildcards", () => {
  const yes = [
    ["", ""], ["", "*"], ["abc", "a*"], ["abc", "*c"], ["abc", "a?c"], ["a/b", "a*b"], ["abcabd", "*ab?"], ["b", "[a-c]"],
    ["z", "[!a-c]"], ["]", "[]]"], ["a", "[!]]"], ["-", "[a-]"], ["[x", "[x"], ["*", "[*]"], ["ü", "?"], ["😀", "?"],
    ["a😀b", "a[😀]b"], ["^", "[^a]"], ["aXbXc", "a*X*c"],
  ];
  const no = [["a", ""], ["", "?"], ["abc", "ab"], ["ABC", "abc"], ["d", "[a-c]"], ["a", "[!a]"], ["b", "[c-a]"], ["x", "[x"]];
  for (const [text, pattern] of yes) assert.ok(helpers.matchesAny(text, [pattern]), `${text} ${pattern}`);
  for (const [text, pattern] of no) assert.ok(!helpers.matchesAny(text, [pattern]), `${text} ${pattern}`);
  assert.ok(!helpers.matchesAny("a".repeat(5000), [`${"*a".repeat(50)}b`]));
});

test("texts", () => {
  assert.ok(helpers.startsWithAny("aws-cli", ["x", "aws"]) && !helpers.startsWithAny(null, [""]));
  assert.ok(helpers.endsWithAny("a.exe", [".exe"]) && helpers.containsAny("abc", ["b"]) && !helpers.containsAny("abc", []));
  assert.ok(helpers.pathMatchesAny("/Users/eve/Downloads/x.dmg", ["/Users/*/Downloads/*"]));
  assert.ok(helpers.pathMatchesAny("/a//b/./c/", ["/a/b/c"]) && helpers.pathMatchesAny("/", ["/"]));
  assert.ok(!helpers.pathMatchesAny("/a/b/c", ["/a/*"]) && !helpers.pathMatchesAny("a/b", ["/a/b"]) && !helpers.pathMatchesAny("/a", [""]));
  assert.deepEqual([helpers.safeJson("[1]"), helpers.safeJson("{"), helpers.safeJson(null)], [[1], {}, {}]);
});

test("addresses and networks", () => {
  const inside = (ip, ...networks) => helpers.inNetwork(ip, networks);
  assert.ok(inside("10.1.2.3", "192.168.0.0/16", "10.0.0.0/8") && inside("::ffff:10.0.0.1", "10.0.0.0/8"));
  assert.ok(inside("10.0.0.1", "::ffff:10.0.0.0/104") && inside("10.0.0.200", "10.0.0.5/24") && inside("::1", "::/0"));
  assert.ok(inside("255.255.255.255", "0.0.0.0/0") && inside("2001:db8::1", "2001:db8::/32") && inside("1.2.3.4", "1.2.3.4"));
  assert.ok(!inside("11.0.0.1", "::ffff:10.0.0.0/104") && !inside("10.0.0.1", "::/0") && !inside("x", "0.0.0.0/0"));
  assert.ok(helpers.validIp("::1") && helpers.validIp("::") && helpers.validIp("1:2:3:4:5:6:1.2.3.4"));
  for (const ip of ["fe80::1%eth0", "1.2.3.4:80", "", null, "10.1", "01.2.3.4", "1::2::3", "1.2.3.4::", "1:2:3:4:5:6:7", ":1", "1:2:3:4:5:6:7:8:9"]) {
    assert.ok(!helpers.validIp(ip), ip);
  }
  const kind = (ip) => [helpers.isPublicIp(ip), helpers.isPrivateIp(ip)];
  for (const ip of ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "198.20.0.1"]) assert.deepEqual(kind(ip), [true, false], ip);
  for (const ip of ["10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1", "::ffff:192.168.1.1"]) assert.deepEqual(kind(ip), [false, true], ip);
  for (const ip of ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "100.64.0.1", "192.0.2.1", "2001:db8::1", "x", "0.0.0.0"]) {
    assert.deepEqual(kind(ip), [false, false], ip);
  }
});

test("keys and values at any depth", () => {
  const record = Record.fromJson({
    path: "/a", list: [{ path: "/b" }, { path: "/c" }], streamalert_normalization: { path: ["/a"] }, n: [1, "mimikatz.exe", ""],
  });
  assert.deepEqual(helpers.getKeys(record, "path"), ["/a", "/b", "/c"]);
  assert.deepEqual(helpers.getKeys(record, "path", 2), ["/a", "/b"]);
  assert.equal(helpers.getFirstKey(record, "path"), "/a");
  assert.equal(helpers.getFirstKey({ toString: 1 }, "valueOf"), undefined);
  assert.ok(helpers.hasValue(record, 1) && helpers.hasValue(record, ["/a"]) && !helpers.hasValue(record, "1"));
  assert.ok(helpers.hasValueFromList(record, ["mimi*"]) && helpers.hasValueWithSubstring(record, "katz"));
  assert.ok(helpers.hasValueFromSubstringList(record, ["katz"]) && !helpers.hasValueFromList({ a: "" }, ["*"]));
});

test("times", () => {
  const times = [
    ["1970-01-01T00:00:00Z", 0], ["2024-05-01T12:00:00Z", 1714564800], ["2024-02-29T23:59:60Z", 1709251200],
    ["2000-03-01 00:00:00.123456+01:00", 951865200], ["1969-12-31t23:59:59.9z", -1], ["0000-01-01T00:00:00Z", -62167219200],
    ["9999-12-31T23:59:59-00:30", 253402302599],
  ];
  for (const [text, seconds] of times) assert.equal(helpers.parseTime(text), seconds, text);
  for (const text of ["", "2024-05-01", "2024-05-01T12:00:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-01T24:00:00Z",
    "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Zx", "2024-05-01T12:00:00+0200", "２024-05-01T12:00:00Z", null]) {
    assert.equal(helpers.parseTime(text), null, text);
  }
  const record = Record.fromJson({ a: "2024-05-01T12:00:00Z", b: 1714564860.9, c: true });
  assert.deepEqual([helpers.secondsBetween(record, "a", "b"), helpers.secondsBetween(record, "a", "c")], [60, null]);
  assert.ok(helpers.lastHour(6400, 10000) && !helpers.lastHour(6399, 10000) && !helpers.lastHour(10001, 10000) && !helpers.lastHour(null, 1));
});
