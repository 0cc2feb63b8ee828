//! What a component says of its rules or of itself, taken at its word only where it makes sense.

use crate::component::{LoadCheck, Problem};
use crate::host::printable;
use crate::limits::PluginLimits;
use crate::wire;
use serde_json::Value;
use std::collections::HashMap;
use streamalert_pipeline::alert_processor::publishers;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::config::schema::{Datatype, Parser};
use streamalert_pipeline::limits::{MERGE_MEMBERS_MAX, MERGE_MINUTES_MAX};
use streamalert_pipeline::plugin::{
    AppInfo, AppOptions, Condition, OutputInfo, OutputOptions, ParserInfo, PublisherInfo, RuleInfo, RuleOptions, Test,
};

/// Bytes of a rule's name: it becomes part of ids, metrics and file names.
const NAME_BYTES_MAX: usize = 128;
/// Problems that are listed; after so many more the author has seen enough.
const PROBLEMS_MAX: usize = 50;

pub fn check(
    described: Vec<wire::RuleInfo>,
    limits: &PluginLimits,
    check: &LoadCheck,
) -> Result<Vec<RuleInfo>, Vec<Problem>> {
    if described.is_empty() {
        return Err(vec![Problem::component(
            "declares no rules",
            "in Rust, a function becomes a rule by #[rule(…)] and must be linked into the component",
        )]);
    }
    if described.len() > limits.rules {
        let (found, limit) = (described.len(), limits.rules);
        return Err(vec![Problem::component(
            format!("declares {found} rules"),
            format!("split it: the limit is {limit}"),
        )]);
    }
    let mut list = List { problems: Vec::new(), rule: String::new() };
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut rules = Vec::with_capacity(described.len());
    for (index, wire) in described.into_iter().enumerate() {
        list.rule =
            if wire.name.is_empty() { format!("number {index}") } else { printable(&wire.name, NAME_BYTES_MAX) };
        if let Some((message, remedy)) = name_fault(&wire.name) {
            list.add("name", message, remedy);
        }
        if let Some(earlier) = first.insert(wire.name.clone(), index) {
            list.add("name", format!("rules {earlier} and {index} have the same name"), "give each rule its own name");
        }
        size(&mut list, "description", &wire.description, limits);
        let names = wire.logs.len();
        logs(&mut list, &wire.logs, limits, check);
        let when = conditions(&mut list, wire.when, limits);
        size(&mut list, "options", &wire.options, limits);
        if let Some(options) = options(&mut list, &wire.options) {
            datatypes(&mut list, &options.datatypes, names > 0, limits, check);
            alternatives(&mut list, &options.when_any, limits);
            rules.push(RuleInfo { name: wire.name, description: wire.description, logs: wire.logs, when, options });
        }
        if list.problems.len() > PROBLEMS_MAX {
            list.problems.truncate(PROBLEMS_MAX);
            list.problems.push(Problem::component("has further problems", "mend these first"));
            break;
        }
    }
    if list.problems.is_empty() { Ok(rules) } else { Err(list.problems) }
}

/// What a parser says of itself, and its log types.
pub fn check_parser(
    described: wire::ParserInfo,
    limits: &PluginLimits,
    check: &LoadCheck,
) -> Result<(ParserInfo, Schemas), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut add = |field: &str, message: String, remedy: String| {
        problems.push(Problem { rule: None, field: Some(field.into()), message, remedy });
    };
    if let Some((message, remedy)) = name_fault(&described.name) {
        add("name", message, remedy);
    }
    for (field, text, limit) in [
        ("description", &described.description, limits.text_bytes),
        ("schemas", &described.schemas, limits.parser_schema_bytes),
    ] {
        if text.len() > limit {
            add(field, format!("has {} bytes", text.len()), format!("the limit is {limit}"));
        }
    }
    let file = format!("the schemas of {}", printable(&described.name, NAME_BYTES_MAX));
    let schemas = match described.schemas.len() <= limits.parser_schema_bytes {
        true => match Schemas::read(&[(file, described.schemas.clone())]) {
            Ok(schemas) => schemas,
            Err(faults) => {
                for fault in faults.0 {
                    let at = if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
                    add("schemas", format!("{at}{}", fault.message), SCHEMA_REMEDY.into());
                }
                Schemas::default()
            }
        },
        false => Schemas::default(),
    };
    if schemas.is_empty() && problems.is_empty() {
        let message = "define no log type, so there is nothing its records could be".to_owned();
        problems.push(Problem { rule: None, field: Some("schemas".into()), message, remedy: SCHEMA_REMEDY.into() });
    }
    for log_type in schemas.iter() {
        let mut add = |message: String, remedy: &str| {
            let field = Some(format!("schemas, {}", printable(&log_type.name, NAME_BYTES_MAX)));
            problems.push(Problem { rule: None, field, message, remedy: remedy.into() });
        };
        if log_type.parser != Parser::Json {
            let message = format!("has the parser `{}`, but its records come as JSON", log_type.parser.name());
            add(message, "write \"parser\": \"json\"");
        }
        if check.log_types.contains(&log_type.name) {
            add("is a log type of conf/schemas, too".into(), "give it another name: one name is one schema");
        }
    }
    if problems.len() > PROBLEMS_MAX {
        problems.truncate(PROBLEMS_MAX);
        problems.push(Problem::component("has further problems", "mend these first"));
    }
    if problems.is_empty() { Ok((described.into(), schemas)) } else { Err(problems) }
}

