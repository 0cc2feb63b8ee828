//! The rules bucket on a stand-in: what is uploaded is compiled, live at the next look, and never run unless its seal fits.

use crate::installation::{Installation, invoke, invoke_within, notice};
use crate::run_world::{EVERY_ROW, Guest, PATIENCE, World};
use crate::standins::{self, RUNTIME, Standin};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Deref;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::Aws;
use streamalert_aws::rules_bucket::{INDEX, RulesBucket, State, VERDICTS, Verdicts, code_key, component_key, sha256};
use streamalert_lambdas::environment::Environment;
use streamalert_lambdas::function::Function;
use streamalert_lambdas::live::{LiveSet, Now};
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_pipeline::plugin::{Disposition, Nowhere, Outside, Parcel};
use streamalert_plugins::Target;

/// A component of rules that report every row.
fn rules(names: &[&str]) -> Vec<u8> {
    let rules = names.iter().map(|name| (*name, EVERY_ROW)).collect();
    Guest { rules, logs: "test:row", ..Guest::default() }.build()
}

struct Bucket {
    installation: Installation,
    compiler: Arc<dyn Function>,
}

impl Deref for Bucket {
    type Target = Installation;
    fn deref(&self) -> &Installation {
        &self.installation
    }
}

impl Bucket {
    fn new(standin: &Standin, name: &str) -> Self {
        let mut installation = Installation::new(standin, name);
        installation.variables.insert("STREAMALERT_CODE_KEY", "5a".repeat(32));
        let compiler = installation.function("plugin_compiler");
        Bucket { installation, compiler }
    }

    fn objects(&self) -> RulesBucket {
        RulesBucket::new(&self.place.aws, self.place.names.rules_bucket())
    }

    fn rules(&self, file: &str, names: &[&str]) {
        self.put_rules(&format!("plugins/{file}"), rules(names));
    }

    fn remove(&self, key: &str) {
        self.place.aws.wait(self.objects().delete(key)).unwrap();
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.place.aws.wait(self.objects().get(key)).unwrap().map(|object| object.bytes.to_vec())
    }

    /// Has everything looked at.
    fn compile(&self) -> Value {
        invoke(&self.compiler, &json!({})).unwrap()
    }

    fn verdicts(&self) -> Verdicts {
        serde_json::from_str(&self.installation.verdicts()).unwrap()
    }

    fn live(&self) -> LiveSet {
        self.live_with(&self.place.aws, "1000")
    }

    /// Through these clients, waiting so many milliseconds for a look.
    fn live_with(&self, aws: &Arc<Aws>, patience: &'static str) -> LiveSet {
        let variables = move |name: &str| match name {
            "STREAMALERT_CODE_KEY" => Some("5a".repeat(32)),
            "STREAMALERT_REFRESH_SECONDS" => Some("0".to_owned()),
            "STREAMALERT_REFRESH_MS" => Some(patience.to_owned()),
            _ => None,
        };
        LiveSet::open(&Environment::new(aws.clone(), self.place.names.clone(), Arc::new(variables))).unwrap()
    }

    /// Key of the code of a component for this machine.
    fn code_of(&self, file: &str) -> String {
        code_key(&Target::native().unwrap().form(), &self.verdicts().plugins[file].digest)
    }
}

fn now(live: &LiveSet) -> Arc<Now> {
    live.current(Instant::now() + PATIENCE).unwrap()
}

/// Names of the rules that are live.
fn names(now: &Now) -> Vec<String> {
    now.live.rules.iter().map(|(_, rule)| rule.name.clone()).collect()
}

