//! The scheduled queries of a run: `streamalert-search` answers, its rows lie in a file until they are events, and what is known of
//! each query lies in a file too.
//!
//! ```text
//! data/queries/NAME.PACK.json    what is known of it
//! data/queries/answers/ID.jsonl  rows of an answer, whole; ID.part while it is written
//! ```

use crate::clock::millis;
use crate::run::Progress;
use crate::runner::{Door, Receipt};
use crate::stop::Stop;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_archive::{Keeper, keeper};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::config::scheduled_queries::LOG_TYPES;
use streamalert_pipeline::config::{ArchiveConfig, ScheduledQueries, Schemas};
use streamalert_pipeline::log_record::{Payload, short_id};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::scheduled_queries::drive::{
    Desk, Done, Engine, EngineError, Events, Look, Page, Question, ROWS_AT_ONCE, Stand, World, drive,
};
use streamalert_pipeline::scheduled_queries::events::About;
use streamalert_pipeline::scheduled_queries::state::State;
use streamalert_pipeline::time::Millis;

/// The program with the engine, beside this one.
pub const PROGRAM: &str = "streamalert-search";
/// A record is in the archive's files after so long at the latest: twice as long as they say.
const DELAY: Millis = 2 * keeper::SEEN_WITHIN.as_millis() as Millis;
/// When a question has waited so long for records to be in files, that is told.
const BEHIND_LONG: Millis = 5 * 60_000;
/// Queries at a time: each uses all cores while it reads.
const RUNNING_MAX: usize = 2;
/// How often somebody looks what is due.
const LOOK: Duration = Duration::from_secs(1);
/// How often a wait looks whether it should end.
const WAIT_LOOK: Duration = Duration::from_millis(50);
/// Bytes of rows that become events at a time, about.
const PAGE_BYTES: u64 = 8 << 20;
/// Bytes of what the engine says when it fails.
const SAID_MAX: u64 = 16 << 10;

/// What the queries of a run are made of.
pub struct Setup {
    pub queries: ScheduledQueries,
    /// Below the data folder.
    pub folder: PathBuf,
    pub engine: SearchProgram,
    /// What earlier runs left in its journal is made files of before anything is asked.
    pub archive: Option<Arc<Keeper>>,
    pub door: Door,
    pub stop: Stop,
    pub progress: Arc<Progress>,
}

struct Queries {
    setup: Setup,
    desk: FileDesk,
    running: Mutex<BTreeSet<String>>,
    /// What was told of each query last, so that it is told once.
    told: Mutex<BTreeMap<String, String>>,
}

/// What is wrong with queries beside these schemas.
pub fn lacking(queries: &ScheduledQueries, schemas: &Schemas, archive: &ArchiveConfig) -> Vec<String> {
    let taken = LOG_TYPES.iter().any(|log_type| schemas.get(log_type).is_some());
    let no_schema = (!queries.queries.is_empty() && !taken).then(|| {
        format!(
            "warning: no schema takes the rows of scheduled queries, so they become dead letters: add {} (schemas/streamalert.json)",
            LOG_TYPES[0]
        )
    });
    let echoes = queries.echoes(archive).into_iter().map(|echo| format!("warning: {echo}"));
    no_schema.into_iter().chain(echoes).collect()
}

/// Looks what is due until the run is stopped; then what is under way ends soon, and goes on in the next run.
pub fn start(setup: Setup) -> Result<JoinHandle<()>, BackendError> {
    let broken = |error: io::Error| BackendError::other("begin with the scheduled queries", error);
    let desk = FileDesk::open(&setup.folder)?;
    let queries = Arc::new(Queries { setup, desk, running: Mutex::default(), told: Mutex::default() });
    let look = move || {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let is_settled = || queries.setup.archive.as_ref().is_none_or(|archive| archive.is_settled());
        while !is_settled() && !queries.setup.stop.is_requested() {
            rest(WAIT_LOOK, &queries.setup.stop);
        }
        while !queries.setup.stop.is_requested() {
            threads.retain(|thread| !thread.is_finished());
            look(&queries, &mut threads);
            rest(LOOK, &queries.setup.stop);
        }
        for thread in threads {
            // It panicked: the panic was printed, and the next run goes on with it.
            let _ = thread.join();
        }
    };
    thread::Builder::new().name("queries".into()).spawn(look).map_err(broken)
}

fn rest(time: Duration, stop: &Stop) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.is_requested() {
        thread::sleep(WAIT_LOOK.min(time));
    }
}

