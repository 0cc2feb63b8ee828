//! Alerts of an installation on a stand-in through the functions that merge and deliver them, run here in this process.

use crate::fault_proxy::{Fault, FaultProxy};
use crate::installation::{Installation, invoke, invoke_within};
use crate::run_world::World;
use crate::standins::{self, Standin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_delivery::store;
use streamalert_lambdas::outputs::on_aws;
use streamalert_pipeline::alert::{Alert, Merge};
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, DeliveryState};
use streamalert_pipeline::config::Outputs;
use streamalert_pipeline::time::{Millis, rfc3339};

const MINUTE: Millis = 60_000;

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis
}

fn alert(id: &str, outputs: &[&str]) -> Alert {
    let alert = json!({
        "id": id, "rule_name": "every_row", "title": "A row", "severity": "high", "rule_description": "Every row.",
        "created": rfc3339(now()), "event_time": null, "cluster": "prod", "log_source": "test:row",
        "log_type": "json", "source": {"service": "s3", "resource": "logs", "object": "a.json"},
        "position": {"offset": 0, "length": 2, "index": 0}, "outputs": outputs, "publishers": null, "merge": null,
        "dedup_key": null, "tags": [], "references": [], "context": {}, "record": {"id": id, "user": "bob"},
        "staged": false, "component_digest": "00", "host_version": "0", "fuel": 1,
    });
    serde_json::from_value(alert).unwrap()
}

/// An installation with queues as outputs.
struct Stage {
    installation: Installation,
    table: DynamoAlerts,
    outputs: Outputs,
    queues: BTreeMap<String, String>,
}

impl Stage {
    /// `queues` are made, and are outputs `aws-sqs:<name>`; what is in `more` is configured beside them.
    fn new(standin: &Standin, queues: &[&str], more: &Value, stream: Option<&str>) -> Stage {
        let mut installation = Installation::new(standin, "alerts");
        // What is uploaded counts at once, however slow the stand-in is.
        installation.variables.insert("STREAMALERT_REFRESH_MS", "30000".into());
        let mut outputs = more.clone();
        let mut urls = BTreeMap::new();
        for name in queues {
            let url = installation.queue(name);
            outputs["aws-sqs"][*name] = json!({"settings": {"queue": url}});
            urls.insert((*name).to_owned(), url);
        }
        installation.put_rules("conf/outputs.json", outputs.to_string());
        if let Some(stream) = stream {
            let stream = installation.place.archive_stream(stream);
            installation.variables.insert("STREAMALERT_ALERTS_STREAM", stream);
        }
        let stream = installation.variables.get("STREAMALERT_ALERTS_STREAM").cloned();
        Stage {
            table: DynamoAlerts::new(installation.place.aws.clone(), &installation.place.names),
            outputs: on_aws(&Outputs::read("outputs.json", &outputs.to_string()).unwrap(), stream.as_deref()),
            queues: urls,
            installation,
        }
    }

    fn raise(&self, mut alerts: Vec<Alert>, at: Millis) {
        store(&self.table, &self.outputs, &mut alerts, at, |_, _| {}).unwrap();
    }

    /// Ids of the records that came to a queue, and how many records each message stands for.
    fn came(&self, name: &str) -> Vec<(String, u64)> {
        let url = &self.queues[name];
        let mut all = Vec::new();
        while let Some(event) = self.installation.receive(url, 10) {
            for message in event["Records"].as_array().unwrap() {
                let record: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
                let id = record["id"].as_str().unwrap_or_default().to_owned();
                all.push((id, record["AlertCount"].as_u64().unwrap_or(1)));
            }
            self.installation.delete(url, &event, &json!({}));
        }
        all.sort();
        all
    }

    fn states(&self, output: &str) -> Vec<(String, DeliveryState)> {
        let filter = DeliveryFilter { output: Some(output.into()), ..DeliveryFilter::default() };
        let mut states: Vec<(String, DeliveryState)> =
            self.table.deliveries(&filter, 100).unwrap().into_iter().map(|one| (one.alert_id, one.state)).collect();
        states.sort();
        states
    }
}

