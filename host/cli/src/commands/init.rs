//! `streamalert init`: the configuration of a first installation on AWS, by a few questions.

use super::run::say;
use crate::authoring::checkout;
use crate::cloud::SETTINGS;
use crate::{Failure, ask};
use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use streamalert_pipeline::config::Schemas;

/// Of the prefix: the longest name made of it, `PREFIX-streamalert-alert-processor` as a role with its suffix, has 64 at most.
const PREFIX_MAX: usize = 24;
/// The cluster that the first source is in.
const CLUSTER: &str = "prod";
const REGION: &str = "us-east-1";

/// Write a first configuration for AWS into a new folder: the installation's name, one source of logs, the schemas
///
/// What is not given is asked for; with --yes, or where nobody can be asked, defaults are taken.
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the folder is there
  1  it could not be written
  2  a wrong argument or answer; nothing was written")]
pub struct Args {
    /// The new folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Of the names of everything: small letters, digits and `-` [default: the folder's name]
    #[arg(long)]
    prefix: Option<String>,
    /// Region of AWS [default: AWS_REGION, or us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// Bucket that logs lie in [default: one is made]
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Log types that come from there, by source or in full, separated by commas [default: cloudtrail]
    #[arg(long, value_name = "LOG", value_delimiter = ',')]
    logs: Vec<String>,
    /// Let CloudTrail log this account into the bucket that is made
    #[arg(long)]
    trail: bool,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    if args.dir.exists() {
        return Err(usage(format!("{} is there already; name a new folder", args.dir.display())));
    }
    let conf = checkout::config(args.dir.parent().unwrap_or(Path::new("."))).ok_or_else(|| {
        usage(
            "no conf/schemas around here or this program, whose schemas the new folder needs; begin in a checkout"
                .into(),
        )
    })?;
    let schemas = read_schemas(&conf)?;

    let asks = !args.yes && ask::is_possible();
    let answer = |given: Option<String>, question: &str, default: String| match given {
        Some(given) => Ok(given),
        None if asks => ask::text(question, &default),
        None => Ok(default),
    };
    let prefix = answer(args.prefix, "Prefix of all names", prefix_of(&args.dir))?;
    check_prefix(&prefix).map_err(usage)?;
    let region = std::env::var("AWS_REGION").ok().filter(|region| !region.is_empty());
    let region = answer(args.region, "Region", region.unwrap_or_else(|| REGION.to_owned()))?;
    check_region(&region).map_err(usage)?;
    let own = format!("{prefix}-streamalert-logs");
    let bucket = answer(args.bucket, "Bucket with logs (this one is made)", own.clone())?;
    check_bucket(&bucket).map_err(usage)?;
    let logs = (!args.logs.is_empty()).then(|| args.logs.join(","));
    let logs = answer(logs, "Log types in it, separated by commas", "cloudtrail".into())?;
    let logs: Vec<&str> = logs.split(',').map(str::trim).filter(|log| !log.is_empty()).collect();
    check_logs(&logs, &schemas).map_err(usage)?;
    let created = bucket == own;
    let of_cloudtrail = logs.iter().any(|log| log.split(':').next() == Some("cloudtrail"));
    let trail = match args.trail {
        true if !created => return Err(usage("--trail is for a bucket that is made; leave out --bucket".into())),
        true if !of_cloudtrail => return Err(usage("--trail brings cloudtrail, which --logs leaves out".into())),
        given => given || (asks && created && of_cloudtrail && ask::yes("Let CloudTrail log this account into it?")?),
    };

    let mut more = json!({"s3": {&bucket: {"create": created}}});
    if trail {
        more["cloudtrail"] = json!({format!("{prefix}-streamalert"): {"bucket": bucket}});
    }
    let cluster = json!({
        "data_sources": {"s3": {&bucket: logs}},
        "classifier_config": {"memory": 512, "timeout": 60},
        "infrastructure": more,
    });
    write(&args.dir, SETTINGS, &json!({"prefix": prefix, "region": region, "alias": "live"}))?;
    write(&args.dir, &format!("clusters/{CLUSTER}.json"), &cluster)?;
    write(&args.dir, "outputs.json", &json!({}))?;
    for (name, text) in &schemas {
        put(&args.dir.join("schemas").join(name), text)?;
    }
    // As a shell takes it.
    let shown = args.dir.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    let shown = if shown.chars().all(is_plain) { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) };
    let source = if created { "which is made" } else { "which is there" };
    say(&format!("{shown}: {prefix} in {region}, {} from s3://{bucket}, {source}", logs.join(", ")))?;
    say("next:")?;
    say("  streamalert package --arch arm64                 # the functions' program")?;
    say(&format!("  streamalert plan --config {shown}    # what would be made"))?;
    say(&format!("  streamalert deploy --config {shown}  # makes it"))?;
    say(&format!("  streamalert push plugins --conf --config {shown}  # rules and configuration"))
}

