//! `aws-sqs`: the record as a message, for programs.

use super::{
    Answers, CallError, Desk, Entry, Letter, Service, Settings, in_calls, info, is_made_of, legal, required, sdk, sns,
};
use crate::limits::{SQS_BATCH, SQS_BYTES_MAX};
use aws_sdk_sqs::config::{Builder, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

/// Bytes kept for attributes, of which SQS counts names, types and values.
const ATTRIBUTES_BYTES: usize = 4 << 10;

#[derive(Default)]
pub(super) struct Sqs {
    /// URLs of queues by name.
    urls: Mutex<HashMap<String, String>>,
}

#[derive(Clone)]
struct Message {
    body: String,
    attributes: [(&'static str, String); 3],
    key: String,
}

impl Service for Sqs {
    const BULK: bool = true;

    fn info() -> OutputInfo {
        let asked = [required("queue", "name of the queue, or its URL if it is another account's or region's")];
        info("aws-sqs", "sends each alert's record to a queue of SQS", &asked, OutputOptions::default())
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |queue: &str| {
            let name = queue.strip_suffix(".fifo").unwrap_or(queue);
            is_made_of(name, 1..=80, "_-")
                || is_url(queue) && queue.rsplit('/').next().is_some_and(|name| !name.is_empty())
        };
        settings.expect("queue", faults, fits, "the name of a queue or its URL");
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let queue = settings.required("queue");
        let url = match self.url(desk, queue).await {
            Ok(url) => url,
            Err(error) => return letters.iter().for_each(|letter| answers.failed(letter.place, &error)),
        };
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            let text = legal(&letter.published("@aws-sqs.message_data").unwrap_or_else(|| letter.record()));
            // An empty message is none.
            let text = if text.is_empty() { "null".into() } else { text };
            match desk.fitting(&letter.alert, text, SQS_BYTES_MAX - ATTRIBUTES_BYTES).await {
                Ok(body) => {
                    let message = Message {
                        body,
                        attributes: sns::attributes(letter),
                        key: letter.parcel.idempotency_key.clone(),
                    };
                    let around: usize =
                        message.attributes.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
                    entries.push(Entry { place: letter.place, bytes: message.body.len() + around, item: message });
                }
                Err(error) => answers.failed(letter.place, &error),
            }
        }
        let fifo = url.ends_with(".fifo");
        in_calls(&SQS_BATCH, entries, answers, async |messages: Vec<Message>| {
            let count = messages.len();
            let mut request = desk.aws.sqs.send_message_batch().queue_url(&url);
            for (number, message) in messages.into_iter().enumerate() {
                request = request.entries(entry(number, message, fifo)?);
            }
            let sent = match region(&url).filter(|region| *region != desk.aws.region()) {
                Some(region) => {
                    let there = Builder::new().region(Region::new(region.to_owned()));
                    request.customize().config_override(there).send().await
                }
                None => request.send().await,
            };
            let answer = sent.map_err(|error| self.forgetting(queue, sdk(error)))?;
            let silent = || Err(CallError::new("", None, "the queue does not say what became of it"));
            let mut results: Vec<Result<Option<String>, CallError>> = (0..count).map(|_| silent()).collect();
            let place = |id: &str| id.parse::<usize>().ok().filter(|number| *number < count);
            for done in answer.successful {
                if let Some(number) = place(&done.id) {
                    results[number] = Ok(Some(done.message_id));
                }
            }
            for failed in answer.failed {
                if let Some(number) = place(&failed.id) {
                    let status = if failed.sender_fault { 400 } else { 500 };
                    results[number] =
                        Err(CallError::new(failed.code, Some(status), failed.message.unwrap_or_default()));
                }
            }
            Ok(results)
        })
        .await;
    }
}

impl Sqs {
    async fn url(&self, desk: &Desk, queue: &str) -> Result<String, CallError> {
        if is_url(queue) {
            return Ok(queue.to_owned());
        }
        if let Some(url) = self.urls.lock().unwrap_or_else(PoisonError::into_inner).get(queue) {
            return Ok(url.clone());
        }
        let url = desk.aws.sqs.get_queue_url().queue_name(queue).send().await.map_err(sdk)?.queue_url;
        let url = url.ok_or_else(|| CallError::new("", None, format!("the queue {queue} has no URL")))?;
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned(), url.clone());
        Ok(url)
    }

    /// A queue that was made anew is looked up anew.
    fn forgetting(&self, queue: &str, error: CallError) -> CallError {
        if error.code.ends_with("NonExistentQueue") || error.code == "QueueDoesNotExist" {
            self.urls.lock().unwrap_or_else(PoisonError::into_inner).remove(queue);
        }
        error
    }
}

fn entry(number: usize, message: Message, fifo: bool) -> Result<SendMessageBatchRequestEntry, CallError> {
    let broken = |error: aws_sdk_sqs::error::BuildError| CallError::new("", Some(400), error.to_string());
    let mut entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(message.body);
    for (name, value) in message.attributes {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        entry = entry.message_attributes(name, value.map_err(broken)?);
    }
    if fifo {
        entry = entry.message_group_id("streamalert").message_deduplication_id(message.key);
    }
    entry.build().map_err(broken)
}

fn is_url(queue: &str) -> bool {
    queue.starts_with("https://") || queue.starts_with("http://")
}

/// Of `https://sqs.eu-west-1.amazonaws.com/…`.
fn region(url: &str) -> Option<&str> {
    let host = url.split("://").nth(1)?.split('/').next()?;
    host.strip_prefix("sqs.")?.split_once(".amazonaws").map(|(region, _)| region)
}
