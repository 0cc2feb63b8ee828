//! Records on their way through AWS: queue, archive, claim-check, objects that break off.

use crate::scripted::{self, Answer, Request};
use crate::standins::{self, Place, RUNTIME};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use streamalert_aws::archive::FirehoseArchive;
use streamalert_aws::limits::{FIREHOSE_BATCH_BYTES_MAX, FIREHOSE_BATCH_MAX, FIREHOSE_RECORD_BYTES_MAX, SQS_BYTES_MAX};
use streamalert_aws::objects::{Bucket, ObjectReader};
use streamalert_aws::queue::{SqsQueue, read};
use streamalert_aws::{Aws, Names};
use streamalert_intake::Object;
use streamalert_pipeline::archive::columns;
use streamalert_pipeline::archive::line::Lines;
use streamalert_pipeline::backend::{BackendErrorKind, RecordArchive, RecordQueue};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};

/// Text that no compression makes smaller than three quarters.
pub fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(bytes);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    let mut text = BASE64_STANDARD.encode(&out);
    text.truncate(bytes);
    text
}

/// A batch of records whose JSON has these sizes in bytes.
fn batch(log_type: &str, sizes: &[usize]) -> RecordBatch {
    let source = Arc::new(Source::new("s3", "bucket", "key"));
    let record = |(index, size): (usize, &usize)| {
        let mut identity = [0; 32];
        identity[..8].copy_from_slice(&(index as u64).to_le_bytes());
        BatchRecord {
            source: source.clone(),
            position: Position { offset: index as u64, length: *size as u64, index: 0 },
            identity,
            event_time: None,
            json: format!("{{\"text\":\"{}\"}}", noise(index as u64 + 1, size - 11)),
        }
    };
    RecordBatch {
        cluster: "prod".into(),
        log_type: log_type.into(),
        arrived: 7,
        rule: None,
        records: sizes.iter().enumerate().map(record).collect(),
    }
}

fn queue(place: &Place) -> SqsQueue {
    SqsQueue::new(&place.aws, place.names.records_queue(), Bucket::new(&place.aws, place.names.data_bucket()))
}

/// Everything that is in the queue, which is then empty.
fn received(place: &Place, url: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let receive = place.aws.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        let messages = place.aws.wait(receive.send()).unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            let delete = place.aws.sqs.delete_message().queue_url(url);
            place.aws.wait(delete.set_receipt_handle(message.receipt_handle).send()).unwrap();
            bodies.push(message.body.unwrap());
        }
    }
}

#[test]
fn records_of_every_size_go_through_the_queue_and_the_largest_by_claim_check() {
    const KB: usize = 1 << 10;
    for standin in standins::all() {
        let place = standin.place("sizes");
        let (url, _) = place.records_queue();
        place.data_bucket();
        // The largest is the last: it must cost none of the others.
        let sent = batch("test:row", &[255 * KB, 256 * KB + 1, 1024 * KB, 1024 * KB + 1, 100, 10 << 20]);
        assert!(queue(&place).send(std::slice::from_ref(&sent)).iter().all(Result::is_ok));
        let bodies = received(&place, &url);
        assert!(bodies.iter().all(|body| body.len() <= SQS_BYTES_MAX));
        let about: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        assert_eq!(
            about.iter().filter(|message| message["claim"].is_object()).count(),
            3,
            "two of 1 MB, and one of 10"
        );
        let claims = Bucket::new(&place.aws, place.names.data_bucket());
        let mut records = Vec::new();
        for body in &bodies {
            let batch = place.aws.wait(read(body, &claims)).unwrap();
            assert_eq!((&*batch.cluster, batch.arrived), ("prod", 7));
            records.extend(batch.records);
        }
        records.sort_by_key(|record| record.position.offset);
        assert!(records == sent.records, "{}: each once, and as it was", standin.name);
        // Somebody else's pointer leads nowhere.
        let claim = about.iter().find(|message| message["claim"].is_object()).unwrap();
        let foreign = claim.to_string().replace(&place.names.data_bucket(), "another-bucket");
        assert!(place.aws.wait(read(&foreign, &claims)).unwrap_err().to_string().contains("claims lie below"));
    }
}

