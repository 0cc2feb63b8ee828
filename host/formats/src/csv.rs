//! Rows of comma- (or otherwise) separated values.
//!
//! [`row`] takes one row off the front of a text. A cell that stands there as it is costs two offsets; only a cell with
//! doubled quotes or escapes is written out, into a buffer that the caller reuses. RFC 4180, with what Python's reader
//! also accepts: cells keep their spaces, a quote only opens a cell at its very start, text after a closing quote belongs
//! to the cell, and a quote still open at the end of the text closes there. Rows end with `\n` or `\r\n`; a `\r` elsewhere
//! is text.
//!
//! ```
//! use streamalert_formats::csv::{Cells, Dialect, row};
//! let (dialect, mut cells) = (Dialect::default(), Cells::default());
//! let mut rest = "1,ann\n2,\"b, \"\"bob\"\"\"\n";
//! let mut seen = Vec::new();
//! while !rest.is_empty() {
//!     let end = row(rest, &dialect, &mut cells);
//!     seen.push(cells.iter(rest).map(String::from).collect::<Vec<_>>());
//!     rest = &rest[end..];
//! }
//! assert_eq!(seen, [["1", "ann"], ["2", "b, \"bob\""]]);
//! ```

use crate::Fault;
use crate::scan::{hits, near, near2};
use memchr::{memchr, memchr2, memchr3, memrchr};
use std::borrow::Cow;

/// The three characters that mean something. All ASCII, so that cells are always cut between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None }
    }
}

impl Dialect {
    /// `quote: None` is for formats in which quotes are text. Doubled quotes are understood with and without `escape`.
    pub fn new(delimiter: char, quote: Option<char>, escape: Option<char>) -> Result<Self, Fault> {
        let sign = |name: &str, sign: char| match u8::try_from(sign) {
            Ok(b'\n' | b'\r') => Err(Fault::new(format!("the csv {name} cannot be a line break"))),
            Ok(byte) if byte.is_ascii() => Ok(byte),
            _ => Err(Fault::new(format!("the csv {name} must be one ASCII character, not {sign:?}"))),
        };
        let delimiter = sign("delimiter", delimiter)?;
        let quote = quote.map(|quote| sign("quote", quote)).transpose()?;
        // An escape that is the quote itself says that quotes are doubled, which is understood anyway.
        let escape =
            escape.map(|escape| sign("escape", escape)).transpose()?.filter(|_| escape != quote.map(char::from));
        if quote == Some(delimiter) || escape == Some(delimiter) {
            return Err(Fault::new(format!(
                "the csv delimiter {:?} cannot be the quote or the escape as well",
                char::from(delimiter)
            )));
        }
        Ok(Dialect { delimiter, quote, escape })
    }
}

/// Set in the start of a cell that was written out.
const WRITTEN: usize = 1 << (usize::BITS - 1);

/// Where the cells of one row are. Made once, filled again for every row.
#[derive(Debug, Default)]
pub struct Cells {
    /// Start and end, in the text of the row, or in `written` if the start says [`WRITTEN`].
    spans: Vec<(usize, usize)>,
    written: String,
    /// A quote was still open where the text ended: the last cell is all that there was.
    pub unterminated: bool,
}

impl Cells {
    /// An empty line has none.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// `text` is what [`row`] was given.
    pub fn get<'c>(&'c self, text: &'c str, index: usize) -> Option<&'c str> {
        self.spans.get(index).and_then(|span| self.cell(text, *span))
    }

    /// For a record that outlives the next row: borrowed from the text, or copied if it had to be written out.
    pub fn cow<'t>(&self, text: &'t str, index: usize) -> Option<Cow<'t, str>> {
        let (start, end) = *self.spans.get(index)?;
        if start & WRITTEN == 0 {
            text.get(start..end).map(Cow::Borrowed)
        } else {
            self.cell(text, (start, end)).map(|cell| Cow::Owned(cell.to_owned()))
        }
    }

    pub fn iter<'c>(&'c self, text: &'c str) -> impl ExactSizeIterator<Item = &'c str> {
        self.spans.iter().map(move |span| self.cell(text, *span).unwrap_or_default())
    }

    fn cell<'c>(&'c self, text: &'c str, (start, end): (usize, usize)) -> Option<&'c str> {
        if start & WRITTEN == 0 { text.get(start..end) } else { self.written.get(start & !WRITTEN..end) }
    }
}

