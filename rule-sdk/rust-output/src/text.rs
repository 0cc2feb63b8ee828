//! Text that has to fit into what a service takes.

use serde_json::Value;
use std::borrow::Cow;

/// How long a text may be, and how the service counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Max {
    /// Unicode characters.
    Chars(usize),
    /// Bytes of UTF-8.
    Bytes(usize),
    /// UTF-16 units, as JavaScript, Java and .NET count: 2 for an emoji.
    Utf16(usize),
}

impl Max {
    fn units(self) -> usize {
        let (Max::Chars(max) | Max::Bytes(max) | Max::Utf16(max)) = self;
        max
    }

    fn of(self, c: char) -> usize {
        match self {
            Max::Chars(_) => 1,
            Max::Bytes(_) => c.len_utf8(),
            Max::Utf16(_) => c.len_utf16(),
        }
    }

    /// How long the text is in this unit.
    pub fn length(self, text: &str) -> usize {
        match self {
            Max::Chars(_) => text.chars().count(),
            Max::Bytes(_) => text.len(),
            // Those of four bytes, and no others, take two units.
            Max::Utf16(_) => text.chars().count() + text.bytes().filter(|byte| *byte >= 0xf0).count(),
        }
    }

    /// Bytes of the longest beginning of `text` that fits into `units`, without cutting within what is seen as one letter. If
    /// not even one fits, 0.
    fn fits(self, text: &str, units: usize) -> usize {
        let (mut at, mut left) = (0, units);
        // The last place where the text may be cut, and whether the next character belongs to the one before.
        let (mut good, mut joined) = (0, false);
        loop {
            let ascii = ascii(&text.as_bytes()[at..], left);
            if ascii > 0 {
                // ASCII joins nothing, and counts one in every unit.
                good = if ascii > 1 || !joined { at + ascii - 1 } else { good };
                (at, left, joined) = (at + ascii, left - ascii, false);
            }
            let Some(c) = text[at..].chars().next() else { return text.len() };
            if !(joined || joins(c)) {
                good = at;
            }
            joined = c == ZERO_WIDTH_JOINER;
            match left.checked_sub(self.of(c)) {
                Some(rest) => left = rest,
                None => return good,
            }
            at += c.len_utf8();
        }
    }
}

/// How many of the first `max` bytes are ASCII, up to the first that is not.
fn ascii(bytes: &[u8], max: usize) -> usize {
    let bytes = &bytes[..bytes.len().min(max)];
    let (words, rest) = bytes.as_chunks::<8>();
    let high = |word: &[u8; 8]| u64::from_le_bytes(*word) & 0x8080_8080_8080_8080;
    match words.iter().position(|word| high(word) != 0) {
        Some(word) => word * 8 + (high(&words[word]).trailing_zeros() / 8) as usize,
        None => words.len() * 8 + rest.iter().take_while(|byte| byte.is_ascii()).count(),
    }
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Belongs to the character before it: accents, variants, skin tones. Not all there are, but those that are met.
fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}' | ZERO_WIDTH_JOINER)
}

/// The text if it fits, otherwise its beginning and `…`, together no longer than `max`.
///
/// ```
/// # use streamalert_output_sdk::{shorten, Max};
/// assert_eq!(shorten("Grüße", Max::Chars(5)), "Grüße");
/// assert_eq!(shorten("Grüße", Max::Chars(4)), "Grü…");
/// assert_eq!(shorten("Grüße", Max::Bytes(6)), "Gr…");
/// ```
pub fn shorten(text: &str, max: Max) -> Cow<'_, str> {
    let units = max.units();
    // Each counts at least one unit for each character, and no character has more than four bytes.
    if text.len() <= units || (text.len() <= units.saturating_mul(4) && max.length(text) <= units) {
        return Cow::Borrowed(text);
    }
    match units.checked_sub(max.of('…')) {
        Some(room) => {
            let end = max.fits(text, room);
            Cow::Owned(format!("{}…", text[..end].trim_end()))
        }
        None => Cow::Borrowed(&text[..max.fits(text, units)]),
    }
}

