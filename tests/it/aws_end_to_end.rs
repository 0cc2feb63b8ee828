//! The real `bootstrap` behind the services of a stand-in: objects in a bucket become messages at a webhook of Slack.

use crate::installation::{CODE_KEY, Installation};
use crate::run_world::{World, every_row_with};
use crate::standins::{self, Standin, call_log};
use crate::vendors::Vendors;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, Environment, FunctionCode, FunctionResponseType, InvocationType, Runtime};
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, SecretStore};

/// What takes longer than that on a busy machine does not happen.
const PATIENCE: Duration = Duration::from_secs(180);
/// How soon a rule is to be live after it was uploaded.
const LIVE_WITHIN: Duration = Duration::from_secs(15);

/// `bootstrap` of the same build as this test.
fn bootstrap() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("bootstrap");
    assert!(program.is_file(), "{} is missing: `cargo build --workspace --bins`", program.display());
    program
}

/// As good as the program itself, which has a hundred megabytes in a build for tests.
fn zip() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("bootstrap", options).unwrap();
    write!(zip, "#!/bin/sh\nexec {}\n", bootstrap().display()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// An installation whose functions are deployed, and wired as they are on AWS.
struct Deployed {
    installation: Installation,
    /// Where logs are put.
    logs: String,
}

impl Deployed {
    fn new(standin: &Standin, name: &str, variables: &[(&str, &str)]) -> Self {
        let installation = Installation::new(standin, name);
        let deployed = Deployed { logs: format!("{}-logs", installation.place.names.prefix), installation };
        let Deployed { installation, logs } = &deployed;
        let place = &installation.place;
        place.bucket(logs);
        let zip = zip();
        for stage in ["classifier", "rules_engine", "alert_merger", "alert_processor", "plugin_compiler"] {
            deployed.deploy(standin, stage, &zip, variables);
        }
        let input = deployed.queue("input");
        let uploads = deployed.queue("uploads");
        deployed.notifies(logs, &input.1, &[""]);
        deployed.notifies(&place.names.rules_bucket(), &uploads.1, &["plugins/", "conf/"]);
        deployed.feeds(&input.1, "classifier", 10);
        deployed.feeds(&uploads.1, "plugin_compiler", 10);
        let records = deployed.arn(&installation.records);
        deployed.feeds(&records, "rules_engine", 10);
        deployed
    }

    fn deploy(&self, standin: &Standin, stage: &str, zip: &[u8], more: &[(&str, &str)]) {
        let place = &self.installation.place;
        let mut variables: BTreeMap<String, String> = BTreeMap::from([
            ("STREAMALERT_FUNCTION".to_owned(), stage.to_owned()),
            ("STREAMALERT_PREFIX".to_owned(), place.names.prefix.clone()),
            ("STREAMALERT_CODE_KEY".to_owned(), CODE_KEY.to_owned()),
            ("STREAMALERT_S3_PATH_STYLE".to_owned(), "true".to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), call_log::endpoint(&standin.endpoint, &place.names.prefix, stage)),
        ]);
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let create = place.aws.lambda.create_function().function_name(place.names.function(stage));
        let create = create
            .runtime(Runtime::Providedal2023)
            .architectures(Architecture::X8664)
            .handler("bootstrap")
            .role(format!("arn:aws:iam::{}:role/functions", self.account()))
            .timeout(60)
            .memory_size(512)
            .environment(Environment::builder().set_variables(Some(variables.into_iter().collect())).build())
            .code(FunctionCode::builder().zip_file(Blob::new(zip)).build());
        place.aws.wait(create.send()).unwrap();
    }

    /// Whose installation it is: stand-ins have accounts of their own.
    fn account(&self) -> String {
        self.arn(&self.installation.records).split(':').nth(4).unwrap().to_owned()
    }

    /// URL and ARN.
    fn queue(&self, what: &str) -> (String, String) {
        let place = &self.installation.place;
        let create = place.aws.sqs.create_queue().queue_name(format!("{}-{what}", place.names.prefix));
        let url = place.aws.wait(create.send()).unwrap().queue_url.unwrap();
        let arn = self.arn(&url);
        (url, arn)
    }

    fn arn(&self, url: &str) -> String {
        use aws_sdk_sqs::types::QueueAttributeName::QueueArn;
        let about = self.installation.place.aws.sqs.get_queue_attributes().queue_url(url).attribute_names(QueueArn);
        self.installation.place.aws.wait(about.send()).unwrap().attributes.unwrap().remove(&QueueArn).unwrap()
    }

    fn notifies(&self, bucket: &str, queue: &str, prefixes: &[&str]) {
        use aws_sdk_s3::types::{FilterRule, FilterRuleName, NotificationConfigurationFilter, S3KeyFilter};
        let configurations = prefixes.iter().map(|prefix| {
            let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(*prefix).build();
            let filter = S3KeyFilter::builder().filter_rules(rule).build();
            QueueConfiguration::builder()
                .queue_arn(queue)
                .events(Event::S3ObjectCreated)
                .events(Event::S3ObjectRemoved)
                .filter(NotificationConfigurationFilter::builder().key(filter).build())
                .build()
                .unwrap()
        });
        let configuration =
            NotificationConfiguration::builder().set_queue_configurations(Some(configurations.collect()));
        let put = self.installation.place.aws.s3.put_bucket_notification_configuration().bucket(bucket);
        let put = put.notification_configuration(configuration.build());
        self.installation.place.aws.wait(put.send()).unwrap();
    }

    fn feeds(&self, queue: &str, stage: &str, batch: i32) {
        let place = &self.installation.place;
        let map = place.aws.lambda.create_event_source_mapping().event_source_arn(queue);
        let map = map
            .function_name(place.names.function(stage))
            .batch_size(batch)
            .function_response_types(FunctionResponseType::ReportBatchItemFailures);
        place.aws.wait(map.send()).unwrap();
    }

    fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let aws = &self.installation.place.aws;
        let put = aws.s3.put_object().bucket(&self.logs).key(key).body(bytes.into().into());
        aws.wait(put.send()).unwrap();
    }

    /// The answer of a function.
    fn invoke(&self, stage: &str, event: &Value) -> Value {
        let place = &self.installation.place;
        let invoke = place.aws.lambda.invoke().function_name(place.names.function(stage));
        let invoke = invoke.invocation_type(InvocationType::RequestResponse).payload(Blob::new(event.to_string()));
        let answer = place.aws.wait(invoke.send()).unwrap();
        let text = answer.payload.map(|payload| payload.into_inner()).unwrap_or_default();
        assert_eq!(answer.function_error, None, "{stage}: {}", String::from_utf8_lossy(&text));
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// Waits until it is so.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(now) => assert!(begun.elapsed() < PATIENCE, "{what} does not happen: {now}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn component(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/example-rules").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `make guests` builds it", path.display()))
}

