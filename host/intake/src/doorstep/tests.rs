use super::aggregate::tests::aggregated;
use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn shown(arrival: &Arrival) -> String {
    let source = |source: &Source| format!("{}:{}:{}", source.service, source.resource, source.object);
    match arrival {
        Arrival::Bytes { source: from, bytes, .. } => format!("{} {}", source(from), String::from_utf8_lossy(bytes)),
        Arrival::Object(object) => format!("object {}/{}", object.bucket, object.key),
        Arrival::Skip { skip, .. } => skip.code().to_owned(),
        Arrival::Dead(dead) => format!("{} {}: {}", source(&dead.source), dead.reason.code(), dead.message),
    }
}

fn check(event: &Value, expected: &[&str]) {
    let found: Vec<String> = unwrap(event.to_string().as_bytes()).iter().map(shown).collect();
    assert_eq!(found, expected, "{event}");
}

fn s3(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "bk"}, "object": {
            "key": key, "size": 9, "eTag": "e1", "versionId": "v1", "sequencer": "0055",
        }},
    })
}

fn event_bridge(key: &str) -> Value {
    json!({
        "version": "0", "id": "17793124", "detail-type": "Object Created", "source": "aws.s3", "account": "111122223333",
        "region": "ca-central-1", "resources": ["arn:aws:s3:::bk"],
        "detail": {"version": "0", "bucket": {"name": "bk"}, "object": {
            "key": key, "size": 5, "etag": "b1", "version-id": "IYV3", "sequencer": "00617F",
        }, "reason": "PutObject"},
    })
}

/// As it lies in a queue or is posted.
fn sns_body(message: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": "m1", "TopicArn": "arn:aws:sns:us-east-1:1:tp", "Subject": "s",
        "Message": message, "Timestamp": "2024-01-01T00:00:00.000Z", "SignatureVersion": "1",
    })
}

fn sns(message: &str) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns_body(message)}]})
}

fn sqs(body: &str) -> Value {
    json!({"Records": [{
        "messageId": "q1", "receiptHandle": "r", "body": body, "attributes": {}, "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:1:qu", "awsRegion": "us-east-1",
    }]})
}

fn kinesis(data: &[u8]) -> Value {
    json!({"Records": [{
        "eventID": "shardId-0:1", "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/st", "eventSource": "aws:kinesis",
        "kinesis": {"sequenceNumber": "495", "partitionKey": "k", "data": BASE64_STANDARD.encode(data)},
    }]})
}

#[test]
fn keys_of_notifications_are_decoded_and_those_of_event_bridge_are_as_they_are() {
    check(
        &json!({"Records": [s3("red+flower.jpg"), s3("year%3D2025/a.json")]}),
        &["object bk/red flower.jpg", "object bk/year=2025/a.json"],
    );
    check(&event_bridge("red+flower %41.jpg"), &["object bk/red+flower %41.jpg"]);
    let [Arrival::Object(object)] = &unwrap(event_bridge("k").to_string().as_bytes())[..] else { panic!() };
    assert_eq!(object.account.as_deref(), Some("111122223333"));
    assert_eq!((object.version.as_deref(), object.size), (Some("IYV3"), Some(5)));
    let event = json!({"Records": [s3("k")]}).to_string();
    let [Arrival::Object(object)] = &unwrap(event.as_bytes())[..] else { panic!() };
    let expected = Object {
        bucket: "bk".into(),
        key: "k".into(),
        version: Some("v1".into()),
        etag: Some("e1".into()),
        sequencer: Some("0055".into()),
        size: Some(9),
        region: Some("eu-west-1".into()),
        account: None,
        id: "".into(),
    };
    assert_eq!(object, &expected);
    assert_eq!(object.source().version, "v1");
}

#[test]
fn a_test_event_is_passed_over_wherever_it_comes_from() {
    let test =
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2024", "Bucket": "bk", "RequestId": "5"});
    let text = test.to_string();
    for event in [test, sns(&text), sqs(&text), sqs(&sns_body(&text).to_string())] {
        check(&event, &["test_event"]);
    }
}

