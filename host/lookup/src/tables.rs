//! All tables of a configuration: what a batch sees of them, and when it is something newer.
//!
//! A table that is read as a whole is swapped as a whole, between batches. Of one that is asked key by key, what was read for a
//! batch stays for that batch; between batches, answers are remembered for as long as the configuration says.

use crate::cache::Cache;
use crate::content::{self, Table};
use crate::file::TableFile;
use arc_swap::ArcSwapOption;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::config::TableConfigs;
use streamalert_pipeline::config::lookup_tables::{
    ContentConfig, Format, KeyedConfig, TABLE_BYTES, TABLE_ENTRIES, TablePlace,
};
use streamalert_pipeline::lookup::{
    Content, Looked, LookupFailure, LookupSnapshot, LookupTables, TableContent, TableItems, TableServices,
};

/// How often files are looked at that lie on this machine.
const NEAR: Duration = Duration::from_secs(1);
/// A table that could not be read at all is not tried again before: each try may take seconds, and every batch would wait.
const RETRY: Duration = Duration::from_secs(5);
/// How long one question may wait for a service.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long all questions of one batch may wait, for each table: the longest that a function can lose by a slow table.
const PATIENCE_OF_A_BATCH: Duration = Duration::from_secs(20);
/// Keys of one call that reads ahead, that which was asked for among them.
const READ_AT_ONCE: usize = 200;

#[derive(Default)]
pub struct Tables {
    tables: BTreeMap<String, Arc<One>>,
}

enum One {
    Whole(Whole),
    Keyed(Keyed),
    /// At hand from the beginning.
    Given(Arc<Table>),
}

struct Whole {
    name: String,
    driver: &'static str,
    content: Box<dyn TableContent>,
    config: ContentConfig,
    every: Duration,
    now: ArcSwapOption<Table>,
    state: Mutex<WholeState>,
    failures: AtomicU64,
}

#[derive(Default)]
struct WholeState {
    version: Option<String>,
    /// When it was looked at last, and when it was found to be as it is.
    looked: Option<Instant>,
    loaded: Option<jiff::Timestamp>,
    error: Option<String>,
}

struct Keyed {
    name: String,
    items: Box<dyn TableItems>,
    config: KeyedConfig,
    known: Mutex<Cache<String, Option<Arc<str>>>>,
    calls: AtomicU64,
    failures: AtomicU64,
}

/// What is known of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub table: String,
    pub driver: &'static str,
    pub place: String,
    /// Of a table that was read as a whole: entries, bytes, when it was read.
    pub entries: Option<u64>,
    pub bytes: Option<u64>,
    pub loaded: Option<String>,
    /// Why it could not be read when that was tried last.
    pub error: Option<String>,
    /// Calls, and times it could not be read, since the start.
    pub calls: u64,
    pub failures: u64,
    pub about: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn told(error: &BackendError) -> String {
    match &error.source {
        Some(source) => format!("{}: {source}", error.action),
        None => error.action.clone(),
    }
}

/// A JSON object of the configuration itself.
pub fn own_json() -> ContentConfig {
    ContentConfig {
        format: Format::Json,
        key_column: None,
        value_column: None,
        delimiter: b',',
        bytes_max: TABLE_BYTES,
        entries_max: TABLE_ENTRIES,
    }
}

/// What is to be done about a table in a file where there are none.
pub fn no_files(name: &str) -> String {
    format!(
        "lookup_tables.json: tables.{name}: functions on AWS have no files; put the table into lookup_tables/{name}.json, or into a \
         bucket with the driver s3"
    )
}

/// A text of the configuration, which does not change.
struct Text {
    file: String,
    text: String,
}

impl TableContent for Text {
    fn place(&self) -> String {
        self.file.clone()
    }
    fn read(&self, known: Option<&str>, _: u64) -> Result<Content, BackendError> {
        Ok(match known {
            Some(_) => Content::Same,
            None => Content::Now { version: String::new(), bytes: self.text.clone().into_bytes() },
        })
    }
    fn write(&self, _: Option<&str>, _: &[u8]) -> Result<(), BackendError> {
        Err(BackendError::other(format!("write {}", self.file), "it is changed by uploading another"))
    }
}

