//! Key-value pairs on a line: `user=ann action=login msg="two words"`.
//!
//! The line is cut at the delimiter, empty pieces are dropped, and each piece is cut at its first separator. A quote opens at
//! the very start of a value, of a key or of a whole piece (`"msg=two words"`), and closes only in front of a delimiter, a
//! separator (for a key) or the end; quotes anywhere else are text. StreamAlert itself gave quotes no meaning: `quote: None`.

use crate::scan::{near, near2};
use crate::{Fault, Fields, Value, excerpt};
use memchr::memchr;
use std::borrow::Cow;

/// What stands between what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between pairs. Any text but the empty one.
    pub delimiter: String,
    /// Between a key and its value. Any text but the empty one.
    pub separator: String,
    /// Around texts in which delimiters are text. None: quotes are text.
    pub quote: Option<char>,
    /// In front of a quote, or of itself, between quotes. In front of anything else it is text: `C:\new`.
    pub escape: Option<char>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: " ".into(), separator: "=".into(), quote: Some('"'), escape: None }
    }
}

/// Appends every pair, in order, also those whose key came before. A line break at the end is not part of the last value.
pub fn parse<'a>(line: &'a str, dialect: &Dialect, out: &mut Fields<'a>) -> Result<(), Fault> {
    let line = crate::without_line_break(line);
    if dialect.delimiter.is_empty() || dialect.separator.is_empty() {
        return Err(Fault::new("the kv delimiter and separator cannot be empty"));
    }
    let mut signs = [[0; 4]; 2];
    let [quote, escape] = &mut signs;
    let signs = Signs {
        line,
        delimiter: dialect.delimiter.as_bytes(),
        separator: dialect.separator.as_bytes(),
        quote: dialect.quote.map(|sign| sign.encode_utf8(quote).as_bytes()),
        escape: dialect
            .escape
            .filter(|sign| Some(*sign) != dialect.quote)
            .map(|sign| sign.encode_utf8(escape).as_bytes()),
    };
    let before = out.len();
    let mut at = 0;
    while at < line.len() {
        at = if signs.here(at, signs.delimiter) { at + signs.delimiter.len() } else { signs.pair(at, out)? };
    }
    if out.len() == before {
        return Err(Fault::new("no key-value pairs: the line is empty"));
    }
    Ok(())
}

struct Signs<'a, 'd> {
    line: &'a str,
    delimiter: &'d [u8],
    separator: &'d [u8],
    quote: Option<&'d [u8]>,
    escape: Option<&'d [u8]>,
}

/// A quoted text: what is between the quotes, and where the closing quote ends.
struct Quoted<'a> {
    inner: &'a str,
    end: usize,
}

