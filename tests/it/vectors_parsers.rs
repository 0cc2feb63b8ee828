//! Single schemas over single inputs, against what the original made of them.

use crate::reference;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};

/// What the input of a vector is as bytes.
fn bytes(data: &Value) -> Vec<u8> {
    match data {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(object) if object.contains_key("$bytes") => reference::base64(data["$bytes"].as_str().unwrap()),
        other => other.to_string().into_bytes(),
    }
}

/// The original's result as values we can compare with.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.contains_key("$float") => json!(format!("{}", object["$float"])),
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Ours: the records, the reasons of letters, or the fault of the schema.
fn ours(options: &Value, data: &Value) -> Value {
    let schemas = json!({"t": options}).to_string();
    let schemas = match Schemas::read(&[("s.json".to_owned(), schemas)]) {
        Ok(schemas) => schemas,
        Err(faults) => return json!({"refused": faults.0.iter().map(|fault| &fault.path).collect::<Vec<_>>()}),
    };
    let clusters = r#"{"data_sources": {"kinesis": {"st": ["t"]}}}"#;
    let clusters = Clusters::read(&[("c.json".to_owned(), clusters.to_owned())], &schemas).unwrap();
    let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)));
    let payload = Payload::new(Arc::new(Source::new("kinesis", "st", "")), 0, bytes(data));
    let classified = classifier.worker().classify(payload);
    assert_eq!(classified.unaccounted, 0, "{data}");
    let records = (0..classified.batch.records.len()).map(|index| classified.batch.fields(index).to_value());
    let mut result = json!({"valid": records.collect::<Vec<_>>()});
    if !classified.dead.is_empty() {
        result["dead"] = classified.dead.iter().map(|letter| letter.reason.code()).collect();
    }
    if classified.skipped.total() > 0 {
        result["skipped"] = classified.skipped.iter().map(|(skip, _)| skip.code()).collect();
    }
    result
}

#[test]
fn every_vector_agrees_or_is_a_chosen_difference() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let chosen = reference::differences("parsers");
    let mut faults = Vec::new();
    let mut met: BTreeMap<String, bool> = chosen.keys().map(|id| (id.clone(), false)).collect();
    let mut count = 0;
    for vector in reference::lines(folder.join("vectors/parsers.jsonl")) {
        count += 1;
        let id = vector["id"].as_str().unwrap().to_owned();
        let theirs = &vector["result"];
        let ours = ours(&vector["options"], &vector["data"]);
        let valid = plain(&theirs["valid"]);
        let invalid = theirs["invalid"].as_array().map_or(0, Vec::len);
        // What the original called invalid is a letter here; what it passed over in silence must be one as well.
        let dead = ours["dead"].as_array().map_or(0, Vec::len);
        let told = if theirs["parsed"] == true { dead == invalid } else { dead >= 1 };
        let agrees = theirs.get("exception").is_none()
            && ours.get("valid").is_some_and(|ours| reference::same(ours, &valid))
            && told;
        match (chosen.get(&id), agrees) {
            (None, true) => {}
            (None, false) => faults.push(format!("{id}: {ours} and not {theirs}")),
            (Some(_), true) => faults.push(format!("{id}: listed as a difference, and is none")),
            (Some(chosen), false) => {
                met.insert(id.clone(), true);
                if !reference::same(&chosen["ours"], &ours) {
                    faults.push(format!("{id}: {ours}, where the difference says {}", chosen["ours"]));
                }
            }
        }
    }
    faults.extend(met.iter().filter(|(_, met)| !**met).map(|(id, _)| format!("{id}: there is no such vector")));
    assert!(faults.is_empty(), "{} of {count} vectors:\n{}", faults.len(), faults.join("\n"));
    println!("{count} vectors, {} chosen differences", chosen.len());
}
