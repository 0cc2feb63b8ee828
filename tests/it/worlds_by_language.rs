//! Parsers, publishers and outputs in every language that has them: the same plugin, loaded and asked the same, answers the same.
//!
//! Components are built by `tests/languages.sh build` of the SDKs' folders `worlds`; a language whose tools are not there is
//! skipped, and said so.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use streamalert_egress::{Egress, HostRule, Policy};
use streamalert_packed::Record;
use streamalert_pipeline::plugin::{
    Batch, Blame, Disposition, HttpFailure, HttpRequest, HttpResponse, OutputPlugin, Outside, Parcel, ParsedPart,
    ParserPlugin, PluginError, PluginErrorKind as Kind, PublisherPlugin, RulePlugin,
};
use streamalert_plugins::{
    Host, HostConfig, LoadCheck, OutputComponent, ParserComponent, PluginLimits, PublisherComponent,
};

/// Languages, as their folders are called. AssemblyScript and C have no outputs.
const LANGUAGES: [&str; 7] = ["rust", "go", "tinygo", "assemblyscript", "js", "python", "c"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The component of a world, if it was built.
fn component(language: &str, world: &str) -> Option<Vec<u8>> {
    let path = root().join(format!("target/guests/worlds-{language}/edge_{world}.wasm"));
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {} is not built", path.display());
    }
    bytes
}

/// Keeps compiled code from run to run: Python takes it ten seconds.
fn host(limits: PluginLimits) -> Host {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-worlds"));
    Host::new(HostConfig { limits, cache_dir, ..HostConfig::default() }).unwrap()
}

/// What every language must pass, one after the other: a large component takes much memory while it is compiled.
fn each<T>(world: &str, load: impl Fn(&Host, &[u8]) -> T, check: impl Fn(&str, &T)) {
    each_within(&PluginLimits::default(), world, load, check);
}

fn each_within<T>(limits: &PluginLimits, world: &str, load: impl Fn(&Host, &[u8]) -> T, check: impl Fn(&str, &T)) {
    for language in LANGUAGES {
        if let Some(bytes) = component(language, world) {
            let loaded = load(&host(limits.clone()), &bytes);
            println!("{language}");
            check(language, &loaded);
        }
    }
}

fn parser(host: &Host, bytes: &[u8]) -> Arc<ParserComponent> {
    host.load_parser("edge_parser.wasm", bytes, &LoadCheck::any_log()).unwrap()
}

fn publishers(host: &Host, bytes: &[u8]) -> Arc<PublisherComponent> {
    host.load_publishers("edge_publisher.wasm", bytes, &LoadCheck::any_log()).unwrap()
}

fn output(host: &Host, bytes: &[u8]) -> Arc<OutputComponent> {
    host.load_output("edge_output.wasm", bytes, &LoadCheck::any_log()).unwrap()
}

/// Parts as they are told here: their bytes, and the record or the reason.
fn told(parts: &[ParsedPart]) -> Vec<Value> {
    let outcome = |part: &ParsedPart| match &part.outcome {
        Ok(record) => json!([record.log_type, serde_json::from_str::<Value>(&record.json).unwrap()]),
        Err(reason) => json!(reason),
    };
    parts.iter().map(|part| json!([part.offset, part.length, outcome(part)])).collect()
}

