//! Rules that are new or changed go on trial by themselves, beside the version before, and go live when their time is over.

use crate::run_world::{EVERY_ROW, Guest, PATIENCE, World, post, request, rows};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::{Alert, Hit};
use streamalert_pipeline::backend::{
    AlertDesk, DeliveryFilter, DeliveryState, RuleLedger, TrialCounts, TrialKey, TrialTable,
};

const HALF: &str = "(call $findings (local.get $rows) (i32.div_u (local.get $count) (i32.const 2)))";
const NOTHING: &str = "(call $list (i32.const 0) (i32.const 0))";
const TRAP: &str = "(unreachable)";
const LOOP: &str = "(loop $l (br $l)) (i32.const 0)";
/// Spins a while for each call, within its fuel.
const SLOW: &str = "(local.set $n (i32.const 2000000)) (loop $l (local.set $n (i32.sub (local.get $n) (i32.const 1))) \
    (br_if $l (local.get $n))) (call $findings (local.get $rows) (local.get $count))";

/// A component with these rules; alerts go to `file:audit`.
fn component(rules: &[(&str, &str)]) -> Vec<u8> {
    let options = r#"{"severity": "low", "outputs": ["file:audit"]}"#;
    Guest { rules: rules.to_vec(), logs: "test:row", options, ..Guest::default() }.build()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command said, after checking its exit code.
#[track_caller]
fn said(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.streamalert(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let output = world.streamalert(&[arguments, &["--output", "json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Standing of each rule; with a star if the version before is live beside it.
#[track_caller]
fn standings(world: &World) -> BTreeMap<String, String> {
    let all = lines(world, &["rules", "list"]);
    let of = |row: &Value| {
        let star = if row["beside"].is_string() { "*" } else { "" };
        (row["rule"].as_str().unwrap().to_owned(), format!("{}{star}", row["standing"].as_str().unwrap()))
    };
    all.iter().map(of).collect()
}

fn expect(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(rule, standing)| ((*rule).to_owned(), (*standing).to_owned())).collect()
}

fn delivered(world: &World) -> usize {
    std::fs::read_to_string(world.at("data/outputs/audit.jsonl")).map_or(0, |text| text.lines().count())
}

fn run(world: &World, numbers: std::ops::Range<u64>) -> String {
    world.write("in.json", rows(numbers));
    said(world, &["run", "--input", "in.json"], 0)
}

/// With rules of one component, and this in rule_staging.json; they have run once.
fn world(rules: &[(&str, &str)], staging: &str) -> World {
    let world = World::new();
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    world.write("plugins/a.wasm", component(rules));
    world.write("conf/rule_staging.json", staging);
    world.write("conf/outputs.json", r#"{"file": {"audit": {}}}"#);
    run(&world, 0..2);
    world
}

/// How often what was said of a version on trial.
fn hits(world: &World) -> BTreeMap<&'static str, usize> {
    let mut hits = BTreeMap::new();
    for alert in world.alerts() {
        let name = alert.trial.as_ref().map_or("none", |trial| trial.hit.name());
        *hits.entry(name).or_default() += 1;
    }
    hits
}

#[test]
fn what_is_new_or_changed_begins_on_trial_but_for_the_first_fill() {
    let world = world(&[("one", EVERY_ROW)], "{}");
    assert_eq!(standings(&world), expect(&[("one", "live")]), "the first fill");
    assert_eq!(delivered(&world), 2);

    // New rules are on trial alone, the version before of a changed one stays live.
    world.write("plugins/a.wasm", component(&[("one", HALF), ("two", EVERY_ROW)]));
    world.write("plugins/b.wasm", component(&[("three", EVERY_ROW)]));
    let told = run(&world, 2..6);
    assert!(told.contains("on trial: one, beside the version before, which stays live"), "{told}");
    assert!(told.contains("on trial: three\n"), "{told}");
    assert_eq!(standings(&world), expect(&[("one", "staged*"), ("three", "staged"), ("two", "staged")]));
    assert_eq!(delivered(&world), 6, "the live version of one, all four");
    assert_eq!(hits(&world), BTreeMap::from([("none", 4), ("same", 2), ("lost", 2), ("alone", 8)]));

    // Also when it is begun again, and nothing has changed.
    run(&world, 6..8);
    assert_eq!(delivered(&world), 8);
    assert_eq!(standings(&world)["one"], "staged*");

    // A rename is a new rule, and nobody hears of the old one.
    world.write("plugins/b.wasm", component(&[("four", EVERY_ROW)]));
    run(&world, 8..9);
    assert_eq!(standings(&world), expect(&[("four", "staged"), ("one", "staged*"), ("two", "staged")]));

    // Told otherwise, they begin live.
    world.write("plugins/c.wasm", component(&[("five", EVERY_ROW)]));
    world.write("in.json", rows(9..10));
    said(&world, &["run", "--input", "in.json", "--skip-rule-staging"], 0);
    assert_eq!(standings(&world)["five"], "live");
    assert_eq!(standings(&world)["one"], "staged*", "what has begun goes on");

    // Back to what is live: there is nothing to try.
    world.write("plugins/a.wasm", component(&[("one", EVERY_ROW)]));
    run(&world, 10..11);
    assert_eq!(standings(&world)["one"], "live");
    let copies = std::fs::read_dir(world.at("data/live-components")).unwrap().count();
    assert_eq!(copies, 3, "copies of what nobody needs are gone");
}

/// Waits until a run has found its components as they are now.
#[track_caller]
fn settled(world: &World, rules: &[&str]) {
    let begun = Instant::now();
    loop {
        let look: Value = serde_json::from_slice(&std::fs::read(world.at("data/live-rules.json")).unwrap()).unwrap();
        let names: Vec<String> = look["rules"].as_object().unwrap().keys().cloned().collect();
        if names == rules {
            // It is live a moment after it is known.
            return std::thread::sleep(Duration::from_millis(300));
        }
        assert!(begun.elapsed() < PATIENCE, "{names:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_was_live_and_gone_for_a_while_comes_back_as_it_was() {
    let world = world(&[("one", EVERY_ROW)], r#"{"window": "1h"}"#);
    let (first, second) = (component(&[("two", EVERY_ROW)]), component(&[("two", NOTHING)]));
    world.write("plugins/b.wasm", first.clone());
    world.write("in.json", rows(2..3));
    said(&world, &["run", "--input", "in.json", "--skip-rule-staging"], 0);
    assert_eq!(delivered(&world), 2 + 2);

    // While a run goes on.
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    std::fs::remove_file(world.at("plugins/b.wasm")).unwrap();
    settled(&world, &["one"]);
    assert_eq!(standings(&world), expect(&[("one", "live")]));
    world.write("plugins/b.wasm", first.clone());
    settled(&world, &["one", "two"]);
    assert_eq!(standings(&world), expect(&[("one", "live"), ("two", "live")]));
    assert_eq!(post(address, rows(10..13).as_bytes()).unwrap().status, 200);
    let told = running.end();
    assert!(!told.contains("on trial"), "{told}");
    assert_eq!(delivered(&world), 4 + 6);

    // Over a run without it; switched off meanwhile, it is so when it comes back.
    let without = |numbers| {
        std::fs::remove_file(world.at("plugins/b.wasm")).unwrap();
        run(&world, numbers);
    };
    without(13..14);
    said(&world, &["rules", "disable", "two"], 0);
    world.write("plugins/b.wasm", first.clone());
    run(&world, 14..15);
    assert_eq!(standings(&world)["two"], "disabled");
    said(&world, &["rules", "enable", "two"], 0);
    assert_eq!(standings(&world)["two"], "live");
    assert_eq!(delivered(&world), 10 + 2);

    // Another version: the one that was live is so beside it, from its copy.
    without(15..16);
    world.write("plugins/b.wasm", second.clone());
    let told = run(&world, 16..18);
    assert!(told.contains("on trial: two, beside the version before, which stays live"), "{told}");
    assert_eq!(standings(&world)["two"], "staged*");
    assert_eq!(delivered(&world), 12 + 1 + 4);
    // Its trial, too, goes on.
    without(18..19);
    world.write("plugins/b.wasm", second.clone());
    run(&world, 19..20);
    assert_eq!(standings(&world)["two"], "staged*");
    assert_eq!(lines(&world, &["rules", "report", "two"])[0]["counts"]["lost"], 3);
    assert_eq!(delivered(&world), 17 + 1 + 2);

    // Who goes back to a version that was live has it live at once, and forth again.
    said(&world, &["rules", "promote", "two"], 0);
    run(&world, 20..21);
    world.write("plugins/b.wasm", first);
    let told = run(&world, 21..22);
    assert!(told.contains("live again: two, in a version that was live before"), "{told}");
    assert_eq!(standings(&world)["two"], "live");
    assert_eq!(delivered(&world), 20 + 1 + 2);
    world.write("plugins/b.wasm", second.clone());
    run(&world, 22..23);
    assert_eq!(standings(&world)["two"], "live");
    // But not one that somebody put on trial by hand.
    said(&world, &["rules", "stage", "two"], 0);
    world.write("plugins/b.wasm", component(&[("two", HALF)]));
    run(&world, 23..24);
    world.write("plugins/b.wasm", second);
    run(&world, 24..25);
    assert_eq!(standings(&world)["two"], "staged");
}

#[test]
fn what_stays_live_when_its_file_is_refused_is_listed_and_can_be_switched_off() {
    for staging in [Some("{}"), None] {
        let world = world(&[("one", EVERY_ROW)], "{}");
        if staging.is_none() {
            std::fs::remove_file(world.at("conf/rule_staging.json")).unwrap();
        }
        let digest = lines(&world, &["rules", "list"])[0]["digest"].clone();
        let mut running = world.start(&["run", "--http", "0"]);
        let address = running.address();
        let whole = std::fs::read(world.at("plugins/a.wasm")).unwrap();
        world.write("plugins/a.wasm", &whole[..whole.len() / 2]);
        running.hear("the version before it stays live");
        assert_eq!(post(address, rows(10..12).as_bytes()).unwrap().status, 200);
        let row = lines(&world, &["rules", "list"]).remove(0);
        let said_of = |name: &str| row[name].clone();
        assert_eq!((said_of("rule"), said_of("standing"), said_of("digest")), ("one".into(), "live".into(), digest));
        assert_eq!((said_of("refused"), said_of("component")), (true.into(), "a.wasm".into()));
        let told = said(&world, &["rules", "list"], 0);
        assert!(told.contains("the version before the file that is refused now"), "{told}");
        said(&world, &["rules", "disable", "one"], 0);
        std::thread::sleep(Duration::from_millis(1_200));
        assert_eq!(post(address, rows(12..14).as_bytes()).unwrap().status, 200);
        running.end();
        assert_eq!(world.alerted().len(), 2 + 2, "{staging:?}");
        assert!(said(&world, &["rules", "disable", "none"], 2).contains("there are one"));
        // What is whole again is what it was.
        world.write("plugins/a.wasm", whole);
        said(&world, &["rules", "enable", "one"], 0);
        run(&world, 14..15);
        let row = lines(&world, &["rules", "list"]).remove(0);
        assert_eq!((&row["standing"], &row["refused"]), (&"live".into(), &false.into()));
    }
}

#[test]
fn what_no_run_has_had_yet_is_new_and_the_list_says_what_becomes_of_it() {
    let staging = r#"{"rules": {"loud": {"new": "live"}, "off": {"window": "2h"}}}"#;
    let world = world(&[("one", EVERY_ROW), ("off", EVERY_ROW)], staging);
    let before = lines(&world, &["rules", "list"])[0]["digest"].clone();
    said(&world, &["rules", "disable", "off"], 0);
    world.write("plugins/a.wasm", component(&[("one", HALF), ("off", HALF), ("two", HALF), ("loud", HALF)]));
    let rows_of = || -> BTreeMap<String, Value> {
        let all = lines(&world, &["rules", "list"]);
        all.into_iter().map(|row| (row["rule"].as_str().unwrap().to_owned(), row)).collect()
    };
    let listed = rows_of();
    let says = |rule: &str| {
        let row = &listed[rule];
        let next = row["next"]["standing"].as_str().unwrap_or("none");
        (row["standing"].as_str().unwrap(), next, row["next"]["beside"] == before)
    };
    assert_eq!(says("one"), ("new", "staged", true));
    assert_eq!(says("two"), ("new", "staged", false));
    assert_eq!(says("loud"), ("new", "live", false));
    assert_eq!(says("off"), ("disabled", "staged", true));
    let told = said(&world, &["rules", "list"], 0);
    assert!(told.contains("which no run has had yet; the next start puts it on trial, beside the version"), "{told}");
    // What is decided of it before counts.
    said(&world, &["rules", "promote", "two"], 0);
    assert_eq!((&rows_of()["two"]["standing"], &rows_of()["two"]["next"]), (&"live".into(), &Value::Null));

    let told = run(&world, 2..3);
    assert!(told.contains("on trial: one, beside the version before, which stays live"), "{told}");
    // Of what is switched off, nothing is on trial and nothing is live.
    assert!(
        told.contains("changed: off, which is switched off; when it is enabled, this version is on trial"),
        "{told}"
    );
    assert!(!told.contains("on trial: off"), "{told}");
    let expected = [("loud", "live"), ("off", "disabled"), ("one", "staged*"), ("two", "live")];
    assert_eq!(standings(&world), expect(&expected));
    assert!(rows_of().values().all(|row| row["next"].is_null()));
    said(&world, &["rules", "enable", "off"], 0);
    assert_eq!(standings(&world)["off"], "staged*");
}

#[test]
fn a_rule_that_is_switched_on_again_while_its_component_is_gone_comes_back_live() {
    let world = world(&[("one", EVERY_ROW)], "{}");
    let second = component(&[("two", EVERY_ROW)]);
    world.write("plugins/b.wasm", second.clone());
    world.write("in.json", rows(2..3));
    said(&world, &["run", "--input", "in.json", "--skip-rule-staging"], 0);
    said(&world, &["rules", "disable", "two"], 0);
    std::fs::remove_file(world.at("plugins/b.wasm")).unwrap();
    run(&world, 3..4);
    said(&world, &["rules", "enable", "two"], 0);
    world.write("plugins/b.wasm", second);
    let told = run(&world, 4..5);
    assert!(!told.contains("on trial"), "{told}");
    assert_eq!(standings(&world), expect(&[("one", "live"), ("two", "live")]));
}

#[test]
fn what_is_decided_of_a_version_that_no_run_has_had_leaves_the_live_one_live() {
    for changed in ["shadow", "stage"] {
        let staging = format!(r#"{{"changed": "{changed}"}}"#);
        let world = world(&[("one", EVERY_ROW), ("two", EVERY_ROW), ("three", EVERY_ROW)], &staging);
        let first = std::fs::read(world.at("plugins/a.wasm")).unwrap();
        world.write("plugins/a.wasm", component(&[("one", HALF), ("two", HALF), ("three", HALF)]));
        let told = said(&world, &["rules", "stage", "one"], 0);
        said(&world, &["rules", "promote", "two"], 0);
        // As it becomes of the neighbour, about which nobody decides.
        let beside = if changed == "shadow" { "staged*" } else { "staged" };
        assert_eq!(told.contains("beside the version before, which is live"), changed == "shadow", "{told}");
        let (before, each) = (delivered(&world), if changed == "shadow" { 4 } else { 0 });
        let told = run(&world, 2..6);
        assert!(!told.contains("is not there"), "{told}");
        assert_eq!(standings(&world), expect(&[("one", beside), ("three", beside), ("two", "live")]));
        assert_eq!(delivered(&world), before + 2 * each + 2);
        // Whoever goes back has it live as before.
        world.write("plugins/a.wasm", first);
        run(&world, 6..7);
        assert_eq!(standings(&world), expect(&[("one", "live"), ("three", "live"), ("two", "live")]));
        assert_eq!(delivered(&world), before + 2 * each + 2 + 3);
    }
}

#[test]
fn a_rule_that_only_rule_staging_knows_is_warned_of() {
    let staging = r#"{"rules": {"one": {"promote": false}, "onee": {"promote": false}, "something_else": {}}}"#;
    let world = world(&[("one", EVERY_ROW)], staging);
    let check = |told: String| {
        let warnings: Vec<&str> = told.lines().filter(|line| line.contains("rule_staging.json")).collect();
        assert_eq!(warnings.len(), 2, "{told}");
        assert!(warnings[0].starts_with("warning: rule_staging.json: rules.onee: no component has a rule"), "{told}");
        assert!(warnings[0].ends_with("did you mean one?"), "{told}");
        assert!(warnings[1].contains("rules.something_else: ") && !warnings[1].contains("did you mean"), "{told}");
    };
    check(run(&world, 2..3));
    check(said(&world, &["rules", "list"], 0));
    check(said(&world, &["rules", "report"], 0));
    // Also of a rule that goes while a run goes on; of one that has come, no longer.
    let mut running = world.start(&["run", "--http", "0"]);
    running.address();
    world.write("plugins/b.wasm", component(&[("onee", EVERY_ROW)]));
    settled(&world, &["one", "onee"]);
    std::fs::remove_file(world.at("plugins/b.wasm")).unwrap();
    settled(&world, &["one"]);
    let told = running.end();
    assert_eq!(told.lines().filter(|line| line.contains("rules.onee: no component")).count(), 2, "{told}");
}

#[test]
fn without_the_file_nothing_goes_on_trial() {
    let world = World::new();
    run(&world, 0..1);
    world.write("plugins/every_row.wasm", component(&[("every_row", HALF)]));
    world.write("plugins/b.wasm", component(&[("b", EVERY_ROW)]));
    run(&world, 1..3);
    assert_eq!(standings(&world), expect(&[("b", "live"), ("every_row", "live")]));
    assert!(!world.at("data/live-components").exists());
    // What went live without it is no news with it.
    world.write("conf/rule_staging.json", "{}");
    run(&world, 3..4);
    assert_eq!(standings(&world), expect(&[("b", "live"), ("every_row", "live")]));
    world.write("plugins/b.wasm", component(&[("b", HALF)]));
    run(&world, 4..5);
    assert_eq!(standings(&world), expect(&[("b", "staged*"), ("every_row", "live")]));
    // One that is wrong is told of, with its place.
    world.write("conf/rule_staging.json", r#"{"rules": {"b": {"window": "soon"}}}"#);
    world.write("in.json", rows(3..4));
    let told = said(&world, &["run", "--input", "in.json"], 2);
    assert!(told.contains("rule_staging.json: rules.b.window: `soon` is no time"), "{told}");
}

#[test]
fn modes_and_what_single_rules_say() {
    let staging = r#"{"changed": "stage", "new": "live", "rules": {
        "loud": {"changed": "live"}, "beside": {"changed": "shadow"}, "new": {"new": "stage"}}}"#;
    let world = world(&[("alone", EVERY_ROW), ("loud", EVERY_ROW), ("beside", EVERY_ROW)], staging);
    assert_eq!(delivered(&world), 6);
    let all = [("alone", NOTHING), ("loud", EVERY_ROW), ("beside", NOTHING), ("new", EVERY_ROW), ("fresh", EVERY_ROW)];
    world.write("plugins/a.wasm", component(&all));
    run(&world, 2..3);
    let expected = [("alone", "staged"), ("beside", "staged*"), ("fresh", "live"), ("loud", "live"), ("new", "staged")];
    assert_eq!(standings(&world), expect(&expected));
    assert_eq!(delivered(&world), 9, "loud, fresh, and the version before of beside");
}

#[test]
fn a_version_beside_the_live_one_is_compared_and_promotion_makes_it_live_at_once() {
    let world = world(&[("one", HALF)], "{}");
    world.write("plugins/a.wasm", component(&[("one", EVERY_ROW)]));
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    assert_eq!(post(address, rows(10..20).as_bytes()).unwrap().status, 200);
    // The same comes again: nothing is counted twice, and nothing is suppressed.
    assert_eq!(post(address, rows(10..20).as_bytes()).unwrap().status, 200);
    let report = &lines(&world, &["rules", "report", "one"])[0];
    let counts =
        |report: &Value| ["new", "same", "lost", "faults"].map(|name| report["counts"][name].as_u64().unwrap());
    assert_eq!(counts(report), [5, 5, 0, 0], "{report}");
    assert_eq!((&report["verdict"], &report["alerts"]), (&"kept".into(), &5.into()));
    for kind in ["new", "same"] {
        let ids = report["examples"][kind].as_array().unwrap();
        assert_eq!(ids.len(), 3, "{report}");
        assert!(world.alert_ids().contains(ids[0].as_str().unwrap()));
    }
    let told = said(&world, &["rules", "report"], 0);
    for part in ["kept: 5 alerts, and 0 are allowed", "new                5  as in ", "on trial: ", "live: "] {
        assert!(told.contains(part), "{told}");
    }
    assert!(said(&world, &["rules", "report", "none"], 2).contains("there is no rule none"));
    // Nobody has heard of what only the new one finds, and everybody of what the live one does.
    let (staged, live): (Vec<Alert>, Vec<Alert>) = world.alerts().into_iter().partition(|alert| alert.staged);
    assert_eq!((staged.len(), live.len()), (10, 1 + 5));
    assert!(staged.iter().all(|alert| alert.trial.as_ref().unwrap().digest == alert.component_digest));
    assert_ne!(staged[0].component_digest, live[0].component_digest);
    let metrics = request(address, "GET", "/metrics", &[], b"").unwrap().body;
    for line in [
        r#"streamalert_rule_evaluations_total{rule="one",log_type="test:row",version="live"} 20"#,
        r#"streamalert_rule_matches_total{rule="one",log_type="test:row",version="trial"} 20"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }

    said(&world, &["rules", "promote", "one"], 0);
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(post(address, rows(20..24).as_bytes()).unwrap().status, 200);
    running.end();
    assert_eq!(standings(&world)["one"], "live");
    assert_eq!(delivered(&world), 1 + 5 + 4, "all of the four, by the new version");
    assert_eq!(lines(&world, &["rules", "report"]), [] as [Value; 0]);
    // By version and log type.
    let stats = lines(&world, &["rules", "stats", "one"]);
    let by_version: BTreeSet<(bool, u64, u64)> = stats
        .iter()
        .map(|row| {
            assert!(row["nanoseconds"].as_u64().unwrap() > 0 && row["fuel"].as_u64().unwrap() > 0, "{row}");
            let count = |name: &str| row[name].as_u64().unwrap();
            (row["current"].as_bool().unwrap(), count("evaluations"), count("matches"))
        })
        .collect();
    assert_eq!(by_version, BTreeSet::from([(false, 2 + 20, 1 + 10), (true, 20 + 4, 20 + 4)]));
    assert!(said(&world, &["rules", "stats"], 0).contains("test:row"));
}

#[test]
fn a_version_that_fails_or_is_slow_harms_nobody_and_is_not_promoted() {
    let world = world(&[("one", EVERY_ROW), ("two", EVERY_ROW), ("three", EVERY_ROW)], r#"{"window": "1s"}"#);
    world.write("plugins/a.wasm", component(&[("one", TRAP), ("two", LOOP), ("three", EVERY_ROW)]));
    let told = run(&world, 10..30);
    let lost = told.lines().find(|line| line.starts_with("records lost to one rule")).unwrap();
    assert!(lost.ends_with(" 0"), "{told}");
    assert_eq!(delivered(&world), 6 + 60);
    assert_eq!(world.dead().len(), 0, "no letter is written of a version on trial");
    std::thread::sleep(Duration::from_millis(1_100));
    run(&world, 30..31);
    // What was shown and the same is live, what failed is not.
    assert_eq!(standings(&world), expect(&[("one", "staged*"), ("three", "live"), ("two", "staged*")]));
    let report = lines(&world, &["rules", "report"]);
    for row in &report {
        assert_eq!(row["verdict"], "fails", "{row}");
        assert_eq!(row["counts"]["faults"], 21, "{row}");
        assert_eq!(row["counts"]["lost"], 0, "what it failed on, it has not missed: {row}");
    }

    // One that takes some times of what all live rules take is not shown everything, and that is said.
    let world = self::world(&[("one", EVERY_ROW)], r#"{"window": "1h"}"#);
    world.write("plugins/a.wasm", component(&[("one", SLOW)]));
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    let begun = Instant::now();
    let mut number = 100;
    loop {
        assert_eq!(post(address, rows(number..number + 1).as_bytes()).unwrap().status, 200);
        number += 1;
        let left_out =
            number % 100 == 0 && lines(&world, &["rules", "report"])[0]["counts"]["left_out"].as_u64().unwrap() > 0;
        if left_out {
            break;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "it is shown everything for ever");
    }
    let report = &lines(&world, &["rules", "report"])[0];
    assert_eq!(report["verdict"], "unknown", "{report}");
    assert!(report["says"].as_str().unwrap().contains("so slow that it was not shown"), "{report}");
    running.end();
    assert_eq!(delivered(&world) as u64, 2 + (number - 100));
}

#[test]
fn trials_end_when_their_time_is_over_and_somebody_is_told_how_they_stand() {
    let staging = r#"{"window": "2s", "threshold": 1, "rules": {"held": {"promote": false}, "long": {"window": "1h"}},
        "digest": {"schedule": "rate(1 minute)", "output": "file:digest"}}"#;
    let world = world(&[("old", EVERY_ROW)], staging);
    let all = [("quiet", NOTHING), ("held", NOTHING), ("long", NOTHING), ("noisy", EVERY_ROW)];
    world.write("plugins/b.wasm", component(&all));
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    assert_eq!(post(address, rows(10..12).as_bytes()).unwrap().status, 200);
    let says = |rule: &str| lines(&world, &["rules", "report", rule])[0]["verdict"].as_str().unwrap().to_owned();
    assert_eq!(["held", "long", "noisy"].map(says), ["held", "will_be_promoted", "kept"]);
    running.hear("promoted: quiet is live, its trial is over");
    assert_eq!(
        standings(&world),
        expect(&[("held", "staged"), ("long", "staged"), ("noisy", "staged"), ("old", "live"), ("quiet", "live")])
    );
    // A digest each minute, also across a restart: each of its minutes once.
    let digests = || -> Vec<Value> {
        let text = std::fs::read_to_string(world.at("data/outputs/digest.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let begun = Instant::now();
    while digests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(75), "no digest:\n{}", running.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    running.hear("noisy: 2 alerts since ");
    running.end();
    run(&world, 50..51);
    let digests = digests();
    let rows = digests[0]["record"]["rules"].as_array().unwrap();
    assert_eq!(rows[0]["rule"], "noisy", "most alerts first: {}", digests[0]);
    assert_eq!(
        rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect::<Vec<_>>(),
        ["kept", "held", "will_be_promoted"]
    );
    let ids: Vec<&str> = digests.iter().map(|digest| digest["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

#[test]
fn a_second_trial_begins_from_nothing() {
    let world = world(&[("one", EVERY_ROW)], r#"{"window": "1h"}"#);
    world.write("plugins/b.wasm", component(&[("two", EVERY_ROW)]));
    run(&world, 10..13);
    let alerts = || lines(&world, &["rules", "report", "two"])[0]["alerts"].as_u64().unwrap();
    assert_eq!(alerts(), 3);
    said(&world, &["rules", "stage", "two"], 0);
    assert_eq!(alerts(), 0);
    run(&world, 13..14);
    assert_eq!(alerts(), 1);
    // Switched off and on again, the trial is the same one.
    said(&world, &["rules", "disable", "two"], 0);
    assert_eq!(standings(&world)["two"], "disabled");
    said(&world, &["rules", "enable", "two"], 0);
    assert_eq!((standings(&world)["two"].as_str(), alerts()), ("staged", 1));
    // Of a changed rule, staged anew, the version before stays live.
    world.write("plugins/a.wasm", component(&[("one", NOTHING)]));
    run(&world, 14..15);
    said(&world, &["rules", "stage", "one"], 0);
    assert_eq!(standings(&world)["one"], "staged*");
    let before = delivered(&world);
    run(&world, 15..17);
    assert_eq!(delivered(&world), before + 2);
}

/// Killed at any moment, a run loses nothing and repeats nothing: neither alerts nor counts nor decisions.
#[test]
fn a_run_that_is_killed_again_and_again_counts_and_promotes_once() {
    let world = world(&[("one", HALF)], r#"{"window": "3s", "threshold": 1000000}"#);
    world.write("plugins/a.wasm", component(&[("one", EVERY_ROW), ("two", EVERY_ROW)]));
    let kills = 12;
    let mut sent = 100u64;
    for kill in 0..kills {
        let mut running = world.start(&["run", "--http", "0"]);
        let address = running.address();
        // Another moment each time.
        let until = Instant::now() + Duration::from_millis(23 * kill);
        loop {
            assert_eq!(post(address, rows(sent..sent + 7).as_bytes()).unwrap().status, 200);
            sent += 7;
            if Instant::now() >= until {
                break;
            }
        }
        // What is not answered comes again.
        let last = rows(sent..sent + 7);
        let poster = std::thread::spawn(move || drop(post(address, last.as_bytes())));
        std::thread::sleep(Duration::from_micros(900 * kill));
        running.kill();
        poster.join().unwrap();
        let states = std::fs::read(world.at("data/rules.json")).unwrap();
        assert!(serde_json::from_slice::<Value>(&states).is_ok(), "{}", text(&states));
    }
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    let mut at = 100;
    while at < sent + 7 {
        assert_eq!(post(address, rows(at..at + 7).as_bytes()).unwrap().status, 200);
        at += 7;
    }
    let begun = Instant::now();
    while standings(&world).values().any(|standing| standing != "live") {
        assert!(begun.elapsed() < PATIENCE, "{:?}", standings(&world));
        std::thread::sleep(Duration::from_millis(100));
    }
    running.end();
    // Each alert is counted once, whatever its trial.
    let alerts = world.alerts();
    let ids: BTreeSet<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids.len(), alerts.len());
    let mut expected: BTreeMap<TrialKey, TrialCounts> = BTreeMap::new();
    for alert in &alerts {
        if let Some(trial) = &alert.trial {
            let key = TrialKey { rule: alert.rule_name.clone(), digest: trial.digest.clone(), since: trial.since };
            expected.entry(key).or_default().hit(trial.hit, 1);
        }
    }
    assert!(expected.len() >= 2, "{expected:?}");
    let table = SqliteAlerts::open(&world.at("data/alerts.sqlite")).unwrap();
    let keys: Vec<TrialKey> = expected.keys().cloned().collect();
    assert_eq!(table.counts(&keys).unwrap(), expected.values().copied().collect::<Vec<_>>());
    assert!(!RuleLedger::all(&table).unwrap().is_empty());
    // Whatever was on trial, the version before has told of its half, and nobody of the rest.
    let live: Vec<&Alert> = alerts.iter().filter(|alert| !alert.staged).collect();
    let told = std::fs::read_to_string(world.at("data/outputs/audit.jsonl")).unwrap();
    let told: BTreeSet<String> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    // What the last one who was killed had in hand is somebody else's when its lease ends: it is owed until then.
    let filter = DeliveryFilter { state: Some(DeliveryState::Owed), ..DeliveryFilter::default() };
    let still = table.deliveries(&filter, usize::MAX).unwrap().into_iter().map(|delivery| delivery.alert_id);
    let told_or_owed: BTreeSet<String> = told.into_iter().chain(still).collect();
    assert_eq!(told_or_owed, live.iter().map(|alert| alert.id.clone()).collect());
    let lost = alerts.iter().filter(|alert| alert.trial.as_ref().is_some_and(|trial| trial.hit == Hit::Lost)).count();
    assert_eq!(lost, 0);
}
