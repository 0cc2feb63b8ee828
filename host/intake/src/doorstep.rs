//! What a Lambda function is handed, unwrapped: envelopes around logs, and notifications of objects that hold them.
//!
//! Envelopes are known by their shape, at most [`UNWRAP_DEPTH_MAX`] within one another; what has no such shape is data
//! and handed on as it came. The innermost envelope names the source:
//!
//! | envelope | service | resource | object |
//! |---|---|---|---|
//! | Kinesis record | `kinesis` | stream | event id, and number within an aggregated record |
//! | S3 notification, EventBridge event of a new S3 object | `s3` | bucket | key |
//! | SNS message | `sns` | topic | message id |
//! | SQS message | `sqs` | queue | message id |
//! | EventBridge event | `eventbridge` | its `source` | its `id` |
//! | CloudWatch Logs subscription without Kinesis | `cloudwatch_logs` | log group | |
//! | app | `streamalert_app` | app | |

mod aggregate;
mod key;

use crate::pieces::{Piece, Pieces};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use key::form_decoded;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use streamalert_pipeline::classifier::Framing;
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::limits::{INPUT_BYTES_MAX, UNWRAP_DEPTH_MAX};
use streamalert_pipeline::log_record::{Payload, Position, Source};
use streamalert_pipeline::skip::Skip;

/// What came of one envelope. `id` is that of the outermost one, by which a function says what of its batch failed: the
/// sequence number of a Kinesis record, the id of an SQS message. Of all others it is empty: nobody listens to a function that
/// says what failed of an event of SNS or S3, so all of it has to come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    Bytes { source: Source, bytes: Vec<u8>, id: Arc<str> },
    Object(Object),
    Skip { skip: Skip, id: Arc<str> },
    Dead(Dead),
}

/// An object that was announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub bucket: String,
    /// As the object is called, nothing encoded.
    pub key: String,
    pub version: Option<String>,
    pub etag: Option<String>,
    /// Orders the events of one key.
    pub sequencer: Option<String>,
    pub size: Option<u64>,
    pub region: Option<String>,
    /// Who owns the bucket, where the event tells.
    pub account: Option<String>,
    pub id: Arc<str>,
}

impl Object {
    pub fn source(&self) -> Source {
        let version = self.version.as_ref().or(self.etag.as_ref()).cloned().unwrap_or_default();
        Source { version, ..Source::new("s3", &self.bucket, &self.key) }
    }
}

/// An envelope that is not what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub source: Source,
    pub reason: Reason,
    pub message: String,
    /// The envelope.
    pub bytes: Vec<u8>,
    pub id: Arc<str>,
}

impl Dead {
    pub fn letter(&self) -> DeadLetter {
        let payload = Payload::new(Arc::new(self.source.clone()), 0, &self.bytes[..]);
        let position = Position { offset: 0, length: self.bytes.len() as u64, index: 0 };
        DeadLetter::new(&payload, "", position, self.reason, self.message.clone())
    }
}

impl Arrival {
    pub fn id(&self) -> &Arc<str> {
        match self {
            Arrival::Bytes { id, .. } | Arrival::Skip { id, .. } => id,
            Arrival::Object(object) => &object.id,
            Arrival::Dead(dead) => &dead.id,
        }
    }
}

/// A piece of what an event held or announced.
#[derive(Debug)]
pub struct Delivery {
    /// See [`Arrival`].
    pub id: Arc<str>,
    /// An error is that of reading an object: it has to be tried again, and what came of it before is harmless twice.
    pub piece: io::Result<Piece>,
}

