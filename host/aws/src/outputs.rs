//! Outputs of AWS that StreamAlert delivers to itself. Each file is one service: what it asks of the operator, what an alert
//! becomes there, what it takes at once.
//!
//! What is wrong with an alert is refused; what is wrong with the installation (permissions, a queue that is not there yet, keys)
//! is tried again, since it is delivered as soon as somebody has mended it.

mod cloudwatch_log;
mod eventbridge;
mod firehose;
mod lambda;
mod s3;
mod securityhub;
mod ses;
mod sns;
mod sqs;
#[cfg(test)]
mod tests;

use crate::call::{chain, kind_of};
use crate::claim_check::Claim;
use crate::limits::{ATTEMPTS_MAX, OUTPUT_ATTEMPT, RETRY_FIRST};
use crate::objects::Bucket;
use crate::signed::CallError;
use crate::{Aws, Names};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::sync::Arc;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::batches::{BatchLimits, batches};
use streamalert_pipeline::plugin::{
    Disposition, OutputInfo, OutputOptions, OutputPlugin, Outside, Parcel, PluginError, Setting, SettingFault,
};

/// All of them. What is too large to travel lies in the data bucket.
pub fn outputs(aws: &Arc<Aws>, names: &Names) -> Vec<Arc<dyn OutputPlugin>> {
    all(Some(&Desk { aws: aws.clone(), claims: Bucket::new(aws, names.data_bucket()) }))
}

/// The same without a way to AWS: they tell of themselves and check settings, and deliver nothing.
pub fn offline() -> Vec<Arc<dyn OutputPlugin>> {
    all(None)
}

fn all(desk: Option<&Desk>) -> Vec<Arc<dyn OutputPlugin>> {
    fn one<S: Service>(service: S, desk: Option<&Desk>) -> Arc<dyn OutputPlugin> {
        Arc::new(Native { info: S::info(), service, desk: desk.cloned() })
    }
    vec![
        one(firehose::Firehose, desk),
        one(s3::S3, desk),
        one(sns::Sns, desk),
        one(sqs::Sqs::default(), desk),
        one(lambda::Lambda, desk),
        one(ses::Ses, desk),
        one(cloudwatch_log::CloudWatchLog, desk),
        one(eventbridge::EventBridge, desk),
        one(securityhub::SecurityHub, desk),
    ]
}

/// Kind of what lies in the bucket until somebody has fetched it.
const PASSING: &str = "alerts";

/// What all of them work with.
#[derive(Clone)]
struct Desk {
    aws: Arc<Aws>,
    claims: Bucket,
}

impl Desk {
    /// Puts what is too large into the data bucket. The JSON object travels instead: who the alert is, and where it lies.
    async fn claim(&self, kind: &str, alert: &Alert, text: String) -> Result<String, CallError> {
        let claim = Claim::check_in(&self.claims, kind, text.into_bytes()).await.map_err(stored)?;
        let pointer = json!({
            "id": alert.id, "rule_name": alert.rule_name, "severity": alert.severity, "created": alert.created,
            "cluster": alert.cluster, "log_source": alert.log_source, "streamalert:claim": claim,
        });
        Ok(pointer.to_string())
    }

    /// The text, or what travels instead of it.
    async fn fitting(&self, alert: &Alert, text: String, most: usize) -> Result<String, CallError> {
        if text.len() <= most { Ok(text) } else { self.claim(PASSING, alert, text).await }
    }
}

/// Whatever becomes of the alert, S3 not taking it is no fault of it.
fn stored(error: BackendError) -> CallError {
    let cause = error.source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
    CallError::new("", None, format!("{}{cause}", error.action))
}

/// One service.
trait Service: Send + Sync + 'static {
    /// It takes many at the cost of one.
    const BULK: bool;

    fn info() -> OutputInfo;

    /// What is wrong with settings that are there; calls nobody.
    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>);

    /// Answers for each letter.
    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers);
}

/// What a service asks of the operator. Nothing of it is secret.
struct Asked {
    name: &'static str,
    required: bool,
    description: &'static str,
}

const fn required(name: &'static str, description: &'static str) -> Asked {
    Asked { name, required: true, description }
}

const fn optional(name: &'static str, description: &'static str) -> Asked {
    Asked { name, required: false, description }
}

/// Of services that may lie in another region.
const REGION: Asked = optional("region", "region of it, if it is not StreamAlert's own");

fn info(service: &str, description: &str, asked: &[Asked], options: OutputOptions) -> OutputInfo {
    let setting = |asked: &Asked| Setting {
        name: asked.name.into(),
        description: asked.description.into(),
        secret: false,
        required: asked.required,
    };
    OutputInfo {
        service: service.into(),
        description: description.into(),
        settings: asked.iter().map(setting).collect(),
        hosts: Vec::new(),
        options,
    }
}

struct Settings<'a>(&'a [(String, String)]);

