//! Who weakens the organization on GitHub, and what leaves it.

mod protection;

use northwind::first_text;
use streamalert_sdk::prelude::*;

/// A private or internal repository was made public.
///
/// From that moment on everybody may have a copy, of every old commit too. First: make it private again, then look for
/// secrets in its history and replace them.
#[rule(
    logs = ["github:audit"],
    when(action = "repo.access", visibility = "public"),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1567.001", "attack.t1213.003"],
    references = [
        "https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/audit-log-events-for-your-organization",
        "https://attack.mitre.org/techniques/T1213/003/",
    ],
)]
fn github_repository_made_public(record: &Record) -> Option<Finding> {
    let now_public = record.is("visibility", "public") && !record.is("previous_visibility", "public");
    now_public.then(|| {
        let finding = finding(record, format!("{} made {} public", actor(record), repository(record)));
        finding.context("was", record.text("previous_visibility"))
    })
}

/// A repository was cloned with a token that may administer the organization.
///
/// Such a token is no tool for cloning: it was taken from where it was kept, or its owner is careless with it. Clones by
/// one token within an hour are one alert; many repositories in it mean somebody takes all they can get. First: revoke the
/// token (its hash is in the context, the settings of the organization find its owner by it).
#[rule(
    logs = ["github:audit"],
    when(action = "git.clone", contains(token_scopes = ["admin:org", "admin:enterprise", "site_admin"])),
    outputs = ["file:security"],
    merge(by = ["hashed_token"], minutes = 60),
    severity = "medium",
    tags = ["attack.t1213.003", "attack.t1078"],
    references = [
        "https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-security-settings-for-your-organization/identifying-audit-log-events-performed-by-an-access-token",
        "https://attack.mitre.org/techniques/T1213/003/",
    ],
)]
fn github_clone_with_administrator_token(record: &Record) -> Option<Finding> {
    // A public repository is anybody's.
    if record.bool("repository_public") == Some(true) {
        return None;
    }
    let title = format!("{} cloned {} with an administrator's token", actor(record), repository(record));
    let finding = finding(record, title)
        .context("token", record.text("hashed_token"))
        .context("token_scopes", record.text("token_scopes"));
    Some(match record.text("hashed_token") {
        Some(token) => finding.dedup_key(token),
        None => finding,
    })
}

/// A webhook sends what happens in a repository to a place it should not: without TLS, without looking at the certificate,
/// or to a bare address.
///
/// A push event names every commit and its files. First: delete the webhook, then ask who asked for it.
#[rule(
    logs = ["github:audit"],
    when(action = ["hook.create", "hook.config_changed"]),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1567"],
    references = [
        "https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks",
        "https://attack.mitre.org/techniques/T1567/",
    ],
)]
fn github_unsafe_webhook(record: &Record) -> Option<Finding> {
    let url = record.text("config.url").filter(|url| !url.is_empty())?;
    let host = host(url);
    let mut faults = Vec::new();
    if url.starts_with("http://") {
        faults.push("without TLS");
    }
    if record.is("config.insecure_ssl", "1") || record.int("config.insecure_ssl") == Some(1) {
        faults.push("without looking at the certificate");
    }
    let stranger = northwind::foreign_address(host);
    if stranger {
        faults.push("to a bare address");
    }
    if faults.is_empty() {
        return None;
    }
    let title = format!("Webhook of {} sends {}", repository(record), faults.join(", "));
    let finding = finding(record, title).context("host", host).context("faults", faults);
    Some(if stranger { finding.severity(Severity::High) } else { finding })
}

/// The host of a URL, without name and password, port and the brackets of IPv6.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let place = authority.rsplit('@').next().unwrap_or(authority);
    match place.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => place.split(':').next().unwrap_or(place),
    }
}

/// The audit log was exported: a list of who does what, and when nobody looks.
///
/// Auditors do it, and intruders who want to know what was seen of them. First: ask the actor.
#[rule(
    logs = ["github:audit"],
    when(action = ["org.audit_log_export", "org.audit_log_git_event_export", "business.audit_log_export"]),
    outputs = ["file:security"],
    severity = "low",
    tags = ["attack.t1654"],
    references = ["https://attack.mitre.org/techniques/T1654/"],
)]
fn github_audit_log_exported(record: &Record) -> Finding {
    finding(record, format!("{} exported the audit log", actor(record)))
}

fn actor(record: &Record) -> &str {
    first_text(record, &["actor"]).unwrap_or("somebody unnamed")
}

/// Where it happened: a repository, or the organization.
fn repository(record: &Record) -> &str {
    first_text(record, &["repo", "org", "business"]).unwrap_or("an unknown repository")
}

fn finding(record: &Record, title: String) -> Finding {
    Finding::new(title)
        .dedup_key(repository(record))
        .context("who", actor(record))
        .context("from", record.text("actor_ip"))
        .context("where", repository(record))
        .context("user_agent", record.text("user_agent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (url, want) in [
            ("http://203.0.113.99/h", "203.0.113.99"),
            ("https://hooks.northwind-robotics.example:8443/h?x=@y", "hooks.northwind-robotics.example"),
            ("https://user:word@203.0.113.99:80", "203.0.113.99"),
            ("https://[2001:db8:66::1]:443/", "2001:db8:66::1"),
            ("203.0.113.99", "203.0.113.99"),
            ("", ""),
        ] {
            assert_eq!(host(url), want, "{url}");
        }
    }

    #[test]
    fn what_makes_a_webhook_unsafe() {
        let faults = |config: Value| {
            let finding = github_unsafe_webhook(&Record::from_json(json!({"repo": "r", "config": config})))?;
            Some((finding.context["faults"].as_array()?.len(), finding.severity))
        };
        let high = Some(Severity::High);
        assert_eq!(faults(json!({"url": "http://203.0.113.99/h", "insecure_ssl": "1"})), Some((3, high)));
        assert_eq!(faults(json!({"url": "https://ci.example/h", "insecure_ssl": 1})), Some((1, None)));
        assert_eq!(faults(json!({"url": "https://10.0.20.7/h", "insecure_ssl": "0"})), None);
        assert_eq!(faults(json!({"url": "https://ci.example/h", "insecure_ssl": null})), None);
        assert_eq!(faults(json!({"url": ""})), None);
        assert_eq!(faults(Value::Null), None);
    }
}
