//! New objects of the archive become partitions: on stand-ins, and on a catalog that refuses, fails and dies as a test says.

use crate::installation::{Installation, by_queue, failed, invoke, invoke_within, notice};
use crate::run_world::Dice;
use crate::scripted::{self, Answer, Request};
use crate::standins::{self, Place, RUNTIME};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streamalert_aws::glue::{Glue, parquet_table};
use streamalert_aws::{Aws, Names};
use streamalert_lambdas::environment::Environment;
use streamalert_lambdas::function::{Function, make};
use streamalert_pipeline::archive::Column;

fn column(name: &str) -> Column {
    Column { name: name.into(), kind: "string".into(), key: None }
}

/// A table of the archive bucket.
fn table(place: &Place, name: &str, projected: bool) {
    let glue = Glue::new(&place.aws, &place.names);
    place.aws.wait(glue.create_database("of a test")).unwrap();
    let location = format!("s3://{}/{name}/", place.names.archive_bucket());
    let input = parquet_table(name, &location, &[column("x")], projected);
    assert!(place.aws.wait(glue.create_table(&input)).unwrap());
}

fn partitions(place: &Place, name: &str) -> BTreeMap<String, String> {
    let glue = Glue::new(&place.aws, &place.names);
    let known = place.aws.wait(glue.partitions(name)).unwrap();
    let count = known.len();
    let known: BTreeMap<String, String> =
        known.into_iter().map(|partition| (partition.values.join("/"), partition.location)).collect();
    assert_eq!(known.len(), count, "none twice");
    known
}

fn calls(place: &Place) -> u64 {
    place.aws.calls.counts().iter().filter(|(name, _)| name.starts_with("Glue.")).map(|(_, count)| count).sum()
}

