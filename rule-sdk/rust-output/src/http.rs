//! Requests that the host makes for an output.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// What sends requests: the host, or a [`FakeHttp`](crate::FakeHttp) in tests.
pub trait Http {
    fn send(&self, request: Request) -> Result<Response, Failure>;
}

/// A request under construction.
///
/// ```
/// # use streamalert_output_sdk::prelude::*;
/// let request = Request::put("https://api.example.com/v1/alerts")
///     .query("key", "a&b")
///     .bearer("t0ken")
///     .json(&json!({"text": "hello"}));
/// assert_eq!(request.url, "https://api.example.com/v1/alerts?key=a%26b");
/// assert_eq!(request.header_value("content-type"), Some("application/json"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Without what may be secret: webhooks have it in the URL, others in headers.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let host = crate::Url::parse(&self.url).map(|url| url.host().to_owned()).unwrap_or_default();
        write!(f, "{} {host} ({} bytes)", self.method, self.body.len())
    }
}

impl Request {
    fn new(method: &'static str, url: impl Into<String>) -> Self {
        Request { method, url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    pub fn head(url: impl Into<String>) -> Self {
        Self::new("HEAD", url)
    }

    /// One name may come several times. The host refuses `Host`, `Content-Length`, `Connection`, `Transfer-Encoding`, and
    /// values with line breaks.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Puts `name=value` behind the URL, both encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let glue = if self.url.contains('?') { '&' } else { '?' };
        let _ = write!(self.url, "{glue}{}={}", crate::percent(name), crate::percent(value));
        self
    }

    /// The body, as JSON.
    pub fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    /// The body, as a form: `name=value` pairs, encoded.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut body = String::new();
        for (name, value) in pairs {
            if !body.is_empty() {
                body.push('&');
            }
            let _ = write!(body, "{}={}", crate::percent(name.as_ref()), crate::percent(value.as_ref()));
        }
        self.bytes("application/x-www-form-urlencoded", body)
    }

    /// The body, of this content type.
    pub fn bytes(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// `Authorization: Basic`.
    pub fn basic(self, user: &str, password: &str) -> Self {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.header("Authorization", format!("Basic {credentials}"))
    }

    /// `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// The value of a header; of several, the first.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// For tests: the body as text.
    pub fn body_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// For tests: the body as JSON; null if it is none.
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// For tests: the pairs of a form, decoded.
    pub fn body_form(&self) -> Vec<(String, String)> {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            let mut bytes = Vec::with_capacity(text.len());
            let mut rest = text.as_bytes();
            while let Some((&first, after)) = rest.split_first() {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) if first == b'%' => {
                        bytes.push(byte);
                        rest = &after[2..];
                    }
                    _ => {
                        bytes.push(first);
                        rest = after;
                    }
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let body = self.body_text();
        let pairs = body.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decode(n), decode(v))).collect()
    }
}

/// An answer, of whatever status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The body was longer than the host allows.
    pub truncated: bool,
}

impl Response {
    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of a header; of several, the first.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text; bytes that are none become `�`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON; `None` if it is none, or was cut.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Seconds the service asks to wait: `Retry-After` as a number, or as a date that is later than the answer's own.
    pub fn retry_after(&self) -> Option<u32> {
        let after = self.header("retry-after")?.trim();
        if !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(after.parse().unwrap_or(u32::MAX));
        }
        // Some services give fractions of seconds.
        if let Ok(seconds) = after.parse::<f64>()
            && seconds.is_finite()
            && seconds >= 0.0
        {
            return Some(seconds.ceil() as u32);
        }
        let now = crate::time::http_date(self.header("date")?)?;
        let wait = crate::time::http_date(after)?.saturating_sub(now).max(0);
        Some(u32::try_from(wait).unwrap_or(u32::MAX))
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Not permitted, or no request. Trying again changes nothing.
    Forbidden,
    /// No such host, no route, refused connection.
    Unreachable,
    /// The certificate does not hold, or no common version.
    Tls,
    /// The time for the whole delivery is up.
    Timeout,
    /// The connection broke before the answer was complete.
    Broken,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// For people; holds no secret.
    pub message: String,
    /// The service may have seen the request, or a part of it.
    pub sent: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_built_in_a_chain() {
        let request = Request::post("https://a.example/x?y=1")
            .query("q", "a b")
            .json(&serde_json::json!([1]))
            .basic("ada", "pä:ss")
            .form([("a", "1&2"), ("b", "ü")]);
        assert_eq!(request.url, "https://a.example/x?y=1&q=a%20b");
        assert_eq!(request.body_text(), "a=1%262&b=%C3%BC");
        assert_eq!(request.body_form(), [("a".into(), "1&2".into()), ("b".into(), "ü".into())]);
        assert_eq!(request.header_value("CONTENT-TYPE"), Some("application/x-www-form-urlencoded"));
        assert_eq!(request.headers.len(), 2);
        assert_eq!(request.header_value("authorization"), Some("Basic YWRhOnDDpDpzcw=="));
        assert_eq!(format!("{request:?}"), "POST a.example (16 bytes)");
    }

    #[track_caller]
    fn check_wait(after: &str, date: Option<&str>, expected: Option<u32>) {
        let mut headers = vec![("Retry-After".to_owned(), after.to_owned())];
        headers.extend(date.map(|date| ("date".to_owned(), date.to_owned())));
        assert_eq!(Response { headers, ..Response::default() }.retry_after(), expected, "{after} {date:?}");
    }

    #[test]
    fn a_service_says_in_two_ways_how_long_to_wait() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        check_wait(" 30 ", None, Some(30));
        check_wait("0", date, Some(0));
        check_wait("0.3", date, Some(1));
        check_wait("99999999999999", date, Some(u32::MAX));
        check_wait("Wed, 21 Oct 2026 07:30:00 GMT", date, Some(120));
        check_wait("Wed, 21 Oct 2026 07:20:00 GMT", date, Some(0));
        check_wait("Wed, 21 Oct 2026 07:30:00 GMT", None, None);
        check_wait("-5", date, None);
        check_wait("NaN", date, None);
        check_wait("soon", date, None);
        assert_eq!(Response::default().retry_after(), None);
    }
}
