//! Grok: regular expressions put together from named ones, `%{IP:client} %{WORD:method} %{NUMBER:bytes:int}`.
//!
//! Expressions run without backtracking, so that no line takes longer than its length. What needs backtracking, such as
//! looking around, atomic groups, possessive repetition or back references, is refused when the pattern is compiled.

mod base;

use crate::{Fault, Fields, Value, excerpt, without_line_break};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Patterns within patterns. The base patterns need 6.
const DEPTH_MAX: usize = 32;
/// Bytes of a pattern with everything put in. The largest of the base patterns is below 10 KiB.
const EXPANDED_BYTES_MAX: usize = 256 << 10;
/// Bytes of a compiled pattern: a web server's line needs one megabyte.
const COMPILED_BYTES_MAX: usize = 32 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    integer: bool,
    /// Number of its group in the regular expression.
    group: usize,
}

impl Pattern {
    /// Definitions are patterns by name; they come before the base patterns of the same name. `%{NAME}`, `%{NAME:field}` and
    /// `%{NAME:field:type}` put one in; a named group `(?<field>…)` names a field too. The types `int`, `integer` and `long`
    /// give an integer where the text is one; all others leave text.
    pub fn compile(text: &str, definitions: &BTreeMap<String, String>) -> Result<Pattern, Fault> {
        let mut expansion =
            Expansion { definitions, open: Vec::new(), regex: String::new(), fields: Vec::new(), used: Vec::new() };
        expansion.expand(text)?;
        let regex = build(&expansion.regex).map_err(|problem| expansion.blame(&problem))?;
        if expansion.fields.is_empty() {
            return Err(Fault::new(format!("the grok pattern names no fields: {}", excerpt(text))));
        }
        let groups: Vec<Option<&str>> = regex.capture_names().collect();
        let mut fields = Vec::with_capacity(expansion.fields.len());
        for (index, (name, integer)) in expansion.fields.into_iter().enumerate() {
            let group = groups.iter().position(|group| *group == Some(group_name(index).as_str()));
            fields.extend(group.map(|group| Field { name, integer, group }));
        }
        Ok(Pattern { regex, fields })
    }

    /// Appends the fields that the first match has. A field named twice comes twice; one whose part of the pattern was not
    /// needed does not come.
    pub fn parse<'a>(&'a self, line: &'a str, out: &mut Fields<'a>) -> Result<(), Fault> {
        let line = without_line_break(line);
        let mut places = self.regex.capture_locations();
        if self.regex.captures_read(&mut places, line).is_none() {
            return Err(Fault::new(format!("the grok pattern does not match: {}", excerpt(line))));
        }
        for field in &self.fields {
            if let Some((start, end)) = places.get(field.group) {
                let text = &line[start..end];
                let value = match text.parse() {
                    Ok(number) if field.integer => Value::Integer(number),
                    _ => Value::from(text),
                };
                out.push((Cow::Borrowed(&field.name), value));
            }
        }
        Ok(())
    }
}

/// Fields have names that groups cannot have, and the same name more than once.
fn group_name(index: usize) -> String {
    format!("field{index}")
}

/// In words, without the expression itself, which nobody wrote in this form.
fn build(regex: &str) -> Result<Regex, String> {
    RegexBuilder::new(regex).size_limit(COMPILED_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("compiled, it takes more than {} MiB", COMPILED_BYTES_MAX >> 20),
        error => {
            let text = error.to_string();
            let problem = text.lines().last().unwrap_or_default();
            problem.strip_prefix("error: ").unwrap_or(problem).to_owned()
        }
    })
}

struct Expansion<'d> {
    definitions: &'d BTreeMap<String, String>,
    /// The names that are being put in, the innermost last.
    open: Vec<&'d str>,
    regex: String,
    /// Name, and whether an integer is wanted.
    fields: Vec<(String, bool)>,
    /// Names that were put in, with what they became, the innermost first.
    used: Vec<(&'d str, String)>,
}

impl<'d> Expansion<'d> {
    fn fault(&self, problem: impl std::fmt::Display) -> Fault {
        match self.open.last() {
            Some(name) => Fault::new(format!("grok pattern {name}: {problem}")),
            None => Fault::new(format!("grok pattern: {problem}")),
        }
    }

