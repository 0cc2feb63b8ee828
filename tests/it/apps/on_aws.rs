//! Apps on a stand-in for AWS: the function that fetches, the classifier it hands logs to, and its table, each of which may fail at
//! any step.

use super::duo::{Authentication, KEY, SECRET};
use super::site::{Event, Quiet, Vendor, component};
use crate::installation::{Installation, invoke};
use crate::standins::{self, Standin, connection};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use streamalert_aws::app_table::{DynamoApps, definition};
use streamalert_aws::secrets::SsmSecrets;
use streamalert_lambdas::function::Function;
use streamalert_pipeline::apps::AppState;
use streamalert_pipeline::backend::{AppTable, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::apps::secrets_of;

const PAGE: usize = 10;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn events(count: usize) -> Vec<Event> {
    let vendor = Authentication(PAGE);
    let event = |number: usize| {
        let at = now() - 3_000 + number as i64;
        Event { at, stored: at, log: vendor.event(number, at) }
    };
    (0..count).map(event).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fails {
    Before,
    After,
}

/// What stands before the stand-in: invocations are its own affair, and a call that matters may fail.
#[derive(Default)]
struct Between {
    classifier: OnceLock<Arc<dyn Function>>,
    /// Events of functions that were not waited for.
    invoked: Mutex<Vec<Value>>,
    /// Writes and invocations until one fails, and how it does.
    fails: Mutex<Option<(usize, Fails)>>,
    calls: Mutex<usize>,
}

impl Between {
    fn start(standin: &'static Standin) -> (Arc<Self>, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let between = Arc::new(Between::default());
        let shared = between.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let between = shared.clone();
                // A client that goes away is no concern of ours.
                std::thread::spawn(move || drop(between.serve(stream, standin)));
            }
        });
        (between, endpoint)
    }

    fn serve(&self, mut stream: TcpStream, standin: &Standin) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut head, mut length, mut target) = (String::new(), 0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if let Some(value) = lower.strip_prefix("x-amz-target:") {
                target = value.trim().to_owned();
            }
            if line == "\r\n" {
                break;
            }
            // One request for each connection: then nothing is left over.
            if !lower.starts_with("connection:") {
                head += &line;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let invocation = path.split("/functions/").nth(1).and_then(|rest| rest.split("/invocations").next());
        let matters = target.ends_with(".putitem") || invocation.is_some_and(|name| name.contains("classifier"));
        let fails = if matters { self.fails() } else { None };
        if fails == Some(Fails::Before) {
            return Ok(());
        }
        let answer = match invocation {
            Some(name) => self.invocation(name, &body),
            None => forward(&standin.endpoint, &head, &body)?,
        };
        if fails == Some(Fails::After) {
            return Ok(());
        }
        stream.write_all(&answer)
    }

    fn fails(&self) -> Option<Fails> {
        *self.calls.lock().unwrap() += 1;
        let mut fails = self.fails.lock().unwrap();
        match *fails {
            Some((0, how)) => Some(how),
            Some((left, how)) => {
                *fails = Some((left - 1, how));
                None
            }
            None => None,
        }
    }

    fn invocation(&self, name: &str, body: &[u8]) -> Vec<u8> {
        let answer = |status: u16, body: String| {
            format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                .into_bytes()
        };
        if !name.contains("classifier") {
            self.invoked.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            return answer(202, String::new());
        }
        let event: Value = serde_json::from_slice(body).unwrap();
        match self.classifier.get().map(|function| invoke(function, &event)) {
            Some(Ok(answered)) => answer(200, answered.to_string()),
            Some(Err(error)) => panic!("the classifier fails: {error}"),
            None => answer(404, "{}".into()),
        }
    }
}

