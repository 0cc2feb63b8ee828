//! From a folder of `.wasm` files to the set that is live. Remembers what is live, so that a bad upload changes nothing.

use crate::component::{Host, LoadCheck, LoadError, Plugin, Problem, hex};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use streamalert_pipeline::plugin::{OutputPlugin, ParserPlugin, PluginSet, PublisherPlugin, RulePlugin};

/// A folder that is loaded again and again.
pub struct PluginFolder {
    host: Host,
    live: Live,
    /// What each file came to when it was last read, so that a file that stays as it is is compiled and reported once.
    seen: BTreeMap<String, Seen>,
    /// Refusals that were reported already.
    reported: BTreeMap<String, Arc<LoadError>>,
    /// Log types of the parsers that rules were last checked with.
    parser_types: Vec<String>,
}

/// By file name.
type Live = BTreeMap<String, Plugin>;

#[derive(Clone)]
struct Seen {
    digest: String,
    outcome: Result<Plugin, Arc<LoadError>>,
}

/// What one look at the folder came to. Names are file names, in order.
pub struct LoadReport {
    pub set: PluginSet,
    /// New or changed, and now live.
    pub loaded: Vec<String>,
    pub refused: Vec<Refusal>,
    /// Live before and still, as the file is.
    pub kept: Vec<String>,
    /// No longer there, and no longer live.
    pub removed: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Refusal {
    pub file: String,
    pub error: Arc<LoadError>,
    /// Not reported by an earlier look.
    pub new: bool,
    /// Digest of the last good version, which stays live.
    pub serving: Option<String>,
}

impl LoadReport {
    /// Whether the live set differs from that of the look before.
    pub fn changed(&self) -> bool {
        !(self.loaded.is_empty() && self.removed.is_empty())
    }
}

impl PluginFolder {
    pub fn new(host: Host) -> Self {
        PluginFolder {
            host,
            live: Live::new(),
            seen: BTreeMap::new(),
            reported: BTreeMap::new(),
            parser_types: Vec::new(),
        }
    }

    /// Looks at the folder. An error means that the folder itself cannot be read; then all stays as it is.
    pub fn load(&mut self, folder: &Path, check: &LoadCheck) -> io::Result<LoadReport> {
        let names = names(folder)?;
        let seen = self.look_at_all(folder, &names, check);
        let before = std::mem::replace(&mut self.seen, seen);
        let parser_types = self.parser_types();
        if parser_types != self.parser_types {
            let gone = self.parser_types.iter().any(|log_type| !parser_types.contains(log_type));
            self.parser_types = parser_types;
            self.seen.retain(|name, seen| match &seen.outcome {
                // It may have been a rule over a log type that is known by now.
                Err(_) => false,
                Ok(Plugin::Parser(_) | Plugin::Publishers(_) | Plugin::Output(_)) => true,
                // Who was taken stays; a newcomer may be about a log type that has just gone.
                Ok(Plugin::Rules(_)) => !gone || before.get(name).is_some_and(|before| before.digest == seen.digest),
            });
            self.seen = self.look_at_all(folder, &names, check);
        }
        Ok(self.settle())
    }

    /// The log types that parsers bring: those seen, and those that stay live though their file went bad.
    fn parser_types(&self) -> Vec<String> {
        let seen = self.seen.values().filter_map(|seen| seen.outcome.as_ref().ok());
        let live = self.live.iter().filter(|(name, _)| self.seen.contains_key(*name)).map(|(_, plugin)| plugin);
        let parsers = seen.chain(live).filter_map(|plugin| match plugin {
            Plugin::Parser(parser) => Some(parser),
            _ => None,
        });
        let types: BTreeSet<String> =
            parsers.flat_map(|parser| parser.schemas().iter().map(|log_type| log_type.name.clone())).collect();
        types.into_iter().collect()
    }

    fn look_at_all(&self, folder: &Path, names: &BTreeSet<String>, check: &LoadCheck) -> BTreeMap<String, Seen> {
        let check = LoadCheck { parser_types: &self.parser_types, ..*check };
        let mut seen = BTreeMap::new();
        for name in names {
            match self.look(folder, name, &check) {
                Ok(found) => {
                    seen.insert(name.clone(), found);
                }
                // It went between the listing and the reading.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let problem = Problem::component(format!("cannot be read: {error}"), "mend its permissions");
                    let error = Arc::new(LoadError { file: name.clone(), problems: vec![problem] });
                    // An empty digest is none: the file is read again at the next look.
                    seen.insert(name.clone(), Seen { digest: String::new(), outcome: Err(error) });
                }
            }
        }
        seen
    }

    fn look(&self, folder: &Path, name: &str, check: &LoadCheck) -> io::Result<Seen> {
        let path = folder.join(name);
        let limit = self.host.limits().component_bytes as u64;
        let size = std::fs::metadata(&path)?.len();
        if size > limit {
            let problem = Problem::component(format!("has {size} bytes"), format!("the limit is {limit}"));
            let error = Arc::new(LoadError { file: name.into(), problems: vec![problem] });
            return Ok(Seen { digest: String::new(), outcome: Err(error) });
        }
        let bytes = std::fs::read(&path)?;
        let digest = hex(&Sha256::digest(&bytes));
        match self.seen.get(name) {
            Some(seen) if seen.digest == digest => Ok(seen.clone()),
            _ => Ok(Seen { outcome: self.host.load_plugin(name, &bytes, check).map_err(Arc::new), digest }),
        }
    }

