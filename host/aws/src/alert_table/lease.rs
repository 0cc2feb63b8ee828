//! Whose a delivery is, and what came of it.

use super::DynamoAlerts;
use super::calls::{Change, Changed, Item, Key, Query, count, n, number, queue, s, text, token};
use super::items::{TO, Unread, alert_key, delivery_key, due, expiry, output_key, queue_name, read_alert, state};
use super::layout::{EXPIRY, ID, PART, SEQ};
use crate::call::at_once;
use crate::limits::{CALLS_AT_ONCE, LEASE_BYTES_MAX};
use aws_sdk_dynamodb::types::ReturnValue;
use streamalert_pipeline::backend::{BackendError, DeliveryState, Lease, Outcome, Settled};
use streamalert_pipeline::time::Millis;

const LEASE: &str = "lease deliveries of the alert table";
const SETTLE: &str = "record what came of deliveries";
/// Deliveries an index page has beyond those that are wanted: some are somebody else's by now.
const SPARE: usize = 16;
/// Items of one page, at most.
const PAGE_MAX: usize = 500;

/// A delivery that is ours now.
struct Got {
    key: Key,
    /// As it was before.
    item: Item,
    due: Millis,
}

/// Who leases, and how.
#[derive(Clone)]
struct Terms {
    output: String,
    owner: String,
    /// Of this call.
    token: String,
    now: Millis,
    until: Millis,
    /// Only what was never attempted.
    untried: bool,
}

