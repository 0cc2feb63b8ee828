//! `streamalert output`: where alerts go.

use super::run::{Output, say};
use crate::cloud::{self, Cloud};
use crate::{Failure, rules, world};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_delivery::Components;
use streamalert_egress::Policy;
use streamalert_egress::world::{rules as host_rules, settings as settings_of};
use streamalert_local::clock::millis;
use streamalert_local::config_folder::{Config, outputs_file};
use streamalert_local::edit::JsonFile;
use streamalert_local::run::DataFolder;
use streamalert_local::secrets::variable_of;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_processor::parcel;
use streamalert_pipeline::backend::{Lease, SecretStore};
use streamalert_pipeline::config::output::{AWS, MACHINE, OutputConfig, is_name};
use streamalert_pipeline::plugin::{Disposition, OutputInfo, OutputPlugin, PluginSet};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::time::rfc3339;

/// Bytes of a file or pipe of secrets.
const SECRETS_BYTES_MAX: u64 = 1 << 20;

/// Configure where alerts go, and try it
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder with outputs.json
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Folder of components (*.wasm), outputs among them
    #[arg(long, value_name = "DIR", default_value = "plugins", global = true)]
    plugins: PathBuf,
    /// Folder the run keeps its alerts in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// File with the credentials, readable for you alone [default: DATA/secrets.json]
    #[arg(long, value_name = "FILE", global = true)]
    secrets: Option<PathBuf>,
    /// Of the installation on AWS that DIR/aws.json names: outputs.json is that of DIR, and credentials lie in its parameter store
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["config", "secrets"])]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes:
  0  it went well
  1  something could not be read, written or delivered
  2  a wrong argument, setting or configuration; nothing was changed";

#[derive(Subcommand)]
enum Command {
    /// Make an output: its settings are asked for, or given by --set and --secrets-from
    ///
    /// Secret settings go to the file of secrets, or with --aws to the parameter store, the others to outputs.json. The component checks
    /// them first.
    New {
        /// Such as slack; its component must be in the plugins folder
        service: String,
        /// Your name for it: a channel, a team. Rules write SERVICE:DESCRIPTOR
        descriptor: String,
        /// A setting that is not secret. May be given several times
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// A JSON object of secret settings; - is stdin
        #[arg(long, value_name = "FILE|-")]
        secrets_from: Option<PathBuf>,
        /// A host it may call, instead of those its component names
        #[arg(long, value_name = "HOST")]
        host: Vec<String>,
        /// Its hosts may be in private networks or on this machine
        #[arg(long)]
        private_networks: bool,
        /// Put it in the place of one that is there
        #[arg(long)]
        replace: bool,
    },
    /// What is configured, what is missing, and what could be configured
    List,
    /// Really deliver a test alert
    Test {
        /// SERVICE:DESCRIPTOR
        name: String,
        /// Certificates of authorities to trust beside the public ones, as PEM
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Take an output and its secrets away
    Delete {
        /// SERVICE:DESCRIPTOR
        name: String,
    },
}

struct Desk {
    config: Config,
    set: PluginSet,
    secrets: Arc<dyn SecretStore>,
    keeper: Keeper,
    /// Of the configuration.
    folder: PathBuf,
    /// Credentials are asked for by way of it.
    _cloud: Option<Cloud>,
}

/// Who keeps the credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Machine,
    Aws,
}

impl Desk {
    fn open(args: &Args) -> Result<Desk, Failure> {
        let folder = args.aws.as_ref().unwrap_or(&args.config);
        let config = rules::config(folder, None)?;
        let data = DataFolder::open(&args.data)?;
        let mut plugins = rules::open(&args.plugins, &data.cache(), &config)?;
        let loaded = plugins.source.load();
        for notice in loaded.notices.iter().filter(|notice| !notice.starts_with("live:")) {
            eprintln!("{notice}");
        }
        let cloud = args.aws.as_deref().map(cloud::connect).transpose()?;
        let (secrets, keeper): (Arc<dyn SecretStore>, _) = match &cloud {
            Some(cloud) => (Arc::new(SsmSecrets::new(cloud.aws.clone(), &cloud.names)), Keeper::Aws),
            None => (rules::secrets(args.secrets.as_deref(), &data), Keeper::Machine),
        };
        let mut set = loaded.set;
        // They tell of themselves and check settings; where they deliver, they are made anew.
        set.outputs.extend(streamalert_aws::outputs::offline());
        Ok(Desk { config, set, secrets, keeper, folder: folder.clone(), _cloud: cloud })
    }

