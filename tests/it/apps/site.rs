//! A service on this machine, and a host that fetches its logs for a simulated day. What a service is, a [`Vendor`] says.

use crate::vendors::{Reply, Seen, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use streamalert_egress::{Egress, HostRule, Policy};
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_pipeline::plugin::{
    AppInfo, AppPage, AppPlugin, Ask, HttpFailure, HttpRequest, HttpResponse, Outside, PluginSet, Polled,
};
use streamalert_plugins::{Host, HostConfig, LoadCheck, PluginFolder};

/// A service whose logs are fetched.
pub trait Vendor: Send + 'static {
    /// What the service has of event number `number` of this second. Events that happen at the same time differ.
    fn event(&self, number: usize, at: i64) -> Value;

    /// What tells events apart, of an event or of the log that the app made of it.
    fn id(&self, log: &Value) -> String;

    /// The answer to a request, from the events that are visible by now, in the order in which they became so. `now` is the service's
    /// clock. What the documentation does not allow is answered by a status that the app takes for a refusal: it fails the test.
    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply;

    /// What it says when there were too many requests.
    fn limited(&self, now: i64) -> Reply {
        let _ = now;
        Reply { headers: vec![("Retry-After", "7".into())], ..Reply::text(429, "slow down") }
    }
}

/// Something that happened at the service.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened, and when it is visible.
    pub at: i64,
    pub stored: i64,
    pub log: Value,
}

/// An app and what the operator says of it. `URL` in a setting stands for where the service is.
pub struct Case {
    /// The `type` of the app.
    pub kind: &'static str,
    pub settings: &'static [(&'static str, &'static str)],
    /// A secret setting, and a value that the service refuses.
    pub refused: (&'static str, &'static str),
    /// Each log is classified as this type of `conf/schemas`.
    pub log_type: &'static str,
    /// How many seconds after it happened an event may become visible.
    pub late: i64,
    /// About how many events there are in a day. More than a page has, so that there are several.
    pub events: usize,
}

static PLUGINS: LazyLock<PluginSet> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/example-rules");
    assert!(folder.is_dir(), "there are no components in {}: `make guests` builds them", folder.display());
    let mut plugins = PluginFolder::new(Host::new(HostConfig::default()).unwrap());
    plugins.load(&folder, &LoadCheck::any_log()).unwrap().set
});

static EGRESS: LazyLock<Egress> = LazyLock::new(|| Egress::new().unwrap());

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/schemas");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        files.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
    }
    files.sort();
    Arc::new(Schemas::read(&files).unwrap())
});

/// The component of a type of app, and its number there.
pub fn app(kind: &str) -> (&'static Arc<dyn AppPlugin>, usize) {
    PLUGINS.app(kind).unwrap_or_else(|| panic!("no component has an app {kind}: `make guests` builds them"))
}

/// All that is to hold of a shipped app.
#[track_caller]
pub fn check(case: &Case, vendor: impl Fn() -> Box<dyn Vendor>) {
    let (plugin, kind) = app(case.kind);
    let info = &plugin.apps()[kind];
    assert_eq!(info.options.logs, [case.log_type], "what it says it brings");
    refuses(case, vendor());
    for seed in 0..3 {
        // The host's clock is right, an hour ahead, an hour behind.
        let skew = [0, 3600, -3600][seed as usize % 3];
        Day::new(case, vendor(), seed, skew).live();
    }
}

/// Credentials that are refused are told, and are not in what is told.
fn refuses(case: &Case, vendor: Box<dyn Vendor>) {
    let mut day = Day::new(case, vendor, 99, 0);
    for setting in &mut day.settings {
        if setting.0 == case.refused.0 {
            setting.1 = case.refused.1.into();
        }
    }
    let Polled::Reject(reason) = day.poll() else { panic!("{}: wrong credentials are not refused", case.kind) };
    assert!(!reason.contains(case.refused.1), "{}: {reason}", case.kind);
}

