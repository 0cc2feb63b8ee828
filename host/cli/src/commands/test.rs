//! `streamalert test`: case files through the real classifier and the real components.

use super::run::{Output, say};
use super::{build, output};
use crate::authoring::cases::{self, Case, CaseFile};
use crate::authoring::checkout;
use crate::authoring::components::{self, Builder};
use crate::authoring::languages::Language;
use crate::authoring::paint::Paint;
use crate::authoring::trial::Trial;
use crate::authoring::verdict::{self, Miss, Verdict};
use crate::{Failure, world};
use anyhow::anyhow;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use streamalert_delivery::Components;
use streamalert_local::clock::millis;
use streamalert_local::secrets::SecretFile;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_processor::parcel;
use streamalert_pipeline::backend::{Lease, SecretStore};
use streamalert_pipeline::config::output::OutputConfig;
use streamalert_pipeline::plugin::{Disposition, OutputPlugin, ParserPlugin, World};
use streamalert_pipeline::printable::printable;
use streamalert_plugins::LoadCheck;

/// Run rules and parsers over their test cases
///
/// Case files are the *.json in folders called `cases`. The input of a rule's case goes through the classifier and all
/// components; it passes when its log type is as it says and exactly the rules it lists have fired. The input of a parser's
/// case goes through that parser; it passes when exactly the records and errors it lists come out.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folders of crates with cases; case files; components to test instead of those that would be built
    #[arg(value_name = "DIR|FILE", default_value = ".")]
    places: Vec<PathBuf>,
    /// Folder with schemas/, clusters/ and lookup_tables/ [default: the nearest conf/ upwards from DIR]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Folder of components to test, instead of building those in DIR
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// Take the components in DIR/target/plugins as they are
    #[arg(long)]
    no_build: bool,
    /// Really deliver the alerts of cases that pass to this output of outputs.json, SERVICE:DESCRIPTOR; use --filter
    #[arg(long, value_name = "OUTPUT")]
    live: Option<String>,
    /// File with the credentials of outputs [default: data/secrets.json]
    #[arg(long, value_name = "FILE", default_value = "data/secrets.json")]
    secrets: PathBuf,
    /// Only cases with this in their description, file name, rules or parser
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// A line for every case, and what its input was classified as
    #[arg(short, long)]
    verbose: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "A case: {\"description\", \"log\", \"service\", \"source\", \"data\" or \"override_record\", \"trigger_rules\"},
optional \"classify_only\", \"compress\", \"test_fixtures\": {\"lookup_tables\", \"threat_intel\"}, \"publisher_tests\": {OUTPUT: [[JMESPath, \"is\",
\"in\" or \"contains\", value]]} over what the output gets. <helper:last_hour> in it stands for a time within the last hour.

A case of a parser: {\"description\", \"parser\", one of \"text\", \"hex\", \"base64\" or \"file\", \"records\": [{\"log\", \"record\":
fields it must have}]}, optional \"errors\": [a part of each reason], \"sniffed\": true or false.

Of a folder that is a plugin or a workspace, those cases are left out that belong to others: one rule in several languages, whose
folders lie beside `cases`, is tested by naming its folder and the component; a plugin of its own, by naming its folder.

Exit codes:
  0  all cases passed
  1  some did not
  2  nothing could be tested: a wrong argument or configuration, or the rules could not be built";

