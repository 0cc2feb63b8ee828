//! What there is to read: files, folders and pipes, and the sources they stand for.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use streamalert_pipeline::config::cluster::SERVICES;
use streamalert_pipeline::log_record::Source;

/// What lies beside logs in a folder and is none: how they came about, and what they mean.
const NO_LOGS: [&str; 2] = ["md", "py"];

/// What the inputs stand for when they are not simply files here, `s3:a-bucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSource {
    pub service: String,
    pub resource: String,
}

impl FromStr for DeclaredSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let services = SERVICES.join(", ");
        let (service, resource) =
            text.split_once(':').ok_or_else(|| format!("write SERVICE:RESOURCE, with a service of {services}"))?;
        if !SERVICES.contains(&service) {
            return Err(format!("`{service}` is no service; use one of {services}"));
        }
        if resource.is_empty() {
            return Err("the resource is empty".to_owned());
        }
        Ok(DeclaredSource { service: service.to_owned(), resource: resource.to_owned() })
    }
}

/// The source of a file. By its canonical path, so that one file is one source however it is named: alert ids derive from it.
pub fn file_source(path: &Path, declared: Option<&DeclaredSource>) -> io::Result<Source> {
    let path = fs::canonicalize(path)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (service, resource) = match declared {
        Some(declared) => (declared.service.clone(), declared.resource.clone()),
        None => ("file".to_owned(), path.parent().map(text).unwrap_or_default()),
    };
    Ok(Source::new(service, resource, text(&path)))
}

/// The source of what comes by pipe. It has no name of its own: the same bytes at the same place are the same record.
pub fn stdin_source(declared: Option<&DeclaredSource>) -> Source {
    match declared {
        Some(declared) => Source::new(declared.service.clone(), declared.resource.clone(), String::new()),
        None => Source::new("stdin".to_owned(), "-".to_owned(), String::new()),
    }
}

/// Something to read from start to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

/// The inputs that arguments stand for, and what of them is left out and why. Folders are walked in order of names.
#[derive(Debug, Default)]
pub struct Found {
    pub inputs: Vec<Input>,
    pub ignored: Vec<(PathBuf, &'static str)>,
    /// Of all files, as they lie on the disk.
    pub bytes: u64,
}

pub fn find(arguments: &[PathBuf]) -> io::Result<Found> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            found.inputs.push(Input::Stdin);
            continue;
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", argument.display()));
        let kind = fs::metadata(argument).map_err(named)?;
        if kind.is_dir() {
            walk(argument, &mut seen, &mut found).map_err(named)?;
        } else if seen.insert(fs::canonicalize(argument).map_err(named)?) {
            found.bytes += kind.len();
            found.inputs.push(Input::File(argument.clone()));
        }
    }
    Ok(found)
}

fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, found: &mut Found) -> io::Result<()> {
    // Links may lead in circles.
    if !seen.insert(fs::canonicalize(folder)?) {
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            found.ignored.push((path, "hidden"));
            continue;
        }
        if path.extension().is_some_and(|end| NO_LOGS.iter().any(|no_log| end == *no_log)) {
            found.ignored.push((path, "no log by its name; name the file itself to have it read"));
            continue;
        }
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => walk(&path, seen, found)?,
            Ok(kind) if kind.is_file() => {
                if seen.insert(fs::canonicalize(&path)?) {
                    found.bytes += kind.len();
                    found.inputs.push(Input::File(path));
                }
            }
            Ok(_) => found.ignored.push((path, "neither a file nor a folder")),
            Err(_) => found.ignored.push((path, "a link that leads nowhere")),
        }
    }
    Ok(())
}

pub fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_source_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("logs")).unwrap();
        fs::write(root.join("logs/a.json"), "{}").unwrap();
        let plain = file_source(&root.join("logs/a.json"), None).unwrap();
        assert_eq!(plain, file_source(&root.join("logs/../logs/./a.json"), None).unwrap());
        assert_eq!(plain.resource, root.join("logs").display().to_string());
        let declared: DeclaredSource = "s3:bucket".parse().unwrap();
        let source = file_source(&root.join("logs/a.json"), Some(&declared)).unwrap();
        assert_eq!((source.service.as_str(), source.resource.as_str(), source.object), ("s3", "bucket", plain.object));
        for wrong in ["s3", "s3:", "ftp:x", ":x"] {
            assert!(wrong.parse::<DeclaredSource>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_are_walked_in_order_and_what_is_left_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        for file in ["b/c/two.json", "b/one.json", "a.json", ".hidden.json", "README.md"] {
            fs::write(root.join(file), "{}").unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root, root.join("b/circle")).unwrap();
            std::os::unix::fs::symlink(root.join("nowhere"), root.join("b/dangling")).unwrap();
        }
        let found = find(&[root.to_path_buf(), root.join("a.json"), PathBuf::from("-")]).unwrap();
        let file = |name: &str| Input::File(root.join(name));
        assert_eq!(found.inputs, [file("a.json"), file("b/c/two.json"), file("b/one.json"), Input::Stdin]);
        assert_eq!(found.bytes, 6);
        assert_eq!(found.ignored.len(), if cfg!(unix) { 3 } else { 2 });
        let error = find(&[root.join("nowhere")]).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
