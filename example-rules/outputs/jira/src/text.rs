//! What Jira is told: a document for Cloud, whose text nodes know no markup, and text between `noformat` for Data Center.

use crate::magic;
use brief::{Brief, shortened};
use streamalert_output_sdk::prelude::*;

/// Jira takes 32,767 for a description or comment; of a document, what counts is not told, so that all of its JSON fits.
const BODY_UNITS: usize = 32_000;
const LINKS_MAX: usize = 10;
const LINK_BYTES: usize = 500;
/// A description of the rule, and a fact.
const PROSE_MAX: Max = Max::Utf16(4_000);
const FACT_MAX: Max = Max::Utf16(500);

/// A description or comment, with the mark that a later attempt knows it by.
pub fn body(parcel: &Parcel, brief: &Brief, mark: &str, is_cloud: bool) -> Value {
    let given = magic(parcel, "description");
    match (is_cloud, given) {
        (true, Some(Value::Object(document))) => Value::Object(document.clone()),
        (true, Some(Value::String(text))) => {
            let paragraphs = |text: &str| {
                text.lines().filter(|line| !line.is_empty()).map(|line| paragraph(vec![run(line)])).collect()
            };
            fitting(|max| document(paragraphs(&shorten(text, Max::Utf16(max))), mark))
        }
        (true, _) => fitting(|max| document(nodes(brief, max), mark)),
        (false, Some(Value::String(text))) => {
            format!("{}\n\n{mark}", shorten(text, Max::Utf16(BODY_UNITS - mark.len() - 2))).into()
        }
        (false, _) => {
            let room = BODY_UNITS - mark.len() - 40;
            format!("{{noformat}}\n{}\n{{noformat}}\n{mark}", shortened(&brief.text(), Max::Utf16(room), escape)).into()
        }
    }
}

/// The longest that fits: JSON doubles some characters, and what is around the text counts too.
fn fitting(make: impl Fn(usize) -> Value) -> Value {
    let mut max = BODY_UNITS - 1_000;
    loop {
        let made = make(max);
        let length = units(&made.to_string());
        if length <= BODY_UNITS || max < 500 {
            return made;
        }
        max = (max * BODY_UNITS / length).min(max - 100).max(499);
    }
}

/// As Java counts, in which Jira is written.
fn units(text: &str) -> usize {
    Max::Utf16(0).length(text)
}

fn document(mut content: Vec<Value>, mark: &str) -> Value {
    content.push(paragraph(vec![run(mark)]));
    json!({"type": "doc", "version": 1, "content": content})
}

fn nodes(brief: &Brief, max: usize) -> Vec<Value> {
    let mut nodes = Vec::new();
    let prose = shorten(&brief.description, PROSE_MAX);
    nodes.extend(prose.lines().filter(|line| !line.is_empty()).map(|line| paragraph(vec![run(line)])));
    let facts =
        brief.facts.iter().map(|(name, value)| vec![strong(&format!("{name}: ")), run(&shorten(value, FACT_MAX))]);
    let links = brief.links.iter().filter(|link| link.len() <= LINK_BYTES).take(LINKS_MAX);
    let links = links.map(|link| {
        vec![
            strong("Reference: "),
            json!({"type": "text", "text": link, "marks": [{"type": "link", "attrs": {"href": link}}]}),
        ]
    });
    let items = facts.chain(links).map(|runs| json!({"type": "listItem", "content": [paragraph(runs)]}));
    nodes.push(json!({"type": "bulletList", "content": items.collect::<Vec<_>>()}));

    let mut left = max.saturating_sub(units(&Value::from(nodes.clone()).to_string()));
    for (name, value) in &brief.details {
        nodes.push(paragraph(vec![strong(name)]));
        let text = format!("{value:#}");
        let short = shorten(&text, Max::Utf16(left));
        if !short.is_empty() {
            nodes.push(json!({
                "type": "codeBlock", "attrs": {"language": "json"}, "content": [{"type": "text", "text": short}],
            }));
        }
        if short.len() < text.len() {
            nodes.push(paragraph(vec![run("Shortened for Jira; the alert has the rest.")]));
            break;
        }
        left = left.saturating_sub(units(&short));
    }
    nodes
}

fn paragraph(content: Vec<Value>) -> Value {
    json!({"type": "paragraph", "content": content})
}

/// Text nodes must not be empty.
fn run(text: &str) -> Value {
    json!({"type": "text", "text": if text.is_empty() { " " } else { text }})
}

fn strong(text: &str) -> Value {
    json!({"type": "text", "text": text, "marks": [{"type": "strong"}]})
}

/// Between `noformat` only its own end means anything; a macro that is not closed might as well.
fn escape(text: &str) -> String {
    text.replace('{', "{\u{200b}")
}
