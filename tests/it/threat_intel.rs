//! Threat intelligence: feeds as their services give them, breaking off everywhere, and what becomes of records.

mod in_trouble;

use crate::installation::{Installation, by_queue, failed, invoke};
use crate::run_world::{Dice, EVERY_ROW, Guest, World};
use crate::standins;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Output;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use streamalert_aws::ioc_table::{self, DynamoIocs};
use streamalert_egress::Egress;
use streamalert_intel::Downloader;
use streamalert_intel::download::{Outcome, secret_name};
use streamalert_local::ioc_table::SqliteIocs;
use streamalert_local::secrets::SecretFile;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::ThreatIntelConfig;
use streamalert_pipeline::config::threat_intel::SourceConfig;
use streamalert_pipeline::threat_intel::{Found, Ioc, IocFilter, IocTable, SourceState};
use streamalert_pipeline::time::Millis;

/// A request: path, query by name, headers by name in lower case.
struct Asked {
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

struct Said(u16, Vec<(&'static str, String)>, Vec<u8>);

impl Said {
    fn json(value: &Value) -> Said {
        Said(200, vec![], value.to_string().into_bytes())
    }
}

/// A server of feeds on this machine.
struct Server {
    url: String,
    requests: Arc<AtomicU64>,
}

impl Server {
    fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicU64::new(0));
        let (answer, count) = (Arc::new(answer), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, count) = (answer.clone(), count.clone());
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut stream = stream;
                    loop {
                        let mut lines = Vec::new();
                        loop {
                            let mut line = String::new();
                            match reader.read_line(&mut line) {
                                Ok(0) | Err(_) => return,
                                Ok(_) if line.trim().is_empty() => break,
                                Ok(_) => lines.push(line.trim().to_owned()),
                            }
                        }
                        count.fetch_add(1, Ordering::SeqCst);
                        let target = lines[0].split(' ').nth(1).unwrap().to_owned();
                        let url = url_parts(&target);
                        let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
                        let headers =
                            headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
                        let Said(status, more, body) = answer(&Asked { path: url.0, query: url.1, headers });
                        let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                        more.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
                        // In one piece: the kernel holds a second one back until the first is acknowledged.
                        if stream.write_all(&[(head + "\r\n").into_bytes(), body].concat()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Server { url, requests }
    }
}

fn url_parts(target: &str) -> (String, BTreeMap<String, String>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decode = |text: &str| {
        let bytes = text.replace('+', " ").into_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            match bytes[at] {
                b'%' => {
                    let digits = std::str::from_utf8(&bytes[at + 1..at + 3]).unwrap();
                    out.push(u8::from_str_radix(digits, 16).unwrap());
                    at += 3;
                }
                byte => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        String::from_utf8(out).unwrap()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    (path.to_owned(), pairs.map(|(name, value)| (decode(name), decode(value))).collect())
}

fn source(config: Value) -> SourceConfig {
    let text = json!({"sources": {"s": config}}).to_string();
    ThreatIntelConfig::read("threat_intel.json", &text).unwrap_or_else(|faults| panic!("{faults}")).sources["s"].clone()
}

/// 2026-01-02.
const NOW: Millis = 1_767_312_000_000;

fn fixed() -> Millis {
    NOW
}

fn no_secrets() -> Arc<dyn SecretStore> {
    Arc::new(SecretFile::new(std::env::temp_dir().join("streamalert-there-are-none.json"), std::iter::empty()))
}

fn downloader(table: Arc<dyn IocTable>, clock: fn() -> Millis) -> Downloader {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let owner = format!("owner-{}", COUNT.fetch_add(1, Ordering::SeqCst));
    Downloader { egress: Arc::new(Egress::new().unwrap()), table, secrets: no_secrets(), clock, owner }
}

fn until() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

fn sqlite() -> (tempfile::TempDir, Arc<SqliteIocs>) {
    let folder = tempfile::tempdir().unwrap();
    let table = Arc::new(SqliteIocs::open(&folder.path().join("iocs.sqlite")).unwrap());
    (folder, table)
}

fn values(table: &dyn IocTable) -> BTreeSet<String> {
    table.list(&IocFilter::default(), None, 1_000_000).unwrap().into_iter().map(|ioc| ioc.value).collect()
}

fn indicator(number: u64, more: Value) -> Value {
    let mut object = json!({
        "type": "indicator", "spec_version": "2.1", "id": format!("indicator--{number}"), "pattern_type": "stix",
        "pattern": format!("[ipv4-addr:value = '10.0.{}.{}']", number / 250, number % 250),
        "modified": "2026-01-01T00:00:00Z", "indicator_types": ["malicious-activity"],
    });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn ip(number: u64) -> String {
    format!("10.0.{}.{}", number / 250, number % 250)
}

/// A TAXII collection of so many indicators, `per` on a page, that counts by its own word; number 7 is revoked at last.
fn taxii(count: u64, per: u64, moody: bool) -> Server {
    let turns = AtomicU64::new(0);
    Server::new(move |asked| {
        assert_eq!(asked.path, "/api1/collections/c1/objects/");
        assert_eq!(asked.headers["accept"], "application/taxii+json;version=2.1");
        assert_eq!(asked.query["match[type]"], "indicator");
        let turn = turns.fetch_add(1, Ordering::SeqCst);
        if moody && turn % 5 == 1 {
            return Said(429, vec![("retry-after", "0".into())], vec![]);
        }
        if moody && turn % 7 == 3 {
            return Said(503, vec![], b"away".to_vec());
        }
        // Times are numbers of seconds after midnight.
        let stamp =
            |number: u64| format!("2026-01-01T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60);
        let after = asked.query.get("added_after");
        let known = after.map_or(0, |after| (0..=count).filter(|n| stamp(*n) <= *after).count() as u64);
        let from = asked.query.get("next").map_or(known, |next| next.strip_prefix("page-").unwrap().parse().unwrap());
        let end = (from + per).min(count + 1);
        let objects: Vec<Value> = (from..end)
            .map(|number| match number == count {
                true => indicator(7, json!({"revoked": true, "modified": "2026-01-01T12:00:00Z"})),
                false => indicator(number, json!({"valid_until": "2027-01-01T00:00:00Z"})),
            })
            .collect();
        let more = end < count + 1;
        let mut envelope = json!({"more": more, "objects": objects});
        if more {
            envelope["next"] = format!("page-{end}").into();
        }
        let mut said = Said::json(&envelope);
        if end > from {
            said.1.push(("X-TAXII-Date-Added-Last", stamp(end - 1)));
        }
        said
    })
}

fn taxii_source(server: &Server) -> SourceConfig {
    source(
        json!({"type": "taxii", "url": format!("{}/api1", server.url), "collection": "c1", "private_networks": true, "schedule": "1h"}),
    )
}

#[test]
fn a_taxii_collection_is_read_page_by_page_and_then_only_what_is_new() {
    let server = taxii(23, 5, true);
    let (_folder, table) = sqlite();
    let downloader = downloader(table.clone(), fixed);
    let config = taxii_source(&server);
    let told = downloader.refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.removed, told.pages), (Outcome::Finished, 23, 1, 5), "{told:?}");
    let expected: BTreeSet<String> = (0..23).filter(|n| *n != 7).map(ip).collect();
    assert_eq!(values(&*table), expected);
    let one = table.find(&["10.0.0.3".into()], NOW).unwrap()["10.0.0.3"][0].clone();
    assert_eq!(
        (one.sub_type.as_str(), one.source.as_str(), one.reference.as_deref()),
        ("malicious-activity", "s", Some("indicator--3"))
    );
    assert_eq!(one.expires, 1_798_761_600_000);
    // Not before its time; and then there is nothing new.
    assert_eq!(downloader.refresh("s", &config, false, until(), &|| false).unwrap().outcome, Outcome::NotDue);
    let before = server.requests.load(Ordering::SeqCst);
    let mut later = downloader;
    later.clock = || NOW + 3_700_000;
    let told = later.refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.pages), (Outcome::Finished, 0, 1), "{told:?}");
    assert!(server.requests.load(Ordering::SeqCst) - before <= 4);
    assert_eq!(values(&*table), expected);
    // What was taken out by hand comes back when all of it is asked for.
    assert_eq!(table.remove("s", &[ip(3)]).unwrap(), 1);
    let told = later.refresh("s", &config, true, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.pages), (Outcome::Finished, 5), "{told:?}");
    assert_eq!(values(&*table), expected);
}

static AT: AtomicI64 = AtomicI64::new(NOW);

/// Which collection has which objects, each with the second in which it was added.
type Collections = Arc<Mutex<BTreeMap<&'static str, Vec<(u32, Value)>>>>;

fn collections(all: Collections) -> Server {
    Server::new(move |asked| {
        let id = asked.path.split('/').nth(3).unwrap();
        let stamp = |second: u32| format!("2026-01-01T00:00:{second:02}Z");
        let all = all.lock().unwrap();
        let after = asked.query.get("added_after");
        let new = all[id].iter().filter(|(second, _)| after.is_none_or(|after| stamp(*second) > *after));
        let new: Vec<_> = new.collect();
        let mut said = Said::json(&json!({"objects": new.iter().map(|(_, object)| object).collect::<Vec<_>>()}));
        said.1.extend(new.last().map(|(second, _)| ("X-TAXII-Date-Added-Last", stamp(*second))));
        said
    })
}

#[test]
fn what_a_collection_says_counts_and_what_it_said_does_not() {
    let of = |id: &str, value: &str, modified: u32, more: Value| {
        let mut object = json!({"type": "indicator", "id": id, "pattern": format!("[domain-name:value = '{value}']"),
            "created": "2025-01-01T00:00:00Z", "modified": format!("2026-01-01T00:00:{modified:02}Z")});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let first = vec![
        (1, of("a", "shared.com", 1, json!({}))),
        (2, of("b", "shared.com", 2, json!({}))),
        (3, of("c", "before.com", 3, json!({}))),
        (4, of("d", "stays.com", 4, json!({}))),
    ];
    let all: Collections =
        Arc::new(Mutex::new(BTreeMap::from([("c1", first), ("c2", vec![(1, of("x", "other.com", 1, json!({})))])])));
    let server = collections(all.clone());
    let config = |id: &str| {
        source(json!({"type": "taxii", "url": format!("{}/api1", server.url), "collection": id,
            "private_networks": true, "schedule": "1h", "expires_days": 10}))
    };
    let (_folder, table) = sqlite();
    let downloader = downloader(table.clone(), || AT.load(Ordering::SeqCst));
    let refresh = |id: &str| {
        AT.fetch_add(3_600_000, Ordering::SeqCst);
        let told = downloader.refresh("s", &config(id), false, until(), &|| false).unwrap();
        assert_eq!(told.outcome, Outcome::Finished, "{told:?}");
        values(&*table).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(refresh("c1"), ["before.com", "shared.com", "stays.com"]);
    // One of two that name the same value is revoked; another one names something else now.
    all.lock()
        .unwrap()
        .get_mut("c1")
        .unwrap()
        .extend([(5, of("b", "shared.com", 5, json!({"revoked": true}))), (6, of("c", "after.com", 6, json!({})))]);
    assert_eq!(refresh("c1"), ["after.com", "shared.com", "stays.com"]);
    let shared = table.find(&["shared.com".into()], AT.load(Ordering::SeqCst)).unwrap()["shared.com"][0].clone();
    assert_eq!(shared.reference.as_deref(), Some("a"));
    all.lock().unwrap().get_mut("c1").unwrap().push((7, of("a", "shared.com", 7, json!({"revoked": true}))));
    assert_eq!(refresh("c1"), ["after.com", "stays.com"]);
    // What the collection still has is read again before it expires, and what it dropped leaves.
    all.lock().unwrap().get_mut("c1").unwrap().retain(|(_, object)| object["id"] != "c");
    assert_eq!(refresh("c1"), ["after.com", "stays.com"], "only what is new is asked for");
    AT.fetch_add(6 * 86_400_000, Ordering::SeqCst);
    assert_eq!(refresh("c1"), ["stays.com"]);
    AT.fetch_add(6 * 86_400_000, Ordering::SeqCst);
    assert_eq!(refresh("c1"), ["stays.com"]);
    let known = table.find(&["stays.com".into()], AT.load(Ordering::SeqCst) + 9 * 86_400_000).unwrap();
    assert_eq!(known.len(), 1, "it counts from its last reading on");
    // Another collection is read from its beginning, at once, and nothing is left of the old one.
    let told = downloader.refresh("s", &config("c2"), false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 1, 1), "{told:?}");
    assert_eq!(values(&*table), ["other.com".to_owned()].into());
}

#[test]
fn a_table_that_is_never_twice_the_same_is_fetched_once_and_stored_whole() {
    let fetched = Arc::new(AtomicU64::new(0));
    let server = {
        let fetched = fetched.clone();
        Server::new(move |_| {
            let turn = fetched.fetch_add(1, Ordering::SeqCst);
            let rows: String = (0..12_000).map(|n: u64| format!("{}\n", ip(n))).collect();
            Said(200, vec![], format!("# generated at {turn}\nip\n{rows}").into_bytes())
        })
    };
    let config = source(
        json!({"type": "csv", "url": server.url, "private_networks": true, "csv": {"value": "ip", "type": "ip"}}),
    );
    let (_folder, table) = sqlite();
    let told = downloader(table.clone(), fixed).refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.pages), (Outcome::Finished, 12_000, 3), "{told:?}");
    assert_eq!((values(&*table).len(), fetched.load(Ordering::SeqCst)), (12_000, 1));
    // Whoever dies after each part gets through all the same: two calls for the beginning, two for each part.
    let (_folder, table) = sqlite();
    for turn in 0..3_i64 {
        let dying = Arc::new(Dying { table: table.clone(), left: AtomicI64::new(5) });
        let clock: [fn() -> Millis; 4] = [fixed, || NOW + 400_000, || NOW + 800_000, || NOW + 1_200_000];
        let told = downloader(dying, clock[turn as usize]).refresh("s", &config, false, until(), &|| false);
        assert!(told.is_err() || turn == 2, "{turn}: {told:?}");
    }
    let told = downloader(table.clone(), || NOW + 1_200_000).refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, values(&*table).len()), (Outcome::Finished, 12_000), "{told:?}");
    // It was read from several texts: next time it is read again.
    assert!(table.state("s").unwrap().since.is_none_or(|since| since["digest"].is_null()));
}

