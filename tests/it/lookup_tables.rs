//! Lookup tables of every kind, through the program and against stand-ins: what rules see of them, when they change, and when they
//! cannot be read.

use crate::installation::{Installation, by_queue, failed, invoke};
use crate::run_world::{Guest, World, eventually, post, request};
use crate::standins;
use serde_json::{Value, json};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_aws::lookup::AwsTables;
use streamalert_lookup::Tables;
use streamalert_lookup::edit::{EditError, Writable};
use streamalert_pipeline::config::TableConfigs;
use streamalert_pipeline::config::lookup_tables::TablePlace;
use streamalert_pipeline::lookup::{Looked, LookupSnapshot, LookupTables, TableServices};

/// Reports the rows whose `text` is a key of the table `vip`.
const VIPS: &str = r#"
  (local.set $n (i32.const 0)) (local.set $at (i32.const 0))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $at) (local.get $count)))
    (local.set $rule (i32.load (i32.add (local.get $rows) (i32.mul (local.get $at) (i32.const 4)))))
    (call $get (local.get $rule) (i32.const 515) (i32.const 4) (i32.const 256))
    (call $lookup (i32.const 512) (i32.const 3) (i32.load offset=8 (i32.const 256)) (i32.load offset=12 (i32.const 256)) (i32.const 288))
    (if (i32.load8_u (i32.const 288)) (then
      (i32.store (i32.add (local.get $rows) (i32.mul (local.get $n) (i32.const 4))) (local.get $rule))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next)))
  (call $findings (local.get $rows) (local.get $n))"#;

fn vips() -> Vec<u8> {
    let take = r#"(data (i32.const 512) "viptext")"#;
    Guest { rules: vec![("vips", VIPS)], logs: "test:row", take, ..Guest::default() }.build()
}

/// With that rule alone, and this in `conf/lookup_tables.json`.
fn world(tables: &Value) -> World {
    let world = World::new();
    let schema = json!({"test:row": {"parser": "json", "schema": {"n": "integer", "text": "string"}}});
    world.write("conf/schemas/test.json", schema.to_string());
    world.write("plugins/every_row.wasm", vips());
    world.write("conf/lookup_tables.json", json!({"tables": tables}).to_string());
    world
}

fn lines(texts: &[&str]) -> String {
    texts.iter().enumerate().map(|(n, text)| json!({"n": n, "text": text}).to_string() + "\n").collect()
}

#[track_caller]
fn exits(output: Output, code: i32) -> (String, String) {
    let (out, told) = (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into());
    assert_eq!(output.status.code(), Some(code), "{out}{told}");
    (out, told)
}

/// A database of one network, 10.0.0.0/8, by the format's description.
fn mmdb() -> Vec<u8> {
    fn text(out: &mut Vec<u8>, text: &str) {
        out.push(2 << 5 | text.len() as u8);
        out.extend(text.as_bytes());
    }
    let nodes = 8_u32;
    let mut out = Vec::new();
    for depth in 0..nodes {
        let bit = 10_u8 >> (7 - depth) & 1;
        let on = if depth + 1 == nodes { nodes + 16 } else { depth + 1 };
        let sides = if bit == 0 { [on, nodes] } else { [nodes, on] };
        sides.iter().for_each(|side| out.extend(&side.to_be_bytes()[1..]));
    }
    out.extend([0; 16]);
    // {"country": {"iso_code": "NO"}, "asn": 64500}
    out.push(7 << 5 | 2);
    text(&mut out, "country");
    out.push(7 << 5 | 1);
    text(&mut out, "iso_code");
    text(&mut out, "NO");
    text(&mut out, "asn");
    out.push(6 << 5 | 2);
    out.extend(64_500_u16.to_be_bytes());
    out.extend(b"\xab\xcd\xefMaxMind.com");
    out.push(7 << 5 | 9);
    for (name, kind, value) in [
        ("node_count", 6, nodes as u16),
        ("record_size", 5, 24),
        ("ip_version", 5, 4),
        ("binary_format_major_version", 5, 2),
        ("binary_format_minor_version", 5, 0),
    ] {
        text(&mut out, name);
        out.push(kind << 5 | 2);
        out.extend(value.to_be_bytes());
    }
    text(&mut out, "build_epoch");
    out.extend([4, 2]);
    out.extend(1_767_323_045_u32.to_be_bytes());
    text(&mut out, "database_type");
    text(&mut out, "Test-Country");
    text(&mut out, "languages");
    out.extend([0, 4]);
    text(&mut out, "description");
    out.push(7 << 5);
    out
}

