//! The alert, with a name for everything in it.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::OnceLock;

/// How bad it is, after the reader has to decide what to look at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// `info`, `low`, `medium`, `high`, `critical`.
    pub fn name(self) -> &'static str {
        ["info", "low", "medium", "high", "critical"][self as usize]
    }

    /// By its name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Where the log came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// `s3`, `kinesis`, `file`.
    pub service: &'a str,
    /// Bucket, stream, folder.
    pub resource: &'a str,
    /// Key, path; empty where there is none.
    pub object: &'a str,
}

/// An alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Taken apart when something of it is asked for: most outputs need the publication and nothing else.
    text: String,
    fields: OnceLock<Map<String, Value>>,
}

impl Default for Alert {
    fn default() -> Self {
        Map::new().into()
    }
}

impl PartialEq for Alert {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl From<Map<String, Value>> for Alert {
    fn from(fields: Map<String, Value>) -> Self {
        Alert { text: String::new(), fields: fields.into() }
    }
}

/// What is no object becomes an alert without anything.
impl From<Value> for Alert {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => fields.into(),
            _ => Alert::default(),
        }
    }
}

static NULL: Value = Value::Null;

impl Alert {
    /// From its JSON. A part of it that JSON allows and `Value` cannot hold (a number beyond a double) stands as text.
    pub fn parse(json: &str) -> Result<Self, String> {
        object(json).map(Alert::from)
    }

    /// From JSON that the host vouches for.
    #[cfg_attr(not(target_family = "wasm"), allow(dead_code))]
    pub(crate) fn trusted(text: String) -> Self {
        Alert { text, fields: OnceLock::new() }
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    pub fn rule_name(&self) -> &str {
        self.text("rule_name")
    }

    /// The finding's title, or the rule's name where it has none.
    pub fn title(&self) -> &str {
        match self.text("title") {
            "" => self.rule_name(),
            title => title,
        }
    }

    pub fn severity(&self) -> Severity {
        Severity::named(self.text("severity")).unwrap_or_default()
    }

    /// The rule's, for whoever gets the alert.
    pub fn description(&self) -> &str {
        self.text("rule_description")
    }

    /// When it was raised: RFC 3339, UTC.
    pub fn created(&self) -> &str {
        self.text("created")
    }

    /// The same in seconds since 1970.
    pub fn created_at(&self) -> Option<i64> {
        crate::time::seconds(self.created())
    }

    /// The time the log itself names, as written there.
    pub fn event_time(&self) -> Option<&str> {
        self.given("event_time")
    }

    pub fn cluster(&self) -> &str {
        self.text("cluster")
    }

    /// Full log type, `cloudtrail:events`.
    pub fn log_source(&self) -> &str {
        self.text("log_source")
    }

    pub fn source(&self) -> Source<'_> {
        let text = |name| self.get("source").get(name).and_then(Value::as_str).unwrap_or_default();
        Source { service: text("service"), resource: text("resource"), object: text("object") }
    }

    /// What the rule says beside the record.
    pub fn context(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.get("context").as_object().unwrap_or_else(|| &NONE)
    }

    /// The record it was raised on.
    pub fn record(&self) -> &Value {
        self.get("record")
    }

    pub fn references(&self) -> Vec<&str> {
        self.texts("references")
    }

    pub fn tags(&self) -> Vec<&str> {
        self.texts("tags")
    }

    /// Alerts of one rule with one key belong together.
    pub fn dedup_key(&self) -> Option<&str> {
        self.given("dedup_key")
    }

    /// All outputs it goes to, `service:descriptor` each.
    pub fn outputs(&self) -> Vec<&str> {
        self.texts("outputs")
    }

    /// It was raised by a rule that is still on trial.
    pub fn staged(&self) -> bool {
        self.get("staged") == &Value::Bool(true)
    }

    /// Any field by its name; null if there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.fields().get(name).unwrap_or(&NULL)
    }

    pub fn fields(&self) -> &Map<String, Value> {
        self.fields.get_or_init(|| object(&self.text).expect("the host gives alerts as JSON objects"))
    }

    pub fn into_fields(self) -> Map<String, Value> {
        self.fields();
        self.fields.into_inner().unwrap_or_default()
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).as_str().unwrap_or_default()
    }

    fn given(&self, name: &str) -> Option<&str> {
        self.get(name).as_str().filter(|text| !text.is_empty())
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        self.get(name).as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    }
}

/// An object from its JSON, see [`Alert::parse`].
pub(crate) fn object(json: &str) -> Result<Map<String, Value>, String> {
    if let Ok(fields) = serde_json::from_str(json) {
        return Ok(fields);
    }
    let raw: HashMap<String, Box<RawValue>> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let value = |raw: Box<RawValue>| serde_json::from_str(raw.get()).unwrap_or_else(|_| Value::from(raw.get()));
    let mut fields: Vec<(String, Value)> = raw.into_iter().map(|(name, raw)| (name, value(raw))).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(fields.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_alert_without_anything_says_nothing() {
        let alert = Alert::parse("{}").unwrap();
        assert_eq!((alert.id(), alert.title(), alert.severity()), ("", "", Severity::Medium));
        assert_eq!((alert.event_time(), alert.created_at(), alert.record()), (None, None, &Value::Null));
        assert!(alert.context().is_empty() && alert.tags().is_empty() && !alert.staged());
        assert_eq!(alert.source(), Source { service: "", resource: "", object: "" });
    }

    #[test]
    fn each_part_has_a_name() {
        let alert = Alert::from(json!({
            "id": "1", "rule_name": "root_login", "title": "", "severity": "critical", "rule_description": "Root.",
            "created": "2026-01-02T03:04:05Z", "event_time": null, "log_source": "cloudtrail:events",
            "source": {"service": "s3", "resource": "logs", "object": "a.gz"},
            "tags": ["a", 1], "context": {"k": 1}, "record": {"n": 2}, "dedup_key": "x", "staged": true,
        }));
        assert_eq!((alert.title(), alert.description(), alert.severity()), ("root_login", "Root.", Severity::Critical));
        assert_eq!((alert.created_at(), alert.event_time(), alert.dedup_key()), (Some(1767323045), None, Some("x")));
        assert_eq!((alert.source().object, alert.tags(), &alert.record()["n"]), ("a.gz", vec!["a"], &json!(2)));
        assert!(alert.staged() && Severity::High < Severity::Critical);
    }

    #[test]
    fn a_number_beyond_a_double_costs_its_field_and_not_the_alert() {
        let alert = Alert::parse(r#"{"title": "t", "record": {"n": 1e999}}"#).unwrap();
        assert_eq!((alert.title(), alert.record()), ("t", &json!(r#"{"n": 1e999}"#)));
        assert!(Alert::parse("[]").is_err() && Alert::parse("{").is_err());
    }

    #[test]
    fn an_alert_of_the_hosts_is_the_same_alert() {
        let text = r#"{"title": "t", "record": {"n": 1e999}}"#;
        let (trusted, parsed) = (Alert::trusted(text.into()), Alert::parse(text).unwrap());
        assert_eq!(trusted.title(), "t");
        assert_eq!(trusted, parsed);
        assert_eq!(Alert::trusted(text.into()).into_fields(), parsed.into_fields());
    }
}
