//! Indicators of compromise in DynamoDB: an item for each value, with what every source says of it.
//!
//! | attribute | |
//! |---|---|
//! | `ioc_value` | the key |
//! | `ioc_type`, `sub_type`, `source` | of the source whose word counts longest, for readers that know of one only |
//! | `expiration_ts` | seconds since 1970, after which no source has it any more; DynamoDB drops it some time later |
//! | `sources` | source → its own type, sub-type, expiry, pass, …; `also`: further indicators of it with this value, as JSON; `unseen`: 1 if the pass did not see the first one |
//! | `revision` | raised by each write, so that no writer undoes what another has done |

use crate::call::{at_once, failed};
use crate::limits::CALLS_AT_ONCE;
use crate::{Aws, keyed_table};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::threat_intel::{Found, Ioc, IocFilter, IocTable, Network, SourceState, network_keys};
use streamalert_pipeline::time::Millis;
use tokio::time::sleep;

/// Partition key, and the only one.
pub const VALUE: &str = "ioc_value";
/// By which DynamoDB drops items.
pub const EXPIRY: &str = "expiration_ts";
/// Items that are no indicators.
const OURS: &str = "streamalert:";
const NETWORKS: &str = "streamalert:networks";
/// Keys of one BatchGetItem; docs: "BatchGetItem".
const KEYS_AT_ONCE: usize = 100;
/// Times that keys are asked for which DynamoDB left undone, with longer and longer pauses: half a minute.
const UNDONE_ATTEMPTS: u32 = 10;
/// Times a change is tried on what somebody else has written meanwhile.
const CHANGE_ATTEMPTS: u32 = 20;
/// How long it is taken for known how long the ranges are that are there.
const LENGTHS_FRESH: Duration = Duration::from_secs(300);

/// The table, for `CreateTable`. Items are to expire by [`EXPIRY`].
pub fn definition(table: &str) -> CreateTableInputBuilder {
    keyed_table::definition(table, VALUE)
}

type Item = HashMap<String, AttributeValue>;
/// Of ranges: whether of IPv6, and how long.
type Lengths = Vec<(bool, u8)>;
/// What a scan leaves out: an expression, its names and its values.
type Filter<'a> = (&'a str, HashMap<String, String>, Item);

#[derive(Clone)]
pub struct DynamoIocs {
    aws: Arc<Aws>,
    table: String,
    lengths: Arc<Mutex<Option<(Instant, Lengths)>>>,
}

/// What one source says of a value.
#[derive(Clone, PartialEq)]
struct Said {
    ioc: Ioc,
    pass: u64,
}

/// What becomes of what is known of a value.
type Change = Arc<dyn Fn(&str, &mut Known) + Send + Sync>;

/// All that is known of a value.
#[derive(Clone, Default, PartialEq)]
struct Known {
    said: BTreeMap<String, Said>,
    /// Of the item it was read from; none if there was no item.
    revision: Option<u64>,
    /// The item has no revision: another program wrote it.
    foreign: bool,
}

impl DynamoIocs {
    pub fn new(aws: Arc<Aws>, table: impl Into<String>) -> Self {
        DynamoIocs { aws, table: table.into(), lengths: Arc::default() }
    }

    fn action(&self, verb: &str) -> String {
        format!("{verb} the table of indicators {}", self.table)
    }

    /// Items of these keys, which are all different.
    async fn items(&self, keys: &[String], consistent: bool) -> Result<Vec<Item>, BackendError> {
        let chunks: Vec<Vec<String>> = keys.chunks(KEYS_AT_ONCE).map(<[String]>::to_vec).collect();
        let call = |keys: Vec<String>| {
            let table = self.clone();
            async move { table.some(keys, consistent).await }
        };
        let mut items = Vec::new();
        for answer in at_once(CALLS_AT_ONCE, chunks, call).await {
            items.extend(answer?);
        }
        Ok(items)
    }

