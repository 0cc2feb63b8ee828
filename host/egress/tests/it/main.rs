//! Requests against servers on this machine, which answer as good ones do, and as bad ones do.

mod addresses;
mod answers;
mod connections;
mod redirects;
mod servers;
mod tls;

use servers::{Server, policy};
use std::time::{Duration, Instant};
use streamalert_egress::{Egress, Policy};
use streamalert_pipeline::plugin::{HttpFailure, HttpFailureKind, HttpRequest, HttpResponse};

fn get(url: impl Into<String>) -> HttpRequest {
    HttpRequest { method: "GET".into(), url: url.into(), headers: vec![], body: vec![] }
}

fn post(url: impl Into<String>, body: &[u8]) -> HttpRequest {
    HttpRequest { method: "POST".into(), body: body.to_vec(), ..get(url) }
}

fn with(mut request: HttpRequest, name: &str, value: &str) -> HttpRequest {
    request.headers.push((name.into(), value.into()));
    request
}

/// Sends with plenty of time.
fn send(policy: &Policy, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
    Egress::new().unwrap().send(policy, Instant::now() + Duration::from_secs(20), request)
}

#[track_caller]
fn ok(result: Result<HttpResponse, HttpFailure>) -> (u16, String) {
    let response = result.unwrap();
    (response.status, String::from_utf8(response.body).unwrap())
}

/// Failed so; the message names nothing that may be a secret.
#[track_caller]
fn failed(result: Result<HttpResponse, HttpFailure>, kind: HttpFailureKind, sent: bool, message: &str) {
    let failure = result.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (kind, sent), "{failure:?}");
    assert!(failure.message.contains(message), "expected {message:?}, found {:?}", failure.message);
    assert!(!failure.message.contains("s3cret"), "{failure:?}");
}
