//! What comes in, and what the classifier makes of it.

use crate::config::schema::LogType;
use crate::dead_letter::{DeadLetter, Reason};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_packed::Record;

/// Keys of a record that are ours and not the log's.
pub const ENVELOPE_KEY: &str = "streamalert:envelope_keys";
pub const NORMALIZATION_KEY: &str = "streamalert_normalization";
pub const OCSF_KEY: &str = "streamalert:ocsf";
pub const ECS_KEY: &str = "streamalert:ecs";
/// Indicators of compromise among the record's values; see [`crate::threat_intel`].
pub const IOC_KEY: &str = "streamalert:ioc";
/// Names of keys that stand in the record's input more than once, or differ only in case: a way to hide from rules.
pub const DUPLICATES_KEY: &str = "streamalert:duplicate_keys";
/// How many bytes and escapes of the record's input are no text and are kept as `\xNN` or `\uNNNN`.
pub const INVALID_KEY: &str = "streamalert:invalid_text";
/// Under [`NORMALIZATION_KEY`], beside the normalized names: what joins a record and its artifacts.
pub const NORMALIZED_ID_KEY: &str = "streamalert_record_id";

/// Where a payload came from. `service` and `resource` choose the log types, the whole of it is part of every record's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// `s3`, `kinesis`, `sns`, `streamalert_app`; on one machine `file`, `stdin`, `http`.
    pub service: String,
    /// Bucket, stream, topic, app; the folder or endpoint on one machine.
    pub resource: String,
    /// Key of the object, path of the file; empty where there is none.
    pub object: String,
    /// Version or entity tag of the object, where the service has one. No part of a record's identity: its content is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl Source {
    pub fn new(service: impl Into<String>, resource: impl Into<String>, object: impl Into<String>) -> Self {
        Source { service: service.into(), resource: resource.into(), object: object.into(), version: String::new() }
    }
}

/// Bytes as they arrived, unpacked from envelopes and compression.
#[derive(Clone, Debug)]
pub struct Payload {
    pub source: Arc<Source>,
    /// Where `bytes` begins in the (decompressed) object, in bytes.
    pub offset: u64,
    pub bytes: Arc<[u8]>,
    /// What a reader must know of the object's bytes before these: the header line in force. Empty at the beginning of an
    /// object, and where there is none.
    pub head: Arc<[u8]>,
    /// Of its record, where that is not made of source, content and place.
    pub identity: Option<[u8; 32]>,
}

/// Where a record stands in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// First byte of the input (document, line) it was found in, counted in the decompressed object.
    pub offset: u64,
    /// Bytes of that input.
    pub length: u64,
    /// Which record of that input, from 0.
    pub index: u32,
}

/// One classified record of a [`LogBatch`].
#[derive(Clone, Debug)]
pub struct LogRecord {
    pub log_type: Arc<LogType>,
    pub position: Position,
    /// Its keys are exactly those of the schema; otherwise there are some the schema does not know.
    pub exact: bool,
    pub(crate) packed: Range<usize>,
    /// Where its first text lies in the input, if the record is an object within the input and not all of it.
    pub(crate) part_at: Option<u32>,
    /// Where the JSON that a parser component made of it lies in [`LogBatch::made`].
    pub(crate) made: Option<Range<usize>>,
}

/// Classified records that go through the rules together.
#[derive(Debug)]
pub struct LogBatch {
    pub payload: Payload,
    pub cluster: Arc<str>,
    pub records: Vec<LogRecord>,
    pub(crate) bytes: Vec<u8>,
    /// JSON that a parser component made, which letters about its records keep.
    pub(crate) made: Vec<u8>,
    /// That of a record which is sent again.
    pub(crate) identity: Option<[u8; 32]>,
    /// Of a batch that came by a queue, what each of its records brought along: the payload is not there any more.
    pub(crate) carried: Vec<Carried>,
    pub(crate) last_digest: LastDigest,
}

/// What a record that came by a queue brought along.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub source: Arc<Source>,
    pub identity: [u8; 32],
}

impl LogBatch {
    pub fn new(payload: Payload, cluster: Arc<str>) -> Self {
        LogBatch {
            payload,
            cluster,
            records: Vec::new(),
            bytes: Vec::new(),
            made: Vec::new(),
            identity: None,
            carried: Vec::new(),
            last_digest: LastDigest::default(),
        }
    }

    /// Where record `index` came from.
    pub fn source(&self, index: usize) -> &Arc<Source> {
        self.carried.get(index).map_or(&self.payload.source, |carried| &carried.source)
    }

