//! What a rule reports.

use serde_json::{Map, Value};

/// How bad it is, after the reader has to decide what to look at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// A report about one record, for rules that say more than yes. Every part may be left out; the rule's options apply then.
///
/// ```
/// # use streamalert_sdk::prelude::*;
/// let finding = Finding::new("Root logged in without MFA")
///     .severity(Severity::Critical)
///     .dedup_key("123456789012")
///     .context("account", "123456789012")
///     .output("pagerduty:soc");
/// assert_eq!(finding.severity, Some(Severity::Critical));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// `None`: the rule's name.
    pub title: Option<String>,
    /// `None`: the severity in the rule's options.
    pub severity: Option<Severity>,
    /// Alerts of one rule with one key belong together. `None`: every record is its own.
    pub dedup_key: Option<String>,
    /// Laid over the context in the rule's options.
    pub context: Map<String, Value>,
    /// Besides the outputs in the rule's options.
    pub outputs: Vec<String>,
}

impl Finding {
    /// A finding under this title. [`Finding::default`] has none and goes by the rule's name.
    pub fn new(title: impl Into<String>) -> Self {
        Finding { title: Some(title.into()), ..Finding::default() }
    }

    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Alerts of this rule with the same key belong together.
    pub fn dedup_key(mut self, key: impl Into<String>) -> Self {
        self.dedup_key = Some(key.into());
        self
    }

    /// Adds one entry to what goes with the alert; the same key again replaces it.
    pub fn context(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Sends the alert to one more output, written `service:descriptor`. What is none is told to the operator; the alert's other
    /// outputs get it.
    pub fn output(mut self, output: impl Into<String>) -> Self {
        self.outputs.push(output.into());
        self
    }
}
