//! `outputs.json`: where alerts go, and which go there when their rule says nothing.

use super::{ConfigFault, ConfigFaults};
use crate::alert::Severity;
use crate::limits::ALERT_OUTPUTS_MAX;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The key of the file that is no service.
const DEFAULTS: &str = "defaults";
/// Bytes of a descriptor: it becomes part of keys and metrics.
const DESCRIPTOR_BYTES_MAX: usize = 64;

/// All of `outputs.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// By `service:descriptor`.
    pub configured: BTreeMap<String, OutputConfig>,
    pub defaults: Vec<DefaultOutputs>,
    /// Gets every alert, whatever rules and defaults say. No part of the file, as the next.
    pub archive: Option<String>,
    pub place: Place,
}

/// Where alerts are delivered from: some services are to be had in one place only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// That is not known, or does not matter.
    #[default]
    Any,
    Machine,
    Aws,
}

/// What the operator says of one descriptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Those that are not secret; numbers and booleans count as their text.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// Hosts the output may call: `hooks.slack.com`, `*.example.com`; `http://host` permits calls without TLS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The hosts may have addresses of private networks and of this machine.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private_networks: bool,
    /// Deliveries a second at most; without it, what the output says, or 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Deliveries at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u16>,
    /// Attempts after which a delivery is given up; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Seconds one delivery may take; without it, 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Bytes of an answer that are read; without it, 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u32>,
}

impl OutputConfig {
    /// The settings as outputs get them.
    pub fn settings(&self) -> Vec<(String, String)> {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.settings.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

/// Outputs that alerts get without their rule's doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultOutputs {
    pub outputs: Vec<String>,
    /// Only alerts of these clusters; empty: of all.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Only alerts of this severity and above.
    #[serde(default)]
    pub severity: Lowest,
    /// Also alerts whose rule or finding names outputs.
    #[serde(default)]
    pub always: bool,
}

/// The lowest severity that counts; without one, all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lowest(pub Severity);

impl Default for Lowest {
    fn default() -> Self {
        Lowest(Severity::Info)
    }
}

impl Outputs {
    /// Reads the file, and names every fault there is.
    pub fn read(file: &str, text: &str) -> Result<Outputs, ConfigFaults> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, message: String| {
            faults.push(ConfigFault { file: file.to_owned(), path: path.to_owned(), message });
        };
        let mut outputs = Outputs::default();
        let object: Map<String, Value> = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                fault("", "is no JSON object; write {} for no outputs".into());
                Map::new()
            }
            Err(error) => {
                fault("", format!("is no JSON: {error}"));
                Map::new()
            }
        };
        for (service, value) in object {
            if service == DEFAULTS {
                match serde_path_to_error::deserialize::<_, Vec<DefaultOutputs>>(value) {
                    Ok(defaults) => outputs.defaults = defaults,
                    Err(error) => {
                        fault(&format!("{DEFAULTS}.{}", error.path()), error.inner().to_string());
                    }
                }
                continue;
            }
            if !is_name(&service) {
                fault(&service, "a service is letters, digits, `-` and `_`".into());
                continue;
            }
            // A list of names is enough for what has no settings.
            let descriptors: Vec<(String, Value)> = match value {
                Value::Object(descriptors) => descriptors.into_iter().collect(),
                Value::Array(names) if names.iter().all(Value::is_string) => names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|name| (name.to_owned(), Value::Object(Map::new())))
                    .collect(),
                _ => {
                    fault(&service, "write an object of descriptors, {\"NAME\": {…}}, or a list of their names".into());
                    continue;
                }
            };
            for (descriptor, value) in descriptors {
                let path = format!("{service}.{descriptor}");
                if !is_name(&descriptor) {
                    fault(&path, format!("a descriptor is 1 to {DESCRIPTOR_BYTES_MAX} letters, digits, `-` and `_`"));
                    continue;
                }
                match serde_path_to_error::deserialize::<_, OutputConfig>(value) {
                    Ok(config) => {
                        if config.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
                            fault(&format!("{path}.rate"), "is a number above 0, in deliveries a second".into());
                        }
                        for (setting, value) in &config.settings {
                            if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                                let message = "is a text, a number, true or false".to_owned();
                                fault(&format!("{path}.settings.{setting}"), message);
                            }
                        }
                        let zeros = [
                            ("concurrency", config.concurrency.map(u32::from)),
                            ("attempts", config.attempts),
                            ("timeout_seconds", config.timeout_seconds),
                            ("response_bytes", config.response_bytes),
                        ];
                        for (name, _) in zeros.iter().filter(|(_, value)| *value == Some(0)) {
                            fault(&format!("{path}.{name}"), "is at least 1".into());
                        }
                        outputs.configured.insert(format!("{service}:{descriptor}"), config);
                    }
                    Err(error) => {
                        let at = error.path().to_string();
                        let path = if at == "." { path } else { format!("{path}.{at}") };
                        fault(&path, error.inner().to_string());
                    }
                }
            }
        }
        for (index, default) in outputs.defaults.iter().enumerate() {
            for output in &default.outputs {
                if let Some(message) = outputs.unknown(output) {
                    fault(&format!("{DEFAULTS}[{index}].outputs"), message);
                }
            }
        }
        if faults.is_empty() { Ok(outputs) } else { Err(ConfigFaults(faults)) }
    }

    /// The outputs an alert goes to: its rule's and its finding's, those it gets by default, and the archive. Sorted, each once.
    pub fn of(&self, own: &[String], cluster: &str, severity: Severity) -> Vec<String> {
        let mut all = own.to_vec();
        for default in &self.defaults {
            if (own.is_empty() || default.always)
                && severity >= default.severity.0
                && (default.clusters.is_empty() || default.clusters.iter().any(|name| name == cluster))
            {
                all.extend(default.outputs.iter().cloned());
            }
        }
        all.extend(self.archive.clone());
        all.sort();
        all.dedup();
        if all.len() > ALERT_OUTPUTS_MAX {
            let more = all.len() - ALERT_OUTPUTS_MAX;
            all.truncate(ALERT_OUTPUTS_MAX);
            // No output, so it is seen among what was given up.
            all.push(format!("{more} more"));
        }
        all
    }

    /// What is wrong with an output that a rule names, and what to do; none if nothing is.
    pub fn unknown(&self, output: &str) -> Option<String> {
        if self.knows(output) {
            return None;
        }
        let Some((service, descriptor)) = output.split_once(':') else {
            return Some(format!("`{output}` is no output: write service:descriptor, as in slack:security"));
        };
        if self.is_elsewhere(service) {
            return Some(match self.place {
                Place::Aws => {
                    format!(
                        "`{output}` is of one machine, and this runs on AWS: name another output, as in aws-s3:alerts"
                    )
                }
                Place::Any | Place::Machine => {
                    format!("`{output}` is delivered where StreamAlert runs on AWS, and this is one machine")
                }
            });
        }
        let known: Vec<&str> = self.configured.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let make = if is_name(service) && is_name(descriptor) {
            format!("; `streamalert output new {service} {descriptor}` makes it")
        } else {
            String::new()
        };
        Some(format!("`{output}` is not configured in outputs.json, which has {known}{make}"))
    }

    /// Whether alerts can go there. `file:NAME` and `stdout:NAME` need no configuration.
    pub fn knows(&self, output: &str) -> bool {
        let Some((service, name)) = output.split_once(':') else { return false };
        !self.is_elsewhere(service)
            && (self.configured.contains_key(output) || MACHINE.contains(&service) && is_name(name))
    }

    fn is_elsewhere(&self, service: &str) -> bool {
        match self.place {
            Place::Any => false,
            Place::Machine => AWS.contains(&service),
            Place::Aws => MACHINE.contains(&service),
        }
    }

    pub fn get(&self, output: &str) -> OutputConfig {
        self.configured.get(output).cloned().unwrap_or_default()
    }
}

