//! `scheduled_queries.json`: questions that are asked again and again, and when.

use super::{ArchiveConfig, ConfigFault, ConfigFaults};
use crate::columns::clean;
use crate::schedule::Schedule;
use crate::scheduled_queries::parameters::{Parameter, Template};
use crate::time::Millis;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where it stands in a configuration.
pub const FILE: &str = "scheduled_queries.json";
/// Log types that take the rows of answers: ours, and that of installations of StreamAlert.
pub const LOG_TYPES: [&str; 2] = ["streamalert:query_result", "streamquery:version1"];
/// Folder of the files with SQL, beside it.
pub const FOLDER: &str = "scheduled_queries/";
/// Schedules that were missed and are caught up, unless the pack says otherwise: a day of hours.
const CATCH_UP: u32 = 24;
/// As many as may be caught up: each is a query.
const CATCH_UP_MAX: u32 = 1_000;
/// What is waited for longer than that is a mistake: a day.
const DELAY_SECONDS_MAX: u32 = 24 * 60 * 60;
/// Seconds that one query may take, unless it says otherwise.
const TIMEOUT_SECONDS: u64 = 30 * 60;
/// Characters of the names of queries and packs: they are parts of names of files.
const NAME_MAX: usize = 100;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduledQueries {
    pub packs: BTreeMap<String, Pack>,
    pub queries: BTreeMap<String, Arc<Query>>,
}

/// When its queries are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    pub description: String,
    pub schedule: Schedule,
    pub catch_up: usize,
    /// How long after a time of the schedule its question is asked: what arrived before that time is in the archive by then. Where
    /// nothing is said, each world knows how long its archive takes.
    pub delay: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub name: String,
    pub description: String,
    pub sql: Template,
    pub tags: Vec<String>,
    pub timeout: Millis,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    packs: BTreeMap<String, RawPack>,
    #[serde(default)]
    queries: BTreeMap<String, RawQuery>,
    /// StreamAlert's; nothing of it is needed here.
    #[serde(default, rename = "config")]
    _config: Option<Value>,
    #[serde(default, rename = "lambda_config")]
    _lambda_config: Option<Value>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    #[serde(default)]
    description: String,
    #[serde(alias = "schedule_expression")]
    schedule: Schedule,
    #[serde(default)]
    catch_up: Option<u32>,
    #[serde(default)]
    delay_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    #[serde(default)]
    description: String,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    query_file: Option<String>,
    #[serde(default, alias = "params")]
    parameters: RawParameters,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    timeout_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of names, or an object of names and what they stand for")]
enum RawParameters {
    Names(Vec<String>),
    Named(BTreeMap<String, Value>),
}

impl Default for RawParameters {
    fn default() -> Self {
        RawParameters::Names(Vec::new())
    }
}

