//! Calls of services that have no client here: one operation each is not worth minutes of building a whole SDK crate. JSON
//! goes out, signed, and JSON comes back; patience and repetition are as with the SDK.

use crate::call::{chain, kind_of};
use crate::clients::Calls;
use crate::limits::{CREDENTIALS_KEPT, CREDENTIALS_MARGIN};
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Map, Value};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use streamalert_pipeline::backend::BackendErrorKind;
use tokio::time::timeout;

/// A service, by what its addresses and signatures have.
#[derive(Debug)]
pub struct Service {
    /// For counts and messages.
    pub name: &'static str,
    /// `https://<this>.<region>.amazonaws.com`
    pub endpoint: &'static str,
    /// In the scope of a signature.
    pub signed_as: &'static str,
}

/// How a service is told which operation is meant.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    /// `AWSEvents.PutEvents`, in a header.
    Target(&'static str),
    /// `/findings/import`, and the operation's name for counts.
    Path(&'static str, &'static str),
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Target(target) => target.rsplit('.').next().unwrap_or(target),
            Operation::Path(_, name) => name,
        }
    }
}

/// A call that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if code.is_empty() { String::new() } else { format!("{code}: ") })]
pub struct CallError {
    /// As the service names it, such as `ThrottlingException`; empty if it did not answer, or not in its own words.
    pub code: String,
    /// Of an answer.
    pub status: Option<u16>,
    pub message: String,
}

impl CallError {
    pub fn new(code: impl Into<String>, status: Option<u16>, message: impl Into<String>) -> Self {
        CallError { code: code.into(), status, message: message.into() }
    }

    fn silent(message: impl Into<String>) -> Self {
        CallError::new("", None, message)
    }

    /// The same call may work in a moment.
    fn passes(&self) -> bool {
        kind_of(&self.code) == BackendErrorKind::Throttled
            || self.status.is_none_or(|status| status == 429 || status >= 500)
    }
}

pub(crate) struct Signed {
    config: SdkConfig,
    calls: Arc<Calls>,
    /// Without TLS there is no list of authorities to be read.
    plain: OnceLock<Connector>,
    secure: OnceLock<Connector>,
    /// With the time after which others are asked for.
    credentials: Mutex<Option<(Credentials, SystemTime)>>,
    random: RandomState,
}

impl Signed {
    pub fn new(config: SdkConfig, calls: Arc<Calls>) -> Self {
        Signed {
            config,
            calls,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            credentials: Mutex::default(),
            random: RandomState::new(),
        }
    }

    /// The answer to a call, in a region that is not ours if one is named. What may pass is tried again.
    pub async fn call(
        &self,
        service: &Service,
        operation: Operation,
        region: Option<&str>,
        body: &Value,
    ) -> Result<Value, CallError> {
        let body = body.to_string();
        let retries = self.config.retry_config();
        let attempts = retries.map_or(1, |retries| retries.max_attempts());
        let first = retries.map_or(Duration::ZERO, |retries| retries.initial_backoff());
        let longest = retries.map_or(Duration::ZERO, |retries| retries.max_backoff());
        for attempt in 1.. {
            let error = match self.attempt(service, operation, region, &body).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if kind_of(&error.code) == BackendErrorKind::Denied {
                *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            if attempt >= attempts || !error.passes() {
                return Err(error);
            }
            let pause = first.saturating_mul(1 << (attempt - 1).min(20)).min(longest.max(first));
            // All that were turned away together should not come back together.
            let part = self.random.hash_one((attempt, Instant::now())) % 1_000;
            tokio::time::sleep(pause.mul_f64(part as f64 / 1e3)).await;
        }
        Err(CallError::silent("it was never tried"))
    }

    async fn attempt(
        &self,
        service: &Service,
        operation: Operation,
        region: Option<&str>,
        body: &str,
    ) -> Result<Value, CallError> {
        let own = self.config.region().map(|region| region.as_ref());
        let region = region.or(own).ok_or_else(|| {
            CallError::silent("no region is known: set AWS_REGION, or name one in the settings of the output")
        })?;
        let endpoint = match self.config.endpoint_url() {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{}.{region}.{}", service.endpoint, dns_suffix(region)),
        };
        let (path, content) = match operation {
            Operation::Target(_) => ("/", "application/x-amz-json-1.1"),
            Operation::Path(path, _) => (path, "application/json"),
        };
        let url = format!("{endpoint}{path}");
        let mut headers = vec![("content-type", content)];
        if let Operation::Target(target) = operation {
            headers.push(("x-amz-target", target));
        }
        let credentials = self.credentials().await?;
        let request = signed(service, region, &url, &headers, body, credentials)
            .map_err(|error| CallError::silent(format!("the request cannot be made: {error}")))?;
        let connector = if url.starts_with("http://") {
            self.plain.get_or_init(|| Connector::builder().build_http())
        } else {
            let secure = || Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
            self.secure.get_or_init(secure)
        };
        self.calls.count(service.name, operation.name());
        let patience = self.config.timeout_config().and_then(|timeouts| timeouts.operation_attempt_timeout());
        let exchange = async {
            let broken = |error: &(dyn std::error::Error + 'static)| CallError::silent(chain(error));
            let mut answer = connector.call(request).await.map_err(|error| broken(&error))?;
            let status = answer.status().as_u16();
            let kind = answer.headers().get("x-amzn-errortype").map(str::to_owned);
            let body = ByteStream::new(answer.take_body()).collect().await.map_err(|error| broken(&error))?.to_vec();
            Ok((status, kind, body))
        };
        let (status, kind, body) = match patience {
            Some(patience) => timeout(patience, exchange).await.map_err(|_| {
                CallError::silent(format!("{} did not answer within {} s", service.name, patience.as_secs_f32()))
            })??,
            None => exchange.await?,
        };
        answered(status, kind.as_deref(), &body)
    }

    async fn credentials(&self) -> Result<Credentials, CallError> {
        let now = SystemTime::now();
        if let Some((credentials, until)) = &*self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
            && *until > now
        {
            return Ok(credentials.clone());
        }
        let failed =
            |error: &CredentialsError| CallError::silent(format!("there are no credentials for AWS: {}", chain(error)));
        let provider =
            self.config.credentials_provider().ok_or_else(|| failed(&CredentialsError::not_loaded("none")))?;
        let credentials = provider.provide_credentials().await.map_err(|error| failed(&error))?;
        let until = match credentials.expiry() {
            Some(expiry) => expiry.checked_sub(CREDENTIALS_MARGIN).unwrap_or(now),
            None => now + CREDENTIALS_KEPT,
        };
        *self.credentials.lock().unwrap_or_else(PoisonError::into_inner) = Some((credentials.clone(), until));
        Ok(credentials)
    }
}

fn signed(
    service: &Service,
    region: &str,
    url: &str,
    headers: &[(&'static str, &'static str)],
    body: &str,
    credentials: Credentials,
) -> Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
    let identity: Identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service.signed_as)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST")?;
    request.set_uri(url)?;
    let instructed = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let own = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    for (name, value) in own.chain(instructed) {
        request.headers_mut().try_insert(name, value)?;
    }
    Ok(request)
}

