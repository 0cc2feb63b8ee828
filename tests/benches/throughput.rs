//! What a record costs, as a ratio to what CPython's bare `json.loads` does with the same inputs in the same run.
//!
//! `cargo bench --workspace --bench throughput`; it needs `python3` and the components of `make guests`.

use cpu_time::ThreadTime;
use mimalloc::MiMalloc;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use streamalert_archive::Archive;
use streamalert_archive::backtest::{Chosen, Options, Progress, Sides, backtest};
use streamalert_archive::convert::{Unknown, convert};
use streamalert_archive::journal::{Journal, Kind};
use streamalert_archive::table::Tables;
use streamalert_packed::Record;
use streamalert_pipeline::classifier::{Classifier, Worker};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{Batch, Condition, PluginSet, RuleInfo, RuleOptions, RulePlugin, RuleSession, Test};
use streamalert_pipeline::record_batch::RecordBatch;
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::measure::{Effort, measure};
use streamalert_plugins::{Host, HostConfig, LoadCheck, Plugin, RuleComponent};
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    if tried_only() {
        println!("throughput: every part is tried once; the figures mean nothing");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // A name as argument runs that part only.
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("samples") {
        Inputs::own(root).report(root);
    }
    if wanted("reference") {
        match Inputs::reference(root) {
            Some(reference) => reference.report(root),
            None => println!("\n(no reference data beside the checkout: its figures are left out)"),
        }
    }
    if wanted("rules") {
        rules_alone(root);
    }
    if wanted("prefilter") {
        prefilter(root);
    }
    if wanted("sandbox") {
        sandbox(root);
    }
}

