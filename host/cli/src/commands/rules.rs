//! `streamalert rules`: which rules there are, and which of them are on trial or switched off.

use super::run::{Output, say};
use crate::{Failure, cloud, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::rule_costs::S3RuleCosts;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_aws::rules_bucket::RulesBucket;
use streamalert_local::clock::millis;
use streamalert_local::run::DataFolder;
use streamalert_local::staging::LastLook;
use streamalert_local::tally::grouped;
use streamalert_pipeline::alert::Trial;
use streamalert_pipeline::backend::{AlertDesk, RuleCost, RuleLedger, RuleState, RuleTable, TrialKey, TrialTable};
use streamalert_pipeline::config::staging::Changed;
use streamalert_pipeline::config::{RuleStaging, staging};
use streamalert_pipeline::rule_promotion::{Review, on_trial, review};
use streamalert_pipeline::staging::{Fleet, Standing, States, enable, is_decided, promote, settle, stage};
use streamalert_pipeline::time::{Millis, rfc3339};
use streamalert_plugins::loader::unknown_rules;

/// See which rules there are, what they cost and how trials stand; put rules on trial, let them go live, switch them off
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
    /// All rules, one line each: live, staged, disabled, or new if no run has had this version yet
    List,
    /// Put rules on trial, as the components have them now; of one that is on trial, the time begins anew
    Stage {
        #[arg(value_name = "RULE", required = true)]
        rules: Vec<String>,
        /// How long, as 36h or 2d; then they are live by themselves [default: until promoted, by hand or as rule_staging.json says]
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Millis>,
    },
    /// End a trial: their alerts are delivered from now on, and a version before goes
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
    /// How trials stand: what they raised, what becomes of them, what the versions cost
    Report {
        #[arg(value_name = "RULE")]
        rules: Vec<String>,
    },
    /// What rules did and took, by log type, since it is counted
    Stats {
        #[arg(value_name = "RULE")]
        rules: Vec<String>,
    },
}

/// Times that a decision is made anew because somebody else has decided meanwhile.
const ATTEMPTS: usize = 8;
/// Alerts of a rule that are looked through for examples, and ids that are named of each kind.
const LOOKED_THROUGH: usize = 500;
const EXAMPLES: usize = 3;

/// A rule that a component has.
struct Known {
    /// The component's file.
    file: String,
    digest: String,
    /// The file is another one now, which is refused; it is of the version before, which is live as long as the run goes on.
    refused: bool,
}

/// What becomes of a version that no run has seen yet, at the next start.
enum Next {
    Live,
    /// On trial, and beside which version.
    Staged(Option<String>),
}

