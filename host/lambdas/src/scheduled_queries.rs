//! Scheduled queries: every minute the function looks what is due, asks Athena, and classifies the rows of the answers as the classifier
//! does any log. What takes longer than an invocation is gone on with by the next one.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::Function;
use crate::live::{LiveSet, Now};
use crate::metrics::{Meter, Metrics};
use crate::outbox::{Outbox, told};
use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::archive::FirehoseArchive;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::objects::Bucket;
use streamalert_aws::query_desk::S3Desk;
use streamalert_aws::query_engine::AthenaEngine;
use streamalert_aws::queue::SqsQueue;
use streamalert_pipeline::backend::{BackendError, DeadLetters};
use streamalert_pipeline::classifier::Worker;
use streamalert_pipeline::log_record::Payload;
use streamalert_pipeline::record_batch::RecordBatch;
use streamalert_pipeline::scheduled_queries::drive::{Done, Events, Stand, World, drive};
use streamalert_pipeline::time::Millis;

/// Time kept for what is under way, before the function is ended: at least so much, or a fifth of all there is.
const STOP_BEFORE: Duration = Duration::from_secs(10);
/// Pause between two looks at queries that run.
const LOOK: Duration = Duration::from_secs(2);
/// So long an invocation waits for queries at most: the next one comes in a minute, and waiting is paid for.
const WAIT_MAX: Duration = Duration::from_secs(45);
/// How long the streams gather what goes into the archive, if nobody says otherwise: what `infra/` sets.
const BUFFER_SECONDS: u32 = 300;
/// What a record needs before it is in a stream, and what a stream needs to write it.
const BUFFER_MARGIN: Millis = 120_000;
/// Bytes of records that are gathered before they are sent.
const GATHERED_BYTES: usize = 8 << 20;

pub struct ScheduledQueries {
    meter: Meter,
    live: LiveSet,
    queue: SqsQueue,
    archive: FirehoseArchive,
    dead: S3DeadLetters,
    data: Bucket,
    engine: AthenaEngine,
    /// A record is on its way into the archive for so long.
    delay: Millis,
}

impl ScheduledQueries {
    pub fn new(environment: &Environment) -> Result<Self> {
        let Environment { aws, names, .. } = environment;
        let data = Bucket::new(aws, names.data_bucket());
        let buffer: u32 = environment.read("STREAMALERT_ARCHIVE_BUFFER_SECONDS", BUFFER_SECONDS)?;
        let logs = environment.get("STREAMALERT_ARCHIVE_LOGS").unwrap_or_default();
        let logs = logs.split(',').map(str::trim).filter(|log| !log.is_empty()).map(str::to_owned).collect();
        Ok(ScheduledQueries {
            meter: Meter::of(environment, "scheduled_queries")?,
            live: LiveSet::open(environment)?,
            queue: SqsQueue::new(aws, names.records_queue(), data.clone()),
            archive: FirehoseArchive::new(aws, &names.prefix, logs, data.clone()),
            dead: S3DeadLetters::new(aws, names.data_bucket()),
            engine: AthenaEngine::new(aws, names),
            delay: Millis::from(buffer) * 1000 + BUFFER_MARGIN,
            data,
        })
    }
}