/// Reads the row at the start of `text` and says how many bytes it took, with its line break: never 0, unless there is no text.
pub fn row(text: &str, dialect: &Dialect, cells: &mut Cells) -> usize {
    cells.spans.clear();
    cells.written.clear();
    cells.unterminated = false;
    match plain_end(text.as_bytes(), dialect) {
        Some((end, next)) => {
            if end > 0 {
                split(&text.as_bytes()[..end], dialect.delimiter, &mut cells.spans);
            }
            next
        }
        None => quoted_row(text, dialect, cells),
    }
}

/// End of the row without and with its line break, if nothing in it could be quoted or escaped.
fn plain_end(bytes: &[u8], dialect: &Dialect) -> Option<(usize, usize)> {
    let found = match (dialect.quote, dialect.escape) {
        (Some(quote), None) => memchr2(b'\n', quote, bytes),
        (Some(quote), Some(escape)) => memchr3(b'\n', quote, escape, bytes),
        (None, Some(escape)) => memchr2(b'\n', escape, bytes),
        (None, None) => memchr(b'\n', bytes),
    };
    let (end, next) = match found {
        Some(at) if bytes[at] == b'\n' => (at, at + 1),
        Some(_) => return None,
        None => (bytes.len(), bytes.len()),
    };
    Some((end - usize::from(end > 0 && bytes[end - 1] == b'\r'), next))
}

/// Eight bytes at a time: cells are short, and a search call for each would cost more than the search.
fn split(row: &[u8], delimiter: u8, spans: &mut Vec<(usize, usize)>) {
    let mut start = 0;
    let mut at = 0;
    let mut chunks = row.chunks_exact(8);
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        let mut hits = hits(eight, delimiter);
        while hits != 0 {
            let end = at + hits.trailing_zeros() as usize / 8;
            spans.push((start, end));
            start = end + 1;
            hits &= hits - 1;
        }
        at += 8;
    }
    for &byte in chunks.remainder() {
        if byte == delimiter {
            spans.push((start, at));
            start = at + 1;
        }
        at += 1;
    }
    spans.push((start, row.len()));
}

/// What ended a cell: a line break is still to be counted.
enum Stop {
    Delimiter,
    Row { next: usize },
}

fn quoted_row(text: &str, dialect: &Dialect, cells: &mut Cells) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let (span, end, stop) = cell(text, at, dialect, cells);
        cells.spans.push(span);
        match stop {
            Stop::Delimiter => at = end + 1,
            Stop::Row { next } => {
                debug_assert!(next <= bytes.len());
                return next;
            }
        }
    }
}

/// The cell at `start`: where its text is, where it ends, and by what.
fn cell(text: &str, start: usize, dialect: &Dialect, cells: &mut Cells) -> ((usize, usize), usize, Stop) {
    let bytes = text.as_bytes();
    let written = cells.written.len();
    // What of the text is taken but not yet written starts here; a cell in one stretch is never written.
    let mut from = start;
    let mut at = start;
    if let Some(quote) = dialect.quote.filter(|quote| bytes.get(start) == Some(quote)) {
        from = start + 1;
        at = from;
        loop {
            let found = match dialect.escape {
                None => near(quote, &bytes[at..]),
                Some(escape) => memchr2(quote, escape, &bytes[at..]),
            };
            let Some(found) = found.map(|found| at + found) else {
                cells.unterminated = true;
                return (finish(text, from, bytes.len(), written, cells), bytes.len(), Stop::Row { next: bytes.len() });
            };
            if bytes[found] != quote {
                at = escaped(text, &mut from, found, cells);
            } else if bytes.get(found + 1) == Some(&quote) {
                cells.written.push_str(&text[from..found + 1]);
                from = found + 2;
                at = from;
            } else if let Some(stop) = stop_at(bytes, found + 1, dialect) {
                return (finish(text, from, found, written, cells), found + 1, stop);
            } else {
                cells.written.push_str(&text[from..found]);
                from = found + 1;
                at = from;
                break;
            }
        }
    }
    loop {
        let found = match dialect.escape {
            None => near2(dialect.delimiter, b'\n', &bytes[at..]),
            Some(escape) => memchr3(dialect.delimiter, b'\n', escape, &bytes[at..]),
        };
        let mut end = found.map_or(bytes.len(), |found| at + found);
        if end < bytes.len() && dialect.escape == Some(bytes[end]) {
            at = escaped(text, &mut from, end, cells);
            continue;
        }
        let delimited = end < bytes.len() && bytes[end] == dialect.delimiter;
        let stop = if delimited { Stop::Delimiter } else { Stop::Row { next: (end + 1).min(bytes.len()) } };
        if !delimited && end > at && bytes[end - 1] == b'\r' {
            end -= 1;
        }
        return (finish(text, from, end, written, cells), end, stop);
    }
}