/// What both threads see.
struct Shared {
    vendor: Box<dyn Vendor>,
    events: Vec<Event>,
    /// The service's clock.
    now: i64,
    /// What becomes of the next requests; later ones are answered.
    trouble: Vec<Trouble>,
    requests: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Limited,
    Unavailable,
    /// The connection breaks before the answer.
    Cut,
}

/// One day of a service whose logs are fetched.
pub struct Day<'a> {
    case: &'a Case,
    shared: Arc<Mutex<Shared>>,
    url: String,
    settings: Vec<(String, String)>,
    skew: i64,
    random: u64,
    ask: Ask,
    begin: i64,
    /// Texts of the logs that were handed on, and the id of each.
    pub logs: BTreeMap<String, String>,
    pub handed_on: usize,
}

impl<'a> Day<'a> {
    pub fn new(case: &'a Case, vendor: Box<dyn Vendor>, seed: u64, skew: i64) -> Self {
        let begin = 1_767_312_000;
        let shared = Shared { vendor, events: vec![], now: begin, trouble: vec![], requests: vec![] };
        let shared = Arc::new(Mutex::new(shared));
        let url = serve(shared.clone());
        let settings = case.settings.iter().map(|(name, value)| (name.to_string(), value.replace("URL", &url)));
        // By the host's clock, which is all that it knows at first.
        let ask = Ask { app: "test".into(), since: (begin + skew) as u64, attempt: 1, ..Ask::default() };
        Day {
            case,
            settings: settings.collect(),
            url,
            shared,
            skew,
            random: seed * 7919 + 12345,
            ask,
            begin,
            logs: BTreeMap::new(),
            handed_on: 0,
        }
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below.max(1)
    }

    /// Events happen and are fetched, until all that is visible was fetched.
    fn live(mut self) {
        self.happen();
        let end = self.begin + 86_400 + self.case.late + 3_600;
        while self.now() < end {
            let step = 60 + self.chance(1_800) as i64;
            self.pass(step);
            if self.chance(3) == 0 {
                let all = [Trouble::Limited, Trouble::Unavailable, Trouble::Cut];
                let count = 1 + self.chance(2);
                let trouble = (0..count).map(|_| all[self.chance(3) as usize]).collect();
                self.shared.lock().unwrap().trouble = trouble;
            }
            self.turn();
        }
        self.shared.lock().unwrap().trouble.clear();
        self.turn();
        self.settle();
    }

    /// The day's events: most come at random, some hundred in the same minute, some much later than they happened.
    fn happen(&mut self) {
        let mut events = Vec::new();
        for number in 0..self.case.events {
            let at = match number % 4 {
                0 => self.begin + 40_000 + self.chance(60) as i64,
                _ => self.begin + 1 + self.chance(86_400) as i64,
            };
            let delay = if self.chance(10) == 0 { self.chance(self.case.late.max(1) as u64) as i64 } else { 0 };
            events.push((number, at, at + delay));
        }
        let mut shared = self.shared.lock().unwrap();
        let event =
            |(number, at, stored): (usize, i64, i64)| Event { at, stored, log: shared.vendor.event(number, at) };
        let mut events: Vec<Event> = events.into_iter().map(event).collect();
        events.sort_by_key(|event| event.stored);
        shared.events = events;
    }

    /// Pages, as long as there are more; as a host does it, which may die at any time.
    fn turn(&mut self) {
        for _ in 0..1_000 {
            match self.poll() {
                Polled::Page(page) => {
                    self.ask.attempt = 1;
                    let dies = self.chance(12);
                    if dies == 0 {
                        // Before the logs are safe.
                        continue;
                    }
                    self.hand_on(&page);
                    if dies == 1 {
                        // Before the cursor is kept.
                        continue;
                    }
                    self.ask.cursor = Some(page.cursor);
                    self.pass(i64::from(page.wait.unwrap_or(0)));
                    if !page.more {
                        return;
                    }
                }
                Polled::Retry { reason, after } => {
                    assert!(!reason.is_empty());
                    self.ask.attempt += 1;
                    self.pass(i64::from(after.unwrap_or(1)));
                }
                Polled::Reject(reason) => panic!("{}: {reason}\n{}", self.case.kind, self.last_requests()),
            }
        }
        panic!("{}: there is no end of pages\n{}", self.case.kind, self.last_requests());
    }

