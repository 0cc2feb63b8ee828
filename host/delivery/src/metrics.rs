//! Counts what became of deliveries.

use super::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use streamalert_pipeline::backend::{Backlog, Lease, Outcome};
use streamalert_pipeline::limits::ATTEMPTS_WARNED;
use streamalert_pipeline::time::Millis;

/// Upper ends of the buckets of latencies, in milliseconds.
const BUCKETS: [i64; 10] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000, 60_000];
/// Outputs told to be unknown: a rule could make up any number of them.
const UNKNOWN_MAX: usize = 100;

#[derive(Default)]
pub struct Metrics {
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    outputs: BTreeMap<String, Counts>,
    merged: u64,
    silent: u64,
    told: BTreeSet<String>,
}

/// Of one output.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub delivered: u64,
    /// Attempts that are followed by another.
    pub retried: u64,
    pub dead: u64,
    pub last_error: Option<String>,
    /// From the alert to its first attempt.
    pub waited: Histogram,
    /// Of an attempt.
    pub took: Histogram,
}

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    buckets: [u64; BUCKETS.len()],
    pub count: u64,
    sum: i64,
}

impl Histogram {
    fn add(&mut self, millis: Millis) {
        let millis = millis.max(0);
        self.count += 1;
        self.sum += millis;
        if let Some(bucket) = BUCKETS.iter().position(|end| millis <= *end) {
            self.buckets[bucket] += 1;
        }
    }

    /// What was added since it was `before`.
    pub fn since(&self, before: &Histogram) -> Histogram {
        let mut since = self.clone();
        since.count -= before.count.min(since.count);
        since.sum -= before.sum;
        for (bucket, before) in since.buckets.iter_mut().zip(before.buckets) {
            *bucket -= before.min(*bucket);
        }
        since
    }

    /// Milliseconds on average; none of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The end of the bucket in which that part of all lies: 0.99 for the 99th percentile.
    pub fn quantile(&self, part: f64) -> Option<Millis> {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        BUCKETS.iter().zip(self.buckets).find_map(|(end, count)| {
            seen += count;
            (seen >= wanted).then_some(*end)
        })
    }
}

