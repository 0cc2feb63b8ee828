//! Fetching logs of services: when it is an app's turn, and what a turn is.
//!
//! All that is known of an app is one state, which is written whole and only in the place of the state that was read: so each step is
//! one write, can be repeated, and of two who try only one succeeds. A turn takes a lease, which ends by itself; a page is handed on
//! before its cursor is written, so a crash repeats at most one page; and identities make a repeat harmless.

use crate::backend::{AppTable, BackendError, BackendErrorKind};
use crate::config::apps::AppConfig;
use crate::plugin::{
    AppInfo, AppPage, AppPlugin, Ask, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Outside, Polled,
};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long after a first failure the next try is, and after many.
const AGAIN_FIRST: Millis = 15_000;
const AGAIN_LAST: Millis = 15 * 60_000;
/// The longest wait that a service may ask for.
const WAIT_MAX: Millis = 24 * 3_600_000;
/// A lease is this much longer than one poll may take: handing on a page is in it.
const LEASE_MORE: Millis = 4 * 60_000;
/// Requests of a poll that wait for their turn, or about so many.
const WAITS_IN_POLL: Millis = 8;
/// A wait that is waited for within a turn; a longer one ends it.
const WAIT_WITHIN: Millis = 60_000;
/// How far the clocks of hosts may differ.
const CLOCKS: Millis = 60_000;
/// The longest time between two requests.
const GAP_MAX: Duration = Duration::from_secs(60);
/// Bytes of an error that are kept.
const ERROR_BYTES: usize = 1_024;

/// What is known of an app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AppState {
    /// Counts writes; a write says which one it follows.
    #[serde(skip)]
    pub revision: u64,
    /// Second from which on logs are fetched.
    pub since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// When the last turn began that was due by the schedule.
    #[serde(default)]
    pub begun: Millis,
    /// There is more, or a failure is to be tried again: no sooner than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Millis>,
    /// Whose turn it is, and until when nobody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<AppLease>,
    /// Polls without a page since the last page.
    #[serde(default)]
    pub attempts: u32,
    /// How often pages went round in circles since an app came to its end.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub circles: u32,
    /// When the service was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_at: Option<Millis>,
    /// The error is a refusal: somebody has to do something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// When a turn last came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<Millis>,
    /// Since the beginning, or the last reset.
    #[serde(default)]
    pub pages: u64,
    #[serde(default)]
    pub logs: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLease {
    pub owner: String,
    pub until: Millis,
    /// When it was taken, or written last.
    #[serde(default)]
    pub since: Millis,
}

impl AppLease {
    /// One of a later time was taken by a clock that was wrong: it would hold for as long as that.
    fn holds(&self, now: Millis) -> bool {
        self.until > now && self.since <= now + CLOCKS
    }
}

fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

impl AppState {
    /// Of an app that was never asked: its logs begin some time ago.
    pub fn begin(config: &AppConfig, now: Millis) -> Self {
        let back = config.start.as_ref().map(|start| start.millis).or_else(|| {
            // As long as it is between two turns.
            let next = config.schedule.next(now)?;
            Some(config.schedule.next(next)? - next)
        });
        let back = back.unwrap_or(0);
        AppState { since: (now - back).div_euclid(1000), ..AppState::default() }
    }

    /// When it is its turn next, at `now` at the earliest; none if the schedule never comes.
    pub fn due(&self, config: &AppConfig, now: Millis) -> Option<Millis> {
        let due = match self.again {
            // Its next turn would be as late as that clock was ahead.
            _ if self.was_ahead(now) => Some(now),
            Some(again) => Some(again.max(now)),
            // Of a turn that should have been, the time is over; one that never was is the first.
            None if self.begun == 0 => Some(now),
            None => config.schedule.next(self.begun.min(now)).map(|next| next.max(now)),
        };
        match &self.lease {
            Some(lease) if lease.holds(now) => due.map(|due| due.max(lease.until)),
            _ => due,
        }
    }

    /// A clock that was ahead wrote this: its times are none to wait for.
    fn was_ahead(&self, now: Millis) -> bool {
        let written = [Some(self.begun), self.asked, self.error_at].into_iter().flatten().max();
        written.is_some_and(|written| written > now + CLOCKS)
            || self.again.is_some_and(|again| again > now + WAIT_MAX + CLOCKS)
    }

    pub fn is_due(&self, config: &AppConfig, now: Millis) -> bool {
        self.due(config, now).is_some_and(|due| due <= now)
    }

