//! IBM's Log Event Extended Format: `LEEF:1.0|vendor|product|version|event|key=value<tab>key=value`, and 2.0, which names its
//! own delimiter in one more header field.
//!
//! The header becomes `leef_version`, `vendor`, `product`, `product_version` and `event_id`; the attributes stand beside it
//! under their own keys. A syslog header in front gives `syslog_timestamp` and `syslog_host`.

use crate::{Fault, Fields, Value, cef, excerpt, syslog, without_line_break};
use memchr::memchr;
use std::borrow::Cow;

const HEADER: [&str; 5] = ["leef_version", "vendor", "product", "product_version", "event_id"];

/// Appends the fields of one event.
pub fn parse<'a>(line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    let line = without_line_break(line);
    let start =
        cef::start(line, "LEEF:").ok_or_else(|| Fault::new(format!("no LEEF:1.0| in the line: {}", excerpt(line))))?;
    syslog::append_header(line, start, out);
    let mut rest = line[start + "LEEF:".len()..].trim_start_matches(' ');
    let mut version = "";
    for (index, name) in HEADER.into_iter().enumerate() {
        // The last bar may be missing where there are no attributes.
        let Some((field, after)) = rest.split_once('|').or((index + 1 == HEADER.len()).then_some((rest, ""))) else {
            return Err(Fault::new(format!("the LEEF header ends after {} of its 5 fields, in {name}", index + 1)));
        };
        if index == 0 {
            version = field;
        }
        out.push((Cow::Borrowed(name), Value::from(field)));
        rest = after;
    }
    let mut delimiter = '\t';
    // Some senders of 2.0 leave the field out; then what stands there is no delimiter.
    if version.starts_with('2')
        && let Some((field, after)) = rest.split_once('|')
        && let Some(named) = named_delimiter(field)
    {
        (delimiter, rest) = (named, after);
    }
    attributes(rest, delimiter, out)
}

/// One character, or its number in hexadecimal: `^`, `0x5E`, `x5e`. Nothing is a tab.
fn named_delimiter(field: &str) -> Option<char> {
    let mut characters = field.chars();
    match (characters.next(), characters.next()) {
        (None, _) => Some('\t'),
        (Some(delimiter), None) => Some(delimiter),
        _ if field == "\\t" => Some('\t'),
        _ => {
            let digits = field.strip_prefix("0x").or(field.strip_prefix("0X")).or(field.strip_prefix(['x', 'X']))?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
    }
}

/// A piece without an equals sign goes on with the value in front of it: the delimiter stood in the value.
fn attributes<'a>(text: &'a str, delimiter: char, out: &mut Fields<'a>) -> Result<(), Fault> {
    let mut open: Option<(&'a str, usize, usize)> = None;
    let mut at = 0;
    for piece in text.split(delimiter) {
        let end = at + piece.len();
        match (memchr(b'=', piece.as_bytes()), &mut open) {
            (Some(cut), _) => {
                if let Some((key, start, end)) = open {
                    out.push((Cow::Borrowed(key), Value::from(&text[start..end])));
                }
                open = Some((piece[..cut].trim_matches(' '), at + cut + 1, end));
            }
            (None, _) if piece.trim().is_empty() => {}
            (None, Some((_, _, value_end))) => *value_end = end,
            (None, None) => return Err(Fault::new(format!("no \"=\" in the LEEF attribute {}", excerpt(piece)))),
        }
        at = end + delimiter.len_utf8();
    }
    if let Some((key, start, end)) = open {
        out.push((Cow::Borrowed(key), Value::from(&text[start..end])));
    }
    Ok(())
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

    const HEAD: [&str; 4] = ["vendor=V", "product=P", "product_version=1", "event_id=7"];

    #[test]
    fn first_version() {
        check(
            "Jan 18 11:07:53 host LEEF:1.0|QRadar|QRM|1.0|NEW_PORT|src=172.5.6.67\tdst=172.50.123.1\tmsg=two words = x\tempty=",
            &[
                "syslog_timestamp=Jan 18 11:07:53",
                "syslog_host=host",
                "leef_version=1.0",
                "vendor=QRadar",
                "product=QRM",
                "product_version=1.0",
                "event_id=NEW_PORT",
                "src=172.5.6.67",
                "dst=172.50.123.1",
                "msg=two words = x",
                "empty=",
            ],
        );
        check("LEEF:1.0|V|P|1|7", &[&["leef_version=1.0"], &HEAD[..]].concat());
        check("LEEF:1.0|V|P|1|7|\n", &[&["leef_version=1.0"], &HEAD[..]].concat());
        check("LEEF:1.0|V|P|1|7|a=x\ty\t\tb=2|3\t", &[&["leef_version=1.0"], &HEAD[..], &["a=x\ty", "b=2|3"]].concat());
    }

    #[test]
    fn second_version_names_its_delimiter() {
        for line in [
            "LEEF:2.0|V|P|1|7|^|a=x y^b=2",
            "LEEF:2.0|V|P|1|7|0x5E|a=x y^b=2",
            "LEEF:2.0|V|P|1|7|x5e|a=x y^b=2",
            "LEEF:2.0|V|P|1|7||a=x y\tb=2",
            "LEEF:2.0|V|P|1|7|x09|a=x y\tb=2",
            "LEEF:2.0|V|P|1|7|\\t|a=x y\tb=2",
            "LEEF:2.0|V|P|1|7|a=x y\tb=2",
            "LEEF:2.0|V|P|1|7|§|a=x y§b=2",
        ] {
            check(line, &[&["leef_version=2.0"], &HEAD[..], &["a=x y", "b=2"]].concat());
        }
        check("LEEF:2.0|V|P|1|7|a=x|y\tb=2", &[&["leef_version=2.0"], &HEAD[..], &["a=x|y", "b=2"]].concat());
    }

    #[test]
    fn what_is_not_leef() {
        check_fault("hello", "no LEEF:1.0| in the line: \"hello\"");
        check_fault("LEEF:1.0|a|b", "the LEEF header ends after 3 of its 5 fields, in product");
        check_fault("LEEF:1.0|V|P|1|7|words", "no \"=\" in the LEEF attribute \"words\"");
    }

    #[test]
    fn broken_lines_do_no_harm() {
        never_panics(
            &["<1>Jan  1 00:00:00 h LEEF:2.0|V|P|1|7|0x5E|a=x y^b=é^^c", "LEEF:1.0|V|P|1|7|a=x\ty\tb=日本"],
            |line| drop(parse(line, &mut Fields::new())),
        );
    }
}