/// What there is to know of rules, here or on AWS.
struct Place<'a> {
    known: BTreeMap<String, Known>,
    /// Digest of the component of each rule that a run has had last, where that decides what becomes of others.
    last: Option<Fleet>,
    table: &'a dyn RuleTable,
    trials: &'a dyn TrialTable,
    ledger: &'a dyn RuleLedger,
    desk: &'a dyn AlertDesk,
    policy: Option<RuleStaging>,
    output: Output,
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
                let of = |rule| (rule, Known { file: file.clone(), digest: digest.clone(), refused: false });
                known.extend(rules.map(of));
            }
            // As the functions have it.
            let policy = match &verdicts.conf.digest {
                Some(digest) if matches!(args.command, Command::List | Command::Report { .. }) => {
                    let files =
                        cloud.aws.wait(bucket.get_conf(digest)).context("read the configuration that is live")?;
                    let read = |text: &String| RuleStaging::read(staging::FILE, text).map_err(anyhow::Error::from);
                    files.get(staging::FILE).map(read).transpose()?
                }
                _ => None,
            };
            let table = DynamoRules::new(cloud.aws.clone(), &cloud.names);
            let alerts = DynamoAlerts::new(cloud.aws.clone(), &cloud.names);
            let costs = S3RuleCosts::new(&cloud.aws, &cloud.names, Duration::ZERO, millis);
            let (table, trials, ledger, desk) = (&table, &alerts, &costs, &alerts);
            Place { known, last: None, table, trials, ledger, desk, policy, output: args.output }.work(args.command)
        }
        None => {
            let config = rules::config(&args.config, None)?;
            // To look into a folder that is not there is a mistake; what is decided before the first run is kept in a new one.
            let data = match args.command {
                Command::List | Command::Report { .. } | Command::Stats { .. } => {
                    DataFolder::existing(&args.data).map_err(Failure::Usage)?
                }
                _ => DataFolder::open(&args.data)?,
            };
            let mut plugins = rules::open(&args.plugins, &data.cache(), &config)?;
            let loaded = plugins.source.load();
            loaded.notices.iter().for_each(|notice| eprintln!("{notice}"));
            let mut known = BTreeMap::new();
            for plugin in &loaded.set.plugins {
                let (file, digest) = (plugin.name().to_owned(), plugin.digest().to_owned());
                let of = || Known { file: file.clone(), digest: digest.clone(), refused: false };
                known.extend(plugin.rules().iter().map(|rule| (rule.name.clone(), of())));
            }
            let last = data.staging(None, &args.plugins, false).last_look().map_err(anyhow::Error::from)?;
            // Where a file is refused, a run goes on with the version before.
            let loaded: BTreeSet<&str> = loaded.set.plugins.iter().map(|plugin| plugin.name()).collect();
            for (rule, digest) in last.iter().flat_map(|last| &last.rules) {
                let file = last.iter().find_map(|last| last.files.get(digest));
                let refused = |file: &&String| !loaded.contains(file.as_str()) && args.plugins.join(file).is_file();
                if let Some(file) = file.filter(refused).cloned()
                    && !known.contains_key(rule)
                {
                    known.insert(rule.clone(), Known { file, digest: digest.clone(), refused: true });
                }
            }
            let (table, alerts) = (data.rules(), data.alerts()?);
            let policy = config.rule_staging;
            let staged = policy.as_ref().is_some_and(|policy| policy.enabled);
            let last = last.as_ref().and_then(LastLook::fleet).filter(|_| staged).cloned();
            let (table, trials, ledger, desk) = (&table, &alerts, &alerts, &alerts);
            Place { known, last, table, trials, ledger, desk, policy, output: args.output }.work(args.command)
        }
    }
}

/// What an operator decides.
enum Decision {
    Stage(Option<Millis>),
    Promote,
    Disable,
    Enable,
}

