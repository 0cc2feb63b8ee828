//! Who blinds those who watch AWS.
//!
//! An attempt that AWS refused is reported as well, as less urgent: whoever tries has no business being there.

use northwind::cloudtrail;
use streamalert_sdk::prelude::*;

/// A CloudTrail trail was stopped or deleted, or somebody tried.
///
/// What happens in that account from now on may be missing from the logs. The organization's trail goes on and is the
/// place to look. First: start the trail again, then look at what the caller did before.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "cloudtrail.amazonaws.com", eventName = ["StopLogging", "DeleteTrail"]),
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1562.008"],
    references = [
        "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html",
        "https://attack.mitre.org/techniques/T1562/008/",
    ],
)]
fn trail_stopped(record: &Record) -> Finding {
    let trail = last_part(record.text_or("requestParameters.name", "without a name"));
    let done = if record.is("eventName", "DeleteTrail") { "deleted" } else { "stopped" };
    attempt(record, &format!("Trail {trail}"), done).dedup_key(trail).context("trail", trail)
}

/// VPC flow logs were deleted, or somebody tried.
///
/// Connections of those networks leave no trace from now on. First: create the flow logs again, then look at what the
/// instances in those networks talk to.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "ec2.amazonaws.com", eventName = "DeleteFlowLogs"),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1562.008"],
    references = [
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFlowLogs.html",
        "https://attack.mitre.org/techniques/T1562/008/",
    ],
)]
fn flow_logs_deleted(record: &Record) -> Finding {
    // One id is an object, several are a list of them.
    let logs = record.field("requestParameters.DeleteFlowLogsRequest.FlowLogId");
    let ids: Vec<_> = logs
        .into_iter()
        .flat_map(|logs| logs.items().chain([logs]))
        .filter_map(|log| log.get("content")?.text())
        .collect();
    let what = if ids.is_empty() { "VPC flow logs".into() } else { format!("VPC flow logs {}", ids.join(", ")) };
    attempt(record, &what, "deleted").dedup_key(cloudtrail::account(record)).context("flow_logs", ids)
}

/// GuardDuty was switched off in an account, or somebody tried: its detector deleted or disabled, or the account taken
/// out of the security account's sight.
///
/// Findings stop; the ones of the last minutes are in the security account's export. First: switch it on again and treat
/// the caller's credentials as stolen until somebody explains the call.
#[rule(
    logs = ["cloudtrail:events"],
    when(
        eventSource = "guardduty.amazonaws.com",
        eventName = [
            "DeleteDetector", "UpdateDetector", "StopMonitoringMembers", "DeleteMembers", "DisassociateMembers",
            "DisassociateFromAdministratorAccount",
        ],
    ),
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1562.001"],
    references = [
        "https://docs.aws.amazon.com/guardduty/latest/APIReference/API_DeleteDetector.html",
        "https://attack.mitre.org/techniques/T1562/001/",
    ],
)]
fn guardduty_disabled(record: &Record) -> Option<Finding> {
    // An update may say anything about a detector; only this switches it off.
    if record.is("eventName", "UpdateDetector") && record.bool("requestParameters.enable") != Some(false) {
        return None;
    }
    let account = cloudtrail::account(record);
    let finding = attempt(record, &format!("GuardDuty in {account}"), "switched off").dedup_key(account);
    Some(finding.context("detector", record.text("requestParameters.detectorId")))
}

fn attempt(record: &Record, what: &str, done: &str) -> Finding {
    let who = cloudtrail::who(record);
    if cloudtrail::succeeded(record) {
        return cloudtrail::finding(record, format!("{what} {done} by {who}"));
    }
    let title = format!("{who} tried in vain: {what} {done}");
    cloudtrail::finding(record, title).severity(Severity::Medium).context("error", record.text("errorCode"))
}

/// What is left of an ARN for a human.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, request: Value, error: &str) -> Box<Record> {
        let who = json!({"type": "IAMUser", "userName": "svc-deploy"});
        Record::from_json(json!({
            "eventName": name,
            "userIdentity": who,
            "requestParameters": request,
            "errorCode": error,
            "recipientAccountId": "111122223333",
        }))
    }

    #[test]
    fn a_refused_attempt_is_less_urgent() {
        let trail = json!({"name": "arn:aws:cloudtrail:us-east-1:111122223333:trail/app-trail"});
        let done = trail_stopped(&call("StopLogging", trail.clone(), ""));
        assert_eq!((done.title.as_deref(), done.severity), (Some("Trail app-trail stopped by svc-deploy"), None));
        let tried = trail_stopped(&call("DeleteTrail", trail, "AccessDenied"));
        assert_eq!(tried.title.as_deref(), Some("svc-deploy tried in vain: Trail app-trail deleted"));
        assert_eq!(tried.severity, Some(Severity::Medium));
    }

    #[test]
    fn flow_log_ids_come_in_two_shapes() {
        let ids = |ids: Value| {
            let request = json!({"DeleteFlowLogsRequest": {"FlowLogId": ids}});
            flow_logs_deleted(&call("DeleteFlowLogs", request, "")).context["flow_logs"].clone()
        };
        assert_eq!(ids(json!({"tag": 1, "content": "fl-1"})), json!(["fl-1"]));
        assert_eq!(ids(json!([{"content": "fl-1"}, {"content": "fl-2"}])), json!(["fl-1", "fl-2"]));
        assert_eq!(ids(Value::Null), json!([]));
    }

    #[test]
    fn only_some_updates_disable() {
        let update = |request: Value| guardduty_disabled(&call("UpdateDetector", request, "")).is_some();
        assert!(update(json!({"enable": false})));
        assert!(!update(json!({"enable": true})) && !update(json!({})) && !update(json!({"enable": "false"})));
        assert!(!update(Value::Null));
        assert!(guardduty_disabled(&call("DeleteDetector", Value::Null, "")).is_some());
    }
}
