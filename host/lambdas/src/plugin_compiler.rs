//! The plugin compiler: what users upload is checked, compiled for the processors of Lambda, sealed, and named in the index that
//! all functions read. Whatever wakes it, it looks at everything, so an event that is lost, late or doubled changes nothing.

use crate::classifier::millis;
use crate::conf::Conf;
use crate::environment::Environment;
use crate::function::Function;
use crate::index::{Entry, Index, fleet};
use crate::metrics::{Meter, Metrics};
use crate::uploads::{ConfUploads, Load, PluginUploads};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::Aws;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_aws::rules_bucket::{
    self, ATTEMPTS_MADE, CODE, COMPONENTS, CONFS, CodeVerdict, ConfVerdict, INDEX, LIVE, Listed, RulesBucket, State,
    VERDICTS, Verdict, Verdicts, code_key, component_key,
};
use streamalert_intake::{Arrival, unwrap};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, RuleTable};
use streamalert_pipeline::config::{RuleStaging, staging};
use streamalert_pipeline::skip::Skip;
use streamalert_pipeline::staging::{kept, remembered, settle};
use streamalert_pipeline::time::{Millis, rfc3339};
use streamalert_plugins::lazy::Description;
use streamalert_plugins::loader::{missing_names, unknown_rules};
use streamalert_plugins::{
    CodeKey, Compiled, CompiledError, Compiler, Host, HostConfig, LoadCheck, LoadError, LoadReport, Plugin,
    PluginFolder, PluginLimits, Problem, Target,
};

/// Times that all is looked at anew because another compiler was faster.
const ATTEMPTS: u32 = 8;
/// The first pause after that, doubled each time: as long as one of its calls takes.
const PAUSE: Duration = Duration::from_millis(50);
/// Time kept for writing what was found out, before the function is ended: at least so much, or a quarter of all there is.
const STOP_BEFORE: Duration = Duration::from_secs(5);
/// Times that compiling a component may end the function, by memory or time. Lambda tries an event three times.
const ENDED_MAX: u32 = 3;
/// What nothing names any more is kept for so long: functions that have slept for hours may still have the index of then, and a
/// rollback needs nothing compiled.
const KEEP: Millis = 30 * 24 * 60 * 60 * 1000;
/// Objects that one look deletes: each is a call.
const SWEPT_MAX: usize = 100;

pub struct PluginCompiler {
    bucket: RulesBucket,
    /// What is decided about rules.
    rules: DynamoRules,
    key: CodeKey,
    host: Host,
    compilers: Vec<Compiler>,
    /// MB that the function has.
    memory: String,
    meter: Meter,
    warm: Mutex<Warm>,
}

/// What is known from earlier events; all of it could be found out anew.
#[derive(Default)]
struct Warm {
    /// What components come to, whatever they are about; by name and digest.
    plugins: HashMap<(String, String), Result<Plugin, LoadError>>,
    /// ETag and digest of uploads, by name.
    known: BTreeMap<String, (String, String)>,
    files: ConfUploads,
    /// With its digest.
    conf: Option<(String, Arc<Conf>)>,
}

impl PluginCompiler {
    pub fn new(environment: &Environment) -> Result<Self> {
        let digits = environment.get("STREAMALERT_CODE_KEY").context(
            "STREAMALERT_CODE_KEY is not set: compiled code is sealed with it; give all functions the same one",
        )?;
        let key = CodeKey::read(&digits).context("the variable STREAMALERT_CODE_KEY")?;
        let limits = PluginLimits::default();
        let compilers = Target::ALL.iter().map(|target| Compiler::new(*target, &limits)).collect::<Result<_, _>>()?;
        Ok(PluginCompiler {
            bucket: RulesBucket::new(&environment.aws, environment.names.rules_bucket()),
            rules: DynamoRules::new(environment.aws.clone(), &environment.names),
            key,
            host: Host::new(HostConfig { limits, ..HostConfig::default() })?,
            compilers,
            memory: environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").unwrap_or_default(),
            meter: Meter::of(environment, "plugin_compiler")?,
            warm: Mutex::default(),
        })
    }

    fn aws(&self) -> &Aws {
        self.bucket.aws()
    }

    /// With another memory, it may well go.
    fn attempts_key(&self, digest: &str) -> String {
        format!("{ATTEMPTS_MADE}{digest}.{}", self.memory)
    }
}

