//! What is known of apps, in SQLite: one row for each.
//!
//! Whoever takes leases here holds a lock on a file of his own, which ends with his process: the lease of one who is gone means nothing,
//! so that after a crash nobody waits for it.

use crate::clock::micros;
use crate::sqlite_file;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use streamalert_pipeline::apps::AppState;
use streamalert_pipeline::backend::{AppTable, BackendError, BackendErrorKind};

pub struct SqliteApps {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteApps {
    /// Opens the table, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = sqlite_file::open(path, "FULL")?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS apps (
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
        let mut state: AppState = serde_json::from_str(text).map_err(|error| self.failed("read", error))?;
        if state.lease.as_ref().is_some_and(|lease| !self.is_there(&lease.owner)) {
            state.lease = None;
        }
        Ok(AppState { revision: revision.unsigned_abs(), ..state })
    }

    fn owners(&self) -> PathBuf {
        self.path.with_extension("owners")
    }

    /// Becomes somebody who may take leases, until the owner is dropped or the process ends. Names of leases are the owner's, with
    /// `.` and a number.
    pub fn owner(&self) -> Result<Owner, BackendError> {
        let make = || -> io::Result<Owner> {
            let folder = self.owners();
            fs::create_dir_all(&folder)?;
            // Under another name until it is locked: nobody is to think that its owner is gone.
            let file = tempfile::Builder::new().prefix("new-").tempfile_in(&folder)?;
            file.as_file().lock()?;
            let random = file.path().file_name().unwrap_or_default().to_string_lossy().replace("new-", "");
            let name = format!("{}-{}", std::process::id(), random.trim_start_matches('.'));
            let path = folder.join(&name);
            let file = file.persist(&path)?;
            Ok(Owner { name, path, _lock: file })
        };
        make().map_err(|error| self.failed("become an owner in", error))
    }

    /// Whether the owner of a lease is still at it.
    fn is_there(&self, owner: &str) -> bool {
        let name = owner.split('.').next().unwrap_or_default();
        let path = self.owners().join(name);
        match File::open(&path).map(|file| file.try_lock()) {
            Err(error) => error.kind() != io::ErrorKind::NotFound,
            Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) => true,
            Ok(Ok(())) => {
                let _ = fs::remove_file(&path);
                false
            }
        }
    }
}

/// Somebody who takes leases.
pub struct Owner {
    pub name: String,
    path: PathBuf,
    _lock: File,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
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
        // One that is new begins at the time: further than any that was there before it has come by counting.
        let revision = expected.map_or_else(|| micros().unsigned_abs(), |revision| revision + 1);
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
    fn the_lease_of_one_who_is_gone_means_nothing() {
        use streamalert_pipeline::apps::AppLease;
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteApps::open(&folder.path().join("apps.sqlite")).unwrap();
        let owner = table.owner().unwrap();
        let lease = |owner: &str| Some(AppLease { owner: format!("{owner}.7"), until: i64::MAX, since: 0 });
        let state = AppState { lease: lease(&owner.name), ..AppState::default() };
        table.put("a", &state, None).unwrap();
        table.put("b", &AppState { lease: lease("4711-gone"), ..AppState::default() }, None).unwrap();
        let other = table.owner().unwrap();
        assert_ne!(other.name, owner.name);
        assert!(table.get("a").unwrap().unwrap().lease.is_some());
        assert!(table.get("b").unwrap().unwrap().lease.is_none());
        drop(owner);
        assert!(table.all().unwrap()["a"].lease.is_none());
    }

    #[test]
    fn of_two_who_write_after_the_same_state_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("apps.sqlite");
        let (one, other) = (SqliteApps::open(&path).unwrap(), SqliteApps::open(&path).unwrap());
        let state = |since| AppState { since, ..AppState::default() };
        assert_eq!(one.get("a").unwrap(), None);
        let first = one.put("a", &state(1), None).unwrap();
        let conflict = |done: Result<u64, BackendError>| done.unwrap_err().kind == BackendErrorKind::Conflict;
        assert!(conflict(other.put("a", &state(2), None)), "it is there already");
        let second = other.put("a", &state(3), Some(first)).unwrap();
        assert!(conflict(one.put("a", &state(4), Some(first))));
        assert_eq!(one.get("a").unwrap(), Some(AppState { revision: second, ..state(3) }));
        one.remove("a").unwrap();
        assert!(conflict(other.put("a", &state(5), Some(second))), "what was removed stays so");
        assert_eq!(other.all().unwrap().len(), 0);
        // Nor is one that is made anew taken for the one that was.
        let anew = one.put("a", &state(6), None).unwrap();
        let next = one.put("a", &state(7), Some(anew)).unwrap();
        assert!(conflict(other.put("a", &state(8), Some(first))) && conflict(other.put("a", &state(8), Some(second))));
        assert_eq!(one.get("a").unwrap(), Some(AppState { revision: next, ..state(7) }));
    }
}