fn forward(endpoint: &str, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(endpoint.trim_start_matches("http://"))?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

struct Stage {
    installation: Installation,
    between: Arc<Between>,
    table: DynamoApps,
    apps: Arc<dyn Function>,
}

impl Stage {
    fn new(standin: &'static Standin, service: &Quiet) -> Stage {
        let installation = Installation::new(standin, "apps");
        let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/schemas/duo.json");
        installation.put_rules("conf/schemas/duo.json", std::fs::read(schemas).unwrap());
        let clusters = json!({"data_sources": {"streamalert_app": {"northwind": ["duo"]}}});
        installation.put_rules("conf/clusters/c.json", clusters.to_string());
        let app = json!({
            "type": "duo_auth", "start": "1h", "settings": {"api_hostname": service.url, "integration_key": KEY},
            "hosts": [service.origin()], "private_networks": true, "rate": 1_000,
        });
        installation.put_rules("conf/apps.json", json!({ "northwind": app }).to_string());
        installation.put_rules("plugins/duo_app.wasm", component("duo_app.wasm"));
        let aws = &installation.place.aws;
        let table = definition(&installation.place.names.apps_table());
        aws.wait(table.send_with(&aws.dynamodb)).unwrap();
        let secrets = SsmSecrets::new(aws.clone(), &installation.place.names);
        let secret = BTreeMap::from([("secret_key".to_owned(), SECRET.to_owned())]);
        secrets.put(&secrets_of("northwind"), &secret).unwrap();
        let (between, endpoint) = Between::start(standin);
        let _ = between.classifier.set(installation.function("classifier"));
        let mut through = installation.through(&connection(&endpoint));
        through.variables.insert("STREAMALERT_REFRESH_MS", "30000".into());
        Stage {
            table: DynamoApps::new(installation.place.aws.clone(), &installation.place.names),
            apps: through.function("apps"),
            installation,
            between,
        }
    }

    fn turn(&self) -> Result<Value, String> {
        let event = json!({"app": "northwind", "now": true}).to_string();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(200);
        self.apps
            .handle(event.as_bytes(), deadline)
            .map(|said| said["northwind"].clone())
            .map_err(|error| format!("{error:#}"))
    }

    /// Identities of the records that are on their way to the rules, each as often as it is there.
    fn identities(&self) -> Vec<String> {
        let batches = self.installation.queued();
        let identity = |record: &streamalert_pipeline::record_batch::BatchRecord| format!("{:?}", record.identity);
        batches.iter().flat_map(|batch| &batch.records).map(identity).collect()
    }
}

#[test]
fn the_function_fetches_and_the_classifier_takes() {
    let Some(standin) = standins::ministack() else { return };
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(35), now());
    let stage = Stage::new(standin, &service);
    // Every minute it looks whose turn it is, and has another invocation take it.
    let looked = invoke(&stage.apps, &json!({})).unwrap();
    assert_eq!(looked, json!({"northwind": "invoked"}));
    assert_eq!(*stage.between.invoked.lock().unwrap(), [json!({"app": "northwind"})]);
    let turned = stage.turn().unwrap();
    assert_eq!((&turned["ended"], &turned["logs"], &turned["pages"]), (&json!("done"), &json!(35), &json!(4)));
    let identities = stage.identities();
    assert_eq!((identities.len(), identities.iter().collect::<BTreeSet<_>>().len()), (35, 35));
    // It is nobody's turn now.
    assert_eq!(invoke(&stage.apps, &json!({})).unwrap(), json!({}));
    assert_eq!(invoke(&stage.apps, &json!({"app": "northwind"})).unwrap()["northwind"]["ended"], "not_due");
    let state = stage.table.get("northwind").unwrap().unwrap();
    assert_eq!((state.logs, &state.lease, state.error), (35, &None, None));
    // Begun anew, the same records come.
    stage.table.remove("northwind").unwrap();
    stage.turn().unwrap();
    assert_eq!(stage.identities().into_iter().collect::<BTreeSet<_>>(), identities.into_iter().collect());
    // Somebody else is at it.
    let state = stage.table.get("northwind").unwrap().unwrap();
    let lease =
        Some(streamalert_pipeline::apps::AppLease { owner: "other".into(), until: (now() + 60) * 1000, since: 0 });
    stage.table.put("northwind", &AppState { lease, ..state.clone() }, Some(state.revision)).unwrap();
    assert_eq!(stage.turn().unwrap()["ended"], "taken");
    // What keeps it from beginning is in its state, where `app status` finds it.
    let state = stage.table.get("northwind").unwrap().unwrap();
    stage.table.put("northwind", &AppState { lease: None, ..state.clone() }, Some(state.revision)).unwrap();
    let place = &stage.installation.place;
    let secrets = SsmSecrets::new(place.aws.clone(), &place.names);
    secrets.delete(&secrets_of("northwind")).unwrap();
    let told = stage.turn().unwrap_err();
    assert!(told.contains("app northwind: is not ready: secret_key is missing"), "{told}");
    let state = stage.table.get("northwind").unwrap().unwrap();
    assert!(state.refused && state.error.is_some_and(|error| error.contains("secret_key is missing")));
    let secret = BTreeMap::from([("secret_key".to_owned(), SECRET.to_owned())]);
    secrets.put(&secrets_of("northwind"), &secret).unwrap();
    stage.turn().unwrap();
    assert!(!stage.table.get("northwind").unwrap().unwrap().refused);
}

