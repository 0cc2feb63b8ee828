//! Who waits for whom, and how a group is folded once.
//!
//! A group is one item that names its members, so that whether somebody is in it is decided by one write. Whoever makes a group
//! changes the head of its key as well, so that two at the same time do not make two.
//!
//! A group is folded in two steps. The first is one transaction: the merged alert with what it owes is there, and the members are
//! no longer in the group, which remembers them. The second ends what members waited with, and can be done by anybody, any
//! number of times: a group that remembers something is due at once.

use super::DynamoAlerts;
use super::add::{ADD, stuck};
use super::calls::{Change, Item, Key, NEW, Query, Write, n, number, pause, queue, s, text, token};
use super::items::{
    About, Draft, Unread, alert_key, day, delivery_item, delivery_key, expiry, queue_name, read_alert, waits,
};
use super::layout::{DUE, EXPIRY, ID, PART, QUEUE, SEQ};
use crate::call::at_once;
use crate::limits::{ALERT_DELIVERIES_MAX, CALLS_AT_ONCE, CONFLICTS_MAX, DYNAMODB_TRANSACTION_MAX};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_merger::Waiting;
use streamalert_pipeline::backend::{BackendError, DeliveryState, Fold, FoldInto, Group};
use streamalert_pipeline::limits::{MERGE_BYTES_MAX, MERGE_MEMBERS_MAX};
use streamalert_pipeline::time::Millis;

/// Of ids of groups; the key follows.
const GROUP: &str = "group ";
/// Of parts that are groups, sorting behind the head.
const NUMBER: &str = "number ";
/// Changes with every group that is made. It is read before the groups are.
const HEAD: &str = "head";
const GROUPS: &str = "groups";
const LOOK: &str = "look for groups to merge";
const READ: &str = "read a group of alerts";
const FOLD: &str = "merge groups of alerts";
/// Groups looked at in one page of the index.
const PAGE: usize = 100;
/// Bytes of a member's entry, and of what else a group's item holds, about.
const MEMBER_BYTES: usize = 64;
const GROUP_BYTES: usize = 1 << 10;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Member {
    id: String,
    /// Of its text.
    bytes: u64,
}

/// Members that are out of the group, and what they have to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Folding {
    members: Vec<String>,
    /// The merged alert; an empty text, if nobody is told.
    into: String,
    /// Outputs of the merged alert that did not fit the transaction, each with the reason if nothing can be delivered to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rest: Vec<(String, Option<String>)>,
    /// When.
    at: Millis,
}

/// As it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    anchor: Millis,
    ends: Millis,
    due: Millis,
    threshold: Option<u32>,
    /// The first alert did not wait.
    sent_first: bool,
    /// In the order they came.
    members: Vec<Member>,
    bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    folding: Vec<Folding>,
}

impl State {
    fn below_threshold(&self) -> bool {
        self.threshold.is_some_and(|threshold| self.members.len() < threshold as usize)
    }

    /// In the index. A group that remembers something is due at once.
    fn turn(&self) -> Millis {
        if self.folding.is_empty() { self.due } else { 0 }
    }

    /// There is nothing in it that anybody could come for.
    fn is_over(&self, now: Millis) -> bool {
        self.members.is_empty() && self.folding.is_empty() && (self.ends <= now || !self.sent_first)
    }

    fn weight(&self) -> usize {
        GROUP_BYTES + MEMBER_BYTES * self.members.len()
    }
}

/// A group, and the state of its item that it was read in.
#[derive(Clone, Debug)]
struct Stored {
    /// Sorts as groups are made.
    number: String,
    /// Another with every write; none, if it is not there yet.
    stamp: Option<String>,
    state: State,
}

impl Stored {
    fn read(item: &Item) -> Option<Stored> {
        let number = text(item, PART)?.strip_prefix(NUMBER)?.to_owned();
        let stamp = text(item, "stamp")?.to_owned();
        match serde_json::from_str(text(item, "group")?) {
            Ok(state) => Some(Stored { number, stamp: Some(stamp), state }),
            Err(error) => {
                let error = error.to_string();
                tracing::error!(
                    number,
                    error,
                    "a group of alerts cannot be read; a newer streamalert may have written it"
                );
                None
            }
        }
    }
}

