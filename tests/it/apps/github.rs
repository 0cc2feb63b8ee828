//! The audit log of GitHub; docs: "REST API endpoints for organization audit logs".

use super::samples::sample;
use super::site::{Case, Event, Vendor, base, check, seconds};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

struct GitHub;

impl Vendor for GitHub {
    fn event(&self, number: usize, at: i64) -> Value {
        let mut event = sample("github:audit", 0);
        event["_document_id"] = format!("document-{number}").into();
        event["@timestamp"] = (at * 1000 + number as i64 % 1000).into();
        event
    }

    fn id(&self, log: &Value) -> String {
        log["_document_id"].as_str().unwrap().into()
    }

    /// Sorted by time; a place is behind an event, and what becomes visible before it later is behind nobody's place.
    fn answer(&mut self, seen: &Seen, visible: &[Event], _: i64) -> Reply {
        let refused = |status: u16, message: &str| Reply::json(status, json!({"message": message}));
        if seen.header("authorization") != format!("Bearer {TOKEN}") {
            return refused(401, "Bad credentials");
        }
        if seen.path != "/orgs/northwind/audit-log" || seen.header("user-agent").is_empty() {
            return refused(404, "Not Found");
        }
        let limit: usize = seen.query("per_page").parse().unwrap_or(30);
        let range = seen.query("phrase").strip_prefix("created:").and_then(|range| range.split_once(".."));
        let range = range.and_then(|(from, until)| Some((seconds(from)?, seconds(until)?)));
        let Some((from, until)) = range.filter(|_| limit <= 100 && seen.query("include") == "all") else {
            return refused(400, "not as documented");
        };
        let place = |event: &Event| (event.log["@timestamp"].as_i64().unwrap(), event.log["_document_id"].to_string());
        let mut events: Vec<&Event> = visible.iter().filter(|event| (from..=until).contains(&event.at)).collect();
        events.sort_by_key(|event| place(event));
        if let Some((at, id)) = seen.query("after").split_once('|') {
            let after = (at.parse().unwrap(), id.to_owned());
            events.retain(|event| place(event) > after);
        }
        let more = events.len() > limit;
        events.truncate(limit);
        let mut reply = Reply::json(200, events.iter().map(|event| event.log.clone()).collect());
        if let Some(last) = events.last().filter(|_| more) {
            let (at, id) = place(last);
            let here = format!("{}/organizations/1/audit-log?per_page={limit}", base(seen));
            let id = id.replace('"', "%22");
            reply
                .headers
                .push(("Link", format!("<{here}&after={at}%7C{id}&before=>; rel=\"next\", <{here}>; rel=\"first\"")));
        }
        reply
    }

    fn limited(&self, now: i64) -> Reply {
        let headers = vec![("X-RateLimit-Remaining", "0".into()), ("X-RateLimit-Reset", (now + 40).to_string())];
        Reply { headers, ..Reply::json(403, json!({"message": "API rate limit exceeded for user ID 1."})) }
    }
}

#[test]
fn the_audit_log_of_an_organization() {
    let case = Case {
        kind: "github_audit",
        settings: &[("url", "URL"), ("organization", "northwind"), ("token", TOKEN)],
        refused: ("token", "ghp_wrong-wrong-wrong-wrong-wrong-wrong"),
        log_type: "github:audit",
        late: 1_500,
        events: 1_500,
    };
    check(&case, || Box::new(GitHub));
}
