//! Sources that are broken in part, for a while, or on purpose.

use super::*;
use std::os::unix::fs::PermissionsExt;
use streamalert_local::stop::Stop;

/// What a folder of MISP answers.
#[derive(Clone, Default)]
struct Folder {
    /// Which events the manifest names.
    named: Vec<String>,
    /// Events that do not answer: status, and seconds after which they want to be asked.
    away: BTreeMap<String, (u16, Option<u64>)>,
    /// Further values of events, beside `NAME.com`.
    more: BTreeMap<String, Vec<&'static str>>,
    /// Requests for events that are answered before all are told to wait.
    left: Option<u64>,
}

#[derive(Clone, Default)]
struct Misp(Arc<Mutex<Folder>>);

impl Misp {
    fn of(count: usize) -> Misp {
        let misp = Misp::default();
        misp.set(|folder| folder.named = (0..count).map(event).collect());
        misp
    }

    fn set(&self, change: impl FnOnce(&mut Folder)) {
        change(&mut self.0.lock().unwrap());
    }

    fn serve(&self) -> Server {
        let folder = self.0.clone();
        Server::new(move |asked| {
            let mut folder = folder.lock().unwrap();
            if asked.path == "/manifest.json" {
                let events = folder.named.iter().map(|uuid| (uuid.clone(), json!({"timestamp": "1"})));
                return Said::json(&Value::Object(events.collect()));
            }
            if let Some(left) = &mut folder.left {
                if *left == 0 {
                    return Said(429, vec![("Retry-After", "120".into())], vec![]);
                }
                *left -= 1;
            }
            let uuid = asked.path.trim_start_matches('/').trim_end_matches(".json");
            if let Some((status, after)) = folder.away.get(uuid) {
                let after = after.map(|seconds| ("Retry-After", seconds.to_string()));
                return Said(*status, after.into_iter().collect(), b"not now".to_vec());
            }
            let own = format!("{uuid}.com");
            let values = folder.more.get(uuid).into_iter().flatten().copied().chain([own.as_str()]);
            let attributes: Vec<Value> =
                values.map(|value| json!({"type": "domain", "value": value, "to_ids": true})).collect();
            Said::json(&json!({"Event": {"info": uuid, "Attribute": attributes}}))
        })
    }
}

fn event(number: usize) -> String {
    format!("{number:08}-0000-0000-0000-000000000000")
}

fn misp_source(server: &Server) -> SourceConfig {
    source(json!({"type": "misp", "url": server.url, "private_networks": true}))
}

/// A downloader, and the time that it goes by.
fn at_a_time(table: Arc<dyn IocTable>) -> (Downloader, &'static AtomicI64) {
    // Each test has its own thread.
    thread_local!(static TIME: &'static AtomicI64 = Box::leak(Box::new(AtomicI64::new(NOW))));
    (downloader(table, || TIME.with(|time| time.load(Ordering::SeqCst))), TIME.with(|time| *time))
}

const DAY: i64 = 86_400_000;

#[test]
fn events_that_are_away_for_a_while_keep_what_they_gave() {
    let misp = Misp::of(25);
    let server = misp.serve();
    let config = misp_source(&server);
    let (_folder, table) = sqlite();
    let (downloader, time) = at_a_time(table.clone());
    let refresh = |force: bool| downloader.refresh("s", &config, force, until(), &|| false).unwrap();
    assert_eq!(refresh(false).taken, 25);
    let all = values(&*table);
    // All are away: the feed is broken, and the next attempt begins anew, where nothing is missing.
    for status in [404, 410, 403] {
        misp.set(|folder| folder.away = (0..25).map(|number| (event(number), (status, None))).collect());
        let told = refresh(true);
        assert!(told.error.as_ref().unwrap().contains("none of its 25 events can be read"), "{told:?}");
        assert_eq!((told.outcome, table.state("s").unwrap().cursor), (Outcome::Failed, None));
        misp.set(|folder| folder.away.clear());
        let told = refresh(true);
        assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 25, 0), "{status}: {told:?}");
        assert_eq!(values(&*table), all);
    }
    // One is away: it keeps what it gave, and is asked for again though the manifest has not changed.
    misp.set(|folder| folder.away.extend([(event(3), (404, None))]));
    let told = refresh(true);
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 24, 0), "{told:?}");
    assert_eq!((told.left_out.values().sum::<u64>(), values(&*table)), (1, all.clone()));
    misp.set(|folder| folder.away.clear());
    time.fetch_add(DAY + 1, Ordering::SeqCst);
    let told = refresh(false);
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 25, 0), "{told:?}");
    time.fetch_add(DAY + 1, Ordering::SeqCst);
    assert_eq!(refresh(false).outcome, Outcome::Unchanged);
    // When the manifest does not name it any more, it is gone.
    misp.set(|folder| drop(folder.named.remove(3)));
    time.fetch_add(DAY + 1, Ordering::SeqCst);
    let told = refresh(false);
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 24, 1), "{told:?}");
    assert!(!values(&*table).contains(&format!("{}.com", event(3))));
}

