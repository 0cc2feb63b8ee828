//! Components are swapped under load: live within a second, nothing lost, nothing judged by two versions.

use crate::run_world::{EVERY_ROW, Guest, World, every_row, number, post, rows};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Severity of the alert on a record that is posted now.
fn severity_now(world: &World, address: std::net::SocketAddr, n: u64) -> Option<String> {
    let answer = post(address, rows(n..n + 1).as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    let alert = world.alerts().into_iter().find(|alert| number(alert) == n);
    alert.map(|alert| alert.severity.name().to_owned())
}

#[test]
fn versions_change_under_load_and_every_record_is_judged_by_one() {
    let world = World::new();
    let mut run = world.start(&["run", "--http", "0"]);
    let address = run.address();
    let (posted, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let from = posted.fetch_add(50, Ordering::Relaxed);
                    let answer = post(address, rows(from..from + 50).as_bytes()).unwrap();
                    assert_eq!((answer.status, &answer.json()["alerts"]), (200, &50.into()), "{answer:?}");
                }
            });
        }
        let levels = ["high", "info", "critical", "medium"];
        for level in levels.iter().cycle().take(12) {
            world.write("upload.tmp", every_row(level));
            std::fs::rename(world.at("upload.tmp"), world.at("plugins/every_row.wasm")).unwrap();
            std::thread::sleep(Duration::from_millis(150));
        }
        over.store(true, Ordering::Relaxed);
    });
    run.end();
    let alerts = world.alerts();
    let total = posted.load(Ordering::Relaxed);
    assert_eq!(world.alerted(), (0..total).collect::<Vec<_>>(), "none lost, none twice");
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for alert in &alerts {
        versions.entry(&alert.source.object).or_default().insert(&alert.component_digest);
    }
    assert!(versions.values().all(|versions| versions.len() == 1), "a request was judged by two versions");
    let used: BTreeSet<_> = versions.values().flatten().collect();
    assert!(used.len() >= 3, "only {} versions were ever live", used.len());
}

#[test]
fn a_change_is_live_within_a_second_and_a_broken_upload_changes_nothing() {
    let world = World::new();
    let mut run = world.start(&["run", "--http", "0"]);
    let address = run.address();
    let mut n = 0;
    let mut live = |expected: Option<&str>| {
        let begun = Instant::now();
        loop {
            n += 1;
            if severity_now(&world, address, n).as_deref() == expected {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(1), "{expected:?} is not live after a second");
        }
    };
    live(Some("low"));
    world.write("plugins/every_row.wasm", every_row("high"));
    live(Some("high"));

    world.write("plugins/every_row.wasm", b"\0asm\x0d\0\x01\0 and then nothing that means anything");
    run.hear("refused: every_row.wasm");
    run.hear("stays live");
    live(Some("high"));
    // Told once, however often the folder is looked at.
    std::fs::write(world.at("plugins/unrelated.txt"), "x").unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(run.said().matches("refused: ").count(), 1, "{}", run.said());

    world.write("plugins/every_row.wasm", every_row("critical"));
    live(Some("critical"));
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    live(None);
    let other = Guest {
        rules: vec![("another", EVERY_ROW)],
        logs: "test:row",
        options: r#"{"severity": "info"}"#,
        ..Guest::default()
    };
    world.write("plugins/another.wasm", other.build());
    live(Some("info"));
    let said = run.end();
    assert!(said.contains("gone: every_row.wasm") && said.contains("live: another.wasm"), "{said}");
}

#[test]
fn after_a_reload_the_same_file_raises_nothing_again() {
    let world = World::new();
    world.write("a.json", rows(0..10));
    assert!(world.streamalert(&["run", "--input", "a.json"]).status.success());
    let before = world.alerts();
    world.write("plugins/every_row.wasm", every_row("high"));
    assert!(world.streamalert(&["run", "--input", "a.json"]).status.success());
    assert_eq!(world.alerts(), before);
}
