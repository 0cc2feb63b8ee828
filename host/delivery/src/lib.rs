//! The post room: every output has a lane of its own, so that one that is down holds up no other.
//!
//! A lane leases what is due, delivers it and records what came of it. It keeps to the rate its service takes, and an output
//! that fails several times in a row is left alone for a while, then tried with one parcel. On one machine threads of the
//! post room work as long as it is open ([`Post::start`]); a function that is woken for what is due works it off and ends
//! ([`Post::work_through`]).

mod lane;
pub mod metrics;
mod through;

pub use through::{Ended, Through};

use arc_swap::ArcSwap;
use lane::{Lane, Step};
use metrics::Metrics;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_merger::{fold, waiting};
use streamalert_pipeline::alert_processor::publication::{Publication, Publishers};
use streamalert_pipeline::alert_processor::undeliverable;
use streamalert_pipeline::backend::{AlertTable, BackendError, Fold, FoldInto, Group, NewAlert, SecretStore};
use streamalert_pipeline::config::Outputs;
use streamalert_pipeline::live::Live;
use streamalert_pipeline::plugin::{OutputPlugin, PluginSet, World};
use streamalert_pipeline::time::Millis;

/// How often a lane looks for what another process made due (`streamalert alerts retry`).
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Deliveries of one output at a time, if the operator says nothing.
const CONCURRENCY: u16 = 4;
/// Groups folded in one transaction, and bytes of their records: so much memory merging takes, a few times over.
const FOLDS_AT_ONCE: usize = 32;
const FOLD_BYTES: usize = 16 << 20;
/// How long the end of a run waits for an attempt that is under way, beyond its own time limit.
const STOP_PATIENCE: Duration = Duration::from_secs(35);
/// How often the end of a run looks whether everything is delivered.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// What the post room is made of.
pub struct Setup {
    pub table: Arc<dyn AlertTable>,
    pub live: Arc<ArcSwap<Live>>,
    /// May change while alerts are delivered.
    pub outputs: Arc<ArcSwap<Outputs>>,
    pub secrets: Arc<dyn SecretStore>,
    pub world: Arc<dyn World>,
    /// Outputs of the host itself, which are asked before components.
    pub native: Vec<Arc<dyn OutputPlugin>>,
    pub clock: Arc<dyn Fn() -> Millis + Send + Sync>,
}

/// Stores alerts, whose outputs become those they go to, and what is owed to each. Says for each whether it is new; `dead`
/// hears of outputs that are not configured.
pub fn store(
    table: &dyn AlertTable,
    outputs: &Outputs,
    alerts: &mut [Alert],
    now: Millis,
    mut dead: impl FnMut(&str, &str),
) -> Result<Vec<bool>, BackendError> {
    address(outputs, alerts);
    let new: Vec<NewAlert<'_>> = alerts
        .iter()
        .map(|alert| NewAlert {
            alert,
            waiting: waiting(alert).filter(|_| !alert.outputs.is_empty()),
            undeliverable: undeliverable(alert, outputs),
        })
        .collect();
    let added = table.add(&new, now)?;
    for (new, _) in new.iter().zip(&added).filter(|(new, added)| **added && new.waiting.is_none()) {
        new.undeliverable.iter().for_each(|(output, reason)| dead(output, reason));
    }
    Ok(added)
}

/// Adds the outputs that the configuration names for them; more than once is no more than once.
pub fn address(outputs: &Outputs, alerts: &mut [Alert]) {
    for alert in alerts {
        alert.outputs = outputs.of(&alert.outputs, &alert.cluster, alert.severity);
    }
}

/// What one round of merging was about.
#[derive(Debug)]
pub struct Folded {
    pub groups: usize,
    /// Ids of their members.
    pub alerts: Vec<String>,
    /// Why some of the groups are still there.
    pub trouble: Option<BackendError>,
}

