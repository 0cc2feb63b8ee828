//! `streamalert`: one file per command. Data goes to stdout, talk to stderr.

mod ask;
mod athena;
mod authoring;
mod commands {
    pub mod alerts;
    pub mod app;
    pub mod backtest;
    pub mod build;
    pub mod dead;
    pub mod deploy;
    pub mod doctor;
    pub mod explain;
    pub mod generate;
    pub mod import;
    pub mod init;
    pub mod inspect;
    pub mod invoke;
    pub mod lookup_tables;
    pub mod new;
    pub mod output;
    pub mod package;
    pub mod plugins;
    pub mod push;
    pub mod queries;
    pub mod rollback;
    pub mod rules;
    pub mod run;
    pub mod schema;
    pub mod search;
    pub mod tables;
    pub mod test;
    pub mod threat_intel;
}
mod cloud;
mod cold_start;
mod draft;
mod functions;
mod intake;
mod intel;
mod lookup;
mod rules;
mod world;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Payloads go from thread to thread by the megabyte; glibc hands each back to the system and takes it again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Rules as WebAssembly components over your logs
#[derive(Parser)]
#[command(name = "streamalert", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(commands::run::Args),
    Dead(commands::dead::Args),
    Alerts(commands::alerts::Args),
    Rules(commands::rules::Args),
    Search(commands::search::Args),
    Tables(commands::tables::Args),
    Queries(commands::queries::Args),
    Backtest(commands::backtest::Args),
    Output(commands::output::Args),
    App(commands::app::Args),
    New(commands::new::Args),
    Build(commands::build::Args),
    Test(commands::test::Args),
    Inspect(commands::inspect::Args),
    Explain(commands::explain::Args),
    Schema(commands::schema::Args),
    LookupTables(commands::lookup_tables::Args),
    ThreatIntel(commands::threat_intel::Args),
    Doctor(commands::doctor::Args),
    Import(commands::import::Args),
    Invoke(commands::invoke::Args),
    Package(commands::package::Args),
    Push(commands::push::Args),
    Plugins(commands::plugins::Args),
    Init(commands::init::Args),
    Generate(commands::generate::Args),
    Plan(commands::deploy::PlanArgs),
    Deploy(commands::deploy::DeployArgs),
    Destroy(commands::deploy::DestroyArgs),
    Rollback(commands::rollback::Args),
}

/// A promise: scripts look at these.
const EXIT_CODES: &str = "Exit codes:
  0  it went well
  1  it failed while running: something could not be read, stored or sent
  2  it could not begin: a wrong argument or configuration";

/// Why a command did not go well, by exit code.
pub enum Failure {
    Running(anyhow::Error),
    /// The arguments or the configuration are wrong.
    Usage(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Running(error)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("STREAMALERT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none())
        .init();
    let done = match cli.command {
        Command::Run(args) => commands::run::run(args),
        Command::Dead(args) => commands::dead::run(args),
        Command::Alerts(args) => commands::alerts::run(args),
        Command::Rules(args) => commands::rules::run(args),
        Command::Backtest(args) => commands::backtest::run(args),
        Command::Search(args) => commands::search::run(args),
        Command::Tables(args) => commands::tables::run(args),
        Command::Queries(args) => commands::queries::run(args),
        Command::Output(args) => commands::output::run(args),
        Command::App(args) => commands::app::run(args),
        Command::New(args) => commands::new::run(args),
        Command::Build(args) => commands::build::run(args),
        Command::Test(args) => commands::test::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Schema(args) => commands::schema::run(args),
        Command::LookupTables(args) => commands::lookup_tables::run(args),
        Command::ThreatIntel(args) => commands::threat_intel::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Import(args) => commands::import::run(args),
        Command::Invoke(args) => commands::invoke::run(args),
        Command::Package(args) => commands::package::run(args),
        Command::Push(args) => commands::push::run(args),
        Command::Plugins(args) => commands::plugins::run(args),
        Command::Init(args) => commands::init::run(args),
        Command::Generate(args) => commands::generate::run(args),
        Command::Plan(args) => commands::deploy::plan(args),
        Command::Deploy(args) => commands::deploy::deploy(args),
        Command::Destroy(args) => commands::deploy::destroy(args),
        Command::Rollback(args) => commands::rollback::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Running(error)) => fail(&error, 1),
        Err(Failure::Usage(error)) => fail(&error, 2),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
