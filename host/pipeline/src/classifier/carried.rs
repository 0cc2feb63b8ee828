//! Records that were classified before and come by a queue, or in a letter: packed again, and nothing decided anew.

use super::Classified;
use super::document::{Document, Item};
use super::known_keys::KnownKeys;
use super::record::{self, Refusal};
use crate::config::Schemas;
use crate::config::schema::LogType;
use crate::dead_letter::{DeadLetter, Reason};
use crate::log_record::{Carried, LogBatch, LogRecord, Payload, Position, Source};
use crate::record_batch::{BatchRecord, RecordBatch};
use crate::skip::Skips;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A record as it was classified before.
#[derive(Clone, Debug)]
pub struct Before<'a> {
    pub source: Arc<Source>,
    pub position: Position,
    pub identity: [u8; 32],
    pub json: &'a str,
}

/// Packs records that were classified before.
#[derive(Default)]
pub struct Repacker {
    document: Document,
    keys: KnownKeys,
}

impl Repacker {
    /// An empty batch for them; they came from nowhere together.
    pub fn batch(cluster: Arc<str>) -> LogBatch {
        LogBatch::new(Payload::new(Arc::new(Source::new("", "", "")), 0, &b""[..]), cluster)
    }

    /// Puts a record behind those of a batch that has no others than such; gives a letter about one that rules cannot be shown.
    pub fn push(
        &mut self,
        batch: &mut LogBatch,
        log_type: &Arc<LogType>,
        record: Before<'_>,
    ) -> Result<(), Box<DeadLetter>> {
        let document = &mut self.document;
        let packed = match document.parse(record.json.as_bytes()) && matches!(document.item(0), Item::Object { .. }) {
            true => record::build_plain(&mut batch.bytes, document, &mut self.keys),
            false => Err(Refusal::Type("it is no JSON object".into())),
        };
        let (reason, message) = match packed {
            Ok(packed) => {
                let (log_type, position) = (log_type.clone(), record.position);
                batch.records.push(LogRecord { log_type, position, exact: true, packed, part_at: None, made: None });
                batch.carried.push(Carried { source: record.source, identity: record.identity });
                return Ok(());
            }
            Err(Refusal::Pattern(message) | Refusal::Type(message)) => (Reason::NotAnObject, message),
            Err(Refusal::Limit(message)) => (Reason::Limit, message),
        };
        Err(Box::new(letter(&record, &batch.cluster, &log_type.name, reason, &message)))
    }
}

/// What is wrong with records of a log type that no schema has.
pub fn gone(log_type: &str) -> String {
    format!("the log type {log_type} is gone from the schemas; bring it back, then send this again")
}

/// The batch as rules see it, and letters about what cannot be shown to them.
pub fn log_batch(batch: RecordBatch, schemas: &Schemas) -> (LogBatch, Vec<DeadLetter>) {
    let RecordBatch { cluster, log_type, records, .. } = batch;
    let mut out = Repacker::batch(cluster);
    let known = schemas.get(&log_type).cloned();
    let mut packer = Repacker::default();
    let mut dead = Vec::new();
    for BatchRecord { source, position, identity, json, .. } in records {
        let record = Before { source, position, identity, json: &json };
        match &known {
            Some(known) => dead.extend(packer.push(&mut out, known, record).err().map(|letter| *letter)),
            None => dead.push(letter(&record, &out.cluster, &log_type, Reason::NoSchema, &gone(&log_type))),
        }
    }
    (out, dead)
}

/// Puts an object in the place of what a record was. Says whether it could; if not, the record stays as it is.
pub fn repack(batch: &mut LogBatch, row: usize, json: &[u8]) -> bool {
    let mut document = Document::default();
    if !document.parse(json) || !matches!(document.item(0), Item::Object { .. }) {
        return false;
    }
    match record::build_plain(&mut batch.bytes, &document, &mut KnownKeys::default()) {
        Ok(packed) => {
            batch.records[row].packed = packed;
            true
        }
        Err(_) => false,
    }
}

fn letter(record: &Before<'_>, cluster: &str, log_type: &str, reason: Reason, message: &str) -> DeadLetter {
    let json = record.json.as_bytes();
    let payload = Payload::new(record.source.clone(), record.position.offset, json);
    let message = message.to_owned();
    let mut letter =
        DeadLetter::about(&payload, cluster, record.position, &record.identity, Some(json), reason, message);
    letter.keep_classified(json, log_type);
    letter
}

/// A letter about a record that was classified before.
pub(super) fn again(letter: &DeadLetter, log_type: &str, schemas: &Schemas) -> Classified {
    let record = BatchRecord {
        source: Arc::new(letter.source.clone()),
        position: letter.position,
        identity: letter.identity_bytes(),
        event_time: None,
        json: String::from_utf8_lossy(&letter.input.bytes()).into_owned(),
    };
    let batch = RecordBatch {
        cluster: letter.cluster.as_str().into(),
        log_type: log_type.to_owned(),
        arrived: 0,
        rule: None,
        records: vec![record],
    };
    let (batch, mut dead) = log_batch(batch, schemas);
    // Still dead: still the same letter.
    for dead in &mut dead {
        *dead = DeadLetter { reason: dead.reason, message: std::mem::take(&mut dead.message), ..letter.clone() };
    }
    Classified { batch, dead, inputs: 1, skipped: Skips::default(), ambiguous: BTreeMap::new(), unaccounted: 0 }
}
