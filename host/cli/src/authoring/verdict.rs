//! Did a case come out as it says? If not: what was expected, what happened, and why.

mod parsing;

use super::cases::{Body, Input, Subject};
use super::defaults;
use super::reasons;
use super::trial::{Sorted, Trial};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use streamalert_delivery::Components;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_processor::publication::shape;
use streamalert_pipeline::config::LogType;
use streamalert_pipeline::log_record::{LogBatch, Source};
use streamalert_pipeline::plugin::{Read, RuleInfo};
use streamalert_pipeline::printable::printable;
use streamalert_plugins::{Explained, LogLine, RuleComponent};

/// Records of one case for which it is told why a rule did not fire; the first ones tell it.
const RECORDS_MAX: usize = 3;

#[derive(Default, Serialize)]
pub struct Verdict {
    /// Log type of each record.
    pub classified: Vec<String>,
    pub triggered: BTreeSet<String>,
    pub misses: Vec<Miss>,
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// What the rules raised, one of each.
    #[serde(skip)]
    pub alerts: Vec<Alert>,
}

/// One thing that is not as the case says.
#[derive(Serialize)]
pub struct Miss {
    pub message: String,
    pub why: Vec<String>,
}

impl Verdict {
    fn miss(&mut self, message: impl Into<String>, why: Vec<String>) {
        self.misses.push(Miss { message: message.into(), why });
    }
}

pub fn judge(trial: &mut Trial, case: &Subject) -> Verdict {
    match case {
        Subject::Rules(case) => judge_rules(trial, case),
        Subject::Parser(case) => parsing::judge(trial, case),
    }
}

fn judge_rules(trial: &mut Trial, case: &Body) -> Verdict {
    let mut verdict = Verdict::default();
    let input = match input(trial, case, &mut verdict.warnings) {
        Ok(input) => input,
        Err(message) => {
            verdict.miss(message, vec![]);
            return verdict;
        }
    };
    let source = Source::new(case.service.clone(), case.source.clone(), String::new());
    if trial.clusters.find(&source).is_none() {
        verdict
            .miss(format!("no cluster names the source {}:{}", case.service, case.source), unknown_source(trial, case));
        return verdict;
    }
    trial.set_tables(case.lookup_tables.as_ref());
    let mut sorted = match trial.sort(source, &input[..]) {
        Ok(sorted) => sorted,
        Err(error) => {
            verdict.miss(format!("the input cannot be read: {error}"), vec![]);
            return verdict;
        }
    };
    if let Some(known) = &case.threat_intel {
        let looked: Vec<bool> = sorted.batches.iter_mut().map(|batch| trial.look(batch, known)).collect();
        if !looked.iter().all(|looked| *looked) {
            let warning = "test_fixtures.threat_intel: threat intelligence is off in the configuration, so no record is looked through";
            verdict.warnings.push(warning.to_owned());
        }
    }
    check_types(trial, case, &sorted, &mut verdict);
    // Without a record there is nothing that a rule could have fired on.
    if !case.classify_only && !verdict.classified.is_empty() {
        check_rules(trial, case, &sorted, &mut verdict);
    }
    verdict
}

/// The bytes that arrive.
fn input(trial: &Trial, case: &Body, warnings: &mut Vec<String>) -> Result<Vec<u8>, String> {
    let Some(log_type) = trial.schemas.get(&case.log) else {
        let known: Vec<&str> = trial.schemas.iter().map(|log_type| log_type.name.as_str()).collect();
        return Err(format!("no schema defines the log type {}; there are {}", case.log, known.join(", ")));
    };
    let text = match &case.input {
        Input::Data(text) => text.clone(),
        Input::Part(part) => full(log_type, part.clone(), warnings)?,
    };
    if !case.compress {
        return Ok(text.into_bytes());
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).map_err(|error| format!("compress the input: {error}"))
}

fn full(log_type: &LogType, part: Map<String, Value>, warnings: &mut Vec<String>) -> Result<String, String> {
    for key in defaults::unknown_keys(log_type, &part) {
        warnings.push(format!("override_record: {} has no field `{key}`", log_type.name));
    }
    defaults::full_input(log_type, part).map(|input| input.to_string())
}

