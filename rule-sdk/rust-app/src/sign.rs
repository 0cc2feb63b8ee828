//! Signatures and encodings that services ask for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha512};
pub use streamalert_output_sdk::sign::{base64, base64_url, hex, hmac_sha256, sha256, unbase64};

/// HMAC with SHA-1, for services that still ask for it.
///
/// ```
/// # use streamalert_app_sdk::sign::{hex, hmac_sha1};
/// let mac = hmac_sha1(b"key", b"The quick brown fox jumps over the lazy dog");
/// assert_eq!(hex(&mac), "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9");
/// ```
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length will do");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// HMAC with SHA-512.
pub fn hmac_sha512(key: &[u8], message: &[u8]) -> [u8; 64] {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("a key of any length will do");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    Sha512::digest(bytes).into()
}

/// Bytes of base64 for URLs, padded or not.
pub fn unbase64_url(text: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).map_err(|error| format!("is no base64 for URLs: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        // RFC 4231, case 2; RFC 2202, case 2.
        let mac = hmac_sha512(b"Jefe", b"what do ya want for nothing?");
        assert!(hex(&mac).starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"));
        assert_eq!(
            hex(&hmac_sha1(b"Jefe", b"what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert!(hex(&sha512(b"")).starts_with("cf83e1357eefb8bd"));
        assert_eq!((unbase64_url("-_8"), unbase64_url("-_8=")), (Ok(vec![251, 255]), Ok(vec![251, 255])));
        assert!(unbase64_url("+").is_err());
    }
}
