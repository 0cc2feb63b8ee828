//! Keys of records as names of columns: letters, digits and `_`, no two the same, and the key can be told from the name.
//!
//! A key that a schema declares has its own name with `_` for every other character. Where two keys would meet, also when
//! only case tells them apart, the one that needs no change keeps the name; of the other the characters that were lost
//! stand as `_x2e_` (their code, here that of a dot). Keys that no schema declares are always written so, since their
//! name must not depend on what else a record holds. Reserved words of SQL stay: quote names in queries.

use crate::config::LogType;
use crate::config::schema::{Field, FieldKind, Fields};
use crate::log_record::{DUPLICATES_KEY, ECS_KEY, ENVELOPE_KEY, INVALID_KEY, NORMALIZATION_KEY, OCSF_KEY};
use hashbrown::{HashMap, HashSet};
use serde_json::{Map, Value};
use std::borrow::Cow;
use streamalert_packed::{Kind, Node, Record};

/// The column that tables are partitioned by.
pub const PARTITION: &str = "dt";

/// Columns of every log type's table that say where a record comes from, with their types, in the order in which they follow the
/// schema's.
pub const PROVENANCE: [(&str, &str); 11] = [
    ("streamalert_id", "string"),
    ("streamalert_cluster", "string"),
    ("streamalert_time", "string"),
    ("streamalert_arrived", "string"),
    ("streamalert_service", "string"),
    ("streamalert_resource", "string"),
    ("streamalert_object", "string"),
    ("streamalert_offset", "bigint"),
    ("streamalert_length", "bigint"),
    ("streamalert_index", "bigint"),
    ("streamalert_record", "string"),
];

/// Names of columns that no key takes.
fn is_ours(name: &str) -> bool {
    name == PARTITION || (name.starts_with("streamalert_") && PROVENANCE.iter().any(|(ours, _)| *ours == name))
}

/// The names for the keys of one object, and of the objects within.
#[derive(Debug, Default)]
pub struct Columns {
    by_key: HashMap<String, Column>,
    /// Names that are taken, in lower case, with their keys.
    taken: HashMap<String, String>,
}

#[derive(Debug)]
struct Column {
    name: String,
    inner: Columns,
}

impl Columns {
    /// For records of one type, with the keys that are ours.
    pub fn of(log_type: &LogType) -> Self {
        Columns::of_fields(&all_fields(log_type))
    }

    fn of_fields(fields: &Fields) -> Self {
        let keys: Vec<&str> = fields.0.iter().map(|field| field.name.as_str()).collect();
        let mut columns = Columns::default();
        for (field, name) in fields.0.iter().zip(distinct_names(&keys)) {
            let inner = match &field.kind {
                FieldKind::Object(fields) => Columns::of_fields(fields),
                _ => Columns::default(),
            };
            columns.taken.insert(name.to_lowercase(), field.name.clone());
            columns.by_key.insert(field.name.clone(), Column { name, inner });
        }
        columns
    }

    /// The name of the column for a key of this object.
    pub fn name<'a>(&'a self, key: &'a str) -> Cow<'a, str> {
        match self.by_key.get(key) {
            Some(column) => Cow::Borrowed(&column.name),
            None => {
                let is_free = |name: &str| {
                    let name = name.to_lowercase();
                    !is_ours(&name) && !self.taken.contains_key(&name)
                };
                let names = [Escape::Lost, Escape::Upper].map(|which| escape(key, which));
                names.into_iter().find(|name| is_free(name)).unwrap_or_else(|| escape(key, Escape::First))
            }
        }
    }

    /// The key that a column of this object is for; case does not count where the schema declares it.
    pub fn key<'a>(&'a self, name: &'a str) -> Cow<'a, str> {
        match self.taken.get(&name.to_lowercase()) {
            Some(key) => Cow::Borrowed(key),
            None => unescape(name),
        }
    }

    /// The columns of the object under `key`.
    fn inner(&self, key: &str) -> &Columns {
        static NONE: std::sync::LazyLock<Columns> = std::sync::LazyLock::new(Columns::default);
        self.by_key.get(key).map_or(&NONE, |column| &column.inner)
    }

    /// Appends the record as one line of JSON with the names of columns for keys, through objects and lists.
    pub fn line(&self, record: Record<'_>, out: &mut String) {
        self.write(record.root(), out);
        out.push('\n');
    }

