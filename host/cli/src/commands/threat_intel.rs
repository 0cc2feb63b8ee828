//! `streamalert threat-intel`: indicators of compromise, and where they come from.

use super::run::{Output, say};
use crate::cloud::{self, Cloud};
use crate::intel::{self, failed};
use crate::{Failure, functions, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::ioc_table::DynamoIocs;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_intel::Refreshed;
use streamalert_intel::download::{Outcome, due, secret_name};
use streamalert_local::clock::millis;
use streamalert_local::config_folder::Config;
use streamalert_local::run::DataFolder;
use streamalert_pipeline::backend::SecretStore;
use streamalert_pipeline::config::threat_intel::{Auth, MANUAL};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::threat_intel::{Ioc, IocFilter, IocTable, Kind, canonical, refanged};
use streamalert_pipeline::time::{Millis, rfc3339};

/// How long `refresh` works on its sources.
const REFRESH_TIME: Duration = Duration::from_secs(4 * 3600);

/// See, add and remove indicators of compromise, and fetch them from their sources
#[derive(clap::Args)]
#[command(
    after_help = "Which values of records are looked up, and the sources, stand in threat_intel.json of the configuration.

Exit codes:
  0  it is so now
  1  it could not be read, written or fetched, or there is no such indicator
  2  a wrong argument or configuration; nothing was changed"
)]
pub struct Args {
    /// Folder the run keeps its indicators in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Those of the installation on AWS that DIR/aws.json names, instead of folders here
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["data", "config"])]
    aws: Option<PathBuf>,
    /// File with the credentials of sources [default: DATA/secrets.json]
    #[arg(long, value_name = "FILE", global = true)]
    secrets: Option<PathBuf>,
    /// Certificates of authorities that are trusted beside the public ones, as PEM
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Indicators, one line for each value and source
    List {
        /// Only of this source
        #[arg(long, value_name = "SOURCE")]
        source: Option<String>,
        /// Only of this type: ip, domain, url, sha256 …
        #[arg(long = "type", value_name = "TYPE")]
        ioc_type: Option<String>,
        /// Only values with this in them
        #[arg(long, value_name = "TEXT")]
        value: Option<String>,
        /// Only what comes after this value
        #[arg(long, value_name = "VALUE")]
        after: Option<String>,
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
    },
    /// What is known of a value; of an address also the ranges it lies in
    Get {
        #[arg(value_name = "VALUE")]
        value: String,
        /// Its type, where that is not plain from the value
        #[arg(long = "type", value_name = "TYPE")]
        ioc_type: Option<String>,
    },
    /// Add an indicator by hand
    Add {
        /// An address or range, a domain, a URL, a digest …
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        /// Its type, where that is not plain from the value
        #[arg(long = "type", value_name = "TYPE")]
        ioc_type: Option<String>,
        #[arg(long, value_name = "TEXT", default_value = "")]
        sub_type: String,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Days after which it is none any more
        #[arg(long, value_name = "N", default_value_t = 90)]
        days: u32,
    },
    /// Remove what was added by hand; with --source, what a source has, until it gives it again
    Remove {
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        #[arg(long, value_name = "SOURCE", default_value = MANUAL)]
        source: String,
    },
    /// Fetch sources that are due
    Refresh {
        /// Only these [default: all]
        #[arg(value_name = "SOURCE")]
        sources: Vec<String>,
        /// Also those that are not due, and all they have, not only what is new
        #[arg(long)]
        force: bool,
    },
    /// How far sources have come, and when they are due
    Status,
    /// Keep the credentials of a source: JSON on stdin, or asked for
    UpdateAuth {
        #[arg(value_name = "SOURCE")]
        source: String,
    },
}

