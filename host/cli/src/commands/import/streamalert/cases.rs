//! Test events: the format is the same, so they come along as they are.

use super::conf::Conf;
use super::report::{Cases, Components, Note};
use crate::Failure;
use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Copies the files of test events beside the rules; out of what they expect goes what is disabled, as StreamAlert had it.
pub fn bring(repository: &Path, conf: &Conf, components: &Components, out: &Path) -> Result<Cases, Failure> {
    let mut cases = Cases::default();
    let left_out: BTreeSet<&str> = components.left_out.iter().map(|left| left.rule.as_str()).collect();
    let mut files = Vec::new();
    for location in &conf.rule_locations {
        walk(&repository.join(location), &mut files).with_context(|| format!("look into {location}"))?;
    }
    files.sort();
    files.dedup();
    for file in files {
        let name = file.strip_prefix(repository).unwrap_or(&file);
        let shown = name.display().to_string();
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let mut events: Vec<Value> = match serde_json::from_str(&text) {
            Ok(Value::Array(events)) if events.iter().any(|event| event.get("log").is_some()) => events,
            // Something that rules or their tests read.
            Ok(_) => continue,
            Err(error) => {
                cases
                    .notes
                    .push(Note::new(shown, format!("is no JSON: {error}; StreamAlert could not read it either")));
                continue;
            }
        };
        let mut dropped = BTreeSet::new();
        for event in &mut events {
            let Some(expected) = event.get_mut("trigger_rules").and_then(Value::as_array_mut) else { continue };
            expected.retain(|rule| {
                let keep = rule.as_str().is_none_or(|rule| !left_out.contains(rule));
                if !keep {
                    dropped.insert(rule.as_str().unwrap_or_default().to_owned());
                }
                keep
            });
        }
        let fixtures = |event: &&Value| event["test_fixtures"].get("threat_intel").is_some();
        if events.iter().any(|event| fixtures(&event)) {
            cases.notes.push(Note::new(shown.clone(), "has fixtures of threat intelligence, which is not there"));
        }
        let text = match dropped.is_empty() {
            true => text,
            false => {
                let names: Vec<String> = dropped.into_iter().collect();
                let message = format!("expects {}, which is not there, and no longer does", names.join(", "));
                cases.notes.push(Note::new(shown, message));
                serde_json::to_string_pretty(&events).context("write test events")? + "\n"
            }
        };
        super::write(&out.join(name), &text)?;
        cases.files += 1;
        cases.events += events.len();
    }
    Ok(cases)
}

fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Links are not followed: they may lead in circles.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|extension| extension == "json") {
            files.push(entry.path());
        }
    }
    Ok(())
}
