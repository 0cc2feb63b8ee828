//! Did a parser make of the input what the case says? Its records go through the real classifier, with the parser's own log
//! types only.

use super::{Verdict, log_lines};
use crate::authoring::cases::{Expected, ParserBody};
use crate::authoring::trial::Trial;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use streamalert_pipeline::classifier::{Classifier, Worker};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_pipeline::plugin::{ParsedRecord, ParserPlugin};
use streamalert_pipeline::printable::printable;

/// Bytes of the input that the parser is given to tell whether it is its own.
const HEAD_BYTES: usize = 4096;
/// Bytes shown of a value that is not as it should be.
const VALUE_BYTES_SHOWN: usize = 200;

pub fn judge(trial: &Trial, case: &ParserBody) -> Verdict {
    let mut verdict = Verdict::default();
    let Some(parser) = trial.parser(&case.parser) else {
        let known: Vec<&str> = trial.parsers.iter().map(|parser| parser.info().name.as_str()).collect();
        let why = match known.is_empty() {
            true => "no parser is loaded".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        verdict.miss(format!("no parser {} is loaded", case.parser), vec![why]);
        return verdict;
    };
    if let Some(expected) = case.sniffed {
        let head = &case.input[..case.input.len().min(HEAD_BYTES)];
        match parser.sniff(head) {
            Ok(sniffed) if sniffed == expected => {}
            Ok(true) => verdict.miss("it takes the input for its own, but should not", vec![]),
            Ok(false) if parser.info().sniffs => verdict.miss("it does not take the input for its own", vec![]),
            Ok(false) => verdict.miss("it does not take the input for its own", vec!["it does not sniff".to_owned()]),
            Err(error) => verdict.miss("it failed to sniff", vec![printable(&error.to_string())]),
        }
    }
    let observed = parser.observe(&case.input);
    let parts = match observed.parts {
        Ok(parts) => parts,
        Err(error) => {
            let mut why = vec![printable(&error.to_string())];
            why.extend(log_lines(&observed.logs));
            verdict.miss("the parser failed", why);
            return verdict;
        }
    };
    let mut sorter = Sorter::new(parser.schemas());
    let mut records: Vec<(String, Value)> = Vec::new();
    let mut errors: Vec<String> = Vec::new();
    for part in parts {
        let place = format!("bytes {} to {}", part.offset, part.offset + part.length);
        match part.outcome {
            Ok(record) => match sorter.sort(&record) {
                Ok(found) => records.extend(found),
                Err(message) => errors.push(format!("{place}: {message}")),
            },
            Err(reason) => errors.push(format!("{place}: {reason}")),
        }
    }
    verdict.classified = records.iter().map(|(log, _)| log.clone()).collect();
    let logs = log_lines(&observed.logs);
    compare_records(&case.records, &records, &logs, &mut verdict);
    compare_errors(&case.errors, &errors, &logs, &mut verdict);
    verdict
}

fn compare_records(expected: &[Expected], found: &[(String, Value)], logs: &[String], verdict: &mut Verdict) {
    if expected.len() != found.len() {
        let names = found.iter().map(|(log, record)| format!("{log} {}", shown(record)));
        verdict.miss(
            format!("expected {} records, but {} came out", expected.len(), found.len()),
            names.chain(logs.iter().cloned()).collect(),
        );
        return;
    }
    for (number, (expected, (log, record))) in expected.iter().zip(found).enumerate() {
        let number = number + 1;
        if *log != expected.log {
            verdict.miss(format!("record {number}: expected {}, but it is {log}", expected.log), vec![]);
            continue;
        }
        let mut why = Vec::new();
        differences("", &expected.record, record, &mut why);
        if !why.is_empty() {
            verdict.miss(format!("record {number} is not as it should be"), why);
        }
    }
}

/// Where a record lacks what it should have, as `path is …, not …`.
fn differences(path: &str, expected: &Map<String, Value>, found: &Value, why: &mut Vec<String>) {
    for (key, wanted) in expected {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (found.get(key), wanted) {
            (None, _) => why.push(format!("{path} is not there; it should be {}", shown(wanted))),
            (Some(there @ Value::Object(_)), Value::Object(wanted)) => differences(&path, wanted, there, why),
            (Some(there), _) if there == wanted => {}
            (Some(there), _) => why.push(format!("{path} is {}, not {}", shown(there), shown(wanted))),
        }
    }
}

fn compare_errors(expected: &[String], found: &[String], logs: &[String], verdict: &mut Verdict) {
    let same = expected.len() == found.len() && found.iter().zip(expected).all(|(found, part)| found.contains(part));
    if same {
        return;
    }
    let message = match (expected, found) {
        ([], _) => format!("{} pieces could not be read", found.len()),
        (_, []) => "expected errors, but there were none".to_owned(),
        _ => format!("expected {} errors: {}", expected.len(), printable(&expected.join("; "))),
    };
    verdict.miss(message, found.iter().map(|found| printable(found)).chain(logs.iter().cloned()).collect());
}

fn shown(value: &Value) -> String {
    let text = printable(&value.to_string());
    match text.len() > VALUE_BYTES_SHOWN {
        true => format!("{}…", &text[..text.floor_char_boundary(VALUE_BYTES_SHOWN)]),
        false => text,
    }
}

/// The classifier, with nothing but one parser's log types.
struct Sorter {
    worker: Worker,
}

impl Sorter {
    fn new(schemas: &Arc<Schemas>) -> Self {
        // A source for each type, which may send nothing else, and one for all.
        let all: Vec<&str> = schemas.iter().map(|log_type| log_type.name.as_str()).collect();
        let mut sources: Map<String, Value> = all.iter().map(|name| ((*name).to_owned(), json!([name]))).collect();
        sources.insert("*".to_owned(), json!(all));
        let cluster = json!({"data_sources": {"file": sources}}).to_string();
        let clusters = Clusters::read(&[("parser.json".to_owned(), cluster)], schemas).unwrap_or_default();
        Sorter { worker: Arc::new(Classifier::new(schemas.clone(), Arc::new(clusters))).worker() }
    }

    /// Log type and fields, or why it is no record.
    fn sort(&mut self, record: &ParsedRecord) -> Result<Vec<(String, Value)>, String> {
        let resource = if record.log_type.is_empty() { "*" } else { &record.log_type };
        let source = Source::new("file".to_owned(), resource.to_owned(), String::new());
        let classified = self.worker.classify(Payload::new(Arc::new(source), 0, record.json.as_bytes()));
        if let Some(letter) = classified.dead.first() {
            return Err(letter.message.clone());
        }
        let batch = classified.batch;
        if batch.records.is_empty() {
            return Err("its JSON holds no record".to_owned());
        }
        let record = |index: usize| (batch.records[index].log_type.name.clone(), batch.fields(index).to_value());
        Ok((0..batch.records.len()).map(record).collect())
    }
}