/// Services that one machine delivers to itself, without configuration.
pub const MACHINE: [&str; 2] = ["file", "stdout"];
/// Services that StreamAlert delivers to itself where it runs on AWS.
pub const AWS: [&str; 9] = [
    "aws-firehose",
    "aws-s3",
    "aws-sns",
    "aws-sqs",
    "aws-lambda",
    "aws-ses",
    "aws-cloudwatch-log",
    "aws-eventbridge",
    "aws-securityhub",
];
/// Both: no component may take one of them, wherever it is loaded.
pub const NATIVE: [&str; 11] = {
    let mut all = [""; MACHINE.len() + AWS.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < MACHINE.len() { MACHINE[at] } else { AWS[at - MACHINE.len()] };
        at += 1;
    }
    all
};

pub fn is_name(name: &str) -> bool {
    (1..=DESCRIPTOR_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outputs {
        Outputs::read("outputs.json", text).unwrap()
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let text = r#"{
            "sl ack": {},
            "slack": {"a b": {}, "ok": {"rate": 0, "attempts": 0, "settings": {"url": ["x"], "n": 3}}, "no": {"colour": 1}, "deep": {"hosts": [1]}},
            "jira": 3,
            "defaults": [{"outputs": ["pagerduty:soc", "what", "slack:ok"]}]
        }"#;
        let faults = Outputs::read("outputs.json", text).unwrap_err().to_string();
        let expected = [
            "outputs.json: sl ack: a service is letters, digits, `-` and `_`",
            "outputs.json: slack.a b: a descriptor is 1 to 64 letters, digits, `-` and `_`",
            "outputs.json: slack.ok.rate: is a number above 0, in deliveries a second",
            "outputs.json: slack.ok.settings.url: is a text, a number, true or false",
            "outputs.json: slack.ok.attempts: is at least 1",
            "outputs.json: slack.no.colour: unknown field `colour`, expected one of `settings`, `hosts`, `private_networks`, `rate`, `concurrency`, `attempts`, `timeout_seconds`, `response_bytes`",
            "outputs.json: slack.deep.hosts[0]: invalid type: integer `1`, expected a string",
            "outputs.json: jira: write an object of descriptors, {\"NAME\": {…}}, or a list of their names",
            "outputs.json: defaults[0].outputs: `pagerduty:soc` is not configured in outputs.json, which has slack:ok; `streamalert output new pagerduty soc` makes it",
            "outputs.json: defaults[0].outputs: `what` is no output: write service:descriptor, as in slack:security",
        ];
        assert_eq!(faults, expected.join("\n"));
        assert!(Outputs::read("o", "[]").is_err());
        assert!(Outputs::read("o", "{").is_err());
    }

    #[test]
    fn defaults_are_for_alerts_without_outputs_unless_they_are_for_all() {
        let outputs = read(
            r#"{
            "slack": ["all", "prod"], "pagerduty": {"soc": {}},
            "defaults": [
                {"outputs": ["slack:all"]},
                {"outputs": ["slack:prod"], "clusters": ["prod"]},
                {"outputs": ["pagerduty:soc"], "severity": "high", "always": true}
            ]
        }"#,
        );
        let of = |own: &[&str], cluster, severity| {
            outputs.of(&own.iter().map(|own| (*own).to_owned()).collect::<Vec<_>>(), cluster, severity)
        };
        assert_eq!(of(&[], "dev", Severity::Low), ["slack:all"]);
        assert_eq!(of(&[], "prod", Severity::Critical), ["pagerduty:soc", "slack:all", "slack:prod"]);
        assert_eq!(of(&["file:x", "file:x"], "prod", Severity::Medium), ["file:x"]);
        assert_eq!(of(&["file:x"], "prod", Severity::High), ["file:x", "pagerduty:soc"]);
        let archived = Outputs { archive: Some("file:all".into()), ..outputs.clone() };
        assert_eq!(archived.of(&["file:x".into()], "dev", Severity::Low), ["file:all", "file:x"]);
        assert_eq!(archived.of(&[], "dev", Severity::Low), ["file:all", "slack:all"], "nobody's default goes for it");
    }

    #[test]
    fn outputs_beyond_all_measure_are_left_out_and_seen() {
        let own: Vec<String> = (0..70).map(|number| format!("file:{number:02}")).collect();
        let all = read("{}").of(&own, "c", Severity::Low);
        assert_eq!((all.len(), all[64].as_str()), (65, "6 more"));
        assert!(read("{}").unknown("6 more").is_some());
    }

    #[test]
    fn files_need_no_configuration() {
        let outputs = read("{}");
        for known in ["file:a", "stdout:a-b_1"] {
            assert!(outputs.knows(known), "{known}");
        }
        for unknown in ["file:../a", "file:", "slack:a", "file", ""] {
            assert!(outputs.unknown(unknown).is_some(), "{unknown}");
        }
    }

    #[test]
    fn each_place_has_outputs_of_its_own() {
        let mut outputs = read(r#"{"aws-sns": {"soc": {}}, "slack": ["soc"]}"#);
        assert!(outputs.knows("aws-sns:soc") && outputs.knows("file:a"));
        outputs.place = Place::Machine;
        assert!(outputs.knows("file:a") && outputs.knows("slack:soc"));
        assert!(outputs.unknown("aws-sns:soc").unwrap().contains("where StreamAlert runs on AWS"));
        outputs.place = Place::Aws;
        assert!(outputs.knows("aws-sns:soc") && outputs.knows("slack:soc"));
        assert!(outputs.unknown("file:a").unwrap().contains("this runs on AWS"));
        // Where it is, it must be configured.
        assert!(outputs.unknown("aws-sns:other").unwrap().contains("not configured"));
        assert_eq!((NATIVE[0], NATIVE[2], NATIVE[10]), ("file", "aws-firehose", "aws-securityhub"));
    }

    #[test]
    fn settings_are_texts() {
        let outputs = read(r#"{"jira": {"a": {"settings": {"project": "SEC", "aggregate": true, "n": 3}}}}"#);
        let text = |pair: (&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        let expected = [("project", "SEC"), ("aggregate", "true"), ("n", "3")].map(text);
        assert_eq!(outputs.get("jira:a").settings(), expected);
    }
}