/// What an answer says.
fn answered(status: u16, kind: Option<&str>, body: &[u8]) -> Result<Value, CallError> {
    let json: Option<Value> =
        if body.is_empty() { Some(Value::Object(Map::new())) } else { serde_json::from_slice(body).ok() };
    if (200..300).contains(&status) {
        let what = || format!("{status}, and the answer is no JSON");
        return json.ok_or_else(|| CallError::new("", Some(status), what()));
    }
    let json = json.unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| json.get(*name)?.as_str()).map(str::to_owned);
    let code = kind.map(str::to_owned).or_else(|| text(&["__type", "code", "Code"])).unwrap_or_default();
    // `com.amazon.coral#ValidationException:http://…`
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
    let message = text(&["message", "Message", "errorMessage"]).unwrap_or_else(|| format!("HTTP {status}"));
    Err(CallError::new(code, Some(status), message))
}

/// Of the partition that a region is in.
fn dns_suffix(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "amazonaws.com.cn",
        region if region.starts_with("us-iso-") => "c2s.ic.gov",
        region if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        region if region.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// As ARNs have it.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("us-iso-") => "aws-iso",
        region if region.starts_with("us-isob-") => "aws-iso-b",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::{Answer, Loopback};
    use serde_json::json;

    const LOGS: Service = Service { name: "CloudWatch Logs", endpoint: "logs", signed_as: "logs" };
    const PUT: Operation = Operation::Target("Logs_20140328.PutLogEvents");

    #[test]
    fn a_call_is_signed_for_its_service_and_region() {
        let server = Loopback::start(|_| Answer::json(200, json!({"ok": true})));
        let aws = server.aws();
        let answer = aws.wait(aws.signed.call(&LOGS, PUT, Some("eu-west-3"), &json!({"a": "ü"})));
        assert_eq!(answer, Ok(json!({"ok": true})));
        let request = server.requests().remove(0);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/"));
        assert_eq!(request.json(), json!({"a": "ü"}));
        assert_eq!(request.header("x-amz-target"), "Logs_20140328.PutLogEvents");
        let signature = request.header("authorization");
        assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "{signature}");
        assert!(signature.contains("/eu-west-3/logs/aws4_request, "), "{signature}");
        assert!(signature.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-target, "), "{signature}");
        assert_eq!(aws.calls.counts()["CloudWatch Logs.PutLogEvents"], 1);
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_refused_is_not() {
        let throttled = Answer::json(400, json!({"__type": "com.amazon#ThrottlingException", "message": "slow down"}));
        let broken = Answer::json(503, json!({}));
        for passing in [throttled.clone(), broken, Answer::cut()] {
            let server = Loopback::script([passing.clone(), passing, Answer::json(200, json!({}))]);
            let aws = server.aws();
            assert_eq!(aws.wait(aws.signed.call(&LOGS, PUT, None, &json!({}))), Ok(json!({})));
            assert_eq!(server.requests().len(), 3);
        }
        let server = Loopback::start(move |_| throttled.clone());
        let aws = server.aws();
        let error = aws.wait(aws.signed.call(&LOGS, PUT, None, &json!({}))).unwrap_err();
        assert_eq!(error.to_string(), "ThrottlingException: slow down");
        assert_eq!(server.requests().len(), crate::limits::ATTEMPTS_MAX as usize);
        let refused = Answer::json(400, json!({"message": "no such group"}))
            .with_header("x-amzn-ErrorType", "ResourceNotFoundException:http://internal.amazon.com/");
        let server = Loopback::start(move |_| refused.clone());
        let aws = server.aws();
        let error = aws.wait(aws.signed.call(&LOGS, PUT, None, &json!({}))).unwrap_err();
        assert_eq!(error, CallError::new("ResourceNotFoundException", Some(400), "no such group"));
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn addresses_are_of_the_region_and_its_partition() {
        assert_eq!((dns_suffix("us-east-1"), partition("us-east-1")), ("amazonaws.com", "aws"));
        assert_eq!((dns_suffix("cn-north-1"), partition("cn-north-1")), ("amazonaws.com.cn", "aws-cn"));
        assert_eq!((dns_suffix("us-gov-west-1"), partition("us-gov-west-1")), ("amazonaws.com", "aws-us-gov"));
    }
}
