//! What rules report of records, against what the original's rules reported of the same; and what outputs are then handed.

use crate::reference;
use crate::run_world::{EVERY_ROW, Guest};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamalert_packed::Record;
use streamalert_pipeline::alert::{Alert, Merge};
use streamalert_pipeline::alert_processor::publication::default_publication;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas, ThreatIntelConfig};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{
    Batch, Condition, Finding, Judged, PluginError, PluginErrorKind, PluginSet, RuleInfo, RuleOptions, RulePlugin,
    RuleSession, Test,
};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_pipeline::threat_intel::{Found, Ioc, ThreatIntel};
use streamalert_plugins::{Host, HostConfig, LoadCheck};

const NOW: &str = "2026-01-02T03:04:05.678Z";

type Judge = Box<dyn Fn(Record<'_>) -> Result<Option<Finding>, PluginErrorKind> + Send + Sync>;

/// Rules as closures: what the pipeline sees of a component.
struct Native {
    infos: Vec<RuleInfo>,
    judges: Vec<Judge>,
}

struct Session<'a>(&'a Native, &'a Arc<Batch>);

impl RulePlugin for Native {
    fn name(&self) -> &str {
        "native.wasm"
    }
    fn digest(&self) -> &str {
        "00"
    }
    fn rules(&self) -> &[RuleInfo] {
        &self.infos
    }
    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(Session(self, batch))
    }
}

impl RuleSession for Session<'_> {
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        let mut judged = Judged::default();
        for row in rows {
            let found = (self.0.judges[rule])(self.1.record(*row).unwrap());
            let found = found.map_err(|kind| PluginError::new(kind, "it raises"))?;
            judged.findings.extend(found.map(|found| Finding { row: *row, ..found }));
        }
        Ok(judged)
    }
}

/// One rule of a vector.
struct Rule {
    info: RuleInfo,
    judge: Judge,
}

/// A rule over `t:x` that reports every record it is asked about.
fn rule(name: &str) -> Rule {
    let info = RuleInfo {
        name: name.to_owned(),
        description: String::new(),
        logs: vec!["t:x".to_owned()],
        when: Vec::new(),
        options: RuleOptions::default(),
    };
    Rule { info, judge: Box::new(|_| Ok(Some(Finding::default()))) }
}

