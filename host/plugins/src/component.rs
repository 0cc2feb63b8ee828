//! From bytes to a live component of one of the worlds, or to every reason why not.

use crate::app::AppComponent;
use crate::cache::{Cache, CacheCounts};
use crate::contract::World;
use crate::host::State;
use crate::lookup::LookupFailure;
use crate::output::OutputComponent;
use crate::parser::ParserComponent;
use crate::precompiled::{Compiled, CompiledError};
use crate::publisher::PublisherComponent;
use crate::sandbox::{Exports, Idle, Sandbox};
use crate::{LookupTables, MemoryTables, PluginLimits, contract, describe, engine};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::config::output::NATIVE;
use streamalert_pipeline::plugin::{PluginError, RuleInfo};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

#[derive(Clone)]
pub struct HostConfig {
    /// Where compiled code is kept; `None`: compile at every start.
    pub cache_dir: Option<PathBuf>,
    pub limits: PluginLimits,
    pub lookup_tables: Arc<dyn LookupTables>,
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            cache_dir: None,
            limits: PluginLimits::default(),
            lookup_tables: Arc::new(MemoryTables::default()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("start the WebAssembly engine: {0}")]
pub struct HostError(String);

impl HostError {
    pub(crate) fn new(error: &wasmtime::Error) -> Self {
        HostError(format!("{error:#}"))
    }
}

/// Loads components. Cheap to clone; all clones share one engine and its instances.
#[derive(Clone)]
pub struct Host {
    pub(crate) shared: Arc<Shared>,
}

/// What all components of a host have in common.
pub struct Shared {
    pub engine: Engine,
    pub limits: PluginLimits,
    pub tables: Arc<dyn LookupTables>,
    cache: Option<Cache>,
    compiled: AtomicU64,
    missing: Mutex<BTreeSet<String>>,
    missing_reads: AtomicU64,
    failed_lookups: AtomicU64,
    /// Tables that could not be read, so that each is logged once a minute.
    failed_tables: Mutex<BTreeMap<String, Instant>>,
    idle: Mutex<Vec<Weak<Idle>>>,
    random: AtomicU64,
}

/// What the host knows that components must agree with.
#[derive(Clone, Copy)]
pub struct LoadCheck<'a> {
    /// Is this a log type of the configuration, or a source with subtypes?
    pub knows_log: &'a dyn Fn(&str) -> bool,
    /// All of them: to suggest the one that was meant, and because a parser must not bring another of the same name.
    pub log_types: &'a [String],
    /// The datatypes that some log type declares; `None`: any.
    pub datatypes: Option<&'a [String]>,
    /// Log types that parsers bring, beside those of the configuration.
    pub parser_types: &'a [String],
    /// Services of the host's own outputs, which no component may take. Names of its own publishers the pipeline knows.
    pub native_services: &'a [&'a str],
}

impl LoadCheck<'static> {
    /// Takes every log type and datatype for known: for tools that have no schemas at hand.
    pub fn any_log() -> Self {
        LoadCheck { knows_log: &|_| true, log_types: &[], datatypes: None, parser_types: &[], native_services: &[] }
    }
}

impl LoadCheck<'_> {
    /// By what a configuration has, for as long as `work` takes.
    pub fn with<T>(schemas: &Schemas, work: impl FnOnce(&LoadCheck<'_>) -> T) -> T {
        let log_types: Vec<String> = schemas.iter().map(|log_type| log_type.name.clone()).collect();
        let datatypes = schemas.datatypes();
        work(&LoadCheck {
            knows_log: &|name| schemas.knows(name),
            log_types: &log_types,
            datatypes: Some(&datatypes),
            native_services: &NATIVE,
            ..LoadCheck::any_log()
        })
    }

    /// Whether a rule may look at `log`, a source or a full type.
    pub(crate) fn knows(&self, log: &str) -> bool {
        let named = |known: &String| known == log || known.split_once(':').is_some_and(|(source, _)| source == log);
        (self.knows_log)(log) || self.parser_types.iter().any(named)
    }
}