impl Function for PluginCompiler {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        if !concerns(event) {
            return Ok(json!({ "looked": false, "batchItemFailures": [] }));
        }
        let left = deadline.saturating_duration_since(begun);
        let stop = deadline.checked_sub(STOP_BEFORE.max(left / 4)).unwrap_or(begun);
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pause = PAUSE;
        for _ in 0..ATTEMPTS {
            let error = match self.look(&mut warm, stop) {
                Ok(looked) => return looked.answer(&self.meter, begun),
                Err(error) => error,
            };
            let conflict = |error: &BackendError| error.kind == BackendErrorKind::Conflict;
            if !error.downcast_ref::<BackendError>().is_some_and(conflict) {
                return Err(error);
            }
            // Not all at the same time again.
            thread::sleep(pause + pause.mul_f64(RandomState::new().hash_one(0) as f64 / u64::MAX as f64));
            pause *= 2;
        }
        bail!("other compilers were faster {ATTEMPTS} times in a row; the event has to come again")
    }
}

/// Whether an event may be about anything but what we wrote ourselves.
fn concerns(event: &[u8]) -> bool {
    !unwrap(event).iter().all(|arrival| match arrival {
        Arrival::Skip { skip, .. } => *skip == Skip::TestEvent,
        Arrival::Object(object) => object.key.starts_with(LIVE),
        Arrival::Bytes { .. } | Arrival::Dead(_) => false,
    })
}

/// What a look came to.
struct Looked {
    serial: u64,
    verdicts: Verdicts,
    compiled: Vec<(String, CodeVerdict)>,
    waiting: BTreeSet<String>,
}

impl Looked {
    fn answer(self, meter: &Meter, begun: Instant) -> Result<Value> {
        let of = |state: State| -> Vec<&String> {
            self.verdicts.plugins.iter().filter(|(_, verdict)| verdict.state == state).map(|(name, _)| name).collect()
        };
        let (live, refused) = (of(State::Live), of(State::Refused));
        let mut metrics = Metrics::of(meter);
        metrics.add(&[], "LiveComponents", "None", live.len() as f64);
        metrics.add(&[], "RefusedComponents", "None", refused.len() as f64);
        metrics.add(&[], "ConfRefused", "None", f64::from(self.verdicts.conf.state == State::Refused));
        metrics.count(&[], "Compiled", self.compiled.len() as u64);
        for (form, code) in &self.compiled {
            metrics.add(&[("Form", form)], "CompileTime", "Milliseconds", code.milliseconds as f64);
            metrics.add(&[("Form", form)], "CodeBytes", "Bytes", code.bytes as f64);
        }
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(meter, millis());
        if !self.waiting.is_empty() {
            let names: Vec<&str> = self.waiting.iter().map(String::as_str).collect();
            bail!("there was no time for {}; what is done is live, and the next event goes on", names.join(", "));
        }
        Ok(json!({
            "looked": true,
            "serial": self.serial,
            "live": live.len(),
            "refused": refused,
            "conf": self.verdicts.conf.state.name(),
            "batchItemFailures": [],
        }))
    }
}

