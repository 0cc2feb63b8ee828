//! `streamalert lookup-tables`: what rules can look up, and changing it.

use super::run::{Output, say};
use crate::{Failure, lookup, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use streamalert_local::config_folder::Config;
use streamalert_lookup::Status;
use streamalert_lookup::edit::{EditError, Writable, longer_list};
use streamalert_lookup::file::TableFile;
use streamalert_lookup::tables::own_json;
use streamalert_pipeline::config::lookup_tables::TablePlace;
use streamalert_pipeline::lookup::{Looked, LookupTables, TableServices};
use streamalert_pipeline::printable::printable;

/// See what rules can look up, and change it
///
/// Tables lie in conf/lookup_tables/NAME.json, or where conf/lookup_tables.json says: in files, S3 or DynamoDB. A change rests on
/// what was read: what somebody else has changed meanwhile is not lost.
#[derive(clap::Args)]
#[command(
    after_help = "A value is text, unless --json says that it is JSON. Tables that are CSV, JSON lines or MMDB are changed where they are made.
With --aws, tables of S3 and DynamoDB are reached by DIR/aws.json; files of DIR/lookup_tables go live by `streamalert push`.

Exit codes:
  0  it is so now
  1  it could not be read or written, or there is no such key
  2  a wrong argument or configuration, or there is no such table; nothing was changed"
)]
pub struct Args {
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// The configuration of the installation on AWS that DIR/aws.json names
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with = "config")]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct Place {
    /// Name of the table
    #[arg(short, long, value_name = "NAME")]
    table: String,
    #[arg(short, long, value_name = "KEY")]
    key: String,
}

#[derive(Subcommand)]
enum Command {
    /// All tables, one line each; or the keys of one
    List {
        /// Name of a table, for its keys
        #[arg(short, long, value_name = "NAME")]
        table: Option<String>,
        /// Keys at most
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: usize,
    },
    /// Where tables lie, how large they are, and whether they can be read
    #[command(visible_alias = "describe-tables")]
    Describe {
        /// Only this one
        #[arg(short, long, value_name = "NAME")]
        table: Option<String>,
    },
    /// The value under a key, as JSON, as rules get it
    Get {
        #[command(flatten)]
        place: Place,
    },
    /// Put a value under a key
    Set {
        #[command(flatten)]
        place: Place,
        #[arg(short, long, value_name = "VALUE")]
        value: String,
        /// The value is JSON
        #[arg(short, long)]
        json: bool,
    },
    /// Take a key out
    Delete {
        #[command(flatten)]
        place: Place,
    },
    /// Add a value to the list under a key; a list is made if there is none
    ListAdd {
        #[command(flatten)]
        place: Place,
        #[arg(short, long, value_name = "VALUE")]
        value: String,
        /// The value is JSON
        #[arg(short, long)]
        json: bool,
        /// Leave out what is there already
        #[arg(short, long)]
        unique: bool,
        /// Put the list in order
        #[arg(short, long)]
        sort: bool,
    },
    /// Put what a JSON file holds under a key; without a key, the file's object is the whole table from now on
    SetFromJsonFile {
        #[arg(short, long, value_name = "NAME")]
        table: String,
        #[arg(short, long, value_name = "KEY")]
        key: Option<String>,
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let folder = args.aws.as_ref().unwrap_or(&args.config);
    if args.aws.is_some() && !folder.join("aws.json").is_file() {
        return Err(Failure::Usage(anyhow!(
            "there is no {}: it names the installation on AWS",
            folder.join("aws.json").display()
        )));
    }
    let config = rules::config(folder, None)?;
    let tables = lookup::unread(&config)?;
    let unknown = |table: &str| {
        let there: Vec<&str> = tables.names().collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Failure::Usage(anyhow!("there is no lookup table {table}; there are {there}"))
    };
    match args.command {
        Command::List { table: None, .. } => tables.status().iter().try_for_each(|status| match args.output {
            Output::Json => {
                say(&json!({"table": status.table, "driver": status.driver, "place": status.place}).to_string())
            }
            Output::Text => say(&format!("{:<24} {:<9} {}", status.table, status.driver, status.place)),
        }),
        Command::List { table: Some(table), limit } => {
            let keys = tables.keys(&table, limit).ok_or_else(|| unknown(&table))?.map_err(anyhow::Error::from)?;
            keys.iter().try_for_each(|key| match args.output {
                Output::Json => say(&json!({"key": key}).to_string()),
                Output::Text => say(&printable(key)),
            })
        }
        Command::Describe { table } => {
            let names: Vec<String> = match table {
                Some(table) => vec![table],
                None => tables.names().map(str::to_owned).collect(),
            };
            let mut broken = Vec::new();
            for name in names {
                match tables.look(&name).ok_or_else(|| unknown(&name))? {
                    Ok(status) => describe(&status, args.output)?,
                    Err(failure) => broken.push(failure.to_string()),
                }
            }
            match broken.is_empty() {
                true => Ok(()),
                false => Err(anyhow!("{}", broken.join("\n")).into()),
            }
        }
        Command::Get { place } => {
            let seen = tables.snapshot();
            match seen.get(&place.table, &place.key, &mut Vec::new).map_err(anyhow::Error::from)? {
                Looked::NoTable => Err(unknown(&place.table)),
                Looked::NoKey => {
                    Err(anyhow!("there is no {} in lookup table {}", printable(&place.key), place.table).into())
                }
                Looked::Found(value) => match args.output {
                    Output::Text => say(&value),
                    Output::Json => {
                        let value: Value = serde_json::from_str(&value).context("read the value")?;
                        say(&json!({"table": place.table, "key": place.key, "value": value}).to_string())
                    }
                },
            }
        }
        Command::Set { place, value, json } => {
            let value = given(&value, json)?;
            let change = |_: Option<&str>| Ok(Some(value.clone()));
            changed(&config, &place.table, &place.key, &change, &unknown, args.output)
        }
        Command::Delete { place } => changed(&config, &place.table, &place.key, &|_| Ok(None), &unknown, args.output),
        Command::ListAdd { place, value, json, unique, sort } => {
            let item: Value = serde_json::from_str(&given(&value, json)?).context("read the value")?;
            let change =
                |before: Option<&str>| longer_list(before, std::slice::from_ref(&item), unique, sort).map(Some);
            changed(&config, &place.table, &place.key, &change, &unknown, args.output)
        }
        Command::SetFromJsonFile { table, key, file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::Usage(anyhow!("read {}: {error}", file.display())))?;
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| Failure::Usage(anyhow!("{}: not JSON: {error}", file.display())))?;
            match key {
                Some(key) => {
                    let text = text.trim().to_owned();
                    changed(&config, &table, &key, &|_| Ok(Some(text.clone())), &unknown, args.output)
                }
                None => {
                    let Value::Object(entries) = value else {
                        return Err(Failure::Usage(anyhow!(
                            "{}: a whole table is one JSON object; or give a --key",
                            file.display()
                        )));
                    };
                    replace(&config, &table, entries, &unknown)
                }
            }
        }
    }
}

