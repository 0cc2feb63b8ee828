//! `aws-cloudwatch-log`: the publication as an event of a log stream.

use super::{
    Answers, CallError, Desk, Entry, Letter, REGION, Service, Settings, in_calls, info, is_made_of, optional, required,
};
use crate::limits::{LOG_BATCH_BYTES_MAX, LOG_BATCH_MAX, LOG_EVENT_BYTES_AROUND, LOG_EVENT_BYTES_MAX};
use crate::signed;
use serde_json::{Value, json};
use streamalert_pipeline::batches::BatchLimits;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

const SERVICE: signed::Service = signed::Service { name: "CloudWatch Logs", endpoint: "logs", signed_as: "logs" };
const PUT: signed::Operation = signed::Operation::Target("Logs_20140328.PutLogEvents");
const CREATE: signed::Operation = signed::Operation::Target("Logs_20140328.CreateLogStream");
/// Of the stream, if the operator says nothing.
const STREAM: &str = "alerts";
const LIMITS: BatchLimits = BatchLimits {
    items: LOG_BATCH_MAX,
    item_bytes: LOG_EVENT_BYTES_MAX,
    bytes: LOG_BATCH_BYTES_MAX,
    around: 0,
    between: 0,
};

pub(super) struct CloudWatchLog;

impl Service for CloudWatchLog {
    const BULK: bool = true;

    fn info() -> OutputInfo {
        let asked = [
            required("log_group", "name of the log group, which must be there"),
            optional("log_stream", "name of the stream in it, made if it is not there; alerts if nothing is said"),
            REGION,
        ];
        info("aws-cloudwatch-log", "writes alerts into a log of CloudWatch", &asked, OutputOptions::default())
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |group: &str| is_made_of(group, 1..=512, "_-/.#");
        settings.expect("log_group", faults, fits, "up to 512 letters, digits and `_-/.#`");
        let fits = |stream: &str| stream.len() <= 512 && !stream.contains([':', '*']);
        settings.expect("log_stream", faults, fits, "up to 512 characters without `:` and `*`");
        settings.expect_region(faults);
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let (group, stream) = (settings.required("log_group"), settings.get("log_stream").unwrap_or(STREAM));
        let region = settings.get(REGION.name);
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            let most = LOG_EVENT_BYTES_MAX - LOG_EVENT_BYTES_AROUND;
            match desk.fitting(&letter.alert, letter.parcel.publication.clone(), most).await {
                Ok(message) => {
                    // When it is delivered: what is old is refused.
                    let event = json!({"timestamp": letter.parcel.now * 1000, "message": message});
                    let bytes = message.len() + LOG_EVENT_BYTES_AROUND;
                    entries.push(Entry { place: letter.place, bytes, item: event });
                }
                Err(error) => answers.failed(letter.place, &error),
            }
        }
        in_calls(&LIMITS, entries, answers, async |mut events: Vec<Value>| {
            events.sort_by_key(|event| event["timestamp"].as_u64());
            let count = events.len();
            let body = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
            let call = async || desk.aws.signed.call(&SERVICE, PUT, region, &body).await;
            let answer = match call().await {
                Err(error) if error.code == "ResourceNotFoundException" => {
                    let new = json!({"logGroupName": group, "logStreamName": stream});
                    match desk.aws.signed.call(&SERVICE, CREATE, region, &new).await {
                        Err(error) if error.code != "ResourceAlreadyExistsException" => Err(error),
                        // Somebody made it.
                        _ => call().await,
                    }
                }
                // An attempt whose answer was lost.
                Err(error) if error.code == "DataAlreadyAcceptedException" => Ok(Value::Null),
                answer => answer,
            }?;
            match answer.get("rejectedLogEventsInfo") {
                Some(rejected) if !rejected.is_null() => {
                    Err(CallError::new("", None, format!("events were turned away for their time: {rejected}")))
                }
                _ => Ok((0..count).map(|_| Ok(Some(format!("{group}/{stream}")))).collect()),
            }
        })
        .await;
    }
}
