//! Lanes under a clock that the test moves.

use super::lane::{Lane, Step};
use super::*;
use std::sync::atomic::AtomicI64;
use streamalert_local::native_outputs::native_outputs;
use streamalert_local::secrets::SecretFile;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::{Merge, MergeFirst, Severity};
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, DeliveryState};
use streamalert_pipeline::live::Base;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::plugin::{
    Disposition, Nowhere, OutputInfo, Outside, Parcel, PluginError, PluginErrorKind, SettingFault,
};

fn alert(id: &str) -> Alert {
    Alert {
        id: id.to_owned(),
        rule_name: "root_login".into(),
        title: "Root signed in".into(),
        severity: Severity::High,
        rule_description: "The root user should never sign in.".into(),
        created: "2026-01-02T03:04:05.678Z".into(),
        event_time: Some("2026-01-02T03:00:00Z".into()),
        cluster: "default".into(),
        log_source: "cloudtrail:events".into(),
        log_type: "json".into(),
        source: Source::new("file", "/logs", "/logs/a.json"),
        position: Position { offset: 120, length: 80, index: 2 },
        outputs: vec![],
        publishers: serde_json::Value::Null,
        merge: None,
        dedup_key: Some("root".into()),
        tags: vec![],
        references: vec![],
        context: serde_json::Map::new(),
        record: serde_json::json!({"eventName": "ConsoleLogin"}).into(),
        staged: false,
        trial: None,
        component_digest: "00".into(),
        host_version: "0".into(),
        fuel: 1,
    }
}

/// A service that the test may take down.
struct Service {
    info: OutputInfo,
    up: AtomicBool,
    /// When it got which alert, and every attempt.
    got: Mutex<Vec<(Millis, String)>>,
    attempts: Mutex<Vec<Millis>>,
    clock: Arc<AtomicI64>,
}

impl OutputPlugin for Service {
    fn name(&self) -> &str {
        "service.wasm"
    }
    fn digest(&self) -> &str {
        "00"
    }
    fn info(&self) -> &OutputInfo {
        &self.info
    }
    fn validate(&self, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(vec![])
    }
    fn deliver(&self, parcel: &Parcel, _: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        let now = self.clock.load(Ordering::SeqCst);
        lock(&self.attempts).push(now);
        if !self.up.load(Ordering::SeqCst) {
            return Ok(Disposition::Retry { reason: "503".into(), after: None, progress: None });
        }
        lock(&self.got).push((now, of_parcel(parcel)));
        Ok(Disposition::Delivered(None))
    }
}

/// What the test makes of a parcel.
type Deliver = dyn Fn(&Parcel) -> Result<Disposition, PluginError> + Send + Sync;

pub(crate) struct Scripted {
    info: OutputInfo,
    pub(crate) bulk: bool,
    deliver: Box<Deliver>,
}

pub(crate) fn scripted(
    service: &str,
    deliver: impl Fn(&Parcel) -> Result<Disposition, PluginError> + Send + Sync + 'static,
) -> Scripted {
    let info = OutputInfo { service: service.into(), ..OutputInfo::default() };
    Scripted { info, bulk: false, deliver: Box::new(deliver) }
}

pub(crate) fn retry(reason: &str) -> Result<Disposition, PluginError> {
    Ok(Disposition::Retry { reason: reason.into(), after: None, progress: None })
}

fn of_parcel(parcel: &Parcel) -> String {
    parcel.idempotency_key.split(':').next().unwrap().to_owned()
}

impl OutputPlugin for Scripted {
    fn name(&self) -> &str {
        "scripted.wasm"
    }
    fn digest(&self) -> &str {
        "00"
    }
    fn info(&self) -> &OutputInfo {
        &self.info
    }
    fn validate(&self, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(vec![])
    }
    fn deliver(&self, parcel: &Parcel, _: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        (self.deliver)(parcel)
    }
    fn in_bulk(&self) -> bool {
        self.bulk
    }
}

pub(crate) struct Stage {
    folder: Arc<tempfile::TempDir>,
    pub(crate) table: Arc<SqliteAlerts>,
    clock: Arc<AtomicI64>,
    services: Vec<Arc<Service>>,
    pub(crate) post: Arc<Post>,
}

impl Stage {
    fn new(services: &[&str], outputs: &str) -> Stage {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let services: Vec<Arc<Service>> = services
            .iter()
            .map(|service| {
                Arc::new(Service {
                    info: OutputInfo { service: (*service).into(), ..OutputInfo::default() },
                    up: AtomicBool::new(true),
                    got: Mutex::default(),
                    attempts: Mutex::default(),
                    clock: clock.clone(),
                })
            })
            .collect();
        let plugins = services.iter().map(|service| service.clone() as Arc<dyn OutputPlugin>).collect();
        Stage { services, ..Stage::of(Arc::new(tempfile::tempdir().unwrap()), clock, plugins, outputs) }
    }

    /// With outputs of the test's own.
    pub(crate) fn with(plugins: Vec<Arc<dyn OutputPlugin>>, outputs: &str) -> Stage {
        Stage::of(Arc::new(tempfile::tempdir().unwrap()), Arc::new(AtomicI64::new(1_000_000)), plugins, outputs)
    }

