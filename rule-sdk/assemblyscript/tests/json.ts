import { Finding, Json } from "streamalert-as";
import { assertEqual, test } from "streamalert-as/testing";

function round(text: string): string {
  const json = Json.parse(text);
  return json === null ? "none" : json.toString();
}

test("what is JSON comes out as it went in", () => {
  const same = [
    "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "0.5", "-2.5",
    '""', '"é😀"', '"a\\"b\\\\c\\n\\r\\t\\u0000"', "[]", "{}", '[1,[2,{"a":null}]]', '{"a":{"b":[true]},"":1}',
  ];
  for (let at = 0; at < same.length; at++) assertEqual(round(same[at]), same[at]);
  assertEqual(round(' [ 1 , {"a" : "\\u00e9\\ud83d\\ude00\\/" } ] '), '[1,{"a":"é😀/"}]');
  assertEqual(round("1e3"), "1000.0");
  assertEqual(round("18446744073709551616"), "18446744073709552000.0");
});

test("what is no JSON is none", () => {
  const wrong = ["", " ", "nul", "01", "1.", ".5", "+1", "-", "1e", "[1", "[1,]", "{", '{"a"}', '{"a":}', "{a:1}", '"', '"\\x"', '"\\u12"', "1 2", "'a'", '"\n"'];
  for (let at = 0; at < wrong.length; at++) assertEqual(round(wrong[at]), "none");
  assertEqual(round("[".repeat(1000)), "none");
});

test("values of every type", () => {
  const json = Json.object().set("s", "x").set("i", -1).set("u", u64.MAX_VALUE).set("f", 0.5).set("b", true).set("l", ["a", "b"]);
  assertEqual(json.set("i", 2).toString(), '{"s":"x","i":2,"u":18446744073709551615,"f":0.5,"b":true,"l":["a","b"]}');
  assert(json.get("u")!.uintOr(0) == u64.MAX_VALUE && !json.get("u")!.isInt() && json.get("nope") === null);
  assert(Json.parse("1")!.equals(Json.of(1.0)) && !Json.parse("[1]")!.equals(Json.parse("[2]")!));
  assert(Json.parse('{"a":1,"b":2}')!.equals(Json.parse('{"b":2,"a":1}')!));
});

test("findings", () => {
  const finding = new Finding("t").severity("critical").dedupKey("k").context("a", 1).context("a", "x").output("pagerduty:soc");
  assertEqual(finding.title, "t");
  assertEqual(finding.getSeverity(), "critical");
  assertEqual(finding.getDedupKey(), "k");
  assertEqual(finding.getContext()!.toString(), '{"a":"x"}');
  assertEqual(finding.getOutputs().join("|"), "pagerduty:soc");
});
