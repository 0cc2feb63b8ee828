//! Write StreamAlert outputs and publishers in Rust. An output hands alerts to one service; a publisher shapes an alert
//! before that.
//!
//! ```
//! use streamalert_output_sdk::prelude::*;
//!
//! struct Pager;
//!
//! impl Output for Pager {
//!     const SERVICE: &'static str = "pager";
//!     const DESCRIPTION: &'static str = "Rings whoever is on call";
//!     const SETTINGS: &'static [Setting] = &[
//!         Setting::secret("url", "Where to ring"),
//!         Setting::plain("title", "Put before each text").optional(),
//!     ];
//!     const HOSTS: &'static [&'static str] = &["{url}"];
//!
//!     fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
//!         let text = shorten(parcel.alert.title(), Max::Chars(100));
//!         let body = json!({"text": text, "once": parcel.idempotency_key});
//!         answer(http.send(Request::post(parcel.required("url")).json(&body)))
//!     }
//! }
//!
//! export_output!(Pager);
//!
//! let http = FakeHttp::new().answer(503, "busy").header("retry-after", "30").answer(200, "");
//! let parcel = Parcel::sample::<Pager>(json!({"title": "Root logged in"})).with("url", "https://pager.example/hook");
//! assert_eq!(Pager::deliver(&parcel, &http), retry("answered 503 Service Unavailable: busy").after(30));
//! assert_eq!(Pager::deliver(&parcel, &http), Disposition::Delivered(None));
//! assert_eq!(http.requests()[0].body_json()["text"], "Root logged in");
//! ```
//!
//! Built for WebAssembly, a `cdylib` crate with one [`export_output!`] or one [`export_publishers!`] is a component that
//! StreamAlert loads. Built for the machine at hand it is ordinary code, so that `cargo test` needs neither WebAssembly nor
//! the service.

mod alert;
#[cfg(any(target_family = "wasm", test))]
mod alloc;
mod disposition;
#[cfg(not(target_family = "wasm"))]
mod fake;
#[cfg(target_family = "wasm")]
mod guest;
mod http;
#[path = "../../rust/src/log.rs"]
pub mod log;
mod output;
mod parcel;
mod publisher;
pub mod sign;
pub mod text;
pub mod time;
mod url;

pub use alert::{Alert, Severity, Source};
pub use disposition::{Disposition, accepted, answer, retry};
#[cfg(not(target_family = "wasm"))]
pub use fake::FakeHttp;
pub use http::{Failure, FailureKind, Http, Request, Response};
pub use output::{Fault, Output, Setting, Settings, validate};
pub use parcel::Parcel;
pub use publisher::Target;
pub use serde_json;
pub use text::{Max, escape_html, flat_lines, flatten, plain, shorten, split};
pub use url::{Url, percent};

/// What the file of an output or of publishers needs: `use streamalert_output_sdk::prelude::*;`
pub mod prelude {
    #[cfg(not(target_family = "wasm"))]
    pub use crate::FakeHttp;
    pub use crate::{
        Alert, Disposition, Failure, FailureKind, Fault, Http, Max, Output, Parcel, Request, Response, Setting,
        Settings, Severity, Target, Url, accepted, answer, escape_html, export_output, export_publishers, flat_lines,
        flatten, log, percent, plain, retry, shorten, sign, split, time, validate,
    };
    pub use serde_json::{Map, Value, json};
}

/// What the expansions of the macros name. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::guest::{OutputAdapter, PublishersAdapter, bindings};
    pub use crate::publisher::{Publisher, Publishers};
    pub use serde_json::{Map, Value};
}

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
