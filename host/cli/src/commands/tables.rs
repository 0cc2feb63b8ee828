//! `streamalert tables`: what the schemas say of the archive's tables, and what is there.

use super::run::{Output, say};
use crate::{Failure, cloud, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use streamalert_aws::glue::{Glue, Partition, Table, parquet_table};
use streamalert_aws::objects::Bucket;
use streamalert_local::run::DataFolder;
use streamalert_pipeline::archive::evolve::evolve;
use streamalert_pipeline::archive::partition::place;
use streamalert_pipeline::archive::{ALERTS, Column, alert_columns, columns, tables};
use streamalert_pipeline::backend::BackendErrorKind;
use streamalert_pipeline::columns::PARTITION;
use streamalert_pipeline::config::Schemas;

/// Times columns are added anew, where somebody else changes the table at the same moment.
const CONFLICTS_MAX: u32 = 5;

/// See which tables the archive has; make those that are missing, add columns, enter partitions
///
/// Nothing is ever dropped: no data, no table, no column, no partition. On AWS, infra/ makes the tables of the logs that are
/// kept; this is for what it does not know, for tables that others read, and for a look. On one machine a table is a folder, and
/// there is nothing to be made.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  it is so now; of diff: nothing differs
  1  something could not be read or written, or a column would have to change its type; of diff: something differs
  2  a wrong argument or configuration, or there is no such table; nothing was changed")]
pub struct Args {
    /// Folder the run keeps its archive in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Tables of the installation on AWS that DIR/aws.json names; DIR has the schemas, too
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["data", "config"])]
    aws: Option<PathBuf>,
    /// Only log types that are named, by source or in full, separated by commas; `alerts` is the table of alerts
    #[arg(long, value_name = "LOG", value_delimiter = ',', global = true)]
    logs: Vec<String>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All tables, one line each
    List,
    /// What differs between the schemas and what is there, one line each
    Diff,
    /// Make tables that are missing, and add columns to those that are there
    Create {
        /// Without partition projection: partitions are entered, now and by the function athena_partitioner, for readers other
        /// than Athena
        #[arg(long)]
        enter_partitions: bool,
    },
    /// Enter the partitions that lie in S3 and are not known; what is known stays
    Rebuild {
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
        /// Also tables whose partitions Athena reckons itself
        #[arg(long)]
        all: bool,
    },
}

/// Names of tables and their columns, as the schemas have them.
type Wanted = BTreeMap<String, Vec<Column>>;

pub fn run(args: Args) -> Result<(), Failure> {
    let config = args.aws.as_deref().unwrap_or(&args.config);
    let schemas = rules::config(config, None)?.schemas;
    let wanted = wanted(&schemas, &args.logs)?;
    match &args.aws {
        None => here(&args, &schemas, &wanted),
        Some(folder) => {
            let cloud = cloud::connect(folder)?;
            let work = Work { glue: Glue::new(&cloud.aws, &cloud.names), cloud: &cloud, output: args.output };
            match args.command {
                Command::List => work.list(&wanted, args.logs.is_empty()),
                Command::Diff => work.diff(&wanted, args.logs.is_empty()),
                Command::Create { enter_partitions } => work.create(&wanted, enter_partitions),
                Command::Rebuild { tables, all } => work.rebuild(&wanted, &tables, all),
            }
        }
    }
}

fn wanted(schemas: &Schemas, logs: &[String]) -> Result<Wanted, Failure> {
    let all: Vec<String> = schemas.iter().map(|log_type| log_type.name.clone()).collect();
    let named = |name: &&String| name.as_str() != ALERTS || all.contains(name);
    let chosen: Vec<&str> =
        if logs.is_empty() { &all } else { logs }.iter().filter(named).map(String::as_str).collect();
    let found = tables(&chosen, schemas);
    if !found.unknown.is_empty() {
        return Err(Failure::Usage(anyhow!("no schema defines {}", found.unknown.join(", "))));
    }
    let mut wanted: Wanted =
        found.tables.into_iter().map(|(name, log_type)| (name.to_lowercase(), columns(&log_type))).collect();
    if logs.is_empty() || logs.iter().any(|log| log == ALERTS) {
        wanted.insert(ALERTS.to_owned(), alert_columns());
    }
    Ok(wanted)
}

