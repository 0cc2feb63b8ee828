//! Everything the pipeline asks of the outside world.

use crate::alert::{Alert, Hit};
use crate::alert_merger::Waiting;
use crate::apps::AppState;
use crate::dead_letter::DeadLetter;
use crate::record_batch::RecordBatch;
use crate::rules_engine::Detected;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// By what one does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendErrorKind {
    /// Wait and try again.
    Throttled,
    /// Somebody else was first.
    Conflict,
    NotFound,
    Denied,
    Other,
}

#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct BackendError {
    pub kind: BackendErrorKind,
    /// What was being done, `add alerts to the table`.
    pub action: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BackendError {
    pub fn other(action: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        BackendError { kind: BackendErrorKind::Other, action: action.into(), source: Some(source.into()) }
    }
}

/// An alert with what becomes of it.
#[derive(Clone, Debug)]
pub struct NewAlert<'a> {
    pub alert: &'a Alert,
    /// It waits for others, and its outputs with it.
    pub waiting: Option<Waiting>,
    /// Outputs that nothing can be delivered to, each with the reason: dead from the start, and seen.
    pub undeliverable: Vec<(String, String)>,
}

/// One output of one alert that is due, and ours until `until`.
#[derive(Clone, Debug)]
pub struct Lease {
    pub alert: Alert,
    pub output: String,
    /// Attempts before this one.
    pub attempts: u32,
    /// Of these, the ones that ended in a fault of the plugin.
    pub faults: u32,
    pub progress: Option<String>,
    /// Since when it was due.
    pub due: Millis,
    pub until: Millis,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered {
        receipt: Option<String>,
    },
    Again {
        due: Millis,
        error: String,
        progress: Option<String>,
        faults: u32,
    },
    /// Given up; an operator may have it tried again.
    Dead {
        error: String,
    },
    /// Not attempted: the lease is given back, and the delivery is due again at this time.
    Released {
        due: Millis,
        /// What has to happen first; of a delivery that only has to wait for its turn, none.
        reason: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub struct Settled {
    pub alert_id: String,
    pub output: String,
    pub outcome: Outcome,
}

/// A group of alerts that is to be folded now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The table's own name for it.
    pub id: String,
    /// It ended before its threshold: nobody is told.
    pub below_threshold: bool,
}

/// What a group is folded to.
#[derive(Clone, Debug)]
pub struct Fold {
    pub group: Group,
    /// Those of the group that it is made of; alerts that came to the group since stay in it.
    pub members: Vec<String>,
    pub into: FoldInto,
    /// As of [`NewAlert`], of what the outputs get.
    pub undeliverable: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub enum FoldInto {
    Merged(Box<Alert>),
    /// There is one member only, and it goes as it is.
    Alone,
    /// Nobody is told of them.
    Nobody,
}

/// Alerts we owe delivery, and those that wait for others. Times are the caller's; the table has no clock.
pub trait AlertTable: Send + Sync {
    /// Stores alerts, each with all that it owes, durably when it returns: their outputs are due at `now`, or when their group
    /// is folded. After an error none or some are stored; doing it again stores the rest.
    /// One whose id is there already, or was, is left as it is. Says for each alert whether it is new.
    fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError>;