    /// A letter about record `index`, which can be sent again by itself.
    pub fn letter(&self, index: usize, reason: Reason, message: String) -> DeadLetter {
        let (position, identity) = (self.records[index].position, self.identity(index));
        if let Some(carried) = self.carried.get(index) {
            let json = self.fields(index).to_json();
            let json = json.as_bytes();
            let payload = Payload::new(carried.source.clone(), position.offset, json);
            let mut letter =
                DeadLetter::about(&payload, &self.cluster, position, &identity, Some(json), reason, message);
            letter.keep_classified(json, &self.records[index].log_type.name);
            return letter;
        }
        let part = self.part(index);
        let mut letter = DeadLetter::about(&self.payload, &self.cluster, position, &identity, part, reason, message);
        if let Some((json, parser)) = self.made(index) {
            letter.keep_made(json, parser);
        }
        letter
    }

    /// The fields of record `index`.
    #[inline]
    pub fn fields(&self, index: usize) -> Record<'_> {
        // SAFETY: `packed` ranges come from `Builder::finish` on this buffer and nobody else can set them.
        unsafe { Record::trusted(&self.bytes[self.records[index].packed.clone()]) }
    }

    /// The input text record `index` came from; of a record that is sent again, what the letter kept of it.
    pub fn input(&self, index: usize) -> &[u8] {
        if self.identity.is_some() {
            return &self.payload.bytes;
        }
        self.payload.input(self.records[index].position)
    }

    /// The record's own part of the input it came from; `None` where it is all of it, or was made of something embedded.
    pub fn part(&self, index: usize) -> Option<&[u8]> {
        let record = &self.records[index];
        // A record that is sent again has its old place, and of its input perhaps only what the letter kept.
        if self.identity.is_some() && record.position.length != self.payload.bytes.len() as u64 {
            return Some(&self.payload.bytes);
        }
        part_of(self.payload.input(record.position), record.part_at? as usize)
    }

    /// The JSON that a parser component made of what arrived, and the component's name for clusters.
    pub fn made(&self, index: usize) -> Option<(&[u8], &str)> {
        let record = &self.records[index];
        Some((&self.made[record.made.clone()?], record.log_type.component.as_deref()?))
    }

    /// What makes this record this record: source, the content at its position (the version), and the position.
    pub fn identity(&self, index: usize) -> [u8; 32] {
        if let Some(carried) = self.carried.get(index) {
            return carried.identity;
        }
        match (self.identity, index) {
            (None, _) => self.last_digest.identity(&self.payload, self.records[index].position),
            (Some(identity), 0) => identity,
            // What was one record then is several now.
            (Some(identity), _) => {
                Sha256::new().chain_update(identity).chain_update(index.to_le_bytes()).finalize().into()
            }
        }
    }
}

impl Payload {
    /// A payload that needs to know nothing of what came before it.
    pub fn new(source: Arc<Source>, offset: u64, bytes: impl Into<Arc<[u8]>>) -> Self {
        Payload { source, offset, bytes: bytes.into(), head: Arc::default(), identity: None }
    }

    pub fn input(&self, position: Position) -> &[u8] {
        let from = (position.offset - self.offset) as usize;
        &self.bytes[from..from + position.length as usize]
    }

    /// Same source, same bytes, same place: same identity. The digest of the input stands for the object's version, so
    /// that a file which grew keeps the identity of its old records, and one that was rewritten does not.
    pub fn identity(&self, position: Position) -> [u8; 32] {
        self.identity_by(&self.digest(position), position)
    }

    /// The digest of the input at `position`: the same for all of its records, so worth keeping.
    pub(crate) fn digest(&self, position: Position) -> [u8; 32] {
        Sha256::digest(self.input(position)).into()
    }

    pub(crate) fn identity_by(&self, digest: &[u8; 32], position: Position) -> [u8; 32] {
        match (self.identity, position.index) {
            (None, _) => {}
            (Some(identity), 0) => return identity,
            (Some(identity), index) => {
                return Sha256::new().chain_update(identity).chain_update(index.to_le_bytes()).finalize().into();
            }
        }
        let mut hash = Sha256::new();
        for part in [&self.source.service, &self.source.resource, &self.source.object] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(digest);
        hash.update(position.offset.to_le_bytes());
        hash.update(position.index.to_le_bytes());
        hash.finalize().into()
    }
}

/// The digest of the input that was asked about last.
#[derive(Debug, Default)]
pub(crate) struct LastDigest(Mutex<Option<(u64, [u8; 32])>>);

impl LastDigest {
    pub fn identity(&self, payload: &Payload, position: Position) -> [u8; 32] {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match *last {
            Some((offset, digest)) if offset == position.offset => digest,
            _ => payload.digest(position),
        };
        *last = Some((position.offset, digest));
        payload.identity_by(&digest, position)
    }
}

/// The object within `input` whose first text lies at `at`, as it arrived.
pub(crate) fn part_of(input: &[u8], at: usize) -> Option<&[u8]> {
    let open = input[..at].iter().rposition(|b| *b == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(&input[open..]).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(&input[open..open + values.byte_offset()])
}

/// 128 bits of a digest as lower-case hex: enough that no two things we name meet by chance.
pub fn short_id(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
