//! The component's side of the contract. The macros export `delivery` or `publishing` from the author's own crate, by an
//! adapter around the one output or the publishers there: a second one would export the same names, which the compiler
//! refuses.

pub mod bindings {
    pub mod output {
        wit_bindgen::generate!({
            path: "../../wit",
            world: "output",
            pub_export_macro: true,
            export_macro_name: "export_output_world",
            default_bindings_module: "::streamalert_output_sdk::__private::bindings::output",
        });
        pub use export_output_world as export;
    }

    pub mod publisher {
        wit_bindgen::generate!({
            path: "../../wit",
            world: "publisher",
            pub_export_macro: true,
            export_macro_name: "export_publisher_world",
            default_bindings_module: "::streamalert_output_sdk::__private::bindings::publisher",
        });
        pub use export_publisher_world as export;
    }
}

use crate::__private::Publishers;
use crate::alert::object;
use crate::{Alert, Disposition, Failure, FailureKind, Http, Output, Parcel, Request, Response, Settings, Target};
use bindings::output::exports::streamalert::plugin::delivery as wit;
pub use bindings::output::streamalert::plugin as host;
use bindings::output::streamalert::plugin::{http, secrets};
use bindings::publisher::exports::streamalert::plugin::publishing;
use std::marker::PhantomData;
use std::sync::Once;

/// Gives an output the contract's types.
pub struct OutputAdapter<O>(PhantomData<O>);

impl<O: Output + 'static> wit::Guest for OutputAdapter<O> {
    fn describe() -> wit::OutputInfo {
        report_panics();
        let setting = |setting: &crate::Setting| wit::Setting {
            name: setting.name.to_owned(),
            description: setting.description.to_owned(),
            secret: setting.secret,
            required: setting.required,
        };
        let mut options = serde_json::json!({"idempotent": O::IDEMPOTENT});
        if let Some(rate) = O::RATE {
            options["rate"] = rate.into();
        }
        wit::OutputInfo {
            service: O::SERVICE.to_owned(),
            description: O::DESCRIPTION.to_owned(),
            settings: O::SETTINGS.iter().map(setting).collect(),
            hosts: O::HOSTS.iter().map(|&host| host.to_owned()).collect(),
            options: options.to_string(),
        }
    }

    fn validate(given: Vec<wit::Given>) -> Vec<wit::Fault> {
        report_panics();
        let faults = crate::validate::<O>(&settings(given));
        faults.into_iter().map(|fault| wit::Fault { setting: fault.setting, message: fault.message }).collect()
    }

    fn deliver(parcel: wit::Parcel) -> wit::Disposition {
        report_panics();
        let mut settings = settings(parcel.settings);
        for setting in O::SETTINGS.iter().filter(|setting| setting.secret) {
            if let Some(value) = secrets::get(setting.name) {
                settings.put(setting.name, value);
            }
        }
        let parcel = Parcel {
            descriptor: parcel.descriptor,
            idempotency_key: parcel.idempotency_key,
            attempt: parcel.attempt,
            now: parcel.now,
            alert: Alert::trusted(parcel.alert),
            publication: object(&parcel.publication).expect("the host gives publications as JSON objects"),
            progress: parcel.progress,
            service: O::SERVICE.into(),
            settings,
        };
        let disposition = O::deliver(&parcel, &Host);
        // The host throws the instance away: to take a parcel's values apart once more is for nothing.
        std::mem::forget(parcel);
        match disposition {
            Disposition::Delivered(place) => wit::Disposition::Delivered(place),
            Disposition::Retry { reason, after, progress } => {
                wit::Disposition::Retry(wit::Again { reason, after, progress })
            }
            Disposition::Reject(reason) => wit::Disposition::Reject(reason),
        }
    }
}

fn settings(given: Vec<wit::Given>) -> Settings {
    given.into_iter().fold(Settings::new(), |all, given| all.with(given.name, given.value))
}

/// Requests go through the host.
struct Host;

impl Http for Host {
    fn send(&self, request: Request) -> Result<Response, Failure> {
        let header = |(name, value)| http::Header { name, value };
        let request = http::Request {
            method: request.method.to_owned(),
            url: request.url,
            headers: request.headers.into_iter().map(header).collect(),
            body: request.body,
        };
        match http::send(&request) {
            Ok(response) => Ok(Response {
                status: response.status,
                headers: response.headers.into_iter().map(|header| (header.name, header.value)).collect(),
                body: response.body,
                truncated: response.truncated,
            }),
            Err(failure) => Err(Failure {
                kind: match failure.kind {
                    http::FailureKind::Forbidden => FailureKind::Forbidden,
                    http::FailureKind::Unreachable => FailureKind::Unreachable,
                    http::FailureKind::Tls => FailureKind::Tls,
                    http::FailureKind::Timeout => FailureKind::Timeout,
                    http::FailureKind::Broken => FailureKind::Broken,
                },
                message: failure.message,
                sent: failure.sent,
            }),
        }
    }
}

/// Gives publishers the contract's types.
pub struct PublishersAdapter<P>(PhantomData<P>);

impl<P: Publishers + 'static> publishing::Guest for PublishersAdapter<P> {
    fn describe() -> Vec<publishing::PublisherInfo> {
        report_panics();
        let info = |publisher: &crate::__private::Publisher| publishing::PublisherInfo {
            name: publisher.name.to_owned(),
            description: publisher.description.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n"),
        };
        P::ALL.iter().map(info).collect()
    }

    fn publish(publisher: u32, alert: String, publication: String, output: String) -> Result<String, String> {
        report_panics();
        let publisher = P::ALL[publisher as usize];
        let alert = Alert::trusted(alert);
        let publication = object(&publication).expect("the host gives publications as JSON objects");
        let published = (publisher.publish)(&alert, publication, &Target::new(&output))?;
        Ok(serde_json::to_string(&published).expect("a map of values is JSON"))
    }
}

/// A panic ends in a trap that carries no text; this puts the text into the log first.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| crate::log::error(info.to_string()))));
}
