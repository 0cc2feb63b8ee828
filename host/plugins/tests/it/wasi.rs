//! The part of WASI that language runtimes need at their start, and what happens to one that wants more.

use crate::guest::{EVERY_ROW, Guest};
use crate::{batch, host, load};
use std::time::{Duration, Instant};
use streamalert_packed::{Builder, Record};
use streamalert_pipeline::plugin::{PluginError, PluginErrorKind as Kind, RulePlugin};

/// What a runtime imports, of several patch versions, as toolchains mix them.
const IMPORTS: &str = r#"
  (import "wasi:io/error@0.2.3" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/poll@0.2.3" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (export "output-stream" (type $output (sub resource)))
    (alias outer 1 $error (type $e0)) (export "error" (type $e (eq $e0)))
    (type $failed (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failed)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer 1 $output-stream (type $o0)) (export "output-stream" (type $o (eq $o0)))
    (export "get-stdout" (func (result (own $o))))))
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p0)) (export "pollable" (type $p (eq $p0)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasi:filesystem/types@0.2.6" (instance $files
    (export "descriptor" (type $d (sub resource)))
    (export "[method]descriptor.sync-data" (func (param "self" (borrow $d))))
    (export "open-anything" (func))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.6" (instance $preopens
    (alias outer 1 $descriptor (type $d0)) (export "descriptor" (type $d (eq $d0)))
    (export "get-directories" (func (result (list (tuple (own $d) string)))))))
  (import "wasi:sockets/network@0.2.0" (instance $network (export "network" (type (sub resource)))))
"#;

const LOWER: &str = r#"
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $print (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory) (realloc $realloc)))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $environment (canon lower (func $environment "get-environment") (memory $memory) (realloc $realloc)))
  (core func $exit (canon lower (func $exit "exit")))
  (core func $sleep (canon lower (func $clock "subscribe-duration")))
  (core func $now (canon lower (func $clock "now")))
  (core func $random-u64 (canon lower (func $random "get-random-u64")))
  (core func $random-bytes (canon lower (func $random "get-random-bytes") (memory $memory) (realloc $realloc)))
  (core func $open (canon lower (func $files "open-anything")))
  (core func $directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))"#;

const PASS: &str = r#"(export "block" (func $block)) (export "print" (func $print)) (export "stdout" (func $get-stdout))
  (export "environment" (func $environment)) (export "exit" (func $exit)) (export "sleep" (func $sleep))
  (export "now" (func $now)) (export "random-u64" (func $random-u64)) (export "random-bytes" (func $random-bytes))
  (export "open" (func $open)) (export "directories" (func $directories))"#;

const TAKE: &str = r#"
  (import "host" "block" (func $block (param i32))) (import "host" "print" (func $print (param i32 i32 i32 i32)))
  (import "host" "stdout" (func $stdout (result i32))) (import "host" "environment" (func $environment (param i32)))
  (import "host" "exit" (func $exit (param i32))) (import "host" "sleep" (func $sleep (param i64) (result i32)))
  (import "host" "now" (func $now (result i64))) (import "host" "random-u64" (func $random-u64 (result i64)))
  (import "host" "random-bytes" (func $random-bytes (param i64 i32))) (import "host" "open" (func $open))
  (import "host" "directories" (func $directories (param i32)))"#;

/// What a rule that uses WASI like this comes to on a record with the field `hello`, and what it logged.
fn run(body: &str) -> (Result<usize, PluginError>, Vec<String>) {
    let rules = vec![("wasi", body), ("good", EVERY_ROW)];
    let guest = Guest { rules, imports: IMPORTS, lower: LOWER, pass: PASS, take: TAKE, ..Guest::default() };
    let component = load(&host(), &guest.build()).unwrap();
    let batch = batch(2);
    let mut session = component.open(&batch);
    let plain = session.evaluate(0, &[0, 1]).map(|judged| judged.findings.len());
    assert_eq!(session.evaluate(1, &[0, 1]).unwrap().findings.len(), 2, "the neighbour");

    let mut bytes = Vec::new();
    Builder::json(&mut bytes, &serde_json::json!({"hello": "world"}));
    // SAFETY: the builder wrote it.
    let explained = component.explain(0, unsafe { Record::trusted(&bytes) });
    assert_eq!(explained.verdict.is_ok(), plain.is_ok());
    (plain, explained.logs.into_iter().map(|line| format!("{} {}", line.level, line.message)).collect())
}

