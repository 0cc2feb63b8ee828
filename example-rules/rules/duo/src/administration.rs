//! What administrators of Duo do. The details are JSON within the text `description`.

use streamalert_sdk::prelude::*;

/// An administrator signed in to Duo's admin panel from an address that is neither ours nor a VPN exit.
///
/// Who is in there decides who gets past the second factor. First: call the administrator; if it was not them, take their
/// rights and undo what follows in the administrator log.
#[rule(
    logs = ["duo:administrator"],
    when(action = "admin_login"),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1078.004"],
    references = ["https://duo.com/docs/adminapi", "https://attack.mitre.org/techniques/T1078/004/"],
)]
fn duo_administrator_from_elsewhere(record: &Record) -> Option<Finding> {
    let details = details(record);
    let ip = details.get("ip_address").and_then(Value::as_str)?;
    if !northwind::foreign_address(ip) || northwind::vpn_exit(Some(ip)) {
        return None;
    }
    let finding = finding(record, format!("{} signed in to Duo's admin panel from {ip}", administrator(record)));
    Some(finding.dedup_key(administrator(record)).context("from", ip))
}

/// A user may do without the second factor: bypass codes were made for them, or they were set to bypass.
///
/// It is meant for hours, until a new phone is there. Codes that never end, and users set to bypass, stay until somebody
/// remembers. First: ask the user; delete the codes or set the user back to active.
#[rule(
    logs = ["duo:administrator"],
    when(action = ["bypass_create", "user_update"]),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1556.006"],
    references = ["https://duo.com/docs/administration-users", "https://attack.mitre.org/techniques/T1556/006/"],
)]
fn duo_second_factor_waived(record: &Record) -> Option<Finding> {
    let details = details(record);
    let user = northwind::first_text(record, &["object"]).unwrap_or("somebody unnamed");
    let who = administrator(record);
    let (title, for_ever) = if record.is("action", "bypass_create") {
        // 0 seconds mean: for ever.
        let seconds = details.get("valid_secs").and_then(Value::as_i64);
        (format!("{who} made bypass codes for {user}"), seconds == Some(0))
    } else if details.get("status").and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case("bypass")) {
        (format!("{who} set {user} to bypass"), true)
    } else {
        return None;
    };
    let finding = finding(record, title).dedup_key(user).context("user", user).context("for_ever", for_ever);
    Some(if for_ever { finding.severity(Severity::High) } else { finding })
}

/// An application for Duo's Admin API was made: a key that can do what administrators can.
///
/// One that may write can add factors and bypass codes for everybody. First: ask who needs it; delete it otherwise.
#[rule(
    logs = ["duo:administrator"],
    when(action = ["integration_create", "integration_update"], contains(description = "Admin API")),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1098.001"],
    references = ["https://duo.com/docs/adminapi", "https://attack.mitre.org/techniques/T1098/001/"],
)]
fn duo_admin_api_made(record: &Record) -> Option<Finding> {
    let details = details(record);
    // The words may also stand in the name that somebody gave another application.
    if details.get("type").and_then(Value::as_str) != Some("Admin API") {
        return None;
    }
    let name = northwind::first_text(record, &["object"]).unwrap_or("without a name");
    let may_write = details.as_object().is_some_and(|details| {
        details.iter().any(|(key, value)| key.starts_with("adminapi_write") && (value == 1 || value == true))
    });
    let finding = finding(record, format!("{} made the Admin API application {name}", administrator(record)));
    let finding = finding.dedup_key(name).context("application", name).context("may_write", may_write);
    Some(if may_write { finding.severity(Severity::High) } else { finding })
}

fn details(record: &Record) -> Value {
    helpers::safe_json(record.text("description"))
}

fn administrator(record: &Record) -> &str {
    northwind::first_text(record, &["username"]).unwrap_or("somebody unnamed")
}

fn finding(record: &Record, title: String) -> Finding {
    Finding::new(title).context("who", administrator(record)).context("details", details(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action: &str, description: &str) -> Box<Record> {
        Record::from_json(json!({"action": action, "username": "Nadia", "object": "pete", "description": description}))
    }

    #[test]
    fn what_waives_the_second_factor() {
        let waived = |name: &str, description: &str| {
            duo_second_factor_waived(&action(name, description)).map(|finding| finding.severity)
        };
        let high = Some(Severity::High);
        assert_eq!(waived("bypass_create", r#"{"count": 10, "valid_secs": 0}"#), Some(high));
        assert_eq!(waived("bypass_create", r#"{"count": 1, "valid_secs": 3600}"#), Some(None));
        assert_eq!(waived("bypass_create", ""), Some(None));
        assert_eq!(waived("user_update", r#"{"status": "Bypass"}"#), Some(high));
        assert_eq!(waived("user_update", r#"{"status": "Active"}"#), None);
        for odd in ["", "null", "7", "[]", r#"{"status": null}"#, "bypass"] {
            assert_eq!(waived("user_update", odd), None, "{odd}");
        }
    }

    #[test]
    fn a_name_is_no_type() {
        let made = |description: &str| {
            duo_admin_api_made(&action("integration_create", description)).map(|finding| finding.severity)
        };
        let writes = r#"{"type": "Admin API", "adminapi_admins": 1, "adminapi_write_resource": 1}"#;
        assert_eq!(made(writes), Some(Some(Severity::High)));
        assert_eq!(made(r#"{"type": "Admin API", "adminapi_write_resource": 0}"#), Some(None));
        assert_eq!(made(r#"{"type": "Web SDK", "name": "not the Admin API"}"#), None);
        assert_eq!(made("Admin API"), None);
    }
}