    /// Decides between what is live and what was seen.
    fn settle(&mut self) -> LoadReport {
        let old: Live = self
            .live
            .iter()
            .filter(|(name, _)| self.seen.contains_key(*name))
            .map(|(n, c)| (n.clone(), c.clone()))
            .collect();
        let mut refused: BTreeMap<String, Arc<LoadError>> = BTreeMap::new();
        for (name, seen) in &self.seen {
            if let Err(error) = &seen.outcome {
                refused.insert(name.clone(), error.clone());
            }
        }
        // A refusal keeps an old version live, whose names may clash with another newcomer: so decide again until nobody new
        // is refused. Each round refuses someone or is the last.
        let live = loop {
            let next: Live = self
                .seen
                .iter()
                .filter_map(|(name, seen)| match (&seen.outcome, refused.contains_key(name)) {
                    (Ok(component), false) => Some((name.clone(), component.clone())),
                    _ => old.get(name).map(|component| (name.clone(), component.clone())),
                })
                .collect();
            let clashes = clashes(&next, &old);
            if clashes.is_empty() {
                break next;
            }
            refused.extend(clashes);
        };

        let is_same = |a: &Plugin, b: Option<&Plugin>| b.is_some_and(|b| a.is(b));
        let (kept, loaded): (Vec<_>, Vec<_>) = live.iter().partition(|(name, now)| is_same(now, self.live.get(*name)));
        let names = |pairs: Vec<(&String, &Plugin)>| pairs.into_iter().map(|(name, _)| name.clone()).collect();
        let mut set = PluginSet::default();
        for plugin in live.values() {
            match plugin {
                Plugin::Rules(rules) => set.plugins.push(rules.clone() as Arc<dyn RulePlugin>),
                Plugin::Parser(parser) => set.parsers.push(parser.clone() as Arc<dyn ParserPlugin>),
                Plugin::Publishers(found) => set.publishers.push(found.clone() as Arc<dyn PublisherPlugin>),
                Plugin::Output(output) => set.outputs.push(output.clone() as Arc<dyn OutputPlugin>),
            }
        }
        let report = LoadReport {
            set,
            loaded: names(loaded),
            kept: names(kept.into_iter().filter(|(name, _)| !refused.contains_key(*name)).collect()),
            removed: self.live.keys().filter(|name| !live.contains_key(*name)).cloned().collect(),
            refused: refused
                .iter()
                .map(|(file, error)| Refusal {
                    file: file.clone(),
                    error: error.clone(),
                    new: self.reported.get(file).is_none_or(|before| before != error),
                    serving: live.get(file).map(|component| component.digest().to_owned()),
                })
                .collect(),
        };
        self.live = live;
        self.reported = refused;
        report
    }
}

/// What no two components that are live together may both have: its kind, and its name.
fn claims(plugin: &Plugin) -> Vec<(&'static str, &str)> {
    match plugin {
        Plugin::Rules(rules) => rules.rules().iter().map(|rule| ("rule", rule.name.as_str())).collect(),
        Plugin::Parser(parser) => {
            let types = parser.schemas().iter().map(|log_type| ("log type", log_type.name.as_str()));
            std::iter::once(("parser", parser.info().name.as_str())).chain(types).collect()
        }
        Plugin::Publishers(found) => found.publishers().iter().map(|one| ("publisher", one.name.as_str())).collect(),
        Plugin::Output(output) => vec![("service", output.info().service.as_str())],
    }
}

/// The newcomers that claim what another file has. Who was live keeps it; among newcomers, the first by name.
fn clashes(next: &Live, old: &Live) -> BTreeMap<String, Arc<LoadError>> {
    let is_old = |name: &String, now: &Plugin| old.get(name).is_some_and(|before| before.is(now));
    let mut order: Vec<_> = next.iter().collect();
    // Unchanged files first, then new versions of files that are live, then new files.
    order.sort_by_key(|(name, now)| (!is_old(name, now), !old.contains_key(*name)));
    let mut owner: HashMap<(&str, &str), &str> = HashMap::new();
    let mut refused = BTreeMap::new();
    for (name, plugin) in order {
        let mut problems = Vec::new();
        let claims = claims(plugin);
        for claim @ (kind, what) in &claims {
            if let Some(other) = owner.get(claim) {
                problems.push(Problem {
                    rule: (*kind == "rule").then(|| (*what).to_owned()),
                    field: Some(if *kind == "rule" { "name".into() } else { format!("{kind} {what}") }),
                    message: format!("{other} has a {kind} of this name already"),
                    remedy: format!("rename the {kind}, or remove it from {other}"),
                });
            }
        }
        if problems.is_empty() {
            owner.extend(claims.into_iter().map(|claim| (claim, name.as_str())));
        } else {
            refused.insert(name.clone(), Arc::new(LoadError { file: name.clone(), problems }));
        }
    }
    refused
}

/// The components in a folder, by name; without what is still on its way there.
fn names(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        // `x.wasm.tmp` and `x.wasm.part` do not end in `.wasm` either.
        if name.ends_with(".wasm") && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}
