//! The table as an operator sees it.

use super::DynamoAlerts;
use super::calls::{Change, Changed, Item, Key, Query, Write, count, n, number, pause, queue, s, text, token};
use super::items::{TO, Unread, alert_key, due, expiry, queue_name, read_alert, state, stored};
use super::layout::{DUE, EXPIRY, ID, NEWEST_INDEX, PART, SEQ};
use super::lease::DAYS;
use crate::call::at_once;
use crate::limits::{CALLS_AT_ONCE, CONFLICTS_MAX, DYNAMODB_GET_BATCH_MAX};
use aws_sdk_dynamodb::types::ReturnValue;
use std::collections::BTreeMap;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{BackendError, Backlog, Delivery, DeliveryFilter, DeliveryState};
use streamalert_pipeline::limits::ATTEMPTS_WARNED;
use streamalert_pipeline::time::{Millis, rfc3339};

const LIST: &str = "list alerts of the table";
const GET: &str = "get an alert from the table";
const FIND: &str = "list deliveries of the alert table";
const RETRY: &str = "make deliveries due again";
const DROP: &str = "drop deliveries";
const COUNT: &str = "count what is owed";
/// Alerts of one page of the index.
const PAGE: usize = 100;

/// What came of changing one delivery.
enum Tried {
    Done,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// It cannot be, now or later.
    Impossible,
}

/// Alerts by when they were stored, the newest first, a page at a time.
struct Newest {
    /// That are left, the newest last.
    days: Vec<String>,
    /// Within the last of them.
    from: Option<Item>,
}

impl DynamoAlerts {
    async fn walk(&self, action: &str) -> Result<Newest, BackendError> {
        let query = Query { condition: "#id = :id", values: vec![(":id", s(DAYS))], ..Query::default() };
        let days = self.table.all(action, &query).await?;
        Ok(Newest { days: days.iter().filter_map(|day| text(day, PART).map(str::to_owned)).collect(), from: None })
    }

    /// Keys and rules of the next alerts; none at the end.
    async fn step(
        &self,
        action: &str,
        newest: &mut Newest,
        rule: Option<&str>,
    ) -> Result<Option<Vec<Item>>, BackendError> {
        let Some(day) = newest.days.last() else { return Ok(None) };
        let mut query = Query {
            index: Some(NEWEST_INDEX),
            condition: "#day = :day",
            values: vec![(":day", s(day))],
            backwards: true,
            limit: Some(PAGE),
            ..Query::default()
        };
        if let Some(rule) = rule {
            query.filter = "#rule = :rule";
            query.values.push((":rule", s(rule)));
        }
        let page = self.table.page(action, &query, newest.from.take()).await?;
        newest.from = page.next;
        if newest.from.is_none() {
            newest.days.pop();
        }
        Ok(Some(page.items))
    }

    pub(super) async fn newest(&self, rule: Option<&str>, limit: usize) -> Result<Vec<Alert>, BackendError> {
        let mut walk = self.walk(LIST).await?;
        let mut alerts = Vec::new();
        while alerts.len() < limit {
            let Some(entries) = self.step(LIST, &mut walk, rule).await? else { break };
            let keys: Vec<Key> = entries.iter().filter_map(Key::of).take(limit - alerts.len()).collect();
            let mut items = self.table.get_all(LIST, keys.clone(), "").await?;
            let bucket = self.bucket.clone();
            // One that expired since the index knew it is no alert any more.
            let items = keys.into_iter().filter_map(|key| Some((items.remove(&key)?, key))).collect();
            let read = at_once(CALLS_AT_ONCE, items, move |(item, key): (Item, Key)| {
                let bucket = bucket.clone();
                async move { (read_alert(&bucket, Some(&item)).await, key) }
            });
            for (alert, key) in read.await {
                match alert {
                    Ok(alert) => alerts.push(alert),
                    Err(error) => {
                        let error = error.error();
                        let cause = error.source.as_ref().map(ToString::to_string);
                        tracing::error!(alert = key.id, cause, "an alert of the table cannot be read");
                    }
                }
            }
        }
        Ok(alerts)
    }

