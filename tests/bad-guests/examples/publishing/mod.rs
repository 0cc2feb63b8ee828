//! The contract for publishers, as a module of the examples: see `parsing`.
#![allow(dead_code, unused_imports)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "publisher",
    pub_export_macro: true,
    export_macro_name: "export_publishers",
    default_bindings_module: "crate::publishing",
});

pub use self::exports::streamalert::plugin::publishing::{Guest, PublisherInfo};
pub use self::streamalert::plugin::log;

pub fn info(name: &str) -> PublisherInfo {
    PublisherInfo { name: name.into(), description: format!("Misbehaves: {name}") }
}
