//! The plugins folder as the one-machine run wants it: components loaded, and what happened in words.

use crate::commands::output;
use crate::{Failure, lookup};
use anyhow::{Context, anyhow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_egress::world;
use streamalert_local::config_folder::Config;
use streamalert_local::reload::{Loaded, PluginSource};
use streamalert_local::run::{DataFolder, Plugins};
use streamalert_local::secrets::SecretFile;
use streamalert_pipeline::backend::SecretStore;
use streamalert_pipeline::config::output::{AWS, MACHINE, NATIVE, Place};
use streamalert_pipeline::config::{Outputs, RuleStaging, Schemas};
use streamalert_pipeline::plugin::{AppPlugin, PluginSet, RulePlugin};
use streamalert_plugins::loader::{missing_names, unknown_rules};
use streamalert_plugins::{Host, HostConfig, LoadCheck, Plugin, PluginFolder};

struct Folder {
    path: PathBuf,
    host: Host,
    plugins: PluginFolder,
    /// All log types, and the sources before their colons.
    logs: Vec<String>,
    datatypes: Vec<String>,
    outputs: Outputs,
    /// Where rules go on trial.
    staging: Option<RuleStaging>,
    /// Names in it that no rule has, as they were told.
    unknown: Vec<String>,
    /// With them, configured outputs are checked whenever one is loaded.
    secrets: Option<Arc<dyn SecretStore>>,
    /// What was live at the last good look.
    set: PluginSet,
    missing: bool,
    /// Something was loaded before.
    looked: bool,
}

/// Opens the folder. Compiled code is kept in `cache`.
pub fn open(folder: &Path, cache: &Path, config: &Config) -> Result<Plugins, Failure> {
    open_with(folder, cache, config, None)
}

/// The same, and outputs that are not ready are told of.
pub fn open_with(
    folder: &Path,
    cache: &Path,
    config: &Config,
    secrets: Option<Arc<dyn SecretStore>>,
) -> Result<Plugins, Failure> {
    let tables = lookup::open(config)?;
    let host = Host::new(HostConfig {
        cache_dir: Some(cache.to_path_buf()),
        lookup_tables: tables.clone(),
        ..HostConfig::default()
    })
    .context("start the plugin host")?;
    let source = Folder {
        path: folder.to_path_buf(),
        plugins: PluginFolder::new(host.clone()),
        host,
        logs: logs(&config.schemas),
        datatypes: config.schemas.datatypes(),
        outputs: config.outputs.clone(),
        // Who only looks at components, or at some of them, has no use for it.
        staging: secrets.as_ref().and(config.rule_staging.clone()),
        unknown: Vec::new(),
        secrets,
        set: PluginSet::default(),
        missing: false,
        looked: false,
    };
    Ok(Plugins { folder: folder.to_path_buf(), source: Box::new(source), metrics: Arc::new(move || tables.metrics()) })
}

/// Credentials of outputs: those in the file, and over them those in the environment.
pub fn secrets(file: Option<&Path>, data: &DataFolder) -> Arc<dyn SecretStore> {
    let file = file.map_or_else(|| data.secrets(), Path::to_path_buf);
    Arc::new(SecretFile::new(file, std::env::vars()))
}

/// Reads the configuration; every fault is told, every warning too.
pub fn config(folder: &Path, schemas: Option<&Path>) -> Result<Config, Failure> {
    let config = Config::read(folder, schemas).map_err(|faults| Failure::Usage(anyhow!("{faults}")))?;
    let mut faults = world::faults(&config.outputs);
    faults.extend(world::app_faults(&config.apps));
    if !faults.is_empty() {
        return Err(Failure::Usage(anyhow!("{}", faults.join("\n"))));
    }
    config.warnings().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(config)
}

/// The same, for whatever delivers alerts from this machine.
pub fn config_here(folder: &Path, schemas: Option<&Path>) -> Result<Config, Failure> {
    let mut config = config(folder, schemas)?;
    config.outputs.place = Place::Machine;
    Ok(config)
}

fn logs(schemas: &Schemas) -> Vec<String> {
    schemas.iter().map(|log_type| log_type.name.clone()).collect()
}

impl PluginSource for Folder {
    fn load(&mut self) -> Loaded {
        let knows = |name: &str| {
            self.logs.iter().any(|log| log == name || log.split_once(':').is_some_and(|(source, _)| source == name))
        };
        let check = LoadCheck {
            knows_log: &knows,
            log_types: &self.logs,
            datatypes: Some(&self.datatypes),
            native_services: &NATIVE,
            ..LoadCheck::any_log()
        };
        let report = match self.plugins.load(&self.path, &check) {
            Ok(report) => report,
            Err(error) => {
                let set = self.set.clone();
                // Once, and again when it was there in between.
                let notices = match std::mem::replace(&mut self.missing, true) {
                    true => Vec::new(),
                    false => vec![format!("warning: look into the plugins folder {}: {error}", self.path.display())],
                };
                return Loaded { set, notices };
            }
        };
        self.missing = false;
        let mut notices = Vec::new();
        for file in &report.loaded {
            let rules = report.set.plugins.iter().find(|plugin| plugin.name() == file);
            let parser = report.set.parsers.iter().find(|parser| parser.name() == file);
            let rules = rules.map(|plugin| (format!("{} rules", plugin.rules().len()), plugin.digest()));
            let parser = parser.map(|plugin| (format!("parser {}", plugin.info().name), plugin.digest()));
            let publishers = report.set.publishers.iter().find(|plugin| plugin.name() == file);
            let output = report.set.outputs.iter().find(|plugin| plugin.name() == file);
            let publishers =
                publishers.map(|plugin| (format!("{} publishers", plugin.publishers().len()), plugin.digest()));
            let output = output.map(|plugin| (format!("output {}", plugin.info().service), plugin.digest()));
            let apps = report.set.apps.iter().find(|plugin| plugin.name() == file);
            let names = |plugin: &dyn AppPlugin| {
                plugin.apps().iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            let apps = apps.map(|plugin| (format!("apps {}", names(&**plugin)), plugin.digest()));
            let (what, digest) = rules.or(parser).or(publishers).or(output).or(apps).unwrap_or_default();
            notices.push(format!("live: {file} ({what}, {})", &digest[..digest.len().min(12)]));
        }
        notices.extend(report.removed.iter().map(|file| format!("gone: {file}")));
        for refusal in report.refused.iter().filter(|refusal| refusal.new) {
            let kept = match &refusal.serving {
                Some(digest) => format!("\n  the version before it stays live ({})", &digest[..digest.len().min(12)]),
                None => String::new(),
            };
            notices.push(format!("refused: {}{kept}", refusal.error));
        }
        let new = report.set.plugins.iter().filter(|plugin| report.loaded.iter().any(|file| file == plugin.name()));
        let missing = missing_names(new.flat_map(|plugin| plugin.rules()), &report.set, &self.outputs);
        notices.extend(missing.into_iter().map(|missing| format!("warning: {missing}")));
        let unknown = self.staging.as_ref().map(|policy| {
            let rules = report.set.plugins.iter().flat_map(|plugin| plugin.rules());
            unknown_rules(policy, rules.map(|rule| &rule.name))
        });
        let unknown = unknown.unwrap_or_default();
        notices.extend(unknown.iter().filter(|it| !self.unknown.contains(it)).map(|it| format!("warning: {it}")));
        self.unknown = unknown;
        self.look_at_outputs(&report.set, &report.loaded, &mut notices);
        self.set = report.set.clone();
        Loaded { set: report.set, notices }
    }

    fn load_version(&mut self, name: &str, bytes: &[u8]) -> Result<Arc<dyn RulePlugin>, String> {
        // It was live: whether its log types are still known is no reason to leave it out.
        match self.host.load_plugin(name, bytes, &LoadCheck::any_log()) {
            Ok(Plugin::Rules(rules)) => Ok(rules),
            Ok(_) => Err(format!("{name} has no rules")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Folder {
    /// Configured outputs that could not deliver.
    fn look_at_outputs(&mut self, set: &PluginSet, loaded: &[String], notices: &mut Vec<String>) {
        let Some(secrets) = &self.secrets else { return };
        for (name, config) in &self.outputs.configured {
            let service = name.split_once(':').map_or(name.as_str(), |(service, _)| service);
            let plugin = set.outputs.iter().find(|plugin| plugin.info().service == service);
            let problems = match plugin {
                // Told once, by the first look.
                None if self.looked || MACHINE.contains(&service) => continue,
                None if AWS.contains(&service) => {
                    vec!["it is delivered where StreamAlert runs on AWS, and its alerts are given up here".into()]
                }
                None => vec![format!("no component in the plugins folder delivers to {service}")],
                Some(plugin) if !loaded.iter().any(|file| file == plugin.name()) => continue,
                Some(plugin) => match secrets.get(name) {
                    Ok(secrets) => output::problems(name, &**plugin, config, &secrets),
                    Err(error) => vec![error.to_string()],
                },
            };
            if !problems.is_empty() {
                notices.push(format!("warning: output {name} is not ready: {}", problems.join("; ")));
            }
        }
        self.looked = true;
    }
}
