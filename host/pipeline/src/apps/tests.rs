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
        self.take(plugin, config, until)
    }

    fn take(&self, plugin: &dyn AppPlugin, config: &AppConfig, until: Millis) -> Result<Turned, BackendError> {
        Turn {
            app: "a",
            config,
            plugin,
            kind: 0,
            table: &self.table,
            owner: "me",
            outside: &|| Arc::new(Nowhere),
            pace: &Pace::default(),
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
    let lease = Some(AppLease { owner: "other".into(), until: T0 + MINUTE, since: T0 });
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
        pace: &Pace::default(),
        hand_on: &|_| Ok(()),
        clock: &|| T0,
        wait: &|_| true,
        until: Millis::MAX,
        force: false,
    };
    assert_eq!(turn.take().unwrap().ended, Ended::Taken);
    assert_eq!(world.table.get("a").unwrap(), None);
}

/// An app that is nothing but its answer.
struct Answers<F>(F);

impl<F: Fn(&Ask, &Arc<dyn Outside>) -> AppPage + Send + Sync> AppPlugin for Answers<F> {
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

    fn poll(&self, _: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
        Ok(Polled::Page(self.0(ask, outside)))
    }
}

/// Asks the service so often for each page.
fn asks(times: usize) -> impl AppPlugin {
    Answers(move |ask: &Ask, outside: &Arc<dyn Outside>| {
        for _ in 0..times {
            let request = HttpRequest { method: "GET".into(), url: "u".into(), headers: vec![], body: vec![] };
            let _ = outside.http(request);
        }
        let page: u64 = ask.cursor.as_deref().unwrap_or("0").parse().unwrap();
        AppPage { logs: vec![], cursor: (page + 1).to_string(), more: page % 3 < 2, wait: None }
    })
}

/// Notes when it was asked, and how much longer a poll may take.
struct Service(Arc<Mutex<Vec<Millis>>>, Arc<Mutex<Millis>>, Mutex<Duration>);

impl Outside for Service {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let now = *self.1.lock().unwrap();
        self.0.lock().unwrap().push(now);
        Nowhere.http(request)
    }

    fn secret(&self, _: &str) -> Option<String> {
        None
    }

    fn time_left(&self) -> Option<Duration> {
        Some(*self.2.lock().unwrap())
    }

    fn waited(&self, time: Duration) {
        *self.2.lock().unwrap() += time;
    }
}

#[test]
fn waits_for_the_rate_are_not_of_a_polls_time() {
    let config = AppConfig { rate: Some(0.5), ..config() };
    let now = Arc::new(Mutex::new(T0));
    let clock = now.clone();
    let clock: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(move || *clock.lock().unwrap());
    let left = Arc::new(Mutex::new(3_000));
    let (pass, spare) = (now.clone(), left.clone());
    let paced = Paced {
        inner: Arc::new(Service(Arc::default(), now.clone(), Mutex::new(Duration::from_secs(60)))),
        pace: Arc::new(Pace::of(&AppInfo::default(), &config)),
        clock,
        wait: Arc::new(move |wait| {
            let (wait, mut left) = (wait.as_millis() as Millis, spare.lock().unwrap());
            let fits = wait <= *left;
            if fits {
                *left -= wait;
                *pass.lock().unwrap() += wait;
            }
            fits
        }),
    };
    let ask = || {
        let request = HttpRequest { method: "GET".into(), url: "u".into(), headers: vec![], body: vec![] };
        paced.http(request).unwrap_err().message
    };
    assert_eq!((ask(), ask()), ("there is no network here".into(), "there is no network here".into()));
    assert_eq!(paced.time_left(), Some(Duration::from_secs(62)));
    assert!(ask().contains("the next request is 2 s away, and there is no time for that"));
    assert_eq!((paced.time_left(), *now.lock().unwrap()), (Some(Duration::from_secs(62)), T0 + 2_000));
}

