//! The table as the stages use it.

use super::trials::hit;
use super::{SqliteAlerts, alert};
use rusqlite::{Connection, OptionalExtension, params};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_merger::Waiting;
use streamalert_pipeline::backend::{
    AlertTable, BackendError, DeliveryState, Fold, FoldInto, Group, Lease, NewAlert, Outcome, Settled,
};
use streamalert_pipeline::limits::{MERGE_BYTES_MAX, MERGE_MEMBERS_MAX};
use streamalert_pipeline::time::Millis;

/// Bytes of the alerts of one lease: some thousand of the usual size, or one of the largest. Each is held a few times over.
const LEASE_BYTES_MAX: usize = 16 << 20;

const OWED: i64 = DeliveryState::Owed as i64;
const WAITING: i64 = DeliveryState::Waiting as i64;
const DELIVERED: i64 = DeliveryState::Delivered as i64;
const DEAD: i64 = DeliveryState::Dead as i64;

impl AlertTable for SqliteAlerts {
    fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let texts = texts(alerts.iter().map(|new| new.alert))?;
        self.write("add alerts to the table", |connection| {
            alerts.iter().zip(&texts).map(|(new, text)| insert(connection, new, text, now)).collect()
        })
    }

    fn lease(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError> {
        let longest_due = "SELECT d.alert, a.json, d.attempts, d.faults, d.progress, d.due
             FROM deliveries d JOIN alerts a ON a.seq = d.alert
             WHERE d.output = ?1 AND d.state = 0 AND d.due <= ?2 ORDER BY d.due, d.alert LIMIT ?3";
        self.lease_by(longest_due, output, owner, now, until, limit)
    }

    fn probe(&self, output: &str, owner: &str, now: Millis, until: Millis) -> Result<Option<Lease>, BackendError> {
        let newest = "SELECT d.alert, a.json, d.attempts, d.faults, d.progress, d.due
             FROM deliveries d JOIN alerts a ON a.seq = d.alert
             WHERE d.output = ?1 AND d.state = 0 AND d.due <= ?2 AND d.attempts = 0
             ORDER BY d.due DESC, d.alert DESC LIMIT ?3";
        Ok(self.lease_by(newest, output, owner, now, until, 1)?.pop())
    }

    fn settle(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.write("record what came of deliveries", |connection| {
            settled.iter().try_for_each(|settled| settle(connection, owner, settled, now))
        })
    }

    fn due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
        self.read("look for deliveries that are due", |connection| match output {
            Some(output) => {
                let mut select = connection.prepare_cached(
                    "SELECT due FROM deliveries WHERE output = ?1 AND state = 0 ORDER BY due LIMIT 1",
                )?;
                let due: Option<Millis> = select.query_row([output], |row| row.get(0)).optional()?;
                Ok(due.map(|due| (output.to_owned(), due)).into_iter().collect())
            }
            None => {
                // From output to output: counting through all that is owed would take the longer the more there is.
                let mut select = connection.prepare_cached(
                    "SELECT output, due FROM deliveries WHERE state = 0 AND output >= ?1 ORDER BY output, due LIMIT 1",
                )?;
                let (mut all, mut from) = (Vec::new(), String::new());
                while let Some((output, due)) =
                    select.query_row([&from], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?
                {
                    // The next text there can be.
                    from = format!("{output}\0");
                    all.push((output, due));
                }
                Ok(all)
            }
        })
    }

    fn groups(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError> {
        self.read("look for groups to merge", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, coalesce(members < threshold, 0) FROM merge_groups WHERE due <= ?1 ORDER BY due, id LIMIT ?2",
            )?;
            let group = |row: &rusqlite::Row<'_>| {
                Ok(Group { id: row.get::<_, i64>(0)?.to_string(), below_threshold: row.get(1)? })
            };
            select.query_map(params![now, count(limit)], group)?.collect()
        })
    }

    fn members(&self, group: &Group) -> Result<Vec<Alert>, BackendError> {
        let number = number(group);
        let texts: Vec<(i64, String)> = self.read("read a group of alerts", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT m.alert, a.json FROM merge_members m JOIN alerts a ON a.seq = m.alert WHERE m.grp = ?1
                 ORDER BY m.alert LIMIT ?2",
            )?;
            let mut rows = select.query(params![number, MERGE_MEMBERS_MAX])?;
            let (mut texts, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let text: String = row.get(1)?;
                bytes += text.len();
                if bytes as u64 > MERGE_BYTES_MAX && !texts.is_empty() {
                    break;
                }
                texts.push((row.get(0)?, text));
            }
            Ok(texts)
        })?;
        let mut members = Vec::with_capacity(texts.len());
        let mut unreadable = Vec::new();
        for (seq, text) in texts {
            match alert(&text) {
                Ok(alert) => members.push(alert),
                Err(error) => unreadable.push((seq, text.len(), unreadable_alert(&error))),
            }
        }
        if !unreadable.is_empty() {
            self.write("give up alerts that cannot be read", |connection| {
                unreadable.iter().try_for_each(|(seq, bytes, error)| {
                    give_up(connection, *seq, None, error, 0)?;
                    connection.execute("DELETE FROM merge_members WHERE grp = ?1 AND alert = ?2", [number, *seq])?;
                    connection.execute(
                        "UPDATE merge_groups SET members = members - 1, bytes = bytes - ?2 WHERE id = ?1",
                        [number, count(*bytes)],
                    )?;
                    Ok(())
                })
            })?;
        }
        Ok(members)
    }

    fn fold(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError> {
        if folds.is_empty() {
            return Ok(());
        }
        let text = |one: &Fold| match &one.into {
            FoldInto::Merged(merged) => serde_json::to_string(merged),
            FoldInto::Alone | FoldInto::Nobody => Ok(String::new()),
        };
        let texts: Vec<String> = folds
            .iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map_err(|error| BackendError::other("write an alert as JSON", error))?;
        self.write("merge groups of alerts", |connection| {
            folds.iter().zip(&texts).try_for_each(|(one, text)| fold(connection, one, text, now))
        })
    }

    fn next_group(&self) -> Result<Option<Millis>, BackendError> {
        self.read("look for groups to merge", |connection| {
            let mut select = connection.prepare_cached("SELECT due FROM merge_groups ORDER BY due LIMIT 1")?;
            select.query_row([], |row| row.get(0)).optional()
        })
    }
}