impl PluginCompiler {
    fn look(&self, warm: &mut Warm, stop: Instant) -> Result<Looked> {
        let bucket = &self.bucket;
        let (index, verdicts, listed) = self.aws().wait(async {
            Ok::<_, BackendError>((
                bucket.get(INDEX).await?,
                bucket.verdicts().await?,
                ConfUploads::list(bucket).await?,
            ))
        })?;
        let index_etag = index.as_ref().map(|index| index.etag.clone());
        let index = index.and_then(|object| match Index::read(&object.bytes, &self.key) {
            Ok(index) => Some(index),
            Err(error) => {
                let error = format!("{:#}", anyhow!(error));
                tracing::error!(bucket = bucket.name(), error, "{INDEX} cannot be used, and is written anew");
                None
            }
        });
        let (before, verdicts_etag) = verdicts;
        let (conf_verdict, conf) = self.conf(warm, listed, index.as_ref(), &before)?;
        let Some(conf) = conf else {
            // Without log types there is nothing that rules could be checked against.
            return self.wait_for_conf(before, verdicts_etag, conf_verdict);
        };

        let mut work = Work::new(self, &mut warm.plugins, stop)?;
        let mut folder = PluginFolder::new(self.host.clone());
        for (name, plugin) in work.adopt(index.as_ref().map_or(&[], |index| &index.plugins))? {
            folder.adopt(&name, plugin);
        }
        let mut uploads = PluginUploads::look(bucket, self.host.limits(), &mut warm.known, &mut work)?;
        let report = conf.with_check(|check| folder.load_from(&mut uploads, check))?;
        let listed = std::mem::take(&mut uploads.listed);
        let known: BTreeMap<String, (String, String)> =
            listed.keys().filter_map(|name| Some((name.clone(), uploads.known(name)?.clone()))).collect();
        work.no_error()?;

        let entries: Vec<Entry> =
            folder.live().map(|(name, plugin)| entry(name, plugin, &listed, index.as_ref())).collect();
        let (older, gone) = self.settle(index.as_ref(), &entries, conf.rule_staging.as_ref(), &mut work)?;
        // As with what is live: its code is there, also after an update.
        work.adopt(&older)?;
        let conf_verdict = with_unknown_rules(conf_verdict, &before.conf, conf.rule_staging.as_ref(), &entries);
        let digest = conf_verdict.digest.clone().unwrap_or_default();
        let last = index.as_ref().map_or(0, |index| index.serial);
        let new = Index { older, ..Index::new((last + 1).max(millis().unsigned_abs()), digest, entries) };
        let serial = match index.filter(|before| new.is_like(before)) {
            Some(before) => before.serial,
            None => {
                let sealed = new.write(&self.key).context("write the index")?;
                self.aws().wait(bucket.replace(INDEX, index_etag.as_deref(), sealed))?;
                new.serial
            }
        };

        let mut all = Verdicts { host: new.host.clone(), serial, conf: conf_verdict, plugins: BTreeMap::new() };
        for (name, file) in &listed {
            let mut verdict = Verdict {
                size: file.size,
                etag: file.etag.clone(),
                uploaded: file.modified.map(rfc3339),
                ..Verdict::default()
            };
            if let Some((etag, digest)) = known.get(name) {
                (verdict.etag, verdict.digest) = (etag.clone(), digest.clone());
            }
            let old = before.plugins.get(name);
            work.code_verdicts(&mut verdict, old);
            let live = folder.live().find(|(live, _)| live == name).map(|(_, plugin)| plugin);
            judge(&mut verdict, &report, name, live, work.waiting.contains(name), &conf);
            keep_since(&mut verdict, old);
            all.plugins.insert(name.clone(), verdict);
        }
        self.write_verdicts(&before, verdicts_etag.as_deref(), &all)?;
        let live = new.plugins.iter().chain(&new.older);
        let named = live.map(|entry| &entry.digest).chain(known.values().map(|(_, digest)| digest));
        let named: BTreeSet<&str> = named.chain([&new.conf]).chain(&gone).map(String::as_str).collect();
        self.sweep(expired(&work.listed, &named, millis()));
        let (compiled, waiting) = (std::mem::take(&mut work.compiled), std::mem::take(&mut work.waiting));
        drop(work);
        // What is neither live nor lies there any more is forgotten.
        warm.plugins.retain(|(name, digest), _| {
            new.plugins.iter().chain(&new.older).any(|entry| entry.name == *name && entry.digest == *digest)
                || known.get(name).is_some_and(|(_, known)| known == digest)
        });
        Ok(Looked { serial, verdicts: all, compiled, waiting })
    }

    /// Decides about rules that are new or changed, before the index makes them live: whoever sees the index sees what was decided. Gives
    /// the older versions that stay live beside what is on trial, and the digests of what is gone and may come back as such.
    fn settle(
        &self,
        index: Option<&Index>,
        entries: &[Entry],
        policy: Option<&RuleStaging>,
        work: &mut Work<'_>,
    ) -> Result<(Vec<Entry>, BTreeSet<String>)> {
        let trials = index.is_some_and(|index| !index.older.is_empty());
        let policy = policy.filter(|policy| policy.enabled);
        // Where nothing goes on trial, nobody need have a table.
        if policy.is_none() && !trials {
            return Ok((Vec::new(), BTreeSet::new()));
        }
        let (before, after) = (index.map(Index::fleet), fleet(entries));
        let mut states = self.rules.all()?;
        if let Some(policy) = policy {
            let now = millis();
            let changed = |entry: &&Entry| match &entry.description {
                Description::Rules(rules) => rules
                    .iter()
                    .any(|rule| before.as_ref().and_then(|before| before.get(&rule.name)) != Some(&entry.digest)),
                _ => false,
            };
            let mut skipped = BTreeSet::new();
            for entry in entries.iter().filter(changed).filter(|_| before.is_some()) {
                let key = format!("{}{}", rules_bucket::PLUGINS, entry.name);
                if self.aws().wait(self.bucket.skips_staging(&key, &entry.digest))? {
                    skipped.insert(entry.digest.as_str());
                }
            }
            let decided = settle(before.as_ref(), &after, &states, policy, &|digest| skipped.contains(digest), now);
            for (rule, state) in decided {
                if !self.rules.replace(&rule, states.get(&rule), state.as_ref())? {
                    // Somebody has decided about it just now: all is looked at anew.
                    return Err(BackendError {
                        kind: BackendErrorKind::Conflict,
                        action: format!("decide about rule {rule}"),
                        source: None,
                    }
                    .into());
                }
                match state {
                    Some(state) => drop(states.insert(rule, state)),
                    None => drop(states.remove(&rule)),
                }
            }
        }
        let kept = kept(&after, &states, millis());
        let known = index.into_iter().flat_map(|index| index.plugins.iter().chain(&index.older));
        let mut older: Vec<Entry> = Vec::new();
        for entry in known.filter(|entry| kept.contains(&entry.digest)) {
            if !older.iter().any(|known| known.digest == entry.digest) {
                older.push(entry.clone());
            }
        }
        for digest in kept
            .iter()
            .filter(|digest| !older.iter().any(|entry| entry.digest == **digest))
            .cloned()
            .collect::<Vec<_>>()
        {
            // Its component was gone for a while, and another version has come.
            let beside = |rule: &String| states.get(rule).is_some_and(|state| state.beside.as_ref() == Some(&digest));
            let rule = after.iter().find(|(rule, _)| beside(rule)).map(|(_, new)| new);
            let name = entries.iter().find(|entry| Some(&entry.digest) == rule).map(|entry| entry.name.clone());
            match name.map(|name| work.entry(&name, &digest)).transpose()?.flatten() {
                Some(entry) => older.push(entry),
                None => tracing::error!(
                    digest,
                    "a version that is to stay live is not known any more; the one on trial stands in for it"
                ),
            }
        }
        older.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
        Ok((older, remembered(&states, millis())))
    }