fn given(value: &str, json: bool) -> Result<String, Failure> {
    match json {
        false => Ok(Value::from(value).to_string()),
        true => match serde_json::from_str::<Value>(value) {
            Ok(_) => Ok(value.trim().to_owned()),
            Err(error) => Err(Failure::Usage(anyhow!("--value is no JSON: {error}"))),
        },
    }
}

fn describe(status: &Status, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return say(&serde_json::to_string(status).context("write a table")?);
    }
    say(&format!(
        "{}\n  driver  {}\n  place   {}\n  holds   {}",
        status.table, status.driver, status.place, status.about
    ))?;
    if let Some(bytes) = status.bytes {
        say(&format!("  bytes   {bytes}"))?;
    }
    Ok(())
}

/// Works on a table as it can be written.
fn with<T>(
    config: &Config,
    table: &str,
    unknown: &dyn Fn(&str) -> Failure,
    work: impl FnOnce(Writable<'_>) -> Result<T, EditError>,
) -> Result<T, Failure> {
    let done = if config.lookup_tables.contains_key(table) {
        let path: &Path = &config.folder.join("lookup_tables").join(format!("{table}.json"));
        work(Writable::Whole(&TableFile::new(path.to_path_buf()), &own_json()))
    } else {
        let services = lookup::services(config)?;
        let place = config.tables.tables.get(table).map(|table| &table.place).ok_or_else(|| unknown(table))?;
        match (place, services) {
            (TablePlace::File { path, content }, _) => {
                work(Writable::Whole(&TableFile::new(config.folder.join(path)), content))
            }
            (TablePlace::S3 { bucket, key, content }, Some(services)) => {
                work(Writable::Whole(&*services.object(bucket, key), content))
            }
            (TablePlace::DynamoDb(keyed), Some(services)) => work(Writable::Items(&*services.items(keyed))),
            _ => return Err(unknown(table)),
        }
    };
    done.map_err(|error| match error {
        EditError::Refused(_) => Failure::Usage(error.into()),
        EditError::Backend(error) => Failure::Running(error.into()),
        EditError::Busy => Failure::Running(error.into()),
    })
}

type Change<'a> = &'a dyn Fn(Option<&str>) -> Result<Option<String>, String>;

fn changed(
    config: &Config,
    table: &str,
    key: &str,
    change: Change<'_>,
    unknown: &dyn Fn(&str) -> Failure,
    output: Output,
) -> Result<(), Failure> {
    if key.is_empty() {
        return Err(Failure::Usage(anyhow!("--key is empty")));
    }
    let (before, after) = with(config, table, unknown, |place| place.change(key, change))?;
    if before.is_none() && after.is_none() {
        return Err(anyhow!("there is no {} in lookup table {table}", printable(key)).into());
    }
    let read = |text: &Option<String>| text.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    match output {
        Output::Json => {
            say(&json!({"table": table, "key": key, "before": read(&before), "after": read(&after)}).to_string())
        }
        Output::Text => {
            let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
            say(&format!("{}: {} (was {})", printable(key), shown(&after), shown(&before)))
        }
    }
}

fn replace(
    config: &Config,
    table: &str,
    entries: Map<String, Value>,
    unknown: &dyn Fn(&str) -> Failure,
) -> Result<(), Failure> {
    let entries: Vec<(String, Value)> = entries.into_iter().collect();
    if let Some(TablePlace::DynamoDb(_)) = config.tables.tables.get(table).map(|table| &table.place) {
        // One by one; what else the table holds stays.
        for (key, value) in &entries {
            with(config, table, unknown, |place| place.change(key, &|_| Ok(Some(value.to_string()))))?;
        }
    } else {
        with(config, table, unknown, |place| place.replace(&entries))?;
    }
    eprintln!("{} entries are in {table}", entries.len());
    Ok(())
}
