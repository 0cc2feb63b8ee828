//! From Sigma rules in YAML to [`rule::Rule`]s that a component judges by.
//!
//! | module | its question |
//! |---|---|
//! | [`documents`] | which rules are in a file, and which parts of it are none |
//! | [`mapping`] | which log types is a log source, and where do its fields lie there |
//! | [`detection`] | what must a record hold |
//! | [`pattern`] | what does a value with its modifiers match |
//! | [`prefilter`] | what must every record hold that the rule could report |
//! | [`naming`] | what is a rule called, when names must differ |
//!
//! YAML, conditions and modifiers are read and checked by rsigma-parser and rsigma-ir.

mod detection;
mod documents;
mod mapping;
mod naming;
mod pattern;
mod prefilter;

pub use mapping::{Mapping, MappingError};
pub use streamalert_sigma::rule;

use documents::Found;
use rsigma_parser::{Level, SigmaRule, Status};
use rule::{Expr, Rule};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is known of the log types: their top-level fields, and whether a field may be absent and is filled then.
pub type LogTypes = BTreeMap<String, BTreeMap<String, bool>>;

/// A file of Sigma rules.
pub struct File {
    pub name: String,
    pub text: String,
}

/// A rule that is ready.
pub struct Ready {
    pub file: String,
    pub rule: Rule,
    pub notes: Vec<String>,
}

/// A rule, or a file, that is not.
pub struct LeftOut {
    pub file: String,
    /// Its title; empty if it has none, or a whole file is meant.
    pub rule: String,
    pub why: String,
    /// Its author has withdrawn it, so nothing is lost.
    pub withdrawn: bool,
}

#[derive(Default)]
pub struct Compiled {
    /// By name.
    pub rules: Vec<Ready>,
    pub left_out: Vec<LeftOut>,
    /// YAML that is something else.
    pub other_documents: usize,
}

/// Outputs of every rule are `outputs` and those of the mapping.
pub fn compile(files: &[File], mapping: &Mapping, log_types: &LogTypes, outputs: &[String]) -> Compiled {
    let mut compiled = Compiled::default();
    for file in files {
        for found in documents::read(&file.text) {
            let (title, warnings, result) = match found {
                Found::Rule(rule, warnings) => (rule.title.clone(), warnings, one(&rule, mapping, log_types, outputs)),
                Found::Foreign => {
                    compiled.other_documents += 1;
                    continue;
                }
                Found::Other { title, why } => (title, Vec::new(), Err(why.into())),
            };
            match result.map(|(rule, notes)| (rule, warnings.into_iter().chain(notes).collect())) {
                Ok((rule, notes)) => compiled.rules.push(Ready { file: file.name.clone(), rule, notes }),
                Err(Refused { why, withdrawn }) => {
                    compiled.left_out.push(LeftOut { file: file.name.clone(), rule: title, why, withdrawn });
                }
            }
        }
    }
    naming::make_unique(&mut compiled.rules);
    compiled.rules.sort_by(|a, b| a.rule.name.cmp(&b.rule.name));
    compiled
}

/// Bytes that the host takes of a rule's description, and of its options.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// One rule that the host refuses, or the component cannot read, would cost all others.
fn fits(rule: &Rule) -> Result<(), String> {
    let options = serde_json::to_string(&rule.options).unwrap_or_default();
    let texts = [
        ("description and false positives have", rule.description.len()),
        ("tags, references, author and the like have", options.len()),
    ];
    if let Some((what, bytes)) = texts.iter().find(|(_, bytes)| *bytes > TEXT_BYTES_MAX) {
        return Err(format!("its {what} {bytes} bytes, more than {TEXT_BYTES_MAX}"));
    }
    let read = serde_json::to_string(rule).and_then(|text| serde_json::from_str::<Rule>(&text));
    // serde_json goes down so many levels.
    read.map(|_| ()).map_err(|error| format!("its condition is nested too deep to be read again: {error}"))
}