#[test]
fn an_answer_that_is_no_feed_takes_nothing_away() {
    let content = Arc::new(Mutex::new("a.com\nb.com\n".to_owned()));
    let server = {
        let content = content.clone();
        Server::new(move |_| Said(200, vec![], content.lock().unwrap().clone().into_bytes()))
    };
    let config = |more: Value| {
        let mut config = json!({"type": "csv", "url": server.url, "private_networks": true,
            "csv": {"header": false, "value": 0, "type": "domain"}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source(config)
    };
    let (_folder, table) = sqlite();
    let downloader = downloader(table.clone(), fixed);
    let refresh = |more: Value, force: bool| downloader.refresh("s", &config(more), force, until(), &|| false).unwrap();
    assert_eq!(refresh(json!({}), false).taken, 2);
    for text in ["<html><body>Please sign in</body></html>", "", "Forbidden", r#"{"error": 1}"#, "a.com,\"x\nb.com\n"] {
        text.clone_into(&mut content.lock().unwrap());
        let told = refresh(json!({}), true);
        assert_eq!((told.outcome, values(&*table).len()), (Outcome::Failed, 2), "{text}: {told:?}");
    }
    // The same text is read in another way when the configuration wants it so: at once.
    "a.com\nb.com,c.com\n".clone_into(&mut content.lock().unwrap());
    assert_eq!(refresh(json!({}), true).taken, 2);
    assert_eq!(refresh(json!({}), false).outcome, Outcome::NotDue);
    let told = refresh(json!({"csv": {"header": false, "value": 1, "type": "domain"}}), false);
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 1, 2), "{told:?}");
    let told = refresh(json!({"types": ["ip"]}), false);
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 0, 1), "{told:?}");
}

