//! An alert as a person reads it on a terminal. Text from logs is an attacker's text: nothing of it reaches the
//! terminal as a control character.

use serde_json::Value;
use std::fmt::Write as _;
use streamalert_pipeline::alert::{Alert, Severity};
use streamalert_pipeline::printable::printable;

/// Characters of one value. Longer ones are cut: the whole record is in `streamalert alerts show`.
const VALUE_CHARS_MAX: usize = 120;
/// Fields of the record that are shown.
const FIELDS_MAX: usize = 8;
/// Levels of the record that are looked into for fields.
const DEPTH_MAX: usize = 3;

/// Names of fields that tell most, in the words of the vendors we ship schemas for; the first to be found are shown.
const TELLING: [&str; 34] = [
    "eventName",
    "eventType",
    "action",
    "type",
    "Type",
    "event_type",
    "name",
    "displayMessage",
    "title",
    "Title",
    "errorCode",
    "result",
    "outcome",
    "userIdentity.type",
    "userIdentity.arn",
    "userIdentity.userName",
    "actor",
    "actor.alternateId",
    "user",
    "username",
    "userName",
    "email",
    "sourceIPAddress",
    "client.ipAddress",
    "ip",
    "srcaddr",
    "dstaddr",
    "awsRegion",
    "recipientAccountId",
    "accountId",
    "host",
    "hostname",
    "hostIdentifier",
    "repo",
];

/// Several lines, the last one ended. With `color`, the severity is coloured.
pub fn alert_text(alert: &Alert, color: bool) -> String {
    let mut text = String::new();
    let severity = alert.severity.name().to_uppercase();
    let severity = if color { format!("\x1b[{}m{severity}\x1b[0m", code(alert.severity)) } else { severity };
    let staged = if alert.staged { "  (staged)" } else { "" };
    let _ = writeln!(text, "{severity}  {}{staged}", printable(&alert.title));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("rule", format!("{}  alert {}", printable(&alert.rule_name), alert.id));
    line("time", printable(alert.event_time.as_deref().unwrap_or(&alert.created)));
    line("log", format!("{}  cluster {}", printable(&alert.log_source), printable(&alert.cluster)));
    line("source", source(alert));
    if let Some(key) = &alert.dedup_key {
        line("dedup", shorten(&printable(key)));
    }
    if let Some(merge) = &alert.merge {
        line("merge", format!("by {} within {} min", printable(&merge.by.join(", ")), merge.minutes));
    }
    if !alert.outputs.is_empty() {
        line("outputs", printable(&alert.outputs.join(", ")));
    }
    if !alert.context.is_empty() {
        line("context", pairs(alert.context.iter().map(|(key, value)| (key.as_str(), value))));
    }
    let record = alert.record.to_value();
    let fields = telling(&record);
    if !fields.is_empty() {
        line("record", pairs(fields.iter().map(|(key, value)| (key.as_str(), *value))));
    }
    text
}

fn code(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "34",
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;97;41",
    }
}

fn source(alert: &Alert) -> String {
    let source = &alert.source;
    let object = if source.object.is_empty() { &source.resource } else { &source.object };
    let position = &alert.position;
    format!("{}:{} byte {} record {}", printable(&source.service), printable(object), position.offset, position.index)
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let shown = pairs.map(|(key, value)| {
        let value = match value {
            Value::String(text) => printable(text),
            other => printable(&other.to_string()),
        };
        format!("{}={}", printable(key), shorten(&value))
    });
    shown.collect::<Vec<_>>().join("  ")
}

/// The fields that tell most; of an unknown kind of record, the first scalar ones.
fn telling(record: &Value) -> Vec<(String, &Value)> {
    let scalar = |value: &&Value| match value {
        Value::Null | Value::Array(_) | Value::Object(_) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    };
    let mut found: Vec<(String, &Value)> = TELLING
        .iter()
        .filter_map(|path| {
            let value = path.split('.').try_fold(record, |value, key| value.get(key))?;
            scalar(&value).then(|| ((*path).to_owned(), value))
        })
        .take(FIELDS_MAX)
        .collect();
    if found.is_empty() {
        first_scalars(record, "", 0, &mut found);
        found.truncate(FIELDS_MAX);
    }
    found
}

