//! STIX 2.1: indicators in a bundle.

use super::{Page, Reading, Told, time};
use crate::pattern;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use streamalert_pipeline::threat_intel::Ioc;

pub fn bundle(reading: &Reading<'_>, bytes: &[u8]) -> Result<Page, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
    let objects = match &value {
        Value::Array(objects) => objects,
        Value::Object(bundle) => match bundle.get("objects") {
            Some(Value::Array(objects)) => objects,
            // A bundle of nothing.
            None if bundle.get("type") == Some(&"bundle".into()) => return Ok(Page::default()),
            _ => return Err("it is no STIX bundle: it has no list `objects`".into()),
        },
        _ => return Err("it is no STIX bundle".into()),
    };
    Ok(indicators(reading, objects))
}

/// What objects say. Of one value the word that was modified last counts.
pub fn indicators(reading: &Reading<'_>, objects: &[Value]) -> Page {
    let mut page = Page::default();
    let mut said: BTreeMap<String, Option<Ioc>> = BTreeMap::new();
    let text = |object: &Value, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut newest: Vec<&Value> = objects.iter().filter(|object| object["type"] == "indicator").collect();
    newest.sort_by_key(|object| text(object, "modified").as_deref().and_then(time));
    // Of several versions of one indicator, only the last.
    let mut seen = BTreeSet::new();
    let mut versions: Vec<&Value> =
        newest.into_iter().rev().filter(|object| text(object, "id").is_none_or(|id| seen.insert(id))).collect();
    versions.reverse();
    for object in versions {
        let Some(pattern) = text(object, "pattern") else {
            page.leave_out("an indicator without a pattern");
            continue;
        };
        let kind = text(object, "pattern_type").unwrap_or_else(|| "stix".to_owned());
        if kind != "stix" {
            page.leave_out(format!("pattern_type {}", kind.chars().take(40).collect::<String>()));
            continue;
        }
        let named = pattern::read(&pattern);
        named.left_out.iter().for_each(|what| page.leave_out(what.clone()));
        let expires = text(object, "valid_until").as_deref().and_then(time);
        let over = object["revoked"] == true || expires.is_some_and(|at| at <= reading.now);
        let first = |name: &str| object[name].as_array().and_then(|list| list.first()?.as_str()).map(str::to_owned);
        let sub_type = first("indicator_types").or_else(|| first("labels"));
        let (id, description) = (text(object, "id"), text(object, "name").or_else(|| text(object, "description")));
        for (ioc_type, value) in &named.values {
            let told = Told {
                value,
                ioc_type,
                sub_type: sub_type.as_deref(),
                confidence: object["confidence"].as_u64().and_then(|confidence| confidence.try_into().ok()),
                expires,
                description: description.as_deref(),
                reference: id.as_deref(),
            };
            match over {
                true => drop(said.insert(value.clone(), None)),
                false => {
                    if let Some(ioc) = reading.ioc(&mut page, told) {
                        said.insert(value.clone(), Some(ioc));
                    }
                }
            }
        }
    }
    for (value, ioc) in said {
        match ioc {
            Some(ioc) => page.iocs.push(ioc),
            None => page.removed.push(value),
        }
    }
    page
}
