//! What the same rule costs in every language: its component, its build, its start, its memory, a record.
//!
//! `cargo bench --workspace --bench languages`; it builds `example-rules/root-login` with the program of `make dev`, for each language whose
//! tools are here. `UPDATE_EXPECT=1` puts the table into rule-sdk/README.md.

use cpu_time::ThreadTime;
use mimalloc::MiMalloc;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_packed::{Builder, Record};
use streamalert_pipeline::plugin::{Batch, RulePlugin};
use streamalert_plugins::measure::memory_after;
use streamalert_plugins::{Host, HostConfig, LoadCheck};
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Folder, name, the file that a change is made in, what begins a comment there, and a tool that shows whether it can be built.
const LANGUAGES: [(&str, &str, &str, &str, &str); 6] = [
    ("rust", "Rust", "src/lib.rs", "//", "cargo"),
    ("assemblyscript", "AssemblyScript", "assembly/index.ts", "//", "node"),
    ("c", "C", "root_login.c", "//", "python3"),
    ("go", "Go", "root_login.go", "//", "go"),
    ("js", "JavaScript", "src/index.js", "//", "node"),
    ("python", "Python", "root_login.py", "#", "python3"),
];

const BATCHES: [usize; 2] = [1, 256];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap();
    if tried_only() {
        println!("languages: every part is tried once, with what is built fast; the figures mean nothing");
    }
    let mut table = "| | component | build | first load | load from the cache | memory | a record alone | of 256 | same build, same bytes |\n|---|--:|--:|--:|--:|--:|--:|--:|---|\n".to_owned();
    for (language, name, source, comment, tool) in LANGUAGES {
        if Command::new(tool).arg(if tool == "go" { "version" } else { "--version" }).output().is_err() {
            println!("{language} is passed over: there is no {tool}");
            continue;
        }
        if tried_only() && !["assemblyscript", "c"].contains(&language) {
            continue;
        }
        let row = measure(&root, language, source, comment);
        table += &format!("| {name} | {row} |\n");
    }
    println!("{table}");
    if std::env::var_os("UPDATE_EXPECT").is_some() && !tried_only() {
        update(&root.join("rule-sdk/README.md"), &table);
    }
}

fn measure(root: &Path, language: &str, source: &str, comment: &str) -> String {
    // As deep as the examples, so that paths to the SDK hold.
    let folder = root.join("target/root-login").join(language);
    copy(&root.join("example-rules/root-login").join(language), &folder);
    let before = build(root, &folder);
    // One that is not made anew for want of a change.
    let text = std::fs::read_to_string(folder.join(source)).unwrap();
    std::fs::write(folder.join(source), format!("{text}{comment} {:?}\n", std::time::SystemTime::now())).unwrap();
    let begun = Instant::now();
    let bytes = build(root, &folder);
    let built = begun.elapsed();

    let cache = tempfile::tempdir().unwrap();
    let config = HostConfig { cache_dir: Some(cache.path().join("compiled")), ..HostConfig::default() };
    let host = Host::new(config).unwrap();
    let load = || {
        let begun = Instant::now();
        let component = host.load("root_login.wasm", &bytes, &LoadCheck::any_log()).unwrap();
        (begun.elapsed(), component)
    };
    let (first, component) = load();
    let rounds = if tried_only() { 1 } else { 15 };
    let mut loads: Vec<Duration> = (0..rounds).map(|_| load().0).collect();
    loads.sort();

    let packed = record(root);
    // SAFETY: just built.
    let records = |count: usize| vec![&packed; count].into_iter().map(|bytes| unsafe { Record::trusted(bytes) });
    let memory = memory_after(&host, &bytes, records(256)).unwrap();
    let mut next = 0;
    let per_record = BATCHES.map(|size| {
        let rows: Vec<u32> = (0..size as u32).collect();
        let mut best = f64::MAX;
        for _ in 0..if tried_only() { 1 } else { 30 } {
            // Each batch comes once, as in a run: what a guest keeps of one is of no use for the next.
            let count = if tried_only() { 1 } else { (2_000 / size).max(20) };
            let batches: Vec<Arc<Batch>> = (0..count)
                .map(|_| {
                    next += 1;
                    Arc::new(Batch::new(next, records(size)))
                })
                .collect();
            let begun = ThreadTime::now();
            for batch in &batches {
                let judged = component.open(batch).evaluate(0, &rows).unwrap();
                assert_eq!(judged.findings.len(), size);
            }
            best = best.min(begun.elapsed().as_secs_f64() * 1e9 / (count * size) as f64);
        }
        best
    });
    format!(
        "{} | {:.1} s | {} | {} | {:.1} MiB | {} ns | {} ns | {}",
        size(bytes.len()),
        built.as_secs_f64(),
        millis(first),
        millis(loads[loads.len() / 2]),
        memory as f64 / f64::from(1 << 20),
        figures(per_record[0]),
        figures(per_record[1]),
        if before == bytes { "yes" } else { "no" },
    )
}

/// The folder of a rule, without what was built in it.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        std::fs::create_dir_all(to.join(&folder)).unwrap();
        for entry in std::fs::read_dir(from.join(&folder)).unwrap().map(Result::unwrap) {
            let name = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true if ["target", "node_modules", "__pycache__"].iter().any(|built| entry.file_name() == *built) => {}
                true => waiting.push(name),
                false => drop(std::fs::copy(entry.path(), to.join(name)).unwrap()),
            }
        }
    }
}

/// As its author builds it, with the tools at hand.
fn build(root: &Path, folder: &Path) -> Vec<u8> {
    let out = folder.join("out");
    for built in [&out, &folder.join("target/plugins")] {
        let _ = std::fs::remove_dir_all(built);
    }
    let program = root.join("target/debug/streamalert");
    let mut command = Command::new(&program);
    // The program compiles what it looks at; it is measured below.
    command.arg("build").arg(folder).arg("--out").arg(&out).env("CARGO_TARGET_DIR", root.join("target/fresh-cargo"));
    let output =
        command.output().unwrap_or_else(|error| panic!("{}: {error}; `make dev` builds it", program.display()));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let file = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).next().expect("a component");
    std::fs::read(file).unwrap()
}

/// A login that the rule reports, packed.
fn record(root: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(root.join("example-rules/root-login/cases/root_login.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let mut bytes = Vec::new();
    Builder::json(&mut bytes, &cases[0]["data"]["Records"][0]);
    bytes
}

fn update(readme: &Path, table: &str) {
    const BEGIN: &str = "<!-- table of tests/benches/languages.rs -->\n";
    const END: &str = "<!-- end of the table -->";
    let text = std::fs::read_to_string(readme).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("the README has the mark");
    let (_, tail) = rest.split_once(END).expect("the table has an end");
    std::fs::write(readme, format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
}

fn size(bytes: usize) -> String {
    match bytes {
        0..10_000_000 => format!("{} KB", bytes.div_ceil(1000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}

/// Three figures mean something.
fn figures(number: f64) -> String {
    let step = 10f64.powi((number.log10().floor() as i32 - 2).max(0));
    let number = (number / step).round() * step;
    let digits = format!("{number:.0}");
    let head = digits.len() % 3;
    let mut groups = vec![&digits[..head]];
    groups.extend((head..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.retain(|group| !group.is_empty());
    groups.join(",")
}