fn first_scalars<'a>(value: &'a Value, path: &str, depth: usize, found: &mut Vec<(String, &'a Value)>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        if found.len() >= FIELDS_MAX {
            return;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(_) if depth < DEPTH_MAX => first_scalars(value, &path, depth + 1, found),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
            _ => found.push((path, value)),
        }
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use streamalert_pipeline::alert::Merge;
    use streamalert_pipeline::log_record::{Position, Source};

    pub(crate) fn alert(id: &str) -> Alert {
        Alert {
            id: id.to_owned(),
            rule_name: "root_login".into(),
            title: "Root signed in".into(),
            severity: Severity::High,
            rule_description: "The root user should never sign in.".into(),
            created: "2026-01-02T03:04:05.678Z".into(),
            event_time: Some("2026-01-02T03:00:00Z".into()),
            cluster: "default".into(),
            log_source: "cloudtrail:events".into(),
            log_type: "json".into(),
            source: Source::new("file", "/logs", "/logs/a.json"),
            position: Position { offset: 120, length: 80, index: 2 },
            outputs: vec!["slack:security".into()],
            publishers: Value::Null,
            merge: Some(Merge::new(["userIdentity.arn"], 30)),
            dedup_key: Some("root".into()),
            tags: vec![],
            references: vec![],
            context: serde_json::from_str(r#"{"account": 12, "owner": "ann"}"#).unwrap(),
            record: serde_json::from_str(
                r#"{"eventVersion": "1", "eventName": "ConsoleLogin", "userIdentity": {"type": "Root"}, "sourceIPAddress": "198.51.100.7"}"#,
            )
            .unwrap(),
            staged: false,
            trial: None,
            component_digest: "00".into(),
            host_version: "0".into(),
            fuel: 1,
        }
    }

    #[test]
    fn an_alert_reads_like_this() {
        let expected = [
            "HIGH  Root signed in",
            "  rule      root_login  alert id1",
            "  time      2026-01-02T03:00:00Z",
            "  log       cloudtrail:events  cluster default",
            "  source    file:/logs/a.json byte 120 record 2",
            "  dedup     root",
            "  merge     by userIdentity.arn within 30 min",
            "  outputs   slack:security",
            "  context   account=12  owner=ann",
            "  record    eventName=ConsoleLogin  userIdentity.type=Root  sourceIPAddress=198.51.100.7",
            "",
        ];
        assert_eq!(alert_text(&alert("id1"), false), expected.join("\n"));
        assert!(alert_text(&alert("id1"), true).starts_with("\x1b[31mHIGH\x1b[0m  Root"));
    }

    #[test]
    fn logs_cannot_speak_to_the_terminal() {
        let mut hostile = alert("id1");
        let evil = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\r\nHIGH  forged\u{202e}\u{200b}";
        hostile.title = evil.into();
        hostile.rule_name = evil.into();
        hostile.event_time = Some(evil.into());
        hostile.dedup_key = Some(evil.into());
        hostile.source.object = evil.into();
        hostile.outputs = vec![evil.into()];
        hostile.context.insert(evil.into(), evil.into());
        hostile.record = serde_json::json!({ evil: evil, "nested": { evil: evil } }).into();
        let text = alert_text(&hostile, false);
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{200b}'), "{text:?}");
        assert_eq!(text.lines().count(), alert_text(&alert("id1"), false).lines().count(), "{text}");
    }

    #[test]
    fn long_values_are_cut_and_unknown_records_show_their_first_fields() {
        let mut other = alert("id1");
        other.record = serde_json::json!({ "a": { "b": "é".repeat(500) }, "c": [1], "d": null, "e": true }).into();
        let text = alert_text(&other, false);
        let line = text.lines().last().unwrap();
        assert_eq!(line, format!("  record    a.b={}…  e=true", "é".repeat(VALUE_CHARS_MAX)));
    }
}
