//! The classifier and the rules engine as functions: hostile and awkward events, what comes twice, what breaks off, what comes
//! again. Numbers of `T…` are those of the project's list of test inputs.

use crate::fault_proxy::{Fault, FaultProxy};
use crate::installation::{Installation, by_queue, failed, invoke, invoke_within, notice};
use crate::rules_bucket::example;
use crate::run_world::rows;
use crate::standins;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use streamalert_pipeline::dead_letter::Reason;

macro_rules! standin {
    () => {
        match standins::ministack() {
            Some(standin) => standin,
            None => return,
        }
    };
}

fn keys(installation: &Installation) -> BTreeSet<String> {
    let batches = installation.queued();
    batches.iter().flat_map(|batch| &batch.records).map(|record| record.source.object.clone()).collect()
}

#[test]
fn t1_keys_are_decoded_exactly_once() {
    let installation = Installation::new(standin!(), "keys");
    let classifier = installation.function("classifier");
    let names = [
        "red flower.jpg",
        "year=2025/a.json",
        "2021-05-12T19:26:00+00:00/1.log",
        "a+b%2Bc.json",
        "ärger/日本.json",
        "100%.json",
    ];
    for (number, name) in names.iter().enumerate() {
        let event = installation.put_log(name, format!("{{\"n\": {number}}}"));
        invoke(&classifier, &event).unwrap();
    }
    assert_eq!(keys(&installation), names.iter().map(|name| (*name).to_owned()).collect());
    assert!(installation.letters().is_empty());
}

#[test]
fn t2_to_t5_envelopes_of_every_kind_lead_to_their_objects() {
    let installation = Installation::new(standin!(), "envelopes");
    let classifier = installation.function("classifier");
    let bucket = installation.place.names.data_bucket();
    for number in 0..8 {
        installation.put_log(&format!("{number}.json"), format!("{{\"n\": {number}}}"));
    }
    let at = |number: u64| notice(&bucket, &format!("{number}.json"), 8)["Records"][0].clone();
    let s3 = |numbers: &[u64]| json!({"Records": numbers.iter().map(|n| at(*n)).collect::<Vec<_>>()});
    let sns = |message: &Value| json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:0:topic", "Message": message.to_string()});
    let by_sns = |message: &Value| json!({"Records": [{"EventSource": "aws:sns", "Sns": sns(message)}]});
    let test_event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket});
    let bridge = json!({"detail-type": "Object Created", "source": "aws.s3", "id": "e", "region": "us-east-1",
        "detail": {"bucket": {"name": bucket}, "object": {"key": "5.json", "size": 8}}});
    let folder = notice(&bucket, "AWSLogs/1/CloudTrail/", 0);
    let queue = |bodies: &[Value]| {
        let records: Vec<Value> = bodies.iter().enumerate().map(|(n, body)| by_queue(&format!("m{n}"), body)).collect();
        json!({ "Records": records })
    };
    // T2: bare, by SNS, by a queue; T3: three objects in one message; T4: queue of SNS, raw and not, EventBridge; T5: a folder.
    let events = [
        test_event.clone(),
        by_sns(&test_event),
        by_sns(&s3(&[0, 1, 2])),
        queue(&[test_event.clone(), sns(&test_event), s3(&[3]), sns(&s3(&[4])), bridge, folder.clone()]),
        s3(&[6]),
        folder,
        by_sns(&s3(&[7])),
    ];
    for event in &events {
        assert!(failed(&invoke(&classifier, event).unwrap()).is_empty(), "{event}");
    }
    assert_eq!(installation.queued_numbers(), (0..8).collect::<Vec<_>>());
    assert!(installation.letters().is_empty(), "{:?}", installation.letters());
}

