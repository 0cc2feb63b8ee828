//! Runs inputs through the real classifier and the real components, outside of any pipeline.

use super::cases::KnownIoc;
use crate::{Failure, lookup, rules};
use anyhow::{Context, anyhow};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use streamalert_intake::{Piece, Pieces};
use streamalert_intel::Enricher;
use streamalert_local::clock;
use streamalert_local::config_folder::{LookupTables, outputs_file};
use streamalert_local::run::DataFolder;
use streamalert_pipeline::alert_processor::publication::named;
use streamalert_pipeline::alert_processor::publishers;
use streamalert_pipeline::classifier::{Classifier, Framing, Worker};
use streamalert_pipeline::config::{Clusters, Outputs, Schemas};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{LogBatch, Source};
use streamalert_pipeline::plugin::{ParserPlugin, PluginSet, RuleInfo, RulePlugin};
use streamalert_pipeline::rules_engine::{Detected, Rules};
use streamalert_pipeline::threat_intel::{Found, Ioc, Kind, Network, ThreatIntel, canonical};
use streamalert_plugins::{
    Host, HostConfig, LoadCheck, LookupSnapshot, LookupTables as Tables, MemoryTables, ParserComponent, Plugin,
    RuleComponent,
};

pub struct Trial {
    pub schemas: Arc<Schemas>,
    pub clusters: Arc<Clusters>,
    classifier: Arc<Classifier>,
    worker: Worker,
    tables: Arc<ChangingTables>,
    own_tables: Arc<dyn Tables>,
    pub components: Vec<Arc<RuleComponent>>,
    pub parsers: Vec<Arc<ParserComponent>>,
    /// Publishers and outputs; what else is loaded is above.
    pub set: PluginSet,
    pub outputs: Outputs,
    /// The configuration says where alerts go.
    pub has_outputs: bool,
    threat_intel: Option<Arc<ThreatIntel>>,
    rules: Rules,
}

/// What an input came to at the door and in the classifier.
#[derive(Default)]
pub struct Sorted {
    pub batches: Vec<LogBatch>,
    pub dead: Vec<DeadLetter>,
    /// Inputs that hold no record and need none.
    pub skipped: u64,
}

impl Trial {
    /// Every component must be one that the host takes; all reasons why not are told at once.
    pub fn open(folder: &Path, components: &[PathBuf]) -> Result<Trial, Failure> {
        let config = rules::config(folder, None)?;
        let own_tables = lookup::open(&config)?;
        let has_outputs = outputs_file(folder).is_file();
        let tables = Arc::new(ChangingTables(RwLock::new(own_tables.clone())));
        let host = Host::new(HostConfig { cache_dir: cache(), lookup_tables: tables.clone(), ..HostConfig::default() })
            .context("start the plugin host")?;
        let threat_intel = ThreatIntel::new(&config.threat_intel, &config.clusters).map(Arc::new);
        let (schemas, clusters) = (Arc::new(config.schemas), Arc::new(config.clusters));
        let Loaded { components, parsers, set } = LoadCheck::with(&schemas, |check| load(&host, components, check))?;
        let plugins = components.iter().map(|component| component.clone() as Arc<dyn RulePlugin>).collect();
        let reading: Vec<Arc<dyn ParserPlugin>> =
            parsers.iter().map(|parser| parser.clone() as Arc<dyn ParserPlugin>).collect();
        let (classifier, faults) = Classifier::with_parsers(&schemas, clusters.clone(), &reading);
        if !faults.is_empty() {
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            return Err(Failure::Usage(anyhow!("{}", told.join("\n"))));
        }
        // With the parsers' log types, which rules may be about.
        let schemas = classifier.schemas().clone();
        let classifier = Arc::new(classifier);
        Ok(Trial {
            worker: classifier.worker(),
            classifier,
            rules: Rules::new(PluginSet { plugins, ..PluginSet::default() }, &schemas),
            schemas,
            clusters,
            tables,
            own_tables,
            components,
            parsers,
            set,
            outputs: config.outputs,
            has_outputs,
            threat_intel,
        })
    }

