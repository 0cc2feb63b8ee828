use super::*;
use brief::check;

const OWN: &str = "streamalert-0123456789abcdef0123456789abcdef";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Jira>(alert)
        .with("url", "https://northwind.atlassian.net/")
        .with("username", "bot@example.com")
        .with("api_token", "t0ken")
        .with("project_key", "SEC")
        .with("issue_type", "Task")
}

fn server(alert: Value) -> Parcel {
    parcel(alert).with("api_version", "2").with("username", "")
}

fn there(key: &str) -> Disposition {
    Disposition::delivered(format!("https://northwind.atlassian.net/browse/{key}"))
}

fn none() -> Value {
    json!({"issues": [], "isLast": true})
}

fn one(key: &str) -> Value {
    json!({"issues": [{"id": "1", "key": key, "fields": {"summary": "x"}}]})
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().json(201, json!({"id": "1", "key": "SEC-7", "self": "x"}));
    let alert = json!({"rule_description": "One.\n\nTwo.", "context": {}, "record": {"a": "{code}"}});
    assert_eq!(Jira::deliver(&parcel(alert), &http), there("SEC-7"));
    let request = &http.requests()[0];
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://northwind.atlassian.net/rest/api/3/issue"));
    assert_eq!(request.header_value("authorization"), Some("Basic Ym90QGV4YW1wbGUuY29tOnQwa2Vu"));
    let text = |text: &str| json!({"type": "text", "text": text});
    let strong = |text: &str| json!({"type": "text", "text": text, "marks": [{"type": "strong"}]});
    let paragraph = |content: Value| json!({"type": "paragraph", "content": content});
    let fact = |name: &str, value: &str| json!({"type": "listItem", "content": [paragraph(json!([strong(&format!("{name}: ")), text(value)]))]});
    let link = "https://example.com/runbooks/root";
    assert_eq!(
        request.body_json(),
        json!({"fields": {
            "project": {"key": "SEC"},
            "issuetype": {"name": "Task"},
            "summary": "Root logged in without MFA",
            "labels": ["streamalert", OWN, "streamalert-same-7553d2e3a905b6d9"],
            "description": {"type": "doc", "version": 1, "content": [
                paragraph(json!([text("One.")])),
                paragraph(json!([text("Two.")])),
                {"type": "bulletList", "content": [
                    fact("Severity", "high"),
                    fact("Rule", "root_login"),
                    fact("Raised", "2026-01-02T03:04:05Z"),
                    fact("Logged", "2026-01-02T03:03:59Z"),
                    fact("Log", "cloudtrail:events"),
                    fact("Source", "s3 / logs / 2026/01/02/a.json.gz"),
                    fact("Cluster", "prod"),
                    fact("Tags", "aws"),
                    fact("Alert", "3f9c1e0b7a5d4826"),
                    {"type": "listItem", "content": [paragraph(json!([
                        strong("Reference: "),
                        {"type": "text", "text": link, "marks": [{"type": "link", "attrs": {"href": link}}]},
                    ]))]},
                ]},
                paragraph(json!([strong("Record")])),
                {"type": "codeBlock", "attrs": {"language": "json"}, "content": [text("{\n  \"a\": \"{code}\"\n}")]},
                paragraph(json!([text(OWN)])),
            ]},
        }})
    );
}

#[test]
fn on_a_server_text_stands_between_noformat() {
    let http = FakeHttp::new().json(201, json!({"key": "SEC-7"}));
    let alert = json!({"rule_description": "", "references": [], "context": {}, "record": {"a": "{noformat}h1. *x*"}});
    assert_eq!(Jira::deliver(&server(alert), &http), there("SEC-7"));
    let request = &http.requests()[0];
    assert_eq!(request.url, "https://northwind.atlassian.net/rest/api/2/issue");
    assert_eq!(request.header_value("authorization"), Some("Bearer t0ken"));
    let body = request.body_json();
    let text = body["fields"]["description"].as_str().unwrap();
    assert!(text.starts_with("{noformat}\nSeverity: high\nRule: root_login\n"), "{text}");
    assert!(text.ends_with(&format!("Record\na: {{\u{200b}noformat}}h1. *x*\n{{noformat}}\n{OWN}")), "{text}");
}

#[test]
fn the_worst_alert_stays_within_limits() {
    for parcel in [parcel(check::hostile()), server(check::hostile())] {
        let http = FakeHttp::new().json(201, json!({"key": "SEC-7"}));
        Jira::deliver(&parcel, &http);
        let fields = http.requests()[0].body_json()["fields"].clone();
        let summary = fields["summary"].as_str().unwrap();
        assert!(summary.encode_utf16().count() <= 255 && !summary.contains(['\n', '\r']));
        let (length, marks) = match &fields["description"] {
            Value::String(text) => (text.encode_utf16().count(), text.matches("{noformat}").count()),
            document => (document.to_string().encode_utf16().count(), 2),
        };
        assert!((30_000..=32_767).contains(&length), "{length}");
        assert_eq!(marks, 2);
        assert!(fields["labels"].as_array().unwrap().iter().all(|label| !label.as_str().unwrap().contains(' ')));
    }
}

