//! Where in a document its records lie, and what stands around them.

use super::{Draft, Envelope, excerpt};
use serde_json::{Map, Value, json};
use std::rc::Rc;
use streamalert_pipeline::limits::UNWRAP_DEPTH_MAX;

/// Lists that vendors put their records in, under these names.
const LIST_KEYS: [&str; 13] = [
    "Records", "records", "value", "events", "Events", "items", "results", "data", "logs", "entries", "findings",
    "Findings", "hits",
];
/// The first of them, which the classifier opens by itself.
const OPENED_KEYS: usize = 5;
/// How much of a document's text a list must be to be what the document is for, in percent. A record with a list in it has
/// more besides.
const LIST_PERCENT_MIN: usize = 70;
/// The same for a list with one of the usual names.
const NAMED_LIST_PERCENT_MIN: usize = 40;

/// Where records lie, as options of a schema say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub json_path: Option<String>,
    /// Each is a text.
    pub text: bool,
}

impl Place {
    pub fn options(&self, json: bool) -> Map<String, Value> {
        let mut options = Map::new();
        if let Some(path) = &self.json_path {
            options.insert("json_path".into(), json!(path));
            if self.text && json {
                options.insert("embedded_json".into(), json!(true));
            }
        }
        options
    }
}

pub enum Content {
    Record(Map<String, Value>),
    Text(String),
}

pub struct Found {
    pub place: Place,
    pub content: Content,
    pub envelope: Envelope,
}

/// Finds the documents and lines of a text, and the records in them.
pub fn look(text: &str, found: &mut Vec<Found>, draft: &mut Draft) {
    let begins = text.trim_start();
    if ["<Event", "<?xml"].iter().any(|tag| begins.starts_with(tag)) {
        let mut rest = begins;
        while let Some(range) = streamalert_formats::windows_event::frame(rest.as_bytes()) {
            found.push(line(&rest[range.clone()]));
            rest = &rest[range.end..];
        }
        return;
    }
    let mut at = 0;
    while at < text.len() {
        let blank = text[at..].len() - text[at..].trim_start_matches(['\n', '\r', ' ', '\t', '\u{1e}']).len();
        let begin = at + blank;
        if begin >= text.len() {
            return;
        }
        if text[begin..].starts_with(['{', '[']) {
            let mut stream = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<Value>();
            if let Some(Ok(document)) = stream.next() {
                at = begin + stream.byte_offset();
                look_into(document, 0, found, draft);
                continue;
            }
        }
        // A line keeps the blanks it begins with: they may be cells.
        let start = text[..begin].rfind('\n').map_or(at, |newline| (newline + 1).max(at));
        let end = text[begin..].find('\n').map_or(text.len(), |newline| begin + newline);
        found.push(line(text[start..end].trim_end_matches('\r')));
        at = end;
    }
}

fn line(text: &str) -> Found {
    Found { place: Place::default(), content: Content::Text(text.to_owned()), envelope: None }
}

fn look_into(document: Value, depth: usize, found: &mut Vec<Found>, draft: &mut Draft) {
    match document {
        Value::Array(items) if items.is_empty() => draft.empty += 1,
        Value::Array(items) if depth < UNWRAP_DEPTH_MAX => {
            items.into_iter().for_each(|item| look_into(item, depth + 1, found, draft));
        }
        Value::Object(object) if object.is_empty() => draft.empty += 1,
        Value::Object(object) => look_into_object(object, depth, found, draft),
        other => draft.notes.push(format!("no record, since it is no object: {}", excerpt(&other.to_string()))),
    }
}

