//! The table as an operator sees it.

use super::{SqliteAlerts, alert};
use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Row, params};
use std::collections::BTreeMap;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertDesk, BackendError, Backlog, Delivery, DeliveryFilter, DeliveryState};
use streamalert_pipeline::limits::ATTEMPTS_WARNED;
use streamalert_pipeline::time::{Millis, rfc3339};

impl AlertDesk for SqliteAlerts {
    fn list(&self, rule: Option<&str>, limit: usize) -> Result<Vec<Alert>, BackendError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let texts: Vec<(String, String)> = self.read("list alerts of the table", |connection| {
            let pair = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            match rule {
                None => connection
                    .prepare_cached("SELECT id, json FROM alerts ORDER BY seq DESC LIMIT ?1")?
                    .query_map([limit], pair)?
                    .collect(),
                Some(rule) => connection
                    .prepare_cached("SELECT id, json FROM alerts WHERE rule = ?1 ORDER BY seq DESC LIMIT ?2")?
                    .query_map(params![rule, limit], pair)?
                    .collect(),
            }
        })?;
        let readable = |(id, text): (String, String)| match alert(&text) {
            Ok(alert) => Some(alert),
            Err(error) => {
                let error = error.source.map(|source| source.to_string()).unwrap_or_default();
                tracing::error!(alert = id, error, "an alert of the table cannot be read");
                None
            }
        };
        Ok(texts.into_iter().filter_map(readable).collect())
    }

    fn get(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        let text: Option<String> = self.read("get an alert from the table", |connection| {
            connection.query_row("SELECT json FROM alerts WHERE id = ?1", [id], |row| row.get(0)).optional()
        })?;
        text.map(|text| alert(&text)).transpose()
    }

    fn deliveries(&self, filter: &DeliveryFilter, limit: usize) -> Result<Vec<Delivery>, BackendError> {
        let (condition, values) = condition(filter);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read("list deliveries of the alert table", |connection| {
            let mut select = connection.prepare(&format!(
                "SELECT a.id, a.rule, d.output, d.state, d.attempts, d.due, d.error, d.settled, d.receipt
                 FROM deliveries d JOIN alerts a ON a.seq = d.alert WHERE {condition}
                 ORDER BY d.alert DESC, d.output LIMIT {limit}"
            ))?;
            let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
            select.query_map(values.as_slice(), delivery)?.collect()
        })
    }

    fn retry(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        // What was dropped stays dropped unless somebody asks for it by name.
        let states = match filter.state {
            Some(DeliveryState::Dropped) => "(4)",
            _ => "(0, 3)",
        };
        self.change(
            "make deliveries due again",
            filter,
            // What somebody is sending right now stays theirs until their lease ends.
            &format!(
                "state = 0, attempts = 0, faults = 0, settled = NULL,
                 due = iif(owner IS NULL OR due <= {now}, {now}, due), owner = iif(due <= {now}, NULL, owner)"
            ),
            states,
        )
    }

    fn drop_deliveries(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        self.change("drop deliveries", filter, &format!("state = 4, owner = NULL, settled = {now}"), "(0, 3)")
    }

    fn merged_into(&self, id: &str) -> Result<Option<String>, BackendError> {
        self.read("get an alert from the table", |connection| {
            let merged = connection.query_row("SELECT merged FROM alerts WHERE id = ?1", [id], |row| row.get(0));
            Ok(merged.optional()?.flatten())
        })
    }

    fn backlog(&self) -> Result<BTreeMap<String, Backlog>, BackendError> {
        self.read("count what is owed", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT d.output, count(*), sum(d.attempts >= ?1), min(nullif(a.stored, 0))
                 FROM deliveries d JOIN alerts a ON a.seq = d.alert WHERE d.state = 0 GROUP BY d.output",
            )?;
            let mut all: BTreeMap<String, Backlog> = select
                .query_map([ATTEMPTS_WARNED], |row| {
                    let backlog =
                        Backlog { owed: unsigned(row, 1)?, stuck: unsigned(row, 2)?, oldest: row.get(3)?, dead: 0 };
                    Ok((row.get(0)?, backlog))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut select =
                connection.prepare_cached("SELECT output, count(*) FROM deliveries WHERE state = 3 GROUP BY output")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                all.entry(row.get(0)?).or_default().dead = unsigned(row, 1)?;
            }
            Ok(all)
        })
    }
}

impl SqliteAlerts {
    fn change(&self, action: &str, filter: &DeliveryFilter, set: &str, states: &str) -> Result<u64, BackendError> {
        let (condition, values) = condition(filter);
        self.write(action, |connection| {
            let values: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
            let changed = connection.execute(
                &format!(
                    "UPDATE deliveries SET {set} WHERE state IN {states} AND (alert, output) IN
                     (SELECT d.alert, d.output FROM deliveries d JOIN alerts a ON a.seq = d.alert WHERE {condition})"
                ),
                values.as_slice(),
            )?;
            Ok(changed as u64)
        })
    }

    /// Alerts that wait for others.
    pub fn waiting(&self) -> Result<u64, BackendError> {
        self.read("count what waits", |connection| {
            connection.query_row("SELECT count(*) FROM merge_members", [], |row| unsigned(row, 0))
        })
    }
}

fn condition(filter: &DeliveryFilter) -> (String, Vec<String>) {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut part = |text: &str, value: &str| {
        values.push(value.to_owned());
        parts.push(text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(id) = &filter.alert_id {
        part("a.id = ?", id);
    }
    if let Some(rule) = &filter.rule {
        part("a.rule = ?", rule);
    }
    match &filter.output {
        Some(output) if output.contains(':') => part("d.output = ?", output),
        Some(service) => part("substr(d.output, 1, length(?) + 1) = ? || ':'", service),
        None => {}
    }
    if let Some(state) = filter.state {
        parts.push(format!("d.state = {}", state as i64));
    }
    (parts.join(" AND "), values)
}

fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(|count| count.max(0).cast_unsigned())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state = DeliveryState::ALL[usize::from(row.get::<_, u8>(3)?).min(DeliveryState::ALL.len() - 1)];
    let settled: Option<Millis> = row.get(7)?;
    let due: Millis = row.get(5)?;
    Ok(Delivery {
        alert_id: row.get(0)?,
        rule_name: row.get(1)?,
        output: row.get(2)?,
        state,
        attempts: row.get(4)?,
        next_try: (state == DeliveryState::Owed).then(|| rfc3339(due)),
        last_error: row.get(6)?,
        delivered_at: settled.filter(|_| state == DeliveryState::Delivered).map(rfc3339),
        receipt: row.get(8)?,
    })
}
