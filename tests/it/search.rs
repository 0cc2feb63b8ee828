//! `streamalert search`: SQL over what was archived, whatever the schemas were then.

use crate::archive::{run, search, told};
use crate::run_world::{World, rows};
use serde_json::{Value, json};

/// Writes the schema of `test:row` and nothing else.
fn schema(world: &World, schema: Value) {
    world.write("conf/schemas/test.json", json!({"test:row": {"parser": "json", "schema": schema}}).to_string());
}

/// Writes these log types in this order, and nothing else.
fn log_types(world: &World, types: &[(&str, Value)]) {
    let all: Vec<String> = types
        .iter()
        .map(|(name, schema)| format!("{}: {}", json!(name), json!({"parser": "json", "schema": schema})))
        .collect();
    world.write("conf/schemas/test.json", format!("{{{}}}", all.join(", ")));
}

/// Whether all of a table arrived in one hour: where an hour ends in between, copies lie in two.
fn is_of_one_hour(world: &World, table: &str) -> bool {
    search(world, &[&format!("SELECT count(DISTINCT dt) AS hours FROM {table}")])[0]["hours"] == 1
}

/// Its rows, and how many of them are not the same.
fn counts(world: &World, table: &str) -> Value {
    let query = format!("SELECT count(*) AS n, count(DISTINCT streamalert_id) AS d FROM {table}");
    search(world, &[&query]).remove(0)
}

