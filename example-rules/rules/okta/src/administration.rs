//! What administrators do, or whoever has their sessions.

use crate::{actor, behind_proxy, finding};
use northwind::first_text;
use streamalert_sdk::prelude::*;

/// An administrator took all second factors from another user.
///
/// The help desk does so for lost phones, and intruders before they enrol a phone of their own. Through a proxy it is the
/// latter until shown otherwise. First: ask the user, not the administrator, whether they asked for it.
#[rule(
    logs = ["okta:system"],
    when(eventType = ["user.mfa.factor.reset_all", "user.mfa.factor.deactivate"], outcome.result = "SUCCESS"),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1556.006", "attack.t1098"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1556/006/",
    ],
)]
fn okta_factors_reset_for_other_user(record: &Record) -> Option<Finding> {
    let user = target(record, "User", "alternateId")?;
    if record.is("actor.alternateId", user) {
        return None;
    }
    let finding = finding(record, format!("{} took the second factors of {user}", actor(record)));
    Some(by_proxy(record, finding.dedup_key(user).context("user", user)))
}

/// A user was made an administrator.
///
/// Super administrators can do everything, also to the logs. First: find the change request; without one, take the role
/// back and look at what the user did since.
#[rule(
    logs = ["okta:system"],
    when(eventType = ["user.account.privilege.grant", "group.privilege.grant"], outcome.result = "SUCCESS"),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1098.003"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1098/003/",
    ],
)]
fn okta_administrator_made(record: &Record) -> Finding {
    let role = first_text(record, &["debugContext.debugData.privilegeGranted"]).unwrap_or("an unknown role");
    let holder = target(record, "User", "alternateId").or_else(|| target(record, "UserGroup", "displayName"));
    let holder = holder.unwrap_or("somebody unnamed");
    let finding = finding(record, format!("{} made {holder} {role}", actor(record)))
        .dedup_key(holder)
        .context("holder", holder)
        .context("role", role);
    if role.to_lowercase().contains("super") { finding.severity(Severity::Critical) } else { finding }
}

/// A policy or one of its rules was switched off or deleted.
///
/// Sign-on policies are what asks for the second factor. First: look which rule it was (in the context) and switch it on
/// again, unless the change was announced.
#[rule(
    logs = ["okta:system"],
    when(
        eventType = [
            "policy.rule.deactivate", "policy.rule.delete", "policy.lifecycle.deactivate", "policy.lifecycle.delete",
        ],
        outcome.result = "SUCCESS",
    ),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1556.006"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1556/006/",
    ],
)]
fn okta_policy_switched_off(record: &Record) -> Finding {
    let name = target(record, "PolicyRule", "displayName").or_else(|| target(record, "PolicyEntity", "displayName"));
    let name = name.unwrap_or("without a name");
    let finding = finding(record, format!("{} switched off the policy {name}", actor(record)));
    by_proxy(record, finding.dedup_key(name).context("policy", name))
}

/// An API token was made.
///
/// It acts with the rights of the administrator who made it, asks for no second factor, and stays as long as it is used.
/// First: ask what it is for; revoke it when nobody says so.
#[rule(
    logs = ["okta:system"],
    when(eventType = "system.api_token.create", outcome.result = "SUCCESS"),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1098.001"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1098/001/",
    ],
)]
fn okta_api_token_made(record: &Record) -> Finding {
    let token = target(record, "Token", "displayName").unwrap_or("without a name");
    let finding = finding(record, format!("{} made the API token {token}", actor(record)));
    by_proxy(record, finding.dedup_key(token).context("token", token))
}

/// An identity provider was added or changed: whoever runs it can sign in as anybody.
///
/// It happens once in years, with a project around it. First: deactivate the provider, then ask.
#[rule(
    logs = ["okta:system"],
    when(
        eventType = ["system.idp.lifecycle.create", "system.idp.lifecycle.update", "system.idp.lifecycle.activate"],
        outcome.result = "SUCCESS",
    ),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1484.002"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1484/002/",
    ],
)]
fn okta_identity_provider_added(record: &Record) -> Finding {
    let provider = target(record, "IdentityProvider", "displayName").unwrap_or("without a name");
    let finding = finding(record, format!("{} set up the identity provider {provider}", actor(record)));
    finding.dedup_key(provider).context("identity_provider", provider)
}

/// The first of the things acted on that is of this type. The list may be a null, and its items may be anything.
fn target<'a>(record: &'a Record, kind: &str, key: &str) -> Option<&'a str> {
    let target = record.items("target").find(|target| target.get("type").and_then(Field::text) == Some(kind))?;
    target.get(key)?.text()
}

/// Nobody here administers Okta through an anonymizing proxy.
fn by_proxy(record: &Record, finding: Finding) -> Finding {
    if behind_proxy(record) { finding.severity(Severity::High) } else { finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_factors_are_ones_own_business() {
        let reset = |target: Value, proxy: Value| {
            okta_factors_reset_for_other_user(&Record::from_json(json!({
                "actor": {"alternateId": "owen"}, "target": target, "securityContext": {"isProxy": proxy},
            })))
        };
        let user = |name: &str| json!([{"type": "AuthenticatorEnrollment"}, {"type": "User", "alternateId": name}]);
        assert_eq!(reset(user("nadia"), json!(false)).unwrap().severity, None);
        assert_eq!(reset(user("nadia"), json!(true)).unwrap().severity, Some(Severity::High));
        assert_eq!(
            reset(user("nadia"), Value::Null).unwrap().title.as_deref(),
            Some("owen took the second factors of nadia")
        );
        assert!(reset(user("owen"), json!(true)).is_none());
        for odd in [Value::Null, json!([]), json!([null, 7]), json!([{"type": "User", "alternateId": null}])] {
            assert!(reset(odd, json!(true)).is_none());
        }
    }
}
