//! `streamalert-search`: SQL over the archive of one machine. A program of its own, since most who run `streamalert` never search
//! with it, and its engine is larger than all the rest.

mod show;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Parser, ValueEnum};
use mimalloc::MiMalloc;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use streamalert_archive::table::Tables;
use streamalert_archive::{Archive, Bounds, keeper};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::printable::printable_lines;
use streamalert_pipeline::time::Millis;
use streamalert_search::{Engine, Settings};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// SQL over the archive of one machine
///
/// Tables are named after log types, as cloudtrail_events; alerts are in `alerts`. Every table has `dt`, the hour (UTC) in which a
/// row arrived, as 2026-01-31-08: a condition on it leaves the files of other hours unread.
#[derive(Parser)]
#[command(
    name = "streamalert-search",
    version,
    after_help = "Exit codes:
  0  it went well
  1  it failed while running: something could not be read, or there was not enough memory
  2  it could not begin: a wrong argument, configuration or query"
)]
struct Cli {
    /// A query, or - to read one from stdin
    #[arg(value_name = "SQL", required_unless_present_any = ["tables", "columns"])]
    query: Option<String>,
    /// Folder the run keeps its archive in
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Folder of the configuration, for tables without rows and keys without names
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Only hours from this time on: how long ago, as 24h or 7d, or a date, as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only hours up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// List the tables instead
    #[arg(long, conflicts_with_all = ["query", "columns"])]
    tables: bool,
    /// List the columns of a table instead, and which key of the log each is for
    #[arg(long, value_name = "TABLE", conflicts_with = "query")]
    columns: Option<String>,
    /// Memory that a query may use; what sorts or groups more goes by way of temporary files
    #[arg(long, value_name = "MB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(16..))]
    memory_mb: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for a person
    Text,
    /// One JSON line for each row
    Json,
    /// With a line of names
    Csv,
}

/// Why it did not go well, by exit code.
enum Failure {
    Running(anyhow::Error),
    Usage(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Running(error)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (error, code) = match run(cli) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Running(error)) => (error, 1),
        Err(Failure::Usage(error)) => (error, 2),
    };
    // Whoever reads has enough: as `head` does.
    if show::is_closed() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", printable_lines(&format!("{error:#}")));
    ExitCode::from(code)
}

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

fn run(cli: Cli) -> Result<(), Failure> {
    if !cli.data.is_dir() {
        let shown = cli.data.display();
        return Err(Failure::Usage(anyhow!("there is no data folder {shown}; say where it is with --data")));
    }
    let bounds = Bounds::read(cli.since.as_deref(), cli.until.as_deref(), now());
    let bounds = bounds.map_err(|why| Failure::Usage(anyhow!(why)))?;
    let root = cli.data.join("archive");
    let schemas = schemas(&cli.config).map_err(Failure::Usage)?;
    if schemas.is_none() {
        eprintln!(
            "warning: there is no configuration in {}, so tables without rows are not known; say where it is with --config",
            cli.config.display()
        );
    }
    let schemas = schemas.unwrap_or_default();
    let waiting = keeper::settle(&root, &schemas, now, Box::new(|notice| eprintln!("{notice}")));
    keeper::unread(waiting, &cli.config).iter().for_each(|warning| eprintln!("{warning}"));
    let settings = Settings {
        archive: Archive::at(root),
        tables: Tables::of(&schemas),
        bounds,
        memory: (cli.memory_mb as usize) << 20,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let engine = Engine::open(settings)?;
    if cli.tables {
        return Ok(show::tables(engine.folders(), cli.output)?);
    }
    if let Some(table) = &cli.columns {
        return match show::columns(engine.folders(), table, cli.output)? {
            true => Ok(()),
            false => Err(Failure::Usage(anyhow!("there is no table {table}; --tables lists them"))),
        };
    }
    let query = match cli.query.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read the query from stdin")?;
            text
        }
        query => query.unwrap_or_default().to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let rows = engine.query(&query).await.map_err(|error| match Engine::is_wrong(&error) {
            true => Failure::Usage(engine.told(error)),
            false => Failure::Running(engine.told(error)),
        })?;
        Ok(show::rows(&engine, rows, cli.output).await?)
    })
}

/// The schemas of a configuration; `None` where there is no such folder.
fn schemas(config: &Path) -> Result<Option<Schemas>> {
    let folder = config.join("schemas");
    if !folder.is_dir() {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            texts.push((path.display().to_string(), text));
        }
    }
    texts.sort();
    match Schemas::read(&texts) {
        Ok(schemas) => Ok(Some(schemas)),
        Err(faults) => bail!("{faults}"),
    }
}
