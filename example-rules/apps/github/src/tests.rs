use super::*;

fn poller() -> Poller<Audit> {
    Poller::new().with("organization", "northwind").with("token", "ghp_t0ken")
}

fn event(id: &str) -> Value {
    json!({"@timestamp": 1_767_355_000_000_i64, "_document_id": id, "action": "repo.create"})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("_document_id")).collect()
}

fn next(after: &str) -> String {
    let here = "https://api.github.com/organizations/1/audit-log?per_page=100";
    format!("<{here}&after={after}&before=>; rel=\"next\", <{here}&after=&before=x>; rel=\"prev\"")
}

#[test]
fn events_come_page_by_page_and_late_ones_with_the_next_round() {
    let http = FakeHttp::new()
        .json(200, json!([event("a"), event("b")]))
        .header("Link", &next("MTc2%7CYg%3D%3D"))
        .json(200, json!([event("c")]))
        .json(200, json!([event("late"), event("b"), event("c"), event("d")]));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b", "c"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["late", "d"]);
    let requests = http.requests();
    let query =
        "phrase=created%3A2026-01-02T11%3A00%3A00Z..2026-01-02T12%3A00%3A00Z&include=all&order=asc&per_page=100";
    assert_eq!(requests[0].url, format!("https://api.github.com/orgs/northwind/audit-log?{query}"));
    assert_eq!(requests[1].url, format!("{}&after=MTc2%7CYg%3D%3D", requests[0].url));
    assert!(requests[2].url.contains("created%3A2026-01-02T11%3A30%3A00Z..2026-01-02T12%3A05%3A00Z"));
    assert_eq!(requests[0].header_value("authorization"), Some("Bearer ghp_t0ken"));
    assert!(requests[0].header_value("user-agent").is_some(), "GitHub refuses requests without one");
}

#[test]
fn an_enterprise_of_its_own_server_is_asked_there() {
    let http = FakeHttp::new().json(200, json!([]));
    let mut poller = Poller::<Audit>::new()
        .with("enterprise", "acme")
        .with("url", "https://github.acme.example/api/v3/")
        .with("token", "t");
    assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
    assert!(http.requests()[0].url.starts_with("https://github.acme.example/api/v3/enterprises/acme/audit-log?"));
}

#[test]
fn git_events_without_an_id_are_told_apart_by_their_text() {
    let push = |at: i64| json!({"@timestamp": at, "action": "git.push", "actor": "ann"});
    let http = FakeHttp::new().json(200, json!([push(1), push(2), push(1)])).json(200, json!([push(1), push(3)]));
    let mut poller = poller();
    assert_eq!(poller.poll_all(&http).unwrap().len(), 2);
    assert_eq!(poller.poll_all(&http).unwrap().len(), 1);
}

#[test]
fn limits_are_waited_for_in_each_way_they_are_told() {
    let http = FakeHttp::new()
        .json(403, json!({"message": "API rate limit exceeded for user ID 1."}))
        .header("X-RateLimit-Remaining", "0")
        .header("X-RateLimit-Reset", "1767352230")
        .header("Date", "Fri, 02 Jan 2026 11:10:00 GMT")
        .json(403, json!({"message": "You have exceeded a secondary rate limit."}))
        .json(429, json!({"message": "Too many"}))
        .header("Retry-After", "7");
    let mut poller = poller();
    let limited = || retry("GitHub's limit of requests is reached");
    assert_eq!(poller.poll(&http), Err(limited().after(30)));
    assert_eq!(poller.poll(&http), Err(limited().after(60)));
    assert_eq!(poller.poll(&http), Err(limited().after(7)));
}

#[test]
fn what_is_refused_says_what_to_do() {
    let http = FakeHttp::new()
        .json(401, json!({"message": "Bad credentials"}))
        .json(403, json!({"message": "Resource not accessible by personal access token"}))
        .header("X-RateLimit-Remaining", "1700")
        .json(404, json!({"message": "Not Found"}))
        .answer(502, "");
    let mut poller = poller();
    for expected in ["Bad credentials): make a new one", "scope `read:audit_log`", "no audit log of `northwind`"] {
        let stop = poller.poll(&http).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains(expected)), "{stop:?}");
    }
    assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
}

#[test]
fn a_place_that_is_gone_costs_nothing() {
    let http = FakeHttp::new()
        .json(200, json!([event("a")]))
        .header("Link", &next("gone"))
        .json(422, json!({"message": "Invalid cursor"}))
        .json(200, json!([event("a"), event("b")]));
    assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["a", "b"]);
    assert!(!http.requests()[2].url.contains("after="));
}

#[test]
fn settings_are_checked() {
    let check = |settings: &[(&'static str, &str)], expected: &[&str]| {
        let settings = settings.iter().fold(Settings::new(), |all, (name, value)| all.with(*name, *value));
        let faults = validate::<Audit>(&settings);
        assert_eq!(faults.iter().map(|fault| fault.setting.as_str()).collect::<Vec<_>>(), expected);
    };
    check(&[("token", "t"), ("organization", "north-wind")], &[]);
    check(&[("token", "t"), ("enterprise", "northwind")], &[]);
    check(&[("token", "t")], &[""]);
    check(&[("token", "t"), ("enterprise", "a"), ("organization", "a")], &[""]);
    check(&[("token", "t"), ("organization", "https://github.com/a")], &["organization"]);
    check(&[("token", "a b"), ("organization", "a")], &["token"]);
    check(&[("token", "t"), ("organization", "a"), ("url", "not a url")], &["url"]);
}
