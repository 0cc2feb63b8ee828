import assert from "node:assert/strict";
import test from "node:test";
import { Finding, Record, contains, equals, exists, prefix, rule } from "streamalert-js";
import { rules } from "../src/rule.js";

test("a declaration becomes what the host is told", () => {
  const judge = rule(
    {
      name: "everything", description: "d", logs: "cloudtrail:events", severity: "high", outputs: "slack:security",
      when: [equals("a", ["x", 1, 1.5, true]), prefix("b", "p"), contains("c", ["q"]), exists("d")],
      publishers: { slack: ["short"] }, merge: { by: "user", minutes: 30 }, context: { team: "cloud" }, tags: ["one"],
    },
    (record) => record.exists("x"),
  );
  const { info } = rules.at(-1);
  assert.deepEqual([info.name, info.description, info.logs], ["everything", "d", ["cloudtrail:events"]]);
  assert.deepEqual(info.when.map(({ path, test }) => [path, test.tag, test.val]), [
    ["a", "equals", [
      { tag: "text", val: "x" }, { tag: "integer", val: 1 }, { tag: "float", val: 1.5 }, { tag: "boolean", val: true },
    ]],
    ["b", "prefix", ["p"]], ["c", "contains", ["q"]], ["d", "exists", undefined],
  ]);
  assert.deepEqual(JSON.parse(info.options), {
    outputs: ["slack:security"], publishers: { slack: ["short"] }, merge: { by: ["user"], minutes: 30 },
    context: { team: "cloud" }, severity: "high", tags: ["one"],
  });
  assert.ok(judge(Record.fromJson({ x: null })) && !judge(Record.fromJson({})));
});

test("a function's name will do", () => {
  rule({ logs: "a" }, function by_its_name() {
    return false;
  });
  assert.equal(rules.at(-1).info.name, "by_its_name");
});

test("mistakes are told at once", () => {
  const message = (options, judge = () => true) => {
    try {
      rule({ name: "r", ...options }, judge);
      return "none";
    } catch (error) {
      return error.message;
    }
  };
  assert.match(message({ otputs: [] }), /^rule r: there is no option otputs; the options are name, /);
  assert.equal(message({ severity: "huge" }), 'there is no severity "huge"; it is one of info, low, medium, high, critical');
  assert.equal(message({}, null), "rule r: the second argument is a function of the record");
  assert.match(message({ when: [equals("a", null)] }), /not with null$/);
});

test("findings", () => {
  const finding = new Finding("t").severity("critical").dedupKey(7).context("a", { b: 1 }).context("c", undefined).output("pagerduty:soc");
  assert.deepEqual(finding.parts, {
    title: "t", severity: "critical", dedupKey: "7", context: { a: { b: 1 }, c: null }, outputs: ["pagerduty:soc"],
  });
  assert.throws(() => new Finding().severity("huge"), TypeError);
});