impl Function for ScheduledQueries {
    fn handle(&self, _: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let now = self.live.current(deadline)?;
        self.archive.set_schemas(now.live.classifier.schemas());
        let mut metrics = Metrics::of(&self.meter);
        let left = deadline.saturating_duration_since(begun);
        let stop_at = deadline.checked_sub(STOP_BEFORE.max(left / 5)).unwrap_or(begun);
        let stop = || Instant::now() >= stop_at;
        // Whatever becomes of this invocation, it is over by then.
        let until = millis() + Millis::try_from(left.as_millis()).unwrap_or(Millis::MAX / 4);
        let desk = S3Desk::new(self.data.clone(), &millis, until);
        let world =
            World { desk: &desk, engine: &self.engine, now: &millis, delay: self.delay, behind: &|| None, stop: &stop };
        let mut events = Classify {
            of: self,
            now: &now,
            worker: now.live.classifier.worker(),
            metrics: &mut metrics,
            failures: now.failures(),
        };
        let queries = now.scheduled_queries();
        let (mut answer, mut faults) = (Map::new(), Vec::new());
        let mut all = Done::default();
        loop {
            let mut later = false;
            for job in queries.jobs() {
                if stop() {
                    break;
                }
                let mut done = Done::default();
                let said = match drive(job, &world, &mut events, &mut done) {
                    Ok(stand) => {
                        later |= stand == Stand::Later;
                        match stand {
                            Stand::Idle => "idle",
                            Stand::Later => "later",
                            Stand::Busy => "busy",
                            Stand::Stopped => "stopped",
                        }
                    }
                    Err(error) => {
                        let error = told(&error);
                        tracing::error!(query = job.key(), error, "a scheduled query goes on with the next invocation");
                        faults.push(format!("{}: {error}", job.key()));
                        "failed"
                    }
                };
                count(events.metrics, &job.query.name, &done);
                let rows = done.rows;
                for (sum, more) in [(&mut all.runs, done.runs), (&mut all.rows, rows), (&mut all.missed, done.missed)] {
                    *sum += more;
                }
                all.failures.extend(done.failures);
                if said != "idle" || !answer.contains_key(&job.key()) {
                    answer.insert(job.key(), said.into());
                }
            }
            if !later || !faults.is_empty() || stop() || begun.elapsed() >= WAIT_MAX {
                break;
            }
            thread::sleep(LOOK.min(stop_at.saturating_duration_since(Instant::now())));
        }
        drop(events);
        metrics.count(&[], "FailedItems", faults.len() as u64);
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        if !faults.is_empty() {
            bail!("scheduled queries go on with the next invocation: {}", faults.join("; "));
        }
        Ok(
            json!({ "queries": answer, "runs": all.runs, "rows": all.rows, "missed": all.missed, "failures": all.failures }),
        )
    }
}

fn count(metrics: &mut Metrics, query: &str, done: &Done) {
    for failure in &done.failures {
        tracing::error!(query, failure, "a scheduled query came to nothing");
    }
    if done.missed > 0 {
        tracing::warn!(query, missed = done.missed, "times of a schedule were missed and are not caught up");
    }
    for of in [&[("Query", query)][..], &[]] {
        metrics.count(of, "QueryRuns", done.runs);
        metrics.count(of, "QueryRows", done.rows);
        metrics.count(of, "QueryFailures", done.failures.len() as u64);
        metrics.count(of, "MissedSchedules", done.missed);
        if done.scanned_bytes > 0 {
            metrics.add(of, "ScannedBytes", "Bytes", done.scanned_bytes as f64);
        }
    }
}

/// Rows become records for the rules engine and the archive, and what is none a dead letter.
struct Classify<'a> {
    of: &'a ScheduledQueries,
    now: &'a Now,
    worker: Worker,
    metrics: &'a mut Metrics,
    /// See [`Now::failures`].
    failures: u64,
}

impl Events for Classify<'_> {
    fn send(&mut self, events: Vec<Payload>) -> Result<(), BackendError> {
        const ACTION: &str = "hand on the rows of a query";
        let item: Arc<str> = "rows".into();
        let mut outbox = Outbox::new(&self.of.queue, &self.of.archive);
        let mut letters = Vec::new();
        let arrived = millis();
        let flush = |outbox: &mut Outbox<'_>| match outbox.send().into_values().next() {
            None => Ok(()),
            Some(why) => Err(BackendError::other(ACTION, why)),
        };
        for event in events {
            let classified = self.worker.classify(event);
            let before = std::mem::replace(&mut self.failures, self.now.failures());
            if before != self.failures && !classified.dead.is_empty() {
                return Err(BackendError::other(ACTION, "the code of a parser could not be fetched"));
            }
            self.metrics.count(&[], "Inputs", classified.inputs);
            for batch in RecordBatch::of(&classified.batch, arrived) {
                self.metrics.count(&[("LogType", &batch.log_type)], "Records", batch.records.len() as u64);
                outbox.add(batch, &item);
            }
            for letter in classified.dead {
                self.metrics.count(&[("Reason", letter.reason.code())], "DeadLetters", 1);
                letters.push(letter);
            }
            if outbox.bytes() >= GATHERED_BYTES {
                flush(&mut outbox)?;
            }
        }
        flush(&mut outbox)?;
        self.of.dead.put(&letters)
    }
}
