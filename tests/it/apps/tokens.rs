//! Tokens that apps sign: whether they are signed by the key of the tests, and what they claim.

use crate::vendors::Seen;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The claims in the form's `assertion`, if it is a token of the kind that is asked for.
pub fn claims(seen: &Seen) -> Result<Value, String> {
    let grant = form(seen, "grant_type");
    if seen.method != "POST" || grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
        return Err(format!("no grant by a token: {grant}"));
    }
    let token = form(seen, "assertion");
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { return Err("no token".into()) };
    let read = |part: &str| -> Result<Value, String> {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    };
    let algorithm = read(head)?["alg"].as_str().unwrap_or_default().to_owned();
    let bits = algorithm.strip_prefix("RS").ok_or("not signed by RSA")?;
    // The key has 2048 bits; that the signature is right, the SDK's tests show against openssl.
    let length = URL_SAFE_NO_PAD.decode(signature).map_err(|error| error.to_string())?.len();
    match (bits, length) {
        ("256" | "512", 256) => read(claims),
        _ => Err(format!("a signature of {length} bytes by {algorithm}")),
    }
}

/// A field of a form, decoded.
pub fn form(seen: &Seen, name: &str) -> String {
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let found = pairs.map(|(key, value)| (crate::vendors::decode(key), value)).find(|(key, _)| key == name);
    found.map(|(_, value)| crate::vendors::decode(value)).unwrap_or_default()
}
