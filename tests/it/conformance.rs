//! Every SDK's component of `rule-sdk/conformance` against the same stories: what it declares, what it reads, how it fails.
//!
//! Components are built by `make guests`; one that is not there, for want of the language's tools, is skipped, and said so. What came
//! of it is the table in `rule-sdk/README.md`, which must be what the run gives; `UPDATE_EXPECT=1` writes it anew.

use crate::run_world::carried;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::{Host, HostConfig, LoadCheck, MemoryTables, RuleComponent};

/// Languages, as their folders are called, and as people call them. TypeScript is JavaScript before the component is built.
const LANGUAGES: [(&str, &str); 7] = [
    ("rust", "Rust"),
    ("assemblyscript", "AssemblyScript"),
    ("c", "C"),
    ("go", "Go"),
    ("tinygo", "TinyGo"),
    ("js", "JavaScript, TypeScript"),
    ("python", "Python"),
];

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

/// Keeps compiled code from run to run: Python takes it ten seconds.
fn host(tables: MemoryTables) -> Host {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-conformance"));
    Host::new(HostConfig { cache_dir, lookup_tables: Arc::new(tables), ..HostConfig::default() }).unwrap()
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
        let host = host(memory);
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
        let batch = carried("test:edge", records, &self.schemas);
        let detected = self.rules.judge_by(&batch, "2026-01-02T03:04:05Z", &|name| name == rule);
        let alerts = detected.alerts.into_iter().map(|alert| (alert.position.offset, alert)).collect();
        let faults = detected.dead.into_iter().map(|dead| (dead.position.offset, dead.fault.unwrap().kind)).collect();
        (alerts, faults)
    }
}