/// What differs about one table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Difference {
    /// The schemas have it, and it is not there.
    NoTable,
    /// It is there, and no schema has it.
    NoSchema,
    NoColumn {
        column: String,
        kind: String,
    },
    /// What is there has it, and the schema does not.
    NoField {
        column: String,
        kind: String,
    },
    Type {
        column: String,
        there: String,
        wanted: String,
    },
}

impl Difference {
    fn tell(&self, table: &str, output: Output) -> Result<(), Failure> {
        let (what, column, there, wanted) = match self {
            Difference::NoTable => ("missing_table", None, None, None),
            Difference::NoSchema => ("no_schema", None, None, None),
            Difference::NoColumn { column, kind } => ("missing_column", Some(column), None, Some(kind)),
            Difference::NoField { column, kind } => ("no_field", Some(column), Some(kind), None),
            Difference::Type { column, there, wanted } => ("other_type", Some(column), Some(there), Some(wanted)),
        };
        match output {
            Output::Json => say(&json!({
                "table": table, "difference": what, "column": column, "there": there, "wanted": wanted,
            })
            .to_string()),
            Output::Text => say(&match self {
                Difference::NoTable => format!("+ {table}: the table is missing"),
                Difference::NoSchema => format!("- {table}: no schema has it"),
                Difference::NoColumn { column, kind } => format!("+ {table}.{column} {kind}: the column is missing"),
                Difference::NoField { column, kind } => format!("- {table}.{column} {kind}: no schema has it"),
                Difference::Type { column, there, wanted } => {
                    format!("~ {table}.{column} is {there}, and the schema says {wanted}")
                }
            }),
        }
    }
}

fn differences(there: &[Column], wanted: &[Column]) -> Vec<Difference> {
    let of = |list: &[Column], name: &str| list.iter().find(|column| column.name == name).map(|c| c.kind.clone());
    let mut found = Vec::new();
    for Column { name, kind, .. } in wanted {
        match of(there, name) {
            None => found.push(Difference::NoColumn { column: name.clone(), kind: kind.clone() }),
            Some(known) if !known.eq_ignore_ascii_case(kind) && !holds(&known, kind) => {
                found.push(Difference::Type { column: name.clone(), there: known, wanted: kind.clone() });
            }
            Some(_) => {}
        }
    }
    for Column { name, kind, .. } in there.iter().filter(|column| of(wanted, &column.name).is_none()) {
        found.push(Difference::NoField { column: name.clone(), kind: kind.clone() });
    }
    found
}

/// Whether a type that is there has all of one that is wanted: the order of a struct's fields says nothing, and none goes.
fn holds(there: &str, wanted: &str) -> bool {
    let column = |kind: &str| Column { name: "c".into(), kind: kind.into(), key: None };
    let grown = evolve(&[column(there)], &[column(wanted)]);
    grown.is_ok_and(|grown| grown[0].kind.eq_ignore_ascii_case(there))
}

/// Columns that a schema has no field for stay, so they are told and are no fault.
fn is_fault(difference: &Difference) -> bool {
    !matches!(difference, Difference::NoField { .. } | Difference::NoSchema)
}

fn differ(count: usize) -> Result<(), Failure> {
    match count {
        0 => Ok(()),
        1 => Err(anyhow!("something differs").into()),
        many => Err(anyhow!("{many} things differ").into()),
    }
}

