//! Requests that AWS knows the sender of: Signature Version 4.

use streamalert_output_sdk::prelude::*;

pub struct Keys<'a> {
    pub id: &'a str,
    pub secret: &'a str,
    pub session: Option<&'a str>,
}

/// The request with date and signature, for a path that needs no encoding and without a query. `now` in seconds since 1970:
/// AWS takes what is at most five minutes off.
pub fn signed(request: Request, keys: &Keys, region: &str, service: &str, now: u64) -> Result<Request, String> {
    let url = Url::parse(&request.url).map_err(|reason| format!("`url` {reason}"))?;
    // The host sends it without the port that goes without saying.
    let host = match url.port() {
        Some(port) if port != if url.is_https() { 443 } else { 80 } => format!("{}:{port}", url.host()),
        _ => url.host().to_owned(),
    };
    let stamp: String = time::rfc3339(i64::try_from(now).unwrap_or_default()).replace(['-', ':'], "");
    let day = &stamp[..8];

    let kind = request.header_value("content-type").unwrap_or_default().to_owned();
    let mut headers = vec![("content-type", kind), ("host", host), ("x-amz-date", stamp.clone())];
    if let Some(session) = keys.session {
        headers.push(("x-amz-security-token", session.to_owned()));
    }
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let payload = sign::hex(&sign::sha256(&request.body));
    let canonical = format!("{}\n{}\n\n{lines}\n{names}\n{payload}", request.method, url.path());

    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sign::hex(&sign::sha256(canonical.as_bytes())));
    let signature = sign::hex(&sign::hmac_sha256(&key(keys.secret, day, region, service), text.as_bytes()));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", keys.id);

    let mut request = request.header("X-Amz-Date", stamp).header("Authorization", authorization);
    if let Some(session) = keys.session {
        request = request.header("X-Amz-Security-Token", session);
    }
    Ok(request)
}

fn key(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let day = sign::hmac_sha256(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    let region = sign::hmac_sha256(&day, region.as_bytes());
    let service = sign::hmac_sha256(&region, service.as_bytes());
    sign::hmac_sha256(&service, b"aws4_request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_as_aws_documents_it() {
        let key = key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        assert_eq!(sign::hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[track_caller]
    fn check(session: Option<&str>, url: &str, names: &str, signature: &str) {
        let keys = Keys { id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session };
        let request = Request::post(url).bytes("application/json", r#"{"a":1}"#);
        let request = signed(request, &keys, "eu-west-1", "ses", 1_767_323_100).unwrap();
        assert_eq!(request.header_value("x-amz-date"), Some("20260102T030500Z"));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/ses/aws4_request, SignedHeaders={names}, Signature={signature}"
        );
        assert_eq!(request.header_value("authorization"), Some(authorization.as_str()));
        assert_eq!(request.header_value("x-amz-security-token"), session);
    }

    /// The signatures are those of another implementation.
    #[test]
    fn signatures() {
        let url = "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails";
        check(
            None,
            url,
            "content-type;host;x-amz-date",
            "f4d41aba4297efad042fbf1f8e1597e32417511cbf281191cf083e8da71b82df",
        );
        check(
            Some("sess=="),
            url,
            "content-type;host;x-amz-date;x-amz-security-token",
            "871fb63878dd39cdfd52000d7869e058606303f92ea8758644c108b064a38321",
        );
        check(
            None,
            "http://127.0.0.1:8080/v2/email/outbound-emails",
            "content-type;host;x-amz-date",
            "b1df5b8d30f51a6588f9015e92ceab4d06f8671925d9e65fd01fe45901669fbe",
        );
    }
}
