//! `apps.json`: whose logs are fetched, how often, and from when on.

use super::output::{OutputConfig, is_name};
use super::{Clusters, ConfigFault, ConfigFaults};
use crate::log_record::Source;
use crate::schedule::Schedule;
use crate::time::{Millis, duration};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where it stands in a configuration.
pub const FILE: &str = "apps.json";
/// Of the sources of their logs.
pub const SERVICE: &str = "streamalert_app";
/// Seconds one poll may take, if the operator says nothing.
pub const POLL_SECONDS: u32 = 60;
/// Bytes of an answer that are read, if the operator says nothing.
pub const RESPONSE_BYTES: u32 = 8 << 20;
/// How far back logs are fetched at first, at most.
const START_DAYS_MAX: i64 = 3_660;

/// All of `apps.json`, by the operator's name for each app.
pub type AppConfigs = BTreeMap<String, AppConfig>;

/// What the operator says of one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    /// Of app, as its component names it.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default = "every_five_minutes", serialize_with = "text_of")]
    pub schedule: Schedule,
    /// How long before the first run the first logs are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub enabled: bool,
    /// Those that are not secret; numbers and booleans count as their text.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// Hosts the app may call: `acme.okta.com`, `*.example.com`; `http://host` permits calls without TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The hosts may have addresses of private networks and of this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_networks: bool,
    /// Requests a second at most; without it, what the app says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seconds one poll may take; without it, 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// Bytes of an answer that are read; without it, 8 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u32>,
}

fn every_five_minutes() -> Schedule {
    Schedule::read("rate(5 minutes)").unwrap_or_else(|error| unreachable!("it is a schedule: {error}"))
}

fn yes() -> bool {
    true
}

fn is_yes(yes: &bool) -> bool {
    *yes
}

fn text_of<S: Serializer>(schedule: &Schedule, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(schedule.as_str())
}

/// `24h`, `90d`.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    text: String,
    pub millis: Millis,
}

impl Start {
    pub fn read(text: &str) -> Result<Self, String> {
        let millis = duration(text)?;
        match millis <= START_DAYS_MAX * 24 * 3_600_000 {
            true => Ok(Start { text: text.to_owned(), millis }),
            false => Err(format!("`{text}` is longer than {START_DAYS_MAX} days, which no service keeps")),
        }
    }
}

impl Serialize for Start {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Start::read(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl AppConfig {
    /// One of this type, and else as it is without a word.
    pub fn of(kind: &str) -> Self {
        AppConfig {
            kind: kind.to_owned(),
            schedule: every_five_minutes(),
            start: None,
            enabled: true,
            settings: Map::new(),
            hosts: Vec::new(),
            private_networks: false,
            rate: None,
            timeout_seconds: None,
            response_bytes: None,
        }
    }

    /// As whoever makes requests for it sees it.
    pub fn caller(&self) -> OutputConfig {
        OutputConfig {
            settings: self.settings.clone(),
            hosts: self.hosts.clone(),
            private_networks: self.private_networks,
            timeout_seconds: Some(self.timeout_seconds.unwrap_or(POLL_SECONDS)),
            response_bytes: Some(self.response_bytes.unwrap_or(RESPONSE_BYTES)),
            ..OutputConfig::default()
        }
    }

    /// The settings as apps get them.
    pub fn settings(&self) -> Vec<(String, String)> {
        self.caller().settings()
    }
}

/// Where an app's logs come from: no object and no place, so that their identity rests on what they say alone, and a log that a
/// service gives twice is one.
pub fn source(app: &str) -> Source {
    Source::new(SERVICE, app, "")
}

/// By which the secret store knows an app.
pub fn secrets_of(app: &str) -> String {
    format!("{SERVICE}:{app}")
}

/// The pairs of an object as they stand there: of two with the same name, a map would keep one without a word.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Pairs;

            fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Each)
    }
}

/// Reads the file, and names every fault there is.
pub fn read(file: &str, text: &str) -> Result<AppConfigs, ConfigFaults> {
    let mut faults = Vec::new();
    let mut fault = |path: &str, message: String| {
        faults.push(ConfigFault { file: file.to_owned(), path: path.to_owned(), message });
    };
    let pairs = match serde_json::from_str(text) {
        Ok(Pairs(pairs)) => pairs,
        Err(error) if error.is_data() => {
            fault("", "is no JSON object; write {} for no apps".into());
            Vec::new()
        }
        Err(error) => {
            fault("", format!("is no JSON: {error}"));
            Vec::new()
        }
    };
    let mut apps = AppConfigs::new();
    let mut names = BTreeSet::new();
    for (name, value) in pairs {
        if !names.insert(name.clone()) {
            fault(&name, "stands in the file twice; give one of them another name".into());
            continue;
        }
        if !is_name(&name) {
            fault(&name, "an app's name is 1 to 64 letters, digits, `-` and `_`".into());
            continue;
        }
        match serde_path_to_error::deserialize::<_, AppConfig>(value) {
            Ok(config) => {
                if config.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
                    fault(&format!("{name}.rate"), "is a number above 0, in requests a second".into());
                }
                for (key, value) in
                    [("timeout_seconds", config.timeout_seconds), ("response_bytes", config.response_bytes)]
                {
                    if value == Some(0) {
                        fault(&format!("{name}.{key}"), "is at least 1".into());
                    }
                }
                for (setting, value) in &config.settings {
                    if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                        let message = "is a text, a number, true or false".to_owned();
                        fault(&format!("{name}.settings.{setting}"), message);
                    }
                }
                if config.schedule.next(0).is_none() {
                    let message = format!("`{}` never comes: there is no such day", config.schedule.as_str());
                    fault(&format!("{name}.schedule"), message);
                }
                apps.insert(name, config);
            }
            Err(error) => {
                let at = error.path().to_string();
                let path = if at == "." { name } else { format!("{name}.{at}") };
                fault(&path, error.inner().to_string());
            }
        }
    }
    if faults.is_empty() { Ok(apps) } else { Err(ConfigFaults(faults)) }
}

