//! What is done next about a query: begun, asked, waited for, turned into events. Whoever dies in between is followed by somebody who
//! goes on: a step is kept only when it is done, and doing it twice comes to the same.

use super::events::{About, Answer};
use super::state::{Execution, Outcome, State};
use crate::backend::BackendError;
use crate::config::scheduled_queries::Job;
use crate::log_record::Payload;
use crate::time::{Millis, rfc3339};
use serde_json::{Map, Value};

/// Rows that become events at a time; an engine may give fewer.
pub const ROWS_AT_ONCE: usize = 1_000;

/// Where states are kept. One at a time has a query.
pub trait Desk {
    /// Whoever has it.
    fn peek(&self, key: &str) -> Result<State, BackendError>;
    /// `None`: somebody else has it.
    fn take(&self, key: &str) -> Result<Option<State>, BackendError>;
    /// Conflict: it is somebody else's now.
    fn keep(&self, key: &str, state: &State) -> Result<(), BackendError>;
    /// As it is now.
    fn give_back(&self, key: &str, state: &State) -> Result<(), BackendError>;
}

/// Who answers questions.
pub trait Engine {
    /// Starts it and says its id. The same token is the same question asked once.
    fn start(&self, question: &Question<'_>) -> Result<String, EngineError>;
    fn look(&self, id: &str) -> Result<Look, EngineError>;
    fn stop(&self, id: &str) -> Result<(), EngineError>;
    /// Rows from `token` on, which the page before had as `next`; always in the same order.
    fn page(&self, id: &str, token: Option<&str>) -> Result<Page, EngineError>;
    /// Nobody will ask for it again.
    fn forget(&self, id: &str);
}

#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub sql: &'a str,
    pub token: &'a str,
    pub timeout: Millis,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    Running,
    /// Without headers.
    Done(About),
    Failed {
        error: String,
        may_pass: bool,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub headers: Vec<String>,
    pub rows: Vec<Map<String, Value>>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// What was asked can never be answered as it is.
    #[error("{0}")]
    Refused(String),
    /// It may pass.
    #[error("{0}")]
    Failed(String),
    /// Somebody asked to stop; it says nothing about the question.
    #[error("it was stopped")]
    Stopped,
}

/// Where events go.
pub trait Events {
    /// Says so when all that came of them is stored.
    fn send(&mut self, events: Vec<Payload>) -> Result<(), BackendError>;
}

/// What a query has around it.
pub struct World<'a> {
    pub desk: &'a dyn Desk,
    pub engine: &'a dyn Engine,
    pub now: &'a dyn Fn() -> Millis,
    /// How long a record is on its way before a question finds it, unless the pack says otherwise.
    pub delay: Millis,
    /// What arrived before this can be asked for, and what arrived since perhaps not, where somebody knows that it takes longer.
    pub behind: &'a dyn Fn() -> Option<Millis>,
    /// Nothing new is begun then, and what is under way waits for the next one.
    pub stop: &'a dyn Fn() -> bool,
}

impl World<'_> {
    /// All that arrived up to then can be asked for.
    pub fn settled(&self, job: &Job<'_>, now: Millis) -> Millis {
        let settled = job.settled(now, self.delay);
        (self.behind)().map_or(settled, |behind| behind.min(settled))
    }
}

/// How a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing is due.
    Idle,
    /// It goes on later: an engine is at it, or it failed and is tried again.
    Later,
    /// Somebody else is at it.
    Busy,
    Stopped,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub runs: u64,
    pub rows: u64,
    pub scanned_bytes: u64,
    pub failures: Vec<String>,
    /// Times of the schedule that are not caught up.
    pub missed: u64,
}

/// Does what can be done now about a query.
pub fn drive(job: Job<'_>, world: &World<'_>, events: &mut dyn Events, done: &mut Done) -> Result<Stand, BackendError> {
    let key = job.key();
    // Most of the time nothing is due, and nobody has to be asked.
    let now = (world.now)();
    if !world.desk.peek(&key)?.is_due(job.pack, now, world.settled(&job, now)) {
        return Ok(Stand::Idle);
    }
    let Some(mut state) = world.desk.take(&key)? else { return Ok(Stand::Busy) };
    let stand = steps(job, &key, world, events, done, &mut state)?;
    world.desk.give_back(&key, &state)?;
    Ok(stand)
}