    /// Where outputs are configured.
    fn file(&self) -> PathBuf {
        outputs_file(&self.folder)
    }

    fn plugin(&self, service: &str) -> Result<&Arc<dyn OutputPlugin>, Failure> {
        self.set.outputs.iter().find(|output| output.info().service == service).ok_or_else(|| {
            let known: Vec<&str> = self.set.outputs.iter().map(|output| output.info().service.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Failure::Usage(anyhow!(
                "no component delivers to {service}; there are outputs for: {known}. `streamalert build example-rules --out plugins` builds those that come along, \
                 `streamalert new output {service}` makes one of your own"
            ))
        })
    }

    fn secrets_of(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        Ok(self.secrets.get(name).context("look for credentials")?)
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    let desk = Desk::open(&args)?;
    match &args.command {
        Command::New { service, descriptor, set, secrets_from, host, private_networks, replace } => {
            let asked = New {
                name: format!("{service}:{descriptor}"),
                service,
                descriptor,
                set,
                secrets_from: secrets_from.as_deref(),
                hosts: host,
                private_networks: *private_networks,
                replace: *replace,
            };
            make(&desk, &asked)
        }
        Command::List => list(&desk, args.output),
        Command::Test { name, ca } => test(&desk, name, ca.as_deref(), args.output),
        Command::Delete { name } => {
            if !desk.config.outputs.configured.contains_key(name) {
                let known: Vec<&str> = desk.config.outputs.configured.keys().map(String::as_str).collect();
                return Err(Failure::Usage(anyhow!("there is no output {name}; there are {}", known.join(", "))));
            }
            let used = desk.config.outputs.defaults.iter().any(|default| default.outputs.contains(name));
            if used {
                return Err(Failure::Usage(anyhow!(
                    "{name} is among the defaults of outputs.json; take it out there first"
                )));
            }
            change(&desk.file(), name, None, |_| Ok(()))?;
            desk.secrets.delete(name).context("delete the credentials")?;
            eprintln!("{name} is gone, and its credentials");
            for rule in rules_with(&desk.set, name) {
                eprintln!("warning: rule {rule} still names it; its alerts will not be delivered there");
            }
            Ok(())
        }
    }
}

fn rules_with<'a>(set: &'a PluginSet, output: &'a str) -> impl Iterator<Item = &'a str> {
    let all = set.plugins.iter().flat_map(|plugin| plugin.rules());
    all.filter(move |rule| rule.options.outputs.iter().any(|name| name == output)).map(|rule| rule.name.as_str())
}

struct New<'a> {
    name: String,
    service: &'a str,
    descriptor: &'a str,
    set: &'a [String],
    secrets_from: Option<&'a Path>,
    hosts: &'a [String],
    private_networks: bool,
    replace: bool,
}

fn make(desk: &Desk, new: &New) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!("{message}"));
    if MACHINE.contains(&new.service) {
        return Err(usage(format!("{} needs no configuration: a rule names it, and it is there", new.name)));
    }
    if !is_name(new.descriptor) {
        return Err(usage("a descriptor is 1 to 64 letters, digits, `-` and `_`".into()));
    }
    if desk.config.outputs.configured.contains_key(&new.name) && !new.replace {
        return Err(usage(format!("{} is there already; --replace puts this in its place", new.name)));
    }
    let plugin = desk.plugin(new.service)?;
    let info = plugin.info();
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for pair in new.set {
        let (name, value) = pair.split_once('=').ok_or_else(|| usage(format!("--set {pair}: write NAME=VALUE")))?;
        match info.settings.iter().find(|setting| setting.name == name) {
            Some(setting) if setting.secret => {
                return Err(usage(format!(
                    "{name} is secret, and arguments are seen by other processes; give it by --secrets-from, or leave it out and type it in"
                )));
            }
            Some(_) => given.insert(name.to_owned(), value.to_owned()),
            None => return Err(usage(unknown(info, name))),
        };
    }
    if let Some(path) = new.secrets_from {
        for (name, value) in secrets_from(path)? {
            match info.settings.iter().find(|setting| setting.name == name) {
                Some(setting) if setting.secret => given.insert(name, value),
                Some(_) => return Err(usage(format!("{name} is not secret; give it by --set"))),
                None => return Err(usage(unknown(info, &name))),
            };
        }
    }
    let terminal = std::io::stdin().is_terminal() && new.secrets_from != Some(Path::new("-"));
    if terminal {
        ask(info, &mut given)?;
    }
    let missing: Vec<&str> = info
        .settings
        .iter()
        .filter(|setting| setting.required && !given.contains_key(&setting.name))
        .map(|setting| setting.name.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(usage(format!(
            "{} needs {}; give secret settings by --secrets-from, others by --set",
            new.name,
            missing.join(", ")
        )));
    }
    let all: Vec<(String, String)> = given.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let faults = plugin.validate(&all).context("ask the component about the settings")?;
    if !faults.is_empty() {
        let told: Vec<String> = faults
            .iter()
            .map(|fault| match fault.setting.as_str() {
                "" => fault.message.clone(),
                setting => format!("{setting}: {}", fault.message),
            })
            .collect();
        return Err(usage(format!("{} is not right:\n  {}", new.name, told.join("\n  "))));
    }
    let hosts = if new.hosts.is_empty() { Policy::wanted(&info.hosts, &all) } else { new.hosts.to_vec() };
    let is_secret = |name: &String| info.settings.iter().any(|setting| setting.secret && setting.name == *name);
    let (secret, plain): (BTreeMap<_, _>, BTreeMap<_, _>) = given.into_iter().partition(|(name, _)| is_secret(name));
    let config = OutputConfig {
        settings: plain.into_iter().map(|(name, value)| (name, Value::String(value))).collect(),
        hosts: hosts.clone(),
        private_networks: new.private_networks,
        ..OutputConfig::default()
    };
    change(&desk.file(), &new.name, Some(&config), |there| {
        // Somebody else may have made it since it was looked for.
        if there && !new.replace {
            return Err(usage(format!("{} is there already; --replace puts this in its place", new.name)));
        }
        // The secrets first: an output without them would begin to fail.
        if !secret.is_empty() {
            desk.secrets.put(&new.name, &secret).context("keep the credentials")?;
        } else if info.settings.iter().any(|setting| setting.secret) {
            desk.secrets.delete(&new.name).context("delete the credentials")?;
        }
        Ok(())
    })?;
    eprintln!("{} is in {}", new.name, desk.file().display());
    if !hosts.is_empty() {
        eprintln!("it may call {}", hosts.join(", "));
    }
    let folder = desk.folder.display();
    match desk.keeper {
        Keeper::Machine => eprintln!(
            "`streamalert output test {}` sends a test alert; a run that is under way must be started anew",
            new.name
        ),
        Keeper::Aws if AWS.contains(&new.service) => eprintln!(
            "`streamalert deploy --config {folder}` gives the permission, `streamalert push --conf --config {folder}` makes it live"
        ),
        Keeper::Aws => eprintln!(
            "`streamalert output test {} --aws {folder}` sends a test alert from here, `streamalert push --conf --config {folder}` \
             makes it live",
            new.name
        ),
    }
    Ok(())
}

