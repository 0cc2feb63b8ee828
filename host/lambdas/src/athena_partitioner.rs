//! The partitioner: objects that are new in the archive are entered as partitions of their tables, for tables whose partitions
//! Athena does not reckon itself.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::{Function, failures};
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_aws::glue::{Glue, Partition, Table};
use streamalert_aws::limits::GLUE_PARTITIONS_BATCH;
use streamalert_intake::{Arrival, unwrap};
use streamalert_pipeline::archive::partition::{Place, place};
use streamalert_pipeline::backend::BackendErrorKind;
use streamalert_pipeline::columns::PARTITION;

/// Time kept for the answer, before the function is ended.
const STOP_BEFORE: Duration = Duration::from_secs(2);
/// How long a table is taken to be as it was found: a new column is in the next partitions soon enough.
const TABLE_KEPT: Duration = Duration::from_secs(60);
/// Partitions that are remembered as entered: an hour of a thousand tables, many times over, in some MB.
const KNOWN_MAX: usize = 100_000;
/// How long they are: whoever takes a partition away, or a table, gets it back with the next object after that.
const KNOWN_KEPT: Duration = Duration::from_secs(10 * 60);

pub struct AthenaPartitioner {
    meter: Meter,
    environment: Environment,
    glue: Glue,
    /// Partitions are entered also where Athena needs none: others look only there.
    all: bool,
    known: Mutex<Known>,
}

/// What this process has found out.
#[derive(Default)]
struct Known {
    tables: HashMap<String, (Instant, Option<Arc<Table>>)>,
    /// Table and place of what is entered.
    partitions: HashSet<(String, Partition)>,
    since: Option<Instant>,
}

/// The partitions of one table that something new lies in, each with the items of the event that said so.
type Wanted = BTreeMap<Partition, BTreeSet<Arc<str>>>;

impl AthenaPartitioner {
    pub fn new(environment: &Environment) -> Result<Self> {
        let all = match environment.get("STREAMALERT_PARTITIONS").as_deref() {
            None | Some("needed") => false,
            Some("all") => true,
            Some(other) => bail!("the variable STREAMALERT_PARTITIONS is `{other}`: write `needed` or `all`"),
        };
        Ok(AthenaPartitioner {
            meter: Meter::of(environment, "athena_partitioner")?,
            glue: Glue::new(&environment.aws, &environment.names),
            environment: environment.clone(),
            all,
            known: Mutex::default(),
        })
    }
}

impl Function for AthenaPartitioner {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let mut metrics = Metrics::of(&self.meter);
        let stop = deadline.checked_sub(STOP_BEFORE).unwrap_or(deadline);
        let mut failed: BTreeMap<Arc<str>, String> = BTreeMap::new();
        for ((table, bucket, folder), wanted) in wanted(event, &mut metrics) {
            let all: BTreeSet<Arc<str>> = wanted.values().flatten().cloned().collect();
            let done = match Instant::now() < stop {
                true => self.work(&table, &format!("s3://{bucket}/{folder}"), wanted, stop, &mut metrics),
                false => Err("there was no time left".to_owned()),
            };
            match done {
                Ok(refused) => failed.extend(refused),
                Err(why) => failed.extend(all.into_iter().map(|item| (item, why.clone()))),
            }
        }
        for (item, why) in &failed {
            tracing::warn!(item = &**item, why, "an item of the event comes again");
        }
        metrics.count(&[], "FailedItems", failed.len() as u64);
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        // Without an id there is nobody to be told of a part.
        if let Some(why) = failed.get("") {
            bail!("the event has to come again: {why}");
        }
        Ok(failures(failed.keys().map(|item| &**item)))
    }
}

/// By table, bucket and the table's folder there.
fn wanted(event: &[u8], metrics: &mut Metrics) -> BTreeMap<(String, String, String), Wanted> {
    let mut all: BTreeMap<(String, String, String), Wanted> = BTreeMap::new();
    let (mut objects, mut strange) = (0, 0);
    for arrival in unwrap(event) {
        match arrival {
            Arrival::Object(object) => {
                objects += 1;
                let Some(Place { table, dt, folder, partition }) = place(&object.key) else {
                    strange += 1;
                    tracing::debug!(bucket = object.bucket, key = object.key, "an object of no table is left out");
                    continue;
                };
                let location = format!("s3://{}/{partition}", object.bucket);
                let partition = Partition { values: vec![dt], location };
                let of = all.entry((table, object.bucket, folder)).or_default();
                of.entry(partition).or_default().insert(object.id);
            }
            // Of test events, of what was removed, and of what is empty, there is nothing to say.
            Arrival::Skip { .. } => {}
            // To see it again would not help.
            Arrival::Bytes { .. } | Arrival::Dead(_) => {
                strange += 1;
                tracing::warn!("what is no notification of S3 is left out: look at what else sends to this queue");
            }
        }
    }
    metrics.count(&[], "Objects", objects);
    metrics.count(&[], "StrangeObjects", strange);
    all
}