/// Names of publishers, which are nobody else's.
pub fn check_publishers(
    described: Vec<wire::PublisherInfo>,
    limits: &PluginLimits,
) -> Result<Vec<PublisherInfo>, Vec<Problem>> {
    if described.is_empty() {
        return Err(vec![Problem::component("declares no publishers", "in Rust, name one in export_publishers!")]);
    }
    if described.len() > limits.rules {
        let (found, limit) = (described.len(), limits.rules);
        let message = format!("declares {found} publishers");
        return Err(vec![Problem::component(message, format!("split it: the limit is {limit}"))]);
    }
    let mut problems = Fields::default();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, publisher) in described.iter().enumerate() {
        let name = match publisher.name.as_str() {
            "" => format!("number {index}"),
            name => printable(name, NAME_BYTES_MAX),
        };
        let field = |field: &str| format!("publisher {name}, {field}");
        if let Some((message, remedy)) = name_fault(&publisher.name) {
            problems.add(field("name"), message, remedy);
        } else if publishers::native(&publisher.name).is_some() {
            problems.add(field("name"), "the host has a publisher of this name itself", "give it another name");
        }
        if let Some(earlier) = first.insert(&publisher.name, index) {
            let message = format!("publishers {earlier} and {index} have the same name");
            problems.add(field("name"), message, "give each publisher its own name");
        }
        problems.size(field("description"), &publisher.description, limits);
    }
    let info = |wire::PublisherInfo { name, description }| PublisherInfo { name, description };
    problems.none_or(described.into_iter().map(info).collect())
}

/// What an output says of itself.
pub fn check_output(
    described: wire::OutputInfo,
    limits: &PluginLimits,
    check: &LoadCheck,
) -> Result<OutputInfo, Vec<Problem>> {
    let mut problems = Fields::default();
    let wire::OutputInfo { service, description, settings, hosts, options } = described;
    // It stands before the colon of `service:descriptor`, and before the dot of `@service.field`.
    if service.len() > SERVICE_BYTES_MAX {
        problems.add("service", format!("has {} bytes", service.len()), format!("at most {SERVICE_BYTES_MAX}"));
    } else if !is_word(&service) {
        problems.add("service", format!("`{}` is no name of a service", shown(&service)), LOWER);
    } else if check.native_services.contains(&service.as_str()) {
        problems.add("service", format!("the host has an output `{service}` itself"), "give it another name");
    }
    problems.size("description", &description, limits);

    settings_and_hosts(&mut problems, &settings, &hosts, limits);

    problems.size("options", &options, limits);
    let options = output_options(&mut problems, &options);
    let settings = settings.into_iter().map(Into::into).collect();
    problems.none_or(OutputInfo { service, description, settings, hosts, options })
}

fn output_options(problems: &mut Fields, json: &str) -> OutputOptions {
    let options: OutputOptions = read_options(problems, "options", "delivery", json);
    check_rate(problems, "options", "deliveries", options.rate);
    options
}

fn read_options<T: Default + serde::de::DeserializeOwned>(
    problems: &mut Fields,
    at: &str,
    file: &str,
    json: &str,
) -> T {
    let value = match serde_json::from_str::<Value>(json) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => {
            problems.add(at, "is JSON, but no object", "write {} for none");
            return T::default();
        }
        Err(error) => {
            problems.add(at, format!("is no JSON: {error}"), "write {} for none");
            return T::default();
        }
    };
    serde_path_to_error::deserialize(value).unwrap_or_else(|error| {
        let path = error.path().to_string();
        let field = if path == "." { at.to_owned() } else { format!("{at}.{path}") };
        let remedy = format!("see the options in wit/{file}.wit; was it built for a newer host?");
        problems.add(field, error.into_inner().to_string(), remedy);
        T::default()
    })
}

fn check_rate(problems: &mut Fields, at: &str, what: &str, rate: Option<f64>) {
    if let Some(rate) = rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
        let remedy = format!("give the {what} a second that the service takes, or leave `rate` out");
        problems.add(format!("{at}.rate"), format!("is {rate}"), remedy);
    }
}

