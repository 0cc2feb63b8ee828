//! Parsers that misbehave: each loses the one payload it failed on, is told apart, and reads the next as if nothing had been.
//!
//! The guests are `tests/bad-guests`.

use crate::bad_guests::guest;
use crate::run_world::Guest;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{Blame, ParsedPart, ParsedRecord, ParserPlugin, PluginErrorKind as Kind, Takes};
use streamalert_plugins::{Host, HostConfig, LoadCheck, LoadReport, ParserComponent, PluginFolder, PluginLimits};

/// Small enough that a loop ends within milliseconds, in a debug build of the host too: guests run at the same speed.
fn host() -> Host {
    let limits = PluginLimits { fuel_per_call_base: 30_000_000, ..PluginLimits::default() };
    Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap()
}

fn unruly() -> Arc<ParserComponent> {
    host().load_parser("unruly_parser.wasm", &guest("unruly_parser"), &LoadCheck::any_log()).unwrap()
}

/// The one record of a payload that a good parser reads: which call of its instance this is.
fn calls(parser: &ParserComponent) -> u64 {
    let parts = parser.parse(b"good").unwrap();
    let [ParsedPart { offset: 0, length: 4, outcome: Ok(record) }] = &parts[..] else { panic!("{parts:?}") };
    assert_eq!(record.log_type, "test:n");
    let record: serde_json::Value = serde_json::from_str(&record.json).unwrap();
    record["n"].as_u64().unwrap()
}

/// Payloads that the parser answers by a fault, its kind, and words that must appear.
const FAULTS: &[(&str, Kind, &str)] = &[
    ("trap", Kind::Trap, "unreachable"),
    ("loop", Kind::OutOfFuel, "units of fuel"),
    ("memory", Kind::OutOfMemory, "the limit is 256 MiB"),
    // The stack of a Rust guest lies in its memory, and ends there before the host's limit.
    ("recursion", Kind::Trap, "in "),
    ("log flood", Kind::OutOfFuel, "units of fuel"),
    ("gigabyte", Kind::OutOfMemory, "the limit is 256 MiB"),
    ("long text", Kind::BadAnswer, "handed over more than 4 MiB"),
    ("many parts", Kind::BadAnswer, "handed over more than 4 MiB"),
    ("outside", Kind::BadAnswer, "a part ends at byte 8 of a payload of 7 bytes"),
    ("far outside", Kind::BadAnswer, "of a payload of 11 bytes"),
    ("overlap", Kind::BadAnswer, "the parts from 0 to 4 and from 2 to 6 overlap"),
    ("nothing", Kind::BadAnswer, "a part at byte 3 has no bytes"),
    ("utf-8", Kind::BadAnswer, "utf-8"),
];

/// However large the machine's load: fuel ends a loop in milliseconds, and nothing may hang.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_fault_costs_one_payload_and_the_next_is_read_by_a_fresh_instance() {
    let parser = unruly();
    for (payload, kind, words) in FAULTS {
        calls(&parser);
        let begun = Instant::now();
        let error = parser.parse(payload.as_bytes()).expect_err(payload);
        assert!(begun.elapsed() < PATIENCE, "{payload} took {:?}", begun.elapsed());
        assert_eq!(error.kind, *kind, "{payload}: {error}");
        assert!(error.message.contains(words), "{payload}: {error}");
        assert_eq!(error.kind.blame(), Blame::Guest, "{payload}");
        // What only the host minds leaves the instance as good as it was; all else ends it.
        let after = calls(&parser);
        let answered = error.kind == Kind::BadAnswer && error.message.contains("part");
        assert_eq!(after == 1, !answered, "{payload}: call {after} of its instance");
    }
}