    pub(super) async fn alert(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        match self.table.get(GET, &alert_key(id)).await? {
            None => Ok(None),
            Some(item) => Ok(Some(read_alert(&self.bucket, Some(&item)).await.map_err(Unread::error)?)),
        }
    }

    /// All deliveries of one alert, by output.
    pub(super) async fn of_alert(&self, action: &str, id: &str) -> Result<Vec<Item>, BackendError> {
        let query = Query {
            condition: "#id = :id AND begins_with(#part, :to)",
            values: vec![(":id", s(id)), (":to", s(TO))],
            ..Query::default()
        };
        self.table.all(action, &query).await
    }

    pub(super) async fn find(&self, filter: &DeliveryFilter, limit: usize) -> Result<Vec<Delivery>, BackendError> {
        let items = match (&filter.alert_id, filter.state) {
            (Some(id), _) => self.of_alert(FIND, id).await?,
            (None, Some(state)) if state != DeliveryState::Delivered => {
                let mut items = Vec::new();
                let keys = self.queued(FIND, filter, &[state]).await?;
                for keys in keys.chunks(DYNAMODB_GET_BATCH_MAX) {
                    let mut got = self.table.get_all(FIND, keys.to_vec(), "").await?;
                    let in_order = keys.iter().filter_map(|key| got.remove(key));
                    items.extend(in_order.filter(|item| is_meant(filter, item)));
                    if items.len() >= limit {
                        break;
                    }
                }
                items
            }
            _ => self.of_newest(filter, limit).await?,
        };
        let mut items: Vec<Item> = items.into_iter().filter(|item| is_meant(filter, item)).collect();
        let order = |item: &Item| {
            (std::cmp::Reverse(text(item, SEQ).map(str::to_owned)), text(item, "output").map(str::to_owned))
        };
        items.sort_by_cached_key(order);
        items.truncate(limit);
        Ok(items.iter().filter_map(delivery).collect())
    }

    /// Deliveries of the newest alerts, until there are enough.
    async fn of_newest(&self, filter: &DeliveryFilter, limit: usize) -> Result<Vec<Item>, BackendError> {
        let mut walk = self.walk(FIND).await?;
        let mut found = Vec::new();
        while found.len() < limit {
            let Some(entries) = self.step(FIND, &mut walk, filter.rule.as_deref()).await? else { break };
            let all = self.clone();
            let keys = entries.iter().filter_map(Key::of).collect();
            let items = at_once(CALLS_AT_ONCE, keys, move |key: Key| {
                let all = all.clone();
                async move { all.of_alert(FIND, &key.id).await }
            });
            for items in items.await {
                found.extend(items?.into_iter().filter(|item| is_meant(filter, item)));
            }
        }
        Ok(found)
    }

    /// Keys of what the index knows in these states, the newest alert first.
    async fn queued(
        &self,
        action: &'static str,
        filter: &DeliveryFilter,
        states: &[DeliveryState],
    ) -> Result<Vec<Key>, BackendError> {
        let outputs = self.outputs(action).await?.into_iter().filter(|output| is_to(filter, output));
        let queues: Vec<String> =
            outputs.flat_map(|output| states.iter().map(move |state| queue_name(*state, &output))).collect();
        let table = self.table.clone();
        let found = at_once(CALLS_AT_ONCE, queues, move |name| {
            let table = table.clone();
            async move { table.all(action, &queue(name)).await }
        });
        let mut entries = Vec::new();
        for found in found.await {
            entries.extend(found?);
        }
        entries.sort_by_cached_key(|entry| std::cmp::Reverse(text(entry, SEQ).map(str::to_owned)));
        Ok(entries.iter().filter_map(Key::of).collect())
    }

    pub(super) async fn retry_all(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        // What was dropped stays dropped unless somebody asks for it by name.
        let states = match filter.state {
            Some(DeliveryState::Dropped) => vec![DeliveryState::Dropped],
            _ => vec![DeliveryState::Owed, DeliveryState::Dead],
        };
        self.change_all(RETRY, filter, states, move |all, key, item| async move { all.retry_one(key, item, now).await })
            .await
    }

