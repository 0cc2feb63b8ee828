//! Connections: to an address that was checked, over TLS whose certificate holds, and used again while they are warm.

use crate::EgressError;
use crate::exchange::Progress;
use crate::policy::Policy;
use crate::request::{Origin, Target, permitted, unreachable_by_rule};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{HttpFailure, HttpFailureKind as Kind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection is kept that nobody uses. Node.js closes after 5 s; to write into one that is being closed would leave
/// open whether the service has seen the request.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Connections that wait for each origin, and in all.
const WAITING_PER_ORIGIN: usize = 8;
const WAITING_MAX: usize = 128;
/// How long one address of several may take to answer, before the next is tried.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 6;
/// Bytes of an answer's headers: what servers send, ten times.
const HEADER_BYTES_MAX: usize = 128 << 10;
const HEADERS_MAX: usize = 200;
/// Bytes of what TLS has to say about a failure.
const REASON_BYTES_MAX: usize = 200;

/// Where addresses of names come from.
pub trait Resolve: Send + Sync {
    /// May block.
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own way, `/etc/hosts` included.
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
    }
}

/// Makes connections and keeps them.
pub struct Connector {
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
    waiting: Mutex<HashMap<Key, Vec<Waiting>>>,
}

/// A connection that was allowed into a private network serves only those who are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    private_networks: bool,
}

struct Waiting {
    connection: Connection,
    since: Instant,
}

pub enum Connection {
    /// HTTP/1.1: one request after the other.
    One(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2: any number at a time.
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    fn is_closed(&self) -> bool {
        match self {
            Connection::One(sender) => sender.is_closed(),
            Connection::Two(sender) => sender.is_closed(),
        }
    }
}

impl Connector {
    pub fn new(ca: &[u8], resolver: Arc<dyn Resolve>) -> Result<Self, EgressError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if !ca.trim_ascii().is_empty() {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(ca) {
                let certificate = certificate.map_err(|error| EgressError::Pem(error.to_string()))?;
                roots.add(certificate).map_err(|error| EgressError::Certificate(error.to_string()))?;
                found = true;
            }
            if !found {
                return Err(EgressError::NoCertificate);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Connector { resolver, tls: TlsConnector::from(Arc::new(config)), waiting: Mutex::default() })
    }

    /// A connection that waits for this target.
    pub fn take(&self, target: &Target, policy: &Policy) -> Option<Connection> {
        let key = Key { origin: target.origin.clone(), private_networks: policy.private_networks };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut waiting);
        let found = waiting.get_mut(&key)?;
        let last = found.last_mut()?;
        if let Connection::Two(sender) = &last.connection {
            last.since = Instant::now();
            return Some(Connection::Two(sender.clone()));
        }
        found.pop().map(|waiting| waiting.connection)
    }