fn steps(
    job: Job<'_>,
    key: &str,
    world: &World<'_>,
    events: &mut dyn Events,
    done: &mut Done,
    state: &mut State,
) -> Result<Stand, BackendError> {
    let keep = |state: &State| world.desk.keep(key, state);
    loop {
        if (world.stop)() {
            return Ok(Stand::Stopped);
        }
        let now = (world.now)();
        let Some(run) = &mut state.run else {
            done.missed += state.begin(job.pack, now, world.settled(&job, now));
            if state.run.is_none() {
                return Ok(Stand::Idle);
            }
            keep(state)?;
            continue;
        };
        if run.due > now {
            return Ok(Stand::Later);
        }
        let mut answer = Answer::new(job.query, job.pack_name, run.clock);
        let Some(execution) = run.execution.clone() else {
            // Asked by hand for the same time, it is another question.
            let token = format!("{key} {} {} {}", run.clock, run.begun, run.attempt);
            let question = Question { sql: answer.sql(), token: &token, timeout: job.query.timeout };
            match world.engine.start(&question) {
                Ok(id) => {
                    run.execution = Some(Execution { id, started: now });
                    keep(state)?;
                }
                Err(error) => match ended(error) {
                    None => return Ok(Stand::Stopped),
                    Some((error, may_pass)) => {
                        fail(world, key, &answer, events, done, state, &error, may_pass)?;
                    }
                },
            }
            continue;
        };
        let about = match world.engine.look(&execution.id) {
            Ok(Look::Done(about)) => about,
            Ok(Look::Running) if now - execution.started <= job.query.timeout => return Ok(Stand::Later),
            Ok(Look::Running) => {
                // It costs by what it reads; whether it could be stopped changes nothing here.
                if let Err(error) = world.engine.stop(&execution.id) {
                    tracing::warn!(query = key, %error, "a query that takes too long could not be stopped");
                }
                let error = format!(
                    "it was not done within {} s; ask for fewer partitions (`dt`), or raise its timeout_seconds",
                    job.query.timeout / 1000
                );
                fail(world, key, &answer, events, done, state, &error, true)?;
                continue;
            }
            Ok(Look::Failed { error, may_pass }) => {
                fail(world, key, &answer, events, done, state, &error, may_pass)?;
                continue;
            }
            Err(error) => match ended(error) {
                None => return Ok(Stand::Stopped),
                Some((error, may_pass)) => {
                    fail(world, key, &answer, events, done, state, &error, may_pass)?;
                    continue;
                }
            },
        };
        match rows(world, key, &mut answer, about, events, done, state)? {
            Rows::All { scanned_bytes } => {
                state.end(Outcome::Done { rows: answer.rows(), scanned_bytes }, now);
                keep(state)?;
                world.engine.forget(&execution.id);
                done.runs += 1;
                done.scanned_bytes += scanned_bytes;
            }
            Rows::Stopped => return Ok(Stand::Stopped),
            Rows::Failed(error, may_pass) => fail(world, key, &answer, events, done, state, &error, may_pass)?,
        }
    }
}

enum Rows {
    All { scanned_bytes: u64 },
    Stopped,
    Failed(String, bool),
}

