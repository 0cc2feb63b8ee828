//! The publishers that need no component, under the names StreamAlert gave them.

use super::publication::{Publication, default_publication};
use crate::alert::{Alert, Severity};
use crate::log_record::NORMALIZATION_KEY;
use regex::Regex;
use serde_json::{Map, Value, json};

pub type Publisher = fn(&Alert, Publication, &str) -> Result<Publication, String>;

/// Name, the name in StreamAlert where it differs, what it does.
pub const NATIVE: [(&str, &str, &str, Publisher); 21] = [
    ("default", "DefaultPublisher", "begins anew with the default publication", |alert, _, _| {
        Ok(default_publication(alert))
    }),
    ("blank", "", "takes everything out", |_, _, _| Ok(Publication::new())),
    ("add_record", "", "puts the record in, under `record`", add_record),
    ("remove_internal_fields", "", "takes out `staged`, `publishers` and `outputs`", remove_internal_fields),
    (
        "remove_fields",
        "",
        "takes out keys that match a pattern of the context's `remove_fields`, at any depth",
        remove_fields,
    ),
    ("remove_streamalert_normalization", "", "takes out what normalization added, at any depth", remove_normalization),
    ("enumerate_fields", "", "one level of keys like `a.b[0].c`, sorted", |_, publication, _| {
        Ok(enumerate(&publication))
    }),
    (
        "populate_fields",
        "",
        "keeps the keys named by the context's `populate_fields`, each with all its values",
        populate_fields,
    ),
    ("stringify_arrays", "StringifyArrays", "lists of plain values become lines", |_, publication, _| {
        Ok(join(publication, "\n"))
    }),
    (
        "pretty_print_arrays",
        "PrettyPrintArrays",
        "lists of plain values become paragraphs with lines between",
        |_, publication, _| Ok(join(publication, "\n\n----------\n\n")),
    ),
    ("pagerduty_shorten_title", "ShortenTitle", "PagerDuty shows the title alone", pagerduty_shorten_title),
    (
        "pagerduty_as_custom_details",
        "as_custom_details",
        "PagerDuty shows the publication as details",
        pagerduty_details,
    ),
    ("pagerduty_high_urgency", "v2_high_urgency", "PagerDuty: critical, high urgency", |_, publication, _| {
        Ok(urgency(publication, "critical", "high"))
    }),
    ("pagerduty_low_urgency", "v2_low_urgency", "PagerDuty: warning, low urgency", |_, publication, _| {
        Ok(urgency(publication, "warning", "low"))
    }),
    ("pagerduty_attach_image", "AttachImage", "PagerDuty shows the context's `pagerduty_image`", pagerduty_image),
    ("slack_summary", "Summary", "Slack shows title, description and source first", slack_summary),
    (
        "slack_attach_rule_info",
        "AttachRuleInfo",
        "Slack shows what the rule's description says, field by field",
        slack_rule_info,
    ),
    ("slack_attach_publication", "AttachPublication", "Slack shows the publication as JSON", slack_publication),
    (
        "slack_attach_string_template",
        "AttachStringTemplate",
        "Slack shows the context's `slack_message_template`, with `{path}` for values of the publication",
        slack_template,
    ),
    (
        "slack_attach_full_record",
        "AttachFullRecord",
        "Slack shows the record as JSON, in as many parts as it takes",
        slack_record,
    ),
    ("demisto_classification", "", "XSOAR gets what the context's `demisto` says", demisto),
];

/// The publisher of this name. Full names of StreamAlert's (`publishers.community.generic.add_record`) are known too.
pub fn native(name: &str) -> Option<Publisher> {
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.is_empty() {
        return None;
    }
    let theirs = name != last;
    NATIVE
        .iter()
        .find(|(ours, original, ..)| {
            *ours == name || *original == name || (theirs && (*ours == last || *original == last))
        })
        .filter(|(_, original, ..)| !original.is_empty() || !theirs || is_original(name))
        .map(|(.., publisher)| *publisher)
}

