//! Alerts go into an index of Splunk, by its HTTP Event Collector.

#[cfg(test)]
mod tests;

use brief::{accepted_or, base, told};
use streamalert_output_sdk::prelude::*;

/// Splunk Cloud takes a million bytes; a server what it is told to.
const EVENT_BYTES: usize = 950_000;
/// Of a record that is too large, as text; JSON may double it.
const RECORD_MAX: Max = Max::Bytes(300_000);
const WORD_MAX: Max = Max::Bytes(1_000);

struct Splunk;

impl Output for Splunk {
    const SERVICE: &'static str = "splunk";
    const DESCRIPTION: &'static str = "Sends the publication to an HTTP Event Collector";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "https://splunk.example.com:8088, without /services/..."),
        Setting::secret("token", "Token of the collector"),
        Setting::plain("index", "If not that of the token").optional(),
        Setting::plain("sourcetype", "[default: _json]").optional(),
        Setting::plain("source", "[default: streamalert]").optional(),
        Setting::plain("host", "If not the one that sends").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    // Not idempotent: a repeat is another event. Its field `streamalert_key` tells them apart from others.

    fn validate(settings: &Settings) -> Vec<Fault> {
        match settings.get("url").is_some_and(|url| url.contains("/services/collector")) {
            true => vec![Fault::new("url", "ends before /services/collector")],
            false => vec![],
        }
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let request = Request::post(format!("{}/services/collector/event", base(parcel, "url", "")))
            .header("Authorization", format!("Splunk {}", parcel.required("token")))
            .json(&event(parcel));
        read(http.send(request))
    }
}

export_output!(Splunk);

fn read(result: Result<Response, Failure>) -> Disposition {
    let code = result.as_ref().ok().and_then(Response::json).and_then(|body| body["code"].as_u64());
    let hints = [(401, "`token`"), (403, "`token`, and whether it is enabled"), (404, "`url`")];
    match (accepted_or(result, &hints), code) {
        (Ok(_), None | Some(0)) => Disposition::Delivered(None),
        // The server is busy, its queue is full, it is shutting down: whatever the status.
        (Ok(_), Some(code)) if is_busy(code) => retry(format!("Splunk answers with code {code}")),
        (Err(Disposition::Reject(reason)), Some(code)) if is_busy(code) => retry(reason),
        (Ok(_), Some(code)) => Disposition::reject(format!("Splunk answers with code {code}")),
        // The index is none that the token may write to.
        (Err(Disposition::Reject(reason)), Some(7)) => Disposition::Reject(format!("{reason}; check `index`")),
        (Err(other), _) => other,
    }
}

/// 8 internal error, 9 busy, 18 to 20 unhealthy queues, 23 shutting down, 26 and 27 full queues.
fn is_busy(code: u64) -> bool {
    matches!(code, 8 | 9 | 18..=20 | 23 | 26 | 27)
}

fn event(parcel: &Parcel) -> Value {
    let mut fields = told(parcel);
    let created = fields.get("created").and_then(Value::as_str).and_then(time::seconds);
    let mut event = json!({
        "time": created.unwrap_or(i64::try_from(parcel.now).unwrap_or_default()),
        "source": shorten(parcel.setting("source").unwrap_or("streamalert"), WORD_MAX),
        "sourcetype": shorten(parcel.setting("sourcetype").unwrap_or("_json"), WORD_MAX),
        "fields": {"streamalert_key": parcel.idempotency_key},
    });
    for setting in ["index", "host"] {
        if let Some(value) = parcel.setting(setting) {
            event[setting] = value.into();
        }
    }
    if Value::Object(fields.clone()).to_string().len() > EVENT_BYTES {
        // A record may be large for many reasons; its beginning as text is what can be kept of all of them.
        for key in ["record", "context"] {
            if let Some(value) = fields.get(key).filter(|value| value.to_string().len() > EVENT_BYTES / 4) {
                let text = value.to_string();
                fields.insert(format!("{key}_shortened"), shorten(&text, RECORD_MAX).into());
                fields.remove(key);
            }
        }
    }
    // A publisher may have removed everything, and an event must not be empty.
    if fields.is_empty() {
        fields.insert("title".into(), brief::Brief::of(parcel).title.into());
    }
    event["event"] = fields.into();
    event
}
