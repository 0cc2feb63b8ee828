//! Connections are used again, and one that was closed meanwhile costs nothing.

use super::servers::answer;
use super::*;
use std::io::{BufReader, Write};
use std::sync::Arc;
use std::thread::{self, sleep};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let server = Server::new(|_| answer("200 OK", "", "fine"));
    let egress = Egress::new().unwrap();
    for _ in 0..20 {
        assert_eq!(ok(egress.send(&server.policy(), soon(), post(server.url("/"), b"x"))), (200, "fine".to_owned()));
    }
    assert_eq!((server.connections(), server.seen().len()), (1, 20));
}

#[test]
fn who_closes_is_called_anew() {
    // Closes after each answer, without a word about it.
    let server = Server::serving(|stream, _| {
        let mut reader = BufReader::new(stream);
        if servers::read(&mut reader).is_some() {
            let _ = reader.get_mut().write_all(&answer("200 OK", "", "fine"));
        }
    });
    let egress = Egress::new().unwrap();
    for _ in 0..10 {
        assert_eq!(ok(egress.send(&server.policy(), soon(), post(server.url("/"), b"x"))), (200, "fine".to_owned()));
        sleep(Duration::from_millis(20));
    }
    assert_eq!(server.connections(), 10);
}

#[test]
fn what_was_cut_is_not_used_again() {
    let server = Server::new(|_| answer("200 OK", "", &"x".repeat(200_000)));
    let egress = Egress::new().unwrap();
    let policy = Policy { response_bytes: 10, ..server.policy() };
    for _ in 0..3 {
        assert!(egress.send(&policy, soon(), get(server.url("/"))).unwrap().truncated);
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn an_answer_that_was_not_asked_for_is_nobodys() {
    // A second answer behind the first must not become that of the next request.
    let server = Server::serving(|stream, _| {
        let mut reader = BufReader::new(stream);
        while let Some(request) = servers::read(&mut reader) {
            let mut bytes = answer("200 OK", "", &request.line);
            bytes.extend(answer("200 OK", "", "forged"));
            if reader.get_mut().write_all(&bytes).is_err() {
                break;
            }
        }
    });
    let egress = Egress::new().unwrap();
    for number in 0..5 {
        let (_, body) = ok(egress.send(&server.policy(), soon(), get(server.url(&format!("/{number}")))));
        assert_eq!(body, format!("GET /{number} HTTP/1.1"));
    }
}

#[test]
fn many_threads_share_one_egress() {
    let server = Arc::new(Server::new(|seen| answer("200 OK", "", &seen.line)));
    let egress = Arc::new(Egress::new().unwrap());
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            let (server, egress) = (server.clone(), egress.clone());
            thread::spawn(move || {
                for number in 0..25 {
                    let answer = egress.send(&server.policy(), soon(), get(server.url(&format!("/{thread}/{number}"))));
                    assert_eq!(ok(answer).1, format!("GET /{thread}/{number} HTTP/1.1"));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(server.seen().len(), 400);
    assert!(server.connections() < 200, "{}", server.connections());
}

#[test]
fn a_connection_is_not_kept_for_long() {
    let server = Server::new(|_| answer("200 OK", "", ""));
    let egress = Egress::new().unwrap();
    egress.send(&server.policy(), soon(), get(server.url("/"))).unwrap();
    sleep(Duration::from_millis(4200));
    egress.send(&server.policy(), soon(), get(server.url("/"))).unwrap();
    assert_eq!(server.connections(), 2);
}
