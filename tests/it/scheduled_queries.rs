//! Scheduled queries: on one machine with an engine that a test scripts, killed again and again; on AWS with an Athena that a test
//! scripts, beside a stand-in for all else.

use crate::installation::{Installation, invoke};
use crate::run_world::{EVERY_ROW, Guest, World, eventually, program};
use crate::scripted::{self, Answer, Request};
use crate::standins::{self, Standin};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use streamalert_aws::Connection;
use streamalert_aws::objects::Bucket;

const SCHEMA: &str = include_str!("../../conf/schemas/streamalert.json");
const MINUTE: i64 = 60_000;

fn every_result() -> Vec<u8> {
    let options = r#"{"severity": "low", "outputs": []}"#;
    let rules = vec![("every_row", EVERY_ROW)];
    Guest { rules, logs: "streamalert:query_result", options, ..Guest::default() }.build()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

/// What identifies a row: clock and row number, and what is in it.
fn told(record: &Value) -> (String, u64, String) {
    let execution = &record["execution"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&execution["clock"]), execution["row"].as_u64().unwrap(), record["data"]["rows"].to_string())
}

#[cfg(unix)]
mod here {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// A world whose engine answers as the script says, which has the question as `$2`.
    struct Asking {
        world: World,
        program: PathBuf,
    }