/// The archive on this machine.
fn here(args: &Args, schemas: &Schemas, wanted: &Wanted) -> Result<(), Failure> {
    let data = DataFolder::existing(&args.data).map_err(Failure::Usage)?;
    let mut stored = data.stored(schemas)?;
    if !args.logs.is_empty() {
        stored.retain(|name, _| wanted.contains_key(name));
    }
    match &args.command {
        Command::Create { .. } | Command::Rebuild { .. } => {
            eprintln!(
                "nothing is to be made here: a table is a folder of {}, and whoever searches looks at what lies there",
                data.archive().display()
            );
            Ok(())
        }
        Command::List => {
            let names: BTreeSet<&String> = wanted.keys().chain(stored.keys()).collect();
            for name in names {
                let of = stored.get(name).cloned().unwrap_or_default();
                let standing = match (wanted.contains_key(name), of.files) {
                    (false, _) => "no schema",
                    (true, 0) => "empty",
                    (true, _) => "there",
                };
                match args.output {
                    Output::Json => say(&json!({
                        "table": name, "standing": standing, "hours": of.hours, "files": of.files, "bytes": of.bytes,
                        "columns": of.columns.len(),
                    })
                    .to_string())?,
                    Output::Text => say(&format!(
                        "{standing:<9}  {name}  {} hours, {} files, {} bytes",
                        of.hours, of.files, of.bytes
                    ))?,
                }
            }
            Ok(())
        }
        Command::Diff => {
            let mut faults = 0;
            for (name, of) in &stored {
                let found = match wanted.get(name) {
                    None => vec![Difference::NoSchema],
                    // Nothing was written yet.
                    Some(_) if of.columns.is_empty() => continue,
                    Some(columns) => differences(&of.columns, columns),
                };
                for difference in found {
                    difference.tell(name, args.output)?;
                    faults += usize::from(is_fault(&difference));
                }
            }
            differ(faults)
        }
    }
}

/// The tables of an installation on AWS.
struct Work<'a> {
    glue: Glue,
    cloud: &'a cloud::Cloud,
    output: Output,
}

