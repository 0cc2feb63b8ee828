// Reading records: what is there, what is not, and what is something else.

import { Json, lookup, Record } from "streamalert-as";
import { assertEqual, test } from "streamalert-as/testing";

function record(): Record {
  return Record.parse(`{
    "who": {"type": "Root", "a.b": "dotted", "groups": ["a", 1, "b"]},
    "n": -7, "one": 1.0, "big": 18446744073709551615, "exact": 9007199254740993, "f": 0.5,
    "yes": true, "no": false, "null": null, "empty": "", "list": [], "object": {}, "ключ": {"日本": "é😀 Ω"},
    "items": [{"port": 22}, {"port": 80}]
  }`);
}

test("texts", () => {
  const r = record();
  assertEqual(r.text("who.type"), "Root");
  assertEqual(r.text("who.a\\.b"), "dotted");
  assertEqual(r.text("empty"), "");
  assertEqual(r.text("ключ.日本"), "é😀 Ω");
  const paths = ["nope", "who", "n", "null", "yes", "who.type.x", "", "who.groups.1", "who.groups.-1"];
  for (let at = 0; at < paths.length; at++) assert(r.text(paths[at]) === null, paths[at]);
  assertEqual(r.textOr("nope", "-") + r.textOr("who.type", "-"), "-Root");
  assert(r.is("who.type", "Root") && !r.is("who.type", "root") && !r.is("nope", "") && !r.is("who.type", "Roots"));
  assert(r.is("ключ.日本", "é😀 Ω") && !r.is("ключ.日本", "é😀 Ω!") && !r.is("ключ.日本", "Ã©"));
  assert(r.isAny("who.type", ["x", "Root"]) && !r.isAny("n", ["-7"]));
});

test("a text is not another one whose code units look like its bytes", () => {
  const r = Record.parse('{"a": "é", "b": "xxxé"}');
  assert(r.is("a", "é") && !r.is("a", "Ã©") && r.is("b", "xxxé") && !r.is("b", "xxxÃ©") && !r.is("a", "e"));
});

test("texts of all lengths", () => {
  const parts = ["a", "é", "日", "😀"];
  let text = "";
  for (let length = 0; length < 40; length++) {
    text += parts[(length * 7) % 4];
    const r = Record.parse(Json.object().set("t", text).toString());
    assertEqual(r.text("t"), text);
    assert(r.is("t", text) && !r.is("t", text + "a") && !r.is("t", text.substring(1)));
  }
});

test("numbers and booleans", () => {
  const r = record();
  assert(r.int("n")!.value == -7 && r.uint("n") === null && r.float("n")!.value == -7);
  assert(r.int("one") === null && r.uint("one") === null && r.float("one")!.value == 1);
  assert(r.int("big") === null && r.uint("big")!.value == u64.MAX_VALUE);
  assert(r.int("exact")!.value == 9007199254740993 && r.float("f")!.value == 0.5);
  assert(r.bool("yes")!.value && !r.bool("no")!.value && r.bool("n") === null);
  assert(r.int("empty") === null && r.float("null") === null);
  assert(r.intOr("n", 1) == -7 && r.intOr("nope", 1) == 1 && r.uintOr("n", 1) == 1 && r.floatOr("f", 1) == 0.5);
  assert(r.boolOr("yes", false) && !r.boolOr("no", true) && r.boolOr("nope", true) && r.boolOr("n", true));
});

test("presence", () => {
  const r = record();
  assert(r.exists("null") && r.isNull("null"));
  assert(!r.exists("nope") && !r.isNull("nope") && !r.isNull("empty"));
  assert(r.len("who.groups") == 3 && r.len("who") == 3 && r.len("list") == 0 && r.len("object") == 0);
  assert(r.len("empty") == -1 && r.len("nope") == -1);
});

test("lists", () => {
  const r = record();
  assertEqual(r.texts("who.groups").join("|"), "a|b");
  assertEqual(r.texts("who.type").join("|"), "Root");
  assert(r.texts("nope").length == 0 && r.texts("who").length == 0 && r.items("who").length == 0);
  const items = r.items("items");
  assert(items.length == 2 && items[0].get("port")!.int()!.value == 22 && items[1].at("port")!.int()!.value == 80);
});

test("walking", () => {
  const r = record();
  const who = r.field("who")!;
  assertEqual(who.keys().join("|"), "type|a.b|groups");
  assertEqual(who.get("a.b")!.text(), "dotted");
  assertEqual(who.at("groups.2")!.text(), "b");
  assertEqual(r.root().at("items.1.port")!.int()!.value, 80);
  assert(who.item(0) === null && who.at("groups.3") === null && who.values().length == 3);
});

test("values come out as they went in", () => {
  const r = record();
  assertEqual(r.value("who.groups")!.toString(), '["a",1,"b"]');
  assert(r.value("null")!.isNull() && r.value("nope") === null);
  assert(Record.parse(r.json()).root().value().equals(r.root().value()));
});

test("one record after another with other key orders", () => {
  const a = Record.parse('{"x": {"y": "1"}, "z": 0}');
  const b = Record.parse('{"z": 0, "x": {"w": 0, "y": "2"}}');
  for (let turn = 0; turn < 3; turn++) {
    assertEqual(a.text("x.y"), "1");
    assertEqual(b.text("x.y"), "2");
  }
});

test("lookup tables are fakes here", () => {
  lookup.fake("owners", '{"i-1": "cloud", "i-2": null}');
  assertEqual(lookup.get("owners", "i-1")!.text(), "cloud");
  assert(lookup.get("owners", "i-2")!.isNull() && lookup.contains("owners", "i-2"));
  assert(!lookup.contains("owners", "i-3") && !lookup.contains("x", "i-1"));
  lookup.forgetFakes();
  assert(lookup.get("owners", "i-1") === null);
});
