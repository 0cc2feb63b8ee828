//! The way to one output.

use super::{Post, lock};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use streamalert_pipeline::alert_processor::{parcel, pause, settle};
use streamalert_pipeline::backend::{BackendError, Lease, Outcome, Settled};
use streamalert_pipeline::config::output::OutputConfig;
use streamalert_pipeline::plugin::{Disposition, OutputPlugin, Outside, Parcel, PluginError, PluginErrorKind};
use streamalert_pipeline::time::{self, Millis};

/// Deliveries a second, if neither operator nor output says anything: what a service of modest size takes, and an outage of an
/// hour with an alert a second is caught up with in a minute and a half.
const RATE: f64 = 50.0;
/// Parcels leased at once by a thread whose output is well.
const LEASED_MAX: usize = 16;
/// The same for an output that takes many at the cost of one.
const BULK_MAX: usize = 512;
/// Milliseconds one attempt may take, if the operator says nothing.
const ATTEMPT_MS: i64 = 30_000;
/// Failures in a row after which an output counts as down.
const DOWN_AFTER: u32 = 3;
/// Milliseconds an output that is down is left alone, at most.
const DOWN_MS_MAX: i64 = 5 * 60_000;
/// Milliseconds until an output whose component or credentials are missing is looked at again.
const HELD_MS: i64 = 5_000;
/// Milliseconds of work after which outcomes are recorded: a commit costs a few.
const SETTLE_MS: i64 = 10;
/// Milliseconds for which secrets are not read again.
const SECRETS_MS: i64 = 10_000;

pub struct Lane {
    pub output: String,
    config: OutputConfig,
    random: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Deliveries that may be begun now, and when that was counted.
    tokens: f64,
    counted: Option<Millis>,
    /// Failures since the last success.
    failures: u32,
    /// Nothing is tried before.
    paused: Millis,
    /// Threads at work.
    at_work: u32,
    /// The output's credentials, and when they were read.
    secrets: Option<(Arc<BTreeMap<String, String>>, Millis)>,
}

/// One thread at work. What it does not use is given back, however it ends.
struct Turn<'a> {
    lane: &'a Lane,
    /// Deliveries it may begin.
    unused: usize,
    /// The output is down, and this is to find out with the newest alert whether it still is.
    probes_newest: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.lane.state);
        state.at_work -= 1;
        state.tokens += self.unused as f64;
    }
}

pub enum Step {
    Worked,
    /// Nothing is due before.
    Until(Millis),
    /// Something may be due, but the output is left alone until then: it is down, or has had what it takes for now.
    Rests(Millis),
}

/// What a step goes by, beside the lane.
pub struct Turns<'a> {
    pub post: &'a Post,
    /// Of leases.
    pub owner: &'a str,
    /// An attempt that may take longer than to here is not begun.
    pub deadline: Millis,
    /// Told when all that may be leased at once was: there may be more, for others.
    pub full: &'a dyn Fn(),
}

impl Lane {
    pub fn new(output: &str, config: OutputConfig) -> Self {
        Lane { output: output.to_owned(), config, random: RandomState::new(), state: Mutex::default() }
    }

    pub fn is_paused(&self, now: Millis) -> bool {
        lock(&self.state).paused > now
    }

    pub fn busy(&self) -> bool {
        lock(&self.state).at_work > 0
    }

    /// Whether the operator says the same of it as when it was opened.
    pub fn has(&self, config: &OutputConfig) -> bool {
        self.config == *config
    }

    /// Milliseconds one attempt may take.
    pub fn attempt(&self) -> Millis {
        self.config.timeout_seconds.map_or(ATTEMPT_MS, |seconds| i64::from(seconds) * 1000)
    }

    /// Delivers a few of the parcels that are due.
    pub fn step(&self, post: &Post, owner: &str) -> Result<Step, BackendError> {
        self.step_within(&Turns { post, owner, deadline: Millis::MAX, full: &|| {} })
    }

