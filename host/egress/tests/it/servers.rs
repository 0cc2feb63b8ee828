//! Servers that say what a test wants them to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use streamalert_egress::{HostRule, Policy};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// `POST /path HTTP/1.1`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Serves one connection after the other, each in a thread of its own.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `answer` gives the bytes for a request; an empty answer closes the connection.
    pub fn new(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(move |stream, seen| {
            let mut reader = BufReader::new(stream);
            while let Some(request) = read(&mut reader) {
                seen.lock().unwrap().push(request.clone());
                let bytes = answer(&request);
                if bytes.is_empty() || reader.get_mut().write_all(&bytes).is_err() {
                    break;
                }
            }
        })
    }

    /// Gives each connection to `serve`, which may do anything with it.
    pub fn serving(serve: impl Fn(TcpStream, &Mutex<Vec<Seen>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server =
            Server { address: listener.local_addr().unwrap(), connections: Arc::default(), seen: Arc::default() };
        let (connections, seen, serve) = (server.connections.clone(), server.seen.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                connections.fetch_add(1, Ordering::Relaxed);
                let (seen, serve) = (seen.clone(), serve.clone());
                thread::spawn(move || serve(stream, &seen));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// The next request of a connection; `None` at its end.
pub fn read(reader: &mut BufReader<impl Stream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut seen = Seen { line: line.trim().to_owned(), ..Seen::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim().split_once(':') {
            Some((name, value)) => seen.headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    reader.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

/// An answer with its length.
pub fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// These hosts and this machine's network.
pub fn policy(hosts: &[&str]) -> Policy {
    let rules = hosts.iter().map(|host| HostRule::parse(host).unwrap()).collect();
    Policy { private_networks: true, ..Policy::new(rules) }
}

impl Server {
    /// A policy that permits this server alone.
    pub fn policy(&self) -> Policy {
        policy(&[&format!("http://{}", self.address)])
    }
}
