//! The SDK in Python: what its components cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_packed::Record;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{Batch, RulePlugin};
use streamalert_plugins::{Host, HostConfig, LoadCheck};

/// The checkout this test was built from.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_path_buf()
}

fn files(folder: PathBuf) -> Vec<(String, String)> {
    crate::reference::files(folder)
}

/// A day of CloudTrail from samples/, at most so many records.
fn cloudtrail(most: usize) -> LogBatch {
    let root = checkout();
    let schemas = Arc::new(Schemas::read(&files(root.join("conf/schemas"))).unwrap());
    let clusters = Arc::new(Clusters::read(&files(root.join("conf/clusters")), &schemas).unwrap());
    let mut lines = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(root.join("samples/cloudtrail")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        lines.extend(document["Records"].as_array().into_iter().flatten().map(ToString::to_string));
    }
    lines.truncate(most);
    let classifier = Arc::new(Classifier::new(schemas, clusters));
    let source = Arc::new(Source::new("file", "samples", "samples"));
    let classified = classifier.worker().classify(Payload::new(source, 0, lines.join("\n").as_bytes()));
    assert!(classified.dead.is_empty() && !classified.batch.records.is_empty());
    classified.batch
}

/// Prints what the component in `STREAMALERT_COSTS_OF` costs: loading, starting, and each of its rules by batch size.
#[test]
#[ignore = "prints figures; name a component in STREAMALERT_COSTS_OF"]
fn costs() {
    let Some(path) = std::env::var_os("STREAMALERT_COSTS_OF") else {
        return println!("STREAMALERT_COSTS_OF is not set");
    };
    let bytes = std::fs::read(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = HostConfig { cache_dir: Some(folder.path().join("cache")), ..HostConfig::default() };
    let host = Host::new(config).unwrap();
    let check = LoadCheck::any_log();
    let timed = |what: &str, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        println!("{what:<40} {:>12.1} µs", start.elapsed().as_nanos() as f64 / 1e3);
    };
    timed("load and compile", &mut || drop(host.load("costs", &bytes, &check).unwrap()));
    for _ in 0..3 {
        timed("load from the cache", &mut || drop(host.load("costs", &bytes, &check).unwrap()));
    }
    let component = host.load("costs", &bytes, &check).unwrap();
    let batch = cloudtrail(256);
    let views: Vec<Record<'_>> = (0..batch.records.len()).map(|index| batch.fields(index)).collect();
    println!("{} records, {} bytes packed", views.len(), Batch::new(0, views.iter().copied()).packed().len());
    let mut id = 1 << 40;
    for (number, rule) in component.rules().iter().enumerate() {
        for size in [1, 16, views.len()] {
            let rows: Vec<u32> = (0..size as u32).collect();
            let (mut best, mut fuel, mut findings) = (f64::INFINITY, 0, 0);
            let mut failed = None;
            for _ in 0..5 {
                let (start, mut rounds) = (Instant::now(), 0);
                while rounds == 0 || start.elapsed() < Duration::from_millis(60) {
                    id += 1;
                    let batch = Arc::new(Batch::new(id, views[..size].iter().copied()));
                    match component.open(&batch).evaluate(number, &rows) {
                        Ok(judged) => (fuel, findings) = (judged.fuel, judged.findings.len()),
                        Err(error) => failed = Some(error.to_string()),
                    }
                    rounds += 1;
                }
                best = best.min(start.elapsed().as_nanos() as f64 / (rounds * size) as f64);
            }
            let per_row = fuel / size as u64;
            println!(
                "{:<24} batch {size:>4}  {best:>9.0} ns, fuel {per_row:>7} per record, {findings} findings",
                rule.name
            );
            if let Some(error) = failed {
                println!("    failed: {error}");
                break;
            }
        }
    }
    // All rules of the component about the same rows, as the pipeline asks them.
    for size in [1, views.len()] {
        let rows: Vec<u32> = (0..size as u32).collect();
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let (start, mut rounds) = (Instant::now(), 0);
            while rounds == 0 || start.elapsed() < Duration::from_millis(60) {
                id += 1;
                let batch = Arc::new(Batch::new(id, views[..size].iter().copied()));
                let mut session = component.open(&batch);
                (0..component.rules().len()).for_each(|number| drop(session.evaluate(number, &rows)));
                rounds += 1;
            }
            best = best.min(start.elapsed().as_nanos() as f64 / (rounds * size) as f64);
        }
        println!("{:<24} batch {size:>4}  {best:>9.0} ns per record", "all rules");
    }
}

/// Prints the least fuel for a call about one record with a text of a megabyte.
#[test]
#[ignore = "prints figures; name a component in STREAMALERT_COSTS_OF"]
fn fuel_of_a_megabyte() {
    let bytes = std::fs::read(std::env::var_os("STREAMALERT_COSTS_OF").unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for fill in ["a", "é", "日"] {
        let text = fill.repeat((1 << 20) / fill.len());
        let record = serde_json::json!({"text": text, "want": ["text"]});
        let mut packed = Vec::new();
        streamalert_packed::Builder::json(&mut packed, &record);
        for millions in [5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200] {
            let limits =
                streamalert_plugins::PluginLimits { fuel_per_call_base: millions * 1_000_000, ..Default::default() };
            let cache_dir = Some(folder.path().join("cache"));
            let host = Host::new(HostConfig { limits, cache_dir, ..HostConfig::default() }).unwrap();
            let component = host.load("costs", &bytes, &LoadCheck::any_log()).unwrap();
            let number = component.rules().iter().position(|rule| rule.name == "edge_reads").unwrap();
            // SAFETY: just built.
            let batch = Arc::new(Batch::new(1, [unsafe { Record::trusted(&packed) }].into_iter()));
            match component.open(&batch).evaluate(number, &[0]) {
                Ok(judged) => {
                    println!("{fill}: {millions} million suffice: {}", judged.fuel);
                    break;
                }
                Err(error) => println!("{fill}: {millions} million: {error}"),
            }
        }
    }
}
