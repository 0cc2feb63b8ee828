//! `bootstrap`: what AWS Lambda starts. `STREAMALERT_FUNCTION` names the stage.

use anyhow::{Context, Result};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use mimalloc::MiMalloc;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use streamalert_lambdas::environment::Environment;
use streamalert_lambdas::function::{Function, make};
use tokio::runtime::{Builder, Handle};
use tokio::task::spawn_blocking;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Time a function has if nobody says: of a caller that is not Lambda.
const TIME: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STREAMALERT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // What is written to stdout are metrics.
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
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
