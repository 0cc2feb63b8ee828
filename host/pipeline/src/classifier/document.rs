//! One JSON document, parsed by simd-json onto a tape whose texts lie in the document's own bytes.

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};
use std::borrow::Cow;
use std::ops::Range;

/// What an index of the tape holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(&'a str),
    /// A number that fits neither 64 bits nor a double, as written.
    Wide(&'a str),
    Array {
        len: usize,
    },
    Object {
        len: usize,
    },
}

/// A parsed document and the buffers to parse the next one without allocating.
pub(super) struct Document {
    /// The text, unescaped in place, and padding behind it.
    text: Vec<u8>,
    length: usize,
    /// Borrows from `text`, which is neither moved nor written while the tape is not empty.
    tape: Tape<'static>,
    buffers: Buffers,
    /// Offsets of texts that stand for numbers simd-json cannot hold; nearly always empty.
    wide: Vec<u32>,
}

impl Default for Document {
    fn default() -> Self {
        Document {
            text: Vec::new(),
            length: 0,
            tape: Tape(Vec::new()),
            buffers: Buffers::with_max_depth(4096, crate::limits::DEPTH_MAX),
            wide: Vec::new(),
        }
    }
}

impl Document {
    /// Parses `json`, which must be one value with nothing behind it. Says whether it is one.
    pub fn parse(&mut self, json: &[u8]) -> bool {
        self.wide.clear();
        self.fill(json) || self.parse_wide(json)
    }

    #[inline]
    fn fill(&mut self, json: &[u8]) -> bool {
        self.tape.0.clear();
        self.text.clear();
        self.text.extend_from_slice(json);
        self.length = json.len();
        self.text.resize(json.len() + INPUT_PADDING, b' ');
        // SAFETY: the tape's texts live as long as `self.text`'s heap block, which changes only in this function, where
        // the tape is emptied first; `self.text` is private and never handed out as mutable or owned.
        let text: &'static mut [u8] = unsafe { &mut *(self.text.as_mut_slice() as *mut [u8]) };
        let fine = simd_json::fill_tape_padded(text, self.length, &mut self.buffers, &mut self.tape).is_ok();
        if !fine {
            self.tape.0.clear();
        }
        fine
    }

    /// The same once more with every number that is too wide turned into a text, if that was what it failed on.
    #[cold]
    fn parse_wide(&mut self, json: &[u8]) -> bool {
        let Some((rewritten, wide)) = widen(json) else { return false };
        let fine = self.fill(&rewritten);
        self.wide = if fine { wide } else { Vec::new() };
        fine
    }

    /// Whether the text is byte for byte where it was in the input.
    pub fn in_place(&self) -> bool {
        self.wide.is_empty()
    }

