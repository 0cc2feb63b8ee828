use super::*;

const SECRET: &str = "s3cretOfTheRamUser0123456789ab";

fn poller() -> Poller<ActionTrail> {
    Poller::new()
        .with("access_key_id", "LTAI4FexampleKey")
        .with("access_key_secret", SECRET)
        .with("region_id", "eu-central-1")
}

fn events(ids: &[&str], next: &str) -> Value {
    let events: Vec<Value> = ids.iter().map(|id| json!({"eventId": id, "eventName": "StopInstance"})).collect();
    let mut page = json!({"RequestId": "r", "StartTime": "x", "EndTime": "y", "Events": events});
    if !next.is_empty() {
        page["NextToken"] = next.into();
    }
    page
}

fn failure(code: &str, message: &str) -> Value {
    json!({"RequestId": "r", "HostId": "actiontrail.eu-central-1.aliyuncs.com", "Code": code, "Message": message})
}

fn ids(logs: &[String]) -> Vec<String> {
    logs.iter().map(|log| Log::parse(log).unwrap().text("eventId")).collect()
}

#[test]
fn a_signature_is_the_documented_one() {
    // The example in the documentation of signatures for RPC APIs, its key and its secret.
    let query = "AccessKeyId=testid&Action=DescribeRegions&Format=XML&SignatureMethod=HMAC-SHA1&\
        SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&SignatureVersion=1.0&Timestamp=2016-02-23T12%3A46%3A24Z&Version=2014-05-26";
    assert_eq!(rpc::signature("testsecret", "GET", query), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
}

#[test]
fn events_come_page_by_page_and_late_ones_with_the_next_round() {
    let http = FakeHttp::new()
        .json(200, events(&["a", "b"], "eyJ0="))
        .json(200, events(&["c"], ""))
        .json(200, events(&["late", "c", "d"], ""));
    let mut poller = poller();
    assert_eq!(ids(&poller.poll(&http).unwrap()), ["a", "b"]);
    poller.pass(1);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["c"]);
    poller.pass(300);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["late", "d"]);
    let requests = http.requests();
    let url = &requests[0].url;
    assert!(url.starts_with("https://actiontrail.eu-central-1.aliyuncs.com/?Signature="), "{url}");
    let of = |number: usize, name: &str| query_of(&requests[number].url, name).unwrap_or_default();
    assert_eq!(
        (of(0, "Action"), of(0, "Version"), of(0, "MaxResults")),
        ("LookupEvents".into(), "2020-07-06".into(), "50".into())
    );
    assert_eq!((of(0, "StartTime"), of(0, "EndTime")), ("2026-01-02T11:00:00Z".into(), "2026-01-02T12:00:01Z".into()));
    assert_eq!(
        (of(1, "StartTime"), of(1, "EndTime"), of(1, "NextToken")),
        (of(0, "StartTime"), of(0, "EndTime"), "eyJ0=".into())
    );
    assert_eq!(of(2, "StartTime"), "2026-01-02T11:30:00Z");
    assert_ne!(of(0, "SignatureNonce"), of(1, "SignatureNonce"));
    // The signature is of the query behind it.
    let query = url.split_once('&').unwrap().1;
    assert_eq!(of(0, "Signature"), rpc::signature(SECRET, "GET", query));
    assert!(!url.contains(SECRET));
}

#[test]
fn weeks_are_fetched_one_by_one() {
    let http = FakeHttp::new().json(200, events(&["a"], "")).json(200, events(&["b"], "")).json(200, events(&[], ""));
    let mut poller = poller().since(1_767_355_200 - 14 * 86_400);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b"]);
    let of = |number: usize, name: &str| query_of(&http.requests()[number].url, name).unwrap_or_default();
    assert_eq!((of(0, "StartTime"), of(0, "EndTime")), ("2025-12-19T12:00:00Z".into(), "2025-12-26T12:00:01Z".into()));
    assert_eq!((of(1, "StartTime"), of(2, "EndTime")), ("2025-12-26T11:30:00Z".into(), "2026-01-02T12:00:01Z".into()));
}

