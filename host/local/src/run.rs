//! The one-machine run: opens the doors, waits for the end, drains.

use crate::app_table::SqliteApps;
use crate::apps::{self, Apps, Fetch};
use crate::archived::Archived;
use crate::clock::{self, nanoseconds};
use crate::config_folder::Config;
use crate::dead_letters::DeadLetterFolder;
use crate::file_output::FileOutput;
use crate::http::{HttpDoor, bind};
use crate::inbox::Inbox;
use crate::input::{DeclaredSource, Found, Input, file_source, open, stdin_source};
use crate::intel;
use crate::ioc_table::SqliteIocs;
use crate::native_outputs::native_outputs;
use crate::promotion::Promotion;
use crate::reload::{self, PluginSource};
use crate::rule_table::{CurrentStates, RuleFile};
use crate::runner::{Door, Receipt, Runner, Setup, Sink};
use crate::scheduled_queries::{self, SearchProgram};
use crate::sqlite::SqliteAlerts;
use crate::staging::Staging;
use crate::stop::Stop;
use crate::tally::{Tally, grouped};
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_archive::stored::{Stored, stored};
use streamalert_archive::table::Tables;
use streamalert_archive::{Archive, Keeper};
use streamalert_delivery::metrics::Counts;
use streamalert_delivery::{self as delivery, Post, real_clock};
use streamalert_intake::{Piece, Pieces};
use streamalert_intel::Downloader;
use streamalert_pipeline::alert::{Alert, Hit};
use streamalert_pipeline::backend::{AlertDesk, AlertTable, BackendError, Backlog, SecretStore};
use streamalert_pipeline::classifier::Framing;
use streamalert_pipeline::config::apps::{ALL_TYPES, FILE, nobodys};
use streamalert_pipeline::config::{ArchiveConfig, RuleStaging, Schemas};
use streamalert_pipeline::live::{Base, Live};
use streamalert_pipeline::plugin::World;
use streamalert_pipeline::printable::printable;

/// Files read at a time: one reader unpacks gzip faster than a core classifies it, so a few feed many cores.
const READERS_MAX: usize = 4;
/// How often a reader of a pipe looks whether it should stop.
const PIPE_LOOK: Duration = Duration::from_millis(100);
/// How long requests that are being unpacked may still take when everything else has ended.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(10);
/// Failures that are remembered; all are told.
const FAILURES_MAX: usize = 1_000;

/// The folder in which a run keeps what it knows.
#[derive(Clone, Debug)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Makes it if it is not there, for its owner only: alerts and dead letters hold records.
    pub fn open(path: &Path) -> Result<Self> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path).with_context(|| format!("make the data folder {}", path.display()))?;
        Ok(DataFolder(path.to_path_buf()))
    }

    /// One that must be there already.
    pub fn existing(path: &Path) -> Result<Self> {
        anyhow::ensure!(path.is_dir(), "there is no data folder {}; say where it is with --data", path.display());
        Ok(DataFolder(path.to_path_buf()))
    }

    pub fn alerts(&self) -> Result<SqliteAlerts> {
        Ok(SqliteAlerts::open(&self.0.join("alerts.sqlite"))?)
    }

    pub fn dead_letters(&self) -> Result<DeadLetterFolder> {
        Ok(DeadLetterFolder::open(&self.0.join("dead"))?)
    }

    /// Compiled components.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Files of alerts with the output `file:NAME`.
    pub fn outputs(&self) -> PathBuf {
        self.0.join("outputs")
    }

    /// What was decided about rules.
    pub fn rules(&self) -> RuleFile {
        RuleFile::new(self.0.join("rules.json"))
    }

    /// What becomes of rules that are new or changed.
    pub fn staging(&self, policy: Option<RuleStaging>, plugins: &Path, skip: bool) -> Staging {
        Staging::new(policy, self.rules(), plugins, &self.0, skip)
    }

    /// How far apps have come.
    pub fn apps(&self) -> Result<SqliteApps> {
        Ok(SqliteApps::open(&self.0.join("apps.sqlite"))?)
    }

    /// Records and alerts as tables, for searching.
    pub fn archive(&self) -> PathBuf {
        self.0.join("archive")
    }

    /// The tables of the archive as they lie there.
    pub fn stored(&self, schemas: &Schemas) -> Result<BTreeMap<String, Stored>> {
        Ok(stored(&Archive::at(self.archive()), &Tables::of(schemas))?)
    }

    /// Begins to keep records and alerts, if the configuration does not say otherwise.
    pub fn keeper(
        &self,
        config: &ArchiveConfig,
        schemas: impl Fn() -> Arc<Schemas> + Send + Sync + 'static,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Option<Arc<Keeper>>> {
        if !config.enabled {
            return Ok(None);
        }
        let keeper = Keeper::start(&self.archive(), config.clone(), Box::new(schemas), clock::millis, Box::new(tell));
        Ok(Some(Arc::new(keeper.context("open the archive")?)))
    }

    /// What is known of scheduled queries, and answers that are not events yet.
    pub fn queries(&self) -> PathBuf {
        self.0.join("queries")
    }

    /// Indicators of compromise.
    pub fn iocs(&self) -> Result<SqliteIocs> {
        Ok(SqliteIocs::open(&self.0.join("threat_intel.sqlite"))?)
    }

    /// Credentials of outputs, unless they are kept elsewhere.
    pub fn secrets(&self) -> PathBuf {
        self.0.join("secrets.json")
    }
}