#[test]
fn a_feed_that_is_broken_for_the_most_part_loses_nothing() {
    let misp = Misp::of(1_130);
    let server = misp.serve();
    let config = misp_source(&server);
    let (_folder, table) = sqlite();
    let downloader = downloader(table.clone(), fixed);
    let refresh = || downloader.refresh("s", &config, true, until(), &|| false).unwrap();
    assert_eq!(refresh().taken, 1_130);
    // More are not there than can be named.
    misp.set(|folder| folder.away = (0..1_120).map(|number| (event(number), (404, None))).collect());
    let told = refresh();
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 10, 0), "{told:?}");
    assert_eq!(told.left_out.into_values().collect::<Vec<_>>(), [1_120]);
    assert_eq!(values(&*table).len(), 1_130);
    // What broke the pass off is not held against the next one.
    misp.set(|folder| folder.away = (0..101).map(|number| (event(number), (403, None))).collect());
    let told = refresh();
    assert!(told.error.as_ref().unwrap().contains("more than 100 of its events"), "{told:?}");
    misp.set(|folder| folder.away = (110..120).map(|number| (event(number), (403, None))).collect());
    let told = refresh();
    assert_eq!((told.outcome, told.taken, told.removed), (Outcome::Finished, 1_120, 0), "{told:?}");
    assert_eq!(values(&*table).len(), 1_130);
}

#[test]
fn an_event_that_wants_to_be_asked_much_later_holds_up_no_other() {
    for status in [503, 429] {
        for away in [vec![0], vec![1], vec![0, 1], vec![0, 2, 3, 5, 6]] {
            let misp = Misp::of(8);
            let server = misp.serve();
            let (_folder, table) = sqlite();
            let (downloader, time) = at_a_time(table.clone());
            misp.set(|folder| folder.away = away.iter().map(|n| (event(*n), (status, Some(120)))).collect());
            let refresh = || downloader.refresh("s", &misp_source(&server), false, until(), &|| false).unwrap();
            let told = refresh();
            let taken = 8 - away.len() as u64;
            assert_eq!((told.outcome, told.taken), (Outcome::Finished, taken), "{status} {away:?}: {told:?}");
            misp.set(|folder| folder.away.clear());
            time.fetch_add(DAY + 1, Ordering::SeqCst);
            assert_eq!((refresh().taken, values(&*table).len()), (8, 8));
        }
    }
}

