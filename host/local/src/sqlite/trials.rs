//! What came of trials, counted with the alerts themselves, and what rules have cost.

use super::SqliteAlerts;
use rusqlite::{Connection, OptionalExtension, params};
use streamalert_pipeline::alert::Trial;
use streamalert_pipeline::backend::{BackendError, RuleCost, RuleLedger, TrialCounts, TrialKey, TrialTable};

/// Counts an alert that is new.
pub(super) fn hit(connection: &Connection, rule: &str, trial: &Trial) -> rusqlite::Result<()> {
    let mut counts = TrialCounts::default();
    counts.hit(trial.hit, 1);
    let key = TrialKey { rule: rule.to_owned(), digest: trial.digest.clone(), since: trial.since };
    add(connection, &key, &counts)
}

fn add(connection: &Connection, key: &TrialKey, counts: &TrialCounts) -> rusqlite::Result<()> {
    let TrialCounts { alone, new, same, lost, faults, left_out } = *counts;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO trials (rule, digest, since, alone, new, same, lost, faults, left_out)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET
             alone = alone + excluded.alone, new = new + excluded.new, same = same + excluded.same, lost = lost + excluded.lost,
             faults = faults + excluded.faults, left_out = left_out + excluded.left_out",
        )?
        .execute(params![
            key.rule,
            key.digest,
            key.since,
            number(alone),
            number(new),
            number(same),
            number(lost),
            number(faults),
            number(left_out)
        ])?;
    Ok(())
}

impl TrialTable for SqliteAlerts {
    fn counts(&self, trials: &[TrialKey]) -> Result<Vec<TrialCounts>, BackendError> {
        self.read("count what came of trials", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT alone, new, same, lost, faults, left_out FROM trials WHERE rule = ?1 AND digest = ?2 AND since = ?3",
            )?;
            let mut counts = |key: &TrialKey| {
                let row = select.query_row(params![key.rule, key.digest, key.since], |row| {
                    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                    Ok(TrialCounts {
                        alone: count(0)?,
                        new: count(1)?,
                        same: count(2)?,
                        lost: count(3)?,
                        faults: count(4)?,
                        left_out: count(5)?,
                    })
                });
                Ok(row.optional()?.unwrap_or_default())
            };
            trials.iter().map(&mut counts).collect()
        })
    }

    fn note(&self, trials: &[(TrialKey, TrialCounts)]) -> Result<(), BackendError> {
        if trials.is_empty() {
            return Ok(());
        }
        self.write("note faults of trials", |connection| {
            trials.iter().try_for_each(|(key, counts)| add(connection, key, counts))
        })
    }
}

impl RuleLedger for SqliteAlerts {
    fn add(&self, costs: &[RuleCost]) -> Result<(), BackendError> {
        if costs.is_empty() {
            return Ok(());
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.write_lightly("note what rules cost", |connection| {
            let mut add = connection.prepare_cached(
                "INSERT INTO rule_costs (rule, digest, log_type, evaluations, matches, faults, fuel, nanoseconds)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
                 evaluations = evaluations + excluded.evaluations, matches = matches + excluded.matches,
                 faults = faults + excluded.faults, fuel = fuel + excluded.fuel, nanoseconds = nanoseconds + excluded.nanoseconds",
            )?;
            costs.iter().try_for_each(|cost| {
                let RuleCost { rule, digest, log_type, evaluations, matches, faults, fuel, nanoseconds } = cost;
                add.execute(params![
                    rule,
                    digest,
                    log_type,
                    number(*evaluations),
                    number(*matches),
                    number(*faults),
                    number(*fuel),
                    number(*nanoseconds)
                ])
                .map(drop)
            })
        })
    }

    fn all(&self) -> Result<Vec<RuleCost>, BackendError> {
        self.read("read what rules have cost", |connection| {
            let mut select = connection.prepare_cached(
                "SELECT rule, digest, log_type, evaluations, matches, faults, fuel, nanoseconds FROM rule_costs
                 ORDER BY rule, digest, log_type",
            )?;
            let cost = |row: &rusqlite::Row<'_>| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(RuleCost {
                    rule: row.get(0)?,
                    digest: row.get(1)?,
                    log_type: row.get(2)?,
                    evaluations: count(3)?,
                    matches: count(4)?,
                    faults: count(5)?,
                    fuel: count(6)?,
                    nanoseconds: count(7)?,
                })
            };
            select.query_map([], cost)?.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert_text::tests::alert as sample;
    use streamalert_pipeline::alert::{Alert, Hit};
    use streamalert_pipeline::backend::{AlertTable, NewAlert};

    #[test]
    fn a_hit_is_counted_with_its_alert_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        let trial = |since, hit| Some(Trial { digest: "dd".into(), since, hit });
        let alert = |id: &str, trial, staged| Alert { trial, staged, ..sample(id) };
        let alerts = [
            alert("a", trial(1, Hit::New), true),
            alert("a", trial(1, Hit::New), true),
            alert("b", trial(1, Hit::Lost), false),
            alert("c", trial(2, Hit::Alone), true),
            alert("d", None, false),
        ];
        let new: Vec<NewAlert<'_>> =
            alerts.iter().map(|alert| NewAlert { alert, waiting: None, undeliverable: vec![] }).collect();
        AlertTable::add(&table, &new, 0).unwrap();
        AlertTable::add(&table, &new, 1).unwrap();
        let key = |since| TrialKey { rule: "root_login".into(), digest: "dd".into(), since };
        let noted = TrialCounts { faults: 2, left_out: 3, ..TrialCounts::default() };
        table.note(&[(key(1), noted)]).unwrap();
        let counts = table.counts(&[key(1), key(2), key(3)]).unwrap();
        assert_eq!(counts[0], TrialCounts { new: 1, lost: 1, ..noted });
        assert_eq!(counts[1], TrialCounts { alone: 1, ..TrialCounts::default() });
        assert_eq!(counts[2], TrialCounts::default());
    }

    #[test]
    fn costs_add_up_by_version_and_log_type() {
        let folder = tempfile::tempdir().unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        let cost = |digest: &str, fuel| RuleCost {
            rule: "r".into(),
            digest: digest.into(),
            log_type: "t".into(),
            evaluations: 1,
            fuel,
            ..RuleCost::default()
        };
        RuleLedger::add(&table, &[cost("b", 5), cost("a", 7), cost("b", 6)]).unwrap();
        RuleLedger::add(&table, &[cost("b", 1)]).unwrap();
        let all = RuleLedger::all(&table).unwrap();
        assert_eq!(all, [cost("a", 7), RuleCost { evaluations: 3, ..cost("b", 12) }]);
    }
}
