//! Who logs in to AWS as root.

use streamalert_sdk::prelude::*;

/// Somebody logged in as root.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = "ConsoleLogin", userIdentity.type = "Root"),
    outputs = ["file:security"],
    severity = "high",
)]
fn root_login(record: &Record) -> bool {
    record.is("responseElements.ConsoleLogin", "Success")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_got_in_is_told_and_who_failed_is_not() {
        let told = |record| root_login(&Record::from_json(record));
        assert!(told(json!({"responseElements": {"ConsoleLogin": "Success"}})));
        assert!(!told(json!({"responseElements": {"ConsoleLogin": "Failure"}})));
        assert!(!told(json!({"responseElements": null})));
    }
}
