//! What rules have cost: each process writes its own sums of a day into one object below `stats/`, again and again, and whoever
//! asks adds them up. So it costs a call a minute, however many rules there are. What a process did after it wrote last is lost
//! with it.

use crate::claim_check::hex;
use crate::objects::Bucket;
use crate::{Aws, Names};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::{BackendError, RuleCost, RuleLedger};
use streamalert_pipeline::time::{Millis, rfc3339};

/// Where the objects lie. A life cycle may remove them: then their days are not counted any more.
pub const STATS: &str = "stats/";

type Sums = BTreeMap<(String, String, String), RuleCost>;

pub struct S3RuleCosts {
    bucket: Bucket,
    /// Of this process, unlike any other.
    name: String,
    every: Duration,
    clock: fn() -> Millis,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    day: String,
    sums: Sums,
    written: Option<Instant>,
}

impl S3RuleCosts {
    /// Writes at most once in `every`.
    pub fn new(aws: &Arc<Aws>, names: &Names, every: Duration, clock: fn() -> Millis) -> Self {
        let random = || RandomState::new().hash_one(0).to_le_bytes();
        let name = hex(&Sha256::digest([random(), random()].concat()))[..32].to_owned();
        S3RuleCosts { bucket: Bucket::new(aws, names.data_bucket()), name, every, clock, state: Mutex::default() }
    }
}

fn add(sums: &mut Sums, cost: &RuleCost) {
    let key = (cost.rule.clone(), cost.digest.clone(), cost.log_type.clone());
    match sums.get_mut(&key) {
        Some(sum) => sum.add(cost),
        None => drop(sums.insert(key, cost.clone())),
    }
}

impl RuleLedger for S3RuleCosts {
    fn add(&self, costs: &[RuleCost]) -> Result<(), BackendError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let day: String = rfc3339((self.clock)()).chars().take_while(|c| *c != 'T').collect();
        let over = state.day != day && !state.day.is_empty();
        if !over && state.written.is_none() && state.sums.is_empty() {
            state.day.clone_from(&day);
        }
        costs.iter().for_each(|cost| add(&mut state.sums, cost));
        if state.sums.is_empty() || !over && state.written.is_some_and(|written| written.elapsed() < self.every) {
            return Ok(());
        }
        let text = serde_json::to_vec(&state.sums.values().collect::<Vec<_>>());
        let text = text.map_err(|error| BackendError::other("write what rules cost", error))?;
        let key = format!("{STATS}{}/{}.json", state.day, self.name);
        self.bucket.aws.wait(self.bucket.put(&key, text))?;
        state.written = Some(Instant::now());
        // What comes from now on belongs to another day.
        if over {
            *state = State { day, ..State::default() };
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<RuleCost>, BackendError> {
        let objects = self.bucket.aws.wait(async {
            let keys = self.bucket.keys(STATS).await?;
            self.bucket.get_all(keys).await
        })?;
        let mut sums = Sums::new();
        for object in objects.into_iter().flatten() {
            match serde_json::from_slice::<Vec<RuleCost>>(&object.bytes) {
                Ok(costs) => costs.iter().for_each(|cost| add(&mut sums, cost)),
                Err(error) => tracing::warn!(%error, "an object of what rules cost cannot be read"),
            }
        }
        Ok(sums.into_values().collect())
    }
}
