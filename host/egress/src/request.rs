//! Is this a request, and may it be sent? Asked of each request, and of each place that an answer redirects it to.

use crate::address::{Reach, reach};
use crate::policy::Policy;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, header};
use std::net::IpAddr;
use streamalert_pipeline::plugin::{HttpFailure, HttpFailureKind as Kind, HttpRequest};
use url::{Host, Url};

/// Bytes of a URL: what servers take, and more than a signed query needs.
const URL_BYTES_MAX: usize = 16 << 10;
/// Headers of a request, and their bytes all together: what servers take.
const HEADERS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Headers that are about the connection, which is ours.
const OURS: [&str; 11] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// A request that may be sent.
pub struct Checked {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub target: Target,
}

/// Where a request may go.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: Url,
    pub origin: Origin,
    /// If the URL holds an address and no name.
    pub address: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub https: bool,
    /// An IPv6 address stands in brackets.
    pub host: String,
    pub port: u16,
}

impl Target {
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// As it stands in the `Host` header.
    pub fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.origin.host),
            None => self.origin.host.clone(),
        }
    }

    /// What stands in the request's first line.
    pub fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

pub fn forbidden(message: impl Into<String>) -> HttpFailure {
    HttpFailure { kind: Kind::Forbidden, message: message.into(), sent: false }
}

pub fn check(policy: &Policy, request: HttpRequest) -> Result<Checked, HttpFailure> {
    let method = match request.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" => Method::HEAD,
        _ => return Err(forbidden("the method is none of GET, POST, PUT, PATCH, DELETE, HEAD")),
    };
    let target = target(policy, &parse(&request.url)?)?;
    if request.body.len() > policy.request_bytes {
        let (bytes, limit) = (request.body.len(), policy.request_bytes);
        return Err(forbidden(format!("a body of {bytes} bytes; the limit is {limit}")));
    }
    let mut headers = HeaderMap::new();
    let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if request.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        let count = request.headers.len();
        return Err(forbidden(format!(
            "{count} headers of {bytes} bytes; the limits are {HEADERS_MAX} and {HEADER_BYTES_MAX}"
        )));
    }
    for (number, (name, value)) in request.headers.iter().enumerate() {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(forbidden(format!("header number {number} has no name that a header may have")));
        };
        if OURS.contains(&name.as_str()) {
            return Err(forbidden(format!("the header {name} is the host's to set")));
        }
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(forbidden(format!("the value of the header {name} holds control characters")));
        };
        headers.append(name, value);
    }
    if !headers.contains_key(header::USER_AGENT) {
        headers
            .insert(header::USER_AGENT, HeaderValue::from_static(concat!("StreamAlert/", env!("CARGO_PKG_VERSION"))));
    }
    if !headers.contains_key(header::ACCEPT) {
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    }
    // Some servers refuse to guess that there is no body.
    if request.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(Checked { method, headers, body: request.body.into(), target })
}

/// A URL by the rules that browsers have, but for what those mend in silence.
pub fn parse(text: &str) -> Result<Url, HttpFailure> {
    if text.len() > URL_BYTES_MAX {
        return Err(forbidden(format!("a URL of {} bytes; the limit is {URL_BYTES_MAX}", text.len())));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(forbidden("the URL holds a blank, a control character or a backslash"));
    }
    // What is wrong with it may be a secret; the kind of mistake is none.
    Url::parse(text).map_err(|error| forbidden(format!("the URL is none: {error}")))
}

/// Whether the URL may be called, as far as can be told before its name is resolved.
pub fn target(policy: &Policy, url: &Url) -> Result<Target, HttpFailure> {
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(forbidden("the URL is of another scheme than https and http")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(forbidden("the URL holds a user or password; put them into a header"));
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(forbidden("the URL names no host"));
    };
    let name = host.to_string();
    if !policy.permits(https, &host, port) {
        let scheme = if https { "" } else { "http://" };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        return Err(forbidden(format!("the host {scheme}{name}{port} is not permitted")));
    }
    let address = match host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    };
    if let Some(address) = address {
        permitted(policy, address).map_err(|what| unreachable_by_rule(&name, what))?;
    }
    let mut url = url.clone();
    url.set_fragment(None);
    Ok(Target { url, origin: Origin { https, host: name, port }, address })
}

/// Whether the address may be connected to; if not, what it is.
pub fn permitted(policy: &Policy, address: IpAddr) -> Result<(), Reach> {
    match reach(address) {
        Reach::Public => Ok(()),
        Reach::Private(_) if policy.private_networks => Ok(()),
        other => Err(other),
    }
}

