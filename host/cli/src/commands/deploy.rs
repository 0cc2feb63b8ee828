//! `streamalert plan | deploy | destroy`: Terraform or OpenTofu over infra/, with what will happen in a few lines, questions before
//! anything is lost, and progress while it happens.

mod changes;
mod interrupts;

use super::generate;
use super::run::say;
use crate::cloud::SETTINGS;
use crate::{Failure, ask};
use anyhow::{Context, anyhow};
use changes::{Action, Changes, Event};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tried in this order.
const TOOLS: [&str; 2] = ["tofu", "terraform"];
/// What the tool calls it where providers or modules are missing: `init` was broken off, or infra/ has changed since.
const NOT_READY: [&str; 5] = [
    "Required plugins are not installed",
    "Inconsistent dependency lock file",
    "Module not installed",
    "Missing required provider",
    "Backend initialization required",
];
/// Changes of one kind that are listed one by one; `--all` lists every one.
const LISTED: usize = 12;

#[derive(clap::Args)]
pub struct Where {
    /// Folder of the configuration
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Folder of the infrastructure's code
    #[arg(long, value_name = "DIR", default_value = "infra")]
    infra: PathBuf,
    /// Program to call [default: tofu, or terraform]
    #[arg(long, value_name = "PROGRAM")]
    tool: Option<PathBuf>,
    /// File with variables of infra/ (.tfvars), also several times
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
    /// List every change
    #[arg(long)]
    all: bool,
}

const CODES: &str = "Exit codes:
  0  it went well
  1  something could not be made or changed; what was done is kept, and the next deploy goes on from there
  2  a wrong argument or configuration, a tool is missing, or the answer was no; nothing was changed";

/// Say what `deploy` would change on AWS
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct PlanArgs {
    #[command(flatten)]
    place: Where,
}

/// Make the installation on AWS what conf/ and infra/ say
///
/// Rules need none of this: `streamalert push` uploads them.
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct DeployArgs {
    #[command(flatten)]
    place: Where,
    /// Do not ask, unless stored data would be lost
    #[arg(long)]
    yes: bool,
    /// With --yes: do not ask even if stored data would be lost
    #[arg(long, requires = "yes")]
    lose_data: bool,
}

/// Remove the installation from AWS, with all that is stored
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct DestroyArgs {
    #[command(flatten)]
    place: Where,
    /// Do not ask: the installation's prefix, so that it is no other one
    #[arg(long, value_name = "PREFIX")]
    yes: Option<String>,
}

pub fn plan(args: PlanArgs) -> Result<(), Failure> {
    let tool = Tool::find(args.place)?;
    let plan = tool.plan(&[])?;
    tool.show(&plan.changes)
}

pub fn deploy(args: DeployArgs) -> Result<(), Failure> {
    let tool = Tool::find(args.place)?;
    let plan = tool.plan(&[])?;
    tool.show(&plan.changes)?;
    if plan.changes.list.is_empty() {
        return Ok(());
    }
    let lost = plan.changes.lost();
    let agreed = match (lost.is_empty(), args.yes) {
        (true, true) => true,
        (false, true) if args.lose_data => true,
        (_, yes) if !ask::is_possible() => {
            let flag = if yes { "--lose-data" } else { "--yes" };
            return Err(no(format!("nobody can be asked here; {flag} goes on without")));
        }
        (true, false) => ask::yes("Go on?")?,
        (false, _) => ask::word(&format!("Stored data will be lost: {}.", lost.join(", ")), &tool.prefix)?,
    };
    if !agreed {
        return Err(no("nothing was changed".into()));
    }
    tool.apply(&plan)?;
    tool.outputs()
}

pub fn destroy(args: DestroyArgs) -> Result<(), Failure> {
    let tool = Tool::find(args.place)?;
    let plan = tool.plan(&["-destroy"])?;
    tool.show(&plan.changes)?;
    if plan.changes.list.is_empty() {
        return Ok(());
    }
    let agreed = match &args.yes {
        Some(prefix) if *prefix == tool.prefix => true,
        Some(prefix) => return Err(no(format!("--yes names {prefix}, but this installation is {}", tool.prefix))),
        None if !ask::is_possible() => {
            return Err(no(format!("nobody can be asked here; --yes {} goes on without", tool.prefix)));
        }
        None => ask::word("All of this is removed, with what is stored in it.", &tool.prefix)?,
    };
    if !agreed {
        return Err(no("nothing was changed".into()));
    }
    tool.apply(&plan)
}

fn no(message: String) -> Failure {
    Failure::Usage(anyhow!(message))
}

