//! Which rules, parsers, outputs and schemas are live for an invocation. Whole sets are swapped, between invocations; a set is put
//! together from the index alone, and code comes when it is needed.

use crate::conf::{Conf, CurrentTables};
use crate::environment::Environment;
use crate::index::Index;
use crate::outputs::{archive_stream, on_aws};
use crate::uploads::{ConfUploads, Load, PluginUploads};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::lookup::AwsTables;
use streamalert_aws::rules_bucket::{Changed, INDEX, RulesBucket, code_key, component_key};
use streamalert_lookup::Status;
use streamalert_pipeline::config::{AppConfigs, Clusters, Outputs, RuleStaging, ScheduledQueries, ThreatIntelConfig};
use streamalert_pipeline::live::Live;
use streamalert_pipeline::plugin::PluginSet;
use streamalert_pipeline::threat_intel::ThreatIntel;
use streamalert_plugins::lazy::{Fetch, FetchError, LazyPlugin, LoadCounts, Loader};
use streamalert_plugins::{
    CodeKey, Host, HostConfig, LoadCheck, LoadError, Plugin, PluginFolder, PluginLimits, Target,
};

/// Seconds between two looks at the bucket, unless something says otherwise: what is uploaded is live soon, and a function that is
/// always busy makes 260,000 requests a month.
const REFRESH_SECONDS: u64 = 10;
/// Milliseconds that an invocation waits for such a look, unless something says otherwise. It takes some ten; what takes
/// longer is there for a later invocation.
const REFRESH_MS: u64 = 1_000;
/// Instances alive at once. A function has one event at a time, so this is about the components that it may keep an instance of;
/// each dirties some hundred kilobytes.
const INSTANCES: u32 = 128;
/// Time kept for what comes after code was waited for in vain: at least so much, or an eighth of all there is.
const WAIT_RESERVE: Duration = Duration::from_secs(3);

/// What is live.
pub struct Now {
    pub live: Arc<Live>,
    pub outputs: Arc<Outputs>,
    /// Of the index; 0 if there is none.
    pub serial: u64,
    conf: Arc<Conf>,
    loader: Arc<Loader>,
}

impl Now {
    pub fn apps(&self) -> &AppConfigs {
        &self.conf.apps
    }

    pub fn scheduled_queries(&self) -> &ScheduledQueries {
        &self.conf.scheduled_queries
    }

    pub fn clusters(&self) -> &Clusters {
        &self.conf.base.clusters
    }

    /// Calls that failed because code could not be had for now, since the start. If it grew, what was done meanwhile is not whole.
    pub fn failures(&self) -> u64 {
        self.loader.failures()
    }

    /// Questions of rules that no lookup table could answer, since the start.
    pub fn failed_lookups(&self) -> u64 {
        self.loader.host().failed_lookups()
    }

    pub fn threat_intel(&self) -> Option<&Arc<ThreatIntel>> {
        self.conf.threat_intel.as_ref()
    }

    pub fn threat_intel_config(&self) -> &ThreatIntelConfig {
        &self.conf.threat_intel_config
    }

    pub fn counts(&self) -> LoadCounts {
        self.loader.counts()
    }

    /// What becomes of rules that are new or changed, and of those on trial.
    pub fn rule_staging(&self) -> Option<&RuleStaging> {
        self.conf.rule_staging.as_ref()
    }
}

/// Nanoseconds since the start, by a clock that only goes forward.
pub(crate) fn nanoseconds() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// What is live, now and later.
pub struct LiveSet {
    loader: Arc<Loader>,
    tables: Arc<CurrentTables>,
    /// The configuration that they are of.
    tabled: Mutex<Option<Arc<Conf>>>,
    bucket: RulesBucket,
    key: Option<CodeKey>,
    /// That alerts are archived by.
    stream: Option<String>,
    refresh: Duration,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Option<Arc<Now>>,
    looked: Option<Instant>,
    /// Waits for its next look.
    looker: Option<Looker>,
    /// Is having it.
    looking: Option<Receiver<Look>>,
}

type Look = (Looker, Result<Option<Now>>);

