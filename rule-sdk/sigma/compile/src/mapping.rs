//! Which log types a Sigma log source is, and where its fields lie in them.

use crate::LogTypes;
use crate::detection;
use crate::rule::Expr;
use rsigma_parser::LogSource;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    #[error("{file}: {place}{error}")]
    Json {
        file: String,
        /// With `: ` behind it, or empty.
        place: String,
        error: serde_json::Error,
    },
    #[error("{file}: sources[{index}]: {message}")]
    Source { file: String, index: usize, message: String },
}

/// A mapping file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MappingFile {
    /// Field names by a name that `sources` can `use`.
    sets: BTreeMap<String, BTreeMap<String, String>>,
    sources: Vec<SourceEntry>,
    /// What `%name%` in a value with `expand` stands for.
    placeholders: BTreeMap<String, Vec<String>>,
    /// Where alerts of imported rules go.
    outputs: Vec<String>,
    #[serde(rename = "$comment")]
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    logsource: Product,
    logs: Vec<String>,
    #[serde(default, rename = "use")]
    set: Option<String>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    under: Option<String>,
    #[serde(default, rename = "where")]
    holds: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Product {
    product: Option<String>,
    category: Option<String>,
    service: Option<String>,
}

#[derive(Default)]
pub struct Mapping {
    sources: Vec<Entry>,
    pub(crate) placeholders: BTreeMap<String, Vec<String>>,
    pub(crate) outputs: Vec<String>,
}

struct Entry {
    logsource: Product,
    logs: Vec<String>,
    fields: Rc<BTreeMap<String, String>>,
    under: Option<String>,
    holds: Option<Expr>,
}

/// A log source as some log types have it.
pub struct Source {
    /// Those that are known, of which there is one at least.
    pub logs: Vec<String>,
    fields: Rc<BTreeMap<String, String>>,
    under: Option<String>,
    /// What its records have and others do not.
    pub holds: Option<Expr>,
    /// Top-level fields of all of them; whether one is filled where the log has none.
    known: BTreeMap<String, bool>,
}

/// Where a field is.
pub struct Place {
    pub path: String,
    pub filled: bool,
    /// No log type has a field at its beginning.
    pub unknown: bool,
}

impl Mapping {
    /// What we know ourselves.
    pub fn shipped() -> Result<Mapping, MappingError> {
        Mapping::read("mapping.json", include_str!("../mapping.json"))
    }

    pub fn read(file: &str, json: &str) -> Result<Mapping, MappingError> {
        let mut reader = serde_json::Deserializer::from_str(json.trim_start_matches('\u{feff}'));
        let read: MappingFile = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = error.path().to_string();
            let place = if matches!(&*place, "." | "?") { String::new() } else { format!("{place}: ") };
            MappingError::Json { file: file.to_owned(), place, error: error.into_inner() }
        })?;
        reader.end().map_err(|error| MappingError::Json { file: file.to_owned(), place: String::new(), error })?;
        let MappingFile { sets, sources, placeholders, outputs, .. } = read;
        let entry = |(index, entry): (usize, SourceEntry)| {
            let fault = |message: String| MappingError::Source { file: file.to_owned(), index, message };
            Entry::new(entry, &sets).map_err(fault)
        };
        let sources = sources.into_iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        Ok(Mapping { sources, placeholders, outputs })
    }

    /// This mapping before another: what it says of a log source or placeholder stands for all that the other says.
    pub fn over(mut self, other: Mapping) -> Mapping {
        let mine: Vec<Product> = self.sources.iter().map(|entry| entry.logsource.clone()).collect();
        self.sources.extend(other.sources.into_iter().filter(|entry| !mine.contains(&entry.logsource)));
        for (name, values) in other.placeholders {
            self.placeholders.entry(name).or_insert(values);
        }
        self.outputs.extend(other.outputs);
        self
    }

    /// The log types of a rule's log source; several if its events come in several ways.
    pub fn sources(&self, logsource: &LogSource, log_types: &LogTypes) -> Result<Vec<Source>, String> {
        let LogSource { category, product, service, custom, .. } = logsource;
        let lower = |text: &Option<String>| text.as_deref().map(|text| text.trim().to_lowercase());
        let wanted = Product { product: lower(product), category: lower(category), service: lower(service) };
        let mut custom: Vec<&String> = custom.keys().collect();
        custom.sort();
        if let Some(key) = custom.first() {
            return Err(format!("its log source has a `{key}`, which means nothing here"));
        }
        let shown = wanted.shown();
        let entries: Vec<&Entry> = self.sources.iter().filter(|entry| entry.logsource == wanted).collect();
        if entries.is_empty() {
            return Err(format!("no log type is known for its log source ({shown}); name one with --mapping"));
        }
        let sources: Vec<Source> = entries.iter().filter_map(|entry| entry.source(log_types)).collect();
        if sources.is_empty() {
            let logs: Vec<&str> = entries.iter().flat_map(|entry| &entry.logs).map(String::as_str).collect();
            return Err(format!("its log source ({shown}) is {}, which conf/schemas does not have", logs.join(" or ")));
        }
        Ok(sources)
    }
}

