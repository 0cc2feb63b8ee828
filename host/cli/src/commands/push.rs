//! `streamalert push`: components and configuration into the rules bucket, and what becomes of them there.

use super::build::size;
use super::plugins::lines;
use super::run::{Output, say};
use crate::{Failure, cloud};
use anyhow::{Context, anyhow};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::Aws;
use streamalert_aws::rules_bucket::{CONF, CONF_FILES, PLUGINS, RulesBucket, State, Verdicts, is_conf};
use streamalert_plugins::loader::is_component;

/// Upload components, and the configuration, to the rules bucket; only what differs
///
/// The plugin compiler checks what is uploaded, and every function uses it within seconds. What it refuses changes nothing: the
/// version before stays live.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Components, or folders of them
    #[arg(value_name = "FILE.wasm|DIR")]
    plugins: Vec<PathBuf>,
    /// Also upload the configuration in this folder [default: that of --config]
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    conf: Option<Option<PathBuf>>,
    /// Folder with aws.json, which names the installation
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Also delete what is in the bucket and not here: components if a folder is named, and configuration with --conf
    #[arg(long)]
    delete: bool,
    /// Rules of what is uploaded now are live at once, whatever rule_staging.json says; components that are there already stay as they are
    #[arg(long)]
    skip_rule_staging: bool,
    /// Wait until all of it is live or refused, so many seconds at most
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "120")]
    wait: Option<u64>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "Exit codes:
  0  all of it is uploaded; with --wait, and live
  1  something could not be uploaded, or is refused
  2  a wrong argument or configuration; nothing was uploaded";

/// Between two looks at the verdicts.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A file here, by its key in the bucket.
type Files = BTreeMap<String, PathBuf>;

pub fn run(args: Args) -> Result<(), Failure> {
    let conf = args.conf.map(|folder| folder.unwrap_or_else(|| args.config.clone()));
    if args.plugins.is_empty() && conf.is_none() {
        return Err(Failure::Usage(anyhow!("nothing to upload: name components, folders of them, or --conf")));
    }
    let mut files = Files::new();
    for path in &args.plugins {
        components(path, &mut files)?;
    }
    if let Some(conf) = &conf {
        configuration(conf, &mut files)?;
    }
    let cloud = cloud::connect(&args.config)?;
    let bucket = RulesBucket::new(&cloud.aws, cloud.names.rules_bucket());
    let mut pushed = BTreeMap::new();
    for (key, path) in &files {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let length = bytes.len();
        let upload = cloud
            .aws
            .wait(bucket.upload_as(key, bytes, args.skip_rule_staging && key.starts_with(PLUGINS)))
            .context("upload")?;
        let action = if upload.new { "pushed" } else { "same" };
        say(&match args.output {
            Output::Json => json!({"key": key, "action": action, "etag": upload.etag, "bytes": length}).to_string(),
            Output::Text if upload.new => format!("pushed   {key} ({})", size(length)),
            Output::Text => format!("same     {key}"),
        })?;
        pushed.insert(key.clone(), upload.etag);
    }
    let mut deleted = Vec::new();
    if args.delete {
        let whole = args.plugins.iter().any(|path| path.is_dir());
        deleted = delete(&cloud.aws, &bucket, &files, whole, conf.is_some(), args.output)?;
    }
    match args.wait {
        Some(seconds) => wait(&cloud.aws, &bucket, &pushed, &deleted, Duration::from_secs(seconds), args.output),
        None => Ok(()),
    }
}

/// A component, or those of a folder.
fn components(path: &Path, files: &mut Files) -> Result<(), Failure> {
    let shown = path.display();
    let mut add = |path: PathBuf| -> Result<(), Failure> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match files.insert(format!("{PLUGINS}{name}"), path.clone()) {
            Some(other) if other != path => Err(Failure::Usage(anyhow!(
                "{} and {} have the same name, and only one of them can be live",
                other.display(),
                path.display()
            ))),
            _ => Ok(()),
        }
    };
    if !path.is_dir() {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !is_component(&name) {
            return Err(Failure::Usage(anyhow!("{shown} is no component: its name does not end in .wasm")));
        }
        if !path.is_file() {
            return Err(Failure::Usage(anyhow!("there is no file {shown}")));
        }
        return add(path.to_path_buf());
    }
    let entries = std::fs::read_dir(path).map_err(|error| Failure::Usage(anyhow!("read {shown}: {error}")))?;
    let mut some = false;
    for entry in entries {
        let entry = entry.with_context(|| format!("read {shown}"))?;
        if is_component(&entry.file_name().to_string_lossy()) {
            some = true;
            add(entry.path())?;
        }
    }
    match some {
        true => Ok(()),
        false => Err(Failure::Usage(anyhow!("there are no components (*.wasm) in {shown}"))),
    }
}

