//! Threat intelligence on one machine: records are looked through for indicators, and their sources asked when it is time.

use crate::clock::millis;
use crate::ioc_table::SqliteIocs;
use crate::run::DataFolder;
use crate::stop::Stop;
use crate::tally::Tally;
use anyhow::Result;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_intel::download::{Outcome, SOURCES_AT_ONCE, due};
use streamalert_intel::{Downloader, Enricher, Refreshed};
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::config::threat_intel::SourceConfig;
use streamalert_pipeline::config::{Clusters, ThreatIntelConfig};
use streamalert_pipeline::log_record::LogBatch;
use streamalert_pipeline::threat_intel::ThreatIntel;

/// Times the table is asked, a moment apart: another process may be writing.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked which sources are due.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a source is left alone whose table cannot be read or written: there, it could not be kept in mind.
const ABIDE: Duration = Duration::from_secs(60);
/// The longest that one source is worked on before it is looked again which are due.
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

/// Asks sources when they are due, until `stop`: each by itself, so that one that hangs holds up no other.
pub fn start(
    downloader: Downloader,
    config: ThreatIntelConfig,
    stop: Stop,
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let (downloader, tell) = (Arc::new(downloader), Arc::new(tell));
    thread::Builder::new().name("threat-intel".into()).spawn(move || {
        // Each says whether the table could be read and written.
        let mut running: BTreeMap<String, JoinHandle<bool>> = BTreeMap::new();
        let mut left_alone: BTreeMap<String, Instant> = BTreeMap::new();
        while !stop.is_requested() {
            for (name, thread) in running.extract_if(.., |_, thread| thread.is_finished()) {
                if !thread.join().unwrap_or(false) {
                    left_alone.insert(name, Instant::now() + ABIDE);
                }
            }
            left_alone.retain(|_, until| *until > Instant::now());
            for (name, source) in &config.sources {
                if running.len() >= SOURCES_AT_ONCE || stop.is_requested() {
                    break;
                }
                if running.contains_key(name) || left_alone.contains_key(name) || !is_due(&downloader, name, source) {
                    continue;
                }
                let (downloader, telling, stop) = (downloader.clone(), tell.clone(), stop.clone());
                let (of, source) = (name.clone(), source.clone());
                let asked = thread::Builder::new().name(format!("intel {name}")).spawn(move || {
                    let told = downloader.refresh(&of, &source, false, Instant::now() + TURN, &|| stop.is_requested());
                    let is_known = told.is_ok();
                    say(&of, told, &*telling);
                    is_known
                });
                match asked {
                    Ok(thread) => drop(running.insert(name.clone(), thread)),
                    Err(error) => tell(&format!("warning: threat intelligence: {name}: {error}")),
                }
            }
            let until = Instant::now() + LOOK_EVERY;
            while Instant::now() < until && !stop.is_requested() {
                thread::sleep(Duration::from_millis(100));
            }
        }
        running.into_values().for_each(|thread| drop(thread.join()));
    })
}

/// What cannot be read is asked for, too: it is told then.
fn is_due(downloader: &Downloader, name: &str, source: &SourceConfig) -> bool {
    source.enabled && downloader.table.state(name).map_or(true, |state| due(source, &state) <= millis())
}

fn say(name: &str, told: Result<Refreshed, BackendError>, tell: &dyn Fn(&str)) {
    match told {
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
}
