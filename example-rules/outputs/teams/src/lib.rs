//! Alerts go to a channel or chat of Microsoft Teams, by a workflow that waits for a webhook.

mod card;
#[cfg(test)]
mod tests;

use brief::{answer_or, send_parts};
use streamalert_output_sdk::prelude::*;

struct Teams;

impl Output for Teams {
    const SERVICE: &'static str = "teams";
    const DESCRIPTION: &'static str =
        "Posts Adaptive Cards by a workflow that starts when a Teams webhook request is received";
    const SETTINGS: &'static [Setting] = &[Setting::secret(
        "url",
        "URL of the workflow's trigger; those of connectors, which Microsoft retired, no longer work",
    )];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const RATE: Option<f64> = Some(1.0);

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let request = |card: String| {
            // Without a charset, what counts as 28 KB is said to be the text in UTF-16.
            Request::post(parcel.required("url")).bytes("application/json; charset=utf-8", card)
        };
        send_parts(parcel, http, card::messages(parcel).into_iter().map(request).collect(), read)
    }

    fn validate(settings: &Settings) -> Vec<Fault> {
        let host = settings.get("url").and_then(|url| Url::parse(url).ok()).map(|url| url.host().to_owned());
        match host {
            Some(host) if host.ends_with(".webhook.office.com") || host == "outlook.office.com" => vec![Fault::new(
                "url",
                "is that of an Office 365 connector; Microsoft retired those: make a workflow from the template \
                 `Send webhook alerts to a channel`, and take its URL",
            )],
            _ => vec![],
        }
    }
}

/// A workflow says 202 before it posts. What comes of it later is in its run history, and only there.
fn read(result: Result<Response, Failure>) -> Disposition {
    if let Ok(response) = &result
        && response.is_success()
    {
        let text = response.text();
        if text.contains("message delivery failed") {
            let reason = shorten(&plain(&text), Max::Utf16(300)).into_owned();
            let is_final = ["400", "403", "404", "413"].iter().any(|code| text.contains(&format!("HTTP error {code}")));
            return if is_final { Disposition::Reject(reason) } else { retry(reason) };
        }
    }
    answer_or(result, &[(401, "`url` and who may trigger the flow"), (403, "`url`"), (404, "`url`"), (410, "`url`")])
}

export_output!(Teams);
