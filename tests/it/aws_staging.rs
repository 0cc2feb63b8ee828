//! Rules on trial on AWS: the plugin compiler puts them there, the rules engine compares, rule_promotion ends it; and whoever is
//! ended at any call loses nothing and repeats nothing.

use crate::fault_proxy::FaultProxy;
use crate::installation::{Installation, failed, invoke};
use crate::run_world::{EVERY_ROW, World};
use crate::standins::{self, Standin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_aws::rule_table::DynamoRules;
use streamalert_aws::rules_bucket::RulesBucket;
use streamalert_lambdas::function::Function;
use streamalert_local::rule_table::RuleFile;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{
    AlertDesk, AlertTable, BackendError, DeliveryFilter, Fold, Group, Lease, NewAlert, RuleState, RuleTable, Settled,
    TrialCounts, TrialKey, TrialTable,
};
use streamalert_pipeline::config::{Outputs, RuleStaging};
use streamalert_pipeline::rule_promotion::{digest_alert, digest_record, owe_digest, promoted, round};
use streamalert_pipeline::staging::{Fleet, States};
use streamalert_pipeline::time::{Millis, rfc3339};

const HALF: &str = "(call $findings (local.get $rows) (i32.div_u (local.get $count) (i32.const 2)))";
const NOTHING: &str = "(call $list (i32.const 0) (i32.const 0))";

struct Trials {
    installation: Installation,
    told: String,
    compiler: Arc<dyn Function>,
    engine: Arc<dyn Function>,
}

impl Trials {
    /// With rules whose alerts would go to a queue; they are live.
    fn new(standin: &Standin, name: &str, staging: &Value, rules: &[(&str, &str)]) -> Self {
        let installation = Installation::new(standin, name);
        let told = installation.queue("told");
        let outputs = json!({"aws-sqs": {"told": {"settings": {"queue": told.clone()}, "rate": 100_000.0}},
            "defaults": [{"outputs": ["aws-sqs:told"], "always": true}]});
        installation.put_rules("conf/outputs.json", outputs.to_string());
        installation.put_rules("conf/rule_staging.json", staging.to_string());
        installation.put_rules("plugins/a.wasm", quiet(rules));
        let compiler = installation.function("plugin_compiler");
        let engine = installation.function("rules_engine");
        let trials = Trials { installation, told, compiler, engine };
        trials.compile();
        trials
    }

    fn compile(&self) -> Value {
        invoke(&self.compiler, &json!({})).unwrap()
    }

    fn states(&self) -> States {
        self.rules().all().unwrap()
    }

    fn rules(&self) -> DynamoRules {
        DynamoRules::new(self.installation.place.aws.clone(), &self.installation.place.names)
    }

    fn alerts(&self) -> DynamoAlerts {
        DynamoAlerts::new(self.installation.place.aws.clone(), &self.installation.place.names)
    }

    /// `rule` or `rule*`, if the version before is live beside it, of all that are on trial.
    fn on_trial(&self) -> Vec<String> {
        let states = self.states();
        let on_trial = states.iter().filter(|(_, state)| state.staged && state.gone.is_none());
        on_trial.map(|(rule, state)| format!("{rule}{}", if state.beside.is_some() { "*" } else { "" })).collect()
    }

    fn counts(&self, rule: &str) -> TrialCounts {
        let state = &self.states()[rule];
        let key = TrialKey { rule: rule.into(), digest: state.digest.clone(), since: state.since };
        self.alerts().counts(&[key]).unwrap()[0]
    }

    /// These rows through classifier and rules engine; `twice`, as queues do at times.
    fn rows(&self, numbers: std::ops::Range<u64>, twice: bool) {
        let lines: Vec<String> = numbers.clone().map(|n| format!("{{\"n\": {n}}}")).collect();
        let event = self.installation.put_log(&format!("{}.json", numbers.start), lines.join("\n"));
        invoke(&self.installation.function("classifier"), &event).unwrap();
        while let Some(messages) = self.installation.receive(&self.installation.records, 10) {
            let answer = invoke(&self.engine, &messages).unwrap();
            assert!(failed(&answer).is_empty(), "{answer}");
            if twice {
                invoke(&self.engine, &messages).unwrap();
            }
            self.installation.delete(&self.installation.records, &messages, &answer);
        }
        invoke(&self.installation.function("alert_processor"), &json!({})).unwrap();
    }

    /// Alerts that were delivered, and are gone then.
    fn delivered(&self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(messages) = self.installation.receive(&self.told, 10) {
            let records = messages["Records"].as_array().unwrap();
            all.extend(records.iter().map(|record| serde_json::from_str(record["body"].as_str().unwrap()).unwrap()));
            self.installation.delete(&self.told, &messages, &json!({}));
        }
        all
    }
}

/// A component whose rules name no outputs.
fn quiet(rules: &[(&str, &str)]) -> Vec<u8> {
    crate::run_world::Guest { rules: rules.to_vec(), logs: "test:row", ..crate::run_world::Guest::default() }.build()
}

#[test]
fn what_is_new_or_changed_goes_on_trial_before_it_is_live() {
    for standin in standins::all() {
        let trials = Trials::new(standin, "trials", &json!({"window": "2s"}), &[("one", HALF)]);
        assert_eq!(trials.on_trial(), [] as [&str; 0], "the first fill");
        trials.rows(0..4, false);
        assert_eq!(trials.delivered().len(), 2);

        trials.installation.put_rules("plugins/a.wasm", quiet(&[("one", EVERY_ROW), ("two", EVERY_ROW)]));
        trials.installation.put_rules("plugins/b.wasm", quiet(&[("three", NOTHING)]));
        trials.compile();
        assert_eq!(trials.on_trial(), ["one*", "three", "two"]);
        let before = trials.states();
        trials.compile();
        assert_eq!(trials.states(), before, "what was decided stays");

        // The live version tells of its half, and nobody hears of the rest; twice is once.
        trials.rows(10..20, true);
        assert_eq!(trials.delivered().len(), 5);
        let counted = TrialCounts { new: 5, same: 5, ..TrialCounts::default() };
        assert_eq!(trials.counts("one"), counted);
        assert_eq!(trials.counts("two"), TrialCounts { alone: 10, ..TrialCounts::default() });
        assert_eq!(trials.counts("three"), TrialCounts::default());
        // A version that finds less: what is lost is counted with the live one's alerts.
        trials.installation.put_rules("plugins/a.wasm", quiet(&[("one", NOTHING), ("two", EVERY_ROW)]));
        trials.compile();
        assert_eq!(trials.on_trial(), ["one*", "three", "two"]);
        trials.rows(20..30, true);
        assert_eq!(trials.delivered().len(), 5);
        assert_eq!(trials.counts("one"), TrialCounts { lost: 5, ..TrialCounts::default() });
        assert_eq!(trials.counts("two").alone, 10, "it is another version, and has a trial of its own");

        // When its time is over, what raised nothing is live, and nothing else.
        thread::sleep(Duration::from_millis(2_100));
        let promotion = trials.installation.function("rule_promotion");
        let answer = invoke(&promotion, &json!({})).unwrap();
        assert_eq!(answer["promoted"], json!(["three"]), "{answer}");
        assert_eq!(answer["verdicts"], json!({"kept": 2, "promoted": 1}));
        assert_eq!(trials.on_trial(), ["one*", "two"]);
        assert_eq!(invoke(&promotion, &json!({})).unwrap()["promoted"], json!([]));

        // By hand, at once: the version before goes, also out of the index.
        let state = trials.states()["one"].clone();
        let live = RuleState { digest: state.digest.clone(), since: 1, ..RuleState::default() };
        assert!(trials.rules().replace("one", Some(&state), Some(&live)).unwrap());
        let engine = trials.installation.function("rules_engine");
        let trials = Trials { engine, ..trials };
        trials.rows(30..40, false);
        assert_eq!(trials.delivered().len(), 0, "the new version of one finds nothing");
        trials.compile();
        trials.rows(40..41, false);

        // What is gone is remembered, for when it comes back.
        let bucket = RulesBucket::new(&trials.installation.place.aws, trials.installation.place.names.rules_bucket());
        trials.installation.place.aws.wait(bucket.delete("plugins/b.wasm")).unwrap();
        trials.compile();
        assert!(trials.states()["three"].gone.is_some());
        // Told otherwise, rules begin live.
        let upload = bucket.upload_as("plugins/c.wasm", quiet(&[("four", EVERY_ROW)]), true);
        trials.installation.place.aws.wait(upload).unwrap();
        let upload = bucket.upload_as("plugins/d.wasm", quiet(&[("five", EVERY_ROW)]), false);
        trials.installation.place.aws.wait(upload).unwrap();
        trials.compile();
        assert_eq!(trials.on_trial(), ["five", "two"]);
    }
}

#[test]
fn what_was_live_and_gone_for_a_while_comes_back_as_it_was() {
    for standin in standins::all() {
        let trials = Trials::new(standin, "back", &json!({"window": "1h"}), &[("one", EVERY_ROW)]);
        let installation = &trials.installation;
        let bucket = RulesBucket::new(&installation.place.aws, installation.place.names.rules_bucket());
        let first = || quiet(&[("two", EVERY_ROW)]);
        installation.place.aws.wait(bucket.upload_as("plugins/b.wasm", first(), true)).unwrap();
        trials.compile();
        assert_eq!(trials.on_trial(), [] as [&str; 0]);
        let remove = |keys: &[&str]| {
            keys.iter().for_each(|key| installation.place.aws.wait(bucket.delete(key)).unwrap());
            trials.compile();
            trials.compile();
        };
        let put = |key: &str, component: Vec<u8>| {
            installation.put_rules(key, component);
            trials.compile();
        };
        remove(&["plugins/b.wasm"]);
        assert!(trials.states()["two"].gone.is_some());
        put("plugins/b.wasm", first());
        assert_eq!(trials.on_trial(), [] as [&str; 0], "the same is no news");
        // Another version, and the index knows nothing any more of the one before.
        remove(&["plugins/b.wasm"]);
        put("plugins/b.wasm", quiet(&[("two", NOTHING)]));
        assert_eq!(trials.on_trial(), ["two*"]);
        trials.compile();
        trials.rows(0..3, false);
        assert_eq!(trials.delivered().len(), 3 + 3, "the version before tells of its hits");
        assert_eq!(trials.counts("two"), TrialCounts { lost: 3, ..TrialCounts::default() });
        // Also where all of them have gone.
        remove(&["plugins/a.wasm", "plugins/b.wasm"]);
        put("plugins/a.wasm", quiet(&[("one", NOTHING), ("three", NOTHING)]));
        put("plugins/b.wasm", first());
        assert_eq!(trials.on_trial(), ["one*", "three"]);
        // Back to a version that was live, after another was promoted.
        let state = trials.states()["one"].clone();
        let live = promoted(&state, &state.digest, millis());
        assert!(trials.rules().replace("one", Some(&state), Some(&live)).unwrap());
        put("plugins/a.wasm", quiet(&[("one", EVERY_ROW)]));
        assert_eq!(trials.on_trial(), [] as [&str; 0]);
        trials.rows(10..12, false);
        assert_eq!(trials.delivered().len(), 2 + 2);

        // Of what is said of rules that are not there, somebody hears.
        let staging = json!({"rules": {"one": {}, "thwo": {}}});
        put("conf/rule_staging.json", staging.to_string().into_bytes());
        let warnings = || serde_json::from_str::<Value>(&installation.verdicts()).unwrap()["conf"]["warnings"].clone();
        let told = warnings().to_string();
        assert!(
            told.contains("rules.thwo: no component has a rule of this name") && !told.contains("rules.one"),
            "{told}"
        );
        assert!(told.contains("did you mean two?"), "{told}");
        put("plugins/c.wasm", quiet(&[("thwo", NOTHING)]));
        assert!(!warnings().to_string().contains("thwo"));
    }
}

#[test]
fn a_digest_is_delivered_once_for_its_time() {
    let Some(standin) = standins::ministack() else { return };
    let staging = json!({"window": "1h", "digest": {"output": "aws-sqs:told"}});
    let trials = Trials::new(standin, "digest", &staging, &[("one", EVERY_ROW)]);
    trials.installation.put_rules("plugins/b.wasm", quiet(&[("two", EVERY_ROW), ("three", NOTHING)]));
    trials.compile();
    trials.rows(0..3, false);
    trials.delivered();
    let promotion = trials.installation.function("rule_promotion");
    let event = json!({"send_digest": true, "time": "2026-01-02T13:30:00Z"});
    assert_eq!(invoke(&promotion, &event).unwrap()["digest"], "owed");
    assert_eq!(invoke(&promotion, &event).unwrap()["digest"], "known", "it is tried again");
    assert_eq!(invoke(&promotion, &json!({})).unwrap()["digest"], Value::Null);
    invoke(&trials.installation.function("alert_processor"), &json!({})).unwrap();
    let delivered = trials.delivered();
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    let rules = delivered[0]["rules"].as_array().unwrap_or_else(|| panic!("{}", delivered[0]));
    let row = |at: usize| (rules[at]["rule"].as_str().unwrap(), rules[at]["alerts"].as_u64().unwrap());
    assert_eq!((row(0), row(1)), (("two", 3), ("three", 0)));
    assert_eq!((&rules[0]["verdict"], &rules[1]["verdict"]), (&"kept".into(), &"will_be_promoted".into()));
    assert!(invoke(&promotion, &json!({"send_digest": true, "time": "soon"})).unwrap_err().contains("`soon`"));
    assert!(invoke(&promotion, &json!([1])).is_err());
}

#[test]
fn the_command_line_is_the_same_on_aws() {
    let Some(standin) = standins::ministack() else { return };
    let trials = Trials::new(standin, "cli", &json!({"window": "1h"}), &[("one", HALF)]);
    trials.installation.put_rules("plugins/a.wasm", quiet(&[("one", EVERY_ROW), ("two", NOTHING)]));
    trials.compile();
    trials.rows(0..10, false);
    let world = World::new();
    let settings = json!({"prefix": trials.installation.place.names.prefix, "region": "us-east-1",
        "endpoint": standin.endpoint, "path_style": true});
    world.write("conf/aws.json", settings.to_string());
    let said = |arguments: &[&str], code: i32| {
        let mut command = world.command(&[arguments, &["--aws", "--output", "json"]].concat());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").env_remove("AWS_PROFILE");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let standings = || -> BTreeMap<String, String> {
        let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        said(&["rules", "list"], 0).iter().map(|row| (word(row, "rule"), word(row, "standing"))).collect()
    };
    let expected = |one: &str, two: &str| BTreeMap::from([("one".into(), one.into()), ("two".into(), two.into())]);
    assert_eq!(standings(), expected("staged", "staged"));
    let report = said(&["rules", "report"], 0);
    assert_eq!(
        (&report[0]["rule"], &report[0]["verdict"], &report[0]["counts"]["new"]),
        (&"one".into(), &"kept".into(), &5.into())
    );
    assert_eq!(report[0]["examples"]["new"].as_array().unwrap().len(), 3);
    assert_eq!(report[1]["verdict"], "will_be_promoted");
    let evaluations = |side: &str| report[0]["cost"][side]["evaluations"].as_u64().unwrap();
    assert_eq!((evaluations("trial"), evaluations("live")), (10, 10));
    assert!(!said(&["rules", "stats", "one"], 0).is_empty());
    said(&["rules", "promote", "one"], 0);
    said(&["rules", "disable", "two"], 0);
    assert_eq!(standings(), expected("live", "disabled"));
    said(&["rules", "enable", "two"], 0);
    said(&["rules", "stage", "one", "--for", "2d"], 0);
    assert_eq!(standings(), expected("staged", "staged"));
    said(&["rules", "unstage", "one", "two"], 0);
    assert_eq!(standings(), expected("live", "live"));
    said(&["rules", "stage", "nobody"], 2);
}

/// The compiler that puts rules on trial, ended at each of its calls in turn, before and after it is done.
#[test]
fn a_compiler_that_is_ended_at_any_call_is_gone_on_with() {
    let Some(standin) = standins::ministack() else { return };
    let proxy = FaultProxy::start(&standin.endpoint);
    let trials = Trials::new(standin, "compilers", &json!({"window": "1h"}), &[("one", EVERY_ROW), ("two", NOTHING)]);
    let through = trials.installation.through(&proxy.once());
    let live = trials.installation.verdicts();
    let live = serde_json::from_str::<Value>(&live).unwrap()["plugins"]["a.wasm"]["digest"].clone();
    let (mut ended, mut call, mut version) = (0, 0, 0);
    'all: loop {
        for done in [false, true] {
            version += 1;
            let name = format!("new{version}");
            let component = quiet(&[("one", EVERY_ROW), ("two", NOTHING), (&name, NOTHING)]);
            trials.installation.put_rules("plugins/a.wasm", component);
            // As a process of its own, which knows nothing yet.
            let compiler = through.function("plugin_compiler");
            proxy.ends_at(Some((call, done)));
            let first = invoke(&compiler, &json!({}));
            proxy.ends_at(None);
            let between = trials.states();
            trials.compile();
            let mut states = trials.states();
            states.retain(|_, state| state.gone.is_none());
            assert_eq!(
                states.keys().cloned().collect::<Vec<_>>(),
                [name.clone(), "one".into(), "two".into()],
                "call {call}, {done}"
            );
            let digest = &states["one"].digest;
            for (rule, state) in &states {
                assert!(state.staged && state.digest == *digest, "call {call}, {done}: {rule}: {state:?}");
                let beside = (*rule != name).then(|| live.as_str().unwrap());
                assert_eq!(state.beside.as_deref(), beside, "call {call}, {done}: {rule}");
                // What was decided before the end is not decided once more.
                if let Some(before) = between.get(rule).filter(|before| before.digest == *digest) {
                    assert_eq!(before, state, "call {call}, {done}: {rule}");
                }
            }
            if first.is_ok() && !proxy.was_ended() {
                break 'all;
            }
            ended += 1;
        }
        call += 1;
    }
    // What is live is so to this day.
    trials.rows(0..3, false);
    assert_eq!(trials.delivered().len(), 3);
    println!("the compiler was ended at {ended} moments");
    assert!(ended >= 30, "{ended}");
}

