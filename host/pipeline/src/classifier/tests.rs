use super::*;
use serde_json::{Value, json};

const SCHEMAS: &str = r#"{
  "shop:order": {"parser": "json", "schema": {"id": "integer", "who": "string", "price": "float", "paid": "boolean", "items": [], "extra": {}}},
  "shop:refund": {"parser": "json", "schema": {"id": "integer", "reason": "string", "note": "string"},
                  "configuration": {"optional_top_level_keys": ["note"]}},
  "trail": {"parser": "json", "schema": {"name": "string", "region": "string"}, "configuration": {"json_path": "Records[*]"}},
  "enveloped": {"parser": "json", "schema": {"n": "integer", "tag": "string"},
                "configuration": {"json_path": "batch[*]", "envelope_keys": {"host": "string", "port": "integer"},
                                  "optional_envelope_keys": ["port"], "optional_top_level_keys": ["tag"]}},
  "embedded": {"parser": "json", "schema": {"a": "integer"},
               "configuration": {"json_path": "logEvents[*].message", "embedded_json": true, "envelope_keys": {"owner": "string"}}},
  "syslogged": {"parser": "json", "schema": {"action": "string"}, "configuration": {"json_regex_key": "message"}},
  "typed:one": {"parser": "json", "schema": {"type": "string", "v": "string"}, "configuration": {"log_patterns": {"type": "one.*"}}},
  "typed:two": {"parser": "json", "schema": {"type": "string", "v": "string"}, "configuration": {"log_patterns": {"type": ["two", "t[wv]o"]}}},
  "nested": {"parser": "json", "schema": {"outer": {"inner": "integer", "deep": {"x": "string"}}, "k": "string"}},
  "picked": {"parser": "json", "schema": {"p": "string"}, "configuration": {"json_path": "list[?ok].value"}}
}"#;

fn worker_of(schemas: &str) -> Worker {
    let schemas = Schemas::read(&[("s.json".to_owned(), schemas.to_owned())]).unwrap();
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default()))).worker()
}

fn payload(bytes: &[u8]) -> Payload {
    let source = Source::new("file", "r", "o");
    Payload::new(Arc::new(source), 100, bytes)
}

fn classify(input: &[u8]) -> Classified {
    worker_of(SCHEMAS).classify(payload(input))
}

/// `type {record}` for each record, then `dead reason index` for each dead letter.
fn story(input: &[u8]) -> Vec<String> {
    let classified = classify(input);
    let records = (0..classified.batch.records.len()).map(|index| {
        format!("{} {}", classified.batch.records[index].log_type.name, classified.batch.fields(index).to_json())
    });
    let dead = classified.dead.iter().map(|letter| format!("dead {} {}", letter.reason.code(), letter.position.index));
    records.chain(dead).collect()
}

#[track_caller]
fn check(input: &str, expected: &[&str]) {
    assert_eq!(story(input.as_bytes()), expected, "{input}");
}

#[test]
fn inputs_come_in_many_shapes() {
    let refund = r#"{"id":1,"reason":"r"}"#;
    let out = r#"shop:refund {"id":1,"reason":"r","note":""}"#;
    check(refund, &[out]);
    check(&format!("{refund}\n{refund}\n"), &[out, out]);
    check(&format!("{refund}{refund} {refund}"), &[out, out, out]);
    check(&format!("{refund}\r\n\r\n  {refund}\r\n"), &[out, out]);
    check(&format!("\u{feff}{refund}\n\u{feff}{refund}"), &[out, out]);
    check(&format!("[{refund},\n {refund}]"), &[out, out]);
    check("{\n  \"id\": 1,\n  \"reason\": \"r\"\n}\n{\n  \"id\": 1,\n  \"reason\": \"r\"\n}", &[out, out]);
    check(&format!("{{\"Records\":[{refund},{refund}]}}"), &[out, out]);
    check(&format!("{{\"value\":[{refund}]}}\n{refund}"), &[out, out]);
    check("", &[]);
    check(" \n\t\n", &[]);
}

