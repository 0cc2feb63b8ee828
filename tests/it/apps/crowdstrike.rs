//! The alerts of CrowdStrike Falcon; docs: "OAuth2", "Alerts".

use super::samples::sample;
use super::site::{Case, Event, Vendor, check, rfc3339, seconds};
use crate::vendors::{Reply, Seen, decode};
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCD";

struct Falcon;

fn refused(code: u16, message: &str) -> Reply {
    Reply::json(
        code,
        json!({"meta": {"trace_id": "t"}, "errors": [{"code": code, "message": message}], "resources": []}),
    )
}

impl Vendor for Falcon {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut alert = sample("crowdstrike:alert", number);
        (alert["composite_id"], alert["updated_timestamp"]) = (format!("f0e1:ind:{number}").into(), rfc3339(at).into());
        alert
    }

    fn id(&self, log: &Value) -> String {
        log["composite_id"].as_str().unwrap().into()
    }

    /// Sorted by the last change; a place is behind an alert. A token does for half an hour.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.method != "POST" {
            return refused(404, "not as documented");
        }
        if seen.path == "/oauth2/token" {
            let form = decode(&String::from_utf8_lossy(&seen.body));
            return match form == format!("client_id={ID}&client_secret={SECRET}") {
                true => Reply::json(
                    201,
                    json!({"access_token": format!("t{now}"), "expires_in": 1799, "token_type": "bearer"}),
                ),
                false => refused(401, "access denied, invalid client"),
            };
        }
        let token = seen.header("authorization").strip_prefix("Bearer t").and_then(|token| token.parse::<i64>().ok());
        if token.is_none_or(|made| now - made > 1_799) {
            return refused(401, "access denied, invalid bearer token");
        }
        let body = seen.json().unwrap_or_default();
        let limit = body["limit"].as_u64().unwrap_or(0) as usize;
        let filter = body["filter"].as_str().unwrap_or_default();
        let time = |operator: &str| {
            let (_, rest) = filter.split_once(&format!("updated_timestamp:{operator}'"))?;
            seconds(rest.split('\'').next()?)
        };
        let (Some(from), Some(until), true) = (time(">="), time("<="), body["sort"] == "updated_timestamp|asc") else {
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
        let headers = vec![("X-RateLimit-Limit", "6000".into()), ("X-RateLimit-RetryAfter", (now + 20).to_string())];
        Reply { headers, ..refused(429, "API rate limit exceeded.") }
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
        events: 3_000,
    };
    check(&case, || Box::new(Falcon));
}