    fn of(
        folder: Arc<tempfile::TempDir>,
        clock: Arc<AtomicI64>,
        outputs: Vec<Arc<dyn OutputPlugin>>,
        config: &str,
    ) -> Stage {
        let table = Arc::new(SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap());
        let set = PluginSet { outputs, ..PluginSet::default() };
        let live = Arc::new(ArcSwap::from_pointee(Live::new(set, &Base::default(), None).0));
        let ticking = clock.clone();
        let post = Post::new(Setup {
            table: table.clone(),
            live,
            outputs: Arc::new(ArcSwap::from_pointee(Outputs::read("outputs.json", config).unwrap())),
            secrets: Arc::new(SecretFile::new(folder.path().join("secrets.json"), std::iter::empty())),
            world: Arc::new(Nowhere),
            native: native_outputs(folder.path().join("outputs")),
            clock: Arc::new(move || ticking.load(Ordering::SeqCst)),
        });
        Stage { folder, table, clock, services: vec![], post }
    }

    /// The next run over the same data, perhaps with other outputs.
    fn again(self, config: &str) -> Stage {
        let plugins = self.post.setup.live.load().rules.plugins.outputs.clone();
        let Stage { folder, clock, services, table, post } = self;
        drop((table, post));
        Stage { services, ..Stage::of(folder, clock, plugins, config) }
    }

    fn raise(&self, id: &str, outputs: &[&str]) {
        self.raise_all(vec![plain(id, outputs)]);
    }

    fn raise_all(&self, mut alerts: Vec<Alert>) {
        self.post.take(&mut alerts).unwrap();
    }

    fn lane(&self, output: &str) -> Lane {
        Lane::new(output, self.post.setup.outputs.load().get(output))
    }

    /// Lets lanes work until they have to wait, and says until when.
    fn run(&self, lane: &Lane) -> Millis {
        loop {
            if let Step::Until(until) | Step::Rests(until) = lane.step(&self.post, "test").unwrap() {
                return until;
            }
        }
    }

    fn pass(&self, millis: Millis) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    fn states(&self, id: &str) -> Vec<(String, DeliveryState)> {
        let filter = DeliveryFilter { alert_id: Some(id.into()), ..DeliveryFilter::default() };
        let all = self.table.deliveries(&filter, 100).unwrap();
        all.into_iter().map(|delivery| (delivery.output, delivery.state)).collect()
    }
}

pub(crate) fn plain(id: &str, outputs: &[&str]) -> Alert {
    Alert { outputs: outputs.iter().map(|output| (*output).into()).collect(), ..alert(id) }
}

/// Of the simulated hour.
const SECOND: Millis = 1_000;
const HOUR: Millis = 3_600 * SECOND;

