//! What Slack is told. Text from alerts stands in mrkdwn, escaped and `verbatim`: no links, mentions or channels come of it.

use brief::{Brief, pieces, shortened};
use streamalert_output_sdk::prelude::*;

/// Slack takes 50 blocks, attachments that hold blocks count alike.
const BLOCKS_MAX: usize = 50;
/// Slack's limit for the text of a section is 3000; the rest is for fences.
const SECTION_UNITS: usize = 2_900;
/// Slack refuses messages whose blocks hold much more text than this together, by no documented limit.
const MESSAGE_SECTIONS: usize = 4;
/// Text of a message; Slack cuts at 40,000.
const TEXT_UNITS: usize = 40_000;
/// Sections of details at most; an alert that holds more is read elsewhere.
const SECTIONS_MAX: usize = 24;
/// As the original had it; Slack says that more than 20 are hard to read, and takes up to 100.
const ATTACHMENTS_MAX: usize = 20;
const ATTACHMENT_UNITS: usize = 4_000;

/// The messages of an alert, in order.
pub fn messages(parcel: &Parcel) -> Vec<Value> {
    let brief = Brief::of(parcel);
    let head = match parcel.magic_text("text") {
        Some(text) => shorten(text, Max::Utf16(TEXT_UNITS)).into_owned(),
        None => format!("*{}*", shortened(&brief.title, Max::Utf16(SECTION_UNITS), escape)),
    };
    if let Some(blocks) = parcel.magic("blocks").and_then(Value::as_array) {
        return vec![json!({"text": head, "blocks": &blocks[..blocks.len().min(BLOCKS_MAX)]})];
    }
    if let Some(attachments) = parcel.magic("attachments").and_then(Value::as_array) {
        let attachments: Vec<Value> = attachments.iter().filter_map(|given| attachment(given, &brief)).collect();
        let rest = attachments.chunks(ATTACHMENTS_MAX).skip(1).map(|some| json!({"text": "", "attachments": some}));
        let first =
            json!({"text": head, "attachments": attachments.chunks(ATTACHMENTS_MAX).next().unwrap_or_default()});
        return std::iter::once(first).chain(rest).collect();
    }

    let mut blocks = Vec::new();
    if !brief.description.is_empty() {
        blocks.push(section(shortened(&brief.description, Max::Utf16(SECTION_UNITS), escape)));
    }
    let facts = brief
        .facts
        .iter()
        .map(|(name, value)| format!("*{name}:* {}\n", shortened(value, Max::Utf16(SECTION_UNITS / 12), escape)));
    let links = brief.links.iter().take(10).filter(|link| link.len() < SECTION_UNITS / 12);
    // An address is shown as it is, so that nobody is led to another place than what they read.
    let links = links.map(|link| format!("*Reference:* <{0}>\n", escape(link).replace('|', "%7C")));
    let mut lines = String::new();
    for line in facts.chain(links) {
        if units(&lines) + units(&line) > SECTION_UNITS {
            blocks.push(section(std::mem::take(&mut lines)));
        }
        lines.push_str(&line);
    }
    blocks.push(section(lines));

    let mut sections = Vec::new();
    for (name, value) in &brief.details {
        let text = flat_lines(value);
        let parts = pieces(&text, Max::Utf16(SECTION_UNITS), escape);
        let count = parts.len();
        sections.extend(parts.into_iter().enumerate().map(|(index, part)| {
            let place = if count > 1 { format!(" ({} of {count})", index + 1) } else { String::new() };
            section(format!("*{name}*{place}\n```\n{}\n```", part.trim_end_matches('\n')))
        }));
    }
    if sections.len() > SECTIONS_MAX {
        let left_out = sections.len() - SECTIONS_MAX;
        sections.truncate(SECTIONS_MAX);
        sections.push(section(format!("_{left_out} more parts are left out here; the alert has them._")));
    }
    let count = sections.len().div_ceil(MESSAGE_SECTIONS).max(1);
    let mut sections = sections.into_iter();
    (0..count)
        .map(|index| {
            blocks.extend(sections.by_ref().take(MESSAGE_SECTIONS));
            let text = match index {
                0 => head.clone(),
                _ => format!("{} ({} of {count})", shortened(&head, Max::Utf16(200), str::to_owned), index + 1),
            };
            let attachment = json!({"color": color(brief.severity), "blocks": std::mem::take(&mut blocks)});
            json!({"text": text, "attachments": [attachment]})
        })
        .collect()
}

/// As Slack counts, or more.
fn units(text: &str) -> usize {
    Max::Utf16(0).length(text)
}

fn section(text: String) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": text}})
}

/// What a publisher made, with what Slack wants of each. Publishers write mrkdwn, so texts stay as they are.
fn attachment(given: &Value, brief: &Brief) -> Option<Value> {
    let mut fields = given.as_object()?.clone();
    let mut default = |key: &str, value: &str| {
        if fields.get(key).is_none_or(Value::is_null) {
            fields.insert(key.into(), value.into());
        }
    };
    default("color", "#36a64f");
    default("fallback", &escape(&brief.title));
    for key in ["text", "pretext", "fallback"] {
        if let Some(Value::String(text)) = fields.get_mut(key) {
            *text = shorten(text, Max::Utf16(ATTACHMENT_UNITS)).into_owned();
        }
    }
    Some(Value::Object(fields))
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

/// The three characters that mean something to Slack before all others; quotes stay quotes. No fence comes of it, nor ends.
fn escape(text: &str) -> String {
    if !text.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'>' | b'`')) {
        return text.to_owned();
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace("``", "`\u{200b}`").replace("``", "`\u{200b}`")
}