#[test]
fn ten_thousand_records_take_as_few_calls_as_there_must_be() {
    let Some(standin) = standins::ministack() else { return };
    let place = standin.place("few-calls");
    let (url, _) = place.records_queue();
    place.data_bucket();
    let mut types: Vec<RecordBatch> = (0..25).map(|n| batch(&format!("type:{n}"), &[300; 400])).collect();
    for (number, record) in types.iter_mut().flat_map(|batch| &mut batch.records).enumerate() {
        record.json = format!("{{\"number\":{number},\"text\":\"{}\"}}", "as in most logs, the same again ".repeat(8));
    }
    let before = place.aws.calls.counts();
    assert!(queue(&place).send(&types).iter().all(Result::is_ok));
    let calls = place.aws.calls.counts();
    let made = |name: &str| calls.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
    // 25 messages, ten to a call, and once the queue's address.
    assert_eq!((made("SQS.SendMessageBatch"), made("SQS.GetQueueUrl")), (3, 1), "{calls:?}");
    assert_eq!(received(&place, &url).len(), 25);
}

/// A service at this address.
fn aws(endpoint: &str) -> Arc<Aws> {
    Arc::new(Aws::connect(&standins::connection(endpoint), RUNTIME.handle().clone()))
}

#[test]
fn only_the_messages_that_failed_are_sent_again_and_the_batch_of_a_bad_one_fails() {
    let log: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = log.clone();
    let endpoint = scripted::start(move |request: &Request| {
        let sent = request.json();
        let entries = sent["Entries"].as_array().unwrap();
        let type_of = |entry: &Value| {
            let body: Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
            body["log_type"].as_str().unwrap().to_owned()
        };
        let mut calls = seen.lock().unwrap();
        calls.push(entries.iter().map(type_of).collect());
        let first = calls.len() == 1;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = &entry["Id"];
            match type_of(entry).as_str() {
                "a:busy" if first => {
                    failed.push(
                        json!({"Id": id, "SenderFault": false, "Code": "ServiceUnavailable", "Message": "later"}),
                    );
                }
                "a:bad" => {
                    failed.push(json!({"Id": id, "SenderFault": true, "Code": "InvalidMessage", "Message": "no"}))
                }
                // Of this one the answer says nothing at all.
                "a:lost" if first => {}
                _ => successful.push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": md5(entry)})),
            }
        }
        Answer::json(200, &json!({"Successful": successful, "Failed": failed}))
    });
    let aws = aws(&endpoint);
    let queue = SqsQueue::new(&aws, format!("{endpoint}/queue"), Bucket::new(&aws, "claims"));
    let batches: Vec<RecordBatch> =
        ["a:good", "a:busy", "a:bad", "a:lost"].iter().map(|log_type| batch(log_type, &[100])).collect();
    let results = queue.send(&batches);
    let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, false, true, false], "{results:?}");
    assert!(results[2].as_ref().unwrap_err().source.as_ref().unwrap().to_string().contains("InvalidMessage"));
    assert_eq!(*log.lock().unwrap(), [vec!["a:good", "a:busy", "a:bad", "a:lost"], vec!["a:busy", "a:lost"]]);
}

