//! A record as a line of JSON with one value for each column of its table: what Firehose makes Parquet of.
//!
//! Whoever converts refuses a whole record for one value of another type, so a value that does not fit its column is left out
//! here: it is reached in `streamalert_record`, which has all of the record as its log has it.

use super::{hive, names};
use crate::columns::{PROVENANCE, all_fields};
use crate::config::LogType;
use crate::config::schema::{FieldKind, Fields};
use crate::dead_letter::hex;
use crate::record_batch::{BatchRecord, RecordBatch};
use crate::time::rfc3339;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// The column that has the whole record.
pub const WHOLE: &str = "streamalert_record";

/// Makes the lines of one log type.
#[derive(Debug)]
pub struct Lines {
    columns: Slots,
}

/// The columns of one object, by the keys of a log.
#[derive(Debug, Default)]
struct Slots(HashMap<String, Slot>);

#[derive(Debug)]
struct Slot {
    column: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A text, and nothing else.
    Text,
    Integer,
    Float,
    Boolean,
    /// A text has its JSON unless it is a text itself.
    Any,
    Texts,
    Struct(Slots),
}

impl Slots {
    fn of(fields: &Fields) -> Self {
        let slot = |(name, field): (String, &crate::config::schema::Field)| {
            let kind = match &field.kind {
                FieldKind::String => Kind::Text,
                FieldKind::Integer => Kind::Integer,
                FieldKind::Float => Kind::Float,
                FieldKind::Boolean => Kind::Boolean,
                FieldKind::List => Kind::Texts,
                FieldKind::Object(fields) if !fields.0.is_empty() => Kind::Struct(Slots::of(fields)),
                FieldKind::Any | FieldKind::Object(_) => Kind::Any,
            };
            debug_assert!(!matches!(kind, Kind::Any) || hive(&field.kind) == "string");
            (field.name.clone(), Slot { column: name, kind })
        };
        Slots(names(fields).into_iter().zip(&fields.0).map(slot).collect())
    }

    /// Appends `"column":value` for every value that fits; each begins with a comma unless `first`.
    fn write(&self, object: &RawValue, out: &mut String, mut first: bool) {
        let Ok(entries) = serde_json::from_str::<Entries<'_>>(object.get()) else { return };
        for (key, value) in entries.0 {
            let Some(slot) = self.0.get(&*key) else { continue };
            let before = out.len();
            if !first {
                out.push(',');
            }
            // Nothing in a name needs quoting.
            out.push('"');
            out.push_str(&slot.column);
            out.push_str("\":");
            match slot.kind.write(value, out) {
                true => first = false,
                false => out.truncate(before),
            }
        }
    }
}

impl Kind {
    /// Whether the value fits; what was appended if it does not is to be taken back.
    fn write(&self, value: &RawValue, out: &mut String) -> bool {
        let text = value.get();
        let begins = text.as_bytes().first().copied().unwrap_or_default();
        match self {
            Kind::Text if begins == b'"' => out.push_str(text),
            Kind::Integer if text.parse::<i64>().is_ok() => out.push_str(text),
            Kind::Float if begins.is_ascii_digit() || begins == b'-' => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => out.push_str(text),
                _ => return false,
            },
            Kind::Boolean if matches!(text, "true" | "false") => out.push_str(text),
            Kind::Any => match begins {
                b'n' => return false,
                _ => as_text(value, out),
            },
            Kind::Texts if begins == b'[' => {
                let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else { return false };
                out.push('[');
                for (at, item) in items.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    match item.get() {
                        "null" => out.push_str("null"),
                        _ => as_text(item, out),
                    }
                }
                out.push(']');
            }
            Kind::Struct(slots) if begins == b'{' => {
                out.push('{');
                slots.write(value, out, true);
                out.push('}');
            }
            _ => return false,
        }
        true
    }
}

/// A text as it is, of all else its JSON as a text.
fn as_text(value: &RawValue, out: &mut String) {
    match value.get() {
        text if text.starts_with('"') => out.push_str(text),
        json => quoted(json, out),
    }
}

