//! The authoring loop as its user sees it: new, build, test, inspect, explain.
//!
//! What compiles a rule needs the WebAssembly toolchain; where it is missing these tests fail with the command that sets it up.

use crate::run_world::{EVERY_ROW, Guest, World, every_row_with, program};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The body of a rule that reports nothing.
const NOTHING: &str = "(call $list (i32.const 0) (i32.const 0))";

/// The checkout this test was built from: where the SDK and the shipped configuration are.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_path_buf()
}

/// Compiled dependencies are kept from run to run.
fn with_kept_target(command: &mut Command) -> &mut Command {
    command.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("authoring")).env("NO_COLOR", "1")
}

fn streamalert(folder: &Path, arguments: &[&str]) -> Output {
    with_kept_target(Command::new(program()).args(arguments).current_dir(folder)).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn exits(output: Output, code: i32) -> Output {
    let told = format!("{}\n{}", out(&output), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{told}");
    output
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in:\n{text}"));
}

#[track_caller]
fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}:\n{text}", file.display());
    std::fs::write(file, text.replace(from, to)).unwrap();
}

/// A new crate in a folder of its own.
fn new_rule(name: &str) -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    exits(streamalert(place.path(), &["new", "rule", name]), 0);
    let folder = place.path().join(name.replace('_', "-"));
    (place, folder)
}