/// Rows become events, from the first one that is none yet.
fn rows(
    world: &World<'_>,
    key: &str,
    answer: &mut Answer<'_>,
    mut about: About,
    events: &mut dyn Events,
    done: &mut Done,
    state: &mut State,
) -> Result<Rows, BackendError> {
    let Some(id) = state.run.as_ref().and_then(|run| Some(run.execution.as_ref()?.id.clone())) else {
        return Ok(Rows::Stopped);
    };
    let mut token: Option<String> = None;
    loop {
        let page = match world.engine.page(&id, token.as_deref()) {
            Ok(page) => page,
            Err(error) => {
                return Ok(match ended(error) {
                    None => Rows::Stopped,
                    Some((error, may_pass)) => Rows::Failed(error, may_pass),
                });
            }
        };
        about.headers = page.headers;
        let sent = state.run.as_ref().map_or(0, |run| run.rows);
        let mut new = Vec::new();
        for row in page.rows {
            let event = answer.row(&about, row);
            // What was sent before is counted all the same: of rows that are all the same, each is another.
            if answer.rows() > sent {
                new.push(event);
            }
        }
        if page.next.is_none() && answer.rows() == 0 {
            new.push(answer.empty(&about));
        }
        if !new.is_empty() {
            let count = answer.rows().saturating_sub(sent);
            events.send(new)?;
            done.rows += count;
            if let Some(run) = &mut state.run {
                run.rows = answer.rows();
            }
            world.desk.keep(key, state)?;
        }
        token = page.next;
        if token.is_none() {
            return Ok(Rows::All { scanned_bytes: about.scanned_bytes });
        }
        if (world.stop)() {
            return Ok(Rows::Stopped);
        }
    }
}

/// What failed, and whether it may pass; `None` if nothing did.
fn ended(error: EngineError) -> Option<(String, bool)> {
    match error {
        EngineError::Refused(why) => Some((why, false)),
        EngineError::Failed(why) => Some((why, true)),
        EngineError::Stopped => None,
    }
}

