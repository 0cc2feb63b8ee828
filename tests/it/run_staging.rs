//! Rules on trial and rules that are switched off, on one machine.

use crate::run_world::{World, every_row_to, post, rows};
use serde_json::Value;

/// What a command said, after checking its exit code.
#[track_caller]
fn said(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.streamalert(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[track_caller]
fn standing(world: &World) -> Value {
    let list = world.streamalert(&["rules", "list", "--output", "json"]);
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    serde_json::from_slice(&list.stdout).unwrap()
}

fn delivered(world: &World) -> usize {
    std::fs::read_to_string(world.at("data/outputs/audit.jsonl")).map_or(0, |text| text.lines().count())
}

#[test]
fn to_look_into_a_folder_that_is_not_there_is_a_mistake() {
    let world = World::new();
    for command in ["list", "report", "stats"] {
        let told = said(&world, &["rules", command, "--data", "dta"], 2);
        assert!(told.contains("there is no data folder dta"), "{told}");
    }
    assert!(!world.at("dta").exists());
    // What is decided before the first run is kept for it.
    said(&world, &["rules", "disable", "every_row"], 0);
    assert_eq!(standing(&world)["standing"], "disabled");
}

#[test]
fn on_trial_alerts_are_stored_and_nobody_is_told() {
    let world = World::new();
    world.write("plugins/every_row.wasm", every_row_to("file:audit"));
    world.write("conf/outputs.json", r#"{"file": {"audit": {}}}"#);
    std::fs::create_dir(world.at("data")).unwrap();
    assert_eq!(standing(&world)["standing"], "live");
    let told = said(&world, &["rules", "stage", "every_row"], 0);
    assert!(told.starts_with("staged    every_row  every_row.wasm ("), "{told}");
    world.write("a.json", rows(0..3));
    said(&world, &["run", "--input", "a.json"], 0);
    assert_eq!((world.alerted(), delivered(&world)), (vec![0, 1, 2], 0));
    assert!(world.alerts().iter().all(|alert| alert.staged));

    // Of a mistyped name nothing is decided.
    let told = said(&world, &["rules", "promote", "every_row", "every_raw"], 2);
    assert!(told.contains("there is no rule every_raw; there are every_row"), "{told}");
    assert_eq!(standing(&world)["standing"], "staged");

    said(&world, &["rules", "promote", "every_row"], 0);
    world.write("b.json", rows(3..5));
    said(&world, &["run", "--input", "b.json"], 0);
    assert_eq!((world.alerted().len(), delivered(&world)), (5, 2));

    // A trial is of one version: another one is live.
    said(&world, &["rules", "unstage", "every_row"], 0);
    said(&world, &["rules", "stage", "every_row", "--for", "2d"], 0);
    assert!(standing(&world)["until"].is_string());
    world.write(
        "plugins/every_row.wasm",
        crate::run_world::every_row_with(r#"{"outputs": ["file:audit"], "severity": "high"}"#),
    );
    assert_eq!(standing(&world)["standing"], "live");
    let told = said(&world, &["rules", "stage", "every_row", "--for", "never"], 2);
    assert!(told.contains("write it as 36h or 2d"), "{told}");
}

#[test]
fn what_is_switched_off_is_not_asked_also_while_a_run_goes_on() {
    let world = World::new();
    let mut running = world.start(&["run", "--http", "0"]);
    let address = running.address();
    assert_eq!(post(address, rows(0..1).as_bytes()).unwrap().status, 200);
    said(&world, &["rules", "disable", "every_row"], 0);
    // A decision is seen within a second.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert_eq!(post(address, rows(1..2).as_bytes()).unwrap().status, 200);
    assert_eq!(standing(&world)["standing"], "disabled");
    said(&world, &["rules", "enable", "every_row"], 0);
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert_eq!(post(address, rows(2..3).as_bytes()).unwrap().status, 200);
    running.end();
    assert_eq!(world.alerted(), [0, 2]);

    // A file that nobody can read is no reason to deliver what is on trial.
    world.write("data/rules.json", "{");
    let told = said(&world, &["run", "--input", "conf"], 1);
    assert!(told.contains("rules.json"), "{told}");
}