/// Best work per CPU second over several rounds; `work` says how much it did.
fn best(mut work: impl FnMut() -> usize) -> f64 {
    if tried_only() {
        return work() as f64;
    }
    let mut best = 0.0f64;
    for _ in 0..9 {
        let start = ThreadTime::now();
        let mut done = 0;
        while start.elapsed() < Duration::from_millis(200) {
            done += work();
        }
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn yardstick(root: &Path, texts: &[String]) -> f64 {
    let mut child = Command::new("python3")
        .arg(root.join("tests/benches/yardstick.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed for the yardstick");
    child.stdin.take().unwrap().write_all(serde_json::to_string(texts).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("the yardstick prints a number")
}

struct Inputs {
    name: &'static str,
    schemas: Arc<Schemas>,
    clusters: Arc<Clusters>,
    /// (service, resource) and text.
    inputs: Vec<((String, String), String)>,
    /// Components for the second figure.
    rules: Vec<PathBuf>,
}

impl Inputs {
    /// The repository's samples: every line of the JSON-lines files, and every CloudTrail file as it is.
    fn own(root: &Path) -> Inputs {
        let schemas = Schemas::read(&files(&root.join("conf/schemas"))).unwrap();
        let clusters = Clusters::read(&files(&root.join("conf/clusters")), &schemas).unwrap();
        let mut inputs = Vec::new();
        for folder in std::fs::read_dir(root.join("samples")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir())
        {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
            paths.sort();
            for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "jsonl")) {
                let text = std::fs::read_to_string(path).unwrap();
                let lines = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok());
                inputs.extend(lines.map(|line| (("file".into(), "samples".into()), line.to_owned())));
            }
        }
        let rules = components(&root.join("target/guests/example-rules"));
        Inputs { name: "samples/", schemas: Arc::new(schemas), clusters: Arc::new(clusters), inputs, rules }
    }

    fn reference(root: &Path) -> Option<Inputs> {
        let folder = root.join("../shared/data/streamalert");
        let lines = std::fs::read_to_string(folder.join("inputs.jsonl")).ok()?;
        let schemas = Schemas::read(&files(&folder.join("schemas"))).unwrap();
        let clusters = Clusters::read(&files(&folder.join("conf/clusters")), &schemas).unwrap();
        let mut inputs = Vec::new();
        for line in lines.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = row["input"].as_str().map_or_else(|| row["input"].to_string(), str::to_owned);
            // The yardstick is JSON, and so are these log types.
            let log_type = schemas.get(row["log"].as_str().unwrap()).unwrap();
            if serde_json::from_str::<Value>(&text).is_ok() && log_type.parser.name() == "json" {
                let field = |name: &str| row[name].as_str().unwrap().to_owned();
                inputs.push(((field("service"), field("source")), text));
            }
        }
        let rules = components(&root.join("target/guests/bench-rules"))
            .into_iter()
            .filter(|path| path.file_name().is_some_and(|name| name == "bench_twelve.wasm"))
            .collect();
        Some(Inputs {
            name: "reference events",
            schemas: Arc::new(schemas),
            clusters: Arc::new(clusters),
            inputs,
            rules,
        })
    }

    fn report(&self, root: &Path) {
        let texts: Vec<String> = self.inputs.iter().map(|(_, text)| text.clone()).collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        println!("\n{}: {} inputs, {} bytes on average", self.name, texts.len(), bytes / texts.len());
        let before = yardstick(root, &texts);
        let classifier = Arc::new(Classifier::new(self.schemas.clone(), self.clusters.clone()));
        let payloads = self.payloads();
        let mut worker = classifier.worker();
        let per_round: usize = payloads.iter().map(|(_, inputs)| inputs).sum();

        let mut buffers = simd_json::Buffers::default();
        let mut tape = simd_json::Tape(Vec::new());
        let mut scratch: Vec<u8> = Vec::new();
        let bare = best(|| {
            for text in &texts {
                scratch.clear();
                scratch.extend_from_slice(text.as_bytes());
                let mut emptied = std::mem::replace(&mut tape, simd_json::Tape(Vec::new())).reset();
                simd_json::fill_tape(&mut scratch, &mut buffers, &mut emptied).unwrap();
                tape = emptied.reset();
            }
            texts.len()
        });
        let classified = best(|| {
            for (payload, _) in &payloads {
                std::hint::black_box(worker.classify(payload.clone()));
            }
            per_round
        });
        let single: Vec<Payload> =
            self.inputs.iter().map(|((service, resource), text)| payload(service, resource, text.as_bytes())).collect();
        let one_by_one = best(|| {
            for payload in &single {
                std::hint::black_box(worker.classify(payload.clone()));
            }
            single.len()
        });
        let host = Host::new(HostConfig::default()).unwrap();
        let set = PluginSet {
            plugins: self.rules.iter().filter_map(|path| Some(load(&host, path)? as Arc<dyn RulePlugin>)).collect(),
            ..PluginSet::default()
        };
        let count: usize = set.plugins.iter().map(|plugin| plugin.rules().len()).sum();
        let timed_rules = Rules::new(set.clone(), &self.schemas).timed_by(streamalert_local::clock::nanoseconds);
        let rules = Rules::new(set, &self.schemas);
        let (mut alerts, mut records) = (0, 0);
        let whole = best(|| {
            for (payload, _) in &payloads {
                let classified = worker.classify(payload.clone());
                let detected = rules.judge(&classified.batch, "2026-01-01T00:00:00Z");
                alerts += detected.alerts.len();
                records += classified.batch.records.len();
                std::hint::black_box(detected);
            }
            per_round
        });
        let timed = best(|| {
            for (payload, _) in &payloads {
                let classified = worker.classify(payload.clone());
                std::hint::black_box(timed_rules.judge(&classified.batch, "2026-01-01T00:00:00Z"));
            }
            per_round
        });
        let archived = self.archived(&mut worker);
        let sides = Sides { new: &rules, current: None, schemas: &self.schemas };
        let options = Options { threads: 1, examples: 3 };
        let backtested = best(|| backtest(&archived.chosen, &sides, &options, &Nobody).records as usize);
        let after = yardstick(root, &texts);
        let yard = before.max(after);
        println!("  {:<58} {:>12}", "", "per second");
        let line = |what: &str, rate: f64| println!("  {what:<58} {rate:>12.0}   ratio {:.2}", rate / yard);
        line("yardstick: json.loads", yard);
        line("simd-json to tape", bare);
        line("classification", classified);
        line("classification, each input a payload of its own", one_by_one);
        line(&format!("classification and {count} rules to alerts, in memory"), whole);
        line("the same, and the time that each rule takes", timed);
        println!("  ({:.1} % for taking the time of rules)", 100.0 * (whole / timed - 1.0));
        line("backtest: from the archive through the same rules", backtested);
        let each = archived.records as f64 / archived.inputs as f64;
        let share = backtested / (whole * each);
        println!("  (backtest: {share:.2} of the records that go through classification and rules)");
        println!("  ({:.0} % of the records raise an alert)", 100.0 * alerts as f64 / records.max(1) as f64);
        assert!(
            tried_only() || share >= BACKTEST_MIN,
            "a backtest has {share:.2} of the throughput in memory; {BACKTEST_MIN} is wanted"
        );
    }

    /// What a run would have kept of the inputs, several times over.
    fn archived(&self, worker: &mut Worker) -> Archived {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let journal = Journal::open(folder.path(), "bench").unwrap();
        let (mut records, mut inputs) = (0, 0);
        for number in 0..if tried_only() { 1 } else { ARCHIVED_TIMES } {
            for (payload, count) in self.payloads() {
                // Of an object of its own each time, so that no record is another's copy.
                let source = Source { object: format!("bench-{number}"), ..(*payload.source).clone() };
                let batch = worker.classify(Payload { source: Arc::new(source), ..payload }).batch;
                let texts: Vec<String> = RecordBatch::of(&batch, 0).iter().map(RecordBatch::to_text).collect();
                let frames: Vec<(Kind, &[u8])> = texts.iter().map(|text| (Kind::Records, text.as_bytes())).collect();
                journal.begin(&frames).unwrap();
                records += batch.records.len();
                inputs += count;
            }
        }
        let tables = Tables::of(&self.schemas);
        convert(&archive, &tables, &journal.close_all().unwrap().path, Unknown::Keep).unwrap();
        let mut chosen = Vec::new();
        for table in archive.tables().unwrap() {
            for hour in archive.hours(&table).unwrap() {
                let files = archive.files(&table, &hour).unwrap().into_iter();
                let (shown, table) = (String::new(), &table);
                chosen.extend(files.map(|file| Chosen {
                    file,
                    shown: shown.clone(),
                    table: table.clone(),
                    log_type: None,
                }));
            }
        }
        Archived { chosen, records, inputs, _folder: folder }
    }

    /// The inputs of each source behind one another, repeated to at least a full batch; with the number of inputs.
    fn payloads(&self) -> Vec<(Payload, usize)> {
        let mut by_source: BTreeMap<&(String, String), Vec<&str>> = BTreeMap::new();
        for (source, text) in &self.inputs {
            by_source.entry(source).or_default().push(text);
        }
        // Each source in the proportion it has among the inputs.
        by_source
            .into_iter()
            .map(|((service, resource), texts)| {
                let times = 256usize.div_ceil(self.inputs.len()).max(3);
                let mut bytes = Vec::new();
                for _ in 0..times {
                    for text in &texts {
                        bytes.extend_from_slice(text.as_bytes());
                        bytes.push(b'\n');
                    }
                }
                (payload(service, resource, &bytes), times * texts.len())
            })
            .collect()
    }
}

