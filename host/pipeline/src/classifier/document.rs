//! One input as a tape whose texts lie in the document's own bytes: JSON, parsed by simd-json, or the fields that a text
//! format found.

use memchr::memmem;
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::LazyLock;
use streamalert_formats::{Fields, Value};

/// What an index of the tape holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(&'a str),
    /// A number that fits neither 64 bits nor a double, or `-0`, as written.
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
    /// Made of fields, so that its texts lie in no particular order.
    flat: bool,
    /// Its text is not what arrived, but was made of it.
    pub made: bool,
    /// Objects and lists that were cut off, and closed to be read.
    open: Vec<u32>,
    /// Bytes and escapes that are no text, and are kept as `\xNN` and `\uNNNN`.
    invalid: u32,
    /// Scratch of `fill`.
    places: Vec<Place>,
}

/// A node of the tape whose text may still move.
enum Place {
    Null,
    Integer(i64),
    Text { at: u32, length: u32 },
    Object { len: usize, count: usize },
    Array { len: usize, count: usize },
}

/// The keys of rows whose columns have names: one text, and where each lies in it.
#[derive(Debug, Default)]
pub(super) struct Columns {
    text: String,
    ranges: Vec<(u32, u32)>,
}

impl Columns {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut columns = Columns::default();
        for name in names {
            columns.ranges.push((columns.text.len() as u32, name.len() as u32));
            columns.text.push_str(name);
        }
        columns
    }
}

impl Default for Document {
    fn default() -> Self {
        Document {
            text: Vec::new(),
            length: 0,
            tape: Tape(Vec::new()),
            buffers: Buffers::with_max_depth(4096, crate::limits::DEPTH_MAX),
            wide: Vec::new(),
            flat: false,
            made: false,
            open: Vec::new(),
            invalid: 0,
            places: Vec::new(),
        }
    }
}

impl Document {
    /// Parses `json`, which must be one value with nothing behind it. Says whether it is one.
    pub fn parse(&mut self, json: &[u8]) -> bool {
        self.wide.clear();
        self.open.clear();
        self.flat = false;
        self.invalid = 0;
        self.parse_text(json) || self.parse_repaired(json)
    }

    #[inline]
    fn parse_text(&mut self, json: &[u8]) -> bool {
        // To simd-json a negative zero is 0.
        (has_minus_zero(json) && self.parse_wide(json)) || self.fill(json) || self.parse_wide(json)
    }

    /// The same once more with everything in its texts that is no text escaped, if that was what it failed on.
    #[cold]
    fn parse_repaired(&mut self, json: &[u8]) -> bool {
        let Some((repaired, invalid)) = repair(json) else { return false };
        let fine = self.parse_text(&repaired);
        self.invalid = if fine { invalid } else { 0 };
        fine
    }

    /// The same for what `json` was before it was cut off and closed: so many objects and lists were open there, each the
    /// last value of the one around it.
    pub fn parse_closed(&mut self, json: &[u8], open: usize) -> bool {
        if !self.parse(json) {
            return false;
        }
        let mut at = 0;
        for _ in 0..open {
            self.open.push(at as u32);
            let mut next = at + 1;
            let Item::Object { len } = self.item(at) else { break };
            for _ in 0..len {
                at = next + 1;
                next = self.after(at);
            }
        }
        true
    }

    /// Whether there may have been more in the object or list at `at`.
    #[inline]
    pub fn is_open(&self, at: usize) -> bool {
        !self.open.is_empty() && self.open.contains(&(at as u32))
    }

    /// How many bytes and escapes of it are no text.
    pub fn invalid(&self) -> u32 {
        self.invalid
    }

    /// Takes the fields that were found in `text`, of which `invalid` bytes were escaped.
    pub fn fill_fields(&mut self, text: &str, fields: &Fields<'_>, invalid: u32) {
        self.start(text);
        self.invalid = invalid;
        self.places_of_object(text, fields);
        self.finish();
    }

