//! The HTTP door: logs are posted, and answered when what came of them is on disk.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/logs`, `POST /` | 200 and what became of the records; 413 too large; 415 other compression; 503 busy, try again |
//! | `GET /healthz` | 200 while logs are taken |
//! | `GET /metrics` | counters as Prometheus text |

use crate::clock::millis;
use crate::input::DeclaredSource;
use crate::runner::{Door, Receipt, Refused};
use crate::stop::Stop;
use crate::tally::Tally;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::io::{self, Cursor, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use streamalert_delivery::Post;
use streamalert_intake::{Piece, Pieces};
use streamalert_pipeline::backend::AlertDesk;
use streamalert_pipeline::classifier::Framing;
use streamalert_pipeline::log_record::{Source, short_id};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

/// Bytes of one body as it is sent. Shippers send batches of a few megabytes.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// Bytes of one body unpacked; more is a bomb or a file, and files have a door of their own.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 20;
/// Requests read and judged at a time. At their largest, all of them together hold 1.5 GB; more of them would only wait for
/// the same workers.
pub const REQUESTS_MAX: usize = 16;
/// How long a full queue is waited for before the sender is asked to come again.
const QUEUE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// What a sender who is turned away is told to wait.
const RETRY_AFTER_SECONDS: &str = "2";
/// How long a connection may linger after everything is stored and answered: one that says nothing must not hold us.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 256;

#[derive(Clone)]
pub struct HttpDoor {
    pub door: Door,
    pub declared: Option<DeclaredSource>,
    pub total: Arc<Mutex<Tally>>,
    pub stop: Stop,
    /// Whose figures are told, too.
    deliveries: Option<(Arc<Post>, Arc<dyn AlertDesk>)>,
    /// What else is told, as text.
    more: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    /// Requests under way.
    permits: Arc<Semaphore>,
}

impl HttpDoor {
    pub fn new(door: Door, declared: Option<DeclaredSource>, total: Arc<Mutex<Tally>>, stop: Stop) -> Self {
        HttpDoor {
            door,
            declared,
            total,
            stop,
            deliveries: None,
            more: None,
            permits: Arc::new(Semaphore::new(REQUESTS_MAX)),
        }
    }

    /// `GET /metrics` tells of deliveries, too.
    pub fn with_deliveries(mut self, post: Arc<Post>, desk: Arc<dyn AlertDesk>) -> Self {
        self.deliveries = Some((post, desk));
        self
    }

    /// `GET /metrics` tells of this, too.
    pub fn with_more(mut self, more: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        self.more = Some(more);
        self
    }

    /// Serves until somebody asks to stop; requests under way are answered first.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let (stop, permits) = (self.stop.clone(), self.permits.clone());
        let router = Router::new()
            .route("/v1/logs", post(logs))
            .route("/", post(logs))
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics))
            .with_state(self);
        let drained = async {
            stop.requested().await;
            // All permits back: every request that was taken is answered.
            let _ = permits.acquire_many(REQUESTS_MAX as u32).await;
            tokio::time::sleep(CLOSE_PATIENCE).await;
        };
        let closing = stop.clone();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move { closing.requested().await });
        tokio::select! {
            served = serve.into_future() => served,
            () = drained => Ok(()),
        }
    }
}

pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("listen on {address}: {error}")))
}

