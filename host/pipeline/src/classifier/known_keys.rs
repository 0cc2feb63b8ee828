//! Keys of objects that are packed as they are: records of one log type mostly have the same in the same order.

use super::candidates::new_shape;
use super::document::{Document, Item};

/// Sequences of distinct keys that were met last, the latest first.
#[derive(Default)]
pub(super) struct KnownKeys(Vec<Sequence>);

struct Sequence {
    text: String,
    ends: Vec<usize>,
    /// 0 until they are met again: most that come once come never again, and numbers are few.
    shape: u32,
}

/// Sequences that are remembered: kinds of events of one log type that are frequent at a time.
const SEQUENCES: usize = 8;

impl KnownKeys {
    /// The number of the sequence of keys of the object at 0, if they are known. They are distinct then.
    pub fn shape(&mut self, document: &Document) -> Option<u32> {
        let place = self.0.iter().position(|sequence| sequence.is_of(document))?;
        self.0[..=place].rotate_right(1);
        let sequence = &mut self.0[0];
        if sequence.shape == 0 {
            sequence.shape = new_shape();
        }
        Some(sequence.shape)
    }

    /// Remembers the keys of the object at 0, which are distinct.
    pub fn learn(&mut self, document: &Document) {
        // The buffers of the one that goes.
        let mut sequence = match self.0.len() {
            SEQUENCES => self.0.pop(),
            _ => None,
        }
        .unwrap_or_else(|| Sequence { text: String::new(), ends: Vec::new(), shape: 0 });
        sequence.text.clear();
        sequence.ends.clear();
        sequence.shape = 0;
        let Item::Object { len } = document.item(0) else { return };
        let mut next = 1;
        for _ in 0..len {
            sequence.text.push_str(document.key(next));
            sequence.ends.push(sequence.text.len());
            next = document.after(next + 1);
        }
        self.0.insert(0, sequence);
    }
}

impl Sequence {
    fn is_of(&self, document: &Document) -> bool {
        if !matches!(document.item(0), Item::Object { len } if len == self.ends.len()) {
            return false;
        }
        let (mut from, mut next) = (0, 1);
        self.ends.iter().all(|end| {
            let same = document.key(next) == &self.text[from..*end];
            from = *end;
            next = document.after(next + 1);
            same
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::build_plain;
    use super::*;
    use streamalert_packed::Record;

    /// The record as JSON, and the number of its keys.
    fn packed(json: &str, keys: &mut KnownKeys) -> (String, u32) {
        let mut document = Document::default();
        assert!(document.parse(json.as_bytes()));
        let mut bytes = Vec::new();
        let range = build_plain(&mut bytes, &document, keys).unwrap();
        // SAFETY: just built.
        let record = unsafe { Record::trusted(&bytes[range]) };
        (record.to_json(), record.shape())
    }

    #[test]
    fn keys_that_come_again_have_a_number_and_others_have_none_or_another() {
        let mut keys = KnownKeys::default();
        let mut shape = |json: &str| {
            let (text, shape) = packed(json, &mut keys);
            assert_eq!(text, json);
            shape
        };
        assert_eq!(shape(r#"{"a":1,"b":{"a":2}}"#), 0);
        let first = shape(r#"{"a":"x","b":null}"#);
        assert_ne!(first, 0);
        // The same text, divided otherwise; another order; more and fewer keys; none.
        for other in [r#"{"ab":1,"":2}"#, r#"{"b":1,"a":2}"#, r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1}"#, "{}"] {
            assert_eq!(shape(other), 0, "{other}");
            assert!(![0, first].contains(&shape(other)), "{other}");
        }
        assert_eq!(shape(r#"{"a":[],"b":5}"#), first);
        // Long ago is forgotten.
        (0..SEQUENCES).for_each(|number| assert_eq!(shape(&format!("{{\"k{number}\":1}}")), 0));
        assert_eq!(shape(r#"{"a":1,"b":2}"#), 0);
    }

    #[test]
    fn equal_keys_are_never_known() {
        let mut keys = KnownKeys::default();
        for _ in 0..3 {
            let twice = packed(r#"{"a":1,"b":2,"a":3}"#, &mut keys);
            assert_eq!(twice, (r#"{"a":3,"b":2}"#.to_owned(), 0));
        }
        // More of them than are looked through one by one.
        let many: Vec<String> = (0..60).map(|number| format!("\"k{number}\":{number}")).collect();
        for _ in 0..3 {
            let (text, shape) = packed(&format!("{{{},\"k5\":9}}", many.join(",")), &mut keys);
            assert!(shape == 0 && text.contains("\"k5\":9") && text.matches("\"k5\"").count() == 1, "{text}");
        }
        let distinct = format!("{{{}}}", many.join(","));
        assert_eq!(packed(&distinct, &mut keys), (distinct.clone(), 0));
        let (text, shape) = packed(&distinct, &mut keys);
        assert!(text == distinct && shape != 0);
    }
}
