//! Alerts become issues of Jira, or comments on an open issue about the same: Cloud, and Data Center by its older API.

#[cfg(test)]
mod tests;
mod text;

use brief::{Brief, accepted_or, base, yes};
use streamalert_output_sdk::prelude::*;

const SUMMARY_MAX: Max = Max::Utf16(255);
/// Comments of an issue that are looked through for one that an earlier attempt made.
const COMMENTS: &str = "20";

struct Jira;

impl Output for Jira {
    const SERVICE: &'static str = "jira";
    const DESCRIPTION: &'static str = "Creates an issue, or comments on the open one about the same";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "https://example.atlassian.net, or where Jira is on a server of your own"),
        Setting::plain("project_key", "Key of the project, SEC"),
        Setting::plain("issue_type", "Name of the issue type, Task"),
        Setting::plain("username", "E-mail of the account that the token is for; without it the token is a personal access token of Data Center")
            .optional(),
        Setting::secret("api_token", "API token, or personal access token"),
        Setting::plain("api_version", "3 for Cloud, 2 for Data Center [default: 3]").optional(),
        Setting::plain("aggregate", "yes: an alert with the same dedup key, or else the same summary, as an issue that is not done becomes a comment there")
            .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let key = settings.get("project_key").unwrap_or_default();
        if !key.starts_with(|c: char| c.is_ascii_uppercase())
            || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            faults.push(Fault::new(
                "project_key",
                "is a word of capital letters, as it begins the numbers of issues: SEC",
            ));
        }
        if !matches!(settings.get("api_version"), None | Some("2" | "3")) {
            faults.push(Fault::new("api_version", "is 2 or 3"));
        }
        if !matches!(settings.get("aggregate"), None | Some("yes" | "no" | "true" | "false")) {
            faults.push(Fault::new("aggregate", "is yes or no"));
        }
        faults
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        deliver(parcel, http).unwrap_or_else(|other| other)
    }
}

export_output!(Jira);

/// What publishers wrote for either of the original's outputs.
fn magic<'a>(parcel: &'a Parcel, field: &str) -> Option<&'a Value> {
    parcel.magic(field).or_else(|| parcel.magic_of("jira-v2", field))
}

fn deliver(parcel: &Parcel, http: &dyn Http) -> Result<Disposition, Disposition> {
    let brief = Brief::of(parcel);
    let summary = magic(parcel, "issue_summary").and_then(Value::as_str).map_or(brief.title.clone(), plain);
    let summary = shorten(summary.trim(), SUMMARY_MAX).into_owned();
    let api = Api { parcel, http };
    let own = own_label(parcel);
    let group = group_label(parcel, &summary);

    if parcel.attempt > 1
        && let Some(key) = api.find(&format!("labels = \"{own}\""))?
    {
        return Ok(api.place(&key));
    }
    let body = text::body(parcel, &brief, &own, api.is_cloud());
    if yes(parcel, "aggregate")
        && let Some(key) = api.find(&format!("labels = \"{group}\" AND statusCategory != Done"))?
    {
        if parcel.attempt > 1 && api.has_comment(&key, &own)? {
            return Ok(api.place(&key));
        }
        match api.post(&format!("issue/{key}/comment"), &json!({"body": body})) {
            Ok(_) => return Ok(api.place(&key)),
            // Locked, or gone since: the alert gets an issue of its own.
            Err(Disposition::Reject(reason)) => log::warn(format!("no comment on {key}: {reason}")),
            Err(other) => return Err(other),
        }
    }
    let issue = json!({"fields": {
        "project": {"key": parcel.required("project_key")},
        "issuetype": {"name": parcel.required("issue_type")},
        "summary": summary,
        "description": body,
        "labels": ["streamalert", own, group],
    }});
    let answer = api.post("issue", &issue)?;
    Ok(match answer["key"].as_str() {
        Some(key) => api.place(key),
        None => Disposition::Delivered(None),
    })
}

/// By which an issue, or a comment, is known to be this alert's.
fn own_label(parcel: &Parcel) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let key: String = parcel.idempotency_key.chars().map(|c| if word(c) { c } else { '-' }).take(200).collect();
    format!("streamalert-{key}")
}

/// What alerts about the same have in common. A hash: labels hold no blanks, and JQL matches them whole.
fn group_label(parcel: &Parcel, summary: &str) -> String {
    let rule = parcel.alert.rule_name();
    let same = match parcel.alert.dedup_key() {
        Some(key) => format!("{rule}\n{key}"),
        None => summary.to_owned(),
    };
    format!("streamalert-same-{}", &sign::hex(&sign::sha256(same.as_bytes()))[..16])
}

/// Jira's REST API, of either version.
struct Api<'a> {
    parcel: &'a Parcel,
    http: &'a dyn Http,
}

impl Api<'_> {
    fn is_cloud(&self) -> bool {
        self.parcel.setting("api_version") != Some("2")
    }

    fn url(&self, path: &str) -> String {
        let version = if self.is_cloud() { 3 } else { 2 };
        format!("{}/rest/api/{version}/{path}", base(self.parcel, "url", ""))
    }

    fn send(&self, request: Request) -> Result<Value, Disposition> {
        let token = self.parcel.required("api_token");
        let request = match self.parcel.setting("username") {
            Some(user) => request.basic(user, token),
            None => request.bearer(token),
        };
        let hints = [
            (401, "`username` and `api_token`"),
            (403, "what the account of `api_token` may do in `project_key`"),
            (404, "`url`, and whether the account of `api_token` may see `project_key`"),
        ];
        let answer = accepted_or(self.http.send(request.header("Accept", "application/json")), &hints)?;
        Ok(answer.json().unwrap_or_default())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Disposition> {
        self.send(Request::post(self.url(path)).json(body))
    }

    /// The oldest issue of the project that this is true of.
    fn find(&self, what: &str) -> Result<Option<String>, Disposition> {
        let project = self.parcel.required("project_key").replace(['"', '\\'], "");
        let jql = format!("project = \"{project}\" AND {what} ORDER BY created ASC");
        let path = if self.is_cloud() { "search/jql" } else { "search" };
        let found = self.post(path, &json!({"jql": jql, "fields": ["summary"], "maxResults": 1}))?;
        let key = found["issues"][0]["key"].as_str();
        // It becomes part of a path.
        Ok(key
            .filter(|key| key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
            .map(str::to_owned))
    }

    fn has_comment(&self, key: &str, mark: &str) -> Result<bool, Disposition> {
        let request = Request::get(self.url(&format!("issue/{key}/comment")));
        let comments = self.send(request.query("orderBy", "-created").query("maxResults", COMMENTS))?;
        Ok(comments["comments"].to_string().contains(mark))
    }

    fn place(&self, key: &str) -> Disposition {
        Disposition::delivered(format!("{}/browse/{}", base(self.parcel, "url", ""), plain(key)))
    }
}