/// The text in parts that each fit, cut behind a line break, else behind a blank, else between letters. Put together, the
/// parts are the text. No text, no parts.
///
/// ```
/// # use streamalert_output_sdk::{split, Max};
/// assert_eq!(split("one two\nthree", Max::Chars(9)), ["one two\n", "three"]);
/// assert_eq!(split("one two three", Max::Chars(9)), ["one two ", "three"]);
/// assert_eq!(split("onetwothree", Max::Chars(9)), ["onetwothr", "ee"]);
/// ```
pub fn split(text: &str, max: Max) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = max.fits(rest, max.units());
        if end == 0 {
            // Nothing fits: what is seen as one letter is cut, and if need be one character is too long.
            end = hard(rest, max);
        }
        if end < rest.len() {
            let head = &rest[..end];
            let behind = |c: char| head.rfind(c).map(|at| at + c.len_utf8());
            end = behind('\n').or_else(|| behind(' ')).unwrap_or(end);
        }
        parts.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    parts
}

/// As many characters as fit, at least one.
fn hard(text: &str, max: Max) -> usize {
    let mut left = max.units();
    for (at, c) in text.char_indices() {
        match left.checked_sub(max.of(c)) {
            Some(rest) => left = rest,
            None if at == 0 => return c.len_utf8(),
            None => return at,
        }
    }
    text.len()
}

/// Without control characters and without what turns the direction of text around; line breaks and tabs become blanks.
///
/// ```
/// # use streamalert_output_sdk::plain;
/// assert_eq!(plain("a\r\nb\u{1b}[2J\u{202e}c"), "a b[2Jc");
/// ```
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_plain(&mut out, text);
    out
}

fn push_plain(out: &mut String, text: &str) {
    push_mapped(
        out,
        text,
        |byte| !(b' '..0x7f).contains(&byte),
        |out, c| match c {
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        },
    );
}

/// The text as it may stand in HTML and XML, in an attribute too. Control characters that XML has no place for are left out.
///
/// ```
/// # use streamalert_output_sdk::escape_html;
/// assert_eq!(escape_html("<a href='x'>&\u{0}\n"), "&lt;a href=&#39;x&#39;&gt;&amp;\n");
/// ```
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let special = |byte| !(b' '..0x7f).contains(&byte) || matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'');
    push_mapped(&mut out, text, special, |out, c| match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' | '\r' | '\t' => out.push(c),
        c if c.is_control() => {}
        c => out.push(c),
    });
    out
}

/// Copies what is ordinary as it is; `push` gets each character that begins with a special byte. Those of several bytes all
/// have to be special.
fn push_mapped(out: &mut String, text: &str, special: impl Fn(u8) -> bool, push: impl Fn(&mut String, char)) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(&special) {
        out.push_str(&rest[..at]);
        let Some(c) = rest[at..].chars().next() else { break };
        push(out, c);
        rest = &rest[at + c.len_utf8()..];
    }
    out.push_str(rest);
}

/// Every value that is no object or list, with its path; paths as rules write them, `userIdentity.arn`, `resources.0.type`,
/// with `\.` for a dot in a key. Empty objects and lists stand as `{}` and `[]`. Texts stand as they are.
///
/// ```
/// # use streamalert_output_sdk::{flatten, serde_json::json};
/// let pairs = flatten(&json!({"a": {"b": [1, "x"], "c.d": null}, "e": {}}));
/// let pairs: Vec<_> = pairs.iter().map(|(path, value)| format!("{path}={value}")).collect();
/// assert_eq!(pairs, ["a.b.0=1", "a.b.1=x", r"a.c\.d=null", "e={}"]);
/// ```
pub fn flatten(value: &Value) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    walk(value, &mut String::new(), &mut |path, value| {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        pairs.push((path.to_owned(), value));
    });
    pairs
}

fn walk(value: &Value, path: &mut String, visit: &mut dyn FnMut(&str, &Value)) {
    let length = path.len();
    let dot = if length > 0 { "." } else { "" };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                path.push_str(dot);
                match key.contains('.') {
                    true => path.push_str(&key.replace('.', "\\.")),
                    false => path.push_str(key),
                }
                walk(value, path, visit);
                path.truncate(length);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, value) in items.iter().enumerate() {
                path.push_str(dot);
                path.push_str(&index.to_string());
                walk(value, path, visit);
                path.truncate(length);
            }
        }
        leaf => visit(path, leaf),
    }
}

