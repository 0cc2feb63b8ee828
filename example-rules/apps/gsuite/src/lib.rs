//! The reports of Google Workspace: what users and administrators did in each of its applications; docs: "Reports API: Activities".
//!
//! Activities come with the newest first, so a round's end stays where it was until its last page is there. Some applications report
//! hours late: the overlap is that long.

use streamalert_app_sdk::jwt::{Algorithm, Key};
use streamalert_app_sdk::prelude::*;

pub struct Reports;

const API: &str = "https://admin.googleapis.com";
const TOKENS: &str = "https://oauth2.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/admin.reports.audit.readonly";
/// Activities of a page; docs: at most 1,000.
const LIMIT: u32 = 1_000;
/// Applications that there are reports of; docs: "Activities: list".
const APPLICATIONS: &[&str] = &[
    "access_transparency",
    "admin",
    "calendar",
    "chat",
    "chrome",
    "context_aware_access",
    "data_studio",
    "drive",
    "gcp",
    "gplus",
    "groups",
    "groups_enterprise",
    "jamboard",
    "keep",
    "login",
    "meet",
    "mobile",
    "rules",
    "saml",
    "token",
    "user_accounts",
    "vault",
];

/// What of a service account's key is needed.
struct Account {
    email: String,
    key: Key,
}

impl Account {
    fn read(keyfile: &str) -> Result<Account, String> {
        let json: Value = serde_json::from_str(keyfile)
            .map_err(|_| "is no JSON: give what is in the key file, not its path".to_owned())?;
        let (Some(email), Some(pem)) = (json["client_email"].as_str(), json["private_key"].as_str()) else {
            return Err("has no client_email and private_key: it is the JSON key of a service account".into());
        };
        let key = Key::from_pem(pem, None).map_err(|why| format!("its private_key {why}"))?;
        Ok(Account { email: email.to_owned(), key })
    }
}

impl App for Reports {
    const NAME: &'static str = "gsuite_reports";
    const DESCRIPTION: &'static str =
        "Activities in an application of Google Workspace: admin, login, drive, token and others";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("application", "Whose activities: admin, login, drive, token, saml, groups and others"),
        Setting::plain("delegation_email", "Of an administrator in whose name the service account asks"),
        Setting::secret("keyfile", "The JSON key of a service account with delegation for the domain, its content"),
        Setting::plain("url", "Of a proxy, instead of Google's own hosts").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["admin.googleapis.com", "oauth2.googleapis.com", "{url}"];
    const LOGS: &'static [&'static str] = &["gsuite:reports"];
    const RATE: Option<f64> = Some(4.0);

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !APPLICATIONS.contains(&settings.get("application").unwrap_or_default()) {
            faults.push(Fault::new("application", format!("is one of {}", APPLICATIONS.join(", "))));
        }
        if !settings.get("delegation_email").unwrap_or_default().contains('@') {
            faults.push(Fault::new("delegation_email", "is a mail address"));
        }
        if let Err(why) = Account::read(settings.get("keyfile").unwrap_or_default()) {
            faults.push(Fault::new("keyfile", why));
        }
        faults
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let application = ask.required("application");
        let mut round = Round::resume(ask, overlap(application))?;
        let token = token(ask, http, &mut round)?;
        let api = ask.setting("url").map_or(API, |url| url.trim_end_matches('/'));
        let mut request =
            Request::get(format!("{api}/admin/reports/v1/activity/users/all/applications/{}", percent(application)))
                .bearer(&token)
                .query("maxResults", &LIMIT.to_string())
                .query("startTime", &time::rfc3339(round.from()))
                .query("endTime", &time::rfc3339(round.until() + 1));
        if let Some(token) = round.token() {
            request = request.query("pageToken", token);
        }
        let answer = http.send(request);
        // A page that is asked for too late is gone: the round begins again, with what it knows.
        if let Ok(gone) = &answer
            && gone.status == 400
            && round.token().is_some()
        {
            log::warn("the page is unknown by now; the round begins again");
            return round.again();
        }
        let answer = limited(answer)?;
        round.heard(&answer);
        let logs = logs_in(&answer, &["items"])?;
        let id = |log: &Log| format!("{}/{}", log.get(&["id", "time"]), log.get(&["id", "uniqueQualifier"]));
        // The tag is of the answer, not of what happened.
        let logs = round.fresh(logs, id).into_iter().map(|log| log.without("etag")).collect();
        Ok(round.next(logs, answer_text(&answer, &["nextPageToken"])?))
    }
}

/// How late activities are reported; docs: "Data retention and lag times".
fn overlap(application: &str) -> Overlap {
    match application {
        "admin" | "calendar" | "drive" | "token" | "login" | "chat" | "meet" => Overlap::hours(4),
        _ => Overlap::hours(24),
    }
}

/// Quotas are told by 403, with a reason.
fn limited(answer: Result<Response, Failure>) -> Result<Response, Stop> {
    if let Ok(refused) = &answer
        && refused.status == 403
        && let Some(json) = refused.json()
    {
        let reason = json["error"]["errors"][0]["reason"].as_str().unwrap_or_default();
        if ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"].contains(&reason) {
            return Err(retry("Google's limit of requests is reached").after(refused.retry_after().unwrap_or(60)));
        }
    }
    fetched(answer)
}

