//! Sigma rules, brought over by `streamalert import sigma`: those of `tests/sigma-rules`, as one component.
//!
//! `vectors.json` has every modifier, value and condition both ways. What the library rsigma-eval, which knows nothing of our
//! evaluator, says of the same rules and records must be the same, but where a vector says how it differs.

use crate::python::{checkout, exits};
use crate::run_world::carried;
use rsigma_eval::{CompiledRule, JsonEvent};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::plugin::{Batch, Finding, Judged, PluginError, PluginSet, RuleInfo, RulePlugin, RuleSession};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::{Host, HostConfig, LoadCheck, RuleComponent};
use streamalert_sdk::Record;
use streamalert_sigma::Judge;
use streamalert_sigma_compile::{File, Mapping, Ready, compile};

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

/// Rules that the host or the component would not take, and all others with them.
fn too_large() -> String {
    let rule = |title: &str, condition: &str, more: (&str, Value)| {
        let detection = json!({"selection": {"eventName": "x"}, "condition": condition});
        let logsource = json!({"product": "aws", "service": "cloudtrail"});
        json!({"title": title, "logsource": logsource, "detection": detection, more.0: more.1}).to_string()
    };
    let tags: Vec<String> = (0..5000).map(|number| format!("attack.t{number}")).collect();
    let deep = format!("{}selection", "not ".repeat(300));
    let rules = [
        rule("Deep", &deep, ("status", "test".into())),
        rule("Much Said", "selection", ("description", "d".repeat(70_000).into())),
        rule("Many Tags", "selection", ("tags", json!(tags))),
    ];
    rules.join("\n---\n")
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
        place.write("rules/unfit/large.yml", too_large());
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
    fn judge(&self, records: &[Value]) -> BTreeSet<(String, u64)> {
        judge(&self.rules, &self.schemas, records)
    }

    fn name(&self, vector: &Vector) -> &str {
        self.names.get(&vector.title()).unwrap_or_else(|| panic!("{} is not imported", vector.name))
    }
}

/// Which rules report which of these records, through the prefilter; all as they are, not classified.
fn judge(rules: &Rules, schemas: &Schemas, records: &[Value]) -> BTreeSet<(String, u64)> {
    let batch = carried("test:event", records, schemas);
    let detected = rules.judge(&batch, "2026-01-02T03:04:05Z");
    assert!(detected.dead.is_empty(), "{:?}", detected.dead);
    detected.alerts.into_iter().map(|alert| (alert.rule_name.to_string(), alert.position.offset)).collect()
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

/// Reports every row that it is asked about.
struct Asked(Vec<RuleInfo>);

struct AskedSession;

impl RulePlugin for Asked {
    fn name(&self) -> &str {
        "asked.wasm"
    }
    fn digest(&self) -> &str {
        "asked"
    }
    fn rules(&self) -> &[RuleInfo] {
        &self.0
    }
    fn open<'a>(&'a self, _: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(AskedSession)
    }
}

