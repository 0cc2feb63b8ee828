//! What stands between us and a stand-in and fails, as AWS does at times: by chance from a seed, or as a test says.

use crate::standins::{self, Standin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use streamalert_aws::Connection;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Refused as too much, in the words of that service.
    Throttled,
    /// 500
    Broken,
    /// 503
    Unavailable,
    /// Nothing comes.
    Silent,
    /// The connection ends before the service hears of the call.
    CutBefore,
    /// The service does what it is asked to, and the connection ends before it can say so.
    CutAfter,
    /// Of calls with many entries: every second one is refused, as by a service that is busy.
    Partly,
    /// Of writes to DynamoDB: a transaction of somebody else has the item in hand.
    Conflict,
    /// Of `ReceiveMessage`: what was received last is received once more.
    Twice,
}

impl Fault {
    /// By chance, one of these; silence costs time and comes seldom.
    fn any(operation: &str) -> Vec<Fault> {
        use Fault::{Broken, Conflict, CutAfter, CutBefore, Partly, Silent, Throttled, Twice, Unavailable};
        let often = [Throttled, Broken, Unavailable, CutBefore, CutAfter, CutAfter];
        let mut any = [often, often, often].concat();
        any.push(Silent);
        match operation {
            "SQS.ReceiveMessage" => any.extend([Twice; 5]),
            "DynamoDB.TransactWriteItems" | "DynamoDB.UpdateItem" => any.extend([Conflict; 5]),
            operation if is_of_many(operation) => any.extend([Partly; 5]),
            _ => {}
        }
        any
    }
}

/// Whether some entries of a call may fail while others do not.
fn is_of_many(operation: &str) -> bool {
    [
        "DynamoDB.BatchGetItem",
        "DynamoDB.BatchWriteItem",
        "SQS.SendMessageBatch",
        "SQS.DeleteMessageBatch",
        "Firehose.PutRecordBatch",
    ]
    .contains(&operation)
}

/// How long a connection is silent, at most: longer than any test is patient.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Of clients that are to meet silence.
const PATIENCE: Duration = Duration::from_millis(250);
/// Attempts of clients: at a fifth of calls failing, one in ten million calls fails each time.
const ATTEMPTS: u32 = 10;

pub struct FaultProxy {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// A call and what came of it.
pub struct Seen<'a> {
    pub method: &'a str,
    pub target: &'a str,
    headers: &'a [(String, String)],
    pub body: &'a [u8],
    pub status: u16,
}

impl Seen<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

