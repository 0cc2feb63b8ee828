//! What is opened, taken, started or destroyed in AWS.

mod buckets;

use northwind::cloudtrail;
use streamalert_sdk::prelude::*;

/// Ports that let somebody in or give data away: remote logins, databases, search and container engines.
const ADMIN_PORTS: [u64; 12] = [22, 23, 445, 1433, 2375, 3306, 3389, 5432, 5900, 6379, 9200, 27017];

/// A security group lets a large part of the internet in, on other ports than those of a web server.
///
/// Scanners find an open port within minutes. How bad it is goes by the ports: remote logins, databases and "all" are
/// high. First: remove the rule (group and ports are in the context), then look in the flow logs who came through.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "ec2.amazonaws.com", eventName = "AuthorizeSecurityGroupIngress"),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1562.007"],
    references = [
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html",
        "https://attack.mitre.org/techniques/T1562/007/",
    ],
)]
fn security_group_open_to_world(record: &Record) -> Option<Finding> {
    if !cloudtrail::succeeded(record) {
        return None;
    }
    let open: Vec<_> = record
        .items("requestParameters.ipPermissions.items")
        .filter_map(|permission| {
            let sources = world_wide(permission);
            let ports = Ports::of(permission);
            (!sources.is_empty() && !ports.is_web()).then_some((ports, sources))
        })
        .collect();
    if open.is_empty() {
        return None;
    }
    let group = northwind::first_text(record, &["requestParameters.groupId", "requestParameters.groupName"]);
    let group = group.unwrap_or("without a name");
    let ports = open.iter().map(|(ports, _)| ports.to_string()).collect::<Vec<_>>();
    let sources: Vec<_> = open.iter().flat_map(|(_, sources)| sources.iter().copied()).collect();
    let title = format!("Security group {group} is open to {} on {}", sources[0], ports.join(", "));
    let finding = cloudtrail::finding(record, title)
        .dedup_key(group)
        .context("security_group", group)
        .context("ports", ports)
        .context("sources", sources);
    let admin = open.iter().any(|(ports, _)| ADMIN_PORTS.iter().any(|&port| ports.contain(port)));
    Some(if admin { finding.severity(Severity::High) } else { finding })
}

/// The sources of a permission that are a large part of the internet, IPv4 and IPv6.
fn world_wide(permission: Field<'_>) -> Vec<&str> {
    let texts = |list: &str, key: &'static str| {
        let items = permission.at(list).into_iter().flat_map(Field::items);
        items.filter_map(move |item| item.get(key)?.text())
    };
    texts("ipRanges.items", "cidrIp")
        .chain(texts("ipv6Ranges.items", "cidrIpv6"))
        .filter(|cidr| is_wide(cidr))
        .collect()
}

/// A source that holds more than any company has, so that 0.0.0.0/1 and 128.0.0.0/1 do not pass for two networks.
fn is_wide(cidr: &str) -> bool {
    /// An IPv4 /8 is the most anybody was ever given, of IPv6 a /16.
    const NARROWEST: (u8, u8) = (7, 15);
    let Some((address, bits)) = cidr.split_once('/') else { return false };
    let narrowest = if address.contains(':') { NARROWEST.1 } else { NARROWEST.0 };
    helpers::valid_ip(address) && bits.parse::<u8>().is_ok_and(|bits| bits <= narrowest)
}

/// From, to. `None`: all.
struct Ports(Option<(u64, u64)>);

impl Ports {
    fn of(permission: Field<'_>) -> Self {
        let port = |key| permission.get(key).and_then(Field::uint);
        // Protocol -1 is "all", and has no ports.
        Ports(port("fromPort").zip(port("toPort")))
    }

    fn contain(&self, port: u64) -> bool {
        self.0.is_none_or(|(from, to)| (from..=to).contains(&port))
    }

    fn is_web(&self) -> bool {
        matches!(self.0, Some((80, 80) | (443, 443)))
    }
}

impl std::fmt::Display for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("all ports"),
            Some((from, to)) if from == to => write!(f, "port {from}"),
            Some((from, to)) => write!(f, "ports {from} to {to}"),
        }
    }
}

