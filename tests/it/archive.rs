//! Records and alerts in the archive of one machine: all that was acknowledged, each once, whatever happens to the run.

use crate::run_world::{Dice, World, eventually, post, rows};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

/// Rows of a query, as JSON; after it went well.
#[track_caller]
pub fn search(world: &World, arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["search", "--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = world.streamalert(&all);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub fn run(world: &World, arguments: &[&str]) {
    let output = world.streamalert(&["run"].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", told(&output));
}

/// `n` of all archived records, as often as they stand there.
#[track_caller]
fn numbers(world: &World) -> Vec<u64> {
    let rows = search(world, &["SELECT n FROM test_row ORDER BY n"]);
    rows.iter().map(|row| row["n"].as_u64().unwrap()).collect()
}

/// Names of files of the archive, and how many hours they lie in.
fn files(world: &World, table: &str) -> (Vec<String>, usize) {
    let archive = streamalert_archive::Archive::at(world.at("data/archive"));
    let hours = archive.hours(table).unwrap();
    let files = hours.iter().flat_map(|hour| archive.files(table, hour).unwrap());
    (files.map(|file| file.name).collect(), hours.len())
}

#[test]
fn what_a_run_classifies_and_finds_is_there_afterwards() {
    let world = World::new();
    world.write("a.json", rows(0..300) + "no json\n");
    run(&world, &["--input", "a.json"]);
    assert_eq!(numbers(&world), (0..300).collect::<Vec<_>>());
    let row = &search(&world, &["SELECT * FROM test_row WHERE n = 7"])[0];
    assert_eq!(row["streamalert_record"], r#"{"n":7}"#);
    assert_eq!((&row["streamalert_service"], &row["streamalert_index"]), (&"file".into(), &0.into()));
    assert_eq!(row["streamalert_length"], 8);
    assert!(row["streamalert_object"].as_str().unwrap().ends_with("a.json"), "{row}");
    assert_eq!(row["streamalert_id"].as_str().unwrap().len(), 64);
    let arrived = row["streamalert_arrived"].as_str().unwrap();
    assert_eq!(row["dt"], arrived[..13].replace('T', "-"));

    // Alerts with the ids that `alerts list` has.
    let alerts = search(&world, &["SELECT id, rule_name, staged, record, outputs FROM alerts"]);
    let ids: BTreeSet<String> = alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, world.alert_ids());
    let alert = &alerts[0];
    assert_eq!((&alert["rule_name"], &alert["staged"]), (&"every_row".into(), &false.into()));
    assert_eq!(alert["outputs"], serde_json::json!(["file:audit"]));
    assert!(alert["record"].as_str().unwrap().starts_with(r#"{"n":"#));
}

#[test]
fn the_same_input_again_is_there_once_and_alerts_on_trial_are_there_too() {
    let world = World::new();
    world.write("a.json", rows(0..50));
    run(&world, &["--input", "a.json"]);
    world.write("a.json", rows(0..60));
    run(&world, &["--input", "a.json"]);
    assert!(world.streamalert(&["rules", "stage", "every_row"]).status.success());
    world.write("b.json", rows(60..63));
    run(&world, &["--input", "b.json"]);
    let (names, hours) = files(&world, "test_row");
    // Where an hour ends in between, the copies lie in two.
    if hours == 1 {
        assert_eq!(numbers(&world), (0..63).collect::<Vec<_>>());
        assert_eq!(names.len(), 1, "small files are merged: {names:?}");
    }
    let staged = search(&world, &["SELECT staged, count(*) AS count FROM alerts GROUP BY staged ORDER BY staged"]);
    let counts: Vec<(bool, u64)> =
        staged.iter().map(|row| (row["staged"].as_bool().unwrap(), row["count"].as_u64().unwrap())).collect();
    assert_eq!(counts, [(false, 60), (true, 3)], "each alert once, those on trial too");
}

#[test]
fn copies_that_came_close_together_go_too() {
    let world = World::new();
    let mut server = world.start(&["run", "--http", "0"]);
    let address = server.address();
    for _ in 0..3 {
        assert_eq!(post(address, rows(0..5).as_bytes()).unwrap().status, 200);
    }
    server.end();
    let (names, hours) = files(&world, "test_row");
    if hours == 1 {
        assert_eq!((numbers(&world), names.len()), ((0..5).collect(), 1), "one file had all of them");
    }
}

#[test]
fn the_configuration_says_what_is_kept() {
    let world = World::new();
    world.write(
        "conf/schemas/test.json",
        r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}}, "other:row": {"parser": "json", "schema": {"m": "integer"}}}"#,
    );
    world.write("a.json", rows(0..5) + "{\"m\": 1}\n");
    world.write("conf/archive.json", r#"{"logs": ["other"], "retention_days": 30}"#);
    run(&world, &["--input", "a.json"]);
    assert!(numbers(&world).is_empty());
    assert_eq!(search(&world, &["SELECT m FROM other_row"])[0]["m"], 1);
    assert_eq!(search(&world, &["SELECT id FROM alerts"]).len(), 5, "alerts are kept whatever records are");

    world.write("conf/archive.json", r#"{"enabled": false}"#);
    world.write("b.json", "{\"m\": 2}\n");
    run(&world, &["--input", "b.json"]);
    assert_eq!(search(&world, &["SELECT m FROM other_row"]).len(), 1);

    // What is too old goes; the hours are made by hand.
    let old = world.at("data/archive/other_row/dt=2020-01-01-00");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::create_dir_all(world.at("data/archive/alerts/dt=2020-01-01-00")).unwrap();
    world.write("conf/archive.json", r#"{"retention_days": 30}"#);
    let server = world.start(&["run", "--http", "0"]);
    eventually("the old hour is removed", || !old.exists());
    server.end();
    assert!(world.at("data/archive/alerts/dt=2020-01-01-00").exists(), "of alerts nothing was said");

    // Also by a run that ends at once, as those do that somebody starts every hour.
    std::fs::create_dir_all(&old).unwrap();
    run(&world, &["--input", "b.json"]);
    assert!(!old.exists(), "the old hour stays");

    world.write("conf/archive.json", r#"{"retention_days": "x", "keep": 1}"#);
    let output = world.streamalert(&["run", "--input", "b.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("archive.json: "), "{}", told(&output));
}

#[test]
fn what_was_acknowledged_before_a_kill_is_in_the_archive() {
    let world = World::new();
    let mut dice = Dice::new();
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    let mut pauses = Vec::new();
    for round in 0..12 {
        let mut server = world.start(&["run", "--http", "0"]);
        let address = server.address();
        let pause = Duration::from_millis(dice.below(400));
        pauses.push(pause);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(pause);
            server.kill();
        });
        while let Ok(answer) = post(address, rows(sent..sent + 20).as_bytes()) {
            if answer.status == 200 {
                acknowledged.extend(sent..sent + 20);
            }
            sent += 20;
        }
        killer.join().unwrap();
        // Now and then somebody looks before the next run begins.
        if round % 4 == 3 {
            let there: BTreeSet<u64> = numbers(&world).into_iter().collect();
            assert!(there.is_superset(&acknowledged), "after {pauses:?}: {:?}", &acknowledged - &there);
        }
    }
    assert!(!acknowledged.is_empty());
    world.write("last.json", rows(1_000_000..1_000_001));
    run(&world, &["--input", "last.json"]);
    let all = numbers(&world);
    let there: BTreeSet<u64> = all.iter().copied().collect();
    assert!(there.is_superset(&acknowledged), "after {pauses:?}: {:?}", &acknowledged - &there);
    assert_eq!(all.len(), there.len(), "each once, after {pauses:?}");
    let alerts = search(&world, &["SELECT id FROM alerts"]);
    let archived: BTreeSet<String> = alerts.iter().map(|alert| alert["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(archived.len(), alerts.len());
    assert!(archived.is_superset(&world.alert_ids()), "all alerts, after {pauses:?}");
    let left = std::fs::read_dir(world.at("data/archive/.journal")).unwrap().count();
    assert_eq!(left, 0, "nothing is left in the journal");
}

#[test]
fn whoever_reads_without_the_configuration_is_told_what_is_missing() {
    let world = World::new();
    let mut server = world.start(&["run", "--http", "0"]);
    assert_eq!(post(server.address(), rows(0..20).as_bytes()).unwrap().status, 200);
    server.kill();
    let output = world.streamalert(&["search", "SELECT 1 AS one", "--config", "nowhere"]);
    assert!(output.status.success(), "{}", told(&output));
    assert!(
        told(&output).contains("acknowledged records are missing here: 1 pieces of the journal"),
        "{}",
        told(&output)
    );
    assert!(told(&output).contains("--config"), "{}", told(&output));
    // With it they are there, and nothing is missing afterwards for anybody.
    assert_eq!(numbers(&world), (0..20).collect::<Vec<_>>());
    let query = "SELECT count(*) AS c FROM test_row";
    let output = world.streamalert(&["search", query, "--config", "nowhere", "--output", "json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"c\":20}\n");
    assert!(!told(&output).contains("missing"), "{}", told(&output));
}

#[test]
fn a_row_is_seen_once_while_files_are_merged() {
    let world = World::new();
    let mut server = world.start(&["run", "--http", "0"]);
    let address = server.address();
    assert_eq!(post(address, rows(0..100).as_bytes()).unwrap().status, 200);
    eventually("the rows can be seen while the run goes on", || numbers(&world).len() == 100);
    server.end();
    for number in 1..6 {
        world.write("a.json", rows(number * 100..number * 100 + 100));
        let mut merging = world.start(&["run", "--input", "a.json"]);
        loop {
            let (all, done) = (numbers(&world), merging.said().contains("records in"));
            let there: BTreeSet<u64> = all.iter().copied().collect();
            assert_eq!(all.len(), there.len(), "a row was seen twice");
            assert!(there.is_superset(&(0..number * 100).collect()), "a row was not seen");
            if done {
                break;
            }
        }
        assert!(merging.wait().success());
    }
    assert_eq!(numbers(&world), (0..600).collect::<Vec<_>>());
}