impl Place<'_> {
    fn work(&self, command: Command) -> Result<(), Failure> {
        if let (Some(policy), Command::List | Command::Report { .. }) = (&self.policy, &command) {
            unknown_rules(policy, self.known.keys()).iter().for_each(|warning| eprintln!("warning: {warning}"));
        }
        match command {
            Command::List => self.list(),
            Command::Stage { rules, time } => self.decide(&rules, &Decision::Stage(time)),
            Command::Promote { rules } => self.decide(&rules, &Decision::Promote),
            Command::Disable { rules } => self.decide(&rules, &Decision::Disable),
            Command::Enable { rules } => self.decide(&rules, &Decision::Enable),
            Command::Report { rules } => self.report(&rules),
            Command::Stats { rules } => self.stats(&rules),
        }
    }

    fn states(&self) -> Result<States, Failure> {
        Ok(self.table.all().map_err(anyhow::Error::from)?)
    }

    /// Before anything is changed: a name that is mistyped is no decision.
    fn check(&self, rules: &[String], states: &States) -> Result<(), Failure> {
        let is_known = |rule: &&String| self.known.contains_key(*rule) || states.contains_key(*rule);
        let unknown: Vec<&str> = rules.iter().filter(|rule| !is_known(rule)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let there: Vec<&str> = self.known.keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Err(Failure::Usage(anyhow!("there is no rule {}; there are {there}", unknown.join(", "))))
    }

    fn decide(&self, rules: &[String], decision: &Decision) -> Result<(), Failure> {
        let states = self.states()?;
        self.check(rules, &states)?;
        let gone = rules.iter().find(|rule| !self.known.contains_key(*rule));
        if let (Decision::Stage(_), Some(rule)) = (decision, gone) {
            return Err(Failure::Usage(anyhow!("{rule} is in no component now, so no version of it can be on trial")));
        }
        for rule in rules {
            let mut states = states.clone();
            let mut attempt = 0;
            let after = loop {
                let before = states.get(rule);
                let after = self.after(rule, before, decision);
                if self.table.replace(rule, before, after.as_ref()).map_err(anyhow::Error::from)? {
                    break after;
                }
                attempt += 1;
                if attempt == ATTEMPTS {
                    return Err(anyhow!("others decide about {rule} all the time; try it again").into());
                }
                states = self.states()?;
            };
            let states: States = after.map(|after| (rule.clone(), after)).into_iter().collect();
            self.tell(rule, &states, millis())?;
        }
        Ok(())
    }

    /// What is decided about a rule then.
    fn after(&self, rule: &str, before: Option<&RuleState>, decision: &Decision) -> Option<RuleState> {
        let now = millis();
        let known = self.known.get(rule);
        // What a run has had last; the component may have another version since.
        let last = self.last.as_ref().filter(|_| known.is_some());
        let old = last.and_then(|last| last.get(rule)).map(String::as_str);
        let digest = known.map(|known| &known.digest).or_else(|| Some(&before?.digest)).map_or("", String::as_str);
        match decision {
            Decision::Stage(time) => {
                let until = time.map(|time| now.saturating_add(time));
                let alone = self.policy.as_ref().is_some_and(|policy| policy.changed(rule) == Changed::Stage);
                Some(stage(digest, old, before, until, alone, now))
            }
            Decision::Promote => Some(promote(digest, old, before, now)),
            Decision::Disable => Some(match before {
                Some(state) => RuleState { disabled: true, ..state.clone() },
                None => RuleState { disabled: true, since: now, ..RuleState::default() },
            }),
            Decision::Enable => before.and_then(enable),
        }
    }

    fn list(&self) -> Result<(), Failure> {
        let (states, now) = (self.states()?, millis());
        for rule in self.known.keys() {
            self.tell(rule, &states, now)?;
        }
        // What was decided about rules that no component has now: it counts again when they come back.
        for (rule, state) in &states {
            if !self.known.contains_key(rule) && (state.staged && state.gone.is_none() || state.disabled) {
                self.tell(rule, &states, now)?;
            }
        }
        Ok(())
    }

    fn tell(&self, rule: &str, states: &States, now: Millis) -> Result<(), Failure> {
        let known = self.known.get(rule);
        let state = states.get(rule);
        let digest = known.map_or_else(|| state.map_or("", |state| &state.digest), |known| &known.digest);
        let standing = Standing::of(states, rule, digest, now);
        let next = self.next(rule, states, now);
        let state = state.filter(|_| standing != Standing::Live);
        let trial = state.filter(|_| standing == Standing::Staged);
        let standing = match (standing, &next) {
            (Standing::Live, Some(_)) => "new",
            (standing, _) => standing.name(),
        };
        let since = state.map(|state| rfc3339(state.since));
        let until = trial.and_then(|state| state.until).map(rfc3339);
        let beside = trial.and_then(|state| state.beside.as_deref());
        match self.output {
            Output::Json => {
                let next = next.as_ref().map(|next| match next {
                    Next::Live => json!({"standing": "live", "beside": null}),
                    Next::Staged(beside) => json!({"standing": "staged", "beside": beside}),
                });
                say(&json!({
                    "rule": rule, "standing": standing, "component": known.map(|known| &known.file),
                    "digest": known.map(|known| &known.digest), "since": since, "until": until, "beside": beside,
                    "next": next, "refused": known.is_some_and(|known| known.refused),
                })
                .to_string())
            }
            Output::Text => {
                let mut line = format!("{standing:<8}  {rule}");
                line.push_str(&match known {
                    Some(known) => format!("  {} ({})", known.file, short(&known.digest)),
                    None => "  in no component now".to_owned(),
                });
                if let Some(since) = since {
                    line.push_str(&format!("  since {since}"));
                }
                if let Some(until) = until {
                    line.push_str(&format!(" until {until}"));
                }
                if let Some(beside) = beside {
                    line.push_str(&format!(", beside the version before, which is live ({})", short(beside)));
                }
                if known.is_some_and(|known| known.refused) {
                    line.push_str(
                        ", the version before the file that is refused now; it stays as long as the run goes on",
                    );
                }
                match next {
                    Some(Next::Live) => line.push_str(", which no run has had yet; the next start has it live"),
                    Some(Next::Staged(beside)) => {
                        line.push_str(", which no run has had yet; the next start puts it on trial");
                        if let Some(beside) = beside {
                            line.push_str(&format!(", beside the version before ({})", short(&beside)));
                        }
                    }
                    None => {}
                }
                say(&line)
            }
        }
    }

    /// What the next start makes of a version that no run has had yet, and about which nothing is decided.
    fn next(&self, rule: &str, states: &States, now: Millis) -> Option<Next> {
        let (last, policy) = (self.last.as_ref()?, self.policy.as_ref()?);
        let Known { digest, .. } = self.known.get(rule)?;
        if last.get(rule) == Some(digest) || states.get(rule).is_some_and(|state| is_decided(state, digest, now)) {
            return None;
        }
        let after = Fleet::from([(rule.to_owned(), digest.clone())]);
        let decided = settle(Some(last), &after, states, policy, &|_| false, now);
        let decision = decided.into_iter().find(|(of, _)| of == rule).and_then(|(_, state)| state);
        match decision.filter(|state| state.staged) {
            Some(state) => Some(Next::Staged(state.beside)),
            None => Some(Next::Live),
        }
    }

    fn report(&self, rules: &[String]) -> Result<(), Failure> {
        let states = self.states()?;
        self.check(rules, &states)?;
        let fleet: Fleet = self.known.iter().map(|(rule, known)| (rule.clone(), known.digest.clone())).collect();
        let now = millis();
        let mut trials = on_trial(&states, &fleet, now);
        trials.retain(|(key, _)| rules.is_empty() || rules.contains(&key.rule));
        let keys: Vec<TrialKey> = trials.iter().map(|(key, _)| key.clone()).collect();
        // What is not known is said, and what is known is, too.
        let counts = match self.trials.counts(&keys) {
            Ok(counts) => counts.into_iter().map(Some).collect(),
            Err(error) => {
                eprintln!("warning: {:#}", anyhow::Error::from(error));
                vec![None; keys.len()]
            }
        };
        let costs = self.ledger.all().map_err(anyhow::Error::from)?;
        for review in review(&trials, &counts, self.policy.as_ref(), now) {
            let examples = self.examples(&review.key)?;
            let trial = cost(&costs, &review.key.rule, &review.key.digest);
            let live = review.state.beside.as_ref().map(|digest| cost(&costs, &review.key.rule, digest));
            match self.output {
                Output::Json => {
                    let mut row = review.to_json();
                    row["component"] = json!(self.known.get(&review.key.rule).map(|known| &known.file));
                    row["examples"] = json!(examples);
                    row["cost"] = json!({"trial": cost_json(&trial), "live": live.as_ref().map(cost_json)});
                    say(&row.to_string())?;
                }
                Output::Text => say(&self.report_text(&review, &examples, &trial, live.as_ref()))?,
            }
        }
        for rule in rules.iter().filter(|rule| !keys.iter().any(|key| key.rule == **rule)) {
            eprintln!("{rule} is not on trial");
        }
        Ok(())
    }

    fn report_text(
        &self,
        review: &Review,
        examples: &BTreeMap<&str, Vec<String>>,
        trial: &RuleCost,
        live: Option<&RuleCost>,
    ) -> String {
        let TrialKey { rule, digest, since } = &review.key;
        let file = self.known.get(rule).map_or("", |known| &known.file);
        let mut text = format!("{rule}  {file} ({})  since {}\n", short(digest), rfc3339(*since));
        text.push_str(&format!("  {}\n", review.says()));
        let line = |name: &str, count: u64| {
            let ids = examples.get(name).map(|ids| format!("  as in {}", ids.join(", "))).unwrap_or_default();
            format!("  {name:<10}{count:>10}{ids}\n")
        };
        match (&review.counts, &review.state.beside) {
            (None, _) => text.push_str("  what it raised is not known\n"),
            (Some(counts), Some(_)) => {
                text += &(line("new", counts.new) + &line("same", counts.same) + &line("lost", counts.lost));
            }
            (Some(counts), None) => text += &line("alone", counts.alone),
        }
        if let Some(counts) = &review.counts {
            text += &line("faults", counts.faults);
            if counts.left_out > 0 {
                text += &line("left out", counts.left_out);
            }
        }
        let of = |cost: &RuleCost| {
            let each = cost.evaluations.max(1);
            format!(
                "{} evaluations, {} fuel and {} ns each",
                grouped(cost.evaluations),
                grouped(cost.fuel / each),
                grouped(cost.nanoseconds / each)
            )
        };
        text.push_str(&format!("  on trial: {}", of(trial)));
        if let Some(live) = live {
            text.push_str(&format!("\n  live:     {}", of(live)));
        }
        text
    }

    /// Ids of a few alerts of each kind, the newest first.
    fn examples(&self, key: &TrialKey) -> Result<BTreeMap<&'static str, Vec<String>>, Failure> {
        let mut examples: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for alert in self.desk.list(Some(&key.rule), LOOKED_THROUGH).map_err(anyhow::Error::from)? {
            let of_it = |trial: &&Trial| trial.digest == key.digest && trial.since == key.since;
            let Some(trial) = alert.trial.as_ref().filter(of_it) else { continue };
            let ids = examples.entry(trial.hit.name()).or_default();
            if ids.len() < EXAMPLES {
                ids.push(alert.id);
            }
        }
        Ok(examples)
    }

    fn stats(&self, rules: &[String]) -> Result<(), Failure> {
        let costs = self.ledger.all().map_err(anyhow::Error::from)?;
        let mut known: States = costs.iter().map(|cost| (cost.rule.clone(), RuleState::default())).collect();
        known.extend(self.states()?);
        self.check(rules, &known)?;
        if self.output == Output::Text {
            say(&format!(
                "{:<34} {:<12} {:<24} {:>12} {:>10} {:>8} {:>15} {:>10} {:>8}",
                "rule", "version", "log type", "evaluations", "matches", "faults", "fuel", "ms", "ns each"
            ))?;
        }
        for cost in costs.iter().filter(|cost| rules.is_empty() || rules.contains(&cost.rule)) {
            let RuleCost { rule, digest, log_type, .. } = cost;
            let current = self.known.get(rule).is_some_and(|known| known.digest == *digest);
            match self.output {
                Output::Json => {
                    let mut row = cost_json(cost);
                    (row["rule"], row["digest"], row["log_type"]) = (json!(rule), json!(digest), json!(log_type));
                    row["current"] = json!(current);
                    say(&row.to_string())?;
                }
                Output::Text => say(&format!(
                    "{rule:<34} {:<12} {log_type:<24} {:>12} {:>10} {:>8} {:>15} {:>10.1} {:>8}",
                    short(digest),
                    grouped(cost.evaluations),
                    grouped(cost.matches),
                    grouped(cost.faults),
                    grouped(cost.fuel),
                    cost.nanoseconds as f64 / 1e6,
                    cost.nanoseconds / cost.evaluations.max(1)
                ))?,
            }
        }
        Ok(())
    }
}

fn short(digest: &str) -> &str {
    &digest[..digest.len().min(12)]
}

/// Of one version of a rule, all log types together.
fn cost(costs: &[RuleCost], rule: &str, digest: &str) -> RuleCost {
    let of_it = costs.iter().filter(|cost| cost.rule == rule && cost.digest == digest);
    of_it.fold(RuleCost::default(), |mut sum, cost| {
        sum.add(cost);
        sum
    })
}

fn cost_json(cost: &RuleCost) -> Value {
    json!({
        "evaluations": cost.evaluations, "matches": cost.matches, "faults": cost.faults, "fuel": cost.fuel,
        "nanoseconds": cost.nanoseconds,
    })
}

fn duration(text: &str) -> Result<Millis, String> {
    streamalert_pipeline::time::duration(text)
}