impl SqliteAlerts {
    /// Leases what `which` selects for output, time and limit.
    fn lease_by(
        &self,
        which: &str,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError> {
        const ACTION: &str = "lease deliveries of the alert table";
        let rows = self.write_lightly(ACTION, |connection| {
            let mut select = connection.prepare_cached(which)?;
            let mut update = connection
                .prepare_cached("UPDATE deliveries SET owner = ?1, due = ?2 WHERE alert = ?3 AND output = ?4")?;
            let mut leased: Vec<(i64, String, u32, u32, Option<String>, Millis)> = Vec::new();
            let mut bytes = 0;
            let mut rows = select.query(params![output, now, count(limit)])?;
            while let Some(row) = rows.next()? {
                let text: String = row.get(1)?;
                bytes += text.len();
                if bytes > LEASE_BYTES_MAX && !leased.is_empty() {
                    break;
                }
                leased.push((row.get(0)?, text, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?));
            }
            drop(rows);
            for (seq, ..) in &leased {
                update.execute(params![owner, until, seq, output])?;
            }
            Ok(leased)
        })?;
        let mut leases = Vec::with_capacity(rows.len());
        let mut unreadable = Vec::new();
        for (seq, text, attempts, faults, progress, due) in rows {
            match alert(&text) {
                Ok(alert) => {
                    leases.push(Lease { alert, output: output.to_owned(), attempts, faults, progress, due, until });
                }
                Err(error) => unreadable.push((seq, unreadable_alert(&error))),
            }
        }
        if !unreadable.is_empty() {
            self.write("give up alerts that cannot be read", |connection| {
                unreadable.iter().try_for_each(|(seq, error)| give_up(connection, *seq, Some(output), error, now))
            })?;
        }
        Ok(leases)
    }
}

/// Of a group; none has the number 0.
fn number(group: &Group) -> i64 {
    group.id.parse().unwrap_or(0)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn texts<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Result<Vec<String>, BackendError> {
    let texts = alerts.map(serde_json::to_string).collect::<Result<_, _>>();
    texts.map_err(|error| BackendError::other("write an alert as JSON", error))
}

/// Says whether it is new.
fn insert(connection: &Connection, new: &NewAlert<'_>, text: &str, now: Millis) -> rusqlite::Result<bool> {
    let alert = new.alert;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO alerts (id, rule, severity, created, json, stored) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    if insert.execute(params![alert.id, alert.rule_name, alert.severity.name(), alert.created, text, now])? == 0 {
        return Ok(false);
    }
    let seq = connection.last_insert_rowid();
    // With the alert or not at all: so it is counted once.
    if let Some(trial) = &alert.trial {
        hit(connection, &alert.rule_name, trial)?;
    }
    if alert.staged {
        return Ok(true);
    }
    let waits = match &new.waiting {
        None => false,
        Some(waiting) => join(connection, waiting, seq, text.len(), now)?,
    };
    owe(connection, seq, &alert.outputs, &new.undeliverable, waits, now)?;
    Ok(true)
}

fn owe(
    connection: &Connection,
    seq: i64,
    outputs: &[String],
    undeliverable: &[(String, String)],
    waits: bool,
    now: Millis,
) -> rusqlite::Result<()> {
    let mut owe = connection.prepare_cached(
        "INSERT OR REPLACE INTO deliveries (alert, output, state, due, error, settled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for output in outputs {
        let reason = undeliverable.iter().find(|(name, _)| name == output).map(|(_, reason)| reason);
        match (waits, reason) {
            // Who is told is decided when the group is folded.
            (true, _) => owe.execute(params![seq, output, WAITING, now, None::<&str>, None::<Millis>])?,
            (false, Some(reason)) => owe.execute(params![seq, output, DEAD, now, reason, now])?,
            (false, None) => owe.execute(params![seq, output, OWED, now, None::<&str>, None::<Millis>])?,
        };
    }
    Ok(())
}

/// Puts an alert into its group, and makes the group if there is none. Says whether the alert waits.
fn join(connection: &Connection, waiting: &Waiting, seq: i64, bytes: usize, now: Millis) -> rusqlite::Result<bool> {
    let bytes = count(bytes);
    let full = |members: i64, bytes: i64| match waiting.threshold {
        Some(threshold) => members >= i64::from(threshold),
        None => members >= i64::from(waiting.max) || bytes >= MERGE_BYTES_MAX.cast_signed(),
    };
    let mut select = connection.prepare_cached(
        "SELECT id, members, bytes FROM merge_groups
         WHERE key = ?1 AND abs(anchor - ?2) <= ?3 AND due > ?4 ORDER BY id LIMIT 1",
    )?;
    let found: Option<(i64, i64, i64)> = select
        .query_row(params![waiting.group, waiting.at, waiting.window, now], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (group, members, total) = match found {
        Some((group, members, total)) => (group, members + 1, total + bytes),
        None => {
            // Behind a full group of the same window nobody goes first.
            let mut behind = connection.prepare_cached(
                "SELECT max(ends) FROM merge_groups WHERE key = ?1 AND abs(anchor - ?2) <= ?3 AND ends > ?4",
            )?;
            let behind: Option<Millis> =
                behind.query_row(params![waiting.group, waiting.at, waiting.window, now], |row| row.get(0))?;
            let goes = waiting.first_goes && behind.is_none();
            let ends = match behind {
                Some(ends) if waiting.first_goes => ends,
                _ => now + waiting.window,
            };
            let mut make = connection.prepare_cached(
                "INSERT INTO merge_groups (key, anchor, ends, due, members, bytes, threshold, sent_first)
                 VALUES (?1, ?2, ?3, ?3, 0, 0, ?4, ?5)",
            )?;
            make.execute(params![waiting.group, waiting.at, ends, waiting.threshold, waiting.first_goes])?;
            let group = connection.last_insert_rowid();
            if goes {
                return Ok(false);
            }
            (group, 1, bytes)
        }
    };
    connection.prepare_cached("INSERT INTO merge_members (grp, alert) VALUES (?1, ?2)")?.execute([group, seq])?;
    let mut update = connection.prepare_cached(
        "UPDATE merge_groups SET members = ?2, bytes = ?3, due = CASE WHEN ?4 THEN min(due, ?5) ELSE due END WHERE id = ?1",
    )?;
    update.execute(params![group, members, total, full(members, total), now])?;
    Ok(true)
}

fn settle(connection: &Connection, owner: &str, settled: &Settled, now: Millis) -> rusqlite::Result<()> {
    let (id, output) = (&settled.alert_id, &settled.output);
    match &settled.outcome {
        Outcome::Delivered { receipt } => connection
            .prepare_cached(
                "UPDATE deliveries SET state = ?3, attempts = attempts + 1, owner = NULL, progress = NULL, receipt = ?4, settled = ?5
                 WHERE alert = (SELECT seq FROM alerts WHERE id = ?1) AND output = ?2 AND state <> ?3",
            )?
            .execute(params![id, output, DELIVERED, receipt, now])?,
        Outcome::Again { due, error, progress, faults } => connection
            .prepare_cached(
                "UPDATE deliveries SET attempts = attempts + 1, owner = NULL, due = ?4, error = ?5, progress = ?6, faults = ?7
                 WHERE alert = (SELECT seq FROM alerts WHERE id = ?1) AND output = ?2 AND owner = ?3 AND state = 0",
            )?
            .execute(params![id, output, owner, due, error, progress, faults])?,
        Outcome::Dead { error } => connection
            .prepare_cached(
                "UPDATE deliveries SET state = ?4, attempts = attempts + 1, owner = NULL, error = ?5, settled = ?6
                 WHERE alert = (SELECT seq FROM alerts WHERE id = ?1) AND output = ?2 AND owner = ?3 AND state = 0",
            )?
            .execute(params![id, output, owner, DEAD, error, now])?,
        Outcome::Released { due, reason } => connection
            .prepare_cached(
                "UPDATE deliveries SET owner = NULL, due = ?4, error = coalesce(?5, error)
                 WHERE alert = (SELECT seq FROM alerts WHERE id = ?1) AND output = ?2 AND owner = ?3 AND state = 0",
            )?
            .execute(params![id, output, owner, due, reason])?,
    };
    Ok(())
}

/// What an operator reads of an alert that nobody else can read.
fn unreadable_alert(error: &BackendError) -> String {
    let cause = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("the stored alert cannot be read: {cause}; a newer streamalert may have written it")
}

/// Ends what is owed of an alert, to one output or to all it waits for.
fn give_up(connection: &Connection, seq: i64, output: Option<&str>, error: &str, now: Millis) -> rusqlite::Result<()> {
    tracing::error!(seq, output, error, "an alert is given up");
    connection.execute(
        "UPDATE deliveries SET state = ?3, owner = NULL, error = ?4, settled = ?5
         WHERE alert = ?1 AND (output = ?2 OR ?2 IS NULL) AND state IN (0, 1)",
        params![seq, output, DEAD, error, now],
    )?;
    Ok(())
}

fn fold(connection: &Connection, fold: &Fold, text: &str, now: Millis) -> rusqlite::Result<()> {
    let group = number(&fold.group);
    // One more came while we looked, and that was enough.
    if fold.group.below_threshold {
        let mut select =
            connection.prepare_cached("SELECT coalesce(members >= threshold, 0) FROM merge_groups WHERE id = ?1")?;
        if select.query_row([group], |row| row.get(0)).optional()?.unwrap_or(false) {
            return Ok(());
        }
    }
    // Somebody else was here, with other members: what is folded now would be told twice.
    let mut is_member = connection.prepare_cached(
        "SELECT 1 FROM merge_members WHERE grp = ?1 AND alert = (SELECT seq FROM alerts WHERE id = ?2)",
    )?;
    for member in &fold.members {
        if !is_member.exists(params![group, member])? {
            return Ok(());
        }
    }
    let (mut folded, mut bytes) = (0, 0);
    {
        let mut find = connection.prepare_cached("SELECT seq, length(CAST(json AS BLOB)) FROM alerts WHERE id = ?1")?;
        let mut leave = connection.prepare_cached("DELETE FROM merge_members WHERE grp = ?1 AND alert = ?2")?;
        let mut owed_no_more =
            connection.prepare_cached("DELETE FROM deliveries WHERE alert = ?1 AND state = ?2 RETURNING output")?;
        let mut note = connection.prepare_cached("UPDATE alerts SET merged = ?2 WHERE seq = ?1")?;
        for member in &fold.members {
            let found: Option<(i64, i64)> =
                find.query_row([member], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((seq, length)) = found else { continue };
            leave.execute([group, seq])?;
            folded += 1;
            bytes += length;
            let outputs: Vec<String> =
                owed_no_more.query_map([seq, WAITING], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            match &fold.into {
                FoldInto::Alone => owe(connection, seq, &outputs, &fold.undeliverable, false, now)?,
                FoldInto::Merged(merged) => {
                    note.execute(params![seq, merged.id])?;
                }
                FoldInto::Nobody => {
                    note.execute(params![seq, ""])?;
                }
            }
        }
    }
    if folded > 0
        && let FoldInto::Merged(merged) = &fold.into
    {
        let new = NewAlert { alert: merged, waiting: None, undeliverable: fold.undeliverable.clone() };
        insert(connection, &new, text, now)?;
    }
    // Alerts that came since wait for the next fold, unless they were too large to be folded with the others; where the
    // first alert goes at once, the group lasts as long as its window. Of a group that reached its threshold all are told.
    connection
        .prepare_cached(
            "UPDATE merge_groups SET members = members - ?2, bytes = bytes - ?3, threshold = iif(?4, threshold, NULL),
             due = iif(bytes - ?3 >= ?5, min(ends, ?6), ends) WHERE id = ?1",
        )?
        .execute(params![group, folded, bytes, fold.group.below_threshold, MERGE_BYTES_MAX.cast_signed(), now])?;
    connection
        .prepare_cached("DELETE FROM merge_groups WHERE id = ?1 AND members <= 0 AND (ends <= ?2 OR NOT sent_first)")?
        .execute(params![group, now])?;
    Ok(())
}
