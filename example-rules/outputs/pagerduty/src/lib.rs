//! Alerts ring whoever is on call at PagerDuty: Events API v2.

#[cfg(test)]
mod tests;

use brief::{Brief, accepted_or, base, told};
use streamalert_output_sdk::prelude::*;

/// PagerDuty takes 512 KB for an event.
const EVENT_BYTES: usize = 500_000;
/// Text that stands for details that are too large; JSON may double it.
const TEXT_MAX: Max = Max::Bytes(200_000);
const SUMMARY_MAX: Max = Max::Utf16(1_024);
const WORD_MAX: Max = Max::Utf16(255);
const ITEMS_MAX: usize = 20;
/// Of an address; longer ones are no addresses that anybody opens.
const URL_BYTES: usize = 2_000;
const URL: &str = "https://events.pagerduty.com";

struct PagerDuty;

impl Output for PagerDuty {
    const SERVICE: &'static str = "pagerduty-v2";
    const DESCRIPTION: &'static str = "Triggers an event of PagerDuty's Events API v2";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("routing_key", "Integration key of the service or ruleset, 32 letters and digits"),
        Setting::plain("url", "For other regions: https://events.eu.pagerduty.com").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["events.pagerduty.com", "{url}"];
    /// By `dedup_key`.
    const IDEMPOTENT: bool = true;

    fn validate(settings: &Settings) -> Vec<Fault> {
        match settings.get("routing_key") {
            Some(key) if key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) => vec![],
            _ => vec![Fault::new("routing_key", "has 32 letters and digits")],
        }
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let url = format!("{}/v2/enqueue", base(parcel, "url", URL));
        let hints = [(401, "`routing_key`"), (403, "`routing_key`"), (404, "`url` and `routing_key`")];
        match accepted_or(http.send(Request::post(url).json(&event(parcel))), &hints) {
            Ok(_) => Disposition::delivered(format!("dedup key {}", parcel.idempotency_key)),
            Err(other) => other,
        }
    }
}

export_output!(PagerDuty);

/// Publishers wrote for the first StreamAlert's outputs of both names.
fn magic<'a>(parcel: &'a Parcel, field: &str, old: &str) -> Option<&'a Value> {
    parcel.magic(field).or_else(|| parcel.magic_of("pagerduty", field)).or_else(|| parcel.magic_of("pagerduty", old))
}

fn event(parcel: &Parcel) -> Value {
    let brief = Brief::of(parcel);
    let text =
        |field: &str, old: &str| magic(parcel, field, old).and_then(Value::as_str).filter(|text| !text.is_empty());
    let summary = text("summary", "description").unwrap_or(&brief.title);
    let severity = match text("severity", "severity") {
        Some(word @ ("critical" | "error" | "warning" | "info")) => word,
        _ => severity(brief.severity),
    };
    let source = parcel.publication.get("log_source").and_then(Value::as_str).filter(|source| !source.is_empty());

    let mut payload = Map::new();
    payload.insert("summary".into(), shorten(summary, SUMMARY_MAX).into());
    payload.insert("source".into(), shorten(&plain(source.unwrap_or("StreamAlert")), WORD_MAX).into());
    payload.insert("severity".into(), severity.into());
    let created = parcel.publication.get("created").and_then(Value::as_str);
    if let Some(created) = created.filter(|created| time::seconds(created).is_some()) {
        payload.insert("timestamp".into(), created.into());
    }
    for field in ["component", "group", "class"] {
        if let Some(word) = text(field, field) {
            payload.insert(field.into(), shorten(word, WORD_MAX).into());
        }
    }
    let details = magic(parcel, "custom_details", "details").cloned().unwrap_or_else(|| Value::Object(told(parcel)));
    payload.insert("custom_details".into(), details);

    let mut event = json!({
        "routing_key": parcel.required("routing_key"),
        "event_action": "trigger",
        "dedup_key": shorten(&parcel.idempotency_key, WORD_MAX),
        "client": "StreamAlert",
        "payload": payload,
    });
    if let Some(url) = text("client_url", "client_url").filter(|url| is_url(url)) {
        event["client_url"] = url.into();
    }
    let contexts = || parcel.magic_of("pagerduty", "contexts").and_then(Value::as_array).into_iter().flatten();
    let given = |field: &str| magic(parcel, field, field).and_then(Value::as_array).into_iter().flatten();
    let links = given("links")
        .chain(contexts())
        .filter(|link| link.get("src").is_none() && link["href"].as_str().is_some_and(is_url));
    let links =
        links.map(|link| json!({"href": link["href"], "text": link["text"].as_str().or(link["href"].as_str())}));
    let references =
        brief.links.iter().filter(|link| is_url(link)).map(|link| json!({"href": link, "text": "Reference"}));
    let links: Vec<Value> = links.chain(references).take(ITEMS_MAX).collect();
    if !links.is_empty() {
        event["links"] = links.into();
    }
    let images = given("images").chain(contexts()).filter(|image| image["src"].as_str().is_some_and(is_https));
    let images: Vec<Value> = images
        .map(|image| {
            let optional = ["href", "alt"].into_iter().filter(|key| image[*key].is_string());
            let mut fields: Map<String, Value> = optional.map(|key| (key.into(), image[key].clone())).collect();
            fields.insert("src".into(), image["src"].clone());
            Value::Object(fields)
        })
        .take(ITEMS_MAX)
        .collect();
    if !images.is_empty() {
        event["images"] = images.into();
    }

    if event.to_string().len() > EVENT_BYTES {
        event["payload"]["custom_details"] =
            json!({"note": "Too large for PagerDuty, so shortened.", "text": shorten(&brief.text(), TEXT_MAX)});
        // Publishers may put much into links too.
        if event.to_string().len() > EVENT_BYTES {
            let fields = event.as_object_mut().expect("it was made as one");
            for field in ["links", "images", "client_url"] {
                fields.remove(field);
            }
        }
    }
    event
}

fn is_url(url: &str) -> bool {
    url.len() <= URL_BYTES && Url::parse(url).is_ok()
}

/// PagerDuty shows images by https only.
fn is_https(url: &str) -> bool {
    is_url(url) && Url::parse(url).is_ok_and(|url| url.is_https())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}