#[test]
fn a_server_that_answers_a_few_requests_at_a_time_is_read_to_its_end() {
    // In the middle of a page, and just before its end.
    for (quota, rounds) in [(11, 5), (19, 3)] {
        let misp = Misp::of(48);
        let server = misp.serve();
        let config = misp_source(&server);
        let (_folder, table) = sqlite();
        let (downloader, time) = at_a_time(table.clone());
        for round in 1..=rounds {
            misp.set(|folder| folder.left = Some(quota));
            let told = downloader.refresh("s", &config, false, until(), &|| false).unwrap();
            assert_eq!((told.taken, told.left_out.len()), (48.min(quota * round), 0), "{quota} {round}: {told:?}");
            let outcome = if round == rounds { Outcome::Finished } else { Outcome::Failed };
            assert_eq!(told.outcome, outcome, "{quota} {round}: {told:?}");
            if round < rounds {
                // It is asked again when it wants to be.
                let (state, now) = (table.state("s").unwrap(), time.load(Ordering::SeqCst));
                assert!(told.error.unwrap().contains("429") && state.retry >= now + 120_000, "{state:?}");
                time.store(state.retry, Ordering::SeqCst);
            }
        }
        assert_eq!(values(&*table).len(), 48);
        // Each event once, a manifest for each round, and few that were in vain.
        let requests = server.requests.load(Ordering::SeqCst);
        assert!(requests <= 48 + rounds + 4 * (rounds - 1), "{requests}");
        assert!(table.state("s").unwrap().since.is_some_and(|since| since["digest"].is_string()));
    }
}

#[test]
fn what_an_event_says_does_not_hang_on_another_one() {
    let (_folder, table) = sqlite();
    what_one_event_says_of_a_value_outlasts_the_other(table);
}

/// Two events name the same value, whichever comes first.
pub fn what_one_event_says_of_a_value_outlasts_the_other(table: Arc<dyn IocTable>) {
    for (away, other) in [(0, 1), (1, 0)] {
        let misp = Misp::of(2);
        misp.set(|folder| folder.more = BTreeMap::from([(event(0), vec!["evil.com"]), (event(1), vec!["evil.com"])]));
        let server = misp.serve();
        let config = misp_source(&server);
        let name = format!("misp{away}");
        let downloader = downloader(table.clone(), fixed);
        let refresh = || {
            let told = downloader.refresh(&name, &config, true, until(), &|| false).unwrap();
            assert_eq!(told.outcome, Outcome::Finished, "{told:?}");
            let filter = IocFilter { source: Some(name.clone()), ..IocFilter::default() };
            let listed = table.list(&filter, None, 100).unwrap();
            let evil = listed.iter().find(|ioc| ioc.value == "evil.com");
            let named = evil.map(|ioc| [std::slice::from_ref(ioc), &ioc.also].concat()).unwrap_or_default();
            (told.removed, named.into_iter().filter_map(|ioc| ioc.description).collect::<BTreeSet<_>>())
        };
        let both = || BTreeSet::from([event(0), event(1)]);
        assert_eq!(refresh(), (0, both()));
        // One cannot be read, again and again; then the other has it no more.
        misp.set(|folder| folder.away.extend([(event(away), (403, None))]));
        assert_eq!(refresh(), (0, both()));
        assert_eq!(refresh(), (0, both()));
        misp.set(|folder| drop(folder.more.remove(&event(other))));
        assert_eq!(refresh(), (0, [event(away)].into()));
        assert_eq!(refresh(), (0, [event(away)].into()));
        // It can be read, and has it still; then it has not.
        misp.set(|folder| folder.away.clear());
        assert_eq!(refresh(), (0, [event(away)].into()));
        misp.set(|folder| drop(folder.more.insert(event(other), vec!["evil.com"])));
        assert_eq!(refresh(), (0, both()));
        misp.set(|folder| drop(folder.more.remove(&event(away))));
        assert_eq!(refresh(), (0, [event(other)].into()));
        misp.set(|folder| folder.more.clear());
        assert_eq!(refresh(), (1, BTreeSet::new()));
    }
}

