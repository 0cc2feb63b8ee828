//! How rules ask the operator's tables: allow lists, asset inventories, owners.

use crate::fault::raise;
use crate::host::{State, charge};
use crate::limits::{EPOCH_TICK, READ_AHEAD_KEYS, ticks};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use streamalert_packed::{Kind, Node};
use streamalert_pipeline::plugin::{Batch, PluginErrorKind};
use wasmtime::StoreContextMut;

pub use streamalert_pipeline::lookup::{Looked, LookupFailure, LookupSnapshot, LookupTables};

/// One question of a guest.
pub fn get(cx: &mut StoreContextMut<State>, table: &str, key: &str) -> wasmtime::Result<Option<String>> {
    let shared = cx.data().shared.clone();
    let batch = cx.data().batch.clone();
    let seen = match &batch {
        Some(batch) => batch.tables().get_or_init(|| shared.tables.snapshot()).clone(),
        None => shared.tables.snapshot(),
    };
    let begun = Instant::now();
    let mut more = || batch.as_ref().map(|batch| siblings(batch, key)).unwrap_or_default();
    let looked = seen.get(table, key, &mut more);
    // The guard is for guests that run: the time it took to get an answer is not theirs.
    let waited = begun.elapsed();
    if waited >= EPOCH_TICK {
        let until = cx.data().until + waited;
        cx.data_mut().until = until;
        cx.set_epoch_deadline(ticks(until.saturating_duration_since(Instant::now())));
    }
    let found = match looked {
        Ok(Looked::Found(value)) => Some(value),
        Ok(Looked::NoKey) => None,
        Ok(Looked::NoTable) => {
            shared.missing_table(&cx.data().plugin, table);
            None
        }
        Err(failure) => {
            shared.failed_lookup(&cx.data().plugin, &failure);
            return raise(PluginErrorKind::HostCall, failure.to_string());
        }
    };
    charge(cx, found.as_ref().map_or(0, String::len))?;
    Ok(found)
}

enum Step {
    Key(String),
    Items,
}

/// Where a rule asks about a value of one record, it will ask about those that stand at the same place in the others.
fn siblings(batch: &Batch, key: &str) -> Vec<String> {
    let mut path = Vec::new();
    let records = || (0..batch.rows()).filter_map(|row| batch.record(row as u32));
    if !records().any(|record| find(record.root(), key, &mut path)) {
        return Vec::new();
    }
    let mut texts = BTreeSet::new();
    for record in records() {
        follow(record.root(), &path, &mut texts);
        if texts.len() >= READ_AHEAD_KEYS {
            break;
        }
    }
    texts.remove(key);
    texts.into_iter().take(READ_AHEAD_KEYS).map(str::to_owned).collect()
}

fn find(node: Node<'_>, text: &str, path: &mut Vec<Step>) -> bool {
    match node.kind() {
        Kind::Text => node.as_str() == Some(text),
        Kind::Object => node.entries().any(|(key, value)| {
            path.push(Step::Key(key.to_owned()));
            find(value, text, path) || path.pop().is_none()
        }),
        Kind::Array => {
            path.push(Step::Items);
            node.items().any(|item| find(item, text, path)) || path.pop().is_none()
        }
        _ => false,
    }
}

fn follow<'a>(node: Node<'a>, path: &[Step], texts: &mut BTreeSet<&'a str>) {
    match path.split_first() {
        None => texts.extend(node.as_str().filter(|text| text.len() <= KEY_BYTES_MAX)),
        Some((Step::Key(key), rest)) if node.kind() == Kind::Object => {
            if let Some((_, next)) = node.find(key) {
                follow(next, rest, texts);
            }
        }
        Some((Step::Items, rest)) if node.kind() == Kind::Array => {
            node.items().for_each(|item| follow(item, rest, texts));
        }
        Some(_) => {}
    }
}

/// Bytes of a key that is worth reading ahead; DynamoDB takes no longer ones as a partition key.
const KEY_BYTES_MAX: usize = 2048;

/// Tables held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables {
    tables: Arc<HashMap<String, HashMap<String, String>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("read lookup table {file}")]
    Read {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}: a lookup table is one JSON object, from key to any value")]
    Parse {
        file: String,
        #[source]
        source: serde_json::Error,
    },
}

