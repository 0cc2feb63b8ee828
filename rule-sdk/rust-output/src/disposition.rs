//! What came of an attempt, and how answers are usually read.

use crate::text::{Max, plain, shorten};
use crate::{Failure, FailureKind, Response};

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The service has it. The text says where, for people: a URL, an id.
    Delivered(Option<String>),
    /// Not now. [`retry`] makes one.
    Retry {
        reason: String,
        /// Seconds the service asks to wait; the host may wait longer.
        after: Option<u32>,
        /// What is done already, if the next attempt should go on from there.
        progress: Option<String>,
    },
    /// Never: the service refuses it, so that trying again is no use. The operator is told.
    Reject(String),
}

/// Not now, for this reason.
///
/// ```
/// # use streamalert_output_sdk::prelude::*;
/// assert_eq!(
///     retry("half of it is there").after(5).progress("1"),
///     Disposition::Retry { reason: "half of it is there".into(), after: Some(5), progress: Some("1".into()) },
/// );
/// ```
pub fn retry(reason: impl Into<String>) -> Disposition {
    Disposition::Retry { reason: reason.into(), after: None, progress: None }
}

impl Disposition {
    pub fn delivered(place: impl Into<String>) -> Self {
        Disposition::Delivered(Some(place.into()))
    }

    pub fn reject(reason: impl Into<String>) -> Self {
        Disposition::Reject(reason.into())
    }

    /// Seconds to wait, if it is a retry.
    pub fn after(mut self, seconds: impl Into<Option<u32>>) -> Self {
        if let Disposition::Retry { after, .. } = &mut self {
            *after = seconds.into();
        }
        self
    }

    /// What the next attempt finds in [`Parcel::progress`](crate::Parcel::progress), if it is a retry.
    pub fn progress(mut self, done: impl Into<String>) -> Self {
        if let Disposition::Retry { progress, .. } = &mut self {
            *progress = Some(done.into());
        }
        self
    }
}

/// The usual reading of an answer: 2xx is delivered; 408, 425, 429 and 5xx are tried again after what the service asks for;
/// so is a request that did not get through, unless it was forbidden; all else is refused for good.
pub fn answer(result: Result<Response, Failure>) -> Disposition {
    match accepted(result) {
        Ok(_) => Disposition::Delivered(None),
        Err(other) => other,
    }
}

/// The answer if it is 2xx, otherwise what [`answer`] makes of it: for outputs that go on from there.
///
/// ```
/// # use streamalert_output_sdk::prelude::*;
/// fn deliver(http: &dyn Http) -> Result<Disposition, Disposition> {
///     let answer = accepted(http.send(Request::post("https://api.example.com/issues")))?;
///     let id = answer.json().and_then(|json| Some(json["id"].as_str()?.to_owned()));
///     let id = id.ok_or_else(|| Disposition::reject("the service gave no id"))?;
///     accepted(http.send(Request::post(format!("https://api.example.com/issues/{}/watch", percent(&id)))))?;
///     Ok(Disposition::delivered(id))
/// }
/// let http = FakeHttp::new().json(201, json!({"id": "A-1"})).answer(204, "");
/// assert_eq!(deliver(&http).unwrap_or_else(|other| other), Disposition::delivered("A-1"));
/// ```
pub fn accepted(result: Result<Response, Failure>) -> Result<Response, Disposition> {
    match result {
        Ok(response) if response.is_success() => Ok(response),
        Ok(response) => Err(refused(&response)),
        Err(failure) if failure.kind == FailureKind::Forbidden => Err(Disposition::Reject(failure.message)),
        Err(failure) => Err(retry(failure.message)),
    }
}

fn refused(response: &Response) -> Disposition {
    let reason = reason(response);
    match response.status {
        408 | 425 | 429 | 500.. => retry(reason).after(response.retry_after()),
        _ => Disposition::Reject(reason),
    }
}

/// Characters of an answer's body that go into a reason.
const BODY_SHOWN: usize = 300;

fn reason(response: &Response) -> String {
    // Of a large body only the beginning is looked at.
    let body = &response.body[..response.body.len().min(4 * BODY_SHOWN)];
    let body = plain(&String::from_utf8_lossy(body));
    let body = shorten(body.trim(), Max::Chars(BODY_SHOWN));
    let status = match phrase(response.status) {
        "" => response.status.to_string(),
        phrase => format!("{} {phrase}", response.status),
    };
    match &*body {
        "" => format!("answered {status}"),
        body => format!("answered {status}: {body}"),
    }
}

/// What people know a status by; of those that outputs meet.
fn phrase(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: Disposition) {
        let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
        let response = Response { status, headers, body: body.into(), truncated: false };
        assert_eq!(answer(Ok(response)), expected, "{status}");
    }

    #[test]
    fn answers_are_read_by_their_status() {
        check(200, "ok", Disposition::Delivered(None));
        check(204, "", Disposition::Delivered(None));
        check(429, "slow\u{1b}[2J down\r\n", retry("answered 429 Too Many Requests: slow[2J down").after(7));
        check(408, "", retry("answered 408 Request Timeout").after(7));
        check(503, " ", retry("answered 503 Service Unavailable").after(7));
        check(599, "", retry("answered 599").after(7));
        check(404, "no_such\nchannel", Disposition::reject("answered 404 Not Found: no_such channel"));
        check(302, "", Disposition::reject("answered 302 Found"));
        check(101, "", Disposition::reject("answered 101"));
        let long = "ä".repeat(5000);
        check(400, &long, Disposition::reject(format!("answered 400 Bad Request: {}…", "ä".repeat(299))));
    }

    #[test]
    fn what_did_not_get_through_is_tried_again_unless_it_may_not() {
        let fail = |kind| answer(Err(Failure { kind, message: "no".into(), sent: false }));
        assert_eq!(fail(FailureKind::Forbidden), Disposition::reject("no"));
        for kind in [FailureKind::Unreachable, FailureKind::Tls, FailureKind::Timeout, FailureKind::Broken] {
            assert_eq!(fail(kind), retry("no"));
        }
    }

    #[test]
    fn progress_belongs_to_retries() {
        assert_eq!(Disposition::Delivered(None).progress("x").after(1), Disposition::Delivered(None));
        assert_eq!(Disposition::reject("a").progress("x"), Disposition::reject("a"));
    }
}
