//! CrowdStrike Falcon: alerts of endpoints, identities, cloud and the rest, and sessions on hosts by Real Time Response.
//!
//! Event streams are no pages, so what can be asked for is fetched.

use streamalert_app_sdk::prelude::*;

mod api;

use api::Api;

/// By the time of their last change, oldest first. The token of a page names the last alert before it, so that one that changes
/// meanwhile moves no other; it comes again in the next round.
pub struct Alerts;

/// Alerts of a page; docs: at most 1,000. They are of some 20 KB each, and an answer is to be less than 8 MiB.
const LIMIT: usize = 200;
/// Pages of a poll: one token does for them.
const PAGES: usize = 5;
/// CrowdStrike does not say how late alerts may be.
const OVERLAP: Overlap = Overlap::minutes(30);
/// docs: 6,000 requests a minute, of all API clients of a customer together.
const RATE: Option<f64> = Some(10.0);

const URL: Setting = Setting::plain(
    "url",
    "Of the cloud: https://api.crowdstrike.com, https://api.us-2.crowdstrike.com, https://api.eu-1.crowdstrike.com, \
     https://api.laggar.gcw.crowdstrike.com",
);
const CLIENT_ID: Setting =
    Setting::plain("client_id", "Of an API client with the scope `Alerts: Read` or `Real time response (audit): Read`");
const CLIENT_SECRET: Setting = Setting::secret("client_secret", "Of the API client");
const MEMBER_CID: Setting =
    Setting::plain("member_cid", "The customer id of the child, for a parent's API client").optional();
const FILTER: Setting = Setting::plain("filter", "Only those of this FQL filter, such as product:'epp'").optional();

impl App for Alerts {
    const NAME: &'static str = "crowdstrike_alerts";
    const DESCRIPTION: &'static str =
        "CrowdStrike Falcon's alerts of endpoints, identities, cloud and mobile devices, and each of their changes";
    const SETTINGS: &'static [Setting] = &[URL, CLIENT_ID, CLIENT_SECRET, MEMBER_CID, FILTER];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const LOGS: &'static [&'static str] = &["crowdstrike:alert"];
    const RATE: Option<f64> = RATE;

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_client(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let api = Api::log_in(ask, http, "Alerts: Read")?;
        let mut filter = format!(
            "updated_timestamp:>='{}'+updated_timestamp:<='{}'",
            time::rfc3339(round.from()),
            time::rfc3339(round.until())
        );
        if let Some(only) = ask.setting("filter") {
            filter += &format!("+({only})");
        }
        let mut token = round.token().map(str::to_owned);
        let mut alerts = Vec::new();
        for number in 0..PAGES {
            let mut body = json!({"filter": filter, "sort": "updated_timestamp|asc", "limit": LIMIT});
            if let Some(after) = &token {
                body["after"] = after.as_str().into();
            }
            let answer = match api.post("/alerts/combined/alerts/v1", &body) {
                Ok(api::Answer::Good(answer)) => answer,
                Ok(api::Answer::Wrong(reason)) if token.is_some() => {
                    log::warn(format!("the round begins again, since its place is not known any more: {reason}"));
                    return Ok(Page { logs: page(alerts).logs, ..round.again()? });
                }
                Ok(api::Answer::Wrong(reason)) => return Err(reject(reason)),
                // What is there by now is handed on.
                Err(Stop::Retry { reason, after }) if number > 0 => {
                    log::warn(format!("later pages have to wait: {reason}"));
                    return Ok(round.next(alerts, token).wait(after));
                }
                Err(stop) => return Err(stop),
            };
            if number == 0 {
                round.heard(&answer);
            }
            let found = logs_in(&answer, &["resources"])?;
            let full = !found.is_empty();
            alerts.extend(round.fresh(found, |alert| {
                let id = alert.text("composite_id");
                if id.is_empty() { id } else { format!("{id} {}", alert.text("updated_timestamp")) }
            }));
            token = answer_text(&answer, &["meta", "pagination", "after"])?.filter(|_| full);
            if token.is_none() {
                break;
            }
        }
        Ok(round.next(alerts, token))
    }
}

/// Sessions that were opened lately, as they are by now: one that goes on comes again with what was done in it.
///
/// Their time of beginning, by which they are sorted, does not change, so that pages that are counted from the first on lose none.
pub struct Sessions;

/// Sessions of a page.
const SESSIONS: usize = 200;
/// For how long after its beginning a session is looked at.
const SESSION: Overlap = Overlap::hours(24);

impl App for Sessions {
    const NAME: &'static str = "crowdstrike_rtr_sessions";
    const DESCRIPTION: &'static str =
        "CrowdStrike Falcon's audit of Real Time Response: who opened a session on which host, and did what";
    const SETTINGS: &'static [Setting] = &[URL, CLIENT_ID, CLIENT_SECRET, MEMBER_CID, FILTER];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const LOGS: &'static [&'static str] = &["crowdstrike:rtr_session"];
    const RATE: Option<f64> = RATE;

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_client(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, SESSION)?;
        let api = Api::log_in(ask, http, "Real time response (audit): Read")?;
        let mut filter =
            format!("created_at:>='{}'+created_at:<='{}'", time::rfc3339(round.from()), time::rfc3339(round.until()));
        if let Some(only) = ask.setting("filter") {
            filter += &format!("+({only})");
        }
        let from: usize = round.token().and_then(|token| token.parse().ok()).unwrap_or(0);
        let parameters = [
            ("filter", filter),
            ("sort", "created_at|asc".to_owned()),
            ("limit", SESSIONS.to_string()),
            ("offset", from.to_string()),
            ("with_command_info", "true".to_owned()),
        ];
        let answer = match api.get("/real-time-response-audit/combined/sessions/v1", &parameters)? {
            api::Answer::Good(answer) => answer,
            api::Answer::Wrong(reason) => return Err(reject(reason)),
        };
        round.heard(&answer);
        let sessions = logs_in(&answer, &["resources"])?;
        let total = answer_json(&answer)?["meta"]["pagination"]["total"].as_u64();
        let end = from + sessions.len();
        let more = match total {
            Some(total) => !sessions.is_empty() && (end as u64) < total,
            None => sessions.len() >= SESSIONS,
        };
        // What changed since is another log.
        let sessions = round.fresh(sessions, |session| session.json().to_owned());
        Ok(round.next(sessions, more.then(|| end.to_string())))
    }
}

fn validate_client(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = settings.get("client_id").unwrap_or_default();
    if id.len() != 32 || !is_hex(id) {
        faults.push(Fault::new("client_id", "is 32 hexadecimal digits"));
    }
    let secret = settings.get("client_secret").unwrap_or_default();
    if secret.len() != 40 || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        faults.push(Fault::new("client_secret", "is 40 letters and digits"));
    }
    if settings.get("member_cid").is_some_and(|cid| !is_hex(cid.split('-').next().unwrap_or_default())) {
        faults.push(Fault::new("member_cid", "is hexadecimal digits"));
    }
    faults
}

export_apps!(Alerts, Sessions);

#[cfg(test)]
mod tests;