#[test]
fn publishers_have_the_say() {
    let sent = |parcel: Parcel| {
        let http = FakeHttp::new().json(201, json!({"key": "SEC-7"}));
        Jira::deliver(&parcel, &http);
        http.requests()[0].body_json()["fields"].clone()
    };
    let parcel = parcel(json!({})).publish("@jira.issue_summary", "s\nt");
    let fields = sent(parcel.clone().publish("@jira.description", "a\n\nb"));
    assert_eq!(
        (&fields["summary"], &fields["description"]["content"][1]["content"][0]["text"]),
        (&json!("s t"), &json!("b"))
    );
    let document = json!({"type": "doc", "version": 1, "content": []});
    assert_eq!(sent(parcel.clone().publish("@jira.description", document.clone()))["description"], document);
    let fields = sent(server(json!({})).publish("@jira-v2.description", "h1. x"));
    assert_eq!(fields["description"], format!("h1. x\n\n{OWN}"));
}

#[test]
fn alerts_about_the_same_are_comments_on_one_open_issue() {
    let parcel = parcel(json!({})).with("aggregate", "yes");
    let http = FakeHttp::new().json(200, none()).json(201, json!({"key": "SEC-7"}));
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-7"));
    assert_eq!(http.requests()[0].url, "https://northwind.atlassian.net/rest/api/3/search/jql");
    assert_eq!(
        http.requests()[0].body_json(),
        json!({
            "jql": "project = \"SEC\" AND labels = \"streamalert-same-7553d2e3a905b6d9\" AND statusCategory != Done \
                ORDER BY created ASC",
            "fields": ["summary"],
            "maxResults": 1,
        })
    );

    let http = FakeHttp::new().json(200, one("SEC-7")).json(201, json!({"id": "5"}));
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-7"));
    let comment = &http.requests()[1];
    assert_eq!(comment.url, "https://northwind.atlassian.net/rest/api/3/issue/SEC-7/comment");
    assert_eq!(comment.body_json()["body"]["type"], "doc");

    // The issue does not take it: it gets one of its own.
    let http = FakeHttp::new().json(200, one("SEC-7")).answer(404, "").json(201, json!({"key": "SEC-8"}));
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-8"));
    let http = FakeHttp::new().json(200, one("SEC-7")).answer(503, "");
    assert_eq!(Jira::deliver(&parcel, &http), retry("answered 503 Service Unavailable"));
}

#[test]
fn what_is_the_same_is_exactly_the_same() {
    let label = |alert: Value, summary: &str| group_label(&Parcel::sample::<Jira>(alert), summary);
    assert_eq!(label(json!({}), "a b"), label(json!({"rule_name": "x"}), "a b"));
    assert_ne!(label(json!({}), "a b"), label(json!({}), "a"));
    assert_eq!(label(json!({"dedup_key": "k"}), "a"), label(json!({"dedup_key": "k"}), "b"));
    assert_ne!(label(json!({"dedup_key": "k"}), "a"), label(json!({"dedup_key": "k", "rule_name": "x"}), "a"));
}

#[test]
fn a_later_attempt_looks_before_it_makes_another() {
    let mut parcel = parcel(json!({})).with("aggregate", "yes");
    parcel.attempt = 2;
    let http = FakeHttp::new().json(200, one("SEC-7"));
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-7"));
    assert!(http.requests()[0].body_text().contains(&format!("labels = \\\"{OWN}\\\" ORDER")));

    let comments = json!({"comments": [{"body": {"content": [{"text": OWN}]}}]});
    let http = FakeHttp::new().json(200, none()).json(200, one("SEC-6")).json(200, comments);
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-6"));
    assert_eq!(
        http.requests()[2].url,
        "https://northwind.atlassian.net/rest/api/3/issue/SEC-6/comment?orderBy=-created&maxResults=20"
    );

    let http = FakeHttp::new()
        .json(200, none())
        .json(200, one("SEC-6"))
        .json(200, json!({"comments": []}))
        .json(201, json!({}));
    assert_eq!(Jira::deliver(&parcel, &http), there("SEC-6"));
}

#[test]
fn each_error_is_read() {
    check::errors::<Jira>(&parcel(json!({})));
    check::errors::<Jira>(&server(json!({})));
    let http =
        FakeHttp::new().json(400, json!({"errorMessages": [], "errors": {"issuetype": "Specify a valid issue type"}}));
    assert!(
        matches!(Jira::deliver(&parcel(json!({})), &http), Disposition::Reject(reason) if reason.contains("issue type"))
    );
    let settings = parcel(json!({})).with("project_key", "sec\"").with("api_version", "4").with("aggregate", "maybe");
    let faults: Vec<_> = validate::<Jira>(settings.settings()).into_iter().map(|fault| fault.setting).collect();
    assert_eq!(faults, ["project_key", "api_version", "aggregate"]);
}