/// Names of the rules that report a row.
fn judge(now: &Now) -> Vec<String> {
    let payload = Payload::new(Arc::new(Source::new("s3", "logs", "a")), 0, &br#"{"n": 1}"#[..]);
    let classified = now.live.classifier.worker().classify(payload);
    assert!(classified.dead.is_empty(), "{:?}", classified.dead);
    let detected = now.live.rules.judge(&classified.batch, "2026-01-02T03:04:05Z");
    assert!(detected.dead.is_empty(), "{:?}", detected.dead);
    let mut names: Vec<String> = detected.alerts.into_iter().map(|alert| alert.rule_name).collect();
    names.sort();
    names
}

#[test]
fn what_is_uploaded_is_live_at_the_next_look_and_what_is_bad_changes_nothing() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "uploads");
        bucket.rules("a.wasm", &["one"]);
        let answer = bucket.compile();
        assert_eq!((&answer["live"], &answer["refused"], &answer["conf"]), (&json!(1), &json!([]), &json!("live")));
        let live = bucket.live();
        let first = now(&live);
        assert_eq!((names(&first), first.counts().loaded), (vec!["one".to_owned()], 0));
        assert_eq!(judge(&first), ["one"]);
        // The compiled code was there, so nothing was compiled here.
        assert_eq!((first.counts().loaded, first.counts().compiled), (1, 0));
        assert!(Arc::ptr_eq(&first, &now(&live)), "nothing has changed");

        bucket.rules("a.wasm", &["two"]);
        let event = notice(&bucket.place.names.rules_bucket(), "plugins/a.wasm", 1);
        assert_eq!(invoke(&bucket.compiler, &event).unwrap()["looked"], true);
        let second = now(&live);
        assert_eq!(judge(&second), ["two"]);
        assert!(second.serial > first.serial);
        // Who has the older set goes on with it.
        assert_eq!(judge(&first), ["one"]);

        bucket.put_rules("plugins/a.wasm", &rules(&["three"])[..400]);
        assert_eq!(bucket.compile()["refused"], json!(["a.wasm"]));
        let verdict = bucket.verdicts().plugins["a.wasm"].clone();
        assert_eq!(verdict.state, State::Refused);
        assert!(verdict.problems[0].contains("is no valid component"), "{:?}", verdict.problems);
        assert!(verdict.serving.is_some() && verdict.serving.as_ref() != Some(&verdict.digest));
        assert!(Arc::ptr_eq(&second, &now(&live)), "the version before stays live");

        // Another file may not have a rule of the same name.
        bucket.rules("b.wasm", &["two"]);
        bucket.compile();
        let told = bucket.verdicts().plugins["b.wasm"].problems.join("\n");
        assert!(told.contains("a.wasm has a rule of this name already"), "{told}");

        bucket.rules("a.wasm", &["three"]);
        bucket.rules("b.wasm", &["four"]);
        bucket.compile();
        assert_eq!(judge(&now(&live)), ["four", "three"]);
        bucket.remove("plugins/b.wasm");
        bucket.compile();
        assert_eq!(judge(&now(&live)), ["three"]);
        assert!(!bucket.verdicts().plugins.contains_key("b.wasm"));
    }
}

