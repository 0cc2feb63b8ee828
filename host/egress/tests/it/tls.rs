//! Certificates must hold.

use super::servers::{self, answer, policy};
use super::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::convert::Infallible;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use streamalert_egress::EgressError;
use tokio_rustls::TlsAcceptor;

/// An authority of the tests' own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's side, with a certificate for these names, changed.
    fn server(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }
}

fn serving(config: ServerConfig) -> Server {
    let config = Arc::new(config);
    Server::serving(move |stream: TcpStream, _| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        while let Some(request) = servers::read(&mut reader) {
            if reader.get_mut().write_all(&answer("200 OK", "", &request.line)).is_err() {
                break;
            }
        }
    })
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// The answer of a server with this certificate to somebody who trusts `ca` and calls it `localhost`.
fn call(config: ServerConfig, ca: &Authority) -> Result<HttpResponse, HttpFailure> {
    let server = serving(config);
    let host = format!("localhost:{}", server.address.port());
    let egress = Egress::with_ca(ca.pem().as_bytes()).unwrap();
    egress.send(&policy(&[&host]), soon(), get(format!("https://{host}/s3cret")))
}

#[test]
fn a_certificate_of_the_operators_authority_holds() {
    let ca = Authority::new();
    assert_eq!(call(ca.server(&["localhost"], |_| {}), &ca).unwrap().status, 200);
    let server = serving(ca.server(&["127.0.0.1"], |_| {}));
    let egress = Egress::with_ca(ca.pem().as_bytes()).unwrap();
    let host = server.address.to_string();
    assert_eq!(egress.send(&policy(&[&host]), soon(), get(format!("https://{host}/"))).unwrap().status, 200);
}

#[test]
fn any_other_certificate_does_not() {
    use HttpFailureKind::Tls;
    let (ca, other) = (Authority::new(), Authority::new());
    failed(call(other.server(&["localhost"], |_| {}), &ca), Tls, false, "TLS with localhost: invalid peer certificate");
    failed(call(ca.server(&["example.com"], |_| {}), &ca), Tls, false, "TLS with localhost: invalid peer certificate");
    let past = ca.server(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    failed(call(past, &ca), Tls, false, "TLS with localhost: invalid peer certificate");
}

#[test]
fn a_certificate_that_signed_itself_does_not_hold() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let server = serving(config);
    let host = format!("localhost:{}", server.address.port());
    let answer = send(&policy(&[&host]), get(format!("https://{host}/s3cret")));
    failed(answer, HttpFailureKind::Tls, false, "TLS with localhost: invalid peer certificate");
}

#[test]
fn who_speaks_no_tls_gets_nothing() {
    let plain = Server::serving(|mut stream, _| {
        let _ = stream.write_all(&answer("400 Bad Request", "", "speak plainly"));
        std::thread::sleep(Duration::from_secs(1));
    });
    let host = plain.address.to_string();
    failed(
        send(&policy(&[&host]), get(format!("https://{host}/s3cret"))),
        HttpFailureKind::Tls,
        false,
        "TLS with 127.0.0.1",
    );
    let closing = Server::serving(|_, _| {});
    let host = closing.address.to_string();
    failed(
        send(&policy(&[&host]), get(format!("https://{host}/s3cret"))),
        HttpFailureKind::Unreachable,
        false,
        "broke off",
    );
}

#[test]
fn certificates_of_authorities_are_read_or_refused() {
    let pem = format!("# ours\n{}\n{}", Authority::new().pem(), Authority::new().pem());
    assert!(Egress::with_ca(pem.as_bytes()).is_ok());
    assert!(matches!(Egress::with_ca(b" "), Err(EgressError::NoCertificate)));
    assert!(matches!(Egress::with_ca(b"no PEM"), Err(EgressError::NoCertificate)));
    let half = &pem[..pem.len() - 60];
    assert!(matches!(Egress::with_ca(half.as_bytes()), Err(EgressError::Pem(_))));
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Egress::with_ca(bad.as_bytes()), Err(EgressError::Certificate(_))));
}

#[test]
fn http_2_is_spoken_where_the_server_does() {
    let ca = Authority::new();
    let mut config = ca.server(&["localhost"], |_| {});
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connections = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let counted = connections.clone();
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service = service_fn(|request: Request<Incoming>| async move {
                    let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let text = format!("{line} {}", body.len());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
                });
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let egress = Arc::new(Egress::with_ca(ca.pem().as_bytes()).unwrap());
    let url = format!("https://{host}/hook?a=b");
    let expected = format!("POST {url} HTTP/2.0 300000");
    for _ in 0..3 {
        let answer = egress.send(&policy(&[&host]), soon(), post(&url, &[0; 300_000]));
        assert_eq!(ok(answer), (200, expected.clone()));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (egress, host, url) = (egress.clone(), host.clone(), url.clone());
            std::thread::spawn(move || ok(egress.send(&policy(&[&host]), soon(), post(&url, b"x"))))
        })
        .collect();
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap().0, 200));
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}
