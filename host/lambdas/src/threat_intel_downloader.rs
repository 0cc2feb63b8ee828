//! The threat intelligence downloader: woken every few minutes, it asks the sources that are due, and goes on where an earlier
//! invocation had no time left.
//!
//! Event: anything; `{"sources": ["name"], "force": true}` asks for these, due or not.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::Function;
use crate::live::LiveSet;
use crate::lookout::table;
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::secrets::SsmSecrets;
use streamalert_egress::Egress;
use streamalert_intel::Downloader;
use streamalert_intel::download::Outcome;

/// Time kept for writing down how far it came.
const STOP_BEFORE: Duration = Duration::from_secs(10);

pub struct ThreatIntelDownloader {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    egress: Arc<Egress>,
}

#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    sources: Vec<String>,
    #[serde(default)]
    force: bool,
}

impl ThreatIntelDownloader {
    pub fn new(environment: &Environment) -> Result<Self> {
        Ok(ThreatIntelDownloader {
            meter: Meter::of(environment, "threat_intel_downloader")?,
            live: LiveSet::open(environment)?,
            egress: Arc::new(Egress::new()?),
            environment: environment.clone(),
        })
    }
}

impl Function for ThreatIntelDownloader {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let now = self.live.current(deadline)?;
        let config = now.threat_intel_config();
        let wanted: Wanted = serde_json::from_slice(event).unwrap_or_default();
        if let Some(unknown) = wanted.sources.iter().find(|name| !config.sources.contains_key(*name)) {
            let there: Vec<&str> = config.sources.keys().map(String::as_str).collect();
            bail!("there is no source {unknown} in threat_intel.json; there are {}", there.join(", "));
        }
        if !config.enabled {
            return Ok(json!({"sources": []}));
        }
        let left = deadline.saturating_duration_since(begun);
        let stop = deadline.checked_sub(STOP_BEFORE.min(left / 4)).unwrap_or(begun);
        let Environment { aws, names, .. } = &self.environment;
        let downloader = Downloader {
            egress: self.egress.clone(),
            table: table(&self.environment, config),
            secrets: Arc::new(SsmSecrets::new(aws.clone(), names)),
            clock: millis,
            owner: format!("{}-{}", std::process::id(), millis()),
        };
        let mut metrics = Metrics::of(&self.meter);
        let (mut all, mut failed) = (Vec::new(), Vec::new());
        let sources = config.sources.iter().map(|(name, source)| (name.as_str(), source));
        let sources: Vec<_> = sources
            .filter(|(name, _)| wanted.sources.is_empty() || wanted.sources.iter().any(|wanted| wanted == name))
            .collect();
        downloader.refresh_all(&sources, wanted.force, stop, |name, told_of| {
            let source_label = [("Source", name)];
            match told_of {
                Ok(told) => {
                    if told.outcome == Outcome::Failed {
                        metrics.count(&source_label, "DownloadFailures", 1);
                    }
                    if matches!(told.outcome, Outcome::Finished | Outcome::Unfinished) {
                        metrics.count(&source_label, "Indicators", told.taken);
                        metrics.count(&source_label, "LeftOut", told.left_out.values().sum());
                    }
                    all.push(told);
                }
                Err(error) => {
                    metrics.count(&source_label, "DownloadFailures", 1);
                    failed.push(format!("{name}: {}", told(&error)));
                }
            }
        });
        all.sort_by(|a, b| a.source.cmp(&b.source));
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        match failed.is_empty() {
            true => Ok(json!({"sources": all})),
            false => Err(anyhow!("{}", failed.join("\n"))),
        }
    }
}
