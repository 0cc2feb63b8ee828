//! The configuration as files: `schemas/*.json`, `clusters/*.json`, `lookup_tables/*.json`, `outputs.json`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamalert_pipeline::config::{
    AppConfigs, ArchiveConfig, Clusters, ConfigFault, ConfigFaults, Outputs, RuleStaging, ScheduledQueries, Schemas,
    TableConfigs, ThreatIntelConfig, apps, archive, scheduled_queries, staging,
};

/// Table → key → value.
pub type LookupTables = BTreeMap<String, Map<String, Value>>;

#[derive(Debug)]
pub struct Config {
    pub folder: PathBuf,
    pub schemas: Schemas,
    pub clusters: Clusters,
    pub lookup_tables: LookupTables,
    /// Lookup tables that lie elsewhere.
    pub tables: TableConfigs,
    pub threat_intel: ThreatIntelConfig,
    pub outputs: Outputs,
    pub apps: AppConfigs,
    pub scheduled_queries: ScheduledQueries,
    /// What is kept for searching.
    pub archive: ArchiveConfig,
    /// None where there is no such file: nothing goes on trial by itself.
    pub rule_staging: Option<RuleStaging>,
}

impl Config {
    /// Reads all of it, and names every fault there is. `schemas` stands in for the folder of that name.
    pub fn read(folder: &Path, schemas: Option<&Path>) -> Result<Config, ConfigFaults> {
        if !folder.is_dir() {
            let message = "there is no such folder; say where it is with --config".to_owned();
            return Err(ConfigFaults(vec![fault(folder, message)]));
        }
        let mut faults = Vec::new();
        let schema_folder = schemas.map_or_else(|| folder.join("schemas"), Path::to_path_buf);
        let schema_files = texts(&schema_folder, &mut faults);
        if schema_files.is_empty() && faults.is_empty() {
            faults.push(fault(&schema_folder, "no schema files (*.json) here, so nothing can be classified".into()));
        }
        let cluster_files = texts(&folder.join("clusters"), &mut faults);
        let lookup_tables = lookup_tables(&folder.join("lookup_tables"), &mut faults);
        let outputs = outputs(folder, &mut faults);
        let rule_staging = rule_staging(folder, &outputs, &mut faults);
        let schemas = Schemas::read(&schema_files).unwrap_or_else(|more| {
            faults.extend(more.0);
            Schemas::default()
        });
        let clusters = Clusters::read(&cluster_files, &schemas).unwrap_or_else(|more| {
            faults.extend(more.0);
            Clusters::default()
        });
        let archive = archive_config(folder, &schemas, &mut faults);
        let named: Vec<&str> = lookup_tables.keys().map(String::as_str).collect();
        let tables = optional(&folder.join("lookup_tables.json"), &mut faults, |file, text| {
            TableConfigs::read(file, text, &named)
        });
        let threat_intel = optional(&folder.join("threat_intel.json"), &mut faults, |file, text| {
            Ok(ThreatIntelConfig::read(file, text)?.checked(file, &schemas))
        });
        let apps = optional(&folder.join(apps::FILE), &mut faults, apps::read);
        let scheduled_queries = optional(&folder.join(scheduled_queries::FILE), &mut faults, |file, text| {
            ScheduledQueries::read(file, text, |name| {
                std::fs::read_to_string(folder.join(scheduled_queries::FOLDER).join(name))
                    .map_err(|error| format!("cannot be read: {error}"))
            })
        });
        if faults.is_empty() {
            let folder = folder.to_path_buf();
            Ok(Config {
                apps,
                scheduled_queries,
                folder,
                schemas,
                clusters,
                lookup_tables,
                tables,
                threat_intel,
                outputs,
                archive,
                rule_staging,
            })
        } else {
            Err(ConfigFaults(faults))
        }
    }

    /// Worth saying, but no reason to stop.
    pub fn warnings(&self) -> impl Iterator<Item = &ConfigFault> {
        self.schemas.warnings.iter().chain(&self.clusters.warnings).chain(&self.threat_intel.warnings)
    }
}

fn fault(path: &Path, message: String) -> ConfigFault {
    ConfigFault { file: path.display().to_string(), path: String::new(), message }
}

