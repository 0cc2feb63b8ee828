//! `streamalert explain`: what a rule looks at in a record, what it finds there, and what it makes of it.

use super::run::{Output, say};
use crate::Failure;
use crate::authoring::checkout;
use crate::authoring::components;
use crate::authoring::paint::Paint;
use crate::authoring::reasons::{self, Looked, LookedAny};
use crate::authoring::trial::{Sorted, Trial};
use crate::authoring::verdict::{log_lines, read_lines};
use anyhow::{Context, anyhow};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use streamalert_local::input::{DeclaredSource, file_source, stdin_source};
use streamalert_local::run::DataFolder;
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{LogBatch, Position};
use streamalert_pipeline::plugin::{Finding, Read, RuleInfo, RulePlugin};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::rules_engine::prefilter::has_datatype;
use streamalert_plugins::{LogLine, RuleComponent};

/// Show why a rule fires on a record, or why not
///
/// How the input is classified, which of the rule's conditions hold, which fields the rule reads and what they hold, what it
/// logs, its verdict and what that costs.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Name of the rule
    #[arg(long, value_name = "NAME")]
    rule: String,
    /// File of logs, or - for stdin: JSON documents, JSON lines, wrapped records, gzip
    #[arg(long, value_name = "FILE|-")]
    record: PathBuf,
    /// Folder of components [default: target/plugins, or plugins]
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Folder with schemas/, clusters/ and lookup_tables/ [default: the nearest conf/ upwards]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// What the input stands for, such as s3:my-bucket
    #[arg(long, value_name = "SERVICE:RESOURCE")]
    source: Option<DeclaredSource>,
    /// Folder the run keeps its indicators of compromise in, if threat_intel.json is enabled
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Show at most this many records, and all that the rule is asked about
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "Exit codes:
  0  explained, whatever the verdict
  1  the input could not be read
  2  a wrong argument or configuration, such as a rule that is not there";

pub fn run(args: Args) -> Result<(), Failure> {
    let here = Path::new(".");
    let config = args.config.clone().or_else(|| checkout::config(here)).ok_or_else(|| {
        Failure::Usage(anyhow!("there is no conf/ with schemas/ in it from here upwards; say where with --config"))
    })?;
    let mut trial = Trial::open(&config, &component_files(args.plugins.as_deref())?)?;
    if trial.find(&args.rule).is_none() {
        return Err(Failure::Usage(anyhow!("no rule {} is loaded; {}", args.rule, trial.rules_like(&args.rule))));
    }
    let declared = args.source.as_ref();
    let named = args.record.display().to_string();
    let (source, sorted) = match args.record.as_os_str() == "-" {
        true => {
            let source = stdin_source(declared);
            (source.clone(), trial.sort(source, std::io::stdin().lock()))
        }
        false => {
            let unreadable = |error: std::io::Error| Failure::Usage(anyhow!("read {named}: {error}"));
            let source = file_source(&args.record, declared).map_err(unreadable)?;
            let file = File::open(&args.record).map_err(unreadable)?;
            (source.clone(), trial.sort(source, file))
        }
    };
    let mut sorted = sorted.with_context(|| format!("read {named}"))?;
    if let Ok(data) = DataFolder::existing(&args.data) {
        trial.look_up(&mut sorted.batches, &data)?;
    }
    let cluster = trial.clusters.find(&source).map(|(cluster, _)| cluster.name.to_string());
    let Some((component, number)) = trial.find(&args.rule) else { return Ok(()) };
    let show = Show { paint: Paint::stdout(), output: args.output, info: &component.rules()[number] };
    show.head(component, &cluster, &source.service, &source.resource)?;
    show.all(component, number, &sorted, args.limit)
}

fn component_files(plugins: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let usual = ["target/plugins", "plugins"].map(Path::new);
    let folder = plugins.or_else(|| usual.into_iter().find(|folder| folder.is_dir())).ok_or_else(|| {
        Failure::Usage(anyhow!(
            "there is neither target/plugins nor plugins here; run `streamalert build`, or say where with --plugins"
        ))
    })?;
    let files = components::wasm_files(folder).map_err(Failure::Usage)?;
    match files.is_empty() {
        true => Err(Failure::Usage(anyhow!("{} holds no components (*.wasm); build some", folder.display()))),
        false => Ok(files),
    }
}