#[test]
fn objects_become_partitions_however_they_are_announced_and_however_often() {
    for standin in standins::all() {
        let installation = Installation::new(standin, "partitions").counted();
        let place = &installation.place;
        let bucket = place.names.archive_bucket();
        for name in ["test_row", "old_json", "alerts"] {
            table(place, name, false);
        }
        table(place, "projected", true);
        let function = installation.function("athena_partitioner");
        let at = |key: &str| notice(&bucket, key, 9);
        let bridge = json!({"detail-type": "Object Created", "source": "aws.s3", "id": "e", "region": "us-east-1",
            "detail": {"bucket": {"name": bucket}, "object": {"key": "test_row/dt=2026-01-02-05/a b.parquet", "size": 8}}});
        let test_event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket});
        let removed = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete",
            "s3": {"bucket": {"name": bucket}, "object": {"key": "test_row/dt=2026-01-09-09/a", "size": 8}}}]});
        let sns = json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:0:t",
            "Message": at("alerts/dt=2026-01-02-03/a.parquet").to_string()});
        let bodies = [
            at("test_row/dt=2026-01-02-03/a.parquet"),
            at("test_row/dt=2026-01-02-03/b.parquet"),
            at("test_row/dt%3D2026-01-02-04/x.parquet".replace("%3D", "=").as_str()),
            bridge,
            sns,
            at("old_json/2026/01/02/03/a.gz"),
            at("projected/dt=2026-01-02-03/a.parquet"),
            test_event.clone(),
            removed,
            at("test_row/dt=2026-01-02-06_$folder$"),
            at("test_row/dt=2026-13-02-06/a"),
            at("nobody/dt=2026-01-02-03/a.parquet"),
            // The table lies elsewhere.
            at("parquet/test_row/dt=2026-01-02-07/a.parquet"),
            notice("another-bucket", "test_row/dt=2026-01-02-08/a.parquet", 9),
            at("claims/archive/ab"),
            json!("no envelope"),
        ];
        let records: Vec<Value> = bodies.iter().enumerate().map(|(n, body)| by_queue(&format!("m{n}"), body)).collect();
        let event = json!({ "Records": records });
        assert!(failed(&invoke(&function, &event).unwrap()).is_empty(), "{}", standin.name);
        let expect = |name: &str, expected: &[(&str, &str)]| {
            let expected: BTreeMap<String, String> =
                expected.iter().map(|(dt, at)| ((*dt).into(), format!("s3://{bucket}/{at}"))).collect();
            assert_eq!(partitions(place, name), expected, "{}: {name}", standin.name);
        };
        let check = || {
            expect(
                "test_row",
                &[
                    ("2026-01-02-03", "test_row/dt=2026-01-02-03/"),
                    ("2026-01-02-04", "test_row/dt=2026-01-02-04/"),
                    ("2026-01-02-05", "test_row/dt=2026-01-02-05/"),
                ],
            );
            expect("old_json", &[("2026-01-02-03", "old_json/2026/01/02/03/")]);
            expect("alerts", &[("2026-01-02-03", "alerts/dt=2026-01-02-03/")]);
            expect("projected", &[]);
        };
        check();
        // What is known costs nothing; a new process asks once more, and nothing changes.
        let again = json!({ "Records": &records[..3] });
        let before = calls(place);
        assert!(failed(&invoke(&function, &again).unwrap()).is_empty());
        assert_eq!(calls(place), before);
        let fresh = installation.function("athena_partitioner");
        assert!(failed(&invoke(&fresh, &event).unwrap()).is_empty());
        check();
        // A table's own columns and format go with each.
        let glue = Glue::new(&place.aws, &place.names);
        let of = place.aws.wait(glue.table("test_row")).unwrap().unwrap();
        assert_eq!(of.columns, [column("x")]);
        // Straight from S3 and EventBridge, without a queue.
        invoke(&fresh, &at("test_row/dt=2026-02-01-00/a")).unwrap();
        invoke(&fresh, &test_event).unwrap();
        assert!(partitions(place, "test_row").contains_key("2026-02-01-00"));
        // Others look at partitions where Athena does not.
        let mut all = installation.counted();
        all.variables.insert("STREAMALERT_PARTITIONS", "all".into());
        invoke(&all.function("athena_partitioner"), &at("projected/dt=2026-01-02-03/a")).unwrap();
        assert_eq!(partitions(place, "projected").len(), 1);
    }
}

/// A catalog with one table, that does with a call what the test says.
struct Catalog {
    entered: Arc<Mutex<BTreeSet<String>>>,
    batches: Arc<Mutex<Vec<usize>>>,
    environment: Environment,
}

/// Whether a call is done, and whether its answer arrives.
type Fate = (bool, bool);

impl Catalog {
    fn new(
        refuses: impl Fn(&str) -> bool + Send + Sync + 'static,
        fate: impl Fn() -> Fate + Send + Sync + 'static,
    ) -> Catalog {
        let entered: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let batches: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (known, sizes) = (entered.clone(), batches.clone());
        let endpoint = scripted::start(move |request: &Request| {
            let (does, answers) = fate();
            let lost = || Answer::json(500, &json!({"__type": "InternalServiceException", "message": "lost"}));
            if !does {
                return lost();
            }
            let asked = request.json();
            let answer = match request.header("x-amz-target") {
                "AWSGlue.GetTable" => {
                    let name = asked["Name"].as_str().unwrap();
                    json!({"Table": parquet_table(name, &format!("s3://b/{name}/"), &[column("x")], false)})
                }
                "AWSGlue.BatchCreatePartition" => {
                    let list = asked["PartitionInputList"].as_array().unwrap();
                    sizes.lock().unwrap().push(list.len());
                    let mut known = known.lock().unwrap();
                    let errors: Vec<Value> = list
                        .iter()
                        .filter_map(|input| {
                            let value = input["Values"][0].as_str().unwrap();
                            let code = match refuses(value) {
                                true => "InternalServiceException",
                                false if known.insert(value.to_owned()) => return None,
                                false => "AlreadyExistsException",
                            };
                            let detail = json!({"ErrorCode": code, "ErrorMessage": "no"});
                            Some(json!({"PartitionValues": [value], "ErrorDetail": detail}))
                        })
                        .collect();
                    json!({ "Errors": errors })
                }
                other => panic!("{other} is never called"),
            };
            if answers { Answer::json(200, &answer) } else { lost() }
        });
        let aws = Arc::new(Aws::connect(&standins::connection(&endpoint), RUNTIME.handle().clone()));
        let environment = Environment::new(aws, Names::new("acme"), Arc::new(|_| None));
        Catalog { entered, batches, environment }
    }

