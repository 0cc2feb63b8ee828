//! What GitHub is told. Text from alerts stands between backticks, more of them than it holds itself, or has all its markup
//! escaped: it mentions nobody, refers to nothing and loads no picture.

use brief::{Brief, shortened};
use streamalert_output_sdk::prelude::*;

const TITLE_MAX: Max = Max::Utf16(256);
/// A body may have 65,536; GitHub counts UTF-16 or bytes, depending on where, so that bytes are safe.
const BODY_BYTES: usize = 65_000;
const DESCRIPTION_MAX: Max = Max::Bytes(8_000);
const FACT_MAX: Max = Max::Bytes(500);
const LINKS_MAX: usize = 20;
const LINK_BYTES: usize = 500;
/// GitHub's limit for a label.
const LABEL_MAX: Max = Max::Utf16(50);

pub fn issue(parcel: &Parcel) -> Value {
    let brief = Brief::of(parcel);
    let title = parcel.magic_text("title").map_or(brief.title.clone(), plain);
    let mark = format!("\n\n{}", mark(parcel));
    let body = match parcel.magic_text("body") {
        Some(body) => shorten(body, Max::Bytes(BODY_BYTES - mark.len())).into_owned(),
        None => body(&brief, BODY_BYTES - mark.len()),
    };
    let mut issue = json!({"title": shorten(&title, TITLE_MAX), "body": body + &mark});
    let labels =
        parcel.setting("labels").unwrap_or_default().split(',').map(str::trim).filter(|label| !label.is_empty());
    let labels: Vec<_> = labels.map(|label| shorten(label, LABEL_MAX)).collect();
    if !labels.is_empty() {
        issue["labels"] = json!(labels);
    }
    issue
}

/// What a later attempt knows the issue by. Nobody sees it.
pub fn mark(parcel: &Parcel) -> String {
    format!("<!-- streamalert {} -->", parcel.idempotency_key)
}

fn body(brief: &Brief, max: usize) -> String {
    let mut body = String::new();
    if !brief.description.is_empty() {
        body.push_str(&shortened(&brief.description, DESCRIPTION_MAX, escape));
        body.push_str("\n\n");
    }
    for (name, value) in &brief.facts {
        body.push_str(&format!("- **{name}:** {}\n", code(&shorten(value, FACT_MAX))));
    }
    for link in brief.links.iter().filter(|link| link.len() <= LINK_BYTES).take(LINKS_MAX) {
        body.push_str(&format!("- **Reference:** <{}>\n", link.replace('<', "%3C").replace('>', "%3E")));
    }
    for (name, value) in &brief.details {
        let text = serde_json_pretty(value);
        let head = format!("\n**{name}**\n\n");
        // Fences, line breaks, and the note.
        let room = max.saturating_sub(body.len() + head.len() + 2 * fence(&text).len() + 100);
        if room < 200 {
            body.push_str("\nMore is left out here; the alert has it.\n");
            break;
        }
        body.push_str(&head);
        let short = shorten(&text, Max::Bytes(room));
        body.push_str(&fenced(&short, "json"));
        if short.len() < text.len() {
            body.push_str("\nShortened for GitHub; the alert has the rest.\n");
            break;
        }
    }
    body
}

fn serde_json_pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// More backticks than the text has in a row.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn fenced(text: &str, language: &str) -> String {
    let fence = fence(text);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

/// Code within a line.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    // Blanks, of which one at each side does not count, keep backticks of the text apart from ours.
    let blank = if text.starts_with('`') || text.ends_with('`') || text.starts_with(' ') { " " } else { "" };
    format!("{ticks}{blank}{text}{blank}{ticks}")
}

/// Prose that stays prose: a backslash before what markdown knows, and something invisible behind what mentions and refers.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' | '#' => {
                out.push(c);
                out.push('\u{200b}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