impl<'a> Settings<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Of a setting without which nothing is delivered.
    fn required(&self, name: &str) -> &'a str {
        self.get(name).unwrap_or_default()
    }

    /// A fault, if the value is there and is not as it should be.
    fn expect(&self, name: &str, faults: &mut Vec<SettingFault>, fits: impl Fn(&str) -> bool, what: &str) {
        if self.get(name).is_some_and(|value| !fits(value)) {
            faults.push(SettingFault { setting: name.into(), message: format!("is {what}") });
        }
    }

    fn expect_region(&self, faults: &mut Vec<SettingFault>) {
        let fits = |region: &str| region.contains('-') && is_made_of(region, 1..=32, "-");
        self.expect(REGION.name, faults, fits, "a region, as in eu-west-1");
    }
}

/// Letters, digits and some other characters, so many.
fn is_made_of(text: &str, length: std::ops::RangeInclusive<usize>, others: &str) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

/// `arn:aws:sns:us-east-1:123456789012:topic`, taken apart.
struct Arn<'a> {
    region: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str, service: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (arn, partition, of, region, account, resource) = (next()?, next()?, next()?, next()?, next()?, next()?);
        (arn == "arn" && partition.starts_with("aws") && of == service && is_account(account))
            .then_some(Arn { region, resource })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An alert on its way.
struct Letter<'a> {
    /// In its batch.
    place: usize,
    parcel: &'a Parcel,
    alert: Alert,
    /// The alert as the publishers left it.
    publication: Map<String, Value>,
}

