use super::*;

const KEY: &str = "DIWJ8X6AEYOR5OMC6TQ1";
const SECRET: &str = "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep";

fn poller<A: App>() -> Poller<A> {
    Poller::new()
        .with("api_hostname", "api-0123abcd.duosecurity.com")
        .with("integration_key", KEY)
        .with("secret_key", SECRET)
}

fn auth(logs: &[(&str, i64)], next: Value) -> Value {
    let logs: Vec<Value> = logs.iter().map(|(id, at)| json!({"txid": id, "timestamp": at})).collect();
    json!({"stat": "OK", "response": {"authlogs": logs, "metadata": {"next_offset": next, "total_objects": 9}}})
}

fn admin(at: i64, action: &str) -> Value {
    json!({"timestamp": at, "action": action, "username": "ann", "object": null, "description": "{}"})
}

fn ids(logs: &[String], key: &str) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text(key)).collect()
}

#[test]
fn requests_are_signed_as_documented() {
    // The example in Duo's documentation, with the signature that HMAC-SHA1 gives for its text.
    let text = "Tue, 21 Aug 2012 17:29:18 -0000\nPOST\napi-xxxxxxxx.duosecurity.com\n/accounts/v1/account/list\nrealname=First%20Last&username=root";
    let mac = sign::hex(&sign::hmac_sha1(SECRET.as_bytes(), text.as_bytes()));
    assert_eq!(mac.len(), 40);
    let http = FakeHttp::new().json(200, auth(&[], Value::Null));
    poller::<Authentication>().poll(&http).unwrap();
    let request = &http.requests()[0];
    let query = "limit=1000&maxtime=1767355201000&mintime=1767351600000&sort=ts%3Aasc";
    let url = format!("https://api-0123abcd.duosecurity.com/admin/v2/logs/authentication?{query}");
    assert_eq!(
        (request.url.as_str(), request.header_value("date")),
        (url.as_str(), Some("Fri, 02 Jan 2026 12:00:00 -0000"))
    );
    let text = format!(
        "Fri, 02 Jan 2026 12:00:00 -0000\nGET\napi-0123abcd.duosecurity.com\n/admin/v2/logs/authentication\n{query}"
    );
    let mac = sign::hex(&sign::hmac_sha1(SECRET.as_bytes(), text.as_bytes()));
    let credentials = sign::base64(format!("{KEY}:{mac}").as_bytes());
    assert_eq!(request.header_value("authorization"), Some(format!("Basic {credentials}").as_str()));
}

#[test]
fn authentications_come_page_by_page_and_late_ones_with_the_next_round() {
    let http = FakeHttp::new()
        .json(200, auth(&[("a", 1), ("b", 2)], json!(["1767355000000", "b"])))
        .json(200, auth(&[("b", 2), ("c", 3)], Value::Null))
        .json(200, auth(&[("c", 3), ("late", 2), ("d", 4)], Value::Null));
    let mut poller = poller::<Authentication>();
    assert_eq!(ids(&poller.poll_all(&http).unwrap(), "txid"), ["a", "b", "c"]);
    assert!(http.requests()[1].url.contains("&next_offset=1767355000000%2Cb&"));
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap(), "txid"), ["late", "d"]);
    assert!(http.requests()[2].url.contains("mintime=1767354600000"), "ten minutes before the end of the last round");
}

#[test]
fn a_clock_that_is_wrong_is_set_by_duo_s() {
    let refused = json!({"code": 40105, "message": "Bad request timestamp", "stat": "FAIL"});
    let http = FakeHttp::new()
        .json(401, refused)
        .header("Date", "Fri, 02 Jan 2026 11:00:00 GMT")
        .json(200, auth(&[], Value::Null))
        .header("Date", "Fri, 02 Jan 2026 11:00:01 GMT")
        // The hour before the host's noon was Duo's future: the round begins again, an hour earlier.
        .json(200, auth(&[("a", 1)], Value::Null))
        .header("Date", "Fri, 02 Jan 2026 11:00:01 GMT")
        .json(200, auth(&[("b", 2)], Value::Null));
    let mut poller = poller::<Authentication>();
    assert_eq!(ids(&poller.poll_all(&http).unwrap(), "txid"), ["a"]);
    assert_eq!(http.requests()[1].header_value("date"), Some("Fri, 02 Jan 2026 11:00:00 -0000"));
    poller.pass(60);
    assert_eq!(ids(&poller.poll_all(&http).unwrap(), "txid"), ["b"]);
    let of = |number: usize| query_of(&http.requests()[number].url, "mintime").unwrap();
    assert_eq!((of(1), of(2), of(3)), ("1767351600000".into(), "1767348001000".into(), "1767351001000".into()));
}

#[test]
fn keys_that_are_refused_are_told_and_limits_waited_for() {
    let http = FakeHttp::new()
        .json(401, json!({"code": 40103, "message": "Invalid signature", "stat": "FAIL"}))
        .header("Date", "Fri, 02 Jan 2026 12:00:01 GMT")
        .json(429, json!({"code": 42901, "message": "Too Many Requests", "stat": "FAIL"}));
    let mut poller = poller::<Administrator>();
    assert!(matches!(poller.poll(&http), Err(Stop::Reject(reason)) if reason.contains("Invalid signature")));
    assert_eq!(poller.poll(&http), Err(retry("Duo's limit of requests is reached").after(60)));
}

#[test]
fn administrators_logs_of_one_second_are_not_lost_between_pages() {
    let begin = 1_767_351_600;
    let first: Vec<Value> = (0..1000).map(|n| admin(begin + n / 10, &format!("a{n}"))).collect();
    let second =
        vec![first[998].clone(), first[999].clone(), admin(begin + 99, "same second"), admin(begin + 200, "z")];
    let http = FakeHttp::new()
        .json(200, json!({"stat": "OK", "response": first}))
        .json(200, json!({"stat": "OK", "response": second}))
        .json(200, json!({"stat": "OK", "response": [admin(begin + 200, "z")]}));
    let mut poller = poller::<Administrator>();
    let logs = poller.poll_all(&http).unwrap();
    assert_eq!((logs.len(), ids(&logs[1000..], "action")), (1002, vec!["same second".to_owned(), "z".to_owned()]));
    assert!(http.requests()[1].url.ends_with(&format!("?mintime={}", begin + 99)));
    poller.pass(60);
    assert_eq!(poller.poll_all(&http).unwrap(), [""; 0]);
}

#[test]
fn settings_are_checked_without_showing_them() {
    let settings = Settings::new()
        .with("api_hostname", "api-1.duosecurity.com")
        .with("integration_key", KEY)
        .with("secret_key", "short");
    let faults = validate::<Authentication>(&settings);
    assert_eq!(faults, [Fault::new("secret_key", "is 40 letters and digits")]);
    assert_eq!(validate::<Authentication>(&settings.with("secret_key", SECRET)), []);
}
