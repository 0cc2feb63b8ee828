//! `streamalert new`: a plugin to begin with, which builds, tests and passes as it is.

mod app;
mod languages;
mod output;
mod parser;
mod publisher;
mod worlds;

use super::run::say;
use crate::authoring::languages::Language;
use crate::authoring::{checkout, defaults};
use crate::{Failure, rules};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use std::path::{Component, Path, PathBuf};
use streamalert_pipeline::config::schema::{FieldKind, LogType};
use streamalert_pipeline::config::{Clusters, Schemas};

/// Make the folder of a new plugin, with tests
#[derive(clap::Args)]
#[command(
    after_help = "Where an output delivers to, `streamalert output new` configures, and whose logs an app fetches, `streamalert app new`; this makes the programs."
)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Rule(RuleArgs),
    Parser(parser::ParserArgs),
    Publisher(publisher::PublisherArgs),
    Output(output::OutputArgs),
    App(app::AppArgs),
}

/// A rule, with a unit test and test cases
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  the folder is there
  1  it could not be written
  2  a wrong argument, or the SDK or the log type is not there; nothing was written")]
struct RuleArgs {
    /// Of the rule, and of its folder: small letters, digits, `_` or `-`
    #[arg(value_name = "NAME")]
    name: String,
    /// Where the new folder goes
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Log types that the rule looks at, separated by commas
    #[arg(long, value_name = "LOG", default_value = "cloudtrail:events", value_delimiter = ',', num_args = 1..)]
    logs: Vec<String>,
    /// Language it is written in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// Folder of the SDK [default: rule-sdk/LANG of the checkout around DIR or this program]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
    /// Folder with the schemas of the log types [default: the nearest conf/ upwards]
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Lang {
    Rust,
    Go,
    #[value(name = "assemblyscript", alias = "as")]
    AssemblyScript,
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    #[value(name = "ts", alias = "typescript")]
    TypeScript,
    Python,
    C,
}

impl Lang {
    /// As `--lang` takes it.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Says what there is, where a kind of plugin cannot be begun in this language.
    fn among(self, offered: &[Lang], kind: &str) -> Result<(), Failure> {
        if offered.contains(&self) {
            return Ok(());
        }
        let names: Vec<String> = offered.iter().map(|lang| lang.name()).collect();
        let (name, names) = (self.name(), names.join(", "));
        Err(Failure::Usage(anyhow!("no {kind} can be begun in {name} yet; choose --lang {names}")))
    }

    fn language(self) -> Language {
        match self {
            Lang::Rust => Language::Rust,
            Lang::Go => Language::Go,
            Lang::AssemblyScript => Language::AssemblyScript,
            Lang::JavaScript | Lang::TypeScript => Language::JavaScript,
            Lang::Python => Language::Python,
            Lang::C => Language::C,
        }
    }
}

/// What a rule over a log type may begin with: a field, a value that is worth an alert, one that is not.
const BEGINNINGS: [(&str, &str, &str, &str); 9] = [
    ("cloudtrail:events", "eventName", "StopLogging", "DescribeTrails"),
    ("duo:authentication", "reason", "user_marked_fraud", "user_approved"),
    ("duo:administrator", "action", "bypass_create", "admin_login"),
    ("github:audit", "action", "repo.destroy", "repo.create"),
    ("okta:system", "eventType", "user.mfa.factor.deactivate", "user.session.start"),
    ("osquery:differential", "name", "pack_incident_launchd", "pack_it_uptime"),
    ("osquery:snapshot", "name", "pack_incident_launchd", "pack_it_uptime"),
    ("vpcflow:json", "action", "REJECT", "ACCEPT"),
    ("guardduty:finding", "type", "Backdoor:EC2/C&CActivity.B", "Recon:EC2/Portscan"),
];

/// Names that neither a function nor a crate can have, or that would hide what the crate needs.
const TAKEN: [&str; 66] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "cases",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "helpers",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "log",
    "lookup",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "rule",
    "self",
    "serde_json",
    "static",
    "std",
    "streamalert_sdk",
    "struct",
    "super",
    "target",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "while",
];

pub fn run(args: Args) -> Result<(), Failure> {
    match args.what {
        What::Rule(args) => rule(args),
        What::Parser(args) => parser::run(args),
        What::Publisher(args) => publisher::run(args),
        What::Output(args) => output::run(args),
        What::App(args) => app::run(args),
    }
}

