//! The installation on AWS that a command is about.

use crate::Failure;
use anyhow::{Context, anyhow};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use streamalert_aws::{Aws, Connection, Names, Settings};
use tokio::runtime::{Builder, Runtime};

/// Which installation it is, beside the configuration.
pub const SETTINGS: &str = "aws.json";

pub struct Cloud {
    pub aws: Arc<Aws>,
    pub names: Names,
    /// Calls are made on it for as long as anybody waits for them.
    _runtime: Runtime,
}

/// AWS by `aws.json` if there is one, and otherwise by the environment alone; for as long as the program runs.
pub fn anywhere(config: &Path) -> Result<Arc<Aws>, Failure> {
    if config.join(SETTINGS).is_file() {
        let Cloud { aws, _runtime: runtime, .. } = connect(config)?;
        std::mem::forget(runtime);
        return Ok(aws);
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("start the runtime")?;
    let connection = Connection::from_env(|name| std::env::var(name).ok());
    let aws = Arc::new(Aws::connect(&connection, runtime.handle().clone()));
    std::mem::forget(runtime);
    Ok(aws)
}

/// By `aws.json` in the folder of the configuration.
pub fn connect(config: &Path) -> Result<Cloud, Failure> {
    let path = config.join(SETTINGS);
    let shown = path.display();
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!(
            "there is no {shown}: write {{\"prefix\": \"…\"}} there, the prefix of the installation on AWS, and `region` if the \
             environment does not say it"
        ),
        _ => anyhow!("read {shown}: {error}"),
    });
    let variable = |name: &str| std::env::var(name).ok();
    let settings = text.and_then(|text| Settings::read(&text, variable).map_err(|why| anyhow!("{shown}: {why}")));
    let Settings { names, connection } = settings.map_err(Failure::Usage)?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("start the runtime")?;
    let aws = Arc::new(Aws::connect(&connection, runtime.handle().clone()));
    Ok(Cloud { aws, names, _runtime: runtime })
}
