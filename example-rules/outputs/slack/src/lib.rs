//! Alerts go to a channel of Slack, by an incoming webhook.

mod message;
#[cfg(test)]
mod tests;

use brief::{answer_or, send_parts};
use streamalert_output_sdk::prelude::*;

struct Slack;

impl Output for Slack {
    const SERVICE: &'static str = "slack";
    const DESCRIPTION: &'static str = "Posts to the channel of an incoming webhook, long alerts as several messages";
    const SETTINGS: &'static [Setting] = &[Setting::secret(
        "url",
        "URL of the incoming webhook, https://hooks.slack.com/services/...; one of GovSlack, Mattermost or Rocket.Chat will do",
    )];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const RATE: Option<f64> = Some(1.0);

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let messages = message::messages(parcel);
        let requests = messages.iter().map(|message| Request::post(parcel.required("url")).json(message)).collect();
        send_parts(parcel, http, requests, read)
    }
}

/// Slack answers `ok`, or 4xx with a word: `invalid_payload`, `channel_is_archived`. Workflows answer with JSON.
fn read(result: Result<Response, Failure>) -> Disposition {
    if let Ok(response) = &result
        && response.is_success()
        && let Some(Value::Object(body)) = response.json()
        && body.get("ok") == Some(&Value::Bool(false))
    {
        let error = body.get("error").and_then(Value::as_str).unwrap_or("no reason given");
        return Disposition::reject(format!("Slack refuses the message: {}; check `url`", plain(error)));
    }
    // 410: the channel is archived.
    answer_or(result, &[(401, "`url`"), (403, "`url`"), (404, "`url`"), (410, "the channel of `url`")])
}

export_output!(Slack);