    /// The whole does not compile: says which part is to blame.
    fn blame(&self, problem: &str) -> Fault {
        match self.used.iter().find_map(|(name, regex)| Some((name, build(regex).err()?))) {
            Some((name, problem)) => Fault::new(format!("grok pattern {name}: {problem}")),
            None => self.fault(problem),
        }
    }

    fn expand(&mut self, text: &str) -> Result<(), Fault> {
        if self.open.len() > DEPTH_MAX {
            return Err(self.fault(format_args!("more than {DEPTH_MAX} patterns within one another")));
        }
        // How many brackets of a character class are open; in one, only escapes and brackets mean something.
        let mut class = 0usize;
        let mut repeated = false;
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if self.regex.len() > EXPANDED_BYTES_MAX {
                return Err(self.fault(format_args!(
                    "with all patterns put in, it is longer than {} KiB",
                    EXPANDED_BYTES_MAX >> 10
                )));
            }
            let was_repeated = std::mem::take(&mut repeated);
            let length = match character {
                '\\' => self.escape(rest)?,
                '[' if class == 0 => {
                    class = 1;
                    // A closing bracket that comes first is one of the class.
                    ["[^]", "[]", "[^"].into_iter().find(|start| rest.starts_with(start)).map_or(1, str::len)
                }
                '[' => {
                    class += 1;
                    1
                }
                ']' => {
                    class = class.saturating_sub(1);
                    1
                }
                _ if class > 0 => character.len_utf8(),
                '%' if rest.starts_with("%{") => {
                    rest = self.reference(rest)?;
                    continue;
                }
                '(' if rest.starts_with("(?") => {
                    rest = self.group(rest)?;
                    continue;
                }
                '+' if was_repeated => {
                    return Err(self.fault("possessive repetition (as in *+) is not supported: it needs backtracking"));
                }
                '*' | '+' | '?' | '}' => {
                    repeated = true;
                    1
                }
                _ => character.len_utf8(),
            };
            self.regex.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        Ok(())
    }

    fn escape(&self, rest: &str) -> Result<usize, Fault> {
        match rest[1..].chars().next() {
            Some('1'..='9' | 'k') => Err(self.fault("back references are not supported: they need backtracking")),
            Some(character) => Ok(1 + character.len_utf8()),
            None => Err(self.fault("it ends with a backslash")),
        }
    }

