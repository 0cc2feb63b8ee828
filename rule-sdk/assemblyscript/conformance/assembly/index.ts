// What every SDK has to pass: see rule-sdk/conformance/README.md.

import { contains, equals, exists, Field, Finding, helpers, Json, log, lookup, prefix, Record, rule, suffix } from "streamalert-as";

/** Bytes of a text that are shown whole. */
const TEXT_MAX = 64;
const HEAD = 16;

let turns: u64 = 0;

rule({ name: "edge_reads", description: "Reads every path that the record names.", logs: ["test:edge"] }, edgeReads);
rule({ name: "edge_all", description: "Reports every row.", logs: ["test:edge"] }, (_record: Record): bool => true);
rule({ name: "edge_error", description: "Fails on demand.", logs: ["test:edge"] }, edgeError);
rule({ name: "edge_trap", description: "Breaks on demand.", logs: ["test:edge"] }, edgeTrap);
rule({ name: "edge_log", description: "Writes to the log.", logs: ["test:edge"] }, edgeLog);
rule({ name: "edge_lookup", description: "Looks things up.", logs: ["test:edge"] }, edgeLookup);
rule(
  {
    name: "edge_when",
    description: "Is asked about few records.",
    logs: ["test:edge"],
    when: [
      equals("kind", ["login", "logout"]),
      equals("code", [401, 403]),
      equals("flag", true),
      prefix("agent", ["aws-cli", "Boto"]),
      suffix("host", ".example.com"),
      contains("command", ["-enc", "-nop"]),
      exists("detail.error"),
    ],
  },
  (_record: Record): bool => true,
);
rule({ name: "edge_finding", description: "Says all that a finding can say.", logs: ["test:edge"] }, edgeFinding);
rule(
  {
    name: "edge_options",
    description: "Declares all that can be declared.",
    logs: ["test:edge"],
    datatypes: ["sourceAddress"],
    outputs: ["slack:security", "pagerduty:soc"],
    publishers: ["add_record"],
    severity: "high",
    merge: { by: ["user", "host"], minutes: 30, on: "event", first: "send", max: 20 },
    context: '{"team": "cloud"}',
    tags: ["one", "two"],
    references: ["https://example.com/é"],
  },
  (_record: Record): bool => false,
);
rule({ name: "edge_helpers", description: "Calls helpers.", logs: ["test:edge"] }, edgeHelpers);

function edgeReads(record: Record): Finding {
  const finding = new Finding("reads");
  const want = record.texts("want");
  for (let at = 0; at < want.length; at++) {
    const path = want[at];
    let text = record.text(path);
    if (text !== null) {
      const bytes = String.UTF8.byteLength(text);
      if (bytes > TEXT_MAX) text = head(text) + "…" + bytes.toString();
    }
    const int = record.int(path);
    const uint = record.uint(path);
    const float = record.float(path);
    const bool = record.bool(path);
    const len = record.len(path);
    const shown = Json.object()
      .set("text", text)
      .set("int", int ? Json.of(int.value.toString()) : null)
      .set("uint", uint ? Json.of(uint.value.toString()) : null)
      .set("float", float ? Json.of(float.value) : null)
      .set("bool", bool ? Json.of(bool.value) : null)
      .set("len", len >= 0 ? Json.of(len) : null)
      .set("exists", record.exists(path))
      .set("is_null", record.isNull(path));
    finding.context(path, shown);
  }
  return finding;
}

/** The first characters, of which some have two code units. */
function head(text: string): string {
  let end = 0;
  for (let count = 0; count < HEAD; count++) end += text.codePointAt(end) > 0xffff ? 2 : 1;
  return text.substring(0, end);
}

function edgeError(record: Record): bool {
  if (record.is("mode", "error")) throw new Error("asked to fail");
  return record.is("mode", "ok");
}

function edgeTrap(record: Record): bool {
  const mode = record.textOr("mode", "");
  if (mode == "trap") return new Array<i32>(4)[record.len("mode") + 100] == 0;
  if (mode == "overflow") return deeper(record, 1) > 0;
  while (mode == "loop") turns++;
  if (mode == "alloc") {
    const all: ArrayBuffer[] = [];
    for (;;) all.push(new ArrayBuffer(1 << 20));
  }
  return mode == "ok";
}

function deeper(record: Record, level: u64): u64 {
  return deeper(record, level + 1) + (record.exists("mode") ? level : 0);
}

function edgeLog(record: Record): bool {
  log.debug("debug");
  log.info("info");
  log.warn("warn");
  log.error("error");
  const flood = record.intOr("flood", 0);
  for (let line: i64 = 0; line < flood; line++) log.info("line " + line.toString());
  return record.is("mode", "ok");
}

function edgeLookup(_record: Record): Finding {
  return new Finding()
    .context("hit", lookup.get("owners", "alice"))
    .context("miss", lookup.get("owners", "nobody"))
    .context("no_table", lookup.get("none", "x"));
}

function edgeFinding(_record: Record): Finding {
  const list = Json.list().push(1).push("two").push(Json.null()).push(true).push(0.5);
  return new Finding("Title é 日本")
    .severity("critical")
    .dedupKey("key é")
    .context("nested", Json.object().set("list", list))
    .context("text", "é")
    .output("pagerduty:soc");
}

function edgeHelpers(record: Record): Finding {
  const results = Json.list();
  const calls = record.items("calls");
  for (let at = 0; at < calls.length; at++) results.push(call(calls[at]));
  return new Finding().context("results", results);
}

function call(call: Field): Json {
  const name = call.item(0)!.text()!;
  const value = call.item(1)!;
  const more = call.item(2)!;
  const text = value.text();
  const texts: string[] = [];
  const items = more.items();
  for (let at = 0; at < items.length; at++) texts.push(items[at].text()!);
  if (name == "in_network") return Json.of(helpers.inNetwork(text, texts));
  if (name == "starts_with_any") return Json.of(helpers.startsWithAny(text, texts));
  if (name == "ends_with_any") return Json.of(helpers.endsWithAny(text, texts));
  if (name == "contains_any") return Json.of(helpers.containsAny(text, texts));
  if (name == "matches_any") return Json.of(helpers.matchesAny(text, texts));
  const key = more.text()!;
  if (name == "get_first_key") {
    const found = helpers.getFirstKey(value, key);
    return found ? found.value() : Json.null();
  }
  const list = Json.list();
  const found = helpers.getKeys(value, key);
  for (let at = 0; at < found.length; at++) list.push(found[at].value());
  return list;
}