impl LiveSet {
    /// Environment: `STREAMALERT_CODE_KEY`, `STREAMALERT_REFRESH_SECONDS`, `STREAMALERT_REFRESH_MS`. Looks at the bucket already;
    /// if that fails, the first invocation tries again.
    pub fn open(environment: &Environment) -> Result<Self> {
        let key = match environment.get("STREAMALERT_CODE_KEY") {
            Some(digits) => Some(CodeKey::read(&digits).context("the variable STREAMALERT_CODE_KEY")?),
            None => {
                tracing::warn!("STREAMALERT_CODE_KEY is not set: components are compiled here, at every start");
                None
            }
        };
        let tables = Arc::new(CurrentTables::default());
        let limits = PluginLimits { instances: INSTANCES, ..PluginLimits::default() };
        let host = Host::new(HostConfig { cache_dir: None, limits, lookup_tables: tables.clone() })?;
        let bucket = RulesBucket::new(&environment.aws, environment.names.rules_bucket());
        let loader = Loader::new(host, Arc::new(BucketFetch(bucket.clone())), key.clone());
        let live = LiveSet {
            loader,
            tables,
            tabled: Mutex::default(),
            bucket,
            key,
            stream: archive_stream(environment),
            refresh: Duration::from_secs(environment.read("STREAMALERT_REFRESH_SECONDS", REFRESH_SECONDS)?),
            patience: Duration::from_millis(environment.read("STREAMALERT_REFRESH_MS", REFRESH_MS)?),
            state: Mutex::default(),
        };
        if let Err(error) = live.look(&mut live.lock(), Instant::now() + live.patience) {
            tracing::error!(
                error = format!("{error:#}"),
                "the rules bucket cannot be read; the first event tries again"
            );
        }
        Ok(live)
    }

    /// The set for an invocation that has to be over by `deadline`.
    pub fn current(&self, deadline: Instant) -> Result<Arc<Now>> {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        let last = deadline.checked_sub(WAIT_RESERVE.max(left / 8)).unwrap_or(begun);
        self.loader.wait_until(last);
        let mut state = self.lock();
        match state.now.clone() {
            None => {
                self.look(&mut state, last)?;
            }
            Some(_) if state.looking.is_some() || state.looked.is_none_or(|at| at.elapsed() >= self.refresh) => {
                // What was there goes on.
                if let Err(error) = self.look(&mut state, last.min(begun + self.patience)) {
                    tracing::warn!(error = format!("{error:#}"), "the rules bucket could not be looked at");
                }
            }
            Some(_) => {}
        }
        if state.now.is_some() {
            self.tables.now().refresh();
        }
        state.now.clone().ok_or_else(|| anyhow!("the rules bucket {} was not read in time", self.bucket.name()))
    }

    /// What is known of the lookup tables.
    pub fn tables(&self) -> Vec<Status> {
        self.tables.now().status()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a look, or goes on waiting for the one that is under way. What comes of it is live at once.
    fn look(&self, state: &mut State, until: Instant) -> Result<()> {
        if state.looking.is_none() {
            let mut looker = state.looker.take().unwrap_or_else(|| self.looker());
            let (send, receive) = channel();
            // A thread of its own: it may take longer than this invocation waits, and goes on when there is a next one.
            let work = move || {
                let found = catch_unwind(AssertUnwindSafe(|| looker.look()));
                let found = found.unwrap_or_else(|_| Err(anyhow!("a fault of streamalert; see above")));
                // Nobody waits when the process ends.
                let _ = send.send((looker, found));
            };
            thread::Builder::new()
                .name("look".into())
                .spawn(work)
                .context("no thread to look at the rules bucket with")?;
            state.looking = Some(receive);
        }
        let Some(looking) = &state.looking else { return Ok(()) };
        match looking.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((looker, found)) => {
                state.looking = None;
                state.looked = Some(Instant::now());
                state.looker = Some(looker);
                if let Some(now) = found? {
                    if self
                        .tabled
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .as_ref()
                        .is_none_or(|of| !Arc::ptr_eq(of, &now.conf))
                    {
                        let tables = now.conf.lookup_tables(&AwsTables(self.bucket.aws().clone()));
                        self.tables.set(Arc::new(tables.map_err(|faults| anyhow!("{}", faults.join("\n")))?));
                        *self.tabled.lock().unwrap_or_else(PoisonError::into_inner) = Some(now.conf.clone());
                    }
                    state.now = Some(Arc::new(now));
                }
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => bail!("it takes longer than there is time"),
            Err(RecvTimeoutError::Disconnected) => {
                state.looking = None;
                bail!("the thread that looks at it has ended")
            }
        }
    }

    fn looker(&self) -> Looker {
        Looker {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            stream: self.stream.clone(),
            loader: self.loader.clone(),
            etag: None,
            conf: None,
            plugins: BTreeMap::new(),
            older: BTreeMap::new(),
            live: None,
            own: None,
        }
    }
}

/// Looks at the bucket, and remembers what it saw.
struct Looker {
    bucket: RulesBucket,
    key: Option<CodeKey>,
    stream: Option<String>,
    loader: Arc<Loader>,
    /// Of the index that is live.
    etag: Option<String>,
    /// With its digest.
    conf: Option<(String, Arc<Conf>)>,
    plugins: BTreeMap<String, LazyPlugin>,
    /// By digest.
    older: BTreeMap<String, LazyPlugin>,
    live: Option<Arc<Live>>,
    /// Without an index, the uploads themselves are loaded.
    own: Option<Own>,
}

impl Looker {
    /// What is live now, if it is something else than before.
    fn look(&mut self) -> Result<Option<Now>> {
        let Some(key) = self.key.clone() else { return self.own() };
        let object = match self.bucket.aws().wait(self.bucket.get_unless(INDEX, self.etag.as_deref()))? {
            Changed::Same => return Ok(None),
            Changed::Gone if self.etag.is_some() => {
                tracing::error!(bucket = self.bucket.name(), "{INDEX} was deleted; what was live goes on");
                return Ok(None);
            }
            Changed::Gone => return self.own(),
            Changed::Now(object) => object,
        };
        let index = match Index::read(&object.bytes, &key) {
            Ok(index) => index,
            Err(error) => {
                let bucket = self.bucket.name();
                tracing::error!(bucket, error = format!("{:#}", anyhow!(error)), "{INDEX} cannot be used");
                // What is live goes on; at the start, the uploads are all there is.
                return if self.live.is_some() { Ok(None) } else { self.own() };
            }
        };
        let now = self.from(index)?;
        self.etag = Some(object.etag);
        self.own = None;
        Ok(Some(now))
    }

