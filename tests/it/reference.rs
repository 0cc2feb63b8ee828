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

/// Numbers by value: the original writes 7.0 where a float is declared.
pub fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.to_string() == b.to_string() || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The chosen differences of one section of `differences.json`, by the id of the vector.
pub fn differences(section: &str) -> std::collections::BTreeMap<String, serde_json::Value> {
    let all: serde_json::Value = serde_json::from_str(include_str!("../differences.json")).unwrap();
    let list = all[section].as_array().cloned().unwrap_or_default();
    list.into_iter()
        .map(|entry| {
            assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{entry} says no reason");
            (entry["id"].as_str().unwrap().to_owned(), entry)
        })
        .collect()
}

pub fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| -> u32 {
        match c {
            b'A'..=b'Z' => u32::from(c - b'A'),
            b'a'..=b'z' => u32::from(c - b'a') + 26,
            b'0'..=b'9' => u32::from(c - b'0') + 52,
            b'+' => 62,
            _ => 63,
        }
    };
    let digits: Vec<u32> = text.bytes().filter(|c| *c != b'=').map(value).collect();
    let quads = digits.chunks(4).flat_map(|quad| {
        let bits = quad.iter().enumerate().fold(0u32, |bits, (at, digit)| bits | digit << (18 - 6 * at));
        bits.to_be_bytes()[1..quad.len()].to_vec()
    });
    quads.collect()
}