/// What a component of apps says of them.
pub fn check_apps(described: Vec<wire::AppInfo>, limits: &PluginLimits) -> Result<Vec<AppInfo>, Vec<Problem>> {
    if described.is_empty() {
        let remedy = "in Rust, name the types of app in export_apps!";
        return Err(vec![Problem::component("declares no apps", remedy)]);
    }
    if described.len() > limits.output_items {
        let remedy = format!("split it: the limit is {}", limits.output_items);
        return Err(vec![Problem::component(format!("declares {} apps", described.len()), remedy)]);
    }
    let mut problems = Fields::default();
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut apps = Vec::with_capacity(described.len());
    for (index, app) in described.into_iter().enumerate() {
        let wire::AppInfo { name, description, settings, hosts, options } = app;
        problems.of = match name.as_str() {
            "" => format!("app number {index}, "),
            name => format!("app {}, ", shown(name)),
        };
        if name.len() > SERVICE_BYTES_MAX {
            problems.add("name", format!("has {} bytes", name.len()), format!("at most {SERVICE_BYTES_MAX}"));
        } else if !is_word(&name) {
            problems.add("name", format!("`{}` is no name of a type of app", shown(&name)), LOWER);
        }
        if let Some(earlier) = first.insert(name.clone(), index) {
            let message = format!("apps {earlier} and {index} have the same name");
            problems.add("name", message, "give each type of app its own name");
        }
        problems.size("description", &description, limits);
        settings_and_hosts(&mut problems, &settings, &hosts, limits);
        problems.size("options", &options, limits);
        let options: AppOptions = read_options(&mut problems, "options", "polling", &options);
        check_rate(&mut problems, "options", "requests", options.rate);
        for (index, log) in options.logs.iter().enumerate() {
            if log.is_empty() || log.chars().any(|c| c.is_whitespace() || c.is_control()) {
                let message = format!("`{}` is no name of a log type", shown(log));
                problems.add(format!("options.logs[{index}]"), message, "name one as conf/schemas does");
            }
        }
        let settings = settings.into_iter().map(Into::into).collect();
        apps.push(AppInfo { name, description, settings, hosts, options });
    }
    problems.none_or(apps)
}

const LOWER: &str = "use lower-case letters, digits, `_` and `-`, the first one a letter";

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

fn shown(text: &str) -> String {
    printable(text, 60)
}

/// What outputs and apps have in common.
fn settings_and_hosts(problems: &mut Fields, settings: &[wire::Setting], hosts: &[String], limits: &PluginLimits) {
    if settings.len() > limits.output_items {
        let message = format!("has {} settings", settings.len());
        problems.add("settings", message, format!("the limit is {}", limits.output_items));
    }
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (index, setting) in settings.iter().enumerate() {
        let field = format!("settings[{index}]");
        if setting.name.len() > SERVICE_BYTES_MAX || !is_word(&setting.name) {
            problems.add(&field, format!("`{}` is no name of a setting", shown(&setting.name)), LOWER);
        }
        if let Some(earlier) = first.insert(&setting.name, index) {
            let message = format!("has the same name as settings[{earlier}]");
            problems.add(&field, message, "give each setting its own name");
        }
        if setting.description.trim().is_empty() {
            problems.add(&field, "says nothing of itself", "describe it: an operator is asked for it by this text");
        }
        problems.size(&field, &setting.description, limits);
    }

    if hosts.len() > limits.output_items {
        let message = format!("has {} hosts", hosts.len());
        problems.add("hosts", message, format!("the limit is {}", limits.output_items));
    }
    for (index, host) in hosts.iter().enumerate() {
        let field = format!("hosts[{index}]");
        if let Some(name) = host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if !settings.iter().any(|setting| setting.name == name) {
                let message = format!("`{}` stands for no setting", shown(host));
                problems.add(&field, message, "name a setting that holds a URL");
            }
        } else if !is_host(host.strip_prefix("*.").unwrap_or(host)) {
            const REMEDY: &str = "write a name, as in api.example.com; *.example.com for all below; or {setting} for the host of \
                                  the URL in a setting";
            problems.add(&field, format!("`{}` is no host", shown(host)), REMEDY);
        } else if host.strip_prefix("*.").is_some_and(|rest| !rest.contains('.')) {
            let message = format!("`{}` is half of the internet", shown(host));
            problems.add(&field, message, "name at least a domain, as in *.example.com");
        }
    }
}

/// Bytes of the name of a service or a setting.
const SERVICE_BYTES_MAX: usize = 64;

/// A name as DNS has it: letters, digits and hyphens between dots.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Problems of a component that is no list of rules.
#[derive(Default)]
struct Fields {
    found: Vec<Problem>,
    /// Stands before the field, where a component has several of what it has.
    of: String,
}

impl Fields {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        if self.found.len() < PROBLEMS_MAX {
            let (message, remedy) = (message.into(), remedy.into());
            let field = format!("{}{}", self.of, field.into());
            self.found.push(Problem { rule: None, field: Some(field), message, remedy });
        } else if self.found.len() == PROBLEMS_MAX {
            self.found.push(Problem::component("has further problems", "mend these first"));
        }
    }

    fn size(&mut self, field: impl Into<String>, text: &str, limits: &PluginLimits) {
        if text.len() > limits.text_bytes {
            self.add(field, format!("has {} bytes", text.len()), format!("the limit is {}", limits.text_bytes));
        }
    }

    fn none_or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

