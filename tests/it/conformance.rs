//! Every SDK's component of `rule-sdk/conformance` against the same stories: what it declares, what it reads, how it fails.
//!
//! Components are built by `make guests` for Rust, and by each language's own script for the others; one that is not there is
//! skipped, and said so.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::classifier::log_batch;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::{Host, HostConfig, LoadCheck, MemoryTables, RuleComponent};

/// Languages, as their folders are called.
const LANGUAGES: [&str; 6] = ["rust", "go", "assemblyscript", "js", "python", "c"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn component(language: &str) -> PathBuf {
    root().join(format!("target/guests/conformance-{language}/conformance.wasm"))
}

fn vectors() -> Value {
    let text = std::fs::read_to_string(root().join("rule-sdk/conformance/vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One component, ready to be asked.
struct Subject {
    component: Arc<RuleComponent>,
    rules: Rules,
    schemas: Schemas,
}

impl Subject {
    fn load(path: &Path, tables: &Value) -> Subject {
        let mut memory = MemoryTables::default();
        for (name, entries) in tables.as_object().unwrap() {
            memory.insert(name, entries.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let host = Host::new(HostConfig { lookup_tables: Arc::new(memory), ..HostConfig::default() }).unwrap();
        let bytes = std::fs::read(path).unwrap();
        let component = host.load("conformance.wasm", &bytes, &LoadCheck::any_log()).unwrap();
        // So that a rule with `datatypes` is one of those that look at it.
        let schema = json!({"test:edge": {"parser": "json", "schema": {}, "configuration": {
            "normalization": {"sourceAddress": [{"path": ["ip"], "function": "x"}]}}}});
        let schemas = Schemas::read(&[("edge.json".into(), schema.to_string())]).unwrap();
        let set = PluginSet { plugins: vec![component.clone()], ..PluginSet::default() };
        Subject { component, rules: Rules::new(set, &schemas), schemas }
    }

    /// Alerts by row, and the kinds of failure by row.
    fn judge(&self, rule: &str, records: &[Value]) -> (BTreeMap<u64, Alert>, BTreeMap<u64, String>) {
        let source = Arc::new(Source::new("test", "test", ""));
        let record = |(row, record): (usize, &Value)| BatchRecord {
            source: source.clone(),
            position: Position { offset: row as u64, length: 1, index: 0 },
            identity: [0; 32],
            event_time: None,
            json: record.to_string(),
        };
        let records = records.iter().enumerate().map(record).collect();
        let batch =
            RecordBatch { cluster: "test".into(), log_type: "test:edge".into(), arrived: 0, rule: None, records };
        let (batch, dead) = log_batch(batch, &self.schemas);
        assert!(dead.is_empty(), "{dead:?}");
        let detected = self.rules.judge_only(&batch, "2026-01-02T03:04:05Z", Some(rule));
        let alerts = detected.alerts.into_iter().map(|alert| (alert.position.offset, alert)).collect();
        let faults = detected.dead.into_iter().map(|dead| (dead.position.offset, dead.fault.unwrap().kind)).collect();
        (alerts, faults)
    }
}

/// What is different from what should be; nothing if all is well.
fn differences(subject: &Subject, story: &Value) -> Vec<String> {
    let rule = story["rule"].as_str().unwrap();
    let mut record = story["record"].clone();
    for (key, fill) in story["fill"].as_object().into_iter().flatten() {
        record[key] = fill[0].as_str().unwrap().repeat(fill[1].as_u64().unwrap() as usize).into();
    }
    let records: Vec<Value> = match (&story["records"], story["count"].as_u64()) {
        (Value::Array(records), _) => records.clone(),
        (_, Some(count)) => vec![record; count as usize],
        _ => vec![record],
    };
    let (mut alerts, faults) = subject.judge(rule, &records);
    let mut wrong = Vec::new();
    if story["all"] == true {
        if alerts.len() != records.len() {
            wrong.push(format!("{} findings of {}", alerts.len(), records.len()));
        }
        return wrong;
    }
    for finding in story["findings"].as_array().unwrap() {
        let row = finding["row"].as_u64().unwrap();
        let Some(alert) = alerts.remove(&row) else {
            wrong.push(format!("row {row} is not reported; failures: {faults:?}"));
            continue;
        };
        let found = json!({
            "row": row, "title": alert.title, "severity": alert.severity, "dedup_key": alert.dedup_key,
            "context": alert.context, "outputs": alert.outputs,
        });
        for (key, expected) in finding.as_object().unwrap() {
            compare(&format!("row {row} {key}"), &found[key], expected, &mut wrong);
        }
    }
    wrong.extend(alerts.keys().map(|row| format!("row {row} is reported, and should not be")));
    let none = Map::new();
    let expected = story["faults"].as_object().unwrap_or(&none);
    for (row, kind) in &faults {
        let allowed = expected.get(&row.to_string()).and_then(Value::as_array);
        if !allowed.is_some_and(|kinds| kinds.iter().any(|allowed| allowed == kind.as_str())) {
            wrong.push(format!("row {row} fails by {kind}"));
        }
    }
    for row in expected.keys().filter(|row| !faults.contains_key(&row.parse().unwrap())) {
        wrong.push(format!("row {row} does not fail"));
    }
    if let Some(lines) = story["logs"].as_array() {
        wrong.extend(logged(subject, rule, &records[0], lines, story["logs_begin"] == true));
    }
    wrong
}

/// Numbers are equal if they are the same number: a language with one kind of number may write 1 as 1.0.
fn compare(at: &str, found: &Value, expected: &Value, wrong: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
            for key in keys {
                let null = Value::Null;
                let (found, expected) = (found.get(key).unwrap_or(&null), expected.get(key).unwrap_or(&null));
                compare(&format!("{at}.{key}"), found, expected, wrong);
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(&format!("{at}.{index}"), found, expected, wrong);
            }
        }
        (Value::Number(found), Value::Number(expected)) if found.as_f64() == expected.as_f64() => {}
        _ if found == expected => {}
        _ => wrong.push(format!("{at}: {found}, should be {expected}")),
    }
}

fn logged(subject: &Subject, rule: &str, record: &Value, expected: &[Value], begin: bool) -> Vec<String> {
    let index = subject.component.rules().iter().position(|info| info.name == rule).unwrap();
    let mut bytes = Vec::new();
    streamalert_packed::Builder::json(&mut bytes, record);
    // SAFETY: just built.
    let explained = subject.component.explain(index, unsafe { streamalert_packed::Record::trusted(&bytes) });
    let lines: Vec<Value> = explained.logs.iter().map(|line| json!([line.level, line.message])).collect();
    let same = match begin {
        true => lines.starts_with(expected) && lines.len() < 100,
        false => lines == expected,
    };
    if same { Vec::new() } else { vec![format!("logged {lines:?}, should be {expected:?}")] }
}

fn declared(subject: &Subject) -> Value {
    let mut rules = serde_json::to_value(subject.component.rules()).unwrap();
    let list = rules.as_array_mut().unwrap();
    list.sort_by_key(|rule| rule["name"].as_str().unwrap().to_owned());
    rules
}

#[test]
fn every_language_passes_the_same_stories() {
    let vectors = vectors();
    let reference = Subject::load(&component("rust"), &vectors["tables"]);
    let mut failures = Vec::new();
    for language in LANGUAGES {
        let path = component(language);
        if !path.exists() {
            println!("skipped: {} is not built", path.display());
            continue;
        }
        let subject = Subject::load(&path, &vectors["tables"]);
        compare(&format!("{language}: describe"), &declared(&subject), &declared(&reference), &mut failures);
        for story in vectors["stories"].as_array().unwrap() {
            let name = story["name"].as_str().unwrap();
            failures.extend(differences(&subject, story).into_iter().map(|what| format!("{language}: {name}: {what}")));
            // Whatever happened, the next batch is judged as ever.
            let (alerts, _) = subject.judge("edge_all", &[json!({"n": 1})]);
            if alerts.len() != 1 {
                failures.push(format!("{language}: after {name} a good record is not judged"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
