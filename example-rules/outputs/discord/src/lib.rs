//! Alerts go to a channel of Discord, by a webhook.

mod message;
#[cfg(test)]
mod tests;

use brief::{answer_or, send_parts};
use streamalert_output_sdk::prelude::*;

struct Discord;

impl Output for Discord {
    const SERVICE: &'static str = "discord";
    const DESCRIPTION: &'static str = "Posts to the channel of a webhook, long alerts as several messages";
    const SETTINGS: &'static [Setting] = &[Setting::secret(
        "url",
        "URL of the webhook, https://discord.com/api/webhooks/...; `?thread_id=` may stand behind it",
    )];
    const HOSTS: &'static [&'static str] = &["{url}"];
    /// A channel takes 30 messages of webhooks a minute.
    const RATE: Option<f64> = Some(0.5);

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        // Without `wait`, Discord says yes before it has looked at the message.
        let request = |message: &Value| Request::post(parcel.required("url")).query("wait", "true").json(message);
        let requests = message::messages(parcel).iter().map(request).collect();
        send_parts(parcel, http, requests, read)
    }
}

fn read(result: Result<Response, Failure>) -> Disposition {
    let body = result.as_ref().ok().and_then(Response::json).unwrap_or_default();
    match answer_or(result, &[(401, "`url`"), (403, "`url`"), (404, "`url`")]) {
        Disposition::Delivered(_) => {
            Disposition::Delivered(body["id"].as_str().map(|id| format!("message {}", plain(id))))
        }
        // The body has the time more exactly than the header, and in any case.
        Disposition::Retry { after: None, reason, progress } => {
            let wait = body["retry_after"].as_f64().filter(|wait| (0.0..1e6).contains(wait));
            Disposition::Retry { after: wait.map(|wait| wait.ceil() as u32), reason, progress }
        }
        other => other,
    }
}

export_output!(Discord);
