//! The classifier against what the original made of the same events.

use crate::reference;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};

fn classifier(folder: &std::path::Path) -> Arc<Classifier> {
    let schemas = Schemas::read(&reference::files(folder.join("schemas"))).unwrap();
    let clusters = Clusters::read(&reference::files(folder.join("conf/clusters")), &schemas).unwrap();
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)))
}

fn payload(service: &str, resource: &str, object: &str, bytes: &[u8]) -> Payload {
    let source = Source::new(service, resource, object);
    Payload::new(Arc::new(source), 0, bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Numbers by value: the original writes 7.0 where a float is declared.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Where two records differ, as paths.
fn differences(at: &str, ours: &Value, theirs: &Value, out: &mut BTreeSet<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                differences(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), out);
            }
        }
        _ if same(ours, theirs) => {}
        _ => {
            out.insert(at.to_owned());
        }
    }
}

#[test]
fn every_event_is_classified_as_the_original_did() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let classifier = classifier(&folder);
    let mut worker = classifier.worker();
    let chosen: Value = serde_json::from_str(include_str!("../differences.json")).unwrap();
    let chosen = chosen["records"].as_array().unwrap();
    let expected = reference::lines(folder.join("expected.jsonl"));
    let actual = reference::lines(folder.join("actual-classified.jsonl"));
    let mut faults = Vec::new();
    let mut checked = 0;
    let mut used = BTreeSet::new();
    for (row, input) in reference::lines(folder.join("inputs.jsonl")).iter().enumerate() {
        let theirs = &actual[row];
        assert_eq!((&input["file"], &input["index"]), (&theirs["file"], &theirs["index"]));
        assert_eq!((&input["file"], &input["index"]), (&expected[row]["file"], &expected[row]["index"]));
        let wanted = &theirs["payloads"][0];
        assert_eq!(theirs["payloads"].as_array().map(Vec::len), Some(1));
        checked += 1;
        let event = format!("{}#{}", text(&input["file"]), input["index"]);
        let body = match &input["input"] {
            Value::String(text) => text.clone(),
            object => object.to_string(),
        };
        let classified =
            worker.classify(payload(text(&input["service"]), text(&input["source"]), &event, body.as_bytes()));
        let wanted_records = wanted["parsed_records"].as_array().unwrap();
        if !classified.dead.is_empty() || classified.batch.records.len() != wanted_records.len() {
            faults.push(format!("{event}: {} records, dead: {:?}", classified.batch.records.len(), classified.dead));
            continue;
        }
        for (index, wanted_record) in wanted_records.iter().enumerate() {
            let log_type = &classified.batch.records[index].log_type.name;
            if log_type != text(&wanted["log_schema_type"]) || log_type != text(&expected[row]["log"]) {
                faults.push(format!("{event}: is {log_type}, expected {}", wanted["log_schema_type"]));
                continue;
            }
            let mut paths = BTreeSet::new();
            differences("", &classified.batch.fields(index).to_value(), wanted_record, &mut paths);
            for path in paths {
                let reason = chosen
                    .iter()
                    .position(|c| text(&c["path"]) == path && c["event"].as_str().is_none_or(|chosen| chosen == event));
                match reason {
                    Some(reason) => {
                        used.insert(reason);
                    }
                    None => faults.push(format!("{event}: {path} differs")),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {checked} events differ:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(used.len(), chosen.len(), "differences.json lists differences that are none");
    assert_eq!(checked, 102, "events were there to check");
    println!("{checked} events as the original classified them");
}

#[test]
fn no_event_of_a_foreign_collection_is_lost_or_slow() {
    let (Some(folder), Some(panther)) = (reference::folder("streamalert"), reference::folder("panther")) else {
        return;
    };
    let classifier = classifier(&folder);
    let mut worker = classifier.worker();
    let mut slowest = std::time::Duration::ZERO;
    let mut count = 0;
    for line in reference::lines(panther.join("events.jsonl")) {
        let body = line["event"].to_string();
        let started = std::time::Instant::now();
        let classified = worker.classify(payload("file", "panther", "events", body.as_bytes()));
        slowest = slowest.max(started.elapsed());
        let total = classified.batch.records.len() + classified.dead.len() + classified.skipped.total() as usize;
        assert!(total >= 1, "nothing came of {body}");
        assert!(classified.dead.iter().all(|d| !d.message.is_empty()));
        count += 1;
    }
    assert!(count > 2000);
    println!("{count} events, slowest {slowest:?}");
}
