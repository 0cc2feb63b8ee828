//! Credentials of outputs, in the parameters of Systems Manager or in Secrets Manager: a JSON object of texts for each output.
//!
//! Nothing of what they hold is ever part of an error, so answers of the services are told by their code only.

use crate::call::kind_of;
use crate::{Aws, Names};
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::collections::BTreeMap;
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::apps::SERVICE;

/// Bytes of a parameter of the advanced tier; docs: "Managing parameter tiers".
const PARAMETER_BYTES_MAX: usize = 8 << 10;

type Secrets = BTreeMap<String, String>;

/// Where an output's secrets lie below a prefix, `…/streamalert/outputs/slack/security`, and where an app's do,
/// `…/streamalert/apps/okta`: each function may read its own.
fn path(prefix: &str, output: &str) -> Result<String, BackendError> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    match output.split_once(':') {
        Some((SERVICE, app)) if is_name(app) => Ok(format!("{prefix}/streamalert/apps/{app}")),
        Some((service, descriptor)) if is_name(service) && is_name(descriptor) => {
            Ok(format!("{prefix}/streamalert/outputs/{service}/{descriptor}"))
        }
        _ => Err(BackendError {
            kind: BackendErrorKind::Other,
            action: format!(
                "look for the secrets of `{output}`: outputs are called service:descriptor, in letters, digits, `-` and `_`"
            ),
            source: None,
        }),
    }
}

fn written(secrets: &Secrets) -> Result<String, BackendError> {
    serde_json::to_string(secrets).map_err(|error| BackendError::other("write secrets as JSON", error))
}

/// serde's message might show a secret: only the place is told.
fn read(path: &str, text: &str) -> Result<Secrets, BackendError> {
    serde_json::from_str(text).map_err(|error| BackendError {
        kind: BackendErrorKind::Other,
        action: format!(
            "read the secrets in {path}: it is no JSON object of texts: look at line {} column {}",
            error.line(),
            error.column()
        ),
        source: None,
    })
}

fn failed<E: ProvideErrorMetadata, R>(action: &str, path: &str, error: &SdkError<E, R>) -> BackendError {
    let (kind, code) = match error.code() {
        Some(code) => (kind_of(code), code.to_owned()),
        None => (BackendErrorKind::Other, unsaid(error).to_owned()),
    };
    BackendError { kind, action: format!("{action} {path}"), source: Some(code.into()) }
}

fn unsaid<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "the call could not be made; are there credentials and a region?",
        SdkError::TimeoutError(_) => "there was no answer in time",
        SdkError::DispatchFailure(_) => "there is no connection, or there are no credentials",
        _ => "the answer was no answer of the service",
    }
}

/// Parameters of Systems Manager, encrypted.
pub struct SsmSecrets {
    aws: Arc<Aws>,
    prefix: String,
}

impl SsmSecrets {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        SsmSecrets { aws, prefix: format!("/{}", names.prefix) }
    }
}

impl SecretStore for SsmSecrets {
    fn get(&self, output: &str) -> Result<Secrets, BackendError> {
        let path = path(&self.prefix, output)?;
        let got = self.aws.wait(self.aws.ssm.get_parameter().name(&path).with_decryption(true).send());
        match got.map_err(|error| failed("read the parameter", &path, &error)) {
            Ok(got) => match got.parameter.and_then(|parameter| parameter.value) {
                Some(text) => read(&path, &text),
                None => Ok(Secrets::new()),
            },
            Err(error) if error.kind == BackendErrorKind::NotFound => Ok(Secrets::new()),
            Err(error) => Err(error),
        }
    }

    fn put(&self, output: &str, secrets: &Secrets) -> Result<(), BackendError> {
        let path = path(&self.prefix, output)?;
        let text = written(secrets)?;
        if text.len() > PARAMETER_BYTES_MAX {
            let message =
                format!("they have {} bytes, and a parameter {PARAMETER_BYTES_MAX}: use Secrets Manager", text.len());
            return Err(BackendError::other(format!("write the parameter {path}"), message));
        }
        // The tier that costs nothing, as long as it is large enough.
        let tier = ParameterTier::IntelligentTiering;
        let put = self.aws.ssm.put_parameter().name(&path).value(text).r#type(ParameterType::SecureString).tier(tier);
        let done = self.aws.wait(put.overwrite(true).send());
        done.map_err(|error| failed("write the parameter", &path, &error))?;
        Ok(())
    }

