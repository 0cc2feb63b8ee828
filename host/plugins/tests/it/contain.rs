//! Whatever a rule does, it is the rule's own loss: it is named, and its neighbour in the same component judges on.

use crate::guest::{EVERY_ROW, Guest, NOTHING};
use crate::{batch, host, load};
use streamalert_pipeline::plugin::{Blame, PluginErrorKind as Kind, RulePlugin};

/// Four rows are asked about.
const ROWS: [u32; 4] = [1, 2, 5, 7];

/// Runs a rule of this body between two calls of a good one, in one session.
#[track_caller]
fn fails(body: &str, kind: Kind, says: &str) {
    let guest = Guest { rules: vec![("good", EVERY_ROW), ("bad", body)], ..Guest::default() };
    let component = load(&host(), &guest.build()).unwrap();
    let batch = batch(8);
    let mut session = component.open(&batch);
    let before = session.evaluate(0, &ROWS).unwrap();
    for round in 0..3 {
        let error = session.evaluate(1, &ROWS).expect_err("the bad rule answered");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(says), "{error}");
        assert_eq!(error.kind.blame(), if kind == Kind::HostCall { Blame::Host } else { Blame::Guest });
        let after = session.evaluate(0, &ROWS).unwrap();
        assert_eq!(after.findings, before.findings, "round {round}");
        assert_eq!(after.fuel, before.fuel, "round {round}");
    }
    assert_eq!(before.findings.iter().map(|finding| finding.row).collect::<Vec<_>>(), ROWS);
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    fails("(loop $for_ever (br $for_ever)) (unreachable)", Kind::OutOfFuel, "units of fuel in");
}

#[test]
fn deep_recursion_exhausts_its_own_stack() {
    fails("(drop (call $deeper (i32.const 0))) (unreachable)", Kind::Trap, "call stack of 512 KiB exhausted in");
}

#[test]
fn memory_beyond_the_limit_is_refused() {
    fails(
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (unreachable)",
        Kind::OutOfMemory,
        "the limit is 64 MiB",
    );
}

#[test]
fn a_guest_that_takes_no_for_an_answer_goes_on() {
    let body = "(drop (memory.grow (i32.const 60000))) (call $findings (local.get $rows) (local.get $count))";
    let component = load(&host(), &Guest { rules: vec![("calm", body)], ..Guest::default() }.build()).unwrap();
    assert_eq!(component.open(&batch(8)).evaluate(0, &ROWS).unwrap().findings.len(), 4);
}

#[test]
fn a_trap_is_told_with_its_place() {
    fails("(unreachable)", Kind::Trap, "`unreachable` instruction executed in");
    fails("(i32.div_u (i32.const 1) (i32.const 0))", Kind::Trap, "integer divide by zero");
    fails("(i32.load (i32.const -8))", Kind::Trap, "out of bounds memory access");
}

#[test]
fn a_trap_on_one_row_spares_the_others_when_asked_one_by_one() {
    let body = "(if (i32.eq (i32.load (local.get $rows)) (i32.const 5)) (then (unreachable)))
        (call $findings (local.get $rows) (local.get $count))";
    let component = load(&host(), &Guest { rules: vec![("picky", body)], ..Guest::default() }.build()).unwrap();
    let batch = batch(8);
    let mut session = component.open(&batch);
    let outcome: Vec<_> = ROWS.iter().map(|row| session.evaluate(0, &[*row]).map(|j| j.findings.len())).collect();
    assert!(matches!(&outcome[..], [Ok(1), Ok(1), Err(_), Ok(1)]), "{outcome:?}");
}

/// A body that makes room of 60 MiB at address 65536 and then answers.
fn with_60_mib(answer: &str) -> String {
    format!("(drop (memory.grow (i32.const 960))) {answer}")
}

/// Answers with a million findings that lie in memory, all zero.
#[test]
fn an_answer_of_many_findings_is_cut_short() {
    fails(
        &with_60_mib("(call $list (i32.const 65536) (i32.const 1000000))"),
        Kind::BadAnswer,
        "handed over more than 4 MiB",
    );
}

