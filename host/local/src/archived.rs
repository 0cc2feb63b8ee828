//! The table of alerts with the archive beside it: what a group of alerts is merged to is archived as they were.

use crate::runner::not_archived;
use std::sync::Arc;
use streamalert_archive::Keeper;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertTable, BackendError, Fold, FoldInto, Group, Lease, NewAlert, Settled};
use streamalert_pipeline::time::Millis;

pub struct Archived {
    pub table: Arc<dyn AlertTable>,
    pub archive: Arc<Keeper>,
}

impl AlertTable for Archived {
    fn fold(&self, folds: &[Fold], now: Millis) -> Result<(), BackendError> {
        let merged = |fold: &Fold| match &fold.into {
            FoldInto::Merged(alert) => Some(Alert::clone(alert)),
            FoldInto::Alone | FoldInto::Nobody => None,
        };
        let merged: Vec<Alert> = folds.iter().filter_map(merged).collect();
        if merged.is_empty() {
            return self.table.fold(folds, now);
        }
        // Before they are stored: folded once more they have the same ids.
        self.archive.begin(&[], &merged).map_err(not_archived)?;
        let done = self.table.fold(folds, now);
        self.archive.end(&[]).map_err(not_archived)?;
        done
    }

    fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
        self.table.add(alerts, now)
    }

    fn lease(
        &self,
        output: &str,
        owner: &str,
        now: Millis,
        until: Millis,
        limit: usize,
    ) -> Result<Vec<Lease>, BackendError> {
        self.table.lease(output, owner, now, until, limit)
    }

    fn probe(&self, output: &str, owner: &str, now: Millis, until: Millis) -> Result<Option<Lease>, BackendError> {
        self.table.probe(output, owner, now, until)
    }

    fn settle(&self, owner: &str, settled: &[Settled], now: Millis) -> Result<(), BackendError> {
        self.table.settle(owner, settled, now)
    }

    fn due(&self, output: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
        self.table.due(output)
    }

    fn groups(&self, now: Millis, limit: usize) -> Result<Vec<Group>, BackendError> {
        self.table.groups(now, limit)
    }

    fn members(&self, group: &Group) -> Result<Vec<Alert>, BackendError> {
        self.table.members(group)
    }

    fn next_group(&self) -> Result<Option<Millis>, BackendError> {
        self.table.next_group()
    }
}