#[test]
fn a_component_that_ends_the_compiler_is_refused_after_three_times() {
    let Some(standin) = standins::ministack() else { return };
    let mut bucket = Bucket::new(standin, "ends");
    let memory = |bucket: &mut Bucket, megabytes: &str| {
        bucket.installation.variables.insert("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes.to_owned());
        bucket.compiler = bucket.installation.function("plugin_compiler");
    };
    memory(&mut bucket, "512");
    let greedy = rules(&["greedy"]);
    let note = format!("live/attempts/{}.512", sha256(&greedy));
    bucket.put_rules("plugins/greedy.wasm", greedy);
    bucket.rules("other.wasm", &["other"]);
    // Each time the process ended while it compiled, so that nobody took the note back.
    bucket.put_rules(&note, "3");
    bucket.compile();
    let verdicts = bucket.verdicts();
    assert_eq!(verdicts.plugins["other.wasm"].state, State::Live);
    let verdict = &verdicts.plugins["greedy.wasm"];
    assert_eq!(verdict.state, State::Refused);
    assert!(verdict.problems[0].contains("ended the plugin compiler 3 times"), "{:?}", verdict.problems);
    assert!(verdict.problems[0].contains("more memory"), "{:?}", verdict.problems);
    assert_eq!(judge(&now(&bucket.live())), ["other"]);

    // With more memory it is tried anew.
    memory(&mut bucket, "1024");
    bucket.compile();
    assert_eq!(judge(&now(&bucket.live())), ["greedy", "other"]);
    let notes = bucket.place.aws.wait(bucket.objects().list("live/attempts/")).unwrap();
    assert_eq!(notes.len(), 1, "what was survived is forgotten: {notes:?}");

    // Twice is no reason yet.
    let twice = rules(&["twice"]);
    let note = format!("live/attempts/{}.1024", sha256(&twice));
    bucket.put_rules("plugins/twice.wasm", twice);
    bucket.put_rules(&note, "2");
    bucket.compile();
    assert_eq!(judge(&now(&bucket.live())), ["greedy", "other", "twice"]);
    assert_eq!(bucket.get(&note), None);
}

#[test]
fn a_configuration_with_faults_leaves_the_old_one_live() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "conf");
        bucket.rules("a.wasm", &["one"]);
        bucket.compile();
        let live = bucket.live();
        let first = now(&live);

        bucket.put_rules("conf/schemas/test.json", "[");
        bucket.put_rules("conf/README.md", "notes are no configuration");
        assert_eq!(bucket.compile()["conf"], "refused");
        let verdict = bucket.verdicts().conf;
        assert!(verdict.problems[0].starts_with("schemas/test.json: "), "{:?}", verdict.problems);
        assert!(Arc::ptr_eq(&first, &now(&live)));
        let since = verdict.since;
        bucket.compile();
        assert_eq!(bucket.verdicts().conf.since, since, "it has been so since then");

        // A log type less: the rule about it was taken before and stays, and its verdict says what is wrong now.
        let schema = json!({"other:row": {"parser": "json", "schema": {"n": "integer"}}});
        bucket.put_rules("conf/schemas/test.json", schema.to_string());
        assert_eq!(bucket.compile()["conf"], "live");
        let verdict = bucket.verdicts().plugins["a.wasm"].clone();
        assert!(verdict.problems[0].contains("`test:row` is no log type"), "{:?}", verdict.problems);
        assert_eq!(verdict.serving.as_ref(), Some(&verdict.digest));
        let other = now(&live);
        assert_eq!(names(&other), ["one"]);
        assert!(
            other.live.classifier.schemas().knows("other:row") && !other.live.classifier.schemas().knows("test:row")
        );
        assert!(!Arc::ptr_eq(&first.live.classifier, &other.live.classifier));

        let schema = json!({"test:row": {"parser": "json", "schema": {"n": "integer"}}});
        bucket.put_rules("conf/schemas/test.json", schema.to_string());
        bucket.compile();
        assert_eq!(bucket.verdicts().plugins["a.wasm"].state, State::Live);
        assert_eq!(judge(&now(&live)), ["one"]);
    }
}

#[test]
fn what_stays_keeps_its_code_and_its_instances() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "stays");
        bucket.rules("a.wasm", &["a"]);
        bucket.rules("b.wasm", &["b"]);
        bucket.compile();
        let live = bucket.live();
        let first = now(&live);
        assert_eq!(judge(&first), ["a", "b"]);
        assert_eq!(first.counts().loaded, 2);
        bucket.rules("b.wasm", &["b2"]);
        bucket.compile();
        let second = now(&live);
        assert_eq!(judge(&second), ["a", "b2"]);
        assert_eq!(second.counts().loaded, 3, "only what changed is loaded");
        assert!(Arc::ptr_eq(&first.live.rules.plugins.plugins[0], &second.live.rules.plugins.plugins[0]));
        // What the classifier has learnt about shapes of records stays, too.
        assert!(Arc::ptr_eq(&first.live.classifier, &second.live.classifier));
    }
}

