use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SECRET: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

fn poller() -> Poller<Events> {
    Poller::new().with("url", "https://acme.onelogin.com").with("client_id", ID).with("client_secret", SECRET)
}

fn token() -> Value {
    json!({"access_token": "t0ken", "created_at": "2026-01-02T12:00:00.000Z", "expires_in": 36000, "token_type": "bearer"})
}

fn events(ids: &[u64], after: Value) -> Value {
    let events: Vec<Value> = ids.iter().map(|id| json!({"id": id, "event_type_id": 5})).collect();
    json!({"status": {"error": false, "code": 200, "type": "success", "message": "Success"},
        "pagination": {"before_cursor": null, "after_cursor": after, "previous_link": null, "next_link": null}, "data": events})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("id")).collect()
}

#[test]
fn one_token_does_for_some_pages_and_late_events_come_with_the_next_round() {
    let http = FakeHttp::new()
        .json(200, token())
        .json(200, events(&[4, 3], json!("cGFnZTI=")))
        // One has come on top meanwhile.
        .json(200, events(&[3, 2], json!("cGFnZTM=")))
        .json(200, events(&[1], Value::Null))
        .json(200, token())
        .json(200, events(&[6, 5, 4, 3, 2, 1], Value::Null));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["4", "3", "2", "1"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["6", "5"]);
    let requests = http.requests();
    assert_eq!(
        (requests[0].method, requests[0].url.as_str()),
        ("POST", "https://acme.onelogin.com/auth/oauth2/v2/token")
    );
    assert_eq!(requests[0].body_json(), json!({"grant_type": "client_credentials"}));
    assert!(requests[0].header_value("authorization").unwrap().starts_with("Basic "));
    let url = "https://acme.onelogin.com/api/1/events?since=2026-01-02T11%3A00%3A00.000Z&until=2026-01-02T12%3A00%3A01.000Z&limit=1000";
    assert_eq!((requests[1].url.as_str(), requests[1].header_value("authorization")), (url, Some("bearer:t0ken")));
    assert_eq!(requests[2].url, format!("{url}&after_cursor=cGFnZTI%3D"));
    assert!(requests[5].url.contains("since=2026-01-02T11%3A30%3A00.000Z"));
}

#[test]
fn a_cursor_is_found_in_the_link_too() {
    let mut first = events(&[1], Value::Null);
    first["pagination"]["next_link"] = "https://acme.onelogin.com/api/1/events?limit=1&after_cursor=abc%3D".into();
    let http = FakeHttp::new().json(200, token()).json(200, first).json(200, events(&[2], json!("")));
    assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["1", "2"]);
    assert!(http.requests()[2].url.ends_with("&after_cursor=abc%3D"));
}

#[test]
fn pages_before_a_limit_are_handed_on_and_the_next_one_is_asked_for_later() {
    let http = FakeHttp::new()
        .json(200, token())
        .json(200, events(&[1], json!("p2")))
        .json(429, json!({}))
        .header("X-RateLimit-Reset", "120")
        .json(200, token())
        .json(200, events(&[2], Value::Null));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["1"]);
    assert_eq!((poller.more(), poller.wait()), (true, Some(120)));
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["2"]);
    assert!(http.requests()[4].url.ends_with("&after_cursor=p2"));
}

#[test]
fn a_limit_is_told_in_several_ways() {
    let limited = || retry("OneLogin's limit of requests is reached");
    let exceeded =
        json!({"status": {"error": true, "code": 400, "type": "bad request", "message": "rate limit exceeded"}});
    let http = FakeHttp::new()
        .json(200, token())
        .json(400, exceeded.clone())
        .json(200, json!({"data": {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 0, "X-RateLimit-Reset": 1834}}))
        .json(200, token())
        .json(400, exceeded)
        .answer(503, "")
        .json(429, json!({}));
    let mut poller = poller();
    assert_eq!(poller.poll(&http), Err(limited().after(1834)));
    assert_eq!(http.requests()[2].url, "https://acme.onelogin.com/auth/rate_limit");
    assert_eq!(poller.poll(&http), Err(limited().after(600)));
    assert_eq!(poller.poll(&http), Err(limited().after(600)));
}

#[test]
fn what_is_refused_says_what_to_do_and_no_secret() {
    let failure = |code: u16| json!({"status": {"error": true, "code": code, "type": "Unauthorized", "message": "Authentication Failure"}});
    let http = FakeHttp::new()
        .json(401, failure(401))
        .json(200, failure(401))
        .json(200, token())
        .json(403, failure(403))
        .json(200, token())
        .answer(500, "")
        .json(200, token())
        .json(200, failure(503));
    let mut poller = poller();
    for expected in ["make new API credentials", "make new API credentials", "`Read All`"] {
        let stop = poller.poll(&http).unwrap_err();
        assert!(
            matches!(&stop, Stop::Reject(reason) if reason.contains(expected) && !reason.contains(SECRET)),
            "{stop:?}"
        );
    }
    for _ in 0..2 {
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
    }
}

#[test]
fn settings_are_checked_without_showing_them() {
    let settings =
        Settings::new().with("url", "acme.onelogin.com").with("client_id", ID).with("client_secret", "short");
    assert_eq!(validate::<Events>(&settings), [Fault::new("client_secret", "is 64 letters and digits")]);
    assert_eq!(validate::<Events>(&settings.with("client_secret", SECRET)), []);
}
