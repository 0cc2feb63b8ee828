//! Write StreamAlert rules in Rust. A rule is a function under [`macro@rule`]; nothing else has to be registered.
//!
//! ```
//! use streamalert_sdk::prelude::*;
//!
//! /// Somebody logged in as root.
//! #[rule(
//!     logs = ["cloudtrail:events"],
//!     when(eventName = "ConsoleLogin", userIdentity.type = "Root"),
//!     outputs = ["slack:security"],
//! )]
//! fn root_login(record: &Record) -> bool {
//!     record.is("responseElements.ConsoleLogin", "Success")
//! }
//!
//! let record = Record::from_json(json!({"responseElements": {"ConsoleLogin": "Success"}}));
//! assert!(root_login(&record));
//! ```
//!
//! Built for WebAssembly, a `cdylib` crate of such functions is a component that StreamAlert loads. Built for the
//! machine at hand, the same functions are ordinary functions, so that `cargo test` needs no WebAssembly.

pub mod data;
mod finding;
#[cfg(target_family = "wasm")]
mod guest;
pub mod helpers;
pub mod log;
pub mod lookup;
mod record;
mod rule;

pub use finding::{Finding, Severity};
pub use record::{Field, Record};
pub use rule::Verdict;
pub use serde_json;
pub use streamalert_sdk_macros::rule;

/// What a file of rules needs: `use streamalert_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{Field, Finding, Record, Severity, helpers, log, lookup, rule};
    pub use serde_json::{Value, json};
}

/// What the expansion of [`macro@rule`] names. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::data::Entry;
    pub use crate::rule::{Condition, Literal, Rule, Test, Verdict, rules};
    pub use inventory;
}