#[test]
fn two_compilers_at_once_lose_nothing() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "two");
        let compilers = [bucket.compiler.clone(), bucket.function("plugin_compiler")];
        thread::scope(|scope| {
            for (who, compiler) in compilers.iter().enumerate() {
                let bucket = &bucket;
                scope.spawn(move || {
                    for round in 0..5 {
                        let name = format!("rule-{who}-{round}");
                        bucket.rules(&format!("{name}.wasm"), &[&name]);
                        invoke(compiler, &json!({})).unwrap();
                        // Whoever came second has looked again: what was uploaded before it looked is live now.
                        assert_eq!(bucket.verdicts().plugins[&format!("{name}.wasm")].state, State::Live);
                    }
                });
            }
        });
        let verdicts = bucket.verdicts();
        assert_eq!(verdicts.plugins.values().filter(|verdict| verdict.state == State::Live).count(), 10);
        assert_eq!(judge(&now(&bucket.live())).len(), 10);
    }
}

#[test]
fn what_was_touched_is_not_run() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "touched");
        bucket.rules("a.wasm", &["a"]);
        bucket.rules("b.wasm", &["b"]);
        bucket.compile();
        let (a, b) = (bucket.code_of("a.wasm"), bucket.code_of("b.wasm"));

        // A byte of one is changed, and the other has the place of the first.
        let mut code = bucket.get(&a).unwrap();
        *code.last_mut().unwrap() ^= 1;
        bucket.put_rules(&a, code);
        let set = now(&bucket.live());
        assert_eq!(judge(&set), ["a", "b"]);
        assert_eq!((set.counts().distrusted, set.counts().compiled, set.failures()), (1, 1, 0));
        bucket.put_rules(&a, bucket.get(&b).unwrap());
        let set = now(&bucket.live());
        assert_eq!(judge(&set), ["a", "b"]);
        assert_eq!((set.counts().distrusted, set.counts().compiled), (1, 1));

        // Without the component itself there is nothing to fall back on: the rows become letters that name the reason.
        let digest = bucket.verdicts().plugins["a.wasm"].digest.clone();
        bucket.put_rules(&component_key(&digest), rules(&["evil"]));
        let set = now(&bucket.live());
        let payload = Payload::new(Arc::new(Source::new("s3", "logs", "a")), 0, &br#"{"n": 1}"#[..]);
        let classified = set.live.classifier.worker().classify(payload);
        let detected = set.live.rules.judge(&classified.batch, "2026-01-02T03:04:05Z");
        assert_eq!(detected.alerts.iter().map(|alert| &*alert.rule_name).collect::<Vec<_>>(), ["b"]);
        assert!(
            detected.dead[0].message.contains("what lies in its place has the digest"),
            "{}",
            detected.dead[0].message
        );
        assert_eq!(set.failures(), 0, "to judge the rows again would not help");

        // An index that is not ours is no index. Who has one goes on with it.
        let live = bucket.live();
        let before = now(&live);
        let mut index = bucket.get(INDEX).unwrap();
        index[50] ^= 1;
        bucket.put_rules(INDEX, index);
        assert!(Arc::ptr_eq(&before, &now(&live)));
        let set = now(&bucket.live());
        assert_eq!((set.serial, judge(&set)), (0, vec!["a".to_owned(), "b".to_owned()]));
        // The compiler does without it, too.
        bucket.compile();
        let set = now(&live);
        assert!(set.serial > before.serial);
    }
}

