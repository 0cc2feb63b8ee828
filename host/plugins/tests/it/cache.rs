//! Compiled code is taken from disk only when it is as we left it.

use crate::guest::Guest;
use crate::{batch, load};
use std::fs;
use std::path::{Path, PathBuf};
use streamalert_pipeline::plugin::RulePlugin;
use streamalert_plugins::{CacheCounts, Host, HostConfig};

fn host(folder: &Path) -> Host {
    Host::new(HostConfig { cache_dir: Some(folder.into()), limits: crate::limits(), ..HostConfig::default() }).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Loads the good guest with a host of its own and says what the cache did.
fn run(folder: &Path) -> CacheCounts {
    let host = host(folder);
    let component = load(&host, &Guest::default().build()).unwrap();
    assert_eq!(component.open(&batch(3)).evaluate(0, &[2]).unwrap().findings.len(), 1);
    host.cache_counts()
}

const COMPILED: CacheCounts = CacheCounts { hits: 0, compiled: 1, corrupt: 0 };
const HIT: CacheCounts = CacheCounts { hits: 1, compiled: 0, corrupt: 0 };
const CORRUPT: CacheCounts = CacheCounts { hits: 0, compiled: 1, corrupt: 1 };

#[test]
fn the_second_start_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/cache");
    assert_eq!(run(&folder), COMPILED);
    assert_eq!(run(&folder), HIT);
    assert_eq!(files(&folder).len(), 1);
}

#[test]
fn a_damaged_file_is_never_run_but_compiled_again_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    run(&folder);
    let file = files(&folder).remove(0);
    let good = fs::read(&file).unwrap();
    let mut damages: Vec<(&str, Vec<u8>)> = vec![("empty", vec![]), ("header only", good[..72].to_vec())];
    damages.push(("cut short", good[..good.len() - 1].to_vec()));
    damages.push(("longer", [&good[..], b"x"].concat()));
    for at in [0, 8, 40, 72, 73, good.len() / 2, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        damages.push(("one bit", flipped));
    }
    for (what, bytes) in damages {
        fs::write(&file, bytes).unwrap();
        assert_eq!(run(&folder), CORRUPT, "{what}");
        assert_eq!(run(&folder), HIT, "after {what}");
    }
}

#[test]
fn other_settings_are_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    let guest = Guest::default().build();
    load(&host(&folder), &guest).unwrap();
    let copied = files(&folder).remove(0);
    let other = Guest { options: r#"{"tags":["other"]}"#, ..Guest::default() }.build();
    load(&host(&folder), &other).unwrap();
    let file = files(&folder).into_iter().find(|file| *file != copied).unwrap();
    // Good code, but another component's: the key inside the file tells.
    fs::copy(&copied, &file).unwrap();
    let host = host(&folder);
    assert_eq!(load(&host, &other).unwrap().rules()[0].options.tags, ["other"]);
    assert_eq!(host.cache_counts(), CORRUPT);
}

#[cfg(unix)]
#[test]
fn a_folder_or_file_that_others_can_write_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    run(&folder);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let file = files(&folder).remove(0);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(run(&folder), CORRUPT);

    fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
    let host = host(&folder);
    assert!(!host.caches());
    load(&host, &Guest::default().build()).unwrap();
    assert_eq!(host.cache_counts(), COMPILED);
}

#[test]
fn a_cache_that_is_a_file_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    fs::write(&path, "").unwrap();
    assert!(!host(&path).caches());
}

#[test]
fn the_version_in_the_keys_is_the_one_that_compiles() {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));
    let version = lock.split("[[package]]").find(|p| p.contains("name = \"wasmtime\"\n")).unwrap();
    assert!(version.contains(&format!("version = \"{}\"", streamalert_plugins::WASMTIME_VERSION)), "{version}");
}
