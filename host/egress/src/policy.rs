//! Which hosts may be called: those that the component names and the operator permits, both.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use url::{Host, Url};

/// Bytes of an answer that are kept.
pub const RESPONSE_BYTES: usize = 1 << 20;
/// Bytes of a request's body.
pub const REQUEST_BYTES: usize = 8 << 20;
/// How long a whole delivery may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// What one descriptor may do.
#[derive(Clone, Debug)]
pub struct Policy {
    pub hosts: Vec<HostRule>,
    /// Loopback, private and carriers' networks may be connected to.
    pub private_networks: bool,
    pub response_bytes: usize,
    pub request_bytes: usize,
    /// Of one request here; the caller's deadline is that of the delivery.
    pub time_limit: Duration,
}

impl Policy {
    /// These hosts, public addresses only, and the usual limits.
    pub fn new(hosts: Vec<HostRule>) -> Self {
        Policy {
            hosts,
            private_networks: false,
            response_bytes: RESPONSE_BYTES,
            request_bytes: REQUEST_BYTES,
            time_limit: TIME_LIMIT,
        }
    }

    /// The hosts that a component names and the operator permits as well. The component's are written as in
    /// `wit/delivery.wit`: `{setting}` stands for the host of the URL in that setting. Schemes and ports are the operator's.
    pub fn intersect(component: &[String], settings: &[(String, String)], operator: &[HostRule]) -> Vec<HostRule> {
        let named: Vec<Name> = component.iter().filter_map(|host| named(host, settings)).collect();
        let mut hosts: Vec<HostRule> = Vec::new();
        for rule in operator {
            for name in &named {
                if let Some(name) = rule.name.meet(name) {
                    let both = HostRule { name, ..rule.clone() };
                    if !hosts.contains(&both) {
                        hosts.push(both);
                    }
                }
            }
        }
        hosts
    }

    /// What an operator has to permit for a component to call all that it names: as rules, where a setting is a URL with its scheme
    /// and port.
    pub fn wanted(component: &[String], settings: &[(String, String)]) -> Vec<String> {
        let mut wanted: Vec<String> = Vec::new();
        for host in component {
            let rule = origin(host, settings).map(|rule| rule.to_string());
            let Some(rule) = rule.or_else(|| named(host, settings).map(|name| name.to_string())) else { continue };
            if !wanted.contains(&rule) {
                wanted.push(rule);
            }
        }
        wanted
    }

    /// Hosts that a component calls and the operator does not permit, for telling them so. One that covers many
    /// (`*.example.com`) is permitted if any of them is. A host in a setting is called instead of those that the component names by
    /// itself, or beside them: where one is given, those others are not asked for.
    pub fn missing(component: &[String], settings: &[(String, String)], operator: &[HostRule]) -> Vec<String> {
        let given = |host: &&String| setting_of(host).is_some() && named(host, settings).is_some();
        let instead = component.iter().any(|host| given(&host));
        let called = component.iter().filter(|host| !instead || given(host));
        let missing = called.filter_map(|host| match (origin(host, settings), named(host, settings)?) {
            // A scheme or a port that is not permitted is refused at the first call.
            (Some(origin), name) => {
                let permitted = |rule: &HostRule| {
                    rule.https == origin.https && rule.port == origin.port && rule.name.meet(&name).is_some()
                };
                (!operator.iter().any(permitted)).then(|| origin.to_string())
            }
            (None, name) => (!operator.iter().any(|rule| rule.name.meet(&name).is_some())).then(|| name.to_string()),
        });
        missing.collect()
    }

    pub(crate) fn permits(&self, https: bool, host: &Host<&str>, port: u16) -> bool {
        self.hosts.iter().any(|rule| rule.is_for(https, host, port))
    }
}

/// The setting that a component's host stands in.
fn setting_of(host: &str) -> Option<&str> {
    host.strip_prefix('{')?.strip_suffix('}')
}

/// Where the URL in a setting leads, as a rule that permits that and no more; a host by itself is one over HTTPS.
fn origin(host: &str, settings: &[(String, String)]) -> Option<HostRule> {
    let setting = setting_of(host)?;
    let (_, value) = settings.iter().find(|(name, _)| name == setting)?;
    let value = value.trim();
    let url = match value.contains("://") {
        true => Url::parse(value).ok()?,
        false => Url::parse(&format!("https://{value}")).ok()?,
    };
    // Of another scheme (`smtps://`) only the host is known to be called.
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    Some(HostRule { name: Name::Exact(url.host()?.to_string()), port: url.port_or_known_default()?, https })
}