fn group_key(key: &str, number: &str) -> Key {
    Key::new(format!("{GROUP}{key}"), format!("{NUMBER}{number}"))
}

/// Of the name that the pipeline knows a group by.
fn key_of(group: &Group) -> Option<Key> {
    let (key, number) = group.id.rsplit_once(' ')?;
    Some(group_key(key, number))
}

/// A group in the place of what it was, or the end of it.
fn write(key: &Key, before: Option<&str>, after: &State, stamp: &str, now: Millis) -> Result<Write, BackendError> {
    let (condition, values) = match before {
        None => (NEW, vec![]),
        Some(before) => ("#stamp = :stamp", vec![(":stamp", s(before))]),
    };
    if before.is_some() && after.is_over(now) {
        return Ok(Write::Delete { key: key.clone(), condition, values });
    }
    let json = serde_json::to_string(after).map_err(|error| BackendError::other("write a group of alerts", error))?;
    let item = Item::from([
        (ID.to_owned(), s(&key.id)),
        (PART.to_owned(), s(&key.part)),
        (QUEUE.to_owned(), s(GROUPS)),
        (DUE.to_owned(), n(after.turn())),
        (SEQ.to_owned(), s(key.part.strip_prefix(NUMBER).unwrap_or_default())),
        ("stamp".to_owned(), s(stamp)),
        ("group".to_owned(), s(json)),
    ]);
    Ok(Write::Put { item, condition, values })
}

/// All groups of one key.
#[derive(Clone)]
pub(super) struct Waiters {
    key: String,
    /// Stamp of the head.
    head: Option<String>,
    groups: Vec<Stored>,
    /// Longest window of the groups that were made.
    made: Option<Millis>,
}

impl Waiters {
    /// Bytes that one more alert may add at most: a group, old or new.
    pub(super) fn weight_max(&self) -> usize {
        let groups = self.groups.iter().map(|group| group.state.weight());
        groups.max().unwrap_or_default() + MEMBER_BYTES + GROUP_BYTES
    }

    /// Puts an alert into its group, and makes the group if there is none. Says the group's place, and whether the alert waits.
    pub(super) fn join(&mut self, waiting: &Waiting, id: &str, bytes: u64, now: Millis, seq: &str) -> (usize, bool) {
        let near = |group: &Stored| group.state.anchor.abs_diff(waiting.at) <= waiting.window.unsigned_abs();
        let found = self.groups.iter().position(|group| near(group) && group.state.due > now);
        let place = match found {
            Some(place) => place,
            None => {
                // Behind a full group of the same window nobody goes first.
                let behind = self.groups.iter().filter(|group| near(group) && group.state.ends > now);
                let behind = behind.map(|group| group.state.ends).max();
                let ends = match behind {
                    Some(ends) if waiting.first_goes => ends,
                    _ => now.saturating_add(waiting.window),
                };
                let state = State {
                    anchor: waiting.at,
                    ends,
                    due: ends,
                    threshold: waiting.threshold,
                    sent_first: waiting.first_goes,
                    members: Vec::new(),
                    bytes: 0,
                    folding: Vec::new(),
                };
                // Nobody else may have a group of this number.
                let number = format!("{seq}.{}", &token()[..8]);
                self.groups.push(Stored { number, stamp: None, state });
                self.made = self.made.max(Some(waiting.window));
                let place = self.groups.len() - 1;
                if waiting.first_goes && behind.is_none() {
                    return (place, false);
                }
                place
            }
        };
        let state = &mut self.groups[place].state;
        state.members.push(Member { id: id.to_owned(), bytes });
        state.bytes += bytes;
        let full = match waiting.threshold {
            Some(threshold) => state.members.len() >= threshold as usize,
            None => state.members.len() >= waiting.max as usize || state.bytes >= MERGE_BYTES_MAX,
        };
        if full {
            state.due = state.due.min(now);
        }
        (place, true)
    }

