//! Functions of the installation on AWS, invoked from here.

use crate::Failure;
use crate::cloud::Cloud;
use anyhow::{Context, anyhow};
use streamalert_aws::functions;

/// What a function answered.
pub struct Invoked {
    /// The end of its log.
    pub log: String,
    answer: Result<String, String>,
}

impl Invoked {
    /// JSON; or what went wrong.
    pub fn answer(self) -> Result<String, Failure> {
        self.answer.map_err(|error| anyhow!("the function failed: {error}").into())
    }
}

/// Waits for the answer.
pub fn invoke(cloud: &Cloud, stage: &str, event: &str) -> Result<Invoked, Failure> {
    let name = cloud.names.function(stage);
    let invoked = functions::invoke(&cloud.aws, &name, event).with_context(|| format!("invoke {name}"))?;
    Ok(Invoked { log: invoked.log, answer: invoked.answer })
}

/// Does not wait.
pub fn start(cloud: &Cloud, stage: &str, event: &str) -> Result<(), Failure> {
    let name = cloud.names.function(stage);
    Ok(functions::start(&cloud.aws, &name, event).with_context(|| format!("invoke {name}"))?)
}
