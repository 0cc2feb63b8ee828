//! Looks the values of a batch up, each once, and remembers for a while what is known of them and of which nothing is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_lookup::Cache;
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::log_record::LogBatch;
use streamalert_pipeline::threat_intel::{Attached, Found, Ioc, IocTable, ThreatIntel};
use streamalert_pipeline::time::Millis;

/// Values that are remembered.
const VALUES_KEPT: usize = 200_000;

pub struct Enricher {
    intel: Arc<ThreatIntel>,
    table: Arc<dyn IocTable>,
    known: Mutex<Cache<String, Option<Arc<[Ioc]>>>>,
    pub counts: Counts,
}

/// Since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Values that the table was asked about.
    pub asked: AtomicU64,
    /// Records with hits.
    pub hits: AtomicU64,
    /// Batches of which nobody knows, since the table could not be read.
    pub failures: AtomicU64,
}

impl Enricher {
    /// `fresh`: for how long an answer is taken for known.
    pub fn new(intel: Arc<ThreatIntel>, table: Arc<dyn IocTable>, fresh: Duration) -> Self {
        let known = Mutex::new(Cache::new(VALUES_KEPT, fresh));
        Enricher { intel, table, known, counts: Counts::default() }
    }

    pub fn intel(&self) -> &Arc<ThreatIntel> {
        &self.intel
    }

    /// Attaches to records what is known of their values. After an error the batch is as it was.
    pub fn enrich(&self, batch: &mut LogBatch, now: Millis) -> Result<Attached, BackendError> {
        let candidates = self.intel.candidates(batch);
        if candidates.is_empty() {
            return Ok(Attached::default());
        }
        let at = Instant::now();
        let (mut found, mut unknown) = (Found::default(), Vec::new());
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for value in &candidates.values {
                match known.get(value, at) {
                    None => unknown.push(value.clone()),
                    Some(None) => {}
                    Some(Some(iocs)) => drop(found.insert(value.clone(), iocs.clone())),
                }
            }
        }
        if !unknown.is_empty() {
            self.counts.asked.fetch_add(unknown.len() as u64, Ordering::Relaxed);
            let fresh = self.table.find(&unknown, now).inspect_err(|_| {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
            })?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for value in unknown {
                let iocs = fresh.get(&value).cloned();
                if let Some(iocs) = &iocs {
                    found.insert(value.clone(), iocs.clone());
                }
                known.put(value, iocs, at);
            }
        }
        // What was remembered may have expired meanwhile.
        for iocs in found.values_mut() {
            if iocs.iter().any(|ioc| ioc.expires <= now) {
                *iocs = iocs.iter().filter(|ioc| ioc.expires > now).cloned().collect();
            }
        }
        let attached = self.intel.attach(batch, &candidates, &found);
        self.counts.hits.fetch_add(attached.records, Ordering::Relaxed);
        if attached.too_large > 0 {
            let count = attached.too_large;
            tracing::error!(
                count,
                "records with indicators are too large to have them attached; rules see them without"
            );
        }
        Ok(attached)
    }
}
