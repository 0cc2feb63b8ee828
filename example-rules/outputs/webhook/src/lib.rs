//! Alerts go to any web server as JSON, signed if there is a key.

#[cfg(test)]
mod tests;

use brief::answer_or;
use streamalert_output_sdk::prelude::*;

struct Webhook;

impl Output for Webhook {
    const SERVICE: &'static str = "webhook";
    const DESCRIPTION: &'static str = "Posts the publication as JSON to a URL of your choice";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("url", "Where to post to"),
        Setting::secret("token", "Sent as `Authorization: Bearer`, or alone in `token_header`").optional(),
        Setting::plain("token_header", "Header for `token`").optional(),
        Setting::secret("signing_key", "Key of the HMAC-SHA256 over time and body, `t=SECONDS,v1=HEX`").optional(),
        Setting::plain("signature_header", "Header for the signature [default: X-StreamAlert-Signature]").optional(),
        Setting::plain("idempotency_header", "Header for what is the same at each attempt [default: Idempotency-Key]")
            .optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    // Whether a repeat is taken once is up to the server: the key comes with each attempt.

    fn validate(settings: &Settings) -> Vec<Fault> {
        // Letters, digits and what else RFC 9110 has for names, but for what nobody uses.
        let is_name =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        let taken = ["host", "content-length", "content-type", "connection", "transfer-encoding"];
        let mut faults = Vec::new();
        for setting in ["token_header", "signature_header", "idempotency_header"] {
            if let Some(name) = settings.get(setting) {
                if !is_name(name) {
                    faults.push(Fault::new(setting, "is the name of a header, without colon and value"));
                } else if taken.contains(&name.to_lowercase().as_str()) {
                    faults.push(Fault::new(setting, "is a header that has its own meaning"));
                }
            }
        }
        if settings.get("token").is_some_and(|token| token.chars().any(char::is_control)) {
            faults.push(Fault::new("token", "holds a control character"));
        }
        faults
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let body = parcel.magic("body").cloned().unwrap_or_else(|| Value::Object(parcel.shown())).to_string();
        // The time is signed too, so that a request that was overheard cannot be sent again much later.
        let signed = parcel
            .setting("signing_key")
            .map(|key| sign::hex(&sign::hmac_sha256(key.as_bytes(), format!("{}.{body}", parcel.now).as_bytes())));
        let header = |setting: &str, default: &str| parcel.setting(setting).unwrap_or(default).to_owned();
        let mut request = Request::post(parcel.required("url"))
            .bytes("application/json", body)
            .header(header("idempotency_header", "Idempotency-Key"), &parcel.idempotency_key);
        if let Some(token) = parcel.setting("token") {
            request = match parcel.setting("token_header") {
                Some(name) => request.header(name, token),
                None => request.bearer(token),
            };
        }
        if let Some(signature) = signed {
            let name = header("signature_header", "X-StreamAlert-Signature");
            request = request.header(name, format!("t={},v1={signature}", parcel.now));
        }
        let hints =
            [(401, "`token` and `signing_key`"), (403, "`token` and `signing_key`"), (404, "`url`"), (410, "`url`")];
        answer_or(http.send(request), &hints)
    }
}

export_output!(Webhook);