#[test]
fn without_an_index_functions_load_the_uploads_themselves() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "own");
        bucket.rules("a.wasm", &["a"]);
        let live = bucket.live();
        let own = now(&live);
        assert_eq!((own.serial, judge(&own)), (0, vec!["a".to_owned()]));
        assert!(Arc::ptr_eq(&own, &now(&live)));
        bucket.rules("b.wasm", &["b"]);
        bucket.put_rules("plugins/c.wasm", "no component");
        assert_eq!(judge(&now(&live)), ["a", "b"]);
        bucket.compile();
        let set = now(&live);
        assert!(set.serial > 0);
        assert_eq!(judge(&set), ["a", "b"]);
    }
}

#[test]
fn what_there_is_no_time_for_is_done_later() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "time");
        bucket.rules("a.wasm", &["a"]);
        bucket.compile();
        bucket.rules("b.wasm", &["b"]);
        let error = invoke_within(&bucket.compiler, &json!({}), Duration::ZERO).unwrap_err();
        assert!(error.contains("no time for b.wasm"), "{error}");
        assert_eq!(bucket.verdicts().plugins["b.wasm"].state, State::Waiting);
        assert_eq!(judge(&now(&bucket.live())), ["a"], "what was live still is");
        bucket.compile();
        assert_eq!(judge(&now(&bucket.live())), ["a", "b"]);
        // A new process knows nothing, and must not take away what it has no time to look at.
        bucket.rules("c.wasm", &["c"]);
        let other = bucket.function("plugin_compiler");
        let error = invoke_within(&other, &json!({}), Duration::ZERO).unwrap_err();
        assert!(error.contains("what is live"), "{error}");
        assert_eq!(judge(&now(&bucket.live())), ["a", "b"]);
        // It needs nothing compiled again.
        let before = bucket.verdicts().plugins["a.wasm"].clone();
        invoke(&other, &json!({})).unwrap();
        assert_eq!(bucket.verdicts().plugins["a.wasm"], before);
        assert_eq!(judge(&now(&bucket.live())), ["a", "b", "c"]);
    }
}

/// A component of the examples.
pub fn example(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/example-rules/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; build it with `make guests`", path.display()))
}