    /// What the configuration came to, and the one that functions use: the last good one.
    fn conf(
        &self,
        warm: &mut Warm,
        listed: BTreeMap<String, String>,
        index: Option<&Index>,
        before: &Verdicts,
    ) -> Result<(ConfVerdict, Option<Arc<Conf>>)> {
        let live = index.map(|index| index.conf.clone());
        let old = &before.conf;
        let unchanged = old.state != State::Waiting
            && before.host == env!("CARGO_PKG_VERSION")
            && old.files == listed
            && old.digest == live;
        let mut verdict = match unchanged {
            true => old.clone(),
            false => {
                let mut verdict = ConfVerdict { files: listed, digest: live, ..ConfVerdict::default() };
                let read = self.aws().wait(warm.files.read(&self.bucket, &verdict.files))?;
                match read.and_then(|files| Conf::check(&files).map(|conf| (files, conf))) {
                    Ok((files, conf)) => {
                        let digest = self.aws().wait(self.bucket.put_conf(&files))?;
                        (verdict.state, verdict.warnings) = (State::Live, conf.warnings.clone());
                        warm.conf = Some((digest.clone(), Arc::new(conf)));
                        verdict.digest = Some(digest);
                    }
                    Err(faults) => (verdict.state, verdict.problems) = (State::Refused, faults),
                }
                verdict
            }
        };
        verdict.since.clone_from(&old.since);
        if verdict != *old || verdict.since.is_none() {
            verdict.since = Some(rfc3339(millis()));
        }
        let conf = match (&verdict.digest, &warm.conf) {
            (None, _) => None,
            (Some(digest), Some((known, conf))) if known == digest => Some(conf.clone()),
            (Some(digest), _) => {
                let files = self.aws().wait(self.bucket.get_conf(digest))?;
                let conf = Conf::read(&files).map_err(|faults| anyhow!("{}", faults.join("\n")))?;
                let conf = Arc::new(conf);
                warm.conf = Some((digest.clone(), conf.clone()));
                Some(conf)
            }
        };
        Ok((verdict, conf))
    }

    /// Best effort: what stays is found by the next look.
    fn sweep(&self, keys: Vec<String>) {
        for key in keys {
            if let Err(error) = self.aws().wait(self.bucket.delete(&key)) {
                tracing::warn!(key, error = format!("{:#}", anyhow!(error)), "what nobody needs any more stays");
                return;
            }
        }
    }

    fn wait_for_conf(&self, before: Verdicts, etag: Option<String>, conf: ConfVerdict) -> Result<Looked> {
        let all = Verdicts { host: env!("CARGO_PKG_VERSION").to_owned(), serial: 0, conf, plugins: BTreeMap::new() };
        self.write_verdicts(&before, etag.as_deref(), &all)?;
        Ok(Looked { serial: 0, verdicts: all, compiled: Vec::new(), waiting: BTreeSet::new() })
    }

    fn write_verdicts(&self, before: &Verdicts, etag: Option<&str>, all: &Verdicts) -> Result<()> {
        if before == all && etag.is_some() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(all).context("write the verdicts")?;
        Ok(self.aws().wait(self.bucket.replace(VERDICTS, etag, text))?)
    }
}