type Watch = Arc<dyn Fn(&Seen<'_>) + Send + Sync>;

#[derive(Default)]
struct State {
    /// Hears of each call that was answered.
    watch: Option<Watch>,
    /// `127.0.0.1:1234` of the stand-in.
    behind: String,
    rate: f64,
    seed: u64,
    /// Calls since the seed was set.
    number: u64,
    /// Operation, `*` for all; how often; how.
    plans: Vec<(String, u64, Fault)>,
    /// Calls that still come through before everything ends, and whether the last one is done.
    ends: Option<(u64, bool)>,
    ended: bool,
    calls: BTreeMap<String, u64>,
    failed: BTreeMap<(Fault, String), u64>,
    /// What was received last, by queue.
    received: BTreeMap<String, Vec<u8>>,
}

impl FaultProxy {
    /// In front of what listens there. Until it is told otherwise, nothing fails.
    pub fn start(endpoint: &str) -> FaultProxy {
        Self::begin(endpoint, None)
    }

    /// The same, and somebody hears of each call.
    pub fn watched(endpoint: &str, watch: impl Fn(&Seen<'_>) + Send + Sync + 'static) -> FaultProxy {
        Self::begin(endpoint, Some(Arc::new(watch)))
    }

    fn begin(endpoint: &str, watch: Option<Watch>) -> FaultProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it has an address");
        let behind = endpoint.trim_start_matches("http://").to_owned();
        let state = Arc::new(Mutex::new(State { behind, watch, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        FaultProxy { endpoint: format!("http://{address}"), state }
    }

    /// For clients that are patient enough, and not too patient.
    pub fn connection(&self) -> Connection {
        Connection { silence: PATIENCE, attempts: ATTEMPTS, ..standins::connection(&self.endpoint) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many of all calls fail, from 0 to 1.
    pub fn failing(&self, rate: f64) {
        self.state().rate = rate;
    }

    /// Which ones, and how.
    pub fn seed(&self, seed: u64) {
        let mut state = self.state();
        (state.seed, state.number) = (seed, 0);
    }

    /// The next calls of this operation (`SQS.SendMessageBatch`, or `*` for any) fail like that.
    pub fn next(&self, operation: &str, times: u64, fault: Fault) {
        self.state().plans.push((operation.to_owned(), times, fault));
    }

    /// As if the caller were ended at its call number `call`, from 0 on: before it, or after it was done and before anybody hears of
    /// that. None: nobody is ended.
    pub fn ends_at(&self, call: Option<(u64, bool)>) {
        let mut state = self.state();
        if call.is_some() {
            state.ended = false;
        }
        state.ends = call;
    }

    /// Whether the last one who was to be ended was.
    pub fn was_ended(&self) -> bool {
        self.state().ended
    }

    /// Clients that try once.
    pub fn once(&self) -> Connection {
        Connection { attempts: 1, ..self.connection() }
    }

    /// Calls that came, by operation.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.state().calls.clone()
    }

    /// Calls that failed, by how and by operation.
    pub fn failed(&self) -> BTreeMap<(Fault, String), u64> {
        self.state().failed.clone()
    }

    /// Both, for people.
    pub fn summary(&self) -> String {
        let state = self.state();
        let mut faults: BTreeMap<Fault, u64> = BTreeMap::new();
        state.failed.iter().for_each(|((fault, _), count)| *faults.entry(*fault).or_default() += count);
        let faults: Vec<String> = faults.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
        let operations: Vec<String> = state
            .calls
            .iter()
            .map(|(operation, calls)| {
                let failed = state.failed.iter().filter(|((_, name), _)| name == operation).map(|(_, count)| count);
                format!("{operation} {}/{calls}", failed.sum::<u64>())
            })
            .collect();
        format!("faults: {}\nfailed/calls: {}", faults.join(", "), operations.join(", "))
    }
}

impl State {
    fn decide(&mut self, operation: &str, queue: Option<&str>) -> Option<Fault> {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        if let Some((left, done)) = &mut self.ends {
            let fault = match *left {
                0 if std::mem::take(done) => Fault::CutAfter,
                0 => Fault::CutBefore,
                _ => {
                    *left -= 1;
                    return None;
                }
            };
            self.ended = true;
            *self.failed.entry((fault, operation.to_owned())).or_default() += 1;
            return Some(fault);
        }
        let planned = self.plans.iter_mut().find(|(name, left, _)| *left > 0 && (name == "*" || name == operation));
        let fault = match planned {
            Some((_, left, fault)) => {
                *left -= 1;
                *fault
            }
            None => {
                self.number += 1;
                let chance = mixed(self.seed, self.number);
                if (chance >> 11) as f64 / (1u64 << 53) as f64 >= self.rate {
                    return None;
                }
                let any = Fault::any(operation);
                any[mixed(chance, 1) as usize % any.len()]
            }
        };
        if fault == Fault::Twice && !queue.is_some_and(|queue| self.received.contains_key(queue)) {
            return None;
        }
        *self.failed.entry((fault, operation.to_owned())).or_default() += 1;
        Some(fault)
    }
}

/// splitmix64
fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Clone)]
struct Message {
    /// Request or status line.
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|given| given.to_ascii_lowercase().contains(value))
    }

    fn head(reader: &mut impl BufRead) -> std::io::Result<Option<Message>> {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Ok(Some(Message { first: first.trim_end().to_owned(), headers, body: Vec::new() }))
    }

    /// Afterwards its length is known.
    fn read_body(&mut self, reader: &mut impl BufRead, to_the_end: bool) -> std::io::Result<()> {
        if self.has("transfer-encoding", "chunked") {
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16).unwrap_or(0);
                let from = self.body.len();
                self.body.resize(from + size, 0);
                reader.read_exact(&mut self.body[from..])?;
                reader.read_line(&mut line)?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = self.header("content-length").and_then(|length| length.parse().ok()) {
            self.body.resize(length, 0);
            reader.read_exact(&mut self.body)?;
        } else if to_the_end {
            reader.read_to_end(&mut self.body)?;
        }
        Ok(())
    }

    /// With the length of the body said anew, unless there is none by nature.
    fn write(&self, stream: &mut TcpStream, connection: &str, with_length: bool) -> std::io::Result<()> {
        let mut text = format!("{}\r\n", self.first);
        let ours = ["connection", "transfer-encoding", "keep-alive", "expect"];
        for (name, value) in &self.headers {
            let name_lower = name.to_ascii_lowercase();
            let length = with_length && name_lower == "content-length";
            if !ours.contains(&name_lower.as_str()) && !length {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if with_length {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str(&format!("Connection: {connection}\r\n\r\n"));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        stream.write_all(&bytes)
    }
}

fn serve(mut client: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(mut request) = Message::head(&mut reader)? {
        if request.has("expect", "100-continue") {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.read_body(&mut reader, false)?;
        let operation = operation(&request);
        let queue = (operation == "SQS.ReceiveMessage").then(|| text_of(&request.body, "QueueUrl")).flatten();
        let (fault, behind) = {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            (state.decide(&operation, queue.as_deref()), state.behind.clone())
        };
        let answer = match fault {
            None => {
                let answer = forward(&behind, &request)?;
                if let Some(queue) = queue.filter(|_| answer.body.windows(13).any(|part| part == b"ReceiptHandle")) {
                    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    state.received.insert(queue, answer.body.clone());
                }
                answer
            }
            Some(Fault::Throttled) => throttled(&operation),
            Some(Fault::Broken) => refused(&operation, 500, "InternalServerError", "InternalError"),
            Some(Fault::Unavailable) => refused(&operation, 503, "ServiceUnavailable", "ServiceUnavailable"),
            Some(Fault::Silent) => {
                client.set_read_timeout(Some(SILENCE_MAX))?;
                // Until whoever asked has gone.
                let _ = client.read(&mut [0]);
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::CutBefore) => return client.shutdown(Shutdown::Both),
            Some(Fault::CutAfter) => {
                forward(&behind, &request)?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::Partly) => partly(&behind, &operation, request.clone())?,
            Some(Fault::Conflict) => conflict(&operation, &request.body),
            Some(Fault::Twice) => {
                let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let body = queue.and_then(|queue| state.received.get(&queue).cloned()).unwrap_or_default();
                Message { body, ..json(200, "", "") }
            }
        };
        let watch = shared.lock().unwrap_or_else(PoisonError::into_inner).watch.clone();
        if let Some(watch) = watch {
            let mut words = request.first.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let status = answer.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            watch(&Seen { method, target, headers: &request.headers, body: &request.body, status });
        }
        let bodyless =
            request.first.starts_with("HEAD ") || answer.first.contains(" 204") || answer.first.contains(" 304");
        answer.write(&mut client, "keep-alive", !bodyless)?;
    }
    Ok(())
}

fn forward(behind: &str, request: &Message) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(behind)?;
    stream.set_nodelay(true)?;
    request.write(&mut stream, "close", !request.body.is_empty() || request.header("content-length").is_some())?;
    let mut reader = BufReader::new(stream);
    let mut answer = loop {
        let answer = Message::head(&mut reader)?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        if !answer.first.contains(" 100 ") {
            break answer;
        }
    };
    if !request.first.starts_with("HEAD ") {
        answer.read_body(&mut reader, true)?;
    }
    answer.first = answer.first.replacen("HTTP/1.0", "HTTP/1.1", 1);
    Ok(answer)
}

/// `DynamoDB.PutItem`: as [`streamalert_aws::clients::Calls`] counts them.
fn operation(request: &Message) -> String {
    let mut words = request.first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some((service, name)) = request.header("x-amz-target").and_then(|target| target.rsplit_once('.')) {
        let service = service.split('_').next().unwrap_or(service);
        let service = match service {
            "AmazonSQS" => "SQS",
            "AmazonSSM" => "SSM",
            "secretsmanager" => "Secrets Manager",
            other => other,
        };
        return format!("{service}.{name}");
    }
    // A client of S3 says what it is, and the scope of its signature whom it is for.
    let service = request.header("authorization").and_then(|text| text.split('/').nth(3)).unwrap_or("s3");
    match service {
        "s3" => {}
        "lambda" if path.ends_with("/invocations") => return "Lambda.Invoke".into(),
        "sns" | "iam" | "sts" => {
            let form = String::from_utf8_lossy(&request.body);
            let action = form.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or("Unknown").to_owned();
            return format!("{}.{action}", service.to_uppercase());
        }
        other => return format!("{other}.{method}"),
    }
    let is_object = path.trim_matches('/').contains('/');
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let name = match (method, is_object) {
        ("GET", false) if has("list-type") => "ListObjectsV2",
        ("GET", false) if has("versions") => "ListObjectVersions",
        ("POST", false) if has("delete") => "DeleteObjects",
        ("PUT", false) => "CreateBucket",
        ("PUT", true) if request.header("x-amz-copy-source").is_some() => "CopyObject",
        ("PUT", true) if has("partNumber") => "UploadPart",
        ("POST", true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true) => "CompleteMultipartUpload",
        ("PUT", true) => "PutObject",
        ("GET", true) => "GetObject",
        ("HEAD", true) => "HeadObject",
        ("DELETE", true) => "DeleteObject",
        (other, _) => return format!("S3.{other}"),
    };
    format!("S3.{name}")
}

/// Hands on every second entry, and says that the others have failed.
fn partly(behind: &str, operation: &str, mut request: Message) -> std::io::Result<Message> {
    let mut body: Value = serde_json::from_slice(&request.body)?;
    // Of lists, in the request and under which name the rest is told of.
    let mut rest: Vec<Value> = Vec::new();
    let mut halve = |list: &mut Value| -> Vec<Value> {
        let all = std::mem::take(list).as_array().cloned().unwrap_or_default();
        let (kept, left): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(number, _)| number % 2 == 1);
        *list = kept.into_iter().map(|(_, entry)| entry).collect();
        let left: Vec<Value> = left.into_iter().map(|(_, entry)| entry).collect();
        rest.extend(left.iter().cloned());
        left
    };
    let mut unprocessed = body.get("RequestItems").cloned().unwrap_or_default();
    if let Some(tables) = body.get_mut("RequestItems").and_then(Value::as_object_mut) {
        for (table, asked) in tables {
            if asked.is_array() {
                unprocessed[table] = halve(asked).into();
            } else {
                unprocessed[table]["Keys"] = halve(&mut asked["Keys"]).into();
            }
        }
    } else {
        let name = if operation.starts_with("SQS") { "Entries" } else { "Records" };
        halve(&mut body[name]);
    }
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let nothing = match body.get("RequestItems").and_then(Value::as_object) {
        Some(tables) => tables.values().all(|asked| is_empty(asked) || asked.get("Keys").is_some_and(is_empty)),
        None => ["Entries", "Records"].iter().any(|name| body.get(*name).is_some_and(is_empty)),
    };
    request.body = body.to_string().into_bytes();
    let mut answer = if nothing { json(200, "", "") } else { forward(behind, &request)? };
    if !answer.first.contains(" 200") {
        return Ok(answer);
    }
    let mut said: Value = if nothing { json!({}) } else { serde_json::from_slice(&answer.body)? };
    match operation {
        "DynamoDB.BatchGetItem" => {
            said["UnprocessedKeys"] = unprocessed;
            if nothing {
                said["Responses"] = json!({});
            }
        }
        "DynamoDB.BatchWriteItem" => said["UnprocessedItems"] = unprocessed,
        "Firehose.PutRecordBatch" => {
            let mut done = said["RequestResponses"].as_array().cloned().unwrap_or_default().into_iter();
            let failed = json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."});
            let all = (0..rest.len() + done.len()).map(|number| if number % 2 == 1 { done.next() } else { None });
            said["RequestResponses"] = all.map(|one| one.unwrap_or_else(|| failed.clone())).collect();
            said["FailedPutCount"] = rest.len().into();
            said["Encrypted"] = false.into();
        }
        _ => {
            let failed = |entry: &Value| json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"});
            said["Failed"] = rest.iter().map(failed).collect();
            if nothing {
                said["Successful"] = json!([]);
            }
        }
    }
    answer.body = said.to_string().into_bytes();
    answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-amz-crc32"));
    Ok(answer)
}

fn conflict(operation: &str, body: &[u8]) -> Message {
    if operation != "DynamoDB.TransactWriteItems" {
        return json(400, "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "Transaction is ongoing");
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let count = body["TransactItems"].as_array().map_or(0, Vec::len);
    let reason = |number: usize| json!({"Code": if number + 1 == count { "TransactionConflict" } else { "None" }});
    let code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let reasons: Vec<Value> = (0..count).map(reason).collect();
    let said = json!({"__type": code, "message": "Transaction cancelled", "CancellationReasons": reasons});
    Message { body: said.to_string().into_bytes(), ..json(400, code, "") }
}

/// A text of a JSON object.
fn text_of(body: &[u8], name: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    Some(value.get(name)?.as_str()?.to_owned())
}

fn throttled(operation: &str) -> Message {
    match operation.split('.').next().unwrap_or_default() {
        "S3" => xml(503, "SlowDown", false),
        "SNS" | "IAM" | "STS" => xml(400, "Throttling", true),
        "Lambda" | "lambda" => json(429, "TooManyRequestsException", "Rate exceeded"),
        "SQS" => json(400, "com.amazonaws.sqs#ThrottlingException", "Rate exceeded"),
        _ => json(400, "ThrottlingException", "Rate exceeded"),
    }
}

fn refused(operation: &str, status: u16, code: &str, s3_code: &str) -> Message {
    match operation.split('.').next().unwrap_or_default() {
        "S3" => xml(status, s3_code, false),
        "SNS" | "IAM" | "STS" => xml(status, s3_code, true),
        _ => json(status, code, "by the fault proxy"),
    }
}

fn json(status: u16, code: &str, message: &str) -> Message {
    Message {
        first: format!("HTTP/1.1 {status} Said"),
        headers: vec![
            ("Content-Type".into(), "application/x-amz-json-1.0".into()),
            ("x-amzn-RequestId".into(), "by-the-fault-proxy".into()),
            ("x-amzn-ErrorType".into(), code.into()),
        ]
        .into_iter()
        .filter(|(_, value): &(String, String)| !value.is_empty())
        .collect(),
        body: json!({"__type": code, "message": message}).to_string().into_bytes(),
    }
}

/// The query protocol wraps its errors.
fn xml(status: u16, code: &str, wrapped: bool) -> Message {
    let mut body = format!("<Error><Code>{code}</Code><Message>by the fault proxy</Message></Error>");
    if wrapped {
        body = format!("<ErrorResponse>{body}</ErrorResponse>");
    }
    Message {
        first: format!("HTTP/1.1 {status} Said"),
        headers: vec![("Content-Type".into(), "application/xml".into())],
        body: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}").into_bytes(),
    }
}

/// A proxy before a stand-in, and an installation that is reached directly and through it.
pub fn before(standin: &Standin, name: &str) -> (FaultProxy, standins::Place, standins::Place) {
    let proxy = FaultProxy::start(&standin.endpoint);
    let direct = standin.place(name);
    let through = direct.through(&proxy.connection());
    (proxy, direct, through)
}

#[test]
fn each_fault_is_what_it_says() {
    let Some(standin) = standins::ministack() else { return };
    let (proxy, direct, through) = before(standin, "faults");
    direct.data_bucket();
    direct.rules_table();
    let (url, _) = direct.records_queue();
    let impatient = Connection { attempts: 1, ..proxy.connection() };
    let once = direct.through(&impatient);
    let bucket = direct.names.data_bucket();
    let put = |place: &standins::Place, key: &str| {
        let put = place.aws.s3.put_object().bucket(&bucket).key(key).body(b"text".to_vec().into());
        place.aws.wait(put.send()).is_ok()
    };
    let is_there = |key: &str| {
        let got = direct.aws.s3.head_object().bucket(&bucket).key(key);
        direct.aws.wait(got.send()).is_ok()
    };
    assert!(put(&once, "plain") && is_there("plain"), "nothing fails by itself");
    for (fault, happens) in [
        (Fault::Throttled, false),
        (Fault::Broken, false),
        (Fault::Unavailable, false),
        (Fault::Silent, false),
        (Fault::CutBefore, false),
        (Fault::CutAfter, true),
    ] {
        let key = format!("{fault:?}");
        proxy.next("S3.PutObject", 1, fault);
        assert!(!put(&once, &key), "{fault:?} fails");
        assert_eq!(is_there(&key), happens, "{fault:?}");
        // Whoever is patient comes through, also with a table and a queue.
        for operation in ["S3.PutObject", "DynamoDB.PutItem", "SQS.SendMessage"] {
            proxy.next(operation, 2, fault);
        }
        assert!(put(&through, &format!("patient {fault:?}")));
        let item = through.aws.dynamodb.put_item().table_name(through.names.rules_table());
        let item = item.item("rule", aws_sdk_dynamodb::types::AttributeValue::S("r".into()));
        through.aws.wait(item.send()).unwrap();
        through.aws.wait(through.aws.sqs.send_message().queue_url(&url).message_body(&key).send()).unwrap();
        let failed = proxy.failed();
        for (operation, count) in [("S3.PutObject", 3), ("DynamoDB.PutItem", 2), ("SQS.SendMessage", 2)] {
            assert_eq!(failed.get(&(fault, operation.to_owned())), Some(&count), "{fault:?} {operation}");
        }
    }
    let receive = || {
        let receive = through.aws.sqs.receive_message().queue_url(&url).max_number_of_messages(1);
        through.aws.wait(receive.send()).unwrap().messages.unwrap().remove(0)
    };
    let first = receive();
    proxy.next("SQS.ReceiveMessage", 1, Fault::Twice);
    let again = receive();
    assert_eq!((&first.message_id, &first.body), (&again.message_id, &again.body));
    assert_eq!(first.receipt_handle, again.receipt_handle);
    assert_ne!(receive().message_id, first.message_id);
}

#[test]
fn some_entries_of_a_call_fail() {
    let Some(standin) = standins::ministack() else { return };
    let (proxy, direct, through) = before(standin, "partly");
    let (url, _) = direct.records_queue();
    let send = |count: usize| {
        let entry = |number: usize| {
            let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder().id(number.to_string());
            entry.message_body("text").build().unwrap()
        };
        let send = through.aws.sqs.send_message_batch().queue_url(&url);
        let sent = through.aws.wait(send.set_entries(Some((0..count).map(entry).collect())).send()).unwrap();
        let failed: Vec<&str> = sent.failed().iter().map(|failed| failed.id()).collect();
        let done: Vec<&str> = sent.successful().iter().map(|done| done.id()).collect();
        (failed.join(" "), done.join(" "))
    };
    proxy.next("SQS.SendMessageBatch", 2, Fault::Partly);
    assert_eq!(send(5), ("0 2 4".into(), "1 3".into()));
    assert_eq!(send(1), ("0".into(), String::new()));
    direct.data_bucket();
    let stream = direct.archive_stream("test:row");
    proxy.next("Firehose.PutRecordBatch", 1, Fault::Partly);
    let record = |_| aws_sdk_firehose::types::Record::builder().data(b"{}\n".to_vec().into()).build().unwrap();
    let put = through.aws.firehose.put_record_batch().delivery_stream_name(stream);
    let put = through.aws.wait(put.set_records(Some((0..5).map(record).collect())).send()).unwrap();
    let failed: Vec<bool> = put.request_responses().iter().map(|one| one.error_code().is_some()).collect();
    assert_eq!((put.failed_put_count(), failed), (3, vec![true, false, true, false, true]));
}

#[test]
fn equal_seeds_fail_equally() {
    let Some(standin) = standins::ministack() else { return };
    let (proxy, direct, _) = before(standin, "seeds");
    direct.data_bucket();
    let bucket = direct.names.data_bucket();
    let impatient = direct.through(&Connection { attempts: 1, ..proxy.connection() });
    proxy.failing(0.3);
    let run = |seed: u64| -> Vec<bool> {
        proxy.seed(seed);
        let list = || impatient.aws.s3.list_objects_v2().bucket(&bucket).send();
        (0..60).map(|_| impatient.aws.wait(list()).is_ok()).collect()
    };
    let (one, two, again) = (run(1), run(2), run(1));
    assert_eq!(one, again);
    assert_ne!(one, two);
    let failed = one.iter().filter(|ok| !**ok).count();
    assert!((8..=30).contains(&failed), "{failed} of 60");
    println!("{}", proxy.summary());
}
