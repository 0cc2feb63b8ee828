//! Logs as services have them, by which mocks make theirs.

use serde_json::Value;

/// Number `number` of this type's samples, from the first again when there are no more.
pub fn sample(log_type: &str, number: usize) -> Value {
    let lines = include_str!("../shipped_schemas/apps.jsonl").lines();
    let logs: Vec<&str> = lines.filter_map(|line| line.strip_prefix(log_type)?.strip_prefix(' ')).collect();
    serde_json::from_str(logs[number % logs.len()]).unwrap()
}
