//! Calls of Alibaba Cloud's RPC style, signed as its documentation has it: "Request syntax and signature method V2 for RPC APIs".

use streamalert_app_sdk::prelude::*;

/// Seconds to wait when requests are limited: limits are counted by the second, but others use them too.
const LIMITED: u32 = 10;

pub enum Answer {
    Good(Response),
    /// The token of the page is none any more.
    TokenIsGone,
}

/// `now` is the service's, as far as it is known.
pub fn call(ask: &Ask, http: &dyn Http, now: i64, parameters: &[(&str, String)]) -> Result<Answer, Stop> {
    let mut answer = http.send(request(ask, now, parameters));
    // A time that is not its own is refused after some minutes; the answer says what its own is.
    if let Ok(refused) = &answer
        && code(refused).contains("TimeStamp")
        && let Some(theirs) = time::date(refused).filter(|theirs| theirs.abs_diff(now) > 30)
    {
        answer = http.send(request(ask, theirs, parameters));
    }
    let Ok(told) = &answer else { return fetched(answer).map(Answer::Good) };
    if told.is_success() {
        return fetched(answer).map(Answer::Good);
    }
    let code = code(told);
    // The text that was signed is in the message about a signature.
    let message = told.json().and_then(|json| json["Message"].as_str().map(str::to_owned)).unwrap_or_default();
    let message = if code.starts_with("Signature") { "" } else { message.as_str() };
    let has_token = parameters.iter().any(|(name, _)| *name == "NextToken");
    match code.as_str() {
        _ if told.status == 429 || code.starts_with("Throttling") => {
            Err(retry("ActionTrail's limit of requests is reached").after(told.retry_after().unwrap_or(LIMITED)))
        }
        "SignatureNonceUsed" => Err(retry("ActionTrail has seen a request like this one").after(1)),
        "ServiceUnavailable" | "InternalError" => {
            Err(retry(format!("ActionTrail answers {code}")).after(told.retry_after()))
        }
        _ if has_token && code.contains("NextToken") => Ok(Answer::TokenIsGone),
        _ if code.starts_with("InvalidAccessKeyId")
            || code.starts_with("Signature")
            || code == "IncompleteSignature" =>
        {
            Err(reject(format!(
                "Alibaba Cloud refuses the access key ({} {code}): is `access_key_id` active, and `access_key_secret` its secret?",
                told.status
            )))
        }
        _ if code.starts_with("NoPermission") || code.starts_with("Forbidden") || told.status == 403 => {
            Err(reject(format!(
                "the RAM user may not read the events ({} {code}: {message}): attach a policy that allows `actiontrail:LookupEvents`",
                told.status
            )))
        }
        _ if !code.is_empty() && told.status < 500 => {
            Err(reject(format!("ActionTrail answers {} {code}: {message}", told.status)))
        }
        _ => fetched(answer).map(Answer::Good),
    }
}

fn code(answer: &Response) -> String {
    if answer.is_success() {
        return String::new();
    }
    answer.json().and_then(|json| json["Code"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn request(ask: &Ask, now: i64, parameters: &[(&str, String)]) -> Request {
    let base = match ask.setting("url") {
        Some(_) => ask.base("url"),
        None => format!("https://actiontrail.{}.aliyuncs.com", ask.required("region_id")),
    };
    let secret = ask.required("access_key_secret");
    let mut all = parameters.to_vec();
    all.extend([
        ("AccessKeyId", ask.required("access_key_id").to_owned()),
        ("Format", "JSON".to_owned()),
        ("RegionId", ask.required("region_id").to_owned()),
        ("SignatureMethod", "HMAC-SHA1".to_owned()),
        ("SignatureVersion", "1.0".to_owned()),
        ("Timestamp", time::rfc3339(now)),
    ]);
    // To be another one for each request. There is no chance here, but no two requests of one second are the same and first tries.
    let unique = format!("{} {now} {} {all:?}", ask.now, ask.attempt);
    let nonce = sign::hex(&sign::hmac_sha256(secret.as_bytes(), unique.as_bytes()));
    all.push(("SignatureNonce", nonce[..32].to_owned()));
    all.sort();
    let query: Vec<String> = all.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
    let query = query.join("&");
    let signature = signature(secret, "GET", &query);
    Request::get(format!("{base}/?Signature={}&{query}", percent(&signature)))
}

pub fn signature(secret: &str, method: &str, query: &str) -> String {
    let text = format!("{method}&%2F&{}", percent(query));
    sign::base64(&sign::hmac_sha1(format!("{secret}&").as_bytes(), text.as_bytes()))
}
