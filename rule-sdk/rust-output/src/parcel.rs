//! One alert for one descriptor.

#[cfg(not(target_family = "wasm"))]
use crate::Output;
use crate::{Alert, Settings};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What an attempt is about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Parcel {
    /// The second half of `service:descriptor`.
    pub descriptor: String,
    /// The same for each attempt, and like no other: hand it to the service wherever that has a place for one.
    pub idempotency_key: String,
    /// 1 at first.
    pub attempt: u32,
    /// Seconds since 1970; a guest has no clock.
    pub now: u64,
    pub alert: Alert,
    /// The alert as the publishers left it.
    pub publication: Map<String, Value>,
    /// What the last attempt left by [`Disposition::progress`](crate::Disposition::progress).
    pub progress: Option<String>,
    pub(crate) service: Cow<'static, str>,
    pub(crate) settings: Settings,
}

impl Parcel {
    /// A setting, be it secret or not. Blank counts as not given.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)
    }

    /// A setting that was required, so that it is there; empty if it is not.
    pub fn required(&self, name: &str) -> &str {
        self.setting(name).unwrap_or_default()
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// `service:descriptor`.
    pub fn output(&self) -> String {
        format!("{}:{}", self.service, self.descriptor)
    }

    /// What a publisher says to this output: the publication's `@service.field`.
    pub fn magic(&self, field: &str) -> Option<&Value> {
        self.magic_of(&self.service, field)
    }

    /// The same where it is a text that says something.
    pub fn magic_text(&self, field: &str) -> Option<&str> {
        self.magic(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// What a publisher says to another output. For outputs that take over from one of another name.
    pub fn magic_of(&self, service: &str, field: &str) -> Option<&Value> {
        self.publication.get(&format!("@{service}.{field}")).filter(|value| !value.is_null())
    }

    /// The publication without what is said to outputs: all that people should see.
    pub fn shown(&self) -> Map<String, Value> {
        let shown = self.publication.iter().filter(|(key, _)| !key.starts_with('@'));
        shown.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// For tests: the first attempt to deliver this alert, published as it is. Of a sample alert, if `alert` leaves out a
    /// part. What else is in it can be set: all fields are public.
    #[cfg(not(target_family = "wasm"))]
    pub fn sample<O: Output>(alert: Value) -> Self {
        let mut fields = sample_alert();
        fields.extend(Alert::from(alert).into_fields());
        Parcel {
            descriptor: "sample".into(),
            idempotency_key: "0123456789abcdef0123456789abcdef".into(),
            attempt: 1,
            now: 1_767_323_100,
            publication: fields.clone(),
            alert: fields.into(),
            progress: None,
            service: O::SERVICE.into(),
            settings: Settings::new(),
        }
    }

    /// For tests: with a setting.
    pub fn with(mut self, setting: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.settings.put(setting, value);
        self
    }

    /// For tests: with an entry of the publication.
    pub fn publish(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.publication.insert(key.into(), value.into());
        self
    }
}

/// The alert as JSON that tests begin with; all of its fields are there.
#[cfg(not(target_family = "wasm"))]
fn sample_alert() -> Map<String, Value> {
    Alert::from(serde_json::json!({
        "id": "3f9c1e0b7a5d4826",
        "rule_name": "root_login",
        "title": "Root logged in without MFA",
        "severity": "high",
        "rule_description": "Somebody logged in as root.",
        "created": "2026-01-02T03:04:05Z",
        "event_time": "2026-01-02T03:03:59Z",
        "cluster": "prod",
        "log_source": "cloudtrail:events",
        "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
        "position": {"offset": 0, "length": 120, "index": 0},
        "outputs": ["sample:sample"],
        "publishers": null,
        "merge": null,
        "dedup_key": null,
        "tags": ["aws"],
        "references": ["https://example.com/runbooks/root"],
        "context": {"account": "123456789012"},
        "record": {"eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"}},
        "staged": false,
        "component_digest": "",
        "host_version": "0.1.0",
        "fuel": 0,
    }))
    .into_fields()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    struct Chat;

    impl Output for Chat {
        const SERVICE: &'static str = "chat";
        const DESCRIPTION: &'static str = "";
        const SETTINGS: &'static [Setting] = &[];
        const HOSTS: &'static [&'static str] = &[];

        fn deliver(_: &Parcel, _: &dyn Http) -> Disposition {
            Disposition::Delivered(None)
        }
    }

    #[test]
    fn publishers_speak_to_outputs_in_keys_nobody_is_shown() {
        let parcel = Parcel::sample::<Chat>(json!({}))
            .publish("@chat.text", "Look!")
            .publish("@chat.none", Value::Null)
            .publish("@slack.text", "Look, Slack!")
            .with("channel", " #a ");
        assert_eq!(
            (parcel.magic_text("text"), parcel.magic("none"), parcel.magic("other")),
            (Some("Look!"), None, None)
        );
        assert_eq!(parcel.magic_of("slack", "text"), Some(&json!("Look, Slack!")));
        assert!(parcel.shown().keys().all(|key| !key.starts_with('@')) && parcel.shown().contains_key("title"));
        assert_eq!((parcel.setting("channel"), parcel.required("other")), (Some("#a"), ""));
        assert_eq!(parcel.output(), "chat:sample");
    }
}
