//! From a folder of `.wasm` files to the set that is live. Remembers what is live, so that a bad upload changes nothing.

use crate::component::{Host, LoadCheck, LoadError, Problem, RuleComponent, hex};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};

/// A folder that is loaded again and again.
pub struct PluginFolder {
    host: Host,
    live: BTreeMap<String, Arc<RuleComponent>>,
    /// What each file came to when it was last read, so that a file that stays as it is is compiled and reported once.
    seen: BTreeMap<String, Seen>,
    /// Refusals that were reported already.
    reported: BTreeMap<String, Arc<LoadError>>,
}

#[derive(Clone)]
struct Seen {
    digest: String,
    outcome: Result<Arc<RuleComponent>, Arc<LoadError>>,
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
        PluginFolder { host, live: BTreeMap::new(), seen: BTreeMap::new(), reported: BTreeMap::new() }
    }

    /// Looks at the folder. An error means that the folder itself cannot be read; then all stays as it is.
    pub fn load(&mut self, folder: &Path, check: &LoadCheck) -> io::Result<LoadReport> {
        let names = names(folder)?;
        let mut seen = BTreeMap::new();
        for name in &names {
            match self.look(folder, name, check) {
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
        self.seen = seen;
        Ok(self.settle())
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
            _ => Ok(Seen { outcome: self.host.load(name, &bytes, check).map_err(Arc::new), digest }),
        }
    }

    /// Decides between what is live and what was seen.
    fn settle(&mut self) -> LoadReport {
        let old: BTreeMap<String, Arc<RuleComponent>> = self
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
        // A refusal keeps an old version live, whose rules may clash with another newcomer: so decide again until nobody new
        // is refused. Each round refuses someone or is the last.
        let live = loop {
            let next: BTreeMap<String, Arc<RuleComponent>> = self
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

        let is_same = |a: &Arc<RuleComponent>, b: Option<&Arc<RuleComponent>>| b.is_some_and(|b| Arc::ptr_eq(a, b));
        let (kept, loaded): (Vec<_>, Vec<_>) = live.iter().partition(|(name, now)| is_same(now, self.live.get(*name)));
        let names =
            |pairs: Vec<(&String, &Arc<RuleComponent>)>| pairs.into_iter().map(|(name, _)| name.clone()).collect();
        let report = LoadReport {
            set: PluginSet {
                plugins: live.values().map(|c| c.clone() as Arc<dyn RulePlugin>).collect(),
                ..PluginSet::default()
            },
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

/// The newcomers that name a rule which another file has. Who was live keeps its rule; among newcomers, the first by name.
fn clashes(
    next: &BTreeMap<String, Arc<RuleComponent>>,
    old: &BTreeMap<String, Arc<RuleComponent>>,
) -> BTreeMap<String, Arc<LoadError>> {
    let is_old = |name: &String, now: &Arc<RuleComponent>| old.get(name).is_some_and(|before| Arc::ptr_eq(before, now));
    let mut order: Vec<_> = next.iter().collect();
    // Unchanged files first, then new versions of files that are live, then new files.
    order.sort_by_key(|(name, now)| (!is_old(name, now), !old.contains_key(*name)));
    let mut owner: HashMap<&str, &str> = HashMap::new();
    let mut refused = BTreeMap::new();
    for (name, component) in order {
        let mut problems = Vec::new();
        for rule in component.rules() {
            if let Some(other) = owner.get(rule.name.as_str()) {
                problems.push(Problem {
                    rule: Some(rule.name.clone()),
                    field: Some("name".into()),
                    message: format!("{other} has a rule of this name already"),
                    remedy: format!("rename the rule, or remove it from {other}"),
                });
            }
        }
        if problems.is_empty() {
            owner.extend(component.rules().iter().map(|rule| (rule.name.as_str(), name.as_str())));
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
