//! `aws-securityhub`: the alert as a finding in AWS's format (ASFF). Sent again, it is the same finding.

use super::{
    Answers, CallError, Desk, Entry, Letter, REGION, Service, Settings, in_calls, info, is_account, optional, required,
};
use crate::limits::{
    FINDING_BYTES_MAX, FINDING_DESCRIPTION_MAX, FINDING_FIELD_NAME_MAX, FINDING_FIELD_VALUE_MAX, FINDING_FIELDS_MAX,
    FINDING_ID_MAX, FINDING_TITLE_MAX, FINDINGS_BATCH_MAX, FINDINGS_BYTES_MAX,
};
use crate::signed::{self, partition};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use streamalert_pipeline::batches::BatchLimits;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};
use streamalert_pipeline::time;

const SERVICE: signed::Service =
    signed::Service { name: "SecurityHub", endpoint: "securityhub", signed_as: "securityhub" };
const IMPORT: signed::Operation = signed::Operation::Path("/findings/import", "BatchImportFindings");
/// Of the format.
const SCHEMA: &str = "2018-10-08";
/// Of the finding, if the operator says nothing; one of the format's.
const TYPE: &str = "TTPs";
const TYPES: [&str; 5] =
    ["Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications"];
const LIMITS: BatchLimits = BatchLimits {
    items: FINDINGS_BATCH_MAX,
    item_bytes: FINDING_BYTES_MAX,
    bytes: FINDINGS_BYTES_MAX,
    around: 16,
    between: 1,
};

pub(super) struct SecurityHub;

impl Service for SecurityHub {
    const BULK: bool = true;

    fn info() -> OutputInfo {
        let asked = [
            required("account_id", "account that the findings are of, 12 digits"),
            optional("type", "type of the findings, NAMESPACE/CATEGORY/CLASSIFIER; TTPs if nothing is said"),
            REGION,
        ];
        let options = OutputOptions { rate: None, idempotent: true };
        info("aws-securityhub", "imports alerts into Security Hub as findings", &asked, options)
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        settings.expect("account_id", faults, is_account, "12 digits");
        let fits = |kind: &str| {
            let mut parts = kind.split('/');
            parts.next().is_some_and(|space| TYPES.contains(&space)) && parts.count() <= 2
        };
        settings.expect("type", faults, fits, "one of Security Hub's types, as in TTPs/Initial Access");
        settings.expect_region(faults);
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        let region = settings.get(REGION.name);
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            let finding = finding(letter, settings, region.unwrap_or(desk.aws.region()));
            entries.push(Entry { place: letter.place, bytes: finding.to_string().len(), item: finding });
        }
        in_calls(&LIMITS, entries, answers, async |findings: Vec<Value>| {
            let ids: Vec<Option<String>> = findings.iter().map(|f| f["Id"].as_str().map(str::to_owned)).collect();
            let answer = desk.aws.signed.call(&SERVICE, IMPORT, region, &json!({"Findings": findings})).await?;
            let failed: HashMap<&str, &Value> = answer["FailedFindings"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|failed| Some((failed["Id"].as_str()?, failed)))
                .collect();
            let each = ids.iter().map(|id| match id.as_deref().and_then(|id| failed.get(id)) {
                None => Ok(id.clone()),
                Some(failed) => {
                    let text = |key: &str| failed[key].as_str().unwrap_or_default();
                    let code = text("ErrorCode");
                    let passes = code.starts_with("Internal") || code.contains("Throttl") || code == "LimitExceeded";
                    Err(CallError::new(code, Some(if passes { 500 } else { 400 }), text("ErrorMessage")))
                }
            });
            Ok(each.collect())
        })
        .await;
    }
}

fn finding(letter: &Letter<'_>, settings: &Settings<'_>, region: &str) -> Value {
    let alert = &letter.alert;
    let account = settings.required("account_id");
    let text = |key: &str, default: &str, most: usize| cut(letter.text(key).unwrap_or(default), most);
    let severity = letter.text("severity").unwrap_or(alert.severity.name());
    let label = match severity {
        "critical" => "CRITICAL",
        "high" => "HIGH",
        "medium" => "MEDIUM",
        "low" => "LOW",
        _ => "INFORMATIONAL",
    };
    let source = [
        letter.text("source_service").unwrap_or("unknown"),
        letter.text("source_entity").unwrap_or_default(),
        letter.text("source_object").unwrap_or_default(),
    ];
    let mut finding = json!({
        "SchemaVersion": SCHEMA,
        "Id": cut(&alert.id, FINDING_ID_MAX),
        "ProductArn": format!("arn:{}:securityhub:{region}:{account}:product/{account}/default", partition(region)),
        "GeneratorId": cut(&format!("streamalert/{}", alert.rule_name), FINDING_ID_MAX),
        "AwsAccountId": account,
        "Types": [settings.get("type").unwrap_or(TYPE)],
        "CreatedAt": alert.created,
        "UpdatedAt": time::rfc3339(i64::try_from(letter.parcel.now).unwrap_or_default().saturating_mul(1000)),
        "Severity": {"Label": label, "Original": cut(severity, 64)},
        "Title": text("title", &alert.rule_name, FINDING_TITLE_MAX),
        "Description": text("rule_description", &alert.rule_name, FINDING_DESCRIPTION_MAX),
        "Resources": [{
            "Type": "Other",
            "Id": cut(source.join(":").trim_end_matches(':'), FINDING_ID_MAX),
            "Region": region,
        }],
        "ProductFields": fields(letter),
        "RecordState": "ACTIVE",
    });
    // Only of a time that it can be read as: logs write what they like.
    if let Some(first) = letter.text("event_time").and_then(time::parse) {
        finding["FirstObservedAt"] = time::rfc3339(first).into();
    }
    if let Some(url) = letter.publication.get("references").and_then(|all| all[0].as_str())
        && url.starts_with("https://")
    {
        finding["SourceUrl"] = cut(url, FINDING_FIELD_VALUE_MAX).into();
    }
    finding
}

/// What has no place of its own: about the log, the context, and the first fields of the record.
fn fields(letter: &Letter<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut add = |name: String, value: &Value| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if fields.len() < FINDING_FIELDS_MAX && !value.is_empty() && value != "null" {
            fields.insert(cut(&name, FINDING_FIELD_NAME_MAX), cut(&value, FINDING_FIELD_VALUE_MAX).into());
        }
    };
    for key in ["cluster", "log_source", "dedup_key"] {
        if let Some(value) = letter.publication.get(key) {
            add(format!("streamalert/{key}"), value);
        }
    }
    for (part, prefix) in [("context", "context/"), ("record", "record/")] {
        if let Some(Value::Object(values)) = letter.publication.get(part) {
            values.iter().for_each(|(key, value)| add(format!("{prefix}{key}"), value));
        }
    }
    fields
}

/// At most so many characters, the last of them an ellipsis if it was more; never empty, which the format refuses.
fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "-".into();
    }
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