/// The files of a configuration.
fn configuration(folder: &Path, files: &mut Files) -> Result<(), Failure> {
    let shown = folder.display();
    let mut some = false;
    let mut add = |path: PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        if is_conf(&below) && path.is_file() {
            some = true;
            files.insert(format!("{CONF}{below}"), path);
        }
    };
    CONF_FILES.iter().for_each(|file| add(folder.join(file)));
    for part in ["schemas", "clusters", "lookup_tables"] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else { continue };
        for entry in entries {
            add(entry.with_context(|| format!("read {shown}/{part}"))?.path());
        }
    }
    match some {
        true => Ok(()),
        false => {
            Err(Failure::Usage(anyhow!("there is no configuration in {shown}: no schemas/*.json, no outputs.json")))
        }
    }
}

/// Deletes what is there and not here. Returns the keys.
fn delete(
    aws: &Aws,
    bucket: &RulesBucket,
    files: &Files,
    plugins: bool,
    conf: bool,
    output: Output,
) -> Result<Vec<String>, Failure> {
    let mut there = Vec::new();
    if plugins {
        let listed = aws.wait(bucket.list(PLUGINS)).context("list the components")?;
        there.extend(listed.into_iter().filter(|f| is_component(&f.name)).map(|f| format!("{PLUGINS}{}", f.name)));
    }
    if conf {
        let listed = aws.wait(bucket.list(CONF)).context("list the configuration")?;
        there.extend(listed.into_iter().filter(|file| is_conf(&file.name)).map(|file| format!("{CONF}{}", file.name)));
    }
    there.retain(|key| !files.contains_key(key));
    for key in &there {
        aws.wait(bucket.delete(key)).context("delete")?;
        say(&match output {
            Output::Json => json!({"key": key, "action": "deleted"}).to_string(),
            Output::Text => format!("deleted  {key}"),
        })?;
    }
    Ok(there)
}

/// Follows the verdicts until there is one on everything.
fn wait(
    aws: &Aws,
    bucket: &RulesBucket,
    pushed: &BTreeMap<String, String>,
    deleted: &[String],
    patience: Duration,
    output: Output,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let (verdicts, open) = loop {
        let (verdicts, _) = aws.wait(bucket.verdicts()).context("read the verdicts")?;
        let mut open: Vec<&str> =
            pushed.iter().filter(|(key, etag)| !is_judged(&verdicts, key, etag)).map(name).collect();
        open.extend(deleted.iter().filter(|key| is_there(&verdicts, key)).map(String::as_str));
        if open.is_empty() || begun.elapsed() >= patience {
            break (verdicts, open.into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
        thread::sleep(LOOK_EVERY);
    };
    let mut refused = 0;
    for name in pushed.keys().filter_map(|key| key.strip_prefix(PLUGINS)) {
        let Some(verdict) = verdicts.plugins.get(name).filter(|_| !open.contains(&format!("{PLUGINS}{name}"))) else {
            continue;
        };
        refused += usize::from(verdict.state == State::Refused);
        say(&lines::plugin(name, verdict, output)?)?;
    }
    if pushed.keys().any(|key| key.starts_with(CONF)) && !open.iter().any(|key| key.starts_with(CONF)) {
        refused += usize::from(verdicts.conf.state == State::Refused);
        say(&lines::conf(&verdicts.conf, output)?)?;
    }
    if !open.is_empty() {
        return Err(anyhow!(
            "no verdict on {} within {} s: is the plugin compiler deployed, and does the bucket {} wake it?",
            open.join(", "),
            patience.as_secs(),
            bucket.name()
        )
        .into());
    }
    match refused {
        0 => Ok(()),
        1 => Err(anyhow!("1 upload is refused").into()),
        many => Err(anyhow!("{many} uploads are refused").into()),
    }
}

fn name<'a>((key, _): (&'a String, &'a String)) -> &'a str {
    key
}

/// Whether there is a verdict on the upload of this ETag.
fn is_judged(verdicts: &Verdicts, key: &str, etag: &str) -> bool {
    if let Some(name) = key.strip_prefix(PLUGINS) {
        return verdicts
            .plugins
            .get(name)
            .is_some_and(|verdict| verdict.etag == etag && verdict.state != State::Waiting);
    }
    let path = key.strip_prefix(CONF).unwrap_or(key);
    verdicts.conf.state != State::Waiting && verdicts.conf.files.get(path).is_some_and(|known| known == etag)
}

fn is_there(verdicts: &Verdicts, key: &str) -> bool {
    match key.strip_prefix(PLUGINS) {
        Some(name) => verdicts.plugins.contains_key(name),
        None => verdicts.conf.files.contains_key(key.strip_prefix(CONF).unwrap_or(key)),
    }
}