impl ScheduledQueries {
    /// Reads the file, and names every fault there is. `sql` reads a file of SQL by its name below [`FOLDER`].
    pub fn read(
        file: &str,
        text: &str,
        mut sql: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<ScheduledQueries, ConfigFaults> {
        let fault = |path: String, message: String| ConfigFault { file: file.to_owned(), path, message };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| ConfigFaults(vec![fault(String::new(), format!("is no JSON: {error}"))]))?;
        if !value.is_object() {
            let message = "is no JSON object; write {\"packs\": {…}, \"queries\": {…}}".to_owned();
            return Err(ConfigFaults(vec![fault(String::new(), message)]));
        }
        let raw: RawFile = serde_path_to_error::deserialize(value)
            .map_err(|error| ConfigFaults(vec![fault(error.path().to_string(), error.inner().to_string())]))?;
        let mut faults = Vec::new();
        let mut all = ScheduledQueries::default();
        for (name, pack) in raw.packs {
            let at = format!("packs.{name}");
            if !is_name(&name) {
                faults.push(fault(at.clone(), not_a_name(&name)));
            }
            let catch_up = pack.catch_up.unwrap_or(CATCH_UP);
            if catch_up == 0 || catch_up > CATCH_UP_MAX {
                faults.push(fault(
                    format!("{at}.catch_up"),
                    format!("is {catch_up}; of what was missed, 1 to {CATCH_UP_MAX} times are caught up"),
                ));
            }
            let seconds = pack.delay_seconds.filter(|seconds| *seconds > DELAY_SECONDS_MAX);
            if let Some(seconds) = seconds {
                faults.push(fault(
                    format!("{at}.delay_seconds"),
                    format!(
                        "is {seconds}; a question may wait 0 seconds to a day for what is on its way into the archive"
                    ),
                ));
            }
            let delay = pack.delay_seconds.map(|seconds| Millis::from(seconds) * 1000);
            let RawPack { description, schedule, .. } = pack;
            all.packs.insert(name, Pack { description, schedule, catch_up: catch_up as usize, delay });
        }
        for (name, query) in raw.queries {
            let at = format!("queries.{name}");
            if !is_name(&name) {
                faults.push(fault(at.clone(), not_a_name(&name)));
            }
            let text = match (query.query, query.query_file) {
                (Some(text), None) => Ok(text),
                (None, Some(path)) => match path.strip_prefix(FOLDER).unwrap_or(&path) {
                    path if path.contains(['/', '\\']) || !path.ends_with(".sql") => {
                        Err(("query_file", format!("`{path}` is no file of SQL; they lie in {FOLDER} and end in .sql")))
                    }
                    path => sql(path).map_err(|why| ("query_file", format!("{FOLDER}{path}: {why}"))),
                },
                (None, None) => Err(("query", "is missing: write the SQL here, or a `query_file`".into())),
                (Some(_), Some(_)) => Err(("query", "is here, and a `query_file` too; keep one of them".into())),
            };
            let parameters = parameters(query.parameters).map_err(|(of, why)| ("parameters", format!("{of}: {why}")));
            let template = match (text, parameters) {
                (Ok(text), Ok(parameters)) => Template::read(&text, parameters).map_err(|why| vec![("query", why)]),
                (text, parameters) => Err(text.err().into_iter().chain(parameters.err()).collect()),
            };
            let sql = match template {
                Ok(sql) => sql,
                Err(why) => {
                    faults.extend(why.into_iter().map(|(of, why)| fault(format!("{at}.{of}"), why)));
                    continue;
                }
            };
            if sql.text().trim().is_empty() {
                faults.push(fault(format!("{at}.query"), "is empty: write what is asked".into()));
            }
            if query.tags.is_empty() {
                faults.push(fault(format!("{at}.tags"), "name no pack, so it would never be asked; name one".into()));
            }
            for tag in query.tags.iter().filter(|tag| !is_name(tag)) {
                faults.push(fault(format!("{at}.tags"), not_a_name(tag)));
            }
            let seconds = query.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
            if !(1..=24 * 60 * 60).contains(&seconds) {
                let message = format!("is {seconds}; a query may take 1 second to a day");
                faults.push(fault(format!("{at}.timeout_seconds"), message));
            }
            let query = Query {
                name: name.clone(),
                description: query.description,
                sql,
                tags: query.tags,
                timeout: seconds.min(24 * 60 * 60) as Millis * 1000,
            };
            all.queries.insert(name, Arc::new(query));
        }
        // Tags may be there for people; a query that no pack asks is a mistake.
        for query in all.queries.values() {
            if !query.tags.is_empty() && !query.tags.iter().any(|tag| all.packs.contains_key(tag)) {
                let there: Vec<&str> = all.packs.keys().map(String::as_str).collect();
                let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
                faults.push(fault(
                    format!("queries.{}.tags", query.name),
                    format!("name no pack, so it would never be asked; there are {there}"),
                ));
            }
        }
        match faults.is_empty() {
            false => Err(ConfigFaults(faults)),
            // Whether it is right is said all the same.
            true if !raw.enabled => Ok(ScheduledQueries::default()),
            true => Ok(all),
        }
    }

