//! The logs of Duo; docs: "Admin API".

use super::site::{Case, Event, Vendor, check, http_date, page};
use crate::vendors::{Reply, Seen};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};

pub const KEY: &str = "DIWJ8X6AEYOR5OMC6TQ1";
pub const SECRET: &str = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";
/// Seconds until Duo shows a log.
const DELAY: i64 = 120;

/// Whether it is signed with our key, at a time that is about now.
fn refusal(seen: &Seen, now: i64) -> Option<Reply> {
    let fail =
        |code: u32, message: &str| Some(Reply::json(401, json!({"code": code, "message": message, "stat": "FAIL"})));
    let date = seen.header("date");
    let near = (-300..=300).any(|off| http_date(now + off).replace("GMT", "-0000") == date);
    if !near {
        return fail(40105, "Bad request timestamp");
    }
    let mut pairs: Vec<String> =
        seen.query.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
    pairs.sort();
    let text = format!("{date}\n{}\n{}\n{}\n{}", seen.method, seen.header("host"), seen.path, pairs.join("&"));
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = format!("Basic {}", STANDARD.encode(format!("{KEY}:{hex}")));
    if seen.header("authorization") == expected {
        None
    } else {
        fail(40103, "Invalid signature in request credentials")
    }
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn limited() -> Reply {
    Reply::json(429, json!({"code": 42901, "message": "Too Many Requests", "stat": "FAIL"}))
}

/// With so many logs on a page, where the documentation allows a thousand.
pub struct Authentication(pub usize);

impl Vendor for Authentication {
    fn event(&self, number: usize, at: i64) -> Value {
        json!({
            "access_device": {"ip": "198.51.100.7", "browser": "Chrome"}, "alias": "", "application": {"key": "DI1", "name": "VPN"},
            "auth_device": {"ip": "203.0.113.9", "name": "phone"}, "email": "ann@northwind.example", "event_type": "authentication",
            "factor": "duo_push", "isotimestamp": super::site::rfc3339(at), "ood_software": null, "reason": "user_approved",
            "result": "success", "timestamp": at, "trusted_endpoint_status": "not trusted",
            "txid": format!("00000000-0000-4000-8000-{number:012}"), "user": {"groups": [], "key": "DU1", "name": "ann"},
        })
    }

    fn id(&self, log: &Value) -> String {
        log["txid"].as_str().unwrap().into()
    }

    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if let Some(reply) = refusal(seen, now) {
            return reply;
        }
        let number = |name: &str| seen.query(name).parse::<i64>().ok();
        let (Some(min), Some(max), Some(limit)) = (number("mintime"), number("maxtime"), number("limit")) else {
            return Reply::text(400, "mintime, maxtime and limit are numbers");
        };
        if seen.path != "/admin/v2/logs/authentication" || min >= max || limit > 1000 || min < 1_000_000_000_000 {
            return Reply::text(400, "not as documented");
        }
        let shown = |event: &&Event| (min..=max).contains(&(event.at * 1000)) && event.at <= now - DELAY;
        let mut logs: Vec<&Event> = visible.iter().filter(shown).collect();
        let key = |event: &Event| (event.at * 1000, event.log["txid"].as_str().unwrap().to_owned());
        logs.sort_by_key(|event| key(event));
        if let Some((at, id)) = seen.query("next_offset").split_once(',') {
            let last = (at.parse().unwrap(), id.to_owned());
            logs.retain(|event| key(event) > last);
        }
        let total = logs.len();
        let (logs, next) = page(&logs, 0, self.0.min(limit as usize));
        let next = match next.and(logs.last()) {
            Some(last) => json!([(last.at * 1000).to_string(), last.log["txid"]]),
            None => Value::Null,
        };
        let logs: Vec<&Value> = logs.iter().map(|event| &event.log).collect();
        let metadata = json!({"next_offset": next, "total_objects": total});
        Reply::json(200, json!({"stat": "OK", "response": {"authlogs": logs, "metadata": metadata}}))
    }

    fn limited(&self, _: i64) -> Reply {
        limited()
    }
}

struct Administrator;

impl Vendor for Administrator {
    fn event(&self, number: usize, at: i64) -> Value {
        json!({
            "action": "user_update", "description": format!("{{\"notes\": \"{number}\"}}"), "isotimestamp": super::site::rfc3339(at),
            "object": "ann", "timestamp": at, "username": "admin",
        })
    }

    fn id(&self, log: &Value) -> String {
        log["description"].as_str().unwrap().into()
    }

    /// The oldest thousand from a second on.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if let Some(reply) = refusal(seen, now) {
            return reply;
        }
        let Ok(min) = seen.query("mintime").parse::<i64>() else { return Reply::text(400, "mintime is a number") };
        if seen.path != "/admin/v1/logs/administrator" || min > 10_000_000_000 {
            return Reply::text(400, "not as documented");
        }
        let mut logs: Vec<&Event> = visible.iter().filter(|event| event.at >= min).collect();
        logs.sort_by_key(|event| event.at);
        let logs: Vec<&Value> = logs.into_iter().take(1000).map(|event| &event.log).collect();
        Reply::json(200, json!({"stat": "OK", "response": logs}))
    }

    fn limited(&self, _: i64) -> Reply {
        limited()
    }
}

const SETTINGS: &[(&str, &str)] = &[("api_hostname", "URL"), ("integration_key", KEY), ("secret_key", SECRET)];
const WRONG: (&str, &str) = ("secret_key", "Wrong0000000000000000000000000000000wron");

#[test]
fn authentications() {
    let log_type = "duo:authentication";
    let case = Case { kind: "duo_auth", settings: SETTINGS, refused: WRONG, log_type, late: 500, events: 6_000 };
    check(&case, || Box::new(Authentication(1000)));
}

#[test]
fn administrators_actions() {
    let log_type = "duo:administrator";
    let case = Case { kind: "duo_admin", settings: SETTINGS, refused: WRONG, log_type, late: 500, events: 5_000 };
    check(&case, || Box::new(Administrator));
}
