//! What every function is told: its environment, the services, what our resources are called.

use anyhow::{Context, Result, anyhow};
use std::str::FromStr;
use std::sync::Arc;
use streamalert_aws::{Aws, Connection, Names};
use tokio::runtime::Handle;

pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Handed to every function when it is made.
#[derive(Clone)]
pub struct Environment {
    pub aws: Arc<Aws>,
    pub names: Names,
    variables: Variables,
}

impl Environment {
    pub fn new(aws: Arc<Aws>, names: Names, variables: Variables) -> Self {
        Environment { aws, names, variables }
    }

    /// That of the process.
    pub async fn of_process(runtime: Handle) -> Result<Self> {
        let variables: Variables = Arc::new(|name| std::env::var(name).ok());
        let names = Names::from_env(&*variables).map_err(|fault| anyhow!("{fault}"))?;
        let aws = Aws::connect_within(&Connection::from_env(&*variables), runtime).await;
        Ok(Environment::new(Arc::new(aws), names, variables))
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// A number, or what else can be read from a text.
    pub fn read<T: FromStr>(&self, name: &str, default: T) -> Result<T>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        match self.get(name) {
            Some(text) => text.parse().with_context(|| format!("the variable {name} is `{text}`")),
            None => Ok(default),
        }
    }
}