#[test]
fn an_event_that_cannot_be_read_holds_up_no_other() {
    let broken = Arc::new(Mutex::new(Vec::<(&str, u16, &str)>::new()));
    let server = {
        let broken = broken.clone();
        Server::new(move |asked| {
            if asked.path == "/manifest.json" {
                return Said::json(&json!({"a-1": {}, "b-2": {}, "c-3": {}}));
            }
            let uuid = asked.path.trim_start_matches('/').trim_end_matches(".json");
            if let Some((_, status, text)) = broken.lock().unwrap().iter().find(|(of, ..)| *of == uuid) {
                return Said(*status, vec![("retry-after", "0".into())], text.as_bytes().to_vec());
            }
            let attribute = json!({"type": "domain", "value": format!("{uuid}.com"), "to_ids": true});
            Said::json(&json!({"Event": {"info": "x", "Attribute": [attribute]}}))
        })
    };
    let config = source(json!({"type": "misp", "url": server.url, "private_networks": true}));
    let all: BTreeSet<String> = ["a-1.com", "b-2.com", "c-3.com"].map(str::to_owned).into();
    for (status, text) in [(200, "{ not json"), (200, "{\"error\": 1}"), (403, ""), (500, "")] {
        let (_folder, table) = sqlite();
        let downloader = downloader(table.clone(), fixed);
        let refresh = || downloader.refresh("s", &config, true, until(), &|| false).unwrap();
        *broken.lock().unwrap() = vec![("b-2", status, text)];
        let told = refresh();
        assert_eq!((told.outcome, told.taken), (Outcome::Finished, 2), "{status} {text}: {told:?}");
        assert_eq!(told.left_out.values().sum::<u64>(), 1, "{told:?}");
        broken.lock().unwrap().clear();
        assert_eq!(refresh().taken, 3);
        assert_eq!(values(&*table), all);
        // What it gave before stays.
        *broken.lock().unwrap() = vec![("b-2", status, text)];
        let told = refresh();
        assert_eq!((told.outcome, told.removed), (Outcome::Finished, 0), "{status} {text}: {told:?}");
        assert_eq!(values(&*table), all);
        // When there is nothing to be read at all, it is the feed that is broken.
        if status != 500 {
            *broken.lock().unwrap() = ["a-1", "b-2", "c-3"].map(|uuid| (uuid, status, text)).into();
            assert_eq!((refresh().outcome, values(&*table).len()), (Outcome::Failed, 3));
        }
    }
}

