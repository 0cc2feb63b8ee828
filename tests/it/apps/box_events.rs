//! The events of Box; docs: "Get events", "Authentication with JWT".

use super::site::{Case, Event, Vendor, check, seconds};
use super::tokens;
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const KEYFILE: &str = concat!(
    r#"{"boxAppSettings": {"clientID": "c1ient", "clientSecret": "s3cret", "appAuth": {"publicKeyID": "k1", "passphrase": "hunter2", "privateKey": ""#,
    include_str!("../../../rule-sdk/rust-app/testdata/des.json"),
    r#""}}, "enterpriseID": "801234"}"#
);
const WRONG: &str = concat!(
    r#"{"boxAppSettings": {"clientID": "c1ient", "clientSecret": "wr0ng-wr0ng", "appAuth": {"publicKeyID": "k1", "passphrase": "hunter2", "privateKey": ""#,
    include_str!("../../../rule-sdk/rust-app/testdata/des.json"),
    r#""}}, "enterpriseID": "801234"}"#
);

const UNITS: i64 = 100_000_000;
const EPOCH: i64 = 1_767_000_000;

#[derive(Default)]
struct Enterprise {
    assertions: BTreeSet<String>,
}

impl Vendor for Enterprise {
    fn event(&self, number: usize, at: i64) -> Value {
        // Times have the zone of Box's servers.
        let at = jiff::Timestamp::from_second(at - 8 * 3600).unwrap().strftime("%Y-%m-%dT%H:%M:%S-08:00").to_string();
        json!({
            "source": {"type": "user", "id": "2", "login": "ann@northwind.example"}, "type": "event", "event_type": "LOGIN",
            "created_by": {"type": "user", "id": "2", "name": "Ann", "login": "ann@northwind.example"}, "created_at": at,
            "event_id": format!("f1e2-{number}"), "ip_address": "198.51.100.7", "session_id": null, "additional_details": null,
            "action_by": null,
        })
    }

    fn id(&self, log: &Value) -> String {
        log["event_id"].as_str().unwrap().into()
    }

    /// In order of their becoming visible, from a place on that Box forgets after some hours.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.path == "/oauth2/token" {
            let claims = match tokens::claims(seen) {
                Ok(claims) => claims,
                Err(why) => return Reply::text(401, &why),
            };
            let refused = |why: &str| Reply::json(400, json!({"error": "invalid_grant", "error_description": why}));
            let until = claims["exp"].as_i64().unwrap_or(0);
            return match () {
                () if tokens::form(seen, "client_id") != "c1ient"
                    || tokens::form(seen, "client_secret") != "s3cret" =>
                {
                    Reply::json(
                        400,
                        json!({"error": "invalid_client", "error_description": "The client credentials are invalid"}),
                    )
                }
                () if claims["sub"] != "801234" || claims["box_sub_type"] != "enterprise" => {
                    refused("Please check the 'sub' claim.")
                }
                () if until <= now || until > now + 60 => refused("Please check the 'exp' claim."),
                () if !self.assertions.insert(claims["jti"].to_string()) => {
                    refused("A unique 'jti' value is required.")
                }
                () => Reply::json(200, json!({"access_token": "t0ken", "expires_in": 4000, "token_type": "bearer"})),
            };
        }
        if seen.header("authorization") != "Bearer t0ken" {
            return Reply::text(401, "no token");
        }
        let limit: usize = seen.query("limit").parse().unwrap_or(100);
        if seen.path != "/2.0/events" || limit > 500 || seen.query("stream_type") != "admin_logs" {
            return Reply::text(403, "not as documented");
        }
        // The number of the next event, and when that was said.
        let position =
            seen.query("stream_position").parse::<i64>().ok().map(|told| (told / UNITS, EPOCH + told % UNITS));
        let from = match position {
            Some((_, given)) if now - given > 6_000 => return Reply::json(400, json!({"code": "bad_request"})),
            Some((place, _)) => place as usize - 1,
            None => {
                let Some(after) = seconds(seen.query("created_after")) else {
                    return Reply::text(403, "created_after is no time");
                };
                visible.iter().position(|event| event.at >= after).unwrap_or(visible.len())
            }
        };
        let end = (from + limit).min(visible.len());
        let entries: Vec<&Value> = visible[from.min(end)..end].iter().map(|event| &event.log).collect();
        let next = (end as i64 + 1) * UNITS + (now - EPOCH);
        Reply::json(200, json!({"chunk_size": entries.len(), "next_stream_position": next, "entries": entries}))
    }
}

#[test]
fn admin_events() {
    let case = Case {
        kind: "box_admin_events",
        settings: &[("url", "URL"), ("keyfile", KEYFILE)],
        refused: ("keyfile", WRONG),
        log_type: "box:admin_events",
        late: 3 * 3600,
        events: 3_000,
    };
    check(&case, || Box::<Enterprise>::default());
}
