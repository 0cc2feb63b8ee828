//! Intercom's log of what its admins did: logins, changes of settings, teammates, roles, exports.
//!
//! Pages have numbers. The end of the time that is asked for is settled with the first one, so that new logs do not move the others.

use streamalert_app_sdk::prelude::*;

pub struct AdminActivity;

/// Logs of a page; docs: at most 250.
const LIMIT: usize = 250;
/// Intercom does not say how late logs may be.
const OVERLAP: Overlap = Overlap::minutes(30);
/// Seconds to wait when a limit is reached and no header says how long; docs: limits are counted by ten seconds.
const LIMITED: u32 = 10;
const URL: &str = "https://api.intercom.io";
const VERSION: &str = "2.16";

impl App for AdminActivity {
    const NAME: &'static str = "intercom_admin_activity_logs";
    const DESCRIPTION: &'static str = "Intercom's log of what its admins did: logins, settings, teammates, exports";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("token", "An access token of a private app, which may read admin activity logs"),
        Setting::plain(
            "url",
            "Of the workspace's region, if it is not https://api.intercom.io: https://api.eu.intercom.io, https://api.au.intercom.io",
        )
        .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["api.intercom.io", "{url}"];
    const LOGS: &'static [&'static str] = &["intercom:admin_activity"];
    const RATE: Option<f64> = Some(10.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let token = settings.get("token").unwrap_or_default();
        let is_token = token.len() >= 20 && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token {
            vec![]
        } else {
            vec![Fault::new("token", "is no access token: those have no blanks, and 60 letters or so")]
        }
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut round = Round::resume(ask, OVERLAP)?;
        let base = if ask.setting("url").is_some() { ask.base("url") } else { URL.to_owned() };
        let number: u64 = round.token().and_then(|token| token.parse().ok()).unwrap_or(1);
        // A second more at both ends: whether they are meant with it is not said.
        let request = Request::get(format!("{base}/admins/activity_logs"))
            .bearer(ask.required("token"))
            .header("Accept", "application/json")
            .header("Intercom-Version", VERSION)
            .query("created_at_after", &(round.from() - 1).to_string())
            .query("created_at_before", &(round.until() + 1).to_string())
            .query("page", &number.to_string())
            .query("per_page", &LIMIT.to_string());
        let answer = http.send(request);
        if let Ok(answer) = &answer {
            match answer.status {
                429 => {
                    let wait = answer.retry_after().or(time::wait_until(answer, "x-ratelimit-reset", ask.now));
                    return Err(retry("Intercom's limit of requests is reached").after(wait.unwrap_or(LIMITED)));
                }
                401 => {
                    return Err(reject(format!(
                        "Intercom refuses the token ({}): is it of this region, and not revoked?",
                        said(answer)
                    )));
                }
                403 => {
                    return Err(reject(format!(
                        "Intercom does not let this token read admin activity logs ({}): the app needs the permission to read \
                         admins, and the workspace a plan that has these logs",
                        said(answer)
                    )));
                }
                _ => {}
            }
        }
        let answer = fetched(answer)?;
        round.heard(&answer);
        let pages = answer_json(&answer)?["pages"].clone();
        let logs = logs_in(&answer, &["activity_logs"])?;
        let more = !pages["next"].is_null() || pages["total_pages"].as_u64().is_some_and(|total| number < total);
        // An empty page is the last one, whatever it says.
        let next = (more && !logs.is_empty()).then(|| (number + 1).to_string());
        let logs = round.fresh(logs, |log| log.text("id"));
        Ok(round.next(logs, next))
    }
}

/// What the service says is wrong.
fn said(answer: &Response) -> String {
    let error = answer.json().map(|json| json["errors"][0].clone()).unwrap_or_default();
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    format!("{} {}: {}", answer.status, text("code"), text("message"))
}

export_apps!(AdminActivity);

#[cfg(test)]
mod tests;