#[test]
fn requests_keep_to_the_rate_over_pages_and_turns() {
    let info = AppInfo { options: crate::plugin::AppOptions { rate: Some(0.5), logs: vec![] }, ..AppInfo::default() };
    for (rate, gap) in [(None, 2_000), (Some(10.0), 100), (Some(0.001), 60_000)] {
        let config = AppConfig { rate, ..config() };
        let (table, now, asked) = (Table::default(), Arc::new(Mutex::new(T0)), Arc::new(Mutex::new(vec![])));
        let turn = || {
            // Each turn as in a process of its own.
            let pace = Arc::new(Pace::of(&info, &config));
            let clock = now.clone();
            let clock: Arc<dyn Fn() -> Millis + Send + Sync> = Arc::new(move || *clock.lock().unwrap());
            let pass = now.clone();
            let pass = Arc::new(move |wait: Duration| {
                *pass.lock().unwrap() += wait.as_millis() as Millis;
                true
            });
            let turned = Turn {
                app: "a",
                config: &config,
                plugin: &asks(2),
                kind: 0,
                table: &table,
                owner: "me",
                outside: &|| {
                    let inner = Arc::new(Service(asked.clone(), now.clone(), Mutex::default()));
                    Arc::new(Paced { inner, pace: pace.clone(), clock: clock.clone(), wait: pass.clone() })
                },
                pace: &pace,
                hand_on: &|_| Ok(()),
                clock: &*clock,
                wait: &*pass,
                until: Millis::MAX,
                force: true,
            };
            assert_eq!(turned.take().unwrap().ended, Ended::Done);
        };
        turn();
        turn();
        let asked = asked.lock().unwrap();
        let gaps: BTreeSet<Millis> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((asked.len(), gaps), (12, BTreeSet::from([gap])), "{rate:?}");
    }
}

#[test]
fn a_wait_that_does_not_fit_ends_the_turn_and_is_gone_on_with_soon() {
    let info = AppInfo { options: crate::plugin::AppOptions { rate: Some(0.5), logs: vec![] }, ..AppInfo::default() };
    let (world, config) = (World::new(), config());
    let pace = Pace::of(&info, &config);
    let asked = AppState { asked: Some(T0 - 500), begun: T0 - 10 * MINUTE, ..AppState::default() };
    world.table.put("a", &asked, None).unwrap();
    let turn = Turn {
        app: "a",
        config: &config,
        plugin: &asks(1),
        kind: 0,
        table: &world.table,
        owner: "me",
        outside: &|| Arc::new(Nowhere),
        pace: &pace,
        hand_on: &|_| Ok(()),
        clock: &|| T0,
        wait: &|_| false,
        until: Millis::MAX,
        force: false,
    };
    assert_eq!(turn.take().unwrap(), Turned { pages: 0, logs: 0, ended: Ended::More { at: T0 + 1_500 } });
    assert_eq!((world.state().due(&config, T0 + 10), world.state().lease), (Some(T0 + 1_500), None));
}

/// Its cursors are these, one after the other and from the beginning again; there is always more.
fn circle(cursors: &'static [&'static str]) -> impl AppPlugin {
    Answers(move |ask: &Ask, _: &Arc<dyn Outside>| {
        let here = ask.cursor.as_ref().and_then(|cursor| cursors.iter().position(|known| known == cursor));
        let next = here.map_or(0, |here| (here + 1) % cursors.len());
        let cursor = cursors[next].to_owned();
        AppPage { logs: vec![format!("{{\"n\":{next}}}")], cursor, more: true, wait: None }
    })
}

#[test]
fn pages_that_go_round_in_circles_are_a_failure_that_waits_longer_each_time() {
    for (cursors, told) in [(&["a"][..], "that it was asked for with"), (&["a", "b", "c"], "of an earlier page")] {
        let (world, config) = (World::new(), config());
        let turn = || world.take(&circle(cursors), &config, Millis::MAX).unwrap();
        let mut waits = Vec::new();
        for _ in 0..8 {
            let turned = turn();
            let Ended::Failed { ref reason, at } = turned.ended else { panic!("{turned:?}") };
            assert!(reason.contains("round in circles") && reason.contains(told), "{reason}");
            assert!(turned.pages <= cursors.len() as u64 + 1, "{turned:?}");
            waits.push((at - world.now.get() + 500) / 1000);
            world.now.set(at);
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900], "{cursors:?}");
        let state = world.state();
        assert!(state.error.is_some() && state.lease.is_none() && state.succeeded.is_none());
        let handed = world.handed.borrow();
        assert_eq!(handed.iter().collect::<BTreeSet<_>>().len(), cursors.len(), "what came is handed on");
        drop(handed);
        // When it comes to an end, that is forgotten.
        world.table.remove("a").unwrap();
        world.table.put("a", &AppState { cursor: Some("0".into()), ..state }, None).unwrap();
        assert_eq!(world.turn(&Numbers::new(5), &config).unwrap().ended, Ended::Done);
        assert_eq!((world.state().circles, world.state().error), (0, None));
    }
}

