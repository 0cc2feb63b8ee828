//! The `key=value` pairs of one line.

use std::borrow::Cow;
use streamalert_parser_sdk::Json;

/// Keys whose values the kernel writes in quotes, or in hexadecimal if a blank, a quote or a control character is in them.
/// Digits alone would not tell: `comm=CAFE` without quotes is encoded, `inode=1234` is not.
const ENCODED: [&str; 21] = [
    "acct",
    "cgroup",
    "cmd",
    "comm",
    "cwd",
    "data",
    "device",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new",
    "ocomm",
    "old",
    "path",
    "proctitle",
    "sw",
    "vm",
    "watch",
];

pub struct Fields<'a>(Vec<(&'a str, Value)>);

/// A value, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
}

impl Value {
    pub fn number(&self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl Json for Value {
    fn write(&self, out: &mut String) {
        match self {
            Value::Number(number) => number.write(out),
            Value::Text(text) => text.write(out),
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads the pairs of a line of `kind`. Words without `=` are passed over; of user messages (`msg='op=login …'`) the inner
    /// pairs count like the others.
    pub fn read(kind: &str, rest: &'a str) -> Self {
        let mut fields = Vec::new();
        let mut rest = rest;
        // What comes behind it is the same again, in words that ausearch would show.
        if let Some((raw, _)) = rest.split_once('\u{1d}') {
            rest = raw;
        }
        while let Some(word) = rest.find(|c: char| !c.is_whitespace() && c != '\'') {
            rest = &rest[word..];
            let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
            let key = &rest[..end];
            rest = &rest[end..];
            let Some(value) = rest.strip_prefix('=') else { continue };
            if key == "msg" && value.starts_with('\'') {
                rest = value;
                continue;
            }
            let quoted = value.strip_prefix('"').and_then(|inner| inner.split_once('"'));
            let value = match quoted {
                Some((inner, after)) => {
                    rest = after;
                    Value::Text(inner.to_owned())
                }
                None => {
                    let end = value.find(|c: char| c.is_whitespace() || c == '\'').unwrap_or(value.len());
                    rest = &value[end..];
                    plain(kind, key, &value[..end])
                }
            };
            fields.push((key, value));
        }
        Fields(fields)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The arguments of a program that was started, by number.
    pub fn args(&self) -> impl Iterator<Item = (usize, String)> {
        self.iter().filter_map(|(key, value)| Some((argument(key)?, value.text().into_owned())))
    }
}

/// `a0` is argument 0. A long one comes in pieces, `a1[0]`, which stay as they are.
fn argument(key: &str) -> Option<usize> {
    key.strip_prefix('a')?.parse().ok()
}

/// A value without quotes.
fn plain(kind: &str, key: &str, value: &str) -> Value {
    let encoded = ENCODED.contains(&key) || (kind == "EXECVE" && argument(key).is_some());
    match value {
        "(null)" => return Value::Text(String::new()),
        _ if encoded => return Value::Text(decoded(key, value).unwrap_or_else(|| value.to_owned())),
        _ => {}
    }
    // Arguments of a system call (`a0=7ffd…`) and ids of a kind are hexadecimal: no numbers to calculate with.
    let canonical = value.strip_prefix('-').unwrap_or(value);
    let number = !canonical.is_empty() && (canonical == "0" || !canonical.starts_with('0'));
    match value.parse::<i64>() {
        Ok(parsed) if number && argument(key).is_none() => Value::Number(parsed),
        _ => Value::Text(value.to_owned()),
    }
}

/// Hexadecimal digits as text. A title holds its arguments with a zero byte behind each.
fn decoded(key: &str, digits: &str) -> Option<String> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    let mut bytes: Vec<u8> = digits.as_bytes().chunks_exact(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect();
    if key == "proctitle" {
        bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, line: &str, expected: &str) {
        let fields = Fields::read(kind, line);
        let shown: Vec<String> = fields
            .iter()
            .map(|(key, value)| match value {
                Value::Number(number) => format!("{key}={number}"),
                Value::Text(text) => format!("{key}={text:?}"),
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn values_are_what_they_mean() {
        check(
            "SYSCALL",
            r#"exit=-13 a0=7ffd a1=10 comm="cat" key=(null)"#,
            r#"exit=-13 a0="7ffd" a1="10" comm="cat" key="""#,
        );
        check(
            "PATH",
            "name=2F746D702F612062 mode=0100644 inode=409248",
            r#"name="/tmp/a b" mode="0100644" inode=409248"#,
        );
        check("PROCTITLE", "proctitle=6361740061", r#"proctitle="cat a""#);
        check("EXECVE", r#"argc=2 a0="sh" a1=2D6320C3"#, "argc=2 a0=\"sh\" a1=\"-c \u{fffd}\"");
        // Not hexadecimal, so not encoded.
        check("CWD", "cwd=/root", r#"cwd="/root""#);
        check("X", "dev=08:02 exit=? big=99999999999999999999", r#"dev="08:02" exit="?" big="99999999999999999999""#);
    }

    #[test]
    fn messages_of_programs_are_opened() {
        check(
            "USER_LOGIN",
            r#"pid=1 msg='op=login id=1000 exe="/usr/sbin/sshd" addr=192.0.2.1 res=success'"#,
            r#"pid=1 op="login" id=1000 exe="/usr/sbin/sshd" addr="192.0.2.1" res="success""#,
        );
        check("X", "avc:  denied  { read } for pid=7\u{1d}UID=\"root\"", "pid=7");
        check("X", "", "");
        check("X", "a=\"open", "a=\"\\\"open\"");
    }
}