fn unknown_source(trial: &Trial, case: &Body) -> Vec<String> {
    let mut why = vec![format!(
        "add \"{}\" under data_sources.{} of a file in clusters/, with the log types it may send",
        case.source, case.service
    )];
    let mut known = Vec::new();
    for cluster in &trial.clusters.clusters {
        for (service, resources) in &cluster.data_sources {
            for (resource, declared) in resources {
                if trial.schemas.get(&case.log).is_some_and(|log_type| declared.may_send(log_type)) {
                    known.push(format!("{service}:{resource}"));
                }
            }
        }
    }
    match known.is_empty() {
        true => why.push(format!("no source may send {} so far", case.log)),
        false => why.push(format!("or use one that may send {}: {}", case.log, known.join(", "))),
    }
    why
}

fn check_types(trial: &Trial, case: &Body, sorted: &Sorted, verdict: &mut Verdict) {
    let types = sorted.batches.iter().flat_map(|batch| &batch.records).map(|record| record.log_type.name.clone());
    verdict.classified = types.collect();
    let letters: Vec<String> = sorted.dead.iter().map(|letter| printable(&letter.message)).collect();
    let mut others: Vec<&str> =
        verdict.classified.iter().map(String::as_str).filter(|name| *name != case.log).collect();
    others.sort_unstable();
    others.dedup();
    if verdict.classified.is_empty() {
        let mut why = letters;
        if sorted.skipped > 0 {
            why.push("the input holds no record".to_owned());
        }
        verdict.miss(format!("expected {}, but the input was not classified", case.log), why);
    } else if !others.is_empty() {
        let mut why = letters;
        let rank = |name: &str| trial.schemas.get(name).map(|log_type| log_type.rank);
        if others.iter().any(|other| rank(other) < rank(&case.log)) {
            why.push(format!("{} is tried first; `priority` in the schemas decides", others.join(", ")));
        }
        verdict.miss(format!("expected {}, but it was classified as {}", case.log, others.join(", ")), why);
    } else if !letters.is_empty() {
        verdict.miss(format!("{} of its records could not be classified", letters.len()), letters);
    }
}

fn check_rules(trial: &Trial, case: &Body, sorted: &Sorted, verdict: &mut Verdict) {
    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    for batch in &sorted.batches {
        let detected = trial.judge(batch);
        for alert in detected.alerts {
            alerts.entry(alert.rule_name.clone()).or_insert(alert);
        }
        let mut told = BTreeSet::new();
        for letter in detected.dead {
            let rule = letter.fault.map(|fault| fault.rule).unwrap_or_default();
            if told.insert(rule.clone()) {
                verdict.miss(format!("{rule} failed on the record"), vec![printable(&letter.message)]);
            }
        }
    }
    for name in &case.trigger_rules {
        if !alerts.contains_key(name) {
            let why = why_silent(trial, name, &sorted.batches);
            verdict.miss(format!("expected {name} to fire, but it did not"), why);
        }
    }
    for (name, alert) in &alerts {
        if !case.trigger_rules.contains(name) {
            let mut why = vec![format!("title: {}", printable(&alert.title))];
            if !alert.context.is_empty() {
                why.push(format!("context: {}", printable(&Value::Object(alert.context.clone()).to_string())));
            }
            verdict.miss(format!("{name} fired, but `trigger_rules` does not list it"), why);
        }
    }
    verdict.triggered = alerts.keys().cloned().collect();
    verdict.alerts = alerts.into_values().collect();
    for alert in &mut verdict.alerts {
        alert.outputs = trial.outputs.of(&alert.outputs, &alert.cluster, alert.severity);
    }
    check_outputs(trial, verdict);
    if !case.skip_publishers {
        check_publications(trial, case, verdict);
    }
}

/// Outputs that a finding names must be there, as far as is known. Those that rules declare were looked at before.
fn check_outputs(trial: &Trial, verdict: &mut Verdict) {
    let mut misses = Vec::new();
    for alert in &verdict.alerts {
        let declared = trial.rules().find(|rule| rule.name == alert.rule_name).map(|rule| &rule.options.outputs);
        for output in alert.outputs.iter().filter(|output| declared.is_none_or(|declared| !declared.contains(output))) {
            if (trial.has_outputs || !output.contains(':'))
                && let Some(message) = trial.outputs.unknown(output)
            {
                misses.push((format!("{} sends its alert to no output", alert.rule_name), vec![printable(&message)]));
            }
        }
    }
    misses.into_iter().for_each(|(message, why)| verdict.miss(message, why));
}

