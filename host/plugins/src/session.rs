//! Asks rules about rows, in a sandbox that costs one rule one batch when it breaks.

use crate::component::{Problem, RuleComponent, Shared};
use crate::describe::is_output;
use crate::fault::judge;
use crate::host::{State, Watch};
use crate::limits::HANDLES_MAX;
use crate::wire::{self, BatchInfo};
use serde::Serialize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_packed::Record;
use streamalert_pipeline::limits as pipeline;
use streamalert_pipeline::plugin::{
    Batch, Finding, Judged, PluginError, PluginErrorKind as Kind, Read, RuleInfo, RulePlugin, RuleSession,
};
use wasmtime::component::{Component, ComponentExportIndex, Func, InstancePre, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, Store};

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
            sandbox.batches_left = sandbox.batches_left.saturating_sub(1);
            if sandbox.batches_left > 0 {
                self.component.idle.put(sandbox);
            }
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

/// Instances that wait for a batch.
pub struct Idle {
    waiting: Mutex<Vec<Sandbox>>,
}

/// More than any number of threads that share a component at a time.
const IDLE_MAX: usize = 64;

impl Default for Idle {
    fn default() -> Self {
        Self::new()
    }
}

impl Idle {
    pub fn new() -> Self {
        Idle { waiting: Mutex::default() }
    }

    /// The one that was used last: its memory is still in the processor's caches.
    fn take(&self) -> Option<Sandbox> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub fn put(&self, sandbox: Sandbox) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < IDLE_MAX {
            waiting.push(sandbox);
        }
    }

    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        drop(dropped);
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Where a component keeps the functions of `detection`.
pub struct Exports {
    describe: ComponentExportIndex,
    evaluate: ComponentExportIndex,
}

type Evaluate<'a> = TypedFunc<(u32, BatchInfo<'a>), (Vec<wire::Finding>,)>;

impl Exports {
    pub fn find(component: &Component, version: &str) -> Result<Self, Problem> {
        let interface = format!("{}/detection@{version}", crate::contract::PACKAGE);
        let lacks = |what: &str| {
            Problem::component(
                format!("{interface} lacks `{what}`"),
                "build it against the wit/ of this release, unchanged",
            )
        };
        let instance = component.get_export_index(None, &interface).ok_or_else(|| lacks("detection"))?;
        let find = |name: &str| component.get_export_index(Some(&instance), name).ok_or_else(|| lacks(name));
        Ok(Exports { describe: find("describe")?, evaluate: find("evaluate")? })
    }
}

/// One instance of a component with everything around it.
pub struct Sandbox {
    store: Store<State>,
    instance: wasmtime::component::Instance,
    evaluate: Func,
    batches_left: u32,
}

impl Sandbox {
    pub fn start(
        shared: &Arc<Shared>,
        plugin: &Arc<str>,
        pre: &InstancePre<State>,
        exports: &Exports,
    ) -> Result<Self, PluginError> {
        match Self::try_start(shared, plugin, pre, exports) {
            Err((error, _)) if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() => {
                shared.evict_idle();
                Self::try_start(shared, plugin, pre, exports)
            }
            other => other,
        }
        .map_err(|(error, state)| judge(&error, &state, shared.limits.fuel_to_start))
    }

    fn try_start(
        shared: &Arc<Shared>,
        plugin: &Arc<str>,
        pre: &InstancePre<State>,
        exports: &Exports,
    ) -> Result<Self, (wasmtime::Error, Box<State>)> {
        let limits = &shared.limits;
        let mut store = Store::new(&shared.engine, State::new(shared.clone(), plugin.clone()));
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.answer_bytes);
        store.set_max_component_handles(HANDLES_MAX);
        let started = (|| {
            store.set_fuel(limits.fuel_to_start)?;
            store.set_epoch_deadline(limits.ticks(0));
            let instance = pre.instantiate(&mut store)?;
            let lacks = || wasmtime::Error::msg("`evaluate` is no function");
            let evaluate = instance.get_func(&mut store, exports.evaluate).ok_or_else(lacks)?;
            Ok((instance, evaluate))
        })();
        match started {
            Ok((instance, evaluate)) => {
                let spread = u64::from(limits.instance_batches / 5).max(1);
                let batches_left =
                    limits.instance_batches - limits.instance_batches / 10 + (shared.random() % spread) as u32;
                Ok(Sandbox { store, instance, evaluate, batches_left: batches_left.max(1) })
            }
            Err(error) => Err((error, Box::new(store.into_data()))),
        }
    }

    /// Once, before anything else: here the types of `detection` are checked, too.
    pub fn describe(&mut self, exports: &Exports) -> Result<Vec<wire::RuleInfo>, PluginError> {
        let other_type = |function: &str, error: wasmtime::Error| {
            PluginError::new(
                Kind::BadAnswer,
                format!("`{function}` is of another type than in wit/detection.wit: {error:#}"),
            )
        };
        let describe = self
            .instance
            .get_typed_func::<(), (Vec<wire::RuleInfo>,)>(&mut self.store, &exports.describe)
            .map_err(|error| other_type("describe", error))?;
        // What makes `new_unchecked` below sound: the types agree.
        let _: Evaluate = self.evaluate.typed(&self.store).map_err(|error| other_type("evaluate", error))?;
        let (fuel, ticks) = (self.store.data().limits().fuel_to_start, self.store.data().limits().ticks(0));
        self.call(fuel, ticks, |store| describe.call(store, ())).map(|((rules,), _)| rules)
    }

    fn evaluate(&mut self, rule: usize, name: &Arc<str>, batch: u64, rows: &[u32]) -> Result<Judged, PluginError> {
        let state = self.store.data_mut();
        state.rule = name.clone();
        let explain = state.watch.is_some();
        let (fuel, ticks) = (state.limits().fuel(rows.len()), state.limits().ticks(rows.len()));
        // SAFETY: `describe` checked the type, and all instances of a component have the same.
        let evaluate: Evaluate = unsafe { TypedFunc::new_unchecked(self.evaluate) };
        let info = BatchInfo { id: batch, rows, explain };
        let ((found,), fuel) = self.call(fuel, ticks, |store| evaluate.call(store, (rule as u32, info)))?;
        Ok(Judged { findings: findings(found, rows)?, fuel })
    }

    /// One call into the guest under its budget; what it used of it comes back.
    fn call<T>(
        &mut self,
        fuel: u64,
        ticks: u64,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<(T, u64), PluginError> {
        let store = &mut self.store;
        store.data_mut().begin();
        let result = catch_unwind(AssertUnwindSafe(|| {
            store.set_fuel(fuel)?;
            store.set_epoch_deadline(ticks);
            call(store)
        }));
        store.data_mut().finish();
        match result {
            Ok(Ok(answer)) => {
                let left = store.get_fuel().unwrap_or(0);
                Ok((answer, fuel.saturating_sub(left)))
            }
            Ok(Err(error)) => Err(judge(&error, store.data(), fuel)),
            // A host function of ours panicked. The store is dropped with the sandbox.
            Err(_) => Err(PluginError::new(Kind::HostCall, "the host failed while it served the guest")),
        }
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
    if let Some(output) = wire.outputs.iter().find(|output| !is_output(output)) {
        let shown = crate::host::printable(output, 80);
        return Err(format!("output `{shown}` is no `service:descriptor`"));
    }
    let severity = wire.severity.map(Into::into);
    Ok(Finding { row: wire.row, title, severity, dedup_key: wire.dedup_key, context, outputs: wire.outputs })
}
