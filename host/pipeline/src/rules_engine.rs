//! Runs rules over classified records: the prefilter picks the few rules each record can interest, each component judges
//! its rows as one batch, findings become alerts. One bad rule costs dead letters of that rule, and nothing else.

pub mod prefilter;
#[cfg(test)]
mod tests;

use crate::alert::{Alert, RecordText, alert_id};
use crate::config::{LogType, Schemas};
use crate::dead_letter::{DeadLetter, Reason, RuleFault};
use crate::event_time::event_time;
use crate::limits::{BATCH_RECORDS, RUNAWAYS_IN_A_ROW_MAX, SUSPENDED_BATCHES_MAX};
use crate::log_record::LogBatch;
use crate::plugin::{
    Batch, Finding, PluginError, PluginErrorKind, PluginSet, RuleInfo, RulePlugin, RuleSession, SeenTables,
};
use prefilter::{Picked, Prefilter};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use streamalert_packed::Record;

/// What the rules made of a batch.
#[derive(Debug, Default)]
pub struct Detected {
    pub alerts: Vec<Alert>,
    /// Pairs of rule and record that are lost to that rule, ready to be sent again.
    pub dead: Vec<DeadLetter>,
    /// By rule; only rules that the prefilter let through.
    pub stats: BTreeMap<String, RuleStats>,
    /// Of versions that are on trial beside the live ones; what they found is among the alerts.
    pub trials: BTreeMap<String, RuleStats>,
    /// Ids of the alerts that nobody knows of, since the rule failed on their records.
    pub unknown: Vec<String>,
}

#[derive(Debug, Default, Clone)]
pub struct RuleStats {
    /// SHA-256 of the component, hex.
    pub digest: String,
    /// Rows the prefilter let through.
    pub rows: u64,
    pub findings: u64,
    pub fuel: u64,
    /// What its calls took, and what was made of their answers.
    pub nanoseconds: u64,
    /// Rows lost to this rule.
    pub faults: u64,
    pub last_error: Option<PluginError>,
    /// The same by log type. Where one call is about rows of several, fuel and time are shared out by their numbers.
    pub by_log_type: Vec<LogTypeStats>,
    /// Records that were not shown to a version on trial, lest the live ones wait.
    pub left_out: u64,
}

/// What a rule did with records of one log type.
#[derive(Debug, Clone)]
pub struct LogTypeStats {
    pub log_type: Arc<LogType>,
    pub rows: u64,
    pub findings: u64,
    pub faults: u64,
    pub fuel: u64,
    pub nanoseconds: u64,
}

impl RuleStats {
    pub fn add(&mut self, other: &RuleStats) {
        self.rows += other.rows;
        self.findings += other.findings;
        self.fuel += other.fuel;
        self.nanoseconds += other.nanoseconds;
        self.faults += other.faults;
        self.left_out += other.left_out;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
        self.digest.clone_from(&other.digest);
        for more in &other.by_log_type {
            let sum = self.of_type(&more.log_type);
            sum.rows += more.rows;
            sum.findings += more.findings;
            sum.faults += more.faults;
            sum.fuel += more.fuel;
            sum.nanoseconds += more.nanoseconds;
        }
    }

    fn of_type(&mut self, log_type: &Arc<LogType>) -> &mut LogTypeStats {
        let place = match self.by_log_type.iter().position(|known| Arc::ptr_eq(&known.log_type, log_type)) {
            Some(place) => place,
            None => {
                let log_type = log_type.clone();
                self.by_log_type.push(LogTypeStats {
                    log_type,
                    rows: 0,
                    findings: 0,
                    faults: 0,
                    fuel: 0,
                    nanoseconds: 0,
                });
                self.by_log_type.len() - 1
            }
        };
        &mut self.by_log_type[place]
    }

