//! What holds intruders and mistakes back, and who takes it away.

use crate::{actor, finding, repository};
use northwind::first_text;
use streamalert_sdk::prelude::*;

/// The organization no longer asks its members for a second factor.
///
/// There is no good reason for it, and it opens the organization to every password that was ever stolen. First: switch it
/// on again, then look what else the actor did.
#[rule(
    logs = ["github:audit"],
    when(action = ["org.disable_two_factor_requirement", "business.disable_two_factor_requirement"]),
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1556.006"],
    references = [
        "https://docs.github.com/en/organizations/keeping-your-organization-secure/managing-two-factor-authentication-for-your-organization/requiring-two-factor-authentication-in-your-organization",
        "https://attack.mitre.org/techniques/T1556/006/",
    ],
)]
fn github_two_factor_requirement_off(record: &Record) -> Finding {
    finding(record, format!("{} switched off the second factor for {}", actor(record), repository(record)))
}

/// Secret scanning was switched off, or no longer stops a push that has secrets in it.
///
/// First: switch it on again, then look for secrets in what was pushed since.
#[rule(
    logs = ["github:audit"],
    when(action = [
        "repository_secret_scanning.disable",
        "repository_secret_scanning_push_protection.disable",
        "org.secret_scanning_push_protection_disable",
    ]),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1562.001"],
    references = [
        "https://docs.github.com/en/code-security/secret-scanning/introduction/about-push-protection",
        "https://attack.mitre.org/techniques/T1562/001/",
    ],
)]
fn github_secret_scanning_off(record: &Record) -> Finding {
    finding(record, format!("{} switched off secret scanning for {}", actor(record), repository(record)))
}

/// The protection of a branch was removed, or somebody with the right to do so pushed past it.
///
/// Code can get into the product that nobody reviewed. First: look at the commits of that branch since; restore the
/// protection. An override (medium) is often a hotfix: ask for the ticket.
#[rule(
    logs = ["github:audit"],
    when(action = ["protected_branch.destroy", "protected_branch.policy_override"]),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1562.001", "attack.t1195.002"],
    references = [
        "https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-protected-branches/about-protected-branches",
        "https://attack.mitre.org/techniques/T1195/002/",
    ],
)]
fn github_branch_protection_passed(record: &Record) -> Finding {
    let branch = first_text(record, &["branch", "name"]).unwrap_or("a branch without a name");
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let (who, place) = (actor(record), repository(record));
    if record.is("action", "protected_branch.destroy") {
        return finding(record, format!("{who} removed the protection of {branch} in {place}"))
            .context("branch", branch);
    }
    let overridden: Vec<_> = record.texts("overridden_codes").collect();
    finding(record, format!("{who} pushed past the protection of {branch} in {place}"))
        .severity(Severity::Medium)
        .context("branch", branch)
        .context("overridden", overridden)
}

/// A deploy key that may write was added to a repository.
///
/// It belongs to no user: it asks for no second factor and stays when its maker leaves. First: ask what it is for; a
/// deployment reads. Remove it otherwise.
#[rule(
    logs = ["github:audit"],
    when(action = ["public_key.create", "public_key.update"], exists(read_only)),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1098.004"],
    references = [
        "https://docs.github.com/en/authentication/connecting-to-github-with-ssh/managing-deploy-keys",
        "https://attack.mitre.org/techniques/T1098/004/",
    ],
)]
fn github_deploy_key_may_write(record: &Record) -> Option<Finding> {
    // GitHub writes it as text. Empty, the key is a user's own and no deploy key.
    let may_write = record.text("read_only").is_some_and(|text| text.eq_ignore_ascii_case("false"))
        || record.bool("read_only") == Some(false);
    may_write.then(|| {
        let title = record.text_or("title", "without a name");
        finding(record, format!("Deploy key {title} may write to {}", repository(record)))
            .context("key", title)
            .context("fingerprint", record.text("fingerprint"))
    })
}

/// Somebody was made an owner of the organization.
///
/// Owners can do everything in all repositories. First: find the request; without one, remove the member and look what
/// they did.
#[rule(
    logs = ["github:audit"],
    when(action = ["org.add_member", "org.update_member"], permission = "admin"),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1098.003"],
    references = [
        "https://docs.github.com/en/organizations/managing-peoples-access-to-your-organization-with-roles/roles-in-an-organization",
        "https://attack.mitre.org/techniques/T1098/003/",
    ],
)]
fn github_owner_made(record: &Record) -> Option<Finding> {
    let user = first_text(record, &["user"]).unwrap_or("somebody unnamed");
    let new = record.is("permission", "admin") && !record.is("old_permission", "admin");
    new.then(|| {
        finding(
            record,
            format!("{} made {user} an owner of {}", actor(record), record.text_or("org", "the organization")),
        )
        .dedup_key(user)
        .context("new_owner", user)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deploy_keys_by_what_they_may() {
        let alerts = |read_only: Value| {
            github_deploy_key_may_write(&Record::from_json(json!({"read_only": read_only}))).is_some()
        };
        assert!(alerts(json!("false")) && alerts(json!("False")) && alerts(json!(false)));
        assert!(!alerts(json!("true")) && !alerts(json!("")) && !alerts(json!(true)) && !alerts(Value::Null));
    }

    #[test]
    fn an_override_is_less_than_a_removal() {
        let alert = |record: Value| {
            let finding = github_branch_protection_passed(&Record::from_json(record));
            (finding.title.unwrap(), finding.severity)
        };
        let removed = json!({"action": "protected_branch.destroy", "actor": "eve", "repo": "o/r", "name": "main"});
        assert_eq!(alert(removed), ("eve removed the protection of main in o/r".into(), None));
        let passed = json!({"action": "protected_branch.policy_override", "branch": "refs/heads/main", "overridden_codes": null});
        let title = "somebody unnamed pushed past the protection of main in an unknown repository";
        assert_eq!(alert(passed), (title.into(), Some(Severity::Medium)));
    }
}