impl RuleSession for AskedSession {
    fn evaluate(&mut self, _: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        let finding = |row: &u32| Finding { row: *row, ..Finding::default() };
        Ok(Judged { findings: rows.iter().map(finding).collect(), fuel: 0 })
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % below
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    fn some(&mut self, most: usize, mut make: impl FnMut(&mut Dice) -> Value) -> Vec<Value> {
        (0..=self.roll(most)).map(|_| make(self)).collect()
    }
}

const FIELDS: [&str; 9] =
    ["text", "list", "object", "needed", "object.text", "list.text", "list.0", "object.list.text", "none"];
const MODIFIERS: [&str; 24] = [
    "",
    "",
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|cased",
    "|contains|cased",
    "|all",
    "|contains|all",
    "|re",
    "|re|i",
    "|cidr",
    "|exists",
    "|gt",
    "|lte",
    "|neq",
    "|contains|windash",
    "|windash",
    "|base64offset|contains",
    "|wide|base64",
    "|fieldref",
    "|fieldref|startswith",
    "|hour",
];
const CONDITIONS: [&str; 12] = [
    "s0",
    "s1",
    "s0 and s1",
    "s0 or s1",
    "s0 and not s1",
    "not s0",
    "not (s0 and s1)",
    "1 of s*",
    "all of them",
    "2 of them",
    "(s0 or s1) and not s2",
    "s0 and 1 of s*",
];

/// Values of rules and of records alike, so that they meet.
fn common_value(dice: &mut Dice) -> Value {
    let all = [
        json!(""),
        json!("a"),
        json!("A"),
        json!("ab"),
        json!("aB"),
        json!("b"),
        json!("ÄB"),
        json!("äb"),
        json!("\u{212a}"),
        json!("k"),
        json!("-k"),
        json!("/K"),
        json!("10.0.0.1"),
        json!("10.0.0.255"),
        json!("2001:db8::1"),
        json!("7"),
        json!(7),
        json!(7.0),
        json!(7.5),
        json!(-7),
        json!("-7"),
        json!(18446744073709551615u64),
        json!(1e300),
        json!(true),
        json!("True"),
        json!(false),
        json!(null),
        json!("YQBiAA=="),
        json!("xxYWI="),
        json!("2026-01-02T07:00:00Z"),
        json!("a\nb"),
    ];
    dice.one_of(&all).clone()
}

fn asked_value(dice: &mut Dice, modifiers: &str) -> Value {
    let all = match modifiers {
        "|re" | "|re|i" => [json!("^a"), json!("b$"), json!("."), json!("^$"), json!("[0-9]+")].to_vec(),
        "|cidr" => [
            json!("10.0.0.0/24"),
            json!("10.0.0.128/25"),
            json!("0.0.0.0/0"),
            json!("2001:db8::/32"),
            json!("10.0.0.1"),
        ]
        .to_vec(),
        "|exists" => [json!(true), json!(false)].to_vec(),
        "|gt" | "|lte" | "|hour" => [json!(7), json!(7.2), json!(-8), json!(0)].to_vec(),
        "|fieldref" | "|fieldref|startswith" => FIELDS.map(Value::from).to_vec(),
        _ if dice.roll(3) == 0 => [
            json!("*"),
            json!("a*"),
            json!("*b"),
            json!("*a*"),
            json!("a?"),
            json!("?"),
            json!("*K"),
            json!("*ä*"),
            json!("a*b"),
            json!("*?7*"),
        ]
        .to_vec(),
        _ => return common_value(dice),
    };
    dice.one_of(&all).clone()
}

fn generated_rule(dice: &mut Dice, number: usize) -> String {
    let mut detection = Map::new();
    for selection in ["s0", "s1", "s2"] {
        let items = |dice: &mut Dice| {
            let mut items = Map::new();
            for _ in 0..=dice.roll(2) {
                let modifiers = *dice.one_of(&MODIFIERS);
                let values = match modifiers {
                    "|exists" => asked_value(dice, modifiers),
                    _ => dice.some(3, |dice| asked_value(dice, modifiers)).into(),
                };
                items.insert(format!("{}{modifiers}", dice.one_of(&FIELDS)), values);
            }
            Value::Object(items)
        };
        let said = match dice.roll(6) {
            0 => dice.some(2, items).into(),
            1 => dice.some(2, common_value).into(),
            _ => items(dice),
        };
        detection.insert(selection.into(), said);
    }
    detection.insert("condition".into(), (*dice.one_of(&CONDITIONS)).into());
    json!({"title": format!("Generated {number}"), "logsource": {"product": "test"}, "detection": detection})
        .to_string()
}

fn generated_value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 4 } else { 8 }) {
        4 | 5 => (0..dice.roll(3)).map(|_| generated_value(dice, depth - 1)).collect(),
        6 | 7 => {
            let mut object = Map::new();
            for key in ["text", "list", "0"] {
                if dice.roll(2) == 0 {
                    object.insert(key.into(), generated_value(dice, depth - 1));
                }
            }
            object.into()
        }
        _ => common_value(dice),
    }
}

fn generated_record(dice: &mut Dice) -> Value {
    let mut record = Map::new();
    for key in ["text", "list", "object", "needed"] {
        // As the classifier fills what a log does not have.
        let filled = [json!(""), json!([]), json!({})];
        match dice.roll(4) {
            0 => {}
            1 => drop(record.insert(key.into(), dice.one_of(&filled).clone())),
            _ => drop(record.insert(key.into(), generated_value(dice, 3))),
        }
    }
    record.into()
}

