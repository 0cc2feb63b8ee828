//! What the sandbox itself costs. Figures mean something in release builds only.

use crate::component::{Host, HostConfig, LoadCheck, LoadError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use streamalert_packed::Record;
use streamalert_pipeline::plugin::{
    Batch, Disposition, HttpFailure, HttpRequest, HttpResponse, OutputPlugin, Outside, Parcel, ParserPlugin,
    PluginError, PublisherPlugin, RulePlugin,
};

/// How much work a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Rounds enough for figures.
    Measured,
    /// Everything once: does it work?
    Tried,
}

impl Effort {
    fn of(self, rounds: usize) -> usize {
        if self == Effort::Tried { 1 } else { rounds }
    }
}

/// Medians, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Measured {
    /// A new instance, ready to be asked.
    pub create: u64,
    /// Giving it back.
    pub drop: u64,
    /// From bytes to a live component, compiled code in the cache; with digest, checks and `describe`.
    pub load_cached: u64,
    /// The same, compiling.
    pub load_compiling: u64,
    /// Opening a session on a waiting instance and closing it, one call without rows in between.
    pub session: u64,
    /// One more call without rows in an open session.
    pub call: u64,
    /// Bytes of the packed buffer of the records.
    pub batch_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error("make a folder for compiled code: {0}")]
    Folder(std::io::Error),
    #[error(transparent)]
    Host(#[from] crate::HostError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Plugin(#[from] streamalert_pipeline::plugin::PluginError),
}

/// Measures with the component `bytes` over `records`.
pub fn measure<'a>(
    bytes: &[u8],
    records: impl ExactSizeIterator<Item = Record<'a>>,
    effort: Effort,
) -> Result<Measured, MeasureError> {
    let folder = tempfile::tempdir().map_err(MeasureError::Folder)?;
    let config = HostConfig { cache_dir: Some(folder.path().join("cache")), ..HostConfig::default() };
    let check = LoadCheck::any_log();
    let timed = |rounds: usize, work: &mut dyn FnMut() -> Result<(), MeasureError>| {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..effort.of(rounds) {
            let start = Instant::now();
            work()?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        Ok::<u64, MeasureError>(median(times))
    };

    let compiling = Host::new(HostConfig { cache_dir: None, ..config.clone() })?;
    let load_compiling = timed(3, &mut || {
        let _: () = drop(compiling.load("measured", bytes, &check)?);
        Ok(())
    })?;
    let host = Host::new(config)?;
    let component = host.load("measured", bytes, &check)?;
    // Kept until the clock has stopped: giving a component back is not part of loading it.
    let mut kept = Vec::new();
    let load_cached = timed(50, &mut || {
        kept.push(host.load("measured", bytes, &check)?);
        Ok(())
    })?;
    drop(kept);

    let (mut create, mut dropped) = (Vec::new(), Vec::new());
    for _ in 0..effort.of(500) {
        let start = Instant::now();
        let sandbox = component.code.start()?;
        let made = Instant::now();
        drop(sandbox);
        create.push((made - start).as_nanos() as u64);
        dropped.push(made.elapsed().as_nanos() as u64);
    }

    let batch = Arc::new(Batch::new(0, records));
    let calls = effort.of(100) as u64;
    let session = timed(200, &mut || {
        for _ in 0..calls {
            component.open(&batch).evaluate(0, &[])?;
        }
        Ok(())
    })? / calls;
    let mut open = component.open(&batch);
    let call = timed(200, &mut || {
        for _ in 0..calls {
            open.evaluate(0, &[])?;
        }
        Ok(())
    })? / calls;
    Ok(Measured {
        create: median(create),
        drop: median(dropped),
        load_cached,
        load_compiling,
        session,
        call,
        batch_bytes: batch.packed().len(),
    })
}

/// Bytes of memory that an instance of the rules `bytes` holds once it has judged all `records` at once.
pub fn memory_after<'a>(
    host: &Host,
    bytes: &[u8],
    records: impl ExactSizeIterator<Item = Record<'a>>,
) -> Result<usize, MeasureError> {
    let component = host.load("measured", bytes, &LoadCheck::any_log())?;
    let rows: Vec<u32> = (0..records.len() as u32).collect();
    let batch = Arc::new(Batch::new(0, records));
    let mut sandbox = component.code.start()?;
    sandbox.store.data_mut().batch = Some(batch.clone());
    sandbox.evaluate(0, &component.rule_names[0], batch.id, &rows)?;
    Ok(sandbox.store.data().memory())
}

