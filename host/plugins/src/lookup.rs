//! The operator's tables: allow lists, asset inventories, owners.

use std::collections::HashMap;
use std::path::Path;

pub trait LookupTables: Send + Sync {
    /// The JSON text under `key` of `table`.
    fn get(&self, table: &str, key: &str) -> Option<String>;
    fn has(&self, table: &str) -> bool;
}

/// Tables held in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables {
    tables: HashMap<String, HashMap<String, String>>,
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
        self.tables.insert(table.into(), entries);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }
}

impl LookupTables for MemoryTables {
    fn get(&self, table: &str, key: &str) -> Option<String> {
        self.tables.get(table)?.get(key).cloned()
    }

    fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
