//! Inputs in text formats, alone, among JSON, and within it.

use super::*;

const SCHEMAS: &str = r#"{
  "rows": {"parser": "csv", "schema": {"day": "string", "count": "integer", "note": "string"}},
  "named": {"parser": "csv", "schema": {"user": "string", "port": "integer", "role": "string"},
            "configuration": {"header": true, "delimiter": ";", "optional_top_level_keys": ["role"]}},
  "pairs": {"parser": "kv", "schema": {"t": "integer", "u": "string", "r": "string"},
            "configuration": {"optional_top_level_keys": ["r"]}},
  "lines": {"parser": "syslog", "schema": {"timestamp": "string", "host": "string", "application": "string", "message": "string"}},
  "detail": {"parser": "syslog", "schema": {"severity": "integer", "structured_data": {}, "message": "string"}},
  "flow": {"parser": "space", "schema": {"version": "integer", "account": "string", "src": "string", "bytes": "integer", "status": "string"}},
  "wrapped": {"parser": "space", "schema": {"v": "integer", "from": "string", "to": "string"},
              "configuration": {"json_path": "logEvents[*].message", "envelope_keys": {"owner": "string"}}},
  "alarm": {"parser": "cef", "schema": {"device_vendor": "string", "name": "string", "severity": "string", "src": "string"},
            "configuration": {"optional_top_level_keys": ["src"], "log_patterns": {"device_vendor": "Acme"}}},
  "web": {"parser": "w3c", "schema": {"date": "string", "c-ip": "string", "sc-status": "integer"}},
  "fmt": {"parser": "logfmt", "schema": {"level": "string", "msg": "string"}},
  "json": {"parser": "json", "schema": {"a": "integer"}}
}"#;

fn worker(logs: &[&str]) -> Worker {
    let schemas = Schemas::read(&[("s.json".to_owned(), SCHEMAS.to_owned())]).unwrap();
    let clusters = serde_json::json!({"data_sources": {"file": {"r": logs}}}).to_string();
    let clusters = Clusters::read(&[("c.json".to_owned(), clusters)], &schemas).unwrap();
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters))).worker()
}

fn told(classified: &Classified) -> Vec<String> {
    assert_eq!(classified.unaccounted, 0);
    let records = (0..classified.batch.records.len()).map(|index| {
        let record = &classified.batch.records[index];
        format!("{} {}", record.log_type.name, classified.batch.fields(index).to_json())
    });
    let dead = classified.dead.iter().map(|letter| format!("dead {} {}", letter.reason.code(), letter.message));
    let skipped = classified.skipped.iter().map(|(skip, count)| format!("skipped {} {count}", skip.code()));
    records.chain(dead).chain(skipped).collect()
}

#[track_caller]
fn check(logs: &[&str], input: &str, expected: &[&str]) {
    let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), 0, input.as_bytes());
    assert_eq!(told(&worker(logs).classify(payload)), expected, "{input}");
}

