//! Downloads: which sources are due, one page after the other, and what is known of how far they have come. After each page that
//! is written down, so that whoever breaks off, another goes on there.

use crate::feeds::{Kept, Page, Reading, count, cut, digest};
use crate::web::{FetchError, Web};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use streamalert_egress::Egress;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::threat_intel::{Feed, SourceConfig, schedule_seconds};
use streamalert_pipeline::threat_intel::{IocTable, SourceState};
use streamalert_pipeline::time::Millis;

/// How long a source is somebody's after his last page: the longest that an answer can take, and some more.
const LEASE: Duration = Duration::from_secs(330);
/// Attempts of one page, before the source has to wait for a later time.
const ATTEMPTS: u32 = 4;
/// The longest pause between them; who asks for a longer one gets it later.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Milliseconds after which a source that failed is tried again: this, and twice as long each time.
const RETRY_FIRST: Millis = 60_000;
const RETRY_LONGEST: Millis = 3_600_000;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 1_000;
/// Sources that are fetched at the same time: one that hangs holds up no other.
pub const SOURCES_AT_ONCE: usize = 8;
/// Time that a page may need; with less left, none is begun.
const PAGE_TIME: Duration = Duration::from_secs(5);

pub struct Downloader {
    pub egress: Arc<Egress>,
    pub table: Arc<dyn IocTable>,
    pub secrets: Arc<dyn SecretStore>,
    pub clock: fn() -> Millis,
    /// Unlike anybody else's.
    pub owner: String,
}

/// What came of a source.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Refreshed {
    pub source: String,
    pub outcome: Outcome,
    /// Indicators taken, and taken out, in this pass.
    pub taken: u64,
    pub removed: u64,
    pub pages: u64,
    pub left_out: BTreeMap<String, u64>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not time yet.
    #[default]
    NotDue,
    /// Somebody else is at it.
    Busy,
    Unchanged,
    Finished,
    /// There was no time left; it goes on there.
    Unfinished,
    Failed,
}

/// By which it is seen whether a source is the one that it was: all of its configuration that says what comes of it.
fn identity(config: &SourceConfig) -> String {
    let SourceConfig { feed, url, auth, headers, expires_days, types, confidence_min, sub_type, .. } = config;
    let SourceConfig { collection, csv, to_ids_only, .. } = config;
    let of = (feed, url, auth, headers, expires_days, types, confidence_min, sub_type, collection, csv, to_ids_only);
    digest(format!("{of:?}").as_bytes())
}

/// When a source is to be asked next.
pub fn due(config: &SourceConfig, state: &SourceState) -> Millis {
    // What it gave was another's.
    if state.config != identity(config) {
        return 0;
    }
    if state.failures > 0 {
        return state.retry;
    }
    // Whoever died before his first page was written down has not finished either.
    if state.cursor.is_some() || state.began == 0 || state.finished < state.began {
        return 0;
    }
    let seconds = schedule_seconds(&config.schedule).unwrap_or(86_400);
    state.began + i64::try_from(seconds).unwrap_or(86_400) * 1000
}