#[test]
fn a_clock_that_was_ahead_stops_nothing() {
    let config = config();
    const YEAR: Millis = 365 * 24 * 60 * MINUTE;
    let states = [
        AppState { begun: T0 + YEAR, ..AppState::default() },
        AppState { begun: T0, again: Some(T0 + YEAR), ..AppState::default() },
        AppState { begun: T0, again: Some(T0 + 20 * MINUTE), error_at: Some(T0 + 19 * MINUTE), ..AppState::default() },
        AppState { begun: T0, again: Some(T0 + 20 * MINUTE), asked: Some(T0 + 19 * MINUTE), ..AppState::default() },
        AppState {
            lease: Some(AppLease { owner: "gone".into(), until: T0 + YEAR, since: T0 + YEAR - MINUTE }),
            ..AppState::default()
        },
    ];
    for state in states {
        let (world, numbers) = (World::new(), Numbers::new(5));
        assert_eq!(state.due(&config, T0 + 1_000), Some(T0 + 1_000), "{state:?}");
        world.table.put("a", &state, None).unwrap();
        world.now.set(T0 + 4 * MINUTE);
        assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done, "{state:?}");
        assert!(world.state().begun <= world.now.get());
        assert!(
            matches!(world.turn(&numbers, &config).unwrap().ended, Ended::NotDue { .. }),
            "and it is not its turn again"
        );
    }
    // A wait of an hour that a service asked for is one.
    let asked = AppState { again: Some(T0 + 60 * MINUTE), begun: T0, error_at: Some(T0), ..AppState::default() };
    assert_eq!(asked.due(&config, T0 + MINUTE), Some(T0 + 60 * MINUTE));
}

#[test]
fn what_keeps_a_turn_from_beginning_is_in_the_state() {
    let (world, numbers, config) = (World::new(), Numbers::new(5), config());
    world.turn(&numbers, &config).unwrap();
    let before = world.state();
    not_ready(&world.table, "a", &config, "token is missing", T0 + MINUTE).unwrap();
    let state = world.state();
    assert_eq!(
        (state.refused, state.error.as_deref(), state.error_at),
        (true, Some("token is missing"), Some(T0 + MINUTE))
    );
    assert_eq!((&state.cursor, state.begun, state.succeeded), (&before.cursor, before.begun, before.succeeded));
    // Once is enough.
    not_ready(&world.table, "a", &config, "token is missing", T0 + 2 * MINUTE).unwrap();
    assert_eq!(world.state().revision, state.revision);
    not_ready(&world.table, "new", &config, "no component", T0).unwrap();
    assert!(world.table.get("new").unwrap().unwrap().refused);
    // It is its turn as before, and when it works all is well.
    world.pass(5 * MINUTE);
    assert_eq!(world.turn(&numbers, &config).unwrap().ended, Ended::Done);
    assert!(!world.state().refused && world.state().error.is_none());
    // Somebody is at it, who could begin.
    let lease = Some(AppLease { owner: "other".into(), until: T0 + 60 * MINUTE, since: T0 });
    let state = world.state();
    world.table.put("a", &AppState { lease, ..state.clone() }, Some(state.revision)).unwrap();
    not_ready(&world.table, "a", &config, "no component", world.now.get()).unwrap();
    assert!(!world.state().refused);
}

#[test]
fn settings_that_are_unknown_secret_or_missing_are_told() {
    struct Described(Vec<AppInfo>);
    impl AppPlugin for Described {
        fn name(&self) -> &str {
            ""
        }
        fn digest(&self) -> &str {
            ""
        }
        fn apps(&self) -> &[AppInfo] {
            &self.0
        }
        fn validate(&self, _: usize, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
            let bad = settings.iter().any(|(name, value)| name == "url" && value == "bad");
            Ok(bad.then(|| SettingFault { setting: "url".into(), message: "is no URL".into() }).into_iter().collect())
        }
        fn poll(&self, _: usize, _: &Ask, _: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
            unreachable!("nobody is called")
        }
    }
    let setting = |name: &str, secret| crate::plugin::Setting {
        name: name.into(),
        description: String::new(),
        secret,
        required: true,
    };
    let info = AppInfo {
        name: "x".into(),
        settings: vec![setting("url", false), setting("token", true)],
        ..AppInfo::default()
    };
    let plugin = Described(vec![info]);
    let check = |plain: serde_json::Value, secret: &[(&str, &str)], expected: &[&str]| {
        let config = AppConfig { settings: plain.as_object().unwrap().clone(), ..config() };
        let secrets = secret.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let told = problems(&plugin, 0, &config, &secrets, &|name| format!(" (or {name})"));
        assert_eq!(told, expected);
    };
    let json = |text: &str| serde_json::from_str(text).unwrap();
    check(json(r#"{"url": "u"}"#), &[("token", "t")], &[]);
    check(json("{}"), &[], &["url is missing", "token is missing (or token)"]);
    check(json(r#"{"url": "bad"}"#), &[("token", "t")], &["url: is no URL"]);
    check(json(r#"{"url": "u", "ulr": "u"}"#), &[("token", "t")], &["x has no setting ulr; it has url, token"]);
    check(
        json(r#"{"url": "u", "token": "t"}"#),
        &[],
        &["token is secret and stands in apps.json: take it out there, and give it by `streamalert app update-auth`"],
    );
}
