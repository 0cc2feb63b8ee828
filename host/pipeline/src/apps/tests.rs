use super::*;
use crate::plugin::{Nowhere, PluginError, PluginErrorKind, SettingFault};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: Millis = 60_000;
const T0: Millis = 1_767_355_200_000;

fn config() -> AppConfig {
    AppConfig::of("x")
}

/// Its pages are the numbers from the cursor on, ten each, up to `there`.
struct Numbers {
    there: u64,
    trouble: Mutex<Vec<Polled>>,
    asked: Mutex<Vec<Ask>>,
}

impl Numbers {
    fn new(there: u64) -> Self {
        Numbers { there, trouble: Mutex::default(), asked: Mutex::default() }
    }
}

impl AppPlugin for Numbers {
    fn name(&self) -> &str {
        "numbers"
    }

    fn digest(&self) -> &str {
        ""
    }

    fn apps(&self) -> &[AppInfo] {
        &[]
    }

    fn validate(&self, _: usize, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(vec![])
    }

    fn poll(&self, _: usize, ask: &Ask, _: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
        self.asked.lock().unwrap().push(ask.clone());
        if let Some(trouble) = self.trouble.lock().unwrap().pop() {
            return Ok(trouble);
        }
        let from: u64 = ask.cursor.as_deref().unwrap_or("0").parse().unwrap();
        if from == 666 {
            return Err(PluginError::new(PluginErrorKind::Trap, "unreachable"));
        }
        let to = (from + 10).min(self.there);
        let logs = (from..to).map(|n| format!("{{\"n\":{n}}}")).collect();
        Ok(Polled::Page(AppPage { logs, cursor: to.to_string(), more: to < self.there, wait: None }))
    }
}

/// In memory; each write may be the last.
#[derive(Default)]
struct Table {
    states: Mutex<BTreeMap<String, AppState>>,
    /// Writes that still succeed; then the process is gone, before or after the write.
    left: Cell<Option<u32>>,
    after: Cell<bool>,
}

// SAFETY: tests have one thread.
unsafe impl Sync for Table {}

fn dead() -> BackendError {
    BackendError::other("the process is gone", "")
}

impl AppTable for Table {
    fn all(&self) -> Result<BTreeMap<String, AppState>, BackendError> {
        Ok(self.states.lock().unwrap().clone())
    }

    fn get(&self, app: &str) -> Result<Option<AppState>, BackendError> {
        Ok(self.states.lock().unwrap().get(app).cloned())
    }

    fn put(&self, app: &str, state: &AppState, expected: Option<u64>) -> Result<u64, BackendError> {
        let dies = match self.left.get() {
            Some(0) => true,
            Some(left) => {
                self.left.set(Some(left - 1));
                false
            }
            None => false,
        };
        if dies && !self.after.get() {
            return Err(dead());
        }
        let mut states = self.states.lock().unwrap();
        if states.get(app).map(|there| there.revision) != expected {
            return Err(BackendError { kind: BackendErrorKind::Conflict, action: "write".into(), source: None });
        }
        let revision = expected.unwrap_or(0) + 1;
        states.insert(app.into(), AppState { revision, ..state.clone() });
        if dies { Err(dead()) } else { Ok(revision) }
    }

    fn remove(&self, app: &str) -> Result<(), BackendError> {
        self.states.lock().unwrap().remove(app);
        Ok(())
    }
}

struct World {
    table: Table,
    now: Cell<Millis>,
    handed: RefCell<Vec<String>>,
    fails: Cell<bool>,
}

impl World {
    fn new() -> Self {
        World { table: Table::default(), now: Cell::new(T0), handed: RefCell::default(), fails: Cell::new(false) }
    }

    fn turn(&self, plugin: &Numbers, config: &AppConfig) -> Result<Turned, BackendError> {
        self.turn_until(plugin, config, Millis::MAX)
    }

    fn turn_until(&self, plugin: &Numbers, config: &AppConfig, until: Millis) -> Result<Turned, BackendError> {
        Turn {
            app: "a",
            config,
            plugin,
            kind: 0,
            table: &self.table,
            owner: "me",
            outside: &|| Arc::new(Nowhere),
            hand_on: &|logs| {
                if self.fails.get() {
                    return Err(BackendError::other("send", "the queue is down"));
                }
                self.handed.borrow_mut().extend(logs.iter().cloned());
                Ok(())
            },
            clock: &|| {
                self.now.set(self.now.get() + 1);
                self.now.get()
            },
            wait: &|wait| {
                self.now.set(self.now.get() + wait.as_millis() as Millis);
                true
            },
            until,
            force: false,
        }
        .take()
    }