/// rule_promotion, ended at each of its calls in turn, before and after it is done.
#[test]
fn a_promotion_that_is_ended_at_any_call_is_gone_on_with() {
    let Some(standin) = standins::ministack() else { return };
    let proxy = FaultProxy::start(&standin.endpoint);
    let names: Vec<String> = (0..6).map(|number| format!("rule{number}")).collect();
    let rules: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), NOTHING)).chain([("noisy", EVERY_ROW)]).collect();
    let staging = json!({"window": "1s", "digest": {"output": "aws-sqs:told"}});
    let trials = Trials::new(standin, "promotions", &staging, &rules);
    let through = trials.installation.through(&proxy.once());
    let digest =
        serde_json::from_str::<Value>(&trials.installation.verdicts()).unwrap()["plugins"]["a.wasm"]["digest"].clone();
    let digest = digest.as_str().unwrap();
    let (mut ended, mut call) = (0, 0);
    'all: loop {
        for done in [false, true] {
            // All of them on trial anew; one has raised something.
            let since = 1_000 + 10 * i64::try_from(call).unwrap() + i64::from(done);
            let since = millis() - 3_600_000 + since;
            for rule in names.iter().map(String::as_str).chain(["noisy"]) {
                let state = RuleState { staged: true, digest: digest.into(), since, ..RuleState::default() };
                trials.rules().put(rule, &state).unwrap();
            }
            let key = TrialKey { rule: "noisy".into(), digest: digest.into(), since };
            trials.alerts().note(&[(key, TrialCounts { alone: 2, ..TrialCounts::default() })]).unwrap();
            let promotion = through.function("rule_promotion");
            let event = json!({"send_digest": true, "time": rfc3339(since)});
            proxy.ends_at(Some((call, done)));
            let first = invoke(&promotion, &event);
            proxy.ends_at(None);
            let between = trials.states();
            let promotion = trials.installation.function("rule_promotion");
            invoke(&promotion, &event).unwrap();
            let after = trials.states();
            let staged: Vec<&String> = after.iter().filter(|(_, state)| state.staged).map(|(rule, _)| rule).collect();
            assert_eq!(staged, ["noisy"], "call {call}, {done}");
            for (rule, state) in between.iter().filter(|(_, state)| !state.staged) {
                assert_eq!(after[rule], *state, "call {call}, {done}: promoted once");
            }
            invoke(&promotion, &event).unwrap();
            assert_eq!(trials.states(), after, "nothing is decided twice");
            invoke(&trials.installation.function("alert_processor"), &json!({})).unwrap();
            let digests: Vec<Value> = trials.delivered();
            assert_eq!(digests.len(), 1, "call {call}, {done}: {digests:?}");
            // To wake the processor may fail, and is then done by others: it is an end all the same.
            if first.is_ok() && !proxy.was_ended() {
                break 'all;
            }
            ended += 1;
        }
        call += 1;
    }
    println!("rule_promotion was ended at {ended} moments");
    assert!(ended >= 20, "{ended}");
}