/// 10,000 records of CloudTrail as it writes them, every hundredth of which stops the trail itself.
fn cloudtrail() -> Vec<u8> {
    let record = |n: u64| {
        let name = if n.is_multiple_of(100) { "StopLogging" } else { "DescribeInstances" };
        json!({
            "eventVersion": "1.08", "eventTime": "2026-01-02T03:04:05Z", "eventSource": "cloudtrail.amazonaws.com",
            "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli",
            "userIdentity": {"type": "IAMUser", "userName": format!("user-{n}"), "accountId": "123456789012",
                "arn": "arn:aws:iam::123456789012:user/someone", "principalId": "AIDAEXAMPLE"},
            "requestParameters": {"name": "trail"}, "responseElements": null, "requestID": format!("{n:08}"),
            "eventID": format!("{n:08}-0000"), "eventType": "AwsApiCall", "recipientAccountId": "123456789012",
            "readOnly": false, "managementEvent": true, "eventCategory": "Management"
        })
    };
    let document = json!({"Records": (0..10_000).map(record).collect::<Vec<_>>()}).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(document.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn an_object_of_cloudtrail_becomes_messages_in_slack_and_lines_in_the_archive() {
    let Some(standin) = standins::ministack() else { return };
    let deployed = Deployed::new(
        standin,
        "whole",
        &[("STREAMALERT_ARCHIVE_LOGS", "cloudtrail"), ("STREAMALERT_REFRESH_SECONDS", "1")],
    );
    let installation = &deployed.installation;
    let stream = installation.place.archive_stream("cloudtrail:events");
    let vendors = Vendors::start();
    let host = format!("http://127.0.0.1:{}", vendors.port());
    let outputs = json!({
        "slack": {"security": {"hosts": [host], "private_networks": true, "rate": 1000.0}},
        "defaults": [{"outputs": ["slack:security"], "always": true}]
    });
    let secrets = SsmSecrets::new(installation.place.aws.clone(), &installation.place.names);
    let url = format!("{}/services/T0/B0/x", vendors.url("slack"));
    secrets.put("slack:security", &BTreeMap::from([("url".to_owned(), url)])).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/schemas/cloudtrail.json");
    installation.put_rules("conf/schemas/cloudtrail.json", std::fs::read(schema).unwrap());
    installation.put_rules("conf/outputs.json", outputs.to_string());
    installation.put_rules("plugins/slack.wasm", component("slack"));
    installation.put_rules("plugins/aws_defense_evasion.wasm", component("aws_defense_evasion"));
    until("all of it is live", || {
        let verdicts = installation.verdicts();
        let live = |name: &str| verdicts.contains(name) && verdicts.matches("\"live\"").count() >= 2;
        if live("slack.wasm") && live("aws_defense_evasion.wasm") { Ok(()) } else { Err(verdicts) }
    });
    // Functions that were started by notices of the set-up look again within a second.
    std::thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    deployed.put("AWSLogs/1/CloudTrail/us-east-1/2026/01/02/a.json.gz", cloudtrail());
    let expected = 100;
    let told = until("every alert is delivered", || {
        let kept = vendors.kept("slack");
        if kept.len() >= expected {
            return Ok(kept.len());
        }
        let table = DynamoAlerts::new(installation.place.aws.clone(), &installation.place.names);
        let owed = table.deliveries(&DeliveryFilter::default(), 1).unwrap();
        let (alerts, letters) = (installation.alerts().len(), installation.letters());
        let last = vendors.faults("slack");
        Err(format!(
            "{} of {expected} messages, {alerts} alerts, {:?}, {:?}, {last:?}",
            kept.len(),
            letters.first(),
            owed
        ))
    });
    println!(
        "10,000 records and {expected} alerts took {:.1} s from the object to the last message",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(told, expected, "some were told twice");
    let alerts = installation.alerts();
    assert_eq!(alerts.len(), expected);
    assert!(
        alerts.iter().all(
            |alert| alert.rule_name == alerts[0].rule_name && alert.outputs.iter().any(|to| to == "slack:security")
        )
    );
    assert!(installation.letters().is_empty(), "{:?}", installation.letters().first());
    let lines = until("the archive has all records", || {
        let lines = installation.archived(&stream);
        if lines.len() >= 10_000 { Ok(lines) } else { Err(format!("{} lines", lines.len())) }
    });
    let ids: BTreeSet<&str> = lines.iter().map(|line| line["eventid"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), ids.len()), (10_000, 10_000));
    an_operator_looks(standin, &deployed);
}

/// What `streamalert … --aws` shows and does.
fn an_operator_looks(standin: &Standin, deployed: &Deployed) {
    let installation = &deployed.installation;
    let world = World::new();
    let settings = json!({"prefix": installation.place.names.prefix, "region": "us-east-1", "endpoint": standin.endpoint, "path_style": true});
    world.write("conf/aws.json", settings.to_string());
    let run = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        let output = command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), said)
    };
    let (code, alerts, said) = run(&["alerts", "list", "--aws", "--limit", "1000", "--output", "json"]);
    assert_eq!((code, alerts.lines().count()), (Some(0), 100), "{said}");
    let id = serde_json::from_str::<Value>(alerts.lines().next().unwrap()).unwrap()["id"].as_str().unwrap().to_owned();
    let (_, shown, said) = run(&["alerts", "show", &id, "--aws"]);
    assert!(shown.contains("slack:security  delivered"), "{shown}{said}");
    let (code, _, said) = run(&["alerts", "retry", "--aws", "--state", "dead"]);
    assert_eq!((code, said.contains("are due again")), (Some(0), true), "{said}");

    // A line that is nothing becomes a letter, which an operator sees, tries again and drops.
    deployed.put("broken.json", "no json\n");
    let letter = until("the letter is there", || {
        let (_, letters, said) = run(&["dead", "list", "--aws", "--output", "json"]);
        letters.lines().next().map(str::to_owned).ok_or(said)
    });
    let id = serde_json::from_str::<Value>(&letter).unwrap()["id"].as_str().unwrap().to_owned();
    let (code, shown, _) = run(&["dead", "show", &id, "--aws"]);
    assert!(code == Some(0) && shown.contains("not_json") && shown.contains("broken.json"), "{shown}");
    let (code, _, said) = run(&["dead", "resend", &id, "--aws"]);
    assert!(code == Some(1) && said.contains(&format!("{id} stays")), "{said}");
    let (code, _, said) = run(&["dead", "drop", "--all", "--aws"]);
    assert_eq!((code, said.contains("1 dropped")), (Some(0), true), "{said}");
    assert!(installation.letters().is_empty());

    // One function by hand.
    world.write("event.json", json!({"Records": []}).to_string());
    let (code, answer, said) = run(&["invoke", "classifier", "event.json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
    assert_eq!((code, answer), (Some(0), json!({"batchItemFailures": []})), "{said}");
    let (code, answer, said) = run(&["invoke", "alert_merger"]);
    assert!(code == Some(0) && answer.contains("groups"), "{answer}{said}");
    let (code, _, said) = run(&["invoke", "rules_engine", "event.json"]);
    assert!(code == Some(1) && said.contains("without messages"), "{said}");
    std::fs::remove_file(world.at("conf/aws.json")).unwrap();
    let (code, _, said) = run(&["dead", "list", "--aws"]);
    assert!(code == Some(2) && said.contains("aws.json"), "{said}");
}

#[test]
fn a_rule_replaced_in_mid_stream_is_live_within_seconds_and_each_record_is_judged_once() {
    let Some(standin) = standins::ministack() else { return };
    let deployed = Deployed::new(standin, "replaced", &[]);
    let installation = &deployed.installation;
    let rule = |severity: &str| every_row_with(&json!({"severity": severity, "outputs": []}).to_string());
    installation.put_rules("plugins/every_row.wasm", rule("low"));
    until("the rule is live", || {
        let verdicts = installation.verdicts();
        if verdicts.contains("every_row.wasm") { Ok(()) } else { Err(verdicts) }
    });
    let mut count = 0u64;
    let mut replaced = None;
    let mut live_after = None;
    let begun = Instant::now();
    // An object of ten rows every fifth of a second, before and after.
    while live_after.is_none() || begun.elapsed() < Duration::from_secs(8) {
        let rows: String = (count..count + 10).map(|n| format!("{{\"n\": {n}}}\n")).collect();
        deployed.put(&format!("{count}.json"), rows);
        count += 10;
        if replaced.is_none() && begun.elapsed() > Duration::from_secs(3) {
            installation.put_rules("plugins/every_row.wasm", rule("critical"));
            replaced = Some(Instant::now());
        }
        if let Some(at) = replaced
            && live_after.is_none()
        {
            let new = installation.alerts().iter().any(|alert| alert.severity.name() == "critical");
            if new {
                live_after = Some(at.elapsed());
            }
            assert!(at.elapsed() < PATIENCE, "the new version is never live");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let alerts = until("every row is judged", || {
        let alerts = installation.alerts();
        if alerts.len() as u64 >= count { Ok(alerts) } else { Err(format!("{} of {count}", alerts.len())) }
    });
    assert_eq!(installation.alerted(), (0..count).collect::<Vec<_>>(), "each once");
    let versions: BTreeSet<(&str, &str)> =
        alerts.iter().map(|alert| (alert.severity.name(), alert.component_digest.as_str())).collect();
    assert_eq!(versions.len(), 2, "{versions:?}");
    let live_after = live_after.unwrap();
    println!("the new version judged its first record {:.1} s after it was uploaded", live_after.as_secs_f64());
    assert!(live_after < LIVE_WITHIN, "{live_after:?}");
    let _ = deployed.invoke("alert_merger", &json!({}));
}