/// What the prefilter keeps from a rule no alert tells of. Rules with the same conditions as others are filed elsewhere, so they
/// are all filed together, and once more by themselves.
#[test]
fn no_record_is_kept_from_a_rule_that_would_report_it() {
    let mut dice = Dice(0x5163);
    let mapping =
        Mapping::read("m", r#"{"sources": [{"logsource": {"product": "test"}, "logs": ["test:event"]}]}"#).unwrap();
    let optional = [("text", true), ("list", true), ("object", true), ("needed", false)];
    let fields = optional.iter().map(|(name, optional)| ((*name).to_owned(), *optional)).collect();
    let log_types = BTreeMap::from([("test:event".to_owned(), fields)]);
    let files: Vec<File> =
        (0..4000).map(|number| File { name: "f".into(), text: generated_rule(&mut dice, number) }).collect();
    let compiled = compile(&files, &mapping, &log_types, &[]);
    assert!(compiled.rules.len() > 2000, "{} of {}: {}", compiled.rules.len(), files.len(), compiled.left_out[0].why);
    let records: Vec<Value> = (0..300).map(|_| generated_record(&mut dice)).collect();
    let native: Vec<Box<Record>> = records.iter().cloned().map(Record::from_json).collect();

    let info = |ready: &Ready| RuleInfo {
        name: ready.rule.name.clone(),
        description: String::new(),
        logs: ready.rule.logs.clone(),
        when: Vec::new(),
        options: serde_json::from_value(Value::Object(ready.rule.options.clone())).unwrap(),
    };
    let schema = json!({"test:event": {"parser": "json", "schema": {}}});
    let schemas = Schemas::read(&[("test.json".into(), schema.to_string())]).unwrap();
    let asked = |rules: &[Ready]| {
        let plugin: Arc<dyn RulePlugin> = Arc::new(Asked(rules.iter().map(info).collect()));
        let rules = Rules::new(PluginSet { plugins: vec![plugin], ..PluginSet::default() }, &schemas);
        judge(&rules, &schemas, &records)
    };
    let together = asked(&compiled.rules);
    let (mut wrong, mut fired, mut kept) = (Vec::new(), 0, 0);
    for (place, ready) in compiled.rules.iter().enumerate() {
        let judge = Judge::new(&ready.rule.detect);
        let alone = (place % 8 == 0).then(|| asked(std::slice::from_ref(ready)));
        for (row, record) in native.iter().enumerate() {
            let key = (ready.rule.name.clone(), row as u64);
            let asked = together.contains(&key);
            assert!(alone.as_ref().is_none_or(|alone| alone.contains(&key) == asked), "{}: {}", key.0, records[row]);
            kept += usize::from(!asked);
            if judge.holds(record) {
                fired += 1;
                if !asked {
                    wrong.push(format!(
                        "{}\n  {:?}\n  {}",
                        records[row],
                        ready.rule.detect,
                        json!(ready.rule.options["when_any"])
                    ));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} rules\n{}", wrong.len(), wrong[..wrong.len().min(10)].join("\n"));
    assert!(fired > 50_000 && kept > 50_000, "{fired} {kept}");
}

#[test]
fn rules_over_our_log_types_judge_classified_records() {
    let world = world();
    copy(&own("cases"), &world.place.at("cases"));
    let tested = world.place.run(&["test", "cases", "--plugins", "imported-sigma/plugins", "--config", "conf"]);
    let said = exits(tested, 0);
    assert!(said.contains("27 passed"), "{said}");
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
        ("Merge Key", "unfit/detections.yml", "merge keys"),
        ("Beyond All Numbers", "unfit/detections.yml", "inf is no number"),
        ("unfit/list.yml", "unfit/list.yml", "not a YAML mapping"),
        ("Deep", "unfit/large.yml", "nested too deep"),
        ("Much Said", "unfit/large.yml", "description and false positives have 70000 bytes"),
        ("Many Tags", "unfit/large.yml", "tags, references, author and the like have"),
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
    let count = vectors().len() + MANY + 18;
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
    refused("{", "mapping.json: EOF while parsing an object at line 1 column 1\n");
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
    // Editors begin files so.
    place.write("mapping.json", format!("\u{feff}{good}"));
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

    // Where no rule is left, what an earlier import wrote is not either.
    place.write(
        "rules/a.yml",
        "title: Toast\nstatus: deprecated\nlogsource: {product: toaster}\ndetection: {s: {heat: 7}, condition: s}\n",
    );
    place.report(&["--mapping", "mapping.json"], 0);
    assert!(place.at("imported-sigma/REPORT.md").is_file() && !place.at("imported-sigma/crate").exists());
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
