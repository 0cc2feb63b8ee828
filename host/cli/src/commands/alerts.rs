//! `streamalert alerts`: looks at what is stored, and at what became of it.

use super::run::{Output, say};
use crate::{Failure, cloud, functions};
use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_local::alert_text::alert_text;
use streamalert_local::clock::millis;
use streamalert_local::run::DataFolder;
use streamalert_pipeline::backend::{AlertDesk, Delivery, DeliveryFilter, DeliveryState};
use streamalert_pipeline::printable::printable;

/// Look at the alerts that are stored, and deliver them again
#[derive(clap::Args)]
pub struct Args {
    /// Folder the run keeps its alerts in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Those of the installation on AWS that DIR/aws.json names, instead of a folder's
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with = "data")]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The newest first, one line each; with --to or --state, what became of them, output by output
    List {
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        which: Which,
    },
    /// All of one alert
    Show { id: String },
    /// Deliver again what is owed or was given up; a run that is under way sees it within a second
    ///
    /// What was dropped needs --state dropped.
    Retry {
        /// Of this alert
        id: Option<String>,
        #[command(flatten)]
        which: Which,
        /// All of it
        #[arg(long)]
        all: bool,
    },
    /// Give up what is owed, and take note of what was given up: nobody is reminded of it any more. The alerts stay
    Drop {
        /// Of this alert
        id: Option<String>,
        #[command(flatten)]
        which: Which,
        /// All of it
        #[arg(long)]
        all: bool,
    },
}

#[derive(clap::Args)]
struct Which {
    /// Only of this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only to this output, a service or service:descriptor
    #[arg(long, value_name = "OUTPUT")]
    to: Option<String>,
    /// Only what is in this state
    #[arg(long, value_enum)]
    state: Option<State>,
}

#[derive(Clone, Copy, ValueEnum)]
enum State {
    /// To be delivered, or tried again
    Owed,
    /// Waits to be merged
    Waiting,
    Delivered,
    /// Given up, and nobody has taken note
    Dead,
    /// Given up by an operator
    Dropped,
}