fn look(queries: &Arc<Queries>, threads: &mut Vec<JoinHandle<()>>) {
    let behind = queries.behind();
    for job in queries.setup.queries.jobs() {
        let (key, now) = (job.key(), millis());
        match queries.desk.peek(&key) {
            Ok(state) => {
                let settled = job.settled(now, DELAY);
                let waits = behind.filter(|behind| *behind < settled);
                if !state.is_due(job.pack, now, waits.unwrap_or(settled)) {
                    if waits.is_some_and(|behind| now - behind > BEHIND_LONG) && state.is_due(job.pack, now, settled) {
                        let why = "it is due, and waits until the archive has files of what arrived before its time";
                        queries.tell(&key, why.to_owned());
                    }
                    continue;
                }
            }
            Err(error) => {
                queries.tell(&key, chain(&error));
                continue;
            }
        }
        let mut running = queries.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() >= RUNNING_MAX || !running.insert(key.clone()) {
            continue;
        }
        drop(running);
        let (of, name) = (queries.clone(), key.clone());
        let work = move || {
            // Also after a panic.
            let _ends = Ends(&of, &name);
            let job = of.setup.queries.jobs().find(|job| job.key() == name);
            if let Some(job) = job {
                let mut done = Done::default();
                let stop = || of.setup.stop.is_requested();
                let (desk, engine) = (&of.desk, &of.setup.engine);
                let behind = || of.behind();
                let world = World { desk, engine, now: &millis, delay: DELAY, behind: &behind, stop: &stop };
                let mut events = Through { door: of.setup.door.clone() };
                let stand = drive(job, &world, &mut events, &mut done);
                of.report(&name, stand, &done);
            }
        };
        match thread::Builder::new().name(format!("query-{key}")).spawn(work) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                queries.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                queries.tell(&key, format!("there is no thread for it: {error}"));
            }
        }
    }
}

struct Ends<'a>(&'a Queries, &'a str);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

impl Queries {
    fn behind(&self) -> Option<Millis> {
        self.setup.archive.as_ref().and_then(|archive| archive.behind_since())
    }

    fn report(&self, key: &str, stand: Result<Stand, BackendError>, done: &Done) {
        for failure in &done.failures {
            self.setup.progress.tell(&format!("warning: {}", printable(failure)));
        }
        if done.missed > 0 {
            let missed = done.missed;
            self.setup.progress.tell(&format!(
                "warning: the query {key}: {missed} times of its schedule were missed and are not caught up; its pack's catch_up \
                 says how many are"
            ));
        }
        tracing::info!(query = key, runs = done.runs, rows = done.rows, "scheduled query");
        match stand {
            Err(error) if !self.setup.stop.is_requested() => self.tell(key, chain(&error)),
            _ => drop(self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(key)),
        }
    }

    /// Says it unless it was said already.
    fn tell(&self, key: &str, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(key) != Some(&text) {
            self.setup.progress.tell(&format!("warning: the query {key}: {}; it is tried again", printable(&text)));
            told.insert(key.to_owned(), text);
        }
    }
}

fn chain(error: &BackendError) -> String {
    match &error.source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Through the door, and back when all of it is stored.
struct Through {
    door: Door,
}

impl Events for Through {
    fn send(&mut self, events: Vec<Payload>) -> Result<(), BackendError> {
        let closed = || BackendError::other("hand on the rows of a query", "the run is ending");
        let (stored, wait) = channel();
        let receipt = Receipt::new(move |_| {
            // Whoever waits may have gone.
            let _ = stored.send(());
        });
        for event in events {
            self.door.payload(event, &receipt, None).map_err(|_| closed())?;
        }
        receipt.whole();
        drop(receipt);
        wait.recv().map_err(|_| closed())
    }
}

/// States of queries as files of a folder.
pub struct FileDesk {
    folder: PathBuf,
    /// Locked while we have them.
    ours: Mutex<HashMap<String, (File, State)>>,
}

impl FileDesk {
    pub fn open(folder: &Path) -> Result<Self, BackendError> {
        fs::create_dir_all(folder)
            .map_err(|error| BackendError::other(format!("make the folder {}", folder.display()), error))?;
        Ok(FileDesk { folder: folder.to_owned(), ours: Mutex::default() })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.json"))
    }

    fn failed(
        &self,
        doing: &str,
        key: &str,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> BackendError {
        BackendError::other(format!("{doing} {}", self.path(key).display()), error)
    }
}

impl Desk for FileDesk {
    fn peek(&self, key: &str) -> Result<State, BackendError> {
        match fs::read(self.path(key)) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.failed("read", key, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(self.failed("read", key, error)),
        }
    }

    fn take(&self, key: &str) -> Result<Option<State>, BackendError> {
        let lock = File::create(self.path(key).with_extension("lock"));
        let lock = lock.map_err(|error| self.failed("lock", key, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(self.failed("lock", key, error)),
        }
        let state = self.peek(key)?;
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), (lock, state.clone()));
        Ok(Some(state))
    }

    fn keep(&self, key: &str, state: &State) -> Result<(), BackendError> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, kept)) = ours.get_mut(key) else {
            let action = format!("write {}", self.path(key).display());
            return Err(BackendError { kind: BackendErrorKind::Conflict, action, source: None });
        };
        if kept == state {
            return Ok(());
        }
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer_pretty(&mut file, state)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(self.path(key))?;
            Ok(())
        };
        write().map_err(|error| self.failed("write", key, error))?;
        kept.clone_from(state);
        Ok(())
    }

    fn give_back(&self, key: &str, state: &State) -> Result<(), BackendError> {
        let kept = self.keep(key, state);
        // Its lock goes with it.
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        kept
    }
}

