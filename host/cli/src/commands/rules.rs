//! `streamalert rules`: which rules there are, and which of them are on trial or switched off.

use super::run::{Output, say};
use crate::{Failure, cloud, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_aws::rules_bucket::RulesBucket;
use streamalert_local::clock::millis;
use streamalert_local::run::DataFolder;
use streamalert_pipeline::backend::{RuleState, RuleTable};
use streamalert_pipeline::staging::{Standing, States};
use streamalert_pipeline::time::{Millis, rfc3339};

/// See which rules there are; put rules on trial, let them go live, switch them off
///
/// Alerts of a rule on trial are stored for searching, and nobody is told of them. A run that is under way sees a decision within a
/// second, functions on AWS within half a minute.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  it is so now
  1  it could not be read or written
  2  a wrong argument or configuration, or there is no such rule; nothing was changed")]
pub struct Args {
    /// Folder the run keeps its alerts in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Folder of the components
    #[arg(long, value_name = "DIR", default_value = "plugins", global = true)]
    plugins: PathBuf,
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Those of the installation on AWS that DIR/aws.json names, instead of folders here
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["data", "plugins", "config"])]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All rules, one line each: live, staged or disabled
    List,
    /// Put rules on trial, as the components have them now
    Stage {
        #[arg(value_name = "RULE", required = true)]
        rules: Vec<String>,
        /// How long, as 36h or 2d; then they are live by themselves [default: until promoted]
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<SignedDuration>,
    },
    /// End a trial: their alerts are delivered from now on
    #[command(visible_alias = "unstage")]
    Promote {
        #[arg(value_name = "RULE", required = true)]
        rules: Vec<String>,
    },
    /// Switch rules off, all their versions: records are not shown to them
    Disable {
        #[arg(value_name = "RULE", required = true)]
        rules: Vec<String>,
    },
    /// Switch rules on again; one that was on trial is so again
    Enable {
        #[arg(value_name = "RULE", required = true)]
        rules: Vec<String>,
    },
}

/// What becomes of a rule by a decision; `None`: no such decision can be made about it.
type Decide<'a> = Box<dyn Fn(&str) -> Option<RuleState> + 'a>;

/// A rule that a component has.
struct Known {
    /// The component's file.
    file: String,
    digest: String,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match &args.aws {
        Some(folder) => {
            let cloud = cloud::connect(folder)?;
            let bucket = RulesBucket::new(&cloud.aws, cloud.names.rules_bucket());
            let (verdicts, _) = cloud.aws.wait(bucket.verdicts()).context("read the verdicts")?;
            let mut known = BTreeMap::new();
            for (file, verdict) in verdicts.plugins {
                // Where the newest upload was refused, the version before serves.
                let digest = verdict.serving.unwrap_or(verdict.digest);
                let rules = verdict.names.into_iter().filter(|_| verdict.world.as_deref() == Some("rule"));
                known.extend(rules.map(|rule| (rule, Known { file: file.clone(), digest: digest.clone() })));
            }
            let table = DynamoRules::new(cloud.aws.clone(), &cloud.names);
            work(&table, &known, args.command, args.output)
        }
        None => {
            let config = rules::config(&args.config, None)?;
            let data = DataFolder::open(&args.data)?;
            let mut plugins = rules::open(&args.plugins, &data.cache(), &config)?;
            let loaded = plugins.source.load();
            loaded.notices.iter().for_each(|notice| eprintln!("{notice}"));
            let mut known = BTreeMap::new();
            for plugin in &loaded.set.plugins {
                let of = || Known { file: plugin.name().to_owned(), digest: plugin.digest().to_owned() };
                known.extend(plugin.rules().iter().map(|rule| (rule.name.clone(), of())));
            }
            work(&data.rules(), &known, args.command, args.output)
        }
    }
}

