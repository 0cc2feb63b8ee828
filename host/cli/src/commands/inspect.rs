//! `streamalert inspect`: what is in a file, and whether the host would take it.

use super::build::size;
use super::run::{Output, say};
use crate::authoring::paint::Paint;
use crate::authoring::reasons;
use crate::{Failure, rules};
use anyhow::{Context, anyhow};
use serde_json::Value;
use std::path::PathBuf;
use streamalert_pipeline::plugin::{AppInfo, OutputInfo, RuleInfo, Setting, Takes};
use streamalert_pipeline::printable::printable;
use streamalert_plugins::{Host, HostConfig, Inspection, Kind, LoadCheck, ParserInspection, PluginLimits};

/// Look into a component: world, what it is, imports, problems
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Also say which of its log types this configuration does not have
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "Exit codes:
  0  the host would take it
  1  the host would refuse it
  2  a wrong argument or configuration, or the file cannot be read";

pub fn run(args: Args) -> Result<(), Failure> {
    let bytes =
        std::fs::read(&args.file).map_err(|error| Failure::Usage(anyhow!("read {}: {error}", args.file.display())))?;
    let limits = PluginLimits { instances: 4, ..PluginLimits::default() };
    let host = Host::new(HostConfig { limits, ..HostConfig::default() }).context("start the plugin host")?;
    let about = match &args.config {
        Some(config) => {
            let schemas = rules::config(config, None)?.schemas;
            LoadCheck::with(&schemas, |check| host.inspect(&bytes, check))
        }
        None => host.inspect(&bytes, &LoadCheck::any_log()),
    };
    match args.output {
        Output::Json => say(&serde_json::to_string(&about).context("write what was found")?)?,
        Output::Text => say(text(&args.file.display().to_string(), &about).trim_end())?,
    }
    match about.problems.len() {
        0 => Ok(()),
        count => Err(Failure::Running(anyhow!(
            "the host would refuse {}: {count} {}",
            args.file.display(),
            if count == 1 { "problem" } else { "problems" }
        ))),
    }
}

fn text(file: &str, about: &Inspection) -> String {
    let paint = Paint::stdout();
    let kind = match about.kind {
        Kind::Component => "component",
        Kind::CoreModule => "core WebAssembly module",
        Kind::NotWasm => "not WebAssembly",
    };
    let mut out = format!("{}\n", paint.strong(file));
    let mut line = |name: &str, value: String| out += &format!("  {name:<9} {value}\n");
    line("kind", kind.to_owned());
    line("size", format!("{} ({} bytes)", size(about.size), about.size));
    line("digest", format!("sha256:{}", about.digest));
    let or_none = |list: &[String]| if list.is_empty() { "none".to_owned() } else { printable(&list.join(", ")) };
    line("world", or_none(&about.worlds));
    line("package", format!("streamalert:plugin {}", or_none(&about.versions)));
    for (name, list) in [("imports", &about.imports), ("exports", &about.exports)] {
        for (index, item) in list.iter().enumerate() {
            line(if index == 0 { name } else { "" }, printable(item));
        }
        if list.is_empty() {
            line(name, "none".to_owned());
        }
    }
    for rule in &about.rules {
        out += &rule_text(rule, paint);
    }
    if let Some(parser) = &about.parser {
        out += &parser_text(parser, paint);
    }
    for publisher in &about.publishers {
        out += &format!("\n  {}\n", paint.strong(&format!("publisher {}", printable(&publisher.name))));
        out += &description(&publisher.description);
    }
    if let Some(output) = &about.output {
        out += &output_text(output, paint);
    }
    for app in &about.apps {
        out += &app_text(app, paint);
    }
    for problem in &about.problems {
        out += &format!("{} {}\n", paint.bad("✗"), problem);
    }
    out
}

/// The first line that says something.
fn description(text: &str) -> String {
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(first) => format!("    {:<11} {}\n", "description", printable(first)),
        None => String::new(),
    }
}

