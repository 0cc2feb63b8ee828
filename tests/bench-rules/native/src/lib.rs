//! Ten rules without conditions, so that each is asked about every record. `tests/benches/throughput.rs` has the same ten
//! as native code over `serde_json::Value`.

use streamalert_sdk::prelude::*;

#[rule(logs = ["cloudtrail:events"])]
fn root_login(record: &Record) -> bool {
    record.is("eventName", "ConsoleLogin") && record.is("userIdentity.type", "Root")
}

#[rule(logs = ["cloudtrail:events"])]
fn stop_logging(record: &Record) -> bool {
    record.is_any("eventName", &["StopLogging", "DeleteTrail", "UpdateTrail"])
}

#[rule(logs = ["cloudtrail:events"])]
fn denied_iam(record: &Record) -> bool {
    record.is("eventSource", "iam.amazonaws.com") && record.is("errorCode", "AccessDenied")
}

#[rule(logs = ["cloudtrail:events"])]
fn odd_region(record: &Record) -> bool {
    record.text("awsRegion").is_some_and(|region| region.starts_with("ap-") || region.starts_with("sa-"))
}

#[rule(logs = ["cloudtrail:events"])]
fn assumed_by_tool(record: &Record) -> bool {
    record.is("eventName", "AssumeRole") && record.text("userAgent").is_some_and(|agent| agent.contains("kali"))
}

#[rule(logs = ["cloudtrail:events"])]
fn admin_policy(record: &Record) -> bool {
    record.is("eventName", "AttachUserPolicy")
        && record.text("requestParameters.policyArn").is_some_and(|arn| arn.ends_with("/AdministratorAccess"))
}

#[rule(logs = ["cloudtrail:events"])]
fn from_the_lab(record: &Record) -> bool {
    record.text("sourceIPAddress").is_some_and(|address| address.starts_with("203.0.113."))
        && !record.is("userIdentity.type", "AWSService")
}

#[rule(logs = ["cloudtrail:events"])]
fn secret_read_by_user(record: &Record) -> bool {
    record.is("eventSource", "secretsmanager.amazonaws.com") && record.is("userIdentity.type", "IAMUser")
}

#[rule(logs = ["cloudtrail:events"])]
fn write_by_root(record: &Record) -> bool {
    record.is("userIdentity.type", "Root") && record.bool("readOnly") == Some(false)
}

#[rule(logs = ["cloudtrail:events"])]
fn other_account(record: &Record) -> bool {
    match (record.text("recipientAccountId"), record.text("userIdentity.accountId")) {
        (Some(recipient), Some(caller)) => recipient != caller,
        _ => false,
    }
}
