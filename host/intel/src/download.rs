//! Downloads: which sources are due, one page after the other, and what is known of how far they have come. After each page that
//! is written down, so that whoever breaks off, another goes on there.

use crate::feeds::{Page, Reading};
use crate::web::{FetchError, Web};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_egress::Egress;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::threat_intel::{SourceConfig, schedule_seconds};
use streamalert_pipeline::threat_intel::{IocTable, SourceState};
use streamalert_pipeline::time::Millis;

/// How long a source is somebody's after his last page: the longest that an answer can take, and some more.
const LEASE: Duration = Duration::from_secs(330);
/// Attempts of one page, before the source has to wait for a later time.
const ATTEMPTS: u32 = 4;
/// The longest pause between them; who asks for a longer one gets it later.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Milliseconds after which a source that failed is tried again: this, and twice as long each time.
const RETRY_FIRST: Millis = 60_000;
const RETRY_LONGEST: Millis = 3_600_000;
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

/// When a source is to be asked next.
pub fn due(config: &SourceConfig, state: &SourceState) -> Millis {
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
        if state.cursor.is_none() {
            state.pass += 1;
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
        told.outcome = match self.pages(name, config, force, &mut state, &mut told, deadline, stop) {
            Ok(outcome) => {
                (state.error, state.failures, state.retry) = (None, 0, 0);
                outcome
            }
            // Somebody else has taken it over, and goes on where it was.
            Err(Failure::Backend(error)) if error.kind == BackendErrorKind::Conflict => {
                told.outcome = Outcome::Busy;
                return Ok(told);
            }
            Err(Failure::Backend(error)) => return Err(error),
            Err(Failure::Fetch(error)) => {
                let now = (self.clock)();
                let wait = (RETRY_FIRST << state.failures.min(10)).min(RETRY_LONGEST);
                let asked = error.after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(RETRY_LONGEST));
                state.failures = state.failures.saturating_add(1);
                state.retry = now + wait.max(asked.min(86_400_000));
                state.error = Some(error.message.clone());
                tracing::error!(
                    source = name,
                    error = error.message,
                    "a source of threat intelligence failed; what it gave before stays"
                );
                told.error = Some(error.message);
                Outcome::Failed
            }
        };
        (state.owner, state.until) = (None, 0);
        (told.taken, told.removed) = (state.taken, state.removed);
        told.left_out.clone_from(&state.left_out);
        self.table.set_state(name, &mut state)?;
        Ok(told)
    }

    fn hold(&self, state: &mut SourceState, now: Millis) {
        state.owner = Some(self.owner.clone());
        state.until = now + LEASE.as_millis() as Millis;
    }

    #[expect(clippy::too_many_arguments)]
    fn pages(
        &self,
        name: &str,
        config: &SourceConfig,
        force: bool,
        state: &mut SourceState,
        told: &mut Refreshed,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Outcome, Failure> {
        let secrets = self.secrets.get(&secret_name(name)).map_err(Failure::Backend)?;
        let web = Web::new(&self.egress, config, &secrets, deadline).map_err(Failure::Fetch)?;
        // What does not change expires all the same, unless it is read again in time.
        let lasts = i64::from(config.expires_days) * 86_400_000;
        let fresh = force || state.finished + lasts / 2 < (self.clock)();
        loop {
            if stop() || deadline.saturating_duration_since(Instant::now()) < PAGE_TIME {
                return Ok(Outcome::Unfinished);
            }
            let now = (self.clock)();
            let reading = Reading { name, config, now };
            let page = self
                .patiently(deadline, stop, || reading.page(&web, state.cursor.as_ref(), state.since.as_ref(), fresh))?;
            told.pages += 1;
            let Page { iocs, removed, left_out, next, since, unchanged } = page;
            if unchanged {
                state.finished = now;
                return Ok(Outcome::Unchanged);
            }
            self.table.put(&iocs, state.pass).map_err(Failure::Backend)?;
            let gone = match removed.is_empty() {
                true => 0,
                false => self.table.remove(name, &removed).map_err(Failure::Backend)?,
            };
            state.taken += iocs.len() as u64;
            state.removed += gone;
            for (what, count) in left_out {
                *state.left_out.entry(what).or_default() += count;
            }
            if next.is_none() {
                if reading.is_whole() {
                    state.removed += self.table.sweep(name, state.pass).map_err(Failure::Backend)?;
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

    /// A page that could not be had is asked for again, after a while.
    fn patiently(
        &self,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
        page: impl Fn() -> Result<Page, FetchError>,
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

enum Failure {
    Fetch(FetchError),
    Backend(BackendError),
}

/// Under which the secret store has a source's credentials.
pub fn secret_name(source: &str) -> String {
    format!("threat-intel:{source}")
}