fn rule(args: RuleArgs) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    check_name("rule", &args.name).map_err(usage)?;
    let rule = args.name.replace('-', "_");
    if args.lang != Lang::Rust {
        return rule_elsewhere(&args, &rule);
    }
    let place = Place::find(&args.name, &args.dir, args.sdk.as_deref(), &RULES)?;
    let beginning = Beginning::find(&args)?;
    place.write(&[
        ("Cargo.toml", manifest(&place.krate, RULES.krate, &place.sdk_path()?)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", source(&rule, &args.logs, &beginning)),
        (&format!("cases/{rule}.json"), cases(&rule, &beginning)),
        ("README.md", readme(&place.krate, &rule, &args.logs)),
    ])?;
    say(&format!("{}: rule {rule} over {}", place.folder.display(), args.logs.join(", ")))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say("  cargo test           # the rule as a plain function")?;
    say("  streamalert test     # builds the component and runs cases/ through it")
}

/// In another language than Rust.
fn rule_elsewhere(args: &RuleArgs, rule: &str) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!(message));
    let language = args.lang.language();
    if languages::TAKEN.contains(&rule) {
        let name = &args.name;
        return Err(usage(format!(
            "`{name}` means something to {} already; say more, such as {name}_seen",
            language.name()
        )));
    }
    let sdk = match &args.sdk {
        Some(sdk) if sdk.is_dir() => sdk.clone(),
        Some(sdk) => return Err(usage(format!("{} is no folder; name rule-sdk/{}", sdk.display(), language.name()))),
        None => language.sdk(&args.dir).map_err(Failure::Usage)?,
    };
    let place = Place::of(&args.name, &args.dir, sdk)?;
    let beginning = Beginning::find(args)?;
    let typescript = args.lang == Lang::TypeScript;
    let sdk = place.sdk_path()?;
    let mut files = languages::files(language, typescript, &place.krate, rule, &args.logs, &beginning, &sdk);
    let test = languages::next(language).test.replace("SDK", &sdk);
    files.push((format!("cases/{rule}.json"), cases(rule, &beginning)));
    files.push((
        "README.md".to_owned(),
        format!(
            "# {}\n\nThe rule `{rule}` over {}; its cases are in `cases/`.\n`{test}` runs it as a plain function, `streamalert test` runs the cases \
             through the component.\n`streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n",
            place.krate,
            args.logs.join(", ")
        ),
    ));
    let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    place.write(&files)?;
    say(&format!("{}: rule {rule} over {}", place.folder.display(), args.logs.join(", ")))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say(&format!("  {test}    # the rule as a plain function"))?;
    say("  streamalert test     # builds the component and runs cases/ through it")
}

/// One of the crates that plugins in Rust are written with.
struct Sdk {
    krate: &'static str,
    /// In the checkout.
    folder: &'static str,
}

const RULES: Sdk = Sdk { krate: "streamalert-sdk", folder: "rule-sdk/rust" };

/// Where a new crate goes, and the SDK it uses.
struct Place {
    krate: String,
    dir: PathBuf,
    folder: PathBuf,
    sdk: PathBuf,
}

impl Place {
    fn find(name: &str, dir: &Path, sdk: Option<&Path>, kind: &Sdk) -> Result<Place, Failure> {
        let sdk = find_sdk(dir, sdk, kind).map_err(|message| Failure::Usage(anyhow!(message)));
        Place::of(name, dir, PathBuf::new()).and_then(|place| Ok(Place { sdk: sdk?, ..place }))
    }

    fn of(name: &str, dir: &Path, sdk: PathBuf) -> Result<Place, Failure> {
        let usage = |message: String| Failure::Usage(anyhow!(message));
        let krate = name.replace('_', "-");
        let folder = if dir == Path::new(".") { PathBuf::from(&krate) } else { dir.join(&krate) };
        if folder.exists() {
            return Err(usage(format!("{} is there already; choose another name, or --dir", folder.display())));
        }
        Ok(Place { krate, dir: dir.to_path_buf(), folder, sdk })
    }

    /// Within one checkout a relative path, so that the checkout can move.
    fn sdk_path(&self) -> Result<String, Failure> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("make {}", self.dir.display()))?;
        let absolute = |path: &Path| path.canonicalize().with_context(|| format!("look into {}", path.display()));
        let (sdk, dir) = (absolute(&self.sdk)?, absolute(&self.dir)?);
        let root = sdk.ancestors().nth(2).unwrap_or(&sdk);
        let path = match (dir.strip_prefix(root), sdk.strip_prefix(root)) {
            (Ok(down), Ok(to_sdk)) => {
                // One more: the folder of the crate.
                let ups = down.components().filter(|part| matches!(part, Component::Normal(_))).count() + 1;
                PathBuf::from("../".repeat(ups)).join(to_sdk)
            }
            _ => sdk,
        };
        Ok(path.to_string_lossy().replace('\\', "/"))
    }

    fn write(&self, files: &[(&str, String)]) -> Result<(), Failure> {
        let folder = &self.folder;
        let written = files.iter().try_for_each(|(name, text)| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
            std::fs::write(path, text)
        });
        written.with_context(|| format!("write {}", folder.display()))?;
        // The versions that the SDK is tested with. Without them cargo takes the newest that fit.
        let of_rust = files.iter().any(|(name, _)| *name == "Cargo.toml");
        let checkout = self.sdk.ancestors().nth(2).filter(|_| of_rust);
        if let Some(lock) = checkout.map(|checkout| checkout.join("example-rules/Cargo.lock")) {
            let _ = std::fs::copy(lock, folder.join("Cargo.lock"));
        }
        Ok(())
    }
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        && !name.ends_with(['_', '-']);
    if !good || name.len() > 64 {
        return Err(format!(
            "`{name}` is no name for a {what}: small letters, digits, `_` and `-`, a letter first, at most 64, such as root_login"
        ));
    }
    match TAKEN.contains(&name.replace('-', "_").as_str()) {
        true => Err(format!("`{name}` means something to Rust or cargo already; say more, such as {name}_seen")),
        false => Ok(()),
    }
}

