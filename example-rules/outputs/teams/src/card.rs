//! What Teams is told. Text from alerts stands in text runs, which know no markdown: nothing has to be escaped.

use brief::Brief;
use streamalert_output_sdk::prelude::*;

/// Teams takes about 28 KB for a message; the envelope that the workflow adds is unknown.
const CARD_BYTES: usize = 24_000;
/// Cards of one alert; one that holds more is read elsewhere.
const CARDS_MAX: usize = 5;
/// A run of text: so much of a line that one of them never fills a card.
const RUN_MAX: Max = Max::Bytes(2_000);
const TITLE_MAX: Max = Max::Utf16(300);
const LINKS_MAX: usize = 5;
const LINK_BYTES: usize = 500;
const SECTIONS_MAX: usize = 10;

/// An element of a card, as JSON text: a card has dozens of them, and what they come to in bytes decides where it is cut.
type Element = String;

/// The messages of an alert, as JSON text, in order.
pub fn messages(parcel: &Parcel) -> Vec<String> {
    let brief = Brief::of(parcel);
    let title = parcel.magic_text("title").map_or(brief.title.clone(), plain);
    let title = shorten(&title, TITLE_MAX).into_owned();
    let style = match parcel.magic_text("card_color") {
        Some(style @ ("default" | "emphasis" | "good" | "attention" | "warning" | "accent")) => style,
        _ => style(brief.severity),
    };

    let mut body = Vec::new();
    match parcel.magic_text("description") {
        // A publisher may use markdown.
        Some(text) => {
            let text = quoted(&shorten(text, Max::Bytes(8_000)));
            body.push(format!(r#"{{"type":"TextBlock","wrap":true,"text":{text}}}"#));
        }
        None => body.extend(
            brief.description.lines().flat_map(|line| split(line, RUN_MAX)).take(20).map(|line| line_of(&line)),
        ),
    }
    body.extend(brief.facts.iter().map(|(name, value)| fact(name, value)));
    for section in
        parcel.magic("additional_card_sections").and_then(Value::as_array).into_iter().flatten().take(SECTIONS_MAX)
    {
        body.extend(section_of(section));
    }
    if parcel.magic("with_record") != Some(&Value::Bool(false)) {
        for (name, value) in &brief.details {
            body.push(heading(name));
            let lines = flatten(value).into_iter().map(|(path, value)| format!("{}: {}", plain(&path), plain(&value)));
            body.extend(lines.flat_map(|line| split(&line, RUN_MAX)).map(|line| code(&line)));
        }
    }

    let actions = actions(parcel, &brief);
    let mut cards: Vec<Vec<Element>> = Vec::new();
    let mut bytes = usize::MAX;
    for element in body {
        let length = element.len() + 1;
        if bytes.saturating_add(length) > CARD_BYTES {
            cards.push(Vec::new());
            bytes = title.len() * 2 + 1_000 + if cards.len() == 1 { actions.len() } else { 0 };
        }
        bytes += length;
        cards.last_mut().expect("one was pushed").push(element);
    }
    if cards.len() > CARDS_MAX {
        cards.truncate(CARDS_MAX);
        cards[CARDS_MAX - 1].push(line_of("More is left out here; the alert has it."));
    }
    let count = cards.len().max(1);
    cards.resize(count, Vec::new());
    let messages = cards.into_iter().enumerate().map(|(index, elements)| {
        let place = if count > 1 { format!(" ({} of {count})", index + 1) } else { String::new() };
        let title = run(&format!("{title}{place}"), r#","size":"Large","weight":"Bolder""#);
        let head = format!(
            r#"{{"type":"Container","style":"{style}","bleed":true,"items":[{}]}}"#,
            rich("", &[title])
        );
        let body: Vec<Element> = std::iter::once(head).chain(elements).collect();
        let actions = match (index, actions.as_str()) {
            (0, "[]") | (1.., _) => String::new(),
            (0, some) => format!(r#","actions":{some}"#),
        };
        format!(
            r#"{{"type":"message","attachments":[{{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":{{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","msteams":{{"width":"Full"}},"body":[{}]{actions}}}}}]}}"#,
            body.join(",")
        )
    });
    messages.collect()
}

/// Buttons, as a JSON list: a publisher's `{"text", "url"}`, then the references.
fn actions(parcel: &Parcel, brief: &Brief) -> String {
    let given = parcel.magic("buttons").and_then(Value::as_array).into_iter().flatten();
    let given = given.filter_map(|button| Some((button["text"].as_str()?, button["url"].as_str()?)));
    let links = brief.links.iter().map(|link| ("Reference", link.as_str()));
    let all = given.chain(links).filter(|(_, url)| url.len() <= LINK_BYTES && Url::parse(url).is_ok()).take(LINKS_MAX);
    let action = |(text, url): (&str, &str)| {
        let title = quoted(&shorten(text, Max::Utf16(60)));
        format!(r#"{{"type":"Action.OpenUrl","title":{title},"url":{}}}"#, quoted(url))
    };
    format!("[{}]", all.map(action).collect::<Vec<_>>().join(","))
}

/// A section as connectors had it: title, text, facts with name and value.
fn section_of(section: &Value) -> Vec<Element> {
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| section[*key].as_str());
    let mut elements = Vec::new();
    elements.extend(text(["title", "activityTitle"]).map(heading));
    elements.extend(text(["text", "activityText"]).map(|text| line_of(&plain(text))));
    for given in section["facts"].as_array().into_iter().flatten() {
        let word = |key: &str| given[key].as_str().map_or_else(|| given[key].to_string(), str::to_owned);
        elements.push(fact(&word("name"), &plain(&word("value"))));
    }
    elements
}

fn heading(text: &str) -> Element {
    rich(r#","spacing":"Medium""#, &[run(&shorten(text, TITLE_MAX), r#","weight":"Bolder""#)])
}

fn line_of(text: &str) -> Element {
    rich("", &[run(&shorten(text, RUN_MAX), "")])
}

fn fact(name: &str, value: &str) -> Element {
    let name = run(&format!("{}: ", shorten(name, TITLE_MAX)), r#","weight":"Bolder""#);
    rich(r#","spacing":"None""#, &[name, run(&shorten(value, Max::Bytes(1_000)), "")])
}

fn code(line: &str) -> Element {
    rich(r#","spacing":"None""#, &[run(line, r#","fontType":"Monospace""#)])
}

/// A paragraph of runs; `more` are further members, each after a comma.
fn rich(more: &str, runs: &[String]) -> Element {
    format!(r#"{{"type":"RichTextBlock"{more},"inlines":[{}]}}"#, runs.join(","))
}

/// A run of text, in which nothing is markup.
fn run(text: &str, more: &str) -> String {
    format!(r#"{{"type":"TextRun","text":{}{more}}}"#, quoted(text))
}

/// As a JSON text.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn style(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "default",
        Severity::Low => "accent",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "attention",
    }
}