#[test]
fn an_output_that_is_down_for_an_hour_holds_up_no_other_and_is_caught_up_with_at_a_bounded_rate() {
    let stage = Stage::new(&["pager", "slack"], r#"{"pager": {"soc": {"rate": 5}}, "slack": {"sec": {"rate": 100}}}"#);
    let [pager, slack] = &stage.services[..] else { unreachable!() };
    let (to_pager, to_slack) = (stage.lane("pager:soc"), stage.lane("slack:sec"));
    pager.up.store(false, Ordering::SeqCst);
    let begun = stage.clock.load(Ordering::SeqCst);
    let mut raised = 0;
    // An alert a second.
    for _ in 0..HOUR / SECOND {
        raised += 1;
        stage.raise(&format!("a{raised}"), &["pager:soc", "slack:sec"]);
        stage.run(&to_slack);
        stage.run(&to_pager);
        assert_eq!(lock(&slack.got).len(), raised, "the other output has it at once");
        stage.pass(SECOND);
    }
    assert!(lock(&pager.got).is_empty());
    let attempts = lock(&pager.attempts).len();
    assert!(attempts < 100, "an output that is down is left alone: {attempts} attempts in an hour");

    pager.up.store(true, Ordering::SeqCst);
    let back = stage.clock.load(Ordering::SeqCst);
    while lock(&pager.got).len() < raised {
        let until = stage.run(&to_pager);
        let now = stage.clock.load(Ordering::SeqCst);
        assert!(until < Millis::MAX && now < back + HOUR, "all of it is delivered in the end");
        stage.clock.store(until.max(now + 1), Ordering::SeqCst);
    }
    let mut got = lock(&pager.got).clone();
    for (at, _) in &got {
        let second = got.iter().filter(|(other, _)| (*at..at + SECOND).contains(other)).count();
        assert!(second <= 11, "{second} in a second at a rate of 5");
    }
    assert!(got[0].0 - back <= 5 * 60 * SECOND, "its return is noticed within minutes: {}", got[0].0 - back);
    got.sort_by(|a, b| a.1.cmp(&b.1));
    got.dedup_by(|a, b| a.1 == b.1);
    assert_eq!(got.len(), raised, "each alert once");
    assert_eq!(stage.table.due(None).unwrap(), [], "nothing is owed any more");
    assert!(begun < back);
}

#[test]
fn what_is_delivered_is_not_sent_again_because_something_else_failed() {
    let stage = Stage::new(&["a", "b", "c"], r#"{"a": ["x"], "b": ["x"], "c": ["x"]}"#);
    let lanes: Vec<Lane> = ["a:x", "b:x", "c:x"].map(|output| stage.lane(output)).into();
    stage.raise("1", &["a:x", "b:x", "c:x"]);
    // Each comes up in another round.
    for up in 0..3 {
        for (index, service) in stage.services.iter().enumerate() {
            service.up.store(index == up, Ordering::SeqCst);
        }
        lanes.iter().for_each(|lane| {
            stage.run(lane);
        });
        stage.pass(60 * SECOND);
    }
    for service in &stage.services {
        assert_eq!(lock(&service.got).len(), 1, "{}", service.info.service);
    }
    assert_eq!(stage.table.due(None).unwrap(), []);
}

#[test]
fn an_output_that_is_not_configured_is_seen_at_once_and_the_others_get_the_alert() {
    let stage = Stage::new(&["slack"], r#"{"slack": ["sec"]}"#);
    stage.raise("1", &["slack:sec", "slack:typo"]);
    stage.run(&stage.lane("slack:sec"));
    assert_eq!(
        stage.states("1"),
        [("slack:sec".into(), DeliveryState::Delivered), ("slack:typo".into(), DeliveryState::Dead)]
    );
    assert_eq!(stage.table.backlog().unwrap()["slack:typo"].dead, 1);
    assert!(stage.post.metrics.counts()["slack:typo"].last_error.as_deref().unwrap().contains("not configured"));
}

#[test]
fn files_get_their_lines() {
    let stage = Stage::new(&[], "{}");
    for id in ["1", "2", "3"] {
        stage.raise(id, &["file:audit"]);
    }
    stage.run(&stage.lane("file:audit"));
    let text = std::fs::read_to_string(stage.folder.path().join("outputs/audit.jsonl")).unwrap();
    let ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(stage.table.due(None).unwrap(), []);
}

#[test]
fn a_service_without_component_is_waited_for() {
    let stage = Stage::new(&[], r#"{"slack": ["sec"]}"#);
    stage.raise("1", &["slack:sec"]);
    stage.run(&stage.lane("slack:sec"));
    assert_eq!(stage.states("1"), [("slack:sec".into(), DeliveryState::Owed)]);
    let told = stage.post.metrics.counts()["slack:sec"].last_error.clone().unwrap();
    assert!(told.contains("no component delivers to slack"), "{told}");
}

#[test]
fn alerts_that_only_they_cannot_be_delivered_hold_up_no_other_for_long() {
    let of_bad = |parcel: &Parcel| match of_parcel(parcel).starts_with("bad") {
        true => retry("500"),
        false => Ok(Disposition::Delivered(None)),
    };
    let stage = Stage::with(vec![Arc::new(scripted("slack", of_bad))], r#"{"slack": ["sec"]}"#);
    let lane = stage.lane("slack:sec");
    stage.raise_all((0..1_000).map(|n| plain(&format!("bad {n}"), &["slack:sec"])).collect());
    let run_until = |end: Millis| {
        while stage.clock.load(Ordering::SeqCst) < end {
            let until = stage.run(&lane);
            let now = stage.clock.load(Ordering::SeqCst);
            stage.clock.store(until.clamp(now + 1, end), Ordering::SeqCst);
        }
    };
    let mut slowest = 0;
    for number in 0..50 {
        // Long enough for the output to count as down.
        run_until(stage.clock.load(Ordering::SeqCst) + HOUR);
        let (id, raised) = (format!("good {number}"), stage.clock.load(Ordering::SeqCst));
        stage.raise(&id, &["slack:sec"]);
        while stage.states(&id)[0].1 == DeliveryState::Owed {
            let until = stage.run(&lane);
            let now = stage.clock.load(Ordering::SeqCst);
            stage.clock.store(until.clamp(now + 1, now + HOUR), Ordering::SeqCst);
        }
        slowest = slowest.max(stage.clock.load(Ordering::SeqCst) - raised);
    }
    assert!(slowest <= 15 * 60 * SECOND, "{} s", slowest / SECOND);
}

#[test]
fn a_component_that_comes_back_finds_everything() {
    let stage = Stage::new(&["slack"], r#"{"slack": {"sec": {"attempts": 2}}}"#);
    let there = stage.post.setup.live.load_full();
    let gone = Live::new(PluginSet::default(), &Base::default(), None).0;
    stage.post.setup.live.store(Arc::new(gone));
    stage.raise("1", &["slack:sec"]);
    let lane = stage.lane("slack:sec");
    for _ in 0..100 {
        stage.run(&lane);
        stage.pass(60 * SECOND);
    }
    let owed = stage.table.deliveries(&DeliveryFilter::default(), 9).unwrap();
    assert_eq!((owed[0].state, owed[0].attempts), (DeliveryState::Owed, 0), "nothing was tried");
    assert!(owed[0].last_error.as_deref().unwrap().contains("no component delivers to slack"));
    stage.run(&lane);
    stage.post.setup.live.store(there);
    stage.pass(10 * SECOND);
    stage.run(&lane);
    assert_eq!(stage.states("1"), [("slack:sec".into(), DeliveryState::Delivered)], "soon");
}

fn merging(id: &str, user: &str, merge: Merge) -> Alert {
    let record = serde_json::json!({"user": user, "id": id}).into();
    Alert { record, merge: Some(merge), ..plain(id, &["slack:sec"]) }
}

fn sent(stage: &Stage) -> Vec<serde_json::Value> {
    let lane = stage.lane("slack:sec");
    stage.run(&lane);
    let ids: Vec<String> = lock(&stage.services[0].got).iter().map(|(_, id)| id.clone()).collect();
    lock(&stage.services[0].got).clear();
    ids.iter().map(|id| stage.table.get(id).unwrap().unwrap().record.to_value()).collect()
}

fn counts(sent: &[serde_json::Value]) -> Vec<u64> {
    sent.iter().map(|record| record["AlertCount"].as_u64().unwrap_or(1)).collect()
}

fn merge_stage() -> Stage {
    Stage::new(&["slack"], r#"{"slack": ["sec"]}"#)
}

fn settle_merges(stage: &Stage) {
    while stage.post.merge(stage.clock.load(Ordering::SeqCst)).unwrap() > 0 {}
}

#[test]
fn groups_are_folded_each_at_its_own_time() {
    let stage = merge_stage();
    let long = Merge::new(["user"], 60);
    let short = Merge::new(["user"], 5);
    stage.raise_all(vec![merging("long", "eve", long)]);
    for id in ["1", "2", "3"] {
        stage.raise_all(vec![merging(id, "bob", short.clone())]);
        stage.pass(60 * SECOND);
    }
    stage.raise_all(vec![merging("4", "ann", short)]);
    settle_merges(&stage);
    assert_eq!(sent(&stage), [] as [serde_json::Value; 0], "all wait");
    stage.pass(2 * 60 * SECOND + 1);
    settle_merges(&stage);
    let bob = sent(&stage);
    assert_eq!(counts(&bob), [3], "the long window before them holds nobody up");
    assert_eq!(bob[0]["MergedBy"]["user"], "bob");
    stage.pass(3 * 60 * SECOND);
    settle_merges(&stage);
    let ann = sent(&stage);
    assert_eq!(ann, [serde_json::json!({"user": "ann", "id": "4"})], "one alone goes as it is");
    stage.post.flush().unwrap();
    assert_eq!(sent(&stage).len(), 1);
    assert_eq!(stage.table.due(None).unwrap(), []);
    assert_eq!(stage.table.next_group().unwrap(), None);
    assert_eq!(stage.table.waiting().unwrap(), 0);
}

#[test]
fn a_full_group_goes_at_once() {
    let stage = merge_stage();
    let merge = Merge { max: 50, ..Merge::new(["user"], 60) };
    stage.raise_all((0..120).map(|n| merging(&format!("n{n}"), "bob", merge.clone())).collect());
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [50, 50]);
    stage.pass(HOUR);
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [20]);
}

#[test]
fn the_first_may_go_before_the_rest_is_merged() {
    let stage = merge_stage();
    let merge = Merge { first: MergeFirst::Send, max: 3, ..Merge::new(["user"], 10) };
    stage.raise_all((0..9).map(|n| merging(&format!("n{n}"), "bob", merge.clone())).collect());
    settle_merges(&stage);
    // One at once, then full groups; nobody else goes first within the window.
    assert_eq!(counts(&sent(&stage)), [1, 3, 3]);
    stage.pass(10 * 60 * SECOND);
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [2]);
    stage.raise_all(vec![merging("next", "bob", merge)]);
    assert_eq!(counts(&sent(&stage)), [1], "a new window has a new first");
}

#[test]
fn too_few_within_the_window_are_no_alert_and_enough_are_one_at_once() {
    let stage = merge_stage();
    let merge = Merge { threshold: Some(3), ..Merge::new(["user"], 10) };
    let raise = |ids: &[&str], user: &str| {
        stage.raise_all(ids.iter().map(|id| merging(id, user, merge.clone())).collect());
    };
    raise(&["a", "b"], "ann");
    raise(&["x", "y", "z"], "bob");
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [3]);
    stage.pass(10 * 60 * SECOND);
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [] as [u64; 0]);
    assert_eq!(stage.post.metrics.merges(), (3, 2));
    assert_eq!(stage.table.merged_into("a").unwrap().as_deref(), Some(""), "kept, and known why nobody was told");
    assert_eq!(stage.table.due(None).unwrap(), []);
}

#[test]
fn windows_may_be_of_the_events_own_time() {
    use streamalert_pipeline::alert::MergeOn;
    let stage = merge_stage();
    let merge = Merge { on: MergeOn::Event, ..Merge::new(["user"], 10) };
    let at = |id: &str, minute: i64| {
        let time = format!("2026-01-01T00:{minute:02}:00Z");
        Alert { event_time: Some(time), ..merging(id, "bob", merge.clone()) }
    };
    // All arrive at once; the log says otherwise.
    stage.raise_all(vec![at("a", 0), at("b", 30), at("c", 5), at("d", 31), at("e", 55)]);
    stage.pass(HOUR);
    settle_merges(&stage);
    let mut counts = counts(&sent(&stage));
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 2]);
}

