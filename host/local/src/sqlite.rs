//! Alerts in SQLite. What `add` returns from is on disk.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertTable, BackendError, BackendErrorKind};

/// How long a write waits for another process (`dead resend` beside `run`): commits take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Layout of the tables. A later one reads every earlier one and upgrades it when opened.
const SCHEMA_VERSION: i64 = 1;

/// `json` is the stored promise; the columns beside it are there to be searched by.
const SCHEMA: &str = "
    CREATE TABLE alerts (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        id       TEXT NOT NULL UNIQUE,
        rule     TEXT NOT NULL,
        severity TEXT NOT NULL,
        created  TEXT NOT NULL,
        json     TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alerts_by_rule ON alerts (rule, seq);
    CREATE TABLE cursors (
        name TEXT PRIMARY KEY,
        seq  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

pub struct SqliteAlerts {
    connection: Mutex<Connection>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("open alert table {path}")]
    Sqlite {
        path: String,
        #[source]
        source: rusqlite::Error,
    },
    #[error(
        "alert table {path} has layout {found}, this streamalert knows {SCHEMA_VERSION}; use the newer streamalert that wrote it"
    )]
    Newer { path: String, found: i64 },
}

impl SqliteAlerts {
    /// Opens the table, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let failed = |source| OpenError::Sqlite { path: shown.clone(), source };
        let mut connection = Connection::open(path).map_err(failed)?;
        let version = prepare(&mut connection).map_err(failed)?;
        if version > SCHEMA_VERSION {
            return Err(OpenError::Newer { path: shown, found: version });
        }
        Ok(SqliteAlerts { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic between statements leaves the connection usable: an open transaction was rolled back by its drop.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The alerts stored after number `seq`, in the order they were stored, at most `limit`, each with its number and as
    /// its JSON text.
    pub fn after(&self, seq: i64, limit: usize) -> Result<Vec<(i64, String)>, BackendError> {
        let read = || -> rusqlite::Result<Vec<(i64, String)>> {
            let connection = self.connection();
            let mut select = connection.prepare("SELECT seq, json FROM alerts WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            select.query_map(params![seq, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|error| failed("list alerts of the table", error))
    }

    /// How far the reader `name` has come; a new reader starts at the end.
    pub fn cursor(&self, name: &str) -> Result<i64, BackendError> {
        let read = || -> rusqlite::Result<i64> {
            let connection = self.connection();
            connection.execute(
                "INSERT OR IGNORE INTO cursors (name, seq) SELECT ?1, coalesce(max(seq), 0) FROM alerts",
                [name],
            )?;
            connection.query_row("SELECT seq FROM cursors WHERE name = ?1", [name], |row| row.get(0))
        };
        read().map_err(|error| failed("read a cursor of the alert table", error))
    }

    pub fn set_cursor(&self, name: &str, seq: i64) -> Result<(), BackendError> {
        self.connection()
            .execute("INSERT OR REPLACE INTO cursors (name, seq) VALUES (?1, ?2)", params![name, seq])
            .map_err(|error| failed("move a cursor of the alert table", error))?;
        Ok(())
    }
}

/// Brings the file to our layout, unless it is newer. Says which layout it has.
fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
    // In WAL mode NORMAL may lose the last commits when the power goes; acknowledged means durable.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.commit()?;
    Ok(version.max(1))
}

impl AlertTable for SqliteAlerts {
    fn add(&self, alerts: &[Alert]) -> Result<Vec<bool>, BackendError> {
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<String> = alerts
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(|error| BackendError::other("write an alert as JSON", error))?;
        let write = || -> rusqlite::Result<Vec<bool>> {
            let mut connection = self.connection();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut new = Vec::with_capacity(alerts.len());
            {
                let mut insert = transaction.prepare(
                    "INSERT OR IGNORE INTO alerts (id, rule, severity, created, json) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                for (alert, text) in alerts.iter().zip(&texts) {
                    let row = params![alert.id, alert.rule_name, alert.severity.name(), alert.created, text];
                    new.push(insert.execute(row)? == 1);
                }
            }
            transaction.commit()?;
            Ok(new)
        };
        write().map_err(|error| failed("add alerts to the table", error))
    }

    fn list(&self, limit: usize) -> Result<Vec<Alert>, BackendError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let connection = self.connection();
            let mut select = connection.prepare("SELECT json FROM alerts ORDER BY seq DESC LIMIT ?1")?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            select.query_map([limit], |row| row.get(0))?.collect()
        };
        let texts = read().map_err(|error| failed("list alerts of the table", error))?;
        texts.iter().map(|text| alert(text)).collect()
    }

    fn get(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        let text: Option<String> = self
            .connection()
            .query_row("SELECT json FROM alerts WHERE id = ?1", [id], |row| row.get(0))
            .optional()
            .map_err(|error| failed("get an alert from the table", error))?;
        text.map(|text| alert(&text)).transpose()
    }
}

fn alert(text: &str) -> Result<Alert, BackendError> {
    serde_json::from_str(text).map_err(|error| BackendError::other("read a stored alert", error))
}

fn failed(action: &str, error: rusqlite::Error) -> BackendError {
    use rusqlite::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => BackendErrorKind::Throttled,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => BackendErrorKind::Denied,
        _ => BackendErrorKind::Other,
    };
    BackendError { kind, action: action.to_owned(), source: Some(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert_text::tests::alert as sample;

    #[test]
    fn the_same_alert_twice_is_stored_once_also_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.sqlite");
        let (first, second) = (sample("a"), sample("b"));
        let table = SqliteAlerts::open(&path).unwrap();
        assert_eq!(table.add(&[first.clone(), first.clone()]).unwrap(), [true, false]);
        drop(table);
        let table = SqliteAlerts::open(&path).unwrap();
        let mut later = first.clone();
        later.created = "2099-01-01T00:00:00Z".to_owned();
        assert_eq!(table.add(&[later, second.clone()]).unwrap(), [false, true]);
        assert_eq!(table.list(10).unwrap(), [second.clone(), first.clone()], "newest first, the first version kept");
        assert_eq!(table.list(1).unwrap(), [second]);
        assert_eq!(table.get("a").unwrap(), Some(first));
        assert_eq!(table.get("nope").unwrap(), None);
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        table.add(&[sample("before")]).unwrap();
        let start = table.cursor("file").unwrap();
        table.add(&[sample("a"), sample("b")]).unwrap();
        let ids = |after| {
            let texts = table.after(after, 10).unwrap().into_iter();
            texts.map(|(_, text)| alert(&text).unwrap().id).collect::<Vec<_>>()
        };
        assert_eq!(ids(start), ["a", "b"]);
        table.set_cursor("file", start + 1).unwrap();
        assert_eq!(ids(table.cursor("file").unwrap()), ["b"]);
    }

    #[test]
    fn durability_is_what_we_promise() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        let pragma = |name: &str| -> String {
            let value = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
            format!("{:?}", table.connection().query_row(&format!("PRAGMA {name}"), [], value).unwrap())
        };
        assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
        assert_eq!(pragma("synchronous"), "Integer(2)");
        assert_eq!(pragma("user_version"), "Integer(1)");
    }

    #[test]
    fn a_newer_layout_is_refused_and_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.sqlite");
        drop(SqliteAlerts::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
        assert!(matches!(SqliteAlerts::open(&path), Err(OpenError::Newer { found: 9, .. })));
        let other = folder.path().join("other");
        std::fs::write(&other, "this is no database, but it is long enough to look at".repeat(40)).unwrap();
        let error = SqliteAlerts::open(&other).err().unwrap();
        assert!(error.to_string().contains("other"), "{error}");
    }
}
