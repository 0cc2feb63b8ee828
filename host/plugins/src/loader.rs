//! From `.wasm` files, in a folder or elsewhere, to the set that is live. Remembers what is live, so that a bad upload changes nothing.

use crate::PluginLimits;
use crate::component::{Host, LoadCheck, LoadError, Plugin, Problem, hex};
use crate::describe::nearest;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use streamalert_pipeline::alert_processor::publication::named;
use streamalert_pipeline::alert_processor::publishers::native;
use streamalert_pipeline::config::{Outputs, RuleStaging, staging};
use streamalert_pipeline::plugin::{
    AppPlugin, OutputPlugin, ParserPlugin, PluginSet, PublisherPlugin, RuleInfo, RulePlugin,
};

/// Where components lie.
pub trait Shelf {
    /// Names of all that are there, without what is still on its way.
    fn names(&mut self) -> io::Result<BTreeSet<String>>;
    /// Loads one of them, unless it is still what it was; `digest` is what it was. An error of the kind `NotFound` means that
    /// it has gone meanwhile.
    fn look(&mut self, name: &str, digest: Option<&str>, check: &LoadCheck) -> io::Result<Look>;
}

/// What a file came to.
pub enum Look {
    Same,
    Other {
        /// SHA-256, hex; empty where it is to be looked at anew each time.
        digest: String,
        outcome: Result<Plugin, LoadError>,
    },
}

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

    /// Takes a component for live, as one that was live in another process.
    pub fn adopt(&mut self, name: &str, plugin: Plugin) {
        self.live.insert(name.to_owned(), plugin);
    }

    /// What is live, by file name.
    pub fn live(&self) -> impl Iterator<Item = (&str, &Plugin)> {
        self.live.iter().map(|(name, plugin)| (name.as_str(), plugin))
    }

    /// Looks at a folder. An error means that the folder itself cannot be read; then all stays as it is.
    pub fn load(&mut self, folder: &Path, check: &LoadCheck) -> io::Result<LoadReport> {
        let host = self.host.clone();
        self.load_from(&mut Folder { path: folder, host }, check)
    }

    /// The same wherever the files are.
    pub fn load_from(&mut self, shelf: &mut dyn Shelf, check: &LoadCheck) -> io::Result<LoadReport> {
        let names = shelf.names()?;
        let seen = self.look_at_all(shelf, &names, check);
        let before = std::mem::replace(&mut self.seen, seen);
        let parser_types = self.parser_types();
        if parser_types != self.parser_types {
            let gone = self.parser_types.iter().any(|log_type| !parser_types.contains(log_type));
            self.parser_types = parser_types;
            self.seen.retain(|name, seen| match &seen.outcome {
                // It may have been a rule over a log type that is known by now.
                Err(_) => false,
                Ok(Plugin::Parser(_) | Plugin::Publishers(_) | Plugin::Output(_) | Plugin::Apps(_)) => true,
                // Who was taken stays; a newcomer may be about a log type that has just gone.
                Ok(Plugin::Rules(_)) => !gone || before.get(name).is_some_and(|before| before.digest == seen.digest),
            });
            self.seen = self.look_at_all(shelf, &names, check);
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

    fn look_at_all(
        &self,
        shelf: &mut dyn Shelf,
        names: &BTreeSet<String>,
        check: &LoadCheck,
    ) -> BTreeMap<String, Seen> {
        let check = LoadCheck { parser_types: &self.parser_types, ..*check };
        let mut all = BTreeMap::new();
        for name in names {
            let before = self.seen.get(name);
            let seen = match (shelf.look(name, before.map(|seen| &*seen.digest), &check), before) {
                (Ok(Look::Same), Some(before)) => before.clone(),
                // A shelf that says so of what was never seen says nothing.
                (Ok(Look::Same), None) => continue,
                (Ok(Look::Other { digest, outcome }), _) => {
                    // What is live goes on, with all that it has learnt, where nothing but a check was new.
                    let outcome = outcome.map_err(Arc::new).map(|plugin| match self.live.get(name) {
                        Some(live) if live.digest() == plugin.digest() => live.clone(),
                        _ => plugin,
                    });
                    Seen { digest, outcome }
                }
                // It went between the listing and the reading.
                (Err(error), _) if error.kind() == io::ErrorKind::NotFound => continue,
                (Err(error), _) => {
                    let problem = Problem::component(format!("cannot be read: {error}"), "mend its permissions");
                    let error = Arc::new(LoadError { file: name.clone(), problems: vec![problem] });
                    // An empty digest is none: the file is read again at the next look.
                    Seen { digest: String::new(), outcome: Err(error) }
                }
            };
            all.insert(name.clone(), seen);
        }
        all
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
                Plugin::Apps(apps) => set.apps.push(apps.clone() as Arc<dyn AppPlugin>),
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
        Plugin::Apps(apps) => apps.apps().iter().map(|app| ("app", app.name.as_str())).collect(),
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

/// Rules whose missing outputs or publishers are told one by one; a hundred misspell the same one, as a rule.
const NAMED_MAX: usize = 3;

/// Outputs and publishers that rules name and that are not there: better heard now than at the first alert. `set` is what is
/// live with them.
pub fn missing_names<'a>(
    rules: impl IntoIterator<Item = &'a RuleInfo>,
    set: &PluginSet,
    outputs: &Outputs,
) -> Vec<String> {
    let theirs: HashSet<&str> =
        set.publishers.iter().flat_map(|plugin| plugin.publishers()).map(|publisher| publisher.name.as_str()).collect();
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for rule in rules {
        for output in &rule.options.outputs {
            if let Some(message) = outputs.unknown(output) {
                missing.entry(message).or_default().push(&rule.name);
            }
        }
        for name in named(&rule.options.publishers) {
            if native(&name).is_none() && !theirs.contains(name.as_str()) {
                let message = format!("there is no publisher {name}, native or in a component; alerts are held back");
                missing.entry(message).or_default().push(&rule.name);
            }
        }
    }
    let told = |(message, rules): (String, Vec<&str>)| {
        let more = rules.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}: {message}", rules[..rules.len().min(NAMED_MAX)].join(", "))
    };
    missing.into_iter().map(told).collect()
}

/// Rules that rule_staging.json has a word on and no component has: what is said of them is said of nobody.
pub fn unknown_rules<'a>(policy: &RuleStaging, known: impl Iterator<Item = &'a String> + Clone) -> Vec<String> {
    // A folder that is not there for a moment makes no name wrong.
    if known.clone().next().is_none() {
        return Vec::new();
    }
    let names: HashSet<&String> = known.clone().collect();
    let told = |name: &String| {
        let meant = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean {near}?"),
            None => "`streamalert rules list` names those there are".into(),
        };
        let file = staging::FILE;
        format!("{file}: rules.{name}: no component has a rule of this name, so this is about none; {meant}")
    };
    policy.rules.keys().filter(|name| !names.contains(name)).map(told).collect()
}

