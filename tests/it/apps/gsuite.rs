//! The reports of Google Workspace; docs: "Reports API".

use super::site::{Case, Event, Vendor, check, http_date, page, rfc3339, seconds};
use super::tokens;
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};

/// A service account whose key is that of the SDK's tests.
const KEYFILE: &str = concat!(
    r#"{"type": "service_account", "client_email": "sa@p.iam.gserviceaccount.com", "private_key": ""#,
    include_str!("../../../rule-sdk/rust-app/testdata/plain.json"),
    r#""}"#
);
/// Another one's, which Google does not know.
const WRONG: &str = concat!(
    r#"{"type": "service_account", "client_email": "other@p.iam.gserviceaccount.com", "private_key": ""#,
    include_str!("../../../rule-sdk/rust-app/testdata/plain.json"),
    r#""}"#
);

#[derive(Default)]
struct Google {
    requests: u64,
}

impl Vendor for Google {
    fn event(&self, number: usize, at: i64) -> Value {
        json!({
            "kind": "admin#reports#activity", "etag": "", "ipAddress": "198.51.100.7",
            "id": {"time": rfc3339(at), "uniqueQualifier": format!("-{number}"), "applicationName": "login", "customerId": "C0"},
            "actor": {"email": "ann@northwind.example", "profileId": "1"},
            "events": [{"type": "login", "name": "login_success", "parameters": [{"name": "login_type", "value": "exchange"}]}],
        })
    }

    fn id(&self, log: &Value) -> String {
        log["id"]["uniqueQualifier"].as_str().unwrap().into()
    }

    /// The newest first; a tag that is another in each answer; tokens of pages that are good for an hour.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        self.requests += 1;
        if seen.path == "/token" {
            let claims = match tokens::claims(seen) {
                Ok(claims) => claims,
                Err(why) => return Reply::text(401, &why),
            };
            let (issued, until) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
            let refused = |why: &str| Reply::json(400, json!({"error": "invalid_grant", "error_description": why}));
            return match () {
                () if claims["iss"] != "sa@p.iam.gserviceaccount.com" => refused("Invalid grant: account not found"),
                () if claims["aud"] != "https://oauth2.googleapis.com/token" => refused("Invalid audience"),
                () if (issued - now).abs() > 300 || until > now + 3_900 => refused(
                    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
                ),
                () => {
                    Reply::json(200, json!({"access_token": "ya29.t0ken", "expires_in": 3599, "token_type": "Bearer"}))
                }
            };
        }
        if seen.header("authorization") != "Bearer ya29.t0ken" {
            return Reply::text(401, "no token");
        }
        let limit: usize = seen.query("maxResults").parse().unwrap_or(0);
        let (Some(from), Some(to)) = (seconds(seen.query("startTime")), seconds(seen.query("endTime"))) else {
            return Reply::text(403, "startTime and endTime are times");
        };
        let path = "/admin/reports/v1/activity/users/all/applications/login";
        if seen.path != path || !(1..=1000).contains(&limit) || from > now + 60 || to > now + 60 {
            return Reply::text(403, "not as documented");
        }
        let mut all: Vec<&Event> = visible.iter().filter(|event| (from..to).contains(&event.at)).collect();
        all.sort_by_key(|event| (-event.at, self.id(&event.log)));
        // By the last activity of the page before, so that none is left out when others become visible meanwhile.
        let start = match seen.query("pageToken").split_once('|') {
            Some((_, given)) if now - given.parse::<i64>().unwrap() > 3_600 => {
                return Reply::text(400, "Invalid Value");
            }
            Some((last, _)) => all.iter().position(|event| self.id(&event.log) == last).map_or(0, |at| at + 1),
            None => 0,
        };
        let (logs, next) = page(&all, start, limit);
        let mut answer = json!({"kind": "admin#reports#activities", "etag": self.requests.to_string()});
        if let Some(last) = next.and(logs.last()) {
            answer["nextPageToken"] = format!("{}|{now}", self.id(&last.log)).into();
        }
        let tagged = |event: &&Event| {
            let mut log = event.log.clone();
            log["etag"] = format!("\"{}\"", self.requests).into();
            log
        };
        answer["items"] = logs.iter().map(tagged).collect();
        Reply::json(200, answer)
    }

    fn limited(&self, now: i64) -> Reply {
        let reasons = json!([{"reason": "rateLimitExceeded", "message": http_date(now)}]);
        Reply::json(403, json!({"error": {"code": 403, "errors": reasons}}))
    }
}

#[test]
fn reports() {
    let case = Case {
        kind: "gsuite_reports",
        settings: &[
            ("url", "URL"),
            ("application", "login"),
            ("delegation_email", "admin@northwind.example"),
            ("keyfile", KEYFILE),
        ],
        refused: ("keyfile", WRONG),
        log_type: "gsuite:reports",
        late: 4 * 3600,
        events: 5_000,
    };
    check(&case, || Box::<Google>::default());
}
