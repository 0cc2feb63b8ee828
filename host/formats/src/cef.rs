//! ArcSight's Common Event Format: `CEF:0|vendor|product|version|class|name|severity|key=value key=value`.
//!
//! The header becomes `cef_version`, `device_vendor`, `device_product`, `device_version`, `device_event_class_id`, `name` and
//! `severity`; the extension stands beside it under its own keys, custom labels (`cs1Label`) as they are. A syslog header in
//! front gives `syslog_timestamp` and `syslog_host`.

use crate::{Fault, Fields, Value, excerpt, syslog, without_line_break};
use memchr::{memchr, memchr2, memmem, memrchr};
use std::borrow::Cow;

const HEADER: [&str; 7] =
    ["cef_version", "device_vendor", "device_product", "device_version", "device_event_class_id", "name", "severity"];

/// Appends the fields of one event.
pub fn parse<'a>(line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
    let line = without_line_break(line);
    let start = start(line, "CEF:").ok_or_else(|| Fault::new(format!("no CEF:0| in the line: {}", excerpt(line))))?;
    syslog::append_header(line, start, out);
    let mut at = start + "CEF:".len();
    at += line[at..].len() - line[at..].trim_start_matches(' ').len();
    for (index, name) in HEADER.into_iter().enumerate() {
        let end = header_end(line, at);
        // The last bar may be missing where there is no extension.
        if end == line.len() && index + 1 < HEADER.len() {
            return Err(Fault::new(format!("the CEF header ends after {} of its 7 fields, in {name}", index + 1)));
        }
        out.push((Cow::Borrowed(name), Value::Text(unescape(&line[at..end]))));
        at = (end + 1).min(line.len());
    }
    extension(line, at, out)
}

/// Where the format begins: its name, perhaps a blank, a version. What comes before is somebody else's.
pub(crate) fn start(line: &str, name: &str) -> Option<usize> {
    memmem::find_iter(line.as_bytes(), name).find(|at| {
        let version = line[at + name.len()..].trim_start_matches(' ');
        let end = version.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        end > 0 && version[end..].starts_with('|')
    })
}

fn header_end(line: &str, mut at: usize) -> usize {
    let bytes = line.as_bytes();
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'|', b'\\', rest)) {
        at += found;
        if bytes[at] == b'|' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// Pairs between blanks, whose values have blanks in them: a key is the word in front of an equals sign, if it looks like a
/// key. An equals sign elsewhere should be escaped and often is not; it is text.
fn extension<'a>(line: &'a str, start: usize, out: &mut Fields<'a>) -> Result<(), Fault> {
    let bytes = line.as_bytes();
    // The pair whose value is not yet known to have ended.
    let mut open: Option<(&'a str, usize)> = None;
    let mut from = start;
    let mut at = start;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'=', b'\\', rest)) {
        at += found;
        if bytes[at] == b'\\' {
            at += 2;
            continue;
        }
        let key_at = memrchr(b' ', &bytes[from..at]).map(|blank| from + blank + 1);
        let key_at = if open.is_none() { Some(key_at.unwrap_or(from)) } else { key_at };
        if let Some(key_at) = key_at.filter(|key_at| is_key(&bytes[*key_at..at])) {
            match open {
                Some((key, value_at)) => {
                    let value = line[value_at..key_at].trim_end_matches(' ');
                    out.push((Cow::Borrowed(key), Value::Text(unescape(value))));
                }
                None if line[start..key_at].trim_start().is_empty() => {}
                None => break,
            }
            open = Some((&line[key_at..at], at + 1));
        }
        at += 1;
        from = at;
    }
    match open {
        Some((key, value_at)) => {
            out.push((Cow::Borrowed(key), Value::Text(unescape(line[value_at..].trim_end_matches(' ')))));
            Ok(())
        }
        None if line[start..].trim().is_empty() => Ok(()),
        None => Err(Fault::new(format!(
            "the CEF extension at byte {start} does not begin with a key: {}",
            excerpt(&line[start..])
        ))),
    }
}

fn is_key(word: &[u8]) -> bool {
    let key = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']' | b'(' | b')')
            || !byte.is_ascii()
    };
    !word.is_empty() && word.iter().all(key)
}