    /// `(?…`: names are replaced, and what the engine does not do is refused.
    fn group<'t>(&mut self, rest: &'t str) -> Result<&'t str, Fault> {
        for (sign, what) in [
            ("(?=", "looking ahead"),
            ("(?!", "looking ahead"),
            ("(?<=", "looking behind"),
            ("(?<!", "looking behind"),
            ("(?>", "an atomic group"),
            ("(?(", "a condition"),
        ] {
            if rest.starts_with(sign) {
                return Err(self.fault(format_args!("{what}, {sign}…), is not supported: it needs backtracking")));
            }
        }
        for (sign, end) in [("(?<", '>'), ("(?P<", '>'), ("(?'", '\'')] {
            if let Some(named) = rest.strip_prefix(sign) {
                let Some((name, after)) = named.split_once(end).filter(|(name, _)| !name.is_empty()) else {
                    return Err(self.fault("a group without a name"));
                };
                self.open_field(name, false);
                return Ok(after);
            }
        }
        self.regex.push_str("(?");
        Ok(&rest[2..])
    }

    fn open_field(&mut self, name: &str, integer: bool) {
        self.regex.push_str("(?P<");
        self.regex.push_str(&group_name(self.fields.len()));
        self.regex.push('>');
        self.fields.push((name.to_owned(), integer));
    }

    /// `%{NAME:field:type}`.
    fn reference<'t>(&mut self, rest: &'t str) -> Result<&'t str, Fault> {
        let Some((inside, after)) = rest[2..].split_once('}') else {
            return Err(self.fault(format_args!("%{{ without }}: {}", excerpt(rest))));
        };
        let mut parts = inside.split(':');
        let (name, field, kind) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if parts.next().is_some() || field == Some("") {
            return Err(
                self.fault(format_args!("%{{{inside}}} is not %{{NAME}}, %{{NAME:field}} or %{{NAME:field:type}}"))
            );
        }
        let integer = match kind {
            Some("int" | "integer" | "long") => true,
            None | Some("float" | "double" | "string" | "text" | "boolean") => false,
            Some(kind) => {
                return Err(
                    self.fault(format_args!("%{{{inside}}}: the type {kind} is not int, float, string or boolean"))
                );
            }
        };
        let definitions = self.definitions;
        let own = definitions.get_key_value(name).map(|(name, pattern)| (name.as_str(), pattern.as_str()));
        let Some((name, pattern)) = own.or_else(|| base::PATTERNS.iter().copied().find(|(base, _)| *base == name))
        else {
            return Err(self.fault(format_args!("there is no pattern {name}")));
        };
        if self.open.contains(&name) {
            return Err(self.fault(format_args!("{name} contains itself: {} -> {name}", self.open.join(" -> "))));
        }
        match field {
            Some(field) => self.open_field(field, integer),
            None => self.regex.push_str("(?:"),
        }
        let start = self.regex.len();
        self.open.push(name);
        self.expand(pattern)?;
        self.open.pop();
        if !self.used.iter().any(|(used, _)| *used == name) {
            self.used.push((name, self.regex[start..].to_owned()));
        }
        self.regex.push(')');
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{describe, never_panics};

    fn definitions(own: &[(&str, &str)]) -> BTreeMap<String, String> {
        own.iter().map(|(name, pattern)| (String::from(*name), String::from(*pattern))).collect()
    }

    fn check_with(own: &[(&str, &str)], pattern: &str, line: &str, expected: &[&str]) {
        let pattern = Pattern::compile(pattern, &definitions(own)).unwrap();
        let mut out = Fields::new();
        assert_eq!(pattern.parse(line, &mut out), Ok(()), "{line:?}");
        assert_eq!(describe(&out), expected, "{line:?}");
    }

    fn check(pattern: &str, line: &str, expected: &[&str]) {
        check_with(&[], pattern, line, expected);
    }

    fn check_fault(own: &[(&str, &str)], pattern: &str, fault: &str) {
        let compiled = Pattern::compile(pattern, &definitions(own));
        assert_eq!(compiled.map(|_| ()), Err(Fault::new(fault)), "{pattern:?}");
    }

    #[test]
    fn fields() {
        check(
            "%{IP:client} %{WORD:method} %{URIPATHPARAM:request} %{NUMBER:bytes:int} %{NUMBER:duration:float}",
            "55.3.244.1 GET /index.html?a=1 15824 0.043\n",
            &["client=55.3.244.1", "method=GET", "request=/index.html?a=1", "bytes=15824", "duration=0.043"],
        );
        check(
            "%{WORD:@timestamp} %{WORD:a-b} %{WORD:[http][x]} %{WORD:é.ü}",
            "a b c d",
            &["@timestamp=a", "a-b=b", "[http][x]=c", "é.ü=d"],
        );
        check("(?<user-name>[a-z]+)=(?P<v>%{INT:n:int})", "xx ann=12", &["user-name=ann", "v=12", "n=12"]);
        check("%{WORD:a}(?: %{WORD:b})?", "x", &["a=x"]);
        check("(?:a%{INT:n}|b%{INT:n})", "b7", &["n=7"]);
        check(r"\[%{DATA:a}\] [^]%{]+%{GREEDYDATA:b}", "[x y] abc}%{d", &["a=x y", "b=%{d"]);
        check("%{NUMBER:n:int}", "1.5", &["n=1.5"]);
    }

    #[test]
    fn own_definitions() {
        let own =
            [("QUEUE", "[0-9A-F]{10,11}"), ("LINE", "%{QUEUE:queue}: %{REST:rest}"), ("REST", "a|b"), ("WORD", "W+")];
        check_with(&own, "%{LINE} %{WORD:w}", "BEF25A72965: b WW", &["queue=BEF25A72965", "rest=b", "w=WW"]);
    }

    #[test]
    fn integers() {
        let pattern = Pattern::compile("%{INT:a:int} %{INT:b}", &BTreeMap::new()).unwrap();
        let mut out = Fields::new();
        pattern.parse("7 8", &mut out).unwrap();
        assert_eq!(out[0].1, Value::Integer(7));
        assert_eq!(out[1].1, Value::from("8"));
        out.clear();
        pattern.parse("99999999999999999999 8", &mut out).unwrap();
        assert_eq!(out[0].1, Value::from("99999999999999999999"));
    }

    #[test]
    fn base_patterns_take_what_they_are_for() {
        for (name, text) in [
            ("IP", "10.0.0.255"),
            ("IP", "fe80::1"),
            ("IP", "::1"),
            ("IP", "::"),
            ("IP", "2001:db8:0:0:1::2"),
            ("IP", "1:2:3:4:5:6:7:8"),
            ("IP", "2001:db8::"),
            ("IP", "::ffff:10.0.0.1"),
            ("IP", "fe80::a:b%eth0"),
            ("HOSTNAME", "web-1.example.com"),
            ("HOSTPORT", "web-1.example.com:8080"),
            ("EMAILADDRESS", "ann.b+c@example.com"),
            ("QS", r#""a \"b\" c""#),
            ("UUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            ("MAC", "00:1B:44:11:3a:b7"),
            ("MAC", "001B.4411.3ab7"),
            ("MAC", "00-1B-44-11-3A-B7"),
            ("PATH", "/usr/local/bin"),
            ("PATH", r"C:\Windows\System32\cmd.exe"),
            ("URI", "https://ann:x@example.com:8443/a/b?c=d&e=[f]"),
            ("URI", "http://[::1]:80/"),
            ("TIMESTAMP_ISO8601", "2023-01-02T03:04:05.678+01:00"),
            ("TIMESTAMP_ISO8601", "2023-01-02 03:04:05,678"),
            ("HTTPDATE", "10/Oct/2000:13:55:36 -0700"),
            ("SYSLOGTIMESTAMP", "Jan  1 00:00:00"),
            ("DATESTAMP", "01/02/2023 03:04:05"),
            ("DATESTAMP_RFC822", "Mon Jan 2 2023 03:04:05 UTC"),
            ("DATESTAMP_RFC2822", "Mon, 2 Jan 2023 03:04:05 +0100"),
            ("DATESTAMP_OTHER", "Mon Jan 2 03:04:05 UTC 2023"),
            ("DATESTAMP_EVENTLOG", "20230102030405"),
            ("HTTPDERROR_DATE", "Mon Jan 02 03:04:05.123 2023"),
            ("MONTH", "September"),
            ("LOGLEVEL", "WARNING"),
            ("LOGLEVEL", "info"),
            ("NUMBER", "-1.5"),
            ("BASE16NUM", "0xdeadBEEF"),
            ("TTY", "/dev/pts/3"),
        ] {
            check(&format!("^%{{{name}:x}}$"), text, &[&format!("x={text}")]);
        }
        for (name, text) in [
            ("IPV4", "256.1.1.1"),
            ("IPV6", "1:2:3"),
            ("POSINT", "0"),
            ("MONTHNUM", "13"),
            ("HOUR", "24"),
            ("UUID", "6ba7"),
        ] {
            let pattern = Pattern::compile(&format!("^%{{{name}:x}}$"), &BTreeMap::new()).unwrap();
            let faulty = pattern.parse(text, &mut Fields::new());
            assert_eq!(faulty, Err(Fault::new(format!("the grok pattern does not match: {text:?}"))), "{name}");
        }
    }

    #[test]
    fn every_base_pattern_compiles() {
        for (name, _) in base::PATTERNS {
            Pattern::compile(&format!("%{{{name}:x}}"), &BTreeMap::new()).unwrap();
        }
    }

    #[test]
    fn whole_lines() {
        check(
            "%{COMBINEDAPACHELOG}",
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#,
            &[
                "clientip=127.0.0.1",
                "ident=-",
                "auth=frank",
                "timestamp=10/Oct/2000:13:55:36 -0700",
                "verb=GET",
                "request=/apache_pb.gif",
                "httpversion=1.0",
                "response=200",
                "bytes=2326",
                "referrer=http://www.example.com/start.html",
                "agent=Mozilla/4.08 [en] (Win98; I ;Nav)",
            ],
        );
        check(
            "%{COMMONAPACHELOG}",
            r#"example.com - - [10/Oct/2000:13:55:36 -0700] "\x16\x03 x" 400 -"#,
            &[
                "clientip=example.com",
                "ident=-",
                "auth=-",
                "timestamp=10/Oct/2000:13:55:36 -0700",
                r"rawrequest=\x16\x03 x",
                "response=400",
            ],
        );
        check(
            "%{SYSLOGLINE}",
            "Jan  2 03:04:05 web-1 sshd[12]: Accepted publickey",
            &["timestamp=Jan  2 03:04:05", "logsource=web-1", "program=sshd", "pid=12", "message=Accepted publickey"],
        );
    }

    #[test]
    fn patterns_that_cannot_be() {
        check_fault(&[], "%{NOPE:x}", "grok pattern: there is no pattern NOPE");
        check_fault(&[("A", "%{NOPE}")], "%{A:x}", "grok pattern A: there is no pattern NOPE");
        check_fault(&[("A", "%{B}"), ("B", "x%{A}")], "%{A:x}", "grok pattern B: A contains itself: A -> B -> A");
        check_fault(&[("A", "%{A}")], "%{A:x}", "grok pattern A: A contains itself: A -> A");
        check_fault(
            &[("A", "(?<![0-9])1")],
            "%{A:x}",
            "grok pattern A: looking behind, (?<!…), is not supported: it needs backtracking",
        );
        check_fault(
            &[],
            "(?>a)%{INT:x}",
            "grok pattern: an atomic group, (?>…), is not supported: it needs backtracking",
        );
        check_fault(
            &[],
            "a*+%{INT:x}",
            "grok pattern: possessive repetition (as in *+) is not supported: it needs backtracking",
        );
        check_fault(
            &[("A", r"(.)\1")],
            "%{A:x}",
            "grok pattern A: back references are not supported: they need backtracking",
        );
        check_fault(&[("A", "(a")], "%{INT} %{A:x}", "grok pattern A: unclosed group");
        check_fault(&[], "(%{INT:x}", "grok pattern: unclosed group");
        check_fault(&[], "%{INT:x", "grok pattern: %{ without }: \"%{INT:x\"");
        check_fault(
            &[],
            "%{INT:x:date}",
            "grok pattern: %{INT:x:date}: the type date is not int, float, string or boolean",
        );
        check_fault(
            &[],
            "%{INT:x:int:y}",
            "grok pattern: %{INT:x:int:y} is not %{NAME}, %{NAME:field} or %{NAME:field:type}",
        );
        check_fault(&[], "%{INT}", "the grok pattern names no fields: \"%{INT}\"");
        check_fault(&[], "a\\", "grok pattern: it ends with a backslash");
        check_fault(&[], "(?<>a)", "grok pattern: a group without a name");
        let tens: Vec<(String, String)> =
            (0..9).map(|n| (format!("D{n}"), format!("%{{D{}}}", n + 1).repeat(10))).collect();
        let mut tens: Vec<(&str, &str)> =
            tens.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str())).collect();
        tens.push(("D9", "x"));
        let bomb = Pattern::compile("%{D0:x}", &definitions(&tens)).map(|_| ());
        assert!(matches!(&bomb, Err(Fault(text)) if text.ends_with("it is longer than 256 KiB")), "{bomb:?}");
        let chain: Vec<(String, String)> = (0..100).map(|n| (format!("C{n}"), format!("%{{C{}}}", n + 1))).collect();
        let chain: Vec<(&str, &str)> = chain.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str())).collect();
        let deep = Pattern::compile("%{C0:x}", &definitions(&chain)).map(|_| ());
        assert_eq!(deep, Err(Fault::new("grok pattern C32: more than 32 patterns within one another")));
    }

    #[test]
    fn broken_lines_and_patterns_do_no_harm() {
        let pattern = Pattern::compile("%{SYSLOGLINE}", &BTreeMap::new()).unwrap();
        never_panics(&["Jan  2 03:04:05 web-1 sshd[12]: é日本"], |line| {
            drop(pattern.parse(line, &mut Fields::new()))
        });
        never_panics(&[r"a%{INT:é:int}[^]x](?<n>\d*)(?i:b)+\["], |text| {
            drop(Pattern::compile(text, &BTreeMap::new()))
        });
    }
}
