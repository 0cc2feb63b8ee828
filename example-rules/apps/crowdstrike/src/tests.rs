use super::*;

const SECRET: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCD";

fn poller() -> Poller<Alerts> {
    poller_of()
}

fn poller_of<A: App>() -> Poller<A> {
    Poller::new()
        .with("url", "https://api.eu-1.crowdstrike.com")
        .with("client_id", "0123456789abcdef0123456789abcdef")
        .with("client_secret", SECRET)
}

fn token() -> Value {
    json!({"access_token": "t0ken", "expires_in": 1799, "token_type": "bearer"})
}

fn alerts(alerts: &[(&str, &str)], after: Value) -> Value {
    let alerts: Vec<Value> =
        alerts.iter().map(|(id, at)| json!({"composite_id": id, "updated_timestamp": at})).collect();
    json!({"meta": {"query_time": 0.1, "pagination": {"total": 9, "limit": 200, "after": after}, "trace_id": "t"},
        "errors": [], "resources": alerts})
}

fn failure(code: u16, message: &str) -> Value {
    json!({"meta": {"trace_id": "t"}, "errors": [{"code": code, "message": message}], "resources": []})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("composite_id")).collect()
}

#[test]
fn alerts_and_their_changes_come_once_each() {
    let http = FakeHttp::new()
        .json(201, token())
        .json(200, alerts(&[("a", "1"), ("b", "2")], json!("YWZ0ZXI=")))
        .json(200, alerts(&[("c", "3")], Value::Null))
        .json(201, token())
        .json(200, alerts(&[("late", "1"), ("b", "2"), ("a", "4")], json!("")));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b", "c"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["late", "a"]);
    let requests = http.requests();
    assert_eq!(requests[0].url, "https://api.eu-1.crowdstrike.com/oauth2/token");
    assert_eq!(requests[0].body_form()[1], ("client_secret".into(), SECRET.into()));
    assert_eq!(requests[1].url, "https://api.eu-1.crowdstrike.com/alerts/combined/alerts/v1");
    assert_eq!(requests[1].header_value("authorization"), Some("Bearer t0ken"));
    let filter = "updated_timestamp:>='2026-01-02T11:00:00Z'+updated_timestamp:<='2026-01-02T12:00:00Z'";
    assert_eq!(requests[1].body_json(), json!({"filter": filter, "sort": "updated_timestamp|asc", "limit": 200}));
    assert_eq!(
        (&requests[2].body_json()["after"], &requests[2].body_json()["filter"]),
        (&json!("YWZ0ZXI="), &json!(filter))
    );
    assert!(
        requests[4].body_json()["filter"].as_str().unwrap().starts_with("updated_timestamp:>='2026-01-02T11:30:00Z'")
    );
}

#[test]
fn a_child_and_a_filter_are_asked_for() {
    let http = FakeHttp::new().json(201, token()).json(200, alerts(&[], json!("x")));
    let mut poller = poller().with("member_cid", "0123abcd").with("filter", "product:'epp',product:'idp'");
    assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
    assert!(http.requests()[0].body_text().ends_with("&member_cid=0123abcd"));
    assert!(http.requests()[1].body_json()["filter"].as_str().unwrap().ends_with("+(product:'epp',product:'idp')"));
}

#[test]
fn limits_are_waited_for_by_crowdstrikes_header_and_what_is_there_is_handed_on() {
    let limited = || retry("CrowdStrike's limit of requests is reached");
    let http = FakeHttp::new()
        .json(429, failure(429, "API rate limit exceeded."))
        .header("X-RateLimit-RetryAfter", "1767352230")
        .header("Date", "Fri, 02 Jan 2026 11:10:00 GMT")
        .json(201, token())
        .json(429, failure(429, "API rate limit exceeded."))
        .json(201, token())
        .json(200, alerts(&[("a", "1")], json!("p2")))
        .answer(503, "")
        .json(201, token())
        .json(200, alerts(&[("b", "1")], Value::Null));
    let mut poller = poller();
    assert_eq!(poller.poll(&http), Err(limited().after(30)));
    assert_eq!(poller.poll(&http), Err(limited().after(60)));
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["a"]);
    assert!(poller.more());
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["b"]);
    assert_eq!(http.requests()[7].body_json()["after"], "p2");
}