fn entry(name: &str, plugin: &Plugin, listed: &BTreeMap<String, Listed>, index: Option<&Index>) -> Entry {
    let description = Description::of(plugin);
    let before = index.and_then(|index| index.plugins.iter().find(|entry| entry.name == name));
    let size = match before.filter(|before| before.digest == plugin.digest()) {
        Some(before) => before.size,
        None => listed.get(name).map_or(0, |file| file.size),
    };
    Entry {
        name: name.to_owned(),
        digest: plugin.digest().to_owned(),
        size,
        described: description.digest(),
        description,
    }
}

/// Keys of what none of these digests names, and has not for long.
fn expired(listed: &[Listed], named: &BTreeSet<&str>, now: Millis) -> Vec<String> {
    let digest = |key: &str| {
        let file = key.rsplit('/').next().unwrap_or(key);
        file.split('.').next().unwrap_or(file).to_owned()
    };
    let gone = |file: &&Listed| {
        file.modified.is_some_and(|modified| now - modified > KEEP) && !named.contains(digest(&file.name).as_str())
    };
    listed.iter().filter(gone).take(SWEPT_MAX).map(|file| file.name.clone()).collect()
}

/// With what rule_staging.json says of rules that are not there, as of now.
fn with_unknown_rules(
    mut verdict: ConfVerdict,
    old: &ConfVerdict,
    policy: Option<&RuleStaging>,
    entries: &[Entry],
) -> ConfVerdict {
    let here = format!("{}: rules.", staging::FILE);
    verdict.warnings.retain(|warning| !warning.starts_with(&here));
    if let Some(policy) = policy {
        let rules = fleet(entries);
        verdict.warnings.extend(unknown_rules(policy, rules.keys()));
    }
    let since = verdict.since.take();
    verdict.since = match verdict == (ConfVerdict { since: None, ..old.clone() }) {
        true => old.since.clone().or(since),
        false => since,
    };
    verdict
}

/// What became of one upload.
fn judge(verdict: &mut Verdict, report: &LoadReport, name: &str, live: Option<&Plugin>, waiting: bool, conf: &Conf) {
    let refusal = report.refused.iter().find(|refusal| refusal.file == name);
    verdict.state = match refusal {
        Some(_) if waiting => State::Waiting,
        Some(refusal) => {
            verdict.problems = refusal.error.problems.iter().map(Problem::to_string).collect();
            State::Refused
        }
        None if live.is_some() => State::Live,
        // It changed between the listing and the reading; its own event is on the way.
        None => State::Waiting,
    };
    let Some(plugin) = live else { return };
    if refusal.is_some() {
        verdict.serving = Some(plugin.digest().to_owned());
    }
    let description = Description::of(plugin);
    verdict.world = Some(description.world().to_owned());
    verdict.names = match description {
        Description::Rules(rules) => {
            if refusal.is_none() {
                verdict.warnings = missing_names(&rules, &report.set, &conf.outputs);
            }
            rules.into_iter().map(|rule| rule.name).collect()
        }
        Description::Parser(parser) => vec![parser.name],
        Description::Publishers(publishers) => publishers.into_iter().map(|publisher| publisher.name).collect(),
        Description::Output(output) => vec![output.service],
        Description::Apps(apps) => apps.into_iter().map(|app| app.name).collect(),
    };
}

/// If nothing new is said, it is as it was since then.
fn keep_since(verdict: &mut Verdict, old: Option<&Verdict>) {
    let said = |verdict: &Verdict| {
        let Verdict { state, etag, digest, problems, serving, .. } = verdict.clone();
        (state, etag, digest, problems, serving)
    };
    verdict.since = match old.filter(|old| said(old) == said(verdict)) {
        Some(old) => old.since.clone(),
        None => Some(rfc3339(millis())),
    };
}

/// Makes components live, compiling where that has not been done.
struct Work<'a> {
    compiler: &'a PluginCompiler,
    /// See [`Warm`].
    plugins: &'a mut HashMap<(String, String), Result<Plugin, LoadError>>,
    /// Sealed code that was fetched ahead, by digest.
    ahead: HashMap<String, Vec<u8>>,
    /// Digests and sizes of the code that is there, for each compiler.
    code: Vec<BTreeMap<String, u64>>,
    /// Digests of the components that are kept.
    copies: BTreeSet<String>,
    /// All that earlier looks have made, by key.
    listed: Vec<Listed>,
    /// What compiling took, by digest and form.
    took: HashMap<(String, String), u64>,
    /// By form, for metrics.
    compiled: Vec<(String, CodeVerdict)>,
    stop: Instant,
    /// Uploads there was no time for.
    waiting: BTreeSet<String>,
    /// Why the look as a whole has failed.
    error: Option<BackendError>,
}

