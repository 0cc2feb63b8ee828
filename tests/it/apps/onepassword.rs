//! The events of 1Password; docs: "1Password Events API reference", v2.

use super::samples::sample;
use super::site::{Case, Event, Vendor, check, rfc3339, seconds};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJqdGkiOiJub3J0aHdpbmQifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

/// One kind of events.
struct OnePassword {
    log_type: &'static str,
    path: &'static str,
}

impl Vendor for OnePassword {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut event = sample(self.log_type, number);
        (event["uuid"], event["timestamp"]) = (format!("EVENT{number:021}").into(), rfc3339(at).into());
        event
    }

    fn id(&self, log: &Value) -> String {
        log["uuid"].as_str().unwrap().into()
    }

    /// A cursor is a place among the events in the order in which they were stored. It is unknown after some hours.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        let refused = |status: u16, message: &str| Reply::json(status, json!({"Error": {"Message": message}}));
        if seen.header("authorization") != format!("Bearer {TOKEN}") {
            return refused(401, "Unauthorized access");
        }
        let body = seen.json().unwrap_or_default();
        if seen.path != self.path || seen.method != "POST" || !body.is_object() {
            return refused(404, "not as documented");
        }
        let (from, limit) = match body["cursor"].as_str() {
            Some(cursor) => {
                let parts: Vec<i64> = cursor.split('-').map(|part| part.parse().unwrap()).collect();
                if now - parts[2] > 5_000 {
                    return refused(400, "invalid cursor");
                }
                (parts[0] as usize, parts[1] as usize)
            }
            None => {
                let Some(start) = body["start_time"].as_str().and_then(seconds) else {
                    return refused(400, "start_time is no time");
                };
                let from = visible.iter().position(|event| event.at >= start).unwrap_or(visible.len());
                (from, body["limit"].as_u64().unwrap_or(100) as usize)
            }
        };
        if !(1..=1000).contains(&limit) {
            return refused(400, "limit");
        }
        let end = (from + limit).min(visible.len());
        let items: Vec<&Value> = visible[from.min(end)..end].iter().map(|event| &event.log).collect();
        let cursor = format!("{end}-{limit}-{now}");
        Reply::json(200, json!({"cursor": cursor, "has_more": end < visible.len(), "items": items}))
    }

    fn limited(&self, _: i64) -> Reply {
        Reply::text(429, "")
    }
}

#[track_caller]
fn check_kind(kind: &'static str, log_type: &'static str, path: &'static str) {
    let case = Case {
        kind,
        settings: &[("url", "URL"), ("token", TOKEN)],
        refused: ("token", "eyJhbGciOiJFUzI1NiJ9.d3Jvbmc.d3Jvbmctc2lnbmF0dXJl"),
        log_type,
        late: 1_800,
        events: 4_400,
    };
    check(&case, || Box::new(OnePassword { log_type, path }));
}

#[test]
fn sign_in_attempts() {
    check_kind("onepassword_signin_attempts", "onepassword:signin_attempt", "/api/v2/signinattempts");
}

#[test]
fn item_usages() {
    check_kind("onepassword_item_usages", "onepassword:item_usage", "/api/v2/itemusages");
}

#[test]
fn audit_events() {
    check_kind("onepassword_audit_events", "onepassword:audit_event", "/api/v2/auditevents");
}
