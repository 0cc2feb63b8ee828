//! Payloads as records. `classify`: the first byte chooses the source, and with it the log types, from [`SOURCES`].
//! `convert`: it chooses the type of one field, the rest is its value, as JSON or as a text.

use super::choose;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};
use streamalert_pipeline::classifier::{Classified, Classifier, Framing, Worker, complete_inputs};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{Payload, Position, Source};

/// Where payloads begin in their object.
const OFFSET: u64 = 1000;
/// Letters of one payload that are sent again.
const LETTERS_MAX: usize = 8;

/// Sources of `clusters.json`, and the header line in force. The last is in no cluster: it may send every type.
const SOURCES: [(&str, &str); 14] = [
    ("json", ""),
    ("options", ""),
    ("strict", ""),
    ("rows", ""),
    ("named", ""),
    ("named", "user;port"),
    ("texts", ""),
    ("web", ""),
    ("web", "#Fields: date sc-status c-ip"),
    ("patterns", ""),
    ("events", ""),
    ("syslog", ""),
    ("wrapped", ""),
    ("anything", ""),
];

fn classifier(schemas: &str, clusters: &str) -> Arc<Classifier> {
    let schemas = Schemas::read(&[("schemas.json".to_owned(), schemas.to_owned())]).expect("schemas");
    let clusters = Clusters::read(&[("clusters.json".to_owned(), clusters.to_owned())], &schemas).expect("clusters");
    assert!(clusters.warnings.is_empty(), "{:?}", clusters.warnings);
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)))
}

static CLASSIFIER: LazyLock<Arc<Classifier>> =
    LazyLock::new(|| classifier(include_str!("schemas.json"), include_str!("clusters.json")));

// Kept from input to input, as in a run: making one compiles every pattern.
thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(CLASSIFIER.worker());
    static CONVERTING: RefCell<Vec<Worker>> = RefCell::new(CONVERTERS.iter().map(Classifier::worker).collect());
}

/// Everything is accounted for, lies where it says, is valid JSON, and comes to the same when it is read once more.
pub fn classify(data: &[u8]) {
    let Some((choice, bytes)) = choose(data, SOURCES.len()) else { return };
    let (resource, head) = SOURCES[choice];
    let source = Source::new("file", resource, "object");
    let own = CLASSIFIER.framing(&source, bytes);
    for framing in [own, Framing::default(), Framing { whole: true, ..own }] {
        let end = complete_inputs(bytes, &framing);
        assert!(end <= bytes.len(), "{end} of {} bytes are complete", bytes.len());
    }
    let payload = Payload { head: head.as_bytes().into(), ..Payload::new(Arc::new(source), OFFSET, bytes) };
    WORKER.with_borrow_mut(|worker| drop(check(worker, payload)));
}

/// The types a field may have, as a schema writes them.
const KINDS: [&str; 7] = [
    r#""string""#,
    r#""integer""#,
    r#""float""#,
    r#""boolean""#,
    "[]",
    "{}",
    r#"{"a": "integer", "b": {"c": "float"}}"#,
];

static CONVERTERS: LazyLock<Vec<Arc<Classifier>>> = LazyLock::new(|| {
    let schema = |kind: &&str| format!(r#"{{"t": {{"parser": "json", "schema": {{"k": {kind}}}}}}}"#);
    KINDS.iter().map(|kind| classifier(&schema(kind), r#"{"data_sources": {}}"#)).collect()
});

/// As in [`classify`], and a value of a type is of that type, or empty.
pub fn convert(data: &[u8]) {
    let Some((choice, bytes)) = choose(data, 2 * KINDS.len()) else { return };
    let kind = choice / 2;
    let value = match choice % 2 {
        0 => bytes.to_vec(),
        _ => Value::from(&*String::from_utf8_lossy(bytes)).to_string().into_bytes(),
    };
    let input = [&b"{\"k\": "[..], &value, b"}"].concat();
    let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), OFFSET, &input[..]);
    let classified = CONVERTING.with_borrow_mut(|workers| check(&mut workers[kind], payload));
    for index in 0..classified.batch.records.len() {
        // A number that no f64 holds is kept as it was written, and serde_json does not take it.
        let Ok(record) = serde_json::from_str::<Value>(&classified.batch.fields(index).to_json()) else { continue };
        let Some(value) = record.get("k") else { continue };
        let fits = match kind {
            0 => value.is_string(),
            1 | 2 => value.is_number(),
            3 => value.is_boolean(),
            4 => value.is_array(),
            5 => true,
            _ => value.is_object(),
        };
        assert!(fits || is_empty(value), "{} became {value}", KINDS[kind]);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

fn check(worker: &mut Worker, payload: Payload) -> Classified {
    let classified = worker.classify(payload.clone());
    sound(&classified);
    let within = |position: &Position| {
        position.offset >= OFFSET && position.offset + position.length <= OFFSET + payload.bytes.len() as u64
    };
    for (index, record) in classified.batch.records.iter().enumerate() {
        assert!(within(&record.position), "a record at {:?}", record.position);
        let (input, part) = (classified.batch.input(index), classified.batch.part(index));
        assert!(part.is_none_or(|part| part.len() <= input.len()));
    }
    // What a worker remembers from earlier payloads changes nothing.
    assert_eq!(told(&worker.classify(payload.clone())), told(&classified));
    for letter in classified.dead.iter().take(LETTERS_MAX) {
        assert!(within(&letter.position), "a letter at {:?}", letter.position);
        let kept: DeadLetter =
            serde_json::to_string(letter).and_then(|json| serde_json::from_str(&json)).expect("JSON");
        assert_eq!(kept, *letter);
        sound(&worker.resend(letter));
        worker.near(letter, 3);
    }
    classified
}

/// True of all that comes out of a classifier, also when a letter is sent again.
fn sound(classified: &Classified) {
    assert_eq!(classified.unaccounted, 0, "inputs came to nothing");
    for index in 0..classified.batch.records.len() {
        let json = classified.batch.fields(index).to_json();
        // Not as a value: that limits depth and numbers.
        assert!(serde_json::from_str::<&RawValue>(&json).is_ok(), "no JSON: {json}");
        classified.batch.fields(index).to_value();
        classified.batch.identity(index);
    }
}

fn told(classified: &Classified) -> Vec<String> {
    let records = classified.batch.records.iter().enumerate().map(|(index, record)| {
        let json = classified.batch.fields(index).to_json();
        format!("{} {:?} {} {json}", record.log_type.name, record.position, record.exact)
    });
    let dead = classified.dead.iter().map(|letter| format!("{} {:?} {}", letter.id, letter.position, letter.message));
    let skipped = classified.skipped.iter().map(|(skip, count)| format!("{} {count}", skip.code()));
    records.chain(dead).chain(skipped).collect()
}