async fn healthz(State(http): State<HttpDoor>) -> Response {
    match http.stop.is_requested() {
        false => (StatusCode::OK, "ok\n").into_response(),
        true => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}

async fn metrics(State(http): State<HttpDoor>) -> Response {
    let mut text = http.total.lock().unwrap_or_else(PoisonError::into_inner).metrics();
    if let Some((post, desk)) = http.deliveries.clone() {
        // Counting what is owed reads the disk.
        let told =
            tokio::task::spawn_blocking(move || post.metrics.text(&desk.backlog().unwrap_or_default(), millis()));
        text += &told.await.unwrap_or_default();
    }
    if let Some(more) = http.more.clone() {
        // It reads the disk, too.
        text += &tokio::task::spawn_blocking(move || more()).await.unwrap_or_default();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Why a request is not taken.
struct Turned {
    status: StatusCode,
    message: String,
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.message }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}

fn turned(status: StatusCode, message: impl Into<String>) -> Turned {
    Turned { status, message: message.into() }
}

async fn logs(State(http): State<HttpDoor>, request: Request) -> Result<Response, Turned> {
    let busy = || turned(StatusCode::SERVICE_UNAVAILABLE, "too many requests under way; send it again later");
    // Before the body is read: who waits for nothing holds no memory.
    let permit = http.permits.clone().try_acquire_owned().map_err(|_| busy())?;
    if http.stop.is_requested() {
        return Err(turned(StatusCode::SERVICE_UNAVAILABLE, "stopping; send it again later"));
    }
    let (parts, body) = request.into_parts();
    let compressed = encoding(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let bytes = body_bytes(&parts.headers, body).await?;
    let (service, resource) = match &http.declared {
        Some(declared) => (declared.service.clone(), declared.resource.clone()),
        None => ("http".to_owned(), parts.uri.path().to_owned()),
    };
    let (stored, answer) = oneshot::channel();
    let door = http.door.clone();
    // Unpacking takes a core and waiting for the queue blocks.
    let fed = tokio::task::spawn_blocking(move || {
        if compressed && !bytes.is_empty() && !bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(turned(StatusCode::BAD_REQUEST, "Content-Encoding is gzip, the body is not"));
        }
        let object = key.unwrap_or_else(|| format!("sha256:{}", short_id(&Sha256::digest(&bytes))));
        let source = Arc::new(Source::new(service, resource, object));
        let pieces = unpack(Pieces::new(source, Cursor::new(&bytes), Framing::default()).framed_by(door.frames()))?;
        let receipt = Receipt::new(move |tally| {
            // Nobody listens any more if the client is gone; the results are stored all the same.
            let _ = stored.send(tally);
        });
        for piece in pieces {
            let sent = match piece {
                Piece::Payload(payload) => door.payload(payload, &receipt, Some(QUEUE_PATIENCE)),
                Piece::Dead(letter) => door.dead(*letter, &receipt, Some(QUEUE_PATIENCE)),
                Piece::Skip(skip) => door.skip(skip, &receipt, Some(QUEUE_PATIENCE)),
            };
            sent.map_err(|refused| match refused {
                Refused::Full => turned(StatusCode::SERVICE_UNAVAILABLE, "the queue is full; send it again later"),
                Refused::Closed => turned(StatusCode::SERVICE_UNAVAILABLE, "stopping; send it again later"),
            })?;
        }
        receipt.whole();
        Ok(())
    });
    fed.await.map_err(|error| turned(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??;
    let tally = answer
        .await
        .map_err(|_| turned(StatusCode::SERVICE_UNAVAILABLE, "the results could not be stored; send it again later"))?;
    drop(permit);
    Ok(([(header::CONTENT_TYPE, "application/json")], answer_text(&tally)).into_response())
}

fn answer_text(tally: &Tally) -> String {
    let answer = json!({
        "records": tally.records(),
        "classified": tally.classified_records(),
        "skipped": tally.skipped,
        "dead": tally.dead_letters(),
        "alerts": tally.new_alerts(),
        "known_alerts": tally.known_alerts(),
        "faults": tally.faults(),
    });
    format!("{answer}\n")
}

/// Whether the body says it is gzip. Gzip that does not say so is recognised too.
fn encoding(headers: &HeaderMap) -> Result<bool, Turned> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => Err(turned(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding {} is not known; use gzip or none", String::from_utf8_lossy(other)),
        )),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Turned> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(turned(
            StatusCode::BAD_REQUEST,
            format!("an Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters"),
        )),
    }
}

async fn body_bytes(headers: &HeaderMap, body: Body) -> Result<Bytes, Turned> {
    let too_large = || {
        turned(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {BODY_BYTES_MAX} bytes; send smaller batches"),
        )
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let mut cause: &dyn std::error::Error = &error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            // The limit's own error type is not axum's to name.
            if cause.to_string().contains("length limit") {
                Err(too_large())
            } else {
                Err(turned(StatusCode::BAD_REQUEST, format!("the body did not arrive: {cause}")))
            }
        }
        Err(_) => Err(turned(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    }
}

/// All of it before any of it is handed on, so that a body that is too large is turned away whole.
fn unpack(mut pieces: Pieces<impl Read>) -> Result<Vec<Piece>, Turned> {
    let mut unpacked = 0;
    let mut all = Vec::new();
    loop {
        let piece = pieces.read_piece().map_err(|error| turned(StatusCode::BAD_REQUEST, error.to_string()))?;
        let Some(piece) = piece else { return Ok(all) };
        unpacked += match &piece {
            Piece::Payload(payload) => payload.bytes.len() as u64,
            Piece::Dead(letter) => letter.position.length,
            Piece::Skip(_) => 0,
        };
        if unpacked > UNPACKED_BYTES_MAX {
            return Err(turned(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body unpacks to more than {UNPACKED_BYTES_MAX} bytes; send smaller batches"),
            ));
        }
        all.push(piece);
    }
}