/// Steps over the escape at `found`: the character after it is text, whatever it is. The last one of all has nothing to
/// escape and is text itself.
fn escaped(text: &str, from: &mut usize, found: usize, cells: &mut Cells) -> usize {
    match text[found + 1..].chars().next() {
        Some(character) => {
            cells.written.push_str(&text[*from..found]);
            *from = found + 1;
            found + 1 + character.len_utf8()
        }
        None => found + 1,
    }
}

fn stop_at(bytes: &[u8], at: usize, dialect: &Dialect) -> Option<Stop> {
    match bytes.get(at) {
        None => Some(Stop::Row { next: at }),
        Some(b'\n') => Some(Stop::Row { next: at + 1 }),
        Some(b'\r') if at + 1 == bytes.len() => Some(Stop::Row { next: at + 1 }),
        Some(b'\r') if bytes[at + 1] == b'\n' => Some(Stop::Row { next: at + 2 }),
        Some(byte) if *byte == dialect.delimiter => Some(Stop::Delimiter),
        Some(_) => None,
    }
}

fn finish(text: &str, from: usize, end: usize, written: usize, cells: &mut Cells) -> (usize, usize) {
    if cells.written.len() == written {
        // Quotes and escapes were at most in front: the rest stands there in one stretch.
        return (from, end);
    }
    cells.written.push_str(&text[from..end]);
    (written | WRITTEN, cells.written.len())
}

/// Where the row at the start ends, with its line break. None: it may go on in bytes that are not here yet.
pub fn row_end(bytes: &[u8], dialect: &Dialect) -> Option<usize> {
    if let Some((_, next)) = plain_end(bytes, dialect) {
        return (next > 0 && bytes[next - 1] == b'\n').then_some(next);
    }
    let mut at = 0;
    loop {
        // At the start of a cell.
        if let Some(quote) = dialect.quote.filter(|quote| bytes.get(at) == Some(quote)) {
            at += 1;
            loop {
                at += match dialect.escape {
                    None => memchr(quote, bytes.get(at..)?),
                    Some(escape) => memchr2(quote, escape, bytes.get(at..)?),
                }?;
                if bytes[at] != quote || bytes.get(at + 1) == Some(&quote) {
                    at += 2;
                } else {
                    at += 1;
                    break;
                }
            }
        }
        loop {
            at += match dialect.escape {
                None => memchr2(dialect.delimiter, b'\n', bytes.get(at..)?),
                Some(escape) => memchr3(dialect.delimiter, b'\n', escape, bytes.get(at..)?),
            }?;
            if bytes[at] == b'\n' {
                return Some(at + 1);
            }
            if bytes[at] == dialect.delimiter {
                at += 1;
                break;
            }
            at += 2;
        }
    }
}

