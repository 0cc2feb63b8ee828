//! Who gets into AWS, and who lets others in.

use northwind::cloudtrail;
use streamalert_sdk::prelude::*;

/// The root user of an account signed in to the AWS console.
///
/// Root cannot be limited by policies, and nobody needs it for daily work. Without a second factor a stolen password was
/// enough. First: ask the owners of the account who it was and why; if nobody knows, change root's password, remove its
/// access keys, and look at everything root did since.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = "ConsoleLogin", userIdentity.type = "Root", responseElements.ConsoleLogin = "Success"),
    outputs = ["file:security", "file:oncall"],
    merge(by = ["recipientAccountId"], minutes = 30),
    severity = "high",
    tags = ["attack.t1078.004"],
    references = [
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
        "https://attack.mitre.org/techniques/T1078/004/",
    ],
)]
fn root_console_login(record: &Record) -> Option<Finding> {
    // The conditions say so too, but a function called from a test sees every record.
    if !record.is("responseElements.ConsoleLogin", "Success") {
        return None;
    }
    let account = cloudtrail::account(record);
    let with_factor = record.is("additionalEventData.MFAUsed", "Yes");
    let how = if with_factor { "" } else { " without a second factor" };
    let finding = cloudtrail::finding(record, format!("Root signed in to {account}{how}")).dedup_key(account);
    Some(if with_factor { finding } else { finding.severity(Severity::Critical) })
}

/// Somebody made an access key for another user.
///
/// Such a key stays when one's own access is gone, and whatever it does is logged under the other user's name. First: ask
/// who made it; if it was not asked for, deactivate the key (its id is in the context) and look at what it was used for.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "iam.amazonaws.com", eventName = "CreateAccessKey", exists(requestParameters.userName)),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1098.001"],
    references = [
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html",
        "https://attack.mitre.org/techniques/T1098/001/",
    ],
)]
fn access_key_created_for_other_user(record: &Record) -> Option<Finding> {
    let owner = record.text("requestParameters.userName")?;
    if !cloudtrail::succeeded(record) || record.is("userIdentity.userName", owner) {
        return None;
    }
    let who = cloudtrail::who(record);
    let finding = cloudtrail::finding(record, format!("{who} made an access key for {owner}"))
        .dedup_key(owner)
        .context("owner", owner)
        .context("new_access_key", record.text("responseElements.accessKey.accessKeyId"));
    Some(if who == "root" { finding.severity(Severity::High) } else { finding })
}

/// What makes its holder an administrator, or lets them become one.
const ADMINISTRATOR_POLICIES: [&str; 2] = ["AdministratorAccess", "IAMFullAccess"];

/// A user, group or role was given administrator rights over an account by one of AWS's own policies.
///
/// Rights come with code review here; by hand they come in emergencies and in intrusions. First: find the change request.
/// Without one, detach the policy and look at what the holder did since.
#[rule(
    logs = ["cloudtrail:events"],
    when(
        eventSource = "iam.amazonaws.com",
        eventName = ["AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy"],
        suffix(requestParameters.policyArn = ["/AdministratorAccess", "/IAMFullAccess"]),
    ),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1098.003"],
    references = [
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html",
        "https://attack.mitre.org/techniques/T1098/003/",
    ],
)]
fn administrator_policy_attached(record: &Record) -> Option<Finding> {
    let policy = record.text("requestParameters.policyArn")?.rsplit('/').next()?;
    if !cloudtrail::succeeded(record) || !ADMINISTRATOR_POLICIES.contains(&policy) {
        return None;
    }
    let holder = ["requestParameters.userName", "requestParameters.groupName", "requestParameters.roleName"];
    let holder = northwind::first_text(record, &holder).unwrap_or("somebody unnamed");
    let title = format!("{} gave {policy} to {holder}", cloudtrail::who(record));
    Some(cloudtrail::finding(record, title).dedup_key(holder).context("holder", holder).context("policy", policy))
}