impl Which {
    fn filter(&self, alert_id: Option<String>) -> DeliveryFilter {
        let state = self.state.map(|state| match state {
            State::Owed => DeliveryState::Owed,
            State::Waiting => DeliveryState::Waiting,
            State::Delivered => DeliveryState::Delivered,
            State::Dead => DeliveryState::Dead,
            State::Dropped => DeliveryState::Dropped,
        });
        DeliveryFilter { alert_id, output: self.to.clone(), rule: self.rule.clone(), state }
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let cloud = args.aws.as_deref().map(cloud::connect).transpose()?;
    let table: Box<dyn AlertDesk> = match &cloud {
        Some(cloud) => Box::new(DynamoAlerts::new(cloud.aws.clone(), &cloud.names)),
        None => Box::new(DataFolder::existing(&args.data).map_err(Failure::Usage)?.alerts()?),
    };
    let table = &*table;
    match args.command {
        Command::List { limit, which } if which.to.is_some() || which.state.is_some() => {
            let all = table.deliveries(&which.filter(None), limit).context("list the deliveries")?;
            all.iter().try_for_each(|delivery| say(&delivery_line(delivery, args.output)?))
        }
        Command::List { limit, which } => {
            for alert in table.list(which.rule.as_deref(), limit).context("list the alerts")? {
                say(&match args.output {
                    Output::Json => serde_json::to_string(&alert).context("write an alert")?,
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
        Command::Show { id } => show(table, &id, args.output),
        Command::Retry { id, which, all } => {
            let filter = filter(table, id, &which, all)?;
            let count = table.retry(&filter, millis()).context("make deliveries due again")?;
            match &cloud {
                None => told(count, "due again; `streamalert run` delivers them"),
                Some(_) if count == 0 => told(count, "due again"),
                Some(cloud) => match functions::start(cloud, "alert_processor", "{}") {
                    Ok(()) => told(count, "due again, and the alert processor is at work"),
                    Err(Failure::Running(why) | Failure::Usage(why)) => {
                        told(count, "due again; the alert merger's next round delivers them");
                        eprintln!("the alert processor could not be woken for it: {why:#}");
                    }
                },
            }
            Ok(())
        }
        Command::Drop { id, which, all } => {
            let filter = filter(table, id, &which, all)?;
            let count = table.drop_deliveries(&filter, millis()).context("drop deliveries")?;
            told(count, "dropped");
            Ok(())
        }
    }
}

fn told(count: u64, what: &str) {
    let noun = if count == 1 { "delivery is" } else { "deliveries are" };
    eprintln!("{count} {noun} {what}");
}

/// What is to be changed; all of it only if somebody says so.
fn filter(table: &dyn AlertDesk, id: Option<String>, which: &Which, all: bool) -> Result<DeliveryFilter, Failure> {
    if let Some(id) = &id
        && table.get(id).context("get the alert")?.is_none()
    {
        return Err(anyhow!("there is no alert {id}").into());
    }
    let filter = which.filter(id);
    let anything =
        filter.alert_id.is_none() && filter.output.is_none() && filter.rule.is_none() && filter.state.is_none();
    if anything && !all {
        return Err(Failure::Usage(anyhow!("say which: the id of an alert, --rule, --to, --state, or --all")));
    }
    Ok(filter)
}

fn delivery_line(delivery: &Delivery, output: Output) -> Result<String, Failure> {
    Ok(match output {
        Output::Json => serde_json::to_string(delivery).context("write a delivery")?,
        Output::Text => {
            let what = delivery_text(delivery);
            format!("{}  {}  {what}", delivery.alert_id, printable(&delivery.rule_name))
        }
    })
}

/// `slack:security  owed, next attempt 2026-…, after 3 attempts: 503 Service Unavailable`
fn delivery_text(delivery: &Delivery) -> String {
    let mut text = format!("{}  {}", printable(&delivery.output), delivery.state.name());
    if let Some(at) = &delivery.delivered_at {
        text.push_str(&format!(" {at}"));
    }
    if let Some(next) = delivery.next_try.as_ref().filter(|_| delivery.attempts > 0) {
        text.push_str(&format!(", next attempt {next}"));
    }
    match delivery.attempts {
        0 => {}
        1 => text.push_str(", after 1 attempt"),
        many => text.push_str(&format!(", after {many} attempts")),
    }
    let said = delivery.receipt.as_ref().or(delivery.last_error.as_ref());
    if let Some(said) = said {
        text.push_str(&format!(": {}", printable(said)));
    }
    text
}

fn show(table: &dyn AlertDesk, id: &str, output: Output) -> Result<(), Failure> {
    let alert = table.get(id).context("get the alert")?.ok_or_else(|| anyhow!("there is no alert {id}"))?;
    let of_it = DeliveryFilter { alert_id: Some(id.to_owned()), ..DeliveryFilter::default() };
    let deliveries = table.deliveries(&of_it, usize::MAX).context("list the deliveries")?;
    let merged = table.merged_into(id).context("get the alert")?;
    if output == Output::Json {
        let mut value = serde_json::to_value(&alert).context("write an alert")?;
        value["deliveries"] = serde_json::to_value(&deliveries).context("write the deliveries")?;
        value["merged_into"] = serde_json::to_value(&merged).context("write an alert")?;
        return say(&value.to_string());
    }
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(alert_text(&alert, color).trim_end())?;
    match merged.as_deref() {
        Some("") => say("  merged    into none: too few within the window, so nobody was told")?,
        Some(into) => say(&format!("  merged    into alert {into}"))?,
        None => {}
    }
    for delivery in &deliveries {
        say(&format!("  to        {}", delivery_text(delivery)))?;
    }
    // Of JSON text, only what is no control character remains: serde_json escapes the others.
    let record = serde_json::to_string_pretty(&alert.record.to_value()).context("write the record")?;
    for line in record.lines() {
        say(&format!("  {}", printable(line)))?;
    }
    Ok(())
}
