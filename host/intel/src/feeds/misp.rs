//! MISP's feed format: `manifest.json`, and a file for each event that it names.

use super::{Page, Reading, Told, count, digest};
use crate::download::PAUSE_MAX;
use crate::web::{FetchError, Web, shown};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Events of a page: each is a request.
const EVENTS: usize = 20;
/// Times that an event is asked for in one go, before the others go on without it.
const ATTEMPTS: u32 = 4;
/// Events that cannot be read before it is the feed that is broken.
const BROKEN_MAX: usize = 100;
/// Events one after the other that want to be asked much later, before it is the server that does.
const LATER_MAX: u32 = 3;
/// Events that are not there though the manifest names them, of which each is kept in mind.
const MISSING_MAX: usize = 1_000;
/// Characters of an event's name: a UUID has 36.
const NAME_CHARS_MAX: usize = 64;

/// What a pass knows of its events.
pub struct Manifest {
    digest: String,
    /// In their order.
    uuids: Vec<String>,
    /// Events whose name is no UUID.
    nameless: u64,
    /// How often events could not be had.
    trouble: BTreeMap<String, u32>,
    /// Why the last page ended before its time.
    owed: Option<FetchError>,
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
    missing: BTreeSet<String>,
    /// More are missing than are kept in mind.
    misses_more: bool,
}

impl Cursor {
    fn miss(&mut self, uuid: &str) {
        match self.missing.len() < MISSING_MAX {
            true => drop(self.missing.insert(uuid.to_owned())),
            false => self.misses_more = true,
        }
    }
}

pub fn page(
    reading: &Reading<'_>,
    web: &Web<'_>,
    kept: &mut Option<Manifest>,
    cursor: Option<&Value>,
    since: Option<&Value>,
) -> Result<Page, FetchError> {
    let url = file(&reading.config.url, "manifest.json");
    let wrong = |why: &str| FetchError::broken(format!("{}: {why}", shown(&url)));
    let manifest = match kept {
        Some(manifest) => manifest,
        None => kept.insert(manifest(&web.get(&url, &[])?.body).map_err(|why| wrong(&why))?),
    };
    if let Some(error) = manifest.owed.take() {
        return Err(error);
    }
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
    if is_first && manifest.nameless > 0 {
        count(&mut page.left_out, "an event whose name is no UUID", manifest.nameless);
    }
    let begins = manifest.uuids.partition_point(|uuid| *uuid <= at.after);
    let ends = manifest.uuids.len().min(begins + EVENTS);
    // Events in a row that want to be asked much later, and how it was before them.
    let (mut later, mut before) = (0, None);
    let mut asked = None;
    for number in begins..ends {
        let uuid = manifest.uuids[number].clone();
        match event(web, &file(&reading.config.url, &format!("{uuid}.json"))) {
            Ok(event) => {
                (at.read, later) = (at.read + 1, 0);
                attributes(reading, event.get("Event").unwrap_or(&event), &uuid, &mut page);
            }
            // Whether it is gone, a manifest without it says. Until then it is asked for again.
            Err(error) if matches!(error.status, Some(404 | 410)) => {
                later = 0;
                page.leave_out("an event that is not there; what it gave before stays");
                at.miss(&uuid);
            }
            Err(error) => {
                let trouble = manifest.trouble.entry(uuid.clone()).or_default();
                *trouble += 1;
                let is_once_more = error.again && *trouble < ATTEMPTS;
                if error.again && error.after.is_some_and(|after| after > PAUSE_MAX) {
                    if later == 0 {
                        before = Some((at.clone(), page.left_out.clone()));
                    }
                    later += 1;
                    if later == LATER_MAX
                        && let Some((at, left_out)) = before.take()
                    {
                        page.left_out = left_out;
                        return so_far(manifest, begins, at, page, error);
                    }
                } else if is_once_more {
                    return so_far(manifest, begins, at, page, error);
                }
                // One event holds up no other. What it gave before stays, and it is asked for again.
                tracing::warn!(source = reading.name, event = uuid, error = error.message, "an event cannot be read");
                page.leave_out("an event that cannot be read; what it gave before stays");
                at.broken.insert(uuid.clone());
                asked = asked.max(error.after);
                if at.broken.len() > BROKEN_MAX {
                    return Err(FetchError {
                        over: true,
                        after: asked,
                        ..FetchError::broken(format!(
                            "more than {BROKEN_MAX} of its events cannot be read; the last: {}",
                            error.message
                        ))
                    });
                }
            }
        }
        at.after = uuid;
    }
    if ends < manifest.uuids.len() {
        // Those in a row at the end are seen together with what follows.
        if let Some((before, left_out)) = before.filter(|_| later > 0)
            && manifest.uuids[begins] <= before.after
        {
            (at, page.left_out) = (before, left_out);
        }
        page.next = serde_json::to_value(&at).ok();
        return Ok(page);
    }
    let named = manifest.uuids.len() as u64 + manifest.nameless;
    if at.read == 0 && named > 0 {
        // The next attempt asks for all of them.
        let none = wrong(&format!("none of its {named} events can be read"));
        return Err(FetchError { over: true, after: asked, ..none });
    }
    let is_all = !at.digest.is_empty() && at.broken.is_empty() && at.missing.is_empty();
    page.since = Some(if is_all { json!({"digest": at.digest}) } else { json!({}) });
    page.spares_all = at.misses_more;
    page.spared = at.broken;
    page.spared.extend(at.missing);
    Ok(page)
}

