//! The rules of a file. Each document is read by itself, so that one that cannot be read costs no other.

use rsigma_parser::{SigmaCollection, SigmaRule, parse_sigma_yaml};
use yaml_serde::Value;

pub enum Found {
    /// With what its author should look at.
    Rule(Box<SigmaRule>, Vec<String>),
    /// A rule that cannot be imported.
    Other { title: String, why: String },
    /// No rule at all.
    Foreign,
}

/// Documents of a file with an `action`, which are read together with all before them.
const WITH_ACTION_MAX: usize = 200;

pub fn read(text: &str) -> Vec<Found> {
    let text = text.trim_start_matches('\u{feff}');
    let documents: Vec<&str> = cut(text).into_iter().filter(|document| says_something(document)).collect();
    if !documents.iter().any(|document| key(document, "action").is_some()) {
        return documents.iter().flat_map(|document| sort(document, parse(document), (0, 0, 0, 0))).collect();
    }
    if documents.len() > WITH_ACTION_MAX {
        let why = format!("it has `action` and more than {WITH_ACTION_MAX} documents; split it");
        return vec![Found::Other { title: String::new(), why }];
    }
    let mut found = Vec::new();
    let mut before = String::new();
    let mut known = (0, 0, 0, 0);
    for document in documents {
        let together = format!("{before}---\n{document}\n");
        let collection = parse(&together);
        let now = collection.as_ref().map_or(known, sizes);
        let mine = sort(document, collection, known);
        // What is broken would break all that follows.
        let broken = mine.iter().any(|found| matches!(found, Found::Other { .. })) && now.0 == known.0;
        if !broken {
            (before, known) = (together, now);
        }
        found.extend(mine);
    }
    found
}

fn parse(text: &str) -> Result<SigmaCollection, String> {
    parse_sigma_yaml(text).map_err(|error| error.to_string())
}

/// Rules, correlations, filters, errors.
type Sizes = (usize, usize, usize, usize);

fn sizes(collection: &SigmaCollection) -> Sizes {
    let SigmaCollection { rules, correlations, filters, errors } = collection;
    (rules.len(), correlations.len(), filters.len(), errors.len())
}

/// What a document adds to those before it.
fn sort(document: &str, collection: Result<SigmaCollection, String>, known: Sizes) -> Vec<Found> {
    let known_keys = ["title", "logsource", "detection", "correlation", "filter", "action"];
    // A rule may be written as JSON.
    if !document.trim_start().starts_with('{')
        && !known_keys.iter().any(|name| key(document, name).is_some())
        && !has_one(document, &known_keys)
    {
        return vec![Found::Foreign];
    }
    let title = key(document, "title").unwrap_or_default();
    let other = |title: &str, why: String| Found::Other { title: title.to_owned(), why };
    let collection = match collection {
        Ok(collection) => collection,
        Err(why) => return vec![other(&title, why)],
    };
    let mut errors: Vec<String> = collection.errors.into_iter().skip(known.3).collect();
    let mut found = Vec::new();
    for rule in collection.rules.into_iter().skip(known.0) {
        found.push(Found::Rule(Box::new(rule), std::mem::take(&mut errors)));
    }
    for rule in collection.correlations.into_iter().skip(known.1) {
        let why = "it is a correlation: rules that count over time are not imported".to_owned();
        found.push(other(&rule.title, why));
        errors.clear();
    }
    for rule in collection.filters.into_iter().skip(known.2) {
        let why = "it is a filter for other rules: write its exception into each of them".to_owned();
        found.push(other(&rule.title, why));
        errors.clear();
    }
    if !errors.is_empty() {
        found.push(other(&title, plainly(document, errors.join("; "))));
    }
    found
}

/// What a reader of the rule can do something with.
fn plainly(document: &str, error: String) -> String {
    let counts = document.lines().any(|line| line.trim_start().starts_with("condition:") && line.contains('|'));
    match counts && error.contains("ondition") {
        true => "its condition has an aggregation (`|`): rules that count over time are not imported".to_owned(),
        // Some errors draw the place below the line.
        false => error.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// A line that begins with `---` is always the border between two documents.
fn cut(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let border =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if border {
            documents.push(&text[start..at]);
            start = at + "---".len();
        }
        at += line.len();
    }
    documents.push(&text[start..]);
    documents
}

fn says_something(document: &str) -> bool {
    let meant = |line: &str| !line.is_empty() && !line.starts_with('#') && line != "...";
    document.lines().any(|line| meant(line.trim()))
}

/// Whether a document has one of these keys in a way that lines do not show: quoted, indented, or in a list.
fn has_one(document: &str, keys: &[&str]) -> bool {
    let has = |value: &Value| keys.iter().any(|name| value.get(*name).is_some());
    match yaml_serde::from_str(document) {
        Ok(Value::Sequence(items)) => items.iter().any(has),
        Ok(value) => has(&value),
        Err(_) => false,
    }
}

/// A top-level key's text, as far as it can be seen without reading YAML.
fn key(document: &str, name: &str) -> Option<String> {
    let line = document.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned())
}
