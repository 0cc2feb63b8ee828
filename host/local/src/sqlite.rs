//! Alerts in SQLite: what is owed, what waits, and all that was ever raised. What `add`, `settle` and `fold` return from is on disk.

mod desk;
mod table;
mod trials;

use crate::sqlite_file;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};

/// Layout of the tables. A later one reads every earlier one and upgrades it when opened.
const SCHEMA_VERSION: i64 = 3;

/// `json` is the stored promise; the columns beside it are there to be searched by.
const SCHEMA_1: &str = "
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

/// Deliveries and groups. Times are milliseconds since 1970; states are places in `DeliveryState::ALL`; a lease is an owner
/// and, as `due`, its end. `stored` is when an alert came; `merged` the alert it is part of, or an empty text if its group stayed
/// below its threshold.
///
/// In the first layout, files got their alerts by a cursor: what they have not got is owed.
const SCHEMA_2: &str = "
    ALTER TABLE alerts ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE alerts ADD COLUMN merged TEXT;
    CREATE TABLE deliveries (
        alert    INTEGER NOT NULL,
        output   TEXT NOT NULL,
        state    INTEGER NOT NULL,
        due      INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        faults   INTEGER NOT NULL DEFAULT 0,
        owner    TEXT,
        error    TEXT,
        progress TEXT,
        receipt  TEXT,
        settled  INTEGER,
        PRIMARY KEY (alert, output)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_due ON deliveries (output, due) WHERE state = 0;
    CREATE INDEX deliveries_dead ON deliveries (output) WHERE state = 3;
    CREATE TABLE merge_groups (
        id         INTEGER PRIMARY KEY,
        key        TEXT NOT NULL,
        anchor     INTEGER NOT NULL,
        ends       INTEGER NOT NULL,
        due        INTEGER NOT NULL,
        members    INTEGER NOT NULL,
        bytes      INTEGER NOT NULL,
        threshold  INTEGER,
        sent_first INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX merge_groups_by_key ON merge_groups (key);
    CREATE INDEX merge_groups_by_due ON merge_groups (due);
    CREATE TABLE merge_members (
        grp   INTEGER NOT NULL,
        alert INTEGER NOT NULL,
        PRIMARY KEY (grp, alert)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO deliveries (alert, output, state, due)
        SELECT DISTINCT alerts.seq, output.value, 0, 0
        FROM alerts, json_each(alerts.json, '$.outputs') AS output
        WHERE output.value GLOB 'file:*' AND alerts.seq > (SELECT seq FROM cursors WHERE name = 'file output');
    DELETE FROM cursors WHERE name = 'file output';
    PRAGMA user_version = 2;";

/// What came of trials, and what rules have cost.
const SCHEMA_3: &str = "
    CREATE TABLE trials (
        rule     TEXT NOT NULL,
        digest   TEXT NOT NULL,
        since    INTEGER NOT NULL,
        alone    INTEGER NOT NULL DEFAULT 0,
        new      INTEGER NOT NULL DEFAULT 0,
        same     INTEGER NOT NULL DEFAULT 0,
        lost     INTEGER NOT NULL DEFAULT 0,
        faults   INTEGER NOT NULL DEFAULT 0,
        left_out INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (rule, digest, since)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rule_costs (
        rule        TEXT NOT NULL,
        digest      TEXT NOT NULL,
        log_type    TEXT NOT NULL,
        evaluations INTEGER NOT NULL,
        matches     INTEGER NOT NULL,
        faults      INTEGER NOT NULL,
        fuel        INTEGER NOT NULL,
        nanoseconds INTEGER NOT NULL,
        PRIMARY KEY (rule, digest, log_type)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 3;";

/// Prepared statements that are kept: more than there are in this folder.
const STATEMENTS_KEPT: usize = 64;

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
        let opened = sqlite_file::open(path, "FULL").and_then(|mut connection| {
            let version = prepare(&mut connection)?;
            Ok((connection, version))
        });
        let (connection, version) = opened.map_err(|source| OpenError::Sqlite { path: shown.clone(), source })?;
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

impl SqliteAlerts {
    /// One transaction, durable when it returns.
    fn write<T>(&self, action: &str, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, BackendError> {
        let write = || {
            let mut connection = self.connection();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        write().map_err(|error| failed(action, error))
    }

    /// One transaction that may be lost when the power goes, and never when we die: leases mean nothing after that.
    fn write_lightly<T>(
        &self,
        action: &str,
        work: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, BackendError> {
        let write = || {
            let mut connection = self.connection();
            connection.execute_batch("PRAGMA synchronous = NORMAL")?;
            let mut run = || {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            };
            let done = run();
            connection.execute_batch("PRAGMA synchronous = FULL")?;
            done
        };
        write().map_err(|error| failed(action, error))
    }

    fn read<T>(&self, action: &str, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, BackendError> {
        work(&self.connection()).map_err(|error| failed(action, error))
    }
}

/// Brings the file to our layout, unless it is newer. Says which layout it has.
fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA_1)?;
    }
    if version <= 1 {
        transaction.execute_batch(SCHEMA_2)?;
    }
    if version <= 2 {
        transaction.execute_batch(SCHEMA_3)?;
    }
    transaction.commit()?;
    Ok(version.max(SCHEMA_VERSION))
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
    use streamalert_pipeline::backend::{AlertDesk, AlertTable, NewAlert};

    fn add(table: &SqliteAlerts, alerts: &[&Alert]) -> Vec<bool> {
        let new: Vec<NewAlert<'_>> =
            alerts.iter().map(|alert| NewAlert { alert, waiting: None, undeliverable: vec![] }).collect();
        table.add(&new, 0).unwrap()
    }

    #[test]
    fn the_same_alert_twice_is_stored_once_also_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.sqlite");
        let (first, second) = (sample("a"), sample("b"));
        let table = SqliteAlerts::open(&path).unwrap();
        assert_eq!(add(&table, &[&first, &first]), [true, false]);
        drop(table);
        let table = SqliteAlerts::open(&path).unwrap();
        let mut later = first.clone();
        later.created = "2099-01-01T00:00:00Z".to_owned();
        assert_eq!(add(&table, &[&later, &second]), [false, true]);
        let list = |rule, limit| table.list(rule, limit).unwrap();
        assert_eq!(list(None, 10), [second.clone(), first.clone()], "newest first, the first version kept");
        assert_eq!(list(None, 1), std::slice::from_ref(&second));
        assert_eq!(list(Some("root_login"), 1), std::slice::from_ref(&second));
        assert_eq!(list(Some("another"), 10), []);
        table.connection().execute("UPDATE alerts SET json = '{}' WHERE id = 'b'", []).unwrap();
        assert_eq!(list(None, 10), std::slice::from_ref(&first), "one that cannot be read hides no other");
        assert!(table.get("b").is_err());
        assert_eq!(table.get("a").unwrap(), Some(first));
        assert_eq!(table.get("nope").unwrap(), None);
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        add(&table, &[&sample("before")]);
        let start = table.cursor("file").unwrap();
        add(&table, &[&sample("a"), &sample("b")]);
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
        assert_eq!(pragma("user_version"), "Integer(3)");
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
