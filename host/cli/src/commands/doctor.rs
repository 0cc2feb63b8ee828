//! `streamalert doctor`: what is here for writing plugins, language by language.

use super::run::{Output, say};
use crate::Failure;
use crate::authoring::languages::{Language, version};
use crate::authoring::toolchain::Toolchain;
use anyhow::Context;
use serde_json::json;
use std::path::Path;

/// Look which languages plugins can be built in here, and what is missing
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "What a language needs besides these tools, its SDK's toolchain.sh installs below target/toolchains at the first build.

Exit codes:
  0  plugins can be built in at least one language
  1  in none";

pub fn run(args: Args) -> Result<(), Failure> {
    let here = Path::new(".");
    let mut ready = 0;
    for language in Language::ALL {
        let sdk = language.sdk(here);
        let mut lines = Vec::new();
        let mut missing = Vec::new();
        for tool in language.tools() {
            match version(tool) {
                Some(version) => lines.push(version),
                None => missing.push(format!("{} is missing: {}", tool.program, tool.install)),
            }
        }
        if language == Language::Rust
            && missing.is_empty()
            && let Err(error) = Toolchain::find(here)
        {
            missing.push(format!("{error:#}"));
        }
        if let Err(error) = &sdk {
            missing.push(format!("{error:#}"));
        }
        if missing.is_empty() {
            ready += 1;
        }
        match args.output {
            Output::Json => {
                let line = json!({"language": language.name(), "ready": missing.is_empty(), "tools": lines, "missing": missing});
                say(&serde_json::to_string(&line).context("write a line")?)?;
            }
            Output::Text => {
                let state = if missing.is_empty() { "ready" } else { "not ready" };
                say(&format!("{:<15} {state:<10} {}", language.name(), lines.join(", ")))?;
                missing.iter().try_for_each(|what| say(&format!("    {}", what.replace('\n', "\n    "))))?;
            }
        }
    }
    match ready {
        0 => Err(anyhow::anyhow!("plugins can be built in no language here").into()),
        _ => Ok(()),
    }
}
