//! Work that ends, on the real clock: it is about threads and time.

use super::tests::{Stage, plain, retry, scripted};
use super::*;
use std::sync::atomic::AtomicUsize;
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, DeliveryState};
use streamalert_pipeline::plugin::Disposition;

const PLENTY: Duration = Duration::from_secs(60);

/// A post room that nobody works in by himself, with outputs that take so long.
fn room(services: &[(&str, Duration)], outputs: &str) -> (Stage, Arc<Post>) {
    let plugins = services.iter().map(|(service, takes)| {
        let takes = *takes;
        let slow = move |_: &_| {
            thread::sleep(takes);
            Ok(Disposition::Delivered(None))
        };
        Arc::new(scripted(service, slow)) as Arc<dyn OutputPlugin>
    });
    room_with(plugins.collect(), outputs)
}

fn room_with(plugins: Vec<Arc<dyn OutputPlugin>>, outputs: &str) -> (Stage, Arc<Post>) {
    let stage = Stage::with(plugins, outputs);
    let setup = &stage.post.setup;
    let post = Post::new(Setup {
        table: setup.table.clone(),
        live: setup.live.clone(),
        outputs: setup.outputs.clone(),
        secrets: setup.secrets.clone(),
        world: setup.world.clone(),
        native: setup.native.clone(),
        clock: real_clock(),
    });
    (stage, post)
}

fn raise(post: &Post, count: usize, outputs: &[&str]) {
    let mut alerts: Vec<Alert> = (0..count).map(|number| plain(&format!("{outputs:?} {number}"), outputs)).collect();
    post.take(&mut alerts).unwrap();
}

fn work(post: &Post, outputs: &[&str], patience: Duration) -> BTreeMap<String, Through> {
    let outputs: Vec<String> = outputs.iter().map(|output| (*output).to_owned()).collect();
    post.work_through(&outputs, Instant::now() + patience).unwrap()
}

fn delivered(count: u64) -> Through {
    Through { delivered: count, retried: 0, dead: 0, next: None, ended: Ended::Done }
}

fn owed(stage: &Stage) -> usize {
    let owed = DeliveryFilter { state: Some(DeliveryState::Owed), ..DeliveryFilter::default() };
    stage.table.deliveries(&owed, usize::MAX).unwrap().len()
}

