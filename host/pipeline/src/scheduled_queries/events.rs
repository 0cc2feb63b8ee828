//! What a row of an answer becomes: a document as StreamAlert's scheduled queries send it (`streamquery:version1`), with one row in each,
//! and with an identity that has nothing to do with when and how often it was asked.

use crate::config::scheduled_queries::Query;
use crate::log_record::{Payload, Source};
use crate::time::{Millis, rfc3339};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Service of the source of such events; the resource is the query.
pub const SERVICE: &str = "streamalert_query";
/// Of the documents.
const VERSION: &str = "1.0.0";

/// What is known of an answer besides its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    pub headers: Vec<String>,
    pub execution: String,
    pub scanned_bytes: u64,
    pub millis: u64,
    /// Where a person looks at it.
    pub link: Option<String>,
}

/// Makes the events of one answer, row by row from the first one on.
pub struct Answer<'a> {
    query: &'a Query,
    pack: &'a str,
    clock: Millis,
    sql: String,
    values: BTreeMap<String, String>,
    source: Arc<Source>,
    /// Rows so far, and of each different one how many.
    rows: u64,
    seen: HashMap<[u8; 16], u32>,
}

impl<'a> Answer<'a> {
    pub fn new(query: &'a Query, pack: &'a str, clock: Millis) -> Self {
        let (sql, values) = query.sql.at(clock);
        let source = Arc::new(Source::new(SERVICE, &query.name, rfc3339(clock)));
        Answer { query, pack, clock, sql, values, source, rows: 0, seen: HashMap::new() }
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next row. The same row has the same identity wherever it stands in an answer to the same query for the same clock;
    /// of rows that are all the same, the second is another than the first.
    pub fn row(&mut self, about: &About, row: Map<String, Value>) -> Payload {
        self.rows += 1;
        let digest = self.digest(&["row", &canonical(&row)]);
        let short: [u8; 16] = std::array::from_fn(|at| digest[at]);
        let before = self.seen.entry(short).or_default();
        let identity = Sha256::new().chain_update(digest).chain_update(before.to_le_bytes()).finalize().into();
        *before += 1;
        let data = json!({ "headers": about.headers, "rows": [row], "count": 1 });
        self.event(about, self.rows, data, None, identity)
    }

    /// An answer without rows is one, too.
    pub fn empty(&self, about: &About) -> Payload {
        let data = json!({ "headers": about.headers, "rows": [], "count": 0 });
        self.event(about, 0, data, None, self.digest(&["empty"]))
    }

    /// It came to nothing.
    pub fn failed(&self, execution: Option<&str>, error: &str) -> Payload {
        let about = About { execution: execution.unwrap_or_default().to_owned(), ..About::default() };
        let data = json!({ "headers": [], "rows": [], "count": 0 });
        self.event(&about, 0, data, Some(error), self.digest(&["failed"]))
    }

    fn event(&self, about: &About, row: u64, data: Value, error: Option<&str>, identity: [u8; 32]) -> Payload {
        let mut execution = json!({
            "name": self.query.name,
            "description": self.query.description,
            "query": self.sql,
            "query_parameters": self.values,
            "data_scanned_in_bytes": about.scanned_bytes,
            "execution_time_ms": about.millis,
            "tags": self.query.tags,
            "query_execution_id": about.execution,
            "console_link": about.link.as_deref().unwrap_or_default(),
            "pack": self.pack,
            "clock": rfc3339(self.clock),
            "row": row,
        });
        if let Some(error) = error {
            execution["error"] = json!({ "description": error });
        }
        let event = json!({ "streamquery_schema_version": VERSION, "execution": execution, "data": data });
        let payload = Payload::new(self.source.clone(), 0, event.to_string().into_bytes());
        Payload { identity: Some(identity), ..payload }
    }

    fn digest(&self, of: &[&str]) -> [u8; 32] {
        let clock = self.clock.to_string();
        let mut hash = Sha256::new();
        for part in ["scheduled query", &self.query.name, &clock].iter().chain(of) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// With its keys in order, whatever the order of columns.
fn canonical(row: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = row.iter().collect();
    serde_json::to_string(&sorted).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::scheduled_queries::{FILE, ScheduledQueries};

    pub fn queries(schedule: &str) -> ScheduledQueries {
        let text = json!({
            "packs": {"p": {"schedule": schedule, "catch_up": 5}},
            "queries": {"q": {"description": "what", "query": "SELECT '{utcdatehour}'", "tags": ["p"]}},
        });
        ScheduledQueries::read(FILE, &text.to_string(), |_| Err("none".into())).unwrap()
    }

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_row_is_itself_wherever_it_stands() {
        let all = queries("rate(1 hour)");
        let query = &all.queries["q"];
        let rows = [json!({"a": 1, "b": "x"}), json!({"a": 2, "b": "x"}), json!({"a": 1, "b": "x"})];
        let identities = |order: &[usize], clock: Millis| {
            let mut answer = Answer::new(query, "p", clock);
            let mut found: Vec<[u8; 32]> = order
                .iter()
                .map(|at| answer.row(&About::default(), row(rows[*at].clone())).identity.unwrap())
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(identities(&[0, 1, 2], 0), identities(&[2, 1, 0], 0));
        let three = identities(&[0, 1, 2], 0);
        assert!(three[0] != three[1] && three[1] != three[2]);
        assert!(identities(&[0, 1, 2], 3_600_000).iter().all(|identity| !three.contains(identity)));
    }

    #[test]
    fn events_are_documents_as_streamalert_has_them() {
        let all = queries("rate(1 hour)");
        let mut answer = Answer::new(&all.queries["q"], "p", 0);
        let about =
            About { headers: vec!["a".into()], execution: "e1".into(), scanned_bytes: 7, millis: 8, link: None };
        let read = |payload: &Payload| serde_json::from_slice::<Value>(&payload.bytes).unwrap();
        let first = answer.row(&about, row(json!({"a": 1})));
        let event = read(&first);
        assert_eq!(
            event["execution"],
            json!({"name": "q", "description": "what", "query": "SELECT '1970-01-01-00'", "console_link": "",
                "query_parameters": {"utcdatehour": "1970-01-01-00"}, "data_scanned_in_bytes": 7, "execution_time_ms": 8,
                "tags": ["p"], "query_execution_id": "e1", "pack": "p", "clock": "1970-01-01T00:00:00.000Z", "row": 1})
        );
        assert_eq!(event["data"], json!({"headers": ["a"], "rows": [{"a": 1}], "count": 1}));
        assert_eq!((first.source.service.as_str(), first.source.resource.as_str()), (SERVICE, "q"));
        assert_eq!(read(&answer.row(&about, row(json!({"a": 2}))))["execution"]["row"], 2);
        assert_eq!(read(&answer.empty(&about))["data"]["count"], 0);
        let failed = read(&answer.failed(None, "no such column"));
        assert_eq!(failed["execution"]["error"]["description"], "no such column");
        assert_ne!(answer.empty(&about).identity, answer.failed(None, "x").identity);
    }
}
