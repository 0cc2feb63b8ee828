//! What becomes of rules that are new or changed, on one machine: what was live at the last look lies in the data folder, and so do
//! copies of the components that were.
//!
//! Copies first, then what is decided about rules, then what is known, and only then new components are live: whoever is stopped
//! in between decides the same once more.

use crate::clock::millis;
use crate::edit::replace;
use crate::reload::PluginSource;
use crate::rule_table::{CurrentStates, RuleFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, RuleState, RuleTable};
use streamalert_pipeline::config::RuleStaging;
use streamalert_pipeline::live::Live;
use streamalert_pipeline::plugin::{PluginSet, RulePlugin};
use streamalert_pipeline::staging::{Fleet, kept, remembered, settle};

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
pub struct LastLook {
    /// Digest of the component of each rule.
    pub rules: Fleet,
    /// Its file, by digest; with those that stay live while newer ones are on trial, and those that would if newer ones came.
    pub files: BTreeMap<String, String>,
    /// It was live without a policy, and so says nothing of what is new or changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unstaged: bool,
}

impl LastLook {
    /// Digest of the component of each rule, if rules could go on trial then.
    pub fn fleet(&self) -> Option<&Fleet> {
        (!self.unstaged).then_some(&self.rules)
    }
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
        let mut last = LastLook::default();
        if let Some(policy) = &self.policy {
            let known = self.last_look()?;
            self.copy(set);
            let skip = |_: &str| self.skip;
            for attempt in 0.. {
                let states = self.table.all()?;
                let decided = settle(known.as_ref().and_then(LastLook::fleet), &fleet, &states, policy, &skip, now);
                let mut overtaken = false;
                for (rule, after) in &decided {
                    match self.table.replace(rule, states.get(rule), after.as_ref())? {
                        false => overtaken = true,
                        true => {
                            if let Some(notice) = notice(rule, states.get(rule), after.as_ref()) {
                                tell(&notice);
                            }
                        }
                    }
                }
                if !overtaken || attempt >= ATTEMPTS {
                    break;
                }
            }
            last = known.unwrap_or_default();
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
        let all = set.plugins.iter().chain(&stay.plugins);
        let mut files: BTreeMap<String, String> =
            all.map(|plugin| (plugin.digest().to_owned(), plugin.name().to_owned())).collect();
        let gone = remembered(&states, now);
        for (digest, file) in last.files {
            if gone.contains(&digest) {
                files.entry(digest).or_insert(file);
            }
        }
        // Also without a policy: somebody may ask which rules are live.
        let look = LastLook { rules: fleet, files, unstaged: self.policy.is_none() };
        self.write(&look).map_err(|error| self.failed("write", &self.known, error))?;
        if self.policy.is_some() {
            self.sweep(&look, &older, &gone);
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
        let known = self.read().ok().flatten().and_then(|last| last.files.get(digest).cloned());
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
                replace(&path, &bytes, None)
            });
            if let Err(error) = copied {
                let file = plugin.name();
                tracing::warn!(file, %error, "no copy was kept of a component; after a restart it cannot stay live beside a newer one");
            }
        }
    }

    /// Copies that nobody needs any more. Best effort: what stays is found by the next look.
    fn sweep(&self, known: &LastLook, older: &BTreeSet<String>, gone: &BTreeSet<String>) {
        for entry in std::fs::read_dir(&self.copies).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(digest) = name.strip_suffix(".wasm") else { continue };
            if !known.files.contains_key(digest) && !older.contains(digest) && !gone.contains(digest) {
                drop(std::fs::remove_file(entry.path()));
            }
        }
    }

    /// What was live at the last look, if there was one.
    pub fn last_look(&self) -> Result<Option<LastLook>, BackendError> {
        self.read().map_err(|error| self.failed("read", &self.known, error))
    }

    fn read(&self) -> io::Result<Option<LastLook>> {
        match std::fs::read(&self.known) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, known: &LastLook) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(known)?;
        // A reload that changes nothing about rules writes nothing.
        if std::fs::read(&self.known).is_ok_and(|before| before == text) {
            return Ok(());
        }
        replace(&self.known, &text, None)
    }

    fn failed(&self, doing: &str, path: &Path, error: io::Error) -> BackendError {
        BackendError::other(format!("{doing} which rules are live in {}", path.display()), error)
    }
}

/// What is worth telling of a decision.
fn notice(rule: &str, before: Option<&RuleState>, after: Option<&RuleState>) -> Option<String> {
    let after = after?;
    let same = before.is_some_and(|before| before.digest == after.digest);
    let again =
        |before: &RuleState| before.beside.as_ref() == Some(&after.digest) || before.lived.contains(&after.digest);
    match (after.staged, after.disabled, &after.beside) {
        // It was gone for a while.
        _ if same => None,
        (true, true, _) => {
            Some(format!("changed: {rule}, which is switched off; when it is enabled, this version is on trial"))
        }
        (true, false, Some(_)) => Some(format!("on trial: {rule}, beside the version before, which stays live")),
        (true, false, None) => Some(format!("on trial: {rule}")),
        (false, false, _) if before.is_some_and(again) => {
            Some(format!("live again: {rule}, in a version that was live before"))
        }
        (false, ..) => None,
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
