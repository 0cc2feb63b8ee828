//! Finds what belongs together in a checkout: the SDK, the configuration.

use std::path::{Path, PathBuf};

/// The nearest folder from `from` upwards, and then from this program's file upwards, in which `wanted` is there.
pub fn upwards(from: &Path, wanted: &str) -> Option<PathBuf> {
    let from = std::path::absolute(from).unwrap_or_else(|_| from.to_path_buf());
    let program = std::env::current_exe().and_then(std::fs::canonicalize).unwrap_or_default();
    let found = from.ancestors().chain(program.ancestors().skip(1)).find(|folder| folder.join(wanted).exists());
    found.map(Path::to_path_buf)
}

/// The folder of the crate `streamalert-sdk`.
pub fn sdk(from: &Path) -> Option<PathBuf> {
    find_crate(from, "rule-sdk/rust", "streamalert-sdk")
}

/// The folder of a crate, by its place in the checkout.
pub fn find_crate(from: &Path, folder: &str, name: &str) -> Option<PathBuf> {
    let wanted = format!("{folder}/Cargo.toml");
    Some(upwards(from, &wanted)?.join(folder)).filter(|folder| is_crate(folder, name))
}

pub fn is_crate(folder: &Path, name: &str) -> bool {
    let named = format!("name = \"{name}\"");
    std::fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains(&named))
}

/// The folder with `schemas/` in it that is called `conf`.
pub fn config(from: &Path) -> Option<PathBuf> {
    Some(upwards(from, "conf/schemas")?.join("conf"))
}
