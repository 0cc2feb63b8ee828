//! `streamalert backtest`: rules over archived records, one set of components against another.

use crate::{Failure, cloud, rules};
use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use streamalert_archive::backtest::{Chosen, Hit, Options, Progress, Report, RuleReport, Sides, backtest};
use streamalert_archive::folder::DataFile;
use streamalert_archive::table::Tables;
use streamalert_archive::{Archive, Bounds, keeper, owned};
use streamalert_aws::objects::Bucket;
use streamalert_local::clock::millis;
use streamalert_local::run::DataFolder;
use streamalert_local::tally::grouped;
use streamalert_pipeline::archive::ALERTS;
use streamalert_pipeline::config::{LogType, Schemas};
use streamalert_pipeline::live::{Base, Live};
use streamalert_pipeline::printable::printable;

/// Bytes of objects that are fetched at a time; when rules have seen them they are removed.
const FETCHED_BYTES: u64 = 1 << 30;

/// Ask rules about archived records: what they would have found
///
/// The components of --plugins are asked about the records that were archived, exactly as they arrived. With --against, the same is
/// asked of those components, and what the new ones find in addition and what they miss is told, with what either takes.
/// Nothing is stored and nobody is alerted.
#[derive(clap::Args)]
#[command(
    after_help = "Whether rules are on trial or switched off makes no difference. Lookup tables are those of today.
With --athena, the archive's objects are fetched from its bucket, about 1 GB at a time into a folder for temporary files, and
judged here: no query is paid for.