#[test]
fn a_source_that_hangs_holds_up_no_other() {
    let hanging = Server::new(|_| {
        std::thread::sleep(Duration::from_secs(30));
        Said(200, vec![], b"ip\n192.0.2.1\n".to_vec())
    });
    let good = Server::new(|_| Said(200, vec![], b"ip\n192.0.2.2\n".to_vec()));
    let config = |server: &Server| json!({"type": "csv", "url": server.url, "private_networks": true, "csv": {"value": "ip", "type": "ip"}});
    let (_folder, table) = sqlite();
    let (slow, fast) = (source(config(&hanging)), source(config(&good)));
    let mut told = Vec::new();
    let until = Instant::now() + Duration::from_secs(8);
    downloader(table.clone(), fixed).refresh_all(&[("a", &slow), ("b", &fast)], false, until, |name, of| {
        told.push((name.to_owned(), of.unwrap().outcome));
    });
    assert_eq!(told, [("b".to_owned(), Outcome::Finished), ("a".to_owned(), Outcome::Failed)]);
    // And so in a run.
    let world = World::new();
    let config = json!({"enabled": true, "normalized_ioc_types": {"ip": ["ip"]},
        "sources": {"a": config(&hanging), "b": config(&good)}});
    world.write("conf/threat_intel.json", config.to_string());
    world.write("inbox/x.json", "");
    let running = world.start(&["run", "--watch", "inbox"]);
    let since = Instant::now();
    loop {
        let found = SqliteIocs::open(&world.at("data/threat_intel.sqlite")).map(|table| values(&table));
        if found.is_ok_and(|values| values.contains("192.0.2.2")) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "the good source waits for the other");
        std::thread::sleep(Duration::from_millis(100));
    }
    running.kill();
}

/// A table that is gone from its nth call on: what was done up to then stays, as when a process is killed.
struct Dying {
    table: Arc<dyn IocTable>,
    left: AtomicI64,
}

impl Dying {
    fn call(&self) -> Result<(), BackendError> {
        match self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            true => Ok(()),
            false => Err(BackendError { kind: BackendErrorKind::Other, action: "killed".into(), source: None }),
        }
    }
}

impl IocTable for Dying {
    fn find(&self, values: &[String], now: Millis) -> Result<Found, BackendError> {
        self.call().and_then(|()| self.table.find(values, now))
    }
    fn put(&self, iocs: &[Ioc], pass: u64) -> Result<(), BackendError> {
        // It may be over in the middle of a write.
        if self.left.load(Ordering::SeqCst) == 1 {
            self.table.put(&iocs[..iocs.len() / 2], pass)?;
        }
        self.call().and_then(|()| self.table.put(iocs, pass))
    }
    fn join(&self, iocs: &[Ioc], pass: u64, since: u64) -> Result<(), BackendError> {
        if self.left.load(Ordering::SeqCst) == 1 {
            self.table.join(&iocs[..iocs.len() / 2], pass, since)?;
        }
        self.call().and_then(|()| self.table.join(iocs, pass, since))
    }
    fn revise(
        &self,
        source: &str,
        named: &BTreeMap<String, BTreeSet<String>>,
        among: Option<&BTreeSet<String>>,
    ) -> Result<u64, BackendError> {
        self.call().and_then(|()| self.table.revise(source, named, among))
    }
    fn remove(&self, source: &str, values: &[String]) -> Result<u64, BackendError> {
        self.call().and_then(|()| self.table.remove(source, values))
    }
    fn sweep(&self, source: &str, pass: u64, spared: &BTreeSet<String>) -> Result<u64, BackendError> {
        self.call().and_then(|()| self.table.sweep(source, pass, spared))
    }
    fn list(&self, filter: &IocFilter, after: Option<&str>, limit: usize) -> Result<Vec<Ioc>, BackendError> {
        self.table.list(filter, after, limit)
    }
    fn counts(&self) -> Result<BTreeMap<String, u64>, BackendError> {
        self.table.counts()
    }
    fn expire(&self, now: Millis) -> Result<u64, BackendError> {
        self.call().and_then(|()| self.table.expire(now))
    }
    fn state(&self, source: &str) -> Result<SourceState, BackendError> {
        self.call().and_then(|()| self.table.state(source))
    }
    fn set_state(&self, source: &str, state: &mut SourceState) -> Result<(), BackendError> {
        // The write may be through, and nobody told.
        if self.left.load(Ordering::SeqCst) == 1 {
            self.table.set_state(source, &mut state.clone())?;
        }
        self.call().and_then(|()| self.table.set_state(source, state))
    }
}

static CRASHES: AtomicI64 = AtomicI64::new(NOW);

fn crash_clock() -> Millis {
    CRASHES.load(Ordering::SeqCst)
}

#[test]
fn whoever_dies_at_any_of_a_hundred_moments_another_goes_on_and_nothing_is_lost() {
    let server = taxii(60, 4, false);
    let gone = Arc::new(Mutex::new(false));
    let csv = {
        let gone = gone.clone();
        Server::new(move |_| {
            let first = if *gone.lock().unwrap() { 30 } else { 0 };
            let rows: String = (first..12_030).map(|n: u64| format!("{}\n", ip(n))).collect();
            Said(200, vec![], format!("ip\n{rows}").into_bytes())
        })
    };
    let table_config =
        json!({"type": "csv", "url": csv.url, "private_networks": true, "csv": {"value": "ip", "type": "ip"}});
    let sources = [("s", taxii_source(&server)), ("table", source(table_config))];
    let mut dice = Dice::new();
    for round in 0..100 {
        // Three dozen calls each, so that every place has its turn.
        let (name, config) = &sources[usize::from(round % 8 == 0)];
        let (_folder, table) = sqlite();
        *gone.lock().unwrap() = false;
        if *name == "table" {
            let first = downloader(table.clone(), crash_clock);
            assert_eq!(first.refresh(name, config, true, until(), &|| false).unwrap().outcome, Outcome::Finished);
            *gone.lock().unwrap() = true;
            CRASHES.fetch_add(2 * 86_400_000, Ordering::SeqCst);
        }
        let mut deaths = 0;
        let finished = loop {
            let left = if deaths < 6 { dice.below(if *name == "table" { 9 } else { 40 }) as i64 + 1 } else { i64::MAX };
            let dying = Arc::new(Dying { table: table.clone(), left: AtomicI64::new(left) });
            let told = downloader(dying, crash_clock).refresh(name, config, false, until(), &|| false);
            match told {
                Ok(told) if told.outcome == Outcome::Finished => break told,
                // The dead one's lease.
                Ok(told) if told.outcome == Outcome::Busy => drop(CRASHES.fetch_add(400_000, Ordering::SeqCst)),
                // It was over when the last word was written.
                Ok(told) if told.outcome == Outcome::NotDue => break told,
                Ok(told) => panic!("{told:?}"),
                Err(_) => deaths += 1,
            }
        };
        let expected: BTreeSet<String> = match *name {
            "table" => (30..12_030).map(ip).collect(),
            _ => (0..60).filter(|n| *n != 7).map(ip).collect(),
        };
        assert_eq!(values(&*table), expected, "round {round} after {deaths} deaths: {finished:?}");
        assert!(table.state(name).unwrap().cursor.is_none());
    }
}

