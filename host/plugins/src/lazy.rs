//! Components that are live before their code is there. What a component says of itself is known beforehand, so a whole set can
//! be put together from descriptions alone; code is fetched when a component is asked something for the first time.

use crate::app::AppComponent;
use crate::component::{Host, LoadCheck, Plugin, RuleComponent, hex};
use crate::output::OutputComponent;
use crate::parser::ParserComponent;
use crate::precompiled::{CodeKey, Compiled, CompiledError, Target};
use crate::publisher::PublisherComponent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{
    AppInfo, AppPlugin, Ask, Batch, Disposition, Judged, OutputInfo, OutputPlugin, Outside, Parcel, ParsedPart,
    ParserInfo, ParserPlugin, PluginError, PluginErrorKind as Kind, PluginSet, Polled, PublisherInfo, PublisherPlugin,
    RuleInfo, RulePlugin, RuleSession, SettingFault,
};

/// Components that are fetched at a time: a store answers within some ten milliseconds, and each is some hundred kilobytes.
const LOADS_AT_ONCE: usize = 16;
/// After a failure, nobody asks again for so long: a batch whose component cannot be had asks once for each of its rows.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a call waits for code, unless [`Loader::wait_until`] says otherwise.
const WAIT: Duration = Duration::from_secs(30);

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Description {
    Rules(Vec<RuleInfo>),
    Parser(ParserInfo),
    Publishers(Vec<PublisherInfo>),
    Output(OutputInfo),
    Apps(Vec<AppInfo>),
}

impl Description {
    pub fn of(plugin: &Plugin) -> Self {
        match plugin {
            Plugin::Rules(rules) => Description::Rules(rules.rules.clone()),
            Plugin::Parser(parser) => Description::Parser(parser.info.clone()),
            Plugin::Publishers(found) => Description::Publishers(found.publishers.clone()),
            Plugin::Output(output) => Description::Output((*output.info).clone()),
            Plugin::Apps(apps) => Description::Apps(apps.apps.clone()),
        }
    }

    /// Name of its world.
    pub fn world(&self) -> &'static str {
        match self {
            Description::Rules(_) => "rule",
            Description::Parser(_) => "parser",
            Description::Publishers(_) => "publisher",
            Description::Output(_) => "output",
            Description::Apps(_) => "app",
        }
    }

    /// SHA-256 of it, hex. Of what the component itself says: a number that was written and read again may be another.
    pub fn digest(&self) -> String {
        // Of plain data with keys that are texts; a failure would make a digest that nothing has.
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// Where code lies.
pub trait Fetch: Send + Sync {
    /// Sealed code of the component with this digest for processors like this one; `None` if there is none. Blocks.
    fn code(&self, target: Target, digest: &str) -> Result<Option<Vec<u8>>, FetchError>;
    /// The component itself. Blocks.
    fn wasm(&self, digest: &str) -> Result<Vec<u8>, FetchError>;
}

pub type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Fetches code for the components of a process.
pub struct Loader {
    host: Host,
    fetch: Arc<dyn Fetch>,
    /// Without it, components are compiled here.
    key: Option<CodeKey>,
    queue: Mutex<Queue>,
    /// Calls that wait for code give up then.
    wait_until: Mutex<Option<Instant>>,
    failures: AtomicU64,
    loaded: AtomicU64,
    compiled: AtomicU64,
    distrusted: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Core>>,
    workers: usize,
}

/// Since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    /// Calls that failed because code could not be had for now. What they were about must come again.
    pub failures: u64,
    /// Components whose code is there.
    pub loaded: u64,
    /// Of these, those that were compiled here.
    pub compiled: u64,
    /// Code that was there and was not run, since its seal did not fit.
    pub distrusted: u64,
}

impl Loader {
    pub fn new(host: Host, fetch: Arc<dyn Fetch>, key: Option<CodeKey>) -> Arc<Self> {
        Arc::new(Loader {
            host,
            fetch,
            key,
            queue: Mutex::default(),
            wait_until: Mutex::default(),
            failures: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            compiled: AtomicU64::new(0),
            distrusted: AtomicU64::new(0),
        })
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Calls give up waiting for code at this time; what is under way goes on, and is there for a later call.
    pub fn wait_until(&self, deadline: Instant) {
        *self.wait_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
    }

    /// [`LoadCounts::failures`]: if it grew, what was done meanwhile is not whole.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> LoadCounts {
        LoadCounts {
            failures: self.failures(),
            loaded: self.loaded.load(Ordering::Relaxed),
            compiled: self.compiled.load(Ordering::Relaxed),
            distrusted: self.distrusted.load(Ordering::Relaxed),
        }
    }

