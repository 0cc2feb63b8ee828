//! `streamalert queries`: what is asked of the archive again and again, when, and what came of it.

use super::run::{Output, say};
use crate::{Failure, cloud, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::objects::Bucket;
use streamalert_aws::query_desk::S3Desk;
use streamalert_local::clock::millis;
use streamalert_local::run::DataFolder;
use streamalert_local::scheduled_queries::FileDesk;
use streamalert_pipeline::config::ScheduledQueries;
use streamalert_pipeline::config::scheduled_queries::{FILE, Job};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::scheduled_queries::drive::Desk;
use streamalert_pipeline::scheduled_queries::state::{Outcome, Past, State};
use streamalert_pipeline::time::{Millis, parse, rfc3339};

/// How long a query that somebody is at is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);
/// Characters of an error in a line for a person.
const ERROR_SHOWN: usize = 200;
/// For writing one request.
const LEASE: Millis = 10_000;

/// See scheduled queries and what came of them; have one asked now, or again for an earlier time
///
/// They stand in scheduled_queries.json. A run that stays (--watch, --http, --apps) asks them when their packs are due, on AWS the
/// function scheduled_queries does; each row of an answer comes in as an event of the log type streamalert:query_result.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  it went well
  1  it could not be read or written
  2  a wrong argument or configuration, or there is no such query; nothing was changed")]
pub struct Args {
    /// Folder the run keeps its data in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Those of the installation on AWS that DIR/aws.json names; DIR has the queries, too
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["data", "config"])]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All queries with their packs, one line each
    List,
    /// Have a query asked; the run that is under way does it within seconds, the function on AWS within a minute
    ///
    /// For a time it was asked for before, it is asked again. Rows that come again are known, and raise nothing twice.
    Run {
        #[arg(value_name = "QUERY")]
        query: String,
        /// The time it is asked for, as 2026-01-31T08:00:00Z [default: now, to the minute]
        #[arg(long = "at", value_name = "TIME", value_parser = instant)]
        clock: Option<Millis>,
        /// The pack that asks it, if several do
        #[arg(long, value_name = "PACK")]
        pack: Option<String>,
        /// Show the question with its parameters, and have nothing asked
        #[arg(long)]
        dry_run: bool,
    },
    /// What came of queries, the oldest first
    History {
        /// Only of this one
        #[arg(value_name = "QUERY")]
        query: Option<String>,
        /// Only what failed or was missed
        #[arg(long)]
        failed: bool,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let folder = args.aws.as_deref().unwrap_or(&args.config);
    let queries = rules::config(folder, None)?.scheduled_queries;
    if let Command::Run { query, clock, pack, dry_run: true } = &args.command {
        // Nothing of what is known of it is looked at.
        let (job, clock) = (chosen(&queries, query, pack.as_deref())?, at(*clock));
        let (sql, values) = job.query.sql.at(clock);
        return match args.output {
            Output::Json => {
                say(&json!({"query": query, "clock": rfc3339(clock), "sql": sql, "parameters": values}).to_string())
            }
            Output::Text => say(&sql),
        };
    }
    match &args.aws {
        Some(folder) => {
            let cloud = cloud::connect(folder)?;
            let bucket = Bucket::new(&cloud.aws, cloud.names.data_bucket());
            work(&args, &queries, &S3Desk::new(bucket, &millis, millis() + LEASE))
        }
        None => {
            // A folder that is not there is a mistake, and no empty one.
            let data = DataFolder::existing(&args.data).map_err(Failure::Usage)?;
            work(&args, &queries, &FileDesk::open(&data.queries()).map_err(anyhow::Error::from)?)
        }
    }
}

fn work(args: &Args, queries: &ScheduledQueries, desk: &dyn Desk) -> Result<(), Failure> {
    if queries.queries.is_empty() {
        eprintln!("there are no scheduled queries, or they are switched off; {FILE} in the configuration has them");
    }
    let peek = |job: &Job<'_>| desk.peek(&job.key()).map_err(anyhow::Error::from);
    match &args.command {
        Command::List => {
            for job in queries.jobs() {
                list(&job, &peek(&job)?, args.output)?;
            }
            Ok(())
        }
        Command::History { query, failed } => {
            if let Some(query) = query {
                known(queries, query)?;
            }
            let mut all = Vec::new();
            for job in queries.jobs().filter(|job| query.as_ref().is_none_or(|query| *query == job.query.name)) {
                all.extend(peek(&job)?.history.into_iter().map(|past| (job, past)));
            }
            all.sort_by_key(|(_, past)| past.ended);
            let wanted = |past: &Past| !failed || !matches!(past.outcome, Outcome::Done { .. });
            for (job, past) in all.iter().filter(|(_, past)| wanted(past)) {
                history(job, past, args.output)?;
            }
            Ok(())
        }
        Command::Run { query, clock, pack, .. } => {
            let (job, clock) = (chosen(queries, query, pack.as_deref())?, at(*clock));
            ask(desk, &job.key(), clock)?;
            let text = || {
                format!(
                    "{query} is asked for {}; `streamalert queries history {query}` says what came of it",
                    rfc3339(clock)
                )
            };
            match args.output {
                Output::Json => {
                    say(&json!({"query": query, "pack": job.pack_name, "clock": rfc3339(clock)}).to_string())
                }
                Output::Text => say(&text()),
            }
        }
    }
}

