//! One JSON object packed by itself, for whoever only reads its fields.

use super::document::{Document, Item};
use super::known_keys::KnownKeys;
use super::record;
use streamalert_packed::Record;

/// Packs one object after the other into the same memory.
#[derive(Default)]
pub struct Packer {
    document: Document,
    keys: KnownKeys,
    bytes: Vec<u8>,
}

impl Packer {
    /// `None` if `json` is no object, or larger than a record may be.
    pub fn pack(&mut self, json: &str) -> Option<Record<'_>> {
        self.bytes.clear();
        if !self.document.parse(json.as_bytes()) || !matches!(self.document.item(0), Item::Object { .. }) {
            return None;
        }
        let packed = record::build_plain(&mut self.bytes, &self.document, &mut self.keys).ok()?;
        // SAFETY: just built.
        Some(unsafe { Record::trusted(&self.bytes[packed]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_one_after_the_other_and_nothing_else_does() {
        let mut packer = Packer::default();
        for json in [r#"{"a":{"b":[1,"x"]},"n":123456789012345678901234567890}"#, "{}", r#"{"a":"é\n"}"#] {
            assert_eq!(packer.pack(json).unwrap().to_json(), json);
        }
        for json in ["", "[]", "1", "{", r#"{"a":1} {"#] {
            assert!(packer.pack(json).is_none(), "{json}");
        }
    }
}
