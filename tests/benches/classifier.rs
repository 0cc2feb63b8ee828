//! What the classifier costs: all log types through one source, ten times as many schemas, text formats, gzip. Ratios are
//! within one run.
//!
//! `cargo bench --workspace --bench classifier`; the first part needs `python3` and reference data beside the checkout.

use cpu_time::ThreadTime;
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use streamalert_formats::{Fields, csv, kv, syslog};
use streamalert_intake::{Piece, Pieces};
use streamalert_pipeline::classifier::{Classifier, Framing};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{Payload, Source};
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    if tried_only() {
        println!("classifier: every part is tried once; the figures mean nothing");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("one_source") {
        one_source(root);
    }
    if wanted("texts") {
        texts();
    }
    if wanted("gzip") {
        gzip();
    }
}

/// The best of some rounds, in units of work a second of processor time.
fn best(mut work: impl FnMut() -> usize) -> f64 {
    if tried_only() {
        return work() as f64;
    }
    let mut best: f64 = 0.0;
    for _ in 0..7 {
        let start = ThreadTime::now();
        let mut done = 0;
        while start.elapsed() < Duration::from_millis(400) {
            done += work();
        }
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    best
}

fn classifier(schemas: Schemas, service: &str, resource: &str, logs: &[&str]) -> Arc<Classifier> {
    let clusters = json!({"data_sources": {service: {resource: logs}}}).to_string();
    let clusters = Clusters::read(&[("c.json".to_owned(), clusters)], &schemas).unwrap();
    Arc::new(Classifier::new(Arc::new(schemas), Arc::new(clusters)))
}

fn one_source(root: &Path) {
    let folder = root.join("../shared/data/streamalert");
    let Ok(lines) = std::fs::read_to_string(folder.join("inputs.jsonl")) else {
        println!("\n(no reference data beside the checkout: the figures for one source are left out)");
        return;
    };
    let inputs: Vec<String> = lines
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            row["input"].as_str().map_or_else(|| row["input"].to_string(), str::to_owned)
        })
        .collect();
    let json: Vec<&String> = inputs.iter().filter(|text| serde_json::from_str::<Value>(text).is_ok()).collect();
    let files: Vec<(String, String)> = std::fs::read_dir(folder.join("schemas"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    let mut names: Vec<String> = Vec::new();
    let mut more = files.clone();
    for (file, text) in &files {
        let types: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
        names.extend(types.keys().cloned());
        // Others like them, which differ in the name of one field: no type fits by chance, and all are near.
        for copy in 1..10 {
            let copies: serde_json::Map<String, Value> = types
                .iter()
                .map(|(name, log_type)| {
                    let mut log_type = log_type.clone();
                    let fields = log_type["schema"].as_object_mut().unwrap();
                    let first = fields.keys().next().unwrap().clone();
                    let renamed = format!("{first}_{copy}");
                    let old = std::mem::take(fields);
                    *fields = old
                        .into_iter()
                        .map(|(key, kind)| if key == first { (renamed.clone(), kind) } else { (key, kind) })
                        .collect();
                    let options = log_type.get_mut("configuration").and_then(Value::as_object_mut);
                    for option in options.into_iter().flat_map(|options| options.values_mut()) {
                        match option {
                            Value::Array(names) => names.retain(|name| *name != first),
                            Value::Object(names) if names.contains_key(&first) => drop(names.remove(&first)),
                            _ => {}
                        }
                    }
                    (format!("copy{copy}_{name}"), log_type)
                })
                .collect();
            more.push((format!("copy{copy}_{file}"), Value::Object(copies).to_string()));
        }
    }
    let yard = yardstick(root, &json);
    println!(
        "\none S3 source, {} events, {} bytes on average",
        inputs.len(),
        inputs.iter().map(String::len).sum::<usize>() / inputs.len()
    );
    println!("  {:<58} {:>12}", "", "per second");
    println!("  {:<58} {:>12.0}", "yardstick: json.loads of those that are JSON", yard);
    let mut few = 0.0;
    for (files, what) in [(files, "classification"), (more, "classification")] {
        let schemas = Schemas::read(&files).unwrap();
        let count = schemas.len();
        let all: Vec<String> = schemas.iter().map(|log_type| log_type.name.clone()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let classifier = classifier(schemas, "s3", "bucket", &all);
        let mut worker = classifier.worker();
        let mut bytes = Vec::new();
        for text in &inputs {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
        }
        let bytes = bytes.repeat(4);
        let payload = Payload::new(Arc::new(Source::new("s3", "bucket", "key")), 0, bytes);
        let classified = worker.classify(payload.clone());
        let (records, dead) = (classified.batch.records.len(), classified.dead.len());
        let rate = best(|| {
            std::hint::black_box(worker.classify(payload.clone()));
            4 * inputs.len()
        });
        println!(
            "  {:<58} {rate:>12.0}   ratio {:.2}{}",
            format!("{what} among {count} log types ({} records, {} dead)", records / 4, dead / 4),
            rate / yard,
            if few > 0.0 { format!(", {:.2} of the first", rate / few) } else { String::new() }
        );
        few = rate;
    }
}

fn yardstick(root: &Path, texts: &[&String]) -> f64 {
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

const TEXTS: &str = r#"{
  "csv": {"parser": "csv", "schema": {"time": "string", "user": "string", "action": "string", "ip": "string", "bytes": "integer", "status": "integer", "agent": "string", "note": "string"}},
  "kv": {"parser": "kv", "schema": {"date": "string", "time": "string", "devname": "string", "srcip": "string", "srcport": "integer", "dstip": "string", "dstport": "integer", "action": "string", "policyid": "integer", "msg": "string"}},
  "syslog": {"parser": "syslog", "schema": {"timestamp": "string", "host": "string", "application": "string", "message": "string"}}
}"#;

fn texts() {
    println!("\ntext formats, MB of input a second and core");
    println!("  {:<14} {:>16} {:>22}", "", "its crate alone", "to classified records");
    let mut rows = (String::new(), String::new(), String::new());
    for n in 0..4_000u32 {
        let ip = format!("10.{}.{}.{}", n % 7, n % 250, n % 199);
        let _ = writeln!(
            rows.0,
            "2026-01-01T00:00:{:02}Z,user{},ListBuckets,{ip},{},200,\"aws-cli/2.0, Linux\",a note of some words",
            n % 60,
            n % 90,
            n * 37
        );
        let _ = writeln!(
            rows.1,
            "date=2026-01-01 time=00:00:{:02} devname=FW-{} srcip={ip} srcport={} dstip=192.0.2.7 dstport=443 action=accept policyid={} msg=\"session closed by client\"",
            n % 60,
            n % 5,
            1024 + n,
            n % 40
        );
        let _ = writeln!(
            rows.2,
            "<86>Jan 10 19:{:02}:{:02} host{}.example.com sshd[{}]: Accepted publickey for user{} from {ip} port {} ssh2: RSA SHA256:abcdef",
            n % 60,
            n % 59,
            n % 20,
            1000 + n,
            n % 90,
            1024 + n
        );
    }
    for (name, text) in [("csv", &rows.0), ("kv", &rows.1), ("syslog", &rows.2)] {
        let alone = match name {
            "csv" => best(|| {
                let mut reader = csv_core::Reader::new();
                let (mut input, mut cells, mut ends) = (text.as_bytes(), [0u8; 4096], [0usize; 64]);
                loop {
                    let (result, read, ..) = reader.read_record(input, &mut cells, &mut ends);
                    input = &input[read..];
                    if matches!(result, csv_core::ReadRecordResult::End) {
                        break;
                    }
                }
                text.len()
            }),
            "kv" => best(|| {
                let dialect =
                    kv::Dialect { delimiter: " ".into(), separator: "=".into(), quote: Some('"'), escape: None };
                let mut fields: Fields<'_> = Vec::new();
                for line in text.lines() {
                    fields.clear();
                    kv::parse(line, &dialect, &mut fields).unwrap();
                }
                text.len()
            }),
            _ => best(|| {
                let mut fields: Fields<'_> = Vec::new();
                for line in text.lines() {
                    fields.clear();
                    syslog::parse(line, &mut fields).unwrap();
                }
                text.len()
            }),
        };
        let schemas = Schemas::read(&[("t.json".to_owned(), TEXTS.to_owned())]).unwrap();
        let classifier = classifier(schemas, "s3", "bucket", &[name]);
        let mut worker = classifier.worker();
        let payload = Payload::new(Arc::new(Source::new("s3", "bucket", "key")), 0, text.as_bytes());
        let classified = worker.classify(payload.clone());
        assert_eq!(
            (classified.batch.records.len(), classified.dead.len()),
            (4_000, 0),
            "{:?}",
            classified.dead.first()
        );
        let records = best(|| {
            std::hint::black_box(worker.classify(payload.clone()));
            text.len()
        });
        println!("  {name:<14} {:>16.0} {:>22.0}   ratio {:.2}", alone / 1e6, records / 1e6, records / alone);
    }
    let mut cells = csv::Cells::default();
    let own = best(|| {
        let mut at = 0;
        while at < rows.0.len() {
            at += csv::row(&rows.0[at..], &csv::Dialect::default(), &mut cells);
        }
        rows.0.len()
    });
    println!("  (our csv reader alone: {:.0})", own / 1e6);
}

fn gzip() {
    let mut text = String::new();
    for n in 0..60_000u64 {
        let _ = writeln!(
            text,
            "{{\"id\":{n},\"who\":\"user{}\",\"price\":{}.5,\"paid\":true,\"items\":[{n},{}],\"extra\":{{\"agent\":\"aws-cli/2.{} Linux\",\"token\":\"{:016x}\"}}}}",
            n % 97,
            n % 1000,
            n * 7,
            n % 13,
            n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        );
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let schema = r#"{"order": {"parser": "json", "schema": {"id": "integer", "who": "string", "price": "float", "paid": "boolean", "items": [], "extra": {}}}}"#;
    let schemas = Schemas::read(&[("s.json".to_owned(), schema.to_owned())]).unwrap();
    let classifier = classifier(schemas, "s3", "bucket", &["order"]);
    let mut worker = classifier.worker();
    let source = Arc::new(Source::new("s3", "bucket", "key"));
    let mut plain = Vec::new();
    let alone = 1.0
        / best(|| {
            plain.clear();
            flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
            1
        });
    let mut payloads = Vec::new();
    let mut pieces = Pieces::new(source.clone(), text.as_bytes(), Framing::default());
    while let Some(Piece::Payload(payload)) = pieces.read_piece().unwrap() {
        payloads.push(payload);
    }
    let parsed = 1.0
        / best(|| {
            for payload in &payloads {
                std::hint::black_box(worker.classify(payload.clone()));
            }
            1
        });
    let whole = 1.0
        / best(|| {
            let mut pieces = Pieces::new(source.clone(), &packed[..], Framing::default());
            while let Some(Piece::Payload(payload)) = pieces.read_piece().unwrap() {
                std::hint::black_box(worker.classify(payload));
            }
            1
        });
    println!(
        "\ngzip, {:.1} MB that unpack to {:.1} MB, milliseconds",
        packed.len() as f64 / 1e6,
        text.len() as f64 / 1e6
    );
    println!(
        "  decompression alone {:.1}, classification alone {:.1}, both as a run does them {:.1}: {:.2} times the sum",
        alone * 1e3,
        parsed * 1e3,
        whole * 1e3,
        whole / (alone + parsed)
    );
}
