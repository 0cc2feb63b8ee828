import { equals, Finding, Record, rule, rules } from "streamalert-as";
import { assertEqual, test } from "streamalert-as/testing";
import { optionsJson } from "streamalert-as/rule";

rule({ name: "yes", logs: ["a"] }, (record: Record): bool => record.exists("x"));
rule({ name: "more", logs: ["a"] }, (record: Record): Finding | null => {
  const title = record.text("title");
  return title === null ? null : new Finding(title);
});
rule({ name: "always", logs: ["a"] }, (_record: Record): Finding => new Finding("always"));
rule(
  {
    name: "everything",
    logs: ["a"],
    when: [equals("n", [1, 2])],
    outputs: ["slack:security"],
    publishers: ['{"slack": ["short"]}'],
    merge: { minutes: 30 },
    severity: "high",
    context: '{"team": "cloud"}',
    tags: ["one"],
  },
  (_record: Record): bool => false,
);

test("each kind of answer becomes a finding", () => {
  const x = Record.parse('{"x": null, "title": "t"}');
  const empty = Record.parse("{}");
  assert(rules[0].evaluate(x) !== null && rules[0].evaluate(empty) === null);
  assertEqual(rules[1].evaluate(x)!.title, "t");
  assert(rules[1].evaluate(empty) === null);
  assertEqual(rules[2].evaluate(empty)!.title, "always");
});

test("options become what the host is told", () => {
  assertEqual(optionsJson(rules[0].options), "{}");
  const expected = '{"outputs":["slack:security"],"publishers":{"slack":["short"]},"merge":{"minutes":30},"context":{"team":"cloud"},"severity":"high","tags":["one"]}';
  assertEqual(optionsJson(rules[3].options), expected);
});
