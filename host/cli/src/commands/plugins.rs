//! `streamalert plugins`: what is live on AWS, what became of each upload, and the way back to an older version.

use super::run::{Output, say};
use crate::{Failure, cloud};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use std::path::PathBuf;
use streamalert_aws::Aws;
use streamalert_aws::rules_bucket::{PLUGINS, RulesBucket, Version};

/// Look at the components of an installation on AWS, and roll one back
#[derive(clap::Args)]
pub struct Args {
    /// Folder with aws.json, which names the installation
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What is live, one line each
    List,
    /// What became of each upload, and of the configuration: live, or refused and why
    Status {
        /// Only of this component
        name: Option<String>,
    },
    /// The versions of a component, the newest first
    History { name: String },
    /// Make an older version the newest, so that it becomes live
    ///
    /// Nothing is lost: the version of now is one of the older ones then.
    Rollback {
        name: String,
        /// Its id, as `history` shows it, or the beginning [default: the last one that was different]
        version: Option<String>,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let cloud = cloud::connect(&args.config)?;
    let bucket = RulesBucket::new(&cloud.aws, cloud.names.rules_bucket());
    match args.command {
        Command::List => list(&cloud.aws, &bucket, args.output),
        Command::Status { name } => status(&cloud.aws, &bucket, name.as_deref().map(file), args.output),
        Command::History { name } => history(&cloud.aws, &bucket, &file(&name), args.output),
        Command::Rollback { name, version } => {
            rollback(&cloud.aws, &bucket, &file(&name), version.as_deref(), args.output)
        }
    }
}

/// With its ending, whether one was given or not.
fn file(name: &str) -> String {
    match name.ends_with(".wasm") {
        true => name.to_owned(),
        false => format!("{name}.wasm"),
    }
}

fn list(aws: &Aws, bucket: &RulesBucket, output: Output) -> Result<(), Failure> {
    let (verdicts, _) = aws.wait(bucket.verdicts()).context("read the verdicts")?;
    for (name, verdict) in &verdicts.plugins {
        if let Some(line) = lines::live(name, verdict, output)? {
            say(&line)?;
        }
    }
    Ok(())
}

fn status(aws: &Aws, bucket: &RulesBucket, name: Option<String>, output: Output) -> Result<(), Failure> {
    let (verdicts, etag) = aws.wait(bucket.verdicts()).context("read the verdicts")?;
    if etag.is_none() {
        return Err(anyhow!(
            "there are no verdicts in the bucket {}: the plugin compiler has not run yet; is it deployed, and does the bucket wake it?",
            bucket.name()
        )
        .into());
    }
    if let Some(name) = &name
        && !verdicts.plugins.contains_key(name)
    {
        return Err(anyhow!("nothing is known of {name}; `streamalert plugins status` shows what is").into());
    }
    if name.is_none() {
        say(&lines::conf(&verdicts.conf, output)?)?;
    }
    for (file, verdict) in verdicts.plugins.iter().filter(|(file, _)| name.as_ref().is_none_or(|name| name == *file)) {
        say(&lines::plugin(file, verdict, output)?)?;
    }
    Ok(())
}

fn history(aws: &Aws, bucket: &RulesBucket, name: &str, output: Output) -> Result<(), Failure> {
    for version in &versions(aws, bucket, name)? {
        say(&lines::version(version, output)?)?;
    }
    Ok(())
}

fn versions(aws: &Aws, bucket: &RulesBucket, name: &str) -> Result<Vec<Version>, Failure> {
    if !aws.wait(bucket.keeps_versions()).context("ask whether versions are kept")? {
        return Err(anyhow!(
            "the bucket {} keeps no older versions: turn S3 versioning on; what was replaced before is gone",
            bucket.name()
        )
        .into());
    }
    let versions = aws.wait(bucket.versions(&format!("{PLUGINS}{name}"))).context("list the versions")?;
    match versions.is_empty() {
        true => Err(anyhow!("there is no {name} in the bucket {}, and never was", bucket.name()).into()),
        false => Ok(versions),
    }
}

fn rollback(aws: &Aws, bucket: &RulesBucket, name: &str, version: Option<&str>, output: Output) -> Result<(), Failure> {
    let versions = versions(aws, bucket, name)?;
    let chosen = choose(&versions, version).map_err(|why| anyhow!("{name}: {why}"))?;
    let key = format!("{PLUGINS}{name}");
    let bytes = aws
        .wait(bucket.get_version(&key, &chosen.id))
        .context("read the older version")?
        .ok_or_else(|| anyhow!("version {} of {name} is not there any more", chosen.id))?;
    let upload = aws.wait(bucket.upload(&key, bytes)).context("upload it")?;
    if output == Output::Json {
        let told = serde_json::json!({"key": key, "version": chosen.id, "etag": upload.etag, "new": upload.new});
        return say(&told.to_string());
    }
    eprintln!(
        "{name} is what it was in version {}; `streamalert plugins status {name}` says when it is live",
        chosen.id
    );
    Ok(())
}

/// The version that is meant.
fn choose<'a>(versions: &'a [Version], wanted: Option<&str>) -> Result<&'a Version, String> {
    let latest = versions.iter().find(|version| version.latest);
    let Some(wanted) = wanted else {
        // Of a component that was deleted, the last one there was.
        let now = latest.and_then(|latest| latest.etag.as_ref());
        let other = |version: &&Version| !version.deleted && !version.latest && version.etag.as_ref() != now;
        return versions.iter().find(other).ok_or_else(|| "there is no older version that differs".to_owned());
    };
    let found: Vec<&Version> = versions.iter().filter(|version| version.id.starts_with(wanted)).collect();
    match found[..] {
        [] => Err(format!("there is no version {wanted}; `streamalert plugins history` lists them")),
        [one] if one.deleted => Err(format!("version {wanted} stands for a deletion; name the one before it")),
        [one] => Ok(one),
        _ => Err(format!("{} versions begin with {wanted}; give more of it", found.len())),
    }
}

