//! `streamalert run`: logs in, alerts out, on this machine.

use crate::{Failure, intel, rules, world};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use streamalert_local::alert_text::alert_text;
use streamalert_local::apps::Fetch;
use streamalert_local::input::{DeclaredSource, find};
use streamalert_local::run::{DataFolder, Options, Progress, run as run_all};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::printable::printable;

/// Where logs are posted when `--http` says no more.
const HTTP_PORT: u16 = 8080;
/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Run rules over files, a pipe, an inbox folder or HTTP
///
/// Ends when all inputs are read; with --watch or --http it runs until SIGTERM or Ctrl-C, and then stores what it took.
/// Alerts are kept in the data folder: the same input twice raises nothing twice.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Folder with schemas/, clusters/ and lookup_tables/
    #[arg(long, value_name = "DIR", default_value = "conf")]
    config: PathBuf,
    /// Folder of schemas, instead of the one in --config
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
    /// Folder of components (*.wasm); changes in it are live within a second
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    plugins: PathBuf,
    /// File or folder of logs, or - for stdin; gzip is recognised. May be given several times
    #[arg(long, value_name = "FILE|DIR|-", num_args = 1..)]
    input: Vec<PathBuf>,
    /// Inbox folder: files put there are taken, and moved to its done/ when their results are stored
    #[arg(long, value_name = "DIR")]
    watch: Option<PathBuf>,
    /// Take logs by HTTP: POST /v1/logs. A port alone listens on this machine only
    #[arg(long, value_name = "[IP:]PORT", value_parser = parse_address, num_args = 0..=1, default_missing_value = "8080")]
    http: Option<SocketAddr>,
    /// Have the apps of apps.json fetch logs, until it is stopped; with --watch or --http they do so anyway
    #[arg(long)]
    apps: bool,
    /// What the inputs stand for, such as s3:my-bucket; clusters are chosen by it
    #[arg(long, value_name = "SERVICE:RESOURCE")]
    source: Option<DeclaredSource>,
    /// Folder for alerts, dead letters and compiled components
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// How new alerts are written to stdout
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Append every alert to this file as a JSON line
    #[arg(long, value_name = "FILE")]
    alerts_file: Option<PathBuf>,
    /// File with the credentials of outputs, readable for you alone [default: DATA/secrets.json]
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Certificates of authorities that outputs trust beside the public ones, as PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long the end of the run waits for alerts to be delivered; what is left is delivered by the next run
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_seconds: u32,
    /// Leave alerts that wait to be merged waiting at the end of all inputs, for the next run
    #[arg(long)]
    no_flush: bool,
    /// Rules that are new or changed are live at once, whatever rule_staging.json says
    #[arg(long)]
    skip_rule_staging: bool,
    /// At the end, say what each rule did and took, by log type
    #[arg(long)]
    stats: bool,
    /// Threads that classify and judge [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

const AFTER_HELP: &str = "Hidden files, *.md and *.py in a folder are left out, unless named themselves. An alert goes to the outputs its rule names and to the
defaults of outputs.json in the configuration; `file:NAME` is DATA/outputs/NAME.jsonl. What cannot be delivered is tried again, and told of. STREAMALERT_LOG=info says more on stderr; NO_COLOR turns colours off.