/// One thing that is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub rule: Option<String>,
    pub field: Option<String>,
    pub message: String,
    /// What the author can do about it.
    pub remedy: String,
}

impl Problem {
    pub(crate) fn component(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Problem { rule: None, field: None, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (&self.rule, &self.field) {
            (Some(rule), Some(field)) => write!(f, "rule {rule}, {field}: ")?,
            (Some(rule), None) => write!(f, "rule {rule}: ")?,
            (None, Some(field)) => write!(f, "{field}: ")?,
            (None, None) => {}
        }
        write!(f, "{} ({})", self.message, self.remedy)
    }
}

/// Why a file is not loaded: everything that is wrong with it, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub file: String,
    pub problems: Vec<Problem>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.problems[..] {
            [one] => write!(f, "{}: {one}", self.file),
            many => {
                write!(f, "{}: {} problems", self.file, many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// A component of any world that was compiled, checked against its world and linked: all there is to it but what it says of
/// itself.
pub struct Code {
    pub(crate) shared: Arc<Shared>,
    /// Its file's, for messages.
    pub(crate) name: Arc<str>,
    world: World,
    pub(crate) digest: String,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    imports: Vec<String>,
    export_names: Vec<String>,
    version: &'static str,
}

impl Code {
    /// Name of its world.
    pub fn world(&self) -> &'static str {
        self.world.name()
    }

    /// What it imports, by full name.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    pub fn exports(&self) -> &[String] {
        &self.export_names
    }

    /// The version of `streamalert:plugin` it is built for.
    pub fn version(&self) -> &'static str {
        self.version
    }

    pub(crate) fn limits(&self) -> &PluginLimits {
        &self.shared.limits
    }

    /// A fresh instance.
    pub(crate) fn start(&self) -> Result<Sandbox, PluginError> {
        Sandbox::start(self)
    }
}

/// With the world's own name, the file's and the beginning of the digest.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}({}, {})", self.world.name(), self.name, &self.digest[..12])
    }
}

/// A live component of rules.
pub struct RuleComponent {
    pub(crate) code: Code,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) rule_names: Vec<Arc<str>>,
    pub(crate) idle: Arc<Idle>,
}

/// A live component of any world.
#[derive(Clone, Debug)]
pub enum Plugin {
    Rules(Arc<RuleComponent>),
    Parser(Arc<ParserComponent>),
    Publishers(Arc<PublisherComponent>),
    Output(Arc<OutputComponent>),
    Apps(Arc<AppComponent>),
}

impl Plugin {
    /// What all worlds have.
    pub fn code(&self) -> &Code {
        match self {
            Plugin::Rules(rules) => &rules.code,
            Plugin::Parser(parser) => &parser.code,
            Plugin::Publishers(publishers) => &publishers.code,
            Plugin::Output(output) => &output.code,
            Plugin::Apps(apps) => &apps.code,
        }
    }

    /// SHA-256 of the component, hex.
    pub fn digest(&self) -> &str {
        &self.code().digest
    }

    /// Whether it would be taken now. It describes itself once more.
    pub fn check(&self, check: &LoadCheck) -> Result<(), LoadError> {
        let code = self.code();
        let asked = match self {
            Plugin::Rules(rules) => rules
                .idle
                .with(code, |sandbox| sandbox.describe_rules(&code.exports))
                .map(|told| describe::check(told, code.limits(), check).map(drop)),
            Plugin::Parser(parser) => parser
                .idle
                .with(code, |sandbox| sandbox.describe_parser(&code.exports))
                .map(|told| describe::check_parser(told, code.limits(), check).map(drop)),
            Plugin::Publishers(found) => found
                .idle
                .with(code, |sandbox| sandbox.describe_publishers(&code.exports))
                .map(|told| describe::check_publishers(told, code.limits()).map(drop)),
            Plugin::Output(_) => code
                .start()
                .and_then(|mut sandbox| sandbox.describe_output(&code.exports))
                .map(|told| describe::check_output(told, code.limits(), check).map(drop)),
            Plugin::Apps(_) => code
                .start()
                .and_then(|mut sandbox| sandbox.describe_apps(&code.exports))
                .map(|told| describe::check_apps(told, code.limits()).map(drop)),
        };
        asked
            .unwrap_or_else(|error| Err(vec![start_problem(&error)]))
            .map_err(|problems| LoadError { file: code.name.to_string(), problems })
    }