/// Tried again later, or told as an event.
#[allow(clippy::too_many_arguments)]
fn fail(
    world: &World<'_>,
    key: &str,
    answer: &Answer<'_>,
    events: &mut dyn Events,
    done: &mut Done,
    state: &mut State,
    error: &str,
    may_pass: bool,
) -> Result<(), BackendError> {
    let now = (world.now)();
    let execution = state.run.as_ref().and_then(|run| Some(run.execution.as_ref()?.id.clone()));
    if state.fail(error, may_pass, now) {
        let clock = state.run.as_ref().map_or(0, |run| run.clock);
        events.send(vec![answer.failed(execution.as_deref(), error)])?;
        state.end(Outcome::Failed { error: error.to_owned() }, now);
        done.failures.push(format!("the query {key} for {}: {error}", rfc3339(clock)));
    }
    world.desk.keep(key, state)?;
    if let Some(id) = execution {
        world.engine.forget(&id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::events::tests::queries;
    use super::*;
    use crate::backend::BackendErrorKind;
    use serde_json::json;
    use std::cell::{Cell, RefCell};
    use std::collections::{BTreeMap, BTreeSet};

    const HOUR: Millis = 3_600_000;

    /// Everything that outlives a process, and one that dies at its `fuse`th step.
    #[derive(Default)]
    struct Stage {
        state: RefCell<State>,
        /// By token: whether it is done, and looks so far.
        started: RefCell<BTreeMap<String, u32>>,
        starts: Cell<u32>,
        /// Identities that are stored, each with its document and how often.
        stored: RefCell<BTreeMap<[u8; 32], (Value, u32)>>,
        fuse: Cell<u32>,
        now: Cell<Millis>,
        rows: Cell<usize>,
        fails: Cell<bool>,
    }

    #[derive(Debug)]
    struct Died;

    impl Stage {
        /// Dies before the step or after it, as the fuse says.
        fn step<T>(&self, work: impl FnOnce() -> T) -> T {
            let burn = || {
                let left = self.fuse.get();
                if left == 1 {
                    self.fuse.set(0);
                    std::panic::panic_any(Died);
                }
                self.fuse.set(left.saturating_sub(1));
            };
            burn();
            let done = work();
            burn();
            done
        }
    }

    impl Desk for Stage {
        fn peek(&self, _: &str) -> Result<State, BackendError> {
            Ok(self.state.borrow().clone())
        }
        fn take(&self, _: &str) -> Result<Option<State>, BackendError> {
            Ok(Some(self.step(|| self.state.borrow().clone())))
        }
        fn keep(&self, _: &str, state: &State) -> Result<(), BackendError> {
            self.step(|| *self.state.borrow_mut() = state.clone());
            Ok(())
        }
        fn give_back(&self, key: &str, state: &State) -> Result<(), BackendError> {
            self.keep(key, state)
        }
    }

    impl Engine for Stage {
        fn start(&self, question: &Question<'_>) -> Result<String, EngineError> {
            self.step(|| {
                let mut started = self.started.borrow_mut();
                if !started.contains_key(question.token) {
                    self.starts.set(self.starts.get() + 1);
                    started.insert(question.token.to_owned(), 0);
                }
                Ok(question.token.to_owned())
            })
        }
        fn look(&self, id: &str) -> Result<Look, EngineError> {
            self.step(|| {
                let mut started = self.started.borrow_mut();
                let looks = started.get_mut(id).unwrap();
                *looks += 1;
                Ok(match *looks {
                    1 => Look::Running,
                    _ if self.fails.get() => Look::Failed { error: "no such column".into(), may_pass: false },
                    _ => Look::Done(About { execution: id.into(), scanned_bytes: 5, ..About::default() }),
                })
            })
        }
        fn stop(&self, _: &str) -> Result<(), EngineError> {
            Ok(())
        }
        fn page(&self, _: &str, token: Option<&str>) -> Result<Page, EngineError> {
            self.step(|| {
                let from: usize = token.map_or(0, |token| token.parse().unwrap());
                let to = (from + 4).min(self.rows.get());
                // Each third row is one that was there before.
                let row = |n: usize| json!({ "n": n - n % 3 % 2 }).as_object().unwrap().clone();
                let next = (to < self.rows.get()).then(|| to.to_string());
                Ok(Page { headers: vec!["n".into()], rows: (from..to).map(row).collect(), next })
            })
        }
        fn forget(&self, _: &str) {
            self.step(|| ());
        }
    }

    struct Store<'a>(&'a Stage);

    impl Events for Store<'_> {
        fn send(&mut self, events: Vec<Payload>) -> Result<(), BackendError> {
            for event in events {
                self.0.step(|| {
                    let document: Value = serde_json::from_slice(&event.bytes).unwrap();
                    let mut stored = self.0.stored.borrow_mut();
                    let (first, times) = stored.entry(event.identity.unwrap()).or_insert((document.clone(), 0));
                    assert_eq!(*first, document, "the same event says the same");
                    *times += 1;
                });
            }
            Ok(())
        }
    }

    /// Drives until nothing is due, however often it dies.
    fn run(stage: &Stage, fuses: &mut dyn Iterator<Item = u32>) -> Done {
        let all = queries("rate(1 hour)");
        let job = all.jobs().next().unwrap();
        let mut done = Done::default();
        for _ in 0..10_000 {
            stage.fuse.set(fuses.next().unwrap_or(0));
            let (now, stop) = (|| stage.now.get(), || false);
            let world = World { desk: stage, engine: stage, now: &now, delay: 0, behind: &|| None, stop: &stop };
            let attempt = std::panic::AssertUnwindSafe(|| drive(job, &world, &mut Store(stage), &mut done));
            match std::panic::catch_unwind(attempt) {
                Ok(stand) => {
                    if stand.unwrap() == Stand::Idle {
                        return done;
                    }
                }
                Err(panic) => assert!(panic.is::<Died>(), "{:?}", panic.downcast_ref::<String>()),
            }
        }
        panic!("it never comes to an end");
    }

    fn stage(rows: usize) -> Stage {
        let stage = Stage::default();
        stage.state.borrow_mut().since = Some(0);
        stage.now.set(2 * HOUR);
        stage.rows.set(rows);
        stage
    }

    #[test]
    fn every_row_of_every_due_time_becomes_one_event() {
        let stage = stage(11);
        let done = run(&stage, &mut std::iter::empty());
        assert_eq!((done.runs, done.rows, done.scanned_bytes, stage.starts.get()), (2, 22, 10, 2));
        let stored = stage.stored.borrow();
        assert_eq!(stored.len(), 22);
        let rows: BTreeSet<(String, u64)> = stored
            .values()
            .map(|(document, _)| &document["execution"])
            .map(|of| (of["clock"].as_str().unwrap().to_owned(), of["row"].as_u64().unwrap()))
            .collect();
        assert_eq!(rows.len(), 22, "each clock and row number once");
        let outcomes: Vec<Outcome> = stage.state.borrow().history.iter().map(|past| past.outcome.clone()).collect();
        assert_eq!(outcomes, vec![Outcome::Done { rows: 11, scanned_bytes: 5 }; 2]);
    }

    #[test]
    fn a_death_at_any_step_loses_nothing_and_repeats_nothing_visible() {
        std::panic::set_hook(Box::new(|_| {}));
        let whole = stage(11);
        run(&whole, &mut std::iter::empty());
        let expected: Vec<[u8; 32]> = whole.stored.borrow().keys().copied().collect();
        for fuse in 1..=150 {
            // Once at this step, and again and again a little later.
            for fuses in [vec![fuse], vec![fuse, 1 + fuse % 7, 2 + fuse % 11, 3 + fuse % 13]] {
                let stage = stage(11);
                run(&stage, &mut fuses.into_iter());
                let found: Vec<[u8; 32]> = stage.stored.borrow().keys().copied().collect();
                assert_eq!(found, expected, "died at step {fuse}");
                assert_eq!(stage.starts.get(), 2, "a question that was begun is not asked again");
                assert_eq!(stage.state.borrow().history.len(), 2);
            }
        }
        drop(std::panic::take_hook());
    }

    #[test]
    fn no_rows_and_no_answer_are_events_too() {
        let none = stage(0);
        assert_eq!(run(&none, &mut std::iter::empty()).rows, 0);
        assert_eq!(none.stored.borrow().len(), 2);
        assert!(none.stored.borrow().values().all(|(document, _)| document["data"]["count"] == 0));
        let fails = stage(3);
        fails.fails.set(true);
        let done = run(&fails, &mut std::iter::empty());
        assert_eq!(done.failures.len(), 2);
        assert!(done.failures[0].contains("q.p for 1970-01-01T01:00:00.000Z: no such column"), "{:?}", done.failures);
        let errors: Vec<Value> =
            fails.stored.borrow().values().map(|(document, _)| document["execution"]["error"].clone()).collect();
        assert_eq!(errors, vec![json!({"description": "no such column"}); 2]);
    }

    #[test]
    fn what_is_known_to_be_behind_is_waited_for() {
        let (stage, all) = (stage(3), queries("rate(1 hour)"));
        let (now, stop, behind) = (|| stage.now.get(), || false, Cell::new(Some(HOUR - 1)));
        let known = || behind.get();
        let world = World { desk: &stage, engine: &stage, now: &now, delay: 0, behind: &known, stop: &stop };
        let (job, mut done) = (all.jobs().next().unwrap(), Done::default());
        let mut drive = || drive(job, &world, &mut Store(&stage), &mut done).unwrap();
        assert_eq!((drive(), stage.starts.get()), (Stand::Idle, 0));
        // Of the two that are due, the first.
        behind.set(Some(2 * HOUR - 1));
        while drive() != Stand::Idle {}
        assert_eq!(stage.starts.get(), 1);
        behind.set(None);
        while drive() != Stand::Idle {}
        assert_eq!((stage.starts.get(), done.rows), (2, 6));
    }

    #[test]
    fn what_cannot_be_stored_is_not_kept_as_if_it_were() {
        struct Full;
        impl Events for Full {
            fn send(&mut self, _: Vec<Payload>) -> Result<(), BackendError> {
                Err(BackendError { kind: BackendErrorKind::Other, action: "store".into(), source: None })
            }
        }
        let (stage, all) = (stage(3), queries("rate(1 hour)"));
        let (now, stop) = (|| stage.now.get(), || false);
        let world = World { desk: &stage, engine: &stage, now: &now, delay: 0, behind: &|| None, stop: &stop };
        let (job, mut done) = (all.jobs().next().unwrap(), Done::default());
        assert_eq!(drive(job, &world, &mut Full, &mut done).unwrap(), Stand::Later);
        assert!(drive(job, &world, &mut Full, &mut done).is_err());
        assert_eq!(stage.state.borrow().run.as_ref().unwrap().rows, 0);
        run(&stage, &mut std::iter::empty());
        assert_eq!(stage.stored.borrow().len(), 6);
    }
}
