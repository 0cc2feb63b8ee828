//! Write StreamAlert parsers in Rust. A parser is a function under [`macro@parser`]: bytes in, records out.
//!
//! ```
//! use streamalert_parser_sdk::prelude::*;
//!
//! /// One record a line: `time user action`.
//! #[parser(schemas = r#"{"door:access": {"parser": "json", "schema": {"time": "integer", "user": "string"}}}"#)]
//! fn door(payload: &[u8]) -> Result<Vec<Part>, String> {
//!     Ok(lines(payload).filter(|line| !line.text().trim().is_empty()).map(|line| {
//!         let text = line.text();
//!         let Some((time, user)) = text.trim().split_once(' ') else {
//!             return Part::error(line.place, "there is no user");
//!         };
//!         match time.parse::<i64>() {
//!             Ok(time) => Part::record(line.place, "door:access", Object::new().with("time", time).with("user", user)),
//!             Err(error) => Part::error(line.place, format!("the time is no number: {error}")),
//!         }
//!     }).collect())
//! }
//!
//! let parts = door(b"17 ada\nnonsense\n").unwrap();
//! assert_eq!(parts[0].json(), Some(r#"{"time":17,"user":"ada"}"#));
//! assert_eq!(parts[1], Part::error(7..15, "there is no user"));
//! ```
//!
//! Built for WebAssembly, a `cdylib` crate with one such function is a component that StreamAlert loads. Built for the
//! machine at hand it is an ordinary function, so that `cargo test` needs no WebAssembly.
//!
//! A crate of its own beside `streamalert-sdk`, since a component is either rules or a parser: what a crate links decides
//! what the component exports.

#[cfg(target_family = "wasm")]
mod guest;
mod json;
mod lines;
#[path = "../../rust/src/log.rs"]
pub mod log;
mod part;

pub use json::{Json, Object};
pub use lines::{Line, lines};
pub use part::Part;
pub use streamalert_sdk_macros::parser;

/// What a parser's file needs: `use streamalert_parser_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{Json, Line, Object, Part, lines, log, parser};
}

/// What the expansion of [`macro@parser`] names. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_family = "wasm")]
    pub use crate::guest::{Adapter, bindings, export};

    /// A parser, as the attribute wrote it down.
    pub trait Parser {
        const NAME: &'static str;
        const DESCRIPTION: &'static str;
        const SCHEMAS: &'static str;
        /// `false`: any number of whole lines.
        const WHOLE: bool;
        const SNIFFS: bool;
        fn sniff(head: &[u8]) -> bool;
        fn parse(payload: &[u8]) -> Result<Vec<crate::Part>, String>;
    }
}
