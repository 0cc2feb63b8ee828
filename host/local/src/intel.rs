//! Threat intelligence on one machine: records are looked through for indicators, and their sources asked when it is time.

use crate::clock::millis;
use crate::ioc_table::SqliteIocs;
use crate::run::DataFolder;
use crate::stop::Stop;
use crate::tally::Tally;
use anyhow::Result;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_intel::download::Outcome;
use streamalert_intel::{Downloader, Enricher};
use streamalert_pipeline::config::{Clusters, ThreatIntelConfig};
use streamalert_pipeline::log_record::LogBatch;
use streamalert_pipeline::threat_intel::ThreatIntel;

/// Times the table is asked, a moment apart: another process may be writing.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked which sources are due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The longest that one source is worked on before the others have their turn.
const TURN: Duration = Duration::from_secs(900);

/// What looks records through, if the configuration wants it.
pub fn enricher(data: &DataFolder, config: &ThreatIntelConfig, clusters: &Clusters) -> Result<Option<Arc<Enricher>>> {
    let Some(intel) = ThreatIntel::new(config, clusters) else { return Ok(None) };
    let table: Arc<SqliteIocs> = Arc::new(data.iocs()?);
    Ok(Some(Arc::new(Enricher::new(Arc::new(intel), table, config.cache))))
}

/// Attaches what is known. Where the table cannot be read, records are judged without, which is counted and said: rules that ask
/// for something else must not wait for it.
pub fn look(enricher: &Enricher, batch: &mut LogBatch, tally: &mut Tally) {
    for attempt in 1.. {
        match enricher.enrich(batch, millis()) {
            Ok(attached) => {
                tally.ioc_hits += attached.records;
                return;
            }
            Err(_) if attempt < ATTEMPTS => thread::sleep(PAUSE * attempt),
            Err(error) => {
                let cause = error.source.as_ref().map(ToString::to_string);
                let (action, records) = (&error.action, batch.records.len());
                tracing::error!(action, cause, records, "records are judged without threat intelligence");
                tally.not_looked_up += batch.records.len() as u64;
                return;
            }
        }
    }
}

/// Asks sources when they are due, until `stop`.
pub fn start(
    downloader: Downloader,
    config: ThreatIntelConfig,
    stop: Stop,
    tell: impl Fn(&str) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("threat-intel".into()).spawn(move || {
        while !stop.is_requested() {
            for (name, source) in &config.sources {
                let asked = {
                    let stop = stop.clone();
                    downloader.refresh(name, source, false, Instant::now() + TURN, &move || stop.is_requested())
                };
                match asked {
                    Ok(told) => match told.outcome {
                        Outcome::Finished => {
                            let (taken, removed) = (told.taken, told.removed);
                            tell(&format!("threat intelligence: {name} gave {taken} indicators, {removed} are gone"));
                        }
                        Outcome::Failed => {
                            let error = told.error.unwrap_or_default();
                            tell(&format!("warning: threat intelligence: {name}: {error}; what it gave before stays"));
                        }
                        _ => {}
                    },
                    Err(error) => {
                        let cause = error.source.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
                        tell(&format!("warning: threat intelligence: {name}: {}{cause}", error.action));
                    }
                }
                if stop.is_requested() {
                    return;
                }
            }
            let until = Instant::now() + LOOK_EVERY;
            while Instant::now() < until && !stop.is_requested() {
                thread::sleep(Duration::from_millis(100));
            }
        }
    })
}