struct Folder<'a> {
    path: &'a Path,
    host: Host,
}

impl Shelf for Folder<'_> {
    fn names(&mut self) -> io::Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(self.path)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if is_component(&name) {
                names.insert(name);
            }
        }
        Ok(names)
    }

    fn look(&mut self, name: &str, digest: Option<&str>, check: &LoadCheck) -> io::Result<Look> {
        let path = self.path.join(name);
        let size = std::fs::metadata(&path)?.len();
        if let Some(error) = too_large(name, size, self.host.limits()) {
            return Ok(Look::Other { digest: String::new(), outcome: Err(error) });
        }
        let bytes = std::fs::read(&path)?;
        let now = hex(&Sha256::digest(&bytes));
        match digest == Some(&*now) {
            true => Ok(Look::Same),
            false => Ok(Look::Other { outcome: self.host.load_plugin(name, &bytes, check), digest: now }),
        }
    }
}

/// Whether a file of this name is a component that is there: `x.wasm.tmp` and `x.wasm.part` are still on their way.
pub fn is_component(name: &str) -> bool {
    name.ends_with(".wasm") && !name.starts_with('.')
}

/// What is said of a file that need not be read, if it is larger than any component may be.
pub fn too_large(name: &str, size: u64, limits: &PluginLimits) -> Option<LoadError> {
    let limit = limits.component_bytes as u64;
    let problem = || Problem::component(format!("has {size} bytes"), format!("the limit is {limit}"));
    (size > limit).then(|| LoadError { file: name.to_owned(), problems: vec![problem()] })
}