/// Terraform or OpenTofu over one installation.
struct Tool {
    program: PathBuf,
    infra: PathBuf,
    /// Folder of the configuration.
    conf: PathBuf,
    prefix: String,
    /// Variables of the environment.
    variables: Vec<(String, OsString)>,
    var_files: Vec<PathBuf>,
    all: bool,
}

/// What was planned, and the file that says it to the tool.
struct Plan {
    file: tempfile::TempPath,
    changes: Changes,
}

impl Tool {
    fn find(place: Where) -> Result<Tool, Failure> {
        let usage = |message: String| Failure::Usage(anyhow!(message));
        let Where { config, infra, tool, var_file, all } = place;
        if !infra.join("main.tf").is_file() {
            return Err(usage(format!("{} is not the infrastructure's code; name it with --infra", infra.display())));
        }
        let settings = config.join(SETTINGS);
        let text = std::fs::read_to_string(&settings).map_err(|error| {
            usage(format!("read {}: {error}; `streamalert init DIR` writes a first configuration", settings.display()))
        })?;
        let value: Value =
            serde_json::from_str(&text).map_err(|error| usage(format!("{}: {error}", settings.display())))?;
        let prefix = value["prefix"].as_str().filter(|prefix| !prefix.is_empty());
        let prefix = prefix.ok_or_else(|| usage(format!("{}: the prefix is missing", settings.display())))?.to_owned();
        if value["region"].as_str().is_none_or(str::is_empty) {
            return Err(usage(format!("{}: the region is missing; infra/ needs it", settings.display())));
        }
        let program = match tool {
            Some(program) => program,
            None => TOOLS.iter().map(PathBuf::from).find(|program| runs(program)).ok_or_else(|| {
                usage(
                    "neither tofu nor terraform is here: https://opentofu.org/docs/intro/install says how it is had"
                        .into(),
                )
            })?,
        };
        if !runs(&program) {
            return Err(usage(format!("{} does not run", program.display())));
        }
        if generate::refresh(&config)? {
            eprintln!("{} is written anew, as the schemas have changed", config.join(generate::TABLES).display());
        }
        let absolute = |path: &Path| -> Result<PathBuf, Failure> {
            Ok(std::path::absolute(path).with_context(|| format!("find {}", path.display()))?)
        };
        let conf = absolute(&config)?;
        let variables = vec![
            ("TF_VAR_conf".to_owned(), conf.clone().into_os_string()),
            ("TF_IN_AUTOMATION".to_owned(), "1".into()),
            ("TF_INPUT".to_owned(), "0".into()),
        ];
        let var_files = var_file.iter().map(|file| absolute(file)).collect::<Result<_, _>>()?;
        let tool = Tool { program, infra: absolute(&infra)?, conf, prefix, variables, var_files, all };
        if !tool.infra.join(".terraform").is_dir() {
            tool.begin()?;
        }
        tool.check_owner()?;
        Ok(tool)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.infra);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Fetches providers.
    fn begin(&self) -> Result<(), Failure> {
        eprintln!("{} init: fetches what infra/ needs", self.program.display());
        let output = self.command(&["init", "-input=false", "-no-color"]).output();
        let output = output.with_context(|| format!("run {}", self.program.display()))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(anyhow!("{} init failed: {}", self.program.display(), said.trim()).into())
            }
        }
    }

    /// A state is of one installation: with the configuration of another one, everything in it would be renamed or removed.
    fn check_owner(&self) -> Result<(), Failure> {
        let outputs = self.output()?;
        let owner = outputs.get("prefix").and_then(|output| output["value"].as_str());
        match owner {
            Some(owner) if owner != self.prefix => Err(no(format!(
                "the state that {} works on is of {owner}, and the configuration is of {prefix}; give {prefix} a state of its own: \
                 `{} workspace new {prefix}` there, then TF_WORKSPACE={prefix}",
                self.infra.display(),
                self.program.display(),
                prefix = self.prefix,
            ))),
            _ => Ok(()),
        }
    }

    fn plan(&self, more: &[&str]) -> Result<Plan, Failure> {
        match self.try_plan(more) {
            Err(Failure::Running(error)) if NOT_READY.iter().any(|told| format!("{error:#}").contains(told)) => {
                self.begin()?;
                self.check_owner()?;
                self.try_plan(more)
            }
            done => done,
        }
    }

    fn try_plan(&self, more: &[&str]) -> Result<Plan, Failure> {
        let file = tempfile::Builder::new().prefix("streamalert-").suffix(".plan").tempfile();
        let file = file.context("make a file for the plan")?.into_temp_path();
        let out = format!("-out={}", file.display());
        let mut command = self.command(&["plan", "-json", "-input=false", &out]);
        command.args(more);
        for var_file in &self.var_files {
            let mut argument = OsString::from("-var-file=");
            argument.push(var_file);
            command.arg(argument);
        }
        // The last one counts: a file in infra/ may name another folder, and has more weight than the environment.
        let mut conf = OsString::from("-var=conf=");
        conf.push(&self.conf);
        command.arg(conf);
        let bar = spinner("looks at what there is");
        let mut changes = Changes::default();
        let done = self.follow(command, |event| match event {
            Event::Planned(change) => changes.list.push(change),
            Event::Reading(address) => bar.set_message(address),
            _ => {}
        });
        bar.finish_and_clear();
        done.map(|()| Plan { file, changes })
    }

    fn show(&self, changes: &Changes) -> Result<(), Failure> {
        if changes.list.is_empty() {
            return say(&format!("{}: nothing to change", self.prefix));
        }
        for action in Action::ALL {
            let of_action: Vec<&str> = changes.addresses(action).collect();
            // What is removed or made anew is always named.
            let shown = match self.all || action.is_removal() {
                true => of_action.len(),
                false => of_action.len().min(LISTED),
            };
            for address in &of_action[..shown] {
                say(&format!("  {} {address}", action.sign()))?;
            }
            if shown < of_action.len() {
                say(&format!("  {} … and {} more (--all names them)", action.sign(), of_action.len() - shown))?;
            }
        }
        say(&format!("{}: {}", self.prefix, changes.counts()))
    }

    fn apply(&self, plan: &Plan) -> Result<(), Failure> {
        let file = plan.file.display().to_string();
        let command = self.command(&["apply", "-json", "-input=false", &file]);
        let bar = ProgressBar::new(plan.changes.steps());
        match std::io::stderr().is_terminal() {
            true => {
                if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {wide_msg}") {
                    bar.set_style(style);
                }
            }
            false => bar.set_draw_target(indicatif::ProgressDrawTarget::hidden()),
        }
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let mut done = 0;
        let outcome = self.follow(command, |event| {
            match event {
                Event::Begun(address) => drop(busy.insert(address)),
                Event::Done(address) => {
                    busy.remove(&address);
                    done += 1;
                    bar.inc(1);
                }
                Event::Failed(address) => {
                    busy.remove(&address);
                    bar.suspend(|| warn(&format!("failed: {address}")));
                }
                _ => {}
            }
            bar.set_message(busy.iter().cloned().collect::<Vec<_>>().join(", "));
        });
        bar.finish_and_clear();
        let steps = plan.changes.steps();
        outcome.map_err(|failure| match failure {
            Failure::Running(error) => Failure::Running(error.context(format!("{done} of {steps} steps were done"))),
            usage => usage,
        })?;
        say(&format!("{}: {done} of {steps} steps done", self.prefix))
    }

    /// What the infrastructure says of itself: names that people and other tools need.
    fn outputs(&self) -> Result<(), Failure> {
        for (name, output) in &self.output()? {
            if output["sensitive"] == true || output["value"].is_null() {
                continue;
            }
            match &output["value"] {
                Value::String(text) => say(&format!("  {name}: {text}"))?,
                other => say(&format!("  {name}: {other}"))?,
            }
        }
        Ok(())
    }

    /// Nothing, where nothing is made yet or the tool cannot say.
    fn output(&self) -> Result<Map<String, Value>, Failure> {
        let output =
            self.command(&["output", "-json"]).stderr(Stdio::null()).output().context("ask for the outputs")?;
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Runs the tool; its errors, all of them, are ours. Whatever happens here, it is waited for: it keeps the state.
    fn follow(&self, mut command: Command, mut on: impl FnMut(Event)) -> Result<(), Failure> {
        let _held = interrupts::hold();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", self.program.display()))?;
        // Read beside stdout, or a long one would hold the tool up.
        let stderr = child.stderr.take();
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = stderr.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut errors = Vec::new();
        let stdout = child.stdout.take().context("read what the tool says")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("read what the tool says")?;
            match Event::read(&String::from_utf8_lossy(&line)) {
                Some(Event::Error(error)) => errors.push(error),
                Some(Event::Warning(warning)) => warn(&format!("warning: {warning}")),
                Some(event) => on(event),
                None => {}
            }
        }
        let status = child.wait().context("wait for the tool")?;
        let said = said.join().unwrap_or_default();
        if status.success() && errors.is_empty() {
            return Ok(());
        }
        if errors.is_empty() {
            errors.push(format!("{} ended with {status}: {}", self.program.display(), said.trim()));
        }
        Err(anyhow!("{}", errors.join("\n")).into())
    }
}

/// Nobody may read it any more; what is under way goes on.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn runs(program: &Path) -> bool {
    let version = Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn spinner(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_prefix(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