/// An access token for this poll: what is kept between polls is seen by operators.
fn token(ask: &Ask, http: &dyn Http, round: &mut Round) -> Result<String, Stop> {
    let account = Account::read(ask.required("keyfile")).map_err(|why| reject(format!("keyfile {why}")))?;
    let url = format!("{}/token", ask.setting("url").map_or(TOKENS, |url| url.trim_end_matches('/')));
    let request = |now: i64| {
        let claims = json!({
            "iss": account.email, "sub": ask.required("delegation_email"), "scope": SCOPE, "aud": format!("{TOKENS}/token"),
            "iat": now, "exp": now + 3600,
        });
        let assertion = account.key.token(Algorithm::Rs256, &json!({}), &claims).map_err(reject)?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        Ok(Request::post(&url).form([("grant_type", grant), ("assertion", assertion.as_str())]))
    };
    let now = round.now();
    let mut answer = http.send(request(now)?);
    // A token is refused whose times are not those of Google's clock, which the answer tells.
    if let Ok(refused) = &answer
        && refused.status == 400
        && let Some(theirs) = time::date(refused).filter(|theirs| theirs.abs_diff(now) > 30)
    {
        answer = http.send(request(theirs)?);
    }
    let answer = limited(answer)?;
    round.heard(&answer);
    answer_text(&answer, &["access_token"])?.ok_or_else(|| retry("Google gave no access token"))
}

export_apps!(Reports);

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = include_str!("../../../../rule-sdk/rust-app/testdata/plain.pem");

    fn poller() -> Poller<Reports> {
        let keyfile =
            json!({"type": "service_account", "client_email": "sa@p.iam.gserviceaccount.com", "private_key": PEM});
        Poller::new()
            .with("application", "login")
            .with("delegation_email", "admin@northwind.example")
            .with("keyfile", keyfile.to_string())
    }

    fn activity(id: &str) -> Value {
        json!({"id": {"time": "2026-01-02T11:30:00.000Z", "uniqueQualifier": id, "applicationName": "login"}, "etag": "\"x\"", "events": []})
    }

    fn token() -> Value {
        json!({"access_token": "ya29.t0ken", "expires_in": 3599, "token_type": "Bearer"})
    }

    fn ids(logs: &[String]) -> Vec<String> {
        logs.iter()
            .map(|log| Log::parse(log).unwrap().get(&["id", "uniqueQualifier"]).as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn the_newest_come_first_and_all_pages_come() {
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, json!({"items": [activity("3"), activity("2")], "nextPageToken": "p2"}))
            .json(200, token())
            .json(200, json!({"items": [activity("2"), activity("1")]}))
            .json(200, token())
            .json(200, json!({"items": [activity("4"), activity("late"), activity("3")]}));
        let mut poller = poller();
        let logs = poller.poll_all(&http).unwrap();
        assert_eq!(ids(&logs), ["3", "2", "1"]);
        assert!(!logs[0].contains("etag"), "{}", logs[0]);
        poller.pass(300);
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["4", "late"]);
        let requests = http.requests();
        assert_eq!(requests[0].url, "https://oauth2.googleapis.com/token");
        let form = requests[0].body_form();
        let claims = form[1].1.split('.').nth(1).unwrap().to_owned();
        let claims: Value = serde_json::from_slice(&sign::unbase64_url(&claims).unwrap()).unwrap();
        assert_eq!((&claims["sub"], &claims["iat"]), (&json!("admin@northwind.example"), &json!(1_767_355_200)));
        let url = "https://admin.googleapis.com/admin/reports/v1/activity/users/all/applications/login?maxResults=1000\
                   &startTime=2026-01-02T11%3A00%3A00Z&endTime=2026-01-02T12%3A00%3A01Z";
        assert_eq!(requests[1].url, url);
        assert_eq!(requests[3].url, format!("{url}&pageToken=p2"));
        assert!(
            requests[5].url.contains("startTime=2026-01-02T11%3A00%3A00Z"),
            "four hours back, and no earlier than the beginning"
        );
    }

    #[test]
    fn a_clock_that_is_wrong_is_set_by_googles() {
        let http = FakeHttp::new()
            .json(400, json!({"error": "invalid_grant", "error_description": "Invalid JWT: Token must be a short-lived token"}))
            .header("Date", "Fri, 02 Jan 2026 11:30:00 GMT")
            .json(200, token())
            .header("Date", "Fri, 02 Jan 2026 11:30:00 GMT")
            .json(200, json!({}));
        poller().poll(&http).unwrap();
        assert!(http.requests()[2].url.contains("endTime=2026-01-02T11%3A30%3A01Z"), "{}", http.requests()[2].url);
    }

    #[test]
    fn a_page_that_is_gone_costs_nothing() {
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, json!({"items": [activity("2")], "nextPageToken": "old"}))
            .json(200, token())
            .json(400, json!({"error": {"code": 400, "message": "Invalid Value"}}))
            .json(200, token())
            .json(200, json!({"items": [activity("2"), activity("1")]}));
        assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["2", "1"]);
    }

    #[test]
    fn quotas_are_waited_for_and_refusals_told() {
        let quota = json!({"error": {"code": 403, "errors": [{"reason": "userRateLimitExceeded"}]}});
        let http = FakeHttp::new().json(200, token()).json(403, quota);
        assert_eq!(poller().poll(&http), Err(retry("Google's limit of requests is reached").after(60)));
        let denied = json!({"error": {"code": 403, "errors": [{"reason": "forbidden"}]}});
        let http = FakeHttp::new().json(200, token()).json(403, denied);
        assert!(matches!(poller().poll(&http), Err(Stop::Reject(_))));
    }

    #[test]
    fn settings_are_checked_without_showing_them() {
        let settings = Settings::new()
            .with("application", "mail")
            .with("delegation_email", "x")
            .with("keyfile", "/home/me/key.json");
        let faults = validate::<Reports>(&settings);
        let faults: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
        assert_eq!(faults, ["application", "delegation_email", "keyfile"]);
        assert_eq!(validate::<Reports>(poller().settings()), []);
    }
}