impl AthenaPartitioner {
    /// Says which items come again, and why; an error is one of them all.
    fn work(
        &self,
        name: &str,
        folder: &str,
        mut wanted: Wanted,
        stop: Instant,
        metrics: &mut Metrics,
    ) -> Result<BTreeMap<Arc<str>, String>, String> {
        let known = |partition: &Partition| (name.to_owned(), partition.clone());
        {
            let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if all.since.is_none_or(|since| now.duration_since(since) > KNOWN_KEPT) {
                all.partitions.clear();
                all.since = Some(now);
            }
            let before = wanted.len();
            wanted.retain(|partition, _| !all.partitions.contains(&known(partition)));
            metrics.count(&[], "KnownPartitions", (before - wanted.len()) as u64);
        }
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let Some(table) = self.table(name)? else {
            tracing::warn!(
                table = name,
                folder,
                database = self.glue.database,
                "the catalog has no such table, so its objects are in no partition; `streamalert tables create` makes it and \
                 enters what is there"
            );
            metrics.count(&[], "UnknownTables", 1);
            return Ok(BTreeMap::new());
        };
        if table.is_projected() && !self.all {
            metrics.count(&[], "ProjectedTables", 1);
            return Ok(BTreeMap::new());
        }
        if table.partition_keys != [PARTITION] || table.location != folder {
            tracing::warn!(
                table = name,
                location = table.location,
                folder,
                keys = table.partition_keys.join(","),
                "objects that lie elsewhere than their table, or in a table that is partitioned otherwise, are left out"
            );
            metrics.count(&[], "StrangeObjects", wanted.len() as u64);
            return Ok(BTreeMap::new());
        }
        let all: Vec<Partition> = wanted.keys().cloned().collect();
        let mut failed = BTreeMap::new();
        let fail = |failed: &mut BTreeMap<Arc<str>, String>, partition: &Partition, why: &str| {
            let items = wanted.get(partition).into_iter().flatten();
            failed.extend(items.map(|item| (item.clone(), why.to_owned())));
        };
        for some in all.chunks(GLUE_PARTITIONS_BATCH) {
            let entered = match Instant::now() < stop {
                true => self.environment.aws.wait(self.glue.enter(&table, some)).map_err(|error| {
                    if error.kind == BackendErrorKind::NotFound {
                        // Somebody has taken the table away.
                        self.known.lock().unwrap_or_else(PoisonError::into_inner).tables.remove(name);
                    }
                    told(&error)
                }),
                false => Err("there was no time left".to_owned()),
            };
            match entered {
                Err(why) => some.iter().for_each(|partition| fail(&mut failed, partition, &why)),
                Ok(entered) => {
                    metrics.count(&[], "Partitions", entered.new as u64);
                    let refused = |partition: &&Partition| {
                        entered.refused.iter().find(|refused| refused.values == partition.values)
                    };
                    let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                    if all.partitions.len() + some.len() > KNOWN_MAX {
                        all.partitions.clear();
                    }
                    for partition in some {
                        match refused(&partition) {
                            Some(refused) => fail(&mut failed, partition, &refused.error.to_string()),
                            None => drop(all.partitions.insert(known(partition))),
                        }
                    }
                }
            }
        }
        Ok(failed)
    }

    fn table(&self, name: &str) -> Result<Option<Arc<Table>>, String> {
        let now = Instant::now();
        let found = |known: &Known| {
            let (at, table) = known.tables.get(name)?;
            (now.duration_since(*at) < TABLE_KEPT).then(|| table.clone())
        };
        if let Some(table) = found(&self.known.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(table);
        }
        let table = self.environment.aws.wait(self.glue.table(name)).map_err(|error| told(&error))?.map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.tables.insert(name.to_owned(), (now, table.clone()));
        Ok(table)
    }
}