/// [`flatten`] as lines `path: value`; control characters in a value are left out, so that each stays one line.
pub fn flat_lines(value: &Value) -> String {
    let mut lines = String::new();
    walk(value, &mut String::new(), &mut |path, value| {
        if !lines.is_empty() {
            lines.push('\n');
        }
        push_plain(&mut lines, path);
        lines.push_str(": ");
        match value {
            Value::String(text) => push_plain(&mut lines, text),
            other => lines.push_str(&other.to_string()),
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ALL: [fn(usize) -> Max; 3] = [Max::Chars, Max::Bytes, Max::Utf16];

    /// Texts with letters of one to four bytes, and of several characters.
    const TEXTS: [&str; 8] = [
        "",
        "plain words, in a row",
        "Grüße aus Köln\nund anderswo",
        "日本語のテキスト",
        "😀😃😄 family: 👨\u{200d}👩\u{200d}👧 wave: 👋🏽",
        "e\u{301}e\u{301}e\u{301}",
        "no\n\n\nlines\r\n here \n",
        "\u{301}\u{301}",
    ];

    #[test]
    fn what_is_shortened_fits_and_is_the_beginning() {
        for text in TEXTS {
            for max in ALL.iter().flat_map(|max| (0..40).map(max)) {
                let short = shorten(text, max);
                assert!(max.length(&short) <= max.units(), "{text:?} {max:?} {short:?}");
                assert!(text.starts_with(short.trim_end_matches('…')), "{text:?} {max:?} {short:?}");
                assert_eq!(short == text, max.length(text) <= max.units(), "{text:?} {max:?} {short:?}");
            }
        }
    }

    #[test]
    fn what_is_split_fits_and_nothing_is_lost() {
        for text in TEXTS {
            for max in ALL.iter().flat_map(|max| (0..40).map(max)) {
                let parts = split(text, max);
                assert_eq!(parts.concat(), text, "{max:?}");
                for part in parts {
                    assert!(!part.is_empty());
                    assert!(max.length(&part) <= max.units() || part.chars().count() == 1, "{max:?} {part:?}");
                }
            }
        }
    }

    #[test]
    fn lengths_are_counted_as_services_count() {
        for text in TEXTS {
            assert_eq!(Max::Chars(0).length(text), text.chars().count());
            assert_eq!(Max::Utf16(0).length(text), text.encode_utf16().count());
            assert_eq!(ascii(text.as_bytes(), 1000), text.bytes().take_while(u8::is_ascii).count());
        }
        assert_eq!((ascii(b"0123456789", 9), ascii("01234567ü".as_bytes(), 9), ascii(b"", 9)), (9, 8, 0));
    }

    #[test]
    fn letters_stay_whole() {
        assert_eq!(shorten("e\u{301}e\u{301}e\u{301}", Max::Chars(4)), "e\u{301}…");
        assert_eq!(shorten("👋🏽👋🏽", Max::Chars(3)), "👋🏽…");
        assert_eq!(shorten("a👨\u{200d}👩\u{200d}👧bcd", Max::Chars(4)), "a…");
        assert_eq!(split("ab👨\u{200d}👩", Max::Chars(4)), ["ab", "👨\u{200d}👩"]);
        assert_eq!(split("e\u{301}\u{301}\u{301}", Max::Chars(2)), ["e\u{301}", "\u{301}\u{301}"]);
    }

    #[test]
    fn a_record_becomes_lines() {
        let record = json!({"user": "a\nb", "n": 1.5, "list": [], "deep": [{"x": true}]});
        assert_eq!(flat_lines(&record), "user: a b\nn: 1.5\nlist: []\ndeep.0.x: true");
        assert_eq!(flat_lines(&json!("x")), ": x");
        assert_eq!(flat_lines(&json!({})), ": {}");
    }
}
