//! Alerts become issues of a GitHub repository.

mod issue;
#[cfg(test)]
mod tests;

use brief::{accepted_or, base};
use streamalert_output_sdk::prelude::*;

const URL: &str = "https://api.github.com";
/// Issues a page: so few that a page of the longest fits into what the host reads of an answer.
const PAGE: usize = 10;
const PAGES_MAX: usize = 10;

struct GitHub;

impl Output for GitHub {
    const SERVICE: &'static str = "github";
    const DESCRIPTION: &'static str = "Opens an issue in a repository";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("repository", "owner/name"),
        Setting::secret("access_token", "Token that may read and write issues of the repository"),
        Setting::plain("labels", "Labels of each issue, with commas between").optional(),
        Setting::plain("url", "For GitHub Enterprise Server: https://HOST/api/v3").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["api.github.com", "{url}"];
    /// GitHub asks for a second between requests that make something.
    const RATE: Option<f64> = Some(1.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let is_name = |part: &str| {
            let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.chars().all(is_good) && !part.starts_with("..") && part != "."
        };
        match settings.get("repository").and_then(|repository| repository.split_once('/')) {
            Some((owner, name)) if is_name(owner) && is_name(name) => vec![],
            _ => vec![Fault::new("repository", "is owner/name")],
        }
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        deliver(parcel, http).unwrap_or_else(|other| other)
    }
}

export_output!(GitHub);

fn deliver(parcel: &Parcel, http: &dyn Http) -> Result<Disposition, Disposition> {
    if parcel.attempt > 1
        && let Some(place) = made_before(parcel, http)?
    {
        return Ok(Disposition::delivered(place));
    }
    let answer = send(parcel, http, request(parcel, Request::post).json(&issue::issue(parcel)))?;
    Ok(Disposition::Delivered(place(&answer.json().unwrap_or_default())))
}

/// The issue that an earlier attempt made without learning of it, found by the mark in its body. The list is up to date, where
/// GitHub's search lags behind.
fn made_before(parcel: &Parcel, http: &dyn Http) -> Result<Option<String>, Disposition> {
    let mark = issue::mark(parcel);
    for page in 1..=PAGES_MAX {
        let mut request = request(parcel, Request::get)
            .query("state", "all")
            .query("sort", "created")
            .query("direction", "desc")
            .query("per_page", &PAGE.to_string())
            .query("page", &page.to_string());
        if let Some(created) = parcel.alert.created_at() {
            request = request.query("since", &time::rfc3339(created));
        }
        let answer = send(parcel, http, request)?.json().unwrap_or_default();
        let issues = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let known = issues.iter().find(|issue| issue["body"].as_str().is_some_and(|body| body.contains(&mark)));
        if let Some(issue) = known {
            return Ok(Some(place(issue).unwrap_or_else(|| "an issue that was there".into())));
        }
        if issues.len() < PAGE {
            break;
        }
    }
    Ok(None)
}

fn place(issue: &Value) -> Option<String> {
    Some(plain(issue["html_url"].as_str()?))
}

fn request(parcel: &Parcel, method: fn(String) -> Request) -> Request {
    method(format!("{}/repos/{}/issues", base(parcel, "url", URL), parcel.required("repository")))
        .bearer(parcel.required("access_token"))
        .header("Accept", "application/vnd.github+json")
        .header("X-GitHub-Api-Version", "2022-11-28")
        // GitHub answers nobody without a name.
        .header("User-Agent", "StreamAlert")
}

fn send(parcel: &Parcel, http: &dyn Http, request: Request) -> Result<Response, Disposition> {
    let result = http.send(request);
    if let Ok(response) = &result
        && let Some(after) = limited(response, parcel.now)
    {
        return Err(retry(format!("answered {}: GitHub's rate limit is reached", response.status)).after(after));
    }
    let hints = [
        (401, "`access_token`"),
        (403, "what `access_token` may do"),
        (404, "`repository`, and whether `access_token` may see it"),
        (410, "`repository`: it has no issues"),
    ];
    accepted_or(result, &hints)
}

/// GitHub says 403 as well as 429 when there were too many requests. Seconds to wait, as far as it says.
fn limited(response: &Response, now: u64) -> Option<Option<u32>> {
    if !matches!(response.status, 403 | 429) {
        return None;
    }
    let is_empty = response.header("x-ratelimit-remaining") == Some("0");
    let is_limited = response.status == 429
        || is_empty
        || response.retry_after().is_some()
        || response.text().to_lowercase().contains("rate limit");
    let reset = || {
        let reset: u64 = response.header("x-ratelimit-reset").filter(|_| is_empty)?.parse().ok()?;
        u32::try_from(reset.saturating_sub(now)).ok()
    };
    is_limited.then(|| response.retry_after().or_else(reset))
}
