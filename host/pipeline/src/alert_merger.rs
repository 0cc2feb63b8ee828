//! Alerts that belong together become one: which group an alert waits in, and what a group is folded to.
//!
//! A group is one rule and one set of values under its merge keys. It is folded when its window ends, when it is full or
//! when it reaches its threshold, each group by itself.

use crate::alert::{Alert, Merge, MergeFirst, MergeOn};
use crate::limits::{MERGE_MINUTES_MAX, MERGE_NODES_MAX};
use crate::log_record::{NORMALIZATION_KEY, short_id};
use crate::time::{self, Millis};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, VecDeque};

/// What a merged record says of a merge key that an alert's record lacks.
const ABSENT: &str = "(n/a)";
/// Under this key of a merged alert's context stand the contexts of members that say something else than the oldest, by alert id.
pub const CONTEXTS_KEY: &str = "streamalert:contexts";

/// Where and how long an alert waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Alerts with equal groups belong together, if their times do.
    pub group: String,
    /// The time of the alert that the window is about.
    pub at: Millis,
    /// How far from the first alert of its group the others may be.
    pub window: Millis,
    /// Alerts after which the group is folded at once.
    pub max: u32,
    pub threshold: Option<u32>,
    /// The first alert of a group does not wait.
    pub first_goes: bool,
}

/// The group an alert waits in, if its rule wants it merged.
pub fn waiting(alert: &Alert) -> Option<Waiting> {
    let merge = alert.merge.as_ref()?;
    let created = time::parse(&alert.created).unwrap_or_default();
    let at = match merge.on {
        MergeOn::Arrival => created,
        MergeOn::Event => alert.event_time.as_deref().and_then(time::parse).unwrap_or(created),
    };
    Some(Waiting {
        group: group(alert, merge)?,
        at,
        window: i64::from(merge.minutes.min(MERGE_MINUTES_MAX)) * 60_000,
        max: merge.threshold.map_or(merge.max, |threshold| threshold.max(merge.max)).max(1),
        threshold: merge.threshold,
        first_goes: merge.first == MergeFirst::Send && merge.threshold.is_none(),
    })
}

/// `None` if there is nothing to merge by: no keys, and no dedup key.
fn group(alert: &Alert, merge: &Merge) -> Option<String> {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    part(&alert.rule_name);
    part(if alert.staged { "staged" } else { "live" });
    if merge.by.is_empty() {
        part("dedup");
        part(alert.dedup_key.as_deref()?);
    } else {
        let record = alert.record.to_value();
        let keys: BTreeSet<&String> = merge.by.iter().collect();
        for key in keys {
            part(key);
            match find(&record, key) {
                Some(value) => part(&canonical(value)),
                None => part(""),
            }
        }
    }
    Some(short_id(&hash.finalize()))
}

/// The same text for equal values, in whatever order their keys stand.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The value a merge key leads to: the path from the top, or else from the node nearest to the top from which it leads
/// somewhere, in lists too. What normalization added is not looked into.
pub fn find<'a>(record: &'a Value, key: &str) -> Option<&'a Value> {
    let path = path(key);
    let mut nodes = VecDeque::from([record]);
    let mut seen = 0;
    while let Some(node) = nodes.pop_front() {
        seen += 1;
        if seen > MERGE_NODES_MAX {
            return None;
        }
        if let Some(value) = step(node, &path) {
            return Some(value);
        }
        match node {
            Value::Object(object) => {
                let inner = object.iter().filter(|(key, _)| *key != NORMALIZATION_KEY).map(|(_, value)| value);
                nodes.extend(inner.filter(|value| value.is_object() || value.is_array()));
            }
            Value::Array(items) => nodes.extend(items.iter().filter(|value| value.is_object() || value.is_array())),
            _ => {}
        }
    }
    None
}