/// How many leading bytes are whole rows. What follows is the start of a row that ends in bytes not here yet.
pub fn last_row_end(bytes: &[u8], dialect: &Dialect) -> usize {
    let special = match (dialect.quote, dialect.escape) {
        (Some(quote), Some(escape)) => memchr2(quote, escape, bytes),
        (Some(sign), None) | (None, Some(sign)) => memchr(sign, bytes),
        (None, None) => None,
    };
    let Some(special) = special else {
        return memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    };
    // Rows before the first quote need no reading.
    let mut end = memrchr(b'\n', &bytes[..special]).map_or(0, |at| at + 1);
    while let Some(row) = row_end(&bytes[end..], dialect) {
        end += row;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::vectors;

    fn rows(text: &str, dialect: &Dialect) -> Vec<Vec<String>> {
        let mut cells = Cells::default();
        let mut rest = text;
        let mut rows = Vec::new();
        while !rest.is_empty() {
            let end = row(rest, dialect, &mut cells);
            assert!(end > 0, "no progress in {rest:?}");
            rows.push(cells.iter(rest).map(String::from).collect());
            rest = &rest[end..];
        }
        rows
    }

    fn check(text: &str, expected: &[&[&str]]) {
        check_as(text, &Dialect::default(), expected);
    }

    fn check_as(text: &str, dialect: &Dialect, expected: &[&[&str]]) {
        assert_eq!(rows(text, dialect), expected, "{text:?}");
    }

    fn dialect(delimiter: char, quote: char, escape: Option<char>) -> Dialect {
        Dialect::new(delimiter, Some(quote), escape).unwrap()
    }

    #[test]
    fn plain_rows() {
        check("x,1,hello", &[&["x", "1", "hello"]]);
        check("x,1,a\ny,2,b\n", &[&["x", "1", "a"], &["y", "2", "b"]]);
        check("x,1,a\r\ny,2,b\r\n", &[&["x", "1", "a"], &["y", "2", "b"]]);
        check("x,1,a\r", &[&["x", "1", "a"]]);
        check("a\rb,c\n", &[&["a\rb", "c"]]);
        check(",,", &[&["", "", ""]]);
        check(" a , b ", &[&[" a ", " b "]]);
        check("äö,ü,日本語,🦀\n", &[&["äö", "ü", "日本語", "🦀"]]);
        check("x,1,a\u{0}b", &[&["x", "1", "a\u{0}b"]]);
        check(
            "2019/10/31 11:05:16,0011C103117,TRAFFIC,end,2049,10.0.0.7,1.1.1.1,0.0.0.0,allow-all,,,dns,vsys1",
            &[&[
                "2019/10/31 11:05:16",
                "0011C103117",
                "TRAFFIC",
                "end",
                "2049",
                "10.0.0.7",
                "1.1.1.1",
                "0.0.0.0",
                "allow-all",
                "",
                "",
                "dns",
                "vsys1",
            ]],
        );
    }

    #[test]
    fn an_empty_line_has_no_cells() {
        check("", &[]);
        check("\n", &[&[]]);
        check("\r\n", &[&[]]);
        check("x,1,a\n\ny", &[&["x", "1", "a"], &[], &["y"]]);
    }

    #[test]
    fn quotes() {
        check("x,1,\"a, b\"", &[&["x", "1", "a, b"]]);
        check("x,1,\"a \"\"b\"\"\"", &[&["x", "1", "a \"b\""]]);
        check("\"\"\"\"\"\",\"\"\n", &[&["\"\"", ""]]);
        check("x,\"a\nb\",c\ny\n", &[&["x", "a\nb", "c"], &["y"]]);
        check("x,\"a\r\nb\"\r\ny,\"z\"\r\n", &[&["x", "a\r\nb"], &["y", "z"]]);
        check("\"x\"\r", &[&["x"]]);
        check("a,\"\"\"é\"\"\",ü\n", &[&["a", "\"é\"", "ü"]]);
    }

    #[test]
    fn quotes_where_they_should_not_be_are_text() {
        check("5\" pipe,a \"b\" c\n", &[&["5\" pipe", "a \"b\" c"]]);
        check("x, \"a\",b\n", &[&["x", " \"a\"", "b"]]);
        check("\"a\"b,c\n", &[&["ab", "c"]]);
        check("\"a\"b\"\",c\nd\n", &[&["ab\"\"", "c"], &["d"]]);
        check("\"a\" ,b\n", &[&["a ", "b"]]);
        check("\"a\"\rb,c\n", &[&["a\rb", "c"]]);
        check("\"a\"b\r\nc", &[&["ab"], &["c"]]);
    }

    #[test]
    fn an_open_quote_closes_with_the_text() {
        let mut cells = Cells::default();
        let text = "x,\"a,b\nc";
        assert_eq!(row(text, &Dialect::default(), &mut cells), text.len());
        assert!(cells.unterminated);
        assert_eq!(cells.iter(text).collect::<Vec<_>>(), ["x", "a,b\nc"]);
        assert_eq!(row("x,\"a\"", &Dialect::default(), &mut cells), 5);
        assert!(!cells.unterminated);
        check("\"", &[&[""]]);
        check("a,\"b\"\"", &[&["a", "b\""]]);
    }

    #[test]
    fn other_signs() {
        check_as("x|1|a", &dialect('|', '"', None), &[&["x", "1", "a"]]);
        check_as("x\t1\ta", &dialect('\t', '"', None), &[&["x", "1", "a"]]);
        check_as("x,'a, b','it''s'", &dialect(',', '\'', None), &[&["x", "a, b", "it's"]]);
        check_as("x,1,'it\\'s'", &dialect(',', '\'', Some('\\')), &[&["x", "1", "it's"]]);
        check_as(r#"a,"say \"hi\" \\ ok",b"#, &dialect(',', '"', Some('\\')), &[&["a", r#"say "hi" \ ok"#, "b"]]);
        check_as("a\\,b,c\\\nd,\\é\n", &dialect(',', '"', Some('\\')), &[&["a,b", "c\nd", "é"]]);
        check_as("a\\", &dialect(',', '"', Some('\\')), &[&["a\\"]]);
        check_as("\"a\\", &dialect(',', '"', Some('\\')), &[&["a\\"]]);
        check_as("\"a\"\"b\"", &dialect(',', '"', Some('"')), &[&["a\"b"]]);
        check_as("\"a,b\"\n", &Dialect::new(',', None, None).unwrap(), &[&["\"a", "b\""]]);
        check_as("a\\,b\n", &Dialect::new(',', None, Some('\\')).unwrap(), &[&["a,b"]]);
    }

    #[test]
    fn signs_that_cannot_be() {
        for (delimiter, quote, escape, message) in [
            ('§', '"', None, "the csv delimiter must be one ASCII character, not '§'"),
            ('\n', '"', None, "the csv delimiter cannot be a line break"),
            (',', ',', None, "the csv delimiter ',' cannot be the quote or the escape as well"),
            (',', '"', Some('→'), "the csv escape must be one ASCII character, not '→'"),
        ] {
            assert_eq!(Dialect::new(delimiter, Some(quote), escape), Err(Fault::new(message)));
        }
    }

    #[test]
    fn what_streamalert_parsed_is_parsed_the_same() {
        for vector in vectors("csv/") {
            let setting =
                |name: &str| vector.options["configuration"][name].as_str().and_then(|text| text.parse().ok());
            let dialect = Dialect::new(
                setting("delimiter").unwrap_or(','),
                Some(setting("quotechar").unwrap_or('"')),
                setting("escapechar"),
            );
            let rows = rows(&vector.data, &dialect.unwrap());
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), String::from);
            for record in
                vector.result["valid"].as_array().into_iter().flatten().filter_map(|record| record.as_object())
            {
                if !record.values().any(serde_json::Value::is_object) {
                    let cells: Vec<String> = record.values().map(text).collect();
                    assert!(rows.contains(&cells), "{}: {cells:?} is not in {rows:?}", vector.id);
                }
            }
            for row in vector.result["invalid"].as_array().into_iter().flatten().filter_map(|record| record.as_array())
            {
                let cells: Vec<String> = row.iter().map(text).collect();
                assert!(rows.contains(&cells), "{}: {cells:?} is not in {rows:?}", vector.id);
            }
        }
    }

    #[test]
    fn only_what_was_unescaped_is_copied() {
        let text = "a,\"b\",\"c\"\"d\"";
        let mut cells = Cells::default();
        row(text, &Dialect::default(), &mut cells);
        assert!(matches!(cells.cow(text, 0), Some(Cow::Borrowed("a"))));
        assert!(matches!(cells.cow(text, 1), Some(Cow::Borrowed("b"))));
        assert!(matches!(cells.cow(text, 2), Some(Cow::Owned(cell)) if cell == "c\"d"));
        assert_eq!(cells.get(text, 2), Some("c\"d"));
        assert_eq!((cells.cow(text, 3), cells.len()), (None, 3));
    }

    #[test]
    fn a_stream_is_cut_between_rows() {
        let dialect = Dialect::default();
        for (bytes, first, last) in [
            ("", None, 0),
            ("a,b", None, 0),
            ("a,b\nc", Some(4), 4),
            ("a,\"b\nc\"", None, 0),
            ("a,\"b\nc\"\nd,e\nf,\"", Some(8), 12),
            ("a\n\"b\n\"\nc", Some(2), 7),
            ("a\nb\"c\nd", Some(2), 6),
            ("\"a\"\"\nb\"\n", Some(8), 8),
            ("\"a\"", None, 0),
            ("\n\n", Some(1), 2),
        ] {
            assert_eq!(row_end(bytes.as_bytes(), &dialect), first, "{bytes:?}");
            assert_eq!(last_row_end(bytes.as_bytes(), &dialect), last, "{bytes:?}");
        }
        let dialect = self::dialect(',', '"', Some('\\'));
        assert_eq!(row_end(b"a\\\nb\n", &dialect), Some(5));
        assert_eq!(row_end(b"\"\\\"\n\"\n", &dialect), Some(6));
        assert_eq!(row_end(b"\"\\", &dialect), None);
        assert_eq!(last_row_end(b"x\na\\", &dialect), 2);
    }

    /// Texts over the few characters that matter, from a fixed seed.
    fn texts(alphabet: &[&str], count: usize) -> impl Iterator<Item = String> {
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let alphabet: Vec<String> = alphabet.iter().map(|piece| String::from(*piece)).collect();
        (0..count).map(move |length| {
            (0..length % 14)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    alphabet[(seed >> 33) as usize % alphabet.len()].as_str()
                })
                .collect()
        })
    }

    /// The reader of the csv-core crate as a second opinion. It drops empty lines, and so does this comparison.
    fn opinion(text: &str, escape: Option<u8>) -> Vec<Vec<String>> {
        let mut reader =
            csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).escape(escape).build();
        let (mut out, mut ends) = ([0; 256], [0; 64]);
        let mut bytes = text.as_bytes();
        let mut rows = Vec::new();
        let (mut written, mut count) = (0, 0);
        loop {
            let (result, read, wrote, ended) = reader.read_record(bytes, &mut out[written..], &mut ends[count..]);
            bytes = &bytes[read..];
            written += wrote;
            count += ended;
            match result {
                csv_core::ReadRecordResult::Record => {
                    let mut start = 0;
                    let cell = |end: &usize| {
                        let cell = String::from_utf8_lossy(&out[start..*end]).into_owned();
                        start = *end;
                        cell
                    };
                    rows.push(ends[..count].iter().map(cell).collect());
                    (written, count) = (0, 0);
                }
                csv_core::ReadRecordResult::End => return rows,
                csv_core::ReadRecordResult::InputEmpty => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn agrees_with_a_second_reader() {
        for text in texts(&["a", "bc", ",", "\"", "\n", "é", ",\"", "\",", "\"\"", "0123456789"], 40_000) {
            let ours: Vec<_> = rows(&text, &Dialect::default()).into_iter().filter(|row| !row.is_empty()).collect();
            assert_eq!(ours, opinion(&text, None), "{text:?}");
        }
    }

    #[test]
    fn rows_and_their_ends_agree() {
        for dialect in [Dialect::default(), dialect(',', '"', Some('\\')), Dialect::new(',', None, Some('\\')).unwrap()]
        {
            let mut cells = Cells::default();
            for text in texts(&["a", ",", "\"", "\n", "\r\n", "\r", "\\", "é", "\"\""], 40_000) {
                let end = row(&text, &dialect, &mut cells);
                assert!(text.is_char_boundary(end));
                match row_end(text.as_bytes(), &dialect) {
                    Some(cut) => assert_eq!(cut, end, "{text:?}"),
                    None => assert_eq!(end, text.len(), "{text:?}"),
                }
                let mut whole = 0;
                while let Some(next) = row_end(&text.as_bytes()[whole..], &dialect) {
                    whole += next;
                }
                assert_eq!(last_row_end(text.as_bytes(), &dialect), whole, "{text:?}");
            }
        }
    }
}