#[test]
fn what_is_told_of_a_source_is_short_whatever_it_says() {
    let stray = |number: u64| {
        let pattern = format!("[ipv4-addr:value = '192.0.2.7'] '{}{number}'", "x".repeat(20_000));
        json!({"type": "indicator", "id": format!("indicator--{number}"), "pattern": pattern})
    };
    let paths = |number: u64| json!({"type": "indicator", "id": format!("indicator--p{number}"), "pattern": format!("[x:p{number} = 'x']")});
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/stix" => Said::json(&json!({"type": "bundle", "objects": (0..60).map(stray).collect::<Vec<_>>()})),
        "/csv" => Said(200, vec![], format!("{},x\n", "t".repeat(1_000_000)).into_bytes()),
        // One page after the other, each with reasons of its own.
        "/c/collections/1/objects/" => {
            let page: u64 = asked.query.get("next").map_or(0, |next| next.parse().unwrap());
            let objects: Vec<Value> = (page * 40..page * 40 + 40).map(paths).collect();
            Said::json(&json!({"more": page < 9, "next": (page + 1).to_string(), "objects": objects}))
        }
        "/long/collections/1/objects/" => Said::json(&json!({"more": true, "next": "n".repeat(1_000_000)})),
        "/typo/collections/1/objects/" => Said::json(&json!({"more": "m".repeat(1_000_000), "objects": []})),
        path => panic!("{path}"),
    });
    let (_folder, table) = sqlite();
    let told = |config: Value| {
        let mut config = config;
        config["private_networks"] = true.into();
        let downloader = downloader(table.clone(), fixed);
        let told = downloader.refresh("s", &source(config), true, until(), &|| false).unwrap();
        let state = serde_json::to_string(&table.state("s").unwrap()).unwrap();
        assert!(state.len() < 20_000, "{told:?}: {} bytes", state.len());
        assert!(serde_json::to_string(&told).unwrap().len() < 20_000);
        told
    };
    let url = |path: &str| format!("{}{path}", server.url);
    let of = told(json!({"type": "stix", "url": url("/stix")}));
    assert_eq!((of.outcome, of.left_out.values().sum::<u64>()), (Outcome::Finished, 60), "{of:?}");
    assert!(of.left_out.keys().all(|reason| reason.starts_with("no pattern: `'xxx") && reason.ends_with('…')));
    let of = told(json!({"type": "csv", "url": url("/csv"), "csv": {"header": false, "value": 1, "type_column": 0}}));
    assert_eq!(of.outcome, Outcome::Failed, "{of:?}");
    let of = told(json!({"type": "taxii", "url": url("/c/collections/1")}));
    assert_eq!((of.outcome, of.pages, of.left_out.values().sum::<u64>()), (Outcome::Finished, 10, 400), "{of:?}");
    assert!(of.left_out.len() <= 51, "{}", of.left_out.len());
    for (path, why) in [("/long/collections/1", "4096 characters"), ("/typo/collections/1", "no TAXII envelope")] {
        let of = told(json!({"type": "taxii", "url": url(path)}));
        assert!(of.outcome == Outcome::Failed && of.error.as_ref().unwrap().contains(why), "{of:?}");
    }
}

