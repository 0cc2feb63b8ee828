//! The queue between classifier and rules engine: batches of records, compressed, as messages of SQS.
//!
//! A message is a JSON object, for people who look into the queue: what it holds, and the batch's text as zstd in base64, or a
//! pointer to that in S3 if it is too large for a message.

use crate::Aws;
use crate::call::{at_once, failed, kind_of};
use crate::claim_check::Claim;
use crate::limits::{
    ATTEMPTS_MAX, CALLS_AT_ONCE, MESSAGE_TEXT_BYTES, RETRY_FIRST, SQS_BATCH, SQS_BATCH_MAX, SQS_BYTES_MAX, ZSTD_LEVEL,
};
use crate::objects::Bucket;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, SendMessageBatchRequestEntry};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, RecordQueue};
use streamalert_pipeline::batches::batches;
use streamalert_pipeline::record_batch::{ReadError, RecordBatch};
use tokio::sync::OnceCell;

/// Of the message; that of the batch within is its own.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// `records`, version 1.
    streamalert_records: u32,
    pub log_type: String,
    pub records: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zstd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
}

#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("no message of the records queue: {0}")]
    NotOurs(String),
    #[error("a message of version {0}; this streamalert reads up to {VERSION}: update the rules engine first")]
    Newer(u32),
    /// The pointer leads nowhere any more.
    #[error("the records of the message are gone: {0}")]
    Gone(String),
    #[error(transparent)]
    Batch(#[from] ReadError),
    #[error(transparent)]
    Backend(BackendError),
}

pub struct SqsQueue {
    aws: Arc<Aws>,
    /// Name or URL.
    queue: String,
    url: OnceCell<String>,
    claims: Bucket,
}

impl SqsQueue {
    pub fn new(aws: &Arc<Aws>, queue: impl Into<String>, claims: Bucket) -> Self {
        SqsQueue { aws: aws.clone(), queue: queue.into(), url: OnceCell::new(), claims }
    }

    async fn url(&self) -> Result<&String, BackendError> {
        let find = || async {
            if self.queue.contains("://") {
                return Ok(self.queue.clone());
            }
            let found = self.aws.sqs.get_queue_url().queue_name(&self.queue).send().await;
            let found = found.map_err(|error| failed(&format!("find the queue {}", self.queue), error))?;
            Ok(found.queue_url.unwrap_or_default())
        };
        self.url.get_or_try_init(find).await
    }

    /// The same as the trait's, for whoever waits otherwise.
    pub async fn send_all(&self, all: &[RecordBatch]) -> Vec<Result<(), BackendError>> {
        let mut results: Vec<Result<(), BackendError>> = all.iter().map(|_| Ok(())).collect();
        let url = match self.url().await {
            Ok(url) => url.clone(),
            Err(error) => return all.iter().map(|_| Err(again(&error))).collect(),
        };
        // Compressing takes a core; each batch one task.
        let texts: Vec<(usize, RecordBatch)> = all.iter().cloned().enumerate().collect();
        let claims = self.claims.clone();
        let made = at_once(CALLS_AT_ONCE, texts, move |(number, batch)| {
            let claims = claims.clone();
            async move { (number, messages(batch, &claims).await) }
        })
        .await;
        let mut bodies: Vec<(usize, String)> = Vec::new();
        for (number, made) in made {
            match made {
                Ok(made) => bodies.extend(made.into_iter().map(|body| (number, body))),
                Err(error) => results[number] = Err(error),
            }
        }
        let cut = batches(bodies.iter().map(|(_, body)| body.len()), &SQS_BATCH);
        let mut bodies: Vec<Option<(usize, String)>> = bodies.into_iter().map(Some).collect();
        for number in cut.oversize.iter().filter_map(|at| Some(bodies[*at].as_ref()?.0)) {
            results[number] = Err(BackendError::other("send records to the queue", "a message above the limit"));
        }
        let calls: Vec<Vec<(usize, String)>> =
            cut.batches.iter().map(|call| call.iter().filter_map(|at| bodies[*at].take()).collect()).collect();
        let sqs = self.aws.sqs.clone();
        let sent = at_once(CALLS_AT_ONCE, calls, move |call| send_call(sqs.clone(), url.clone(), call)).await;
        for (number, error) in sent.into_iter().flatten() {
            results[number] = Err(error);
        }
        results
    }
}

impl RecordQueue for SqsQueue {
    fn send(&self, batches: &[RecordBatch]) -> Vec<Result<(), BackendError>> {
        self.aws.wait(self.send_all(batches))
    }
}

fn again(error: &BackendError) -> BackendError {
    let source = error.source.as_ref().map(|source| source.to_string().into());
    BackendError { kind: error.kind, action: error.action.clone(), source }
}

