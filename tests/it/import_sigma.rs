//! Sigma rules, brought over by `streamalert import sigma`: those of `tests/sigma-rules`, as one component.
//!
//! `vectors.json` has every modifier, value and condition both ways. What the library rsigma-eval, which knows nothing of our
//! evaluator, says of the same rules and records must be the same, but where a vector says how it differs.

use crate::python::{checkout, exits};
use rsigma_eval::{CompiledRule, JsonEvent};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use streamalert_pipeline::classifier::log_batch;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::{Host, HostConfig, LoadCheck, RuleComponent};
use streamalert_sdk::Record;
use streamalert_sigma::Judge;

/// Rules, an own configuration, and what came of their import.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        let shipped = checkout().join("conf");
        for folder in ["schemas", "clusters"] {
            copy(&shipped.join(folder), &place.at("conf").join(folder));
        }
        let schema = json!({"test:event": {"parser": "json", "schema": {"nothing": "string"}}});
        std::fs::write(place.at("conf/schemas/test.json"), schema.to_string()).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(crate::run_world::program());
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sigma");
        command.args(arguments).current_dir(self.0.path()).env("NO_COLOR", "1").env("CARGO_TARGET_DIR", built);
        command.output().unwrap()
    }

    /// Without building anything.
    fn report(&self, arguments: &[&str], code: i32) -> Value {
        let import = ["import", "sigma", "rules", "--config", "conf", "--no-build", "--output", "json"];
        serde_json::from_str(&exits(self.run(&[&import, arguments].concat()), code)).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => std::fs::write(&target, std::fs::read(&path).unwrap()).unwrap(),
        }
    }
}

fn own(name: &str) -> PathBuf {
    checkout().join("tests/sigma-rules").join(name)
}

#[derive(Clone)]
struct Vector {
    name: String,
    detection: Value,
    fires: Vec<Value>,
    silent: Vec<Value>,
    /// How the library differs.
    library: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(own("vectors.json")).unwrap();
    let all: Vec<Map<String, Value>> = serde_json::from_str(&text).unwrap();
    let records = |vector: &Map<String, Value>, key: &str| vector[key].as_array().unwrap().clone();
    let vector = |vector: &Map<String, Value>| Vector {
        name: vector["name"].as_str().unwrap().to_owned(),
        detection: vector["detection"].clone(),
        fires: records(vector, "fires"),
        silent: records(vector, "silent"),
        library: vector.get("library").map(|how| how.as_str().unwrap().to_owned()),
    };
    let all: Vec<Vector> = all.iter().map(vector).collect();
    assert!(all.len() > 100 && all.iter().all(|vector| !vector.fires.is_empty() && !vector.silent.is_empty()));
    all
}

impl Vector {
    /// The rule; JSON is YAML.
    fn rule(&self) -> String {
        json!({"title": self.title(), "logsource": {"product": "test"}, "detection": self.detection}).to_string()
    }

    fn title(&self) -> String {
        format!("Vector {}", self.name)
    }
}

/// Rules beside those that are looked at: what an instance does before its first answer must not grow with them.
const MANY: usize = 2500;

/// They ask for what nothing has, and all together say more than a component may otherwise answer.
fn one_of_many(number: usize) -> String {
    let detection = json!({"selection": {"many": number}, "condition": "selection"});
    let (title, description) = (format!("One of many {number}"), "of many ".repeat(250));
    json!({"title": title, "description": description, "logsource": {"product": "test"}, "detection": detection})
        .to_string()
}

