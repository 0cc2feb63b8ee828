//! What an app is, and what the operator says of each.

use crate::{Ask, Fault, Http, Page, Setting, Settings, Stop, Url};

/// A type of app: fetches one kind of logs of one service. [`export_apps!`](crate::export_apps) makes a component of some.
pub trait App {
    /// What `conf/apps.json` calls it as `type`; unique over all apps that are loaded together.
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    /// What the operator says of each app of this type.
    const SETTINGS: &'static [Setting];
    /// Hosts it calls: `api.example.com`, `*.example.com` for every host below, `{url}` for the host of the URL in the
    /// setting `url`, or for the host that it is. Any other is refused.
    const HOSTS: &'static [&'static str];
    /// Log types, as `conf/schemas` has them, that its logs are.
    const LOGS: &'static [&'static str];
    /// Requests a second that the service takes.
    const RATE: Option<f64> = None;

    /// What is wrong with these settings, beyond what [`validate`] finds: required ones are there, and those whose hosts are
    /// called are URLs.
    fn validate(settings: &Settings) -> Vec<Fault> {
        let _ = settings;
        Vec::new()
    }

    /// One page: some requests, and no waiting.
    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop>;
}

/// Everything that is wrong with these settings; what the host asks. First what every app needs, then, of one whose settings
/// are there, [`App::validate`].
pub fn validate<A: App + ?Sized>(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for setting in A::SETTINGS {
        match settings.get(setting.name) {
            None if setting.required => faults.push(Fault::new(setting.name, "is required")),
            None => {}
            Some(value) => {
                let is_host = A::HOSTS
                    .iter()
                    .any(|host| host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) == Some(setting.name));
                if is_host && let Err(reason) = Url::parse(&with_scheme(value)) {
                    faults.push(Fault::new(setting.name, reason));
                }
            }
        }
    }
    if faults.is_empty() { A::validate(settings) } else { faults }
}

/// A setting that is a URL or, without a scheme, the host of one.
pub(crate) fn with_scheme(value: &str) -> String {
    if value.contains("://") { value.to_owned() } else { format!("https://{value}") }
}

/// A type of app, without its Rust type.
pub struct Kind {
    pub name: &'static str,
    pub description: &'static str,
    pub settings: &'static [Setting],
    pub hosts: &'static [&'static str],
    pub logs: &'static [&'static str],
    pub rate: Option<f64>,
    pub validate: fn(&Settings) -> Vec<Fault>,
    pub poll: fn(&Ask, &dyn Http) -> Result<Page, Stop>,
}

impl Kind {
    pub const fn of<A: App>() -> Self {
        Kind {
            name: A::NAME,
            description: A::DESCRIPTION,
            settings: A::SETTINGS,
            hosts: A::HOSTS,
            logs: A::LOGS,
            rate: A::RATE,
            validate: validate::<A>,
            poll: A::poll,
        }
    }
}

/// The apps of a component.
pub trait Apps {
    const ALL: &'static [Kind];
}

/// Makes a component of types that are [`App`]s. Once in a crate. Outside WebAssembly it only checks the types.
#[macro_export]
macro_rules! export_apps {
    ($($app:ty),+ $(,)?) => {
        const _: () = {
            struct All;

            impl $crate::__private::Apps for All {
                const ALL: &'static [$crate::__private::Kind] = &[$($crate::__private::Kind::of::<$app>()),+];
            }

            #[cfg(target_family = "wasm")]
            type Adapted = $crate::__private::Adapter<All>;
            #[cfg(target_family = "wasm")]
            $crate::__private::bindings::export!(Adapted);

            #[cfg(not(target_family = "wasm"))]
            const _: &[$crate::__private::Kind] = <All as $crate::__private::Apps>::ALL;
        };
    };
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    struct Site;

    impl App for Site {
        const NAME: &'static str = "site";
        const DESCRIPTION: &'static str = "";
        const SETTINGS: &'static [Setting] = &[Setting::plain("url", ""), Setting::secret("token", "")];
        const HOSTS: &'static [&'static str] = &["{url}"];
        const LOGS: &'static [&'static str] = &["site:log"];

        fn validate(settings: &Settings) -> Vec<Fault> {
            let short = settings.get("token").is_some_and(|token| token.len() < 4);
            if short { vec![Fault::new("token", "is too short")] } else { vec![] }
        }

        fn poll(_: &Ask, _: &dyn Http) -> Result<Page, Stop> {
            Ok(page([]))
        }
    }

    #[test]
    fn what_every_app_needs_is_checked_before_the_authors_check() {
        let check = |settings: &[(&'static str, &str)], expected: &[(&str, &str)]| {
            let settings = settings.iter().fold(Settings::new(), |all, (name, value)| all.with(*name, *value));
            let faults = validate::<Site>(&settings);
            let faults: Vec<_> = faults.iter().map(|fault| (fault.setting.as_str(), fault.message.as_str())).collect();
            assert_eq!(faults, expected);
        };
        check(&[], &[("url", "is required"), ("token", "is required")]);
        check(
            &[("url", "ftp://acme.example"), ("token", "t")],
            &[("url", "is no URL: it begins with neither https:// nor http://")],
        );
        check(
            &[("url", "acme example"), ("token", "t")],
            &[("url", "is no URL: there is a blank or control character in it")],
        );
        check(&[("url", "acme.example"), ("token", "t0ken")], &[]);
        check(&[("url", "https://acme.example"), ("token", "t")], &[("token", "is too short")]);
        check(&[("url", "https://acme.example"), ("token", "t0ken")], &[]);
    }
}