/// Packages that StreamAlert brought along. A name of another package is somebody else's publisher.
fn is_original(name: &str) -> bool {
    ["publishers.community.", "streamalert.shared.publisher.", "publishers.sample."]
        .iter()
        .any(|package| name.starts_with(package))
}

fn add_record(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let record = default_publication(alert).shift_remove("record").unwrap_or_default();
    publication.insert("record".into(), record);
    Ok(publication)
}

fn remove_internal_fields(_: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    publication.retain(|key, _| !["staged", "publishers", "outputs"].contains(&key.as_str()));
    Ok(publication)
}

fn remove_fields(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let patterns = texts(alert, "remove_fields")?;
    let patterns: Vec<Regex> = patterns
        .iter()
        .map(|pattern| Regex::new(pattern).map_err(|error| format!("the context's remove_fields: {error}")))
        .collect::<Result<_, _>>()?;
    remove(&mut publication, &|key| patterns.iter().any(|pattern| pattern.is_match(key)));
    Ok(publication)
}

fn remove_normalization(_: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    remove(&mut publication, &|key| key == NORMALIZATION_KEY);
    Ok(publication)
}

/// A list of texts, or one text, in the alert's context.
fn texts(alert: &Alert, key: &str) -> Result<Vec<String>, String> {
    match alert.context.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            Ok(items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect())
        }
        Some(_) => Err(format!("the context's {key} is no list of texts")),
    }
}

fn remove(object: &mut Map<String, Value>, goes: &dyn Fn(&str) -> bool) {
    object.retain(|key, _| !goes(key));
    object.values_mut().for_each(|value| remove_in(value, goes));
}

fn remove_in(value: &mut Value, goes: &dyn Fn(&str) -> bool) {
    match value {
        Value::Object(object) => remove(object, goes),
        Value::Array(items) => items.iter_mut().for_each(|item| remove_in(item, goes)),
        _ => {}
    }
}

fn enumerate(publication: &Publication) -> Publication {
    fn walk(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(object) if !object.is_empty() => {
                for (key, value) in object {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, value, out);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (index, value) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), value, out);
                }
            }
            other => out.push((path.to_owned(), other.clone())),
        }
    }
    let mut out = Vec::new();
    publication.iter().for_each(|(key, value)| walk(key, value, &mut out));
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out.into_iter().collect()
}

fn populate_fields(alert: &Alert, publication: Publication, _: &str) -> Result<Publication, String> {
    fn collect(value: &Value, name: &str, out: &mut Vec<Value>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    if key == name {
                        out.push(value.clone());
                    }
                    collect(value, name, out);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, name, out)),
            _ => {}
        }
    }
    let whole = Value::Object(publication);
    let fields = texts(alert, "populate_fields")?.into_iter().map(|name| {
        let mut values = Vec::new();
        collect(&whole, &name, &mut values);
        (name, Value::Array(values))
    });
    Ok(fields.collect())
}

fn join(mut publication: Publication, separator: &str) -> Publication {
    fn walk(value: &mut Value, separator: &str) {
        match value {
            Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
                let texts: Vec<String> = items.iter().map(text).collect();
                *value = Value::String(texts.join(separator));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, separator)),
            Value::Object(object) => object.values_mut().for_each(|value| walk(value, separator)),
            _ => {}
        }
    }
    publication.values_mut().for_each(|value| walk(value, separator));
    publication
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn pagerduty_shorten_title(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    for key in ["@pagerduty.description", "@pagerduty-v2.summary", "@pagerduty-incident.incident_title"] {
        publication.insert(key.into(), alert.title.clone().into());
    }
    Ok(publication)
}

fn pagerduty_details(_: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let shown = shown(&publication);
    publication.insert("@pagerduty.details".into(), shown.clone());
    publication.insert("@pagerduty-v2.custom_details".into(), shown);
    Ok(publication)
}

fn urgency(mut publication: Publication, severity: &str, urgency: &str) -> Publication {
    publication.insert("@pagerduty-v2.severity".into(), severity.into());
    publication.insert("@pagerduty-incident.urgency".into(), urgency.into());
    publication
}