    /// Somebody is at it.
    pub fn is_running(&self, now: Millis) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.holds(now))
    }

    fn taken(&self, owner: &str, now: Millis, until: Millis) -> Self {
        let begun = if self.again.is_some() { self.begun.min(now) } else { now };
        let asked = self.asked.filter(|asked| *asked <= now + CLOCKS);
        AppState { asked, lease: Some(AppLease { owner: owner.into(), until, since: now }), begun, ..self.clone() }
    }

    fn kept(&self, page: &AppPage, now: Millis, until: Millis) -> Self {
        let wait = Millis::from(page.wait.unwrap_or(0)) * 1000;
        let mut state = AppState {
            cursor: Some(page.cursor.clone()),
            again: page.more.then_some(now + wait.min(WAIT_MAX)),
            attempts: 0,
            error: None,
            error_at: None,
            refused: false,
            pages: self.pages + 1,
            logs: self.logs + page.logs.len() as u64,
            ..self.clone()
        };
        if page.more {
            if let Some(lease) = &mut state.lease {
                (lease.until, lease.since) = (until, now);
            }
        } else {
            (state.lease, state.succeeded, state.circles) = (None, Some(now), 0);
        }
        state
    }

    fn released(&self) -> Self {
        AppState { lease: None, ..self.clone() }
    }

    fn failed(&self, reason: &str, after: Option<u32>, now: Millis) -> Self {
        let attempts = self.attempts + 1;
        let own = AGAIN_FIRST.saturating_mul(1 << (attempts.max(self.circles) - 1).min(10)).min(AGAIN_LAST);
        let asked = (Millis::from(after.unwrap_or(0)) * 1000).min(WAIT_MAX);
        AppState {
            again: Some(now + own.max(asked)),
            attempts,
            error: Some(cut(reason)),
            error_at: Some(now),
            refused: false,
            lease: None,
            ..self.clone()
        }
    }

    /// It cannot even begin. It is tried again as if it had not been its turn.
    fn not_ready(&self, reason: &str, now: Millis) -> Self {
        AppState { refused: true, error: Some(cut(reason)), error_at: Some(now), lease: None, ..self.clone() }
    }

    /// The next turn is that of the schedule.
    fn rejected(&self, reason: &str, now: Millis) -> Self {
        let again = None;
        AppState { again, refused: true, error: Some(cut(reason)), error_at: Some(now), lease: None, ..self.clone() }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(ERROR_BYTES)].to_owned()
}

/// Keeps in the state of an app why its turn cannot begin: no component, no credentials, a wrong setting.
pub fn not_ready(
    table: &dyn AppTable,
    app: &str,
    config: &AppConfig,
    reason: &str,
    now: Millis,
) -> Result<(), BackendError> {
    let there = table.get(app)?;
    let revision = there.as_ref().map(|state| state.revision);
    let state = there.unwrap_or_else(|| AppState::begin(config, now));
    // Whoever is at it can begin; and what is known already need not be written twice a minute.
    if state.is_running(now) || state.refused && state.error.as_deref() == Some(&cut(reason)) {
        return Ok(());
    }
    match table.put(app, &state.not_ready(reason, now), revision) {
        Err(error) if error.kind == BackendErrorKind::Conflict => Ok(()),
        done => done.map(drop),
    }
}