/// Each write to the table and each invocation of the classifier fails once, before and after it was heard, and the function with it.
/// All clients give up after that call: so the process is as good as dead.
#[test]
fn whatever_call_fails_nothing_is_lost_and_no_record_becomes_two() {
    let Some(standin) = standins::ministack() else { return };
    let events = events(25);
    let service = Quiet::start(Box::new(Authentication(PAGE)), events, now());
    let stage = Stage::new(standin, &service);
    stage.turn().unwrap();
    let calls = std::mem::take(&mut *stage.between.calls.lock().unwrap());
    let all: BTreeSet<String> = stage.identities().into_iter().collect();
    assert_eq!(all.len(), 25);
    let mut failures = 0;
    for at in 0..calls {
        for how in [Fails::Before, Fails::After] {
            stage.table.remove("northwind").unwrap();
            *stage.between.fails.lock().unwrap() = Some((at, how));
            let turned = stage.turn();
            *stage.between.fails.lock().unwrap() = None;
            failures += usize::from(turned.as_ref().map_or(true, |turned| turned["ended"] == "failed"));
            // Its lease ends by itself, some minutes later.
            if let Some(state) = stage.table.get("northwind").unwrap() {
                let free = AppState { lease: None, ..state.clone() };
                stage.table.put("northwind", &free, Some(state.revision)).unwrap();
            }
            let again = stage.turn();
            assert_eq!(again.as_ref().map(|turned| &turned["ended"]), Ok(&json!("done")), "{at} {how:?}: {turned:?}");
            let identities = stage.identities();
            assert_eq!(identities.iter().cloned().collect::<BTreeSet<_>>(), all, "{at} {how:?}");
            // The client tries again, some times, what it has no answer to: a page then comes as often.
            assert!(identities.len() <= 25 + 6 * PAGE, "{at} {how:?}: {} records", identities.len());
            let state = stage.table.get("northwind").unwrap().unwrap();
            assert_eq!((state.lease, state.error), (None, None), "{at} {how:?}");
        }
    }
    assert!(failures >= calls, "{failures} of {calls} calls, each failed twice");
}

#[test]
fn of_two_who_write_after_the_same_state_one_succeeds() {
    for standin in standins::all() {
        let place = standin.place("apptable");
        let table = DynamoApps::new(place.aws.clone(), &place.names);
        place.aws.wait(definition(&place.names.apps_table()).send_with(&place.aws.dynamodb)).unwrap();
        let state = |since| AppState { since, cursor: Some("ü".repeat(60_000)), ..AppState::default() };
        let conflict = |done: Result<u64, streamalert_pipeline::backend::BackendError>| {
            done.unwrap_err().kind == BackendErrorKind::Conflict
        };
        assert_eq!(table.get("a").unwrap(), None);
        let first = table.put("a", &state(1), None).unwrap();
        assert!(conflict(table.put("a", &state(2), None)), "{}", standin.name);
        let second = table.put("a", &state(3), Some(first)).unwrap();
        assert!(conflict(table.put("a", &state(4), Some(first))), "{}", standin.name);
        // The answer to the same write was lost, and it is made again.
        assert_eq!(table.put("a", &state(3), Some(first)).unwrap(), second);
        assert_eq!(table.get("a").unwrap(), Some(AppState { revision: second, ..state(3) }));
        table.remove("a").unwrap();
        assert!(conflict(table.put("a", &state(5), Some(second))), "{}: what was removed stays so", standin.name);
        assert_eq!(table.all().unwrap().len(), 0);
        // Nor is one that is made anew taken for the one that was.
        let anew = table.put("a", &state(6), None).unwrap();
        table.put("a", &state(7), Some(anew)).unwrap();
        for was in [first, second] {
            assert!(conflict(table.put("a", &state(8), Some(was))), "{}", standin.name);
        }
        assert_eq!(table.get("a").unwrap().map(|there| there.since), Some(7));
    }
}
