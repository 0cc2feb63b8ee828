//! Cluster files: which sources there are, and which log types each may send.

pub mod keys;

use super::schema::Wildcard;
use super::{ConfigFault, ConfigFaults, LogType, Schemas};
use crate::log_record::Source;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Services a cluster may name. The first four are the original's, the next three AWS's too, the last ones doors of one
/// machine.
pub const SERVICES: [&str; 11] = [
    "kinesis",
    "s3",
    "sns",
    "streamalert_app",
    "streamalert_query",
    "sqs",
    "eventbridge",
    "cloudwatch_logs",
    "file",
    "stdin",
    "http",
];

#[derive(Debug)]
pub struct Cluster {
    pub name: Arc<str>,
    /// service → resource → what it may send
    pub data_sources: BTreeMap<String, BTreeMap<String, DataSource>>,
    /// Whether its records are looked through for indicators. If no cluster says anything, all are.
    pub enable_threat_intel: Option<bool>,
}

/// What one source may send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSource {
    /// Log sources or full log types.
    pub logs: Vec<String>,
    /// The component that reads its bytes.
    pub parser: Option<String>,
}

impl DataSource {
    pub fn may_send(&self, log_type: &LogType) -> bool {
        self.logs.iter().any(|log| log_type.is_named_by(log))
    }
}

/// In a file: a list of log types, or an object that names a parser.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of log types, or {\"parser\": name}")]
enum RawSource {
    Logs(Vec<String>),
    Parser(ParsedSource),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParsedSource {
    parser: String,
    #[serde(default)]
    logs: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Clusters {
    pub clusters: Vec<Cluster>,
    pub warnings: Vec<ConfigFault>,
}

#[derive(Deserialize)]
struct RawCluster {
    data_sources: BTreeMap<String, BTreeMap<String, RawSource>>,
    enable_threat_intel: Option<bool>,
}

impl Clusters {
    /// Reads cluster files, given as (name, text); the name without `.json` is the cluster's.
    pub fn read(files: &[(String, String)], schemas: &Schemas) -> Result<Clusters, ConfigFaults> {
        let mut files: Vec<&(String, String)> = files.iter().collect();
        files.sort();
        let mut faults = Vec::new();
        let mut all = Clusters::default();
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        for (file, text) in files {
            let mut fault =
                |path: String, message: String| faults.push(ConfigFault { file: file.clone(), path, message });
            let stem = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".json");
            let value: Value = match serde_json::from_str(text) {
                Ok(value) => value,
                Err(error) => {
                    fault(String::new(), format!("not JSON: {error}"));
                    continue;
                }
            };
            all.warnings.extend(keys::unread(&value).into_iter().map(|(path, message)| ConfigFault {
                file: file.clone(),
                path,
                message,
            }));
            let raw: RawCluster = match serde_path_to_error::deserialize(value) {
                Ok(raw) => raw,
                Err(error) => {
                    fault(error.path().to_string(), error.inner().to_string());
                    continue;
                }
            };
            let source = |raw: RawSource| match raw {
                RawSource::Logs(logs) => DataSource { logs, parser: None },
                RawSource::Parser(ParsedSource { parser, logs }) => DataSource { logs, parser: Some(parser) },
            };
            let data_sources: BTreeMap<String, BTreeMap<String, DataSource>> = raw
                .data_sources
                .into_iter()
                .map(|(service, list)| (service, list.into_iter().map(|(name, raw)| (name, source(raw))).collect()))
                .collect();
            for (service, resources) in &data_sources {
                if !SERVICES.contains(&service.as_str()) {
                    fault(
                        format!("data_sources.{service}"),
                        format!("unknown service; use one of {}", SERVICES.join(", ")),
                    );
                }
                for (resource, DataSource { logs, parser }) in resources {
                    let at = format!("data_sources.{service}.{resource}");
                    if logs.is_empty() && parser.is_none() {
                        fault(at.clone(), "names no log types; list some or remove the source".to_owned());
                    }
                    for log in logs.iter().filter(|log| !schemas.knows(log)) {
                        all.warnings.push(ConfigFault {
                            file: file.clone(),
                            path: at.clone(),
                            message: format!("no schema goes by `{log}`; nothing will be classified as it"),
                        });
                    }
                    if let Some(earlier) = seen.insert((service.clone(), resource.clone()), file.clone()) {
                        fault(
                            at,
                            format!("the same source stands in {earlier} already; it can belong to one cluster only"),
                        );
                    }
                }
            }
            let enable_threat_intel = raw.enable_threat_intel;
            all.clusters.push(Cluster { name: stem.into(), data_sources, enable_threat_intel });
        }
        if faults.is_empty() { Ok(all) } else { Err(ConfigFaults(faults)) }
    }

    /// The cluster a source belongs to, and the log sources it may send: by its resource's own name first, then by a
    /// wildcard (`*`, `logs/*`) over the resource, then over the object.
    pub fn find(&self, source: &Source) -> Option<(&Cluster, &DataSource)> {
        let exact = self.clusters.iter().find_map(|cluster| {
            let logs = cluster.data_sources.get(&source.service)?.get(&source.resource)?;
            Some((cluster, logs))
        });
        exact.or_else(|| {
            let mut best: Option<(usize, &Cluster, &DataSource)> = None;
            for cluster in &self.clusters {
                for (pattern, logs) in cluster.data_sources.get(&source.service).into_iter().flatten() {
                    if !pattern.contains(['*', '?', '[']) {
                        continue;
                    }
                    let wildcard = Wildcard::new(pattern);
                    let fits = wildcard.is_match(&source.resource) || wildcard.is_match(&source.object);
                    // The longest pattern is the most particular one.
                    if fits && best.as_ref().is_none_or(|(length, ..)| pattern.len() > *length) {
                        best = Some((pattern.len(), cluster, logs));
                    }
                }
            }
            best.map(|(_, cluster, logs)| (cluster, logs))
        })
    }
}