/// All rules in one component, built once for all tests.
struct World {
    place: Place,
    report: Value,
    component: Arc<RuleComponent>,
    rules: Rules,
    schemas: Schemas,
    /// Name of the rule by title.
    names: BTreeMap<String, String>,
    /// By name, as they stand in the crate.
    ready: BTreeMap<String, streamalert_sigma::rule::Rule>,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let place = Place::new();
        copy(&own("rules"), &place.at("rules/ours"));
        copy(&own("unfit"), &place.at("rules/unfit"));
        place.write("rules/latin.yml", b"title: \xe9");
        place.write("rules/.github/workflow.yml", "title: Hidden");
        let vectors = vectors();
        let documents: Vec<String> = vectors.iter().map(Vector::rule).chain((0..MANY).map(one_of_many)).collect();
        place.write("rules/vectors.yml", documents.join("\n---\n"));
        let mapping = own("mapping.json").display().to_string();
        let import = ["import", "sigma", "rules", "--config", "conf", "--mapping", &mapping];
        let said =
            exits(place.run(&[&import[..], &["--outputs", "file:audit,file:more", "--output", "json"]].concat()), 1);
        let lines = std::fs::read_to_string(place.at("imported-sigma/crate/src/rules.jsonl")).unwrap();
        let report: Value = serde_json::from_str(&said).unwrap();
        let names = report["rules"].as_array().unwrap().iter();
        let names = names.map(|rule| (rule["title"].as_str().unwrap().into(), rule["rule"].as_str().unwrap().into()));
        let names = names.collect();
        let ready = lines.lines().map(|line| serde_json::from_str(line).unwrap());
        let ready = ready.map(|rule: streamalert_sigma::rule::Rule| (rule.name.clone(), rule)).collect();
        let host = Host::new(HostConfig::default()).unwrap();
        let bytes = std::fs::read(place.at("imported-sigma/plugins/sigma_rules.wasm")).unwrap();
        let component = host.load("sigma_rules.wasm", &bytes, &LoadCheck::any_log()).unwrap();
        let schema = json!({"test:event": {"parser": "json", "schema": {}}});
        let schemas = Schemas::read(&[("test.json".into(), schema.to_string())]).unwrap();
        let set = PluginSet { plugins: vec![component.clone()], ..PluginSet::default() };
        let rules = Rules::new(set, &schemas);
        World { place, report, component, rules, schemas, names, ready }
    })
}

impl World {
    /// Which rules report which of these records, through the prefilter; all as they are, not classified.
    fn judge(&self, records: &[Value]) -> BTreeSet<(String, u64)> {
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
            RecordBatch { cluster: "test".into(), log_type: "test:event".into(), arrived: 0, rule: None, records };
        let (batch, dead) = log_batch(batch, &self.schemas);
        assert!(dead.is_empty(), "{dead:?}");
        let detected = self.rules.judge(&batch, "2026-01-02T03:04:05Z");
        assert!(detected.dead.is_empty(), "{:?}", detected.dead);
        detected.alerts.into_iter().map(|alert| (alert.rule_name.to_string(), alert.position.offset)).collect()
    }

    fn name(&self, vector: &Vector) -> &str {
        self.names.get(&vector.title()).unwrap_or_else(|| panic!("{} is not imported", vector.name))
    }
}

fn library(vector: &Vector) -> CompiledRule {
    let collection = rsigma_parser::parse_sigma_yaml(&vector.rule()).unwrap();
    rsigma_eval::compile_rule(&collection.rules[0]).unwrap()
}

fn library_says(rule: &CompiledRule, record: &Value) -> bool {
    rsigma_eval::evaluate_rule(rule, &JsonEvent::borrow(record)).is_some()
}

