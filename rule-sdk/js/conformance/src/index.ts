// What every SDK has to pass: see rule-sdk/conformance/README.md.

import { contains, equals, exists, Finding, helpers, log, lookup, prefix, rule, suffix } from "streamalert-js";
import type { Json, Record } from "streamalert-js";

/** Bytes of a text that are shown whole. */
const TEXT_MAX = 64;
const HEAD = 16;

const logs = "test:edge";

rule({ name: "edge_reads", description: "Reads every path that the record names.", logs }, (record) => {
  const finding = new Finding("reads");
  const digits = (number: number | bigint | null) => (number === null ? null : String(number));
  for (const path of record.texts("want")) {
    finding.context(path, {
      text: shown(record.text(path)),
      int: digits(record.int(path)),
      uint: digits(record.uint(path)),
      float: record.float(path),
      bool: record.bool(path),
      len: record.len(path),
      exists: record.exists(path),
      is_null: record.isNull(path),
    });
  }
  return finding;
});

/** A text of more than 64 bytes by its first 16 characters and its length in bytes. */
function shown(text: string | null) {
  if (text === null) return null;
  const bytes = text.length > TEXT_MAX || /[^\0-\x7f]/.test(text) ? unescape(encodeURIComponent(text)).length : text.length;
  return bytes > TEXT_MAX ? `${[...text.slice(0, 2 * HEAD)].slice(0, HEAD).join("")}…${bytes}` : text;
}

rule({ name: "edge_all", description: "Reports every row.", logs }, () => true);

rule({ name: "edge_error", description: "Fails on demand.", logs }, (record) => {
  if (record.is("mode", "error")) throw new Error("asked to fail");
  return record.is("mode", "ok");
});

rule({ name: "edge_trap", description: "Breaks on demand.", logs }, (record) => {
  const mode = record.text("mode");
  switch (mode) {
    case "trap":
      return (undefined as unknown as number[])[100] === 0;
    case "overflow":
      return deeper(record, 1) > 0;
    case "loop":
      for (;;);
    case "alloc":
      for (const all: Uint8Array[] = []; ; ) all.push(new Uint8Array(1 << 20).fill(1));
    default:
      return mode === "ok";
  }
});

function deeper(record: Record, level: number): number {
  return deeper(record, level + 1) + (record.exists("mode") ? level : 0);
}

rule({ name: "edge_log", description: "Writes to the log.", logs }, (record) => {
  log.debug("debug");
  log.info("info");
  log.warn("warn");
  log.error("error");
  const flood = record.int("flood") ?? 0;
  for (let line = 0; line < flood; line++) log.info(`line ${line}`);
  return record.is("mode", "ok");
});

rule({ name: "edge_lookup", description: "Looks things up.", logs }, () =>
  new Finding()
    .context("hit", lookup.get("owners", "alice"))
    .context("miss", lookup.get("owners", "nobody"))
    .context("no_table", lookup.get("none", "x")),
);

rule(
  {
    name: "edge_when",
    description: "Is asked about few records.",
    logs,
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
  () => true,
);

rule({ name: "edge_finding", description: "Says all that a finding can say.", logs }, () =>
  new Finding("Title é 日本")
    .severity("critical")
    .dedupKey("key é")
    .context("nested", { list: [1, "two", null, true, 0.5] })
    .context("text", "é")
    .output("pagerduty:soc"),
);

rule(
  {
    name: "edge_options",
    description: "Declares all that can be declared.",
    logs,
    datatypes: "sourceAddress",
    outputs: ["slack:security", "pagerduty:soc"],
    publishers: "add_record",
    severity: "high",
    merge: { by: ["user", "host"], minutes: 30, on: "event", first: "send", max: 20 },
    context: { team: "cloud" },
    tags: ["one", "two"],
    references: "https://example.com/é",
  },
  () => false,
);

rule({ name: "edge_helpers", description: "Calls helpers.", logs }, (record) =>
  new Finding().context("results", record.items("calls").map((each) => call(each as [string, Json, Json]))),
);

function call([name, value, more]: [string, Json, Json]): unknown {
  const text = typeof value === "string" ? value : null;
  switch (name) {
    case "in_network":
      return helpers.inNetwork(text, more as string[]);
    case "starts_with_any":
      return helpers.startsWithAny(text, more as string[]);
    case "ends_with_any":
      return helpers.endsWithAny(text, more as string[]);
    case "contains_any":
      return helpers.containsAny(text, more as string[]);
    case "matches_any":
      return helpers.matchesAny(text, more as string[]);
    case "get_first_key":
      return helpers.getFirstKey(value, more as string) ?? null;
    default:
      return helpers.getKeys(value, more as string);
  }
}
