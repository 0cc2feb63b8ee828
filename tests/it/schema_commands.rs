//! `streamalert schema`: check, infer and classify as their user sees them.

use crate::bad_guests::guest;
use crate::run_world::World;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Output;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn exits(output: Output, code: i32) -> Output {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", out(&output), err(&output));
    output
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in:\n{text}"));
}

/// What is drafted from a sample, and what is said about it. The command itself has made sure that the draft takes all of it.
#[track_caller]
fn drafted(sample: &str, more: &[&str]) -> (Value, String) {
    let world = World::new();
    let arguments: Vec<&str> = ["schema", "infer", "-", "--name", "acme:log"].iter().chain(more).copied().collect();
    let output = exits(world.streamalert_with_input(&arguments, sample.as_bytes()), 0);
    says(&err(&output), &["the draft takes all of them"]);
    (serde_json::from_slice(&output.stdout).unwrap(), err(&output))
}

/// The one type that a sample is drafted as.
#[track_caller]
fn check(sample: &str, expected: Value) {
    let (file, said) = drafted(sample, &[]);
    assert_eq!(file, json!({"acme:log": expected}), "{said}");
}

#[test]
fn json_is_drafted_in_whatever_it_is_wrapped() {
    let plain = json!({"parser": "json", "schema": {"a": "string", "n": "integer"}});
    check("{\"a\": \"x\", \"n\": 1}\n{\"n\": 2, \"a\": \"y\"}\n", plain.clone());
    check("[{\"a\": \"x\", \"n\": 1}, {\"a\": \"y\", \"n\": null}]", plain);
    let wrapped = r#"{"Records": [{"a": "x"}, {"a": "y", "n": 1.5}], "Version": 2} {"Records": [], "Version": 2}"#;
    check(
        wrapped,
        json!({"parser": "json", "schema": {"a": "string", "n": "float"}, "configuration": {
            "json_path": "Records[*]",
            "envelope_keys": {"Version": "integer"},
            "optional_top_level_keys": ["n"],
        }}),
    );
    let logs: Vec<Value> = (0..20).map(|n| json!({"a": format!("authentication {n}")})).collect();
    let deep = json!({"stat": "OK", "response": {"authlogs": logs}}).to_string();
    check(
        &deep,
        json!({"parser": "json", "schema": {"a": "string"},
               "configuration": {"json_path": "response.authlogs[*]", "envelope_keys": {"stat": "string"}}}),
    );
    let subscription = |message: &str| {
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
               "logEvents": [{"id": "1", "timestamp": 1, "message": message}]})
        .to_string()
    };
    let around = json!({"messageType": "string", "owner": "string", "logGroup": "string", "logStream": "string",
                        "subscriptionFilters": []});
    check(
        &subscription(r#"{"a": 1}"#),
        json!({"parser": "json", "schema": {"a": "integer"}, "configuration": {
            "json_path": "logEvents[*].message", "embedded_json": true, "envelope_keys": around}}),
    );
    check(
        &subscription("level=info n=12"),
        json!({"parser": "logfmt", "schema": {"level": "string", "n": "integer"},
               "configuration": {"json_path": "logEvents[*].message", "envelope_keys": around}}),
    );
    let event = r#"{"version": "0", "detail-type": "Login", "source": "acme", "detail": {"user": "ann"}}"#;
    check(
        event,
        json!({"parser": "json", "schema": {"user": "string"}, "configuration": {"json_path": "detail",
               "envelope_keys": {"version": "string", "detail-type": "string", "source": "string"}}}),
    );
}

#[test]
fn types_are_those_of_all_values() {
    let sample = r#"{"i": 1, "f": 1, "b": true, "s": "1", "m": 1, "x": {"k": 1}, "l": [], "o": {"k": 1}, "n": null}
                    {"i": 2, "f": 1.5, "b": false, "s": "2", "m": "two", "x": "text", "l": [1], "o": {"k": 2}, "n": ""}"#;
    let schema = json!({"i": "integer", "f": "float", "b": "boolean", "s": "string", "m": "string", "x": {}, "l": [],
                        "o": {}, "n": "string"});
    let (file, said) = drafted(sample, &[]);
    assert_eq!(file["acme:log"]["schema"], schema);
    says(&said, &["2 records of one kind", "without any value in the sample, so string: n", "so {}: x"]);
    let (file, _) = drafted(sample, &["--nested"]);
    assert_eq!(file["acme:log"]["schema"]["o"], json!({"k": "integer"}));
    assert_eq!(file["acme:log"]["schema"]["x"], json!({}));
}

