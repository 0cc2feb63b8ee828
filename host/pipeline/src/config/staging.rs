//! `rule_staging.json`: which rules begin on trial, for how long, and what ends a trial.

use super::{ConfigFault, ConfigFaults};
use crate::config::output::Outputs;
use crate::schedule::Schedule;
use crate::time::{Millis, duration};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where it stands in a configuration.
pub const FILE: &str = "rule_staging.json";
/// Days of the longest window: what trials are counted by is kept for a while longer.
pub const WINDOW_DAYS_MAX: i64 = 365;
const DAY: Millis = 24 * 60 * 60 * 1000;

/// What becomes of rules that are new or changed, and of those on trial.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleStaging {
    pub enabled: bool,
    #[serde(deserialize_with = "window")]
    pub window: Millis,
    /// Alerts that a trial may raise, and still be promoted.
    pub threshold: u64,
    pub changed: Changed,
    pub new: New,
    /// By name of the rule: what is otherwise about it.
    pub rules: BTreeMap<String, RuleTrial>,
    pub digest: Option<DigestSettings>,
}

impl Default for RuleStaging {
    fn default() -> Self {
        RuleStaging {
            enabled: true,
            window: 2 * DAY,
            threshold: 0,
            changed: Changed::default(),
            new: New::default(),
            rules: BTreeMap::new(),
            digest: None,
        }
    }
}

/// What becomes of the rules of a component that has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Changed {
    /// The version before stays live, and the new one is on trial beside it.
    #[default]
    Shadow,
    /// The new version is on trial alone.
    Stage,
    /// The new version is live.
    Live,
}

/// What becomes of rules that were not there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum New {
    #[default]
    Stage,
    Live,
}

/// What is otherwise about one rule.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleTrial {
    #[serde(deserialize_with = "some_window")]
    pub window: Option<Millis>,
    pub threshold: Option<u64>,
    pub changed: Option<Changed>,
    pub new: Option<New>,
    /// `false`: its trials end by hand only.
    pub promote: Option<bool>,
}

/// When somebody is told how trials stand, and where.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestSettings {
    /// On AWS, the schedule is the installation's.
    #[serde(default = "daily")]
    pub schedule: Schedule,
    /// `service:descriptor`
    #[serde(default)]
    pub output: Option<String>,
    /// Also to the log.
    #[serde(default = "yes")]
    pub log: bool,
}

fn yes() -> bool {
    true
}

impl RuleStaging {
    /// Reads the file, and names every fault there is.
    pub fn read(file: &str, text: &str) -> Result<RuleStaging, ConfigFaults> {
        let fault = |path: &str, message: String| ConfigFault { file: file.to_owned(), path: path.to_owned(), message };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| ConfigFaults(vec![fault("", format!("is no JSON: {error}"))]))?;
        if !value.is_object() {
            return Err(ConfigFaults(vec![fault("", "is no JSON object; write {\"enabled\": true}".into())]));
        }
        let read: RuleStaging = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            ConfigFaults(vec![fault(if path == "." { "" } else { &path }, error.inner().to_string())])
        })?;
        Ok(read)
    }

    /// What is wrong with it beside these outputs.
    pub fn faults(&self, file: &str, outputs: &Outputs) -> Vec<ConfigFault> {
        let output = self.digest.as_ref().and_then(|digest| digest.output.as_ref());
        let message = output.and_then(|output| outputs.unknown(output));
        let fault = |message| ConfigFault { file: file.to_owned(), path: "digest.output".into(), message };
        message.map(fault).into_iter().collect()
    }

    fn of(&self, rule: &str) -> Option<&RuleTrial> {
        self.rules.get(rule)
    }

    pub fn window(&self, rule: &str) -> Millis {
        self.of(rule).and_then(|own| own.window).unwrap_or(self.window)
    }

    pub fn threshold(&self, rule: &str) -> u64 {
        self.of(rule).and_then(|own| own.threshold).unwrap_or(self.threshold)
    }

    pub fn changed(&self, rule: &str) -> Changed {
        self.of(rule).and_then(|own| own.changed).unwrap_or(self.changed)
    }

    pub fn new_rule(&self, rule: &str) -> New {
        self.of(rule).and_then(|own| own.new).unwrap_or(self.new)
    }

    pub fn promotes(&self, rule: &str) -> bool {
        self.of(rule).and_then(|own| own.promote).unwrap_or(true)
    }
}

fn checked(text: &str) -> Result<Millis, String> {
    let window = duration(text)?;
    match window <= WINDOW_DAYS_MAX * DAY {
        true => Ok(window),
        false => Err(format!("`{text}` is longer than {WINDOW_DAYS_MAX} days, for which trials are counted")),
    }
}

fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    checked(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn some_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    window(deserializer).map(Some)
}

/// As the original has it.
fn daily() -> Schedule {
    Schedule::read("cron(30 13 * * ? *)").unwrap_or_else(|error| unreachable!("it is a schedule: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RuleStaging {
        RuleStaging::read(FILE, text).unwrap()
    }

    #[test]
    fn what_a_rule_says_of_itself_counts_before_what_is_said_of_all() {
        let all = read("{}");
        assert_eq!((all.enabled, all.window, all.threshold), (true, 48 * 3_600_000, 0));
        assert_eq!((all.changed("a"), all.new_rule("a"), all.promotes("a")), (Changed::Shadow, New::Stage, true));
        let some = read(
            r#"{"window": "7d", "threshold": 3, "changed": "stage",
                "rules": {"a": {"window": "90m", "changed": "live", "new": "live"}, "b": {"threshold": 0, "promote": false}}}"#,
        );
        assert_eq!((some.window("a"), some.threshold("a"), some.changed("a")), (90 * 60_000, 3, Changed::Live));
        assert_eq!((some.window("b"), some.threshold("b"), some.changed("b")), (7 * DAY, 0, Changed::Stage));
        assert_eq!((some.new_rule("a"), some.new_rule("b")), (New::Live, New::Stage));
        assert!(some.promotes("a") && !some.promotes("b"));
    }

    #[test]
    fn faults_are_named_with_their_place() {
        for (text, told) in [
            ("[", "rule_staging.json: is no JSON"),
            ("[]", "is no JSON object"),
            (r#"{"window": "soon"}"#, "window: `soon` is no time"),
            (r#"{"window": "400d"}"#, "window: `400d` is longer than 365 days"),
            (r#"{"window": 48}"#, "window: invalid type"),
            (r#"{"threshold": -1}"#, "threshold: invalid value"),
            (r#"{"rules": {"a": {"changed": "quiet"}}}"#, "rules.a.changed: unknown variant `quiet`"),
            (r#"{"colour": 1}"#, "unknown field `colour`"),
            (r#"{"digest": {"schedule": "daily"}}"#, "digest.schedule: `daily` is no schedule"),
        ] {
            let error = RuleStaging::read(FILE, text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        let digest = read(r#"{"digest": {"output": "slack:soc"}}"#);
        assert!(digest.faults(FILE, &Outputs::default())[0].to_string().contains("digest.output: `slack:soc`"));
        let outputs = Outputs::read("o", r#"{"slack": ["soc"]}"#).unwrap();
        assert_eq!(digest.faults(FILE, &outputs), []);
        assert_eq!(digest.digest.unwrap().schedule.as_str(), "cron(30 13 * * ? *)");
    }
}