    fn write(&self, node: Node<'_>, out: &mut String) {
        match node.kind() {
            Kind::Object => {
                out.push('{');
                for (index, (key, value)) in node.entries().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    // Nothing in a name needs quoting.
                    out.push('"');
                    out.push_str(&self.name(key));
                    out.push_str("\":");
                    self.inner(key).write(value, out);
                }
                out.push('}');
            }
            Kind::Array => {
                out.push('[');
                for (index, item) in node.items().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.write(item, out);
                }
                out.push(']');
            }
            _ => node.write_json(out),
        }
    }

    /// A record as its log had it, from one with the names of columns.
    pub fn restore(&self, value: Value) -> Value {
        match value {
            Value::Object(entries) => {
                let restored = entries.into_iter().map(|(name, value)| {
                    let key = self.key(&name).into_owned();
                    let value = self.inner(&key).restore(value);
                    (key, value)
                });
                Value::Object(restored.collect::<Map<_, _>>())
            }
            Value::Array(items) => items.into_iter().map(|item| self.restore(item)).collect(),
            other => other,
        }
    }
}

/// What a schema declares, and the keys that are ours.
pub fn all_fields(log_type: &LogType) -> Fields {
    let mut fields = log_type.fields.clone();
    for key in [ENVELOPE_KEY, NORMALIZATION_KEY, OCSF_KEY, ECS_KEY, DUPLICATES_KEY, INVALID_KEY] {
        if log_type.adds(key) && fields.position(key).is_none() {
            let kind = match key {
                ENVELOPE_KEY => FieldKind::Object(log_type.envelope.clone()),
                _ => FieldKind::Any,
            };
            fields.0.push(Field { name: key.to_owned(), kind, optional: false });
        }
    }
    fields
}

/// Names for keys that stand beside one another, no two the same, also when case does not count.
pub fn distinct_names(keys: &[&str]) -> Vec<String> {
    let is_plain = |key: &str| clean(key) == key;
    let mut order: Vec<usize> = (0..keys.len()).collect();
    // Stable: those that need no change first, and among them those in lower case.
    order.sort_by_key(|at| (!is_plain(keys[*at]), keys[*at].to_lowercase() != keys[*at]));
    let mut taken = HashSet::new();
    let mut names = vec![String::new(); keys.len()];
    for at in order {
        let cleaned = clean(keys[at]);
        let folded = cleaned.to_lowercase();
        let is_free = !is_ours(&folded) && escape(&folded, Escape::Lost) == folded && !taken.contains(&folded);
        let which = if is_ours(keys[at]) { Escape::First } else { Escape::Upper };
        // In lower case and with the key in it, the other name can be no other key's.
        names[at] = if is_free { cleaned } else { escape(keys[at], which).into_owned() };
        taken.insert(names[at].to_lowercase());
    }
    names
}

