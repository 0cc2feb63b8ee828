//! Duo's logs: authentications by version 2 of the Admin API, administrators' actions by version 1, which is the only one that has them.

mod signed;

use signed::{Duo, SETTINGS};
use streamalert_app_sdk::prelude::*;

/// Logs of a page; docs: at most 1,000 of either kind.
const LIMIT: usize = 1_000;
/// Duo shows logs two minutes after they happened, and some later.
const OVERLAP: Overlap = Overlap::minutes(10);

pub struct Authentication;

impl App for Authentication {
    const NAME: &'static str = "duo_auth";
    const DESCRIPTION: &'static str =
        "Duo's authentication log: who was asked for a second factor, and what came of it";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = &["{api_hostname}"];
    const LOGS: &'static [&'static str] = &["duo:authentication"];
    const RATE: Option<f64> = Some(1.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        signed::validate(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let mut parameters = vec![
            ("limit", LIMIT.to_string()),
            ("maxtime", ((round.until() + 1) * 1000).to_string()),
            ("mintime", (round.from() * 1000).to_string()),
            ("sort", "ts:asc".to_owned()),
        ];
        if let Some(token) = round.token() {
            parameters.push(("next_offset", token.to_owned()));
        }
        let answer = Duo::of(ask, http).get("/admin/v2/logs/authentication", parameters)?;
        round.heard(&answer);
        let logs = logs_in(&answer, &["response", "authlogs"])?;
        // A time and an id, to be given back with a comma between them.
        let json = answer_json(&answer)?;
        let next = match &json["response"]["metadata"]["next_offset"] {
            Value::Array(parts) => Some(
                parts
                    .iter()
                    .map(|part| part.as_str().map_or(part.to_string(), str::to_owned))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            Value::String(next) => Some(next.clone()),
            _ => None,
        };
        let logs = round.fresh(logs, |log| log.text("txid"));
        Ok(round.next(logs, next.filter(|next| !next.is_empty())))
    }
}

pub struct Administrator;

impl App for Administrator {
    const NAME: &'static str = "duo_admin";
    const DESCRIPTION: &'static str = "Duo's administrator log: logins of administrators, and what they changed";
    const SETTINGS: &'static [Setting] = SETTINGS;
    const HOSTS: &'static [&'static str] = &["{api_hostname}"];
    const LOGS: &'static [&'static str] = &["duo:administrator"];
    const RATE: Option<f64> = Some(1.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        signed::validate(settings)
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let from: i64 = round.token().and_then(|token| token.parse().ok()).unwrap_or(round.from());
        let answer = Duo::of(ask, http).get("/admin/v1/logs/administrator", vec![("mintime", from.to_string())])?;
        round.heard(&answer);
        let logs = logs_in(&answer, &["response"])?;
        // The next page begins in the second of the last log, of which there may be more. If all are of one second, that cannot be
        // told from its beginning, and the rest of it is out of reach.
        let last = logs.iter().filter_map(|log| log.get(&["timestamp"]).as_i64()).max();
        let next = last.filter(|_| logs.len() >= LIMIT).map(|last| {
            if last == from {
                log::warn(format!("{LIMIT} administrator logs of second {from}; further ones cannot be fetched"));
            }
            last.max(from + 1).to_string()
        });
        // They have no id: the whole text is one.
        let logs = round.fresh(logs, |log| log.json().to_owned());
        Ok(round.next(logs, next))
    }
}

export_apps!(Authentication, Administrator);

#[cfg(test)]
mod tests;