    /// A component by its file's name, the digest of its bytes, what it says of itself, and the digest of that.
    pub fn plugin(self: &Arc<Self>, name: &str, digest: &str, description: Description, described: &str) -> LazyPlugin {
        let core = Arc::new(Core {
            loader: self.clone(),
            name: name.to_owned(),
            digest: digest.to_owned(),
            described: described.to_owned(),
            loaded: OnceLock::new(),
            progress: Mutex::new(Progress::Idle),
            changed: Condvar::new(),
        });
        match description {
            Description::Rules(rules) => LazyPlugin::Rules(Arc::new(LazyRules { core, rules })),
            Description::Parser(info) => LazyPlugin::Parser(Arc::new(LazyParser { core, info })),
            Description::Publishers(publishers) => {
                LazyPlugin::Publishers(Arc::new(LazyPublishers { core, publishers }))
            }
            Description::Output(info) => LazyPlugin::Output(Arc::new(LazyOutput { core, info })),
            Description::Apps(apps) => LazyPlugin::Apps(Arc::new(LazyApps { core, apps })),
        }
    }

    /// Has it loaded by a thread that may outlive the call which asks for it.
    fn begin(self: &Arc<Self>, core: Arc<Core>) {
        let mut queue = lock(&self.queue);
        queue.waiting.push_back(core);
        if queue.workers >= LOADS_AT_ONCE {
            return;
        }
        queue.workers += 1;
        drop(queue);
        let loader = self.clone();
        let spawned = thread::Builder::new().name("plugin-load".into()).spawn(move || loader.work());
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread to fetch components with; the caller does it");
            self.work();
        }
    }

    /// Until nothing waits.
    fn work(&self) {
        loop {
            let core = {
                let mut queue = lock(&self.queue);
                match queue.waiting.pop_front() {
                    Some(core) => core,
                    None => {
                        queue.workers -= 1;
                        return;
                    }
                }
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.load(&core)))
                .unwrap_or_else(|_| Err(Failure::Bad("the host failed while it loaded the component".into())));
            core.finish(outcome);
        }
    }

    fn load(&self, core: &Core) -> Result<Plugin, Failure> {
        let plugin = match self.sealed(core)? {
            Some(plugin) => plugin,
            None => self.compile(core)?,
        };
        // Rules were checked and filed by what the component said then; another answer would be about other rules.
        if Description::of(&plugin).digest() != core.described {
            return Err(Failure::Bad("it describes itself otherwise than when it was checked".into()));
        }
        self.loaded.fetch_add(1, Ordering::Relaxed);
        Ok(plugin)
    }

    /// From code that was compiled elsewhere; `None` if there is none that may be run here.
    fn sealed(&self, core: &Core) -> Result<Option<Plugin>, Failure> {
        let (Some(key), Some(target)) = (&self.key, Target::native()) else { return Ok(None) };
        let (plugin, digest) = (&*core.name, &*core.digest);
        let Some(sealed) = self.fetch.code(target, digest).map_err(|error| Failure::of(&*error))? else {
            return Ok(None);
        };
        let compiled = match Compiled::unseal(target, digest, sealed, key) {
            Ok(compiled) => compiled,
            Err(error) => {
                self.distrusted.fetch_add(1, Ordering::Relaxed);
                tracing::error!(plugin, digest, %error, "compiled code is not run; the component is compiled here");
                return Ok(None);
            }
        };
        match self.host.load_compiled(plugin, &compiled, &LoadCheck::any_log()) {
            Ok(plugin) => Ok(Some(plugin)),
            Err(CompiledError::Unfit(reason)) => {
                tracing::warn!(plugin, digest, reason, "compiled code does not fit; the component is compiled here");
                Ok(None)
            }
            Err(CompiledError::Refused(error)) => Err(Failure::Bad(error.to_string())),
        }
    }

    fn compile(&self, core: &Core) -> Result<Plugin, Failure> {
        let wasm = self.fetch.wasm(&core.digest).map_err(|error| Failure::of(&*error))?;
        let digest = hex(&Sha256::digest(&wasm));
        if digest != core.digest {
            return Err(Failure::Bad(format!("what lies in its place has the digest {digest}")));
        }
        let begun = Instant::now();
        let loaded = self.host.load_plugin(&core.name, &wasm, &LoadCheck::any_log());
        self.compiled.fetch_add(1, Ordering::Relaxed);
        let (plugin, milliseconds) = (&*core.name, begun.elapsed().as_millis() as u64);
        tracing::warn!(plugin, digest, milliseconds, "a component was compiled here");
        loaded.map_err(|error| Failure::Bad(error.to_string()))
    }
}

/// Why there is no code.
#[derive(Clone, Debug)]
enum Failure {
    /// Not now.
    Away(String),
    /// To ask again will hardly help.
    Bad(String),
}