#[test]
fn a_clock_that_is_wrong_is_set_by_the_services() {
    let http = FakeHttp::new()
        .json(400, failure("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."))
        .header("Date", "Fri, 02 Jan 2026 11:00:00 GMT")
        .json(200, events(&["a"], ""))
        .header("Date", "Fri, 02 Jan 2026 11:00:01 GMT")
        // The beginning was by the host's clock: the round begins again, an hour earlier.
        .json(200, events(&["a"], ""))
        .header("Date", "Fri, 02 Jan 2026 11:00:01 GMT")
        .json(200, events(&["b"], ""));
    let mut poller = poller().since(1_767_344_400);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a"]);
    poller.pass(60);
    assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["b"]);
    let of = |number: usize, name: &str| query_of(&http.requests()[number].url, name).unwrap_or_default();
    assert_eq!(
        (of(1, "Timestamp"), of(3, "Timestamp")),
        ("2026-01-02T11:00:00Z".into(), "2026-01-02T11:01:01Z".into())
    );
    assert_eq!((of(3, "StartTime"), of(3, "EndTime")), ("2026-01-02T10:30:01Z".into(), "2026-01-02T11:01:02Z".into()));
}

#[test]
fn what_passes_is_tried_again_with_another_nonce() {
    let http = FakeHttp::new()
        .json(400, failure("Throttling.User", "Request was denied due to user flow control."))
        .json(400, failure("SignatureNonceUsed", "Specified signature nonce was used already."))
        .json(503, failure("ServiceUnavailable", "The request has failed due to a temporary failure of the server."))
        .answer(502, "");
    let mut poller = poller();
    assert_eq!(poller.poll(&http), Err(retry("ActionTrail's limit of requests is reached").after(10)));
    for _ in 0..3 {
        assert!(matches!(poller.poll(&http), Err(Stop::Retry { .. })));
    }
    let nonces: Vec<_> = http.requests().iter().map(|request| query_of(&request.url, "SignatureNonce")).collect();
    assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2]);
}

#[test]
fn what_is_refused_says_what_to_do() {
    let signed =
        format!("Specified signature is not matched with our calculation. server string to sign is:GET&{SECRET}");
    let http = FakeHttp::new()
        .json(404, failure("InvalidAccessKeyId.NotFound", "Specified access key is not found."))
        .json(400, failure("SignatureDoesNotMatch", &signed))
        .json(403, failure("NoPermission", "You are not authorized to do this action."))
        .json(400, failure("InvalidQueryParameter", "The specified query parameter is invalid."));
    let mut poller = poller();
    for expected in [
        "is `access_key_id` active",
        "SignatureDoesNotMatch",
        "`actiontrail:LookupEvents`",
        "InvalidQueryParameter: The",
    ] {
        let stop = poller.poll(&http).unwrap_err();
        assert!(
            matches!(&stop, Stop::Reject(reason) if reason.contains(expected) && !reason.contains(SECRET)),
            "{stop:?}"
        );
    }
}

#[test]
fn a_token_that_is_gone_begins_the_round_again() {
    let http = FakeHttp::new()
        .json(200, events(&["a"], "gone"))
        .json(400, failure("InvalidNextToken", "The specified NextToken is invalid."))
        .json(200, events(&["a", "b"], ""));
    assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["a", "b"]);
}

#[test]
fn settings_are_checked_without_showing_them() {
    let check = |secret: &str, region: &str, expected: &[&str]| {
        let settings =
            Settings::new().with("access_key_id", "LTAI4F").with("access_key_secret", secret).with("region_id", region);
        let faults = validate::<ActionTrail>(&settings);
        assert_eq!(faults.iter().map(|fault| fault.setting.as_str()).collect::<Vec<_>>(), expected);
        assert!(faults.iter().all(|fault| !fault.message.contains(secret)));
    };
    check(SECRET, "ap-southeast-1", &[]);
    check("with blank", "Hangzhou", &["access_key_secret", "region_id"]);
}
