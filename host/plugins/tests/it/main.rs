//! The sandbox seen from outside, with guests that do what no toolchain would.

mod cache;
mod contain;
mod folder;
mod guest;
mod lazy;
mod load;
mod precompiled;
mod wasi;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use streamalert_packed::{Builder, Record};
use streamalert_pipeline::plugin::Batch;
use streamalert_plugins::{Host, HostConfig, LoadCheck, LoadError, PluginLimits, RuleComponent};

/// Limits small enough that a loop ends at once, also in a debug build.
pub fn limits() -> PluginLimits {
    PluginLimits {
        fuel_per_call_base: 3_000_000,
        fuel_per_row: 100_000,
        fuel_to_start: 20_000_000,
        instances: 16,
        ..PluginLimits::default()
    }
}

pub fn host() -> Host {
    Host::new(HostConfig { limits: limits(), ..HostConfig::default() }).unwrap()
}

pub fn load(host: &Host, bytes: &[u8]) -> Result<Arc<RuleComponent>, LoadError> {
    host.load("guest.wasm", bytes, &LoadCheck::any_log())
}

/// A batch of records `{"n": 0}`, `{"n": 1}` and so on.
pub fn batch(rows: usize) -> Arc<Batch> {
    static ID: AtomicU64 = AtomicU64::new(1);
    let packed: Vec<Vec<u8>> = (0..rows)
        .map(|n| {
            let mut bytes = Vec::new();
            Builder::json(&mut bytes, &serde_json::json!({ "n": n, "who": { "name": format!("user-{n}") } }));
            bytes
        })
        .collect();
    // SAFETY: the builder wrote each of them.
    let records = packed.iter().map(|bytes| unsafe { Record::trusted(bytes) });
    Arc::new(Batch::new(ID.fetch_add(1, Ordering::Relaxed), records))
}
