use super::*;

const TOKEN: &str = "dG9rOjAxMjM0NTY3ODlhYmNkZWY6MTow";

fn poller() -> Poller<AdminActivity> {
    Poller::new().with("token", TOKEN)
}

fn logs(ids: &[&str], page: u64, total: u64) -> Value {
    let logs: Vec<Value> = ids.iter().map(|id| json!({"id": id, "activity_type": "admin_login_success"})).collect();
    let next = (page < total).then(|| format!("https://api.intercom.io/admins/activity_logs?page={}", page + 1));
    json!({"type": "activity_log.list", "activity_logs": logs,
        "pages": {"type": "pages", "next": next, "page": page, "per_page": 250, "total_pages": total}})
}

fn errors(code: &str, message: &str) -> Value {
    json!({"type": "error.list", "request_id": "r", "errors": [{"code": code, "message": message}]})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("id")).collect()
}

#[test]
fn pages_are_read_to_the_last_one_of_a_settled_time() {
    let http = FakeHttp::new()
        .json(200, logs(&["d", "c"], 1, 2))
        .json(200, logs(&["c", "b"], 2, 2))
        .json(200, logs(&["e", "late", "d"], 1, 1));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["d", "c"]);
    poller.pass(60);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["b"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["e", "late"]);
    let requests = http.requests();
    let url = "https://api.intercom.io/admins/activity_logs?created_at_after=1767351599&created_at_before=1767355201";
    assert_eq!(requests[0].url, format!("{url}&page=1&per_page=250"));
    assert_eq!(requests[1].url, format!("{url}&page=2&per_page=250"));
    assert!(requests[2].url.contains("created_at_after=1767353399&"), "half an hour before the end of the last round");
    assert_eq!(requests[0].header_value("intercom-version"), Some("2.16"));
}

#[test]
fn an_empty_page_ends_the_round_and_another_region_is_asked_there() {
    let http = FakeHttp::new().json(200, logs(&[], 1, 9));
    let mut poller = poller().with("url", "https://api.eu.intercom.io");
    assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
    assert!(http.requests()[0].url.starts_with("https://api.eu.intercom.io/admins/"));
}

#[test]
fn limits_are_waited_for_by_intercoms_clock() {
    let http = FakeHttp::new()
        .json(429, errors("rate_limit_exceeded", "Exceeded rate limit"))
        .header("X-RateLimit-Reset", "1767352230")
        .header("Date", "Fri, 02 Jan 2026 11:10:23 GMT")
        .json(429, json!({}));
    let mut poller = poller();
    let limited = || retry("Intercom's limit of requests is reached");
    assert_eq!(poller.poll(&http), Err(limited().after(7)));
    assert_eq!(poller.poll(&http), Err(limited().after(10)));
}

#[test]
fn what_is_refused_says_what_to_do() {
    let http = FakeHttp::new()
        .json(401, errors("unauthorized", "Access Token Invalid"))
        .json(403, errors("api_plan_restricted", "This feature is not yet available to your app"))
        .json(404, errors("parameter_not_found", "created_at_after"))
        .answer(500, "");
    let mut poller = poller();
    for expected in ["Access Token Invalid): is it of this region", "a plan that has these logs", "parameter_not_found"]
    {
        let stop = poller.poll(&http).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains(expected)), "{stop:?}");
    }
    assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
}

#[test]
fn settings_are_checked() {
    assert_eq!(validate::<AdminActivity>(&Settings::new().with("token", TOKEN)), []);
    for wrong in ["short", "with blanks in it, which no token has"] {
        let faults = validate::<AdminActivity>(&Settings::new().with("token", wrong));
        assert!(faults.len() == 1 && !faults[0].message.contains(wrong), "{faults:?}");
    }
}
