//! Between packed records and JSON.

use crate::build::{Builder, Slot};
use crate::read::{Kind, Node, Record};
use serde_json::{Map, Number, Value};
use std::ops::Range;

impl Builder<'_> {
    /// Packs a whole JSON value as one record at the end of `out`.
    pub fn json(out: &mut Vec<u8>, value: &Value) -> Range<usize> {
        let mut builder = Builder::new(out);
        let root = builder.value(value);
        builder.finish(root)
    }

    /// Appends a JSON value and gives its slot.
    pub fn value(&mut self, value: &Value) -> Slot {
        match value {
            Value::Null => Slot::NULL,
            Value::Bool(b) => Slot::bool(*b),
            Value::Number(n) => {
                if let Some(i) = n.as_i64() {
                    self.i64(i)
                } else if let Some(u) = n.as_u64() {
                    self.u64(u)
                } else {
                    match n.as_f64() {
                        Some(f) => self.f64(f),
                        None => self.number_text(&n.to_string()),
                    }
                }
            }
            Value::String(s) => self.text(s),
            Value::Array(items) => {
                let array = self.array(items.len());
                for (index, item) in items.iter().enumerate() {
                    let slot = self.value(item);
                    self.item(array, index, slot);
                }
                array
            }
            Value::Object(entries) => {
                let object = self.object(entries.len());
                for (index, (key, value)) in entries.iter().enumerate() {
                    let at = self.raw(key.as_bytes());
                    let slot = self.value(value);
                    self.entry(object, index, (at, key.len()), slot);
                }
                object
            }
        }
    }
}

impl Record<'_> {
    pub fn to_value(self) -> Value {
        self.root().to_value()
    }

    pub fn to_json(self) -> String {
        let mut out = String::with_capacity(self.bytes().len());
        self.root().write_json(&mut out);
        out
    }
}

impl Node<'_> {
    /// As JSON. A number kept as written becomes a number where JSON's own types hold it, otherwise text.
    pub fn to_value(self) -> Value {
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::False => Value::Bool(false),
            Kind::True => Value::Bool(true),
            Kind::I32 | Kind::I64 => self.as_i64().into(),
            Kind::U64 => self.as_u64().into(),
            Kind::F64 => self.as_f64().and_then(Number::from_f64).map_or(Value::Null, Value::Number),
            Kind::Text => Value::String(self.as_str().unwrap_or_default().to_owned()),
            Kind::NumberText => Value::String(self.as_number_text().unwrap_or_default().to_owned()),
            Kind::Array => Value::Array(self.items().map(Node::to_value).collect()),
            Kind::Object => Value::Object(
                self.entries().map(|(key, node)| (key.to_owned(), node.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Appends compact JSON text; a number kept as written stands as written.
    pub fn write_json(self, out: &mut String) {
        match self.kind() {
            Kind::Null => out.push_str("null"),
            Kind::False => out.push_str("false"),
            Kind::True => out.push_str("true"),
            Kind::NumberText => out.push_str(self.as_number_text().unwrap_or("null")),
            Kind::I32 | Kind::I64 | Kind::U64 | Kind::F64 => out.push_str(&self.to_value().to_string()),
            Kind::Text => write_text(self.as_str().unwrap_or_default(), out),
            Kind::Array => {
                out.push('[');
                for (index, item) in self.items().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Kind::Object => {
                out.push('{');
                for (index, (key, node)) in self.entries().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_text(key, out);
                    out.push(':');
                    node.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Paths, frame_into};
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "eventName": "ConsoleLogin", "n": 7, "big": 9007199254740993i64, "u": u64::MAX, "f": 0.1, "t": true, "no": null,
            "who": {"arn": "arn:aws:iam::1:root", "a.b": "dotted", "": "empty key"},
            "list": [1, "zwei", {"drei": [3]}], "text": "q\"uote\\ \n ü", "e": {}, "l": [],
        })
    }

    #[test]
    fn json_survives_packing() {
        let mut out = vec![1, 2, 3];
        let range = Builder::json(&mut out, &sample());
        // SAFETY: just built.
        let record = unsafe { Record::trusted(&out[range]) };
        assert_eq!(record.to_value(), sample());
        assert_eq!(serde_json::from_str::<Value>(&record.to_json()).unwrap(), sample());
    }

    #[test]
    fn paths_lead_through_frames() {
        let mut records = Vec::new();
        let a = Builder::json(&mut records, &sample());
        let b = Builder::json(&mut records, &json!({"x": 0, "eventName": "Other", "who": {"z": 1, "arn": "two"}}));
        let mut frame = Vec::new();
        frame_into(&mut frame, [&records[a], &records[b]].into_iter());
        // SAFETY: just built.
        let frame = unsafe { Frame::trusted(&frame) };
        let (first, second) = (frame.record(0).unwrap(), frame.record(1).unwrap());
        assert!(frame.record(2).is_none());
        let mut paths = Paths::new();
        for _ in 0..2 {
            assert_eq!(paths.get(first, "who.arn").and_then(Node::as_str), Some("arn:aws:iam::1:root"));
            assert_eq!(paths.get(second, "who.arn").and_then(Node::as_str), Some("two"));
        }
        assert_eq!(paths.get(first, r"who.a\.b").and_then(Node::as_str), Some("dotted"));
        assert_eq!(first.get("list.2.drei.0").and_then(Node::as_i64), Some(3));
        assert_eq!(first.get("big").and_then(Node::as_i64), Some(9007199254740993));
        assert_eq!(first.get("u").and_then(Node::as_u64), Some(u64::MAX));
        assert!(first.get("list.9").is_none() && first.get("eventName.x").is_none() && first.get("nope").is_none());
    }
}
