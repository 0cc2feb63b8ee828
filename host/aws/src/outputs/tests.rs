//! Each output against a server of the test that passes for AWS.

use super::*;
use crate::loopback::{Answer, Loopback, Request};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use streamalert_pipeline::config::output::AWS;
use streamalert_pipeline::plugin::{HttpFailure, HttpRequest, HttpResponse, Nowhere};

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:soc";

/// Settings with which each service works.
fn settings(service: &str) -> Vec<(String, String)> {
    let of: &[(&str, &str)] = match service {
        "aws-firehose" => &[("stream", "p_streamalert_alert_delivery")],
        "aws-s3" => &[("bucket", "alerts-bucket")],
        "aws-sns" => &[("topic", TOPIC)],
        "aws-sqs" => &[("queue", "http://127.0.0.1/000000000000/soc")],
        "aws-lambda" => &[("function", "respond:live")],
        "aws-ses" => &[("from_email", "alerts@example.com"), ("to_emails", "soc@example.com, ann@example.com")],
        "aws-cloudwatch-log" => &[("log_group", "/soc/alerts")],
        "aws-eventbridge" => &[("bus", "security")],
        "aws-securityhub" => &[("account_id", "000000000000")],
        other => panic!("{other}"),
    };
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn alert(id: &str) -> Value {
    json!({
        "id": id, "rule_name": "root_login", "title": "Root signed in", "severity": "high",
        "rule_description": "The root user should never sign in.", "created": "2026-01-02T03:04:05.678Z",
        "event_time": "2026-01-02T03:00:00Z", "cluster": "prod", "log_source": "cloudtrail:events", "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "a.json"},
        "position": {"offset": 0, "length": 2, "index": 0}, "outputs": [], "publishers": null, "merge": null,
        "dedup_key": null, "tags": [], "references": [], "context": {"owner": "ann"},
        "record": {"user": "bob", "ip": "198.51.100.7"}, "staged": false, "component_digest": "00",
        "host_version": "0", "fuel": 1,
    })
}

/// With what publishers laid over the publication.
fn parcel(service: &str, id: &str, over: Value) -> Parcel {
    let alert = alert(id);
    let mut publication = json!({
        "id": id, "rule_name": "root_login", "title": "Root signed in", "severity": "high",
        "rule_description": "The root user should never sign in.", "created": "2026-01-02T03:04:05.678Z",
        "event_time": "2026-01-02T03:00:00Z", "cluster": "prod", "log_source": "cloudtrail:events",
        "source_service": "s3", "source_entity": "logs", "source_object": "a.json", "dedup_key": "",
        "context": {"owner": "ann"}, "references": ["https://example.com/runbook"],
        "record": {"user": "bob", "ip": "198.51.100.7"},
    });
    for (key, value) in over.as_object().unwrap() {
        publication[key] = value.clone();
    }
    Parcel {
        descriptor: "x".into(),
        idempotency_key: format!("{id}:{service}:x"),
        attempt: 1,
        now: 1_767_323_045,
        alert: alert.to_string(),
        publication: publication.to_string(),
        settings: settings(service),
        progress: None,
    }
}

fn output(server: &Loopback, service: &str) -> Arc<dyn OutputPlugin> {
    let all = outputs(&server.aws(), &Names::new("test"));
    all.into_iter().find(|output| output.info().service == service).unwrap()
}

fn send(server: &Loopback, service: &str, parcels: &[Parcel]) -> Vec<Disposition> {
    let outside: Arc<dyn Outside> = Arc::new(Nowhere);
    output(server, service).deliver_all(parcels, &outside).into_iter().map(Result::unwrap).collect()
}

fn send_one(server: &Loopback, service: &str, over: Value) -> Disposition {
    send(server, service, &[parcel(service, "a1", over)]).remove(0)
}

fn delivered(receipt: &str) -> Disposition {
    Disposition::Delivered(Some(receipt.into()))
}

/// What each service says when all is well. S3 takes what is put there.
fn well(request: &Request) -> Answer {
    let target = request.header("x-amz-target");
    let numbered = |key: &str, answer: &dyn Fn(usize, &Value) -> Value| -> Vec<Value> {
        let all = request.json()[key].as_array().cloned().unwrap_or_default();
        all.iter().enumerate().map(|(number, entry)| answer(number, entry)).collect()
    };
    match (request.method.as_str(), target.rsplit('.').next().unwrap_or_default()) {
        ("PUT", _) => Answer::text(200, "application/xml", ""),
        (_, "PutRecordBatch") => {
            let each = numbered("Records", &|number, _| json!({"RecordId": format!("r{number}")}));
            Answer::json(200, json!({"FailedPutCount": 0, "RequestResponses": each}))
        }
        (_, "SendMessageBatch") => {
            let done = |_: usize, entry: &Value| json!({"Id": entry["Id"], "MessageId": format!("m{}", entry["Id"].as_str().unwrap()), "MD5OfMessageBody": ""});
            Answer::json(200, json!({"Successful": numbered("Entries", &done), "Failed": []}))
        }
        (_, "PutEvents") => {
            let each = numbered("Entries", &|number, _| json!({"EventId": format!("e{number}")}));
            Answer::json(200, json!({"FailedEntryCount": 0, "Entries": each}))
        }
        (_, "PutLogEvents") => Answer::json(200, json!({"nextSequenceToken": "1"})),
        (_, "GetQueueUrl") => Answer::json(200, json!({"QueueUrl": "http://127.0.0.1/000000000000/soc"})),
        _ if request.path.ends_with("/invocations") => Answer::text(202, "application/json", ""),
        _ if request.path.starts_with("/v2/email") => Answer::json(200, json!({"MessageId": "mail-1"})),
        _ if request.path.starts_with("/findings") => {
            let count = request.json()["Findings"].as_array().unwrap().len();
            Answer::json(200, json!({"FailedCount": 0, "SuccessCount": count, "FailedFindings": []}))
        }
        _ => Answer::text(
            200,
            "text/xml",
            "<PublishResponse><PublishResult><MessageId>sns-1</MessageId></PublishResult></PublishResponse>",
        ),
    }
}

/// A failure in the dialect of a service.
fn failure(service: &str, status: u16, code: &str) -> Answer {
    let text = "<Type>Sender</Type>".to_owned() + &format!("<Code>{code}</Code><Message>because</Message>");
    match service {
        "aws-sns" => Answer::text(status, "text/xml", format!("<ErrorResponse><Error>{text}</Error></ErrorResponse>")),
        "aws-s3" => Answer::text(status, "application/xml", format!("<Error>{text}</Error>")),
        _ => Answer::json(status, json!({"__type": code, "message": "because"})).with_header("x-amzn-errortype", code),
    }
}

/// The fields of a form, as SNS has it.
fn form(request: &Request) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(&request.body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn reason(disposition: &Disposition) -> &str {
    match disposition {
        Disposition::Retry { reason, .. } | Disposition::Reject(reason) => reason,
        Disposition::Delivered(_) => panic!("{disposition:?}"),
    }
}

#[test]
fn all_services_that_the_configuration_knows_are_there_and_ask_for_what_they_need() {
    let all = offline();
    let names: Vec<&str> = all.iter().map(|output| output.info().service.as_str()).collect();
    assert_eq!(names, AWS);
    for output in &all {
        let service = &output.info().service;
        assert_eq!(output.validate(&settings(service)).unwrap(), [], "{service}");
        let missing = output.validate(&[]).unwrap();
        assert_eq!(missing.is_empty(), service == "aws-eventbridge", "{service}");
        assert!(output.info().settings.iter().all(|setting| !setting.secret) && output.info().hosts.is_empty());
        // Without a way to AWS they say so.
        let outside: Arc<dyn Outside> = Arc::new(Nowhere);
        let answer = output.deliver(&parcel(service, "a1", json!({})), &outside).unwrap();
        assert!(reason(&answer).contains("where StreamAlert runs on AWS"), "{answer:?}");
    }
}

#[test]
fn settings_that_cannot_be_right_are_told() {
    let wrong = [
        ("aws-firehose", "stream", "a b"),
        ("aws-s3", "bucket", "Alerts"),
        ("aws-s3", "prefix", "/alerts"),
        ("aws-s3", "region", "nowhere"),
        ("aws-sns", "topic", "soc"),
        ("aws-sns", "topic", "arn:aws:sqs:us-east-1:000000000000:soc"),
        ("aws-sns", "topic", "arn:aws:sns:us-east-1:12:soc"),
        ("aws-sqs", "queue", "a queue"),
        ("aws-lambda", "function", "arn:aws:lambda:us-east-1:000000000000:layer:x"),
        ("aws-ses", "from_email", "Soc <soc@example.com>"),
        ("aws-ses", "to_emails", "soc@example.com;ann@example.com"),
        ("aws-cloudwatch-log", "log_stream", "a:b"),
        ("aws-eventbridge", "source", "aws.ec2"),
        ("aws-eventbridge", "bus", "arn:aws:events:us-east-1:000000000000:rule/x"),
        ("aws-securityhub", "account_id", "0000-0000-0000"),
        ("aws-securityhub", "type", "Malware"),
    ];
    for (service, name, value) in wrong {
        let mut settings = settings(service);
        settings.retain(|(known, _)| known != name);
        settings.push((name.into(), value.into()));
        let output = offline().into_iter().find(|output| output.info().service == service).unwrap();
        let faults = output.validate(&settings).unwrap();
        assert!(faults.len() == 1 && faults[0].setting == name, "{service} {name}={value}: {faults:?}");
    }
    let right = [
        ("aws-lambda", "function", "arn:aws-us-gov:lambda:us-gov-west-1:000000000000:function:respond:live"),
        ("aws-sqs", "queue", "soc.fifo"),
        ("aws-sqs", "queue", "https://sqs.eu-west-1.amazonaws.com/000000000000/soc"),
        ("aws-securityhub", "type", "TTPs/Initial Access/Console"),
        ("aws-eventbridge", "bus", "arn:aws:events:us-east-1:000000000000:event-bus/security"),
    ];
    for (service, name, value) in right {
        let mut settings = settings(service);
        settings.retain(|(known, _)| known != name);
        settings.push((name.into(), value.into()));
        let output = offline().into_iter().find(|output| output.info().service == service).unwrap();
        assert_eq!(output.validate(&settings).unwrap(), [], "{service} {name}={value}");
    }
}

#[test]
fn what_passes_is_tried_again_and_only_what_is_wrong_with_the_alert_is_given_up() {
    let cases = [
        (400, "ThrottlingException", false),
        (503, "ServiceUnavailable", false),
        (500, "InternalFailure", false),
        (403, "AccessDeniedException", false),
        (400, "AccessDeniedException", false),
        (400, "ExpiredTokenException", false),
        (400, "KMSDisabledException", false),
        (400, "ResourceNotFoundException", false),
        (404, "NotFound", false),
        (400, "ValidationException", true),
        (413, "RequestTooLargeException", true),
    ];
    for service in AWS {
        for (status, code, given_up) in cases {
            let answer = failure(service, status, code);
            let server = Loopback::start(move |_| answer.clone());
            let outcome = send_one(&server, service, json!({}));
            assert_eq!(matches!(outcome, Disposition::Reject(_)), given_up, "{service} {status} {code}: {outcome:?}");
            assert!(reason(&outcome).contains(code) && reason(&outcome).contains("because"), "{outcome:?}");
        }
        let server = Loopback::start(|_| Answer::cut());
        let outcome = send_one(&server, service, json!({}));
        assert!(matches!(outcome, Disposition::Retry { .. }), "{service}: {outcome:?}");
    }
}

#[test]
fn a_throttled_call_is_made_again_at_once() {
    for service in AWS {
        let calls = AtomicUsize::new(0);
        let server = Loopback::start(move |request| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => failure(service, if service == "aws-s3" { 503 } else { 400 }, "ThrottlingException"),
            _ => well(request),
        });
        let outcome = send_one(&server, service, json!({}));
        assert!(matches!(outcome, Disposition::Delivered(_)), "{service}: {outcome:?}");
        assert_eq!(server.requests().len(), 2, "{service}");
    }
}

#[test]
fn what_was_answered_before_the_time_was_over_counts() {
    struct Brief;
    impl Outside for Brief {
        fn http(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
            unreachable!("outputs of AWS have a way of their own")
        }
        fn secret(&self, _: &str) -> Option<String> {
            None
        }
        fn time_left(&self) -> Option<Duration> {
            Some(Duration::from_secs(1))
        }
    }
    let calls = AtomicUsize::new(0);
    let server = Loopback::start(move |request| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => well(request),
        _ => well(request).after(Duration::from_secs(5)),
    });
    let parcels: Vec<Parcel> = (0..15).map(|n| parcel("aws-sqs", &format!("a{n}"), json!({}))).collect();
    let outside: Arc<dyn Outside> = Arc::new(Brief);
    let outcomes = output(&server, "aws-sqs").deliver_all(&parcels, &outside);
    for (number, outcome) in outcomes.into_iter().map(Result::unwrap).enumerate() {
        match number {
            0..10 => assert!(matches!(outcome, Disposition::Delivered(_)), "{number}: {outcome:?}"),
            _ => assert_eq!(reason(&outcome), "aws-sqs took longer than 1 s"),
        }
    }
}

