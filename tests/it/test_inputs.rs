//! Inputs that broke systems like this one, T1 to T41, each from bytes to what came of them: records, dead letters with
//! reason and place, what was passed over, and nothing unaccounted for.
//!
//! | input | where its verdict is checked |
//! |---|---|
//! | T1 to T16 | here |
//! | T17 titles cut within a character | here; Slack's 3,000 characters belong to the outputs of alerts |
//! | T18 to T23 | here |
//! | T24 large records | here; what is too large for a queue is named, storing it in S3 belongs to the delivery on AWS |
//! | T25 Firehose | the edges of batches here; sending the failed lines of a call again belongs to the delivery on AWS |
//! | T26 alerts too large for DynamoDB | belongs to the alert table on AWS |
//! | T27 to T29 | here. T28: an input has 64 MiB at most; a longer one is one dead letter, not a record cut short |
//! | T30 time | belongs to windows over event time, which do not exist yet: every record is judged by itself, in any order |
//! | T31 columns | here; any key in `host/pipeline/src/columns.rs` |
//! | T32 empty values in alerts | here, for the table on one machine; DynamoDB belongs to the alert table on AWS |
//! | T33 texts that attack who reads them | the terminal here and in `host/local/src/alert_text.rs`; Slack, HTML and CSV belong to the outputs of alerts |
//! | T34 to T38 | here. T34: more cuts and kinds of objects in `host/intake/src/pieces/tests.rs` |
//! | T39 objects that cannot be read | names and the order of events here; the error codes of AWS belong to reading from S3 |
//! | T40 misbehaving guests | `bad_guests.rs`, `bad_parsers.rs`, `host/plugins/tests/it/contain.rs` |
//! | T41 | here |
//!
//! Chosen: garbage behind gzip is not read (T6); of equal keys the last counts, and the record tells of them (T14); bytes
//! that are no text are kept as `\xNN` (T16); `NaN` and infinities are no JSON, so such a line is a dead letter (T37);
//! patterns of a schema look at a number as it is written (T38).

use crate::reference;
use crate::run_world::{EVERY_ROW, Guest, World, rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use streamalert_intake::{Arrival, Cursor, Delivery, Limits, Object, Piece, Pieces, payloads, unwrap};
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::backend::AlertDesk;
use streamalert_pipeline::batches::{BatchLimits, Batches, batches};
use streamalert_pipeline::classifier::{Classifier, Framing, Worker};
use streamalert_pipeline::columns::Columns;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::limits::{
    INPUT_BYTES_MAX, QUEUE_MESSAGE_BYTES_MAX, RECORD_BYTES_MAX, UNPACK_RATIO_FREE_BYTES,
};
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_pipeline::plugin::Test;
use streamalert_pipeline::rules_engine::prefilter::test_holds;
use streamalert_pipeline::skip::Skip;
use streamalert_sdk::helpers::{in_network, is_public_ip, valid_ip};

/// A number, or anything.
const SCHEMAS: &str = r#"{
  "row": {"parser": "json", "schema": {"n": "integer"}},
  "any": {"parser": "json", "schema": {"v": {}}}
}"#;

/// What came of some bytes.
#[derive(Default)]
struct Story {
    /// `type {record}`, then `dead reason offset`, then `skipped reason`, payload by payload.
    told: Vec<String>,
    dead: Vec<DeadLetter>,
    /// Objects that records came from, once for each.
    objects: Vec<String>,
    identities: Vec<[u8; 32]>,
    /// Objects that could not be read.
    unread: Vec<String>,
}

impl Story {
    fn skip(&mut self, skip: Skip) {
        self.told.push(format!("skipped {}", skip.code()));
    }

    fn letter(&mut self, letter: DeadLetter) {
        self.told.push(format!("dead {} {}", letter.reason.code(), letter.position.offset));
        self.dead.push(letter);
    }

    /// Numbers of the records of type `row`.
    fn numbers(&self) -> Vec<u64> {
        let number = |told: &String| told.strip_prefix("row {\"n\":")?.strip_suffix('}')?.parse().ok();
        self.told.iter().filter_map(number).collect()
    }
}

/// The way from bytes to records.
struct Desk {
    classifier: Arc<Classifier>,
    worker: Worker,
}

impl Desk {
    fn new(schemas: &str) -> Desk {
        Desk::with(Schemas::read(&[("s.json".to_owned(), schemas.to_owned())]).unwrap(), |_| Clusters::default())
    }

    /// With the configuration that comes with the product.
    fn shipped() -> Desk {
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("conf");
        let schemas = Schemas::read(&reference::files(conf.join("schemas"))).unwrap();
        Desk::with(schemas, |schemas| Clusters::read(&reference::files(conf.join("clusters")), schemas).unwrap())
    }

    fn with(schemas: Schemas, clusters: impl FnOnce(&Schemas) -> Clusters) -> Desk {
        let clusters = clusters(&schemas);
        let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)));
        Desk { worker: classifier.worker(), classifier }
    }

    fn pieces<R: Read>(&self, reader: R, limits: Limits) -> Pieces<R> {
        let classifier = self.classifier.clone();
        let source = Arc::new(Source::new("s3", "bk", "key"));
        Pieces::with_limits(source, reader, Framing::default(), limits)
            .framed_by(move |source, head| classifier.framing(source, head))
    }

    /// An object, to its end.
    fn object(&mut self, bytes: &[u8], limits: Limits) -> Story {
        let mut story = Story::default();
        let mut pieces = self.pieces(bytes, limits);
        while let Some(piece) = pieces.read_piece().unwrap() {
            self.piece(piece, &mut story);
        }
        story
    }

    fn read(&mut self, bytes: &[u8]) -> Story {
        self.object(bytes, Limits::default())
    }

    /// An event, and the objects it may speak of by their true names.
    fn event(&mut self, event: &Value, bucket: &BTreeMap<&str, Vec<u8>>) -> Story {
        let mut story = Story::default();
        let fetch = |object: &Object| bucket.get(&*object.key).map(Vec::as_slice).ok_or_else(|| no_object(object));
        let classifier = self.classifier.clone();
        for Delivery { piece, .. } in payloads(event.to_string().as_bytes(), fetch, |s| classifier.framing(s, b"")) {
            match piece {
                Ok(piece) => self.piece(piece, &mut story),
                Err(error) => story.unread.push(error.to_string()),
            }
        }
        story
    }

    fn piece(&mut self, piece: Piece, story: &mut Story) {
        match piece {
            Piece::Payload(payload) => self.payload(payload, story),
            Piece::Dead(letter) => story.letter(*letter),
            Piece::Skip(skip) => story.skip(skip),
        }
    }

    fn payload(&mut self, payload: Payload, story: &mut Story) {
        let object = payload.source.object.clone();
        let classified = self.worker.classify(payload);
        assert_eq!(classified.unaccounted, 0, "{:?}", classified.dead);
        for (index, record) in classified.batch.records.iter().enumerate() {
            story.told.push(format!("{} {}", record.log_type.name, classified.batch.fields(index).to_json()));
            story.objects.push(object.clone());
            story.identities.push(classified.batch.identity(index));
        }
        for letter in classified.dead {
            story.letter(letter);
        }
        for (skip, count) in classified.skipped.iter() {
            (0..count).for_each(|_| story.skip(skip));
        }
    }
}

fn no_object(object: &Object) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no object {}", object.key))
}

#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expected: &[&str]) {
    check_with(SCHEMAS, bytes, expected);
}

#[track_caller]
fn check_with(schemas: &str, bytes: impl AsRef<[u8]>, expected: &[&str]) {
    let bytes = bytes.as_ref();
    let start = &bytes[..bytes.len().min(200)];
    assert_eq!(Desk::new(schemas).read(bytes).told, expected, "{}", start.escape_ascii());
}

#[track_caller]
fn check_event(event: &Value, bucket: &[(&str, &[u8])], expected: &[&str]) {
    let bucket = bucket.iter().map(|(key, bytes)| (*key, bytes.to_vec())).collect();
    let story = Desk::new(SCHEMAS).event(event, &bucket);
    assert_eq!(story.unread, [""; 0], "{event}");
    assert_eq!(story.told, expected, "{event}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A Zstandard frame of one block that is stored as it is.
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    let block = (u32::from(length) << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, length][..], &block[..3], bytes].concat()
}

/// `{"n": 4}` and a newline, as bzip2 packs it.
const BZIP2: [u8; 51] = [
    0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, 0x45, 0xec, 0x89, 0x7b, 0x00, 0x00, 0x03, 0xd9, 0x80,
    0x00, 0x10, 0x50, 0x00, 0x04, 0x10, 0x00, 0x01, 0x00, 0x0a, 0x20, 0x00, 0x31, 0x0c, 0x08, 0x20, 0x33, 0x49, 0x19,
    0x19, 0x44, 0xf1, 0x77, 0x24, 0x53, 0x85, 0x09, 0x04, 0x5e, 0xc8, 0x97, 0xb0,
];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let quad = |chunk: &[u8]| {
        let bits = chunk.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        let digit = |at: usize| match at <= chunk.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        };
        [0, 1, 2, 3].map(digit)
    };
    bytes.chunks(3).flat_map(quad).collect()
}