/// What is wrong with an app as it is configured; calls nobody. `place` says where a secret setting that is missing may stand.
pub fn problems(
    plugin: &dyn AppPlugin,
    kind: usize,
    config: &AppConfig,
    secrets: &BTreeMap<String, String>,
    place: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let Some(info) = plugin.apps().get(kind) else { return vec![format!("there is no app number {kind}")] };
    let mut problems = Vec::new();
    for given in config.settings.keys() {
        match info.settings.iter().find(|setting| setting.name == *given) {
            None => {
                let known: Vec<&str> = info.settings.iter().map(|setting| setting.name.as_str()).collect();
                problems.push(format!("{} has no setting {given}; it has {}", info.name, known.join(", ")));
            }
            Some(setting) if setting.secret => problems.push(format!(
                "{given} is secret and stands in apps.json: take it out there, and give it by `streamalert app update-auth`"
            )),
            Some(_) => {}
        }
    }
    let settings = settings(config, secrets);
    for setting in info.settings.iter().filter(|setting| setting.required) {
        if !settings.iter().any(|(given, value)| *given == setting.name && !value.trim().is_empty()) {
            let place = if setting.secret { place(&setting.name) } else { String::new() };
            problems.push(format!("{} is missing{place}", setting.name));
        }
    }
    if problems.is_empty() {
        match plugin.validate(kind, &settings) {
            Ok(faults) => problems.extend(faults.iter().map(|fault| match fault.setting.as_str() {
                "" => fault.message.clone(),
                setting => format!("{setting}: {}", fault.message),
            })),
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems
}

/// Settings of an app, secret ones among them.
pub fn settings(config: &AppConfig, secrets: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut settings = config.settings();
    settings.retain(|(name, _)| !secrets.contains_key(name));
    settings.extend(secrets.iter().map(|(name, value)| (name.clone(), value.clone())));
    settings
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that there was.
    Done,
    /// There is more, and time is over, or it has to wait until then.
    More { at: Millis },
    /// It was not its turn before then.
    NotDue { at: Option<Millis> },
    /// Somebody else is at it.
    Taken,
    /// No page came; tried again then.
    Failed { reason: String, at: Millis },
    /// Credentials or settings were refused.
    Rejected { reason: String },
}

/// What a turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    pub pages: u64,
    pub logs: u64,
    pub ended: Ended,
}

/// What a turn is taken with. Time is the caller's.
pub struct Turn<'a> {
    pub app: &'a str,
    pub config: &'a AppConfig,
    pub plugin: &'a dyn AppPlugin,
    /// The number of the type within its component.
    pub kind: usize,
    pub table: &'a dyn AppTable,
    /// Who takes it: like nobody else, and no other turn.
    pub owner: &'a str,
    /// What the app may do in the world, for one poll; it keeps to the pace.
    pub outside: &'a dyn Fn() -> Arc<dyn Outside>,
    /// How often the service is asked.
    pub pace: &'a Pace,
    /// Hands logs on. They are safe when it returns.
    pub hand_on: &'a dyn Fn(&[String]) -> Result<(), BackendError>,
    pub clock: &'a dyn Fn() -> Millis,
    /// Waits so long; `false`: it is time to stop.
    pub wait: &'a dyn Fn(Duration) -> bool,
    /// No poll is begun after this.
    pub until: Millis,
    /// Also when it is not due; never while somebody else is at it.
    pub force: bool,
}

impl Turn<'_> {
    /// Page after page, until there is no more, or no time. An error is one of the table.
    pub fn take(&self) -> Result<Turned, BackendError> {
        let mut turned = Turned { pages: 0, logs: 0, ended: Ended::Taken };
        let now = (self.clock)();
        let (mut state, known) = match self.table.get(self.app)? {
            Some(state) => (state, true),
            None => (AppState::begin(self.config, now), false),
        };
        if state.is_running(now) {
            return Ok(turned);
        }
        if !self.force && !state.is_due(self.config, now) {
            turned.ended = Ended::NotDue { at: state.due(self.config, now) };
            return Ok(turned);
        }
        let poll = Millis::from(self.config.caller().timeout_seconds.unwrap_or_default()) * 1000;
        let waits = i64::try_from(self.pace.gap.as_millis()).unwrap_or(0) * WAITS_IN_POLL;
        let lease = poll + waits + LEASE_MORE;
        let mut expected = known.then_some(state.revision);
        let mut put = |next: AppState| -> Result<Option<AppState>, BackendError> {
            match self.table.put(self.app, &next, expected) {
                Ok(revision) => {
                    expected = Some(revision);
                    Ok(Some(AppState { revision, ..next }))
                }
                Err(error) if error.kind == BackendErrorKind::Conflict => Ok(None),
                Err(error) => Err(error),
            }
        };
        let Some(taken) = put(state.taken(self.owner, now, now + lease))? else { return Ok(turned) };
        state = taken;
        // Also where another turn, perhaps in another process, asked last.
        self.pace.asked_at(state.asked);
        let mut seen: HashSet<u64> = state.cursor.iter().map(digest).collect();
        loop {
            // Before a poll, so that none of its time goes into this.
            let left = self.pace.left((self.clock)());
            if !left.is_zero() && !(self.wait)(left) {
                let at = (self.clock)() + i64::try_from(left.as_millis()).unwrap_or(0);
                let next = AppState { again: Some(at), ..state.released() };
                turned.ended = if put(next)?.is_some() { Ended::More { at } } else { Ended::Taken };
                return Ok(turned);
            }
            let ask = Ask {
                app: self.app.to_owned(),
                now: u64::try_from((self.clock)() / 1000).unwrap_or(0),
                since: u64::try_from(state.since).unwrap_or(0),
                attempt: state.attempts + 1,
                cursor: state.cursor.clone(),
                settings: self.config.settings(),
            };
            let polled = self.plugin.poll(self.kind, &ask, &(self.outside)());
            let polled = polled.unwrap_or_else(|error| Polled::Retry { reason: error.to_string(), after: None });
            let now = (self.clock)();
            state.asked = self.pace.asked().or(state.asked);
            let page = match polled {
                Polled::Page(page) => page,
                Polled::Retry { reason, after } => {
                    let next = state.failed(&reason, after, now);
                    let at = next.again.unwrap_or(now);
                    turned.ended = if put(next)?.is_some() { Ended::Failed { reason, at } } else { Ended::Taken };
                    return Ok(turned);
                }
                Polled::Reject(reason) => {
                    let there = put(state.rejected(&reason, now))?.is_some();
                    turned.ended = if there { Ended::Rejected { reason } } else { Ended::Taken };
                    return Ok(turned);
                }
            };
            if !page.logs.is_empty()
                && let Err(error) = (self.hand_on)(&page.logs)
            {
                let reason = match &error.source {
                    Some(source) => format!("its logs could not be handed on: {error}: {source}"),
                    None => format!("its logs could not be handed on: {error}"),
                };
                let next = state.failed(&reason, None, (self.clock)());
                let at = next.again.unwrap_or(now);
                turned.ended = if put(next)?.is_some() { Ended::Failed { reason, at } } else { Ended::Taken };
                return Ok(turned);
            }
            let now = (self.clock)();
            let mut next = state.kept(&page, now, now + lease);
            let circle = (page.more && !seen.insert(digest(&page.cursor))).then(|| {
                let which = if state.cursor.as_ref() == Some(&page.cursor) { "that it was asked for with" } else { "of an earlier page" };
                format!(
                    "its pages go round in circles: there is said to be more behind the cursor {which}, so it is asked no further for now"
                )
            });
            if circle.is_some() {
                next.circles = state.circles + 1;
                next = next.failed(circle.as_deref().unwrap_or_default(), page.wait, now);
            }
            // Somebody has reset the app, or our lease was over: the page is safe, and what comes next is another's.
            let Some(kept) = put(next)? else { return Ok(turned) };
            state = kept;
            turned.pages += 1;
            turned.logs += page.logs.len() as u64;
            if let Some(reason) = circle {
                turned.ended = Ended::Failed { reason, at: state.again.unwrap_or(now) };
                return Ok(turned);
            }
            let Some(at) = state.again else {
                turned.ended = Ended::Done;
                return Ok(turned);
            };
            let wait = (at - now).max(0);
            let goes_on = wait <= WAIT_WITHIN
                && at < self.until
                && (self.wait)(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
                && (self.clock)() < self.until;
            if !goes_on {
                turned.ended = if put(state.released())?.is_some() { Ended::More { at } } else { Ended::Taken };
                return Ok(turned);
            }
        }
    }
}

