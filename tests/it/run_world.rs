//! A place to run the program `streamalert` in: configuration, plugins, inputs and data in one temporary folder.

#[path = "../../host/plugins/tests/it/guest.rs"]
#[allow(dead_code)]
mod guest;

pub use guest::{EVERY_ROW, Guest};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use streamalert_local::dead_letters::DeadLetterFolder;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertDesk, DeadLetters};
use streamalert_pipeline::classifier::log_batch;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::dead_letter::DeadLetter;
use streamalert_pipeline::log_record::{LogBatch, Position, Source};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};

/// How long anything may take on a busy machine before a test says that it does not happen.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The program of the same build as this test.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program =
        test.parent().and_then(Path::parent).unwrap().join(format!("streamalert{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is missing: build it with `cargo build -p streamalert-cli`", program.display());
    program
}

pub struct World {
    folder: tempfile::TempDir,
}

/// Records `{"n": …}` of the log type `test:row`.
pub fn rows(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|n| format!("{{\"n\": {n}}}\n")).collect()
}

/// A component whose rule reports every row, with a severity to tell versions apart.
pub fn every_row(severity: &str) -> Vec<u8> {
    let options = format!(r#"{{"severity": "{severity}", "outputs": ["file:audit"]}}"#);
    Guest { rules: vec![("every_row", EVERY_ROW)], logs: "test:row", options: &options, ..Guest::default() }.build()
}

/// The same, and its alerts go there.
pub fn every_row_to(output: &str) -> Vec<u8> {
    every_row_with(&format!(r#"{{"severity": "low", "outputs": ["{output}"]}}"#))
}

/// The same with these options.
pub fn every_row_with(options: &str) -> Vec<u8> {
    Guest { rules: vec![("every_row", EVERY_ROW)], logs: "test:row", options, ..Guest::default() }.build()
}

/// Records of one type as they come to the rules, all as they are: nothing is classified. A record's offset is its row.
pub fn carried(log_type: &str, records: &[serde_json::Value], schemas: &Schemas) -> LogBatch {
    let source = Arc::new(Source::new("test", "test", ""));
    let record = |(row, record): (usize, &serde_json::Value)| BatchRecord {
        source: source.clone(),
        position: Position { offset: row as u64, length: 1, index: 0 },
        identity: [0; 32],
        event_time: None,
        json: record.to_string(),
    };
    let records = records.iter().enumerate().map(record).collect();
    let batch = RecordBatch { cluster: "test".into(), log_type: log_type.into(), arrived: 0, rule: None, records };
    let (batch, dead) = log_batch(batch, schemas);
    assert!(dead.is_empty(), "{dead:?}");
    batch
}

impl World {
    /// With a schema for `test:row`, and a rule that reports every one.
    pub fn new() -> World {
        let world = World { folder: tempfile::tempdir().unwrap() };
        world.write("conf/schemas/test.json", r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}}}"#);
        std::fs::create_dir(world.at("plugins")).unwrap();
        world.write("plugins/every_row.wasm", every_row("low"));
        world
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn streamalert(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    pub fn streamalert_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs on; what it says is collected.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let hears = said.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *hears.lock().unwrap() += &(line + "\n");
            }
        });
        Running { child, said }
    }

    pub fn alerts(&self) -> Vec<Alert> {
        SqliteAlerts::open(&self.at("data/alerts.sqlite")).unwrap().list(None, usize::MAX).unwrap()
    }

    /// `n` of the records that alerts are about, each as often as there are alerts.
    pub fn alerted(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.alerts().iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    pub fn alert_ids(&self) -> BTreeSet<String> {
        self.alerts().into_iter().map(|alert| alert.id).collect()
    }

    pub fn dead(&self) -> Vec<DeadLetter> {
        DeadLetterFolder::open(&self.at("data/dead")).unwrap().list().unwrap()
    }

    pub fn dead_ids(&self) -> BTreeSet<String> {
        self.dead().into_iter().map(|letter| letter.id).collect()
    }
}

/// `n` of the record that an alert is about.
pub fn number(alert: &Alert) -> u64 {
    serde_json::to_value(alert).unwrap()["record"]["n"].as_u64().unwrap()
}

pub struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits for a line of stderr that contains `part`.
    #[track_caller]
    pub fn hear(&mut self, part: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.said().lines().find(|line| line.contains(part)) {
                return line.to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(200));
                match self.said().lines().find(|line| line.contains(part)) {
                    Some(line) => return line.to_owned(),
                    None => panic!("it ended ({status}) without saying {part:?}:\n{}", self.said()),
                }
            }
            assert!(begun.elapsed() < PATIENCE, "it did not say {part:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The address it listens on.
    #[track_caller]
    pub fn address(&mut self) -> SocketAddr {
        let line = self.hear("listening on http://");
        line.split("http://").nth(1).unwrap().trim().parse().unwrap()
    }

    /// SIGKILL: it can do nothing about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it in good order.
    #[track_caller]
    pub fn end(mut self) -> String {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", self.said());
        std::thread::sleep(Duration::from_millis(50));
        self.said()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered: status, headers as they came, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    // Who is turned away early may close before it has read everything.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let parsed = text.split_once("\r\n\r\n").and_then(|(headers, body)| {
        let status = headers.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() })
    });
    parsed.ok_or_else(|| read.err().unwrap_or_else(|| std::io::Error::other(format!("no answer: {text:?}"))))
}

pub fn post(address: SocketAddr, body: &[u8]) -> std::io::Result<Answer> {
    request(address, "POST", "/v1/logs", &[], body)
}

/// Waits until it is so.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A few numbers that differ from run to run; a failing test prints what it did with them.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Dice {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Dice(now.as_nanos() as u64 | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