impl<'a> Work<'a> {
    fn new(
        compiler: &'a PluginCompiler,
        plugins: &'a mut HashMap<(String, String), Result<Plugin, LoadError>>,
        stop: Instant,
    ) -> Result<Self> {
        let bucket = &compiler.bucket;
        let listed = compiler.aws().wait(async {
            let mut all = Vec::new();
            for prefix in [COMPONENTS, CODE, CONFS, ATTEMPTS_MADE] {
                let below = bucket.list(prefix).await?;
                all.extend(below.into_iter().map(|file| Listed { name: format!("{prefix}{}", file.name), ..file }));
            }
            Ok::<_, BackendError>(all)
        })?;
        let copy = |file: &Listed| Some(file.name.strip_prefix(COMPONENTS)?.strip_suffix(".wasm")?.to_owned());
        let code = |compiler: &Compiler| {
            let prefix = code_key(&compiler.target().form(), "");
            let code = |file: &Listed| Some((file.name.strip_prefix(&prefix)?.to_owned(), file.size));
            listed.iter().filter_map(code).collect()
        };
        Ok(Work {
            code: compiler.compilers.iter().map(code).collect(),
            copies: listed.iter().filter_map(copy).collect(),
            compiler,
            plugins,
            ahead: HashMap::new(),
            listed,
            took: HashMap::new(),
            compiled: Vec::new(),
            stop,
            waiting: BTreeSet::new(),
            error: None,
        })
    }

    fn no_error(&mut self) -> Result<(), BackendError> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Components that an earlier look made live.
    fn adopt(&mut self, entries: &[Entry]) -> Result<Vec<(String, Plugin)>> {
        self.fetch_ahead(entries)?;
        let mut adopted = Vec::new();
        for entry in entries {
            let Entry { name, digest, .. } = entry;
            let bucket = &self.compiler.bucket;
            let mut copy = || match self.compiler.aws().wait(bucket.get(&component_key(digest))) {
                Ok(Some(object)) if rules_bucket::sha256(&object.bytes) == *digest => Ok(object.bytes.to_vec()),
                Ok(_) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(io::Error::other(error)),
            };
            match self.plugin(name, digest, &mut copy) {
                Ok(Ok(plugin)) => adopted.push((name.clone(), plugin)),
                // What is live stays so, if need be until there is more time.
                Ok(Err(_)) if self.waiting.contains(name) => bail!("there was no time to look at what is live"),
                // As after an update that does not know its world any more.
                Ok(Err(error)) => tracing::error!(%error, digest, "a component that was live cannot be live any more"),
                Err(error) => {
                    self.no_error()?;
                    tracing::error!(file = name, digest, %error, "a component that was live is not there any more");
                }
            }
            self.no_error()?;
        }
        Ok(adopted)
    }

    /// What the index says of a component that was live once, if all of it is still there.
    fn entry(&mut self, name: &str, digest: &str) -> Result<Option<Entry>> {
        let description = Description::Rules(Vec::new());
        let described = String::new();
        let entry = Entry { name: name.to_owned(), digest: digest.to_owned(), size: 0, description, described };
        let size = self.listed.iter().find(|file| file.name == component_key(digest)).map_or(0, |file| file.size);
        let adopted = self.adopt(std::slice::from_ref(&entry))?;
        Ok(adopted.first().map(|(_, plugin)| {
            let description = Description::of(plugin);
            Entry { size, described: description.digest(), description, ..entry }
        }))
    }

    /// Code of what is live, side by side: a new process needs all of it.
    fn fetch_ahead(&mut self, entries: &[Entry]) -> Result<(), BackendError> {
        let Some(native) = self.native() else { return Ok(()) };
        let form = self.compiler.compilers[native].target().form();
        let wanted = entries.iter().filter(|entry| {
            self.code[native].contains_key(&entry.digest)
                && !self.plugins.contains_key(&(entry.name.clone(), entry.digest.clone()))
        });
        let digests: Vec<String> = wanted.map(|entry| entry.digest.clone()).collect();
        let keys = digests.iter().map(|digest| code_key(&form, digest)).collect();
        let found = self.compiler.aws().wait(self.compiler.bucket.get_all(keys))?;
        let found = digests.into_iter().zip(found);
        self.ahead = found.filter_map(|(digest, object)| Some((digest, object?.bytes.into()))).collect();
        Ok(())
    }

    /// All there has to be of a component is there.
    fn is_whole(&self, digest: &str) -> bool {
        self.copies.contains(digest) && self.code.iter().all(|code| code.contains_key(digest))
    }

    /// Place of the compiler for our own processor.
    fn native(&self) -> Option<usize> {
        self.compiler.compilers.iter().position(|one| Some(one.target()) == Target::native())
    }

