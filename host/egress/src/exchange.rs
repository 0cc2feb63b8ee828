//! From a request to an answer, over redirects.

use crate::connect::{Connection, Connector};
use crate::policy::Policy;
use crate::request::{Checked, Target, parse, target};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use streamalert_pipeline::plugin::{HttpFailure, HttpFailureKind as Kind, HttpResponse};

/// Redirects that are followed. Services have one or two.
const REDIRECTS_MAX: usize = 5;

/// How far a request has come, for whoever has to say why there is no answer.
pub struct Progress {
    /// A service may have seen it.
    sent: AtomicBool,
    /// Who is being asked.
    host: Mutex<String>,
}

impl Progress {
    pub fn new(host: &str) -> Self {
        Progress { sent: AtomicBool::new(false), host: Mutex::new(host.to_owned()) }
    }

    fn ask(&self, host: &str) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = host.to_owned();
    }

    pub fn failure(&self, kind: Kind, message: impl Into<String>) -> HttpFailure {
        HttpFailure { kind, message: message.into(), sent: self.sent.load(Ordering::Relaxed) }
    }

    pub fn timeout(&self) -> HttpFailure {
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.failure(Kind::Timeout, format!("no answer from {host} within the time for the delivery"))
    }
}

/// Headers that go along to another origin.
const ELSEWHERE: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
];

/// The last answer.
pub async fn run(
    connector: &Connector,
    policy: &Policy,
    mut request: Checked,
    progress: &Progress,
) -> Result<HttpResponse, HttpFailure> {
    let mut redirects = 0;
    let mut last: Option<HttpResponse> = None;
    loop {
        progress.ask(request.target.host());
        let answer = match once(connector, policy, &request, progress).await {
            // Where an answer redirects to may turn out to be forbidden only now: then that was the last answer.
            Err(failure) if failure.kind == Kind::Forbidden && last.is_some() => break,
            other => other?,
        };
        let next = if redirects < REDIRECTS_MAX { next(policy, &request, &answer) } else { None };
        last = Some(answer);
        let Some(next) = next else { break };
        redirects += 1;
        if next.origin != request.target.origin {
            // Credentials have headers of any name.
            let kept = ELSEWHERE.into_iter().filter_map(|name| Some((request.headers.get(&name)?.clone(), name)));
            request.headers = kept.map(|(value, name)| (name, value)).collect();
        }
        request.target = next;
    }
    // Each round but the first begins with an answer, and the first one ends with one or returns.
    last.ok_or_else(|| progress.failure(Kind::Broken, "there is no answer"))
}

/// Where the answer redirects to, if it does, may, and may be followed.
fn next(policy: &Policy, request: &Checked, answer: &HttpResponse) -> Option<Target> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    match answer.status {
        307 | 308 => {}
        301..=303 if reads => {}
        _ => return None,
    }
    let (_, location) = answer.headers.iter().find(|(name, _)| name == "location")?;
    let url = request.target.url.join(location).ok()?;
    // The same checks again: joining mends in silence what a request must not hold.
    if location.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return None;
    }
    parse(url.as_str()).ok()?;
    target(policy, &url).ok()
}

/// One request, one answer.
async fn once(
    connector: &Connector,
    policy: &Policy,
    request: &Checked,
    progress: &Progress,
) -> Result<HttpResponse, HttpFailure> {
    let target = &request.target;
    loop {
        let waiting = connector.take(target, policy);
        let fresh = waiting.is_none();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => connector.connect(target, policy, progress).await?,
        };
        let before = progress.sent.swap(true, Ordering::Relaxed);
        match send(&mut connection, request).await {
            Ok(response) => return read(connector, policy, target, connection, response, progress).await,
            Err(Unanswered::NotSent) => {
                progress.sent.store(before, Ordering::Relaxed);
                if fresh {
                    return Err(
                        progress.failure(Kind::Broken, format!("{} closed the connection at once", target.host()))
                    );
                }
                // It was closed while it waited: the next one, or a new one.
            }
            Err(Unanswered::Broken(error)) => return Err(broken(&error, target, progress)),
        }
    }
}

/// Why there is no answer.
enum Unanswered {
    /// Nothing of the request has left.
    NotSent,
    Broken(hyper::Error),
}

impl From<TrySendError<Request<Full<Bytes>>>> for Unanswered {
    fn from(mut error: TrySendError<Request<Full<Bytes>>>) -> Self {
        match error.take_message() {
            Some(_) => Unanswered::NotSent,
            None => Unanswered::Broken(error.into_error()),
        }
    }
}

async fn send(connection: &mut Connection, request: &Checked) -> Result<Response<Incoming>, Unanswered> {
    let target = &request.target;
    match connection {
        Connection::One(sender) => {
            sender.ready().await.map_err(|_| Unanswered::NotSent)?;
            let mut headers = request.headers.clone();
            if let Ok(host) = HeaderValue::from_str(&target.authority()) {
                headers.insert(header::HOST, host);
            }
            let request = build(request, headers, &target.path())?;
            Ok(sender.try_send_request(request).await?)
        }
        Connection::Two(sender) => {
            sender.ready().await.map_err(|_| Unanswered::NotSent)?;
            let request = build(request, request.headers.clone(), target.url.as_str())?;
            Ok(sender.try_send_request(request).await?)
        }
    }
}

fn build(request: &Checked, headers: HeaderMap, uri: &str) -> Result<Request<Full<Bytes>>, Unanswered> {
    let built = Request::builder().method(&request.method).uri(uri).body(Full::new(request.body.clone()));
    let mut built = built.map_err(|_| Unanswered::NotSent)?;
    *built.headers_mut() = headers;
    Ok(built)
}

/// Reads the answer, up to what the policy allows.
async fn read(
    connector: &Connector,
    policy: &Policy,
    target: &Target,
    connection: Connection,
    response: Response<Incoming>,
    progress: &Progress,
) -> Result<HttpResponse, HttpFailure> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    let mut truncated = false;
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error, target, progress))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = policy.response_bytes - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            truncated = true;
            break;
        }
    }
    if !truncated && parts.status != StatusCode::SWITCHING_PROTOCOLS {
        connector.put(target, policy, connection);
    }
    let header = |(name, value): (&header::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = parts.headers.iter().map(header).collect();
    Ok(HttpResponse { status: parts.status.as_u16(), headers, body, truncated })
}

fn broken(error: &hyper::Error, target: &Target, progress: &Progress) -> HttpFailure {
    let host = target.host();
    let message = if error.is_parse_too_large() {
        format!("{host} answered with headers that are too large")
    } else if error.is_parse() {
        format!("{host} answered with something that is no HTTP")
    } else if error.is_incomplete_message() {
        format!("{host} closed the connection before its answer was complete")
    } else {
        format!("the connection to {host} broke")
    };
    progress.failure(Kind::Broken, message)
}