#[test]
fn events_of_no_kind_are_dead_letters_and_cost_nobody_else() {
    let installation = Installation::new(standin!(), "nonsense");
    let classifier = installation.function("classifier");
    let good = installation.put_log("good.json", rows(0..3));
    let event = json!({"Records": [
        by_queue("nonsense", &json!("no envelope {")),
        {"what": "is this"},
        by_queue("good", &good),
        by_queue("gone", &notice(&installation.place.names.data_bucket(), "gone.json", 5)),
    ]});
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    assert_eq!(installation.queued_numbers(), [0, 1, 2]);
    let mut reasons: Vec<&str> = installation.letters().iter().map(|letter| letter.reason.code()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["envelope", "no_object", "not_an_object"], "{:#?}", installation.letters());
    for event in [json!({}), json!([1]), json!({"Records": 5}), json!("text")] {
        invoke(&classifier, &event).unwrap_or_else(|error| panic!("{event} is poison: {error}"));
    }
    assert_eq!(installation.letters().len(), 6 + 1);
}

#[test]
fn t27_ten_thousand_records_of_a_stream_in_one_event() {
    let installation = Installation::new(standin!(), "stream").counted();
    let classifier = installation.function("classifier");
    let record = |n: u64| {
        let data = BASE64_STANDARD.encode(format!("{{\"n\": {n}, \"text\": \"{}\"}}", "x".repeat(100)));
        json!({
            "eventSource": "aws:kinesis", "eventID": format!("shardId-0:{n}"),
            "eventSourceARN": "arn:aws:kinesis:us-east-1:0:stream/logs",
            "kinesis": {"sequenceNumber": format!("{n}"), "partitionKey": "p", "data": data}
        })
    };
    let event = json!({"Records": (0..10_000).map(record).collect::<Vec<_>>()});
    let before = installation.place.aws.calls.counts();
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    let calls = installation.place.aws.calls.counts();
    let made: u64 = calls.iter().map(|(name, count)| count - before.get(name).unwrap_or(&0)).sum();
    // The address of the queue, what is live, two messages in one call.
    assert!(made <= 8, "{made} calls: {calls:?}");
    assert_eq!(installation.queued_numbers(), (0..10_000).collect::<Vec<_>>());
}

#[test]
fn t34_an_object_for_which_there_was_no_time_goes_on_where_it_was() {
    let installation = Installation::new(standin!(), "cursor");
    let classifier = installation.function("classifier");
    // Large enough for a cursor to be worth its call.
    let line = |n: u64| format!("{{\"n\": {n}, \"text\": \"{}\"}}\n", "lorem ipsum dolor sit amet ".repeat(40));
    let count = (64 << 20) / line(0).len() as u64 + 1_000;
    let event = installation.put_log("large.json", (0..count).map(line).collect::<String>());
    let event = json!({"Records": [by_queue("m1", &event)]});
    let mut rounds = 0;
    loop {
        rounds += 1;
        // What is kept for sending is most of this time.
        let answer = invoke_within(&classifier, &event, Duration::from_millis(3_400)).unwrap();
        if failed(&answer).is_empty() {
            break;
        }
        assert!(rounds < 100, "it never ends");
    }
    assert!(rounds > 1, "there was time for all of it");
    assert!(installation.queued_numbers() == (0..count).collect::<Vec<_>>(), "each once");
    let bucket = streamalert_aws::objects::Bucket::new(&installation.place.aws, installation.place.names.data_bucket());
    assert!(installation.place.aws.wait(bucket.keys("cursors/")).unwrap().is_empty(), "a cursor is left");
}

#[test]
fn an_object_that_was_replaced_meanwhile_is_read_from_its_beginning() {
    let installation = Installation::new(standin!(), "replaced");
    let classifier = installation.function("classifier");
    // Long ago: who announces it says neither version nor ETag nor size.
    let line = |n: u64| format!("{{\"n\": {n}, \"text\": \"{}\"}}\n", "lorem ipsum dolor sit amet ".repeat(40));
    let mut event = installation.put_log("now.json", (0..30_000).map(line).collect::<String>());
    event["Records"][0]["s3"]["object"].as_object_mut().unwrap().remove("size");
    let event = json!({"Records": [by_queue("m1", &event)]});
    let answer = invoke_within(&classifier, &event, Duration::from_millis(3_100)).unwrap();
    assert_eq!(failed(&answer), ["m1"], "there was time for all of it");
    let before = installation.queued_numbers().len();
    assert!(0 < before && before < 30_000, "{before}");
    installation.put_log("now.json", (50_000..80_000).map(line).collect::<String>());
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    assert!(installation.queued_numbers() == (50_000..80_000).collect::<Vec<_>>(), "a part of it is lost");
    assert!(installation.letters().is_empty());
}

