//! The form in which values of a type are compared.

use super::address::Network;
use core::net::{IpAddr, SocketAddr};

/// Bytes of a value that is looked up: longer ones DynamoDB takes for no key.
const VALUE_BYTES_MAX: usize = 2048;

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
        Kind::Email => text.contains('@').then(|| text.to_lowercase())?,
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

fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_domain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | ':'));
    is_domain.then(|| text.to_lowercase())
}

/// Scheme and host in small letters, without what only browsers see.
fn url(text: &str) -> Option<String> {
    let text = text.split_once('#').map_or(text, |(url, _)| url);
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    if scheme.is_empty() || host.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    let path = if path == "/" { "" } else { path };
    Some(format!("{}://{}{path}", scheme.to_lowercase(), host.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (Kind::Domain, "", None),
            (Kind::Hash, &sha, Some(&*"a".repeat(64))),
            (Kind::Hash, "no hash!", None),
            (Kind::Url, "HTTP://Evil.com/", Some("http://evil.com")),
            (Kind::Url, "http://Evil.com/A?B=1#x", Some("http://evil.com/A?B=1")),
            (Kind::Url, "evil.com", None),
            (Kind::Email, "Eve@Evil.com", Some("eve@evil.com")),
            (Kind::Exact, "Mutex-A", Some("Mutex-A")),
        ] {
            assert_eq!(canonical(kind, text).as_deref(), value, "{text}");
        }
    }
}
