//! How each service is told of a mail.

use crate::mail::{Address, Attachment, Mail};
use crate::sigv4;
use brief::{answer_or, base};
use streamalert_output_sdk::prelude::*;

/// SES and Postmark take 50 for a mail.
pub const RECIPIENTS_MAX: usize = 50;
/// By which mails about one delivery can be told from others.
const MARK: &str = "X-StreamAlert-Key";

pub fn request(parcel: &Parcel, mail: &Mail) -> Result<Request, String> {
    let key = parcel.required("api_key");
    let url = base(parcel, "url", "");
    match parcel.required("api") {
        "sendgrid" => {
            let url = format!("{url}/v3/mail/send");
            Ok(Request::post(url).bearer(key).json(&sendgrid(parcel, mail)))
        }
        "postmark" => {
            let url = format!("{url}/email");
            let request =
                Request::post(url).header("X-Postmark-Server-Token", key).header("Accept", "application/json");
            Ok(request.json(&postmark(parcel, mail)))
        }
        "mailgun" => {
            let url = format!("{url}/v3/{}/messages", percent(parcel.required("domain")));
            let (kind, body) = mailgun(parcel, mail);
            Ok(Request::post(url).basic("api", key).bytes(kind, body))
        }
        "ses" => {
            let url = format!("{url}/v2/email/outbound-emails");
            let keys = sigv4::Keys {
                id: parcel.required("access_key_id"),
                secret: parcel.required("secret_access_key"),
                session: parcel.setting("session_token"),
            };
            let region = region(parcel.settings()).ok_or("no region of SES is known; check `url` and `region`")?;
            sigv4::signed(Request::post(url).json(&ses(parcel, mail)), &keys, &region, "ses", parcel.now)
        }
        other => Err(format!("`{}` is no mail service; check `api`", plain(other))),
    }
}

/// Of SES: as said, or from the host `email.eu-west-1.amazonaws.com`.
pub fn region(settings: &Settings) -> Option<String> {
    if let Some(region) = settings.get("region") {
        return Some(region.to_owned());
    }
    let url = Url::parse(settings.get("url")?).ok()?;
    let mut parts = url.host().split('.');
    let is_ses = parts.next().is_some_and(|part| matches!(part, "email" | "email-fips"));
    let region = parts.next()?;
    (is_ses && parts.next() == Some("amazonaws")).then(|| region.to_owned())
}

pub fn read(parcel: &Parcel, result: Result<Response, Failure>) -> Disposition {
    let answer = result.as_ref().ok();
    // SES says so with 400 as well.
    let kind = answer.and_then(|answer| answer.header("x-amzn-errortype")).unwrap_or_default();
    let is_throttled = ["Throttling", "TooManyRequests"].iter().any(|word| kind.contains(word));
    let body = answer.and_then(Response::json).unwrap_or_default();
    let header = answer.and_then(|answer| answer.header("x-message-id")).map(str::to_owned);
    let hints = match parcel.required("api") {
        "ses" => [
            (401, "`access_key_id` and `secret_access_key`"),
            (403, "`access_key_id`, `secret_access_key`, `region` and what the user may do"),
            (404, "`url`"),
        ],
        "mailgun" => [
            (401, "`api_key`, and whether it belongs to the region of `url`"),
            (403, "`api_key`"),
            (404, "`domain` and `url`"),
        ],
        _ => [(401, "`api_key`"), (403, "`api_key`, and whether `from` is verified"), (404, "`url`")],
    };
    match answer_or(result, &hints) {
        Disposition::Delivered(_) => match body["ErrorCode"].as_i64() {
            Some(code) if code != 0 => {
                let message = plain(body["Message"].as_str().unwrap_or_default());
                Disposition::reject(format!(
                    "Postmark answers with code {code}: {}",
                    shorten(&message, Max::Utf16(300))
                ))
            }
            _ => {
                let id = ["id", "MessageId", "MessageID"].into_iter().find_map(|key| body[key].as_str());
                Disposition::Delivered(id.or(header.as_deref()).map(|id| format!("message {}", plain(id))))
            }
        },
        Disposition::Reject(reason) if is_throttled => retry(reason),
        other => other,
    }
}