impl Work<'_> {
    fn there(&self) -> Result<BTreeMap<String, Table>, Failure> {
        Ok(self.cloud.aws.wait(self.glue.tables()).map_err(anyhow::Error::from)?)
    }

    fn list(&self, wanted: &Wanted, whole: bool) -> Result<(), Failure> {
        let mut there = self.there()?;
        there.retain(|name, _| whole || wanted.contains_key(name));
        let names: BTreeSet<&String> = wanted.keys().chain(there.keys()).collect();
        for name in names {
            let (table, columns) = (there.get(name), wanted.get(name));
            let standing = match (table, columns) {
                (None, _) => "missing",
                (Some(_), None) => "no schema",
                (Some(table), Some(columns)) => match evolve(&table.columns, columns) {
                    Err(_) => "conflict",
                    Ok(grown) if grown.len() != table.columns.len() => "grows",
                    Ok(_) => "there",
                },
            };
            let partitions = match table {
                Some(table) if table.is_projected() => "reckoned".to_owned(),
                Some(table) => {
                    let known = self.cloud.aws.wait(self.glue.partitions(&table.name)).map_err(anyhow::Error::from)?;
                    known.len().to_string()
                }
                None => "-".to_owned(),
            };
            let location = table.map_or("", |table| table.location.as_str());
            let count = table.map_or(0, |table| table.columns.len());
            match self.output {
                Output::Json => say(&json!({
                    "table": name, "standing": standing, "partitions": partitions, "location": location, "columns": count,
                })
                .to_string())?,
                Output::Text => say(&format!("{standing:<9}  {name}  partitions: {partitions}  {location}"))?,
            }
        }
        Ok(())
    }

    fn diff(&self, wanted: &Wanted, whole: bool) -> Result<(), Failure> {
        let there = self.there()?;
        let mut faults = 0;
        for (name, columns) in wanted {
            let found = match there.get(name) {
                None => vec![Difference::NoTable],
                Some(table) => differences(&table.columns, columns),
            };
            for difference in found {
                difference.tell(name, self.output)?;
                faults += usize::from(is_fault(&difference));
            }
        }
        for name in there.keys().filter(|name| whole && !wanted.contains_key(*name)) {
            Difference::NoSchema.tell(name, self.output)?;
        }
        differ(faults)
    }

    /// What was done is said at once: whoever breaks it off finds the same at the next try.
    fn create(&self, wanted: &Wanted, enter_partitions: bool) -> Result<(), Failure> {
        let aws = &self.cloud.aws;
        aws.wait(self.glue.create_database("Records and alerts of StreamAlert")).map_err(anyhow::Error::from)?;
        let there = self.there()?;
        let mut refused = Vec::new();
        for (name, columns) in wanted {
            match there.get(name) {
                Some(table) => {
                    if let Err(why) = self.grow(table.clone(), columns)? {
                        refused.extend(why);
                    }
                }
                None => {
                    let location = format!("s3://{}/{name}/", self.cloud.names.archive_bucket());
                    let input = parquet_table(name, &location, columns, !enter_partitions);
                    let new = aws.wait(self.glue.create_table(&input)).map_err(anyhow::Error::from)?;
                    if new {
                        self.said(name, "made", columns.len())?;
                    }
                    if enter_partitions {
                        self.enter(name)?;
                    }
                }
            }
        }
        match refused.is_empty() {
            true => Ok(()),
            false => Err(anyhow!("not all tables are as the schemas have them:\n{}", refused.join("\n")).into()),
        }
    }

    /// Adds columns; the inner error names those that would change their type.
    fn grow(&self, mut table: Table, columns: &[Column]) -> Result<Result<(), Vec<String>>, Failure> {
        for _ in 0..CONFLICTS_MAX {
            let name = table.name.clone();
            let grown = match evolve(&table.columns, columns) {
                Ok(grown) => grown,
                Err(changes) => return Ok(Err(changes.iter().map(|change| format!("{name}: {change}")).collect())),
            };
            let same = grown.len() == table.columns.len()
                && grown.iter().zip(&table.columns).all(|(new, old)| new.name == old.name && new.kind == old.kind);
            if same {
                return Ok(Ok(()));
            }
            let added = grown.len() - table.columns.len();
            match self.cloud.aws.wait(self.glue.set_columns(&table, &grown)) {
                Ok(()) => {
                    self.said(&name, "columns added", added)?;
                    return Ok(Ok(()));
                }
                Err(error) if error.kind == BackendErrorKind::Conflict => {
                    let read = self.cloud.aws.wait(self.glue.table(&name)).map_err(anyhow::Error::from)?;
                    table = read.ok_or_else(|| anyhow!("the table {name} was taken away meanwhile"))?;
                }
                Err(error) => return Err(anyhow::Error::from(error).into()),
            }
        }
        Err(anyhow!("others change the table {} again and again; try it once more", table.name).into())
    }

    fn said(&self, table: &str, what: &str, count: usize) -> Result<(), Failure> {
        match self.output {
            Output::Json => say(&json!({ "table": table, "done": what, "count": count }).to_string()),
            Output::Text => say(&format!("{table}: {what} ({count})")),
        }
    }

    fn rebuild(&self, wanted: &Wanted, named: &[String], all: bool) -> Result<(), Failure> {
        let there = self.there()?;
        let unknown: Vec<&str> = named.iter().filter(|name| !there.contains_key(*name)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let names: Vec<&str> = there.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Failure::Usage(anyhow!("there is no table {}; there are {names}", unknown.join(", "))));
        }
        let chosen = there.values().filter(|table| match named.is_empty() {
            true => wanted.contains_key(&table.name),
            false => named.contains(&table.name),
        });
        for table in chosen {
            if table.is_projected() && !all {
                eprintln!("{}: Athena reckons its partitions; --all enters them all the same", table.name);
                continue;
            }
            self.enter(&table.name)?;
        }
        Ok(())
    }

    /// Enters what lies there and is not known, and lets what is known lie where it lies. Nothing is taken away first, so no
    /// query meanwhile finds less than before.
    fn enter(&self, name: &str) -> Result<(), Failure> {
        let aws = &self.cloud.aws;
        let table = aws.wait(self.glue.table(name)).map_err(anyhow::Error::from)?;
        let table = table.ok_or_else(|| anyhow!("the table {name} was taken away meanwhile"))?;
        if table.partition_keys != [PARTITION] {
            return Err(anyhow!(
                "the table {name} is partitioned by {}, and not by {PARTITION}: StreamAlert does not know its layout",
                table.partition_keys.join(", ")
            )
            .into());
        }
        let (bucket, folder) =
            table.location.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).with_context(|| {
                format!("the table {name} lies at `{}`, which is no folder of a bucket", table.location)
            })?;
        let lying = aws.wait(lying(&Bucket::new(aws, bucket), folder)).map_err(anyhow::Error::from)?;
        let known = aws.wait(self.glue.partitions(name)).map_err(anyhow::Error::from)?;
        let known: BTreeMap<&[String], &str> =
            known.iter().map(|partition| (&partition.values[..], partition.location.as_str())).collect();
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for partition in lying {
            match known.get(&partition.values[..]) {
                None => new.push(partition),
                Some(at) if at.trim_end_matches('/') != partition.location.trim_end_matches('/') => {
                    moved.push(partition);
                }
                Some(_) => {}
            }
        }
        let entered = aws.wait(self.glue.enter(&table, &new)).map_err(anyhow::Error::from)?;
        let unmoved = aws.wait(self.glue.relocate(&table, &moved)).map_err(anyhow::Error::from)?;
        self.said(name, "partitions entered", entered.new)?;
        if !moved.is_empty() {
            self.said(name, "partitions that lie elsewhere now", moved.len() - unmoved.len())?;
        }
        let refused: Vec<String> = entered
            .refused
            .iter()
            .chain(&unmoved)
            .map(|refused| format!("{name} {}: {}", refused.values.join("/"), refused.error))
            .collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(anyhow!("partitions were not entered:\n{}", refused.join("\n")).into()),
        }
    }
}