    impl Asking {
        fn new(script: &str, queries: &Value) -> Asking {
            let world = World::new();
            world.write("conf/schemas/streamalert.json", SCHEMA);
            world.write("plugins/every_row.wasm", every_result());
            world.write("conf/scheduled_queries.json", queries.to_string());
            let program_here = world.at("bin/streamalert");
            let search = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\n".to_owned() + script;
            world.write("bin/streamalert-search", search);
            std::fs::set_permissions(world.at("bin/streamalert-search"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
            // The file itself: a link to a link would be looked beside where that leads.
            let program = program().canonicalize().unwrap();
            if std::fs::hard_link(&program, &program_here).is_err() {
                std::fs::copy(&program, &program_here).unwrap();
            }
            std::fs::create_dir(world.at("inbox")).unwrap();
            std::fs::create_dir(world.at("data")).unwrap();
            Asking { world, program: program_here }
        }

        fn command(&self, arguments: &[&str]) -> Command {
            let mut command = Command::new(&self.program);
            command.args(arguments).current_dir(self.world.at("")).env("NO_COLOR", "1").stdin(Stdio::null());
            command
        }

        #[track_caller]
        fn said(&self, arguments: &[&str], code: i32) -> String {
            let output = self.command(arguments).output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
            told
        }

        fn start(&self) -> std::process::Child {
            let mut command = self.command(&["run", "--watch", "inbox", "--skip-rule-staging"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        }

        fn history(&self) -> Vec<Value> {
            let told = self.said(&["queries", "history", "--output", "json"], 0);
            told.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        /// Rows that raised alerts, each as often as it did.
        fn rows(&self) -> Vec<(String, u64, String)> {
            let record =
                |alert: &streamalert_pipeline::alert::Alert| serde_json::to_value(alert).unwrap()["record"].clone();
            let mut rows: Vec<_> = self.world.alerts().iter().map(record).map(|record| told(&record)).collect();
            rows.sort();
            rows
        }

        fn state(&self, key: &str, state: &Value) {
            self.world.write(&format!("data/queries/{key}.json"), state.to_string());
        }
    }

    fn end(mut run: std::process::Child) {
        Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
        let begun = Instant::now();
        while run.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn queries(schedule: &str, sql: &str) -> Value {
        json!({"packs": {"p": {"schedule": schedule, "catch_up": 3, "delay_seconds": 0}},
            "queries": {"q": {"description": "what", "query": sql, "tags": ["p"]}}})
    }

    #[test]
    fn what_is_asked_for_and_what_was_missed_becomes_events() {
        // Two rows that are the same, and one with a number that only the clock says.
        let script = "echo '{\"n\":1}'; echo '{\"n\":1}'; echo \"{\\\"at\\\":\\\"$2\\\"}\"";
        let asking = Asking::new(script, &queries("rate(1 hour)", "{utcdatehour}"));
        assert!(asking.said(&["queries", "list"], 0).contains("idle   q  p rate(1 hour)"));
        let told = asking.said(&["queries", "run", "q", "--at", "2026-01-02T03:04:05Z", "--dry-run"], 0);
        assert_eq!(told, "2026-01-02-03\n");
        assert!(asking.said(&["queries", "run", "nope"], 2).contains("there is no query nope; there are q"));
        // Two hours were missed, and one that somebody asks for.
        let hour = 60 * MINUTE;
        let last = now() / hour * hour - 2 * hour;
        asking.state("q.p", &json!({"since": last, "last": last}));
        asking.said(&["queries", "run", "q", "--at", "2026-01-02T03:00:00Z"], 0);
        let run = asking.start();
        eventually("three runs are over", || asking.history().len() == 3);
        end(run);
        let rows = asking.rows();
        assert_eq!(rows.len(), 9, "{rows:#?}");
        let clocks: BTreeSet<&str> = rows.iter().map(|(clock, _, _)| clock.as_str()).collect();
        assert_eq!(clocks.len(), 3);
        assert!(
            rows.contains(&("2026-01-02T03:00:00.000Z".into(), 3, r#"[{"at":"2026-01-02-03"}]"#.into())),
            "{rows:#?}"
        );
        assert!(asking.history().iter().all(|past| past["outcome"] == "done" && past["rows"] == 3));
        assert_eq!(std::fs::read_dir(asking.world.at("data/queries/answers")).unwrap().count(), 0);

        // Asked again for the same time, in another order: the same rows, and nothing is raised twice.
        asking.world.write("bin/streamalert-search", "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\necho \"{\\\"at\\\":\\\"$2\\\"}\"; echo '{\"n\":1}'; echo '{\"n\":1}'\n");
        asking.said(&["queries", "run", "q", "--at", "2026-01-02T03:00:00Z"], 0);
        let run = asking.start();
        eventually("it was asked again", || asking.history().len() == 4);
        end(run);
        assert_eq!(asking.rows(), rows);
    }

    #[test]
    fn a_question_waits_for_what_is_on_its_way_and_keeps_its_time() {
        let script = "echo \"{\\\"at\\\":\\\"$2\\\",\\\"asked\\\":$(date +%s)}\"";
        let begun = now();
        let clock = begun / MINUTE * MINUTE;
        // Due some seconds from now, whenever within a minute that is.
        let delay = (begun - clock) / 1000 + 6;
        let queries = json!({"packs": {"p": {"schedule": "rate(1 minute)", "delay_seconds": delay}},
            "queries": {"q": {"query": "{utctimestamp}", "tags": ["p"]}}});
        let asking = Asking::new(script, &queries);
        asking.state("q.p", &json!({"since": clock - MINUTE, "last": clock - MINUTE}));
        let run = asking.start();
        eventually("it is asked", || asking.history().len() == 1);
        end(run);
        let rows = asking.rows();
        let (_, _, row) = &rows[0];
        let row: Value = serde_json::from_str(row).unwrap();
        assert_eq!(row[0]["at"], (clock / 1000).to_string(), "for the time of the schedule: {row}");
        assert!(row[0]["asked"].as_i64().unwrap() >= clock / 1000 + delay, "{row}, and {delay} s after {clock}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_mistake_and_no_query_that_was_never_asked() {
        let asking = Asking::new("echo", &queries("rate(1 hour)", "{utcdatehour}"));
        for arguments in [&["list"][..], &["history"], &["run", "q"]] {
            let all: Vec<&str> = [&["queries"], arguments, &["--data", "dta"]].concat();
            assert!(asking.said(&all, 2).contains("there is no data folder dta"));
        }
        // Nothing of it is needed to see the question.
        let told =
            asking.said(&["queries", "run", "q", "--at", "2026-01-02T03:04:05Z", "--dry-run", "--data", "dta"], 0);
        assert_eq!(told, "2026-01-02-03\n");
        assert!(!asking.world.at("dta").exists());
    }

    #[test]
    fn a_query_that_finds_its_own_answers_is_warned_of() {
        let asking = Asking::new("echo", &queries("rate(1 hour)", "SELECT * FROM streamalert_query_result"));
        let part = "queries.q.query: reads streamalert_query_result";
        assert!(asking.said(&["schema", "check"], 0).contains(part));
        let output = asking.command(&["run", "--watch", "inbox"]).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(2));
        Command::new("kill").args(["-TERM", &output.id().to_string()]).status().unwrap();
        let said = String::from_utf8(output.wait_with_output().unwrap().stderr).unwrap();
        assert!(said.contains(part), "{said}");
        asking.world.write("conf/archive.json", r#"{"except": ["streamalert:query_result"]}"#);
        assert!(!asking.said(&["schema", "check"], 0).contains(part));
    }

    #[test]
    fn what_fails_is_an_event_and_is_seen() {
        let script = "echo half; echo 'error: there is no table t' >&2; exit 2";
        let asking = Asking::new(script, &queries("rate(1 hour)", "SELECT * FROM t"));
        asking.said(&["queries", "run", "q", "--at", "2026-01-02T03:00:00Z"], 0);
        let run = asking.start();
        eventually("it has failed", || asking.history().len() == 1);
        end(run);
        let past = asking.history().remove(0);
        assert_eq!((&past["outcome"], &past["error"]), (&json!("failed"), &json!("there is no table t")));
        assert!(
            asking
                .said(&["queries", "history", "--failed"], 0)
                .contains("failed after 1 attempts: there is no table t")
        );
        let alerts = asking.world.alerts();
        assert_eq!(alerts.len(), 1);
        let record = serde_json::to_value(&alerts[0]).unwrap()["record"].clone();
        assert_eq!(record["execution"]["error"]["description"], "there is no table t");
        // What was missed and is too much to be caught up is told.
        let hour = 60 * MINUTE;
        let last = now() / hour * hour - 10 * hour;
        asking.world.write("bin/streamalert-search", "#!/bin/sh\n");
        asking.state("q.p", &json!({"since": last, "last": last}));
        let run = asking.start();
        eventually("three of ten are caught up", || asking.history().len() == 4);
        end(run);
        let history = asking.history();
        assert!(history.iter().any(|past| past["outcome"] == "missed" && past["schedules"] == 7), "{history:#?}");
        // No rows are an answer, too.
        assert_eq!(asking.world.alerts().len(), 4);
    }

    #[test]
    fn killed_at_any_of_a_hundred_moments_every_row_is_one_alert() {
        const CLOCKS: i64 = 40;
        let script = "sleep 0.0$(($$ % 9)); for n in 1 2 2 3; do echo \"{\\\"n\\\":$n,\\\"at\\\":\\\"$2\\\"}\"; done";
        let asking = Asking::new(script, &queries("rate(1 day)", "{utctimestamp}"));
        let asked: Vec<i64> = (0..CLOCKS).map(|n| n * MINUTE).collect();
        asking.state("q.p", &json!({"since": now(), "asked": asked}));
        let mut dice = crate::run_world::Dice::new();
        let done = |asking: &Asking| {
            let text = std::fs::read(asking.world.at("data/queries/q.p.json")).unwrap();
            let state: Value = serde_json::from_slice(&text).unwrap();
            state["asked"].as_array().unwrap().is_empty() && state["run"].is_null()
        };
        let (mut kills, mut in_hand, mut moments) = (0, 0, Vec::new());
        while kills < 100 {
            // When all is done before it was killed a hundred times, more is asked for: the same once more.
            if done(&asking) {
                asking.state("q.p", &json!({"since": now(), "asked": asked}));
            }
            let mut run = asking.start();
            let moment = 100 + dice.below(500);
            moments.push(moment);
            std::thread::sleep(Duration::from_millis(moment));
            run.kill().unwrap();
            run.wait().unwrap();
            kills += 1;
            let state: Value =
                serde_json::from_slice(&std::fs::read(asking.world.at("data/queries/q.p.json")).unwrap()).unwrap();
            in_hand += u32::from(state["run"].is_object());
        }
        println!("{in_hand} of {kills} deaths with a query in hand");
        assert!(in_hand > 10, "it was killed before it did anything");
        let run = asking.start();
        eventually("all that was asked for is answered", || done(&asking));
        end(run);
        let rows = asking.rows();
        let mut expected = BTreeMap::new();
        for (clock, row, of) in &rows {
            *expected.entry(clock.clone()).or_insert(0) += 1;
            assert!((1..=4).contains(row), "{clock} {row} {of}");
        }
        assert_eq!(expected.len() as i64, CLOCKS, "killed after {moments:?} ms");
        assert!(expected.values().all(|count| *count == 4), "each row once: {expected:?}; killed after {moments:?} ms");
        assert!(asking.world.dead().is_empty(), "{:?}", asking.world.dead());
    }
}

/// What an Athena does with questions, and what it was asked.
#[derive(Default)]
struct Athena {
    /// By token: the question.
    started: BTreeMap<String, String>,
    starts: usize,
    /// Looks at each before it is done.
    looks: BTreeMap<String, u32>,
    stopped: Vec<String>,
}

/// Athena as the test says, all else as a stand-in does it.
fn beside(standin: &'static Standin, rows: usize, never: bool) -> (Connection, Arc<Mutex<Athena>>) {
    let athena: Arc<Mutex<Athena>> = Arc::default();
    let kept = athena.clone();
    let endpoint = scripted::start(move |request: &Request| {
        let Some(operation) = request.header("x-amz-target").strip_prefix("AmazonAthena.") else {
            return forward(&standin.endpoint, request);
        };
        let asked = request.json();
        let mut kept = kept.lock().unwrap();
        let id = asked["QueryExecutionId"].as_str().unwrap_or_default().to_owned();
        let answer = match operation {
            "StartQueryExecution" => {
                let sql = asked["QueryString"].as_str().unwrap().to_owned();
                if sql.contains("no_such_table") {
                    let refused = json!({"__type": "InvalidRequestException", "Message": "line 1:15: no_such_table"});
                    return Answer::json(400, &refused);
                }
                let token = asked["ClientRequestToken"].as_str().unwrap().to_owned();
                kept.starts += usize::from(!kept.started.contains_key(&token));
                kept.started.insert(token.clone(), sql);
                json!({ "QueryExecutionId": token })
            }
            "GetQueryExecution" => {
                let looks = kept.looks.entry(id).or_default();
                *looks += 1;
                let state = if never || *looks < 2 { "RUNNING" } else { "SUCCEEDED" };
                json!({"QueryExecution": {"StatementType": "DML", "Status": {"State": state},
                    "Statistics": {"DataScannedInBytes": 99, "TotalExecutionTimeInMillis": 7}}})
            }
            "StopQueryExecution" => {
                kept.stopped.push(id);
                json!({})
            }
            "GetQueryResults" => {
                let from: usize = asked["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let row =
                    |n: usize| json!({"Data": [{"VarCharValue": if n == 0 { "n".into() } else { n.to_string() }}]});
                let to = (from + 1000).min(rows + 1);
                let list: Vec<Value> = (from..to).map(row).collect();
                let columns = json!([{"Name": "n", "Type": "bigint"}]);
                let mut answer = json!({"ResultSet": {"Rows": list, "ResultSetMetadata": {"ColumnInfo": columns}}});
                if to < rows + 1 {
                    answer["NextToken"] = to.to_string().into();
                }
                answer
            }
            other => panic!("{other} is never called"),
        };
        Answer::json(200, &answer)
    });
    (standins::connection(&endpoint), athena)
}

/// As if it had gone there.
fn forward(endpoint: &str, request: &Request) -> Answer {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in
        request.headers.iter().filter(|(name, _)| !["connection", "content-length"].contains(&name.as_str()))
    {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\nconnection: close\r\n\r\n", request.body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let (mut headers, mut length, mut chunked) = (Vec::new(), None, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse::<usize>().ok(),
            "transfer-encoding" => chunked = true,
            "connection" => {}
            // A few names, as long as the tests run.
            name => headers.push((&*name.to_owned().leak(), value.to_owned())),
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else if request.method != "HEAD" {
        match length {
            Some(length) => {
                body.resize(length, 0);
                reader.read_exact(&mut body).unwrap();
            }
            None => drop(reader.read_to_end(&mut body).unwrap()),
        }
    }
    let length = if request.method == "HEAD" { length } else { None };
    Answer { status, headers, length, body }
}

fn installation(standin: &'static Standin, name: &str, queries: &Value) -> Installation {
    let installation = Installation::new(standin, name);
    installation.put_rules("conf/schemas/streamalert.json", SCHEMA);
    installation.put_rules("conf/scheduled_queries.json", queries.to_string());
    installation.put_rules("conf/scheduled_queries/a.sql", "SELECT n FROM test_row WHERE dt = '{utcdatehour}'");
    installation
}

fn put_state(installation: &Installation, key: &str, state: &Value) {
    let bucket = Bucket::new(&installation.place.aws, installation.place.names.data_bucket());
    let kept = json!({ "busy_until": 0, "state": state });
    installation.place.aws.wait(bucket.put(&format!("queries/{key}.json"), kept.to_string().into_bytes())).unwrap();
}

fn state(installation: &Installation, key: &str) -> Value {
    let bucket = Bucket::new(&installation.place.aws, installation.place.names.data_bucket());
    let stored = installation.place.aws.wait(bucket.get(&format!("queries/{key}.json"))).unwrap().unwrap();
    serde_json::from_slice(&stored.bytes).unwrap()
}

#[test]
fn on_aws_every_row_of_athena_goes_through_the_classifier_once() {
    for standin in standins::all() {
        let queries = json!({"packs": {"p": {"schedule": "rate(1 hour)", "delay_seconds": 0}, "minutes": {"schedule": "rate(1 minute)"}},
            "queries": {"q": {"query_file": "a.sql", "tags": ["p"]}, "late": {"query": "SELECT 1", "tags": ["minutes"]}, "bad": {"query": "SELECT * FROM no_such_table", "tags": ["p"]}}});
        let installation = installation(standin, "queries", &queries);
        let (connection, athena) = beside(standin, 2_345, false);
        let through = installation.through(&connection);
        let function = through.function("scheduled_queries");
        // The first look: nothing was missed before it.
        let answer = invoke(&function, &json!({})).unwrap();
        assert_eq!((&answer["runs"], athena.lock().unwrap().starts), (&json!(0), 0), "{answer}");
        let hour = 60 * MINUTE;
        let last = now() / hour * hour - hour;
        put_state(&installation, "q.p", &json!({"since": last, "last": last}));
        put_state(&installation, "bad.p", &json!({"since": last, "last": last}));
        // What arrived before these times may be in the streams still, which gather for five minutes.
        let late = now() / MINUTE * MINUTE - 5 * MINUTE;
        put_state(&installation, "late.minutes", &json!({"since": late, "last": late}));
        let answer = invoke(&function, &json!({})).unwrap();
        assert_eq!((&answer["runs"], &answer["rows"]), (&json!(1), &json!(2_345)), "{answer}");
        assert!(answer["failures"][0].as_str().unwrap().contains("no_such_table"), "{answer}");
        assert_eq!(answer["queries"]["late.minutes"], "idle", "{answer}");
        let batches = installation.queued();
        assert!(batches.iter().all(|batch| batch.log_type == "streamalert:query_result"));
        let records: Vec<Value> = batches
            .iter()
            .flat_map(|batch| &batch.records)
            .map(|record| serde_json::from_str(&record.json).unwrap())
            .collect();
        let identities: BTreeSet<[u8; 32]> =
            batches.iter().flat_map(|batch| &batch.records).map(|record| record.identity).collect();
        assert_eq!((records.len(), identities.len()), (2_346, 2_346));
        let errors = records.iter().filter(|record| record["execution"].get("error").is_some()).count();
        assert_eq!(errors, 1, "what failed is an event, too");
        let numbers: BTreeSet<u64> =
            records.iter().filter_map(|record| record["data"]["rows"][0]["n"].as_u64()).collect();
        assert_eq!(numbers, (1..=2_345).collect());
        // Nothing is due any more; the next one finds the same.
        assert_eq!(invoke(&function, &json!({})).unwrap()["runs"], 0);
        assert!(installation.queued().is_empty());
        let kept = state(&installation, "q.p");
        assert_eq!((&kept["busy_until"], &kept["state"]["run"]), (&json!(0), &Value::Null));
        assert_eq!(kept["state"]["history"][0]["outcome"]["done"]["scanned_bytes"], 99);
        let asked = athena.lock().unwrap().started.values().next().unwrap().clone();
        assert!(asked.starts_with("SELECT n FROM test_row WHERE dt = '20"), "{asked}");
        assert!(installation.letters().is_empty());
    }
}

#[test]
fn on_aws_one_at_a_time_has_a_query_and_what_takes_too_long_is_stopped() {
    let Some(standin) = standins::ministack() else { return };
    let queries = json!({"packs": {"p": {"schedule": "rate(1 hour)", "delay_seconds": 0}},
        "queries": {"q": {"query": "SELECT 1", "tags": ["p"], "timeout_seconds": 1}}});
    let installation = installation(standin, "query-lease", &queries);
    let (connection, athena) = beside(standin, 1, true);
    let function = installation.through(&connection).function("scheduled_queries");
    let hour = 60 * MINUTE;
    let last = now() / hour * hour - hour;
    let bucket = Bucket::new(&installation.place.aws, installation.place.names.data_bucket());
    // Somebody else has it.
    let kept = json!({"busy_until": now() + hour, "state": {"since": last, "last": last}});
    installation.place.aws.wait(bucket.put("queries/q.p.json", kept.to_string().into_bytes())).unwrap();
    assert_eq!(invoke(&function, &json!({})).unwrap()["queries"]["q.p"], "busy");
    assert_eq!(athena.lock().unwrap().starts, 0);
    // Who had it has died: its time is over.
    put_state(&installation, "q.p", &json!({"since": last, "last": last}));
    invoke(&function, &json!({})).unwrap();
    let kept = state(&installation, "q.p");
    let run = &kept["state"]["run"];
    assert!(run["error"].as_str().unwrap().contains("not done within 1 s"), "{kept}");
    assert_eq!(run["attempt"], 2, "it is tried again later");
    assert_eq!(athena.lock().unwrap().stopped.len(), 1);
}

#[test]
fn on_aws_a_death_at_any_call_loses_nothing_and_repeats_nothing_visible() {
    let Some(standin) = standins::ministack() else { return };
    let queries = json!({"packs": {"p": {"schedule": "rate(1 hour)", "catch_up": 100, "delay_seconds": 0}},
        "queries": {"q": {"query": "SELECT '{utcdatehour}'", "tags": ["p"]}}});
    let installation = installation(standin, "query-deaths", &queries);
    let (connection, athena) = beside(standin, 3, false);
    let endpoint = connection.endpoint.clone().unwrap();
    let hour = 60 * MINUTE;
    let last = now() / hour * hour - 20 * hour;
    put_state(&installation, "q.p", &json!({"since": last, "last": last}));
    let mut dice = crate::run_world::Dice::new();
    let mut fuses = Vec::new();
    for _ in 0..100 {
        // So many calls are made, and all later ones come to nothing: the process is as good as dead.
        let fuse = dice.below(30);
        fuses.push(fuse);
        let left = Arc::new(Mutex::new(fuse));
        let to = endpoint.clone();
        let dying = scripted::start(move |request: &Request| {
            let mut left = left.lock().unwrap();
            if *left == 0 {
                return Answer { status: 400, headers: vec![], length: None, body: b"dead".to_vec() };
            }
            *left -= 1;
            drop(left);
            forward(&to, request)
        });
        let connection = Connection { attempts: 1, ..standins::connection(&dying) };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let function = installation.through(&connection).function("scheduled_queries");
            let _ = crate::installation::invoke_within(&function, &json!({}), std::time::Duration::from_secs(14));
        }));
        // Nobody is there to give it back: its time would be over in a minute.
        let kept = state(&installation, "q.p");
        put_state(&installation, "q.p", &kept["state"]);
    }
    let function = installation.through(&connection).function("scheduled_queries");
    for _ in 0..5 {
        invoke(&function, &json!({})).unwrap();
    }
    let kept = state(&installation, "q.p");
    assert_eq!(kept["state"]["run"], Value::Null, "{fuses:?}");
    let batches = installation.queued();
    let mut rows: BTreeMap<[u8; 32], BTreeSet<(String, u64, String)>> = BTreeMap::new();
    for record in batches.iter().flat_map(|batch| &batch.records) {
        let of = told(&serde_json::from_str(&record.json).unwrap());
        rows.entry(record.identity).or_default().insert(of);
    }
    // What came twice has the same identity and says the same.
    assert!(rows.values().all(|same| same.len() == 1), "{fuses:?}");
    assert_eq!(rows.len(), 20 * 3, "{fuses:?}");
    assert_eq!(athena.lock().unwrap().starts, 20, "no question is asked twice: {fuses:?}");
    assert_eq!(kept["state"]["history"].as_array().unwrap().len(), 20);
}
