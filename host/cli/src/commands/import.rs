//! `streamalert import`: what was written for something else, brought over.

mod markdown;
mod sigma;
mod streamalert;

use crate::Failure;
use anyhow::{Context, bail};
use std::path::Path;

/// Bring over rules and configuration from elsewhere
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    #[command(name = "streamalert")]
    StreamAlert(streamalert::Args),
    Sigma(sigma::Args),
}

/// Written by us, so that an import replaces nothing else.
const REPORT: &str = "REPORT.md";

pub fn run(args: Args) -> Result<(), Failure> {
    match args.what {
        What::StreamAlert(args) => streamalert::run(args),
        What::Sigma(args) => sigma::run(args),
    }
}

/// Takes away what an earlier import wrote. Whatever else is there stays, and is a reason to go no further.
fn make_room(out: &Path, written: &[&str]) -> anyhow::Result<()> {
    if !out.exists() {
        return Ok(());
    }
    let ours = out.join(REPORT).is_file();
    if !ours && out.read_dir().with_context(|| format!("look into {}", out.display()))?.next().is_some() {
        bail!("{} holds something else than an import; name another folder with --out", out.display());
    }
    for name in written {
        let folder = out.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.with_context(|| format!("write {}", path.display())).map_err(Failure::Running)
}