/// `pagerduty_image` is a URL, or an object of `url`, `link`, `text`.
fn pagerduty_image(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let image = alert.context.get("pagerduty_image").ok_or("the context has no pagerduty_image")?;
    let part = |name: &str| image.get(name).and_then(Value::as_str);
    let source = image.as_str().or_else(|| part("url")).ok_or("the context's pagerduty_image has no url")?;
    let mut context = json!({"type": "image", "src": source});
    let mut shown = json!({"src": source});
    if let Some(link) = part("link") {
        context["href"] = link.into();
        shown["href"] = link.into();
    }
    if let Some(text) = part("text") {
        shown["alt"] = text.into();
    }
    push(&mut publication, "@pagerduty.contexts", context);
    push(&mut publication, "@pagerduty-v2.images", shown);
    Ok(publication)
}

fn push(publication: &mut Publication, key: &str, value: Value) {
    match publication.get_mut(key) {
        Some(Value::Array(items)) => items.push(value),
        _ => {
            publication.insert(key.into(), vec![value].into());
        }
    }
}

/// The publication without what is meant for outputs.
fn shown(publication: &Publication) -> Value {
    publication
        .iter()
        .filter(|(key, _)| !key.starts_with('@'))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Characters of one Slack attachment: what is longer is shown in parts.
const SLACK_PART_CHARS: usize = 4_000;

fn attach(publication: &mut Publication, attachment: Value) {
    push(publication, "@slack.attachments", attachment);
}

fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "#439fe0",
        Severity::Low => "#2eb886",
        Severity::Medium => "#daa038",
        Severity::High => "#d9534f",
        Severity::Critical => "#b22222",
    }
}

fn slack_summary(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    publication
        .insert("@slack.text".into(), format!("{}: {}", alert.severity.name().to_uppercase(), alert.title).into());
    let field = |title: &str, value: &str| json!({"title": title, "value": value, "short": true});
    attach(
        &mut publication,
        json!({
            "title": alert.rule_name,
            "text": alert.rule_description,
            "color": color(alert.severity),
            "fields": [field("Log", &alert.log_source), field("Source", &alert.source.resource), field("Cluster", &alert.cluster)],
        }),
    );
    Ok(publication)
}

/// Lines `field: value` of a description are fields, lines behind them belong to them, the rest is the description.
fn slack_rule_info(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in alert.rule_description.lines().map(str::trim) {
        let named = line.split_once(':').filter(|(name, value)| {
            !name.is_empty()
                && name.chars().all(|character| character.is_alphanumeric() || " _-".contains(character))
                && name.split(' ').count() <= 3
                && !value.starts_with("//")
        });
        match (named, fields.last_mut()) {
            (Some((name, value)), _) => fields.push((name.to_owned(), value.trim().to_owned())),
            (None, Some((_, value))) if !line.is_empty() => {
                // An address that was broken over lines.
                let glue = if value.ends_with('/') || value.is_empty() { "" } else { "\n" };
                value.push_str(glue);
                value.push_str(line);
            }
            (None, None) if !line.is_empty() => fields.push(("description".into(), line.to_owned())),
            _ => {}
        }
    }
    let fields: Vec<Value> =
        fields.iter().map(|(title, value)| json!({"title": title, "value": value, "short": false})).collect();
    attach(&mut publication, json!({"title": "Rule", "color": "#439fe0", "fields": fields}));
    Ok(publication)
}

fn slack_publication(_: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let shown = shown(&publication);
    code(&mut publication, "Alert", &shown)?;
    Ok(publication)
}

fn slack_record(alert: &Alert, mut publication: Publication, output: &str) -> Result<Publication, String> {
    let record = match publication.get("record") {
        Some(record) => record.clone(),
        None => add_record(alert, Publication::new(), output)?.shift_remove("record").unwrap_or_default(),
    };
    code(&mut publication, "Record", &record)?;
    Ok(publication)
}

