//! The W3C extended log format: IIS, CloudFront, and others. A `#Fields:` line names the cells of the lines after it.

use crate::{Fault, Fields, Value, excerpt, without_line_break};
use memchr::memchr;
use std::borrow::Cow;

/// Directives begin so; they are not records.
pub fn is_directive(line: &str) -> bool {
    line.strip_prefix('\u{feff}').unwrap_or(line).starts_with('#')
}

/// The names of the cells, as the file writes them: `cs(User-Agent)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub names: Vec<String>,
}

impl Header {
    const DIRECTIVE: &str = "#fields:";

    /// Reads a `#Fields:` line. Other directives are a fault: `#Version` and `#Date` say nothing about cells.
    pub fn parse(line: &str) -> Result<Header, Fault> {
        let line = without_line_break(line);
        let text = line.strip_prefix('\u{feff}').unwrap_or(line);
        let names = match text.get(..Self::DIRECTIVE.len()) {
            Some(directive) if directive.eq_ignore_ascii_case(Self::DIRECTIVE) => &text[Self::DIRECTIVE.len()..],
            _ => return Err(Fault::new(format!("not a #Fields: line: {}", excerpt(line)))),
        };
        let names: Vec<String> = names.split_ascii_whitespace().map(String::from).collect();
        if names.is_empty() {
            return Err(Fault::new("the #Fields: line names no fields"));
        }
        Ok(Header { names })
    }
}

/// Appends the cells of one line under the names of the header. Cells stand between tabs if the line has tabs, else between
/// blanks. `-` is nothing; `"…"` is one cell, with `""` for a quote in it; percent signs and plus signs are left alone.
pub fn parse<'a>(header: &'a Header, line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    if is_directive(line) {
        return Err(Fault::new(format!("a directive, not a record: {}", excerpt(line))));
    }
    let line = without_line_break(line);
    let tabs = memchr(b'\t', line.as_bytes()).is_some();
    let mut names = header.names.iter();
    let mut cells = Cells { line, at: 0, separator: if tabs { b'\t' } else { b' ' }, quotes: true };
    let mut count = 0;
    while let Some(cell) = cells.next() {
        count += 1;
        if let Some(name) = names.next() {
            out.push((Cow::Borrowed(name), if cell == "-" { Value::Null } else { Value::Text(cell) }));
        }
    }
    if count == header.names.len() {
        return Ok(());
    }
    Err(Fault::new(format!("{count} cells where #Fields: names {}: {}", header.names.len(), excerpt(line))))
}

struct Cells<'a> {
    line: &'a str,
    at: usize,
    separator: u8,
    /// A quote that does not close does not make the next one close: no need to look again.
    quotes: bool,
}

impl<'a> Cells<'a> {
    /// Several blanks are one separator, and blanks at the end none. Between two tabs is an empty cell.
    fn next(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.line.as_bytes();
        if self.separator == b' ' {
            self.at += bytes[self.at.min(bytes.len())..].iter().take_while(|byte| **byte == b' ').count();
        }
        // One past the end: the last cell is out.
        if self.at > bytes.len() || (self.at == bytes.len() && (self.separator == b' ' || bytes.is_empty())) {
            return None;
        }
        if bytes.get(self.at) == Some(&b'"')
            && self.quotes
            && let Some((cell, end)) = self.quoted(self.at + 1)
        {
            self.at = end + 1;
            return Some(cell);
        }
        let start = self.at;
        let end = memchr(self.separator, &bytes[start..]).map_or(bytes.len(), |end| start + end);
        self.at = end + 1;
        Some(Cow::Borrowed(&self.line[start..end]))
    }

    /// The text up to a quote in front of a separator, and where that is. None: then the quote is text.
    fn quoted(&mut self, start: usize) -> Option<(Cow<'a, str>, usize)> {
        let bytes = self.line.as_bytes();
        let mut plain = Cow::Borrowed("");
        let (mut from, mut at) = (start, start);
        loop {
            let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'"', rest)).map(|found| at + found) else {
                self.quotes = false;
                return None;
            };
            at = found + 1;
            if bytes.get(at).is_none_or(|byte| *byte == self.separator) {
                if from == start {
                    return Some((Cow::Borrowed(&self.line[start..found]), at));
                }
                plain.to_mut().push_str(&self.line[from..found]);
                return Some((plain, at));
            }
            if bytes[at] == b'"' {
                plain.to_mut().push_str(&self.line[from..at]);
                at += 1;
                from = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics};

