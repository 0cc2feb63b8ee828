//! How sources are asked: by GET, with the operator's credentials, from their own hosts and no other.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streamalert_egress::{Egress, HostRule, Policy};
use streamalert_lookup::content::unpack;
use streamalert_pipeline::config::threat_intel::{Auth, SourceConfig};
use streamalert_pipeline::plugin::{HttpFailureKind, HttpRequest, HttpResponse};
use url::Url;

/// One answer may take so long: feeds have hundreds of megabytes.
const TIME_LIMIT: Duration = Duration::from_secs(300);
/// Characters of what may be a key; shorter parameters are plain words and numbers.
const KEY_CHARS_MIN: usize = 6;
/// Bytes of an answer with an error that are looked at.
const SAID_BYTES_MAX: usize = 4_096;

/// Why a page could not be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    pub message: String,
    /// Trying again may help, and when.
    pub again: bool,
    pub after: Option<Duration>,
    /// Of an answer.
    pub status: Option<u16>,
    /// The pass cannot be gone on with: the next attempt begins another one.
    pub over: bool,
}

impl FetchError {
    /// Nothing that trying again would mend.
    pub fn broken(message: impl Into<String>) -> Self {
        FetchError { message: message.into(), again: false, after: None, status: None, over: false }
    }
}

/// One source as it can be asked.
pub struct Web<'a> {
    egress: &'a Egress,
    policy: Policy,
    headers: Vec<(String, String)>,
    bytes_max: u64,
    /// Texts that are not shown where an answer repeats them.
    hidden: Vec<String>,
    /// After this, nothing is asked any more.
    deadline: Instant,
}

/// What came.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Unpacked.
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A host as policies have them, of a URL.
fn rule(url: &str) -> Result<HostRule, FetchError> {
    let wrong = |why: String| FetchError::broken(format!("`{}` cannot be asked: {why}", shown(url)));
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let host = parsed.host_str().ok_or_else(|| wrong("it names no host".into()))?;
    let scheme = if parsed.scheme() == "http" { "http://" } else { "" };
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    HostRule::parse(&format!("{scheme}{host}{port}")).map_err(wrong)
}

/// Of a URL what is no secret: with some services, keys stand among its parameters, or before the host.
pub fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// What may be a key in a URL: all its parameters, and each by itself.
fn keys(url: &str) -> impl Iterator<Item = String> {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    let decoded = url::form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value.into_owned());
    let raw = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
    std::iter::once(query.to_owned()).chain(raw).chain(decoded).collect::<Vec<_>>().into_iter()
}

impl<'a> Web<'a> {
    pub fn new(
        egress: &'a Egress,
        config: &SourceConfig,
        secrets: &BTreeMap<String, String>,
        deadline: Instant,
    ) -> Result<Self, FetchError> {
        let mut hosts = vec![rule(&config.url)?];
        for host in &config.hosts {
            hosts.push(HostRule::parse(host).map_err(|why| FetchError::broken(format!("hosts: `{host}`: {why}")))?);
        }
        let mut policy = Policy::new(hosts);
        policy.private_networks = config.private_networks;
        policy.response_bytes = usize::try_from(config.max_bytes).unwrap_or(usize::MAX);
        policy.time_limit = TIME_LIMIT;
        let secret = |name: &str| {
            secrets.get(name).ok_or_else(|| {
                FetchError::broken(format!(
                    "its secrets have no `{name}`; `streamalert threat-intel update-auth` sets it"
                ))
            })
        };
        let mut headers: Vec<(String, String)> =
            config.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        match &config.auth {
            Auth::None => {}
            Auth::Basic => {
                let pair = format!("{}:{}", secret("username")?, secret("password")?);
                headers.push(("Authorization".into(), format!("Basic {}", BASE64_STANDARD.encode(pair))));
            }
            Auth::Bearer => headers.push(("Authorization".into(), format!("Bearer {}", secret("token")?))),
            Auth::Header(name) => headers.push((name.clone(), secret("token")?.clone())),
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            headers.push(("User-Agent".into(), concat!("streamalert/", env!("CARGO_PKG_VERSION")).into()));
        }
        let hidden = keys(&config.url).chain(secrets.values().cloned());
        let mut hidden: Vec<String> = hidden.filter(|text| text.chars().count() >= KEY_CHARS_MIN).collect();
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Ok(Web { egress, policy, headers, bytes_max: config.max_bytes, hidden, deadline })
    }

    /// An answer of status 200 or 304; anything else is an error.
    pub fn get(&self, url: &str, more: &[(&str, &str)]) -> Result<Answer, FetchError> {
        let mut headers = self.headers.clone();
        for (name, value) in more {
            headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
            headers.push(((*name).to_owned(), (*value).to_owned()));
        }
        let request = HttpRequest { method: "GET".into(), url: url.into(), headers, body: Vec::new() };
        let shown = shown(url);
        let answer = self.egress.send(&self.policy, self.deadline, request).map_err(|failure| FetchError {
            message: format!("{shown}: {}", failure.message),
            again: failure.kind != HttpFailureKind::Forbidden,
            ..FetchError::broken("")
        })?;
        let HttpResponse { status, headers, body, truncated } = answer;
        if truncated {
            let most = self.bytes_max;
            return Err(FetchError::broken(format!("{shown}: the answer has more than {most} bytes (`max_bytes`)")));
        }
        if status != 200 && status != 304 {
            let answer = Answer { status, headers, body };
            let text = self.said(&answer.body);
            return Err(FetchError {
                message: format!("{shown}: the answer is {status} {text}").trim_end().to_owned(),
                again: status == 429 || status == 408 || status >= 500,
                after: answer.header("retry-after").and_then(retry_after),
                status: Some(status),
                over: false,
            });
        }
        let body = match unpack(&body, self.bytes_max) {
            Ok(unpacked) => unpacked.into_owned(),
            Err(why) => return Err(FetchError::broken(format!("{shown}: {why}"))),
        };
        Ok(Answer { status, headers, body })
    }

    /// What an answer says that is none, in short, and without what it repeats of keys.
    fn said(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(SAID_BYTES_MAX)]);
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = self.hidden.iter().fold(text, |text, hidden| text.replace(hidden, "…"));
        text.chars().take(200).collect()
    }
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let left = at.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_urls_are_not_shown() {
        for (url, expected) in [
            ("https://x.example/feed?apikey=S3CRETKEY", "https://x.example/feed"),
            ("https://x.example/feed#S3CRETKEY", "https://x.example/feed"),
            ("https://x.example?apikey=S3CRETKEY", "https://x.example"),
            ("http://me:S3CRETKEY@x.example:8080/a@b/c", "http://x.example:8080/a@b/c"),
            ("no url", "no url"),
        ] {
            assert_eq!(shown(url), expected);
        }
        let url = "https://x.example/f?apikey=S3CRET%2BKEY&n=10#x";
        let config: SourceConfig = serde_json::from_value(serde_json::json!({"type": "stix", "url": url})).unwrap();
        let secrets = BTreeMap::from([("token".to_owned(), "t0ken-secret".to_owned())]);
        let egress = Egress::new().unwrap();
        let web = Web::new(&egress, &config, &secrets, Instant::now()).unwrap();
        let text = "no 10: /f?apikey=S3CRET%2BKEY&n=10 (S3CRET+KEY) with t0ken-secret";
        assert_eq!(web.said(text.as_bytes()), "no 10: /f?… (…) with …");
    }

    #[test]
    fn when_to_come_again() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 02 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