    async fn some(&self, keys: Vec<String>, consistent: bool) -> Result<Vec<Item>, BackendError> {
        let action = self.action("read");
        let mut undone: Vec<Item> =
            keys.into_iter().map(|key| Item::from([(VALUE.to_owned(), AttributeValue::S(key))])).collect();
        let (mut items, mut pause) = (Vec::new(), Duration::from_millis(50));
        for _ in 0..UNDONE_ATTEMPTS {
            let keys = KeysAndAttributes::builder().set_keys(Some(undone)).consistent_read(consistent).build();
            let keys = keys.map_err(|error| BackendError::other(&action, error))?;
            let answer = self.aws.dynamodb.batch_get_item().request_items(&self.table, keys).send().await;
            let answer = answer.map_err(|error| failed(&action, error))?;
            items.extend(answer.responses.unwrap_or_default().into_values().flatten());
            undone = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys).collect();
            if undone.is_empty() {
                return Ok(items);
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let source = Some(format!("{} keys were left undone again and again", undone.len()).into());
        Err(BackendError { kind: BackendErrorKind::Throttled, action, source })
    }

    /// How long the ranges are that are, or were, there.
    async fn lengths(&self) -> Result<Vec<(bool, u8)>, BackendError> {
        if let Some((at, lengths)) = &*self.lengths.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < LENGTHS_FRESH
        {
            return Ok(lengths.clone());
        }
        let item = self.some(vec![NETWORKS.to_owned()], false).await?.pop().unwrap_or_default();
        let of = |name: &str, v6: bool| -> Vec<(bool, u8)> {
            let numbers = item.get(name).and_then(|set| set.as_ns().ok());
            numbers.into_iter().flatten().filter_map(|number| Some((v6, number.parse().ok()?))).collect()
        };
        let lengths = [of("v4", false), of("v6", true)].concat();
        *self.lengths.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), lengths.clone()));
        Ok(lengths)
    }

    /// Changes what is known of values, each in one write that rests on what was read.
    async fn change(&self, values: Vec<String>, change: Change) -> Result<(), BackendError> {
        let mut open = values;
        for attempt in 0..CHANGE_ATTEMPTS {
            let mut known: HashMap<String, Known> = HashMap::new();
            for item in self.items(&open, true).await? {
                if let Some(value) = item.get(VALUE).and_then(|value| value.as_s().ok()) {
                    known.insert(value.clone(), read(value, &item));
                }
            }
            let mut writes = Vec::new();
            for value in open.drain(..) {
                let before = known.remove(&value).unwrap_or_default();
                let mut after = before.clone();
                change(&value, &mut after);
                if before.said != after.said {
                    writes.push((value, after));
                }
            }
            let call = |(value, known): (String, Known)| {
                let table = self.clone();
                async move {
                    let done = table.write(&value, &known).await;
                    (value, done)
                }
            };
            for (value, done) in at_once(CALLS_AT_ONCE, writes, call).await {
                match done {
                    Ok(()) => {}
                    Err(error) if error.kind == BackendErrorKind::Conflict => open.push(value),
                    Err(error) => return Err(error),
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            sleep(Duration::from_millis(20 << attempt.min(6))).await;
        }
        let source = Some("others change the same items all the time".into());
        Err(BackendError { kind: BackendErrorKind::Conflict, action: self.action("write to"), source })
    }

    async fn write(&self, value: &str, known: &Known) -> Result<(), BackendError> {
        let action = self.action("write to");
        let number = |number: u64| AttributeValue::N(number.to_string());
        let condition = match known.revision {
            _ if known.foreign => "attribute_not_exists(revision)",
            Some(_) => "revision = :revision",
            None => "attribute_not_exists(ioc_value)",
        };
        let revision = known.revision.filter(|_| !known.foreign);
        if known.said.is_empty() {
            let delete = self.aws.dynamodb.delete_item().table_name(&self.table);
            let delete = delete.key(VALUE, AttributeValue::S(value.to_owned())).condition_expression(condition);
            let delete = match revision {
                Some(revision) => delete.expression_attribute_values(":revision", number(revision)),
                None => delete,
            };
            return delete.send().await.map(drop).map_err(|error| failed(&action, error));
        }
        let put = self.aws.dynamodb.put_item().table_name(&self.table).condition_expression(condition);
        let put = match revision {
            Some(revision) => put.expression_attribute_values(":revision", number(revision)),
            None => put,
        };
        let put = put.set_item(Some(item(value, known)));
        put.send().await.map(drop).map_err(|error| failed(&action, error))
    }

    /// Items one page after the other, until `take` has enough.
    async fn scan(
        &self,
        filter: Option<Filter<'_>>,
        after: Option<&str>,
        mut take: impl FnMut(&str, &Item) -> bool,
    ) -> Result<(), BackendError> {
        let action = self.action("read");
        let mut from = after.map(|value| Item::from([(VALUE.to_owned(), AttributeValue::S(value.to_owned()))]));
        loop {
            let mut scan = self.aws.dynamodb.scan().table_name(&self.table).set_exclusive_start_key(from);
            if let Some((expression, names, values)) = &filter {
                scan = scan.filter_expression(*expression);
                scan = scan.set_expression_attribute_names(Some(names.clone()).filter(|names| !names.is_empty()));
                scan = scan.set_expression_attribute_values(Some(values.clone()).filter(|values| !values.is_empty()));
            }
            let page = scan.send().await.map_err(|error| failed(&action, error))?;
            for item in page.items.unwrap_or_default() {
                let Some(value) = item.get(VALUE).and_then(|value| value.as_s().ok()) else { continue };
                if !value.starts_with(OURS) && !take(value, &item) {
                    return Ok(());
                }
            }
            from = page.last_evaluated_key.filter(|key| !key.is_empty());
            if from.is_none() {
                return Ok(());
            }
        }
    }
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

fn whole(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn millis(seconds: u64) -> Millis {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000)
}

fn read(value: &str, item: &Item) -> Known {
    let said_by = |source: &str, of: &Item, expiry: &str, ioc_type: &str| Said {
        ioc: Ioc {
            value: value.to_owned(),
            ioc_type: text(of, ioc_type).unwrap_or_default().to_owned(),
            sub_type: text(of, "sub_type").unwrap_or_default().to_owned(),
            source: source.to_owned(),
            // Without one, it stays.
            expires: whole(of, expiry).map_or(Millis::MAX, millis),
            confidence: whole(of, "confidence").and_then(|confidence| confidence.try_into().ok()),
            description: text(of, "description").map(str::to_owned),
            reference: text(of, "reference").map(str::to_owned),
            valid_from: whole(of, "valid_from").map(millis),
            also: text(of, "also").and_then(|also| serde_json::from_str(also).ok()).unwrap_or_default(),
            unseen: whole(of, "unseen") == Some(1),
        },
        pass: whole(of, "pass").unwrap_or(0),
    };
    let revision = whole(item, "revision");
    let mut known = Known { revision: Some(revision.unwrap_or(0)), foreign: revision.is_none(), said: BTreeMap::new() };
    match item.get("sources").and_then(|sources| sources.as_m().ok()) {
        Some(sources) => {
            let of = sources.iter().filter_map(|(source, of)| Some((source, of.as_m().ok()?)));
            known.said = of.map(|(source, of)| (source.clone(), said_by(source, of, "expires", "type"))).collect();
        }
        // As StreamAlert's own downloader wrote it.
        None => {
            let source = text(item, "source").unwrap_or_default().to_owned();
            known.said.insert(source.clone(), said_by(&source, item, EXPIRY, "ioc_type"));
        }
    }
    known
}

fn item(value: &str, known: &Known) -> Item {
    let string = |text: &str| AttributeValue::S(text.to_owned());
    let seconds = |millis: Millis| AttributeValue::N(millis.div_euclid(1000).max(0).to_string());
    let mut sources = HashMap::new();
    for (source, Said { ioc, pass }) in &known.said {
        let mut of = Item::from([
            ("type".to_owned(), string(&ioc.ioc_type)),
            ("pass".to_owned(), AttributeValue::N(pass.to_string())),
        ]);
        if ioc.expires != Millis::MAX {
            of.insert("expires".to_owned(), seconds(ioc.expires));
        }
        if !ioc.sub_type.is_empty() {
            of.insert("sub_type".to_owned(), string(&ioc.sub_type));
        }
        if let Some(confidence) = ioc.confidence {
            of.insert("confidence".to_owned(), AttributeValue::N(confidence.to_string()));
        }
        for (name, text) in [("description", &ioc.description), ("reference", &ioc.reference)] {
            if let Some(text) = text {
                of.insert(name.to_owned(), string(text));
            }
        }
        if let Some(from) = ioc.valid_from {
            of.insert("valid_from".to_owned(), seconds(from));
        }
        if ioc.unseen {
            of.insert("unseen".to_owned(), AttributeValue::N("1".to_owned()));
        }
        if let Some(also) = serde_json::to_string(&ioc.also).ok().filter(|_| !ioc.also.is_empty()) {
            of.insert("also".to_owned(), string(&also));
        }
        sources.insert(source.clone(), AttributeValue::M(of));
    }
    let longest = known.said.values().max_by_key(|said| (said.ioc.expires, std::cmp::Reverse(&said.ioc.source)));
    let mut item = Item::from([
        (VALUE.to_owned(), string(value)),
        ("sources".to_owned(), AttributeValue::M(sources)),
        ("revision".to_owned(), AttributeValue::N((known.revision.unwrap_or(0) + 1).to_string())),
    ]);
    if let Some(Said { ioc, .. }) = longest {
        item.insert("ioc_type".to_owned(), string(&ioc.ioc_type));
        item.insert("sub_type".to_owned(), string(&ioc.sub_type));
        item.insert("source".to_owned(), string(&ioc.source));
        if ioc.expires != Millis::MAX {
            item.insert(EXPIRY.to_owned(), seconds(ioc.expires));
        }
    }
    item
}

impl DynamoIocs {
    /// Writes indicators over what is there, or beside what is there since a pass.
    fn write_all(&self, iocs: &[Ioc], pass: u64, beside: Option<u64>) -> Result<(), BackendError> {
        let mut by_value: BTreeMap<String, Vec<Ioc>> = BTreeMap::new();
        let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
        for ioc in iocs {
            if let Some(range) = Network::parse(&ioc.value).filter(|range| !range.is_address()) {
                if range.is_v6() { &mut v6 } else { &mut v4 }.insert(range.length().to_string());
            }
            by_value.entry(ioc.value.clone()).or_default().push(ioc.clone());
        }
        self.aws.wait(async {
            // Before the ranges themselves: who does not know their lengths does not find them.
            for (name, lengths) in [("v4", v4), ("v6", v6)] {
                if lengths.is_empty() {
                    continue;
                }
                let update = self.aws.dynamodb.update_item().table_name(&self.table);
                let update = update.key(VALUE, AttributeValue::S(NETWORKS.to_owned()));
                let update = update.update_expression("ADD #n :lengths").expression_attribute_names("#n", name);
                let lengths = AttributeValue::Ns(lengths.into_iter().collect());
                let done = update.expression_attribute_values(":lengths", lengths).send().await;
                done.map_err(|error| failed(&self.action("write to"), error))?;
                *self.lengths.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            let values: Vec<String> = by_value.keys().cloned().collect();
            let change = move |value: &str, known: &mut Known| {
                for ioc in by_value.get(value).into_iter().flatten() {
                    // To the second, as the item has it: what is the same is not written again.
                    let expires = if ioc.expires == Millis::MAX { ioc.expires } else { ioc.expires / 1000 * 1000 };
                    let valid_from = ioc.valid_from.map(|from| from.max(0) / 1000 * 1000);
                    let ioc = Ioc { expires, valid_from, ..ioc.clone() };
                    let before = known.said.remove(&ioc.source);
                    let before = match (before, beside) {
                        (Some(said), Some(0)) if said.pass < pass => said.ioc.of_before(),
                        (Some(said), Some(since)) if said.pass >= since => Some(said.ioc),
                        _ => None,
                    };
                    let source = ioc.source.clone();
                    if let Some(ioc) = Ioc::together(before.into_iter().chain([ioc])) {
                        known.said.insert(source, Said { ioc, pass });
                    }
                }
            };
            self.change(values, Arc::new(change)).await
        })
    }
}

impl IocTable for DynamoIocs {
    fn find(&self, values: &[String], now: Millis) -> Result<Found, BackendError> {
        if values.is_empty() {
            return Ok(Found::default());
        }
        self.aws.wait(async {
            let lengths = self.lengths().await?;
            let networks: Vec<Vec<String>> = values.iter().map(|value| network_keys(value, &lengths)).collect();
            let keys: BTreeSet<&String> = values.iter().chain(networks.iter().flatten()).collect();
            // What is ours is no indicator, and an empty text no key.
            let keys: Vec<String> =
                keys.into_iter().filter(|key| !key.is_empty() && !key.starts_with(OURS)).cloned().collect();
            let mut known: HashMap<String, Vec<Ioc>> = HashMap::new();
            for item in self.items(&keys, false).await? {
                let Some(value) = text(&item, VALUE) else { continue };
                let said = read(value, &item).said.into_values().map(|said| said.ioc);
                // DynamoDB drops what has expired within days.
                known.insert(value.to_owned(), said.filter_map(|ioc| ioc.at(now)).collect());
            }
            let mut found = Found::default();
            for (value, networks) in values.iter().zip(networks) {
                let iocs: Vec<Ioc> = std::iter::once(value)
                    .chain(&networks)
                    .filter_map(|key| known.get(key))
                    .flatten()
                    .cloned()
                    .collect();
                if !iocs.is_empty() {
                    found.insert(value.clone(), iocs.into());
                }
            }
            Ok(found)
        })
    }

    fn put(&self, iocs: &[Ioc], pass: u64) -> Result<(), BackendError> {
        self.write_all(iocs, pass, None)
    }

    fn join(&self, iocs: &[Ioc], pass: u64, since: u64) -> Result<(), BackendError> {
        self.write_all(iocs, pass, Some(since))
    }

    fn revise(
        &self,
        source: &str,
        named: &BTreeMap<String, BTreeSet<String>>,
        among: Option<&BTreeSet<String>>,
    ) -> Result<u64, BackendError> {
        let revised = |said: &Said| said.ioc.clone().revised(named).map(|ioc| Said { ioc, pass: said.pass });
        let values: Vec<String> = match among {
            Some(values) => values.iter().cloned().collect(),
            None => {
                let names = HashMap::from([
                    ("#sources".to_owned(), "sources".to_owned()),
                    ("#source".to_owned(), source.to_owned()),
                ]);
                let mut changed = Vec::new();
                let take = |value: &str, item: &Item| {
                    if read(value, item).said.get(source).is_some_and(|said| revised(said).as_ref() != Some(said)) {
                        changed.push(value.to_owned());
                    }
                    true
                };
                let filter = ("attribute_exists(#sources.#source)", names, Item::new());
                self.aws.wait(self.scan(Some(filter), None, take))?;
                changed
            }
        };
        let gone = Arc::new(Mutex::new(BTreeSet::new()));
        let (of, seen, named) = (source.to_owned(), gone.clone(), named.clone());
        let change = move |value: &str, known: &mut Known| {
            let Some(said) = known.said.remove(&of) else { return };
            match said.ioc.revised(&named) {
                Some(ioc) => drop(known.said.insert(of.clone(), Said { ioc, pass: said.pass })),
                None => drop(seen.lock().unwrap_or_else(PoisonError::into_inner).insert(value.to_owned())),
            }
        };
        self.aws.wait(self.change(values, Arc::new(change)))?;
        let count = gone.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(count as u64)
    }

    fn remove(&self, source: &str, values: &[String]) -> Result<u64, BackendError> {
        let values: BTreeSet<String> = values.iter().cloned().collect();
        let removed = Arc::new(Mutex::new(BTreeSet::new()));
        let (of, seen) = (source.to_owned(), removed.clone());
        let change = move |value: &str, known: &mut Known| {
            if known.said.remove(&of).is_some() {
                seen.lock().unwrap_or_else(PoisonError::into_inner).insert(value.to_owned());
            }
        };
        self.aws.wait(self.change(values.into_iter().collect(), Arc::new(change)))?;
        let count = removed.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(count as u64)
    }

    fn sweep(&self, source: &str, pass: u64, spared: &BTreeSet<String>) -> Result<u64, BackendError> {
        let names = HashMap::from([
            ("#sources".to_owned(), "sources".to_owned()),
            ("#source".to_owned(), source.to_owned()),
            ("#pass".to_owned(), "pass".to_owned()),
            ("#also".to_owned(), "also".to_owned()),
        ]);
        let values = Item::from([(":pass".to_owned(), AttributeValue::N(pass.to_string()))]);
        let swept = move |said: &Said, spared: &BTreeSet<String>| said.ioc.clone().swept(said.pass >= pass, spared);
        let mut old = Vec::new();
        self.aws.wait(async {
            let filter = ("#sources.#source.#pass < :pass OR attribute_exists(#sources.#source.#also)", names, values);
            let take = |value: &str, item: &Item| {
                let said = read(value, item).said.remove(source);
                if said.is_some_and(|said| swept(&said, spared).as_ref() != Some(&said.ioc)) {
                    old.push(value.to_owned());
                }
                true
            };
            self.scan(Some(filter), None, take).await
        })?;
        let gone = Arc::new(Mutex::new(BTreeSet::new()));
        let (of, seen, spared) = (source.to_owned(), gone.clone(), spared.clone());
        let change = move |value: &str, known: &mut Known| {
            let Some(said) = known.said.remove(&of) else { return };
            match swept(&said, &spared) {
                Some(ioc) => drop(known.said.insert(of.clone(), Said { ioc, pass: said.pass })),
                None => drop(seen.lock().unwrap_or_else(PoisonError::into_inner).insert(value.to_owned())),
            }
        };
        self.aws.wait(self.change(old, Arc::new(change)))?;
        let count = gone.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(count as u64)
    }

    /// In the table's own order.
    fn list(&self, filter: &IocFilter, after: Option<&str>, limit: usize) -> Result<Vec<Ioc>, BackendError> {
        let mut listed = Vec::new();
        self.aws.wait(self.scan(None, after, |value, item| {
            let fits = |ioc: &Ioc| {
                filter.source.as_ref().is_none_or(|source| *source == ioc.source)
                    && filter.ioc_type.as_ref().is_none_or(|ioc_type| *ioc_type == ioc.ioc_type)
                    && filter.value.as_ref().is_none_or(|part| ioc.value.contains(part.as_str()))
            };
            listed.extend(read(value, item).said.into_values().map(|said| said.ioc).filter(fits));
            listed.len() < limit
        }))?;
        listed.truncate(limit);
        Ok(listed)
    }

    fn counts(&self) -> Result<BTreeMap<String, u64>, BackendError> {
        let mut counts = BTreeMap::new();
        self.aws.wait(self.scan(None, None, |value, item| {
            for source in read(value, item).said.into_keys() {
                *counts.entry(source).or_default() += 1;
            }
            true
        }))?;
        Ok(counts)
    }

    /// DynamoDB does.
    fn expire(&self, _: Millis) -> Result<u64, BackendError> {
        Ok(0)
    }

    fn state(&self, source: &str) -> Result<SourceState, BackendError> {
        let action = format!("read the state of source {source} in {}", self.table);
        let items = self.aws.wait(self.some(vec![format!("{OURS}source:{source}")], true))?;
        match items.first().and_then(|item| text(item, "state")) {
            None => Ok(SourceState::default()),
            Some(json) => serde_json::from_str(json).map_err(|error| BackendError::other(action, error)),
        }
    }

    fn set_state(&self, source: &str, state: &mut SourceState) -> Result<(), BackendError> {
        let action = format!("write the state of source {source} in {}", self.table);
        let next = SourceState { revision: state.revision + 1, ..state.clone() };
        let json = serde_json::to_string(&next).map_err(|error| BackendError::other(&action, error))?;
        let put = self.aws.dynamodb.put_item().table_name(&self.table);
        let put =
            put.item(VALUE, AttributeValue::S(format!("{OURS}source:{source}"))).item("state", AttributeValue::S(json));
        let put = put.item("revision", AttributeValue::N(next.revision.to_string()));
        let put = match state.revision {
            0 => put.condition_expression("attribute_not_exists(ioc_value)"),
            revision => put
                .condition_expression("revision = :revision")
                .expression_attribute_values(":revision", AttributeValue::N(revision.to_string())),
        };
        self.aws.wait(put.send()).map_err(|error| failed(&action, error))?;
        *state = next;
        Ok(())
    }
}
