//! Doors → bounded queue → workers → one writer. The writer stores the results of several payloads at a time and only
//! then tells the doors: an input is acknowledged when what came of it is on disk.

use crate::clock::{millis, now};
use crate::intel;
use crate::rule_table::CurrentStates;
use crate::stop::Stop;
use crate::tally::Tally;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_archive::Keeper;
use streamalert_delivery::Post;
use streamalert_intel::Enricher;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{
    BackendError, DeadLetters, RuleCost, RuleLedger, TrialCounts, TrialKey, TrialTable,
};
use streamalert_pipeline::classifier::{Framing, Worker};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::live::Live;
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_pipeline::skip::Skip;
use streamalert_pipeline::staging::States;
use streamalert_pipeline::trials;

/// Payloads waiting for each worker: enough that none ever waits for a door that reads at its own pace.
const QUEUED_PER_WORKER: usize = 4;
/// Results stored at once, at most. A commit costs a few milliseconds whatever is in it; beyond this the doors wait
/// noticeably longer for their answer.
const GROUP_RESULTS_MAX: usize = 64;
/// Alerts and letters stored at once, about: bounds the memory of one commit.
const GROUP_ROWS_MAX: usize = 20_000;
/// How often it is written what rules cost; what was not written when a run is killed is not counted.
const COSTS_EVERY: Duration = Duration::from_secs(1);
/// Times the writer tries again before the run fails, one second apart and longer: a full disk or a long lock may pass.
const STORE_ATTEMPTS: u32 = 4;

/// What a run is made of.
pub struct Setup {
    pub live: Arc<ArcSwap<Live>>,
    pub post: Arc<Post>,
    pub dead: Arc<dyn DeadLetters>,
    /// Which rules are on trial or switched off.
    pub states: Arc<CurrentStates>,
    /// How trials stand, and what rules cost.
    pub trials: Arc<dyn TrialTable>,
    pub ledger: Arc<dyn RuleLedger>,
    /// Where records and alerts are kept for searching.
    pub archive: Option<Arc<Keeper>>,
    /// What looks records through for indicators of compromise.
    pub enricher: Option<Arc<Enricher>>,
    pub workers: usize,
    /// Asked for when the run fails, so that all doors close.
    pub stop: Stop,
}

/// Where new alerts go after they are stored.
pub trait Sink: Send {
    /// Called by the writer, once for each commit that has new alerts, in the order they are stored.
    fn alerts(&mut self, new: &[&Alert]) -> Result<(), BackendError>;
}

/// One payload on its way, with what the door itself found wrong.
struct Work {
    payload: Option<Payload>,
    dead: Vec<DeadLetter>,
    skipped: Option<Skip>,
    receipt: Arc<Receipt>,
}

struct Done {
    alerts: Vec<Alert>,
    dead: Vec<DeadLetter>,
    /// For the archive.
    records: Vec<String>,
    tally: Tally,
    costs: Vec<RuleCost>,
    notes: Vec<(TrialKey, TrialCounts)>,
    receipt: Arc<Receipt>,
}

/// Of one object or request: told when everything that came of it is stored. A receipt that is dropped before that says
/// nothing, and the object counts as never taken.
pub struct Receipt {
    state: Mutex<ReceiptState>,
}

struct ReceiptState {
    /// Payloads under way, and one for the door while it is reading.
    open: u64,
    tally: Tally,
    acknowledge: Option<Box<dyn FnOnce(Tally) + Send>>,
}

impl Receipt {
    pub fn new(acknowledge: impl FnOnce(Tally) + Send + 'static) -> Arc<Self> {
        let state = ReceiptState { open: 1, tally: Tally::default(), acknowledge: Some(Box::new(acknowledge)) };
        Arc::new(Receipt { state: Mutex::new(state) })
    }

    /// The door has read the object to its end.
    pub fn whole(&self) {
        self.close(None);
    }

    fn open(&self) {
        self.lock().open += 1;
    }