    /// Takes back a connection whose last answer was read to its end.
    pub fn put(&self, target: &Target, policy: &Policy, connection: Connection) {
        let key = Key { origin: target.origin.clone(), private_networks: policy.private_networks };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut waiting);
        if waiting.values().map(Vec::len).sum::<usize>() >= WAITING_MAX {
            return;
        }
        let of_origin = waiting.entry(key).or_default();
        let shared = of_origin.iter().any(|waiting| matches!(waiting.connection, Connection::Two(_)));
        if !shared && of_origin.len() < WAITING_PER_ORIGIN {
            of_origin.push(Waiting { connection, since: Instant::now() });
        }
    }

    pub async fn connect(
        &self,
        target: &Target,
        policy: &Policy,
        progress: &Progress,
    ) -> Result<Connection, HttpFailure> {
        let addresses = self.addresses(target, policy, progress).await?;
        let stream = reach(&addresses, target, progress).await?;
        // Requests are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        if !target.origin.https {
            return one(stream, target, progress).await;
        }
        let name = target.origin.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| {
            progress.failure(Kind::Tls, format!("{} is no name that a certificate can hold", target.host()))
        })?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| tls_failure(&error, target, progress))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => two(stream, target, progress).await,
            _ => one(stream, target, progress).await,
        }
    }

    /// The addresses that may be connected to.
    async fn addresses(
        &self,
        target: &Target,
        policy: &Policy,
        progress: &Progress,
    ) -> Result<Vec<SocketAddr>, HttpFailure> {
        let (host, port) = (target.host(), target.origin.port);
        let found = match target.address {
            Some(address) => vec![address],
            None => {
                let (resolver, name) = (self.resolver.clone(), host.to_owned());
                let resolved = tokio::task::spawn_blocking(move || resolver.resolve(&name)).await;
                match resolved.unwrap_or_else(|error| Err(io::Error::other(error))) {
                    Ok(found) if !found.is_empty() => found,
                    _ => return Err(progress.failure(Kind::Unreachable, format!("{host} has no address"))),
                }
            }
        };
        let mut refused = None;
        let mut good: Vec<SocketAddr> = Vec::new();
        for address in found {
            match permitted(policy, address) {
                Ok(()) => good.push(SocketAddr::new(address, port)),
                Err(reach) => refused = Some(reach),
            }
        }
        good.dedup();
        match refused {
            Some(reach) if good.is_empty() => Err(unreachable_by_rule(host, reach)),
            _ => Ok(alternating(good)),
        }
    }
}

/// Forgets what is closed or was not used for long.
fn sweep(waiting: &mut HashMap<Key, Vec<Waiting>>) {
    waiting.retain(|_, of_origin| {
        of_origin.retain(|waiting| !waiting.connection.is_closed() && waiting.since.elapsed() < IDLE_MAX);
        !of_origin.is_empty()
    });
}

/// One of each family in turn, beginning with that of the first: where one does not work at all, the other is tried second.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (one, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut order = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => break,
            (a, b) => order.extend(a.into_iter().chain(b)),
        }
    }
    order.truncate(ADDRESSES_MAX);
    order
}

/// Connects to the first address that answers.
async fn reach(addresses: &[SocketAddr], target: &Target, progress: &Progress) -> Result<TcpStream, HttpFailure> {
    let mut reason = "no address".to_owned();
    for (number, address) in addresses.iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let outcome = match number + 1 < addresses.len() {
            true => timeout(ATTEMPT, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            // The last may take what is left of the delivery's time.
            false => attempt.await,
        };
        match outcome {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = error.kind().to_string(),
        }
    }
    Err(progress.failure(Kind::Unreachable, format!("connect to {}: {reason}", target.host())))
}

async fn one<S>(stream: S, target: &Target, progress: &Progress) -> Result<Connection, HttpFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = made.map_err(|_| unfit(target, progress))?;
    // What goes wrong in it is told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::One(sender))
}

async fn two<S>(stream: S, target: &Target, progress: &Progress) -> Result<Connection, HttpFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = made.map_err(|_| unfit(target, progress))?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Two(sender))
}

fn unfit(target: &Target, progress: &Progress) -> HttpFailure {
    progress.failure(Kind::Unreachable, format!("{} does not speak HTTP", target.host()))
}

fn tls_failure(error: &io::Error, target: &Target, progress: &Progress) -> HttpFailure {
    let host = target.host();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => {
            // It may quote the certificate, which is anybody's text.
            let mut reason = error.to_string();
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            progress.failure(Kind::Tls, format!("TLS with {host}: {reason}"))
        }
        None => progress.failure(Kind::Unreachable, format!("{host} broke off while TLS was set up: {}", error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 1)).collect()
        };
        assert_eq!(alternating(addresses(&["::1", "::2", "1.1.1.1"])), addresses(&["::1", "1.1.1.1", "::2"]));
        assert_eq!(alternating(addresses(&["1.1.1.1", "::1", "::2"])), addresses(&["1.1.1.1", "::1", "::2"]));
        assert_eq!(alternating(addresses(&["1.1.1.1"; 9])).len(), ADDRESSES_MAX);
        assert_eq!(alternating(vec![]), vec![]);
    }
}
