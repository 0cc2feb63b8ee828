//! The system log of Okta; docs: "System Log API".

use super::site::{Case, Event, Vendor, base, check, rfc3339, seconds};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

const TOKEN: &str = "00QCjAl4MlV-WPXM-ABCDEFGHIJKLMNOPQRST";

struct Okta;

impl Vendor for Okta {
    fn event(&self, number: usize, at: i64) -> Value {
        json!({
            "actor": {"id": "00u1", "type": "User", "alternateId": "ann@northwind.example", "displayName": "Ann"},
            "authenticationContext": {"externalSessionId": "x"}, "client": {"ipAddress": "198.51.100.7", "zone": "null"},
            "debugContext": {"debugData": {"requestUri": "/login"}}, "displayMessage": "User login to Okta",
            "eventType": "user.session.start", "legacyEventType": null, "outcome": {"result": "SUCCESS", "reason": null},
            "published": rfc3339(at), "request": {"ipChain": []}, "securityContext": {"asNumber": null}, "severity": "INFO",
            "target": null, "transaction": {"type": "WEB", "id": "t"}, "uuid": format!("uuid-{number}"), "version": "0",
        })
    }

    fn id(&self, log: &Value) -> String {
        log["uuid"].as_str().unwrap().into()
    }

    /// Without an end, events come in the order in which they were stored, and there is always a place to go on at. Such a place is
    /// unknown after some hours.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.header("authorization") != format!("SSWS {TOKEN}") {
            return Reply::json(401, json!({"errorCode": "E0000011", "errorSummary": "Invalid token provided"}));
        }
        let limit: usize = seen.query("limit").parse().unwrap_or(100);
        if seen.path != "/api/v1/logs" || limit > 1000 || seen.query("sortOrder") != "ASCENDING" {
            return Reply::text(403, "not as documented");
        }
        let from = match seen.query("after").split_once('_') {
            Some((_, given)) if now - given.parse::<i64>().unwrap() > 5_000 => {
                return Reply::json(400, json!({"errorCode": "E0000031", "errorSummary": "Invalid cursor"}));
            }
            Some((place, _)) => place.parse().unwrap(),
            None => {
                let Some(since) = seconds(seen.query("since")) else { return Reply::text(403, "since is no time") };
                // Of the events since then, the one that was stored first.
                visible.iter().position(|event| event.at >= since).unwrap_or(visible.len())
            }
        };
        let end = (from + limit).min(visible.len());
        let events: Vec<Value> = visible[from.min(end)..end].iter().map(|event| event.log.clone()).collect();
        let url = format!("{}/api/v1/logs?limit={limit}&sortOrder=ASCENDING", base(seen));
        let mut reply = Reply::json(200, events.into());
        reply.headers.push(("Link", format!("<{url}>; rel=\"self\"")));
        reply.headers.push(("Link", format!("<{url}&after={end}_{now}>; rel=\"next\"")));
        reply
    }

    fn limited(&self, now: i64) -> Reply {
        let headers = vec![("X-Rate-Limit-Limit", "60".into()), ("X-Rate-Limit-Reset", (now + 25).to_string())];
        Reply { headers, ..Reply::json(429, json!({"errorCode": "E0000047"})) }
    }
}

#[test]
fn the_system_log() {
    let case = Case {
        kind: "okta_system_log",
        settings: &[("url", "URL"), ("token", TOKEN)],
        refused: ("token", "00wrong-wrong-wrong-wrong-wrong-wrong-wron"),
        log_type: "okta:system",
        late: 1_800,
        events: 4_000,
    };
    check(&case, || Box::new(Okta));
}