    fn state(&self) -> AppState {
        self.table.get("a").unwrap().unwrap()
    }

    fn pass(&self, time: Millis) {
        self.now.set(self.now.get() + time);
    }
}

#[test]
fn a_turn_fetches_all_there_is_and_the_next_one_is_the_schedules() {
    let (world, numbers, config) = (World::new(), Numbers::new(25), config());
    assert_eq!(world.turn(&numbers, &config).unwrap(), Turned { pages: 3, logs: 25, ended: Ended::Done });
    let state = world.state();
    assert_eq!((state.cursor.as_deref(), &state.lease, state.pages, state.logs), (Some("25"), &None, 3, 25));
    assert!(
        matches!(world.turn(&numbers, &config).unwrap().ended, Ended::NotDue { at: Some(at) } if at == T0 + 5 * MINUTE)
    );
    world.pass(5 * MINUTE);
    assert_eq!(world.turn(&Numbers::new(27), &config).unwrap(), Turned { pages: 1, logs: 2, ended: Ended::Done });
    assert_eq!(world.handed.borrow().len(), 27);
}

#[test]
fn the_first_logs_are_as_old_as_the_schedule_or_as_the_operator_says() {
    let since = |config: &AppConfig| {
        let (world, numbers) = (World::new(), Numbers::new(1));
        world.turn(&numbers, config).unwrap();
        let asked = numbers.asked.lock().unwrap();
        asked[0].now as i64 - asked[0].since as i64
    };
    assert_eq!(since(&config()), 300);
    let start = crate::config::apps::Start::read("2h").unwrap();
    assert_eq!(since(&AppConfig { start: Some(start), ..config() }), 7200);
    let daily = crate::schedule::Schedule::read("cron(30 13 * * ? *)").unwrap();
    assert_eq!(since(&AppConfig { schedule: daily, ..config() }), 86_400);
}

#[test]
fn nobody_else_is_at_it_at_the_same_time() {
    let (world, numbers, config) = (World::new(), Numbers::new(5), config());
    let lease = Some(AppLease { owner: "other".into(), until: T0 + MINUTE });
    world.table.put("a", &AppState { lease, ..AppState::default() }, None).unwrap();
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Taken);
    assert!(numbers.asked.lock().unwrap().is_empty());
    // Whoever had it is gone, and it does not stick.
    world.pass(MINUTE + 1);
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done);
}

#[test]
fn when_time_is_short_the_next_turn_goes_on() {
    let (world, numbers, config) = (World::new(), Numbers::new(100), config());
    let turned = world.turn_until(&numbers, &config, T0 + 20).unwrap();
    assert!(matches!(turned.ended, Ended::More { .. }) && (1..9).contains(&turned.pages), "{turned:?}");
    assert_eq!(world.state().lease, None);
    // At once, and not by the schedule.
    let rest = world.turn(&numbers, &config).unwrap();
    assert_eq!((rest.ended, turned.logs + rest.logs), (Ended::Done, 100));
    assert_eq!(world.handed.borrow().iter().collect::<BTreeSet<_>>().len(), 100);
}

#[test]
fn failures_wait_longer_each_time_and_as_long_as_the_service_asks() {
    let (world, numbers, config) = (World::new(), Numbers::new(5), config());
    let retry = |after| Polled::Retry { reason: "busy".into(), after };
    let mut waits = Vec::new();
    for after in [None, None, Some(600), None, None, None, None, None] {
        numbers.trouble.lock().unwrap().push(retry(after));
        let Ended::Failed { at, .. } = world.turn(&numbers, &config).unwrap().ended else { panic!("it went well") };
        waits.push((at - world.now.get() + 500) / 1000);
        assert!(matches!(world.turn(&numbers, &config).unwrap().ended, Ended::NotDue { .. }));
        world.now.set(at);
    }
    assert_eq!(waits, [15, 30, 600, 120, 240, 480, 900, 900]);
    let state = world.state();
    assert_eq!((state.attempts, state.error.as_deref()), (8, Some("busy")));
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done);
    let asked = numbers.asked.lock().unwrap();
    assert_eq!(asked.iter().map(|ask| ask.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!((world.state().attempts, world.state().error), (0, None));
}

#[test]
fn a_refusal_waits_for_its_next_turn() {
    let (world, numbers, config) = (World::new(), Numbers::new(5), config());
    numbers.trouble.lock().unwrap().push(Polled::Reject("401".into()));
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Rejected { reason: "401".into() });
    let state = world.state();
    assert!(state.refused && state.error.as_deref() == Some("401") && state.lease.is_none());
    world.pass(MINUTE);
    assert!(matches!(world.turn(&numbers, &config).unwrap().ended, Ended::NotDue { .. }));
    world.pass(5 * MINUTE);
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done);
    assert!(!world.state().refused);
}

