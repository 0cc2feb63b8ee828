//! Records and alerts as Parquet files: one folder for each table, one within it for each hour, as Athena reads them.
//!
//! | module | what it does |
//! |---|---|
//! | [`keeper`] | what a run does beside its work: a journal that is synced before anybody is answered, Parquet soon after |
//! | [`journal`] | the journal: what is acknowledged and not yet in a file |
//! | [`convert`] | a piece of the journal becomes files |
//! | [`table`], [`rows`] | what a table's columns are, and a record as one row of them |
//! | [`folder`] | the files of an hour: written whole or not at all, each row seen once |
//! | [`compact`] | small files become large ones, copies of a row are dropped; hours that are too old are removed |
//! | [`bounds`] | from when to when |
//! | [`owned`] | which files hold the records of a table |
//! | [`stored`] | what lies there, for a look |
//! | [`read`] | records back from files, to the last digit |
//! | [`backtest`] | rules are asked about archived records, one set of them against another |

pub mod backtest;
pub mod bounds;
pub mod compact;
pub mod convert;
pub mod folder;
pub mod journal;
pub mod keeper;
pub mod owned;
pub mod read;
pub mod rows;
pub mod stored;
pub mod table;
#[cfg(test)]
mod tests;

pub use bounds::Bounds;
pub use folder::Archive;
pub use keeper::Keeper;

use std::path::{Path, PathBuf};

/// Something could not be done with a file of the archive.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}", path.display())]
pub struct ArchiveError {
    pub action: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

pub type Result<T> = std::result::Result<T, ArchiveError>;

pub(crate) fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> ArchiveError {
    let path = path.to_path_buf();
    move |error| ArchiveError { action, path, source: error.into() }
}

/// With all causes, in one line.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
