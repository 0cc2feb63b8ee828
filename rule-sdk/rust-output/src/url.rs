//! As much of URLs as an output needs: whether a setting is one, and how to put a text into one.

/// A URL, taken apart just enough. The host reads it again and is stricter.
///
/// ```
/// # use streamalert_output_sdk::Url;
/// let url = Url::parse("https://Example.com:8443/hook?token=1").unwrap();
/// assert_eq!((url.host(), url.port(), url.path()), ("example.com", Some(8443), "/hook"));
/// assert_eq!(url.origin(), "https://example.com:8443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    https: bool,
    host: String,
    port: Option<u16>,
    /// Everything behind the authority.
    rest: String,
}

impl Url {
    /// Or why it is none, without any of its text: a webhook's URL is a secret.
    pub fn parse(text: &str) -> Result<Url, String> {
        let no = |reason: &str| Err(format!("is no URL: {reason}"));
        let scheme = |name: &str| {
            let head = text.get(..name.len())?;
            head.eq_ignore_ascii_case(name).then(|| &text[name.len()..])
        };
        let (https, rest) = match (scheme("https://"), scheme("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return no("it begins with neither https:// nor http://"),
        };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return no("there is a blank or control character in it");
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return no("it holds a user name; credentials have settings of their own");
        }
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
            _ => (authority, None),
        };
        let is_v6 = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
        let is_name = !host.is_empty()
            && !host.starts_with('.')
            && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if !(is_v6 || is_name) {
            return no("its host is no name and no address");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return no("its port is no number up to 65535"),
        };
        Ok(Url { https, host: host.to_lowercase(), port, rest: rest.to_owned() })
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// In lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Without query; `/` if there is none.
    pub fn path(&self) -> &str {
        let path = &self.rest[..self.rest.find(['?', '#']).unwrap_or(self.rest.len())];
        if path.is_empty() { "/" } else { path }
    }

    /// Scheme, host and port, without a slash behind: what a path is put behind.
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }
}

/// The text as it may stand anywhere in a URL: all but letters, digits and `-._~` as `%XX`.
///
/// ```
/// # use streamalert_output_sdk::percent;
/// assert_eq!(percent("a b/ü?"), "a%20b%2F%C3%BC%3F");
/// ```
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, Option<u16>, &str), &str>) {
        let found = Url::parse(text);
        let found = found.as_ref().map(|url| (url.host(), url.port(), url.path())).map_err(String::as_str);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_come_apart_or_say_why_not() {
        check("https://hooks.slack.com/services/T/B/x", Ok(("hooks.slack.com", None, "/services/T/B/x")));
        check("HTTP://[2001:DB8::1]:80?a=b", Ok(("[2001:db8::1]", Some(80), "/")));
        check("https://bücher.example", Ok(("bücher.example", None, "/")));
        check("slack.com", Err("is no URL: it begins with neither https:// nor http://"));
        check("https://a b", Err("is no URL: there is a blank or control character in it"));
        check("https://u:p@a", Err("is no URL: it holds a user name; credentials have settings of their own"));
        check("https:///a", Err("is no URL: its host is no name and no address"));
        check("https://a:b", Err("is no URL: its port is no number up to 65535"));
        check("https://a:0", Err("is no URL: its port is no number up to 65535"));
        check("https://a<b", Err("is no URL: its host is no name and no address"));
    }
}
