use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<GitHub>(alert).with("repository", "northwind/alerts").with("access_token", "t0ken")
}

fn made() -> FakeHttp {
    FakeHttp::new().json(201, json!({"number": 7, "html_url": "https://github.com/northwind/alerts/issues/7"}))
}

fn there() -> Disposition {
    Disposition::delivered("https://github.com/northwind/alerts/issues/7")
}

#[test]
fn a_typical_alert() {
    let http = made();
    let alert = json!({"rule_description": "Ask @octocat about #1.\n*Now*", "record": {"a": "```"}});
    assert_eq!(GitHub::deliver(&parcel(alert).with("labels", "alert, aws,"), &http), there());
    let request = &http.requests()[0];
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://api.github.com/repos/northwind/alerts/issues")
    );
    assert_eq!(request.header_value("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header_value("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(request.header_value("user-agent"), Some("StreamAlert"));
    assert_eq!(
        request.body_json(),
        json!({
            "title": "Root logged in without MFA",
            "labels": ["alert", "aws"],
            "body": "Ask @\u{200b}octocat about #\u{200b}1.\n\\*Now\\*\n\n\
                - **Severity:** `high`\n- **Rule:** `root_login`\n- **Raised:** `2026-01-02T03:04:05Z`\n\
                - **Logged:** `2026-01-02T03:03:59Z`\n- **Log:** `cloudtrail:events`\n\
                - **Source:** `s3 / logs / 2026/01/02/a.json.gz`\n- **Cluster:** `prod`\n- **Tags:** `aws`\n\
                - **Alert:** `3f9c1e0b7a5d4826`\n- **Reference:** <https://example.com/runbooks/root>\n\n\
                **Context**\n\n```json\n{\n  \"account\": \"123456789012\"\n}\n```\n\n\
                **Record**\n\n````json\n{\n  \"a\": \"```\"\n}\n````\n\n\n\
                <!-- streamalert 0123456789abcdef0123456789abcdef -->",
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits_and_between_its_fences() {
    let http = made();
    GitHub::deliver(&parcel(check::hostile()), &http);
    let issue = http.requests()[0].body_json();
    let body = issue["body"].as_str().unwrap();
    assert!(issue["title"].as_str().unwrap().encode_utf16().count() <= 256);
    assert!(body.len() <= 65_536 && body.len() > 60_000, "{}", body.len());
    assert!(body.ends_with("-->"));
    // Out of code, nothing is left that means anything.
    let mut prose = String::new();
    let mut fence: Option<String> = None;
    for line in body.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match &fence {
            Some(open) if line == open.as_str() => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some("`".repeat(ticks)),
            None if line.starts_with("- **") => {}
            None => prose += line,
        }
    }
    assert!(fence.is_none());
    for word in ["@octocat", "@everyone", "<script", "#1", "](", "<!channel"] {
        assert!(!prose.contains(word), "{word}");
    }
}

#[test]
fn code_within_a_line_holds_what_it_holds() {
    let http = made();
    GitHub::deliver(&parcel(json!({"title": "x", "tags": ["``@octocat`"], "rule_name": "a`b"})), &http);
    let body = http.requests()[0].body_json()["body"].as_str().unwrap().to_owned();
    assert!(body.contains("- **Tags:** ``` ``@octocat` ```\n") && body.contains("- **Rule:** ``a`b``\n"), "{body}");
}

#[test]
fn publishers_have_the_say() {
    let http = made();
    GitHub::deliver(&parcel(json!({})).publish("@github.title", "t").publish("@github.body", "**b** @sec"), &http);
    assert_eq!(
        http.requests()[0].body_json(),
        json!({"title": "t", "body": "**b** @sec\n\n<!-- streamalert 0123456789abcdef0123456789abcdef -->"})
    );
}

#[test]
fn a_later_attempt_looks_before_it_makes_another() {
    let mut parcel = parcel(json!({}));
    parcel.attempt = 2;
    let other = json!({"html_url": "x", "body": null});
    let page = vec![other.clone(); 10];
    let ours = json!({"html_url": "https://github.com/northwind/alerts/issues/7",
        "body": "…\n<!-- streamalert 0123456789abcdef0123456789abcdef -->"});
    let http = FakeHttp::new().json(200, json!(page)).json(200, json!([other, ours]));
    assert_eq!(GitHub::deliver(&parcel, &http), there());
    assert_eq!(
        http.requests()[1].url,
        "https://api.github.com/repos/northwind/alerts/issues?state=all&sort=created&direction=desc&per_page=10&page=2\
         &since=2026-01-02T03%3A04%3A05Z"
    );

    let http = FakeHttp::new().json(200, json!([other])).json(201, ours);
    assert_eq!(GitHub::deliver(&parcel, &http), there());
    assert_eq!(http.requests()[1].method, "POST");
}

#[test]
fn each_error_is_read() {
    check::errors::<GitHub>(&parcel(json!({})));
    let told = |http| GitHub::deliver(&parcel(json!({})), &http);
    let limit = retry("answered 403: GitHub's rate limit is reached");
    let http =
        FakeHttp::new().answer(403, "").header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "1767323160");
    assert_eq!(told(http), limit.clone().after(60));
    let http = FakeHttp::new().json(403, json!({"message": "You have exceeded a secondary rate limit."}));
    assert_eq!(told(http), limit);
    let http = FakeHttp::new().json(410, json!({"message": "Issues are disabled for this repo"}));
    assert!(
        matches!(told(http), Disposition::Reject(reason) if reason.ends_with("check `repository`: it has no issues"))
    );
    let faults = |repository: &str| {
        validate::<GitHub>(&Settings::new().with("repository", repository).with("access_token", "x")).len()
    };
    assert_eq!(["a/b", "a", "a/b/c", "a/..", "a/b?c", "/b"].map(faults), [0, 1, 1, 1, 1, 1]);
}
