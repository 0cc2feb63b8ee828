//! The component's side of the contract. The macro exports `polling` from the author's own crate, by an adapter around the apps
//! there: a second one would export the same names, which the compiler refuses.

pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "app",
        pub_export_macro: true,
        export_macro_name: "export_app_world",
        default_bindings_module: "::streamalert_app_sdk::__private::bindings",
    });
    pub use export_app_world as export;
}

use crate::app::{Apps, Kind};
use crate::{Ask, Failure, FailureKind, Http, Request, Response, Settings, Stop};
use bindings::exports::streamalert::plugin::polling as wit;
use bindings::streamalert::plugin::{http, secrets};
use std::marker::PhantomData;
use std::sync::Once;

/// Gives apps the contract's types.
pub struct Adapter<A>(PhantomData<A>);

impl<A: Apps + 'static> wit::Guest for Adapter<A> {
    fn describe() -> Vec<wit::AppInfo> {
        report_panics();
        A::ALL.iter().map(info).collect()
    }

    fn validate(kind: u32, given: Vec<wit::Given>) -> Vec<wit::Fault> {
        report_panics();
        let faults = (A::ALL[kind as usize].validate)(&settings(given));
        faults.into_iter().map(|fault| wit::Fault { setting: fault.setting, message: fault.message }).collect()
    }

    fn poll(kind: u32, ask: wit::Ask) -> wit::Answer {
        report_panics();
        let kind = &A::ALL[kind as usize];
        let mut settings = settings(ask.settings);
        for setting in kind.settings.iter().filter(|setting| setting.secret) {
            if let Some(value) = secrets::get(setting.name) {
                settings.put(setting.name, value);
            }
        }
        let ask = Ask {
            app: ask.app,
            now: ask.now as i64,
            since: ask.since as i64,
            attempt: ask.attempt,
            cursor: ask.cursor,
            settings,
        };
        match (kind.poll)(&ask, &Host) {
            Ok(page) => {
                wit::Answer::Page(wit::Page { logs: page.logs, cursor: page.cursor, more: page.more, wait: page.wait })
            }
            Err(Stop::Retry { reason, after }) => wit::Answer::Retry(wit::Again { reason, after }),
            Err(Stop::Reject(reason)) => wit::Answer::Reject(reason),
        }
    }
}

fn info(kind: &Kind) -> wit::AppInfo {
    let setting = |setting: &crate::Setting| wit::Setting {
        name: setting.name.to_owned(),
        description: setting.description.to_owned(),
        secret: setting.secret,
        required: setting.required,
    };
    let mut options = serde_json::json!({"logs": kind.logs});
    if let Some(rate) = kind.rate {
        options["rate"] = rate.into();
    }
    wit::AppInfo {
        name: kind.name.to_owned(),
        description: kind.description.to_owned(),
        settings: kind.settings.iter().map(setting).collect(),
        hosts: kind.hosts.iter().map(|&host| host.to_owned()).collect(),
        options: options.to_string(),
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

/// A panic ends in a trap that carries no text; this puts the text into the log first.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| crate::log::error(info.to_string()))));
}