/// A snapshot or machine image was shared with everyone, or with an AWS account that is not ours.
///
/// A snapshot is a copy of a disk or a database, and a share leaves no trace of who copies it. First: take the share back,
/// then find out what was on the disk: keys and passwords on it must be replaced.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = [
        "ModifySnapshotAttribute", "ModifyImageAttribute", "ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute",
    ]),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1537"],
    references = [
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html",
        "https://attack.mitre.org/techniques/T1537/",
    ],
)]
fn snapshot_shared_outside(record: &Record) -> Option<Finding> {
    if !cloudtrail::succeeded(record) {
        return None;
    }
    let added = ["requestParameters.createVolumePermission.add.items", "requestParameters.launchPermission.add.items"];
    let added = added.iter().flat_map(|path| record.items(path));
    let mut with: Vec<_> = added
        .flat_map(|item| [item.get("group"), item.get("userId")])
        .filter_map(|who| who?.text())
        .chain(record.texts("requestParameters.valuesToAdd"))
        .filter(|who| *who == "all" || is_account(who) && !northwind::ACCOUNTS.contains(who))
        .collect();
    with.sort_unstable();
    with.dedup();
    if with.is_empty() {
        return None;
    }
    let snapshot = [
        "requestParameters.snapshotId",
        "requestParameters.imageId",
        "requestParameters.dBSnapshotIdentifier",
        "requestParameters.dBClusterSnapshotIdentifier",
    ];
    let snapshot = northwind::first_text(record, &snapshot).unwrap_or("without a name");
    let everyone = with.contains(&"all");
    let whom = if everyone { "everyone".into() } else { with.join(", ") };
    let finding = cloudtrail::finding(record, format!("Snapshot {snapshot} was shared with {whom}"))
        .dedup_key(snapshot)
        .context("snapshot", snapshot)
        .context("shared_with", with);
    Some(if everyone { finding.severity(Severity::Critical) } else { finding })
}

/// A secret was read, or asked for in vain, with the long-lived key of an IAM user from outside our networks.
///
/// Software reads secrets by roles, people do not read them. The reads of one key within an hour are one alert: many of
/// different secrets are somebody helping themselves. First: deactivate the key, then replace the secrets in the alert.
#[rule(
    logs = ["cloudtrail:events"],
    when(
        eventSource = "secretsmanager.amazonaws.com",
        eventName = ["GetSecretValue", "BatchGetSecretValue"],
        userIdentity.type = "IAMUser",
        prefix(userIdentity.accessKeyId = "AKIA"),
    ),
    outputs = ["file:security"],
    merge(by = ["userIdentity.accessKeyId"], minutes = 60),
    severity = "medium",
    tags = ["attack.t1555.006"],
    references = [
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html",
        "https://attack.mitre.org/techniques/T1555/006/",
    ],
)]
fn secret_read_with_long_lived_key(record: &Record) -> Option<Finding> {
    let key = record.text("userIdentity.accessKeyId")?;
    let ip = record.text("sourceIPAddress");
    if !northwind::foreign_address(ip) || northwind::vpn_exit(ip) {
        return None;
    }
    let secret = record.text_or("requestParameters.secretId", "several secrets");
    let done = if cloudtrail::succeeded(record) { "read" } else { "was refused" };
    let finding = cloudtrail::finding(record, format!("{} {done} {secret}", cloudtrail::who(record)));
    Some(finding.dedup_key(key).context("secret", secret).context("error", record.text("errorCode")))
}

/// As many instances in one call are not what people start by hand.
const MANY: u64 = 10;

/// Families of instances with accelerators, which miners of currencies are after.
const ACCELERATED: [&str; 12] = ["p2", "p3", "p4", "p5", "p6", "g4", "g5", "g6", "trn1", "trn2", "inf1", "inf2"];

/// Somebody started instances with accelerators, or many instances at once.
///
/// Such instances cost up to a hundred dollars an hour each, and are what stolen keys are used for first. First: ask the
/// caller; otherwise stop the instances (`disableApiTermination` may have to be cleared) and deactivate the key. Look at
/// other regions as well.
#[rule(
    logs = ["cloudtrail:events"],
    when(
        eventSource = "ec2.amazonaws.com",
        eventName = "RunInstances",
        userIdentity.type = ["IAMUser", "AssumedRole", "Root", "FederatedUser"],
    ),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1496", "attack.t1578.002"],
    references = [
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html",
        "https://attack.mitre.org/techniques/T1496/",
    ],
)]
fn costly_instances_started(record: &Record) -> Option<Finding> {
    let kind = record.text_or("requestParameters.instanceType", "");
    // The size comes after the dot. p5en and g4dn are families of their own.
    let accelerated = ACCELERATED.iter().any(|family| kind.starts_with(family));
    let counts = record.items("requestParameters.instancesSet.items").filter_map(|item| item.get("maxCount")?.uint());
    let count = counts.fold(0u64, u64::saturating_add);
    // Auto scaling and its like act by roles of AWS's own.
    if !cloudtrail::succeeded(record) || northwind::first_text(record, &["userIdentity.invokedBy"]).is_some() {
        return None;
    }
    let severity = match (accelerated, count >= MANY) {
        (true, true) => Severity::Critical,
        (true, false) => Severity::High,
        (false, true) => Severity::Medium,
        (false, false) => return None,
    };
    let of = if kind.is_empty() { "a kind not told" } else { kind };
    let title = format!("{} started {count} instances of {of}", cloudtrail::who(record));
    let ids: Vec<_> =
        record.items("responseElements.instancesSet.items").filter_map(|item| item.get("instanceId")?.text()).collect();
    let finding = cloudtrail::finding(record, title).severity(severity).dedup_key(cloudtrail::account(record));
    Some(finding.context("instance_type", kind).context("count", count).context("instances", ids))
}

