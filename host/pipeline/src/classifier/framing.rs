//! Where one input ends and the next begins: a document on a line, a document over many lines, documents without
//! anything between them, and whatever is none of these, line by line.

use crate::config::schema::{LogType, Parser};
use crate::limits::TEXT_INPUT_BYTES_MAX;
use memchr::{memchr, memrchr};
use serde::de::IgnoredAny;
use streamalert_formats::{csv, syslog, windows_event};

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Framed {
    /// A JSON value of this many bytes.
    Value(usize),
    /// No JSON: this many bytes are one bad input.
    Bad { length: usize, message: String },
    /// The beginning of a JSON value; the rest is not here.
    Cut { message: String },
}

/// How the inputs of a source are divided, which depends on the log types it may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// The first line of an object, or its last line that begins with `#Fields:`, says what stands where in the others and
    /// must travel with every payload as its `head`.
    pub header: bool,
    /// Rows of CSV, in which a newline between quotes divides nothing.
    pub csv: Option<csv::Dialect>,
    /// What quotes them.
    pub quote: u8,
    /// An input may be an XML element over many lines.
    pub xml: bool,
    /// An input may say its length before it.
    pub syslog: bool,
    /// An input may be a line of another format than JSON.
    pub text: bool,
    /// A component reads the object, and must have it whole.
    pub whole: bool,
}

impl Framing {
    pub fn of<'a>(types: impl Iterator<Item = &'a std::sync::Arc<LogType>>) -> Framing {
        let mut framing = Framing::default();
        for log_type in types {
            let text = &log_type.options.text;
            match log_type.parser {
                // Rows within JSON are no lines.
                _ if log_type.options.json_path.is_some() => {}
                Parser::Csv => {
                    framing.header |= text.header;
                    if framing.csv.is_none() {
                        framing.csv = Some(super::text::csv_dialect(text));
                        framing.quote = text.quote.unwrap_or('"') as u8;
                    }
                    framing.text = true;
                }
                Parser::Space => {
                    framing.header |= text.header;
                    framing.text = true;
                }
                Parser::W3c => {
                    framing.header = true;
                    framing.text = true;
                }
                Parser::WindowsEvent => {
                    framing.xml = true;
                    framing.text = true;
                }
                Parser::Syslog => {
                    framing.syslog = true;
                    framing.text = true;
                }
                Parser::Json => {}
                _ => framing.text = true,
            }
        }
        framing
    }
}

/// Looks at bytes that begin with no white space.
pub(super) fn frame(bytes: &[u8]) -> Framed {
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    match stream.next() {
        Some(Ok(_)) => {
            let end = stream.byte_offset();
            // `12abc` is no number followed by something: what is glued to a scalar belongs to it.
            if matches!(bytes[0], b'{' | b'[') || bytes.get(end).is_none_or(u8::is_ascii_whitespace) {
                return Framed::Value(end);
            }
            let length = line_end(bytes, 0);
            Framed::Bad { length, message: "not JSON: a bare text or number".to_owned() }
        }
        Some(Err(error)) if error.is_eof() => Framed::Cut { message: "ends in the middle of a JSON value".to_owned() },
        Some(Err(error)) => {
            let message = error.to_string();
            let mut length = line_end(bytes, 0);
            // The fault lies beyond the first line: the value was laid out over several. What still looks like the inside
            // of one goes with it, so that one broken document is one loss.
            if error.line() > 1 && matches!(bytes[0], b'{' | b'[') {
                let mut line = 1;
                while length < bytes.len() {
                    let next = length + 1;
                    let inner = matches!(bytes.get(next), Some(b' ' | b'\t' | b'}' | b']' | b'"' | b'\r'));
                    if line >= error.line() && !inner {
                        break;
                    }
                    if !inner && matches!(bytes.get(next), Some(b'{' | b'[')) {
                        break;
                    }
                    length = line_end(bytes, next.min(bytes.len()));
                    line += 1;
                }
            }
            Framed::Bad { length, message: format!("not JSON: {message}") }
        }
        None => Framed::Bad { length: bytes.len(), message: "empty".to_owned() },
    }
}

/// The beginning of a document that was cut off, up to the last item that is whole of the outermost list it was cut off in.
#[derive(Debug, PartialEq)]
pub(super) struct WholeItems {
    /// Bytes of it.
    pub length: usize,
    /// Objects and lists that are open there: objects within one another, and the list in the innermost.
    pub open: usize,
}

