//! What people should read of an alert.

use streamalert_output_sdk::prelude::*;

/// An alert as people read it. All of it is from the publication, so that what a publisher takes out is out; only a title must
/// be there in any case, and is the rule's name if need be.
///
/// Texts hold what attackers wrote into logs. They have no control characters and nothing that turns the direction of text
/// around, but are otherwise as they came: escape them for where they go.
#[derive(Clone, Debug, PartialEq)]
pub struct Brief {
    /// One line.
    pub title: String,
    /// The alert's if the publication has none: services sort by it, and it is one of five words.
    pub severity: Severity,
    /// Of several lines.
    pub description: String,
    /// Name and value, one line each.
    pub facts: Vec<(&'static str, String)>,
    /// References that are web addresses.
    pub links: Vec<String>,
    /// Name and value: context and record, and what publishers added.
    pub details: Vec<(&'static str, Value)>,
}

/// Keys of a publication that a brief shows in a place of their own, and those that say nothing to people.
const KNOWN: &[&str] = &[
    "cluster",
    "component_digest",
    "context",
    "created",
    "dedup_key",
    "event_time",
    "fuel",
    "host_version",
    "id",
    "log_source",
    "log_type",
    "merge",
    "outputs",
    "position",
    "publishers",
    "record",
    "references",
    "rule_description",
    "rule_name",
    "severity",
    "source",
    "source_entity",
    "source_object",
    "source_service",
    "staged",
    "tags",
    "title",
];

/// Those of them that no machine outside has use for either.
const INTERNAL: &[&str] = &["component_digest", "fuel", "host_version", "merge", "outputs", "position", "publishers"];

/// The publication for machines outside: without what only StreamAlert has use for.
pub fn told(parcel: &Parcel) -> Map<String, Value> {
    let mut told = parcel.shown();
    told.retain(|key, _| !INTERNAL.contains(&key.as_str()));
    told
}

impl Brief {
    pub fn of(parcel: &Parcel) -> Self {
        // What is said to outputs stands under keys with `@`, which are none of those that are read here.
        let shown = &parcel.publication;
        let text = |key: &str| shown.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let title = text("title").or(text("rule_name")).unwrap_or(parcel.alert.rule_name());
        let title = match plain(title).trim() {
            "" => "StreamAlert alert".to_owned(),
            title => title.to_owned(),
        };
        let severity = text("severity").and_then(Severity::named).unwrap_or(parcel.alert.severity());

        let list = |key: &str| -> Vec<&str> {
            let items = shown.get(key).and_then(Value::as_array);
            items.map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
        };
        let source = match shown.get("source") {
            Some(source) => ["service", "resource", "object"].map(|key| source.get(key).and_then(Value::as_str)),
            None => [text("source_service"), text("source_entity"), text("source_object")],
        };
        let source: Vec<&str> = source.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let references = list("references");
        let (links, others): (Vec<&str>, Vec<&str>) = references.into_iter().partition(|text| Url::parse(text).is_ok());
        let facts = [
            ("Severity", Some(severity.name().to_owned())),
            ("Rule", text("rule_name").map(str::to_owned)),
            ("Raised", text("created").map(str::to_owned)),
            ("Logged", text("event_time").map(str::to_owned)),
            ("Log", text("log_source").map(str::to_owned)),
            ("Source", Some(source.join(" / "))),
            ("Cluster", text("cluster").map(str::to_owned)),
            ("Tags", Some(list("tags").join(", "))),
            ("References", Some(others.join(", "))),
            ("Staged", (shown.get("staged") == Some(&Value::Bool(true))).then(|| "yes".to_owned())),
            ("Alert", text("id").map(str::to_owned)),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| {
            let value = plain(&value?);
            (!value.trim().is_empty()).then_some((name, value))
        });

        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        let further = shown.iter().filter(|(key, _)| !key.starts_with('@') && !KNOWN.contains(&key.as_str()));
        let further: Map<String, Value> = further.map(|(key, value)| (key.clone(), value.clone())).collect();
        let take = |key: &str| shown.get(key).cloned().unwrap_or_default();
        let details = [("Context", take("context")), ("Record", take("record")), ("Further", Value::Object(further))];

        Brief {
            title,
            severity,
            description: lines(text("rule_description").unwrap_or_default()),
            facts: facts.collect(),
            links: links.into_iter().map(str::to_owned).collect(),
            details: details.into_iter().filter(|(_, value)| !is_empty(value)).collect(),
        }
    }

    /// The facts as lines.
    pub fn fact_lines(&self) -> String {
        let links = self.links.iter().map(|link| format!("Reference: {link}"));
        let facts = self.facts.iter().map(|(name, value)| format!("{name}: {value}"));
        facts.chain(links).collect::<Vec<_>>().join("\n")
    }

    /// All but the title, as text without markup: each detail as `path: value` lines under its name.
    pub fn text(&self) -> String {
        let mut blocks = Vec::new();
        if !self.description.is_empty() {
            blocks.push(self.description.clone());
        }
        blocks.push(self.fact_lines());
        blocks.extend(self.details.iter().map(|(name, value)| format!("{name}\n{}", flat_lines(value))));
        blocks.join("\n\n")
    }
}

/// The text line by line, each without control characters, blank lines at both ends left out.
fn lines(text: &str) -> String {
    text.trim().lines().map(|line| plain(line).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Nothing;

    #[test]
    fn a_whole_alert() {
        let brief = Brief::of(&Parcel::sample::<Nothing>(json!({})));
        assert_eq!((brief.title.as_str(), brief.severity), ("Root logged in without MFA", Severity::High));
        assert_eq!(
            brief.text(),
            "Somebody logged in as root.\n\n\
             Severity: high\nRule: root_login\nRaised: 2026-01-02T03:04:05Z\nLogged: 2026-01-02T03:03:59Z\n\
             Log: cloudtrail:events\nSource: s3 / logs / 2026/01/02/a.json.gz\nCluster: prod\nTags: aws\n\
             Alert: 3f9c1e0b7a5d4826\nReference: https://example.com/runbooks/root\n\n\
             Context\naccount: 123456789012\n\n\
             Record\neventName: ConsoleLogin\nsourceIPAddress: 198.51.100.7\nuserIdentity.type: Root"
        );
    }

    #[test]
    fn what_publishers_take_out_is_out() {
        let mut parcel = Parcel::sample::<Nothing>(json!({"severity": "low"})).publish("owner", "ada");
        parcel.publication.retain(|key, _| key == "owner");
        let brief = Brief::of(&parcel);
        assert_eq!((brief.title.as_str(), brief.severity), ("root_login", Severity::Low));
        assert_eq!(brief.text(), "Severity: low\n\nFurther\nowner: ada");
        parcel.publication.clear();
        assert_eq!(Brief::of(&parcel).text(), "Severity: low");
    }

    #[test]
    fn the_default_publication_has_the_source_in_parts() {
        let mut parcel = Parcel::sample::<Nothing>(json!({}));
        parcel.publication =
            json!({"rule_name": "r", "source_service": "s3", "source_entity": "logs", "source_object": "a.gz", "event_time": "", "record": {"a": 1}})
                .as_object()
                .unwrap()
                .clone();
        assert_eq!(Brief::of(&parcel).text(), "Severity: high\nRule: r\nSource: s3 / logs / a.gz\n\nRecord\na: 1");
    }

    #[test]
    fn odd_publications_make_odd_briefs() {
        let parcel = Parcel::sample::<Nothing>(json!({
            "title": " \u{202e} ", "rule_name": 5, "severity": "awful", "references": ["see wiki", "javascript:x", 1],
            "tags": "no list", "rule_description": "\n a\u{1b}b \r\n\r\n c\n", "source": null, "record": null, "context": [],
        }));
        let brief = Brief::of(&parcel);
        assert_eq!((brief.title.as_str(), brief.severity), ("StreamAlert alert", Severity::Medium));
        assert_eq!(brief.description, "ab\n\n c");
        assert!(brief.links.is_empty() && brief.details.is_empty());
        assert!(brief.facts.contains(&("References", "see wiki, javascript:x".into())));
    }
}