/// SQS says what it got, and the SDK compares.
fn md5(entry: &Value) -> String {
    use md5::{Digest, Md5};
    let digest = Md5::digest(entry["MessageBody"].as_str().unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a Firehose got: for each call, the bytes of its records.
type Puts = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

/// A Firehose that refuses records by `refuses(call, text)`, and S3 beside it.
fn firehose(refuses: impl Fn(usize, &str) -> bool + Send + Sync + 'static) -> (String, Puts, Arc<Mutex<Vec<String>>>) {
    let (puts, objects): (Puts, Arc<Mutex<Vec<String>>>) = Default::default();
    let (got, kept) = (puts.clone(), objects.clone());
    let endpoint = scripted::start(move |request: &Request| {
        if request.method == "PUT" {
            kept.lock().unwrap().push(request.path.clone());
            return Answer { status: 200, headers: vec![("ETag", "\"e\"".into())], length: None, body: vec![] };
        }
        let sent = request.json();
        let records: Vec<Vec<u8>> = sent["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap())
            .collect();
        let mut puts = got.lock().unwrap();
        puts.push(records.clone());
        let answers: Vec<Value> = records
            .iter()
            .map(|record| match refuses(puts.len(), &String::from_utf8_lossy(record)) {
                true => json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}),
                false => json!({"RecordId": "r"}),
            })
            .collect();
        let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
        Answer::json(200, &json!({"FailedPutCount": failed, "RequestResponses": answers}))
    });
    (endpoint, puts, objects)
}

fn archive(aws: &Arc<Aws>, logs: &[&str]) -> FirehoseArchive {
    let logs = logs.iter().map(|log| (*log).to_owned()).collect();
    FirehoseArchive::new(aws, "acme", logs, Bucket::new(aws, "acme-streamalert-data"))
}

#[test]
fn archive_calls_keep_to_the_limits_and_what_is_too_large_goes_by_pointer() {
    let (endpoint, puts, objects) = firehose(|_, _| false);
    let aws = aws(&endpoint);
    let line_of = |size: usize| {
        let mut one = batch("test:row", &[size]);
        one.records[0].position = Position { offset: 0, length: 1, index: 0 };
        one.records.remove(0)
    };
    let whole = batch("test:row", &[]);
    let around = Lines::unknown().line(&whole, &line_of(100)).len() - 100;
    // With its line break, a line of this record is as large as may be.
    let edge = FIREHOSE_RECORD_BYTES_MAX - 1 - around;
    let mut sizes = vec![edge - 1, edge, edge + 1, 900_000, 900_000, 900_000, 900_000];
    sizes.extend([2_000; 5_000]);
    let sent = RecordBatch { records: sizes.iter().map(|size| line_of(*size)).collect(), ..whole };
    assert!(archive(&aws, &["test"]).put(std::slice::from_ref(&sent)).iter().all(Result::is_ok));
    let puts = puts.lock().unwrap();
    for call in puts.iter() {
        assert!(call.len() <= FIREHOSE_BATCH_MAX);
        assert!(call.iter().map(Vec::len).sum::<usize>() <= FIREHOSE_BATCH_BYTES_MAX);
        assert!(call.iter().all(|record| record.len() <= FIREHOSE_RECORD_BYTES_MAX && record.ends_with(b"\n")));
    }
    let bytes: usize = sizes.iter().map(|size| size + around + 1).sum();
    assert!(puts.len() <= bytes.div_ceil(FIREHOSE_BATCH_BYTES_MAX) + 2, "{} calls for {bytes} bytes", puts.len());
    let lines = lines(&puts);
    assert_eq!(lines.len(), sizes.len());
    let records: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line["streamalert_record"].as_str().unwrap()).unwrap()).collect();
    let pointers: Vec<&Value> = records.iter().filter_map(|record| record.get("streamalert:claim")).collect();
    assert_eq!(pointers.len(), 1, "all else is whole");
    assert_eq!(pointers[0]["bytes"], edge + 1);
    let key = format!("/acme-streamalert-data/{}?x-id=PutObject", pointers[0]["key"].as_str().unwrap());
    assert_eq!(*objects.lock().unwrap(), [key]);
}