impl Letter<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.publication.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The record as the publishers left it, as JSON.
    fn record(&self) -> String {
        self.publication.get("record").unwrap_or(&Value::Null).to_string()
    }

    /// What a publisher put under a key of the service: a text as it is, all else as JSON.
    fn published(&self, key: &str) -> Option<String> {
        self.publication.get(key).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// What came of each letter of a batch. Kept beside the work, which may be broken off.
struct Answers(RefCell<Vec<Option<Disposition>>>);

impl Answers {
    fn delivered(&self, place: usize, receipt: impl Into<Option<String>>) {
        self.put(place, Disposition::Delivered(receipt.into()));
    }

    fn failed(&self, place: usize, error: &CallError) {
        self.put(place, disposition(error));
    }

    fn put(&self, place: usize, disposition: Disposition) {
        self.0.borrow_mut()[place] = Some(disposition);
    }
}

fn retry(reason: impl Into<String>) -> Disposition {
    Disposition::Retry { reason: reason.into(), after: None, progress: None }
}

fn disposition(error: &CallError) -> Disposition {
    if is_refusal(error) { Disposition::Reject(error.to_string()) } else { retry(error.to_string()) }
}

/// Codes of the installation's faults, beside those that all services have; some come with a status that would blame the alert.
const INSTALLATION: [&str; 15] = [
    "AuthorizationError",
    "InvalidAccessException",
    "OptInRequired",
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "InvalidSecurity",
    "EndpointDisabled",
    "AccountSuspendedException",
    "SendingPausedException",
    "MailFromDomainNotVerifiedException",
    "InvalidKMSResourceException",
    "InternalFailure",
    "InternalException",
];

/// It is about this alert, and no use to try again.
fn is_refusal(error: &CallError) -> bool {
    let status = error.status.unwrap_or(500);
    let of_request = (400..500).contains(&status) && ![401, 403, 404, 408, 409, 429].contains(&status);
    let code = error.code.rsplit(['#', '.']).next().unwrap_or_default();
    let of_installation =
        kind_of(code) != BackendErrorKind::Other || code.starts_with("KMS") || INSTALLATION.contains(&code);
    of_request && !of_installation
}

/// In the words of calls that are signed by hand.
fn sdk<E>(error: SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let message = match error.message() {
        Some(message) => message.to_owned(),
        None => chain(&error),
    };
    CallError::new(code, status, message)
}

/// One letter's part of a call.
struct Entry<T> {
    place: usize,
    /// As the service counts them.
    bytes: usize,
    item: T,
}

/// Entries in as few calls as take them. Those that failed and may pass go again, alone; of a call that is refused as a whole,
/// each goes by itself, so that only the one at fault is lost.
async fn in_calls<T: Clone>(
    limits: &BatchLimits,
    mut entries: Vec<Entry<T>>,
    answers: &Answers,
    call: impl AsyncFn(Vec<T>) -> Result<Vec<Result<Option<String>, CallError>>, CallError>,
) {
    let mut pause = RETRY_FIRST;
    for attempt in 1..=ATTEMPTS_MAX {
        let cut = batches(entries.iter().map(|entry| entry.bytes), limits);
        for at in cut.oversize {
            let message = format!("it has {} bytes, more than the service takes", entries[at].bytes);
            answers.put(entries[at].place, Disposition::Reject(message));
        }
        let mut calls = cut.batches;
        calls.reverse();
        let mut again = Vec::new();
        while let Some(batch) = calls.pop() {
            let items = batch.iter().map(|at| entries[*at].item.clone()).collect();
            match call(items).await {
                Err(error) if batch.len() > 1 && is_refusal(&error) => {
                    calls.extend(batch.into_iter().rev().map(|at| vec![at]));
                }
                Err(error) => batch.iter().for_each(|at| answers.failed(entries[*at].place, &error)),
                Ok(results) => {
                    let mut results = results.into_iter();
                    for at in batch {
                        let silent = || Err(CallError::new("", None, "the service does not say what became of it"));
                        match results.next().unwrap_or_else(silent) {
                            Ok(receipt) => answers.delivered(entries[at].place, receipt),
                            Err(error) => {
                                answers.failed(entries[at].place, &error);
                                if !is_refusal(&error) {
                                    again.push(at);
                                }
                            }
                        }
                    }
                }
            }
        }
        if again.is_empty() || attempt == ATTEMPTS_MAX {
            return;
        }
        again.sort_unstable();
        let mut number = 0;
        entries.retain(|_| {
            number += 1;
            again.binary_search(&(number - 1)).is_ok()
        });
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// A text as it may travel in messages of SNS and SQS, which are XML underneath. JSON stays JSON.
fn legal(text: &str) -> String {
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(fits) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        match c {
            c if fits(c) => out.push(c),
            '\u{fffe}' => out.push_str("\\ufffe"),
            '\u{ffff}' => out.push_str("\\uffff"),
            _ => out.push('\u{fffd}'),
        }
        out
    })
}

struct Native<S> {
    info: OutputInfo,
    service: S,
    desk: Option<Desk>,
}

impl<S: Service> Native<S> {
    fn faults(&self, settings: &[(String, String)]) -> Vec<SettingFault> {
        let settings = Settings(settings);
        let missing = self.info.settings.iter().filter(|asked| asked.required && settings.get(&asked.name).is_none());
        let missing = missing.map(|asked| SettingFault { setting: asked.name.clone(), message: "is missing".into() });
        let mut faults: Vec<SettingFault> = missing.collect();
        S::check(&settings, &mut faults);
        faults
    }

    async fn send(&self, desk: &Desk, parcels: &[Parcel], answers: &Answers) {
        let mut letters = Vec::with_capacity(parcels.len());
        for (place, parcel) in parcels.iter().enumerate() {
            let publication = serde_json::from_str(&parcel.publication);
            match publication.and_then(|publication| Ok((publication, serde_json::from_str(&parcel.alert)?))) {
                Ok((publication, alert)) => letters.push(Letter { place, parcel, alert, publication }),
                Err(error) => answers.put(place, Disposition::Reject(format!("the alert cannot be read: {error}"))),
            }
        }
        let Some(first) = parcels.first() else { return };
        // All are of one descriptor.
        self.service.send(desk, &Settings(&first.settings), &letters, answers).await;
    }
}

impl<S: Service> OutputPlugin for Native<S> {
    fn name(&self) -> &str {
        "streamalert"
    }

    fn digest(&self) -> &str {
        ""
    }

    fn info(&self) -> &OutputInfo {
        &self.info
    }

    fn validate(&self, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(self.faults(settings))
    }

    fn deliver(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        self.deliver_all(std::slice::from_ref(parcel), outside).remove(0)
    }

    fn in_bulk(&self) -> bool {
        S::BULK
    }

    fn deliver_all(&self, parcels: &[Parcel], outside: &Arc<dyn Outside>) -> Vec<Result<Disposition, PluginError>> {
        let all = |disposition: Disposition| parcels.iter().map(|_| Ok(disposition.clone())).collect();
        let Some(first) = parcels.first() else { return Vec::new() };
        let Some(desk) = &self.desk else {
            return all(retry(format!("{} is delivered where StreamAlert runs on AWS", self.info.service)));
        };
        let faults = self.faults(&first.settings);
        if !faults.is_empty() {
            let told: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.setting, fault.message)).collect();
            return all(retry(format!("the settings in outputs.json: {}", told.join("; "))));
        }
        let answers = Answers(RefCell::new(vec![None; parcels.len()]));
        let patience = outside.time_left().unwrap_or(OUTPUT_ATTEMPT);
        let sending = async { tokio::time::timeout(patience, self.send(desk, parcels, &answers)).await };
        // What was answered before the time was over counts.
        let late = desk.aws.wait(sending).is_err();
        let silent = || match late {
            true => retry(format!("{} took longer than {:.0} s", self.info.service, patience.as_secs_f64())),
            false => retry("the output does not say what became of it"),
        };
        answers.0.into_inner().into_iter().map(|answer| Ok(answer.unwrap_or_else(silent))).collect()
    }
}
