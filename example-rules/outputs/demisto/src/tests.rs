use super::*;
use brief::check;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Demisto>(alert).with("url", "https://xsoar.example.com/").with("token", "t0ken")
}

fn sent(parcel: &Parcel) -> Request {
    let http = FakeHttp::new().json(201, json!({"id": "42"}));
    assert_eq!(Demisto::deliver(parcel, &http), Disposition::delivered("incident 42"));
    http.requests().remove(0)
}

#[test]
fn a_typical_alert() {
    let mut parcel = parcel(json!({}));
    parcel.publication.retain(|key, _| ["rule_name", "record", "severity"].contains(&key.as_str()));
    let request = sent(&parcel);
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://xsoar.example.com/incident"));
    assert_eq!(request.header_value("authorization"), Some("t0ken"));
    let label = |kind: &str, value: &str| json!({"type": kind, "value": value});
    assert_eq!(
        request.body_json(),
        json!({
            "type": "Unclassified",
            "name": "root_login",
            "owner": "",
            "playbookId": "",
            "severity": 3.0,
            "details": "Severity: high\nRule: root_login\n\nRecord\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\n\
                userIdentity.type: Root",
            "labels": [
                label("record.eventName", "ConsoleLogin"),
                label("record.sourceIPAddress", "198.51.100.7"),
                label("record.userIdentity.type", "Root"),
                label("rule_name", "root_login"),
                label("severity", "high"),
            ],
            "createInvestigation": true,
            "dbotMirrorId": KEY,
        })
    );
}

#[test]
fn version_8_has_another_door() {
    let request = sent(&parcel(json!({})).with("url", "https://api-xsoar.example.com").with("key_id", "7"));
    assert_eq!(request.url, "https://api-xsoar.example.com/xsoar/public/v1/incident");
    assert_eq!(request.header_value("x-xdr-auth-id"), Some("7"));
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let body = sent(&parcel(check::hostile())).body_json();
    assert!(body["name"].as_str().unwrap().encode_utf16().count() <= 600);
    assert!(body["labels"].as_array().unwrap().len() <= 2_000);
    assert!(!body.to_string().contains("\\r") && body["name"].as_str().unwrap().contains("<script>"));
}

#[test]
fn publishers_have_the_say() {
    let fields = json!({
        "incident_type": "Phishing", "playbook": "pb", "severity": "informational", "owner": "ada", "details": "d",
        "incident_name": "n", "label_data": {"a": {"b": 1}},
    });
    let parcel =
        fields.as_object().unwrap().iter().fold(parcel(json!({})), |parcel, (field, value)| {
            parcel.publish(format!("@demisto.{field}"), value.clone())
        });
    assert_eq!(
        sent(&parcel).body_json(),
        json!({
            "type": "Phishing", "name": "n", "owner": "ada", "playbookId": "pb", "severity": 0.5, "details": "d",
            "labels": [{"type": "a.b", "value": "1"}], "createInvestigation": true, "dbotMirrorId": KEY,
        })
    );
}

#[test]
fn a_later_attempt_looks_before_it_makes_another() {
    let mut parcel = parcel(json!({}));
    parcel.attempt = 2;
    let found = |key: &str| json!({"total": 1, "data": [{"id": "41", "dbotMirrorId": key}]});
    let http = FakeHttp::new().json(200, found(KEY));
    assert_eq!(Demisto::deliver(&parcel, &http), Disposition::delivered("incident 41"));
    assert_eq!(http.requests()[0].url, "https://xsoar.example.com/incidents/search");
    let query = format!("dbotMirrorId:\"{KEY}\"");
    assert_eq!(http.requests()[0].body_json(), json!({"filter": {"query": query, "page": 0, "size": 1}}));
    let http = FakeHttp::new().json(200, found("other")).json(201, json!({"id": "42"}));
    assert_eq!(Demisto::deliver(&parcel, &http), Disposition::delivered("incident 42"));
    let http = FakeHttp::new().answer(403, "").json(201, json!({"id": "42"}));
    assert_eq!(Demisto::deliver(&parcel, &http), Disposition::delivered("incident 42"));
    assert_eq!(Demisto::deliver(&parcel, &FakeHttp::new().answer(503, "")), retry("answered 503 Service Unavailable"));
}

#[test]
fn each_error_is_read() {
    check::errors::<Demisto>(&parcel(json!({})));
}
