//! What a function is handed, from envelope to records, against what the original made of the same events.

use crate::reference;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use streamalert_intake::{Delivery, Object, Piece, payloads};
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};

/// The log types of a vector, and what its sources may send.
fn classifier(vector: &Value) -> Arc<Classifier> {
    let schemas = Schemas::read(&[("s.json".to_owned(), vector["logs"].to_string())]).unwrap();
    let logs = match vector["id"].as_str().unwrap() {
        "source/subtype-listed" => "t:json",
        "source/type-without-schema" => "other",
        _ => "t",
    };
    let sources = [("kinesis", "st"), ("s3", "bk"), ("sns", "tp"), ("streamalert_app", "ap")];
    let sources: Map<String, Value> =
        sources.iter().map(|(service, name)| ((*service).to_owned(), json!({*name: [logs]}))).collect();
    let clusters = [("c.json".to_owned(), json!({"data_sources": sources}).to_string())];
    let clusters = Clusters::read(&clusters, &schemas).unwrap();
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)))
}

/// One record as both sides tell of it.
fn told(log_type: &str, service: &Value, resource: &Value, record: Value) -> Value {
    json!({"type": log_type, "service": service, "resource": resource, "record": record})
}

/// Equal records that follow one another, counted.
fn folded(records: Vec<Value>) -> Value {
    let mut folded: Vec<(Value, u64)> = Vec::new();
    for record in records {
        match folded.last_mut() {
            Some((last, times)) if *last == record => *times += 1,
            _ => folded.push((record, 1)),
        }
    }
    let counted = folded.into_iter().map(|(mut record, times)| {
        if times > 1 {
            record["times"] = times.into();
        }
        record
    });
    counted.collect()
}

/// What the original made: its records in order, how many it counted as failed, which objects it asked for. The size it
/// measures is one of its metrics, and no part of this.
fn original(result: &Value) -> Value {
    if let Some(exception) = result.get("exception") {
        // The text differs between versions of Python.
        return json!({"exception": exception});
    }
    let mut records = Vec::new();
    for payload in result["classified"].as_array().unwrap() {
        let name = payload["type"].as_str().unwrap();
        for record in payload["records"].as_array().unwrap() {
            records.push(told(name, &payload["service"], &payload["resource"], record.clone()));
        }
    }
    let objects = result.get("s3_keys_requested").cloned().unwrap_or_else(|| json!([]));
    json!({"records": folded(records), "failed": result["failed_count"], "objects": objects})
}

/// What we make: letters by their reason and offset, and what was passed over.
fn ours(vector: &Value) -> Value {
    let classifier = classifier(vector);
    let mut worker = classifier.worker();
    let body = vector["s3_body"]["$bytes"].as_str().map(reference::base64).unwrap_or_default();
    let asked = RefCell::new(Vec::new());
    let fetch = |object: &Object| -> io::Result<&[u8]> {
        asked.borrow_mut().push(object.key.clone());
        Ok(&body)
    };
    let event = json!({"Records": vector["records"]}).to_string();
    let (mut records, mut dead, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut letter = |letter: &streamalert_pipeline::dead_letter::DeadLetter| {
        dead.push(format!("{} {}", letter.reason.code(), letter.position.offset))
    };
    for Delivery { piece, .. } in payloads(event.as_bytes(), fetch, |source| classifier.framing(source, b"")) {
        match piece.unwrap() {
            Piece::Dead(one) => letter(&one),
            Piece::Skip(skip) => skipped.push(skip.code()),
            Piece::Payload(payload) => {
                let source = payload.source.clone();
                let (service, resource) = (json!(source.service), json!(source.resource));
                let classified = worker.classify(payload);
                assert_eq!(classified.unaccounted, 0, "{vector}");
                for (index, record) in classified.batch.records.iter().enumerate() {
                    let value = classified.batch.fields(index).to_value();
                    records.push(told(&record.log_type.name, &service, &resource, value));
                }
                classified.dead.iter().for_each(&mut letter);
                skipped.extend(classified.skipped.iter().flat_map(|(skip, count)| vec![skip.code(); count as usize]));
            }
        }
    }
    let mut result = json!({"records": folded(records), "dead": dead, "objects": asked.into_inner()});
    if !skipped.is_empty() {
        result["skipped"] = skipped.into();
    }
    result
}

/// The same records of the same types and sources, one letter for each failure, the same objects, nothing passed over.
fn agrees(ours: &Value, original: &Value) -> bool {
    original.get("exception").is_none()
        && ours.get("skipped").is_none()
        && reference::same(&ours["records"], &original["records"])
        && ours["dead"].as_array().map(Vec::len) == original["failed"].as_u64().map(|failed| failed as usize)
        && ours["objects"] == original["objects"]
}

#[test]
fn every_event_comes_to_the_same_or_is_a_chosen_difference() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let chosen = reference::differences("payloads");
    let mut met: BTreeMap<String, bool> = chosen.keys().map(|id| (id.clone(), false)).collect();
    let mut faults = Vec::new();
    let mut count = 0;
    for vector in reference::lines(folder.join("vectors/payloads.jsonl")) {
        count += 1;
        let id = vector["id"].as_str().unwrap().to_owned();
        let (ours, original) = (ours(&vector), original(&vector["result"]));
        match (chosen.get(&id), agrees(&ours, &original)) {
            (None, true) => {}
            (None, false) => faults.push(format!("{id}:\n  original {original}\n  ours {ours}")),
            (Some(_), true) => faults.push(format!("{id}: listed as a difference, and is none")),
            (Some(chosen), false) => {
                met.insert(id.clone(), true);
                for (side, found) in [("original", &original), ("ours", &ours)] {
                    if !reference::same(&chosen[side], found) {
                        faults.push(format!("{id}: {side} {found}, where the difference says {}", chosen[side]));
                    }
                }
            }
        }
    }
    faults.extend(met.iter().filter(|(_, met)| !**met).map(|(id, _)| format!("{id}: there is no such vector")));
    assert!(faults.is_empty(), "{} of {count} vectors:\n{}", faults.len(), faults.join("\n"));
    println!("{count} events, {} chosen differences", chosen.len());
}
