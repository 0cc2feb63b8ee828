//! The admin activity log of Intercom; docs: "List all activity logs".

use super::samples::sample;
use super::site::{Case, Event, Vendor, base, check, page};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

const TOKEN: &str = "dG9rOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmOjE6MA==";

struct Intercom;

fn errors(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(
        status,
        json!({"type": "error.list", "request_id": "r", "errors": [{"code": code, "message": message}]}),
    )
}

impl Vendor for Intercom {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut log = sample("intercom:admin_activity", number);
        (log["id"], log["created_at"]) = (format!("00000000-0000-4000-8000-{number:012}").into(), at.into());
        log
    }

    fn id(&self, log: &Value) -> String {
        log["id"].as_str().unwrap().into()
    }

    /// Pages have numbers, the newest log is the first.
    fn answer(&mut self, seen: &Seen, visible: &[Event], _: i64) -> Reply {
        if seen.header("authorization") != format!("Bearer {TOKEN}") {
            return errors(401, "unauthorized", "Access Token Invalid");
        }
        let number = |name: &str| seen.query(name).parse::<i64>().ok();
        let (after, before) = (number("created_at_after"), number("created_at_before"));
        let (Some(after), Some(before), "/admins/activity_logs") = (after, before, seen.path.as_str()) else {
            return errors(404, "parameter_not_found", "Please provide the following parameters: created_at_after");
        };
        let (limit, number) = (number("per_page").unwrap_or(20) as usize, number("page").unwrap_or(1) as usize);
        if !(1..=250).contains(&limit) || number < 1 || seen.header("intercom-version").is_empty() {
            return errors(400, "parameter_invalid", "not as documented");
        }
        let mut logs: Vec<&Event> = visible.iter().filter(|event| after < event.at && event.at < before).collect();
        logs.sort_by_key(|event| std::cmp::Reverse((event.at, event.log["id"].to_string())));
        let total = logs.len().div_ceil(limit);
        let (logs, next) = page(&logs, (number - 1) * limit, limit);
        let next = next.map(|_| format!("{}/admins/activity_logs?page={}", base(seen), number + 1));
        let pages = json!({"type": "pages", "next": next, "page": number, "per_page": limit, "total_pages": total});
        let logs: Vec<&Value> = logs.iter().map(|event| &event.log).collect();
        Reply::json(200, json!({"type": "activity_log.list", "pages": pages, "activity_logs": logs}))
    }

    fn limited(&self, now: i64) -> Reply {
        let headers = vec![("X-RateLimit-Limit", "100".into()), ("X-RateLimit-Reset", (now + 8).to_string())];
        Reply { headers, ..errors(429, "rate_limit_exceeded", "Exceeded rate limit of 100 in 10_seconds") }
    }
}

#[test]
fn the_admin_activity_log() {
    let case = Case {
        kind: "intercom_admin_activity_logs",
        settings: &[("url", "URL"), ("token", TOKEN)],
        refused: ("token", "d3JvbmctdG9rZW4td3JvbmctdG9rZW4="),
        log_type: "intercom:admin_activity",
        late: 1_500,
        events: 2_000,
    };
    check(&case, || Box::new(Intercom));
}