pub(super) fn unknown(info: &OutputInfo, name: &str) -> String {
    let known: Vec<&str> = info.settings.iter().map(|setting| setting.name.as_str()).collect();
    format!("{} has no setting {name}; it has {}", info.service, known.join(", "))
}

pub(super) fn secrets_from(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(SECRETS_BYTES_MAX).read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|file| file.take(SECRETS_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::Usage(anyhow!("read secrets from {}: {error}", path.display())))?;
    // serde's message might show one.
    serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(anyhow!(
            "{}: no JSON object of texts, {{\"NAME\": \"VALUE\"}}: look at line {} column {}",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}

pub(super) fn ask(info: &OutputInfo, given: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    for setting in &info.settings {
        if given.contains_key(&setting.name) {
            continue;
        }
        let optional = if setting.required { "" } else { " (optional)" };
        eprint!("{}{optional}, {}: ", setting.name, setting.description);
        std::io::stderr().flush().context("ask for a setting")?;
        let answer = if setting.secret {
            rpassword::read_password().context("read a secret")?
        } else {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("read a setting")?;
            line
        };
        let answer = answer.trim();
        if !answer.is_empty() {
            given.insert(setting.name.clone(), answer.to_owned());
        }
    }
    Ok(())
}

/// Puts an output into the file, or takes it out; what else is there stays as it is. `first` is done before it is written, while
/// nobody else changes the file.
fn change(
    file: &Path,
    name: &str,
    config: Option<&OutputConfig>,
    first: impl FnOnce(bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut changed = JsonFile::open(file).map_err(|error| anyhow!("read {}: {error}", file.display()))?;
    let all = &mut changed.all;
    let (service, descriptor) = name.split_once(':').unwrap_or((name, ""));
    let descriptors = all.entry(service).or_insert_with(|| json!({}));
    if let Value::Array(names) = descriptors {
        // A list of names becomes an object, so that there is room for settings.
        *descriptors = names.iter().filter_map(|name| Some((name.as_str()?.to_owned(), json!({})))).collect();
    }
    first(descriptors.get(descriptor).is_some())?;
    if let Value::Object(descriptors) = descriptors {
        match config {
            Some(config) => {
                descriptors.insert(descriptor.to_owned(), serde_json::to_value(config).context("write an output")?);
            }
            None => {
                descriptors.shift_remove(descriptor);
            }
        }
    }
    if all.get(service).and_then(Value::as_object).is_some_and(Map::is_empty) {
        all.shift_remove(service);
    }
    changed.save().map_err(|error| anyhow!("write {}: {error}", file.display()).into())
}

fn list(desk: &Desk, output: Output) -> Result<(), Failure> {
    for (name, config) in &desk.config.outputs.configured {
        let service = name.split_once(':').map_or(name.as_str(), |(service, _)| service);
        let secrets = desk.secrets_of(name)?;
        let mut problems: Vec<String> = Vec::new();
        match desk.set.outputs.iter().find(|plugin| plugin.info().service == service) {
            None if MACHINE.contains(&service) => {}
            None => problems.push(format!("no component for {service} in the plugins folder")),
            Some(plugin) => problems.extend(problems_at(desk.keeper, name, &**plugin, config, &secrets)),
        }
        let rules: Vec<&str> = rules_with(&desk.set, name).collect();
        match output {
            Output::Json => say(&json!({
                "output": name, "hosts": config.hosts, "settings": config.settings.keys().collect::<Vec<_>>(),
                "secrets": secrets.keys().collect::<Vec<_>>(), "rules": rules, "problems": problems,
            })
            .to_string())?,
            Output::Text => {
                let state = if problems.is_empty() {
                    "ready".to_owned()
                } else {
                    format!("NOT READY: {}", problems.join("; "))
                };
                let rules = match rules.len() {
                    0 => "no rule names it".to_owned(),
                    1 => "1 rule names it".to_owned(),
                    many => format!("{many} rules name it"),
                };
                say(&format!("{name:<28} {}  ({rules})", printable(&state)))?;
            }
        }
    }
    if output == Output::Text {
        let services: Vec<&str> = desk.set.outputs.iter().map(|plugin| plugin.info().service.as_str()).collect();
        eprintln!("to be had: {}; without configuration: file:NAME, stdout:NAME", services.join(", "));
    }
    Ok(())
}

/// What is wrong with an output's configuration, on one machine.
pub fn problems(
    name: &str,
    plugin: &dyn OutputPlugin,
    config: &OutputConfig,
    secrets: &BTreeMap<String, String>,
) -> Vec<String> {
    problems_at(Keeper::Machine, name, plugin, config, secrets)
}

fn problems_at(
    keeper: Keeper,
    name: &str,
    plugin: &dyn OutputPlugin,
    config: &OutputConfig,
    secrets: &BTreeMap<String, String>,
) -> Vec<String> {
    let anew = "`streamalert output new --replace --aws` asks for it";
    let info = plugin.info();
    let settings = settings_of(config, secrets);
    let mut problems = Vec::new();
    for setting in &info.settings {
        let there = settings.iter().any(|(name, _)| *name == setting.name);
        if setting.secret && config.settings.contains_key(&setting.name) {
            let instead = match keeper {
                Keeper::Machine => "put it into the file of secrets",
                Keeper::Aws => anew,
            };
            problems.push(format!("{} is secret and stands in outputs.json: {instead}", setting.name));
        } else if setting.required && !there {
            let where_to = match keeper {
                Keeper::Machine if setting.secret => format!(" (or the variable {})", variable_of(name, &setting.name)),
                Keeper::Aws if setting.secret => format!(" in the parameter store: {anew}"),
                _ => String::new(),
            };
            problems.push(format!("{} is missing{where_to}", setting.name));
        }
    }
    for (name, _) in settings.iter().filter(|(name, _)| info.settings.iter().all(|known| known.name != *name)) {
        problems.push(unknown(info, name));
    }
    if problems.is_empty() {
        match plugin.validate(&settings) {
            Ok(faults) => problems.extend(faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.message))),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        let missing = Policy::missing(&info.hosts, &settings, &host_rules(config));
        if !missing.is_empty() {
            problems.push(format!("`hosts` in outputs.json does not permit {}", missing.join(", ")));
        }
    }
    problems
}

fn test(desk: &Desk, name: &str, ca: Option<&Path>, output: Output) -> Result<(), Failure> {
    if let Some(message) = desk.config.outputs.unknown(name) {
        return Err(Failure::Usage(anyhow!("{message}")));
    }
    let service = name.split_once(':').map_or(name, |(service, _)| service);
    // To AWS, the way of the installation that the configuration is about.
    let cloud = if AWS.contains(&service) { Some(cloud::connect(&desk.folder)?) } else { None };
    let on_aws = cloud.as_ref().map(|cloud| streamalert_aws::outputs::outputs(&cloud.aws, &cloud.names));
    let on_aws = on_aws.iter().flatten().find(|output| output.info().service == service);
    let plugin = on_aws.map_or_else(|| desk.plugin(service), Ok)?;
    let (config, secrets) = (desk.config.outputs.get(name), desk.secrets_of(name)?);
    let problems = problems_at(desk.keeper, name, &**plugin, &config, &secrets);
    if !problems.is_empty() {
        return Err(Failure::Usage(anyhow!("{name} is not ready: {}", problems.join("; "))));
    }
    let alert = test_alert(name)?;
    let now = millis();
    let lease = Lease { alert, output: name.to_owned(), attempts: 0, faults: 0, progress: None, due: now, until: now };
    let parcel = parcel(&lease, &config, &Components(desk.set.clone()), millis()).context("shape the alert")?;
    let outside = world::open(ca)?.outside(plugin.info(), &config, &secrets);
    let outcome = plugin.deliver(&parcel, &outside).context("the output's component")?;
    if output == Output::Json {
        let (what, why) = match &outcome {
            Disposition::Delivered(receipt) => ("delivered", receipt.clone()),
            Disposition::Retry { reason, .. } => ("retry", Some(reason.clone())),
            Disposition::Reject(reason) => ("reject", Some(reason.clone())),
        };
        say(&json!({"output": name, "outcome": what, "message": why}).to_string())?;
    }
    match outcome {
        Disposition::Delivered(receipt) => {
            let receipt = receipt.map(|receipt| format!(": {}", printable(&receipt))).unwrap_or_default();
            eprintln!("delivered to {name}{receipt}");
            Ok(())
        }
        Disposition::Retry { reason, .. } => {
            Err(anyhow!("{name} did not take it, and a run would try again: {}", printable(&reason)).into())
        }
        Disposition::Reject(reason) => Err(anyhow!("{name} refused it: {}", printable(&reason)).into()),
    }
}

/// What is sent to try an output.
fn test_alert(name: &str) -> Result<Alert, Failure> {
    let now = rfc3339(millis());
    let alert = json!({
        "id": format!("test-{}", millis()), "rule_name": "streamalert_output_test", "title": "A test alert of StreamAlert",
        "severity": "info", "rule_description": "Sent by `streamalert output test`. There is nothing to do.",
        "created": now, "event_time": null, "cluster": "test", "log_source": "test:event", "log_type": "json",
        "source": {"service": "test", "resource": "streamalert", "object": ""},
        "position": {"offset": 0, "length": 0, "index": 0}, "outputs": [name], "publishers": null, "merge": null,
        "dedup_key": null, "tags": ["test"], "references": [], "context": {}, "record": {"message": "a test", "user": "nobody"},
        "staged": false, "component_digest": "", "host_version": env!("CARGO_PKG_VERSION"), "fuel": 0,
    });
    Ok(serde_json::from_value(alert).context("make a test alert")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_alert_is_an_alert() {
        assert_eq!(test_alert("a:b").ok().unwrap().outputs, ["a:b"]);
    }

    #[test]
    fn changes_leave_the_rest_of_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outputs.json");
        let config = OutputConfig { hosts: vec!["h".into()], ..OutputConfig::default() };
        change(&file, "slack:a", Some(&config), |_| Ok(())).ok().unwrap();
        std::fs::write(&file, r#"{"zebra": {"z": {"rate": 2}}, "slack": ["b", "a"], "defaults": []}"#).unwrap();
        change(&file, "slack:a", Some(&config), |_| Ok(())).ok().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            all,
            json!({"zebra": {"z": {"rate": 2}}, "slack": {"b": {}, "a": {"hosts": ["h"]}}, "defaults": []})
        );
        assert!(text.find("zebra") < text.find("slack"));
        change(&file, "slack:a", None, |_| Ok(())).ok().unwrap();
        change(&file, "zebra:z", None, |_| Ok(())).ok().unwrap();
        let all: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(all, json!({"slack": {"b": {}}, "defaults": []}));
    }
}