/// A break-glass user signed in, and not in the way it is drilled: with a second factor, from an address of staff.
///
/// These users exist for the day when single sign-on is down, and can do almost everything. Who they are is in the lookup
/// table `break_glass_users`, where staff come from in `known_vpn_exits`. First: call the owner named in the context; if
/// there is no emergency, disable the user.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventName = "ConsoleLogin", userIdentity.type = "IAMUser", responseElements.ConsoleLogin = "Success"),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1078.004"],
    references = ["https://attack.mitre.org/techniques/T1078/004/"],
)]
fn break_glass_login(record: &Record) -> Option<Finding> {
    let user = record.text("userIdentity.userName")?;
    let entry = lookup::get("break_glass_users", user)?;
    let ip = record.text("sourceIPAddress");
    let with_factor = record.is("additionalEventData.MFAUsed", "Yes");
    let known_place = northwind::vpn_exit(ip);
    if !record.is("responseElements.ConsoleLogin", "Success") || (with_factor && known_place) {
        return None;
    }
    let title = format!("Break-glass user {user} signed in from {}", ip.unwrap_or("an unknown address"));
    let finding = cloudtrail::finding(record, title)
        .dedup_key(user)
        .context("owner", entry.get("owner").cloned().unwrap_or_default())
        .context("second_factor", with_factor)
        .context("known_vpn_exit", known_place);
    Some(if with_factor || known_place { finding } else { finding.severity(Severity::Critical) })
}

/// A role was opened to an AWS account that is not ours, or to everyone.
///
/// Whoever controls that account can come back at any time, with no user or key of ours to disable. First: compare with
/// the list of vendors; without a match restore the old trust policy and revoke the role's active sessions.
#[rule(
    logs = ["cloudtrail:events"],
    when(eventSource = "iam.amazonaws.com", eventName = ["UpdateAssumeRolePolicy", "CreateRole"]),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1098.001", "attack.t1484.002"],
    references = [
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html",
        "https://attack.mitre.org/techniques/T1484/002/",
    ],
)]
fn role_opened_to_other_account(record: &Record) -> Option<Finding> {
    if !cloudtrail::succeeded(record) {
        return None;
    }
    let document = ["requestParameters.policyDocument", "requestParameters.assumeRolePolicyDocument"];
    let policy = helpers::safe_json(northwind::first_text(record, &document));
    let strangers = strangers(&policy);
    if strangers.is_empty() {
        return None;
    }
    let role = record.text_or("requestParameters.roleName", "without a name");
    let everyone = strangers.contains(&"*");
    let title =
        format!("Role {role} was opened to {}", if everyone { "everyone".into() } else { strangers.join(", ") });
    let finding =
        cloudtrail::finding(record, title).dedup_key(role).context("role", role).context("opened_to", strangers);
    Some(if everyone { finding.severity(Severity::Critical) } else { finding })
}