impl Failure {
    /// With all its causes.
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(&format!(": {cause}"));
            next = cause.source();
        }
        Failure::Away(text)
    }
}

/// What all worlds have of a component that may not be there yet.
struct Core {
    loader: Arc<Loader>,
    name: String,
    digest: String,
    /// Digest of its description.
    described: String,
    loaded: OnceLock<Plugin>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

enum Progress {
    Idle,
    Loading,
    Failed(Failure, Instant),
}

impl Core {
    /// Begins to load unless it is there, under way, or has failed just now.
    fn prepare(self: &Arc<Self>) -> MutexGuard<'_, Progress> {
        let mut progress = lock(&self.progress);
        let wanted = match &*progress {
            Progress::Idle => self.loaded.get().is_none(),
            Progress::Loading => false,
            Progress::Failed(_, at) => at.elapsed() >= RETRY_AFTER,
        };
        if wanted {
            *progress = Progress::Loading;
            drop(progress);
            self.loader.begin(self.clone());
            progress = lock(&self.progress);
        }
        progress
    }

    /// Waits until it is there.
    fn get(self: &Arc<Self>) -> Result<&Plugin, PluginError> {
        if let Some(plugin) = self.loaded.get() {
            return Ok(plugin);
        }
        let deadline = lock(&self.loader.wait_until).unwrap_or_else(|| Instant::now() + WAIT);
        let mut progress = self.prepare();
        loop {
            if let Some(plugin) = self.loaded.get() {
                return Ok(plugin);
            }
            if let Progress::Failed(failure, _) = &*progress {
                return Err(self.failed(failure));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.failed(&Failure::Away("it was not loaded in time".into())));
            }
            progress = self.changed.wait_timeout(progress, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn failed(&self, failure: &Failure) -> PluginError {
        let reason = match failure {
            Failure::Away(reason) => {
                self.loader.failures.fetch_add(1, Ordering::Relaxed);
                reason
            }
            Failure::Bad(reason) => reason,
        };
        let short = &self.digest[..self.digest.len().min(12)];
        PluginError::new(Kind::HostCall, format!("load {} ({short}): {reason}", self.name))
    }

    fn finish(&self, outcome: Result<Plugin, Failure>) {
        let mut progress = lock(&self.progress);
        *progress = match outcome {
            Ok(plugin) => {
                // Only one load is ever under way.
                let _ = self.loaded.set(plugin);
                Progress::Idle
            }
            Err(failure) => {
                let (plugin, digest) = (&*self.name, &*self.digest);
                let (Failure::Away(reason) | Failure::Bad(reason)) = &failure;
                tracing::error!(plugin, digest, reason, "a component could not be loaded");
                Progress::Failed(failure, Instant::now())
            }
        };
        self.changed.notify_all();
    }

    /// The description says which world it is of, and is compared before anybody gets here.
    fn other_world(&self) -> PluginError {
        PluginError::new(Kind::HostCall, format!("{} is of another world than it was", self.name))
    }

    fn rules(self: &Arc<Self>) -> Result<&RuleComponent, PluginError> {
        match self.get()? {
            Plugin::Rules(rules) => Ok(rules),
            _ => Err(self.other_world()),
        }
    }

    fn parser(self: &Arc<Self>) -> Result<&ParserComponent, PluginError> {
        match self.get()? {
            Plugin::Parser(parser) => Ok(parser),
            _ => Err(self.other_world()),
        }
    }

    fn publishers(self: &Arc<Self>) -> Result<&PublisherComponent, PluginError> {
        match self.get()? {
            Plugin::Publishers(publishers) => Ok(publishers),
            _ => Err(self.other_world()),
        }
    }

    fn output(self: &Arc<Self>) -> Result<&OutputComponent, PluginError> {
        match self.get()? {
            Plugin::Output(output) => Ok(output),
            _ => Err(self.other_world()),
        }
    }

    fn apps(self: &Arc<Self>) -> Result<&AppComponent, PluginError> {
        match self.get()? {
            Plugin::Apps(apps) => Ok(apps),
            _ => Err(self.other_world()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A component of any world.
#[derive(Clone)]
pub enum LazyPlugin {
    Rules(Arc<LazyRules>),
    Parser(Arc<LazyParser>),
    Publishers(Arc<LazyPublishers>),
    Output(Arc<LazyOutput>),
    Apps(Arc<LazyApps>),
}

impl LazyPlugin {
    fn core(&self) -> &Arc<Core> {
        match self {
            LazyPlugin::Rules(rules) => &rules.core,
            LazyPlugin::Parser(parser) => &parser.core,
            LazyPlugin::Publishers(publishers) => &publishers.core,
            LazyPlugin::Output(output) => &output.core,
            LazyPlugin::Apps(apps) => &apps.core,
        }
    }

    /// Of its file.
    pub fn name(&self) -> &str {
        &self.core().name
    }

    /// SHA-256 of the component, hex.
    pub fn digest(&self) -> &str {
        &self.core().digest
    }

    /// Its code is there.
    pub fn is_loaded(&self) -> bool {
        self.core().loaded.get().is_some()
    }

    /// Whether both are the same live component, and not only of the same bytes.
    pub fn is(&self, other: &LazyPlugin) -> bool {
        Arc::ptr_eq(self.core(), other.core())
    }

    pub fn join(&self, set: &mut PluginSet) {
        match self {
            LazyPlugin::Rules(rules) => set.plugins.push(rules.clone()),
            LazyPlugin::Parser(parser) => set.parsers.push(parser.clone()),
            LazyPlugin::Publishers(publishers) => set.publishers.push(publishers.clone()),
            LazyPlugin::Output(output) => set.outputs.push(output.clone()),
            LazyPlugin::Apps(apps) => set.apps.push(apps.clone()),
        }
    }
}

impl fmt::Debug for LazyPlugin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let there = if self.is_loaded() { "" } else { ", not loaded" };
        write!(f, "{}({}{there})", self.name(), &self.digest()[..self.digest().len().min(12)])
    }
}

pub struct LazyRules {
    core: Arc<Core>,
    rules: Vec<RuleInfo>,
}

impl RulePlugin for LazyRules {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn digest(&self) -> &str {
        &self.core.digest
    }

    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    fn prepare(&self) {
        drop(self.core.prepare());
    }

    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(LazySession { rules: self, batch, open: None })
    }
}

struct LazySession<'a> {
    rules: &'a LazyRules,
    batch: &'a Arc<Batch>,
    open: Option<Box<dyn RuleSession + 'a>>,
}

impl RuleSession for LazySession<'_> {
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        let session = match &mut self.open {
            Some(session) => session,
            none => none.insert(self.rules.core.rules()?.open(self.batch)),
        };
        session.evaluate(rule, rows)
    }
}

