use super::*;
use brief::check;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn parcel(api: &str, alert: Value) -> Parcel {
    let parcel = Parcel::sample::<Email>(alert)
        .with("api", api)
        .with("from", "StreamAlert <alerts@example.com>")
        .with("to", "sec@example.com, Ada L <ada@example.com>");
    match api {
        "ses" => parcel
            .with("url", "https://email.eu-west-1.amazonaws.com")
            .with("access_key_id", "AKIDEXAMPLE")
            .with("secret_access_key", "s3cret"),
        "mailgun" => {
            parcel.with("url", "https://api.mailgun.net/").with("api_key", "k3y").with("domain", "mg.example.com")
        }
        "postmark" => parcel.with("url", "https://api.postmarkapp.com").with("api_key", "k3y"),
        _ => parcel.with("url", "https://api.sendgrid.com").with("api_key", "k3y"),
    }
}

/// With little in it.
fn short(api: &str) -> Parcel {
    let mut parcel = parcel(api, json!({"title": "Root <in>", "record": {"a": 1}}));
    parcel.publication.retain(|key, _| ["title", "severity", "record"].contains(&key.as_str()));
    parcel
}

const TEXT: &str = "Severity: high\n\nRecord\na: 1";
const HTML: &str = "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">\
    <h2 style=\"border-left:6px solid #e8590c;padding-left:8px\">Root &lt;in&gt;</h2>\
    <table><tr><th align=\"left\">Severity</th><td>high</td></tr></table><h3>Record</h3><pre>a: 1</pre></body></html>";
/// `{"a": 1}` on three lines.
const RECORD: &str = "ewogICJhIjogMQp9Cg==";

fn sent(parcel: &Parcel, http: FakeHttp, id: Option<&str>) -> Request {
    assert_eq!(Email::deliver(parcel, &http), Disposition::Delivered(id.map(|id| format!("message {id}"))));
    http.requests().remove(0)
}

#[test]
fn by_sendgrid() {
    let request = sent(&short("sendgrid"), FakeHttp::new().answer(202, "").header("X-Message-Id", "m-1"), Some("m-1"));
    assert_eq!((request.method, request.url.as_str()), ("POST", "https://api.sendgrid.com/v3/mail/send"));
    assert_eq!(request.header_value("authorization"), Some("Bearer k3y"));
    assert_eq!(
        request.body_json(),
        json!({
            "personalizations": [{"to": [{"email": "sec@example.com"}, {"email": "ada@example.com", "name": "Ada L"}]}],
            "from": {"email": "alerts@example.com", "name": "StreamAlert"},
            "subject": "[high] Root <in>",
            "content": [{"type": "text/plain", "value": TEXT}, {"type": "text/html", "value": HTML}],
            "headers": {"X-StreamAlert-Key": KEY},
            "attachments": [
                {"content": RECORD, "filename": "record.json", "type": "application/json", "disposition": "attachment"},
            ],
        })
    );
}

#[test]
fn by_postmark() {
    let answer = json!({"To": "x", "MessageID": "m-1", "ErrorCode": 0, "Message": "OK"});
    let request = sent(&short("postmark"), FakeHttp::new().json(200, answer), Some("m-1"));
    assert_eq!(request.url, "https://api.postmarkapp.com/email");
    assert_eq!(request.header_value("x-postmark-server-token"), Some("k3y"));
    assert_eq!(
        request.body_json(),
        json!({
            "From": "\"StreamAlert\" <alerts@example.com>",
            "To": "sec@example.com, \"Ada L\" <ada@example.com>",
            "Subject": "[high] Root <in>",
            "TextBody": TEXT,
            "HtmlBody": HTML,
            "MessageStream": "outbound",
            "Headers": [{"Name": "X-StreamAlert-Key", "Value": KEY}],
            "Attachments": [{"Name": "record.json", "Content": RECORD, "ContentType": "application/json"}],
        })
    );
}

#[test]
fn by_mailgun() {
    let answer = json!({"id": "<m-1@mg.example.com>", "message": "Queued. Thank you."});
    let request = sent(&short("mailgun"), FakeHttp::new().json(200, answer), Some("<m-1@mg.example.com>"));
    assert_eq!(request.url, "https://api.mailgun.net/v3/mg.example.com/messages");
    assert_eq!(request.header_value("authorization"), Some("Basic YXBpOmszeQ=="));
    let kind = request.header_value("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = |head: &str, content: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name={head}\r\n\r\n{content}\r\n")
    };
    let expected = [
        part("\"from\"", "\"StreamAlert\" <alerts@example.com>"),
        part("\"to\"", "sec@example.com, \"Ada L\" <ada@example.com>"),
        part("\"subject\"", "[high] Root <in>"),
        part("\"text\"", TEXT),
        part("\"html\"", HTML),
        part("\"h:X-StreamAlert-Key\"", KEY),
        part("\"attachment\"; filename=\"record.json\"\r\nContent-Type: application/json", "{\n  \"a\": 1\n}\n"),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(request.body_text(), expected.concat());
}