pub struct Options {
    pub found: Found,
    pub watch: Option<PathBuf>,
    /// Which apps have their turns.
    pub fetch: Fetch,
    pub http: Option<SocketAddr>,
    /// What the inputs stand for.
    pub source: Option<DeclaredSource>,
    pub data: DataFolder,
    /// Gets every alert as a JSON line.
    pub alerts_file: Option<PathBuf>,
    pub workers: usize,
    /// Credentials of outputs.
    pub secrets: Arc<dyn SecretStore>,
    /// What outputs may reach.
    pub world: Arc<dyn World>,
    /// By which sources of threat intelligence are asked, if there are any.
    pub feeds: Option<Downloader>,
    /// How long the end of a run waits for deliveries.
    pub drain: Duration,
    /// Whether the end of all inputs ends the waiting of alerts that are to be merged.
    pub flush: bool,
    /// What is new or changed goes live at once, whatever the configuration says.
    pub skip_rule_staging: bool,
}

/// The rules of a run.
pub struct Plugins {
    pub folder: PathBuf,
    pub source: Box<dyn PluginSource>,
    /// What else `GET /metrics` tells, in Prometheus' text form.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// What is going on, for whoever shows it.
pub struct Progress {
    /// Bytes read from files, as they lie on the disk.
    pub read: AtomicU64,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    failures: Mutex<Vec<String>>,
}

impl Progress {
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Progress { read: AtomicU64::new(0), tell: Box::new(tell), failures: Mutex::default() })
    }

    pub fn tell(&self, text: &str) {
        (self.tell)(text);
    }

    /// Something that makes the run's end a failure, though the run goes on.
    pub fn failed(&self, what: String) {
        self.tell(&format!("error: {what}"));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < FAILURES_MAX {
            failures.push(what);
        }
    }

    pub fn counting<R: Read>(self: &Arc<Self>, reader: R) -> Counting<R> {
        Counting { reader, progress: self.clone() }
    }
}