impl Product {
    fn shown(&self) -> String {
        let parts = [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let parts: Vec<String> =
            parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}"))).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    }
}

impl Entry {
    fn new(entry: SourceEntry, sets: &BTreeMap<String, BTreeMap<String, String>>) -> Result<Entry, String> {
        let SourceEntry { logsource, logs, set, fields, under, holds } = entry;
        if logs.is_empty() {
            return Err("`logs` names no log type".to_owned());
        }
        if logsource == Product::default() {
            return Err("`logsource` has neither product, category nor service".to_owned());
        }
        let lower = |text: Option<String>| text.map(|text| text.to_lowercase());
        let Product { product, category, service } = logsource;
        let logsource = Product { product: lower(product), category: lower(category), service: lower(service) };
        let mut all = match set {
            Some(name) => {
                sets.get(&name).cloned().ok_or_else(|| format!("`use` names `{name}`, which is not among `sets`"))?
            }
            None => BTreeMap::new(),
        };
        all.extend(fields);
        if let Some((field, _)) = all.iter().find(|(_, path)| path.is_empty()) {
            return Err(format!("the path of `{field}` is empty"));
        }
        let holds = (!holds.is_empty()).then(|| detection::of_paths(&holds)).transpose()?;
        Ok(Entry { logsource, logs, fields: Rc::new(all), under, holds })
    }

    fn source(&self, log_types: &LogTypes) -> Option<Source> {
        let mut logs = Vec::new();
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for log in &self.logs {
            let named = |name: &str| name == log || name.split(':').next() == Some(log);
            for (name, fields) in log_types.iter().filter(|(name, _)| named(name)) {
                logs.push(name.clone());
                for (field, optional) in fields {
                    *known.entry(field.clone()).or_default() |= optional;
                }
            }
        }
        let Entry { fields, under, holds, .. } = self;
        (!logs.is_empty()).then(|| Source {
            logs,
            fields: fields.clone(),
            under: under.clone(),
            holds: holds.clone(),
            known,
        })
    }
}

impl Source {
    pub fn place(&self, field: &str) -> Place {
        let path = match (self.fields.get(field), &self.under) {
            (Some(path), _) => path.clone(),
            (None, Some(under)) => format!("{under}.{field}"),
            (None, None) => field.to_owned(),
        };
        let first = first_step(&path);
        let known = self.known.get(&first);
        // What the host adds itself is in no schema.
        let unknown = known.is_none() && !first.starts_with("streamalert:");
        let filled = known == Some(&true) && first.len() == path.len();
        Place { path, filled, unknown }
    }
}

fn first_step(path: &str) -> String {
    let mut step = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => break,
            '\\' => step.extend(chars.next()),
            c => step.push(c),
        }
    }
    step
}