/// Everything about one record, as --output json has it.
#[derive(Serialize)]
struct Explanation {
    position: Position,
    log_type: String,
    /// Its keys are exactly those of the schema.
    exact: bool,
    /// The rule looks at this log type.
    log_matches: bool,
    conditions: Vec<Looked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<LookedAny>,
    /// `null`: the host does not ask the rule, since its logs or its conditions do not fit.
    asked: Option<Asked>,
}

#[derive(Serialize)]
struct Asked {
    reads: Vec<Read>,
    logs: Vec<LogLine>,
    fired: bool,
    title: Option<String>,
    severity: Option<&'static str>,
    dedup_key: Option<String>,
    context: Map<String, Value>,
    outputs: Vec<String>,
    fuel: Option<u64>,
    error: Option<String>,
}

struct Show<'a> {
    paint: Paint,
    output: Output,
    info: &'a RuleInfo,
}

impl Show<'_> {
    fn head(
        &self,
        component: &RuleComponent,
        cluster: &Option<String>,
        service: &str,
        resource: &str,
    ) -> Result<(), Failure> {
        if self.output == Output::Json {
            return Ok(());
        }
        say(&format!(
            "{}  {} {}",
            self.paint.strong(&format!("rule {}", printable(&self.info.name))),
            component.name(),
            self.paint.dim(&component.digest()[..12])
        ))?;
        let source = printable(&format!("{service}:{resource}"));
        match cluster {
            Some(cluster) => say(&format!("source {source}, of cluster {cluster}")),
            None => {
                say(&format!("source {source}, which no cluster names: every log type is tried; --source says another"))
            }
        }
    }

    fn all(&self, component: &RuleComponent, number: usize, sorted: &Sorted, limit: usize) -> Result<(), Failure> {
        let all = sorted.batches.iter().flat_map(|batch| (0..batch.records.len()).map(move |index| (batch, index)));
        let mut left_out = 0;
        for (at, (batch, index)) in all.enumerate() {
            let explanation = explain(component, number, batch, index);
            if at >= limit && explanation.asked.is_none() {
                left_out += 1;
                continue;
            }
            match self.output {
                Output::Json => say(&serde_json::to_string(&explanation).context("write the explanation")?)?,
                Output::Text => self.record(at + 1, &explanation)?,
            }
        }
        for letter in &sorted.dead {
            self.dead(letter)?;
        }
        if self.output == Output::Text {
            if left_out > 0 {
                say(&format!("\n{left_out} more records that the rule is not asked about; --limit shows them"))?;
            }
            if left_out == 0 && sorted.dead.is_empty() && sorted.batches.iter().all(|batch| batch.records.is_empty()) {
                say("\nthe input holds no record")?;
            }
        }
        Ok(())
    }

    fn record(&self, count: usize, about: &Explanation) -> Result<(), Failure> {
        let Position { offset, index, .. } = about.position;
        let place = self.paint.dim(&format!("byte {offset}, record {index} there"));
        say(&format!("\n{}  {place}", self.paint.strong(&format!("record {count}"))))?;
        let exact = if about.exact { "" } else { ", with keys the schema does not name" };
        say(&format!("  classified as {}{exact}", about.log_type))?;
        let mark = |holds: bool| if holds { self.paint.good("✓") } else { self.paint.bad("✗") };
        say(&format!("  {} logs: the rule looks at {}", mark(about.log_matches), self.info.scope()))?;
        for looked in &about.conditions {
            say(&format!("  {} when {}", mark(looked.holds), looked.text()))?;
        }
        for looked in &about.alternatives {
            say(&format!("  {} when {}", mark(looked.holds), looked.text()))?;
        }
        let Some(asked) = &about.asked else {
            let what =
                if about.log_matches { "a condition does not hold" } else { "it does not look at such a record" };
            return say(&format!("  not asked: {what}"));
        };
        for line in read_lines(&asked.reads).into_iter().chain(log_lines(&asked.logs)) {
            say(&format!("    {line}"))?;
        }
        let fuel = asked.fuel.map(|fuel| format!("  {}", self.paint.dim(&format!("fuel {fuel}")))).unwrap_or_default();
        if let Some(error) = &asked.error {
            return say(&format!("  {}: {}", self.paint.bad("failed"), printable(error)));
        }
        if !asked.fired {
            return say(&format!("  {}{fuel}", self.paint.strong("no finding")));
        }
        say(&format!("  {}{fuel}", self.paint.strong("fires")))?;
        let line = |name: &str, value: &str| say(&format!("    {name:<9} {}", printable(value)));
        line("title", asked.title.as_deref().unwrap_or_default())?;
        line("severity", asked.severity.unwrap_or_default())?;
        if let Some(key) = &asked.dedup_key {
            line("dedup key", key)?;
        }
        if !asked.outputs.is_empty() {
            line("outputs", &asked.outputs.join(", "))?;
        }
        for (index, (key, value)) in asked.context.iter().enumerate() {
            let name = if index == 0 { "context" } else { "" };
            say(&format!("    {name:<9} {}: {}", printable(key), reasons::shown(value)))?;
        }
        Ok(())
    }

    fn dead(&self, letter: &DeadLetter) -> Result<(), Failure> {
        if self.output == Output::Json {
            let line = json!({"position": letter.position, "dead": {
                "reason": letter.reason, "message": letter.message, "tried": letter.tried,
            }});
            return say(&line.to_string());
        }
        say(&format!(
            "\n{}  {}",
            self.paint.bad("not classified"),
            self.paint.dim(&format!("byte {}", letter.position.offset))
        ))?;
        say(&format!("  {}: {}", letter.reason.code(), printable(&letter.message)))
    }
}