    fn close(&self, tally: Option<&Tally>) {
        let mut state = self.lock();
        if let Some(tally) = tally {
            state.tally.add(tally);
        }
        state.open -= 1;
        if state.open == 0
            && let Some(acknowledge) = state.acknowledge.take()
        {
            let tally = std::mem::take(&mut state.tally);
            drop(state);
            acknowledge(tally);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReceiptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way in.
#[derive(Clone)]
pub struct Door {
    queue: Sender<Work>,
    live: Arc<ArcSwap<Live>>,
}

/// Why a door could not hand something on.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue stayed full.
    Full,
    /// The run has failed.
    Closed,
}

impl Door {
    /// Waits while the queue is full; at most for `patience` if there is one.
    pub fn payload(&self, payload: Payload, receipt: &Arc<Receipt>, patience: Option<Duration>) -> Result<(), Refused> {
        let work = Work { payload: Some(payload), dead: Vec::new(), skipped: None, receipt: receipt.clone() };
        self.send(work, patience)
    }

    pub fn dead(&self, letter: DeadLetter, receipt: &Arc<Receipt>, patience: Option<Duration>) -> Result<(), Refused> {
        let work = Work { payload: None, dead: vec![letter], skipped: None, receipt: receipt.clone() };
        self.send(work, patience)
    }

    /// An object that holds nothing is an input too, and counted.
    pub fn skip(&self, skip: Skip, receipt: &Arc<Receipt>, patience: Option<Duration>) -> Result<(), Refused> {
        let work = Work { payload: None, dead: Vec::new(), skipped: Some(skip), receipt: receipt.clone() };
        self.send(work, patience)
    }

    /// Says how what comes from a source is cut into payloads, from what its object begins with.
    pub fn frames(&self) -> impl FnMut(&Source, &[u8]) -> Framing + Send + use<> {
        let live = self.live.clone();
        move |source, head| live.load().classifier.framing(source, head)
    }

    fn send(&self, work: Work, patience: Option<Duration>) -> Result<(), Refused> {
        work.receipt.open();
        // A refused piece leaves its receipt open for good, so an object that was taken in part is not acknowledged.
        match patience {
            None => self.queue.send(work).map_err(|_| Refused::Closed),
            Some(patience) => self.queue.send_timeout(work, patience).map_err(|error| match error {
                SendTimeoutError::Timeout(_) => Refused::Full,
                SendTimeoutError::Disconnected(_) => Refused::Closed,
            }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("store the results; what was not stored is not acknowledged and comes again")]
    Store(#[source] BackendError),
    #[error("streamalert broke on the input at {at}, which is a fault of streamalert: {message}")]
    Broke { at: String, message: String },
}

/// Workers and writer at work.
pub struct Runner {
    door: Option<Door>,
    workers: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
    total: Arc<Mutex<Tally>>,
    failure: Arc<Mutex<Option<RunError>>>,
}

impl Runner {
    pub fn start(setup: Setup, sink: Box<dyn Sink>) -> std::io::Result<Runner> {
        let count = setup.workers.max(1);
        let (queue, waiting) = bounded::<Work>(count * QUEUED_PER_WORKER);
        let (results, stored) = bounded::<Done>(GROUP_RESULTS_MAX.max(2 * count));
        let total = Arc::new(Mutex::new(Tally::default()));
        let failure = Arc::new(Mutex::new(None));
        let setup = Arc::new(setup);
        let fail = {
            let (failure, stop) = (failure.clone(), setup.stop.clone());
            move |error: RunError| {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                stop.request();
            }
        };
        let writer = {
            let (setup, total, fail) = (setup.clone(), total.clone(), fail.clone());
            thread::Builder::new().name("writer".into()).spawn(move || {
                // Leaving drops `stored`, so workers and then doors find their channels closed.
                if let Err(error) = write(&setup, &stored, &total, sink) {
                    fail(RunError::Store(error));
                }
            })?
        };
        let mut workers = Vec::new();
        for number in 0..count {
            let (setup, waiting, results, fail) = (setup.clone(), waiting.clone(), results.clone(), fail.clone());
            let work = move || {
                if let Err(error) = work(&setup, &waiting, &results) {
                    fail(error);
                    // The others must not go on as if nothing had happened: let them run dry.
                    while waiting.recv().is_ok() {}
                }
            };
            workers.push(thread::Builder::new().name(format!("worker-{number}")).spawn(work)?);
        }
        let door = Door { queue, live: setup.live.clone() };
        Ok(Runner { door: Some(door), workers, writer, total, failure })
    }

    pub fn door(&self) -> Door {
        self.door.clone().unwrap_or_else(|| unreachable!("the door is closed only by finish, which takes the runner"))
    }

    /// What is stored so far.
    pub fn total(&self) -> Arc<Mutex<Tally>> {
        self.total.clone()
    }

    /// Waits until everything that was handed in is stored. All other doors must be gone or going.
    pub fn finish(mut self) -> Result<Tally, RunError> {
        self.door = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        let _ = self.writer.join();
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        Ok(self.total.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// One worker's life. It ends when the doors are closed or the writer is gone.
fn work(setup: &Setup, waiting: &Receiver<Work>, results: &Sender<Done>) -> Result<(), RunError> {
    let mut live = setup.live.load_full();
    let states = setup.states.clone();
    let mut worker = live.classifier.worker();
    for Work { payload, dead, skipped, receipt } in waiting {
        // One set of rules and parsers from start to end of a batch, whatever is uploaded meanwhile.
        let now = setup.live.load();
        if !Arc::ptr_eq(&now, &live) {
            if !Arc::ptr_eq(&now.classifier, &live.classifier) {
                worker = now.classifier.worker();
            }
            live = Arc::clone(&now);
        }
        drop(now);
        let at = payload.as_ref().map(|payload| {
            let source = &payload.source;
            format!("{}:{}:{} byte {}", source.service, source.resource, source.object, payload.offset)
        });
        // A panic must not leave the doors waiting for an answer that never comes.
        let judged =
            catch_unwind(AssertUnwindSafe(|| judge(setup, &live, &states.now(), &mut worker, payload, dead, skipped)));
        let Results { alerts, dead, records, tally, costs, notes } = judged.map_err(|panic| RunError::Broke {
            at: at.unwrap_or_default(),
            message: panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default(),
        })?;
        if results.send(Done { alerts, dead, records, tally, costs, notes, receipt }).is_err() {
            break;
        }
    }
    Ok(())
}

/// What came of one payload.
#[derive(Default)]
struct Results {
    alerts: Vec<Alert>,
    dead: Vec<DeadLetter>,
    records: Vec<String>,
    tally: Tally,
    costs: Vec<RuleCost>,
    notes: Vec<(TrialKey, TrialCounts)>,
}

/// The stages, one after the other, over one payload.
fn judge(
    setup: &Setup,
    live: &Live,
    states: &States,
    worker: &mut Worker,
    payload: Option<Payload>,
    mut dead: Vec<DeadLetter>,
    skipped: Option<Skip>,
) -> Results {
    let mut tally = Tally::default();
    // The doors' own letters are inputs too, and so is what they passed over.
    tally.inputs += dead.len() as u64;
    tally.add_dead(&dead);
    if let Some(skip) = skipped {
        tally.inputs += 1;
        *tally.skipped.entry(skip.code()).or_default() += 1;
    }
    let Some(payload) = payload else { return Results { dead, tally, ..Results::default() } };
    let mut classified = worker.classify(payload);
    tally.add(&Tally::of_classified(&classified));
    if let Some(enricher) = &setup.enricher {
        intel::look(enricher, &mut classified.batch, &mut tally);
    }
    debug_assert_eq!(
        tally.unaccounted, 0,
        "in = classified + skipped + dead, for {:?}",
        classified.batch.payload.source
    );
    let (now, at) = (now(), millis());
    let mut detected = trials::judge(live, &classified.batch, &now, at, states, None);
    trials::on_trial(live, &classified.batch, &now, at, states, &mut detected, true);
    tally.add_detected(&detected);
    let records = setup.archive.as_ref().map(|archive| archive.records(&classified.batch, at)).unwrap_or_default();
    let (costs, notes) = (RuleCost::of(&detected).collect(), trials::notes(&detected, states, at));
    dead.extend(classified.dead);
    dead.extend(detected.dead);
    Results { alerts: detected.alerts, dead, records, tally, costs, notes }
}

/// The writer's life: gather what is there, store it, tell the doors.
fn write(
    setup: &Setup,
    stored: &Receiver<Done>,
    total: &Mutex<Tally>,
    mut sink: Box<dyn Sink>,
) -> Result<(), BackendError> {
    let mut costs = Costs::default();
    while let Ok(first) = stored.recv() {
        let mut rows = first.alerts.len() + first.dead.len();
        let mut group = vec![first];
        while group.len() < GROUP_RESULTS_MAX && rows < GROUP_ROWS_MAX {
            let Ok(next) = stored.try_recv() else { break };
            rows += next.alerts.len() + next.dead.len();
            group.push(next);
        }
        store(setup, &mut group, sink.as_mut())?;
        group.iter_mut().for_each(|done| costs.add(std::mem::take(&mut done.costs)));
        costs.write(&*setup.ledger, COSTS_EVERY);
        {
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            group.iter().for_each(|done| total.add(&done.tally));
        }
        // The doors last: if we die before this, the input comes again and the ids make it harmless.
        group.iter().for_each(|done| done.receipt.close(Some(&done.tally)));
    }
    costs.write(&*setup.ledger, Duration::ZERO);
    Ok(())
}

/// What rules have cost since it was written last. Nothing is owed on it: a write that fails is done with the next one.
#[derive(Default)]
struct Costs {
    sums: BTreeMap<(String, String, String), RuleCost>,
    written: Option<Instant>,
}

impl Costs {
    fn add(&mut self, costs: Vec<RuleCost>) {
        for cost in costs {
            let key = (cost.rule.clone(), cost.digest.clone(), cost.log_type.clone());
            match self.sums.get_mut(&key) {
                Some(sum) => sum.add(&cost),
                None => drop(self.sums.insert(key, cost)),
            }
        }
    }

    fn write(&mut self, ledger: &dyn RuleLedger, every: Duration) {
        if self.sums.is_empty() || self.written.is_some_and(|written| written.elapsed() < every) {
            return;
        }
        self.written = Some(Instant::now());
        let costs: Vec<RuleCost> = self.sums.values().cloned().collect();
        match ledger.add(&costs) {
            Ok(()) => self.sums.clear(),
            Err(error) => {
                let cause = error.source.as_ref().map(ToString::to_string);
                tracing::warn!(action = error.action, cause, "what rules cost was not noted; the next write does it");
            }
        }
    }
}

fn store(setup: &Setup, group: &mut [Done], sink: &mut dyn Sink) -> Result<(), BackendError> {
    let mut alerts = Vec::new();
    let mut dead = Vec::new();
    let mut records = Vec::new();
    let mut counts = Vec::with_capacity(group.len());
    for done in &mut *group {
        counts.push(done.alerts.len());
        alerts.append(&mut done.alerts);
        dead.append(&mut done.dead);
        records.append(&mut done.records);
    }
    let notes: Vec<_> = group.iter_mut().flat_map(|done| std::mem::take(&mut done.notes)).collect();
    // Before their input is acknowledged: of what nobody has seen, nobody may say that it raised nothing.
    patiently(&setup.stop, || setup.trials.note(&notes))?;
    // Before they are stored: an alert that is known is not archived again.
    if let Some(archive) = &setup.archive {
        setup.post.address(&mut alerts);
        patiently(&setup.stop, || archive.begin(&records, &alerts).map_err(not_archived))?;
    }
    let new = patiently(&setup.stop, || setup.post.take(&mut alerts))?;
    patiently(&setup.stop, || setup.dead.put(&dead))?;
    if let Some(archive) = &setup.archive {
        let known = alerts.iter().zip(&new).filter_map(|(alert, new)| (!new).then_some(alert.id.as_str()));
        let known: Vec<&str> = known.collect();
        patiently(&setup.stop, || archive.end(&known).map_err(not_archived))?;
    }
    let mut answers = alerts.iter().zip(&new);
    for (done, count) in group.iter_mut().zip(counts) {
        for (alert, new) in answers.by_ref().take(count) {
            done.tally.add_raised(alert, *new);
        }
    }
    let new: Vec<&Alert> = alerts.iter().zip(&new).filter_map(|(alert, new)| new.then_some(alert)).collect();
    if new.is_empty() {
        return Ok(());
    }
    if let Err(error) = setup.post.wake(new.iter().copied()) {
        tracing::warn!(%error, "a thread for an output could not be started; its alerts are stored and go later");
    }
    sink.alerts(&new)
}

pub(crate) fn not_archived(error: streamalert_archive::ArchiveError) -> BackendError {
    BackendError::other("keep records and alerts in the archive", error)
}

fn patiently<T>(stop: &Stop, mut action: impl FnMut() -> Result<T, BackendError>) -> Result<T, BackendError> {
    let mut attempt = 0;
    loop {
        let error = match action() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        attempt += 1;
        // Somebody is waiting for the end.
        if attempt == STORE_ATTEMPTS || stop.is_requested() {
            return Err(error);
        }
        let cause = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(action = error.action, cause, attempt, "storing failed and is tried again");
        thread::sleep(Duration::from_secs(1 << (attempt - 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::DeadLetterFolder;
    use crate::input::stdin_source;
    use crate::rule_table::RuleFile;
    use crate::secrets::SecretFile;
    use crate::sqlite::SqliteAlerts;
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};
    use streamalert_delivery::real_clock;
    use streamalert_pipeline::backend::{AlertTable, Fold, Group, Lease, NewAlert, Settled};
    use streamalert_pipeline::config::Schemas;
    use streamalert_pipeline::live::Base;
    use streamalert_pipeline::plugin::{Nowhere, PluginSet};
    use streamalert_pipeline::time::Millis;

    /// Fails the first calls, and waits for `open` in the others.
    struct Rough {
        table: SqliteAlerts,
        failures: AtomicU32,
        open: Mutex<()>,
    }

    impl AlertTable for Rough {
        fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
            let _open = self.open.lock().unwrap();
            let fails = |left: u32| left.checked_sub(1);
            if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
                return Err(BackendError::other("add alerts to the table", "disk full"));
            }
            AlertTable::add(&self.table, alerts, now)
        }
        fn lease(
            &self,
            output: &str,
            owner: &str,
            now: i64,
            until: i64,
            limit: usize,
        ) -> Result<Vec<Lease>, BackendError> {
            self.table.lease(output, owner, now, until, limit)
        }
        fn probe(&self, output: &str, owner: &str, now: i64, until: i64) -> Result<Option<Lease>, BackendError> {
            self.table.probe(output, owner, now, until)
        }
        fn settle(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError> {
            self.table.settle(owner, settled, now)
        }
        fn due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
            self.table.due(output)
        }
        fn groups(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError> {
            self.table.groups(now, limit)
        }
        fn members(&self, group: &Group) -> Result<Vec<Alert>, BackendError> {
            self.table.members(group)
        }
        fn fold(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError> {
            self.table.fold(folds, now)
        }
        fn next_group(&self) -> Result<Option<Millis>, BackendError> {
            self.table.next_group()
        }
    }

    /// A post room without outputs.
    fn post_room(table: Arc<dyn AlertTable>, live: Arc<ArcSwap<Live>>, folder: &Path) -> Arc<Post> {
        Post::new(streamalert_delivery::Setup {
            table,
            live,
            outputs: Arc::default(),
            secrets: Arc::new(SecretFile::new(folder.join("secrets.json"), std::iter::empty())),
            world: Arc::new(Nowhere),
            native: Vec::new(),
            clock: real_clock(),
        })
    }

    struct Quiet;

    impl Sink for Quiet {
        fn alerts(&mut self, _: &[&Alert]) -> Result<(), BackendError> {
            Ok(())
        }
    }

    struct Stage {
        folder: tempfile::TempDir,
        table: Arc<Rough>,
        /// Another connection to the same.
        trials: Arc<SqliteAlerts>,
        stop: Stop,
        acknowledged: Arc<Mutex<Vec<u64>>>,
    }

    impl Stage {
        fn new(failures: u32) -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
            let table = Arc::new(Rough { table, failures: AtomicU32::new(failures), open: Mutex::default() });
            let trials = Arc::new(SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap());
            Stage { folder, table, trials, stop: Stop::default(), acknowledged: Arc::default() }
        }

        fn start(&self) -> Runner {
            let schema = r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}}}"#;
            let schemas = Arc::new(Schemas::read(&[("test.json".into(), schema.into())]).unwrap());
            let base = Base { schemas, ..Base::default() };
            let live = Arc::new(ArcSwap::from_pointee(Live::new(PluginSet::default(), &base, None).0));
            let setup = Setup {
                live: live.clone(),
                post: post_room(self.table.clone(), live, self.folder.path()),
                dead: Arc::new(DeadLetterFolder::open(&self.folder.path().join("dead")).unwrap()),
                states: Arc::new(CurrentStates::open(RuleFile::new(self.folder.path().join("rules.json"))).unwrap()),
                trials: self.trials.clone(),
                ledger: self.trials.clone(),
                archive: None,
                enricher: None,
                workers: 1,
                stop: self.stop.clone(),
            };
            Runner::start(setup, Box::new(Quiet)).unwrap()
        }

        fn offer(&self, door: &Door, number: u64, patience: Duration) -> Result<(), Refused> {
            let acknowledged = self.acknowledged.clone();
            let receipt = Receipt::new(move |_| acknowledged.lock().unwrap().push(number));
            let bytes: Arc<[u8]> = Arc::from(format!("{{\"n\": {number}}}\nno json\n").as_bytes());
            let payload = Payload::new(Arc::new(stdin_source(None)), number * 100, bytes);
            door.payload(payload, &receipt, Some(patience))?;
            receipt.whole();
            Ok(())
        }

        fn acknowledged(&self) -> Vec<u64> {
            self.acknowledged.lock().unwrap().clone()
        }
    }

    #[test]
    fn what_cannot_be_stored_is_not_acknowledged_and_ends_the_run() {
        let stage = Stage::new(u32::MAX);
        // Nobody has the patience to try again.
        stage.stop.request();
        let runner = stage.start();
        let door = runner.door();
        stage.offer(&door, 1, Duration::from_secs(10)).unwrap();
        let mut number = 2;
        while stage.offer(&door, number, Duration::from_secs(10)) != Err(Refused::Closed) {
            number += 1;
        }
        drop(door);
        assert!(matches!(runner.finish(), Err(RunError::Store(_))));
        assert!(stage.acknowledged().is_empty());
    }

    #[test]
    fn storing_is_tried_again() {
        let stage = Stage::new(1);
        let runner = stage.start();
        stage.offer(&runner.door(), 1, Duration::from_secs(10)).unwrap();
        let tally = runner.finish().unwrap();
        assert_eq!((tally.records(), tally.classified["test:row"], tally.dead["not_json"]), (2, 1, 1));
        assert_eq!((tally.inputs, tally.unaccounted), (2, 0));
        assert_eq!(stage.acknowledged(), [1]);
        assert!(!stage.stop.is_requested());
    }

    #[test]
    fn a_full_queue_says_so_and_what_was_taken_is_still_stored() {
        let stage = Stage::new(0);
        let runner = stage.start();
        let door = runner.door();
        let mut taken = Vec::new();
        {
            let _closed = stage.table.open.lock().unwrap();
            for number in 0.. {
                match stage.offer(&door, number, Duration::from_millis(200)) {
                    Ok(()) => taken.push(number),
                    Err(refused) => {
                        assert_eq!(refused, Refused::Full);
                        break;
                    }
                }
                assert!(number < 10_000, "the queue has no end");
            }
            assert!(stage.acknowledged().is_empty(), "the table is closed");
        }
        drop(door);
        let tally = runner.finish().unwrap();
        assert_eq!(tally.inputs, 2 * taken.len() as u64);
        assert_eq!(stage.acknowledged(), taken);
    }

    #[test]
    fn what_a_door_passes_over_is_counted_and_acknowledged() {
        let stage = Stage::new(0);
        let runner = stage.start();
        let acknowledged = stage.acknowledged.clone();
        let receipt = Receipt::new(move |tally| acknowledged.lock().unwrap().push(tally.skipped["empty_object"]));
        runner.door().skip(Skip::EmptyObject, &receipt, None).unwrap();
        receipt.whole();
        let tally = runner.finish().unwrap();
        assert_eq!((tally.inputs, tally.records(), tally.unaccounted), (1, 1, 0));
        assert_eq!(stage.acknowledged(), [1]);
    }

    #[test]
    fn an_object_that_was_not_read_to_its_end_is_not_acknowledged() {
        let stage = Stage::new(0);
        let runner = stage.start();
        let acknowledged = stage.acknowledged.clone();
        let receipt = Receipt::new(move |_| acknowledged.lock().unwrap().push(0));
        let payload = Payload::new(Arc::new(stdin_source(None)), 0, &b"{\"n\": 1}"[..]);
        runner.door().payload(payload, &receipt, None).unwrap();
        drop(receipt);
        assert_eq!(runner.finish().unwrap().records(), 1);
        assert!(stage.acknowledged().is_empty());
    }
}