/// Of the records that go through classification and rules in the same time, so many go through a backtest at least.
const BACKTEST_MIN: f64 = 0.8;
/// How often the inputs are archived: hours have many records.
const ARCHIVED_TIMES: usize = 100;

struct Archived {
    chosen: Vec<Chosen>,
    records: usize,
    inputs: usize,
    _folder: tempfile::TempDir,
}

struct Nobody;

impl Progress for Nobody {
    fn length(&self, _: u64) {}
    fn done(&self, _: u64, _: u64) {}
}

fn payload(service: &str, resource: &str, bytes: &[u8]) -> Payload {
    let source = Source::new(service.to_owned(), resource.to_owned(), "bench".to_owned());
    Payload::new(Arc::new(source), 0, bytes)
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

fn components(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}; build the components with `make guests`", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    found.sort();
    found
}

/// The rules of a component; parsers, publishers and outputs lie in the same folder, and have none.
fn load(host: &Host, path: &Path) -> Option<Arc<RuleComponent>> {
    let name = path.file_name().unwrap().to_string_lossy();
    let plugin = host.load_plugin(&name, &std::fs::read(path).unwrap(), &LoadCheck::any_log());
    match plugin.unwrap_or_else(|error| panic!("{error}")) {
        Plugin::Rules(rules) => Some(rules),
        Plugin::Parser(_) | Plugin::Publishers(_) | Plugin::Output(_) | Plugin::Apps(_) => None,
    }
}

