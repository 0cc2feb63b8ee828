//! Buckets that everybody can read.

use northwind::cloudtrail;
use streamalert_sdk::prelude::*;

const PUBLIC_ACLS: [&str; 3] = ["public-read", "public-read-write", "authenticated-read"];

/// The groups that S3 means by "everyone" and by "everyone with an AWS account".
const PUBLIC_GROUPS: [&str; 2] = ["/groups/global/AllUsers", "/groups/global/AuthenticatedUsers"];

/// A bucket was opened to everyone, or to everyone with an AWS account.
///
/// Searchers list open buckets all day. First: set the bucket's ACL back to private, then look in S3's server access logs
/// or data events who read what.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "s3.amazonaws.com", eventName = "PutBucketAcl"),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1530", "attack.t1537"],
    references = [
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html",
        "https://attack.mitre.org/techniques/T1530/",
    ],
)]
fn bucket_opened_to_public(record: &Record) -> Option<Finding> {
    let canned = record.texts("requestParameters.x-amz-acl").any(|acl| PUBLIC_ACLS.contains(&acl));
    // Grants come as headers or as a document; both name the groups by address.
    let granted = || {
        let request = record.field("requestParameters");
        request.is_some_and(|request| helpers::has_value_from_substring_list(request, &PUBLIC_GROUPS))
    };
    if !cloudtrail::succeeded(record) || !(canned || granted()) {
        return None;
    }
    let bucket = record.text_or("requestParameters.bucketName", "without a name");
    let title = format!("Bucket {bucket} was opened to the public by {}", cloudtrail::who(record));
    Some(cloudtrail::finding(record, title).dedup_key(bucket).context("bucket", bucket))
}

/// What a block of public access consists of.
const SWITCHES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// The block of public access was lifted from a bucket, or from a whole account.
///
/// By itself it opens nothing; it is what comes before. First: look for `PutBucketAcl` and `PutBucketPolicy` of the same
/// bucket, and put the block back.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = [
        "PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock", "PutAccountPublicAccessBlock",
        "DeleteAccountPublicAccessBlock",
    ]),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1562.007"],
    references = [
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html",
        "https://attack.mitre.org/techniques/T1562/007/",
    ],
)]
fn public_access_block_lifted(record: &Record) -> Option<Finding> {
    let off: Vec<_> = SWITCHES.into_iter().filter(|switch| is_off(record, switch)).collect();
    let deleted = record.text_or("eventName", "").starts_with("Delete");
    if !cloudtrail::succeeded(record) || (off.is_empty() && !deleted) {
        return None;
    }
    let account = cloudtrail::account(record);
    let (title, finding_key) = match record.text("requestParameters.bucketName") {
        Some(bucket) => (format!("Bucket {bucket} may be opened to the public"), bucket),
        None => (format!("All buckets of {account} may be opened to the public"), account),
    };
    let finding = cloudtrail::finding(record, title).dedup_key(finding_key).context("switched_off", off);
    Some(if finding_key == account { finding.severity(Severity::High) } else { finding })
}

fn is_off(record: &Record, switch: &str) -> bool {
    let value = record.field("requestParameters.PublicAccessBlockConfiguration").and_then(|config| config.get(switch));
    value.is_some_and(|value| value.bool() == Some(false) || value.text() == Some("false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_open_a_bucket() {
        let open = |request: Value| {
            bucket_opened_to_public(&Record::from_json(json!({"requestParameters": request}))).is_some()
        };
        let all = "http://acs.amazonaws.com/groups/global/AllUsers";
        assert!(open(json!({"x-amz-acl": "public-read"})));
        assert!(open(json!({"x-amz-acl": ["public-read-write"]})));
        assert!(open(json!({"x-amz-grant-read": format!("uri={all}")})));
        assert!(open(json!({"AccessControlPolicy": {"AccessControlList": {"Grant": [{"Grantee": {"URI": all}}]}}})));
        assert!(!open(json!({"x-amz-acl": "private"})) && !open(json!({"x-amz-acl": null})) && !open(Value::Null));
    }

    #[test]
    fn a_block_is_lifted_by_one_switch() {
        let lifted = |name: &str, config: Value| {
            let request = json!({"bucketName": "b", "PublicAccessBlockConfiguration": config});
            let record = Record::from_json(json!({"eventName": name, "requestParameters": request}));
            public_access_block_lifted(&record).map(|finding| finding.context["switched_off"].clone())
        };
        let put = |config: Value| lifted("PutBucketPublicAccessBlock", config);
        assert_eq!(put(json!({"BlockPublicAcls": false, "IgnorePublicAcls": true})), Some(json!(["BlockPublicAcls"])));
        assert_eq!(put(json!({"BlockPublicPolicy": "false"})), Some(json!(["BlockPublicPolicy"])));
        assert_eq!(put(json!({"BlockPublicAcls": true, "IgnorePublicAcls": null})), None);
        assert_eq!(put(json!("")), None);
        assert_eq!(lifted("DeleteBucketPublicAccessBlock", Value::Null), Some(json!([])));
    }
}
