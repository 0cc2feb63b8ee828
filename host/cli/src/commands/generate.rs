//! `streamalert generate`: what the infrastructure cannot read from the configuration by itself: tables and their columns.

use super::run::say;
use crate::{Failure, rules};
use anyhow::{Context, anyhow};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamalert_local::edit::replace;
use streamalert_pipeline::archive::evolve::evolve;
use streamalert_pipeline::archive::{ALERTS, Column, alert_columns, columns, tables};
use streamalert_pipeline::config::Schemas;

/// Below the folder of the configuration.
pub const TABLES: &str = "generated/tables.json";
/// Of the file; infra/ reads this one.
const VERSION: u32 = 1;

/// Write conf/generated/tables.json: the tables of the archive on AWS and their columns, from the schemas
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the file is there and fits the schemas
  1  it could not be written; with --check, it is missing or older than the schemas
  2  a wrong argument or configuration")]
pub struct Args {
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Log types that are kept, by source or in full, separated by commas
    #[arg(long, value_name = "LOG", value_delimiter = ',')]
    logs: Vec<String>,
    /// Write nothing; say whether the file fits the schemas
    #[arg(long)]
    check: bool,
    /// Let columns change their types: for tables in which nothing lies yet, as what lies there could not be read any more
    #[arg(long)]
    accept_type_changes: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let path = args.config.join(TABLES);
    let schemas = rules::config(&args.config, None)?.schemas;
    let found = read(&path)?;
    let before = found.as_deref().filter(|_| !args.accept_type_changes);
    let text = text(&schemas, &args.logs, before)?;
    let count = |text: &str| serde_json::from_str::<Value>(text).ok()?["tables"].as_object().map(Map::len);
    let tables = count(&text).unwrap_or_default();
    if found.as_deref() == Some(text.as_str()) {
        return say(&format!("{}: {tables} tables, as the schemas have them", path.display()));
    }
    if args.check {
        let what = if found.is_some() { "is older than the schemas" } else { "is not there" };
        return Err(anyhow!("{} {what}; `streamalert generate` writes it", path.display()).into());
    }
    write(&path, &text)?;
    say(&format!("{}: {tables} tables", path.display()))
}

/// Writes the file anew if the schemas have changed. Whether it did.
pub fn refresh(config: &Path) -> Result<bool, Failure> {
    let path = config.join(TABLES);
    let found = read(&path)?;
    let text = text(&rules::config(config, None)?.schemas, &[], found.as_deref())?;
    if found.as_deref() == Some(text.as_str()) {
        return Ok(false);
    }
    write(&path, &text).map(|()| true)
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow!("read {}: {error}", path.display()).into()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    // Whoever reads it meanwhile has the one or the other whole.
    Ok(replace(path, text.as_bytes(), Some(0o644)).with_context(|| format!("write {}", path.display()))?)
}

/// Columns of each table of a file that was written before; none of one that cannot be read.
fn known(before: Option<&str>) -> BTreeMap<String, Vec<Column>> {
    let before: Value = before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let column = |column: &Value| {
        let text = |name: &str| column[name].as_str().map(str::to_owned);
        Some(Column { name: text("name")?, kind: text("type")?, key: text("key") })
    };
    let columns = |table: &Value| table["columns"].as_array()?.iter().map(column).collect::<Option<Vec<Column>>>();
    let tables = before["tables"].as_object().into_iter().flatten();
    let mut known: BTreeMap<String, Vec<Column>> =
        tables.filter_map(|(name, table)| Some((name.clone(), columns(table)?))).collect();
    known.extend(columns(&before["alerts"]).map(|columns| (ALERTS.to_owned(), columns)));
    known
}

