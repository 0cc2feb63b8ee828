//! Indicators of compromise: which values of records may be some, which are, and how rules see that.
//!
//! A record with a hit gets `streamalert:ioc`: `{type: [{"value", "sub_type", "source", …}]}`, in the order of values and sources.

mod address;
mod value;

pub use address::{Network, network_keys};
pub use value::{Kind, canonical, refanged};

use crate::backend::BackendError;
use crate::classifier::repack;
use crate::config::schema::Wildcard;
use crate::config::threat_intel::ThreatIntelConfig;
use crate::config::{Clusters, LogType};
use crate::log_record::{ECS_KEY, IOC_KEY, LogBatch, NORMALIZATION_KEY, OCSF_KEY};
use crate::time::Millis;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamalert_packed::{Kind as Shape, Node, Record};

/// Hits that one record tells of.
const HITS_MAX: usize = 100;
/// Values of one record that are looked up: of a list of ten thousand addresses, the first.
const VALUES_MAX: usize = 1_000;

/// Indicators of one source that are kept of one value, beside the first.
const ALSO_MAX: usize = 20;

/// An indicator, as one source has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ioc {
    /// In the form in which values are compared; of an address range `192.0.2.0/24`.
    pub value: String,
    /// `ip`, `domain`, `url`, `md5`, …
    #[serde(rename = "type")]
    pub ioc_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub_type: String,
    pub source: String,
    /// After this it is none any more.
    pub expires: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the source calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Before this it is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Millis>,
    /// Further indicators of the source that name the same value: it counts while any of them does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Ioc>,
    /// An earlier pass saw it under this value, and the one that wrote the value last has not, or not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
}

impl Ioc {
    /// What one source says of one value, as one: the indicator that counts longest, and the others beside it. Of what is called
    /// the same, the later word.
    pub fn together(said: impl IntoIterator<Item = Ioc>) -> Option<Ioc> {
        let all: BTreeMap<Option<String>, Ioc> =
            said.into_iter().flat_map(Ioc::each).map(|one| (one.reference.clone(), one)).collect();
        let mut all: Vec<Ioc> = all.into_values().collect();
        all.sort_by(|a, b| (b.expires, &a.reference).cmp(&(a.expires, &b.reference)));
        all.truncate(ALSO_MAX + 1);
        let mut all = all.into_iter();
        let first = all.next()?;
        Some(Ioc { also: all.collect(), ..first })
    }

    /// The first indicator and those beside it, each by itself.
    fn each(mut self) -> impl Iterator<Item = Ioc> {
        let also = std::mem::take(&mut self.also);
        std::iter::once(self).chain(also)
    }

    /// What an earlier pass saw, to stand beside what the next one sees.
    pub fn of_before(self) -> Option<Ioc> {
        Ioc::together(self.each().map(|one| Ioc { unseen: true, ..one }))
    }

    /// What is left of it after a pass over all there is, which has seen the value or not: what the pass saw, and what is spared
    /// by what its source calls it.
    pub fn swept(self, seen: bool, spared: &BTreeSet<String>) -> Option<Ioc> {
        let is_spared = |one: &Ioc| one.reference.as_ref().is_some_and(|reference| spared.contains(reference));
        Ioc::together(self.each().filter(|one| (seen && !one.unseen) || is_spared(one)))
    }

    /// What is left of it, now that these indicators of its source (by what the source calls them) name these values and no
    /// others.
    pub fn revised(self, named: &BTreeMap<String, BTreeSet<String>>) -> Option<Ioc> {
        Ioc::together(self.each().filter(|one| {
            let values = one.reference.as_ref().and_then(|reference| named.get(reference));
            values.is_none_or(|values| values.contains(&one.value))
        }))
    }

    /// What of it counts at that time.
    pub fn at(&self, now: Millis) -> Option<Ioc> {
        let is_live = |one: &&Ioc| one.expires > now && one.valid_from.is_none_or(|from| from <= now);
        let one = std::iter::once(self).chain(&self.also).find(is_live)?;
        Some(Ioc { also: Vec::new(), unseen: false, ..one.clone() })
    }
}

