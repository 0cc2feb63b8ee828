//! `streamalert app`: whose logs are fetched.

use super::output::{ask, secrets_from, unknown};
use super::run::{Output, say};
use crate::{Failure, cloud, rules, world};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use streamalert_aws::app_table::DynamoApps;
use streamalert_aws::functions;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_egress::Policy;
use streamalert_egress::world::rules as host_rules;
use streamalert_local::apps::Fetch;
use streamalert_local::clock::millis;
use streamalert_local::config_folder::Config;
use streamalert_local::edit::JsonFile;
use streamalert_local::input::Found;
use streamalert_local::run::{DataFolder, Options, Progress, run as run_all};
use streamalert_local::secrets::variable_of;
use streamalert_pipeline::apps::{self, AppState};
use streamalert_pipeline::backend::{AppTable, BackendErrorKind, SecretStore};
use streamalert_pipeline::config::apps::{
    ALL_TYPES, AppConfig, FILE, NO_CLASSIFIER, SERVICE, Start, secrets_of, source,
};
use streamalert_pipeline::config::output::is_name;
use streamalert_pipeline::plugin::{AppInfo, AppPlugin, Ask, OutputInfo, PluginSet, Polled};
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::schedule::Schedule;
use streamalert_pipeline::time::rfc3339;

/// Times that a reset is written anew because a turn that is under way has written meanwhile.
const ATTEMPTS: usize = 16;

/// Configure whose logs are fetched, try it, and see how far it has come
///
/// A run that stays (--watch, --http, --apps) has the apps of apps.json fetch logs; on AWS a function does. Each app has a cursor, which is
/// kept page by page.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder with apps.json
    #[arg(long, value_name = "DIR", default_value = "conf", global = true)]
    config: PathBuf,
    /// Folder of components (*.wasm), apps among them
    #[arg(long, value_name = "DIR", default_value = "plugins", global = true)]
    plugins: PathBuf,
    /// Folder the run keeps its alerts in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// File with the credentials, readable for you alone [default: DATA/secrets.json]
    #[arg(long, value_name = "FILE", global = true)]
    secrets: Option<PathBuf>,
    /// Credentials and states of the installation on AWS that DIR/aws.json names; DIR has apps.json, too
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with_all = ["data", "config", "secrets"])]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Exit codes:
  0  it went well
  1  something could not be read, written or fetched
  2  a wrong argument, setting or configuration; nothing was changed";

