//! `streamalert schema classify`: which log types the records of a log are taken as, and why some are taken as none.

use super::super::run::{Output, say};
use crate::Failure;
use crate::authoring::paint::Paint;
use crate::intake::Piece;
use crate::{intake, rules};
use anyhow::{Context, anyhow};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_local::input::DeclaredSource;
use streamalert_pipeline::classifier::{Ambiguity, Classified, Classifier, Near, Worker};
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{LogRecord, Position};
use streamalert_pipeline::plugin::ParserPlugin;
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::skip::Skip;
use streamalert_plugins::{Host, HostConfig, LoadCheck, PluginFolder};

/// Classify logs without any rule: counts by log type, and with --explain each record
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Files or folders of logs, or - for stdin; compression is recognised
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Say of each record what took it, what else fits it, and what came near if nothing took it
    #[arg(long)]
    explain: bool,
    /// What the inputs stand for, such as s3:my-bucket; clusters are chosen by it
    #[arg(long, value_name = "SERVICE:RESOURCE")]
    source: Option<DeclaredSource>,
    /// Folder with schemas/, clusters/ and lookup_tables/
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Folder of components (*.wasm) whose parsers read logs too
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str =
    "With --output json there is one line for each record (with --explain), and one with all counts at the end.

Exit codes:
  0  all inputs were read, whatever they were classified as
  1  something could not be read
  2  a wrong argument or configuration";

/// Log types that are told of because they came near.
const NEAR_MAX: usize = 3;

pub fn run(args: Args) -> Result<(), Failure> {
    let config = rules::config(&args.config, None)?;
    let inputs = intake::inputs(&args.files)?;
    if inputs.is_empty() {
        return Err(Failure::Usage(anyhow!("there is no file to classify")));
    }
    let parsers = args.plugins.as_deref().map(parsers).transpose()?.unwrap_or_default();
    let (classifier, faults) = Classifier::with_parsers(&Arc::new(config.schemas), Arc::new(config.clusters), &parsers);
    faults.iter().for_each(|fault| eprintln!("warning: {}", printable(&fault.to_string())));
    let classifier = Arc::new(classifier);
    let mut worker = classifier.worker();
    let mut counts = Counts::default();
    let show = Show { paint: Paint::stdout(), output: args.output };
    for input in &inputs {
        intake::read(input, args.source.as_ref(), Some(&classifier), |piece| match piece {
            Piece::Skip(skip) => {
                counts.skip(skip);
                Ok(())
            }
            Piece::Dead(letter) => {
                counts.dead(&letter);
                if args.explain { show.dead(&letter, &mut worker) } else { Ok(()) }
            }
            Piece::Payload(payload) => {
                let classified = worker.classify(payload);
                counts.add(&classified);
                if args.explain { show.each(&classified, &mut worker) } else { Ok(()) }
            }
        })?;
    }
    match args.output {
        Output::Json => say(&serde_json::to_string(&counts).context("write the counts")?),
        Output::Text => counts.text(show.paint, args.explain),
    }
}

/// The parsers among the components of a folder. Components that are refused are told of.
fn parsers(folder: &Path) -> Result<Vec<Arc<dyn ParserPlugin>>, Failure> {
    let host = Host::new(HostConfig::default()).context("start the plugin host")?;
    let report = PluginFolder::new(host)
        .load(folder, &LoadCheck::any_log())
        .map_err(|error| Failure::Usage(anyhow!("look into the plugins folder {}: {error}", folder.display())))?;
    report.refused.iter().for_each(|refusal| eprintln!("refused: {}", refusal.error));
    Ok(report.set.parsers)
}

/// records_in = all of `classified`, `skipped` and `dead` together.
#[derive(Default, Serialize)]
struct Counts {
    inputs: u64,
    records_in: u64,
    classified: BTreeMap<String, u64>,
    /// Of those, records with keys that their schema does not know.
    with_unknown_keys: BTreeMap<String, u64>,
    skipped: BTreeMap<&'static str, u64>,
    dead: BTreeMap<&'static str, u64>,
    /// Inputs of which nothing became: a fault of StreamAlert.
    #[serde(skip_serializing_if = "is_zero")]
    unaccounted: u64,
    ambiguous: Vec<Ambiguous>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Log types that all fit the same records.
#[derive(Serialize)]
struct Ambiguous {
    #[serde(flatten)]
    types: Ambiguity,
    inputs: u64,
}

impl Counts {
    fn add(&mut self, classified: &Classified) {
        self.inputs += classified.inputs;
        self.unaccounted += classified.unaccounted;
        for record in &classified.batch.records {
            self.records_in += 1;
            *self.classified.entry(record.log_type.name.clone()).or_default() += 1;
            if !record.exact {
                *self.with_unknown_keys.entry(record.log_type.name.clone()).or_default() += 1;
            }
        }
        for (skip, count) in classified.skipped.iter() {
            self.records_in += count;
            *self.skipped.entry(skip.code()).or_default() += count;
        }
        for letter in &classified.dead {
            self.count_dead(letter);
        }
        for (types, inputs) in &classified.ambiguous {
            match self.ambiguous.iter_mut().find(|known| known.types == *types) {
                Some(known) => known.inputs += inputs,
                None => self.ambiguous.push(Ambiguous { types: types.clone(), inputs: *inputs }),
            }
        }
    }