fn quoted(text: &str, out: &mut String) {
    // Texts can be written as JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The keys of an object in their order, each value as it is written.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries<'de>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(Key(key)) = map.next_key()? {
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Lines {
    pub fn of(log_type: &LogType) -> Self {
        Lines { columns: Slots::of(&all_fields(log_type)) }
    }

    /// Of a log type that no schema knows any more: nothing but what we say of a record, and the record.
    pub fn unknown() -> Self {
        Lines { columns: Slots::default() }
    }

    /// The line of one record, without a line break. All keys are names of columns; a value that is not there is null.
    pub fn line(&self, batch: &RecordBatch, record: &BatchRecord) -> String {
        let mut out = self.about(batch, record, &record.json);
        if let Ok(whole) = serde_json::from_str::<&RawValue>(&record.json) {
            out.pop();
            self.columns.write(whole, &mut out, false);
            out.push('}');
        }
        out
    }

    /// The line of one record with no more than what we say of it and `whole` in place of the record: for one that is too
    /// large to travel twice, or at all.
    pub fn about(&self, batch: &RecordBatch, record: &BatchRecord, whole: &str) -> String {
        let mut out = String::with_capacity(2 * record.json.len() + 512);
        let number = |number: u64| Value::Number(i64::try_from(number).ok());
        for (name, _) in PROVENANCE {
            let value = match name {
                "streamalert_id" => Value::Text(Cow::Owned(hex(&record.identity))),
                "streamalert_cluster" => Value::Text(Cow::Borrowed(&batch.cluster)),
                "streamalert_time" => {
                    record.event_time.as_deref().map_or(Value::Number(None), |t| Value::Text(t.into()))
                }
                "streamalert_arrived" => Value::Text(Cow::Owned(rfc3339(batch.arrived))),
                "streamalert_service" => Value::Text(Cow::Borrowed(&record.source.service)),
                "streamalert_resource" => Value::Text(Cow::Borrowed(&record.source.resource)),
                "streamalert_object" => Value::Text(Cow::Borrowed(&record.source.object)),
                "streamalert_offset" => number(record.position.offset),
                "streamalert_length" => number(record.position.length),
                "streamalert_index" => number(record.position.index.into()),
                WHOLE => Value::Text(Cow::Borrowed(whole)),
                other => unreachable!("{other} is no column of ours"),
            };
            if matches!(value, Value::Number(None)) {
                continue;
            }
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            match value {
                Value::Text(text) => quoted(&text, &mut out),
                Value::Number(number) => out.push_str(&number.unwrap_or_default().to_string()),
            }
        }
        out.push('}');
        out
    }
}

enum Value<'a> {
    Text(Cow<'a, str>),
    Number(Option<i64>),
}

#[cfg(test)]
mod tests {
    use super::super::columns;
    use super::*;
    use crate::config::Schemas;
    use crate::log_record::{Position, Source};
    use serde_json::{Value as Json, json};
    use std::sync::Arc;

    fn batch(json: &str) -> RecordBatch {
        let record = BatchRecord {
            source: Arc::new(Source::new("s3", "logs", "a/b \"c\".gz")),
            position: Position { offset: u64::MAX, length: 90, index: 2 },
            identity: [0xab; 32],
            event_time: None,
            json: json.to_owned(),
        };
        RecordBatch {
            cluster: "prod".into(),
            log_type: "t".into(),
            arrived: 1_767_323_045_678,
            rule: None,
            records: vec![record],
        }
    }

    fn schema(schema: Json) -> Arc<LogType> {
        let text = json!({"t": {"parser": "json", "schema": schema}}).to_string();
        Schemas::read(&[("s.json".to_owned(), text)]).unwrap().get("t").unwrap().clone()
    }

    #[track_caller]
    fn line(log_type: &LogType, record: &str) -> Json {
        let batch = batch(record);
        let text = Lines::of(log_type).line(&batch, &batch.records[0]);
        let line: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(line[WHOLE], record);
        let known: Vec<String> = columns(log_type).into_iter().map(|column| column.name).collect();
        assert!(line.as_object().unwrap().keys().all(|key| known.contains(key)), "{line}");
        line
    }

    #[test]
    fn every_value_stands_under_its_column_in_its_type() {
        let log_type = schema(json!({
            "eventName": "string", "n": "integer", "x.y": "float", "ok": "boolean", "any": {}, "list": [],
            "who": {"userName": "string", "mfa": {"Used": "boolean", "more": {}}}, "streamalert_id": "string", "dt": "string",
        }));
        let record = r#"{"eventName":"a\u00e9\n","n":-7,"x.y":1e3,"ok":true,"any":{"A":[1.10]},"list":["a",1,{"B":null},null],
            "who":{"userName":"u","mfa":{"Used":false,"more":"text"},"unknown":1},"streamalert_id":"forged","dt":"x","new":1}"#;
        let mut line = line(&log_type, record);
        for name in PROVENANCE.map(|(name, _)| name) {
            line.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(
            line,
            json!({"eventname": "aé\n", "n": -7, "x_y": 1e3, "ok": true, "any": "{\"A\":[1.10]}",
                "list": ["a", "1", "{\"B\":null}", null],
                "who": {"username": "u", "mfa": {"used": false, "more": "text"}},
                "_x73_treamalert_id": "forged", "_x64_t": "x"})
        );
    }

    #[test]
    fn what_we_say_of_a_record_is_on_every_line() {
        let line = line(&schema(json!({"x": "string"})), r#"{"x":"1"}"#);
        assert_eq!(
            line,
            json!({"x": "1", "streamalert_id": "ab".repeat(32), "streamalert_cluster": "prod",
                "streamalert_arrived": "2026-01-02T03:04:05.678Z", "streamalert_service": "s3",
                "streamalert_resource": "logs", "streamalert_object": "a/b \"c\".gz", "streamalert_length": 90,
                "streamalert_index": 2, "streamalert_record": "{\"x\":\"1\"}"}),
            "an offset that no column can hold is none"
        );
    }

    #[test]
    fn a_value_that_does_not_fit_costs_its_column_and_nothing_else() {
        let log_type = schema(json!({
            "s": "string", "i": "integer", "f": "float", "b": "boolean", "l": [], "o": {"a": "integer", "b": "integer"}, "any": {}, "z": "string",
        }));
        for (key, value) in [
            ("s", "1"),
            ("s", "null"),
            ("s", "[\"a\"]"),
            ("i", "1.5"),
            ("i", "\"1\""),
            ("i", "9223372036854775808"),
            ("i", "true"),
            ("f", "\"1\""),
            ("f", "1e999"),
            ("f", "true"),
            ("b", "\"true\""),
            ("b", "0"),
            ("l", "\"a\""),
            ("l", "{}"),
            ("o", "[]"),
            ("o", "\"{}\""),
            ("any", "null"),
        ] {
            let line = line(&log_type, &format!("{{\"{key}\":{value},\"z\":\"kept\"}}"));
            assert_eq!((line.get(key), &line["z"]), (None, &json!("kept")), "{key}: {value}");
        }
        for (key, value) in [
            ("i", "-9223372036854775808"),
            ("f", "-0.5"),
            ("f", "7"),
            ("b", "false"),
            ("l", "[]"),
            ("o", "{}"),
            ("any", "0"),
        ] {
            let line = line(&log_type, &format!("{{\"{key}\":{value}}}"));
            assert!(line.get(key).is_some(), "{key}: {value}");
        }
        let inner = line(&log_type, r#"{"o":{"a":"no","b":2},"z":"kept"}"#);
        assert_eq!((&inner["o"], &inner["z"]), (&json!({"b": 2}), &json!("kept")));
    }

    #[test]
    fn a_record_that_is_too_large_is_told_of() {
        let batch = batch("{}");
        let line = Lines::unknown().about(&batch, &batch.records[0], "{\"streamalert:claim\":1}");
        let line: Json = serde_json::from_str(&line).unwrap();
        assert_eq!((&line[WHOLE], &line["streamalert_index"]), (&json!("{\"streamalert:claim\":1}"), &json!(2)));
    }
}
