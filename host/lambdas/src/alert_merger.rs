//! The alert merger: groups whose time has come are folded, and the processor is woken for what is due. Each minute for all
//! that is left, and by the alerts table's stream for what became due just now.

use crate::alert_processor::{post, set};
use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::{Function, failures};
use crate::live::LiveSet;
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use crate::wake::wake;
use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::alert_table::{DynamoAlerts, layout};
use streamalert_delivery::Post;
use streamalert_pipeline::backend::{AlertDesk, AlertTable, BackendError};
use streamalert_pipeline::time::Millis;

/// Time kept for waking the processor and for counting, before the function is ended: at least so much, or a fifth of all there is.
const STOP_BEFORE: Duration = Duration::from_secs(5);
/// Time that counting what is owed must have: of an outage's backlog, there is much to count.
const COUNTING: Duration = Duration::from_secs(2);
/// What the sort key of a delivery begins with.
const TO: &str = "to ";
/// What the queue of a delivery that is owed begins with.
const OWED: &str = "owed ";

pub struct AlertMerger {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    table: DynamoAlerts,
    post: Arc<Post>,
}

/// That of a schedule has none of this.
#[derive(Default, Deserialize)]
struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Value>,
}

impl AlertMerger {
    pub fn new(environment: &Environment) -> Result<Self> {
        Ok(AlertMerger {
            meter: Meter::of(environment, "alert_merger")?,
            live: LiveSet::open(environment)?,
            table: DynamoAlerts::new(environment.aws.clone(), &environment.names),
            post: post(environment)?,
            environment: environment.clone(),
        })
    }
}

impl Function for AlertMerger {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let Event { records } = serde_json::from_slice(event).unwrap_or_else(|error| {
            tracing::warn!(%error, "an event that is none of ours is taken for the schedule's");
            Event::default()
        });
        let mut metrics = Metrics::of(&self.meter);
        let answer = match records.is_empty() {
            true => self.round(deadline, &mut metrics),
            false => Ok(self.news(&records, &mut metrics)),
        };
        metrics.print(&self.meter, millis());
        answer
    }
}

impl AlertMerger {
    /// All that is due is folded, and the processor hears of all that is owed.
    fn round(&self, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        let stop = deadline.checked_sub(STOP_BEFORE.max(left / 5)).unwrap_or(begun);
        let now = self.live.current(deadline)?;
        set(&self.post, &now);
        let before = self.post.metrics.merges();
        let folded = self.fold(stop);
        let after = self.post.metrics.merges();
        metrics.count(&[], "Merged", after.0 - before.0);
        metrics.count(&[], "BelowThreshold", after.1 - before.1);
        let woken = self.wake();
        if Instant::now() + COUNTING < deadline {
            self.count(metrics);
        }
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        match (folded, woken) {
            (Ok(groups), Ok(outputs)) => Ok(json!({"groups": groups, "woken": outputs})),
            (Err(error), _) => bail!("merging failed: {}", told(&error)),
            (_, Err(error)) => bail!("what is due is not known: {}", told(&error)),
        }
    }

    /// Says how many groups; what is done is done. Some that cannot be folded now hold up no others.
    fn fold(&self, stop: Instant) -> Result<usize, BackendError> {
        let (mut groups, mut last) = (0, None);
        let mut trouble = None;
        loop {
            if Instant::now() >= stop {
                tracing::warn!(groups, "time is over, and more groups may be due; the next round goes on");
                return trouble.map_or(Ok(groups), Err);
            }
            let folded = self.post.fold_some(millis())?;
            trouble = trouble.or(folded.trouble);
            if folded.groups == 0 {
                return trouble.map_or(Ok(groups), Err);
            }
            // Somebody else is at them, they cannot be folded now, or an index does not know yet that they are folded.
            let same = Some((folded.groups, folded.alerts));
            if last == same {
                tracing::warn!(groups = folded.groups, "the same groups are due again; the next round goes on");
                return trouble.map_or(Ok(groups), Err);
            }
            groups += folded.groups;
            last = same;
        }
    }

    /// Outputs that something is due to.
    fn wake(&self) -> Result<Vec<String>, BackendError> {
        let now = millis();
        let due = self.table.due(None)?.into_iter().filter(|(_, due)| *due <= now).map(|(output, _)| output);
        let due: Vec<String> = self.post.known(due);
        if !due.is_empty() {
            wake(&self.environment.aws, &self.environment.names, &due, &[]);
        }
        Ok(due)
    }

