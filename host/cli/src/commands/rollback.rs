//! `streamalert rollback`: the functions' code of before, by the alias that everything invokes.

use super::run::{Output, say};
use crate::{Failure, cloud};
use anyhow::anyhow;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use streamalert_aws::Aws;
use streamalert_aws::functions::{CodeVersion, Pointed, alias, point, versions};

/// Stages that have one function; classifiers have one for each cluster.
const STAGES: [&str; 10] = [
    "alert-merger",
    "alert-processor",
    "apps",
    "athena-partitioner",
    "classifier",
    "plugin-compiler",
    "rule-promotion",
    "rules-engine",
    "scheduled-queries",
    "threat-intel-downloader",
];

/// Go back to the version of the functions' code that was live before
///
/// Rules are no part of it; see `streamalert plugins rollback`. It holds until the next deploy, unless infra/'s variable
/// pinned_versions names the version.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the alias points at the version, or --list was given
  1  it could not be moved
  2  a wrong argument or configuration, or there is no such function or version; nothing was changed")]
pub struct Args {
    /// Functions, as rules-engine or classifier-prod [default: all]
    #[arg(value_name = "FUNCTION")]
    functions: Vec<String>,
    /// The version that is to be live [default: the last one with other code]
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
    /// Change nothing; list the versions
    #[arg(long)]
    list: bool,
    /// Folder with aws.json, which names the installation
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

struct Found {
    /// Without what all names begin with.
    short: String,
    name: String,
    now: Pointed,
    versions: Vec<CodeVersion>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    let cloud = cloud::connect(&args.config)?;
    let Some(live) = cloud.names.alias() else {
        let message =
            "aws.json names no alias, so there is nothing to move; write \"alias\": \"live\" there and deploy";
        return Err(usage(message.into()));
    };
    let all = args.functions.is_empty();
    let mut wanted: Vec<String> = match all {
        false => args.functions.iter().map(|name| name.replace('_', "-")).collect(),
        true => {
            let mut all: Vec<String> = STAGES.iter().map(|stage| (*stage).to_owned()).collect();
            all.extend(clusters(&args.config)?.into_iter().map(|cluster| format!("classifier-{cluster}")));
            all
        }
    };
    let mut seen = BTreeSet::new();
    wanted.retain(|name| seen.insert(name.clone()));
    let mut found = Vec::new();
    for short in wanted {
        let name = format!("{}-streamalert-{short}", cloud.names.prefix);
        match alias(&cloud.aws, &name, live).map_err(anyhow::Error::from)? {
            Some(now) => {
                let versions = versions(&cloud.aws, &name).map_err(anyhow::Error::from)?;
                found.push(Found { short, name, now, versions });
            }
            // Of all that may be there, not all need be.
            None if all => {}
            None => return Err(usage(format!("there is no function {name} with the alias {live}"))),
        }
    }
    if found.is_empty() {
        return Err(usage(format!("no function of {} has the alias {live}; was it deployed?", cloud.names.prefix)));
    }
    if args.list {
        return found.iter().try_for_each(|function| list(function, args.output));
    }
    // First all that is to be done, then the doing: half a rollback helps nobody.
    let mut moves = Vec::new();
    let mut stay = Vec::new();
    for function in &found {
        match target(function, args.to) {
            Ok(version) => moves.push((function, version)),
            // One that came with this code, such as the classifier of a new cluster, keeps no other one from going back.
            Err(why) if all && args.to.is_none() => stay.push(why),
            Err(message) => return Err(usage(message)),
        }
    }
    if moves.is_empty() {
        return Err(usage(stay.join("; ")));
    }
    stay.iter().for_each(|why| eprintln!("{why}; it stays"));
    for (at, (function, version)) in moves.iter().enumerate() {
        let done = go(&cloud.aws, live, function, version, args.output);
        // Those that were moved would go back once more if all were asked for again.
        done.map_err(|failure| left(failure, moves[at..].iter().map(|(function, _)| function.short.as_str())))?;
    }
    Ok(())
}

/// What went wrong, and the functions that are as they were.
fn left<'a>(failure: Failure, functions: impl Iterator<Item = &'a str>) -> Failure {
    let functions: Vec<&str> = functions.collect();
    match failure {
        Failure::Running(error) => Failure::Running(
            error.context(format!("not rolled back: {}; name these, and no others, to go on", functions.join(" "))),
        ),
        usage => usage,
    }
}