    /// Deliveries to `output` that are due, the longest due first, at most `limit`. They are `owner`'s until `until`: nobody
    /// else gets them before, and after that everybody may. An alert that cannot be read is dead, and holds up no other.
    fn lease(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError>;

    /// The same of one delivery that was never attempted, the one that became due last; none if there is none.
    fn probe(&self, output: &str, owner: &str, now: Millis, until: Millis) -> Result<Option<Lease>, BackendError>;

    /// Records what came of leased deliveries, durably when it returns. What is no longer `owner`'s is left as it is, unless
    /// it was delivered: that is a fact. An alert that owes nothing any more leaves the table.
    fn settle(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError>;

    /// For each output with deliveries that are not settled, when the next one is due: of a lease, when it ends. Of one output,
    /// if it is named.
    fn due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError>;

    /// Groups to be folded at `now`, at most `limit`.
    fn groups(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError>;

    /// The oldest alerts of a group, at most as many as one merged alert may hold, by number and by bytes.
    fn members(&self, group: &Group) -> Result<Vec<Alert>, BackendError>;

    /// Puts merged alerts in the place of their members, durably when it returns; no group is told of twice, or in part, whatever
    /// happens meanwhile. A group that somebody else has
    /// folded meanwhile is left as it is, and so is one that reached its threshold meanwhile and was to be nobody's.
    fn fold(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError>;

    /// When the next group is to be folded.
    fn next_group(&self) -> Result<Option<Millis>, BackendError>;
}

/// State of one output of one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Not yet, or to be tried again.
    Owed,
    /// Waits with its alert for others.
    Waiting,
    Delivered,
    /// Given up.
    Dead,
    /// Given up, and an operator knows.
    Dropped,
}

impl DeliveryState {
    pub const ALL: [DeliveryState; 5] = [Self::Owed, Self::Waiting, Self::Delivered, Self::Dead, Self::Dropped];

    pub fn name(self) -> &'static str {
        match self {
            Self::Owed => "owed",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Dropped => "dropped",
        }
    }
}

/// What is known of one output of one alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    pub alert_id: String,
    pub rule_name: String,
    pub output: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// RFC 3339; of what is owed.
    pub next_try: Option<String>,
    pub last_error: Option<String>,
    /// RFC 3339.
    pub delivered_at: Option<String>,
    /// Where the service has it, in its own words.
    pub receipt: Option<String>,
}

/// Which deliveries; every part that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub alert_id: Option<String>,
    /// A service, or `service:descriptor`.
    pub output: Option<String>,
    pub rule: Option<String>,
    pub state: Option<DeliveryState>,
}

/// How much is owed to one output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    pub owed: u64,
    pub dead: u64,
    /// Alerts that were tried so often that somebody should look; see [`crate::limits::ATTEMPTS_WARNED`].
    pub stuck: u64,
    /// When the oldest alert that is owed was stored.
    pub oldest: Option<Millis>,
}

/// The operator's view of the alert table, and of what has left it.
pub trait AlertDesk: Send + Sync {
    /// The newest alerts first, of one rule if it is named, at most `limit`; delivered ones too. One that cannot be read is
    /// logged and left out.
    fn list(&self, rule: Option<&str>, limit: usize) -> Result<Vec<Alert>, BackendError>;
    fn get(&self, id: &str) -> Result<Option<Alert>, BackendError>;
    /// The newest alerts' first, at most `limit`.
    fn deliveries(&self, filter: &DeliveryFilter, limit: usize) -> Result<Vec<Delivery>, BackendError>;
    /// Makes what is owed, dead or dropped due at `now`, as if it had never been tried, but for what `progress` says. Of what was
    /// dropped, only if the filter asks for that state. What is being sent stays leased to whoever sends it. Says how many.
    fn retry(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError>;
    /// Gives up what is owed, and takes note of what is dead: nobody is reminded any more. Says how many.
    fn drop_deliveries(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError>;
    /// What the alert of this id was merged into; an empty text if its group stayed below its threshold.
    fn merged_into(&self, id: &str) -> Result<Option<String>, BackendError>;
    /// By output.
    fn backlog(&self) -> Result<BTreeMap<String, Backlog>, BackendError>;
}

/// Credentials of outputs.
pub trait SecretStore: Send + Sync {
    /// The secret settings of `output`, a `service:descriptor`; empty if it has none.
    fn get(&self, output: &str) -> Result<BTreeMap<String, String>, BackendError>;
    /// Those that the store itself has, without what is given by other means: what [`put`](Self::put) puts others in the place of.
    fn kept(&self, output: &str) -> Result<BTreeMap<String, String>, BackendError> {
        self.get(output)
    }
    /// Puts these in the place of all that were there.
    fn put(&self, output: &str, secrets: &BTreeMap<String, String>) -> Result<(), BackendError>;
    /// No error if there are none.
    fn delete(&self, output: &str) -> Result<(), BackendError>;
}

/// What could not be processed.
pub trait DeadLetters: Send + Sync {
    /// Keeps letters, durably when it returns. A letter whose id is there already keeps its `first_seen`.
    fn put(&self, letters: &[DeadLetter]) -> Result<(), BackendError>;
    /// All letters, oldest first.
    fn list(&self) -> Result<Vec<DeadLetter>, BackendError>;
    /// Forgets the letters with these ids; unknown ids are no error.
    fn remove(&self, ids: &[String]) -> Result<(), BackendError>;
}

/// The way from the classifier to the rules engine.
pub trait RecordQueue: Send + Sync {
    /// Hands on batches, each durably if its result says so; in the order of `batches`. One that failed may have gone through
    /// in part: sending it again is harmless, since records have identities.
    fn send(&self, batches: &[RecordBatch]) -> Vec<Result<(), BackendError>>;
}

/// Where records are kept for searching.
pub trait RecordArchive: Send + Sync {
    /// Keeps the records of batches, each batch durably if its result says so; in the order of `batches`. Of one that failed,
    /// some records may be kept, and are kept twice when it comes again.
    fn put(&self, batches: &[RecordBatch]) -> Vec<Result<(), BackendError>>;
}

/// What was decided about a rule; see [`crate::staging`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleState {
    /// On trial: its alerts are kept for searching, and nobody is told of them.
    pub staged: bool,
    /// SHA-256 of the component that this is about, hex.
    pub digest: String,
    /// Milliseconds since 1970.
    pub since: Millis,
    /// When the trial ends, if it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// SHA-256 of the component whose version of it stays live meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// Switched off, whatever version of it there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// SHA-256 of components whose version of it was live before, the last one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lived: Vec<String>,
    /// Since when no component has it. All else is as it was then, and counts again when it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Millis>,
}

/// What an operator, or time, has decided about rules. A rule that is not in it is live.
pub trait RuleTable: Send + Sync {
    fn all(&self) -> Result<BTreeMap<String, RuleState>, BackendError>;
    /// In the place of what was there.
    fn put(&self, rule: &str, state: &RuleState) -> Result<(), BackendError>;
    /// No error if there is none.
    fn remove(&self, rule: &str) -> Result<(), BackendError>;
    /// Puts `after` in the place of `before`, `None` being nothing at all. Says whether it is so now: if somebody else has decided
    /// something else meanwhile, that stays.
    fn replace(&self, rule: &str, before: Option<&RuleState>, after: Option<&RuleState>) -> Result<bool, BackendError>;
}

/// One trial of a version of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrialKey {
    pub rule: String,
    /// SHA-256 of the component, hex.
    pub digest: String,
    pub since: Millis,
}

/// What came of a trial so far. Hits are counted with the alerts that they are about, in one transaction: exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialCounts {
    /// Alerts of a version that is on trial alone.
    pub alone: u64,
    /// Found by the version on trial only, by both, by the live one only.
    pub new: u64,
    pub same: u64,
    pub lost: u64,
    /// Records that the version on trial failed on.
    pub faults: u64,
    /// Records it was not shown, since it is too slow.
    pub left_out: u64,
}