#[test]
fn a_parser_reads_good_lines_and_says_what_is_wrong_with_the_bad_ones() {
    let record =
        |time: i64, user: &str, action: &str| json!(["edge:event", {"time": time, "user": user, "action": action}]);
    let stories: [(&[u8], Vec<Value>); 10] = [
        (b"", vec![]),
        (b"#edge\n\n  \r\n", vec![]),
        (
            b"17|ada|login\r\n18|bob|logout",
            vec![json!([0, 12, record(17, "ada", "login")]), json!([14, 13, record(18, "bob", "logout")])],
        ),
        (
            b"now|ada|login\n1|a\n2|bob|\n",
            vec![
                json!([0, 13, "the time: now is no number"]),
                json!([14, 3, "2 fields instead of 3"]),
                json!([18, 6, record(2, "bob", "")]),
            ],
        ),
        (
            b"9223372036854775807|a|b\n-9223372036854775808|a|b",
            vec![json!([0, 23, record(i64::MAX, "a", "b")]), json!([24, 24, record(i64::MIN, "a", "b")])],
        ),
        ("1|Zoë 日 😀|\"\\\u{1}\n".as_bytes(), vec![json!([0, 19, record(1, "Zoë 日 😀", "\"\\\u{1}")])]),
        (
            b"1|\xff\xfe\xe2\x82|\xc3\xa9\xed\xa0\x80",
            vec![json!([0, 12, record(1, "\u{fffd}\u{fffd}\u{fffd}", "é\u{fffd}\u{fffd}\u{fffd}")])],
        ),
        (b"5|a|twice", vec![json!([0, 9, record(5, "a", "twice")]), json!([0, 9, record(5, "a", "twice")])]),
        (b"raw {\"n\":[1.5,null]}\n", vec![json!([0, 20, ["", {"n": [1.5, null]}]])]),
        (b"1|a|b\nrefuse\n", vec![json!([0, 13, "this payload is refused"])]),
    ];
    each("parser", parser, |language, parser| {
        let info = parser.info();
        assert_eq!((info.name.as_str(), info.sniffs), ("edge", true), "{language}");
        assert_eq!(info.description, "Lines like `time|user|action`; a record for each.", "{language}");
        let types: Vec<String> = parser.schemas().iter().map(|log_type| log_type.name.clone()).collect();
        assert_eq!(types, ["edge:event"], "{language}");
        for (head, expected) in [(&b"#edge"[..], true), (b"# edge", false), (b"", false)] {
            assert_eq!(parser.sniff(head).unwrap(), expected, "{language}: {head:?}");
        }
        for (payload, expected) in &stories {
            let name = String::from_utf8_lossy(payload);
            let parts = parser.parse(payload).unwrap_or_else(|error| panic!("{language}: {name:?}: {error}"));
            assert_eq!(told(&parts), *expected, "{language}: {name:?}");
        }
        let logs: Vec<String> =
            parser.observe(b"log Gr\xc3\xbc\xc3\x9fe").logs.into_iter().map(|line| line.message).collect();
        assert_eq!(logs, ["Grüße"], "{language}");
    });
}

/// Lines as logs have them, and lines so short that what each costs counts most.
#[test]
fn lines_by_the_thousand_are_read_within_the_limits() {
    for line in
        ["1795608000|ada.lovelace@example.com|console login from 198.51.100.7, Zürich\n", "1795608000|ada|log in\n"]
    {
        let payload = line.repeat((256 << 10) / line.len());
        each("parser", parser, |language, parser| {
            let begun = Instant::now();
            let observed = parser.observe(payload.as_bytes());
            let parts = observed.parts.unwrap_or_else(|error| panic!("{language}: {} bytes each: {error}", line.len()));
            let fuel = observed.fuel / payload.len() as u64;
            println!("{language}: {} lines of {}, fuel {fuel} a byte, {:?}", parts.len(), line.len(), begun.elapsed());
            assert_eq!(parts.len(), payload.len() / line.len(), "{language}");
        });
    }
}

fn alert() -> Value {
    json!({
        "id": "3f9c1e0b7a5d4826", "rule_name": "root_login", "title": "Zoë logged in <as root>", "severity": "critical",
        "rule_description": "Somebody logged in as root.", "created": "2026-01-02T03:04:05Z", "event_time": null,
        "cluster": "prod", "log_source": "cloudtrail:events", "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "a.gz"}, "outputs": ["slack:sec"], "publishers": null,
        "merge": null, "dedup_key": "", "tags": ["aws", 1], "references": ["https://example.com"],
        "context": {"account": "1"}, "record": {"n": 9007199254740993_i64, "m": 18446744073709551615_u64, "f": 0.5},
        "staged": true, "fuel": 0,
    })
}