/// From an event to payloads: unwrapped, fetched, decompressed and cut. After an error of one object the next one follows.
pub fn payloads<R: Read>(
    event: &[u8],
    mut fetch: impl FnMut(&Object) -> io::Result<R>,
    framing: impl Fn(&Source) -> Framing,
) -> impl Iterator<Item = Delivery> {
    let mut arrivals = unwrap(event).into_iter();
    let mut open: Option<(Arc<str>, Pieces<Body<R>>)> = None;
    std::iter::from_fn(move || {
        loop {
            if let Some((id, pieces)) = &mut open {
                match pieces.read_piece().transpose() {
                    Some(piece) => {
                        let id = id.clone();
                        if piece.is_err() {
                            open = None;
                        }
                        return Some(Delivery { id, piece });
                    }
                    None => open = None,
                }
            }
            let mut cut = |id: &Arc<str>, source: Source, body: Body<R>| {
                let framing = framing(&source);
                open = Some((id.clone(), Pieces::new(Arc::new(source), body, framing)));
            };
            match arrivals.next()? {
                Arrival::Bytes { source, bytes, id } => cut(&id, source, Body::Bytes(Cursor::new(bytes))),
                Arrival::Object(object) => match fetch(&object) {
                    Ok(body) => cut(&object.id, object.source(), Body::Object(body)),
                    Err(error) => return Some(Delivery { id: object.id, piece: Err(error) }),
                },
                Arrival::Skip { skip, id } => return Some(Delivery { id, piece: Ok(Piece::Skip(skip)) }),
                Arrival::Dead(dead) => {
                    let letter = Box::new(dead.letter());
                    return Some(Delivery { id: dead.id, piece: Ok(Piece::Dead(letter)) });
                }
            }
        }
    })
}

enum Body<R> {
    Bytes(Cursor<Vec<u8>>),
    Object(R),
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::Bytes(bytes) => bytes.read(buffer),
            Body::Object(object) => object.read(buffer),
        }
    }
}

/// Everything an event holds. Each of its records comes to something; one that is unknown or broken costs no other.
pub fn unwrap(event: &[u8]) -> Vec<Arrival> {
    let mut door = Doorstep { arrivals: Vec::new(), id: Arc::from("") };
    let unknown = Source::new("lambda", "event", "");
    match serde_json::from_slice::<&RawValue>(event) {
        Err(error) => door.dead(unknown, format!("an event that is not JSON: {error}"), event),
        Ok(raw) => match fields(raw) {
            None => door.dead(unknown, "an event that is no object", event),
            Some(fields) => match fields.get("Records").map(|records| list(records)) {
                Some(Some(records)) if records.is_empty() => door.skip(Skip::Empty),
                Some(Some(records)) => door.records(&records, 0),
                Some(None) => door.dead(unknown, "an event whose Records are no list", event),
                None if door.envelope(&fields, raw, 0) => {}
                None => door.dead(unknown, "an event of no kind that is known here", event),
            },
        },
    }
    door.arrivals
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn fields(raw: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(raw.get()).ok()
}

fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The text of a JSON string as bytes: halves of surrogate pairs that stand alone have no other form.
fn text(raw: &RawValue) -> Option<Vec<u8>> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
            formatter.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
        fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
            Ok(text.as_bytes().to_vec())
        }
    }
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_bytes(Bytes).ok()
}

/// The name in a field.
fn name(fields: &Fields, key: &str) -> Option<String> {
    let bytes = text(fields.get(key)?)?;
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn object<'a>(parent: &Fields<'a>, key: &str) -> Option<Fields<'a>> {
    fields(parent.get(key)?)
}

fn after(text: &str, mark: char) -> String {
    text.rsplit(mark).next().unwrap_or_default().to_owned()
}

struct Doorstep {
    arrivals: Vec<Arrival>,
    /// Of the outermost envelope.
    id: Arc<str>,
}

impl Doorstep {
    fn bytes(&mut self, source: Source, bytes: Vec<u8>) {
        self.arrivals.push(Arrival::Bytes { source, bytes, id: self.id.clone() });
    }

    fn skip(&mut self, skip: Skip) {
        self.arrivals.push(Arrival::Skip { skip, id: self.id.clone() });
    }