    fn count(&self, metrics: &mut Metrics) {
        let backlog = match self.table.backlog() {
            Ok(backlog) => backlog,
            Err(error) => {
                tracing::warn!(error = told(&error), "what is owed could not be counted");
                return;
            }
        };
        let now = millis();
        let age = |oldest: Option<Millis>| oldest.map_or(0.0, |oldest| (now - oldest).max(0) as f64 / 1e3);
        // Also where nothing is owed: an alarm should see that it is over.
        metrics.add(&[], "OldestUndelivered", "Seconds", 0.0);
        for (output, backlog) in &backlog {
            for of in [&[("Output", output.as_str())][..], &[]] {
                metrics.add(of, "OldestUndelivered", "Seconds", age(backlog.oldest));
                metrics.count(of, "Owed", backlog.owed);
                metrics.count(of, "DeadLeft", backlog.dead);
                metrics.count(of, "Stuck", backlog.stuck);
            }
        }
    }

    /// Of the table's stream: outputs that a delivery became due to. Nothing of it comes again, whatever happens: the schedule's
    /// next round finds the same.
    fn news(&self, records: &[Value], metrics: &mut Metrics) -> Value {
        let (mut outputs, mut alerts, mut strange) = (BTreeSet::new(), Vec::new(), 0);
        let now = millis();
        for record in records {
            match New::read(record) {
                Some(New::Due { alert, output, due }) if due <= now => {
                    outputs.insert(output);
                    alerts.push(alert);
                }
                Some(_) => {}
                None => strange += 1,
            }
        }
        if strange > 0 {
            tracing::warn!(records = strange, "records of a stream that are none of the alerts table's are left out");
        }
        metrics.count(&[], "StrangeRecords", strange);
        metrics.count(&[], "StreamRecords", records.len() as u64);
        if !outputs.is_empty() {
            alerts.dedup();
            let outputs: Vec<String> = outputs.into_iter().collect();
            wake(&self.environment.aws, &self.environment.names, &outputs, &alerts);
        }
        failures([])
    }
}

/// What a record of the stream tells.
#[derive(Debug, PartialEq)]
enum New {
    /// Something is owed to an output; since when, if the stream says so.
    Due { alert: String, output: String, due: Millis },
    /// Anything else of the table.
    Other,
}

impl New {
    /// `None` of what is no record of the alerts table.
    fn read(record: &Value) -> Option<New> {
        let change = record.get("dynamodb")?;
        let text = |of: &str, name: &str| change.get(of)?.get(name)?.get("S")?.as_str();
        let (id, part) = (text("Keys", layout::ID)?, text("Keys", layout::PART)?);
        let kind = record.get("eventName")?.as_str()?;
        // A lease and what came of an attempt are changes, too: to wake for these would never end.
        let Some(output) = part.strip_prefix(TO).filter(|_| kind == "INSERT") else { return Some(New::Other) };
        let owed = || New::Due { alert: id.to_owned(), output: output.to_owned(), due: 0 };
        // A stream may carry keys only.
        let Some(image) = change.get("NewImage") else { return Some(owed()) };
        match text("NewImage", layout::QUEUE) {
            Some(queue) if queue.starts_with(OWED) => {
                let due = image.get(layout::DUE).and_then(|due| due.get("N")?.as_str()?.parse().ok());
                Some(New::Due { alert: id.to_owned(), output: output.to_owned(), due: due.unwrap_or(0) })
            }
            // It waits for others, or is dead from the start.
            _ => Some(New::Other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &str, part: &str, image: Option<Value>) -> Value {
        let mut change = json!({"Keys": {"id": {"S": "a1"}, "part": {"S": part}}, "SequenceNumber": "1"});
        if let Some(image) = image {
            change["NewImage"] = image;
        }
        json!({"eventSource": "aws:dynamodb", "eventName": kind, "dynamodb": change})
    }

    #[test]
    fn a_stream_tells_what_became_due() {
        let due = |due| Some(New::Due { alert: "a1".into(), output: "slack:soc".into(), due });
        let image = json!({"queue": {"S": "owed slack:soc"}, "due": {"N": "17"}});
        assert_eq!(New::read(&record("INSERT", "to slack:soc", Some(image.clone()))), due(17));
        assert_eq!(New::read(&record("INSERT", "to slack:soc", None)), due(0));
        for other in [
            record("MODIFY", "to slack:soc", Some(image)),
            record("REMOVE", "to slack:soc", None),
            record("INSERT", "alert", None),
            record("INSERT", "to slack:soc", Some(json!({"queue": {"S": "waiting slack:soc"}}))),
        ] {
            assert_eq!(New::read(&other), Some(New::Other), "{other}");
        }
        for strange in
            [json!({}), json!([]), json!({"body": "x"}), json!({"eventName": "INSERT", "dynamodb": {"Keys": {}}})]
        {
            assert_eq!(New::read(&strange), None, "{strange}");
        }
    }
}