/// Names of the clusters, each of which has a classifier of its own.
fn clusters(config: &std::path::Path) -> Result<Vec<String>, Failure> {
    let folder = config.join("clusters");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.replace('_', "-")))
        .collect();
    names.sort();
    Ok(names)
}

fn target(function: &Found, to: Option<u64>) -> Result<String, String> {
    let Found { name, now, versions, .. } = function;
    if let Some(to) = to {
        let to = to.to_string();
        return match versions.iter().any(|version| version.version == to) {
            true => Ok(to),
            false => {
                let there: Vec<&str> = versions.iter().map(|version| version.version.as_str()).collect();
                Err(format!("{name} has no version {to}; there are {}", there.join(", ")))
            }
        };
    }
    let current = versions.iter().find(|version| version.version == now.version);
    let number = |version: &str| version.parse::<u64>().unwrap_or_default();
    let before = versions.iter().find(|version| {
        number(&version.version) < number(&now.version)
            && current.is_none_or(|current| current.digest != version.digest)
    });
    match before {
        Some(before) => Ok(before.version.clone()),
        None => Err(format!("{name} has no version before {} with other code", now.version)),
    }
}

fn go(aws: &Aws, live: &str, function: &Found, version: &str, output: Output) -> Result<(), Failure> {
    let Found { short, name, now, .. } = function;
    if now.version != version {
        point(aws, name, live, version, now).map_err(anyhow::Error::from)?;
    }
    match output {
        Output::Json => say(&json!({"function": short, "was": now.version, "version": version}).to_string()),
        Output::Text => say(&format!("{short}: {} → {version}", now.version)),
    }
}

fn list(function: &Found, output: Output) -> Result<(), Failure> {
    let Found { short, now, versions, .. } = function;
    for version in versions {
        let is_live = version.version == now.version;
        let CodeVersion { version, modified, digest } = version;
        match output {
            Output::Json => say(&json!({
                "function": short, "version": version, "published": modified, "sha256": digest, "live": is_live
            })
            .to_string())?,
            Output::Text => {
                let mark = if is_live { "  live" } else { "" };
                say(&format!("{short}  {version}  {modified}  {}{mark}", &digest[..digest.len().min(12)]))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(now: &str, versions: &[(&str, &str)]) -> Found {
        let version = |(number, digest): &(&str, &str)| CodeVersion {
            version: (*number).into(),
            modified: "2026-01-01".into(),
            digest: (*digest).into(),
        };
        Found {
            short: "rules-engine".into(),
            name: "acme-streamalert-rules-engine".into(),
            now: Pointed { version: now.into(), revision: None },
            versions: versions.iter().map(version).collect(),
        }
    }

    #[test]
    fn what_was_not_moved_is_named() {
        let failed = left(Failure::Running(anyhow!("no access")), ["alert-merger", "rules-engine"].into_iter());
        let Failure::Running(error) = failed else { panic!("it is no matter of usage") };
        let told = format!("{error:#}");
        assert_eq!(told, "not rolled back: alert-merger rules-engine; name these, and no others, to go on: no access");
    }

    #[test]
    fn back_is_to_the_last_version_with_other_code() {
        let versions = [("12", "c"), ("11", "c"), ("10", "b"), ("9", "a")];
        assert_eq!(target(&found("12", &versions), None).unwrap(), "10");
        assert_eq!(target(&found("10", &versions), None).unwrap(), "9");
        assert!(target(&found("9", &versions), None).unwrap_err().contains("no version before 9"));
        assert_eq!(target(&found("9", &versions), Some(12)).unwrap(), "12");
        let error = target(&found("9", &versions), Some(7)).unwrap_err();
        assert!(error.contains("has no version 7; there are 12, 11, 10, 9"), "{error}");
    }
}