/// How uploads and versions are shown.
pub mod lines {
    use super::super::build::size;
    use super::super::run::Output;
    use crate::Failure;
    use anyhow::Context;
    use serde_json::{Value, json};
    use streamalert_aws::rules_bucket::{ConfVerdict, State, Verdict, Version};
    use streamalert_pipeline::printable::printable;
    use streamalert_pipeline::time::rfc3339;

    /// Digits of a digest that people are shown.
    const DIGEST_SHOWN: usize = 12;
    /// Names of what is in a component that one line shows.
    const NAMES_SHOWN: usize = 4;

    fn short(digest: &str) -> &str {
        &digest[..digest.len().min(DIGEST_SHOWN)]
    }

    fn bytes(count: u64) -> String {
        size(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// What functions use of this file; none if they use none.
    pub fn live(name: &str, verdict: &Verdict, output: Output) -> Result<Option<String>, Failure> {
        let digest = match (verdict.state, &verdict.serving) {
            (State::Live, _) => &verdict.digest,
            (_, Some(serving)) => serving,
            (_, None) => return Ok(None),
        };
        if output == Output::Json {
            let line = json!({
                "name": name, "digest": digest, "world": verdict.world, "names": verdict.names, "since": verdict.since,
                "newest": verdict.state == State::Live,
            });
            return Ok(Some(line.to_string()));
        }
        let what = match verdict.state {
            State::Live => contents(verdict),
            _ => "an older version; the newest upload is not live".to_owned(),
        };
        Ok(Some(format!("{}  {}  {what}", short(digest), printable(name))))
    }

    /// `12 rules: a, b, c, d and 8 more`
    fn contents(verdict: &Verdict) -> String {
        let count = verdict.names.len();
        let names: Vec<String> = verdict.names.iter().take(NAMES_SHOWN).map(|name| printable(name)).collect();
        let names = names.join(", ");
        let more = match count.saturating_sub(NAMES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let world = verdict.world.as_deref().unwrap_or_default();
        match (world, count) {
            ("rule" | "publisher", 1) => format!("1 {world}: {names}"),
            ("rule" | "publisher", _) => format!("{count} {world}s: {names}{more}"),
            _ => format!("{world} {names}"),
        }
    }

    pub fn plugin(name: &str, verdict: &Verdict, output: Output) -> Result<String, Failure> {
        if output == Output::Json {
            let mut value = serde_json::to_value(verdict).context("write a verdict")?;
            value["name"] = name.into();
            return Ok(value.to_string());
        }
        let mut text = format!("{:<8} {}", verdict.state.name(), printable(name));
        if !verdict.digest.is_empty() {
            text.push_str(&format!("  {}", short(&verdict.digest)));
        }
        text.push_str(&format!("  {}", bytes(verdict.size)));
        if let Some(uploaded) = &verdict.uploaded {
            text.push_str(&format!("  uploaded {uploaded}"));
        }
        if verdict.state == State::Live {
            text.push_str(&format!("  {}", contents(verdict)));
        }
        for (form, code) in &verdict.code {
            let took = match code.milliseconds {
                0 => String::new(),
                milliseconds => format!(", compiled in {milliseconds} ms"),
            };
            text.push_str(&format!("\n           {form}: {}{took}", bytes(code.bytes)));
        }
        told(&mut text, &verdict.problems, &verdict.warnings);
        match (&verdict.serving, verdict.state) {
            (Some(serving), _) => {
                text.push_str(&format!("\n         the version before it stays live ({})", short(serving)));
            }
            (None, State::Refused) => text.push_str("\n         no version of it is live"),
            _ => {}
        }
        Ok(text)
    }

    pub fn conf(verdict: &ConfVerdict, output: Output) -> Result<String, Failure> {
        if output == Output::Json {
            let mut value = serde_json::to_value(verdict).context("write a verdict")?;
            value["name"] = Value::String("conf".to_owned());
            return Ok(value.to_string());
        }
        let count = verdict.files.len();
        let files = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
        let mut text = format!("{:<8} conf  {files}", verdict.state.name());
        told(&mut text, &verdict.problems, &verdict.warnings);
        match (&verdict.digest, verdict.state) {
            (Some(digest), State::Refused) => {
                text.push_str(&format!("\n         the configuration before it stays live ({})", short(digest)));
            }
            (None, State::Refused) => text.push_str("\n         no configuration is live, and so nothing is"),
            _ => {}
        }
        Ok(text)
    }

    fn told(text: &mut String, problems: &[String], warnings: &[String]) {
        for problem in problems {
            text.push_str(&format!("\n         {}", printable(problem)));
        }
        for warning in warnings {
            text.push_str(&format!("\n         warning: {}", printable(warning)));
        }
    }

    pub fn version(version: &Version, output: Output) -> Result<String, Failure> {
        if output == Output::Json {
            return Ok(serde_json::to_string(version).context("write a version")?);
        }
        let at = version.modified.map(rfc3339).unwrap_or_default();
        let what = match (version.deleted, version.size) {
            (true, _) => "deleted".to_owned(),
            (false, size) => bytes(size.unwrap_or(0)),
        };
        let newest = if version.latest { "  newest" } else { "" };
        Ok(format!("{}  {at}  {what}{newest}", printable(&version.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, etag: &str, latest: bool) -> Version {
        let deleted = etag.is_empty();
        let etag = (!deleted).then(|| etag.to_owned());
        Version { id: id.into(), etag, size: Some(1), modified: None, latest, deleted }
    }

    #[test]
    fn a_rollback_goes_to_the_last_version_that_was_different() {
        let all = [version("c3", "x", true), version("c2", "x", false), version("b1", "y", false)];
        let id = |wanted: Option<&str>| choose(&all, wanted).map(|version| version.id.as_str());
        assert_eq!(id(None), Ok("b1"));
        assert_eq!(id(Some("c2")), Ok("c2"));
        assert_eq!(id(Some("b")), Ok("b1"));
        assert!(id(Some("c")).unwrap_err().contains("2 versions begin with c"));
        assert!(id(Some("d")).unwrap_err().contains("no version d"));
        assert!(choose(&all[..2], None).unwrap_err().contains("no older version that differs"));

        let gone = [version("d", "", true), version("c", "x", false)];
        assert_eq!(choose(&gone, None).unwrap().id, "c");
        assert!(choose(&gone, Some("d")).unwrap_err().contains("stands for a deletion"));
    }
}
