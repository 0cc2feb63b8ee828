//! A whole StreamAlert on a stand-in: tables, queues, buckets, streams, and its functions, run here in this process.

use crate::run_world::every_row_with;
use crate::standins::{self, Place, Standin, call_log};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::objects::Bucket;
use streamalert_aws::{Aws, Connection, queue};
use streamalert_lambdas::environment::Environment;
use streamalert_lambdas::function::{Function, make};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertDesk, DeadLetters};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::record_batch::RecordBatch;

/// Key of sealed code, in tests.
pub const CODE_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Time an invocation has.
const TIME: Duration = Duration::from_secs(60);

pub struct Installation {
    pub place: Place,
    /// Of its functions, beside the usual ones.
    pub variables: BTreeMap<&'static str, String>,
    /// URL of the records queue, and of its dead letters.
    pub records: String,
    pub records_dead: String,
    /// Of the stand-in, if calls to it may go another way.
    endpoint: Option<String>,
}

impl Installation {
    /// All there is but rules: schema `test:row` of `{"n": …}`, which every source may send.
    pub fn new(standin: &Standin, name: &str) -> Self {
        let place = standin.place(name);
        place.alerts_table();
        place.rules_table();
        place.rules_bucket();
        place.data_bucket();
        let (records, records_dead) = place.records_queue();
        let endpoint = Some(standin.endpoint.clone());
        let installation = Installation { place, variables: BTreeMap::new(), records, records_dead, endpoint };
        let schema = json!({"test:row": {
            "parser": "json", "schema": {"n": "integer", "text": "string"},
            "configuration": {"optional_top_level_keys": ["text"]}
        }});
        installation.put_rules("conf/schemas/test.json", schema.to_string());
        installation.put_rules("conf/outputs.json", "{}");
        installation
    }

    /// The same, and every row raises an alert for these outputs.
    pub fn with_every_row(standin: &Standin, name: &str, options: &Value) -> Self {
        let installation = Installation::new(standin, name);
        installation.put_rules("plugins/every_row.wasm", every_row_with(&options.to_string()));
        installation
    }

    /// The same installation, reached another way.
    pub fn through(&self, connection: &Connection) -> Self {
        Installation { place: self.place.through(connection), ..self.counted() }
    }

    /// The same installation, whose functions make the calls that `place.aws` counts.
    pub fn counted(&self) -> Self {
        let place = Place { aws: self.place.aws.clone(), names: self.place.names.clone() };
        Installation {
            place,
            variables: self.variables.clone(),
            records: self.records.clone(),
            records_dead: self.records_dead.clone(),
            endpoint: None,
        }
    }

    pub fn put_rules(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let bucket = Bucket::new(&self.place.aws, self.place.names.rules_bucket());
        self.place.aws.wait(bucket.put(key, bytes.into())).unwrap();
    }

    /// An object in a bucket of logs, and what S3 says about it.
    pub fn put_log(&self, key: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let size = bytes.len();
        let bucket = Bucket::new(&self.place.aws, self.place.names.data_bucket());
        self.place.aws.wait(bucket.put(key, bytes)).unwrap();
        notice(&self.place.names.data_bucket(), key, size)
    }

    pub fn function(&self, name: &str) -> Arc<dyn Function> {
        let mut variables = self.variables.clone();
        variables.entry("STREAMALERT_CODE_KEY").or_insert_with(|| CODE_KEY.to_owned());
        variables.entry("STREAMALERT_REFRESH_SECONDS").or_insert_with(|| "0".to_owned());
        let variables = Arc::new(move |name: &str| variables.get(name).cloned());
        let environment = Environment::new(self.aws_of(name), self.place.names.clone(), variables);
        make(name, &environment).unwrap()
    }

    /// Through a proxy of its own, if calls are recorded.
    fn aws_of(&self, function: &str) -> Arc<Aws> {
        let Some(behind) = &self.endpoint else { return self.place.aws.clone() };
        match call_log::endpoint(behind, &self.place.names.prefix, function) {
            endpoint if endpoint == *behind => self.place.aws.clone(),
            endpoint => Arc::new(Aws::connect(&standins::connection(&endpoint), standins::RUNTIME.handle().clone())),
        }
    }

    /// What is in the records queue, decoded, oldest first; it is empty then.
    pub fn queued(&self) -> Vec<RecordBatch> {
        let claims = Bucket::new(&self.place.aws, self.place.names.data_bucket());
        let mut batches = Vec::new();
        while let Some(event) = self.receive(&self.records, 10) {
            for message in event["Records"].as_array().unwrap() {
                let body = message["body"].as_str().unwrap();
                batches.push(self.place.aws.wait(queue::read(body, &claims)).unwrap());
            }
            self.delete(&self.records, &event, &json!({}));
        }
        batches
    }

    /// Texts of the field `n` of all records in the queue.
    pub fn queued_numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self
            .queued()
            .iter()
            .flat_map(|batch| &batch.records)
            .map(|record| serde_json::from_str::<Value>(&record.json).unwrap()["n"].as_u64().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    }

    /// A queue more; its URL.
    pub fn queue(&self, what: &str) -> String {
        let create = self.place.aws.sqs.create_queue().queue_name(format!("{}-{what}", self.place.names.prefix));
        self.place.aws.wait(create.send()).unwrap().queue_url.unwrap()
    }