fn lines(puts: &[Vec<Vec<u8>>]) -> Vec<Value> {
    let all: Vec<u8> = puts.iter().flatten().flatten().copied().collect();
    String::from_utf8(all).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_has_the_columns_of_its_table_and_one_that_is_too_large_for_them_has_the_record() {
    let (endpoint, puts, objects) = firehose(|_, _| false);
    let aws = aws(&endpoint);
    let schema = r#"{"test:row": {"parser": "json", "schema": {"Text": "string", "n.x": "integer"}}}"#;
    let schemas = Arc::new(Schemas::read(&[("s.json".to_owned(), schema.to_owned())]).unwrap());
    let archive = archive(&aws, &["*"]);
    archive.set_schemas(&schemas);
    let mut sent = batch("test:row", &[100, 100, 700_000]);
    sent.records[0].json = r#"{"Text":"a","n.x":7,"new":[1.50]}"#.into();
    sent.records[1].json = r#"{"Text":"b","n.x":"no number"}"#.into();
    sent.records[2].json = sent.records[2].json.replace("text", "Text");
    assert!(archive.put(std::slice::from_ref(&sent)).iter().all(Result::is_ok));
    let lines = lines(&puts.lock().unwrap());
    let known: Vec<String> = columns(schemas.get("test:row").unwrap()).into_iter().map(|column| column.name).collect();
    for (line, record) in lines.iter().zip(&sent.records) {
        assert_eq!(line["streamalert_record"], record.json.as_str());
        assert!(line.as_object().unwrap().keys().all(|name| known.contains(name)), "{line}");
    }
    let of = |line: &Value| (line["text"].as_str().map(str::to_owned), line["n_x"].clone());
    assert_eq!(of(&lines[0]), (Some("a".into()), json!(7)));
    assert_eq!(of(&lines[1]), (Some("b".into()), Value::Null));
    assert_eq!(of(&lines[2]), (None, Value::Null));
    assert!(objects.lock().unwrap().is_empty());
}

#[test]
fn the_archive_gets_again_only_what_it_refused_and_says_so_when_it_goes_on_refusing() {
    let (endpoint, puts, _) = firehose(|call, text| call <= 2 && text.contains(r#"\"n\":1,"#));
    let service = aws(&endpoint);
    let numbered = |count: usize| {
        let mut numbered = batch("test:row", &vec![400_000; count]);
        for (number, record) in numbered.records.iter_mut().enumerate() {
            record.json.insert_str(1, &format!("\"n\":{number},"));
        }
        numbered
    };
    assert!(archive(&service, &["*"]).put(&[numbered(4)])[0].is_ok());
    let sizes: Vec<usize> = puts.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 1, 1]);
    // Log types that are not kept cost nothing.
    assert!(archive(&service, &["other:type"]).put(&[numbered(1)])[0].is_ok());
    assert_eq!(puts.lock().unwrap().len(), 3);
    let (endpoint, _, _) = firehose(|_, text| text.contains(r#"\"n\":1,"#));
    let error = archive(&aws(&endpoint), &["*"]).put(&[numbered(4)]).remove(0).unwrap_err();
    assert_eq!(error.kind, BackendErrorKind::Throttled);
    assert!(error.source.unwrap().to_string().contains("1 records were refused"));
}

fn object(bucket: &str, key: &str) -> Object {
    Object {
        bucket: bucket.into(),
        key: key.into(),
        version: None,
        etag: None,
        sequencer: None,
        size: None,
        region: None,
        account: None,
        id: "".into(),
    }
}

#[test]
fn a_download_goes_on_where_it_broke() {
    let content: Arc<Vec<u8>> = Arc::new((0..300_000u32).flat_map(u32::to_le_bytes).collect());
    let ranges: Arc<Mutex<Vec<String>>> = Arc::default();
    let (whole, seen) = (content.clone(), ranges.clone());
    let endpoint = scripted::start(move |request| {
        seen.lock().unwrap().push(format!("{}{}", request.header("range"), request.header("if-match")));
        let from = request.header("range").trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
        let rest = &whole[from..];
        // It promises all and breaks off after half a megabyte.
        let body = rest[..rest.len().min(500_000)].to_vec();
        let status = if from > 0 { 206 } else { 200 };
        Answer { status, headers: vec![("ETag", "\"e1\"".into())], length: Some(rest.len()), body }
    });
    let mut reader = ObjectReader::open(&aws(&endpoint), &object("bucket", "large")).unwrap();
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == *content);
    let ranges = ranges.lock().unwrap();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    assert!(ranges[0].is_empty() && ranges[1..].iter().all(|range| range.ends_with("\"e1\"")), "{ranges:?}");
}

#[test]
fn an_object_that_cannot_be_read_is_gone_or_denied_or_broken() {
    let said = |status: u16, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let endpoint =
            scripted::start(move |_| Answer { status, headers: vec![], length: None, body: body.clone().into_bytes() });
        ObjectReader::open(&aws(&endpoint), &object("bucket", "key")).err().unwrap()
    };
    assert_eq!(said(404, "NoSuchKey").kind, BackendErrorKind::NotFound);
    assert_eq!(said(403, "AccessDenied").kind, BackendErrorKind::Denied);
    assert_eq!(said(503, "SlowDown").kind, BackendErrorKind::Throttled);
    assert_eq!(said(400, "KMS.DisabledException").kind, BackendErrorKind::Denied);
    assert_eq!(said(400, "InvalidArgument").kind, BackendErrorKind::NotFound, "as of a version that can be none");
    let archived = said(403, "InvalidObjectState");
    assert_eq!(archived.kind, BackendErrorKind::NotFound);
    assert!(archived.action.contains("restore it"));
    for standin in standins::all() {
        let place = standin.place("gone");
        place.data_bucket();
        let error = ObjectReader::open(&place.aws, &object(&place.names.data_bucket(), "nobody")).err().unwrap();
        assert_eq!(error.kind, BackendErrorKind::NotFound, "{}", standin.name);
    }
}

#[test]
fn what_was_signed_is_not_told_when_a_signature_does_not_fit() {
    // As S3 answers; the request it repeats has the session's token.
    let body = "<Error><Code>SignatureDoesNotMatch</Code><Message>The signature does not match.</Message>\
                <CanonicalRequest>GET\nx-amz-security-token:hunter2</CanonicalRequest></Error>";
    let endpoint =
        scripted::start(move |_| Answer { status: 403, headers: vec![], length: None, body: body.as_bytes().to_vec() });
    let error = ObjectReader::open(&aws(&endpoint), &object("bucket", "key")).err().unwrap();
    assert_eq!(error.kind, BackendErrorKind::Denied);
    let told = format!("{error:?} {}", error.source.as_ref().unwrap());
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("SignatureDoesNotMatch") && told.contains("The signature does not match."), "{told}");
}

