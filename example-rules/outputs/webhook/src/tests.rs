use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Webhook>(alert).with("url", "https://hooks.example/T0?k=1")
}

fn sent(parcel: &Parcel) -> Request {
    let http = FakeHttp::new().answer(204, "");
    assert_eq!(Webhook::deliver(parcel, &http), Disposition::Delivered(None));
    http.requests().remove(0)
}

#[test]
fn the_publication_is_posted_without_what_is_said_to_other_outputs() {
    let parcel = parcel(json!({"title": "Root <logged in>"})).publish("@slack.text", "Hi").with("token", "t0ken");
    let request = sent(&parcel);
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://hooks.example/T0?k=1"));
    assert_eq!(request.body_json()["title"], "Root <logged in>");
    assert_eq!(request.body_json().get("@slack.text"), None);
    assert_eq!(request.header_value("content-type"), Some("application/json"));
    assert_eq!(request.header_value("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header_value("idempotency-key"), Some(parcel.idempotency_key.as_str()));
    assert_eq!(request.header_value("x-streamalert-signature"), None);
}

#[test]
fn the_receiver_can_tell_who_it_is_from() {
    let request = sent(&parcel(json!({})).with("signing_key", "k3y"));
    let text = format!("1767323100.{}", request.body_text());
    let expected = format!("t=1767323100,v1={}", sign::hex(&sign::hmac_sha256(b"k3y", text.as_bytes())));
    assert_eq!(request.header_value("x-streamalert-signature"), Some(expected.as_str()));
}

#[test]
fn headers_go_by_the_names_that_the_receiver_knows() {
    let parcel = parcel(json!({}))
        .with("token", "t0ken")
        .with("token_header", "X-Api-Key")
        .with("signing_key", "k3y")
        .with("signature_header", "X-Hub")
        .with("idempotency_header", "X-Request-Id");
    let request = sent(&parcel);
    assert_eq!((request.header_value("x-api-key"), request.header_value("authorization")), (Some("t0ken"), None));
    assert!(request.header_value("x-hub").is_some_and(|value| value.starts_with("t=1767323100,v1=")));
    assert_eq!(request.header_value("x-request-id"), Some(parcel.idempotency_key.as_str()));
}

#[test]
fn a_publisher_may_make_the_body() {
    assert_eq!(sent(&parcel(json!({})).publish("@webhook.body", json!({"a": [1]}))).body_json(), json!({"a": [1]}));
}

#[test]
fn a_repeat_differs_in_nothing_but_its_time() {
    let mut again = parcel(json!({})).with("signing_key", "k3y");
    let first = sent(&again);
    (again.attempt, again.now) = (2, again.now + 60);
    let second = sent(&again);
    assert_eq!(
        (&first.body, first.header_value("idempotency-key")),
        (&second.body, second.header_value("idempotency-key"))
    );
    assert_ne!(first.header_value("x-streamalert-signature"), second.header_value("x-streamalert-signature"));
}

#[test]
fn the_worst_alert_arrives_as_it_is() {
    assert_eq!(sent(&parcel(check::hostile())).body_json()["tags"][0], check::HOSTILE);
}

#[test]
fn settings_are_checked() {
    assert_eq!(validate::<Webhook>(&Settings::new()), [Fault::new("url", "is required")]);
    assert_eq!(validate::<Webhook>(parcel(json!({})).settings()), []);
    let faults =
        |name: &'static str, value: &str| validate::<Webhook>(parcel(json!({})).with(name, value).settings()).len();
    assert_eq!(faults("token_header", "X: y"), 1);
    assert_eq!(faults("signature_header", "Host"), 1);
    assert_eq!(faults("idempotency_header", "X-Key"), 0);
    assert_eq!(faults("token", "a\nb"), 1);
}

#[test]
fn each_error_is_read() {
    check::errors::<Webhook>(&parcel(json!({})));
}