impl Rule {
    fn with(mut self, change: impl FnOnce(&mut RuleInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// What the original asks in matchers and `req_subkeys`, ours ask as conditions.
    fn when(self, path: &str, test: Test) -> Self {
        self.with(|info| info.when.push(Condition { path: path.to_owned(), test }))
    }

    fn reports(
        self,
        judge: impl Fn(Record<'_>) -> Result<Option<Finding>, PluginErrorKind> + Send + Sync + 'static,
    ) -> Self {
        Rule { judge: Box::new(judge), ..self }
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// What a vector's words say of its rules; those that no component can have are missing here, and in `refused`.
fn rules(id: &str) -> Vec<Rule> {
    let datatypes = |rule: Rule| rule.with(|info| info.options.datatypes = vec!["user".to_owned()]);
    let raises = || rule("r").reports(|_| Err(PluginErrorKind::Trap));
    match id {
        "logs-as-text" | "no-logs" | "duplicate-name" | "disabled" => vec![],
        "datatypes-only" => vec![datatypes(rule("r").with(|info| info.logs.clear()))],
        "logs-and-datatypes" => vec![datatypes(rule("r"))],
        "rule-raises" => vec![raises(), rule("s")],
        "matchers" => vec![
            // Looks into what is not there, which raises in the original.
            rule("r").when("nothing.there", Test::Equals(vec![1.into()])),
            rule("q").when("a", Test::Exists).when("a", Test::Equals(vec![2.into()])),
            rule("s").when("a", Test::Exists).when("a", Test::Equals(vec![1.into()])),
        ],
        _ if id.starts_with("req_subkeys/") => {
            vec![rule("r").when("d.k", Test::Exists).when("d.j", Test::Exists)]
        }
        "context" => vec![
            rule("r").reports(|record| {
                let who = record.get("u").and_then(|user| user.as_str()).map(str::to_owned);
                Ok(Some(Finding { context: object(json!({"who": who})), ..Finding::default() }))
            }),
            // The context it declares, and one more at each record.
            rule("s")
                .with(|info| info.options.context = object(json!({"n": 0})))
                .reports(|_| Ok(Some(Finding { context: object(json!({"n": 1})), ..Finding::default() }))),
        ],
        // What it is handed cannot be changed.
        "mutation-shared" => vec![rule("r"), rule("s")],
        "outputs" => {
            vec![rule("r").with(|info| info.options.outputs = vec!["pagerduty:p".to_owned()]).reports(|record| {
                let team = record.get("t").and_then(|team| team.as_str()).map(str::to_owned).unwrap_or_default();
                let outputs = vec!["aws-sns:q".to_owned(), format!("slack:{team}"), "invalid".to_owned()];
                Ok(Some(Finding { outputs, ..Finding::default() }))
            })]
        }
        "options" => vec![rule("s").with(|info| {
            info.description = "described".to_owned();
            info.options.merge = Some(Merge::new([] as [&str; 0], 5));
        })],
        "ti/rule-raises-after-hit" => vec![raises()],
        _ => vec![rule("r")],
    }
}

/// What is said of the vector's rules that are refused when they are loaded.
fn refused(id: &str) -> Vec<String> {
    let component = |rules: &[&'static str], logs, options| Guest {
        rules: rules.iter().map(|name| (*name, EVERY_ROW)).collect(),
        logs,
        options,
        ..Guest::default()
    };
    let components = match id {
        "logs-as-text" => vec![component(&["r"], "t:x,t:y", "{}")],
        "no-logs" => vec![component(&["r"], "", "{}")],
        "duplicate-name" => vec![component(&["r", "r"], "t:x", "{}")],
        "outputs" => vec![component(&["r"], "t:x", r#"{"outputs": ["pagerduty:p", "invalid"]}"#)],
        "options" => vec![
            component(&["r"], "t:x", r#"{"merge": {"by": ["a"]}}"#),
            component(&["u"], "t:x", r#"{"unknown": true}"#),
        ],
        _ => vec![],
    };
    let host = Host::new(HostConfig::default()).unwrap();
    let types = ["t:x", "t:y", "zz"].map(str::to_owned);
    let check =
        LoadCheck { knows_log: &|log| types.iter().any(|name| name == log), log_types: &types, ..LoadCheck::any_log() };
    let said = components.iter().flat_map(|component| {
        host.load("r.wasm", &component.build(), &check).err().unwrap_or_else(|| panic!("{id} is loaded")).problems
    });
    said.map(|problem| problem.to_string()).collect()
}

/// The record of a payload as the classifier makes it of the same text. Its type may declare a datatype that it has not.
fn classified(payload: &Value, declares_user: bool) -> (Arc<Schemas>, Arc<Clusters>, LogBatch) {
    let text = |name: &str| payload[name].as_str().unwrap().to_owned();
    let record = payload["record"].as_object().unwrap();
    let types: Map<String, Value> = record
        .iter()
        .map(|(key, value)| {
            let kind = match value {
                Value::Number(_) => json!("integer"),
                Value::String(_) => json!("string"),
                _ => json!({}),
            };
            (key.clone(), kind)
        })
        .collect();
    let mut schema = json!({"parser": payload["data_type"], "schema": types});
    if declares_user {
        schema["configuration"] = json!({"normalization": {"user": ["who"]}});
    }
    let schema = json!({(text("log_schema_type")): schema});
    let schemas = Arc::new(Schemas::read(&[("s.json".to_owned(), schema.to_string())]).unwrap());
    let sources = json!({(text("service")): {(text("resource")): [text("log_schema_type")]}});
    // Of the vectors' clusters, `prod` alone has it.
    let enabled = text("cluster") == "prod";
    let cluster = json!({"data_sources": sources, "enable_threat_intel": enabled});
    let cluster = (format!("{}.json", text("cluster")), cluster.to_string());
    let clusters = Arc::new(Clusters::read(&[cluster], &schemas).unwrap());
    let classifier = Arc::new(Classifier::new(schemas.clone(), clusters.clone()));
    let source = Source::new(text("service"), text("resource"), "");
    let bytes = payload["record"].to_string().into_bytes();
    let classified = classifier.worker().classify(Payload::new(Arc::new(source), 0, bytes));
    // An object without keys is passed over; no rule could have said anything of it.
    let expected = usize::from(!record.is_empty());
    assert_eq!((classified.batch.records.len(), classified.dead.len()), (expected, 0), "{payload}");
    (schemas, clusters, classified.batch)
}

/// What the configuration of a vector about threat intelligence says.
fn threat_intel(id: &str, clusters: &Clusters) -> ThreatIntel {
    let mut config = json!({"enabled": true, "normalized_ioc_types": {"ip": ["sourceAddress"], "domain": ["dom"]}});
    if id.ends_with("with-exclusions") || id == "ti/v1-not-an-ip" {
        config["excluded_iocs"] = json!({"ip": {"10.0.0.0/8": {"comment": "RFC1918"}}, "domain": {"ours.example": {}}});
    }
    let config = ThreatIntelConfig::read("threat_intel.json", &config.to_string()).unwrap();
    ThreatIntel::new(&config, clusters).unwrap()
}

/// What the vectors' table of indicators has.
struct Known;

impl Known {
    fn of(values: &[String]) -> Found {
        let ioc = |value: &str, ioc_type: &str| Ioc {
            value: value.to_owned(),
            ioc_type: ioc_type.to_owned(),
            sub_type: "c2".to_owned(),
            source: "feed".to_owned(),
            ..Ioc::default()
        };
        let known = [ioc("1.1.1.1", "ip"), ioc("evil.com", "domain")];
        let of = |value: &String| Some((value.clone(), known.iter().find(|ioc| ioc.value == *value)?.clone()));
        values.iter().filter_map(of).map(|(value, ioc)| (value, Arc::from([ioc]))).collect()
    }
}

/// An alert as vectors tell of it.
fn told(alert: &Alert) -> Value {
    let merge = alert.merge.clone().unwrap_or_else(|| Merge::new([] as [&str; 0], 0));
    let publishers = match &alert.publishers {
        Value::Null => json!({}),
        some => some.clone(),
    };
    json!({
        "rule": alert.rule_name, "record": alert.record.to_value(), "context": alert.context, "outputs": alert.outputs,
        "publishers": publishers, "merge_by_keys": merge.by, "merge_window_mins": merge.minutes,
        "description": alert.rule_description, "staged": alert.staged, "log_source": alert.log_source,
        "log_type": alert.log_type, "source_entity": alert.source.resource, "source_service": alert.source.service,
        "cluster": alert.cluster,
    })
}

/// What came of a vector on our side. Of it, `result` is what is compared.
struct Ours {
    alerts: Vec<Alert>,
    result: Value,
}

fn ours(vector: &Value) -> Ours {
    let id = vector["id"].as_str().unwrap();
    let (infos, judges) = rules(id).into_iter().map(|rule| (rule.info, rule.judge)).unzip();
    let native: Arc<dyn RulePlugin> = Arc::new(Native { infos, judges });
    let set = PluginSet { plugins: vec![native], ..PluginSet::default() };
    let (mut alerts, mut dead) = (Vec::new(), Vec::new());
    for payload in vector["payloads"].as_array().unwrap() {
        let (schemas, clusters, mut batch) = classified(payload, id.contains("datatypes"));
        if id.starts_with("ti/") {
            let intel = threat_intel(id, &clusters);
            let candidates = intel.candidates(&batch);
            intel.attach(&mut batch, &candidates, &Known::of(&candidates.values));
        }
        let detected = Rules::new(set.clone(), &schemas).judge(&batch, NOW);
        alerts.extend(detected.alerts);
        dead.extend(detected.dead.iter().map(|letter| {
            format!("{} {}", letter.reason.code(), letter.fault.as_ref().map_or("", |fault| &fault.rule))
        }));
    }
    let refused = refused(id);
    let told: Value = alerts.iter().map(told).collect();
    let result = match (refused.is_empty(), dead.is_empty()) {
        (true, true) => told,
        (false, true) => json!({"alerts": told, "refused": refused}),
        (_, false) => json!({"alerts": told, "dead": dead}),
    };
    Ours { alerts, result }
}

/// What the original made of a vector, but for what stands in every alert of it: that is told once, under `*/…`.
fn original(result: &Value, chosen: &BTreeMap<String, Value>) -> Value {
    if let Some(exception) = result.get("exception") {
        // The text differs between versions of Python.
        return json!({"exception": exception});
    }
    let mut alerts = result.clone();
    for alert in alerts.as_array_mut().unwrap() {
        let outputs = alert["outputs"].as_array_mut().unwrap();
        let required = outputs.iter().position(|output| *output == chosen["*/outputs"]["original"]);
        outputs.remove(required.unwrap_or_else(|| panic!("not in every alert: {outputs:?}")));
        if alert["description"] == chosen["*/description"]["original"] {
            alert["description"] = chosen["*/description"]["ours"].clone();
        }
    }
    alerts
}

#[test]
fn every_rule_reports_the_same_or_is_a_chosen_difference() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let chosen = reference::differences("rules");
    let mut met: BTreeSet<String> = chosen.keys().filter(|id| id.starts_with("*/")).cloned().collect();
    let mut faults = Vec::new();
    let mut count = 0;
    for vector in reference::lines(folder.join("vectors/rules.jsonl")) {
        count += 1;
        let id = vector["id"].as_str().unwrap().to_owned();
        let (ours, original) = (ours(&vector).result, original(&vector["result"], &chosen));
        match (chosen.get(&id), reference::same(&ours, &original)) {
            (None, true) => {}
            (None, false) => faults.push(format!("{id}:\n  original {original}\n  ours {ours}")),
            (Some(_), true) => faults.push(format!("{id}: listed as a difference, and is none")),
            (Some(chosen), false) => {
                met.insert(id.clone());
                for (side, found) in [("original", &original), ("ours", &ours)] {
                    if !reference::same(&chosen[side], found) {
                        faults.push(format!("{id}: {side} {found}, where the difference says {}", chosen[side]));
                    }
                }
            }
        }
    }
    faults.extend(chosen.keys().filter(|id| !met.contains(*id)).map(|id| format!("{id}: there is no such vector")));
    assert!(faults.is_empty(), "{} of {count} vectors:\n{}", faults.len(), faults.join("\n"));
    println!("{count} vectors of rules, {} chosen differences", chosen.len());
}

/// The original's publication of a vector's alert: `spec/alerts.md` 2.3.
fn publication(alert: &Value, created: &str, id: &str) -> Value {
    let mut publication = json!({"created": created, "id": id});
    for (name, value) in alert.as_object().unwrap() {
        let name = match name.as_str() {
            "rule" => "rule_name",
            "description" => "rule_description",
            // How alerts are merged is nobody's to read.
            "merge_by_keys" | "merge_window_mins" => continue,
            same => same,
        };
        publication[name] = value.clone();
    }
    publication
}

#[test]
fn what_outputs_are_handed_is_what_the_original_hands_them_and_more() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let chosen = reference::differences("rules");
    let added: Vec<String> = serde_json::from_value(chosen["*/publication"]["ours"].clone()).unwrap();
    let normalization = chosen["*/publication/record"]["original"].as_str().unwrap();
    let (mut count, mut without) = (0, 0);
    for vector in reference::lines(folder.join("vectors/rules.jsonl")) {
        let id = vector["id"].as_str().unwrap();
        // Of the others, the alert is another one already.
        if chosen.contains_key(id) || vector["result"].get("exception").is_some() {
            continue;
        }
        let original = original(&vector["result"], &chosen);
        for (alert, original) in ours(&vector).alerts.iter().zip(original.as_array().unwrap()) {
            let mut found = default_publication(alert);
            for name in &added {
                assert!(found.shift_remove(name).is_some(), "{id}: no {name}");
            }
            assert_ne!(alert.id, "");
            let mut expected = publication(original, NOW, &alert.id);
            let record = expected["record"].as_object_mut().unwrap();
            without += usize::from(record.shift_remove(normalization).is_some());
            assert_eq!(Value::from(found), expected, "{id}");
            count += 1;
        }
    }
    assert!(count >= 8 && without >= 1, "{count} publications, {without} without normalization");
    println!("{count} publications");
}
