//! The contract for parsers. A module of the examples and not of the library: what an example links decides what its component
//! exports.
#![allow(dead_code, unused_imports)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "parser",
    pub_export_macro: true,
    export_macro_name: "export_parser",
    default_bindings_module: "crate::parsing",
});

pub use self::exports::streamalert::plugin::parsing::{Guest, Parsed, ParserInfo, Part, Takes};
pub use self::streamalert::plugin::log;

/// What a well-behaved parser of the tests says of itself.
pub fn info(name: &str) -> ParserInfo {
    ParserInfo {
        name: name.into(),
        description: format!("Misbehaves: {name}"),
        schemas: r#"{"test:n": {"parser": "json", "schema": {"n": "integer"}}}"#.into(),
        takes: Takes::Lines,
        sniffs: true,
    }
}

pub fn record(offset: u32, length: u32, json: &str) -> Part {
    Part { offset, length, outcome: Ok(Parsed { log_type: "test:n".into(), json: json.into() }) }
}
