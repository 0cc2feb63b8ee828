//! The configuration of StreamAlert 3 as ours: schemas are the same, clusters and outputs are not.

use super::report::Note;
use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use streamalert_pipeline::config::scheduled_queries::FILE;
use streamalert_pipeline::config::{Clusters, Outputs, ScheduledQueries, Schemas, ThreatIntelConfig, apps};

use crate::Failure;

/// What is written, and what is not.
pub struct Conf {
    /// Name and text.
    schemas: Vec<(String, String)>,
    clusters: Vec<(String, String)>,
    outputs: Map<String, Value>,
    apps: Map<String, Value>,
    scheduled_queries: Option<Value>,
    threat_intel: Option<Value>,
    /// Names of all log types.
    pub log_types: Vec<String>,
    pub datatypes: Vec<String>,
    /// Outputs that have another name here.
    pub renamed: BTreeMap<String, String>,
    /// Folders of rules, within the repository.
    pub rule_locations: Vec<String>,
    pub notes: Vec<Note>,
}

/// A service that StreamAlert had, and what an operator has to give it here.
struct Service {
    theirs: &'static str,
    ours: &'static str,
    settings: &'static [&'static str],
    secrets: &'static [&'static str],
    hosts: &'static [&'static str],
    /// What is otherwise.
    besides: &'static str,
}

const fn service(
    theirs: &'static str,
    ours: &'static str,
    settings: &'static [&'static str],
    secrets: &'static [&'static str],
    hosts: &'static [&'static str],
    besides: &'static str,
) -> Service {
    Service { theirs, ours, settings, secrets, hosts, besides }
}

const JIRA: &[&str] = &["url", "project_key", "issue_type", "username"];

/// Those whose credentials lay in the parameter store, so that nothing of them is in the repository but their names.
const SERVICES: [Service; 15] = [
    service("aws-lambda-v2", "aws-lambda", &["function"], &[], &[], "it does not assume another role"),
    service("aws-ses", "aws-ses", &["from_email", "to_emails"], &[], &[], ""),
    service("carbonblack", "carbonblack", &["url"], &["token"], &[], ""),
    service("demisto", "demisto", &["url"], &["token"], &[], ""),
    service("github", "github", &["repository"], &["access_token"], &["api.github.com"], ""),
    service("jira", "jira", JIRA, &["api_token"], &[], "it takes an API token, no password"),
    service("jira-v2", "jira", JIRA, &["api_token"], &[], ""),
    service("komand", "komand", &[], &["url", "komand_auth_token"], &[], ""),
    service(
        "pagerduty",
        "pagerduty-v2",
        &[],
        &["routing_key"],
        &["events.pagerduty.com"],
        "it needs an integration of Events API v2",
    ),
    service("pagerduty-v2", "pagerduty-v2", &[], &["routing_key"], &["events.pagerduty.com"], ""),
    service(
        "pagerduty-incident",
        "pagerduty-v2",
        &[],
        &["routing_key"],
        &["events.pagerduty.com"],
        "it raises an event; assignments, priority, responders and notes of incidents are not there",
    ),
    service("phantom", "phantom", &["url"], &["ph_auth_token"], &[], ""),
    service("slack", "slack", &[], &["url"], &["hooks.slack.com"], ""),
    service("teams", "teams", &[], &["url"], &[], "it needs a workflow, since connectors of Office 365 are retired"),
    service("victorops", "victorops", &["routing_key"], &["url"], &["alert.victorops.com"], ""),
];

/// Services that have another name here, by their old one.
pub fn services() -> BTreeMap<&'static str, &'static str> {
    SERVICES.iter().filter(|service| service.theirs != service.ours).map(|one| (one.theirs, one.ours)).collect()
}

/// Settings of a classifier that mean the same here.
const CLASSIFIER_KEPT: [&str; 4] = ["memory", "timeout", "log_level", "log_retention_days"];

