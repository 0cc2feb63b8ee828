//! A service that answers from a script, for tests.

use crate::{Failure, FailureKind, Http, Request, Response};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;

/// Answers requests in turn and remembers them. A request beyond the script fails the test.
///
/// ```
/// # use streamalert_output_sdk::prelude::*;
/// let http = FakeHttp::new().json(200, json!({"ok": true})).fail(FailureKind::Timeout);
/// assert!(http.send(Request::get("https://a.example")).is_ok());
/// assert!(http.send(Request::get("https://a.example")).is_err());
/// assert_eq!(http.requests().len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct FakeHttp {
    script: RefCell<VecDeque<Result<Response, Failure>>>,
    requests: RefCell<Vec<Request>>,
}

impl FakeHttp {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answer.
    pub fn answer(self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.then(Ok(Response { status, body: body.into(), ..Response::default() }))
    }

    /// The next answer, with JSON in it.
    pub fn json(self, status: u16, body: Value) -> Self {
        self.answer(status, body.to_string()).header("Content-Type", "application/json")
    }

    /// A header of the answer before.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match self.script.get_mut().back_mut() {
            Some(Ok(response)) => response.headers.push((name.into(), value.into())),
            _ => panic!("there is no answer to put the header {name} into"),
        }
        self
    }

    /// The next request does not get through.
    pub fn fail(self, kind: FailureKind) -> Self {
        let message = match kind {
            FailureKind::Forbidden => "the host is not permitted",
            FailureKind::Unreachable => "connection refused",
            FailureKind::Tls => "the certificate does not hold",
            FailureKind::Timeout => "the time for the delivery is up",
            FailureKind::Broken => "the connection broke",
        };
        let sent = matches!(kind, FailureKind::Timeout | FailureKind::Broken);
        self.then(Err(Failure { kind, message: message.into(), sent }))
    }

    /// The next outcome, whatever it is.
    pub fn then(mut self, outcome: Result<Response, Failure>) -> Self {
        self.script.get_mut().push_back(outcome);
        self
    }

    /// What was sent so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// How many answers nobody has asked for yet.
    pub fn left(&self) -> usize {
        self.script.borrow().len()
    }
}

impl Http for FakeHttp {
    #[track_caller]
    fn send(&self, request: Request) -> Result<Response, Failure> {
        let outcome = self.script.borrow_mut().pop_front();
        self.requests.borrow_mut().push(request);
        match outcome {
            Some(outcome) => outcome,
            None => panic!("request {} has no answer in the script", self.requests.borrow().len()),
        }
    }
}