    /// What has to be written to get here from `before`. All stamps are new then.
    pub(super) fn writes(&mut self, before: &Waiters, now: Millis) -> Result<Vec<Write>, BackendError> {
        let mut writes = Vec::new();
        for (place, group) in self.groups.iter_mut().enumerate() {
            let old = before.groups.get(place);
            if old.is_some_and(|old| old.state == group.state) {
                continue;
            }
            let stamp = token();
            let key = group_key(&self.key, &group.number);
            writes.push(write(&key, old.and_then(|old| old.stamp.as_deref()), &group.state, &stamp, now)?);
            group.stamp = Some(stamp);
        }
        if let Some(window) = self.made.take() {
            let stamp = token();
            let item = Item::from([
                (ID.to_owned(), s(format!("{GROUP}{}", self.key))),
                (PART.to_owned(), s(HEAD)),
                ("stamp".to_owned(), s(&stamp)),
                // A head that is gone is made again: it says nothing but that it is another.
                (EXPIRY.to_owned(), n(now.saturating_add(window).saturating_add(DAY_MS) / 1_000)),
            ]);
            let (condition, values) = match &self.head {
                None => (NEW, vec![]),
                Some(head) => ("#stamp = :stamp", vec![(":stamp", s(head))]),
            };
            writes.push(Write::Put { item, condition, values });
            self.head = Some(stamp);
        }
        Ok(writes)
    }
}

/// Takes the members of a fold out of the group, all or none of them.
fn without(state: &mut State, fold: &Fold, now: Millis) -> Option<Vec<String>> {
    // One more came while somebody looked, and that was enough.
    let enough = state.threshold.is_some_and(|threshold| state.members.len() >= threshold as usize);
    if fold.group.below_threshold && enough {
        return None;
    }
    let gone: HashSet<&str> = fold.members.iter().map(String::as_str).collect();
    let before = state.members.len();
    let rest: Vec<Member> = state.members.iter().filter(|member| !gone.contains(member.id.as_str())).cloned().collect();
    // Somebody else was here, with other members: what is folded now would be told twice.
    if before - rest.len() != gone.len() {
        return None;
    }
    state.members = rest;
    state.bytes = state.members.iter().map(|member| member.bytes).sum();
    // Alerts that came since wait for the next fold, unless they were too large to be folded with the others; where the first
    // alert goes at once, the group lasts as long as its window. Of a group that reached its threshold all are told.
    state.threshold = state.threshold.filter(|_| fold.group.below_threshold);
    state.due = if state.bytes >= MERGE_BYTES_MAX { state.ends.min(now) } else { state.ends };
    Some(fold.members.clone())
}

fn warn(error: &BackendError) {
    let cause = error.source.as_ref().map(ToString::to_string);
    tracing::warn!(action = error.action, cause, "a group of alerts has to wait");
}

impl DynamoAlerts {
    /// The groups of a key, as they are now.
    pub(super) async fn waiters(&self, key: &str) -> Result<Waiters, BackendError> {
        let query =
            Query { condition: "#id = :id", values: vec![(":id", s(format!("{GROUP}{key}")))], ..Query::default() };
        let items = self.table.all(ADD, &query).await?;
        let head = items.iter().find(|item| text(item, PART) == Some(HEAD));
        Ok(Waiters {
            key: key.to_owned(),
            head: head.and_then(|head| text(head, "stamp")).map(str::to_owned),
            groups: items.iter().filter(|item| text(item, PART) != Some(HEAD)).filter_map(Stored::read).collect(),
            made: None,
        })
    }

    async fn group(&self, action: &str, key: &Key) -> Result<Option<Stored>, BackendError> {
        Ok(self.table.get(action, key).await?.as_ref().and_then(Stored::read))
    }