impl TrialCounts {
    pub fn hit(&mut self, hit: Hit, count: u64) {
        match hit {
            Hit::Alone => self.alone += count,
            Hit::New => self.new += count,
            Hit::Same => self.same += count,
            Hit::Lost => self.lost += count,
        }
    }
}

/// How trials stand. An [`AlertTable`] counts their hits.
pub trait TrialTable: Send + Sync {
    /// In the order of `trials`; all zero of one that nothing was counted of.
    fn counts(&self, trials: &[TrialKey]) -> Result<Vec<TrialCounts>, BackendError>;
    /// Adds faults and records that were left out; hits are the alerts'.
    fn note(&self, trials: &[(TrialKey, TrialCounts)]) -> Result<(), BackendError>;
}

/// What a version of a rule did with records of one log type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCost {
    pub rule: String,
    /// SHA-256 of the component, hex.
    pub digest: String,
    pub log_type: String,
    /// Records it was asked about.
    pub evaluations: u64,
    pub matches: u64,
    pub faults: u64,
    pub fuel: u64,
    pub nanoseconds: u64,
}

impl RuleCost {
    /// Of what a batch came to, versions on trial among it.
    pub fn of(detected: &Detected) -> impl Iterator<Item = RuleCost> + '_ {
        detected.stats.iter().chain(&detected.trials).flat_map(|(rule, stats)| {
            stats.by_log_type.iter().map(|of| RuleCost {
                rule: rule.clone(),
                digest: stats.digest.clone(),
                log_type: of.log_type.name.clone(),
                evaluations: of.rows,
                matches: of.findings,
                faults: of.faults,
                fuel: of.fuel,
                nanoseconds: of.nanoseconds,
            })
        })
    }

    pub fn add(&mut self, other: &RuleCost) {
        self.evaluations += other.evaluations;
        self.matches += other.matches;
        self.faults += other.faults;
        self.fuel += other.fuel;
        self.nanoseconds += other.nanoseconds;
    }
}

/// What rules have cost. Work that was done twice has cost twice.
pub trait RuleLedger: Send + Sync {
    fn add(&self, costs: &[RuleCost]) -> Result<(), BackendError>;
    /// Sums by rule, digest and log type, in this order.
    fn all(&self) -> Result<Vec<RuleCost>, BackendError>;
}

/// What is known of apps; see [`crate::apps`].
pub trait AppTable: Send + Sync {
    fn all(&self) -> Result<BTreeMap<String, AppState>, BackendError>;
    fn get(&self, app: &str) -> Result<Option<AppState>, BackendError>;
    /// Puts `state` in the place of the one with the revision `expected`, or where none is, durably when it returns. `Conflict` if
    /// another one is there; then nothing has changed. Says its revision, which no other state of this app has, also of those that were
    /// removed: whoever still has one of them in hand must not take a new one for it.
    fn put(&self, app: &str, state: &AppState, expected: Option<u64>) -> Result<u64, BackendError>;
    /// No error if there is none.
    fn remove(&self, app: &str) -> Result<(), BackendError>;
}