/// What one batch becomes: as few messages as hold it.
async fn messages(batch: RecordBatch, claims: &Bucket) -> Result<Vec<String>, BackendError> {
    let mut bodies = Vec::new();
    let mut waiting = vec![batch];
    while let Some(batch) = waiting.pop() {
        if batch.records.is_empty() {
            continue;
        }
        let many = batch.records.len() > 1;
        if many && batch.bytes() > MESSAGE_TEXT_BYTES {
            let (first, second) = batch.halves();
            waiting.extend([second, first]);
            continue;
        }
        let text = batch.to_text();
        let packed = zstd::bulk::compress(text.as_bytes(), ZSTD_LEVEL)
            .map_err(|error| BackendError::other("compress records for the queue", error))?;
        let about = Message {
            streamalert_records: VERSION,
            log_type: batch.log_type.clone(),
            records: batch.records.len(),
            zstd: None,
            claim: None,
        };
        let body = |message: &Message| {
            serde_json::to_string(message).map_err(|error| BackendError::other("write a message", error))
        };
        // Four characters for three bytes, and what stands around them.
        if packed.len() / 3 * 4 + 1024 + about.log_type.len() <= SQS_BYTES_MAX {
            bodies.push(body(&Message { zstd: Some(BASE64_STANDARD.encode(&packed)), ..about })?);
        } else if many {
            let (first, second) = batch.halves();
            waiting.extend([second, first]);
        } else {
            let claim = Claim::check_in(claims, "records", packed).await?;
            bodies.push(body(&Message { claim: Some(claim), ..about })?);
        }
    }
    Ok(bodies)
}

/// Takes messages out of a queue by their handles, ahead of the service that would do it. The queue is named by its ARN.
pub async fn delete(aws: &Aws, arn: &str, handles: &[String]) -> Result<(), BackendError> {
    const ACTION: &str = "take messages out of the queue";
    let name = arn.rsplit(':').next().unwrap_or_default();
    let found = aws.sqs.get_queue_url().queue_name(name).send().await.map_err(|error| failed(ACTION, error))?;
    for some in handles.chunks(SQS_BATCH_MAX) {
        let mut request = aws.sqs.delete_message_batch().set_queue_url(found.queue_url.clone());
        for (place, handle) in some.iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(handle).build();
            request = request.entries(entry.map_err(|error| BackendError::other(ACTION, error))?);
        }
        let answer = request.send().await.map_err(|error| failed(ACTION, error))?;
        if let Some(refused) = answer.failed.first() {
            let source = Some(refused.code.clone().into());
            return Err(BackendError { kind: kind_of(&refused.code), action: ACTION.into(), source });
        }
    }
    Ok(())
}

/// Sends up to ten messages; those that fail go again alone. Returns what could not be sent, by batch number.
async fn send_call(
    sqs: aws_sdk_sqs::Client,
    url: String,
    mut call: Vec<(usize, String)>,
) -> Vec<(usize, BackendError)> {
    const ACTION: &str = "send records to the queue";
    let mut lost = Vec::new();
    let mut pause = RETRY_FIRST;
    for attempt in 1.. {
        let mut request = sqs.send_message_batch().queue_url(&url);
        for (place, (_, body)) in call.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body).build();
            match entry {
                Ok(entry) => request = request.entries(entry),
                Err(error) => lost.push((call[place].0, BackendError::other(ACTION, error))),
            }
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = failed(ACTION, error);
                lost.extend(call.iter().map(|(number, _)| (*number, again(&error))));
                return lost;
            }
        };
        // What is not said to be sent is not.
        let sent: Vec<usize> = answer.successful.iter().filter_map(|entry| entry.id.parse().ok()).collect();
        let mut rest = Vec::new();
        for (place, (number, body)) in call.into_iter().enumerate().filter(|(place, _)| !sent.contains(place)) {
            let refused = answer.failed.iter().find(|entry| entry.id == place.to_string());
            if attempt == ATTEMPTS_MAX || refused.is_some_and(|entry| entry.sender_fault) {
                let code = refused.map(|entry| entry.code.clone()).unwrap_or_default();
                let message = refused.and_then(|entry| entry.message.clone()).unwrap_or_default();
                let source = Some(format!("{code}: {message}").into());
                lost.push((number, BackendError { kind: kind_of(&code), action: ACTION.into(), source }));
            } else {
                rest.push((number, body));
            }
        }
        if rest.is_empty() {
            return lost;
        }
        call = rest;
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    lost
}

/// The batch that a message holds.
pub async fn read(body: &str, claims: &Bucket) -> Result<RecordBatch, MessageError> {
    #[derive(Deserialize)]
    struct Version {
        streamalert_records: u32,
    }
    let not_ours = |error: serde_json::Error| MessageError::NotOurs(error.to_string());
    let Version { streamalert_records: version } = serde_json::from_str(body).map_err(not_ours)?;
    if version > VERSION {
        return Err(MessageError::Newer(version));
    }
    let message: Message = serde_json::from_str(body).map_err(not_ours)?;
    let packed = match (message.zstd, message.claim) {
        (Some(text), _) => {
            BASE64_STANDARD.decode(text).map_err(|error| MessageError::NotOurs(format!("zstd: {error}")))?
        }
        (None, Some(claim)) => claim.fetch(claims).await.map_err(|error| match error.kind {
            streamalert_pipeline::backend::BackendErrorKind::NotFound => {
                let cause = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
                MessageError::Gone(format!("{error}: {cause}"))
            }
            _ => MessageError::Backend(error),
        })?,
        (None, None) => return Err(MessageError::NotOurs("neither zstd nor claim".into())),
    };
    let text = unpacked(&packed).map_err(|error| MessageError::NotOurs(format!("zstd: {error}")))?;
    Ok(RecordBatch::read(&text)?)
}

fn unpacked(packed: &[u8]) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let most = crate::limits::BATCH_TEXT_BYTES_MAX as u64;
    let read = zstd::stream::read::Decoder::new(packed)?.take(most + 1).read_to_string(&mut text)?;
    if read as u64 > most {
        return Err(std::io::Error::other(format!("more than {most} bytes")));
    }
    Ok(text)
}
