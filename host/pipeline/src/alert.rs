//! A finding that we stored and owe delivery.

use crate::limits::MERGE_MEMBERS;
use crate::log_record::{Position, Source, short_id};
use crate::time::Millis;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use streamalert_packed::Record;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        use Severity::{Critical, High, Info, Low, Medium};
        [Info, Low, Medium, High, Critical]
            .into_iter()
            .find(|severity| severity.name() == name)
            .ok_or_else(|| format!("`{name}` is no severity; write one of {}", Self::NAMES.join(", ")))
    }
}

impl Severity {
    pub const NAMES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// How alerts of one rule are folded into one: by equal values under `by`, within `minutes` of the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// Paths, looked for at any depth of the record, in lists too. Empty: by the finding's dedup key.
    #[serde(default)]
    pub by: Vec<String>,
    pub minutes: u32,
    /// Which times lie within the window.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on: MergeOn,
    /// What becomes of the first alert of a group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first: MergeFirst,
    /// Alerts in one merged alert; so many are sent at once, without waiting for the end of the window.
    #[serde(default = "Merge::default_max", skip_serializing_if = "Merge::is_default_max")]
    pub max: u32,
    /// Fewer than so many within the window are no alert: they are kept for search, and nobody is told. So many are sent at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u32>,
}

impl Merge {
    pub fn new(by: impl IntoIterator<Item = impl Into<String>>, minutes: u32) -> Self {
        Merge {
            by: by.into_iter().map(Into::into).collect(),
            minutes,
            on: MergeOn::default(),
            first: MergeFirst::default(),
            max: MERGE_MEMBERS,
            threshold: None,
        }
    }

    fn default_max() -> u32 {
        MERGE_MEMBERS
    }

    fn is_default_max(max: &u32) -> bool {
        *max == MERGE_MEMBERS
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which time of an alert the merge window is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeOn {
    /// When the alert was raised.
    #[default]
    Arrival,
    /// When the log says it happened; of an alert without such a time, when it was raised.
    Event,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeFirst {
    /// Waits for the others.
    #[default]
    Wait,
    /// Is sent at once as it is; those after it are merged.
    Send,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Derived from rule and record, so that the same input twice is the same alert.
    pub id: String,
    pub rule_name: String,
    pub title: String,
    pub severity: Severity,
    pub rule_description: String,
    /// RFC 3339, UTC: when the rules engine raised it.
    pub created: String,
    /// The time the log itself names, as written there.
    pub event_time: Option<String>,
    pub cluster: String,
    /// Full log type, `cloudtrail:events`.
    pub log_source: String,
    /// Parser, `json`.
    pub log_type: String,
    pub source: Source,
    pub position: Position,
    pub outputs: Vec<String>,
    pub publishers: Value,
    pub merge: Option<Merge>,
    pub dedup_key: Option<String>,
    pub tags: Vec<String>,
    pub references: Vec<String>,
    pub context: Map<String, Value>,
    pub record: RecordText,
    pub staged: bool,
    /// What it has to do with a version on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// SHA-256 of the component that raised it.
    pub component_digest: String,
    pub host_version: String,
    /// Fuel of the call that raised it, divided by the rows of that call: the rule's cost per record.
    pub fuel: u64,
}

/// A version of a rule on trial, and what an alert says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// SHA-256 of the component, hex.
    pub digest: String,
    /// When the trial began; milliseconds since 1970.
    pub since: Millis,
    pub hit: Hit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hit {
    /// There is no other version of the rule that is live.
    Alone,
    /// Only the version on trial has found it.
    New,
    /// Both have.
    Same,
    /// Only the live version has; the alert is the live version's.
    Lost,
}

/// Under this key of its context, an alert on trial says in the archive which version has raised it, and what kind of hit it is.
pub const TRIAL_KEY: &str = "streamalert:trial";

impl Alert {
    /// Makes it one that is kept for searching, and nobody is told of.
    pub fn put_on_trial(&mut self, trial: Trial) {
        self.staged = true;
        self.context.insert(TRIAL_KEY.into(), serde_json::json!({"digest": trial.digest, "hit": trial.hit}));
        self.trial = Some(trial);
    }
}

impl Hit {
    pub fn name(self) -> &'static str {
        match self {
            Hit::Alone => "alone",
            Hit::New => "new",
            Hit::Same => "same",
            Hit::Lost => "lost",
        }
    }
}

/// A record as JSON text: an alert carries it along, and hardly anybody takes it apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordText(String);

impl RecordText {
    pub fn of(record: Record<'_>) -> Self {
        RecordText(record.to_json())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The record taken apart.
    pub fn to_value(&self) -> Value {
        // Numbers beyond a double are valid JSON, but not for serde's types: only then is the text all there is.
        serde_json::from_str(&self.0).unwrap_or_else(|_| Value::String(self.0.clone()))
    }
}

impl From<Value> for RecordText {
    fn from(value: Value) -> Self {
        RecordText(value.to_string())
    }
}

impl Serialize for RecordText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.0) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RecordText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(RecordText(raw.get().to_owned()))
    }
}

/// The id of the alert that `rule` raises on the record of this identity. The component's digest is no part of it: a
/// reloaded rule does not raise the same thing again.
pub fn alert_id(rule: &str, identity: &[u8; 32]) -> String {
    let mut hash = Sha256::new();
    hash.update((rule.len() as u64).to_le_bytes());
    hash.update(rule);
    hash.update(identity);
    short_id(&hash.finalize())
}

/// The id of what a version on trial beside the live one has found: neither stands for the other.
pub fn trial_id(alert_id: &str, digest: &str) -> String {
    short_id(&Sha256::new().chain_update("trial").chain_update(digest).chain_update(alert_id).finalize())
}

/// An alert for tests of the stages.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) fn alert() -> Alert {
        Alert {
            id: "id1".into(),
            rule_name: "root_login".into(),
            title: "Root signed in".into(),
            severity: Severity::High,
            rule_description: "The root user should never sign in.".into(),
            created: "2026-01-02T03:04:05.678Z".into(),
            event_time: None,
            cluster: "prod".into(),
            log_source: "cloudtrail:events".into(),
            log_type: "json".into(),
            source: Source::new("s3", "bucket-1", "a.json"),
            position: Position { offset: 0, length: 2, index: 0 },
            outputs: vec!["slack:security".into()],
            publishers: Value::Null,
            merge: None,
            dedup_key: None,
            tags: vec![],
            references: vec![],
            context: Map::new(),
            record: serde_json::json!({"user": "bob", "ip": "1.1.1.1"}).into(),
            staged: false,
            trial: None,
            component_digest: "00".into(),
            host_version: "0".into(),
            fuel: 1,
        }
    }
}
