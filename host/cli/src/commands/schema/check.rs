//! `streamalert schema check`: everything wrong or odd about schemas and clusters, at once.

use super::super::run::{Output, say};
use crate::Failure;
use crate::authoring::paint::Paint;
use anyhow::{Context, anyhow};
use serde_json::json;
use std::path::PathBuf;
use streamalert_local::config_folder::Config;
use streamalert_pipeline::config::check::{DecidedBy, Rivals, remarks, rivals};
use streamalert_pipeline::config::{Clusters, ConfigFault, ConfigFaults, Schemas};
use streamalert_pipeline::printable::printable;

/// Check schemas and clusters, and which log types could take the same record
///
/// Without FILES all of --config is read. Faults are what stops a start; warnings and rivals are not.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Schema files to check by themselves, without clusters
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,
    /// Folder with schemas/, clusters/ and lookup_tables/
    #[arg(long, value_name = "DIR", default_value = "conf", conflicts_with = "files")]
    config: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "Exit codes:
  0  no faults, perhaps warnings
  2  faults, or a file cannot be read";

pub fn run(args: Args) -> Result<(), Failure> {
    let checked = if args.files.is_empty() {
        Config::read(&args.config, None).map(|config| {
            let more = [config.threat_intel.warnings, config.scheduled_queries.echoes(&config.archive)].concat();
            (config.schemas, Some(config.clusters), more)
        })
    } else {
        files(&args.files)?.map(|schemas| (schemas, None, Vec::new()))
    };
    let (faults, warnings, rivals, types) = match &checked {
        Err(faults) => (faults.0.clone(), Vec::new(), Vec::new(), None),
        Ok((schemas, clusters, more)) => {
            let mut warnings = schemas.warnings.clone();
            warnings.extend(clusters.iter().flat_map(|clusters: &Clusters| clusters.warnings.iter().cloned()));
            warnings.extend(remarks(schemas, clusters.as_ref()));
            warnings.extend(more.iter().cloned());
            (Vec::new(), warnings, rivals(schemas), Some(schemas.len()))
        }
    };
    match args.output {
        Output::Json => {
            let found = json!({"faults": faults, "warnings": warnings, "rivals": rivals, "log_types": types});
            say(&found.to_string())?;
        }
        Output::Text => text(&faults, &warnings, &rivals, types)?,
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Failure::Usage(anyhow!("1 fault in the configuration"))),
        many => Err(Failure::Usage(anyhow!("{many} faults in the configuration"))),
    }
}

fn files(paths: &[PathBuf]) -> Result<Result<Schemas, ConfigFaults>, Failure> {
    let mut texts = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
        texts.push((path.display().to_string(), text.map_err(Failure::Usage)?));
    }
    Ok(Schemas::read(&texts))
}

fn text(
    faults: &[ConfigFault],
    warnings: &[ConfigFault],
    rivals: &[Rivals],
    types: Option<usize>,
) -> Result<(), Failure> {
    let paint = Paint::stdout();
    for fault in faults {
        say(&format!("{} {}", paint.bad("fault:"), printable(&fault.to_string())))?;
    }
    for warning in warnings {
        say(&format!("warning: {}", printable(&warning.to_string())))?;
    }
    for pair in rivals {
        say(&rival_text(pair))?;
    }
    match types {
        Some(types) => say(&format!(
            "{types} log types, {} warnings, {} pairs that could take the same record",
            warnings.len(),
            rivals.len()
        )),
        None => Ok(()),
    }
}

/// Names of a list that a line shows.
const NAMES_SHOWN_MAX: usize = 6;

fn rival_text(pair: &Rivals) -> String {
    let Rivals { taken_by, also_fits, differ_by, decided_by, starved, remedy } = pair;
    let keys = match differ_by.len() {
        0 => "the same keys".to_owned(),
        count if count > NAMES_SHOWN_MAX => {
            format!(
                "the same keys but for {} and {} more",
                differ_by[..NAMES_SHOWN_MAX].join(", "),
                count - NAMES_SHOWN_MAX
            )
        }
        _ => format!("the same keys but for {}", differ_by.join(", ")),
    };
    let by = match decided_by {
        DecidedBy::Priority => "its priority",
        DecidedBy::Order => "its place in the files",
    };
    let what = match starved {
        true => format!("takes every record of {also_fits}, which never gets one"),
        false => format!("takes what fits {also_fits} too"),
    };
    printable(&format!("rivals: {taken_by} {what} ({keys}), by {by}; to tell them apart: {remedy}"))
}
