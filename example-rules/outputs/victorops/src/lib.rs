//! Alerts become incidents of Splunk On-Call, which was VictorOps: its REST endpoint.

#[cfg(test)]
mod tests;

use brief::{Brief, accepted_or};
use streamalert_output_sdk::prelude::*;

/// By experience; the service documents no limits.
const MESSAGE_MAX: Max = Max::Utf16(20_000);
const NAME_MAX: Max = Max::Utf16(512);

struct VictorOps;

impl Output for VictorOps {
    const SERVICE: &'static str = "victorops";
    const DESCRIPTION: &'static str = "Triggers an incident of Splunk On-Call";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret(
            "url",
            "URL of the integration `REST - Generic`, https://alert.victorops.com/integrations/generic/20131114/alert/...",
        ),
        Setting::plain("routing_key", "Routing key of the team"),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    /// By `entity_id`.
    const IDEMPOTENT: bool = true;

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let hints = [(401, "`url`"), (403, "`url`"), (404, "`url` and `routing_key`")];
        let answer = match accepted_or(http.send(Request::post(url(parcel)).json(&message(parcel))), &hints) {
            Ok(answer) => answer.json().unwrap_or_default(),
            Err(other) => return other,
        };
        if answer["result"].as_str() == Some("failure") {
            let reason = answer["messages"].as_str().map_or_else(|| answer["messages"].to_string(), str::to_owned);
            return Disposition::reject(format!(
                "Splunk On-Call refuses it: {}",
                shorten(&plain(&reason), Max::Utf16(300))
            ));
        }
        Disposition::delivered(format!("entity {}", parcel.idempotency_key))
    }
}

export_output!(VictorOps);

/// The page of the integration shows the URL with a word where the routing key goes.
fn url(parcel: &Parcel) -> String {
    let url = parcel.required("url").trim_end_matches('/').trim_end_matches("$routing_key").trim_end_matches('/');
    format!("{url}/{}", percent(parcel.required("routing_key")))
}

fn message(parcel: &Parcel) -> Value {
    let brief = Brief::of(parcel);
    let kind = match parcel.magic_text("message_type") {
        Some(word @ ("CRITICAL" | "WARNING" | "INFO" | "ACKNOWLEDGEMENT" | "RECOVERY")) => word,
        _ => kind(brief.severity),
    };
    let text = brief.text();
    let mut message = json!({
        "message_type": kind,
        "entity_id": shorten(&parcel.idempotency_key, NAME_MAX),
        "entity_display_name": shorten(parcel.magic_text("entity_display_name").unwrap_or(&brief.title), NAME_MAX),
        "state_message": shorten(parcel.magic_text("state_message").unwrap_or(&text), MESSAGE_MAX),
        "monitoring_tool": "StreamAlert",
    });
    let created = parcel.publication.get("created").and_then(Value::as_str).and_then(time::seconds);
    if let Some(created) = created {
        message["state_start_time"] = created.into();
    }
    // For rules of the service's rules engine.
    for key in ["rule_name", "severity", "log_source", "cluster"] {
        if let Some(word) = parcel.publication.get(key).and_then(Value::as_str) {
            message[key] = shorten(&plain(word), NAME_MAX).into();
        }
    }
    message
}

/// CRITICAL pages; WARNING does where the account says so; INFO only stands in the timeline.
fn kind(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "CRITICAL",
        Severity::Medium => "WARNING",
        Severity::Low | Severity::Info => "INFO",
    }
}
