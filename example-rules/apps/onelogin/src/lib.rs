//! OneLogin's events: logins, changes of users, apps, roles and policies.
//!
//! A token is made for each poll, and does for several pages. Their cursors are numbers of pages: what is put among them in the
//! meantime moves the others on, so that some come twice.

use streamalert_app_sdk::prelude::*;

mod api;

use api::Api;

pub struct Events;

/// Events of a page. The service may give fewer.
const LIMIT: usize = 1_000;
/// Pages of a poll.
const PAGES: usize = 10;
/// OneLogin does not say how late events may be; those of directories and of provisioning come some minutes later.
const OVERLAP: Overlap = Overlap::minutes(30);

impl App for Events {
    const NAME: &'static str = "onelogin_events";
    const DESCRIPTION: &'static str = "OneLogin's events: logins, changes of users, apps, roles and policies";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain(
            "url",
            "Of the account: https://acme.onelogin.com; or of its region: https://api.us.onelogin.com, https://api.eu.onelogin.com",
        ),
        Setting::secret("client_id", "Of API credentials that may `Read All`: 64 letters and digits"),
        Setting::secret("client_secret", "Of the API credentials: 64 letters and digits"),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const LOGS: &'static [&'static str] = &["onelogin:events"];
    // docs: 5,000 requests an hour.
    const RATE: Option<f64> = Some(1.3);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        for name in ["client_id", "client_secret"] {
            let value = settings.get(name).unwrap_or_default();
            if value.len() != 64 || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                faults.push(Fault::new(name, "is 64 letters and digits"));
            }
        }
        faults
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let api = Api::log_in(ask, http)?;
        let mut token = round.token().map(str::to_owned);
        let mut events = Vec::new();
        for number in 0..PAGES {
            let mut parameters = vec![
                ("since", time::rfc3339_millis(round.from() * 1000)),
                ("until", time::rfc3339_millis((round.until() + 1) * 1000)),
                ("limit", LIMIT.to_string()),
            ];
            if let Some(cursor) = &token {
                parameters.push(("after_cursor", cursor.clone()));
            }
            let answer = match api.get("/api/1/events", &parameters) {
                Ok(answer) => answer,
                // What is there by now is handed on.
                Err(Stop::Retry { reason, after }) if number > 0 => {
                    log::warn(format!("later pages have to wait: {reason}"));
                    return Ok(round.next(events, token).wait(after));
                }
                Err(stop) => return Err(stop),
            };
            if number == 0 {
                round.heard(&answer);
            }
            events.extend(round.fresh(logs_in(&answer, &["data"])?, |event| event.text("id")));
            token = match answer_text(&answer, &["pagination", "after_cursor"])? {
                Some(cursor) => Some(cursor),
                None => answer_text(&answer, &["pagination", "next_link"])?
                    .and_then(|next| query_of(&next, "after_cursor"))
                    .filter(|cursor| !cursor.is_empty()),
            };
            if token.is_none() {
                break;
            }
        }
        Ok(round.next(events, token))
    }
}

export_apps!(Events);

#[cfg(test)]
mod tests;