/// Who besides our own accounts a trust policy lets in: accounts, and `*` for everyone.
fn strangers(policy: &Value) -> Vec<&str> {
    let mut strangers: Vec<_> = one_or_many(policy.get("Statement"))
        .filter(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Allow"))
        .filter_map(|statement| statement.get("Principal"))
        // Either "*" or {"AWS": …}; services and identity providers are no accounts.
        .flat_map(|principal| one_or_many(principal.get("AWS").or(principal.as_str().map(|_| principal))))
        .filter_map(Value::as_str)
        .map(account_of)
        .filter(|account| !northwind::ACCOUNTS.contains(account))
        .collect();
    strangers.sort_unstable();
    strangers.dedup();
    strangers
}

fn one_or_many(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    let many = value.and_then(Value::as_array);
    let one = value.filter(|_| many.is_none());
    many.into_iter().flatten().chain(one)
}

/// `arn:aws:iam::777788889999:root` and `777788889999` are the same account; what names none stays as it is.
fn account_of(principal: &str) -> &str {
    principal.split(':').nth(4).unwrap_or(principal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_login_without_second_factor_is_critical() {
        let login = |answer: &str, mfa: Value| {
            root_console_login(&Record::from_json(json!({
                "eventName": "ConsoleLogin",
                "recipientAccountId": "111122223333",
                "userIdentity": {"type": "Root"},
                "responseElements": {"ConsoleLogin": answer},
                "additionalEventData": {"MFAUsed": mfa},
            })))
        };
        assert_eq!(login("Success", json!("Yes")).unwrap().severity, None);
        for mfa in [json!("No"), Value::Null, json!(false)] {
            let finding = login("Success", mfa).unwrap();
            assert_eq!(finding.severity, Some(Severity::Critical));
            assert_eq!(finding.title.as_deref(), Some("Root signed in to 111122223333 without a second factor"));
        }
        assert!(login("Failure", json!("No")).is_none());
    }

    #[test]
    fn a_key_of_ones_own_is_no_finding() {
        let created = |by: Value, owner: &str, error: &str| {
            let request = json!({"userName": owner});
            let record = json!({"userIdentity": by, "requestParameters": request, "errorCode": error});
            access_key_created_for_other_user(&Record::from_json(record))
        };
        let eve = json!({"type": "IAMUser", "userName": "eve"});
        assert_eq!(created(eve.clone(), "bob", "").unwrap().title.as_deref(), Some("eve made an access key for bob"));
        assert!(created(eve.clone(), "eve", "").is_none());
        assert!(created(eve, "bob", "AccessDenied").is_none());
        assert_eq!(created(json!({"type": "Root"}), "bob", "").unwrap().severity, Some(Severity::High));
    }

    #[test]
    fn break_glass_by_the_drill_is_silent() {
        lookup::fake("break_glass_users", json!({"breakglass-aws": {"owner": "security-operations"}}));
        lookup::fake("known_vpn_exits", json!({"192.0.2.50": "Staff VPN, exit 1"}));
        let login = |user: &str, ip: &str, mfa: &str| {
            let finding = break_glass_login(&Record::from_json(json!({
                "userIdentity": {"type": "IAMUser", "userName": user},
                "sourceIPAddress": ip,
                "responseElements": {"ConsoleLogin": "Success"},
                "additionalEventData": {"MFAUsed": mfa},
            })));
            finding.map(|finding| finding.severity)
        };
        assert_eq!(login("breakglass-aws", "192.0.2.50", "Yes"), None);
        assert_eq!(login("breakglass-aws", "192.0.2.50", "No"), Some(None));
        assert_eq!(login("breakglass-aws", "203.0.113.66", "Yes"), Some(None));
        assert_eq!(login("breakglass-aws", "203.0.113.66", "No"), Some(Some(Severity::Critical)));
        assert_eq!(login("eve", "203.0.113.66", "No"), None);
    }

    #[test]
    fn who_a_trust_policy_lets_in() {
        let check = |statement: Value, want: &[&str]| assert_eq!(strangers(&json!({"Statement": statement})), want);
        let allow = |principal: Value| json!({"Effect": "Allow", "Principal": principal});
        check(allow(json!("*")), &["*"]);
        check(allow(json!({"AWS": "*"})), &["*"]);
        check(allow(json!({"AWS": "777788889999"})), &["777788889999"]);
        check(json!([allow(json!({"AWS": ["arn:aws:iam::777788889999:root", "777788889999"]}))]), &["777788889999"]);
        check(allow(json!({"AWS": "arn:aws:iam::444455556666:role/deploy"})), &[]);
        check(allow(json!({"Service": "ec2.amazonaws.com"})), &[]);
        check(json!({"Effect": "Deny", "Principal": "*"}), &[]);
        check(json!([null, 7, "text", {"Effect": "Allow"}]), &[]);
        assert!(strangers(&json!([])).is_empty());
    }
}
