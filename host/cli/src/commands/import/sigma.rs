//! `streamalert import sigma`: Sigma rules become one component.

mod files;
mod report;

use super::{REPORT, make_room, write};
use crate::authoring::components::{self, Builder};
use crate::authoring::paint::Paint;
use crate::authoring::{checkout, languages::Language};
use crate::commands::build::size;
use crate::commands::new::PROFILE;
use crate::commands::run::{Output, say};
use crate::{Failure, rules};
use anyhow::{Context, anyhow};
use report::Report;
use std::path::{Path, PathBuf};
use streamalert_pipeline::config::Schemas;
use streamalert_plugins::{LoadCheck, PluginLimits};
use streamalert_sigma_compile::rule::{Expr, Field, Test};
use streamalert_sigma_compile::{Compiled, LogTypes, Mapping, Ready, compile};

/// Sigma rules, as one component
///
/// Reads all *.yml and *.yaml files below DIR. Log sources and fields are taken for log types and paths by the mapping that comes
/// along, which --mapping extends. What could not be brought over is in REPORT.md, with the reason; the rest goes through.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder of Sigma rules, or one file
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where plugins/, crate/ and REPORT.md go; what an earlier import left there is replaced
    #[arg(long, value_name = "DIR", default_value = "imported-sigma")]
    out: PathBuf,
    /// More log sources, field names and placeholders; see rule-sdk/sigma/README.md
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Where alerts go: `service:descriptor`, separated by commas; added to what the mapping says
    #[arg(long, value_name = "OUTPUT", value_delimiter = ',', num_args = 1..)]
    outputs: Vec<String>,
    /// Folder with the schemas of the log types [default: the nearest conf/ upwards]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Write crate/ and do not build it; `streamalert build` does
    #[arg(long)]
    no_build: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str =
    "Needs what `streamalert build` needs: rustc with its target wasm32-unknown-unknown, and this checkout's rule-sdk/.

Exit codes:
  0  all rules are there, but for those that their authors call deprecated or unsupported
  1  some rules are not there, or the host would refuse the component; see the report
  2  a wrong argument, a mapping or configuration that cannot be read, no rules at all, or the component could not be built";

/// What an import writes beside the report and the crate, whose folder `target` is worth keeping.
const WRITTEN: [&str; 1] = ["plugins"];
const CRATE: &str = "crate";

pub fn run(args: Args) -> Result<(), Failure> {
    let usage = |error: anyhow::Error| Failure::Usage(error);
    let found = files::read(&args.folder).map_err(usage)?;
    let mapping = mapping(args.mapping.as_deref()).map_err(usage)?;
    let here = Path::new(".");
    let config = args.config.clone().or_else(|| checkout::config(here)).ok_or_else(|| {
        usage(anyhow!("there is no conf/ with schemas/ in it from here upwards; say where with --config"))
    })?;
    let schemas = rules::config(&config, None)?.schemas;
    let mut compiled = compile(&found.files, &mapping, &log_types(&schemas), &args.outputs);
    compiled.left_out.extend(found.unreadable);
    if compiled.rules.is_empty() && compiled.left_out.is_empty() {
        return Err(usage(anyhow!("{} has no Sigma rules (*.yml, *.yaml)", args.folder.display())));
    }
    let most = PluginLimits::default().rules;
    if compiled.rules.len() > most {
        let (count, folder) = (compiled.rules.len(), args.folder.display());
        return Err(usage(anyhow!("{folder} has {count} rules; one component holds {most}: import parts of it")));
    }

    make_room(&args.out, &WRITTEN).map_err(usage)?;
    let mut report = Report::new(&args.folder, &compiled);
    // First what cannot be built, lest it be missing where the rest cannot either.
    write(&args.out.join(REPORT), &report.text())?;
    let mut refused = Vec::new();
    if compiled.rules.is_empty() {
        // Else an earlier import's rules could be built from what is left of it.
        let left = args.out.join(CRATE);
        if left.exists() {
            std::fs::remove_dir_all(&left).with_context(|| format!("remove {}", left.display()))?;
        }
    } else {
        let folder = write_crate(&args.out, &compiled)?;
        if !args.no_build {
            let plugins = args.out.join("plugins");
            (report.component, refused) = build(&folder, &plugins, &schemas)?;
        }
    }
    match args.output {
        Output::Json => say(&serde_json::to_string(&report).context("write the report")?)?,
        Output::Text => summary(&args, &config, &report)?,
    }
    if !refused.is_empty() {
        let problems = refused.join("\n  ");
        return Err(Failure::Running(anyhow!("the host would refuse the component:\n  {problems}")));
    }
    match report.lost() {
        0 => Ok(()),
        lost => {
            Err(Failure::Running(anyhow!("{lost} could not be brought over; see {}", args.out.join(REPORT).display())))
        }
    }
}

