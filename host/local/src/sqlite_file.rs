//! Files of SQLite that several processes have open: `run`, and commands beside it.

use rusqlite::{Connection, ErrorCode};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long one waits for another (`dead resend` beside `run`): commits take milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often one looks again where SQLite itself does not wait.
const LOOK: Duration = Duration::from_millis(5);

/// Opens the file, and makes it if it is not there. `synchronous` is the mode of SQLite by that name: with `FULL`, what is committed is
/// on disk; with `NORMAL` the last commits may be lost when the power goes.
pub(crate) fn open(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let begun = Instant::now();
    // While a file gets its write-ahead log, SQLite refuses the others at once, whatever the timeout.
    while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
        let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
        if !busy || begun.elapsed() >= BUSY_TIMEOUT {
            return Err(error);
        }
        thread::sleep(LOOK);
    }
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use crate::app_table::SqliteApps;
    use crate::ioc_table::SqliteIocs;
    use crate::sqlite::SqliteAlerts;
    use std::sync::Barrier;

    #[test]
    fn many_make_the_same_file_at_once() {
        const MANY: usize = 8;
        let barrier = Barrier::new(MANY);
        for _ in 0..50 {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            std::thread::scope(|scope| {
                for _ in 0..MANY {
                    scope.spawn(|| {
                        barrier.wait();
                        SqliteAlerts::open(&at("alerts.sqlite")).unwrap();
                        SqliteApps::open(&at("apps.sqlite")).unwrap();
                        SqliteIocs::open(&at("iocs.sqlite")).unwrap();
                    });
                }
            });
        }
    }
}
