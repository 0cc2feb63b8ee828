//! The logs of Slack; docs: "team.accessLogs", "team.integrationLogs".

use super::samples::sample;
use super::site::{Case, Event, Vendor, check, page};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

const TOKEN: &str = "xoxp-1111111111-2222222222-3333333333-abcdef0123456789";

/// What is wrong is said with status 200.
fn refused(error: &str) -> Reply {
    Reply::json(200, json!({"ok": false, "error": error}))
}

fn newest_first(visible: &[Event], until: i64) -> Vec<&Event> {
    let mut events: Vec<&Event> = visible.iter().filter(|event| event.at <= until).collect();
    events.sort_by_key(|event| std::cmp::Reverse((event.at, event.log["user_id"].to_string())));
    events
}

fn limited() -> Reply {
    let headers = vec![("Retry-After", "30".into())];
    Reply { headers, ..Reply::json(429, json!({"ok": false, "error": "ratelimited"})) }
}

struct Access;

impl Vendor for Access {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut login = sample("slack:access", number);
        login["user_id"] = format!("U{number:06}").into();
        (login["date_first"], login["date_last"]) = (at.into(), at.into());
        login
    }

    fn id(&self, log: &Value) -> String {
        log["user_id"].as_str().unwrap().into()
    }

    /// A cursor counts entries from the top, so that new ones move the others on.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.header("authorization") != format!("Bearer {TOKEN}") {
            return refused("invalid_auth");
        }
        let limit: usize = seen.query("limit").parse().unwrap_or(0);
        if seen.path != "/api/team.accessLogs" || !(1..1000).contains(&limit) {
            return refused("invalid_arguments");
        }
        let from = seen.query("cursor").strip_prefix("at:").map_or(0, |from| from.parse().unwrap());
        let (events, next) = page(&newest_first(visible, seen.query("before").parse().unwrap_or(now)), from, limit);
        let logins: Vec<&Value> = events.iter().map(|event| &event.log).collect();
        let cursor = next.map(|next| format!("at:{next}")).unwrap_or_default();
        Reply::json(200, json!({"ok": true, "logins": logins, "response_metadata": {"next_cursor": cursor}}))
    }

    fn limited(&self, _: i64) -> Reply {
        limited()
    }
}

struct Integration;

impl Vendor for Integration {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut change = sample("slack:integration", number);
        (change["user_id"], change["date"]) = (format!("U{number:06}").into(), at.to_string().into());
        change
    }

    fn id(&self, log: &Value) -> String {
        log["user_id"].as_str().unwrap().into()
    }

    fn answer(&mut self, seen: &Seen, visible: &[Event], _: i64) -> Reply {
        if seen.header("authorization") != format!("Bearer {TOKEN}") {
            return refused("invalid_auth");
        }
        let number = |name: &str| seen.query(name).parse::<usize>().unwrap_or(0);
        let (count, number) = (number("count"), number("page"));
        if seen.path != "/api/team.integrationLogs" || !(1..=1000).contains(&count) || !(1..=100).contains(&number) {
            return refused("over_pagination_limit");
        }
        let all = newest_first(visible, i64::MAX);
        let (events, _) = page(&all, (number - 1) * count, count);
        let logs: Vec<&Value> = events.iter().map(|event| &event.log).collect();
        let paging = json!({"count": count, "total": all.len(), "page": number, "pages": all.len().div_ceil(count)});
        Reply::json(200, json!({"ok": true, "logs": logs, "paging": paging}))
    }

    fn limited(&self, _: i64) -> Reply {
        limited()
    }
}

#[test]
fn the_log_of_access() {
    let case = Case {
        kind: "slack_access",
        settings: &[("url", "URL"), ("token", TOKEN)],
        refused: ("token", "xoxp-wrong"),
        log_type: "slack:access",
        late: 3_000,
        events: 5_000,
    };
    check(&case, || Box::new(Access));
}

#[test]
fn the_log_of_integrations() {
    let case = Case {
        kind: "slack_integration",
        settings: &[("url", "URL"), ("token", TOKEN)],
        refused: ("token", "xoxp-wrong"),
        log_type: "slack:integration",
        late: 3_000,
        events: 5_000,
    };
    check(&case, || Box::new(Integration));
}
