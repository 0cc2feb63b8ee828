//! The events of OneLogin; docs: "Generate Tokens v2", "Get Events".

use super::samples::sample;
use super::site::{Case, Event, Vendor, base, check, page, rfc3339, seconds};
use crate::vendors::{Reply, Seen};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SECRET: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

struct OneLogin;

fn status(code: u16, kind: &str, message: &str) -> Value {
    json!({"error": code >= 400, "code": code, "type": kind, "message": message})
}

fn refused(code: u16, message: &str) -> Reply {
    Reply::json(code, json!({"status": status(code, "refused", message)}))
}

impl Vendor for OneLogin {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut event = sample("onelogin:events", number);
        (event["id"], event["created_at"]) = ((81_000_000_000 + number as u64).into(), rfc3339(at).into());
        event
    }

    fn id(&self, log: &Value) -> String {
        log["id"].to_string()
    }

    /// Cursors are numbers of pages, the newest event is the first. A token does for ten hours.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.path == "/auth/oauth2/v2/token" {
            let basic = format!("Basic {}", STANDARD.encode(format!("{ID}:{SECRET}")));
            let asked = seen.json().is_ok_and(|body| body["grant_type"] == "client_credentials");
            return match seen.header("authorization") == basic && asked && seen.method == "POST" {
                true => Reply::json(
                    200,
                    json!({"access_token": format!("t{now}"), "expires_in": 36000, "token_type": "bearer"}),
                ),
                false => refused(401, "Authentication Failure"),
            };
        }
        let token = seen.header("authorization").strip_prefix("bearer:t").and_then(|token| token.parse::<i64>().ok());
        if token.is_none_or(|made| now - made > 36_000) {
            return refused(401, "Authentication Failure");
        }
        let limit: usize = seen.query("limit").parse().unwrap_or(50);
        let times = (seconds(seen.query("since")), seconds(seen.query("until")));
        let (Some(since), Some(until), "/api/1/events", true) = (times.0, times.1, seen.path.as_str(), limit <= 1000)
        else {
            return refused(404, "not as documented");
        };
        let limit = limit.min(200);
        let mut events: Vec<&Event> = visible.iter().filter(|event| since < event.at + 1 && event.at < until).collect();
        events.sort_by_key(|event| std::cmp::Reverse((event.at, event.log["id"].as_u64())));
        let number = STANDARD.decode(seen.query("after_cursor")).unwrap_or_default();
        let number =
            String::from_utf8_lossy(&number).strip_prefix("page_number:::").map_or(1, |number| number.parse().unwrap());
        let (events, next) = page(&events, (number - 1) * limit, limit);
        let after = next.map(|_| STANDARD.encode(format!("page_number:::{}", number + 1)));
        let link =
            after.as_ref().map(|after| format!("{}/api/1/events?limit={limit}&after_cursor={after}", base(seen)));
        let data: Vec<&Value> = events.iter().map(|event| &event.log).collect();
        let pagination =
            json!({"before_cursor": null, "after_cursor": after, "previous_link": null, "next_link": link});
        Reply::json(200, json!({"status": status(200, "success", "Success"), "pagination": pagination, "data": data}))
    }

    fn limited(&self, _: i64) -> Reply {
        Reply { headers: vec![("X-RateLimit-Reset", "45".into())], ..refused(429, "rate limit exceeded") }
    }
}

#[test]
fn the_events() {
    let case = Case {
        kind: "onelogin_events",
        settings: &[("url", "URL"), ("client_id", ID), ("client_secret", SECRET)],
        refused: ("client_secret", ID),
        log_type: "onelogin:events",
        late: 1_500,
        events: 2_000,
    };
    check(&case, || Box::new(OneLogin));
}
