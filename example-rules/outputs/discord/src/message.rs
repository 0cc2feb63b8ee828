//! What Discord is told. Text from alerts is escaped, and nothing in a message mentions anybody.

use brief::{Brief, pieces, shortened};
use streamalert_output_sdk::prelude::*;

/// Discord counts UTF-16 units, as its clients do.
const CONTENT_MAX: Max = Max::Utf16(2_000);
const TITLE_MAX: Max = Max::Utf16(256);
/// An embed's description may have 4096; the rest is for fences and names.
const DESCRIPTION_MAX: Max = Max::Utf16(3_900);
/// Of a rule's description, so that title and facts have room in the same message.
const RULE_MAX: Max = Max::Utf16(1_500);
/// 1024 are allowed; eleven facts, with names, must leave room.
const FACT_MAX: Max = Max::Utf16(300);
/// All embeds of a message together, title, descriptions and fields: 6000.
const MESSAGE_UNITS: usize = 5_900;
const EMBEDS_MAX: usize = 10;
/// Messages of one alert; one that holds more is read elsewhere.
const MESSAGES_MAX: usize = 10;

/// The messages of an alert, in order.
pub fn messages(parcel: &Parcel) -> Vec<Value> {
    let brief = Brief::of(parcel);
    let content = parcel.magic_text("content").map(|text| shorten(text, CONTENT_MAX).into_owned());
    if let Some(embeds) = parcel.magic("embeds").and_then(Value::as_array) {
        return vec![message(content, &embeds[..embeds.len().min(EMBEDS_MAX)])];
    }

    let color = color(brief.severity);
    let mut fields: Vec<Value> = Vec::new();
    for (name, value) in &brief.facts {
        fields.push(json!({"name": name, "value": shortened(value, FACT_MAX, escape), "inline": true}));
    }
    for link in brief.links.iter().filter(|link| FACT_MAX.length(link) <= 300).take(3) {
        fields.push(json!({"name": "Reference", "value": link, "inline": false}));
    }
    let mut head = json!({"title": shortened(&brief.title, TITLE_MAX, escape), "color": color, "fields": fields});
    if !brief.description.is_empty() {
        head["description"] = shortened(&brief.description, RULE_MAX, escape).into();
    }
    let mut embeds = vec![head];
    for (name, value) in &brief.details {
        let parts = pieces(&flat_lines(value), DESCRIPTION_MAX, escape_code);
        let count = parts.len();
        embeds.extend(parts.into_iter().enumerate().map(|(index, part)| {
            let place = if count > 1 { format!(" ({} of {count})", index + 1) } else { String::new() };
            let text = format!("**{name}**{place}\n```\n{}\n```", part.trim_end_matches('\n'));
            json!({"color": color, "description": text})
        }));
    }

    let mut messages: Vec<Vec<Value>> = Vec::new();
    let mut units = usize::MAX;
    for embed in embeds {
        let length = length(&embed);
        if units.saturating_add(length) > MESSAGE_UNITS || messages.last().is_none_or(|last| last.len() >= EMBEDS_MAX) {
            messages.push(Vec::new());
            units = 0;
        }
        units += length;
        messages.last_mut().expect("one was pushed").push(embed);
    }
    if messages.len() > MESSAGES_MAX {
        messages.truncate(MESSAGES_MAX - 1);
        messages.push(vec![json!({"color": color, "description": "More is left out here; the alert has it."})]);
    }
    let mut content = content;
    messages.iter().map(|embeds| message(content.take(), embeds)).collect()
}

fn message(content: Option<String>, embeds: &[Value]) -> Value {
    // An empty list: not even what a publisher wrote mentions anybody by accident.
    let mut message = json!({"embeds": embeds, "allowed_mentions": {"parse": []}});
    if let Some(content) = content {
        message["content"] = content.into();
    }
    message
}

/// What counts of an embed: its texts.
fn length(embed: &Value) -> usize {
    let text = |value: &Value| Max::Utf16(0).length(value.as_str().unwrap_or_default());
    let fields = embed["fields"].as_array().into_iter().flatten();
    text(&embed["title"])
        + text(&embed["description"])
        + fields.map(|f| text(&f["name"]) + text(&f["value"])).sum::<usize>()
}

fn color(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 0x8a8d91,
        Severity::Low => 0x2e77d0,
        Severity::Medium => 0xdaa038,
        Severity::High => 0xe8590c,
        Severity::Critical => 0xb22222,
    }
}

/// A backslash before all that Discord's markdown knows, `<` of mentions and `[` of links among it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '#' | '[' | ']' | '(' | ')' | '@' | ':' | '-') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Between fences nothing counts but the end of it.
fn escape_code(text: &str) -> String {
    text.replace("``", "`\u{200b}`").replace("``", "`\u{200b}`")
}
