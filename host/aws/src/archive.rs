//! Records kept for search: lines of JSON through Firehose, a stream for each log type.

use crate::Aws;
use crate::call::{at_once, failed, kind_of};
use crate::claim_check::Claim;
use crate::limits::{ATTEMPTS_MAX, CALLS_AT_ONCE, FIREHOSE_PACKED_BYTES, FIREHOSE_RECORD_BYTES_MAX, RETRY_FIRST};
use crate::objects::Bucket;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_pipeline::archive::line::Lines;
use streamalert_pipeline::archive::stream_name;
use streamalert_pipeline::backend::{BackendError, RecordArchive};
use streamalert_pipeline::batches::{BatchLimits, batches};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::record_batch::RecordBatch;

const ACTION: &str = "put records into the archive";
/// What stands for a text that is too large for a stream, and says where it lies.
const CLAIM: &str = "streamalert:claim";

pub struct FirehoseArchive {
    aws: Arc<Aws>,
    /// Of the streams' names.
    prefix: String,
    /// Log types that are kept, by source or in full; `*` is all of them.
    logs: Vec<String>,
    claims: Bucket,
    lines: Mutex<LinesOf>,
}

/// How the lines of each log type are made, by these schemas.
#[derive(Default)]
struct LinesOf {
    schemas: Arc<Schemas>,
    known: HashMap<String, Arc<Lines>>,
}

impl FirehoseArchive {
    pub fn new(aws: &Arc<Aws>, prefix: impl Into<String>, logs: Vec<String>, claims: Bucket) -> Self {
        FirehoseArchive { aws: aws.clone(), prefix: prefix.into(), logs, claims, lines: Mutex::default() }
    }

    /// From now on these say which columns there are.
    pub fn set_schemas(&self, schemas: &Arc<Schemas>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&lines.schemas, schemas) {
            *lines = LinesOf { schemas: schemas.clone(), known: HashMap::new() };
        }
    }

    fn lines(&self, log_type: &str) -> Arc<Lines> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lines.known.get(log_type) {
            return known.clone();
        }
        let made = Arc::new(lines.schemas.get(log_type).map_or_else(Lines::unknown, |log_type| Lines::of(log_type)));
        lines.known.insert(log_type.to_owned(), made.clone());
        made
    }

    fn keeps(&self, log_type: &str) -> bool {
        let source = log_type.split_once(':').map_or(log_type, |(source, _)| source);
        self.logs.iter().any(|log| log == "*" || log == log_type || log == source)
    }

    pub async fn put_all(&self, all: &[RecordBatch]) -> Vec<Result<(), BackendError>> {
        let kept: Vec<(usize, RecordBatch, Arc<Lines>)> = all
            .iter()
            .enumerate()
            .filter(|(_, batch)| self.keeps(&batch.log_type))
            .map(|(number, batch)| (number, batch.clone(), self.lines(&batch.log_type)))
            .collect();
        let (aws, prefix, claims) = (self.aws.clone(), self.prefix.clone(), self.claims.clone());
        let done = at_once(CALLS_AT_ONCE, kept, move |(number, batch, lines)| {
            let (aws, claims) = (aws.clone(), claims.clone());
            let stream = stream_name(&prefix, &batch.log_type);
            async move { (number, put(aws, stream, batch, &lines, &claims).await) }
        })
        .await;
        let mut results: Vec<Result<(), BackendError>> = all.iter().map(|_| Ok(())).collect();
        for (number, result) in done {
            results[number] = result;
        }
        results
    }
}

impl RecordArchive for FirehoseArchive {
    fn put(&self, batches: &[RecordBatch]) -> Vec<Result<(), BackendError>> {
        self.aws.wait(self.put_all(batches))
    }
}

async fn put(
    aws: Arc<Aws>,
    stream: String,
    batch: RecordBatch,
    lines: &Lines,
    claims: &Bucket,
) -> Result<(), BackendError> {
    let mut texts = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        let mut line = lines.line(&batch, record);
        // What stands in columns stands in the record, too.
        if is_too_large(&line) {
            line = lines.about(&batch, record, &record.json);
        }
        if is_too_large(&line) {
            line = lines.about(&batch, record, &pointer(claims, record.json.clone()).await?);
        }
        texts.push(line);
    }
    put_texts(&aws, &stream, texts).await
}