/// Name and text of the JSON files in a folder, sorted. A folder that is not there has none.
fn texts(folder: &Path, faults: &mut Vec<ConfigFault>) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            faults.push(fault(folder, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => faults.push(fault(&path, format!("cannot be read: {error}"))),
        }
    }
    texts
}

/// Where the outputs of a configuration stand.
pub fn outputs_file(folder: &Path) -> PathBuf {
    folder.join("outputs.json")
}

/// No file is no outputs.
fn outputs(folder: &Path, faults: &mut Vec<ConfigFault>) -> Outputs {
    let path = outputs_file(folder);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Outputs::default(),
        Err(error) => {
            faults.push(fault(&path, format!("cannot be read: {error}")));
            return Outputs::default();
        }
    };
    Outputs::read(&path.display().to_string(), &text).unwrap_or_else(|more| {
        faults.extend(more.0);
        Outputs::default()
    })
}

fn rule_staging(folder: &Path, outputs: &Outputs, faults: &mut Vec<ConfigFault>) -> Option<RuleStaging> {
    let path = folder.join(staging::FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            faults.push(fault(&path, format!("cannot be read: {error}")));
            return None;
        }
    };
    let shown = path.display().to_string();
    match RuleStaging::read(&shown, &text) {
        Ok(read) => {
            faults.extend(read.faults(&shown, outputs));
            Some(read)
        }
        Err(more) => {
            faults.extend(more.0);
            None
        }
    }
}

fn archive_config(folder: &Path, schemas: &Schemas, faults: &mut Vec<ConfigFault>) -> ArchiveConfig {
    let path = folder.join(archive::FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return ArchiveConfig::default(),
        Err(error) => {
            faults.push(fault(&path, format!("cannot be read: {error}")));
            return ArchiveConfig::default();
        }
    };
    ArchiveConfig::read(&path.display().to_string(), &text, schemas).unwrap_or_else(|more| {
        faults.extend(more.0);
        ArchiveConfig::default()
    })
}

/// A file that need not be there.
fn optional<T: Default>(
    path: &Path,
    faults: &mut Vec<ConfigFault>,
    read: impl FnOnce(&str, &str) -> Result<T, ConfigFaults>,
) -> T {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return T::default(),
        Err(error) => {
            faults.push(fault(path, format!("cannot be read: {error}")));
            return T::default();
        }
    };
    read(&path.display().to_string(), &text).unwrap_or_else(|more| {
        faults.extend(more.0);
        T::default()
    })
}

fn lookup_tables(folder: &Path, faults: &mut Vec<ConfigFault>) -> LookupTables {
    let mut tables = LookupTables::new();
    for (file, text) in texts(folder, faults) {
        let stem = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match serde_json::from_str(&text) {
            Ok(table) => {
                tables.insert(stem, table);
            }
            Err(error) => faults.push(fault(Path::new(&file), format!("not a JSON object of key and value: {error}"))),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn every_fault_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["schemas", "clusters", "lookup_tables"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("broken.json"), "[").unwrap();
            fs::write(folder.path().join(name).join("README.md"), "not ours").unwrap();
        }
        fs::write(folder.path().join("outputs.json"), "[").unwrap();
        let faults = Config::read(folder.path(), None).unwrap_err();
        assert_eq!(faults.0.len(), 4, "{faults}");
    }

    #[test]
    fn schemas_may_stand_elsewhere_and_tables_are_named_by_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("a.json"), r#"{"a": {"parser": "json", "schema": {"x": "string"}}}"#).unwrap();
        fs::create_dir(folder.path().join("lookup_tables")).unwrap();
        fs::write(folder.path().join("lookup_tables/vips.json"), r#"{"ann": {"desk": 4}}"#).unwrap();
        let config = Config::read(folder.path(), Some(elsewhere.path())).unwrap();
        assert!(config.schemas.knows("a"));
        assert_eq!(config.lookup_tables["vips"]["ann"]["desk"], 4);
        assert!(Config::read(folder.path(), None).is_err(), "no schemas in the folder itself");
        assert!(Config::read(&folder.path().join("nowhere"), None).is_err());
    }
}