    pub(super) async fn groups_due(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError> {
        let mut query = queue(GROUPS.to_owned());
        query.condition = "#queue = :queue AND #due <= :now";
        query.values.push((":now", n(now)));
        query.limit = Some(limit.clamp(1, PAGE));
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self.table.page(LOOK, &query, from).await?;
            let mut due = self.look_into(&page.items, now).await?;
            due.sort_by(|(a, _), (b, _)| a.cmp(b));
            found.extend(due.into_iter().map(|(_, group)| group));
            from = page.next;
            if found.len() >= limit || from.is_none() {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// Which of these entries of the index are due, each with when and what number it is. What somebody began is finished first.
    async fn look_into(&self, entries: &[Item], now: Millis) -> Result<Vec<((Millis, String), Group)>, BackendError> {
        let keys: Vec<Key> = entries.iter().filter_map(Key::of).collect();
        let items = self.table.get_all(LOOK, keys, "").await?;
        let all = self.clone();
        let looked = at_once(CALLS_AT_ONCE, items.into_iter().collect(), move |(key, item): (Key, Item)| {
            let all = all.clone();
            async move {
                let mut stored = Stored::read(&item);
                if stored.as_ref().is_some_and(|stored| !stored.state.folding.is_empty()) {
                    all.finish(&key, now).await?;
                    stored = all.group(LOOK, &key).await?;
                }
                Ok((key, stored))
            }
        });
        let mut due = Vec::new();
        for looked in looked.await {
            match looked {
                Ok((key, Some(Stored { number, state, .. }))) if state.due <= now && state.folding.is_empty() => {
                    let id = format!("{} {number}", key.id.strip_prefix(GROUP).unwrap_or_default());
                    due.push(((state.due, number), Group { id, below_threshold: state.below_threshold() }));
                }
                Ok(_) => {}
                // One that cannot be finished now holds up no other.
                Err(error) => warn(&error),
            }
        }
        Ok(due)
    }

    pub(super) async fn next_group_due(&self) -> Result<Option<Millis>, BackendError> {
        let query = Query { limit: Some(1), ..queue(GROUPS.to_owned()) };
        let page = self.table.page(LOOK, &query, None).await?;
        Ok(page.items.first().and_then(|entry| number(entry, DUE)))
    }

    pub(super) async fn members_of(&self, group: &Group) -> Result<Vec<Alert>, BackendError> {
        let Some(key) = key_of(group) else { return Ok(Vec::new()) };
        let Some(stored) = self.group(READ, &key).await? else { return Ok(Vec::new()) };
        let mut wanted = Vec::new();
        let mut bytes = 0;
        for member in stored.state.members.iter().take(MERGE_MEMBERS_MAX as usize) {
            bytes += member.bytes;
            if bytes > MERGE_BYTES_MAX && !wanted.is_empty() {
                break;
            }
            wanted.push(member.id.clone());
        }
        let mut items = self.table.get_all(READ, wanted.iter().map(|id| alert_key(id)), "").await?;
        let wanted = wanted.into_iter().map(|id| (items.remove(&alert_key(&id)), id)).collect();
        let bucket = self.bucket.clone();
        let read = at_once(CALLS_AT_ONCE, wanted, move |(item, id): (Option<Item>, String)| {
            let bucket = bucket.clone();
            async move { (read_alert(&bucket, item.as_ref()).await, id) }
        });
        let (mut members, mut lost) = (Vec::new(), Vec::new());
        for (alert, id) in read.await {
            match alert {
                Ok(alert) => members.push(alert),
                Err(Unread::Lost(error)) => lost.push((id, error)),
                Err(Unread::Later(error)) => return Err(error),
            }
        }
        if !lost.is_empty() {
            self.lose(&key, stored, lost).await?;
        }
        Ok(members)
    }

    /// Gives up members that cannot be read, so that the others are told of.
    async fn lose(&self, key: &Key, mut stored: Stored, lost: Vec<(String, String)>) -> Result<(), BackendError> {
        let now = stored.state.due;
        for (id, error) in &lost {
            for delivery in self.of_alert(READ, id).await? {
                if let (Some(delivery_key), Some(output)) = (Key::of(&delivery), text(&delivery, "output")) {
                    self.give_up(&delivery_key, output, error, now).await?;
                }
            }
        }
        let gone: HashSet<&str> = lost.iter().map(|(id, ..)| id.as_str()).collect();
        let before = stored.stamp.take();
        let state = &mut stored.state;
        state.members.retain(|member| !gone.contains(member.id.as_str()));
        state.bytes = state.members.iter().map(|member| member.bytes).sum();
        // If somebody else has changed it meanwhile, they are lost the next time.
        self.table.transact(READ, [write(key, before.as_deref(), state, &token(), Millis::MIN)?]).await?;
        Ok(())
    }

    pub(super) async fn fold_all(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError> {
        let (all, folds) = (self.clone(), folds.iter().cloned().enumerate().collect());
        let done = at_once(CALLS_AT_ONCE, folds, move |(place, fold)| {
            let all = all.clone();
            async move { all.fold_one(place, fold, now).await }
        });
        done.await.into_iter().collect()
    }

    async fn fold_one(&self, place: usize, fold: Fold, now: Millis) -> Result<(), BackendError> {
        let Some(key) = key_of(&fold.group) else { return Ok(()) };
        let mut merged = match &fold.into {
            FoldInto::Merged(alert) if !fold.members.is_empty() => {
                let draft = Draft::new(alert, &fold.undeliverable, now, place)?;
                let draft = self.check_in(vec![(place, draft)]).await?.pop();
                if let Some((_, draft)) = &draft {
                    self.enter(draft.outputs.iter().map(|(output, _)| &**output), day(now)).await?;
                }
                draft.map(|(_, draft)| draft)
            }
            _ => None,
        };
        let mut is_there = false;
        for time in 0..CONFLICTS_MAX {
            let Some(mut stored) = self.group(FOLD, &key).await? else { return Ok(()) };
            if !stored.state.folding.is_empty() {
                self.finish(&key, now).await?;
                continue;
            }
            let Some(members) = without(&mut stored.state, &fold, now) else { return Ok(()) };
            let mut writes = Vec::new();
            if let FoldInto::Alone = fold.into {
                writes = self.owed_alone(&members, &fold, now).await?;
            } else if let Some(draft) = &mut merged {
                let mut rest = Vec::new();
                if !is_there {
                    rest.extend(draft.outputs.iter().skip(ALERT_DELIVERIES_MAX).cloned());
                    writes.push(Write::put(draft.alert_item(&token(), false, now), NEW));
                    writes.extend(draft.delivery_items(false, now).map(|item| Write::put(item, "")));
                }
                stored.state.folding.push(Folding { members, into: draft.id.clone(), rest, at: now });
            } else if !members.is_empty() {
                stored.state.folding.push(Folding { members, into: String::new(), rest: Vec::new(), at: now });
            }
            let remembers = !stored.state.folding.is_empty();
            writes.push(write(&key, stored.stamp.as_deref(), &stored.state, &token(), now)?);
            match self.table.transact(FOLD, writes).await? {
                None if remembers => return self.finish(&key, now).await,
                None => return Ok(()),
                Some(refused) => {
                    // Only the alert: there is one of this id, and it stays as it is.
                    is_there = merged.is_some() && !is_there && refused[0] && !refused[refused.len() - 1];
                    pause(time).await;
                }
            }
        }
        Err(stuck(FOLD))
    }

    /// What members owe that go as they are.
    async fn owed_alone(&self, members: &[String], fold: &Fold, now: Millis) -> Result<Vec<Write>, BackendError> {
        let keys = members.iter().map(|id| alert_key(id));
        let items = self.table.get_all(FOLD, keys, "#id, #part, #waits").await?;
        let mut writes = Vec::new();
        for (key, item) in items {
            let mut owes = false;
            for output in waits(&item) {
                let reason = fold.undeliverable.iter().find(|(name, _)| *name == output).map(|(_, reason)| reason);
                owes |= reason.is_none();
                let state = if reason.is_some() { DeliveryState::Dead } else { DeliveryState::Owed };
                let mut values = vec![
                    (":state", s(state.name())),
                    (":queue", s(queue_name(state, &output))),
                    (":now", n(now)),
                    (":waiting", s(DeliveryState::Waiting.name())),
                ];
                let set = match reason {
                    None => "",
                    Some(reason) => {
                        values.push((":error", s(reason)));
                        values.push((":exp", expiry(now)));
                        ", #error = :error, #settled = :now, #exp = :exp"
                    }
                };
                writes.push(Write::Change(Change {
                    key: delivery_key(&key.id, &output),
                    update: format!("SET #state = :state, #queue = :queue, #due = :now{set}"),
                    condition: "#state = :waiting".into(),
                    values,
                }));
            }
            if !owes {
                writes.push(Write::Change(Change {
                    key,
                    update: "SET #exp = :exp".into(),
                    condition: "attribute_exists(#id)".into(),
                    values: vec![(":exp", expiry(now))],
                }));
            }
        }
        Ok(writes)
    }

    /// Ends what members of a group waited with that are folded already.
    async fn finish(&self, key: &Key, now: Millis) -> Result<(), BackendError> {
        for time in 0..CONFLICTS_MAX {
            let Some(stored) = self.group(FOLD, key).await? else { return Ok(()) };
            if stored.state.folding.is_empty() {
                return Ok(());
            }
            let mut writes = Vec::new();
            for folding in &stored.state.folding {
                self.owe_rest(folding).await?;
                writes.extend(self.owed_no_more(folding).await?);
            }
            let state = State { folding: Vec::new(), ..stored.state };
            let last = write(key, stored.stamp.as_deref(), &state, &token(), now)?;
            // The group forgets them with the last of them.
            let mut chunks: Vec<Vec<Write>> =
                writes.chunks(DYNAMODB_TRANSACTION_MAX - 1).map(<[Write]>::to_vec).collect();
            match chunks.last_mut() {
                Some(chunk) => chunk.push(last),
                None => chunks.push(vec![last]),
            }
            let mut refused = false;
            for chunk in chunks {
                refused = self.table.transact(FOLD, chunk).await?.is_some();
                if refused {
                    break;
                }
            }
            if !refused {
                return Ok(());
            }
            // Somebody else finishes it as well, or somebody joined.
            pause(time).await;
        }
        Err(stuck(FOLD))
    }

    async fn owed_no_more(&self, folding: &Folding) -> Result<Vec<Write>, BackendError> {
        let keys = folding.members.iter().map(|id| alert_key(id));
        let items = self.table.get_all(FOLD, keys, "#id, #part, #waits, #merged").await?;
        let mut writes = Vec::new();
        for (key, item) in items.into_iter().filter(|(_, item)| text(item, "merged").is_none()) {
            for output in waits(&item) {
                writes.push(Write::delete(delivery_key(&key.id, &output)));
            }
            writes.push(Write::Change(Change {
                key,
                update: "SET #merged = :into, #exp = :exp REMOVE #waits".into(),
                condition: "attribute_exists(#id)".into(),
                values: vec![(":into", s(&folding.into)), (":exp", expiry(folding.at))],
            }));
        }
        Ok(writes)
    }

    /// What a merged alert owes beyond what fit its transaction.
    async fn owe_rest(&self, folding: &Folding) -> Result<(), BackendError> {
        if folding.rest.is_empty() {
            return Ok(());
        }
        let Some(item) = self.table.get(FOLD, &alert_key(&folding.into)).await? else { return Ok(()) };
        let about = About {
            id: &folding.into,
            rule: text(&item, "rule").unwrap_or_default(),
            seq: text(&item, SEQ).unwrap_or_default(),
            bytes: number(&item, "bytes").unwrap_or_default().unsigned_abs(),
            // More than one, so that all are looked at.
            of: ALERT_DELIVERIES_MAX + folding.rest.len(),
        };
        let items: Vec<Item> = folding
            .rest
            .iter()
            .map(|(output, reason)| delivery_item(&about, output, reason.as_deref(), false, folding.at))
            .collect();
        let table = self.table.clone();
        let owed = at_once(CALLS_AT_ONCE, items, move |item| {
            let table = table.clone();
            // One that is there already may have been delivered.
            async move { table.put_new(FOLD, item).await }
        });
        owed.await.into_iter().collect()
    }

    pub(super) async fn merged(&self, id: &str) -> Result<Option<String>, BackendError> {
        let item = self.table.get("get an alert from the table", &alert_key(id)).await?;
        Ok(item.and_then(|item| text(&item, "merged").map(str::to_owned)))
    }
}
