//! What came of trials: counts that are written with the alerts they are about.

use super::DynamoAlerts;
use super::calls::{Change, Item, Key, Query, n, number, s, token};
use super::items::output_key;
use super::layout::EXPIRY;
use crate::call::at_once;
use crate::limits::{CALLS_AT_ONCE, TRIAL_DAYS, TRIAL_PARTS};
use aws_sdk_dynamodb::types::ReturnValue;
use std::hash::{DefaultHasher, Hash, Hasher};
use streamalert_pipeline::backend::{BackendError, TrialCounts, TrialKey};
use streamalert_pipeline::time::Millis;

const ACTION: &str = "count what came of trials";

fn id(rule: &str) -> String {
    // As long as names of outputs may be.
    format!("trial {}", output_key(rule))
}

/// Of all parts of one trial.
fn parts(key: &TrialKey) -> String {
    format!("{} {} ", key.digest, key.since)
}

/// Adds to the part that `by` writes.
pub(super) fn counted(key: &TrialKey, counts: &TrialCounts, by: &str, now: Millis) -> Change {
    let TrialCounts { alone, new, same, lost, faults, left_out } = *counts;
    let all = [
        ("#alone :alone", ":alone", alone),
        ("#new :new", ":new", new),
        ("#same :same", ":same", same),
        ("#lost :lost", ":lost", lost),
        ("#faults :faults", ":faults", faults),
        ("#left :left", ":left", left_out),
    ];
    let counted = all.iter().filter(|(_, _, count)| *count > 0);
    let add: Vec<&str> = counted.clone().map(|(add, _, _)| *add).collect();
    let number = |count: u64| n(i64::try_from(count).unwrap_or(i64::MAX));
    let mut values: Vec<_> = counted.map(|(_, name, count)| (*name, number(*count))).collect();
    values.push((":exp", n(now / 1_000 + TRIAL_DAYS * 24 * 60 * 60)));
    let mut hash = DefaultHasher::new();
    by.hash(&mut hash);
    Change {
        key: Key::new(id(&key.rule), format!("{}{}", parts(key), hash.finish() % TRIAL_PARTS)),
        update: format!("SET #{EXPIRY} = :exp ADD {}", add.join(", ")),
        condition: String::new(),
        values,
    }
}

impl DynamoAlerts {
    pub(super) async fn trial_counts(&self, trials: &[TrialKey]) -> Result<Vec<TrialCounts>, BackendError> {
        let table = self.table.clone();
        let counts = at_once(CALLS_AT_ONCE, trials.to_vec(), move |key: TrialKey| {
            let table = table.clone();
            async move {
                let query = Query {
                    condition: "#id = :id AND begins_with(#part, :part)",
                    values: vec![(":id", s(id(&key.rule))), (":part", s(parts(&key)))],
                    ..Query::default()
                };
                Ok(table.all(ACTION, &query).await?.iter().fold(TrialCounts::default(), sum))
            }
        });
        counts.await.into_iter().collect()
    }

    pub(super) async fn note_trials(&self, trials: &[(TrialKey, TrialCounts)]) -> Result<(), BackendError> {
        let (table, by, now) = (self.table.clone(), token(), self.now());
        let noted = at_once(CALLS_AT_ONCE, trials.to_vec(), move |(key, counts): (TrialKey, TrialCounts)| {
            let (table, by) = (table.clone(), by.clone());
            async move {
                let change = counted(&key, &counts, &by, now);
                table.change(ACTION, change, ReturnValue::None).await.map(drop)
            }
        });
        noted.await.into_iter().collect()
    }

    /// For what may expire some day.
    fn now(&self) -> Millis {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}

fn sum(mut sum: TrialCounts, item: &Item) -> TrialCounts {
    let of = |name: &str| number(item, name).unwrap_or_default().unsigned_abs();
    sum.alone += of("alone");
    sum.new += of("new");
    sum.same += of("same");
    sum.lost += of("lost");
    sum.faults += of("faults");
    sum.left_out += of("left");
    sum
}
