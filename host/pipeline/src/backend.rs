//! Everything the pipeline asks of the outside world.

use crate::alert::Alert;
use crate::dead_letter::DeadLetter;

/// By what one does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendErrorKind {
    /// Wait and try again.
    Throttled,
    /// Somebody else was first.
    Conflict,
    NotFound,
    Denied,
    Other,
}

#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct BackendError {
    pub kind: BackendErrorKind,
    /// What was being done, `add alerts to the table`.
    pub action: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl BackendError {
    pub fn other(action: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        BackendError { kind: BackendErrorKind::Other, action: action.into(), source: Some(source.into()) }
    }
}

/// Alerts we owe delivery.
pub trait AlertTable: Send + Sync {
    /// Stores alerts, all or none, durably when it returns. One whose id is there already is left as it is.
    /// Says for each alert whether it is new.
    fn add(&self, alerts: &[Alert]) -> Result<Vec<bool>, BackendError>;
    /// The newest alerts first, at most `limit`.
    fn list(&self, limit: usize) -> Result<Vec<Alert>, BackendError>;
    fn get(&self, id: &str) -> Result<Option<Alert>, BackendError>;
}

/// What could not be processed.
pub trait DeadLetters: Send + Sync {
    /// Keeps letters, durably when it returns. A letter whose id is there already keeps its `first_seen`.
    fn put(&self, letters: &[DeadLetter]) -> Result<(), BackendError>;
    /// All letters, oldest first.
    fn list(&self) -> Result<Vec<DeadLetter>, BackendError>;
    /// Forgets the letters with these ids; unknown ids are no error.
    fn remove(&self, ids: &[String]) -> Result<(), BackendError>;
}