#[test]
fn keys_in_urls_are_told_to_nobody_but_their_source() {
    let server = Server::new(|asked| {
        assert_eq!(asked.query["apikey"], "S3CRETKEY");
        match asked.path.as_str() {
            "/denied" => Said(403, vec![], b"no access to /denied?apikey=S3CRETKEY".to_vec()),
            "/m/manifest.json" => Said::json(&json!({"a-1": {}})),
            "/m/a-1.json" => Said(200, vec![], b"{}".to_vec()),
            "/more/collections/1/objects/" => Said::json(&json!({"more": true, "objects": []})),
            _ => Said(200, vec![], b"<!doctype html><html>Please sign in</html>".to_vec()),
        }
    });
    let source = |feed: &str, path: &str| {
        let mut config = json!({"type": feed, "private_networks": true,
            "url": format!("{}{path}?apikey=S3CRETKEY", server.url)});
        if feed == "csv" {
            config["csv"] = json!({"value": "ip", "type": "ip"});
        }
        config
    };
    let sources = json!({
        "csv": source("csv", "/html"), "stix": source("stix", "/html"), "misp": source("misp", "/html"),
        "taxii": source("taxii", "/html/collections/1"), "root": source("taxii", "/html"),
        "event": source("misp", "/m"), "more": source("taxii", "/more/collections/1"), "denied": source("csv", "/denied"),
    });
    let count = sources.as_object().unwrap().len();
    let world = World::new();
    let config = json!({"enabled": true, "normalized_ioc_types": {"ip": ["ip"]}, "sources": sources});
    world.write("conf/threat_intel.json", config.to_string());
    for arguments in [&["refresh"][..], &["refresh", "--force", "--output", "json"]] {
        let (out, told) = exits(world.streamalert(&[&["threat-intel"], arguments].concat()), 1);
        assert!(!out.contains("S3CRETKEY") && !told.contains("S3CRETKEY"), "{out}{told}");
        for expected in [
            &format!("{}/html: ", server.url),
            "a web page",
            "no manifest",
            "no TAXII envelope",
            "none of its 1 events",
            "neither how to ask",
            "name the collection",
            "403 no access",
        ] {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
    for output in ["text", "json"] {
        let (out, told) = exits(world.streamalert(&["threat-intel", "status", "--output", output]), 0);
        assert!(!out.contains("S3CRETKEY") && !told.contains("S3CRETKEY"), "{out}{told}");
        assert!(out.matches(&server.url).count() >= count, "{out}");
    }
}

#[test]
fn a_secret_store_that_fails_is_a_failure_of_the_source() {
    let server = Server::new(|asked| {
        assert_eq!(asked.headers["authorization"], "Bearer t0p");
        Said(200, vec![], b"ip\n192.0.2.1\n".to_vec())
    });
    let config = source(json!({"type": "csv", "url": server.url, "private_networks": true, "auth": "bearer",
        "csv": {"value": "ip", "type": "ip"}}));
    let (folder, table) = sqlite();
    let file = folder.path().join("secrets.json");
    let secrets = Arc::new(SecretFile::new(file.clone(), std::iter::empty()));
    secrets.put(&secret_name("s"), &BTreeMap::from([("token".to_owned(), "t0p".to_owned())])).unwrap();
    let mode = |mode: u32| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    let (mut downloader, time) = at_a_time(table.clone());
    downloader.secrets = secrets;
    let refresh = || downloader.refresh("s", &config, false, until(), &|| false).unwrap();
    let mut waits = Vec::new();
    for round in 1..4 {
        let told = refresh();
        assert!(told.outcome == Outcome::Failed && told.error.unwrap().contains("chmod 600"));
        let state = table.state("s").unwrap();
        assert!(state.error.unwrap().contains("chmod 600"));
        assert_eq!((state.failures, state.owner), (round, None));
        assert_eq!(refresh().outcome, Outcome::NotDue, "it is left alone for a while");
        waits.push(state.retry - time.load(Ordering::SeqCst));
        time.store(state.retry, Ordering::SeqCst);
    }
    assert_eq!(waits, [60_000, 120_000, 240_000]);
    mode(0o600);
    assert_eq!((refresh().outcome, values(&*table).len()), (Outcome::Finished, 1));
    assert_eq!(table.state("s").unwrap().error, None);
}

#[test]
fn a_table_that_cannot_be_read_is_not_complained_of_at_every_look() {
    let (_folder, table) = sqlite();
    let dead = Arc::new(Dying { table, left: AtomicI64::new(0) });
    let config = json!({"enabled": true, "normalized_ioc_types": {"ip": ["ip"]},
        "sources": {"s": {"type": "stix", "url": "https://192.0.2.1/"}}});
    let config = ThreatIntelConfig::read("threat_intel.json", &config.to_string()).unwrap();
    let (stop, told) = (Stop::default(), Arc::new(Mutex::new(Vec::new())));
    let tell = {
        let told = told.clone();
        move |notice: &str| told.lock().unwrap().push(notice.to_owned())
    };
    let thread = streamalert_local::intel::start(downloader(dead, fixed), config, stop.clone(), tell).unwrap();
    // It looks at once, and five seconds later.
    std::thread::sleep(Duration::from_secs(7));
    stop.request();
    thread.join().unwrap();
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("killed"), "{told:?}");
}
