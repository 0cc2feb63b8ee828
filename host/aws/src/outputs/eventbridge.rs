//! `aws-eventbridge`: the publication as an event on a bus.

use super::{
    Answers, Arn, CallError, Desk, Entry, Letter, REGION, Service, Settings, in_calls, info, is_made_of, optional,
};
use crate::limits::{EVENT_TIME_BYTES, EVENTS_BATCH_MAX, EVENTS_BYTES_MAX};
use crate::signed;
use serde_json::{Value, json};
use streamalert_pipeline::batches::BatchLimits;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

const SERVICE: signed::Service = signed::Service { name: "EventBridge", endpoint: "events", signed_as: "events" };
const PUT: signed::Operation = signed::Operation::Target("AWSEvents.PutEvents");
const SOURCE: &str = "streamalert";
const DETAIL_TYPE: &str = "StreamAlert Alert";
const BUS: &str = "default";
const LIMITS: BatchLimits = BatchLimits {
    items: EVENTS_BATCH_MAX,
    item_bytes: EVENTS_BYTES_MAX,
    bytes: EVENTS_BYTES_MAX,
    around: 0,
    between: 0,
};

pub(super) struct EventBridge;

impl Service for EventBridge {
    const BULK: bool = true;

    fn info() -> OutputInfo {
        let asked = [
            optional("bus", "name or ARN of the event bus; default if nothing is said"),
            optional("source", "source of the events; streamalert if nothing is said"),
            optional("detail_type", "detail type of the events; StreamAlert Alert if nothing is said"),
            REGION,
        ];
        info("aws-eventbridge", "puts alerts onto an event bus", &asked, OutputOptions::default())
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let is_name = |name: &str| is_made_of(name, 1..=256, "/._-");
        let fits = |bus: &str| match bus.starts_with("arn:") {
            true => Arn::parse(bus, "events")
                .is_some_and(|arn| arn.resource.strip_prefix("event-bus/").is_some_and(is_name)),
            false => is_name(bus),
        };
        settings.expect(
            "bus",
            faults,
            fits,
            "the name of a bus or its ARN, arn:aws:events:REGION:ACCOUNT:event-bus/NAME",
        );
        let fits = |source: &str| is_made_of(source, 1..=256, "/._-") && !source.starts_with("aws.");
        settings.expect("source", faults, fits, "up to 256 letters, digits and `/._-`, and does not begin with `aws.`");
        settings.expect("detail_type", faults, |text| text.len() <= 128, "up to 128 characters");
        settings.expect_region(faults);
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let bus = settings.get("bus").unwrap_or(BUS);
        let source = settings.get("source").unwrap_or(SOURCE);
        let detail_type = settings.get("detail_type").unwrap_or(DETAIL_TYPE);
        let region = settings.get(REGION.name).or(Arn::parse(bus, "events").map(|arn| arn.region));
        let around = source.len() + detail_type.len() + EVENT_TIME_BYTES;
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            match desk.fitting(&letter.alert, letter.parcel.publication.clone(), EVENTS_BYTES_MAX - around).await {
                Ok(detail) => {
                    let bytes = detail.len() + around;
                    let event = json!({
                        "EventBusName": bus, "Source": source, "DetailType": detail_type, "Detail": detail,
                        "Time": letter.parcel.now,
                    });
                    entries.push(Entry { place: letter.place, bytes, item: event });
                }
                Err(error) => answers.failed(letter.place, &error),
            }
        }
        in_calls(&LIMITS, entries, answers, async |events: Vec<Value>| {
            let answer = desk.aws.signed.call(&SERVICE, PUT, region, &json!({"Entries": events})).await?;
            let entries = answer["Entries"].as_array().cloned().unwrap_or_default();
            let each = entries.into_iter().map(|entry| match entry["ErrorCode"].as_str() {
                None => Ok(entry["EventId"].as_str().map(str::to_owned)),
                Some(code) => {
                    let message = entry["ErrorMessage"].as_str().unwrap_or_default();
                    // Whose fault it is, only the code tells.
                    Err(CallError::new(code, Some(400), message))
                }
            });
            Ok(each.collect())
        })
        .await;
    }
}
