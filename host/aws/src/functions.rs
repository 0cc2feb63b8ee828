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

/// Where an alias points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    pub version: String,
    /// Changes with every change of the alias.
    pub revision: Option<String>,
}

/// A version of a function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeVersion {
    /// A number, as text.
    pub version: String,
    /// When it was published.
    pub modified: String,
    /// SHA-256 of its zip, base64.
    pub digest: String,
}

/// Where the alias of a function points; `None` if there is no such function or alias.
pub fn alias(aws: &Aws, name: &str, alias: &str) -> Result<Option<Pointed>, BackendError> {
    let found = aws.wait(aws.lambda.get_alias().function_name(name).name(alias).send());
    match found {
        Ok(found) => {
            Ok(Some(Pointed { version: found.function_version.unwrap_or_default(), revision: found.revision_id }))
        }
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => Ok(None),
        Err(error) => Err(failed(&format!("look at the alias {alias} of {name}"), error)),
    }
}

/// The published versions of a function, the newest first.
pub fn versions(aws: &Aws, name: &str) -> Result<Vec<CodeVersion>, BackendError> {
    let mut all = Vec::new();
    let mut from = None;
    loop {
        let list = aws.lambda.list_versions_by_function().function_name(name).set_marker(from);
        let page = aws.wait(list.send()).map_err(|error| failed(&format!("list the versions of {name}"), error))?;
        for version in page.versions.unwrap_or_default() {
            // `$LATEST` is no version but what was uploaded last.
            let number = version.version.unwrap_or_default();
            if number.parse::<u64>().is_ok() {
                let (modified, digest) = (version.last_modified.unwrap_or_default(), version.code_sha256);
                all.push(CodeVersion { version: number, modified, digest: digest.unwrap_or_default() });
            }
        }
        from = page.next_marker.filter(|marker| !marker.is_empty());
        if from.is_none() {
            break;
        }
    }
    all.sort_by_key(|version| std::cmp::Reverse(version.version.parse::<u64>().unwrap_or_default()));
    Ok(all)
}

/// Points the alias of a function at a version, unless somebody else has moved it since.
pub fn point(aws: &Aws, name: &str, alias: &str, version: &str, was: &Pointed) -> Result<(), BackendError> {
    let update = aws.lambda.update_alias().function_name(name).name(alias).function_version(version);
    let update = update.set_revision_id(was.revision.clone());
    aws.wait(update.send())
        .map_err(|error| failed(&format!("point the alias {alias} of {name} at {version}"), error))?;
    Ok(())
}
