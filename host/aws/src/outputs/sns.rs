//! `aws-sns`: a message with a subject, for people; its attributes are for subscriptions that filter.

use super::{Answers, Arn, CallError, Desk, Letter, Service, Settings, info, legal, required, sdk};
use crate::limits::{SNS_BYTES_MAX, SNS_SUBJECT_MAX};
use aws_sdk_sns::config::{Builder, Region};
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::Value;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

/// Bytes kept for subject and attributes.
const ATTRIBUTES_BYTES: usize = 4 << 10;
/// Bytes of a value of an attribute.
const ATTRIBUTE_BYTES_MAX: usize = 512;

pub(super) struct Sns;

impl Service for Sns {
    const BULK: bool = false;

    fn info() -> OutputInfo {
        let asked = [required("topic", "ARN of the topic")];
        let options = OutputOptions { rate: Some(100.0), idempotent: false };
        info("aws-sns", "sends each alert to a topic of SNS", &asked, options)
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |topic: &str| Arn::parse(topic, "sns").is_some_and(|arn| !arn.resource.contains(':'));
        settings.expect("topic", faults, fits, "the ARN of a topic, as in arn:aws:sns:REGION:ACCOUNT:NAME");
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        for letter in letters {
            match one(desk, settings.required("topic"), letter).await {
                Ok(receipt) => answers.delivered(letter.place, receipt),
                Err(error) => answers.failed(letter.place, &error),
            }
        }
    }
}

async fn one(desk: &Desk, topic: &str, letter: &Letter<'_>) -> Result<Option<String>, CallError> {
    let message = match letter.published("@aws-sns.message") {
        Some(message) => message,
        None => serde_json::to_string_pretty(&letter.publication).unwrap_or_default(),
    };
    let message = desk.fitting(&letter.alert, legal(&message), SNS_BYTES_MAX - ATTRIBUTES_BYTES).await?;
    let default = || format!("{} triggered alert {}", letter.alert.rule_name, letter.alert.id);
    let subject = subject(&letter.published("@aws-sns.topic").unwrap_or_else(default));
    let mut publish = desk.aws.sns.publish().topic_arn(topic).message(message).subject(subject);
    for (name, value) in attributes(letter) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        publish = publish.message_attributes(name, value.map_err(|e| CallError::new("", Some(400), e.to_string()))?);
    }
    if topic.ends_with(".fifo") {
        // Alerts of one rule keep their order; the same alert within minutes is one.
        publish = publish.message_group_id("streamalert").message_deduplication_id(&letter.parcel.idempotency_key);
    }
    let region = Arn::parse(topic, "sns").map(|arn| arn.region);
    let sent = match region.filter(|region| *region != desk.aws.region()) {
        Some(region) => {
            let there = Builder::new().region(Region::new(region.to_owned()));
            publish.customize().config_override(there).send().await
        }
        None => publish.send().await,
    };
    Ok(sent.map_err(sdk)?.message_id)
}

/// What subscriptions may filter by, and whoever reads a queue.
pub(super) fn attributes(letter: &Letter<'_>) -> [(&'static str, String); 3] {
    let fit = |text: &str| {
        let mut text = legal(if text.is_empty() { "-" } else { text });
        text.truncate(text.floor_char_boundary(ATTRIBUTE_BYTES_MAX));
        text
    };
    let alert = &letter.alert;
    let severity = letter.publication.get("severity").and_then(Value::as_str).unwrap_or(alert.severity.name());
    [("alert_id", fit(&alert.id)), ("rule_name", fit(&alert.rule_name)), ("severity", fit(severity))]
}

/// Printable ASCII, cut in the middle: what a rule is called and which alert it is stand at the ends.
fn subject(text: &str) -> String {
    let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
    let text: String = text.trim().chars().map(plain).collect();
    if text.is_empty() {
        return "StreamAlert".into();
    }
    if text.len() <= SNS_SUBJECT_MAX {
        return text;
    }
    const GAP: &str = " ... ";
    let head = (SNS_SUBJECT_MAX - GAP.len()).div_ceil(2);
    let tail = SNS_SUBJECT_MAX - GAP.len() - head;
    format!("{}{GAP}{}", &text[..head], &text[text.len() - tail..])
}
