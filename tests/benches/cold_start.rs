//! How long the rules engine takes from nothing to its first answer, with a hundred components in the rules bucket: the real
//! program under Lambda's Runtime Interface Emulator, beside a function that does nothing.
//!
//! `cargo bench --workspace --bench cold_start`; it builds `bootstrap` and needs go, for the emulator, and python3. With
//! `STREAMALERT_RELEASE=DIR` it takes `bootstrap` and `examples/hello` from there.

#[path = "../it/fault_proxy.rs"]
#[allow(dead_code)]
mod fault_proxy;
#[path = "../it/installation.rs"]
#[allow(dead_code)]
mod installation;
#[path = "../it/run_world.rs"]
#[allow(dead_code)]
mod run_world;
#[path = "../it/standins.rs"]
#[allow(dead_code)]
mod standins;

use installation::{CODE_KEY, Installation, by_queue, invoke};
use run_world::{EVERY_ROW, Guest};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Components in the bucket, and rules of each.
const COMPONENTS: usize = 100;
const RULES: usize = 10;
/// Cold starts of each kind; the middle one counts.
const STARTS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(60);
/// A rule that finds nothing.
const NOTHING: &str = "(call $list (i32.const 0) (i32.const 0))";

fn main() {
    // The whole of it takes minutes to build; what it is made of is tried in the other tests.
    if streamalert_tests::tried_only() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let emulator = Command::new(root.join("tests/rie.sh")).status().unwrap();
    assert!(emulator.success(), "tests/rie.sh cannot build the emulator");
    let Some(standin) = standins::ministack() else { return };
    let programs = built(root);

    let installation = Installation::new(standin, "cold");
    for number in 0..COMPONENTS {
        let names: Vec<String> = (0..RULES).map(|rule| format!("rule_{number}_{rule}")).collect();
        // One rule of one component finds what the event brings.
        let body = |rule: usize| if (number, rule) == (0, 0) { EVERY_ROW } else { NOTHING };
        let rules = names.iter().enumerate().map(|(rule, name)| (name.as_str(), body(rule))).collect();
        let guest =
            Guest { rules, logs: if number == 0 { "test:row" } else { "cloudtrail:events" }, ..Guest::default() };
        installation.put_rules(&format!("plugins/{number:03}.wasm"), guest.build());
    }
    for file in std::fs::read_dir(root.join("conf/schemas")).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        installation.put_rules(&format!("conf/schemas/{name}"), std::fs::read(file.path()).unwrap());
    }
    let compiled = Instant::now();
    invoke(&installation.function("plugin_compiler"), &json!({})).unwrap();
    println!(
        "{COMPONENTS} components checked and compiled for both processors in {:.1} s",
        compiled.elapsed().as_secs_f64()
    );
    let event = installation.put_log("a.json", "{\"n\": 1}");
    invoke(&installation.function("classifier"), &event).unwrap();
    let message = installation.receive(&installation.records, 1).unwrap()["Records"][0]["body"].clone();
    let mut event = by_queue("m1", &json!({}));
    event["body"] = message;
    let event = json!({ "Records": [event] });

    let variables: Vec<(&str, String)> = vec![
        ("STREAMALERT_FUNCTION", "rules_engine".into()),
        ("STREAMALERT_PREFIX", installation.place.names.prefix.clone()),
        ("STREAMALERT_CODE_KEY", CODE_KEY.into()),
        ("STREAMALERT_S3_PATH_STYLE", "true".into()),
        ("AWS_ENDPOINT_URL", standin.endpoint.clone()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
    ];
    let size = std::fs::metadata(&programs.bootstrap).unwrap().len();
    let (mut hello, mut engine, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..STARTS {
        hello.push(start(&programs.emulator, &programs.hello, &[], &json!({})).0);
        let (time, most, answer) = started(&programs.emulator, &programs.bootstrap, &variables, &event);
        assert_eq!(answer, json!({"batchItemFailures": []}));
        engine.push(time);
        memory = memory.max(most);
    }
    assert_eq!(installation.alerted(), [1]);
    let (hello, engine) = (middle(hello), middle(engine));
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "cold start to the first answer: hello {:.1} ms, rules engine with {COMPONENTS} components of {RULES} rules {:.1} ms ({:.2} times)",
        millis(hello),
        millis(engine),
        engine.as_secs_f64() / hello.as_secs_f64()
    );
    println!("memory of the rules engine at most {:.1} MB; program {:.1} MB", memory as f64 / 1e6, size as f64 / 1e6);
}

struct Programs {
    emulator: PathBuf,
    bootstrap: PathBuf,
    hello: PathBuf,
}

/// As they are released.
fn built(root: &Path) -> Programs {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let given = std::env::var_os("STREAMALERT_RELEASE").map(PathBuf::from);
    if given.is_none() {
        let build = Command::new(env!("CARGO"))
            .args([
                "build",
                "--profile",
                "lambda",
                "--workspace",
                "--quiet",
                "--bin",
                "bootstrap",
                "--example",
                "hello",
            ])
            .current_dir(root)
            .status()
            .unwrap();
        assert!(build.success());
    }
    let release = given.unwrap_or_else(|| target.join("lambda"));
    let emulators = std::fs::read_dir(root.join("target/standins")).unwrap().flatten().map(|entry| entry.path());
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aws-lambda-rie-"));
    Programs {
        emulator: emulators.into_iter().find(named).unwrap(),
        bootstrap: release.join("bootstrap"),
        hello: release.join("examples/hello"),
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn start(emulator: &Path, program: &Path, variables: &[(&str, String)], event: &Value) -> (Duration, u64) {
    let (time, memory, _) = started(emulator, program, variables, event);
    (time, memory)
}

/// Time of the first invocation, which starts the function; the most memory it had, in bytes; and what it answered.
fn started(emulator: &Path, program: &Path, variables: &[(&str, String)], event: &Value) -> (Duration, u64, Value) {
    let (front, back) = (free_port(), free_port());
    let mut rie = Command::new(emulator)
        .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{front}")])
        .args(["--runtime-api-address", &format!("127.0.0.1:{back}")])
        .arg(program)
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "60")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", front)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the emulator does not listen");
        std::thread::sleep(Duration::from_millis(2));
    }
    let begun = Instant::now();
    let answer = post(front, event);
    let time = begun.elapsed();
    let memory = children(rie.id()).into_iter().filter_map(peak).max().unwrap_or(0);
    // The emulator and what it started.
    let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", rie.id())]).status();
    let _ = rie.wait();
    (time, memory, answer)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn post(port: u16, event: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = event.to_string();
    let head = "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let text = answer.split_once("\r\n\r\n").map(|(_, text)| text).unwrap_or_default();
    // In chunks, if it says so: the line that is JSON is the answer.
    text.lines()
        .find_map(|line| serde_json::from_str::<Value>(line).ok().filter(|value| !value.is_number()))
        .unwrap_or_default()
}

fn children(parent: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let mut all: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    if all.is_empty() {
        // Started by another thread of the parent.
        for task in std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    all
}

/// Resident memory at its highest, in bytes.
fn peak(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}
