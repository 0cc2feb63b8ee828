//! How long a function takes from its start to its first answer: it is run here, with a Runtime API and an empty S3 that are
//! just enough for that.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A function that has not answered by then never will.
const PATIENCE: Duration = Duration::from_secs(20);
/// An event that holds nothing.
const EVENT: &str = r#"{"Records":[]}"#;

pub fn measure(program: &Path) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen on this machine")?;
    let address = listener.local_addr().context("listen on this machine")?.to_string();
    let (answered, answer) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answered = answered.clone();
            std::thread::spawn(move || drop(serve(stream, &answered)));
        }
    });
    let begun = Instant::now();
    let mut function = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "cold-start")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "none")
        .env("AWS_SECRET_ACCESS_KEY", "none")
        .env("AWS_ENDPOINT_URL", format!("http://{address}"))
        .env("STREAMALERT_S3_PATH_STYLE", "true")
        .env("STREAMALERT_PREFIX", "cold-start")
        .env("STREAMALERT_FUNCTION", "classifier")
        .env("STREAMALERT_CODE_KEY", "00".repeat(32))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let outcome = answer.recv_timeout(PATIENCE);
    let elapsed = begun.elapsed();
    let _ = function.kill();
    let mut said = String::new();
    if let Some(mut stderr) = function.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let _ = function.wait();
    match outcome {
        Ok(true) => Ok(elapsed),
        Ok(false) => bail!("the function failed: {said}"),
        Err(_) => bail!("no answer within {} s: {said}", PATIENCE.as_secs()),
    }
}

/// Requests of one connection.
fn serve(stream: TcpStream, answered: &Sender<bool>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        if path.ends_with("/invocation/next") {
            let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
            let headers = format!(
                "Lambda-Runtime-Aws-Request-Id: 1\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:000000000000:function:cold-start\r\n",
                deadline.as_millis()
            );
            say(&mut stream, "200 OK", &headers, EVENT)?;
        } else if path.contains("/invocation/") || path.contains("/init/error") {
            let _ = answered.send(path.ends_with("/response"));
            say(&mut stream, "202 Accepted", "", "")?;
            // One answer is all that is wanted; the function waits for the next event until it is ended.
            std::thread::sleep(PATIENCE);
            return Ok(());
        } else if method == "GET" && path.contains("list-type=2") {
            say(&mut stream, "200 OK", "", "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")?;
        } else {
            say(&mut stream, "404 Not Found", "", "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")?;
        }
    }
}

fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()
}