pub struct LazyParser {
    core: Arc<Core>,
    info: ParserInfo,
}

impl ParserPlugin for LazyParser {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn digest(&self) -> &str {
        &self.core.digest
    }

    fn info(&self) -> &ParserInfo {
        &self.info
    }

    fn sniff(&self, head: &[u8]) -> Result<bool, PluginError> {
        match self.info.sniffs {
            true => self.core.parser()?.sniff(head),
            false => Ok(false),
        }
    }

    fn parse(&self, payload: &[u8]) -> Result<Vec<ParsedPart>, PluginError> {
        self.core.parser()?.parse(payload)
    }
}

pub struct LazyPublishers {
    core: Arc<Core>,
    publishers: Vec<PublisherInfo>,
}

impl PublisherPlugin for LazyPublishers {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn digest(&self) -> &str {
        &self.core.digest
    }

    fn publishers(&self) -> &[PublisherInfo] {
        &self.publishers
    }

    fn publish(
        &self,
        publisher: usize,
        alert: &str,
        publication: &str,
        output: &str,
    ) -> Result<Result<Map<String, Value>, String>, PluginError> {
        self.core.publishers()?.publish(publisher, alert, publication, output)
    }
}

pub struct LazyOutput {
    core: Arc<Core>,
    info: OutputInfo,
}

impl OutputPlugin for LazyOutput {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn digest(&self) -> &str {
        &self.core.digest
    }

    fn info(&self) -> &OutputInfo {
        &self.info
    }

    fn validate(&self, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        self.core.output()?.validate(settings)
    }

    fn deliver(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        match self.core.output() {
            Ok(output) => output.deliver(parcel, outside),
            // Nothing was attempted, so it is no fault of the output, and none that its alert is given up for.
            Err(error) => {
                Ok(Disposition::Retry { reason: error.message, after: None, progress: parcel.progress.clone() })
            }
        }
    }
}

pub struct LazyApps {
    core: Arc<Core>,
    apps: Vec<AppInfo>,
}

impl AppPlugin for LazyApps {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn digest(&self) -> &str {
        &self.core.digest
    }

    fn apps(&self) -> &[AppInfo] {
        &self.apps
    }

    fn validate(&self, kind: usize, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        self.core.apps()?.validate(kind, settings)
    }

    fn poll(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
        match self.core.apps() {
            Ok(apps) => apps.poll(kind, ask, outside),
            // Nobody was asked, so it is no fault of the app.
            Err(error) => Ok(Polled::Retry { reason: error.message, after: None }),
        }
    }
}
