use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    Parcel::sample::<Slack>(alert).with("url", "https://hooks.slack.com/services/T0/B0/x")
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}})
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().answer(200, "ok");
    assert_eq!(Slack::deliver(&parcel(json!({"title": "Root <in> & \"out\""})), &http), Disposition::Delivered(None));
    let request = &http.requests()[0];
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://hooks.slack.com/services/T0/B0/x"));
    assert_eq!(
        request.body_json(),
        json!({
            "text": "*Root &lt;in&gt; &amp; \"out\"*",
            "attachments": [{
                "color": "#e8590c",
                "blocks": [
                    mrkdwn("Somebody logged in as root."),
                    mrkdwn(
                        "*Severity:* high\n*Rule:* root_login\n*Raised:* 2026-01-02T03:04:05Z\n*Logged:* 2026-01-02T03:03:59Z\n\
                         *Log:* cloudtrail:events\n*Source:* s3 / logs / 2026/01/02/a.json.gz\n*Cluster:* prod\n*Tags:* aws\n\
                         *Alert:* 3f9c1e0b7a5d4826\n*Reference:* <https://example.com/runbooks/root>\n"
                    ),
                    mrkdwn("*Context*\n```\naccount: 123456789012\n```"),
                    mrkdwn(
                        "*Record*\n```\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\nuserIdentity.type: Root\n```"
                    ),
                ],
            }],
        })
    );
}

#[test]
fn the_worst_alert_stays_within_limits_and_is_only_text() {
    let mut http = FakeHttp::new();
    for _ in 0..7 {
        http = http.answer(200, "ok");
    }
    assert_eq!(Slack::deliver(&parcel(check::hostile()), &http), Disposition::Delivered(None));
    let requests = http.requests();
    assert_eq!((requests.len(), http.left()), (7, 0));
    for request in requests {
        let body = request.body_json();
        assert!(body["text"].as_str().unwrap().encode_utf16().count() <= 40_000);
        let blocks = body["attachments"][0]["blocks"].as_array().unwrap();
        assert!(!blocks.is_empty() && blocks.len() <= 50);
        let texts = blocks.iter().map(|block| block["text"]["text"].as_str().unwrap());
        for text in texts.chain([body["text"].as_str().unwrap()]) {
            assert!(!text.is_empty() && text.encode_utf16().count() <= 3_000);
            for word in ["<!", "<@", "<at>", "<script", "\u{0}", "\u{1b}", "\u{202e}", "\r"] {
                assert!(!text.contains(word), "{word:?} in {text}");
            }
            // The fences are ours.
            assert!(matches!(text.split("```").count(), 1 | 3), "{text}");
            assert!(text.ends_with("\n```") || !text.contains("```"), "{text}");
        }
    }
}

#[test]
fn publishers_have_the_say() {
    let parcel = parcel(json!({})).publish("@slack.text", "Look <!here>").publish(
        "@slack.attachments",
        (0..21)
            .map(|n| json!({"text": "x".repeat(5_000), "color": "#000000", "title": n.to_string()}))
            .collect::<Vec<_>>(),
    );
    let http = FakeHttp::new().answer(200, "ok").answer(200, "ok");
    assert_eq!(Slack::deliver(&parcel, &http), Disposition::Delivered(None));
    let first = http.requests()[0].body_json();
    assert_eq!((first["text"].as_str(), first["attachments"].as_array().unwrap().len()), (Some("Look <!here>"), 20));
    let attachment = &first["attachments"][0];
    assert_eq!(
        (&attachment["color"], &attachment["fallback"]),
        (&json!("#000000"), &json!("Root logged in without MFA"))
    );
    assert_eq!(attachment["text"].as_str().unwrap().encode_utf16().count(), 4_000);
    assert_eq!(http.requests()[1].body_json()["attachments"][0]["title"], "20");

    let http = FakeHttp::new().answer(200, "ok");
    let blocks = self::parcel(json!({})).publish("@slack.blocks", json!([{"type": "divider"}]));
    Slack::deliver(&blocks, &http);
    assert_eq!(
        http.requests()[0].body_json(),
        json!({"text": "*Root logged in without MFA*", "blocks": [{"type": "divider"}]})
    );
}

#[test]
fn what_a_publisher_took_out_is_not_sent() {
    let mut parcel = parcel(json!({"title": "secret", "record": {"secret": 1}}));
    parcel.publication = Map::new();
    let http = FakeHttp::new().answer(200, "ok");
    Slack::deliver(&parcel, &http);
    assert!(!http.requests()[0].body_text().contains("secret"));
    assert_eq!(http.requests()[0].body_json()["text"], "*root_login*");
}

#[test]
fn long_alerts_go_on_where_they_stopped() {
    let record: Map<String, Value> = (0..2000).map(|n| (format!("key{n}"), json!("value"))).collect();
    let mut parcel = parcel(json!({"record": record}));
    let http = FakeHttp::new()
        .answer(200, "ok")
        .answer(429, "rate_limited")
        .header("Retry-After", "30")
        .answer(200, "ok")
        .answer(200, "ok");
    let stopped = Slack::deliver(&parcel, &http);
    assert_eq!(stopped, retry("answered 429 Too Many Requests: rate_limited").after(30).progress("1"));
    (parcel.attempt, parcel.progress) = (2, Some("1".into()));
    assert_eq!(Slack::deliver(&parcel, &http), Disposition::Delivered(None));
    let bodies: Vec<String> = http.requests().iter().map(|request| request.body_text().into_owned()).collect();
    assert_eq!(bodies.len(), 4);
    assert_eq!(bodies[1], bodies[2]);
    for n in 0..2000 {
        let there =
            bodies[..2].iter().chain(&bodies[3..]).filter(|body| body.contains(&format!("key{n}: value"))).count();
        assert_eq!(there, 1, "key{n}");
    }
}

#[test]
fn each_error_is_read() {
    check::errors::<Slack>(&parcel(json!({})));
    let told = |status, body: &str| Slack::deliver(&parcel(json!({})), &FakeHttp::new().answer(status, body));
    assert_eq!(told(400, "invalid_payload"), Disposition::reject("answered 400 Bad Request: invalid_payload"));
    assert_eq!(
        told(410, "channel_is_archived"),
        Disposition::reject("answered 410 Gone: channel_is_archived; check the channel of `url`")
    );
    assert_eq!(told(500, "rollup_error"), retry("answered 500 Internal Server Error: rollup_error"));
    assert_eq!(
        told(200, r#"{"ok": false, "error": "no_text"}"#),
        Disposition::reject("Slack refuses the message: no_text; check `url`")
    );
    assert_eq!(told(200, r#"{"ok": true}"#), Disposition::Delivered(None));
    assert_eq!(validate::<Slack>(&Settings::new()), [Fault::new("url", "is required")]);
}
