//! Looking for keys and values at any depth of a record.

use super::text::matches;
use crate::Field;
use serde_json::Value;
use std::collections::VecDeque;

/// What the pipeline adds to a record about its values; they would be found twice.
const NORMALIZATION: &str = "streamalert_normalization";

/// All values under `key` at any depth, the outermost first, `max` at most (`None`: all of them). Does not look inside
/// `streamalert_normalization`, which repeats values of the record. No such key, or neither object nor list: empty.
///
/// ```
/// # use streamalert_sdk::prelude::*;
/// let record = Record::from_json(json!({"path": "/a", "list": [{"path": "/b"}, {"path": "/c"}]}));
/// let paths: Vec<_> = helpers::get_keys(&record, "path", 2).iter().filter_map(|field| field.text()).collect();
/// assert_eq!(paths, ["/a", "/b"]);
/// ```
pub fn get_keys<'a>(data: impl Into<Field<'a>>, key: &str, max: impl Into<Option<usize>>) -> Vec<Field<'a>> {
    let max = max.into().unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut waiting = VecDeque::from([data.into()]);
    while let Some(field) = waiting.pop_front() {
        if found.len() >= max {
            break;
        }
        found.extend(field.get(key));
        let inside = field.entries().filter(|(key, _)| *key != NORMALIZATION).map(|(_, value)| value);
        waiting.extend(inside.chain(field.items()).filter(|value| value.len().is_some_and(|len| len > 0)));
    }
    found
}

/// The first of [`get_keys`]. `None`: there is no such key; a null that is there is a field.
pub fn get_first_key<'a>(data: impl Into<Field<'a>>, key: &str) -> Option<Field<'a>> {
    get_keys(data, key, 1).first().copied()
}

/// Whether some value, at any depth, equals this one: same kind, and a number the same number. Keys do not count.
pub fn has_value<'a>(data: impl Into<Field<'a>>, value: impl Into<Value>) -> bool {
    let value = value.into();
    any(data.into(), &mut |field| equals(field, &value))
}

/// Whether this text occurs in some text, at any depth. Keys do not count, nor do numbers.
pub fn has_value_with_substring<'a>(data: impl Into<Field<'a>>, needle: &str) -> bool {
    any(data.into(), &mut |field| field.text().is_some_and(|text| text.contains(needle)))
}

/// Whether some text, at any depth, matches one of the wildcard patterns (see [`matches_any`](super::matches_any)). Keys do
/// not count, nor do numbers. An empty text matches nothing, so that `*` means "has a text that says something".
pub fn has_value_from_list<'a, S: AsRef<str>>(data: impl Into<Field<'a>>, patterns: &[S]) -> bool {
    any_text(data.into(), |text| patterns.iter().any(|pattern| matches(text, pattern.as_ref())))
}

/// Whether one of these occurs in some text, at any depth. Keys do not count, nor do numbers; in an empty text nothing
/// occurs.
pub fn has_value_from_substring_list<'a, S: AsRef<str>>(data: impl Into<Field<'a>>, needles: &[S]) -> bool {
    any_text(data.into(), |text| needles.iter().any(|needle| text.contains(needle.as_ref())))
}

fn any_text(data: Field<'_>, test: impl Fn(&str) -> bool) -> bool {
    any(data, &mut |field| field.text().is_some_and(|text| !text.is_empty() && test(text)))
}

/// The field itself or anything in it.
fn any<'a>(field: Field<'a>, test: &mut dyn FnMut(Field<'a>) -> bool) -> bool {
    test(field) || field.items().any(|item| any(item, test)) || field.entries().any(|(_, value)| any(value, test))
}

fn equals(field: Field<'_>, value: &Value) -> bool {
    match value {
        Value::Null => field.is_null(),
        Value::Bool(bool) => field.bool() == Some(*bool),
        Value::String(text) => field.text() == Some(text),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            _ if field.text().is_some() => false,
            (Some(int), _) if field.int().is_some() => field.int() == Some(int),
            (_, Some(uint)) if field.uint().is_some() => field.uint() == Some(uint),
            _ => field.float().is_some() && field.float() == number.as_f64(),
        },
        Value::Array(items) => {
            field.is_list() && field.len() == Some(items.len()) && field.items().zip(items).all(|(a, b)| equals(a, b))
        }
        Value::Object(entries) => {
            field.is_object()
                && field.len() == Some(entries.len())
                && entries.iter().all(|(key, value)| field.get(key).is_some_and(|field| equals(field, value)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;
    use serde_json::json;

    #[test]
    fn values_are_found_by_kind_and_size() {
        let record = Record::from_json(json!({"a": [{"b": 1.0}, true, u64::MAX, null], "c": {"d": ["x"]}}));
        assert!(has_value(&record, 1) && has_value(&record, true) && has_value(&record, u64::MAX));
        assert!(
            has_value(&record, json!(["x"]))
                && has_value(&record, json!({"d": ["x"]}))
                && has_value(&record, Value::Null)
        );
        assert!(!has_value(&record, "a") && !has_value(&record, 2) && !has_value(&record, false));
        assert!(!has_value(&Record::from_json(json!({"a": true})), 1));
    }

    #[test]
    fn none_of_none() {
        let record = Record::from_json(json!({"k": 1}));
        assert!(get_keys(&record, "k", 0).is_empty());
        assert_eq!(get_keys(&record, "k", None).len(), 1);
    }
}