/// All names that [`distinct_names`] gives a key, beside whatever others, in lower case; the one it has by itself first.
pub fn possible_names(key: &str) -> Vec<String> {
    let escaped = [Escape::Upper, Escape::First].map(|which| escape(key, which).to_lowercase());
    let mut names = vec![clean(key).to_lowercase()];
    for name in escaped {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `_` for everything but letters, digits and `_`.
pub fn clean(key: &str) -> String {
    key.chars().map(|c| if is_word(c) { c } else { '_' }).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Escape {
    /// What no name may have.
    Lost,
    /// Upper case too: another key has the name in other case.
    Upper,
    /// And the first character, whatever it is.
    First,
}

/// Writes characters as `_x` + code + `_`; the empty key as `_x_`.
fn escape(key: &str, which: Escape) -> Cow<'_, str> {
    if key.is_empty() {
        return Cow::Borrowed("_x_");
    }
    let is_lost = |c: char| !is_word(c) || (which >= Escape::Upper && !c.to_lowercase().eq([c]));
    let mut out = String::new();
    let mut copied = 0;
    for (at, c) in key.char_indices() {
        // A key that looks escaped is not taken for one.
        let misread = || match key[at..].strip_prefix("_x") {
            Some("_") => at == 0,
            Some(rest) => {
                let digits = hex_digits(rest);
                CODE_DIGITS.contains(&digits) && rest[digits..].chars().next().is_some_and(|c| c == '_' || is_lost(c))
            }
            None => false,
        };
        if is_lost(c) || (which == Escape::First && at == 0) || misread() {
            out.push_str(&key[copied..at]);
            out.push_str(&format!("_x{:02x}_", u32::from(c)));
            copied = at + c.len_utf8();
        }
    }
    if copied == 0 {
        return Cow::Borrowed(key);
    }
    out.push_str(&key[copied..]);
    Cow::Owned(out)
}

/// A character's code in lower-case hexadecimal digits has so many.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 2..=6;

fn hex_digits(text: &str) -> usize {
    text.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count()
}

/// The key that a name was made of by [`escape`].
fn unescape(name: &str) -> Cow<'_, str> {
    if name == "_x_" {
        return Cow::Borrowed("");
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find("_x") {
        let code = &rest[at + 2..];
        let digits = hex_digits(code);
        let escaped = CODE_DIGITS.contains(&digits) && code[digits..].starts_with('_');
        match u32::from_str_radix(&code[..digits], 16).ok().and_then(char::from_u32).filter(|_| escaped) {
            Some(c) => {
                out.push_str(&rest[..at]);
                out.push(c);
                rest = &code[digits + 1..];
            }
            None => {
                out.push_str(&rest[..at + 1]);
                rest = &rest[at + 1..];
            }
        }
    }
    if out.is_empty() && rest.len() == name.len() {
        return Cow::Borrowed(name);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schemas;
    use serde_json::json;
    use streamalert_packed::Builder;

    fn columns(schema: Value) -> Columns {
        let text = json!({"t": {"parser": "json", "schema": schema}}).to_string();
        Columns::of(Schemas::read(&[("s.json".to_owned(), text)]).unwrap().get("t").unwrap())
    }

    /// The record as it is archived, after checking that it can be restored.
    #[track_caller]
    fn archived(columns: &Columns, record: Value) -> Value {
        let mut packed = Vec::new();
        let range = Builder::json(&mut packed, &record);
        let mut line = String::new();
        // SAFETY: just built.
        columns.line(unsafe { Record::trusted(&packed[range]) }, &mut line);
        let written: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(columns.restore(written.clone()), record, "{line}");
        written
    }

    #[test]
    fn declared_keys_get_the_plain_name_unless_another_needs_it() {
        assert_eq!(distinct_names(&["a.b", "@timestamp", "user-agent"]), ["a_b", "_timestamp", "user_agent"]);
        assert_eq!(distinct_names(&["a.b", "a_b"]), ["a_x2e_b", "a_b"]);
        assert_eq!(distinct_names(&["a.b", "a-b"]), ["a_b", "a_x2d_b"]);
        assert_eq!(distinct_names(&["Name", "NAME", "name"]), ["_x4e_ame", "_x4e__x41__x4d__x45_", "name"]);
        // Partitions have theirs.
        assert_eq!(distinct_names(&["dt", "DT", "_x64_t"]), ["_x64_t", "_x44__x54_", "_x5f_x64_t"]);
        // And so has what we say of a record.
        assert_eq!(
            distinct_names(&["streamalert_id", "streamalert.id", "Streamalert_ID", "streamalert_ids"]),
            ["_x73_treamalert_id", "streamalert_x2e_id", "_x53_treamalert__x49__x44_", "streamalert_ids"]
        );
        // Nothing is left of the empty key, and ` x ` becomes what stands for it.
        assert_eq!(distinct_names(&["$x", " x ", "_x", ""]), ["_x24_x", "_x20_x_x20_", "_x", "_x_"]);
    }

    #[test]
    fn objects_and_lists_are_gone_through() {
        let columns = columns(json!({"o": {"a.b": "string", "a_b": "string"}, "l": [], "any": {}}));
        let record = json!({"o": {"a.b": "1", "a_b": "2"}, "l": [{"x-y": [{"": 1}]}], "any": {"a.b": 1, "a_b": 2}});
        let expected = json!({"o": {"a_x2e_b": "1", "a_b": "2"}, "l": [{"x_x2d_y": [{"_x_": 1}]}],
                              "any": {"a_x2e_b": 1, "a_b": 2}});
        assert_eq!(archived(&columns, record), expected);
    }

    #[test]
    fn a_key_no_schema_knows_takes_no_column_of_another() {
        let columns = columns(json!({"a.b": "string", "eventName": "string", "select": "string"}));
        let record = json!({"a.b": "1", "a_b": "2", "eventname": "3", "EVENTNAME": "4", "eventName": "5", "select": "6",
                            "SELECT": "7", "new.key": "8", "été-1": "9"});
        let expected = json!({"a_b": "1", "_x61__b": "2", "_x65_ventname": "3",
            "_x45__x56__x45__x4e__x54__x4e__x41__x4d__x45_": "4", "eventName": "5", "select": "6",
            "_x53__x45__x4c__x45__x43__x54_": "7", "new_x2e_key": "8", "été_x2d_1": "9"});
        assert_eq!(archived(&columns, record), expected);
    }

    #[test]
    fn whatever_the_keys_they_stay_apart_and_come_back() {
        // Pieces that escapes are made of, in every order.
        let pieces =
            ["", "_", "x", "_x", "2e", "_x2e_", "_x2e", "_x_", "_X2E_", ".", "A", "a", "ǅ", "😀", "_xd800_", " ", "$"];
        let mut keys: Vec<String> = Vec::new();
        for a in pieces {
            for b in pieces {
                keys.extend(pieces.iter().map(|c| format!("{a}{b}{c}")));
            }
        }
        keys.sort();
        keys.dedup();
        for which in [Escape::Lost, Escape::Upper, Escape::First] {
            for key in &keys {
                let name = escape(key, which);
                assert!(name.chars().all(is_word), "{name}");
                assert_eq!(unescape(&name), key.as_str(), "{name}");
            }
        }
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        let given = distinct_names(&texts);
        for (key, name) in texts.iter().zip(&given) {
            assert!(possible_names(key).contains(&name.to_lowercase()), "{key}: {name}");
        }
        let names: HashSet<String> = given.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(names.len(), keys.len());
        // Half of them declared, the others not.
        let declared =
            keys.iter().step_by(2).map(|key| Field { name: key.clone(), kind: FieldKind::Any, optional: true });
        let columns = Columns::of_fields(&Fields(declared.collect()));
        for key in &keys {
            assert_eq!(columns.key(&columns.name(key)), key.as_str());
        }
        let columns = Columns::default();
        let undeclared: HashSet<Cow<'_, str>> = keys.iter().map(|key| columns.name(key)).collect();
        assert_eq!(undeclared.len(), keys.len());
    }

    #[test]
    fn no_key_of_a_log_takes_the_name_of_a_column_of_ours() {
        let columns = columns(json!({"streamalert_id": "string", "streamalert.record": "string"}));
        let record = json!({"streamalert_id": "1", "streamalert.record": "2", "streamalert_record": "3", "dt": "4",
                            "STREAMALERT_TIME": "5"});
        let written = archived(&columns, record);
        let ours = |name: &String| is_ours(&name.to_lowercase());
        assert!(!written.as_object().unwrap().keys().any(ours), "{written}");
    }

    #[test]
    fn our_own_keys_have_plain_columns() {
        let text = r#"{"t": {"parser": "json", "schema": {"a": "string"}, "configuration": {
            "json_path": "r[*]", "envelope_keys": {"the.host": "string"}, "normalization": {"x": ["a"]},
            "ocsf": {"class": 3002}, "ecs": {"user.name": ["a"]}}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        let columns = Columns::of(schemas.get("t").unwrap());
        let record = json!({"a": "1", "streamalert:envelope_keys": {"the.host": "h"}, "streamalert_normalization": {},
                            "streamalert:ocsf": {"class_uid": 3002}, "streamalert:ecs": {"user": {"name": "1"}},
                            "streamalert:duplicate_keys": ["a"], "streamalert:invalid_text": 1});
        let expected = json!({"a": "1", "streamalert_envelope_keys": {"the_host": "h"}, "streamalert_normalization": {},
                              "streamalert_ocsf": {"class_uid": 3002}, "streamalert_ecs": {"user": {"name": "1"}},
                              "streamalert_duplicate_keys": ["a"], "streamalert_invalid_text": 1});
        assert_eq!(archived(&columns, record), expected);
    }
}