    /// The same, with a deadline.
    pub fn step_within(&self, turns: &Turns<'_>) -> Result<Step, BackendError> {
        let post = turns.post;
        let now = post.now();
        let service = self.output.split_once(':').map_or(self.output.as_str(), |(service, _)| service);
        let plugin = post.plugin(service);
        let bulk = plugin.as_ref().is_some_and(|plugin| plugin.in_bulk());
        let rate = match (self.config.rate, &plugin) {
            (Some(rate), _) => rate,
            (None, Some(_)) if bulk => f64::INFINITY,
            (None, Some(plugin)) => plugin.info().options.rate.unwrap_or(RATE),
            (None, None) => RATE,
        };
        let most = if bulk { BULK_MAX } else { LEASED_MAX };
        let (allowed, probes_newest) = match self.allow(now, rate, most) {
            Ok(allowed) => allowed,
            Err(until) => return Ok(Step::Rests(until)),
        };
        let mut turn = Turn { lane: self, unused: allowed, probes_newest };
        // Looking costs less than leasing nothing.
        let due = self.next(post)?.unwrap_or(Millis::MAX);
        if due > now {
            return Ok(Step::Until(due));
        }
        if self.deliver(turns, plugin, &mut turn)? {
            return Ok(Step::Worked);
        }
        Ok(Step::Until(self.next(post)?.unwrap_or(Millis::MAX)))
    }

    /// When something is due.
    pub fn next(&self, post: &Post) -> Result<Option<Millis>, BackendError> {
        Ok(post.setup.table.due(Some(&self.output))?.first().map(|(_, due)| *due))
    }

    /// How many may be begun now, and whether it is the newest's turn; or when to ask again.
    fn allow(&self, now: Millis, rate: f64, most: usize) -> Result<(usize, bool), Millis> {
        let mut state = lock(&self.state);
        if state.paused > now {
            return Err(state.paused);
        }
        // Of an output that was down, one parcel finds out.
        let probing = state.failures >= DOWN_AFTER;
        if probing && state.at_work > 0 {
            return Err(now + 1_000);
        }
        if rate.is_finite() {
            let burst = rate.max(1.0);
            let since = state.counted.map_or(i64::MAX, |counted| now - counted).max(0);
            state.tokens = (state.tokens + rate * since as f64 / 1e3).min(burst);
            state.counted = Some(now);
        } else {
            state.tokens = most as f64;
        }
        if state.tokens < 1.0 {
            let wait = ((1.0 - state.tokens) / rate * 1e3).ceil().min(1e9) as Millis;
            return Err(now + wait.max(1));
        }
        let allowed = if probing { 1 } else { (state.tokens as usize).min(most) };
        state.tokens -= allowed as f64;
        state.at_work += 1;
        Ok((allowed, probing && state.failures % 2 == DOWN_AFTER % 2))
    }

    /// Says whether there was something to do.
    fn deliver(
        &self,
        turns: &Turns<'_>,
        plugin: Option<Arc<dyn OutputPlugin>>,
        turn: &mut Turn<'_>,
    ) -> Result<bool, BackendError> {
        let (post, owner) = (turns.post, turns.owner);
        // Time for one slow attempt, and for what is recorded with it.
        let until = post.now() + 2 * self.attempt();
        let leases = self.lease(post, owner, turn, until)?;
        turn.unused -= leases.len();
        if turn.unused == 0 {
            (turns.full)();
        }
        if leases.is_empty() {
            return Ok(false);
        }
        let Some(plugin) = plugin else {
            let service = self.output.split_once(':').map_or("", |(service, _)| service);
            let message =
                format!("no component delivers to {service}; put the .wasm of an output for it among the plugins");
            return self.hold(post, owner, &leases, &message);
        };
        let secrets = match self.secrets(post) {
            Ok(secrets) => secrets,
            Err(error) => {
                let message = super::told(&error);
                return self.hold(post, owner, &leases, &message);
            }
        };
        if plugin.in_bulk() {
            let outside = post.setup.world.outside(plugin.info(), &self.config, &secrets);
            self.deliver_bulk(post, owner, &*plugin, &outside, leases)?;
        } else {
            self.deliver_each(turns, &*plugin, &secrets, leases)?;
        }
        Ok(true)
    }