#[test]
fn every_record_of_a_notification_counts_however_deep_it_lies() {
    let notification = json!({"Records": [s3("1"), s3("2"), s3("3")]}).to_string();
    let expected = ["object bk/1", "object bk/2", "object bk/3"];
    let quoted = |text: &str| Value::from(text).to_string();
    for event in [
        serde_json::from_str(&notification).unwrap(),
        sns(&notification),
        sqs(&notification),
        sqs(&sns_body(&notification).to_string()),
        sns(&quoted(&notification)),
        sqs(&quoted(&sns_body(&notification).to_string())),
    ] {
        check(&event, &expected);
        for arrival in unwrap(event.to_string().as_bytes()) {
            let queued = event["Records"][0]["messageId"].is_string();
            assert!(!queued || **arrival.id() == *"q1", "{arrival:?}");
        }
    }
    check(&sqs(&event_bridge("a b").to_string()), &["object bk/a b"]);
    check(&sqs(&sns_body(&event_bridge("a b").to_string()).to_string()), &["object bk/a b"]);
    // Too deep: data, as it came.
    let mut deep = notification;
    for _ in 0..UNWRAP_DEPTH_MAX {
        deep = sns_body(&deep).to_string();
    }
    let arrivals = unwrap(sqs(&deep).to_string().as_bytes());
    assert!(matches!(&arrivals[..], [Arrival::Bytes { source, .. }] if source.service == "sns"), "{arrivals:?}");
}

#[test]
fn what_is_no_envelope_is_data_as_it_came() {
    let trail = r#"{"Records": [{"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "s3": null}]}"#;
    for text in [trail, "a=1", "\"quoted\"", "", " {\"a\": 1e400} ", "{\"Records\": []}", "{broken"] {
        check(&sns(text), &[&format!("sns:tp:m1 {text}")]);
        check(&sqs(text), &[&format!("sqs:qu:q1 {text}")]);
        check(&sqs(&sns_body(text).to_string()), &[&format!("sns:tp:m1 {text}")]);
    }
    // Half a surrogate pair is no text and stays what it is.
    let event = sns("HERE").to_string().replace("HERE", r"x\ud800y");
    let [Arrival::Bytes { bytes, .. }] = &unwrap(event.as_bytes())[..] else { panic!() };
    assert_eq!(bytes, b"x\xed\xa0\x80y");
    let mut event = event_bridge("k");
    event["source"] = "aws.guardduty".into();
    event["detail-type"] = "GuardDuty Finding".into();
    check(&event, &[&format!("eventbridge:aws.guardduty:17793124 {event}")]);
    check(&sqs(&event.to_string()), &[&format!("eventbridge:aws.guardduty:17793124 {event}")]);
}

#[test]
fn empty_objects_and_other_events_are_counted_and_not_read() {
    let mut folder = s3("AWSLogs/123456789012/CloudTrail/");
    folder["s3"]["object"]["size"] = 0.into();
    let mut removed = s3("k");
    removed["eventName"] = "ObjectRemoved:Delete".into();
    let mut unknown = s3("k");
    unknown["s3"]["object"].as_object_mut().unwrap().remove("size");
    check(&json!({"Records": [folder, removed, unknown]}), &["empty_object", "other_event", "object bk/k"]);
    let mut deleted = event_bridge("k");
    deleted["detail-type"] = "Object Deleted".into();
    check(&deleted, &["other_event"]);
    check(&json!({"Records": []}), &["empty"]);
}