impl<'a> Signs<'a, '_> {
    fn here(&self, at: usize, sign: &[u8]) -> bool {
        // Most signs are one byte, for which a call to compare takes longer than everything else here.
        match (self.line.as_bytes().get(at..), sign) {
            (Some([byte, ..]), [sign]) => byte == sign,
            (Some([byte, rest @ ..]), [sign, tail @ ..]) => byte == sign && rest.starts_with(tail),
            _ => false,
        }
    }

    /// At a delimiter or at the end of the line.
    fn ends(&self, at: usize) -> bool {
        at == self.line.len() || self.here(at, self.delimiter)
    }

    /// One pair, and where it ends.
    fn pair(&self, start: usize, out: &mut Fields<'a>) -> Result<usize, Fault> {
        let line = self.line;
        if let Some(quoted) = self.quoted(start)? {
            if self.ends(quoted.end) {
                let Some(cut) = find(quoted.inner.as_bytes(), self.separator) else {
                    return Err(self.no_separator(start, quoted.end));
                };
                let (key, value) = (&quoted.inner[..cut], &quoted.inner[cut + self.separator.len()..]);
                out.push((self.unescape(key), Value::Text(self.unescape(value))));
                return Ok(quoted.end);
            }
            if self.here(quoted.end, self.separator) {
                let (key, before) = (self.unescape(quoted.inner), out.len());
                let end = self.value(quoted.inner, quoted.end + self.separator.len(), out)?;
                if let Some((name, _)) = out.get_mut(before) {
                    *name = key;
                }
                return Ok(end);
            }
        }
        let cut = self.cut(start)?;
        self.value(&line[start..cut], cut + self.separator.len(), out)
    }

    /// Where the separator of the unquoted piece at `start` is.
    fn cut(&self, start: usize) -> Result<usize, Fault> {
        let rest = &self.line.as_bytes()[start..];
        let cut = match (self.delimiter, self.separator) {
            ([delimiter], [separator]) => {
                near2(*delimiter, *separator, rest).filter(|at| rest[*at] != *delimiter && rest[*at] == *separator)
            }
            _ => find(rest, self.separator).filter(|cut| {
                // A delimiter that begins in front of the separator ends the piece, even if it reaches into it.
                let reach = (cut + self.delimiter.len()).min(rest.len());
                find(&rest[..reach], self.delimiter).is_none()
            }),
        };
        cut.map(|cut| start + cut).ok_or_else(|| {
            let end = find(rest, self.delimiter).map_or(self.line.len(), |end| start + end);
            self.no_separator(start, end)
        })
    }

    fn value(&self, key: &'a str, start: usize, out: &mut Fields<'a>) -> Result<usize, Fault> {
        let from = match self.quoted(start)? {
            Some(quoted) if self.ends(quoted.end) => {
                out.push((Cow::Borrowed(key), Value::Text(self.unescape(quoted.inner))));
                return Ok(quoted.end);
            }
            // Text follows the closing quote: not a quoted value, but one that has quotes in it.
            Some(quoted) => quoted.end,
            None => start,
        };
        let end = find(&self.line.as_bytes()[from..], self.delimiter).map_or(self.line.len(), |end| from + end);
        out.push((Cow::Borrowed(key), Value::from(&self.line[start..end])));
        Ok(end)
    }

    /// The quoted text at `start`, if a quote is there.
    fn quoted(&self, start: usize) -> Result<Option<Quoted<'a>>, Fault> {
        let Some(quote) = self.quote.filter(|quote| self.here(start, quote)) else { return Ok(None) };
        let from = start + quote.len();
        let mut at = from;
        while let Some(found) = find(&self.line.as_bytes()[at..], quote) {
            let close = at + found;
            at = close + quote.len();
            if !self.escaped(from, close) {
                return Ok(Some(Quoted { inner: &self.line[from..close], end: at }));
            }
        }
        Err(Fault::new(format!("the quote opened at byte {start} never closes: {}", excerpt(&self.line[start..]))))
    }

    /// An odd number of escapes in front. They are counted back only as far as the quotes reach, and never twice: what is
    /// in front of an escaped quote is not an escape.
    fn escaped(&self, from: usize, close: usize) -> bool {
        let Some(escape) = self.escape else { return false };
        let mut inner = &self.line.as_bytes()[from..close];
        let mut escapes = 0;
        while inner.last() == escape.last()
            && let Some(rest) = inner.strip_suffix(escape)
        {
            inner = rest;
            escapes += 1;
        }
        escapes % 2 == 1
    }

    fn unescape(&self, text: &'a str) -> Cow<'a, str> {
        let (Some(quote), Some(escape)) = (self.quote, self.escape) else { return Cow::Borrowed(text) };
        if find(text.as_bytes(), escape).is_none() {
            return Cow::Borrowed(text);
        }
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = find(rest.as_bytes(), escape) {
            let after = at + escape.len();
            let sign = [quote, escape].into_iter().find(|sign| rest.as_bytes()[after..].starts_with(sign));
            let next = after + sign.map_or(0, <[u8]>::len);
            plain.push_str(&rest[..at]);
            plain.push_str(&rest[if sign.is_some() { after } else { at }..next]);
            rest = &rest[next..];
        }
        plain.push_str(rest);
        Cow::Owned(plain)
    }

    #[cold]
    fn no_separator(&self, start: usize, end: usize) -> Fault {
        let piece = excerpt(&self.line[start..end]);
        Fault::new(format!("no {:?} in the piece at byte {start}: {piece}", String::from_utf8_lossy(self.separator)))
    }
}

