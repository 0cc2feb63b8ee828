//! What services say, and how long they take.

use super::servers::answer;
use super::*;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::thread::sleep;

const SOON: Duration = Duration::from_millis(600);

#[test]
fn a_request_arrives_as_it_was_asked_for() {
    let server = Server::new(|_| answer("201 Created", "X-Id: 1\r\nx-id: 2\r\n", "made"));
    let mut request = post(server.url("/hook?a=b%20c#part"), b"{\"x\": 1}");
    request = with(with(request, "Content-Type", "application/json"), "X-Key", "a");
    let response = send(&server.policy(), with(request, "x-key", "b")).unwrap();
    assert_eq!((response.status, response.body.as_slice(), response.truncated), (201, &b"made"[..], false));
    let ids: Vec<_> = response.headers.iter().filter(|(name, _)| name == "x-id").map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);

    let seen = &server.seen()[0];
    assert_eq!(seen.line, "POST /hook?a=b%20c HTTP/1.1");
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("content-length"), Some("8"));
    assert_eq!((seen.body.as_slice(), seen.header("content-type")), (&b"{\"x\": 1}"[..], Some("application/json")));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name == "x-key").count(), 2);
    assert!(seen.header("user-agent").unwrap().starts_with("StreamAlert/"));
    // What is compressed could be a bomb: nobody is asked to.
    assert_eq!(seen.header("accept-encoding"), None);
}

#[test]
fn every_method_and_any_status() {
    let server = Server::new(|seen| match seen.line.starts_with("HEAD") {
        true => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_vec(),
        false => answer("418 Teapot", "", &seen.line),
    });
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let answer = send(&server.policy(), HttpRequest { method: method.into(), ..get(server.url("/")) });
        assert_eq!(ok(answer), (418, format!("{method} / HTTP/1.1")));
    }
    let head = send(&server.policy(), HttpRequest { method: "HEAD".into(), ..get(server.url("/")) });
    assert_eq!(ok(head), (200, String::new()));
    assert_eq!(server.seen()[1].header("content-length"), Some("0"));
}

#[test]
fn answers_come_in_chunks_or_until_the_end_or_after_others() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let to_end = "HTTP/1.0 200 OK\r\n\r\nabcde";
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabcde";
    for text in [chunked, to_end, early] {
        let server = Server::serving(move |stream, _| {
            let mut reader = BufReader::new(stream);
            servers::read(&mut reader);
            reader.get_mut().write_all(text.as_bytes()).unwrap();
        });
        assert_eq!(ok(send(&server.policy(), get(server.url("/")))), (200, "abcde".to_owned()), "{text}");
    }
}

#[test]
fn a_body_is_cut_where_the_policy_says() {
    let server = Server::new(|_| answer("200 OK", "", &"x".repeat(100_000)));
    let cut = send(&Policy { response_bytes: 1000, ..server.policy() }, get(server.url("/"))).unwrap();
    assert_eq!((cut.body.len(), cut.truncated), (1000, true));
    let exact = send(&Policy { response_bytes: 100_000, ..server.policy() }, get(server.url("/"))).unwrap();
    assert_eq!((exact.body.len(), exact.truncated), (100_000, false));
    let none = send(&Policy { response_bytes: 0, ..server.policy() }, get(server.url("/"))).unwrap();
    assert_eq!((none.body.len(), none.truncated), (0, true));
}

#[test]
fn an_endless_body_ends_at_the_limit() {
    let server = Server::serving(|stream, _| {
        let mut reader = BufReader::new(stream);
        servers::read(&mut reader);
        let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while reader.get_mut().write_all(&[b'x'; 4096]).is_ok() {}
    });
    let response = send(&server.policy(), get(server.url("/"))).unwrap();
    assert_eq!((response.body.len(), response.truncated), (1 << 20, true));
}