fn look_into_object(mut object: Map<String, Value>, depth: usize, found: &mut Vec<Found>, draft: &mut Draft) {
    let text = |object: &Map<String, Value>, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    // A subscription of CloudWatch Logs.
    match (text(&object, "messageType").as_deref(), object.get("logEvents").is_some_and(Value::is_array)) {
        (Some("CONTROL_MESSAGE"), true) => return draft.empty += 1,
        (Some("DATA_MESSAGE"), true) => {
            let Some(Value::Array(events)) = object.shift_remove("logEvents") else { return };
            return subscription(events, object, found, draft);
        }
        _ => {}
    }
    // Messages of SNS and SQS, which the classifier unwraps by itself.
    for (mark, key) in [("TopicArn", "Message"), ("receiptHandle", "body")] {
        if let (Some(_), Some(message), true) = (text(&object, mark), text(&object, key), depth < UNWRAP_DEPTH_MAX) {
            match serde_json::from_str::<Value>(&message) {
                Ok(inner) if inner.is_object() || inner.is_array() => look_into(inner, depth + 1, found, draft),
                _ => found.push(line(&message)),
            }
            return;
        }
    }
    // An event of EventBridge.
    let detail = object.get("detail").and_then(Value::as_object).is_some_and(|detail| !detail.is_empty());
    if detail && object.contains_key("detail-type") {
        if let Some(Value::Object(record)) = object.shift_remove("detail") {
            let place = Place { json_path: Some("detail".into()), text: false };
            found.push(Found { place, content: Content::Record(record), envelope: Some(Rc::new(object)) });
        }
        return;
    }
    match list_in(&object) {
        Some(List { path, .. }) => {
            let json_path = format!("{}[*]", path.iter().map(|key| step(key)).collect::<Vec<_>>().join("."));
            let Some(Value::Array(items)) = take(&mut object, &path) else { return };
            if items.is_empty() {
                draft.empty += 1;
            }
            // What shares the way to the list is no field around the records.
            object.shift_remove(&path[0]);
            let envelope = (!object.is_empty()).then(|| Rc::new(object));
            let place = Place { json_path: Some(json_path), text: false };
            for item in items {
                if let Value::Object(record) = item {
                    let content = Content::Record(record);
                    found.push(Found { place: place.clone(), content, envelope: envelope.clone() });
                }
            }
        }
        None => found.push(Found { place: Place::default(), content: Content::Record(object), envelope: None }),
    }
}

/// Messages are JSON, other text, or come with their fields found already.
fn subscription(events: Vec<Value>, outer: Map<String, Value>, found: &mut Vec<Found>, draft: &mut Draft) {
    if events.is_empty() {
        draft.empty += 1;
    }
    let envelope = Some(Rc::new(outer));
    for mut event in events {
        let (json_path, content) = match (event["extractedFields"].take(), event["message"].take()) {
            (Value::Object(record), _) if !record.is_empty() => {
                ("logEvents[*].extractedFields", Content::Record(record))
            }
            (_, Value::String(message)) => match serde_json::from_str(&message) {
                Ok(Value::Object(record)) => ("logEvents[*].message", Content::Record(record)),
                _ => ("logEvents[*].message", Content::Text(message.trim_end().to_owned())),
            },
            _ => continue,
        };
        let place = Place { json_path: Some(json_path.into()), text: json_path.ends_with("message") };
        found.push(Found { place, content, envelope: envelope.clone() });
    }
}

struct List {
    path: Vec<String>,
    bytes: usize,
    percent_min: usize,
}

/// The list that a document is there for: by its name, or because it is most of the document.
fn list_in(object: &Map<String, Value>) -> Option<List> {
    for key in &LIST_KEYS[..OPENED_KEYS] {
        match object.get(*key) {
            Some(Value::Array(items)) if items.iter().all(is_record) => {
                return Some(List { path: vec![(*key).to_owned()], bytes: 0, percent_min: 0 });
            }
            _ => {}
        }
    }
    let mut lists = Vec::new();
    for (key, value) in object {
        lists_in(vec![key.clone()], value, &mut lists);
        for (inner, value) in value.as_object().into_iter().flatten() {
            lists_in(vec![key.clone(), inner.clone()], value, &mut lists);
        }
    }
    let largest = lists.into_iter().max_by_key(|list| list.bytes)?;
    let whole = size(&Value::Object(object.clone()));
    (largest.bytes * 100 >= whole * largest.percent_min).then_some(largest)
}

fn lists_in(path: Vec<String>, value: &Value, lists: &mut Vec<List>) {
    let named = path.last().is_some_and(|key| LIST_KEYS.contains(&key.as_str()));
    if let Value::Array(items) = value
        && items.iter().all(is_record)
        && (items.len() > 1 || (named && !items.is_empty()))
    {
        let percent_min = if named { NAMED_LIST_PERCENT_MIN } else { LIST_PERCENT_MIN };
        lists.push(List { path, bytes: size(value), percent_min });
    }
}

fn is_record(item: &Value) -> bool {
    item.as_object().is_some_and(|object| !object.is_empty())
}

fn size(value: &Value) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}

fn take(object: &mut Map<String, Value>, path: &[String]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    match rest {
        [] => object.get_mut(first).map(Value::take),
        _ => take(object.get_mut(first)?.as_object_mut()?, rest),
    }
}

/// A key in JMESPath: between quotes unless it is a plain name.
fn step(key: &str) -> String {
    let plain = !key.starts_with(|c: char| c.is_ascii_digit())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !key.is_empty();
    if plain { key.to_owned() } else { json!(key).to_string() }
}