    fn check(fields: &str, line: &str, expected: &[&str]) {
        let header = Header::parse(fields).unwrap();
        let mut out = Fields::new();
        assert_eq!(parse(&header, line, &mut out), Ok(()), "{line:?}");
        assert_eq!(describe(&out), expected, "{line:?}");
    }

    fn check_fault(fields: &str, line: &str, fault: &str) {
        let header = Header::parse(fields).unwrap();
        assert_eq!(parse(&header, line, &mut Fields::new()), Err(Fault::new(fault)), "{line:?}");
    }

    #[test]
    fn headers() {
        let names = |line: &str| Header::parse(line).map(|header| header.names.join("|"));
        assert_eq!(names("#Fields: date time c-ip cs(User-Agent)\r\n"), Ok("date|time|c-ip|cs(User-Agent)".into()));
        assert_eq!(names("\u{feff}#fields:date\ttime"), Ok("date|time".into()));
        assert_eq!(names("#Fields:"), Err(Fault::new("the #Fields: line names no fields")));
        assert_eq!(names("#Version: 1.0"), Err(Fault::new("not a #Fields: line: \"#Version: 1.0\"")));
        assert_eq!(names("#é"), Err(Fault::new("not a #Fields: line: \"#é\"")));
        assert!(is_directive("#Date: 2023-01-02") && is_directive("\u{feff}#Software: x") && !is_directive("2023 #"));
    }

    #[test]
    fn iis() {
        check(
            "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query cs-username cs(User-Agent) sc-status",
            "2023-01-02 03:04:05 10.0.0.1 GET /a%20b - - Mozilla/5.0+(X11;+Linux) 200\r\n",
            &[
                "date=2023-01-02",
                "time=03:04:05",
                "s-ip=10.0.0.1",
                "cs-method=GET",
                "cs-uri-stem=/a%20b",
                "cs-uri-query=null",
                "cs-username=null",
                "cs(User-Agent)=Mozilla/5.0+(X11;+Linux)",
                "sc-status=200",
            ],
        );
    }

    #[test]
    fn cloudfront() {
        check(
            "#Fields: date time x-edge-location cs(User-Agent) cs(Cookie) x",
            "2019-12-04\t21:02:31\tLAX1\tMozilla/5.0%20(Windows) x\t-\t",
            &[
                "date=2019-12-04",
                "time=21:02:31",
                "x-edge-location=LAX1",
                "cs(User-Agent)=Mozilla/5.0%20(Windows) x",
                "cs(Cookie)=null",
                "x=",
            ],
        );
    }

    #[test]
    fn quotes() {
        check("#Fields: a b c", "x \"two words\" y", &["a=x", "b=two words", "c=y"]);
        check("#Fields: a b c", "\"\" \"say \"\"hi\"\"\" \"-\" ", &["a=", "b=say \"hi\"", "c=null"]);
        check("#Fields: a b", "\"x \"5 y\" z", &["a=x \"5 y", "b=z"]);
        check("#Fields: a b c", "x \"y z", &["a=x", "b=\"y", "c=z"]);
        check("#Fields: a b", "\"x\"\t\"y\tz\"", &["a=x", "b=y\tz"]);
    }

    #[test]
    fn lines_that_do_not_fit() {
        check_fault("#Fields: a b", "x", "1 cells where #Fields: names 2: \"x\"");
        check_fault("#Fields: a b", "x y z", "3 cells where #Fields: names 2: \"x y z\"");
        check_fault("#Fields: a b", "", "0 cells where #Fields: names 2: \"\"");
        check_fault("#Fields: a b", "#Date: x", "a directive, not a record: \"#Date: x\"");
    }

    #[test]
    fn broken_lines_do_no_harm() {
        let header = Header::parse("#Fields: a b c").unwrap();
        never_panics(&["x \"two \"\"é\"\" words\" -", "x\t\"日本\ty\"\t-"], |line| {
            drop(parse(&header, line, &mut Fields::new()));
            drop(Header::parse(line));
        });
    }
}