#[test]
fn only_queues_and_streams_are_told_what_of_an_event_failed() {
    let ids = |event: Value| -> Vec<String> {
        unwrap(event.to_string().as_bytes()).iter().map(|arrival| arrival.id().to_string()).collect()
    };
    assert_eq!(ids(sqs(&json!({"Records": [s3("a"), s3("b")]}).to_string())), ["q1", "q1"]);
    assert_eq!(ids(sqs(&sns_body("x").to_string())), ["q1"]);
    assert_eq!(ids(kinesis(b"x")), ["495"]);
    // What a function answers to these is read by nobody: an answer that names an item is a success.
    for event in [sns("x"), sns(&json!({"Records": [s3("a")]}).to_string()), json!({"Records": [s3("a")]})] {
        assert_eq!(ids(event), [""]);
    }
    assert_eq!(ids(event_bridge("k")), [""]);
    // What has no id of its own does not pass for its neighbour.
    let mut event = sqs("x");
    let records = event["Records"].as_array_mut().unwrap();
    records.extend([json!(5), json!({"eventSource": "aws:sqs", "messageId": "q2"}), json!({}), s3("k")]);
    assert_eq!(ids(event), ["q1", "", "q2", "", ""]);
}

#[test]
fn what_is_broken_or_unknown_costs_no_neighbour() {
    let mut event = kinesis(b"{\"a\": 1}");
    let records = event["Records"].as_array_mut().unwrap();
    records.push(json!({"eventSource": "aws:dynamodb", "eventID": "7", "dynamodb": {}}));
    records.push(json!(5));
    records.push(json!({"eventSourceARN": "arn:x/st", "eventID": "8", "kinesis": {"data": "%%%"}}));
    records.push(json!({"s3": {"bucket": {}}}));
    records.push(json!({"Sns": {"TopicArn": "a:tp", "Message": 5}}));
    records.push(json!({"streamalert_app": "ap", "logs": {}}));
    records.push(s3("k"));
    check(
        &event,
        &[
            "kinesis:st:shardId-0:1 {\"a\": 1}",
            "lambda:aws:dynamodb:7 envelope: a record of no kind that is known here",
            "lambda:event: envelope: a record that is no object",
            "kinesis:st:8 envelope: a Kinesis record whose data is no base64",
            "s3:: envelope: a notification of S3 without bucket or key",
            "sns:tp: envelope: a message of SNS without text",
            "streamalert_app:ap: envelope: an app without a list of logs",
            "object bk/k",
        ],
    );
    for (event, says) in [
        ("", "not JSON"),
        ("[]", "no object"),
        ("{}", "no kind"),
        ("{\"Records\": {}}", "no list"),
        ("{\"a\": 1}", "no kind"),
    ] {
        let arrivals = unwrap(event.as_bytes());
        let [Arrival::Dead(dead)] = &arrivals[..] else { panic!("{event}: {arrivals:?}") };
        assert!(dead.message.contains(says), "{}", dead.message);
        assert_eq!(dead.letter().input.bytes(), event.as_bytes());
    }
    let mut waiting = sns_body("x");
    waiting["Type"] = "SubscriptionConfirmation".into();
    let [Arrival::Dead(dead)] = &unwrap(sqs(&waiting.to_string()).to_string().as_bytes())[..] else { panic!() };
    assert!(dead.message.contains("SubscribeURL"));
}

#[test]
fn aggregated_records_are_taken_apart() {
    let record = aggregated(&[b"{\"a\": 1}", b"{\"a\": 1}"]);
    check(&kinesis(&record), &["kinesis:st:shardId-0:1/0 {\"a\": 1}", "kinesis:st:shardId-0:1/1 {\"a\": 1}"]);
    assert_eq!(**unwrap(kinesis(&record).to_string().as_bytes())[1].id(), *"495");
    let cut = &record[..record.len() - 1];
    let [Arrival::Dead(dead)] = &unwrap(kinesis(cut).to_string().as_bytes())[..] else { panic!() };
    assert_eq!((dead.reason, &dead.bytes[..]), (Reason::Envelope, cut));
    check(&kinesis(&aggregated(&[])), &["empty"]);
    let many = vec![&b"{}"[..]; 65_536];
    assert_eq!(unwrap(kinesis(&aggregated(&many)).to_string().as_bytes()).len(), 65_536);
}

