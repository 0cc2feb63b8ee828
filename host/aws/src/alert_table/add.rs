//! An alert is stored with all that it owes, or not at all.

use super::DynamoAlerts;
use super::calls::{NEW, Write, pause, token};
use super::groups::Waiters;
use super::items::{Draft, day, seq, stored_by};
use super::trials::counted;
use crate::call::at_once;
use crate::limits::{
    ALERT_DELIVERIES_MAX, CALLS_AT_ONCE, CONFLICTS_MAX, DYNAMODB_TRANSACTION_BYTES_MAX, DYNAMODB_TRANSACTION_MAX,
};
use std::collections::{BTreeMap, BTreeSet};
use streamalert_pipeline::alert::Trial;
use streamalert_pipeline::alert_merger::Waiting;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, NewAlert, TrialCounts, TrialKey};
use streamalert_pipeline::time::Millis;

pub(super) const ADD: &str = "add alerts to the table";
/// Bytes of one transaction that we fill: as base64, packed alerts are a third longer, and sizes are reckoned, not measured.
pub(super) const TRANSACTION_BYTES: usize = DYNAMODB_TRANSACTION_BYTES_MAX / 4 * 3 - (256 << 10);

/// An alert, and its place among those that are to be added.
pub(super) type Placed = (usize, Draft);

/// What one task stores.
enum Errand {
    /// As many as fit one transaction.
    Owed(Vec<Placed>),
    /// All that wait under one key.
    Waiting(String, Vec<(Placed, Waiting)>),
}

/// Who stores, and when.
#[derive(Clone)]
pub(super) struct Round {
    pub by: String,
    pub now: Millis,
}

impl DynamoAlerts {
    pub(super) async fn add_all(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
        let mut known = BTreeSet::new();
        let mut drafts = Vec::with_capacity(alerts.len());
        // Of equal ids the first one counts.
        for (place, new) in alerts.iter().enumerate().filter(|(_, new)| known.insert(&new.alert.id)) {
            let draft = Draft::new(new.alert, &new.undeliverable, now, place)?;
            if draft.outputs.len() > ALERT_DELIVERIES_MAX {
                let count = draft.outputs.len();
                let error = format!("alert {} has {count} outputs; {ALERT_DELIVERIES_MAX} fit a transaction", draft.id);
                return Err(BackendError::other(ADD, error));
            }
            drafts.push((place, draft));
        }
        let drafts = self.check_in(drafts).await?;
        if !drafts.is_empty() {
            self.enter(
                drafts.iter().flat_map(|(_, draft)| draft.outputs.iter().map(|(output, _)| &**output)),
                day(now),
            )
            .await?;
        }
        let mut owed = Vec::new();
        let mut waiting: BTreeMap<String, Vec<(Placed, Waiting)>> = BTreeMap::new();
        for (place, draft) in drafts {
            match alerts[place].waiting.clone().filter(|_| !draft.staged) {
                None => owed.push((place, draft)),
                Some(wait) => waiting.entry(wait.group.clone()).or_default().push(((place, draft), wait)),
            }
        }
        let owed = transactions(owed).into_iter().map(Errand::Owed);
        let errands = owed.chain(waiting.into_iter().map(|(key, waiters)| Errand::Waiting(key, waiters))).collect();
        let (all, round) = (self.clone(), Round { by: token(), now });
        let stored = at_once(CALLS_AT_ONCE, errands, move |errand| {
            let (all, round) = (all.clone(), round.clone());
            async move {
                match errand {
                    Errand::Owed(drafts) => all.store(drafts, &round).await,
                    Errand::Waiting(key, waiters) => all.join(&key, waiters, &round).await,
                }
            }
        });
        let mut new = vec![false; alerts.len()];
        for stored in stored.await {
            stored?.into_iter().for_each(|place| new[place] = true);
        }
        Ok(new)
    }

