//! Rules that misbehave: each is contained, blamed and counted, and its neighbours judge as if it were not there.
//!
//! The guests are `tests/bad-guests`; how the sandbox tells each fault apart is tested in `host/plugins/tests`, without a
//! toolchain for wasm.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{Blame, PluginErrorKind as Kind, PluginSet, RulePlugin};
use streamalert_pipeline::rules_engine::{Detected, Rules};
use streamalert_plugins::{Host, HostConfig, LoadCheck, LoadError, PluginLimits, RuleComponent};

/// The bytes of a guest, or a message that says how to get it.
pub fn guest(name: &str) -> Vec<u8> {
    let folder = match std::env::var_os("STREAMALERT_TEST_GUESTS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guests"),
    };
    let file = folder.join("bad-guests").join(name).with_extension("wasm");
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}\nbuild the guests first: tests/bad-guests/build.sh (see there what it needs)",
            file.display()
        )
    })
}

/// Small enough that a loop ends within milliseconds, in a debug build of the host too: guests run at the same speed.
fn host() -> Host {
    let limits = PluginLimits { fuel_per_call_base: 30_000_000, fuel_per_row: 1_000_000, ..PluginLimits::default() };
    Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap()
}

fn load(name: &str) -> Result<Arc<RuleComponent>, LoadError> {
    host().load(&format!("{name}.wasm"), &guest(name), &LoadCheck::any_log())
}

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| {
    let schema = r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}}}"#;
    Arc::new(Schemas::read(&[("test.json".into(), schema.into())]).unwrap())
});

/// Twelve classified records, `{"n": 0}` to `{"n": 11}`.
pub fn twelve() -> LogBatch {
    let cluster = r#"{"id": "test", "data_sources": {"file": {"*": ["test"]}}}"#;
    let clusters = Clusters::read(&[("test.json".into(), cluster.into())], &SCHEMAS).unwrap();
    let classifier = Arc::new(Classifier::new(SCHEMAS.clone(), Arc::new(clusters)));
    let lines: String = (0..12).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    let source = Source::new("file", "*", "rows");
    let classified = classifier.worker().classify(Payload::new(Arc::new(source), 0, lines.as_bytes()));
    assert_eq!((classified.batch.records.len(), classified.dead.len()), (12, 0));
    classified.batch
}

pub fn judge(components: &[Arc<RuleComponent>]) -> Detected {
    let plugins = components.iter().map(|component| component.clone() as Arc<dyn RulePlugin>).collect();
    Rules::new(PluginSet { plugins, ..PluginSet::default() }, &SCHEMAS).judge(&twelve(), "2026-01-01T00:00:00Z")
}

fn alerts_of(detected: &Detected, rule: &str) -> BTreeSet<i64> {
    let alerts = detected.alerts.iter().filter(|alert| alert.rule_name == rule);
    alerts.map(|alert| alert.record.to_value()["n"].as_i64().unwrap()).collect()
}

/// What each unruly rule is to be blamed for, and the words that must appear.
const FAULTS: &[(&str, Kind, &str)] = &[
    ("endless_loop", Kind::OutOfFuel, "units of fuel"),
    // The stack of a Rust guest lies in its memory, and ends there before the host's limit.
    ("deep_recursion", Kind::Trap, "in "),
    ("allocation_bomb", Kind::OutOfMemory, "the limit is 64 MiB"),
    ("a_gigabyte_of_findings", Kind::OutOfMemory, "the limit is 64 MiB"),
    ("too_many_findings", Kind::BadAnswer, "handed over more than 4 MiB"),
    ("one_long_text", Kind::BadAnswer, "handed over more than 4 MiB"),
    ("invalid_utf8", Kind::BadAnswer, "utf-8"),
    ("row_out_of_range", Kind::BadAnswer, "row 4000000000"),
    ("row_of_another_rule", Kind::BadAnswer, "2 findings on 1 rows"),
    ("context_is_no_object", Kind::BadAnswer, "no JSON object"),
    ("host_call_flood", Kind::OutOfFuel, "units of fuel"),
    ("log_flood", Kind::OutOfFuel, "units of fuel"),
];

