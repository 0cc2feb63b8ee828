//! What an output is, and what the operator says of each of its descriptors.

use crate::{Disposition, Http, Parcel, Url};
use std::borrow::Cow;

/// An output: hands alerts to one service. [`export_output!`](crate::export_output) makes a component of it.
pub trait Output {
    /// The first half of `service:descriptor`; unique over all outputs that are loaded together.
    const SERVICE: &'static str;
    const DESCRIPTION: &'static str;
    /// What the operator says of each descriptor.
    const SETTINGS: &'static [Setting];
    /// Hosts it calls: `api.example.com`, `*.example.com` for every host below, `{url}` for the host of the URL in the
    /// setting `url`. Any other is refused.
    const HOSTS: &'static [&'static str];
    /// Deliveries a second that the service takes.
    const RATE: Option<f64> = None;
    /// The service takes a parcel once, however often it is sent.
    const IDEMPOTENT: bool = false;

    /// What is wrong with these settings, beyond what [`validate`] finds: required ones are there, and those whose hosts are
    /// called are URLs.
    fn validate(settings: &Settings) -> Vec<Fault> {
        let _ = settings;
        Vec::new()
    }

    /// One attempt. Alerts hold text from attackers: escape it for where it goes.
    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition;
}

/// A setting of each descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub description: &'static str,
    pub secret: bool,
    pub required: bool,
}

impl Setting {
    /// Lies in the secret store: webhook URLs, tokens, passwords. Required, unless [`optional`](Setting::optional).
    pub const fn secret(name: &'static str, description: &'static str) -> Self {
        Setting { name, description, secret: true, required: true }
    }

    /// Lies in the configuration, for all to read. Required, unless [`optional`](Setting::optional).
    pub const fn plain(name: &'static str, description: &'static str) -> Self {
        Setting { name, description, secret: false, required: true }
    }

    pub const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// Settings with their values, secret ones among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(Vec<(Cow<'static, str>, String)>);

/// Names only: a secret does not get into a log by `{:?}`.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Settings {
    pub fn new() -> Self {
        Self::default()
    }

    /// In a chain, for tests; the same name again replaces the value.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.put(name, value);
        self
    }

    pub fn put(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value without blanks around it; one that is blank counts as not given.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        let value = value.trim();
        (!value.is_empty()).then_some(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }
}

/// What is wrong with a setting. Must not repeat the value of a secret one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Empty if it is about several.
    pub setting: String,
    pub message: String,
}

impl Fault {
    pub fn new(setting: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { setting: setting.into(), message: message.into() }
    }
}

/// Everything that is wrong with these settings; what the host asks. First what every output needs, then, of an output whose
/// settings are there, [`Output::validate`].
pub fn validate<O: Output + ?Sized>(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for setting in O::SETTINGS {
        match settings.get(setting.name) {
            None if setting.required => faults.push(Fault::new(setting.name, "is required")),
            None => {}
            Some(value) => {
                let is_host = O::HOSTS
                    .iter()
                    .any(|host| host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(setting.name));
                if is_host && let Err(reason) = Url::parse(value) {
                    faults.push(Fault::new(setting.name, reason));
                }
            }
        }
    }
    if faults.is_empty() {
        faults = O::validate(settings);
    }
    faults
}

/// Makes a component of a type that is an [`Output`]. Once in a crate, which then has no
/// [`export_publishers!`](crate::export_publishers). Outside WebAssembly it only checks the type.
#[macro_export]
macro_rules! export_output {
    ($output:ty) => {
        const _: () = {
            #[cfg(target_family = "wasm")]
            type Adapted = $crate::__private::OutputAdapter<$output>;
            #[cfg(target_family = "wasm")]
            $crate::__private::bindings::output::export!(Adapted);

            #[cfg(not(target_family = "wasm"))]
            const _: fn(&$crate::Parcel, &dyn $crate::Http) -> $crate::Disposition =
                <$output as $crate::Output>::deliver;
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hook;

    impl Output for Hook {
        const SERVICE: &'static str = "hook";
        const DESCRIPTION: &'static str = "";
        const SETTINGS: &'static [Setting] =
            &[Setting::secret("url", ""), Setting::plain("channel", ""), Setting::plain("proxy", "").optional()];
        const HOSTS: &'static [&'static str] = &["{url}", "{proxy}", "api.example.com"];

        fn validate(settings: &Settings) -> Vec<Fault> {
            match settings.get("channel") {
                Some(channel) if channel.starts_with('#') => vec![],
                _ => vec![Fault::new("channel", "begins with #")],
            }
        }

        fn deliver(_: &Parcel, _: &dyn Http) -> Disposition {
            Disposition::Delivered(None)
        }
    }

    #[track_caller]
    fn check(settings: &[(&'static str, &str)], expected: &[(&str, &str)]) {
        let settings = settings.iter().fold(Settings::new(), |all, (name, value)| all.with(*name, *value));
        let faults = validate::<Hook>(&settings);
        let faults: Vec<_> = faults.iter().map(|fault| (fault.setting.as_str(), fault.message.as_str())).collect();
        assert_eq!(faults, expected);
    }

    #[test]
    fn what_every_output_needs_is_checked_before_the_authors_check() {
        check(&[], &[("url", "is required"), ("channel", "is required")]);
        check(&[("url", " "), ("channel", "#a")], &[("url", "is required")]);
        check(
            &[("url", "hooks.example.com/T0"), ("channel", "a")],
            &[("url", "is no URL: it begins with neither https:// nor http://")],
        );
        check(
            &[("url", "https://h.example"), ("channel", "#a"), ("proxy", "ftp://a")],
            &[("proxy", "is no URL: it begins with neither https:// nor http://")],
        );
        check(&[("url", "https://h.example"), ("channel", "a")], &[("channel", "begins with #")]);
        check(&[("url", " https://h.example/x\n"), ("channel", "#a")], &[]);
    }

    #[test]
    fn settings_do_not_show_their_values() {
        let settings = Settings::new().with("token", "hunter2");
        assert_eq!(format!("{settings:?}"), r#"{"token"}"#);
    }
}