/// What all lanes share.
pub struct Post {
    pub(crate) setup: Setup,
    pub metrics: Metrics,
    /// Unlike that of any other run: a process number alone comes again.
    name: String,
    bell: Bell,
    /// Threads deliver; in tests nobody does but the test.
    started: AtomicBool,
    stopping: AtomicBool,
    lanes: Mutex<BTreeMap<String, Arc<Lane>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Wakes whoever waits for alerts.
#[derive(Default)]
struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rings) += 1;
        self.rung.notify_all();
    }

    fn rings(&self) -> u64 {
        *lock(&self.rings)
    }

    /// Waits for a ring after `heard`, at most so long.
    fn wait(&self, heard: u64, patience: Duration) {
        let rings = lock(&self.rings);
        // A poisoned lock has nobody's half-done work in it.
        let _ = self.rung.wait_timeout_while(rings, patience, |rings| *rings == heard);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Post {
    pub fn new(setup: Setup) -> Arc<Post> {
        Arc::new(Post {
            setup,
            metrics: Metrics::default(),
            name: format!("{}-{:016x}", std::process::id(), RandomState::new().hash_one(0)),
            bell: Bell::default(),
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            lanes: Mutex::default(),
            threads: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Millis {
        (self.setup.clock)()
    }

    /// Stores alerts, whose outputs become those they go to. Says for each whether it is new.
    pub fn take(&self, alerts: &mut [Alert]) -> Result<Vec<bool>, BackendError> {
        store(&*self.setup.table, &self.setup.outputs.load(), alerts, self.now(), |output, reason| {
            self.metrics.dead(output, reason);
        })
    }

    /// Adds the outputs that the configuration names for them, as [`Post::take`] does.
    pub fn address(&self, alerts: &mut [Alert]) {
        address(&self.setup.outputs.load(), alerts);
    }

    /// Says that these are stored, so that nobody waits.
    pub fn wake<'a>(self: &Arc<Self>, alerts: impl Iterator<Item = &'a Alert>) -> std::io::Result<()> {
        for alert in alerts {
            for output in &alert.outputs {
                self.open(output)?;
            }
        }
        self.bell.ring();
        Ok(())
    }

    /// Begins to deliver what is owed from before, and to merge.
    pub fn start(self: &Arc<Self>) -> anyhow::Result<()> {
        self.started.store(true, Ordering::Release);
        self.look()?;
        let post = self.clone();
        let merger = move || {
            while !post.stopping() {
                let heard = post.bell.rings();
                let pause = match post.merge(post.now()) {
                    Ok(0) => LOOK_EVERY,
                    Ok(_) => Duration::ZERO,
                    Err(error) => {
                        tracing::warn!(error = told(&error), "merging failed and is tried again");
                        LOOK_EVERY
                    }
                };
                if !pause.is_zero() {
                    let next = post.setup.table.next_group().ok().flatten();
                    let until = next.map_or(i64::MAX, |next| next.saturating_sub(post.now())).max(1);
                    post.bell.wait(heard, pause.min(Duration::from_millis(until.unsigned_abs())));
                }
            }
        };
        lock(&self.threads).push(thread::Builder::new().name("merger".into()).spawn(merger)?);
        Ok(())
    }

    /// What is live from now on, for whoever has no watcher that sees to it.
    pub fn set(&self, live: Arc<Live>, outputs: Arc<Outputs>) {
        self.setup.live.store(live);
        self.setup.outputs.store(outputs);
    }

    /// Those of the outputs that are configured; the others are told of, and what is owed to them is kept.
    pub fn known(&self, outputs: impl IntoIterator<Item = String>) -> Vec<String> {
        let configured = self.setup.outputs.load();
        let known = |output: &String| match configured.unknown(output) {
            Some(reason) => {
                self.metrics.nowhere(output, &reason);
                false
            }
            None => true,
        };
        outputs.into_iter().filter(known).collect()
    }

    /// Opens lanes to all that something is owed to, and tells of outputs that are gone from the configuration: what is owed to
    /// them is kept until they are back, or an operator drops it.
    fn look(self: &Arc<Self>) -> Result<(), BackendError> {
        for output in self.known(self.setup.table.due(None)?.into_iter().map(|(output, _)| output)) {
            // Threads that cannot be started now are started at the next look.
            drop(self.open(&output));
        }
        Ok(())
    }

    /// The lane of an output, with its threads.
    fn open(self: &Arc<Self>, output: &str) -> std::io::Result<()> {
        let outputs = self.setup.outputs.load();
        let mut lanes = lock(&self.lanes);
        if !self.started.load(Ordering::Acquire)
            || self.stopping()
            || lanes.contains_key(output)
            || !outputs.knows(output)
        {
            return Ok(());
        }
        let config = outputs.get(output);
        let count = config.concurrency.unwrap_or(CONCURRENCY);
        let lane = Arc::new(Lane::new(output, config));
        for number in 0..count {
            let (post, lane) = (self.clone(), lane.clone());
            let owner = format!("{}-{number}", self.name);
            let work = move || post.work(&lane, &owner);
            match thread::Builder::new().name(format!("to {output}")).spawn(work) {
                Ok(thread) => lock(&self.threads).push(thread),
                Err(error) if number == 0 => return Err(error),
                // A few are enough.
                Err(_) => break,
            }
        }
        lanes.insert(output.to_owned(), lane);
        Ok(())
    }

    fn work(&self, lane: &Lane, owner: &str) {
        while !self.stopping() {
            let heard = self.bell.rings();
            let wait = match lane.step(self, owner) {
                Ok(Step::Worked) => continue,
                Ok(Step::Until(until) | Step::Rests(until)) => {
                    let pause = until.saturating_sub(self.now()).max(1);
                    Duration::from_millis(pause.unsigned_abs()).min(LOOK_EVERY)
                }
                Err(error) => {
                    tracing::warn!(output = lane.output, error = told(&error), "the alert table failed a delivery");
                    thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            self.bell.wait(heard, wait);
        }
    }

    /// Folds groups whose time has come, a few of them.
    pub fn fold_some(&self, now: Millis) -> Result<Folded, BackendError> {
        let groups = self.setup.table.groups(now, FOLDS_AT_ONCE)?;
        let count = groups.len();
        let (alerts, trouble) = self.fold(groups);
        Ok(Folded { groups: count, alerts, trouble })
    }

    /// The same, and lanes hear of it.
    pub fn merge(self: &Arc<Self>, now: Millis) -> Result<usize, BackendError> {
        let folded = self.fold_some(now)?;
        self.look()?;
        if folded.groups > 0 {
            self.bell.ring();
        }
        folded.trouble.map_or(Ok(folded.groups), Err)
    }

    /// Merges all that waits, whatever its window.
    pub fn flush(self: &Arc<Self>) -> Result<(), BackendError> {
        // A group whose first alert was sent stays to the end of its window, and has nobody in it any more.
        let trouble = loop {
            let (folded, trouble) = self.fold(self.setup.table.groups(Millis::MAX, usize::MAX)?);
            if folded.is_empty() || trouble.is_some() {
                break trouble;
            }
        };
        self.look()?;
        self.bell.ring();
        trouble.map_or(Ok(()), Err)
    }

    /// Gives the ids of the alerts in the groups. A group that cannot be folded now holds up no other.
    fn fold(&self, groups: Vec<Group>) -> (Vec<String>, Option<BackendError>) {
        let (table, outputs) = (&self.setup.table, self.setup.outputs.load());
        let (mut folds, mut bytes, mut all, mut trouble) = (Vec::new(), 0, Vec::new(), None);
        let (mut merged, mut silent) = (0, 0);
        let mut record = |folds: &[Fold], merged: &mut u64, silent: &mut u64| match self.record(folds) {
            Ok(()) => self.metrics.merged(std::mem::take(merged), std::mem::take(silent)),
            Err(error) => {
                (*merged, *silent) = (0, 0);
                trouble.get_or_insert(error);
            }
        };
        let mut unread = None;
        for group in groups {
            let members = match table.members(&group) {
                Ok(members) => members,
                Err(error) => {
                    unread.get_or_insert(error);
                    continue;
                }
            };
            let ids: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
            all.extend_from_slice(&ids);
            bytes += members.iter().map(|member| member.record.as_str().len()).sum::<usize>();
            let (into, undeliverable) = if group.below_threshold {
                silent += ids.len() as u64;
                (FoldInto::Nobody, Vec::new())
            } else if let [alone] = &members[..] {
                (FoldInto::Alone, undeliverable(alone, &outputs))
            } else {
                match fold(members, self.now()) {
                    None => (FoldInto::Nobody, Vec::new()),
                    Some(alert) => {
                        merged += ids.len() as u64;
                        let undeliverable = undeliverable(&alert, &outputs);
                        (FoldInto::Merged(Box::new(alert)), undeliverable)
                    }
                }
            };
            folds.push(Fold { group, members: ids, into, undeliverable });
            if folds.len() >= FOLDS_AT_ONCE || bytes >= FOLD_BYTES {
                record(&std::mem::take(&mut folds), &mut merged, &mut silent);
                bytes = 0;
            }
        }
        record(&folds, &mut merged, &mut silent);
        (all, trouble.or(unread))
    }

    fn record(&self, folds: &[Fold]) -> Result<(), BackendError> {
        self.setup.table.fold(folds, self.now())?;
        for (output, reason) in folds.iter().flat_map(|fold| &fold.undeliverable) {
            self.metrics.dead(output, reason);
        }
        Ok(())
    }

    /// Waits until nothing is due but what has to wait for its next attempt, at most so long.
    pub fn drain(&self, patience: Duration) -> Result<(), BackendError> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let now = self.now();
            let due = self.setup.table.due(None)?;
            let lanes = lock(&self.lanes).clone();
            let busy = due.iter().any(|(output, due)| match lanes.get(output) {
                Some(lane) => lane.busy() || (*due <= now && !lane.is_paused(now)),
                None => false,
            });
            if !busy && !lanes.values().any(|lane| lane.busy()) {
                return Ok(());
            }
            thread::sleep(DRAIN_LOOK);
        }
        Ok(())
    }

    /// Ends all lanes; attempts under way are finished and recorded.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
        let end = Instant::now() + STOP_PATIENCE;
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            // One that does not end holds a lease, and the next run takes it up.
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// What delivers to this service, if anything does.
    pub(crate) fn plugin(&self, service: &str) -> Option<Arc<dyn OutputPlugin>> {
        let live = self.setup.live.load();
        let all = self.setup.native.iter().chain(&live.rules.plugins.outputs);
        all.into_iter().find(|output| output.info().service == service).cloned()
    }

    pub(crate) fn publishers(&self) -> Components {
        Components(self.setup.live.load().rules.plugins.clone())
    }
}

/// Publishers of the components that are live.
pub struct Components(pub PluginSet);

impl Publishers for Components {
    fn publish(
        &self,
        name: &str,
        alert: &Alert,
        publication: &Publication,
        output: &str,
    ) -> Option<Result<Publication, String>> {
        let (plugin, index) = self.0.publishers.iter().find_map(|plugin| {
            Some((plugin, plugin.publishers().iter().position(|publisher| publisher.name == name)?))
        })?;
        let text = |value: serde_json::Result<String>| value.map_err(|error| error.to_string());
        let publish = || {
            let alert = text(serde_json::to_string(alert))?;
            let publication = text(serde_json::to_string(publication))?;
            plugin.publish(index, &alert, &publication, output).map_err(|error| error.to_string())?
        };
        Some(publish())
    }
}

fn told(error: &BackendError) -> String {
    match &error.source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// The real time.
pub fn real_clock() -> Arc<dyn Fn() -> Millis + Send + Sync> {
    steady(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis().try_into().unwrap_or(Millis::MAX)
    })
}

/// The same time, but for a clock that is set back: then it goes on as if nothing had happened, and nothing that is due has to
/// wait until the clock is there again.
fn steady(wall: impl Fn() -> Millis + Send + Sync + 'static) -> Arc<dyn Fn() -> Millis + Send + Sync> {
    let begun = Instant::now();
    let ahead = AtomicI64::new(i64::MIN);
    Arc::new(move || {
        let since = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = wall() - since;
        since + ahead.fetch_max(now, Ordering::AcqRel).max(now)
    })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod through_tests;
