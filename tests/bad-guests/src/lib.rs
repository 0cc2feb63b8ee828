//! The contract as plain bindings, without the SDK: an SDK would not let a rule misbehave like this.

wit_bindgen::generate!({
    path: "../../wit",
    world: "rule",
    pub_export_macro: true,
    default_bindings_module: "bad_guests",
});

pub use exports::streamalert::plugin::detection::{BatchInfo, Finding, Guest, RuleInfo};
pub use streamalert::plugin::{log, lookup, records};

/// A rule that wants to see every record of the log type the tests use.
pub fn rule(name: &str) -> RuleInfo {
    RuleInfo {
        name: name.into(),
        description: format!("Misbehaves: {name}"),
        logs: vec!["test:row".into()],
        when: vec![],
        options: "{}".into(),
    }
}

pub fn finding(row: u32) -> Finding {
    Finding { row, title: None, severity: None, dedup_key: None, context: None, outputs: vec![] }
}

/// What a well-behaved rule of the tests says: every third record.
pub fn good(batch: &BatchInfo) -> Vec<Finding> {
    let third = |row: &u32| matches!(records::get(*row, "n"), records::Value::Integer(n) if n % 3 == 0);
    batch.rows.iter().filter(|row| third(row)).map(|row| finding(*row)).collect()
}