/// What a component's host stands for; `None` if it is a setting that is not given or holds no URL.
fn named(host: &str, settings: &[(String, String)]) -> Option<Name> {
    match host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(setting) => {
            let (_, value) = settings.iter().find(|(name, _)| name == setting)?;
            let value = value.trim();
            // A host by itself is meant as one, too: some services call it that, and it is what people have at hand.
            match Url::parse(value) {
                Ok(url) if value.contains("://") => url.host().map(|host| Name::Exact(host.to_string())),
                _ => Name::parse(value).ok().filter(|name| matches!(name, Name::Exact(_))),
            }
        }
        None => Name::parse(host).ok(),
    }
}

/// Hosts the operator permits: `api.example.com`, `*.example.com`, either with `:port`; `http://` before it permits plain HTTP,
/// and only that. Without a port it is that of the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    name: Name,
    port: u16,
    https: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// In the form in which URLs are compared: lower case, Punycode, addresses in their usual spelling.
    Exact(String),
    /// Every host below this one.
    Below(String),
}

impl Name {
    fn parse(text: &str) -> Result<Self, String> {
        let (below, text) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let host = Host::parse(text).map_err(|error| format!("`{text}` is no host: {error}"))?;
        match (below, host) {
            (_, Host::Domain(name)) if name.contains('*') => {
                Err("a `*` stands only at the beginning, as in `*.example.com`".into())
            }
            (_, Host::Domain(name)) if name.ends_with('.') => Err("a host is written without a dot at its end".into()),
            (false, host) => Ok(Name::Exact(host.to_string())),
            (true, Host::Domain(name)) if name.contains('.') => Ok(Name::Below(name)),
            (true, Host::Domain(name)) => Err(format!("`*.{name}` is half of the internet: name at least a domain")),
            (true, _) => Err("there is nothing below an address".into()),
        }
    }

    /// What both stand for.
    fn meet(&self, other: &Name) -> Option<Name> {
        let is_below =
            |name: &str, base: &str| name.strip_suffix(base).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        match (self, other) {
            (Name::Exact(a), Name::Exact(b)) => (a == b).then(|| self.clone()),
            (exact @ Name::Exact(name), Name::Below(base)) | (Name::Below(base), exact @ Name::Exact(name)) => {
                is_below(name, base).then(|| exact.clone())
            }
            (Name::Below(a), Name::Below(b)) if a == b || is_below(a, b) => Some(self.clone()),
            (Name::Below(a), Name::Below(b)) => is_below(b, a).then(|| other.clone()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Name::Exact(name) => f.write_str(name),
            Name::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl HostRule {
    /// Or why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => (true, text),
        };
        if rest.contains("://") {
            return Err("a host is permitted over https, or over plain http if `http://` stands before it".into());
        }
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err("a host is a name, with a port if need be, and nothing else".into());
        }
        // The colons of an IPv6 address are between brackets.
        let (name, port) = match rest.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => match port.parse::<u16>() {
                Ok(port) if port > 0 => (name, port),
                _ => return Err(format!("`{port}` is no port")),
            },
            _ => (rest, if https { 443 } else { 80 }),
        };
        Ok(HostRule { name: Name::parse(name)?, port, https })
    }

    fn is_for(&self, https: bool, host: &Host<&str>, port: u16) -> bool {
        if https != self.https || port != self.port {
            return false;
        }
        let host = Name::Exact(host.to_string());
        self.name.meet(&host).is_some()
    }
}

impl FromStr for HostRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        HostRule::parse(text)
    }
}

