//! Asks rules about rows, in a sandbox that costs one rule one batch when it breaks.

use crate::component::RuleComponent;
use crate::contract::World;
use crate::describe::OUTPUT_BYTES_MAX;
use crate::host::Watch;
use crate::limits::Budget;
use crate::sandbox::{Exports, Sandbox};
use crate::wire::{self, BatchInfo};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use streamalert_packed::Record;
use streamalert_pipeline::limits as pipeline;
use streamalert_pipeline::plugin::{
    Batch, Finding, Judged, PluginError, PluginErrorKind as Kind, Read, RuleInfo, RulePlugin, RuleSession,
};

impl RulePlugin for RuleComponent {
    fn name(&self) -> &str {
        &self.name
    }

    fn digest(&self) -> &str {
        &self.digest
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
                let mut sandbox = self.component.sandbox()?;
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
        let mut sandbox = match Sandbox::start(&self.shared, &self.name, &self.pre, &self.exports) {
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

    fn sandbox(&self) -> Result<Sandbox, PluginError> {
        match self.idle.take() {
            Some(sandbox) => Ok(sandbox),
            None => Sandbox::start(&self.shared, &self.name, &self.pre, &self.exports),
        }
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

    fn evaluate(&mut self, rule: usize, name: &Arc<str>, batch: u64, rows: &[u32]) -> Result<Judged, PluginError> {
        let state = self.store.data_mut();
        state.rule = name.clone();
        let explain = state.watch.is_some();
        let limits = state.limits();
        let budget =
            Budget { fuel: limits.fuel(rows.len()), ticks: limits.ticks(rows.len()), answer: limits.answer_bytes };
        // SAFETY: `describe_rules` checked the type when the component was loaded.
        let evaluate = unsafe { self.work::<(u32, BatchInfo), (Vec<wire::Finding>,)>() };
        let info = BatchInfo { id: batch, rows, explain };
        let ((found,), fuel) = self.call(budget, |store| evaluate.call(store, (rule as u32, info)))?;
        Ok(Judged { findings: findings(found, rows)?, fuel })
    }
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
    if let Some(key) = &wire.dedup_key
        && key.len() > pipeline::DEDUP_KEY_BYTES_MAX
    {
        return Err(format!("a dedup key of {} bytes; the limit is {}", key.len(), pipeline::DEDUP_KEY_BYTES_MAX));
    }
    let context = match wire.context {
        None => Default::default(),
        Some(json) if json.len() > pipeline::CONTEXT_BYTES_MAX => {
            return Err(format!("a context of {} bytes; the limit is {}", json.len(), pipeline::CONTEXT_BYTES_MAX));
        }
        Some(json) => serde_json::from_str(&json).map_err(|error| format!("the context is no JSON object: {error}"))?,
    };
    if wire.outputs.len() > pipeline::FINDING_OUTPUTS_MAX {
        return Err(format!("{} outputs; the limit is {}", wire.outputs.len(), pipeline::FINDING_OUTPUTS_MAX));
    }
    // One that is none goes along: it often comes from the record, and whoever writes the record should not be able to
    // keep the alert from the other outputs. It is given up when the alert is stored, and seen.
    let mut outputs = wire.outputs;
    for output in &mut outputs {
        output.truncate(output.floor_char_boundary(OUTPUT_BYTES_MAX));
    }
    let severity = wire.severity.map(Into::into);
    Ok(Finding { row: wire.row, title, severity, dedup_key: wire.dedup_key, context, outputs })
}