impl Conf {
    pub fn read(repository: &Path) -> anyhow::Result<Conf> {
        let folder = repository.join("conf");
        let mut notes = Vec::new();
        let global = object(&folder.join("global.json"))?.unwrap_or_default();
        let (files, schemas) = schemas(&folder, &mut notes)?;
        let mut apps = Map::new();
        let clusters = clusters(&folder, &schemas, &mut apps, &mut notes)?;
        let mut renamed = BTreeMap::new();
        let outputs = match object(&folder.join("outputs.json"))? {
            Some(outputs) => self::outputs(outputs, &global, &mut renamed, &mut notes)?,
            None => Map::new(),
        };
        lookup_tables(&folder, &mut notes)?;
        let scheduled_queries = scheduled_queries(&folder, &mut notes)?;
        let threat_intel = threat_intel(&folder, &mut notes)?;
        others(&folder, &global, &mut notes)?;
        let locations = global.get("general").and_then(|general| general["rule_locations"].as_array().cloned());
        let locations = locations.unwrap_or_else(|| vec!["rules".into()]);
        let rule_locations = locations.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let log_types = schemas.iter().map(|log_type| log_type.name.clone()).collect();
        let datatypes = schemas.datatypes();
        Ok(Conf {
            schemas: files,
            clusters,
            outputs,
            apps,
            scheduled_queries,
            threat_intel,
            log_types,
            datatypes,
            renamed,
            rule_locations,
            notes,
        })
    }

    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        for (part, files) in [("schemas", &self.schemas), ("clusters", &self.clusters)] {
            for (name, text) in files {
                super::write(&folder.join(part).join(name), text)?;
            }
        }
        if !self.apps.is_empty() {
            super::write(&folder.join(apps::FILE), &pretty(&Value::Object(self.apps.clone())))?;
        }
        if let Some(queries) = &self.scheduled_queries {
            super::write(&folder.join(FILE), &pretty(queries))?;
        }
        if let Some(intel) = &self.threat_intel {
            super::write(&folder.join("threat_intel.json"), &pretty(intel))?;
        }
        super::write(&folder.join("outputs.json"), &pretty(&Value::Object(self.outputs.clone())))
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The object in a file; `None` where there is no file.
fn object(path: &Path) -> anyhow::Result<Option<Map<String, Value>>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(anyhow!("read {}: {error}", path.display())),
    };
    let read = serde_json::from_str(&text).with_context(|| format!("{} is no JSON object", path.display()))?;
    Ok(Some(read))
}

