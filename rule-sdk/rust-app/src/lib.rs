//! Write StreamAlert apps in Rust. An app fetches the logs of a service that does not send them by itself, page by page.
//!
//! ```
//! use streamalert_app_sdk::prelude::*;
//!
//! struct Audit;
//!
//! impl App for Audit {
//!     const NAME: &'static str = "acme_audit";
//!     const DESCRIPTION: &'static str = "Who did what in Acme";
//!     const SETTINGS: &'static [Setting] =
//!         &[Setting::plain("url", "Of your site: https://acme.example"), Setting::secret("token", "An API token that may read")];
//!     const HOSTS: &'static [&'static str] = &["{url}"];
//!     const LOGS: &'static [&'static str] = &["acme:audit"];
//!
//!     fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
//!         let mut round = Round::resume(ask, Overlap::minutes(5))?;
//!         let mut request = Request::get(format!("{}/v1/events", ask.base("url")))
//!             .bearer(ask.required("token"))
//!             .query("since", &time::rfc3339(round.from()))
//!             .query("until", &time::rfc3339(round.until()));
//!         if let Some(token) = round.token() {
//!             request = request.query("page", token);
//!         }
//!         let answer = fetched(http.send(request))?;
//!         round.heard(&answer);
//!         let logs = logs_in(&answer, &["events"])?;
//!         let logs = round.fresh(logs, |log| log.text("id"));
//!         Ok(round.next(logs, answer_text(&answer, &["next"])?))
//!     }
//! }
//!
//! export_apps!(Audit);
//!
//! let http = FakeHttp::new()
//!     .json(200, json!({"events": [{"id": "1", "action": "login"}], "next": "p2"}))
//!     .answer(429, "")
//!     .header("retry-after", "30")
//!     .json(200, json!({"events": [{"id": "1", "action": "login"}, {"id": "2", "action": "logout"}]}));
//! let mut poller = Poller::<Audit>::new().with("url", "https://acme.example").with("token", "t0ken");
//! assert_eq!(poller.poll(&http).unwrap(), [r#"{"id":"1","action":"login"}"#]);
//! assert_eq!(poller.poll(&http), Err(retry("answered 429 Too Many Requests").after(30)));
//! assert_eq!(poller.poll(&http).unwrap(), [r#"{"id":"2","action":"logout"}"#], "the other was seen before");
//! assert!(!poller.more());
//! ```
//!
//! Built for WebAssembly, a `cdylib` crate with one [`export_apps!`] is a component that StreamAlert loads. Built for the machine
//! at hand it is ordinary code, so that `cargo test` needs neither WebAssembly nor the service.

mod app;
mod ask;
#[cfg(target_family = "wasm")]
mod guest;
#[cfg(feature = "jwt")]
pub mod jwt;
mod link;
mod logs;
mod page;
#[cfg(not(target_family = "wasm"))]
mod poller;
mod round;
pub mod sign;
pub mod time;

pub use app::{App, validate};
pub use ask::Ask;
pub use link::{link, query_of};
pub use logs::{CsvPart, Log, OpenQuote, answer_json, answer_text, csv_logs, csv_part, logs_in};
pub use page::{Page, Stop, fetched, page, reject, retry};
#[cfg(not(target_family = "wasm"))]
pub use poller::Poller;
pub use round::{Overlap, Round, Seen};
pub use serde_json;
#[cfg(not(target_family = "wasm"))]
pub use streamalert_output_sdk::FakeHttp;
pub use streamalert_output_sdk::{
    Failure, FailureKind, Fault, Http, Max, Request, Response, Setting, Settings, Url, log, percent, plain, shorten,
};

/// What the file of an app needs: `use streamalert_app_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{
        App, Ask, Failure, FailureKind, Fault, Http, Log, OpenQuote, Overlap, Page, Request, Response, Round, Seen,
        Setting, Settings, Stop, Url, answer_json, answer_text, csv_logs, csv_part, export_apps, fetched, link, log,
        logs_in, page, percent, query_of, reject, retry, sign, time, validate,
    };
    #[cfg(not(target_family = "wasm"))]
    pub use crate::{FakeHttp, Poller};
    pub use serde_json::{self, Map, Value, json};
}

/// What the expansions of the macros name. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::app::{Apps, Kind};
    #[cfg(target_family = "wasm")]
    pub use crate::guest::{Adapter, bindings};
}

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