    /// A process of its own.
    fn function(&self) -> Arc<dyn Function> {
        make("athena_partitioner", &self.environment).unwrap()
    }
}

fn hour(number: usize) -> String {
    format!("2026-{:02}-{:02}-{:02}", 1 + number / 24 / 28, 1 + number / 24 % 28, number % 24)
}

fn message(number: usize) -> Value {
    by_queue(&format!("m{number}"), &notice("b", &format!("t/dt={}/f", hour(number)), 5))
}

#[test]
fn only_the_messages_of_what_was_refused_come_again() {
    let catalog = Catalog::new(|value| value == hour(7) || value == hour(130), || (true, true));
    let event = json!({"Records": (0..250).map(message).collect::<Vec<_>>()});
    let answer = invoke(&catalog.function(), &event).unwrap();
    assert_eq!(failed(&answer), ["m130", "m7"]);
    assert_eq!(*catalog.batches.lock().unwrap(), [100, 100, 50]);
    assert_eq!(catalog.entered.lock().unwrap().len(), 248);
    // A message with two objects fails with either.
    let both = json!({"Records": [notice("b", &format!("t/dt={}/f", hour(7)), 5)["Records"][0],
        notice("b", &format!("t/dt={}/f", hour(300)), 5)["Records"][0]]});
    let answer = invoke(&catalog.function(), &json!({"Records": [by_queue("two", &both), message(301)]})).unwrap();
    assert_eq!(failed(&answer), ["two"]);
    // Without a queue there is nobody to be told of a part.
    let alone = notice("b", &format!("t/dt={}/f", hour(7)), 5);
    assert!(invoke(&catalog.function(), &alone).unwrap_err().contains("has to come again"));
    // Without time nothing is done, and nothing is said to be.
    let late = invoke_within(&catalog.function(), &json!({"Records": [message(400)]}), Duration::from_secs(1)).unwrap();
    assert_eq!(failed(&late), ["m400"]);
    assert!(!catalog.entered.lock().unwrap().contains(&hour(400)));
}

#[test]
fn whatever_call_fails_or_is_not_answered_each_partition_is_there_in_the_end() {
    let dice = Arc::new(Mutex::new(Dice::new()));
    let fate = move || {
        let roll = dice.lock().unwrap().below(10);
        // Often enough that all attempts of a call fail now and then.
        (roll > 3, roll > 6)
    };
    let catalog = Catalog::new(|_| false, fate);
    let mut invocations = 0;
    for round in 0..100 {
        let mut waiting: Vec<usize> = (round * 6..round * 6 + 6).collect();
        while !waiting.is_empty() {
            invocations += 1;
            // Each invocation is another process: all that the one before knew is gone.
            let event = json!({"Records": waiting.iter().map(|number| message(*number)).collect::<Vec<_>>()});
            let answer = invoke(&catalog.function(), &event).unwrap();
            let again: BTreeSet<&str> = failed(&answer).into_iter().collect();
            waiting.retain(|number| again.contains(format!("m{number}").as_str()));
        }
    }
    println!("{invocations} invocations for 100 events");
    assert!(invocations > 100, "nothing failed");
    assert_eq!(*catalog.entered.lock().unwrap(), (0..600).map(hour).collect());
}
