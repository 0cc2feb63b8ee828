//! How services are reached. Made once in a process and handed in; nothing else makes a client.

use crate::limits::{ATTEMPTS_MAX, CONNECT_TIMEOUT, RETRY_FIRST, RETRY_LONGEST, SILENCE_TIMEOUT};
use crate::signed::Signed;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

pub use aws_credential_types::Credentials;

/// Where AWS is. What is not said comes from the environment, as with every tool of AWS: `AWS_REGION`, `AWS_ENDPOINT_URL`,
/// credentials, profiles.
#[derive(Clone, Debug)]
pub struct Connection {
    pub region: Option<String>,
    pub profile: Option<String>,
    /// In the place of those that the SDK looks for.
    pub credentials: Option<Credentials>,
    /// In the place of AWS's own addresses.
    pub endpoint: Option<String>,
    /// `host/bucket/key` and not `bucket.host/key`: what servers other than AWS ask for.
    pub path_style: bool,
    /// Pause before the second attempt of a call.
    pub retry_first: Duration,
    /// Attempts of one call.
    pub attempts: u32,
    /// Time within which something must come, of each attempt.
    pub silence: Duration,
}

impl Default for Connection {
    fn default() -> Self {
        Connection {
            region: None,
            profile: None,
            credentials: None,
            endpoint: None,
            path_style: false,
            retry_first: RETRY_FIRST,
            attempts: ATTEMPTS_MAX,
            silence: SILENCE_TIMEOUT,
        }
    }
}

impl Connection {
    /// `AWS_ENDPOINT_URL` and `STREAMALERT_S3_PATH_STYLE`, beside what the SDK reads itself.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Connection {
            endpoint: set("AWS_ENDPOINT_URL"),
            path_style: set("STREAMALERT_S3_PATH_STYLE").is_some_and(|value| value == "true" || value == "1"),
            ..Connection::default()
        }
    }
}

/// The services.
pub struct Aws {
    pub s3: aws_sdk_s3::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub firehose: aws_sdk_firehose::Client,
    pub sns: aws_sdk_sns::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub secrets_manager: aws_sdk_secretsmanager::Client,
    /// Calls that are signed by hand.
    pub(crate) signed: Signed,
    config: SdkConfig,
    pub calls: Arc<Calls>,
    runtime: Handle,
}

impl Aws {
    /// Blocks the thread, which must not be one of `runtime`'s own workers.
    pub fn connect(connection: &Connection, runtime: Handle) -> Aws {
        runtime.clone().block_on(Self::connect_within(connection, runtime))
    }

    pub async fn connect_within(connection: &Connection, runtime: Handle) -> Aws {
        let plain = connection.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        // Without TLS there is no list of authorities to be read, which takes milliseconds of a cold start.
        let http = match plain {
            true => Builder::new().build_http(),
            false => Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https(),
        };
        let retries = RetryConfig::standard()
            .with_max_attempts(connection.attempts.max(1))
            .with_initial_backoff(connection.retry_first)
            .with_max_backoff(RETRY_LONGEST.max(connection.retry_first));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(connection.silence)
            .operation_attempt_timeout(4 * connection.silence)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(retries)
            .timeout_config(timeouts);
        if let Some(region) = &connection.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &connection.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(credentials) = &connection.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        if let Some(endpoint) = &connection.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        let calls = Arc::new(Calls::default());
        let counting = SharedInterceptor::new(Counting(calls.clone()));
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf($sdk::config::Builder::from(&config).interceptor(counting.clone()).build())
            };
        }
        Aws {
            s3: aws_sdk_s3::Client::from_conf(
                aws_sdk_s3::config::Builder::from(&config)
                    .force_path_style(connection.path_style)
                    .interceptor(counting.clone())
                    .build(),
            ),
            sqs: client!(aws_sdk_sqs),
            dynamodb: client!(aws_sdk_dynamodb),
            firehose: client!(aws_sdk_firehose),
            sns: client!(aws_sdk_sns),
            lambda: client!(aws_sdk_lambda),
            ssm: client!(aws_sdk_ssm),
            secrets_manager: client!(aws_sdk_secretsmanager),
            signed: Signed::new(config.clone(), calls.clone()),
            config,
            calls,
            runtime,
        }
    }

    /// Waits for calls. The traits of the pipeline are synchronous, so this is where a thread of its own waits for the network.
    pub fn wait<F: Future>(&self, calls: F) -> F::Output {
        self.runtime.block_on(calls)
    }

    pub fn region(&self) -> &str {
        self.config.region().map_or("", Region::as_ref)
    }
}

/// Calls made so far by operation, each attempt counted.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<String, u64>>);

impl Calls {
    /// `SQS.SendMessageBatch`.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, service: &str, operation: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(format!("{service}.{operation}")).or_default() += 1;
    }
}

#[derive(Debug)]
struct Counting(Arc<Calls>);

impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(operation) = config.load::<Metadata>() {
            self.0.count(operation.service(), operation.name());
        }
        Ok(())
    }
}