/// Every finding's title, key and context are one and the same text of 3 MiB: four findings claim 36 MiB.
#[test]
fn texts_that_share_their_bytes_count_each_time() {
    let set = |offset: u32| {
        format!(
            "(i32.store8 offset={offset} (local.get $at) (i32.const 1))
             (i32.store offset={} (local.get $at) (i32.const 65536))
             (i32.store offset={} (local.get $at) (i32.const 3145728))",
            offset + 4,
            offset + 8
        )
    };
    let one = [set(4), set(20), set(32)].concat();
    let body = format!(
        "(local.set $n (call $findings (local.get $rows) (local.get $count)))
         (local.set $at (i32.load (local.get $n)))
         {}
         (local.get $n)",
        [one, "(local.set $at (i32.add (local.get $at) (i32.const 52)))".into()].concat().repeat(4)
    );
    fails(&with_60_mib(&body), Kind::BadAnswer, "handed over more than 4 MiB");
}

#[test]
fn an_answer_outside_of_memory_is_refused() {
    fails("(call $list (i32.const 65536) (i32.const 20000000))", Kind::BadAnswer, "out of bounds");
    fails("(i32.const -4)", Kind::BadAnswer, "out of bounds");
    fails("(i32.const 3)", Kind::BadAnswer, "aligned");
}

/// Findings on all rows; `change` gets the address of the first as `$at`.
fn changed(change: &str) -> String {
    format!(
        "(local.set $n (call $findings (local.get $rows) (local.get $count)))
         (local.set $at (i32.load (local.get $n)))
         {change}
         (local.get $n)"
    )
}

/// An optional text at this offset of the first finding.
fn text(offset: u32, text: &str) -> String {
    let bytes: String = text
        .bytes()
        .enumerate()
        .map(|(index, byte)| format!("(i32.store8 offset={index} (i32.const 20000) (i32.const {byte}))"))
        .collect();
    changed(&format!(
        "{bytes}
         (i32.store8 offset={offset} (local.get $at) (i32.const 1))
         (i32.store offset={} (local.get $at) (i32.const 20000))
         (i32.store offset={} (local.get $at) (i32.const {}))",
        offset + 4,
        offset + 8,
        text.len()
    ))
}

#[test]
fn values_that_mean_nothing_are_bad_answers() {
    let is = |change: &str, says: &str| fails(&changed(change), Kind::BadAnswer, says);
    // A byte of 255 starts no character.
    is(
        "(i32.store8 (i32.const 20000) (i32.const 255)) (i32.store8 offset=4 (local.get $at) (i32.const 1))
         (i32.store offset=8 (local.get $at) (i32.const 20000)) (i32.store offset=12 (local.get $at) (i32.const 1))",
        "utf-8",
    );
    is("(i32.store8 offset=4 (local.get $at) (i32.const 7))", "invalid option discriminant");
    is(
        "(i32.store8 offset=16 (local.get $at) (i32.const 1)) (i32.store8 offset=17 (local.get $at) (i32.const 9))",
        "discriminant",
    );
    is("(i32.store (local.get $at) (i32.const 3))", "row 3, which it was not asked about");
    is("(i32.store (local.get $at) (i32.const -1))", "row 4294967295, which it was not asked about");
    is("(i32.store (local.get $at) (i32.const 7))", "row 7 twice");
    is(
        "(i32.store (local.get $n) (i32.const 40000)) (i32.store offset=4 (local.get $n) (i32.const 5))",
        "5 findings on 4 rows",
    );
    fails(&text(32, "[]"), Kind::BadAnswer, "row 1: the context is no JSON object");
    fails(&text(32, "{"), Kind::BadAnswer, "the context is no JSON object");
}

