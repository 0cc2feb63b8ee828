//! The normalized values of a record as rows of their own: who and what was seen where, over all log types.

use crate::config::LogType;
use crate::log_record::{NORMALIZATION_KEY, NORMALIZED_ID_KEY};
use serde::Serialize;
use streamalert_packed::{Node, Record};

/// One value that a record was normalized to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Artifact<'a> {
    /// What the value means in its log; `None` where the schema does not say.
    pub function: Option<&'a str>,
    /// That of the record, under `streamalert_normalization`.
    pub streamalert_record_id: &'a str,
    /// The log type.
    pub source_type: &'a str,
    /// The normalized name.
    #[serde(rename = "type")]
    pub name: &'a str,
    pub value: &'a str,
}

impl Artifact<'_> {
    /// A line for the archive.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("texts are JSON");
        line.push('\n');
        line
    }
}

/// The artifacts of one record, in its order; values whose normalizer says `send_to_artifacts: false` are left out.
pub fn artifacts<'a>(record: Record<'a>, log_type: &'a LogType) -> impl Iterator<Item = Artifact<'a>> {
    // A log may bring a key of this name itself; only ours counts.
    let found = log_type.adds(NORMALIZATION_KEY).then(|| record.root().get(NORMALIZATION_KEY)).flatten();
    let id = found.and_then(|found| found.get(NORMALIZED_ID_KEY)).and_then(Node::as_str);
    let names = found.zip(id).into_iter().flat_map(|(found, id)| found.entries().map(move |entry| (id, entry)));
    names.flat_map(move |(id, (name, list))| {
        let sent = list.items().filter(|entry| entry.get("send_to_artifacts").and_then(Node::as_bool) != Some(false));
        sent.flat_map(move |entry| {
            let function = entry.get("function").and_then(Node::as_str);
            let values = entry.get("values").into_iter().flat_map(Node::items).filter_map(Node::as_str);
            values.map(move |value| Artifact {
                function,
                streamalert_record_id: id,
                source_type: &log_type.name,
                name,
                value,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::Classifier;
    use crate::config::{Clusters, Schemas};
    use crate::log_record::{Payload, Source};
    use std::sync::Arc;

    const SCHEMAS: &str = r#"{
      "door:opened": {"parser": "json", "schema": {"who": "string", "ip": [], "how": "string", "port": "integer"},
        "configuration": {"normalization": {
          "user": [{"path": ["who"], "function": "who came"}],
          "ip_address": ["ip"],
          "action": [{"path": ["how"], "send_to_artifacts": false}],
          "port": ["port"]}}},
      "door:plain": {"parser": "json", "schema": {"streamalert_normalization": {}}}
    }"#;

    fn lines(input: &str) -> Vec<String> {
        let schemas = Schemas::read(&[("s.json".to_owned(), SCHEMAS.to_owned())]).unwrap();
        let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default())));
        let source = Arc::new(Source::new("file", "r", "o"));
        let batch = classifier.worker().classify(Payload::new(source, 0, input.as_bytes())).batch;
        assert_eq!(batch.records.len(), 1);
        artifacts(batch.fields(0), &batch.records[0].log_type).map(|artifact| artifact.line()).collect()
    }

    #[test]
    fn every_value_that_may_be_sent_becomes_one_row() {
        let found = lines(r#"{"who": "eve", "ip": ["10.0.0.1", "", "10.0.0.2"], "how": "key", "port": 0}"#);
        let id = serde_json::from_str::<serde_json::Value>(&found[0]).unwrap()["streamalert_record_id"].clone();
        let row = |function: &str, name: &str, value: &str| {
            format!(
                "{{\"function\":{function},\"streamalert_record_id\":{id},\"source_type\":\"door:opened\",\"type\":\"{name}\",\
                 \"value\":\"{value}\"}}\n"
            )
        };
        let expected = [
            row("\"who came\"", "user", "eve"),
            row("null", "ip_address", "10.0.0.1"),
            row("null", "ip_address", "10.0.0.2"),
            row("null", "port", "0"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_log_cannot_write_artifacts_itself() {
        let forged = r#"{"user": [{"function": null, "values": ["mallory"]}], "streamalert_record_id": "x"}"#;
        assert_eq!(lines(&format!(r#"{{"streamalert_normalization": {forged}}}"#)), [""; 0]);
        let both =
            format!(r#"{{"who": "eve", "ip": [], "how": "", "port": 1, "streamalert_normalization": {forged}}}"#);
        let found = lines(&both);
        assert!(found.len() == 2 && found.iter().all(|line| !line.contains("mallory")), "{found:?}");
    }
}