#[test]
fn rows_become_records_by_place() {
    let out = r#"rows {"day":"mon","count":3,"note":"a, \"b\""}"#;
    check(&["rows"], "mon,3,\"a, \"\"b\"\"\"\n", &[out]);
    check(&["rows"], "day,count,note\r\nmon,3,\"a, \"\"b\"\"\"\r\n", &[out, "skipped header 1"]);
    check(
        &["rows"],
        "mon,3,\"two\nlines\"\ntue,,\n",
        &[r#"rows {"day":"mon","count":3,"note":"two\nlines"}"#, r#"rows {"day":"tue","count":"","note":""}"#],
    );
    check(
        &["rows"],
        "mon,three,x\nmon,3\nmon,3,x\n",
        &[
            r#"rows {"day":"mon","count":3,"note":"x"}"#,
            "dead wrong_type rows: `count` is the text \"three\", the schema says integer",
            "dead no_schema not csv: 2 cells, where 3 are expected",
        ],
    );
    // A quote that nobody closes costs its own line.
    check(
        &["rows"],
        "mon,3,\"open\ntue,4,fine\n",
        &[r#"rows {"day":"mon","count":3,"note":"open"}"#, r#"rows {"day":"tue","count":4,"note":"fine"}"#],
    );
    // One column more than the schema knows.
    check(&["rows"], "mon,3,x,new\n", &[r#"rows {"day":"mon","count":3,"note":"x","column_4":"new"}"#]);
    check(
        &["rows", "json"],
        "{\"a\":1}\nmon,3,x\n[1, 2]\n",
        &[
            r#"json {"a":1}"#,
            r#"rows {"day":"mon","count":3,"note":"x"}"#,
            "dead not_an_object a number, where an object is expected",
            "dead not_an_object a number, where an object is expected",
        ],
    );
}

#[test]
fn a_header_says_what_stands_where() {
    check(
        &["named"],
        "port;user\n22;ann\n80;bob;x\n",
        &[
            r#"named {"port":22,"user":"ann","role":""}"#,
            "dead no_schema not csv: 3 cells, and the header has 2",
            "skipped header 1",
        ],
    );
    check(
        &["named"],
        "user;port;role;new\nann;22;admin;?\nuser;port;role;new\n",
        &[r#"named {"user":"ann","port":22,"role":"admin","new":"?"}"#, "skipped header 2"],
    );
    check(
        &["named"],
        "what;ever\nann;22\n",
        &[
            "dead no_schema not csv: the first line is no header: it lacks user, port",
            "dead no_schema not csv: no header line came before it",
        ],
    );
    let mut worker = worker(&["named"]);
    let source = Arc::new(Source::new("file", "r", "o"));
    let first = worker.classify(Payload::new(source.clone(), 0, &b"user;port\nann;x\n"[..]));
    assert_eq!((first.dead.len(), first.dead[0].head.as_str()), (1, "user;port"));
    // Later pieces of the object know the header, and so does a letter that is sent again.
    let later = Payload { head: (&b"user;port"[..]).into(), ..Payload::new(source, 500, &b"bob;80\n"[..]) };
    assert_eq!(told(&worker.classify(later)), [r#"named {"user":"bob","port":80,"role":""}"#]);
    let mut letter = first.dead[0].clone();
    letter.input = crate::dead_letter::Input::new(b"ann;22");
    assert_eq!(told(&worker.resend(&letter)), [r#"named {"user":"ann","port":22,"role":""}"#]);
    let w3c = "#Version: 1.0\n#Fields: date c-ip sc-status\n2020-01-01 10.0.0.1 200\n#Fields: date sc-status c-ip\n2020-01-02 404 ::1\n";
    check(
        &["web"],
        w3c,
        &[
            r#"web {"date":"2020-01-01","c-ip":"10.0.0.1","sc-status":200}"#,
            r#"web {"date":"2020-01-02","sc-status":404,"c-ip":"::1"}"#,
            "skipped header 3",
        ],
    );
}

#[test]
fn pairs_need_no_order() {
    check(&["pairs"], "u=\"a b\" t=1\n", &[r#"pairs {"u":"a b","t":1,"r":""}"#]);
    check(&["pairs"], "t=1 u=bob u=zed\n", &[r#"pairs {"t":1,"u":"bob","r":"zed"}"#]);
    check(&["pairs"], "t=1 u=bob v=new\n", &[r#"pairs {"t":1,"u":"bob","v":"new","r":""}"#]);
    check(&["fmt"], "level=info msg=\"it works\"\n", &[r#"fmt {"level":"info","msg":"it works"}"#]);
}

#[test]
fn syslog_gives_what_the_schema_names() {
    check(
        &["lines"],
        "<34>Jan 10 19:35:33 host.example.com su[7]: x\n",
        &[r#"lines {"timestamp":"Jan 10 19:35:33","host":"host.example.com","application":"su","message":"x"}"#],
    );
    check(
        &["detail"],
        "<34>1 2003-10-11T22:14:15.003Z h su - ID47 [ex@1 a=\"b\"] hi\n",
        &[r#"detail {"severity":2,"structured_data":{"ex@1":{"a":"b"}},"message":"hi"}"#],
    );
    let message = "<34>Jan 10 19:35:33 host su: two\nlines";
    let counted = &format!("{0} {message}{0} {message}", message.len());
    let out = r#"lines {"timestamp":"Jan 10 19:35:33","host":"host","application":"su","message":"two\nlines"}"#;
    check(&["lines"], counted, &[out, out]);
    check(
        &["lines"],
        "no syslog at all\n",
        &["dead no_schema not syslog: not syslog, no priority and no known timestamp in front: \"no syslog at all\""],
    );
}

#[test]
fn the_format_is_chosen_line_by_line() {
    let all = ["rows", "pairs", "lines", "flow", "alarm", "json"];
    check(
        &all,
        "{\"a\":1}\nt=1 u=bob\nmon,3,x\n2 123 10.0.0.1 - OK\nCEF:0|Acme|fw|1|100|Denied|7|src=10.0.0.9\n",
        &[
            r#"json {"a":1}"#,
            r#"pairs {"t":1,"u":"bob","r":""}"#,
            r#"rows {"day":"mon","count":3,"note":"x"}"#,
            r#"flow {"version":2,"account":"123","src":"10.0.0.1","bytes":null,"status":"OK"}"#,
            r#"alarm {"device_vendor":"Acme","name":"Denied","severity":"7","src":"10.0.0.9"}"#,
        ],
    );
}

#[test]
fn texts_within_documents() {
    let envelope = r#"{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{"message":"2 a b"},{"message":"bad"},{"message":"3 c d\n"}]}"#;
    check(
        &["wrapped"],
        envelope,
        &[
            r#"wrapped {"v":2,"from":"a","to":"b","streamalert:envelope_keys":{"owner":"1"}}"#,
            r#"wrapped {"v":3,"from":"c","to":"d","streamalert:envelope_keys":{"owner":"1"}}"#,
            "dead no_schema not space: 1 cells, where 3 are expected",
        ],
    );
    check(
        &["rows", "json"],
        &envelope.replace("2 a b", "mon,3,x").replace("3 c d\\n", "{\\\"a\\\": 7}"),
        &[
            r#"rows {"day":"mon","count":3,"note":"x"}"#,
            r#"json {"a":7}"#,
            "dead no_schema not csv: 1 cells, where 3 are expected",
        ],
    );
    check(
        &["json"],
        r#"{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}"#,
        &["skipped control_message 1"],
    );
    check(
        &["json"],
        r#"{"version":"0","id":"x","detail-type":"d","source":"s","detail":{"a":4}}"#,
        &[r#"json {"a":4}"#],
    );
    check(&["json"], r#"{"Type":"Notification","TopicArn":"t","Message":"{\"a\":5}"}"#, &[r#"json {"a":5}"#]);
    check(&["json"], r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#, &["skipped test_event 1"]);
}

#[test]
fn bytes_that_are_no_text_are_told_of() {
    let payload = Payload::new(Arc::new(Source::new("file", "r", "o")), 0, &b"mon,3,caf\xe9\n"[..]);
    let told = told(&worker(&["rows"]).classify(payload));
    assert_eq!(told, [r#"rows {"day":"mon","count":3,"note":"caf\\xe9","streamalert:invalid_text":1}"#]);
}

#[test]
fn types_that_fit_the_same_records_are_told_of() {
    let schemas = r#"{"x": {"parser": "json", "schema": {"a": "integer"}}, "y": {"parser": "json", "schema": {"a": "string", "b": "string"},
        "configuration": {"optional_top_level_keys": ["b"]}}}"#;
    let schemas = Schemas::read(&[("s.json".to_owned(), schemas.to_owned())]).unwrap();
    let mut worker = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default()))).worker();
    let lines = "{\"a\": 1}\n".repeat(100);
    let classified = worker.classify(Payload::new(Arc::new(Source::new("file", "r", "o")), 0, lines.as_bytes()));
    let ambiguity = Ambiguity { taken: "x".to_owned(), also: vec!["y".to_owned()] };
    assert_eq!(classified.ambiguous, BTreeMap::from([(ambiguity, u64::from(AMBIGUITY_SAMPLES))]));
    assert_eq!(classified.batch.records.len(), 100);
}

#[test]
fn what_no_format_takes_is_told_of_by_the_one_it_looks_most_like() {
    let logs = &["web", "rows", "flow", "alarm", "fmt"];
    let check = |text: &str, expected: &str| check(logs, text, &[&format!("dead no_schema {expected}")]);
    check(
        "hello",
        "it looks like none of the formats its source may send (csv, space, cef, w3c, logfmt); add a log type for such texts",
    );
    check("x CEF:0|Acme|p", "not cef: the CEF header ends after 3 of its 7 fields, in device_product");
    check("1 2 3 4", "not space: 4 cells, where 5 are expected");
    check("mon,3", "not csv: 2 cells, where 3 are expected");
    check("level=\"x", "not logfmt: the quote opened at byte 6 never closes: \"level=\\\"x\"");
}