#[test]
fn who_is_slow_runs_out_of_time() {
    // Never answers; answers a byte at a time, first in the headers, then in the body.
    let scripts: [&'static [u8]; 3] = [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"];
    for script in scripts {
        let server = Server::serving(move |stream, _| {
            let mut reader = BufReader::new(stream);
            servers::read(&mut reader);
            let _ = reader.get_mut().write_all(script);
            while script.is_empty() || reader.get_mut().write_all(b"x").is_ok() {
                sleep(Duration::from_millis(50));
            }
        });
        let started = Instant::now();
        let answer = Egress::new().unwrap().send(&server.policy(), started + SOON, get(server.url("/s3cret?s3cret")));
        failed(answer, HttpFailureKind::Timeout, true, "no answer from 127.0.0.1 within the time for the delivery");
        assert!((SOON..SOON * 3).contains(&started.elapsed()), "{:?}", started.elapsed());
    }
}

#[test]
fn the_time_limit_of_the_policy_counts_too() {
    let server = Server::serving(|_stream, _| sleep(Duration::from_secs(10)));
    let policy = Policy { time_limit: SOON, ..server.policy() };
    failed(send(&policy, get(server.url("/"))), HttpFailureKind::Timeout, true, "no answer");
    let late = Egress::new().unwrap().send(&server.policy(), Instant::now() - SOON, get(server.url("/")));
    failed(late, HttpFailureKind::Timeout, false, "no answer");
    assert_eq!(server.connections(), 1);
}

#[test]
fn who_does_not_read_runs_out_of_time() {
    let server = Server::serving(|_stream, _| sleep(Duration::from_secs(10)));
    let policy = Policy { time_limit: SOON, ..server.policy() };
    failed(send(&policy, post(server.url("/"), &vec![0; 8 << 20])), HttpFailureKind::Timeout, true, "no answer");
}

#[test]
fn who_breaks_off_may_have_seen_the_request() {
    let cases: [(&'static [u8], &str); 5] = [
        (b"", "closed the connection before its answer was complete"),
        (b"HTTP/1.1 200 OK\r\nconte", "closed the connection before its answer was complete"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", ""),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "answered with something that is no HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc",
            "answered with something that is no HTTP",
        ),
    ];
    for (bytes, message) in cases {
        let server = Server::serving(move |stream, _| {
            let mut reader = BufReader::new(stream);
            servers::read(&mut reader);
            let _ = reader.get_mut().write_all(bytes);
        });
        failed(send(&server.policy(), get(server.url("/s3cret"))), HttpFailureKind::Broken, true, message);
    }
}

#[test]
fn headers_have_a_limit() {
    let server = Server::new(|_| answer("200 OK", &format!("x: {}\r\n", "y".repeat(500_000)), ""));
    failed(send(&server.policy(), get(server.url("/"))), HttpFailureKind::Broken, true, "headers that are too large");
    let server = Server::new(|_| answer("200 OK", &"x: y\r\n".repeat(5000), ""));
    failed(send(&server.policy(), get(server.url("/"))), HttpFailureKind::Broken, true, "headers that are too large");
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let policy = policy(&[&format!("http://{address}"), "nowhere.invalid"]);
    let refused = send(&policy, get(format!("http://{address}/s3cret")));
    failed(refused, HttpFailureKind::Unreachable, false, "connect to 127.0.0.1: connection refused");
    failed(
        send(&policy, get("https://nowhere.invalid/s3cret")),
        HttpFailureKind::Unreachable,
        false,
        "nowhere.invalid has no address",
    );
}

#[test]
fn what_is_not_permitted_is_not_even_tried() {
    let server = Server::new(|_| answer("200 OK", "", ""));
    let other = policy(&["http://127.0.0.2", "http://localhost"]);
    failed(send(&other, get(server.url("/s3cret"))), HttpFailureKind::Forbidden, false, "is not permitted");
    let forged = with(get(server.url("/")), "X", "a\r\nGET /s3cret HTTP/1.1");
    failed(send(&server.policy(), forged), HttpFailureKind::Forbidden, false, "holds control characters");
    let smuggled = with(post(server.url("/"), b"abc"), "Transfer-Encoding", "chunked");
    failed(
        send(&server.policy(), smuggled),
        HttpFailureKind::Forbidden,
        false,
        "transfer-encoding is the host's to set",
    );
    let large = Policy { request_bytes: 10, ..server.policy() };
    failed(send(&large, post(server.url("/"), &[0; 11])), HttpFailureKind::Forbidden, false, "a body of 11 bytes");
    assert_eq!(server.connections(), 0);
}

#[test]
fn it_can_be_called_from_within_another_runtime() {
    let server = Server::new(|_| answer("200 OK", "", "fine"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(async { send(&server.policy(), get(server.url("/"))) });
    assert_eq!(ok(answer), (200, "fine".to_owned()));
}