#[test]
fn a_run_that_is_killed_while_it_fetches_goes_on_where_it_was() {
    let server = taxii(400, 4, false);
    let world = World::new();
    let config = json!({"enabled": true, "normalized_ioc_types": {"ip": ["ip"]}, "sources": {"s": {
        "type": "taxii", "url": format!("{}/api1/collections/c1", server.url), "private_networks": true,
    }}});
    world.write("conf/threat_intel.json", config.to_string());
    let mut dice = Dice::new();
    for _ in 0..8 {
        let running = world.start(&["threat-intel", "refresh", "--force"]);
        std::thread::sleep(Duration::from_millis(60 + dice.below(250)));
        running.kill();
    }
    let (out, _) = exits(world.streamalert(&["threat-intel", "refresh", "--force", "--output", "json"]), 0);
    assert!(out.contains("\"finished\""), "{out}");
    let table = SqliteIocs::open(&world.at("data/threat_intel.sqlite")).unwrap();
    assert_eq!(values(&table), (0..400).filter(|n| *n != 7).map(ip).collect());
    let (out, _) = exits(world.streamalert(&["threat-intel", "status"]), 0);
    assert!(out.contains("s ") && out.contains("399 indicators"), "{out}");
    for misspelt in [&["list"][..], &["get", "1.2.3.4"], &["remove", "1.2.3.4"], &["status"]] {
        let (_, told) = exits(world.streamalert(&[&["threat-intel", "--data", "dta"], misspelt].concat()), 2);
        assert!(told.contains("there is no data folder dta") && !world.at("dta").exists(), "{told}");
    }
}

#[test]
fn tables_of_values_say_what_is_gone_and_what_has_not_changed() {
    let content = Arc::new(Mutex::new(String::new()));
    let server = {
        let content = content.clone();
        Server::new(move |asked| {
            assert_eq!(asked.headers["authorization"], "Bearer t0p");
            let text = content.lock().unwrap().clone();
            let etag = format!("\"{}\"", text.len());
            match asked.headers.get("if-none-match") == Some(&etag) {
                true => Said(304, vec![], vec![]),
                false => Said(200, vec![("ETag", etag)], text.into_bytes()),
            }
        })
    };
    let config = source(json!({
        "type": "csv", "url": format!("{}/feed.csv?key=1", server.url), "private_networks": true, "auth": "bearer",
        "confidence_min": 50, "sub_type": "scanner", "csv": {
            "header": false, "delimiter": ";", "value": 0, "type_column": 1, "expires": 2, "confidence": 3
        },
    }));
    *content.lock().unwrap() = "# a comment\n192.0.2.7;ip;;90\nEvil.COM;domain;2027-01-01;\n198.51.100.0/24;ip;;\nold.com;domain;2020-01-01 00:00:00;\nlow.com;domain;;10\nnot an ip;ip;;\n;ip;;\n".into();
    let (folder, table) = sqlite();
    let secrets = Arc::new(SecretFile::new(folder.path().join("secrets.json"), std::iter::empty()));
    let mut downloader = downloader(table.clone(), fixed);
    // Without its credentials it says what to do, and nothing is asked.
    let told = downloader.refresh("s", &config, false, until(), &|| false).unwrap();
    assert!(told.outcome == Outcome::Failed && told.error.unwrap().contains("update-auth"));
    secrets.put(&secret_name("s"), &BTreeMap::from([("token".to_owned(), "t0p".to_owned())])).unwrap();
    downloader.secrets = secrets;
    let told = downloader.refresh("s", &config, true, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken), (Outcome::Finished, 3), "{told:?}");
    assert_eq!(told.left_out.values().sum::<u64>(), 4, "{:?}", told.left_out);
    let network: BTreeSet<String> = ["192.0.2.7", "evil.com", "198.51.100.0/24"].map(str::to_owned).into();
    assert_eq!(values(&*table), network);
    let found = table.find(&["198.51.100.9".into()], NOW).unwrap();
    assert_eq!(
        (found["198.51.100.9"][0].value.as_str(), found["198.51.100.9"][0].sub_type.as_str()),
        ("198.51.100.0/24", "scanner")
    );
    // What is added by hand, or by another source, is not theirs to take.
    let mine = Ioc {
        value: "192.0.2.7".into(),
        ioc_type: "ip".into(),
        source: "manual".into(),
        expires: NOW + 1,
        ..Ioc::default()
    };
    table.put(&[mine], 0).unwrap();
    *content.lock().unwrap() = "Evil.COM;domain;2027-01-01;99\n".into();
    let told = downloader.refresh("s", &config, true, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 1, 2), "{told:?}");
    let left = table.list(&IocFilter::default(), None, 10).unwrap();
    assert_eq!(left.iter().map(|ioc| ioc.source.as_str()).collect::<Vec<_>>(), ["manual", "s"]);
    // A day later it has not changed, which costs one question.
    let tomorrow: fn() -> Millis = || NOW + 25 * 3_600_000;
    downloader.clock = tomorrow;
    let told = downloader.refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!(told.outcome, Outcome::Unchanged, "{told:?}");
    // What it cannot read any more changes nothing.
    *content.lock().unwrap() = "address\n192.0.2.1\n".into();
    let named = SourceConfig {
        csv: source(json!({"type": "csv", "url": "https://x", "csv": {"value": "ip", "type": "ip"}})).csv,
        ..config.clone()
    };
    let told = downloader.refresh("s", &named, true, until(), &|| false).unwrap();
    assert!(told.outcome == Outcome::Failed && told.error.unwrap().contains("no column is called `ip`"));
    assert_eq!(table.list(&IocFilter::default(), None, 10).unwrap().len(), 2);
}