/// Reports all rows if `condition` holds.
fn all_if(condition: &str) -> String {
    format!("(if {condition} (then (return {EVERY_ROW}))) (call $list (i32.const 0) (i32.const 0))")
}

#[test]
fn standard_output_goes_to_the_log_line_by_line() {
    // "ab\nc" in two writes of "ab" and "\nc"; the end of the call ends the line.
    let body = "(i32.store (i32.const 20000) (i32.const 0x630a6261))
        (local.set $n (call $stdout))
        (call $print (local.get $n) (i32.const 20000) (i32.const 2) (i32.const 20100))
        (call $print (local.get $n) (i32.const 20002) (i32.const 2) (i32.const 20100))
        (call $list (i32.const 0) (i32.const 0))";
    let (plain, logs) = run(body);
    assert_eq!(plain.unwrap(), 0);
    assert_eq!(logs, ["info ab", "info c"]);
}

#[test]
fn what_is_logged_too_much_is_dropped() {
    let body = "(i32.store (i32.const 20000) (i32.const 0x0a0a0a0a))
        (local.set $n (call $stdout))
        (loop $more
          (call $print (local.get $n) (i32.const 20000) (i32.const 4) (i32.const 20100))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $at) (i32.const 100))))
        (call $list (i32.const 0) (i32.const 0))";
    let (plain, logs) = run(body);
    assert_eq!(plain.unwrap(), 0);
    assert_eq!(logs.len(), crate::limits().log_lines);
}

#[test]
fn environment_and_folders_are_empty() {
    let counted = |call: &str| {
        run(&all_if(&format!(
            "(block (result i32) (i32.store offset=4 (i32.const 20000) (i32.const 9)) (call {call} (i32.const 20000))
               (i32.eqz (i32.load offset=4 (i32.const 20000))))"
        )))
    };
    assert_eq!(counted("$environment").0.unwrap(), 2);
    assert_eq!(counted("$directories").0.unwrap(), 2);
}

#[test]
fn clocks_run_and_random_numbers_differ() {
    assert_eq!(run(&all_if("(i64.le_u (call $now) (call $now))")).0.unwrap(), 2);
    assert_eq!(run(&all_if("(i64.ne (call $random-u64) (call $random-u64))")).0.unwrap(), 2);
    let bytes = "(block (result i32) (call $random-bytes (i64.const 5) (i32.const 20000))
        (i32.eq (i32.load offset=4 (i32.const 20000)) (i32.const 5)))";
    assert_eq!(run(&all_if(bytes)).0.unwrap(), 2);
    let greedy = "(call $random-bytes (i64.const 0xffffffffffff) (i32.const 20000)) (unreachable)";
    let error = run(greedy).0.unwrap_err();
    assert!(error.kind == Kind::Trap && error.message.contains("random bytes"), "{error}");
}

#[test]
fn a_guest_cannot_sleep() {
    let hour =
        "(call $block (call $sleep (i64.const 3600000000000))) (call $findings (local.get $rows) (local.get $count))";
    let start = Instant::now();
    assert_eq!(run(hour).0.unwrap(), 2);
    assert!(start.elapsed() < Duration::from_secs(60));
    let for_ever =
        "(local.set $n (call $sleep (i64.const 1000000))) (loop $l (call $block (local.get $n)) (br $l)) (unreachable)";
    assert_eq!(run(for_ever).0.unwrap_err().kind, Kind::OutOfFuel);
    // Handles are not there without end either.
    let hoard = "(loop $l (drop (call $sleep (i64.const 1))) (br $l)) (unreachable)";
    let kind = run(hoard).0.unwrap_err().kind;
    assert!(matches!(kind, Kind::OutOfFuel | Kind::BadAnswer | Kind::Trap), "{kind:?}");
}

#[test]
fn what_does_not_exist_is_a_trap_that_says_so() {
    let error = run("(call $open) (unreachable)").0.unwrap_err();
    assert_eq!(error.kind, Kind::Trap);
    assert_eq!(
        error.message,
        "called wasi:filesystem/types#open-anything: plugins have no files, sockets, environment or processes"
    );
    let error = run("(call $exit (i32.const 1)) (unreachable)").0.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Trap, "called exit, with failure"));
}
