use super::*;
use brief::check;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Phantom>(alert).with("url", "https://soar.example.com/").with("ph_auth_token", "t0ken")
}

fn there() -> Disposition {
    Disposition::delivered("container 7")
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().json(200, json!({"success": true, "id": 7, "new_artifacts_ids": [9]}));
    let mut parcel = parcel(json!({})).with("asset_id", "3");
    parcel.publication.retain(|key, _| ["rule_name", "record", "created"].contains(&key.as_str()));
    assert_eq!(Phantom::deliver(&parcel, &http), there());
    let request = &http.requests()[0];
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://soar.example.com/rest/container"));
    assert_eq!(request.header_value("ph-auth-token"), Some("t0ken"));
    let record =
        json!({"eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"}});
    assert_eq!(
        request.body_json(),
        json!({
            "name": "root_login",
            "label": "events",
            "description": "",
            "severity": "high",
            "source_data_identifier": KEY,
            "status": "new",
            "asset_id": 3,
            "artifacts": [{
                "name": "root_login",
                "label": "alert",
                "severity": "high",
                "source_data_identifier": KEY,
                "cef": record,
                "data": {"rule_name": "root_login", "created": "2026-01-02T03:04:05Z", "record": record},
                "run_automation": true,
                "start_time": "2026-01-02T03:04:05Z",
            }],
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let http = FakeHttp::new().json(200, json!({"success": true, "id": 7}));
    Phantom::deliver(&parcel(check::hostile()), &http);
    let container = http.requests()[0].body_json();
    assert!(container["name"].as_str().unwrap().encode_utf16().count() <= 255);
    assert!(container["description"].as_str().unwrap().encode_utf16().count() <= 10_000);
    assert_eq!(container["artifacts"][0]["cef"].as_object().unwrap().len(), 400);
}

#[test]
fn what_is_there_already_is_delivered() {
    let twice = json!({"failed": true, "message": "duplicate source_data_identifier", "existing_container_id": 7});
    for status in [200, 400] {
        assert_eq!(Phantom::deliver(&parcel(json!({})), &FakeHttp::new().json(status, twice.clone())), there());
    }
    let mut later = parcel(json!({}));
    later.attempt = 2;
    let http = FakeHttp::new().json(200, json!({"count": 1, "data": [{"id": 7}]}));
    assert_eq!(Phantom::deliver(&later, &http), there());
    assert_eq!(
        http.requests()[0].url,
        format!("https://soar.example.com/rest/container?_filter_source_data_identifier=%22{KEY}%22&page_size=1")
    );
    let http = FakeHttp::new().json(200, json!({"count": 0, "data": []})).json(200, json!({"id": 7}));
    assert_eq!(Phantom::deliver(&later, &http), there());
}

#[test]
fn a_rule_may_have_one_container() {
    let mut parcel = parcel(json!({})).with("container", "rule");
    let nothing = || json!({"count": 0, "data": []});
    let http = FakeHttp::new().json(200, nothing()).json(200, json!({"id": 7})).json(200, json!({"id": 9}));
    assert_eq!(Phantom::deliver(&parcel, &http), there());
    let requests = http.requests();
    let made = requests[1].body_json();
    assert_eq!(
        (&made["name"], &made["source_data_identifier"]),
        (&json!("root_login"), &json!("streamalert-rule-root_login"))
    );
    assert_eq!(requests[2].url, "https://soar.example.com/rest/artifact");
    assert_eq!(requests[2].body_json()["container_id"], 7);

    parcel.attempt = 2;
    let there_is = |id: u64| json!({"count": 1, "data": [{"id": id}]});
    let http = FakeHttp::new().json(200, there_is(7)).json(200, there_is(9));
    assert_eq!(Phantom::deliver(&parcel, &http), there());
    assert!(
        http.requests()[1]
            .url
            .ends_with(&format!("_filter_source_data_identifier=%22{KEY}%22&page_size=1&_filter_container=7"))
    );
    let http = FakeHttp::new().json(200, there_is(7)).json(200, nothing()).json(200, json!({"id": 9}));
    assert_eq!(Phantom::deliver(&parcel, &http), there());
}

#[test]
fn each_error_is_read() {
    check::errors::<Phantom>(&parcel(json!({})));
    check::errors::<Phantom>(&parcel(json!({})).with("container", "rule"));
    let http = FakeHttp::new().json(200, json!({"failed": true, "message": "label is not valid"}));
    assert_eq!(
        Phantom::deliver(&parcel(json!({})), &http),
        Disposition::reject("SOAR refuses the container: label is not valid")
    );
    let settings = parcel(json!({})).with("asset_id", "x").with("container", "y");
    assert_eq!(validate::<Phantom>(settings.settings()).len(), 2);
}