pub fn unreachable_by_rule(host: &str, reach: Reach) -> HttpFailure {
    forbidden(match reach {
        Reach::Private(what) => format!("{host} is an address of {what}, and private networks are not permitted"),
        Reach::Never(what) => format!("{host} is an address of {what}, which nobody may call"),
        Reach::Public => format!("{host} may not be called"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::HostRule;

    fn policy() -> Policy {
        let hosts =
            ["api.example.com", "*.example.org:8443", "http://10.0.0.1", "127.0.0.1", "169.254.169.254", "[::1]"];
        Policy::new(hosts.iter().map(|host| HostRule::parse(host).unwrap()).collect())
    }

    fn request(url: &str) -> HttpRequest {
        HttpRequest { method: "POST".into(), url: url.into(), headers: vec![], body: vec![] }
    }

    #[track_caller]
    fn refused(request: HttpRequest, expected: &str) {
        match check(&policy(), request) {
            Ok(_) => panic!("it was taken; expected {expected:?}"),
            Err(failure) => {
                assert_eq!((failure.kind, failure.sent), (Kind::Forbidden, false));
                assert!(failure.message.contains(expected), "expected {expected:?}, found {:?}", failure.message);
                assert!(!failure.message.contains("s3cret"), "{}", failure.message);
            }
        }
    }

    #[test]
    fn a_good_request_passes() {
        let mut good = request("https://API.example.com/hook?a=b#part");
        good.headers.push(("X-Key".into(), "ü\tx".into()));
        let checked = check(&policy(), good).ok().unwrap();
        assert_eq!((checked.target.authority(), checked.target.path()), ("api.example.com".into(), "/hook?a=b".into()));
        assert!(checked.headers["user-agent"].to_str().unwrap().starts_with("StreamAlert/"));
        let checked = check(&policy(), request("https://a.example.org:8443")).ok().unwrap();
        assert_eq!((checked.target.authority(), checked.target.path()), ("a.example.org:8443".into(), "/".into()));
    }

    #[test]
    fn what_is_not_permitted_is_named_by_its_host_alone() {
        refused(request("https://other.example.com/s3cret?s3cret"), "the host other.example.com is not permitted");
        refused(request("http://api.example.com/s3cret"), "the host http://api.example.com is not permitted");
        refused(request("https://api.example.com:444/s3cret"), "the host api.example.com:444 is not permitted");
        refused(request("https://api.example.com./s3cret"), "the host api.example.com. is not permitted");
        refused(request("https://s3cret:s3cret@api.example.com/"), "holds a user or password");
        refused(request("https://s3cret@api.example.com/"), "holds a user or password");
        refused(request("ftp://api.example.com/s3cret"), "another scheme");
        refused(request("file:///etc/s3cret"), "another scheme");
        refused(request("data:s3cret"), "another scheme");
        refused(request("api.example.com/s3cret"), "the URL is none");
        refused(request("https://"), "the URL is none");
        refused(request("https://api.example.com:99999/s3cret"), "the URL is none");
        refused(request("https://api.example.com/s3cret\r\nX: y"), "holds a blank");
        refused(request("https://api.exam\tple.com/s3cret"), "holds a blank");
        refused(request(" https://api.example.com/s3cret"), "holds a blank");
        refused(request("https:\\\\api.example.com/s3cret"), "backslash");
        refused(request(&format!("https://api.example.com/{}", "x".repeat(20_000))), "a URL of 20024 bytes");
    }

    #[test]
    fn odd_spellings_of_addresses_are_the_addresses() {
        for url in [
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0177.0.0.1",
            "https://127.1",
            "https://0x7f.1",
            "https://①②⑦.0.0.1",
            "https://[::1]",
        ] {
            refused(request(url), "is an address of this machine, and private networks are not permitted");
        }
        refused(request("http://10.0.0.1/s3cret"), "10.0.0.1 is an address of a private network");
        let mut lan = policy();
        lan.private_networks = true;
        assert!(check(&lan, request("http://10.0.0.1")).is_ok() && check(&lan, request("https://127.1")).is_ok());
        for url in ["https://169.254.169.254/latest", "https://2852039166", "https://0xa9fea9fe"] {
            let failure = check(&lan, request(url)).err().unwrap();
            assert_eq!(
                failure.message,
                "169.254.169.254 is an address of a cloud's metadata service, which nobody may call"
            );
        }
        // Another spelling of the address is another host: the operator has not named it.
        assert!(check(&lan, request("https://[::ffff:169.254.169.254]")).is_err());
        assert!(check(&lan, request("https://[::ffff:127.0.0.1]")).is_err());
    }

    #[test]
    fn headers_cannot_reach_beyond_themselves() {
        let with = |name: &str, value: &str| {
            let mut request = request("https://api.example.com");
            request.headers.push((name.into(), value.into()));
            request
        };
        for name in
            ["Host", "content-length", "Connection", "TRANSFER-ENCODING", "Upgrade", "TE", "Proxy-Authorization"]
        {
            refused(with(name, "x"), "is the host's to set");
        }
        refused(with("X", "a\r\nHost: s3cret"), "the value of the header x holds control characters");
        refused(with("X", "a\nb"), "control characters");
        refused(with("X", "a\0b"), "control characters");
        refused(with("X: y\r\nZ", "1"), "header number 0 has no name");
        refused(with("", "1"), "header number 0 has no name");
        refused(with("Hëader", "1"), "header number 0 has no name");
        refused(with("X", &"x".repeat(70_000)), "1 headers of 70001 bytes");
    }

    #[test]
    fn methods_and_bodies_have_limits() {
        refused(HttpRequest { method: "CONNECT".into(), ..request("https://api.example.com") }, "the method is none");
        refused(HttpRequest { method: "get".into(), ..request("https://api.example.com") }, "the method is none");
        refused(
            HttpRequest { method: "GET / HTTP/1.1\r\n".into(), ..request("https://api.example.com") },
            "the method",
        );
        let large = HttpRequest { body: vec![0; (8 << 20) + 1], ..request("https://api.example.com") };
        refused(large, "a body of 8388609 bytes; the limit is 8388608");
    }
}