/// Dotted, with `\.` for a dot inside a key.
fn path(key: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        let last = steps.len() - 1;
        match character {
            '\\' => steps[last].extend(characters.next()),
            '.' => steps.push(String::new()),
            _ => steps[last].push(character),
        }
    }
    steps
}

fn step<'a>(node: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(node, |node, step| match node {
        Value::Object(object) => object.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// One alert for all of `members`, which are of one group and at least one. Where it matters they are taken in the order
/// of their times; equal members make an alert of equal id.
pub fn fold(mut members: Vec<Alert>, now: Millis) -> Option<Alert> {
    members.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    let (first, last) = (members.first()?, members.last()?);
    let by = first.merge.as_ref().map(|merge| merge.by.clone()).unwrap_or_default();
    let mut records: Vec<Value> = members.iter().map(|member| member.record.to_value()).collect();
    for record in &mut records {
        if let Value::Object(object) = record {
            object.shift_remove(NORMALIZATION_KEY);
        }
    }
    let mut merged_by = Map::new();
    for key in &by {
        let value = records.first().and_then(|record| find(record, key)).cloned();
        merged_by.insert(key.clone(), value.unwrap_or_else(|| ABSENT.into()));
    }
    if by.is_empty()
        && let Some(key) = &first.dedup_key
    {
        merged_by.insert("dedup_key".into(), key.clone().into());
    }
    for record in &mut records {
        by.iter().for_each(|key| remove(record, &path(key)));
    }
    let common = records.iter().skip(1).fold(records[0].clone(), |common, record| intersection(&common, record));
    let mut differences = Map::new();
    for (member, record) in members.iter().zip(&records) {
        differences.insert(member.id.clone(), difference(record, &common));
    }
    let record = serde_json::json!({
        "AlertCount": members.len(),
        "AlertTimeFirst": first.created,
        "AlertTimeLast": last.created,
        "MergedBy": merged_by,
        "OtherCommonKeys": common,
        "ValueDiffs": differences,
    });

    let mut hash = Sha256::new();
    for member in &members {
        hash.update(&member.id);
        hash.update([0]);
    }
    let set = |list: fn(&Alert) -> &Vec<String>| -> Vec<String> {
        let all: BTreeSet<&String> = members.iter().flat_map(list).collect();
        all.into_iter().cloned().collect()
    };
    let same_key = members.iter().all(|member| member.dedup_key == first.dedup_key);
    Some(Alert {
        id: short_id(&hash.finalize()),
        title: if members.len() == 1 {
            first.title.clone()
        } else {
            format!("{} ({} alerts)", first.title, members.len())
        },
        severity: members.iter().map(|member| member.severity).max().unwrap_or(first.severity),
        created: time::rfc3339(now),
        outputs: set(|member| &member.outputs),
        tags: set(|member| &member.tags),
        references: set(|member| &member.references),
        // The newest version of the rule knows best how its alerts are shown.
        publishers: last.publishers.clone(),
        component_digest: last.component_digest.clone(),
        host_version: last.host_version.clone(),
        rule_description: last.rule_description.clone(),
        merge: None,
        dedup_key: first.dedup_key.clone().filter(|_| same_key),
        context: contexts(&members),
        record: record.into(),
        staged: members.iter().any(|member| member.staged),
        trial: None,
        fuel: members.iter().map(|member| member.fuel).sum(),
        ..first.clone()
    })
}