    fn hand_on(&mut self, page: &AppPage) {
        for log in &page.logs {
            let value: Value = serde_json::from_str(log).unwrap();
            let id = self.shared.lock().unwrap().vendor.id(&value);
            self.logs.insert(log.clone(), id);
            self.handed_on += 1;
        }
    }

    fn poll(&mut self) -> Polled {
        let (plugin, kind) = app(self.case.kind);
        let info = &plugin.apps()[kind];
        assert_eq!(plugin.validate(kind, &self.settings).unwrap(), [], "{}", self.case.kind);
        let is_secret = |name: &str| info.settings.iter().any(|setting| setting.secret && setting.name == name);
        let (secrets, settings) = self.settings.iter().cloned().partition(|(name, _)| is_secret(name));
        self.ask.now = (self.now() + self.skew) as u64;
        self.ask.settings = settings;
        let outside = outside(&self.url, info, &self.settings, secrets);
        plugin.poll(kind, &self.ask, &outside).unwrap_or_else(|error| panic!("{}: {error}", self.case.kind))
    }

    /// All events are there, each as one log, and each is of the log type.
    fn settle(&self) {
        let shared = self.shared.lock().unwrap();
        let wanted: BTreeSet<String> = shared.events.iter().map(|event| shared.vendor.id(&event.log)).collect();
        assert_eq!(wanted.len(), shared.events.len(), "the test's own events are not told apart");
        let got: BTreeSet<String> = self.logs.values().cloned().collect();
        let missing: Vec<&Event> =
            shared.events.iter().filter(|event| !got.contains(&shared.vendor.id(&event.log))).collect();
        let Case { kind, log_type, .. } = self.case;
        let total = wanted.len();
        assert!(
            missing.is_empty(),
            "{kind}, skew {}: {} of {total} are missing, as {:?}",
            self.skew,
            missing.len(),
            missing[0]
        );
        assert_eq!(got.difference(&wanted).next(), None, "{kind}: events that never happened");
        assert_eq!(self.logs.len(), total, "{kind}: some logs are there with two texts, so with two identities");
        println!(
            "{kind}, skew {}: {total} events, {} handed on, {} requests",
            self.skew,
            self.handed_on,
            shared.requests.len()
        );
        let clusters = json!({"id": "test", "data_sources": {"streamalert_app": {"test": [log_type]}}});
        let clusters = Clusters::read(&[("test.json".into(), clusters.to_string())], &SCHEMAS).unwrap();
        let classifier = Arc::new(Classifier::new(SCHEMAS.clone(), Arc::new(clusters)));
        let mut worker = classifier.worker();
        let source = Arc::new(Source::new("streamalert_app", "test", ""));
        for log in self.logs.keys() {
            let classified = worker.classify(Payload::new(source.clone(), 0, log.as_bytes()));
            let fault = classified.dead.first().map(|letter| letter.message.clone());
            assert_eq!(fault, None, "{kind}: {log}");
            let records = &classified.batch.records;
            assert_eq!((records.len(), records[0].log_type.name.as_str()), (1, *log_type), "{kind}: {log}");
        }
    }

    fn now(&self) -> i64 {
        self.shared.lock().unwrap().now
    }

    fn pass(&mut self, seconds: i64) {
        self.shared.lock().unwrap().now += seconds;
    }

