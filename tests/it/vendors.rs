//! The services that outputs call, as far as a test needs them: one server on this machine that takes what each service's
//! documentation asks for, says no to all else, and fails on demand in every way that a service can.
//!
//! It speaks HTTP by hand: a server that breaks off in the middle of an answer is none that a library would be.

pub mod services;

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It is judged, and kept if it is good.
    Works,
    /// This status, and nothing is kept.
    Says(u16),
    /// 429, and so many seconds to wait.
    Limited(u32),
    /// No answer for longer than anybody waits, and nothing is kept.
    Slow,
    /// The connection breaks before an answer, and nothing is kept.
    Cut,
    /// It is judged and kept; then the connection breaks in the middle of the answer.
    LosesAnswer,
    /// It is judged and kept; the answer is five megabytes long.
    Huge,
    /// 307 to where a cloud keeps its machines' credentials.
    Redirects,
}

/// Longer than the patience of the tests' clients.
pub const SLOW: Duration = Duration::from_secs(4);
pub const METADATA: &str = "http://169.254.169.254/latest/meta-data/";
const HUGE_BYTES: usize = 5 << 20;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Behind the service's name, without query.
    pub path: String,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn query(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the body is no JSON: {error}"))
    }
}

/// What a service answers.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Reply { status, headers: vec![("Content-Type", "application/json".into())], body: body.to_string() }
    }

    pub fn text(status: u16, body: &str) -> Self {
        Reply { status, headers: vec![], body: body.into() }
    }
}

/// Something a service has: a message, an alert, an issue.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub kind: &'static str,
    /// By which the service knows a repeat; empty if it does not.
    pub key: String,
    pub body: Value,
}

/// Of one service.
#[derive(Default)]
pub struct Shelf {
    pub kept: Vec<Kept>,
    script: VecDeque<Behaviour>,
    requests: Vec<Seen>,
    /// What was wrong with requests, as the service's documentation has it.
    faults: Vec<String>,
}

impl Shelf {
    /// Keeps it, unless something of this kind with this key is there. Its number, from 1, and whether it is new.
    pub fn keep(&mut self, kind: &'static str, key: &str, body: Value) -> (usize, bool) {
        let known = self.kept.iter().position(|kept| !key.is_empty() && kept.kind == kind && kept.key == key);
        match known {
            Some(index) => (index + 1, false),
            None => {
                self.kept.push(Kept { kind, key: key.into(), body });
                (self.kept.len(), true)
            }
        }
    }
}

/// The server. Ends with the test's process.
pub struct Vendors {
    port: u16,
    shelves: Arc<Mutex<BTreeMap<String, Shelf>>>,
}

impl Vendors {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shelves = Arc::new(Mutex::new(BTreeMap::new()));
        let shared = shelves.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelves = shared.clone();
                std::thread::spawn(move || {
                    // A client that goes away is no concern of the server's.
                    let _ = serve(stream, &shelves);
                });
            }
        });
        Vendors { port, shelves }
    }

    /// Where a service is; paths of its API go behind.
    pub fn url(&self, service: &str) -> String {
        format!("http://127.0.0.1:{}/{service}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What becomes of the next requests to a service; later ones work.
    pub fn behave(&self, service: &str, script: &[Behaviour]) {
        self.lock().entry(service.into()).or_default().script = script.iter().copied().collect();
    }

    /// What a service has.
    pub fn kept(&self, service: &str) -> Vec<Kept> {
        self.lock().entry(service.into()).or_default().kept.clone()
    }

    pub fn requests(&self, service: &str) -> Vec<Seen> {
        self.lock().entry(service.into()).or_default().requests.clone()
    }

    /// What was wrong with requests to it.
    pub fn faults(&self, service: &str) -> Vec<String> {
        self.lock().entry(service.into()).or_default().faults.clone()
    }

    /// A service that has nothing and was asked nothing.
    pub fn clear(&self, service: &str) {
        self.lock().remove(service);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shelf>> {
        self.shelves.lock().unwrap()
    }
}

fn serve(mut stream: TcpStream, shelves: &Mutex<BTreeMap<String, Shelf>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some((service, seen)) = read(&stream)? else { return Ok(()) };
    let behaviour = {
        let mut shelves = shelves.lock().unwrap();
        let shelf = shelves.entry(service.clone()).or_default();
        shelf.requests.push(seen.clone());
        shelf.script.pop_front().unwrap_or(Behaviour::Works)
    };
    let judge = || {
        let mut shelves = shelves.lock().unwrap();
        let shelf = shelves.entry(service.clone()).or_default();
        match services::judge(&service, &seen, shelf) {
            Ok(reply) => reply,
            Err((status, fault)) => {
                shelf.faults.push(format!("{} {}: {fault}", seen.method, seen.path));
                Reply::text(status, &fault)
            }
        }
    };
    let reply = match behaviour {
        Behaviour::Works => judge(),
        Behaviour::Says(status) => Reply::json(status, json!({"message": "as the test wants it"})),
        Behaviour::Limited(seconds) => {
            Reply { headers: vec![("Retry-After", seconds.to_string())], ..Reply::text(429, "slow down") }
        }
        Behaviour::Slow => {
            std::thread::sleep(SLOW);
            return Ok(());
        }
        Behaviour::Cut => return Ok(()),
        Behaviour::LosesAnswer => {
            let reply = judge();
            // 204 has no body that could be cut.
            let status = if reply.status == 204 { 200 } else { reply.status };
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", reply.body.len() + 1_000);
            stream.write_all(head.as_bytes())?;
            return stream.write_all(reply.body.as_bytes());
        }
        Behaviour::Huge => Reply { body: "x".repeat(HUGE_BYTES), ..judge() },
        Behaviour::Redirects => {
            Reply { headers: vec![("Location", METADATA.into())], ..Reply::text(307, "over there") }
        }
    };
    let mut head =
        format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n", reply.status, reply.body.len());
    for (name, value) in reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(reply.body.as_bytes())
}

/// The service's name, which is the first part of the path, and the request.
pub fn read(stream: &TcpStream) -> std::io::Result<Option<(String, Seen)>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.trim_start_matches('/');
    let (service, path) = path.split_once('/').unwrap_or((path, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query =
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decode(n), decode(v))).collect();
    Ok(Some((service.to_owned(), Seen { method, path: format!("/{path}"), query, headers, body })))
}

/// Without percent signs.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
