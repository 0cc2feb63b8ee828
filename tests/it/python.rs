//! Rules in Python: the example from its source to an alert, and what such components cost.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_packed::Record;
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{Batch, RulePlugin};
use streamalert_plugins::{Host, HostConfig, LoadCheck, PluginLimits, RuleComponent};

/// The checkout this test was built from.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_path_buf()
}

/// Whether components can be made of Python here; says so if not.
pub fn has_toolchain() -> bool {
    let wanted = std::fs::read_to_string(checkout().join("rule-sdk/python/requirements.txt")).unwrap();
    let place = match std::env::var_os("STREAMALERT_PYTHON_TOOLCHAIN") {
        Some(place) => PathBuf::from(place),
        None => checkout().join("target/toolchains/python"),
    };
    let ready = place.join(wanted.trim().replace("==", "-")).join("ready");
    if !ready.is_file() {
        println!(
            "skipped: {} is not there; `rule-sdk/python/build.py FOLDER` fetches {}",
            ready.display(),
            wanted.trim()
        );
    }
    ready.is_file()
}

#[track_caller]
pub fn exits(output: Output, code: i32) -> String {
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// The program, keeping compiled code from run to run: Python takes it ten seconds.
pub fn streamalert(arguments: &[&str]) -> Command {
    let mut command = Command::new(crate::run_world::program());
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    command.args(arguments).current_dir(checkout()).env("NO_COLOR", "1").env("XDG_CACHE_HOME", cache);
    command
}

/// A copy of conf/ without outputs: there, nobody has said yet where alerts go.
fn configuration(folder: &Path) -> String {
    for part in ["schemas", "clusters"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
        for (name, text) in crate::reference::files(checkout().join("conf").join(part)) {
            std::fs::write(folder.join(part).join(name), text).unwrap();
        }
    }
    folder.display().to_string()
}

#[test]
fn a_rule_in_python_passes_its_tests_and_the_common_cases() {
    let rule = checkout().join("example-rules/root-login/python");
    let tested = Command::new("python3")
        .args(["-m", "unittest", "--quiet"])
        .current_dir(&rule)
        .env("PYTHONPATH", checkout().join("rule-sdk/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    exits(tested, 0);
    if !has_toolchain() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let plugins = place.path().join("plugins");
    let build = Command::new("python3")
        .arg(checkout().join("rule-sdk/python/build.py"))
        .args([&rule, Path::new("--out"), &plugins.join("root_login.wasm")])
        .output()
        .unwrap();
    exits(build, 0);
    let left: Vec<_> = std::fs::read_dir(&plugins).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["root_login.wasm"], "nothing half done is left");

    let config = configuration(&place.path().join("conf"));
    let plugins = plugins.display().to_string();
    let cases = "example-rules/root-login";
    let tested = streamalert(&["test", cases, "--plugins", &plugins, "--config", &config]).output().unwrap();
    let tested = exits(tested, 0);
    assert!(tested.contains("5 passed"), "{tested}");
}

#[test]
fn the_sdk_in_python_passes_its_own_tests() {
    let tested = Command::new("python3")
        .args(["-m", "unittest", "discover", "--quiet", "-s", "tests", "-t", "."])
        .current_dir(checkout().join("rule-sdk/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    exits(tested, 0);
}

#[test]
fn what_is_wrong_with_a_rule_is_told_with_file_and_line() {
    if !has_toolchain() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    write("pyproject.toml", "[project]\nname = \"wrong\"\nversion = \"1\"\n");
    write("wrong.py", "from streamalert_sdk import rule\n\n\n@rule(logs=[])\ndef empty(record):\n    return True\n");
    let build =
        Command::new("python3").arg(checkout().join("rule-sdk/python/build.py")).arg(place.path()).output().unwrap();
    assert_eq!(build.status.code(), Some(1));
    let told = String::from_utf8_lossy(&build.stderr);
    for part in ["File \"wrong.py\", line 4", "RuleError: rule empty: needs `logs`, the log types it looks at"] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(!told.contains("backtrace") && !place.path().join("target").exists(), "{told}");
}

/// A day of CloudTrail from samples/, at least so many records: if need be, again and again.
fn cloudtrail(count: usize) -> LogBatch {
    let root = checkout();
    let files = |part: &str| crate::reference::files(root.join("conf").join(part));
    let schemas = Arc::new(Schemas::read(&files("schemas")).unwrap());
    let clusters = Arc::new(Clusters::read(&files("clusters"), &schemas).unwrap());
    let documents = crate::reference::files(root.join("samples/cloudtrail"));
    let documents = documents.iter().filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok());
    let records: Vec<Value> =
        documents.flat_map(|found| found["Records"].as_array().cloned().unwrap_or_default()).collect();
    assert!(!records.is_empty());
    let lines: Vec<String> = records.iter().cycle().take(count).map(Value::to_string).collect();
    let classifier = Arc::new(Classifier::new(schemas, clusters));
    let source = Arc::new(Source::new("file", "samples", "samples"));
    let classified = classifier.worker().classify(Payload::new(source, 0, lines.join("\n").as_bytes()));
    assert!(classified.dead.is_empty());
    classified.batch
}

/// A component, and where its compiled code is kept.
struct Costly {
    bytes: Vec<u8>,
    cache: tempfile::TempDir,
}

impl Costly {
    fn load(&self, limits: PluginLimits) -> Result<Arc<RuleComponent>, String> {
        let cache_dir = Some(self.cache.path().join("cache"));
        let host = Host::new(HostConfig { limits, cache_dir, ..HostConfig::default() }).unwrap();
        host.load("costs", &self.bytes, &LoadCheck::any_log()).map_err(|error| error.to_string())
    }

    /// The least of these with which it loads, and all its rules judge these records.
    fn least(&self, tried: &[u64], records: &[Record<'_>], limits: impl Fn(u64) -> PluginLimits) -> Option<u64> {
        let judges = |component: Arc<RuleComponent>| {
            let batch = Arc::new(Batch::new(1, records.iter().copied()));
            let rows: Vec<u32> = (0..records.len() as u32).collect();
            let mut session = component.open(&batch);
            (0..component.rules().len()).all(|number| session.evaluate(number, &rows).is_ok())
        };
        tried.iter().copied().find(|value| self.load(limits(*value)).is_ok_and(judges))
    }
}

/// Best time of some rounds, in nanoseconds for one of `count`.
fn best(count: usize, mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let (start, mut rounds) = (Instant::now(), 0);
        while rounds == 0 || start.elapsed() < Duration::from_millis(60) {
            work();
            rounds += 1;
        }
        best = best.min(start.elapsed().as_nanos() as f64 / (rounds * count) as f64);
    }
    best
}

/// Prints what the component in `STREAMALERT_COSTS_OF` costs: loading, starting, and each of its rules by batch size.
#[test]
fn costs() {
    let Some(path) = std::env::var_os("STREAMALERT_COSTS_OF") else {
        println!("skipped: these are figures of the component that STREAMALERT_COSTS_OF names");
        return;
    };
    let costly = Costly { bytes: std::fs::read(path).unwrap(), cache: tempfile::tempdir().unwrap() };
    println!("{} bytes", costly.bytes.len());
    let (start, check) = (Instant::now(), LoadCheck::any_log());
    drop(costly.load(PluginLimits::default()).unwrap());
    println!("load and compile         {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let host =
        Host::new(HostConfig { cache_dir: Some(costly.cache.path().join("cache")), ..HostConfig::default() }).unwrap();
    let mut kept = Vec::new();
    let load = best(1, || kept.push(host.load("costs", &costly.bytes, &check).unwrap()));
    println!("load from the cache      {:>9.1} ms", load / 1e6);
    drop(kept);

    let component = host.load("costs", &costly.bytes, &check).unwrap();
    let batch = cloudtrail(256);
    let views: Vec<Record<'_>> = (0..batch.records.len()).map(|index| batch.fields(index)).collect();
    println!("start and one record     {:>9.1} µs", best(1, || drop(component.explain(0, views[0]))) / 1e3);
    let mib = [4, 8, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 56, 64, 96, 128, 192, 256];
    let memory = costly
        .least(&mib, &views, |mib| PluginLimits { memory_bytes: (mib as usize) << 20, ..PluginLimits::default() });
    println!("least memory             {memory:>9?} MiB");
    let fuel = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].map(|thousands| thousands * 10_000);
    let fuel = costly.least(&fuel, &views, |fuel| PluginLimits { fuel_to_start: fuel, ..PluginLimits::default() });
    println!("least fuel to start      {fuel:>9?}");

    let mut id = 1 << 40;
    println!("{} records, {} bytes packed", views.len(), Batch::new(0, views.iter().copied()).packed().len());
    for size in [1, 16, views.len()] {
        let rows: Vec<u32> = (0..size as u32).collect();
        for (number, rule) in component.rules().iter().enumerate() {
            let (mut fuel, mut findings) = (0, Ok(0));
            let time = best(size, || {
                id += 1;
                let batch = Arc::new(Batch::new(id, views[..size].iter().copied()));
                match component.open(&batch).evaluate(number, &rows) {
                    Ok(judged) => (fuel, findings) = (judged.fuel, Ok(judged.findings.len())),
                    Err(error) => findings = Err(error.to_string()),
                }
            });
            let fuel = fuel / size as u64;
            println!("batch {size:>4}  {time:>9.0} ns, fuel {fuel:>8} a record  {} {findings:?}", rule.name);
        }
        let time = best(size, || {
            id += 1;
            let batch = Arc::new(Batch::new(id, views[..size].iter().copied()));
            let mut session = component.open(&batch);
            (0..component.rules().len()).for_each(|number| drop(session.evaluate(number, &rows)));
        });
        println!("batch {size:>4}  {time:>9.0} ns a record  all rules, one after the other");
    }
}

/// Prints how much fuel each byte of a large record takes the component in `STREAMALERT_COSTS_OF`, a conformance component.
#[test]
fn costs_of_a_large_record() {
    let Some(path) = std::env::var_os("STREAMALERT_COSTS_OF") else {
        println!("skipped: these are figures of the component that STREAMALERT_COSTS_OF names");
        return;
    };
    let costly = Costly { bytes: std::fs::read(path).unwrap(), cache: tempfile::tempdir().unwrap() };
    let limits =
        PluginLimits { fuel_per_call_base: 1 << 40, deadline: Duration::from_secs(60), ..PluginLimits::default() };
    let component = costly.load(limits).unwrap();
    let number = component.rules().iter().position(|rule| rule.name == "edge_reads").expect("a conformance component");
    for fill in ["a", "é", "日"] {
        let record = json!({"text": fill.repeat((1 << 20) / fill.len()), "want": ["text"]});
        let mut packed = Vec::new();
        streamalert_packed::Builder::json(&mut packed, &record);
        // SAFETY: just built.
        let batch = Arc::new(Batch::new(1, [unsafe { Record::trusted(&packed) }].into_iter()));
        let start = Instant::now();
        let fuel = component.open(&batch).evaluate(number, &[0]).unwrap().fuel;
        let time = start.elapsed().as_secs_f64() * 1e3;
        println!("{fill}: {fuel} fuel, {:.1} a byte, {time:.1} ms", fuel as f64 / (1 << 20) as f64);
    }
}
