//! What a delivery costs beside the network.
//!
//! `cargo bench --workspace --bench delivery`; it needs the components of `make guests`.

use mimalloc::MiMalloc;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use streamalert_pipeline::plugin::Parcel;
use streamalert_plugins::measure::{Effort, measure_output, measure_publisher};
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    if tried_only() {
        println!("delivery: every part is tried once; the figures mean nothing");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // A name as argument runs that part only.
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("output_call") {
        output_call(root);
    }
}

/// A CloudTrail event of the samples as an alert, as JSON.
fn alert(root: &Path) -> Map<String, Value> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("samples/cloudtrail")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let events = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let record =
        events.filter_map(|text| serde_json::from_str::<Value>(&text).ok()?["Records"][0].as_object().cloned());
    let record = record.max_by_key(|record| record.len()).expect("samples/cloudtrail holds CloudTrail files");
    let alert = json!({
        "id": "3f9c1e0b7a5d4826",
        "rule_name": "root_console_login",
        "title": "Root logged in without MFA",
        "severity": "high",
        "rule_description": "Somebody logged in as root.",
        "created": "2026-01-02T03:04:05Z",
        "event_time": "2026-01-02T03:03:59Z",
        "cluster": "prod",
        "log_source": "cloudtrail:events",
        "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
        "outputs": ["slack:security"],
        "tags": ["aws"],
        "references": ["https://example.com/runbooks/root"],
        "context": {"account": "123456789012"},
        "record": record,
    });
    let Value::Object(alert) = alert else { unreachable!() };
    alert
}

fn output_call(root: &Path) {
    let alert = alert(root);
    let text = serde_json::to_string(&alert).unwrap();
    let parcel = Parcel {
        descriptor: "security".into(),
        idempotency_key: "0123456789abcdef0123456789abcdef".into(),
        attempt: 1,
        now: 1_767_323_045,
        alert: text.clone(),
        publication: text.clone(),
        settings: vec![],
        progress: None,
    };
    let secrets = vec![("url".to_owned(), "https://hooks.slack.com/services/T0000/B0000/0123456789abcdef".to_owned())];
    let folder = root.join("target/guests/example-rules");
    let effort = if tried_only() { Effort::Tried } else { Effort::Measured };
    println!("\noutputs, one call, an alert of {} bytes, a service that answers at once", text.len());
    for name in ["slack", "webhook", "discord", "teams"] {
        let Ok(bytes) = std::fs::read(folder.join(name).with_extension("wasm")) else { continue };
        let measured = measure_output(&bytes, &parcel, secrets.clone(), effort).unwrap();
        println!(
            "  {name:<10} {:>7.1} µs, of which {:>5.1} µs are the instance; fuel {:>8}, requests {}",
            measured.deliver as f64 / 1e3,
            measured.instance as f64 / 1e3,
            measured.fuel,
            measured.requests,
        );
    }
    let bytes = std::fs::read(folder.join("northwind_publishers.wasm")).expect("make guests builds it");
    for (number, name) in ["cloudtrail_link", "masked"].into_iter().enumerate() {
        let nanoseconds = measure_publisher(&bytes, number, &text, &text, effort).unwrap();
        println!("  publisher {name:<16} {:>7.1} µs", nanoseconds as f64 / 1e3);
    }
}