    /// Counts one call over guest rows, each a place in `union`, which are rows of the batch counted from `start`.
    fn count(
        &mut self,
        batch: &LogBatch,
        start: usize,
        union: &[u32],
        rows: &[u32],
        verdict: &Verdict,
        nanoseconds: u64,
    ) {
        self.rows += rows.len() as u64;
        self.findings += verdict.findings.len() as u64;
        self.fuel += verdict.fuel;
        self.faults += verdict.faults.len() as u64;
        self.nanoseconds += nanoseconds;
        let log_type = |row: u32| &batch.records[start + union[row as usize] as usize].log_type;
        let (mut done, all) = (0, rows.len() as u128);
        // Types come in runs. What is shared out is shared out whole: each run gets what is due up to its end.
        let due = |sum: u64, rows: usize| (u128::from(sum) * rows as u128 / all.max(1)) as u64;
        for run in rows.chunk_by(|a, b| Arc::ptr_eq(log_type(*a), log_type(*b))) {
            let end = done + run.len();
            let stats = self.of_type(log_type(run[0]));
            stats.rows += run.len() as u64;
            stats.fuel += due(verdict.fuel, end) - due(verdict.fuel, done);
            stats.nanoseconds += due(nanoseconds, end) - due(nanoseconds, done);
            done = end;
        }
        for finding in &verdict.findings {
            self.of_type(log_type(finding.row)).findings += 1;
        }
        for (row, _) in &verdict.faults {
            self.of_type(log_type(*row)).faults += 1;
        }
    }
}

/// The live rules with their index. A batch sees one of these from start to end.
pub struct Rules {
    pub plugins: PluginSet,
    prefilter: Prefilter,
    /// Per plugin, the number of its first rule among all.
    first: Vec<usize>,
    /// Per rule.
    suspensions: Vec<Suspension>,
    clock: Clock,
}

/// Nanoseconds since some time or other.
pub type Clock = fn() -> u64;

/// A rule that ran away on a whole batch is left out for a while, the longer the more often it happens.
#[derive(Default)]
struct Suspension {
    /// Batches it is still left out of.
    left: AtomicU32,
    strikes: AtomicU32,
}

impl Suspension {
    /// Whether it is left out of this batch; counts the batch.
    fn skips(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn strike(&self) {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).min(16);
        self.left.store((2u32 << strikes).min(SUSPENDED_BATCHES_MAX), Ordering::Relaxed);
    }

    fn forgive(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }
}

impl Rules {
    pub fn new(plugins: PluginSet, schemas: &Schemas) -> Self {
        let mut first = Vec::new();
        let mut all: Vec<&RuleInfo> = Vec::new();
        for plugin in &plugins.plugins {
            first.push(all.len());
            all.extend(plugin.rules());
        }
        let prefilter = Prefilter::new(&all, schemas);
        let suspensions = all.iter().map(|_| Suspension::default()).collect();
        Rules { prefilter, first, suspensions, plugins, clock: || 0 }
    }

    /// Takes the time of calls; without a clock they take none.
    pub fn timed_by(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// All live rules, with the component each belongs to.
    pub fn iter(&self) -> impl Iterator<Item = (&dyn RulePlugin, &RuleInfo)> {
        self.plugins.plugins.iter().flat_map(|p| p.rules().iter().map(move |rule| (&**p, rule)))
    }

    /// Judges all records of `batch`. `now` is RFC 3339 and becomes the alerts' `created`.
    pub fn judge(&self, batch: &LogBatch, now: &str) -> Detected {
        self.judge_by(batch, now, &|_| true)
    }

    /// The same by the rules that are `asked`, by name: all but those that are switched off, or the one that failed on what is
    /// sent again.
    pub fn judge_by(&self, batch: &LogBatch, now: &str, asked: &dyn Fn(&str) -> bool) -> Detected {
        self.judge_versions(batch, now, &|rule, _| asked(rule))
    }

    /// The same by the rules that are `asked`, by name and digest of their component.
    pub fn judge_versions(&self, batch: &LogBatch, now: &str, asked: &dyn Fn(&str, &str) -> bool) -> Detected {
        let mut detected = Detected::default();
        let mut picked = Picked::default();
        let tables = SeenTables::default();
        let mut start = 0;
        while start < batch.records.len() {
            let rows = start..(start + BATCH_RECORDS).min(batch.records.len());
            start = rows.end;
            self.prefilter.pick(batch, rows.clone(), &mut picked);
            self.judge_rows(Rows { batch, rows, tables: &tables }, &picked, now, asked, &mut detected);
        }
        detected
    }

    fn judge_rows(
        &self,
        of: Rows<'_>,
        picked: &Picked,
        now: &str,
        asked: &dyn Fn(&str, &str) -> bool,
        detected: &mut Detected,
    ) {
        // The rules that were picked, plugin by plugin.
        let mut rules: Vec<usize> = picked.rules().collect();
        rules.sort_unstable();
        // The plugin that has rule number `next` in order, and where its rules end.
        let plugin_at = |next: usize| {
            let plugin = self.first.partition_point(|first| *first <= rules[next]) - 1;
            let until = self.first.get(plugin + 1).copied().unwrap_or(usize::MAX);
            (plugin, next + rules[next..].partition_point(|rule| *rule < until))
        };
        let mut next = 0;
        while next < rules.len() {
            let (plugin, end) = plugin_at(next);
            let (first, plugin) = (self.first[plugin], &self.plugins.plugins[plugin]);
            if rules[next..end].iter().any(|rule| asked(&plugin.rules()[rule - first].name, plugin.digest())) {
                plugin.prepare();
            }
            next = end;
        }
        let mut next = 0;
        while next < rules.len() {
            let (plugin, end) = plugin_at(next);
            let component = &*self.plugins.plugins[plugin];
            let mine: Vec<(usize, &[u32])> = rules[next..end]
                .iter()
                .map(|rule| (rule - self.first[plugin], picked.rows(*rule)))
                .filter(|(rule, _)| asked(&component.rules()[*rule].name, component.digest()))
                .collect();
            next = end;
            if !mine.is_empty() {
                let asking = Asking { suspensions: &self.suspensions[self.first[plugin]..], clock: self.clock, now };
                judge_plugin(component, &asking, &of, &mine, detected);
            }
        }
    }
}

/// Rows of a batch that are judged together.
struct Rows<'a> {
    batch: &'a LogBatch,
    rows: Range<usize>,
    /// As all of the batch sees them.
    tables: &'a SeenTables,
}