    /// Of an output that is down, the newest alert is tried in turn with the oldest: there may be many that only they cannot be
    /// delivered, and behind them one that can.
    fn lease(&self, post: &Post, owner: &str, turn: &Turn<'_>, until: Millis) -> Result<Vec<Lease>, BackendError> {
        let (table, now) = (&post.setup.table, post.now());
        if turn.probes_newest
            && let Some(lease) = table.probe(&self.output, owner, now, until)?
        {
            return Ok(vec![lease]);
        }
        table.lease(&self.output, owner, now, until, turn.unused)
    }

    /// Gives all back: before something else happens there is no use in trying, and it is no attempt.
    fn hold(&self, post: &Post, owner: &str, leases: &[Lease], reason: &str) -> Result<bool, BackendError> {
        let due = post.now() + HELD_MS;
        {
            let mut state = lock(&self.state);
            state.paused = state.paused.max(due);
        }
        post.metrics.held(&self.output, reason);
        let held = |lease| self.settled(lease, Outcome::Released { due, reason: Some(reason.to_owned()) });
        let settled: Vec<Settled> = leases.iter().map(held).collect();
        post.setup.table.settle(owner, &settled, post.now())?;
        Ok(true)
    }

    fn deliver_bulk(
        &self,
        post: &Post,
        owner: &str,
        plugin: &dyn OutputPlugin,
        outside: &Arc<dyn Outside>,
        leases: Vec<Lease>,
    ) -> Result<(), BackendError> {
        let now = post.now();
        let publishers = post.publishers();
        let mut parcels: Vec<Parcel> = Vec::with_capacity(leases.len());
        let mut sent: Vec<&Lease> = Vec::with_capacity(leases.len());
        let mut settled = Vec::with_capacity(leases.len());
        for lease in &leases {
            self.first_attempt(post, lease, now);
            match unharmed(|| parcel(lease, &self.config, &publishers, now)) {
                Ok(Ok(parcel)) => {
                    parcels.push(parcel);
                    sent.push(lease);
                }
                Ok(Err(unshaped)) => settled.push(self.outcome(post, lease, Ok(again(unshaped.message)))),
                Err(panic) => settled.push(self.outcome(post, lease, Err(panic))),
            }
        }
        let begun = post.now();
        // After a panic each goes by itself, so that only the one at fault is lost.
        let mut results = unharmed(|| plugin.deliver_all(&parcels, outside)).unwrap_or_else(|_| {
            let each = |parcel| unharmed(|| plugin.deliver(parcel, outside)).unwrap_or_else(Err);
            parcels.iter().map(each).collect()
        });
        results.resize_with(sent.len(), || Err(fault("the output does not say what became of it")));
        // However many there are, they were one attempt.
        let telling = results.iter().position(|result| matches!(result, Ok(Disposition::Delivered(_)))).unwrap_or(0);
        if let Some(result) = results.get(telling) {
            self.learn(post.now(), result);
            post.metrics.took(&self.output, post.now() - begun);
        }
        for (lease, result) in sent.iter().zip(results) {
            settled.push(self.outcome(post, lease, result));
        }
        post.setup.table.settle(owner, &settled, post.now())
    }

