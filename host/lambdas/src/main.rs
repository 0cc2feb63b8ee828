//! `bootstrap`: what AWS Lambda starts. `STREAMALERT_FUNCTION` names the stage.

use anyhow::{Context, Result};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mimalloc::MiMalloc;
use serde_json::Value;
use serde_json::value::RawValue;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use streamalert_lambdas::environment::Environment;
use streamalert_lambdas::function::{Function, make};
use tokio::runtime::{Builder, Handle};
use tokio::task::spawn_blocking;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Time a function has if nobody says: of a caller that is not Lambda.
const TIME: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    // Targets and levels only (`warn,streamalert_aws=debug`): filters by fields need regular expressions, at every cold start.
    let usual = Targets::new().with_default(LevelFilter::WARN);
    let wanted = std::env::var("STREAMALERT_LOG").ok().map(|wanted| Targets::from_str(&wanted));
    let (filter, fault) = match wanted {
        Some(Ok(filter)) => (filter, None),
        Some(Err(fault)) => (usual, Some(fault)),
        None => (usual, None),
    };
    // What is written to stdout are metrics.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).without_time();
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    if let Some(fault) = fault {
        tracing::warn!(%fault, "STREAMALERT_LOG is no list of targets and levels, such as warn,streamalert_aws=debug");
    }
    // One for calls that wait, one for the loop over events.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().context("start the runtime")?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let environment = Environment::of_process(Handle::current()).await?;
    let name = environment
        .get("STREAMALERT_FUNCTION")
        .context("STREAMALERT_FUNCTION is not set: name the stage, such as classifier or rules_engine")?;
    let function = spawn_blocking(move || make(&name, &environment)).await??;
    let handler = move |event: LambdaEvent<Box<RawValue>>| handle(function.clone(), event);
    lambda_runtime::run(service_fn(handler)).await.map_err(|error| anyhow::anyhow!("{error}"))
}

async fn handle(function: Arc<dyn Function>, event: LambdaEvent<Box<RawValue>>) -> Result<Value, Error> {
    let deadline = deadline(event.context.deadline);
    let answer = spawn_blocking(move || function.handle(event.payload.get().as_bytes(), deadline)).await?;
    answer.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "the event failed");
        format!("{error:#}").into()
    })
}

/// From milliseconds since 1970. What lies in the past is no deadline.
fn deadline(millis: u64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match Duration::from_millis(millis).checked_sub(now) {
        Some(left) if !left.is_zero() => Instant::now() + left,
        _ => Instant::now() + TIME,
    }
}
