//! Lines for whoever runs the pipeline. The host adds the plugin's name, takes known secrets out, cuts long lines and drops
//! what is too many: what came of a delivery belongs into the disposition's reason.
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
    use crate::guest::bindings::output::streamalert::plugin::log;
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message);
}