/// RFC 1321.
fn md5(bytes: &[u8]) -> [u8; 16] {
    const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let sines: Vec<u32> = (1..=64).map(|step| (f64::from(step).sin().abs() * 4_294_967_296.0) as u32).collect();
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_le_bytes());
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks(64) {
        let words: Vec<u32> = block.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => (b & c | !b & d, step),
                1 => (d & b | !d & c, 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(sines[step]).wrapping_add(words[word % 16]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4])));
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let digest: Vec<u8> = state.iter().flat_map(|part| part.to_le_bytes()).collect();
    digest.try_into().unwrap()
}

/// What the Kinesis Producer Library makes of records: a signature, a message of Protocol Buffers, its MD5.
fn aggregated(records: impl Iterator<Item = String>) -> Vec<u8> {
    fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(number << 3 | 2);
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(length as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
    }
    let mut message = Vec::new();
    field(1, b"partition", &mut message);
    for data in records {
        let mut record = vec![1 << 3, 0];
        field(3, data.as_bytes(), &mut record);
        field(3, &record, &mut message);
    }
    [&[0xf3, 0x89, 0x9a, 0xc2][..], &message, &md5(&message)].concat()
}

/// `key` as it stands in the notification.
fn s3(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "bk"}, "object": {"key": key, "size": 9, "eTag": "0f", "sequencer": "01"}},
    })
}

fn s3_event<'a>(keys: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"Records": keys.into_iter().map(s3).collect::<Vec<_>>()})
}

fn s3_by_event_bridge(key: &str) -> Value {
    json!({
        "version": "0", "id": "e1", "detail-type": "Object Created", "source": "aws.s3", "account": "111122223333",
        "time": "2026-01-01T00:00:00Z", "region": "eu-west-1", "resources": ["arn:aws:s3:::bk"],
        "detail": {"version": "0", "bucket": {"name": "bk"}, "object": {"key": key, "size": 9, "etag": "0f"}},
    })
}

/// As it lies in a queue.
fn sns_body(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "m1", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:topic",
        "Message": message, "Timestamp": "2026-01-01T00:00:00.000Z", "SignatureVersion": "1",
    })
}

fn sns(message: &str) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns_body(message)}]})
}

fn sqs<S: AsRef<str>>(bodies: impl IntoIterator<Item = S>) -> Value {
    let message = |(number, body): (usize, S)| {
        json!({
            "messageId": format!("q{number}"), "receiptHandle": "r", "body": body.as_ref(), "attributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:queue",
        })
    };
    json!({"Records": bodies.into_iter().enumerate().map(message).collect::<Vec<_>>()})
}