/// By value as it was asked for; of an address also those of ranges it lies in.
pub type Found = HashMap<String, Arc<[Ioc]>>;

/// Which indicators; every part that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct IocFilter {
    pub source: Option<String>,
    pub ioc_type: Option<String>,
    /// A part of the value.
    pub value: Option<String>,
}

/// How far the download of a source has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceState {
    /// Counts up by one with each pass over the source.
    pub pass: u64,
    /// Of the pass that is under way: where it goes on. `None`: no pass is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Value>,
    /// What the last whole pass leaves to the next: an ETag, the time up to which all is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Value>,
    /// By which it is seen that the source's configuration is another since.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// The pass that is under way reads all there is, and not only what is new.
    pub whole: bool,
    /// The last pass that read all there is, or reads it, and when the last one began that did.
    pub base: u64,
    pub read: Millis,
    /// Milliseconds since 1970.
    pub began: Millis,
    pub finished: Millis,
    /// Whoever works on the source, until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub until: Millis,
    /// Of the pass that is under way, or was last.
    pub taken: u64,
    pub removed: u64,
    /// What was not understood, by what it was, with how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// Why the last attempt failed, and when the next one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub failures: u32,
    pub retry: Millis,
    /// Raised by each write: who wrote on another state has to read again.
    pub revision: u64,
}

pub trait IocTable: Send + Sync {
    /// What is known of these values, without what has expired at `now`.
    fn find(&self, values: &[String], now: Millis) -> Result<Found, BackendError>;
    /// Adds, or replaces what the same source had under the same value. `pass` is the source's.
    fn put(&self, iocs: &[Ioc], pass: u64) -> Result<(), BackendError>;
    /// As `put`; beside it stays what the source calls otherwise, if the pass `since` or a later one has seen it. With 0, it stays
    /// whoever saw it, and is marked as unseen until this pass sees it, too.
    fn join(&self, iocs: &[Ioc], pass: u64, since: u64) -> Result<(), BackendError>;
    /// Takes from a source what its indicators named before and name no more (see [`Ioc::revised`]): among these values, or
    /// among all. Says how many values it has no more.
    fn revise(
        &self,
        source: &str,
        named: &BTreeMap<String, BTreeSet<String>>,
        among: Option<&BTreeSet<String>>,
    ) -> Result<u64, BackendError>;
    /// Takes values from a source. Says how many were there.
    fn remove(&self, source: &str, values: &[String]) -> Result<u64, BackendError>;
    /// Takes from a source what no pass since `pass` has seen, but for what it calls by one of these names. Says how many values
    /// it has no more.
    fn sweep(&self, source: &str, pass: u64, spared: &BTreeSet<String>) -> Result<u64, BackendError>;
    /// Some, in the order of values, those after `after` only.
    fn list(&self, filter: &IocFilter, after: Option<&str>, limit: usize) -> Result<Vec<Ioc>, BackendError>;
    /// How many each source has, expired ones among them.
    fn counts(&self) -> Result<BTreeMap<String, u64>, BackendError>;
    /// Forgets what has expired, where that does not happen by itself. Says how many.
    fn expire(&self, now: Millis) -> Result<u64, BackendError>;
    fn state(&self, source: &str) -> Result<SourceState, BackendError>;
    /// Writes a state with the next revision; a conflict, if what is there has not the state's own.
    fn set_state(&self, source: &str, state: &mut SourceState) -> Result<(), BackendError>;
}

/// The configuration, ready for records.
#[derive(Debug)]
pub struct ThreatIntel {
    types: Vec<IocType>,
    /// `None`: all.
    clusters: Option<BTreeSet<Arc<str>>>,
}

#[derive(Debug)]
struct IocType {
    name: String,
    kind: Kind,
    names: Vec<Place>,
    networks: Vec<Network>,
    exact: BTreeSet<String>,
    patterns: Vec<Wildcard>,
}

#[derive(Debug)]
enum Place {
    /// A name under `streamalert_normalization`.
    Normalized(String),
    /// Keys from the root.
    Path(&'static str, Vec<String>),
}

/// The values of a batch that may be indicators.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Each once.
    pub values: Vec<String>,
    index: HashMap<String, u32>,
    /// Row, type, value; rows rise.
    of: Vec<(u32, u16, u32)>,
}