Exit codes:
  0  all inputs were read, or it was stopped and everything it took is stored
  1  something could not be read or stored
  2  a wrong argument or configuration";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A few lines for a person
    Text,
    /// One JSON line each
    Json,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if args.input.is_empty() && args.watch.is_none() && args.http.is_none() && !args.apps {
        return Err(Failure::Usage(anyhow!(
            "nothing to read: give --input FILE, DIR or -, --watch DIR, --http PORT or --apps"
        )));
    }
    let config = rules::config_here(&args.config, args.schemas.as_deref())?;
    if args.apps && config.apps.values().all(|app| !app.enabled) {
        let folder = args.config.display();
        return Err(Failure::Usage(anyhow!(
            "there are no apps in {folder}/apps.json; `streamalert app new` makes one"
        )));
    }
    let stays = args.apps || args.watch.is_some() || args.http.is_some();
    let fetch = if stays && !config.apps.is_empty() { Fetch::All } else { Fetch::Nothing };
    let found = find(&args.input).map_err(|error| Failure::Usage(anyhow!("read the inputs: {error}")))?;
    let data = DataFolder::open(&args.data)?;
    let secrets = rules::secrets(args.secrets.as_deref(), &data);
    let plugins = rules::open_with(&args.plugins, &data.cache(), &config, Some(secrets.clone()))?;
    for (path, why) in &found.ignored {
        eprintln!("left out: {} ({why})", printable(&path.to_string_lossy()));
    }
    if let Some(address) = args.http.filter(|address| !address.ip().is_loopback()) {
        eprintln!("warning: {address} is open to other machines, and whoever reaches it may send logs");
    }

    let bar = bar(found.bytes);
    let progress = {
        let bar = bar.clone();
        Progress::new(move |text| bar.suspend(|| eprintln!("{text}")))
    };
    let moving = (!bar.is_hidden()).then(|| {
        let (bar, progress) = (bar.clone(), progress.clone());
        std::thread::spawn(move || {
            while !bar.is_finished() {
                bar.set_position(progress.read.load(Ordering::Relaxed));
                std::thread::sleep(BAR_EVERY);
            }
        })
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let feeds = match config.threat_intel.enabled {
        true => intel::downloader(&config.threat_intel, intel::table(&data)?, secrets.clone(), args.ca.as_deref())?,
        false => None,
    };
    let options = Options {
        found,
        watch: args.watch,
        fetch,
        http: args.http,
        source: args.source,
        alerts_file: args.alerts_file,
        workers: args.workers.map_or(cores, usize::from),
        secrets,
        world: world::open(args.ca.as_deref())?,
        feeds,
        drain: Duration::from_secs(args.drain_seconds.into()),
        flush: !args.no_flush,
        skip_rule_staging: args.skip_rule_staging,
        data,
    };
    let report = run_all(options, config, plugins, progress, printer(args.output, bar.clone()));
    bar.finish_and_clear();
    if let Some(moving) = moving {
        let _ = moving.join();
    }
    let report = report?;
    eprint!("{}{}", report.tally.summary(report.elapsed), report.deliveries.summary());
    if args.stats {
        eprint!("{}", report.tally.rule_statistics());
    }
    if report.unread > 0 {
        eprintln!("stopped before the end of {} inputs: run again to read the rest", report.unread);
    }
    match report.failures.len() {
        0 => Ok(()),
        1 => Err(anyhow!("{}", report.failures[0]).into()),
        many => Err(anyhow!("{many} failures, the first: {}", report.failures[0]).into()),
    }
}

/// Of file bytes, when stderr is a terminal and there are any.
fn bar(bytes: u64) -> ProgressBar {
    if bytes == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Writes alerts to stdout. When nobody reads them any more it falls silent: they are stored all the same.
pub fn printer(output: Output, bar: ProgressBar) -> impl FnMut(&[&Alert]) + Send + 'static {
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut silent = false;
    move |alerts| {
        if silent || alerts.is_empty() {
            return;
        }
        let one = |alert: &&Alert| match output {
            Output::Text => alert_text(alert, color) + "\n",
            Output::Json => serde_json::to_string(alert).unwrap_or_default() + "\n",
        };
        let text: String = alerts.iter().map(one).collect();
        silent = bar.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err()
        });
    }
}

/// `8080`, `:8080` and `127.0.0.1:8080` are this machine only; another address must be written out.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("write a port ({HTTP_PORT}) or an address and a port (127.0.0.1:{HTTP_PORT})");
    match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1).parse().map_err(|_| wrong()),
    }
}

/// Writes one line of data to stdout; a closed pipe ends the program quietly, as it ends others.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written.context("write to stdout")?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine_unless_written_out() {
        for text in ["8080", ":8080", "127.0.0.1:8080", "localhost:8080"] {
            assert_eq!(parse_address(text).map(|address| address.to_string()), Ok("127.0.0.1:8080".into()), "{text}");
        }
        assert!(parse_address("0.0.0.0:80").is_ok_and(|address| !address.ip().is_loopback()));
        for text in ["", "http", "127.0.0.1", "1:2:3", "70000"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