    fn dead(&mut self, source: Source, message: impl Into<String>, bytes: &[u8]) {
        let (message, bytes, id) = (message.into(), bytes.to_vec(), self.id.clone());
        self.arrivals.push(Arrival::Dead(Dead { source, reason: Reason::Envelope, message, bytes, id }));
    }

    fn records(&mut self, records: &[&RawValue], depth: usize) {
        for record in records {
            // Not that of the record before.
            if depth == 0 {
                self.id = Arc::from("");
            }
            let Some(fields) = fields(record) else {
                self.dead(Source::new("lambda", "event", ""), "a record that is no object", record.get().as_bytes());
                continue;
            };
            if !self.record(&fields, record, depth) {
                let origin = name(&fields, "eventSourceARN").or_else(|| name(&fields, "eventSource"));
                let object = name(&fields, "eventID").unwrap_or_default();
                if depth == 0 {
                    self.id = name(&fields, "messageId").unwrap_or_default().into();
                }
                let source = Source::new("lambda", origin.unwrap_or_else(|| "event".to_owned()), object);
                self.dead(source, "a record of no kind that is known here", record.get().as_bytes());
            }
        }
    }

    /// Says whether it is a record of an event, by the key that holds what it brings.
    fn record(&mut self, fields: &Fields, raw: &RawValue, depth: usize) -> bool {
        // Within another envelope, that one's id counts.
        let id = |door: &mut Doorstep, id: String| {
            if depth == 0 {
                door.id = id.into();
            }
        };
        if let Some(kinesis) = object(fields, "kinesis") {
            let event = name(fields, "eventID");
            let sequence = name(&kinesis, "sequenceNumber").or_else(|| event.clone()).unwrap_or_default();
            id(self, sequence.clone());
            self.kinesis(fields, &kinesis, event.unwrap_or(sequence), raw);
        } else if let Some(s3) = object(fields, "s3") {
            self.s3(fields, &s3, raw);
        } else if let Some(sns) = object(fields, "Sns") {
            self.sns(&sns, raw, depth);
        } else if fields.contains_key("streamalert_app") {
            self.app(fields, raw);
        } else if let (Some(body), Some("aws:sqs")) = (fields.get("body"), name(fields, "eventSource").as_deref()) {
            let message = name(fields, "messageId").unwrap_or_default();
            id(self, message.clone());
            let queue = after(&name(fields, "eventSourceARN").unwrap_or_default(), ':');
            match text(body) {
                Some(body) => self.message(Source::new("sqs", queue, message), body, depth),
                None => self.dead(Source::new("sqs", queue, message), "a message without text", raw.get().as_bytes()),
            }
        } else {
            return false;
        }
        true
    }

    fn kinesis(&mut self, fields: &Fields, kinesis: &Fields, event: String, raw: &RawValue) {
        let stream = after(&name(fields, "eventSourceARN").unwrap_or_default(), '/');
        let source = Source::new("kinesis", stream, event);
        let data = kinesis.get("data").and_then(|data| text(data));
        let Some(data) = data.and_then(|data| BASE64_STANDARD.decode(data).ok()) else {
            return self.dead(source, "a Kinesis record whose data is no base64", raw.get().as_bytes());
        };
        match aggregate::split(&data) {
            None => self.bytes(source, data),
            Some(Err(message)) => self.dead(source, message, &data),
            Some(Ok(records)) if records.is_empty() => self.skip(Skip::Empty),
            Some(Ok(records)) => {
                for (number, record) in records.into_iter().enumerate() {
                    let object = format!("{}/{number}", source.object);
                    self.bytes(Source { object, ..source.clone() }, record.to_vec());
                }
            }
        }
    }