    /// Takes what `reader` gives as the one-machine run does: gzip is recognised, documents and lines are found.
    pub fn sort(&mut self, source: Source, reader: impl Read) -> std::io::Result<Sorted> {
        let mut sorted = Sorted::default();
        let classifier = self.classifier.clone();
        let pieces = Pieces::new(Arc::new(source), reader, Framing::default());
        let mut pieces = pieces.framed_by(move |source, head| classifier.framing(source, head));
        while let Some(piece) = pieces.read_piece()? {
            match piece {
                Piece::Dead(letter) => sorted.dead.push(*letter),
                Piece::Skip(_) => sorted.skipped += 1,
                Piece::Payload(payload) => {
                    let classified = self.worker.classify(payload);
                    sorted.batches.push(classified.batch);
                    sorted.dead.extend(classified.dead);
                    sorted.skipped += classified.skipped.total();
                }
            }
        }
        Ok(sorted)
    }

    pub fn judge(&self, batch: &LogBatch) -> Detected {
        self.rules.judge(batch, &clock::now())
    }

    /// Lets the rules see these lookup tables; `None`: those of the configuration.
    pub fn set_tables(&self, tables: Option<&LookupTables>) {
        let tables = tables.map_or_else(|| self.own_tables.clone(), |tables| Arc::new(memory(tables)));
        *self.tables.0.write().unwrap_or_else(PoisonError::into_inner) = tables;
    }

    /// Attaches what a run here knows of values to their records.
    pub fn look_up(&self, batches: &mut [LogBatch], data: &DataFolder) -> Result<(), Failure> {
        let Some(intel) = &self.threat_intel else { return Ok(()) };
        let enricher = Enricher::new(intel.clone(), Arc::new(data.iocs()?), Duration::from_secs(60));
        for batch in batches {
            enricher.enrich(batch, clock::millis()).map_err(anyhow::Error::from)?;
        }
        Ok(())
    }

    /// Attaches indicators to the records that have them. Says whether records are looked through at all.
    pub fn look(&self, batch: &mut LogBatch, known: &[KnownIoc]) -> bool {
        let Some(intel) = &self.threat_intel else { return false };
        let candidates = intel.candidates(batch);
        let mut found = Found::default();
        for value in &candidates.values {
            let address = Network::parse(value);
            let iocs = known.iter().filter_map(|known| {
                let kept = canonical(Kind::of(&known.ioc_type), &known.ioc_value)?;
                let range = address.zip(Network::parse(&kept)).is_some_and(|(address, range)| range.contains(&address));
                (kept == *value || range).then(|| Ioc {
                    value: kept,
                    ioc_type: known.ioc_type.clone(),
                    sub_type: known.sub_type.clone(),
                    source: known.source.clone(),
                    ..Ioc::default()
                })
            });
            found.insert(value.clone(), iocs.collect());
        }
        intel.attach(batch, &candidates, &found);
        true
    }

    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.components.iter().flat_map(|component| component.rules())
    }

    /// Outputs and publishers that rules name and that are not there, in words.
    pub fn unknown(&self) -> Vec<String> {
        let mut told = Vec::new();
        for rule in self.rules() {
            let outputs = rule.options.outputs.iter().filter_map(|output| self.outputs.unknown(output));
            told.extend(outputs.map(|message| format!("rule {}: {message}", rule.name)));
            for name in named(&rule.options.publishers) {
                let theirs = self.set.publishers.iter().flat_map(|plugin| plugin.publishers());
                if publishers::native(&name).is_none() && theirs.clone().all(|publisher| publisher.name != name) {
                    told.push(format!("rule {}: there is no publisher {name}, native or in a component", rule.name));
                }
            }
        }
        told
    }

    /// A parser by its name.
    pub fn parser(&self, name: &str) -> Option<&Arc<ParserComponent>> {
        self.parsers.iter().find(|parser| parser.info().name == name)
    }

    /// The component a rule is in, and its number there.
    pub fn find(&self, rule: &str) -> Option<(&RuleComponent, usize)> {
        self.components
            .iter()
            .find_map(|component| Some((&**component, component.rules().iter().position(|info| info.name == rule)?)))
    }

    /// Which rules may have been meant by a name that no rule has.
    pub fn rules_like(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.rules().map(|rule| rule.name.as_str()).collect();
        let count = names.len();
        names.sort_by_key(|known| (distance(known, name), *known));
        names.truncate(RULES_NAMED_MAX);
        match count > names.len() {
            true => format!("there are {count}, nearest are {}", names.join(", ")),
            false => format!("there are {}", names.join(", ")),
        }
    }
}

