//! The files of a folder of rules.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use streamalert_sigma_compile::{File, LeftOut};

/// Bytes of a file; collections in one file have a few.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Folders within one another: a link may lead back.
const DEPTH_MAX: usize = 32;

#[derive(Default)]
pub struct Found {
    pub files: Vec<File>,
    pub unreadable: Vec<LeftOut>,
}

pub fn read(folder: &Path) -> anyhow::Result<Found> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        list(folder, DEPTH_MAX, &mut paths)?;
    } else if folder.is_file() {
        paths.push(folder.to_path_buf());
    } else {
        bail!("{} is neither a folder nor a file", folder.display());
    }
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        let name = match path.strip_prefix(folder) {
            Ok(inner) if !inner.as_os_str().is_empty() => inner.display().to_string(),
            _ => path.display().to_string(),
        };
        match text(&path) {
            Ok(text) => found.files.push(File { name, text }),
            Err(why) => found.unreadable.push(LeftOut { file: name, rule: String::new(), why, withdrawn: false }),
        }
    }
    Ok(found)
}

fn list(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in folder.read_dir().with_context(|| format!("look into {}", folder.display()))? {
        let path = entry.with_context(|| format!("look into {}", folder.display()))?.path();
        // What a repository keeps for itself.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                list(&path, depth - 1, paths)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") {
            paths.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("it has {length} bytes, more than {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}