/// What is different from what should be; nothing if all is well. And the kinds of failure that there were.
fn differences(subject: &Subject, story: &Value) -> (Vec<String>, BTreeSet<String>) {
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
        return (wrong, BTreeSet::new());
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
    (wrong, faults.into_values().collect())
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

/// A story of failure passes by the kind that it names, which is worth telling; the clock, though, may be faster than the fuel.
fn passed(faults: &BTreeSet<String>) -> String {
    let kinds: BTreeSet<&str> =
        faults.iter().map(|kind| if kind == "timeout" { "out_of_fuel" } else { kind }).collect();
    match kinds.is_empty() {
        true => "yes".to_owned(),
        false => format!("yes: {}", Vec::from_iter(kinds).join(", ").replace('_', " ")),
    }
}

/// Whether what the author's code said when it failed is in the log.
fn tells_why(subject: &Subject) -> bool {
    let index = subject.component.rules().iter().position(|info| info.name == "edge_error").unwrap();
    let mut bytes = Vec::new();
    streamalert_packed::Builder::json(&mut bytes, &json!({"mode": "error"}));
    // SAFETY: just built.
    let explained = subject.component.explain(index, unsafe { streamalert_packed::Record::trusted(&bytes) });
    explained.logs.iter().any(|line| line.message.contains("fail"))
}

/// Imports that are not of our own package.
fn foreign(bytes: &[u8]) -> Vec<String> {
    let imports = host(MemoryTables::default()).inspect(bytes, &LoadCheck::any_log()).imports;
    imports.into_iter().filter(|name| !name.starts_with("streamalert:plugin/")).collect()
}

/// Rows of the table, each with a cell for each language that was run.
#[derive(Default)]
struct Table(Vec<(String, BTreeMap<&'static str, String>)>);

impl Table {
    fn put(&mut self, row: &str, language: &'static str, cell: String) {
        match self.0.iter_mut().find(|(name, _)| name == row) {
            Some((_, cells)) => drop(cells.insert(language, cell)),
            None => self.0.push((row.to_owned(), BTreeMap::from([(language, cell)]))),
        }
    }

    /// As the README shows it. A language that was not run keeps what it has there.
    fn markdown(&self, before: &str) -> String {
        let old: Vec<Vec<&str>> =
            before.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        let column = |title: &str| old.first()?.iter().position(|cell| *cell == title);
        let titles: Vec<&str> = LANGUAGES.iter().map(|(_, title)| *title).collect();
        let mut text = format!("| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        for (row, cells) in &self.0 {
            let kept = |title: &str| Some(*old.iter().find(|line| line[0] == row)?.get(column(title)?)?);
            let cells = LANGUAGES.iter().map(|(language, title)| match cells.get(language) {
                Some(cell) => cell,
                None => kept(title).unwrap_or("?"),
            });
            text += &format!("| {row} | {} |\n", Vec::from_iter(cells).join(" | "));
        }
        text
    }

    fn check(&self) {
        const BEGIN: &str = "<!-- table of tests/it/conformance.rs -->\n";
        const END: &str = "<!-- end of the table -->";
        let path = root().join("rule-sdk/README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = readme.split_once(BEGIN).expect("the README has the mark");
        let (shown, tail) = rest.split_once(END).expect("the table has an end");
        let run = self.markdown(shown);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, format!("{head}{BEGIN}{run}{END}{tail}")).unwrap();
            return;
        }
        assert!(shown == run, "{} shows\n{shown}\nand the run gave\n{run}\nUPDATE_EXPECT=1 writes it", path.display());
    }
}

/// What plugins of the other worlds are written with, where the language has no SDK for them.
fn other_worlds(table: &mut Table, language: &'static str) {
    for world in ["parser", "publisher", "output"] {
        // TinyGo builds the same source as Go.
        let folder = if language == "tinygo" { "go" } else { language };
        let worlds =
            std::fs::read_dir(root().join(format!("rule-sdk/{folder}/worlds"))).into_iter().flatten().flatten();
        let names: Vec<String> = worlds.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let there = names.iter().any(|name| name.ends_with(world));
        let cell = if there { "yes" } else { "no: no SDK; take Rust's" };
        table.put(&format!("{world}s, see [the worlds](#other-plugins-than-rules)"), language, cell.to_owned());
    }
}

#[test]
fn every_language_passes_the_same_stories() {
    let vectors = vectors();
    let reference = Subject::load(&component("rust"), &vectors["tables"]);
    let mut failures = Vec::new();
    let mut table = Table::default();
    for (language, _) in LANGUAGES {
        let path = component(language);
        if !path.exists() {
            println!("skipped: {} is not built", path.display());
            continue;
        }
        let subject = Subject::load(&path, &vectors["tables"]);
        let mut put = |row: &str, wrong: Vec<String>, yes: String| {
            let cell = wrong.first().map_or(yes, |first| format!("no: {}", first.replace('|', "\\|")));
            table.put(row, language, cell);
            failures.extend(wrong.into_iter().map(|what| format!("{language}: {row}: {what}")));
        };
        let mut wrong = Vec::new();
        compare("describe", &declared(&subject), &declared(&reference), &mut wrong);
        put("declarations mean the same", wrong, "yes".to_owned());
        for story in vectors["stories"].as_array().unwrap() {
            let (mut wrong, faults) = differences(&subject, story);
            // Whatever happened, the next batch is judged as ever.
            let (alerts, _) = subject.judge("edge_all", &[json!({"n": 1})]);
            if alerts.len() != 1 {
                wrong.push("a good record after it is not judged".to_owned());
            }
            put(story["name"].as_str().unwrap(), wrong, passed(&faults));
        }
        let told = if tells_why(&subject) { "yes" } else { "no: the fault names the function only" };
        put("what a failing rule said is in the log", Vec::new(), told.to_owned());
        let foreign = foreign(&std::fs::read(&path).unwrap());
        let alone = if foreign.is_empty() {
            "yes".to_owned()
        } else {
            format!("no: {} of WASI, for its runtime", foreign.len())
        };
        put("imports nothing but StreamAlert's", Vec::new(), alone);
        other_worlds(&mut table, language);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    table.check();
}