#[test]
fn parsers_publishers_and_outputs_come_when_they_are_needed() {
    let Some(standin) = standins::ministack() else { return };
    let bucket = Bucket::new(standin, "worlds");
    for name in ["netflow", "northwind_publishers", "webhook"] {
        bucket.put_rules(&format!("plugins/{name}.wasm"), example(name));
    }
    bucket.compile();
    let verdicts = bucket.verdicts();
    let worlds: Vec<&str> = verdicts.plugins.values().filter_map(|verdict| verdict.world.as_deref()).collect();
    assert_eq!(worlds, ["parser", "publisher", "output"]);
    let set = now(&bucket.live());
    let plugins = &set.live.rules.plugins;
    // What they say of themselves needs no code.
    assert!(set.live.classifier.schemas().knows("netflow"));
    assert_eq!(plugins.publishers[0].publishers()[0].name, "northwind_cloudtrail_link");
    assert_eq!((&*plugins.outputs[0].info().service, set.counts().loaded), ("webhook", 0));

    assert!(!plugins.parsers[0].sniff(b"no netflow").unwrap());
    assert!(plugins.parsers[0].parse(b"no netflow").unwrap()[0].outcome.is_err());
    assert_eq!(set.counts().loaded, 1);
    let mut alert = json!({"id": "a", "rule_name": "r", "rule_description": "", "title": "t", "severity": "low",
        "created": "2026-01-02T03:04:05Z", "cluster": "prod", "log_source": "a:b", "log_type": "json",
        "source": {"service": "s3", "resource": "r", "object": "o"}, "outputs": [], "context": {}, "tags": [],
        "references": [], "record": {}});
    let masked = plugins.publishers[0].publish(1, &alert.to_string(), r#"{"a": "b@example.com"}"#, "webhook:x");
    assert!(!masked.unwrap().unwrap()["a"].to_string().contains("b@"));
    alert["publication"] = json!({});
    let faults = plugins.outputs[0].validate(&[("url".into(), "no URL".into())]).unwrap();
    assert!(!faults.is_empty());
    assert_eq!((set.counts().loaded, set.counts().compiled, set.failures()), (3, 0, 0));

    // Code that cannot be had is no fault of an output: its alert is tried again, and not given up after five times.
    let gate = Gate::start(&standin.endpoint);
    let aws = Arc::new(Aws::connect(&standins::connection(&gate.endpoint), RUNTIME.handle().clone()));
    let live = bucket.live_with(&aws, "10000");
    let set = now(&live);
    gate.closed.store(true, Ordering::SeqCst);
    live.current(Instant::now() + Duration::from_millis(50)).unwrap();
    let parcel = Parcel {
        descriptor: "x".into(),
        idempotency_key: "k".into(),
        attempt: 1,
        now: 0,
        alert: alert.to_string(),
        publication: "{}".into(),
        settings: vec![],
        progress: Some("half".into()),
    };
    let nowhere: Arc<dyn Outside> = Arc::new(Nowhere);
    match set.live.rules.plugins.outputs[0].deliver(&parcel, &nowhere).unwrap() {
        Disposition::Retry { reason, progress, .. } => {
            assert!(reason.contains("load webhook.wasm"), "{reason}");
            assert_eq!(progress.as_deref(), Some("half"));
        }
        other => panic!("{other:?}"),
    }
    gate.closed.store(false, Ordering::SeqCst);
}

#[test]
fn what_is_missing_is_made_again() {
    for standin in standins::all() {
        let bucket = Bucket::new(standin, "missing");
        bucket.rules("a.wasm", &["a"]);
        bucket.compile();
        let digest = bucket.verdicts().plugins["a.wasm"].digest.clone();
        let all =
            Target::ALL.map(|target| code_key(&target.form(), &digest)).into_iter().chain([component_key(&digest)]);
        let other = bucket.function("plugin_compiler");
        for (key, compiler) in all.flat_map(|key| [(key.clone(), &bucket.compiler), (key, &other)]) {
            bucket.remove(&key);
            // A function that looks meanwhile has what is left.
            if !key.contains("components") {
                assert_eq!(judge(&now(&bucket.live())), ["a"]);
            }
            invoke(compiler, &json!({})).unwrap();
            assert!(bucket.get(&key).is_some(), "{key}");
        }
        // As after an update of wasmtime: nothing is there by the new names.
        Target::ALL.iter().for_each(|target| bucket.remove(&code_key(&target.form(), &digest)));
        invoke(&bucket.function("plugin_compiler"), &json!({})).unwrap();
        let set = now(&bucket.live());
        assert_eq!((judge(&set), set.counts().compiled), (vec!["a".to_owned()], 0));
    }
}

#[test]
fn events_about_nothing_wake_nobody() {
    let Some(standin) = standins::ministack() else { return };
    let bucket = Bucket::new(standin, "events");
    let name = bucket.place.names.rules_bucket();
    let test =
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": name, "Time": "2026-01-02T03:04:05.678Z"});
    let message = json!({"messageId": "m", "body": notice(&name, VERDICTS, 7).to_string(), "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:0:rules"});
    for event in [test, notice(&name, INDEX, 7), json!({"Records": [message]})] {
        let answer = invoke(&bucket.compiler, &event).unwrap();
        assert_eq!(answer, json!({"looked": false, "batchItemFailures": []}), "{event}");
    }
    let removed = json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete",
        "s3": {"bucket": {"name": name}, "object": {"key": "plugins/a.wasm"}}}]});
    let schedule = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "id": "1"});
    for event in [removed, schedule, json!({})] {
        assert_eq!(invoke(&bucket.compiler, &event).unwrap()["looked"], true, "{event}");
    }
}