fn json_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("look into {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Files as they are; types that we cannot read are taken out.
fn schemas(folder: &Path, notes: &mut Vec<Note>) -> anyhow::Result<(Vec<(String, String)>, Schemas)> {
    let single = folder.join("logs.json");
    let paths = if single.is_file() { vec![single] } else { json_files(&folder.join("schemas"))? };
    if paths.is_empty() {
        bail!("{} has neither schemas/*.json nor logs.json, so there are no log types", folder.display());
    }
    let mut files: Vec<(String, Map<String, Value>, String)> = Vec::new();
    let mut changed = BTreeSet::new();
    for path in &paths {
        let name = name_of(path);
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let types = object(path)?.unwrap_or_default();
        let mut kept = Map::new();
        for (log_type, schema) in types {
            let alone = json!({log_type.as_str(): schema});
            if let Err(faults) = Schemas::read(&[(name.clone(), alone.to_string())]) {
                let told: Vec<&str> = faults.0.iter().map(|fault| fault.message.as_str()).collect();
                let message = format!("log type {log_type} is left out: {}", told.join("; "));
                notes.push(Note::new(format!("conf/schemas/{name}"), message));
                changed.insert(name.clone());
                continue;
            }
            for (earlier, types, _) in &mut files {
                if types.shift_remove(&log_type).is_some() {
                    let message = format!("log type {log_type} is in {earlier}, too; the one here is taken");
                    notes.push(Note::new(format!("conf/schemas/{name}"), message));
                    changed.insert(earlier.clone());
                }
            }
            kept.insert(log_type, schema);
        }
        files.push((name, kept, text));
    }
    let files: Vec<(String, String)> = files
        .into_iter()
        .filter(|(_, types, _)| !types.is_empty())
        .map(|(name, types, text)| {
            let text = if changed.contains(&name) { pretty(&Value::Object(types)) } else { text };
            (name, text)
        })
        .collect();
    let schemas = Schemas::read(&files).map_err(|faults| anyhow!("conf/schemas: {faults}"))?;
    Ok((files, schemas))
}

fn clusters(
    folder: &Path,
    schemas: &Schemas,
    apps: &mut Map<String, Value>,
    notes: &mut Vec<Note>,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in json_files(&folder.join("clusters"))? {
        let name = name_of(&path);
        let file = format!("conf/clusters/{name}");
        let mut note = |message: String| notes.push(Note::new(file.clone(), message));
        let mut theirs = object(&path)?.unwrap_or_default();
        let id = theirs.shift_remove("id").unwrap_or_else(|| name.trim_end_matches(".json").into());
        let mut sources = match theirs.shift_remove("data_sources") {
            Some(Value::Object(sources)) => sources,
            _ => bail!("{} has no data_sources; StreamAlert could not read it either", path.display()),
        };
        for (service, resources) in &mut sources {
            let Some(resources) = resources.as_object_mut() else { continue };
            let empty: Vec<String> = resources
                .iter()
                .filter(|(_, logs)| logs.as_array().is_some_and(Vec::is_empty))
                .map(|(name, _)| name.clone())
                .collect();
            for resource in empty {
                resources.shift_remove(&resource);
                note(format!("data_sources.{service}.{resource} names no logs and is left out"));
            }
        }
        let mut classifier = Map::new();
        let theirs_classifier = match theirs.shift_remove("classifier_config") {
            Some(Value::Object(config)) => config,
            _ => Map::new(),
        };
        let mut dropped = Vec::new();
        for (key, value) in theirs_classifier {
            if CLASSIFIER_KEPT.contains(&key.as_str()) {
                classifier.insert(key, value);
            } else if says_something(&value) {
                dropped.push(format!("classifier_config.{key}"));
            }
        }
        let mut fetching = Map::new();
        if let Some(Value::Object(modules)) = theirs.shift_remove("modules") {
            let others = modules.keys().filter(|name| *name != "streamalert_apps");
            dropped.extend(others.map(|name| format!("modules.{name}")));
            fetching = modules;
        }
        let intel = theirs.shift_remove("enable_threat_intel").filter(Value::is_boolean);
        dropped.extend(theirs.into_iter().filter(|(_, value)| says_something(value)).map(|(key, _)| key));
        if !dropped.is_empty() {
            note(format!("infrastructure is set up anew: {} is not brought over", dropped.join(", ")));
        }
        super::apps::apps(&file, &fetching, apps, notes);
        let mut ours = json!({"id": id, "data_sources": sources, "classifier_config": classifier});
        if let Some(intel) = intel {
            ours["enable_threat_intel"] = intel;
        }
        files.push((name, pretty(&ours)));
    }
    let read = Clusters::read(&files, schemas).map_err(|faults| anyhow!("conf/clusters: {faults}"))?;
    notes.extend(read.warnings.iter().map(|warning| {
        Note::new(format!("conf/clusters/{}", warning.file), format!("{}: {}", warning.path, warning.message))
    }));
    Ok(files)
}

/// Not off, not none, not empty, and not a tree of that.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(entries) => entries.values().any(says_something),
        _ => true,
    }
}

