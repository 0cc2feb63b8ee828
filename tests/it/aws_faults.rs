//! A fifth of all calls fails, in every way that calls fail, and nothing is lost: all that should alert does, once; alerts are
//! delivered; what cannot be processed is kept and can be sent again.

use crate::fault_proxy::FaultProxy;
use crate::installation::{Installation, by_queue, failed, invoke};
use crate::run_world::every_row_with;
use crate::standins::{self, Standin};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streamalert_aws::Connection;
use streamalert_aws::alert_table::DynamoAlerts;
use streamalert_lambdas::function::Function;
use streamalert_pipeline::backend::{AlertDesk, DeliveryFilter, DeliveryState};
use streamalert_pipeline::dead_letter::Reason;
use streamalert_pipeline::time::Millis;

/// Of a hundred calls, those that fail.
const FAILING: f64 = 0.2;
const SEEDS: u64 = 50;
/// Rows that raise alerts, those of a type that nobody knows yet, and lines that are nothing.
const ROWS: u64 = 30;
const UNKNOWN: u64 = 3;
const BROKEN: u64 = 2;
/// Times a message or an invocation may come again.
const ROUNDS_MAX: u32 = 60;

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis
}

/// Until it neither fails as a whole nor in part, as a queue would.
fn insist(function: &Arc<dyn Function>, event: &Value) -> Value {
    let mut last = String::new();
    for _ in 0..ROUNDS_MAX {
        match invoke(function, event) {
            Ok(answer) if answer.get("batchItemFailures").is_none() || failed(&answer).is_empty() => return answer,
            Ok(answer) => last = answer.to_string(),
            Err(error) => last = error,
        }
    }
    panic!("it fails for ever: {last}");
}

/// All messages of the records queue through the rules engine, some of them twice.
fn judge(installation: &Installation, engine: &Arc<dyn Function>, seed: u64) {
    let mut round = 0;
    while let Some(messages) = installation.receive(&installation.records, 10) {
        round += 1;
        assert!(round < ROUNDS_MAX, "messages come again for ever");
        let answer = invoke(engine, &messages).unwrap_or_else(|_| {
            // All of them come again.
            let all = messages["Records"].as_array().unwrap().iter();
            json!({"batchItemFailures": all.map(|m| json!({"itemIdentifier": m["messageId"]})).collect::<Vec<_>>()})
        });
        if (seed + u64::from(round)).is_multiple_of(3) {
            let _ = invoke(engine, &messages);
        }
        installation.delete(&installation.records, &messages, &answer);
    }
}

fn one_seed(standin: &Standin, proxy: &FaultProxy, seed: u64) {
    let options = json!({"severity": "low", "outputs": ["aws-sqs:told"]});
    let direct = Installation::new(standin, "faults");
    let told = direct.queue("told");
    let outputs = json!({"aws-sqs": {"told": {"settings": {"queue": told.clone()}, "rate": 100_000.0}}});
    direct.put_rules("conf/outputs.json", outputs.to_string());
    direct.put_rules("plugins/every_row.wasm", every_row_with(&options.to_string()));
    insist(&direct.function("plugin_compiler"), &json!({}));

    let connection = Connection { silence: Duration::from_millis(250), ..standins::connection(&proxy.endpoint) };
    let faulty = direct.through(&connection);
    proxy.seed(seed);
    proxy.failing(FAILING);
    let mut lines: Vec<String> = (0..ROWS).map(|n| format!("{{\"n\": {n}}}")).collect();
    lines.extend((0..UNKNOWN).map(|n| format!("{{\"unknown\": {n}}}")));
    lines.extend((0..BROKEN).map(|n| format!("no json {n}")));
    let event = direct.put_log("a.json", lines.join("\n"));
    let event = json!({"Records": [by_queue("m1", &event)]});
    // Functions that are new at each try, as a cold start is.
    insist(&faulty.function("classifier"), &event);
    if seed.is_multiple_of(4) {
        insist(&faulty.function("classifier"), &event);
    }
    judge(&direct, &faulty.function("rules_engine"), seed);

    // Everything that should alert does, each under one id; the balance is exact.
    assert_eq!(direct.alerted(), (0..ROWS).collect::<Vec<_>>(), "seed {seed}");
    let alerts = direct.alerts();
    assert_eq!(alerts.iter().map(|alert| &alert.id).collect::<BTreeSet<_>>().len() as u64, ROWS);
    let letters = direct.letters();
    let of = |reason: Reason| letters.iter().filter(|letter| letter.reason == reason).count() as u64;
    assert_eq!((of(Reason::NoSchema), of(Reason::NotJson), letters.len() as u64), (UNKNOWN, BROKEN, UNKNOWN + BROKEN));

    // What was a letter for want of a schema goes through when there is one.
    let schema = json!({"test:unknown": {"parser": "json", "schema": {"unknown": "integer"}}});
    direct.put_rules("conf/schemas/unknown.json", schema.to_string());
    insist(&direct.function("plugin_compiler"), &json!({}));
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    let classifier = faulty.function("classifier");
    for round in 0.. {
        let _ = invoke(&classifier, &json!({ "streamalert_resend": ids }));
        let left = direct.letters();
        if left.len() as u64 == BROKEN {
            assert!(left.iter().all(|letter| letter.reason == Reason::NotJson));
            break;
        }
        assert!(round < ROUNDS_MAX, "seed {seed}: letters stay: {left:?}");
    }
    let resent: BTreeSet<String> = direct
        .queued()
        .iter()
        .flat_map(|batch| &batch.records)
        .filter_map(|record| Some(serde_json::from_str::<Value>(&record.json).ok()?.get("unknown")?.to_string()))
        .collect();
    assert_eq!(resent.len() as u64, UNKNOWN, "seed {seed}");

    // Every alert is delivered. Whoever waits for its next attempt is made due by hand, as an operator would; a lease whose end was
    // lost is taken for over first, by a clock that is far ahead.
    let table = DynamoAlerts::new(direct.place.aws.clone(), &direct.place.names);
    for round in 0.. {
        let _ = invoke(&faulty.function("alert_merger"), &json!({}));
        let _ = invoke(&faulty.function("alert_processor"), &json!({}));
        let owed = DeliveryFilter { state: Some(DeliveryState::Owed), ..DeliveryFilter::default() };
        let owed = table.deliveries(&owed, 10_000).unwrap();
        if owed.is_empty() {
            break;
        }
        assert!(round < ROUNDS_MAX, "seed {seed}: {} deliveries are owed for ever: {:?}", owed.len(), owed[0]);
        for now in [i64::MAX >> 20, now()] {
            table.retry(&DeliveryFilter::default(), now).unwrap();
        }
    }
    // This output sends the record itself.
    let mut delivered: BTreeMap<u64, u32> = BTreeMap::new();
    while let Some(messages) = direct.receive(&told, 10) {
        for message in messages["Records"].as_array().unwrap() {
            let record: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
            *delivered.entry(record["n"].as_u64().unwrap()).or_default() += 1;
        }
        direct.delete(&told, &messages, &json!({}));
    }
    assert_eq!(delivered.keys().copied().collect::<Vec<_>>(), (0..ROWS).collect::<Vec<_>>(), "seed {seed}");
}

#[test]
fn a_fifth_of_all_calls_fails_and_nothing_is_lost() {
    let Some(standin) = standins::ministack() else { return };
    let proxy = FaultProxy::start(&standin.endpoint);
    for seed in 0..SEEDS {
        one_seed(standin, &proxy, seed);
    }
    println!("{}", proxy.summary());
}