fn digest(cursor: impl AsRef<str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    cursor.as_ref().hash(&mut hasher);
    hasher.finish()
}

/// How often a service is asked: a time that passes between two requests, whichever page or turn they are of.
#[derive(Debug, Default)]
pub struct Pace {
    gap: Duration,
    /// When it was asked last.
    asked: Mutex<Option<Millis>>,
}

impl Pace {
    /// The operator's, or that which the app says its service takes.
    pub fn of(info: &AppInfo, config: &AppConfig) -> Self {
        let rate = config.rate.or(info.options.rate);
        let gap = rate.map_or(0.0, |rate| (1.0 / rate).min(GAP_MAX.as_secs_f64()));
        Pace { gap: Duration::from_secs_f64(gap), asked: Mutex::default() }
    }

    /// When it was asked last, as far as that is known here.
    pub fn asked(&self) -> Option<Millis> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_at(&self, at: Option<Millis>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = (*asked).max(at);
    }

    /// How long the next request has to wait. No longer than the gap, whatever the clock did.
    pub fn left(&self, now: Millis) -> Duration {
        let Some(asked) = self.asked() else { return Duration::ZERO };
        let passed = Duration::from_millis(u64::try_from(now - asked).unwrap_or(0));
        self.gap.saturating_sub(passed)
    }
}

/// Waits between requests, and notes when they were.
pub struct Paced {
    pub inner: Arc<dyn Outside>,
    pub pace: Arc<Pace>,
    pub clock: Arc<dyn Fn() -> Millis + Send + Sync>,
    /// Says whether there is time for it; if not, it does not wait.
    pub wait: Arc<dyn Fn(Duration) -> bool + Send + Sync>,
}

impl Outside for Paced {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let left = self.pace.left((self.clock)());
        if !left.is_zero() {
            if !(self.wait)(left) {
                let message = format!(
                    "at the app's rate the next request is {} s away, and there is no time for that",
                    left.as_secs()
                );
                return Err(HttpFailure { kind: HttpFailureKind::Timeout, message, sent: false });
            }
            self.inner.waited(left);
        }
        *self.pace.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.clock)());
        self.inner.http(request)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.inner.secret(name)
    }

    fn time_left(&self) -> Option<Duration> {
        self.inner.time_left()
    }

    fn waited(&self, time: Duration) {
        self.inner.waited(time);
    }
}

#[cfg(test)]
mod tests;
