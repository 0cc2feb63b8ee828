//! Keys of a cluster file that nobody reads. The pipeline reads some of them, what is made on AWS the rest, and neither would say
//! a word of a key that is misspelt or another program's.

use serde_json::{Map, Value};

pub const KEYS: [&str; 5] = ["id", "data_sources", "classifier_config", "infrastructure", "enable_threat_intel"];
pub const CLASSIFIER_KEYS: [&str; 4] = ["memory", "timeout", "log_level", "log_retention_days"];
/// Of `infrastructure`, by service, what is said of each name.
pub const INFRASTRUCTURE_KEYS: [(&str, &[&str]); 8] = [
    ("s3", &["create", "days", "prefixes", "suffix", "notify", "topic_arn", "kms_key_arn"]),
    (
        "kinesis",
        &[
            "create",
            "shards",
            "retention_hours",
            "arn",
            "kms_key_arn",
            "batch_size",
            "window_seconds",
            "parallel",
            "start",
            "writer_accounts",
            "log_sender_accounts",
        ],
    ),
    ("sns", &["create", "arn"]),
    ("sqs", &["create", "arn", "kms_key_arn", "batch_size", "concurrency"]),
    ("eventbridge", &["pattern", "bus", "accounts", "organizations"]),
    ("cloudwatch_logs", &["filter", "create", "days"]),
    ("cloudtrail", &["bucket", "multi_region", "organization", "accounts", "data_events"]),
    ("flow_logs", &["bucket", "prefix", "vpc_ids", "subnet_ids", "eni_ids", "traffic", "format", "seconds"]),
];
/// Of `infrastructure`, what is said of the cluster's inputs queue.
pub const QUEUE_KEYS: [&str; 2] = ["concurrency", "attempts"];

/// Path and message of each.
pub fn unread(file: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some(file) = file.as_object() else { return found };
    for key in file.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        let message = match key.as_str() {
            "modules" => {
                "nothing reads what StreamAlert 3 had here; what is made on AWS is said under `infrastructure`, see \
                          infra/README.md"
                    .to_owned()
            }
            _ => nobody_reads(&KEYS),
        };
        found.push((key.clone(), message));
    }
    unread_of(file.get("classifier_config"), "classifier_config", &CLASSIFIER_KEYS, &mut found);
    for (service, named) in entries(file.get("infrastructure")) {
        let at = format!("infrastructure.{service}");
        let Some((_, keys)) = INFRASTRUCTURE_KEYS.iter().find(|(known, _)| known == service) else {
            if !QUEUE_KEYS.contains(&service.as_str()) {
                let known: Vec<&str> = INFRASTRUCTURE_KEYS.iter().map(|(known, _)| *known).chain(QUEUE_KEYS).collect();
                found.push((at, nobody_reads(&known)));
            }
            continue;
        };
        for (name, settings) in entries(Some(named)) {
            unread_of(Some(settings), &format!("{at}.{name}"), keys, &mut found);
        }
    }
    found
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn unread_of(value: Option<&Value>, at: &str, known: &[&str], found: &mut Vec<(String, String)>) {
    let unknown = entries(value).filter(|(key, _)| !known.contains(&key.as_str()));
    found.extend(unknown.map(|(key, _)| (format!("{at}.{key}"), nobody_reads(known))));
}

fn nobody_reads(known: &[&str]) -> String {
    format!("nobody reads this key; there are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(file: Value) -> Vec<String> {
        unread(&file).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn what_nobody_reads_is_named_with_its_place() {
        let file = json!({
            "id": "production",
            "data_sources": {"s3": {"logs": ["cloudtrail"]}},
            "classifier_config": {"memory": 512, "enable_custom_metrics": true},
            "modules": {"s3_events": {}},
            "infrastructure": {
                "concurrency": 5,
                "s3": {"logs": {"create": true, "prefix": "AWSLogs/"}},
                "kinisis": {"stream": {}},
            },
        });
        assert_eq!(
            paths(file.clone()),
            [
                "modules",
                "classifier_config.enable_custom_metrics",
                "infrastructure.s3.logs.prefix",
                "infrastructure.kinisis",
            ]
        );
        let told = unread(&file);
        assert!(told[0].1.contains("infra/README.md") && told[2].1.contains("prefixes"), "{told:?}");
    }

    #[test]
    fn whatever_infra_reads_is_known_here() {
        let read = include_str!("../../../../../infra/conf.tf");
        for (service, keys) in INFRASTRUCTURE_KEYS {
            for key in keys {
                // `eni_ids` and its sisters are put together there.
                let found = read.contains(&format!("].{key}")) || key.ends_with("_ids") && read.contains("_ids\"]");
                assert!(found, "infrastructure.{service}.….{key} is read by nobody");
            }
        }
        // And the other way round: `local.clusters[cluster].more.kinesis[stream].shards`.
        for piece in read.split("more.").skip(1) {
            let Some((service, rest)) = piece.split_once('[') else { continue };
            let Some((_, keys)) = INFRASTRUCTURE_KEYS.iter().find(|(known, _)| *known == service) else { continue };
            let Some((_, rest)) = rest.split_once("].") else { continue };
            let key: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(keys.contains(&key.as_str()), "infrastructure.{service}.….{key} is read and not known here");
        }
        assert_eq!(
            paths(
                serde_json::from_str(include_str!("../../../../../infra/tests/conf-full/clusters/production.json"))
                    .unwrap()
            ),
            [""; 0]
        );
    }
}
