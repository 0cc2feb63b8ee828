//! The wasmtime engine: compiled for speed, metered, with pooled memory.

use crate::limits::{EPOCH_TICK, PluginLimits};
use std::num::NonZeroUsize;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

/// Bytes of a memory or table that are cleared by hand when a slot is reused, rather than given back to the kernel and
/// faulted in again. A Rust guest dirties some tens of KiB of its stack and data.
const KEEP_RESIDENT: usize = 128 << 10;
/// The same where the kernel says which pages were written to (Linux 6.7), so that only those are cleared. A Rust guest's hot
/// pages lie around the end of its stack, at 1 MiB. An output, which has a new instance for each call, is a third faster by it.
const KEEP_RESIDENT_SCANNED: usize = 2 << 20;

/// The guests' engine, with a thread that advances its epoch for as long as anyone holds it.
pub fn start(limits: &PluginLimits) -> wasmtime::Result<Engine> {
    let engine = match Engine::new(&config(limits, true)) {
        Ok(engine) => engine,
        // Address space can be rationed (`ulimit -v`, small devices). Slower instances are better than none.
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "no room for an instance pool, instances are made one by one");
            Engine::new(&config(limits, false))?
        }
    };
    let weak = engine.weak();
    std::thread::Builder::new().name("plugin-epoch".into()).spawn(move || {
        loop {
            std::thread::sleep(EPOCH_TICK);
            match weak.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => break,
            }
        }
    })?;
    Ok(engine)
}

/// What compiled code depends on. Code is loaded by engines of the same settings only, so all engines begin with these;
/// whoever changes them changes [`crate::precompiled::SETTINGS`], too.
pub fn code_settings() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        // The same rows give the same verdict and the same fuel on every processor.
        .relaxed_simd_deterministic(true);
    config
}

fn config(limits: &PluginLimits, pooled: bool) -> Config {
    let mut config = code_settings();
    config.max_wasm_stack(limits.stack_bytes).wasm_backtrace_max_frames(NonZeroUsize::new(16));
    if pooled {
        let keep_resident = match PoolingAllocationConfig::is_pagemap_scan_available() {
            true => KEEP_RESIDENT_SCANNED,
            false => KEEP_RESIDENT,
        };
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(limits.instances)
            // A component of a language with an adapter is up to four core modules.
            .total_core_instances(limits.instances * 4)
            .total_memories(limits.instances)
            .total_tables(limits.instances * 2)
            .max_memory_size(limits.memory_bytes.max(limits.parser_memory_bytes))
            .table_elements(limits.table_elements)
            .max_unused_warm_slots(limits.instances)
            .linear_memory_keep_resident(keep_resident)
            .pagemap_scan(Enabled::Auto)
            .table_keep_resident(KEEP_RESIDENT);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}
