//! The configuration as it comes out of the rules bucket.

use serde_json::{Map, Value};
use std::sync::Arc;
use streamalert_aws::rules_bucket::{ConfFiles, oversize};
use streamalert_lookup::Tables;
use streamalert_lookup::tables::no_files;
use streamalert_pipeline::config::lookup_tables::TablePlace;
use streamalert_pipeline::config::output::Place;
use streamalert_pipeline::config::{
    AppConfigs, Clusters, ConfigFault, Outputs, RuleStaging, ScheduledQueries, Schemas, TableConfigs,
    ThreatIntelConfig, apps, scheduled_queries, staging,
};
use streamalert_pipeline::live::Base;
use streamalert_pipeline::lookup::TableServices;
use streamalert_pipeline::threat_intel::ThreatIntel;
use streamalert_plugins::{LoadCheck, LookupSnapshot, LookupTables};

pub struct Conf {
    pub base: Base,
    pub outputs: Arc<Outputs>,
    pub apps: AppConfigs,
    pub scheduled_queries: ScheduledQueries,
    /// None where there is no such file: nothing goes on trial by itself.
    pub rule_staging: Option<RuleStaging>,
    /// Lookup tables elsewhere, and those of the configuration itself by name.
    pub tables: TableConfigs,
    pub table_texts: Vec<(String, String)>,
    pub threat_intel: Option<Arc<ThreatIntel>>,
    pub threat_intel_config: ThreatIntelConfig,
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
        let rule_staging = files.get(staging::FILE).and_then(|text| match RuleStaging::read(staging::FILE, text) {
            Ok(read) => {
                faults.extend(told(read.faults(staging::FILE, &outputs)));
                Some(read)
            }
            Err(more) => {
                faults.extend(told(more.0));
                None
            }
        });
        outputs.place = Place::Aws;
        faults.extend(streamalert_egress::world::faults(&outputs));
        let table_texts: Vec<(String, String)> = below("lookup_tables/")
            .into_iter()
            .map(|(path, text)| {
                let file = path.rsplit('/').next().unwrap_or(&path);
                (file.trim_end_matches(".json").to_owned(), text)
            })
            .collect();
        let named: Vec<&str> = table_texts.iter().map(|(name, _)| name.as_str()).collect();
        let tables = match files.get("lookup_tables.json") {
            None => TableConfigs::default(),
            Some(text) => TableConfigs::read("lookup_tables.json", text, &named).unwrap_or_else(|more| {
                faults.extend(told(more.0));
                TableConfigs::default()
            }),
        };
        let files_only = tables.tables.iter().filter(|(_, table)| matches!(table.place, TablePlace::File { .. }));
        faults.extend(files_only.map(|(name, _)| no_files(name)));
        let threat_intel_config = match files.get("threat_intel.json") {
            None => ThreatIntelConfig::default(),
            Some(text) => ThreatIntelConfig::read("threat_intel.json", text).unwrap_or_else(|more| {
                faults.extend(told(more.0));
                ThreatIntelConfig::default()
            }),
        };
        let read_apps = files.get(apps::FILE).map(|text| apps::read(apps::FILE, text));
        let apps = read_apps.unwrap_or_else(|| Ok(AppConfigs::new())).unwrap_or_else(|more| {
            faults.extend(told(more.0));
            AppConfigs::new()
        });
        faults.extend(streamalert_egress::world::app_faults(&apps));
        let scheduled_queries = match files.get(scheduled_queries::FILE) {
            None => ScheduledQueries::default(),
            Some(text) => {
                let sql = |name: &str| {
                    let file = files.get(&format!("{}{name}", scheduled_queries::FOLDER));
                    file.cloned().ok_or_else(|| "there is no such file".to_owned())
                };
                ScheduledQueries::read(scheduled_queries::FILE, text, sql).unwrap_or_else(|more| {
                    faults.extend(told(more.0));
                    ScheduledQueries::default()
                })
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let threat_intel_config = threat_intel_config.checked("threat_intel.json", &schemas);
        let nobodys = apps::nobodys(&apps, &clusters, apps::FILE, apps::NO_CLASSIFIER);
        let warnings = schemas
            .warnings
            .iter()
            .chain(&clusters.warnings)
            .chain(&nobodys)
            .chain(&threat_intel_config.warnings)
            .map(ToString::to_string)
            .collect();
        let threat_intel = ThreatIntel::new(&threat_intel_config, &clusters).map(Arc::new);
        let base = Base { schemas: Arc::new(schemas), clusters: Arc::new(clusters) };
        let outputs = Arc::new(outputs);
        Ok(Conf {
            base,
            outputs,
            apps,
            scheduled_queries,
            rule_staging,
            tables,
            table_texts,
            threat_intel,
            threat_intel_config,
            warnings,
        })
    }

    /// The tables, ready to be asked.
    pub fn lookup_tables(&self, services: &dyn TableServices) -> Result<Tables, Vec<String>> {
        let mut tables = Tables::of(&self.tables, None, Some(services))?;
        for (name, text) in &self.table_texts {
            tables.insert_text(name, text.clone());
        }
        Ok(tables)
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

/// The tables of the set that is live.
#[derive(Default)]
pub struct CurrentTables(arc_swap::ArcSwap<Tables>);

impl CurrentTables {
    pub fn set(&self, tables: Arc<Tables>) {
        self.0.store(tables);
    }

    pub fn now(&self) -> Arc<Tables> {
        self.0.load_full()
    }
}

impl LookupTables for CurrentTables {
    fn snapshot(&self) -> Arc<dyn LookupSnapshot> {
        self.0.load().snapshot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_pipeline::config::lookup_tables::KeyedConfig;
    use streamalert_pipeline::lookup::{Looked, TableContent, TableItems};

    /// Where there is nothing.
    struct Elsewhere;

    impl TableServices for Elsewhere {
        fn object(&self, _: &str, _: &str) -> Box<dyn TableContent> {
            unreachable!("no table of this test lies in S3")
        }
        fn items(&self, _: &KeyedConfig) -> Box<dyn TableItems> {
            unreachable!("no table of this test lies in DynamoDB")
        }
    }

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
            ("lookup_tables.json", r#"{"tables": {"t": {"driver": "file", "path": "a.csv"}}}"#),
            ("threat_intel.json", r#"{"enabled": true}"#),
        ]));
        let Err(faults) = faults else { panic!("it was taken") };
        assert_eq!(faults.len(), 6, "{faults:#?}");
        let named = [
            "schemas/a.json",
            "clusters/b.json",
            "lookup_tables/c.json",
            "outputs.json",
            "lookup_tables.json",
            "threat_intel.json",
        ];
        for file in named {
            assert!(faults.iter().any(|fault| fault.starts_with(file)), "{file}: {faults:#?}");
        }
        assert!(Conf::check(&ConfFiles::new()).is_err(), "nothing could be classified");
    }

    #[test]
    fn tables_are_read_when_they_are_asked() {
        let conf = Conf::check(&files(&[
            ("schemas/a.json", r#"{"a": {"parser": "json", "schema": {"x": "string"}}}"#),
            ("lookup_tables/vips.json", r#"{"ann": {"desk": 4}, "bob": "x"}"#),
            ("lookup_tables.json", r#"{"tables": {}}"#),
        ]));
        let Ok(conf) = conf else { panic!("it was refused") };
        assert!(conf.base.schemas.knows("a"));
        let current = CurrentTables::default();
        let get = |table: &str, key: &str| current.snapshot().get(table, key, &mut Vec::new).unwrap();
        assert_eq!(get("vips", "ann"), Looked::NoTable);
        current.set(Arc::new(conf.lookup_tables(&Elsewhere).unwrap()));
        assert!(current.now().status().iter().all(|table| table.loaded.is_none()));
        assert_eq!(get("vips", "ann"), Looked::Found(r#"{"desk":4}"#.into()));
        assert_eq!(get("vips", "cid"), Looked::NoKey);
        assert_eq!(get("other", "ann"), Looked::NoTable);
    }
}
