//! `archive.json`: which records are kept for searching on one machine, and for how long.

use super::{ConfigFault, ConfigFaults, Schemas};
use serde::Deserialize;

/// Where it stands in a configuration.
pub const FILE: &str = "archive.json";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveConfig {
    pub enabled: bool,
    /// Log types that are kept, by source or in full; `*` is all of them.
    pub logs: Vec<String>,
    /// Log types of these that are not.
    pub except: Vec<String>,
    /// Days after which records are removed.
    pub retention_days: Option<u32>,
    /// Days after which alerts are removed.
    pub alerts_retention_days: Option<u32>,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        ArchiveConfig {
            enabled: true,
            logs: vec!["*".to_owned()],
            except: Vec::new(),
            retention_days: None,
            alerts_retention_days: None,
        }
    }
}

impl ArchiveConfig {
    /// Every fault is named.
    pub fn read(file: &str, text: &str, schemas: &Schemas) -> Result<Self, ConfigFaults> {
        let fault = |path: &str, message: String| ConfigFault { file: file.to_owned(), path: path.to_owned(), message };
        let mut reader = serde_json::Deserializer::from_str(text);
        let config: ArchiveConfig = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| ConfigFaults(vec![fault(&error.path().to_string(), error.inner().to_string())]))?;
        let mut faults = Vec::new();
        if let Err(error) = reader.end() {
            faults.push(fault("", error.to_string()));
        }
        for (path, names) in [("logs", &config.logs), ("except", &config.except)] {
            for name in names.iter().filter(|name| *name != "*" && !schemas.knows(name)) {
                // A parser component may bring it, so it stands.
                if !name.contains(':') {
                    let message = format!("no schema defines `{name}`; write a source, a log type in full, or `*`");
                    faults.push(fault(path, message));
                }
            }
        }
        let days = [("retention_days", config.retention_days), ("alerts_retention_days", config.alerts_retention_days)];
        for (path, _) in days.iter().filter(|(_, days)| *days == Some(0)) {
            let message = "at least a day; leave it out to keep everything, or write `\"enabled\": false`".to_owned();
            faults.push(fault(path, message));
        }
        if faults.is_empty() { Ok(config) } else { Err(ConfigFaults(faults)) }
    }

    pub fn keeps(&self, log_type: &str) -> bool {
        let source = log_type.split_once(':').map_or(log_type, |(source, _)| source);
        let names = |list: &[String]| list.iter().any(|name| name == "*" || name == log_type || name == source);
        self.enabled && names(&self.logs) && !names(&self.except)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_and_the_rest_means_what_it_says() {
        let schemas = r#"{"a:b": {"parser": "json", "schema": {"x": "string"}}, "a:c": {"parser": "json", "schema": {"y": "string"}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), schemas.to_owned())]).unwrap();
        let read = |text: &str| ArchiveConfig::read("archive.json", text, &schemas);
        let kept = |text: &str| {
            let config = read(text).unwrap();
            ["a:b", "a:c"].map(|log_type| config.keeps(log_type))
        };
        assert_eq!(kept("{}"), [true, true]);
        assert_eq!(kept(r#"{"enabled": false}"#), [false, false]);
        assert_eq!(kept(r#"{"logs": ["a:b", "brought:by-a-parser"]}"#), [true, false]);
        assert_eq!(kept(r#"{"logs": ["a"], "except": ["a:b"]}"#), [false, true]);
        for (text, part) in [
            (r#"{"retention_days": 0}"#, "retention_days: at least a day"),
            (r#"{"retention_days": "x"}"#, "retention_days: invalid type"),
            (r#"{"logs": ["zz"]}"#, "no schema defines `zz`"),
            (r#"{"retain": 1}"#, "unknown field `retain`"),
            (r#"{} {}"#, "trailing"),
        ] {
            let faults = read(text).unwrap_err().to_string();
            assert!(faults.contains(part), "{faults}");
        }
    }
}