/// The engine: a program that is run for each question.
pub struct SearchProgram {
    program: PathBuf,
    data: PathBuf,
    config: PathBuf,
    answers: PathBuf,
    stop: Stop,
}

impl SearchProgram {
    /// The one beside this program.
    pub fn beside(data: &Path, config: &Path, answers: PathBuf, stop: Stop) -> io::Result<Self> {
        let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
        let program = std::env::current_exe()?.with_file_name(name);
        Ok(SearchProgram { program, data: data.to_owned(), config: config.to_owned(), answers, stop })
    }

    fn answer(&self, id: &str) -> PathBuf {
        self.answers.join(format!("{id}.jsonl"))
    }

    /// Rows of the answer to `out`.
    pub fn ask(&self, sql: &str, timeout: Duration, out: File) -> Result<(), EngineError> {
        if !self.program.is_file() {
            return Err(EngineError::Failed(format!(
                "there is no {}: `cargo build --release --workspace --bin {PROGRAM}` builds it, and it belongs beside streamalert",
                self.program.display()
            )));
        }
        let broken = |error: io::Error| EngineError::Failed(format!("run {}: {error}", self.program.display()));
        let mut command = Command::new(&self.program);
        command.arg("--data").arg(&self.data).arg("--config").arg(&self.config).args(["--output", "json", "--"]);
        command.arg(sql).stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(broken)?;
        let said = child.stderr.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut said = Vec::new();
                // What is too long is read all the same, or the engine would wait for ever.
                let _ = pipe.by_ref().take(SAID_MAX).read_to_end(&mut said);
                let _ = io::copy(&mut pipe, &mut io::sink());
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        let begun = Instant::now();
        let ended: Result<ExitStatus, EngineError> = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if self.stop.is_requested() => break Err(EngineError::Stopped),
                Ok(None) if begun.elapsed() > timeout => {
                    break Err(EngineError::Failed(format!(
                        "it was not done within {} s; ask for fewer partitions (`dt`), or raise its timeout_seconds",
                        timeout.as_secs()
                    )));
                }
                Ok(None) => thread::sleep(WAIT_LOOK),
                Err(error) => break Err(broken(error)),
            }
        };
        if ended.is_err() {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
        }
        let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
        let status = ended?;
        let error = || {
            let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("warning: ")).collect();
            let text = lines.join("\n");
            let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim()).to_owned();
            if text.is_empty() { format!("{PROGRAM} ended with {status} and did not say why") } else { text }
        };
        match status.code() {
            Some(0) => {
                let warnings = said.trim();
                if !warnings.is_empty() {
                    tracing::warn!(warnings, "a scheduled query was answered, and there is something to know");
                }
                Ok(())
            }
            Some(2) => Err(EngineError::Refused(error())),
            _ => Err(EngineError::Failed(error())),
        }
    }
}