/// The CloudTrail records of the samples.
fn cloudtrail(root: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root.join("samples/cloudtrail")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        let mut text = String::new();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut text).unwrap();
        } else {
            text = String::from_utf8(bytes).unwrap();
        }
        let document: Value = serde_json::from_str(&text).unwrap();
        records.extend(
            document["Records"].as_array().into_iter().flatten().filter(|r| r["eventName"].is_string()).cloned(),
        );
    }
    records.truncate(256);
    records
}

/// They as the classifier makes them.
fn classified(root: &Path) -> LogBatch {
    let schemas = Arc::new(Schemas::read(&files(&root.join("conf/schemas"))).unwrap());
    let clusters = Arc::new(Clusters::read(&files(&root.join("conf/clusters")), &schemas).unwrap());
    let lines: Vec<String> = cloudtrail(root).iter().map(Value::to_string).collect();
    let classifier = Arc::new(Classifier::new(schemas, clusters));
    classifier.worker().classify(payload("file", "samples", lines.join("\n").as_bytes())).batch
}

/// Ten rules without conditions in one component, against the same ten as native code over `serde_json::Value`.
fn rules_alone(root: &Path) {
    let batch = classified(root);
    let views: Vec<Record<'_>> = (0..batch.records.len()).map(|index| batch.fields(index)).collect();
    let records: Vec<Value> = views.iter().map(|record| record.to_value()).collect();
    let host = Host::new(HostConfig::default()).unwrap();
    let component = load(&host, &root.join("target/guests/bench-rules/bench_native.wasm")).unwrap();
    let rows: Vec<u32> = (0..records.len() as u32).collect();
    let rules = component.rules().len();
    let mut findings = 0;
    let mut id = 1 << 40;
    let guest = best(|| {
        // Building the buffer for the guest is part of it.
        id += 1;
        let batch = Arc::new(Batch::new(id, views.iter().copied()));
        let mut session = component.open(&batch);
        findings = 0;
        for rule in 0..rules {
            findings += session.evaluate(rule, &rows).unwrap().findings.len();
        }
        rules * rows.len()
    });
    let mut hits = 0;
    let native = best(|| {
        hits = 0;
        for rule in NATIVE {
            hits += records.iter().filter(|record| rule(record)).count();
        }
        NATIVE.len() * records.len()
    });
    assert_eq!((findings, rules), (hits, NATIVE.len()), "the guest and the native rules disagree");
    println!("\nten rules without conditions, batch of {}, {hits} findings", records.len());
    println!("  native over serde_json::Value   {:>6.1} ns per rule and record", 1e9 / native);
    println!(
        "  component                       {:>6.1} ns per rule and record   ratio {:.2}",
        1e9 / guest,
        native / guest
    );
}

type Native = fn(&Value) -> bool;

fn at<'a>(record: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(record, |value, key| value.get(key))
}

fn text<'a>(record: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(record, path)?.as_str()
}

const NATIVE: [Native; 10] = [
    |r| text(r, &["eventName"]) == Some("ConsoleLogin") && text(r, &["userIdentity", "type"]) == Some("Root"),
    |r| text(r, &["eventName"]).is_some_and(|name| ["StopLogging", "DeleteTrail", "UpdateTrail"].contains(&name)),
    |r| text(r, &["eventSource"]) == Some("iam.amazonaws.com") && text(r, &["errorCode"]) == Some("AccessDenied"),
    |r| text(r, &["awsRegion"]).is_some_and(|region| region.starts_with("ap-") || region.starts_with("sa-")),
    |r| text(r, &["eventName"]) == Some("AssumeRole") && text(r, &["userAgent"]).is_some_and(|a| a.contains("kali")),
    |r| {
        text(r, &["eventName"]) == Some("AttachUserPolicy")
            && text(r, &["requestParameters", "policyArn"]).is_some_and(|arn| arn.ends_with("/AdministratorAccess"))
    },
    |r| {
        text(r, &["sourceIPAddress"]).is_some_and(|address| address.starts_with("203.0.113."))
            && text(r, &["userIdentity", "type"]) != Some("AWSService")
    },
    |r| {
        text(r, &["eventSource"]) == Some("secretsmanager.amazonaws.com")
            && text(r, &["userIdentity", "type"]) == Some("IAMUser")
    },
    |r| {
        text(r, &["userIdentity", "type"]) == Some("Root")
            && at(r, &["readOnly"]).and_then(Value::as_bool) == Some(false)
    },
    |r| match (text(r, &["recipientAccountId"]), text(r, &["userIdentity", "accountId"])) {
        (Some(recipient), Some(caller)) => recipient != caller,
        _ => false,
    },
];