fn sendgrid(parcel: &Parcel, mail: &Mail) -> Value {
    let address = |address: &Address| match address.name.as_str() {
        "" => json!({"email": address.email}),
        name => json!({"email": address.email, "name": name}),
    };
    let mut content = vec![json!({"type": "text/plain", "value": mail.text})];
    content.extend(mail.html.as_ref().map(|html| json!({"type": "text/html", "value": html})));
    let mut body = json!({
        "personalizations": [{"to": mail.to.iter().map(address).collect::<Vec<_>>()}],
        "from": address(&mail.from),
        "subject": mail.subject,
        "content": content,
        "headers": {MARK: parcel.idempotency_key},
    });
    let attachment = |file: &Attachment| json!({"content": sign::base64(&file.content), "filename": file.name, "type": file.kind, "disposition": "attachment"});
    // An empty list is refused.
    if !mail.attachments.is_empty() {
        body["attachments"] = mail.attachments.iter().map(attachment).collect();
    }
    body
}

fn postmark(parcel: &Parcel, mail: &Mail) -> Value {
    let attachment = |file: &Attachment| json!({"Name": file.name, "Content": sign::base64(&file.content), "ContentType": file.kind});
    let mut body = json!({
        "From": mail.from.header(),
        "To": to(mail),
        "Subject": mail.subject,
        "TextBody": mail.text,
        "MessageStream": parcel.setting("message_stream").unwrap_or("outbound"),
        "Headers": [{"Name": MARK, "Value": parcel.idempotency_key}],
        "Attachments": mail.attachments.iter().map(attachment).collect::<Vec<_>>(),
    });
    if let Some(html) = &mail.html {
        body["HtmlBody"] = html.as_str().into();
    }
    body
}

fn to(mail: &Mail) -> String {
    mail.to.iter().map(Address::header).collect::<Vec<_>>().join(", ")
}

/// A form of several parts, since files go no other way: its type and itself.
fn mailgun(parcel: &Parcel, mail: &Mail) -> (String, Vec<u8>) {
    let mut parts: Vec<(String, &[u8])> = Vec::new();
    let to = to(mail);
    let from = mail.from.header();
    let mark = format!("h:{MARK}");
    let fields = [
        ("from", Some(from.as_str())),
        ("to", Some(&to)),
        ("subject", Some(&mail.subject)),
        ("text", Some(&mail.text)),
        ("html", mail.html.as_deref()),
        (&mark, Some(&parcel.idempotency_key)),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            parts.push((format!("Content-Disposition: form-data; name=\"{name}\""), value.as_bytes()));
        }
    }
    for file in &mail.attachments {
        // The name holds neither quotes nor line breaks.
        let head = "Content-Disposition: form-data; name=\"attachment\"; filename";
        parts.push((format!("{head}=\"{}\"\r\nContent-Type: {}", file.name, file.kind), &file.content));
    }
    // Nobody who writes into logs knows the hash of all parts together, which depends on the key.
    let mut all = parcel.idempotency_key.clone().into_bytes();
    parts.iter().for_each(|(_, content)| all.extend_from_slice(content));
    let boundary = format!("streamalert{}", &sign::hex(&sign::sha256(&all))[..40]);
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn ses(parcel: &Parcel, mail: &Mail) -> Value {
    let text = |text: &str| json!({"Data": text, "Charset": "UTF-8"});
    let attachment = |file: &Attachment| {
        json!({
            "FileName": file.name, "RawContent": sign::base64(&file.content), "ContentType": file.kind,
            "ContentDisposition": "ATTACHMENT", "ContentTransferEncoding": "BASE64",
        })
    };
    let mut simple = json!({
        "Subject": text(&mail.subject),
        "Body": {"Text": text(&mail.text)},
        "Headers": [{"Name": MARK, "Value": parcel.idempotency_key}],
    });
    if let Some(html) = &mail.html {
        simple["Body"]["Html"] = text(html);
    }
    if !mail.attachments.is_empty() {
        simple["Attachments"] = mail.attachments.iter().map(attachment).collect();
    }
    json!({
        "FromEmailAddress": mail.from.header(),
        "Destination": {"ToAddresses": mail.to.iter().map(Address::header).collect::<Vec<_>>()},
        "Content": {"Simple": simple},
    })
}
