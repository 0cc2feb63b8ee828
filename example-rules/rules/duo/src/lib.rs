//! Who gets past Duo, and who lets others past.

mod administration;

use northwind::{first_text, foreign_address, vpn_exit};
use streamalert_sdk::prelude::*;

/// A user reported a push as fraud.
///
/// Somebody else has the password, and asked. First: call the user and change the password, then look whether a later
/// push was approved.
#[rule(
    logs = ["duo:authentication"],
    when(result = "fraud"),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1621"],
    references = ["https://duo.com/docs/adminapi", "https://attack.mitre.org/techniques/T1621/"],
)]
fn duo_fraud_reported(record: &Record) -> Finding {
    finding(record, format!("{} reported a push as fraud", user(record)))
}

/// A push was approved on one network for somebody who asks from another, with a device that nobody manages.
///
/// A user who gives in after a row of denied pushes looks like this. First: ask the user whether they sat at that
/// address; if not, end the session in the application and change the password.
#[rule(
    logs = ["duo:authentication"],
    when(result = "success", factor = "duo_push", trusted_endpoint_status = "not trusted"),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1621", "attack.t1078"],
    references = ["https://duo.com/docs/adminapi", "https://attack.mitre.org/techniques/T1621/"],
)]
fn duo_push_approved_for_stranger(record: &Record) -> Option<Finding> {
    let asks = record.text("access_device.ip")?;
    let answers = record.text("auth_device.ip")?;
    if asks == answers || !foreign_address(asks) || vpn_exit(Some(asks)) {
        return None;
    }
    let finding = finding(record, format!("{} approved a push for {asks} from {answers}", user(record)));
    Some(finding.context("approved_from", answers))
}

/// Somebody got in with a bypass code instead of a second factor.
///
/// The help desk gives such codes to users without a phone. First: look who made the code (`bypass_create` of that user)
/// and ask the user.
#[rule(
    logs = ["duo:authentication"],
    when(result = "success", factor = "bypass_code"),
    outputs = ["file:security"],
    severity = "low",
    tags = ["attack.t1556.006", "attack.t1078"],
    references = ["https://duo.com/docs/administration-users", "https://attack.mitre.org/techniques/T1556/006/"],
)]
fn duo_bypass_code_used(record: &Record) -> Finding {
    let finding = finding(record, format!("{} got in with a bypass code", user(record)));
    let ip = record.text("access_device.ip");
    if foreign_address(ip) && !vpn_exit(ip) { finding.severity(Severity::High) } else { finding }
}

fn user(record: &Record) -> &str {
    first_text(record, &["user.name", "email"]).unwrap_or("somebody unnamed")
}

fn finding(record: &Record, title: String) -> Finding {
    Finding::new(title)
        .dedup_key(user(record))
        .context("who", user(record))
        .context("from", record.text("access_device.ip"))
        .context("application", record.text("application.name"))
        .context("trusted_endpoint", record.text("trusted_endpoint_status"))
        .context("reason", record.text("reason"))
}
