use super::*;
use brief::check;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Splunk>(alert).with("url", "https://splunk.example.com:8088/").with("token", "t0ken")
}

fn sent(parcel: &Parcel) -> Request {
    let http = FakeHttp::new().json(200, json!({"text": "Success", "code": 0}));
    assert_eq!(Splunk::deliver(parcel, &http), Disposition::Delivered(None));
    http.requests().remove(0)
}

#[test]
fn a_typical_alert() {
    let mut parcel =
        parcel(json!({})).with("index", "alerts").with("host", "streamalert-1").publish("@slack.text", "x");
    parcel.publication.retain(|key, _| ["rule_name", "created", "fuel", "@slack.text"].contains(&key.as_str()));
    let request = sent(&parcel);
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://splunk.example.com:8088/services/collector/event")
    );
    assert_eq!(request.header_value("authorization"), Some("Splunk t0ken"));
    assert_eq!(
        request.body_json(),
        json!({
            "time": 1767323045,
            "source": "streamalert",
            "sourcetype": "_json",
            "fields": {"streamalert_key": KEY},
            "index": "alerts",
            "host": "streamalert-1",
            "event": {"rule_name": "root_login", "created": "2026-01-02T03:04:05Z"},
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let request =
        sent(&parcel(json!({"record": {"a": check::HOSTILE.repeat(4_000)}, "context": {"b": "x\"".repeat(200_000)}})));
    assert!(request.body.len() <= 1_000_000, "{}", request.body.len());
    let event = request.body_json()["event"].clone();
    assert!(event["record_shortened"].as_str().unwrap().ends_with('…') && event["record"].is_null());
}

#[test]
fn an_event_is_never_empty() {
    let mut parcel = parcel(json!({}));
    parcel.publication.clear();
    let event = sent(&parcel).body_json();
    assert_eq!((&event["event"], &event["time"]), (&json!({"title": "root_login"}), &json!(1767323100)));
}

#[test]
fn each_error_is_read() {
    check::errors::<Splunk>(&parcel(json!({})));
    let told = |status, code| {
        let http = FakeHttp::new().json(status, json!({"text": "told why", "code": code}));
        match Splunk::deliver(&parcel(json!({})), &http) {
            Disposition::Delivered(_) => "delivered".into(),
            Disposition::Retry { .. } => "retry".into(),
            Disposition::Reject(reason) => reason.rsplit("; ").next().unwrap().to_owned(),
        }
    };
    assert_eq!(
        (told(200, 0), told(503, 9), told(400, 9), told(503, 23), told(429, 26)),
        ("delivered".into(), "retry".into(), "retry".into(), "retry".into(), "retry".into())
    );
    assert_eq!(told(403, 4), "check `token`, and whether it is enabled");
    assert_eq!(told(400, 7), "check `index`");
    assert_eq!(told(400, 6), r#"answered 400 Bad Request: {"text":"told why","code":6}"#);
    let settings = parcel(json!({})).with("url", "https://s.example/services/collector/event");
    assert_eq!(validate::<Splunk>(settings.settings()), [Fault::new("url", "ends before /services/collector")]);
}
