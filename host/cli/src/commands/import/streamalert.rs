//! `streamalert import streamalert`: a repository made for StreamAlert 3.

mod apps;
mod cases;
mod conf;
mod report;

use super::{REPORT, make_room, write};
use crate::authoring::languages::Language;
use crate::authoring::paint::Paint;
use crate::authoring::trial::Trial;
use crate::commands::run::{Output, say};
use crate::{Failure, rules};
use anyhow::{Context, anyhow};
use conf::Conf;
use report::{Components, Report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use streamalert_pipeline::alert_processor::publishers::NATIVE as PUBLISHERS;
use streamalert_pipeline::limits::MERGE_MINUTES_MAX;

/// A repository made for StreamAlert 3
///
/// Its rules, matchers and publishers run as they are, in a component with Python in it; what their decorators say becomes what
/// the host is told, and where it is safe, what a rule compares becomes a condition of the prefilter. Schemas, clusters, outputs
/// and test events come along. What could not be brought over is in REPORT.md.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder of the repository, with conf/ and rules/ in it
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// Where plugins/, conf/, cases/ and REPORT.md go; what an earlier import left there is replaced
    #[arg(long, value_name = "DIR", default_value = "imported")]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str =
    "Needs Python 3.11 or later; componentize-py and what the repository's third_party_libraries name are fetched
from PyPI. The code of the repository runs in a sandbox only, also while the component is made.

Exit codes:
  0  all rules are there, but for disabled ones
  1  some rules are not there, or could not be; see the report
  2  a wrong argument, or the repository's configuration cannot be read";

/// What an import writes beside the report.
const WRITTEN: [&str; 3] = ["plugins", "conf", "cases"];
/// One half of the work is done in Python.
const SCRIPT: &str = "import_streamalert.py";

pub fn run(args: Args) -> Result<(), Failure> {
    let usage = |error: anyhow::Error| Failure::Usage(error);
    let repository = &args.repository;
    if !repository.join("conf").is_dir() {
        return Err(usage(anyhow!(
            "{} has no conf/: name the folder of a repository made for StreamAlert 3",
            repository.display()
        )));
    }
    make_room(&args.out, &WRITTEN).map_err(usage)?;
    let conf = Conf::read(repository).map_err(usage)?;
    conf.write(&args.out.join("conf"))?;

    let plugins = args.out.join("plugins");
    let components = components(repository, &conf, &plugins)?;
    let cases = cases::bring(repository, &conf, &components, &args.out.join("cases"))?;
    let mut report = Report { repository: repository.display().to_string(), components, conf: conf.notes, cases };
    check(&args.out, &mut report)?;

    let text = report.text();
    write(&args.out.join(REPORT), &text)?;
    match args.output {
        Output::Json => say(&serde_json::to_string(&report).context("write the report")?)?,
        Output::Text => summary(&args.out, &report)?,
    }
    match report.lost() {
        0 => Ok(()),
        lost => {
            Err(Failure::Running(anyhow!("{lost} could not be brought over; see {}", args.out.join(REPORT).display())))
        }
    }
}

/// Lets Python make the components.
fn components(repository: &Path, conf: &Conf, plugins: &Path) -> Result<Components, Failure> {
    let sdk = Language::Python.sdk(repository).map_err(Failure::Usage)?;
    let known = json!({
        "log_types": conf.log_types,
        "datatypes": conf.datatypes,
        "services": conf::services(),
        "outputs": conf.renamed,
        "publishers": PUBLISHERS.iter().flat_map(|(ours, theirs, ..)| [*ours, *theirs]).filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "merge_minutes_max": MERGE_MINUTES_MAX,
    });
    let place = tempfile::tempdir().context("make a temporary folder")?;
    let file = place.path().join("known.json");
    write(&file, &known.to_string())?;
    let mut command = Command::new("python3");
    command.arg(sdk.join(SCRIPT)).arg(repository).arg("--known").arg(&file).arg("--out").arg(plugins);
    let done = command.stderr(Stdio::inherit()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::Usage(anyhow!("python3 is not there: install Python 3.11 or later, with venv; https://python.org"))
        }
        _ => Failure::Running(anyhow!("start python3: {error}")),
    })?;
    if !done.status.success() {
        return Err(Failure::Running(anyhow!("no components could be made of {}; see above", repository.display())));
    }
    let told: Value = serde_json::from_slice(&done.stdout).context("read what Python says of the rules")?;
    Ok(serde_json::from_value(told).context("read what Python says of the rules")?)
}

/// The components are loaded as the host would, against the configuration that was made.
fn check(out: &Path, report: &mut Report) -> Result<(), Failure> {
    let (plugins, config) = (out.join("plugins"), out.join("conf"));
    let files = ["rules.wasm", "publishers.wasm"].map(|name| plugins.join(name));
    let files: Vec<PathBuf> = files.into_iter().filter(|file| file.is_file()).collect();
    if files.is_empty() {
        // There may be a configuration without rules; it must be readable all the same.
        rules::config(&config, None)?;
        return Ok(());
    }
    let trial = Trial::open(&config, &files)?;
    report.conf.extend(trial.unknown().into_iter().map(|message| report::Note::new("conf/outputs.json", message)));
    Ok(())
}

fn summary(out: &Path, report: &Report) -> Result<(), Failure> {
    let paint = Paint::stdout();
    let Report { components, conf, cases, .. } = report;
    say(&format!(
        "{} rules, {} publishers",
        paint.good(&components.rules.len().to_string()),
        components.publishers.len()
    ))?;
    for broken in &components.broken {
        say(&format!("{} {}: {}", paint.bad("✗"), broken.file, broken.why))?;
    }
    for left in &components.left_out {
        let mark = if left.is_disabled() { paint.dim("-") } else { paint.bad("✗") };
        say(&format!("{mark} {} ({}): {}", left.rule, left.file, left.why))?;
    }
    say(&format!("{} case files, {} notes on the configuration", cases.files, conf.len()))?;
    let (report, folder) = (out.join(REPORT), out.display());
    say(&format!("what to look at: {}", report.display()))?;
    if !components.rules.is_empty() && cases.files > 0 {
        say(&format!("next: streamalert test {folder}/cases --plugins {folder}/plugins --config {folder}/conf"))?;
    }
    Ok(())
}