fn outputs(
    theirs: Map<String, Value>,
    global: &Map<String, Value>,
    renamed: &mut BTreeMap<String, String>,
    notes: &mut Vec<Note>,
) -> anyhow::Result<Map<String, Value>> {
    let mut ours: Map<String, Value> = Map::new();
    for (service, descriptors) in theirs {
        let given: Vec<(String, Option<String>)> = match descriptors {
            Value::Object(entries) => {
                entries.into_iter().map(|(name, value)| (name, value.as_str().map(str::to_owned))).collect()
            }
            Value::Array(names) => names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), None))).collect(),
            _ => bail!("conf/outputs.json: {service} is neither a list nor an object"),
        };
        for (descriptor, value) in given {
            let name = format!("{service}:{descriptor}");
            let mut note = |message: String| notes.push(Note::new("conf/outputs.json", format!("{name}: {message}")));
            let known = SERVICES.iter().find(|known| known.theirs == service);
            let our_service = known.map_or(service.as_str(), |known| known.ours);
            let entries = ours.entry(our_service).or_insert_with(|| json!({}));
            let Some(entries) = entries.as_object_mut() else { continue };
            let our_descriptor = free_name(&service, &descriptor, entries);
            let config = match (aws(&service, value.as_deref(), global, &mut note), known) {
                (Some(settings), _) => json!({"settings": settings}),
                (None, Some(known)) => {
                    if !known.settings.is_empty() {
                        note(format!("fill in {}: they were in the parameter store", list(known.settings)));
                    }
                    if !known.secrets.is_empty() {
                        note(format!("give its secrets again: {}", list(known.secrets)));
                    }
                    if known.hosts.is_empty() && !our_service.starts_with("aws-") {
                        note("say under `hosts` whom it may call".into());
                    }
                    if !known.besides.is_empty() {
                        note(known.besides.to_owned());
                    }
                    let settings: Map<String, Value> =
                        known.settings.iter().map(|setting| ((*setting).to_owned(), "".into())).collect();
                    let mut config = Map::new();
                    if !settings.is_empty() {
                        config.insert("settings".into(), settings.into());
                    }
                    if !known.hosts.is_empty() {
                        config.insert("hosts".into(), json!(known.hosts));
                    }
                    Value::Object(config)
                }
                (None, None) => {
                    note("there is no such service here; a component has to bring it".into());
                    json!({})
                }
            };
            entries.insert(our_descriptor.clone(), config);
            let our_name = format!("{our_service}:{our_descriptor}");
            if our_name != name {
                note(format!("is {our_name} here, for rules, too"));
                renamed.insert(name, our_name);
            }
        }
    }
    if let Err(faults) = Outputs::read("conf/outputs.json", &Value::Object(ours.clone()).to_string()) {
        bail!("{faults}");
    }
    Ok(ours)
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Letters, digits, `-` and `_`; two services of StreamAlert may be one here, so a name may be taken.
fn free_name(service: &str, descriptor: &str, taken: &Map<String, Value>) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = descriptor.chars().map(fits).collect();
    if !taken.contains_key(&name) {
        return name;
    }
    let longer = format!("{name}-{service}");
    if !taken.contains_key(&longer) { longer } else { format!("{longer}-{}", taken.len()) }
}

/// Settings of an output of AWS, whose resource stood in the file.
fn aws(
    service: &str,
    value: Option<&str>,
    global: &Map<String, Value>,
    note: &mut impl FnMut(String),
) -> Option<Value> {
    let value = value?;
    Some(match service {
        "aws-firehose" => json!({"stream": value}),
        "aws-s3" => json!({"bucket": value}),
        "aws-sqs" => json!({"queue": value}),
        "aws-cloudwatch-log" => json!({"log_group": value}),
        "aws-sns" => {
            let account = &global.get("account").cloned().unwrap_or_default();
            let part = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
            let (region, id) = (part("region"), part("aws_account_id"));
            if !(id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())) {
                note("write the account into the ARN of its topic: conf/global.json does not name it".into());
            }
            json!({"topic": format!("arn:aws:sns:{region}:{id}:{value}")})
        }
        // A name or an ARN, with a qualifier behind it.
        "aws-lambda" => {
            let colons = if value.starts_with("arn:") { 7 } else { 1 };
            match value.match_indices(':').nth(colons - 1) {
                Some((at, _)) => json!({"function": value[..at], "qualifier": value[at + 1..]}),
                None => json!({"function": value}),
            }
        }
        _ => return None,
    })
}

