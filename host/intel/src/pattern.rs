//! STIX patterns: which single values an indicator names. What asks for more than one value at once, or for anything else than
//! a value, is not guessed at.

use std::collections::BTreeSet;
use streamalert_pipeline::threat_intel::{Kind, Network, canonical, refanged};

/// What a pattern names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Type and value; any one of them alone is the indicator.
    pub values: BTreeSet<(String, String)>,
    /// What was not understood, or is no single value.
    pub left_out: BTreeSet<String>,
}

/// Levels of parentheses.
const DEPTH_MAX: usize = 32;
/// Bytes of a pattern.
const BYTES_MAX: usize = 1 << 20;

pub fn read(pattern: &str) -> Named {
    let mut named = Named::default();
    if pattern.len() > BYTES_MAX {
        named.left_out.insert("a pattern of more than 1 MiB".into());
        return named;
    }
    let parsed = tokens(pattern).and_then(|tokens| {
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        let parsed = parser.observations()?;
        match parser.peek() {
            None => Ok(parsed),
            Some(token) => Err(format!("`{}` after the pattern", token.text())),
        }
    });
    match parsed {
        Ok(Part::Any(values, left_out)) => {
            (named.values, named.left_out) = (values, left_out);
        }
        Err(why) => drop(named.left_out.insert(format!("no pattern: {why}"))),
    }
    named
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    Operator(String),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Token::Word(text) | Token::Operator(text) => text.clone(),
            Token::Text(text) => format!("'{text}'"),
            Token::Sign(sign) => sign.to_string(),
        }
    }

    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(text) if text.eq_ignore_ascii_case(word))
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => {}
            '\'' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        None => return Err("a text has no end".into()),
                        Some('\'') => break,
                        Some('\\') => text.extend(rest.next()),
                        Some(c) => text.push(c),
                    }
                }
                tokens.push(Token::Text(text));
            }
            '[' | ']' | '(' | ')' | ',' => tokens.push(Token::Sign(c)),
            '=' | '!' | '<' | '>' => {
                let mut operator = c.to_string();
                if rest.peek() == Some(&'=') {
                    operator.extend(rest.next());
                }
                tokens.push(Token::Operator(operator));
            }
            // A path, with quoted parts and list steps in it, or a word or number.
            c => {
                let mut word = c.to_string();
                let mut has_colon = c == ':';
                while let Some(next) = rest.peek().copied() {
                    match next {
                        '\'' if word.ends_with('.') || word.ends_with(':') => {
                            rest.next();
                            for c in rest.by_ref() {
                                if c == '\'' {
                                    break;
                                }
                                word.push(c);
                            }
                        }
                        '[' if has_colon => {
                            for c in rest.by_ref() {
                                word.push(c);
                                if c == ']' {
                                    break;
                                }
                            }
                        }
                        c if c.is_whitespace() || "[]()=!<>,'".contains(c) => break,
                        c => {
                            has_colon |= c == ':';
                            word.push(c);
                            rest.next();
                        }
                    }
                }
                // `t'2026-01-01T00:00:00Z'` is a time.
                if (word == "t" || word == "h" || word == "b") && rest.peek() == Some(&'\'') {
                    rest.next();
                    let text: String = rest.by_ref().take_while(|c| *c != '\'').collect();
                    tokens.push(Token::Text(text));
                    continue;
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Ok(tokens)
}

/// Of a part: the values of which each alone is enough, and what was left out.
enum Part {
    Any(BTreeSet<(String, String)>, BTreeSet<String>),
}

impl Part {
    fn left_out(what: impl Into<String>) -> Part {
        Part::Any(BTreeSet::new(), BTreeSet::from([what.into()]))
    }

    fn or(self, other: Part) -> Part {
        let (Part::Any(mut values, mut left), Part::Any(more, more_left)) = (self, other);
        values.extend(more);
        left.extend(more_left);
        Part::Any(values, left)
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(word));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        match self.takes(sign) {
            true => Ok(()),
            false => Err(match self.peek() {
                Some(token) => format!("`{}` where `{sign}` was expected", token.text()),
                None => format!("it ends where `{sign}` was expected"),
            }),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels"));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `[…] OR […]`; FOLLOWEDBY binds least, then OR, then AND.
    fn observations(&mut self) -> Result<Part, String> {
        let mut part = self.observation_or()?;
        while self.takes_word("FOLLOWEDBY") {
            self.observation_or()?;
            part = Part::left_out("FOLLOWEDBY: several things one after the other");
        }
        Ok(part)
    }

    fn observation_or(&mut self) -> Result<Part, String> {
        let mut part = self.observation_and()?;
        while self.takes_word("OR") {
            part = part.or(self.observation_and()?);
        }
        Ok(part)
    }

    fn observation_and(&mut self) -> Result<Part, String> {
        let mut part = self.observation()?;
        while self.takes_word("AND") {
            self.observation()?;
            part = Part::left_out("AND: several things at once");
        }
        Ok(part)
    }

    fn observation(&mut self) -> Result<Part, String> {
        let mut part = if self.takes('(') {
            let part = self.deeper(Self::observations)?;
            self.expect(')')?;
            part
        } else {
            self.expect('[')?;
            let part = self.deeper(Self::comparison_or)?;
            self.expect(']')?;
            part
        };
        while let Some(token) = self.peek().cloned() {
            let (words, name) = match &token {
                token if token.is("WITHIN") => (2, "WITHIN"),
                token if token.is("REPEATS") => (2, "REPEATS"),
                token if token.is("START") => (3, "START"),
                _ => break,
            };
            self.at += 1 + words;
            if self.at > self.tokens.len() {
                return Err(format!("{name} is not complete"));
            }
            part = Part::left_out(format!("{name}: more than one sight, or not at any time"));
        }
        Ok(part)
    }

    fn comparison_or(&mut self) -> Result<Part, String> {
        let mut part = self.comparison_and()?;
        while self.takes_word("OR") {
            part = part.or(self.comparison_and()?);
        }
        Ok(part)
    }

    fn comparison_and(&mut self) -> Result<Part, String> {
        let mut part = self.comparison()?;
        while self.takes_word("AND") {
            self.comparison()?;
            part = Part::left_out("AND: several things at once");
        }
        Ok(part)
    }

    fn comparison(&mut self) -> Result<Part, String> {
        if self.takes('(') {
            let part = self.deeper(Self::comparison_or)?;
            self.expect(')')?;
            return Ok(part);
        }
        let path = match self.peek().cloned() {
            Some(Token::Word(word)) => word,
            Some(token) => return Err(format!("`{}` where a path was expected", token.text())),
            None => return Err("it ends where a path was expected".into()),
        };
        self.at += 1;
        if path.eq_ignore_ascii_case("EXISTS") {
            self.at += 1;
            return Ok(Part::left_out("EXISTS"));
        }
        let negated = self.takes_word("NOT");
        let operator = match self.peek().cloned() {
            Some(Token::Operator(operator)) => operator,
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            _ => return Err(format!("no operator after `{path}`")),
        };
        self.at += 1;
        let mut values = Vec::new();
        if self.takes('(') {
            loop {
                values.push(self.value(&path)?);
                if !self.takes(',') {
                    break;
                }
            }
            self.expect(')')?;
        } else {
            values.push(self.value(&path)?);
        }
        if negated || !matches!(operator.as_str(), "=" | "==" | "IN" | "ISSUBSET") {
            let not = if negated { "NOT " } else { "" };
            return Ok(Part::left_out(format!("operator {not}{operator}")));
        }
        let mut part = Part::Any(BTreeSet::new(), BTreeSet::new());
        for value in values {
            part = part.or(named(&path, &value, operator == "ISSUBSET"));
        }
        Ok(part)
    }

    fn value(&mut self, path: &str) -> Result<String, String> {
        let value = match self.peek() {
            Some(Token::Text(text) | Token::Word(text)) => text.clone(),
            _ => return Err(format!("no value for `{path}`")),
        };
        self.at += 1;
        Ok(value)
    }
}

fn named(path: &str, value: &str, subset: bool) -> Part {
    let folded = path.to_ascii_lowercase().replace(['\'', '"'], "");
    let ioc_type = match folded.as_str() {
        "ipv4-addr:value" | "ipv6-addr:value" => "ip",
        "domain-name:value" => "domain",
        "url:value" => "url",
        "email-addr:value" | "email-message:from_ref.value" | "email-message:sender_ref.value" => "email",
        "file:name" => "filename",
        "mutex:name" => "mutex",
        "windows-registry-key:key" => "registry_key",
        "network-traffic:dst_ref.value" | "network-traffic:src_ref.value" => {
            if canonical(Kind::Ip, &refanged(Kind::Ip, value)).is_some() { "ip" } else { "domain" }
        }
        hash => match hash.strip_prefix("file:hashes.").map(|name| name.replace(['-', '_'], "")).as_deref() {
            Some("md5") => "md5",
            Some("sha1") => "sha1",
            Some("sha256") => "sha256",
            Some("sha512") => "sha512",
            _ => return Part::left_out(format!("path {}", path.chars().take(80).collect::<String>())),
        },
    };
    let kind = Kind::of(ioc_type);
    let value = refanged(kind, value);
    if subset && Network::parse(&value).is_none() {
        return Part::left_out("operator ISSUBSET of what is no network");
    }
    match canonical(kind, &value) {
        Some(value) => Part::Any(BTreeSet::from([(ioc_type.to_owned(), value)]), BTreeSet::new()),
        None => Part::left_out(format!("a value that is no {ioc_type}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, values: &[(&str, &str)], left_out: &[&str]) {
        let named = read(pattern);
        let found: Vec<(&str, &str)> =
            named.values.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect();
        assert_eq!(found, values, "{pattern}: {:?}", named.left_out);
        let told: Vec<&String> = named.left_out.iter().collect();
        assert_eq!(told.len(), left_out.len(), "{pattern}: {told:?}");
        for (told, part) in told.iter().zip(left_out) {
            assert!(told.contains(part), "{pattern}: {told:?}");
        }
    }

    #[test]
    fn single_values_are_named() {
        let (md5, sha) = ("a".repeat(32), "b".repeat(64));
        check("[ipv4-addr:value = '198.51.100.1']", &[("ip", "198.51.100.1")], &[]);
        check(
            "[ipv4-addr:value='198.51.100.1/32' OR ipv4-addr:value = '203.0.113.0/24']",
            &[("ip", "198.51.100.1"), ("ip", "203.0.113.0/24")],
            &[],
        );
        check(
            "[ipv6-addr:value = '2001:DB8::0:1'] OR [domain-name:value = 'Evil.com']",
            &[("domain", "evil.com"), ("ip", "2001:db8::1")],
            &[],
        );
        check("[url:value = 'http://x.example/a?b=\\'1\\'']", &[("url", "http://x.example/a?b='1'")], &[]);
        check(
            &format!("[file:hashes.'SHA-256' = '{sha}' OR file:hashes.MD5 = '{}']", md5.to_uppercase()),
            &[("md5", &md5), ("sha256", &sha)],
            &[],
        );
        check(&format!("[file:hashes.\"SHA-256\" = '{sha}']"), &[("sha256", &sha)], &[]);
        check("[domain-name:value IN ('a.com', 'b.com')]", &[("domain", "a.com"), ("domain", "b.com")], &[]);
        check("([email-addr:value = 'Eve@Evil.com'])", &[("email", "eve@evil.com")], &[]);
        check("[ipv4-addr:value ISSUBSET '10.0.0.0/8']", &[("ip", "10.0.0.0/8")], &[]);
        check("[network-traffic:dst_ref.value = 'c2.example']", &[("domain", "c2.example")], &[]);
    }

    #[test]
    fn what_is_no_single_value_is_left_out_and_told() {
        check("[domain-name:value = 'a.com' AND url:value = 'http://a.com/x']", &[], &["AND"]);
        check(
            "[domain-name:value = 'a.com' OR (url:value = 'http://a.com/x' AND file:name = 'x')]",
            &[("domain", "a.com")],
            &["AND"],
        );
        check("[domain-name:value = 'a.com'] FOLLOWEDBY [domain-name:value = 'b.com']", &[], &["FOLLOWEDBY"]);
        check("[domain-name:value = 'a.com'] REPEATS 5 TIMES WITHIN 1800 SECONDS", &[], &["WITHIN"]);
        check(
            "[ipv4-addr:value = '1.2.3.4'] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'",
            &[],
            &["START"],
        );
        check("[domain-name:value != 'a.com']", &[], &["operator !="]);
        check("[domain-name:value LIKE '%.evil.com' OR domain-name:value NOT = 'x']", &[], &["LIKE", "NOT ="]);
        check(
            "[process:command_line = 'x' OR ipv4-addr:value = '1.2.3.4']",
            &[("ip", "1.2.3.4")],
            &["path process:command_line"],
        );
        check("[ipv4-addr:value = 'not an address']", &[], &["no ip"]);
        check("[x509-certificate:extended_properties[0].value = 'x']", &[], &["path x509"]);
        for nonsense in [
            "",
            "[",
            "[]",
            "ipv4-addr:value = '1.2.3.4'",
            "[ipv4-addr:value = '1.2.3.4",
            "[ipv4-addr:value '1']",
            "[a:b = 'c'] x",
            "][",
        ] {
            check(nonsense, &[], &["no pattern"]);
        }
        check(&format!("{}[a:b = 'c']", "(".repeat(1000)), &[], &["levels"]);
    }

    #[test]
    fn long_patterns_cost_what_they_are_long() {
        let half = BYTES_MAX / 2 - 100;
        let since = std::time::Instant::now();
        for pattern in [
            format!("[url:value = 'hxxp://{}']", "(".repeat(2 * half)),
            format!("[{}:{} = 'x']", "a".repeat(half), "[x]".repeat(half / 3)),
            format!("[domain-name:value IN ({}'a.com')]", "'b.com',".repeat(2 * half / 8)),
        ] {
            let named = read(&pattern);
            assert!(named.left_out.iter().all(|why| !why.contains("MiB")), "{:?}", named.left_out);
        }
        // By looking for the end of each bracket, minutes.
        assert!(since.elapsed() < std::time::Duration::from_secs(30), "{:?}", since.elapsed());
    }
}
