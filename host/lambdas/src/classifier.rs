//! The classifier: events of queues, streams, topics and apps, and objects they announce, become records for the rules engine
//! and the archive.

use crate::environment::Environment;
use crate::function::{Function, failures};
use crate::live::{LiveSet, Now};
use crate::lookout::Lookout;
use crate::metrics::{Meter, Metrics};
use crate::outbox::{Outbox, told};
use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Cursor as Bytes, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_aws::archive::FirehoseArchive;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::objects::{Bucket, ObjectReader};
use streamalert_aws::queue::SqsQueue;
use streamalert_intake::{Arrival, Cursor, Object, Piece, Pieces, unwrap};
use streamalert_intel::Enricher;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, DeadLetters};
use streamalert_pipeline::classifier::{Classified, Classifier as Shared, Framing, Worker};
use streamalert_pipeline::dead_letter::{DeadLetter, Input, Reason};
use streamalert_pipeline::log_record::{NORMALIZATION_KEY, Payload, Position};
use streamalert_pipeline::record_batch::RecordBatch;
use streamalert_pipeline::skip::Skip;
use streamalert_pipeline::time::Millis;

/// Bytes of records that are gathered before they are sent: some messages for each of the usual log types, and a small part of
/// the memory of the smallest function.
const GATHERED_BYTES: usize = 8 << 20;
/// Dead letters that are gathered before they are stored, if they have not [`GATHERED_BYTES`] before.
const GATHERED_LETTERS: usize = 1_000;
/// Time kept for sending what is gathered, before the function is ended: at least so much, or a tenth of all there is.
const STOP_BEFORE: Duration = Duration::from_secs(3);
/// Bytes of an object from which on it may take more than one invocation; only then is a look at its cursor worth a call.
const CURSOR_BYTES: u64 = 64 << 20;
const CURSORS: &str = "cursors/";
/// Why an item comes again whose parser is not there.
const LACKED_CODE: &str = "the code of a parser could not be fetched";
/// Letters that one invocation sends again.
const LETTERS_MAX: usize = 10_000;

pub struct Classifier {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    queue: SqsQueue,
    archive: FirehoseArchive,
    dead: S3DeadLetters,
    data: Bucket,
    /// Knows the shapes of records it has met; for as long as its classifier is live.
    worker: Mutex<Option<(Arc<Shared>, Worker)>>,
    lookout: Lookout,
}

/// How far an object was read, and which state of it.
#[derive(Serialize, Deserialize)]
struct Place {
    etag: Option<String>,
    cursor: Cursor,
}

/// Sends dead letters again, by their ids.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resend {
    streamalert_resend: Vec<String>,
}

impl Classifier {
    pub fn new(environment: &Environment) -> Result<Self> {
        let Environment { aws, names, .. } = environment;
        let data = Bucket::new(aws, names.data_bucket());
        let logs = environment.get("STREAMALERT_ARCHIVE_LOGS").unwrap_or_default();
        let logs = logs.split(',').map(str::trim).filter(|log| !log.is_empty()).map(str::to_owned).collect();
        Ok(Classifier {
            meter: Meter::of(environment, "classifier")?,
            live: LiveSet::open(environment)?,
            queue: SqsQueue::new(aws, names.records_queue(), data.clone()),
            archive: FirehoseArchive::new(aws, &names.prefix, logs, data.clone()),
            dead: S3DeadLetters::new(aws, names.data_bucket()),
            data,
            worker: Mutex::new(None),
            lookout: Lookout::new(environment),
            environment: environment.clone(),
        })
    }
}

impl Function for Classifier {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let now = self.live.current(deadline)?;
        self.archive.set_schemas(now.live.classifier.schemas());
        let mut kept = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let (shared, mut worker) = match kept.take() {
            Some((shared, worker)) if Arc::ptr_eq(&shared, &now.live.classifier) => (shared, worker),
            _ => (now.live.classifier.clone(), now.live.classifier.worker()),
        };
        let left = deadline.saturating_duration_since(begun);
        let mut run = Run {
            function: self,
            now: &now,
            enricher: self.lookout.now(&now),
            worker: &mut worker,
            outbox: Outbox::new(&self.queue, &self.archive),
            letters: Vec::new(),
            letter_bytes: 0,
            finished: Vec::new(),
            failures: now.failures(),
            failed: BTreeMap::new(),
            metrics: Metrics::of(&self.meter),
            arrived: millis(),
            stop: deadline.checked_sub(STOP_BEFORE.max(left / 10)).unwrap_or(begun),
            unaccounted: 0,
        };
        let answer = match serde_json::from_slice::<Resend>(event) {
            Ok(Resend { streamalert_resend: ids }) => run.resend(&ids),
            Err(_) => run.event(event),
        };
        run.metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        run.metrics.print(&self.meter, millis());
        *kept = Some((shared, worker));
        answer
    }
}

