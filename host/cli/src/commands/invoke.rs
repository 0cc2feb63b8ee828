//! `streamalert invoke`: one function on AWS, with an event from a file.

use super::run::say;
use crate::{Failure, cloud, functions};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use std::io::Read;
use std::path::PathBuf;

/// Invoke a function on AWS with the event in a file, and print its answer
///
/// Its log goes to stderr. An event that a queue or topic brought is sent as the function gets it.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[arg(value_enum)]
    stage: Stage,
    /// A JSON file, or - for stdin; without one, the event is {}
    #[arg(value_name = "FILE|-")]
    event: Option<PathBuf>,
    /// Folder with aws.json
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Do not wait for the answer
    #[arg(long)]
    detach: bool,
}

const AFTER_HELP: &str = "Exit codes:
  0  it answered
  1  it failed, or could not be reached
  2  a wrong argument or configuration";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Stage {
    Classifier,
    RulesEngine,
    AlertMerger,
    AlertProcessor,
    PluginCompiler,
    Apps,
    AthenaPartitioner,
    RulePromotion,
    ScheduledQueries,
    ThreatIntelDownloader,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Classifier => "classifier",
            Stage::RulesEngine => "rules_engine",
            Stage::AlertMerger => "alert_merger",
            Stage::AlertProcessor => "alert_processor",
            Stage::PluginCompiler => "plugin_compiler",
            Stage::Apps => "apps",
            Stage::AthenaPartitioner => "athena_partitioner",
            Stage::RulePromotion => "rule_promotion",
            Stage::ScheduledQueries => "scheduled_queries",
            Stage::ThreatIntelDownloader => "threat_intel_downloader",
        }
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let event = match &args.event {
        None => "{}".to_owned(),
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("read the event from stdin")?;
            text
        }
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(anyhow!("read the event in {}: {error}", path.display())))?,
    };
    serde_json::from_str::<serde::de::IgnoredAny>(&event)
        .map_err(|error| Failure::Usage(anyhow!("the event is no JSON: {error}")))?;
    let cloud = cloud::connect(&args.config)?;
    if args.detach {
        return functions::start(&cloud, args.stage.name(), &event);
    }
    let invoked = functions::invoke(&cloud, args.stage.name(), &event)?;
    eprint!("{}", invoked.log);
    say(&invoked.answer()?)
}