/// Rules that are named when one is not found.
const RULES_NAMED_MAX: usize = 6;

/// How many letters must be put in, taken out or changed to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            let best = change.min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

struct Loaded {
    components: Vec<Arc<RuleComponent>>,
    parsers: Vec<Arc<ParserComponent>>,
    set: PluginSet,
}

fn load(host: &Host, files: &[PathBuf], check: &LoadCheck<'_>) -> Result<Loaded, Failure> {
    let mut tried = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| Failure::Usage(anyhow!("read {}: {error}", file.display())))?;
        let loaded = host.load_plugin(&file.display().to_string(), &bytes, check);
        tried.push((file, bytes, loaded));
    }
    // Rules may be about what a parser beside them brings.
    let brought = tried.iter().filter_map(|(_, _, loaded)| match loaded {
        Ok(Plugin::Parser(parser)) => Some(parser.schemas().iter().map(|log_type| log_type.name.clone())),
        _ => None,
    });
    let parser_types: Vec<String> = brought.flatten().collect();
    let check = LoadCheck { parser_types: &parser_types, ..*check };
    let mut all = Loaded { components: Vec::new(), parsers: Vec::new(), set: PluginSet::default() };
    let mut refused = Vec::new();
    for (file, bytes, mut loaded) in tried {
        if loaded.is_err() && !parser_types.is_empty() {
            loaded = host.load_plugin(&file.display().to_string(), &bytes, &check);
        }
        match loaded {
            Err(error) => refused.push(error.to_string()),
            Ok(Plugin::Rules(component)) => {
                for rule in component.rules() {
                    let mut others = all.components.iter();
                    let other = others.find(|other| other.rules().iter().any(|theirs| theirs.name == rule.name));
                    if let Some(other) = other {
                        let (rule, file) = (&rule.name, file.display());
                        refused.push(format!("{file}: {} has a rule {rule} already; rename one", other.name()));
                    }
                }
                all.components.push(component);
            }
            Ok(Plugin::Parser(parser)) => {
                let name = &parser.info().name;
                if let Some(other) = all.parsers.iter().find(|other| other.info().name == *name) {
                    let file = file.display();
                    refused.push(format!("{file}: {} is a parser {name} already; rename one", other.name()));
                }
                all.parsers.push(parser);
            }
            Ok(Plugin::Publishers(publishers)) => all.set.publishers.push(publishers),
            Ok(Plugin::Output(output)) => all.set.outputs.push(output),
            Ok(Plugin::Apps(apps)) => all.set.apps.push(apps),
        }
    }
    if refused.is_empty() { Ok(all) } else { Err(Failure::Usage(anyhow!("{}", refused.join("\n")))) }
}

/// Compiled code is kept for the next time; without a home it is compiled each time.
pub fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(base.join("streamalert").join("compiled"))
}

fn memory(tables: &LookupTables) -> MemoryTables {
    let mut memory = MemoryTables::default();
    for (name, entries) in tables {
        memory.insert(name, entries.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    memory
}

/// Tables that are others from case to case.
struct ChangingTables(RwLock<Arc<dyn Tables>>);

impl Tables for ChangingTables {
    fn snapshot(&self) -> Arc<dyn LookupSnapshot> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).snapshot()
    }
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn letters_between_names() {
        for (a, b, expected) in [("root", "root", 0), ("root", "rot", 1), ("", "abc", 3), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