    pub(super) async fn drop_all(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        let states = vec![DeliveryState::Owed, DeliveryState::Dead];
        self.change_all(DROP, filter, states, move |all, key, item| async move { all.drop_one(key, item, now).await })
            .await
    }

    /// Changes deliveries in these states. Says how many.
    async fn change_all<F>(
        &self,
        action: &'static str,
        filter: &DeliveryFilter,
        mut states: Vec<DeliveryState>,
        change: impl Fn(DynamoAlerts, Key, Item) -> F + Clone + Send + Sync + 'static,
    ) -> Result<u64, BackendError>
    where
        F: Future<Output = Result<Tried, BackendError>> + Send,
    {
        states.retain(|state| filter.state.is_none_or(|wanted| wanted == *state));
        let keys = match &filter.alert_id {
            Some(id) => self.of_alert(action, id).await?.iter().filter_map(Key::of).collect(),
            None => self.queued(action, filter, &states).await?,
        };
        let (all, filter) = (self.clone(), filter.clone());
        let changed = at_once(CALLS_AT_ONCE, keys, move |key| {
            let (all, filter, states, change) = (all.clone(), filter.clone(), states.clone(), change.clone());
            async move {
                for time in 0..CONFLICTS_MAX {
                    let item = all.table.get(action, &key).await?;
                    let meant = item.filter(|item| {
                        is_meant(&filter, item) && state(item).is_some_and(|state| states.contains(&state))
                    });
                    let Some(item) = meant else { return Ok(false) };
                    match change(all.clone(), key.clone(), item).await? {
                        Tried::Done => return Ok(true),
                        Tried::Impossible => return Ok(false),
                        Tried::Conflict => pause(time).await,
                    }
                }
                Err(super::add::stuck(action))
            }
        });
        let mut count = 0;
        for changed in changed.await {
            count += u64::from(changed?);
        }
        Ok(count)
    }

    async fn retry_one(&self, key: Key, item: Item, now: Millis) -> Result<Tried, BackendError> {
        let output = text(&item, "output").unwrap_or_default();
        if state(&item) == Some(DeliveryState::Owed) {
            // What somebody is sending right now stays theirs until their lease ends.
            let (was_due, leased) = (due(&item), item.contains_key("owner"));
            let due = if leased && was_due > now { was_due } else { now };
            let (free, same_owner) = match leased {
                true if was_due > now => ("", "attribute_exists(#owner)"),
                true => (" REMOVE #owner, #lease", "attribute_exists(#owner)"),
                false => ("", "attribute_not_exists(#owner)"),
            };
            let change = Change {
                key,
                update: format!("SET #attempts = :none, #faults = :none, #due = :due{free}"),
                condition: format!("#state = :owed AND #due = :was AND {same_owner}"),
                values: vec![
                    (":none", n(0)),
                    (":due", n(due)),
                    (":was", n(was_due)),
                    (":owed", s(DeliveryState::Owed.name())),
                ],
            };
            return Ok(match self.table.change(RETRY, change, ReturnValue::None).await? {
                Changed::Done(_) => Tried::Done,
                Changed::Refused(_) => Tried::Conflict,
            });
        }
        // See `retire`: the alert must not expire any more, and whoever is about to let it hears of that.
        let alert = Change {
            key: alert_key(&key.id),
            update: format!("ADD #retried :one REMOVE #{EXPIRY}"),
            condition: format!("attribute_exists(#{ID})"),
            values: vec![(":one", n(1))],
        };
        let delivery = Change {
            key,
            update: format!(
                "SET #state = :owed, #queue = :queue, #{DUE} = :now, #attempts = :none, #faults = :none \
                 ADD #retried :one REMOVE #settled, #owner, #lease, #{EXPIRY}"
            ),
            condition: "#state = :was".into(),
            values: vec![
                (":owed", s(DeliveryState::Owed.name())),
                (":queue", s(queue_name(DeliveryState::Owed, output))),
                (":now", n(now)),
                (":none", n(0)),
                (":one", n(1)),
                (":was", s(text(&item, "state").unwrap_or_default())),
            ],
        };
        let refused = self.table.transact(RETRY, [Write::Change(alert), Write::Change(delivery)]).await?;
        match refused {
            None => Ok(Tried::Done),
            // There is nothing any more that could be sent.
            Some(refused) if refused.first() == Some(&true) => {
                let id = text(&item, ID).unwrap_or_default();
                tracing::warn!(alert = id, output, "the alert of this delivery is gone; it cannot be sent again");
                Ok(Tried::Impossible)
            }
            Some(_) => Ok(Tried::Conflict),
        }
    }