#[test]
fn records_of_several_kinds_are_several_types() {
    let sample = r#"{"type": "login", "user": "ann", "ip": "192.0.2.1", "ok": true}
                    {"type": "upload", "file": "x", "size": 3, "folder": "/"}
                    {"type": "login", "user": "bob", "ip": "192.0.2.2", "ok": false, "geo": "de"}"#;
    let (file, said) = drafted(sample, &[]);
    says(&said, &["3 records of 2 kinds"]);
    assert_eq!(file["acme:login"]["configuration"]["optional_top_level_keys"], json!(["geo"]));
    assert_eq!(file["acme:upload"]["schema"]["size"], "integer");
    assert_eq!(file.as_object().unwrap().len(), 2);
}

#[test]
fn text_formats_are_found_by_trying_them() {
    let parser = |sample: &str, parser: &str, configuration: Value, schema: Value| {
        let (file, said) = drafted(sample, &[]);
        let log_type = &file["acme:log"];
        assert_eq!(log_type["parser"], parser, "{said}");
        let found = log_type.get("configuration").cloned().unwrap_or_else(|| json!({}));
        assert_eq!(found, configuration, "{file}");
        assert_eq!(log_type["schema"], schema, "{file}");
    };
    let row = json!({"user": "string", "at": "string", "count": "integer"});
    parser("user,at,count\nann,\"1, 2\",3\nbob,x,4\n", "csv", json!({"header": true}), row);
    let columns = json!({"column_1": "string", "column_2": "string", "column_3": "float"});
    parser("ann;x;1.5\nbob;y;2.25\n", "csv", json!({"delimiter": ";"}), columns);
    parser("a=1,b=x\na=2,b=y\n", "kv", json!({"delimiter": ","}), json!({"a": "integer", "b": "string"}));
    parser(
        "level=info msg=\"two words\" id=007\n",
        "logfmt",
        json!({}),
        json!({"level": "string", "msg": "string", "id": "string"}),
    );
    let syslog = "<34>Oct 11 22:14:15 mymachine su: failed\n<34>Oct 11 22:14:15 mymachine sshd[12]: failed\n";
    let schema = json!({"priority": "integer", "facility": "integer", "severity": "integer", "timestamp": "string",
                        "host": "string", "application": "string", "message": "string", "process_id": "string"});
    parser(syslog, "syslog", json!({"optional_top_level_keys": ["process_id"]}), schema);
    let cef = "CEF:0|Acme|Wall|1.0|100|denied|3|src=192.0.2.1 spt=12\n";
    let (file, _) = drafted(cef, &[]);
    assert_eq!(file["acme:log"]["parser"], "cef");
    assert_eq!(file["acme:log"]["schema"]["spt"], "integer");
    let leef = "LEEF:1.0|Acme|Wall|4.0|15345|src=192.0.2.0\tusrName=ann\n";
    assert_eq!(drafted(leef, &[]).0["acme:log"]["parser"], "leef");
    let w3c = "#Version: 1.0\n#Fields: date time c-ip\n2026-01-01 10:00:00 192.0.2.1\n";
    parser(w3c, "w3c", json!({}), json!({"date": "string", "time": "string", "c-ip": "string"}));
    let windows = "<Events><Event><System><EventID>1</EventID></System><EventData/></Event>\n<Event><System/><EventData/></Event></Events>";
    parser(windows, "windows_event", json!({}), json!({"System": {}, "EventData": {}}));
    // Lines that do not name their cells, of a log that is known.
    let flow = "2 123456789010 eni-1 192.0.2.1 192.0.2.2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK\n";
    let (file, said) = drafted(flow, &[]);
    says(&said, &["every line is what vpcflow:default takes"]);
    assert_eq!(file["acme:log"]["schema"]["dstaddr"], "string");
}

#[test]
fn a_sample_without_records_and_a_name_that_cannot_be_are_refused() {
    let world = World::new();
    world.write("empty.json", "[]");
    says(&err(&exits(world.streamalert(&["schema", "infer", "empty.json"]), 2)), &["no record was found"]);
    exits(world.streamalert(&["schema", "infer", "nowhere.json"]), 2);
    exits(world.streamalert(&["schema", "infer", "empty.json", "--name", ":x"]), 2);
}

