//! Reference data that lies beside a developer's checkout, and not in the repository.

use std::path::PathBuf;

/// The folder, or `None` after saying that the test is skipped.
pub fn folder(name: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|above| above.join("shared/data").join(name)).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: there is no reference data `shared/data/{name}` beside the checkout");
    }
    found
}

pub fn lines(path: PathBuf) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of a folder with this ending, as (name, text).
pub fn files(folder: PathBuf) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}