const SCHEMA_REMEDY: &str = "write it as the files of conf/schemas are written";

struct List {
    problems: Vec<Problem>,
    rule: String,
}

impl List {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(Problem {
            rule: Some(self.rule.clone()),
            field: Some(field.into()),
            message: message.into(),
            remedy: remedy.into(),
        });
    }
}

/// What is wrong with a name, and the remedy.
fn name_fault(name: &str) -> Option<(String, String)> {
    const REMEDY: &str = "use letters, digits, `_`, `-` and `.`";
    if name.is_empty() {
        Some(("is empty".into(), REMEDY.into()))
    } else if name.len() > NAME_BYTES_MAX {
        Some((format!("has {} bytes", name.len()), format!("at most {NAME_BYTES_MAX}")))
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) || name.starts_with(['.', '-']) {
        Some((format!("`{}` has characters that no name may have", printable(name, 60)), REMEDY.into()))
    } else {
        None
    }
}

fn size(list: &mut List, field: &str, text: &str, limits: &PluginLimits) {
    if text.len() > limits.text_bytes {
        list.add(field, format!("has {} bytes", text.len()), format!("the limit is {}", limits.text_bytes));
    }
}

fn items(list: &mut List, field: &str, count: usize, limits: &PluginLimits) -> bool {
    let fits = count <= limits.list_items;
    if !fits {
        list.add(field, format!("has {count} items"), format!("the limit is {}", limits.list_items));
    }
    fits
}

fn logs(list: &mut List, logs: &[String], limits: &PluginLimits, check: &LoadCheck) {
    if !items(list, "logs", logs.len(), limits) {
        return;
    }
    for (index, log) in logs.iter().enumerate() {
        if !check.knows(log) {
            let shown = printable(log, 80);
            let remedy = match nearest(log, check.log_types.iter().chain(check.parser_types)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name one that conf/schemas defines".into(),
            };
            list.add(format!("logs[{index}]"), format!("`{shown}` is no log type"), remedy);
        }
    }
}

fn datatypes(list: &mut List, names: &[String], has_logs: bool, limits: &PluginLimits, check: &LoadCheck) {
    if names.is_empty() && !has_logs {
        const REMEDY: &str = "name one, as conf/schemas does, or `datatypes`";
        list.add("logs", "names no log type, so the rule would never be asked", REMEDY);
    }
    if !items(list, "options.datatypes", names.len(), limits) {
        return;
    }
    for (index, name) in names.iter().enumerate() {
        let field = format!("options.datatypes[{index}]");
        let shown = printable(name, 80);
        let Some(datatype) = Datatype::parse(name) else {
            list.add(field, format!("`{shown}` is no OCSF class"), "name one, like `ocsf:authentication`");
            continue;
        };
        let own = datatype.to_string();
        if let Some(known) = check.datatypes.filter(|known| !known.contains(&own)) {
            let remedy = match nearest(&own, known.iter()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name one under `normalization`, `ocsf` or `ecs` in conf/schemas".into(),
            };
            list.add(field, format!("no log type has `{shown}`"), remedy);
        }
    }
}

fn conditions(list: &mut List, when: Vec<wire::Condition>, limits: &PluginLimits) -> Vec<Condition> {
    if !items(list, "when", when.len(), limits) {
        return Vec::new();
    }
    when.into_iter()
        .enumerate()
        .map(|(index, condition)| {
            let field = format!("when[{index}]");
            if condition.path.is_empty() {
                list.add(&field, "has an empty path", "name a field, like `eventName` or `userIdentity.type`");
            }
            size(list, &format!("{field}.path"), &condition.path, limits);
            let texts = |list: &mut List, kind: &str, texts: Vec<String>| {
                if texts.is_empty() {
                    list.add(&field, format!("{kind} has no values, so it never holds"), "give at least one");
                }
                items(list, &field, texts.len(), limits);
                texts.iter().for_each(|text| size(list, &field, text, limits));
                texts
            };
            let test = match condition.test {
                wire::Test::Equals(values) => Test::Equals(equals(list, &field, values, limits)),
                wire::Test::Prefix(values) => Test::Prefix(texts(list, "prefix", values)),
                wire::Test::Suffix(values) => Test::Suffix(texts(list, "suffix", values)),
                wire::Test::Contains(values) => Test::Contains(texts(list, "contains", values)),
                wire::Test::Exists => Test::Exists,
            };
            Condition { path: condition.path, test }
        })
        .collect()
}

