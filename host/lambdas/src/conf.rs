//! The configuration as it comes out of the rules bucket.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use streamalert_aws::rules_bucket::{ConfFiles, oversize};
use streamalert_pipeline::config::output::Place;
use streamalert_pipeline::config::{Clusters, ConfigFault, Outputs, Schemas};
use streamalert_pipeline::live::Base;
use streamalert_plugins::{LoadCheck, LookupTables};

pub struct Conf {
    pub base: Base,
    pub outputs: Arc<Outputs>,
    pub tables: Arc<Tables>,
    /// Worth saying, but no reason to stop.
    pub warnings: Vec<String>,
}

impl Conf {
    /// Reads all files, and names every fault there is.
    pub fn read(files: &ConfFiles) -> Result<Conf, Vec<String>> {
        let mut faults: Vec<String> = Vec::new();
        let told = |faults: Vec<ConfigFault>| faults.into_iter().map(|fault| fault.to_string());
        let below = |folder: &str| -> Vec<(String, String)> {
            files.iter().filter(|(path, _)| path.starts_with(folder)).map(|(p, t)| (p.clone(), t.clone())).collect()
        };
        let schema_files = below("schemas/");
        if schema_files.is_empty() {
            faults.push("schemas/: no schema files (*.json) here, so nothing can be classified".into());
        }
        let schemas = Schemas::read(&schema_files).unwrap_or_else(|more| {
            faults.extend(told(more.0));
            Schemas::default()
        });
        let clusters = Clusters::read(&below("clusters/"), &schemas).unwrap_or_else(|more| {
            faults.extend(told(more.0));
            Clusters::default()
        });
        let mut outputs = match files.get("outputs.json") {
            None => Outputs::default(),
            Some(text) => Outputs::read("outputs.json", text).unwrap_or_else(|more| {
                faults.extend(told(more.0));
                Outputs::default()
            }),
        };
        outputs.place = Place::Aws;
        faults.extend(streamalert_egress::world::faults(&outputs));
        let tables = Tables::new(below("lookup_tables/"));
        if !faults.is_empty() {
            return Err(faults);
        }
        let warnings = schemas.warnings.iter().chain(&clusters.warnings).map(ToString::to_string).collect();
        let base = Base { schemas: Arc::new(schemas), clusters: Arc::new(clusters) };
        Ok(Conf { base, outputs: Arc::new(outputs), tables: Arc::new(tables), warnings })
    }

    /// What components must agree with.
    pub fn with_check<T>(&self, work: impl FnOnce(&LoadCheck) -> T) -> T {
        LoadCheck::with(&self.base.schemas, work)
    }

    /// The same for whoever is to say whether it may go live: tables are read, too.
    pub fn check(files: &ConfFiles) -> Result<Conf, Vec<String>> {
        let conf = Conf::read(files);
        let tables = files.iter().filter(|(path, _)| path.starts_with("lookup_tables/"));
        let faults = tables.filter_map(|(path, text)| match serde_json::from_str::<Map<String, Value>>(text) {
            Ok(_) => None,
            Err(error) => Some(format!("{path}: not a JSON object of key and value: {error}")),
        });
        let faults: Vec<String> = faults.chain(oversize(files)).collect();
        match conf {
            Ok(conf) if faults.is_empty() => Ok(conf),
            Ok(_) => Err(faults),
            Err(mut all) => {
                all.extend(faults);
                Err(all)
            }
        }
    }
}

/// Lookup tables as texts. Each is read when it is asked for the first time: a function that asks none should not wait for any.
#[derive(Default)]
pub struct Tables(BTreeMap<String, (String, OnceLock<HashMap<String, String>>)>);

impl Tables {
    /// Of files, named as their tables.
    fn new(files: Vec<(String, String)>) -> Self {
        let named = |(path, text): (String, String)| {
            let file = path.rsplit('/').next().unwrap_or(&path);
            (file.trim_end_matches(".json").to_owned(), (text, OnceLock::new()))
        };
        Tables(files.into_iter().map(named).collect())
    }

    fn get(&self, table: &str, key: &str) -> Option<String> {
        let (text, read) = self.0.get(table)?;
        let read = read.get_or_init(|| {
            // Whether it is a table was checked before it went live.
            let rows: Map<String, Value> = serde_json::from_str(text).unwrap_or_else(|error| {
                tracing::error!(table, %error, "a lookup table is no JSON object, and taken for empty");
                Map::new()
            });
            rows.into_iter().map(|(key, value)| (key, value.to_string())).collect()
        });
        read.get(key).cloned()
    }
}

/// The tables of the set that is live.
#[derive(Default)]
pub struct CurrentTables(arc_swap::ArcSwap<Tables>);

impl CurrentTables {
    pub fn set(&self, tables: Arc<Tables>) {
        self.0.store(tables);
    }
}

impl LookupTables for CurrentTables {
    fn get(&self, table: &str, key: &str) -> Option<String> {
        self.0.load().get(table, key)
    }

    fn has(&self, table: &str) -> bool {
        self.0.load().0.contains_key(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> ConfFiles {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faults = Conf::check(&files(&[
            ("schemas/a.json", "["),
            ("clusters/b.json", "["),
            ("lookup_tables/c.json", "[1]"),
            ("outputs.json", r#"{"slack": {"x": {"hosts": ["not a host"]}}}"#),
        ]));
        let Err(faults) = faults else { panic!("it was taken") };
        assert_eq!(faults.len(), 4, "{faults:#?}");
        for file in ["schemas/a.json", "clusters/b.json", "lookup_tables/c.json", "outputs.json"] {
            assert!(faults.iter().any(|fault| fault.starts_with(file)), "{file}: {faults:#?}");
        }
        assert!(Conf::check(&ConfFiles::new()).is_err(), "nothing could be classified");
    }

    #[test]
    fn tables_are_read_when_they_are_asked() {
        let conf = Conf::check(&files(&[
            ("schemas/a.json", r#"{"a": {"parser": "json", "schema": {"x": "string"}}}"#),
            ("lookup_tables/vips.json", r#"{"ann": {"desk": 4}, "bob": "x"}"#),
        ]));
        let Ok(conf) = conf else { panic!("it was refused") };
        assert!(conf.base.schemas.knows("a"));
        let current = CurrentTables::default();
        assert!(!LookupTables::has(&current, "vips"));
        current.set(conf.tables);
        assert!(LookupTables::has(&current, "vips"));
        assert_eq!(LookupTables::get(&current, "vips", "ann").as_deref(), Some(r#"{"desk":4}"#));
        assert_eq!(LookupTables::get(&current, "vips", "cid"), None);
        assert_eq!(LookupTables::get(&current, "other", "ann"), None);
    }
}
