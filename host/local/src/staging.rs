//! What becomes of rules that are new or changed, on one machine: what was live at the last look lies in the data folder, and so do
//! copies of the components that were.
//!
//! Copies first, then what is decided about rules, then what is known, and only then new components are live: whoever is stopped
//! in between decides the same once more.

use crate::clock::millis;
use crate::reload::PluginSource;
use crate::rule_table::{CurrentStates, RuleFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, RuleTable};
use streamalert_pipeline::config::RuleStaging;
use streamalert_pipeline::live::Live;
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};
use streamalert_pipeline::staging::{Fleet, kept, settle};

/// Times that it is decided anew because somebody else has decided meanwhile.
const ATTEMPTS: usize = 8;

pub struct Staging {
    /// None where nothing goes on trial by itself.
    policy: Option<RuleStaging>,
    table: RuleFile,
    /// Where components come from.
    plugins: PathBuf,
    /// What was live at the last look.
    known: PathBuf,
    /// Components that are or were live, by their digests.
    copies: PathBuf,
    /// What comes goes live at once.
    skip: bool,
    /// Who is to know what is decided before it is live.
    seen: Option<Arc<CurrentStates>>,
}

/// What was live at the last look.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Digest of the component of each rule.
    rules: Fleet,
    /// Its file, by digest; with those that stay live while newer ones are on trial.
    files: BTreeMap<String, String>,
}

impl Staging {
    pub fn new(policy: Option<RuleStaging>, table: RuleFile, plugins: &Path, data: &Path, skip: bool) -> Self {
        Staging {
            policy: policy.filter(|policy| policy.enabled),
            table,
            plugins: plugins.to_owned(),
            known: data.join("live-rules.json"),
            copies: data.join("live-components"),
            skip,
            seen: None,
        }
    }

    pub fn seen_by(mut self, states: Arc<CurrentStates>) -> Self {
        self.seen = Some(states);
        self
    }

    /// Decides about what is new or changed in `set`, which is not live yet, and gives the older versions that stay live. After an
    /// error nothing may go live.
    pub fn settle(
        &self,
        set: &PluginSet,
        before: Option<&Live>,
        source: &mut dyn PluginSource,
        tell: &mut dyn FnMut(&str),
    ) -> Result<PluginSet, BackendError> {
        let fleet = fleet(set);
        if fleet.is_empty() {
            return Ok(PluginSet::default());
        }
        let now = millis();
        if let Some(policy) = &self.policy {
            let known = self.read().map_err(|error| self.failed("read", &self.known, error))?;
            self.copy(set);
            let skip = |_: &str| self.skip;
            for attempt in 0.. {
                let states = self.table.all()?;
                let decided = settle(known.as_ref().map(|known| &known.rules), &fleet, &states, policy, &skip, now);
                let mut overtaken = false;
                for (rule, after) in &decided {
                    match self.table.replace(rule, states.get(rule), after.as_ref())? {
                        false => overtaken = true,
                        true => match after {
                            Some(state) if state.staged && state.beside.is_some() => {
                                tell(&format!("on trial: {rule}, beside the version before, which stays live"));
                            }
                            Some(state) if state.staged => tell(&format!("on trial: {rule}")),
                            _ => {}
                        },
                    }
                }
                if !overtaken || attempt >= ATTEMPTS {
                    break;
                }
            }
        }
        // Also where nothing new goes on trial: trials that have begun go on.
        let states = self.table.all()?;
        if let Some(seen) = &self.seen {
            seen.refresh()?;
        }
        let older = kept(&fleet, &states, now);
        let mut stay = PluginSet::default();
        for digest in &older {
            match self.older(digest, before, source) {
                Ok(plugin) => stay.plugins.push(plugin),
                Err(why) => tell(&format!(
                    "error: the version before of what is on trial ({}) is not there, so the new one stands in for it: {why}",
                    &digest[..digest.len().min(12)]
                )),
            }
        }
        if self.policy.is_some() {
            let all = set.plugins.iter().chain(&stay.plugins);
            let files = all.map(|plugin| (plugin.digest().to_owned(), plugin.name().to_owned())).collect();
            let known = Known { rules: fleet, files };
            self.write(&known).map_err(|error| self.failed("write", &self.known, error))?;
            self.sweep(&known, &older);
        } else if let Err(error) = std::fs::remove_file(&self.known)
            && error.kind() != io::ErrorKind::NotFound
        {
            // What goes live meanwhile would be taken for changed when staging is on again.
            return Err(self.failed("forget", &self.known, error));
        }
        Ok(stay)
    }

    /// A version that was live before: as it is loaded, or from its copy.
    fn older(
        &self,
        digest: &str,
        before: Option<&Live>,
        source: &mut dyn PluginSource,
    ) -> Result<Arc<dyn RulePlugin>, String> {
        let loaded = before.into_iter().flat_map(|live| {
            live.rules.plugins.plugins.iter().chain(live.older.iter().flat_map(|older| &older.plugins.plugins))
        });
        if let Some(plugin) = loaded.into_iter().find(|plugin| plugin.digest() == digest) {
            return Ok(plugin.clone());
        }
        let path = self.copies.join(format!("{digest}.wasm"));
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if sha256(&bytes) != digest {
            return Err(format!("{} is not what its name says", path.display()));
        }
        let known = self.read().ok().flatten().and_then(|known| known.files.get(digest).cloned());
        source.load_version(&known.unwrap_or_else(|| format!("{digest}.wasm")), &bytes)
    }

    /// Keeps copies of what is about to be live: it may have to stay live when its file is another one.
    fn copy(&self, set: &PluginSet) {
        for plugin in &set.plugins {
            let path = self.copies.join(format!("{}.wasm", plugin.digest()));
            if path.exists() {
                continue;
            }
            let copied = std::fs::read(self.plugins.join(plugin.name())).and_then(|bytes| {
                // It has changed since it was loaded; the next look has it.
                if sha256(&bytes) != plugin.digest() {
                    return Ok(());
                }
                write(&self.copies, &path, &bytes)
            });
            if let Err(error) = copied {
                let file = plugin.name();
                tracing::warn!(file, %error, "no copy was kept of a component; after a restart it cannot stay live beside a newer one");
            }
        }
    }

    /// Copies that nobody needs any more. Best effort: what stays is found by the next look.
    fn sweep(&self, known: &Known, older: &BTreeSet<String>) {
        for entry in std::fs::read_dir(&self.copies).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(digest) = name.strip_suffix(".wasm") else { continue };
            if !known.files.contains_key(digest) && !older.contains(digest) {
                drop(std::fs::remove_file(entry.path()));
            }
        }
    }

    fn read(&self) -> io::Result<Option<Known>> {
        match std::fs::read(&self.known) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, known: &Known) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(known)?;
        // A reload that changes nothing about rules writes nothing.
        if std::fs::read(&self.known).is_ok_and(|before| before == text) {
            return Ok(());
        }
        write(self.known.parent().unwrap_or(Path::new(".")), &self.known, &text)
    }

    fn failed(&self, doing: &str, path: &Path, error: io::Error) -> BackendError {
        BackendError::other(format!("{doing} which rules are live in {}", path.display()), error)
    }
}

/// Digest of the component that each rule is in.
pub fn fleet(set: &PluginSet) -> Fleet {
    let of = |plugin: &Arc<dyn RulePlugin>| {
        let digest = plugin.digest().to_owned();
        plugin.rules().iter().map(move |rule| (rule.name.clone(), digest.clone())).collect::<Vec<_>>()
    };
    set.plugins.iter().flat_map(of).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All of it or nothing, and durable when it returns.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
