//! Tokens signed by a private key, which some services give access for.

use crate::sign::base64_url;
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use serde_json::Value;
use sha2::{Sha256, Sha384, Sha512};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
}

/// An RSA key that signs.
pub struct Key(PrivateKey);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// From PEM: `PRIVATE KEY`, `RSA PRIVATE KEY`, or, with the password, `ENCRYPTED PRIVATE KEY`. Line breaks may stand there as `\n`,
    /// as they do in settings. The error says nothing of what is in it.
    pub fn from_pem(pem: &str, password: Option<&str>) -> Result<Key, String> {
        let pem = pem.trim().replace("\\n", "\n");
        let no = |why: &str| Err(format!("is no private key: {why}"));
        if pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            let Some(password) = password else { return no("it is encrypted, and there is no password") };
            let Ok(key) = PrivateKey::from_pkcs8_encrypted_pem(&pem, password) else {
                return no("it cannot be decrypted by the password, or is encrypted in a way that is not known here");
            };
            return Ok(Key(key));
        }
        let read = match pem.starts_with("-----BEGIN RSA PRIVATE KEY-----") {
            true => PrivateKey::from_pkcs1_pem(&pem).ok(),
            false => PrivateKey::from_pkcs8_pem(&pem).ok(),
        };
        match read {
            Some(key) => Ok(Key(key)),
            None if pem.starts_with("-----BEGIN ") => {
                no("what is between its first and last line is not that of an RSA key")
            }
            None => no("PEM begins with -----BEGIN PRIVATE KEY-----"),
        }
    }

    /// The token with these claims, signed. `header` has what is to stand there besides, as `kid`.
    pub fn token(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> Result<String, String> {
        let name = match algorithm {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
        };
        let mut head = serde_json::json!({"alg": name, "typ": "JWT"});
        if let (Value::Object(head), Value::Object(more)) = (&mut head, header) {
            head.extend(more.clone());
        }
        let text = format!("{}.{}", base64_url(head.to_string().as_bytes()), base64_url(claims.to_string().as_bytes()));
        let message = text.as_bytes();
        let signed = match algorithm {
            Algorithm::Rs256 => self.0.pkcs1v15_sign::<Sha256>(message),
            Algorithm::Rs384 => self.0.pkcs1v15_sign::<Sha384>(message),
            Algorithm::Rs512 => self.0.pkcs1v15_sign::<Sha512>(message),
        };
        let signature = signed.map_err(|error| format!("the key cannot sign: {error}"))?;
        Ok(format!("{text}.{}", base64_url(&signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    // One key, made for these tests and used for nothing else.
    const PLAIN: &str = include_str!("../testdata/plain.pem");
    const RSA: &str = include_str!("../testdata/rsa.pem");
    /// As Box writes them: PBKDF2 with HMAC-SHA1, and triple DES.
    const DES: &str = include_str!("../testdata/des.pem");
    const AES: &str = include_str!("../testdata/aes.pem");

    #[test]
    fn a_token_is_signed_as_openssl_signs_it_whatever_way_the_key_is_written() {
        let signature = "SjoG2ut1cDxOZaNKUMiK38dMLoIdvrzw_CNRv95kdD1xVTXuHKPsX-CH3QR3frNEnynfLDp58xj9STd-7btqOYDX4X1BJO0j4lZu5vzxAvtAIETUF3HO3SYxtn5Tj9Rp8jbZnNeYMDTlQVHnYGYwyQaQKNPUKMp_FJkotsCu53beNdwAavkcbka6jMe731kbvIIlKwQQlHgpk0mxBegaSydOpzvUMxz2r0RG3Ck-4xvt8lh0kudNoaV4Dk4OmkC4JTt56q2TIA4v_NJXjC1Zd323Dj8T_3I7RgQ7zeCboa8S1umRIil-HZ3PtPhFXfegG0xr6KYv4svbVq0kDAVd7A";
        let escaped = PLAIN.replace('\n', "\\n");
        for (pem, password) in
            [(PLAIN, None), (RSA, None), (&escaped, Some("unused")), (DES, Some("hunter2")), (AES, Some("hunter2"))]
        {
            let key = Key::from_pem(pem, password).unwrap();
            let token = key.token(Algorithm::Rs256, &json!({"kid": "k1"}), &json!({"iss": "a", "exp": 1})).unwrap();
            let head = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJpc3MiOiJhIiwiZXhwIjoxfQ";
            assert_eq!(token, format!("{head}.{signature}"));
        }
    }

    #[test]
    fn what_is_no_key_is_told_of_without_what_it_holds() {
        for (pem, password, expected) in [
            ("hunter2", None, "PEM begins with"),
            (
                "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
                None,
                "between its first and last line",
            ),
            (AES, None, "there is no password"),
            (AES, Some("wrong"), "cannot be decrypted"),
        ] {
            let error = Key::from_pem(pem, password).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
