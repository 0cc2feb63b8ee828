use super::*;

const TOKEN: &str = "xoxp-1-2-t0ken";
/// The hour before the poller's now, which is the first round.
const FROM: i64 = 1_767_351_600;

fn poller<A: App>() -> Poller<A> {
    Poller::new().with("token", TOKEN)
}

fn login(user: &str, last: i64, count: u32) -> Value {
    json!({"user_id": user, "username": user, "date_first": FROM, "date_last": last, "count": count, "ip": "198.51.100.7",
        "user_agent": "SlackWeb", "isp": null, "country": null, "region": null})
}

fn access(logins: &[Value], cursor: &str) -> Value {
    json!({"ok": true, "logins": logins, "response_metadata": {"next_cursor": cursor}})
}

fn change(user: &str, date: i64) -> Value {
    json!({"app_id": "A1", "app_type": "App", "user_id": user, "user_name": user, "date": date.to_string(),
        "change_type": "added", "scope": "chat:write"})
}

fn integration(logs: &[Value], page: u32, pages: u32) -> Value {
    json!({"ok": true, "logs": logs, "paging": {"count": 1000, "total": 3, "page": page, "pages": pages}})
}

fn users(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("user_id")).collect()
}

#[test]
fn accesses_are_read_down_to_the_beginning_and_no_further() {
    let http = FakeHttp::new()
        .json(200, access(&[login("c", FROM + 300, 1), login("b", FROM + 200, 1)], "p2=="))
        .json(200, access(&[login("a", FROM + 100, 1), login("before", FROM - 1, 1)], "p3=="))
        // The next round: d is new, c came again, and late came late.
        .json(
            200,
            access(&[login("d", FROM + 3700, 1), login("c", FROM + 3650, 2), login("late", FROM + 250, 1)], "q2"),
        )
        .json(200, access(&[login("b", FROM + 200, 1)], ""));
    let mut poller = poller::<Access>();
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["c", "b", "a"]);
    poller.pass(300);
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["d", "c", "late"]);
    let requests = http.requests();
    assert_eq!(requests[0].url, format!("https://slack.com/api/team.accessLogs?limit=999&before={}", FROM + 3600));
    assert_eq!(requests[1].url, format!("{}&cursor=p2%3D%3D", requests[0].url));
    assert_eq!(requests[0].header_value("authorization"), Some("Bearer xoxp-1-2-t0ken"));
}

#[test]
fn a_list_in_another_order_is_read_to_its_end() {
    let http = FakeHttp::new()
        .json(200, access(&[login("old", FROM - 50, 9), login("a", FROM + 10, 1), login("older", FROM - 60, 1)], "p2"))
        .json(200, access(&[login("b", FROM + 5, 1)], ""));
    assert_eq!(users(&poller::<Access>().poll_all(&http).unwrap()), ["a", "b"]);
}

#[test]
fn integrations_that_come_between_pages_are_found_and_none_is_lost() {
    let (a, b, c, d) = (change("a", FROM + 1), change("b", FROM + 2), change("c", FROM + 3), change("d", FROM + 4));
    let http = FakeHttp::new()
        .json(200, integration(&[c.clone(), b.clone()], 1, 2))
        // Meanwhile d came on top, and moved b to the second page.
        .json(200, integration(&[b.clone(), a.clone()], 2, 2))
        .json(200, integration(&[d, c, b, a, change("old", FROM - 1)], 1, 2));
    let mut poller = poller::<Integration>();
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["c", "b", "a"]);
    poller.pass(60);
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["d"]);
    assert_eq!(http.requests()[1].url, "https://slack.com/api/team.integrationLogs?count=1000&page=2");
}

#[test]
fn limits_and_failures_are_waited_for() {
    let http = FakeHttp::new()
        .json(429, json!({"ok": false, "error": "ratelimited"}))
        .header("Retry-After", "30")
        .json(200, json!({"ok": false, "error": "ratelimited"}))
        .json(200, json!({"ok": false, "error": "fatal_error"}))
        .answer(503, "");
    let mut poller = poller::<Access>();
    let limited = || retry("Slack's limit of requests is reached");
    assert_eq!(poller.poll(&http), Err(limited().after(30)));
    assert_eq!(poller.poll(&http), Err(limited().after(60)));
    assert_eq!(poller.poll(&http), Err(retry("Slack answers `fatal_error`")));
    assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
}

#[test]
fn what_is_refused_says_what_to_do() {
    let refused = |error: &str| json!({"ok": false, "error": error});
    let http = FakeHttp::new()
        .json(200, refused("invalid_auth"))
        .json(200, refused("missing_scope"))
        .json(200, refused("paid_only"))
        .json(200, refused("something_new"));
    let mut poller = poller::<Integration>();
    for expected in ["new user token", "scope `admin`", "paid plan", "`something_new`"] {
        let stop = poller.poll(&http).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains(expected)), "{stop:?}");
    }
}

#[test]
fn a_cursor_that_is_gone_begins_the_round_again() {
    let http = FakeHttp::new()
        .json(200, access(&[login("b", FROM + 2, 1)], "gone"))
        .json(200, json!({"ok": false, "error": "invalid_cursor"}))
        .json(200, access(&[login("b", FROM + 2, 1), login("a", FROM + 1, 1)], ""));
    assert_eq!(users(&poller::<Access>().poll_all(&http).unwrap()), ["b", "a"]);
}

#[test]
fn a_clock_that_is_ahead_loses_nothing() {
    // By Slack's clock it is 11:00:00, FROM, while the host thinks that it is noon.
    let http = FakeHttp::new()
        .json(200, integration(&[change("a", FROM - 5)], 1, 1))
        .header("Date", "Fri, 02 Jan 2026 11:00:00 GMT")
        // The beginning was by the host's clock: the round begins again, an hour earlier.
        .json(200, integration(&[change("a", FROM - 5)], 1, 1))
        .header("Date", "Fri, 02 Jan 2026 11:00:00 GMT")
        .json(200, integration(&[change("b", FROM + 50), change("a", FROM - 5)], 1, 1))
        .header("Date", "Fri, 02 Jan 2026 11:01:00 GMT");
    let mut poller = poller::<Integration>().since(FROM - 7200);
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["a"]);
    poller.pass(60);
    assert_eq!(users(&poller.poll_all(&http).unwrap()), ["b"]);
}

#[test]
fn settings_are_checked_without_showing_them() {
    let check = |settings: Settings, expected: &[&str]| {
        let faults = validate::<Access>(&settings);
        assert_eq!(faults.iter().map(|fault| fault.setting.as_str()).collect::<Vec<_>>(), expected);
        assert!(faults.iter().all(|fault| !fault.message.contains("s3cret")));
    };
    check(Settings::new(), &["token"]);
    check(Settings::new().with("token", TOKEN), &[]);
    check(Settings::new().with("token", TOKEN).with("team_id", "T0123ABC").with("url", "https://slack-gov.com"), &[]);
    check(Settings::new().with("token", "xoxb-s3cret").with("team_id", "northwind"), &["token", "team_id"]);
}