/// Ends a page before an event that cannot be had now: what was read up to there need not be read again.
fn so_far(
    manifest: &mut Manifest,
    begins: usize,
    at: Cursor,
    mut page: Page,
    error: FetchError,
) -> Result<Page, FetchError> {
    if manifest.uuids.get(begins).is_none_or(|first| at.after < *first) {
        return Err(error);
    }
    page.next = serde_json::to_value(&at).ok();
    manifest.owed = Some(error);
    Ok(page)
}

/// The URL of a file in the source's folder; parameters go along.
fn file(url: &str, name: &str) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let (folder, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    format!("{}/{name}{query}", folder.trim_end_matches("manifest.json").trim_end_matches('/'))
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
    let is_name = |uuid: &str| {
        uuid.len() <= NAME_CHARS_MAX && uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let named = events.len();
    let uuids: Vec<String> =
        events.into_iter().filter(|(uuid, _)| is_name(uuid)).map(|(uuid, _)| uuid.clone()).collect();
    let nameless = (named - uuids.len()) as u64;
    Ok(Manifest { digest, uuids, nameless, trouble: BTreeMap::new(), owed: None })
}

fn event(web: &Web<'_>, url: &str) -> Result<Value, FetchError> {
    let broken = |why: String| FetchError::broken(format!("{}: it is no event: {why}", shown(url)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_in_the_folder_whatever_stands_behind_it() {
        for (url, expected) in [
            ("https://x.example/feed", "https://x.example/feed/m.json"),
            ("https://x.example/feed/", "https://x.example/feed/m.json"),
            ("https://x.example/feed/manifest.json", "https://x.example/feed/m.json"),
            ("https://x.example/feed/?key=a/b#x", "https://x.example/feed/m.json?key=a/b"),
            ("https://x.example/manifest.json?key=1", "https://x.example/m.json?key=1"),
        ] {
            assert_eq!(file(url, "m.json"), expected);
        }
    }

    #[test]
    fn a_manifest_names_events_by_uuids() {
        let long = "a".repeat(100_000);
        let text = json!({"b-2": {}, "a-1": {}, "../x": {}, (long): {}, "note": "no event"}).to_string();
        let read = manifest(text.as_bytes()).unwrap();
        assert_eq!((read.uuids, read.nameless), (vec!["a-1".to_owned(), "b-2".to_owned()], 2));
    }
}
