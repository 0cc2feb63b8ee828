//! `streamalert dead`: what could not be processed; looked at, sent again, dropped.

use super::run::{Output, printer, say};
use crate::cloud::Cloud;
use crate::{Failure, cloud, functions, rules};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use indicatif::ProgressBar;
use std::path::PathBuf;
use std::sync::Arc;
use streamalert_aws::dead_letters::{Pile, S3DeadLetters};
use streamalert_local::config_folder::Config;
use streamalert_local::dead_letters::DeadLetterFolder;
use streamalert_local::intel::enricher;
use streamalert_local::resend::{Filter, Resender};
use streamalert_local::run::{DataFolder, live_once, now};
use streamalert_pipeline::backend::{DeadLetters, RuleTable};
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::live::Base;
use streamalert_pipeline::printable::printable;

/// Look at what could not be processed, and send it again
#[derive(clap::Args)]
pub struct Args {
    /// Folder the run keeps its dead letters in
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    data: PathBuf,
    /// Those of the installation on AWS that DIR/aws.json names, instead of a folder's; sending again is the classifier's there
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "conf", global = true, conflicts_with = "data")]
    aws: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One line each, the oldest first
    List {
        #[command(flatten)]
        only: Only,
    },
    /// All of one letter, with its input
    Show { id: String },
    /// Try letters again; those that go through are removed
    ///
    /// Each is classified and judged at its old place, so that nothing is raised twice. A letter about a rule that failed
    /// goes to that rule only.
    #[command(after_help = RESEND_EXIT_CODES)]
    Resend {
        #[command(flatten)]
        which: Which,
        /// Folder with schemas/, clusters/ and lookup_tables/
        #[arg(long, value_name = "DIR", default_value = "conf")]
        config: PathBuf,
        /// Folder of schemas, instead of the one in --config
        #[arg(long, value_name = "DIR")]
        schemas: Option<PathBuf>,
        /// Folder of components (*.wasm)
        #[arg(long, value_name = "DIR", default_value = "plugins")]
        plugins: PathBuf,
    },
    /// Forget letters for good
    Drop {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(clap::Args)]
struct Which {
    /// Ids, or the beginnings of them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// All letters that --reason and --source leave
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    only: Only,
}

impl Which {
    fn filter(self) -> Filter {
        Filter { ids: self.ids, reason: self.only.reason, source: self.only.source }
    }
}

const RESEND_EXIT_CODES: &str = "Exit codes:
  0  all of them went through
  1  some stayed, or something could not be read or stored
  2  a wrong argument or configuration";

#[derive(clap::Args)]
struct Only {
    /// Only letters with this reason
    #[arg(long, value_name = "REASON", value_parser = parse_reason)]
    reason: Option<Reason>,
    /// Only letters whose service:resource:object contains this
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
}

fn parse_reason(text: &str) -> Result<Reason, String> {
    let all = Reason::ALL.map(Reason::code).join(", ");
    let named = |reason: &Reason| reason.code() == text;
    Reason::ALL.into_iter().find(named).ok_or(format!("the reasons are {all}"))
}

pub fn run(args: Args) -> Result<(), Failure> {
    let cloud = args.aws.as_deref().map(cloud::connect).transpose()?;
    let (kept, letters): (Kept, Vec<DeadLetter>) = match &cloud {
        Some(cloud) => {
            let store = S3DeadLetters::new(&cloud.aws, cloud.names.data_bucket());
            let mut pile = store.pile().context("read the dead letters")?;
            let letters = std::mem::take(&mut pile.letters);
            (Kept::OnAws(store, pile), letters)
        }
        None => {
            let data = DataFolder::existing(&args.data).map_err(Failure::Usage)?;
            let folder = data.dead_letters()?;
            let letters = read(&folder)?;
            (Kept::Here(data, folder), letters)
        }
    };
    match args.command {
        Command::List { only } => {
            let filter = Filter { ids: Vec::new(), reason: only.reason, source: only.source };
            letters.iter().filter(|letter| filter.takes(letter)).try_for_each(|letter| list_line(letter, args.output))
        }
        Command::Show { id } => {
            let chosen = choose(&letters, Filter { ids: vec![id], ..Filter::default() })?;
            chosen.iter().try_for_each(|letter| show(letter, args.output))
        }
        Command::Drop { which } => {
            let chosen = choose(&letters, which.filter())?;
            let ids: Vec<String> = chosen.iter().map(|letter| letter.id.clone()).collect();
            match &kept {
                Kept::Here(_, folder) => folder.remove(&ids),
                Kept::OnAws(store, pile) => store.remove_from(pile, &ids),
            }
            .context("drop letters")?;
            eprintln!("{} dropped", ids.len());
            Ok(())
        }
        Command::Resend { which, config, schemas, plugins } => {
            let chosen = choose(&letters, which.filter())?;
            let (data, folder) = match (&kept, &cloud) {
                (Kept::Here(data, folder), _) => (data, folder),
                (Kept::OnAws(..), Some(cloud)) => return resend_on_aws(cloud, &chosen),
                (Kept::OnAws(..), None) => return Ok(()),
            };
            let config = rules::config_here(&config, schemas.as_deref())?;
            let plugins = rules::open(&plugins, &data.cache(), &config)?;
            resend(data, folder, &chosen, config, plugins, args.output)
        }
    }
}

/// Where letters lie.
enum Kept {
    Here(DataFolder, DeadLetterFolder),
    /// With the objects that letters were read from.
    OnAws(S3DeadLetters, Pile),
}

/// Letters that one invocation of the classifier sends again: a minute is enough for them, and their ids for its answer.
const LETTERS_AT_ONCE: usize = 500;