/// A key of KMS is to be deleted: what it encrypts is lost after that.
///
/// KMS waits thirty days unless told otherwise, and seven at least; that is what somebody asks for who wants it gone.
/// First: cancel the deletion (`aws kms cancel-key-deletion`), then ask.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "kms.amazonaws.com", eventName = "ScheduleKeyDeletion"),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1485"],
    references = [
        "https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html",
        "https://attack.mitre.org/techniques/T1485/",
    ],
)]
fn key_scheduled_for_deletion(record: &Record) -> Option<Finding> {
    /// The least that KMS allows.
    const SHORTEST: i64 = 7;
    /// What KMS takes when the call does not say.
    const DEFAULT: i64 = 30;
    if !cloudtrail::succeeded(record) {
        return None;
    }
    let key = record.text("requestParameters.keyId")?;
    let key = key.rsplit('/').next().unwrap_or(key);
    let days = record.int("requestParameters.pendingWindowInDays").unwrap_or(DEFAULT);
    let title = format!("{} lets key {key} be deleted in {days} days", cloudtrail::who(record));
    let finding = cloudtrail::finding(record, title).dedup_key(key).context("key", key).context("days", days);
    Some(if days <= SHORTEST { finding.severity(Severity::High) } else { finding })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_sources() {
        for cidr in ["0.0.0.0/0", "::/0", "128.0.0.0/1", "2000::/3"] {
            assert!(is_wide(cidr), "{cidr}");
        }
        for cidr in ["10.0.0.0/8", "203.0.113.66/32", "2001:db8::/32", "0.0.0.0", "sg-1/0", "0.0.0.0/", "0.0.0.0/-1"] {
            assert!(!is_wide(cidr), "{cidr}");
        }
    }

    #[test]
    fn ports_decide_how_bad_an_open_group_is() {
        let open = |permissions: Value| {
            let request = json!({"groupId": "sg-1", "ipPermissions": {"items": permissions}});
            let finding = security_group_open_to_world(&Record::from_json(json!({"requestParameters": request})))?;
            Some((finding.title?, finding.severity))
        };
        let from_all = json!({"items": [{"cidrIp": "0.0.0.0/0"}]});
        let permission = |from: u64, to: u64| json!({"fromPort": from, "toPort": to, "ipRanges": from_all});
        let title = |ports: &str| format!("Security group sg-1 is open to 0.0.0.0/0 on {ports}");
        assert_eq!(open(json!([permission(22, 22)])), Some((title("port 22"), Some(Severity::High))));
        assert_eq!(open(json!([permission(8000, 8100)])), Some((title("ports 8000 to 8100"), None)));
        assert_eq!(
            open(json!([{"ipProtocol": "-1", "ipRanges": from_all}])),
            Some((title("all ports"), Some(Severity::High)))
        );
        assert_eq!(open(json!([permission(443, 443)])), None);
        assert_eq!(open(json!([permission(443, 443), permission(22, 22)])).unwrap().0, title("port 22"));
        assert_eq!(open(json!([null, 7, {"fromPort": "22", "ipRanges": {}}])), None);
        assert_eq!(open(Value::Null), None);
    }

    #[test]
    fn counts_and_families_decide_about_instances() {
        let started = |kind: &str, count: Value, invoked_by: &str| {
            let request = json!({"instanceType": kind, "instancesSet": {"items": [{"maxCount": count}]}});
            let who = json!({"type": "AssumedRole", "invokedBy": invoked_by});
            let record = json!({"userIdentity": who, "requestParameters": request});
            costly_instances_started(&Record::from_json(record)).map(|finding| finding.severity.unwrap())
        };
        assert_eq!(started("p5.48xlarge", json!(20), ""), Some(Severity::Critical));
        assert_eq!(started("g5.xlarge", json!(1), ""), Some(Severity::High));
        assert_eq!(started("m7g.large", json!(10), ""), Some(Severity::Medium));
        assert_eq!(started("m7g.large", json!("10"), ""), None);
        assert_eq!(started("p5.48xlarge", json!(20), "autoscaling.amazonaws.com"), None);
    }
}
