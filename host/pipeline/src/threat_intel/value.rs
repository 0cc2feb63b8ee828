//! The form in which values of a type are compared.

use super::address::Network;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::borrow::Cow;

/// Bytes of a name, and of a part of one, as DNS has them.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
/// Bytes of a value that is looked up: longer ones DynamoDB takes for no key.
const VALUE_BYTES_MAX: usize = 2048;
/// Bytes from a bracket that was put around a sign to the one that closes it: `[ dot ]`.
const BRACKETS_BYTES_MAX: usize = 16;

/// What values of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ip,
    Domain,
    Url,
    Hash,
    Email,
    /// Anything else: compared as it is.
    Exact,
}

impl Kind {
    /// By the type's name: `ip`, `ipv4-addr`, `domain`, `hostname`, `url`, `md5`, `sha256`, `email`, …
    pub fn of(name: &str) -> Kind {
        let name = name.to_ascii_lowercase();
        let is = |part: &str| name.contains(part);
        match name.as_str() {
            _ if is("url") || is("uri") => Kind::Url,
            _ if is("email") => Kind::Email,
            _ if is("md5") || is("sha") || is("hash") => Kind::Hash,
            _ if is("domain") || is("hostname") || is("fqdn") => Kind::Domain,
            "ip" | "ips" | "ipv4" | "ipv6" | "address" | "cidr" => Kind::Ip,
            _ if name.starts_with("ip_")
                || name.starts_with("ip-")
                || name.ends_with("_ip")
                || name.ends_with("-ip") =>
            {
                Kind::Ip
            }
            _ if name.starts_with("ipv4") || name.starts_with("ipv6") => Kind::Ip,
            _ => Kind::Exact,
        }
    }

    /// Whether an indicator of the other kind says something about a value of this one.
    pub fn fits(self, other: Kind) -> bool {
        self == other || self == Kind::Exact || other == Kind::Exact
    }

    /// Case does not count.
    pub fn folds(self) -> bool {
        matches!(self, Kind::Ip | Kind::Domain | Kind::Hash | Kind::Email)
    }
}

/// A value in the form in which it is compared; `None` if it is none of its kind. Networks stand for themselves.
pub fn canonical(kind: Kind, text: &str) -> Option<String> {
    let text = text.trim();
    let value = match kind {
        Kind::Ip => address(text)?,
        Kind::Domain => domain(text)?,
        Kind::Url => url(text)?,
        Kind::Hash => {
            let is_hash = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hash.then(|| text.to_ascii_lowercase())?
        }
        Kind::Email => email(text)?,
        Kind::Exact => text.to_owned(),
    };
    (!value.is_empty() && value.len() <= VALUE_BYTES_MAX).then_some(value)
}

/// `192.0.2.7`, `[2001:db8::1]`, `fe80::1%eth0`, with or without a port.
fn address(text: &str) -> Option<String> {
    if let Some(network) = Network::parse(text) {
        return Some(network.to_string());
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip().to_canonical().to_string());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    Some(bare.parse::<IpAddr>().ok()?.to_canonical().to_string())
}

/// Letters, digits and hyphens, also those of other scripts, and the `_` of service names.
fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (!c.is_ascii() && is_word(c));
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(is_letter)
    };
    // What ends in a number is an address, or was meant to be one.
    let is_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_domain = text.len() <= NAME_BYTES_MAX && !is_number && text.split('.').all(is_label);
    is_domain.then(|| text.to_lowercase())
}

/// A letter or digit, or a mark that scripts join to one.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || !(c.is_control() || c.is_whitespace() || is_sign(c))
}

/// Signs that look like parts of other texts: quotes, dashes, full stops, brackets.
fn is_sign(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}'
        | '\u{fe10}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}')
        && c != '\u{200c}'
        && c != '\u{200d}'
        && c != '\u{b7}'
}

fn email(text: &str) -> Option<String> {
    let (local, host) = text.rsplit_once('@')?;
    let is_local = !local.is_empty() && !local.contains(|c: char| c.is_whitespace() || c.is_control());
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match literal {
        Some(literal) => literal.trim_start_matches("IPv6:").parse::<IpAddr>().is_ok(),
        None => domain(host).is_some(),
    };
    (is_local && is_host).then(|| text.to_lowercase())
}