/// Where indicators and credentials are.
struct Place {
    config: Config,
    table: Arc<dyn IocTable>,
    secrets: Arc<dyn SecretStore>,
    cloud: Option<Cloud>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let place = match &args.aws {
        Some(folder) => {
            let config = rules::config(folder, None)?;
            let cloud = cloud::connect(folder)?;
            let name = config.threat_intel.table.clone().unwrap_or_else(|| cloud.names.iocs_table());
            let table: Arc<dyn IocTable> = Arc::new(DynamoIocs::new(cloud.aws.clone(), name));
            let secrets: Arc<dyn SecretStore> = Arc::new(SsmSecrets::new(cloud.aws.clone(), &cloud.names));
            Place { config, table, secrets, cloud: Some(cloud) }
        }
        None => {
            let config = rules::config(&args.config, None)?;
            // To look into a folder that is not there is a mistake; what is added before the first run is kept in a new one.
            let data = match args.command {
                Command::Add { .. } | Command::Refresh { .. } | Command::UpdateAuth { .. } => {
                    DataFolder::open(&args.data)?
                }
                _ => DataFolder::existing(&args.data).map_err(Failure::Usage)?,
            };
            let secrets = rules::secrets(args.secrets.as_deref(), &data);
            Place { config, table: intel::table(&data)?, secrets, cloud: None }
        }
    };
    match args.command {
        Command::List { source, ioc_type, value, after, limit } => {
            let filter = IocFilter { source, ioc_type, value };
            let listed = place.table.list(&filter, after.as_deref(), limit).map_err(failed)?;
            listed.iter().try_for_each(|ioc| tell(ioc, args.output))
        }
        Command::Get { value, ioc_type } => {
            let value = written(&value, ioc_type.as_deref())?.1;
            let found = place.table.find(std::slice::from_ref(&value), millis()).map_err(failed)?;
            match found.get(&value) {
                None => Err(anyhow!("{} is no indicator", printable(&value)).into()),
                Some(iocs) => iocs.iter().try_for_each(|ioc| tell(ioc, args.output)),
            }
        }
        Command::Add { values, ioc_type, sub_type, description, days } => {
            let mut iocs = Vec::new();
            for value in &values {
                let (ioc_type, value) = written(value, ioc_type.as_deref())?;
                let (sub_type, description) = (sub_type.clone(), description.clone());
                let expires = millis() + i64::from(days) * 86_400_000;
                let source = MANUAL.to_owned();
                iocs.push(Ioc { value, ioc_type, sub_type, source, expires, description, ..Ioc::default() });
            }
            place.table.put(&iocs, 0).map_err(failed)?;
            iocs.iter().try_for_each(|ioc| tell(ioc, args.output))
        }
        Command::Remove { values, source } => {
            // As it was given, or as it is kept.
            let mut all = values.clone();
            all.extend(values.iter().filter_map(|value| Some(written(value, None).ok()?.1)));
            let count = place.table.remove(&source, &all).map_err(failed)?;
            match count {
                0 => {
                    Err(anyhow!("{source} has none of these; `streamalert threat-intel get VALUE` says who has").into())
                }
                count => {
                    eprintln!("{count} removed");
                    Ok(())
                }
            }
        }
        Command::Refresh { sources, force } => refresh(&place, &sources, force, args.ca.as_deref(), args.output),
        Command::Status => status(&place, args.output),
        Command::UpdateAuth { source } => update_auth(&place, &source),
    }
}

/// Type and value as they are kept.
fn written(value: &str, ioc_type: Option<&str>) -> Result<(String, String), Failure> {
    let ioc_type = match ioc_type {
        Some(ioc_type) => ioc_type.trim().to_ascii_lowercase(),
        None => plain_type(value)
            .ok_or_else(|| Failure::Usage(anyhow!("what is `{}`? say it with --type", printable(value))))?
            .to_owned(),
    };
    let kind = Kind::of(&ioc_type);
    match canonical(kind, &refanged(kind, value)) {
        Some(value) => Ok((ioc_type, value)),
        None => Err(Failure::Usage(anyhow!("`{}` is no {ioc_type}", printable(value)))),
    }
}

fn plain_type(value: &str) -> Option<&'static str> {
    let is = |kind| canonical(kind, &refanged(kind, value)).is_some();
    match value.trim() {
        _ if is(Kind::Ip) => Some("ip"),
        _ if is(Kind::Url) => Some("url"),
        value if is(Kind::Hash) => match value.len() {
            32 => Some("md5"),
            40 => Some("sha1"),
            64 => Some("sha256"),
            128 => Some("sha512"),
            _ => None,
        },
        _ if is(Kind::Email) => Some("email"),
        value if is(Kind::Domain) && value.contains('.') => Some("domain"),
        _ => None,
    }
}