#[test]
fn nothing_to_classify_is_skipped_and_scalars_are_dead() {
    for empty in ["{}", "[]", "{\"Records\":[]}"] {
        let classified = classify(empty.as_bytes());
        assert_eq!(
            (classified.skipped.total(), classified.dead.len(), classified.batch.records.len()),
            (1, 0, 0),
            "{empty}"
        );
    }
    check("5", &["dead not_an_object 0"]);
    check("null", &["dead not_an_object 0"]);
    check("\"hello\"", &["dead not_an_object 0"]);
    check("hello", &["dead not_json 0"]);
    check(
        "[1, {\"id\":1,\"reason\":\"r\"}]",
        &[r#"shop:refund {"id":1,"reason":"r","note":""}"#, "dead not_an_object 0"],
    );
    check("{\"id\": NaN}", &["dead not_json 0"]);
}

#[test]
fn one_bad_line_costs_no_neighbour() {
    let good = r#"{"id":1,"reason":"r"}"#;
    let out = r#"shop:refund {"id":1,"reason":"r","note":""}"#;
    check(&format!("{good}\n{{\"id\": 1, \"rea\n{good}"), &[out, out, "dead not_json 0"]);
    check(&format!("{good}\n{{\"id\": {{\"a\": 1}}\n{good}"), &[out, out, "dead not_json 0"]);
    check(&format!("plain\n{good}\nwords"), &[out, "dead not_json 0", "dead not_json 0"]);
    check(&format!("{good}\n{{\"id\": [1, 2"), &[out, "dead not_json 0"]);
    let deep = "[".repeat(10_000);
    assert_eq!(story(format!("{good}\n{deep}\n{good}").as_bytes()), [out, out, "dead not_json 0"]);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(story(format!("{good}\n{deep}\n{good}").as_bytes()), [out, out, "dead limit 0"]);
    let wide: Vec<String> = (0..100_000).map(|key| format!("\"k{key}\":1")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    assert_eq!(story(format!("{good}\n{wide}\n{good}").as_bytes()), [out, out, "dead limit 0"]);
    let long_key = format!("{{\"{}\":1}}", "k".repeat(1 << 20));
    assert_eq!(story(format!("{good}\n{long_key}\n{good}").as_bytes()), [out, out, "dead no_schema 0"]);
    let mut bytes = good.as_bytes().to_vec();
    bytes.extend_from_slice(b"\n{\"id\":1,\"reason\":\"\xff\"}\n");
    bytes.extend_from_slice(good.as_bytes());
    let kept = r#"shop:refund {"id":1,"reason":"\\xff","note":"","streamalert:invalid_text":1}"#;
    assert_eq!(story(&bytes), [out, kept, out]);
}

#[test]
fn what_is_no_text_is_kept_as_escapes() {
    let check = |bytes: &[u8], expected: &str| assert_eq!(story(bytes), [expected], "{}", bytes.escape_ascii());
    let out = |reason: &str, count: u32| {
        format!(r#"shop:refund {{"id":1,"reason":"{reason}","note":"","streamalert:invalid_text":{count}}}"#)
    };
    check(br#"{"id":1,"reason":"a\ud800b"}"#, &out(r"a\\ud800b", 1));
    check(br#"{"id":1,"reason":"\udc00\ud83d\ude00"}"#, &out("\\\\udc00\u{1f600}", 1));
    check(b"{\"id\":1,\"reason\":\"a\tb\x00\"}", &out(r"a\tb\u0000", 2));
    // Overlong, and a sequence cut off.
    check(b"{\"id\":1,\"reason\":\"\xc0\xaf \xe2\x82\"}", &out(r"\\xc0\\xaf \\xe2\\x82", 4));
    check(br#"{"id":1,"reason":"\u0000"}"#, r#"shop:refund {"id":1,"reason":"\u0000","note":""}"#);
    check(b"{\"id\":1,\xff\"reason\":\"\"}", "dead not_json 0");
}

#[test]
fn dead_letters_say_where_and_keep_what() {
    let input =
        "{\"id\":1,\"reason\":\"r\"}\noops here\n{\"Records\":[{\"name\":\"a\",\"region\":\"b\"},{\"name\":\"x\"}]}";
    let classified = classify(input.as_bytes());
    let [line, record] = &classified.dead[..] else { panic!("{:?}", classified.dead) };
    assert_eq!((line.position.offset, line.position.length), (122, 9));
    assert_eq!(line.input.bytes(), b"oops here");
    // Of an input of several records only the bad one is kept.
    assert_eq!((record.position.offset, record.position.index, record.part), (132, 1, true));
    assert_eq!(record.input.bytes(), b"{\"name\":\"x\"}");
    assert!(record.message.contains("trail") && record.message.contains("region"), "{}", record.message);
    assert_ne!(line.id, record.id);
    assert_eq!(classify(input.as_bytes()).dead[1].id, record.id);
}

#[test]
fn values_become_what_the_schema_says() {
    let order = |value: Value| {
        let mut order = json!({"id": 1, "who": "w", "price": 1.5, "paid": true, "items": [1], "extra": {"e": 1}});
        for (key, value) in value.as_object().unwrap() {
            order[key] = value.clone();
        }
        let classified = classify(order.to_string().as_bytes());
        match classified.dead.first() {
            Some(letter) => json!(letter.message),
            None => classified.batch.fields(0).to_value(),
        }
    };
    assert_eq!(order(json!({"id": " 12 "}))["id"], 12);
    assert_eq!(order(json!({"id": "+7"}))["id"], 7);
    assert_eq!(order(json!({"id": 12.9}))["id"], 12);
    assert_eq!(order(json!({"id": "18446744073709551615"}))["id"], u64::MAX);
    assert_eq!(order(json!({"id": null}))["id"], Value::Null);
    assert_eq!(order(json!({"who": 7}))["who"], "7");
    assert_eq!(order(json!({"who": {"a": 1}}))["who"], "{\"a\":1}");
    assert_eq!(order(json!({"who": true}))["who"], "true");
    assert_eq!(order(json!({"price": "1e3"}))["price"], 1000.0);
    assert_eq!(order(json!({"price": 3}))["price"], 3.0);
    assert_eq!(order(json!({"paid": "False"}))["paid"], false);
    assert_eq!(order(json!({"paid": "yes"}))["paid"], true);
    assert_eq!(order(json!({"paid": 1}))["paid"], true);
    assert_eq!(order(json!({"extra": [1, "x"]}))["extra"], json!([1, "x"]));
    assert_eq!(order(json!({"items": ""}))["items"], "");
    for (wrong, part) in [
        (json!({"id": "12.5"}), "`id` is the text \"12.5\""),
        (json!({"id": [1]}), "`id` is a list of 1"),
        (json!({"price": "nan"}), "`price`"),
        (json!({"paid": "maybe"}), "`paid`"),
        (json!({"items": {"a": 1}}), "`items` is an object of 1 keys, the schema says []"),
    ] {
        let message = order(wrong.clone());
        assert!(message.as_str().is_some_and(|m| m.contains(part)), "{wrong}: {message}");
    }
}

#[test]
fn numbers_and_keys_are_exact() {
    let numbers =
        "9007199254740993,18446744073709551615,-9223372036854775808,123456789012345678901234567890,1e400,-0,0.1";
    let input = format!(
        "{{\"id\":1,\"who\":\"w\",\"price\":1,\"paid\":false,\"items\":[{numbers}],\"extra\":{{\"a.b\":1,\"a_b\":2,\"\":3}}}}"
    );
    let classified = classify(input.as_bytes());
    let json = classified.batch.fields(0).to_json();
    assert!(json.contains(&format!("[{numbers}]")), "{json}");
    assert!(json.contains("{\"a.b\":1,\"a_b\":2,\"\":3}"), "{json}");
}

#[test]
fn a_negative_zero_stays_one_where_no_type_says_otherwise() {
    let out = |extra: &str, price: &str, id: &str| {
        format!(r#"shop:order {{"id":{id},"who":"w -0","price":{price},"paid":false,"items":[],"extra":{extra}}}"#)
    };
    let input = r#"{"id":-0,"who":"w -0","price":-0,"paid":false,"items":[],"extra":{"a":[-0 , -0.0,1e-0,-0.5,0],"2024-01-0":-0}}"#;
    check(input, &[&out(r#"{"a":[-0,-0.0,1.0,-0.5,0],"2024-01-0":-0}"#, "-0.0", "0")]);
    // Texts that only look like one; beside bytes that are no text.
    check(
        &out(r#"[" -0 ",",-0,"]"#, "1.0", "1").replacen("shop:order ", "", 1),
        &[&out(r#"[" -0 ",",-0,"]"#, "1.0", "1")],
    );
    let [told] = &story(b"{\"id\":1,\"reason\":\"\xff\",\"note\":\"\",\"x\":[-0]}")[..] else { panic!() };
    assert!(told.contains(r#""x":[-0]"#), "{told}");
}

#[test]
fn the_last_of_equal_keys_counts_everywhere() {
    check(
        r#"{"id":1,"reason":"first","id":2,"reason":"last"}"#,
        &[r#"shop:refund {"id":2,"reason":"last","note":"","streamalert:duplicate_keys":["id","reason"]}"#],
    );
    let order = r#"{"id":1,"who":"","price":0,"paid":false,"items":[],"extra":{"a":1,"b":2,"a":3,"c":4,"b":5}}"#;
    check(
        order,
        &[
            r#"shop:order {"id":1,"who":"","price":0,"paid":false,"items":[],"extra":{"a":3,"b":5,"c":4},"streamalert:duplicate_keys":["a","b"]}"#,
        ],
    );
    // Keys that differ only in case stay apart, and are told of too: both may be meant to be read by somebody.
    let order = r#"{"id":1,"who":"","price":0,"paid":false,"items":[],"extra":{"aa":1,"Aa":2}}"#;
    check(
        order,
        &[
            r#"shop:order {"id":1,"who":"","price":0,"paid":false,"items":[],"extra":{"aa":1,"Aa":2},"streamalert:duplicate_keys":["Aa"]}"#,
        ],
    );
    let many: Vec<String> = (0..9_000).map(|key| format!("\"k{key}\":{key}")).collect();
    let order = format!(
        r#"{{"id":1,"who":"","price":0,"paid":false,"items":[],"extra":{{{},"k7":0,"K8":0}}}}"#,
        many.join(",")
    );
    let record = classify(order.as_bytes()).batch.fields(0).to_value();
    assert_eq!(record["streamalert:duplicate_keys"], json!(["k7", "K8"]));
    assert_eq!((&record["extra"]["k7"], record["extra"].as_object().unwrap().len()), (&json!(0), 9_001));
}

#[test]
fn escapes_are_undone_in_place() {
    check(
        r#"{"id":1,"reason":"a\"b\\c\u00e9\n","note":"\ud83d\ude00"}"#,
        &["shop:refund {\"id\":1,\"reason\":\"a\\\"b\\\\cé\\n\",\"note\":\"😀\"}"],
    );
    check(
        r#"{"Records":[{"name":"\u0041","region":"x"},{"na\u006de":"b","region":"\/"}]}"#,
        &[r#"trail {"name":"A","region":"x"}"#, r#"trail {"name":"b","region":"/"}"#],
    );
}

#[test]
fn records_are_found_within_envelopes() {
    check(
        r#"{"host":"h1","batch":[{"n":"7"},{"n":8,"tag":"t"}],"x":1}"#,
        &[
            r#"enveloped {"n":7,"streamalert:envelope_keys":{"host":"h1","port":0},"tag":""}"#,
            r#"enveloped {"n":8,"tag":"t","streamalert:envelope_keys":{"host":"h1","port":0}}"#,
        ],
    );
    check(r#"{"host":"h1","port":"x","batch":[{"n":7}]}"#, &["dead no_schema 0"]);
    check(
        r#"{"owner":"o","logEvents":[{"message":"{\"a\":1}"},{"message":"no json"},{"message":"{\"a\":\"2\"}"}]}"#,
        &[
            r#"embedded {"a":1,"streamalert:envelope_keys":{"owner":"o"}}"#,
            r#"embedded {"a":2,"streamalert:envelope_keys":{"owner":"o"}}"#,
            "dead no_schema 1",
        ],
    );
    check(r#"{"message":"prog[12]: {\"action\":\"go\"} tail"}"#, &[r#"syslogged {"action":"go"}"#]);
    check(
        r#"{"list":[{"ok":true,"value":{"p":"1"}},{"ok":false,"value":{"p":"2"}},{"ok":true,"value":{"p":"3"}}]}"#,
        &[r#"picked {"p":"1"}"#, r#"picked {"p":"3"}"#],
    );
}

#[test]
fn a_wrapped_type_also_comes_unwrapped() {
    check(r#"{"name":"a","region":"b"}"#, &[r#"trail {"name":"a","region":"b"}"#]);
    check(
        "{\"Records\":[{\"name\":\"a\",\"region\":\"b\"}]}\n{\"name\":\"a\",\"region\":\"b\"}",
        &[r#"trail {"name":"a","region":"b"}"#, r#"trail {"name":"a","region":"b"}"#],
    );
}

#[test]
fn patterns_tell_types_apart() {
    check(r#"{"type":"one.x","v":"1"}"#, &[r#"typed:one {"type":"one.x","v":"1"}"#]);
    check(r#"{"type":"tvo","v":"1"}"#, &[r#"typed:two {"type":"tvo","v":"1"}"#]);
    check(r#"{"type":"ONE.x","v":"1"}"#, &["dead no_schema 0"]);
    check(r#"{"type":null,"v":"1"}"#, &["dead no_schema 0"]);
}

#[test]
fn nested_objects_are_checked() {
    check(
        r#"{"k":"","outer":{"inner":"5","deep":{"x":1}}}"#,
        &[r#"nested {"k":"","outer":{"inner":5,"deep":{"x":"1"}}}"#],
    );
    check(r#"{"k":"","outer":{"inner":"5","deep":{}}}"#, &[r#"nested {"k":"","outer":{"inner":5,"deep":{}}}"#]);
    check(r#"{"k":"","outer":{"inner":"5"}}"#, &["dead wrong_type 0"]);
    // What a vendor adds within is kept like what is added at the top.
    check(
        r#"{"k":"","outer":{"inner":"5","deep":{"x":"","y":1}}}"#,
        &[r#"nested {"k":"","outer":{"inner":5,"deep":{"x":"","y":1}}}"#],
    );
}

#[test]
fn a_field_the_vendor_added_is_kept() {
    check(
        r#"{"id":1,"reason":"r","added":{"by":"vendor"}}"#,
        &[r#"shop:refund {"id":1,"reason":"r","added":{"by":"vendor"},"note":""}"#],
    );
    let classified = classify(br#"{"id":1,"reason":"r","added":1}"#);
    assert!(!classified.batch.records[0].exact);
    // More unknown than known is something else.
    check(r#"{"id":1,"reason":"r","a":1,"b":2,"c":3}"#, &["dead no_schema 0"]);
    check(
        r#"{"Records":[{"name":"a","region":"b"},{"name":"c","region":"d","new":1}]}"#,
        &[r#"trail {"name":"a","region":"b"}"#, r#"trail {"name":"c","region":"d","new":1}"#],
    );
}

#[test]
fn identities_depend_on_place_and_content_only() {
    let identity = |prefix: &str, offset: u64, body: &str| {
        let mut payload = payload(format!("{prefix}{body}").as_bytes());
        payload.offset = offset;
        let classified = worker_of(SCHEMAS).classify(payload);
        classified.batch.identity(classified.batch.records.len() - 1)
    };
    let refund = r#"{"id":1,"reason":"r"}"#;
    let first = format!("{refund}\n");
    // However the stream was cut into payloads.
    assert_eq!(identity(&first, 0, refund), identity("", first.len() as u64, refund));
    assert_ne!(identity("", 0, refund), identity("", 1, refund));
    assert_ne!(identity("", 0, refund), identity("", 0, r#"{"id":1,"reason":"s"}"#));
}

#[test]
fn a_letter_sent_again_after_the_schema_was_mended_is_the_record_it_was() {
    let input = r#"{"Records":[{"name":"a","region":"b"},{"name":"c","area":"d"}]}"#;
    let classified = classify(input.as_bytes());
    let letter = &classified.dead[0];
    let mended = SCHEMAS.replacen("\"region\": \"string\"}", "\"area\": \"string\"}", 1);
    let again = worker_of(&mended).resend(letter);
    assert!(again.dead.is_empty(), "{:?}", again.dead);
    assert_eq!(again.batch.fields(0).to_json(), r#"{"name":"c","area":"d"}"#);
    // The same as if the whole input had come with the mended schema.
    let whole = worker_of(&mended).classify(payload(input.as_bytes()));
    let index = whole.batch.records.iter().position(|r| r.position.index == 1).unwrap();
    assert_eq!(again.batch.identity(0), whole.batch.identity(index));
    assert_eq!(again.batch.records[0].position, whole.batch.records[index].position);
    // Not mended, it stays the letter it was.
    let still = worker_of(SCHEMAS).resend(letter);
    assert_eq!((still.dead.len(), &still.dead[0].id, &still.dead[0].input), (1, &letter.id, &letter.input));
}

#[test]
fn configuration_faults_come_all_at_once() {
    let text = r#"{"a": {"parser": "json", "schema": {"x": "text"}},
                   "b": {"parser": "jsn", "schema": {}},
                   "c": {"parser": "json", "schema": {"x": "string"}, "configuration": {"optional_top_level_keys": ["y"], "json_path": "a[", "colour": 1}},
                   "d": {"parser": "json", "schema": {"x": "string"}, "configuration": {"optional_top_level_keys": ["y"], "json_path": "a[", "priority": "high"}}}"#;
    let faults = Schemas::read(&[("f.json".into(), text.into()), ("g.json".into(), "{".into())]).unwrap_err();
    let said = faults.to_string();
    for part in [
        "f.json: a.schema.x: `text` is no type",
        "f.json: b.parser: unknown variant `jsn`",
        "colour",
        "f.json: d.configuration.optional_top_level_keys: `y` is not in schema",
        "f.json: d.configuration.json_path: `a[`",
        "f.json: d.configuration.priority",
        "g.json: not a JSON object",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
}

#[test]
fn priority_and_order_of_files_decide_between_equals() {
    let first = r#"{"z": {"parser": "json", "schema": {"x": "string"}}, "late": {"parser": "json", "schema": {"x": "string"}, "configuration": {"priority": 1}}}"#;
    let second = r#"{"early": {"parser": "json", "schema": {"x": "string"}, "configuration": {"priority": "0"}}}"#;
    // In whatever order the files are handed in.
    for files in [[("b", first), ("a", second)], [("a", second), ("b", first)]] {
        let files: Vec<(String, String)> = files.map(|(name, text)| (name.into(), text.into())).to_vec();
        let schemas = Schemas::read(&files).unwrap();
        let names: Vec<&str> = schemas.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["early", "late", "z"]);
    }
}

#[test]
fn every_item_under_a_path_is_a_record_or_a_dead_letter() {
    let good = r#"{"name":"a","region":"b"}"#;
    let out = r#"trail {"name":"a","region":"b"}"#;
    check(
        &format!(r#"{{"Records":[{good},5,null,"x",[],{{}},{{"q":1}}]}}"#),
        &[
            out,
            "dead not_an_object 1",
            "dead not_an_object 2",
            "dead not_an_object 3",
            "dead not_an_object 4",
            "dead no_schema 5",
            "dead no_schema 6",
        ],
    );
    check(
        r#"{"owner":"o","logEvents":[{"message":"{\"a\":1}"},{"id":"no message"},{"message":null}]}"#,
        &[r#"embedded {"a":1,"streamalert:envelope_keys":{"owner":"o"}}"#, "dead no_schema 1", "dead no_schema 2"],
    );
    check(r#"{"Records":null}"#, &["dead no_schema 0"]);
}

#[test]
fn a_part_that_is_sent_again_can_die_again() {
    let text = br#"{"Records":[{"name":"a","region":"b"},{"name":"c","region":"d"}]}"#;
    let mut worker = worker_of(SCHEMAS);
    let batch = worker.classify(payload(text)).batch;
    let (record, identity) = (&batch.records[1], batch.identity(1));
    let about = DeadLetter::about(
        &batch.payload,
        "default",
        record.position,
        &identity,
        batch.part(1),
        Reason::RuleFault,
        String::new(),
    );
    let again = worker.resend(&about).batch;
    assert_eq!((again.records.len(), again.identity(0)), (1, identity));
    let part = &br#"{"name":"c","region":"d"}"#[..];
    assert_eq!((again.part(0), again.input(0)), (Some(part), part));
}

#[test]
fn whole_records_before_a_cut_are_taken() {
    let good = r#"{"id":1,"reason":"r"}"#;
    let out = r#"shop:refund {"id":1,"reason":"r","note":""}"#;
    let cut = format!(r#"{{"Records":[{good}, {good}, {{"id":1,"items":[{good},{{"a":"#);
    let classified = classify(format!("{good}\n{cut}\n{good}\n").as_bytes());
    assert_eq!((classified.batch.records.len(), classified.inputs, classified.unaccounted), (4, 4, 0));
    let [letter] = &classified.dead[..] else { panic!("{:?}", classified.dead) };
    let rest = format!(r#"{{"id":1,"items":[{good},{{"a":"#);
    let offset = (100 + good.len() + 1 + cut.len() - rest.len()) as u64;
    assert_eq!((letter.reason, letter.input.bytes()), (Reason::NotJson, rest.into_bytes()));
    assert_eq!((letter.position.offset, letter.part, letter.single), (offset, false, false));
    assert!(letter.message.contains(&format!("the records before byte {offset} were taken")), "{}", letter.message);
    // Cut off between records, that is told too.
    check(&format!("[{good},{good}"), &[out, out, "dead not_json 0"]);
    check(&format!("[{good},{good},\n"), &[out, out, "dead not_json 0"]);
    // In the middle of a text, with another line behind it.
    check(&format!("[{good},{{\"id\":\"x\n{good}"), &[out, out, "dead not_json 0"]);
    // A record that was cut off is none, whatever is left of it; nor is an envelope whose end may be lacking.
    check(r#"{"id":1,"reason":"r","list":["a","b"#, &["dead not_json 0"]);
    check(r#"{"id":1,"reason":"r","note":[{"type":"one.1","v":""},{"#, &["dead not_json 0"]);
    check(r#"{"host":"h","batch":[{"n":1},{"n""#, &["dead not_json 0"]);
    let enveloped = r#"enveloped {"n":1,"streamalert:envelope_keys":{"host":"h","port":2},"tag":""}"#;
    check(r#"{"host":"h","port":2,"batch":[{"n":1},{"n""#, &[enveloped, "dead not_json 0"]);
    // Expressions may ask for what has not come.
    check(r#"{"list":[{"ok":true,"value":{"p":"x"}},{"#, &["dead not_json 0"]);
    // A list of records is not looked for within a record that was cut off.
    check(&format!(r#"{{"Records":[{{"list":[{good},{good}"#), &["dead not_json 0"]);
}

/// With a type that is wrong, and then mended, each record comes once: at once, or when its letter is sent again.
#[track_caller]
fn check_sent_again(input: &str, letters: usize) {
    // Of refunds the id, of what comes in envelopes and texts the number.
    let wrong = SCHEMAS
        .replace(r#""id": "integer", "reason""#, r#""id": "boolean", "reason""#)
        .replace(r#""n": "integer""#, r#""n": "boolean""#)
        .replace(r#""a": "integer""#, r#""a": "boolean""#)
        .replace(r#""action": "string""#, r#""action": "boolean""#);
    let told = |classified: &Classified| -> Vec<([u8; 32], Position, String)> {
        let batch = &classified.batch;
        (0..batch.records.len())
            .map(|index| {
                let type_name = &batch.records[index].log_type.name;
                // The types differ.
                let fields = batch.fields(index).to_json().replace(":true", ":1").replace(":\"true\"", ":1");
                (batch.identity(index), batch.records[index].position, format!("{type_name} {fields}"))
            })
            .collect()
    };
    let mut classified = worker_of(&wrong).classify(payload(input.as_bytes()));
    assert_eq!(classified.unaccounted, 0, "{input}");
    let mut found = told(&classified);
    let mut worker = worker_of(SCHEMAS);
    // What was cut off comes to nothing, and stays.
    let cut: Vec<DeadLetter> = classified.dead.extract_if(.., |letter| letter.reason == Reason::NotJson).collect();
    for letter in &cut {
        let again = worker.resend(letter);
        assert_eq!((again.dead.len(), told(&again)), (1, Vec::new()), "{input}: {:?}", again.dead);
        assert_eq!(again.dead[0], DeadLetter { message: again.dead[0].message.clone(), ..letter.clone() });
    }
    assert_eq!(classified.dead.len(), letters, "{input}: {:?}", classified.dead);
    for letter in &classified.dead {
        let again = worker.resend(letter);
        assert_eq!((again.dead.len(), again.unaccounted), (0, 0), "{input}: {:?}", again.dead);
        found.extend(told(&again));
        // Not mended, it stays the letter it was.
        let mut still = worker_of(&wrong).resend(letter);
        assert_eq!((told(&still), still.dead.len()), (Vec::new(), 1), "{input}");
        let still = still.dead.remove(0);
        assert_eq!((&still.id, &still.input, still.position), (&letter.id, &letter.input, letter.position));
    }
    let whole = worker_of(SCHEMAS).classify(payload(input.as_bytes()));
    assert_eq!(whole.dead, cut, "{input}");
    let mut expected = told(&whole);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "{input}");
}

#[test]
fn sent_again_each_record_comes_exactly_once() {
    let good = r#"{"id":true,"reason":"r"}"#;
    let bad = r#"{"id":7,"reason":"r"}"#;
    check_sent_again(bad, 1);
    check_sent_again(&format!("{good}\n{bad}\n{bad}{good}"), 2);
    for list in [format!("{bad},{good},{bad},{good}"), format!("{good},{bad}"), format!("{bad},{bad}")] {
        let letters = list.matches(":7").count();
        check_sent_again(&format!("[{list}]"), letters);
        check_sent_again(&format!(r#"{{"Records":[{list}]}}"#), letters);
        // Of a document whose text was changed to be read, no part can be kept.
        check_sent_again(&format!(r#"{{"x":-0,"Records":[{list}]}}"#), letters);
        // Within the text of another document.
        let inner = Value::from(format!(r#"{{"Records":[{list}]}}"#));
        check_sent_again(&format!(r#"{{"TopicArn":"t","Message":{inner}}}"#), letters);
        let messages = list.replace("},{", "}|{").split('|').map(|m| json!({"message": m})).collect::<Vec<_>>();
        check_sent_again(&json!({"messageType": "DATA_MESSAGE", "logEvents": messages}).to_string(), letters);
    }
    // Cut off, wherever that is: what a record was before the cut.
    for list in [format!("{good},{bad},{good}"), format!("{bad},{good}, {bad}")] {
        for (start, bare) in [
            ("{\"Records\":[", true),
            ("{\"x\":-0,\"Records\": [", true),
            ("[", true),
            ("{\"host\":\"h\",\"port\":1,\"batch\":[", false),
        ] {
            let items = if bare {
                list.clone()
            } else {
                list.replace(r#"{"id":"#, r#"{"n":"#).replace(r#","reason":"r"}"#, "}")
            };
            let text = format!("{start}{items}");
            for cut in start.len()..=text.len() {
                let whole = items[..cut - start.len()].matches('}').count();
                let wrong = items.split_inclusive('}').take(whole).filter(|item| item.contains(":7")).count();
                // Unless a record is taken, all is one letter, and nobody knows whether these were records.
                let letters = if wrong < whole { wrong } else { 0 };
                if wrong < whole || whole == 0 {
                    check_sent_again(&text[..cut], letters);
                }
            }
        }
    }
    let items = |key: &str| format!(r#"{{"{key}":7}},{{"{key}":true}},{{"{key}":7}}"#);
    check_sent_again(&format!(r#"{{"host":"h","batch":[{}]}}"#, items("n")), 2);
    let messages = [7.into(), true.into(), Value::from(7)].map(|a| json!({"message": json!({"a": a}).to_string()}));
    check_sent_again(&json!({"owner": "o", "logEvents": messages}).to_string(), 2);
    let message = r#"one {"action":{"x":[]}} {"action":true} two {"action":{"x":[]}}"#;
    check_sent_again(&json!({"message": message}).to_string(), 2);
}
