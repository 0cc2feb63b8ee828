//! What a poll comes to, and how answers are usually read.

use crate::{Failure, FailureKind, Log, Response};
use serde::Serialize;
use streamalert_output_sdk::Disposition;

/// Logs, and where the next poll begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// A JSON object each.
    pub logs: Vec<String>,
    pub cursor: String,
    /// There is more right now.
    pub more: bool,
    /// Seconds until the next request may be made.
    pub wait: Option<u32>,
}

/// A page with these logs; what else there is to say is said behind it.
pub fn page(logs: impl IntoIterator<Item = Log>) -> Page {
    Page { logs: logs.into_iter().map(Log::into_json).collect(), ..Page::default() }
}

impl Page {
    /// Where the next poll begins; [`Ask::cursor`](crate::Ask::cursor) reads it.
    pub fn cursor(mut self, cursor: &impl Serialize) -> Self {
        self.cursor = serde_json::to_string(cursor).expect("what the app keeps is JSON");
        self
    }

    /// Whether there is more right now.
    pub fn more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }

    /// Seconds until the next request may be made.
    pub fn wait(mut self, seconds: impl Into<Option<u32>>) -> Self {
        self.wait = seconds.into();
        self
    }
}

/// Why there is no page. The cursor stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Not now. [`retry`] makes one.
    Retry {
        reason: String,
        /// Seconds the service asks to wait.
        after: Option<u32>,
    },
    /// Not as it is: credentials or settings are refused. [`reject`] makes one.
    Reject(String),
}

/// Not now, for this reason.
pub fn retry(reason: impl Into<String>) -> Stop {
    Stop::Retry { reason: reason.into(), after: None }
}

/// Not as it is, for this reason: the operator is told.
pub fn reject(reason: impl Into<String>) -> Stop {
    Stop::Reject(reason.into())
}

impl Stop {
    /// Seconds to wait, if it is a retry.
    pub fn after(mut self, seconds: impl Into<Option<u32>>) -> Self {
        if let Stop::Retry { after, .. } = &mut self {
            *after = seconds.into();
        }
        self
    }
}

/// The answer, if it is 2xx and whole. 408, 425, 429, 5xx and what did not get through are tried again, after what `Retry-After`
/// says; all else is refused, with the status and the beginning of the body.
pub fn fetched(result: Result<Response, Failure>) -> Result<Response, Stop> {
    match result {
        Ok(response) if response.truncated => Err(reject(format!(
            "the answer is larger than {} bytes: raise `response_bytes` of the app in apps.json",
            response.body.len()
        ))),
        Err(failure) if failure.kind == FailureKind::Forbidden => Err(reject(failure.message)),
        other => streamalert_output_sdk::accepted(other).map_err(|disposition| match disposition {
            Disposition::Retry { reason, after, .. } => Stop::Retry { reason, after },
            Disposition::Reject(reason) => Stop::Reject(reason),
            Disposition::Delivered(_) => unreachable!("what is accepted is no error"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, expected: Result<u16, Stop>) {
        let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
        let response = Response { status, headers, body: b"no".into(), truncated: false };
        assert_eq!(fetched(Ok(response)).map(|response| response.status), expected, "{status}");
    }

    #[test]
    fn answers_are_read_by_their_status() {
        check(200, Ok(200));
        check(429, Err(retry("answered 429 Too Many Requests: no").after(7)));
        check(503, Err(retry("answered 503 Service Unavailable: no").after(7)));
        check(401, Err(reject("answered 401 Unauthorized: no")));
        let cut = Response { status: 200, body: vec![0; 9], truncated: true, ..Response::default() };
        let Err(Stop::Reject(reason)) = fetched(Ok(cut)) else { panic!("it was taken") };
        assert!(reason.contains("larger than 9 bytes: raise `response_bytes`"), "{reason}");
        for (kind, again) in [(FailureKind::Forbidden, false), (FailureKind::Timeout, true), (FailureKind::Tls, true)] {
            let stop = fetched(Err(Failure { kind, message: "no".into(), sent: false })).unwrap_err();
            assert_eq!(matches!(stop, Stop::Retry { .. }), again, "{kind:?}");
        }
    }
}