/// What any member says. Where members say different things, the oldest that says something counts, and what the others
/// say stands beside it by alert id.
fn contexts(members: &[Alert]) -> Map<String, Value> {
    let mut merged: Map<String, Value> = Map::new();
    for member in members {
        for (key, value) in &member.context {
            if !merged.contains_key(key) {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    let mut others = Map::new();
    for member in members {
        let mut other = member.context.clone();
        other.retain(|key, value| merged.get(key) != Some(value));
        if !other.is_empty() {
            others.insert(member.id.clone(), other.into());
        }
    }
    if !others.is_empty() {
        merged.insert(CONTEXTS_KEY.into(), others.into());
    }
    merged
}

/// Takes what a merge key leads to out of the record, at every level from which it leads somewhere.
fn remove(value: &mut Value, path: &[String]) {
    if let Some((last, before)) = path.split_last() {
        let parent = before.iter().try_fold(&mut *value, |node, step| match node {
            Value::Object(object) => object.get_mut(step),
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        });
        if let Some(Value::Object(object)) = parent {
            object.shift_remove(last);
        }
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(|value| remove(value, path)),
        Value::Array(items) => items.iter_mut().for_each(|value| remove(value, path)),
        _ => {}
    }
}

/// Keys with equal values on both sides, objects taken apart.
fn intersection(a: &Value, b: &Value) -> Value {
    let (Value::Object(a), Value::Object(b)) = (a, b) else {
        return if a == b { a.clone() } else { Value::Object(Map::new()) };
    };
    let mut both = Map::new();
    for (key, a) in a {
        let Some(b) = b.get(key) else { continue };
        if a == b {
            both.insert(key.clone(), a.clone());
        } else if a.is_object() && b.is_object() {
            let inner = intersection(a, b);
            if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                both.insert(key.clone(), inner);
            }
        }
    }
    both.into()
}

/// What of `value` is not in `common`.
fn difference(value: &Value, common: &Value) -> Value {
    let (Value::Object(value), Value::Object(common)) = (value, common) else {
        return if value == common { Value::Object(Map::new()) } else { value.clone() };
    };
    let mut rest = Map::new();
    for (key, value) in value {
        match common.get(key) {
            Some(common) if common == value => {}
            Some(common) => {
                rest.insert(key.clone(), difference(value, common));
            }
            None => {
                rest.insert(key.clone(), value.clone());
            }
        }
    }
    rest.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Severity, samples};
    use serde_json::json;

    fn alert(id: &str, created: Millis, record: Value) -> Alert {
        Alert {
            id: id.into(),
            created: time::rfc3339(created),
            merge: Some(Merge::new(["user"], 10)),
            record: record.into(),
            ..samples::alert()
        }
    }

    fn group_of(record: Value) -> String {
        waiting(&alert("a", 0, record)).unwrap().group
    }

    #[test]
    fn keys_are_found_at_any_depth_nearest_to_the_top_first() {
        let record = json!({
            "streamalert_normalization": {"user": "no"},
            "list": [{"deep": {"user": "third"}}, {"user": "second"}],
            "a": {"b": {"c": 1}}, "dotted.key": 7
        });
        assert_eq!(find(&record, "user"), Some(&json!("second")));
        assert_eq!(find(&record, "b.c"), Some(&json!(1)));
        assert_eq!(find(&record, "list.1.user"), Some(&json!("second")));
        assert_eq!(find(&record, "dotted\\.key"), Some(&json!(7)));
        assert_eq!(find(&record, "nobody"), None);
        assert_eq!(find(&json!({"user": "top", "a": {"user": "in"}}), "user"), Some(&json!("top")));
    }

    #[test]
    fn groups_are_of_one_rule_and_equal_values() {
        assert_eq!(group_of(json!({"user": "bob", "x": 1})), group_of(json!({"a": [{"user": "bob"}]})));
        assert_eq!(group_of(json!({"x": 1})), group_of(json!({})), "a key that both lack is equal");
        assert_ne!(group_of(json!({"user": "bob"})), group_of(json!({"user": "ann"})));
        assert_ne!(group_of(json!({"user": "1"})), group_of(json!({"user": 1})));
        assert_ne!(group_of(json!({"user": ""})), group_of(json!({})));
        assert_eq!(group_of(json!({"user": {"a": 1, "b": 2}})), group_of(json!({"user": {"b": 2, "a": 1}})));
        let other = Alert { rule_name: "other".into(), ..alert("a", 0, json!({"user": "bob"})) };
        assert_ne!(waiting(&other).unwrap().group, group_of(json!({"user": "bob"})));
    }

    #[test]
    fn without_keys_the_dedup_key_groups() {
        let mut alert = alert("a", 0, json!({"user": "bob"}));
        alert.merge = Some(Merge::new([] as [&str; 0], 10));
        alert.dedup_key = Some("k".into());
        let group = waiting(&alert).unwrap().group;
        alert.record = json!({"user": "ann"}).into();
        assert_eq!(waiting(&alert).unwrap().group, group);
        alert.dedup_key = None;
        assert_eq!(waiting(&alert), None);
        alert.merge = None;
        assert_eq!(waiting(&alert), None);
    }

    #[test]
    fn windows_are_on_arrival_or_on_the_events_own_time() {
        let mut alert = alert("a", 60_000, json!({"user": "bob"}));
        alert.event_time = Some("1970-01-01T00:00:30Z".into());
        assert_eq!(waiting(&alert).map(|waiting| (waiting.at, waiting.window)), Some((60_000, 600_000)));
        alert.merge = Some(Merge { on: MergeOn::Event, ..Merge::new(["user"], 10) });
        assert_eq!(waiting(&alert).unwrap().at, 30_000);
        alert.event_time = Some("who knows".into());
        assert_eq!(waiting(&alert).unwrap().at, 60_000);
    }

    #[test]
    fn a_merged_alert_tells_what_is_common_and_what_differs() {
        let of = |id: &str, at, ip: &str| {
            alert(
                id,
                at,
                json!({"user": "bob", "region": "us", "in": {"ip": ip, "port": 1}, "list": [{"user": "bob", "k": ip}]}),
            )
        };
        let mut one = of("one", 1_000, "1.1.1.1");
        let mut two = of("two", 1_000, "2.2.2.2");
        one.outputs = vec!["slack:a".into()];
        two.outputs = vec!["pagerduty:b".into(), "slack:a".into()];
        two.severity = Severity::Critical;
        one.context = json!({"owner": "ann", "only": 1}).as_object().unwrap().clone();
        two.context = json!({"owner": "eve", "more": [2]}).as_object().unwrap().clone();
        let merged = fold(vec![two.clone(), one.clone()], 9_000).unwrap();
        assert_eq!(
            merged.record.to_value(),
            json!({
                "AlertCount": 2,
                "AlertTimeFirst": "1970-01-01T00:00:01.000Z",
                "AlertTimeLast": "1970-01-01T00:00:01.000Z",
                "MergedBy": {"user": "bob"},
                "OtherCommonKeys": {"region": "us", "in": {"port": 1}},
                "ValueDiffs": {
                    "one": {"in": {"ip": "1.1.1.1"}, "list": [{"k": "1.1.1.1"}]},
                    "two": {"in": {"ip": "2.2.2.2"}, "list": [{"k": "2.2.2.2"}]}
                }
            })
        );
        assert_eq!(merged.outputs, ["pagerduty:b", "slack:a"]);
        assert_eq!((merged.severity, merged.merge.clone()), (Severity::Critical, None));
        assert_eq!(merged.created, "1970-01-01T00:00:09.000Z");
        assert_eq!(
            Value::from(merged.context.clone()),
            json!({"owner": "ann", "only": 1, "more": [2], "streamalert:contexts": {"two": {"owner": "eve"}}})
        );
        assert_eq!(fold(vec![one, two], 10_000).unwrap().id, merged.id, "the same members are the same alert");
    }

    #[test]
    fn one_alert_alone_keeps_all_of_its_record() {
        let merged = fold(vec![alert("a", 0, json!({"x": [1], "streamalert_normalization": {}}))], 1).unwrap();
        let record = merged.record.to_value();
        assert_eq!(record["MergedBy"], json!({"user": "(n/a)"}));
        assert_eq!(record["OtherCommonKeys"], json!({"x": [1]}));
        assert_eq!(record["ValueDiffs"], json!({"a": {}}));
        assert_eq!(fold(vec![], 0), None);
    }
}