    /// Queries that find the rows of their own earlier answers, and so more of them each time.
    pub fn echoes(&self, archive: &ArchiveConfig) -> Vec<ConfigFault> {
        let kept: Vec<String> = LOG_TYPES.into_iter().filter(|name| archive.keeps(name)).map(clean).collect();
        let mut found = Vec::new();
        for (name, query) in &self.queries {
            let sql = query.sql.text();
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let reads = |table: &&String| sql.split(|c| !is_word(c)).any(|word| word.eq_ignore_ascii_case(table));
            // Whoever names the query in it has thought of that.
            let Some(table) = kept.iter().find(reads).filter(|_| !sql.contains(&format!("'{name}'"))) else { continue };
            found.push(ConfigFault {
                file: FILE.to_owned(),
                path: format!("queries.{name}.query"),
                message: format!(
                    "reads {table}, where the rows of its own answers are archived, so that each answer may have those before it as rows: \
                     leave them out by `WHERE json_extract_scalar(streamalert_record, '$.execution.name') <> '{name}'`, or keep them \
                     out of the archive by `except` in archive.json"
                ),
            });
        }
        found
    }

    /// Each query with each pack that asks it.
    pub fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
        self.queries.values().flat_map(|query| {
            let packs = query.tags.iter().filter_map(|tag| self.packs.get_key_value(tag));
            packs.map(move |(name, pack)| Job { query, pack_name: name, pack })
        })
    }
}

/// A query as one pack asks it.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    pub query: &'a Arc<Query>,
    pub pack_name: &'a str,
    pub pack: &'a Pack,
}

impl Job<'_> {
    /// What is known of it lies under this name.
    pub fn key(&self) -> String {
        format!("{}.{}", self.query.name, self.pack_name)
    }

    /// What arrived up to then can be asked for now, where a record takes `delay` unless the pack says otherwise.
    pub fn settled(&self, now: Millis, delay: Millis) -> Millis {
        now - self.pack.delay.unwrap_or(delay)
    }
}

fn parameters(raw: RawParameters) -> Result<BTreeMap<String, Parameter>, (String, String)> {
    let read = |name: String, of: &str| match Parameter::read(of) {
        Some(parameter) => Ok((name, parameter)),
        None => Err((name, format!("`{of}` is no parameter; there are {}", Parameter::KNOWN))),
    };
    match raw {
        RawParameters::Names(names) => names.into_iter().map(|name| read(name.clone(), &name)).collect(),
        RawParameters::Named(named) => named
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(of) => read(name, &of),
                Value::Number(number) => Ok((name, Parameter::Literal(number.to_string()))),
                Value::Bool(yes) => Ok((name, Parameter::Literal(yes.to_string()))),
                other => Err((name, format!("{other} is no number, no true or false and no name of a parameter"))),
            })
            .collect(),
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits)
}