pub fn run(args: Args) -> Result<(), Failure> {
    let (wasm, places): (Vec<PathBuf>, Vec<PathBuf>) =
        args.places.iter().cloned().partition(|place| place.extension().is_some_and(|extension| extension == "wasm"));
    let places = if places.is_empty() { vec![PathBuf::from(".")] } else { places };
    let files = case_files(&places, wasm.is_empty() && args.plugins.is_none())?;
    let config = match &args.config {
        Some(config) => config.clone(),
        None => checkout::config(&places[0]).ok_or_else(|| {
            Failure::Usage(anyhow!(
                "there is no conf/ with schemas/ in it from {} upwards; say where with --config",
                places[0].display()
            ))
        })?,
    };
    let components = components(&args, wasm, &places)?;
    let mut trial = Trial::open(&config, &components)?;
    let live = args.live.as_deref().map(|name| Live::open(&trial, name, &args.secrets)).transpose()?;
    let report = Report { paint: Paint::stdout(), output: args.output, verbose: args.verbose, live };
    if args.verbose && args.output == Output::Text {
        eprintln!("configuration: {}", config.display());
        components.iter().for_each(|file| eprintln!("component: {}", file.display()));
    }

    let started = Instant::now();
    let mut tally = Tally::default();
    let now = jiff::Timestamp::now().as_second();
    for file in files {
        let file = cases::read(&file, now);
        report.file(&file, args.filter.as_deref(), &mut trial, &mut tally)?;
    }
    // With a filter, some may be tested by cases that were left out.
    let without = |names: Vec<&String>, tested: &BTreeSet<String>| -> Vec<String> {
        let untested = names.into_iter().filter(|name| args.filter.is_none() && !tested.contains(*name));
        untested.cloned().collect()
    };
    let rules = without(trial.rules().map(|rule| &rule.name).collect(), &tally.named);
    let parsers = without(trial.parsers.iter().map(|parser| &parser.info().name).collect(), &tally.parsers);
    let unknown = trial.unknown();
    // Without outputs.json, nobody has said yet where alerts go.
    let (faults, notes) = if trial.has_outputs { (unknown, vec![]) } else { (vec![], unknown) };
    report.end(&tally, &rules, &parsers, (&faults, &notes), started)?;
    if tally.passed + tally.failed == 0 {
        return Err(Failure::Usage(match &args.filter {
            Some(filter) => anyhow!("no case has `{filter}` in its description, file name, rules or parser"),
            None => anyhow!("the case files hold no cases"),
        }));
    }
    match tally.failed {
        0 if !faults.is_empty() => Err(Failure::Running(anyhow!("rules name what is not there; see above"))),
        0 if tally.undelivered > 0 => Err(Failure::Running(anyhow!("{} alerts were not delivered", tally.undelivered))),
        0 => Ok(()),
        failed => Err(Failure::Running(anyhow!("{failed} of {} failed", cases_of(tally.passed + failed)))),
    }
}

/// `built`: the components are those of the places.
fn case_files(places: &[PathBuf], built: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for place in places {
        let found = cases::find(place, built)
            .map_err(|error| Failure::Usage(anyhow!("look for cases in {}: {error}", place.display())))?;
        files.extend(found);
    }
    files.sort();
    files.dedup();
    let named: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    match files.is_empty() {
        true => Err(Failure::Usage(anyhow!(
            "no case files below {}: they are the *.json in folders called `cases`; `streamalert new rule` makes an example",
            named.join(", ")
        ))),
        false => Ok(files),
    }
}

/// The components to test: those named, those in --plugins, or what is built from the places.
fn components(args: &Args, wasm: Vec<PathBuf>, places: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if args.plugins.is_none() && !wasm.is_empty() {
        return Ok(wasm);
    }
    let mut files = wasm;
    if let Some(folder) = &args.plugins {
        files.extend(components::wasm_files(folder).map_err(Failure::Usage)?);
        if files.is_empty() {
            return Err(Failure::Usage(anyhow!("{} holds no components (*.wasm); build some", folder.display())));
        }
        return Ok(files);
    }
    let folders: BTreeSet<PathBuf> = places.iter().filter_map(|place| folder_of(place)).collect();
    if folders.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "{} is in no folder of a plugin; name the components to test: FILE.wasm or --plugins DIR",
            places[0].display()
        )));
    }
    for folder in folders {
        let out = components::default_out(&folder);
        if !args.no_build {
            let built = components::build(&folder, &out, Builder::Cargo, &LoadCheck::any_log())?;
            if built.iter().any(|built| !built.problems.is_empty()) {
                build::report(&built, &out, |line| {
                    eprintln!("{line}");
                    Ok(())
                })?;
                return Err(Failure::Usage(anyhow!("a component would be refused")));
            }
        }
        let found = components::wasm_files(&out).unwrap_or_default();
        if found.is_empty() {
            return Err(Failure::Usage(anyhow!("{} holds no components; leave out --no-build", out.display())));
        }
        files.extend(found);
    }
    Ok(files)
}

/// The nearest folder of a plugin, or workspace of them, from a place upwards.
fn folder_of(place: &Path) -> Option<PathBuf> {
    if Language::of(place).is_some() {
        return Some(place.to_path_buf());
    }
    let place = place.canonicalize().ok()?;
    place.ancestors().find(|folder| Language::of(folder).is_some()).map(Path::to_path_buf)
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    filtered: usize,
    delivered: usize,
    undelivered: usize,
    /// Rules that some case expects.
    named: BTreeSet<String>,
    /// Parsers that some case gives its input to.
    parsers: BTreeSet<String>,
}