    async fn drop_one(&self, key: Key, item: Item, now: Millis) -> Result<Tried, BackendError> {
        let output = text(&item, "output").unwrap_or_default();
        // By which a second attempt knows the first.
        let by = token();
        let change = Change {
            key,
            update: format!(
                "SET #state = :dropped, #queue = :queue, #settled = :now, #by = :by, #{EXPIRY} = :exp \
                 REMOVE #owner, #lease"
            ),
            condition: "#state = :was".into(),
            values: vec![
                (":dropped", s(DeliveryState::Dropped.name())),
                (":queue", s(queue_name(DeliveryState::Dropped, output))),
                (":now", n(now)),
                (":exp", expiry(now)),
                (":by", s(&by)),
                (":was", s(text(&item, "state").unwrap_or_default())),
            ],
        };
        match self.table.change(DROP, change, ReturnValue::AllNew).await? {
            Changed::Done(item) => {
                self.retire(&item, now).await?;
                Ok(Tried::Done)
            }
            Changed::Refused(Some(item)) if text(&item, "by") == Some(&by) => {
                self.retire(&item, now).await?;
                Ok(Tried::Done)
            }
            Changed::Refused(_) => Ok(Tried::Conflict),
        }
    }

    pub(super) async fn backlogs(&self) -> Result<BTreeMap<String, Backlog>, BackendError> {
        let outputs = self.outputs(COUNT).await?;
        let table = self.table.clone();
        let counted = at_once(CALLS_AT_ONCE, outputs, move |output| {
            let table = table.clone();
            async move {
                let owed = queue(queue_name(DeliveryState::Owed, &output));
                let mut backlog = Backlog::default();
                for entry in table.all(COUNT, &owed).await? {
                    backlog.owed += 1;
                    backlog.stuck += u64::from(count(&entry, "attempts") >= ATTEMPTS_WARNED);
                    let since = text(&entry, SEQ).and_then(stored).filter(|since| *since > 0);
                    backlog.oldest = [backlog.oldest, since].into_iter().flatten().min();
                }
                backlog.dead = table.counted(COUNT, &queue(queue_name(DeliveryState::Dead, &output))).await?;
                Ok((output, backlog))
            }
        });
        let mut all = BTreeMap::new();
        for counted in counted.await {
            let (output, backlog) = counted?;
            if backlog != Backlog::default() {
                all.insert(output, backlog);
            }
        }
        Ok(all)
    }
}

/// Whether a filter's output is this one.
fn is_to(filter: &DeliveryFilter, output: &str) -> bool {
    match &filter.output {
        None => true,
        Some(wanted) if wanted.contains(':') => wanted == output,
        Some(service) => output.split_once(':').is_some_and(|(name, _)| name == service),
    }
}

fn is_meant(filter: &DeliveryFilter, item: &Item) -> bool {
    let same =
        |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| text(item, name) == Some(wanted));
    same(&filter.alert_id, ID)
        && same(&filter.rule, "rule")
        && is_to(filter, text(item, "output").unwrap_or_default())
        && filter.state.is_none_or(|wanted| state(item) == Some(wanted))
}

fn delivery(item: &Item) -> Option<Delivery> {
    let state = state(item)?;
    let own = |name: &str| text(item, name).map(str::to_owned);
    Some(Delivery {
        alert_id: own(ID)?,
        rule_name: own("rule").unwrap_or_default(),
        output: own("output")?,
        state,
        attempts: count(item, "attempts"),
        next_try: (state == DeliveryState::Owed).then(|| rfc3339(due(item))),
        last_error: own("error"),
        delivered_at: number(item, "settled").filter(|_| state == DeliveryState::Delivered).map(rfc3339),
        receipt: own("receipt"),
    })
}