#[test]
fn a_look_costs_one_request_and_holds_nobody_up() {
    let Some(standin) = standins::ministack() else { return };
    let bucket = Bucket::new(standin, "slow");
    bucket.rules("a.wasm", &["a"]);
    bucket.compile();
    let gate = Gate::start(&standin.endpoint);
    let aws = Arc::new(Aws::connect(&standins::connection(&gate.endpoint), RUNTIME.handle().clone()));
    let live = bucket.live_with(&aws, "100");
    let mut set = now(&live);
    // A busy machine may take longer to begin.
    for _ in 0..20 {
        assert_eq!(judge(&set), ["a"]);
        set = now(&live);
    }
    let before = aws.calls.counts();
    let count = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
    now(&live);
    let after = aws.calls.counts();
    assert_eq!(count(&after) - count(&before), 1, "{before:?} {after:?}");

    gate.closed.store(true, Ordering::SeqCst);
    bucket.rules("a.wasm", &["b"]);
    bucket.compile();
    for _ in 0..3 {
        let begun = Instant::now();
        let old = now(&live);
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
        assert_eq!(judge(&old), ["a"]);
    }
    gate.closed.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    while judge(&now(&live)) != ["b"] {
        assert!(begun.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(20));
    }
}

/// Passes bytes on, unless it is closed: then they wait.
struct Gate {
    endpoint: String,
    closed: Arc<AtomicBool>,
}

impl Gate {
    fn start(to: &str) -> Gate {
        let to = to.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let closed = Arc::new(AtomicBool::new(false));
        let shut = closed.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&to).unwrap();
                for (from, into) in [(&client, &server), (&server, &client)] {
                    let (from, into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    let shut = shut.clone();
                    thread::spawn(move || pass(from, into, &shut));
                }
            }
        });
        Gate { endpoint, closed }
    }
}

fn pass(mut from: TcpStream, mut into: TcpStream, shut: &AtomicBool) {
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while shut.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
        if into.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Write);
}

/// A place with `conf/aws.json`, and a compiler that looks all the time.
struct Desk<'a> {
    world: World,
    bucket: &'a Bucket,
}

impl<'a> Desk<'a> {
    fn new(bucket: &'a Bucket, standin: &Standin) -> Self {
        let world = World::new();
        let settings = json!({"prefix": bucket.place.names.prefix, "region": "us-east-1", "endpoint": standin.endpoint,
            "path_style": true});
        world.write("conf/aws.json", settings.to_string());
        Desk { world, bucket }
    }

    fn streamalert(&self, arguments: &[&str]) -> Output {
        let mut command = self.world.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
        command.output().unwrap()
    }

    /// Exit code and stdout, while the compiler looks.
    #[track_caller]
    fn with_compiler(&self, arguments: &[&str]) -> (i32, String) {
        let done = AtomicBool::new(false);
        let looks = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    self.bucket.compile();
                    looks.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(50));
                }
            });
            let output = self.streamalert(arguments);
            done.store(true, Ordering::SeqCst);
            told(&output)
        })
    }

    #[track_caller]
    fn told(&self, arguments: &[&str]) -> (i32, String) {
        told(&self.streamalert(arguments))
    }
}

/// Exit code, then both streams.
fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn says(told: &(i32, String), code: i32, parts: &[&str]) {
    assert_eq!(told.0, code, "{}", told.1);
    for part in parts {
        assert!(told.1.contains(part), "no {part:?} in:\n{}", told.1);
    }
}

