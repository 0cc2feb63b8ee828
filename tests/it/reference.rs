//! Reference data that lies beside a developer's checkout, and not in the repository.

use serde_json::Value;
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

pub fn lines(path: PathBuf) -> Vec<Value> {
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

/// Runs the vectors of one file and compares with what the original made of them. Where we differ, `tests/differences.json`
/// says so under the file's name; an entry that is no difference fails too.
pub fn check_vectors(folder: &std::path::Path, name: &str, ours: impl Fn(&Value) -> Value) {
    let differences: Value = serde_json::from_str(include_str!("../differences.json")).unwrap();
    let entries = differences[name].as_array().unwrap_or_else(|| panic!("differences.json has no {name}"));
    let mut used = vec![false; entries.len()];
    let mut faults = Vec::new();
    let vectors = lines(folder.join(format!("vectors/{name}.jsonl")));
    for vector in &vectors {
        let mut original = vector["result"].clone();
        if let (Value::Object(result), true) = (&mut original, vector["result"].get("exception").is_some()) {
            // Texts of exceptions differ between versions of Python.
            result.remove("message");
        }
        let ours = ours(vector);
        let entry = entries.iter().position(|entry| entry["id"] == vector["id"]);
        match entry {
            None if ours == original => {}
            None => faults.push(format!("{}: original {original}\n  ours {ours}", vector["id"])),
            Some(at) => {
                used[at] = true;
                let entry = &entries[at];
                if ours == original {
                    faults.push(format!("{}: differences.json lists it, but it is as the original", vector["id"]));
                } else if entry["original"] != original || entry["ours"] != ours {
                    let (a, b) = (&entry["original"], &entry["ours"]);
                    faults
                        .push(format!("{}: original {original}\n  ours {ours}\n  listed {a}\n  and {b}", vector["id"]));
                }
                assert!(entry["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{}", entry["id"]);
            }
        }
    }
    for (entry, used) in entries.iter().zip(used) {
        if !used {
            faults.push(format!("{}: differences.json lists it, but there is no such vector", entry["id"]));
        }
    }
    assert!(faults.is_empty(), "{} of {} {name} vectors:\n{}", faults.len(), vectors.len(), faults.join("\n"));
    println!("{} {name} vectors, {} of them otherwise than the original", vectors.len(), entries.len());
}
