use super::*;
use brief::check;

fn parcel(alert: Value) -> Parcel {
    let url = "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x";
    Parcel::sample::<Teams>(alert).with("url", url)
}

#[test]
fn a_typical_alert() {
    let http = FakeHttp::new().answer(202, "");
    let record = json!({"title": "Root *in*", "record": {"a": "[x](y)"}, "context": {}});
    assert_eq!(Teams::deliver(&parcel(record), &http), Disposition::Delivered(None));
    let request = &http.requests()[0];
    assert_eq!(request.header_value("content-type"), Some("application/json; charset=utf-8"));
    let fact = |name: &str, value: &str| {
        json!({"type": "RichTextBlock", "spacing": "None", "inlines": [
            {"type": "TextRun", "text": format!("{name}: "), "weight": "Bolder"},
            {"type": "TextRun", "text": value},
        ]})
    };
    assert_eq!(
        request.body_json(),
        json!({"type": "message", "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": [
                    {"type": "Container", "style": "attention", "bleed": true, "items": [{
                        "type": "RichTextBlock",
                        "inlines": [{"type": "TextRun", "text": "Root *in*", "size": "Large", "weight": "Bolder"}],
                    }]},
                    {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "Somebody logged in as root."}]},
                    fact("Severity", "high"),
                    fact("Rule", "root_login"),
                    fact("Raised", "2026-01-02T03:04:05Z"),
                    fact("Logged", "2026-01-02T03:03:59Z"),
                    fact("Log", "cloudtrail:events"),
                    fact("Source", "s3 / logs / 2026/01/02/a.json.gz"),
                    fact("Cluster", "prod"),
                    fact("Tags", "aws"),
                    fact("Alert", "3f9c1e0b7a5d4826"),
                    {"type": "RichTextBlock", "spacing": "Medium",
                        "inlines": [{"type": "TextRun", "text": "Record", "weight": "Bolder"}]},
                    {"type": "RichTextBlock", "spacing": "None",
                        "inlines": [{"type": "TextRun", "text": "a: [x](y)", "fontType": "Monospace"}]},
                ],
                "actions": [
                    {"type": "Action.OpenUrl", "title": "Reference", "url": "https://example.com/runbooks/root"},
                ],
            },
        }]})
    );
}

#[test]
fn the_worst_alert_stays_within_limits() {
    let http = (0..5).fold(FakeHttp::new(), |http, _| http.answer(202, ""));
    assert_eq!(Teams::deliver(&parcel(check::hostile()), &http), Disposition::Delivered(None));
    let requests = http.requests();
    assert_eq!(requests.len(), 5);
    for request in &requests {
        assert!(request.body.len() <= 28_000, "{}", request.body.len());
        // Text of the alert is nowhere but in runs.
        let body = request.body_text();
        assert!(!body.contains("TextBlock\",\"wrap") && !body.contains("\"entities\""));
    }
    assert!(requests[4].body_text().contains("More is left out here"));
}

#[test]
fn long_alerts_go_on_where_they_stopped() {
    let record: Map<String, Value> = (0..300).map(|n| (format!("key{n}"), json!("value"))).collect();
    let mut parcel = parcel(json!({"record": record}));
    let http = FakeHttp::new().answer(202, "").answer(503, "").answer(202, "");
    assert_eq!(Teams::deliver(&parcel, &http), retry("answered 503 Service Unavailable").progress("1"));
    parcel.progress = Some("1".into());
    assert_eq!(Teams::deliver(&parcel, &http), Disposition::Delivered(None));
    assert_eq!(http.requests()[1].body, http.requests()[2].body);
    assert!(http.requests()[2].body_text().contains("Root logged in without MFA (2 of 2)"));
}

#[test]
fn publishers_have_the_say() {
    let http = FakeHttp::new().answer(202, "");
    let parcel = parcel(json!({"references": []}))
        .publish("@teams.title", "Mine")
        .publish("@teams.description", "**bold**")
        .publish("@teams.card_color", "good")
        .publish("@teams.with_record", false)
        .publish(
            "@teams.additional_card_sections",
            json!([{"activityTitle": "More", "text": "t", "facts": [{"name": "n", "value": 1}]}]),
        )
        .publish(
            "@teams.buttons",
            json!([{"text": "Open", "url": "https://x.example"}, {"text": "No", "url": "javascript:x"}]),
        );
    Teams::deliver(&parcel, &http);
    let card = http.requests()[0].body_json()["attachments"][0]["content"].clone();
    let body = card["body"].as_array().unwrap();
    assert_eq!((&body[0]["style"], &body[0]["items"][0]["inlines"][0]["text"]), (&json!("good"), &json!("Mine")));
    assert_eq!(body[1], json!({"type": "TextBlock", "wrap": true, "text": "**bold**"}));
    assert_eq!(card["actions"], json!([{"type": "Action.OpenUrl", "title": "Open", "url": "https://x.example"}]));
    let texts = card.to_string();
    assert!(!texts.contains("ConsoleLogin") && texts.contains("\"More\"") && texts.contains("\"n: \""));
}

#[test]
fn each_error_is_read() {
    check::errors::<Teams>(&parcel(json!({})));
    let told = |body: &str| Teams::deliver(&parcel(json!({})), &FakeHttp::new().answer(200, body));
    let failed = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error";
    assert!(matches!(told(&format!("{failed} 429 with ContextId x")), Disposition::Retry { .. }));
    assert!(matches!(told(&format!("{failed} 413 with ContextId x")), Disposition::Reject(_)));
    let old = Settings::new().with("url", "https://acme.webhook.office.com/webhookb2/x");
    assert_eq!(validate::<Teams>(&old)[0].setting, "url");
    assert_eq!(validate::<Teams>(parcel(json!({})).settings()), []);
}