impl Engine for SearchProgram {
    fn start(&self, question: &Question<'_>) -> Result<String, EngineError> {
        let id = short_id(&Sha256::digest(question.token));
        let path = self.answer(&id);
        if path.exists() {
            return Ok(id);
        }
        let broken = |error: io::Error| EngineError::Failed(format!("write {}: {error}", path.display()));
        fs::create_dir_all(&self.answers).map_err(broken)?;
        // One that an earlier run began is begun anew.
        let part = path.with_extension("part");
        let out = File::create(&part).map_err(broken)?;
        let begun = Instant::now();
        let timeout = Duration::from_millis(question.timeout.try_into().unwrap_or(0));
        let asked = self.ask(question.sql, timeout, out.try_clone().map_err(broken)?);
        if let Err(error) = asked {
            // What is left is no answer.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        let about = serde_json::json!({ "millis": begun.elapsed().as_millis() as u64 });
        let done = || -> io::Result<()> {
            out.sync_all()?;
            fs::write(path.with_extension("about"), about.to_string())?;
            fs::rename(&part, &path)
        };
        done().map_err(broken)?;
        Ok(id)
    }

    fn look(&self, id: &str) -> Result<Look, EngineError> {
        let path = self.answer(id);
        if !path.exists() {
            let error = format!("its answer {} is gone", path.display());
            return Ok(Look::Failed { error, may_pass: true });
        }
        let about: Value = fs::read(path.with_extension("about"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let millis = about["millis"].as_u64().unwrap_or_default();
        Ok(Look::Done(About { execution: id.to_owned(), millis, ..About::default() }))
    }

    fn stop(&self, _: &str) -> Result<(), EngineError> {
        // What has an id is done.
        Ok(())
    }

    fn page(&self, id: &str, token: Option<&str>) -> Result<Page, EngineError> {
        let path = self.answer(id);
        let broken = |error: io::Error| EngineError::Failed(format!("read {}: {error}", path.display()));
        let strange = |why: String| EngineError::Failed(format!("{}: {why}", path.display()));
        let from: u64 = match token {
            None => 0,
            Some(token) => token.parse().map_err(|_| strange(format!("`{token}` is no place in it")))?,
        };
        let mut file = File::open(&path).map_err(broken)?;
        file.seek(SeekFrom::Start(from)).map_err(broken)?;
        let (mut reader, mut at, mut rows) = (BufReader::new(file), from, Vec::new());
        let mut line = String::new();
        let mut more = false;
        while reader.read_line(&mut line).map_err(broken)? > 0 {
            if rows.len() >= ROWS_AT_ONCE || (at - from) > PAGE_BYTES {
                more = true;
                break;
            }
            let row: Map<String, Value> =
                serde_json::from_str(&line).map_err(|error| strange(format!("a row is no JSON object: {error}")))?;
            rows.push(row);
            at += line.len() as u64;
            line.clear();
        }
        let headers = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
        Ok(Page { headers, rows, next: more.then(|| at.to_string()) })
    }

    fn forget(&self, id: &str) {
        for path in [self.answer(id), self.answer(id).with_extension("about")] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "an answer that nobody needs could not be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_query_and_what_is_kept_is_read_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (FileDesk::open(folder.path()).unwrap(), FileDesk::open(folder.path()).unwrap());
        let mut state = one.take("q.p").unwrap().unwrap();
        assert!(other.take("q.p").unwrap().is_none());
        assert!(other.take("r.p").unwrap().is_some());
        state.since = Some(7);
        one.keep("q.p", &state).unwrap();
        assert_eq!(other.peek("q.p").unwrap().since, Some(7));
        one.give_back("q.p", &state).unwrap();
        assert_eq!(other.take("q.p").unwrap(), Some(state.clone()));
        assert_eq!(one.keep("q.p", &State::default()).unwrap_err().kind, BackendErrorKind::Conflict);
    }

    #[cfg(unix)]
    #[test]
    fn an_answer_is_whole_or_not_there_and_is_read_page_by_page() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(PROGRAM);
        // Answers what the question says.
        fs::write(&program, "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\neval \"$2\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let stop = Stop::default();
        let root = folder.path().to_owned();
        let engine = SearchProgram {
            program,
            data: root.clone(),
            config: root.clone(),
            answers: root.join("answers"),
            stop: stop.clone(),
        };
        let start = |sql: &str, timeout| engine.start(&Question { sql, token: sql, timeout });
        let many = "for n in $(seq 2500); do echo \"{\\\"n\\\":$n}\"; done";
        let id = start(many, 60_000).unwrap();
        assert!(matches!(engine.look(&id), Ok(Look::Done(_))));
        let (mut rows, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = engine.page(&id, token.as_deref()).unwrap();
            assert_eq!(page.headers, ["n"]);
            rows.extend(page.rows.iter().map(|row| row["n"].as_u64().unwrap()));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(rows, (1..=2500).collect::<Vec<_>>());
        engine.forget(&id);
        assert!(matches!(engine.look(&id), Ok(Look::Failed { may_pass: true, .. })));
        assert_eq!(
            start("echo warning: x >&2; echo error: no table t >&2; exit 2", 60_000),
            Err(EngineError::Refused("no table t".into()))
        );
        assert_eq!(start("echo half; echo error: full >&2; exit 1", 60_000), Err(EngineError::Failed("full".into())));
        assert!(
            matches!(start("exec sleep 60", 100), Err(EngineError::Failed(why)) if why.contains("not done within"))
        );
        stop.request();
        assert_eq!(start("exec sleep 60", 60_000), Err(EngineError::Stopped));
        assert_eq!(fs::read_dir(root.join("answers")).unwrap().count(), 0, "nothing half is left");
    }
}