/// What a finding says is often taken from the record: whoever writes that must not be able to keep the alert from anybody.
#[test]
fn what_is_too_large_is_made_smaller_and_the_alert_goes_on() {
    let fill = "(drop (memory.grow (i32.const 4))) (memory.fill (i32.const 200000) (i32.const 97) (i32.const 70000))";
    let key = |last: u8| {
        changed(&format!(
            "{fill} (i32.store8 (i32.const 201999) (i32.const {last}))
             (i32.store8 offset=20 (local.get $at) (i32.const 1)) (i32.store offset=24 (local.get $at) (i32.const 200000))
             (i32.store offset=28 (local.get $at) (i32.const 2000))"
        ))
    };
    let context = changed(&format!(
        "{fill} (i32.store8 offset=32 (local.get $at) (i32.const 1)) (i32.store offset=36 (local.get $at) (i32.const 200000))
         (i32.store offset=40 (local.get $at) (i32.const 70000))"
    ));
    let outputs = changed(
        "(i32.store offset=44 (local.get $at) (i32.const 20000)) (i32.store offset=48 (local.get $at) (i32.const 35))",
    );
    let (one, other) = (key(b'x'), key(b'y'));
    let rules =
        vec![("one", &*one), ("same", &*one), ("other", &*other), ("context", &*context), ("outputs", &*outputs)];
    let component = load(&host(), &Guest { rules, ..Guest::default() }.build()).unwrap();
    let batch = batch(8);
    let mut session = component.open(&batch);
    let mut finding = |rule| session.evaluate(rule, &ROWS).unwrap().findings.remove(0);
    let keys: Vec<String> = [0, 1, 2].map(|rule| finding(rule).dedup_key.unwrap()).into();
    assert!(keys.iter().all(|key| key.len() == 1024 && key.starts_with("aaaa")), "{keys:?}");
    assert_eq!(keys[0], keys[1], "equal keys stay equal");
    assert_ne!(keys[0], keys[2], "and others apart, though they differ beyond the cut");
    let context = serde_json::to_value(finding(3).context).unwrap();
    assert_eq!(context, serde_json::json!({"streamalert:context_dropped": "70000 bytes; the limit is 65536"}));
    let outputs = finding(4).outputs;
    assert_eq!((outputs.len(), outputs[32].as_str()), (33, "3 more"));
}

#[test]
fn what_means_something_arrives() {
    let json = r#"{"user": "root"}"#;
    let (context, title) = (text(32, json), text(4, "Ä title"));
    // Outputs that are none go along, a long one as far as its name may go.
    let outputs = changed(
        "(memory.fill (i32.const 20000) (i32.const 97) (i32.const 700))
         (i32.store offset=44 (local.get $at) (i32.const 21000)) (i32.store offset=48 (local.get $at) (i32.const 2))
         (i32.store (i32.const 21000) (i32.const 20000)) (i32.store (i32.const 21004) (i32.const 5))
         (i32.store (i32.const 21008) (i32.const 20000)) (i32.store (i32.const 21012) (i32.const 700))",
    );
    let guest =
        Guest { rules: vec![("context", &context), ("title", &title), ("outputs", &outputs)], ..Guest::default() };
    let component = load(&host(), &guest.build()).unwrap();
    let batch = batch(8);
    let mut session = component.open(&batch);
    let found = session.evaluate(0, &ROWS).unwrap().findings;
    assert_eq!(serde_json::to_value(&found[0].context).unwrap(), serde_json::json!({"user": "root"}));
    assert!(found[1].context.is_empty());
    assert_eq!(session.evaluate(1, &ROWS).unwrap().findings[0].title.as_deref(), Some("Ä title"));
    let found = session.evaluate(2, &ROWS).unwrap().findings;
    assert_eq!(found[0].outputs, ["a".repeat(5), "a".repeat(512)]);
    assert!(found[1].outputs.is_empty());
}

#[test]
fn a_flood_of_host_calls_is_paid_for() {
    let flood = |call: &str| {
        format!("(local.set $n (call $alloc (i32.const 64))) (loop $more {call} (br $more)) (unreachable)")
    };
    fails(&flood("(call $get (i32.const 0) (i32.const 1024) (i32.const 3) (local.get $n))"), Kind::OutOfFuel, "fuel");
    // The answer lies where the last one did, so that memory is not what ends it.
    fails(&flood("(call $write (i32.const 0) (i32.const 0) (i32.const 30000))"), Kind::OutOfFuel, "fuel");
    fails(
        &flood("(call $lookup (i32.const 1024) (i32.const 3) (i32.const 1024) (i32.const 3) (local.get $n))"),
        Kind::OutOfFuel,
        "fuel",
    );
}

