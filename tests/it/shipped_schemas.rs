//! The shipped log types and clusters: every sample line is of exactly its type although all types are candidates, and the
//! JSON Schemas for editors say what the reader of these files says.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::schema::Parser;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};

fn conf(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("conf").join(path)
}

/// Name and text of the JSON files in a folder of conf.
fn texts(folder: &str) -> Vec<(String, String)> {
    let files = std::fs::read_dir(conf(folder)).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    files.filter(|path| path.extension().is_some_and(|end| end == "json")).map(read).collect()
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(conf(path)).unwrap()).unwrap()
}

/// All of `text` is `count` records of one type, exactly.
#[track_caller]
fn check(classifier: &Arc<Classifier>, log_type: &str, count: usize, text: &str) {
    let payload = Payload::new(Arc::new(Source::new("file", "/logs", "/logs/a")), 0, text.as_bytes());
    let classified = classifier.worker().classify(payload);
    let found: Vec<(&str, bool)> =
        classified.batch.records.iter().map(|record| (record.log_type.name.as_str(), record.exact)).collect();
    let dead: Vec<&str> = classified.dead.iter().map(|letter| letter.message.as_str()).collect();
    assert_eq!(found, vec![(log_type, true); count], "{text}\n{dead:?}");
    assert!(dead.is_empty(), "{text}\n{dead:?}");
    assert!(classified.ambiguous.is_empty(), "{:?}", classified.ambiguous);
}

#[test]
fn every_sample_line_is_of_its_type_although_all_are_candidates() {
    let schemas = Arc::new(Schemas::read(&texts("schemas")).unwrap());
    let classifier = Arc::new(Classifier::new(schemas, Arc::new(Clusters::default())));
    let check = |log_type: &str, count: usize, text: &str| check(&classifier, log_type, count, text);
    check(
        "vpcflow:default",
        2,
        r#"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA
"#,
    );
    check(
        "vpcflow:header",
        1,
        r#"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id flow-direction
5 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK vpc-0a1b2c3d ingress
"#,
    );
    check(
        "elb:application",
        2,
        r#"https 2026-11-17T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2026-11-17T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90
http 2026-11-17T22:23:01.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2818 - -1 -1 -1 503 - 34 366 "GET http://www.example.com:80/ HTTP/1.1" "-" - - - "-" "-" "-" 0 2026-11-17T22:22:48.364000Z "forward" "-" "-" "-" "-" "-" "-" -
"#,
    );
    check(
        "elb:network",
        1,
        r#"tls 2.0 2026-11-17T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 - my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com h2 h2 "h2","http/1.1" 2026-11-17T02:59:30
"#,
    );
    check(
        "elb:classic",
        2,
        r#"2026-11-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086 0.001048 0.001337 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2
2026-11-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 "- - - " "-" - -
"#,
    );
    check(
        "s3:access",
        1,
        r#"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Nov/2026:00:00:38 +0000] 192.0.2.3 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be 3E57427F3EXAMPLE REST.GET.VERSIONING - "GET /amzn-s3-demo-bucket1?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 arn:aws:s3:us-west-1:123456789012:accesspoint/example-AP Yes
"#,
    );
    check(
        "cloudfront:access",
        1,
        &r#"#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end
2026-12-04<tab>21:02:31<tab>LAX1<tab>392<tab>192.0.2.100<tab>GET<tab>d111111abcdef8.cloudfront.net<tab>/index.html<tab>200<tab>-<tab>Mozilla/5.0%20(Windows%20NT%2010.0)<tab>-<tab>-<tab>Hit<tab>SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==<tab>d111111abcdef8.cloudfront.net<tab>https<tab>23<tab>0.001<tab>-<tab>TLSv1.2<tab>ECDHE-RSA-AES128-GCM-SHA256<tab>Hit<tab>HTTP/2.0<tab>-<tab>-<tab>11040<tab>0.001<tab>Hit<tab>text/html<tab>78<tab>-<tab>-
"#.replace("<tab>", "\t"),
    );
    check(
        "web:combined",
        2,
        r#"127.0.0.1 - frank [10/Oct/2026:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"
203.0.113.7 - - [10/Oct/2026:13:55:37 +0000] "\x16\x03\x01" 400 157 "-" "-"
"#,
    );
    check("windows:security", 1, WINDOWS_LOGON);
    check("windows:event", 1, &WINDOWS_LOGON.replace(">Security<", ">System<"));
    check(
        "syslog:message",
        3,
        r#"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8
<165>1 2026-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application"] An application event log entry
Oct 11 22:14:15 mymachine sshd[4123]: Failed password for root from 203.0.113.9 port 4242 ssh2
"#,
    );
    check(
        "cef:event",
        2,
        r#"CEF:0|Security|threatmanager|1.0|100|worm successfully stopped|10|src=10.0.0.1 dst=2.1.2.2 spt=1232
<134>Sep 19 08:26:10 fw01 CEF:0|Vendor|Firewall|1.0|100|connection denied|3|act=blocked src=10.0.0.1 dst=2.1.2.2 dpt=22 proto=TCP
"#,
    );
    check(
        "leef:event",
        2,
        &r#"LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=192.0.2.0<tab>dst=172.50.123.1<tab>sev=5<tab>cat=anomaly<tab>srcPort=81<tab>dstPort=21<tab>usrName=joe.black
<13>Sep 18 14:21:11 host1 LEEF:2.0|Lancope|StealthWatch|1.0|41|^|src=192.0.2.0^dst=172.50.123.1^sev=5^cat=anomaly^usrName=joe.black
"#.replace("<tab>", "\t"),
    );
    check(
        "cloudtrail:digest",
        1,
        r#"{"awsAccountId":"111122223333","digestStartTime":"2026-11-17T11:00:00Z","digestEndTime":"2026-11-17T12:00:00Z","digestS3Bucket":"b","digestS3Object":"o","digestPublicKeyFingerprint":"31e8b5433410dfb61a9dc45cc65b22ff","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[]}"#,
    );
}

