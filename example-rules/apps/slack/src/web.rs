//! Calls of Slack's Web API, which says in the body what is wrong, most often with status 200.

use streamalert_app_sdk::prelude::*;

pub const SETTINGS: &[Setting] = &[
    Setting::secret(
        "token",
        "A user token (`xoxp-…`) of an administrator, with the scope `admin`; the workspace has to have a paid plan",
    ),
    Setting::plain("team_id", "The workspace, if the token is of an Enterprise organization: T0123456789").optional(),
    Setting::plain("url", "If it is not https://slack.com: https://slack-gov.com").optional(),
];
const URL: &str = "https://slack.com";
/// Seconds to wait when requests are limited and no header says how long: limits are counted by the minute.
const LIMITED: u32 = 60;
/// Errors that go away by themselves; docs: the errors of each method.
const TRANSIENT: &[&str] =
    &["fatal_error", "internal_error", "request_timeout", "rollup_error", "service_unavailable", "team_added_to_org"];

pub fn validate_settings(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    let token = settings.get("token").unwrap_or_default();
    if !(token.starts_with("xoxp-") || token.starts_with("xoxe.xoxp-")) {
        faults.push(Fault::new("token", "is no user token: those begin with `xoxp-`. Bots may not read these logs"));
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        faults.push(Fault::new("token", "has blanks or letters in it that no token has"));
    }
    let is_team = |id: &str| id.starts_with('T') && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if settings.get("team_id").is_some_and(|id| !is_team(id)) {
        faults.push(Fault::new("team_id", "is no id of a workspace: those are a T and capital letters or digits"));
    }
    faults
}

pub enum Answer {
    Good(Response),
    /// The cursor is none any more.
    CursorIsGone,
}

pub fn call(ask: &Ask, http: &dyn Http, method: &str, parameters: &[(&str, String)]) -> Result<Answer, Stop> {
    let base = if ask.setting("url").is_some() { ask.base("url") } else { URL.to_owned() };
    let mut request = Request::get(format!("{base}/api/{method}")).bearer(ask.required("token"));
    for (name, value) in parameters {
        request = request.query(name, value);
    }
    if let Some(team) = ask.setting("team_id") {
        request = request.query("team_id", team);
    }
    let answer = http.send(request);
    if let Ok(limited) = &answer
        && limited.status == 429
    {
        return Err(retry("Slack's limit of requests is reached").after(limited.retry_after().unwrap_or(LIMITED)));
    }
    let answer = fetched(answer)?;
    let body = answer_json(&answer)?;
    if body["ok"] == true {
        return Ok(Answer::Good(answer));
    }
    let error = body["error"].as_str().unwrap_or("no reason given");
    match error {
        "ratelimited" => {
            Err(retry("Slack's limit of requests is reached").after(answer.retry_after().unwrap_or(LIMITED)))
        }
        "invalid_cursor" => {
            log::warn("Slack does not know the place any more where its log went on; the round begins again");
            Ok(Answer::CursorIsGone)
        }
        transient if TRANSIENT.contains(&transient) => Err(retry(format!("Slack answers `{transient}`"))),
        refused => Err(reject(format!("Slack answers `{refused}`: {}", advice(refused)))),
    }
}

fn advice(error: &str) -> &'static str {
    match error {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "make a new user token of an administrator; with an organization's token, `team_id` has to be a workspace of its owner"
        }
        "missing_scope" | "no_permission" | "not_allowed_token_type" | "access_denied" | "user_is_restricted" => {
            "the token has to be of an administrator, with the scope `admin`"
        }
        "paid_only" => "only workspaces with a paid plan have this log",
        "missing_argument" => "a token of an organization needs `team_id`",
        "team_access_not_granted" | "team_not_found" => "the token is not for the workspace `team_id`",
        _ => "see the errors in Slack's documentation of this method",
    }
}

/// The second in a field, which is a number in one log and a text in the other.
pub fn second(log: &Log, key: &str) -> Option<i64> {
    log.text(key).parse::<f64>().ok().map(|second| second as i64)
}

/// Whether a list that begins with the newest goes down to before this second. One that is not in this order says nothing of what
/// comes behind it.
pub fn descending_to(logs: &[Log], key: &str, from: i64) -> bool {
    let seconds: Vec<i64> = logs.iter().filter_map(|log| second(log, key)).collect();
    seconds.is_sorted_by(|a, b| a >= b) && seconds.last().is_some_and(|last| *last < from)
}