impl MemoryTables {
    /// One table for each `*.json` of the folder, named as the file. A folder that is not there holds none.
    pub fn load(folder: &Path) -> Result<Self, TableError> {
        let named = |path: &Path| path.display().to_string();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(TableError::Read { file: named(folder), source }),
        };
        let mut tables = Self::default();
        for entry in entries {
            let path = entry.map_err(|source| TableError::Read { file: named(folder), source })?.path();
            let (Some(stem), Some("json")) = (path.file_stem(), path.extension().and_then(|e| e.to_str())) else {
                continue;
            };
            let stem = stem.to_string_lossy().into_owned();
            let text = std::fs::read(&path).map_err(|source| TableError::Read { file: named(&path), source })?;
            let table: HashMap<String, serde_json::Value> =
                serde_json::from_slice(&text).map_err(|source| TableError::Parse { file: named(&path), source })?;
            tables.insert(stem, table);
        }
        Ok(tables)
    }

    pub fn insert(&mut self, table: impl Into<String>, entries: impl IntoIterator<Item = (String, serde_json::Value)>) {
        let entries = entries.into_iter().map(|(key, value)| (key, value.to_string())).collect();
        Arc::make_mut(&mut self.tables).insert(table.into(), entries);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    pub fn get(&self, table: &str, key: &str) -> Option<String> {
        self.tables.get(table)?.get(key).cloned()
    }

    pub fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }
}

impl LookupTables for MemoryTables {
    fn snapshot(&self) -> Arc<dyn LookupSnapshot> {
        Arc::new(self.clone())
    }
}

impl LookupSnapshot for MemoryTables {
    fn get(&self, table: &str, key: &str, _: &mut dyn FnMut() -> Vec<String>) -> Result<Looked, LookupFailure> {
        Ok(match self.tables.get(table).map(|table| table.get(key)) {
            None => Looked::NoTable,
            Some(None) => Looked::NoKey,
            Some(Some(value)) => Looked::Found(value.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_packed::{Builder, Record};

    #[test]
    fn a_folder_of_json_objects_becomes_tables() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("owners.json"), r#"{"i-1": {"team": "web"}, "i-2": "db"}"#).unwrap();
        std::fs::write(folder.path().join("README.md"), "not a table").unwrap();
        let tables = MemoryTables::load(folder.path()).unwrap();
        assert_eq!(tables.names().collect::<Vec<_>>(), ["owners"]);
        assert_eq!(tables.get("owners", "i-1").as_deref(), Some(r#"{"team":"web"}"#));
        assert_eq!(tables.get("owners", "i-2").as_deref(), Some(r#""db""#));
        assert_eq!(tables.get("owners", "i-3"), None);
        assert!(tables.has("owners") && !tables.has("assets"));

        std::fs::write(folder.path().join("assets.json"), "[1]").unwrap();
        let error = MemoryTables::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("assets.json") && error.contains("one JSON object"), "{error}");
    }

    #[test]
    fn a_missing_folder_holds_no_tables() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(MemoryTables::load(&folder.path().join("no")).unwrap().names().count(), 0);
    }

    #[test]
    fn what_stands_at_the_same_place_is_asked_next() {
        let records: Vec<Vec<u8>> = [
            serde_json::json!({"n": 1, "user": {"names": [{"id": "ann"}, {"id": "bob"}]}, "x": "cid"}),
            serde_json::json!({"user": {"names": [{"id": "dan"}, {"id": 7}]}, "x": "ann2"}),
            serde_json::json!({"user": "eve"}),
        ]
        .iter()
        .map(|value| {
            let mut bytes = Vec::new();
            let mut builder = Builder::new(&mut bytes);
            let root = builder.value(value);
            builder.finish(root);
            bytes
        })
        .collect();
        // SAFETY: just finished.
        let batch = Batch::new(1, records.iter().map(|bytes| unsafe { Record::trusted(bytes) }));
        assert_eq!(siblings(&batch, "bob"), ["ann", "dan"]);
        assert_eq!(siblings(&batch, "cid"), ["ann2"]);
        assert!(siblings(&batch, "ann:cid").is_empty());
    }
}
