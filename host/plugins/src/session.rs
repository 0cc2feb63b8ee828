//! Asks rules about rows, in a sandbox that costs one rule one batch when it breaks.

use crate::component::{RuleComponent, hex};
use crate::contract::World;
use crate::describe::OUTPUT_BYTES_MAX;
use crate::host::Watch;
use crate::limits::{Budget, ROW_BYTES_FREE};
use crate::sandbox::{Exports, Sandbox};
use crate::wire::{self, BatchInfo};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use streamalert_packed::Record;
use streamalert_pipeline::limits as pipeline;
use streamalert_pipeline::plugin::{
    Batch, Finding, Judged, PluginError, PluginErrorKind as Kind, Read, RuleInfo, RulePlugin, RuleSession,
};

impl RulePlugin for RuleComponent {
    fn name(&self) -> &str {
        &self.code.name
    }

    fn digest(&self) -> &str {
        &self.code.digest
    }

    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }

    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(Session { component: self, batch, sandbox: None })
    }
}

/// A sandbox at work on one batch; taken from the waiting ones, or made, when the first rule is asked.
struct Session<'a> {
    component: &'a RuleComponent,
    batch: &'a Arc<Batch>,
    sandbox: Option<Sandbox>,
}

impl RuleSession for Session<'_> {
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        let mut sandbox = match self.sandbox.take() {
            Some(sandbox) => sandbox,
            None => {
                let mut sandbox = self.component.idle.take_or_start(&self.component.code)?;
                sandbox.store.data_mut().batch = Some(self.batch.clone());
                sandbox
            }
        };
        // On an error the sandbox is dropped here: what a trap or a lie left behind in it is nobody's starting point.
        let judged = sandbox.evaluate(rule, &self.component.rule_names[rule], self.batch.id, rows)?;
        self.sandbox = Some(sandbox);
        Ok(judged)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(mut sandbox) = self.sandbox.take() {
            let state = sandbox.store.data_mut();
            state.batch = None;
            state.fetched = None;
            self.component.idle.give_back(sandbox);
        }
    }
}

/// What a rule did with one record.
#[derive(Debug)]
pub struct Explained {
    pub verdict: Result<Judged, PluginError>,
    /// In the order in which they happened; what was read twice is here twice.
    pub reads: Vec<Read>,
    pub logs: Vec<LogLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    pub level: &'static str,
    pub message: String,
}

/// Batches of explain mode count down from the top, where no real batch gets.
static EXPLAINED: AtomicU64 = AtomicU64::new(u64::MAX);

impl RuleComponent {
    /// Asks rule number `rule` about one record, in a fresh sandbox, and watches it read.
    pub fn explain(&self, rule: usize, record: Record) -> Explained {
        let id = EXPLAINED.fetch_sub(1, Ordering::Relaxed);
        let batch = Arc::new(Batch::new(id, [record].into_iter()));
        let mut sandbox = match self.code.start() {
            Ok(sandbox) => sandbox,
            Err(error) => return Explained { verdict: Err(error), reads: vec![], logs: vec![] },
        };
        let state = sandbox.store.data_mut();
        state.batch = Some(batch);
        state.watch = Some(Watch::default());
        let verdict = sandbox.evaluate(rule, &self.rule_names[rule], id, &[0]);
        let watch = sandbox.store.data_mut().watch.take().unwrap_or_default();
        Explained { verdict, reads: watch.reads, logs: watch.lines }
    }
}

impl Sandbox {
    /// Once, before anything else: here the types of `detection` are checked, too.
    pub fn describe_rules(&mut self, exports: &Exports) -> Result<Vec<wire::RuleInfo>, PluginError> {
        let describe = self.function::<(), (Vec<wire::RuleInfo>,)>(exports.describe, "describe", World::Rule)?;
        self.check_work::<(u32, BatchInfo), (Vec<wire::Finding>,)>(World::Rule)?;
        let budget = self.starting();
        self.call(budget, |store| describe.call(store, ())).map(|((rules,), _)| rules)
    }

