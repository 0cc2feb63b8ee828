//! Text formats of logs: one input, as text, becomes named fields. Types come later, from the schema. No clock, no files.
//!
//! Every parser takes the text of one input and appends what it finds to a list that the caller reuses, so that nothing is
//! allocated for a field that stands in the input as it is.

pub mod cef;
pub mod csv;
pub mod grok;
pub mod kv;
pub mod leef;
pub mod logfmt;
mod scan;
pub mod space;
pub mod syslog;
pub mod w3c;
pub mod windows_event;

use std::borrow::Cow;

/// Named fields in the order of the input. A name may come twice; the last counts.
pub type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// What stands in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Named, but said to be nothing, such as `-`.
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Object(Fields<'a>),
    List(Vec<Value<'a>>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

/// Why an input is not of a format: for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Fault(message.into())
    }
}

/// Characters of an input that a fault shows.
const EXCERPT_CHARS: usize = 60;

/// The start of a text, quoted, for a fault.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A line as it was written: the break belongs to the file.
fn without_line_break(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// What every parser is tried on.
#[cfg(test)]
mod samples {
    use super::{Fields, Value};
    use std::path::Path;

    /// Lines cut anywhere and with any character changed to one that means something somewhere: whatever comes back, it
    /// comes back.
    pub fn never_panics(lines: &[&str], mut parse: impl FnMut(&str)) {
        for line in lines {
            for (end, _) in line.char_indices() {
                parse(&line[..end]);
                parse(&line[end..]);
            }
            parse(line);
            for (at, character) in line.char_indices() {
                let tail = &line[at + character.len_utf8()..];
                parse(&format!("{}{tail}", &line[..at]));
                for sign in "\"\\|=: \t\n\r-[]<>%;,&#'0a/é🦀\u{feff}\0".chars() {
                    parse(&format!("{}{sign}{tail}", &line[..at]));
                }
            }
        }
    }

    /// `name=value` for every field; objects and lists in brackets.
    pub fn describe(fields: &Fields) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name}={}", describe_value(value))).collect()
    }

    fn describe_value(value: &Value) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Text(text) => text.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Object(fields) => format!("{{{}}}", describe(fields).join(", ")),
            Value::List(values) => format!("[{}]", values.iter().map(describe_value).collect::<Vec<_>>().join(", ")),
        }
    }

    /// One measured answer of StreamAlert itself.
    pub struct Vector {
        pub id: String,
        pub data: String,
        pub options: serde_json::Value,
        pub result: serde_json::Value,
    }

    impl Vector {
        /// A field of its first valid record, as text.
        pub fn valid(&self, name: &str) -> Option<String> {
            let value = self.result["valid"].get(0)?.get(name)?;
            Some(value.as_str().map_or_else(|| value.to_string(), String::from))
        }
    }

    /// Vectors with text data whose id begins so. None, and a line that says so, where the reference data is not at hand.
    pub fn vectors(prefix: &str) -> Vec<Vector> {
        let relative = "shared/data/streamalert/vectors/parsers.jsonl";
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let Some(path) = manifest.ancestors().map(|folder| folder.join(relative)).find(|path| path.is_file()) else {
            println!("skipped: no {relative} in a folder above {}", manifest.display());
            return Vec::new();
        };
        let vectors = std::fs::read_to_string(path).expect("the vectors are readable");
        let vectors = vectors.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON"));
        let texts = vectors.filter_map(|mut vector: serde_json::Value| {
            Some(Vector {
                id: vector["id"].as_str().filter(|id| id.starts_with(prefix))?.into(),
                data: vector["data"].as_str()?.into(),
                options: vector["options"].take(),
                result: vector["result"].take(),
            })
        });
        texts.collect()
    }
}