/// Scheme and host in small letters, without what only browsers see.
fn url(text: &str) -> Option<String> {
    let text = text.split_once('#').map_or(text, |(url, _)| url);
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if scheme.is_empty() || !is_host(host) || text.contains(char::is_whitespace) {
        return None;
    }
    let path = if path == "/" { "" } else { path };
    Some(format!("{}://{}{path}", scheme.to_lowercase(), host.to_lowercase()))
}

/// `user@host:port`, whose host is a domain or an address.
fn is_host(text: &str) -> bool {
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_port && address.parse::<Ipv6Addr>().is_ok();
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    is_port(port) && (host.parse::<IpAddr>().is_ok() || domain(host).is_some())
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What was written so that nobody would follow it, as it was: `hxxps://evil[.]com`, `eve[at]evil(dot)com`.
pub fn refanged(kind: Kind, text: &str) -> Cow<'_, str> {
    const SIGNS: [(&str, &str); 3] = [(".", "."), ("dot", "."), ("at", "@")];
    let is_plain = !text.contains(['[', '(', '{']) && !text.trim_start().get(..3).is_some_and(is_masked);
    if is_plain || !matches!(kind, Kind::Ip | Kind::Domain | Kind::Url | Kind::Email) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.trim();
    if rest.get(..3).is_some_and(is_masked) {
        // `hxxp`, `hXXps`, `fxp`: letters stand for those of the scheme.
        let end = if rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("hxxp")) { 4 } else { 3 };
        let scheme = if end == 4 { "http" } else { "ftp" };
        let after = &rest[end..];
        let follows = after.strip_prefix(['s', 'S']).unwrap_or(after);
        if follows.starts_with([':', '[', '(', '{']) {
            plain.push_str(scheme);
            rest = after;
        }
    }
    'next: while let Some(c) = rest.chars().next() {
        let close = match c {
            '[' => b']',
            '(' => b')',
            '{' => b'}',
            _ => 0,
        };
        if close != 0
            && let Some(end) = rest.bytes().take(BRACKETS_BYTES_MAX).position(|byte| byte == close)
        {
            let inner = rest[1..end].trim();
            let sign = match inner {
                ":" | "://" | "@" => Some(inner),
                _ => SIGNS.iter().find(|(word, _)| inner.eq_ignore_ascii_case(word)).map(|(_, sign)| *sign),
            };
            if let Some(sign) = sign {
                plain.push_str(sign);
                rest = &rest[end + 1..];
                continue 'next;
            }
        }
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(plain)
}