    fn last_requests(&self) -> String {
        let shared = self.shared.lock().unwrap();
        let last = shared.requests.iter().rev().take(5);
        last.map(|seen| format!("{} {} {:?}\n", seen.method, seen.path, seen.query)).collect()
    }
}

/// A service at which all of this happened already, and nothing more does.
pub struct Quiet {
    shared: Arc<Mutex<Shared>>,
    pub url: String,
}

impl Quiet {
    pub fn start(vendor: Box<dyn Vendor>, events: Vec<Event>, now: i64) -> Self {
        let shared = Shared { vendor, events, now, trouble: vec![], requests: vec![] };
        let shared = Arc::new(Mutex::new(shared));
        Quiet { url: serve(shared.clone()), shared }
    }

    pub fn origin(&self) -> &str {
        self.url.trim_end_matches("/site")
    }

    pub fn requests(&self) -> usize {
        self.shared.lock().unwrap().requests.len()
    }
}

/// The file of a component that comes along.
pub fn component(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/example-rules").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: `make guests` builds it", path.display()))
}

/// Serves until the test's process ends. Says where.
fn serve(shared: Arc<Mutex<Shared>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away is no concern of the server's.
            let _ = one(stream, &shared, port);
        }
    });
    format!("http://127.0.0.1:{port}/site")
}

fn one(mut stream: TcpStream, shared: &Mutex<Shared>, port: u16) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some((_, mut seen)) = read(&stream)? else { return Ok(()) };
    seen.headers.insert("x-test-base".into(), format!("http://127.0.0.1:{port}/site"));
    let (reply, now) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(seen.clone());
        let now = shared.now;
        let reply = match shared.trouble.pop() {
            Some(Trouble::Limited) => shared.vendor.limited(now),
            Some(Trouble::Unavailable) => Reply::text(503, "come back later"),
            Some(Trouble::Cut) => return Ok(()),
            None => {
                let visible: Vec<Event> = shared.events.iter().filter(|event| event.stored <= now).cloned().collect();
                shared.vendor.answer(&seen, &visible, now)
            }
        };
        (reply, now)
    };
    let mut head =
        format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\nConnection: close\r\n", reply.status, reply.body.len());
    head += &format!("Date: {}\r\n", http_date(now));
    for (name, value) in reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(reply.body.as_bytes())
}

/// The base URL that the app was told, for links in answers.
pub fn base(seen: &Seen) -> &str {
    seen.header("x-test-base")
}

pub fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// RFC 3339 with milliseconds, UTC.
pub fn rfc3339(seconds: i64) -> String {
    format!("{}.000Z", jiff::Timestamp::from_second(seconds).unwrap().strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Seconds of an RFC 3339 time.
pub fn seconds(text: &str) -> Option<i64> {
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

/// A page of a list: `limit` items from number `from` on, and the number of the next one.
pub fn page<T: Clone>(all: &[T], from: usize, limit: usize) -> (Vec<T>, Option<usize>) {
    let end = (from + limit).min(all.len());
    let next = (end < all.len()).then_some(end);
    (all[from.min(all.len())..end].to_vec(), next)
}

fn outside(
    url: &str,
    info: &AppInfo,
    settings: &[(String, String)],
    secrets: Vec<(String, String)>,
) -> Arc<dyn Outside> {
    let origin = url.trim_end_matches("/site");
    let operator = HostRule::parse(origin).unwrap();
    let hosts = Policy::intersect(&info.hosts, settings, &[operator]);
    assert!(!hosts.is_empty(), "{} does not name {origin} among its hosts {:?}", info.name, info.hosts);
    let policy = Policy { private_networks: true, response_bytes: 8 << 20, ..Policy::new(hosts) };
    Arc::new(Door { policy, secrets })
}

struct Door {
    policy: Policy,
    secrets: Vec<(String, String)>,
}

impl Outside for Door {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        EGRESS.send(&self.policy, Instant::now() + Duration::from_secs(10), request)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}
