//! Reading CloudTrail's events the same way in all rules.

use crate::first_text;
use streamalert_sdk::prelude::*;

/// Whether AWS did what was asked. The key is there and empty in a call that went well.
pub fn succeeded(record: &Record) -> bool {
    record.text_or("errorCode", "").is_empty()
}

/// The name that tells an analyst most: the user, the person behind a role, the service, or the whole ARN.
pub fn who(record: &Record) -> &str {
    if record.is("userIdentity.type", "Root") {
        return "root";
    }
    let named = first_text(record, &["userIdentity.userName", "userIdentity.arn", "userIdentity.invokedBy"]);
    match named {
        // arn:aws:sts::111122223333:assumed-role/Developer/vera.lindt
        Some(arn) if arn.contains(":assumed-role/") => arn.rsplit('/').next().unwrap_or(arn),
        Some(name) => name,
        None => first_text(record, &["userIdentity.principalId"]).unwrap_or("somebody unnamed"),
    }
}

pub fn account(record: &Record) -> &str {
    first_text(record, &["recipientAccountId", "userIdentity.accountId"]).unwrap_or("an unknown account")
}

/// A finding that says who, from where and with what.
pub fn finding(record: &Record, title: impl Into<String>) -> Finding {
    Finding::new(title)
        .context("who", who(record))
        .context("principal", record.text("userIdentity.arn"))
        .context("access_key", record.text("userIdentity.accessKeyId"))
        .context("from", record.text("sourceIPAddress"))
        .context("user_agent", record.text("userAgent"))
        .context("account", account(record))
        .context("region", record.text("awsRegion"))
        .context("call", record.text("eventName"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |identity: Value| who(&Record::from_json(json!({"userIdentity": identity}))).to_owned();
        assert_eq!(name(json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"})), "root");
        assert_eq!(name(json!({"type": "IAMUser", "userName": "eve"})), "eve");
        let session = "arn:aws:sts::111122223333:assumed-role/Developer/vera.lindt";
        assert_eq!(name(json!({"type": "AssumedRole", "arn": session})), "vera.lindt");
        assert_eq!(name(json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"})), "ec2.amazonaws.com");
        assert_eq!(name(json!({"userName": "", "arn": null})), "somebody unnamed");
        assert_eq!(name(Value::Null), "somebody unnamed");
    }

    #[test]
    fn an_empty_error_is_none() {
        let call = |record: Value| succeeded(&Record::from_json(record));
        assert!(call(json!({"errorCode": ""})) && call(json!({})) && call(json!({"errorCode": null})));
        assert!(!call(json!({"errorCode": "AccessDenied"})));
    }
}
