//! logfmt: `level=info msg="two words" retry`.
//!
//! A key without a value says that something is so: its value is the text `true`. Between quotes, escapes are those of JSON.
//! At least one pair must have a value; else any sentence were logfmt.

use crate::{Fault, Fields, Value, excerpt, without_line_break};
use memchr::memchr2;
use std::borrow::Cow;

/// Appends every pair, in order.
pub fn parse<'a>(line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    let line = without_line_break(line);
    let bytes = line.as_bytes();
    let mut pairs = false;
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| is_blank(**byte)).count();
        if at == bytes.len() {
            break;
        }
        let end = word_end(bytes, at, |byte| is_blank(byte) || byte == b'=');
        let key = &line[at..end];
        if key.is_empty() || key.contains('"') {
            return Err(Fault::new(format!("no key at byte {at}: {}", excerpt(&line[at..]))));
        }
        if bytes.get(end) != Some(&b'=') {
            out.push((Cow::Borrowed(key), Value::from("true")));
            at = end;
            continue;
        }
        pairs = true;
        let value;
        if bytes.get(end + 1) == Some(&b'"') {
            (value, at) = quoted(line, end + 2).ok_or_else(|| {
                Fault::new(format!("the quote opened at byte {} never closes: {}", end + 1, excerpt(&line[at..])))
            })?;
            if bytes.get(at).is_some_and(|byte| !is_blank(*byte)) {
                return Err(Fault::new(format!("text after the closing quote at byte {at}: {}", excerpt(&line[at..]))));
            }
        } else {
            at = word_end(bytes, end + 1, is_blank);
            value = Cow::Borrowed(&line[end + 1..at]);
        }
        out.push((Cow::Borrowed(key), Value::Text(value)));
    }
    if pairs { Ok(()) } else { Err(Fault::new(format!("no key=value in the line: {}", excerpt(line)))) }
}

fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

fn word_end(bytes: &[u8], at: usize, ends: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|byte| ends(*byte)).map_or(bytes.len(), |end| at + end)
}

/// The text up to the closing quote, and where that ends.
fn quoted(line: &str, start: usize) -> Option<(Cow<'_, str>, usize)> {
    let bytes = line.as_bytes();
    let mut plain = Cow::Borrowed("");
    let (mut from, mut at) = (start, start);
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            if from == start {
                return Some((Cow::Borrowed(&line[start..found]), found + 1));
            }
            plain.to_mut().push_str(&line[from..found]);
            return Some((plain, found + 1));
        }
        match escape(&line[found + 1..]) {
            Some((character, length)) => {
                let plain = plain.to_mut();
                plain.push_str(&line[from..found]);
                plain.push(character);
                from = found + 1 + length;
                at = from;
            }
            // Not an escape: the backslash is text.
            None => at = found + 1,
        }
    }
}

/// The character meant by what follows a backslash, and how many bytes that is.
fn escape(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().first()? {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        sign @ (b'"' | b'\\' | b'/') => char::from(*sign),
        b'u' => return unicode(text),
        _ => return None,
    };
    Some((character, 1))
}

/// `u00e9`, or two of them for a character beyond the basic plane.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(1)?;
    if let Some(character) = char::from_u32(high) {
        return Some((character, 5));
    }
    let low = unit(7).filter(|low| (0xdc00..0xe000).contains(low) && high < 0xdc00 && &text[5..7] == "\\u")?;
    Some((char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?, 11))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics};

    fn check(line: &str, expected: &[&str]) {
        let mut out = Fields::new();
        assert_eq!(parse(line, &mut out), Ok(()), "{line:?}");
        assert_eq!(describe(&out), expected, "{line:?}");
    }

    fn check_fault(line: &str, fault: &str) {
        assert_eq!(parse(line, &mut Fields::new()), Err(Fault::new(fault)), "{line:?}");
    }

    #[test]
    fn pairs() {
        check(
            "time=2023-01-02T03:04:05Z level=info msg=\"request done\" status=200 path=/a?b=c\n",
            &["time=2023-01-02T03:04:05Z", "level=info", "msg=request done", "status=200", "path=/a?b=c"],
        );
        check("at=info retry  dry-run\tx=", &["at=info", "retry=true", "dry-run=true", "x="]);
        check("a=1 a=2", &["a=1", "a=2"]);
        check("a=\"\" b=5\" é=日本", &["a=", "b=5\"", "é=日本"]);
    }

    #[test]
    fn escapes() {
        check(r#"msg="say \"hi\" \\ \/ C:\x" a=b"#, &[r#"msg=say "hi" \ / C:\x"#, "a=b"]);
        check(r#"msg="a\nb\tc\u00e9\ud83e\udd80""#, &["msg=a\nb\tcé🦀"]);
        check(r#"msg="\ud83e \u12 \ud83e\u0041""#, &[r#"msg=\ud83e \u12 \ud83eA"#]);
        check(r"msg=a\nb", &[r"msg=a\nb"]);
    }

    #[test]
    fn what_is_not_logfmt() {
        check_fault("", "no key=value in the line: \"\"");
        check_fault("just a sentence", "no key=value in the line: \"just a sentence\"");
        check_fault("a=1 =2", "no key at byte 4: \"=2\"");
        check_fault("a=1 \"b\"=2", "no key at byte 4: \"\\\"b\\\"=2\"");
        check_fault("a=\"x", "the quote opened at byte 2 never closes: \"a=\\\"x\"");
        check_fault("a=\"x\"y", "text after the closing quote at byte 5: \"y\"");
    }

    #[test]
    fn broken_lines_do_no_harm() {
        never_panics(&[r#"a=1 b="x \"y\" \u00e9 \ud83e\udd80" é c= d"#], |line| drop(parse(line, &mut Fields::new())));
    }
}