    /// Puts into the bucket what is too large for the table.
    pub(super) async fn check_in(&self, drafts: Vec<Placed>) -> Result<Vec<Placed>, BackendError> {
        let (large, mut drafts): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|(_, draft)| draft.is_large());
        if large.is_empty() {
            return Ok(drafts);
        }
        let bucket = self.bucket.clone();
        let there = at_once(CALLS_AT_ONCE, large, move |(place, mut draft): Placed| {
            let bucket = bucket.clone();
            async move {
                draft.check_in(&bucket).await?;
                Ok((place, draft))
            }
        });
        for draft in there.await {
            drafts.push(draft?);
        }
        drafts.sort_by_key(|(place, _)| *place);
        Ok(drafts)
    }

    /// Stores alerts that wait for nobody, in one transaction. Says which of them are new.
    async fn store(&self, mut drafts: Vec<Placed>, round: &Round) -> Result<Vec<usize>, BackendError> {
        let mut new = Vec::new();
        while !drafts.is_empty() {
            let (writes, places) = writes(drafts.iter().map(|(_, draft)| (draft, false)), round);
            let Some(refused) = self.table.transact(ADD, writes).await? else {
                new.extend(drafts.iter().map(|(place, _)| *place));
                break;
            };
            let there: Vec<bool> = places.iter().map(|place| refused.get(*place).copied().unwrap_or(false)).collect();
            if !there.contains(&true) {
                return Err(stuck(ADD));
            }
            let ids = drafts.iter().zip(&there).filter(|(_, there)| **there).map(|((_, draft), _)| &*draft.id);
            let ours = stored_by(&self.table, ids.collect(), &round.by).await?;
            let mut there = there.into_iter();
            drafts.retain(|(place, draft)| {
                if ours.contains(&draft.id) {
                    new.push(*place);
                }
                !there.next().unwrap_or(false)
            });
        }
        Ok(new)
    }

    /// Stores alerts that wait for others under one key, as many at a time as fit a transaction. Says which of them are new.
    async fn join(
        &self,
        key: &str,
        mut waiters: Vec<(Placed, Waiting)>,
        round: &Round,
    ) -> Result<Vec<usize>, BackendError> {
        let mut new = Vec::new();
        let mut known: Option<Waiters> = None;
        let mut conflicts = 0;
        while !waiters.is_empty() {
            let before = match known.take() {
                Some(known) => known,
                None => self.waiters(key).await?,
            };
            let mut after = before.clone();
            let (mut count, mut bytes) = (0, 0);
            let mut groups = BTreeSet::new();
            let mut joined: Vec<(&Draft, bool)> = Vec::new();
            for ((place, draft), waiting) in &waiters {
                let (more, weight) = (draft.writes(), draft.weight() + after.weight_max());
                // With one more group, and the head of the key.
                let fits = count + more + groups.len() + 2 <= DYNAMODB_TRANSACTION_MAX;
                let room = fits && bytes + weight <= TRANSACTION_BYTES;
                if !joined.is_empty() && !room {
                    break;
                }
                count += more;
                bytes += weight;
                let (group, waits) = after.join(waiting, &draft.id, draft.bytes, round.now, &seq(round.now, *place));
                groups.insert(group);
                joined.push((draft, waits));
            }
            let count = joined.len();
            let (mut all, places) = writes(joined.into_iter(), round);
            all.extend(after.writes(&before, round.now)?);
            match self.table.transact(ADD, all).await? {
                None => {
                    new.extend(waiters.drain(..count).map(|((place, _), _)| place));
                    known = Some(after);
                    conflicts = 0;
                }
                Some(refused) => {
                    let is_there = |number: usize| {
                        places.get(number).and_then(|place| refused.get(*place)).copied().unwrap_or(false)
                    };
                    let there: BTreeSet<String> = waiters[..count]
                        .iter()
                        .enumerate()
                        .filter(|(number, _)| is_there(*number))
                        .map(|(_, ((_, draft), _))| draft.id.clone())
                        .collect();
                    if there.is_empty() {
                        // Somebody else joined, or folded the group.
                        conflicts += 1;
                        if conflicts > CONFLICTS_MAX {
                            return Err(stuck(ADD));
                        }
                        pause(conflicts).await;
                        continue;
                    }
                    let ours = stored_by(&self.table, there.iter().map(|id| &**id).collect(), &round.by).await?;
                    waiters.retain(|((place, draft), _)| {
                        if ours.contains(&draft.id) {
                            new.push(*place);
                        }
                        !there.contains(&draft.id)
                    });
                }
            }
        }
        Ok(new)
    }
}

/// All items of these alerts, and the place of each alert's own among them.
fn writes<'a>(drafts: impl Iterator<Item = (&'a Draft, bool)>, round: &Round) -> (Vec<Write>, Vec<usize>) {
    let (mut writes, mut places) = (Vec::new(), Vec::new());
    let mut trials: BTreeMap<TrialKey, TrialCounts> = BTreeMap::new();
    for (draft, waits) in drafts {
        places.push(writes.len());
        if let Some(Trial { digest, since, hit }) = &draft.trial {
            let key = TrialKey { rule: draft.rule.clone(), digest: digest.clone(), since: *since };
            trials.entry(key).or_default().hit(*hit, 1);
        }
        writes.push(Write::put(draft.alert_item(&round.by, waits, round.now), NEW));
        writes.extend(draft.delivery_items(waits, round.now).map(|item| Write::put(item, "")));
    }
    // In the same transaction: so each alert is counted once.
    writes.extend(trials.iter().map(|(key, counts)| Write::Change(counted(key, counts, &round.by, round.now))));
    (writes, places)
}

/// As few transactions as the limits allow, in this order.
fn transactions(drafts: Vec<Placed>) -> Vec<Vec<Placed>> {
    let mut all: Vec<Vec<Placed>> = Vec::new();
    let (mut room, mut bytes) = (0, 0);
    for (place, draft) in drafts {
        let (writes, weight) = (draft.writes(), draft.weight());
        if all.is_empty() || writes > room || weight > bytes {
            all.push(Vec::new());
            (room, bytes) = (DYNAMODB_TRANSACTION_MAX, TRANSACTION_BYTES);
        }
        room = room.saturating_sub(writes);
        bytes = bytes.saturating_sub(weight);
        if let Some(last) = all.last_mut() {
            last.push((place, draft));
        }
    }
    all
}

/// Others were faster each time.
pub(super) fn stuck(action: &str) -> BackendError {
    let message = "others changed the same items each time it was tried";
    BackendError { kind: BackendErrorKind::Conflict, action: action.to_owned(), source: Some(message.into()) }
}