fn explain(component: &RuleComponent, number: usize, batch: &LogBatch, index: usize) -> Explanation {
    let info = &component.rules()[number];
    let record = &batch.records[index];
    let fields = batch.fields(index);
    let log_matches = info.looks_at(&record.log_type) && has_datatype(info, &record.log_type, fields);
    let conditions: Vec<Looked> = info.when.iter().map(|condition| reasons::look(condition, fields)).collect();
    let alternatives: Vec<LookedAny> = info.options.when_any.iter().map(|any| reasons::look_any(any, fields)).collect();
    let ask =
        log_matches && conditions.iter().all(|looked| looked.holds) && alternatives.iter().all(|looked| looked.holds);
    Explanation {
        position: record.position,
        log_type: record.log_type.name.clone(),
        exact: record.exact,
        log_matches,
        conditions,
        alternatives,
        asked: ask.then(|| {
            let explained = component.explain(number, fields);
            let (judged, error) = match explained.verdict {
                Ok(judged) => (Some(judged), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let fuel = judged.as_ref().map(|judged| judged.fuel);
            let finding = judged.and_then(|judged| judged.findings.into_iter().next());
            asked(info, explained.reads, explained.logs, finding, fuel, error)
        }),
    }
}

/// The finding as it would stand in the alert: with what the rule's options say where it is silent.
fn asked(
    info: &RuleInfo,
    reads: Vec<Read>,
    logs: Vec<LogLine>,
    finding: Option<Finding>,
    fuel: Option<u64>,
    error: Option<String>,
) -> Asked {
    let fired = finding.is_some();
    let mut asked = Asked {
        reads,
        logs,
        fired,
        title: None,
        severity: None,
        dedup_key: None,
        context: Map::new(),
        outputs: Vec::new(),
        fuel,
        error,
    };
    if let Some(finding) = finding {
        asked.title = Some(finding.title.unwrap_or_else(|| info.name.clone()));
        asked.severity = Some(finding.severity.unwrap_or(info.options.severity).name());
        asked.dedup_key = finding.dedup_key;
        asked.context = info.options.context.clone();
        asked.context.extend(finding.context);
        asked.outputs = info.options.outputs.clone();
        asked.outputs.extend(finding.outputs);
        asked.outputs.sort();
        asked.outputs.dedup();
    }
    asked
}
