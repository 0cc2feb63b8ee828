//! `.wasm` in; rules, parsers, publishers, outputs and apps out: the only crate that knows wasmtime.
//!
//! | file | its question |
//! |---|---|
//! | [`component`] | how do bytes become a live component, and when are they refused |
//! | [`sandbox`] | what is one instance, and what may one call of it cost |
//! | [`session`] | how is a rule asked about rows without harm to anyone else |
//! | [`parser`] | how is a parser given bytes, and does its answer mean anything |
//! | [`publisher`] | how is an alert given to a publisher |
//! | [`output`] | how is a parcel given to an output, and what came of it |
//! | [`app`] | how is an app asked for a page, and does it mean anything |
//! | [`loader`] | how does a folder become the set that is live |
//! | [`inspect`] | what is in this file |
//! | `engine`, [`limits`] | what may a guest cost |
//! | `host`, `errand`, `wasi` | what may a guest call |
//! | `secrets` | what may it not say |
//! | `wire`, `describe` | what did it say, and does that mean anything |
//! | `fault` | whose fault was it |
//! | [`precompiled`] | how is code made for Lambda's processors, and why may we trust it |
//! | [`lazy`] | how is a component live before its code is there |
//! | [`cache`] | where does compiled code live, and why may we trust it |
//! | [`lookup`] | how rules ask the operator's tables |
//! | [`measure`] | what does the sandbox itself cost |
//!
//! ```no_run
//! use streamalert_plugins::{Host, HostConfig, LoadCheck};
//! let host = Host::new(HostConfig::default())?;
//! let component = host.load("cloudtrail.wasm", &std::fs::read("cloudtrail.wasm")?, &LoadCheck::any_log())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod app;
pub mod cache;
pub mod component;
mod contract;
mod describe;
mod engine;
mod errand;
mod fault;
mod host;
pub mod inspect;
pub mod lazy;
pub mod limits;
pub mod loader;
pub mod lookup;
pub mod measure;
pub mod output;
pub mod parser;
pub mod precompiled;
pub mod publisher;
pub mod sandbox;
mod secrets;
pub mod session;
mod wasi;
mod wire;

pub use app::{AppComponent, ObservedPoll};
pub use cache::CacheCounts;
pub use component::{Host, HostConfig, HostError, LoadCheck, LoadError, Plugin, Problem, RuleComponent};
pub use inspect::{Inspection, Kind, LogTypeInspection, ParserInspection, inspect};
pub use limits::PluginLimits;
pub use loader::{LoadReport, PluginFolder};
pub use lookup::{Looked, LookupFailure, LookupSnapshot, LookupTables, MemoryTables};
pub use output::{ObservedDelivery, OutputComponent};
pub use parser::{Observed, ParserComponent};
pub use precompiled::{CodeKey, Compiled, CompiledError, Compiler, SealError, Target};
pub use publisher::PublisherComponent;
pub use session::{Explained, LogLine};

/// Of wasmtime, as it stands in the cache's keys and in `streamalert --version`.
pub const WASMTIME_VERSION: &str = "48.0.8";