#[test]
fn the_command_line_pushes_follows_and_rolls_back() {
    let Some(standin) = standins::ministack() else { return };
    let bucket = Bucket::new(standin, "push");
    let desk = Desk::new(&bucket, standin);
    let push = ["push", "plugins", "--conf", "--wait", "60"];
    says(&desk.told(&["plugins", "status"]), 1, &["the plugin compiler has not run yet"]);
    says(
        &desk.with_compiler(&push),
        0,
        &[
            "pushed   plugins/every_row.wasm",
            "pushed   conf/schemas/test.json",
            "live     every_row.wasm",
            "1 rule: every_row",
            "live     conf",
        ],
    );
    says(&desk.with_compiler(&push), 0, &["same     plugins/every_row.wasm", "same     conf/schemas/test.json"]);
    says(&desk.told(&["plugins", "list"]), 0, &["every_row.wasm  1 rule: every_row"]);
    let first = bucket.verdicts().plugins["every_row.wasm"].digest.clone();

    desk.world.write("plugins/every_row.wasm", rules(&["another"]));
    desk.world.write("plugins/more.wasm", "no component");
    let told = desk.with_compiler(&push);
    says(
        &told,
        1,
        &[
            "live     every_row.wasm",
            "1 rule: another",
            "refused  more.wasm",
            "is not WebAssembly",
            "no version of it is live",
            "1 upload is refused",
        ],
    );
    says(&desk.told(&["plugins", "status", "more"]), 0, &["refused  more.wasm"]);
    says(&desk.told(&["plugins", "status", "less"]), 1, &["nothing is known of less.wasm"]);

    let (_, history) = desk.told(&["plugins", "history", "every_row", "--output", "json"]);
    let versions: Vec<Value> = history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(versions.iter().map(|version| version["latest"] == true).collect::<Vec<_>>(), [true, false]);
    says(&desk.told(&["plugins", "rollback", "every_row"]), 0, &["every_row.wasm is what it was in version"]);
    bucket.compile();
    let verdict = bucket.verdicts().plugins["every_row.wasm"].clone();
    assert_eq!((verdict.state, &verdict.digest), (State::Live, &first));
    assert_eq!(judge(&now(&bucket.live())), ["every_row"]);
    // And forth again, by its id.
    let id = versions[0]["id"].as_str().unwrap();
    says(&desk.told(&["plugins", "rollback", "every_row.wasm", id]), 0, &[id]);
    bucket.compile();
    assert_eq!(judge(&now(&bucket.live())), ["another"]);
    says(&desk.told(&["plugins", "rollback", "every_row", "nonsense"]), 1, &["there is no version nonsense"]);
    says(&desk.told(&["plugins", "history", "nothing"]), 1, &["there is no nothing.wasm in the bucket"]);

    std::fs::remove_file(desk.world.at("plugins/more.wasm")).unwrap();
    says(&desk.with_compiler(&["push", "plugins", "--delete", "--wait"]), 0, &["deleted  plugins/more.wasm"]);
    assert!(!bucket.verdicts().plugins.contains_key("more.wasm"));
}

#[test]
fn the_command_line_says_what_is_missing() {
    let Some(standin) = standins::ministack() else { return };
    let bucket = Bucket::new(standin, "missing");
    let desk = Desk::new(&bucket, standin);
    says(&desk.told(&["push"]), 2, &["nothing to upload"]);
    says(&desk.told(&["push", "conf/schemas/test.json"]), 2, &["is no component"]);
    says(&desk.told(&["push", "nowhere.wasm"]), 2, &["there is no file nowhere.wasm"]);
    says(&desk.told(&["push", "plugins", "--config", "elsewhere"]), 2, &["there is no elsewhere/aws.json", "prefix"]);
    says(
        &desk.told(&["push", "plugins", "--wait", "0"]),
        1,
        &["no verdict on plugins/every_row.wasm", "does the bucket"],
    );

    let unversioned = json!({"prefix": "x", "rules_bucket": format!("{}-plain", bucket.place.names.prefix),
        "region": "us-east-1", "endpoint": standin.endpoint, "path_style": true});
    bucket.place.bucket(unversioned["rules_bucket"].as_str().unwrap());
    desk.world.write("conf/aws.json", unversioned.to_string());
    says(&desk.told(&["push", "plugins"]), 0, &["pushed   plugins/every_row.wasm"]);
    says(&desk.told(&["plugins", "rollback", "every_row"]), 1, &["keeps no older versions", "turn S3 versioning on"]);
}
