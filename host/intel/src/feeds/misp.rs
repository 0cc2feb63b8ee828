//! MISP's feed format: `manifest.json`, and a file for each event that it names.

use super::{Page, Reading, Told, digest};
use crate::web::{FetchError, Web};
use serde_json::{Map, Value, json};

/// Events of a page: each is a request.
const EVENTS: usize = 20;

pub fn page(
    reading: &Reading<'_>,
    web: &Web<'_>,
    cursor: Option<&Value>,
    since: Option<&Value>,
    fresh: bool,
) -> Result<Page, FetchError> {
    let base = reading.config.url.trim_end_matches("manifest.json").trim_end_matches('/');
    let url = format!("{base}/manifest.json");
    let broken = |url: &str, why: String| FetchError::broken(format!("{url}: {why}"));
    let answer = web.get(&url, &[])?;
    let manifest: Map<String, Value> =
        serde_json::from_slice(&answer.body).map_err(|error| broken(&url, format!("it is no manifest: {error}")))?;
    // By what it says and not how: the order of keys is nobody's.
    let mut events: Vec<(&String, &Value)> = manifest.iter().collect();
    events.sort_by(|a, b| a.0.cmp(b.0));
    let now = digest(format!("{events:?}").as_bytes());
    if cursor.is_none() && !fresh && since.is_some_and(|since| since["digest"] == *now) {
        return Ok(Page { unchanged: true, since: since.cloned(), ..Page::default() });
    }
    let after = cursor.and_then(|cursor| cursor["after"].as_str()).unwrap_or("");
    let mut rest = events.iter().map(|(uuid, _)| uuid.as_str()).filter(|uuid| *uuid > after);
    let these: Vec<&str> = rest.by_ref().take(EVENTS).collect();
    let mut page = Page { since: Some(json!({"digest": now})), ..Page::default() };
    for uuid in &these {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !uuid.bytes().all(is_name) {
            page.leave_out("an event whose name is no UUID");
            continue;
        }
        let url = format!("{base}/{uuid}.json");
        let answer = match web.get(&url, &[]) {
            // It was taken out since the manifest was written; the next manifest will say so.
            Err(error) if error.status == Some(404) => {
                page.leave_out("an event that is not there");
                continue;
            }
            answer => answer?,
        };
        let event: Value = match serde_json::from_slice(&answer.body) {
            Ok(event) => event,
            Err(error) => return Err(broken(&url, format!("it is no event: {error}"))),
        };
        let event = event.get("Event").unwrap_or(&event);
        attributes(reading, event, uuid, &mut page);
    }
    if rest.next().is_some()
        && let Some(last) = these.last()
    {
        page.next = Some(json!({"after": last}));
    }
    Ok(page)
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
