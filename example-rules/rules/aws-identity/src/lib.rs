//! Who logs in to AWS, and who hands out keys.

use streamalert_sdk::prelude::*;

/// The root user logged in to the AWS console.
///
/// author: streamalert
/// reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = "ConsoleLogin", userIdentity.type = "Root"),
    merge(by = ["recipientAccountId"], minutes = 30),
    severity = "high",
    tags = ["attack.t1078.004"],
)]
fn root_console_login(record: &Record) -> Option<Finding> {
    if !record.is("responseElements.ConsoleLogin", "Success") {
        return None;
    }
    let account = record.text_or("recipientAccountId", "an unknown account");
    let finding = Finding::new(format!("Root logged in to {account}")).dedup_key(account);
    Some(if record.is("additionalEventData.MFAUsed", "No") { finding.severity(Severity::Critical) } else { finding })
}

/// Somebody made an access key for another user: a way to stay after one's own access is gone.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "iam.amazonaws.com", eventName = "CreateAccessKey", exists(requestParameters.userName)),
    severity = "medium",
    tags = ["attack.t1098.001"],
)]
fn access_key_created_for_other_user(record: &Record) -> Option<bool> {
    let target = record.text("requestParameters.userName")?;
    // A call that failed made no key.
    Some(!record.exists("errorCode") && record.text("userIdentity.userName") != Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_login_without_mfa_is_critical() {
        let login = |answer: &str, mfa: &str| {
            root_console_login(&Record::from_json(json!({
                "eventName": "ConsoleLogin",
                "recipientAccountId": "123456789012",
                "userIdentity": {"type": "Root"},
                "responseElements": {"ConsoleLogin": answer},
                "additionalEventData": {"MFAUsed": mfa},
            })))
        };
        assert_eq!(login("Success", "Yes").unwrap().severity, None);
        let finding = login("Success", "No").unwrap();
        assert_eq!(finding.severity, Some(Severity::Critical));
        assert_eq!(finding.title.as_deref(), Some("Root logged in to 123456789012"));
        assert!(login("Failure", "No").is_none());
    }

    #[test]
    fn a_key_of_ones_own_is_no_finding() {
        let created = |by: Value, target: &str, error: Value| {
            let mut record = json!({"userIdentity": by, "requestParameters": {"userName": target}});
            if !error.is_null() {
                record["errorCode"] = error;
            }
            access_key_created_for_other_user(&Record::from_json(record))
        };
        let eve = json!({"type": "IAMUser", "userName": "eve"});
        assert_eq!(created(eve.clone(), "bob", Value::Null), Some(true));
        assert_eq!(created(eve.clone(), "eve", Value::Null), Some(false));
        assert_eq!(created(eve, "bob", json!("AccessDenied")), Some(false));
        assert_eq!(created(json!({"type": "AssumedRole"}), "bob", Value::Null), Some(true));
    }
}