/// Counts what is read.
pub struct Counting<R> {
    reader: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.progress.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// How a run went.
#[derive(Debug)]
pub struct Report {
    pub tally: Tally,
    pub elapsed: Duration,
    /// It was asked to stop before all inputs were read.
    pub unread: usize,
    /// Inputs that could not be read, and files that could not be moved.
    pub failures: Vec<String>,
    /// What became of deliveries.
    pub deliveries: Deliveries,
}

/// What became of deliveries, and what is still owed, by output.
#[derive(Debug, Default)]
pub struct Deliveries {
    pub counts: BTreeMap<String, Counts>,
    pub backlog: BTreeMap<String, Backlog>,
    /// Alerts that became part of others; alerts too few of a kind to tell anybody; alerts that wait for others.
    pub merged: u64,
    pub below_threshold: u64,
    pub waiting: u64,
}

impl Deliveries {
    /// For a person; empty if nothing is to be told.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, count: u64, note: String| {
            let note = if note.is_empty() { note } else { format!("  {note}") };
            text.push_str(&format!("{name:<42}{:>14}{note}\n", grouped(count)));
        };
        let outputs: BTreeSet<&String> = self.counts.keys().chain(self.backlog.keys()).collect();
        let delivered: u64 = self.counts.values().map(|counts| counts.delivered).sum();
        if !outputs.is_empty() {
            line("alerts delivered", delivered, String::new());
        }
        for output in outputs {
            let counts = self.counts.get(output).cloned().unwrap_or_default();
            let backlog = self.backlog.get(output).cloned().unwrap_or_default();
            let mut notes = Vec::new();
            if backlog.owed > 0 {
                notes.push(format!("{} to be tried again", grouped(backlog.owed)));
            }
            if backlog.dead > 0 {
                notes.push(format!("{} given up", grouped(backlog.dead)));
            }
            if let Some(error) = counts.last_error.filter(|_| !notes.is_empty()) {
                notes.push(printable(&error));
            }
            line(&format!("  {}", printable(output)), counts.delivered, notes.join(", "));
        }
        if self.merged > 0 {
            line("alerts merged into others", self.merged, String::new());
        }
        if self.below_threshold > 0 {
            line("alerts below their threshold", self.below_threshold, "kept, nobody is told".into());
        }
        if self.waiting > 0 {
            line("alerts that wait to be merged", self.waiting, "the next run goes on with them".into());
        }
        text
    }
}