fn code(publication: &mut Publication, title: &str, value: &Value) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    let parts = parts(&text, SLACK_PART_CHARS);
    let count = parts.len();
    for (index, part) in parts.iter().enumerate() {
        let title = if count == 1 { title.to_owned() } else { format!("{title} (part {} of {count})", index + 1) };
        attach(
            publication,
            json!({"title": title, "color": "#aaaaaa", "text": format!("```\n{part}\n```"), "mrkdwn_in": ["text"]}),
        );
    }
    Ok(())
}

/// Pieces of at most so many characters, cut after a line if there is one, else anywhere. Nothing is lost but the line ends cut at.
fn parts(mut text: &str, chars: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some((end, _)) = text.char_indices().nth(chars) {
        let (part, rest) = match text[..end].rfind('\n') {
            Some(line) if line > 0 => (&text[..line], &text[line + 1..]),
            _ => text.split_at(end),
        };
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

fn slack_template(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let template = alert
        .context
        .get("slack_message_template")
        .and_then(Value::as_str)
        .ok_or("the context has no text slack_message_template")?;
    let whole = Value::Object(publication.clone());
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let Some(close) = rest.find('}') else { break };
        let path = &rest[1..close];
        let found = path.split('.').try_fold(&whole, |value, step| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(step),
        });
        match found {
            Some(value) => out.push_str(&text(value)),
            None => out.push_str(&rest[..=close]),
        }
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    attach(&mut publication, json!({"title": alert.rule_name, "color": color(alert.severity), "text": out}));
    Ok(publication)
}

fn demisto(alert: &Alert, mut publication: Publication, _: &str) -> Result<Publication, String> {
    let Some(Value::Object(says)) = alert.context.get("demisto") else {
        return Ok(publication);
    };
    for (key, value) in says {
        publication.insert(format!("@demisto.{key}"), value.clone());
    }
    Ok(publication)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;

    fn publish(name: &str, context: Value, publication: Value) -> Result<Value, String> {
        let context = context.as_object().cloned().unwrap_or_default();
        let alert = Alert { context, ..samples::alert() };
        let publication = publication.as_object().cloned().unwrap_or_default();
        native(name).unwrap_or_else(|| panic!("no {name}"))(&alert, publication, "slack:security").map(Value::Object)
    }

    #[track_caller]
    fn check(name: &str, context: Value, publication: Value, expected: Value) {
        assert_eq!(publish(name, context, publication), Ok(expected), "{name}");
    }

    #[test]
    fn generic_publishers() {
        let none = json!({});
        check("blank", none.clone(), json!({"a": 1}), json!({}));
        check("add_record", none.clone(), json!({"a": 1}), json!({"a": 1, "record": {"user": "bob", "ip": "1.1.1.1"}}));
        check(
            "remove_internal_fields",
            none.clone(),
            json!({"staged": 1, "publishers": 2, "outputs": 3, "a": 4}),
            json!({"a": 4}),
        );
        check(
            "remove_fields",
            json!({"remove_fields": ["^pass", "token"]}),
            json!({"password": 1, "bypass": 2, "a": [{"my_token": 3, "b": {"passwd": 4, "c": 5}}]}),
            json!({"bypass": 2, "a": [{"b": {"c": 5}}]}),
        );
        check(
            "remove_streamalert_normalization",
            none.clone(),
            json!({"streamalert_normalization": 1, "record": {"streamalert_normalization": 2, "a": 3}}),
            json!({"record": {"a": 3}}),
        );
        check(
            "enumerate_fields",
            none.clone(),
            json!({"b": {"c": [1, {"d": null}]}, "a": {}, "e": []}),
            json!({"a": {}, "b.c[0]": 1, "b.c[1].d": null, "e": []}),
        );
        check(
            "populate_fields",
            json!({"populate_fields": ["ip", "none"]}),
            json!({"ip": 1, "in": [{"ip": [2]}, {"ip": 3}]}),
            json!({"ip": [1, [2], 3], "none": []}),
        );
        check(
            "stringify_arrays",
            none.clone(),
            json!({"a": ["x", 1, null], "b": [{"c": [true]}], "d": "e"}),
            json!({"a": "x\n1\nnull", "b": [{"c": "true"}], "d": "e"}),
        );
        check("pretty_print_arrays", none, json!({"a": ["x", "y"]}), json!({"a": "x\n\n----------\n\ny"}));
        assert!(publish("remove_fields", json!({"remove_fields": ["("]}), json!({})).is_err());
        assert!(publish("populate_fields", json!({"populate_fields": [1]}), json!({})).is_err());
    }

    #[test]
    fn names_of_the_original_are_known_and_others_are_not_taken_for_them() {
        let same =
            |a: &str, b: &str| native(a).map(|f| f as usize) == native(b).map(|f| f as usize) && native(a).is_some();
        assert!(same("streamalert.shared.publisher.DefaultPublisher", "default"));
        assert!(same("publishers.community.generic.remove_fields", "remove_fields"));
        assert!(same("publishers.community.pagerduty.pagerduty_layout.ShortenTitle", "pagerduty_shorten_title"));
        assert!(same("publishers.community.slack.slack_layout.AttachFullRecord", "slack_attach_full_record"));
        assert!(native("acme.publishers.remove_fields").is_none(), "theirs may be stricter");
        assert!(native("acme").is_none() && native("").is_none() && native("publishers.community.").is_none());
    }

    #[test]
    fn pagerduty_publishers() {
        check(
            "v2_high_urgency",
            json!({}),
            json!({}),
            json!({"@pagerduty-v2.severity": "critical", "@pagerduty-incident.urgency": "high"}),
        );
        check(
            "as_custom_details",
            json!({}),
            json!({"a": 1, "@slack.text": "x"}),
            json!({"a": 1, "@slack.text": "x", "@pagerduty.details": {"a": 1}, "@pagerduty-v2.custom_details": {"a": 1}}),
        );
        let shown =
            publish("AttachImage", json!({"pagerduty_image": {"url": "https://x/i.png", "text": "map"}}), json!({}))
                .unwrap();
        assert_eq!(shown["@pagerduty-v2.images"], json!([{"src": "https://x/i.png", "alt": "map"}]));
        assert!(publish("AttachImage", json!({}), json!({})).is_err());
    }

    #[test]
    fn slack_publishers_add_attachments_one_behind_the_other() {
        let mut publication = Publication::new();
        let mut alert = samples::alert();
        alert.rule_description = "Root never signs in.\nauthor: ann\nplaybook: https://wiki/\nroot\n".into();
        alert.context.insert("slack_message_template".into(), "{record.user} from {record.ip} {nobody} {".into());
        publication.insert("record".into(), json!({"user": "bob", "ip": "1.1.1.1"}));
        for name in ["Summary", "AttachRuleInfo", "AttachStringTemplate"] {
            publication = native(name).unwrap()(&alert, publication, "slack:security").unwrap();
        }
        assert_eq!(publication["@slack.text"], "HIGH: Root signed in");
        let attachments = publication["@slack.attachments"].as_array().unwrap();
        assert_eq!(attachments.len(), 3);
        let fields: Vec<_> = attachments[1]["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| (&field["title"], &field["value"]))
            .collect();
        let expected =
            json!([["description", "Root never signs in."], ["author", "ann"], ["playbook", "https://wiki/root"]]);
        assert_eq!(json!(fields), expected);
        assert_eq!(attachments[2]["text"], "bob from 1.1.1.1 {nobody} {");
    }

    #[test]
    fn long_records_are_shown_in_parts_and_nothing_is_lost() {
        let record = json!({"record": {"text": "ä".repeat(9_000), "b": 1}});
        let shown = publish("slack_attach_full_record", json!({}), record.clone()).unwrap();
        let parts = shown["@slack.attachments"].as_array().unwrap();
        assert!(parts.len() >= 3);
        let text: String =
            parts.iter().map(|part| part["text"].as_str().unwrap().trim_matches(&['`', '\n'][..])).collect();
        let whole: String = serde_json::to_string_pretty(&record["record"]).unwrap();
        assert_eq!(text.replace('\n', ""), whole.replace('\n', ""));
        assert!(parts.iter().all(|part| part["text"].as_str().unwrap().chars().count() <= SLACK_PART_CHARS + 8));
    }
}
