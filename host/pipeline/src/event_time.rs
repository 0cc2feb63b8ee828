//! When a log says that something happened.

use streamalert_packed::Record;

/// Where vendors write when it happened, the most exact first.
const TIMES: [&str; 12] = [
    "eventTime",
    "published",
    "isotimestamp",
    "@timestamp",
    "time",
    "updatedAt",
    "created_at",
    "calendarTime",
    "timestamp",
    "unixTime",
    "ts",
    "start",
];

/// When the log says it happened, as it says it.
pub fn event_time(record: Record<'_>) -> Option<String> {
    TIMES.iter().find_map(|name| {
        let node = record.root().get(name)?;
        match node.as_str() {
            Some("") => None,
            Some(text) => Some(text.to_owned()),
            None => node.as_f64().map(|_| node.to_value().to_string()),
        }
    })
}