Exit codes:
  0  it went well, whether something differs or not
  1  something could not be read; with --fail-on-difference, hits differ
  2  a wrong argument or configuration, or a component that is refused"
)]
pub struct Args {
    /// The components that are tried: a folder, or one file
    #[arg(long, value_name = "DIR|FILE")]
    plugins: PathBuf,
    /// The components that are there now
    #[arg(long, value_name = "DIR|FILE")]
    against: Option<PathBuf>,
    /// From when on: how long ago, as 24h or 7d, or a date, as 2026-01-31 or 2026-01-31T08:00:00Z; whole hours are read
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to when [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Folder the run keeps its archive in
    #[arg(long, value_name = "DIR", default_value = "data", alias = "data")]
    local: PathBuf,
    /// The archive of the installation on AWS that DIR/aws.json names
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", conflicts_with = "local")]
    athena: Option<PathBuf>,
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Only these log types, by source or in full, separated by commas
    #[arg(long, value_name = "LOG", value_delimiter = ',')]
    logs: Vec<String>,
    /// Only these rules, separated by commas
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    rules: Vec<String>,
    /// New and lost hits that are shown for each rule
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// End with 1 if there are new or lost hits
    #[arg(long, requires = "against")]
    fail_on_difference: bool,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A few lines for a person
    Text,
    /// One JSON object
    Json,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let bounds = Bounds::read(args.since.as_deref(), args.until.as_deref(), millis());
    let bounds = bounds.map_err(|why| Failure::Usage(anyhow!(why)))?;
    let cache = crate::authoring::trial::cache();
    let new = open(&args.plugins, &args.config, cache.as_deref())?;
    let current = args.against.as_ref().map(|path| open(path, &args.config, cache.as_deref())).transpose()?;
    let schemas = new.classifier.schemas().clone();
    let sides = Sides { new: &new.rules, current: current.as_ref().map(|current| &current.rules), schemas: &schemas };
    check_rules(&args.rules, &sides)?;
    if let Some(log) = args.logs.iter().find(|log| !schemas.knows(log)) {
        return Err(Failure::Usage(anyhow!("no schema defines {log}")));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options { threads: args.workers.map_or(cores, usize::from), examples: args.examples };
    let bar = Bar::new();
    let report = match &args.athena {
        Some(config) => there(config, &args, &bounds, &sides, &options, &bar),
        None => here(&args, &bounds, &sides, &options, &bar),
    };
    bar.0.finish_and_clear();
    let mut report = report?;
    if !args.rules.is_empty() {
        report.rules.retain(|rule, _| args.rules.contains(rule));
    }
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => writeln!(out, "{}", json!(report)),
        Output::Text => out.write_all(text(&report).as_bytes()),
    }
    .context("write to stdout")?;
    for (why, count) in &report.unread {
        eprintln!("warning: {} records were left out: {why}", grouped(*count));
    }
    for (file, why) in &report.damaged {
        eprintln!("warning: {} cannot be read: {}", printable(file), printable(why));
    }
    if report.records == 0 && report.damaged.is_empty() {
        eprintln!(
            "warning: there are no archived records in that time; `streamalert search --tables` says what there is"
        );
    }
    if !report.damaged.is_empty() {
        let count = report.damaged.len();
        let advice = "this is the report of all others; bring them back from a copy, or move them out of the archive";
        return Err(anyhow!("{count} files of the archive cannot be read: {advice}").into());
    }
    if args.fail_on_difference && report.differs() {
        return Err(anyhow!("hits differ").into());
    }
    Ok(())
}

/// The components of a folder, or one; a component that is refused is told of, and nothing is judged without it.
fn open(path: &Path, config: &Path, cache: Option<&Path>) -> Result<Live, Failure> {
    let config = rules::config_here(config, None)?;
    let one = tempfile::tempdir().context("make a temporary folder")?;
    let folder = match path.is_file() {
        true => {
            let name = path.file_name().unwrap_or_default();
            std::fs::copy(path, one.path().join(name)).with_context(|| format!("read {}", path.display()))?;
            one.path()
        }
        false if path.is_dir() => path,
        false => return Err(Failure::Usage(anyhow!("there is no folder or component {}", path.display()))),
    };
    let mut plugins = rules::open(folder, cache.unwrap_or(one.path()), &config)?;
    let loaded = plugins.source.load();
    let refused: Vec<&str> =
        loaded.notices.iter().map(String::as_str).filter(|notice| notice.starts_with("refused")).collect();
    if !refused.is_empty() {
        return Err(Failure::Usage(anyhow!("{}", refused.join("\n"))));
    }
    if loaded.set.plugins.iter().all(|plugin| plugin.rules().is_empty()) {
        return Err(Failure::Usage(anyhow!("there are no rules in {}", path.display())));
    }
    let base = Base { schemas: config.schemas.into(), clusters: config.clusters.into() };
    let (live, faults) = Live::new(loaded.set, &base, None);
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(live)
}

fn check_rules(wanted: &[String], sides: &Sides<'_>) -> Result<(), Failure> {
    let all = || sides.new.iter().chain(sides.current.into_iter().flat_map(|current| current.iter()));
    match wanted.iter().find(|rule| all().all(|(_, known)| known.name != **rule)) {
        None => Ok(()),
        Some(rule) => Err(Failure::Usage(anyhow!("there is no rule {rule} in these components"))),
    }
}

fn is_wanted(log_type: Option<&LogType>, logs: &[String]) -> bool {
    logs.is_empty() || log_type.is_some_and(|of| logs.iter().any(|name| of.is_named_by(name)))
}

/// Tables that are read, with the log type each is for.
fn wanted(tables: Vec<String>, schemas: &Schemas, logs: &[String]) -> Vec<(String, Option<String>)> {
    let known = Tables::of(schemas);
    let log_type = |name: &str| {
        let table = known.iter().find(|table| table.name == name)?;
        Some(table.log_type.as_ref()?.clone())
    };
    let all = tables.into_iter().filter(|name| name != ALERTS).map(|name| (log_type(&name), name));
    all.filter(|(log_type, _)| is_wanted(log_type.as_deref(), logs))
        .map(|(log_type, name)| (name, log_type.map(|log_type| log_type.name.clone())))
        .collect()
}

fn here(args: &Args, bounds: &Bounds, sides: &Sides<'_>, options: &Options, bar: &Bar) -> Result<Report, Failure> {
    let data = DataFolder::existing(&args.local).map_err(Failure::Usage)?;
    let waiting = keeper::settle(&data.archive(), sides.schemas, millis, Box::new(|notice| eprintln!("{notice}")));
    keeper::unread(waiting, &args.config).iter().for_each(|warning| eprintln!("{warning}"));
    let archive = Archive::at(data.archive());
    let _reading = archive.reading().context("open the archive")?;
    let mut chosen = Vec::new();
    for (table, known, owned) in owned::all(&archive, &Tables::of(sides.schemas)).context("open the archive")? {
        let log_type = known.and_then(|table| table.log_type.clone());
        if table == ALERTS || !is_wanted(log_type.as_deref(), &args.logs) {
            continue;
        }
        let log_type = log_type.map(|log_type| log_type.name.clone());
        for hour in owned.hours(&archive).context("open the archive")? {
            if !bounds.holds(&hour) {
                continue;
            }
            let files = owned.files(&archive, &hour).context("open the archive")?;
            chosen.extend(files.into_iter().map(|file| Chosen {
                shown: file.path.display().to_string(),
                table: table.clone(),
                log_type: log_type.clone(),
                file,
            }));
        }
    }
    Ok(backtest(&chosen, sides, options, bar))
}

/// Objects of the archive's bucket, so many at a time.
fn there(
    config: &Path,
    args: &Args,
    bounds: &Bounds,
    sides: &Sides<'_>,
    options: &Options,
    bar: &Bar,
) -> Result<Report, Failure> {
    let cloud = cloud::connect(config)?;
    let bucket = Bucket::new(&cloud.aws, cloud.names.archive_bucket());
    let listed = cloud.aws.wait(bucket.list("")).context("list the archive")?;
    // TABLE/dt=HOUR/NAME, and for Athena hidden or a folder is none.
    let place = |name: &str| {
        let (table, rest) = name.split_once('/')?;
        let (hour, _) = rest.strip_prefix("dt=")?.split_once('/')?;
        let last = rest.rsplit('/').next().filter(|last| !last.is_empty() && !last.starts_with(['_', '.']));
        last.map(|_| (table.to_owned(), hour.to_owned()))
    };
    let mut tables: Vec<String> = listed.iter().filter_map(|object| Some(place(&object.name)?.0)).collect();
    tables.sort();
    tables.dedup();
    let wanted = wanted(tables, sides.schemas, &args.logs);
    let objects: Vec<_> = listed
        .into_iter()
        .filter_map(|object| {
            let (table, hour) = place(&object.name)?;
            let (_, log_type) = wanted.iter().find(|(name, _)| *name == table)?;
            bounds.holds(&hour).then(|| (object, table, log_type.clone()))
        })
        .collect();
    let mut report = Report::begin(sides);
    let mut rest = objects.as_slice();
    while !rest.is_empty() {
        let mut bytes = 0;
        let count = rest.iter().take_while(|(object, ..)| {
            bytes += object.size;
            bytes <= FETCHED_BYTES
        });
        // One that is larger by itself is fetched all the same.
        let (now, later) = rest.split_at(count.count().max(1));
        rest = later;
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let mut chosen = Vec::new();
        for (number, (object, table, log_type)) in now.iter().enumerate() {
            // Removed between the listing and now: its time was over.
            let Some(stored) = cloud.aws.wait(bucket.get(&object.name)).context("fetch the archive")? else { continue };
            // Keys are no paths: whoever writes objects must not choose where they come to lie here.
            let path = folder.path().join(format!("{number}.parquet"));
            std::fs::write(&path, &stored.bytes).with_context(|| format!("write {}", path.display()))?;
            let file = DataFile { bytes: object.size, name: object.name.clone(), path };
            let shown = format!("s3://{}/{}", cloud.names.archive_bucket(), object.name);
            chosen.push(Chosen { file, shown, table: table.clone(), log_type: log_type.clone() });
        }
        report.add(backtest(&chosen, sides, options, bar), options);
    }
    Ok(report)
}

/// How far it is, for a person.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left");
        let bar = ProgressBar::new(0);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(bar)
    }
}

