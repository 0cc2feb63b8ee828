//! A link to the event in the AWS console.

use streamalert_output_sdk::prelude::*;

/// Puts `cloudtrail_link` into the publication. Alerts on other logs stay as they are.
pub fn cloudtrail_link(
    alert: &Alert,
    mut publication: Map<String, Value>,
    _: &Target,
) -> Result<Map<String, Value>, String> {
    let text = |key: &str| alert.record().get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if alert.log_source().starts_with("cloudtrail:")
        && let (Some(region), Some(event)) = (text("awsRegion"), text("eventID"))
        && is_region(region)
    {
        let link = format!(
            "https://{region}.console.aws.amazon.com/cloudtrailv2/home?region={region}#/events/{}",
            percent(event)
        );
        publication.insert("cloudtrail_link".into(), link.into());
    }
    Ok(publication)
}

/// The record holds what somebody sent: a link must not lead elsewhere.
fn is_region(text: &str) -> bool {
    text.len() < 32
        && text.split('-').count() >= 3
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log_source: &str, record: Value, expected: Option<&str>) {
        let alert = Alert::from(json!({"log_source": log_source, "record": record}));
        let published = cloudtrail_link(&alert, Map::new(), &Target::new("slack:sec")).unwrap();
        assert_eq!(published.get("cloudtrail_link").and_then(Value::as_str), expected);
    }

    #[test]
    fn events_of_cloudtrail_have_a_page_in_the_console() {
        let link = "https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/0a1b-2c";
        check("cloudtrail:events", json!({"awsRegion": "eu-west-1", "eventID": "0a1b-2c"}), Some(link));
        check("cloudtrail:events", json!({"awsRegion": "eu-west-1"}), None);
        check("cloudtrail:events", json!({"awsRegion": "evil.example/x-y-z?", "eventID": "1"}), None);
        check("okta:events", json!({"awsRegion": "eu-west-1", "eventID": "1"}), None);
    }
}
