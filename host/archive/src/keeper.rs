//! What a run does beside its work: what comes of a group of payloads is in the journal before anybody is answered, and in Parquet
//! files soon after.

use crate::compact::{FILES_MANY, compact, expire};
use crate::convert::{Unknown, convert};
use crate::folder::{Archive, hour};
use crate::journal::{Closed, Journal, Kind, left};
use crate::table::Tables;
use crate::{Result, told};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_processor::publication::default_publication;
use streamalert_pipeline::config::{ArchiveConfig, Schemas};
use streamalert_pipeline::log_record::LogBatch;
use streamalert_pipeline::record_batch::RecordBatch;
use streamalert_pipeline::time::Millis;

/// How long a record waits at most until a query can see it.
pub const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// How often the thread looks whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Bytes of the journal that wait to become files; then the run waits for them.
const BACKLOG_MAX: u64 = 1 << 30;
/// How often the run looks whether the backlog is smaller.
const BACKLOG_LOOK: Duration = Duration::from_millis(20);
/// How long what could not be written waits: a disk that is full stays so for a while.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// How often old hours are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(600);

pub type CurrentSchemas = Box<dyn Fn() -> Arc<Schemas> + Send + Sync>;
pub type Tell = Box<dyn Fn(&str) + Send + Sync>;
/// The time now.
pub type Clock = fn() -> Millis;

/// Keeps what a run makes.
pub struct Keeper {
    shared: Arc<Shared>,
    pieces: Mutex<Option<Sender<Closed>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    archive: Archive,
    config: ArchiveConfig,
    schemas: CurrentSchemas,
    journal: Mutex<Option<Arc<Journal>>>,
    /// Of this process, for names of files.
    name: String,
    merges: AtomicU64,
    clock: Clock,
    tell: Tell,
    backlog: AtomicU64,
    /// Closed pieces that are not in files yet, with when they were opened.
    waiting: Mutex<BTreeMap<PathBuf, Instant>>,
    /// What earlier runs left was dealt with.
    settled: AtomicBool,
    /// Files could not be written: waiting for them would be in vain.
    stuck: AtomicBool,
}

impl Keeper {
    /// Begins with what runs that broke off left behind, beside the run.
    pub fn start(
        root: &Path,
        config: ArchiveConfig,
        schemas: CurrentSchemas,
        clock: Clock,
        tell: Tell,
    ) -> Result<Keeper> {
        let archive = Archive::open(root)?;
        let name = process_name(clock());
        let journal = Arc::new(Journal::open(root, &name)?);
        let shared = Arc::new(Shared {
            archive,
            config,
            schemas,
            journal: Mutex::new(Some(journal)),
            name,
            merges: AtomicU64::new(0),
            clock,
            tell,
            backlog: AtomicU64::new(0),
            waiting: Mutex::default(),
            settled: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        });
        let (pieces, waiting) = channel();
        let thread = {
            let shared = shared.clone();
            let work = move || shared.work(&waiting);
            thread::Builder::new()
                .name("archive".into())
                .spawn(work)
                .map_err(crate::failed("start a thread for", root))?
        };
        Ok(Keeper { shared, pieces: Mutex::new(Some(pieces)), thread: Mutex::new(Some(thread)) })
    }

    /// What is to be kept of a classified batch, as the journal has it; by the thread that classified it.
    pub fn records(&self, batch: &LogBatch, arrived: Millis) -> Vec<String> {
        let batches = RecordBatch::kept(batch, arrived, &|log_type| self.shared.config.keeps(log_type));
        batches.iter().map(RecordBatch::to_text).collect()
    }

    /// Writes what came of a group of payloads, durably. Which of the alerts were new is said at its [`Keeper::end`].
    pub fn begin(&self, records: &[String], alerts: &[Alert]) -> Result<()> {
        while self.shared.backlog.load(Ordering::Relaxed) > BACKLOG_MAX
            && !self.shared.stuck.load(Ordering::Relaxed)
            && self.is_at_work()
        {
            thread::sleep(BACKLOG_LOOK);
        }
        let lines: Vec<String> =
            alerts.iter().map(|alert| serde_json::Value::Object(default_publication(alert)).to_string()).collect();
        let lines = lines.join("\n");
        let mut frames: Vec<(Kind, &[u8])> = records.iter().map(|text| (Kind::Records, text.as_bytes())).collect();
        if !lines.is_empty() {
            frames.push((Kind::Alerts, lines.as_bytes()));
        }
        let over = || Err(crate::failed("write into", self.shared.archive.root())("the archive was closed before"));
        self.shared.with_journal(|journal| journal.begin(&frames)).unwrap_or_else(over)
    }