    /// A component, whatever it is about. What it took to compile it is kept in the bucket.
    fn plugin(
        &mut self,
        name: &str,
        digest: &str,
        bytes: &mut dyn FnMut() -> io::Result<Vec<u8>>,
    ) -> io::Result<Result<Plugin, LoadError>> {
        let key = (name.to_owned(), digest.to_owned());
        let whole = self.is_whole(digest);
        if let Some(known) = self.plugins.get(&key).filter(|known| known.is_err() || whole) {
            return Ok(known.clone());
        }
        if Instant::now() >= self.stop {
            self.waiting.insert(name.to_owned());
            return Ok(Err(refused(name, "was not looked at yet", "wait for the next look")));
        }
        let plugin = self.compile(name, digest, bytes)?;
        self.plugins.insert(key, plugin.clone());
        Ok(plugin)
    }

    fn compile(
        &mut self,
        name: &str,
        digest: &str,
        bytes: &mut dyn FnMut() -> io::Result<Vec<u8>>,
    ) -> io::Result<Result<Plugin, LoadError>> {
        let native = self.native();
        let mut loaded = None;
        if let Some(native) = native.filter(|native| self.code[*native].contains_key(digest)) {
            match self.sealed(native, digest) {
                Some(compiled) => loaded = self.run(name, &compiled),
                // It is made anew.
                None => drop(self.code[native].remove(digest)),
            }
            self.failed_if_error()?;
        }
        match loaded {
            Some(Err(error)) => return Ok(Err(error)),
            Some(Ok(plugin)) if self.is_whole(digest) => return Ok(Ok(plugin)),
            _ => {}
        }
        let bytes = bytes()?;
        if let Some(attempts) = self.attempt(digest)? {
            let message = format!("ended the plugin compiler {attempts} times while it was compiled");
            let remedy = "make it smaller, or give the function plugin_compiler more memory or time";
            return Ok(Err(refused(name, &message, remedy)));
        }
        let made = self.compile_bytes(name, digest, &bytes, loaded);
        self.survived(digest);
        made
    }

    /// Notes that it is about to be compiled. If that was noted too often, and nobody lived to take it back, how often.
    fn attempt(&mut self, digest: &str) -> io::Result<Option<u32>> {
        let key = self.compiler.attempts_key(digest);
        let (bucket, aws) = (&self.compiler.bucket, self.compiler.aws());
        let noted = match aws.wait(bucket.get(&key)) {
            Ok(noted) => noted,
            Err(error) => {
                self.error = Some(error);
                return self.failed_if_error().map(|()| None);
            }
        };
        let noted = noted.and_then(|object| std::str::from_utf8(&object.bytes).ok()?.trim().parse().ok()).unwrap_or(0);
        if noted >= ENDED_MAX {
            return Ok(Some(noted));
        }
        self.put(&key, (noted + 1).to_string().into_bytes());
        self.failed_if_error().map(|()| None)
    }

    fn survived(&mut self, digest: &str) {
        let key = self.compiler.attempts_key(digest);
        if let Err(error) = self.compiler.aws().wait(self.compiler.bucket.delete(&key)) {
            tracing::warn!(key, error = format!("{:#}", anyhow!(error)), "a note of an attempt stays");
        }
    }