    fn from(&mut self, index: Index) -> Result<Now> {
        let known = self.conf.as_ref().filter(|(digest, _)| *digest == index.conf);
        let (conf, same_conf) = match known {
            Some((_, conf)) => (conf.clone(), true),
            None => {
                let files = self.bucket.aws().wait(self.bucket.get_conf(&index.conf))?;
                let conf = Conf::read(&files).map_err(|faults| anyhow!("{}", faults.join("\n")))?;
                (Arc::new(conf), false)
            }
        };
        let mut plugins = BTreeMap::new();
        let mut set = PluginSet::default();
        // What was live until now, which may stay so beside what is on trial.
        let mut had: BTreeMap<String, LazyPlugin> =
            self.plugins.values().map(|plugin| (plugin.digest().to_owned(), plugin.clone())).collect();
        let mut keep = BTreeMap::new();
        for entry in index.plugins {
            // What stays keeps its code and its instances.
            let known = self.plugins.remove(&entry.name).filter(|plugin| plugin.digest() == entry.digest);
            let plugin = match known.or_else(|| self.older.remove(&entry.digest)) {
                Some(plugin) => plugin,
                None => self.loader.plugin(&entry.name, &entry.digest, entry.description, &entry.described),
            };
            plugin.join(&mut set);
            plugins.insert(entry.name, plugin);
        }
        let mut older = PluginSet::default();
        for entry in index.older {
            let known = [had.remove(&entry.digest), self.older.remove(&entry.digest)].into_iter().flatten().next();
            let plugin = known
                .unwrap_or_else(|| self.loader.plugin(&entry.name, &entry.digest, entry.description, &entry.described));
            plugin.join(&mut older);
            keep.insert(entry.digest, plugin);
        }
        self.older = keep;
        let live = self.assemble(set, older, &conf, same_conf);
        tracing::info!(serial = index.serial, components = plugins.len(), "what is live has changed");
        self.plugins = plugins;
        self.conf = Some((index.conf, conf.clone()));
        Ok(self.now(live, conf, index.serial))
    }

    /// The classifier goes on where neither schemas nor parsers have changed.
    fn assemble(&mut self, set: PluginSet, older: PluginSet, conf: &Conf, same_conf: bool) -> Arc<Live> {
        let before = self.live.as_deref().filter(|_| same_conf);
        let (live, faults) = Live::new(set, &conf.base, before);
        for fault in faults {
            tracing::warn!(fault = fault.to_string(), "a parser is left out");
        }
        let live = Arc::new(live.beside(older, nanoseconds));
        self.live = Some(live.clone());
        live
    }