#[test]
fn by_ses() {
    let request = sent(&short("ses"), FakeHttp::new().json(200, json!({"MessageId": "m-1"})), Some("m-1"));
    assert_eq!(request.url, "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails");
    let authorization = request.header_value("authorization").unwrap();
    assert!(authorization.starts_with(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/ses/aws4_request, SignedHeaders=content-type;host;x-amz-date, "
    ));
    let text = |text: &str| json!({"Data": text, "Charset": "UTF-8"});
    assert_eq!(
        request.body_json(),
        json!({
            "FromEmailAddress": "\"StreamAlert\" <alerts@example.com>",
            "Destination": {"ToAddresses": ["sec@example.com", "\"Ada L\" <ada@example.com>"]},
            "Content": {"Simple": {
                "Subject": text("[high] Root <in>"),
                "Body": {"Text": text(TEXT), "Html": text(HTML)},
                "Headers": [{"Name": "X-StreamAlert-Key", "Value": KEY}],
                "Attachments": [{
                    "FileName": "record.json", "RawContent": RECORD, "ContentType": "application/json",
                    "ContentDisposition": "ATTACHMENT", "ContentTransferEncoding": "BASE64",
                }],
            }},
        })
    );
}

#[test]
fn the_worst_alert_is_one_subject_and_only_text() {
    let mail = Mail::of(&parcel("sendgrid", check::hostile()).publish("record", json!({"big": "x".repeat(6_000_000)})));
    assert!(
        mail.subject.encode_utf16().count() <= 200 && !mail.subject.chars().any(char::is_control),
        "{:?}",
        mail.subject
    );
    assert!(mail.text.len() <= 100_000);
    assert!(mail.attachments.is_empty());
    let html = mail.html.unwrap();
    for word in ["<script", "<at>", "</pre> &", "alert('"] {
        assert!(!html.contains(word), "{word}");
    }
    assert_eq!((html.matches("<pre>").count(), html.matches("</pre>").count()), (2, 2));

    // Mailgun's form is parted by what is in none of its parts.
    let parcel = parcel("mailgun", check::hostile()).publish("@email.attachments", json!({"../\"\r\nx": "a", "": "b"}));
    let request = sent(&parcel, FakeHttp::new().answer(200, ""), None);
    let boundary = request.header_value("content-type").unwrap().rsplit('=').next().unwrap().to_owned();
    let body = request.body_text().into_owned();
    assert_eq!(body.matches(&boundary).count(), 10);
    assert!(body.contains("filename=\"____x\"\r\n"));
    assert!(body.contains("filename=\"attachment.txt\""));
}

#[test]
fn publishers_have_the_say() {
    let parcel = parcel("sendgrid", json!({}))
        .publish("@aws-ses.subject", "s\r\nBcc: x")
        .publish("@aws-ses.body", json!({"plain": "p", "html": "<b>h</b>"}))
        .publish("@aws-ses.attach_record", false)
        .publish("@aws-ses.attachments", json!({"a.txt": "x"}));
    let mail = Mail::of(&parcel);
    assert_eq!((mail.subject.as_str(), mail.text.as_str(), mail.html.as_deref()), ("s Bcc: x", "p", Some("<b>h</b>")));
    let file = mail::Attachment { name: "a.txt".into(), kind: "text/plain", content: b"x".into() };
    assert_eq!(mail.attachments, [file]);
    let mail = Mail::of(&parcel.publish("@email.body", "only text").publish("@email.subject", "mine"));
    assert_eq!((mail.subject.as_str(), mail.text.as_str(), mail.html), ("mine", "only text", None));
}

#[test]
fn each_error_is_read() {
    for api in ["sendgrid", "postmark", "mailgun", "ses"] {
        check::errors::<Email>(&parcel(api, json!({})));
    }
    let http = FakeHttp::new().json(400, json!({})).header("x-amzn-ErrorType", "ThrottlingException:http://x");
    assert!(matches!(Email::deliver(&parcel("ses", json!({})), &http), Disposition::Retry { .. }));
    let http = FakeHttp::new().json(200, json!({"ErrorCode": 406, "Message": "inactive recipient"}));
    assert_eq!(
        Email::deliver(&parcel("postmark", json!({})), &http),
        Disposition::reject("Postmark answers with code 406: inactive recipient")
    );
}

#[test]
fn settings_are_checked() {
    let faults = |parcel: Parcel| -> Vec<String> {
        validate::<Email>(parcel.settings()).into_iter().map(|fault| fault.setting).collect()
    };
    for api in ["sendgrid", "postmark", "mailgun", "ses"] {
        assert!(faults(parcel(api, json!({}))).is_empty(), "{api}");
    }
    let sendgrid = || parcel("sendgrid", json!({}));
    assert_eq!(faults(sendgrid().with("url", "")), ["url"]);
    assert_eq!(faults(sendgrid().with("api", "smtp")), ["api"]);
    assert_eq!(faults(sendgrid().with("api_key", "")), ["api_key"]);
    assert_eq!(faults(sendgrid().with("api", "mailgun")), ["domain"]);
    assert_eq!(faults(sendgrid().with("api", "ses")), ["access_key_id", "secret_access_key", "region"]);
    assert_eq!(faults(parcel("ses", json!({})).with("url", "https://ses.internal.example")), ["region"]);
    assert!(
        faults(parcel("ses", json!({})).with("url", "https://ses.internal.example").with("region", "eu-west-1"))
            .is_empty()
    );
    assert_eq!(faults(sendgrid().with("from", "alerts")), ["from"]);
    assert_eq!(faults(sendgrid().with("to", "a@b.c, d@e.f\r\nBcc: g@h.i")), ["to"]);
    assert_eq!(faults(sendgrid().with("to", vec!["a@example.com"; 51].join(","))), ["to"]);
}