fn work(
    table: &dyn RuleTable,
    known: &BTreeMap<String, Known>,
    command: Command,
    output: Output,
) -> Result<(), Failure> {
    let states = table.all().map_err(anyhow::Error::from)?;
    let now = millis();
    let (named, change): (_, Decide<'_>) = match command {
        Command::List => return list(known, &states, now, output),
        Command::Stage { rules, time } => {
            let until = time.map(|time| now + i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2));
            let states = states.clone();
            let change = move |rule: &str| {
                let digest = known.get(rule)?.digest.clone();
                let disabled = states.get(rule).is_some_and(|state| state.disabled);
                Some(RuleState { staged: true, digest, since: now, until, disabled, ..RuleState::default() })
            };
            (rules, Box::new(change))
        }
        Command::Promote { rules } => {
            let states = states.clone();
            let change = move |rule: &str| {
                let digest = known.get(rule).map(|known| known.digest.clone());
                let before = states.get(rule);
                let digest = digest.or_else(|| Some(before?.digest.clone())).unwrap_or_default();
                let disabled = before.is_some_and(|state| state.disabled);
                Some(RuleState { digest, since: now, disabled, ..RuleState::default() })
            };
            (rules, Box::new(change))
        }
        Command::Disable { rules } => (rules, switch(&states, now, true)),
        Command::Enable { rules } => (rules, switch(&states, now, false)),
    };
    // Before anything is changed: a name that is mistyped is no decision.
    let unknown: Vec<&str> = named
        .iter()
        .filter(|rule| !known.contains_key(*rule) && !states.contains_key(*rule))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        let there: Vec<&str> = known.keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Err(Failure::Usage(anyhow!("there is no rule {}; there are {there}", unknown.join(", "))));
    }
    for rule in &named {
        let Some(state) = change(rule) else {
            return Err(Failure::Usage(anyhow!("{rule} is in no component now, so no version of it can be on trial")));
        };
        table.put(rule, &state).map_err(anyhow::Error::from)?;
        let digest = known.get(rule).map_or("", |known| known.digest.as_str());
        let states = States::from([(rule.clone(), state)]);
        tell(rule, known.get(rule), Standing::of(&states, rule, digest, now), states.get(rule), output)?;
    }
    Ok(())
}

fn switch(states: &States, now: Millis, disabled: bool) -> Decide<'static> {
    let states = states.clone();
    Box::new(move |rule| {
        let live = RuleState { since: now, disabled, ..RuleState::default() };
        let changed = |state: &RuleState| RuleState { disabled, since: now, ..state.clone() };
        Some(states.get(rule).map_or(live, changed))
    })
}

fn list(known: &BTreeMap<String, Known>, states: &States, now: Millis, output: Output) -> Result<(), Failure> {
    for (rule, of) in known {
        tell(rule, Some(of), Standing::of(states, rule, &of.digest, now), states.get(rule), output)?;
    }
    // What was decided about rules that no component has now: it counts again when they come back.
    for (rule, state) in
        states.iter().filter(|(rule, state)| !known.contains_key(*rule) && (state.staged || state.disabled))
    {
        tell(rule, None, Standing::of(states, rule, &state.digest, now), Some(state), output)?;
    }
    Ok(())
}

fn tell(
    rule: &str,
    known: Option<&Known>,
    standing: Standing,
    state: Option<&RuleState>,
    output: Output,
) -> Result<(), Failure> {
    let state = state.filter(|_| standing != Standing::Live);
    let since = state.map(|state| rfc3339(state.since));
    let until = state.filter(|_| standing == Standing::Staged).and_then(|state| state.until).map(rfc3339);
    match output {
        Output::Json => say(&json!({
            "rule": rule, "standing": standing.name(), "component": known.map(|known| &known.file),
            "digest": known.map(|known| &known.digest), "since": since, "until": until,
        })
        .to_string()),
        Output::Text => {
            let mut line = format!("{:<8}  {rule}", standing.name());
            line.push_str(&match known {
                Some(known) => format!("  {} ({})", known.file, &known.digest[..known.digest.len().min(12)]),
                None => "  in no component now".to_owned(),
            });
            if let Some(since) = since {
                line.push_str(&format!("  since {since}"));
            }
            if let Some(until) = until {
                line.push_str(&format!(" until {until}"));
            }
            say(&line)
        }
    }
}

/// `90m`, `36h`, `2d`, and what jiff reads besides.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is no time; write it as 36h or 2d");
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
    let time = match days {
        Some(days) => SignedDuration::from_hours(days.checked_mul(24).ok_or_else(wrong)?),
        None => text.parse::<SignedDuration>().map_err(|_| wrong())?,
    };
    let ends = Timestamp::now().checked_add(time).is_ok();
    if time.is_positive() && ends { Ok(time) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_write_them() {
        for (text, hours) in [("36h", 36), ("2d", 48), ("1h 30m", 1), ("90m", 1)] {
            assert_eq!(duration(text).unwrap().as_hours(), hours, "{text}");
        }
        for text in ["", "2", "-1h", "0d", "soon", "99999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
