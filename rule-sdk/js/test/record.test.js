// Reading records: what is there, what is not, and what is something else.

import assert from "node:assert/strict";
import test from "node:test";
import { Record, lookup } from "streamalert-js";

const record = () =>
  Record.parse(`{
    "who": {"type": "Root", "a.b": "dotted", "groups": ["a", 1, "b"]},
    "n": -7, "half": 0.5, "yes": true, "no": false, "null": null, "empty": "", "list": [], "object": {},
    "items": [{"port": 22}, {"port": 80}], "digits": "9223372036854775808"
  }`);

test("texts", () => {
  const r = record();
  assert.equal(r.text("who.type"), "Root");
  assert.equal(r.text("who.a\\.b"), "dotted");
  assert.equal(r.text("empty"), "");
  assert.equal(r.text("digits"), "9223372036854775808");
  for (const path of ["nope", "who", "n", "null", "yes", "who.type.x", "", "who.groups.1", "who.groups.-1", "who.toString"]) {
    assert.equal(r.text(path), null, path);
  }
  assert.deepEqual([r.textOr("nope", "-"), r.textOr("who.type", "-")], ["-", "Root"]);
  assert.ok(r.is("who.type", "Root") && !r.is("who.type", "root") && !r.is("nope", ""));
  assert.ok(r.isAny("who.type", ["x", "Root"]) && !r.isAny("n", ["-7"]));
});

test("numbers and booleans", () => {
  const r = record();
  assert.deepEqual([r.int("n"), r.uint("n"), r.float("n")], [-7, null, -7]);
  assert.deepEqual([r.int("half"), r.uint("half"), r.float("half")], [null, null, 0.5]);
  assert.deepEqual([r.bool("yes"), r.bool("no"), r.bool("n")], [true, false, null]);
  assert.deepEqual([r.int("empty"), r.float("null"), r.uint("digits"), r.float("digits")], [null, null, null, null]);
});

test("integers beyond what a number holds", () => {
  const r = Record.fromJson({ i: -9007199254740993n, u: 18446744073709551615n });
  assert.deepEqual([r.int("i"), r.uint("i")], [-9007199254740993n, null]);
  assert.deepEqual([r.int("u"), r.uint("u"), r.text("u"), r.float("u")], [null, 18446744073709551615n, null, 2 ** 64]);
});

test("presence", () => {
  const r = record();
  assert.ok(r.exists("null") && r.isNull("null"));
  assert.ok(!r.exists("nope") && !r.isNull("nope") && !r.isNull("empty"));
  assert.deepEqual([r.len("who.groups"), r.len("who"), r.len("list"), r.len("object")], [3, 3, 0, 0]);
  assert.deepEqual([r.len("empty"), r.len("nope"), r.len("null")], [null, null, null]);
});

test("lists and values", () => {
  const r = record();
  assert.deepEqual(r.texts("who.groups"), ["a", "b"]);
  assert.deepEqual(r.texts("who.type"), ["Root"]);
  assert.deepEqual([...r.texts("nope"), ...r.texts("who")], []);
  assert.deepEqual(r.items("items").map((item) => item.port), [22, 80]);
  assert.deepEqual(r.items("who"), []);
  assert.deepEqual(r.value("who.groups"), ["a", 1, "b"]);
  assert.deepEqual([r.value("null"), r.value("nope")], [null, undefined]);
  assert.deepEqual(Record.parse(r.json()).toValue(), r.toValue());
});

test("lookup tables are fakes here", () => {
  lookup.fake("owners", { "i-1": "cloud", "i-2": null });
  assert.equal(lookup.get("owners", "i-1"), "cloud");
  assert.equal(lookup.get("owners", "i-2"), null);
  assert.equal(lookup.get("owners", "toString"), undefined);
  assert.ok(lookup.contains("owners", "i-2") && !lookup.contains("owners", "i-3") && !lookup.contains("x", "i-1"));
  lookup.forgetFakes();
  assert.equal(lookup.get("owners", "i-1"), undefined);
});
