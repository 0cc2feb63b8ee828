use super::*;
use brief::check;

const MD5: &str = "7FB55F5A62E78AF9B58D08AAEEAEF848";

fn parcel(order: Value) -> Parcel {
    Parcel::sample::<CarbonBlack>(json!({"context": {"carbonblack": order}}))
        .with("url", "https://cb.example.com/")
        .with("token", "t0ken")
}

#[test]
fn a_hash_is_banned() {
    let http = FakeHttp::new().json(200, json!({"result": "success"}));
    let banned = Disposition::delivered("7fb55f5a62e78af9b58d08aaeeaef848 is banned");
    assert_eq!(CarbonBlack::deliver(&parcel(json!({"action": "ban", "value": MD5})), &http), banned);
    let request = &http.requests()[0];
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://cb.example.com/api/v1/banning/blacklist"));
    assert_eq!(request.header_value("x-auth-token"), Some("t0ken"));
    assert_eq!(
        request.body_json(),
        json!({
            "md5hash": "7fb55f5a62e78af9b58d08aaeeaef848", "text": "Banned by StreamAlert: root_login",
            "last_ban_time": 0, "ban_count": 0, "last_ban_host": 0,
        })
    );
}

#[test]
fn cloud_bans_by_sha256() {
    let hash = "ab".repeat(32);
    let http = FakeHttp::new().json(201, json!({"id": "1"}));
    let parcel = parcel(json!({"action": "ban", "value": hash})).with("org_key", "ABC/1");
    assert_eq!(CarbonBlack::deliver(&parcel, &http), Disposition::delivered(format!("{hash} is banned")));
    let request = &http.requests()[0];
    assert_eq!(request.url, "https://cb.example.com/appservices/v6/orgs/ABC%2F1/reputations/overrides");
    assert_eq!(
        request.body_json(),
        json!({
            "override_type": "SHA256", "override_list": "BLACK_LIST", "sha256_hash": hash,
            "description": "Banned by StreamAlert: root_login",
        })
    );
}

#[test]
fn what_is_banned_already_is_delivered() {
    let http = FakeHttp::new().answer(409, "exists");
    let outcome = CarbonBlack::deliver(&parcel(json!({"action": "ban", "value": MD5})), &http);
    assert_eq!(outcome, Disposition::delivered("7fb55f5a62e78af9b58d08aaeeaef848 was banned already"));
}

#[test]
fn orders_that_make_no_sense_are_refused_without_a_call() {
    for order in [
        json!(null),
        json!({"action": "unban", "value": MD5}),
        json!({"action": "ban", "value": "../x"}),
        json!({"action": "ban"}),
        json!({"action": "ban", "value": check::HOSTILE}),
    ] {
        let outcome = CarbonBlack::deliver(&parcel(order.clone()), &FakeHttp::new());
        assert!(matches!(outcome, Disposition::Reject(_)), "{order} {outcome:?}");
    }
}

#[test]
fn each_error_is_read() {
    check::errors::<CarbonBlack>(&parcel(json!({"action": "ban", "value": MD5})));
}
