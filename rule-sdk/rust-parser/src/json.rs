//! Writes JSON, and nothing else: a parser needs no more, and a component without a JSON library is a third as large.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What can stand in a record.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a record",
    note = "texts, integers, floats, booleans, IP addresses, `Object`, and `Option`, `Vec` or slices of them can"
)]
pub trait Json {
    /// Appends the value to `out`.
    fn write(&self, out: &mut String);
}

/// An object under construction, as text.
///
/// ```
/// # use streamalert_parser_sdk::prelude::*;
/// let record = Object::new().with("user", "ada").with("uid", 1000).with("groups", ["wheel", "users"]);
/// assert_eq!(record.finish(), r#"{"user":"ada","uid":1000,"groups":["wheel","users"]}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Without the closing brace.
    text: String,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    pub fn new() -> Self {
        Self::with_capacity(64)
    }

    /// With room for so many bytes of text.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Object { text }
    }

    /// Adds an entry. A key that is there already is not looked for: of equal keys, readers take the last.
    pub fn put(&mut self, key: &str, value: impl Json) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        key.write(&mut self.text);
        self.text.push(':');
        value.write(&mut self.text);
    }

    /// The same, in a chain.
    pub fn with(mut self, key: &str, value: impl Json) -> Self {
        self.put(key, value);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// The text of the object.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

impl Json for Object {
    fn write(&self, out: &mut String) {
        out.push_str(&self.text);
        out.push('}');
    }
}

impl Json for str {
    fn write(&self, out: &mut String) {
        out.reserve(self.len() + 2);
        out.push('"');
        let mut plain = 0;
        while let Some(found) = special(&self.as_bytes()[plain..]) {
            let at = plain + found;
            // Only ASCII is escaped, so `at` lies between two letters.
            out.push_str(&self[plain..at]);
            plain = at + 1;
            match self.as_bytes()[at] {
                b'"' => out.push_str("\\\""),
                b'\\' => out.push_str("\\\\"),
                b'\n' => out.push_str("\\n"),
                b'\r' => out.push_str("\\r"),
                b'\t' => out.push_str("\\t"),
                byte => {
                    const HEX: &[u8; 16] = b"0123456789abcdef";
                    out.push_str("\\u00");
                    out.push(char::from(HEX[usize::from(byte >> 4)]));
                    out.push(char::from(HEX[usize::from(byte & 15)]));
                }
            }
        }
        out.push_str(&self[plain..]);
        out.push('"');
    }
}

/// The first byte that JSON wants escaped. Eight bytes at a time: texts are most of a record, and few hold such a byte.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // A high bit where a byte is below `limit`, which is at most 128; bytes of 128 and more give none. What a borrow adds lies
    // behind a byte that is found anyway.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let packed = u64::from_le_bytes(*word);
        let quotes = below(packed ^ (ONES * u64::from(b'"')), 1);
        let backslashes = below(packed ^ (ONES * u64::from(b'\\')), 1);
        if (quotes | backslashes | below(packed, 0x20)) != 0
            && let Some(at) = word.iter().position(is_special)
        {
            return Some(index * 8 + at);
        }
    }
    rest.iter().position(is_special).map(|at| words.len() * 8 + at)
}

impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl Json for std::borrow::Cow<'_, str> {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

impl Json for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

/// Decimal digits of the largest 64-bit number.
const DIGITS_MAX: usize = 20;

impl Json for u64 {
    fn write(&self, out: &mut String) {
        let mut digits = [0; DIGITS_MAX];
        let mut at = DIGITS_MAX;
        let mut large = *self;
        // WebAssembly divides 32 bits much faster than 64, and nearly all numbers are small.
        while large > u64::from(u32::MAX) {
            at -= 1;
            digits[at] = b'0' + (large % 10) as u8;
            large /= 10;
        }
        let mut small = large as u32;
        loop {
            at -= 1;
            digits[at] = b'0' + (small % 10) as u8;
            small /= 10;
            if small == 0 {
                break;
            }
        }
        // SAFETY: digits are ASCII.
        out.push_str(unsafe { std::str::from_utf8_unchecked(&digits[at..]) });
    }
}

impl Json for i64 {
    fn write(&self, out: &mut String) {
        if *self < 0 {
            out.push('-');
        }
        self.unsigned_abs().write(out);
    }
}

macro_rules! integers {
    ($($small:ty => $large:ty),*) => {$(
        impl Json for $small {
            fn write(&self, out: &mut String) {
                (*self as $large).write(out);
            }
        }
    )*};
}

integers!(u8 => u64, u16 => u64, u32 => u64, usize => u64, i8 => i64, i16 => i64, i32 => i64, isize => i64);

/// What JSON cannot say (NaN, infinity) becomes null.
impl Json for f64 {
    fn write(&self, out: &mut String) {
        match self.is_finite() {
            true => out.push_str(&format!("{self:?}")),
            false => out.push_str("null"),
        }
    }
}

impl Json for Ipv4Addr {
    fn write(&self, out: &mut String) {
        out.push('"');
        for (index, octet) in self.octets().iter().enumerate() {
            if index > 0 {
                out.push('.');
            }
            octet.write(out);
        }
        out.push('"');
    }
}

impl Json for Ipv6Addr {
    fn write(&self, out: &mut String) {
        self.to_string().write(out);
    }
}

impl Json for IpAddr {
    fn write(&self, out: &mut String) {
        match self {
            IpAddr::V4(address) => address.write(out),
            IpAddr::V6(address) => address.write(out),
        }
    }
}

/// `None` is null.
impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Json> Json for [T] {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.write(out);
        }
        out.push(']');
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}

impl<T: Json, const N: usize> Json for [T; N] {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}