    fn delete(&self, output: &str) -> Result<(), BackendError> {
        let path = path(&self.prefix, output)?;
        let done = self.aws.wait(self.aws.ssm.delete_parameter().name(&path).send());
        match done.map_err(|error| failed("delete the parameter", &path, &error)) {
            Err(error) if error.kind != BackendErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Secrets Manager.
pub struct SecretsManagerSecrets {
    aws: Arc<Aws>,
    prefix: String,
}

impl SecretsManagerSecrets {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        SecretsManagerSecrets { aws, prefix: names.prefix.clone() }
    }

    /// In the place of what is there. `NotFound` if nothing is.
    async fn replace(&self, path: &str, text: &str) -> Result<(), BackendError> {
        let manager = &self.aws.secrets_manager;
        let put = || manager.put_secret_value().secret_id(path).secret_string(text).send();
        let error = match put().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !is_to_be_deleted(&error) {
            return Err(failed("write the secret", path, &error));
        }
        let restored = manager.restore_secret().secret_id(path).send().await;
        restored.map_err(|error| failed("restore the secret", path, &error))?;
        put().await.map(drop).map_err(|error| failed("write the secret", path, &error))
    }
}

/// Somebody has marked it; until it is gone, it can be had back.
fn is_to_be_deleted<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.code() == Some("InvalidRequestException") && error.message().is_some_and(|text| text.contains("deletion"))
}

impl SecretStore for SecretsManagerSecrets {
    fn get(&self, output: &str) -> Result<Secrets, BackendError> {
        let path = path(&self.prefix, output)?;
        let got = match self.aws.wait(self.aws.secrets_manager.get_secret_value().secret_id(&path).send()) {
            Ok(got) => got,
            Err(error) if is_to_be_deleted(&error) => return Ok(Secrets::new()),
            Err(error) => {
                let error = failed("read the secret", &path, &error);
                return if error.kind == BackendErrorKind::NotFound { Ok(Secrets::new()) } else { Err(error) };
            }
        };
        got.secret_string.map_or(Ok(Secrets::new()), |text| read(&path, &text))
    }

    fn put(&self, output: &str, secrets: &Secrets) -> Result<(), BackendError> {
        let path = path(&self.prefix, output)?;
        let text = written(secrets)?;
        self.aws.wait(async {
            match self.replace(&path, &text).await {
                Err(error) if error.kind == BackendErrorKind::NotFound => {}
                done => return done,
            }
            match self.aws.secrets_manager.create_secret().name(&path).secret_string(&text).send().await {
                Ok(_) => Ok(()),
                // Somebody was faster, perhaps we ourselves.
                Err(error) if error.code() == Some("ResourceExistsException") => self.replace(&path, &text).await,
                Err(error) => Err(failed("make the secret", &path, &error)),
            }
        })
    }

    fn delete(&self, output: &str) -> Result<(), BackendError> {
        let path = path(&self.prefix, output)?;
        let delete = self.aws.secrets_manager.delete_secret().secret_id(&path).force_delete_without_recovery(true);
        match self.aws.wait(delete.send()).map_err(|error| failed("delete the secret", &path, &error)) {
            Err(error) if error.kind != BackendErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_one_place_and_no_other() {
        assert_eq!(path("/p", "slack:sec-ops").unwrap(), "/p/streamalert/outputs/slack/sec-ops");
        assert_eq!(path("/p", "streamalert_app:okta").unwrap(), "/p/streamalert/apps/okta");
        for output in ["slack", "slack:", ":a", "slack:a/b", "slack:../x", "sl.ack:a", "slack:a:b", "slack:é"] {
            assert!(path("/p", output).is_err(), "{output}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_of_without_what_it_holds() {
        for text in ["hunter2", r#"{"password": 12345}"#, r#"["hunter2"]"#] {
            let told = format!("{:?}", read("/p/x", text).unwrap_err());
            assert!(told.contains("line 1") && !told.contains("hunter2") && !told.contains("12345"), "{told}");
        }
    }
}
