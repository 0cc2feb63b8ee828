//! Salesforce's event log files: tables of what users did, one file for each type of event and hour or day; docs: "EventLogFile".
//!
//! A file is fetched whole; a large one is handed on in parts, each a page, and is fetched again for each: Salesforce gives no part of a
//! file. Files are taken in the order in which they were made, which for an hour that is written again with late events is a later one;
//! each is known by its id.

use serde::{Deserialize, Serialize};
use streamalert_app_sdk::prelude::*;

/// Of the API: the columns of files are those of a version.
const VERSION: &str = "v62.0";
/// Files that are looked at at once.
const LIMIT: usize = 200;
/// Logs of a page, and bytes of their JSON: what lies in memory beside the file.
const PART_LOGS: usize = 10_000;
const PART_BYTES: usize = 6 << 20;
/// Attempts from which on a file that seems to be cut off is as it is.
const ATTEMPTS: u32 = 5;
/// How long before the newest file others may appear that were made before it.
const OVERLAP: i64 = 3600;

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    /// Second in which the newest file was made that was fetched.
    newest: i64,
    /// How far the host's clock was ahead at first.
    #[serde(default)]
    early: i64,
    files: Seen,
    /// A file of which some was handed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<Part>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    file: String,
    /// Bytes of the file, and where it goes on.
    length: usize,
    at: usize,
}

const SETTINGS: &[Setting] = &[
    Setting::plain("url", "Of your domain: https://northwind.my.salesforce.com"),
    Setting::plain("client_id", "Consumer key of a connected app that may use the API"),
    Setting::secret("client_secret", "Consumer secret of the connected app"),
    Setting::plain("username", "Of the user in whose name files are read; without one, that of the connected app")
        .optional(),
    Setting::secret("password", "Of that user, with the security token behind it").optional(),
    Setting::plain("interval", "Hourly or Daily; without it, Daily, which every edition has").optional(),
];

fn validate_all(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    if settings.get("username").is_some() != settings.get("password").is_some() {
        faults.push(Fault::new(
            "",
            "username and password go together; without both, the connected app's own user reads",
        ));
    }
    if !matches!(settings.get("interval"), None | Some("Hourly" | "Daily")) {
        faults.push(Fault::new("interval", "is Hourly or Daily"));
    }
    faults
}

/// An access token for this poll, and where the API is.
fn log_in(ask: &Ask, http: &dyn Http) -> Result<(String, String), Stop> {
    let mut form = vec![("client_id", ask.required("client_id")), ("client_secret", ask.required("client_secret"))];
    match (ask.setting("username"), ask.setting("password")) {
        (Some(name), Some(password)) => {
            form.extend([("grant_type", "password"), ("username", name), ("password", password)]);
        }
        _ => form.push(("grant_type", "client_credentials")),
    }
    let answer = limited(http.send(Request::post(format!("{}/services/oauth2/token", ask.base("url"))).form(form)))?;
    let token = answer_text(&answer, &["access_token"])?.ok_or_else(|| retry("Salesforce gave no access token"))?;
    Ok((token, ask.base("url")))
}

/// The day's limit of requests is told by 403.
fn limited(answer: Result<Response, Failure>) -> Result<Response, Stop> {
    match &answer {
        Ok(refused) if refused.status == 403 && refused.text().contains("REQUEST_LIMIT_EXCEEDED") => {
            Err(retry("Salesforce's limit of requests in 24 hours is reached")
                .after(refused.retry_after().unwrap_or(900)))
        }
        _ => fetched(answer),
    }
}