#[test]
fn from_nothing_to_an_explained_verdict() {
    let (_place, folder) = new_rule("trail_stopped");

    let native =
        with_kept_target(Command::new("cargo").args(["test", "--quiet"]).current_dir(&folder)).output().unwrap();
    says(&out(&exits(native, 0)), &["1 passed"]);

    says(
        &out(&exits(streamalert(&folder, &["build"]), 0)),
        &["trail_stopped.wasm", "trail_stopped  cloudtrail:events"],
    );
    let wasm = folder.join("target/plugins/trail_stopped.wasm");
    let component = std::fs::read(&wasm).unwrap();
    let names: Vec<_> =
        std::fs::read_dir(wasm.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["trail_stopped.wasm"], "nothing half done is left");
    let home = std::env::var("HOME").unwrap();
    let names_home = component.windows(home.len()).any(|bytes| bytes == home.as_bytes());
    assert!(!names_home, "the component names {home}");

    let tested = out(&exits(streamalert(&folder, &["test", "--verbose"]), 0));
    says(&tested, &["✓ eventName is StopLogging", "→ trail_stopped", "✓ eventName is DescribeTrails", "2 passed in"]);

    let inspected =
        exits(streamalert(&folder, &["inspect", "target/plugins/trail_stopped.wasm", "--output", "json"]), 0);
    let about: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(about["rules"][0]["name"], "trail_stopped");
    assert_eq!(about["size"], component.len());
    let imports: Vec<&str> = about["imports"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(imports.iter().all(|name| name.starts_with("streamalert:plugin/")), "{imports:?}");

    // The same input that the first case stands for, as a file.
    let mut record = serde_json::Map::new();
    for key in ["awsRegion", "eventID", "eventSource", "eventTime", "eventType", "eventVersion", "sourceIPAddress"] {
        record.insert(key.into(), "".into());
    }
    record.insert("userIdentity".into(), serde_json::json!({}));
    record.insert("eventName".into(), "StopLogging".into());
    std::fs::write(folder.join("record.json"), Value::Object(record.clone()).to_string()).unwrap();
    let explained =
        out(&exits(streamalert(&folder, &["explain", "--rule", "trail_stopped", "--record", "record.json"]), 0));
    says(
        &explained,
        &[
            "classified as cloudtrail:events",
            r#"✓ when eventName is "StopLogging": the record holds "StopLogging""#,
            r#"it read eventName: "StopLogging""#,
            "fires",
            "severity  medium",
            "fuel ",
        ],
    );

    // A rule that no longer means what its cases say.
    edit(&folder.join("src/lib.rs"), r#"record.is("eventName", "StopLogging")"#, r#"record.is("errorCode", "x")"#);
    let failed = out(&exits(streamalert(&folder, &["test"]), 1));
    says(
        &failed,
        &[
            "✗ eventName is StopLogging",
            "expected trail_stopped to fire, but it did not",
            "all its conditions hold; the rule itself said no",
            "it read errorCode: ",
            "1 passed, 1 failed",
        ],
    );
    assert!(!failed.contains("DescribeTrails"), "what passes is not talked about:\n{failed}");
}

#[test]
fn from_nothing_to_a_tested_parser() {
    let place = tempfile::tempdir().unwrap();
    exits(streamalert(place.path(), &["new", "parser", "door-log"]), 0);
    let folder = place.path().join("door-log");

    let native =
        with_kept_target(Command::new("cargo").args(["test", "--quiet"]).current_dir(&folder)).output().unwrap();
    says(&out(&exits(native, 0)), &["1 passed"]);
    says(&out(&exits(streamalert(&folder, &["build"]), 0)), &["door_log.wasm", "parser door_log  door_log:event"]);
    let tested = out(&exits(streamalert(&folder, &["test", "--no-build", "--verbose"]), 0));
    says(&tested, &["✓ a line of three fields is an event", "door_log:event", "2 passed in"]);
    let seen = out(&exits(streamalert(&folder, &["inspect", "target/plugins/door_log.wasm"]), 0));
    says(
        &seen,
        &[
            "world     parser@0.1.0",
            "imports   streamalert:plugin/log@0.1.0",
            "parser door_log",
            "description Lines like `time|user|action`; a record for each.",
            "takes       lines",
            "sniffs      no",
            "log types   door_log:event (3 fields)",
        ],
    );

    // A case passes only if exactly its records and errors come out.
    let check = |case: &str, code: i32, parts: &[&str]| {
        let case = format!(r#"[{{"description": "d", "parser": "door_log", {case}}}]"#);
        std::fs::write(folder.join("cases/door_log.json"), case).unwrap();
        says(&out(&exits(streamalert(&folder, &["test", "--no-build"]), code)), parts);
    };
    let record = r#""records": [{"log": "door_log:event", "record": {"time": 1, "user": "ada"}}]"#;
    check(&format!(r#""hex": "31 7c61 6461 7c78", "sniffed": false, {record}"#), 0, &["1 passed"]);
    check(&format!(r#""base64": "MXxhZGF8eA==", {record}"#), 0, &["1 passed"]);
    check(
        &format!(r#""text": "1|bob|x", {record}"#),
        1,
        &["record 1 is not as it should be", "user is \"bob\", not \"ada\""],
    );
    check(&format!(r#""text": "", {record}"#), 1, &["expected 1 records, but 0 came out"]);
    check(
        &format!(r#""text": "1|ada|x\nx", {record}"#),
        1,
        &["1 pieces could not be read", "bytes 8 to 9: 1 fields instead of 3"],
    );
    check(r#""text": "x", "records": [], "errors": ["4 fields"]"#, 1, &["expected 1 errors: 4 fields"]);
    check(
        &format!(r#""text": "1|ada|x", "sniffed": true, {record}"#),
        1,
        &["does not take the input for its own", "it does not sniff"],
    );
    check(r#""text": "", "records": [], "expect": 1"#, 0, &["warning: unknown key `expect`"]);
    check(r#""records": []"#, 1, &["give the input as one of `text`"]);

    // Two in one crate are a mistake that the compiler names.
    let source = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    let second =
        "#[parser(schemas = \"schemas.json\")]\nfn other(_: &[u8]) -> Result<Vec<Part>, String> { Ok(vec![]) }\n";
    std::fs::write(&source, format!("{text}\n{second}")).unwrap();
    let output = exits(streamalert(&folder, &["build"]), 2);
    says(&String::from_utf8_lossy(&output.stderr), &["streamalert:plugin/parsing@0.1.0#", "is already defined"]);
    // And a type that no answer has is shown where it stands.
    std::fs::write(
        &source,
        text.replace("Result<Vec<Part>, String>", "Vec<Part>")
            .replace("Ok(lines.map(part).collect())", "lines.map(part).collect()"),
    )
    .unwrap();
    let output = exits(streamalert(&folder, &["build"]), 2);
    says(&String::from_utf8_lossy(&output.stderr), &["mismatched types", "src/lib.rs:7"]);
}

#[test]
fn from_nothing_to_a_publisher_an_output_and_an_app() {
    let place = tempfile::tempdir().unwrap();
    for (kind, name, tests, built) in [
        ("publisher", "one-line", "1 passed", "publisher one_line"),
        ("output", "door-bell", "2 passed", "output door-bell  {url}"),
        ("app", "door-log", "3 passed", "app door-log  door-log:events"),
    ] {
        exits(streamalert(place.path(), &["new", kind, name]), 0);
        let folder = place.path().join(name);
        let native =
            with_kept_target(Command::new("cargo").args(["test", "--quiet"]).current_dir(&folder)).output().unwrap();
        says(&out(&exits(native, 0)), &[tests]);
        let plugins = place.path().join("plugins");
        let told = out(&exits(streamalert(&folder, &["build", "--out", plugins.to_str().unwrap()]), 0));
        says(&told, &[built]);
    }
    // What was made is what `output new` configures.
    let conf = place.path().join("conf");
    std::fs::create_dir_all(conf.join("schemas")).unwrap();
    std::fs::write(conf.join("schemas/door.json"), r#"{"door:event": {"parser": "json", "schema": {"a": "string"}}}"#)
        .unwrap();
    let configure = |service: &str| {
        let url = r#"{"url": "https://bell.example/ring"}"#;
        std::fs::write(place.path().join("url.json"), url).unwrap();
        let arguments = ["output", "new", service, "front", "--secrets-from", "url.json", "--set", "team=soc"];
        streamalert(place.path(), &arguments)
    };
    exits(configure("door-bell"), 0);
    says(&std::fs::read_to_string(conf.join("outputs.json")).unwrap(), &["door-bell", "front", "soc"]);
    let settings = [
        "app",
        "new",
        "front",
        "--type",
        "door-log",
        "--secrets-from",
        "token.json",
        "--set",
        "url=https://door.example",
    ];
    std::fs::write(place.path().join("token.json"), r#"{"token": "t0ken"}"#).unwrap();
    let told = exits(streamalert(place.path(), &settings), 0);
    says(&String::from_utf8_lossy(&told.stderr), &["it may call door.example", r#"{"front": ["door-log:events"]}"#]);
    let refused = exits(configure("gong"), 2);
    says(&String::from_utf8_lossy(&refused.stderr), &["no component delivers to gong", "streamalert new output gong"]);
}

#[test]
fn what_cannot_be_begun_says_what_can() {
    let place = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], parts: &[&str]| {
        let told = exits(streamalert(place.path(), arguments), 2);
        says(&String::from_utf8_lossy(&told.stderr), parts);
    };
    refused(&["new", "app", "acme", "--lang", "go"], &["no app can be begun in go yet; choose --lang rust"]);
    for lang in ["c", "assemblyscript"] {
        refused(
            &["new", "output", "x", "--lang", lang],
            &[&format!("in {lang} yet"), "--lang rust, go, js, ts, python"],
        );
    }
    refused(&["new", "publisher", "add_record"], &["add_record already"]);
    refused(&["new", "output", "aws-s3"], &["aws-s3 already"]);
    refused(&["new", "rule", "exit", "--lang", "c"], &["`exit`"]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_mistake_in_the_macro_is_shown_at_its_line() {
    let (_place, folder) = new_rule("mistaken");
    let source = folder.join("src/lib.rs");
    edit(&source, "severity = \"medium\"", "severity = \"terrible\"");
    let line =
        1 + std::fs::read_to_string(&source).unwrap().lines().position(|line| line.contains("terrible")).unwrap();
    let failed = exits(streamalert(&folder, &["build"]), 2);
    let told = String::from_utf8_lossy(&failed.stderr);
    says(&told, &[&format!("src/lib.rs:{line}:"), "cargo could not build"]);
    assert!(!folder.join("target/plugins/mistaken.wasm").exists());
}

#[test]
fn names_that_cannot_be_are_refused_and_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    for name in ["Root", "../escape", "match", "2fa"] {
        let refused = exits(streamalert(place.path(), &["new", "rule", name]), 2);
        says(&String::from_utf8_lossy(&refused.stderr), &[&format!("`{name}`")]);
    }
    let refused = exits(streamalert(place.path(), &["new", "rule", "fine", "--logs", "cloudtrial:events"]), 2);
    says(&String::from_utf8_lossy(&refused.stderr), &["defines cloudtrial:events", "cloudtrail:events"]);
    let refused = exits(streamalert(place.path(), &["new", "rule", "fine", "--sdk", "."]), 2);
    says(&String::from_utf8_lossy(&refused.stderr), &["not the crate streamalert-sdk"]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);

    exits(streamalert(place.path(), &["new", "rule", "twice"]), 0);
    let refused = exits(streamalert(place.path(), &["new", "rule", "twice"]), 2);
    says(&String::from_utf8_lossy(&refused.stderr), &["twice is there already"]);
}

#[test]
fn every_shipped_log_type_has_a_rule_to_begin_with() {
    let place = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for (number, file) in std::fs::read_dir(checkout().join("conf/schemas")).unwrap().enumerate() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let types: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        // Lines in text formats have no form that could be begun with.
        for (index, (log, _)) in types.iter().filter(|(_, log_type)| log_type["parser"] == "json").enumerate() {
            let name = format!("rule_{number}_{index}");
            exits(streamalert(place.path(), &["new", "rule", &name, "--logs", log]), 0);
            cases.push((log.clone(), place.path().join(name.replace('_', "-"))));
        }
    }
    assert!(cases.len() > 10, "{cases:?}");
    // Their cases are what they say: all of the wanted log type. Which rule fires does not matter here.
    let world = loud_world();
    for (log, folder) in cases {
        let file = std::fs::read_dir(folder.join("cases")).unwrap().next().unwrap().unwrap().path();
        let arguments =
            ["test", file.to_str().unwrap(), "--plugins", world.at("any").to_str().unwrap(), "--output", "json"]
                .map(str::to_owned);
        let tested =
            with_kept_target(Command::new(program()).args(&arguments).current_dir(checkout())).output().unwrap();
        let told = out(&tested);
        for line in told.lines().filter(|line| line.contains("\"case\"")) {
            let case: Value = serde_json::from_str(line).unwrap();
            assert_eq!(case["case"]["classified"], serde_json::json!([log]), "{line}");
        }
        assert_eq!(told.lines().count(), 3, "{told}{}", String::from_utf8_lossy(&tested.stderr));
    }
}

/// With a rule that reports every record of `test:row`, one that reports none, and, apart, one over a log type that is known
/// everywhere.
fn loud_world() -> World {
    let world = World::new();
    let silent = Guest { rules: vec![("silent", NOTHING)], logs: "test:row", ..Guest::default() };
    world.write("plugins/silent.wasm", silent.build());
    let any = Guest { rules: vec![("none_at_all", NOTHING)], logs: "cloudtrail:events", ..Guest::default() };
    world.write("any/none_at_all.wasm", any.build());
    world.write(
        "conf/clusters/local.json",
        r#"{"data_sources": {"file": {"*": ["test"]}, "s3": {"bucket": ["test"]}}}"#,
    );
    world
}

/// What `test` says of one case, given as the members of its object.
#[track_caller]
fn check(case: &str, code: i32, parts: &[&str]) {
    let world = loud_world();
    world.write(
        "cases/one.json",
        format!("[{{\"description\": \"the case\", \"service\": \"file\", \"source\": \"a\", {case}}}]"),
    );
    let mut command = world.command(&["test", "--plugins", "plugins"]);
    let output = command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap();
    says(&out(&exits(output, code)), parts);
}

#[test]
fn a_case_passes_only_if_exactly_its_rules_fire_on_its_log_type() {
    let good = r#""log": "test:row", "trigger_rules": ["every_row"]"#;
    check(&format!(r#"{good}, "data": {{"n": 1}}"#), 0, &["1 passed in", "without a case that expects them: silent"]);
    check(&format!(r#"{good}, "data": "{{\"n\": 1}}\n{{\"n\": 2}}""#), 0, &["1 passed"]);
    check(&format!(r#"{good}, "override_record": {{}}, "compress": true"#), 0, &["1 passed"]);
    check(&format!(r#"{good}, "data": {{"n": "<helper:last_hour>"}}"#), 0, &["1 passed"]);

    let silent = r#""log": "test:row", "trigger_rules": ["every_row", "silent"], "data": {"n": 1}"#;
    check(silent, 1, &["✗ the case", "expected silent to fire, but it did not", "the rule itself said no"]);
    let none = r#""log": "test:row", "trigger_rules": [], "data": {"n": 1}"#;
    check(none, 1, &["every_row fired, but `trigger_rules` does not list it", "title: every_row"]);
    let typo = r#""log": "test:row", "trigger_rules": ["every_row", "silnet"], "data": {"n": 1}"#;
    check(typo, 1, &["no rule of this name is loaded", "silent"]);
    check(
        &format!(r#"{good}, "data": {{"m": 1}}"#),
        1,
        &["expected test:row, but the input was not classified", "no schema knows any of its keys"],
    );
    check(&format!(r#"{good}, "data": {{"n": "<helper:never>"}}"#), 1, &["no helper `never`"]);
    check(r#""log": "test:row", "data": {"n": 1}"#, 1, &["`trigger_rules` is missing"]);
    check(
        r#""log": "test:raw", "classify_only": true, "data": {"n": 1}"#,
        1,
        &["no schema defines the log type test:raw"],
    );
    let unknown = r#""log": "test:row", "classify_only": true, "data": {"n": 1}, "kolour": "red", "test_fixtures": {"threat_intel": []}"#;
    check(
        unknown,
        0,
        &["warning: unknown key `kolour`", "threat intelligence is off in the configuration", "1 passed"],
    );
    // The later one of two keys counts.
    let nowhere = r#""service": "s3", "source": "nowhere", "log": "test:row", "classify_only": true, "data": {"n": 1}"#;
    check(
        nowhere,
        1,
        &["no cluster names the source s3:nowhere", "add \"nowhere\" under data_sources.s3", "s3:bucket"],
    );
}

#[test]
fn a_case_looks_at_what_outputs_would_get() {
    let with = |tests: &str| {
        format!(r#""log": "test:row", "trigger_rules": ["every_row"], "data": {{"n": 1}}, "publisher_tests": {tests}"#)
    };
    check(
        &with(r#"{"file": [["record.n", "is", 1]], "file:audit": [["rule_name", "in", ["every_row"]]]}"#),
        0,
        &["1 passed"],
    );
    check(
        &with(r#"{"file:audit": [["record.n", "is", 2]]}"#),
        1,
        &["file:audit: expected of every_row: record.n is 2", "it is 1"],
    );
    check(&with(r#"{"slack": [["record.n", "is", 1]]}"#), 1, &["publisher_tests: no alert goes to slack"]);
    let skipped = format!("{}, \"skip_publishers\": true", with(r#"{"slack": [["record.n", "is", 2]]}"#));
    check(&skipped, 0, &["1 passed"]);
}

#[test]
fn a_rule_that_names_what_is_not_there_fails_the_test_once_outputs_are_configured() {
    let world = loud_world();
    world.write(
        "plugins/every_row.wasm",
        every_row_with(r#"{"outputs": ["slack:typo"], "publishers": ["acme.redact"]}"#),
    );
    world.write(
        "cases/one.json",
        r#"[{"description": "d", "service": "file", "source": "a", "log": "test:row", "trigger_rules": ["every_row"],
            "data": {"n": 1}, "skip_publishers": true}]"#,
    );
    let run = |code| {
        let mut command = world.command(&["test", "--plugins", "plugins"]);
        out(&exits(command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap(), code))
    };
    let parts = ["rule every_row: `slack:typo` is not configured", "there is no publisher acme.redact"];
    says(&run(0), &parts);
    world.write("conf/outputs.json", "{}");
    says(&run(1), &parts);
}

#[test]
fn a_rule_over_what_a_parser_reads_is_tested_too() {
    let world = loud_world();
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/guests/example-rules");
    std::fs::copy(guests.join("auditd.wasm"), world.at("plugins/auditd.wasm")).unwrap();
    let rule = Guest { rules: vec![("audited", EVERY_ROW)], logs: "auditd:event", ..Guest::default() };
    world.write("plugins/audited.wasm", rule.build());
    world.write(
        "conf/clusters/local.json",
        r#"{"data_sources": {"file": {"*": ["test"]}, "s3": {"audit": {"parser": "auditd"}}}}"#,
    );
    let line = r#"type=SYSCALL msg=audit(1767323045.123:7): arch=c000003e syscall=59 success=yes exit=0 pid=1 comm=\"id\" exe=\"/usr/bin/id\""#;
    let case = format!(
        r#"[{{"description": "d", "service": "s3", "source": "audit", "log": "auditd:event", "trigger_rules": ["audited"], "data": "{line}\n"}}]"#
    );
    world.write("cases/one.json", case);
    let mut command = world.command(&["test", "--plugins", "plugins"]);
    let output = command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap();
    says(&out(&exits(output, 0)), &["1 passed"]);
}

#[test]
fn cases_of_one_rule_in_several_languages_are_not_those_of_the_workspace_above() {
    let world = loud_world();
    let case = |fires: &str| {
        format!(
            r#"[{{"description": "d", "service": "file", "source": "a", "log": "test:row", "trigger_rules": ["{fires}"], "data": {{"n": 1}}}}]"#
        )
    };
    world.write("Cargo.toml", "[workspace]\n");
    world.write("cases/one.json", case("every_row"));
    world.write("rules/ours/Cargo.toml", "[package]\n");
    world.write("rules/theirs/Cargo.toml", "[package]\n");
    world.write("rules/cases/two.json", case("every_row"));
    world.write("login/cases/three.json", case("login"));
    world.write("login/go/go.mod", "module login\n");
    let test = |arguments: &[&str], code: i32, parts: &[&str]| {
        let mut command = world.command(&[&["test", "--plugins", "plugins"], arguments].concat());
        let output = command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap();
        says(&out(&exits(output, code)), parts);
    };
    // Somebody's folder for one language may lie anywhere.
    test(&[], 1, &["login/cases/three.json", "2 passed, 1 failed"]);
    world.write("login/python/pyproject.toml", "[project]\n");
    test(&[], 0, &["2 passed in"]);
    // Who names them means them.
    test(&["login"], 1, &["login/cases/three.json", "1 failed"]);
    test(&[".", "login/cases"], 1, &["2 passed, 1 failed"]);
    // A plugin of its own: with components that are named its cases count, with those of the workspace they do not.
    world.write("apart/go.mod", "module apart\n");
    world.write("apart/cases/four.json", case("every_row"));
    test(&[], 0, &["3 passed in"]);
    let copied = world.at("target/plugins");
    std::fs::create_dir_all(&copied).unwrap();
    for name in ["every_row.wasm", "silent.wasm"] {
        std::fs::copy(world.at("plugins").join(name), copied.join(name)).unwrap();
    }
    let mut command = world.command(&["test", "--no-build"]);
    let output = command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap();
    says(&out(&exits(output, 0)), &["2 passed in"]);
}

#[test]
fn each_missing_tool_is_named_with_what_installs_it() {
    let place = tempfile::tempdir().unwrap();
    let without_tools = |arguments: &[&str], code: i32| {
        let output = Command::new(program()).args(arguments).current_dir(checkout()).env("PATH", place.path()).output();
        let output = exits(output.unwrap(), code);
        out(&output) + &String::from_utf8_lossy(&output.stderr)
    };
    let tools = [
        ("rust", "rustc", "https://rustup.rs"),
        ("go", "go", "https://go.dev/dl"),
        ("assemblyscript", "node", "apt-get install nodejs npm"),
        ("js", "node", "apt-get install nodejs npm"),
        ("python", "python3", "apt-get install python3 python3-venv"),
        ("c", "python3", "apt-get install python3 python3-venv"),
    ];
    let said = without_tools(&["doctor"], 1);
    let parts: Vec<&str> = said.split(" not ready").collect();
    assert_eq!(parts.len(), tools.len() + 1, "{said}");
    for (number, (language, tool, install)) in tools.iter().enumerate() {
        assert!(parts[number].trim_end().ends_with(language), "{said}");
        says(parts[number + 1], &[&format!("{tool} is missing: "), install]);
        // With rules in that language, building says the same.
        let folder = format!("example-rules/root-login/{language}");
        let target = place.path().display().to_string();
        says(&without_tools(&["build", &folder, "--out", &target], 2), &[tool, install]);
    }
}

#[test]
fn what_cannot_be_tested_at_all_is_no_failed_case() {
    let world = loud_world();
    let run = |arguments: &[&str]| {
        let output = world.command(arguments).env("XDG_CACHE_HOME", world.at("cache")).output().unwrap();
        String::from_utf8_lossy(&exits(output, 2).stderr).into_owned()
    };
    says(&run(&["test", "--plugins", "plugins"]), &["no case files below ."]);
    world.write("cases/one.json", "[]");
    says(&run(&["test", "--plugins", "plugins"]), &["hold no cases"]);
    says(&run(&["test", "--plugins", "conf"]), &["conf holds no components"]);
    says(&run(&["test", "--plugins", "plugins", "--config", "nowhere"]), &["nowhere", "no such folder"]);
    let bad = Guest { rules: vec![("bad", NOTHING)], logs: "no:such", ..Guest::default() };
    world.write("plugins/bad.wasm", bad.build());
    says(&run(&["test", "--plugins", "plugins"]), &["bad.wasm", "rule bad", "no:such"]);
    says(&run(&["build"]), &["has no Cargo.toml"]);
}

#[test]
fn inspect_says_why_the_host_would_refuse_a_file() {
    let world = loud_world();
    let two = Guest { rules: vec![("same", NOTHING), ("same", NOTHING)], ..Guest::default() };
    world.write("two.wasm", two.build());
    world.write("text.wasm", "not wasm at all");
    says(&out(&exits(world.streamalert(&["inspect", "two.wasm"]), 1)), &["kind      component", "✗", "same"]);
    says(&out(&exits(world.streamalert(&["inspect", "text.wasm"]), 1)), &["not WebAssembly", "✗"]);
    let good = out(&exits(world.streamalert(&["inspect", "plugins/every_row.wasm"]), 0));
    says(
        &good,
        &[
            "world     rule@0.1.0",
            "rule every_row",
            "logs        test:row",
            "severity    low",
            "outputs     file:audit",
        ],
    );
    exits(world.streamalert(&["inspect", "nothing.wasm"]), 2);
}

#[test]
fn explain_follows_each_record_of_its_input() {
    let world = loud_world();
    world.write("in.jsonl", "{\"n\": 1}\n{\"m\": 2}\n{\"n\": 3}\n");
    let run = |rule: &str, more: &[&str]| {
        let mut arguments = vec!["explain", "--rule", rule, "--record", "in.jsonl"];
        arguments.extend(more);
        world.command(&arguments).env("XDG_CACHE_HOME", world.at("cache")).output().unwrap()
    };
    let told = out(&exits(run("every_row", &[]), 0));
    says(
        &told,
        &["record 1  byte 0", "record 2  byte 18", "fires", "severity  low", "not classified  byte 9", "no_schema"],
    );
    let told = out(&exits(run("silent", &["--source", "s3:elsewhere"]), 0));
    says(&told, &["source s3:elsewhere, which no cluster names", "no finding"]);
    let lines = out(&exits(run("every_row", &["--output", "json"]), 0));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["asked"]["fired"] == true).count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["dead"]["reason"] == "no_schema").count(), 1, "{lines:?}");
    says(&String::from_utf8_lossy(&exits(run("nobody", &[]), 2).stderr), &["no rule nobody is loaded"]);
}