    /// Messages of a queue that were received and not deleted yet.
    pub fn in_flight(&self, url: &str) -> u64 {
        use aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessagesNotVisible as InFlight;
        let about = self.place.aws.sqs.get_queue_attributes().queue_url(url).attribute_names(InFlight);
        let about = self.place.aws.wait(about.send()).unwrap().attributes.unwrap_or_default();
        about[&InFlight].parse().unwrap()
    }

    /// Messages of a queue as the event of a function; none if there are none.
    pub fn receive(&self, url: &str, limit: i32) -> Option<Value> {
        let receive = self.place.aws.sqs.receive_message().queue_url(url).max_number_of_messages(limit);
        let receive = receive.message_system_attribute_names("ApproximateReceiveCount".into());
        let messages = self.place.aws.wait(receive.send()).unwrap().messages.unwrap_or_default();
        let record = |message: aws_sdk_sqs::types::Message| {
            json!({
                "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
                "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:0:{}", url.rsplit('/').next().unwrap()),
                "attributes": {"ApproximateReceiveCount":
                    message.attributes.and_then(|all| all.get(&"ApproximateReceiveCount".into()).cloned())},
            })
        };
        let records: Vec<Value> = messages.into_iter().map(record).collect();
        (!records.is_empty()).then(|| json!({ "Records": records }))
    }

    /// Deletes what did not fail, as the service does; what failed is there again at once.
    pub fn delete(&self, url: &str, event: &Value, answer: &Value) {
        let failed: BTreeSet<&str> = answer["batchItemFailures"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["itemIdentifier"].as_str())
            .collect();
        for message in event["Records"].as_array().unwrap() {
            let handle = message["receiptHandle"].as_str().unwrap();
            if failed.contains(message["messageId"].as_str().unwrap()) {
                let change = self.place.aws.sqs.change_message_visibility().queue_url(url);
                self.place.aws.wait(change.receipt_handle(handle).visibility_timeout(0).send()).unwrap();
            } else {
                let delete = self.place.aws.sqs.delete_message().queue_url(url);
                self.place.aws.wait(delete.receipt_handle(handle).send()).unwrap();
            }
        }
    }

    pub fn alerts(&self) -> Vec<Alert> {
        DynamoAlerts::new(self.place.aws.clone(), &self.place.names).list(None, usize::MAX).unwrap()
    }

    /// Numbers of the rows that raised alerts; each as often as it did.
    pub fn alerted(&self) -> Vec<u64> {
        let number = |alert: &Alert| alert.record.to_value()["n"].as_u64().unwrap();
        let mut numbers: Vec<u64> = self.alerts().iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// What became of uploads, as it is stored.
    pub fn verdicts(&self) -> String {
        let bucket = Bucket::new(&self.place.aws, self.place.names.rules_bucket());
        let bytes = self.place.aws.wait(bucket.get(streamalert_aws::rules_bucket::VERDICTS)).unwrap();
        bytes.map(|stored| String::from_utf8(stored.bytes.into()).unwrap()).unwrap_or_default()
    }

    /// Lines that a stream has brought to the archive.
    pub fn archived(&self, stream: &str) -> Vec<Value> {
        let bucket = Bucket::new(&self.place.aws, self.place.names.data_bucket());
        let keys = self.place.aws.wait(bucket.keys(&format!("archive/{stream}/"))).unwrap();
        let text = |key: String| {
            let stored = self.place.aws.wait(bucket.get(&key)).unwrap().unwrap();
            String::from_utf8(stored.bytes.into()).unwrap()
        };
        let lines = |text: String| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>();
        keys.into_iter().map(text).flat_map(lines).collect()
    }

    pub fn letters(&self) -> Vec<DeadLetter> {
        S3DeadLetters::new(&self.place.aws, self.place.names.data_bucket()).list().unwrap()
    }
}

/// One invocation.
pub fn invoke(function: &Arc<dyn Function>, event: &Value) -> Result<Value, String> {
    invoke_within(function, event, TIME)
}

pub fn invoke_within(function: &Arc<dyn Function>, event: &Value, time: Duration) -> Result<Value, String> {
    let answer = function.handle(event.to_string().as_bytes(), Instant::now() + time);
    answer.map_err(|error| format!("{error:#}"))
}

/// What S3 says of a new object.
pub fn notice(bucket: &str, key: &str, size: usize) -> Value {
    let encoded: String = key
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => (byte as char).to_string(),
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": encoded, "size": size, "sequencer": "0"}}
    }]})
}

/// A notice as a message of a queue.
pub fn by_queue(id: &str, body: &Value) -> Value {
    json!({"messageId": id, "body": body.to_string(), "eventSource": "aws:sqs", "receiptHandle": id,
        "eventSourceARN": "arn:aws:sqs:us-east-1:0:input", "attributes": {"ApproximateReceiveCount": "1"}})
}

/// Items that an answer says have failed.
pub fn failed(answer: &Value) -> Vec<&str> {
    let items = answer["batchItemFailures"].as_array().unwrap_or_else(|| panic!("no answer of a queue: {answer}"));
    items.iter().map(|item| item["itemIdentifier"].as_str().unwrap()).collect()
}
