//! Outputs of AWS against servers that stand in for it. What the services do with partial failures and limits, the stand-ins do
//! not; that is tested against answers made for it (`host/aws/src/outputs/tests.rs`).

use crate::run_world::{World, every_row_to, rows};
use crate::standins::{self, Place, Standin};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::objects::Bucket;
use streamalert_aws::outputs::outputs;
use streamalert_pipeline::backend::SecretStore;
use streamalert_pipeline::plugin::{Disposition, Nowhere, Outside, Parcel};

/// Stand-ins take their time for what goes from one service to another.
const PATIENCE: Duration = Duration::from_secs(30);

/// A call without a client, and without a signature that anybody looks at.
fn raw(standin: &Standin, service: &str, path: &str, target: &str, body: &Value) -> Value {
    let address = standin.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let content = if target.is_empty() { "application/json" } else { "application/x-amz-json-1.1" };
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {content}\r\nX-Amz-Target: {target}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{target}: {answer}"));
    assert!(head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')), "{target}{path}: {answer}");
    if body.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }
}

/// Alerts of one rule, with a record that says which.
fn parcels(service: &str, settings: &[(&str, &str)], count: usize, text: &str) -> Vec<Parcel> {
    let one = |number: usize| {
        let id = format!("a{number}");
        let record = json!({"n": number, "text": text});
        let alert = json!({
            "id": id, "rule_name": "every_row", "title": "A row", "severity": "high", "rule_description": "Every row.",
            "created": "2026-01-02T03:04:05.678Z", "event_time": null, "cluster": "prod", "log_source": "test:row",
            "log_type": "json", "source": {"service": "s3", "resource": "logs", "object": "a.json"},
            "position": {"offset": 0, "length": 2, "index": 0}, "outputs": [], "publishers": null, "merge": null,
            "dedup_key": null, "tags": [], "references": [], "context": {}, "record": record, "staged": false,
            "component_digest": "00", "host_version": "0", "fuel": 1,
        });
        let publication = json!({
            "id": id, "rule_name": "every_row", "title": "A row", "severity": "high", "rule_description": "Every row.",
            "created": "2026-01-02T03:04:05.678Z", "cluster": "prod", "source_service": "s3", "source_entity": "logs",
            "record": record,
        });
        Parcel {
            descriptor: "x".into(),
            idempotency_key: format!("{id}:{service}:x"),
            attempt: 1,
            now: now(),
            alert: alert.to_string(),
            publication: publication.to_string(),
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            progress: None,
        }
    };
    (0..count).map(one).collect()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn send(place: &Place, service: &str, parcels: &[Parcel]) -> Vec<Disposition> {
    let output = outputs(&place.aws, &place.names).into_iter().find(|output| output.info().service == service).unwrap();
    assert_eq!(output.validate(&parcels[0].settings).unwrap(), []);
    let outside: Arc<dyn Outside> = Arc::new(Nowhere);
    output.deliver_all(parcels, &outside).into_iter().map(Result::unwrap).collect()
}

/// All of them, and where the services have them.
fn delivered(place: &Place, service: &str, settings: &[(&str, &str)], count: usize) -> Vec<String> {
    let outcomes = send(place, service, &parcels(service, settings, count, "x"));
    let receipt = |outcome: Disposition| match outcome {
        Disposition::Delivered(receipt) => receipt.unwrap_or_default(),
        other => panic!("{service}: {other:?}"),
    };
    outcomes.into_iter().map(receipt).collect()
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Makes a queue; its URL and its ARN.
fn queue(place: &Place, name: &str) -> (String, String) {
    place.aws.wait(async {
        let made =
            place.aws.sqs.create_queue().queue_name(format!("{}-{name}", place.names.prefix)).send().await.unwrap();
        let url = made.queue_url.unwrap();
        let about = place.aws.sqs.get_queue_attributes().queue_url(&url).attribute_names("QueueArn".into());
        let about = about.send().await.unwrap().attributes.unwrap();
        (url, about[&"QueueArn".into()].clone())
    })
}

/// Bodies of so many messages.
fn received(place: &Place, url: &str, count: usize) -> Vec<Value> {
    let mut bodies: Vec<Value> = Vec::new();
    eventually(|| {
        let receive = place.aws.sqs.receive_message().queue_url(url).max_number_of_messages(10);
        for message in place.aws.wait(receive.send()).unwrap().messages.unwrap_or_default() {
            bodies.push(serde_json::from_str(message.body().unwrap()).unwrap());
            let delete = place.aws.sqs.delete_message().queue_url(url).receipt_handle(message.receipt_handle.unwrap());
            place.aws.wait(delete.send()).unwrap();
        }
        (bodies.len() >= count).then_some(())
    });
    assert_eq!(bodies.len(), count);
    bodies
}

fn numbers(records: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> = records.iter().map(|record| record["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

fn objects(place: &Place, bucket: &str, prefix: &str) -> Vec<String> {
    let bucket = Bucket::new(&place.aws, bucket);
    let keys = place.aws.wait(bucket.keys(prefix)).unwrap();
    let text =
        |key: &String| String::from_utf8(place.aws.wait(bucket.get(key)).unwrap().unwrap().bytes.into()).unwrap();
    keys.iter().map(text).collect()
}

#[test]
fn the_archive_has_each_alert_as_a_line_and_large_ones_beside() {
    for standin in standins::all() {
        let place = standin.place("out");
        place.data_bucket();
        let stream = place.archive_stream("alerts");
        delivered(&place, "aws-firehose", &[("stream", &stream)], 20);
        let large = parcels("aws-firehose", &[("stream", &stream)], 1, &"x".repeat(1100 << 10));
        assert!(matches!(send(&place, "aws-firehose", &large)[0], Disposition::Delivered(_)));
        let bucket = place.names.data_bucket();
        let lines: Vec<Value> = eventually(|| {
            let objects = objects(&place, &bucket, &format!("archive/{stream}/")).concat();
            let lines: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            (lines.len() >= 21).then_some(lines)
        });
        let (claims, plain): (Vec<Value>, Vec<Value>) =
            lines.into_iter().partition(|line| line.get("streamalert:claim").is_some());
        let records: Vec<Value> = plain.iter().map(|line| line["record"].clone()).collect();
        assert_eq!(numbers(&records), (0..20).collect::<Vec<u64>>(), "{}", standin.name);
        let key = claims[0]["streamalert:claim"]["key"].as_str().unwrap();
        let claimed = objects(&place, &bucket, key).remove(0);
        assert_eq!(claimed, large[0].publication);
        // A stream that is not there yet is waited for.
        let outcome =
            send(&place, "aws-firehose", &parcels("aws-firehose", &[("stream", "nobody-s")], 1, "x")).remove(0);
        assert!(matches!(&outcome, Disposition::Retry { reason, .. } if reason.contains("NotFound")), "{outcome:?}");
    }
}

#[test]
fn buckets_queues_and_topics_have_them() {
    for standin in standins::all() {
        let place = standin.place("out");
        let bucket = format!("{}-alerts", place.names.prefix);
        place.bucket(&bucket);
        let receipts = delivered(&place, "aws-s3", &[("bucket", &bucket)], 3);
        assert_eq!(receipts[0], format!("s3://{bucket}/alerts/dt=2026-01-02-03/s3_logs_every_row_a0.json"));
        let texts = objects(&place, &bucket, "alerts/dt=2026-01-02-03/");
        let records: Vec<Value> =
            texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["record"].clone()).collect();
        assert_eq!(numbers(&records), [0, 1, 2]);

        let (url, arn) = queue(&place, "direct");
        let name = arn.rsplit(':').next().unwrap();
        delivered(&place, "aws-sqs", &[("queue", name)], 23);
        assert_eq!(numbers(&received(&place, &url, 23)), (0..23).collect::<Vec<u64>>(), "{}", standin.name);
        delivered(&place, "aws-sqs", &[("queue", &url)], 2);
        received(&place, &url, 2);

        let (url, arn) = queue(&place, "subscribed");
        let topic = place.aws.wait(place.aws.sns.create_topic().name(format!("{}-soc", place.names.prefix)).send());
        let topic = topic.unwrap().topic_arn.unwrap();
        let filter = json!({"severity": ["high"]}).to_string();
        let subscribe = place.aws.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
        place.aws.wait(subscribe.attributes("FilterPolicy", filter).send()).unwrap();
        let receipts = delivered(&place, "aws-sns", &[("topic", &topic)], 3);
        assert!(receipts.iter().all(|receipt| !receipt.is_empty()));
        let messages = received(&place, &url, 3);
        assert!(
            messages
                .iter()
                .all(|message| message["Subject"].as_str().unwrap().starts_with("every_row triggered alert a"))
        );
        let records: Vec<Value> = messages
            .iter()
            .map(|message| {
                serde_json::from_str::<Value>(message["Message"].as_str().unwrap()).unwrap()["record"].clone()
            })
            .collect();
        assert_eq!(numbers(&records), [0, 1, 2], "{}", standin.name);
    }
}

#[test]
fn services_without_a_client_have_them() {
    for standin in standins::all() {
        let place = standin.place("out");
        let group = format!("/{}/alerts", place.names.prefix);
        raw(standin, "logs", "/", "Logs_20140328.CreateLogGroup", &json!({"logGroupName": group}));
        // The stream is made by the first of these.
        for _ in 0..2 {
            delivered(&place, "aws-cloudwatch-log", &[("log_group", &group)], 3);
        }
        let wanted = json!({"logGroupName": group, "logStreamName": "alerts", "startFromHead": true});
        let events = raw(standin, "logs", "/", "Logs_20140328.GetLogEvents", &wanted);
        let events = events["events"].as_array().unwrap().clone();
        assert_eq!(events.len(), 6, "{}", standin.name);
        let first: Value = serde_json::from_str(events[0]["message"].as_str().unwrap()).unwrap();
        assert_eq!(first["rule_name"], "every_row");

        let bus = format!("{}-security", place.names.prefix);
        raw(standin, "events", "/", "AWSEvents.CreateEventBus", &json!({"Name": bus}));
        let (url, arn) = queue(&place, "events");
        let rule =
            json!({"Name": "all", "EventBusName": bus, "EventPattern": json!({"source": ["streamalert"]}).to_string()});
        raw(standin, "events", "/", "AWSEvents.PutRule", &rule);
        let targets = json!({"Rule": "all", "EventBusName": bus, "Targets": [{"Id": "q", "Arn": arn}]});
        raw(standin, "events", "/", "AWSEvents.PutTargets", &targets);
        delivered(&place, "aws-eventbridge", &[("bus", &bus)], 12);
        let events = received(&place, &url, 12);
        assert!(events.iter().all(|event| event["detail-type"] == "StreamAlert Alert"));
        let records: Vec<Value> = events.iter().map(|event| event["detail"]["record"].clone()).collect();
        assert_eq!(numbers(&records), (0..12).collect::<Vec<u64>>(), "{}", standin.name);

        let from = "alerts@example.com";
        raw(standin, "ses", "/v2/email/identities", "", &json!({"EmailIdentity": from}));
        let receipts = delivered(&place, "aws-ses", &[("from_email", from), ("to_emails", "soc@example.com")], 2);
        assert!(receipts.iter().all(|receipt| !receipt.is_empty()), "{receipts:?}");
    }
}

#[test]
fn security_hub_has_each_finding_once() {
    // ministack has no Security Hub.
    let Some(standin) = standins::moto() else { return };
    let place = standin.place("out");
    raw(standin, "securityhub", "/accounts", "", &json!({}));
    let settings = [("account_id", "123456789012")];
    for _ in 0..2 {
        assert_eq!(delivered(&place, "aws-securityhub", &settings, 120)[119], "a119");
    }
    // It has no filters, and a hundred to a page.
    let findings = raw(standin, "securityhub", "/findings", "", &json!({"MaxResults": 100}));
    let findings: Vec<&Value> =
        findings["Findings"].as_array().unwrap().iter().filter(|finding| finding["Id"] == "a19").collect();
    assert_eq!(findings.len(), 1);
    assert_eq!((&findings[0]["Severity"]["Label"], &findings[0]["Title"]), (&json!("HIGH"), &json!("A row")));
}

#[test]
fn a_function_that_is_not_there_is_waited_for() {
    for standin in standins::all() {
        let place = standin.place("out");
        let outcome = send(&place, "aws-lambda", &parcels("aws-lambda", &[("function", "nobody-s")], 1, "x")).remove(0);
        assert!(
            matches!(&outcome, Disposition::Retry { reason, .. } if reason.contains("NotFound")),
            "{}: {outcome:?}",
            standin.name
        );
    }
}

#[test]
fn one_machine_knows_outputs_of_aws_and_says_where_they_are_delivered() {
    let world = World::new();
    let said = |arguments: &[&str]| {
        let output = world.streamalert(arguments);
        let text = [&output.stdout[..], &output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let new = ["output", "new", "aws-sqs", "soc", "--set"];
    let (code, text) = said(&[&new[..], &["queue=a queue"]].concat());
    assert!(code == Some(2) && text.contains("queue: is the name of a queue or its URL"), "{text}");
    let (code, text) = said(&[&new[..], &["queue=soc"]].concat());
    assert_eq!(code, Some(0), "{text}");
    let (_, text) = said(&["output", "list"]);
    assert!(text.contains("aws-sqs:soc") && text.contains("ready") && !text.contains("NOT READY"), "{text}");
    let (code, text) = said(&["output", "test", "aws-sqs:soc"]);
    assert!(code == Some(2) && text.contains("aws.json"), "{text}");

    world.write("in.json", rows(0..2));
    world.write("plugins/every_row.wasm", every_row_to("aws-sqs:soc"));
    let (code, text) = said(&["run", "--input", "in.json"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("warning: output aws-sqs:soc is not ready: it is delivered where StreamAlert runs on AWS"),
        "{text}"
    );
    assert!(text.contains("2 given up"), "{text}");
    let (_, text) = said(&["alerts", "list", "--state", "dead"]);
    assert!(text.lines().count() == 2 && text.contains("and this is one machine"), "{text}");
}

#[test]
fn an_output_of_aws_is_tried_by_the_way_of_the_installation() {
    for standin in standins::all() {
        let place = standin.place("tried");
        let (url, _) = queue(&place, "soc");
        let world = World::new();
        let settings = json!({"prefix": place.names.prefix, "endpoint": standin.endpoint, "region": "us-east-1"});
        world.write("conf/aws.json", settings.to_string());
        world.write("conf/outputs.json", json!({"aws-sqs": {"soc": {"settings": {"queue": url}}}}).to_string());
        let mut test = world.command(&["output", "test", "aws-sqs:soc"]);
        let output = test.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("delivered to aws-sqs:soc"), "{}: {said}", standin.name);
        assert_eq!(received(&place, &url, 1)[0]["message"], "a test");
    }
}

/// Answers each request with 200, and keeps the bodies.
fn hook() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 16 << 10];
            loop {
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .to_lowercase()
                        .lines()
                        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        let _ = send.send(body.to_owned());
                        break;
                    }
                }
                match stream.read(&mut part).unwrap_or(0) {
                    0 => break,
                    bytes => request.extend(&part[..bytes]),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, receive)
}

#[test]
fn credentials_of_outputs_lie_in_the_parameters_of_the_installation() {
    for standin in standins::all() {
        let place = standin.place("credentials");
        let (address, told) = hook();
        let world = World::new();
        std::fs::copy(crate::deliveries::component("webhook"), world.at("plugins/webhook.wasm")).unwrap();
        let settings = json!({"prefix": place.names.prefix, "endpoint": standin.endpoint, "region": "us-east-1"});
        world.write("conf/aws.json", settings.to_string());
        world.write(
            "secrets.json",
            json!({"url": format!("http://{address}/made"), "signing_key": "hunter2-hunter2"}).to_string(),
        );
        let said = |arguments: &[&str]| {
            let mut command = world.command(arguments);
            let output =
                command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!text.contains("hunter2"), "{text}");
            (output.status.code(), text)
        };
        let host = format!("http://{address}");
        let (code, text) = said(&[
            "output",
            "new",
            "webhook",
            "made",
            "--aws",
            "--secrets-from",
            "secrets.json",
            "--host",
            &host,
            "--private-networks",
        ]);
        assert!(code == Some(0) && text.contains("streamalert push --conf --config conf"), "{}: {text}", standin.name);
        let secrets = streamalert_aws::secrets::SsmSecrets::new(place.aws.clone(), &place.names);
        assert_eq!(secrets.get("webhook:made").unwrap()["signing_key"], "hunter2-hunter2", "{}", standin.name);
        assert!(!world.at("data/secrets.json").exists(), "nothing of it stays here");
        let (_, text) = said(&["output", "list", "--aws"]);
        assert!(text.contains("webhook:made") && !text.contains("NOT READY"), "{}: {text}", standin.name);
        let (code, text) = said(&["output", "test", "webhook:made", "--aws", "conf"]);
        assert_eq!(code, Some(0), "{}: {text}", standin.name);
        assert!(told.recv_timeout(PATIENCE).unwrap().contains("a test"));
        // The machine's own file has nothing of it, and says where it looks.
        let (_, text) = said(&["output", "list"]);
        assert!(text.contains("url is missing (or the variable STREAMALERT_SECRET_WEBHOOK_MADE_URL)"), "{text}");
        let (code, text) = said(&["output", "delete", "webhook:made", "--aws"]);
        assert_eq!(code, Some(0), "{}: {text}", standin.name);
        assert!(secrets.get("webhook:made").unwrap().is_empty(), "{}", standin.name);
        let (code, text) = said(&["output", "list", "--aws", "nowhere"]);
        assert!(code == Some(2) && text.contains("nowhere"), "{text}");
    }
}
