//! MISP's feed format: `manifest.json`, and a file for each event that it names.

use super::{Page, Reading, Told, digest};
use crate::web::{FetchError, Web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Events of a page: each is a request.
const EVENTS: usize = 20;
/// Times that an event is asked for in one go, before the others go on without it.
const ATTEMPTS: u32 = 4;
/// Events that cannot be read before it is the feed that is broken.
const BROKEN_MAX: usize = 100;

/// What a pass knows of its events.
pub struct Manifest {
    digest: String,
    /// In their order.
    uuids: Vec<String>,
    /// How often events could not be had.
    trouble: BTreeMap<String, u32>,
}

/// Where a pass goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    after: String,
    /// Of the manifest; empty if a part of the pass goes by another.
    digest: String,
    read: u64,
    broken: BTreeSet<String>,
}

pub fn page(
    reading: &Reading<'_>,
    web: &Web<'_>,
    kept: &mut Option<Manifest>,
    cursor: Option<&Value>,
    since: Option<&Value>,
) -> Result<Page, FetchError> {
    let base = reading.config.url.trim_end_matches("manifest.json").trim_end_matches('/');
    let url = format!("{base}/manifest.json");
    let wrong = |why: &str| FetchError::broken(format!("{url}: {why}"));
    let manifest = match kept {
        Some(manifest) => manifest,
        None => kept.insert(manifest(&web.get(&url, &[])?.body).map_err(|why| wrong(&why))?),
    };
    let is_first = cursor.is_none();
    if is_first && since.is_some_and(|since| since["digest"] == *manifest.digest) {
        return Ok(Page { unchanged: true, since: since.cloned(), ..Page::default() });
    }
    let mut at: Cursor = match cursor {
        Some(cursor) => serde_json::from_value(cursor.clone()).unwrap_or_default(),
        None => Cursor { digest: manifest.digest.clone(), ..Cursor::default() },
    };
    if at.digest != manifest.digest {
        // What lies before is of another manifest: the next pass reads it all.
        at.digest.clear();
    }
    let mut page = Page::default();
    let begins = manifest.uuids.partition_point(|uuid| *uuid <= at.after);
    let ends = manifest.uuids.len().min(begins + EVENTS);
    for uuid in &manifest.uuids[begins..ends] {
        at.after.clone_from(uuid);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !uuid.bytes().all(is_name) {
            page.leave_out("an event whose name is no UUID");
            continue;
        }
        match event(web, &format!("{base}/{uuid}.json")) {
            Ok(event) => {
                at.read += 1;
                attributes(reading, event.get("Event").unwrap_or(&event), uuid, &mut page);
            }
            // It was taken out since the manifest was written; the next manifest will say so.
            Err(error) if matches!(error.status, Some(404 | 410)) => page.leave_out("an event that is not there"),
            Err(error) => {
                let trouble = manifest.trouble.entry(uuid.clone()).or_default();
                *trouble += 1;
                if error.again && *trouble < ATTEMPTS {
                    return Err(error);
                }
                // One event holds up no other. What it gave before stays, and it is asked for again.
                tracing::warn!(source = reading.name, event = uuid, error = error.message, "an event cannot be read");
                page.leave_out("an event that cannot be read; what it gave before stays");
                at.broken.insert(uuid.clone());
                if at.broken.len() > BROKEN_MAX {
                    return Err(FetchError::broken(format!(
                        "more than {BROKEN_MAX} of its events cannot be read; the last: {}",
                        error.message
                    )));
                }
            }
        }
    }
    if ends < manifest.uuids.len() {
        page.next = serde_json::to_value(&at).ok();
        return Ok(page);
    }
    if at.read == 0 && !manifest.uuids.is_empty() {
        return Err(wrong(&format!("none of its {} events can be read", manifest.uuids.len())));
    }
    page.since = Some(match at.digest.is_empty() || !at.broken.is_empty() {
        true => json!({}),
        false => json!({"digest": at.digest}),
    });
    page.spared = at.broken;
    Ok(page)
}

fn manifest(text: &[u8]) -> Result<Manifest, String> {
    let all: Map<String, Value> =
        serde_json::from_slice(text).map_err(|error| format!("it is no manifest: {error}"))?;
    // By what it says and not how: the order of keys is nobody's.
    let mut events: Vec<(&String, &Value)> = all.iter().filter(|(_, event)| event.is_object()).collect();
    if events.is_empty() && !all.is_empty() {
        return Err("it is no manifest: it names no event".into());
    }
    events.sort_by(|a, b| a.0.cmp(b.0));
    let digest = digest(format!("{events:?}").as_bytes());
    let uuids = events.into_iter().map(|(uuid, _)| uuid.clone()).collect();
    Ok(Manifest { digest, uuids, trouble: BTreeMap::new() })
}

fn event(web: &Web<'_>, url: &str) -> Result<Value, FetchError> {
    let broken = |why: String| FetchError::broken(format!("{url}: it is no event: {why}"));
    let answer = web.get(url, &[])?;
    let event: Value = serde_json::from_slice(&answer.body).map_err(|error| broken(error.to_string()))?;
    let inner = event.get("Event").unwrap_or(&event);
    let is_event = ["info", "uuid"].iter().any(|name| inner[name].is_string())
        || ["Attribute", "Object"].iter().any(|name| inner[name].is_array());
    match is_event {
        true => Ok(event),
        false => Err(broken("it has neither `info` nor `Attribute`".into())),
    }
}

fn attributes(reading: &Reading<'_>, event: &Value, uuid: &str, page: &mut Page) {
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let info = event["info"].as_str();
    let objects = list(event, "Object");
    let all = list(event, "Attribute").into_iter().chain(objects.iter().flat_map(|object| list(object, "Attribute")));
    for attribute in all {
        let (Some(kind), Some(value)) = (attribute["type"].as_str(), attribute["value"].as_str()) else {
            page.leave_out("an attribute without type or value");
            continue;
        };
        if attribute["deleted"] == true {
            continue;
        }
        let for_detection = matches!(attribute["to_ids"], Value::Bool(true)) || attribute["to_ids"] == "1";
        if reading.config.to_ids_only && !for_detection {
            page.leave_out("not meant for detection (to_ids)");
            continue;
        }
        // `domain|ip` has two values, `ip-dst|port` one and what does not matter.
        let kinds = kind.split('|');
        let mut understood = false;
        for (kind, value) in kinds.zip(value.split('|')) {
            let ioc_type = match kind {
                "ip-src" | "ip-dst" | "ip" => "ip",
                "domain" | "hostname" => "domain",
                "url" | "uri" | "link" => "url",
                "md5" | "sha1" | "sha256" | "sha512" => kind,
                "email" | "email-src" | "email-dst" => "email",
                "filename" => "filename",
                "mutex" => "mutex",
                "regkey" => "registry_key",
                _ => continue,
            };
            // Of a file that is told by name and digest, the name alone says nothing.
            if ioc_type == "filename" && attribute["type"].as_str().is_some_and(|kind| kind.contains('|')) {
                continue;
            }
            understood = true;
            let told = Told {
                value,
                ioc_type,
                sub_type: attribute["category"].as_str(),
                description: attribute["comment"].as_str().filter(|comment| !comment.is_empty()).or(info),
                reference: Some(uuid),
                ..Told::default()
            };
            let ioc = reading.ioc(page, told);
            page.iocs.extend(ioc);
        }
        if !understood {
            page.leave_out(format!("type {}", kind.chars().take(40).collect::<String>()));
        }
    }
}
