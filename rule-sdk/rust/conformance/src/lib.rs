//! What every SDK has to pass: see rule-sdk/conformance/README.md.

use streamalert_sdk::prelude::*;
use streamalert_sdk::serde_json::Map;

/// Bytes of a text that are shown whole.
const TEXT_MAX: usize = 64;
const HEAD: usize = 16;

/// Reads every path that the record names.
#[rule(logs = "test:edge")]
fn edge_reads(record: &Record) -> Finding {
    record.texts("want").fold(Finding::new("reads"), |finding, path| {
        let text = record.text(path).map(|text| match text.len() > TEXT_MAX {
            true => format!("{}…{}", text.chars().take(HEAD).collect::<String>(), text.len()),
            false => text.to_owned(),
        });
        finding.context(
            path,
            json!({
                "text": text,
                "int": record.int(path).map(|number| number.to_string()),
                "uint": record.uint(path).map(|number| number.to_string()),
                "float": record.float(path),
                "bool": record.bool(path),
                "len": record.len(path),
                "exists": record.exists(path),
                "is_null": record.is_null(path),
            }),
        )
    })
}

/// Reports every row.
#[rule(logs = "test:edge")]
fn edge_all(_: &Record) -> bool {
    true
}

/// Fails on demand.
#[rule(logs = "test:edge")]
fn edge_error(record: &Record) -> bool {
    assert!(!record.is("mode", "error"), "asked to fail");
    record.is("mode", "ok")
}

/// Breaks on demand.
#[rule(logs = "test:edge")]
fn edge_trap(record: &Record) -> bool {
    match record.text_or("mode", "") {
        "trap" => [0u8; 4][record.len("").unwrap_or(4) + 100] == 0,
        "overflow" => deeper(record, 1) > 0,
        "loop" => loop {
            std::hint::black_box(0);
        },
        "alloc" => {
            let mut all = Vec::new();
            loop {
                all.push(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        mode => mode == "ok",
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(record: &Record, level: u64) -> u64 {
    let held = std::hint::black_box([level; 32]);
    deeper(record, level + 1) + held[(level % 32) as usize]
}

/// Writes to the log.
#[rule(logs = "test:edge")]
fn edge_log(record: &Record) -> bool {
    log::debug("debug");
    log::info("info");
    log::warn("warn");
    log::error("error");
    for line in 0..record.int("flood").unwrap_or(0) {
        log::info(format!("line {line}"));
    }
    record.is("mode", "ok")
}

/// Looks things up.
#[rule(logs = "test:edge")]
fn edge_lookup(_: &Record) -> Finding {
    Finding::default()
        .context("hit", lookup::get("owners", "alice"))
        .context("miss", lookup::get("owners", "nobody"))
        .context("no_table", lookup::get("none", "x"))
}

/// Is asked about few records.
#[rule(
    logs = "test:edge",
    when(
        kind = ["login", "logout"],
        code = [401, 403],
        flag = true,
        prefix(agent = ["aws-cli", "Boto"]),
        suffix(host = ".example.com"),
        contains(command = ["-enc", "-nop"]),
        exists(detail.error),
    ),
)]
fn edge_when(_: &Record) -> bool {
    true
}

/// Says all that a finding can say.
#[rule(logs = "test:edge")]
fn edge_finding(_: &Record) -> Finding {
    Finding::new("Title é 日本")
        .severity(Severity::Critical)
        .dedup_key("key é")
        .context("nested", json!({"list": [1, "two", null, true, 0.5]}))
        .context("text", "é")
        .output("pagerduty:soc")
}

/// Declares all that can be declared.
#[rule(
    logs = "test:edge",
    datatypes = "sourceAddress",
    outputs = ["slack:security", "pagerduty:soc"],
    publishers = "add_record",
    severity = "high",
    merge(by = ["user", "host"], minutes = 30, on = "event", first = "send", max = 20),
    context = r#"{"team": "cloud"}"#,
    tags = ["one", "two"],
    references = "https://example.com/é",
)]
fn edge_options(_: &Record) -> bool {
    false
}

/// Calls helpers.
#[rule(logs = "test:edge")]
fn edge_helpers(record: &Record) -> Finding {
    let results: Vec<Value> = record.items("calls").map(call).collect();
    Finding::default().context("results", results)
}

fn call(call: Field<'_>) -> Value {
    let (text, list) = (call.item(1).and_then(Field::text), call.item(2));
    let texts: Vec<&str> = list.into_iter().flat_map(Field::items).filter_map(Field::text).collect();
    let key = list.and_then(Field::text).unwrap_or_default();
    let empty = || Value::from(Map::new());
    match call.item(0).and_then(Field::text).unwrap_or_default() {
        "in_network" => helpers::in_network(text, &texts).into(),
        "starts_with_any" => helpers::starts_with_any(text, &texts).into(),
        "ends_with_any" => helpers::ends_with_any(text, &texts).into(),
        "contains_any" => helpers::contains_any(text, &texts).into(),
        "matches_any" => helpers::matches_any(text, &texts).into(),
        "get_first_key" => {
            let found = call.item(1).and_then(|value| helpers::get_first_key(value, key));
            found.map_or(Value::Null, Field::to_value)
        }
        "get_keys" => {
            let found = call.item(1).map(|value| helpers::get_keys(value, key, None)).unwrap_or_default();
            found.into_iter().map(Field::to_value).collect::<Vec<_>>().into()
        }
        _ => empty(),
    }
}