    fn is_at_work(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// `known` are ids of alerts of the group that were stored before.
    pub fn end(&self, known: &[&str]) -> Result<()> {
        if let Some(piece) = self.shared.closed(|journal| journal.end(known))?
            && let Some(pieces) = &*self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let _ = pieces.send(piece);
        }
        Ok(())
    }

    /// What arrived before this is in files, and what arrived since may not be: none if nothing has waited for long.
    pub fn behind_since(&self) -> Option<Millis> {
        // In this order: a piece that is being closed is then open still, or waits already.
        let waiting = self.shared.waiting();
        let open = self.shared.with_journal(Journal::opened).flatten().filter(|open| open.elapsed() >= SEEN_WITHIN);
        let first = waiting.values().copied().chain(open).min()?;
        // Records arrive a little before they are written.
        let ago = first.elapsed() + SEEN_WITHIN;
        Some((self.shared.clock)() - Millis::try_from(ago.as_millis()).unwrap_or(Millis::MAX))
    }

    /// What runs that broke off left behind was looked at: what could be made files of is in files.
    pub fn is_settled(&self) -> bool {
        self.shared.settled.load(Ordering::Acquire) || !self.is_at_work()
    }

    /// Waits until all of it is in files, those of the run's hours merged.
    pub fn finish(&self) {
        drop(self.pieces.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn with_journal<T>(&self, action: impl FnOnce(&Journal) -> T) -> Option<T> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        journal.map(|journal| action(&journal))
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may close a piece, which waits from then on.
    fn closed(&self, action: impl FnOnce(&Journal) -> Result<Option<Closed>>) -> Result<Option<Closed>> {
        let mut waiting = self.waiting();
        let closed = self.with_journal(action).unwrap_or(Ok(None))?;
        if let Some(piece) = &closed {
            waiting.insert(piece.path.clone(), piece.opened);
            self.backlog.fetch_add(fs::metadata(&piece.path).map_or(0, |file| file.len()), Ordering::Relaxed);
        }
        Ok(closed)
    }

    fn work(&self, waiting: &Receiver<Closed>) {
        let mut touched = BTreeSet::new();
        settle_left(&self.archive, &(self.schemas)(), Unknown::Keep, &mut touched, &self.tell);
        self.settled.store(true, Ordering::Release);
        let mut failed = Vec::new();
        let mut tried = Instant::now();
        let mut expired: Option<Instant> = None;
        loop {
            match waiting.recv_timeout(LOOK_EVERY) {
                Ok(piece) => self.piece(piece.path, &mut touched, &mut failed),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Ok(Some(piece)) = self.closed(|journal| Ok(journal.close(SEEN_WITHIN))) {
                        self.piece(piece.path, &mut touched, &mut failed);
                    }
                    self.merge_past(&mut touched);
                    if !failed.is_empty() && tried.elapsed() >= TRY_AGAIN {
                        for piece in std::mem::take(&mut failed) {
                            self.piece(piece, &mut touched, &mut failed);
                        }
                        tried = Instant::now();
                    }
                }
            }
            for (table, hour) in &touched {
                self.merge(table, hour, FILES_MANY);
            }
            if expired.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY) {
                self.expire();
                expired = Some(Instant::now());
            }
        }
        if let Ok(Some(piece)) = self.closed(|journal| Ok(journal.close_all())) {
            self.piece(piece.path, &mut touched, &mut failed);
        }
        for piece in std::mem::take(&mut failed) {
            self.piece(piece, &mut touched, &mut failed);
        }
        for (table, hour) in &touched {
            self.merge(table, hour, 2);
        }
        // A run that ends at once is one, too: where there are only such, nothing would ever go.
        if expired.is_none_or(|at| at.elapsed() >= EXPIRE_EVERY) {
            self.expire();
        }
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ok(journal)) = journal.map(Arc::try_unwrap) {
            journal.leave();
        }
    }

    fn piece(&self, piece: PathBuf, touched: &mut BTreeSet<(String, String)>, failed: &mut Vec<PathBuf>) {
        let bytes = fs::metadata(&piece).map_or(0, |file| file.len());
        let unwritten = match convert(&self.archive, &Tables::of(&(self.schemas)()), &piece, Unknown::Keep) {
            Ok(done) => {
                done.notices.iter().for_each(|notice| (self.tell)(notice));
                touched.extend(done.touched);
                done.unwritten
            }
            Err(error) => Some(error),
        };
        self.stuck.store(unwritten.is_some(), Ordering::Relaxed);
        match unwritten {
            None => drop(self.waiting().remove(&piece)),
            Some(error) => {
                (self.tell)(&format!(
                    "warning: what is in the archive's journal could not be made files of, and is tried again: {}",
                    told(&error)
                ));
                failed.push(piece);
            }
        }
        self.backlog.fetch_sub(bytes.min(self.backlog.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Hours that are over get no more rows.
    fn merge_past(&self, touched: &mut BTreeSet<(String, String)>) {
        let now = hour((self.clock)());
        touched.retain(|(table, hour)| {
            if *hour >= now {
                return true;
            }
            self.merge(table, hour, 2);
            false
        });
    }

    fn merge(&self, table: &str, hour: &str, many: usize) {
        let stem = format!("{}-{}", self.name, self.merges.fetch_add(1, Ordering::Relaxed));
        if let Err(error) = compact(&self.archive, table, hour, many, &stem) {
            tracing::warn!(error = told(&error), table, hour, "small files were not merged; they are read as they are");
        }
    }

    fn expire(&self) {
        let config = &self.config;
        let done = expire(&self.archive, (self.clock)(), config.retention_days, config.alerts_retention_days);
        if let Err(error) = done {
            tracing::warn!(error = told(&error), "old hours were not removed from the archive");
        }
    }
}

/// Unlike that of any other process on this machine, now and before.
fn process_name(now: Millis) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{now:013}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Says how many pieces wait for somebody who knows their log types.
fn settle_left(
    archive: &Archive,
    schemas: &Schemas,
    unknown: Unknown,
    touched: &mut BTreeSet<(String, String)>,
    tell: &Tell,
) -> usize {
    // Whoever looks while somebody is at it waits: what is half done there would be missed. Where nothing can be written, nobody is.
    let path = archive.root().join(".settling");
    let lock = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let _lock = lock.and_then(|file| file.lock().map(|()| file));
    let found = match left(archive.root()) {
        Ok(found) => found,
        Err(error) => {
            tell(&format!("warning: the archive's journal was not looked at: {}", told(&error)));
            return 0;
        }
    };
    if found.iter().all(|left| left.pieces.is_empty()) {
        found.into_iter().for_each(crate::journal::Left::leave);
        return 0;
    }
    let mut waiting = 0;
    let tables = Tables::of(schemas);
    for left in found {
        for piece in &left.pieces {
            let unwritten = match convert(archive, &tables, piece, unknown) {
                Ok(done) => {
                    done.notices.iter().for_each(|notice| tell(notice));
                    touched.extend(done.touched);
                    // For somebody who knows its log types.
                    waiting += usize::from(unknown == Unknown::Leave && done.unwritten.is_none() && piece.exists());
                    done.unwritten
                }
                Err(error) => Some(error),
            };
            if let Some(error) = unwritten {
                tell(&format!(
                    "warning: what a run that broke off left in the archive's journal stays there: {}",
                    told(&error)
                ));
            }
        }
        left.leave();
    }
    waiting
}

/// Makes files of what runs that broke off left in the journal, for whoever wants to read now. Says how many pieces stay as they
/// are, since they have records of log types that `schemas` do not have: whoever reads does not see these.
pub fn settle(root: &Path, schemas: &Schemas, clock: Clock, tell: Tell) -> usize {
    if !root.join(crate::journal::FOLDER).is_dir() {
        return 0;
    }
    let archive = Archive::at(root);
    let mut touched = BTreeSet::new();
    let waiting = settle_left(&archive, schemas, Unknown::Leave, &mut touched, &tell);
    let name = process_name(clock());
    for (number, (table, hour)) in touched.iter().enumerate() {
        if let Err(error) = compact(&archive, table, hour, 2, &format!("{name}-{number}")) {
            tracing::warn!(error = told(&error), table, hour, "small files were not merged; they are read as they are");
        }
    }
    waiting
}

/// What whoever reads is told where so many pieces wait; nothing where none do.
pub fn unread(waiting: usize, config: &Path) -> Option<String> {
    (waiting > 0).then(|| {
        format!(
            "warning: acknowledged records are missing here: {waiting} pieces of the journal of a run that broke off are not read, since \
             they have records of log types that no schema in {} has; say with --config where that run's configuration is, or let \
             a run begin",
            config.display()
        )
    })
}