#[test]
fn a_function_is_waited_for_as_long_as_it_may_take_and_is_begun_once() {
    let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = begun.clone();
    let endpoint = scripted::start(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        Answer::json(200, &json!({"through": []}))
    });
    // All else is given up by then.
    let impatient = std::time::Duration::from_millis(100);
    let connection = streamalert_aws::Connection { silence: impatient, ..standins::connection(&endpoint) };
    let aws = Aws::connect(&connection, RUNTIME.handle().clone());
    let invoked = streamalert_aws::functions::invoke(&aws, "acme-streamalert-classifier", "{}").unwrap();
    assert_eq!(invoked.answer.unwrap(), r#"{"through":[]}"#);
    assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn names_are_made_of_the_prefix_unless_something_else_is_said() {
    let variables = BTreeMap::from([("STREAMALERT_PREFIX", "acme"), ("STREAMALERT_DATA_BUCKET", "mine")]);
    let names = Names::from_env(|name| variables.get(name).map(|value| (*value).to_owned())).unwrap();
    assert_eq!(names.data_bucket(), "mine");
    assert_eq!(names.rules_bucket(), "acme-streamalert-rules");
    assert_eq!(names.function("rules_engine"), "acme-streamalert-rules-engine");
    let names = Names::from_env(|name| match name {
        "STREAMALERT_ALIAS" => Some("live".to_owned()),
        other => variables.get(other).map(|value| (*value).to_owned()),
    });
    assert_eq!(names.unwrap().function("rules_engine"), "acme-streamalert-rules-engine:live");
    assert!(Names::from_env(|_| None).unwrap_err().contains("STREAMALERT_PREFIX"));
}

#[test]
fn a_letter_that_cannot_be_read_hides_no_other_and_is_never_removed() {
    use streamalert_aws::dead_letters::S3DeadLetters;
    use streamalert_pipeline::backend::DeadLetters;
    use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
    use streamalert_pipeline::log_record::Payload;
    let Some(standin) = standins::ministack() else { return };
    let place = standin.place("damaged");
    place.data_bucket();
    let letter = |text: &str| {
        let payload = Payload::new(Arc::new(Source::new("s3", "b", text)), 0, text.as_bytes());
        let position = Position { offset: 0, length: text.len() as u64, index: 0 };
        DeadLetter::new(&payload, "c", position, Reason::NotJson, "no".into())
    };
    let store = S3DeadLetters::new(&place.aws, place.names.data_bucket());
    store.put(&[letter("one")]).unwrap();
    let bucket = Bucket::new(&place.aws, place.names.data_bucket());
    let newer = r#"{"a newer version": "wrote this"}"#;
    let text = format!("{newer}\n{}\n", serde_json::to_string(&letter("two")).unwrap());
    let key = "dead/2026-01-01/0000000000001-x.jsonl.zst";
    place.aws.wait(bucket.put(key, zstd::bulk::compress(text.as_bytes(), 3).unwrap())).unwrap();
    place.aws.wait(bucket.put("dead/2026-01-01/0000000000002-x.jsonl.zst", &b"no zstd"[..])).unwrap();
    let ids: Vec<String> = store.list().unwrap().into_iter().map(|letter| letter.id).collect();
    assert_eq!(ids.len(), 2);
    store.remove(&ids).unwrap();
    assert!(store.list().unwrap().is_empty());
    let left = place.aws.wait(bucket.get(key)).unwrap().unwrap();
    assert_eq!(zstd::stream::decode_all(&left.bytes[..]).unwrap(), format!("{newer}\n").into_bytes());
    assert_eq!(place.aws.wait(bucket.keys("dead/")).unwrap().len(), 2, "what is damaged stays where it is");
}

#[test]
fn letters_that_cannot_be_fetched_for_now_are_an_error_and_not_left_out() {
    use streamalert_aws::dead_letters::S3DeadLetters;
    use streamalert_pipeline::backend::DeadLetters;
    let endpoint = scripted::start(|request: &Request| match request.path.contains("list-type=2") {
        true => {
            let entry = "<Contents><Key>dead/a</Key><ETag>e</ETag><Size>1</Size></Contents>";
            let body = format!("<ListBucketResult>{entry}</ListBucketResult>").into_bytes();
            Answer { status: 200, headers: vec![], length: None, body }
        }
        false => Answer { status: 500, headers: vec![], length: None, body: vec![] },
    });
    assert!(S3DeadLetters::new(&aws(&endpoint), "data").list().is_err());
}
