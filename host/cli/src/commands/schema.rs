//! `streamalert schema`: log types checked, drafted from samples, and tried on logs.

mod check;
mod classify;
mod infer;

use super::run::say;
use crate::Failure;
use clap::{Subcommand, ValueEnum};

/// Check log types, draft them from samples, try them on logs
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Infer(infer::Args),
    Classify(classify::Args),
    /// Print the JSON Schema of schema files or cluster files, for editors
    JsonSchema {
        #[arg(value_enum, default_value_t = FileKind::Schemas)]
        of: FileKind,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileKind {
    /// Files in conf/schemas
    Schemas,
    /// Files in conf/clusters
    Clusters,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Check(args) => check::run(args),
        Command::Infer(args) => infer::run(args),
        Command::Classify(args) => classify::run(args),
        Command::JsonSchema { of } => say(match of {
            FileKind::Schemas => include_str!("../../../../conf/schema-files.schema.json").trim_end(),
            FileKind::Clusters => include_str!("../../../../conf/cluster-files.schema.json").trim_end(),
        }),
    }
}