#[test]
fn a_folder_of_misp_is_its_manifest_and_its_events() {
    let events = Arc::new(Mutex::new(BTreeMap::new()));
    for number in 0..45_u64 {
        let attributes = json!([
            {"type": "ip-dst|port", "value": format!("{}|443", ip(number)), "to_ids": true, "category": "Network activity"},
            {"type": "filename|sha256", "value": format!("x.exe|{number:064x}"), "to_ids": true},
            {"type": "domain", "value": "benign.example", "to_ids": false},
            {"type": "comment", "value": "hello", "to_ids": true},
        ]);
        events
            .lock()
            .unwrap()
            .insert(format!("{number:08}-0000"), json!({"Event": {"info": "campaign", "Attribute": attributes}}));
    }
    let server = {
        let events = events.clone();
        Server::new(move |asked| {
            let events = events.lock().unwrap();
            if asked.path == "/feed/manifest.json" {
                let manifest: serde_json::Map<String, Value> =
                    events.keys().map(|uuid| (uuid.clone(), json!({"timestamp": "1"}))).collect();
                return Said::json(&Value::Object(manifest));
            }
            match events.get(asked.path.trim_start_matches("/feed/").trim_end_matches(".json")) {
                Some(event) => Said::json(event),
                None => Said(404, vec![], vec![]),
            }
        })
    };
    let config = source(json!({"type": "misp", "url": format!("{}/feed/", server.url), "private_networks": true}));
    let (_folder, table) = sqlite();
    let downloader = downloader(table.clone(), fixed);
    let told = downloader.refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!((told.outcome, told.taken, told.pages), (Outcome::Finished, 90, 3), "{told:?}");
    assert_eq!(told.left_out["type comment"], 45);
    let one = table.find(&[ip(3)], NOW).unwrap()[&ip(3)][0].clone();
    assert_eq!((one.sub_type.as_str(), one.description.as_deref()), ("Network activity", Some("campaign")));
    assert!(values(&*table).contains(&format!("{:064x}", 44)));
    let before = server.requests.load(Ordering::SeqCst);
    let gone = events.lock().unwrap().pop_first();
    assert!(gone.is_some());
    let told = downloader.refresh("s", &config, true, until(), &|| false).unwrap();
    assert_eq!((told.taken, told.removed), (88, 2), "{told:?}");
    assert!(!values(&*table).contains(&ip(0)));
    assert_eq!(server.requests.load(Ordering::SeqCst) - before, 44 + 1);
}

#[test]
fn a_bundle_of_stix_says_what_it_means_and_the_rest_is_told() {
    let bundle = json!({"type": "bundle", "id": "bundle--1", "objects": [
        {"type": "identity", "name": "x"},
        indicator(1, json!({})),
        indicator(2, json!({"pattern": "[domain-name:value = 'a.com' OR url:value = 'http://B.com/x'] "})),
        indicator(3, json!({"pattern": "[domain-name:value = 'a.com' AND ipv4-addr:value = '1.2.3.4']"})),
        indicator(4, json!({"valid_until": "2020-01-01T00:00:00Z"})),
        indicator(5, json!({"pattern_type": "yara", "pattern": "rule x"})),
        indicator(6, json!({"revoked": true})),
        // Versions of one: the last counts.
        indicator(8, json!({"modified": "2026-01-01T02:00:00Z", "pattern": "[domain-name:value = 'new.com']"})),
        indicator(8, json!({"modified": "2026-01-01T01:00:00Z", "pattern": "[domain-name:value = 'old.com']"})),
    ]});
    let server = Server::new(move |_| Said::json(&bundle));
    let config = source(json!({"type": "stix", "url": server.url, "private_networks": true}));
    let (_folder, table) = sqlite();
    let told = downloader(table.clone(), fixed).refresh("s", &config, false, until(), &|| false).unwrap();
    assert_eq!(told.outcome, Outcome::Finished, "{told:?}");
    assert_eq!(values(&*table), ["10.0.0.1", "a.com", "http://b.com/x", "new.com"].map(str::to_owned).into());
    assert_eq!(told.left_out.len(), 2, "{:?}", told.left_out);
    // Nothing is fetched from a host that the source does not name, nor from private networks unless it says so.
    let elsewhere = source(json!({"type": "stix", "url": server.url.replace("http", "https")}));
    let told = downloader(table, fixed).refresh("t", &elsewhere, false, until(), &|| false).unwrap();
    assert_eq!(told.outcome, Outcome::Failed);
}

#[track_caller]
fn exits(output: Output, code: i32) -> (String, String) {
    let (out, told) = (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into());
    assert_eq!(output.status.code(), Some(code), "{out}{told}");
    (out, told)
}

const SCHEMA: &str = r#"{"test:row": {"parser": "json", "schema": {"n": "integer", "text": "string"},
    "configuration": {"optional_top_level_keys": ["text"], "normalization": {"address": ["text"]}}}}"#;
const CONFIG: &str = r#"{"enabled": true, "normalized_ioc_types": {"ip": ["address"], "domain": ["address"]},
    "excluded_iocs": {"ip": ["10.0.0.0/8"]}}"#;

/// Asked about records with a hit, and no others.
fn hits() -> Vec<u8> {
    let options = r#"{"when_any": [[{"path": "streamalert:ioc.ip.0.value", "test": "exists"}, {"path": "streamalert:ioc.domain", "test": "exists"}]]}"#;
    Guest { rules: vec![("hits", EVERY_ROW)], logs: "test:row", options, ..Guest::default() }.build()
}

fn rows(texts: &[&str]) -> String {
    texts.iter().enumerate().map(|(n, text)| json!({"n": n, "text": text}).to_string() + "\n").collect()
}