#[test]
fn many_large_letters_are_stored_as_they_come() {
    let installation = Installation::new(standin!(), "large-letters");
    let classifier = installation.function("classifier");
    // 48 MB that nobody can read, of which no more than some MB may lie in memory.
    let line = |n: u64| format!("no log of ours {n} {}\n", "and more of it ".repeat(70_000));
    let event = installation.put_log("letters.log", (0..48).map(line).collect::<String>());
    assert!(failed(&invoke(&classifier, &json!({"Records": [by_queue("m1", &event)]})).unwrap()).is_empty());
    assert_eq!(installation.letters().len(), 48);
    let bucket = streamalert_aws::objects::Bucket::new(&installation.place.aws, installation.place.names.data_bucket());
    let sheets = installation.place.aws.wait(bucket.keys("dead/")).unwrap();
    assert!(sheets.len() >= 4, "{} objects", sheets.len());
}

#[test]
fn an_event_that_nobody_hears_the_answer_to_fails_as_a_whole() {
    let installation = Installation::new(standin!(), "unheard");
    let proxy = FaultProxy::start(&standin!().endpoint);
    let classifier = installation.through(&proxy.connection()).function("classifier");
    let message =
        json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:0:topic", "Message": "{"});
    let event = json!({"Records": [{"EventSource": "aws:sns", "Sns": message}]});
    proxy.next("S3.PutObject", 100, Fault::Broken);
    // Its letter was not stored. An answer that names the message would be a success to SNS.
    let error = invoke(&classifier, &event).unwrap_err();
    assert!(error.contains("has to come again"), "{error}");
}

#[test]
fn a_log_whose_parser_cannot_be_fetched_comes_again() {
    let mut installation = Installation::new(standin!(), "no-parser");
    installation.put_rules("plugins/netflow.wasm", example("netflow"));
    invoke(&installation.function("plugin_compiler"), &json!({})).unwrap();
    installation.variables.insert("STREAMALERT_REFRESH_SECONDS", "10000".into());
    let proxy = FaultProxy::start(&standin!().endpoint);
    let classifier = installation.through(&proxy.connection()).function("classifier");
    let kinesis = |sequence: &str, data: &[u8]| {
        json!({"eventSource": "aws:kinesis", "eventID": sequence, "eventSourceARN": "arn:aws:kinesis:us-east-1:0:stream/logs",
            "kinesis": {"sequenceNumber": sequence, "data": BASE64_STANDARD.encode(data)}})
    };
    let event = json!({"Records": [kinesis("1", b"{\"n\": 1}"), kinesis("2", b"\x00\x05\x00\x00what a parser knows")]});
    proxy.next("S3.GetObject", 10_000, Fault::Broken);
    let answer = invoke(&classifier, &event).unwrap();
    // What needs none goes on.
    assert_eq!((failed(&answer), installation.queued_numbers()), (vec!["2"], vec![1]));
    assert!(installation.letters().is_empty(), "{:?}", installation.letters());
}

#[test]
fn t35_what_comes_twice_and_at_the_same_time_is_one_alert() {
    let options = json!({"severity": "low", "outputs": ["aws-sqs:x"]});
    let installation = Installation::with_every_row(standin!(), "twice", &options);
    let event = installation.put_log("a.json", rows(0..200));
    let event = json!({"Records": [by_queue("m1", &event)]});
    let classifiers: Vec<_> = (0..2).map(|_| installation.function("classifier")).collect();
    std::thread::scope(|threads| {
        for classifier in &classifiers {
            threads.spawn(|| {
                for _ in 0..2 {
                    assert!(failed(&invoke(classifier, &event).unwrap()).is_empty());
                }
            });
        }
    });
    let engines: Vec<_> = (0..2).map(|_| installation.function("rules_engine")).collect();
    // Each message to both of them, at once.
    while let Some(messages) = installation.receive(&installation.records, 10) {
        std::thread::scope(|threads| {
            for engine in &engines {
                threads.spawn(|| assert!(failed(&invoke(engine, &messages).unwrap()).is_empty()));
            }
        });
        installation.delete(&installation.records, &messages, &json!({}));
    }
    assert_eq!(installation.alerted(), (0..200).collect::<Vec<_>>());
    assert!(installation.letters().is_empty());
}

#[test]
fn announcements_of_what_can_be_no_object_are_letters() {
    let installation = Installation::new(standin!(), "no-object");
    let classifier = installation.function("classifier");
    let bucket = installation.place.names.data_bucket();
    let mut version = notice(&bucket, "a.json", 3);
    installation.put_log("a.json", rows(0..1));
    version["Records"][0]["s3"]["object"]["versionId"] = "no version".into();
    let long = "x".repeat(3_000);
    let events = [
        notice("", "a.json", 3),
        notice(&bucket, "", 3),
        notice("No Bucket/", "a.json", 3),
        notice(&bucket, &long, 3),
        version,
        notice("..", "a.json", 3),
        notice("arn:aws:s3:::x", "a.json", 3),
        notice(&bucket, "../a\u{0}b", 3),
    ];
    let records: Vec<Value> = events.iter().enumerate().map(|(n, event)| by_queue(&n.to_string(), event)).collect();
    let answer = invoke(&classifier, &json!({ "Records": records })).unwrap();
    assert!(failed(&answer).is_empty(), "they are poison: {answer}");
    let letters = installation.letters();
    let of = |reason| letters.iter().filter(|letter| letter.reason == reason).count();
    assert_eq!((of(Reason::Envelope), of(Reason::NoObject)), (4, 4), "{letters:#?}");
}

#[test]
fn t39_objects_that_cannot_be_read_are_dead_letters_or_come_again_by_what_is_wrong() {
    let installation = Installation::new(standin!(), "unreadable");
    let classifier = installation.function("classifier");
    let bucket = installation.place.names.data_bucket();
    // A name that is no UTF-8, and an object that was removed before it was read.
    let odd = json!({"Records": [{"eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": "caf%E9.json", "size": 3}}}]});
    let removed = notice(&bucket, "removed.json", 3);
    let event = json!({"Records": [by_queue("odd", &odd), by_queue("removed", &removed)]});
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    let letters = installation.letters();
    assert_eq!(letters.iter().map(|letter| letter.reason).collect::<Vec<_>>(), [Reason::NoObject; 2]);
    // A bucket that is gone, or not ours to read, is for an operator to mend: the message comes again.
    let foreign = json!({"Records": [by_queue("denied", &notice("no-such-bucket-anywhere", "x.json", 3))]});
    let answer = invoke(&classifier, &foreign).unwrap();
    assert!(failed(&answer) == ["denied"] || installation.letters().len() == 3, "{answer}");
    // When it is there again, the letter is sent again.
    installation.put_log("removed.json", rows(7..8));
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    let answer = invoke(&classifier, &json!({ "streamalert_resend": ids })).unwrap();
    assert_eq!(answer["through"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["stayed"].as_object().unwrap().len(), 1, "{answer}");
    assert_eq!(installation.queued_numbers(), [7]);
    assert!(installation.letters().iter().all(|letter| !letter.message.contains("removed.json")));
}

