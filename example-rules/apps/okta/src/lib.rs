//! Okta's system log: everything that happened in an organization.
//!
//! Asked without an end, the service gives events in the order in which it stored them and always says where to go on, so that late
//! events come too. When it does not know that place any more, events are asked for by time, beginning before the newest one.

use serde::{Deserialize, Serialize};
use streamalert_app_sdk::prelude::*;

pub struct SystemLog;

/// Events of a page; docs: at most 1,000.
const LIMIT: usize = 1_000;
/// How late events may be where they are asked for by time.
const OVERLAP: i64 = 3600;

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    /// Where the service says that it goes on.
    after: Option<String>,
    /// Second of the newest event.
    newest: i64,
    /// How far the host's clock was ahead at first.
    #[serde(default)]
    early: i64,
    seen: Seen,
}

impl App for SystemLog {
    const NAME: &'static str = "okta_system_log";
    const DESCRIPTION: &'static str = "Okta's system log: logins, changes of users, groups, applications and policies";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "Of your organization: https://acme.okta.com"),
        Setting::secret("token", "An API token of an administrator who may read the system log"),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const LOGS: &'static [&'static str] = &["okta:system"];

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut cursor: Cursor = ask.cursor()?.unwrap_or_default();
        let mut request = Request::get(format!("{}/api/v1/logs", ask.base("url")))
            .header("Authorization", format!("SSWS {}", ask.required("token")))
            .header("Accept", "application/json")
            .query("limit", &LIMIT.to_string())
            .query("sortOrder", "ASCENDING");
        request = match &cursor.after {
            Some(after) => request.query("after", after),
            None => request.query("since", &time::rfc3339((cursor.newest - OVERLAP).max(ask.since - cursor.early))),
        };
        let answer = http.send(request);
        if let Ok(answer) = &answer {
            match answer.status {
                429 => {
                    // Without the header, the minute that limits are counted by.
                    let wait = time::wait_until(answer, "x-rate-limit-reset", ask.now).or(answer.retry_after());
                    return Err(retry("Okta's limit of requests is reached").after(wait.unwrap_or(60)));
                }
                400 | 404 | 410 if cursor.after.is_some() => {
                    log::warn("Okta does not know the place any more where its log went on; it is asked by time");
                    cursor.after = None;
                    return Ok(page([]).cursor(&cursor).more(true));
                }
                _ => {}
            }
        }
        let answer = fetched(answer)?;
        // The host's clock is ahead, and with it the second from which on logs are wanted: they are asked for from an earlier one.
        let ahead = time::ahead(&answer, ask.now);
        if ask.cursor.is_none() && ahead > 0 {
            cursor.newest = (ask.since - ahead + OVERLAP).max(1);
            cursor.early = ahead;
            return Ok(page([]).cursor(&cursor).more(true));
        }
        let mut events = logs_in(&answer, &[])?;
        let full = events.len() >= LIMIT;
        let newest = events.iter().filter_map(|event| time::seconds(&event.text("published"))).max();
        cursor.newest = cursor.newest.max(newest.unwrap_or(0));
        events.retain(|event| {
            let id = event.text("uuid");
            id.is_empty() || cursor.seen.is_new(&id, cursor.newest)
        });
        cursor.seen.forget(cursor.newest - 2 * OVERLAP);
        if let Some(next) = link(&answer, "next").and_then(|next| query_of(&next, "after")) {
            cursor.after = Some(next);
        }
        Ok(page(events).cursor(&cursor).more(full))
    }
}

export_apps!(SystemLog);

#[cfg(test)]
mod tests {
    use super::*;

    fn poller() -> Poller<SystemLog> {
        Poller::new().with("url", "https://acme.okta.com/").with("token", "t0ken")
    }

    fn event(id: &str, published: &str) -> Value {
        json!({"uuid": id, "published": published, "eventType": "user.session.start"})
    }

    fn ids(logs: &[String]) -> Vec<String> {
        logs.iter().map(|log| Log::parse(log).unwrap().text("uuid")).collect()
    }

    fn next(after: &str) -> String {
        format!("<https://acme.okta.com/api/v1/logs?since=x&limit=1000&after={after}>; rel=\"next\"")
    }

    #[test]
    fn it_goes_on_where_the_service_says() {
        let http = FakeHttp::new()
            .json(200, json!([event("a", "2026-01-02T11:30:00.000Z"), event("b", "2026-01-02T11:31:00.000Z")]))
            .header("Link", "<https://acme.okta.com/api/v1/logs?limit=1000>; rel=\"self\"")
            .header("Link", &next("171%3A1"))
            // Nothing new: the same place.
            .json(200, json!([]))
            .header("Link", &next("171%3A1"))
            // Published before, stored after; and one that was there.
            .json(200, json!([event("late", "2026-01-02T11:30:30.000Z"), event("b", "2026-01-02T11:31:00.000Z")]))
            .header("Link", &next("171%3A9"));
        let mut poller = poller();
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b"]);
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), [""; 0]);
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["late"]);
        let requests = http.requests();
        assert_eq!(
            requests[0].url,
            "https://acme.okta.com/api/v1/logs?limit=1000&sortOrder=ASCENDING&since=2026-01-02T11%3A00%3A00Z"
        );
        assert_eq!(requests[0].header_value("authorization"), Some("SSWS t0ken"));
        assert!(requests[1].url.ends_with("&after=171%3A1") && requests[2].url.ends_with("&after=171%3A1"));
    }

    #[test]
    fn a_full_page_means_more() {
        let many: Vec<Value> = (0..1000).map(|n| event(&n.to_string(), "2026-01-02T11:30:00.000Z")).collect();
        let http = FakeHttp::new().json(200, many.into()).header("Link", &next("2")).json(200, json!([]));
        let mut poller = poller();
        assert_eq!(poller.poll_all(&http).unwrap().len(), 1000);
        assert_eq!(http.left(), 0);
    }

    #[test]
    fn limits_are_waited_for_by_okta_s_own_clock() {
        let http = FakeHttp::new()
            .answer(429, "{}")
            .header("X-Rate-Limit-Reset", "1767352230")
            .header("Date", "Fri, 02 Jan 2026 11:10:00 GMT")
            .answer(429, "{}");
        let mut poller = poller();
        let limited = || retry("Okta's limit of requests is reached");
        assert_eq!(poller.poll(&http), Err(limited().after(30)));
        assert_eq!(poller.poll(&http), Err(limited().after(60)));
    }

    #[test]
    fn a_place_that_is_gone_costs_nothing() {
        let http = FakeHttp::new()
            .json(200, json!([event("a", "2026-01-02T11:30:00.000Z")]))
            .header("Link", &next("old"))
            .json(400, json!({"errorCode": "E0000031"}))
            .json(200, json!([event("a", "2026-01-02T11:30:00.000Z"), event("b", "2026-01-02T11:40:00.000Z")]));
        let mut poller = poller();
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a"]);
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["b"]);
        assert!(http.requests()[2].url.ends_with("since=2026-01-02T11%3A00%3A00Z"), "no earlier than the beginning");
    }

    #[test]
    fn a_token_that_is_refused_is_told() {
        let http = FakeHttp::new().json(401, json!({"errorSummary": "Invalid token provided"}));
        let stop = poller().poll(&http).unwrap_err();
        assert!(matches!(&stop, Stop::Reject(reason) if reason.contains("401 Unauthorized")), "{stop:?}");
    }
}
