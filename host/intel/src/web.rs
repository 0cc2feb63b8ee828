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
}

impl FetchError {
    /// Nothing that trying again would mend.
    pub fn broken(message: impl Into<String>) -> Self {
        FetchError { message: message.into(), again: false, after: None, status: None }
    }
}

/// One source as it can be asked.
pub struct Web<'a> {
    egress: &'a Egress,
    policy: Policy,
    headers: Vec<(String, String)>,
    bytes_max: u64,
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
    let wrong = |why: String| FetchError::broken(format!("`{url}` cannot be asked: {why}"));
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    let host = parsed.host_str().ok_or_else(|| wrong("it names no host".into()))?;
    let scheme = if parsed.scheme() == "http" { "http://" } else { "" };
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    HostRule::parse(&format!("{scheme}{host}{port}")).map_err(wrong)
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
        Ok(Web { egress, policy, headers, bytes_max: config.max_bytes, deadline })
    }

    /// An answer of status 200 or 304; anything else is an error.
    pub fn get(&self, url: &str, more: &[(&str, &str)]) -> Result<Answer, FetchError> {
        let mut headers = self.headers.clone();
        for (name, value) in more {
            headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
            headers.push(((*name).to_owned(), (*value).to_owned()));
        }
        let request = HttpRequest { method: "GET".into(), url: url.into(), headers, body: Vec::new() };
        // Of the URL only what is no parameter: keys stand there with some services.
        let shown = url.split(['?', '#']).next().unwrap_or(url);
        let answer = self.egress.send(&self.policy, self.deadline, request).map_err(|failure| FetchError {
            message: format!("{shown}: {}", failure.message),
            again: failure.kind != HttpFailureKind::Forbidden,
            after: None,
            status: None,
        })?;
        let HttpResponse { status, headers, body, truncated } = answer;
        if truncated {
            let most = self.bytes_max;
            return Err(FetchError::broken(format!("{shown}: the answer has more than {most} bytes (`max_bytes`)")));
        }
        if status != 200 && status != 304 {
            let answer = Answer { status, headers, body };
            let text: String =
                String::from_utf8_lossy(&answer.body).chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(FetchError {
                message: format!("{shown}: the answer is {status} {text}").trim_end().to_owned(),
                again: status == 429 || status == 408 || status >= 500,
                after: answer.header("retry-after").and_then(retry_after),
                status: Some(status),
            });
        }
        let body = match unpack(&body, self.bytes_max) {
            Ok(unpacked) => unpacked.into_owned(),
            Err(why) => return Err(FetchError::broken(format!("{shown}: {why}"))),
        };
        Ok(Answer { status, headers, body })
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
    fn when_to_come_again() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 02 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