fn poll(ask: &Ask, http: &dyn Http, kind: &str) -> Result<Page, Stop> {
    let mut cursor: Cursor = ask.cursor()?.unwrap_or_default();
    let (token, url) = log_in(ask, http)?;
    let from = (cursor.newest - OVERLAP).max(ask.since - cursor.early);
    let interval = ask.setting("interval").unwrap_or("Daily");
    let query = format!(
        "SELECT Id, CreatedDate, LogDate, LogFileLength FROM EventLogFile WHERE EventType = '{kind}' AND Interval = '{interval}' \
         AND CreatedDate >= {} ORDER BY CreatedDate ASC, Id ASC LIMIT {LIMIT}",
        time::rfc3339(from)
    );
    let request = Request::get(format!("{url}/services/data/{VERSION}/query")).bearer(&token).query("q", &query);
    let answer = limited(http.send(request))?;
    // The host's clock is ahead, and with it the second from which on logs are wanted: they are asked for from an earlier one.
    let ahead = time::ahead(&answer, ask.now);
    if ask.cursor.is_none() && ahead > 0 {
        cursor.early = ahead;
        return Ok(page([]).cursor(&cursor).more(true));
    }
    let listed = logs_in(&answer, &["records"])?;
    let made = |file: &Log| salesforce_seconds(&file.text("CreatedDate")).unwrap_or(from);
    let new: Vec<&Log> = listed.iter().filter(|file| !cursor.files.contains(&file.text("Id"))).collect();
    let begun = cursor.part.take();
    let is_begun = |file: &&&Log| begun.as_ref().is_some_and(|begun| file.text("Id") == begun.file);
    let Some(file) = new.iter().find(is_begun).or(new.first()) else {
        // Of files that are all known, so many that new ones may stand behind them.
        let last = listed.last().map(made).filter(|last| listed.len() >= LIMIT && *last > cursor.newest);
        cursor.newest = last.unwrap_or(cursor.newest);
        return Ok(page([]).cursor(&cursor).more(last.is_some()));
    };
    let more = new.len() > 1 || listed.len() >= LIMIT;
    let id = file.text("Id");
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(retry("Salesforce names a file in a way that is no id"));
    }
    let request =
        Request::get(format!("{url}/services/data/{VERSION}/sobjects/EventLogFile/{id}/LogFile")).bearer(&token);
    let table = limited(http.send(request))?;
    let whole = file.get(&["LogFileLength"]).as_f64() == Some(table.body.len() as f64);
    // Bytes that are no text do not keep the others back either.
    let table = &*String::from_utf8_lossy(&table.body);
    // One that is another by now is read from its beginning.
    let from = begun.filter(|begun| begun.file == id && begun.length == table.len()).map_or(0, |begun| begun.at);
    // Broken lines of a file that was not cut off are not to keep the others back.
    let open = if whole || ask.attempt >= ATTEMPTS { OpenQuote::BrokenLine } else { OpenQuote::CutOff };
    let part = csv_part(table, from, PART_LOGS, PART_BYTES, open)?;
    let more = more || part.next.is_some();
    match part.next {
        Some(at) => cursor.part = Some(Part { file: id, length: table.len(), at }),
        None => {
            cursor.newest = cursor.newest.max(made(file));
            cursor.files.is_new(&id, cursor.newest);
            cursor.files.forget(cursor.newest - 2 * OVERLAP);
        }
    }
    Ok(Page { logs: part.logs, ..page([]).cursor(&cursor).more(more) })
}

/// `2026-01-02T03:04:05.000+0000`, without a colon in its zone.
fn salesforce_seconds(text: &str) -> Option<i64> {
    time::seconds(text).or_else(|| {
        let at = text.len().checked_sub(2)?;
        time::seconds(&format!("{}:{}", text.get(..at)?, text.get(at..)?))
    })
}

macro_rules! types {
    ($($app:ident $name:literal $kind:literal $log:literal $description:literal;)+) => {
        $(
            pub struct $app;

            impl App for $app {
                const NAME: &'static str = $name;
                const DESCRIPTION: &'static str = $description;
                const SETTINGS: &'static [Setting] = SETTINGS;
                const HOSTS: &'static [&'static str] = &["{url}"];
                const LOGS: &'static [&'static str] = &[$log];

                fn validate(settings: &Settings) -> Vec<Fault> {
                    validate_all(settings)
                }

                fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
                    poll(ask, http, $kind)
                }
            }
        )+

        export_apps!($($app),+);
    };
}