#[test]
fn a_cursor_is_kept_only_when_its_logs_are_safe() {
    let (world, numbers, config) = (World::new(), Numbers::new(15), config());
    world.fails.set(true);
    let ended = world.turn(&numbers, &config).unwrap().ended;
    assert!(matches!(&ended, Ended::Failed { reason, .. } if reason.contains("the queue is down")), "{ended:?}");
    assert_eq!(world.state().cursor, None);
    world.fails.set(false);
    world.pass(MINUTE);
    assert_eq!(world.turn(&numbers, &config).unwrap().logs, 15);
}

#[test]
fn a_component_that_breaks_is_tried_again() {
    let (world, numbers, config) = (World::new(), Numbers::new(5), config());
    world.table.put("a", &AppState { cursor: Some("666".into()), ..AppState::default() }, None).unwrap();
    let ended = world.turn(&numbers, &config).unwrap().ended;
    assert!(matches!(&ended, Ended::Failed { reason, .. } if reason.contains("trap")), "{ended:?}");
    assert_eq!(world.state().cursor.as_deref(), Some("666"));
}

#[test]
fn whoever_dies_at_any_write_loses_nothing_and_leaves_nothing_behind() {
    let config = config();
    for writes in 0..8 {
        for after in [false, true] {
            let (world, numbers) = (World::new(), Numbers::new(45));
            world.table.left.set(Some(writes));
            world.table.after.set(after);
            let died = world.turn(&numbers, &config);
            world.table.left.set(None);
            if died.is_ok() {
                continue;
            }
            // Within the lease it is nobody's, after that anybody's.
            world.pass(10 * MINUTE);
            assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done, "{writes} {after}");
            let handed = world.handed.borrow();
            assert_eq!(handed.iter().collect::<BTreeSet<_>>().len(), 45, "{writes} {after}");
            assert!(handed.len() <= 55, "at most one page comes twice: {writes} {after}: {}", handed.len());
        }
    }
}

#[test]
fn a_reset_in_the_middle_is_not_undone() {
    let (world, config) = (World::new(), config());
    struct Resets<'a>(&'a World, Numbers);
    impl AppPlugin for Resets<'_> {
        fn name(&self) -> &str {
            ""
        }
        fn digest(&self) -> &str {
            ""
        }
        fn apps(&self) -> &[AppInfo] {
            &[]
        }
        fn validate(&self, _: usize, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
            Ok(vec![])
        }
        fn poll(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
            self.0.table.remove("a").unwrap();
            self.1.poll(kind, ask, outside)
        }
    }
    // SAFETY: tests have one thread.
    unsafe impl Sync for Resets<'_> {}
    unsafe impl Send for Resets<'_> {}
    let resets = Resets(&world, Numbers::new(30));
    let turn = Turn {
        app: "a",
        config: &config,
        plugin: &resets,
        kind: 0,
        table: &world.table,
        owner: "me",
        outside: &|| Arc::new(Nowhere),
        hand_on: &|_| Ok(()),
        clock: &|| T0,
        wait: &|_| true,
        until: Millis::MAX,
        force: false,
    };
    assert_eq!(turn.take().unwrap().ended, Ended::Taken);
    assert_eq!(world.table.get("a").unwrap(), None);
}

#[test]
fn requests_keep_to_the_rate() {
    let waited = Arc::new(Mutex::new(Vec::new()));
    let info = AppInfo { options: crate::plugin::AppOptions { rate: Some(0.5), logs: vec![] }, ..AppInfo::default() };
    let paced = |config: &AppConfig| {
        let log = waited.clone();
        let outside =
            Paced::within(Arc::new(Nowhere), &info, config, Arc::new(move |gap| log.lock().unwrap().push(gap)));
        for _ in 0..3 {
            let request = HttpRequest { method: "GET".into(), url: "u".into(), headers: vec![], body: vec![] };
            let _ = outside.http(request);
        }
        std::mem::take(&mut *waited.lock().unwrap())
    };
    assert_eq!(paced(&config()), [Duration::from_secs(2); 2]);
    assert_eq!(paced(&AppConfig { rate: Some(10.0), ..config() }), [Duration::from_millis(100); 2]);
}
