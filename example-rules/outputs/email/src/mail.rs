//! The mail: subject, text, HTML, attachments. Everything from the alert is escaped in HTML and on one line in the subject.

use brief::Brief;
use streamalert_output_sdk::prelude::*;

const SUBJECT_MAX: Max = Max::Utf16(200);
/// What people scroll through; the record is attached as a whole.
const TEXT_MAX: Max = Max::Bytes(100_000);
/// All attachments together; the smallest service takes 10 MB, in base64.
const ATTACHMENTS_BYTES: usize = 5_000_000;
const ATTACHMENTS_MAX: usize = 10;

#[derive(Debug, PartialEq)]
pub struct Mail {
    pub from: Address,
    pub to: Vec<Address>,
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    pub attachments: Vec<Attachment>,
}

#[derive(Debug, PartialEq)]
pub struct Address {
    pub name: String,
    pub email: String,
}

#[derive(Debug, PartialEq)]
pub struct Attachment {
    pub name: String,
    pub kind: &'static str,
    pub content: Vec<u8>,
}

impl Address {
    /// `ada@example.com` or `Ada <ada@example.com>`.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let (name, email) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, email)) => (name.trim().trim_matches('"'), email.trim()),
            None => ("", text),
        };
        Address { name: name.to_owned(), email: email.to_owned() }
    }

    /// As it stands in a header.
    pub fn header(&self) -> String {
        match self.name.as_str() {
            "" => self.email.clone(),
            name => format!("\"{}\" <{}>", name.replace(['"', '\\'], ""), self.email),
        }
    }
}

impl Mail {
    pub fn of(parcel: &Parcel) -> Self {
        let brief = Brief::of(parcel);
        let magic = |field: &str| parcel.magic(field).or_else(|| parcel.magic_of("aws-ses", field));
        let subject = match magic("subject").and_then(Value::as_str) {
            Some(subject) => plain(subject),
            None => format!("[{}] {}", brief.severity, brief.title),
        };
        let shortened = |text: &str| shorten(text, TEXT_MAX).into_owned();
        let (text, html) = match magic("body") {
            Some(Value::String(text)) => (shortened(text), None),
            // By kinds: `plain`, `html`, as the original had them.
            Some(Value::Object(kinds)) => {
                let kind = |kind: &str| kinds.get(kind).or(kinds.get(&format!("text/{kind}"))).and_then(Value::as_str);
                let text = kind("plain").map_or_else(|| shortened(&brief.text()), &shortened);
                (text, kind("html").filter(|html| html.len() <= 1_000_000).map(str::to_owned))
            }
            _ => (shortened(&brief.text()), Some(html(&brief))),
        };

        let mut attachments = Vec::new();
        let mut left = ATTACHMENTS_BYTES;
        let mut attach = |name: String, kind: &'static str, content: Vec<u8>| {
            if attachments.len() < ATTACHMENTS_MAX
                && let Some(rest) = left.checked_sub(content.len())
            {
                left = rest;
                attachments.push(Attachment { name, kind, content });
            }
        };
        let record = parcel.publication.get("record").filter(|record| !record.is_null());
        if let Some(record) = record.filter(|_| magic("attach_record") != Some(&Value::Bool(false))) {
            attach("record.json".into(), "application/json", format!("{record:#}\n").into_bytes());
        }
        for (name, content) in magic("attachments").and_then(Value::as_object).into_iter().flatten() {
            let content = content.as_str().map_or_else(|| format!("{content:#}"), str::to_owned);
            attach(file_name(name), "text/plain", content.into_bytes());
        }
        Mail {
            from: Address::of(parcel.required("from")),
            to: parcel.required("to").split(',').map(Address::of).filter(|address| !address.email.is_empty()).collect(),
            subject: shorten(subject.trim(), SUBJECT_MAX).into_owned(),
            text: if text.trim().is_empty() { "(no text)".into() } else { text },
            html,
            attachments,
        }
    }
}

/// A name that is no path and no end of a header.
fn file_name(name: &str) -> String {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    let name: String = name.chars().map(|c| if good(c) { c } else { '_' }).collect();
    let name = shorten(name.trim_start_matches('.').trim(), Max::Bytes(100)).replace('…', "");
    if name.is_empty() { "attachment.txt".into() } else { name }
}

fn html(brief: &Brief) -> String {
    let text = |text: &str| escape_html(text);
    let mut html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">\
         <h2 style=\"border-left:6px solid {};padding-left:8px\">{}</h2>",
        color(brief.severity),
        text(&brief.title)
    );
    for paragraph in brief.description.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        html += &format!("<p>{}</p>", text(paragraph).replace('\n', "<br>"));
    }
    html += "<table>";
    for (name, value) in &brief.facts {
        html += &format!("<tr><th align=\"left\">{name}</th><td>{}</td></tr>", text(value));
    }
    for link in &brief.links {
        html += &format!("<tr><th align=\"left\">Reference</th><td><a href=\"{0}\">{0}</a></td></tr>", text(link));
    }
    html += "</table>";
    for (name, value) in &brief.details {
        html += &format!("<h3>{name}</h3><pre>{}</pre>", text(&shorten(&flat_lines(value), TEXT_MAX)));
    }
    html + "</body></html>"
}

fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "#8a8d91",
        Severity::Low => "#2e77d0",
        Severity::Medium => "#daa038",
        Severity::High => "#e8590c",
        Severity::Critical => "#b22222",
    }
}
