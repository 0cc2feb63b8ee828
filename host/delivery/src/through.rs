//! For whoever is woken, works and ends: what is due is worked off, several outputs side by side, and no thread outlives it.
//! What is known of the outputs (their rates, their troubles, their credentials) stays with the [`Post`].

use super::lane::{Lane, Step, Turns};
use super::{CONCURRENCY, Post, lock, told};
use std::cmp::Ordering as CmpOrdering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::time::Millis;

/// Threads that deliver at a time: of an AWS Lambda function, an eighth of what it may have.
const THREADS_MAX: usize = 128;
/// Milliseconds for which an output that rests is waited for: one that keeps to a rate goes on soon, one that is down does not.
const REST_WAITED_MS: Millis = 2_000;

/// What came of one output's deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    pub delivered: u64,
    /// Attempts that failed and are followed by others.
    pub retried: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When something is due next; none if nothing is owed.
    pub next: Option<Millis>,
    pub ended: Ended,
}

/// Why the work on one output ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// Nothing is due any more.
    Done,
    /// It is down or lacks something, or has had what it takes for a while; more may be due.
    Rests,
    /// Time is over; more may be due.
    Late,
    /// It is not configured; the reason.
    Unknown(String),
    /// The alert table failed.
    Failed(String),
}

/// One output's work, shared by the threads at it.
struct Work {
    lane: Arc<Lane>,
    /// Threads that may be at it.
    concurrency: u16,
    /// Beside the first.
    helpers: AtomicU16,
    /// How it ended and what is due next, of all threads that have ended.
    end: Mutex<Option<(Ended, Millis)>>,
}

impl Post {
    /// Delivers what is due to these outputs, or to all if none is named: until nothing is due, the output rests, or there is no
    /// time left for an attempt before `deadline`. Not for a post room that was started.
    pub fn work_through(
        &self,
        outputs: &[String],
        deadline: Instant,
    ) -> Result<BTreeMap<String, Through>, BackendError> {
        let before = self.metrics.counts();
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline = self.now().saturating_add(left.as_millis().try_into().unwrap_or(Millis::MAX));
        let mut named: Vec<String> = outputs.to_vec();
        if named.is_empty() {
            let due = self.setup.table.due(None)?.into_iter().filter(|(_, due)| *due <= self.now());
            named.extend(due.map(|(output, _)| output));
        }
        named.sort();
        named.dedup();
        let mut through = BTreeMap::new();
        let mut work = Vec::new();
        for output in named {
            match self.setup.outputs.load().unknown(&output) {
                None => work.push(self.work_on(&output)),
                Some(reason) => {
                    self.metrics.nowhere(&output, &reason);
                    through.insert(output, (Ended::Unknown(reason), Millis::MAX));
                }
            }
        }
        let waiting = Mutex::new(VecDeque::from_iter(&work));
        let threads = AtomicUsize::new(work.len().min(THREADS_MAX));
        thread::scope(|scope| {
            for _ in 0..work.len().min(THREADS_MAX) {
                let (waiting, threads) = (&waiting, &threads);
                scope.spawn(move || {
                    let next = || lock(waiting).pop_front();
                    while let Some(work) = next() {
                        self.work_off(scope, threads, (work, 0), deadline);
                    }
                    threads.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        for work in work {
            let mut end = lock(&work.end).take().unwrap_or((Ended::Late, self.now()));
            // Whoever ended first has seen what the others were still at.
            if end.0 == Ended::Done && work.helpers.load(Ordering::Relaxed) > 0 {
                end.1 = work.lane.next(self)?.unwrap_or(Millis::MAX);
            }
            through.insert(work.lane.output.clone(), end);
        }
        let after = self.metrics.counts();
        let counted = |(output, (ended, next)): (String, (Ended, Millis))| {
            let (before, after) = (before.get(&output), after.get(&output));
            let since = |count: fn(&super::metrics::Counts) -> u64| {
                after.map_or(0, count).saturating_sub(before.map_or(0, count))
            };
            let through = Through {
                delivered: since(|counts| counts.delivered),
                retried: since(|counts| counts.retried),
                dead: since(|counts| counts.dead),
                next: (next < Millis::MAX).then_some(next),
                ended,
            };
            (output, through)
        };
        Ok(through.into_iter().map(counted).collect())
    }

    /// With the lane that was there before, unless its configuration has changed.
    fn work_on(&self, output: &str) -> Work {
        let config = self.setup.outputs.load().get(output);
        let concurrency = config.concurrency.unwrap_or(CONCURRENCY);
        let mut lanes = lock(&self.lanes);
        let lane = match lanes.get(output).filter(|lane| lane.has(&config)) {
            Some(lane) => lane.clone(),
            None => {
                let lane = Arc::new(Lane::new(output, config));
                lanes.insert(output.to_owned(), lane.clone());
                lane
            }
        };
        Work { lane, concurrency, helpers: AtomicU16::new(0), end: Mutex::default() }
    }

    fn work_off<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        threads: &'env AtomicUsize,
        (work, number): (&'env Work, u16),
        deadline: Millis,
    ) {
        let owner = format!("{}-{}-{number}", self.name, work.lane.output);
        // Another thread is worth its while when there is more than one thread takes at once.
        let full = || {
            let one_more = |most: usize| move |now: usize| (now < most).then_some(now + 1);
            let helper = |now: u16| (now + 1 < work.concurrency).then_some(now + 1);
            if let Ok(helpers) = work.helpers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, helper)
                && threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more(THREADS_MAX)).is_ok()
            {
                scope.spawn(move || {
                    self.work_off(scope, threads, (work, helpers + 1), deadline);
                    threads.fetch_sub(1, Ordering::Relaxed);
                });
            }
        };
        let turns = Turns { post: self, owner: &owner, deadline, full: &full };
        let end = loop {
            let now = self.now();
            if now.saturating_add(work.lane.attempt()) > deadline {
                break (Ended::Late, now);
            }
            match work.lane.step_within(&turns) {
                Ok(Step::Worked) => {}
                Ok(Step::Until(next)) => break (Ended::Done, next),
                Ok(Step::Rests(until)) if until - now > REST_WAITED_MS => break (Ended::Rests, until),
                Ok(Step::Rests(until)) => thread::sleep(Duration::from_millis((until - now).max(1).unsigned_abs())),
                Err(error) => {
                    let error = told(&error);
                    tracing::warn!(output = work.lane.output, error, "the alert table failed a delivery");
                    break (Ended::Failed(error), now);
                }
            }
        };
        let mut known = lock(&work.end);
        *known = Some(match known.take() {
            None => end,
            Some(known) => match known.0.cmp(&end.0) {
                CmpOrdering::Greater => known,
                CmpOrdering::Less => end,
                // Of a rest, the last word counts.
                CmpOrdering::Equal if end.0 == Ended::Rests => (end.0, end.1.max(known.1)),
                CmpOrdering::Equal => (end.0, end.1.min(known.1)),
            },
        });
    }
}