/// What becomes of the logs of an app that no cluster names: on one machine, what becomes of all such sources.
pub const ALL_TYPES: &str = "all log types are tried with its logs, in the cluster `default`";
/// On AWS, where each cluster has a classifier, and this app none.
pub const NO_CLASSIFIER: &str = "so none of its logs could be classified";

/// Apps that no cluster names, with what becomes of their logs.
pub fn nobodys(apps: &AppConfigs, clusters: &Clusters, file: &str, becomes: &str) -> Vec<ConfigFault> {
    let unknown = apps.iter().filter(|(name, config)| config.enabled && clusters.find(&source(name)).is_none());
    let fault = |(name, _): (&String, &AppConfig)| ConfigFault {
        file: file.to_owned(),
        path: name.clone(),
        message: format!("no cluster has it among data_sources.{SERVICE}: {becomes}"),
    };
    unknown.map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_at_once() {
        let text = r#"{
            "a b": {"type": "x"}, "none": {}, "soon": {"type": "x", "schedule": "now"}, "old": {"type": "x", "start": "20000d"},
            "zero": {"type": "x", "rate": 0, "timeout_seconds": 0}, "odd": {"type": "x", "colour": 1}, "list": 7,
            "many": {"type": "x", "settings": {"url": ["a"], "n": 3}}, "never": {"type": "x", "schedule": "cron(0 0 31 2 ? *)"},
            "twice": {"type": "x"}, "twice": {"type": "y"}
        }"#;
        let faults = read(FILE, text).unwrap_err().to_string();
        for expected in [
            "apps.json: a b: an app's name is",
            "apps.json: none: missing field `type`",
            "apps.json: soon.schedule: `now` is no schedule",
            "apps.json: old.start: `20000d` is longer than",
            "apps.json: zero.rate: is a number above 0",
            "apps.json: zero.timeout_seconds: is at least 1",
            "apps.json: odd.colour: unknown field `colour`",
            "apps.json: list: invalid type",
            "apps.json: many.settings.url: is a text, a number, true or false",
            "apps.json: never.schedule: `cron(0 0 31 2 ? *)` never comes",
            "apps.json: twice: stands in the file twice",
        ] {
            assert!(faults.contains(expected), "{expected}: {faults}");
        }
        assert!(read(FILE, "[]").is_err() && read(FILE, "{").is_err());
    }

    #[test]
    fn what_is_not_said_has_a_default_and_is_not_written() {
        let apps = read(FILE, r#"{"okta": {"type": "okta_system_log", "settings": {"n": 3}}}"#).unwrap();
        let okta = &apps["okta"];
        assert_eq!((okta.schedule.as_str(), okta.enabled, &okta.start), ("rate(5 minutes)", true, &None));
        assert_eq!(okta.settings(), [("n".to_owned(), "3".to_owned())]);
        assert_eq!((okta.caller().timeout_seconds, okta.caller().response_bytes), (Some(60), Some(8 << 20)));
        let written = serde_json::to_string(&apps).unwrap();
        assert_eq!(written, r#"{"okta":{"type":"okta_system_log","schedule":"rate(5 minutes)","settings":{"n":3}}}"#);
        assert_eq!(read(FILE, &written).unwrap(), apps);
    }

    #[test]
    fn an_app_that_no_cluster_names_is_told_of() {
        let apps =
            read(FILE, r#"{"a": {"type": "x"}, "b": {"type": "x"}, "c": {"type": "x", "enabled": false}}"#).unwrap();
        let file = r#"{"data_sources": {"streamalert_app": {"b": ["okta"]}}}"#;
        let clusters = Clusters::read(&[("c.json".into(), file.into())], &super::super::Schemas::default()).unwrap();
        let told = nobodys(&apps, &clusters, FILE, ALL_TYPES);
        assert_eq!(told.len(), 1);
        let expected = "apps.json: a: no cluster has it among data_sources.streamalert_app: all log types are tried";
        assert!(told[0].to_string().starts_with(expected), "{}", told[0]);
    }
}