fn not_a_name(name: &str) -> String {
    format!("`{name}` is no name: write 1 to {NAME_MAX} letters, digits, `_` and `-`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<ScheduledQueries, ConfigFaults> {
        ScheduledQueries::read(FILE, &value.to_string(), |name| match name {
            "a.sql" => Ok("SELECT 1".into()),
            _ => Err("there is no such file".into()),
        })
    }

    #[test]
    fn queries_are_asked_by_the_packs_that_their_tags_name() {
        let all = read(&json!({
            "packs": {"hourly": {"schedule": "rate(1 hour)"}, "daily": {"schedule_expression": "cron(0 9 * * ? *)", "catch_up": 2, "delay_seconds": 90}},
            "queries": {
                "logins": {"query": "SELECT '{utcdatehour}'", "params": ["utcdatehour"], "tags": ["hourly", "people"], "timeout_seconds": 60},
                "both": {"query_file": "scheduled_queries/a.sql", "parameters": {"from": "utcdatehour_minus3hour", "n": 5}, "tags": ["daily", "hourly"]},
            },
            "config": {"sfn_timeout_secs": 300}, "lambda_config": {},
        }))
        .unwrap();
        assert_eq!(all.jobs().map(|job| job.key()).collect::<Vec<_>>(), ["both.daily", "both.hourly", "logins.hourly"]);
        assert_eq!((all.packs["daily"].catch_up, all.packs["hourly"].catch_up), (2, 24));
        assert_eq!((all.packs["daily"].delay, all.packs["hourly"].delay), (Some(90_000), None));
        assert_eq!((all.queries["logins"].timeout, all.queries["both"].sql.text()), (60_000, "SELECT 1"));
        let off = read(&json!({"enabled": false, "packs": {"hourly": {"schedule": "rate(1 hour)"}}})).unwrap();
        assert_eq!(off, ScheduledQueries::default());
    }

    #[test]
    fn queries_that_find_their_own_answers_are_told_of() {
        let query = |sql: &str| json!({"query": sql, "tags": ["p"]});
        let all = read(&json!({"packs": {"p": {"schedule": "rate(1 hour)"}}, "queries": {
            "echo": query("SELECT * FROM Streamalert_Query_Result"),
            "careful": query("SELECT * FROM streamalert_query_result WHERE execution['name'] <> 'careful'"),
            "old": query("SELECT count(*) FROM \"streamquery_version1\" WHERE x = 'other'"),
            "other": query("SELECT * FROM streamalert_query_results, my_streamalert_query_result"),
        }}))
        .unwrap();
        let types = LOG_TYPES.map(|name| format!(r#""{name}": {{"parser": "json", "schema": {{"x": "string"}}}}"#));
        let types = format!("{{{}}}", types.join(", "));
        let schemas = crate::config::Schemas::read(&[("s.json".to_owned(), types)]).unwrap();
        let told = |archive: &str| -> Vec<String> {
            let archive = ArchiveConfig::read("archive.json", archive, &schemas).unwrap();
            all.echoes(&archive).into_iter().map(|fault| fault.path).collect()
        };
        assert_eq!(told("{}"), ["queries.echo.query", "queries.old.query"]);
        assert_eq!(told(r#"{"except": ["streamalert:query_result"]}"#), ["queries.old.query"]);
        assert_eq!(told(r#"{"enabled": false}"#), [""; 0]);
    }

    #[test]
    fn every_fault_says_where_it_is_and_what_to_do() {
        let faults = read(&json!({
            "packs": {"a b": {"schedule": "rate(1 hour)", "catch_up": 0}, "p": {"schedule": "rate(1 hour)", "delay_seconds": 86_401}},
            "queries": {
                "no_text": {"tags": ["p"]},
                "two": {"query": "x", "query_file": "a.sql", "tags": ["p"]},
                "no_file": {"query_file": "b.sql", "tags": ["p"]},
                "outside": {"query_file": "../b.sql", "tags": ["p"]},
                "no_tag": {"query": "x"},
                "no_pack": {"query": "x", "tags": ["q"]},
                "no_parameter": {"query": "{utc}", "params": ["utc"], "tags": ["p"]},
                "unknown": {"query": "{what}", "tags": ["p"]},
                "open": {"query": "{what", "tags": ["p"]},
                "long": {"query": "x", "tags": ["p"], "timeout_seconds": 0},
            },
        }))
        .unwrap_err();
        let told: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
        for expected in [
            "packs.a b: `a b` is no name",
            "packs.a b.catch_up: is 0",
            "packs.p.delay_seconds: is 86401",
            "queries.no_text.query: is missing",
            "queries.two.query: is here, and",
            "queries.no_file.query_file: scheduled_queries/b.sql: there is no such file",
            "queries.outside.query_file: `../b.sql` is no file",
            "queries.no_tag.tags: name no pack",
            "queries.no_pack.tags: name no pack",
            "queries.no_parameter.parameters: utc: `utc` is no parameter",
            "queries.unknown.query: {what}",
            "queries.open.query: ",
            "queries.long.timeout_seconds: is 0",
        ] {
            assert!(told.iter().any(|fault| fault.contains(expected)), "{expected}: {told:#?}");
        }
        assert_eq!(told.len(), 13, "{told:#?}");
        let schedule = read(&json!({"packs": {"p": {"schedule": "every hour"}}})).unwrap_err();
        assert!(
            schedule.to_string().contains("packs.p") && schedule.to_string().contains("rate(5 minutes)"),
            "{schedule}"
        );
        assert!(read(&json!({"pakcs": {}})).unwrap_err().to_string().contains("pakcs"));
    }
}
