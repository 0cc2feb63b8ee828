//! What thousands of Sigma rules cost a record, as one component.
//!
//! ```text
//! cargo bench --workspace --bench sigma -- rules > target/guests/sigma.yml
//! streamalert import sigma target/guests/sigma.yml --out target/guests/sigma
//! cargo bench --workspace --bench sigma
//! ```

use cpu_time::ThreadTime;
use mimalloc::MiMalloc;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_pipeline::classifier::Classifier;
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::{LogBatch, Payload, Source};
use streamalert_pipeline::plugin::{Batch, Judged, PluginError, PluginSet, RuleInfo, RulePlugin, RuleSession};
use streamalert_pipeline::rules_engine::Rules;
use streamalert_plugins::{Host, HostConfig, LoadCheck, RuleComponent};
use streamalert_tests::tried_only;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const RULES: usize = 3000;
/// Of the samples, so that most batches are full.
const COPIES: usize = 12;
/// Batches that each figure is the best of.
const ROUNDS: usize = 7;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if std::env::args().any(|argument| argument == "rules") {
        return print!("{}", rules());
    }
    let path = root.join("target/guests/sigma/plugins/sigma_rules.wasm");
    let Ok(bytes) = std::fs::read(&path) else {
        return println!("(no {}: the head of this file says how it is made)", path.display());
    };
    let host = Host::new(HostConfig::default()).unwrap();
    let begun = Instant::now();
    let component = host.load("sigma_rules.wasm", &bytes, &LoadCheck::any_log()).unwrap();
    let count = component.rules().len();
    println!("{count} rules, component of {} KB, compiled and described in {:?}", bytes.len() >> 10, begun.elapsed());

    let schemas = Arc::new(Schemas::read(&files(&root.join("conf/schemas"))).unwrap());
    let batch = classified(root, &schemas);
    let engine =
        |plugin: Arc<dyn RulePlugin>| Rules::new(PluginSet { plugins: vec![plugin], ..PluginSet::default() }, &schemas);
    let with = measure(&engine(component.clone()), &batch);
    let other = |rules: &[RuleInfo], session: SessionOf| {
        measure(&engine(Arc::new(Other { component: component.clone(), rules: rules.to_vec(), session })), &batch)
    };
    let alone = other(component.rules(), |_, _| Box::new(Silent(None)));
    let judged = other(component.rules(), |component, batch| Box::new(Silent(Some(component.open(batch)))));
    let mut bare = component.rules().to_vec();
    bare.iter_mut().for_each(|rule| rule.options.when_any.clear());
    let without = other(&bare, |component, batch| component.open(batch));
    assert_eq!(with.1, without.1, "the prefilter changes what is found");
    println!("{} records, {} alerts", batch.records.len(), with.1);
    println!("  with the prefilter     {:>9.0} ns per record", with.0);
    println!("    without what an alert costs {:>9.0}", judged.0);
    println!("    the prefilter alone         {:>9.0}", alone.0);
    println!("  without                {:>9.0} ns per record", without.0);
}

/// CPU time per record in ns, and alerts.
fn measure(rules: &Rules, batch: &LogBatch) -> (f64, usize) {
    let mut best = f64::INFINITY;
    let mut alerts = 0;
    let enough = Duration::from_secs(20);
    let begun = Instant::now();
    for _ in 0..(if tried_only() { 1 } else { ROUNDS }) {
        let start = ThreadTime::now();
        let detected = rules.judge(batch, "2026-01-01T00:00:00Z");
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / batch.records.len() as f64);
        assert!(detected.dead.is_empty(), "{:?}", detected.dead.first());
        alerts = detected.alerts.len();
        if begun.elapsed() > enough {
            break;
        }
    }
    (best, alerts)
}

type SessionOf = for<'a> fn(&'a RuleComponent, &'a Arc<Batch>) -> Box<dyn RuleSession + 'a>;

/// The same component with other conditions, or asked otherwise.
struct Other {
    component: Arc<RuleComponent>,
    rules: Vec<RuleInfo>,
    session: SessionOf,
}

/// Reports nothing, whether it asks or not.
struct Silent<'a>(Option<Box<dyn RuleSession + 'a>>);

impl RuleSession for Silent<'_> {
    fn evaluate(&mut self, rule: usize, rows: &[u32]) -> Result<Judged, PluginError> {
        let judged = self.0.as_mut().map(|session| session.evaluate(rule, rows)).transpose()?;
        Ok(Judged { findings: Vec::new(), ..judged.unwrap_or_default() })
    }
}

impl RulePlugin for Other {
    fn name(&self) -> &str {
        self.component.name()
    }
    fn digest(&self) -> &str {
        self.component.digest()
    }
    fn rules(&self) -> &[RuleInfo] {
        &self.rules
    }
    fn open<'a>(&'a self, batch: &'a Arc<Batch>) -> Box<dyn RuleSession + 'a> {
        (self.session)(&self.component, batch)
    }
}

/// Like a collection over CloudTrail: names of calls, parts of agents, ends of principals, and an exception; a few occur.
fn rules() -> String {
    let occurs = ["ConsoleLogin", "GetObject", "AssumeRole", "DescribeInstances", "GetSecretValue"];
    let mut out = String::new();
    for number in 0..RULES {
        let name = match number < 20 {
            true => occurs[number % occurs.len()].to_owned(),
            false => format!("Action{number}"),
        };
        let selection = match number % 4 {
            0 => format!("{{eventSource|endswith: .amazonaws.com, eventName: {}}}", name.to_lowercase()),
            1 => format!("{{eventName: [{name}, Undo{number}, Redo{number}]}}"),
            2 => format!("{{userAgent|contains: 'tool-{number}/', errorCode: AccessDenied}}"),
            _ => format!(
                "[{{userIdentity.arn|endswith: ':user/service-{number}'}}, {{eventName|startswith: Do{number}X}}]"
            ),
        };
        let _ = write!(
            out,
            "---\ntitle: Generated {number}\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n\
             description: Stands for a rule of a collection\nlogsource: {{product: aws, service: cloudtrail}}\n\
             detection:\n  selection: {selection}\n  filter_main: {{userIdentity.invokedBy: AWS Internal}}\n  \
             condition: selection and not 1 of filter_*\nlevel: medium\ntags: [attack.t1078]\n"
        );
    }
    out
}

/// The samples of CloudTrail.
fn classified(root: &Path, schemas: &Arc<Schemas>) -> LogBatch {
    let clusters = Clusters::read(&files(&root.join("conf/clusters")), schemas).unwrap();
    let classifier = Arc::new(Classifier::new(schemas.clone(), Arc::new(clusters)));
    let mut lines = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(root.join("samples/cloudtrail")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        match bytes.starts_with(&[0x1f, 0x8b]) {
            true => drop(flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut lines).unwrap()),
            false => lines.extend(bytes),
        }
        lines.push(b'\n');
    }
    let lines = lines.repeat(COPIES);
    let source = Arc::new(Source::new("file", "samples", "cloudtrail"));
    let mut batch = classifier.worker().classify(Payload::new(source, 0, lines)).batch;
    batch.records.retain(|record| record.log_type.name == "cloudtrail:events");
    assert!(batch.records.len() > 100, "the samples are not classified");
    batch
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let json = paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}
