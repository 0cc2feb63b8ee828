//! Turns what wasmtime reports into whose fault it was.

use crate::host::State;
use crate::limits::BACKTRACE_FRAMES;
use streamalert_pipeline::plugin::{PluginError, PluginErrorKind as Kind};
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// What a host function raises to end the guest that called it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Raised {
    pub kind: Kind,
    pub message: String,
}

pub fn raise<T>(kind: Kind, message: impl Into<String>) -> wasmtime::Result<T> {
    Err(Raised { kind, message: message.into() }.into())
}

/// How wasmtime says that a guest handed over more than `Store::set_hostcall_fuel` allows; it has no public type.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";

/// `fuel` and `answer` are what the call was allowed.
pub fn judge(error: &wasmtime::Error, state: &State, fuel: u64, answer: usize) -> PluginError {
    if let Some(raised) = error.downcast_ref::<Raised>() {
        return PluginError::new(raised.kind, raised.message.clone());
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return PluginError::new(Kind::HostCall, "no free instance slot: raise `instances` or run fewer workers");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            return PluginError::new(Kind::OutOfFuel, format!("used up its {fuel} units of fuel{}", frames(error)));
        }
        Some(Trap::Interrupt) => {
            return PluginError::new(Kind::Timeout, format!("ran past its deadline{}", frames(error)));
        }
        // A guest that is refused memory usually aborts, which looks like any other trap.
        Some(_) if state.refused_bytes().is_some() => {}
        Some(Trap::StackOverflow) => {
            let kib = state.limits().stack_bytes >> 10;
            return PluginError::new(Kind::Trap, format!("call stack of {kib} KiB exhausted{}", frames(error)));
        }
        Some(trap) => {
            let what = trap.to_string();
            let what = what.strip_prefix("wasm trap: ").unwrap_or(&what);
            return PluginError::new(Kind::Trap, format!("{what}{}", frames(error)));
        }
        None => {}
    }
    if let Some(wanted) = state.refused_bytes() {
        let (wanted, limit) = (wanted >> 20, state.memory_max() >> 20);
        return PluginError::new(Kind::OutOfMemory, format!("asked for {wanted} MiB, the limit is {limit} MiB"));
    }
    let text = error.root_cause().to_string();
    if text.contains(TOO_MUCH_DATA) {
        let mib = answer >> 20;
        return PluginError::new(Kind::BadAnswer, format!("handed over more than {mib} MiB at once"));
    }
    // All that is left are values that mean nothing: text that is no UTF-8, pointers out of bounds, unknown enum cases.
    PluginError::new(Kind::BadAnswer, text)
}

/// The guest's innermost frames, as ` in a < b < c`.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let text = backtrace.to_string();
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .map(|(_, name)| crate::host::printable(plain(name.trim()), 200))
        .take(BACKTRACE_FRAMES)
        .collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

/// `file.wasm!rule::judge::h0123456789abcdef` as the author knows it: `rule::judge`.
fn plain(frame: &str) -> &str {
    let name = frame.split_once('!').map_or(frame, |(_, name)| name);
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn frames_are_named_as_in_the_source() {
        assert_eq!(super::plain("x-1.wasm!rules::root::h0123456789abcdef"), "rules::root");
        assert_eq!(
            super::plain("x.wasm!streamalert:plugin/detection@0.1.0#evaluate"),
            "streamalert:plugin/detection@0.1.0#evaluate"
        );
        assert_eq!(super::plain("<unknown>!<wasm function 3>"), "<wasm function 3>");
    }
}
