//! Each hop is checked like the first.

use super::servers::answer;
use super::*;

/// Redirects to what stands behind `?to=`; anything else is the end.
fn redirecting(status: &'static str) -> Server {
    Server::new(move |seen| match seen.line.split_once("to=") {
        Some((_, rest)) => {
            let location = rest.split(' ').next().unwrap().to_owned();
            answer(status, &format!("location: {location}\r\n"), "moved")
        }
        None => answer("200 OK", "", "here"),
    })
}

#[test]
fn who_reads_follows_all_and_who_writes_those_that_keep_the_body() {
    for (status, reads, writes) in [
        ("301 Moved Permanently", true, false),
        ("302 Found", true, false),
        ("303 See Other", true, false),
        ("307 Temporary Redirect", true, true),
        ("308 Permanent Redirect", true, true),
        ("300 Multiple Choices", false, false),
        ("304 Not Modified", false, false),
    ] {
        let server = redirecting(status);
        let code: u16 = status[..3].parse().unwrap();
        let expected = |followed: bool| if followed { 200 } else { code };
        let read = send(&server.policy(), get(server.url("/a?to=/b"))).unwrap();
        assert_eq!(read.status, expected(reads), "{status}");
        let written = send(&server.policy(), post(server.url("/a?to=/b"), b"body")).unwrap();
        assert_eq!(written.status, expected(writes), "{status}");
        if writes {
            let last = server.seen().pop().unwrap();
            assert_eq!((last.line.as_str(), last.body.as_slice()), ("POST /b HTTP/1.1", &b"body"[..]));
        }
    }
}

#[test]
fn a_target_that_is_not_permitted_is_not_followed() {
    let inner = Server::new(|_| answer("200 OK", "", "s3cret of the inner network"));
    let outer = redirecting("307 Temporary Redirect");
    let (inner_url, port) = (inner.url("/"), inner.address.port());
    for target in [
        inner_url.clone(),
        format!("http://localhost:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        format!("http://user:pass@{}/", outer.address),
        "http://".to_owned(),
    ] {
        let answer = send(&outer.policy(), get(outer.url(&format!("/?to={target}"))));
        assert_eq!(ok(answer), (307, "moved".to_owned()), "{target}");
    }
    assert_eq!(inner.connections(), 0);

    let both = policy(&[&format!("http://{}", outer.address), &format!("http://{}", inner.address)]);
    assert_eq!(send(&both, get(outer.url(&format!("/?to={inner_url}")))).unwrap().status, 200);
}

#[test]
fn nobody_is_led_around_in_circles() {
    let server = Server::new(|_| answer("302 Found", "location: /again\r\n", "moved"));
    assert_eq!(ok(send(&server.policy(), get(server.url("/")))), (302, "moved".to_owned()));
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn credentials_stay_with_the_host_they_are_for() {
    let there = Server::new(|_| answer("200 OK", "", ""));
    let here = redirecting("307 Temporary Redirect");
    let both = policy(&[&format!("http://{}", here.address), &format!("http://{}", there.address)]);
    let credentials =
        |request| with(with(with(request, "Authorization", "Bearer s3cret"), "Cookie", "s=1"), "X-Api-Key", "s3cret");
    let credentials = |request| with(with(credentials(request), "Accept", "text/csv"), "Content-Type", "text/plain");

    send(&both, credentials(post(here.url(&format!("/?to={}", there.url("/"))), b"x"))).unwrap();
    let seen = &there.seen()[0];
    let headers = ["authorization", "cookie", "x-api-key", "accept", "content-type"];
    let all = [Some("Bearer s3cret"), Some("s=1"), Some("s3cret"), Some("text/csv"), Some("text/plain")];
    assert_eq!(headers.map(|name| seen.header(name)), [None, None, None, all[3], all[4]]);
    assert_eq!(seen.header("host"), Some(there.address.to_string().as_str()));

    send(&both, credentials(post(here.url("/?to=/end"), b"x"))).unwrap();
    let seen = here.seen().pop().unwrap();
    assert_eq!(headers.map(|name| seen.header(name)), all);
}

#[test]
fn odd_locations_are_no_targets() {
    for location in ["/a b", "\\\\127.0.0.1\\", "/\u{7f}", ""] {
        let server = Server::new(move |_| answer("302 Found", &format!("location: {location}\r\n"), "moved"));
        let found = send(&server.policy(), get(server.url("/")));
        assert!(found.is_err() || found.unwrap().status == 302, "{location:?}");
    }
}
