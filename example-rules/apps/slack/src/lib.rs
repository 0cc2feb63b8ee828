//! Slack's logs of a workspace: who used it from where, and what was done to its apps and integrations.
//!
//! Both lists begin with the newest. They are read down to the beginning of the round, so that it does not matter what is put on
//! top of them in the meantime: it is there in the next round.

use streamalert_app_sdk::prelude::*;

mod web;

use web::{SETTINGS, call, descending_to, validate_settings};

/// Entries of a page; docs: fewer than 1,000 by cursor, 1,000 by number.
const LIMIT: usize = 999;
const COUNT: usize = 1_000;
/// Docs: no page beyond this one can be asked for.
const LAST_PAGE: u32 = 100;
/// Slack does not say how late entries may be.
const OVERLAP: Overlap = Overlap::minutes(60);

pub struct Access;

impl App for Access {
    const NAME: &'static str = "slack_access";
    const DESCRIPTION: &'static str =
        "Slack's access log: each user, address and client, when it was first and last seen, how often";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = &["slack.com", "{url}"];
    const LOGS: &'static [&'static str] = &["slack:access"];
    // docs: tier 2, 20 requests a minute.
    const RATE: Option<f64> = Some(0.33);

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_settings(settings)
    }

    /// An entry is of a user, an address and a client. It changes when they come again, and is a log then once more.
    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let mut parameters = vec![("limit", LIMIT.to_string()), ("before", round.until().to_string())];
        if let Some(cursor) = round.token() {
            parameters.push(("cursor", cursor.to_owned()));
        }
        let answer = match call(ask, http, "team.accessLogs", &parameters)? {
            web::Answer::Good(answer) => answer,
            web::Answer::CursorIsGone => return round.again(),
        };
        round.heard(&answer);
        let logs = logs_in(&answer, &["logins"])?;
        let next = answer_text(&answer, &["response_metadata", "next_cursor"])?;
        let more = !descending_to(&logs, "date_last", round.from());
        let wanted = logs.into_iter().filter(|log| is_since(log, "date_last", round.from())).collect();
        let logs = round.fresh(wanted, |log| log.json().to_owned());
        Ok(round.next(logs, next.filter(|_| more)))
    }
}

pub struct Integration;

impl App for Integration {
    const NAME: &'static str = "slack_integration";
    const DESCRIPTION: &'static str =
        "Slack's integration log: apps and services that were added, removed, enabled, disabled, changed";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = &["slack.com", "{url}"];
    const LOGS: &'static [&'static str] = &["slack:integration"];
    // docs: tier 2, 20 requests a minute.
    const RATE: Option<f64> = Some(0.33);

    fn validate(settings: &Settings) -> Vec<Fault> {
        validate_settings(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let number: u32 = round.token().and_then(|token| token.parse().ok()).unwrap_or(1);
        let parameters = vec![("count", COUNT.to_string()), ("page", number.to_string())];
        let answer = match call(ask, http, "team.integrationLogs", &parameters)? {
            web::Answer::Good(answer) => answer,
            web::Answer::CursorIsGone => return round.again(),
        };
        round.heard(&answer);
        let logs = logs_in(&answer, &["logs"])?;
        let pages = answer_json(&answer)?["paging"]["pages"].as_u64().unwrap_or(1);
        let mut more = u64::from(number) < pages && !descending_to(&logs, "date", round.from());
        if more && number >= LAST_PAGE {
            log::warn("Slack gives no more than 100,000 entries of its integration log; older ones are out of reach");
            more = false;
        }
        let wanted = logs.into_iter().filter(|log| is_since(log, "date", round.from())).collect();
        // They have no id: the whole text is one.
        let logs = round.fresh(wanted, |log| log.json().to_owned());
        Ok(round.next(logs, more.then(|| (number + 1).to_string())))
    }
}

/// Whether the log is of this second or later. One that does not say is.
fn is_since(log: &Log, key: &str, from: i64) -> bool {
    web::second(log, key).is_none_or(|second| second >= from)
}

export_apps!(Access, Integration);

#[cfg(test)]
mod tests;