/// What a component is asked with.
struct Asking<'a> {
    /// Of its rules.
    suspensions: &'a [Suspension],
    clock: Clock,
    now: &'a str,
}

/// One component's rules over its rows of the batch; `mine` has rule numbers and rows counted from the first of them.
fn judge_plugin(
    plugin: &dyn RulePlugin,
    asking: &Asking<'_>,
    of: &Rows<'_>,
    mine: &[(usize, &[u32])],
    detected: &mut Detected,
) {
    let (batch, start) = (of.batch, of.rows.start);
    // The component gets the rows that any of its rules wants, numbered anew.
    let mut union: Vec<u32> = mine.iter().flat_map(|(_, rows)| rows.iter().copied()).collect();
    union.sort_unstable();
    union.dedup();
    let records: Vec<Record<'_>> = union.iter().map(|row| batch.fields(start + *row as usize)).collect();
    let guest_batch = Batch::new(next_batch_id(), records.into_iter()).seeing(of.tables.clone());
    let guest_batch = Arc::new(guest_batch);
    let mut session = plugin.open(&guest_batch);
    // One look at the clock for each call: where one ends, the next begins.
    let mut begun = (asking.clock)();
    for (rule, rows) in mine {
        let info = &plugin.rules()[*rule];
        let guest_rows: Vec<u32> = match rows.len() == union.len() {
            true => (0..union.len() as u32).collect(),
            false => rows.iter().filter_map(|row| union.binary_search(row).ok().map(|at| at as u32)).collect(),
        };
        let suspension = &asking.suspensions[*rule];
        let verdict = if suspension.skips() {
            Verdict::suspended(&guest_rows)
        } else {
            let verdict = judge_rule(&mut *session, *rule, &guest_rows);
            if verdict.gave_up {
                suspension.strike()
            } else {
                suspension.forgive()
            }
            verdict
        };
        let stats = match detected.stats.get_mut(&info.name) {
            Some(stats) => stats,
            None => {
                let new = RuleStats { digest: plugin.digest().to_owned(), ..RuleStats::default() };
                detected.stats.entry(info.name.clone()).or_insert(new)
            }
        };
        let end = (asking.clock)();
        stats.count(batch, start, &union, &guest_rows, &verdict, end.saturating_sub(begun));
        begun = end;
        let fuel = verdict.fuel / guest_rows.len().max(1) as u64;
        for finding in verdict.findings {
            let row = start + union[finding.row as usize] as usize;
            detected.alerts.push(alert(plugin, info, batch, row, finding, fuel, asking.now));
        }
        for (guest_row, error) in verdict.faults {
            let row = start + union[guest_row as usize] as usize;
            detected.dead.push(dead_letter(plugin, info, batch, row, &error));
            detected.unknown.push(alert_id(&info.name, &batch.identity(row)));
            stats.last_error = Some(error);
        }
    }
}