fn mapping(file: Option<&Path>) -> anyhow::Result<Mapping> {
    let shipped = Mapping::shipped()?;
    let Some(file) = file else { return Ok(shipped) };
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Mapping::read(&file.display().to_string(), &text)?.over(shipped))
}

fn log_types(schemas: &Schemas) -> LogTypes {
    let fields = schemas.iter().map(|log_type| {
        let fields = log_type.fields.0.iter().map(|field| (field.name.to_string(), field.optional));
        (log_type.name.clone(), fields.collect())
    });
    fields.collect()
}

/// A crate as somebody could have written it: the rules are its data.
fn write_crate(out: &Path, compiled: &Compiled) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let folder = out.join(CRATE);
    let sdk = Language::Rust.sdk(out).map_err(Failure::Usage)?;
    let checkout = sdk.ancestors().nth(2).unwrap_or(&sdk);
    let sigma = checkout.join("rule-sdk/sigma");
    let sigma = sigma.canonicalize().with_context(|| format!("look into {}", sigma.display()))?;
    let features = if compiled.rules.iter().any(needs_regex) { r#"features = ["regex"], "# } else { "" };
    let manifest = format!(
        r#"[workspace]

[package]
name = "sigma-rules"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
streamalert-sigma = {{ {features}path = {:?} }}

{PROFILE}"#,
        sigma.to_string_lossy().replace('\\', "/")
    );
    let (mut lines, mut ends) = (String::new(), String::from("[\n"));
    for ready in &compiled.rules {
        lines += &serde_json::to_string(&ready.rule).context("write a rule")?;
        ends += &format!("{},\n", lines.len());
        lines.push('\n');
    }
    ends += "]\n";
    const SOURCE: &str = "//! Sigma rules, made by `streamalert import sigma`: one in each line of rules.jsonl.\n\nstreamalert_sigma::rules!(\"rules.jsonl\", \"ends.in\");\n";
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("src/lib.rs"), SOURCE)?;
    write(&folder.join("src/rules.jsonl"), &lines)?;
    write(&folder.join("src/ends.in"), &ends)?;
    // The versions that all this is tested with; cargo takes out what is not needed.
    if !folder.join("Cargo.lock").exists() {
        let _ = std::fs::copy(checkout.join("Cargo.lock"), folder.join("Cargo.lock"));
    }
    Ok(folder)
}

fn needs_regex(ready: &Ready) -> bool {
    fn of_test(test: &Test) -> bool {
        match test {
            Test::Regex(_) => true,
            Test::Not(test) => of_test(test),
            Test::All(tests) | Test::Any(tests) => tests.iter().any(of_test),
            _ => false,
        }
    }
    fn of(expr: &Expr) -> bool {
        match expr {
            Expr::All(exprs) | Expr::Any(exprs) | Expr::AtLeast(_, exprs) => exprs.iter().any(of),
            Expr::Not(expr) => of(expr),
            Expr::Field(Field { test, .. }) | Expr::Keyword(test) => of_test(test),
        }
    }
    of(&ready.rule.detect)
}

/// The component, and why the host would refuse it.
fn build(
    folder: &Path,
    plugins: &Path,
    schemas: &Schemas,
) -> Result<(Option<report::Component>, Vec<String>), Failure> {
    let built = LoadCheck::with(schemas, |check| components::build(folder, plugins, Builder::Cargo, check))?;
    let one = built.into_iter().next().context("no component came out")?;
    let component = report::Component {
        file: plugins.join(&one.file).display().to_string(),
        bytes: one.about.size,
        digest: one.about.digest,
    };
    Ok((one.problems.is_empty().then_some(component), one.problems))
}

/// Rules left out that are named; all of them are in the report.
const NAMED_MAX: usize = 20;

fn summary(args: &Args, config: &Path, report: &Report) -> Result<(), Failure> {
    let paint = Paint::stdout();
    say(&format!("{} rules", paint.good(&report.rules.len().to_string())))?;
    for left in report.left_out.iter().take(NAMED_MAX) {
        let mark = if left.withdrawn { paint.dim("-") } else { paint.bad("✗") };
        say(&format!("{mark} {}", report::line(left)))?;
    }
    if report.left_out.len() > NAMED_MAX {
        say(&format!("  and {} more", report.left_out.len() - NAMED_MAX))?;
    }
    let (out, report_file) = (args.out.display(), args.out.join(REPORT));
    say(&format!("what to look at: {}", report_file.display()))?;
    match &report.component {
        Some(component) => {
            say(&format!("{}  {}", paint.good(&component.file), size(component.bytes)))?;
            say(&format!("next: streamalert run --plugins {out}/plugins --config {} …", config.display()))
        }
        None if args.no_build && !report.rules.is_empty() => {
            say(&format!("next: streamalert build {out}/{CRATE} --out {out}/plugins"))
        }
        None => Ok(()),
    }
}