#[test]
fn operators_list_retry_and_drop() {
    let stage = Stage::new(&["slack"], r#"{"slack": {"sec": {"attempts": 1}}}"#);
    let lane = stage.lane("slack:sec");
    stage.services[0].up.store(false, Ordering::SeqCst);
    for id in ["1", "2"] {
        stage.raise(id, &["slack:sec"]);
    }
    stage.run(&lane);
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    let all = stage.table.deliveries(&dead, 10).unwrap();
    assert_eq!(all.iter().map(|delivery| delivery.alert_id.as_str()).collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!(all[0].last_error.as_deref(), Some("given up after 1 attempts: 503"));
    stage.services[0].up.store(true, Ordering::SeqCst);
    let now = stage.clock.load(Ordering::SeqCst);
    let one = DeliveryFilter { alert_id: Some("1".into()), output: Some("slack".into()), ..DeliveryFilter::default() };
    assert_eq!(stage.table.retry(&one, now).unwrap(), 1);
    assert_eq!(stage.table.drop_deliveries(&dead, now).unwrap(), 1);
    stage.pass(HOUR);
    stage.run(&lane);
    assert_eq!(stage.states("1"), [("slack:sec".into(), DeliveryState::Delivered)]);
    assert_eq!(stage.states("2"), [("slack:sec".into(), DeliveryState::Dropped)]);
    assert_eq!(
        stage.table.retry(&DeliveryFilter::default(), now).unwrap(),
        0,
        "delivered and dropped stay as they are"
    );
    let dropped = DeliveryFilter { state: Some(DeliveryState::Dropped), ..DeliveryFilter::default() };
    assert_eq!(stage.table.retry(&dropped, now).unwrap(), 1);
    assert!(
        stage
            .table
            .deliveries(&DeliveryFilter { output: Some("sla".into()), ..DeliveryFilter::default() }, 9)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_end_of_a_run_merges_all_that_waits_also_behind_groups_whose_first_was_sent() {
    let stage = Stage::new(&["slack"], r#"{"slack": {"sec": {"rate": 100000}}}"#);
    let merge = Merge { first: MergeFirst::Send, ..Merge::new(["user"], 60) };
    let users = 3 * FOLDS_AT_ONCE;
    for round in 0..3 {
        let raised = (0..users).map(|user| merging(&format!("{user}-{round}"), &format!("u{user}"), merge.clone()));
        stage.raise_all(raised.collect());
    }
    assert_eq!(counts(&sent(&stage)).len(), users);
    stage.post.flush().unwrap();
    stage.pass(60 * SECOND);
    assert_eq!(counts(&sent(&stage)), vec![2; users]);
    assert_eq!(stage.table.waiting().unwrap(), 0);
}

#[test]
fn a_batch_that_fails_is_one_failure() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = up.clone();
    let output = Scripted {
        bulk: true,
        ..scripted("bulk", move |_| match is_up.load(Ordering::SeqCst) {
            true => Ok(Disposition::Delivered(None)),
            false => retry("disk full"),
        })
    };
    let stage = Stage::with(vec![Arc::new(output)], r#"{"bulk": ["x"]}"#);
    stage.raise_all((0..300).map(|n| plain(&n.to_string(), &["bulk:x"])).collect());
    let lane = stage.lane("bulk:x");
    stage.run(&lane);
    up.store(true, Ordering::SeqCst);
    stage.pass(3 * SECOND);
    stage.run(&lane);
    assert_eq!(stage.table.due(None).unwrap(), [], "a short trouble is over soon");
}

#[test]
fn what_is_owed_to_an_output_that_is_gone_from_the_configuration_is_told_and_kept() {
    let both = r#"{"slack": ["sec", "old"]}"#;
    let stage = Stage::new(&["slack"], both);
    stage.raise("1", &["slack:old"]);
    let stage = stage.again(r#"{"slack": ["sec"]}"#);
    stage.post.start().unwrap();
    let told = stage.post.metrics.counts()["slack:old"].last_error.clone().unwrap();
    assert!(told.contains("`slack:old` is not configured"), "{told}");
    stage.post.stop();
    assert_eq!(stage.states("1"), [("slack:old".into(), DeliveryState::Owed)]);
    // Whoever puts it back loses nothing.
    let stage = stage.again(both);
    stage.run(&stage.lane("slack:old"));
    assert_eq!(stage.states("1"), [("slack:old".into(), DeliveryState::Delivered)]);
}

#[test]
fn a_retry_does_not_send_twice_what_is_being_sent() {
    let stage = merge_stage();
    stage.raise("1", &["slack:sec"]);
    let now = stage.clock.load(Ordering::SeqCst);
    assert_eq!(stage.table.lease("slack:sec", "somebody", now, now + HOUR, 9).unwrap().len(), 1);
    stage.table.retry(&DeliveryFilter::default(), now).unwrap();
    stage.run(&stage.lane("slack:sec"));
    assert_eq!(lock(&stage.services[0].got).len(), 0, "it is still somebody's");
    // Whoever died with it holds nobody up for longer than the lease.
    stage.pass(HOUR);
    stage.run(&stage.lane("slack:sec"));
    assert_eq!(lock(&stage.services[0].got).len(), 1);
}

#[test]
fn an_output_that_panics_loses_only_the_alert_it_panics_on() {
    for bulk in [false, true] {
        let panics = |parcel: &Parcel| -> Result<Disposition, PluginError> {
            assert!(of_parcel(parcel) != "2", "no twos");
            Ok(Disposition::Delivered(None))
        };
        let output = Scripted { bulk, ..scripted("wild", panics) };
        let stage = Stage::with(vec![Arc::new(output)], r#"{"wild": ["x"]}"#);
        for id in ["1", "2", "3"] {
            stage.raise(id, &["wild:x"]);
        }
        let lane = stage.lane("wild:x");
        for _ in 0..20 {
            stage.run(&lane);
            stage.pass(HOUR);
        }
        let states: Vec<DeliveryState> = ["1", "2", "3"].map(|id| stage.states(id)[0].1).into();
        assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Dead, DeliveryState::Delivered]);
        assert!(!lane.busy());
    }
}

/// What another version, or a broken disk, left behind.
fn spoil(stage: &Stage, id: &str) {
    let sqlite = rusqlite::Connection::open(stage.folder.path().join("alerts.sqlite")).unwrap();
    assert_eq!(sqlite.execute("UPDATE alerts SET json = '{\"id\": 1}' WHERE id = ?1", [id]).unwrap(), 1);
}

#[test]
fn an_alert_that_cannot_be_read_holds_up_no_other() {
    let stage = merge_stage();
    stage.raise_all((0..40).map(|n| plain(&n.to_string(), &["slack:sec"])).collect());
    spoil(&stage, "3");
    let lane = stage.lane("slack:sec");
    for _ in 0..20 {
        while matches!(lane.step(&stage.post, "test"), Ok(Step::Worked)) {}
        stage.pass(HOUR);
    }
    assert_eq!(lock(&stage.services[0].got).len(), 39);
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    let dead = stage.table.deliveries(&dead, 10).unwrap();
    assert!(dead.len() == 1 && dead[0].last_error.as_deref().unwrap().contains("cannot be read"), "{dead:?}");
}

#[test]
fn a_member_that_cannot_be_read_holds_up_no_group() {
    let stage = merge_stage();
    let merge = Merge::new(["user"], 5);
    let raise = |user: &str| {
        let raised = (0..3).map(|n| merging(&format!("{user}{n}"), user, merge.clone()));
        stage.raise_all(raised.collect());
    };
    raise("ann");
    stage.pass(SECOND);
    raise("bob");
    spoil(&stage, "ann1");
    stage.pass(HOUR);
    let now = stage.clock.load(Ordering::SeqCst);
    for _ in 0..10 {
        let _ = stage.post.merge(now);
    }
    assert_eq!(stage.post.merge(now).unwrap(), 0, "nothing is left to do");
    assert_eq!(counts(&sent(&stage)), [2, 3]);
    assert_eq!(stage.states("ann1"), [("slack:sec".into(), DeliveryState::Dead)]);
}

#[test]
fn an_output_that_is_not_configured_is_told_of_merged_alerts_too() {
    let stage = merge_stage();
    let typo = |id: &str| Alert { outputs: vec!["slack:typo".into()], ..merging(id, "bob", Merge::new(["user"], 5)) };
    stage.raise_all(vec![typo("1"), typo("2")]);
    assert!(stage.post.metrics.counts().is_empty());
    stage.pass(HOUR);
    settle_merges(&stage);
    assert_eq!(stage.table.backlog().unwrap()["slack:typo"].dead, 1);
    assert_eq!(stage.post.metrics.counts()["slack:typo"].dead, 1);
}

#[test]
fn groups_go_on_over_a_restart() {
    let outputs = r#"{"slack": ["sec"]}"#;
    let stage = Stage::new(&["slack"], outputs);
    let merge = Merge { first: MergeFirst::Send, ..Merge::new(["user"], 10) };
    let wait = Merge::new(["user"], 10);
    let threshold = Merge { threshold: Some(3), ..Merge::new(["user"], 10) };
    let all = |round: &str| {
        vec![
            merging(&format!("first {round}"), "ann", merge.clone()),
            merging(&format!("wait {round}"), "bob", wait.clone()),
            merging(&format!("threshold {round}"), "eve", threshold.clone()),
        ]
    };
    stage.raise_all(all("1"));
    let stage = stage.again(outputs);
    assert_eq!(counts(&sent(&stage)), [1], "the first went, and the run ended before it was sent");
    stage.pass(60 * SECOND);
    stage.raise_all(all("2"));
    let stage = stage.again(outputs);
    stage.pass(60 * SECOND);
    stage.raise_all(all("3"));
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [3], "the threshold");
    let stage = stage.again(outputs);
    stage.pass(10 * 60 * SECOND);
    settle_merges(&stage);
    let mut rest = counts(&sent(&stage));
    rest.sort_unstable();
    assert_eq!(rest, [2, 3]);
    assert_eq!((stage.table.waiting().unwrap(), stage.table.next_group().unwrap()), (0, None));
}

#[test]
fn a_threshold_may_be_beyond_the_largest_merged_alert() {
    let stage = merge_stage();
    let merge = Merge { threshold: Some(100), max: 50, ..Merge::new(["user"], 10) };
    stage.raise_all((0..99).map(|n| merging(&format!("n{n}"), "bob", merge.clone())).collect());
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)), [] as [u64; 0]);
    stage.raise_all(vec![merging("last", "bob", merge)]);
    settle_merges(&stage);
    assert_eq!(counts(&sent(&stage)).iter().sum::<u64>(), 100);
}

#[test]
fn however_large_its_alerts_a_group_is_folded_in_parts_that_fit() {
    let stage = merge_stage();
    let merge = Merge { threshold: Some(40), ..Merge::new(["user"], 10) };
    let large = "x".repeat(1 << 20);
    for n in 0..40 {
        let mut alert = merging(&format!("n{n}"), "bob", merge.clone());
        alert.record = serde_json::json!({"user": "bob", "id": n, "large": format!("{n}{large}")}).into();
        stage.raise_all(vec![alert]);
    }
    for _ in 0..2 {
        settle_merges(&stage);
        stage.pass(HOUR);
    }
    let sent = sent(&stage);
    assert_eq!(counts(&sent).iter().sum::<u64>(), 40, "{:?}", counts(&sent));
    assert!(sent.iter().all(|record| record.to_string().len() < 8 << 20));
}

#[test]
fn however_large_alerts_are_few_are_held_at_a_time() {
    let stage = merge_stage();
    let large = "x".repeat(1 << 20);
    for n in 0..40 {
        let record = serde_json::json!({"large": large}).into();
        stage.raise_all(vec![Alert { record, ..plain(&n.to_string(), &["slack:sec"]) }]);
    }
    let now = stage.clock.load(Ordering::SeqCst);
    assert_eq!(stage.table.lease("slack:sec", "somebody", now, now + HOUR, 512).unwrap().len(), 15);
    stage.run(&stage.lane("slack:sec"));
    assert_eq!(lock(&stage.services[0].got).len(), 25, "the others are anybody's");
}

#[test]
fn looking_for_what_is_due_costs_the_same_however_much_is_owed() {
    let stage = Stage::new(&[], r#"{"slack": ["sec"], "jira": ["a", "b"]}"#);
    let took = |stage: &Stage| {
        let begun = Instant::now();
        for _ in 0..100 {
            assert!(stage.table.due(None).unwrap().len() <= 3);
        }
        begun.elapsed()
    };
    for chunk in 0..100 {
        let raised = (0..1_000).map(|n| plain(&format!("{chunk}-{n}"), &["slack:sec", "jira:a", "jira:b"]));
        stage.raise_all(raised.collect());
    }
    let took = took(&stage);
    assert!(took < Duration::from_secs(1), "{took:?} for a hundred looks");
}

#[test]
fn an_output_keeps_to_its_rate_when_the_table_fails() {
    let stage = Stage::new(&["slack"], r#"{"slack": {"sec": {"rate": 2}}}"#);
    for n in 0..100 {
        stage.raise(&n.to_string(), &["slack:sec"]);
    }
    let lane = stage.lane("slack:sec");
    // The lease is recorded, what came of it is not.
    let sqlite = rusqlite::Connection::open(stage.folder.path().join("alerts.sqlite")).unwrap();
    sqlite
        .execute_batch(
            "CREATE TRIGGER broken BEFORE UPDATE OF settled ON deliveries WHEN new.state <> old.state
             BEGIN SELECT raise(ABORT, 'disk I/O error'); END",
        )
        .unwrap();
    for _ in 0..10 {
        let _ = lane.step(&stage.post, "test");
    }
    assert!(lock(&stage.services[0].attempts).len() <= 2, "{}", lock(&stage.services[0].attempts).len());
}

#[test]
fn the_clock_of_a_run_does_not_go_back() {
    let wall = Arc::new(AtomicI64::new(10_000));
    let reads = wall.clone();
    let clock = steady(move || reads.load(Ordering::SeqCst));
    assert!((10_000..15_000).contains(&clock()));
    wall.store(50_000, Ordering::SeqCst);
    assert!((50_000..55_000).contains(&clock()), "it follows a clock that was behind");
    wall.store(0, Ordering::SeqCst);
    let then = clock();
    assert!((50_000..55_000).contains(&then));
    std::thread::sleep(Duration::from_millis(20));
    assert!(clock() >= then + 20, "and goes on");
}

/// Xorshift: the same story at every run of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[test]
fn through_slow_attempts_lost_leases_retries_and_restarts_everything_arrives() {
    let outputs = r#"{"a": {"x": {"rate": 100000}}, "b": {"x": {"rate": 100000}}}"#;
    for seed in 1..=20 {
        let dice = Arc::new(Mutex::new(Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15))));
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let got: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
        let plugins: Vec<Arc<dyn OutputPlugin>> = ["a", "b"]
            .into_iter()
            .map(|service| {
                let (dice, clock, got) = (dice.clone(), clock.clone(), got.clone());
                let output = scripted(service, move |parcel| {
                    let mut dice = lock(&dice);
                    // An attempt takes up to its time limit, and now and then longer than its lease.
                    let takes = if dice.below(20) == 0 { 70_000 } else { dice.below(30_000) };
                    clock.fetch_add(takes.cast_signed(), Ordering::SeqCst);
                    match dice.below(10) {
                        0..6 => {
                            *lock(&got).entry(parcel.idempotency_key.clone()).or_default() += 1;
                            Ok(Disposition::Delivered(None))
                        }
                        6 => Err(PluginError::new(PluginErrorKind::HostCall, "no such host")),
                        7 => Ok(Disposition::Retry { reason: "429".into(), after: Some(40), progress: None }),
                        _ => retry("503"),
                    }
                });
                Arc::new(output) as Arc<dyn OutputPlugin>
            })
            .collect();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut stage = Stage::of(folder.clone(), clock.clone(), plugins.clone(), outputs);
        let mut raised = 0;
        for _ in 0..60 {
            let alerts = (0..lock(&dice).below(4)).map(|_| {
                raised += 1;
                plain(&raised.to_string(), &["a:x", "b:x"])
            });
            stage.raise_all(alerts.collect());
            let lanes = ["a:x", "b:x"].map(|output| stage.lane(output));
            std::thread::scope(|scope| {
                for number in 0..4 {
                    let (post, lane) = (&stage.post, &lanes[number % 2]);
                    scope.spawn(move || {
                        for _ in 0..5 {
                            let _ = lane.step(post, &format!("worker {number}"));
                        }
                    });
                }
            });
            let now = clock.load(Ordering::SeqCst);
            match lock(&dice).below(6) {
                0 => {
                    // Somebody dies with leases.
                    stage.table.lease("a:x", "died", now, now + 60_000, 5).unwrap();
                }
                1 => {
                    stage.table.retry(&DeliveryFilter::default(), now).unwrap();
                }
                2 => {
                    stage = Stage::of(folder.clone(), clock.clone(), plugins.clone(), outputs);
                }
                _ => {
                    clock.fetch_add(5_000, Ordering::SeqCst);
                }
            }
        }
        let lanes = ["a:x", "b:x"].map(|output| stage.lane(output));
        for _ in 0..10_000 {
            if stage.table.due(None).unwrap().is_empty() {
                break;
            }
            lanes.iter().for_each(|lane| {
                let _ = lane.step(&stage.post, "last");
            });
            clock.fetch_add(60_000, Ordering::SeqCst);
        }
        assert_eq!(stage.table.due(None).unwrap(), [], "seed {seed}");
        assert_eq!(lock(&got).len(), 2 * raised, "seed {seed}: each alert reached each output");
        let delivered = DeliveryFilter { state: Some(DeliveryState::Delivered), ..DeliveryFilter::default() };
        assert_eq!(stage.table.deliveries(&delivered, usize::MAX).unwrap().len(), 2 * raised, "seed {seed}");
    }
}

#[test]
fn runs_that_end_in_order_send_nothing_twice() {
    const ALERTS: usize = 3_000;
    let got: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let outputs = r#"{"a": {"x": {"rate": 100000}}, "b": {"x": {"rate": 100000}}, "c": ["x"]}"#;
    let plugins: Vec<Arc<dyn OutputPlugin>> = ["a", "b", "c"]
        .into_iter()
        .map(|service| {
            let (got, dice) = (got.clone(), Mutex::new(Dice(7)));
            let output = scripted(service, move |parcel| {
                std::thread::sleep(Duration::from_micros(200));
                if lock(&dice).below(100) == 0 {
                    return retry("503");
                }
                *lock(&got).entry(parcel.idempotency_key.clone()).or_default() += 1;
                Ok(Disposition::Delivered(None))
            });
            Arc::new(Scripted { bulk: service == "b", ..output }) as Arc<dyn OutputPlugin>
        })
        .collect();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut raised = 0;
    let clock = real_clock();
    let run = |upto: usize, patience: Duration, raised: &mut usize| {
        let stage = Stage::of(folder.clone(), Arc::new(AtomicI64::new(0)), plugins.clone(), outputs);
        let setup = &stage.post.setup;
        let post = Post::new(Setup {
            table: setup.table.clone(),
            live: setup.live.clone(),
            outputs: setup.outputs.clone(),
            secrets: setup.secrets.clone(),
            world: setup.world.clone(),
            native: setup.native.clone(),
            clock: clock.clone(),
        });
        post.start().unwrap();
        while *raised < upto {
            let mut alerts: Vec<Alert> =
                (0..10).map(|n| plain(&(*raised + n).to_string(), &["a:x", "b:x", "c:x"])).collect();
            *raised += alerts.len();
            post.take(&mut alerts).unwrap();
            post.wake(alerts.iter()).unwrap();
        }
        post.drain(patience).unwrap();
        post.stop();
        stage.table.due(None).unwrap()
    };
    for part in 1..=10 {
        run(ALERTS * part / 10, Duration::ZERO, &mut raised);
    }
    let end = Instant::now() + Duration::from_secs(60);
    while !run(raised, Duration::from_secs(1), &mut raised).is_empty() {
        assert!(Instant::now() < end, "{} of {} are there", lock(&got).len(), 3 * raised);
    }
    let got = lock(&got);
    assert_eq!(got.len(), 3 * raised);
    assert!(got.values().all(|times| *times == 1), "{:?}", got.values().max());
}
