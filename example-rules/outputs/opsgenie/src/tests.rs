use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Opsgenie>(alert).with("api_key", "g3nie")
}

fn sent(parcel: &Parcel) -> Request {
    let http =
        FakeHttp::new().json(202, json!({"result": "Request will be processed", "took": 0.1, "requestId": "r-1"}));
    assert_eq!(Opsgenie::deliver(parcel, &http), Disposition::delivered("request r-1"));
    http.requests().remove(0)
}

#[test]
fn a_typical_alert() {
    let request = sent(&parcel(json!({"context": {}, "references": []})).with("team", "sec"));
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://api.opsgenie.com/v2/alerts"));
    assert_eq!(request.header_value("authorization"), Some("GenieKey g3nie"));
    assert_eq!(
        request.body_json(),
        json!({
            "message": "Root logged in without MFA",
            "alias": "0123456789abcdef0123456789abcdef",
            "description": "Somebody logged in as root.\n\nSeverity: high\nRule: root_login\nRaised: 2026-01-02T03:04:05Z\n\
                Logged: 2026-01-02T03:03:59Z\nLog: cloudtrail:events\nSource: s3 / logs / 2026/01/02/a.json.gz\nCluster: prod\n\
                Tags: aws\nAlert: 3f9c1e0b7a5d4826\n\nRecord\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\n\
                userIdentity.type: Root",
            "priority": "P2",
            "source": "StreamAlert prod",
            "details": {
                "severity": "high", "rule": "root_login", "raised": "2026-01-02T03:04:05Z", "logged": "2026-01-02T03:03:59Z",
                "log": "cloudtrail:events", "source": "s3 / logs / 2026/01/02/a.json.gz", "cluster": "prod", "tags": "aws",
                "alert": "3f9c1e0b7a5d4826",
                "eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity.type": "Root",
            },
            "entity": "root_login",
            "tags": ["aws"],
            "responders": [{"type": "team", "name": "sec"}],
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let alert = sent(&parcel(check::hostile()).publish("cluster", check::HOSTILE)).body_json();
    let chars = |value: &Value| value.as_str().unwrap().encode_utf16().count();
    assert!(
        (120..=130).contains(&chars(&alert["message"])) && (14_900..=15_000).contains(&chars(&alert["description"]))
    );
    assert!(chars(&alert["source"]) <= 100 && chars(&alert["entity"]) <= 512);
    let tags = alert["tags"].as_array().unwrap();
    assert!(tags.len() == 20 && tags.iter().all(|tag| chars(tag) <= 50 && !tag.as_str().unwrap().contains(',')));
    let details = alert["details"].as_object().unwrap();
    assert!(details.len() > 5);
    assert!(details.iter().map(|(name, value)| name.encode_utf16().count() + chars(value)).sum::<usize>() <= 8_000);
}

#[test]
fn publishers_have_the_say() {
    let parcel = parcel(json!({}))
        .publish("@opsgenie.message", "m")
        .publish("@opsgenie.description", "d")
        .publish("@opsgenie.priority", "P5")
        .publish("@opsgenie.entity", "e")
        .publish("@opsgenie.tags", json!(["a,b"]))
        .publish("@opsgenie.actions", json!(["Restart"]))
        .publish("@opsgenie.responders", json!([{"type": "user", "username": "a@example.com"}]))
        .publish("@opsgenie.details", json!({"k": {"l": 1}}));
    assert_eq!(
        sent(&parcel).body_json(),
        json!({
            "message": "m", "alias": "0123456789abcdef0123456789abcdef", "description": "d", "priority": "P5",
            "source": "StreamAlert prod", "details": {"k.l": "1"}, "entity": "e", "tags": ["a b"], "actions": ["Restart"],
            "responders": [{"type": "user", "username": "a@example.com"}],
        })
    );
}

#[test]
fn a_repeat_is_the_same_alert() {
    let mut again = parcel(json!({}));
    (again.attempt, again.now) = (3, again.now + 60);
    assert_eq!(sent(&again).body, sent(&parcel(json!({}))).body);
}

#[test]
fn each_error_is_read() {
    check::errors::<Opsgenie>(&parcel(json!({})));
    let http = FakeHttp::new().answer(202, "");
    assert_eq!(
        Opsgenie::deliver(&parcel(json!({})).with("url", "https://api.eu.opsgenie.com/"), &http),
        Disposition::Delivered(None)
    );
    assert_eq!(http.requests()[0].url, "https://api.eu.opsgenie.com/v2/alerts");
}