/// As it can be parsed again.
impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let HostRule { name, port, https } = self;
        match (https, port) {
            (true, 443) => write!(f, "{name}"),
            (true, port) => write!(f, "{name}:{port}"),
            (false, 80) => write!(f, "http://{name}"),
            (false, port) => write!(f, "http://{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<HostRule> {
        texts.iter().map(|text| HostRule::parse(text).unwrap()).collect()
    }

    #[test]
    fn rules_are_read_and_written() {
        for (text, written) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.com:443", "api.example.com"),
            ("https://api.example.com:8443", "api.example.com:8443"),
            ("http://splunk.lan:8088", "http://splunk.lan:8088"),
            ("http://splunk.lan", "http://splunk.lan"),
            ("*.eu.example.com", "*.eu.example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("10.0.0.8:9200", "10.0.0.8:9200"),
            ("[::1]:8080", "[::1]:8080"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            // An odd spelling is the address it means.
            ("0x7f.1", "127.0.0.1"),
        ] {
            assert_eq!(HostRule::parse(text).unwrap().to_string(), written, "{text}");
            assert_eq!(HostRule::parse(written).unwrap(), HostRule::parse(text).unwrap());
        }
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "a.*.b",
            "*a.example",
            "ftp://a",
            "a/b",
            "u@a",
            "a:0",
            "a:b",
            "a:65536",
            "a b",
            "*.10.0.0.1",
            "a.example.",
            "http://",
            "::1",
        ] {
            assert!(HostRule::parse(text).is_err(), "{text}: {:?}", HostRule::parse(text));
        }
    }

    #[track_caller]
    fn check(component: &[&str], operator: &[&str], expected: &[&str]) {
        let settings = [
            ("url".to_owned(), " https://Hooks.Example.com:8443/T0?k=1".to_owned()),
            ("local".to_owned(), "http://2130706433/".to_owned()),
            ("bad".to_owned(), "no url".to_owned()),
        ];
        let component: Vec<String> = component.iter().map(|&host| host.to_owned()).collect();
        let both = Policy::intersect(&component, &settings, &rules(operator));
        assert_eq!(both.iter().map(HostRule::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn both_must_agree_on_a_host() {
        check(&["api.example.com"], &["api.example.com", "other.example.com"], &["api.example.com"]);
        check(&["api.example.com"], &["*.example.com"], &["api.example.com"]);
        check(&["*.example.com"], &["api.example.com", "example.com", "badexample.com"], &["api.example.com"]);
        check(&["*.example.com"], &["*.eu.example.com:444"], &["*.eu.example.com:444"]);
        check(&["*.eu.example.com"], &["*.example.com"], &["*.eu.example.com"]);
        check(&["*.example.com"], &["*.example.com"], &["*.example.com"]);
        check(&["*.a.example"], &["*.b.example"], &[]);
        check(
            &["{url}"],
            &["hooks.example.com:8443", "hooks.example.com"],
            &["hooks.example.com:8443", "hooks.example.com"],
        );
        check(&["{url}", "hooks.example.com"], &["*.example.com:8443"], &["hooks.example.com:8443"]);
        check(&["{local}"], &["http://127.0.0.1"], &["http://127.0.0.1"]);
        check(&["{bad}", "{none}", "{"], &["*.example.com"], &[]);
        check(&[], &["*.example.com"], &[]);
        check(&["api.example.com"], &[], &[]);
    }

    #[test]
    fn an_operator_is_told_what_to_permit() {
        let component = ["a.example.com", "*.b.example", "{url}"].map(str::to_owned);
        let settings = [("url".to_owned(), "https://c.example/secret".to_owned())];
        assert_eq!(Policy::wanted(&component, &settings), ["a.example.com", "*.b.example", "c.example"]);
        let none: [String; 0] = [];
        assert_eq!(Policy::missing(&component, &[], &rules(&["*.example.com"])), ["*.b.example"]);
        assert_eq!(Policy::missing(&component, &[], &rules(&["a.example.com", "x.b.example"])), none);
        // The host in the setting is called, and not the others.
        assert_eq!(Policy::missing(&component, &settings, &rules(&["c.example"])), none);
        assert_eq!(Policy::missing(&component, &settings, &rules(&["*.example.com"])), ["c.example"]);
    }

    #[test]
    fn a_scheme_or_port_that_is_not_permitted_is_told_before_the_first_call() {
        let component = ["api.example.com".to_owned(), "{url}".to_owned()];
        let none: [String; 0] = [];
        for (url, permits, does_not) in [
            ("http://127.0.0.1:8099/api", "http://127.0.0.1:8099", "127.0.0.1:8099"),
            ("https://c.example", "*.c.example", "http://c.example"),
            ("https://a.c.example:8443/", "*.c.example:8443", "*.c.example"),
            ("c.example", "c.example", "c.example:444"),
        ] {
            let settings = [("url".to_owned(), url.to_owned())];
            let missing = |rule: &str| Policy::missing(&component, &settings, &rules(&[rule]));
            let wanted = Policy::wanted(&component, &settings)[1].clone();
            assert_eq!(missing(does_not), std::slice::from_ref(&wanted), "{url}");
            assert_eq!(missing(&wanted), none, "{url}");
            let permitted = !permits.starts_with("*.c.example") || url.contains("a.c.example");
            assert_eq!(missing(permits).is_empty(), permitted, "{url} {permits}");
        }
    }

    #[test]
    fn scheme_port_and_name_must_all_fit() {
        let policy = Policy::new(rules(&["api.example.com", "*.example.org:8443", "http://10.0.0.1:8080"]));
        let permits = |https, host, port| policy.permits(https, &Host::Domain(host), port);
        assert!(permits(true, "api.example.com", 443) && permits(true, "a.b.example.org", 8443));
        assert!(!permits(false, "api.example.com", 80) && !permits(false, "api.example.com", 443));
        assert!(!permits(true, "api.example.com", 8443) && !permits(true, "api.example.com.", 443));
        assert!(!permits(true, "example.org", 8443) && !permits(true, ".example.org", 8443));
        assert!(!permits(true, "example.com", 443) && !permits(true, "xapi.example.com", 443));
        let address = Host::Ipv4("10.0.0.1".parse().unwrap());
        assert!(policy.permits(false, &address, 8080) && !policy.permits(true, &address, 8080));
    }
}