const THIRDS: [i64; 4] = [0, 3, 6, 9];

#[test]
fn unruly_rules_lose_their_own_rows_and_nobody_elses() {
    let unruly = load("unruly").unwrap();
    let detected = judge(std::slice::from_ref(&unruly));

    for (rule, kind, words) in FAULTS {
        let stats = &detected.stats[*rule];
        let error = stats.last_error.as_ref().unwrap_or_else(|| panic!("{rule} did not fail"));
        assert_eq!(error.kind, *kind, "{rule}: {error}");
        assert!(error.message.contains(words), "{rule}: {error}");
        assert_eq!(error.kind.blame(), Blame::Guest, "{rule}");
        assert_eq!((stats.rows, stats.faults, stats.findings), (12, 12, 0), "{rule}");
        let dead = detected.dead.iter().filter(|letter| letter.message.contains(rule)).count();
        assert_eq!(dead, 12, "{rule}: each record it is lost on can be sent again");
        assert!(alerts_of(&detected, rule).is_empty(), "{rule}");
    }

    // Only the poisonous record is lost to a rule that traps on one.
    let picky = &detected.stats["trap_on_the_seventh"];
    assert_eq!((picky.faults, picky.findings), (1, 4));
    assert_eq!(picky.last_error.as_ref().unwrap().kind, Kind::Trap);
    assert_eq!(alerts_of(&detected, "trap_on_the_seventh"), THIRDS.into());

    // An output that is none costs the alert its way there, and nothing else.
    let alerts: Vec<_> = detected.alerts.iter().filter(|alert| alert.rule_name == "output_is_none").collect();
    assert!(alerts.len() == 1 && alerts[0].outputs == ["slack"], "{alerts:?}");

    assert_eq!(detected.stats["good_neighbour"].faults, 0);
    assert_eq!(alerts_of(&detected, "good_neighbour"), THIRDS.into());
    // All of the above are all there is.
    assert_eq!(unruly.rules().len(), FAULTS.len() + 3);
    assert_eq!(detected.dead.len(), FAULTS.len() * 12 + 1);
}

#[test]
fn a_neighbour_in_another_component_judges_as_if_alone() {
    let host = host();
    let any = LoadCheck::any_log();
    let awake = host.load("sleeper.wasm", &guest("sleeper"), &any).unwrap();
    let unruly = host.load("unruly.wasm", &guest("unruly"), &any).unwrap();
    let alone = judge(std::slice::from_ref(&awake));
    let beside = judge(&[unruly, awake]);
    assert_eq!(alerts_of(&alone, "wide_awake").len(), 12);
    let ids = |detected: &Detected| -> Vec<String> {
        detected.alerts.iter().filter(|a| a.rule_name == "wide_awake").map(|a| a.id.clone()).collect()
    };
    assert_eq!(ids(&alone), ids(&beside));
    assert_eq!(alone.stats["wide_awake"].fuel, beside.stats["wide_awake"].fuel);
}

#[track_caller]
fn refused(name: &str, says: &[&str]) {
    let error = match load(name) {
        Ok(_) => panic!("{name} was loaded"),
        Err(error) => error.to_string(),
    };
    for part in says {
        assert!(error.starts_with(&format!("{name}.wasm: ")) && error.contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_file_fault_and_remedy() {
    refused("missing_export", &["exports nothing, but no streamalert:plugin/detection@0.1.0", "world `rule`"]);
    refused("wrong_world", &["exports acme:tools/greeter, but no streamalert:plugin/detection@0.1.0"]);
    refused("wrong_version", &["detection of version 0.9.0; this host knows 0.1.0", "rebuild it"]);
    refused("describe_traps", &["describe: the component does not start: trap: ", "must answer without a trap"]);
    refused("describe_loops", &["describe: the component does not start: out_of_fuel: "]);
    refused("duplicate_names", &["rule twin, name: rules 0 and 2 have the same name"]);
}
