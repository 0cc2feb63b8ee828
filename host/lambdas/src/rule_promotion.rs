//! Rule promotion: rules whose trial is over go live, every few minutes; and once a day somebody is told how trials stand. What it
//! does can be done again: each rule is one write, and a digest is an alert whose id is that of its time.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::Function;
use crate::live::{LiveSet, Now};
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use crate::wake::wake;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_pipeline::rule_promotion::{Review, Verdict, digest_alert, digest_record, owe_digest, round};
use streamalert_pipeline::time::{Millis, parse};

/// A digest without a time of its own is that of the hour: an invocation that is tried again makes the same one.
const HOUR: Millis = 3_600_000;

pub struct RulePromotion {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    states: DynamoRules,
    table: DynamoAlerts,
}

/// A schedule's, or one that asks for a digest.
#[derive(Default, Deserialize)]
struct Event {
    #[serde(default)]
    send_digest: bool,
    /// RFC 3339: when the schedule was due.
    #[serde(default)]
    time: Option<String>,
}

impl RulePromotion {
    pub fn new(environment: &Environment) -> Result<Self> {
        let Environment { aws, names, .. } = environment;
        Ok(RulePromotion {
            meter: Meter::of(environment, "rule_promotion")?,
            live: LiveSet::open(environment)?,
            states: DynamoRules::new(aws.clone(), names),
            table: DynamoAlerts::new(aws.clone(), names),
            environment: environment.clone(),
        })
    }
}

impl Function for RulePromotion {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let event: Event = serde_json::from_slice(event)
            .context("an event of this function is {} or {\"send_digest\": true}, or that of a schedule")?;
        let live = self.live.current(deadline)?;
        let now = millis();
        let policy = live.rule_staging();
        let done = round(&self.states, &self.table, &live.live.fleet(), policy, now)?;
        for rule in &done.promoted {
            tracing::warn!(rule, "the rule is live: its trial is over");
        }
        let mut metrics = Metrics::of(&self.meter);
        metrics.add(&[], "OnTrial", "None", done.reviews.len() as f64);
        metrics.count(&[], "Promoted", done.promoted.len() as u64);
        let unknown = done.reviews.iter().filter(|review| matches!(review.verdict, Verdict::Unknown(_))).count();
        metrics.add(&[], "Unknown", "None", unknown as f64);
        let mut digest = None;
        if event.send_digest && !done.reviews.is_empty() {
            let slot = match &event.time {
                Some(time) => parse(time).with_context(|| format!("`time` of the event is `{time}`"))?,
                None => now - now.rem_euclid(HOUR),
            };
            digest = Some(self.tell(&live, &done.reviews, slot, now)?);
            metrics.count(&[], "Digests", u64::from(digest == Some("owed")));
        }
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        if let Some(error) = done.trouble {
            bail!("not all trials could be looked at, and the next round does the rest: {}", told(&error));
        }
        let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
        done.reviews.iter().for_each(|review| *verdicts.entry(review.verdict.name()).or_default() += 1);
        Ok(json!({
            "on_trial": done.reviews.len(), "verdicts": verdicts, "promoted": done.promoted, "overtaken": done.overtaken,
            "digest": digest,
        }))
    }
}

impl RulePromotion {
    /// Says what came of the digest.
    fn tell(&self, live: &Now, reviews: &[Review], slot: Millis, now: Millis) -> Result<&'static str> {
        let settings = live.rule_staging().and_then(|policy| policy.digest.as_ref());
        let record = digest_record(reviews);
        if settings.is_none_or(|settings| settings.log) {
            // For the log, which takes JSON lines.
            println!("{}", json!({ "rules_on_trial": record }));
        }
        let Some(output) = settings.and_then(|settings| settings.output.as_ref()) else { return Ok("logged") };
        let alert = digest_alert(record, output, slot, now, env!("CARGO_PKG_VERSION"));
        let new = owe_digest(&self.table, &live.outputs, &alert, now)?;
        // Also when it is not new: who stored it may not have lived to wake anybody.
        wake(&self.environment.aws, &self.environment.names, &alert.outputs, std::slice::from_ref(&alert.id));
        Ok(if new { "owed" } else { "known" })
    }
}
