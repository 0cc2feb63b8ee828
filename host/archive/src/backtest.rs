//! Rules are asked about archived records: what one set of them finds that another does not, and what each takes for it.

use crate::folder::DataFile;
use crate::read::{parts, records};
use crate::{Result, told};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::classifier::{Repacker, gone};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::limits::BATCH_RECORDS;
use streamalert_pipeline::log_record::{LogBatch, Position, Source};
use streamalert_pipeline::rules_engine::{Detected, Rules};

/// Records that are read at once: rules see them in batches as they do live.
const ROWS_AT_ONCE: usize = BATCH_RECORDS;
/// Hits whose ids are remembered, so that a record that was archived twice is hit once; beyond that it may be counted twice.
const HITS_REMEMBERED: usize = 8 << 20;

/// The rules that are tried, and those that are there now.
pub struct Sides<'a> {
    pub new: &'a Rules,
    pub current: Option<&'a Rules>,
    pub schemas: &'a Schemas,
}

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub file: DataFile,
    /// As people know it.
    pub shown: String,
    pub table: String,
    /// Of its records, if the file does not say it.
    pub log_type: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub threads: usize,
    /// Hits of each kind that are shown for each rule.
    pub examples: usize,
}

/// What it came to.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub records: u64,
    /// Records that rules cannot be asked about any more, by why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, u64>,
    /// Files that cannot be read, or not to their end, by why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub damaged: BTreeMap<String, String>,
    pub rules: BTreeMap<String, RuleReport>,
    /// More hits than can be remembered: records that were archived twice may be counted twice.
    pub repeats_counted: bool,
    #[serde(skip)]
    hits: Hits,
}

/// What hit what, rule by rule: ids of alerts, and on which sides.
#[derive(Debug, Default)]
struct Hits {
    rules: HashMap<String, HashMap<u128, u8, BuildHasherDefault<IdHasher>>>,
    count: usize,
}

/// Ids are digests: no hash is better.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(PartialEq, Eq)]
enum Remembered {
    Now,
    /// It was archived twice.
    Already,
    /// They are too many.
    Not,
}

