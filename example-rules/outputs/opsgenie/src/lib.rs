//! Alerts become alerts of Opsgenie: Alert API v2.

#[cfg(test)]
mod tests;

use brief::{Brief, accepted_or, base};
use streamalert_output_sdk::prelude::*;

const MESSAGE_MAX: Max = Max::Utf16(130);
const ALIAS_MAX: Max = Max::Utf16(512);
const DESCRIPTION_MAX: Max = Max::Utf16(15_000);
const ENTITY_MAX: Max = Max::Utf16(512);
const SOURCE_MAX: Max = Max::Utf16(100);
const TAGS_MAX: usize = 20;
const WORD_MAX: Max = Max::Utf16(50);
const RESPONDERS_MAX: usize = 50;
const ACTIONS_MAX: usize = 10;
/// Of all details, names and values together.
const DETAILS_UNITS: usize = 8_000;
const DETAIL_MAX: Max = Max::Utf16(1_000);
const URL: &str = "https://api.opsgenie.com";

struct Opsgenie;

impl Output for Opsgenie {
    const SERVICE: &'static str = "opsgenie";
    const DESCRIPTION: &'static str = "Creates an alert of Opsgenie";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("api_key", "Key of an API integration that may create alerts"),
        Setting::plain("url", "For other regions: https://api.eu.opsgenie.com").optional(),
        Setting::plain("team", "Name of the team that is to respond, if not that of the integration").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["api.opsgenie.com", "{url}"];
    /// By `alias`, as long as the alert is open.
    const IDEMPOTENT: bool = true;

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let request = Request::post(format!("{}/v2/alerts", base(parcel, "url", URL)))
            .header("Authorization", format!("GenieKey {}", parcel.required("api_key")))
            .json(&alert(parcel));
        let hints = [
            (401, "`api_key`, and whether it belongs to the region of `url`"),
            (403, "`api_key` and what it may do"),
            (404, "`url`"),
        ];
        match accepted_or(http.send(request), &hints) {
            // 202: Opsgenie works on it. By the id one could ask what came of it.
            Ok(response) => Disposition::Delivered(
                response.json().and_then(|body| Some(format!("request {}", plain(body["requestId"].as_str()?)))),
            ),
            Err(other) => other,
        }
    }
}

export_output!(Opsgenie);

fn alert(parcel: &Parcel) -> Value {
    let brief = Brief::of(parcel);
    let message = parcel.magic_text("message").map_or(brief.title.clone(), plain);
    let text = brief.text();
    let description = parcel.magic_text("description").unwrap_or(&text);
    let priority = match parcel.magic_text("priority") {
        Some(word @ ("P1" | "P2" | "P3" | "P4" | "P5")) => word,
        _ => priority(brief.severity),
    };
    let word = |key: &str| parcel.publication.get(key).and_then(Value::as_str).filter(|word| !word.is_empty());
    let mut alert = json!({
        "message": shorten(&message, MESSAGE_MAX),
        "alias": shorten(&parcel.idempotency_key, ALIAS_MAX),
        "description": shorten(description, DESCRIPTION_MAX),
        "priority": priority,
        "source": shorten(&plain(&["StreamAlert", word("cluster").unwrap_or_default()].join(" ")), SOURCE_MAX).trim(),
        "details": details(parcel, &brief),
    });
    if let Some(entity) = parcel.magic_text("entity").or(word("rule_name")) {
        alert["entity"] = shorten(&plain(entity), ENTITY_MAX).into();
    }
    let list = |key: &str| parcel.magic(key).and_then(Value::as_array);
    let tags = list("tags").or(parcel.publication.get("tags").and_then(Value::as_array));
    // Commas part tags.
    let words = |items: &[Value], max: usize| -> Vec<String> {
        let texts = items
            .iter()
            .filter_map(Value::as_str)
            .map(|text| plain(text).replace(',', " "))
            .filter(|t| !t.trim().is_empty());
        texts.map(|text| shorten(&text, WORD_MAX).into_owned()).take(max).collect()
    };
    let tags = words(tags.map(Vec::as_slice).unwrap_or_default(), TAGS_MAX);
    if !tags.is_empty() {
        alert["tags"] = tags.into();
    }
    if let Some(actions) = list("actions") {
        alert["actions"] = words(actions, ACTIONS_MAX).into();
    }
    if let Some(responders) = list("responders") {
        alert["responders"] = responders.iter().take(RESPONDERS_MAX).cloned().collect();
    } else if let Some(team) = parcel.setting("team") {
        alert["responders"] = json!([{"type": "team", "name": team}]);
    }
    alert
}

/// Names and values that one can search by: a publisher's, or facts and record.
fn details(parcel: &Parcel, brief: &Brief) -> Value {
    let pairs: Vec<(String, String)> = match parcel.magic("details") {
        Some(details) => flatten(details),
        None => {
            let facts = brief.facts.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
            let records = brief.details.iter().filter(|(name, _)| *name == "Record");
            facts.chain(records.flat_map(|(_, value)| flatten(value))).collect()
        }
    };
    let mut left = DETAILS_UNITS;
    let mut details = Map::new();
    for (name, value) in pairs {
        let (name, value) = (plain(&name), plain(&value));
        let value = shorten(&value, DETAIL_MAX);
        // What is left out here is in the description, as far as it goes.
        if let Some(rest) = left.checked_sub(units(&name) + units(&value)) {
            left = rest;
            details.insert(name, value.into());
        }
    }
    Value::Object(details)
}

/// As Java counts, in which Opsgenie is written.
fn units(text: &str) -> usize {
    Max::Utf16(0).length(text)
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::High => "P2",
        Severity::Medium => "P3",
        Severity::Low => "P4",
        Severity::Info => "P5",
    }
}