impl Tables {
    /// Those that the configuration names. `folder` is its own, if it lies on this machine.
    pub fn of(
        configs: &TableConfigs,
        folder: Option<&Path>,
        services: Option<&dyn TableServices>,
    ) -> Result<Tables, Vec<String>> {
        let (mut tables, mut faults) = (Tables::default(), Vec::new());
        for (name, config) in &configs.tables {
            match (&config.place, folder, services) {
                (TablePlace::File { path, content }, Some(folder), _) => {
                    let file = TableFile::new(folder.join(path));
                    tables.insert_whole(name, "file", Box::new(file), content.clone(), config.refresh);
                }
                (TablePlace::File { .. }, None, _) => faults.push(no_files(name)),
                (TablePlace::S3 { bucket, key, content }, _, Some(services)) => {
                    tables.insert_whole(name, "s3", services.object(bucket, key), content.clone(), config.refresh);
                }
                (TablePlace::DynamoDb(keyed), _, Some(services)) => {
                    tables.insert_keyed(name, services.items(keyed), keyed.clone(), config.refresh);
                }
                (_, _, None) => {
                    faults.push(format!("lookup_tables.json: tables.{name}: there is no way to AWS from here"));
                }
            }
        }
        if faults.is_empty() { Ok(tables) } else { Err(faults) }
    }

    /// A file of the configuration's folder `lookup_tables`, which is seen when it changes.
    pub fn insert_file(&mut self, name: &str, path: &Path) {
        self.insert_whole(name, "file", Box::new(TableFile::new(path.to_path_buf())), own_json(), NEAR);
    }

    /// The same as a text, read when it is asked for the first time: who asks none should not wait for any.
    pub fn insert_text(&mut self, name: &str, text: String) {
        let text = Text { file: format!("lookup_tables/{name}.json"), text };
        self.insert_whole(name, "file", Box::new(text), own_json(), Duration::MAX);
    }

    pub fn insert_whole(
        &mut self,
        name: &str,
        driver: &'static str,
        content: Box<dyn TableContent>,
        config: ContentConfig,
        every: Duration,
    ) {
        let whole = Whole {
            name: name.to_owned(),
            driver,
            content,
            config,
            every,
            now: ArcSwapOption::empty(),
            state: Mutex::default(),
            failures: AtomicU64::new(0),
        };
        self.tables.insert(name.to_owned(), Arc::new(One::Whole(whole)));
    }