    fn s3(&mut self, fields: &Fields, s3: &Fields, raw: &RawValue) {
        let bucket = object(s3, "bucket").and_then(|bucket| name(&bucket, "name")).filter(|name| is_bucket(name));
        let entity = object(s3, "object");
        let key = entity.as_ref().and_then(|entity| name(entity, "key")).filter(|key| !key.is_empty());
        let (Some(bucket), Some(entity), Some(key)) = (bucket, entity, key) else {
            let message = "a notification of S3 without bucket or key";
            return self.dead(Source::new("s3", "", ""), message, raw.get().as_bytes());
        };
        let created = |event: &String| event.strip_prefix("s3:").unwrap_or(event).starts_with("ObjectCreated");
        if name(fields, "eventName").is_some_and(|event| !created(&event)) {
            return self.skip(Skip::OtherEvent);
        }
        self.announced(Object {
            bucket,
            key: form_decoded(&key),
            version: name(&entity, "versionId"),
            etag: name(&entity, "eTag"),
            sequencer: name(&entity, "sequencer"),
            size: entity.get("size").and_then(|size| size.get().parse().ok()),
            region: name(fields, "awsRegion"),
            account: None,
            id: self.id.clone(),
        });
    }

    fn announced(&mut self, object: Object) {
        match object.size {
            Some(0) => self.skip(Skip::EmptyObject),
            _ => self.arrivals.push(Arrival::Object(object)),
        }
    }

    fn sns(&mut self, sns: &Fields, raw: &RawValue, depth: usize) {
        let topic = after(&name(sns, "TopicArn").unwrap_or_default(), ':');
        let source = Source::new("sns", topic, name(sns, "MessageId").unwrap_or_default());
        match sns.get("Message").and_then(|message| text(message)) {
            Some(message) => self.message(source, message, depth),
            None => self.dead(source, "a message of SNS without text", raw.get().as_bytes()),
        }
    }

    fn app(&mut self, fields: &Fields, raw: &RawValue) {
        let source = Source::new("streamalert_app", name(fields, "streamalert_app").unwrap_or_default(), "");
        match fields.get("logs").and_then(|logs| list(logs)) {
            None => self.dead(source, "an app without a list of logs", raw.get().as_bytes()),
            Some(logs) if logs.is_empty() => self.skip(Skip::Empty),
            Some(logs) => {
                for log in logs {
                    let bytes = text(log).unwrap_or_else(|| log.get().as_bytes().to_vec());
                    self.bytes(source.clone(), bytes);
                }
            }
        }
    }

    /// A text that may be an envelope itself; if not, it is what was sent.
    fn message(&mut self, source: Source, text: Vec<u8>, depth: usize) {
        if !self.unwrapped(&text, depth + 1) {
            self.bytes(source, text);
        }
    }

    /// Says whether it was an envelope. A JSON string may hold one as well.
    fn unwrapped(&mut self, message: &[u8], depth: usize) -> bool {
        let first = message.iter().find(|byte| !byte.is_ascii_whitespace());
        if depth > UNWRAP_DEPTH_MAX || !matches!(first, Some(b'{' | b'"')) {
            return false;
        }
        let Ok(raw) = serde_json::from_slice::<&RawValue>(message) else { return false };
        match text(raw) {
            Some(inner) => self.unwrapped(&inner, depth + 1),
            None => fields(raw).is_some_and(|fields| self.envelope(&fields, raw, depth)),
        }
    }

    /// Says whether it is an envelope as it is sent by itself: to a function, or in a message.
    fn envelope(&mut self, fields: &Fields, raw: &RawValue, depth: usize) -> bool {
        if let Some(records) = fields.get("Records").and_then(|records| list(records)) {
            // Logs have `Records` too.
            if !records.iter().any(|record| is_record(record)) {
                return false;
            }
            self.records(&records, depth);
        } else if name(fields, "Event").as_deref() == Some("s3:TestEvent") {
            self.skip(Skip::TestEvent);
        } else if fields.contains_key("TopicArn") && fields.contains_key("Message") {
            match name(fields, "Type").as_deref() {
                Some("Notification") => self.sns(fields, raw, depth),
                Some("SubscriptionConfirmation") => {
                    let topic = after(&name(fields, "TopicArn").unwrap_or_default(), ':');
                    let message = "a subscription of SNS that waits for somebody to visit its SubscribeURL";
                    self.dead(Source::new("sns", topic, ""), message, raw.get().as_bytes());
                }
                _ => return false,
            }
        } else if let (Some(kind), Some(origin), Some(detail)) =
            (name(fields, "detail-type"), name(fields, "source"), object(fields, "detail"))
        {
            self.event_bridge(fields, raw, &kind, origin, &detail);
        } else if let Some(data) = object(fields, "awslogs").and_then(|logs| text(logs.get("data")?)) {
            self.cloudwatch_logs(&data, raw);
        } else if fields.contains_key("streamalert_app") && fields.contains_key("logs") {
            self.app(fields, raw);
        } else {
            return false;
        }
        true
    }