types! {
    Console "salesforce_console" "Console" "salesforce:console" "Salesforce's event log files of the type Console: work in service consoles";
    Login "salesforce_login" "Login" "salesforce:login" "Salesforce's event log files of the type Login: who logged in, from where and how";
    LoginAs "salesforce_loginas" "LoginAs" "salesforce:login_as" "Salesforce's event log files of the type LoginAs: administrators who logged in as somebody else";
    Report "salesforce_report" "Report" "salesforce:report" "Salesforce's event log files of the type Report: reports that were run";
    ReportExport "salesforce_reportexport" "ReportExport" "salesforce:report_export" "Salesforce's event log files of the type ReportExport: reports that were exported";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poller() -> Poller<Login> {
        Poller::new()
            .with("url", "https://northwind.my.salesforce.com/")
            .with("client_id", "3MVG9")
            .with("client_secret", "s3cret")
    }

    fn token() -> Value {
        json!({"access_token": "00D!t0ken", "instance_url": "https://evil.example"})
    }

    fn files(files: &[(&str, &str)]) -> Value {
        let records: Vec<Value> =
            files.iter().map(|(id, made)| json!({"Id": id, "CreatedDate": made, "LogFileLength": 9.0})).collect();
        json!({"totalSize": records.len(), "done": true, "records": records})
    }

    const ONE: &str = "\"EVENT_TYPE\",\"REQUEST_ID\",\"USER_ID\"\n\"Login\",\"r1\",\"005\"\n\"Login\",\"r2\",\"005\"\n";
    const TWO: &str = "\"EVENT_TYPE\",\"REQUEST_ID\",\"USER_ID\"\n\"Login\",\"r3\",\"005\"\n";

    #[test]
    fn each_file_is_a_page_and_is_fetched_once() {
        let (a, b) = (("0ATa", "2026-01-02T11:10:00.000+0000"), ("0ATb", "2026-01-02T11:20:00.000+0000"));
        let late = ("0ATl", "2026-01-02T11:15:00.000+0000");
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, files(&[a, b]))
            .answer(200, ONE)
            .json(200, token())
            .json(200, files(&[a, b]))
            .answer(200, TWO)
            .json(200, token())
            .json(200, files(&[a, late, b]))
            .answer(200, "\"EVENT_TYPE\",\"REQUEST_ID\"\n\"Login\",\"r9\"\n")
            .json(200, token())
            .json(200, files(&[a, late, b]));
        let mut poller = poller();
        let logs = poller.poll_all(&http).unwrap();
        assert_eq!(logs.len(), 3);
        assert_eq!(logs[0], r#"{"EVENT_TYPE":"Login","REQUEST_ID":"r1","USER_ID":"005"}"#);
        assert_eq!(poller.poll_all(&http).unwrap(), [r#"{"EVENT_TYPE":"Login","REQUEST_ID":"r9"}"#]);
        assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
        let requests = http.requests();
        assert!(
            requests.iter().all(|request| request.url.starts_with("https://northwind.my.salesforce.com/services/"))
        );
        assert!(
            requests[1]
                .url
                .contains("Interval%20%3D%20%27Daily%27%20AND%20CreatedDate%20%3E%3D%202026-01-02T11%3A00%3A00Z")
        );
        assert!(requests[2].url.ends_with("/services/data/v62.0/sobjects/EventLogFile/0ATa/LogFile"));
        assert_eq!(requests[0].body_form()[2], ("grant_type".into(), "client_credentials".into()));
    }

    #[test]
    fn a_large_file_is_handed_on_in_parts() {
        const ROWS: usize = 60_000;
        let list = || files(&[("0ATa", "2026-01-02T11:10:00.000+0000"), ("0ATb", "2026-01-02T11:20:00.000+0000")]);
        let mut large = "\"EVENT_TYPE\",\"REQUEST_ID\"\n".to_owned();
        (0..ROWS).for_each(|row| large += &format!("\"Login\",\"r{row}\"\n"));
        let mut http = FakeHttp::new();
        for _ in 0..ROWS / PART_LOGS {
            http = http.json(200, token()).json(200, list()).answer(200, large.as_str());
        }
        let http = http.json(200, token()).json(200, list()).answer(200, ONE);
        let mut poller = poller();
        let mut read = Vec::new();
        for _ in 0..ROWS / PART_LOGS {
            let part = poller.poll(&http).unwrap();
            assert!(part.len() == PART_LOGS && poller.more());
            read.extend(part);
        }
        assert_eq!(read[0], r#"{"EVENT_TYPE":"Login","REQUEST_ID":"r0"}"#);
        read.sort();
        read.dedup();
        assert_eq!((read.len(), poller.poll(&http).unwrap().len(), poller.more(), http.left()), (ROWS, 2, false, 0));
    }

    #[test]
    fn a_file_that_is_another_by_now_is_read_from_its_beginning() {
        let list = || files(&[("0ATa", "2026-01-02T11:10:00.000+0000")]);
        let rows = |count: usize| {
            let rows = (0..count).map(|row| format!("\"Login\",\"r{row}\"\n"));
            "\"EVENT_TYPE\",\"REQUEST_ID\"\n".to_owned() + &rows.collect::<String>()
        };
        let http = FakeHttp::new().json(200, token()).json(200, list()).answer(200, rows(PART_LOGS + 7).as_str());
        let http = http.json(200, token()).json(200, list()).answer(200, rows(9).as_str());
        let mut poller = poller();
        assert_eq!(poller.poll(&http).unwrap().len(), PART_LOGS);
        assert_eq!((poller.poll(&http).unwrap().len(), poller.more()), (9, false));
    }

    #[test]
    fn a_file_that_cannot_be_had_now_is_fetched_later() {
        let list = || files(&[("0ATa", "2026-01-02T11:10:00.000+0000")]);
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, list())
            .answer(500, "")
            .json(200, token())
            .json(200, list())
            .answer(200, "\"A\",\"B\"\n\"1")
            .json(200, token())
            .json(200, list())
            .answer(200, TWO)
            .json(200, token())
            .json(403, json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]));
        let mut poller = poller();
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })), "it was cut off");
        assert_eq!(poller.poll(&http).unwrap().len(), 1);
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { after: Some(900), .. })));
    }

    #[test]
    fn broken_lines_keep_nothing_back() {
        let list = || files(&[("0ATa", "2026-01-02T11:10:00.000+0000")]);
        let http = (1..ATTEMPTS).fold(FakeHttp::new(), |http, _| {
            http.json(200, token()).json(200, list()).answer(200, "A,B\n1,\"x\n2,y\n")
        });
        let http = http.json(200, token()).json(200, list()).answer(200, "A,B\n0\n1,\"x\n2,y\n");
        let mut poller = poller();
        for _ in 1..ATTEMPTS {
            assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })), "it may have been cut off");
        }
        let logs = poller.poll(&http).unwrap();
        assert_eq!(logs.len(), 3);
        assert!(logs[0].contains("1 cells") && logs[1].contains(r#""text":"1,\"x""#), "{logs:?}");
        assert_eq!(logs[2], r#"{"A":"2","B":"y"}"#);

        // Nine bytes, as was said.
        let http = FakeHttp::new().json(200, token()).json(200, list()).answer(200, "A,B\n1,\"xy");
        assert_eq!(self::poller().poll(&http).unwrap().len(), 1);

        let latin = b"A,B\n1,M\xfcller\n2,y\n".to_vec();
        let http = FakeHttp::new().json(200, token()).json(200, list()).answer(200, latin);
        let logs = self::poller().poll(&http).unwrap();
        assert_eq!(logs, ["{\"A\":\"1\",\"B\":\"M\u{fffd}ller\"}", r#"{"A":"2","B":"y"}"#]);
    }

    #[test]
    fn a_user_needs_a_password() {
        let settings = poller().settings().clone().with("username", "api@northwind.example");
        assert_eq!(validate::<Login>(&settings).len(), 1);
        assert_eq!(validate::<Login>(&settings.clone().with("password", "x")), []);
        assert_eq!(validate::<Login>(&settings.with("password", "x").with("interval", "Weekly")).len(), 1);
        let http =
            FakeHttp::new().json(400, json!({"error": "invalid_grant", "error_description": "authentication failure"}));
        let mut poller = poller().with("username", "api@northwind.example").with("password", "p4ss");
        assert!(matches!(poller.poll(&http), Err(Stop::Reject(reason)) if reason.contains("invalid_grant")));
        assert_eq!(http.requests()[0].body_form()[2], ("grant_type".into(), "password".into()));
    }
}