/// Alerts into their stream. Of one that is too large for it the record lies in S3, and a pointer is in its place.
pub async fn put_alerts(
    aws: &Arc<Aws>,
    stream: &str,
    alerts: impl Iterator<Item = Map<String, Value>>,
    claims: &Bucket,
) -> Result<(), BackendError> {
    let mut lines = Vec::new();
    for mut alert in alerts {
        let mut line = Value::Object(alert.clone()).to_string();
        for part in ["record", "context"] {
            if is_too_large(&line)
                && let Some(value) = alert.get_mut(part)
            {
                *value = pointer(claims, value.to_string()).await?.into();
                line = Value::Object(alert.clone()).to_string();
            }
        }
        lines.push(line);
    }
    put_texts(aws, stream, lines).await
}

/// With its line break.
fn is_too_large(line: &str) -> bool {
    line.len() + 1 > FIREHOSE_RECORD_BYTES_MAX
}

/// JSON that says where the text lies.
async fn pointer(claims: &Bucket, text: String) -> Result<String, BackendError> {
    let claim = Claim::check_in(claims, "archive", text.into_bytes()).await?;
    Ok(json!({ CLAIM: claim }).to_string())
}

/// Lines into a stream, as many to a call as it takes.
async fn put_texts(aws: &Arc<Aws>, stream: &str, lines: Vec<String>) -> Result<(), BackendError> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        let mut line = line.into_bytes();
        line.push(b'\n');
        match records.last_mut() {
            Some(last) if last.len() + line.len() <= FIREHOSE_PACKED_BYTES => last.append(&mut line),
            _ => records.push(line),
        }
    }
    let cut = batches(records.iter().map(Vec::len), &BatchLimits::ARCHIVE);
    let mut records: Vec<Option<Blob>> = records.into_iter().map(|record| Some(Blob::new(record))).collect();
    let calls: Vec<Vec<Blob>> =
        cut.batches.iter().map(|call| call.iter().filter_map(|at| records[*at].take()).collect()).collect();
    if let Some(left) = records.iter().flatten().next() {
        let message = format!("a line of {} bytes is more than a stream takes", left.as_ref().len());
        return Err(BackendError::other(format!("{ACTION} by the stream {stream}"), message));
    }
    let (client, stream) = (aws.firehose.clone(), stream.to_owned());
    let done = at_once(CALLS_AT_ONCE, calls, move |call| put_call(client.clone(), stream.clone(), call)).await;
    done.into_iter().collect()
}

/// One call; the records of it that fail go again alone.
async fn put_call(client: aws_sdk_firehose::Client, stream: String, mut call: Vec<Blob>) -> Result<(), BackendError> {
    let action = || format!("{ACTION} by the stream {stream}");
    let mut pause = RETRY_FIRST;
    for attempt in 1.. {
        let mut request = client.put_record_batch().delivery_stream_name(&stream);
        for data in &call {
            let record = Record::builder().data(data.clone()).build();
            request = request.records(record.map_err(|error| BackendError::other(action(), error))?);
        }
        let answer = request.send().await.map_err(|error| failed(&action(), error))?;
        if answer.failed_put_count == 0 {
            return Ok(());
        }
        // Answers stand in the order of the records; a record without one counts as refused.
        let mut codes = Vec::new();
        let mut rest = Vec::new();
        for (place, data) in call.into_iter().enumerate() {
            match answer.request_responses.get(place) {
                Some(entry) if entry.error_code.is_none() => {}
                entry => {
                    codes.push(entry.and_then(|entry| entry.error_code.clone()).unwrap_or_default());
                    rest.push(data);
                }
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        if attempt == ATTEMPTS_MAX {
            let code = codes.first().cloned().unwrap_or_default();
            let message = format!("{} records were refused: {code}", rest.len());
            return Err(BackendError { kind: kind_of(&code), action: action(), source: Some(message.into()) });
        }
        call = rest;
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}