#[test]
fn records_of_a_run_have_their_hits_before_rules_see_them() {
    let world = World::new();
    world.write("conf/schemas/test.json", SCHEMA);
    world.write("conf/threat_intel.json", CONFIG);
    world.write("plugins/every_row.wasm", hits());
    let intel =
        |arguments: &[&str], code: i32| exits(world.streamalert(&[&["threat-intel"], arguments].concat()), code);
    intel(
        &[
            "add",
            "192.0.2.7",
            "2001:DB8::/32",
            "10.1.1.1",
            "Evil.com",
            "--sub-type",
            "c2",
            "--description",
            "seen before",
        ],
        0,
    );
    assert!(intel(&["add", "what is this"], 2).1.contains("--type"));
    assert!(intel(&["get", "2001:db8:0::5"], 0).0.contains("2001:db8::/32  manual"));
    intel(&["get", "192.0.2.8"], 1);
    let texts = ["::ffff:192.0.2.7", "192.0.2.8", "2001:db8::9", "10.1.1.1", "EVIL.com.", "", "x y"];
    world.write("in.json", rows(&texts));
    let (_, told) = exits(world.streamalert(&["run", "--input", "in.json"]), 0);
    assert!(told.contains("with indicators of compromise"), "{told}");
    assert_eq!(world.alerted(), [0, 2, 4]);
    let alerts = world.alerts();
    let record = |n: u64| alerts.iter().find(|alert| crate::run_world::number(alert) == n).unwrap().record.to_value();
    let hit = json!({"value": "192.0.2.7", "sub_type": "c2", "source": "manual", "description": "seen before"});
    assert_eq!(record(0)["streamalert:ioc"], json!({"ip": [hit]}));
    assert_eq!(record(2)["streamalert:ioc"]["ip"][0]["network"], "2001:db8::/32");
    assert_eq!(record(4)["streamalert:ioc"]["domain"][0]["value"], "evil.com");
    // What a rule would see is explained, too.
    let explained = world.streamalert(&["explain", "--rule", "hits", "--record", "in.json", "--output", "json"]);
    assert_eq!(exits(explained, 0).0.matches("\"fired\":true").count(), 3);
    // The same input raises nothing twice, though the records are others now: a record is what it was.
    intel(&["remove", "192.0.2.7"], 0);
    intel(&["remove", "192.0.2.7"], 1);
    exits(world.streamalert(&["run", "--input", "in.json"]), 0);
    assert_eq!(world.alerted(), [0, 2, 4]);
    assert!(!intel(&["list"], 0).0.contains("192.0.2.7"));
    // A cluster that does not want it has it not.
    world.write(
        "conf/clusters/quiet.json",
        r#"{"data_sources": {"s3": {"quiet": ["test"]}}, "enable_threat_intel": false}"#,
    );
    world.write(
        "conf/clusters/loud.json",
        r#"{"data_sources": {"s3": {"loud": ["test"]}}, "enable_threat_intel": true}"#,
    );
    for (name, alerts) in [("quiet", 3), ("loud", 5)] {
        exits(world.streamalert(&["run", "--input", "in.json", "--source", &format!("s3:{name}")]), 0);
        assert_eq!(world.alerted().len(), alerts, "{name}");
    }
    // A table that cannot be read: records are judged without, and it is said.
    world.write("data/threat_intel.sqlite", "no database");
    let (_, told) = exits(world.streamalert(&["run", "--input", "in.json"]), 1);
    assert!(told.contains("threat_intel.sqlite"), "{told}");
}

