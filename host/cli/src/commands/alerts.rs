//! `streamalert alerts`: looks at what is stored.

use super::run::{Output, say};
use crate::Failure;
use anyhow::{Context, anyhow};
use clap::Subcommand;
use std::io::IsTerminal;
use std::path::PathBuf;
use streamalert_local::alert_text::{alert_text, printable};
use streamalert_local::run::DataFolder;
use streamalert_pipeline::backend::AlertTable;

/// Look at the alerts that are stored
#[derive(clap::Args)]
pub struct Args {
    /// Folder the run keeps its alerts in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The newest first, one line each
    List {
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Only of this rule
        #[arg(long, value_name = "NAME")]
        rule: Option<String>,
    },
    /// All of one alert
    Show { id: String },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let table = DataFolder::existing(&args.data).map_err(Failure::Usage)?.alerts()?;
    match args.command {
        Command::List { limit, rule } => {
            let all = rule.as_ref().map_or(limit, |_| usize::MAX);
            let alerts = table.list(all).context("list the alerts")?;
            let wanted = alerts.iter().filter(|alert| rule.as_ref().is_none_or(|rule| *rule == alert.rule_name));
            for alert in wanted.take(limit) {
                say(&match args.output {
                    Output::Json => serde_json::to_string(alert).context("write an alert")?,
                    Output::Text => format!(
                        "{}  {}  {:<8}  {}  {}",
                        alert.id,
                        alert.created,
                        alert.severity.name(),
                        printable(&alert.rule_name),
                        printable(&alert.title)
                    ),
                })?;
            }
            Ok(())
        }
        Command::Show { id } => {
            let alert = table.get(&id).context("get the alert")?.ok_or_else(|| anyhow!("there is no alert {id}"))?;
            match args.output {
                Output::Json => say(&serde_json::to_string(&alert).context("write an alert")?),
                Output::Text => {
                    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                    say(alert_text(&alert, color).trim_end())?;
                    // Of JSON text, only what is no control character remains: serde_json escapes the others.
                    let record = serde_json::to_string_pretty(&alert.record.to_value()).context("write the record")?;
                    for line in record.lines() {
                        say(&format!("  {}", printable(line)))?;
                    }
                    Ok(())
                }
            }
        }
    }
}