/// Rules that exist only to be indexed; nobody gets as far as asking them.
struct Indexed(Vec<RuleInfo>);

impl RulePlugin for Indexed {
    fn name(&self) -> &str {
        "indexed"
    }
    fn digest(&self) -> &str {
        ""
    }
    fn rules(&self) -> &[RuleInfo] {
        &self.0
    }
    fn open<'a>(&'a self, _: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        Box::new(Silent)
    }
}

struct Silent;

impl RuleSession for Silent {
    fn evaluate(
        &mut self,
        _: usize,
        _: &[u32],
    ) -> Result<streamalert_pipeline::plugin::Judged, streamalert_pipeline::plugin::PluginError> {
        Ok(Default::default())
    }
}

/// A thousand rules with conditions against ten, over the same records.
fn prefilter(root: &Path) {
    let schemas = Schemas::read(&files(&root.join("conf/schemas"))).unwrap();
    let batch = &classified(root);
    println!("\nprefilter over {} records", batch.records.len());
    let mut costs = Vec::new();
    for count in [10, 100, 1000] {
        let rules = (0..count).map(indexed_rule).collect();
        let set = PluginSet { plugins: vec![Arc::new(Indexed(rules))], ..PluginSet::default() };
        let rules = Rules::new(set, &schemas);
        let rate = best(|| {
            std::hint::black_box(rules.judge(batch, ""));
            batch.records.len()
        });
        costs.push(1e9 / rate);
        println!(
            "  {count:>5} rules   {:>6.1} ns per record   ratio {:.2}",
            1e9 / rate,
            costs[costs.len() - 1] / costs[0]
        );
    }
}

/// One in ten asks for something that occurs; all have a condition more than the one they are filed under.
fn indexed_rule(number: usize) -> RuleInfo {
    let occurs = ["ConsoleLogin", "GetObject", "AssumeRole", "DescribeInstances", "GetSecretValue"];
    let name = if number < 10 { occurs[number % 5].to_owned() } else { format!("Event{number}") };
    let second = Condition { path: "awsRegion".into(), test: Test::Prefix(vec!["us-".into(), "eu-".into()]) };
    let first = match number % 4 {
        0 => Condition { path: "eventName".into(), test: Test::Equals(vec![name.into()]) },
        1 => Condition { path: "eventName".into(), test: Test::Prefix(vec![name]) },
        2 => Condition { path: "userIdentity.arn".into(), test: Test::Contains(vec![format!("user/{name}")]) },
        _ => Condition { path: "requestParameters.policyArn".into(), test: Test::Suffix(vec![name]) },
    };
    RuleInfo {
        name: format!("rule_{number}"),
        description: String::new(),
        logs: vec!["cloudtrail:events".into()],
        when: vec![first, second],
        options: RuleOptions::default(),
    }
}

/// What the sandbox itself costs.
fn sandbox(root: &Path) {
    let path = root.join("target/guests/bench-rules/bench_native.wasm");
    let batch = classified(root);
    let views: Vec<Record<'_>> = (0..batch.records.len()).map(|index| batch.fields(index)).collect();
    let bytes = std::fs::read(&path).unwrap();
    let effort = if tried_only() { Effort::Tried } else { Effort::Measured };
    let measured = measure(&bytes, views.into_iter(), effort).unwrap();
    println!("\nsandbox, medians; component of {} KB", bytes.len() >> 10);
    println!("  create an instance          {:>9.1} µs", measured.create as f64 / 1e3);
    println!("  load a cached component     {:>9.1} µs", measured.load_cached as f64 / 1e3);
    println!("  load and compile            {:>9.1} µs", measured.load_compiling as f64 / 1e3);
    println!("  open a session and call     {:>9.1} µs", measured.session as f64 / 1e3);
    println!("  one more call               {:>9.1} µs", measured.call as f64 / 1e3);
}
