//! `streamalert search`: SQL over the archive, on this machine by the program `streamalert-search`, on AWS by Athena.

use crate::Failure;
use crate::athena::Ask;
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program with the engine, beside this one.
pub const PROGRAM: &str = "streamalert-search";

/// SQL over archived records and alerts
///
/// Tables are named after log types, as cloudtrail_events; alerts are in `alerts`. Every table has `dt`, the hour (UTC) in which a
/// row arrived, as 2026-01-31-08. What a column cannot hold or a schema does not know stands in streamalert_record:
/// json_extract_scalar(streamalert_record, '$.key') reads it, here and in Athena.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  it went well
  1  it failed while running: something could not be read, or there was not enough memory
  2  it could not begin: a wrong argument, configuration or query")]
pub struct Args {
    /// A query, or - to read one from stdin
    #[arg(value_name = "SQL", required_unless_present_any = ["tables", "columns"])]
    pub query: Option<String>,
    /// Folder the run keeps its archive in
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Folder of the configuration, for tables without rows and keys without names
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Ask Athena about the installation that DIR/aws.json names, instead of the archive here
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", conflicts_with_all = ["data", "memory_mb"])]
    pub athena: Option<PathBuf>,
    /// Only hours from this time on: how long ago, as 24h or 7d, or a date, as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only hours up to this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// List the tables instead
    #[arg(long, conflicts_with_all = ["query", "columns"])]
    pub tables: bool,
    /// List the columns of a table instead, and which key of the log each is for
    #[arg(long, value_name = "TABLE", conflicts_with = "query")]
    pub columns: Option<String>,
    /// Memory that a query may use [default: 2048]
    #[arg(long, value_name = "MB")]
    memory_mb: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table for a person
    Text,
    /// One JSON line for each row
    Json,
    /// With a line of names
    Csv,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match &args.athena {
        Some(folder) => there(folder, &args),
        None => here(&args),
    }
}

/// Asks Athena.
fn there(folder: &Path, args: &Args) -> Result<(), Failure> {
    if args.since.is_some() || args.until.is_some() {
        return Err(Failure::Usage(anyhow!(
            "Athena reads the hours that a query names: write dt >= '2026-01-31-08' into it, and leave --since and --until out"
        )));
    }
    let ask = match (&args.query, &args.columns) {
        _ if args.tables => Ask::Tables,
        (_, Some(table)) => Ask::Columns(table),
        (query, None) => Ask::Query(query.as_deref().unwrap_or_default()),
    };
    crate::athena::search(folder, &ask, args.output)
}

/// Lets the program with the engine do it, and ends as it ends.
fn here(args: &Args) -> Result<(), Failure> {
    let own = std::env::current_exe().context("find the program streamalert-search")?;
    let path = own.with_file_name(format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        return Err(Failure::Usage(anyhow!(
            "there is no {}: the engine is a program of its own; `cargo build --release --workspace --bin {PROGRAM}` builds it, \
             and it belongs beside streamalert",
            path.display()
        )));
    }
    let mut command = Command::new(&path);
    command.arg("--data").arg(&args.data).arg("--config").arg(&args.config);
    let output = args.output.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    command.args(["--output", &output]);
    for (name, value) in [("--since", &args.since), ("--until", &args.until), ("--columns", &args.columns)] {
        if let Some(value) = value {
            // A value that begins with - is still a value.
            command.arg(format!("{name}={value}"));
        }
    }
    if let Some(memory) = args.memory_mb {
        command.args(["--memory-mb", &memory.to_string()]);
    }
    if args.tables {
        command.arg("--tables");
    }
    if let Some(query) = &args.query {
        command.arg("--").arg(query);
    }
    let status = command.status().with_context(|| format!("run {}", path.display()))?;
    if status.success() {
        return Ok(());
    }
    // What is wrong it has said itself.
    std::process::exit(status.code().unwrap_or(1));
}
