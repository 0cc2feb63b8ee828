import { Json } from "streamalert-as";
import { Part, Place, lines, textOf } from "streamalert-as/parsing";
import { Alert } from "streamalert-as/publishing";
import { assertEqual, test } from "streamalert-as/testing";

function bytes(text: string): Uint8Array {
  return Uint8Array.wrap(String.UTF8.encode(text));
}

function raw(list: u8[]): Uint8Array {
  const all = new Uint8Array(list.length);
  for (let at = 0; at < list.length; at++) all[at] = list[at];
  return all;
}

function told(payload: string): string {
  const all = lines(bytes(payload));
  let out = "";
  for (let at = 0; at < all.length; at++) out += "[" + all[at].text() + " " + all[at].place.offset.toString() + "]";
  return out;
}

test("lines know their place", () => {
  assertEqual(told(""), "");
  assertEqual(told("a"), "[a 0]");
  assertEqual(told("a\nbc\r\n\nd"), "[a 0][bc 2][ 6][d 7]");
  assertEqual(told("\n\r\n"), "[ 0][ 1]");
});

test("what is no UTF-8 becomes U+FFFD", () => {
  assertEqual(textOf(bytes("Zoë 日 😀")), "Zoë 日 😀");
  assertEqual(textOf(raw([])), "");
  assertEqual(textOf(raw([0xff, 0xfe, 0xe2, 0x82, 0x41])), "\uFFFD\uFFFD\uFFFDA");
  assertEqual(textOf(raw([0xed, 0xa0, 0x80])), "\uFFFD\uFFFD\uFFFD");
  assertEqual(textOf(raw([0xf0, 0x9f, 0x98])), "\uFFFD");
  assertEqual(textOf(raw([0xc0, 0x80])), "\uFFFD\uFFFD");
  assertEqual(textOf(raw([0xf4, 0x90, 0x80, 0x80])), "\uFFFD\uFFFD\uFFFD\uFFFD");
});

test("parts are records or reasons", () => {
  const place = new Place(1, 2);
  const part = Part.record(place, "a:b", Json.object().set("n", i64.MAX_VALUE).set("t", "é"));
  assertEqual(part.json!, '{"n":9223372036854775807,"t":"é"}');
  assert(part.reason === null && Part.error(place, "why").json === null);
  assertEqual(Part.error(place, "why").reason!, "why");
});

test("an alert says nothing where there is nothing", () => {
  const alert = new Alert(Json.parse('{"rule_name": "r", "title": "", "severity": "HIGH", "created": "2026-01-02T03:04:05Z", "tags": ["a", 1]}')!);
  assertEqual(alert.title, "r");
  assertEqual(alert.severity, "high");
  assertEqual(alert.createdAt, 1767323045);
  assertEqual(alert.tags.length, 1);
  const nothing = new Alert(Json.object());
  assertEqual(nothing.title, "");
  assertEqual(nothing.severity, "medium");
  assertEqual(nothing.createdAt, -1);
  assert(nothing.record.isNull() && nothing.context.len() == 0 && !nothing.staged && nothing.sourcePart("object") == "");
});