#[test]
fn what_is_refused_says_what_to_do_and_no_secret() {
    let http = FakeHttp::new()
        .json(401, failure(401, "access denied, invalid client"))
        .answer(308, "")
        .header("X-Cs-Region", "us-2")
        .json(400, failure(400, "Failed to generate access token for clientID=…"))
        .json(201, token())
        .json(403, failure(403, "access denied, authorization failed"))
        .json(201, token())
        .json(400, failure(400, "invalid filter"))
        .json(201, token())
        .json(200, failure(500, "Internal Server Error"));
    let mut poller = poller();
    for expected in ["`url` that of", "us-2", "those of an API client", "`Alerts: Read`", "invalid filter"] {
        let stop = poller.poll(&http).unwrap_err();
        assert!(
            matches!(&stop, Stop::Reject(reason) if reason.contains(expected) && !reason.contains(SECRET)),
            "{stop:?}"
        );
    }
    assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
}

#[test]
fn a_token_that_is_gone_begins_the_round_again() {
    let http = FakeHttp::new()
        .json(201, token())
        .json(200, alerts(&[("a", "1")], json!("gone")))
        .json(400, failure(400, "invalid after token"))
        .json(201, token())
        .json(200, alerts(&[("a", "1"), ("b", "2")], Value::Null));
    assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["a", "b"]);
}

#[test]
fn settings_are_checked_without_showing_them() {
    let settings = poller().settings().clone();
    assert_eq!(validate::<Alerts>(&settings), []);
    let faults = validate::<Alerts>(&settings.with("client_id", "client").with("client_secret", "s3cret"));
    assert_eq!(
        faults,
        [Fault::new("client_id", "is 32 hexadecimal digits"), Fault::new("client_secret", "is 40 letters and digits")]
    );
}

fn sessions(sessions: &[(&str, u64)], total: u64) -> Value {
    let sessions: Vec<Value> =
        sessions.iter().map(|(id, duration)| json!({"composite_id": id, "duration": duration})).collect();
    json!({"meta": {"pagination": {"offset": 0, "limit": 200, "total": total}}, "errors": [], "resources": sessions})
}

#[test]
fn sessions_come_again_when_something_was_done_in_them() {
    let http = FakeHttp::new()
        .json(201, token())
        .json(200, sessions(&[("a", 1), ("b", 1)], 3))
        .json(201, token())
        .json(200, sessions(&[("c", 1)], 3))
        .json(201, token())
        .json(200, sessions(&[("a", 1), ("b", 60), ("c", 1), ("d", 1)], 4));
    let mut poller = poller_of::<Sessions>();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b", "c"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["b", "d"]);
    let of = |number: usize, name: &str| query_of(&http.requests()[number].url, name).unwrap_or_default();
    assert!(
        http.requests()[1]
            .url
            .starts_with("https://api.eu-1.crowdstrike.com/real-time-response-audit/combined/sessions/v1?")
    );
    assert_eq!(of(1, "filter"), "created_at:>='2026-01-02T11:00:00Z'+created_at:<='2026-01-02T12:00:00Z'");
    assert_eq!((of(1, "offset"), of(3, "offset"), of(3, "sort")), ("0".into(), "2".into(), "created_at|asc".into()));
    assert_eq!(of(1, "with_command_info"), "true");
}

#[test]
fn sessions_need_a_scope_of_their_own() {
    let http = FakeHttp::new().json(201, token()).json(403, failure(403, "access denied, authorization failed"));
    let stop = poller_of::<Sessions>().poll(&http).unwrap_err();
    assert!(matches!(&stop, Stop::Reject(reason) if reason.contains("`Real time response (audit): Read`")), "{stop:?}");
}