    fn event_bridge(&mut self, fields: &Fields, raw: &RawValue, kind: &str, origin: String, detail: &Fields) {
        // Other kinds of this origin are logs: `AWS API Call via CloudTrail`.
        if origin != "aws.s3" || !kind.starts_with("Object ") {
            let source = Source::new("eventbridge", origin, name(fields, "id").unwrap_or_default());
            return self.bytes(source, raw.get().as_bytes().to_vec());
        }
        if kind != "Object Created" {
            return self.skip(Skip::OtherEvent);
        }
        let bucket = object(detail, "bucket").and_then(|bucket| name(&bucket, "name")).filter(|name| is_bucket(name));
        let entity = object(detail, "object");
        let key = entity.as_ref().and_then(|entity| name(entity, "key")).filter(|key| !key.is_empty());
        let (Some(bucket), Some(entity), Some(key)) = (bucket, entity, key) else {
            let message = "an event of a new S3 object without bucket or key";
            return self.dead(Source::new("s3", "", ""), message, raw.get().as_bytes());
        };
        self.announced(Object {
            bucket,
            // Here keys are not encoded.
            key,
            version: name(&entity, "version-id"),
            etag: name(&entity, "etag"),
            sequencer: name(&entity, "sequencer"),
            size: entity.get("size").and_then(|size| size.get().parse().ok()),
            region: name(fields, "region"),
            account: name(fields, "account"),
            id: self.id.clone(),
        });
    }

    /// The log group is told only inside, so one look is taken; what cannot be read shows when it is unpacked.
    fn cloudwatch_logs(&mut self, data: &[u8], raw: &RawValue) {
        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Inside {
            message_type: String,
            log_group: String,
        }
        let Ok(bytes) = BASE64_STANDARD.decode(data) else {
            let source = Source::new("cloudwatch_logs", "", "");
            return self.dead(
                source,
                "a subscription of CloudWatch Logs whose data is no base64",
                raw.get().as_bytes(),
            );
        };
        let inside = GzDecoder::new(&bytes[..]).take(INPUT_BYTES_MAX as u64);
        let inside: Inside = serde_json::from_reader(io::BufReader::new(inside)).unwrap_or_default();
        match inside.message_type.as_str() {
            "CONTROL_MESSAGE" => self.skip(Skip::ControlMessage),
            _ => self.bytes(Source::new("cloudwatch_logs", inside.log_group, ""), bytes),
        }
    }
}

/// Whether a bucket may be called so; the oldest ones have capitals and `_`. Who asks for another one fails before S3 hears of it, and
/// would fail for ever.
fn is_bucket(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// By the key that only envelopes have, with what must be in it.
fn is_record(raw: &RawValue) -> bool {
    let Some(fields) = fields(raw) else { return false };
    let has = |key: &str, inner: &str| object(&fields, key).is_some_and(|object| object.contains_key(inner));
    has("s3", "bucket")
        || has("Sns", "Message")
        || has("kinesis", "data")
        || fields.contains_key("body") && name(&fields, "eventSource").as_deref() == Some("aws:sqs")
        || fields.contains_key("streamalert_app") && fields.contains_key("logs")
}

#[cfg(test)]
mod tests;