#[derive(Default)]
struct Verdict {
    findings: Vec<Finding>,
    faults: Vec<(u32, PluginError)>,
    fuel: u64,
    /// It ran away so often that it was not asked about the rest.
    gave_up: bool,
}

impl Verdict {
    fn suspended(rows: &[u32]) -> Self {
        let error = PluginError::new(
            PluginErrorKind::OutOfFuel,
            "not asked: the rule ran away on earlier batches and is left out of some; mend it, then send this again",
        );
        Verdict { faults: rows.iter().map(|row| (*row, error.clone())).collect(), ..Verdict::default() }
    }
}

/// Asks about all rows at once; if that fails, about each by itself, so that only the poisonous record is lost.
fn judge_rule(session: &mut dyn RuleSession, rule: usize, rows: &[u32]) -> Verdict {
    let mut verdict = Verdict::default();
    match session.evaluate(rule, rows) {
        Ok(judged) => {
            verdict.findings = judged.findings;
            verdict.fuel = judged.fuel;
            return verdict;
        }
        Err(error) if rows.len() == 1 => {
            verdict.faults.push((rows[0], error));
            return verdict;
        }
        Err(_) => {}
    }
    let mut in_a_row = 0;
    for (index, row) in rows.iter().enumerate() {
        match session.evaluate(rule, std::slice::from_ref(row)) {
            Ok(judged) => {
                in_a_row = 0;
                verdict.findings.extend(judged.findings);
                verdict.fuel += judged.fuel;
            }
            Err(error) => {
                let runaway = matches!(error.kind, PluginErrorKind::OutOfFuel | PluginErrorKind::Timeout);
                in_a_row = if runaway { in_a_row + 1 } else { 0 };
                let given_up = (in_a_row == RUNAWAYS_IN_A_ROW_MAX).then(|| {
                    let message =
                        format!("not asked: the rule ran away on {in_a_row} records in a row: {}", error.message);
                    PluginError::new(error.kind, message)
                });
                verdict.faults.push((*row, error));
                if let Some(given_up) = given_up {
                    verdict.faults.extend(rows[index + 1..].iter().map(|row| (*row, given_up.clone())));
                    verdict.gave_up = true;
                    break;
                }
            }
        }
    }
    verdict
}

fn alert(
    plugin: &dyn RulePlugin,
    info: &RuleInfo,
    batch: &LogBatch,
    row: usize,
    finding: Finding,
    fuel: u64,
    now: &str,
) -> Alert {
    let options = &info.options;
    let record = &batch.records[row];
    let fields = batch.fields(row);
    let mut outputs = options.outputs.clone();
    outputs.extend(finding.outputs);
    outputs.sort();
    outputs.dedup();
    let mut context = options.context.clone();
    context.extend(finding.context);
    Alert {
        id: alert_id(&info.name, &batch.identity(row)),
        rule_name: info.name.clone(),
        title: finding.title.unwrap_or_else(|| info.name.clone()),
        severity: finding.severity.unwrap_or(options.severity),
        rule_description: info.description.clone(),
        created: now.to_owned(),
        event_time: event_time(fields),
        cluster: batch.cluster.to_string(),
        log_source: record.log_type.name.clone(),
        log_type: record.log_type.parser.name().to_owned(),
        source: (**batch.source(row)).clone(),
        position: record.position,
        outputs,
        publishers: options.publishers.clone(),
        merge: options.merge.clone(),
        dedup_key: finding.dedup_key,
        tags: options.tags.clone(),
        references: options.references.clone(),
        context,
        record: RecordText::of(fields),
        staged: false,
        trial: None,
        component_digest: plugin.digest().to_owned(),
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
        fuel,
    }
}

fn dead_letter(
    plugin: &dyn RulePlugin,
    info: &RuleInfo,
    batch: &LogBatch,
    row: usize,
    error: &PluginError,
) -> DeadLetter {
    let fault = RuleFault {
        rule: info.name.clone(),
        plugin: plugin.name().to_owned(),
        digest: plugin.digest().to_owned(),
        kind: error.kind.code().to_owned(),
    };
    let message = format!("rule {} of {}: {error}", info.name, plugin.name());
    let mut letter = batch.letter(row, Reason::RuleFault, message);
    letter.tried = vec![batch.records[row].log_type.name.clone()];
    letter.with_fault(fault, &batch.identity(row))
}

/// Unlike any other in this process, so that a guest never takes one batch for another.
pub fn next_batch_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
