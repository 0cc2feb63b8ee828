//! GitHub's audit log of an organization or an enterprise, Git events too.
//!
//! Asked for by time, oldest first. The place that the service's `Link` names serves within a round only: it stands behind the newest
//! event, and a late one has its place before that.

use streamalert_app_sdk::prelude::*;

pub struct Audit;

/// Events of a page; docs: at most 100.
const LIMIT: usize = 100;
/// GitHub does not say how late events may be. Git events come some minutes after the others.
const OVERLAP: Overlap = Overlap::minutes(30);
/// Seconds to wait when a limit is reached and no header says how long; docs: at least a minute.
const LIMITED: u32 = 60;
const URL: &str = "https://api.github.com";

impl App for Audit {
    const NAME: &'static str = "github_audit";
    const DESCRIPTION: &'static str = "GitHub's audit log of an organization or an enterprise, Git events too";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("organization", "Whose audit log it is, as in https://github.com/ORGANIZATION; or `enterprise`")
            .optional(),
        Setting::plain("enterprise", "Whose audit log it is, as in https://github.com/enterprises/ENTERPRISE").optional(),
        Setting::plain(
            "url",
            "Of the API, if it is not https://api.github.com: https://github.acme.example/api/v3, https://api.acme.ghe.com",
        )
        .optional(),
        Setting::secret("token", "An access token of an owner, with the scope `read:audit_log`"),
    ];
    const HOSTS: &'static [&'static str] = &["api.github.com", "{url}"];
    const LOGS: &'static [&'static str] = &["github:audit"];
    // docs: 1,750 requests an hour.
    const RATE: Option<f64> = Some(0.48);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let (organization, enterprise) = (settings.get("organization"), settings.get("enterprise"));
        if organization.is_some() == enterprise.is_some() {
            return vec![Fault::new("", "name either an `organization` or an `enterprise`")];
        }
        let mut faults = Vec::new();
        for (setting, name) in [("organization", organization), ("enterprise", enterprise)] {
            let Some(name) = name else { continue };
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
                faults.push(Fault::new(setting, "is a name as in the address of its page: letters, digits, `-`"));
            }
        }
        if settings.get("token").is_some_and(|token| token.bytes().any(|byte| !byte.is_ascii_graphic())) {
            faults.push(Fault::new("token", "has blanks or letters in it that no token has"));
        }
        faults
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let base = if ask.setting("url").is_some() { ask.base("url") } else { URL.to_owned() };
        let (kind, name) = match ask.setting("enterprise") {
            Some(enterprise) => ("enterprises", enterprise),
            None => ("orgs", ask.required("organization")),
        };
        let mut request = Request::get(format!("{base}/{kind}/{}/audit-log", percent(name)))
            .bearer(ask.required("token"))
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header("User-Agent", "StreamAlert")
            .query("phrase", &format!("created:{}..{}", time::rfc3339(round.from()), time::rfc3339(round.until())))
            .query("include", "all")
            .query("order", "asc")
            .query("per_page", &LIMIT.to_string());
        if let Some(after) = round.token() {
            request = request.query("after", after);
        }
        let answer = http.send(request);
        if let Ok(answer) = &answer {
            if let Some(wait) = limited(answer, ask.now) {
                return Err(retry("GitHub's limit of requests is reached").after(wait));
            }
            let said =
                || answer.json().and_then(|json| json["message"].as_str().map(str::to_owned)).unwrap_or_default();
            match answer.status {
                400 | 422 if round.token().is_some() => {
                    log::warn("GitHub does not know the place any more where its log went on; the round begins again");
                    return round.again();
                }
                401 => return Err(reject(format!("GitHub refuses the token (401: {}): make a new one", said()))),
                403 => {
                    return Err(reject(format!(
                        "GitHub does not let this token read the audit log (403: {}): it has to be an owner's, with the scope \
                         `read:audit_log`, and permitted by the organization's single sign-on",
                        said()
                    )));
                }
                404 => {
                    return Err(reject(format!(
                        "GitHub knows no audit log of `{name}` for this token (404): is the name right, is it of GitHub \
                         Enterprise, and may the token's owner read its audit log?"
                    )));
                }
                _ => {}
            }
        }
        let answer = fetched(answer)?;
        round.heard(&answer);
        let events = logs_in(&answer, &[])?;
        let events = round.fresh(events, |event| match event.text("_document_id") {
            // Not all Git events have one.
            id if id.is_empty() => event.json().to_owned(),
            id => id,
        });
        let next = link(&answer, "next").and_then(|next| query_of(&next, "after")).filter(|after| !after.is_empty());
        Ok(round.next(events, next))
    }
}

/// Seconds to wait, if there were too many requests: 429, or 403 with a header or a message that says so.
fn limited(answer: &Response, now: i64) -> Option<u32> {
    if !matches!(answer.status, 403 | 429) {
        return None;
    }
    if let Some(wait) = answer.retry_after() {
        return Some(wait);
    }
    if answer.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0") {
        return Some(time::wait_until(answer, "x-ratelimit-reset", now).unwrap_or(LIMITED));
    }
    (answer.status == 429 || answer.text().to_lowercase().contains("rate limit")).then_some(LIMITED)
}

export_apps!(Audit);

#[cfg(test)]
mod tests;