/// Signs are short and come from the configuration, so that checking each place where the first byte is costs little.
fn find(bytes: &[u8], sign: &[u8]) -> Option<usize> {
    let (first, tail) = sign.split_first()?;
    if tail.is_empty() {
        return near(*first, bytes);
    }
    let mut at = 0;
    loop {
        at += memchr(*first, bytes.get(at..)?)?;
        if bytes[at + 1..].starts_with(tail) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{never_panics, vectors};

    fn pairs(line: &str, dialect: &Dialect) -> Result<Vec<(String, String)>, Fault> {
        let mut out = Fields::new();
        parse(line, dialect, &mut out)?;
        let text = |value| match value {
            Value::Text(text) => String::from(text),
            other => panic!("{other:?}"),
        };
        Ok(out.into_iter().map(|(key, value)| (key.into(), text(value))).collect())
    }

    fn check_as(line: &str, dialect: &Dialect, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(key, value)| (String::from(*key), String::from(*value))).collect();
        assert_eq!(pairs(line, dialect), Ok(expected), "{line:?}");
    }

    fn check(line: &str, expected: &[(&str, &str)]) {
        check_as(line, &Dialect::default(), expected);
    }

    fn check_fault(line: &str, dialect: &Dialect, fault: &str) {
        assert_eq!(pairs(line, dialect), Err(Fault::new(fault)), "{line:?}");
    }

    fn signs(delimiter: &str, separator: &str) -> Dialect {
        Dialect { delimiter: delimiter.into(), separator: separator.into(), ..Dialect::default() }
    }

    #[test]
    fn plain_pairs() {
        check("t=1 u=bob r=ok", &[("t", "1"), ("u", "bob"), ("r", "ok")]);
        check("  t=1   u=bob ", &[("t", "1"), ("u", "bob")]);
        check("u=a=b t=", &[("u", "a=b"), ("t", "")]);
        check("u=bob u=zed", &[("u", "bob"), ("u", "zed")]);
        check("=x", &[("", "x")]);
        check("t=1 r=ok\n", &[("t", "1"), ("r", "ok")]);
        check("t=1 r=ok\r\n", &[("t", "1"), ("r", "ok")]);
        check("grüße=日本 x=🦀", &[("grüße", "日本"), ("x", "🦀")]);
        check(
            "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e exe=/bin/cat",
            &[("type", "SYSCALL"), ("msg", "audit(1364481363.243:24287):"), ("arch", "c000003e"), ("exe", "/bin/cat")],
        );
    }

    #[test]
    fn other_signs() {
        check_as("t:1;u:bob;r:ok", &signs(";", ":"), &[("t", "1"), ("u", "bob"), ("r", "ok")]);
        check_as("a: 1, b: 2,3", &signs(", ", ": "), &[("a", "1"), ("b", "2,3")]);
        check_as("a=>1||b=>2|3", &signs("||", "=>"), &[("a", "1"), ("b", "2|3")]);
        check_as("a→1§b→2", &signs("§", "→"), &[("a", "1"), ("b", "2")]);
        check_as("a=1\tb=two words", &signs("\t", "="), &[("a", "1"), ("b", "two words")]);
    }

    #[test]
    fn quoted_values() {
        check(r#"a="x y" b=z"#, &[("a", "x y"), ("b", "z")]);
        check(r#"a="" b="=""#, &[("a", ""), ("b", "=")]);
        check(r#""a=x y" b=1"#, &[("a", "x y"), ("b", "1")]);
        check(r#""my key"="my value" b=1"#, &[("my key", "my value"), ("b", "1")]);
        check(r#"size=5" b=1"#, &[("size", "5\""), ("b", "1")]);
        check(r#"a="x"y b=1"#, &[("a", "\"x\"y"), ("b", "1")]);
        check(r#"a="x,"y" b=1"#, &[("a", "\"x,\"y\""), ("b", "1")]);
        check("a=\"x\ny\"\n", &[("a", "x\ny")]);
        check(
            r#"date=2023-01-02 time=03:04:05 devname="FG 100" logid="0000000013" type="traffic" srcip=10.1.2.3 msg="a=b c""#,
            &[
                ("date", "2023-01-02"),
                ("time", "03:04:05"),
                ("devname", "FG 100"),
                ("logid", "0000000013"),
                ("type", "traffic"),
                ("srcip", "10.1.2.3"),
                ("msg", "a=b c"),
            ],
        );
    }

    #[test]
    fn escapes() {
        let dialect = Dialect { escape: Some('\\'), ..Dialect::default() };
        check_as(r#"a="say \"hi\" \\ now" b=1"#, &dialect, &[("a", r#"say "hi" \ now"#), ("b", "1")]);
        check_as(r#"p="C:\new\\" b=1"#, &dialect, &[("p", r"C:\new\"), ("b", "1")]);
        check_as(r#"p=C:\new\\ b=1"#, &dialect, &[("p", r"C:\new\\"), ("b", "1")]);
        check_fault(r#"a="x\""#, &dialect, r#"the quote opened at byte 2 never closes: "\"x\\\"""#);
        let dialect = Dialect { quote: Some('«'), escape: Some('«'), ..Dialect::default() };
        check_as("a=«x y« b=1", &dialect, &[("a", "x y"), ("b", "1")]);
    }

    #[test]
    fn quotes_without_meaning() {
        let dialect = Dialect { quote: None, ..Dialect::default() };
        check_as(r#"t=1 u="a" r=ok"#, &dialect, &[("t", "1"), ("u", "\"a\""), ("r", "ok")]);
        check_fault(r#"t=1 u="a b" r=ok"#, &dialect, r#"no "=" in the piece at byte 9: "b\"""#);
    }

    #[test]
    fn what_is_not_pairs() {
        let dialect = Dialect::default();
        check_fault("", &dialect, "no key-value pairs: the line is empty");
        check_fault("  \n", &dialect, "no key-value pairs: the line is empty");
        check_fault("5", &dialect, r#"no "=" in the piece at byte 0: "5""#);
        check_fault("a=1 oops b=2", &dialect, r#"no "=" in the piece at byte 4: "oops""#);
        check_fault(r#"a=1 "o ops" b=2"#, &dialect, r#"no "=" in the piece at byte 4: "\"o ops\"""#);
        check_fault(r#"a=1 msg="cut off"#, &dialect, r#"the quote opened at byte 8 never closes: "\"cut off""#);
        check_fault("a b", &signs(" ", " "), r#"no " " in the piece at byte 0: "a""#);
        check_fault("a = 1", &signs(" ", " = "), r#"no " = " in the piece at byte 0: "a""#);
        check_fault("a=1", &signs("", "="), "the kv delimiter and separator cannot be empty");
    }

    #[test]
    fn what_streamalert_parsed_is_parsed_the_same() {
        for vector in vectors("kv/") {
            let setting = |name: &str, otherwise: &str| {
                vector.options["configuration"][name].as_str().unwrap_or(otherwise).to_string()
            };
            let dialect = Dialect {
                delimiter: setting("delimiter", " "),
                separator: setting("separator", "="),
                quote: None,
                escape: None,
            };
            // A key that came twice went by its position, which is the schema's business.
            if vector.result["valid"][0].is_object() && !vector.id.starts_with("kv/duplicate-key") {
                for (key, value) in pairs(&vector.data, &dialect).unwrap() {
                    let expected = vector.valid(&key);
                    assert_eq!(Some(value.as_str()), expected.as_deref().map(str::trim_end), "{}", vector.id);
                }
            }
        }
    }

    #[test]
    fn plain_values_are_borrowed() {
        let line = r#"a=1 b="x y""#;
        let mut out = Fields::new();
        parse(line, &Dialect { escape: Some('\\'), ..Dialect::default() }, &mut out).unwrap();
        assert!(
            out.iter().all(|(key, value)| {
                matches!(key, Cow::Borrowed(_)) && matches!(value, Value::Text(Cow::Borrowed(_)))
            })
        );
    }

    #[test]
    fn broken_lines_do_no_harm() {
        for dialect in [
            Dialect { escape: Some('\\'), ..Dialect::default() },
            signs("||", "=>"),
            Dialect { quote: Some('«'), escape: Some('→'), ..signs("§", "→") },
        ] {
            never_panics(
                &[r#"a="say \"hi\" \\" "b=c d" "e f"=g h= i"#, "a=>1||\"b\"=>2|", "a→1§b→«2→«»→→«"],
                |line| drop(pairs(line, &dialect)),
            );
        }
    }
}