/// The conditions in the options, which come as JSON.
fn alternatives(list: &mut List, when_any: &[Vec<Condition>], limits: &PluginLimits) {
    items(list, "options.when_any", when_any.len(), limits);
    for (index, conditions) in when_any.iter().enumerate() {
        let field = format!("options.when_any[{index}]");
        if conditions.is_empty() {
            list.add(&field, "has no conditions, so it never holds", "give at least one, or leave the list out");
        }
        items(list, &field, conditions.len(), limits);
        for condition in conditions {
            if condition.path.is_empty() {
                list.add(&field, "has an empty path", "name a field, like `eventName` or `userIdentity.type`");
            }
            let (kind, values) = match &condition.test {
                Test::Equals(values) => ("equals", values.len()),
                Test::Prefix(texts) => ("prefix", texts.len()),
                Test::Suffix(texts) => ("suffix", texts.len()),
                Test::Contains(texts) => ("contains", texts.len()),
                Test::Exists => continue,
            };
            if values == 0 {
                list.add(&field, format!("{kind} has no values, so it never holds"), "give at least one");
            }
            items(list, &field, values, limits);
        }
    }
}

fn equals(list: &mut List, field: &str, values: Vec<wire::Value>, limits: &PluginLimits) -> Vec<Value> {
    if values.is_empty() {
        list.add(field, "equals has no values, so it never holds", "give at least one");
    }
    items(list, field, values.len(), limits);
    values
        .into_iter()
        .map(|value| match value {
            wire::Value::Absent => {
                list.add(field, "asks for a value that is absent", "a condition can test only what is there");
                Value::Null
            }
            wire::Value::Float(number) if !number.is_finite() => {
                list.add(field, format!("compares with {number}"), "no log holds such a number");
                Value::Null
            }
            wire::Value::Json(json) => serde_json::from_str(&json).unwrap_or_else(|error| {
                list.add(field, format!("holds JSON that does not parse: {error}"), "write valid JSON");
                Value::Null
            }),
            wire::Value::Text(text) => {
                size(list, field, &text, limits);
                Value::String(text)
            }
            plain => plain.into(),
        })
        .collect()
}

fn options(list: &mut List, json: &str) -> Option<RuleOptions> {
    let value = match serde_json::from_str::<Value>(json) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => {
            list.add("options", "is JSON, but no object", "write {} for none");
            return None;
        }
        Err(error) => {
            list.add("options", format!("is no JSON: {error}"), "write {} for none");
            return None;
        }
    };
    let options: RuleOptions = match serde_path_to_error::deserialize(value) {
        Ok(options) => options,
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." { "options".into() } else { format!("options.{path}") };
            list.add(
                field,
                error.into_inner().to_string(),
                "see the options in wit/detection.wit; was it built for a newer host?",
            );
            return None;
        }
    };
    for (index, output) in options.outputs.iter().enumerate() {
        if !is_output(output) {
            let shown = printable(output, 80);
            list.add(format!("options.outputs[{index}]"), format!("`{shown}` names no output"), OUTPUT_REMEDY);
        }
    }
    if let Some(merge) = &options.merge {
        if merge.by.iter().any(String::is_empty) {
            let remedy = "name the fields whose values must agree, or leave `by` out to go by the dedup key";
            list.add("options.merge.by", "names no field", remedy);
        }
        if merge.minutes == 0 {
            list.add("options.merge.minutes", "is 0", "give the minutes to wait, or leave `merge` out");
        }
        let range = format!("write 2 to {MERGE_MEMBERS_MAX}");
        let fits = |count: u32| (2..=MERGE_MEMBERS_MAX).contains(&count);
        if !fits(merge.max) {
            list.add("options.merge.max", format!("is {}", merge.max), range.clone());
        }
        if let Some(threshold) = merge.threshold.filter(|threshold| !fits(*threshold)) {
            list.add("options.merge.threshold", format!("is {threshold}"), range);
        }
        if merge.minutes > MERGE_MINUTES_MAX {
            let found = format!("is {}", merge.minutes);
            list.add("options.merge.minutes", found, format!("write at most {MERGE_MINUTES_MAX}, a week"));
        }
    }
    if !is_publishers(&options.publishers) {
        list.add(
            "options.publishers",
            "is neither a name, nor a list of names, nor an object of these by output",
            "name publishers",
        );
    }
    Some(options)
}

const OUTPUT_REMEDY: &str = "write `service:descriptor`, like `slack:security`";

/// Bytes of an output's name: it becomes part of keys.
pub const OUTPUT_BYTES_MAX: usize = 512;

/// `service:descriptor`, both of them there and without blanks.
fn is_output(output: &str) -> bool {
    let clean = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
    output.len() <= OUTPUT_BYTES_MAX
        && output.split_once(':').is_some_and(|(service, descriptor)| clean(service) && clean(descriptor))
}

fn is_publishers(value: &Value) -> bool {
    let names = |value: &Value| match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => false,
    };
    match value {
        Value::Null => true,
        Value::Object(by_output) => by_output.values().all(names),
        other => names(other),
    }
}