fn read_schemas(conf: &Path) -> Result<Vec<(String, String)>, Failure> {
    let folder = conf.join("schemas");
    let read = || -> std::io::Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for file in std::fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                all.push((name, std::fs::read_to_string(&path)?));
            }
        }
        all.sort();
        Ok(all)
    };
    Ok(read().with_context(|| format!("read the schemas in {}", folder.display()))?)
}

/// What can be made of a folder's name.
fn prefix_of(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let words: Vec<&str> = name.split(|c| !is_kept(c)).filter(|word| !word.is_empty()).collect();
    // A letter is first; digits at the end stay, which tell one folder from another.
    let joined = words.join("-");
    let begun = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let kept: String = begun.chars().take(PREFIX_MAX).collect();
    let kept = kept.trim_end_matches('-').to_owned();
    if kept.is_empty() { "streamalert".into() } else { kept }
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let good = prefix.len() <= PREFIX_MAX
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && !prefix.ends_with('-')
        && !prefix.contains("--")
        && prefix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    match good {
        true => Ok(()),
        false => Err(format!(
            "`{prefix}` is no prefix: small letters, digits and `-`, a letter first, at most {PREFIX_MAX}, such as acme"
        )),
    }
}

fn check_region(region: &str) -> Result<(), String> {
    let parts: Vec<&str> = region.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    let good = parts.len() >= 3
        && parts[..parts.len() - 1].iter().all(word)
        && parts.last().is_some_and(|last| !last.is_empty() && last.chars().all(|c| c.is_ascii_digit()));
    if good { Ok(()) } else { Err(format!("`{region}` is no region of AWS, such as eu-west-1")) }
}

fn check_bucket(bucket: &str) -> Result<(), String> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| edge(c) || c == '-' || c == '.')
        && !bucket.contains("..")
        && bucket.starts_with(edge)
        && bucket.ends_with(edge);
    match good {
        true => Ok(()),
        false => Err(format!(
            "`{bucket}` is no name of a bucket: 3 to 63 small letters, digits, `-` and `.`, no address before it"
        )),
    }
}

fn check_logs(logs: &[&str], files: &[(String, String)]) -> Result<(), String> {
    let schemas = Schemas::read(files).map_err(|faults| faults.to_string())?;
    if logs.is_empty() {
        return Err("no log types are given; name at least one, such as cloudtrail".into());
    }
    let mut sources: Vec<&str> = schemas.iter().filter_map(|log_type| log_type.name.split(':').next()).collect();
    sources.dedup();
    let unknown: Vec<&str> = logs.iter().copied().filter(|log| !schemas.knows(log)).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("no schema defines {}; there are {}", unknown.join(", "), sources.join(", "))),
    }
}

fn write(dir: &Path, name: &str, value: &Value) -> Result<(), Failure> {
    put(&dir.join(name), &format!("{value:#}\n"))
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    Ok(std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_aws_takes() {
        for (dir, prefix) in [
            ("acme", "acme"),
            ("/x/My Conf_2", "my-conf-2"),
            ("team1", "team1"),
            ("7", "streamalert"),
            ("7-a & b--", "a-b"),
            ("a-b", "a-b"),
            ("a-very-long-name-of-a-fo-x", "a-very-long-name-of-a-fo"),
        ] {
            assert_eq!(prefix_of(Path::new(dir)), prefix, "{dir}");
            assert_eq!(check_prefix(prefix), Ok(()));
        }
        for prefix in ["", "Acme", "a--b", "a-", "-a", "7a", "a_b", &"a".repeat(PREFIX_MAX + 1)] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
        for region in ["eu-west-1", "us-gov-east-1", "ap-southeast-12"] {
            assert_eq!(check_region(region), Ok(()));
        }
        for region in ["", "eu", "eu-west", "EU-west-1", "eu-west-1a", "eu--1"] {
            assert!(check_region(region).is_err(), "{region}");
        }
        for bucket in ["s3://logs", "ab", "Logs", "-logs", "a/b", "a..b", &"a".repeat(64)] {
            assert!(check_bucket(bucket).is_err(), "{bucket}");
        }
    }
}