/// One event.
struct Run<'a> {
    function: &'a Classifier,
    now: &'a Now,
    /// What looks records through for indicators of compromise.
    enricher: Option<Arc<Enricher>>,
    worker: &'a mut Worker,
    outbox: Outbox<'a>,
    /// With the item each is of.
    letters: Vec<(Arc<str>, DeadLetter)>,
    /// Bytes that they keep.
    letter_bytes: usize,
    /// Objects that were read to their end from a cursor, with the item each is of.
    finished: Vec<(Arc<str>, Object)>,
    /// See [`Now::failures`].
    failures: u64,
    /// Items that are to come again, and why.
    failed: BTreeMap<Arc<str>, String>,
    metrics: Metrics,
    arrived: Millis,
    /// No new work after this.
    stop: Instant,
    unaccounted: u64,
}

impl Run<'_> {
    fn event(&mut self, event: &[u8]) -> Result<Value> {
        for arrival in unwrap(event) {
            let item = arrival.id().clone();
            // Of an item that comes again, the rest can wait until then.
            if self.failed.contains_key(&item) {
                continue;
            }
            if Instant::now() >= self.stop {
                self.failed.insert(item, "there was no time left".into());
                continue;
            }
            self.arrival(arrival, &item);
        }
        self.flush();
        self.forget();
        self.answer()
    }

    fn arrival(&mut self, arrival: Arrival, item: &Arc<str>) {
        match arrival {
            Arrival::Bytes { source, bytes, .. } => {
                let mut pieces = self.pieces(source, Bytes::new(bytes));
                // What lies in the event itself is small, and is never left in the middle.
                while !self.failed.contains_key(item) {
                    match pieces.read_piece() {
                        Ok(Some(piece)) => self.piece(piece, item),
                        Ok(None) => break,
                        Err(error) => self.fail(item, format!("read what the event brought: {}", chain(&error))),
                    }
                }
            }
            Arrival::Object(object) => self.object(&object, item),
            Arrival::Skip { skip, .. } => self.skip(skip),
            Arrival::Dead(dead) => self.dead(item, dead.letter()),
        }
    }

    fn pieces<R: Read>(&self, source: streamalert_pipeline::log_record::Source, reader: R) -> Pieces<R> {
        let classifier = self.now.live.classifier.clone();
        let frames = move |source: &_, head: &[u8]| classifier.framing(source, head);
        Pieces::new(Arc::new(source), reader, Framing::default()).framed_by(frames)
    }

    /// Reads an object to its end, or until there is no time left: then its cursor is kept for the next invocation.
    fn object(&mut self, object: &Object, item: &Arc<str>) {
        let large = object.size.is_none_or(|size| size >= CURSOR_BYTES);
        let place = match large.then(|| self.place(object)).transpose() {
            Ok(place) => place.flatten(),
            Err(error) => return self.fail(item, told(&error)),
        };
        let reader = match ObjectReader::open(&self.function.environment.aws, object) {
            Ok(reader) => reader,
            Err(error) if error.kind == BackendErrorKind::NotFound => {
                let letter = gone(object, &told(&error));
                return self.dead(item, letter);
            }
            Err(error) => return self.fail(item, told(&error)),
        };
        self.metrics.count(&[], "S3Objects", 1);
        let opened = Instant::now();
        let resumed = place.is_some();
        let etag = reader.etag().map(str::to_owned);
        let mut pieces = self.pieces(object.source(), reader);
        // Of an object that somebody has replaced meanwhile, nothing has been read.
        if let Some(place) = place.filter(|place| place.etag == etag) {
            pieces = pieces.from_cursor(place.cursor);
        }
        loop {
            match pieces.read_piece() {
                Ok(Some(piece)) => self.piece(piece, item),
                Ok(None) => {
                    self.metrics.add(&[], "S3ObjectTime", "Milliseconds", opened.elapsed().as_secs_f64() * 1e3);
                    if resumed {
                        self.finished.push((item.clone(), object.clone()));
                    }
                    return;
                }
                Err(error) => {
                    self.fail(item, format!("read s3://{}/{}: {}", object.bucket, object.key, chain(&error)));
                    break;
                }
            }
            if self.failed.contains_key(item) {
                return;
            }
            if Instant::now() >= self.stop {
                break;
            }
        }
        // What was read is sent, and only then does the cursor say so.
        let broken = self.failed.get(item).cloned();
        self.failed.remove(item);
        self.flush();
        if large
            && !self.failed.contains_key(item)
            && let Err(error) = self.remember(object, &Place { etag, cursor: pieces.cursor() })
        {
            tracing::warn!(error = told(&error), "the place in an object was not kept: it is read from its beginning");
        }
        self.fail(item, broken.unwrap_or_else(|| format!("s3://{}/{} goes on next time", object.bucket, object.key)));
    }

    fn piece(&mut self, piece: Piece, item: &Arc<str>) {
        match piece {
            Piece::Payload(payload) => {
                let mut classified = self.worker.classify(payload);
                // Without its parser a log may be taken for what it is not; what was classified all the same needed none.
                if self.lacked_code() && !classified.dead.is_empty() {
                    return self.fail(item, LACKED_CODE.into());
                }
                // Without knowing, rules would be silent about what they are there for: the item comes again.
                if let Err(why) = self.look(&mut classified) {
                    return self.fail(item, why);
                }
                self.classified(classified, item);
            }
            Piece::Dead(letter) => self.dead(item, *letter),
            Piece::Skip(skip) => self.skip(skip),
        }
        self.flush_much();
    }

    /// Attaches what is known of values to their records, before they go to the archive and to the rules.
    fn look(&mut self, classified: &mut Classified) -> Result<(), String> {
        let Some(enricher) = &self.enricher else { return Ok(()) };
        let attached = enricher.enrich(&mut classified.batch, self.arrived).map_err(|error| told(&error))?;
        if attached.records > 0 {
            self.metrics.count(&[], "IocHits", attached.records);
        }
        Ok(())
    }

    /// Whether code could not be fetched since this was asked last: that says nothing about a log.
    fn lacked_code(&mut self) -> bool {
        let before = std::mem::replace(&mut self.failures, self.now.failures());
        before != self.failures
    }

    fn flush_much(&mut self) {
        let bytes = self.outbox.bytes().max(self.letter_bytes);
        if bytes >= GATHERED_BYTES || self.letters.len() >= GATHERED_LETTERS {
            self.flush();
        }
    }

    fn classified(&mut self, classified: Classified, item: &Arc<str>) {
        self.metrics.count(&[], "Inputs", classified.inputs);
        self.metrics.add(&[], "InputBytes", "Bytes", classified.batch.payload.bytes.len() as f64);
        for (skip, count) in classified.skipped.iter() {
            self.metrics.count(&[("Reason", skip.code())], "Skipped", count);
        }
        self.unaccounted += classified.unaccounted;
        self.metrics.count(&[], "Unaccounted", classified.unaccounted);
        for batch in RecordBatch::of(&classified.batch, self.arrived) {
            let count = batch.records.len() as u64;
            self.metrics.count(&[], "Records", count);
            self.metrics.count(&[("LogType", &batch.log_type)], "Records", count);
            self.metrics.count(&[("Cluster", &batch.cluster)], "Records", count);
            let normalized = batch.records.iter().filter(|record| record.json.contains(NORMALIZATION_KEY)).count();
            self.metrics.count(&[], "NormalizedRecords", normalized as u64);
            let of = |service: &str| batch.records.iter().filter(|record| record.source.service == service).count();
            self.metrics.count(&[], "S3Records", of("s3") as u64);
            self.metrics.count(&[], "AppRecords", of("streamalert_app") as u64);
            self.outbox.add(batch, item);
        }
        for letter in classified.dead {
            self.dead(item, letter);
        }
    }

    fn skip(&mut self, skip: Skip) {
        self.metrics.count(&[("Reason", skip.code())], "Skipped", 1);
    }

    fn dead(&mut self, item: &Arc<str>, letter: DeadLetter) {
        self.metrics.count(&[("Reason", letter.reason.code())], "DeadLetters", 1);
        self.letter_bytes += match &letter.input {
            Input::Text(text) | Input::Hex(text) => text.len(),
        };
        self.letters.push((item.clone(), letter));
    }

    fn fail(&mut self, item: &Arc<str>, reason: String) {
        tracing::warn!(item = &**item, reason, "an item of the event comes again");
        self.failed.insert(item.clone(), reason);
    }

    /// Sends and stores what is gathered; items of which something was not, fail.
    fn flush(&mut self) {
        let failed = self.outbox.send();
        self.failed.extend(failed);
        self.letter_bytes = 0;
        let (items, letters): (Vec<Arc<str>>, Vec<DeadLetter>) = std::mem::take(&mut self.letters).into_iter().unzip();
        if let Err(error) = self.function.dead.put(&letters) {
            let reason = told(&error);
            tracing::error!(error = reason, "dead letters were not stored; what they are about comes again");
            self.failed.extend(items.into_iter().map(|item| (item, reason.clone())));
        }
    }

    fn answer(&mut self) -> Result<Value> {
        self.metrics.count(&[], "FailedItems", self.failed.len() as u64);
        let sent = self.outbox.sent;
        for (name, count) in [
            ("QueuedRecords", sent.queued),
            ("QueueFailedRecords", sent.not_queued),
            ("ArchivedRecords", sent.archived),
            ("ArchiveFailedRecords", sent.not_archived),
        ] {
            self.metrics.count(&[], name, count);
        }
        if self.unaccounted > 0 {
            tracing::error!(count = self.unaccounted, "inputs came to nothing, which is a fault of streamalert");
        }
        // Without an id there is nobody to be told of a part.
        if let Some((_, reason)) = self.failed.iter().find(|(item, _)| item.is_empty()) {
            bail!("the event has to come again: {reason}");
        }
        Ok(failures(self.failed.keys().map(|item| &**item)))
    }

    /// Letters that are gone through are removed; those that stay are named, with the reason.
    fn resend(&mut self, ids: &[String]) -> Result<Value> {
        let wanted: HashSet<&str> = ids.iter().take(LETTERS_MAX).map(String::as_str).collect();
        let pile = self.function.dead.pile().map_err(|error| anyhow!("{}", told(&error)))?;
        let mut stayed: BTreeMap<String, String> = BTreeMap::new();
        let mut tried: Vec<Arc<str>> = Vec::new();
        for letter in pile.letters.iter().filter(|letter| wanted.contains(letter.id.as_str())) {
            let item: Arc<str> = letter.id.as_str().into();
            if Instant::now() >= self.stop {
                stayed.insert(letter.id.clone(), "there was no time left; send it again".into());
            } else if let Err(why) = self.again(letter, &item) {
                stayed.insert(letter.id.clone(), why);
            } else {
                tried.push(item);
            }
            self.flush_much();
        }
        self.flush();
        self.forget();
        stayed.extend(self.failed.iter().map(|(item, why)| (item.to_string(), why.clone())));
        let through: Vec<String> =
            tried.iter().map(ToString::to_string).filter(|id| !stayed.contains_key(id)).collect();
        // The letters last: if we die before this, they are sent again, and identities make it harmless.
        self.function.dead.remove_from(&pile, &through).map_err(|error| anyhow!("{}", told(&error)))?;
        Ok(json!({ "through": through, "stayed": stayed }))
    }

    fn again(&mut self, letter: &DeadLetter, item: &Arc<str>) -> Result<(), String> {
        letter.resendable()?;
        if letter.reason == Reason::NoObject {
            return self.fetched(letter, item);
        }
        let mut classified = self.worker.resend(letter);
        let lacked = self.lacked_code();
        if let Some(dead) = classified.dead.first() {
            if lacked {
                return Err(LACKED_CODE.into());
            }
            return Err(format!("{}: {}", dead.reason.code(), dead.message));
        }
        self.look(&mut classified)?;
        for mut batch in RecordBatch::of(&classified.batch, self.arrived) {
            batch.rule = letter.fault.as_ref().map(|fault| fault.rule.clone());
            self.outbox.add(batch, item);
        }
        Ok(())
    }

    /// The object of a letter that keeps its announcement.
    fn fetched(&mut self, letter: &DeadLetter, item: &Arc<str>) -> Result<(), String> {
        let arrivals = unwrap(&letter.input.bytes());
        let objects: Vec<&Object> = arrivals
            .iter()
            .filter_map(|arrival| match arrival {
                Arrival::Object(object) => Some(object),
                _ => None,
            })
            .collect();
        if objects.is_empty() {
            return Err("it announces no object".into());
        }
        for object in objects {
            let before = self.letters.len();
            self.object(object, item);
            let died = |(of, dead): &(Arc<str>, DeadLetter)| of == item && dead.reason == Reason::NoObject;
            if let Some(at) = self.letters.iter().skip(before).position(died) {
                let (_, dead) = self.letters.remove(before + at);
                return Err(dead.message);
            }
        }
        Ok(())
    }

    fn place(&self, object: &Object) -> Result<Option<Place>, BackendError> {
        let key = cursor_key(object);
        let stored = self.function.environment.aws.wait(self.function.data.get(&key))?;
        // One that cannot be read is of another version: the object is read from its beginning.
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.bytes).ok()))
    }

    fn remember(&self, object: &Object, place: &Place) -> Result<(), BackendError> {
        let text = serde_json::to_vec(place).map_err(|error| BackendError::other("write a cursor", error))?;
        self.function.environment.aws.wait(self.function.data.put(&cursor_key(object), text))
    }

    /// Removes the cursors of what was read to its end, unless it comes again: then it goes on there once more.
    fn forget(&mut self) {
        for (item, object) in std::mem::take(&mut self.finished) {
            if self.failed.contains_key(&item) {
                continue;
            }
            let key = cursor_key(&object);
            if let Err(error) = self.function.environment.aws.wait(self.function.data.delete(&key)) {
                tracing::warn!(error = told(&error), "the cursor of an object that is done was not removed");
            }
        }
    }
}