fn millis() -> Millis {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() as Millis
}

/// Ends the caller at its call number `at`: before it is done, or after.
struct Ends<'a> {
    rules: &'a RuleFile,
    alerts: &'a SqliteAlerts,
    calls: AtomicU64,
    at: u64,
    done: bool,
}

struct Ended;

impl Ends<'_> {
    fn call<T>(&self, work: impl FnOnce() -> T) -> T {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if number == self.at && !self.done {
            std::panic::panic_any(Ended);
        }
        let answer = work();
        if number == self.at {
            std::panic::panic_any(Ended);
        }
        answer
    }
}

impl RuleTable for Ends<'_> {
    fn all(&self) -> Result<BTreeMap<String, RuleState>, BackendError> {
        self.call(|| self.rules.all())
    }
    fn put(&self, rule: &str, state: &RuleState) -> Result<(), BackendError> {
        self.call(|| self.rules.put(rule, state))
    }
    fn remove(&self, rule: &str) -> Result<(), BackendError> {
        self.call(|| self.rules.remove(rule))
    }
    fn replace(&self, rule: &str, before: Option<&RuleState>, after: Option<&RuleState>) -> Result<bool, BackendError> {
        self.call(|| self.rules.replace(rule, before, after))
    }
}

impl TrialTable for Ends<'_> {
    fn counts(&self, trials: &[TrialKey]) -> Result<Vec<TrialCounts>, BackendError> {
        self.call(|| self.alerts.counts(trials))
    }
    fn note(&self, trials: &[(TrialKey, TrialCounts)]) -> Result<(), BackendError> {
        self.call(|| self.alerts.note(trials))
    }
}