#[test]
fn publishers_shape_an_alert() {
    let publication =
        json!({"title": "t", "record": {"n": 9007199254740993_i64}, "@slack.other": null, "é": ["日", 1.5, {}]});
    each("publisher", publishers, |language, component| {
        let names: Vec<&str> = component.publishers().iter().map(|publisher| publisher.name.as_str()).collect();
        let wanted = ["brief", "seen", "refuse", "loop", "deep", "grow", "fail"].map(|name| format!("edge_{name}"));
        assert_eq!(names, wanted, "{language}");
        assert_eq!(
            component.publishers()[0].description,
            "Without the record, and with a text of one line.",
            "{language}"
        );
        let publish = |number: usize, alert: &Value, output: &str| {
            component.publish(number, &alert.to_string(), &publication.to_string(), output).unwrap()
        };
        let brief = publish(0, &alert(), "slack:sec").unwrap();
        let expected = json!({"title": "t", "@slack.other": null, "é": ["日", 1.5, {}], "@slack.text": "Zoë logged in <as root> (critical)"});
        assert_eq!(Value::Object(brief), expected, "{language}");
        // Without a title an alert goes by its rule.
        let bare = publish(0, &json!({"rule_name": "root_login"}), "slack:sec").unwrap();
        assert_eq!(bare["@slack.text"], "root_login (medium)", "{language}");

        let seen = publish(1, &alert(), "slack:sec:ops").unwrap();
        // Integers of 64 bits come out as they went in, those of the publication too.
        assert_eq!(seen["record"], json!({"n": 9007199254740993_i64}), "{language}");
        let expected = json!({
            "id": "3f9c1e0b7a5d4826", "rule_name": "root_login", "title": "Zoë logged in <as root>", "severity": "critical",
            "description": "Somebody logged in as root.", "created": "2026-01-02T03:04:05Z", "created_at": 1767323045,
            "event_time": null, "cluster": "prod", "log_source": "cloudtrail:events", "service": "s3", "object": "a.gz",
            "context": {"account": "1"}, "record": alert()["record"], "tags": ["aws"],
            "references": ["https://example.com"], "dedup_key": null, "outputs": ["slack:sec"], "staged": true,
            "other": null, "output": "slack and sec:ops",
        });
        assert_eq!(seen["seen"], expected, "{language}");
        // An alert without anything says nothing, and is no fault.
        let nothing = &publish(1, &json!({"tags": 1, "source": null, "severity": "odd"}), "slack:sec").unwrap()["seen"];
        assert_eq!(
            (&nothing["title"], &nothing["severity"], &nothing["tags"]),
            (&json!(""), &json!("medium"), &json!([])),
            "{language}"
        );
        assert_eq!(
            (&nothing["created_at"], &nothing["context"], &nothing["record"]),
            (&Value::Null, &json!({}), &Value::Null),
            "{language}"
        );

        assert_eq!(publish(2, &alert(), "slack:sec").unwrap_err(), "the alert names no rule", "{language}");
    });
}

/// Status, a header or nothing, body: what is answered next.
type Script = Vec<(u16, &'static str, &'static str)>;

/// A service on loopback that answers from a script and remembers what it was sent.
struct Service {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Mutex<Script>>,
}

#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, script) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (all, answers) = (seen.clone(), script.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (all, answers) = (all.clone(), answers.clone());
                std::thread::spawn(move || serve(stream, &all, &answers));
            }
        });
        Service { port, seen, script }
    }

    /// The next answers: status, further headers, body.
    fn answers(&self, script: &[(u16, &'static str, &'static str)]) {
        *self.script.lock().unwrap() = script.iter().rev().copied().collect();
    }

    fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// Requests of one connection.
fn serve(
    mut stream: TcpStream,
    all: &Mutex<Vec<Seen>>,
    script: &Mutex<Vec<(u16, &'static str, &'static str)>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        all.lock().unwrap().push(Seen { line: line.trim_end().into(), headers, body });
        let (status, more, text) = script.lock().unwrap().pop().unwrap_or((599, "", "beyond the script"));
        write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{more}\r\n{text}", text.len()).ok()?;
    }
}

static EGRESS: LazyLock<Egress> = LazyLock::new(|| Egress::new().unwrap());

/// The real way out, with this delivery's secrets.
struct Door {
    policy: Policy,
    secrets: Vec<(String, String)>,
}

