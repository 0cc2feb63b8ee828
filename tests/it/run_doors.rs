//! `streamalert run` with an inbox and with HTTP: what is acknowledged is stored, whatever happens to the process.

use crate::run_world::{Dice, PATIENCE, World, eventually, post, request, rows};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_lies_in_the_inbox_and_what_comes_is_taken_and_moved_when_it_is_stored() {
    let world = World::new();
    world.write("inbox/there.json", rows(0..10));
    world.write("inbox/.uploading", "not yet");
    world.write("inbox/sub/gz", gzip(rows(10..20).as_bytes()));
    let mut run = world.start(&["run", "--watch", "inbox"]);
    run.hear("watching");
    world.write("outside.json", rows(20..30));
    std::fs::rename(world.at("outside.json"), world.at("inbox/moved.json")).unwrap();
    // Written slowly, in pieces that end within a line.
    let mut slow = std::fs::File::create(world.at("inbox/slow.json")).unwrap();
    for piece in rows(30..40).as_bytes().chunks(11) {
        slow.write_all(piece).unwrap();
        slow.sync_all().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(slow);
    for done in ["there.json", "sub/gz", "moved.json", "slow.json"] {
        eventually(done, || world.at("inbox/done").join(done).exists());
        assert!(!world.at("inbox").join(done).exists());
    }
    assert_eq!(world.alerted(), (0..40).collect::<Vec<_>>());
    assert!(world.dead().is_empty());
    // The same name again: nothing is overwritten, and only new content raises anything.
    world.write("inbox/there.json", rows(0..11));
    eventually("a second one of that name", || world.at("inbox/done/there.json.1").exists());
    assert_eq!(world.alerted().len(), 41);
    let said = run.end();
    assert!(said.contains("and 10 known already"), "{said}");
    assert!(world.at("inbox/.uploading").exists());
}

/// The inbox is fed, the process is killed at any moment and started again: in the end all is as if nothing had happened.
#[test]
fn killed_at_any_moment_the_inbox_ends_as_if_undisturbed() {
    let mut dice = Dice::new();
    let world = World::new();
    let files = 150;
    let content = |file: u64| {
        let mut text = rows(file * 1_000..file * 1_000 + 100);
        text.push_str(&format!("broken {file}\n{{\"unknown\": {file}}}\n"));
        text
    };
    for file in 0..files {
        world.write(&format!("inbox/{file}.json"), content(file));
    }
    let mut kills = Vec::new();
    for _ in 0..8 {
        let mut run = world.start(&["run", "--watch", "inbox", "--alerts-file", "all.jsonl"]);
        run.hear("watching");
        let wait = dice.below(40);
        std::thread::sleep(Duration::from_millis(wait));
        run.kill();
        kills.push(wait);
        // What was moved is acknowledged: all of it must be there already.
        let stored: BTreeSet<u64> = world.alerted().into_iter().collect();
        let dead = world.dead();
        for file in (0..files).filter(|file| world.at(&format!("inbox/done/{file}.json")).exists()) {
            assert!(
                (file * 1_000..file * 1_000 + 100).all(|n| stored.contains(&n)),
                "file {file}, killed at {kills:?}"
            );
            let object = format!("/inbox/{file}.json");
            assert_eq!(dead.iter().filter(|letter| letter.source.object.ends_with(&object)).count(), 2, "{file}");
        }
    }
    let mut run = world.start(&["run", "--watch", "inbox", "--alerts-file", "all.jsonl"]);
    run.hear("watching");
    for file in 0..files {
        eventually("all files are done", || world.at(&format!("inbox/done/{file}.json")).exists());
    }
    run.end();
    let expected: Vec<u64> = (0..files).flat_map(|file| file * 1_000..file * 1_000 + 100).collect();
    assert_eq!(world.alerted(), expected, "killed at {kills:?}");
    assert_eq!(world.dead().len(), 2 * files as usize, "killed at {kills:?}");
    // The file output has every alert; dying in between may repeat a line, and may cut one off.
    let lines = std::fs::read_to_string(world.at("all.jsonl")).unwrap();
    let id = |line: &str| Some(serde_json::from_str::<serde_json::Value>(line).ok()?["id"].as_str()?.to_owned());
    assert_eq!(lines.lines().filter_map(id).collect::<BTreeSet<_>>(), world.alert_ids(), "killed at {kills:?}");
}

/// Requests are posted while the process is killed again and again: what was answered with 200 is stored.
#[test]
fn killed_at_any_moment_http_has_stored_what_it_answered() {
    let mut dice = Dice::new();
    let world = World::new();
    let mut acknowledged = BTreeSet::new();
    let mut next = 0;
    for _ in 0..6 {
        let mut run = world.start(&["run", "--http", "0"]);
        let address = run.address();
        let killing = std::thread::spawn({
            let wait = Duration::from_millis(50 + dice.below(300));
            move || {
                std::thread::sleep(wait);
                run.kill();
            }
        });
        loop {
            let body = rows(next..next + 20) + &format!("broken {next}\n");
            let answer = post(address, body.as_bytes());
            next += 20;
            match answer {
                Ok(answer) if answer.status == 200 => {
                    assert_eq!(answer.json()["records"], 21, "{answer:?}");
                    acknowledged.insert(next - 20);
                }
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => break,
            }
        }
        killing.join().unwrap();
        let stored: BTreeSet<u64> = world.alerted().into_iter().collect();
        let dead: BTreeSet<String> =
            world.dead().iter().map(|letter| String::from_utf8(letter.input.bytes()).unwrap()).collect();
        for from in &acknowledged {
            assert!((*from..from + 20).all(|n| stored.contains(&n)), "request {from} was acknowledged");
            assert!(dead.contains(&format!("broken {from}")), "request {from} was acknowledged");
        }
    }
    assert!(!acknowledged.is_empty());
    assert_eq!(world.alerted().len(), world.alerted().into_iter().collect::<BTreeSet<_>>().len(), "none twice");
}

#[test]
fn http_answers_for_what_became_of_the_records() {
    let world = World::new();
    let mut run = world.start(&["run", "--http", "127.0.0.1:0"]);
    let address = run.address();
    let body = rows(0..3) + "broken\n";
    let answer = post(address, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    let became = answer.json();
    assert_eq!((&became["records"], &became["classified"], &became["dead"]), (&4.into(), &3.into(), &1.into()));
    assert_eq!((&became["alerts"], &became["known_alerts"]), (&3.into(), &0.into()));
    // Answered means stored: no waiting here.
    assert_eq!((world.alerted(), world.dead().len()), (vec![0, 1, 2], 1));
    assert_eq!(world.alerts()[0].source.service, "http");
    assert_eq!(world.alerts()[0].source.resource, "/v1/logs");

    let again = post(address, body.as_bytes()).unwrap().json();
    assert_eq!((&again["alerts"], &again["known_alerts"]), (&0.into(), &3.into()), "the same body is the same input");
    let keyed = |key: &str| {
        let answer = request(address, "POST", "/v1/logs", &[("Idempotency-Key", key)], rows(0..3).as_bytes());
        answer.unwrap().json()["alerts"].clone()
    };
    assert_eq!((keyed("one"), keyed("one"), keyed("two")), (3.into(), 0.into(), 3.into()));

    let packed = gzip(rows(10..12).as_bytes());
    let declared = request(address, "POST", "/", &[("Content-Encoding", "gzip")], &packed).unwrap();
    assert_eq!(declared.json()["alerts"], 2);
    assert_eq!(post(address, &gzip(rows(12..14).as_bytes())).unwrap().json()["alerts"], 2, "recognised by content");
    assert_eq!(post(address, br#"{"n": 20}"#).unwrap().json()["alerts"], 1);
    let empty = post(address, b"").unwrap();
    assert_eq!((empty.status, &empty.json()["skipped"]["empty_object"]), (200, &1.into()));

    let status = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        request(address, method, path, headers, body).unwrap().status
    };
    assert_eq!(status("POST", "/v1/logs", &[("Content-Encoding", "br")], b"x"), 415);
    assert_eq!(status("POST", "/v1/logs", &[("Content-Encoding", "gzip")], b"{}"), 400);
    assert_eq!(status("POST", "/v1/logs", &[("Idempotency-Key", "")], b"{}"), 400);
    assert_eq!(status("POST", "/v1/logs", &[], &vec![b'x'; (32 << 20) + 1]), 413);
    let bomb = gzip(&vec![b' '; 300 << 20]);
    assert_eq!(status("POST", "/v1/logs", &[], &bomb), 413);
    assert_eq!(status("GET", "/healthz", &[], b""), 200);
    assert_eq!(status("GET", "/v1/logs", &[], b""), 405);
    assert_eq!(status("GET", "/nowhere", &[], b""), 404);
    let metrics = request(address, "GET", "/metrics", &[], b"").unwrap();
    assert!(metrics.headers.contains("content-type: text/plain"));
    assert!(metrics.body.contains("streamalert_rule_alerts_total{rule=\"every_row\"} "), "{}", metrics.body);
    run.end();
}

#[test]
fn sigterm_drains() {
    let world = World::new();
    world.write("inbox/big.json", rows(0..20_000));
    let mut run = world.start(&["run", "--http", "0", "--watch", "inbox"]);
    let address = run.address();
    // A request whose body is still on its way, and a connection that says nothing.
    let body = rows(50_000..50_100);
    let mut slow = TcpStream::connect(address).unwrap();
    let _silent = TcpStream::connect(address).unwrap();
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(&body.as_bytes()[..10]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    run.terminate();
    run.hear("stopping");
    std::thread::sleep(Duration::from_millis(200));
    slow.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "what was taken is answered: {answer}");
    let status = run.wait();
    assert_eq!(status.code(), Some(0), "{}", run.said());
    let stored: BTreeSet<u64> = world.alerted().into_iter().collect();
    assert!((50_000..50_100).all(|n| stored.contains(&n)));
    if world.at("inbox/done/big.json").exists() {
        assert!((0..20_000).all(|n| stored.contains(&n)));
    }
    assert!(post(address, b"").is_err(), "nobody listens any more");
}

#[test]
fn a_pipe_that_says_nothing_does_not_hold_the_end() {
    let world = World::new();
    let mut child = world
        .command(&["run", "--input", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(rows(0..5).as_bytes()).unwrap();
    // Judged at once, though the pipe stays open.
    eventually("the table is there", || world.at("data/alerts.sqlite").exists());
    eventually("alerts of a pipe that is open", || world.alerted().len() == 5);
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    eventually("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