fn find_sdk(dir: &Path, given: Option<&Path>, kind: &Sdk) -> Result<PathBuf, String> {
    let Sdk { krate, folder } = kind;
    match given {
        Some(sdk) if checkout::is_crate(sdk, krate) => Ok(sdk.to_path_buf()),
        Some(sdk) => Err(format!("{} is not the crate {krate}; name the folder {folder}", sdk.display())),
        None => checkout::find_crate(dir, folder, krate).ok_or_else(|| {
            format!(
                "no checkout of StreamAlert around {} or this program, so the SDK is not found; say where {folder} is with --sdk",
                dir.display()
            )
        }),
    }
}

/// What the new rule looks for, and where its cases come from.
struct Beginning {
    log: String,
    field: String,
    fires: String,
    silent: String,
    service: String,
    source: String,
    /// What a record must say besides to be of the log type.
    besides: Map<String, Value>,
}

impl Beginning {
    fn find(args: &RuleArgs) -> Result<Beginning, Failure> {
        let usage = |message: String| Failure::Usage(anyhow!(message));
        let log = args.logs.first().cloned().unwrap_or_default();
        let known = BEGINNINGS.iter().find(|(name, ..)| *name == log);
        let Some(folder) = args.config.clone().or_else(|| checkout::config(&args.dir)) else {
            // Without schemas we know only what is written above.
            let Some((_, field, fires, silent)) = known else {
                return Err(usage(format!(
                    "which fields {log} has is not known without its schema; say with --config where conf/ is"
                )));
            };
            return Ok(Beginning::new(&log, field, fires, silent, ("file".into(), "cases".into())));
        };
        let config = rules::config(&folder, None)?;
        for log in &args.logs {
            if !config.schemas.knows(log) {
                let names: Vec<&str> = config.schemas.iter().map(|log_type| log_type.name.as_str()).collect();
                let (folder, names) = (folder.display(), names.join(", "));
                return Err(usage(format!("no schema in {folder} defines {log}; there are {names}")));
            }
        }
        let log_type = log_type(&config.schemas, &log).ok_or_else(|| usage(format!("no schema defines {log}")))?;
        let source = source_of(&config.clusters, log_type).unwrap_or_else(|| ("file".into(), "cases".into()));
        if let Some((name, field, fires, silent)) = known
            && log_type.fields.position(field).is_some()
        {
            return Ok(Beginning::new(name, field, fires, silent, source).besides(log_type));
        }
        let field = telling_field(log_type)
            .ok_or_else(|| usage(format!("{} has no text field to begin with; begin with another", log_type.name)))?;
        Ok(Beginning::new(&log_type.name, field, "suspicious", "ordinary", source).besides(log_type))
    }

    fn new(log: &str, field: &str, fires: &str, silent: &str, (service, source): (String, String)) -> Self {
        let [log, field, fires, silent] = [log, field, fires, silent].map(str::to_owned);
        Beginning { log, field, fires, silent, service, source, besides: Map::new() }
    }

    fn besides(self, log_type: &LogType) -> Self {
        Beginning { besides: defaults::wanted_by_patterns(log_type), ..self }
    }
}

/// The type itself, or the first of a source.
fn log_type<'a>(schemas: &'a Schemas, log: &str) -> Option<&'a LogType> {
    schemas.iter().find(|log_type| log_type.is_named_by(log)).map(|log_type| &**log_type)
}