/// What a parser costs on one payload. Medians, in nanoseconds.
#[derive(Clone, Debug)]
pub struct MeasuredParser {
    /// A call with an empty payload.
    pub call: u64,
    /// Asking whether 512 bytes of the payload are its own.
    pub sniff: u64,
    /// A call with the payload.
    pub parse: u64,
    /// Of that call.
    pub fuel: u64,
    /// What came out.
    pub parts: usize,
    pub json_bytes: usize,
}

/// Measures with the parser `bytes` over `payload`.
pub fn measure_parser(bytes: &[u8], payload: &[u8]) -> Result<MeasuredParser, MeasureError> {
    let host = Host::new(HostConfig::default())?;
    let parser = host.load_parser("measured", bytes, &LoadCheck::any_log())?;
    let timed = |rounds: usize, calls: u64, work: &mut dyn FnMut() -> Result<(), MeasureError>| {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let start = Instant::now();
            for _ in 0..calls {
                work()?;
            }
            times.push(start.elapsed().as_nanos() as u64 / calls);
        }
        Ok::<u64, MeasureError>(median(times))
    };
    let head = &payload[..payload.len().min(512)];
    let call = timed(200, 100, &mut || parser.parse(&[]).map(|_| ()).map_err(MeasureError::from))?;
    let sniff = timed(200, 100, &mut || parser.sniff(head).map(|_| ()).map_err(MeasureError::from))?;
    let parse = timed(20, 1, &mut || parser.parse(payload).map(|_| ()).map_err(MeasureError::from))?;
    let observed = parser.observe(payload);
    let parts = observed.parts?;
    let json_bytes = parts.iter().filter_map(|part| part.outcome.as_ref().ok()).map(|record| record.json.len()).sum();
    Ok(MeasuredParser { call, sniff, parse, fuel: observed.fuel, parts: parts.len(), json_bytes })
}

/// What an output costs beside the network. Medians, in nanoseconds.
#[derive(Clone, Debug)]
pub struct MeasuredOutput {
    /// A new instance and its end, without a call.
    pub instance: u64,
    /// An attempt to deliver, to a service that answers 200 at once.
    pub deliver: u64,
    /// Of that attempt.
    pub fuel: u64,
    pub requests: usize,
    pub disposition: Disposition,
}

/// A service that answers 200 at once, and counts.
struct Prompt {
    secrets: Vec<(String, String)>,
    requests: AtomicUsize,
}

impl Outside for Prompt {
    fn http(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(HttpResponse { status: 200, headers: vec![], body: b"ok".to_vec(), truncated: false })
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Measures with the output `bytes`, one parcel, and these secret settings.
pub fn measure_output(
    bytes: &[u8],
    parcel: &Parcel,
    secrets: Vec<(String, String)>,
    effort: Effort,
) -> Result<MeasuredOutput, MeasureError> {
    let host = Host::new(HostConfig::default())?;
    let output = host.load_output("measured", bytes, &LoadCheck::any_log())?;
    let prompt = Arc::new(Prompt { secrets, requests: AtomicUsize::new(0) });
    let outside: Arc<dyn Outside> = prompt.clone();
    let observed = output.observe(parcel, &outside);
    let (disposition, fuel) = (observed.disposition?, observed.fuel);
    let requests = prompt.requests.load(Ordering::Relaxed);
    let instance = timed(effort, &mut || output.code.start().map(drop))?;
    let deliver = timed(effort, &mut || output.deliver(parcel, &outside).map(drop))?;
    Ok(MeasuredOutput { instance, deliver, fuel, requests, disposition })
}

/// What publisher number `publisher` of the component `bytes` costs on one alert: the median, in nanoseconds.
pub fn measure_publisher(
    bytes: &[u8],
    publisher: usize,
    alert: &str,
    publication: &str,
    effort: Effort,
) -> Result<u64, MeasureError> {
    let host = Host::new(HostConfig::default())?;
    let component = host.load_publishers("measured", bytes, &LoadCheck::any_log())?;
    timed(effort, &mut || component.publish(publisher, alert, publication, "slack:security").map(drop))
}

/// Of many calls, the median.
fn timed(effort: Effort, call: &mut dyn FnMut() -> Result<(), PluginError>) -> Result<u64, MeasureError> {
    let mut times = Vec::new();
    for _ in 0..effort.of(5000) {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_nanos() as u64);
    }
    Ok(median(times))
}

fn median(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}
