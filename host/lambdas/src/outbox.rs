//! Records on their way out: gathered by log type, sent to the queue and the archive side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use streamalert_pipeline::backend::{BackendError, RecordArchive, RecordQueue};
use streamalert_pipeline::record_batch::RecordBatch;

/// Cluster, log type, and the only rule that is asked.
type Kind = (Arc<str>, String, Option<String>);

/// What has been classified and not sent yet.
pub struct Outbox<'a> {
    queue: &'a dyn RecordQueue,
    archive: &'a dyn RecordArchive,
    waiting: BTreeMap<Kind, (RecordBatch, BTreeSet<Arc<str>>)>,
    bytes: usize,
    pub sent: Sent,
}

/// Records, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub queued: u64,
    pub not_queued: u64,
    /// Handed to the archive, whether it keeps their log type or not.
    pub archived: u64,
    pub not_archived: u64,
}

impl<'a> Outbox<'a> {
    pub fn new(queue: &'a dyn RecordQueue, archive: &'a dyn RecordArchive) -> Self {
        Outbox { queue, archive, waiting: BTreeMap::new(), bytes: 0, sent: Sent::default() }
    }

    /// Takes records that `item` of the event brought.
    pub fn add(&mut self, mut batch: RecordBatch, item: &Arc<str>) {
        self.bytes += batch.bytes();
        let kind = (batch.cluster.clone(), batch.log_type.clone(), batch.rule.clone());
        match self.waiting.get_mut(&kind) {
            Some((gathered, items)) => {
                gathered.records.append(&mut batch.records);
                items.insert(item.clone());
            }
            None => drop(self.waiting.insert(kind, (batch, BTreeSet::from([item.clone()])))),
        }
    }

    /// Bytes that wait, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends all that waits. Returns the items of which something was not sent, with the reason.
    pub fn send(&mut self) -> BTreeMap<Arc<str>, String> {
        self.bytes = 0;
        let (batches, items): (Vec<RecordBatch>, Vec<BTreeSet<Arc<str>>>) =
            std::mem::take(&mut self.waiting).into_values().unzip();
        if batches.is_empty() {
            return BTreeMap::new();
        }
        // What is sent again for one rule is in the archive already; that is seldom, so usually nothing is copied.
        let some: Option<Vec<RecordBatch>> = batches
            .iter()
            .any(|batch| batch.rule.is_some())
            .then(|| batches.iter().filter(|batch| batch.rule.is_none()).cloned().collect());
        let kept = some.as_ref().unwrap_or(&batches);
        let (queued, archived) = thread::scope(|scope| {
            let archive = scope.spawn(|| self.archive.put(kept));
            let queued = self.queue.send(&batches);
            (queued, archive.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let mut archived = archived.into_iter();
        let mut failed = BTreeMap::new();
        for ((batch, queued), items) in batches.iter().zip(queued).zip(items) {
            let count = batch.records.len() as u64;
            *(if queued.is_ok() { &mut self.sent.queued } else { &mut self.sent.not_queued }) += count;
            let archived = if batch.rule.is_none() { archived.next().unwrap_or(Ok(())) } else { Ok(()) };
            if batch.rule.is_none() {
                *(if archived.is_ok() { &mut self.sent.archived } else { &mut self.sent.not_archived }) += count;
            }
            if let Err(error) = queued.and(archived) {
                let told = told(&error);
                tracing::error!(log_type = batch.log_type, error = told, "records were not sent and come again");
                failed.extend(items.into_iter().map(|item| (item, told.clone())));
            }
        }
        failed
    }
}

/// An error with its cause.
pub fn told(error: &BackendError) -> String {
    match &error.source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