    /// Takes a row: its cells under the names of their columns. There are as many of both. A cell that is `None` is null.
    pub fn fill_row<'a>(
        &mut self,
        text: &str,
        columns: &Columns,
        cells: impl ExactSizeIterator<Item = Option<&'a str>>,
        invalid: u32,
    ) {
        self.start(text);
        self.invalid = invalid;
        let base = self.text.len() as u32;
        self.text.extend_from_slice(columns.text.as_bytes());
        let len = columns.ranges.len().min(cells.len());
        self.places.push(Place::Object { len, count: 2 * len });
        for (&(at, length), cell) in columns.ranges.iter().zip(cells) {
            self.places.push(Place::Text { at: base + at, length });
            match cell {
                Some(cell) => self.place(text, cell),
                None => self.places.push(Place::Null),
            }
        }
        self.finish();
    }

    fn start(&mut self, text: &str) {
        self.tape.0.clear();
        self.wide.clear();
        self.open.clear();
        self.text.clear();
        self.places.clear();
        self.flat = true;
        self.text.extend_from_slice(text.as_bytes());
    }

    fn places_of_object(&mut self, text: &str, fields: &Fields<'_>) {
        let at = self.places.len();
        self.places.push(Place::Null);
        for (key, value) in fields {
            self.place(text, key);
            self.places_of(text, value);
        }
        self.places[at] = Place::Object { len: fields.len(), count: self.places.len() - at - 1 };
    }

    fn places_of(&mut self, text: &str, value: &Value<'_>) {
        match value {
            Value::Null => self.places.push(Place::Null),
            Value::Integer(number) => self.places.push(Place::Integer(*number)),
            Value::Text(value) => self.place(text, value),
            Value::Object(fields) => self.places_of_object(text, fields),
            Value::List(items) => {
                let at = self.places.len();
                self.places.push(Place::Null);
                items.iter().for_each(|item| self.places_of(text, item));
                self.places[at] = Place::Array { len: items.len(), count: self.places.len() - at - 1 };
            }
        }
    }

    /// A text: where it stands in `text`, or put behind it.
    #[inline]
    fn place(&mut self, text: &str, part: &str) {
        let inside = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        let at = if inside <= text.len() && part.len() <= text.len() - inside {
            inside
        } else {
            self.text.extend_from_slice(part.as_bytes());
            self.text.len() - part.len()
        };
        self.places.push(Place::Text { at: at as u32, length: part.len() as u32 });
    }

    fn finish(&mut self) {
        self.length = self.text.len();
        // SAFETY: as in `fill`. All of it is UTF-8: whole `str`s were put behind one another, and every place was one of them.
        let text: &'static str = unsafe { std::str::from_utf8_unchecked(&*(self.text.as_slice() as *const [u8])) };
        self.tape.0.extend(self.places.iter().map(|place| match place {
            Place::Null => Node::Static(StaticNode::Null),
            Place::Integer(number) => Node::Static(StaticNode::I64(*number)),
            Place::Text { at, length } => Node::String(&text[*at as usize..(*at + *length) as usize]),
            Place::Object { len, count } => Node::Object { len: *len, count: *count },
            Place::Array { len, count } => Node::Array { len: *len, count: *count },
        }));
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

    /// The same with every number that simd-json cannot hold turned into a text, if there is one.
    #[cold]
    fn parse_wide(&mut self, json: &[u8]) -> bool {
        let Some((rewritten, wide)) = widen(json) else { return false };
        let fine = self.fill(&rewritten);
        self.wide = if fine { wide } else { Vec::new() };
        fine
    }

    /// Whether the text is byte for byte where it was in the input.
    pub fn in_place(&self) -> bool {
        self.wide.is_empty() && self.invalid == 0 && !self.flat && !self.made
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

    /// The keys of the object at `at`, in their order.
    pub fn keys(&self, at: usize) -> Vec<&str> {
        let Item::Object { len } = self.item(at) else { return Vec::new() };
        let mut next = at + 1;
        (0..len)
            .map(|_| {
                let key = self.key(next);
                next = self.after(next + 1);
                key
            })
            .collect()
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
        if self.flat {
            return 0..self.length;
        }
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

/// What JSON allows and no integer holds.
pub(super) const MINUS_ZERO: &str = "-0";

/// Whether `-0` may stand there as a number; now and then it is within a text.
#[inline]
fn has_minus_zero(json: &[u8]) -> bool {
    static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(MINUS_ZERO));
    let begins = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b':' | b',' | b'[');
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b']' | b'}');
    FINDER
        .find_iter(json)
        .any(|at| json[..at].last().is_none_or(begins) && json.get(at + MINUS_ZERO.len()).is_none_or(ends))
}

/// Puts every number that fits neither 64 bits nor a double, and `-0`, into quotes. `None`: there is no such number.
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
        text == MINUS_ZERO || text.parse::<i64>().is_err() && text.parse::<u64>().is_err()
    } else {
        text.parse::<f64>().is_ok_and(f64::is_infinite)
    }
}

/// Escapes what stands in the texts of `json` and is none: bytes that are not UTF-8 become `\xNN`, surrogates without
/// their other half the text of their escape, raw control characters their escape. How many there were; `None`: none.
fn repair(json: &[u8]) -> Option<(Vec<u8>, u32)> {
    let mut out: Vec<u8> = Vec::with_capacity(json.len() + 64);
    let mut count = 0;
    let mut in_text = false;
    for chunk in json.utf8_chunks() {
        let text = chunk.valid().as_bytes();
        let mut at = 0;
        while at < text.len() {
            let byte = text[at];
            match byte {
                b'"' => in_text = !in_text,
                b'\\' if in_text => {
                    let escape = &text[at..text.len().min(at + 6)];
                    if let Some(unit) = surrogate(escape) {
                        let pair = unit < 0xdc00
                            && surrogate(&text[(at + 6).min(text.len())..text.len().min(at + 12)])
                                .is_some_and(|low| low >= 0xdc00);
                        if pair {
                            out.extend_from_slice(&text[at..at + 12]);
                            at += 12;
                        } else {
                            out.push(b'\\');
                            out.extend_from_slice(escape);
                            at += 6;
                            count += 1;
                        }
                    } else {
                        out.extend_from_slice(&text[at..text.len().min(at + 2)]);
                        at += 2;
                    }
                    continue;
                }
                0..0x20 if in_text && byte != b'\n' => {
                    out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    at += 1;
                    count += 1;
                    continue;
                }
                _ => {}
            }
            out.push(byte);
            at += 1;
        }
        for byte in chunk.invalid() {
            if !in_text {
                return None;
            }
            out.extend_from_slice(format!("\\\\x{byte:02x}").as_bytes());
            count += 1;
        }
    }
    (count > 0).then_some((out, count))
}

/// The code unit that `\uNNNN` stands for, if it is a surrogate.
fn surrogate(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?;
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 4)?, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

/// Bytes as text: what is no UTF-8 becomes `\xNN`. How many bytes that were.
pub(super) fn text_of(bytes: &[u8]) -> (Cow<'_, str>, u32) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (Cow::Borrowed(text), 0);
    }
    let mut text = String::with_capacity(bytes.len() + 64);
    let mut count = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
            count += 1;
        }
    }
    (Cow::Owned(text), count)
}
