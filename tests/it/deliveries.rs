//! Alerts on their way to outputs, through the real program: killed, failing, and as operators see them.

use crate::run_world::{Dice, Guest, PATIENCE, World, eventually, every_row_to, every_row_with, post, request, rows};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Path → what was accepted: idempotency key and alert id, in order, repeats too.
type Accepted = Mutex<BTreeMap<String, Vec<(String, String)>>>;

/// A service that takes parcels over plain HTTP, and remembers them by path.
struct Service {
    address: SocketAddr,
    accepted: Arc<Accepted>,
    /// Requests of a hundred that go wrong.
    failing: Arc<Mutex<u64>>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted: Arc<Accepted> = Arc::default();
        let failing = Arc::new(Mutex::new(0));
        let (all, rate) = (accepted.clone(), failing.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, rate) = (all.clone(), rate.clone());
                std::thread::spawn(move || serve(stream, &all, &rate));
            }
        });
        Service { address, accepted, failing }
    }

    /// What a path accepted.
    fn accepted(&self, path: &str) -> Vec<(String, String)> {
        self.accepted.lock().unwrap().get(path).cloned().unwrap_or_default()
    }
}

/// Requests of one connection. A client that dies in the middle is nobody's fault.
fn serve(mut stream: TcpStream, all: &Accepted, failing: &Mutex<u64>) -> Option<()> {
    let mut dice = Dice::new();
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "idempotency-key" => key = value.trim().to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        let fails = dice.below(100) < *failing.lock().unwrap();
        let how = dice.below(3);
        if fails && how == 0 {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        if fails && how == 1 {
            // It never heard of it.
            return None;
        }
        all.lock().unwrap().entry(path).or_default().push((key, id));
        if fails {
            // It has it, and cannot say so.
            return None;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
    }
}

/// The built component of an output.
pub fn component(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join("target/guests/example-rules").join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing: build it with `make guests`", path.display());
    path
}

impl World {
    /// Webhooks to `service`, by descriptor; every alert goes to all.
    fn with_webhooks(self, service: &Service, descriptors: &[&str], rate: f64) -> World {
        std::fs::copy(component("webhook"), self.at("plugins/webhook.wasm")).unwrap();
        self.webhooks(service.address, descriptors, rate);
        self
    }

    fn webhooks(&self, address: SocketAddr, descriptors: &[&str], rate: f64) {
        let mut webhooks = serde_json::Map::new();
        let mut secrets = serde_json::Map::new();
        for descriptor in descriptors {
            let config = serde_json::json!({
                "hosts": [format!("http://{address}")], "private_networks": true, "rate": rate, "timeout_seconds": 10
            });
            webhooks.insert((*descriptor).to_owned(), config);
            let url = format!("http://{address}/{descriptor}");
            secrets.insert(
                format!("webhook:{descriptor}"),
                serde_json::json!({"url": url, "signing_key": "0123456789abcdef"}),
            );
        }
        let outputs: Vec<String> = descriptors.iter().map(|descriptor| format!("webhook:{descriptor}")).collect();
        let config = serde_json::json!({"webhook": webhooks, "defaults": [{"outputs": outputs, "always": true}]});
        self.write("conf/outputs.json", config.to_string());
        let secrets = serde_json::Value::from(secrets).to_string();
        self.write("data/secrets.json", secrets);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(self.at("data/secrets.json"), private).unwrap();
        }
    }

    fn said(&self, arguments: &[&str]) -> String {
        let output = self.streamalert(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

const RUN: [&str; 3] = ["run", "--input", "in.json"];

/// Kills while alerts are stored, leased, sent and settled. With so few deliveries a second and so many kills, most fall
/// among deliveries.
const KILLS: usize = 200;
const ALERTS: usize = 1_000;

#[test]
fn killed_at_any_moment_every_output_gets_every_alert() {
    let mut dice = Dice::new();
    let service = Service::start();
    *service.failing.lock().unwrap() = 15;
    let descriptors = ["one", "two", "three"];
    let world = World::new().with_webhooks(&service, &descriptors, 3.0);
    world.write("in.json", rows(0..ALERTS as u64));
    let mut under_way = 0;
    for _ in 0..KILLS {
        let run = world.start(&RUN);
        std::thread::sleep(Duration::from_millis(dice.below(500)));
        run.kill();
        under_way += usize::from(service.accepted("/one").len() < ALERTS);
    }
    assert!(under_way >= KILLS * 9 / 10, "most kills fall before the end: {under_way}");
    // Undisturbed, but still failing at random.
    world.webhooks(service.address, &descriptors, 100_000.0);
    *service.failing.lock().unwrap() = 2;
    let end = Instant::now() + 2 * PATIENCE;
    // At least once: on a machine that is very busy, no run before may have come to storing anything.
    loop {
        let output = world.streamalert(&RUN);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if world.said(&["alerts", "list", "--state", "owed", "--limit", "1"]).is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{}", world.said(&["alerts", "list", "--state", "owed"]));
    }
    assert_eq!(world.said(&["alerts", "list", "--state", "dead"]), "");
    let raised: BTreeSet<String> = world
        .said(&["alerts", "list", "--limit", "100000"])
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(raised.len(), ALERTS);
    for descriptor in descriptors {
        let accepted = service.accepted(&format!("/{descriptor}"));
        let got: BTreeSet<String> = accepted.iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(got, raised, "{descriptor}: at least once");
        // Who remembers keys has taken each alert exactly once.
        let keys: BTreeMap<&String, BTreeSet<&String>> =
            accepted.iter().fold(BTreeMap::new(), |mut keys, (key, id)| {
                keys.entry(key).or_default().insert(id);
                keys
            });
        assert_eq!(keys.len(), ALERTS, "{descriptor}: a key for each alert");
        assert!(keys.iter().all(|(key, ids)| !key.is_empty() && ids.len() == 1), "{descriptor}");
    }
    let sqlite = rusqlite::Connection::open(world.at("data/alerts.sqlite")).unwrap();
    let left: i64 = sqlite.query_row("SELECT count(*) FROM deliveries WHERE state <> 2", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "nothing is left in the table");
}

#[test]
fn what_is_wrong_with_outputs_is_told_at_the_start_and_seen_at_the_end() {
    let world = World::new();
    world.write("in.json", rows(0..3));
    world.write(
        "conf/outputs.json",
        r#"{"slack": {"sec": {}}, "defaults": [{"outputs": ["slack:sec"], "always": true}]}"#,
    );
    let output = world.streamalert(&["run", "--input", "in.json", "--drain-seconds", "5"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("warning: output slack:sec is not ready: no component in the plugins folder delivers to slack"),
        "{said}"
    );
    assert!(said.contains("slack:sec") && said.contains("3 to be tried again"), "{said}");
    let owed = world.said(&["alerts", "list", "--state", "owed", "--to", "slack"]);
    assert_eq!(owed.lines().count(), 3, "{owed}");
    let audit = std::fs::read_to_string(world.at("data/outputs/audit.jsonl")).unwrap();
    assert_eq!(audit.lines().count(), 3, "the other output has them");

    world.write("conf/outputs.json", r#"{"defaults": []}"#);
    world.write("plugins/every_row.wasm", every_row_to("slack:typo"));
    world.write("in2.json", rows(10..12));
    let output = world.streamalert(&["run", "--input", "in2.json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("warning: every_row: `slack:typo` is not configured in outputs.json, which has none; `streamalert output new slack typo` makes it"), "{said}");
    assert!(said.contains("2 given up"), "{said}");
    let dead = world.said(&["alerts", "list", "--state", "dead"]);
    assert!(dead.lines().count() == 2 && dead.contains("not configured"), "{dead}");
    assert!(!world.streamalert(&["alerts", "retry"]).status.success(), "all of it only if somebody says so");
    world.said(&["alerts", "drop", "--state", "dead"]);
    assert_eq!(world.said(&["alerts", "list", "--state", "dead"]), "");
}

#[test]
fn an_output_is_made_tried_and_deleted_and_its_secrets_are_nowhere_to_be_seen() {
    let service = Service::start();
    let world = World::new();
    std::fs::copy(component("webhook"), world.at("plugins/webhook.wasm")).unwrap();
    let url = format!("http://{}/made", service.address);
    let secrets = serde_json::json!({"url": url, "signing_key": "hunter2-hunter2-hunter2"}).to_string();
    let host = format!("http://{}", service.address);
    let new = ["output", "new", "webhook", "made", "--secrets-from", "-", "--host", &host, "--private-networks"];
    let output = world.streamalert_with_input(&new, secrets.as_bytes());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let again = world.streamalert_with_input(&new, secrets.as_bytes());
    assert!(String::from_utf8_lossy(&again.stderr).contains("--replace"));
    let list = world.streamalert(&["output", "list"]);
    let listed = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(listed.contains("webhook:made") && listed.contains("ready"), "{listed}");
    let test = world.streamalert(&["output", "test", "webhook:made"]);
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
    assert_eq!(service.accepted("/made").len(), 1);
    let config = std::fs::read_to_string(world.at("conf/outputs.json")).unwrap();
    for text in [&said, &listed, &config] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    *service.failing.lock().unwrap() = 100;
    let test = world.streamalert(&["output", "test", "webhook:made"]);
    assert_eq!(test.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&test.stderr).contains("hunter2"));
    world.said(&["output", "delete", "webhook:made"]);
    assert!(!std::fs::read_to_string(world.at("data/secrets.json")).unwrap().contains("hunter2"));
    assert_eq!(world.streamalert(&["output", "test", "webhook:made"]).status.code(), Some(2));
    let wrong = ["output", "new", "webhook", "x", "--set", "signing_key=a"];
    let wrong = world.streamalert(&wrong);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is secret"));
}

#[test]
fn credentials_of_outputs_may_lie_in_the_folder_of_the_configuration() {
    let world = World::new();
    std::fs::copy(component("webhook"), world.at("plugins/webhook.wasm")).unwrap();
    world.write(
        "secret.json",
        r#"{"url": "https://hooks.northwind.example/a", "signing_key": "hunter2-hunter2-hunter2"}"#,
    );
    // Who waits for itself is ended, and the test fails.
    let ends = |arguments: &[&str]| {
        let mut command = world.start(arguments);
        let status = command.wait();
        assert!(status.success(), "{arguments:?}: {}", command.said());
    };
    for (name, place) in [("beside", ["--secrets", "conf/secrets.json"]), ("same", ["--data", "conf"])] {
        ends(&[&["output", "new", "webhook", name, "--secrets-from", "secret.json"][..], &place].concat());
        let file = |path: &str| std::fs::read_to_string(world.at(path)).unwrap();
        assert!(
            file("conf/outputs.json").contains(name) && file("conf/secrets.json").contains(&format!("webhook:{name}"))
        );
    }
    ends(&["output", "delete", "webhook:same", "--data", "conf"]);
    assert!(!std::fs::read_to_string(world.at("conf/secrets.json")).unwrap().contains("webhook:same"));
}

#[test]
fn alerts_are_shown_with_what_became_of_them_and_delivered_again() {
    let service = Service::start();
    let world = World::new().with_webhooks(&service, &["soc"], 100.0);
    world.write("in.json", rows(0..2));
    // It was down, and an operator gave one up.
    *service.failing.lock().unwrap() = 100;
    world.streamalert(&["run", "--input", "in.json", "--drain-seconds", "3"]);
    let listed = world.said(&["alerts", "list", "--to", "webhook", "--state", "owed"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let id = listed.split(' ').next().unwrap().to_owned();
    let shown = world.said(&["alerts", "show", &id]);
    assert!(shown.contains("  to        file:audit  delivered") && shown.contains("webhook:soc  owed"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&world.said(&["alerts", "show", &id, "--output", "json"])).unwrap();
    let states: Vec<&str> =
        json["deliveries"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["delivered", "owed"]);
    assert_eq!(json["merged_into"], serde_json::Value::Null);
    assert_eq!(world.said(&["alerts", "list", "--rule", "nobody"]), "");
    world.said(&["alerts", "drop", &id, "--to", "webhook"]);
    *service.failing.lock().unwrap() = 0;
    let before = service.accepted("/soc").len();
    world.said(&["alerts", "retry", "--to", "webhook:soc"]);
    world.said(&["run", "--input", "in.json"]);
    let accepted = service.accepted("/soc");
    assert!(
        accepted.len() > before && accepted[before..].iter().all(|(_, alert)| *alert != id),
        "dropped stays dropped"
    );
    assert_eq!(world.said(&["alerts", "list", "--state", "owed"]), "");
    assert_eq!(world.said(&["alerts", "list", "--state", "dropped"]).lines().count(), 1);
    assert!(!world.streamalert(&["alerts", "retry", "no such alert"]).status.success());
}

#[test]
fn a_test_delivers_for_real_only_when_it_is_told_to() {
    let service = Service::start();
    let world = World::new().with_webhooks(&service, &["soc"], 100.0);
    world.write("conf/clusters/local.json", r#"{"data_sources": {"file": {"*": ["test"]}}}"#);
    let case = |rule: &str| {
        format!(
            r#"[{{"description": "d", "service": "file", "source": "a", "log": "test:row", "trigger_rules": [{rule}], "data": {{"n": 1}}}}]"#
        )
    };
    world.write("cases/one.json", case("\"every_row\""));
    let test = |more: &[&str]| world.streamalert(&[&["test", "--plugins", "plugins"], more].concat());
    assert!(test(&[]).status.success());
    assert_eq!(service.accepted("/soc"), [], "nobody was asked to send anything");
    let live = test(&["--live", "webhook:soc"]);
    let said = String::from_utf8_lossy(&live.stdout).into_owned();
    assert!(live.status.success() && said.contains("webhook:soc  every_row"), "{said}");
    assert!(test(&["--live", "webhook:soc"]).status.success());
    let keys: BTreeSet<String> = service.accepted("/soc").into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), 2, "each test is a delivery of its own");
    *service.failing.lock().unwrap() = 100;
    assert_eq!(test(&["--live", "webhook:soc"]).status.code(), Some(1));
    assert_eq!(test(&["--live", "webhook:nobody"]).status.code(), Some(2));
    world.write("cases/one.json", case(""));
    let before = service.accepted("/soc").len();
    assert_eq!(test(&["--live", "webhook:soc"]).status.code(), Some(1));
    assert_eq!(service.accepted("/soc").len(), before, "a case that fails sends nothing");
}

#[test]
fn metrics_tell_of_deliveries() {
    let service = Service::start();
    let world = World::new().with_webhooks(&service, &["soc"], 1000.0);
    let mut run = world.start(&["run", "--http", "127.0.0.1:0"]);
    let address: SocketAddr = run.hear("listening on http://").rsplit('/').next().unwrap().parse().unwrap();
    post(address, rows(0..20).as_bytes()).unwrap();
    let metrics = || request(address, "GET", "/metrics", &[], b"").unwrap().body;
    let delivered = r#"streamalert_deliveries_delivered_total{output="webhook:soc"} 20"#;
    eventually("all are delivered", || metrics().contains(delivered));
    let text = metrics();
    for line in [
        r#"streamalert_delivery_wait_seconds_count{output="webhook:soc"} 20"#,
        r#"streamalert_deliveries_delivered_total{output="file:audit"} 20"#,
        "# TYPE streamalert_oldest_undelivered_alert_seconds gauge",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    *service.failing.lock().unwrap() = 100;
    post(address, rows(100..101).as_bytes()).unwrap();
    eventually("it is owed", || {
        let text = metrics();
        text.contains(r#"streamalert_deliveries_owed{output="webhook:soc"} 1"#)
            && text.contains(r#"streamalert_oldest_undelivered_alert_seconds{output="webhook:soc"}"#)
    });
    run.end();
}

/// Rows of so many groups.
fn grouped_rows(count: u64, groups: u64) -> String {
    (0..count).map(|n| format!("{{\"n\": {n}, \"group\": \"g{}\"}}\n", n % groups)).collect()
}

/// Of a file: what each merged alert says how many it is made of, by id; and whom they are made of.
fn merged_alerts(text: &str) -> (BTreeMap<String, u64>, BTreeSet<String>) {
    let (mut merged, mut members) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        // A line may be there twice, or cut off, when its run died.
        let Ok(alert) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let record = &alert["record"];
        merged.insert(alert["id"].as_str().unwrap().to_owned(), record["AlertCount"].as_u64().unwrap());
        members.extend(record["ValueDiffs"].as_object().unwrap().keys().cloned());
    }
    (merged, members)
}

#[test]
fn killed_while_merging_every_alert_is_part_of_one_merged_alert() {
    let (count, groups) = (20_000, 400);
    let mut dice = Dice::new();
    let world = World::new();
    world.write(
        "plugins/every_row.wasm",
        every_row_with(r#"{"outputs": ["file:merged"], "merge": {"by": ["group"], "minutes": 60, "max": 1000}}"#),
    );
    world.write("in.json", grouped_rows(count, groups));
    // The first run stores them all, and leaves them waiting.
    let stored = world.streamalert(&["run", "--input", "in.json", "--no-flush"]);
    let said = String::from_utf8_lossy(&stored.stderr).into_owned();
    assert!(stored.status.success() && said.contains("alerts that wait to be merged"), "{said}");
    assert!(!world.at("data/outputs/merged.jsonl").exists());
    world.write("nothing.json", "");
    let sqlite = rusqlite::Connection::open(world.at("data/alerts.sqlite")).unwrap();
    let waiting = || -> i64 {
        // Where a commit is just under way, a moment later.
        let count = || sqlite.query_row("SELECT count(*) FROM merge_members", [], |row| row.get(0));
        (0..100).find_map(|_| count().map_err(|_| std::thread::sleep(Duration::from_millis(5))).ok()).unwrap()
    };
    let mut progress = BTreeSet::new();
    for _ in 0..20 {
        let before = waiting();
        if before == 0 {
            break;
        }
        let run = world.start(&["run", "--input", "nothing.json"]);
        // However slow the machine is: some folds are done when it dies.
        let begun = Instant::now();
        while waiting() == before && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(dice.below(10_000)));
        run.kill();
        progress.insert(waiting());
    }
    assert!(progress.iter().any(|waiting| (1..count as i64).contains(waiting)), "killed among folds: {progress:?}");
    // What a killed run was just sending is its own until its lease ends.
    let begun = Instant::now();
    let (mut merged, mut members) = (BTreeMap::new(), BTreeSet::new());
    while merged.len() < groups as usize && begun.elapsed() < Duration::from_secs(120) {
        world.said(&["run", "--input", "nothing.json"]);
        (merged, members) = merged_alerts(&std::fs::read_to_string(world.at("data/outputs/merged.jsonl")).unwrap());
    }
    assert_eq!(merged.len() as u64, groups, "waiting after each kill: {progress:?}");
    assert_eq!(merged.values().sum::<u64>(), count);
    assert_eq!(members.len() as u64, count, "each is part of one");
}

/// Reports the first of its rows, for an output whose name is a word.
const TO_A_WORD: &str = r#"
    (local.set $n (call $findings (local.get $rows) (i32.const 1)))
    (local.set $at (i32.load (local.get $n)))
    (memory.fill (i32.const 20000) (i32.const 97) (i32.const 3))
    (i32.store (i32.const 21000) (i32.const 20000)) (i32.store (i32.const 21004) (i32.const 3))
    (i32.store offset=44 (local.get $at) (i32.const 21000)) (i32.store offset=48 (local.get $at) (i32.const 1))
    (local.get $n)"#;

#[test]
fn an_output_that_a_finding_makes_up_keeps_the_alert_from_no_other() {
    let world = World::new();
    let rule = Guest {
        rules: vec![("every_row", TO_A_WORD)],
        logs: "test:row",
        options: r#"{"outputs": ["file:audit"]}"#,
        ..Guest::default()
    };
    world.write("plugins/every_row.wasm", rule.build());
    world.write("in.json", rows(0..1));
    world.said(&RUN);
    let audit = std::fs::read_to_string(world.at("data/outputs/audit.jsonl")).unwrap();
    assert_eq!(audit.lines().count(), 1, "{audit}");
    let dead = world.said(&["alerts", "list", "--state", "dead"]);
    assert!(dead.contains("`aaa` is no output: write service:descriptor"), "{dead}");
    // Whoever tests the rule hears of it before.
    world.write(
        "cases/one.json",
        r#"[{"description": "a row", "log": "test:row", "service": "file", "source": "a", "data": {"n": 1}, "trigger_rules": ["every_row"]}]"#,
    );
    world.write("conf/clusters/local.json", r#"{"data_sources": {"file": {"*": ["test"]}}}"#);
    let tested = world.streamalert(&["test", "--plugins", "plugins"]);
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(said.contains("every_row sends its alert to no output") && !tested.status.success(), "{said}");
}