impl Outside for Door {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        EGRESS.send(&self.policy, Instant::now() + Duration::from_secs(20), request)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// With the URL as a secret setting; the operator permits this host and private networks.
fn door(port: u16, permitted: u16) -> Arc<dyn Outside> {
    let operator = HostRule::parse(&format!("http://127.0.0.1:{permitted}")).unwrap();
    let secrets =
        vec![("url".into(), format!("http://127.0.0.1:{port}/hook")), ("token".into(), "hunter2-hunter2".into())];
    let hosts = Policy::intersect(&["{url}".to_owned()], &secrets, &[operator]);
    Arc::new(Door { policy: Policy { private_networks: true, ..Policy::new(hosts) }, secrets })
}

fn parcel(title: &str) -> Parcel {
    Parcel {
        descriptor: "soc".into(),
        idempotency_key: "0123456789abcdef".into(),
        attempt: 3,
        now: 1_767_323_045,
        alert: json!({"id": "1", "title": title, "rule_name": "r"}).to_string(),
        publication: json!({"title": title, "@edge.text": "Look!", "b": 1, "record": {"n": 9007199254740993_i64}})
            .to_string(),
        settings: vec![("team".into(), "#cloud".into())],
        progress: None,
    }
}

fn retry(reason: &str, after: Option<u32>, progress: Option<&str>) -> Disposition {
    Disposition::Retry { reason: reason.into(), after, progress: progress.map(str::to_owned) }
}

#[test]
fn an_output_delivers_with_a_secret_and_tells_what_came_of_it() {
    let service = Service::start();
    each("output", output, |language, output| {
        let info = output.info();
        assert_eq!((info.service.as_str(), info.hosts.as_slice()), ("edge", &["{url}".to_owned()][..]), "{language}");
        assert_eq!((info.options.rate, info.options.idempotent), (Some(2.5), true), "{language}");
        let settings: Vec<_> =
            info.settings.iter().map(|s| (s.name.as_str(), s.description.as_str(), s.secret, s.required)).collect();
        let expected = [
            ("url", "Where to ring", true, true),
            ("token", "Who we are", true, false),
            ("team", "Whom to ring", false, false),
        ];
        assert_eq!(settings, expected, "{language}");

        let outside = door(service.port, service.port);
        let deliver = |title: &str, script: &[(u16, &'static str, &'static str)]| {
            service.answers(script);
            let outcome =
                output.deliver(&parcel(title), &outside).unwrap_or_else(|error| panic!("{language}: {title}: {error}"));
            (outcome, service.taken())
        };
        let (outcome, seen) = deliver("Grüße an die Nachtschicht", &[(200, "", "ok")]);
        assert_eq!(outcome, Disposition::Delivered(None), "{language}");
        assert_eq!(seen.len(), 1, "{language}");
        assert_eq!(seen[0].line, "POST /hook?q=a%20b%26%C3%BC HTTP/1.1", "{language}");
        let header = |name: &str| seen[0].headers.get(name).map(String::as_str);
        assert_eq!(
            (header("authorization"), header("content-type")),
            (Some("Bearer hunter2-hunter2"), Some("application/json")),
            "{language}"
        );
        let body: Value = serde_json::from_slice(&seen[0].body).unwrap();
        let expected = json!({
            "text": "Grüße an die Nachts…", "once": "0123456789abcdef", "attempt": 3, "now": 1767323045, "team": "#cloud",
            "magic": "Look!", "shown": ["b", "record", "title"], "output": "edge:soc",
        });
        assert_eq!(body, expected, "{language}");

        for (status, headers, text, expected) in [
            (
                429,
                "retry-after: 30\r\n",
                "slow\u{1b}[2J down\r\n",
                retry("answered 429 Too Many Requests: slow[2J down", Some(30), None),
            ),
            (500, "", "", retry("answered 500 Internal Server Error", None, None)),
            (
                503,
                "date: Wed, 21 Oct 2026 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2026 07:30:00 GMT\r\n",
                "busy",
                retry("answered 503 Service Unavailable: busy", Some(120), None),
            ),
            (404, "", "no such team", Disposition::Reject("answered 404 Not Found: no such team".into())),
            (599, "", " ", retry("answered 599", None, None)),
        ] {
            let (outcome, seen) = deliver("t", &[(status, headers, text)]);
            assert_eq!((outcome, seen.len()), (expected, 1), "{language}: {status}");
        }

        let (outcome, seen) = deliver("in two steps", &[(201, "", r#"{"id": 7}"#), (204, "", "")]);
        assert_eq!(outcome, Disposition::Delivered(Some("case 7".into())), "{language}");
        assert_eq!(
            (seen[1].line.as_str(), seen[1].headers["x-step"].as_str()),
            ("GET /hook/7 HTTP/1.1", "2"),
            "{language}"
        );
        let (outcome, seen) = deliver("in two steps", &[(200, "", r#"{"id": 7}"#), (502, "", "")]);
        assert_eq!((outcome, seen.len()), (retry("answered 502 Bad Gateway", None, None), 2), "{language}");

        assert_eq!(deliver("reject", &[]).0, Disposition::Reject("nobody is on call".into()), "{language}");
        assert_eq!(deliver("not now", &[]).0, retry("nobody is awake", Some(7), Some("+")), "{language}");
        let again = Parcel { progress: Some("+".into()), ..parcel("not now") };
        assert_eq!(
            output.deliver(&again, &outside).unwrap(),
            retry("nobody is awake", Some(7), Some("++")),
            "{language}"
        );
    });
}

#[test]
fn an_output_is_held_to_what_it_may_and_tells_no_secret() {
    let service = Service::start();
    each("output", output, |language, output| {
        // A host that the operator does not name.
        match output.deliver(&parcel("t"), &door(service.port, 1)).unwrap() {
            Disposition::Reject(reason) => assert!(!reason.contains("hunter2"), "{language}: {reason}"),
            other => panic!("{language}: {other:?}"),
        }
        assert!(service.taken().is_empty(), "{language}");
        // Nobody listens there.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match output.deliver(&parcel("t"), &door(nobody, nobody)).unwrap() {
            Disposition::Retry { reason, after: None, progress: None } => assert!(!reason.is_empty(), "{language}"),
            other => panic!("{language}: {other:?}"),
        }
        service.answers(&[(200, "", r#"{"id": 7}"#), (200, "", "")]);
        let observed = output.observe(&parcel("in two steps"), &door(service.port, service.port));
        let lines: Vec<&str> = observed.logs.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(lines, ["the token is ***"], "{language}");
        service.taken();

        let validate = |settings: &[(&str, &str)]| {
            let settings: Vec<_> =
                settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let faults = output.validate(&settings).unwrap();
            faults.into_iter().map(|fault| (fault.setting, fault.message)).collect::<Vec<_>>()
        };
        let fault = |setting: &str, message: &str| vec![(setting.to_owned(), message.to_owned())];
        assert_eq!(validate(&[("url", "https://a.example"), ("team", "#a")]), [], "{language}");
        assert_eq!(validate(&[("url", " "), ("team", "a")]), fault("url", "is required"), "{language}");
        assert_eq!(
            validate(&[("url", "https://a.example"), ("team", "a")]),
            fault("team", "begins with #"),
            "{language}"
        );
        for (url, why) in [
            ("a.example", "it begins with neither https:// nor http://"),
            ("https://a b", "there is a blank or control character in it"),
            ("https://u:p@a", "it holds a user name; credentials have settings of their own"),
            ("https:///a", "its host is no name and no address"),
            ("https://a:0", "its port is no number up to 65535"),
            ("https://a<b", "its host is no name and no address"),
        ] {
            assert_eq!(validate(&[("url", url)]), fault("url", &format!("is no URL: {why}")), "{language}");
        }
        for url in ["HTTP://[2001:DB8::1]:80?a=b", "https://bücher.example", "https://a.example:8443/x?y"] {
            assert_eq!(validate(&[("url", url)]), [], "{language}: {url}");
        }
    });
}

/// However large the machine's load: fuel ends a loop in a second, and nothing may hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Enough that an interpreter gets to the limit of its memory before that of its fuel, and ends a loop within a second.
fn limits() -> PluginLimits {
    PluginLimits {
        fuel_per_call_base: 1_000_000_000,
        delivery_fuel: 1_000_000_000,
        delivery_deadline: Duration::from_secs(30),
        deadline: Duration::from_secs(30),
        parser_memory_bytes: 96 << 20,
        ..PluginLimits::default()
    }
}

/// What ends a word of `misbehave`, by language: its own faults end an interpreter in a trap, after a line in the log.
#[track_caller]
fn contained(language: &str, word: &str, begun: Instant, error: &PluginError) {
    assert!(begun.elapsed() < PATIENCE, "{language}: {word} took {:?}", begun.elapsed());
    println!("{language}: {word}: {error}");
    let kinds: &[Kind] = match word {
        "loop" => &[Kind::OutOfFuel],
        "grow" => &[Kind::OutOfMemory],
        "deep" => &[Kind::Trap, Kind::OutOfFuel],
        _ => &[Kind::Trap],
    };
    assert!(kinds.contains(&error.kind), "{language}: {word}: {error}");
    assert_eq!(error.kind.blame(), Blame::Guest, "{language}: {word}: {error}");
}

const WORDS: [&str; 4] = ["loop", "deep", "grow", "fail"];

#[test]
fn a_parser_that_misbehaves_is_contained() {
    each_within(&limits(), "parser", parser, |language, parser| {
        for word in WORDS {
            let begun = Instant::now();
            let error = parser.parse(format!("1|a|b\n{word}\n").as_bytes()).expect_err(word);
            contained(language, word, begun, &error);
            assert_eq!(parser.parse(b"1|a|b").unwrap().len(), 1, "{language}: after {word}");
        }
    });
}

#[test]
fn publishers_that_misbehave_are_contained() {
    each_within(&limits(), "publisher", publishers, |language, component| {
        for (word, number) in WORDS.iter().zip(3..) {
            let begun = Instant::now();
            let error = component.publish(number, "{}", "{}", "a:b").expect_err(word);
            contained(language, word, begun, &error);
            assert!(component.publish(0, "{}", "{}", "a:b").unwrap().is_ok(), "{language}: after {word}");
        }
    });
}

#[test]
fn an_output_that_misbehaves_is_contained() {
    let service = Service::start();
    each_within(&limits(), "output", output, |language, output| {
        let outside = door(service.port, service.port);
        for word in WORDS {
            let begun = Instant::now();
            let error = output.deliver(&parcel(word), &outside).expect_err(word);
            contained(language, word, begun, &error);
            service.answers(&[(200, "", "")]);
            assert_eq!(
                output.deliver(&parcel("t"), &outside).unwrap(),
                Disposition::Delivered(None),
                "{language}: after {word}"
            );
        }
    });
}

/// Whether the tools of a language are here; says so if not.
fn has_tools(lang: &str) -> bool {
    let tools = |name: &str| root().join("target/toolchains").join(name).is_dir();
    let there = match lang {
        "go" => std::process::Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()),
        "js" | "ts" => tools("js"),
        "assemblyscript" | "c" => tools(lang),
        _ => return crate::python::has_toolchain(),
    };
    if !there {
        println!("skipped: the tools of {lang} are not here");
    }
    there
}

#[track_caller]
fn exits(command: &mut std::process::Command, code: i32) -> String {
    let output = command.env("NO_COLOR", "1").env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{told}");
    told
}

/// The folder's own tests, as its README says.
fn native_test(lang: &str, folder: &Path) -> std::process::Command {
    let sdk = root().join("rule-sdk");
    let (program, arguments): (&str, Vec<String>) = match lang {
        "go" => ("go", vec!["test".into(), "./...".into()]),
        "c" => ("make", vec!["--silent".into(), "--file".into(), "streamalert.mk".into(), "test".into()]),
        "js" | "ts" => ("node", vec![sdk.join("js/bin/streamalert-js.mjs").display().to_string(), "test".into()]),
        "assemblyscript" => {
            ("node", vec![sdk.join("assemblyscript/bin/streamalert-as.mjs").display().to_string(), "test".into()])
        }
        _ => ("python3", vec!["-m".into(), "unittest".into()]),
    };
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(folder).env("PYTHONPATH", sdk.join("python"));
    command
}

#[test]
fn a_new_folder_of_each_world_tests_and_builds_as_it_is() {
    for lang in ["go", "assemblyscript", "js", "ts", "python", "c"] {
        if !has_tools(lang) {
            continue;
        }
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let streamalert = |folder: &Path, arguments: &[&str]| {
            let mut command = crate::python::streamalert(arguments);
            command.current_dir(folder);
            command
        };
        for (kind, name, built) in [
            ("parser", "door-log", "parser door_log  door_log:event"),
            ("publisher", "one-line", "publisher one_line"),
            ("output", "door-bell", "output door-bell  {url}"),
        ] {
            let new = ["new", kind, name, "--lang", lang];
            if ["assemblyscript", "c"].contains(&lang) && kind == "output" {
                let told = exits(&mut streamalert(place.path(), &new), 2);
                assert!(told.contains(&format!("no output can be begun in {lang}")), "{told}");
                assert!(!place.path().join(name).exists());
                continue;
            }
            exits(&mut streamalert(place.path(), &new), 0);
            let folder = place.path().join(name);
            exits(&mut native_test(lang, &folder), 0);
            // Python takes half a minute for each component; one shows that the way is there.
            if lang == "python" && kind != "parser" {
                continue;
            }
            let told = exits(&mut streamalert(&folder, &["build"]), 0);
            assert!(told.contains(built), "{lang}: `{built}` is not in:\n{told}");
            if kind == "parser" {
                let told = exits(&mut streamalert(&folder, &["test", "--no-build", "--config", &config()]), 0);
                assert!(told.contains("2 passed"), "{lang}: {told}");
            }
        }
    }
}

/// The shipped configuration.
fn config() -> String {
    root().join("conf").display().to_string()
}

#[test]
fn what_a_package_is_must_be_what_it_declares() {
    if !has_tools("js") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let build = |manifest: Value, source: &str| {
        std::fs::create_dir_all(place.path().join("src")).unwrap();
        std::fs::write(place.path().join("package.json"), manifest.to_string()).unwrap();
        std::fs::write(place.path().join("src/index.js"), source).unwrap();
        let mut node = std::process::Command::new("node");
        node.arg(root().join("rule-sdk/js/bin/streamalert-js.mjs")).arg("build").arg(place.path());
        exits(&mut node, 1)
    };
    let world = |world: &str| json!({"name": "x", "streamalert": {"world": world}});
    let rule = r#"import { rule } from "streamalert-js"; rule({ name: "r", logs: "a" }, () => true);"#;
    let parser = r#"import { parser } from "streamalert-js"; parser({ name: "p", schemas: {} }, () => []);"#;
    for (manifest, source, says) in [
        (
            json!({"name": "x"}),
            parser,
            "declares no rule; one of a parser, publishers or an output says in package.json",
        ),
        (world("parser"), rule, "declares one parser; this one declares none"),
        (world("publisher"), rule, "declares publishers; this one has none"),
        (world("output"), rule, "declares one output; this one declares none"),
        (world("parser"), &format!("{parser}\n{}", &parser[parser.find(';').unwrap() + 1..]), "this one declares p, p"),
    ] {
        let told = build(manifest, source);
        assert!(told.contains(says), "`{says}` is not in:\n{told}");
    }
}

/// With the fuel of a batch an interpreter is ended before it has used its memory; with more it is the memory that ends it.
#[test]
fn a_rule_that_allocates_without_end_comes_to_the_limit_of_memory() {
    let limits = PluginLimits {
        fuel_per_call_base: 4_000_000_000,
        deadline: Duration::from_secs(60),
        ..PluginLimits::default()
    };
    for language in LANGUAGES {
        let path = root().join(format!("target/guests/conformance-{language}/conformance.wasm"));
        let Ok(bytes) = std::fs::read(&path) else {
            println!("skipped: {} is not built", path.display());
            continue;
        };
        let component = host(limits.clone()).load("conformance.wasm", &bytes, &LoadCheck::any_log()).unwrap();
        let number = component.rules().iter().position(|rule| rule.name == "edge_trap").unwrap();
        let mut packed = Vec::new();
        streamalert_packed::Builder::json(&mut packed, &json!({"mode": "alloc"}));
        // SAFETY: just built.
        let batch = Arc::new(Batch::new(1, [unsafe { Record::trusted(&packed) }].into_iter()));
        let begun = Instant::now();
        let error = component.open(&batch).evaluate(number, &[0]).expect_err(language);
        contained(language, "grow", begun, &error);
    }
}