    fn now(&self, live: Arc<Live>, conf: Arc<Conf>, serial: u64) -> Now {
        let outputs = Arc::new(on_aws(&conf.outputs, self.stream.as_deref()));
        Now { live, outputs, serial, conf, loader: self.loader.clone() }
    }

    /// Loads the uploads themselves, as on one machine.
    fn own(&mut self) -> Result<Option<Now>> {
        let mut own = self.own.take().unwrap_or_else(|| {
            tracing::warn!(bucket = self.bucket.name(), "there is no index: components are compiled here");
            Own::new(self.loader.host().clone())
        });
        let found = own.look(&self.bucket);
        let conf = own.conf.clone();
        self.own = Some(own);
        let (Some((set, same_conf)), Some(conf)) = (found?, conf) else { return Ok(None) };
        let live = self.assemble(set, PluginSet::default(), &conf, same_conf && self.etag.is_none());
        // An index that comes later begins anew.
        (self.etag, self.conf) = (None, None);
        self.plugins.clear();
        Ok(Some(self.now(live, conf, 0)))
    }
}

/// The uploads, where no compiler has looked at them yet.
struct Own {
    host: Host,
    folder: PluginFolder,
    known: BTreeMap<String, (String, String)>,
    files: ConfUploads,
    /// ETags of the files of the configuration that was last looked at.
    listed: BTreeMap<String, String>,
    conf: Option<Arc<Conf>>,
}

impl Own {
    fn new(host: Host) -> Self {
        Own {
            folder: PluginFolder::new(host.clone()),
            host,
            known: BTreeMap::new(),
            files: ConfUploads::default(),
            listed: BTreeMap::new(),
            conf: None,
        }
    }

    /// The set, if it is another than before, and whether the configuration is still the same.
    fn look(&mut self, bucket: &RulesBucket) -> Result<Option<(PluginSet, bool)>> {
        let aws = bucket.aws();
        let listed = aws.wait(ConfUploads::list(bucket))?;
        let same_conf = self.conf.is_some() && listed == self.listed;
        if !same_conf {
            let read = aws.wait(self.files.read(bucket, &listed))?.and_then(|files| Conf::check(&files));
            match (read, &self.conf) {
                (Ok(conf), _) => self.conf = Some(Arc::new(conf)),
                (Err(faults), None) => bail!("conf/ cannot be used: {}", faults.join("\n")),
                (Err(faults), Some(_)) => {
                    tracing::error!(faults = faults.join("\n"), "conf/ cannot be used; what it was before goes on");
                }
            }
            self.listed = listed;
        }
        let conf = self.conf.clone().context("there is no configuration")?;
        let limits = self.host.limits().clone();
        let mut load = Compile(&self.host);
        let mut uploads = PluginUploads::look(bucket, &limits, &mut self.known, &mut load)?;
        let report = conf.with_check(|check| self.folder.load_from(&mut uploads, check))?;
        for refusal in report.refused.iter().filter(|refusal| refusal.new) {
            let serving = refusal.serving.as_deref();
            tracing::error!(file = refusal.file, serving, error = %refusal.error, "a component is refused");
        }
        let changed = report.changed() || !same_conf;
        Ok(changed.then_some((report.set, same_conf)))
    }
}

struct Compile<'a>(&'a Host);

impl Load for Compile<'_> {
    fn load(
        &mut self,
        name: &str,
        _: &str,
        bytes: &mut dyn FnMut() -> io::Result<Vec<u8>>,
        check: &LoadCheck,
    ) -> io::Result<Result<Plugin, LoadError>> {
        Ok(self.0.load_plugin(name, &bytes()?, check))
    }
}

/// Code and components by their digests.
struct BucketFetch(RulesBucket);

impl Fetch for BucketFetch {
    fn code(&self, target: Target, digest: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let object = self.0.aws().wait(self.0.get(&code_key(&target.form(), digest)))?;
        Ok(object.map(|object| object.bytes.into()))
    }

    fn wasm(&self, digest: &str) -> Result<Vec<u8>, FetchError> {
        let key = component_key(digest);
        let object = self.0.aws().wait(self.0.get(&key))?;
        Ok(object.ok_or_else(|| format!("there is no s3://{}/{key}", self.0.name()))?.bytes.into())
    }
}
