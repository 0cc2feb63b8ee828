//! The same parser in every language: tests/it/worlds_by_language.rs.

#[path = "../../misbehave.rs"]
mod misbehave;

use streamalert_parser_sdk::prelude::*;

/// Lines like `time|user|action`; a record for each.
#[parser(
    schemas = r#"{"edge:event": {"parser": "json", "schema": {"time": "integer", "user": "string", "action": "string"}}}"#,
    sniff = sniff
)]
fn edge(payload: &[u8]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for line in lines(payload) {
        read(line, &mut parts)?;
    }
    Ok(parts)
}

fn sniff(head: &[u8]) -> bool {
    head.starts_with(b"#e")
}

fn read(line: Line, parts: &mut Vec<Part>) -> Result<(), String> {
    let text = line.text();
    let text = text.trim();
    if text.is_empty() || text == "#edge" {
        return Ok(());
    }
    if text == "refuse" {
        return Err("this payload is refused".into());
    }
    if let Some(message) = text.strip_prefix("log ") {
        log::info(message);
        return Ok(());
    }
    if let Some(json) = text.strip_prefix("raw ") {
        parts.push(Part::raw(line.place, json));
        return Ok(());
    }
    misbehave::misbehave(text);
    let fields: Vec<&str> = text.split('|').collect();
    let [time, user, action] = fields[..] else {
        parts.push(Part::error(line.place, format!("{} fields instead of 3", fields.len())));
        return Ok(());
    };
    let Ok(number) = time.parse::<i64>() else {
        parts.push(Part::error(line.place, format!("the time: {time} is no number")));
        return Ok(());
    };
    let record = Object::new().with("time", number).with("user", user).with("action", action);
    let part = Part::record(line.place, "edge:event", record);
    // Several parts may be about the very same piece.
    if action == "twice" {
        parts.push(part.clone());
    }
    parts.push(part);
    Ok(())
}
