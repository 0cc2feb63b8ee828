//! `streamalert build`: a crate of rules, a parser, publishers, an output or apps becomes a component.

use super::run::say;
use crate::authoring::components::{self, Builder, Built};
use crate::authoring::paint::Paint;
use crate::{Failure, rules};
use anyhow::anyhow;
use std::path::{Path, PathBuf};
use streamalert_plugins::LoadCheck;

/// Build rules, parsers, publishers, outputs and apps in Rust into components
///
/// Builds the crate or workspace in DIR for WebAssembly with plain cargo, checks each component as the host would, and puts
/// it into the output folder whole or not at all, so that a running `streamalert run` may watch that folder.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder of a crate or workspace
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Where components go, such as the folder that `streamalert run --plugins` watches [default: DIR/target/plugins]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Refuse rules over log types that this configuration does not have
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Run `cargo component build` instead of `cargo build`
    #[arg(long)]
    cargo_component: bool,
}

const AFTER_HELP: &str = "Needs rustc's target wasm32-unknown-unknown: `rustup target add wasm32-unknown-unknown`, or
rule-sdk/rust/toolchain.sh where that cannot be fetched. RUSTFLAGS are added to, not replaced.

Exit codes:
  0  everything was built and the host would take it
  1  something was built that the host would refuse; it is not in the output folder
  2  it could not be built";

pub fn run(args: Args) -> Result<(), Failure> {
    let out = args.out.unwrap_or_else(|| components::default_out(&args.folder));
    let builder = if args.cargo_component { Builder::CargoComponent } else { Builder::Cargo };
    let built = match &args.config {
        Some(config) => {
            let schemas = rules::config(config, None)?.schemas;
            LoadCheck::with(&schemas, |check| components::build(&args.folder, &out, builder, check))?
        }
        None => components::build(&args.folder, &out, builder, &LoadCheck::any_log())?,
    };
    report(&built, &out, say)?;
    match built.iter().filter(|built| !built.problems.is_empty()).count() {
        0 => Ok(()),
        refused => Err(Failure::Running(anyhow!("{refused} of {} components would be refused", built.len()))),
    }
}

/// A line for each component, and what is wrong with it.
pub fn report(built: &[Built], out: &Path, mut say: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let paint = Paint::stdout();
    for component in built {
        let about = &component.about;
        let name = match component.problems.is_empty() {
            true => paint.good(&out.join(&component.file).display().to_string()),
            false => paint.bad(&format!("refused: {}", component.file)),
        };
        say(&format!("{name}  {}  {}", size(about.size), &about.digest[..12]))?;
        for rule in &about.rules {
            say(&format!("  {}  {}", rule.name, paint.dim(&rule.scope())))?;
        }
        if let Some(parser) = &about.parser {
            let types: Vec<&str> = parser.log_types.iter().map(|log_type| log_type.name.as_str()).collect();
            say(&format!("  parser {}  {}", parser.name, paint.dim(&types.join(", "))))?;
        }
        for publisher in &about.publishers {
            say(&format!("  publisher {}", publisher.name))?;
        }
        if let Some(output) = &about.output {
            say(&format!("  output {}  {}", output.service, paint.dim(&output.hosts.join(", "))))?;
        }
        for app in &about.apps {
            say(&format!("  app {}  {}", app.name, paint.dim(&app.options.logs.join(", "))))?;
        }
        for problem in &component.problems {
            say(&format!("  {} {problem}", paint.bad("✗")))?;
        }
    }
    Ok(())
}

pub fn size(bytes: usize) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} KB", (bytes + 500) / 1000),
        _ => format!("{} MB", (bytes + 500_000) / 1_000_000),
    }
}