#[test]
fn every_modifier_both_ways_in_the_component_natively_and_by_the_library() {
    let world = world();
    let mut wrong = Vec::new();
    for vector in vectors() {
        let name = world.name(&vector);
        let records: Vec<Value> = vector.fires.iter().chain(&vector.silent).cloned().collect();
        let found = world.judge(&records);
        let (judge, library_rule) = (Judge::new(&world.ready[name].detect), library(&vector));
        let mut differs = false;
        for (row, record) in records.iter().enumerate() {
            let expected = row < vector.fires.len();
            if found.contains(&(name.to_owned(), row as u64)) != expected {
                wrong.push(format!("{}: the component should say {expected} of {record}", vector.name));
            }
            if judge.holds(&Record::from_json(record.clone())) != expected {
                wrong.push(format!("{}: the evaluator should say {expected} of {record}", vector.name));
            }
            if library_says(&library_rule, record) != expected {
                differs = true;
                if vector.library.is_none() {
                    wrong.push(format!("{}: the library does not say {expected} of {record}", vector.name));
                }
            }
        }
        if vector.library.is_some() && !differs {
            wrong.push(format!("{}: the library does not differ any more", vector.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn over_generated_records_the_component_the_evaluator_and_the_library_agree() {
    let world = world();
    let vectors: Vec<Vector> = vectors().into_iter().filter(|vector| vector.library.is_none()).collect();
    // Whatever a field holds in any vector it may hold in any record.
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in vectors.iter().flat_map(|vector| vector.fires.iter().chain(&vector.silent)) {
        for (field, value) in record.as_object().unwrap() {
            let known = values.entry(field.clone()).or_default();
            if !known.contains(value) {
                known.push(value.clone());
            }
        }
    }
    let mut seed = 0x5157_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut records = Vec::new();
    for _ in 0..2000 {
        let mut record = Map::new();
        for (field, known) in &values {
            if random(2) == 0 {
                record.insert(field.clone(), known[random(known.len())].clone());
            }
        }
        records.push(Value::Object(record));
    }
    let found = world.judge(&records);
    let native: Vec<Box<Record>> = records.iter().cloned().map(Record::from_json).collect();
    let (mut wrong, mut fired, mut silent) = (Vec::new(), 0, 0);
    for vector in &vectors {
        let name = world.name(vector);
        let (judge, library_rule) = (Judge::new(&world.ready[name].detect), library(vector));
        // As the vectors say: with lists it compares the whole, and its `*` ends at a line.
        let detection = vector.detection.to_string();
        let (whole_lists, lines) = (detection.contains("fieldref"), detection.contains('*'));
        for (row, record) in records.iter().enumerate() {
            let component = found.contains(&(name.to_owned(), row as u64));
            *(if component { &mut fired } else { &mut silent }) += 1;
            let evaluator = judge.holds(&native[row]);
            let by_library = library_says(&library_rule, record);
            let known = whole_lists && (record["a"].is_array() || record["b"].is_array())
                || lines && record["a"].as_str().is_some_and(|text| text.contains('\n'));
            if component != evaluator || component != by_library && !known {
                wrong.push(format!(
                    "{}: component {component}, evaluator {evaluator}, library {by_library}: {record}",
                    vector.name
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fired > 5_000 && silent > 5_000, "{fired} {silent}");
}

#[test]
fn rules_over_our_log_types_judge_classified_records() {
    let world = world();
    copy(&own("cases"), &world.place.at("cases"));
    let tested = world.place.run(&["test", "cases", "--plugins", "imported-sigma/plugins", "--config", "conf"]);
    let said = exits(tested, 0);
    assert!(said.contains("23 passed"), "{said}");
}

#[test]
fn what_the_rule_says_of_itself_reaches_the_host() {
    let world = world();
    let rule = |name: &str| world.component.rules().iter().find(|rule| rule.name == name).unwrap();
    let trail = rule("sigma_trail_switched_off");
    assert_eq!(
        trail.description,
        "Somebody stops or deletes a trail, so that what follows is not recorded.\n\n\
         False positives: A trail that is replaced by another"
    );
    assert_eq!(trail.logs, ["cloudtrail:events"]);
    let options = serde_json::to_value(&trail.options).unwrap();
    assert_eq!(options["severity"], "high");
    assert_eq!(options["outputs"], json!(["file:audit", "file:more"]));
    assert_eq!(options["tags"], json!(["attack.defense-evasion", "attack.t1562.008"]));
    assert_eq!(options["references"].as_array().unwrap().len(), 1);
    let about = json!({"id": "2d0c7a5e-6f0b-4a83-9a44-0b8e3d7a1c01", "author": "Northwind Robotics", "status": "test"});
    assert_eq!(options["context"], json!({ "sigma": about }));
    let asked = json!([
        [{"path": "eventSource", "test": {"equals": ["cloudtrail.amazonaws.com"]}}],
        [{"path": "eventName", "test": {"equals": ["stoplogging", "DeleteTrail"]}}],
    ]);
    assert_eq!(options["when_any"], asked);
    // Two ways to tell of a process.
    assert_eq!(rule("sigma_shadow_copies_deleted").logs, ["windows:event", "windows:security"]);
    // And whoever reads the component is told.
    let inspected = exits(world.place.run(&["inspect", "imported-sigma/plugins/sigma_rules.wasm"]), 0);
    assert!(
        inspected.contains(r#"eventName is "stoplogging" or "DeleteTrail" (in any case)"#)
            && !inspected.contains("when_any"),
        "{inspected}"
    );
    // The title stands above the alert.
    world.place.write("stop.json", json!({"Records": [{
        "awsRegion": "us-east-1", "eventID": "1", "eventName": "DELETETRAIL", "eventSource": "cloudtrail.amazonaws.com",
        "eventTime": "2026-11-17T09:20:31Z", "eventType": "AwsApiCall", "eventVersion": "1.08",
        "sourceIPAddress": "192.0.2.1", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/eve"},
    }]}).to_string());
    let explain = ["--record=stop.json", "--plugins=imported-sigma/plugins", "--config=conf", "--output=json"];
    let explained = world.place.run(&[&["explain", "--rule=sigma_trail_switched_off"], &explain[..]].concat());
    let explained: Value = serde_json::from_str(&exits(explained, 0)).unwrap();
    assert_eq!(explained["asked"]["title"], "Trail Switched Off", "{explained:#}");
    assert_eq!(explained["asked"]["severity"], "high");
    assert_eq!(explained["alternatives"][1]["holds"], true);
    let reads = explained["asked"]["reads"].to_string();
    assert!(reads.contains(r#""path":"eventName""#), "{reads}");
    let explained = world.place.run(&[&["explain", "--rule=sigma_own_policy_attached"], &explain[..]].concat());
    let explained: Value = serde_json::from_str(&exits(explained, 0)).unwrap();
    assert_eq!((&explained["asked"], &explained["alternatives"][0]["holds"]), (&Value::Null, &json!(false)));
}

#[test]
fn what_cannot_be_imported_is_listed_with_the_reason_and_the_rest_goes_through() {
    let world = world();
    let left: BTreeMap<String, (String, String)> = world.report["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| {
            let text = |key: &str| left[key].as_str().unwrap().to_owned();
            (if text("rule").is_empty() { text("file") } else { text("rule") }, (text("file"), text("why")))
        })
        .collect();
    let expected = [
        ("Many Failures", "unfit/counting.yml", "has an aggregation"),
        ("Failures In A Row", "unfit/counting.yml", "it is a correlation"),
        ("Slow Failures", "unfit/counting.yml", "has a timeframe"),
        ("But Not Ours", "unfit/counting.yml", "it is a filter"),
        ("Unclosed", "unfit/broken.yml", "YAML"),
        ("unfit/broken.yml", "unfit/broken.yml", "title"),
        ("No Detection", "unfit/broken.yml", "detection"),
        ("Odd Modifier", "unfit/detections.yml", "sounds"),
        ("Quarrelling Modifiers", "unfit/detections.yml", "conflicting modifiers"),
        ("Unknown Placeholder", "unfit/detections.yml", "%servers%"),
        ("Bad Expression", "unfit/detections.yml", "look-around"),
        ("Bad Network", "unfit/detections.yml", "10.0.0.0/40 is no network"),
        ("Bad Number", "unfit/detections.yml", "many"),
        ("Nothing So Called", "unfit/detections.yml", "`filter_*`"),
        ("Nobody", "unfit/detections.yml", "`selections`"),
        ("Too Many", "unfit/detections.yml", "2 of `sel*`"),
        ("No Values", "unfit/detections.yml", "no values"),
        ("Items Of A List", "unfit/detections.yml", "items of a list"),
        ("Unknown Source", "unfit/sources.yml", "product toaster, category bread"),
        ("No Source", "unfit/sources.yml", "(none)"),
        ("Missing Log Type", "unfit/sources.yml", "absent:log"),
        ("Withdrawn", "unfit/sources.yml", "deprecated"),
        ("latin.yml", "latin.yml", "not UTF-8"),
    ];
    for (rule, file, why) in expected {
        let Some((found_file, found_why)) = left.get(rule) else { panic!("{rule} is not listed: {left:#?}") };
        assert!(found_file == file && found_why.contains(why), "{rule}: {found_file}: {found_why}");
    }
    assert_eq!(left.len(), expected.len(), "{left:#?}");
    assert_eq!(world.report["other_documents"], 1);
    let count = vectors().len() + MANY + 13;
    assert_eq!(world.report["rules"].as_array().unwrap().len(), count);
    assert_eq!(world.component.rules().len(), count);
    let text = std::fs::read_to_string(world.place.at("imported-sigma/REPORT.md")).unwrap();
    for part in [
        "- Unclosed (`unfit/broken.yml`): ",
        "## Withdrawn by their authors\n\n- Withdrawn (`unfit/sources.yml`): its status is deprecated",
        "- invalid level: 'loud':\n  - `sigma_fit_behind_a_broken_one` (`unfit/broken.yml`)",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn a_folder_of_good_rules_leaves_nothing_out() {
    let place = Place::new();
    copy(&own("rules"), &place.at("rules"));
    let report = place.report(&[], 0);
    assert_eq!((report["left_out"].as_array().unwrap().len(), &report["component"]), (0, &Value::Null));
    // The same rules in another order of files have the same names.
    let names = |report: &Value| {
        let rules = report["rules"].as_array().unwrap().iter();
        rules
            .map(|rule| (rule["rule"].clone(), rule["title"].clone()))
            .map(|pair| format!("{pair:?}"))
            .collect::<Vec<_>>()
    };
    std::fs::rename(place.at("rules/collection.yml"), place.at("rules/windows/z.yml")).unwrap();
    let again = place.report(&[], 0);
    assert_eq!(names(&report), names(&again));
}

#[test]
fn mappings_are_checked_and_stand_before_ours() {
    let place = Place::new();
    place.write(
        "rules/a.yml",
        "title: Toast\nlogsource: {product: toaster}\ndetection: {s: {heat|gt: 7, Who: eve}, condition: s}\n",
    );
    let refused = |mapping: &str, why: &str| {
        place.write("mapping.json", mapping);
        let ran = place.run(&["import", "sigma", "rules", "--config", "conf", "--mapping", "mapping.json"]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && said.contains(why), "{mapping}: {said}");
        assert!(!place.at("imported-sigma").exists());
    };
    refused("{", "mapping.json");
    refused(r#"{"sauces": []}"#, "unknown field `sauces`");
    refused(
        r#"{"sources": [{"logsource": {"produkt": "x"}, "logs": ["a"]}]}"#,
        "sources[0].logsource.produkt: unknown field",
    );
    refused(r#"{"sources": [{"logsource": {"product": "x"}, "logs": []}]}"#, "sources[0]: `logs` names no log type");
    refused(r#"{"sources": [{"logsource": {}, "logs": ["a"]}]}"#, "neither product, category nor service");
    refused(r#"{"sources": [{"logsource": {"product": "x"}, "logs": ["a"], "use": "y"}]}"#, "`use` names `y`");
    refused(
        r#"{"sources": [{"logsource": {"product": "x"}, "logs": ["a"], "where": {"a|odd": 1}}]}"#,
        "`where`: Unknown modifier 'odd'",
    );
    refused(
        r#"{"sources": [{"logsource": {"product": "x"}, "logs": ["a"], "fields": {"a": ""}}]}"#,
        "the path of `a` is empty",
    );

    let good = json!({
        "sets": {"people": {"Who": "user.name"}},
        "sources": [{
            "logsource": {"product": "Toaster"}, "logs": ["test:event"], "use": "people", "under": "data", "where": {"kind": ["t", "u"]},
        }],
    });
    place.write("mapping.json", good.to_string());
    let report = place.report(&["--mapping", "mapping.json"], 0);
    let line = std::fs::read_to_string(place.at("imported-sigma/crate/src/rules.jsonl")).unwrap();
    let rule: streamalert_sigma::rule::Rule = serde_json::from_str(line.trim()).unwrap();
    let judge = Judge::new(&rule.detect);
    let holds = |record: Value| judge.holds(&Record::from_json(record));
    assert!(holds(json!({"kind": "T", "data": {"heat": 8}, "user": {"name": "Eve"}})));
    assert!(!holds(json!({"kind": "v", "data": {"heat": 8}, "user": {"name": "eve"}})));
    assert!(!holds(json!({"kind": "t", "heat": 8, "Who": "eve"})));
    // The log type has none of these fields, which is worth a look.
    let notes = report["rules"][0]["notes"].to_string();
    assert!(notes.contains("test:event has no field `user.name`, which `Who` is taken for"), "{notes}");
}

#[test]
fn wrong_arguments_are_told() {
    let place = Place::new();
    let refused = |arguments: &[&str], why: &str| {
        let ran = place.run(&[&["import", "sigma"], arguments].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && said.contains(why), "{arguments:?}: {said}");
    };
    refused(&["nowhere", "--config", "conf"], "nowhere is neither a folder nor a file");
    place.write("empty/readme.txt", "x");
    refused(&["empty", "--config", "conf"], "empty has no Sigma rules");
    place.write(
        "rules/a.yml",
        "title: A\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: x}, condition: s}\n",
    );
    refused(&["rules", "--config", "conf", "--mapping", "none.json"], "none.json");
    // Somebody else's folder is not touched.
    place.write("taken/file", "x");
    refused(&["rules", "--config", "conf", "--out", "taken"], "taken holds something else than an import");
    assert!(place.at("taken/file").is_file());
}