/// A line for each column, so that a change of a schema is a change of a line. What stands in the file that was there stays, as it
/// is reached in what lies there; a type that would change is refused.
fn text(schemas: &Schemas, logs: &[String], before: Option<&str>) -> Result<String, Failure> {
    let known = known(before);
    let mut faults = Vec::new();
    let mut grown =
        |table: &str, columns: Vec<Column>| match evolve(known.get(table).map_or(&[], Vec::as_slice), &columns) {
            Ok(grown) => grown,
            Err(changes) => {
                faults.extend(changes.iter().map(|change| format!("{table}: {change}")));
                columns
            }
        };
    let sources: Vec<String> = schemas.iter().map(|log_type| log_type.name.clone()).collect();
    let enabled: Vec<&str> = if logs.is_empty() { &sources } else { logs }.iter().map(String::as_str).collect();
    let found = tables(&enabled, schemas);
    if !found.unknown.is_empty() {
        return Err(Failure::Usage(anyhow!("no schema defines {}", found.unknown.join(", "))));
    }
    let mut out = format!("{{\n  \"version\": {VERSION},\n  \"tables\": {{\n");
    let last = found.tables.len().saturating_sub(1);
    let mut tables: Vec<_> = found.tables.iter().map(|(name, log_type)| (name.to_lowercase(), log_type)).collect();
    tables.sort_by(|a, b| a.0.cmp(&b.0));
    for (at, (name, log_type)) in tables.into_iter().enumerate() {
        let log = json!(log_type.name);
        out.push_str(&format!("    {}: {{\n      \"log_type\": {log},\n      \"columns\": [\n", json!(name)));
        lines(&mut out, &grown(&name, columns(log_type)), "        ");
        out.push_str(if at == last { "      ]\n    }\n" } else { "      ]\n    },\n" });
    }
    out.push_str("  },\n  \"alerts\": {\n    \"columns\": [\n");
    lines(&mut out, &grown(ALERTS, alert_columns()), "      ");
    out.push_str("    ]\n  }\n}\n");
    match faults.is_empty() {
        true => Ok(out),
        false => Err(Failure::Usage(anyhow!(
            "{}\nWhere nothing lies in these tables yet, `streamalert generate --accept-type-changes` writes {TABLES} all the same",
            faults.join("\n")
        ))),
    }
}

fn lines(out: &mut String, columns: &[Column], indent: &str) {
    for (at, column) in columns.iter().enumerate() {
        let comma = if at + 1 == columns.len() { "" } else { "," };
        out.push_str(&format!("{indent}{}{comma}\n", json!(column)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_json_and_has_a_table_for_each_log_type_that_is_asked_for() {
        let text_of = r#"{"a:B": {"parser": "json", "schema": {"x.y": "string", "n": "integer"}}, "c": {"parser": "json", "schema": {"z": {}}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text_of.to_owned())]).unwrap();
        let all: Value = serde_json::from_str(&text(&schemas, &[], None).ok().unwrap()).unwrap();
        assert_eq!(all["tables"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a_b", "c"]);
        assert_eq!(all["tables"]["a_b"]["log_type"], "a:B");
        assert_eq!(all["tables"]["a_b"]["columns"][0], json!({"name": "x_y", "type": "string", "key": "x.y"}));
        assert_eq!(all["tables"]["a_b"]["columns"][1], json!({"name": "n", "type": "bigint"}));
        assert!(all["alerts"]["columns"].as_array().unwrap().len() > 10);
        let one: Value = serde_json::from_str(&text(&schemas, &["c".into()], None).ok().unwrap()).unwrap();
        assert_eq!(one["tables"].as_object().unwrap().len(), 1);
        let Err(Failure::Usage(error)) = text(&schemas, &["nope".into()], None) else { panic!("it was taken") };
        assert!(error.to_string().contains("nope"), "{error}");
    }

    #[test]
    fn what_was_written_before_grows_and_keeps_its_types() {
        let schemas = |fields: &str| {
            let text = format!("{{\"a\": {{\"parser\": \"json\", \"schema\": {{{fields}}}}}}}");
            Schemas::read(&[("s.json".to_owned(), text)]).unwrap()
        };
        let first = text(&schemas(r#""old": "string", "n": "integer""#), &[], None).ok().unwrap();
        let second = text(&schemas(r#""new": "float", "n": "integer""#), &[], Some(&first)).ok().unwrap();
        let read: Value = serde_json::from_str(&second).unwrap();
        let names: Vec<&str> =
            read["tables"]["a"]["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!((names[0], names[1], names[names.len() - 1]), ("old", "n", "new"));
        let again = text(&schemas(r#""new": "float", "n": "integer""#), &[], Some(&second)).ok().unwrap();
        assert_eq!(again, second);
        let Err(Failure::Usage(error)) = text(&schemas(r#""n": "string""#), &[], Some(&first)) else {
            panic!("it was taken")
        };
        let told = error.to_string();
        assert!(told.contains("a: column n is bigint") && told.contains("--accept-type-changes"), "{told}");
        assert!(text(&schemas(r#""n": "string""#), &[], None).is_ok());
        assert!(text(&schemas(r#""n": "string""#), &[], Some("no JSON")).is_ok());
    }
}