fn is_masked(start: &str) -> bool {
    start.eq_ignore_ascii_case("hxx") || start.eq_ignore_ascii_case("fxp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_defanged_is_what_it_was() {
        for (kind, text, plain) in [
            (Kind::Domain, "EVIL[.]com", "EVIL.com"),
            (Kind::Domain, "a(.)evil{.}com", "a.evil.com"),
            (Kind::Domain, "evil[dot]com", "evil.com"),
            (Kind::Url, "hxxps://evil[.]com/x(1)?y=[z]", "https://evil.com/x(1)?y=[z]"),
            (Kind::Url, "hXXp[:]//evil.com", "http://evil.com"),
            (Kind::Url, "hxxp[://]evil.com", "http://evil.com"),
            (Kind::Url, "fxp://evil.com", "ftp://evil.com"),
            (Kind::Url, "http://[2001:db8::1]/", "http://[2001:db8::1]/"),
            (Kind::Ip, "192[.]0[.]2[.]7", "192.0.2.7"),
            (Kind::Ip, "[::]", "[::]"),
            (Kind::Email, "eve[at]evil[.]com", "eve@evil.com"),
            (Kind::Domain, "hxxp.example", "hxxp.example"),
            (Kind::Exact, "Mutex[.]1", "Mutex[.]1"),
            (Kind::Domain, "evil[.", "evil[."),
            (Kind::Domain, "evil[ dot ]com", "evil.com"),
            (Kind::Domain, "evil[ü]com[.]", "evil[ü]com."),
        ] {
            assert_eq!(refanged(kind, text), plain, "{text}");
        }
    }

    #[test]
    fn brackets_without_an_end_cost_no_more_than_other_signs() {
        // By looking for the end of each, this took minutes.
        for sign in ["(", "[", "{", "[x", "(]"] {
            let text = format!("hxxp://{}", sign.repeat(1_000_000 / sign.len()));
            assert_eq!(refanged(Kind::Url, &text).len(), text.len());
        }
    }

    #[test]
    fn kinds_go_by_names() {
        for (name, kind) in [
            ("ip", Kind::Ip),
            ("ipv6-addr", Kind::Ip),
            ("source_ip", Kind::Ip),
            ("domain", Kind::Domain),
            ("hostname", Kind::Domain),
            ("md5", Kind::Hash),
            ("SHA-256", Kind::Hash),
            ("file_hash", Kind::Hash),
            ("url", Kind::Url),
            ("email", Kind::Email),
            ("mutex", Kind::Exact),
            ("zip", Kind::Exact),
        ] {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn equal_values_have_equal_texts() {
        let sha = "A".repeat(64);
        for (kind, text, value) in [
            (Kind::Ip, "192.0.2.7", Some("192.0.2.7")),
            (Kind::Ip, " 192.0.2.7:443 ", Some("192.0.2.7")),
            (Kind::Ip, "::FFFF:192.0.2.7", Some("192.0.2.7")),
            (Kind::Ip, "2001:0DB8:0000::0001", Some("2001:db8::1")),
            (Kind::Ip, "[2001:db8::1]:80", Some("2001:db8::1")),
            (Kind::Ip, "[2001:db8::1]", Some("2001:db8::1")),
            (Kind::Ip, "fe80::1%eth0", Some("fe80::1")),
            (Kind::Ip, "x.amazonaws.com", None),
            (Kind::Ip, "1.2.3", None),
            (Kind::Domain, "Evil.COM.", Some("evil.com")),
            (Kind::Domain, "evil.com/x", None),
            (Kind::Domain, "_dmarc.Evil.com", Some("_dmarc.evil.com")),
            (Kind::Domain, "xn--mnchen-3ya.de", Some("xn--mnchen-3ya.de")),
            (Kind::Domain, "München.de", Some("münchen.de")),
            (Kind::Domain, "कम्पनी.भारत", Some("कम्पनी.भारत")),
            (Kind::Domain, "<html>", None),
            (Kind::Domain, "EVIL[.]com", None),
            (Kind::Domain, "300.1.1.1", None),
            (Kind::Domain, "1.2.3.4", None),
            (Kind::Domain, "a..b", None),
            (Kind::Domain, "-a.com", None),
            (Kind::Domain, "*.evil.com", None),
            (Kind::Domain, "“evil”.com", None),
            (Kind::Domain, "", None),
            (Kind::Hash, &sha, Some(&*"a".repeat(64))),
            (Kind::Hash, "no hash!", None),
            (Kind::Url, "HTTP://Evil.com/", Some("http://evil.com")),
            (Kind::Url, "http://Evil.com/A?B=1#x", Some("http://evil.com/A?B=1")),
            (Kind::Url, "evil.com", None),
            (Kind::Url, "http://u:p@Evil.com:8080/x", Some("http://u:p@evil.com:8080/x")),
            (Kind::Url, "https://[2001:DB8::1]:443/x", Some("https://[2001:db8::1]:443/x")),
            (Kind::Url, "http://192.0.2.7/x", Some("http://192.0.2.7/x")),
            (Kind::Url, "http://300.1.1.1/x", None),
            (Kind::Url, "http://evil[.]com/x", None),
            (Kind::Url, "http://evil.com:port/", None),
            (Kind::Email, "Eve@Evil.com", Some("eve@evil.com")),
            (Kind::Email, "eve@[192.0.2.7]", Some("eve@[192.0.2.7]")),
            (Kind::Email, "@evil.com", None),
            (Kind::Email, "eve@evil[.]com", None),
            (Kind::Exact, "Mutex-A", Some("Mutex-A")),
        ] {
            assert_eq!(canonical(kind, text).as_deref(), value, "{text}");
        }
    }
}