struct Report {
    paint: Paint,
    output: Output,
    verbose: bool,
    live: Option<Live>,
}

/// An output that alerts are really delivered to.
struct Live {
    name: String,
    plugin: Arc<dyn OutputPlugin>,
    config: OutputConfig,
    secrets: BTreeMap<String, String>,
    world: Arc<dyn World>,
    publishers: Components,
}

impl Live {
    fn open(trial: &Trial, name: &str, secrets: &Path) -> Result<Live, Failure> {
        if let Some(message) = trial.outputs.unknown(name) {
            return Err(Failure::Usage(anyhow!("--live: {message}")));
        }
        let service = name.split_once(':').map_or(name, |(service, _)| service);
        let plugin = trial.set.outputs.iter().find(|output| output.info().service == service).cloned();
        let plugin = plugin.ok_or_else(|| {
            Failure::Usage(anyhow!(
                "--live: no component delivers to {service}; name a folder that has it with --plugins"
            ))
        })?;
        let config = trial.outputs.get(name);
        let secrets = SecretFile::new(secrets.to_path_buf(), std::env::vars());
        let secrets = secrets.get(name).map_err(|error| Failure::Usage(anyhow!("{error}")))?;
        let problems = output::problems(name, &*plugin, &config, &secrets);
        if !problems.is_empty() {
            return Err(Failure::Usage(anyhow!("--live: {name} is not ready: {}", problems.join("; "))));
        }
        let (world, publishers) = (world::open(None)?, Components(trial.set.clone()));
        Ok(Live { name: name.to_owned(), plugin, config, secrets, world, publishers })
    }

