//! What alerts cost after the rules: storing them, merging them, and how soon the first attempt to deliver begins.
//!
//! `cargo bench --workspace --bench alerts`; parts: `store`, `merge`, `wait`.

use arc_swap::ArcSwap;
use mimalloc::MiMalloc;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_delivery::{Post, Setup, real_clock};
use streamalert_local::clock::millis;
use streamalert_local::native_outputs::native_outputs;
use streamalert_local::secrets::SecretFile;
use streamalert_local::sqlite::SqliteAlerts;
use streamalert_pipeline::alert::{Alert, Merge};
use streamalert_pipeline::alert_merger::waiting;
use streamalert_pipeline::backend::{AlertTable, NewAlert};
use streamalert_pipeline::config::Outputs;
use streamalert_pipeline::live::{Base, Live};
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::plugin::{
    Disposition, Nowhere, OutputInfo, OutputOptions, OutputPlugin, Outside, Parcel, PluginError, PluginSet,
    SettingFault,
};
use streamalert_pipeline::time::rfc3339;
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    if tried_only() {
        println!("alerts: every part is tried once; the figures mean nothing");
    }
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("store") {
        store();
    }
    if wanted("merge") {
        merge();
    }
    if wanted("wait") {
        wait();
    }
}

/// A CloudTrail record of usual size, 1.2 KB.
fn alert(number: usize, outputs: &[&str]) -> Alert {
    let record = json!({
        "eventVersion": "1.08", "eventID": format!("{number:032x}"), "eventTime": "2026-01-02T03:04:05Z",
        "eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.7", "userAgent": "Mozilla/5.0 ".repeat(20),
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ann", "accountId": "123456789012"},
        "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No", "x": "y".repeat(300)},
        "user": format!("user-{}", number % 1_000),
    });
    let alert = json!({
        "id": format!("{number:032x}"), "rule_name": "console_login", "title": "A console login", "severity": "high",
        "rule_description": "Somebody signed in.", "created": rfc3339(millis()), "event_time": null, "cluster": "prod",
        "log_source": "cloudtrail:events", "log_type": "json", "source": Source::new("s3", "bucket", "key"),
        "position": Position { offset: 0, length: 1, index: 0 }, "outputs": outputs, "publishers": null, "merge": null,
        "dedup_key": null, "tags": [], "references": [], "context": {}, "record": record, "staged": false,
        "component_digest": "0".repeat(64), "host_version": "0.1.0", "fuel": 1,
    });
    serde_json::from_value(alert).unwrap()
}

/// The writer's usual and largest batches.
const BATCHES: [usize; 2] = [256, 4_096];

fn store() {
    println!("\nalerts stored and made due, each to one output, on disk when it is said so (wanted: 20,000 a second)");
    for batch in BATCHES {
        let folder = tempfile::tempdir_in(target()).unwrap();
        let table = SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap();
        let count = if tried_only() { batch } else { 40_960 };
        let alerts: Vec<Alert> = (0..count).map(|number| alert(number, &["slack:security"])).collect();
        let started = Instant::now();
        for alerts in alerts.chunks(batch) {
            let new: Vec<NewAlert<'_>> =
                alerts.iter().map(|alert| NewAlert { alert, waiting: None, undeliverable: vec![] }).collect();
            table.add(&new, millis()).unwrap();
        }
        let rate = alerts.len() as f64 / started.elapsed().as_secs_f64();
        println!("  batches of {batch:>5}  {rate:>10.0} a second");
    }
}

/// On the disk the build is on: the system's folder for temporary files may be in memory.
fn target() -> std::path::PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().to_path_buf()
}

