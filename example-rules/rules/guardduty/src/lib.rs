//! Which of GuardDuty's findings somebody must see.
//!
//! The same finding may come twice, in the export to S3 and in the event of EventBridge. Its id is the dedup key, so that
//! both are one.

use streamalert_sdk::prelude::*;

/// GuardDuty found something of medium severity or above, or something small that is never ordinary here: a use of root,
/// or somebody hiding.
///
/// Probing from the internet, which GuardDuty calls low, is not reported. First: read the finding's own page in the
/// console, then look at the resource and the address in the context.
#[rule(
    logs = ["guardduty:finding", "guardduty:event"],
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1078.004"],
    references = [
        "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html",
        "https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-active.html",
    ],
)]
fn guardduty_finding(record: &Record) -> Option<Finding> {
    let guardduty = finding(record);
    let kind = text(guardduty, "type")?;
    // They have a rule of their own.
    if is_archived(guardduty) || is_sequence(kind) {
        return None;
    }
    // The limits are GuardDuty's.
    let severity = match guardduty.get("severity").and_then(Field::float)? {
        9.0.. => Severity::Critical,
        7.0.. => Severity::High,
        4.0.. => Severity::Medium,
        _ if is_never_ordinary(kind) => Severity::Low,
        _ => return None,
    };
    Some(report(guardduty, kind).severity(severity))
}

/// GuardDuty put several signals together and sees an attack that goes through stages.
///
/// This is the one finding to stop other work for. First: disable the credentials or isolate the instance it names, then
/// follow the sequence in the console: its findings name this one in `associatedAttackSequenceArn`.
#[rule(
    logs = ["guardduty:finding", "guardduty:event"],
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1078.004"],
    references = ["https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-active.html"],
)]
fn guardduty_attack_sequence(record: &Record) -> Option<Finding> {
    let guardduty = finding(record);
    let kind = text(guardduty, "type").filter(|kind| is_sequence(kind))?;
    (!is_archived(guardduty)).then(|| report(guardduty, kind))
}

/// The finding itself: the record of an export, a part of an event. No condition can say that, so both rules have none;
/// findings are few.
fn finding(record: &Record) -> Field<'_> {
    record.field("detail").unwrap_or_else(|| record.root())
}

fn is_archived(finding: Field<'_>) -> bool {
    finding.at("service.archived").and_then(Field::bool) == Some(true)
}

fn is_sequence(kind: &str) -> bool {
    kind.starts_with("AttackSequence:")
}

fn is_never_ordinary(kind: &str) -> bool {
    helpers::starts_with_any(kind, &["Stealth:", "Policy:IAMUser/RootCredentialUsage"])
}

fn report(guardduty: Field<'_>, kind: &str) -> Finding {
    let account = text(guardduty, "accountId").unwrap_or("an unknown account");
    let title = text(guardduty, "title").unwrap_or(kind);
    let finding = Finding::new(format!("{title} ({account})"))
        .context("type", kind)
        .context("account", account)
        .context("region", text(guardduty, "region"))
        .context("resource_type", text(guardduty, "resource.resourceType"))
        .context("instance", text(guardduty, "resource.instanceDetails.instanceId"))
        .context("user", text(guardduty, "resource.accessKeyDetails.userName"))
        .context("access_key", text(guardduty, "resource.accessKeyDetails.accessKeyId"))
        .context("from", helpers::get_first_key(guardduty, "ipAddressV4").and_then(Field::text))
        .context("sequence", text(guardduty, "associatedAttackSequenceArn"));
    match text(guardduty, "id") {
        Some(id) => finding.dedup_key(id),
        None => finding,
    }
}

fn text<'a>(finding: Field<'a>, path: &str) -> Option<&'a str> {
    finding.at(path).and_then(Field::text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_goes_by_guarddutys_own() {
        let check = |kind: &str, severity: Value, want: Option<Severity>| {
            let found =
                json!({"id": "1", "type": kind, "severity": severity, "title": "T", "accountId": "111122223333"});
            for record in [found.clone(), json!({"detail": found})] {
                let finding = guardduty_finding(&Record::from_json(record));
                assert_eq!(finding.as_ref().and_then(|finding| finding.severity), want, "{kind} {severity}");
                assert!(finding.is_none_or(|finding| finding.dedup_key.as_deref() == Some("1")));
            }
        };
        check("CryptoCurrency:EC2/BitcoinTool.B", json!(8), Some(Severity::High));
        check("CryptoCurrency:EC2/BitcoinTool.B", json!(8.5), Some(Severity::High));
        check("Execution:Runtime/ReverseShell", json!(9), Some(Severity::Critical));
        check("UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B", json!(5), Some(Severity::Medium));
        check("Recon:EC2/PortProbeUnprotectedPort", json!(2), None);
        check("Stealth:IAMUser/CloudTrailLoggingDisabled", json!(2), Some(Severity::Low));
        check("AttackSequence:IAM/CompromisedCredentials", json!(9), None);
        check("CryptoCurrency:EC2/BitcoinTool.B", json!("8"), None);
        check("CryptoCurrency:EC2/BitcoinTool.B", Value::Null, None);
    }
}
