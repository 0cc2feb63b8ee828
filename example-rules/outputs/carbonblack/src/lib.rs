//! Hashes that a rule names are banned by Carbon Black: EDR, which was Response, by MD5, and Cloud by SHA-256.

#[cfg(test)]
mod tests;

use brief::{answer_or, base};
use streamalert_output_sdk::prelude::*;

const TEXT_MAX: Max = Max::Utf16(500);

struct CarbonBlack;

impl Output for CarbonBlack {
    const SERVICE: &'static str = "carbonblack";
    const DESCRIPTION: &'static str =
        "Bans the hash in the alert's context under `carbonblack`: `action` `ban`, `value`";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "https://cb.example.com, or of Cloud https://defense.conferdeploy.net"),
        Setting::secret("token", "API token; of Cloud SECRET/ID"),
        Setting::plain("org_key", "Of Cloud: key of the organization. Without it, the server is one of EDR").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    /// A hash is banned or not.
    const IDEMPOTENT: bool = true;

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let hash = match hash(parcel) {
            Ok(hash) => hash,
            Err(reason) => return Disposition::reject(reason),
        };
        let text = format!("Banned by StreamAlert: {}", plain(parcel.alert.rule_name()));
        let text = shorten(&text, TEXT_MAX);
        let url = base(parcel, "url", "");
        let request = match parcel.setting("org_key") {
            None => Request::post(format!("{url}/api/v1/banning/blacklist"))
                .json(&json!({"md5hash": hash, "text": text, "last_ban_time": 0, "ban_count": 0, "last_ban_host": 0})),
            Some(org) => Request::post(format!("{url}/appservices/v6/orgs/{}/reputations/overrides", percent(org))).json(
                &json!({"override_type": "SHA256", "override_list": "BLACK_LIST", "sha256_hash": hash, "description": text}),
            ),
        };
        let result = http.send(request.header("X-Auth-Token", parcel.required("token")));
        // It is banned already.
        if result.as_ref().is_ok_and(|response| response.status == 409) {
            return Disposition::delivered(format!("{hash} was banned already"));
        }
        let hints = [(401, "`token`"), (403, "what `token` may do"), (404, "`url`, and `org_key` of Cloud")];
        match answer_or(result, &hints) {
            Disposition::Delivered(_) => Disposition::delivered(format!("{hash} is banned")),
            other => other,
        }
    }
}

export_output!(CarbonBlack);

/// What the rule asks for. From the alert itself: it is an order, and no text that a publisher shapes.
fn hash(parcel: &Parcel) -> Result<String, String> {
    let order = parcel.alert.context().get("carbonblack").cloned().unwrap_or_default();
    match order["action"].as_str() {
        Some("ban") => {}
        Some(other) => {
            return Err(format!(
                "the alert's context asks Carbon Black to `{}`, and `ban` is all it can",
                plain(other)
            ));
        }
        None => return Err("the alert's context has no `carbonblack.action`: the rule must say what to ban".into()),
    }
    let value = order["value"].as_str().unwrap_or_default().trim().to_lowercase();
    let (digits, name) = if parcel.setting("org_key").is_some() { (64, "SHA-256") } else { (32, "MD5") };
    match value.len() == digits && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(value),
        false => Err(format!("`carbonblack.value` in the alert's context is no {name}")),
    }
}