/// Looks at a document that is JSON as far as it goes. `None`: it was cut off in no list, or before an item was whole.
pub(super) fn whole_items(json: &[u8]) -> Option<WholeItems> {
    let mut open: Vec<u8> = Vec::new();
    // How many were open within the outermost list that is open, it included; and the end of its last item.
    let mut list: Option<usize> = None;
    let mut end = None;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while json.get(at).is_some_and(|byte| *byte != b'"') {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                if list == Some(open.len()) && at < json.len() {
                    end = Some(at + 1);
                }
            }
            b'{' | b'[' => {
                open.push(*byte);
                if *byte == b'[' && list.is_none() {
                    list = Some(open.len());
                    end = None;
                }
            }
            b'}' | b']' => {
                open.pop();
                match list {
                    Some(level) if open.len() < level => list = None,
                    Some(level) if open.len() == level => end = Some(at + 1),
                    _ => {}
                }
            }
            _ => {}
        }
        at += 1;
    }
    Some(WholeItems { open: list?, length: end? })
}

/// Whether some bytes are the beginning of a document, cut off behind whole items of a list: these may be records.
pub fn holds_whole_items(bytes: &[u8]) -> bool {
    let first = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let bytes = &bytes[first..];
    matches!(bytes.first(), Some(b'{' | b'['))
        && matches!(frame(bytes), Framed::Cut { .. })
        && whole_items(bytes).is_some()
}

/// How many objects and lists stand inside one another at most.
pub(super) fn depth(json: &[u8]) -> usize {
    let (mut now, mut most, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Where the line that goes through `from` ends, its newline not included.
pub(super) fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at)
}

/// How many leading bytes hold only complete inputs, so that a stream can be cut there. 0: none is complete yet.
pub fn complete_inputs(bytes: &[u8], framing: &Framing) -> usize {
    if framing.whole {
        return 0;
    }
    let first = bytes.iter().position(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b));
    match first.map(|at| (at, bytes[at])) {
        Some((at, first)) if framing.text && !matches!(first, b'{' | b'[') => complete_texts(bytes, at, framing),
        _ => complete_documents(bytes),
    }
}

fn complete_texts(bytes: &[u8], at: usize, framing: &Framing) -> usize {
    if framing.xml && bytes[at] == b'<' && !bytes[at + 1..].first().is_some_and(u8::is_ascii_digit) {
        return windows_event::complete(bytes);
    }
    if framing.syslog && bytes[at].is_ascii_digit() {
        let mut end = at;
        while let Some((start, length)) = bytes.get(end..).and_then(syslog::frame) {
            end += start + length;
            while bytes.get(end).is_some_and(u8::is_ascii_whitespace) {
                end += 1;
            }
        }
        // A count whose message is not all here yet.
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let counts = digits <= 7 && bytes[at + digits..].starts_with(b" <");
        if end > at || (counts && bytes.len() <= TEXT_INPUT_BYTES_MAX) {
            return if end > at { end } else { 0 };
        }
    }
    let lines = memrchr(b'\n', bytes).map_or(0, |newline| newline + 1);
    match &framing.csv {
        Some(dialect) => match csv::last_row_end(bytes, dialect) {
            // A quote that nobody closes must not take everything behind it along.
            0 if bytes.len() > TEXT_INPUT_BYTES_MAX => lines,
            end => end,
        },
        None => lines,
    }
}

/// `}` or `]`, white space with a newline, `{` or `[`: that stands in no JSON value, so between them one ends.
fn complete_documents(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    // A line of another kind at the very end must not make us scan everything: look back over a few newlines.
    for _ in 0..8 {
        let Some(newline) = memrchr(b'\n', &bytes[..end]) else { break };
        let before = bytes[..newline].iter().rev().find(|b| !b.is_ascii_whitespace());
        let after = bytes[newline..].iter().find(|b| !b.is_ascii_whitespace());
        if matches!(before, Some(b'}' | b']')) && matches!(after, Some(b'{' | b'[')) {
            return newline + 1;
        }
        end = newline;
    }
    complete_by_scan(bytes)
}