/// A text field that does not decide the type, if possible one whose name says that it tells what happened.
fn telling_field(log_type: &LogType) -> Option<&str> {
    let decides = |name: &str| log_type.options.log_patterns.iter().any(|pattern| pattern.path[0] == name);
    let fields = |takes: fn(&FieldKind) -> bool| {
        let fields = log_type.fields.0.iter().filter(move |field| takes(&field.kind) && !decides(&field.name));
        fields.map(|field| field.name.as_str())
    };
    let texts = || fields(|kind| *kind == FieldKind::String);
    let telling = ["eventName", "eventType", "event_type", "action", "type", "name", "operation"];
    let found = telling.into_iter().find_map(|name| texts().find(|field| *field == name));
    // What may be anything may be a text.
    found.or_else(|| texts().next()).or_else(|| fields(|kind| *kind == FieldKind::Any).next())
}

/// A source that may send the type: this machine's files if possible.
fn source_of(clusters: &Clusters, log_type: &LogType) -> Option<(String, String)> {
    let mut found = None;
    for cluster in &clusters.clusters {
        for (service, resources) in &cluster.data_sources {
            for (resource, _) in resources.iter().filter(|(_, declared)| declared.may_send(log_type)) {
                match resource.as_str() {
                    "*" if service == "file" => return Some((service.clone(), "cases".to_owned())),
                    "*" => found = found.or(Some((service.clone(), "cases".to_owned()))),
                    plain if !plain.contains(['*', '?', '[']) => {
                        found = found.or(Some((service.clone(), resource.clone())))
                    }
                    _ => {}
                }
            }
        }
    }
    found
}

/// How components are built.
pub const PROFILE: &str = r#"# What a component is judged by: speed first, then size.
[profile.release]
opt-level = 3
lto = true
codegen-units = 1
panic = "abort"
strip = true
"#;

fn manifest(krate: &str, sdk: &str, sdk_path: &str) -> String {
    format!(
        r#"[package]
name = "{krate}"
version = "0.1.0"
edition = "2024"
publish = false

# On its own, also inside another workspace's folder.
[workspace]

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
{sdk} = {{ path = {} }}

{PROFILE}"#,
        Value::from(sdk_path)
    )
}

fn source(rule: &str, logs: &[String], beginning: &Beginning) -> String {
    let Beginning { field, fires, silent, .. } = beginning;
    let logs = logs.iter().map(|log| format!("{log:?}")).collect::<Vec<_>>().join(", ");
    let path = format!("{:?}", field.replace('.', "\\."));
    let identifier = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !field.starts_with(|c: char| c.is_ascii_digit());
    let key = if identifier { field.clone() } else { path.clone() };
    format!(
        r#"use streamalert_sdk::prelude::*;

/// Somewhere {field} was {fires}.
///
/// This text goes into every alert: say what happened, why it matters and what to do first.
#[rule(
    logs = [{logs}],
    when({key} = {fires:?}),
    severity = "medium",
)]
fn {rule}(record: &Record) -> Option<Finding> {{
    // The condition says so too, but a function called from a test sees every record.
    if !record.is({path}, {fires:?}) {{
        return None;
    }}
    Some(Finding::new({title:?}).context({field:?}, {fires:?}))
}}

#[cfg(test)]
mod tests {{
    use super::*;

    #[test]
    fn fires_on_what_it_is_about_only() {{
        let fires = |value: &str| {rule}(&Record::from_json(json!({{{field:?}: value}}))).is_some();
        assert!(fires({fires:?}));
        assert!(!fires({silent:?}));
    }}
}}
"#,
        title = format!("{field} was {fires}")
    )
}

fn cases(rule: &str, beginning: &Beginning) -> String {
    let Beginning { log, field, fires, silent, service, source, besides } = beginning;
    let case = |value: &str, expected: Value, what: &str| {
        let mut part = besides.clone();
        part.insert(field.clone(), Value::from(value));
        json!({
            "description": format!("{field} is {value}: {what}"),
            "log": log,
            "service": service,
            "source": source,
            "trigger_rules": expected,
            "override_record": part,
        })
    };
    let cases = json!([case(fires, json!([rule]), "an alert"), case(silent, json!([]), "no alert")]);
    format!("{cases:#}\n")
}

fn readme(krate: &str, rule: &str, logs: &[String]) -> String {
    format!(
        "# {krate}\n\nThe rule `{rule}` over {}. Its condition and code are in `src/lib.rs`, its cases in `cases/`.\n\
         `cargo test` runs it as a plain function, `streamalert test` runs the cases through the component.\n\
         `streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n",
        logs.join(", ")
    )
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-~+".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_rust_and_cargo_take() {
        for name in ["root_login", "root-login", "r2"] {
            assert_eq!(check_name("rule", name), Ok(()), "{name}");
        }
        for name in ["", "Root", "2fa", "a b", "../x", "x_", "-x", "größe", "match", "std", "proc-macro", "test"] {
            assert!(check_name("rule", name).is_err(), "{name}");
        }
        assert!(check_name("rule", &"x".repeat(65)).is_err());
        assert!(TAKEN.is_sorted());
    }
}