fn output_text(output: &OutputInfo, paint: Paint) -> String {
    let mut out = format!("\n  {}\n", paint.strong(&format!("output {}", printable(&output.service))));
    out += &description(&output.description);
    out += &settings_text(&output.settings, &output.hosts);
    let mut line = |name: &str, value: String| out += &format!("    {name:<11} {value}\n");
    if let Some(rate) = output.options.rate {
        line("rate", format!("{rate} deliveries a second"));
    }
    if output.options.idempotent {
        line("repeats", "are harmless: the service takes a parcel once".to_owned());
    }
    out
}

fn app_text(app: &AppInfo, paint: Paint) -> String {
    let mut out = format!("\n  {}\n", paint.strong(&format!("app {}", printable(&app.name))));
    out += &description(&app.description);
    out += &settings_text(&app.settings, &app.hosts);
    let mut line = |name: &str, value: String| out += &format!("    {name:<11} {value}\n");
    if !app.options.logs.is_empty() {
        line("brings", printable(&app.options.logs.join(", ")));
    }
    if let Some(rate) = app.options.rate {
        line("rate", format!("{rate} requests a second"));
    }
    out
}

/// What outputs and apps are told, and whom they call.
fn settings_text(settings: &[Setting], hosts: &[String]) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| out += &format!("    {name:<11} {value}\n");
    for (index, setting) in settings.iter().enumerate() {
        let mut kind = Vec::new();
        kind.extend(setting.secret.then_some("secret"));
        kind.extend((!setting.required).then_some("optional"));
        let kind = if kind.is_empty() { String::new() } else { format!(" ({})", kind.join(", ")) };
        let first = setting.description.lines().next().unwrap_or_default();
        let text = format!("{}{kind}: {}", printable(&setting.name), printable(first));
        line(if index == 0 { "settings" } else { "" }, text);
    }
    let hosts: Vec<String> = hosts.iter().map(|host| printable(host)).collect();
    line("calls", if hosts.is_empty() { "nobody".to_owned() } else { hosts.join(", ") });
    out
}

fn parser_text(parser: &ParserInspection, paint: Paint) -> String {
    let mut out = format!("\n  {}\n", paint.strong(&format!("parser {}", printable(&parser.name))));
    let mut line = |name: &str, value: String| out += &format!("    {name:<11} {value}\n");
    if let Some(first) = parser.description.lines().find(|line| !line.trim().is_empty()) {
        line("description", printable(first));
    }
    let takes = match parser.takes {
        Takes::Lines => "lines: any number of whole ones",
        Takes::Whole => "whole objects",
    };
    line("takes", takes.to_owned());
    let sniffs = match parser.sniffs {
        true => "yes: it knows its own by their first bytes",
        false => "no: a cluster must name it",
    };
    line("sniffs", sniffs.to_owned());
    for (index, log_type) in parser.log_types.iter().enumerate() {
        let name = if index == 0 { "log types" } else { "" };
        line(name, format!("{} ({} fields)", printable(&log_type.name), log_type.fields));
    }
    out
}

fn rule_text(rule: &RuleInfo, paint: Paint) -> String {
    let mut out = format!("\n  {}\n", paint.strong(&format!("rule {}", printable(&rule.name))));
    let mut line = |name: &str, value: String| out += &format!("    {name:<11} {value}\n");
    if let Some(first) = rule.description.lines().find(|line| !line.trim().is_empty()) {
        line("description", printable(first));
    }
    line("logs", printable(&rule.scope()));
    if rule.when.is_empty() && rule.options.when_any.is_empty() {
        line("when", "always: it is asked about every record of its logs".to_owned());
    }
    let conditions = rule.when.iter().map(reasons::words);
    let conditions = conditions.chain(rule.options.when_any.iter().map(|any| reasons::words_any(any)));
    for (index, words) in conditions.enumerate() {
        line(if index == 0 { "when" } else { "and" }, words);
    }
    line("severity", rule.options.severity.name().to_owned());
    if let Ok(Value::Object(options)) = serde_json::to_value(&rule.options) {
        for (name, value) in options {
            let shown = match &value {
                Value::Null => continue,
                Value::Array(items) if items.is_empty() => continue,
                Value::Object(object) if object.is_empty() => continue,
                Value::Array(items) if items.iter().all(Value::is_string) => {
                    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                }
                other => other.to_string(),
            };
            if name != "severity" && name != "when_any" {
                line(&name, printable(&shown));
            }
        }
    }
    out
}
