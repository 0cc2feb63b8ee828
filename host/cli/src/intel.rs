//! What fetches threat intelligence from here.

use crate::{Failure, world};
use anyhow::{Context, anyhow};
use std::path::Path;
use std::sync::Arc;
use streamalert_intel::Downloader;
use streamalert_local::clock::millis;
use streamalert_pipeline::backend::SecretStore;
use streamalert_pipeline::config::ThreatIntelConfig;
use streamalert_pipeline::threat_intel::IocTable;

/// `None` if no source is configured.
pub fn downloader(
    config: &ThreatIntelConfig,
    table: Arc<dyn IocTable>,
    secrets: Arc<dyn SecretStore>,
    ca: Option<&Path>,
) -> Result<Option<Downloader>, Failure> {
    if !config.enabled || config.sources.is_empty() {
        return Ok(None);
    }
    let egress = Arc::new(world::egress(ca)?);
    let owner = format!("{}-{}", std::process::id(), millis());
    Ok(Some(Downloader { egress, table, secrets, clock: millis, owner }))
}

/// Where indicators are, by a configuration that wants them.
pub fn wanted(config: &ThreatIntelConfig) -> Result<(), Failure> {
    match config.enabled {
        true => Ok(()),
        false => Err(Failure::Usage(anyhow!(
            "threat intelligence is off: say \"enabled\": true in threat_intel.json of the configuration"
        ))),
    }
}

/// Of an error of a table, with its cause.
pub fn failed(error: streamalert_pipeline::backend::BackendError) -> Failure {
    Failure::Running(anyhow::Error::new(error))
}

/// The table on this machine.
pub fn table(data: &streamalert_local::run::DataFolder) -> Result<Arc<dyn IocTable>, Failure> {
    Ok(Arc::new(data.iocs().context("open the indicators")?))
}