/// Every alert is shaped for each of its outputs, and must hold what the case says.
fn check_publications(trial: &Trial, case: &Body, verdict: &mut Verdict) {
    let publishers = Components(trial.set.clone());
    let mut misses = Vec::new();
    let mut looked_at = BTreeSet::new();
    for alert in &verdict.alerts {
        // A case may look at outputs that the rule has by other ways.
        let asked = case.publisher_tests.iter().map(|test| &test.output).filter(|output| output.contains(':'));
        let outputs: BTreeSet<&String> = alert.outputs.iter().chain(asked).collect();
        for output in outputs {
            let service = output.split_once(':').map_or(output.as_str(), |(service, _)| service);
            let publication = match shape(alert, output, &publishers) {
                Ok(publication) => Value::Object(publication),
                Err(unshaped) => {
                    misses.push((format!("{} cannot be shaped for {output}: {unshaped}", alert.rule_name), vec![]));
                    continue;
                }
            };
            for test in case.publisher_tests.iter().filter(|test| test.output == *output || test.output == service) {
                looked_at.insert(&test.output);
                let found = match test.expression.search(&publication).map(|found| serde_json::to_value(&*found)) {
                    Ok(Ok(found)) => found,
                    Ok(Err(error)) => Value::String(error.to_string()),
                    Err(error) => Value::String(error.to_string()),
                };
                if !test.condition.holds(&found, &test.value) {
                    let message = format!(
                        "{output}: expected of {}: {} {} {}",
                        alert.rule_name,
                        test.path,
                        test.condition.name(),
                        test.value
                    );
                    misses.push((message, vec![format!("it is {}", printable(&found.to_string()))]));
                }
            }
        }
    }
    for test in &case.publisher_tests {
        if looked_at.insert(&test.output) {
            misses.push((format!("publisher_tests: no alert goes to {}", test.output), vec![]));
        }
    }
    misses.into_iter().for_each(|(message, why)| verdict.miss(message, why));
}

/// Why a rule did not fire on any of the records.
fn why_silent(trial: &Trial, name: &str, batches: &[LogBatch]) -> Vec<String> {
    let Some((component, number)) = trial.find(name) else {
        return vec![format!("no rule of this name is loaded; {}", trial.rules_like(name))];
    };
    let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
    let mut why = Vec::new();
    let all = batches.iter().flat_map(|batch| (0..batch.records.len()).map(move |index| (batch, index)));
    for (at, (batch, index)) in all.enumerate() {
        if at == RECORDS_MAX {
            why.push(format!("and {} more records", records - RECORDS_MAX));
            break;
        }
        if records > 1 {
            why.push(format!("record {}:", at + 1));
        }
        why.extend(why_silent_on(component, number, batch, index));
    }
    why
}

fn why_silent_on(component: &RuleComponent, number: usize, batch: &LogBatch, index: usize) -> Vec<String> {
    use streamalert_pipeline::plugin::RulePlugin;
    use streamalert_pipeline::rules_engine::prefilter::has_datatype;
    let info: &RuleInfo = &component.rules()[number];
    let log_type = &batch.records[index].log_type;
    if !info.looks_at(log_type) {
        return vec![format!("it looks at {}; the record is {}", info.scope(), log_type.name)];
    }
    let record = batch.fields(index);
    if !has_datatype(info, log_type, record) {
        return vec![format!("it looks at {}; the record has no such value", info.scope())];
    }
    let looked: Vec<_> = info.when.iter().map(|condition| reasons::look(condition, record)).collect();
    let mut failed: Vec<String> =
        looked.iter().filter(|looked| !looked.holds).map(|looked| format!("when {}", looked.text())).collect();
    let loosely = info.options.when_any.iter().map(|any| reasons::look_any(any, record));
    failed.extend(loosely.filter(|looked| !looked.holds).map(|looked| format!("when {}", looked.text())));
    if !failed.is_empty() {
        return failed;
    }
    let Explained { verdict, reads, logs } = component.explain(number, record);
    let mut why = match verdict {
        Ok(_) if info.when.is_empty() && info.options.when_any.is_empty() => vec!["the rule itself said no".to_owned()],
        Ok(_) => vec!["all its conditions hold; the rule itself said no".to_owned()],
        Err(error) => vec![format!("it failed: {}", printable(&error.to_string()))],
    };
    why.extend(read_lines(&reads));
    why.extend(log_lines(&logs));
    why
}

/// What a rule read, each path once.
pub fn read_lines(reads: &[Read]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let new = reads.iter().filter(|read| seen.insert(&read.path));
    new.map(|read| match &read.value {
        Some(value) => format!("it read {}: {}", printable(&read.path), reasons::shown(value)),
        None => format!("it read {}: nothing is there", printable(&read.path)),
    })
    .collect()
}

pub fn log_lines(logs: &[LogLine]) -> Vec<String> {
    logs.iter().map(|line| format!("it logged {}: {}", line.level, printable(&line.message))).collect()
}