fn until(at: Millis) -> String {
    if at == Millis::MAX { "for ever".to_owned() } else { rfc3339(at) }
}

fn times(told: &mut Value, ioc: &Ioc) {
    told["expires"] = if ioc.expires == Millis::MAX { Value::Null } else { rfc3339(ioc.expires).into() };
    if let Some(from) = ioc.valid_from {
        told["valid_from"] = rfc3339(from).into();
    }
    for (number, also) in ioc.also.iter().enumerate() {
        times(&mut told["also"][number], also);
    }
}

fn tell(ioc: &Ioc, output: Output) -> Result<(), Failure> {
    match output {
        Output::Json => {
            let mut told = serde_json::to_value(ioc).context("write an indicator")?;
            times(&mut told, ioc);
            say(&told.to_string())
        }
        Output::Text => {
            let from = ioc.valid_from.filter(|from| *from > millis()).map(|from| format!("from {}", rfc3339(from)));
            let sub_type = Some(&ioc.sub_type).filter(|text| !text.is_empty());
            let more: Vec<String> = [from.as_ref(), sub_type, ioc.description.as_ref()]
                .into_iter()
                .flatten()
                .map(|text| printable(text))
                .collect();
            let line = format!(
                "{:<8} {}  {}  until {}  {}",
                ioc.ioc_type,
                printable(&ioc.value),
                ioc.source,
                until(ioc.expires),
                more.join(", ")
            );
            say(line.trim_end())
        }
    }
}

fn known_sources(place: &Place, named: &[String]) -> Result<(), Failure> {
    let sources = &place.config.threat_intel.sources;
    if let Some(unknown) = named.iter().find(|name| !sources.contains_key(*name)) {
        let there: Vec<&str> = sources.keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        return Err(Failure::Usage(anyhow!("there is no source {unknown} in threat_intel.json; there are {there}")));
    }
    Ok(())
}

fn refresh(
    place: &Place,
    named: &[String],
    force: bool,
    ca: Option<&std::path::Path>,
    output: Output,
) -> Result<(), Failure> {
    let config = &place.config.threat_intel;
    intel::wanted(config)?;
    known_sources(place, named)?;
    if let Some(cloud) = &place.cloud {
        let event = json!({"sources": named, "force": force}).to_string();
        let answer = functions::invoke(cloud, "threat_intel_downloader", &event)?.answer()?;
        let answer: Value = serde_json::from_str(&answer).context("read the function's answer")?;
        let told = answer["sources"].as_array().cloned().unwrap_or_default();
        return told.iter().try_for_each(|source| say(&source.to_string()));
    }
    let downloader = intel::downloader(config, place.table.clone(), place.secrets.clone(), ca)?;
    let Some(downloader) = downloader else {
        return Err(Failure::Usage(anyhow!("threat_intel.json has no `sources`")));
    };
    let (mut broken, mut said) = (Vec::new(), Ok(()));
    let wanted = config.sources.iter().filter(|(name, _)| named.is_empty() || named.contains(name));
    let wanted: Vec<_> = wanted.map(|(name, source)| (name.as_str(), source)).collect();
    downloader.refresh_all(&wanted, force, Instant::now() + REFRESH_TIME, |name, told| match told {
        Ok(told) => {
            if said.is_ok() {
                said = say_refreshed(&told, output);
            }
            broken.extend(told.error.map(|error| format!("{name}: {error}")));
            if told.outcome == Outcome::Busy {
                broken.push(format!("{name}: somebody else is at it"));
            }
        }
        Err(error) => {
            let cause = error.source.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            broken.push(format!("{name}: {}{cause}", error.action));
        }
    });
    said?;
    match broken.is_empty() {
        true => Ok(()),
        false => Err(anyhow!("{}", broken.join("\n")).into()),
    }
}