#[test]
fn the_processor_delivers_what_it_is_woken_for_and_all_that_is_due() {
    for standin in standins::all() {
        let stage = Stage::new(standin, &["soc", "other"], &json!({}), Some("alerts"));
        let processor = stage.installation.function("alert_processor");
        stage.raise((0..20).map(|n| alert(&format!("a{n:02}"), &["aws-sqs:soc", "aws-sqs:other"])).collect(), now());
        let woken = json!({"outputs": ["aws-sqs:soc"], "alerts": ["a00"]});
        let answer = invoke(&processor, &woken).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:soc"]["delivered"], 20, "{}: {answer}", standin.name);
        assert_eq!(answer["outputs"]["aws-sqs:soc"]["ended"], "done");
        assert_eq!((stage.came("soc").len(), stage.came("other").len()), (20, 0));
        // A schedule's event names nothing, and is for all: the archive is among the outputs of every alert.
        let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        let answer = invoke(&processor, &schedule).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:other"]["delivered"], 20);
        assert_eq!(answer["outputs"]["aws-firehose:alerts"]["delivered"], 20);
        assert_eq!(stage.came("other").len(), 20);
        let stream = &stage.installation.variables["STREAMALERT_ALERTS_STREAM"];
        let archived = stage.installation.archived(stream);
        let ids: Vec<&str> = archived.iter().map(|line| line["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 20, "{ids:?}");
        assert!(archived.iter().all(|line| line["rule_name"] == "every_row" && line["record"]["user"] == "bob"));
        assert_eq!(invoke(&processor, &json!({})).unwrap(), json!({"outputs": {}}));
    }
}

#[test]
fn an_output_that_is_down_or_gone_holds_up_no_other() {
    for standin in standins::all() {
        let more = json!({"aws-sqs": {"down": {"settings": {"queue": "nobody-s"}}}});
        let stage = Stage::new(standin, &["soc", "later"], &more, None);
        let processor = stage.installation.function("alert_processor");
        stage.raise(
            (0..5).map(|n| alert(&format!("a{n}"), &["aws-sqs:down", "aws-sqs:soc", "aws-sqs:later"])).collect(),
            now(),
        );
        let all = json!({"outputs": ["aws-sqs:down", "aws-sqs:soc", "aws-sqs:typo"]});
        let answer = invoke(&processor, &all).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:soc"]["delivered"], 5, "{answer}");
        let down = &answer["outputs"]["aws-sqs:down"];
        assert_eq!((&down["delivered"], &down["dead"]), (&json!(0), &json!(0)), "{answer}");
        assert!(down["retried"].as_u64().unwrap() >= 5 && down["next"].as_i64().unwrap() > 0);
        assert_eq!(answer["outputs"]["aws-sqs:typo"]["ended"], "unknown");
        assert!(stage.states("aws-sqs:down").iter().all(|(_, state)| *state == DeliveryState::Owed));
        // An output that is taken out of the configuration keeps what is owed to it, and gets it when it is back.
        stage.installation.put_rules("conf/outputs.json", "{}");
        let answer = invoke(&processor, &json!({"outputs": ["aws-sqs:later"]})).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:later"]["ended"], "unknown", "{}: {answer}", standin.name);
        let with = json!({"aws-sqs": {"later": {"settings": {"queue": stage.queues["later"]}}}});
        stage.installation.put_rules("conf/outputs.json", with.to_string());
        let answer = invoke(&processor, &json!({"outputs": ["aws-sqs:later"]})).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:later"]["delivered"], 5, "{answer}");
    }
}

#[test]
fn a_function_with_too_little_time_delivers_nothing_and_loses_nothing() {
    let Some(standin) = standins::ministack() else { return };
    let stage = Stage::new(standin, &["soc"], &json!({}), None);
    let processor = stage.installation.function("alert_processor");
    stage.raise(vec![alert("a1", &["aws-sqs:soc"])], now());
    // One attempt may take 30 s.
    let answer = invoke_within(&processor, &json!({}), Duration::from_secs(20)).unwrap();
    assert_eq!(answer["outputs"]["aws-sqs:soc"]["ended"], "late");
    assert_eq!(invoke(&processor, &json!({})).unwrap()["outputs"]["aws-sqs:soc"]["delivered"], 1);
    assert_eq!(stage.came("soc"), [("a1".to_owned(), 1)]);
}

#[test]
fn the_merger_folds_what_is_due_and_wakes_the_processor_for_it() {
    for standin in standins::all() {
        let stage = Stage::new(standin, &["soc"], &json!({}), None);
        let merge = |minutes| Some(Merge::new(["user"], minutes));
        let of = |id: &str, merge| Alert { merge, ..alert(id, &["aws-sqs:soc"]) };
        // One group's window is over, the other's is not.
        stage.raise((0..70).map(|n| of(&format!("old {n:02}"), merge(1))).collect(), now() - 2 * MINUTE);
        stage.raise((0..3).map(|n| of(&format!("new {n}"), merge(60))).collect(), now());
        let merger = stage.installation.function("alert_merger");
        let answer = invoke(&merger, &json!({"detail-type": "Scheduled Event"})).unwrap();
        assert_eq!(answer["woken"], json!(["aws-sqs:soc"]), "{}: {answer}", standin.name);
        assert!(answer["groups"].as_u64().unwrap() >= 2, "50 are the most of one merged alert: {answer}");
        let processor = stage.installation.function("alert_processor");
        let answer = invoke(&processor, &json!({"outputs": ["aws-sqs:soc"]})).unwrap();
        assert_eq!(answer["outputs"]["aws-sqs:soc"]["delivered"], 2, "{answer}");
        let mut counts: Vec<u64> = stage.came("soc").into_iter().map(|(_, count)| count).collect();
        counts.sort_unstable();
        assert_eq!(counts, [20, 50]);
        let again = invoke(&merger, &json!({})).unwrap();
        assert_eq!(again, json!({"groups": 0, "woken": []}), "{}", standin.name);
        assert_eq!(stage.table.backlog().unwrap().len(), 0);
    }
}

#[test]
fn a_group_that_cannot_be_read_now_holds_up_no_other() {
    let Some(standin) = standins::ministack() else { return };
    let stage = Stage::new(standin, &["soc"], &json!({}), None);
    let of = |id: &str, user: &str, text: &str| Alert {
        merge: Some(Merge::new(["user"], 1)),
        record: json!({"id": id, "user": user, "text": text}).into(),
        ..alert(id, &["aws-sqs:soc"])
    };
    // Of the oldest group, one lies in S3, as it is too large for the table.
    let large = crate::aws_records::noise(1, 700_000);
    stage.raise(vec![of("a1", "ann", &large), of("a2", "ann", "")], now() - 3 * MINUTE);
    stage.raise(vec![of("b1", "bob", ""), of("b2", "bob", "")], now() - 2 * MINUTE);
    let proxy = FaultProxy::start(&standin.endpoint);
    let mut installation = stage.installation.through(&proxy.connection());
    installation.variables.insert("STREAMALERT_REFRESH_SECONDS", "10000".into());
    let merger = installation.function("alert_merger");
    proxy.next("S3.GetObject", 10_000, Fault::Broken);
    let error = invoke(&merger, &json!({})).unwrap_err();
    assert!(error.contains("merging failed"), "{error}");
    let processor = stage.installation.function("alert_processor");
    invoke(&processor, &json!({"outputs": ["aws-sqs:soc"]})).unwrap();
    assert_eq!(stage.came("soc").iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2], "the other group");
    // When it can be read again, it is told of.
    let answer = invoke(&stage.installation.function("alert_merger"), &json!({})).unwrap();
    assert_eq!(answer["woken"], json!(["aws-sqs:soc"]), "{answer}");
    invoke(&processor, &json!({"outputs": ["aws-sqs:soc"]})).unwrap();
    assert_eq!(stage.came("soc").len(), 1);
}

#[test]
fn what_is_due_again_is_told_though_nobody_can_be_woken_for_it() {
    let Some(standin) = standins::ministack() else { return };
    let stage = Stage::new(standin, &["soc"], &json!({}), None);
    stage.raise(vec![alert("a1", &["aws-sqs:soc"]), alert("a2", &["aws-sqs:soc"])], now());
    let world = World::new();
    let settings = json!({"prefix": stage.installation.place.names.prefix, "region": "us-east-1",
        "endpoint": standin.endpoint, "path_style": true});
    world.write("conf/aws.json", settings.to_string());
    let mut command = world.command(&["alerts", "retry", "--all", "--aws"]);
    let output = command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 deliveries are due again; the alert merger's next round delivers them"), "{said}");
    assert!(said.contains("could not be woken"), "{said}");
}

#[test]
fn news_of_the_table_s_stream_wake_the_processor_and_never_come_again() {
    let Some(standin) = standins::ministack() else { return };
    let stage = Stage::new(standin, &["soc"], &json!({}), None);
    let merger = stage.installation.counted().function("alert_merger");
    let record = |kind: &str, part: &str, queue: &str| {
        json!({"eventSource": "aws:dynamodb", "eventName": kind, "dynamodb": {
            "Keys": {"id": {"S": "a1"}, "part": {"S": part}}, "SequenceNumber": "1",
            "NewImage": {"queue": {"S": queue}, "due": {"N": "1"}},
        }})
    };
    let records = json!({"Records": [
        record("INSERT", "to aws-sqs:soc", "owed aws-sqs:soc"), record("MODIFY", "to aws-sqs:soc", "owed aws-sqs:soc"),
        record("INSERT", "alert", ""), {"eventSource": "aws:kinesis"}, 7,
    ]});
    // There is no processor to be woken: that is told, and harms nobody.
    assert_eq!(invoke(&merger, &records).unwrap(), json!({"batchItemFailures": []}));
    let before = stage.installation.place.aws.calls.counts()["Lambda.Invoke"];
    assert!(before >= 1);
    let nothing = json!({"Records": [record("INSERT", "to aws-sqs:soc", "waiting aws-sqs:soc")]});
    assert_eq!(invoke(&merger, &nothing).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(stage.installation.place.aws.calls.counts()["Lambda.Invoke"], before);
}