impl Progress for Bar {
    fn length(&self, bytes: u64) {
        self.0.inc_length(bytes);
    }

    fn done(&self, bytes: u64, _: u64) {
        self.0.inc(bytes);
    }
}

fn text(report: &Report) -> String {
    let mut out = format!("{} records\n", grouped(report.records));
    let compared = report.rules.values().any(|rule| rule.current.is_some());
    if compared {
        out.push_str(&format!(
            "{:<40} {:>12} {:>12} {:>12} {:>14} {:>16} {:>16} {:>8}\n",
            "rule", "new hits", "lost hits", "same", "evaluations", "fuel", "fuel before", "faults"
        ));
    } else {
        out.push_str(&format!("{:<40} {:>12} {:>14} {:>16} {:>8}\n", "rule", "hits", "evaluations", "fuel", "faults"));
    }
    for (name, rule) in &report.rules {
        let name = printable(name);
        let (evaluations, fuel) = (grouped(rule.new.evaluations), grouped(rule.new.fuel));
        match &rule.current {
            Some(current) => {
                let faults = match current.faults == rule.new.faults {
                    true => grouped(rule.new.faults),
                    false => format!("{} ({})", grouped(rule.new.faults), grouped(current.faults)),
                };
                out.push_str(&format!(
                    "{name:<40} {:>12} {:>12} {:>12} {evaluations:>14} {fuel:>16} {:>16} {faults:>8}\n",
                    grouped(rule.new_hits),
                    grouped(rule.lost_hits),
                    grouped(rule.same_hits),
                    grouped(current.fuel),
                ));
            }
            None => out.push_str(&format!(
                "{name:<40} {:>12} {evaluations:>14} {fuel:>16} {:>8}\n",
                grouped(rule.new.hits),
                grouped(rule.new.faults)
            )),
        }
        told(&mut out, rule, compared);
    }
    if report.repeats_counted {
        out.push_str(
            "there are more hits than can be remembered: records that were archived twice may be counted twice\n",
        );
    }
    out
}

fn told(out: &mut String, rule: &RuleReport, compared: bool) {
    let mut show = |what: &str, hits: &[Hit]| {
        for hit in hits {
            let time = hit.time.as_deref().map(|time| format!(" at {time}")).unwrap_or_default();
            let title = format!("{}{time}", hit.title);
            out.push_str(&format!(
                "    {what}: alert {} by record {} ({}): {}\n",
                hit.alert,
                hit.record,
                printable(&hit.log_type),
                printable(&title)
            ));
        }
    };
    show(if compared { "new" } else { "hit" }, &rule.examples.new);
    show("lost", &rule.examples.lost);
    let before = rule.current.as_ref().and_then(|current| current.last_error.as_ref());
    for (what, error) in [("fault", rule.new.last_error.as_ref()), ("fault before", before)] {
        if let Some(error) = error {
            out.push_str(&format!("    {what}: {}\n", printable(error)));
        }
    }
}