fn lookup_tables(folder: &Path, notes: &mut Vec<Note>) -> anyhow::Result<()> {
    let Some(config) = object(&folder.join("lookup_tables.json"))? else { return Ok(()) };
    let mut note = |message: String| notes.push(Note::new("conf/lookup_tables.json", message));
    if config.get("enabled") != Some(&Value::Bool(true)) && config.contains_key("tables") {
        note(
            "lookup tables were not enabled, so rules got their defaults; they get what is in conf/lookup_tables now"
                .into(),
        );
    }
    for (name, table) in config.get("tables").and_then(Value::as_object).into_iter().flatten() {
        let part = |key: &str| table[key].as_str().unwrap_or("?").to_owned();
        let from = match table["driver"].as_str() {
            Some("s3") => format!("the object s3://{}/{}", part("bucket"), part("key")),
            Some("dynamodb") => format!("the DynamoDB table {}, as an object of keys and values", part("table")),
            driver => format!("wherever its driver {} kept it", driver.unwrap_or("?")),
        };
        note(format!(
            "what is in table {name} lies elsewhere: name it in conf/lookup_tables.json as it was, or make conf/lookup_tables/{name}.json of {from}"
        ));
    }
    Ok(())
}

/// Packs are brought over; their queries are Python, and have to be written anew.
fn scheduled_queries(folder: &Path, notes: &mut Vec<Note>) -> anyhow::Result<Option<Value>> {
    let Some(there) = object(&folder.join(FILE))? else { return Ok(None) };
    let of = format!("conf/{FILE}");
    let mut packs = Map::new();
    for (name, pack) in there.get("packs").and_then(Value::as_object).into_iter().flatten() {
        let schedule = pack["schedule_expression"].as_str().unwrap_or_default();
        let alone = json!({"packs": {name.as_str(): {"description": pack["description"].as_str().unwrap_or_default(), "schedule": schedule}}});
        match ScheduledQueries::read(FILE, &alone.to_string(), |_| Err("none".into())) {
            Ok(_) => drop(packs.insert(name.clone(), alone["packs"][name].clone())),
            Err(faults) => {
                let told: Vec<&str> = faults.0.iter().map(|fault| fault.message.as_str()).collect();
                notes.push(Note::new(of.clone(), format!("the pack {name} is left out: {}", told.join("; "))));
            }
        }
    }
    if packs.is_empty() {
        return Ok(None);
    }
    let enabled = there.get("enabled") == Some(&Value::Bool(true));
    let message =
        "the packs are brought over; write each query of scheduled_queries/*.py under `queries`, with its tags";
    notes.push(Note::new(of, message));
    Ok(Some(json!({ "enabled": enabled, "packs": packs, "queries": {} })))
}

/// The keys are the same; the downloader of one vendor is not.
fn threat_intel(folder: &Path, notes: &mut Vec<Note>) -> anyhow::Result<Option<Value>> {
    let Some(theirs) = object(&folder.join("threat_intel.json"))? else { return Ok(None) };
    let kept = ["enabled", "dynamodb_table_name", "excluded_iocs", "normalized_ioc_types"];
    let ours: Map<String, Value> = theirs.into_iter().filter(|(key, _)| kept.contains(&key.as_str())).collect();
    let of = "conf/threat_intel.json";
    if let Err(faults) = ThreatIntelConfig::read(of, &Value::Object(ours.clone()).to_string()) {
        notes.push(Note::new(of, format!("it is left out: {faults}")));
        return Ok(None);
    }
    if ours.get("enabled") == Some(&Value::Bool(true)) {
        let message = "it is brought over; name where indicators come from under `sources`, and check that its names are those under which \
                       records have such values now (normalized_ioc_types)";
        notes.push(Note::new(of, message));
    }
    Ok(Some(Value::Object(ours)))
}