    fn compile_bytes(
        &mut self,
        name: &str,
        digest: &str,
        bytes: &[u8],
        mut loaded: Option<Result<Plugin, LoadError>>,
    ) -> io::Result<Result<Plugin, LoadError>> {
        let native = self.native();
        if let Some(native) = native
            && loaded.is_none()
        {
            match self.make(native, digest, bytes) {
                Ok(compiled) => loaded = self.run(name, &compiled),
                Err(problem) => return Ok(Err(LoadError { file: name.to_owned(), problems: vec![problem] })),
            }
        }
        // Where our own processor is none of Lambda's.
        let loaded = loaded.unwrap_or_else(|| self.compiler.host.load_plugin(name, bytes, &LoadCheck::any_log()));
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(error) => return Ok(Err(error)),
        };
        for other in 0..self.code.len() {
            if !self.code[other].contains_key(digest)
                && let Err(problem) = self.make(other, digest, bytes)
            {
                return Ok(Err(LoadError { file: name.to_owned(), problems: vec![problem] }));
            }
        }
        if !self.copies.contains(digest) {
            self.put(&component_key(digest), bytes.to_vec());
            self.copies.insert(digest.to_owned());
        }
        self.failed_if_error()?;
        Ok(Ok(plugin))
    }

    /// `None` if the code cannot be loaded by this host, which says nothing about the component.
    fn run(&self, name: &str, compiled: &Compiled) -> Option<Result<Plugin, LoadError>> {
        match self.compiler.host.load_compiled(name, compiled, &LoadCheck::any_log()) {
            Ok(plugin) => Some(Ok(plugin)),
            Err(CompiledError::Refused(error)) => Some(Err(error)),
            Err(CompiledError::Unfit(reason)) => {
                tracing::warn!(name, reason, "code for the fleet cannot be run here");
                None
            }
        }
    }

    /// Code that is there, if its seal is ours.
    fn sealed(&mut self, compiler: usize, digest: &str) -> Option<Compiled> {
        let target = self.compiler.compilers[compiler].target();
        let key = code_key(&target.form(), digest);
        let ahead = (Some(compiler) == self.native()).then(|| self.ahead.remove(digest)).flatten();
        let sealed = match ahead.map(Ok) {
            Some(sealed) => sealed.map(Some),
            None => self.compiler.aws().wait(self.compiler.bucket.get(&key)).map(|found| Some(found?.bytes.into())),
        };
        match sealed {
            Ok(sealed) => {
                let unsealed = Compiled::unseal(target, digest, sealed?, &self.compiler.key);
                unsealed.map_err(|error| tracing::error!(key, %error, "code is made anew")).ok()
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    /// Compiles, seals and keeps.
    fn make(&mut self, compiler: usize, digest: &str, bytes: &[u8]) -> Result<Compiled, Problem> {
        let one = &self.compiler.compilers[compiler];
        let form = one.target().form();
        let begun = Instant::now();
        let compiled = one.compile(bytes)?;
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sealed = compiled.seal(&self.compiler.key);
        let size = sealed.len() as u64;
        self.put(&code_key(&form, digest), sealed);
        self.code[compiler].insert(digest.to_owned(), size);
        self.took.insert((digest.to_owned(), form.clone()), milliseconds);
        self.compiled.push((form, CodeVerdict { bytes: size, milliseconds }));
        Ok(compiled)
    }

    fn put(&mut self, key: &str, bytes: Vec<u8>) {
        if let Err(error) = self.compiler.aws().wait(self.compiler.bucket.put(key, bytes)) {
            self.error = Some(error);
        }
    }

    /// An error that is ours and not the component's ends the look.
    fn failed_if_error(&self) -> io::Result<()> {
        match &self.error {
            Some(error) => Err(io::Error::other(error.to_string())),
            None => Ok(()),
        }
    }

    /// What there is of code for the upload.
    fn code_verdicts(&self, verdict: &mut Verdict, old: Option<&Verdict>) {
        let old = old.filter(|old| old.digest == verdict.digest);
        for (one, code) in self.compiler.compilers.iter().zip(&self.code) {
            let Some(bytes) = code.get(&verdict.digest).copied() else { continue };
            let form = one.target().form();
            let took = self.took.get(&(verdict.digest.clone(), form.clone())).copied();
            let before = old.and_then(|old| old.code.get(&form)).map(|code| code.milliseconds);
            let milliseconds = took.or(before).unwrap_or(0);
            verdict.code.insert(form, CodeVerdict { bytes, milliseconds });
        }
    }
}

impl Load for Work<'_> {
    fn load(
        &mut self,
        name: &str,
        digest: &str,
        bytes: &mut dyn FnMut() -> io::Result<Vec<u8>>,
        check: &LoadCheck,
    ) -> io::Result<Result<Plugin, LoadError>> {
        let plugin = match self.plugin(name, digest, bytes)? {
            Ok(plugin) => plugin,
            Err(error) => return Ok(Err(error)),
        };
        Ok(plugin.check(check).map(|()| plugin))
    }
}

fn refused(name: &str, message: &str, remedy: &str) -> LoadError {
    let problem = Problem { rule: None, field: None, message: message.into(), remedy: remedy.into() };
    LoadError { file: name.to_owned(), problems: vec![problem] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_aws::rules_bucket::conf_key;

    #[test]
    fn what_nothing_names_goes_after_a_month() {
        let day = KEEP / 30;
        let file =
            |name: String, age: Millis| Listed { name, etag: "e".into(), size: 1, modified: Some(100 * day - age) };
        let listed = [
            file(component_key("named"), 90 * day),
            file(code_key("x86_64-wasmtime-1-1", "named"), 90 * day),
            file(conf_key("named"), 90 * day),
            file(component_key("young"), 29 * day),
            file(component_key("old"), 31 * day),
            // Also of a wasmtime of before.
            file(code_key("x86_64-wasmtime-0.9.0-1", "old"), 31 * day),
            file(conf_key("old"), 31 * day),
        ];
        let gone = expired(&listed, &BTreeSet::from(["named"]), 100 * day);
        assert_eq!(gone, listed[4..].iter().map(|file| file.name.clone()).collect::<Vec<_>>());
    }
}