#[test]
fn check_tells_of_all_faults_at_once_and_of_rivals() {
    let world = World::new();
    let two = r#"{"a:x": {"parser": "json", "schema": {"k": "string"}},
                  "a:y": {"parser": "json", "schema": {"k": "string", "o": "string"},
                          "configuration": {"optional_top_level_keys": ["o"], "priority": 1}}}"#;
    world.write("conf/schemas/a.json", two);
    world.write("conf/clusters/c.json", r#"{"data_sources": {"file": {"*": ["test", "nobody"]}}}"#);
    let checked = out(&exits(world.streamalert(&["schema", "check"]), 0));
    says(
        &checked,
        &[
            "no schema goes by `nobody`",
            "a:x: no cluster lets a source send it",
            "rivals: a:y takes every record of a:x, which never gets one (the same keys but for o), by its priority",
            "3 log types, 3 warnings, 1 pairs",
        ],
    );
    let lines = out(&exits(world.streamalert(&["schema", "check", "--output", "json"]), 0));
    let found: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(found["rivals"][0]["differ_by"], json!(["o"]));
    assert_eq!(found["rivals"][0]["decided_by"], "priority");
    // A file by itself.
    let alone = out(&exits(world.streamalert(&["schema", "check", "conf/schemas/test.json"]), 0));
    says(&alone, &["1 log types, 0 warnings, 0 pairs"]);

    world.write(
        "conf/schemas/b.json",
        r#"{"b": {"parser": "jsn", "schema": {}}, "c": {"parser": "csv", "schema": {}}}"#,
    );
    world.write("conf/clusters/d.json", "[");
    let output = exits(world.streamalert(&["schema", "check"]), 2);
    says(
        &out(&output),
        &["b.parser: unknown variant `jsn`", "c.schema: needs a field for each column", "d.json: not JSON"],
    );
    says(&err(&output), &["3 faults in the configuration"]);
}

#[test]
fn classify_counts_what_came_of_everything_and_explains_each_record() {
    let world = World::new();
    world.write(
        "conf/schemas/wide.json",
        r#"{"test:wide": {"parser": "json", "schema": {"n": "integer", "o": "string"},
                          "configuration": {"optional_top_level_keys": ["o"]}}}"#,
    );
    let text = "{\"n\": 1}\n{\"n\": 2, \"x\": 3}\n{\"n\": \"no number\"}\n{\"m\": 1, \"o\": \"\"}\n[]\nno JSON\n";
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    world.write("in.gz", gzip.finish().unwrap());
    let counts = out(&exits(world.streamalert(&["schema", "classify", "in.gz"]), 0));
    let line =
        |name: &str| counts.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default().to_owned();
    says(&line("records in"), &[" 6  = 6 inputs"]);
    says(&line("test:row"), &[" 2  1 with keys the schema does not know"]);
    says(&line("skipped"), &[" 1"]);
    says(&line("dead letters"), &[" 3"]);
    says(&counts, &["test:row took records that test:wide fits too"]);

    let explained = out(&exits(world.streamalert(&["schema", "classify", "--explain", "in.gz"]), 0));
    says(
        &explained,
        &[
            "byte 0 record 0  test:row  exact; test:wide fits such records too",
            "byte 9 record 0  test:row  with keys the schema does not know",
            "not classified  wrong_type",
            "near test:wide: lacks n; has m besides",
            "not classified  not_json",
        ],
    );
    let lines = out(&exits(world.streamalert(&["schema", "classify", "--explain", "--output", "json", "in.gz"]), 0));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!(lines[0]["rivals"], json!(["test:wide"]));
    assert_eq!(lines[5]["classified"], json!({"test:row": 2}));
    assert_eq!(lines[5]["dead"], json!({"no_schema": 1, "not_json": 1, "wrong_type": 1}));
    let sum = |name: &str| lines[5][name].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(lines[5]["records_in"], sum("classified") + sum("skipped") + sum("dead"));
    exits(world.streamalert(&["schema", "classify", "nowhere"]), 2);
}

#[test]
fn classify_knows_the_parsers_of_a_folder() {
    let world = World::new();
    world.write("plugins/unruly_parser.wasm", guest("unruly_parser"));
    world.write("plugins/sleeper.wasm", "no component");
    world.write("in.log", "mine, by the look of it\n");
    let without = out(&exits(world.streamalert(&["schema", "classify", "in.log"]), 0));
    says(&without, &["not_json"]);
    let with = exits(world.streamalert(&["schema", "classify", "--explain", "--plugins", "plugins", "in.log"]), 0);
    says(&err(&with), &["refused: sleeper.wasm"]);
    says(&out(&with), &["byte 0 record 0  test:n  exact", "dead letters                                         0"]);
    exits(world.streamalert(&["schema", "classify", "--plugins", "nowhere", "in.log"]), 2);
}

#[test]
fn the_json_schemas_are_printed() {
    let world = World::new();
    for (of, title) in [("schemas", "StreamAlert log types"), ("clusters", "StreamAlert cluster")] {
        let printed = exits(world.streamalert(&["schema", "json-schema", of]), 0);
        let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
        assert_eq!(schema["title"], title);
    }
}