    /// Once, with an idempotency key of its own. Says what came of it.
    fn send(&self, alert: &Alert) -> Result<String, String> {
        let mut alert = alert.clone();
        alert.id = format!("live-{}-{}", millis(), alert.id);
        let output = self.name.clone();
        let now = millis();
        let lease = Lease { alert, output, attempts: 0, faults: 0, progress: None, due: now, until: now };
        let parcel = parcel(&lease, &self.config, &self.publishers, millis()).map_err(|error| error.to_string())?;
        let outside = self.world.outside(self.plugin.info(), &self.config, &self.secrets);
        match self.plugin.deliver(&parcel, &outside) {
            Ok(Disposition::Delivered(receipt)) => Ok(receipt.unwrap_or_default()),
            Ok(Disposition::Retry { reason, .. }) => Err(format!("not now: {reason}")),
            Ok(Disposition::Reject(reason)) => Err(format!("refused: {reason}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Report {
    fn file(&self, file: &CaseFile, filter: Option<&str>, trial: &mut Trial, tally: &mut Tally) -> Result<(), Failure> {
        let name = file.path.display().to_string();
        let name = name.strip_prefix("./").unwrap_or(&name);
        let mut headed = false;
        let all = match &file.cases {
            Ok(all) => all,
            // What it would hold is not known, so only its name can be.
            Err(_) if filter.is_some_and(|filter| !name.contains(filter)) => return Ok(()),
            Err(message) => {
                let fault = Miss { message: message.clone(), why: vec![] };
                tally.failed += 1;
                let broken = Verdict { misses: vec![fault], ..Verdict::default() };
                return self.case(name, &mut headed, 1, "the file", &[], &broken);
            }
        };
        for case in all {
            if filter.is_some_and(|filter| !fits(case, name, filter)) {
                tally.filtered += 1;
                continue;
            }
            let verdict = match &case.body {
                Ok(body) => verdict::judge(trial, body),
                Err(message) => {
                    Verdict { misses: vec![Miss { message: message.clone(), why: vec![] }], ..Verdict::default() }
                }
            };
            if verdict.misses.is_empty() {
                tally.passed += 1;
            } else {
                tally.failed += 1;
            }
            tally.named.extend(case.body.iter().flat_map(|body| body.rules().iter().cloned()));
            tally.parsers.extend(case.body.iter().filter_map(|body| body.parser().map(str::to_owned)));
            let warnings: Vec<String> = case.warnings.iter().chain(&verdict.warnings).cloned().collect();
            self.case(name, &mut headed, case.line, &case.description, &warnings, &verdict)?;
            if let Some(live) = self.live.as_ref().filter(|_| verdict.misses.is_empty()) {
                for alert in &verdict.alerts {
                    let sent = live.send(alert);
                    match &sent {
                        Ok(_) => tally.delivered += 1,
                        Err(_) => tally.undelivered += 1,
                    }
                    self.sent(&live.name, alert, &sent)?;
                }
            }
        }
        Ok(())
    }

    fn sent(&self, output: &str, alert: &Alert, sent: &Result<String, String>) -> Result<(), Failure> {
        let (delivered, message) = match sent {
            Ok(receipt) => (true, receipt),
            Err(why) => (false, why),
        };
        if self.output == Output::Json {
            let line = json!({"live": {"output": output, "rule": alert.rule_name, "delivered": delivered, "message": message}});
            return say(&line.to_string());
        }
        let mark = if delivered { self.paint.good("→") } else { self.paint.bad("→") };
        say(&format!("  {mark} {output}  {}  {}", printable(&alert.rule_name), printable(message)))
    }

    fn case(
        &self,
        file: &str,
        headed: &mut bool,
        line: usize,
        description: &str,
        warnings: &[String],
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        let passed = verdict.misses.is_empty();
        if self.output == Output::Json {
            let line = json!({"case": {
                "file": file, "line": line, "description": description, "passed": passed,
                "classified": verdict.classified, "triggered": verdict.triggered, "misses": verdict.misses,
                "warnings": warnings,
            }});
            return say(&line.to_string());
        }
        if passed && warnings.is_empty() && !self.verbose {
            return Ok(());
        }
        if !std::mem::replace(headed, true) {
            say(&self.paint.strong(&printable(file)))?;
        }
        let description = printable(description);
        let more = match self.verbose {
            true => {
                let types: BTreeSet<&str> = verdict.classified.iter().map(String::as_str).collect();
                let types: Vec<&str> = types.into_iter().collect();
                let fired: Vec<&str> = verdict.triggered.iter().map(String::as_str).collect();
                let fired = if fired.is_empty() { String::new() } else { format!(" → {}", fired.join(", ")) };
                format!("  {}", self.paint.dim(&format!("{}{fired}", types.join(", "))))
            }
            false => String::new(),
        };
        match passed {
            true => say(&format!("  {} {description}{more}", self.paint.good("✓")))?,
            false => {
                let place = self.paint.dim(&format!("line {line}"));
                say(&format!("  {} {description}  {place}{more}", self.paint.bad("✗")))?;
            }
        }
        for miss in &verdict.misses {
            say(&format!("      {}", printable(&miss.message)))?;
            for why in &miss.why {
                say(&format!("        {why}"))?;
            }
        }
        for warning in warnings {
            say(&format!("      warning: {}", printable(warning)))?;
        }
        Ok(())
    }

    fn end(
        &self,
        tally: &Tally,
        rules: &[String],
        parsers: &[String],
        (faults, notes): (&[String], &[String]),
        started: Instant,
    ) -> Result<(), Failure> {
        if self.output == Output::Json {
            let summary = json!({"summary": {
                "passed": tally.passed, "failed": tally.failed, "filtered": tally.filtered,
                "rules_without_case": rules, "parsers_without_case": parsers,
                "not_there": faults.iter().chain(notes).collect::<Vec<_>>(), "delivered": tally.delivered,
                "undelivered": tally.undelivered,
            }});
            return say(&summary.to_string());
        }
        if !rules.is_empty() {
            say(&format!("rules without a case that expects them: {}", printable(&rules.join(", "))))?;
        }
        if !parsers.is_empty() {
            say(&format!("parsers without a case: {}", printable(&parsers.join(", "))))?;
        }
        for fault in faults {
            say(&format!("{} {}", self.paint.bad("✗"), printable(fault)))?;
        }
        for note in notes {
            say(&format!("note: {}", printable(note)))?;
        }
        let passed = self.paint.good(&format!("{} passed", tally.passed));
        let failed = match tally.failed {
            0 => String::new(),
            failed => format!(", {}", self.paint.bad(&format!("{failed} failed"))),
        };
        let filtered = if tally.filtered == 0 { String::new() } else { format!(", {} left out", tally.filtered) };
        say(&format!("{passed}{failed}{filtered} in {:.1} s", started.elapsed().as_secs_f64()))
    }
}

fn fits(case: &Case, file: &str, filter: &str) -> bool {
    case.description.contains(filter)
        || file.contains(filter)
        || case.body.as_ref().is_ok_and(|body| {
            body.rules().iter().any(|rule| rule.contains(filter))
                || body.parser().is_some_and(|name| name.contains(filter))
        })
}

fn cases_of(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}