#[test]
fn what_apps_fetch_is_of_its_type_although_all_are_candidates() {
    let schemas = Arc::new(Schemas::read(&texts("schemas")).unwrap());
    let classifier = Arc::new(Classifier::new(schemas, Arc::new(Clusters::default())));
    let samples = include_str!("shipped_schemas/apps.jsonl").lines();
    let mut count = 0;
    for sample in samples {
        let (log_type, log) = sample.split_once(' ').unwrap();
        check(&classifier, log_type, 1, log);
        count += 1;
    }
    assert!(count >= 16, "{count}");
}

const WINDOWS_LOGON: &str = r#"<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625-5478-4994-A5BA-3E3B0328C30D}"/><EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime="2026-09-08T22:54:54.962511700Z"/><EventRecordID>229977</EventRecordID><Correlation/><Execution ProcessID="516" ThreadID="3240"/><Channel>Security</Channel><Computer>DC01.example.local</Computer><Security/></System><EventData><Data Name="SubjectUserSid">S-1-5-18</Data><Data Name="SubjectUserName">DC01$</Data><Data Name="TargetUserName">Auditor</Data><Data Name="LogonType">2</Data><Data Name="IpAddress">127.0.0.1</Data></EventData></Event>
"#;

#[test]
fn the_json_schemas_take_every_shipped_file() {
    for (folder, schema) in [("schemas", "schema-files.schema.json"), ("clusters", "cluster-files.schema.json")] {
        let schema = json(schema);
        for (file, text) in texts(folder) {
            let faults = faults(&schema, &schema, &serde_json::from_str(&text).unwrap(), "");
            assert!(faults.is_empty(), "{file}: {faults:#?}");
        }
    }
    let clusters = json("cluster-files.schema.json");
    let full = include_str!("../../infra/tests/conf-full/clusters/production.json");
    let faults_of = |text: &str| faults(&clusters, &clusters, &serde_json::from_str(text).unwrap(), "");
    assert_eq!(faults_of(full), [""; 0]);
    // And not everything.
    assert!(!faults_of(r#"{"data_sources": {}, "infrastructure": {"s3": {"logs": {"prefix": "a/"}}}}"#).is_empty());
    let schema = json("schema-files.schema.json");
    for wrong in [
        r#"{"a": {"parser": "xml", "schema": {}}}"#,
        r#"{"a": {"parser": "json", "schema": {"x": "text"}}}"#,
        r#"{"a": {"parser": "json", "schema": {}, "configuration": {"jsonpath": "x"}}}"#,
        r#"{":a": {"parser": "json", "schema": {}}}"#,
        r#"{"a": {"parser": "json", "schema": {}, "configuration": {"ecs": {"a.b": {"path": ["x"], "value": 1}}}}}"#,
    ] {
        assert!(!faults(&schema, &schema, &serde_json::from_str(wrong).unwrap(), "").is_empty(), "{wrong}");
    }
}

#[test]
fn the_json_schemas_know_what_the_reader_knows() {
    let schema = json("schema-files.schema.json");
    let mut options: Vec<&str> = keys(&schema["$defs"]["configuration"]["properties"]);
    options.sort_unstable();
    let file = r#"{"t": {"parser": "json", "schema": {}, "configuration": {"?": 1}}}"#;
    let refused = Schemas::read(&[("f".to_owned(), file.to_owned())]).unwrap_err().to_string();
    // The reader lists what it knows: `a`, `b`, …
    let (_, list) = refused.split_once("expected one of ").unwrap();
    let mut known: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    known.sort_unstable();
    assert_eq!(options, known);

    let parsers = schema["$defs"]["logType"]["properties"]["parser"]["oneOf"].as_array().unwrap();
    let parsers: Vec<&str> = parsers.iter().map(|parser| parser["const"].as_str().unwrap()).collect();
    assert_eq!(parsers, Parser::ALL.map(Parser::name));

    let services = json("cluster-files.schema.json");
    let services = keys(&services["properties"]["data_sources"]["properties"]).join(", ");
    assert_eq!(services, streamalert_pipeline::config::cluster::SERVICES.join(", "));

    use streamalert_pipeline::config::cluster::keys::{CLASSIFIER_KEYS, INFRASTRUCTURE_KEYS, KEYS, QUEUE_KEYS};
    let clusters = json("cluster-files.schema.json");
    assert_eq!(keys(&clusters["properties"]), KEYS);
    assert_eq!(keys(&clusters["properties"]["classifier_config"]["properties"]), CLASSIFIER_KEYS);
    let infrastructure = &clusters["properties"]["infrastructure"]["properties"];
    let known: Vec<&str> = QUEUE_KEYS.into_iter().chain(INFRASTRUCTURE_KEYS.map(|(service, _)| service)).collect();
    assert_eq!(keys(infrastructure), known);
    for (service, known) in INFRASTRUCTURE_KEYS {
        assert_eq!(keys(&infrastructure[service]["additionalProperties"]["properties"]), known, "{service}");
    }
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// What a JSON Schema has against a value: as much of draft 2020-12 as ours use. `root`: where `$ref` points into.
fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let Value::Object(schema) = schema else {
        return if schema == &Value::Bool(false) { vec![format!("{at}: nothing may be here")] } else { Vec::new() };
    };
    schema.iter().flat_map(|(keyword, says)| keyword_faults(root, schema, keyword, says, value, at)).collect()
}

fn keyword_faults(
    root: &Value,
    schema: &Map<String, Value>,
    keyword: &str,
    says: &Value,
    value: &Value,
    at: &str,
) -> Vec<String> {
    let one = |holds: bool| if holds { Vec::new() } else { vec![format!("{at}: {keyword} {says} against {value}")] };
    let fits = |schema: &Value| faults(root, schema, value, at).is_empty();
    let length = |of: Option<usize>, least: bool| {
        let limit = says.as_u64().unwrap() as usize;
        one(of.is_none_or(|length| if least { length >= limit } else { length <= limit }))
    };
    let characters = value.as_str().map(|text| text.chars().count());
    match keyword {
        "$schema" | "title" | "description" | "default" | "$defs" => Vec::new(),
        "$ref" => faults(root, root.pointer(says.as_str().unwrap().trim_start_matches('#')).unwrap(), value, at),
        "const" => one(value == says),
        "enum" => one(says.as_array().unwrap().contains(value)),
        "type" => {
            let is = |name: &Value| match name.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                other => panic!("type {other}"),
            };
            one(says.as_array().map_or_else(|| is(says), |names| names.iter().any(is)))
        }
        "anyOf" => one(says.as_array().unwrap().iter().any(fits)),
        "oneOf" => one(says.as_array().unwrap().iter().filter(|schema| fits(schema)).count() == 1),
        "required" => {
            let has = |name: &Value| value.as_object().is_none_or(|object| object.contains_key(name.as_str().unwrap()));
            one(says.as_array().unwrap().iter().all(has))
        }
        "minLength" => length(characters, true),
        "maxLength" => length(characters, false),
        "minItems" => length(value.as_array().map(Vec::len), true),
        "minProperties" => length(value.as_object().map(Map::len), true),
        "minimum" => one(value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap())),
        "maximum" => one(value.as_f64().is_none_or(|number| number <= says.as_f64().unwrap())),
        "pattern" => {
            let pattern = regex::Regex::new(says.as_str().unwrap()).unwrap();
            one(value.as_str().is_none_or(|text| pattern.is_match(text)))
        }
        "items" => {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.flat_map(|(index, item)| faults(root, says, item, &format!("{at}[{index}]"))).collect()
        }
        "propertyNames" => {
            let names = value.as_object().into_iter().flat_map(Map::keys);
            names.flat_map(|name| faults(root, says, &Value::from(name.as_str()), &format!("{at}.{name}"))).collect()
        }
        "properties" => {
            let known = value
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| Some((name, says.get(name)?, value)));
            known.flat_map(|(name, schema, value)| faults(root, schema, value, &format!("{at}.{name}"))).collect()
        }
        "additionalProperties" => {
            let known = |name: &str| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
            let more = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
            more.flat_map(|(name, value)| faults(root, says, value, &format!("{at}.{name}"))).collect()
        }
        other => panic!("{at}: the keyword {other} is new here"),
    }
}
