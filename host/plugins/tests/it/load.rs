//! What is refused, and how it is said.

use crate::guest::{EVERY_ROW, Guest};
use crate::{host, load};
use streamalert_packed::{Builder, Record};
use streamalert_pipeline::plugin::RulePlugin;
use streamalert_plugins::{Kind, LoadCheck, inspect};

#[track_caller]
fn refused(bytes: &[u8], says: &[&str]) {
    let error = load(&host(), bytes).expect_err("it was loaded").to_string();
    for part in ["guest.wasm: "].iter().chain(says) {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn what_is_no_component_is_told_what_it_is() {
    refused(b"", &["is not WebAssembly"]);
    refused(b"#!/bin/sh\n", &["is not WebAssembly"]);
    refused(&wat::parse_str("(module)").unwrap(), &["is a core WebAssembly module", "streamalert build"]);
    refused(&Guest::default().build()[..500], &["is no valid component"]);
}

#[test]
fn a_component_of_another_world_is_told_what_it_exports() {
    let other = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
        (func (export \"run\") (canon lift (core func $i \"f\"))))";
    refused(&wat::parse_str(other).unwrap(), &["exports run, but no streamalert:plugin/detection@0.1.0"]);
    refused(&wat::parse_str("(component)").unwrap(), &["exports nothing, but no streamalert:plugin/detection@0.1.0"]);
}

#[test]
fn another_version_is_refused_by_both_names() {
    let guest = Guest { version: "0.7.0", ..Guest::default() };
    refused(&guest.build(), &["exports streamalert:plugin/detection of version 0.7.0; this host knows 0.1.0"]);
    // To semantic versioning 0.1.9 is compatible; to us it is unknown.
    let guest = Guest { version: "0.1.9", ..Guest::default() };
    refused(&guest.build(), &["imports streamalert:plugin/records of version 0.1.9; this host knows 0.1.0"]);
}

#[test]
fn imports_a_rule_may_not_have_are_named() {
    let import = |name: &str| format!("(import \"{name}\" (instance (export \"f\" (func))))");
    let all =
        [import("acme:net/http@1.0.0"), import("wasi:cli/stdout@0.3.0"), import("streamalert:plugin/secrets@0.1.0")];
    let guest = Guest { imports: &all.concat(), ..Guest::default() };
    refused(
        &guest.build(),
        &[
            "3 problems",
            "acme:net/http@1.0.0",
            "wasi:cli/stdout@0.3.0",
            "streamalert:plugin/secrets@0.1.0, which world `rule`",
        ],
    );
}

#[test]
fn describe_is_bounded_like_any_call() {
    let describing = |on_describe| Guest { on_describe, ..Guest::default() }.build();
    refused(&describing("(unreachable)"), &["describe: the component does not start: trap: wasm `unreachable`"]);
    refused(&describing("(loop $l (br $l))"), &["out_of_fuel"]);
    refused(
        &describing("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (unreachable)"),
        &["out_of_memory"],
    );
    refused(&describing("(return (call $list (i32.const 0) (i32.const 100000000)))"), &["bad_answer"]);
    refused(&Guest { rules: vec![], ..Guest::default() }.build(), &["declares no rules"]);
}

#[test]
fn memory_a_component_needs_to_start_has_the_same_limit() {
    let big = "(component (core module $m (memory 2000)) (core instance (instantiate $m))";
    let guest = Guest::default();
    let imports = format!("{} ", &big["(component ".len()..]);
    let guest = Guest { imports: &imports, ..guest };
    refused(&guest.build(), &["memory"]);
}

#[test]
fn what_rules_say_of_themselves_is_checked() {
    let twice = Guest { rules: vec![("same", EVERY_ROW), ("same", EVERY_ROW)], ..Guest::default() };
    refused(&twice.build(), &["rule same, name: rules 0 and 1 have the same name"]);
    let options = Guest { options: r#"{"merge":{"by":["a"],"minutes":-1}}"#, ..Guest::default() };
    refused(&options.build(), &["rule good, options.merge.minutes: invalid value"]);

    let types = ["cloudtrail:events".to_owned()];
    let knows_log = |log: &str| log == types[0];
    let check = LoadCheck { knows_log: &knows_log, log_types: &types, ..LoadCheck::any_log() };
    let guest = Guest { logs: "cloudtrial:events", ..Guest::default() };
    let error = host().load("guest.wasm", &guest.build(), &check).unwrap_err().to_string();
    assert_eq!(
        error,
        "guest.wasm: rule good, logs[0]: `cloudtrial:events` is no log type (did you mean `cloudtrail:events`?)"
    );
}

#[test]
fn an_inspection_tells_all_there_is() {
    let bytes = Guest { options: r#"{"outputs":["slack:x"]}"#, ..Guest::default() }.build();
    let seen = inspect(&bytes).unwrap();
    assert_eq!((seen.kind, seen.size, seen.problems.len()), (Kind::Component, bytes.len(), 0));
    assert_eq!(seen.worlds, ["rule@0.1.0"]);
    assert_eq!(seen.versions, ["0.1.0"]);
    assert_eq!(seen.rules[0].name, "good");
    assert_eq!(seen.rules[0].options.outputs, ["slack:x"]);
    assert_eq!(seen.exports, ["streamalert:plugin/detection@0.1.0"]);
    assert!(seen.imports.contains(&"streamalert:plugin/records@0.1.0".to_owned()), "{:?}", seen.imports);
    assert_eq!(seen.digest.len(), 64);

    let seen = inspect(&Guest { version: "0.9.0", ..Guest::default() }.build()).unwrap();
    assert!(seen.worlds.is_empty() && !seen.problems.is_empty());
    assert_eq!(seen.versions, ["0.9.0"]);
    assert_eq!(inspect(&wat::parse_str("(module)").unwrap()).unwrap().kind, Kind::CoreModule);
    assert_eq!(inspect(b"x").unwrap().kind, Kind::NotWasm);
}

#[test]
fn explain_shows_what_was_read() {
    // Reads `who.name` and a path that leads nowhere, writes a line, reports the row.
    let body = "(i64.store (i32.const 20000) (i64.const 0x6d616e2e6f6877)) (i32.store8 offset=7 (i32.const 20000) (i32.const 101))
        (call $get (i32.const 0) (i32.const 20000) (i32.const 8) (i32.const 20104))
        (call $get (i32.const 0) (i32.const 20000) (i32.const 2) (i32.const 20104))
        (call $write (i32.const 2) (i32.const 20000) (i32.const 3))
        (call $findings (local.get $rows) (local.get $explain))";
    let component = load(&host(), &Guest { rules: vec![("reader", body)], ..Guest::default() }.build()).unwrap();
    let mut bytes = Vec::new();
    Builder::json(&mut bytes, &serde_json::json!({"who": {"name": "root"}}));
    // SAFETY: the builder wrote it.
    let explained = component.explain(0, unsafe { Record::trusted(&bytes) });
    let reads: Vec<_> = explained.reads.iter().map(|read| (read.path.as_str(), read.value.clone())).collect();
    assert_eq!(reads, [("who.name", Some(serde_json::json!("root"))), ("wh", None)]);
    assert_eq!(explained.logs.iter().map(|l| (l.level, l.message.as_str())).collect::<Vec<_>>(), [("warn", "who")]);
    // `$explain` is 1 here, so one row is reported; in a batch it is 0.
    assert_eq!(explained.verdict.unwrap().findings.len(), 1);
    assert_eq!(component.open(&crate::batch(1)).evaluate(0, &[0]).unwrap().findings.len(), 0);
}
