//! The event log files of Salesforce; docs: "EventLogFile", "OAuth 2.0".

use super::site::{Case, Event, Vendor, app, check, seconds};
use super::tokens;
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use streamalert_pipeline::plugin::{Ask, HttpFailure, HttpRequest, HttpResponse, Outside, Polled};

const HOUR: i64 = 3600;

struct Org;

impl Org {
    /// Files of what is visible: each hour's, made ten minutes after the hour; what came later is in another file of that hour, made ten
    /// minutes after the hour in which it came.
    fn files(&self, visible: &[Event], now: i64) -> BTreeMap<(i64, i64), Vec<Value>> {
        let mut files: BTreeMap<(i64, i64), Vec<Value>> = BTreeMap::new();
        for event in visible {
            let made = (event.stored.div_euclid(HOUR) + 1) * HOUR + 600;
            if made <= now {
                files.entry((made, event.at.div_euclid(HOUR))).or_default().push(event.log.clone());
            }
        }
        files
    }
}

impl Vendor for Org {
    fn event(&self, number: usize, at: i64) -> Value {
        let time = jiff::Timestamp::from_second(at).unwrap();
        json!({
            "EVENT_TYPE": "Login", "TIMESTAMP": time.strftime("%Y%m%d%H%M%S.000").to_string(), "REQUEST_ID": format!("4r-{number}"),
            "ORGANIZATION_ID": "00D", "USER_ID": "005", "RUN_TIME": "9", "CPU_TIME": "3", "URI": "/index, \"start\".jsp", "USER_NAME": "ann@northwind.example",
            "BROWSER_TYPE": "", "SOURCE_IP": "198.51.100.7", "LOGIN_STATUS": "LOGIN_NO_ERROR", "TIMESTAMP_DERIVED": super::site::rfc3339(at),
            "USER_ID_DERIVED": "005000000000001", "NEW_IN_THIS_RELEASE": "x",
        })
    }

    fn id(&self, log: &Value) -> String {
        log["REQUEST_ID"].as_str().unwrap().into()
    }

    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if seen.path == "/services/oauth2/token" {
            let form = |name| tokens::form(seen, name);
            return match form("grant_type") == "client_credentials"
                && form("client_id") == "3MVG9"
                && form("client_secret") == "s3cret-s3cret"
            {
                true => {
                    Reply::json(200, json!({"access_token": "00D!t0ken", "instance_url": "https://elsewhere.example"}))
                }
                false => Reply::json(
                    400,
                    json!({"error": "invalid_client", "error_description": "invalid client credentials"}),
                ),
            };
        }
        if seen.header("authorization") != "Bearer 00D!t0ken" {
            return Reply::text(401, "no session");
        }
        let files = self.files(visible, now);
        let id = |(made, hour): &(i64, i64)| format!("0AT{made}x{hour}");
        let time =
            |at: i64| jiff::Timestamp::from_second(at).unwrap().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
        if seen.path == "/services/data/v62.0/query" {
            let query = seen.query("q");
            let wanted = "FROM EventLogFile WHERE EventType = 'Login' AND Interval = 'Hourly' AND CreatedDate >= ";
            let Some((_, rest)) = query.split_once(wanted) else { return Reply::text(400, "MALFORMED_QUERY") };
            let Some(from) = rest.split(' ').next().and_then(seconds) else {
                return Reply::text(400, "MALFORMED_QUERY");
            };
            let limit: usize = query.rsplit(' ').next().and_then(|limit| limit.parse().ok()).unwrap_or(0);
            let records: Vec<Value> = files
                .keys()
                .filter(|(made, _)| *made >= from)
                .take(limit)
                .map(|key| json!({"Id": id(key), "CreatedDate": time(key.0), "LogDate": time(key.1 * HOUR), "LogFileLength": 1.0}))
                .collect();
            return Reply::json(200, json!({"totalSize": records.len(), "done": true, "records": records}));
        }
        let name = seen
            .path
            .strip_prefix("/services/data/v62.0/sobjects/EventLogFile/")
            .and_then(|rest| rest.strip_suffix("/LogFile"));
        let Some((_, rows)) = files.iter().find(|(key, _)| Some(id(key).as_str()) == name) else {
            return Reply::json(404, json!([{"errorCode": "NOT_FOUND"}]));
        };
        let columns: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |cells: Vec<String>| cells.join(",") + "\n";
        let mut table = line(columns.iter().map(|column| quoted(column)).collect());
        for row in rows {
            table += &line(columns.iter().map(|column| quoted(row[column.as_str()].as_str().unwrap())).collect());
        }
        Reply { status: 200, headers: vec![("Content-Type", "text/csv".into())], body: table }
    }

    fn limited(&self, _: i64) -> Reply {
        Reply::json(403, json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]))
    }
}

/// Answers as Salesforce does of one large file.
struct OneFile(String);

impl Outside for OneFile {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let body = match request.url {
            url if url.ends_with("/token") => json!({"access_token": "t"}).to_string(),
            url if url.ends_with("/LogFile") => self.0.clone(),
            _ => json!({"records": [{"Id": "0ATa", "CreatedDate": "2026-01-02T11:10:00.000+0000"}]}).to_string(),
        };
        Ok(HttpResponse { status: 200, headers: vec![], body: body.into_bytes(), truncated: false })
    }

    fn secret(&self, _: &str) -> Option<String> {
        Some("s3cret".into())
    }

    fn time_left(&self) -> Option<Duration> {
        None
    }
}

#[test]
fn a_file_larger_than_a_page_may_be_comes_in_parts() {
    const ROWS: usize = 120_000;
    let mut file = (0..40).map(|column| format!("\"COLUMN_{column}\"")).collect::<Vec<_>>().join(",") + "\n";
    for row in 0..ROWS {
        file += &format!("\"r{row}\"");
        file += &",\"/index, \"\"start\"\"\"".repeat(20);
        file += &",\"\"".repeat(19);
        file.push('\n');
    }
    assert!(file.len() > 48 << 20, "{}", file.len());
    let outside: Arc<dyn Outside> = Arc::new(OneFile(file));
    let (plugin, kind) = app("salesforce_login");
    let settings = [("url", "https://northwind.my.salesforce.com"), ("client_id", "3MVG9")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut ask = Ask { app: "large".into(), now: 1_767_355_200, attempt: 1, settings, ..Ask::default() };
    let (mut logs, mut pages) = (HashSet::new(), 0);
    loop {
        let page = match plugin.poll(kind, &ask, &outside) {
            Ok(Polled::Page(page)) => page,
            other => panic!("after {pages} pages: {other:?}"),
        };
        pages += 1;
        logs.extend(page.logs.iter().map(|log| log[..24].to_owned()));
        ask.cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(logs.len(), ROWS);
    assert!((12..60).contains(&pages), "{pages}");
}

#[test]
fn event_log_files() {
    let case = Case {
        kind: "salesforce_login",
        settings: &[("url", "URL"), ("client_id", "3MVG9"), ("client_secret", "s3cret-s3cret"), ("interval", "Hourly")],
        refused: ("client_secret", "wr0ng-wr0ng"),
        log_type: "salesforce:login",
        late: 6 * 3600,
        events: 2_000,
    };
    check(&case, || Box::new(Org));
}