/// Runs until all inputs are read, or with an inbox or an HTTP door until a signal comes. `print` gets new alerts,
/// once they are stored.
pub fn run(
    options: Options,
    config: Config,
    plugins: Plugins,
    progress: Arc<Progress>,
    print: impl FnMut(&[&Alert]) + Send + 'static,
) -> Result<Report> {
    let stop = Stop::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("doors")
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async { listen_for_signals(stop.clone(), progress.clone()) })?;

    let alerts = Arc::new(options.data.alerts()?);
    let dead = Arc::new(options.data.dead_letters()?);
    let file = options.alerts_file.clone().map(|path| FileOutput::open(alerts.clone(), path)).transpose()?;

    let Config {
        folder: config_folder,
        schemas,
        clusters,
        outputs,
        apps,
        archive,
        rule_staging,
        scheduled_queries: queries,
        threat_intel,
        ..
    } = config;
    let enricher = intel::enricher(&options.data, &threat_intel, &clusters)?;
    let lacking = scheduled_queries::lacking(&queries, &schemas, &archive);
    if options.fetch != Fetch::Nothing {
        let unknown = nobodys(&apps, &clusters, FILE, ALL_TYPES);
        unknown.iter().for_each(|fault| progress.tell(&format!("warning: {fault}")));
    }
    let base = Base { schemas: Arc::new(schemas), clusters: Arc::new(clusters) };
    let Plugins { folder, mut source, metrics } = plugins;
    let loaded = source.load();
    loaded.notices.iter().for_each(|notice| progress.tell(notice));
    if loaded.set.plugins.iter().all(|plugin| plugin.rules().is_empty()) {
        progress.tell(&format!(
            "warning: no rules in {}, so records are classified and nothing is reported",
            folder.display()
        ));
    }
    let states = Arc::new(CurrentStates::open(options.data.rules())?);
    let staging = options.data.staging(rule_staging.clone(), &folder, options.skip_rule_staging);
    let staging = staging.seen_by(states.clone());
    let older = staging.settle(&loaded.set, None, source.as_mut(), &mut |notice| progress.tell(notice))?;
    let (live, faults) = Live::new(loaded.set, &base, None);
    faults.iter().for_each(|fault| progress.tell(&fault.to_string()));
    let live = Arc::new(ArcSwap::from_pointee(live.beside(older, nanoseconds)));
    {
        let progress = progress.clone();
        let tell = move |notice: &str| progress.tell(notice);
        // Never joined: it may be compiling something that nobody will use.
        reload::start(&folder, source, live.clone(), base, staging, stop.clone(), tell)?;
    }

    let outputs = Arc::new(outputs);
    let archive = {
        let progress = progress.clone();
        let live = live.clone();
        // Parsers bring log types of their own.
        let schemas = move || live.load().classifier.schemas().clone();
        options.data.keeper(&archive, schemas, move |notice| progress.tell(notice))?
    };
    let table: Arc<dyn AlertTable> = match &archive {
        Some(archive) => Arc::new(Archived { table: alerts.clone(), archive: archive.clone() }),
        None => alerts.clone(),
    };
    let post = Post::new(delivery::Setup {
        table,
        live: live.clone(),
        outputs: Arc::new(ArcSwap::new(outputs.clone())),
        secrets: options.secrets.clone(),
        world: options.world.clone(),
        native: native_outputs(options.data.outputs()),
        clock: real_clock(),
    });
    post.start()?;
    let promotion = Promotion {
        policy: rule_staging,
        table: options.data.rules(),
        trials: alerts.clone(),
        live: live.clone(),
        post: post.clone(),
        outputs,
        progress: progress.clone(),
    };
    // Before the first record: trials whose time is over are over.
    promotion.look()?;
    states.refresh()?;
    promotion.start(stop.clone())?;
    if let Some(downloader) = options.feeds {
        let progress = progress.clone();
        // Never joined: it may be waiting for an answer.
        intel::start(downloader, threat_intel, stop.clone(), move |notice| progress.tell(notice))?;
    }
    let setup = Setup {
        archive: archive.clone(),
        enricher,
        live: live.clone(),
        post: post.clone(),
        dead,
        states,
        trials: alerts.clone(),
        ledger: alerts.clone(),
        workers: options.workers,
        stop: stop.clone(),
    };
    // From the first record on: what compiling the plugins takes says nothing of the records a second.
    let begun = Instant::now();
    let runner = Runner::start(setup, Box::new(Outputs { file, print: Box::new(print) }))?;
    let listener = match options.http {
        Some(address) => Some(runtime.block_on(bind(address))?),
        None => None,
    };
    let mut inbox = None;
    if let Some(folder) = &options.watch {
        let opened = Inbox::open(folder, options.source.clone(), runner.door(), stop.clone(), progress.clone());
        let opened = opened.with_context(|| format!("open the inbox {}", folder.display()))?;
        progress.tell(&format!("watching {}", folder.display()));
        inbox = Some(thread::Builder::new().name("inbox".into()).spawn(move || opened.run())?);
    }
    let fetching = match options.fetch {
        Fetch::Nothing => None,
        _ => Some(Apps::new(apps::Setup {
            configs: apps,
            table: Arc::new(options.data.apps()?),
            live,
            secrets: options.secrets,
            world: options.world,
            door: runner.door(),
            stop: stop.clone(),
            progress: progress.clone(),
        })?),
    };
    let figures = fetching.as_ref().map(|apps| apps.figures());
    let serving = match listener {
        None => None,
        Some(listener) => {
            progress.tell(&format!("listening on http://{}", listener.local_addr()?));
            let http = HttpDoor::new(runner.door(), options.source.clone(), runner.total(), stop.clone())
                .with_deliveries(post.clone(), alerts.clone())
                .with_more(Arc::new(move || metrics() + &figures.as_ref().map(|apps| apps.text()).unwrap_or_default()));
            Some(runtime.spawn(http.serve(listener)))
        }
    };

    let mut turns = None;
    match (&options.fetch, &fetching) {
        (Fetch::All, Some(apps)) => turns = Some(apps.start()?),
        (Fetch::Once(app), Some(apps)) => apps.once(app),
        _ => {}
    }
    drop(fetching);

    let stays = serving.is_some() || inbox.is_some() || turns.is_some();
    // A run that ends with its inputs has no schedule.
    let queries = match stays && !queries.queries.is_empty() {
        false => None,
        true => {
            lacking.iter().for_each(|lacking| progress.tell(lacking));
            let folder = options.data.queries();
            let answers = folder.join("answers");
            let engine = SearchProgram::beside(&options.data.0, &config_folder, answers, stop.clone());
            let engine = engine.context("find the program streamalert-search")?;
            let (door, stop, progress) = (runner.door(), stop.clone(), progress.clone());
            let archive = archive.clone();
            let setup = scheduled_queries::Setup { queries, folder, engine, archive, door, stop, progress };
            Some(scheduled_queries::start(setup)?)
        }
    };
    let inputs = Arc::new(Mutex::new(VecDeque::from(options.found.inputs)));
    let readers = read_all(&inputs, &options.source, &runner.door(), &stop, &progress, options.workers)?;
    join(readers);
    if stays {
        runtime.block_on(stop.requested());
    }
    let interrupted = !stays && stop.is_requested();
    stop.request();
    join(inbox);
    join(turns);
    join(queries);
    if let Some(serving) = serving {
        runtime.block_on(serving).context("serve HTTP")?.context("serve HTTP")?;
    }
    // Connections that linger hold a door; with the runtime they go.
    runtime.shutdown_timeout(RUNTIME_PATIENCE);
    let tally = runner.finish();
    let elapsed = begun.elapsed();
    let waited = (|| {
        if options.flush && !stays && !interrupted {
            post.flush()?;
        }
        post.drain(if interrupted { Duration::ZERO } else { options.drain })
    })();
    post.stop();
    // When nothing is merged any more.
    if let Some(archive) = archive {
        archive.finish();
    }
    let tally = tally?;
    waited?;
    let (merged, below_threshold) = post.metrics.merges();
    let deliveries = Deliveries {
        counts: post.metrics.counts(),
        backlog: alerts.backlog()?,
        merged,
        below_threshold,
        waiting: alerts.waiting()?,
    };
    let unread = inputs.lock().unwrap_or_else(PoisonError::into_inner).len();
    let failures = std::mem::take(&mut *progress.failures.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Report { tally, elapsed, unread, failures, deliveries })
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        // It panicked: the panic was printed, and what it held is not acknowledged.
        let _ = thread.join();
    }
}