impl Downloader {
    /// Fetches several sources, a few at a time, and hands over what came of each as soon as it is known.
    pub fn refresh_all(
        &self,
        sources: &[(&str, &SourceConfig)],
        force: bool,
        deadline: Instant,
        mut done: impl FnMut(&str, Result<Refreshed, BackendError>),
    ) {
        let next = AtomicUsize::new(0);
        let (to, from) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..sources.len().min(SOURCES_AT_ONCE) {
                let (to, next) = (to.clone(), &next);
                scope.spawn(move || {
                    while let Some((name, config)) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let told = self.refresh(name, config, force, deadline, &|| false);
                        if to.send((*name, told)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(to);
            from.iter().for_each(|(name, told)| done(name, told));
        });
    }

    /// Fetches a source if it is due, or if it must be, until there is no time left.
    pub fn refresh(
        &self,
        name: &str,
        config: &SourceConfig,
        force: bool,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Refreshed, BackendError> {
        let mut told = Refreshed { source: name.to_owned(), ..Refreshed::default() };
        let now = (self.clock)();
        let mut state = self.table.state(name)?;
        if !force && (!config.enabled || due(config, &state) > now) {
            return Ok(told);
        }
        // Whoever must have it now takes it over: who had it notices by the revision.
        if !force && state.owner.as_ref().is_some_and(|owner| *owner != self.owner) && state.until > now {
            told.outcome = Outcome::Busy;
            return Ok(told);
        }
        let identity = identity(config);
        if state.config != identity {
            (state.config, state.cursor, state.since, state.failures) = (identity, None, None, 0);
        }
        // Whoever must have all of it does not go on where only news was asked for.
        if force && !state.whole {
            state.cursor = None;
        }
        if state.cursor.is_none() {
            state.pass += 1;
            // What does not change, or is not given again, expires all the same, unless it is read again in time.
            let lasts = i64::from(config.expires_days) * 86_400_000;
            let is_known = state.since.as_ref().is_some_and(|since| match config.feed {
                Feed::Taxii => since["added_after"].is_string(),
                _ => true,
            });
            state.whole = force || !is_known || state.read + lasts / 2 < now;
            if state.whole {
                state.base = state.pass;
            }
            state.began = now;
            (state.taken, state.removed) = (0, 0);
            state.left_out.clear();
        }
        self.hold(&mut state, now);
        match self.table.set_state(name, &mut state) {
            Ok(()) => {}
            Err(error) if error.kind == BackendErrorKind::Conflict => {
                told.outcome = Outcome::Busy;
                return Ok(told);
            }
            Err(error) => return Err(error),
        }
        let mut failed = None;
        told.outcome = match self.pages(name, config, &mut state, &mut told, deadline, stop) {
            Ok(outcome) => {
                (state.error, state.failures, state.retry) = (None, 0, 0);
                outcome
            }
            // Somebody else has taken it over, and goes on where it was.
            Err(Failure::Backend(error)) if error.kind == BackendErrorKind::Conflict => {
                told.outcome = Outcome::Busy;
                return Ok(told);
            }
            Err(failure) => {
                let (message, asked) = match &failure {
                    Failure::Fetch(error) => (error.message.clone(), error.after.unwrap_or_default()),
                    Failure::Backend(error) => (spelt(error), Duration::ZERO),
                };
                let message = cut(&message, ERROR_CHARS_MAX);
                if matches!(&failure, Failure::Fetch(error) if error.over) {
                    state.cursor = None;
                }
                let wait = (RETRY_FIRST << state.failures.min(10)).min(RETRY_LONGEST);
                let asked = i64::try_from(asked.as_millis()).unwrap_or(RETRY_LONGEST).min(86_400_000);
                state.failures = state.failures.saturating_add(1);
                state.retry = (self.clock)() + wait.max(asked);
                state.error = Some(message.clone());
                tracing::error!(
                    source = name,
                    error = message,
                    "a source of threat intelligence failed; what it gave before stays"
                );
                told.error = Some(message);
                failed = Some(failure);
                Outcome::Failed
            }
        };
        (state.owner, state.until) = (None, 0);
        (told.taken, told.removed) = (state.taken, state.removed);
        told.left_out.clone_from(&state.left_out);
        match (self.table.set_state(name, &mut state), failed) {
            (Ok(()), _) => Ok(told),
            // It is the table that fails.
            (Err(_), Some(Failure::Backend(error))) | (Err(error), _) => Err(error),
        }
    }

    fn hold(&self, state: &mut SourceState, now: Millis) {
        state.owner = Some(self.owner.clone());
        state.until = now + LEASE.as_millis() as Millis;
    }

    fn pages(
        &self,
        name: &str,
        config: &SourceConfig,
        state: &mut SourceState,
        told: &mut Refreshed,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, Failure> {
        let secrets = self.secrets.get(&secret_name(name)).map_err(Failure::Backend)?;
        let web = Web::new(&self.egress, config, &secrets, deadline).map_err(Failure::Fetch)?;
        let mut kept = Kept::default();
        loop {
            if stop() || deadline.saturating_duration_since(Instant::now()) < PAGE_TIME {
                return Ok(Outcome::Unfinished);
            }
            let now = (self.clock)();
            let reading = Reading { name, config, now };
            let since = state.since.as_ref().filter(|_| !state.whole);
            let page =
                self.patiently(deadline, stop, || reading.page(&web, &mut kept, state.cursor.as_ref(), since))?;
            told.pages += 1;
            if page.unchanged {
                state.finished = now;
                return Ok(Outcome::Unchanged);
            }
            self.store(name, &reading, state, &page).map_err(Failure::Backend)?;
            let Page { left_out, next, since, spared, spares_all, .. } = page;
            left_out.iter().for_each(|(what, times)| count(&mut state.left_out, what, *times));
            if next.is_none() {
                if (reading.is_whole() || state.whole) && !spares_all {
                    state.removed += self.table.sweep(name, state.pass, &spared).map_err(Failure::Backend)?;
                }
                if reading.is_whole() || state.whole {
                    state.read = state.began;
                }
                self.table.expire(now).map_err(Failure::Backend)?;
                state.cursor = None;
                state.since = since;
                state.finished = (self.clock)();
                return Ok(Outcome::Finished);
            }
            state.cursor = next;
            let at = (self.clock)();
            self.hold(state, at);
            self.table.set_state(name, state).map_err(Failure::Backend)?;
        }
    }

    fn store(
        &self,
        name: &str,
        reading: &Reading<'_>,
        state: &mut SourceState,
        page: &Page,
    ) -> Result<(), BackendError> {
        // What is over is not put again, and so swept.
        if reading.config.feed == Feed::Misp {
            // Of an event that cannot be read nothing is known yet: what it said of a value stays beside what others say.
            self.table.join(&page.iocs, state.pass, 0)?;
        } else if reading.is_whole() {
            self.table.put(&page.iocs, state.pass)?;
        } else {
            self.table.join(&page.iocs, state.pass, state.base)?;
            // What was known before a pass over all is swept after it.
            let among = Some(&page.over).filter(|_| state.whole);
            if !page.revised.is_empty() && among.is_none_or(|values| !values.is_empty()) {
                state.removed += self.table.revise(name, &page.revised, among)?;
            }
        }
        state.taken += page.iocs.len() as u64;
        Ok(())
    }

    /// A page that could not be had is asked for again, after a while.
    fn patiently(
        &self,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
        mut page: impl FnMut() -> Result<Page, FetchError>,
    ) -> Result<Page, Failure> {
        let mut pause = Duration::from_millis(500);
        for attempt in 1.. {
            let error = match page() {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            let wait = error.after.unwrap_or(pause).max(pause);
            let left = deadline.saturating_duration_since(Instant::now());
            if !error.again || attempt == ATTEMPTS || wait > PAUSE_MAX || wait + PAGE_TIME > left || stop() {
                return Err(Failure::Fetch(error));
            }
            let until = Instant::now() + wait;
            while Instant::now() < until && !stop() {
                std::thread::sleep(Duration::from_millis(50).min(wait));
            }
            pause *= 2;
        }
        Err(Failure::Fetch(FetchError::broken("it was tried too often")))
    }
}

/// An error with its cause.
fn spelt(error: &BackendError) -> String {
    let cause = error.source.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause}", error.action)
}

enum Failure {
    Fetch(FetchError),
    Backend(BackendError),
}

/// Under which the secret store has a source's credentials.
pub fn secret_name(source: &str) -> String {
    format!("threat-intel:{source}")
}