#[test]
fn a_flood_of_copies_is_paid_for_or_meets_the_memory_limit() {
    for call in ["(call $packed (local.get $n))", "(call $json (i32.const 0) (local.get $n))"] {
        let body = format!("(local.set $n (call $alloc (i32.const 64))) (loop $more {call} (br $more)) (unreachable)");
        let component = load(&host(), &Guest { rules: vec![("flood", &body)], ..Guest::default() }.build()).unwrap();
        let error = component.open(&batch(200)).evaluate(0, &ROWS).unwrap_err();
        assert!(matches!(error.kind, Kind::OutOfFuel | Kind::OutOfMemory), "{error}");
    }
}

#[test]
fn one_huge_argument_is_refused() {
    fails(
        &with_60_mib("(call $write (i32.const 0) (i32.const 65536) (i32.const 60000000)) (unreachable)"),
        Kind::BadAnswer,
        "handed over more than 4 MiB",
    );
}

#[test]
fn a_starved_guest_meets_the_wall_clock() {
    use std::time::{Duration, Instant};
    let mut limits = crate::limits();
    limits.fuel_per_call_base = u64::MAX / 4;
    limits.deadline = Duration::from_millis(60);
    limits.deadline_per_row = Duration::ZERO;
    let config = streamalert_plugins::HostConfig { limits, ..Default::default() };
    let host = streamalert_plugins::Host::new(config).unwrap();
    let guest =
        Guest { rules: vec![("loop", "(loop $l (br $l)) (unreachable)"), ("good", EVERY_ROW)], ..Guest::default() };
    let component = load(&host, &guest.build()).unwrap();
    let batch = batch(8);
    let mut session = component.open(&batch);
    let start = Instant::now();
    let error = session.evaluate(0, &ROWS).unwrap_err();
    assert_eq!(error.kind, Kind::Timeout, "{error}");
    assert!(start.elapsed() >= Duration::from_millis(50) && start.elapsed() < Duration::from_secs(5));
    assert_eq!(session.evaluate(1, &ROWS).unwrap().findings.len(), 4);
}

#[test]
fn the_same_rows_cost_the_same_fuel_in_any_instance() {
    let component = load(&host(), &Guest::default().build()).unwrap();
    let costs: Vec<u64> = (0..4).map(|_| component.open(&batch(8)).evaluate(0, &ROWS).unwrap().fuel).collect();
    assert!(costs[0] > 50 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[test]
fn an_instance_is_replaced_after_its_share_of_batches() {
    let mut limits = crate::limits();
    limits.instance_batches = 10;
    let config = streamalert_plugins::HostConfig { limits, ..Default::default() };
    let host = streamalert_plugins::Host::new(config).unwrap();
    // Counts its calls at address 16, and reports nothing but the first.
    let body = "(i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
        (if (i32.ne (i32.load (i32.const 16)) (i32.const 1)) (then (return (call $list (i32.const 0) (i32.const 0)))))
        (call $findings (local.get $rows) (local.get $count))";
    let component = load(&host, &Guest { rules: vec![("first", body)], ..Guest::default() }.build()).unwrap();
    let firsts: Vec<bool> =
        (0..60).map(|_| !component.open(&batch(1)).evaluate(0, &[0]).unwrap().findings.is_empty()).collect();
    let count = firsts.iter().filter(|first| **first).count();
    assert!((5..=8).contains(&count), "{count} instances for 60 batches: {firsts:?}");
}

#[test]
fn more_components_than_instances_take_turns() {
    let host = host();
    let components: Vec<_> = (0..40).map(|_| load(&host, &Guest::default().build()).unwrap()).collect();
    for component in components.iter().chain(&components) {
        assert_eq!(component.open(&batch(8)).evaluate(0, &ROWS).unwrap().findings.len(), 4);
    }
}

#[test]
fn threads_share_a_component() {
    let component =
        load(&host(), &Guest { rules: vec![("good", EVERY_ROW), ("none", NOTHING)], ..Guest::default() }.build())
            .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let batch = batch(8);
                    let mut session = component.open(&batch);
                    assert_eq!(session.evaluate(0, &ROWS).unwrap().findings.len(), 4);
                    assert!(session.evaluate(1, &ROWS).unwrap().findings.is_empty());
                }
            });
        }
    });
}