#[derive(Subcommand)]
enum Command {
    /// Make an app: its settings are asked for, or given by --set and --secrets-from
    ///
    /// Secret settings go to the store of secrets, the others to apps.json. The component checks them first.
    New {
        /// Your name for it: an organization, an account. Clusters name it among data_sources.streamalert_app
        name: String,
        /// Of app, as its component names it; `streamalert app list` shows what there is
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// How often logs are fetched: rate(5 minutes), cron(0 9 ? * MON-FRI *)
        #[arg(long, value_name = "SCHEDULE", default_value = "rate(5 minutes)")]
        schedule: String,
        /// How old the first logs are, as 36h or 90d [default: as long as it is between two turns]
        #[arg(long, value_name = "TIME")]
        start: Option<String>,
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
        /// Put it in the place of one that is there; its cursor stays
        #[arg(long)]
        replace: bool,
    },
    /// What is configured, what is missing, and what could be configured
    List,
    /// Give new credentials; what is not given stays
    UpdateAuth {
        name: String,
        /// A JSON object of secret settings; - is stdin
        #[arg(long, value_name = "FILE|-")]
        secrets_from: Option<PathBuf>,
    },
    /// How far each has come, when it is its turn, and what went wrong last
    Status {
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Fetch logs now, whether it is its turn or not
    ///
    /// Here they go through the rules as in a run; on AWS the function is invoked. Never while another run is at it.
    Run {
        name: String,
        /// Fetch one page, write its logs to stdout, and keep nothing
        #[arg(long)]
        dry_run: bool,
        /// Certificates of authorities to trust beside the public ones, as PEM
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Forget how far it has come: it begins anew, some time ago
    ///
    /// What it fetches again are the same records, and raise no alert again that is still known. In the archive they stand once more,
    /// in the hour in which they came again, with the same streamalert_id.
    Reset {
        name: String,
        /// How old the first logs are, as 36h or 90d [default: as apps.json says]
        #[arg(long, value_name = "TIME")]
        start: Option<String>,
    },
    /// Take an app, its credentials and its cursor away
    Delete { name: String },
}

struct Desk<'a> {
    args: &'a Args,
    config: Config,
    set: PluginSet,
    secrets: Arc<dyn SecretStore>,
    table: Arc<dyn AppTable>,
    cloud: Option<cloud::Cloud>,
    file: PathBuf,
}

impl<'a> Desk<'a> {
    fn open(args: &'a Args) -> Result<Self, Failure> {
        let folder = args.aws.as_ref().unwrap_or(&args.config);
        let config = rules::config(folder, None)?;
        let cloud = args.aws.as_deref().map(cloud::connect).transpose()?;
        // To look into a folder that is not there is a mistake; what is configured before the first run is kept in a new one.
        let data = match args.command {
            Command::Status { .. } | Command::Reset { .. } if cloud.is_none() => {
                DataFolder::existing(&args.data).map_err(Failure::Usage)?
            }
            _ => DataFolder::open(&args.data)?,
        };
        let mut plugins = rules::open(&args.plugins, &data.cache(), &config)?;
        let loaded = plugins.source.load();
        for notice in loaded.notices.iter().filter(|notice| !notice.starts_with("live:")) {
            eprintln!("{notice}");
        }
        let (secrets, table): (Arc<dyn SecretStore>, Arc<dyn AppTable>) = match &cloud {
            Some(cloud) => (
                Arc::new(SsmSecrets::new(cloud.aws.clone(), &cloud.names)),
                Arc::new(DynamoApps::new(cloud.aws.clone(), &cloud.names)),
            ),
            None => (rules::secrets(args.secrets.as_deref(), &data), Arc::new(data.apps()?)),
        };
        Ok(Desk { file: folder.join(FILE), args, config, set: loaded.set, secrets, table, cloud })
    }

    fn app(&self, name: &str) -> Result<&AppConfig, Failure> {
        self.config.apps.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.config.apps.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Failure::Usage(anyhow!("there is no app {name}; there are: {known}"))
        })
    }

    fn kind(&self, kind: &str) -> Result<(&Arc<dyn AppPlugin>, usize), Failure> {
        self.set.app(kind).ok_or_else(|| {
            let known: Vec<&str> = self.set.apps.iter().flat_map(|plugin| plugin.apps()).map(|app| app.name.as_str()).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Failure::Usage(anyhow!(
                "no component has apps of the type {kind}; there are: {known}. `streamalert build example-rules --out plugins` builds those that come along, \
                 `streamalert new app {kind}` makes one of your own"
            ))
        })
    }

    fn secrets_of(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        Ok(self.secrets.get(&secrets_of(name)).context("look for credentials")?)
    }

    /// What keeps an app from working.
    fn problems(&self, name: &str, config: &AppConfig) -> Vec<String> {
        let Some((plugin, kind)) = self.set.app(&config.kind) else {
            return vec![format!("no component has apps of the type {}", config.kind)];
        };
        let secrets = match self.secrets.get(&secrets_of(name)) {
            Ok(secrets) => secrets,
            Err(error) => return vec![format!("{:#}", anyhow::Error::new(error))],
        };
        let place = |setting: &str| match self.args.aws.is_none() {
            true => format!(" (or the variable {})", variable_of(&secrets_of(name), setting)),
            false => String::new(),
        };
        let mut problems = apps::problems(&**plugin, kind, config, &secrets, &place);
        if problems.is_empty() {
            let settings = apps::settings(config, &secrets);
            let missing = Policy::missing(&plugin.apps()[kind].hosts, &settings, &host_rules(&config.caller()));
            if !missing.is_empty() {
                problems.push(format!("`hosts` in apps.json does not permit {}", missing.join(", ")));
            }
        }
        if config.schedule.next(millis()).is_none() {
            problems.push(format!("its schedule {} never comes again", config.schedule.as_str()));
        }
        // Where each cluster has a classifier; on one machine all log types are tried.
        if self.args.aws.is_some() && !self.is_named(name) {
            problems.push(format!("no cluster has it among data_sources.{SERVICE}, {NO_CLASSIFIER}"));
        }
        problems
    }

    /// A cluster says which logs it brings.
    fn is_named(&self, name: &str) -> bool {
        self.config.clusters.find(&source(name)).is_some()
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    if let Command::Run { name, dry_run: false, ca } = &args.command
        && args.aws.is_none()
    {
        return run_here(&args, name, ca.as_deref());
    }
    let desk = Desk::open(&args)?;
    match &args.command {
        Command::New { name, kind, schedule, start, set, secrets_from, host, private_networks, replace } => {
            let usage = |message: String| Failure::Usage(anyhow!("{message}"));
            let mut config = AppConfig::of(kind);
            config.schedule = Schedule::read(schedule).map_err(|error| usage(error.to_string()))?;
            config.start = start.as_deref().map(Start::read).transpose().map_err(usage)?;
            config.private_networks = *private_networks;
            make(&desk, name, config, set, secrets_from.as_deref(), host, *replace)
        }
        Command::List => list(&desk),
        Command::UpdateAuth { name, secrets_from } => update(&desk, name, secrets_from.as_deref()),
        Command::Status { names } => status(&desk, names),
        Command::Run { name, dry_run: true, ca } => dry_run(&desk, name, ca.as_deref()),
        Command::Run { name, .. } => invoke(&desk, name),
        Command::Reset { name, start } => reset(&desk, name, start.as_deref()),
        Command::Delete { name } => {
            desk.app(name)?;
            let mut file = open(&desk.file)?;
            file.all.shift_remove(name);
            save(file, &desk.file)?;
            desk.secrets.delete(&secrets_of(name)).context("delete the credentials")?;
            desk.table.remove(name).context("forget how far it has come")?;
            eprintln!("{name} is gone, its credentials and its cursor");
            if desk.is_named(name) {
                eprintln!("warning: a cluster still has it among data_sources.streamalert_app");
            }
            Ok(())
        }
    }
}

