//! `streamalert run` over files and pipes, and what can be done with what it left.

use crate::run_world::{EVERY_ROW, Guest, World, rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::process::Output;
use streamalert_pipeline::dead_letter::DeadLetter;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// What it wrote to stdout, after it went well.
#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The count in a line of the closing summary.
#[track_caller]
fn count(output: &Output, name: &str) -> u64 {
    let text = told(output);
    let line =
        text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{text}"));
    let rest = line.trim_start().strip_prefix(name).unwrap().trim_start();
    rest.split(' ').next().unwrap().replace(',', "").parse().unwrap_or_else(|_| panic!("no count in {line:?}"))
}

#[test]
fn the_same_file_twice_raises_nothing_twice_however_it_is_named() {
    let world = World::new();
    world.write("logs/a.json", rows(0..100) + "no json\n");
    let first = world.streamalert(&["run", "--input", "logs", "--output", "json"]);
    assert_eq!(said(&first).lines().count(), 100);
    assert_eq!((count(&first, "records in"), count(&first, "new alerts"), count(&first, "not_json")), (101, 100, 1));
    let (alerts, dead) = (world.alerts(), world.dead());
    let absolute = world.at("logs/../logs/a.json");
    for input in ["logs/a.json", "./logs", absolute.to_str().unwrap()] {
        let again = world.streamalert(&["run", "--input", input, "--output", "json"]);
        assert_eq!(said(&again), "");
        assert!(told(&again).contains("and 100 known already"), "{}", told(&again));
    }
    assert_eq!(world.alerts(), alerts);
    let once = |letter: DeadLetter| DeadLetter { count: 1, ..letter };
    assert_eq!(world.dead().into_iter().map(once).collect::<Vec<_>>(), dead);
    assert_eq!(world.dead()[0].count, 4, "how often it came");
    // A file that grew keeps its old records, and a copy is another file.
    world.write("logs/a.json", rows(0..100) + "no json\n" + &rows(100..110));
    world.write("logs/b.json", rows(0..5));
    let grown = world.streamalert(&["run", "--input", "logs"]);
    assert_eq!((count(&grown, "new alerts"), world.dead().len()), (15, 1));
}

#[test]
fn alerts_are_for_people_for_programs_and_for_files() {
    let world = World::new();
    world.write("a.json", rows(0..2));
    let text = said(&world.streamalert(&["run", "--input", "a.json", "--alerts-file", "out/all.jsonl"]));
    assert!(text.starts_with("LOW  every_row\n  rule      every_row  alert "), "{text}");
    assert!(text.contains("\n  record    n=1\n"), "{text}");
    assert!(!text.contains('\x1b'), "stdout is no terminal: {text}");
    for file in ["out/all.jsonl", "data/outputs/audit.jsonl"] {
        let lines = std::fs::read_to_string(world.at(file)).unwrap();
        assert_eq!(lines.lines().count(), 2, "{file}: {lines}");
    }
    let list = said(&world.streamalert(&["alerts", "list", "--output", "json"]));
    let newest: serde_json::Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let id = newest["id"].as_str().unwrap();
    assert!(said(&world.streamalert(&["alerts", "list", "--rule", "every_row"])).contains(id));
    assert_eq!(said(&world.streamalert(&["alerts", "list", "--rule", "another"])), "");
    let shown = said(&world.streamalert(&["alerts", "show", id]));
    assert!(shown.contains(id) && shown.contains("\"n\": "), "{shown}");
    assert_eq!(world.streamalert(&["alerts", "show", "nope"]).status.code(), Some(1));
}

#[test]
fn gzip_is_read_to_its_last_member_and_a_cut_one_to_its_last_record() {
    let world = World::new();
    let mut members = gzip(&rows(0..50));
    members.extend(gzip(&rows(50..100)));
    members.extend([0; 100]);
    world.write("all.gz", members);
    let whole = gzip(&(1_000..21_000).map(|n| format!("{{\"n\": {}}}\n", n * 7_919 % 99_991)).collect::<String>());
    world.write("cut", &whole[..whole.len() / 2]);
    let output = world.streamalert(&["run", "--input", "all.gz", "cut"]);
    said(&output);
    assert_eq!(count(&output, "compression"), 1);
    let good = count(&output, "new alerts");
    assert!((5_000..20_000).contains(&good), "{good}");
    let numbers = world.alerted();
    assert!((0..100).all(|n| numbers.contains(&n)));
    // What is cut off cannot be made whole by trying again.
    let again = world.streamalert(&["dead", "resend", "--all"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(told(&again).contains("send the object itself again"), "{}", told(&again));
    assert_eq!(world.dead().len(), 1);
}

#[test]
fn a_pipe_is_an_input_and_a_source_can_be_declared() {
    let world = World::new();
    let output = world.streamalert_with_input(&["run", "--input", "-"], rows(0..10).as_bytes());
    said(&output);
    assert_eq!(world.alerted(), (0..10).collect::<Vec<_>>());
    let output = world.streamalert_with_input(&["run", "--input", "-", "--source", "s3:bucket"], &gzip(&rows(0..10)));
    assert_eq!(count(&output, "new alerts"), 10);
    assert_eq!(world.alerts()[0].source.resource, "bucket");
}

#[test]
fn clusters_say_what_a_source_may_send() {
    let world = World::new();
    let other = r#"{"other:thing": {"parser": "json", "schema": {"x": "integer"}}}"#;
    world.write("conf/schemas/other.json", other);
    world.write("conf/clusters/prod.json", r#"{"data_sources": {"s3": {"bucket": ["other"]}}}"#);
    world.write("a.json", rows(0..3));
    let output = world.streamalert(&["run", "--input", "a.json", "--source", "s3:bucket"]);
    assert_eq!((count(&output, "no_schema"), count(&output, "classified")), (3, 0));
    let output = world.streamalert(&["run", "--input", "a.json", "--source", "s3:else"]);
    assert_eq!(count(&output, "classified"), 3);
    assert_eq!(world.dead()[0].cluster, "prod");
}

#[test]
fn what_is_wrong_at_the_start_is_said_and_has_its_exit_code() {
    let world = World::new();
    world.write("a.json", rows(0..1));
    let nothing = world.streamalert(&["run"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(told(&nothing).contains("give --input"), "{}", told(&nothing));
    for wrong in [
        vec!["run", "--input", "missing.json"],
        vec!["run", "--input", "a.json", "--config", "missing"],
        vec!["run", "--input", "a.json", "--source", "nonsense"],
        vec!["run", "--http", "nonsense"],
        vec!["dead", "list", "--reason", "nonsense"],
        vec!["alerts", "list", "--data", "missing"],
    ] {
        assert_eq!(world.streamalert(&wrong).status.code(), Some(2), "{wrong:?}");
    }
    world.write("conf/schemas/broken.json", "[");
    world.write("conf/clusters/broken.json", "[");
    let broken = world.streamalert(&["run", "--input", "a.json"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(told(&broken).contains("schemas/broken.json") && told(&broken).contains("clusters/broken.json"));
}

#[test]
fn without_rules_records_are_classified_all_the_same() {
    let world = World::new();
    world.write("a.json", rows(0..3));
    for plugins in ["missing", "conf"] {
        let output = world.streamalert(&["run", "--input", "a.json", "--plugins", plugins]);
        assert_eq!((count(&output, "test:row"), count(&output, "new alerts")), (3, 0));
        assert!(told(&output).contains("warning: no rules"), "{}", told(&output));
    }
}

#[test]
fn a_letter_goes_through_once_there_is_a_schema_and_raises_what_it_would_have_raised() {
    let (early, late) = (World::new(), World::new());
    let text = rows(0..2) + "{\"m\": 1}\n{\"m\": 2}\n";
    let both = r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}},
        "test:other": {"parser": "json", "schema": {"m": "integer"}}}"#;
    let rule = Guest { rules: vec![("other", EVERY_ROW)], logs: "test:other", ..Guest::default() }.build();
    let run = ["run", "--input", "-"];
    early.write("conf/schemas/test.json", both);
    early.write("plugins/other.wasm", &rule);
    said(&early.streamalert_with_input(&run, text.as_bytes()));

    said(&late.streamalert_with_input(&run, text.as_bytes()));
    assert_eq!(late.dead().len(), 2);
    let refused = late.streamalert(&["dead", "resend", "--all"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(late.dead().len(), 2);
    late.write("conf/schemas/test.json", both);
    late.write("plugins/other.wasm", &rule);
    let (first, second) = (late.dead()[0].id.clone(), late.dead()[1].id.clone());
    said(&late.streamalert(&["dead", "resend", &first]));
    assert_eq!(late.dead_ids(), [second].into());
    let output = late.streamalert(&[
        "dead",
        "resend",
        "--all",
        "--reason",
        "no_schema",
        "--source",
        "stdin:",
        "--output",
        "json",
    ]);
    assert_eq!(said(&output).lines().count(), 1, "the new alert goes to stdout");
    assert!(late.dead().is_empty());
    assert_eq!(late.alert_ids(), early.alert_ids());
}

#[test]
fn a_record_lost_to_a_rule_is_judged_by_it_alone_when_it_is_mended() {
    let world = World::new();
    let rules = |faulty: &'static str| {
        let rules = vec![("faulty", faulty), ("neighbour", EVERY_ROW)];
        Guest { rules, logs: "test:row", ..Guest::default() }.build()
    };
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    world.write("plugins/two.wasm", rules("(unreachable)"));
    world.write("a.json", rows(0..3));
    let output = world.streamalert(&["run", "--input", "a.json"]);
    said(&output);
    assert_eq!((count(&output, "new alerts"), count(&output, "records lost to one rule")), (3, 3));
    let letters = said(&world.streamalert(&["dead", "list", "--reason", "rule_fault"]));
    assert_eq!(letters.lines().filter(|line| line.contains("faulty")).count(), 3, "{letters}");
    assert_eq!(world.streamalert(&["dead", "resend", "--all"]).status.code(), Some(1));
    assert_eq!(world.dead().len(), 3);
    world.write("plugins/two.wasm", rules(EVERY_ROW));
    let output = world.streamalert(&["dead", "resend", "--all", "--output", "json"]);
    let alerts = said(&output);
    assert_eq!(alerts.lines().filter(|line| line.contains("\"rule_name\":\"faulty\"")).count(), 3, "{alerts}");
    assert!(
        told(&output).contains("3 new alerts and 0 known already"),
        "its neighbour is not asked: {}",
        told(&output)
    );
    assert!(world.dead().is_empty());
    let again = world.streamalert(&["run", "--input", "a.json"]);
    assert_eq!(count(&again, "new alerts"), 0, "{}", told(&again));
}

#[test]
fn letters_are_shown_and_dropped_by_the_beginnings_of_their_ids() {
    let world = World::new();
    said(&world.streamalert_with_input(&["run", "--input", "-"], b"\x1b[2Jno json\n{\"x\": 1}\n"));
    let listed = said(&world.streamalert(&["dead", "list"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let letter = world.dead().into_iter().find(|letter| letter.reason.code() == "not_json").unwrap();
    let shown = said(&world.streamalert(&["dead", "show", &letter.id[..12]]));
    assert!(shown.contains("\\u{1b}[2Jno json") && !shown.contains('\x1b'), "{shown:?}");
    said(&world.streamalert(&["dead", "drop", &letter.id[..12]]));
    assert_eq!(world.dead().len(), 1);
    assert_eq!(world.streamalert(&["dead", "drop", "zzz"]).status.code(), Some(2));
}
