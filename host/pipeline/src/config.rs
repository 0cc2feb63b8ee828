//! Schema and cluster files: read, checked, and every fault named with file, path and remedy, all at once.

pub mod apps;
pub mod archive;
pub mod check;
pub mod cluster;
pub mod lookup_tables;
pub mod normalization;
pub mod ocsf;
pub mod output;
pub mod scheduled_queries;
pub mod schema;
pub mod staging;
pub mod threat_intel;

pub use apps::{AppConfig, AppConfigs};
pub use archive::ArchiveConfig;
pub use cluster::{Cluster, Clusters};
pub use lookup_tables::TableConfigs;
pub use output::Outputs;
pub use scheduled_queries::ScheduledQueries;
pub use schema::{LogType, Schemas};
pub use staging::RuleStaging;
pub use threat_intel::ThreatIntelConfig;

/// One thing wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ConfigFault {
    pub file: String,
    /// Where in the file, dotted.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}: {}", self.file, self.message),
            path => write!(f, "{}: {path}: {}", self.file, self.message),
        }
    }
}

/// Everything wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigFaults(pub Vec<ConfigFault>);