fn complete_by_scan(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut complete = 0;
    loop {
        while at < bytes.len() && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if at >= bytes.len() {
            return if at > complete && bytes[complete..].contains(&b'\n') { at } else { complete };
        }
        let length = match frame(&bytes[at..]) {
            Framed::Value(length) => length,
            Framed::Bad { length, .. } => length,
            Framed::Cut { .. } => return complete,
        };
        at += length;
        // A scalar or a bad line is complete only with its newline; an object or list by itself.
        if at < bytes.len() || matches!(bytes.get(at.wrapping_sub(1)), Some(b'}' | b']')) {
            complete = at;
        } else {
            return complete;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_between_inputs_only() {
        let check = |text: &str, expected: &str| {
            assert_eq!(&text[..complete_inputs(text.as_bytes(), &Framing::default())], expected, "{text:?}");
        };
        check("{\"a\":1}\n{\"b\":2}\n{\"c\"", "{\"a\":1}\n{\"b\":2}\n");
        check("{\"a\":1}{\"b\":2}{\"c\"", "{\"a\":1}{\"b\":2}");
        check("{\n \"a\": 1\n}\n{\n \"b\"", "{\n \"a\": 1\n}\n");
        check("[\n{\"a\":1},\n{\"b\":2}\n", "");
        check("{\"text\": \"}\\n{", "");
        check("plain line\nanother\nhalf", "plain line\nanother");
        check("{\"a\": 1, \"b\n{\"c\":1}\n{\"d\":", "{\"a\": 1, \"b\n{\"c\":1}\n");
        check("", "");
        check("{\"a\":1}\n", "{\"a\":1}\n");
    }

    #[test]
    fn texts_are_cut_at_lines_rows_frames_and_elements() {
        let check = |framing: Framing, text: &str, expected: &str| {
            let framing = Framing { text: true, ..framing };
            assert_eq!(&text[..complete_inputs(text.as_bytes(), &framing)], expected, "{text:?}");
        };
        check(Framing::default(), "one\ntwo\nthr", "one\ntwo\n");
        check(Framing::default(), "{\"a\":1}\n{\"b\"", "{\"a\":1}\n");
        let csv = Framing { csv: Some(csv::Dialect::default()), quote: b'"', ..Framing::default() };
        check(csv, "a,\"b\nc\"\nd,\"e\n", "a,\"b\nc\"\n");
        check(csv, "a,\"b\nc", "");
        let syslog = Framing { syslog: true, ..Framing::default() };
        check(syslog, "8 <34>1 ab9 <34>1 a", "8 <34>1 ab");
        check(syslog, "<34>one\n<34>tw", "<34>one\n");
        check(syslog, "20 <34>1 two\nlin", "");
        let xml = Framing { xml: true, ..Framing::default() };
        check(xml, "<Event>\n<a/>\n</Event>\n<Event>\n<a", "<Event>\n<a/>\n</Event>");
    }

    #[test]
    fn whole_items_of_the_outermost_list_are_found_before_a_cut() {
        let check = |text: &str, expected: Option<(&str, usize)>| {
            let found = whole_items(text.as_bytes()).map(|found| (&text[..found.length], found.open));
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"a":[{"b":1},{"c":[{"d":1},{"#, Some((r#"{"a":[{"b":1}"#, 2)));
        check(r#"[{"b":1}, "x\"[{", 12"#, Some((r#"[{"b":1}, "x\"[{""#, 1)));
        check(r#"{"z":[{}],"a":{"l":[[{}],[{"#, Some((r#"{"z":[{}],"a":{"l":[[{}]"#, 3)));
        check(r#"{"a":[{"b":1},{"c":2}"#, Some((r#"{"a":[{"b":1},{"c":2}"#, 2)));
        for none in
            ["{\"a\":", "{\"a\":[", "{\"a\":[{\"l\":[{}", "{\"a\":[{}],\"b\":", "[1,2", "[\"x", "[\"x\\", "", "]"]
        {
            check(none, None);
        }
    }

    #[test]
    fn a_broken_document_is_one_loss_and_its_neighbours_none() {
        let text = b"{\n  \"a\": 1,\n  \"b\": oops,\n  \"c\": {\n  }\n}\n{\"fine\": 1}";
        match frame(text) {
            Framed::Bad { length, .. } => assert_eq!(&text[length..], b"\n{\"fine\": 1}"),
            other => panic!("{other:?}"),
        }
        let text = b"{\"a\": \"cut off\n{\"fine\": 1}";
        match frame(text) {
            Framed::Bad { length, .. } => assert_eq!(&text[length..], b"\n{\"fine\": 1}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(frame(b"{\"a\":1}{"), Framed::Value(7));
        assert!(matches!(frame(b"hello {\"a\":1}"), Framed::Bad { length: 13, .. }));
        assert!(matches!(frame(b"12abc"), Framed::Bad { length: 5, .. }));
        assert!(matches!(frame(b"{\"a\":"), Framed::Cut { .. }));
    }
}
