use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Komand>(alert)
        .with("url", "https://eu.api.insight.rapid7.com/connect/v1/workflows/w-1/events/execute")
        .with("komand_auth_token", "t0ken")
}

#[test]
fn the_publication_is_the_data_of_the_workflow() {
    let http = FakeHttp::new().answer(200, "");
    let mut parcel = parcel(json!({})).publish("@slack.text", "x");
    parcel.publication.retain(|key, _| ["record", "@slack.text"].contains(&key.as_str()));
    assert_eq!(Komand::deliver(&parcel, &http), Disposition::Delivered(None));
    let request = &http.requests()[0];
    assert_eq!(request.url, "https://eu.api.insight.rapid7.com/connect/v1/workflows/w-1/events/execute");
    assert_eq!(request.header_value("x-api-key"), Some("t0ken"));
    let record =
        json!({"eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"}});
    assert_eq!(request.body_json(), json!({"data": {"record": record}}));
}

#[test]
fn a_server_of_ones_own_has_another_header() {
    let http = FakeHttp::new().answer(200, "");
    Komand::deliver(&parcel(json!({})).with("url", "https://komand.example.com/v2/triggers/1/events"), &http);
    assert_eq!(http.requests()[0].header_value("authorization"), Some("t0ken"));
    assert_eq!(http.requests()[0].header_value("x-api-key"), None);
}

#[test]
fn the_worst_alert_arrives_as_it_is() {
    let http = FakeHttp::new().answer(200, "");
    Komand::deliver(&parcel(check::hostile()), &http);
    assert_eq!(http.requests()[0].body_json()["data"]["tags"][0], check::HOSTILE);
}

#[test]
fn each_error_is_read() {
    check::errors::<Komand>(&parcel(json!({})));
}