/// `\|`, `\\`, `\=`, `\n` and `\r`. In front of anything else the backslash is text: paths are often not escaped.
fn unescape(text: &str) -> Cow<'_, str> {
    let Some(mut at) = memchr(b'\\', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    loop {
        let sign = match text.as_bytes().get(at + 1) {
            Some(b'n') => Some("\n"),
            Some(b'r') => Some("\r"),
            Some(b'|') => Some("|"),
            Some(b'=') => Some("="),
            Some(b'\\') => Some("\\"),
            _ => None,
        };
        let next = match sign {
            Some(sign) => {
                plain.push_str(&text[from..at]);
                plain.push_str(sign);
                from = at + 2;
                from
            }
            None => at + 1,
        };
        match memchr(b'\\', &text.as_bytes()[next..]) {
            Some(found) => at = next + found,
            None => break,
        }
    }
    plain.push_str(&text[from..]);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics};

    const FIREWALL: &str =
        "CEF:0|Security|threatmanager|1.0|100|worm successfully stopped|10|src=10.0.0.1 dst=2.1.2.2 spt=1232";

    fn check(line: &str, expected: &[&str]) {
        let mut out = Fields::new();
        assert_eq!(parse(line, &mut out), Ok(()), "{line:?}");
        assert_eq!(describe(&out), expected, "{line:?}");
    }

    /// The header that the tests of the extension share.
    fn check_extension(extension: &str, expected: &[&str]) {
        let header = [
            "cef_version=0",
            "device_vendor=V",
            "device_product=P",
            "device_version=1",
            "device_event_class_id=7",
            "name=N",
            "severity=3",
        ];
        check(&format!("CEF:0|V|P|1|7|N|3|{extension}"), &[&header, expected].concat());
    }

    fn check_fault(line: &str, fault: &str) {
        assert_eq!(parse(line, &mut Fields::new()), Err(Fault::new(fault)), "{line:?}");
    }

    #[test]
    fn headers() {
        let expected = [
            "cef_version=0",
            "device_vendor=Security",
            "device_product=threatmanager",
            "device_version=1.0",
            "device_event_class_id=100",
            "name=worm successfully stopped",
            "severity=10",
            "src=10.0.0.1",
            "dst=2.1.2.2",
            "spt=1232",
        ];
        check(FIREWALL, &expected);
        let sent = ["syslog_timestamp=Sep 19 08:26:10", "syslog_host=host"];
        check(&format!("Sep 19 08:26:10 host {FIREWALL}"), &[&sent[..], &expected].concat());
        check(&format!("<134>Sep 19 08:26:10 host CEF: {FIREWALL}\r\n"), &[&sent[..], &expected].concat());
        check(
            &format!("2023-01-02T03:04:05Z host {FIREWALL}"),
            &[&["syslog_timestamp=2023-01-02T03:04:05Z", "syslog_host=host"][..], &expected].concat(),
        );
        check(
            &format!("<134>1 2023-01-02T03:04:05Z host CEF - - - {FIREWALL}"),
            &[&["syslog_timestamp=2023-01-02T03:04:05Z", "syslog_host=host"][..], &expected].concat(),
        );
        check(&format!("some words {FIREWALL}"), &expected);
        check(
            r"CEF: 1|a\|b|c\\d||7|detected a \| in packet|Very-High",
            &[
                "cef_version=1",
                "device_vendor=a|b",
                r"device_product=c\d",
                "device_version=",
                "device_event_class_id=7",
                "name=detected a | in packet",
                "severity=Very-High",
            ],
        );
    }

    #[test]
    fn extensions() {
        check_extension("", &[]);
        check_extension(" ", &[]);
        check_extension(" a=b", &["a=b"]);
        check_extension("msg=two words  and more act=blocked", &["msg=two words  and more", "act=blocked"]);
        check_extension("cs1Label=Rule Name cs1=allow all", &["cs1Label=Rule Name", "cs1=allow all"]);
        check_extension("a= b=x c=", &["a=", "b=x", "c="]);
        check_extension(r"msg=1\=1 \\ done\nnext\r a=b", &["msg=1=1 \\ done\nnext\r", "a=b"]);
        check_extension(r"filePath=C:\Windows\System32 act=x", &[r"filePath=C:\Windows\System32", "act=x"]);
        check_extension("request=https://x.org/?q=1&r=2 act=x", &["request=https://x.org/?q=1&r=2", "act=x"]);
        check_extension("msg=see ?a=1 now act=x", &["msg=see ?a=1 now", "act=x"]);
        check_extension("ad.field[0]=x|y flex-2=é", &["ad.field[0]=x|y", "flex-2=é"]);
        check_extension("a=x\\", &["a=x\\"]);
    }

    #[test]
    fn what_is_not_cef() {
        check_fault("hello", "no CEF:0| in the line: \"hello\"");
        check_fault("CEF:x|a", "no CEF:0| in the line: \"CEF:x|a\"");
        check_fault("CEF:0|a|b", "the CEF header ends after 3 of its 7 fields, in device_product");
        check_fault("CEF:0|V|P|1|7|N|3|words", "the CEF extension at byte 18 does not begin with a key: \"words\"");
        check_fault(
            "CEF:0|V|P|1|7|N|3|words a=b",
            "the CEF extension at byte 18 does not begin with a key: \"words a=b\"",
        );
    }

    #[test]
    fn broken_lines_do_no_harm() {
        let escaped = r"<1>Jan  1 00:00:00 h CEF:0|a\|b|c\\|1|7|N é|3|msg=1\=1 \\ \n act= x=日本";
        never_panics(&[FIREWALL, escaped], |line| drop(parse(line, &mut Fields::new())));
    }
}
