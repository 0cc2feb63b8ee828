use super::*;
use brief::check;

const KEY: &str = "R0123456789abcdefghijklmnopqrstu";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<PagerDuty>(alert).with("routing_key", KEY)
}

fn sent(parcel: &Parcel) -> Value {
    let http = FakeHttp::new().json(202, json!({"status": "success", "message": "Event processed", "dedup_key": "k"}));
    let outcome = PagerDuty::deliver(parcel, &http);
    assert_eq!(outcome, Disposition::delivered("dedup key 0123456789abcdef0123456789abcdef"));
    let request = &http.requests()[0];
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://events.pagerduty.com/v2/enqueue"));
    request.body_json()
}

#[test]
fn a_typical_alert() {
    let event = sent(&parcel(json!({"context": {}})));
    assert_eq!(
        event,
        json!({
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": "0123456789abcdef0123456789abcdef",
            "client": "StreamAlert",
            "payload": {
                "summary": "Root logged in without MFA",
                "source": "cloudtrail:events",
                "severity": "error",
                "timestamp": "2026-01-02T03:04:05Z",
                "custom_details": {
                    "id": "3f9c1e0b7a5d4826",
                    "rule_name": "root_login",
                    "title": "Root logged in without MFA",
                    "severity": "high",
                    "rule_description": "Somebody logged in as root.",
                    "created": "2026-01-02T03:04:05Z",
                    "event_time": "2026-01-02T03:03:59Z",
                    "cluster": "prod",
                    "log_source": "cloudtrail:events",
                    "log_type": "json",
                    "source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
                    "dedup_key": null,
                    "tags": ["aws"],
                    "references": ["https://example.com/runbooks/root"],
                    "context": {},
                    "record": {
                        "eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"},
                    },
                    "staged": false,
                },
            },
            "links": [{"href": "https://example.com/runbooks/root", "text": "Reference"}],
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let event = sent(&parcel(check::hostile()).publish("log_source", check::HOSTILE.repeat(9)));
    assert!(event.to_string().len() <= 512_000);
    assert!((1_000..=1_024).contains(&event["payload"]["summary"].as_str().unwrap().encode_utf16().count()));
    assert!(event["links"].is_null(), "the only reference is too long");
    assert_eq!(event["payload"]["custom_details"]["note"], "Too large for PagerDuty, so shortened.");
}

#[test]
fn publishers_have_the_say() {
    let published = |prefix: &str, fields: Value| {
        let fields = fields.as_object().unwrap().clone();
        sent(&fields.into_iter().fold(parcel(json!({"references": []})), |parcel, (field, value)| {
            parcel.publish(format!("@{prefix}.{field}"), value)
        }))
    };
    let event = published(
        "pagerduty-v2",
        json!({
            "summary": "s", "custom_details": {"a": 1}, "severity": "info", "client_url": "https://x.example/1",
            "images": [{"src": "https://x.example/a.png", "alt": "a"}, {"src": "http://plain.example/a.png"}, 5],
            "links": [{"href": "https://x.example/2", "text": "two"}, {"href": "javascript:x"}, {}],
            "component": "web", "group": "prod", "class": "login",
        }),
    );
    assert_eq!(
        event,
        json!({
            "routing_key": KEY, "event_action": "trigger", "dedup_key": "0123456789abcdef0123456789abcdef",
            "client": "StreamAlert", "client_url": "https://x.example/1",
            "payload": {
                "summary": "s", "source": "cloudtrail:events", "severity": "info", "timestamp": "2026-01-02T03:04:05Z",
                "component": "web", "group": "prod", "class": "login", "custom_details": {"a": 1},
            },
            "links": [{"href": "https://x.example/2", "text": "two"}],
            "images": [{"alt": "a", "src": "https://x.example/a.png"}],
        })
    );
    let event = published(
        "pagerduty",
        json!({
            "description": "d", "details": {"b": 2}, "client_url": "https://x.example/1",
            "contexts": [{"type": "link", "href": "https://x.example/3", "text": "three"},
                {"type": "image", "src": "https://x.example/b.png", "href": "https://x.example"}],
        }),
    );
    assert_eq!(event["payload"]["summary"], "d");
    assert_eq!(event["payload"]["custom_details"], json!({"b": 2}));
    assert_eq!(event["links"], json!([{"href": "https://x.example/3", "text": "three"}]));
    assert_eq!(event["images"], json!([{"href": "https://x.example", "src": "https://x.example/b.png"}]));
}

#[test]
fn a_repeat_is_the_same_event() {
    let mut again = parcel(json!({}));
    (again.attempt, again.now) = (7, again.now + 3_600);
    assert_eq!(sent(&again), sent(&parcel(json!({}))));
}

#[test]
fn other_regions() {
    let http = FakeHttp::new().answer(202, "");
    PagerDuty::deliver(&parcel(json!({})).with("url", "https://events.eu.pagerduty.com/"), &http);
    assert_eq!(http.requests()[0].url, "https://events.eu.pagerduty.com/v2/enqueue");
}

#[test]
fn each_error_is_read() {
    check::errors::<PagerDuty>(&parcel(json!({})));
    assert_eq!(
        validate::<PagerDuty>(&Settings::new().with("routing_key", "x")),
        [Fault::new("routing_key", "has 32 letters and digits")]
    );
    assert_eq!(validate::<PagerDuty>(parcel(json!({})).settings()), []);
}