#[test]
fn files_of_every_format_are_tables() {
    let tables = json!({"vip": {"driver": "file", "path": "tables/vip.csv"}});
    for (name, table, content) in [
        ("csv", json!({"path": "t/vip.csv"}), b"id,team\nann,web\ndan,db\n".to_vec()),
        (
            "jsonl",
            json!({"path": "t/vip.jsonl", "key_column": "id"}),
            b"{\"id\": \"ann\"}\n{\"id\": \"dan\", \"x\": 1}\n".to_vec(),
        ),
        ("json", json!({"path": "t/vip"}), br#"{"ann": null, "dan": {"x": 1}}"#.to_vec()),
        ("mmdb", json!({"path": "t/vip.mmdb"}), mmdb()),
    ] {
        let mut table = table;
        table["driver"] = "file".into();
        let world = world(&json!({"vip": table}));
        world.write(&format!("conf/{}", table["path"].as_str().unwrap()), content);
        world.write("in.json", lines(&["ann", "bob", "dan", "10.1.2.3", "11.1.2.3", ""]));
        exits(world.streamalert(&["run", "--input", "in.json"]), 0);
        let expected: &[u64] = if name == "mmdb" { &[3] } else { &[0, 2] };
        assert_eq!(world.alerted(), expected, "{name}");
    }
    // A table that is not there, or is broken, is no reason to begin.
    let world = world(&tables);
    world.write("in.json", lines(&["ann"]));
    let (_, told) = exits(world.streamalert(&["run", "--input", "in.json"]), 2);
    assert!(told.contains("lookup table vip: there is no conf/tables/vip.csv"), "{told}");
    world.write("conf/tables/vip.csv", "a,b\n1\n");
    let (_, told) = exits(world.streamalert(&["run", "--input", "in.json"]), 2);
    assert!(told.contains("conf/tables/vip.csv: line 2: has 1 cells, and the header 2"), "{told}");
    world.write("conf/lookup_tables.json", r#"{"tables": {"vip": {"driver": "file"}}}"#);
    let (_, told) = exits(world.streamalert(&["run", "--input", "in.json"]), 2);
    assert!(told.contains("conf/lookup_tables.json: tables.vip.path: is missing"), "{told}");
}

#[test]
fn a_run_sees_a_changed_file_within_seconds_and_keeps_what_was_good() {
    let world = world(&json!({"vip": {"driver": "file", "path": "vip.csv"}}));
    world.write("conf/vip.csv", "id,x\nann,1\n");
    let mut running = world.start(&["run", "--http", "127.0.0.1:0"]);
    let address = running.address();
    let mut sent = 0;
    let mut raises = |text: &str| {
        sent += 1;
        let before = world.alerts().len();
        let row = json!({"n": sent, "text": text}).to_string();
        assert_eq!(post(address, row.as_bytes()).unwrap().status, 200);
        world.alerts().len() > before
    };
    assert!(raises("ann") && !raises("bob"));
    let changed = Instant::now();
    world.write("conf/vip.csv", "id,x\nbob,1\n");
    eventually("the table is the new one", || raises("bob"));
    assert!(changed.elapsed() < Duration::from_secs(5), "{:?}", changed.elapsed());
    assert!(!raises("ann"));
    world.write("conf/vip.csv", "id,x\nbroken\n");
    running.hear("a lookup table could not be read again; what it was goes on");
    assert!(raises("bob") && !raises("ann"));
    let metrics = request(address, "GET", "/metrics", &[], b"").unwrap().body;
    assert!(metrics.contains("streamalert_lookup_broken{table=\"vip\"} 1"), "{metrics}");
    std::fs::remove_file(world.at("conf/vip.csv")).unwrap();
    assert!(raises("bob"));
    running.end();
}

#[test]
fn tables_are_changed_by_commands() {
    let world =
        world(&json!({"vip": {"driver": "file", "path": "vip.json"}, "rows": {"driver": "file", "path": "rows.csv"}}));
    world.write("conf/vip.json", r#"{"big": 12345678901234567890123, "list": ["b"]}"#);
    world.write("conf/rows.csv", "key,value\na,1\n");
    world.write("conf/lookup_tables/own.json", r#"{"x": 1}"#);
    let tables =
        |arguments: &[&str], code: i32| exits(world.streamalert(&[&["lookup-tables"], arguments].concat()), code);
    let (out, _) = tables(&["list"], 0);
    assert!(
        out.contains("vip") && out.contains("conf/rows.csv") && out.contains("conf/lookup_tables/own.json"),
        "{out}"
    );
    assert_eq!(tables(&["list", "-t", "vip"], 0).0, "big\nlist\n");
    assert_eq!(tables(&["get", "-t", "vip", "-k", "big"], 0).0, "12345678901234567890123\n");
    assert_eq!(tables(&["get", "-t", "rows", "-k", "a"], 0).0, "\"1\"\n");
    tables(&["set", "-t", "vip", "-k", "ann", "-v", "it's 5"], 0);
    assert_eq!(tables(&["get", "-t", "vip", "-k", "ann"], 0).0, "\"it's 5\"\n");
    tables(&["set", "-t", "own", "-k", "ann", "-v", r#"{"a": 5}"#, "-j"], 0);
    assert_eq!(tables(&["get", "-t", "own", "-k", "ann"], 0).0, "{\"a\":5}\n");
    tables(&["list-add", "-t", "vip", "-k", "list", "-v", "a", "-u", "-s"], 0);
    tables(&["list-add", "-t", "vip", "-k", "list", "-v", "a", "-u", "-s"], 0);
    assert_eq!(tables(&["get", "-t", "vip", "-k", "list"], 0).0, "[\"a\",\"b\"]\n");
    tables(&["delete", "-t", "vip", "-k", "ann"], 0);
    tables(&["delete", "-t", "vip", "-k", "ann"], 1);
    tables(&["get", "-t", "vip", "-k", "ann"], 1);
    tables(&["get", "-t", "nowhere", "-k", "ann"], 2);
    let (_, told) = tables(&["set", "-t", "rows", "-k", "a", "-v", "b"], 2);
    assert!(told.contains("rows.csv is csv: change it where it was made"), "{told}");
    assert!(tables(&["set", "-t", "vip", "-k", "a", "-v", "{", "-j"], 2).1.contains("no JSON"));
    world.write("new.json", r#"{"a": {"b": 1.50}}"#);
    tables(&["set-from-json-file", "-t", "vip", "-k", "file", "-f", "new.json"], 0);
    assert_eq!(tables(&["get", "-t", "vip", "-k", "file"], 0).0, "{\"a\":{\"b\":1.50}}\n");
    tables(&["set-from-json-file", "-t", "own", "-f", "new.json"], 0);
    assert_eq!(tables(&["list", "-t", "own"], 0).0, "a\n");
    let (out, _) = tables(&["describe-tables", "--output", "json"], 0);
    let told: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((told.len(), &told[2]["entries"]), (3, &json!(3)), "{out}");
    // What was there to the last digit is still so.
    assert!(std::fs::read_to_string(world.at("conf/vip.json")).unwrap().contains("12345678901234567890123"));
}

fn get(seen: &Arc<dyn LookupSnapshot>, table: &str, key: &str, more: &[&str]) -> Looked {
    seen.get(table, key, &mut || more.iter().map(|key| (*key).to_owned()).collect()).unwrap()
}

#[test]
fn tables_of_dynamodb_and_s3_are_read_and_written() {
    for standin in [standins::ministack(), standins::moto()].into_iter().flatten() {
        let place = standin.place("tables");
        let (bucket, keyed, sorted) =
            (place.names.data_bucket(), format!("{}-k", place.names.prefix), format!("{}-s", place.names.prefix));
        place.data_bucket();
        key_table(&place, &keyed, "id", None);
        key_table(&place, &sorted, "p", Some("s"));
        let text = json!({"tables": {
            "names": {"driver": "s3", "bucket": bucket, "key": "names.json", "compression": false, "refresh_seconds": 0},
            "k": {"driver": "dynamodb", "table": keyed, "partition_key": "id", "value_key": "v", "cache_refresh_minutes": 0},
            "s": {"driver": "dynamodb", "table": sorted, "partition_key": "p", "sort_key": "s", "value_key": "v"},
        }});
        let configs = TableConfigs::read("f", &text.to_string(), &[]).unwrap();
        let services = AwsTables(place.aws.clone());
        let tables = Tables::of(&configs, None, Some(&services)).unwrap();
        let set = |table: &str, key: &str, value: &str| -> Result<(), EditError> {
            let change = |_: Option<&str>| Ok(Some(value.to_owned()));
            match &configs.tables[table].place {
                TablePlace::S3 { bucket, key: object, content } => {
                    Writable::Whole(&*services.object(bucket, object), content).change(key, &change).map(drop)
                }
                TablePlace::DynamoDb(keyed) => Writable::Items(&*services.items(keyed)).change(key, &change).map(drop),
                TablePlace::File { .. } => unreachable!(),
            }
        };
        // S3: nothing there is a failure; what is there is compressed, whatever the configuration says.
        assert!(
            tables.snapshot().get("names", "ann", &mut Vec::new).unwrap_err().to_string().contains("there is no s3://")
        );
        let packed =
            streamalert_lookup::content::pack(br#"{"ann": 1}"#, streamalert_lookup::content::Packing::Gzip).unwrap();
        let put = place.aws.s3.put_object().bucket(&bucket).key("names.json");
        place.aws.wait(put.body(packed.into()).send()).unwrap();
        let tables = Tables::of(&configs, None, Some(&services)).unwrap();
        let first = tables.snapshot();
        assert_eq!(get(&first, "names", "ann", &[]), Looked::Found("1".into()));
        set("names", "bob", r#"{"a":1.50}"#).unwrap();
        assert_eq!(get(&first, "names", "bob", &[]), Looked::NoKey);
        tables.refresh();
        assert_eq!(get(&tables.snapshot(), "names", "bob", &[]), Looked::Found(r#"{"a":1.50}"#.into()));
        // Many writers of one object lose nothing.
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (aws, configs) = (place.aws.clone(), configs.clone());
                std::thread::spawn(move || {
                    let TablePlace::S3 { bucket, key, content } = &configs.tables["names"].place else {
                        unreachable!()
                    };
                    let object = AwsTables(aws).object(bucket, key);
                    for number in 0..5 {
                        let key = format!("{writer}-{number}");
                        while matches!(
                            Writable::Whole(&*object, content).change(&key, &|_| Ok(Some("true".into()))),
                            Err(EditError::Busy)
                        ) {}
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        tables.refresh();
        let keys = tables.keys("names", 100).unwrap().unwrap();
        // moto does not look at If-Match.
        assert!(keys.len() == 22 || standin.name == "moto", "{} {keys:?}", standin.name);

        // DynamoDB: one call for what a batch will ask, and the batch sees one state.
        for number in 0..150 {
            set("k", &format!("key-{number}"), &format!("{{\"n\":{number}}}")).unwrap();
        }
        let all: Vec<String> =
            (0..150).map(|number| format!("key-{number}")).chain(["none".into(), "".into()]).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let calls = || {
            place.aws.calls.counts().iter().filter(|(name, _)| name.contains("GetItem")).map(|(_, n)| n).sum::<u64>()
        };
        let before = calls();
        let seen = tables.snapshot();
        for key in &all {
            let expected = key.strip_prefix("key-").map(|n| Looked::Found(format!("{{\"n\":{n}}}")));
            assert_eq!(get(&seen, "k", key, &all), expected.unwrap_or(Looked::NoKey), "{key}");
        }
        assert_eq!(calls() - before, 2, "151 keys are two calls");
        set("k", "key-1", "null").unwrap();
        assert_eq!(get(&seen, "k", "key-1", &[]), Looked::Found("{\"n\":1}".into()), "this batch has seen another");
        assert_eq!(get(&tables.snapshot(), "k", "key-1", &[]), Looked::Found("null".into()), "a stored null is a null");
        // A key with two delimiters is split at the first.
        set("s", "arn:aws:iam", "[1,\"x\"]").unwrap();
        assert_eq!(get(&tables.snapshot(), "s", "arn:aws:iam", &[]), Looked::Found("[1,\"x\"]".into()));
        assert_eq!(get(&tables.snapshot(), "s", "arn", &["arn:aws:iam", "x"]), Looked::NoKey);
        assert_eq!(tables.keys("s", 10).unwrap().unwrap(), ["arn:aws:iam"]);
        assert!(set("s", "arn", "1").unwrap_err().to_string().contains("of DynamoDB"));
        // A table that is not there is no table without keys.
        let gone =
            json!({"tables": {"g": {"driver": "dynamodb", "table": "gone", "partition_key": "p", "value_key": "v"}}});
        let gone = TableConfigs::read("f", &gone.to_string(), &[]).unwrap();
        let gone = Tables::of(&gone, None, Some(&services)).unwrap();
        let error = gone.snapshot().get("g", "x", &mut Vec::new).unwrap_err().to_string();
        assert!(error.contains("lookup table g: read gone of DynamoDB"), "{error}");
    }
}

fn key_table(place: &standins::Place, name: &str, partition: &str, sort: Option<&str>) {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let mut create = place.aws.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in [(Some(partition), KeyType::Hash), (sort, KeyType::Range)] {
        let Some(key) = key else { continue };
        let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
        create = create.attribute_definitions(attribute.build().unwrap());
        create = create.key_schema(KeySchemaElement::builder().attribute_name(key).key_type(kind).build().unwrap());
    }
    place.aws.wait(create.send()).unwrap();
}

#[test]
fn a_rule_of_the_rules_engine_asks_dynamodb_and_fails_alone_where_that_is_away() {
    let Some(standin) = standins::ministack() else { return };
    let installation = Installation::with_every_row(standin, "lookups", &json!({"outputs": []}));
    let table = format!("{}-vips", installation.place.names.prefix);
    installation.put_rules("plugins/vips.wasm", vips());
    let config = json!({"tables": {"vip": {
        "driver": "dynamodb", "table": table, "partition_key": "id", "value_key": "v", "cache_refresh_minutes": 0
    }}});
    installation.put_rules("conf/lookup_tables.json", config.to_string());
    let classifier = installation.function("classifier");
    let engine = installation.function("rules_engine");
    let judge = |name: &str, texts: &[&str]| {
        let event = installation.put_log(name, lines(texts));
        assert!(failed(&invoke(&classifier, &json!({"Records": [by_queue("m", &event)]})).unwrap()).is_empty());
        while let Some(messages) = installation.receive(&installation.records, 10) {
            let answer = invoke(&engine, &messages).unwrap();
            assert!(failed(&answer).is_empty(), "{answer}");
            installation.delete(&installation.records, &messages, &answer);
        }
        let mut raised: Vec<(String, u64)> = installation
            .alerts()
            .iter()
            .filter(|alert| alert.source.object == name)
            .map(|alert| (alert.rule_name.clone(), crate::run_world::number(alert)))
            .collect();
        raised.sort();
        raised
    };
    // The table is not there: the rule's records are its dead letters, and the other rule goes on.
    let raised = judge("a.json", &["ann", "bob"]);
    assert_eq!(raised, [("every_row".to_owned(), 0), ("every_row".to_owned(), 1)]);
    let letters = installation.letters();
    assert_eq!(letters.len(), 2, "{letters:#?}");
    let fault = letters[0].fault.as_ref().unwrap();
    assert_eq!((fault.rule.as_str(), fault.kind.as_str()), ("vips", "host_call"));
    assert!(letters[0].message.contains("lookup table vip"), "{}", letters[0].message);
    key_table(&installation.place, &table, "id", None);
    let put = installation.place.aws.dynamodb.put_item().table_name(&table);
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    installation.place.aws.wait(put.item("id", text("ann")).item("v", text("web")).send()).unwrap();
    let raised = judge("b.json", &["ann", "bob", "ann"]);
    assert!(raised.contains(&("vips".to_owned(), 0)) && raised.contains(&("vips".to_owned(), 2)), "{raised:?}");
    assert!(!raised.contains(&("vips".to_owned(), 1)), "{raised:?}");
    // And what was lost is sent again.
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    invoke(&classifier, &json!({"streamalert_resend": ids})).unwrap();
    let raised = judge("c.json", &["nobody"]);
    assert_eq!(raised, [("every_row".to_owned(), 0)]);
    let of_first = installation
        .alerts()
        .iter()
        .filter(|alert| alert.source.object == "a.json" && alert.rule_name == "vips")
        .count();
    assert_eq!((of_first, installation.letters().len()), (1, 0));
}
