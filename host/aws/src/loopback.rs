//! An HTTP server on loopback that passes for AWS in tests: it keeps what it is asked, and answers what the test says.

use crate::{Aws, Connection};
use aws_credential_types::Credentials;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    /// The connection is closed without one.
    cut: bool,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Answer {
        Answer::text(status, "application/x-amz-json-1.0", body.to_string())
    }

    pub fn text(status: u16, content: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("content-type".to_owned(), content.to_owned())];
        Answer { cut: false, status, headers, body: body.into(), delay: Duration::ZERO }
    }

    pub fn cut() -> Answer {
        Answer { cut: true, ..Answer::text(200, "", "") }
    }

    pub fn with_header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(self, delay: Duration) -> Answer {
        Answer { delay, ..self }
    }
}

type Respond = dyn Fn(&Request) -> Answer + Send + Sync;

pub struct Loopback {
    endpoint: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Loopback {
    pub fn start(respond: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Loopback {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (keep, respond): (_, Arc<Respond>) = (seen.clone(), Arc::new(respond));
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (keep, respond) = (keep.clone(), respond.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read(&mut reader) {
                        keep.lock().unwrap().push(request.clone());
                        if !write(&stream, &respond(&request)) {
                            return;
                        }
                    }
                });
            }
        });
        Loopback { endpoint, seen }
    }

    /// These answers in turn, the last one for ever.
    pub fn script<const N: usize>(answers: [Answer; N]) -> Loopback {
        let left = Mutex::new(VecDeque::from(answers));
        Loopback::start(move |_| {
            let mut left = left.lock().unwrap();
            let next = left.pop_front().unwrap();
            if left.is_empty() {
                left.push_back(next.clone());
            }
            next
        })
    }

    pub fn aws(&self) -> Arc<Aws> {
        let connection = Connection {
            region: Some("us-east-1".into()),
            credentials: Some(Credentials::new("test", "secret", None, None, "tests")),
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            retry_first: Duration::from_millis(1),
            ..Connection::default()
        };
        Arc::new(Aws::connect(&connection, RUNTIME.handle().clone()))
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut parts = first.split(' ');
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let next = line(reader)?;
        let Some((name, value)) = next.split_once(':') else { break };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    if request.header("expect").eq_ignore_ascii_case("100-continue") {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if request.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        loop {
            let size = usize::from_str_radix(line(reader)?.split(';').next()?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            if size == 0 {
                while !line(reader)?.is_empty() {}
                break;
            }
            reader.read_exact(&mut chunk).ok()?;
            request.body.extend_from_slice(&chunk[..size]);
        }
    } else {
        request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut request.body).ok()?;
    }
    Some(request)
}

fn write(mut stream: &TcpStream, answer: &Answer) -> bool {
    thread::sleep(answer.delay);
    if answer.cut {
        // Dead already is dead enough.
        let _ = stream.shutdown(std::net::Shutdown::Both);
        return false;
    }
    let mut head = format!("HTTP/1.1 {} Said\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer.body)).is_ok()
}
