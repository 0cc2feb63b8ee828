//! Alerts become containers of Splunk SOAR, which was Phantom.

#[cfg(test)]
mod tests;

use brief::{Brief, accepted_or, base, told};
use streamalert_output_sdk::prelude::*;

const NAME_MAX: Max = Max::Utf16(255);
const DESCRIPTION_MAX: Max = Max::Utf16(10_000);
const LABEL: &str = "events";

struct Phantom;

impl Output for Phantom {
    const SERVICE: &'static str = "phantom";
    const DESCRIPTION: &'static str =
        "Creates a container with an artifact, or an artifact in the container of the rule";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "https://soar.example.com"),
        Setting::secret("ph_auth_token", "Token of an automation user"),
        Setting::plain("label", "Label of containers, which must exist [default: events]").optional(),
        Setting::plain("asset_id", "Number of the asset that containers come from").optional(),
        Setting::plain("container", "alert: each alert gets its own; rule: all of a rule are in one, as they were in the first StreamAlert [default: alert]")
            .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    /// By `source_data_identifier`.
    const IDEMPOTENT: bool = true;

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if settings.get("asset_id").is_some_and(|id| id.parse::<u64>().is_err()) {
            faults.push(Fault::new("asset_id", "is a number"));
        }
        if !matches!(settings.get("container"), None | Some("alert" | "rule")) {
            faults.push(Fault::new("container", "is alert or rule"));
        }
        faults
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        deliver(parcel, http).unwrap_or_else(|other| other)
    }
}

export_output!(Phantom);

fn deliver(parcel: &Parcel, http: &dyn Http) -> Result<Disposition, Disposition> {
    let brief = Brief::of(parcel);
    let key = parcel.idempotency_key.as_str();
    if parcel.setting("container") != Some("rule") {
        // Both or none: what exists already is complete.
        if parcel.attempt > 1
            && let Some(id) = find(parcel, http, "container", key, None)?
        {
            return Ok(place(id));
        }
        let mut container = container(parcel, &brief, &brief.title, key);
        container["artifacts"] = json!([artifact(parcel, &brief)]);
        return Ok(place(post(parcel, http, "container", &container)?));
    }
    let rule = parcel.alert.rule_name();
    let mark = format!("streamalert-rule-{rule}");
    let id = match find(parcel, http, "container", &mark, None)? {
        Some(id) => id,
        None => post(parcel, http, "container", &container(parcel, &brief, rule, &mark))?,
    };
    // Artifacts are not kept from being there twice.
    if parcel.attempt == 1 || find(parcel, http, "artifact", key, Some(id))?.is_none() {
        let mut artifact = artifact(parcel, &brief);
        artifact["container_id"] = id.into();
        post(parcel, http, "artifact", &artifact)?;
    }
    Ok(place(id))
}

fn place(id: u64) -> Disposition {
    Disposition::delivered(format!("container {id}"))
}

fn container(parcel: &Parcel, brief: &Brief, name: &str, mark: &str) -> Value {
    let mut container = json!({
        "name": shorten(&plain(name), NAME_MAX),
        "label": parcel.setting("label").unwrap_or(LABEL),
        "description": shorten(&brief.description, DESCRIPTION_MAX),
        "severity": severity(brief.severity),
        "source_data_identifier": mark,
        "status": "new",
    });
    if let Some(id) = parcel.setting("asset_id").and_then(|id| id.parse::<u64>().ok()) {
        container["asset_id"] = id.into();
    }
    container
}

fn artifact(parcel: &Parcel, brief: &Brief) -> Value {
    let record = parcel.publication.get("record").filter(|record| record.is_object());
    let mut artifact = json!({
        "name": shorten(&brief.title, NAME_MAX),
        "label": "alert",
        "severity": severity(brief.severity),
        "source_data_identifier": parcel.idempotency_key,
        "cef": record.cloned().unwrap_or_else(|| json!({})),
        "data": told(parcel),
        // Playbooks start when everything is there.
        "run_automation": true,
    });
    let created = parcel.publication.get("created").and_then(Value::as_str);
    if let Some(created) = created.filter(|created| time::seconds(created).is_some()) {
        artifact["start_time"] = created.into();
    }
    artifact
}

/// A severity that every SOAR has; `critical` is one that some have made.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High | Severity::Critical => "high",
    }
}

/// The one that has this mark.
fn find(
    parcel: &Parcel,
    http: &dyn Http,
    what: &str,
    mark: &str,
    within: Option<u64>,
) -> Result<Option<u64>, Disposition> {
    // Filters are literals of Python.
    let literal = format!("\"{}\"", mark.replace('\\', "\\\\").replace('"', "\\\""));
    let mut request =
        Request::get(url(parcel, what)).query("_filter_source_data_identifier", &literal).query("page_size", "1");
    if let Some(container) = within {
        request = request.query("_filter_container", &container.to_string());
    }
    let found = accepted_or(http.send(authorized(parcel, request)), &HINTS)?.json().unwrap_or_default();
    Ok(found["data"][0]["id"].as_u64())
}

/// The id of what was made, or was there.
fn post(parcel: &Parcel, http: &dyn Http, what: &str, body: &Value) -> Result<u64, Disposition> {
    let result = http.send(authorized(parcel, Request::post(url(parcel, what)).json(body)));
    let told = result.as_ref().ok().and_then(Response::json).unwrap_or_default();
    // Said with 400.
    if let Some(id) = told[format!("existing_{what}_id")].as_u64() {
        return Ok(id);
    }
    // Whoever answers at such length may have made it or not; asked again, it will say which.
    if accepted_or(result, &HINTS)?.truncated {
        return Err(retry("the answer is longer than can be read"));
    }
    match told["id"].as_u64() {
        Some(id) => Ok(id),
        None => {
            let message = told["message"].as_str().unwrap_or("it names no id");
            Err(Disposition::reject(format!("SOAR refuses the {what}: {}", shorten(&plain(message), Max::Utf16(300)))))
        }
    }
}

const HINTS: [brief::Hint; 3] =
    [(401, "`ph_auth_token`"), (403, "`ph_auth_token`, and from where it may be used"), (404, "`url`")];

fn url(parcel: &Parcel, what: &str) -> String {
    format!("{}/rest/{what}", base(parcel, "url", ""))
}

fn authorized(parcel: &Parcel, request: Request) -> Request {
    request.header("ph-auth-token", parcel.required("ph_auth_token"))
}