/// The partitions that lie in a table's folder, by the folders in it; of each hour one, and `dt=…` before `YYYY/MM/DD/HH`.
async fn lying(
    bucket: &Bucket,
    folder: &str,
) -> Result<BTreeSet<Partition>, streamalert_pipeline::backend::BackendError> {
    let mut found: BTreeMap<String, Partition> = BTreeMap::new();
    // Levels of folders below, the deepest of which are hours.
    let mut level = vec![(0, format!("{folder}/"))];
    while let Some((depth, prefix)) = level.pop() {
        for name in bucket.folders(&prefix).await? {
            let inner = format!("{prefix}{name}/");
            match place(&format!("{inner}x")).filter(|place| place.folder == folder) {
                Some(place) => {
                    let location = format!("s3://{}/{}", bucket.name(), place.partition);
                    let partition = Partition { values: vec![place.dt.clone()], location };
                    let hive = name.contains('=');
                    if hive || !found.contains_key(&place.dt) {
                        found.insert(place.dt, partition);
                    }
                }
                None if depth < 3 && name.bytes().all(|b| b.is_ascii_digit()) => level.push((depth + 1, inner)),
                None => {}
            }
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<Column> {
        let column = |(name, kind): &(&str, &str)| Column { name: (*name).into(), kind: (*kind).into(), key: None };
        columns.iter().map(column).collect()
    }

    #[test]
    fn what_differs_is_told_and_what_only_stays_is_no_fault() {
        let there = columns(&[("a", "bigint"), ("s", "struct<y:string,x:bigint>"), ("old", "string")]);
        let wanted = columns(&[("a", "string"), ("s", "struct<x:bigint,y:string>"), ("new", "double")]);
        let found = differences(&there, &wanted);
        assert_eq!(
            found,
            [
                Difference::Type { column: "a".into(), there: "bigint".into(), wanted: "string".into() },
                Difference::NoColumn { column: "new".into(), kind: "double".into() },
                Difference::NoField { column: "old".into(), kind: "string".into() },
            ]
        );
        assert_eq!(found.iter().filter(|difference| is_fault(difference)).count(), 2);
        assert!(differences(&there, &there).is_empty());
    }
}
