//! Cells between blanks, as AWS writes its access logs: load balancers, S3, VPC flows.

use crate::without_line_break;
use memchr::{memchr, memchr2};
use std::borrow::Cow;

/// Appends the cells of one line; which is which says the caller.
///
/// Cells stand between one or more blanks or tabs. `"…"` is one cell, with `\"` or `""` for a quote in it; a quote that
/// nothing but text follows is text, and one that never closes holds the rest of the line. `[…]` is one cell, without the
/// brackets. `-`, also between quotes, is nothing: None.
pub fn split<'a>(line: &'a str, out: &mut Vec<Option<Cow<'a, str>>>) {
    let line = without_line_break(line);
    let bytes = line.as_bytes();
    // A bracket that does not close does not make the next one close: no need to look again.
    let mut brackets = true;
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| is_blank(**byte)).count();
        let cell;
        match bytes.get(at) {
            None => return,
            Some(b'"') => (cell, at) = quoted(line, at + 1),
            Some(b'[') if brackets => match bracketed(bytes, at + 1) {
                Some(end) => {
                    cell = Cow::Borrowed(&line[at + 1..end]);
                    at = end + 1;
                }
                None => {
                    brackets = false;
                    continue;
                }
            },
            Some(_) => {
                let end = memchr2(b' ', b'\t', &bytes[at..]).map_or(bytes.len(), |end| at + end);
                cell = Cow::Borrowed(&line[at..end]);
                at = end;
            }
        }
        out.push((cell != "-").then_some(cell));
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn ends(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_none_or(|byte| is_blank(*byte))
}

fn bracketed(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr(b']', bytes.get(at..)?)?;
        if ends(bytes, at + 1) {
            return Some(at);
        }
        at += 1;
    }
}

/// The text up to the closing quote, and where that ends.
fn quoted(line: &str, start: usize) -> (Cow<'_, str>, usize) {
    let bytes = line.as_bytes();
    let mut plain = Cow::Borrowed("");
    let (mut from, mut at) = (start, start);
    loop {
        let found = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)).map_or(bytes.len(), |found| at + found);
        let closes = found == bytes.len() || (bytes[found] == b'"' && ends(bytes, found + 1));
        if closes {
            let end = (found + 1).min(bytes.len());
            if from == start {
                return (Cow::Borrowed(&line[start..found]), end);
            }
            plain.to_mut().push_str(&line[from..found]);
            return (plain, end);
        }
        at = found + 1;
        // Of two signs the first says that the second is text.
        if bytes.get(at) == Some(&b'"') || (bytes[found] == b'\\' && bytes.get(at) == Some(&b'\\')) {
            plain.to_mut().push_str(&line[from..found]);
            from = at;
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::never_panics;

    fn check(line: &str, expected: &[Option<&str>]) {
        let mut out = Vec::new();
        split(line, &mut out);
        assert_eq!(out.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{line:?}");
    }

    const LOAD_BALANCER: &str = "h2 2023-01-02T03:04:05.12Z app/x/50dc 10.0.1.252:48160 - 0.000 -1 \"GET https://x:443/ HTTP/2.0\" \"curl \\\"7\\\"\" \"-\" - \"\"";
    const BUCKET: &str =
        "79a59d awsexamplebucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 - \"GET /a?b=\"\"c\"\" HTTP/1.1\" 200 -";

    #[test]
    fn lines_as_aws_writes_them() {
        check(
            LOAD_BALANCER,
            &[
                Some("h2"),
                Some("2023-01-02T03:04:05.12Z"),
                Some("app/x/50dc"),
                Some("10.0.1.252:48160"),
                None,
                Some("0.000"),
                Some("-1"),
                Some("GET https://x:443/ HTTP/2.0"),
                Some("curl \"7\""),
                None,
                None,
                Some(""),
            ],
        );
        check(
            BUCKET,
            &[
                Some("79a59d"),
                Some("awsexamplebucket1"),
                Some("06/Feb/2019:00:00:38 +0000"),
                Some("192.0.2.3"),
                None,
                Some("GET /a?b=\"c\" HTTP/1.1"),
                Some("200"),
                None,
            ],
        );
        check(
            "2 123456789010 eni-1235b8ca 172.31.16.139 20641 6 ACCEPT OK\n",
            &["2", "123456789010", "eni-1235b8ca", "172.31.16.139", "20641", "6", "ACCEPT", "OK"].map(Some),
        );
    }

    #[test]
    fn corner_cases() {
        check("", &[]);
        check("  \n", &[]);
        check(" a\t b  ", &[Some("a"), Some("b")]);
        check("5\" a\"b c", &["5\"", "a\"b", "c"].map(Some));
        check("\"a \\\\\" b", &["a \\", "b"].map(Some));
        check("\"C:\\x y\" b", &["C:\\x y", "b"].map(Some));
        check("\"a\"b\" c", &["a\"b", "c"].map(Some));
        check("x \"never closes y", &["x", "never closes y"].map(Some));
        check("[a [b]c d", &["[a", "[b]c", "d"].map(Some));
        check("[a]b c] d", &["a]b c", "d"].map(Some));
        check("[] [-] é", &[Some(""), None, Some("é")]);
    }

    #[test]
    fn only_what_was_unescaped_is_copied() {
        let mut out = Vec::new();
        split(LOAD_BALANCER, &mut out);
        assert_eq!(out.iter().filter(|cell| matches!(cell, Some(Cow::Owned(_)))).count(), 1);
    }

    #[test]
    fn broken_lines_do_no_harm() {
        never_panics(&[LOAD_BALANCER, BUCKET, "é [日本] \"é\\\"\""], |line| split(line, &mut Vec::new()));
    }
}
