use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<VictorOps>(alert)
        .with("url", "https://alert.victorops.com/integrations/generic/20131114/alert/k-1/$routing_key")
        .with("routing_key", "data base")
}

fn sent(parcel: &Parcel) -> Request {
    let http = FakeHttp::new().json(200, json!({"result": "success", "entity_id": "x"}));
    let outcome = VictorOps::deliver(parcel, &http);
    assert_eq!(outcome, Disposition::delivered("entity 0123456789abcdef0123456789abcdef"));
    http.requests().remove(0)
}

#[test]
fn a_typical_alert() {
    let request = sent(&parcel(json!({"context": {}, "references": []})));
    assert_eq!(request.url, "https://alert.victorops.com/integrations/generic/20131114/alert/k-1/data%20base");
    assert_eq!(
        request.body_json(),
        json!({
            "message_type": "CRITICAL",
            "entity_id": "0123456789abcdef0123456789abcdef",
            "entity_display_name": "Root logged in without MFA",
            "state_message": "Somebody logged in as root.\n\nSeverity: high\nRule: root_login\nRaised: 2026-01-02T03:04:05Z\n\
                Logged: 2026-01-02T03:03:59Z\nLog: cloudtrail:events\nSource: s3 / logs / 2026/01/02/a.json.gz\nCluster: prod\n\
                Tags: aws\nAlert: 3f9c1e0b7a5d4826\n\nRecord\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\n\
                userIdentity.type: Root",
            "monitoring_tool": "StreamAlert",
            "state_start_time": 1767323045,
            "rule_name": "root_login",
            "severity": "high",
            "log_source": "cloudtrail:events",
            "cluster": "prod",
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let message = sent(&parcel(check::hostile())).body_json();
    let chars = |key: &str| message[key].as_str().unwrap().encode_utf16().count();
    assert!((19_900..=20_000).contains(&chars("state_message")) && (500..=512).contains(&chars("entity_display_name")));
}

#[test]
fn an_alert_without_a_record_arrives_as_well() {
    let mut parcel = parcel(json!({})).publish("@victorops.message_type", "INFO");
    parcel.publication.retain(|key, _| key.starts_with('@'));
    let message = sent(&parcel).body_json();
    assert_eq!((&message["message_type"], &message["state_message"]), (&json!("INFO"), &json!("Severity: high")));
}

#[test]
fn each_alert_is_an_incident_of_its_own_and_a_repeat_is_the_same() {
    let mut again = parcel(json!({}));
    again.attempt = 2;
    assert_eq!(sent(&again).body, sent(&parcel(json!({}))).body);
    let mut other = parcel(json!({}));
    other.idempotency_key = "other".into();
    let http = FakeHttp::new().answer(200, "");
    VictorOps::deliver(&other, &http);
    assert_eq!(http.requests()[0].body_json()["entity_id"], "other");
}

#[test]
fn each_error_is_read() {
    check::errors::<VictorOps>(&parcel(json!({})));
    let http = FakeHttp::new().json(200, json!({"result": "failure", "messages": "no such key"}));
    assert_eq!(
        VictorOps::deliver(&parcel(json!({})), &http),
        Disposition::reject("Splunk On-Call refuses it: no such key")
    );
}