    pub fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    #[inline]
    pub fn item(&self, at: usize) -> Item<'_> {
        match self.tape.0[at] {
            Node::String(text) if !self.wide.is_empty() && self.is_wide(text) => Item::Wide(text),
            Node::String(text) => Item::Text(text),
            Node::Object { len, .. } => Item::Object { len },
            Node::Array { len, .. } => Item::Array { len },
            Node::Static(StaticNode::Null) => Item::Null,
            Node::Static(StaticNode::Bool(b)) => Item::Bool(b),
            Node::Static(StaticNode::I64(i)) => Item::I64(i),
            Node::Static(StaticNode::U64(u)) => match i64::try_from(u) {
                Ok(i) => Item::I64(i),
                Err(_) => Item::U64(u),
            },
            Node::Static(StaticNode::F64(f)) => Item::F64(f),
        }
    }

    fn is_wide(&self, text: &str) -> bool {
        self.offset(text).is_some_and(|at| self.wide.binary_search(&(at as u32)).is_ok())
    }

    /// The key at `at`, which must be one.
    #[inline]
    pub fn key(&self, at: usize) -> &str {
        match self.tape.0[at] {
            Node::String(text) => text,
            _ => "",
        }
    }

    /// The index behind the value at `at`.
    #[inline]
    pub fn after(&self, at: usize) -> usize {
        match self.tape.0[at] {
            Node::Object { count, .. } | Node::Array { count, .. } => at + count + 1,
            _ => at + 1,
        }
    }

    /// Where `text` lies in the document, if it does.
    #[inline]
    pub fn offset(&self, text: &str) -> Option<usize> {
        let at = (text.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        (at < self.length || (text.is_empty() && at == self.length)).then_some(at)
    }

    /// The value under `key` of the object at `at`; of several the last, as JSON readers have it.
    pub fn get(&self, at: usize, key: &str) -> Option<usize> {
        let Node::Object { len, .. } = self.tape.0[at] else { return None };
        let mut next = at + 1;
        let mut found = None;
        for _ in 0..len {
            if self.key(next) == key {
                found = Some(next + 1);
            }
            next = self.after(next + 1);
        }
        found
    }

    /// The items of the list at `at`; none if it is no list.
    pub fn items(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let len = match self.tape.0[at] {
            Node::Array { len, .. } => len,
            _ => 0,
        };
        let mut next = at + 1;
        (0..len).map(move |_| {
            let item = next;
            next = self.after(item);
            item
        })
    }

    /// The bytes from the first text to the last of the value at `at`: what a record made of it must carry along.
    #[inline]
    pub fn span(&self, at: usize) -> Range<usize> {
        let nodes = &self.tape.0[at..self.after(at)];
        let first = nodes.iter().find_map(|node| if let Node::String(text) = node { self.offset(text) } else { None });
        let last = nodes.iter().rev().find_map(|node| match node {
            Node::String(text) => self.offset(text).map(|at| at + text.len()),
            _ => None,
        });
        match (first, last) {
            (Some(first), Some(last)) => first..last,
            _ => 0..0,
        }
    }

    /// The value at `at` as serde knows it.
    pub fn to_value(&self, at: usize) -> serde_json::Value {
        use serde_json::Value;
        match self.item(at) {
            Item::Null => Value::Null,
            Item::Bool(b) => b.into(),
            Item::I64(i) => i.into(),
            Item::U64(u) => u.into(),
            Item::F64(f) => f.into(),
            Item::Text(text) | Item::Wide(text) => text.into(),
            Item::Array { .. } => self.items(at).map(|item| self.to_value(item)).collect(),
            Item::Object { len } => {
                let mut object = serde_json::Map::with_capacity(len);
                let mut next = at + 1;
                for _ in 0..len {
                    object.insert(self.key(next).to_owned(), self.to_value(next + 1));
                    next = self.after(next + 1);
                }
                Value::Object(object)
            }
        }
    }

    /// The value at `at` as JSON text.
    pub fn to_json(&self, at: usize) -> String {
        self.to_value(at).to_string()
    }

    /// What kind of value stands at `at`, for messages.
    pub fn kind(&self, at: usize) -> Cow<'static, str> {
        match self.item(at) {
            Item::Null => "null".into(),
            Item::Bool(_) => "a boolean".into(),
            Item::I64(_) | Item::U64(_) | Item::F64(_) | Item::Wide(_) => "a number".into(),
            Item::Text(_) => "a text".into(),
            Item::Array { len } => format!("a list of {len}").into(),
            Item::Object { len } => format!("an object of {len} keys").into(),
        }
    }
}

/// Puts every number that fits neither 64 bits nor a double into quotes. `None`: there is no such number.
/// The offsets are those of the texts within the result.
fn widen(json: &[u8]) -> Option<(Vec<u8>, Vec<u32>)> {
    let mut out = Vec::with_capacity(json.len() + 16);
    let mut wide = Vec::new();
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => {
                let start = at;
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(json.len());
                out.extend_from_slice(&json[start..at]);
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while at < json.len() && matches!(json[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    at += 1;
                }
                let token = &json[start..at];
                if is_wide_number(token) {
                    out.push(b'"');
                    wide.push(out.len() as u32);
                    out.extend_from_slice(token);
                    out.push(b'"');
                } else {
                    out.extend_from_slice(token);
                }
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    (!wide.is_empty()).then_some((out, wide))
}

fn is_wide_number(token: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(token) else { return false };
    // Only what JSON calls a number: the rest is left for the parser to refuse.
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return false;
    }
    if text.bytes().all(|b| b == b'-' || b.is_ascii_digit()) {
        text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
    } else {
        text.parse::<f64>().is_ok_and(f64::is_infinite)
    }
}
