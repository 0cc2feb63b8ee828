//! A publication is an alert shaped for one output: it begins as the default publication and goes through the publishers that
//! the rule names.

use super::publishers;
use crate::alert::Alert;
use crate::log_record::NORMALIZATION_KEY;
use serde_json::{Map, Value};

/// A JSON object.
pub type Publication = Map<String, Value>;

/// Why a publication could not be made. The delivery is tried again: sending what a publisher should have changed might
/// tell too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unshaped {
    pub message: String,
}

/// Publishers beside the native ones.
pub trait Publishers {
    /// `None` if there is none of this name.
    fn publish(
        &self,
        name: &str,
        alert: &Alert,
        publication: &Publication,
        output: &str,
    ) -> Option<Result<Publication, String>>;
}

/// There are none.
pub struct NoPublishers;

impl Publishers for NoPublishers {
    fn publish(&self, _: &str, _: &Alert, _: &Publication, _: &str) -> Option<Result<Publication, String>> {
        None
    }
}

/// What every output gets if nothing else is said.
pub fn default_publication(alert: &Alert) -> Publication {
    let mut outputs = alert.outputs.clone();
    outputs.sort();
    let mut record = alert.record.to_value();
    if let Value::Object(record) = &mut record {
        record.shift_remove(NORMALIZATION_KEY);
    }
    let publishers = match &alert.publishers {
        Value::Null => Value::Object(Map::new()),
        some => some.clone(),
    };
    let value = serde_json::json!({
        "id": alert.id,
        "rule_name": alert.rule_name,
        "title": alert.title,
        "severity": alert.severity,
        "rule_description": alert.rule_description,
        "created": alert.created,
        "event_time": alert.event_time.as_deref().unwrap_or_default(),
        "cluster": alert.cluster,
        "log_source": alert.log_source,
        "log_type": alert.log_type,
        "source_service": alert.source.service,
        "source_entity": alert.source.resource,
        "source_object": alert.source.object,
        "dedup_key": alert.dedup_key.as_deref().unwrap_or_default(),
        "context": alert.context,
        "tags": alert.tags,
        "references": alert.references,
        "outputs": outputs,
        "publishers": publishers,
        "staged": alert.staged,
        "record": record,
    });
    match value {
        Value::Object(publication) => publication,
        _ => Publication::new(),
    }
}

/// The publishers that the rule names for `output`, in order. A list is for all outputs; of an object, what stands under the
/// service comes before what stands under the very output.
pub fn chain(publishers: &Value, output: &str) -> Vec<String> {
    let service = output.split_once(':').map_or(output, |(service, _)| service);
    match publishers {
        Value::Object(by_output) => {
            [service, output].iter().filter_map(|key| by_output.get(*key)).flat_map(names).collect()
        }
        other => names(other),
    }
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    }
}

/// All publishers that a rule names for any output.
pub fn named(publishers: &Value) -> Vec<String> {
    match publishers {
        Value::Object(by_output) => by_output.values().flat_map(names).collect(),
        other => names(other),
    }
}

/// The publication of `alert` for `output`.
pub fn shape(alert: &Alert, output: &str, others: &dyn Publishers) -> Result<Publication, Unshaped> {
    let mut publication = default_publication(alert);
    for name in chain(&alert.publishers, output) {
        let failed = |message: String| Unshaped { message: format!("publisher {name}: {message}") };
        publication = match publishers::native(&name) {
            Some(publisher) => publisher(alert, publication, output).map_err(failed)?,
            None => match others.publish(&name, alert, &publication, output) {
                Some(published) => published.map_err(failed)?,
                None => {
                    let message = format!(
                        "there is no publisher {name}; the alert is not sent without it, as it might take something out. Load the component that has it, or take the name out of rule {}",
                        alert.rule_name
                    );
                    return Err(Unshaped { message });
                }
            },
        };
    }
    Ok(publication)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::samples;
    use serde_json::json;

    struct Stamp;

    impl Publishers for Stamp {
        fn publish(
            &self,
            name: &str,
            _: &Alert,
            publication: &Publication,
            output: &str,
        ) -> Option<Result<Publication, String>> {
            let mut publication = publication.clone();
            match name {
                "stamp" => {
                    let stamps = publication.get("stamps").and_then(Value::as_str).unwrap_or_default();
                    let stamps = format!("{stamps}|{output}");
                    publication.insert("stamps".into(), stamps.into());
                    Some(Ok(publication))
                }
                "broken" => Some(Err("no owner in the context".into())),
                _ => None,
            }
        }
    }

    fn with(publishers: Value) -> Alert {
        Alert { publishers, ..samples::alert() }
    }

    #[test]
    fn a_service_s_publishers_come_before_those_of_the_very_output() {
        let publishers = json!({"slack:security": ["c", "d"], "slack": "a", "pagerduty": ["b"], "slack:other": ["no"]});
        assert_eq!(chain(&publishers, "slack:security"), ["a", "c", "d"]);
        assert_eq!(chain(&publishers, "file:x"), [""; 0]);
        assert_eq!(chain(&json!(["a", "b"]), "file:x"), ["a", "b"]);
        assert_eq!(chain(&json!("a"), "file:x"), ["a"]);
        assert_eq!(chain(&Value::Null, "file:x"), [""; 0]);
        let mut all = named(&publishers);
        all.sort();
        assert_eq!(all, ["a", "b", "c", "d", "no"]);
    }

    #[test]
    fn a_chain_begins_with_the_default_publication() {
        let alert = with(json!(["stamp", "remove_internal_fields", "stamp"]));
        let publication = shape(&alert, "slack:security", &Stamp).unwrap();
        assert_eq!(publication["stamps"], "|slack:security|slack:security");
        assert_eq!(publication["record"], json!({"user": "bob", "ip": "1.1.1.1"}));
        assert!(!publication.contains_key("outputs") && publication.contains_key("rule_name"));
    }

    #[test]
    fn a_publisher_that_fails_or_is_not_there_holds_the_alert_back() {
        let message = |publishers| shape(&with(publishers), "slack:security", &Stamp).unwrap_err().message;
        assert_eq!(message(json!("broken")), "publisher broken: no owner in the context");
        assert!(
            message(json!(["redact"])).starts_with("there is no publisher redact; the alert is not sent without it")
        );
    }

    #[test]
    fn what_normalization_added_is_nobody_s_to_read() {
        let mut alert = samples::alert();
        alert.record = json!({"a": 1, "streamalert_normalization": {"ip": []}}).into();
        assert_eq!(default_publication(&alert)["record"], json!({"a": 1}));
    }
}