type Printer = Box<dyn FnMut(&[&Alert]) + Send>;

/// What becomes of alerts after they are stored.
struct Outputs {
    file: Option<FileOutput>,
    print: Printer,
}

impl Sink for Outputs {
    fn alerts(&mut self, new: &[&Alert]) -> Result<(), BackendError> {
        if let Some(file) = &mut self.file {
            file.alerts(new)?;
        }
        // Of a version on trial, what the live one says too would be said twice.
        let said: Vec<&Alert> = new.iter().copied().filter(|alert| !is_echo(alert)).collect();
        (self.print)(&said);
        Ok(())
    }
}

/// An alert of a version on trial that the live version has raised too.
fn is_echo(alert: &Alert) -> bool {
    alert.trial.as_ref().is_some_and(|trial| trial.hit == Hit::Same)
}

/// The first signal drains, the second ends at once.
fn listen_for_signals(stop: Stop, progress: Arc<Progress>) -> Result<()> {
    #[cfg(unix)]
    let mut next = {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        async move || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    };
    #[cfg(not(unix))]
    let mut next = async || drop(tokio::signal::ctrl_c().await);
    tokio::spawn(async move {
        next().await;
        progress.tell("stopping: storing what was taken (a second signal ends at once)");
        stop.request();
        next().await;
        std::process::exit(130);
    });
    Ok(())
}

fn read_all(
    inputs: &Arc<Mutex<VecDeque<Input>>>,
    declared: &Option<DeclaredSource>,
    door: &Door,
    stop: &Stop,
    progress: &Arc<Progress>,
    workers: usize,
) -> io::Result<Vec<JoinHandle<()>>> {
    let waiting = inputs.lock().unwrap_or_else(PoisonError::into_inner).len();
    let mut readers = Vec::new();
    for number in 0..waiting.min(workers).min(READERS_MAX) {
        let (inputs, declared, door, stop, progress) =
            (inputs.clone(), declared.clone(), door.clone(), stop.clone(), progress.clone());
        let read = move || {
            while !stop.is_requested() {
                let Some(input) = inputs.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
                match read_one(&input, declared.as_ref(), &door, &stop, &progress) {
                    Ok(true) => {}
                    Ok(false) => inputs.lock().unwrap_or_else(PoisonError::into_inner).push_front(input),
                    Err(error) => progress.failed(error.to_string()),
                }
            }
        };
        readers.push(thread::Builder::new().name(format!("reader-{number}")).spawn(read)?);
    }
    Ok(readers)
}

