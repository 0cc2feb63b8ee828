//! Alerts become incidents of Cortex XSOAR, which was Demisto: versions 6 and 8.

#[cfg(test)]
mod tests;

use brief::{Brief, accepted_or, base};
use streamalert_output_sdk::prelude::*;

const NAME_MAX: Max = Max::Utf16(600);
/// XSOAR documents no limits. A record this large is one that nobody reads as labels.
const LABELS_MAX: usize = 2_000;
const LABEL_MAX: Max = Max::Utf16(4_000);
const DETAILS_MAX: Max = Max::Utf16(30_000);

struct Demisto;

impl Output for Demisto {
    const SERVICE: &'static str = "demisto";
    const DESCRIPTION: &'static str = "Creates an incident and starts its investigation";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain(
            "url",
            "Of version 6 the server, https://xsoar.example.com; of version 8 the API, https://api-xsoar.example.com",
        ),
        Setting::secret("token", "API key"),
        Setting::plain("key_id", "Number of the API key, of version 8; without it, the server is one of version 6")
            .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        deliver(parcel, http).unwrap_or_else(|other| other)
    }
}

export_output!(Demisto);

fn deliver(parcel: &Parcel, http: &dyn Http) -> Result<Disposition, Disposition> {
    if parcel.attempt > 1
        && let Some(id) = made_before(parcel, http)?
    {
        return Ok(place(Some(&id)));
    }
    let answer = send(parcel, http, "incident", &incident(parcel))?;
    Ok(place(answer["id"].as_str()))
}

fn place(id: Option<&str>) -> Disposition {
    Disposition::Delivered(id.map(|id| format!("incident {}", plain(id))))
}

/// The incident that an earlier attempt made without learning of it.
fn made_before(parcel: &Parcel, http: &dyn Http) -> Result<Option<String>, Disposition> {
    let key = parcel.idempotency_key.replace(['"', '\\'], "");
    let query = json!({"filter": {"query": format!("dbotMirrorId:\"{key}\""), "page": 0, "size": 1}});
    match send(parcel, http, "incidents/search", &query) {
        // What the query did not mean is no incident of ours.
        Ok(found) => Ok(Some(&found["data"][0])
            .filter(|one| one["dbotMirrorId"] == *key)
            .and_then(|one| Some(one["id"].as_str()?.to_owned()))),
        // A key that may create and not search: an incident twice is better than none.
        Err(Disposition::Reject(reason)) => {
            log::warn(format!("cannot look for an earlier incident: {reason}"));
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

fn send(parcel: &Parcel, http: &dyn Http, path: &str, body: &Value) -> Result<Value, Disposition> {
    let url = base(parcel, "url", "");
    let token = parcel.required("token");
    let request = match parcel.setting("key_id") {
        Some(id) => Request::post(format!("{url}/xsoar/public/v1/{path}")).header("x-xdr-auth-id", id),
        None => Request::post(format!("{url}/{path}")),
    };
    let request = request.header("Authorization", token).header("Accept", "application/json").json(body);
    let hints = [
        (401, "`token`, and `key_id` of version 8"),
        (403, "what `token` may do"),
        (404, "`url`, and `key_id`, which only version 8 has"),
    ];
    Ok(accepted_or(http.send(request), &hints)?.json().unwrap_or_default())
}

fn incident(parcel: &Parcel) -> Value {
    let brief = Brief::of(parcel);
    let text = |field: &str| parcel.magic_text(field);
    let severity = match parcel.magic("severity") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(word)) => named(word),
        _ => None,
    };
    let details = brief.text();
    let mut labels = match parcel.magic("label_data") {
        Some(data) => flatten(data),
        None => flatten(&Value::Object(brief::told(parcel))),
    };
    labels.sort();
    labels.truncate(LABELS_MAX);
    let label =
        |(kind, value): (String, String)| json!({"type": plain(&kind), "value": shorten(&plain(&value), LABEL_MAX)});
    json!({
        "type": text("incident_type").unwrap_or("Unclassified"),
        "name": shorten(&text("incident_name").map_or(brief.title.clone(), plain), NAME_MAX),
        "owner": text("owner").unwrap_or_default(),
        "playbookId": text("playbook").unwrap_or_default(),
        "severity": severity.unwrap_or(number(brief.severity)),
        "details": shorten(text("details").unwrap_or(&details), DETAILS_MAX),
        "labels": labels.into_iter().map(label).collect::<Vec<_>>(),
        "createInvestigation": true,
        // Not mirrored, as no instance is named: just a place for the key that can be searched.
        "dbotMirrorId": parcel.idempotency_key,
    })
}

fn number(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 0.5,
        Severity::Low => 1.0,
        Severity::Medium => 2.0,
        Severity::High => 3.0,
        Severity::Critical => 4.0,
    }
}

/// XSOAR's words.
fn named(word: &str) -> Option<f64> {
    match word.to_lowercase().as_str() {
        "unknown" => Some(0.0),
        "informational" => Some(0.5),
        other => Severity::named(other).map(number),
    }
}
