//! The way out: HTTP requests that plugins ask for, to hosts that the operator permits, and to no other place.
//!
//! | file | its question |
//! |---|---|
//! | [`policy`] | which hosts may be called |
//! | `address` | which addresses may be connected to, whatever name led there |
//! | `request` | is this a request, and may it be sent |
//! | `connect` | how is a connection made, and when is one used again |
//! | `exchange` | how does a request become an answer, over redirects |
//! | [`world`] | what may an output do, by its own word and the operator's |
//!
//! ```no_run
//! use std::time::Instant;
//! use streamalert_egress::{Egress, HostRule, Policy};
//! use streamalert_pipeline::plugin::HttpRequest;
//!
//! let egress = Egress::new()?;
//! let policy = Policy::new(vec![HostRule::parse("api.example.com").unwrap()]);
//! let request = HttpRequest {
//!     method: "GET".into(),
//!     url: "https://api.example.com/".into(),
//!     headers: vec![],
//!     body: vec![],
//! };
//! let answer = egress.send(&policy, Instant::now() + policy.time_limit, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod connect;
mod exchange;
pub mod policy;
mod request;
pub mod world;

pub use connect::{Resolve, SystemResolver};
pub use policy::{HostRule, Policy};

use connect::Connector;
use exchange::Progress;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{HttpFailure, HttpFailureKind as Kind, HttpRequest, HttpResponse};
use tokio::runtime::Runtime;

/// Threads that move bytes; answers are small and rare.
const THREADS: usize = 2;
/// Threads that wait for the system's resolver, which has no other way of being asked. Each may be held for as long as that
/// likes to wait.
const RESOLVING_THREADS: usize = 16;

/// What sends requests. One for all outputs: they share its connections.
pub struct Egress {
    connector: Arc<Connector>,
    /// Always there but while it is dropped.
    runtime: Option<Runtime>,
}

/// What an [`Egress`] is made of.
pub struct Config {
    /// Certificates of authorities that are trusted beside those of Mozilla's list, as PEM.
    pub ca: Vec<u8>,
    /// Where addresses of names come from.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for Config {
    fn default() -> Self {
        Config { ca: Vec::new(), resolver: Arc::new(SystemResolver) }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("start the threads that send requests")]
    Threads(#[source] std::io::Error),
    #[error("the certificates of authorities are no PEM: {0}")]
    Pem(String),
    #[error("there is no certificate among those of authorities")]
    NoCertificate,
    #[error("a certificate of an authority cannot be used: {0}")]
    Certificate(String),
    #[error("set up TLS: {0}")]
    Tls(String),
}

impl Egress {
    pub fn new() -> Result<Self, EgressError> {
        Self::with(Config::default())
    }

    /// With certificates of authorities of the operator's own, as PEM.
    pub fn with_ca(pem: &[u8]) -> Result<Self, EgressError> {
        if pem.trim_ascii().is_empty() {
            return Err(EgressError::NoCertificate);
        }
        Self::with(Config { ca: pem.to_vec(), ..Config::default() })
    }

    pub fn with(config: Config) -> Result<Self, EgressError> {
        let connector = Connector::new(&config.ca, config.resolver)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(RESOLVING_THREADS)
            .thread_name("egress")
            .enable_io()
            .enable_time()
            .build()
            .map_err(EgressError::Threads)?;
        Ok(Egress { connector: Arc::new(connector), runtime: Some(runtime) })
    }

    /// Sends a request and waits for the answer, until `deadline` at most and no longer than the policy's time limit. Blocks:
    /// call it from a thread that may.
    pub fn send(&self, policy: &Policy, deadline: Instant, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let deadline = deadline.min(Instant::now() + policy.time_limit);
        let request = request::check(policy, request)?;
        let progress = Arc::new(Progress::new(request.target.host()));
        if deadline <= Instant::now() {
            return Err(progress.timeout());
        }
        let runtime = self.runtime.as_ref().expect("it is taken only when the egress is dropped");
        let (to, from) = mpsc::sync_channel(1);
        let (connector, policy, watch) = (self.connector.clone(), policy.clone(), progress.clone());
        runtime.spawn(async move {
            let work = exchange::run(&connector, &policy, request, &watch);
            let outcome = tokio::time::timeout_at(deadline.into(), work).await;
            let _ = to.send(outcome.unwrap_or_else(|_| Err(watch.timeout())));
        });
        // The task ends by itself at the deadline; this is for a machine that is too busy to say so.
        let patience = deadline.saturating_duration_since(Instant::now()) + GRACE;
        from.recv_timeout(patience).unwrap_or_else(|error| match error {
            mpsc::RecvTimeoutError::Timeout => Err(progress.timeout()),
            mpsc::RecvTimeoutError::Disconnected => {
                Err(progress.failure(Kind::Broken, "the host failed while it sent"))
            }
        })
    }
}

/// How much later than the deadline an answer may be known.
const GRACE: Duration = Duration::from_secs(5);

impl Drop for Egress {
    fn drop(&mut self) {
        // Without waiting for what resolves a name.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