#[test]
fn settings_that_are_wrong_hold_alerts_back() {
    let server = Loopback::start(well);
    let mut wrong = parcel("aws-sns", "a1", json!({}));
    wrong.settings = vec![("topic".into(), "soc".into())];
    let outcome = send(&server, "aws-sns", &[wrong]).remove(0);
    assert!(
        matches!(outcome, Disposition::Retry { .. }) && reason(&outcome).contains("topic is the ARN"),
        "{outcome:?}"
    );
    assert!(server.requests().is_empty());
}

fn lines(request: &Request) -> Vec<String> {
    let decoded =
        |record: &Value| String::from_utf8(BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap();
    request.json()["Records"].as_array().unwrap().iter().map(decoded).collect()
}

#[test]
fn firehose_gets_lines_and_those_that_failed_alone_again() {
    let first = Mutex::new(true);
    let server = Loopback::start(move |request| {
        if !std::mem::take(&mut *first.lock().unwrap()) {
            return well(request);
        }
        let failed = json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."});
        let each = vec![json!({"RecordId": "r"}), failed.clone(), json!({"RecordId": "r"}), failed];
        Answer::json(200, json!({"FailedPutCount": 2, "RequestResponses": each}))
    });
    let parcels: Vec<Parcel> = (0..4).map(|n| parcel("aws-firehose", &format!("a{n}"), json!({}))).collect();
    let outcomes = send(&server, "aws-firehose", &parcels);
    assert!(outcomes.iter().all(|outcome| *outcome == Disposition::Delivered(None)), "{outcomes:?}");
    let requests = server.requests();
    assert_eq!(requests[0].json()["DeliveryStreamName"], "p_streamalert_alert_delivery");
    let all: Vec<String> = parcels.iter().map(|parcel| format!("{}\n", parcel.publication)).collect();
    assert_eq!(lines(&requests[0]), all);
    assert_eq!(lines(&requests[1]), [all[1].clone(), all[3].clone()]);
    assert_eq!(requests.len(), 2);
}

#[test]
fn firehose_calls_hold_what_one_call_takes() {
    let server = Loopback::start(well);
    let parcels: Vec<Parcel> = (0..1_201).map(|n| parcel("aws-firehose", &format!("a{n}"), json!({}))).collect();
    assert_eq!(send(&server, "aws-firehose", &parcels).len(), 1_201);
    let sizes: Vec<usize> = server.requests().iter().map(|request| lines(request).len()).collect();
    assert_eq!(sizes, [500, 500, 201]);
    let server = Loopback::start(well);
    let large = json!({"record": {"text": "x".repeat(900 << 10)}});
    let parcels: Vec<Parcel> = (0..9).map(|n| parcel("aws-firehose", &format!("a{n}"), large.clone())).collect();
    send(&server, "aws-firehose", &parcels);
    let sizes: Vec<usize> = server.requests().iter().map(|request| lines(request).len()).collect();
    assert_eq!(sizes, [4, 4, 1]);
}

/// What was sent, in whatever the service calls it, and the object that it points to.
fn pointed(server: &Loopback, sent: impl Fn(&Request) -> String) {
    let requests = server.requests();
    let [put, call] = &requests[..] else { panic!("{} requests", requests.len()) };
    let pointer: Value = serde_json::from_str(&sent(call)).unwrap();
    let claim = &pointer["streamalert:claim"];
    assert_eq!(
        (put.method.as_str(), put.path.split('?').next().unwrap()),
        ("PUT", &*format!("/test-streamalert-data/{}", claim["key"].as_str().unwrap()))
    );
    assert_eq!(claim["bytes"], put.body.len());
    let kind = if call.header("x-amz-target").contains("Firehose") { "archive" } else { "alerts" };
    assert!(claim["key"].as_str().unwrap().starts_with(&format!("claims/{kind}/")));
    assert_eq!(
        (&pointer["id"], &pointer["rule_name"], &pointer["severity"]),
        (&json!("a1"), &json!("root_login"), &json!("high"))
    );
    assert!(put.text().contains("198.51.100.7"), "all of it lies there");
}

#[test]
fn what_is_too_large_to_travel_lies_in_the_bucket() {
    let large = || json!({"record": {"text": "x".repeat(1100 << 10), "ip": "198.51.100.7"}});
    let check = |service: &str, sent: &dyn Fn(&Request) -> String| {
        let server = Loopback::start(well);
        let outcome = send_one(&server, service, large());
        assert!(matches!(outcome, Disposition::Delivered(_)), "{service}: {outcome:?}");
        pointed(&server, sent);
    };
    check("aws-firehose", &|request| lines(request).remove(0));
    check("aws-sns", &|request| form(request)["Message"].clone());
    check("aws-sqs", &|request| request.json()["Entries"][0]["MessageBody"].as_str().unwrap().to_owned());
    check("aws-lambda", &|request| request.text());
    check("aws-eventbridge", &|request| request.json()["Entries"][0]["Detail"].as_str().unwrap().to_owned());
    check("aws-cloudwatch-log", &|request| request.json()["logEvents"][0]["message"].as_str().unwrap().to_owned());
    // If the bucket does not take it, the alert waits.
    let server = Loopback::start(|request| match request.method.as_str() {
        "PUT" => failure("aws-s3", 403, "AccessDenied"),
        _ => well(request),
    });
    let outcome = send_one(&server, "aws-sqs", large());
    assert!(matches!(outcome, Disposition::Retry { .. }) && reason(&outcome).contains("AccessDenied"), "{outcome:?}");
}

#[test]
fn s3_objects_have_the_same_name_at_each_attempt() {
    let server = Loopback::start(well);
    let key = "alerts/dt=2026-01-02-03/s3_logs_root_login_a1.json";
    for _ in 0..2 {
        assert_eq!(send_one(&server, "aws-s3", json!({})), delivered(&format!("s3://alerts-bucket/{key}")));
    }
    let put = server.requests().remove(0);
    assert_eq!(put.path.split('?').next(), Some(&*format!("/alerts-bucket/{}", key.replace('=', "%3D"))));
    assert_eq!(put.header("content-type"), "application/json");
    assert_eq!(put.json()["record"]["user"], "bob");
}

#[test]
fn sns_messages_are_for_people_and_their_attributes_for_filters() {
    let server = Loopback::start(well);
    assert_eq!(send_one(&server, "aws-sns", json!({})), delivered("sns-1"));
    let sent = form(&server.requests()[0]);
    assert_eq!((sent["TopicArn"].as_str(), sent["Subject"].as_str()), (TOPIC, "root_login triggered alert a1"));
    assert!(sent["Message"].starts_with("{\n  \"id\": \"a1\""));
    let attribute = |name: &str| {
        let number = (1..=3).find(|n| sent[&format!("MessageAttributes.entry.{n}.Name")] == name).unwrap();
        sent[&format!("MessageAttributes.entry.{number}.Value.StringValue")].clone()
    };
    assert_eq!([attribute("severity"), attribute("rule_name")], ["high", "root_login"]);

    let own = json!({"@aws-sns.topic": format!("{}é\nend", "s".repeat(200)), "@aws-sns.message": "look\u{1}\u{ffff}"});
    let server = Loopback::start(well);
    send_one(&server, "aws-sns", own);
    let sent = form(&server.requests()[0]);
    assert_eq!(sent["Subject"].len(), 99);
    assert!(
        sent["Subject"].starts_with("ssss") && sent["Subject"].ends_with("s??end") && sent["Subject"].contains(" ... ")
    );
    assert_eq!(sent["Message"], "look\u{fffd}\\uffff");
}

#[test]
fn names_of_other_regions_lead_there() {
    let scope = |service: &str, name: &str, value: &str| {
        let server = Loopback::start(well);
        let mut parcel = parcel(service, "a1", json!({}));
        parcel.settings.retain(|(known, _)| known != name);
        parcel.settings.push((name.into(), value.into()));
        let outcome = send(&server, service, &[parcel]);
        assert!(matches!(outcome[0], Disposition::Delivered(_)), "{outcome:?}");
        server.requests()[0].header("authorization").to_owned()
    };
    let there = "/eu-west-3/";
    assert!(scope("aws-sns", "topic", "arn:aws:sns:eu-west-3:000000000000:soc").contains(there));
    assert!(scope("aws-sqs", "queue", "https://sqs.eu-west-3.amazonaws.com/000000000000/soc").contains(there));
    assert!(scope("aws-lambda", "function", "arn:aws:lambda:eu-west-3:000000000000:function:respond").contains(there));
    assert!(scope("aws-s3", "region", "eu-west-3").contains(there));
    assert!(scope("aws-eventbridge", "bus", "arn:aws:events:eu-west-3:000000000000:event-bus/soc").contains(there));
    for service in ["aws-ses", "aws-cloudwatch-log", "aws-securityhub", "aws-eventbridge"] {
        assert!(scope(service, "region", "eu-west-3").contains(there), "{service}");
    }
}

#[test]
fn sqs_gets_records_ten_at_a_time_and_those_that_failed_alone_again() {
    let first = Mutex::new(true);
    let server = Loopback::start(move |request| {
        if request.header("x-amz-target").ends_with("GetQueueUrl") || !std::mem::take(&mut *first.lock().unwrap()) {
            return well(request);
        }
        let done: Vec<Value> = (0..10)
            .filter(|n| ![3, 7].contains(n))
            .map(|n| json!({"Id": n.to_string(), "MessageId": "m", "MD5OfMessageBody": ""}))
            .collect();
        let failed = json!([
            {"Id": "3", "Code": "InternalError", "SenderFault": false, "Message": "again"},
            {"Id": "7", "Code": "InvalidMessageContents", "SenderFault": true, "Message": "never"},
        ]);
        Answer::json(200, json!({"Successful": done, "Failed": failed}))
    });
    let mut parcels: Vec<Parcel> = (0..12).map(|n| parcel("aws-sqs", &format!("a{n}"), json!({}))).collect();
    parcels[0].settings = vec![("queue".into(), "soc".into())];
    let outcomes = send(&server, "aws-sqs", &parcels);
    for (number, outcome) in outcomes.iter().enumerate() {
        match number {
            7 => assert_eq!(*outcome, Disposition::Reject("InvalidMessageContents: never".into())),
            _ => assert!(matches!(outcome, Disposition::Delivered(_)), "{number}: {outcome:?}"),
        }
    }
    let requests = server.requests();
    assert_eq!(requests[0].json(), json!({"QueueName": "soc"}));
    let sizes: Vec<usize> = requests[1..].iter().map(|r| r.json()["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 2, 1]);
    let entry = &requests[3].json()["Entries"][0];
    assert_eq!(entry["MessageBody"], r#"{"user":"bob","ip":"198.51.100.7"}"#);
    assert_eq!(entry["MessageAttributes"]["alert_id"]["StringValue"], "a3");
}

#[test]
fn fifo_queues_and_topics_get_what_they_ask_for() {
    let server = Loopback::start(well);
    let mut to = parcel("aws-sqs", "a1", json!({"@aws-sqs.message_data": {"only": 1}}));
    to.settings = vec![("queue".into(), "http://127.0.0.1/000000000000/soc.fifo".into())];
    send(&server, "aws-sqs", &[to]);
    let entry = server.requests()[0].json()["Entries"][0].clone();
    assert_eq!(entry["MessageBody"], r#"{"only":1}"#);
    assert_eq!(
        (&entry["MessageGroupId"], &entry["MessageDeduplicationId"]),
        (&json!("streamalert"), &json!("a1:aws-sqs:x"))
    );
    let server = Loopback::start(well);
    let mut to = parcel("aws-sns", "a1", json!({}));
    to.settings = vec![("topic".into(), format!("{TOPIC}.fifo"))];
    send(&server, "aws-sns", &[to]);
    assert_eq!(form(&server.requests()[0])["MessageDeduplicationId"], "a1:aws-sns:x");
}

#[test]
fn functions_are_invoked_and_not_waited_for() {
    let server = Loopback::start(well);
    assert_eq!(send_one(&server, "aws-lambda", json!({})), Disposition::Delivered(None));
    let request = server.requests().remove(0);
    assert_eq!(request.path, "/2015-03-31/functions/respond%3Alive/invocations");
    assert_eq!(request.header("x-amz-invocation-type"), "Event");
    assert_eq!(request.json(), json!({"user": "bob", "ip": "198.51.100.7"}));
    let server = Loopback::start(well);
    let mut to = parcel("aws-lambda", "a1", json!({"@aws-lambda.alert_data": {"x": [1]}}));
    to.settings.push(("qualifier".into(), "7".into()));
    send(&server, "aws-lambda", &[to]);
    let request = server.requests().remove(0);
    assert!(request.path.ends_with("/invocations?Qualifier=7"), "{}", request.path);
    assert_eq!(request.json(), json!({"x": [1]}));
}

/// The parts of a mail, each with its headers and what it holds.
fn parts(mail: &str) -> Vec<(String, String)> {
    let part = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        if !head.contains("base64") {
            return None;
        }
        let body: String = body.split("\r\n--").next()?.split_whitespace().collect();
        Some((head.to_owned(), String::from_utf8(BASE64_STANDARD.decode(body).ok()?).ok()?))
    };
    mail.split("--streamalert-").filter_map(part).collect()
}

fn mail(request: &Request) -> String {
    let data = request.json()["Content"]["Raw"]["Data"].as_str().unwrap().to_owned();
    String::from_utf8(BASE64_STANDARD.decode(data).unwrap()).unwrap()
}

#[test]
fn mails_have_a_few_lines_and_the_record() {
    let server = Loopback::start(well);
    assert_eq!(send_one(&server, "aws-ses", json!({})), delivered("mail-1"));
    let request = server.requests().remove(0);
    assert_eq!(request.path, "/v2/email/outbound-emails");
    assert_eq!(request.json()["Destination"]["ToAddresses"], json!(["soc@example.com", "ann@example.com"]));
    let mail = mail(&request);
    assert!(mail.starts_with("From: alerts@example.com\r\nTo: soc@example.com,\r\n ann@example.com\r\nSubject: StreamAlert rule root_login triggered\r\n"));
    let parts = parts(&mail);
    assert!(
        parts[0].0.contains("text/plain")
            && parts[0].1.starts_with("Root signed in\r\n\r\nRule: root_login\r\nSeverity: high")
    );
    assert!(parts[1].0.contains("filename=\"record.json\"") && parts[1].1.contains("\"user\": \"bob\""));
    assert_eq!(parts.len(), 2);
    assert!(mail.lines().all(|line| line.len() < 200));
}

#[test]
fn publishers_shape_mails_and_nothing_in_an_alert_ends_a_header() {
    let server = Loopback::start(well);
    let over = json!({
        "@aws-ses.subject": "Wer war das?\r\nBcc: evil@example.com \u{1f980} und noch viel mehr Text, der lang ist",
        "@aws-ses.body": {"plain": "as text", "html": "<b>as HTML</b>"},
        "@aws-ses.attach_record": false,
        "@aws-ses.attachments": {"more/of\"it.txt": "notes", "list.json": [1, 2]},
    });
    send_one(&server, "aws-ses", over);
    let mail = mail(&server.requests()[0]);
    assert!(!mail.contains("\r\nBcc"));
    let subject: String = mail
        .split("Subject: ")
        .nth(1)
        .unwrap()
        .split("\r\nX-")
        .next()
        .unwrap()
        .split("\r\n ")
        .map(|word| {
            let word = word.strip_prefix("=?utf-8?B?").unwrap().strip_suffix("?=").unwrap();
            String::from_utf8(BASE64_STANDARD.decode(word).unwrap()).unwrap()
        })
        .collect();
    assert!(subject.starts_with("Wer war das?  Bcc: evil@example.com \u{1f980} und"), "{subject}");
    let parts = parts(&mail);
    let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["as text", "<b>as HTML</b>", "notes", "[1,2]"]);
    assert!(parts[1].0.contains("text/html") && parts[2].0.contains("filename=\"more_of_it.txt\""));
}

#[test]
fn a_mail_that_nobody_would_take_says_where_the_record_lies() {
    let server = Loopback::start(well);
    let large = json!({"record": {"text": "x".repeat(9 << 20), "ip": "198.51.100.7"}});
    assert_eq!(send_one(&server, "aws-ses", large), delivered("mail-1"));
    pointed(&server, |request| parts(&mail(request)).remove(1).1);
}

#[test]
fn a_log_stream_is_made_when_it_is_not_there() {
    let there = AtomicUsize::new(0);
    let server = Loopback::start(move |request| match request.header("x-amz-target").rsplit('.').next().unwrap() {
        "CreateLogStream" => {
            there.store(1, Ordering::SeqCst);
            Answer::json(200, json!({}))
        }
        _ if there.load(Ordering::SeqCst) == 0 => failure("", 400, "ResourceNotFoundException"),
        _ => well(request),
    });
    let parcels: Vec<Parcel> = (0..3).map(|n| parcel("aws-cloudwatch-log", &format!("a{n}"), json!({}))).collect();
    let outcomes = send(&server, "aws-cloudwatch-log", &parcels);
    assert!(outcomes.iter().all(|outcome| *outcome == delivered("/soc/alerts/alerts")), "{outcomes:?}");
    send(&server, "aws-cloudwatch-log", &parcels);
    let targets: Vec<String> =
        server.requests().iter().map(|r| r.header("x-amz-target").rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!(targets, ["PutLogEvents", "CreateLogStream", "PutLogEvents", "PutLogEvents"]);
    let sent = server.requests()[2].json();
    assert_eq!((&sent["logGroupName"], &sent["logStreamName"]), (&json!("/soc/alerts"), &json!("alerts")));
    assert_eq!(sent["logEvents"].as_array().unwrap().len(), 3);
    assert_eq!(sent["logEvents"][0]["timestamp"], 1_767_323_045_000u64);
    // Without the group there is no making a stream in it.
    let server = Loopback::start(|_| failure("", 400, "ResourceNotFoundException"));
    let outcome = send_one(&server, "aws-cloudwatch-log", json!({}));
    assert!(matches!(outcome, Disposition::Retry { .. }), "{outcome:?}");
}

#[test]
fn events_go_ten_at_a_time_and_those_that_failed_alone_again() {
    let first = Mutex::new(true);
    let server = Loopback::start(move |request| {
        if !std::mem::take(&mut *first.lock().unwrap()) {
            return well(request);
        }
        let mut each: Vec<Value> = (0..10).map(|n| json!({"EventId": format!("e{n}")})).collect();
        each[2] = json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"});
        each[5] = json!({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."});
        Answer::json(200, json!({"FailedEntryCount": 2, "Entries": each}))
    });
    let parcels: Vec<Parcel> = (0..12).map(|n| parcel("aws-eventbridge", &format!("a{n}"), json!({}))).collect();
    let outcomes = send(&server, "aws-eventbridge", &parcels);
    assert_eq!(outcomes[5], Disposition::Reject("MalformedDetail: Detail is malformed.".into()));
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Disposition::Delivered(_))).count(), 11);
    let sizes: Vec<usize> = server.requests().iter().map(|r| r.json()["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 2, 1]);
    let event = server.requests()[2].json()["Entries"][0].clone();
    assert_eq!(
        (&event["EventBusName"], &event["Source"], &event["DetailType"]),
        (&json!("security"), &json!("streamalert"), &json!("StreamAlert Alert"))
    );
    let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["id"], "a2");
}

#[test]
fn findings_have_the_form_that_security_hub_asks_for() {
    let server = Loopback::start(well);
    let over = json!({
        "title": "t".repeat(300), "rule_description": "", "event_time": "yesterday",
        "record": (0..90).map(|n| (format!("key {n}"), json!("v".repeat(2_000)))).collect::<Map<String, Value>>(),
    });
    assert_eq!(send_one(&server, "aws-securityhub", over), delivered("a1"));
    let finding = server.requests()[0].json()["Findings"][0].clone();
    assert_eq!(finding["ProductArn"], "arn:aws:securityhub:us-east-1:000000000000:product/000000000000/default");
    assert_eq!((&finding["Id"], &finding["AwsAccountId"]), (&json!("a1"), &json!("000000000000")));
    assert_eq!((&finding["Severity"]["Label"], &finding["Types"]), (&json!("HIGH"), &json!(["TTPs"])));
    assert_eq!(finding["Title"].as_str().unwrap().chars().count(), 256);
    assert_eq!(finding["Description"], "root_login");
    assert_eq!(finding["Resources"][0]["Id"], "s3:logs:a.json");
    assert_eq!(finding["CreatedAt"], "2026-01-02T03:04:05.678Z");
    assert_eq!(finding["UpdatedAt"], "2026-01-02T03:04:05.000Z");
    assert_eq!(finding["SourceUrl"], "https://example.com/runbook");
    assert!(finding.get("FirstObservedAt").is_none());
    let fields = finding["ProductFields"].as_object().unwrap();
    assert!(
        fields.len() == 50
            && fields.values().all(|value| (1..=1024).contains(&value.as_str().unwrap().chars().count()))
    );
    assert_eq!((&fields["streamalert/cluster"], &fields["context/owner"]), (&json!("prod"), &json!("ann")));
}

#[test]
fn findings_that_are_refused_cost_no_other_its_place() {
    // One is refused in the answer, one makes the whole call fail.
    let server = Loopback::start(|request| {
        let findings = request.json()["Findings"].as_array().cloned().unwrap();
        let has = |id: &str| findings.iter().any(|finding| finding["Id"] == id);
        if has("a7") {
            return failure("aws-securityhub", 400, "InvalidInputException");
        }
        let failed: Vec<Value> = findings
            .iter()
            .filter(|f| f["Id"] == "a120")
            .map(|f| json!({"Id": f["Id"], "ErrorCode": "InvalidInput", "ErrorMessage": "no"}))
            .collect();
        Answer::json(200, json!({"FailedCount": failed.len(), "SuccessCount": 1, "FailedFindings": failed}))
    });
    let parcels: Vec<Parcel> = (0..150).map(|n| parcel("aws-securityhub", &format!("a{n}"), json!({}))).collect();
    let outcomes = send(&server, "aws-securityhub", &parcels);
    for (number, outcome) in outcomes.iter().enumerate() {
        match number {
            7 => assert_eq!(*outcome, Disposition::Reject("InvalidInputException: because".into())),
            120 => assert_eq!(*outcome, Disposition::Reject("InvalidInput: no".into())),
            _ => assert_eq!(*outcome, delivered(&format!("a{number}"))),
        }
    }
    let sizes: Vec<usize> = server.requests().iter().map(|r| r.json()["Findings"].as_array().unwrap().len()).collect();
    assert_eq!((sizes.len(), sizes[0], sizes[101]), (102, 100, 50));
}
