//! Functions of Lambda, as others invoke them.

use crate::Aws;
use crate::call::failed;
use crate::limits::LAMBDA_ANSWER_TIMEOUT;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{InvocationType, LogType};
use aws_smithy_types::timeout::TimeoutConfig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use streamalert_pipeline::backend::BackendError;

/// What came of an invocation that was waited for.
#[derive(Debug)]
pub struct Invoked {
    /// The last 4 KB of its log.
    pub log: String,
    /// The answer, or the error of a function that failed.
    pub answer: Result<String, String>,
}

/// Blocks until the function has answered, which may take minutes: to give up before would be to begin it once more.
pub fn invoke(aws: &Aws, name: &str, event: &str) -> Result<Invoked, BackendError> {
    let invoke = aws.lambda.invoke().function_name(name).payload(Blob::new(event)).log_type(LogType::Tail);
    let patience = TimeoutConfig::builder()
        .read_timeout(LAMBDA_ANSWER_TIMEOUT)
        .operation_attempt_timeout(LAMBDA_ANSWER_TIMEOUT)
        .build();
    let invoke = invoke.invocation_type(InvocationType::RequestResponse).customize();
    let invoke = invoke.config_override(aws_sdk_lambda::config::Builder::new().timeout_config(patience));
    let answer = aws.wait(invoke.send()).map_err(|error| failed(&format!("invoke the function {name}"), error))?;
    let text = answer.payload.map(|payload| payload.into_inner()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let log = answer.log_result.and_then(|log| BASE64_STANDARD.decode(log).ok()).unwrap_or_default();
    let answer = match answer.function_error {
        None => Ok(text),
        Some(kind) => {
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            let message = said["errorMessage"].as_str().map_or(text, str::to_owned);
            Err(format!("{kind}: {message}"))
        }
    };
    Ok(Invoked { log: String::from_utf8_lossy(&log).into_owned(), answer })
}

/// Hands the event over and does not wait.
pub fn start(aws: &Aws, name: &str, event: &str) -> Result<(), BackendError> {
    let invoke = aws.lambda.invoke().function_name(name).payload(Blob::new(event));
    let invoke = invoke.invocation_type(InvocationType::Event);
    aws.wait(invoke.send()).map_err(|error| failed(&format!("invoke the function {name}"), error))?;
    Ok(())
}