fn merge() {
    let folder = tempfile::tempdir_in(target()).unwrap();
    let table = Arc::new(SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap());
    let post = post(table.clone(), folder.path(), PluginSet::default(), r#"{"slack": ["security"]}"#);
    let count = if tried_only() { 4_096 } else { 100_000 };
    for start in (0..count).step_by(4_096) {
        let alerts: Vec<Alert> = (start..(start + 4_096).min(count))
            .map(|number| Alert {
                merge: Some(Merge { max: 1_000, ..Merge::new(["user"], 5) }),
                ..alert(number, &["slack:security"])
            })
            .collect();
        let new: Vec<NewAlert<'_>> =
            alerts.iter().map(|alert| NewAlert { alert, waiting: waiting(alert), undeliverable: vec![] }).collect();
        table.add(&new, millis()).unwrap();
    }
    let before = memory();
    let started = Instant::now();
    let mut groups = 0;
    loop {
        match post.merge(i64::MAX).unwrap() {
            0 => break,
            folded => groups += folded,
        }
    }
    let took = started.elapsed().as_secs_f64();
    println!(
        "\nmerging {count} waiting alerts in {groups} groups: {took:.1} s, memory grew by {} MB",
        memory().saturating_sub(before) >> 20
    );
}

/// The most memory this process has had, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes << 10)
}

fn post(table: Arc<SqliteAlerts>, folder: &std::path::Path, set: PluginSet, outputs: &str) -> Arc<Post> {
    Post::new(Setup {
        table,
        live: Arc::new(ArcSwap::from_pointee(Live::new(set, &Base::default(), None).0)),
        outputs: Arc::new(ArcSwap::from_pointee(Outputs::read("outputs.json", outputs).unwrap())),
        secrets: Arc::new(SecretFile::new(folder.join("secrets.json"), std::iter::empty())),
        world: Arc::new(Nowhere),
        native: native_outputs(folder.join("outputs")),
        clock: real_clock(),
    })
}

/// A service that takes so long to answer.
struct Slow(OutputInfo, Duration);

impl OutputPlugin for Slow {
    fn name(&self) -> &str {
        "slow.wasm"
    }
    fn digest(&self) -> &str {
        "00"
    }
    fn info(&self) -> &OutputInfo {
        &self.0
    }
    fn validate(&self, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(vec![])
    }
    fn deliver(&self, _: &Parcel, _: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        std::thread::sleep(self.1);
        Ok(Disposition::Delivered(None))
    }
}

const SECONDS: usize = 10;
const RATE: usize = 1_000;

fn wait() {
    let folder = tempfile::tempdir_in(target()).unwrap();
    let table = Arc::new(SqliteAlerts::open(&folder.path().join("alerts.sqlite")).unwrap());
    let options = OutputOptions { rate: Some(5_000.0), idempotent: true };
    let info = OutputInfo { service: "slow".into(), options, ..OutputInfo::default() };
    let set = PluginSet { outputs: vec![Arc::new(Slow(info, Duration::from_millis(2)))], ..PluginSet::default() };
    let post = post(table, folder.path(), set, r#"{"slow": {"x": {"concurrency": 8}}}"#);
    post.start().unwrap();
    // Every 20 ms what came meanwhile, as the writer of a run does.
    let every = Duration::from_millis(20);
    let batch = RATE * every.as_millis() as usize / 1_000;
    let started = Instant::now();
    let seconds = if tried_only() { 1 } else { SECONDS };
    for number in 0..seconds * RATE / batch {
        let mut alerts: Vec<Alert> =
            (0..batch).map(|index| alert(number * batch + index, &["slow:x", "file:audit"])).collect();
        post.take(&mut alerts).unwrap();
        post.wake(alerts.iter()).unwrap();
        std::thread::sleep((started + every * (number as u32 + 1)).saturating_duration_since(Instant::now()));
    }
    post.drain(Duration::from_secs(30)).unwrap();
    post.stop();
    println!(
        "\nfrom an alert to the first attempt to deliver it, {RATE} alerts a second for {seconds} s (wanted: 99 % within 250 ms)"
    );
    for (output, counts) in post.metrics.counts() {
        let told =
            |part| counts.waited.quantile(part).map_or("more than a minute".into(), |end| format!("<= {end} ms"));
        println!("  {output:<12} {:>6} delivered, half {}, 99 % {}", counts.delivered, told(0.5), told(0.99));
    }
}