impl DynamoAlerts {
    pub(super) async fn lease_some(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError> {
        let (output, owner) = (output.to_owned(), owner.to_owned());
        self.lease_by(Terms { output, owner, token: token(), now, until, untried: false }, limit).await
    }

    pub(super) async fn lease_newest(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
    ) -> Result<Option<Lease>, BackendError> {
        let (output, owner) = (output.to_owned(), owner.to_owned());
        Ok(self.lease_by(Terms { output, owner, token: token(), now, until, untried: true }, 1).await?.pop())
    }

    async fn lease_by(&self, terms: Terms, limit: usize) -> Result<Vec<Lease>, BackendError> {
        let mut query = queue(queue_name(DeliveryState::Owed, &terms.output));
        query.condition = "#queue = :queue AND #due <= :now";
        query.values.push((":now", n(terms.now)));
        query.limit = Some(limit.saturating_add(SPARE).min(PAGE_MAX));
        if terms.untried {
            query.filter = "#attempts = :none";
            query.values.push((":none", n(0)));
            query.backwards = true;
            // Most of what is owed may have been tried.
            query.limit = Some(PAGE_MAX);
        }
        let size = |item: &Item| number(item, "bytes").unwrap_or_default().unsigned_abs();
        let (mut got, mut from): (Vec<Got>, _) = (Vec::new(), None);
        'pages: loop {
            let page = match self.table.page(LEASE, &query, from).await {
                Ok(page) => page,
                // What is ours already is worth more than an error.
                Err(_) if !got.is_empty() => break,
                Err(error) => return Err(error),
            };
            let mut entries = page.items;
            // The order of what is due at the same time is the table's own.
            entries.sort_by_cached_key(|entry| (due(entry), text(entry, SEQ).map(str::to_owned)));
            if terms.untried {
                entries.reverse();
            }
            let mut entries = entries.into_iter().peekable();
            while entries.peek().is_some() {
                let mut some = Vec::new();
                let mut bytes: u64 = got.iter().map(|got| size(&got.item)).sum();
                let mut full = false;
                while let Some(entry) = entries.peek().filter(|_| got.len() + some.len() < limit) {
                    full = bytes + size(entry) > LEASE_BYTES_MAX && !(got.is_empty() && some.is_empty());
                    if full {
                        break;
                    }
                    bytes += size(entry);
                    some.extend(entries.next());
                }
                match self.take(&terms, some).await {
                    Ok(took) => got.extend(took),
                    Err(_) if !got.is_empty() => break 'pages,
                    Err(error) => return Err(error),
                }
                // All of these may have been somebody else's.
                if (full && !got.is_empty()) || got.len() >= limit {
                    break 'pages;
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        self.leases(&terms, got).await
    }

    /// Makes these ours, as far as nobody else was first.
    async fn take(&self, terms: &Terms, entries: Vec<Item>) -> Result<Vec<Got>, BackendError> {
        let (all, terms) = (self.clone(), terms.clone());
        let took = at_once(CALLS_AT_ONCE, entries, move |entry| {
            let (all, terms) = (all.clone(), terms.clone());
            async move { all.take_one(&terms, &entry).await }
        });
        let mut got = Vec::new();
        let mut first_error = None;
        for took in took.await {
            match took {
                Ok(one) => got.extend(one),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            // As above.
            Some(error) if got.is_empty() => Err(error),
            _ => Ok(got),
        }
    }

    async fn take_one(&self, terms: &Terms, entry: &Item) -> Result<Option<Got>, BackendError> {
        let Some(key) = Key::of(entry) else { return Ok(None) };
        let untried = if terms.untried { " AND #attempts = :none" } else { "" };
        let mut values = vec![
            (":owner", s(&terms.owner)),
            (":lease", s(&terms.token)),
            (":until", n(terms.until)),
            (":owed", s(DeliveryState::Owed.name())),
            (":now", n(terms.now)),
        ];
        if terms.untried {
            values.push((":none", n(0)));
        }
        let change = Change {
            key: key.clone(),
            update: "SET #owner = :owner, #lease = :lease, #due = :until".into(),
            condition: format!("#state = :owed AND #due <= :now{untried}"),
            values,
        };
        match self.table.change(LEASE, change, ReturnValue::AllOld).await? {
            Changed::Done(item) => Ok(Some(Got { due: due(&item), key, item })),
            // An earlier attempt did it, and its answer was lost.
            Changed::Refused(Some(item)) if text(&item, "lease") == Some(&terms.token) => {
                Ok(Some(Got { due: due(entry), key, item }))
            }
            Changed::Refused(_) => Ok(None),
        }
    }

    async fn leases(&self, terms: &Terms, got: Vec<Got>) -> Result<Vec<Lease>, BackendError> {
        if got.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Key> = got.iter().map(|got| alert_key(&got.key.id)).collect();
        let mut items = self.table.get_all(LEASE, keys, "").await?;
        let with_items = got.into_iter().map(|got| (items.remove(&alert_key(&got.key.id)), got)).collect();
        let bucket = self.bucket.clone();
        let read = at_once(CALLS_AT_ONCE, with_items, move |(item, got): (Option<Item>, Got)| {
            let bucket = bucket.clone();
            async move { (read_alert(&bucket, item.as_ref()).await, got) }
        });
        let mut leases = Vec::new();
        for (alert, got) in read.await {
            match alert {
                Ok(alert) => leases.push(Lease {
                    alert,
                    output: terms.output.clone(),
                    attempts: count(&got.item, "attempts"),
                    faults: count(&got.item, "faults"),
                    progress: text(&got.item, "progress").map(str::to_owned),
                    due: got.due,
                    until: terms.until,
                }),
                Err(Unread::Lost(error)) => self.give_up(&got.key, &terms.output, &error, terms.now).await?,
                // It is due again when its lease ends.
                Err(Unread::Later(error)) => {
                    let cause = error.source.as_ref().map(ToString::to_string);
                    tracing::warn!(alert = got.key.id, action = error.action, cause, "an alert has to wait");
                }
            }
        }
        Ok(leases)
    }

    /// Ends a delivery that nobody can make.
    pub(super) async fn give_up(&self, key: &Key, output: &str, error: &str, now: Millis) -> Result<(), BackendError> {
        tracing::error!(alert = key.id, output, error, "an alert is given up");
        let change = Change {
            key: key.clone(),
            update: "SET #state = :dead, #queue = :queue, #error = :error, #settled = :now, #exp = :exp \
                     REMOVE #owner, #lease"
                .into(),
            condition: "#state = :owed OR #state = :waiting".into(),
            values: vec![
                (":dead", s(DeliveryState::Dead.name())),
                (":queue", s(queue_name(DeliveryState::Dead, output))),
                (":error", s(error)),
                (":now", n(now)),
                (":exp", expiry(now)),
                (":owed", s(DeliveryState::Owed.name())),
                (":waiting", s(DeliveryState::Waiting.name())),
            ],
        };
        if let Changed::Done(item) = self.table.change(SETTLE, change, ReturnValue::AllNew).await? {
            self.retire(&item, now).await?;
        }
        Ok(())
    }

    pub(super) async fn settle_all(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError> {
        let (all, owner) = (self.clone(), owner.to_owned());
        let done = at_once(CALLS_AT_ONCE, settled.to_vec(), move |settled| {
            let (all, owner) = (all.clone(), owner.clone());
            async move { all.settle_one(&owner, settled, now).await }
        });
        done.await.into_iter().collect()
    }

    async fn settle_one(&self, owner: &str, settled: Settled, now: Millis) -> Result<(), BackendError> {
        let Settled { alert_id, output, outcome } = settled;
        let mut values = vec![];
        let ours = "#owner = :owner AND #state = :owed";
        let (update, condition) = match &outcome {
            Outcome::Delivered { receipt } => {
                values.push((":state", s(DeliveryState::Delivered.name())));
                values.push((":one", n(1)));
                values.push((":now", n(now)));
                values.push((":exp", expiry(now)));
                let (set, remove) = match receipt {
                    Some(receipt) => {
                        values.push((":receipt", s(receipt)));
                        (", #receipt = :receipt", "")
                    }
                    None => ("", ", #receipt"),
                };
                let update = format!(
                    "SET #state = :state, #attempts = #attempts + :one, #settled = :now, #exp = :exp{set} \
                     REMOVE #owner, #lease, #progress, #queue{remove}"
                );
                (update, "attribute_exists(#id) AND #state <> :state")
            }
            Outcome::Again { due, error, progress, faults } => {
                values.push((":one", n(1)));
                values.push((":due", n(*due)));
                values.push((":error", s(error)));
                values.push((":faults", n(i64::from(*faults))));
                let (set, remove) = match progress {
                    Some(progress) => {
                        values.push((":progress", s(progress)));
                        (", #progress = :progress", "")
                    }
                    None => ("", ", #progress"),
                };
                let update = format!(
                    "SET #attempts = #attempts + :one, #due = :due, #error = :error, #faults = :faults{set} \
                     REMOVE #owner, #lease{remove}"
                );
                (update, ours)
            }
            Outcome::Dead { error } => {
                values.push((":state", s(DeliveryState::Dead.name())));
                values.push((":queue", s(queue_name(DeliveryState::Dead, &output))));
                values.push((":one", n(1)));
                values.push((":error", s(error)));
                values.push((":now", n(now)));
                values.push((":exp", expiry(now)));
                let update = "SET #state = :state, #queue = :queue, #attempts = #attempts + :one, #error = :error, \
                              #settled = :now, #exp = :exp REMOVE #owner, #lease";
                (update.to_owned(), ours)
            }
            Outcome::Released { due, reason } => {
                values.push((":due", n(*due)));
                let set = match reason {
                    Some(reason) => {
                        values.push((":error", s(reason)));
                        ", #error = :error"
                    }
                    None => "",
                };
                (format!("SET #due = :due{set} REMOVE #owner, #lease"), ours)
            }
        };
        if condition == ours {
            values.push((":owner", s(owner)));
            values.push((":owed", s(DeliveryState::Owed.name())));
        }
        let key = delivery_key(&alert_id, &output);
        let change = Change { key, update, condition: condition.into(), values };
        let changed = self.table.change(SETTLE, change, ReturnValue::AllNew).await?;
        match (changed, &outcome) {
            (Changed::Done(item), Outcome::Delivered { .. } | Outcome::Dead { .. }) => self.retire(&item, now).await,
            // An earlier attempt did it and died, perhaps before the alert was looked at.
            (Changed::Refused(Some(item)), Outcome::Delivered { .. }) => self.retire(&item, now).await,
            _ => Ok(()),
        }
    }

    /// Lets an alert expire once none of its deliveries is owed or waits; `delivery` is the one that was settled last. Whoever
    /// makes one of them due again counts that in both places, so that nobody lets an alert expire that is owed again.
    pub(super) async fn retire(&self, delivery: &Item, now: Millis) -> Result<(), BackendError> {
        let Some(id) = text(delivery, ID) else { return Ok(()) };
        let retried = match number(delivery, "of") {
            Some(1) => count(delivery, "retried"),
            _ => {
                let query = Query {
                    condition: "#id = :id AND begins_with(#part, :to)",
                    values: vec![(":id", s(id)), (":to", s(TO))],
                    only: "#id, #part, #state, #retried",
                    ..Query::default()
                };
                let all = self.table.all(SETTLE, &query).await?;
                let open = |item: &Item| matches!(state(item), Some(DeliveryState::Owed | DeliveryState::Waiting));
                if all.iter().any(open) {
                    return Ok(());
                }
                all.iter().map(|item| count(item, "retried")).sum()
            }
        };
        let (same, values) = match retried {
            0 => ("attribute_not_exists(#retried)", vec![]),
            retried => ("#retried = :retried", vec![(":retried", n(i64::from(retried)))]),
        };
        let change = Change {
            key: alert_key(id),
            update: format!("SET #{EXPIRY} = :exp"),
            condition: format!("attribute_exists(#{ID}) AND {same}"),
            values: [values, vec![(":exp", expiry(now))]].concat(),
        };
        self.table.change(SETTLE, change, ReturnValue::None).await?;
        Ok(())
    }

    pub(super) async fn next_due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
        const ACTION: &str = "look for deliveries that are due";
        let outputs = match output {
            Some(output) => vec![output.to_owned()],
            None => self.outputs(ACTION).await?,
        };
        let table = self.table.clone();
        let found = at_once(CALLS_AT_ONCE, outputs, move |output| {
            let table = table.clone();
            async move {
                let query = Query { limit: Some(1), ..queue(queue_name(DeliveryState::Owed, &output)) };
                let page = table.page(ACTION, &query, None).await?;
                Ok(page.items.first().map(|entry| (output, due(entry))))
            }
        });
        found.await.into_iter().filter_map(Result::transpose).collect()
    }

    /// All that anything was ever owed to.
    pub(super) async fn outputs(&self, action: &str) -> Result<Vec<String>, BackendError> {
        let query = Query { condition: "#id = :id", values: vec![(":id", s(OUTPUTS))], ..Query::default() };
        let entries = self.table.all(action, &query).await?;
        Ok(entries.iter().filter_map(|entry| text(entry, "output").or(text(entry, PART)).map(str::to_owned)).collect())
    }

    /// Enters outputs and days, so that all of them can be named without looking through the table.
    pub(super) async fn enter(&self, outputs: impl IntoIterator<Item = &str>, day: String) -> Result<(), BackendError> {
        let lock = || self.entered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let all = outputs.into_iter().map(|output| (OUTPUTS, output.to_owned())).chain([(DAYS, day)]);
        let mut new: Vec<(&'static str, String)> = {
            let entered = lock();
            all.filter(|entry| !entered.contains(entry)).collect()
        };
        new.sort();
        new.dedup();
        if new.is_empty() {
            return Ok(());
        }
        let item = |(id, name): &(&'static str, String)| {
            let mut item = Item::from([(ID.to_owned(), s(*id)), (PART.to_owned(), s(output_key(name)))]);
            if *id == OUTPUTS {
                item.insert("output".to_owned(), s(name));
            }
            item
        };
        self.table.put_all("add alerts to the table", new.iter().map(item).collect()).await?;
        lock().extend(new);
        Ok(())
    }
}

/// Id of the list of outputs, and of that of days.
const OUTPUTS: &str = "outputs";
pub(super) const DAYS: &str = "days";
