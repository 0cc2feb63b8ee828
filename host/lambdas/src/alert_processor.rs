//! The alert processor: what is due to outputs is delivered. It is woken for what became due, and by the merger for what is left.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::Function;
use crate::live::{LiveSet, Now};
use crate::metrics::{Meter, Metrics};
use crate::outputs::tell_of_archive;
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_delivery::{Ended, Post, Setup, Through, real_clock};
use streamalert_egress::Egress;
use streamalert_egress::world::Network;
use streamalert_pipeline::live::{Base, Live};
use streamalert_pipeline::plugin::PluginSet;

/// Time kept for recording what came of deliveries, before the function is ended.
const STOP_BEFORE: Duration = Duration::from_secs(2);
/// An index of DynamoDB knows of an item some ten milliseconds after the table. Whoever is woken for an alert and finds nothing
/// due waits for so long, once.
const INDEX_LAG: Duration = Duration::from_millis(300);

pub struct AlertProcessor {
    meter: Meter,
    live: LiveSet,
    post: Arc<Post>,
}

/// `{}`, or anything else that names no outputs, is all that is due.
#[derive(Default, Deserialize)]
struct Event {
    #[serde(default)]
    outputs: Vec<String>,
    /// For people who read logs.
    #[serde(default)]
    alerts: Vec<String>,
}

impl AlertProcessor {
    pub fn new(environment: &Environment) -> Result<Self> {
        tell_of_archive(environment);
        Ok(AlertProcessor {
            meter: Meter::of(environment, "alert_processor")?,
            live: LiveSet::open(environment)?,
            post: post(environment)?,
        })
    }
}

/// A post room in which nobody works by himself, for functions. What is live is put into it with [`set`].
pub(crate) fn post(environment: &Environment) -> Result<Arc<Post>> {
    let Environment { aws, names, .. } = environment;
    let (nothing, _) = Live::new(PluginSet::default(), &Base::default(), None);
    Ok(Post::new(Setup {
        table: Arc::new(DynamoAlerts::new(aws.clone(), names)),
        live: Arc::new(ArcSwap::from_pointee(nothing)),
        outputs: Arc::default(),
        secrets: Arc::new(SsmSecrets::new(aws.clone(), names)),
        world: Arc::new(Network::new(Egress::new().context("prepare for requests")?)),
        native: streamalert_aws::outputs::outputs(aws, names),
        clock: real_clock(),
    }))
}

/// What is live for this invocation.
pub(crate) fn set(post: &Post, now: &Now) {
    post.set(now.live.clone(), now.outputs.clone());
}

impl Function for AlertProcessor {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let event = serde_json::from_slice(event).unwrap_or_else(|error| {
            tracing::warn!(%error, "an event that is none of ours: all that is due is delivered");
            Event::default()
        });
        tracing::info!(outputs = ?event.outputs, alerts = ?event.alerts, "woken");
        let now = self.live.current(deadline)?;
        set(&self.post, &now);
        let stop = deadline.checked_sub(STOP_BEFORE).unwrap_or(begun);
        let before = self.post.metrics.counts();
        let mut through = self.post.work_through(&event.outputs, stop)?;
        let idle = |through: &BTreeMap<String, Through>| {
            through.values().all(|through| through.ended == Ended::Done && done(through) == 0)
        };
        if !event.alerts.is_empty() && idle(&through) && Instant::now() + INDEX_LAG < stop {
            thread::sleep(INDEX_LAG);
            through = self.post.work_through(&event.outputs, stop)?;
        }
        let mut metrics = Metrics::of(&self.meter);
        for (output, through) in &through {
            let of = |outcome| [("Output", output.as_str()), ("Outcome", outcome)];
            metrics.count(&of("delivered"), "Deliveries", through.delivered);
            metrics.count(&of("retried"), "Deliveries", through.retried);
            metrics.count(&of("dead"), "Deliveries", through.dead);
            tell(output, through);
        }
        for (output, counts) in self.post.metrics.counts() {
            let old = before.get(&output).cloned().unwrap_or_default();
            for (name, now, old) in [("Waited", counts.waited, old.waited), ("Took", counts.took, old.took)] {
                let since = now.since(&old);
                if let Some(mean) = since.mean() {
                    metrics.add(&[("Output", &output)], name, "Milliseconds", mean);
                }
                if name == "Took" {
                    metrics.count(&[], "Attempts", since.count);
                    metrics.count(&[("Output", &output)], "Attempts", since.count);
                }
            }
        }
        metrics.count(&[], "Dead", through.values().map(|through| through.dead).sum());
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        let answer: Map<String, Value> =
            through.iter().map(|(output, through)| (output.clone(), said(through))).collect();
        Ok(json!({ "outputs": answer }))
    }
}

fn done(through: &Through) -> u64 {
    through.delivered + through.retried + through.dead
}

fn tell(output: &str, through: &Through) {
    match &through.ended {
        Ended::Late if done(through) == 0 => tracing::error!(
            output,
            "there was no time for one attempt: give the function more than `timeout_seconds` of the output (30) and {} s",
            STOP_BEFORE.as_secs()
        ),
        Ended::Late => tracing::warn!(output, "time is over, and more is due; the merger's next round goes on"),
        Ended::Rests => {
            tracing::warn!(output, "the output rests, and more may be due; the merger's next round goes on")
        }
        // Told already.
        Ended::Done | Ended::Unknown(_) | Ended::Failed(_) => {}
    }
}

fn said(through: &Through) -> Value {
    let (ended, why) = match &through.ended {
        Ended::Done => ("done", None),
        Ended::Rests => ("rests", None),
        Ended::Late => ("late", None),
        Ended::Unknown(reason) => ("unknown", Some(reason)),
        Ended::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "delivered": through.delivered, "retried": through.retried, "dead": through.dead, "next": through.next,
        "ended": ended, "why": why,
    })
}