impl Candidates {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// What came of attaching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Records that have hits now.
    pub records: u64,
    /// Records that had some and are too large to tell.
    pub too_large: u64,
}

impl ThreatIntel {
    /// `None` if it is switched off.
    pub fn new(config: &ThreatIntelConfig, clusters: &Clusters) -> Option<ThreatIntel> {
        if !config.enabled {
            return None;
        }
        let said = clusters.clusters.iter().any(|cluster| cluster.enable_threat_intel.is_some());
        let enabled = clusters.clusters.iter().filter(|cluster| cluster.enable_threat_intel == Some(true));
        let enabled = said.then(|| enabled.map(|cluster| cluster.name.clone()).collect());
        let types = config.types.iter().map(|(name, names)| {
            let kind = Kind::of(name);
            let mut of = IocType {
                name: name.clone(),
                kind,
                names: names.iter().map(|name| Place::of(name)).collect(),
                networks: Vec::new(),
                exact: BTreeSet::new(),
                patterns: Vec::new(),
            };
            for value in config.excluded.get(name).into_iter().flatten() {
                match Network::parse(value) {
                    Some(network) if kind == Kind::Ip => of.networks.push(network),
                    _ if value.contains(['*', '?']) && (kind != Kind::Url || value.contains('*')) => {
                        let folded = if kind.folds() { value.to_lowercase() } else { value.clone() };
                        of.patterns.push(Wildcard::new(&folded));
                    }
                    _ => drop(of.exact.insert(canonical(kind, value).unwrap_or_else(|| value.clone()))),
                }
            }
            of
        });
        Some(ThreatIntel { types: types.collect(), clusters: enabled })
    }

    /// What is to be looked up. Empty for clusters that have it not, and for log types without such names.
    pub fn candidates(&self, batch: &LogBatch) -> Candidates {
        let mut found = Candidates::default();
        if self.clusters.as_ref().is_some_and(|clusters| !clusters.contains(&batch.cluster)) {
            return found;
        }
        let mut last: Option<(&Arc<LogType>, bool)> = None;
        let mut values = Vec::new();
        for (row, record) in batch.records.iter().enumerate() {
            let looks = match last {
                Some((log_type, looks)) if Arc::ptr_eq(log_type, &record.log_type) => looks,
                _ => self.types.iter().any(|of| of.names.iter().any(|place| place.is_in(&record.log_type))),
            };
            last = Some((&record.log_type, looks));
            // What was attached before says what was known then.
            if looks && batch.fields(row).root().find(IOC_KEY).is_none() {
                self.of_record(batch.fields(row), row as u32, &mut values, &mut found);
            }
        }
        found
    }

    fn of_record(&self, record: Record<'_>, row: u32, values: &mut Vec<(u16, String)>, found: &mut Candidates) {
        values.clear();
        for (number, of) in self.types.iter().enumerate() {
            let mut take = |text: &str| {
                if values.len() < VALUES_MAX
                    && let Some(value) = canonical(of.kind, text)
                    && !of.excludes(&value)
                {
                    values.push((number as u16, value));
                }
            };
            of.names.iter().for_each(|place| place.texts(record, &mut take));
        }
        values.sort_unstable();
        values.dedup();
        for (of, value) in values.drain(..) {
            let next = found.values.len() as u32;
            let place = *found.index.entry_ref(value.as_str()).or_insert(next);
            if place == next {
                found.values.push(value);
            }
            found.of.push((row, of, place));
        }
    }