impl Hits {
    fn add(&mut self, rule: &str, id: u128, side: u8) -> Remembered {
        if !self.rules.contains_key(rule) {
            self.rules.insert(rule.to_owned(), HashMap::default());
        }
        let Some(ids) = self.rules.get_mut(rule) else { return Remembered::Not };
        match ids.get(&id) {
            Some(_) => Remembered::Already,
            None if self.count >= HITS_REMEMBERED => Remembered::Not,
            None => {
                ids.insert(id, side);
                self.count += 1;
                Remembered::Now
            }
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleReport {
    pub new: Cost,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<Cost>,
    pub new_hits: u64,
    pub lost_hits: u64,
    pub same_hits: u64,
    /// Of new and of lost hits.
    pub examples: Examples,
}

/// What one set of rules took.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    pub evaluations: u64,
    pub hits: u64,
    pub fuel: u64,
    pub faults: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Examples {
    pub new: Vec<Hit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Hit>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// As the alert has it that was or would be raised.
    pub alert: String,
    /// As `streamalert_id` has it.
    pub record: String,
    pub log_type: String,
    pub title: String,
    pub time: Option<String>,
    #[serde(flatten)]
    pub source: Source,
    #[serde(flatten)]
    pub position: Position,
}

/// How far it is.
pub trait Progress: Sync {
    fn length(&self, bytes: u64);
    fn done(&self, bytes: u64, records: u64);
}

const IS_NEW: u8 = 1;
const IS_CURRENT: u8 = 2;

impl Report {
    /// With every rule of both sides, whether it is ever asked or not.
    pub fn begin(sides: &Sides<'_>) -> Report {
        let mut report = Report::default();
        for (_, rule) in sides.new.iter() {
            report.rules.entry(rule.name.clone()).or_default();
        }
        if let Some(current) = sides.current {
            for (_, rule) in current.iter() {
                report.rules.entry(rule.name.clone()).or_default();
            }
            report.rules.values_mut().for_each(|rule| rule.current = Some(Cost::default()));
        }
        report
    }

    /// Adds what rules make of records.
    fn judge(&mut self, batch: &LogBatch, sides: &Sides<'_>, options: &Options) {
        self.records += batch.records.len() as u64;
        let new = sides.new.judge(batch, "");
        let current = sides.current.map(|current| current.judge(batch, ""));
        self.costs(&new, false);
        if let Some(current) = &current {
            self.costs(current, true);
        }
        // Alerts have the ids that they have live, by rule and record.
        let mut found: HashMap<(&str, &str), (u8, &Alert)> = HashMap::new();
        let sides = [(IS_NEW, Some(&new)), (IS_CURRENT, current.as_ref())];
        for (side, detected) in sides {
            for alert in detected.into_iter().flat_map(|detected| &detected.alerts) {
                found.entry((&alert.rule_name, &alert.id)).or_insert((0, alert)).0 |= side;
            }
        }
        let mut rows: HashMap<(Position, &Source), usize> = HashMap::new();
        if !found.is_empty() {
            rows.extend((0..batch.records.len()).map(|at| ((batch.records[at].position, &**batch.source(at)), at)));
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|((rule, id), _)| (*rule, *id));
        for ((rule, id), (side, alert)) in found {
            let id = u128::from_str_radix(id, 16).unwrap_or_default();
            match self.hits.add(rule, id, side) {
                Remembered::Now => {}
                Remembered::Already => continue,
                Remembered::Not => self.repeats_counted = true,
            }
            let row = rows.get(&(alert.position, &alert.source));
            let record = row.map(|row| hex(&batch.identity(*row))).unwrap_or_default();
            let Some(report) = self.rules.get_mut(rule) else { continue };
            report.count(side, options, || Hit {
                alert: alert.id.clone(),
                record,
                log_type: alert.log_source.clone(),
                title: alert.title.clone(),
                time: alert.event_time.clone(),
                source: alert.source.clone(),
                position: alert.position,
            });
        }
    }

    fn costs(&mut self, detected: &Detected, current: bool) {
        for (rule, stats) in &detected.stats {
            let report = self.rules.entry(rule.clone()).or_default();
            let cost = if current { report.current.get_or_insert_default() } else { &mut report.new };
            cost.evaluations += stats.rows;
            cost.fuel += stats.fuel;
            cost.faults += stats.faults;
            if let Some(error) = &stats.last_error {
                cost.last_error = Some(error.to_string());
            }
        }
    }

    /// Adds what another part came to.
    pub fn add(&mut self, other: Report, options: &Options) {
        self.records += other.records;
        self.repeats_counted |= other.repeats_counted;
        for (why, count) in other.unread {
            *self.unread.entry(why).or_default() += count;
        }
        self.damaged.extend(other.damaged);
        // Both have seen the same record: it is counted once.
        let mut twice: BTreeMap<String, [u64; 4]> = BTreeMap::new();
        if self.hits.count == 0 {
            self.hits = other.hits;
        } else {
            for (rule, ids) in other.hits.rules {
                for (id, side) in ids {
                    match self.hits.add(&rule, id, side) {
                        Remembered::Now => {}
                        Remembered::Already => twice.entry(rule.clone()).or_default()[side as usize] += 1,
                        Remembered::Not => self.repeats_counted = true,
                    }
                }
            }
        }
        for (rule, more) in other.rules {
            let sum = self.rules.entry(rule.clone()).or_default();
            sum.add(more, options);
            let [_, new, lost, same] = twice.remove(&rule).unwrap_or_default();
            sum.new_hits -= new;
            sum.lost_hits -= lost;
            sum.same_hits -= same;
            sum.new.hits -= new + same;
            if let Some(current) = &mut sum.current {
                current.hits -= lost + same;
            }
        }
    }

    /// Rules whose hits differ, or that failed where they did not before.
    pub fn differs(&self) -> bool {
        self.rules.values().any(|rule| rule.new_hits > 0 || rule.lost_hits > 0)
    }
}

impl RuleReport {
    fn count(&mut self, side: u8, options: &Options, hit: impl FnOnce() -> Hit) {
        if side & IS_NEW != 0 {
            self.new.hits += 1;
        }
        if side & IS_CURRENT != 0 {
            self.current.get_or_insert_default().hits += 1;
        }
        let (count, examples) = match side {
            IS_NEW => (&mut self.new_hits, &mut self.examples.new),
            IS_CURRENT => (&mut self.lost_hits, &mut self.examples.lost),
            _ => {
                self.same_hits += 1;
                return;
            }
        };
        *count += 1;
        if examples.len() < options.examples {
            examples.push(hit());
        }
    }

    fn add(&mut self, more: RuleReport, options: &Options) {
        self.new.add(more.new);
        if let Some(current) = more.current {
            self.current.get_or_insert_default().add(current);
        }
        self.new_hits += more.new_hits;
        self.lost_hits += more.lost_hits;
        self.same_hits += more.same_hits;
        for (mine, theirs) in
            [(&mut self.examples.new, more.examples.new), (&mut self.examples.lost, more.examples.lost)]
        {
            let fresh: Vec<Hit> =
                theirs.into_iter().filter(|hit| mine.iter().all(|known| known.alert != hit.alert)).collect();
            mine.extend(fresh);
            mine.sort_by(|a, b| a.alert.cmp(&b.alert));
            mine.truncate(options.examples);
        }
    }
}

impl Cost {
    fn add(&mut self, more: Cost) {
        self.evaluations += more.evaluations;
        self.hits += more.hits;
        self.fuel += more.fuel;
        self.faults += more.faults;
        if more.last_error.is_some() {
            self.last_error = more.last_error;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    streamalert_pipeline::record_batch::push_hex(bytes, &mut out);
    out
}

/// Asks about all records of the files, on all threads. What cannot be read is in the report, and keeps nothing else from being read.
pub fn backtest(chosen: &[Chosen], sides: &Sides<'_>, options: &Options, progress: &dyn Progress) -> Report {
    let mut total = Report::begin(sides);
    let mut work: Vec<(&Chosen, usize, u64)> = Vec::new();
    for one in chosen {
        match parts(&one.file) {
            Ok(parts) => {
                work.extend(parts.into_iter().enumerate().map(|(part, (_, bytes))| (one, part, bytes)));
            }
            Err(error) => drop(total.damaged.insert(one.shown.clone(), told(&*error.source))),
        }
    }
    progress.length(work.iter().map(|(_, _, bytes)| bytes).sum());
    let threads = options.threads.clamp(1, work.len().max(1));
    let next = AtomicUsize::new(0);
    let total = Mutex::new(total);
    let work = || {
        let mut report = Report::begin(sides);
        while let Some((one, part, bytes)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = read(one, *part, *bytes, sides, options, progress, &mut report) {
                report.damaged.insert(one.shown.clone(), told(&*error.source));
            }
        }
        total.lock().unwrap_or_else(PoisonError::into_inner).add(report, options);
    };
    thread::scope(|scope| {
        // The caller's own thread is one of them.
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn read(
    one: &Chosen,
    part: usize,
    bytes: u64,
    sides: &Sides<'_>,
    options: &Options,
    progress: &dyn Progress,
    report: &mut Report,
) -> Result<()> {
    let (mut rest, mut batches) = (bytes, 0u64);
    let mut rows = records(&one.file, part, one.log_type.as_deref(), ROWS_AT_ONCE)?;
    let known = rows.log_type().and_then(|name| sides.schemas.get(name)).cloned();
    let mut packer = Repacker::default();
    // Rows of one cluster beside one another are a batch.
    let mut read: Vec<LogBatch> = Vec::new();
    loop {
        let mut unread: Vec<String> = Vec::new();
        let count = rows.read(|row| {
            let Some(known) = &known else { return };
            if read.last().is_none_or(|batch| *batch.cluster != *row.cluster) {
                read.push(Repacker::batch(row.cluster.into()));
            }
            let batch = read.last_mut().expect("there is one now");
            unread.extend(packer.push(batch, known, row.record).err().map(|letter| letter.message));
        })?;
        if count == 0 {
            break;
        }
        for message in unread {
            *report.unread.entry(message).or_default() += 1;
        }
        if known.is_none() {
            let why = match rows.log_type() {
                Some(log_type) => gone(log_type),
                None => {
                    format!("no log type of the schemas has the table {}; bring it back, then try again", one.table)
                }
            };
            *report.unread.entry(why).or_default() += count as u64;
        }
        for batch in read.drain(..) {
            report.judge(&batch, sides, options);
        }
        batches += 1;
        // About as far as its bytes, which nobody counts one by one.
        let step = (bytes / 64).min(rest);
        rest -= step;
        progress.done(if batches <= 64 { step } else { 0 }, count as u64);
    }
    progress.done(rest, 0);
    Ok(())
}
