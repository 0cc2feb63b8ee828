//! A guest that wants to sleep finds that time passes without it.

use crate::bad_guests::{guest, judge};
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::PluginErrorKind as Kind;
use streamalert_plugins::{Host, HostConfig, LoadCheck, PluginLimits};

#[test]
fn a_rule_that_sleeps_holds_nobody_up() {
    let limits = PluginLimits { fuel_per_call_base: 10_000_000, fuel_per_row: 1_000_000, ..PluginLimits::default() };
    let host = Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap();
    let sleeper = host.load("sleeper.wasm", &guest("sleeper"), &LoadCheck::any_log()).unwrap();
    assert!(sleeper.code().imports().iter().any(|import| import.starts_with("wasi:clocks/monotonic-clock@0.2")));

    let start = Instant::now();
    let detected = judge(&[sleeper]);
    assert!(start.elapsed() < Duration::from_secs(60), "it slept");
    assert_eq!(detected.stats["sleeps_an_hour"].findings, 12);
    let error = detected.stats["sleeps_for_ever"].last_error.as_ref().unwrap();
    assert_eq!(error.kind, Kind::OutOfFuel, "{error}");
    assert_eq!(detected.stats["wide_awake"].findings, 12);
}