    /// Writes the hits into their records; all others stay as they are.
    pub fn attach(&self, batch: &mut LogBatch, candidates: &Candidates, found: &Found) -> Attached {
        let mut attached = Attached::default();
        if found.values().all(|iocs| iocs.is_empty()) {
            return attached;
        }
        for of_row in candidates.of.chunk_by(|a, b| a.0 == b.0) {
            let mut hits: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            let mut count = 0;
            for (_, of, place) in of_row {
                let (of, value) = (&self.types[usize::from(*of)], &candidates.values[*place as usize]);
                let known = found.get(value.as_str()).map(|iocs| &iocs[..]).unwrap_or_default();
                let mut fitting: Vec<&Ioc> = known.iter().filter(|ioc| of.kind.fits(Kind::of(&ioc.ioc_type))).collect();
                fitting.sort_by(|a, b| (&a.source, &a.value, &a.sub_type).cmp(&(&b.source, &b.value, &b.sub_type)));
                for ioc in fitting {
                    if count < HITS_MAX {
                        count += 1;
                        hits.entry(&of.name).or_default().push(hit(value, ioc));
                    }
                }
            }
            if hits.is_empty() {
                continue;
            }
            let row = of_row[0].0 as usize;
            let mut text = batch.fields(row).to_json();
            let hits: Map<String, Value> =
                hits.into_iter().map(|(name, hits)| (name.to_owned(), Value::Array(hits))).collect();
            text.pop();
            if !text.ends_with('{') {
                text.push(',');
            }
            text.push_str(&format!("\"{IOC_KEY}\":{}}}", Value::Object(hits)));
            match repack(batch, row, text.as_bytes()) {
                true => attached.records += 1,
                false => attached.too_large += 1,
            }
        }
        attached
    }
}

fn hit(value: &str, ioc: &Ioc) -> Value {
    let mut hit = json!({"value": value, "sub_type": ioc.sub_type, "source": ioc.source});
    if ioc.value != value {
        hit["network"] = ioc.value.as_str().into();
    }
    if let Some(confidence) = ioc.confidence {
        hit["confidence"] = confidence.into();
    }
    for (name, text) in [("description", &ioc.description), ("reference", &ioc.reference)] {
        if let Some(text) = text {
            hit[name] = text.as_str().into();
        }
    }
    hit
}

impl IocType {
    fn excludes(&self, value: &str) -> bool {
        if self.exact.contains(value) {
            return true;
        }
        if !self.networks.is_empty()
            && let Some(address) = Network::parse(value)
            && self.networks.iter().any(|network| network.contains(&address))
        {
            return true;
        }
        self.patterns.iter().any(|pattern| pattern.is_match(value))
    }
}

impl Place {
    fn of(name: &str) -> Place {
        let path = |path: &str| path.split('.').map(str::to_owned).collect();
        match name.split_once(':') {
            Some(("ecs", field)) => Place::Path(ECS_KEY, path(field)),
            Some(("ocsf", attribute)) => Place::Path(OCSF_KEY, path(attribute)),
            _ => Place::Normalized(name.to_owned()),
        }
    }

    /// Whether records of this type can have it.
    fn is_in(&self, log_type: &LogType) -> bool {
        match self {
            Place::Normalized(name) => {
                log_type.normalization.iter().any(|normalizer| normalizer.name == *name)
                    || log_type.fields.position(NORMALIZATION_KEY).is_some()
            }
            Place::Path(root, _) => log_type.adds(root) || log_type.fields.position(root).is_some(),
        }
    }

    fn texts(&self, record: Record<'_>, take: &mut dyn FnMut(&str)) {
        match self {
            Place::Normalized(name) => {
                let found = record.root().get(NORMALIZATION_KEY).and_then(|names| names.get(name));
                for entry in found.into_iter().flat_map(Node::items) {
                    match entry.kind() {
                        Shape::Object => {
                            let values = entry.get("values");
                            values.into_iter().flat_map(Node::items).filter_map(Node::as_str).for_each(&mut *take);
                        }
                        // As StreamAlert wrote it before version 3.
                        _ => entry.as_str().into_iter().for_each(&mut *take),
                    }
                }
            }
            Place::Path(root, path) => {
                if let Some(node) = record.root().get(root) {
                    follow(node, path, take);
                }
            }
        }
    }
}

fn follow(node: Node<'_>, path: &[String], take: &mut dyn FnMut(&str)) {
    match (path.split_first(), node.kind()) {
        (_, Shape::Array) => node.items().for_each(|item| follow(item, path, take)),
        (None, _) => node.as_str().into_iter().for_each(take),
        (Some((key, rest)), Shape::Object) => {
            if let Some(next) = node.get(key) {
                follow(next, rest, take);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