    /// What it is, for messages.
    fn what(&self) -> &'static str {
        match self {
            Plugin::Rules(_) => "holds rules",
            Plugin::Parser(_) => "is a parser",
            Plugin::Publishers(_) => "holds publishers",
            Plugin::Output(_) => "is an output",
            Plugin::Apps(_) => "holds apps",
        }
    }

    /// Whether both are the same live component, and not only of the same bytes.
    pub fn is(&self, other: &Plugin) -> bool {
        match (self, other) {
            (Plugin::Rules(a), Plugin::Rules(b)) => Arc::ptr_eq(a, b),
            (Plugin::Parser(a), Plugin::Parser(b)) => Arc::ptr_eq(a, b),
            (Plugin::Publishers(a), Plugin::Publishers(b)) => Arc::ptr_eq(a, b),
            (Plugin::Output(a), Plugin::Output(b)) => Arc::ptr_eq(a, b),
            (Plugin::Apps(a), Plugin::Apps(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for RuleComponent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl Host {
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let engine = engine::start(&config.limits).map_err(|error| HostError::new(&error))?;
        let cache = config.cache_dir.and_then(|folder| match Cache::open(&folder) {
            Ok(cache) => Some(cache),
            Err(error) => {
                let reason = format!("{error}");
                tracing::warn!(folder = %folder.display(), reason, "compiled code is not cached");
                None
            }
        });
        Ok(Host {
            shared: Arc::new(Shared {
                engine,
                limits: config.limits,
                tables: config.lookup_tables,
                cache,
                compiled: AtomicU64::new(0),
                missing: Mutex::default(),
                missing_reads: AtomicU64::new(0),
                failed_lookups: AtomicU64::new(0),
                failed_tables: Mutex::default(),
                idle: Mutex::default(),
                random: AtomicU64::new(seed()),
            }),
        })
    }

    /// Compiles, checks and starts a component of any world; `name` is its file's, for messages.
    pub fn load_plugin(&self, name: &str, bytes: &[u8], check: &LoadCheck) -> Result<Plugin, LoadError> {
        self.compile(bytes)
            .map_err(|problem| vec![problem])
            .and_then(|(component, digest)| self.check_and_start(name, component, digest, check))
            .map_err(|problems| LoadError { file: name.into(), problems })
    }

    /// The same of a component that was compiled before, by [`crate::precompiled::Compiler`].
    pub fn load_compiled(&self, name: &str, compiled: &Compiled, check: &LoadCheck) -> Result<Plugin, CompiledError> {
        let component = compiled.map(&self.shared.engine).map_err(CompiledError::Unfit)?;
        self.check_and_start(name, component, compiled.digest().to_owned(), check)
            .map_err(|problems| CompiledError::Refused(LoadError { file: name.into(), problems }))
    }

    fn check_and_start(
        &self,
        name: &str,
        component: Component,
        digest: String,
        check: &LoadCheck,
    ) -> Result<Plugin, Vec<Problem>> {
        let code = self.prepare(name, component, digest)?;
        match code.world {
            World::Rule => self.rules(code, check).map(|rules| Plugin::Rules(Arc::new(rules))),
            World::Parser => self.parser(code, check).map(|parser| Plugin::Parser(Arc::new(parser))),
            World::Publisher => self.publishers(code).map(|found| Plugin::Publishers(Arc::new(found))),
            World::Output => self.output(code, check).map(|output| Plugin::Output(Arc::new(output))),
            World::App => self.apps(code).map(|apps| Plugin::Apps(Arc::new(apps))),
        }
    }

    /// The same where only rules will do.
    pub fn load(&self, name: &str, bytes: &[u8], check: &LoadCheck) -> Result<Arc<RuleComponent>, LoadError> {
        match self.load_plugin(name, bytes, check)? {
            Plugin::Rules(rules) => Ok(rules),
            other => Err(other_world(name, &other, "holds no rules", "name a component of rules")),
        }
    }

    /// The same where only a parser will do.
    pub fn load_parser(&self, name: &str, bytes: &[u8], check: &LoadCheck) -> Result<Arc<ParserComponent>, LoadError> {
        match self.load_plugin(name, bytes, check)? {
            Plugin::Parser(parser) => Ok(parser),
            other => Err(other_world(name, &other, "is no parser", "name a component of world `parser`")),
        }
    }

    /// The same where only publishers will do.
    pub fn load_publishers(
        &self,
        name: &str,
        bytes: &[u8],
        check: &LoadCheck,
    ) -> Result<Arc<PublisherComponent>, LoadError> {
        match self.load_plugin(name, bytes, check)? {
            Plugin::Publishers(publishers) => Ok(publishers),
            other => Err(other_world(name, &other, "holds no publishers", "name a component of world `publisher`")),
        }
    }

    /// The same where only an output will do.
    pub fn load_output(&self, name: &str, bytes: &[u8], check: &LoadCheck) -> Result<Arc<OutputComponent>, LoadError> {
        match self.load_plugin(name, bytes, check)? {
            Plugin::Output(output) => Ok(output),
            other => Err(other_world(name, &other, "is no output", "name a component of world `output`")),
        }
    }

    /// The same where only apps will do.
    pub fn load_apps(&self, name: &str, bytes: &[u8], check: &LoadCheck) -> Result<Arc<AppComponent>, LoadError> {
        match self.load_plugin(name, bytes, check)? {
            Plugin::Apps(apps) => Ok(apps),
            other => Err(other_world(name, &other, "holds no apps", "name a component of world `app`")),
        }
    }

    /// All that can be known of a component without running it.
    fn prepare(&self, name: &str, component: Component, digest: String) -> Result<Code, Vec<Problem>> {
        let (world, version) = contract::check(&self.shared.engine, &component)?;
        let pre = self.link(&component, version).map_err(|problem| vec![problem])?;
        let exports = Exports::find(&component, world, version).map_err(|problem| vec![problem])?;
        Ok(Code {
            shared: self.shared.clone(),
            name: name.into(),
            world,
            digest,
            pre,
            exports,
            imports: contract::imports(&self.shared.engine, &component),
            export_names: contract::exports(&self.shared.engine, &component),
            version,
        })
    }

    /// Starts the component and lets it describe itself by `ask`.
    fn describe<T>(
        &self,
        code: &Code,
        ask: impl FnOnce(&mut Sandbox, &Exports) -> Result<T, PluginError>,
    ) -> Result<(T, Sandbox), Vec<Problem>> {
        let started = code.start().and_then(|mut sandbox| {
            let described = ask(&mut sandbox, &code.exports)?;
            Ok((described, sandbox))
        });
        started.map_err(|error| vec![start_problem(&error)])
    }

    /// The same; the instance waits for work.
    fn start<T>(
        &self,
        code: &Code,
        ask: impl FnOnce(&mut Sandbox, &Exports) -> Result<T, PluginError>,
    ) -> Result<(T, Arc<Idle>), Vec<Problem>> {
        let (described, sandbox) = self.describe(code, ask)?;
        let idle = Arc::new(Idle::default());
        idle.put(sandbox);
        self.shared.register(&idle);
        Ok((described, idle))
    }

    fn rules(&self, code: Code, check: &LoadCheck) -> Result<RuleComponent, Vec<Problem>> {
        let (described, idle) = self.start(&code, Sandbox::describe_rules)?;
        let rules = describe::check(described, &self.shared.limits, check)?;
        let rule_names = rules.iter().map(|rule| rule.name.as_str().into()).collect();
        Ok(RuleComponent { code, rules, rule_names, idle })
    }

    fn parser(&self, code: Code, check: &LoadCheck) -> Result<ParserComponent, Vec<Problem>> {
        let (described, idle) = self.start(&code, Sandbox::describe_parser)?;
        let (info, schemas) = describe::check_parser(described, &self.shared.limits, check)?;
        Ok(ParserComponent { code, info, schemas: Arc::new(schemas), idle })
    }

    fn publishers(&self, code: Code) -> Result<PublisherComponent, Vec<Problem>> {
        let (described, idle) = self.start(&code, Sandbox::describe_publishers)?;
        let publishers = describe::check_publishers(described, &self.shared.limits)?;
        Ok(PublisherComponent { code, publishers, idle })
    }

    fn output(&self, code: Code, check: &LoadCheck) -> Result<OutputComponent, Vec<Problem>> {
        let (described, _) = self.describe(&code, Sandbox::describe_output)?;
        let info = describe::check_output(described, &self.shared.limits, check)?;
        Ok(OutputComponent { code, info: Arc::new(info) })
    }

    fn apps(&self, code: Code) -> Result<AppComponent, Vec<Problem>> {
        let (described, _) = self.describe(&code, Sandbox::describe_apps)?;
        let apps = describe::check_apps(described, &self.shared.limits)?;
        Ok(AppComponent { code, apps })
    }

    /// Compiled code and the digest of the bytes it came from.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<(Component, String), Problem> {
        let shared = &self.shared;
        check_file(bytes, &shared.limits)?;
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let component = match shared.cache.as_ref().and_then(|cache| cache.load(&shared.engine, &digest)) {
            Some(component) => component,
            None => {
                shared.compiled.fetch_add(1, Ordering::Relaxed);
                let component = Component::new(&shared.engine, bytes).map_err(|error| invalid(&error))?;
                if let Some(cache) = &shared.cache {
                    cache.store(&shared.engine, &digest, &component);
                }
                component
            }
        };
        Ok((component, hex(&digest)))
    }

    fn link(&self, component: &Component, version: &str) -> Result<InstancePre<State>, Problem> {
        let engine = &self.shared.engine;
        let mut linker = Linker::new(engine);
        crate::host::link(&mut linker, version)
            .and_then(|()| crate::wasi::link(&mut linker, component))
            .and_then(|()| linker.instantiate_pre(component))
            .map_err(|error| {
                Problem::component(
                    format!("its imports do not fit: {error:#}"),
                    format!("build it against wit/ of {}@{version}, unchanged", contract::PACKAGE),
                )
            })
    }

    pub fn limits(&self) -> &PluginLimits {
        &self.shared.limits
    }

    /// Components compiled by this host, and what its cache did.
    pub fn cache_counts(&self) -> CacheCounts {
        let compiled = self.shared.compiled.load(Ordering::Relaxed);
        let counts = self.shared.cache.as_ref().map(Cache::counts).unwrap_or_default();
        CacheCounts { compiled, ..counts }
    }

    /// Whether compiled code is kept; `false` also when the folder was refused.
    pub fn caches(&self) -> bool {
        self.shared.cache.is_some()
    }

    /// Look-ups in tables that do not exist, since the start.
    pub fn missing_table_reads(&self) -> u64 {
        self.shared.missing_reads.load(Ordering::Relaxed)
    }

    /// Look-ups that came to nothing because a table could not be read, since the start.
    pub fn failed_lookups(&self) -> u64 {
        self.shared.failed_lookups.load(Ordering::Relaxed)
    }
}

impl RuleComponent {
    pub fn code(&self) -> &Code {
        &self.code
    }
}

/// Names of missing tables that are remembered, so that each is logged once; guests choose these names.
const MISSING_TABLES_MAX: usize = 1000;

/// How often it is told of a table that cannot be read. Only tables of the configuration fail, so there are few.
const FAILED_TABLES_TOLD: Duration = Duration::from_secs(60);

impl Shared {
    pub fn missing_table(&self, plugin: &str, table: &str) {
        self.missing_reads.fetch_add(1, Ordering::Relaxed);
        let table = crate::host::printable(table, 100);
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.len() < MISSING_TABLES_MAX && missing.insert(table.clone()) {
            tracing::warn!(plugin, table, "a rule asks a lookup table that does not exist");
        }
    }

    pub fn failed_lookup(&self, plugin: &str, failure: &LookupFailure) {
        self.failed_lookups.fetch_add(1, Ordering::Relaxed);
        let mut failed = self.failed_tables.lock().unwrap_or_else(PoisonError::into_inner);
        let told = failed.get(&failure.table).is_some_and(|at| at.elapsed() < FAILED_TABLES_TOLD);
        if !told {
            failed.insert(failure.table.clone(), Instant::now());
            let (table, message) = (&failure.table, &failure.message);
            tracing::error!(plugin, table, message, "a lookup table cannot be read; rules that ask it fail");
        }
    }

    /// A number nobody can use for anything but spreading things out (xorshift64*).
    pub fn random(&self) -> u64 {
        let step = |mut x: u64| {
            x ^= x >> 12;
            x ^= x << 25;
            x ^ x >> 27
        };
        let before = self.random.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(step(x)));
        before.unwrap_or(1).wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn register(&self, idle: &Arc<Idle>) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|idle| idle.strong_count() > 0);
        all.push(Arc::downgrade(idle));
    }

    /// Gives the slots of all waiting instances back to the pool: another component needs one.
    pub fn evict_idle(&self) {
        let all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).for_each(|idle| idle.clear());
    }
}

fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id()) | 1
}

pub(crate) enum FileKind {
    Component,
    Module,
    Other,
}

/// By the first eight bytes: magic, then version and layer.
pub(crate) fn kind(bytes: &[u8]) -> FileKind {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => FileKind::Module,
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => FileKind::Component,
        _ => FileKind::Other,
    }
}

/// What can be said against a file before it is compiled.
pub(crate) fn check_file(bytes: &[u8], limits: &PluginLimits) -> Result<(), Problem> {
    match kind(bytes) {
        FileKind::Component => {}
        FileKind::Module => {
            return Err(Problem::component(
                "is a core WebAssembly module, not a component",
                "in Rust, `streamalert build` makes a component; otherwise `wasm-tools component new`",
            ));
        }
        FileKind::Other => {
            return Err(Problem::component("is not WebAssembly", "copy the .wasm file that the build made, whole"));
        }
    }
    if bytes.len() > limits.component_bytes {
        let (mib, limit) = (bytes.len() >> 20, limits.component_bytes >> 20);
        return Err(Problem::component(format!("has {mib} MiB"), format!("the limit is {limit} MiB")));
    }
    Ok(())
}

/// What the compiler says against a file.
pub(crate) fn invalid(error: &wasmtime::Error) -> Problem {
    Problem::component(
        format!("is no valid component: {error:#}"),
        "was the file copied whole? build it again with an up-to-date toolchain",
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn other_world(file: &str, plugin: &Plugin, lacks: &str, remedy: &str) -> LoadError {
    let problem = Problem::component(format!("{} and {lacks}", plugin.what()), remedy);
    LoadError { file: file.into(), problems: vec![problem] }
}

fn start_problem(error: &PluginError) -> Problem {
    Problem {
        rule: None,
        field: Some("describe".into()),
        message: format!("the component does not start: {error}"),
        remedy: "`describe` must answer without a trap, within its fuel and memory; there are no records, alerts or hosts to ask yet".into(),
    }
}