    pub(crate) fn evaluate(
        &mut self,
        rule: usize,
        name: &Arc<str>,
        batch: u64,
        rows: &[u32],
    ) -> Result<Judged, PluginError> {
        let state = self.store.data_mut();
        state.rule = name.clone();
        let explain = state.watch.is_some();
        let long_bytes = state.batch.as_ref().map_or(0, |batch| long_bytes(batch, rows));
        let limits = state.limits();
        let budget = Budget {
            fuel: limits.fuel(rows.len(), long_bytes),
            ticks: limits.ticks(rows.len(), long_bytes),
            answer: limits.answer_bytes,
        };
        // SAFETY: `describe_rules` checked the type when the component was loaded.
        let evaluate = unsafe { self.work::<(u32, BatchInfo), (Vec<wire::Finding>,)>() };
        let info = BatchInfo { id: batch, rows, explain };
        let ((found,), fuel) = self.call(budget, |store| evaluate.call(store, (rule as u32, info)))?;
        Ok(Judged { findings: findings(found, rows)?, fuel })
    }
}

/// Bytes of these rows beyond what each may have for nothing.
fn long_bytes(batch: &Batch, rows: &[u32]) -> usize {
    // Few batches have such a row; for the others this is all.
    if batch.longest() <= ROW_BYTES_FREE {
        return 0;
    }
    let lengths = rows.iter().filter_map(|row| batch.record(*row)).map(|record| record.bytes().len());
    lengths.map(|length| length.saturating_sub(ROW_BYTES_FREE)).sum()
}

/// The guest's findings, if they mean something.
fn findings(found: Vec<wire::Finding>, rows: &[u32]) -> Result<Vec<Finding>, PluginError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let bad = |message: String| PluginError::new(Kind::BadAnswer, message);
    if found.len() > rows.len() {
        return Err(bad(format!("{} findings on {} rows; a row has one at most", found.len(), rows.len())));
    }
    let mut seen = vec![false; rows.len()];
    found
        .into_iter()
        .map(|finding| {
            let row = finding.row;
            match rows.binary_search(&row) {
                Err(_) => return Err(bad(format!("reports row {row}, which it was not asked about"))),
                Ok(place) if std::mem::replace(&mut seen[place], true) => {
                    return Err(bad(format!("reports row {row} twice")));
                }
                Ok(_) => {}
            }
            finding_of(finding).map_err(|message| bad(format!("row {row}: {message}")))
        })
        .collect()
}

fn finding_of(wire: wire::Finding) -> Result<Finding, String> {
    let mut title = wire.title;
    if let Some(title) = &mut title {
        title.truncate(title.floor_char_boundary(pipeline::TITLE_BYTES_MAX));
    }
    // What follows is often made of the record, so whoever writes the record makes it: what is too large is made smaller, and
    // the alert goes on. Otherwise a long name in a log would keep its alert from everybody.
    let dedup_key = wire.dedup_key.map(short_key);
    let context = match wire.context {
        None => Default::default(),
        Some(json) if json.len() > pipeline::CONTEXT_BYTES_MAX => {
            let told = format!("{} bytes; the limit is {}", json.len(), pipeline::CONTEXT_BYTES_MAX);
            Map::from_iter([(CONTEXT_DROPPED_KEY.to_owned(), Value::String(told))])
        }
        Some(json) => serde_json::from_str(&json).map_err(|error| format!("the context is no JSON object: {error}"))?,
    };
    // An output that is none is given up when the alert is stored, and seen; so is the count of those too many.
    let mut outputs = wire.outputs;
    let more = outputs.len().saturating_sub(pipeline::FINDING_OUTPUTS_MAX);
    if more > 0 {
        outputs.truncate(pipeline::FINDING_OUTPUTS_MAX);
        outputs.push(format!("{more} more"));
    }
    for output in &mut outputs {
        output.truncate(output.floor_char_boundary(OUTPUT_BYTES_MAX));
    }
    let severity = wire.severity.map(Into::into);
    Ok(Finding { row: wire.row, title, severity, dedup_key, context, outputs })
}

/// In the place of a context that is too large: how large it was.
const CONTEXT_DROPPED_KEY: &str = "streamalert:context_dropped";

/// A key that is too long, as far as there is room, with the digest of all of it: equal keys stay equal, others stay apart.
fn short_key(mut key: String) -> String {
    if key.len() > pipeline::DEDUP_KEY_BYTES_MAX {
        let digest = hex(&Sha256::digest(&key));
        key.truncate(key.floor_char_boundary(pipeline::DEDUP_KEY_BYTES_MAX - digest.len() - 1));
        key.push('#');
        key.push_str(&digest);
    }
    key
}
