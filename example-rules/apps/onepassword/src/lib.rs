//! 1Password's events: attempts to sign in, uses of items in shared vaults, what was done in the account.
//!
//! The service gives a cursor with every page, the last one too, and says nothing twice to whom goes on there. When it does not know
//! the cursor any more, events are asked for by time, beginning before the newest one.

use serde::{Deserialize, Serialize};
use streamalert_app_sdk::prelude::*;

/// Events of a page; docs: at most 1,000.
const LIMIT: usize = 1_000;
/// How late events may be where they are asked for by time.
const OVERLAP: i64 = 3600;
/// Seconds to wait when a limit is reached and no header says how long; docs: 600 requests a minute.
const LIMITED: u32 = 60;
const RATE: Option<f64> = Some(8.0);
const HOSTS: &[&str] = &["{url}"];
const SETTINGS: &[Setting] = &[
    Setting::plain(
        "url",
        "Of the account's region: https://events.1password.com, https://events.1password.ca, https://events.1password.eu, \
         https://events.ent.1password.com",
    ),
    Setting::secret("token", "A bearer token of an Events Reporting integration, for this kind of events"),
];

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    /// Where the service says that it goes on.
    after: Option<String>,
    /// Second of the newest event.
    newest: i64,
    /// How far the host's clock was ahead at first.
    #[serde(default)]
    early: i64,
    seen: Seen,
}

pub struct SignInAttempts;

impl App for SignInAttempts {
    const NAME: &'static str = "onepassword_signin_attempts";
    const DESCRIPTION: &'static str = "1Password's sign-in attempts: who, from where, and what came of it";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = HOSTS;
    const LOGS: &'static [&'static str] = &["onepassword:signin_attempt"];
    const RATE: Option<f64> = RATE;

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_token(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        events(ask, http, "signinattempts", "sign-in attempts")
    }
}

pub struct ItemUsages;

impl App for ItemUsages {
    const NAME: &'static str = "onepassword_item_usages";
    const DESCRIPTION: &'static str =
        "1Password's item usages: which items of shared vaults were used, by whom and how";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = HOSTS;
    const LOGS: &'static [&'static str] = &["onepassword:item_usage"];
    const RATE: Option<f64> = RATE;

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_token(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        events(ask, http, "itemusages", "item usages")
    }
}

pub struct AuditEvents;

impl App for AuditEvents {
    const NAME: &'static str = "onepassword_audit_events";
    const DESCRIPTION: &'static str =
        "1Password's audit events: what members did with the account, its users, groups and vaults";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = HOSTS;
    const LOGS: &'static [&'static str] = &["onepassword:audit_event"];
    const RATE: Option<f64> = RATE;

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_token(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        events(ask, http, "auditevents", "audit events")
    }
}

fn validate_token(settings: &Settings) -> Vec<Fault> {
    let token = settings.get("token").unwrap_or_default();
    let parts: Vec<&str> = token.split('.').collect();
    let is_part = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'='))
    };
    if parts.len() == 3 && parts.iter().all(is_part) {
        return vec![];
    }
    vec![Fault::new(
        "token",
        "is no token of an Events Reporting integration: those are three parts with dots between them",
    )]
}

fn events(ask: &Ask, http: &dyn Http, path: &str, what: &str) -> Result<Page, Stop> {
    let mut cursor: Cursor = ask.cursor()?.unwrap_or_default();
    let body = match &cursor.after {
        Some(after) => json!({"cursor": after}),
        None => {
            json!({"limit": LIMIT, "start_time": time::rfc3339((cursor.newest - OVERLAP).max(ask.since - cursor.early))})
        }
    };
    let request = Request::post(format!("{}/api/v2/{path}", ask.base("url"))).bearer(ask.required("token")).json(&body);
    let answer = http.send(request);
    if let Ok(answer) = &answer {
        let said = || {
            let json = answer.json().unwrap_or_default();
            let text = json["Error"]["Message"].as_str().or(json["message"].as_str()).or(json["error"].as_str());
            text.unwrap_or_default().to_owned()
        };
        match answer.status {
            429 => {
                let wait = answer.retry_after().unwrap_or(LIMITED);
                return Err(retry("1Password's limit of requests is reached").after(wait));
            }
            400 | 404 | 410 if cursor.after.is_some() => {
                log::warn("1Password does not know the cursor any more; events are asked for by time");
                cursor.after = None;
                return Ok(page([]).cursor(&cursor).more(true));
            }
            401 | 403 => {
                return Err(reject(format!(
                    "1Password refuses the token ({}: {}): it has to be one of an Events Reporting integration, not expired, that \
                     may read {what}, of an account in this region",
                    answer.status,
                    said()
                )));
            }
            _ => {}
        }
    }
    let answer = fetched(answer)?;
    // The host's clock is ahead, and with it the second from which on logs are wanted: they are asked for from an earlier one.
    let ahead = time::ahead(&answer, ask.now);
    if ask.cursor.is_none() && ahead > 0 {
        cursor.newest = (ask.since - ahead + OVERLAP).max(1);
        cursor.early = ahead;
        return Ok(page([]).cursor(&cursor).more(true));
    }
    let mut events = logs_in(&answer, &["items"])?;
    let newest = events.iter().filter_map(|event| time::seconds(&event.text("timestamp"))).max();
    cursor.newest = cursor.newest.max(newest.unwrap_or(0));
    events.retain(|event| {
        let id = event.text("uuid");
        id.is_empty() || cursor.seen.is_new(&id, cursor.newest)
    });
    cursor.seen.forget(cursor.newest - 2 * OVERLAP);
    let json = answer_json(&answer)?;
    let more = json["has_more"] == true;
    match json["cursor"].as_str().filter(|next| !next.is_empty()) {
        Some(next) => cursor.after = Some(next.to_owned()),
        None if more => return Err(retry("1Password says that there is more, and not where")),
        None => {}
    }
    Ok(page(events).cursor(&cursor).more(more))
}

export_apps!(SignInAttempts, ItemUsages, AuditEvents);

#[cfg(test)]
mod tests;
