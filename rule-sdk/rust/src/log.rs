//! Lines for whoever runs the pipeline. The host adds the plugin's name and that of a rule, takes known secrets of an output
//! out, cuts long lines and drops what is too many: what is wrong with a part of a payload or a delivery belongs into the part's
//! or the disposition's reason.
//!
//! One file for all three SDKs.
//!
//! Outside WebAssembly they go to standard error, where `cargo test` shows those of failing tests.

#[cfg_attr(not(target_family = "wasm"), derive(Debug))]
#[derive(Clone, Copy)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    use crate::guest::host::log;
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message);
}