/// Says whether it was read to its end.
fn read_one(
    input: &Input,
    declared: Option<&DeclaredSource>,
    door: &Door,
    stop: &Stop,
    progress: &Arc<Progress>,
) -> io::Result<bool> {
    // Nobody waits for a word about a plain input: its end is the run's.
    let receipt = Receipt::new(|_| {});
    match input {
        Input::Stdin => {
            let pipe = Pipe::start(io::stdin(), stop.clone())?;
            let source = Arc::new(stdin_source(declared));
            let pieces = Pieces::new(source, pipe, Framing::default()).framed_by(door.frames());
            feed(pieces.eager(), door, &receipt, stop)
        }
        Input::File(path) => {
            let source = Arc::new(file_source(path, declared)?);
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            let pieces = Pieces::new(source, progress.counting(open(path)?), Framing::default());
            let pieces = pieces.framed_by(door.frames());
            feed(pieces, door, &receipt, stop).map_err(named)
        }
    }
}

/// Hands on all pieces, unless somebody asks to stop. Says whether it came to the end, which the receipt learns too.
pub fn feed<R: Read>(mut pieces: Pieces<R>, door: &Door, receipt: &Arc<Receipt>, stop: &Stop) -> io::Result<bool> {
    loop {
        if stop.is_requested() {
            return Ok(false);
        }
        let sent = match pieces.read_piece() {
            Ok(None) => {
                receipt.whole();
                return Ok(true);
            }
            Ok(Some(Piece::Payload(payload))) => door.payload(payload, receipt, None),
            Ok(Some(Piece::Dead(letter))) => door.dead(*letter, receipt, None),
            Ok(Some(Piece::Skip(skip))) => door.skip(skip, receipt, None),
            Err(_) if stop.is_requested() => return Ok(false),
            Err(error) => return Err(error),
        };
        if sent.is_err() {
            return Ok(false);
        }
    }
}

/// A pipe that can be left while it says nothing: a thread of its own waits for it.
struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
    at: usize,
    stop: Stop,
}

impl Pipe {
    fn start(mut pipe: impl Read + Send + 'static, stop: Stop) -> io::Result<Self> {
        let (send, chunks) = bounded(4);
        // Never joined: it may wait for ever, and holds nothing.
        thread::Builder::new().name("pipe".into()).spawn(move || {
            loop {
                let mut chunk = vec![0; 64 << 10];
                let read = match pipe.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read,
                };
                let last = !matches!(read, Ok(1..));
                let sent = send.send(read.map(|count| {
                    chunk.truncate(count);
                    chunk
                }));
                if last || sent.is_err() {
                    return;
                }
            }
        })?;
        Ok(Pipe { chunks, rest: Vec::new(), at: 0, stop })
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.rest.len() {
            match self.chunks.recv_timeout(PIPE_LOOK) {
                Ok(chunk) => {
                    self.rest = chunk?;
                    self.at = 0;
                    if self.rest.is_empty() {
                        return Ok(0);
                    }
                }
                Err(RecvTimeoutError::Timeout) if !self.stop.is_requested() => {}
                Err(RecvTimeoutError::Timeout) => return Err(io::Error::other("asked to stop")),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len() - self.at);
        buffer[..count].copy_from_slice(&self.rest[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// The rules and parsers of a folder once, for what does not run on: `dead resend`.
pub fn live_once(
    source: &mut dyn PluginSource,
    base: &Base,
    staging: &Staging,
    mut tell: impl FnMut(&str),
) -> Result<Live, BackendError> {
    let loaded = source.load();
    loaded.notices.iter().for_each(|notice| tell(notice));
    let older = staging.settle(&loaded.set, None, source, &mut tell)?;
    let (live, faults) = Live::new(loaded.set, base, None);
    faults.iter().for_each(|fault| tell(&fault.to_string()));
    Ok(live.beside(older, nanoseconds))
}

/// When something happened now, as alerts say it.
pub fn now() -> String {
    clock::now()
}