fn resend_on_aws(cloud: &Cloud, letters: &[DeadLetter]) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    struct Answer {
        through: Vec<String>,
        stayed: std::collections::BTreeMap<String, String>,
    }
    let (mut through, mut stayed) = (0, 0);
    for some in letters.chunks(LETTERS_AT_ONCE) {
        let ids: Vec<&str> = some.iter().map(|letter| letter.id.as_str()).collect();
        let event = serde_json::json!({ "streamalert_resend": ids }).to_string();
        let answer = functions::invoke(cloud, "classifier", &event)?.answer()?;
        let answer: Answer = serde_json::from_str(&answer).context("read the classifier's answer")?;
        for (id, why) in &answer.stayed {
            eprintln!("{id} stays: {}", printable(why));
        }
        through += answer.through.len();
        stayed += answer.stayed.len();
    }
    eprintln!("{through} of {} went through, to be judged by the rules engine", letters.len());
    match stayed {
        0 => Ok(()),
        stayed => Err(anyhow!("{stayed} letters stay").into()),
    }
}

fn resend(
    data: &DataFolder,
    folder: &DeadLetterFolder,
    letters: &[DeadLetter],
    config: Config,
    mut plugins: streamalert_local::run::Plugins,
    output: Output,
) -> Result<(), Failure> {
    let Config { schemas, clusters, outputs, archive, rule_staging, threat_intel, .. } = config;
    let enricher = enricher(data, &threat_intel, &clusters)?;
    let base = Base { schemas: Arc::new(schemas), clusters: Arc::new(clusters) };
    let alerts = data.alerts()?;
    let staging = data.staging(rule_staging, &plugins.folder, false);
    let live = live_once(plugins.source.as_mut(), &base, &staging, |notice| eprintln!("{notice}"));
    let live = live.map_err(anyhow::Error::from)?;
    let states = data.rules().all().map_err(anyhow::Error::from)?;
    let known = live.classifier.schemas().clone();
    let archive = data.keeper(&archive, move || known.clone(), |notice| eprintln!("{notice}"))?;
    let resender = Resender::new(&live, (&alerts, &outputs), folder, states).looking(enricher);
    let mut resender = resender.kept_in(archive);
    let resent = resender.resend(letters, now, printer(output, ProgressBar::hidden())).context("send letters again")?;
    for (id, why) in &resent.stayed {
        eprintln!("{id} stays: {}", printable(why));
    }
    eprintln!(
        "{} of {} went through: {} new alerts and {} known already, {} records lost to a rule",
        resent.through.len(),
        letters.len(),
        resent.new_alerts,
        resent.known_alerts,
        resent.new_letters
    );
    match resent.stayed.len() {
        0 => Ok(()),
        stayed => Err(anyhow!("{stayed} letters stay").into()),
    }
}

fn read(folder: &DeadLetterFolder) -> Result<Vec<DeadLetter>, Failure> {
    let (letters, unreadable) = folder.read().context("read the dead letters")?;
    for line in unreadable {
        eprintln!("warning: {} line {} is no dead letter: {}", line.file, line.line, line.error);
    }
    Ok(letters)
}

fn choose(letters: &[DeadLetter], filter: Filter) -> Result<Vec<DeadLetter>, Failure> {
    let astray = filter.astray(letters);
    if !astray.is_empty() {
        return Err(Failure::Usage(anyhow!("{}", astray.join("\n"))));
    }
    Ok(letters.iter().filter(|letter| filter.takes(letter)).cloned().collect())
}

fn place(letter: &DeadLetter) -> String {
    let source = &letter.source;
    let object = if source.object.is_empty() { &source.resource } else { &source.object };
    format!("{}:{} byte {} record {}", source.service, object, letter.position.offset, letter.position.index)
}

fn list_line(letter: &DeadLetter, output: Output) -> Result<(), Failure> {
    say(&match output {
        Output::Json => serde_json::to_string(letter).context("write a letter")?,
        Output::Text => {
            let rule = letter.fault.as_ref().map(|fault| format!("{}: ", fault.rule)).unwrap_or_default();
            let text = format!("{}  {rule}{}", place(letter), letter.message);
            let count = if letter.count > 1 { format!(" ×{}", letter.count) } else { String::new() };
            format!("{}  {}  {:<13}  {}{count}", letter.id, letter.first_seen, letter.reason.code(), printable(&text))
        }
    })
}

fn show(letter: &DeadLetter, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return list_line(letter, output);
    }
    let line = |name: &str, value: &str| say(&format!("{name:<10} {}", printable(value)));
    line("letter", &letter.id)?;
    line("reason", letter.reason.code())?;
    line("message", &letter.message)?;
    line("source", &place(letter))?;
    line("cluster", &letter.cluster)?;
    let bytes = format!("{} to {}", letter.position.offset, letter.position.offset + letter.position.length);
    line("bytes", &bytes)?;
    if !letter.source.version.is_empty() {
        line("version", &letter.source.version)?;
    }
    line("first seen", &letter.first_seen)?;
    line("came", &format!("{} times", letter.count))?;
    if let Some(log_type) = &letter.classified {
        line("classified", &format!("as {log_type}; below is the record"))?;
    }
    if let Some(parser) = &letter.parser {
        line("made by", &format!("the parser {parser}; below is what it made"))?;
    }
    if !letter.head.is_empty() {
        line("header", &letter.head)?;
    }
    if !letter.tried.is_empty() {
        line("tried", &letter.tried.join(", "))?;
    }
    if let Some(fault) = &letter.fault {
        line("rule", &format!("{} of {} ({}), {}", fault.rule, fault.plugin, fault.digest, fault.kind))?;
    }
    say("")?;
    String::from_utf8_lossy(&letter.input.bytes()).lines().try_for_each(|text| say(&printable(text)))
}