#[test]
fn cloudwatch_logs_come_by_kinesis_or_by_themselves() {
    let data = json!({
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "/aws/vpc", "logStream": "eni-1",
        "logEvents": [{"id": "3", "timestamp": 1, "message": "{\"a\": 1}"}],
    })
    .to_string();
    let none = |_: &Object| -> io::Result<&[u8]> { panic!("nothing to fetch") };
    let control = data.replace("DATA_MESSAGE", "CONTROL_MESSAGE");
    let direct = |data: &[u8]| json!({"awslogs": {"data": BASE64_STANDARD.encode(data)}});
    for (event, service, resource) in [
        (kinesis(&gzip(data.as_bytes())), "kinesis", "st"),
        (direct(&gzip(data.as_bytes())), "cloudwatch_logs", "/aws/vpc"),
    ] {
        let event = event.to_string();
        let pieces: Vec<Delivery> = payloads(event.as_bytes(), none, |_| Framing::default()).collect();
        let [Delivery { piece: Ok(Piece::Payload(payload)), .. }] = &pieces[..] else { panic!("{pieces:?}") };
        assert_eq!((&*payload.source.service, &*payload.source.resource), (service, resource));
        assert_eq!(&*payload.bytes, data.as_bytes());
    }
    check(&direct(&gzip(control.as_bytes())), &["control_message"]);
    let event = direct(&gzip(data.as_bytes())[..40]).to_string();
    let pieces: Vec<Delivery> = payloads(event.as_bytes(), none, |_| Framing::default()).collect();
    assert!(
        matches!(&pieces[..], [Delivery { piece: Ok(Piece::Dead(letter)), .. }] if letter.reason == Reason::Compression)
    );
}

#[test]
fn an_object_that_cannot_be_read_is_told_and_the_next_one_is_read() {
    let event = json!({"Records": [s3("gone"), s3("there"), s3("breaks")]}).to_string();
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("connection reset"))
        }
    }
    let fetch = |object: &Object| -> io::Result<Box<dyn Read>> {
        match object.key.as_str() {
            "gone" => Err(io::ErrorKind::NotFound.into()),
            "there" => Ok(Box::new(&b"{\"a\": 1}\n"[..])),
            _ => Ok(Box::new(Breaks)),
        }
    };
    let pieces: Vec<Delivery> = payloads(event.as_bytes(), fetch, |_| Framing::default()).collect();
    assert_eq!(pieces.len(), 3, "{pieces:?}");
    assert!(pieces[0].piece.is_err() && pieces[1].piece.is_ok() && pieces[2].piece.is_err());
}

/// What lies beside the repository, where it is: `shared/data` of any folder above.
fn shared() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/data"))
        .find(|path| path.is_dir())
}

/// The original's edge cases, as pieces. What it makes of them is compared where they are classified.
#[test]
fn every_vector_of_the_original_comes_to_something() {
    let Some(shared) = shared() else { return println!("skipped: there is no shared/data above this folder") };
    let text = std::fs::read_to_string(shared.join("streamalert/vectors/payloads.jsonl")).unwrap();
    let mut found = String::new();
    for line in text.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let body = BASE64_STANDARD.decode(vector["s3_body"]["$bytes"].as_str().unwrap_or_default()).unwrap();
        let event = json!({"Records": vector["records"]}).to_string();
        let fetch = |_: &Object| -> io::Result<&[u8]> { Ok(&body) };
        let pieces: Vec<String> = payloads(event.as_bytes(), fetch, |_| Framing::default())
            .map(|delivery| match delivery.piece.unwrap() {
                Piece::Payload(Payload { source, bytes, .. }) => {
                    let object = if source.service == "s3" { format!("/{}", source.object) } else { String::new() };
                    format!("{}:{}{object} {:?}", source.service, source.resource, String::from_utf8_lossy(&bytes))
                }
                Piece::Dead(letter) => format!("{}: {}", letter.reason.code(), letter.message),
                Piece::Skip(skip) => skip.code().to_owned(),
            })
            .collect();
        // Enough to tell what it is.
        let pieces: Vec<String> = pieces.iter().map(|piece| piece.chars().take(100).collect()).collect();
        found.push_str(&format!("{}\t{}\n", vector["id"].as_str().unwrap(), pieces.join("\t")));
    }
    assert!(found == include_str!("vectors.tsv"), "{found}");
}