/// The known name that differs in the fewest letters, if few enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    if name.len() > 100 {
        return None;
    }
    let best = known.map(|candidate| (distance(name, candidate), candidate)).min()?;
    (best.0 <= name.len().div_ceil(3)).then_some(best.1.as_str())
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> wire::RuleInfo {
        wire::RuleInfo {
            name: "root_login".into(),
            description: "Root logged in".into(),
            logs: vec!["cloudtrail:events".into()],
            when: vec![],
            options: r#"{"outputs": ["slack:security"], "severity": "high"}"#.into(),
        }
    }

    fn problems(rules: Vec<wire::RuleInfo>) -> Vec<String> {
        let types = ["cloudtrail:events".to_owned(), "okta:system_log".to_owned()];
        let known = |log: &str| types.iter().any(|t| t == log);
        let datatypes = ["ip_address", "ecs:source.ip", "ocsf:authentication"].map(str::to_owned);
        let check_against =
            LoadCheck { knows_log: &known, log_types: &types, datatypes: Some(&datatypes), ..LoadCheck::any_log() };
        match check(rules, &PluginLimits::default(), &check_against) {
            Ok(_) => vec![],
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut wire::RuleInfo), expected: &str) {
        let mut rule = good();
        change(&mut rule);
        let found = problems(vec![rule]);
        assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}, found {found:#?}");
    }

    #[test]
    fn a_good_rule_passes() {
        assert_eq!(problems(vec![good()]), Vec::<String>::new());
    }

    fn parser_problems(change: impl FnOnce(&mut wire::ParserInfo)) -> Vec<String> {
        let mut info = wire::ParserInfo {
            name: "netflow".into(),
            description: "Flows".into(),
            schemas: r#"{"netflow:v5": {"parser": "json", "schema": {"n": "integer"}}}"#.into(),
            takes: wire::Takes::Whole,
            sniffs: true,
        };
        change(&mut info);
        let types = ["cloudtrail:events".to_owned()];
        let check = LoadCheck { knows_log: &|_| false, log_types: &types, ..LoadCheck::any_log() };
        match check_parser(info, &PluginLimits::default(), &check) {
            Ok(_) => vec![],
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[test]
    fn a_parser_needs_a_name_and_log_types_of_its_own() {
        #[track_caller]
        fn refused(change: impl FnOnce(&mut wire::ParserInfo), expected: &[&str]) {
            let found = parser_problems(change);
            assert_eq!(found.len(), expected.len(), "{found:#?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "expected {expected:?}, found {found:?}");
            }
        }
        let schemas = |text: &'static str| move |info: &mut wire::ParserInfo| info.schemas = text.into();
        refused(|_| {}, &[]);
        refused(|info| info.name = "net flow".into(), &["name: `net flow` has characters"]);
        refused(|info| info.description = "x".repeat(70_000), &["description: has 70000 bytes"]);
        refused(|info| info.schemas = "x".repeat(2 << 20), &["schemas: has 2097152 bytes"]);
        refused(schemas("{"), &["schemas: not a JSON object of log types"]);
        refused(schemas("{}"), &["schemas: define no log type"]);
        refused(
            schemas(r#"{"a": {"parser": "json", "schema": {"x": "text"}}, "b": {"parser": "json"}}"#),
            &["schemas: a.schema.x: `text` is no type", "schemas: b: missing field `schema`"],
        );
        refused(
            schemas(r#"{"a": {"parser": "kv", "schema": {"x": "string"}}}"#),
            &["schemas, a: has the parser `kv`, but its records come as JSON"],
        );
        refused(
            schemas(r#"{"cloudtrail:events": {"parser": "json", "schema": {}}}"#),
            &["schemas, cloudtrail:events: is a log type of conf/schemas, too"],
        );
    }

    #[test]
    fn publishers_have_names_of_their_own() {
        fn refused(names: &[&str], expected: &[&str]) {
            let info = |name: &&str| wire::PublisherInfo { name: (*name).into(), description: "".into() };
            let found = check_publishers(names.iter().map(info).collect(), &PluginLimits::default());
            let found: Vec<String> = found.err().unwrap_or_default().iter().map(Problem::to_string).collect();
            assert_eq!(found.len(), expected.len(), "{found:#?}");
            assert!(found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected)), "{found:#?}");
        }
        refused(&["a", "b"], &[]);
        refused(&[], &["declares no publishers"]);
        refused(&["a", "a"], &["publisher a, name: publishers 0 and 1 have the same name"]);
        refused(
            &["", "add_record", "x y"],
            &[
                "publisher number 0, name: is empty",
                "publisher add_record, name: the host has a publisher of this name itself",
                "publisher x y, name: `x y` has characters",
            ],
        );
        refused(
            &["a"; 200],
            &["publisher a, name: publishers"; 50].iter().copied().chain(["has further"]).collect::<Vec<_>>(),
        );
    }

    fn output_problems(change: impl FnOnce(&mut wire::OutputInfo)) -> Vec<String> {
        let setting = |name: &str| wire::Setting {
            name: name.into(),
            description: "Where to".into(),
            secret: true,
            required: true,
        };
        let mut info = wire::OutputInfo {
            service: "pager-2".into(),
            description: "Rings".into(),
            settings: vec![setting("url"), setting("api_key")],
            hosts: ["{url}", "api.example.com", "*.eu.example.com", "localhost"].map(str::to_owned).into(),
            options: r#"{"rate": 0.5, "idempotent": true}"#.into(),
        };
        change(&mut info);
        let check = LoadCheck { native_services: &["aws-s3"], ..LoadCheck::any_log() };
        let found = check_output(info, &PluginLimits::default(), &check);
        found.err().unwrap_or_default().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn an_output_says_what_it_needs_and_whom_it_calls() {
        #[track_caller]
        fn refused(change: impl FnOnce(&mut wire::OutputInfo), expected: &str) {
            let found = output_problems(change);
            assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}, found {found:#?}");
        }
        assert_eq!(output_problems(|_| {}), Vec::<String>::new());
        assert_eq!(output_problems(|info| info.options = "{}".into()), Vec::<String>::new());
        refused(|info| info.service.clear(), "service: `` is no name of a service");
        refused(|info| info.service = "Slack".into(), "service: `Slack` is no name of a service (use lower-case");
        refused(|info| info.service = "a.b".into(), "service: `a.b` is no name");
        refused(|info| info.service = "a:b".into(), "service: `a:b` is no name");
        refused(|info| info.service = "x".repeat(65), "service: has 65 bytes (at most 64)");
        refused(|info| info.service = "aws-s3".into(), "service: the host has an output `aws-s3` itself");
        refused(|info| info.description = "x".repeat(70_000), "description: has 70000 bytes");
        refused(|info| info.settings[1].name = "url".into(), "settings[1]: has the same name as settings[0]");
        refused(|info| info.settings[1].name = "API key".into(), "settings[1]: `API key` is no name of a setting");
        refused(|info| info.settings[1].description = " ".into(), "settings[1]: says nothing of itself");
        refused(|info| info.hosts[0] = "{uri}".into(), "hosts[0]: `{uri}` stands for no setting");
        refused(|info| info.hosts = vec!["a.example".into(); 65], "hosts: has 65 hosts");
        for host in [
            "",
            "https://a.example",
            "a.example/x",
            "a.example:443",
            "*",
            "*.",
            "a..b",
            "-a.b",
            "a b",
            "a.*.b",
            "x\u{1b}[2J",
        ] {
            refused(|info| info.hosts[1] = host.into(), "hosts[1]: `");
        }
        refused(|info| info.hosts[1] = "*.com".into(), "hosts[1]: `*.com` is half of the internet");
        refused(|info| info.options = "[]".into(), "options: is JSON, but no object");
        refused(|info| info.options.clear(), "options: is no JSON");
        refused(|info| info.options = r#"{"idempotant": true}"#.into(), "unknown field `idempotant`");
        refused(|info| info.options = r#"{"rate": "1"}"#.into(), "options.rate: invalid type");
        refused(|info| info.options = r#"{"rate": 0}"#.into(), "options.rate: is 0");
    }

    fn app_problems(change: impl FnOnce(&mut Vec<wire::AppInfo>)) -> Vec<String> {
        let app = |name: &str| wire::AppInfo {
            name: name.into(),
            description: "Fetches".into(),
            settings: vec![wire::Setting {
                name: "url".into(),
                description: "Where".into(),
                secret: false,
                required: true,
            }],
            hosts: vec!["{url}".into(), "*.example.com".into()],
            options: r#"{"rate": 2, "logs": ["acme:audit"]}"#.into(),
        };
        let mut apps = vec![app("acme_audit"), app("acme_logins")];
        change(&mut apps);
        let found = check_apps(apps, &PluginLimits::default());
        found.err().unwrap_or_default().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn apps_say_what_outputs_say_and_what_they_bring() {
        #[track_caller]
        fn refused(change: impl FnOnce(&mut Vec<wire::AppInfo>), expected: &str) {
            let found = app_problems(change);
            assert!(found.len() == 1 && found[0].contains(expected), "expected {expected:?}, found {found:#?}");
        }
        assert_eq!(app_problems(|_| {}), Vec::<String>::new());
        refused(Vec::clear, "declares no apps");
        refused(|apps| apps[1].name = "acme_audit".into(), "app acme_audit, name: apps 0 and 1 have the same name");
        refused(|apps| apps[1].name.clear(), "app number 1, name: `` is no name of a type of app");
        refused(|apps| apps[0].name = "A".into(), "app A, name: `A` is no name");
        refused(|apps| apps[1].hosts[0] = "{uri}".into(), "app acme_logins, hosts[0]: `{uri}` stands for no setting");
        refused(|apps| apps[0].settings[0].description.clear(), "app acme_audit, settings[0]: says nothing of itself");
        refused(
            |apps| apps[0].options = r#"{"logs": ["a b"]}"#.into(),
            "options.logs[0]: `a b` is no name of a log type",
        );
        refused(|apps| apps[0].options = r#"{"rate": 0}"#.into(), "options.rate: is 0");
        refused(|apps| apps[0].options = r#"{"log": []}"#.into(), "unknown field `log`");
        refused(|apps| apps[0].options = "[]".into(), "app acme_audit, options: is JSON, but no object");
    }

    #[test]
    fn rules_may_look_at_what_parsers_bring() {
        let brought = ["netflow:v5".to_owned()];
        let check = LoadCheck { knows_log: &|_| false, parser_types: &brought, ..LoadCheck::any_log() };
        assert!(check.knows("netflow:v5") && check.knows("netflow") && !check.knows("netflow:v9"));
    }

    #[test]
    fn each_mistake_is_named_with_rule_field_and_remedy() {
        assert!(problems(vec![])[0].contains("declares no rules"));
        refused(|r| r.name.clear(), "rule number 0, name: is empty");
        refused(|r| r.name = "a b".into(), "rule a b, name: `a b` has characters");
        refused(|r| r.name = "x".repeat(200), "name: has 200 bytes");
        refused(|r| r.logs.clear(), "rule root_login, logs: names no log type");
        refused(
            |r| r.logs[0] = "cloudtrail:event".into(),
            "logs[0]: `cloudtrail:event` is no log type (did you mean `cloudtrail:events`?)",
        );
        refused(|r| r.logs[0] = "zzz".into(), "name one that conf/schemas defines");
        refused(|r| r.description = "x".repeat(70_000), "description: has 70000 bytes");
        refused(|r| r.options = "[]".into(), "options: is JSON, but no object");
        refused(|r| r.options.clear(), "options: is no JSON");
        refused(|r| r.options = r#"{"outptus": []}"#.into(), "unknown field `outptus`");
        refused(
            |r| r.options = r#"{"merge": {"by": ["a"], "minutes": "3"}}"#.into(),
            "options.merge.minutes: invalid type",
        );
        refused(|r| r.options = r#"{"merge": {"by": ["a"], "minutes": 0}}"#.into(), "options.merge.minutes: is 0");
        refused(|r| r.options = r#"{"merge": {"by": [""], "minutes": 5}}"#.into(), "options.merge.by: names no field");
        refused(
            |r| r.options = r#"{"merge": {"by": ["a"], "minutes": 5, "max": 1}}"#.into(),
            "options.merge.max: is 1",
        );
        refused(|r| r.options = r#"{"merge": {"minutes": 5, "threshold": 1001}}"#.into(), "threshold: is 1001");
        refused(|r| r.options = r#"{"merge": {"minutes": 10081}}"#.into(), "options.merge.minutes: is 10081");
        refused(
            |r| r.options = r#"{"outputs": ["a:b", "slack"]}"#.into(),
            "options.outputs[1]: `slack` names no output",
        );
        refused(|r| r.options = r#"{"publishers": 4}"#.into(), "options.publishers: is neither");
        refused(|r| r.options = r#"{"severity": "awful"}"#.into(), "options.severity: unknown variant");
    }

    #[test]
    fn datatypes_may_stand_for_logs_and_must_be_known() {
        let with = |datatypes: &str| {
            let options = format!("{{\"datatypes\": {datatypes}}}");
            move |r: &mut wire::RuleInfo| {
                r.logs.clear();
                r.options = options;
            }
        };
        let mut rule = good();
        with(r#"["ip_address", "ocsf:3002", "ocsf:Authentication", "ecs:source.ip"]"#)(&mut rule);
        assert_eq!(problems(vec![rule]), Vec::<String>::new());
        refused(with("[]"), "logs: names no log type");
        refused(
            with(r#"["ip_adress"]"#),
            "options.datatypes[0]: no log type has `ip_adress` (did you mean `ip_address`?)",
        );
        refused(with(r#"["ocsf:login"]"#), "`ocsf:login` is no OCSF class (name one, like `ocsf:authentication`)");
        refused(with(r#"["ocsf:4003"]"#), "no log type has `ocsf:4003`");
    }

    #[test]
    fn conditions_must_be_able_to_hold() {
        let when = |path: &str, test| {
            let condition = wire::Condition { path: path.into(), test };
            move |r: &mut wire::RuleInfo| r.when = vec![condition]
        };
        use wire::{Test::*, Value};
        refused(when("", Exists), "when[0]: has an empty path");
        refused(when("a", Equals(vec![])), "equals has no values");
        refused(when("a", Contains(vec![])), "contains has no values");
        refused(when("a", Equals(vec![Value::Float(f64::NAN)])), "compares with NaN");
        refused(when("a", Equals(vec![Value::Absent])), "absent");
        refused(when("a", Equals(vec![Value::Json("{".into())])), "does not parse");
    }

    #[test]
    fn all_problems_come_at_once_but_not_without_end() {
        let mut second = good();
        second.options = "7".into();
        let found = problems(vec![good(), second]);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].contains("rules 0 and 1 have the same name"), "{found:#?}");

        let many = (0..200).map(|_| wire::RuleInfo { name: String::new(), ..good() }).collect();
        let found = problems(many);
        assert_eq!(found.len(), PROBLEMS_MAX + 1);
        assert!(found[PROBLEMS_MAX].contains("further problems"));
    }
}