#[track_caller]
fn refused(world: &World, arguments: &[&str], code: i32, part: &str) {
    let output = world.streamalert(&["search"].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", told(&output));
    assert!(told(&output).contains(part), "{arguments:?}: {}", told(&output));
}

#[test]
fn odd_keys_unknown_keys_and_parts_are_reached() {
    let world = World::new();
    schema(
        &world,
        json!({"eventName": "string", "the.host": "string", "the_host": "string", "big": "integer", "ok": "boolean",
               "who": {"userName": "string", "more": {}}, "tags": [], "any": {}}),
    );
    world.write("conf/schemas/empty.json", r#"{"empty:of-rows": {"parser": "json", "schema": {"zz": "string"}}}"#);
    let record = json!({"eventName": "Login", "the.host": "a", "the_host": "b", "big": 9007199254740993u64, "ok": true,
        "who": {"userName": "eve", "more": {"x": [1, {"deep key": "found"}]}}, "tags": ["t1", {"k": 2}], "any": [1]});
    world.write("a.json", record.to_string() + "\n");
    run(&world, &["--input", "a.json"]);

    let row = &search(
        &world,
        &["SELECT eventname, the_x2e_host, the_host, big, ok, tags, \"any\", test_row.who.username AS name,
             json_extract_scalar(who['more'], '$.x[1][\"deep key\"]') AS deep,
             json_extract(streamalert_record, '$.who.more.x') AS list,
             json_extract_scalar(streamalert_record, '$[''the.host'']') AS host,
             json_array_length(json_extract(streamalert_record, '$.tags')) AS count,
             json_extract_scalar(streamalert_record, '$.nothing') AS nothing FROM test_row"],
    )[0];
    let expected = json!({"eventname": "Login", "the_x2e_host": "a", "the_host": "b", "big": 9007199254740993u64, "ok": true,
        "tags": ["t1", "{\"k\":2}"], "any": "[1]", "name": "eve", "deep": "found", "list": "[1,{\"deep key\":\"found\"}]",
        "host": "a", "count": 2, "nothing": null});
    assert_eq!(*row, expected);

    // A table of a schema is there without rows, and says what its columns are for.
    assert_eq!(search(&world, &["SELECT zz FROM empty_of_rows WHERE dt > '2020'"]), [] as [Value; 0]);
    let columns = search(&world, &["--columns", "test_row"]);
    let column = |name: &str| columns.iter().find(|column| column["column"] == name).unwrap().clone();
    assert_eq!(column("the_x2e_host"), json!({"column": "the_x2e_host", "type": "string", "key": "the.host"}));
    assert_eq!(column("who")["type"], "struct<username:string,more:string>");
    assert_eq!(column("streamalert_offset"), json!({"column": "streamalert_offset", "type": "bigint", "key": null}));
    assert_eq!(column("dt")["type"], "string");
    // Names within objects have keys, too.
    assert_eq!(column("who")["within"], json!({"who['username']": "userName"}));
    let text = world.streamalert(&["search", "--columns", "test_row"]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("who['username']"));
    let tables = search(&world, &["--tables"]);
    let table = |name: &str| tables.iter().find(|table| table["table"] == name).unwrap().clone();
    assert_eq!((&table("test_row")["log_type"], &table("test_row")["files"]), (&"test:row".into(), &1.into()));
    assert_eq!(table("empty_of_rows")["hours"], 0);
}

#[test]
fn schemas_change_and_earlier_files_are_read_on() {
    let world = World::new();
    schema(&world, json!({"n": "string", "gone": "string", "o": {"a": "integer"}, "l": "string"}));
    world.write("a.json", "{\"n\": \"seven\", \"gone\": \"x\", \"o\": {\"a\": 1}, \"l\": \"text\"}\n{\"n\": \"8\", \"gone\": \"y\", \"o\": {\"a\": 2}, \"l\": \"text\"}\n");
    run(&world, &["--input", "a.json"]);
    schema(&world, json!({"n": "integer", "new": "float", "o": {"a": "string", "b": "string"}, "l": []}));
    world.write("b.json", "{\"n\": 9, \"new\": 0.5, \"o\": {\"a\": \"word\", \"b\": \"z\"}, \"l\": [\"i\"]}\n");
    run(&world, &["--input", "b.json"]);
    let query = "SELECT n, new, gone, test_row.o.a AS a, test_row.o.b AS b, l, json_extract_scalar(streamalert_record, '$.n') AS told FROM test_row ORDER BY told";
    let rows = search(&world, &[query]);
    assert_eq!(
        rows,
        [
            json!({"n": 8, "new": null, "gone": "y", "a": "2", "b": null, "l": null, "told": "8"}),
            json!({"n": 9, "new": 0.5, "gone": null, "a": "word", "b": "z", "l": ["i"], "told": "9"}),
            json!({"n": null, "new": null, "gone": "x", "a": "1", "b": null, "l": null, "told": "seven"}),
        ]
    );
    // Conditions on changed and on new columns go by the types of today.
    assert_eq!(search(&world, &["SELECT count(*) AS c FROM test_row WHERE n >= 8"])[0]["c"], 2);
    assert_eq!(search(&world, &["SELECT count(*) AS c FROM test_row WHERE new IS NULL AND gone LIKE 'x%'"])[0]["c"], 1);
    assert_eq!(search(&world, &["SELECT count(*) AS c FROM test_row WHERE o['a'] = 'word'"])[0]["c"], 1);
    // Without its schema, a table is what its files have.
    std::fs::remove_file(world.at("conf/schemas/test.json")).unwrap();
    world.write("conf/schemas/other.json", r#"{"other:row": {"parser": "json", "schema": {"x": "string"}}}"#);
    assert_eq!(search(&world, &["SELECT count(*) AS c, max(new) AS m FROM test_row"])[0], json!({"c": 3, "m": 0.5}));
}

#[test]
fn a_value_that_does_not_fit_its_columns_new_type_is_null_and_not_another() {
    let world = World::new();
    let before = json!({"f": "float", "g": "float", "i": "integer", "j": "integer", "big": "integer", "w": "string", "v": "string",
        "b": "boolean", "o": {"a.b": "string", "n": {}}, "p": {"q": {"r.s": "integer"}}});
    schema(&world, before);
    let record = r#"{"f":1.5,"g":-2.0,"i":5,"j":7,"big":9007199254740993,"w":"yes","v":"true","b":true,"o":{"a.b":"x","n":null},"p":{"q":{"r.s":1}}}"#;
    world.write("a.json", record.to_owned() + "\n");
    run(&world, &["--input", "a.json"]);
    let after = json!({"f": "integer", "g": "integer", "i": "boolean", "j": "float", "big": "float", "w": "boolean", "v": "boolean",
        "b": "integer", "o": "string", "p": {"q": "string"}});
    schema(&world, after);
    let row = &search(&world, &["SELECT f, g, i, j, big, w, v, b, o, p FROM test_row"])[0];
    let expected = json!({"f": null, "g": -2, "i": null, "j": 7.0, "big": null, "w": null, "v": true, "b": null,
        "o": r#"{"a.b":"x","n":null}"#, "p": {"q": r#"{"r.s":1}"#}});
    assert_eq!(*row, expected);
    assert_eq!(search(&world, &["SELECT count(*) AS c FROM test_row WHERE f = 1 OR i OR w"])[0]["c"], 0);
}

#[test]
fn rows_stand_under_the_log_type_and_the_keys_they_were_written_for() {
    let world = World::new();
    let types = |types: &[(&str, Value)]| log_types(&world, types);
    let old = ("acme:log_in", json!({"old": "integer"}));
    let keyed = ("test:row", json!({"n": "integer", "the.host": "string", "o": {"a.b": "string"}}));
    types(&[old.clone(), keyed]);
    world.write("a.json", "{\"old\": 1}\n{\"n\": 1, \"the.host\": \"first\", \"o\": {\"a.b\": \"dot\"}}\n");
    run(&world, &["--input", "a.json"]);
    assert_eq!(search(&world, &["SELECT old FROM acme_log_in"]), [json!({"old": 1})]);

    // Both names change hands.
    let keyed =
        ("test:row", json!({"n": "integer", "the.host": "string", "the_host": "string", "o": {"a-b": "string"}}));
    types(&[("acme:log-in", json!({"new": "integer"})), old, keyed]);
    let written = |count: usize| {
        let tables = search(&world, &["--tables"]);
        let of = |log_type: &str| tables.iter().find(|table| table["log_type"] == log_type).unwrap().clone();
        let (new, old) = (of("acme:log-in"), of("acme:log_in"));
        assert_eq!((&new["table"], &old["table"]), (&json!("acme_log_in"), &json!("acme_x3a_log_in")));
        assert_eq!((&new["files"], &old["files"]), (&json!(count), &json!(1)));
        let listed = world.streamalert(&["tables", "list", "--logs", "acme:log_in", "--output", "json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!((&listed["table"], &listed["files"]), (&json!("acme_x3a_log_in"), &json!(1)));
    };
    written(0);
    assert_eq!(search(&world, &["SELECT * FROM acme_log_in"]), [] as [Value; 0]);
    let second = r#"{"n": 2, "the.host": "second", "the_host": "other", "o": {"a-b": "dash"}}"#;
    world.write("b.json", format!("{{\"new\": 2}}\n{second}\n"));
    run(&world, &["--input", "b.json"]);
    written(1);
    assert_eq!(search(&world, &["SELECT new FROM acme_log_in"]), [json!({"new": 2})]);
    assert_eq!(search(&world, &["SELECT old FROM acme_x3a_log_in"]), [json!({"old": 1})]);
    assert_eq!(
        search(&world, &["SELECT n, the_host, the_x2e_host, test_row.o.a_b AS a_b FROM test_row ORDER BY n"]),
        [
            json!({"n": 1, "the_host": null, "the_x2e_host": "first", "a_b": null}),
            json!({"n": 2, "the_host": "other", "the_x2e_host": "second", "a_b": "dash"}),
        ]
    );
    let count = |condition: &str| {
        search(&world, &[&format!("SELECT count(*) AS c FROM test_row WHERE {condition}")])[0]["c"].as_u64()
    };
    assert_eq!(count("the_x2e_host = 'first'"), Some(1));
    assert_eq!(count("the_host = 'first'"), Some(0));
    assert_eq!(count("the_host IS NULL"), Some(1));
    // A log type that has another name now has its rows on: no other table has them.
    types(&[("acme:log-in", json!({"old": "integer"}))]);
    assert_eq!(search(&world, &["SELECT count(*) AS c FROM acme_log_in"])[0]["c"], 2);
}

#[test]
fn a_log_type_that_goes_takes_its_rows_with_it_if_it_had_a_folder_beside_the_other() {
    let world = World::new();
    let (old, new) = (("acme:log_in", json!({"old": "integer"})), ("acme:log-in", json!({"new": "integer"})));
    log_types(&world, std::slice::from_ref(&old));
    world.write("a.json", "{\"old\": 1}\n");
    run(&world, &["--input", "a.json"]);
    log_types(&world, &[new.clone(), old]);
    world.write("b.json", "{\"old\": 2}\n{\"new\": 3}\n");
    run(&world, &["--input", "b.json"]);
    log_types(&world, &[new]);
    world.write("c.json", "{\"new\": 4}\n");
    run(&world, &["--input", "c.json"]);
    let records = |table: &str| {
        let rows = search(&world, &[&format!("SELECT streamalert_record AS r FROM {table} ORDER BY 1")]);
        rows.iter().map(|row| row["r"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let apart = || {
        assert_eq!(records("acme_log_in"), [r#"{"new":3}"#, r#"{"new":4}"#]);
        assert_eq!(records("acme_x3a_log_in"), [r#"{"old":1}"#, r#"{"old":2}"#]);
    };
    apart();
    // And where no schema has either.
    log_types(&world, &[("other:row", json!({"m": "integer"}))]);
    apart();
    assert_eq!(search(&world, &["SELECT max(old) AS m FROM acme_x3a_log_in"])[0]["m"], 2);
}

#[test]
fn a_damaged_file_is_told_of_by_every_table_that_may_own_it() {
    let world = World::new();
    let (old, new) = (("acme:log_in", json!({"old": "integer"})), ("acme:log-in", json!({"new": "integer"})));
    log_types(&world, std::slice::from_ref(&old));
    world.write("a.json", "{\"old\": 1}\n");
    run(&world, &["--input", "a.json"]);
    log_types(&world, &[new, old]);
    world.write("b.json", "{\"old\": 2}\n{\"new\": 3}\n");
    run(&world, &["--input", "b.json"]);
    assert_eq!(search(&world, &["SELECT old FROM acme_x3a_log_in"]).len(), 2);
    let archive = streamalert_archive::Archive::at(world.at("data/archive"));
    let hour = archive.hours("acme_log_in").unwrap().remove(0);
    let file = archive.files("acme_log_in", &hour).unwrap().remove(0);
    let bytes = std::fs::read(&file.path).unwrap();
    std::fs::write(&file.path, &bytes[..bytes.len() / 2]).unwrap();
    for (column, table) in [("old", "acme_x3a_log_in"), ("new", "acme_log_in")] {
        refused(&world, &[&format!("SELECT {column} FROM {table}")], 1, &file.name);
    }
    // It keeps nobody from what can be read.
    let listed = search(&world, &["--tables"]);
    assert!(listed.iter().any(|table| table["table"] == "acme_x3a_log_in" && table["files"] == 2), "{listed:?}");
    let listed = world.streamalert(&["tables", "list", "--logs", "acme:log_in", "--output", "json"]);
    assert!(listed.status.success(), "{}", told(&listed));
    assert_eq!(search(&world, &["SELECT old FROM acme_x3a_log_in WHERE dt < '2020'"]), [] as [Value; 0]);
}

#[test]
fn copies_go_wherever_a_tables_rows_lie() {
    let world = World::new();
    let (old, new) = (("acme:log_in", json!({"old": "integer"})), ("acme:log-in", json!({"new": "integer"})));
    let again = || run(&world, &["--input", "a.json"]);
    world.write("a.json", "{\"old\": 1}\n{\"old\": 2}\n");
    log_types(&world, std::slice::from_ref(&old));
    again();
    // In another folder, where they are all there is.
    log_types(&world, &[new, old]);
    again();
    if is_of_one_hour(&world, "acme_x3a_log_in") {
        assert_eq!(counts(&world, "acme_x3a_log_in"), json!({"n": 2, "d": 2}));
    }
    world.write("a.json", "{\"old\": 1}\n{\"old\": 2}\n{\"old\": 3}\n");
    again();
    if is_of_one_hour(&world, "acme_x3a_log_in") {
        assert_eq!(counts(&world, "acme_x3a_log_in"), json!({"n": 3, "d": 3}));
        let rows = search(&world, &["SELECT old FROM acme_x3a_log_in ORDER BY old"]);
        assert_eq!(rows, [json!({"old": 1}), json!({"old": 2}), json!({"old": 3})]);
    }
}

#[test]
fn copies_go_where_the_schema_changed_between_them() {
    let world = World::new();
    world.write("a.json", rows(0..2));
    let again = |schema: Value| {
        let schema = json!({"test:row": {"parser": "json", "schema": schema,
            "configuration": {"optional_top_level_keys": ["zz"]}}});
        world.write("conf/schemas/test.json", schema.to_string());
        run(&world, &["--input", "a.json"]);
    };
    again(json!({"n": "integer", "zz": "string"}));
    again(json!({"n": "integer", "zz": "integer"}));
    if is_of_one_hour(&world, "test_row") {
        assert_eq!(counts(&world, "test_row"), json!({"n": 2, "d": 2}));
    }
}

#[test]
fn columns_that_a_schema_has_lost_are_those_of_their_keys() {
    let world = World::new();
    let written = [
        (
            json!({"n": "integer", "x.y": "integer", "o.p": {"a.b": "string"}}),
            r#"{"n":1,"x.y":10,"o.p":{"a.b":"dot"}}"#,
        ),
        (
            json!({"n": "integer", "x_y": "integer", "o_p": {"a-b": "string"}}),
            r#"{"n":2,"x_y":20,"o_p":{"a-b":"dash"}}"#,
        ),
    ];
    for (number, (fields, record)) in written.into_iter().enumerate() {
        schema(&world, fields);
        let file = format!("{number}.json");
        world.write(&file, record.to_owned() + "\n");
        run(&world, &["--input", &file]);
    }
    let all = "SELECT n, x_y, x_x2e_y, o_p['a_b'] AS dash, o_x2e_p['a_b'] AS dot FROM test_row ORDER BY n";
    let expected = [
        json!({"n": 1, "x_y": null, "x_x2e_y": 10, "dash": null, "dot": "dot"}),
        json!({"n": 2, "x_y": 20, "x_x2e_y": null, "dash": "dash", "dot": null}),
    ];
    // The one key is lost, then the other too.
    assert_eq!(search(&world, &[all]), expected);
    schema(&world, json!({"n": "integer"}));
    assert_eq!(search(&world, &[all]), expected);
    assert_eq!(search(&world, &["SELECT n FROM test_row WHERE x_x2e_y = 10 AND x_y IS NULL"]), [json!({"n": 1})]);
    let columns = search(&world, &["--columns", "test_row"]);
    let key = |name: &str| columns.iter().find(|column| column["column"] == name).unwrap()["key"].clone();
    assert_eq!((key("x_y"), key("x_x2e_y")), (Value::Null, json!("x.y")));
}

#[test]
fn an_object_that_becomes_a_text_keeps_all_its_keys_whatever_its_name_is_now() {
    let world = World::new();
    schema(&world, json!({"n": "integer", "p": {"a.b": {"r": "integer"}}}));
    world.write("a.json", "{\"n\":1,\"p\":{\"a.b\":{\"r\":1,\"extra\":\"z\",\"n\":null}}}\n");
    run(&world, &["--input", "a.json"]);
    schema(&world, json!({"n": "integer", "p": {"a.b": "string", "a_b": "integer"}}));
    let row = search(&world, &["SELECT p FROM test_row"]).remove(0);
    assert_eq!(row["p"], json!({"a_x2e_b": r#"{"r":1,"extra":"z","n":null}"#, "a_b": null}));
}

#[test]
fn what_a_log_has_written_does_nothing_to_a_terminal() {
    let world = World::new();
    schema(&world, json!({"s": "string", "l": [], "o": {"t": "string"}}));
    let record = json!({"s": "a\u{1b}[2J\r\nb\u{202e}", "l": ["\u{1b}]0;x\u{7}"], "o": {"t": "\u{9b}31m"}});
    world.write("a.json", record.to_string() + "\n");
    run(&world, &["--input", "a.json"]);
    let output = world.streamalert(&["search", "SELECT s, l, o, 1 AS \"\u{1b}x\" FROM test_row"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    for part in ["a\\u{1b}[2J\\r\\nb\\u{202e}", "\\u{1b}]0;x\\u{7}", "\\u{9b}31m"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.lines().count(), 5, "a row is a line: {text}");
    // Programs get what was logged.
    assert_eq!(search(&world, &["SELECT s FROM test_row"])[0]["s"], record["s"]);
    let failed = world.streamalert(&["search", "SELECT json_parse(s) FROM test_row"]);
    assert!(!told(&failed).contains('\u{1b}') && told(&failed).contains("\\u{1b}"), "{:?}", told(&failed));
}

#[test]
fn whoever_has_seen_enough_may_go() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let world = World::new();
    world.write("a.json", rows(0..20_000));
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    run(&world, &["--input", "a.json"]);
    for output in ["json", "csv", "text"] {
        let mut command = world.command(&["search", "SELECT * FROM test_row", "--output", output]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success() && !told(&ended).contains("error"), "{output}: {}", told(&ended));
    }
}

#[test]
fn errors_say_which_file_it_is_and_what_can_be_done() {
    let world = World::new();
    schema(&world, json!({"eventName": "string"}));
    world.write("a.json", (0..2_000).map(|n| format!("{{\"eventName\": \"name {n}\"}}\n")).collect::<String>());
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    run(&world, &["--input", "a.json"]);
    refused(&world, &["SELECT \"eventName\" FROM test_row"], 2, "write test_row.eventname");
    let output = world.streamalert(&["search", "SELECT \"eventName\" FROM test_row"]);
    assert!(!told(&output).contains("normalization"), "{}", told(&output));
    let archive = streamalert_archive::Archive::at(world.at("data/archive"));
    let hour = archive.hours("test_row").unwrap().remove(0);
    let file = archive.files("test_row", &hour).unwrap().remove(0);
    let mut bytes = std::fs::read(&file.path).unwrap();
    let to = bytes.len() / 2;
    bytes[4..to].fill(0x5a);
    std::fs::write(&file.path, bytes).unwrap();
    refused(&world, &["SELECT max(streamalert_record), max(eventname) FROM test_row"], 1, &file.name);
}

#[test]
fn hours_that_are_not_asked_for_are_not_read() {
    let world = World::new();
    world.write("a.json", rows(0..10));
    run(&world, &["--input", "a.json"]);
    // A file of an hour that cannot be read is noticed only by who reads it.
    world.write("data/archive/test_row/dt=2020-01-01-00/broken.parquet", "no Parquet at all");
    let count = |arguments: &[&str]| {
        let query = "SELECT count(*) AS c FROM test_row";
        let all: Vec<&str> = [query].into_iter().chain(arguments.iter().copied()).collect();
        search(&world, &all)[0]["c"].as_u64()
    };
    assert_eq!(count(&["--since", "24h"]), Some(10));
    assert_eq!(count(&["--until", "2019-01-01"]), Some(0));
    assert_eq!(count(&["--since", "2020-02-01T00:00:00Z", "--until", "2100-01-01"]), Some(10));
    let within = |condition: &str| search(&world, &[&format!("SELECT n FROM test_row WHERE {condition}")]).len();
    assert_eq!(within("dt > '2020-01-01-00' AND n < 3"), 3);
    assert_eq!(within("dt BETWEEN '2021-01-01-00' AND '2200-01-01-00' AND n = 9"), 1);
    assert_eq!(within("dt IN ('1999-01-01-00')"), 0);
    assert_eq!(within("dt LIKE '2020-01-02%'"), 0);
    refused(&world, &["SELECT count(n) FROM test_row"], 1, "broken.parquet");
    refused(&world, &["--since", "yesterday", "SELECT 1"], 2, "--since: `yesterday` is no time");
    refused(&world, &["--since", "1h", "--until", "2h", "SELECT 1"], 2, "after --until");
}

#[test]
fn answers_are_for_people_for_programs_and_for_tables() {
    let world = World::new();
    world.write("a.json", rows(0..3));
    run(&world, &["--input", "a.json"]);
    let out = |arguments: &[&str]| {
        let output = world.streamalert(&["search"].into_iter().chain(arguments.iter().copied()).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text =
        out(&["SELECT n, cluster FROM test_row JOIN alerts ON alerts.record = streamalert_record ORDER BY n LIMIT 1"]);
    assert!(text.contains("| n | cluster |") && text.contains("| 0 |"), "{text}");
    assert_eq!(
        out(&["SELECT n, 'a,b' AS c, outputs FROM test_row, alerts WHERE n = 1 LIMIT 1", "--output", "csv"]),
        "n,c,outputs\n1,\"a,b\",\"[\"\"file:audit\"\"]\"\n"
    );
    assert_eq!(out(&["SELECT n FROM test_row WHERE n > 7", "--output", "csv"]), "n\n");
    assert_eq!(out(&["SELECT 1 AS a, 2 AS \"b\", NULL AS c", "--output", "json"]), "{\"a\":1,\"b\":2,\"c\":null}\n");
    let piped =
        world.streamalert_with_input(&["search", "-", "--output", "csv"], b"SELECT max(n) AS m FROM test_row\n");
    assert_eq!(String::from_utf8(piped.stdout).unwrap(), "m\n2\n");

    refused(&world, &["SELEC 1"], 2, "error: ");
    refused(&world, &["SELECT x FROM test_row"], 2, "x");
    refused(&world, &["SELECT n FROM no_such_table"], 2, "--tables` lists the tables");
    refused(&world, &["SELECT json_extract(streamalert_record, 'n') FROM test_row"], 1, "`n` is no path");
    refused(&world, &["--columns", "no_such_table"], 2, "there is no table no_such_table");
    refused(&world, &["SELECT 1", "--data", "nowhere"], 2, "there is no data folder nowhere");
    for change in [
        "DROP TABLE test_row",
        "CREATE TABLE x AS SELECT 1",
        "COPY test_row TO 'x.csv'",
        "INSERT INTO test_row VALUES (1)",
    ] {
        refused(&world, &[change], 2, "error: ");
    }
}

#[test]
fn a_query_that_needs_too_much_memory_is_refused_with_advice() {
    let world = World::new();
    world.write("a.json", rows(0..150_000));
    world.write("conf/archive.json", r#"{"enabled": true}"#);
    std::fs::remove_file(world.at("plugins/every_row.wasm")).unwrap();
    run(&world, &["--input", "a.json"]);
    // Sorting goes by way of files.
    let sorted = search(
        &world,
        &[
            "SELECT n FROM (SELECT n, streamalert_id, streamalert_record FROM test_row ORDER BY streamalert_id) LIMIT 5",
            "--memory-mb",
            "64",
        ],
    );
    assert_eq!(sorted.len(), 5);
    refused(
        &world,
        &[
            "SELECT count(DISTINCT repeat(streamalert_id, 20)), count(DISTINCT streamalert_record) FROM test_row",
            "--memory-mb",
            "16",
        ],
        1,
        "the query needs more than 16 MB",
    );
}