/// Nobody else changes it meanwhile.
fn open(file: &Path) -> Result<JsonFile, Failure> {
    JsonFile::open(file).map_err(|error| anyhow!("read {}: {error}", file.display()).into())
}

fn save(changed: JsonFile, file: &Path) -> Result<(), Failure> {
    changed.save().map_err(|error| anyhow!("write {}: {error}", file.display()).into())
}

fn make(
    desk: &Desk,
    name: &str,
    mut config: AppConfig,
    set: &[String],
    from: Option<&Path>,
    hosts: &[String],
    replace: bool,
) -> Result<(), Failure> {
    let usage = |message: String| Failure::Usage(anyhow!("{message}"));
    if !is_name(name) {
        return Err(usage("an app's name is 1 to 64 letters, digits, `-` and `_`".into()));
    }
    let there = || usage(format!("{name} is there already; --replace puts this in its place"));
    if desk.config.apps.contains_key(name) && !replace {
        return Err(there());
    }
    if config.schedule.next(millis()).is_none() {
        return Err(usage(format!("the schedule {} never comes", config.schedule.as_str())));
    }
    let (plugin, kind) = desk.kind(&config.kind)?;
    let info = plugin.apps()[kind].clone();
    let given = asked(name, &info.caller(), set, from, &BTreeMap::new())?;
    let all: Vec<(String, String)> = given.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    check(&**plugin, kind, name, &all)?;
    config.hosts = if hosts.is_empty() { Policy::wanted(&info.hosts, &all) } else { hosts.to_vec() };
    let (secret, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
        given.into_iter().partition(|(name, _)| is_secret(&info, name));
    config.settings = plain.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    let mut file = open(&desk.file)?;
    // Somebody else may have made it since it was looked for.
    if file.all.contains_key(name) && !replace {
        return Err(there());
    }
    file.all.insert(name.to_owned(), serde_json::to_value(&config).context("write an app")?);
    // The secrets first: an app without them would begin to fail.
    desk.secrets.put(&secrets_of(name), &secret).context("keep the credentials")?;
    save(file, &desk.file)?;
    eprintln!("{name} is in {}", desk.file.display());
    if !config.hosts.is_empty() {
        eprintln!("it may call {}", config.hosts.join(", "));
    }
    if !desk.is_named(name) {
        let becomes = if desk.args.aws.is_some() { NO_CLASSIFIER } else { ALL_TYPES };
        eprintln!("no cluster has it among data_sources.{SERVICE}: {becomes}");
        let logs: Vec<String> = info.options.logs.iter().map(|log| format!("\"{log}\"")).collect();
        eprintln!(
            "name it in a file of {}: \"data_sources\": {{\"streamalert_app\": {{\"{name}\": [{}]}}}}",
            desk.file.with_file_name("clusters").display(),
            logs.join(", ")
        );
    }
    eprintln!(
        "`streamalert app run {name} --dry-run` fetches a page and keeps nothing; a run that is under way must be started anew"
    );
    Ok(())
}

fn is_secret(info: &AppInfo, name: &str) -> bool {
    info.settings.iter().any(|setting| setting.secret && setting.name == name)
}

fn check(plugin: &dyn AppPlugin, kind: usize, name: &str, settings: &[(String, String)]) -> Result<(), Failure> {
    let faults = plugin.validate(kind, settings).context("ask the component about the settings")?;
    if faults.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = faults
        .iter()
        .map(|fault| match fault.setting.as_str() {
            "" => fault.message.clone(),
            setting => format!("{setting}: {}", fault.message),
        })
        .collect();
    Err(Failure::Usage(anyhow!("{name} is not right:\n  {}", told.join("\n  "))))
}

/// Settings as arguments, files and answers give them; `known` are there already, and need not be given.
fn asked(
    name: &str,
    info: &OutputInfo,
    set: &[String],
    from: Option<&Path>,
    known: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let usage = |message: String| Failure::Usage(anyhow!("{message}"));
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for pair in set {
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
    if let Some(path) = from {
        for (name, value) in secrets_from(path)? {
            match info.settings.iter().find(|setting| setting.name == name) {
                Some(setting) if setting.secret => given.insert(name, value),
                Some(_) => return Err(usage(format!("{name} is not secret; give it by --set"))),
                None => return Err(usage(unknown(info, &name))),
            };
        }
    }
    if std::io::stdin().is_terminal() && from != Some(Path::new("-")) {
        ask(info, &mut given)?;
    }
    let missing: Vec<&str> = info
        .settings
        .iter()
        .filter(|setting| setting.required && !given.contains_key(&setting.name) && !known.contains_key(&setting.name))
        .map(|setting| setting.name.as_str())
        .collect();
    match missing[..] {
        [] => Ok(given),
        _ => Err(usage(format!(
            "{name} needs {}; give secret settings by --secrets-from, others by --set",
            missing.join(", ")
        ))),
    }
}

fn list(desk: &Desk) -> Result<(), Failure> {
    for (name, config) in &desk.config.apps {
        let problems = if config.enabled { desk.problems(name, config) } else { vec![] };
        if desk.args.output == Output::Json {
            say(&json!({
                "app": name, "type": config.kind, "schedule": config.schedule.as_str(), "enabled": config.enabled,
                "problems": problems,
            })
            .to_string())?;
            continue;
        }
        let state = match (config.enabled, problems.is_empty()) {
            (false, _) => "switched off".to_owned(),
            (true, true) => "ready".to_owned(),
            (true, false) => format!("not ready: {}", problems.join("; ")),
        };
        say(&format!("{name}  {}  {}  {}", config.kind, config.schedule.as_str(), printable(&state)))?;
        if config.enabled && desk.args.aws.is_none() && !desk.is_named(name) {
            eprintln!("warning: {name}: no cluster has it among data_sources.{SERVICE}: {ALL_TYPES}");
        }
    }
    if desk.args.output == Output::Text {
        let used: Vec<&str> = desk.config.apps.values().map(|config| config.kind.as_str()).collect();
        let all = desk.set.apps.iter().flat_map(|plugin| plugin.apps());
        for app in all.filter(|app| !used.contains(&app.name.as_str())) {
            eprintln!("could be configured: {}, {}", printable(&app.name), printable(&app.description));
        }
    }
    Ok(())
}

fn update(desk: &Desk, name: &str, from: Option<&Path>) -> Result<(), Failure> {
    let config = desk.app(name)?;
    let (plugin, kind) = desk.kind(&config.kind)?;
    let info = plugin.apps()[kind].clone();
    let before = desk.secrets_of(name)?;
    let mut secret = info.caller();
    secret.settings.retain(|setting| setting.secret);
    let given = asked(name, &secret, &[], from, &before)?;
    let mut all: BTreeMap<String, String> = config.settings().into_iter().chain(before).collect();
    all.extend(given.clone());
    check(&**plugin, kind, name, &all.into_iter().collect::<Vec<_>>())?;
    // What the environment gives stays there, and is written nowhere.
    let mut kept = desk.secrets.kept(&secrets_of(name)).context("look for credentials")?;
    kept.extend(given.clone());
    desk.secrets.put(&secrets_of(name), &kept).context("keep the credentials")?;
    let count = desk.secrets_of(name)?;
    for setting in
        given.iter().filter(|(setting, value)| count.get(*setting) != Some(value)).map(|(setting, _)| setting)
    {
        let variable = variable_of(&secrets_of(name), setting);
        eprintln!("warning: {setting} is kept, and the variable {variable} counts more");
    }
    // What was refused with the old ones is tried at once.
    if let Some(state) = desk.table.get(name).context("look how far it has come")?
        && state.refused
    {
        let next = AppState { refused: false, again: Some(millis()), ..state.clone() };
        // Where somebody is at it, it has its turn anyway.
        let _ = desk.table.put(name, &next, Some(state.revision));
    }
    eprintln!("{name} has new credentials");
    Ok(())
}

fn status(desk: &Desk, names: &[String]) -> Result<(), Failure> {
    names.iter().try_for_each(|name| desk.app(name).map(drop))?;
    let states = desk.table.all().context("look how far apps have come")?;
    let now = millis();
    for (name, config) in desk.config.apps.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        let state = states.get(name);
        let due = state.map_or(Some(now), |state| state.due(config, now));
        let running = state.is_some_and(|state| state.is_running(now));
        let standing = match state {
            _ if !config.enabled => "off",
            None => "new",
            Some(_) if running => "running",
            Some(state) if state.refused => "refused",
            Some(state) if state.error.is_some() => "failing",
            Some(_) => "ok",
        };
        let time = |at: Option<i64>| at.map(rfc3339);
        if desk.args.output == Output::Json {
            say(&json!({
                "app": name, "type": config.kind, "standing": standing, "running": running,
                "next": time(due.filter(|_| config.enabled)),
                "since": time(state.map(|state| state.since * 1000)), "cursor": state.and_then(|state| state.cursor.clone()),
                "pages": state.map_or(0, |state| state.pages), "logs": state.map_or(0, |state| state.logs),
                "attempts": state.map_or(0, |state| state.attempts),
                "succeeded": time(state.and_then(|state| state.succeeded)),
                "error": state.and_then(|state| state.error.clone()), "error_at": time(state.and_then(|state| state.error_at)),
            })
            .to_string())?;
            continue;
        }
        let next = match due.filter(|_| config.enabled) {
            Some(due) if due <= now => "now".to_owned(),
            Some(due) => rfc3339(due),
            None => "never".to_owned(),
        };
        let logs = state.map_or(0, |state| state.logs);
        let succeeded = time(state.and_then(|state| state.succeeded)).unwrap_or_else(|| "never".into());
        say(&format!("{name}  {}  {standing}  {logs} logs, up to date at {succeeded}, next turn {next}", config.kind))?;
        if let Some(error) = state.and_then(|state| state.error.as_deref()) {
            say(&format!("  {}", printable(error)))?;
        }
    }
    Ok(())
}

fn dry_run(desk: &Desk, name: &str, ca: Option<&Path>) -> Result<(), Failure> {
    let config = desk.app(name)?;
    let (plugin, kind) = desk.kind(&config.kind)?;
    let problems = desk.problems(name, config);
    let (cluster, problems): (Vec<_>, Vec<_>) = problems
        .into_iter()
        .partition(|problem| problem.starts_with("no cluster") || problem.starts_with("its schedule"));
    if !problems.is_empty() {
        return Err(Failure::Usage(anyhow!("{name} is not ready: {}", problems.join("; "))));
    }
    cluster.iter().for_each(|problem| eprintln!("warning: {problem}"));
    let info = &plugin.apps()[kind];
    let state = desk.table.get(name).context("look how far it has come")?;
    let state = state.unwrap_or_else(|| AppState::begin(config, millis()));
    let ask = Ask {
        app: name.to_owned(),
        now: u64::try_from(millis() / 1000).unwrap_or(0),
        since: u64::try_from(state.since).unwrap_or(0),
        attempt: 1,
        cursor: state.cursor,
        settings: config.settings(),
    };
    let outside = world::open(ca)?.outside(&info.caller(), &config.caller(), &desk.secrets_of(name)?);
    match plugin.poll(kind, &ask, &outside).context("the app's component")? {
        Polled::Page(page) => {
            page.logs.iter().try_for_each(|log| say(log))?;
            let more = if page.more { ", and there is more" } else { "" };
            eprintln!("{} logs{more}; nothing was kept", page.logs.len());
            Ok(())
        }
        Polled::Retry { reason, .. } => {
            Err(anyhow!("no page came, and a run would try again: {}", printable(&reason)).into())
        }
        Polled::Reject(reason) => Err(anyhow!("{name} is refused: {}", printable(&reason)).into()),
    }
}

/// The run that is there for this app and nothing else.
fn run_here(args: &Args, name: &str, ca: Option<&Path>) -> Result<(), Failure> {
    let config = rules::config_here(&args.config, None)?;
    let Some(app) = config.apps.get(name) else {
        let known: Vec<&str> = config.apps.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        return Err(Failure::Usage(anyhow!("there is no app {name}; there are: {known}")));
    };
    tracing::debug!(kind = app.kind, "fetched now");
    let data = DataFolder::open(&args.data)?;
    let secrets = rules::secrets(args.secrets.as_deref(), &data);
    let plugins = rules::open_with(&args.plugins, &data.cache(), &config, Some(secrets.clone()))?;
    let options = Options {
        found: Found::default(),
        watch: None,
        fetch: Fetch::Once(name.to_owned()),
        http: None,
        source: None,
        data,
        alerts_file: None,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        secrets,
        world: world::open(ca)?,
        feeds: None,
        drain: Duration::from_secs(30),
        flush: false,
        skip_rule_staging: false,
    };
    let progress = Progress::new(|text| eprintln!("{text}"));
    let report = run_all(options, config, plugins, progress, super::run::printer(args.output, ProgressBar::hidden()))?;
    eprint!("{}{}", report.tally.summary(report.elapsed), report.deliveries.summary());
    match report.failures.first() {
        None => Ok(()),
        Some(failure) => Err(anyhow!("{failure}").into()),
    }
}

fn invoke(desk: &Desk, name: &str) -> Result<(), Failure> {
    desk.app(name)?;
    let Some(cloud) = &desk.cloud else { return Ok(()) };
    let event = json!({ "app": name, "now": true }).to_string();
    let invoked =
        functions::invoke(&cloud.aws, &cloud.names.function("apps"), &event).context("invoke the function")?;
    match invoked.answer {
        Ok(answer) => say(&answer),
        Err(error) => Err(anyhow!("{}\n{}", printable(&error), invoked.log).into()),
    }
}

fn reset(desk: &Desk, name: &str, start: Option<&str>) -> Result<(), Failure> {
    let config = desk.app(name)?;
    let mut config = config.clone();
    if let Some(start) = start {
        config.start = Some(Start::read(start).map_err(|error| Failure::Usage(anyhow!(error)))?);
    }
    let begin = AppState::begin(&config, millis());
    for _ in 0..ATTEMPTS {
        // In the place of what is there: whoever is at it finds another state than the one it knows, and leaves it alone.
        let there = desk.table.get(name).context("look how far it has come")?;
        match desk.table.put(name, &begin, there.map(|state| state.revision)) {
            Err(error) if error.kind == BackendErrorKind::Conflict => {}
            done => {
                done.context("write where it begins")?;
                eprintln!("{name} begins anew, with logs from {} on", rfc3339(begin.since * 1000));
                return Ok(());
            }
        }
    }
    Err(anyhow!("a turn of {name} writes how far it has come all the time; try it again").into())
}