fn kinesis<B: AsRef<[u8]>>(records: impl IntoIterator<Item = B>) -> Value {
    let record = |(number, data): (usize, B)| {
        json!({
            "eventID": format!("shardId-0:{number}"), "eventSource": "aws:kinesis", "eventName": "aws:kinesis:record",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:111122223333:stream/stream",
            "kinesis": {"sequenceNumber": number.to_string(), "partitionKey": "k", "data": base64(data.as_ref())},
        })
    };
    json!({"Records": records.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn by_cloudwatch_logs(kind: &str, messages: &[&str]) -> Vec<u8> {
    let events: Vec<Value> = messages
        .iter()
        .map(|message| json!({"id": "3", "timestamp": 1_767_225_600_000u64, "message": message}))
        .collect();
    let data = json!({
        "messageType": kind, "owner": "111122223333", "logGroup": "/app", "logStream": "one",
        "subscriptionFilters": ["all"], "logEvents": events,
    });
    gzip(data.to_string().as_bytes())
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The count in a line of the closing summary; 0 if there is no such line.
#[track_caller]
fn count(output: &Output, name: &str) -> u64 {
    let text = told(output);
    let Some(line) = text.lines().find_map(|line| line.trim_start().strip_prefix(name)) else { return 0 };
    line.trim_start().split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn t01_keys_of_objects_are_decoded_once() {
    // As the notification writes it, and as the object is called.
    let keys = [
        ("red+flower.jpg", "red flower.jpg"),
        ("year%3D2025/a.json", "year=2025/a.json"),
        ("2021-05-12T19%3A26%3A00%2B00%3A00/1.log", "2021-05-12T19:26:00+00:00/1.log"),
        ("a%2Bb.json", "a+b.json"),
        ("100%25.json", "100%.json"),
        ("twice%252Bencoded.json", "twice%2Bencoded.json"),
        ("caf%C3%A9/%E6%97%A5%E6%9C%AC.json", "café/日本.json"),
        ("日本.json", "日本.json"),
    ];
    let bucket = keys.iter().map(|(_, key)| (*key, b"{\"n\": 1}\n".to_vec())).collect();
    let story = Desk::new(SCHEMAS).event(&s3_event(keys.map(|(written, _)| written)), &bucket);
    assert_eq!(story.unread, [""; 0]);
    assert_eq!(story.objects, keys.map(|(_, key)| key));
    // EventBridge does not encode them.
    let story =
        Desk::new(SCHEMAS).event(&s3_by_event_bridge("a+b %41.json"), &[("a+b %41.json", b"{\"n\": 1}".into())].into());
    assert_eq!(story.objects, ["a+b %41.json"]);
}

#[test]
fn t02_test_events_are_counted_and_nothing_else() {
    let test = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-01T00:00:00.000Z", "Bucket": "bk",
        "RequestId": "0123456789ABCDEF", "HostId": "h",
    });
    let text = test.to_string();
    for event in [&test, &sns(&text), &sqs([&text]), &sqs([sns_body(&text).to_string()])] {
        check_event(event, &[], &["skipped test_event"]);
    }
    // As it lies in a file of messages.
    check(format!("{text}\n{{\"n\": 1}}\n"), &[r#"row {"n":1}"#, "skipped test_event"]);
}

#[test]
fn t03_a_notification_of_three_objects_is_three_objects() {
    let bucket: &[(&str, &[u8])] = &[("1", b"{\"n\": 1}"), ("2", b"{\"n\": 2}"), ("3", b"{\"n\": 3}")];
    let expected = [r#"row {"n":1}"#, r#"row {"n":2}"#, r#"row {"n":3}"#];
    check_event(&sns(&s3_event(["1", "2", "3"]).to_string()), bucket, &expected);
}

#[test]
fn t04_envelopes_are_known_by_their_shape_however_they_lie_in_one_another() {
    let quoted = |text: &str| Value::from(text).to_string();
    let notification = s3_event(["a+b"]).to_string();
    let event_bridge = s3_by_event_bridge("a b").to_string();
    for event in [
        // SNS with and without raw delivery.
        sqs([&notification]),
        sqs([sns_body(&notification).to_string()]),
        sqs([&event_bridge]),
        sqs([sns_body(&event_bridge).to_string()]),
        sns(&notification),
        sns(&event_bridge),
        sns(&quoted(&notification)),
        sqs([quoted(&notification)]),
        sqs([quoted(&sns_body(&quoted(&notification)).to_string())]),
    ] {
        check_event(&event, &[("a b", b"{\"n\": 1}\n")], &[r#"row {"n":1}"#]);
    }
    // What is no envelope is data, in each of them.
    for event in
        [sqs(["{\"n\": 1}"]), sqs([sns_body("{\"n\": 1}").to_string()]), sns("{\"n\": 1}"), kinesis(["{\"n\": 1}"])]
    {
        check_event(&event, &[], &[r#"row {"n":1}"#]);
    }
    // Nobody packs that deep: it is not followed, and not lost.
    let mut deep = notification;
    // Each level doubles its backslashes.
    for _ in 0..8 {
        deep = sns_body(&deep).to_string();
    }
    let story = Desk::new(SCHEMAS).event(&sqs([&deep]), &BTreeMap::new());
    assert!(matches!(&story.dead[..], [letter] if letter.reason == Reason::NoSchema), "{:?}", story.told);
}

#[test]
fn t05_an_object_of_no_bytes_is_counted() {
    let mut folder = s3("AWSLogs/111122223333/CloudTrail/");
    folder["s3"]["object"]["size"] = 0.into();
    check_event(
        &json!({"Records": [folder, s3("k")]}),
        &[("k", b"{\"n\": 1}")],
        &["skipped empty_object", r#"row {"n":1}"#],
    );
    // The notification need not tell the size.
    folder["s3"]["object"].as_object_mut().unwrap().remove("size");
    check_event(&json!({"Records": [folder]}), &[("AWSLogs/111122223333/CloudTrail/", b"")], &["skipped empty_object"]);
    let world = World::new();
    world.write("logs/empty.json", "");
    world.write("logs/rows.json", rows(0..2));
    let output = world.streamalert(&["run", "--input", "logs"]);
    assert_eq!((count(&output, "empty_object"), count(&output, "test:row"), count(&output, "dead letters")), (1, 2, 0));
}

#[test]
fn t06_every_member_of_a_gzip_is_read_and_garbage_is_told_of() {
    let (one, two) = (gzip(b"{\"n\": 1}\n{\"n\""), gzip(b": 2}\n"));
    let both = [&one[..], &two, &gzip(b""), &gzip(b"{\"n\": 3}\n")].concat();
    let expected = [r#"row {"n":1}"#, r#"row {"n":2}"#, r#"row {"n":3}"#];
    check(&both, &expected);
    check([&both[..], &[0; 512]].concat(), &expected);
    // 27 bytes came out before it.
    let flagged = [&expected[..], &["dead compression 27"]].concat();
    check([&both[..], b"trailing garbage"].concat(), &flagged);
    check([&both[..], &[0; 512], b"\x01\x02"].concat(), &flagged);
}

#[test]
fn t07_the_name_says_nothing_about_what_is_inside() {
    let line = b"{\"n\": 4}\n";
    for (key, bytes) in [
        ("plain.gz", line.to_vec()),
        ("gzip.json", gzip(line)),
        ("gzip-in-gzip.gz", gzip(&gzip(line))),
        ("zstd.gz", zstd(line)),
        ("bzip2.gz", BZIP2.to_vec()),
        ("bzip2-in-gzip.json.gz", gzip(&BZIP2)),
    ] {
        check_event(&s3_event([key]), &[(key, &bytes)], &[r#"row {"n":4}"#]);
        let world = World::new();
        world.write(&format!("logs/{key}"), &bytes);
        told(&world.streamalert(&["run", "--input", "logs"]));
        assert_eq!(world.alerted(), [4], "{key}");
    }
}

#[test]
fn t08_a_bomb_goes_off_outside() {
    let mut text = rows(0..10);
    let good = text.len();
    text.push_str(&"0".repeat(3 << 20));
    let ratio = Limits { unpack_ratio_free_bytes: 1 << 20, input_bytes: 8 << 20, ..Limits::default() };
    let bytes = Limits { unpacked_bytes: 1 << 20, input_bytes: 8 << 20, ..Limits::default() };
    for (bomb, limits) in
        [(gzip(text.as_bytes()), ratio), (gzip(&gzip(text.as_bytes())), ratio), (gzip(text.as_bytes()), bytes)]
    {
        let story = Desk::new(SCHEMAS).object(&bomb, limits);
        assert_eq!(story.numbers(), (0..10).collect::<Vec<_>>());
        let [letter] = &story.dead[..] else { panic!("{:?}", story.told) };
        // The newline before what was cut goes with it.
        assert_eq!(letter.reason, Reason::Limit);
        assert!([good - 1, good].contains(&(letter.position.offset as usize)), "{:?}", letter.position);
    }
    // 200 documents of 1 MB, nearly all of it white space, are 200 KB.
    let padded: String = (0..200).map(|n| format!("{{\"n\": {n}{}}}\n", " ".repeat(1_000_000))).collect();
    let bomb = gzip(padded.as_bytes());
    assert!(padded.len() / bomb.len() > 800, "{}", bomb.len());
    let world = World::new();
    world.write("bomb.gz", &bomb);
    told(&world.streamalert(&["run", "--input", "bomb.gz"]));
    let [letter] = &world.dead()[..] else { panic!("{:?}", world.dead()) };
    assert_eq!(letter.reason, Reason::Limit);
    let numbers = world.alerted();
    let read = numbers.len() as u64;
    assert_eq!(numbers, (0..read).collect::<Vec<_>>());
    assert!((letter.position.offset.abs_diff(UNPACK_RATIO_FREE_BYTES)) < 3_000_000, "{:?}", letter.position);
    assert!(letter.position.offset.abs_diff(read * 1_000_000) < 10_000, "{read}: {:?}", letter.position);
}

#[test]
fn t09_what_was_whole_before_the_damage_goes_through() {
    // Not so regular that a short tail would unpack to much.
    let text: String = (0..5_000u64).map(|n| format!("{{\"n\": {}}}\n", n * 7_919 % 10_007)).collect();
    let numbers: Vec<u64> = (0..5_000).map(|n| n * 7_919 % 10_007).collect();
    let whole = gzip(text.as_bytes());
    let mut corrupt = whole.clone();
    let middle = whole.len() / 2;
    corrupt[middle..middle + 40].fill(0xff);
    for bytes in [&whole[..middle], &whole[..whole.len() - 1], &corrupt] {
        let story = Desk::new(SCHEMAS).read(bytes);
        let [letter] = &story.dead[..] else { panic!("{:?}", story.dead) };
        assert_eq!(letter.reason, Reason::Compression);
        let found = story.numbers();
        assert!(found.len() > 1_000, "{}", found.len());
        assert_eq!(found, numbers[..found.len()]);
        let good: usize = text.split_inclusive('\n').take(found.len()).map(str::len).sum();
        assert!(letter.position.offset.abs_diff(good as u64) <= 1, "{:?}, {good}", letter.position);
        assert!(
            letter.message.contains(&format!("everything before byte {}", letter.position.offset)),
            "{}",
            letter.message
        );
    }
    // All in one document, as CloudTrail writes it.
    let list: Vec<String> = numbers.iter().map(|n| format!("{{\"n\":{n}}}")).collect();
    let document = format!("{{\"Records\":[{}]}}", list.join(","));
    let packed = gzip(document.as_bytes());
    let story = Desk::new(SCHEMAS).read(&packed[..packed.len() / 2]);
    let found = story.numbers();
    assert!(found.len() > 1_000, "{}", found.len());
    assert_eq!(found, numbers[..found.len()]);
    let [rest, damage] = &story.dead[..] else { panic!("{:?}", story.dead) };
    assert_eq!((rest.reason, damage.reason), (Reason::NotJson, Reason::Compression));
    let good = 12 + list[..found.len()].join(",").len() + 1;
    assert_eq!(rest.position.offset, good as u64);
    assert_eq!(rest.position.offset + rest.position.length, damage.position.offset);
    // Too little to unpack anything of it.
    check(&whole[..5], &["dead compression 0"]);
}

#[test]
fn t09_a_document_that_was_cut_off_gives_its_whole_records() {
    let text = "{\"n\":0}\n{\"Records\":[{\"n\":1},{\"n\":2},{\"n\":";
    let numbers = [r#"row {"n":0}"#, r#"row {"n":1}"#, r#"row {"n":2}"#];
    check(text, &[&numbers[..], &["dead not_json 36"]].concat());
    // The same by way of a run; what is left stays a letter when it is sent again, and nothing comes twice.
    let world = World::new();
    world.write("a.json", text);
    for (new, input) in [(3, "a.json"), (0, "a.json")] {
        let output = world.streamalert(&["run", "--input", input]);
        assert_eq!((count(&output, "new alerts"), count(&output, "not_json")), (new, 1));
    }
    let letters = world.dead();
    assert_eq!((letters.len(), letters[0].count, letters[0].input.bytes()), (1, 2, b"{\"n\":".to_vec()));
    assert_eq!(world.streamalert(&["dead", "resend", "--all"]).status.code(), Some(1));
    assert_eq!((world.dead().len(), world.alerted()), (1, vec![0, 1, 2]));
}

#[test]
fn t10_documents_need_no_particular_space_between_them() {
    let expected = [r#"row {"n":1}"#, r#"row {"n":2}"#, r#"row {"n":3}"#];
    check("{\"n\":1}{\"n\":2}{\"n\":3}", &expected);
    check("{\"n\":1}\r\n{\"n\":2}\r\n{\"n\":3}", &expected);
    check("{\"n\":1}\r\n\r\n\n  {\"n\":2} {\"n\":3}\n\n", &expected);
    check("{\n  \"n\": 1\n}\n{\n  \"n\": 2\n}{\n  \"n\":\n    3\n}\n", &expected);
    check("[{\"n\":1},\n {\"n\":2},\n {\"n\":3}]\n", &expected);
    check("\u{1e}{\"n\":1}\n\u{1e}{\"n\":2}\n\u{1e}{\"n\":3}\n", &expected);
    // Wherever a payload happens to be cut.
    for text in [
        "{\"n\":1}{\"n\":2}{\"n\":3}",
        "{\"n\":1}\r\n{\"n\":2}\r\n{\"n\":3}",
        "{\n\"n\": 1\n}\n{\n\"n\": 2\n}{\n\"n\": 3\n}",
    ] {
        for payload_bytes in 1..text.len() {
            let story = Desk::new(SCHEMAS).object(text.as_bytes(), Limits { payload_bytes, ..Limits::default() });
            assert_eq!(story.told, expected, "{payload_bytes} {text}");
        }
    }
}

#[test]
fn t11_control_messages_are_dropped_and_data_messages_opened() {
    let data = by_cloudwatch_logs("DATA_MESSAGE", &["{\"n\": 1}", "{\"n\": \"2\"}\n"]);
    let control = by_cloudwatch_logs("CONTROL_MESSAGE", &["CWL CONTROL MESSAGE: Checking health of destination"]);
    let direct = |data: &[u8]| json!({"awslogs": {"data": base64(data)}});
    for event in [direct(&data), kinesis([&data])] {
        check_event(&event, &[], &[r#"row {"n":1}"#, r#"row {"n":2}"#]);
    }
    for event in [direct(&control), kinesis([&control])] {
        check_event(&event, &[], &["skipped control_message"]);
    }
    check_event(&kinesis([&control, &data]), &[], &["skipped control_message", r#"row {"n":1}"#, r#"row {"n":2}"#]);
}

#[test]
fn t12_a_scalar_is_no_record_and_harms_nobody() {
    let cases: &[(&str, &[&str])] = &[
        ("hello", &["dead not_json 0"]),
        ("\"hello\"", &["dead not_an_object 0"]),
        ("5", &["dead not_an_object 0"]),
        ("null", &["dead not_an_object 0"]),
        ("true", &["dead not_an_object 0"]),
        ("[]", &["skipped empty"]),
        ("{}", &["skipped empty"]),
        ("", &["skipped empty_object"]),
        (" \n\t\r\n", &[]),
    ];
    for (text, expected) in cases {
        check(text, expected);
        check_event(&kinesis([text]), &[], expected);
        // Beside others.
        let between = format!("{{\"n\": 1}}\n{text}\n{{\"n\": 2}}\n");
        let story = Desk::new(SCHEMAS).read(between.as_bytes());
        assert_eq!(story.numbers(), [1, 2], "{text}");
        assert_eq!(story.dead.len(), expected.iter().filter(|told| told.starts_with("dead")).count(), "{text}");
        assert!(story.dead.iter().all(|letter| letter.input.bytes() == text.as_bytes() && letter.position.offset == 9));
    }
    check(
        "[1, \"x\", null, [], {}, {\"n\": 1}]",
        &[
            r#"row {"n":1}"#,
            "dead not_an_object 0",
            "dead not_an_object 0",
            "dead not_an_object 0",
            "dead not_an_object 0",
            "skipped empty",
        ],
    );
}

#[test]
fn t13_numbers_arrive_as_they_were_written() {
    let numbers = [
        "9007199254740993",
        "18446744073709551615",
        "9223372036854775808",
        "-9223372036854775808",
        "1e400",
        "-0",
        "0.1",
        "123456789012345678901234567890",
        "-123456789012345678901234567890",
    ];
    let world = World::new();
    world.write("conf/schemas/test.json", r#"{"test:row": {"parser": "json", "schema": {"v": {}}}}"#);
    for number in numbers {
        let record = format!("{{\"v\":{number}}}");
        check(&record, &[&format!("any {record}")]);
        let listed = format!("{{\"v\":[{number},{{\"deep\":{number}}}]}}");
        check(&listed, &[&format!("any {listed}")]);
        // What goes to the lake, and what a rule got and an alert keeps.
        let mut worker = Desk::new(SCHEMAS).worker;
        let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), 0, record.as_bytes());
        let batch = worker.classify(payload).batch;
        let mut line = String::new();
        Columns::of(&batch.records[0].log_type).line(batch.fields(0), &mut line);
        assert_eq!(line, record.clone() + "\n");
        world.write("row.json", &record);
        told(&world.streamalert(&["run", "--input", "row.json"]));
        assert!(world.alerts().iter().any(|alert| alert.record.as_str() == record), "{record}");
    }
    // Where the schema wants an integer, too.
    check("{\"n\": 18446744073709551615}", &[r#"row {"n":18446744073709551615}"#]);
    check("{\"n\": \"9007199254740993\"}", &[r#"row {"n":9007199254740993}"#]);
}

#[test]
fn t14_the_last_of_equal_keys_counts_and_the_record_tells_of_it() {
    check(r#"{"n":1,"n":2}"#, &[r#"row {"n":2,"streamalert:duplicate_keys":["n"]}"#]);
    check(r#"{"n":1,"\u006e":2}"#, &[r#"row {"n":2,"streamalert:duplicate_keys":["n"]}"#]);
    check(r#"{"v":{"a":1,"a":{"b":1}}}"#, &[r#"any {"v":{"a":{"b":1}},"streamalert:duplicate_keys":["a"]}"#]);
    // Keys that are equal but for case stay apart.
    check(r#"{"v":{"ab":1,"Ab":2}}"#, &[r#"any {"v":{"ab":1,"Ab":2},"streamalert:duplicate_keys":["Ab"]}"#]);
    // Who writes the mark himself is not believed.
    check(r#"{"n":1,"streamalert:duplicate_keys":["x"]}"#, &[r#"row {"n":1}"#]);
}

#[test]
fn t15_byte_order_marks_go_and_utf_16_becomes_utf_8() {
    let expected = [r#"any {"v":"é"}"#, r#"any {"v":"日本 😀"}"#];
    let text = "{\"v\":\"é\"}\n{\"v\":\"日本 😀\"}\n";
    check(format!("\u{feff}{text}"), &expected);
    check(text.split_inclusive('\n').map(|line| format!("\u{feff}{line}")).collect::<String>(), &expected);
    let utf16 = |bytes: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}{text}").encode_utf16().flat_map(bytes).collect()
    };
    for mark in ["\u{feff}", ""] {
        check(utf16(u16::to_le_bytes, mark), &expected);
        check(utf16(u16::to_be_bytes, mark), &expected);
        check(gzip(&utf16(u16::to_le_bytes, mark)), &expected);
    }
}

#[test]
fn t16_bytes_that_are_no_text_are_kept_and_the_file_is_read_on() {
    let check = |value: &[u8], expected: &str| {
        let file = [b"{\"n\":1}\n{\"v\":\"", value, b"\"}\n{\"n\":2}\n"].concat();
        check(&file, &[r#"row {"n":1}"#, &format!("any {expected}"), r#"row {"n":2}"#]);
    };
    check(b"a\xffb", r#"{"v":"a\\xffb","streamalert:invalid_text":1}"#);
    check(b"caf\xe9", r#"{"v":"caf\\xe9","streamalert:invalid_text":1}"#);
    check(br"\ud800", r#"{"v":"\\ud800","streamalert:invalid_text":1}"#);
    check(br"\udc00x", r#"{"v":"\\udc00x","streamalert:invalid_text":1}"#);
    check(br"\u0000", r#"{"v":"\u0000"}"#);
    check(b"\x00", r#"{"v":"\u0000","streamalert:invalid_text":1}"#);
    check(b"\xc0\xaf", r#"{"v":"\\xc0\\xaf","streamalert:invalid_text":2}"#);
    check(b"\xe2\x82", r#"{"v":"\\xe2\\x82","streamalert:invalid_text":2}"#);
    // A line that is none of ours is kept to the byte.
    let story = Desk::new(SCHEMAS).read(b"{\"n\":1}\n\xff\xfe\x80 \xc0\n{\"n\":2}\n");
    assert_eq!(story.numbers(), [1, 2]);
    let [letter] = &story.dead[..] else { panic!("{:?}", story.told) };
    assert_eq!((letter.position.offset, letter.input.bytes()), (8, b"\xff\xfe\x80 \xc0".to_vec()));
}

#[test]
fn t17_a_title_is_cut_between_characters() {
    // Answers the title `x` and 500 times `é`, 1,001 bytes: byte 512 is within a character.
    let body = r#"
        (local.set $at (call $alloc (i32.const 1001)))
        (i32.store8 (local.get $at) (i32.const 0x78))
        (loop $next
          (i32.store16 offset=1 (i32.add (local.get $at) (i32.mul (local.get $n) (i32.const 2))) (i32.const 0xa9c3))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $n) (i32.const 500))))
        (local.set $n (call $findings (local.get $rows) (local.get $count)))
        (i32.store8 offset=4 (i32.load (local.get $n)) (i32.const 1))
        (i32.store offset=8 (i32.load (local.get $n)) (local.get $at))
        (i32.store offset=12 (i32.load (local.get $n)) (i32.const 1001))
        (local.get $n)"#;
    let world = World::new();
    let guest = Guest { rules: vec![("titled", body)], logs: "test:row", ..Guest::default() };
    world.write("plugins/every_row.wasm", guest.build());
    world.write("a.json", rows(0..1));
    told(&world.streamalert(&["run", "--input", "a.json"]));
    let [alert] = &world.alerts()[..] else { panic!("{:?}", world.dead()) };
    assert_eq!(alert.title, format!("x{}", "é".repeat(255)));
}

#[test]
fn t18_rows_of_csv_are_read_by_rfc_4180_and_options() {
    let schemas = |options: Value| {
        json!({"csv": {"parser": "csv", "schema": {"a": "string", "b": "string"}, "configuration": options}})
            .to_string()
    };
    let plain = schemas(json!({}));
    check_with(&plain, "1,\"two, three\"\n", &[r#"csv {"a":"1","b":"two, three"}"#]);
    check_with(&plain, "1,\"two\nlines\"\n2,x\n", &[r#"csv {"a":"1","b":"two\nlines"}"#, r#"csv {"a":"2","b":"x"}"#]);
    check_with(&plain, "1,\"say \"\"hi\"\"\"\n", &[r#"csv {"a":"1","b":"say \"hi\""}"#]);
    check_with(&plain, "1,\"x\"\r\n2,\"\"\r\n", &[r#"csv {"a":"1","b":"x"}"#, r#"csv {"a":"2","b":""}"#]);
    check_with(&plain, "\u{feff}a,b\r\n1,x\r\n", &[r#"csv {"a":"1","b":"x"}"#, "skipped header"]);
    check_with(&plain, "1,'x, y'\n", &["dead no_schema 0"]);
    check_with(&schemas(json!({"quotechar": "'"})), "1,'x, y'\n", &[r#"csv {"a":"1","b":"x, y"}"#]);
    check_with(
        &schemas(json!({"escapechar": "\\"})),
        r#"1,"say \"hi\", ok""#,
        &[r#"csv {"a":"1","b":"say \"hi\", ok"}"#],
    );
    check_with(&schemas(json!({"delimiter": ";"})), "1;x,y\n", &[r#"csv {"a":"1","b":"x,y"}"#]);
    // A header says what stands where.
    check_with(&schemas(json!({"header": true})), "b,a\nx,1\n", &[r#"csv {"b":"x","a":"1"}"#, "skipped header"]);
    // However the object is cut, a row over several lines stays one.
    let text = "1,\"two\nlines\"\r\n2,\"a\n\n\"\"b\"\"\"\r\n3,c\r\n".repeat(20);
    let whole = Desk::new(&plain).read(text.as_bytes());
    assert_eq!((whole.told.len(), whole.dead.len()), (60, 0));
    for payload_bytes in 1..60 {
        let cut = Desk::new(&plain).object(text.as_bytes(), Limits { payload_bytes, ..Limits::default() });
        assert_eq!(cut.told, whole.told, "{payload_bytes}");
    }
}

#[test]
fn t19_syslog_is_read_as_devices_send_it() {
    let schemas = r#"{"syslog": {"parser": "syslog", "schema": {"timestamp": "string", "host": "string", "device": "string",
        "application": "string", "message": "string"}, "configuration": {
        "optional_top_level_keys": ["timestamp", "host", "device", "application", "message"]}}}"#;
    let check = |line: &str, expected: [&str; 5]| {
        let told = Desk::new(schemas).read(line.as_bytes()).told;
        let [record] = &told[..] else { panic!("{line}: {told:?}") };
        let record: Value =
            serde_json::from_str(record.strip_prefix("syslog ").unwrap_or_else(|| panic!("{record}"))).unwrap();
        let found =
            ["timestamp", "host", "device", "application", "message"].map(|key| record[key].as_str().unwrap_or("-"));
        assert_eq!(found, expected, "{line}");
    };
    // RFC 5424 without a time.
    check("<165>1 - fw.example.net app - - - no clock here\n", ["", "fw.example.net", "", "app", "no clock here"]);
    check("<13>only a priority\n", ["", "", "", "", "only a priority"]);
    // ESXi: an ISO time, and no version before it.
    check(
        "<166>2026-03-04T05:06:07.089Z esx7.example.net vpxa: verbose vpxa[1001] going on\n",
        ["2026-03-04T05:06:07.089Z", "esx7.example.net", "", "vpxa", "verbose vpxa[1001] going on"],
    );
    check(
        "<30>Mar  4 05:06:07 roof 0011aabbccdd,UAP-Pro-6.6.55+15189: hostapd[77]: wifi1: associated\n",
        ["Mar  4 05:06:07", "roof", "0011aabbccdd,UAP-Pro-6.6.55+15189", "hostapd", "wifi1: associated"],
    );
    // Zscaler: a time with spaces behind it, and neither host nor application.
    check(
        "<134>2026-03-04 05:06:07     action=Blocked user=ann\n",
        ["2026-03-04 05:06:07", "", "", "", "action=Blocked user=ann"],
    );
    // A time without a year gets none, least of all a wrong one.
    check("<34>Dec 31 23:59:59 host cron: old year\n", ["Dec 31 23:59:59", "host", "", "cron", "old year"]);
    check("<34>Jan  1 00:00:01 host cron: new year\n", ["Jan  1 00:00:01", "host", "", "cron", "new year"]);
    // Octets are counted, and a message may have several lines.
    let counted = |text: &str| {
        let messages = ["one", text, "3"].map(|text| format!("<34>Jan  1 00:00:01 host su: {text}"));
        messages.map(|message| format!("{} {message}", message.len())).concat()
    };
    let story = Desk::new(schemas).read(counted("two\nlines").as_bytes());
    assert_eq!((story.told.len(), story.dead.len()), (3, 0), "{:?}", story.told);
    assert!(story.told[1].contains("two\\nlines"), "{:?}", story.told);
    for payload_bytes in 1..60 {
        let limits = Limits { payload_bytes, ..Limits::default() };
        let story = Desk::new(schemas).object(counted("two").as_bytes(), limits);
        assert_eq!((story.told.len(), story.dead.len()), (3, 0), "{payload_bytes}: {:?}", story.told);
    }
    // By a pipe in two parts, wherever it is cut.
    let text = counted("two\nlines");
    for cut in 1..text.len() {
        let (first, second) = text.as_bytes().split_at(cut);
        let mut desk = Desk::new(schemas);
        let mut pieces = desk.pieces(first.chain(second), Limits::default()).eager();
        let mut parts = Story::default();
        while let Some(piece) = pieces.read_piece().unwrap() {
            desk.piece(piece, &mut parts);
        }
        assert_eq!(parts.told, story.told, "{cut}");
    }
    check_with(schemas, "no syslog at all\n", &["dead no_schema 0"]);
}

/// An event of CloudTrail, with what is different about it.
fn trail(different: Value) -> Value {
    let mut event = json!({
        "eventVersion": "1.09", "eventTime": "2026-03-04T05:06:07Z", "eventSource": "lambda.amazonaws.com",
        "eventName": "UpdateFunctionConfiguration", "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15", "eventID": "6f1b2c3d-0000-4000-8000-000000000001", "eventType": "AwsApiCall",
        "requestID": "r-1", "readOnly": false, "managementEvent": true, "eventCategory": "Management",
        "recipientAccountId": "111122223333", "requestParameters": {}, "responseElements": null,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann", "userName": "ann"},
    });
    for (key, value) in different.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

#[test]
fn t20_events_of_cloudtrail_may_say_one_thing_in_many_shapes() {
    let parameters = |parameters: Value| trail(json!({"requestParameters": parameters}));
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let events = [
        parameters(json!({"environment": {"variables": {"A": "1"}}})),
        parameters(json!({"environment": "HIDDEN_DUE_TO_SECURITY_REASONS"})),
        parameters(json!({"environment": [{"name": "A", "value": "1"}]})),
        parameters(json!({"tableInput": {"name": "t", "parameters": ""}})),
        parameters(json!({"tableInput": {"name": "t", "parameters": {"classification": "json"}}})),
        parameters(json!({"filter": "all"})),
        parameters(json!({"filter": 7})),
        parameters(json!({"filter": {"values": ["a"]}})),
        parameters(Value::Null),
        parameters(json!("a text")),
        parameters(json!([1, 2])),
        parameters(json!({"policyDocument": policy})),
        parameters(json!({"policyDocument": serde_json::from_str::<Value>(policy).unwrap()})),
        trail(json!({"apiVersion": "2015-03-31"})),
        trail(json!({"apiVersion": "2015_03_31"})),
        trail(json!({"apiVersion": "v1"})),
        trail(json!({"apiVersion": null})),
        trail(
            json!({"responseElements": {"a": 1}, "additionalEventData": null, "resources": null, "tlsDetails": null}),
        ),
        trail(json!({"additionalEventData": {"x": [1]}, "resources": [{"ARN": "a"}], "readOnly": "true"})),
        trail(
            json!({"userIdentity": {"type": "AWSService", "invokedBy": "ecs.amazonaws.com"}, "errorCode": "AccessDenied"}),
        ),
    ];
    let mut desk = Desk::shipped();
    let file = json!({"Records": events}).to_string();
    let story = desk.read(file.as_bytes());
    assert!(story.dead.is_empty(), "{:?}", story.dead);
    assert_eq!(story.told.len(), events.len());
    assert!(story.told.iter().all(|told| told.starts_with("cloudtrail:events ")), "{:?}", story.told);
    let payload = Payload::new(Arc::new(Source::new("s3", "bk", "k")), 0, file.as_bytes());
    let batch = desk.worker.classify(payload).batch;
    for (index, event) in events.iter().enumerate() {
        let record = batch.fields(index).to_value();
        assert_eq!(record["requestParameters"], event["requestParameters"], "unchanged, whatever its shape");
        // As a line of its table, and back.
        let columns = Columns::of(&batch.records[index].log_type);
        let mut line = String::new();
        columns.line(batch.fields(index), &mut line);
        assert_eq!(columns.restore(serde_json::from_str(&line).unwrap()), record);
    }
}

#[test]
fn t21_a_bucket_of_trails_holds_more_than_events() {
    let digest = json!({
        "awsAccountId": "111122223333", "digestStartTime": "2026-03-04T04:00:00Z", "digestEndTime": "2026-03-04T05:00:00Z",
        "digestS3Bucket": "bk", "digestS3Object": "AWSLogs/111122223333/CloudTrail-Digest/x.json.gz",
        "digestPublicKeyFingerprint": "00ff", "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": null,
        "oldestEventTime": null, "previousDigestS3Bucket": null, "previousDigestS3Object": null,
        "previousDigestHashValue": null, "previousDigestHashAlgorithm": null, "previousDigestSignature": null, "logFiles": [],
    });
    let insight = json!({"Records": [{
        "eventVersion": "1.09", "eventTime": "2026-03-04T05:06:00Z", "awsRegion": "eu-west-1", "eventID": "i-1",
        "eventType": "AwsCloudTrailInsight", "recipientAccountId": "111122223333", "sharedEventID": "i-0",
        "eventCategory": "Insight", "insightDetails": {"state": "Start", "eventName": "RunInstances"},
    }]});
    let (trails, digests) = ("AWSLogs/111122223333/CloudTrail/", "AWSLogs/111122223333/CloudTrail-Digest/");
    let writable = "AWSLogs/111122223333/Config/ConfigWritabilityCheckFile";
    let (events, digest_key) = (format!("{trails}e.json.gz"), format!("{digests}d.json.gz"));
    let insight_key = "AWSLogs/111122223333/CloudTrail-Insight/i.json.gz";
    let bucket: BTreeMap<&str, Vec<u8>> = [
        (&*events, gzip(json!({"Records": [trail(json!({}))]}).to_string().as_bytes())),
        (&*digest_key, gzip(digest.to_string().as_bytes())),
        (insight_key, gzip(insight.to_string().as_bytes())),
        (writable, Vec::new()),
    ]
    .into();
    let mut event = s3_event([&*events, &*digest_key, insight_key, writable]);
    for record in event["Records"].as_array_mut().unwrap() {
        record["s3"]["bucket"]["name"] = "northwind-production-cloudtrail".into();
    }
    let expected = ["cloudtrail:events", "cloudtrail:digest", "cloudtrail:insight", "skipped empty_object"];
    for size in [Some(9), Some(0), None] {
        match size {
            Some(size) => event["Records"][3]["s3"]["object"]["size"] = size.into(),
            None => drop(event["Records"][3]["s3"]["object"].as_object_mut().unwrap().remove("size")),
        }
        let story = Desk::shipped().event(&event, &bucket);
        assert_eq!(story.unread, [""; 0]);
        let names: Vec<&str> = story.told.iter().map(|told| told.split(" {").next().unwrap()).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn t22_however_events_are_wrapped_they_are_the_same_events() {
    let events = [
        trail(json!({})),
        trail(json!({"eventName": "DeleteTrail", "eventID": "e-2"})),
        trail(json!({"eventID": "e-3"})),
    ];
    let lines = |values: &[Value]| values.iter().map(|value| format!("{value}\n")).collect::<String>();
    let pretty = serde_json::to_string_pretty(&json!({"Records": events})).unwrap();
    let wrappings = [
        ("a file of CloudTrail", json!({"Records": events}).to_string()),
        ("the same over many lines", pretty),
        ("one event a line", lines(&events)),
        ("one batch a line", lines(&[json!({"Records": events[..2]}), json!({"Records": events[2..]})])),
        ("a list", Value::from(events.to_vec()).to_string()),
        ("lists on lines", lines(&[Value::from(events[..1].to_vec()), Value::from(events[1..].to_vec())])),
        ("as Azure wraps", json!({"records": events}).to_string()),
        ("as Graph wraps", json!({"value": events, "@odata.context": "c"}).to_string()),
        ("as LookupEvents answers", {
            let looked_up = events.clone().map(|event| {
                json!({"EventId": event["eventID"], "EventName": event["eventName"], "ReadOnly": "false",
                       "AccessKeyId": "AKIA", "EventTime": 1_772_600_767.0, "EventSource": event["eventSource"],
                       "Username": "ann", "Resources": [{"ResourceType": "AWS::Lambda::Function", "ResourceName": "f"}],
                       "CloudTrailEvent": event.to_string()})
            });
            serde_json::to_string_pretty(&json!({"Events": looked_up, "NextToken": "n"})).unwrap()
        }),
        (
            "as EventBridge wraps",
            lines(&events.clone().map(|event| {
                json!({"version": "0", "id": "b", "detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda",
                       "account": "111122223333", "time": "t", "region": "r", "resources": [], "detail": event})
            })),
        ),
    ];
    // Of a record the id that joins it with its artifacts depends on the place.
    let without_id = |told: &String| {
        let (name, record) = told.split_once(' ').unwrap();
        let mut record: Value = serde_json::from_str(record).unwrap_or_else(|_| panic!("{told}"));
        record["streamalert_normalization"].as_object_mut().unwrap().remove("streamalert_record_id");
        format!("{name} {record}")
    };
    let mut expected: Option<Vec<String>> = None;
    for (name, text) in wrappings {
        let story = Desk::shipped().read(text.as_bytes());
        let found: Vec<String> = story.told.iter().map(without_id).collect();
        assert_eq!(found.len(), 3, "{name}");
        assert!(found.iter().all(|told| told.starts_with("cloudtrail:events ")), "{name}: {found:?}");
        assert_eq!(&found, expected.get_or_insert_with(|| found.clone()), "{name}");
    }
}

#[test]
fn t23_an_address_may_be_a_name_or_of_the_other_kind() {
    let mut desk = Desk::shipped();
    // Address, whether it is one, whether the internet knows it, whether it lies in 8.8.8.0/24.
    for (address, valid, public, within) in [
        ("cloudtrail.amazonaws.com", false, false, false),
        ("AWS Internal", false, false, false),
        ("", false, false, false),
        ("2600:1f18:4a3:6900::17", true, true, false),
        ("::ffff:8.8.8.8", true, true, true),
        ("::ffff:10.0.0.8", true, false, false),
        ("8.8.8.8", true, true, true),
    ] {
        let event = trail(json!({"sourceIPAddress": address}));
        let told = desk.read(event.to_string().as_bytes()).told;
        let [record] = &told[..] else { panic!("{told:?}") };
        let record: Value = serde_json::from_str(record.strip_prefix("cloudtrail:events ").unwrap()).unwrap();
        assert_eq!(record["sourceIPAddress"], address);
        assert_eq!(
            (valid_ip(address), is_public_ip(address), in_network(address, &["8.8.8.0/24"])),
            (valid, public, within),
            "{address}"
        );
    }
}

/// A document of type `any` of exactly so many bytes.
fn sized(bytes: usize) -> String {
    let empty = "{\"v\":\"\"}".len();
    format!("{{\"v\":\"{}\"}}", "x".repeat(bytes - empty))
}

#[test]
fn t24_large_records_go_through_and_too_large_ones_cost_no_other() {
    let sizes = [255 << 10, (256 << 10) + 1, 1 << 20, (1 << 20) + 1, 10_000_000];
    let mut text = String::new();
    for size in sizes {
        text.push_str(&sized(size));
        text.push('\n');
        text.push_str("{\"n\": 1}\n");
    }
    let end = text.len();
    text.push_str(&sized(RECORD_BYTES_MAX + 1));
    let story = Desk::new(SCHEMAS).read(text.as_bytes());
    let lengths: Vec<usize> = story.told.iter().filter_map(|told| told.strip_prefix("any ")).map(str::len).collect();
    assert_eq!(lengths, sizes);
    assert_eq!(story.numbers().len(), sizes.len());
    let [letter] = &story.dead[..] else { panic!("{:?}", story.dead.len()) };
    assert_eq!((letter.reason, letter.position.offset), (Reason::Limit, end as u64));
    // On their way through a queue, whichever is last.
    for sizes in [vec![255 << 10, 1 << 20, 300, 10_000_000], vec![10_000_000, 300, (1 << 20) - 2, (1 << 20) - 1]] {
        let Batches { batches, oversize } = batches(sizes.iter().copied(), &BatchLimits::QUEUE);
        let mut all: Vec<usize> = batches.iter().flatten().chain(&oversize).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
        assert_eq!(
            oversize,
            (0..sizes.len()).filter(|at| sizes[*at] + 2 > QUEUE_MESSAGE_BYTES_MAX).collect::<Vec<_>>()
        );
    }
}

#[test]
fn t25_a_call_of_firehose_is_as_full_as_it_may_be() {
    let line = 1_024_000;
    let check = |sizes: &[usize], expected: &[usize], oversize: &[usize]| {
        let found = batches(sizes.iter().copied(), &BatchLimits::ARCHIVE);
        assert_eq!(found.batches.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        assert_eq!(found.oversize, oversize);
    };
    check(&[line - 1, line, line + 1], &[2], &[2]);
    check(&[line + 1, 10], &[1], &[0]);
    check(&[10; 499], &[499], &[]);
    check(&[10; 500], &[500], &[]);
    check(&[10; 501], &[500, 1], &[]);
    check(&[1 << 19; 8], &[8], &[]);
    check(&[&[1 << 19; 8][..], &[1]].concat(), &[8, 1], &[]);
}

#[test]
fn t27_a_full_event_of_kinesis_is_ten_thousand_records() {
    let event = kinesis((0..10_000).map(|n| format!("{{\"n\": {n}}}{}", " ".repeat(265))));
    let bytes = event.to_string().len();
    assert!((5_500_000..6_291_456).contains(&bytes), "{bytes}");
    let story = Desk::new(SCHEMAS).event(&event, &BTreeMap::new());
    assert_eq!(story.numbers(), (0..10_000).collect::<Vec<_>>());
    assert_eq!(story.dead.len(), 0);
    // On to the next function in messages that may be sent: all of it, in order.
    let sizes: Vec<usize> = (0..10_000).map(|n| 400 + n % 7).collect();
    let Batches { batches, oversize } = batches(sizes.iter().copied(), &BatchLimits::QUEUE);
    assert!(oversize.is_empty() && batches.len() > 1);
    assert_eq!(batches.concat(), (0..10_000).collect::<Vec<_>>());
    for batch in &batches {
        let bytes: usize = batch.iter().map(|item| sizes[*item] + 1).sum();
        assert!(bytes < QUEUE_MESSAGE_BYTES_MAX, "{bytes}");
    }
}

/// `{"n": 1}`, a line with so many bytes of text, and `{"n": 2}`.
fn long_line(bytes: u64) -> impl Read {
    let start: &[u8] = b"{\"n\": 1}\n{\"v\": \"";
    let end: &[u8] = b"\"}\n{\"n\": 2}\n";
    start.chain(io::repeat(b'x').take(bytes)).chain(end)
}

#[test]
fn t28_a_line_of_100_mb_is_one_dead_letter() {
    let mut desk = Desk::new(SCHEMAS);
    let mut pieces = desk.pieces(long_line(100_000_000), Limits::default());
    let mut story = Story::default();
    while let Some(piece) = pieces.read_piece().unwrap() {
        if let Piece::Payload(payload) = &piece {
            assert!(payload.bytes.len() <= INPUT_BYTES_MAX);
        }
        desk.piece(piece, &mut story);
    }
    assert_eq!(story.told, [r#"row {"n":1}"#, "dead limit 9", r#"row {"n":2}"#]);
    let letter = &story.dead[0];
    assert_eq!(letter.position.length, 100_000_000 + 10);
    assert!(letter.input.bytes().len() <= 64 << 10 && letter.input.bytes().starts_with(b"{\"v\": \"xxx"));
    // Longer than what is read at once, and short enough.
    for length in [5_000, 70_000, 600_000, 5_000_000] {
        let text = format!("{{\"n\": 1}}\n{}\n{{\"n\": 2}}\n", sized(length));
        let story = Desk::new(SCHEMAS).read(text.as_bytes());
        assert_eq!((story.told.len(), story.told[1].len(), story.numbers()), (3, 4 + length, vec![1, 2]));
    }
}

/// The most memory it ever took is told by the kernel, while it waits for more.
#[cfg(target_os = "linux")]
#[test]
fn t28_a_line_takes_no_more_memory_the_longer_it_is() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let world = World::new();
    let mut command = world.command(&["run", "--input", "-", "--output", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut alerts = BufReader::new(child.stdout.take().unwrap()).lines();
    // Behind it enough that nobody waits for more before looking.
    io::copy(&mut long_line(400_000_000).chain(io::repeat(b'\n').take(1_000_000)), &mut stdin).unwrap();
    let seen = [alerts.next().unwrap().unwrap(), alerts.next().unwrap().unwrap()];
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert!(seen[1].contains("\"n\":2"), "{}", seen[1]);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().split(' ').next().unwrap();
    // The largest input, in a buffer that doubles, and the program itself.
    let peak = peak.parse::<u64>().unwrap() << 10;
    assert!(peak < 4 * INPUT_BYTES_MAX as u64 + (64 << 20), "{} MB", peak >> 20);
}

#[test]
fn t29_depth_and_width_have_an_end_and_the_stack_has_not() {
    let deep = |open: &str, close: &str| format!("{{\"v\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
    let wide: Vec<String> = (0..100_000).map(|key| format!("\"k{key}\":1")).collect();
    let monsters = [
        (deep("[", "]"), "dead limit 9"),
        (deep("{\"a\":", "}"), "dead limit 9"),
        ("[".repeat(10_000), "dead not_json 9"),
        (format!("{{{}}}", wide.join(",")), "dead limit 9"),
        (format!("{{\"{}\":1}}", "k".repeat(1 << 20)), "dead no_schema 9"),
    ];
    for (monster, expected) in &monsters {
        let text = format!("{{\"n\": 1}}\n{monster}\n{{\"n\": 2}}\n");
        let story = Desk::new(SCHEMAS).read(text.as_bytes());
        assert_eq!(story.numbers(), [1, 2], "{expected}");
        assert_eq!(story.dead.len(), 1, "{expected}");
        assert!(story.told.iter().any(|told| told == expected), "{:?}", story.told);
        assert_eq!(story.dead[0].input.bytes(), monster.as_bytes());
    }
    // Wide and long-keyed things within a record are data.
    let record = format!("{{\"v\":{{\"{}\":{{}}}}}}", "k".repeat(1 << 20));
    check(&record, &[&format!("any {record}")]);
    let world = World::new();
    let lines: Vec<&str> = monsters.iter().map(|(monster, _)| monster.as_str()).collect();
    world.write("a.json", rows(0..1) + &lines.join("\n") + "\n" + &rows(1..2));
    let output = world.streamalert(&["run", "--input", "a.json"]);
    assert_eq!((count(&output, "test:row"), count(&output, "dead letters")), (2, monsters.len() as u64));
}

#[test]
fn t31_columns_can_be_read_back_to_keys() {
    let schemas = r#"{"odd": {"parser": "json", "schema": {"a.b": "string", "a_b": "string", "$x": "string", " x ": "string",
        "": "string", "größe": "string", "select": "string", "Order": "string", "rest": {}}}}"#;
    let text = r#"{"a.b":"1","a_b":"2","$x":"3"," x ":"4","":"5","größe":"6","select":"7","Order":"8","rest":{"a.b":1,"a_b":2,"":3,"日本":4,"group":5},"new.key":"9","new_key":"10"}"#;
    let mut worker = Desk::new(schemas).worker;
    let classified = worker.classify(Payload::new(Arc::new(Source::new("file", "r", "o")), 0, text.as_bytes()));
    assert!(classified.dead.is_empty(), "{:?}", classified.dead);
    let record = classified.batch.fields(0);
    let columns = Columns::of(&classified.batch.records[0].log_type);
    let mut line = String::new();
    columns.line(record, &mut line);
    let written: Value = serde_json::from_str(&line).unwrap();
    let names: Vec<&String> =
        written.as_object().unwrap().keys().chain(written["rest"].as_object().unwrap().keys()).collect();
    assert!(names.iter().all(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')), "{names:?}");
    let mut folded: Vec<String> = written.as_object().unwrap().keys().map(|name| name.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), record.to_value().as_object().unwrap().len());
    assert_eq!(columns.restore(written), record.to_value());
    assert_eq!(record.to_value(), serde_json::from_str::<Value>(text).unwrap());
}

#[test]
fn t32_empty_values_are_stored_with_an_alert() {
    let world = World::new();
    world.write("conf/schemas/test.json", r#"{"test:row": {"parser": "json", "schema": {"v": {}}}}"#);
    let context = json!({"text": "", "nothing": null, "list": [], "set": {}});
    let options = json!({"context": context}).to_string();
    let guest = Guest { rules: vec![("empty", EVERY_ROW)], logs: "test:row", options: &options, ..Guest::default() };
    world.write("plugins/every_row.wasm", guest.build());
    let record = r#"{"v":{"text":"","nothing":null,"list":[],"set":{}}}"#;
    world.write("a.json", record);
    told(&world.streamalert(&["run", "--input", "a.json"]));
    let [alert] = &world.alerts()[..] else { panic!("{:?}", world.dead()) };
    assert_eq!(Value::Object(alert.context.clone()), context);
    assert_eq!(alert.record.as_str(), record);
}

#[test]
fn t33_a_text_from_a_log_does_not_command_the_terminal() {
    let world = World::new();
    world.write("conf/schemas/test.json", r#"{"test:row": {"parser": "json", "schema": {"name": "string"}}}"#);
    let texts = [
        "=1+1",
        "@x",
        "\t-1",
        "<!channel>",
        "<b>x</b>",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "x\nCRITICAL  forged",
        "\u{9b}31m",
        "\u{202e}x",
    ];
    for text in texts {
        world.write("a.json", json!({"name": text}).to_string());
        let output = world.streamalert(&["run", "--input", "a.json"]);
        told(&output);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("name="), "{shown}");
        assert!(!shown.lines().any(|line| line.starts_with("CRITICAL")), "{shown}");
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{}", shown.escape_debug());
    }
    // What is for programs is whole.
    let stored: Vec<Value> = world.alerts().iter().map(|alert| alert.record.to_value()["name"].clone()).collect();
    assert!(texts.iter().all(|text| stored.contains(&Value::from(*text))), "{stored:?}");
}

#[test]
fn t34_a_large_object_is_read_as_a_stream_and_goes_on_where_it_stopped() {
    let bytes = gzip(rows(0..1_000_000).as_bytes());
    let mut desk = Desk::new(SCHEMAS);
    let whole = desk.read(&bytes);
    assert_eq!(whole.numbers().len(), 1_000_000);
    // A function whose time is up keeps the cursor; the next one goes on.
    let mut story = Story::default();
    let (mut kept, mut runs, mut more) = (serde_json::to_string(&Cursor::default()).unwrap(), 0, true);
    while more {
        let cursor: Cursor = serde_json::from_str(&kept).unwrap();
        let mut pieces = desk.pieces(&bytes[..], Limits::default()).from_cursor(cursor);
        runs += 1;
        for _ in 0..7 {
            match pieces.read_piece().unwrap() {
                Some(piece) => desk.piece(piece, &mut story),
                None => more = false,
            }
        }
        kept = serde_json::to_string(&pieces.cursor()).unwrap();
    }
    assert!(runs > 3, "{runs}");
    assert!(story.told == whole.told && story.identities == whole.identities);
    // 200 MB that nobody has in memory.
    let line = b"{\"n\": 1, \"text\": \"a line of some length\"}\n";
    struct Lines<'a>(&'a [u8], u64);
    impl Read for Lines<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let at = (self.1 % self.0.len() as u64) as usize;
            let count = out.len().min(self.0.len() - at);
            out[..count].copy_from_slice(&self.0[at..at + count]);
            self.1 += count as u64;
            Ok(count)
        }
    }
    let total = 200_000_000 / line.len() * line.len();
    let mut pieces = Desk::new(SCHEMAS).pieces(Lines(line, 0).take(total as u64), Limits::default());
    let mut read = 0;
    while let Some(piece) = pieces.read_piece().unwrap() {
        let Piece::Payload(payload) = piece else { panic!("{piece:?}") };
        assert_eq!(payload.offset as usize, read);
        assert!(payload.bytes.len() <= Limits::default().payload_bytes && payload.bytes.ends_with(b"}\n"));
        read += payload.bytes.len();
    }
    assert_eq!(read, total);
}

#[test]
fn t35_what_comes_twice_raises_nothing_twice() {
    // Two functions get the same message.
    let bucket: BTreeMap<&str, Vec<u8>> = [("k", gzip(rows(0..100).as_bytes()))].into();
    let event = sqs([s3_event(["k"]).to_string()]);
    let twice = [0, 1].map(|_| Desk::new(SCHEMAS).event(&event, &bucket).identities);
    assert_eq!(twice[0].len(), 100);
    assert_eq!(twice[0], twice[1]);
    // The notification comes once more, in a message of its own.
    let again = sqs([s3_event(["k"]).to_string(), s3_event(["k"]).to_string()]);
    let identities = Desk::new(SCHEMAS).event(&again, &bucket).identities;
    assert_eq!((&identities[..100], &identities[100..]), (&twice[0][..], &twice[0][..]));
    // One after the other, and both at once.
    let world = World::new();
    world.write("a.json", rows(0..100) + "no json\n");
    let run = |data: &str| world.command(&["run", "--input", "a.json", "--data", data]);
    let outputs: Vec<Output> = ["data", "data", "other"].map(|data| run(data).output().unwrap()).into();
    assert_eq!(outputs.iter().map(|output| count(output, "new alerts")).collect::<Vec<_>>(), [100, 0, 100]);
    let others = SqliteAlerts::open(&world.at("other/alerts.sqlite")).unwrap();
    let ids = others.list(None, usize::MAX).unwrap().into_iter().map(|alert| alert.id).collect();
    assert_eq!(world.alert_ids(), ids);
    let quiet = || std::process::Stdio::piped();
    let running = ["both", "both"].map(|data| run(data).stdout(quiet()).stderr(quiet()).spawn().unwrap());
    let outputs = running.map(|child| child.wait_with_output().unwrap());
    assert_eq!(outputs.iter().map(|output| count(output, "new alerts")).sum::<u64>(), 100);
    assert_eq!((world.dead().len(), world.dead()[0].count), (1, 2));
}

#[test]
fn t36_no_records_are_no_failure() {
    check("{\"Records\":[]}", &["skipped empty"]);
    check("{\"Records\":[]}\n{\"value\":[]}\n{\"n\": 1}\n", &[r#"row {"n":1}"#, "skipped empty", "skipped empty"]);
    check_event(&json!({"Records": []}), &[], &["skipped empty"]);
    check_event(&s3_event(["k"]), &[("k", &gzip(b"{\"Records\":[]}"))], &["skipped empty"]);
    for options in ["{}", r#"{"header": true}"#] {
        let schemas = format!(
            r#"{{"csv": {{"parser": "csv", "schema": {{"a": "string", "b": "integer"}}, "configuration": {options}}}}}"#
        );
        check_with(&schemas, "a,b\n", &["skipped header"]);
        check_with(&schemas, "a,b", &["skipped header"]);
    }
    let world = World::new();
    world.write("a.json", "{\"Records\":[]}");
    let output = world.streamalert(&["run", "--input", "a.json"]);
    assert_eq!((count(&output, "empty"), count(&output, "classified"), count(&output, "dead letters")), (1, 0, 0));
    // What only looks empty is not passed over in silence.
    check("{\"Records\":null}", &["dead no_schema 0"]);
}

#[test]
fn t37_what_is_no_number_never_becomes_one() {
    for token in ["NaN", "Infinity", "-Infinity", "nan", "+1", "0x10", "01", "1."] {
        for line in [format!("{{\"n\": {token}}}"), format!("{{\"v\": [1, {{\"x\": {token}}}]}}")] {
            let text = format!("{{\"n\": 1}}\n{line}\n{{\"n\": 2}}\n");
            check(&text, &[r#"row {"n":1}"#, r#"row {"n":2}"#, "dead not_json 9"]);
        }
    }
    // As texts, where a number is wanted.
    let schemas = r#"{"f": {"parser": "json", "schema": {"f": "float"}}, "i": {"parser": "json", "schema": {"i": "integer"}},
        "c": {"parser": "csv", "schema": {"a": "string", "f": "float"}}}"#;
    for token in ["NaN", "nan", "Infinity", "-Infinity", "inf", "1e999"] {
        check_with(schemas, format!("{{\"f\": \"{token}\"}}"), &["dead wrong_type 0"]);
        check_with(schemas, format!("{{\"i\": \"{token}\"}}"), &["dead wrong_type 0"]);
        check_with(schemas, format!("x,{token}\n"), &["dead wrong_type 0"]);
    }
}

#[test]
fn t38_a_pattern_for_texts_does_not_fit_what_is_none() {
    let schemas = r#"{"typed": {"parser": "json", "schema": {"kind": {}, "x": "integer"},
        "configuration": {"log_patterns": {"kind": ["login*", "5"]}}}}"#;
    check_with(schemas, r#"{"kind":"login.ok","x":1}"#, &[r#"typed {"kind":"login.ok","x":1}"#]);
    check_with(schemas, r#"{"kind":5,"x":1}"#, &[r#"typed {"kind":5,"x":1}"#]);
    for value in ["null", "7", "true", "{\"a\":\"login\"}", "[\"login\"]", "{}", "[]", "1e400"] {
        check_with(schemas, format!("{{\"kind\":{value},\"x\":1}}"), &["dead no_schema 0"]);
    }
    // Conditions of rules on texts hold for texts only.
    let tests = [
        Test::Prefix(vec!["5".to_owned(), String::new()]),
        Test::Suffix(vec!["5".to_owned(), String::new()]),
        Test::Contains(vec!["5".to_owned(), String::new()]),
        Test::Equals(vec!["5".into(), "null".into(), "true".into()]),
    ];
    for value in ["5", "5.5", "18446744073709551615", "1e400", "null", "true", "{\"5\":\"5\"}", "[\"5\"]", "{}", "[]"] {
        let text = format!("{{\"v\":{value}}}");
        let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), 0, text.as_bytes());
        let batch = Desk::new(SCHEMAS).worker.classify(payload).batch;
        let node = batch.fields(0).get("v").unwrap();
        for test in &tests {
            assert!(!test_holds(test, node), "{test:?} {value}");
        }
        assert!(test_holds(&Test::Exists, node));
    }
}

#[test]
fn t39_an_object_that_cannot_be_read_is_told_and_costs_no_other() {
    // Gone, forbidden, frozen: the event has to come again, and the others are read.
    let keys = ["gone", "there", "forbidden", "also+there"];
    let fetch = |object: &Object| match &*object.key {
        "gone" => Err(io::ErrorKind::NotFound.into()),
        "forbidden" => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(&b"{\"n\": 1}"[..]),
    };
    let bodies = keys.map(|key| s3_event([key]).to_string());
    let told: Vec<(String, Option<io::ErrorKind>)> =
        payloads(sqs(bodies).to_string().as_bytes(), fetch, |_| Framing::default())
            .map(|delivery| (delivery.id.to_string(), delivery.piece.err().map(|error| error.kind())))
            .collect();
    let (gone, forbidden) = (Some(io::ErrorKind::NotFound), Some(io::ErrorKind::PermissionDenied));
    let expected = [("q0", gone), ("q1", None), ("q2", forbidden), ("q3", None)];
    assert_eq!(told, expected.map(|(id, error)| (id.to_owned(), error)));
    // A key that is no UTF-8 stays as it is written.
    let arrivals = unwrap(s3_event(["a%FFb.json"]).to_string().as_bytes());
    assert!(matches!(&arrivals[..], [Arrival::Object(object)] if object.key == "a%FFb.json"), "{arrivals:?}");
}

/// Not every file system takes such a name.
#[cfg(target_os = "linux")]
#[test]
fn t39_a_file_whose_name_is_no_text_is_read_like_any_other() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    std::fs::create_dir(world.at("logs")).unwrap();
    let path = world.at("logs").join(std::ffi::OsStr::from_bytes(b"caf\xe9\xff.json"));
    std::fs::write(path, rows(0..3) + "no json\n").unwrap();
    world.write("logs/z.json", rows(3..5));
    let output = world.streamalert(&["run", "--input", "logs"]);
    assert_eq!((count(&output, "test:row"), count(&output, "not_json")), (5, 1));
    assert_eq!(world.alerted(), [0, 1, 2, 3, 4]);
}

#[test]
fn t41_what_producers_put_together_is_taken_apart() {
    assert_eq!(md5(b"message digest"), *b"\xf9\x6b\x69\x7d\x7c\xb7\x93\x8d\x52\x5a\x2f\x31\xaa\xf1\x61\xd0");
    let record = aggregated((0..65_536).map(|n| format!("{{\"n\": {n}}}")));
    let event =
        kinesis([&record[..], &by_cloudwatch_logs("DATA_MESSAGE", &["{\"n\": 65536}"]), &gzip(b"{\"n\": 65537}")]);
    let story = Desk::new(SCHEMAS).event(&event, &BTreeMap::new());
    assert_eq!(story.numbers(), (0..=65_537).collect::<Vec<_>>());
    // The same data twice within one record are two records.
    let mut identities = story.identities;
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 65_538);
    let same = aggregated(["{\"n\": 1}", "{\"n\": 1}"].map(str::to_owned).into_iter());
    let story = Desk::new(SCHEMAS).event(&kinesis([&same]), &BTreeMap::new());
    assert!(story.told.len() == 2 && story.identities[0] != story.identities[1]);
    // Cut off: one letter, with all that came.
    let story = Desk::new(SCHEMAS).event(&kinesis([&record[..record.len() - 1], b"{\"n\": 1}"]), &BTreeMap::new());
    assert_eq!(story.told, ["dead envelope 0", r#"row {"n":1}"#]);
    assert_eq!(story.dead[0].input.bytes(), record[..record.len() - 1]);
}
