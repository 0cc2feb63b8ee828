use super::*;
use brief::check;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Elasticsearch>(alert)
        .with("url", "https://es.example.com:9200/")
        .with("index", "streamalert-alerts")
        .with("api_key", "a2V5")
}

fn item(status: u16, error: Value) -> Value {
    json!({"took": 3, "errors": !error.is_null(), "items": [{"create": {"_index": "x", "_id": KEY, "status": status, "error": error}}]})
}

fn there() -> Disposition {
    Disposition::delivered(format!("streamalert-alerts/{KEY}"))
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().json(200, item(201, Value::Null));
    let mut parcel = parcel(json!({}));
    parcel.publication.retain(|key, _| ["rule_name", "created", "record", "fuel"].contains(&key.as_str()));
    assert_eq!(Elasticsearch::deliver(&parcel, &http), there());
    let request = &http.requests()[0];
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://es.example.com:9200/streamalert-alerts/_bulk")
    );
    assert_eq!(request.header_value("authorization"), Some("ApiKey a2V5"));
    assert_eq!(request.header_value("content-type"), Some("application/x-ndjson"));
    assert_eq!(
        request.body_text(),
        "{\"create\":{\"_id\":\"0123456789abcdef0123456789abcdef\"}}\n\
         {\"rule_name\":\"root_login\",\"created\":\"2026-01-02T03:04:05Z\",\"record\":{\"eventName\":\"ConsoleLogin\",\
         \"sourceIPAddress\":\"198.51.100.7\",\"userIdentity\":{\"type\":\"Root\"}},\"@timestamp\":\"2026-01-02T03:04:05Z\"}\n"
    );
}

#[test]
fn a_repeat_is_there_already() {
    let conflict = json!({"type": "version_conflict_engine_exception", "reason": "document already exists"});
    assert_eq!(Elasticsearch::deliver(&parcel(json!({})), &FakeHttp::new().json(200, item(409, conflict))), there());
}

#[test]
fn a_record_that_does_not_fit_the_index_goes_as_text() {
    let error = json!({"type": "document_parsing_exception", "reason": "failed to parse field [record.a]"});
    let http = FakeHttp::new().json(200, item(400, error.clone())).json(200, item(201, Value::Null));
    assert_eq!(Elasticsearch::deliver(&parcel(json!({"record": {"a": [1, {"b": 2}]}})), &http), there());
    let lines: Vec<Value> = http.requests()[1]
        .body_text()
        .lines()
        .map(|line| streamalert_output_sdk::serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["record_text"], &lines[1]["record"]), (&json!(r#"{"a":[1,{"b":2}]}"#), &Value::Null));
    let http = FakeHttp::new().json(200, item(400, error.clone())).json(200, item(400, error));
    let refused = "document_parsing_exception: failed to parse field [record.a]; check the mapping of `index`";
    assert_eq!(Elasticsearch::deliver(&parcel(json!({})), &http), Disposition::reject(refused));
}

#[test]
fn the_worst_alert_is_two_lines() {
    let http = FakeHttp::new().json(200, item(201, Value::Null));
    Elasticsearch::deliver(&parcel(check::hostile()), &http);
    let body = http.requests()[0].body_text().into_owned();
    assert_eq!(body.matches('\n').count(), 2);
    let document: Value = streamalert_output_sdk::serde_json::from_str(body.lines().nth(1).unwrap()).unwrap();
    assert_eq!(document["record"].as_object().unwrap().len(), 400);
}

#[test]
fn each_error_is_read() {
    check::errors::<Elasticsearch>(&parcel(json!({})));
    let told = |body: Value| Elasticsearch::deliver(&parcel(json!({})), &FakeHttp::new().json(200, body));
    let busy = json!({"type": "es_rejected_execution_exception", "reason": "queue is full"});
    assert_eq!(told(item(429, busy)), retry("es_rejected_execution_exception: queue is full"));
    let none = json!({"type": "index_not_found_exception", "reason": "no such index"});
    assert_eq!(told(item(404, none)), Disposition::reject("index_not_found_exception: no such index; check `index`"));
    assert!(matches!(told(json!({"hello": 1})), Disposition::Reject(reason) if reason.ends_with("check `url`")));
    let faults = |name: &'static str, value: &str| {
        let parcel = parcel(json!({})).with(name, value);
        validate::<Elasticsearch>(parcel.settings()).into_iter().map(|fault| fault.setting).collect::<Vec<_>>()
    };
    assert_eq!(faults("index", "A/b"), ["index"]);
    assert_eq!(faults("index", "_bulk"), ["index"]);
    assert_eq!(faults("username", "u"), [""]);
    assert_eq!(faults("password", "p"), ["username"]);
    assert!(faults("index", "streamalert-2026").is_empty());
}
