//! Who gets into Okta, and who weakens it.

mod administration;

use northwind::{first_text, vpn_exit};
use streamalert_sdk::prelude::*;

/// A push was denied that somebody behind a proxy, or whom Okta suspects, had asked for.
///
/// They have the password and try whether the owner gives in. A denial alone is ordinary and not reported. Denials of one
/// user within half an hour are one alert. First: call the user and change the password; look whether a push was accepted
/// after the denials.
#[rule(
    logs = ["okta:system"],
    when(eventType = "user.mfa.okta_verify.deny_push"),
    outputs = ["file:security"],
    merge(by = ["actor.alternateId"], minutes = 30),
    severity = "medium",
    tags = ["attack.t1621"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1621/",
    ],
)]
fn okta_push_denied_to_suspect(record: &Record) -> Option<Finding> {
    let suspect = is_yes(record, "debugContext.debugData.threatSuspected") || behind_proxy(record);
    if !suspect || vpn_exit(record.text("client.ipAddress")) {
        return None;
    }
    Some(finding(record, format!("{} denied a push asked for from {}", actor(record), address(record))))
}

/// Somebody signed in whom Okta gives the highest risk: new device, new place, impossible travel or a known bad address.
///
/// The second factor was passed, so this is an account taken over or a user on a strange network. First: call the user; if
/// it was not them, end all their sessions and reset password and factors.
#[rule(
    logs = ["okta:system"],
    when(
        eventType = ["user.session.start", "user.authentication.auth_via_mfa"],
        outcome.result = "SUCCESS",
        contains(debugContext.debugData.risk = "level=HIGH"),
    ),
    outputs = ["file:security", "file:oncall"],
    merge(by = ["actor.alternateId"], minutes = 60),
    severity = "high",
    tags = ["attack.t1078.004"],
    references = [
        "https://developer.okta.com/docs/reference/api/event-types/",
        "https://attack.mitre.org/techniques/T1078/004/",
    ],
)]
fn okta_high_risk_sign_in(record: &Record) -> Option<Finding> {
    let risk = record.text("debugContext.debugData.risk")?;
    if !risk.contains("level=HIGH") || vpn_exit(record.text("client.ipAddress")) {
        return None;
    }
    let behaviors = record.text("debugContext.debugData.behaviors");
    let title = format!("{} signed in from {} at high risk", actor(record), address(record));
    Some(finding(record, title).context("risk", risk).context("behaviors", behaviors))
}

/// A user reported activity in their account that was not theirs.
///
/// Nobody knows better. The address they complain about is in the context; their own is where they reported it from.
/// First: call the user, end the sessions of that address, and look what it did.
#[rule(
    logs = ["okta:system"],
    when(eventType = "user.account.report_suspicious_activity_by_enduser"),
    outputs = ["file:security", "file:oncall"],
    severity = "high",
    tags = ["attack.t1078.004"],
    references = ["https://developer.okta.com/docs/reference/api/event-types/"],
)]
fn okta_user_reported_suspicious_activity(record: &Record) -> Finding {
    let from = record.text("debugContext.debugData.suspiciousActivityEventIp");
    let what = record.text("debugContext.debugData.suspiciousActivityEventType");
    finding(record, format!("{} reported activity from {}", actor(record), from.unwrap_or("an unknown address")))
        .context("suspicious_address", from)
        .context("suspicious_event", what)
}

fn actor(record: &Record) -> &str {
    first_text(record, &["actor.alternateId", "actor.displayName"]).unwrap_or("somebody unnamed")
}

fn address(record: &Record) -> &str {
    first_text(record, &["client.ipAddress"]).unwrap_or("an unknown address")
}

fn behind_proxy(record: &Record) -> bool {
    is_yes(record, "securityContext.isProxy")
}

/// Okta writes booleans of `debugData` as text.
fn is_yes(record: &Record, path: &str) -> bool {
    record.bool(path) == Some(true) || record.is(path, "true")
}

fn finding(record: &Record, title: String) -> Finding {
    Finding::new(title)
        .dedup_key(actor(record))
        .context("who", actor(record))
        .context("from", address(record))
        .context("network", record.text("securityContext.asOrg"))
        .context("proxy", behind_proxy(record))
        .context("user_agent", record.text("client.userAgent.rawUserAgent"))
        .context("session", record.text("authenticationContext.externalSessionId"))
}
