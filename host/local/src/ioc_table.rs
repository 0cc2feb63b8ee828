//! Indicators of compromise in SQLite: a row for each value and source.

use crate::sqlite_file;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::threat_intel::{Found, Ioc, IocFilter, IocTable, Network, SourceState, network_keys};
use streamalert_pipeline::time::Millis;

/// Layout of the tables.
const SCHEMA_VERSION: i64 = 1;
/// Times are milliseconds since 1970. `networks` has the lengths of ranges that are or were there, so that a value is asked about
/// under few keys.
const SCHEMA: &str = "
    CREATE TABLE iocs (
        value   TEXT NOT NULL,
        source  TEXT NOT NULL,
        type    TEXT NOT NULL,
        expires INTEGER NOT NULL,
        pass    INTEGER NOT NULL,
        json    TEXT NOT NULL,
        PRIMARY KEY (value, source)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX iocs_by_source ON iocs (source, pass);
    CREATE INDEX iocs_by_expiry ON iocs (expires);
    CREATE TABLE networks (
        v6     INTEGER NOT NULL,
        length INTEGER NOT NULL,
        PRIMARY KEY (v6, length)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sources (
        name     TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        json     TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

pub struct SqliteIocs {
    connection: Mutex<Connection>,
    path: String,
}

impl SqliteIocs {
    /// Opens the table, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let shown = path.display().to_string();
        let open = || -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
            // What a crash of the machine takes back, the next download brings.
            let mut connection = sqlite_file::open(path, "NORMAL")?;
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            match change.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
                0 => change.execute_batch(SCHEMA)?,
                SCHEMA_VERSION => {}
                newer => {
                    return Err(format!(
                        "it has layout {newer}, this streamalert knows {SCHEMA_VERSION}; use the newer streamalert that wrote it"
                    )
                    .into());
                }
            }
            change.commit()?;
            Ok(connection)
        };
        match open() {
            Ok(connection) => Ok(SqliteIocs { connection: Mutex::new(connection), path: shown }),
            Err(error) => Err(BackendError::other(format!("open the table of indicators {shown}"), error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &str) -> impl FnOnce(rusqlite::Error) -> BackendError {
        let action = format!("{doing} the table of indicators {}", self.path);
        move |error| BackendError::other(action, error)
    }

    fn change<T>(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, BackendError> {
        let mut connection = self.lock();
        let run = || {
            let work = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = change(&work)?;
            work.commit()?;
            Ok(done)
        };
        run().map_err(self.failed("write to"))
    }
}

/// Writes indicators over what is there, or beside what is there since a pass.
fn write(connection: &Connection, iocs: &[Ioc], pass: u64, beside: Option<u64>) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO iocs (value, source, type, expires, pass, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET type = ?3, expires = ?4, pass = ?5, json = ?6",
    )?;
    let mut known =
        connection.prepare_cached("SELECT json, pass FROM iocs WHERE value = ?1 AND source = ?2 AND pass >= ?3")?;
    let mut network = connection.prepare_cached("INSERT OR IGNORE INTO networks (v6, length) VALUES (?1, ?2)")?;
    for new in iocs {
        let before = match beside {
            Some(since) => {
                let row = |row: &Row<'_>| Ok((ioc(row)?, row.get::<_, i64>(1)? as u64));
                let before = known.query_row(params![new.value, new.source, since as i64], row).optional()?;
                before.and_then(|(ioc, of)| if since == 0 && of < pass { ioc.of_before() } else { Some(ioc) })
            }
            None => None,
        };
        let Some(all) = Ioc::together(before.into_iter().chain([new.clone()])) else { continue };
        let json = serde_json::to_string(&all).unwrap_or_default();
        put.execute(params![all.value, all.source, all.ioc_type, all.expires, pass as i64, json])?;
        if let Some(range) = Network::parse(&all.value).filter(|range| !range.is_address()) {
            network.execute(params![range.is_v6(), range.length()])?;
        }
    }
    Ok(())
}

/// Writes what is left of values of a source; says of how many nothing is.
fn rewrite(
    connection: &Connection,
    source: &str,
    changed: impl Iterator<Item = (Ioc, Option<Ioc>)>,
) -> rusqlite::Result<u64> {
    let mut remove = connection.prepare_cached("DELETE FROM iocs WHERE value = ?1 AND source = ?2")?;
    let mut update = connection
        .prepare_cached("UPDATE iocs SET type = ?3, expires = ?4, json = ?5 WHERE value = ?1 AND source = ?2")?;
    let mut gone = 0;
    for (before, after) in changed {
        match after {
            None => gone += remove.execute(params![before.value, source])? as u64,
            Some(left) if left != before => {
                let json = serde_json::to_string(&left).unwrap_or_default();
                update.execute(params![left.value, source, left.ioc_type, left.expires, json])?;
            }
            Some(_) => {}
        }
    }
    Ok(gone)
}

fn ioc(row: &Row<'_>) -> rusqlite::Result<Ioc> {
    let json: String = row.get(0)?;
    serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into()))
}

impl IocTable for SqliteIocs {
    fn find(&self, values: &[String], now: Millis) -> Result<Found, BackendError> {
        let connection = self.lock();
        let run = || {
            let mut lengths = connection.prepare_cached("SELECT v6, length FROM networks")?;
            let lengths = lengths.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let lengths: Vec<(bool, u8)> = lengths.collect::<rusqlite::Result<_>>()?;
            let mut find = connection.prepare_cached("SELECT json FROM iocs WHERE value = ?1 AND expires > ?2")?;
            let mut found = Found::default();
            for value in values {
                let mut iocs = Vec::new();
                for key in std::iter::once(value.clone()).chain(network_keys(value, &lengths)) {
                    for said in find.query_map(params![key, now], ioc)? {
                        iocs.extend(said?.at(now));
                    }
                }
                if !iocs.is_empty() {
                    found.insert(value.clone(), Arc::from(iocs));
                }
            }
            Ok(found)
        };
        run().map_err(self.failed("read"))
    }

    fn put(&self, iocs: &[Ioc], pass: u64) -> Result<(), BackendError> {
        self.change(|connection| write(connection, iocs, pass, None))
    }

    fn join(&self, iocs: &[Ioc], pass: u64, since: u64) -> Result<(), BackendError> {
        self.change(|connection| write(connection, iocs, pass, Some(since)))
    }

    fn revise(
        &self,
        source: &str,
        named: &BTreeMap<String, BTreeSet<String>>,
        among: Option<&BTreeSet<String>>,
    ) -> Result<u64, BackendError> {
        self.change(|connection| {
            let said: Vec<Ioc> = match among {
                Some(values) => {
                    let mut known =
                        connection.prepare_cached("SELECT json FROM iocs WHERE value = ?1 AND source = ?2")?;
                    let one = |value: &String| known.query_row(params![value, source], ioc).optional().transpose();
                    values.iter().filter_map(one).collect::<rusqlite::Result<_>>()?
                }
                None => {
                    let mut all = connection.prepare_cached(
                        "SELECT json FROM iocs WHERE source = ?1 AND (json_type(json, '$.also') IS NOT NULL OR
                         json_extract(json, '$.reference') IN (SELECT value FROM json_each(?2)))",
                    )?;
                    let names = serde_json::to_string(&named.keys().collect::<Vec<_>>()).unwrap_or_default();
                    all.query_map([source, &names], ioc)?.collect::<rusqlite::Result<_>>()?
                }
            };
            rewrite(connection, source, said.into_iter().map(|before| (before.clone(), before.revised(named))))
        })
    }

    fn remove(&self, source: &str, values: &[String]) -> Result<u64, BackendError> {
        self.change(|connection| {
            let mut remove = connection.prepare_cached("DELETE FROM iocs WHERE value = ?1 AND source = ?2")?;
            let mut count = 0;
            for value in values {
                count += remove.execute(params![value, source])? as u64;
            }
            Ok(count)
        })
    }

    fn sweep(&self, source: &str, pass: u64, spared: &BTreeSet<String>) -> Result<u64, BackendError> {
        let names = serde_json::to_string(spared).unwrap_or_default();
        self.change(|connection| {
            // Where there is one indicator, it stays as it is, or goes.
            let count = connection.execute(
                "DELETE FROM iocs WHERE source = ?1 AND pass < ?2 AND json_type(json, '$.also') IS NULL
                 AND coalesce(json_extract(json, '$.reference'), '') NOT IN (SELECT value FROM json_each(?3))",
                params![source, pass as i64, names],
            )?;
            let mut several = connection.prepare_cached(
                "SELECT json, pass FROM iocs WHERE source = ?1 AND json_type(json, '$.also') IS NOT NULL",
            )?;
            let row = |row: &Row<'_>| Ok((ioc(row)?, row.get::<_, i64>(1)? as u64 >= pass));
            let several: Vec<(Ioc, bool)> = several.query_map([source], row)?.collect::<rusqlite::Result<_>>()?;
            let several = several.into_iter().map(|(before, seen)| (before.clone(), before.swept(seen, spared)));
            Ok(count as u64 + rewrite(connection, source, several)?)
        })
    }

    fn list(&self, filter: &IocFilter, after: Option<&str>, limit: usize) -> Result<Vec<Ioc>, BackendError> {
        let connection = self.lock();
        let run = || -> rusqlite::Result<Vec<Ioc>> {
            let mut list = connection.prepare_cached(
                "SELECT json FROM iocs WHERE value > ?1 AND (?2 IS NULL OR source = ?2) AND (?3 IS NULL OR type = ?3)
                 AND (?4 IS NULL OR instr(value, ?4) > 0) ORDER BY value, source LIMIT ?5",
            )?;
            let IocFilter { source, ioc_type, value } = filter;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            list.query_map(params![after.unwrap_or(""), source, ioc_type, value, limit], ioc)?.collect()
        };
        run().map_err(self.failed("read"))
    }

    fn counts(&self) -> Result<BTreeMap<String, u64>, BackendError> {
        let connection = self.lock();
        let run = || -> rusqlite::Result<BTreeMap<String, u64>> {
            let mut count = connection.prepare_cached("SELECT source, count(*) FROM iocs GROUP BY source")?;
            count.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?.collect()
        };
        run().map_err(self.failed("read"))
    }

    fn expire(&self, now: Millis) -> Result<u64, BackendError> {
        self.change(|connection| {
            let gone = connection.execute("DELETE FROM iocs WHERE expires <= ?1", [now])? as u64;
            // Lengths of which no range is left cost a look at every address.
            connection.execute_batch(
                "DELETE FROM networks WHERE NOT EXISTS
                (SELECT 1 FROM iocs WHERE iocs.value LIKE '%/' || length AND (instr(iocs.value, ':') > 0) = v6)",
            )?;
            Ok(gone)
        })
    }

    fn state(&self, source: &str) -> Result<SourceState, BackendError> {
        let connection = self.lock();
        let row =
            connection.query_row("SELECT json FROM sources WHERE name = ?1", [source], |row| row.get::<_, String>(0));
        let json = row.optional().map_err(self.failed("read"))?;
        let read = |json: String| serde_json::from_str(&json);
        json.map(read)
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(|error| BackendError::other(format!("read the state of source {source} in {}", self.path), error))
    }

    fn set_state(&self, source: &str, state: &mut SourceState) -> Result<(), BackendError> {
        let before = state.revision;
        let next = SourceState { revision: before + 1, ..state.clone() };
        let json = serde_json::to_string(&next)
            .map_err(|error| BackendError::other(format!("write the state of source {source}"), error))?;
        let done = self.change(|connection| {
            let known = connection
                .query_row("SELECT revision FROM sources WHERE name = ?1", [source], |row| row.get::<_, i64>(0))
                .optional()?
                .unwrap_or(0);
            if known != before as i64 {
                return Ok(false);
            }
            connection.execute(
                "INSERT INTO sources (name, revision, json) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET revision = ?2, json = ?3",
                params![source, next.revision as i64, json],
            )?;
            Ok(true)
        })?;
        if !done {
            let action = format!("write the state of source {source}: somebody else has");
            return Err(BackendError { kind: BackendErrorKind::Conflict, action, source: None });
        }
        *state = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ioc(value: &str, source: &str, expires: Millis) -> Ioc {
        let (value, source) = (value.to_owned(), source.to_owned());
        Ioc { value, source, ioc_type: "ip".into(), expires, ..Ioc::default() }
    }

    #[test]
    fn sources_keep_their_own_and_ranges_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteIocs::open(&folder.path().join("iocs.sqlite")).unwrap();
        table.put(&[ioc("192.0.2.7", "a", 100), ioc("192.0.2.7", "b", 50), ioc("192.0.2.0/24", "a", 100)], 1).unwrap();
        table.put(&[ioc("2001:db8::/32", "a", 100)], 2).unwrap();
        let find = |value: &str, now: Millis| {
            let found = table.find(&[value.to_owned()], now).unwrap();
            let iocs = found.get(value).map(|iocs| iocs.to_vec()).unwrap_or_default();
            iocs.iter().map(|ioc| format!("{} {}", ioc.value, ioc.source)).collect::<Vec<_>>()
        };
        assert_eq!(find("192.0.2.7", 0), ["192.0.2.7 a", "192.0.2.7 b", "192.0.2.0/24 a"]);
        assert_eq!(find("192.0.2.7", 50), ["192.0.2.7 a", "192.0.2.0/24 a"]);
        assert_eq!(find("2001:db8::9", 0), ["2001:db8::/32 a"]);
        assert!(find("evil.com", 0).is_empty());
        assert_eq!(table.counts().unwrap(), BTreeMap::from([("a".into(), 3), ("b".into(), 1)]));
        assert_eq!(table.sweep("a", 2, &BTreeSet::new()).unwrap(), 2);
        assert_eq!(find("192.0.2.7", 0), ["192.0.2.7 b"]);
        assert_eq!(table.remove("b", &["192.0.2.7".into(), "x".into()]).unwrap(), 1);
        assert_eq!(table.expire(100).unwrap(), 1);
        assert_eq!(table.list(&IocFilter::default(), None, 10).unwrap(), []);
    }

    #[test]
    fn a_value_counts_while_any_indicator_of_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteIocs::open(&folder.path().join("iocs.sqlite")).unwrap();
        let said = |value: &str, reference: &str, expires: Millis, from: Option<Millis>| Ioc {
            reference: Some(reference.into()),
            valid_from: from,
            ..ioc(value, "s", expires)
        };
        table.join(&[said("192.0.2.1", "old", 900, None)], 0, 0).unwrap();
        table.join(&[said("192.0.2.1", "a", 100, None), said("192.0.2.2", "a", 100, None)], 1, 1).unwrap();
        table.join(&[said("192.0.2.1", "b", 200, Some(50)), said("192.0.2.1", "c", 40, None)], 2, 1).unwrap();
        let find = |now: Millis| {
            let found = table.find(&["192.0.2.1".into()], now).unwrap();
            found.get("192.0.2.1").map(|iocs| iocs[0].reference.clone().unwrap())
        };
        assert_eq!([find(0), find(60), find(150), find(200)].map(Option::unwrap_or_default), ["a", "b", "b", ""]);
        let named = |reference: &str, values: &[&str]| {
            BTreeMap::from([(reference.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())])
        };
        // `b` is gone, `a` names something else: `c` is left of the one, nothing of the other.
        assert_eq!(table.revise("s", &named("b", &[]), Some(&["192.0.2.1".to_owned()].into())).unwrap(), 0);
        assert_eq!((find(0), find(60)), (Some("a".into()), Some("a".into())));
        assert_eq!(table.revise("s", &named("a", &["192.0.2.9"]), None).unwrap(), 1);
        assert_eq!((find(0), find(60)), (Some("c".into()), None));
        // Of what was spared, nothing is swept.
        assert_eq!(table.sweep("s", 9, &["c".to_owned()].into()).unwrap(), 0);
        assert_eq!(table.sweep("s", 9, &["a".to_owned()].into()).unwrap(), 1);
    }

    #[test]
    fn a_state_is_written_on_the_one_that_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteIocs::open(&folder.path().join("iocs.sqlite")).unwrap();
        let mut mine = table.state("s").unwrap();
        let mut theirs = mine.clone();
        mine.pass = 1;
        table.set_state("s", &mut mine).unwrap();
        theirs.pass = 7;
        assert_eq!(table.set_state("s", &mut theirs).unwrap_err().kind, BackendErrorKind::Conflict);
        assert_eq!(table.state("s").unwrap(), mine);
        table.set_state("s", &mut mine).unwrap();
        assert_eq!(mine.revision, 2);
    }
}