#[test]
fn what_is_due_is_worked_off_of_those_that_are_named_or_of_all() {
    let none = Duration::ZERO;
    let (stage, post) = room(&[("a", none), ("b", none)], r#"{"a": ["x"], "b": ["x", "idle"]}"#);
    raise(&post, 3, &["a:x", "b:x"]);
    assert_eq!(work(&post, &["a:x"], PLENTY), BTreeMap::from([("a:x".into(), delivered(3))]));
    assert_eq!(owed(&stage), 3);
    raise(&post, 2, &["a:x"]);
    let all = BTreeMap::from([("a:x".into(), delivered(2)), ("b:x".into(), delivered(3))]);
    assert_eq!(work(&post, &[], PLENTY), all);
    assert_eq!(work(&post, &[], PLENTY), BTreeMap::new());
    // Whoever names what has nothing due hears so.
    assert_eq!(work(&post, &["b:idle"], PLENTY), BTreeMap::from([("b:idle".into(), delivered(0))]));
}

#[test]
fn a_slow_output_holds_up_no_other_and_a_backlog_gets_more_threads() {
    let slow = Duration::from_millis(30);
    let (_stage, post) = room(&[("a", slow), ("b", Duration::ZERO)], r#"{"a": {"x": {"concurrency": 8}}, "b": ["x"]}"#);
    raise(&post, 48, &["a:x"]);
    raise(&post, 20, &["b:x"]);
    let begun = Instant::now();
    let through = work(&post, &[], PLENTY);
    assert_eq!(through, BTreeMap::from([("a:x".into(), delivered(48)), ("b:x".into(), delivered(20))]));
    // A lane's burst is 50 parcels: all of them are leased at once, by three threads.
    assert!(begun.elapsed() < 30 * slow, "{:?} for 48 deliveries of {slow:?}", begun.elapsed());
}

#[test]
fn an_output_that_is_down_is_left_alone_also_when_it_is_asked_for_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = attempts.clone();
    let down = scripted("down", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        retry("503")
    });
    let well = scripted("well", |_| Ok(Disposition::Delivered(None)));
    let (stage, post) = room_with(vec![Arc::new(down), Arc::new(well)], r#"{"down": ["x"], "well": ["x"]}"#);
    raise(&post, 40, &["down:x", "well:x"]);
    let first = work(&post, &[], PLENTY);
    assert_eq!(first["well:x"], delivered(40));
    // The first pauses of an output that is down are waited for, the longer ones not.
    let tried = attempts.load(Ordering::SeqCst);
    assert!(first["down:x"].ended == Ended::Rests && first["down:x"].delivered == 0, "{first:?}");
    assert!((3..=12).contains(&tried), "{tried}");
    assert!(first["down:x"].next.unwrap() > post.now());
    raise(&post, 5, &["well:x"]);
    let begun = Instant::now();
    let second = work(&post, &["down:x", "well:x"], PLENTY);
    assert_eq!(second["well:x"], delivered(5));
    assert!(begun.elapsed() < Duration::from_secs(2) && attempts.load(Ordering::SeqCst) == tried);
    assert_eq!(owed(&stage), 40, "nothing of it is lost");
}

#[test]
fn no_attempt_begins_that_might_last_beyond_the_deadline() {
    let takes = Duration::from_millis(200);
    let (stage, post) = room(&[("slow", takes)], r#"{"slow": {"x": {"timeout_seconds": 1, "concurrency": 1}}}"#);
    raise(&post, 16, &["slow:x"]);
    let begun = Instant::now();
    let through = work(&post, &[], Duration::from_secs(2))["slow:x"].clone();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(through.ended, Ended::Late);
    assert!((3..=6).contains(&through.delivered), "{through:?}");
    // What was leased and not begun is anybody's at once.
    let rest = stage.table.lease("slow:x", "other", post.now(), post.now() + 1, 99).unwrap();
    assert_eq!(rest.len() as u64, 16 - through.delivered);
    // There was never time for one.
    let hopeless = work(&post, &["slow:x"], Duration::from_millis(500))["slow:x"].clone();
    assert_eq!((hopeless.delivered, hopeless.ended), (0, Ended::Late));
}

#[test]
fn a_rate_is_kept_to_and_short_rests_are_waited_for() {
    let none = Duration::ZERO;
    let outputs = r#"{"brisk": {"x": {"rate": 100}}, "rare": {"x": {"rate": 0.01}}}"#;
    let (stage, post) = room(&[("brisk", none), ("rare", none)], outputs);
    raise(&post, 150, &["brisk:x"]);
    raise(&post, 2, &["rare:x"]);
    let begun = Instant::now();
    let through = work(&post, &[], PLENTY);
    assert_eq!(through["brisk:x"], delivered(150));
    assert!(begun.elapsed() >= Duration::from_millis(400), "50 beyond its burst: {:?}", begun.elapsed());
    assert_eq!((through["rare:x"].delivered, &through["rare:x"].ended), (1, &Ended::Rests));
    assert!(through["rare:x"].next.unwrap() > post.now() + 60_000);
    assert_eq!(owed(&stage), 1);
}

#[test]
fn an_output_that_nobody_configured_is_told_of_and_a_new_configuration_counts_at_once() {
    let (stage, post) = room(&[("a", Duration::ZERO)], r#"{"a": {"x": {"rate": 0.001}}}"#);
    raise(&post, 3, &["a:x"]);
    let through = work(&post, &["a:typo", "a:x"], PLENTY);
    assert!(matches!(&through["a:typo"].ended, Ended::Unknown(reason) if reason.contains("not configured")));
    assert_eq!((through["a:x"].delivered, &through["a:x"].ended), (1, &Ended::Rests));
    post.setup.outputs.store(Arc::new(Outputs::read("o", r#"{"a": {"x": {"rate": 100}}}"#).unwrap()));
    assert_eq!(work(&post, &["a:x"], PLENTY)["a:x"], delivered(2));
    assert_eq!(owed(&stage), 0);
}

#[test]
fn many_outputs_and_bulk_are_worked_off_too() {
    let mut bulk = scripted("bulk", |_| Ok(Disposition::Delivered(None)));
    bulk.bulk = true;
    let each = scripted("each", |_| Ok(Disposition::Delivered(None)));
    let names: Vec<String> = (0..300).map(|number| format!("\"n{number}\"")).collect();
    let outputs = format!(r#"{{"bulk": ["x"], "each": [{}]}}"#, names.join(","));
    let (_stage, post) = room_with(vec![Arc::new(bulk), Arc::new(each)], &outputs);
    raise(&post, 1_100, &["bulk:x"]);
    for number in 0..300 {
        raise(&post, 1, &[&format!("each:n{number}")]);
    }
    let through = work(&post, &[], PLENTY);
    assert_eq!(through.len(), 301);
    assert_eq!(through["bulk:x"], delivered(1_100));
    assert!(through.iter().all(|(output, through)| output == "bulk:x" || *through == delivered(1)));
}