/// A label's value in Prometheus' text form.
pub fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Metrics {
    fn with(&self, output: &str, work: impl FnOnce(&mut Counts)) {
        let mut all = lock(&self.all);
        match all.outputs.get_mut(output) {
            Some(counts) => work(counts),
            None => work(all.outputs.entry(output.to_owned()).or_default()),
        }
    }

    pub(super) fn outcome(&self, output: &str, lease: &Lease, outcome: &Outcome) {
        self.with(output, |counts| match outcome {
            Outcome::Delivered { .. } => counts.delivered += 1,
            Outcome::Again { error, .. } => {
                counts.retried += 1;
                counts.last_error = Some(error.clone());
            }
            Outcome::Dead { error } => {
                counts.dead += 1;
                counts.last_error = Some(error.clone());
            }
            Outcome::Released { .. } => {}
        });
        let (alert, rule) = (&lease.alert.id, &lease.alert.rule_name);
        match outcome {
            Outcome::Dead { error } => {
                tracing::error!(
                    output,
                    alert,
                    rule,
                    attempts = lease.attempts + 1,
                    error,
                    "an alert was not delivered"
                );
            }
            Outcome::Again { error, .. } if (lease.attempts + 1).is_multiple_of(ATTEMPTS_WARNED) => {
                tracing::warn!(
                    output,
                    alert,
                    rule,
                    attempts = lease.attempts + 1,
                    error,
                    "an alert is still not delivered"
                );
            }
            Outcome::Again { error, .. } => {
                tracing::info!(output, alert, rule, attempts = lease.attempts + 1, error, "a delivery is tried again");
            }
            Outcome::Delivered { .. } | Outcome::Released { .. } => {}
        }
    }

    /// Dead from the start: there is no such output.
    pub(super) fn dead(&self, output: &str, reason: &str) {
        self.unknown(output, reason, 1);
    }

    /// Owed from before to an output that there is none of any more.
    pub(super) fn nowhere(&self, output: &str, reason: &str) {
        self.unknown(output, reason, 0);
    }

    /// Nothing can be tried before something else happens.
    pub(super) fn held(&self, output: &str, reason: &str) {
        let mut new = false;
        self.with(output, |counts| {
            new = counts.last_error.as_deref() != Some(reason);
            counts.last_error = Some(reason.to_owned());
        });
        if new {
            tracing::error!(output, reason, "alerts wait");
        }
    }

    fn unknown(&self, output: &str, reason: &str, dead: u64) {
        let new = {
            let mut all = lock(&self.all);
            let room = all.told.len() < UNKNOWN_MAX;
            let new = room && all.told.insert(output.to_owned());
            if new || all.outputs.contains_key(output) {
                let counts = all.outputs.entry(output.to_owned()).or_default();
                counts.dead += dead;
                counts.last_error = Some(reason.to_owned());
            }
            new
        };
        if new {
            tracing::error!(output, reason, "alerts are not delivered");
        }
    }

    pub(super) fn waited(&self, output: &str, millis: Millis) {
        self.with(output, |counts| counts.waited.add(millis));
    }

    pub(super) fn took(&self, output: &str, millis: Millis) {
        self.with(output, |counts| counts.took.add(millis));
    }

    pub(super) fn merged(&self, merged: u64, silent: u64) {
        let mut all = lock(&self.all);
        all.merged += merged;
        all.silent += silent;
    }

    /// By output.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        lock(&self.all).outputs.clone()
    }

    /// Alerts that became part of others, and alerts nobody was told of as they were too few.
    pub fn merges(&self) -> (u64, u64) {
        let all = lock(&self.all);
        (all.merged, all.silent)
    }

    /// In Prometheus' text form.
    pub fn text(&self, backlog: &BTreeMap<String, Backlog>, now: Millis) -> String {
        let all = lock(&self.all);
        let mut text = String::new();
        let label = |output: &str| format!("output=\"{}\"", escaped(output));
        let counts = |count: fn(&Counts) -> u64| -> Vec<(String, f64)> {
            all.outputs.iter().map(|(output, counts)| (label(output), count(counts) as f64)).collect()
        };
        let owed = |value: fn(&Backlog) -> u64| -> Vec<(String, f64)> {
            backlog.iter().map(|(output, backlog)| (label(output), value(backlog) as f64)).collect()
        };
        let oldest = backlog
            .iter()
            .filter_map(|(output, backlog)| Some((label(output), (now - backlog.oldest?).max(0) as f64 / 1e3)));
        let (counter, gauge) = ("counter", "gauge");
        for (name, kind, help, rows) in [
            ("deliveries_delivered_total", counter, "Alerts that outputs have.", counts(|counts| counts.delivered)),
            (
                "deliveries_retried_total",
                counter,
                "Attempts that failed and are followed by others.",
                counts(|counts| counts.retried),
            ),
            (
                "deliveries_given_up_total",
                counter,
                "Alerts that outputs will not get by themselves.",
                counts(|counts| counts.dead),
            ),
            ("deliveries_owed", gauge, "Alerts that are to be delivered.", owed(|backlog| backlog.owed)),
            (
                "deliveries_dead",
                gauge,
                "Alerts that were given up and that nobody has taken note of.",
                owed(|backlog| backlog.dead),
            ),
            (
                "deliveries_stuck",
                gauge,
                "Alerts that are owed after an hour of attempts.",
                owed(|backlog| backlog.stuck),
            ),
            ("oldest_undelivered_alert_seconds", gauge, "Age of the oldest alert that is owed.", oldest.collect()),
            (
                "alerts_merged_total",
                counter,
                "Alerts that became part of another.",
                vec![(String::new(), all.merged as f64)],
            ),
            (
                "alerts_below_threshold_total",
                counter,
                "Alerts too few of a kind to tell anybody.",
                vec![(String::new(), all.silent as f64)],
            ),
        ] {
            let _ = writeln!(text, "# HELP streamalert_{name} {help}\n# TYPE streamalert_{name} {kind}");
            for (labels, value) in rows {
                let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
                let _ = writeln!(text, "streamalert_{name}{labels} {value}");
            }
        }
        type Times = fn(&Counts) -> &Histogram;
        let times: [(&str, &str, Times); 2] = [
            ("delivery_wait_seconds", "From an alert to the first attempt to deliver it.", |counts| &counts.waited),
            ("delivery_attempt_seconds", "What an attempt took.", |counts| &counts.took),
        ];
        for (name, help, histogram) in times {
            let _ = writeln!(text, "# HELP streamalert_{name} {help}\n# TYPE streamalert_{name} histogram");
            for (output, counts) in &all.outputs {
                let (labels, histogram) = (label(output), histogram(counts));
                let mut sum = 0;
                for (end, count) in BUCKETS.iter().zip(histogram.buckets) {
                    sum += count;
                    let _ = writeln!(text, "streamalert_{name}_bucket{{{labels},le=\"{}\"}} {sum}", *end as f64 / 1e3);
                }
                let _ = writeln!(text, "streamalert_{name}_bucket{{{labels},le=\"+Inf\"}} {}", histogram.count);
                let _ = writeln!(text, "streamalert_{name}_sum{{{labels}}} {}", histogram.sum as f64 / 1e3);
                let _ = writeln!(text, "streamalert_{name}_count{{{labels}}} {}", histogram.count);
            }
        }
        text
    }
}
