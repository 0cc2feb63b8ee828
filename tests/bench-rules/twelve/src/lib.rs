//! Twelve rules over the log types of the reference events, with conditions, as rules are usually written.

use streamalert_sdk::prelude::*;

/// A call that changes who sees or may do what.
#[rule(
    logs = ["cloudwatch:events", "cloudwatch:cloudtrail", "cloudtrail:events"],
    when("detail.eventName" = ["DeleteSubnet", "DeleteVpc", "StopLogging", "DeleteTrail", "UpdateTrail", "DeleteDBCluster", "DeleteDetector"]),
    severity = "high"
)]
fn critical_api_call(record: &Record) -> bool {
    record.text("detail.eventName").is_some()
}

#[rule(logs = ["cloudwatch:events"], when("detail.eventName" = ["AuthorizeSecurityGroupIngress"]))]
fn ingress_anywhere(record: &Record) -> bool {
    helpers::get_keys(record, "cidrIp", None).iter().any(|cidr| cidr.text() == Some("0.0.0.0/0"))
}

#[rule(logs = ["cloudwatch:events"], when("detail.eventName" = ["PutBucketAcl"]))]
fn bucket_acl(record: &Record) -> bool {
    helpers::has_value_with_substring(record, "AllUsers")
}

#[rule(logs = ["ghe:general"], when(prefix(action = ["org.", "user.", "protected_branch."])))]
fn github_administration(record: &Record) -> Option<Finding> {
    let action = record.text("action")?;
    Some(Finding::new(action).dedup_key(record.text_or("actor", "nobody")))
}

#[rule(logs = ["ghe:general"], when(prefix(action = ["oauth_application."])))]
fn github_application(record: &Record) -> bool {
    record.is("action", "oauth_application.create")
}

#[rule(logs = ["duo:authentication"], when(result = ["FRAUD", "fraud"]))]
fn duo_fraud(record: &Record) -> bool {
    record.exists("username")
}

#[rule(logs = ["duo:administrator"], when(action = ["bypass_create"]))]
fn duo_bypass(record: &Record) -> bool {
    record.text("description").is_some()
}

#[rule(logs = ["onelogin:events"], when(exists(actor_user_id)))]
fn onelogin_assumed(record: &Record) -> bool {
    record.int("event_type_id") == Some(3)
}

#[rule(logs = ["osquery:differential"], when(action = ["added"]))]
fn ssh_login(record: &Record) -> bool {
    record.is("name", "pack_incident-response_last") && record.text("columns.username").is_some()
}

#[rule(logs = ["packetbeat:dns"], when(exists(dns)))]
fn dns_lookup(record: &Record) -> bool {
    record.text("dns.question.name").is_some_and(|name| name.contains(".onion"))
}

#[rule(logs = ["binaryalert"], when(exists(NumMatchedRules)))]
fn yara_match(record: &Record) -> bool {
    record.int("NumMatchedRules").is_some_and(|matched| matched > 0)
}

#[rule(logs = ["okta:logevents"], when(eventType = ["user.session.start"]))]
fn okta_login(record: &Record) -> bool {
    record.is("outcome.result", "SUCCESS")
}
