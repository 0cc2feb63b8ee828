use super::*;

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJ4In0.c2lnbmF0dXJl";

fn poller<A: App>() -> Poller<A> {
    Poller::new().with("url", "https://events.1password.eu/").with("token", TOKEN)
}

fn items(ids: &[&str], cursor: &str, more: bool) -> Value {
    let items: Vec<Value> = ids.iter().map(|id| json!({"uuid": id, "timestamp": "2026-01-02T11:30:00Z"})).collect();
    json!({"cursor": cursor, "has_more": more, "items": items})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("uuid")).collect()
}

#[test]
fn it_goes_on_where_the_service_says() {
    let http = FakeHttp::new()
        .json(200, items(&["a", "b"], "c1", true))
        .json(200, items(&["c"], "c2", false))
        .json(200, items(&[], "c2", false))
        .json(200, items(&["c", "late"], "c3", false));
    let mut poller = poller::<SignInAttempts>();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b", "c"]);
    assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["late"]);
    let requests = http.requests();
    let bodies: Vec<Value> = requests.iter().map(Request::body_json).collect();
    assert_eq!(bodies[0], json!({"limit": 1000, "start_time": "2026-01-02T11:00:00Z"}));
    assert_eq!(bodies[1..], [json!({"cursor": "c1"}), json!({"cursor": "c2"}), json!({"cursor": "c2"})]);
    assert_eq!(requests[0].url, "https://events.1password.eu/api/v2/signinattempts");
    assert_eq!(requests[0].header_value("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
}

#[test]
fn each_kind_has_its_place() {
    let http = FakeHttp::new().json(200, items(&["a"], "c", false)).json(200, items(&["b"], "c", false));
    poller::<ItemUsages>().poll_all(&http).unwrap();
    poller::<AuditEvents>().poll_all(&http).unwrap();
    let urls: Vec<String> = http.requests().iter().map(|request| request.url.clone()).collect();
    assert!(urls[0].ends_with("/api/v2/itemusages") && urls[1].ends_with("/api/v2/auditevents"), "{urls:?}");
}

#[test]
fn a_cursor_that_is_gone_costs_nothing() {
    let http = FakeHttp::new()
        .json(200, items(&["a"], "old", false))
        .json(400, json!({"Error": {"Message": "invalid cursor"}}))
        .json(200, items(&["a", "b"], "new", false));
    let mut poller = poller::<AuditEvents>();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a"]);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["b"]);
    assert_eq!(http.requests()[2].body_json()["start_time"], "2026-01-02T11:00:00Z");
}

#[test]
fn limits_and_failures_are_waited_for() {
    let http = FakeHttp::new()
        .answer(429, "")
        .answer(429, "")
        .header("Retry-After", "9")
        .answer(500, "")
        .json(200, json!({"items": [], "has_more": true}));
    let mut poller = poller::<ItemUsages>();
    let limited = || retry("1Password's limit of requests is reached");
    assert_eq!(poller.poll(&http), Err(limited().after(60)));
    assert_eq!(poller.poll(&http), Err(limited().after(9)));
    for _ in 0..2 {
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let http = FakeHttp::new()
        .json(401, json!({"Error": {"Message": "Unauthorized access"}}))
        .json(400, json!({"Error": {"Message": "invalid start_time"}}));
    let mut poller = poller::<ItemUsages>();
    for expected in
        ["(401: Unauthorized access): it has to be one of an Events Reporting integration", "invalid start_time"]
    {
        let stop = poller.poll(&http).unwrap_err();
        assert!(
            matches!(&stop, Stop::Reject(reason) if reason.contains(expected) && !reason.contains(TOKEN)),
            "{stop:?}"
        );
    }
}

#[test]
fn settings_are_checked_without_showing_them() {
    let settings = |token: &str| Settings::new().with("url", "https://events.1password.com").with("token", token);
    assert_eq!(validate::<AuditEvents>(&settings(TOKEN)), []);
    for wrong in ["s3cret", "a.b c.d", "a..b"] {
        let faults = validate::<AuditEvents>(&settings(wrong));
        assert!(faults.len() == 1 && !faults[0].message.contains(wrong), "{faults:?}");
    }
}
