//! The operator's tables, as rules see them. A batch sees one state of each from start to end.

use crate::backend::BackendError;
use crate::config::lookup_tables::KeyedConfig;
use std::sync::Arc;
use std::time::Duration;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The JSON text under the key; a stored null is `null`.
    Found(String),
    NoKey,
    NoTable,
}

/// A table could not be read: the host's fault, and no answer. To take it for "not there" would let a rule be silent, or cry.
#[derive(Clone, Debug, thiserror::Error)]
#[error("lookup table {table}: {message}")]
pub struct LookupFailure {
    pub table: String,
    pub message: String,
}

pub trait LookupTables: Send + Sync {
    /// What one batch sees, from its first question to its last. Costs little.
    fn snapshot(&self) -> Arc<dyn LookupSnapshot>;
}

pub trait LookupSnapshot: Send + Sync {
    /// May wait for a service, within limits of its own. `more` names keys of the same table that the batch will probably ask
    /// next, so that one call can bring them all; nobody has to listen.
    fn get(&self, table: &str, key: &str, more: &mut dyn FnMut() -> Vec<String>) -> Result<Looked, LookupFailure>;
}

/// Bytes that a table is read from as a whole.
pub trait TableContent: Send + Sync {
    /// For people: `s3://bucket/key`, a path.
    fn place(&self) -> String;
    /// The bytes as they are now, unless their version is still `known`. More than `bytes_max` of them are an error.
    fn read(&self, known: Option<&str>, bytes_max: u64) -> Result<Content, BackendError>;
    /// Writes them, if their version is still `known`, or if there are none and `known` is none; a conflict otherwise.
    fn write(&self, known: Option<&str>, bytes: &[u8]) -> Result<(), BackendError>;
    /// Whether looking costs so little that it can be done every second.
    fn is_near(&self) -> bool {
        false
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Same,
    Gone,
    Now { version: String, bytes: Vec<u8> },
}

/// Where tables lie that are not on this machine.
pub trait TableServices: Send + Sync {
    fn object(&self, bucket: &str, key: &str) -> Box<dyn TableContent>;
    fn items(&self, config: &KeyedConfig) -> Box<dyn TableItems>;
}

/// A table that is asked for single keys.
pub trait TableItems: Send + Sync {
    fn place(&self) -> String;
    /// The JSON texts under these keys, in their order, within `patience`.
    fn read(&self, keys: &[String], patience: Duration) -> Result<Vec<Option<String>>, BackendError>;
    /// Writes one, if what is there is still `known`, a JSON text; a conflict otherwise. `known` none: whatever is there.
    fn write(&self, key: &str, value: Option<&str>, known: Option<Option<&str>>) -> Result<(), BackendError>;
    /// Some of the keys, from the beginning.
    fn keys(&self, limit: usize) -> Result<Vec<String>, BackendError>;
}
