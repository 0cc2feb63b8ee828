//! `streamalert package`: the functions of AWS Lambda as zips, built for its system and both of its processors.

use super::run::{Output, say};
use crate::Failure;
use crate::cold_start;
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use streamalert_local::tally::size;

/// Bytes of the stripped program, at most: what is larger starts noticeably later.
const BYTES_MAX: u64 = 40_000_000;
/// Cold starts that are measured; the middle one is told.
const STARTS: usize = 7;

/// Build the functions for AWS Lambda (provided.al2023) from their sources
///
/// All functions are one program, `bootstrap`; the variable STREAMALERT_FUNCTION says which one it is. Prints the size of the
/// program and, on a machine that can run it, how long it takes from its start to its first answer.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder of the sources
    #[arg(long, value_name = "DIR", default_value = ".")]
    source: PathBuf,
    /// Processors to build for
    #[arg(long, value_enum, default_value_t = Architecture::All)]
    arch: Architecture,
    /// Where the zips go: bootstrap-x86_64.zip, bootstrap-arm64.zip
    #[arg(long, value_name = "DIR", default_value = "target/package")]
    out: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str =
    "Needs cargo-lambda with zig (`pip install cargo-lambda==1.9.2` brings both) and rustc's targets
(`rustup target add x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu`).

Exit codes:
  0  the zips are there
  1  something could not be built, or is too large
  2  a wrong argument, or a tool is missing";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Architecture {
    #[value(name = "x86_64")]
    X86_64,
    Arm64,
    All,
}

struct Target {
    name: &'static str,
    flag: &'static str,
    runs_here: bool,
}

const TARGETS: [Target; 2] = [
    Target { name: "x86_64", flag: "--x86-64", runs_here: cfg!(all(target_arch = "x86_64", target_os = "linux")) },
    Target { name: "arm64", flag: "--arm64", runs_here: cfg!(all(target_arch = "aarch64", target_os = "linux")) },
];

pub fn run(args: Args) -> Result<(), Failure> {
    let manifest = args.source.join("host/lambdas/Cargo.toml");
    if !manifest.is_file() {
        let message = "these are not the sources of streamalert; name their folder with --source";
        return Err(Failure::Usage(anyhow!("{} is not there: {message}", manifest.display())));
    }
    let tool = Command::new("cargo").args(["lambda", "--version"]).output();
    if !tool.is_ok_and(|answer| answer.status.success()) {
        let message = "cargo-lambda is missing; `pip install cargo-lambda==1.9.2` installs it, with zig";
        return Err(Failure::Usage(anyhow!(message)));
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("make the folder {}", args.out.display()))?;
    let wanted = |target: &&Target| match args.arch {
        Architecture::All => true,
        Architecture::X86_64 => target.name == "x86_64",
        Architecture::Arm64 => target.name == "arm64",
    };
    let mut large = Vec::new();
    for target in TARGETS.iter().filter(wanted) {
        let bytes = build(&args, target)?;
        if bytes > BYTES_MAX {
            large.push(format!(
                "the program for {} has {}; at most {} are wanted",
                target.name,
                size(bytes),
                size(BYTES_MAX)
            ));
        }
    }
    match large.is_empty() {
        true => Ok(()),
        false => Err(anyhow!("{}", large.join("; ")).into()),
    }
}

/// Says how large the program is.
fn build(args: &Args, target: &Target) -> Result<u64, Failure> {
    eprintln!("building for {}: this takes some minutes", target.name);
    let folder = absolute(&args.out)?.join(target.name);
    let mut cargo = Command::new("cargo");
    cargo.args(["lambda", "build", "--profile", "lambda", "--disable-optimizations", "--locked", target.flag]);
    cargo.args(["--package", "streamalert-lambdas", "--bin", "bootstrap", "--lambda-dir"]).arg(&folder);
    cargo.current_dir(&args.source);
    let status = cargo.status().context("run cargo lambda build")?;
    if !status.success() {
        return Err(anyhow!("cargo lambda build for {} failed: {status}", target.name).into());
    }
    let program = folder.join("bootstrap/bootstrap");
    let bytes = std::fs::read(&program).with_context(|| format!("read {}", program.display()))?;
    let zip = args.out.join(format!("bootstrap-{}.zip", target.name));
    let zipped = zip_of(&bytes)?;
    std::fs::write(&zip, &zipped).with_context(|| format!("write {}", zip.display()))?;
    let cold = match target.runs_here {
        true => Some(cold_starts(&program)?),
        false => None,
    };
    match args.output {
        Output::Json => {
            let line = serde_json::json!({
                "arch": target.name, "zip": zip.display().to_string(), "zip_bytes": zipped.len(),
                "program_bytes": bytes.len(), "cold_start_ms": cold.map(|cold| cold.as_secs_f64() * 1e3),
            });
            say(&line.to_string())?;
        }
        Output::Text => {
            let cold = match cold {
                Some(cold) => format!("{:.0} ms from start to first answer", cold.as_secs_f64() * 1e3),
                None => "its cold start is not measured here, as it does not run on this machine".to_owned(),
            };
            let (program, zipped) = (size(bytes.len() as u64), size(zipped.len() as u64));
            say(&format!("{}  program {program}, zip {zipped}; {cold}", zip.display()))?;
        }
    }
    Ok(bytes.len() as u64)
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path).with_context(|| format!("find {}", path.display()))?)
}

/// With one entry that may be executed, and no time in it: equal programs are equal zips.
fn zip_of(program: &[u8]) -> Result<Vec<u8>, Failure> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options).context("write the zip")?;
    zip.write_all(program).context("write the zip")?;
    Ok(zip.finish().context("write the zip")?.into_inner())
}

/// The middle one of some cold starts of the classifier in an empty installation.
fn cold_starts(program: &Path) -> Result<Duration, Failure> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(cold_start::measure(program).context("measure a cold start")?);
    }
    times.sort();
    Ok(times[STARTS / 2])
}