/// Why a rule is not imported.
struct Refused {
    why: String,
    withdrawn: bool,
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Refused { why, withdrawn: false }
    }
}

fn one(
    sigma: &SigmaRule,
    mapping: &Mapping,
    log_types: &LogTypes,
    outputs: &[String],
) -> Result<(Rule, Vec<String>), Refused> {
    if let Some(status @ (Status::Deprecated | Status::Unsupported)) = sigma.status {
        let status = if status == Status::Deprecated { "deprecated" } else { "unsupported" };
        return Err(Refused { why: format!("its status is {status}"), withdrawn: true });
    }
    if sigma.detection.timeframe.is_some() {
        return Err("it has a timeframe: rules that count over time are not imported".to_owned().into());
    }
    let sources = mapping.sources(&sigma.logsource, log_types)?;
    let mut logs: Vec<String> = Vec::new();
    let mut alternatives = Vec::new();
    let mut notes = Vec::new();
    for source in &sources {
        let mut made = detection::expr(&sigma.detection, source, mapping)?;
        if let Some(holds) = &source.holds {
            made.expr = Expr::All(vec![holds.clone(), made.expr]);
        }
        alternatives.push(made.expr);
        notes.extend(made.unknown.into_iter().map(|(field, path)| {
            format!("{} has no field `{path}`, which `{field}` is taken for", source.logs.join(", "))
        }));
        logs.extend(source.logs.iter().filter(|log| !logs.contains(log)).cloned().collect::<Vec<_>>());
    }
    let detect = match alternatives.len() {
        1 => alternatives.remove(0),
        _ => Expr::Any(alternatives),
    };
    notes.sort();
    notes.dedup();
    let when_any = prefilter::conditions(&detect);
    if when_any.is_empty() {
        notes
            .push("nothing in it can be asked by the prefilter, so the rule sees every record of its log types".into());
    }
    let rule = Rule {
        name: naming::name(&sigma.title),
        title: sigma.title.trim().to_owned(),
        description: description(sigma),
        logs,
        options: options(sigma, when_any, outputs.iter().chain(&mapping.outputs)),
        detect,
    };
    fits(&rule)?;
    Ok((rule, notes))
}

fn description(sigma: &SigmaRule) -> String {
    let mut text = sigma.description.as_deref().unwrap_or(&sigma.title).trim().to_owned();
    // A word like Unknown stands there where the author has seen none.
    let none = ["unknown", "unlikely", "none"];
    let known = sigma.falsepositives.iter().map(|text| text.trim());
    let known: Vec<&str> = known.filter(|text| !none.contains(&text.to_lowercase().as_str())).collect();
    if !known.is_empty() {
        text += &format!("\n\nFalse positives: {}", known.join("; "));
    }
    text
}

fn options<'a>(
    sigma: &SigmaRule,
    when_any: Vec<Value>,
    outputs: impl Iterator<Item = &'a String>,
) -> Map<String, Value> {
    let mut options = Map::new();
    let mut set = |name: &str, value: Value| {
        let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            options.insert(name.to_owned(), value);
        }
    };
    if let Some(level) = sigma.level {
        let severity = match level {
            Level::Informational => "info",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        };
        set("severity", severity.into());
    }
    let mut named: Vec<&String> = Vec::new();
    for output in outputs {
        if !named.contains(&output) {
            named.push(output);
        }
    }
    set("outputs", json!(named));
    set("tags", json!(sigma.tags));
    set("references", json!(sigma.references));
    // The licence of most rules wants their authors named wherever they report.
    let mut about = Map::new();
    for (name, value) in [("id", &sigma.id), ("author", &sigma.author), ("license", &sigma.license)] {
        if let Some(value) = value {
            about.insert(name.to_owned(), value.as_str().into());
        }
    }
    if let Some(status) = sigma.status {
        about.insert("status".to_owned(), json!(status));
    }
    set("context", if about.is_empty() { json!({}) } else { json!({ "sigma": about }) });
    set("when_any", when_any.into());
    options
}