/// What has no counterpart here, as far as it was in use.
fn others(folder: &Path, global: &Map<String, Value>, notes: &mut Vec<Note>) -> anyhow::Result<()> {
    let infrastructure = global.get("infrastructure").cloned().unwrap_or_default();
    for (part, what) in [
        ("firehose", "the archive of records is set up anew"),
        ("artifact_extractor", "the archive of artifacts is set up anew"),
        ("rule_staging", "which rules are on trial is said anew"),
    ] {
        if infrastructure[part]["enabled"] == true {
            notes.push(Note::new("conf/global.json", format!("infrastructure.{part}: {what}")));
        }
    }
    if folder.join("lambda.json").is_file() {
        notes.push(Note::new("conf/lambda.json", "memory, time and schedules of functions are set up anew"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, Value)]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let schema = json!({"t:a": {"parser": "json", "schema": {"a": "string"}}});
        let all = files.iter().cloned().chain([("schemas/t.json", schema)]);
        for (name, value) in all {
            let path = place.path().join("conf").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value.to_string()).unwrap();
        }
        place
    }

    fn notes(conf: &Conf, file: &str) -> Vec<String> {
        conf.notes.iter().filter(|note| note.file == file).map(|note| note.message.clone()).collect()
    }

    #[test]
    fn outputs_keep_what_the_file_said_and_ask_for_the_rest() {
        let outputs = json!({
            "aws-lambda": {"one": "name:live", "two": "arn:aws:lambda:us-east-1:111122223333:function:name:live", "three": "name"},
            "aws-s3": {"keep": "bucket"},
            "aws-sns": {"told": "topic"},
            "jira": ["soc"],
            "jira-v2": ["soc", "it ops"],
            "slack": ["security"],
            "carrier-pigeon": ["home"],
        });
        let account = json!({"account": {"aws_account_id": "111122223333", "region": "eu-west-1"}});
        let place = repository(&[("outputs.json", outputs), ("global.json", account)]);
        let conf = Conf::read(place.path()).unwrap();
        let ours = Value::Object(conf.outputs.clone());
        let arn = "arn:aws:lambda:us-east-1:111122223333:function:name";
        assert_eq!(
            ours["aws-lambda"],
            json!({
                "one": {"settings": {"function": "name", "qualifier": "live"}},
                "two": {"settings": {"function": arn, "qualifier": "live"}},
                "three": {"settings": {"function": "name"}},
            })
        );
        assert_eq!(ours["aws-s3"]["keep"]["settings"]["bucket"], "bucket");
        assert_eq!(ours["aws-sns"]["told"]["settings"]["topic"], "arn:aws:sns:eu-west-1:111122223333:topic");
        assert_eq!(ours["slack"]["security"], json!({"hosts": ["hooks.slack.com"]}));
        assert_eq!(ours["jira"].as_object().unwrap().keys().collect::<Vec<_>>(), ["soc", "soc-jira-v2", "it-ops"]);
        let renamed = [("jira-v2:it ops", "jira:it-ops"), ("jira-v2:soc", "jira:soc-jira-v2")];
        assert_eq!(conf.renamed, renamed.map(|(old, new)| (old.to_owned(), new.to_owned())).into());
        let told = notes(&conf, "conf/outputs.json").join("\n");
        for part in [
            "slack:security: give its secrets again: `url`",
            "jira:soc: fill in `url`, `project_key`, `issue_type`, `username`",
            "jira-v2:soc: is jira:soc-jira-v2 here, for rules, too",
            "carrier-pigeon:home: there is no such service here",
        ] {
            assert!(told.contains(part), "`{part}` is not in:\n{told}");
        }
    }

    #[test]
    fn clusters_keep_their_sources() {
        let cluster = json!({
            "id": "prod",
            "data_sources": {"kinesis": {"stream": ["t"], "empty": []}, "s3": {"bucket": ["u"]}},
            "classifier_config": {"memory": 128, "timeout": 60, "enable_custom_metrics": true, "inputs": {"aws-sns": []}},
            "modules": {"kinesis": {"streams": {}}},
            "enable_threat_intel": false,
        });
        let place = repository(&[("clusters/prod.json", cluster)]);
        let conf = Conf::read(place.path()).unwrap();
        let ours: Value = serde_json::from_str(&conf.clusters[0].1).unwrap();
        assert_eq!(
            ours,
            json!({
                "id": "prod",
                "data_sources": {"kinesis": {"stream": ["t"]}, "s3": {"bucket": ["u"]}},
                "classifier_config": {"memory": 128, "timeout": 60},
                "enable_threat_intel": false,
            })
        );
        let told = notes(&conf, "conf/clusters/prod.json").join("\n");
        assert!(told.contains("data_sources.kinesis.empty names no logs"), "{told}");
        let dropped = "classifier_config.enable_custom_metrics, modules.kinesis is not brought over";
        assert!(told.contains(dropped) && told.contains("no schema goes by `u`"), "{told}");
    }

    #[test]
    fn schemas_come_along_byte_for_byte_where_they_can_be_read() {
        let odd = json!({
            "o:good": {"parser": "json", "schema": {"a": "string"}},
            "o:bad": {"parser": "json", "schema": {"a": "text"}},
            "t:a": {"parser": "json", "schema": {"b": "string"}},
        });
        let place = repository(&[("schemas/odd.json", odd)]);
        let conf = Conf::read(place.path()).unwrap();
        assert_eq!(conf.log_types, ["o:good", "t:a"]);
        assert_eq!(conf.schemas.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["odd.json", "t.json"]);
        let original = std::fs::read_to_string(place.path().join("conf/schemas/t.json")).unwrap();
        assert_eq!(conf.schemas[1].1, original);
        let left_out = notes(&conf, "conf/schemas/odd.json").join("\n");
        assert!(left_out.contains("log type o:bad is left out: `text` is no type"), "{left_out}");
        assert!(notes(&conf, "conf/schemas/t.json")[0].contains("t:a is in odd.json, too"));
    }

    #[test]
    fn what_lies_elsewhere_is_named() {
        let tables = json!({"enabled": true, "tables": {
            "names": {"driver": "s3", "bucket": "b", "key": "names.json"},
            "rows": {"driver": "dynamodb", "table": "t"},
        }});
        let intel = json!({"enabled": true, "normalized_ioc_types": {"ip": ["sourceAddress"]}, "colour": 1});
        let place = repository(&[("lookup_tables.json", tables), ("threat_intel.json", intel)]);
        let conf = Conf::read(place.path()).unwrap();
        let told = notes(&conf, "conf/lookup_tables.json");
        assert!(told[0].contains("make conf/lookup_tables/names.json of the object s3://b/names.json"), "{told:?}");
        assert!(told[1].contains("the DynamoDB table t"), "{told:?}");
        assert_eq!(
            conf.threat_intel,
            Some(json!({"enabled": true, "normalized_ioc_types": {"ip": ["sourceAddress"]}}))
        );
        assert!(notes(&conf, "conf/threat_intel.json")[0].contains("under `sources`"));
    }

    #[test]
    fn packs_of_scheduled_queries_are_brought_over_and_what_they_ask_is_told() {
        let packs = json!({"hourly": {"description": "d", "schedule_expression": "rate(1 hour)"}, "odd": {"schedule_expression": "hourly"}});
        let place = repository(&[("scheduled_queries.json", json!({"enabled": true, "config": {}, "packs": packs}))]);
        let conf = Conf::read(place.path()).unwrap();
        let expected = json!({"enabled": true, "packs": {"hourly": {"description": "d", "schedule": "rate(1 hour)"}}, "queries": {}});
        assert_eq!(conf.scheduled_queries, Some(expected.clone()));
        assert!(ScheduledQueries::read(FILE, &expected.to_string(), |_| Err("none".into())).is_ok());
        let told: Vec<String> = conf.notes.iter().map(|note| json!(note).to_string()).collect();
        assert!(told.iter().any(|note| note.contains("the pack odd is left out")), "{told:?}");
        assert!(told.iter().any(|note| note.contains("scheduled_queries/*.py")), "{told:?}");
    }
}