#[test]
fn a_parser_that_keeps_still_is_kept() {
    let parser = unruly();
    assert_eq!((1..=3).map(|_| calls(&parser)).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(parser.parse(b"x").unwrap().len(), 1);
    assert_eq!((parser.info().name.as_str(), parser.info().takes), ("unruly", Takes::Lines));
}

#[test]
fn what_a_parser_refuses_is_a_part_with_its_reason() {
    let parser = unruly();
    let whole = |payload: &[u8]| match &parser.parse(payload).unwrap()[..] {
        [ParsedPart { offset: 0, length, outcome: Err(reason) }] if *length as usize == payload.len() => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(whole(b"refuse"), "cannot read \u{1b}[2J this");
    assert_eq!(whole(b"long reason").len(), 1024);
    assert!(whole(b"foreign type").contains("cloudtrail:events, which is none of its log types"));
}

#[test]
fn sniffing_is_as_bounded_as_parsing() {
    let parser = unruly();
    assert!(parser.sniff(b"mine").unwrap() && !parser.sniff(b"yours").unwrap() && !parser.sniff(b"").unwrap());
    assert_eq!(parser.sniff(b"trap").unwrap_err().kind, Kind::Trap);
    assert_eq!(parser.sniff(b"loop").unwrap_err().kind, Kind::OutOfFuel);
    assert!(parser.sniff(b"mine").unwrap());
    let observed = parser.observe(b"trap");
    assert_eq!(observed.parts.unwrap_err().kind, Kind::Trap);
    let again = (parser.observe(b"good"), parser.observe(b"good"));
    assert_eq!(again.0.fuel, again.1.fuel, "what a parser costs does not depend on what it did before");
}

#[track_caller]
fn refused(name: &str, says: &[&str]) {
    let error = host().load_plugin(name, &guest(name), &LoadCheck::any_log()).expect_err("it was loaded").to_string();
    says.iter().for_each(|part| assert!(error.contains(part), "no {part:?} in: {error}"));
}

#[test]
fn what_no_parser_may_be_is_refused_with_all_its_faults() {
    refused(
        "parser_bad_info",
        &[
            "4 problems",
            "name: `no name\\n` has characters",
            "schemas: a.schema.x: `text` is no type",
            "schemas: c: invalid type",
        ],
    );
    refused("parser_describe_loops", &["describe: the component does not start: out_of_fuel"]);
    refused("both_worlds", &["exports more than one of detection, parsing", "make a component of each"]);
    let error = host().load("unruly_parser", &guest("unruly_parser"), &LoadCheck::any_log()).unwrap_err().to_string();
    assert!(error.contains("is a parser and holds no rules"), "{error}");
    let taken = ["test:n".to_owned()];
    let check = LoadCheck { log_types: &taken, ..LoadCheck::any_log() };
    let error = host().load_parser("x", &guest("unruly_parser"), &check).unwrap_err().to_string();
    assert!(error.contains("schemas, test:n: is a log type of conf/schemas, too"), "{error}");
}

/// A watched folder of components.
struct Folder {
    at: tempfile::TempDir,
    plugins: PluginFolder,
}

impl Folder {
    fn new() -> Self {
        Folder { at: tempfile::tempdir().unwrap(), plugins: PluginFolder::new(host()) }
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.at.path().join(file), bytes).unwrap();
    }

    fn look(&mut self) -> LoadReport {
        let check = LoadCheck { knows_log: &|_| false, ..LoadCheck::any_log() };
        self.plugins.load(self.at.path(), &check).unwrap()
    }

    /// `+loaded =kept -removed !refused`, then live parsers and rules.
    fn tell(&mut self) -> String {
        let report = self.look();
        let mut out = String::new();
        report.loaded.iter().for_each(|file| write!(out, "+{file} ").unwrap());
        report.kept.iter().for_each(|file| write!(out, "={file} ").unwrap());
        report.removed.iter().for_each(|file| write!(out, "-{file} ").unwrap());
        report.refused.iter().for_each(|refusal| write!(out, "!{} ", refusal.file).unwrap());
        let parsers = report.set.parsers.iter().map(|parser| parser.info().name.clone());
        let rules = report.set.plugins.iter().flat_map(|plugin| plugin.rules()).map(|rule| rule.name.clone());
        write!(out, "| {}", parsers.chain(rules).collect::<Vec<_>>().join(" ")).unwrap();
        out
    }
}

#[test]
fn parsers_come_and_go_with_the_rules_about_their_log_types() {
    let mut folder = Folder::new();
    let rule = |name: &'static str, logs: &'static str| {
        Guest { rules: vec![(name, "(call $list (i32.const 0) (i32.const 0))")], logs, ..Guest::default() }.build()
    };
    // In the order of names the rules come first: they are looked at again when the parser is known.
    folder.put("a.wasm", &rule("by_type", "test:n"));
    folder.put("b.wasm", &rule("by_source", "test"));
    assert_eq!(folder.tell(), "!a.wasm !b.wasm | ");
    folder.put("p.wasm", &guest("unruly_parser"));
    assert_eq!(folder.tell(), "+a.wasm +b.wasm +p.wasm | unruly by_type by_source");
    assert_eq!(folder.tell(), "=a.wasm =b.wasm =p.wasm | unruly by_type by_source");
    // Another of its name: who was live stays, and why is said.
    folder.put("c.wasm", &guest("unruly_parser"));
    let report = folder.look();
    assert_eq!(
        report.refused[0].error.to_string(),
        "c.wasm: 2 problems\n  parser unruly: p.wasm has a parser of this name already (rename the parser, or remove it from \
         p.wasm)\n  log type test:n: p.wasm has a log type of this name already (rename the log type, or remove it from p.wasm)"
    );
    folder.put("c.wasm", b"half");
    folder.put("p.wasm", b"half");
    assert_eq!(folder.tell(), "=a.wasm =b.wasm !c.wasm !p.wasm | unruly by_type by_source", "the old version stays");
    std::fs::remove_file(folder.at.path().join("p.wasm")).unwrap();
    std::fs::remove_file(folder.at.path().join("c.wasm")).unwrap();
    // Rules about what nobody brings any more have nothing to do; a new one would be told.
    folder.put("d.wasm", &rule("late", "test:n"));
    let told = folder.tell();
    assert!(told.contains("-p.wasm") && told.contains("!d.wasm"), "{told}");
}

#[test]
fn a_record_is_what_the_parser_says() {
    let parser = unruly();
    let expected = ParsedRecord { log_type: "test:n".into(), json: "{\"n\": 1}".into() };
    assert_eq!(parser.parse(b"good").unwrap(), [ParsedPart { offset: 0, length: 4, outcome: Ok(expected) }]);
}