/// A query as the pack asks it that is named, or that is the only one.
fn chosen<'a>(queries: &'a ScheduledQueries, query: &str, pack: Option<&str>) -> Result<Job<'a>, Failure> {
    known(queries, query)?;
    let jobs: Vec<Job<'_>> =
        queries.jobs().filter(|job| job.query.name == query && pack.is_none_or(|pack| pack == job.pack_name)).collect();
    match &jobs[..] {
        [] => Err(Failure::Usage(anyhow!("no pack of that name asks the query {query}"))),
        [job] => Ok(*job),
        several => {
            let names: Vec<&str> = several.iter().map(|job| job.pack_name).collect();
            let names = names.join(", ");
            Err(Failure::Usage(anyhow!("{names} ask the query {query}; say which with --pack")))
        }
    }
}

/// The time that was named, or now, to the minute.
fn at(clock: Option<Millis>) -> Millis {
    let now = millis();
    clock.unwrap_or(now - now.rem_euclid(60_000))
}

fn known(queries: &ScheduledQueries, query: &str) -> Result<(), Failure> {
    if queries.queries.contains_key(query) {
        return Ok(());
    }
    let there: Vec<&str> = queries.queries.keys().map(String::as_str).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    Err(Failure::Usage(anyhow!("there is no query {query}; there are {there}")))
}

/// Notes the wish, beside whoever works on the query.
fn ask(desk: &dyn Desk, key: &str, clock: Millis) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        if let Some(mut state) = desk.take(key).map_err(anyhow::Error::from)? {
            if !state.asked.contains(&clock) {
                state.asked.push(clock);
            }
            return Ok(desk.give_back(key, &state).map_err(anyhow::Error::from).context("note the wish")?);
        }
        if begun.elapsed() > PATIENCE {
            return Err(anyhow!("somebody is at the query {key} just now; try again when it is done").into());
        }
        thread::sleep(LOOK);
    }
}

fn list(job: &Job<'_>, state: &State, output: Output) -> Result<(), Failure> {
    let now = millis();
    let from = state.last.or(state.since).unwrap_or(now);
    let next = job.pack.schedule.next(from.max(state.last.unwrap_or(from))).map(rfc3339);
    let standing = match &state.run {
        Some(run) if run.due > now => "waits",
        Some(_) => "runs",
        None if !state.asked.is_empty() => "asked",
        None => "idle",
    };
    let last = state.history.last();
    match output {
        Output::Json => say(&json!({
            "query": job.query.name, "pack": job.pack_name, "schedule": job.pack.schedule.as_str(), "next": next,
            "standing": standing, "description": job.query.description, "tags": job.query.tags,
            "run": state.run.as_ref().map(|run| json!({
                "clock": rfc3339(run.clock), "attempt": run.attempt, "rows": run.rows, "error": run.error,
            })),
            "last": last.map(past_json),
        })
        .to_string()),
        Output::Text => {
            let mut line =
                format!("{standing:<5}  {}  {} {}", job.query.name, job.pack_name, job.pack.schedule.as_str());
            if let Some(next) = next {
                line.push_str(&format!("  next {next}"));
            }
            if let Some(past) = last {
                line.push_str(&format!("  last {}", past_text(past)));
            }
            if let Some(error) = state.run.as_ref().and_then(|run| run.error.as_ref()) {
                line.push_str(&format!("  is tried again: {}", short(error)));
            }
            say(&line)
        }
    }
}

fn history(job: &Job<'_>, past: &Past, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => {
            let mut line = past_json(past);
            line["query"] = job.query.name.as_str().into();
            line["pack"] = job.pack_name.into();
            say(&line.to_string())
        }
        Output::Text => say(&format!("{}  {} {}", rfc3339(past.ended), job.query.name, past_text(past))),
    }
}

fn past_json(past: &Past) -> Value {
    let mut line = json!({
        "clock": rfc3339(past.clock), "begun": rfc3339(past.begun), "ended": rfc3339(past.ended), "attempts": past.attempts,
        "execution": past.execution,
    });
    let more = match &past.outcome {
        Outcome::Done { rows, scanned_bytes } => {
            json!({"outcome": "done", "rows": rows, "scanned_bytes": scanned_bytes})
        }
        Outcome::Failed { error } => json!({"outcome": "failed", "error": error}),
        Outcome::Missed { schedules } => json!({"outcome": "missed", "schedules": schedules}),
    };
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
    line
}

fn past_text(past: &Past) -> String {
    let clock = rfc3339(past.clock);
    match &past.outcome {
        Outcome::Done { rows, .. } => format!("for {clock}: {rows} rows"),
        Outcome::Failed { error } => {
            format!("for {clock}: failed after {} attempts: {}", past.attempts, short(error))
        }
        Outcome::Missed { schedules } => format!("up to {clock}: {schedules} times were missed"),
    }
}

/// In a line; `--output json` has all of it.
fn short(error: &str) -> String {
    let first = error.lines().next().unwrap_or_default();
    let kept: String = first.chars().take(ERROR_SHOWN).collect();
    let more = if kept.len() < error.len() { " …" } else { "" };
    format!("{}{more}", printable(&kept))
}

fn instant(text: &str) -> Result<Millis, String> {
    parse(text).ok_or_else(|| format!("`{text}` is no time; write 2026-01-31T08:00:00Z"))
}
