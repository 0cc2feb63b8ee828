use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Discord>(alert).with("url", "https://discord.com/api/webhooks/1/x?thread_id=5")
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().json(200, json!({"id": "123"}));
    assert_eq!(Discord::deliver(&parcel(json!({"title": "Root *in*"})), &http), Disposition::delivered("message 123"));
    let request = &http.requests()[0];
    assert_eq!(
        (request.method, request.url.as_str()),
        ("POST", "https://discord.com/api/webhooks/1/x?thread_id=5&wait=true")
    );
    let fact = |name: &str, value: &str| json!({"name": name, "value": value, "inline": true});
    assert_eq!(
        request.body_json(),
        json!({
            "embeds": [
                {
                    "title": r"Root \*in\*",
                    "color": 0xe8590c,
                    "fields": [
                        fact("Severity", "high"),
                        fact("Rule", r"root\_login"),
                        fact("Raised", r"2026\-01\-02T03\:04\:05Z"),
                        fact("Logged", r"2026\-01\-02T03\:03\:59Z"),
                        fact("Log", r"cloudtrail\:events"),
                        fact("Source", "s3 / logs / 2026/01/02/a.json.gz"),
                        fact("Cluster", "prod"),
                        fact("Tags", "aws"),
                        fact("Alert", "3f9c1e0b7a5d4826"),
                        {"name": "Reference", "value": "https://example.com/runbooks/root", "inline": false},
                    ],
                    "description": "Somebody logged in as root.",
                },
                {"color": 0xe8590c, "description": "**Context**\n```\naccount: 123456789012\n```"},
                {
                    "color": 0xe8590c,
                    "description":
                        "**Record**\n```\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\nuserIdentity.type: Root\n```",
                },
            ],
            "allowed_mentions": {"parse": []},
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits_and_mentions_nobody() {
    let http = (0..10).fold(FakeHttp::new(), |http, _| http.json(200, json!({})));
    let parcel = parcel(check::hostile()).publish("@discord.content", "@everyone ".repeat(400));
    assert_eq!(Discord::deliver(&parcel, &http), Disposition::Delivered(None));
    let requests = http.requests();
    assert_eq!(requests.len(), 10);
    for (index, request) in requests.iter().enumerate() {
        let body = request.body_json();
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let units = |value: &Value| value.as_str().unwrap_or_default().encode_utf16().count();
        assert!(units(&body["content"]) <= 2_000 && (units(&body["content"]) > 0) == (index == 0));
        let embeds = body["embeds"].as_array().unwrap();
        assert!((1..=10).contains(&embeds.len()));
        let mut sum = 0;
        for embed in embeds {
            let (title, description) = (units(&embed["title"]), units(&embed["description"]));
            assert!(title <= 256 && description <= 4_096);
            sum += title + description;
            let fields = embed["fields"].as_array().cloned().unwrap_or_default();
            assert!(fields.len() <= 25);
            for field in fields {
                let (name, value) = (units(&field["name"]), units(&field["value"]));
                assert!((1..=256).contains(&name) && (1..=1_024).contains(&value));
                sum += name + value;
            }
            let text = embed["description"].as_str().unwrap_or_default();
            assert!(matches!(text.split("```").count(), 1 | 3) || index == 0, "{text}");
        }
        assert!(sum <= 6_000, "{sum}");
    }
    let title = requests[0].body_json()["embeds"][0]["title"].as_str().unwrap().to_owned();
    assert!(title.starts_with(r"\<!channel\> \<\@U012AB3CD\> \@everyone"), "{title}");
}

#[test]
fn long_alerts_go_on_where_they_stopped() {
    let record: Map<String, Value> = (0..800).map(|n| (format!("key{n}"), json!("value"))).collect();
    let mut parcel = parcel(json!({"record": record}));
    let http = FakeHttp::new()
        .json(200, json!({}))
        .fail(FailureKind::Timeout)
        .json(200, json!({}))
        .json(200, json!({}))
        .json(200, json!({}));
    assert_eq!(Discord::deliver(&parcel, &http), retry("the time for the delivery is up").progress("1"));
    parcel.progress = Some("1".into());
    assert_eq!(Discord::deliver(&parcel, &http), Disposition::Delivered(None));
    assert_eq!(http.requests()[1].body, http.requests()[2].body);
    assert_ne!(http.requests()[2].body, http.requests()[3].body);
}

#[test]
fn publishers_have_the_say() {
    let http = FakeHttp::new().json(200, json!({}));
    let parcel = parcel(json!({})).publish("@discord.embeds", json!([{"title": "mine"}]));
    Discord::deliver(&parcel, &http);
    assert_eq!(
        http.requests()[0].body_json(),
        json!({"embeds": [{"title": "mine"}], "allowed_mentions": {"parse": []}})
    );
}

#[test]
fn each_error_is_read() {
    check::errors::<Discord>(&parcel(json!({})));
    let http = FakeHttp::new().json(429, json!({"message": "slow down", "retry_after": 64.57, "global": false}));
    assert!(matches!(Discord::deliver(&parcel(json!({})), &http), Disposition::Retry { after: Some(65), .. }));
    let http = FakeHttp::new().json(404, json!({"message": "Unknown Webhook", "code": 10015}));
    assert_eq!(
        Discord::deliver(&parcel(json!({})), &http),
        Disposition::reject(r#"answered 404 Not Found: {"message":"Unknown Webhook","code":10015}; check `url`"#)
    );
}
