//! Lanes under a clock that the test moves.

use super::lane::{Lane, Step};
use super::*;
use crate::alert_text::tests::alert;
use crate::live::Base;
use crate::secrets::SecretFile;
use crate::sqlite::SqliteAlerts;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use streamalert_pipeline::alert::{Merge, MergeFirst};
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, DeliveryState};
use streamalert_pipeline::plugin::{
    Disposition, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Parcel, PluginError, SettingFault,
};

/// Nothing can be reached.
struct Nowhere;

impl Outside for Nowhere {
    fn http(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        Err(HttpFailure { kind: HttpFailureKind::Forbidden, message: "nowhere".into(), sent: false })
    }
    fn secret(&self, _: &str) -> Option<String> {
        None
    }
}

impl World for Nowhere {
    fn outside(&self, _: &OutputInfo, _: &OutputConfig, _: &BTreeMap<String, String>) -> Arc<dyn Outside> {
        Arc::new(Nowhere)
    }
}

/// A post room without outputs.
pub(crate) fn post_room(table: Arc<dyn AlertTable>, live: Arc<ArcSwap<Live>>, folder: &Path) -> Arc<Post> {
    Post::new(Setup {
        table,
        live,
        outputs: Arc::default(),
        secrets: Arc::new(SecretFile::new(folder.join("secrets.json"), std::iter::empty())),
        world: Arc::new(Nowhere),
        files: folder.join("outputs"),
        clock: real_clock(),
    })
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
        let id = parcel.idempotency_key.split(':').next().unwrap().to_owned();
        lock(&self.got).push((now, id));
        Ok(Disposition::Delivered(None))
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    table: Arc<SqliteAlerts>,
    clock: Arc<AtomicI64>,
    services: Vec<Arc<Service>>,
    post: Arc<Post>,
}

impl Stage {
    fn new(services: &[&str], outputs: &str) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let table = Arc::new(SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap());
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
        let set = PluginSet {
            outputs: services.iter().map(|service| service.clone() as Arc<dyn OutputPlugin>).collect(),
            ..PluginSet::default()
        };
        let live = Arc::new(ArcSwap::from_pointee(Live::new(set, &Base::default(), None).0));
        let ticking = clock.clone();
        let post = Post::new(Setup {
            table: table.clone(),
            live,
            outputs: Arc::new(Outputs::read("outputs.json", outputs).unwrap()),
            secrets: Arc::new(SecretFile::new(folder.path().join("secrets.json"), std::iter::empty())),
            world: Arc::new(Nowhere),
            files: folder.path().join("outputs"),
            clock: Arc::new(move || ticking.load(Ordering::SeqCst)),
        });
        Stage { _folder: folder, table, clock, services, post }
    }

    fn raise(&self, id: &str, outputs: &[&str]) {
        self.raise_all(vec![plain(id, outputs)]);
    }

    fn raise_all(&self, mut alerts: Vec<Alert>) {
        self.post.take(&mut alerts).unwrap();
    }

    fn lane(&self, output: &str) -> Lane {
        Lane::new(output, self.post.setup.outputs.get(output))
    }

    /// Lets lanes work until they have to wait, and says until when.
    fn run(&self, lane: &Lane) -> Millis {
        loop {
            if let Step::Until(until) = lane.step(&self.post, "test").unwrap() {
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

fn plain(id: &str, outputs: &[&str]) -> Alert {
    Alert { outputs: outputs.iter().map(|output| (*output).into()).collect(), merge: None, ..alert(id) }
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
    let text = std::fs::read_to_string(stage.post.setup.files.join("audit.jsonl")).unwrap();
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