#[test]
fn cases_have_indicators_of_their_own() {
    let world = World::new();
    world.write("conf/schemas/test.json", SCHEMA);
    world.write("conf/threat_intel.json", CONFIG);
    world.write("conf/clusters/local.json", r#"{"data_sources": {"file": {"*": ["test"]}}}"#);
    world.write("plugins/every_row.wasm", hits());
    let case = |text: &str, rules: &[&str]| {
        json!({"description": text, "service": "file", "source": "a", "log": "test:row", "data": {"n": 1, "text": text},
        "trigger_rules": rules, "test_fixtures": {"threat_intel": [
            {"ioc_value": "192.0.2.7", "ioc_type": "ip", "sub_type": "c2"}, {"ioc_value": "Evil.com", "ioc_type": "domain", "sub_type": ""},
            {"ioc_value": "10.1.1.1", "ioc_type": "ip", "sub_type": "c2"},
        ]}})
    };
    let cases =
        [case("192.0.2.7", &["hits"]), case("evil.COM", &["hits"]), case("192.0.2.8", &[]), case("10.1.1.1", &[])];
    world.write("cases/one.json", Value::from(cases.to_vec()).to_string());
    let mut command = world.command(&["test", "--plugins", "plugins"]);
    let (out, _) = exits(command.env("XDG_CACHE_HOME", world.at("cache")).output().unwrap(), 0);
    assert!(out.contains("4 passed"), "{out}");
}

fn iocs_table(place: &standins::Place) -> Arc<DynamoIocs> {
    let name = place.names.iocs_table();
    place.aws.wait(ioc_table::definition(&name).send_with(&place.aws.dynamodb)).unwrap();
    Arc::new(DynamoIocs::new(place.aws.clone(), name))
}

#[test]
fn the_table_on_aws_keeps_what_every_source_says() {
    for standin in [standins::ministack(), standins::moto()].into_iter().flatten() {
        let place = standin.place("iocs");
        let table = iocs_table(&place);
        let ioc = |value: &str, source: &str, expires: Millis| Ioc {
            value: value.into(),
            ioc_type: "ip".into(),
            sub_type: "c2".into(),
            source: source.into(),
            expires,
            ..Ioc::default()
        };
        // Two sources at once, over the same values.
        let writers: Vec<_> = ["a", "b"]
            .map(|source| {
                let table = table.clone();
                let iocs: Vec<Ioc> = (0..120).map(|n| ioc(&ip(n), source, NOW + 5_000)).collect();
                std::thread::spawn(move || table.put(&iocs, 1).unwrap())
            })
            .into();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let all: Vec<String> = (0..121).map(ip).collect();
        let found = table.find(&all, NOW).unwrap();
        assert_eq!(found.len(), 120, "{}", standin.name);
        assert!(found.values().all(|iocs| iocs.iter().map(|ioc| ioc.source.as_str()).eq(["a", "b"])), "{found:?}");
        assert!(
            table.find(&all, NOW + 5_000).unwrap().is_empty(),
            "what has expired is none, though it is still there"
        );
        assert_eq!(table.counts().unwrap(), BTreeMap::from([("a".into(), 120), ("b".into(), 120)]));
        table.put(&[ioc("198.51.100.0/24", "a", NOW + 9_000), ioc(&ip(1), "a", NOW + 9_000)], 2).unwrap();
        assert_eq!(table.find(&["198.51.100.77".into()], NOW).unwrap()["198.51.100.77"][0].value, "198.51.100.0/24");
        assert_eq!(table.sweep("a", 2, &BTreeSet::new()).unwrap(), 119);
        assert_eq!(table.counts().unwrap(), BTreeMap::from([("a".into(), 2), ("b".into(), 120)]));
        assert_eq!(table.remove("b", &all).unwrap(), 120);
        let left: BTreeSet<String> = values(&*table);
        assert_eq!(left, [ip(1), "198.51.100.0/24".into()].into());
        // As StreamAlert's own downloader left it.
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let put = place.aws.dynamodb.put_item().table_name(place.names.iocs_table());
        let put = put.item("ioc_value", text("old.com")).item("ioc_type", text("domain")).item("sub_type", text("c2"));
        place.aws.wait(put.item("source", text("anomali")).send()).unwrap();
        let old = table.find(&["old.com".into()], NOW).unwrap()["old.com"][0].clone();
        assert_eq!((old.source.as_str(), old.sub_type.as_str()), ("anomali", "c2"));
        table
            .put(
                &[Ioc {
                    value: "old.com".into(),
                    ioc_type: "domain".into(),
                    source: "new".into(),
                    expires: NOW + 9_000,
                    ..Ioc::default()
                }],
                1,
            )
            .unwrap();
        assert_eq!(table.find(&["old.com".into()], NOW).unwrap()["old.com"].len(), 2);
        // Several indicators of one source with one value: it counts while one of them does.
        let said = |reference: &str, from: Option<Millis>| Ioc {
            reference: Some(reference.into()),
            valid_from: from,
            ..ioc("203.0.113.9", "t", NOW + 9_000)
        };
        table.join(&[said("old", None)], 1, 0).unwrap();
        table.join(&[said("x", None), said("y", Some(NOW + 2_000))], 2, 2).unwrap();
        let counts = |now: Millis| {
            let found = table.find(&["203.0.113.9".into()], now).unwrap();
            found.get("203.0.113.9").map(|iocs| iocs[0].reference.clone().unwrap())
        };
        let gone = |reference: &str| BTreeMap::from([(reference.to_owned(), BTreeSet::new())]);
        assert_eq!(counts(NOW).as_deref(), Some("x"));
        assert_eq!(table.revise("t", &gone("x"), None).unwrap(), 0);
        assert_eq!((counts(NOW), counts(NOW + 2_000).as_deref()), (None, Some("y")));
        assert_eq!(table.sweep("t", 3, &["y".to_owned()].into()).unwrap(), 0);
        assert_eq!(table.revise("t", &gone("y"), Some(&["203.0.113.9".to_owned()].into())).unwrap(), 1);
        assert_eq!(counts(NOW + 2_000), None);
        in_trouble::what_one_event_says_of_a_value_outlasts_the_other(table.clone());
        // States are written on what was read.
        let mut mine = table.state("s").unwrap();
        let mut theirs = mine.clone();
        mine.pass = 1;
        table.set_state("s", &mut mine).unwrap();
        assert_eq!(table.set_state("s", &mut theirs).unwrap_err().kind, BackendErrorKind::Conflict);
        assert_eq!(table.state("s").unwrap(), mine);
        // And a download goes there like anywhere.
        let server = taxii(23, 5, false);
        let told =
            downloader(table.clone(), fixed).refresh("t", &taxii_source(&server), false, until(), &|| false).unwrap();
        assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 23, 1), "{told:?}");
        assert_eq!(table.counts().unwrap()["t"], 22);
    }
}

#[test]
fn functions_attach_hits_and_fetch_what_is_due() {
    let Some(standin) = standins::ministack() else { return };
    let server = taxii(12, 5, false);
    let installation = Installation::new(standin, "intel");
    let mut config: Value = serde_json::from_str(CONFIG).unwrap();
    config["excluded_iocs"] = json!({});
    config["sources"] = json!({"s": {"type": "taxii", "url": format!("{}/api1", server.url), "collection": "c1", "private_networks": true}});
    installation.put_rules("conf/schemas/test.json", SCHEMA);
    installation.put_rules("conf/threat_intel.json", config.to_string());
    installation.put_rules("plugins/hits.wasm", hits());
    let classifier = installation.function("classifier");
    let log = installation.put_log("a.json", rows(&["10.0.0.3", "192.0.2.1", "10.0.0.7"]));
    let event = json!({"Records": [by_queue("m", &log)]});
    // There is no table: the item comes again, and nothing goes on without being looked through.
    assert_eq!(failed(&invoke(&classifier, &event).unwrap()), ["m"]);
    assert!(installation.queued().is_empty());
    iocs_table(&installation.place);
    let fetcher = installation.function("threat_intel_downloader");
    let told = invoke(&fetcher, &json!({})).unwrap();
    assert_eq!(
        (&told["sources"][0]["outcome"], &told["sources"][0]["taken"]),
        (&json!("finished"), &json!(12)),
        "{told}"
    );
    let told = invoke(&fetcher, &json!({})).unwrap();
    assert_eq!(told["sources"][0]["outcome"], "not_due");
    assert!(invoke(&fetcher, &json!({"sources": ["nobody"]})).unwrap_err().contains("there is no source nobody"));
    assert!(failed(&invoke(&classifier, &event).unwrap()).is_empty());
    let engine = installation.function("rules_engine");
    let messages = installation.receive(&installation.records, 10).unwrap();
    assert!(failed(&invoke(&engine, &messages).unwrap()).is_empty());
    let alerts = installation.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let record = alerts[0].record.to_value();
    assert_eq!(record["streamalert:ioc"]["ip"][0]["value"], "10.0.0.3", "{record}");
    assert_eq!(record["streamalert:ioc"]["ip"][0]["source"], "s");
}