#[test]
fn t41_aggregated_records_and_log_groups_in_streams() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let installation = Installation::new(standin!(), "aggregates");
    let classifier = installation.function("classifier");
    let kinesis = |sequence: &str, data: &[u8]| {
        json!({"eventSource": "aws:kinesis", "eventID": sequence, "eventSourceARN": "arn:aws:kinesis:us-east-1:0:stream/logs",
            "kinesis": {"sequenceNumber": sequence, "data": BASE64_STANDARD.encode(data)}})
    };
    let messages: Vec<Value> =
        (0..3).map(|n| json!({"id": "e", "timestamp": 1, "message": format!("{{\"n\": {n}}}")})).collect();
    let group = json!({"messageType": "DATA_MESSAGE", "logGroup": "group", "logStream": "s", "owner": "o",
        "subscriptionFilters": ["f"], "logEvents": messages});
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(group.to_string().as_bytes()).unwrap();
    let aggregate = aggregate(&(3..65_003).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    let event = json!({"Records": [kinesis("1", &gzip.finish().unwrap()), kinesis("2", &aggregate)]});
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    assert!(installation.queued_numbers() == (0..65_003).collect::<Vec<_>>());
    assert!(installation.letters().is_empty());
}

/// Records as the Kinesis producer library puts them together.
fn aggregate(records: &[String]) -> Vec<u8> {
    use md5::{Digest, Md5};
    fn number(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    fn field(out: &mut Vec<u8>, tag: u64, bytes: &[u8]) {
        number(out, tag << 3 | 2);
        number(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
    let mut message = Vec::new();
    field(&mut message, 1, b"key");
    for record in records {
        // Index of its key, then its data.
        let mut one = vec![8, 0];
        field(&mut one, 3, record.as_bytes());
        field(&mut message, 3, &one);
    }
    let mut out = vec![0xf3, 0x89, 0x9a, 0xc2];
    out.extend_from_slice(&message);
    out.extend_from_slice(&Md5::digest(&message));
    out
}

#[test]
fn messages_that_are_none_of_ours_are_letters_and_newer_ones_wait_for_a_newer_reader() {
    let options = json!({"severity": "low", "outputs": []});
    let installation = Installation::with_every_row(standin!(), "messages", &options);
    let engine = installation.function("rules_engine");
    let event = installation.put_log("a.json", rows(0..2));
    invoke(&installation.function("classifier"), &event).unwrap();
    let mut good = installation.receive(&installation.records, 10).unwrap()["Records"][0].clone();
    good["messageId"] = "good".into();
    let text = |id: &str, body: &str| {
        let mut message = good.clone();
        (message["messageId"], message["body"]) = (id.into(), body.into());
        message
    };
    let newer = good["body"].as_str().unwrap().replace("\"streamalert_records\":1", "\"streamalert_records\":99");
    let cut = good["body"].as_str().unwrap().replace("\"zstd\":\"", "\"zstd\":\"AAAA");
    let gone = r#"{"streamalert_records":1,"log_type":"test:row","records":1,"claim":{"bucket":"b","key":"k","bytes":1,"sha256":""}}"#;
    let event = json!({"Records": [
        text("text", "hello"), text("empty", ""), text("cut", &cut), text("newer", &newer), text("gone", gone), good,
        {"messageId": "odd", "body": null}, {"what": "is this"}, 7
    ]});
    let answer = invoke(&engine, &event).unwrap();
    assert_eq!(failed(&answer), ["newer"]);
    assert_eq!(installation.alerted(), [0, 1]);
    let letters = installation.letters();
    assert_eq!(letters.iter().map(|letter| letter.reason).collect::<Vec<_>>(), [Reason::Envelope; 7]);
}

#[test]
fn a_rule_that_fails_makes_letters_which_are_judged_again_by_that_rule_alone() {
    use crate::run_world::{EVERY_ROW, Guest};
    let options = json!({"severity": "low", "outputs": []});
    let installation = Installation::with_every_row(standin!(), "faults", &options);
    let rule =
        |body: &'static str| Guest { rules: vec![("brittle", body)], logs: "test:row", ..Guest::default() }.build();
    installation.put_rules("plugins/brittle.wasm", rule("unreachable"));
    let (classifier, engine) = (installation.function("classifier"), installation.function("rules_engine"));
    let event = installation.put_log("a.json", rows(0..3));
    let judge = |installation: &Installation| {
        while let Some(messages) = installation.receive(&installation.records, 10) {
            let answer = invoke(&engine, &messages).unwrap();
            assert!(failed(&answer).is_empty());
            installation.delete(&installation.records, &messages, &answer);
        }
    };
    invoke(&classifier, &event).unwrap();
    judge(&installation);
    let letters = installation.letters();
    assert_eq!(letters.len(), 3);
    assert!(
        letters.iter().all(|letter| letter.fault.as_ref().unwrap().rule == "brittle"
            && letter.classified.as_deref() == Some("test:row"))
    );
    assert_eq!(installation.alerts().len(), 3, "of the rule that works");
    // Mended, and sent again: only the one rule judges them, under their old identity.
    installation.put_rules("plugins/brittle.wasm", rule(EVERY_ROW));
    invoke(&installation.function("plugin_compiler"), &json!({})).unwrap();
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    let answer = invoke(&classifier, &json!({ "streamalert_resend": ids })).unwrap();
    assert_eq!(answer["through"].as_array().unwrap().len(), 3, "{answer}");
    judge(&installation);
    let alerts = installation.alerts();
    let of = |rule: &str| alerts.iter().filter(|alert| alert.rule_name == rule).count();
    assert_eq!((of("every_row"), of("brittle")), (3, 3));
    let ids: BTreeSet<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids.len(), 6);
    assert!(installation.letters().is_empty());
}

#[test]
fn what_came_often_is_handled_alone_and_takes_nothing_along() {
    let options = json!({"severity": "low", "outputs": ["aws-sqs:x"]});
    let installation = Installation::with_every_row(standin!(), "often", &options);
    invoke(&installation.function("plugin_compiler"), &json!({})).unwrap();
    let (classifier, engine) = (installation.function("classifier"), installation.function("rules_engine"));
    for n in 0..4 {
        invoke(&classifier, &installation.put_log(&format!("{n}.json"), rows(n..n + 1))).unwrap();
    }
    let mut messages = installation.receive(&installation.records, 10).unwrap();
    assert_eq!(messages["Records"].as_array().unwrap().len(), 4);
    for often in [1, 2] {
        messages["Records"][often]["attributes"]["ApproximateReceiveCount"] = "3".into();
    }
    let answer = invoke(&engine, &messages).unwrap();
    assert!(failed(&answer).is_empty(), "{answer}");
    assert_eq!(installation.alerted(), [0, 1, 2, 3]);
    // Nobody took anything out of the queue but the function itself: all that was done before the last one began.
    assert_eq!(installation.in_flight(&installation.records), 1);
    // One alone is none that others wait with.
    let again = json!({"Records": [messages["Records"][2].clone()]});
    invoke(&engine, &again).unwrap();
    assert_eq!(installation.in_flight(&installation.records), 1);
    installation.delete(&installation.records, &again, &json!({}));
    assert_eq!(installation.in_flight(&installation.records), 0);
}

#[test]
fn a_thousand_messages_take_no_more_calls_than_limits_force() {
    let options = json!({"severity": "low", "outputs": ["aws-sqs:x"]});
    let installation = Installation::with_every_row(standin!(), "thousand", &options).counted();
    let engine = installation.function("rules_engine");
    let mut messages = Vec::new();
    for n in 0..1_000u64 {
        let source = std::sync::Arc::new(streamalert_pipeline::log_record::Source::new("s3", "b", n.to_string()));
        let mut identity = [0; 32];
        identity[..8].copy_from_slice(&n.to_le_bytes());
        let record = streamalert_pipeline::record_batch::BatchRecord {
            source,
            position: streamalert_pipeline::log_record::Position { offset: 0, length: 8, index: 0 },
            identity,
            event_time: None,
            json: format!("{{\"n\":{n}}}"),
        };
        let batch = streamalert_pipeline::record_batch::RecordBatch {
            cluster: "default".into(),
            log_type: "test:row".into(),
            arrived: 0,
            rule: None,
            records: vec![record],
        };
        let packed = zstd::bulk::compress(batch.to_text().as_bytes(), 3).unwrap();
        let body = json!({"streamalert_records": 1, "log_type": "test:row", "records": 1, "zstd": BASE64_STANDARD.encode(packed)});
        messages.push(by_queue(&n.to_string(), &body));
    }
    invoke(&installation.function("plugin_compiler"), &json!({})).unwrap();
    // Warm: what is live is known.
    invoke(&engine, &json!({"Records": [messages[0].clone()]})).unwrap();
    let before = installation.place.aws.calls.counts();
    let answer = invoke(&engine, &json!({ "Records": messages })).unwrap();
    assert!(failed(&answer).is_empty());
    let calls = installation.place.aws.calls.counts();
    let made = |name: &str| calls.get(name).unwrap_or(&0) - before.get(name).unwrap_or(&0);
    // An alert and what it owes are two items, a hundred of which go into one transaction; one of them is there already, so
    // that one transaction is made twice.
    assert!(made("DynamoDB.TransactWriteItems") <= 21, "{calls:?}");
    let all: u64 = calls.iter().map(|(name, count)| count - before.get(name).unwrap_or(&0)).sum();
    // Besides: which alert is there already, what is live, and the processor is woken.
    assert!(all <= 21 + 3, "{all} calls: {calls:?} after {before:?}");
    assert_eq!(installation.alerted(), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn every_alert_is_archived_also_those_that_wait_or_are_on_trial() {
    use streamalert_aws::rule_table::DynamoRules;
    use streamalert_pipeline::backend::{RuleState, RuleTable};
    let merge = json!({"severity": "low", "outputs": ["aws-sqs:x"], "merge": {"by": ["text"], "minutes": 10}});
    let mut installation = Installation::with_every_row(standin!(), "archived", &merge);
    let stream = installation.place.archive_stream("alerts");
    installation.variables.insert("STREAMALERT_ALERTS_STREAM", stream.clone());
    let rule = |name: &'static str| {
        crate::run_world::Guest {
            rules: vec![(name, crate::run_world::EVERY_ROW)],
            logs: "test:row",
            ..crate::run_world::Guest::default()
        }
        .build()
    };
    installation.put_rules("plugins/staged.wasm", rule("staged"));
    installation.put_rules("plugins/loud.wasm", rule("loud"));
    let states = DynamoRules::new(installation.place.aws.clone(), &installation.place.names);
    states.put("staged", &RuleState { staged: true, ..RuleState::default() }).unwrap();
    let (classifier, engine) = (installation.function("classifier"), installation.function("rules_engine"));
    let event = installation.put_log("a.json", "{\"n\": 1, \"text\": \"same\"}\n{\"n\": 2, \"text\": \"same\"}\n");
    invoke(&classifier, &event).unwrap();
    let messages = installation.receive(&installation.records, 10).unwrap();
    assert!(failed(&invoke(&engine, &messages).unwrap()).is_empty());
    invoke(&installation.function("alert_processor"), &json!({})).unwrap();
    let mut archived: Vec<(String, u64)> = installation
        .archived(&stream)
        .iter()
        .map(|line| (line["rule_name"].as_str().unwrap().to_owned(), line["record"]["n"].as_u64().unwrap()))
        .collect();
    archived.sort();
    let expected = ["every_row", "loud", "staged"].map(|rule| [(rule.to_owned(), 1), (rule.to_owned(), 2)]).concat();
    assert_eq!(archived, expected);
    let staged: Vec<bool> =
        installation.alerts().iter().filter(|alert| alert.rule_name == "staged").map(|alert| alert.staged).collect();
    assert_eq!(staged, [true, true]);
}