    fn deliver_each(
        &self,
        turns: &Turns<'_>,
        plugin: &dyn OutputPlugin,
        secrets: &BTreeMap<String, String>,
        leases: Vec<Lease>,
    ) -> Result<(), BackendError> {
        let (post, owner) = (turns.post, turns.owner);
        let table = &post.setup.table;
        let publishers = post.publishers();
        let mut settled = Vec::new();
        let mut since = post.now();
        for lease in &leases {
            let now = post.now();
            // Whoever stops, or meets trouble, gives back what it has not begun.
            if post.stopping() || self.is_paused(now) || now + self.attempt() > lease.until.min(turns.deadline) {
                settled.push(self.settled(lease, Outcome::Released { due: lease.due, reason: None }));
                continue;
            }
            self.first_attempt(post, lease, now);
            let result = unharmed(|| match parcel(lease, &self.config, &publishers, now) {
                Ok(parcel) => {
                    // Its time begins now.
                    let outside = post.setup.world.outside(plugin.info(), &self.config, secrets);
                    let result = plugin.deliver(&parcel, &outside);
                    self.learn(post.now(), &result);
                    result
                }
                Err(unshaped) => Ok(again(unshaped.message)),
            });
            let result = result.unwrap_or_else(Err);
            post.metrics.took(&self.output, post.now() - now);
            settled.push(self.outcome(post, lease, result));
            if post.now() - since >= SETTLE_MS {
                table.settle(owner, &settled, post.now())?;
                settled.clear();
                since = post.now();
            }
        }
        table.settle(owner, &settled, post.now())
    }

    /// How long the alert waited for us.
    fn first_attempt(&self, post: &Post, lease: &Lease, now: Millis) {
        if lease.attempts == 0
            && let Some(created) = time::parse(&lease.alert.created)
        {
            post.metrics.waited(&self.output, now - created);
        }
    }

    fn outcome(&self, post: &Post, lease: &Lease, result: Result<Disposition, PluginError>) -> Settled {
        let random = self.random.hash_one((&lease.alert.id, lease.attempts));
        let outcome = settle(lease, &self.config, result, post.now(), random);
        post.metrics.outcome(&self.output, lease, &outcome);
        self.settled(lease, outcome)
    }

    fn settled(&self, lease: &Lease, outcome: Outcome) -> Settled {
        Settled { alert_id: lease.alert.id.clone(), output: self.output.clone(), outcome }
    }

    /// Whether the output is well.
    fn learn(&self, now: Millis, result: &Result<Disposition, PluginError>) {
        match result {
            // It was there and answered.
            Ok(Disposition::Delivered(_) | Disposition::Reject(_)) => lock(&self.state).failures = 0,
            Ok(Disposition::Retry { after, .. }) => self.failed(now, *after),
            Err(error) if error.kind == PluginErrorKind::HostCall => self.failed(now, None),
            Err(_) => {}
        }
    }

    fn failed(&self, now: Millis, after: Option<u32>) {
        let mut state = lock(&self.state);
        state.failures = state.failures.saturating_add(1);
        if state.failures >= DOWN_AFTER {
            let random = self.random.hash_one(now);
            let rest = pause(state.failures - DOWN_AFTER + 1, None, random).min(DOWN_MS_MAX);
            state.paused = state.paused.max(now + rest);
        }
        // It has asked for rest, whoever it answered.
        if let Some(after) = after {
            state.paused = state.paused.max(now + pause(1, Some(after), self.random.hash_one(now)));
        }
    }

    fn secrets(&self, post: &Post) -> Result<Arc<BTreeMap<String, String>>, BackendError> {
        let now = post.now();
        if let Some((secrets, read)) = &lock(&self.state).secrets
            && (0..SECRETS_MS).contains(&(now - read))
        {
            return Ok(secrets.clone());
        }
        let secrets = Arc::new(post.setup.secrets.get(&self.output)?);
        lock(&self.state).secrets = Some((secrets.clone(), now));
        Ok(secrets)
    }
}

/// A panic in what delivers one alert is that alert's misfortune; the thread has others.
fn unharmed<T>(work: impl FnOnce() -> T) -> Result<T, PluginError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        PluginError::new(PluginErrorKind::Trap, format!("panicked: {}", text.unwrap_or_default()))
    })
}

fn again(reason: String) -> Disposition {
    Disposition::Retry { reason, after: None, progress: None }
}

fn fault(message: &str) -> PluginError {
    PluginError::new(PluginErrorKind::HostCall, message)
}