impl AlertTable for Ends<'_> {
    fn add(&self, alerts: &[NewAlert<'_>], now: Millis) -> Result<Vec<bool>, BackendError> {
        self.call(|| self.alerts.add(alerts, now))
    }
    fn lease(&self, _: &str, _: &str, _: Millis, _: Millis, _: usize) -> Result<Vec<Lease>, BackendError> {
        unreachable!("nothing is delivered here")
    }
    fn probe(&self, _: &str, _: &str, _: Millis, _: Millis) -> Result<Option<Lease>, BackendError> {
        unreachable!("nothing is delivered here")
    }
    fn settle(&self, _: &str, _: &[Settled], _: Millis) -> Result<(), BackendError> {
        unreachable!("nothing is delivered here")
    }
    fn due(&self, _: Option<&str>) -> Result<Vec<(String, Millis)>, BackendError> {
        unreachable!("nothing is delivered here")
    }
    fn groups(&self, _: Millis, _: usize) -> Result<Vec<Group>, BackendError> {
        unreachable!("nothing is merged here")
    }
    fn members(&self, _: &Group) -> Result<Vec<Alert>, BackendError> {
        unreachable!("nothing is merged here")
    }
    fn fold(&self, _: &[Fold], _: Millis) -> Result<(), BackendError> {
        unreachable!("nothing is merged here")
    }
    fn next_group(&self) -> Result<Option<Millis>, BackendError> {
        unreachable!("nothing is merged here")
    }
}

