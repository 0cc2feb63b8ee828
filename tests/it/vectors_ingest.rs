//! Normalization, the order of schemas, archive and queue against what the original makes of the same inputs.

use crate::reference;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use streamalert_packed::{Builder, Record};
use streamalert_pipeline::archive::{stream_name, tables};
use streamalert_pipeline::batches::{BatchLimits, batches};
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::columns::Columns;
use streamalert_pipeline::config::{Clusters, ConfigFaults, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};

fn schemas(types: Map<String, Value>) -> Result<Schemas, ConfigFaults> {
    Schemas::read(&[("s.json".to_owned(), Value::Object(types).to_string())])
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        list => list.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

fn sizes(value: &Value) -> Vec<usize> {
    match value {
        Value::String(text) => {
            let (count, size) = text.split_once(" x ").unwrap();
            vec![size.parse().unwrap(); count.parse().unwrap()]
        }
        list => list.as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect(),
    }
}

#[test]
fn normalize_vectors() {
    let Some(folder) = reference::folder("streamalert") else { return };
    reference::check_vectors(&folder, "normalize", |vector| {
        let fields: Map<String, Value> =
            names(&vector["record"]).iter().map(|key| ((*key).into(), json!({}))).collect();
        let log_type = json!({"parser": "json", "schema": fields,
                              "configuration": {"normalization": vector["normalization"]}});
        let schemas = match schemas(Map::from_iter([("t".to_owned(), log_type)])) {
            Ok(schemas) => schemas,
            Err(faults) => return json!({"faults": faults.0.iter().map(ToString::to_string).collect::<Vec<_>>()}),
        };
        let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default())));
        let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), 0, vector["record"].to_string().as_bytes());
        let classified = classifier.worker().classify(payload);
        assert!(classified.dead.is_empty(), "{:?}", classified.dead);
        let mut record = classified.batch.fields(0).to_value();
        if let Some(id) = record.pointer_mut("/streamalert_normalization/streamalert_record_id") {
            assert_eq!(id.as_str().map(str::len), Some(36));
            // The original's random one, pinned; what ours is made of stands under `records`.
            *id = "00000000-0000-4000-8000-000000000000".into();
        }
        record
    });
}

#[test]
fn schema_order_vectors() {
    let Some(folder) = reference::folder("streamalert") else { return };
    reference::check_vectors(&folder, "schema-order", |vector| {
        let types = vector["schemas_in_load_order"].as_array().unwrap().iter().map(|item| {
            let configuration = if item[1].is_null() { json!({}) } else { json!({"priority": item[1]}) };
            let log_type = json!({"parser": "json", "schema": {"k": "string"}, "configuration": configuration});
            (item[0].as_str().unwrap().to_owned(), log_type)
        });
        schemas(types.collect()).unwrap().iter().map(|log_type| log_type.name.clone()).collect()
    });
}

#[test]
fn firehose_vectors() {
    let Some(folder) = reference::folder("streamalert") else { return };
    reference::check_vectors(&folder, "firehose", |vector| {
        match vector["id"].as_str().unwrap().split_once('/').unwrap().0 {
            "name" => stream_name(vector["prefix"].as_str().unwrap(), vector["log"].as_str().unwrap()).into(),
            "keys" => archived(&vector["record"]),
            "enabled" => {
                let log_type = json!({"parser": "json", "schema": {"k": "string"}});
                let types = names(&vector["log_types"]).iter().map(|name| ((*name).into(), log_type.clone())).collect();
                let found = tables(&names(&vector["enabled_logs"]), &schemas(types).unwrap());
                found
                    .tables
                    .iter()
                    .map(|(table, log_type)| (table.clone(), Value::from(log_type.name.as_str())))
                    .collect()
            }
            "batch" => lines(vector, &BatchLimits::ARCHIVE),
            other => panic!("unknown kind {other}"),
        }
    });
}

fn archived(record: &Value) -> Value {
    fn declared(record: &Value) -> Value {
        match record {
            Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), declared(value))).collect(),
            Value::Array(_) => json!([]),
            _ => json!({}),
        }
    }
    let log_type = json!({"parser": "json", "schema": declared(record)});
    let schemas = schemas(Map::from_iter([("t".to_owned(), log_type)])).unwrap();
    let columns = Columns::of(schemas.get("t").unwrap());
    let mut packed = Vec::new();
    let range = Builder::json(&mut packed, record);
    let mut line = String::new();
    // SAFETY: just built.
    columns.line(unsafe { Record::trusted(&packed[range]) }, &mut line);
    let written: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(&columns.restore(written.clone()), record);
    written
}

fn lines(vector: &Value, limits: &BatchLimits) -> Value {
    let sizes = sizes(&vector["line_sizes_with_newline"]);
    let found = batches(sizes.iter().copied(), limits).batches;
    match vector["id"] == "batch/count" {
        true => found.iter().map(Vec::len).collect(),
        false => found.iter().map(|batch| batch.iter().map(|at| sizes[*at]).collect::<Value>()).collect(),
    }
}

fn messages(vector: &Value, limits: &BatchLimits) -> Value {
    let sizes = sizes(&vector["record_sizes"]);
    let messages = batches(sizes.iter().copied(), limits).batches.into_iter().map(|batch| {
        let sizes: Vec<usize> = batch.iter().map(|at| sizes[*at]).collect();
        let bytes = limits.around + sizes.iter().sum::<usize>() + limits.between * (sizes.len() - 1);
        json!({"sizes": sizes, "count": sizes.len(), "message_chars": bytes})
    });
    messages.collect()
}

#[test]
fn sqs_vectors() {
    let Some(folder) = reference::folder("streamalert") else { return };
    reference::check_vectors(&folder, "sqs", |vector| messages(vector, &BatchLimits::QUEUE));
}

/// What differs for its logic and not for today's limits.
#[test]
fn with_its_limits_only_its_faults_differ() {
    let Some(folder) = reference::folder("streamalert") else { return };
    let old_archive = BatchLimits { item_bytes: 999_998, bytes: 4_000_000, ..BatchLimits::ARCHIVE };
    let old_queue = BatchLimits { item_bytes: 262_142, bytes: 262_144, ..BatchLimits::QUEUE };
    let mut differ = Vec::new();
    for vector in reference::lines(folder.join("vectors/firehose.jsonl")) {
        if !vector["line_sizes_with_newline"].is_null() && lines(&vector, &old_archive) != vector["result"] {
            differ.push(vector["id"].clone());
        }
    }
    for vector in reference::lines(folder.join("vectors/sqs.jsonl")) {
        if messages(&vector, &old_queue) != vector["result"] {
            differ.push(vector["id"].clone());
        }
    }
    // An empty message first; the pending batch lost for what came last.
    assert_eq!(differ, ["segment/3", "segment/10", "segment/12"]);
}
