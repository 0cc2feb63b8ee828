//! STIX 2.1: indicators in a bundle.

use super::{Page, Reading, TEXT_MAX, Told, time};
use crate::pattern;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use streamalert_pipeline::threat_intel::Ioc;
use streamalert_pipeline::time::Millis;

pub fn bundle(reading: &Reading<'_>, bytes: &[u8]) -> Result<Page, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
    let is_object = |object: &Value| object["type"].is_string();
    let objects = match &value {
        Value::Array(objects) if objects.iter().any(is_object) => objects,
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

/// What objects say. An indicator is what its last version says; of one value, each indicator that names it has its word.
pub fn indicators(reading: &Reading<'_>, objects: &[Value]) -> Page {
    let mut page = Page::default();
    let mut said: BTreeMap<String, Vec<Ioc>> = BTreeMap::new();
    for object in versions(objects) {
        let id = text(object, "id");
        let expires = text(object, "valid_until").as_deref().and_then(time);
        let over = object["revoked"] == true || expires.is_some_and(|at| at <= reading.now);
        let mut names = BTreeSet::new();
        for (ioc_type, value) in values(object, &mut page) {
            if over {
                page.over.insert(value);
                continue;
            }
            if let Some(ioc) = indicator(reading, object, &ioc_type, &value, expires, &mut page) {
                names.insert(ioc.value.clone());
                said.entry(ioc.value.clone()).or_default().push(ioc);
            }
        }
        // What was never another has not named anything else.
        let is_first = object["created"].is_string() && object["created"] == object["modified"];
        if let Some(id) = id.filter(|_| over || !is_first) {
            page.revised.insert(id.chars().take(TEXT_MAX).collect(), names);
        }
    }
    page.iocs = said.into_values().filter_map(Ioc::together).collect();
    page
}

fn text(object: &Value, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Of each indicator the version that was modified last, in the order of that.
fn versions(objects: &[Value]) -> Vec<&Value> {
    let mut newest: Vec<&Value> = objects.iter().filter(|object| object["type"] == "indicator").collect();
    newest.sort_by_key(|object| text(object, "modified").as_deref().and_then(time));
    let mut seen = BTreeSet::new();
    let mut versions: Vec<&Value> =
        newest.into_iter().rev().filter(|object| text(object, "id").is_none_or(|id| seen.insert(id))).collect();
    versions.reverse();
    versions
}

/// The types and values of its pattern.
fn values(object: &Value, page: &mut Page) -> BTreeSet<(String, String)> {
    let Some(pattern) = text(object, "pattern") else {
        page.leave_out("an indicator without a pattern");
        return BTreeSet::new();
    };
    let kind = text(object, "pattern_type").unwrap_or_else(|| "stix".to_owned());
    if kind != "stix" {
        page.leave_out(format!("pattern_type {}", kind.chars().take(40).collect::<String>()));
        return BTreeSet::new();
    }
    let named = pattern::read(&pattern);
    named.left_out.iter().for_each(|what| page.leave_out(what.clone()));
    named.values
}

fn indicator(
    reading: &Reading<'_>,
    object: &Value,
    ioc_type: &str,
    value: &str,
    expires: Option<Millis>,
    page: &mut Page,
) -> Option<Ioc> {
    let first = |name: &str| object[name].as_array().and_then(|list| list.first()?.as_str());
    let confidence = match &object["confidence"] {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text.as_str())),
        other => Some(Cow::Owned(other.to_string())),
    };
    let told = Told {
        value,
        ioc_type,
        sub_type: first("indicator_types").or_else(|| first("labels")),
        confidence: confidence.as_deref(),
        valid_from: object["valid_from"].as_str().and_then(time),
        expires,
        description: object["name"].as_str().or_else(|| object["description"].as_str()),
        reference: object["id"].as_str(),
    };
    reading.ioc(page, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(more: Value, objects: Value) -> Page {
        let mut config = json!({"type": "stix", "url": "https://x"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config = serde_json::from_value(config).unwrap();
        let now = time("2026-01-02T00:00:00Z").unwrap();
        indicators(&Reading { name: "s", config: &config, now }, objects.as_array().unwrap())
    }

    fn indicator(id: &str, value: &str, more: Value) -> Value {
        let mut object = json!({"type": "indicator", "id": id, "pattern": format!("[domain-name:value = '{value}']")});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    }

    fn values(page: &Page) -> Vec<&str> {
        page.iocs.iter().map(|ioc| ioc.value.as_str()).collect()
    }

    #[test]
    fn a_live_indicator_is_not_lost_to_one_that_is_over() {
        for (other, beside) in [
            (json!({"modified": "2026-01-01T00:00:00Z", "valid_until": "2026-01-01T12:00:00Z"}), 0),
            (json!({"modified": "2026-01-01T00:00:00Z", "revoked": true}), 0),
            (json!({"modified": "2026-01-01T00:00:00Z", "valid_until": "2026-02-01T00:00:00Z"}), 1),
        ] {
            let live = indicator("a", "evil.com", json!({"modified": "2025-01-01T00:00:00Z"}));
            for objects in [
                json!([live, indicator("b", "evil.com", other.clone())]),
                json!([indicator("b", "evil.com", other.clone()), live]),
            ] {
                let page = page(json!({}), objects);
                assert_eq!(values(&page), ["evil.com"], "{other}");
                assert_eq!((page.iocs[0].reference.as_deref(), page.iocs[0].also.len()), (Some("a"), beside));
            }
        }
    }

    #[test]
    fn what_counts_later_does_not_count_before() {
        let page = page(json!({}), json!([indicator("a", "evil.com", json!({"valid_from": "2027-01-01T00:00:00Z"}))]));
        let (now, then) = (time("2026-01-02").unwrap(), time("2027-01-01").unwrap());
        let ioc = Ioc { expires: Millis::MAX, ..page.iocs[0].clone() };
        assert!(ioc.at(now).is_none() && ioc.at(then - 1).is_none() && ioc.at(then).is_some());
    }

    #[test]
    fn confidence_is_a_number_up_to_a_hundred() {
        let objects: Vec<Value> =
            [json!(50), json!("50"), json!(99.5), json!(12.5), json!("low"), json!(300), Value::Null]
                .into_iter()
                .enumerate()
                .map(|(n, confidence)| {
                    indicator(&n.to_string(), &format!("e{n}.com"), json!({"confidence": confidence}))
                })
                .collect();
        let some = page(json!({"confidence_min": 50}), json!(objects));
        assert_eq!(values(&some), ["e0.com", "e1.com", "e2.com", "e6.com"]);
        assert_eq!(some.left_out["confidence below 50"], 1);
        assert_eq!(some.left_out["a confidence that is no number from 0 to 100"], 2);
        assert_eq!(some.iocs[2].confidence, Some(99));
        // Where it does not matter, what cannot be read is none.
        let all = page(json!({}), json!(objects));
        assert_eq!((all.iocs.len(), all.iocs[3].confidence, all.iocs[4].confidence), (7, Some(12), None));
    }

    #[test]
    fn defanged_values_are_taken_for_what_they_are() {
        let page =
            page(json!({}), json!([indicator("a", "EVIL[.]com", json!({})), indicator("b", "300.1.1.1", json!({}))]));
        assert_eq!(values(&page), ["evil.com"]);
        assert_eq!(page.left_out["a value that is no domain"], 1);
    }

    #[test]
    fn what_is_no_bundle_is_an_error() {
        let config = serde_json::from_value(json!({"type": "stix", "url": "https://x"})).unwrap();
        let reading = Reading { name: "s", config: &config, now: 0 };
        for text in ["", "<html>", "[]", "[1]", "{}", r#"{"error": "denied"}"#, r#"{"objects": {}}"#] {
            assert!(bundle(&reading, text.as_bytes()).is_err(), "{text}");
        }
        for text in [r#"{"type": "bundle", "id": "b"}"#, r#"{"type": "bundle", "objects": []}"#] {
            assert!(bundle(&reading, text.as_bytes()).unwrap().iocs.is_empty(), "{text}");
        }
    }
}