/// The whole of promotion, ended before and after each call to what is behind it: 50 rules, so a hundred moments and more.
#[test]
fn promotion_may_end_at_any_moment() {
    let policy = RuleStaging::read("f", r#"{"window": "1h"}"#).unwrap();
    let outputs = Outputs::read("o", r#"{"slack": ["soc"]}"#).unwrap();
    let fleet: Fleet = (0..50).map(|number| (format!("rule{number:02}"), "dd".to_owned())).collect();
    let hour = 3_600_000;
    let whole = |ends: &Ends<'_>, now: Millis| -> Result<(), BackendError> {
        let done = round(ends, ends, &fleet, Some(&policy), now)?;
        let record = digest_record(&done.reviews);
        if !done.reviews.is_empty() {
            owe_digest(ends, &outputs, &digest_alert(record, "slack:soc", 7 * hour, now, "0"), now)?;
        }
        done.trouble.map_or(Ok(()), Err)
    };
    // Not told of each end.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Ended>() {
            hook(panic);
        }
    }));
    let (mut moments, mut at) = (0, 0);
    'all: loop {
        for done in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let rules = RuleFile::new(folder.path().join("rules.json"));
            let alerts = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
            let mut states = States::new();
            for (number, rule) in fleet.keys().enumerate() {
                // Some are not due yet, some raised something.
                let since = if number % 5 == 0 { 6 * hour } else { 0 };
                let state = RuleState { staged: true, digest: "dd".into(), since, ..RuleState::default() };
                states.insert(rule.clone(), state);
                if number % 7 == 0 {
                    let key = TrialKey { rule: rule.clone(), digest: "dd".into(), since };
                    let counts = TrialCounts { faults: 1, ..TrialCounts::default() };
                    alerts.note(&[(key, counts)]).unwrap();
                }
            }
            std::fs::write(folder.path().join("rules.json"), serde_json::to_vec(&states).unwrap()).unwrap();
            let expected: Vec<&String> = fleet
                .keys()
                .enumerate()
                .filter(|(number, _)| number % 5 != 0 && number % 7 != 0)
                .map(|(_, rule)| rule)
                .collect();
            let ends = |at| Ends { rules: &rules, alerts: &alerts, calls: AtomicU64::new(0), at, done };
            let first = ends(at);
            let ended = catch_unwind(AssertUnwindSafe(|| whole(&first, 6 * hour + 1))).is_err();
            // Until the end: the next round, a little later.
            whole(&ends(u64::MAX), 6 * hour + 2).unwrap();
            whole(&ends(u64::MAX), 6 * hour + 3).unwrap();
            let states = rules.all().unwrap();
            let live: Vec<&String> = states.iter().filter(|(_, state)| !state.staged).map(|(rule, _)| rule).collect();
            assert_eq!(live, expected, "call {at}, {done}");
            assert!(live.iter().all(|rule| states[*rule].since <= 6 * hour + 2), "none is promoted twice");
            let digests = alerts.list(None, 10).unwrap();
            assert_eq!(digests.len(), 1, "call {at}, {done}");
            let owed = alerts.deliveries(&DeliveryFilter::default(), 10).unwrap();
            assert_eq!(owed.len(), 1);
            if !ended {
                break 'all;
            }
            moments += 1;
        }
        at += 1;
    }
    drop(std::panic::take_hook());
    println!("ended at {moments} moments");
    assert!(moments >= 60, "{moments}");
}
