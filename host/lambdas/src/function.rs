//! What a function is, and which one this is.

use crate::alert_merger::AlertMerger;
use crate::alert_processor::AlertProcessor;
use crate::apps::Apps;
use crate::athena_partitioner::AthenaPartitioner;
use crate::classifier::Classifier;
use crate::environment::Environment;
use crate::plugin_compiler::PluginCompiler;
use crate::rule_promotion::RulePromotion;
use crate::rules_engine::RulesEngine;
use crate::scheduled_queries::ScheduledQueries;
use crate::threat_intel_downloader::ThreatIntelDownloader;
use anyhow::{Result, bail};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

/// Handles events. Blocks; a function has one event at a time.
pub trait Function: Send + Sync {
    /// The answer, for whoever invoked the function: of queues and streams, which of their items failed. An error means that all
    /// of the event failed, and is to come again.
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value>;
}

/// The function that `STREAMALERT_FUNCTION` names.
pub fn make(name: &str, environment: &Environment) -> Result<Arc<dyn Function>> {
    Ok(match name {
        "alert_merger" => Arc::new(AlertMerger::new(environment)?),
        "alert_processor" => Arc::new(AlertProcessor::new(environment)?),
        "apps" => Arc::new(Apps::new(environment)?),
        "athena_partitioner" => Arc::new(AthenaPartitioner::new(environment)?),
        "classifier" => Arc::new(Classifier::new(environment)?),
        "plugin_compiler" => Arc::new(PluginCompiler::new(environment)?),
        "rule_promotion" => Arc::new(RulePromotion::new(environment)?),
        "rules_engine" => Arc::new(RulesEngine::new(environment)?),
        "scheduled_queries" => Arc::new(ScheduledQueries::new(environment)?),
        "threat_intel_downloader" => Arc::new(ThreatIntelDownloader::new(environment)?),
        _ => bail!("there is no function `{name}`"),
    })
}

/// The answer to a queue or stream: these of its items are to come again.
pub fn failures<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    let items: Vec<Value> = ids.into_iter().map(|id| serde_json::json!({ "itemIdentifier": id })).collect();
    serde_json::json!({ "batchItemFailures": items })
}
