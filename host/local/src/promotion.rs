//! The end of trials while a run goes on: rules go live when their time has come, and somebody is told how trials stand.

use crate::clock::millis;
use crate::rule_table::RuleFile;
use crate::run::Progress;
use crate::sqlite::SqliteAlerts;
use crate::stop::Stop;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use streamalert_delivery::Post;
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::config::{Outputs, RuleStaging};
use streamalert_pipeline::live::Live;
use streamalert_pipeline::rule_promotion::{
    Round, digest_alert, digest_due, digest_record, digest_text, owe_digest, round,
};
use streamalert_pipeline::time::rfc3339;

/// Between two looks: of what is on trial, each is a look into a small table.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Up to which time digests were told.
const TOLD: &str = "digest of trials";

pub struct Promotion {
    pub policy: Option<RuleStaging>,
    pub table: RuleFile,
    pub trials: Arc<SqliteAlerts>,
    pub live: Arc<ArcSwap<Live>>,
    pub post: Arc<Post>,
    pub outputs: Arc<Outputs>,
    pub progress: Arc<Progress>,
}

impl Promotion {
    /// One look, now.
    pub fn look(&self) -> Result<(), BackendError> {
        let now = millis();
        let fleet = self.live.load().fleet();
        let Round { reviews, promoted, trouble, .. } =
            round(&self.table, &*self.trials, &fleet, self.policy.as_ref(), now)?;
        promoted.iter().for_each(|rule| self.progress.tell(&format!("promoted: {rule} is live, its trial is over")));
        if let Some(slot) = digest_due(&reviews, self.policy.as_ref(), now)
            && self.trials.cursor(TOLD)? < slot
            && let Some(digest) = self.policy.as_ref().and_then(|policy| policy.digest.as_ref())
        {
            let record = digest_record(&reviews);
            // Its id is that of its time: also another run, or this one after it was killed, tells it once.
            let mut new = true;
            if let Some(output) = &digest.output {
                let alert = digest_alert(record.clone(), output, slot, now, env!("CARGO_PKG_VERSION"));
                new = owe_digest(&*self.trials, &self.outputs, &alert, now)?;
                if let Err(error) = self.post.wake(std::iter::once(&alert)) {
                    tracing::warn!(%error, "a thread for an output could not be started; the digest goes later");
                }
            }
            if digest.log && new {
                self.progress.tell(&format!(
                    "rules on trial at {}:\n{}",
                    rfc3339(slot),
                    digest_text(&record).trim_end()
                ));
            }
            self.trials.set_cursor(TOLD, slot)?;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Looks again and again, until `stop`.
    pub fn start(self, stop: Stop) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new().name("promotion".into()).spawn(move || {
            while !stop.is_requested() {
                if let Err(error) = self.look() {
                    let cause = error.source.as_ref().map(ToString::to_string);
                    tracing::warn!(action = error.action, cause, "trials were not looked at; the next look does it");
                }
                thread::sleep(LOOK_EVERY);
            }
        })
    }
}
