//! CrowdStrike Falcon; docs: "OAuth2", "Alerts", "Real Time Response Audit".

use super::samples::sample;
use super::site::{Case, Event, Vendor, check, page, rfc3339, seconds};
use crate::vendors::{Reply, Seen, decode};
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCD";

struct Alerts;

struct Sessions;

fn refused(code: u16, message: &str) -> Reply {
    Reply::json(
        code,
        json!({"meta": {"trace_id": "t"}, "errors": [{"code": code, "message": message}], "resources": []}),
    )
}

/// Gives a token, or refuses one; it does for half an hour.
fn logged_in(seen: &Seen, now: i64) -> Option<Reply> {
    if seen.path == "/oauth2/token" && seen.method == "POST" {
        let form = decode(&String::from_utf8_lossy(&seen.body));
        let token = json!({"access_token": format!("t{now}"), "expires_in": 1799, "token_type": "bearer"});
        return Some(match form == format!("client_id={ID}&client_secret={SECRET}") {
            true => Reply::json(201, token),
            false => refused(401, "access denied, invalid client"),
        });
    }
    let token = seen.header("authorization").strip_prefix("Bearer t").and_then(|token| token.parse::<i64>().ok());
    let stale = token.is_none_or(|made| now - made > 1_799);
    stale.then(|| refused(401, "access denied, invalid bearer token"))
}

/// Both ends of the time in a filter.
fn times(filter: &str, field: &str) -> Option<(i64, i64)> {
    let time = |operator: &str| {
        let (_, rest) = filter.split_once(&format!("{field}:{operator}'"))?;
        seconds(rest.split('\'').next()?)
    };
    Some((time(">=")?, time("<=")?))
}

fn limited(now: i64) -> Reply {
    let headers = vec![("X-RateLimit-Limit", "6000".into()), ("X-RateLimit-RetryAfter", (now + 20).to_string())];
    Reply { headers, ..refused(429, "API rate limit exceeded.") }
}

impl Vendor for Alerts {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut alert = sample("crowdstrike:alert", number);
        (alert["composite_id"], alert["updated_timestamp"]) = (format!("f0e1:ind:{number}").into(), rfc3339(at).into());
        alert
    }

    fn id(&self, log: &Value) -> String {
        log["composite_id"].as_str().unwrap().into()
    }

    /// Sorted by the last change; a place is behind an alert.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if let Some(reply) = logged_in(seen, now) {
            return reply;
        }
        let body = seen.json().unwrap_or_default();
        let limit = body["limit"].as_u64().unwrap_or(0) as usize;
        let filter = body["filter"].as_str().unwrap_or_default();
        let sorted = body["sort"] == "updated_timestamp|asc";
        let Some((from, until)) = times(filter, "updated_timestamp").filter(|_| sorted && seen.method == "POST") else {
            return refused(400, "invalid filter");
        };
        if seen.path != "/alerts/combined/alerts/v1" || !(1..=1000).contains(&limit) {
            return refused(404, "not as documented");
        }
        let place = |event: &Event| (event.at, event.log["composite_id"].as_str().unwrap().to_owned());
        let mut alerts: Vec<&Event> = visible.iter().filter(|event| (from..=until).contains(&event.at)).collect();
        alerts.sort_by_key(|event| place(event));
        let total = alerts.len();
        if let Some((at, id)) = body["after"].as_str().and_then(|after| after.split_once(' ')) {
            let after = (at.parse().unwrap(), id.to_owned());
            alerts.retain(|event| place(event) > after);
        }
        let more = alerts.len() > limit;
        alerts.truncate(limit);
        let after = alerts.last().filter(|_| more).map(|last| format!("{} {}", place(last).0, place(last).1));
        let alerts: Vec<&Value> = alerts.iter().map(|event| &event.log).collect();
        let pagination = json!({"total": total, "limit": limit, "after": after});
        Reply::json(
            200,
            json!({"meta": {"query_time": 0.1, "pagination": pagination}, "errors": [], "resources": alerts}),
        )
    }

    fn limited(&self, now: i64) -> Reply {
        limited(now)
    }
}

impl Vendor for Sessions {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut session = sample("crowdstrike:rtr_session", number);
        let id = format!("5d1b6e0a-0000-4000-8000-{number:012}");
        (session["id"], session["created_at"]) = (id.into(), rfc3339(at).into());
        session
    }

    fn id(&self, log: &Value) -> String {
        log["id"].as_str().unwrap().into()
    }

    /// Sorted by their beginning, and counted from the first on.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if let Some(reply) = logged_in(seen, now) {
            return reply;
        }
        let times = times(seen.query("filter"), "created_at").filter(|_| seen.query("sort") == "created_at|asc");
        let Some((from, until)) = times else { return refused(400, "invalid filter") };
        let number = |name: &str| seen.query(name).parse::<usize>().unwrap_or(0);
        let (limit, offset) = (number("limit"), number("offset"));
        if seen.path != "/real-time-response-audit/combined/sessions/v1" || !(1..=1000).contains(&limit) {
            return refused(404, "not as documented");
        }
        let mut sessions: Vec<&Event> = visible.iter().filter(|event| (from..=until).contains(&event.at)).collect();
        sessions.sort_by_key(|event| (event.at, event.log["id"].to_string()));
        let (found, _) = page(&sessions, offset, limit);
        let found: Vec<&Value> = found.iter().map(|event| &event.log).collect();
        let pagination = json!({"total": sessions.len(), "limit": limit, "offset": offset});
        Reply::json(200, json!({"meta": {"pagination": pagination}, "errors": [], "resources": found}))
    }

    fn limited(&self, now: i64) -> Reply {
        limited(now)
    }
}

#[test]
fn the_alerts() {
    let case = Case {
        kind: "crowdstrike_alerts",
        settings: &[("url", "URL"), ("client_id", ID), ("client_secret", SECRET)],
        refused: ("client_secret", "wrongwrongwrongwrongwrongwrongwrongwrong"),
        log_type: "crowdstrike:alert",
        late: 1_500,
        events: 1_500,
    };
    check(&case, || Box::new(Alerts));
}

#[test]
fn the_sessions() {
    let case = Case {
        kind: "crowdstrike_rtr_sessions",
        settings: &[("url", "URL"), ("client_id", ID), ("client_secret", SECRET)],
        refused: ("client_secret", "wrongwrongwrongwrongwrongwrongwrongwrong"),
        log_type: "crowdstrike:rtr_session",
        late: 1_500,
        events: 450,
    };
    check(&case, || Box::new(Sessions));
}