/// Of this version of the object: another one begins anew.
fn cursor_key(object: &Object) -> String {
    let version = object.version.as_ref().or(object.etag.as_ref()).map(String::as_str).unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [&object.bucket, &object.key, version] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{CURSORS}{digest}.json")
}

/// A letter about an object that is not there, or cannot be read as it is. It keeps the announcement.
fn gone(object: &Object, error: &str) -> DeadLetter {
    let mut entity = json!({ "key": form_encoded(&object.key) });
    for (name, value) in [("versionId", &object.version), ("eTag", &object.etag), ("sequencer", &object.sequencer)] {
        if let Some(value) = value {
            entity[name] = value.as_str().into();
        }
    }
    if let Some(size) = object.size {
        entity["size"] = size.into();
    }
    let record = json!({
        "eventName": "ObjectCreated:Put", "awsRegion": object.region,
        "s3": { "bucket": { "name": object.bucket }, "object": entity }
    });
    let event = json!({ "Records": [record] }).to_string();
    let payload = Payload::new(Arc::new(object.source()), 0, event.as_bytes());
    let position = Position { offset: 0, length: event.len() as u64, index: 0 };
    let message = format!("{error}; when it is there again, send this again");
    DeadLetter::new(&payload, "", position, Reason::NoObject, message)
}

/// As S3 writes keys in its notifications.
fn form_encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => text.push(byte.into()),
            b' ' => text.push('+'),
            _ => text += &format!("%{byte:02X}"),
        }
    }
    text
}

fn chain(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<BackendError>()) {
        Some(error) => told(error),
        None => error.to_string(),
    }
}

pub(crate) fn millis() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_object_is_announced_again_by_its_letter() {
        let object = Object {
            bucket: "logs".into(),
            key: "a b/é+1%.json".into(),
            version: None,
            etag: Some("e".into()),
            sequencer: None,
            size: Some(7),
            region: Some("eu-west-1".into()),
            account: None,
            id: "".into(),
        };
        let letter = gone(&object, "it is gone");
        assert_eq!(unwrap(&letter.input.bytes()), [Arrival::Object(object)]);
        assert!(letter.resendable().is_ok());
    }
}