    pub fn insert_keyed(&mut self, name: &str, items: Box<dyn TableItems>, config: KeyedConfig, every: Duration) {
        let known = Mutex::new(Cache::new(config.keys_max, every));
        let (calls, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        let keyed = Keyed { name: name.to_owned(), items, config, known, calls, failures };
        self.tables.insert(name.to_owned(), Arc::new(One::Keyed(keyed)));
    }

    pub fn insert(&mut self, name: &str, table: Table) {
        self.tables.insert(name.to_owned(), Arc::new(One::Given(Arc::new(table))));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Reads every table that is read as a whole, where it costs little. What is wrong is told, table by table.
    pub fn load_near(&self) -> Vec<LookupFailure> {
        let near = self.tables.values().filter_map(|one| match &**one {
            One::Whole(whole) if whole.content.is_near() => whole.table().err(),
            _ => None,
        });
        near.collect()
    }

    /// Looks again at every table that is in use and due. What cannot be read stays what it was.
    pub fn refresh(&self) {
        for one in self.tables.values() {
            if let One::Whole(whole) = &**one {
                whole.refresh();
            }
        }
    }

    /// Looks again every second, for as long as somebody holds the tables.
    pub fn keep_fresh(self: &Arc<Self>) -> std::io::Result<()> {
        if !self.has_whole() {
            return Ok(());
        }
        let tables = Arc::downgrade(self);
        let look = move || {
            loop {
                std::thread::sleep(NEAR);
                let Some(tables) = tables.upgrade() else { return };
                tables.refresh();
            }
        };
        std::thread::Builder::new().name("lookup".into()).spawn(look).map(drop)
    }

    /// Whether anything is to be refreshed at all.
    pub fn has_whole(&self) -> bool {
        self.tables.values().any(|one| matches!(**one, One::Whole(_)))
    }

    pub fn status(&self) -> Vec<Status> {
        self.tables.iter().map(|(name, one)| one.status(name)).collect()
    }

    /// In Prometheus' text form.
    pub fn metrics(&self) -> String {
        use std::fmt::Write as _;
        let status = self.status();
        let mut text = String::new();
        if status.is_empty() {
            return text;
        }
        let escaped = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut family = |name: &str, kind: &str, help: &str, value: fn(&Status) -> Option<u64>| {
            let _ = writeln!(text, "# HELP streamalert_lookup_{name} {help}\n# TYPE streamalert_lookup_{name} {kind}");
            for table in &status {
                if let Some(value) = value(table) {
                    let _ = writeln!(text, "streamalert_lookup_{name}{{table=\"{}\"}} {value}", escaped(&table.table));
                }
            }
        };
        family("failures_total", "counter", "Times that a lookup table could not be read.", |table| {
            Some(table.failures)
        });
        family("calls_total", "counter", "Calls of services for keys of a lookup table.", |table| Some(table.calls));
        family("broken", "gauge", "Whether the last look at a table failed; what it was goes on.", |table| {
            Some(u64::from(table.error.is_some()))
        });
        family("entries", "gauge", "Entries of a lookup table that was read whole.", |table| table.entries);
        text
    }

    /// Reads one table if need be, for people. `None`: there is no such table.
    pub fn look(&self, table: &str) -> Option<Result<Status, LookupFailure>> {
        let one = self.tables.get(table)?;
        let read = match &**one {
            One::Whole(whole) => whole.table().map(drop),
            _ => Ok(()),
        };
        Some(read.map(|()| one.status(table)))
    }

    /// Some keys, in order. `None`: there is no such table.
    pub fn keys(&self, table: &str, limit: usize) -> Option<Result<Vec<String>, LookupFailure>> {
        let owned = |table: &Table| table.keys(limit).into_iter().map(str::to_owned).collect();
        Some(match &**self.tables.get(table)? {
            One::Given(table) => Ok(owned(table)),
            One::Whole(whole) => whole.table().map(|table| owned(&table)),
            One::Keyed(keyed) => keyed.items.keys(limit).map_err(|error| keyed.failure(told(&error))),
        })
    }
}

impl One {
    fn status(&self, name: &str) -> Status {
        match self {
            One::Given(table) => Status {
                table: name.to_owned(),
                driver: "file",
                place: "the configuration".to_owned(),
                entries: table.len().map(|count| count as u64),
                bytes: None,
                loaded: None,
                error: None,
                calls: 0,
                failures: 0,
                about: table.kind(),
            },
            One::Whole(whole) => {
                let state = lock(&whole.state);
                let table = whole.now.load_full();
                Status {
                    table: name.to_owned(),
                    driver: whole.driver,
                    place: whole.content.place(),
                    entries: table.as_ref().and_then(|table| table.len()).map(|count| count as u64),
                    bytes: table.as_ref().map(|table| table.bytes),
                    loaded: state.loaded.map(|at| at.to_string()),
                    error: state.error.clone(),
                    calls: 0,
                    failures: whole.failures.load(Ordering::Relaxed),
                    about: table.map(|table| table.kind()).unwrap_or_default(),
                }
            }
            One::Keyed(keyed) => Status {
                table: name.to_owned(),
                driver: "dynamodb",
                place: keyed.items.place(),
                entries: None,
                bytes: None,
                loaded: None,
                error: None,
                calls: keyed.calls.load(Ordering::Relaxed),
                failures: keyed.failures.load(Ordering::Relaxed),
                about: format!("{} keys remembered", lock(&keyed.known).len()),
            },
        }
    }
}

impl Whole {
    fn failure(&self, message: String) -> LookupFailure {
        LookupFailure { table: self.name.clone(), message }
    }

    /// As it is now; read, if it never was.
    fn table(&self) -> Result<Arc<Table>, LookupFailure> {
        if let Some(table) = self.now.load_full() {
            return Ok(table);
        }
        let mut state = lock(&self.state);
        if let Some(table) = self.now.load_full() {
            return Ok(table);
        }
        if let (Some(error), Some(looked)) = (&state.error, state.looked)
            && looked.elapsed() < RETRY
        {
            return Err(self.failure(error.clone()));
        }
        self.read(&mut state);
        match (self.now.load_full(), &state.error) {
            (Some(table), _) => Ok(table),
            (None, error) => Err(self.failure(error.clone().unwrap_or_default())),
        }
    }

    fn refresh(&self) {
        let mut state = lock(&self.state);
        // What nobody has asked for is not worth a call.
        let in_use = self.now.load().is_some() || self.content.is_near();
        let every = if self.content.is_near() { NEAR.min(self.every) } else { self.every };
        // One that could not be read is tried again sooner.
        let every = if state.error.is_some() { every.min(RETRY) } else { every };
        if in_use && state.looked.is_none_or(|at| at.elapsed() >= every) {
            self.read(&mut state);
        }
    }

    fn read(&self, state: &mut WholeState) {
        state.looked = Some(Instant::now());
        let known = state.version.as_deref().filter(|_| self.now.load().is_some());
        let read = match self.content.read(known, self.config.bytes_max) {
            Ok(Content::Same) => {
                state.error = None;
                return;
            }
            Ok(Content::Now { version, bytes }) => content::read(&bytes, &self.config)
                .map(|table| (version, table))
                .map_err(|error| format!("{}: {error}", self.content.place())),
            Ok(Content::Gone) => Err(format!("there is no {}", self.content.place())),
            Err(error) => Err(told(&error)),
        };
        match read {
            Ok((version, table)) => {
                if table.repeated > 0 {
                    let (table, repeated) = (&self.name, table.repeated);
                    tracing::warn!(
                        table,
                        repeated,
                        "keys of a lookup table come more than once; the last of each counts"
                    );
                }
                self.now.store(Some(Arc::new(table)));
                *state = WholeState {
                    version: Some(version),
                    looked: state.looked,
                    loaded: Some(jiff::Timestamp::now()),
                    error: None,
                };
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let kept = self.now.load().is_some();
                // Once for each reason: it is tried every few seconds.
                if state.error.as_ref() != Some(&error) {
                    let table = &self.name;
                    match kept {
                        true => {
                            tracing::error!(table, error, "a lookup table could not be read again; what it was goes on")
                        }
                        false => tracing::error!(table, error, "a lookup table cannot be read"),
                    }
                }
                state.error = Some(error);
            }
        }
    }
}

impl Keyed {
    fn failure(&self, message: String) -> LookupFailure {
        LookupFailure { table: self.name.clone(), message }
    }
}

impl LookupTables for Tables {
    fn snapshot(&self) -> Arc<dyn LookupSnapshot> {
        let seen = self.tables.iter().map(|(name, one)| {
            let seen = match &**one {
                One::Given(table) => Seen::Table(table.clone()),
                One::Whole(whole) => match whole.now.load_full() {
                    Some(table) => Seen::Table(table),
                    None => Seen::Unread(one.clone()),
                },
                One::Keyed(_) => Seen::Keyed(one.clone(), Box::default()),
            };
            (name.clone(), Mutex::new(seen))
        });
        Arc::new(Snapshot { seen: seen.collect() })
    }
}

/// What one batch sees.
struct Snapshot {
    seen: HashMap<String, Mutex<Seen>>,
}

enum Seen {
    Table(Arc<Table>),
    Unread(Arc<One>),
    Failed(LookupFailure),
    Keyed(Arc<One>, Box<SeenKeys>),
}

#[derive(Default)]
struct SeenKeys {
    values: HashMap<String, Option<Arc<str>>>,
    waited: Duration,
    failed: Option<LookupFailure>,
}

fn looked(value: Option<String>) -> Looked {
    value.map_or(Looked::NoKey, Looked::Found)
}

impl LookupSnapshot for Snapshot {
    fn get(&self, table: &str, key: &str, more: &mut dyn FnMut() -> Vec<String>) -> Result<Looked, LookupFailure> {
        let Some(seen) = self.seen.get(table) else { return Ok(Looked::NoTable) };
        let mut seen = lock(seen);
        if let Seen::Unread(one) = &*seen
            && let One::Whole(whole) = &**one
        {
            *seen = whole.table().map_or_else(Seen::Failed, Seen::Table);
        }
        match &mut *seen {
            Seen::Table(of) => {
                let of = of.clone();
                drop(seen);
                let failed = |message| LookupFailure { table: table.to_owned(), message };
                of.get(key).map(looked).map_err(failed)
            }
            Seen::Failed(failure) => Err(failure.clone()),
            Seen::Keyed(one, keys) => match &**one {
                One::Keyed(keyed) => keys.get(keyed, key, more),
                _ => Ok(Looked::NoTable),
            },
            Seen::Unread(_) => Ok(Looked::NoTable),
        }
    }
}

impl SeenKeys {
    fn get(
        &mut self,
        keyed: &Keyed,
        key: &str,
        more: &mut dyn FnMut() -> Vec<String>,
    ) -> Result<Looked, LookupFailure> {
        let text = |value: &Option<Arc<str>>| looked(value.as_deref().map(str::to_owned));
        if let Some(value) = self.values.get(key) {
            return Ok(text(value));
        }
        let now = Instant::now();
        if let Some(value) = lock(&keyed.known).get(key, now).cloned() {
            let looked = text(&value);
            self.values.insert(key.to_owned(), value);
            return Ok(looked);
        }
        // One failure is enough for a batch: the next question would wait as long, and there may be hundreds.
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        let mut keys = vec![key.to_owned()];
        if keyed.config.read_ahead {
            let mut known = lock(&keyed.known);
            // Each once: a call takes no key twice.
            let mut chosen = HashSet::from([key.to_owned()]);
            let new = more().into_iter().filter(|key| {
                chosen.insert(key.clone()) && !self.values.contains_key(key) && known.get(&**key, now).is_none()
            });
            keys.extend(new.take(READ_AT_ONCE - 1));
        }
        let patience = PATIENCE.min(PATIENCE_OF_A_BATCH.saturating_sub(self.waited));
        keyed.calls.fetch_add(1, Ordering::Relaxed);
        let read = match patience.is_zero() {
            true => Err(format!("questions of one batch have waited {} s for it", self.waited.as_secs())),
            false => keyed.items.read(&keys, patience).map_err(|error| told(&error)),
        };
        self.waited += now.elapsed();
        let values = read.map_err(|message| {
            keyed.failures.fetch_add(1, Ordering::Relaxed);
            let failure = keyed.failure(message);
            self.failed = Some(failure.clone());
            failure
        })?;
        let at = Instant::now();
        let mut known = lock(&keyed.known);
        for (key, value) in keys.into_iter().zip(values) {
            let value: Option<Arc<str>> = value.map(Into::into);
            known.put(key.clone(), value.clone(), at);
            self.values.insert(key, value);
        }
        Ok(self.values.get(key).map_or(Looked::NoKey, text))
    }
}

#[cfg(test)]
mod tests;
