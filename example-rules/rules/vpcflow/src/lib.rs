//! What crosses the border of the VPC. Flow logs are the most of all logs: conditions keep nearly all of them away.

use northwind::{foreign_address, vpn_exit};
use streamalert_sdk::prelude::*;

/// Somebody from outside our networks got through to a port for remote logins or administration.
///
/// A security group let them. First: look which group did (`security_group_open_to_world` may have said so), close it, and
/// look at the host's own logins.
#[rule(
    logs = ["vpcflow"],
    when(action = "ACCEPT", dstport = [22, 3389, 5900, 2375, 5985]),
    outputs = ["file:security"],
    merge(by = ["srcaddr", "dstaddr"], minutes = 60),
    severity = "high",
    tags = ["attack.t1133", "attack.t1021.004"],
    references = [
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
        "https://attack.mitre.org/techniques/T1133/",
    ],
)]
fn vpcflow_admin_port_reached_from_outside(record: &Record) -> Option<Finding> {
    let (from, to, port) = (record.text("srcaddr")?, record.text("dstaddr")?, record.int("dstport")?);
    if !foreign_address(from) || !northwind::own_address(to) || vpn_exit(Some(from)) {
        return None;
    }
    Some(finding(record, format!("{from} reached port {port} of {to}")).context("port", port))
}

/// A gigabyte in one flow, which is a minute or ten.
const MUCH: u64 = 1 << 30;

/// A host of ours sent more than a gigabyte to one address outside within one flow.
///
/// Backups stay inside; releases are fetched, not sent. First: find out whose the address is and which process sends
/// (osquery's `outbound_sockets`), and cut the connection if nobody can say.
#[rule(
    logs = ["vpcflow"],
    when(action = "ACCEPT", prefix(srcaddr = "10.")),
    outputs = ["file:security"],
    merge(by = ["srcaddr", "dstaddr"], minutes = 60),
    severity = "high",
    tags = ["attack.t1048"],
    references = [
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
        "https://attack.mitre.org/techniques/T1048/",
    ],
)]
fn vpcflow_much_sent_outside(record: &Record) -> Option<Finding> {
    let bytes = record.uint("bytes").filter(|&bytes| bytes >= MUCH)?;
    let (from, to) = (record.text("srcaddr")?, record.text("dstaddr")?);
    if !northwind::own_address(from) || !foreign_address(to) || vpn_exit(Some(to)) {
        return None;
    }
    let gigabytes = bytes as f64 / 1e9;
    Some(finding(record, format!("{from} sent {gigabytes:.1} GB to {to}")).context("bytes", bytes))
}

/// A host of ours talks to an address outside on a port that mining pools or remote shells like.
///
/// Nothing we run uses these ports. First: ask osquery which process it is, then isolate the host.
#[rule(
    logs = ["vpcflow"],
    when(action = "ACCEPT", prefix(srcaddr = "10."), dstport = [3333, 4444, 5555, 7777, 14444, 45700]),
    outputs = ["file:security"],
    merge(by = ["srcaddr", "dstaddr"], minutes = 60),
    severity = "medium",
    tags = ["attack.t1571", "attack.t1496"],
    references = [
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
        "https://attack.mitre.org/techniques/T1571/",
    ],
)]
fn vpcflow_odd_port_outside(record: &Record) -> Option<Finding> {
    let (from, to, port) = (record.text("srcaddr")?, record.text("dstaddr")?, record.int("dstport")?);
    if !northwind::own_address(from) || !foreign_address(to) {
        return None;
    }
    Some(finding(record, format!("{from} talks to port {port} of {to}")).context("port", port))
}

fn finding(record: &Record, title: String) -> Finding {
    let (from, to) = (record.text_or("srcaddr", "?"), record.text_or("dstaddr", "?"));
    Finding::new(title)
        .dedup_key(format!("{from} {to}"))
        .context("from", from)
        .context("to", to)
        .context("interface", record.text("interface_id"))
        .context("instance", record.text("instance_id"))
        .context("account", record.text("account_id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_border_counts() {
        let flow = |from: &str, to: &str, bytes: Value| {
            vpcflow_much_sent_outside(&Record::from_json(json!({"srcaddr": from, "dstaddr": to, "bytes": bytes})))
        };
        let much = json!(4_831_838_208u64);
        let title = flow("10.0.12.34", "203.0.113.99", much.clone()).unwrap().title;
        assert_eq!(title.as_deref(), Some("10.0.12.34 sent 4.8 GB to 203.0.113.99"));
        assert!(flow("10.0.12.34", "10.0.20.5", much.clone()).is_none());
        assert!(flow("203.0.113.99", "10.0.12.34", much.clone()).is_none());
        assert!(flow("10.0.12.34", "-", much).is_none());
        for odd in [json!(MUCH - 1), json!(-1), json!("4831838208"), Value::Null] {
            assert!(flow("10.0.12.34", "203.0.113.99", odd).is_none());
        }
    }
}