    /// An object without anything in it.
    fn skip(&mut self, skip: Skip) {
        self.inputs += 1;
        self.records_in += 1;
        *self.skipped.entry(skip.code()).or_default() += 1;
    }

    /// A letter that the door wrote.
    fn dead(&mut self, letter: &DeadLetter) {
        self.inputs += 1;
        self.count_dead(letter);
    }

    fn count_dead(&mut self, letter: &DeadLetter) {
        self.records_in += 1;
        *self.dead.entry(letter.reason.code()).or_default() += 1;
    }

    fn text(&self, paint: Paint, explained: bool) -> Result<(), Failure> {
        let line = |indent: usize, name: &str, count: u64, more: &str| {
            say(format!("{:indent$}{name:<width$}{count:>9}{more}", "", width = COUNTS_COLUMN - indent).trim_end())
        };
        if explained {
            say("")?;
        }
        line(0, "records in", self.records_in, &format!("  = {} inputs", self.inputs))?;
        line(2, "classified", self.classified.values().sum(), "")?;
        for (name, count) in &self.classified {
            let more = match self.with_unknown_keys.get(name) {
                Some(some) => format!("  {some} with keys the schema does not know"),
                None => String::new(),
            };
            line(4, &printable(name), *count, &more)?;
        }
        for (what, counts) in [("skipped", &self.skipped), ("dead letters", &self.dead)] {
            line(2, what, counts.values().sum(), "")?;
            for (name, count) in counts {
                line(4, name, *count, "")?;
            }
        }
        if self.unaccounted > 0 {
            line(2, &paint.bad("unaccounted"), self.unaccounted, "  a fault of StreamAlert; please report it")?;
        }
        for Ambiguous { types: Ambiguity { taken, also }, inputs } in &self.ambiguous {
            say(&format!("{taken} took records that {} fits too, in at least {inputs} inputs", also.join(", ")))?;
        }
        Ok(())
    }
}

/// Where the counts stand: in the column that the summary of `streamalert run` has them in.
const COUNTS_COLUMN: usize = 47;

/// One record, as --output json has it.
#[derive(Serialize)]
struct Taken<'a> {
    position: Position,
    log_type: &'a str,
    /// Its keys are exactly those of the schema.
    exact: bool,
    /// Types that fit records like this one too; the first by priority took it.
    rivals: &'a BTreeSet<&'a str>,
}

struct Show {
    paint: Paint,
    output: Output,
}

impl Show {
    /// Every record of a payload, in the order in which they stand in it.
    fn each(&self, classified: &Classified, worker: &mut Worker) -> Result<(), Failure> {
        let none = BTreeSet::new();
        let mut rivals: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Ambiguity { taken, also } in classified.ambiguous.keys() {
            rivals.entry(taken).or_default().extend(also.iter().map(String::as_str));
        }
        enum Came<'a> {
            Record(&'a LogRecord),
            Dead(&'a DeadLetter),
        }
        let records = classified.batch.records.iter().map(|record| (record.position, Came::Record(record)));
        let dead = classified.dead.iter().map(|letter| (letter.position, Came::Dead(letter)));
        let mut all: Vec<(Position, Came<'_>)> = records.chain(dead).collect();
        all.sort_by_key(|(position, _)| (position.offset, position.index));
        for (_, came) in all {
            match came {
                Came::Record(record) => {
                    self.record(record, rivals.get(record.log_type.name.as_str()).unwrap_or(&none))?
                }
                Came::Dead(letter) => self.dead(letter, worker)?,
            }
        }
        Ok(())
    }

    fn place(&self, position: Position) -> String {
        self.paint.dim(&format!("byte {} record {}", position.offset, position.index))
    }

    fn record(&self, record: &LogRecord, rivals: &BTreeSet<&str>) -> Result<(), Failure> {
        let LogRecord { log_type, exact, position, .. } = record;
        if self.output == Output::Json {
            let taken = Taken { position: *position, log_type: &log_type.name, exact: *exact, rivals };
            return say(&serde_json::to_string(&taken).context("write the record")?);
        }
        let exact = if *exact { "exact" } else { "with keys the schema does not know" };
        let mut line = format!("{}  {}  {exact}", self.place(*position), self.paint.strong(&printable(&log_type.name)));
        if !rivals.is_empty() {
            let rivals: Vec<&str> = rivals.iter().copied().collect();
            line += &format!("; {} fits such records too", rivals.join(", "));
        }
        say(&line)
    }

    fn dead(&self, letter: &DeadLetter, worker: &mut Worker) -> Result<(), Failure> {
        let near = worker.near(letter, NEAR_MAX);
        if self.output == Output::Json {
            let line = json!({"position": letter.position, "dead": {
                "reason": letter.reason, "message": letter.message, "tried": letter.tried, "near": near,
            }});
            return say(&line.to_string());
        }
        say(&format!(
            "{}  {}  {}: {}",
            self.place(letter.position),
            self.paint.bad("not classified"),
            letter.reason.code(),
            printable(&letter.message)
        ))?;
        for Near { log_type, missing, unknown } in near {
            let mut lacks = Vec::new();
            if !missing.is_empty() {
                lacks.push(format!("lacks {}", missing.join(", ")));
            }
            if !unknown.is_empty() {
                lacks.push(format!("has {} besides", unknown.join(", ")));
            }
            if lacks.is_empty() {
                lacks.push("its keys fit".to_owned());
            }
            say(&printable(&format!("    near {log_type}: {}", lacks.join("; "))))?;
        }
        Ok(())
    }
}
