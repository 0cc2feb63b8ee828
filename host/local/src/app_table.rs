//! What is known of apps, in SQLite: one row for each.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamalert_pipeline::apps::AppState;
use streamalert_pipeline::backend::{AppTable, BackendError, BackendErrorKind};

/// How long a write waits for another process (`app reset` beside `run`): commits take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

pub struct SqliteApps {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteApps {
    /// Opens the table, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 CREATE TABLE IF NOT EXISTS apps (
                     app      TEXT PRIMARY KEY,
                     revision INTEGER NOT NULL,
                     state    TEXT NOT NULL
                 ) STRICT, WITHOUT ROWID;",
            )?;
            Ok(connection)
        };
        let connection =
            open().map_err(|error| BackendError::other(format!("open the table of apps {}", path.display()), error))?;
        Ok(SqliteApps { path: path.to_path_buf(), connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic between statements leaves the connection usable: an open transaction was rolled back by its drop.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackendError {
        BackendError::other(format!("{doing} the table of apps {}", self.path.display()), error)
    }

    fn read(&self, revision: i64, text: &str) -> Result<AppState, BackendError> {
        let state: AppState = serde_json::from_str(text).map_err(|error| self.failed("read", error))?;
        Ok(AppState { revision: revision.unsigned_abs(), ..state })
    }
}

impl AppTable for SqliteApps {
    fn all(&self) -> Result<BTreeMap<String, AppState>, BackendError> {
        let rows = || -> rusqlite::Result<Vec<(String, i64, String)>> {
            let connection = self.connection();
            let mut select = connection.prepare_cached("SELECT app, revision, state FROM apps")?;
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        };
        let rows = rows().map_err(|error| self.failed("read", error))?;
        rows.into_iter().map(|(app, revision, text)| Ok((app, self.read(revision, &text)?))).collect()
    }

    fn get(&self, app: &str) -> Result<Option<AppState>, BackendError> {
        let row = self
            .connection()
            .query_row("SELECT revision, state FROM apps WHERE app = ?1", [app], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .optional()
            .map_err(|error| self.failed("read", error))?;
        row.map(|(revision, text)| self.read(revision, &text)).transpose()
    }

    fn put(&self, app: &str, state: &AppState, expected: Option<u64>) -> Result<u64, BackendError> {
        let text = serde_json::to_string(state).map_err(|error| self.failed("write", error))?;
        let revision = expected.map_or(1, |revision| revision + 1);
        let write = || -> rusqlite::Result<usize> {
            let mut connection = self.connection();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = match expected {
                None => transaction.execute(
                    "INSERT OR IGNORE INTO apps (app, revision, state) VALUES (?1, ?2, ?3)",
                    params![app, revision as i64, text],
                )?,
                Some(expected) => transaction.execute(
                    "UPDATE apps SET revision = ?2, state = ?3 WHERE app = ?1 AND revision = ?4",
                    params![app, revision as i64, text, expected as i64],
                )?,
            };
            transaction.commit()?;
            Ok(written)
        };
        match write().map_err(|error| self.failed("write", error))? {
            0 => {
                let action = format!("write app {app} to the table of apps, where it is another by now");
                Err(BackendError { kind: BackendErrorKind::Conflict, action, source: None })
            }
            _ => Ok(revision),
        }
    }

    fn remove(&self, app: &str) -> Result<(), BackendError> {
        let removed = self.connection().execute("DELETE FROM apps WHERE app = ?1", [app]);
        removed.map(drop).map_err(|error| self.failed("write", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_who_write_after_the_same_state_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apps.sqlite");
        let (one, other) = (SqliteApps::open(&path).unwrap(), SqliteApps::open(&path).unwrap());
        let state = |since| AppState { since, ..AppState::default() };
        assert_eq!(one.get("a").unwrap(), None);
        assert_eq!(one.put("a", &state(1), None).unwrap(), 1);
        let conflict = |done: Result<u64, BackendError>| done.unwrap_err().kind == BackendErrorKind::Conflict;
        assert!(conflict(other.put("a", &state(2), None)), "it is there already");
        assert_eq!(other.put("a", &state(3), Some(1)).unwrap(), 2);
        assert!(conflict(one.put("a", &state(4), Some(1))));
        assert_eq!(one.get("a").unwrap(), Some(AppState { revision: 2, ..state(3) }));
        one.remove("a").unwrap();
        assert!(conflict(other.put("a", &state(5), Some(2))), "what was reset stays so");
        assert_eq!(other.all().unwrap().len(), 0);
    }
}
