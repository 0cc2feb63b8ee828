//! Alerts in DynamoDB: what is owed, what waits, and what was raised in the last [`crate::limits::ALERT_DAYS`] days.
//!
//! | file | its question |
//! |---|---|
//! | [`layout`] | which keys, indexes and attributes are there |
//! | `calls` | how is DynamoDB called, and what is done again |
//! | `items` | how do alerts and deliveries look as items |
//! | `add` | how is an alert stored with all it owes, or not at all |
//! | `lease` | whose is a delivery, and what came of it |
//! | `groups` | who waits for whom, and how is a group folded once |
//! | `desk` | what does an operator see and change |
//! | `trials` | what came of versions of rules on trial |
//!
//! An answer of DynamoDB may be lost after it did what it was asked to. So whatever must not be done twice leaves a token of its
//! own in the item, by which the second attempt knows the first.

mod add;
mod calls;
mod desk;
mod groups;
mod items;
pub mod layout;
mod lease;
mod trials;

use crate::objects::Bucket;
use crate::{Aws, Names};
use calls::Table;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{
    AlertDesk, AlertTable, BackendError, Backlog, Delivery, DeliveryFilter, Fold, Group, Lease, NewAlert, Settled,
    TrialCounts, TrialKey, TrialTable,
};
use streamalert_pipeline::time::Millis;

/// Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct DynamoAlerts {
    table: Table,
    /// For alerts that are too large for an item.
    bucket: Bucket,
    /// Outputs and days that this process has entered into the table.
    entered: Arc<Mutex<HashSet<(&'static str, String)>>>,
}

impl DynamoAlerts {
    pub fn new(aws: Arc<Aws>, names: &Names) -> Self {
        DynamoAlerts {
            bucket: Bucket::new(&aws, names.data_bucket()),
            table: Table { aws, name: names.alerts_table().into() },
            entered: Arc::default(),
        }
    }

    fn wait<F: Future>(&self, calls: F) -> F::Output {
        self.table.aws.wait(calls)
    }
}

impl AlertTable for DynamoAlerts {
    fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
        self.wait(self.add_all(alerts, now))
    }

    fn lease(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError> {
        self.wait(self.lease_some(output, owner, now, until, limit))
    }

    fn probe(&self, output: &str, owner: &str, now: Millis, until: Millis) -> Result<Option<Lease>, BackendError> {
        self.wait(self.lease_newest(output, owner, now, until))
    }

    fn settle(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError> {
        self.wait(self.settle_all(owner, settled, now))
    }

    fn due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
        self.wait(self.next_due(output))
    }

    fn groups(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError> {
        self.wait(self.groups_due(now, limit))
    }

    fn members(&self, group: &Group) -> Result<Vec<Alert>, BackendError> {
        self.wait(self.members_of(group))
    }

    fn fold(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError> {
        self.wait(self.fold_all(folds, now))
    }

    fn next_group(&self) -> Result<Option<Millis>, BackendError> {
        self.wait(self.next_group_due())
    }
}

impl TrialTable for DynamoAlerts {
    fn counts(&self, trials: &[TrialKey]) -> Result<Vec<TrialCounts>, BackendError> {
        self.wait(self.trial_counts(trials))
    }

    fn note(&self, trials: &[(TrialKey, TrialCounts)]) -> Result<(), BackendError> {
        self.wait(self.note_trials(trials))
    }
}

impl AlertDesk for DynamoAlerts {
    fn list(&self, rule: Option<&str>, limit: usize) -> Result<Vec<Alert>, BackendError> {
        self.wait(self.newest(rule, limit))
    }

    fn get(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        self.wait(self.alert(id))
    }

    fn merged_into(&self, id: &str) -> Result<Option<String>, BackendError> {
        self.wait(self.merged(id))
    }

    fn deliveries(&self, filter: &DeliveryFilter, limit: usize) -> Result<Vec<Delivery>, BackendError> {
        self.wait(self.find(filter, limit))
    }

    fn retry(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        self.wait(self.retry_all(filter, now))
    }

    fn drop_deliveries(&self, filter: &DeliveryFilter, now: Millis) -> Result<u64, BackendError> {
        self.wait(self.drop_all(filter, now))
    }

    fn backlog(&self) -> Result<std::collections::BTreeMap<String, Backlog>, BackendError> {
        self.wait(self.backlogs())
    }
}
