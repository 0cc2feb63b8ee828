//! `aws-ses`: a mail with a few lines for a person and the record as an attachment.

use super::{Answers, CallError, Desk, Letter, PASSING, REGION, Service, Settings, info, required};
use crate::claim_check::hex;
use crate::limits::{SES_BYTES_MAX, SES_RECIPIENTS_MAX};
use crate::signed;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

const SERVICE: signed::Service = signed::Service { name: "SES", endpoint: "email", signed_as: "ses" };
const SEND: signed::Operation = signed::Operation::Path("/v2/email/outbound-emails", "SendEmail");
/// Characters of a line of base64; RFC 2045 allows 76.
const LINE: usize = 76;
/// Bytes of text in one encoded word of a header: in base64, with its frame, it stays below RFC 2047's 75 characters.
const WORD_BYTES: usize = 42;
/// Bytes of a subject.
const SUBJECT_BYTES_MAX: usize = 512;

pub(super) struct Ses;

impl Service for Ses {
    const BULK: bool = false;

    fn info() -> OutputInfo {
        let asked = [
            required("from_email", "address that mails come from; SES must know it"),
            required("to_emails", "addresses that mails go to, with commas between them"),
            REGION,
        ];
        let options = OutputOptions { rate: Some(10.0), idempotent: false };
        info("aws-ses", "sends each alert as a mail", &asked, options)
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        settings.expect("from_email", faults, is_address, "one address, as in alerts@example.com");
        let fits = |all: &str| {
            all.split(',').all(|one| is_address(one.trim())) && all.split(',').count() <= SES_RECIPIENTS_MAX
        };
        settings.expect("to_emails", faults, fits, "up to 50 addresses with commas between them");
        settings.expect_region(faults);
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        for letter in letters {
            match one(desk, settings, letter).await {
                Ok(receipt) => answers.delivered(letter.place, receipt),
                Err(error) => answers.failed(letter.place, &error),
            }
        }
    }
}

fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"<>()[]\\,;:\"".contains(c);
    let Some((local, domain)) = text.split_once('@') else { return false };
    !local.is_empty() && domain.contains('.') && !domain.contains('@') && text.len() <= 320 && text.chars().all(plain)
}

async fn one(desk: &Desk, settings: &Settings<'_>, letter: &Letter<'_>) -> Result<Option<String>, CallError> {
    let to: Vec<&str> = settings.required("to_emails").split(',').map(str::trim).collect();
    let from = settings.required("from_email");
    let mut mail = mail(from, &to, letter, attachments(letter));
    if mail.len() > SES_BYTES_MAX {
        // The text comes as it is, and says where the rest lies.
        let pointer = desk.claim(PASSING, &letter.alert, letter.parcel.publication.clone()).await?;
        mail = self::mail(from, &to, letter, vec![("record.json".into(), pointer)]);
    }
    let body = json!({
        "FromEmailAddress": from,
        "Destination": {"ToAddresses": to},
        "Content": {"Raw": {"Data": BASE64_STANDARD.encode(mail)}},
    });
    let answer = desk.aws.signed.call(&SERVICE, SEND, settings.get(REGION.name), &body).await?;
    Ok(answer["MessageId"].as_str().map(str::to_owned))
}

/// File names and texts.
fn attachments(letter: &Letter<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if letter.publication.get("@aws-ses.attach_record") != Some(&Value::Bool(false)) {
        let record = letter.publication.get("record").unwrap_or(&Value::Null);
        all.push(("record.json".to_owned(), serde_json::to_string_pretty(record).unwrap_or_default()));
    }
    if let Some(Value::Object(more)) = letter.publication.get("@aws-ses.attachments") {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        all.extend(more.iter().map(|(name, value)| (name.clone(), text(value))));
    }
    all
}

/// Subtypes of `text/` and texts; of several, mail programs show the last they can.
fn bodies(letter: &Letter<'_>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match letter.publication.get("@aws-ses.body") {
        Some(Value::Object(bodies)) if !bodies.is_empty() => {
            let subtype = |name: &str| {
                if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') { name } else { "plain" }.to_owned()
            };
            bodies.iter().map(|(name, value)| (subtype(name), text(value))).collect()
        }
        Some(body) => vec![("plain".into(), text(body))],
        None => {
            let of = |key: &str| letter.text(key).unwrap_or("-");
            let alert = &letter.alert;
            let body = format!(
                "{}\r\n\r\nRule: {}\r\nSeverity: {}\r\nDescription: {}\r\nLog: {}\r\nCluster: {}\r\nTime: {}\r\nAlert: {}\r\n",
                of("title"),
                alert.rule_name,
                of("severity"),
                of("rule_description"),
                of("log_source"),
                of("cluster"),
                of("created"),
                alert.id
            );
            vec![("plain".into(), body)]
        }
    }
}

fn mail(from: &str, to: &[&str], letter: &Letter<'_>, attachments: Vec<(String, String)>) -> String {
    let default = || format!("StreamAlert rule {} triggered", letter.alert.rule_name);
    let subject = letter.published("@aws-ses.subject").unwrap_or_else(default);
    // Base64 has no hyphen, so no part can hold its own end.
    let digest = hex(&Sha256::digest(letter.parcel.idempotency_key.as_bytes()));
    let (outer, inner) = (format!("streamalert-{}", &digest[..24]), format!("streamalert-{}-text", &digest[..24]));
    let mut out = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {}\r\nX-StreamAlert-Alert: {}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{outer}\"\r\n\r\n",
        to.join(",\r\n "),
        header(&subject),
        header(&letter.alert.id),
    );
    let _ = write!(out, "--{outer}\r\nContent-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n");
    for (subtype, text) in bodies(letter) {
        let _ = write!(
            out,
            "--{inner}\r\nContent-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        lines(&mut out, text.as_bytes());
    }
    let _ = write!(out, "--{inner}--\r\n");
    for (name, text) in attachments {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
        let name: String = name.chars().map(plain).take(100).collect();
        let kind = if name.ends_with(".json") { "application/json" } else { "text/plain" };
        let _ = write!(
            out,
            "--{outer}\r\nContent-Type: {kind}; charset=utf-8; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        lines(&mut out, text.as_bytes());
    }
    let _ = write!(out, "--{outer}--\r\n");
    out
}

/// In base64.
fn lines(out: &mut String, bytes: &[u8]) {
    for part in bytes.chunks(LINE / 4 * 3) {
        BASE64_STANDARD.encode_string(part, out);
        out.push_str("\r\n");
    }
}

/// A text as the value of a header: nothing in it can end the header.
fn header(text: &str) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.truncate(text.floor_char_boundary(SUBJECT_BYTES_MAX));
    if text.is_ascii() && text.len() <= LINE && !text.contains("=?") {
        return text;
    }
    let mut words = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}