fn say_refreshed(told: &Refreshed, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return say(&serde_json::to_string(told).context("write what came of it")?);
    }
    let outcome = match told.outcome {
        Outcome::NotDue => "is not due; --force asks all the same".to_owned(),
        Outcome::Busy => "is being fetched by somebody else".to_owned(),
        Outcome::Unchanged => "has not changed".to_owned(),
        Outcome::Finished => {
            format!("gave {} indicators in {} pages, {} are gone", told.taken, told.pages, told.removed)
        }
        Outcome::Unfinished => format!("gave {} indicators so far; it goes on there next time", told.taken),
        Outcome::Failed => format!("failed: {}", told.error.as_deref().unwrap_or_default()),
    };
    say(&format!("{:<20} {outcome}", told.source))?;
    told.left_out.iter().try_for_each(|(what, count)| say(&format!("{:<20}   left out: {what} ({count})", "")))
}

fn status(place: &Place, output: Output) -> Result<(), Failure> {
    let config = &place.config.threat_intel;
    let counts = place.table.counts().map_err(failed)?;
    let mut names: BTreeMap<&str, u64> = config.sources.keys().map(|name| (name.as_str(), 0)).collect();
    names.extend(counts.iter().map(|(name, count)| (name.as_str(), *count)));
    if output == Output::Text {
        say(&format!("threat intelligence is {}", if config.enabled { "on" } else { "off" }))?;
    }
    for (name, count) in names {
        let state = place.table.state(name).map_err(failed)?;
        let source = config.sources.get(name);
        let next = source.map(|source| due(source, &state));
        let (finished, began) = (Some(state.finished).filter(|at| *at > 0), Some(state.began).filter(|at| *at > 0));
        match output {
            Output::Json => say(&json!({
                "source": name, "configured": source.is_some(), "indicators": count, "finished": finished.map(rfc3339),
                "began": began.map(rfc3339), "next": next.map(|at| rfc3339(at.max(0))), "unfinished": state.cursor.is_some(),
                "taken": state.taken, "removed": state.removed, "left_out": state.left_out, "error": state.error,
            })
            .to_string())?,
            Output::Text => {
                let finished = finished.map_or("never".to_owned(), rfc3339);
                let next = match (source, next) {
                    (None, _) if name == MANUAL => "added by hand".to_owned(),
                    (None, _) => "not in threat_intel.json any more".to_owned(),
                    (Some(source), _) if !source.enabled => "switched off".to_owned(),
                    (_, Some(at)) if at <= millis() => "due now".to_owned(),
                    (_, at) => format!("due {}", rfc3339(at.unwrap_or(0))),
                };
                say(&format!("{name:<20} {count:>10} indicators, last whole {finished}, {next}"))?;
                if let Some(error) = &state.error {
                    say(&format!("{:<20}   {}", "", printable(error)))?;
                }
                for (what, count) in &state.left_out {
                    say(&format!("{:<20}   left out: {} ({count})", "", printable(what)))?;
                }
            }
        }
    }
    Ok(())
}

fn update_auth(place: &Place, source: &str) -> Result<(), Failure> {
    known_sources(place, &[source.to_owned()])?;
    let wanted: &[&str] = match &place.config.threat_intel.sources[source].auth {
        Auth::None => {
            return Err(Failure::Usage(anyhow!(
                "{source} has no `auth` in threat_intel.json, so it needs no credentials"
            )));
        }
        Auth::Basic => &["username", "password"],
        Auth::Bearer | Auth::Header(_) => &["token"],
    };
    let mut secrets = BTreeMap::new();
    if std::io::stdin().is_terminal() {
        for name in wanted {
            let value = rpassword::prompt_password(format!("{name} of {source}: ")).context("ask for it")?;
            secrets.insert((*name).to_owned(), value);
        }
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read stdin")?;
        // What is wrong with it must not show it.
        secrets = serde_json::from_str(&text)
            .map_err(|_| Failure::Usage(anyhow!("stdin is no JSON object of texts: {}", wanted.join(", "))))?;
    }
    if let Some(missing) = wanted.iter().find(|name| secrets.get(**name).is_none_or(String::is_empty)) {
        return Err(Failure::Usage(anyhow!("there is no `{missing}`")));
    }
    place.secrets.put(&secret_name(source), &secrets).map_err(failed)?;
    eprintln!("the credentials of {source} are kept");
    Ok(())
}
