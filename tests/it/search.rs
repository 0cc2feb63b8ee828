//! `streamalert search`: SQL over what was archived, whatever the schemas were then.

use crate::archive::{run, search, told};
use crate::run_world::{World, rows};
use serde_json::{Value, json};

/// Writes the schema of `test:row` and nothing else.
fn schema(world: &World, schema: Value) {
    world.write("conf/schemas/test.json", json!({"test:row": {"parser": "json", "schema": schema}}).to_string());
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
