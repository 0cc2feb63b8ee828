//! The contract for outputs, as a module of the examples: see `parsing`.
#![allow(dead_code, unused_imports)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "output",
    pub_export_macro: true,
    export_macro_name: "export_output",
    default_bindings_module: "crate::delivery",
});

pub use self::exports::streamalert::plugin::delivery::{
    Again, Disposition, Fault, Given, Guest, OutputInfo, Parcel, Setting,
};
pub use self::streamalert::plugin::{http, log, secrets};

/// What a well-behaved output of the tests says of itself.
pub fn info(service: &str) -> OutputInfo {
    let setting = |name: &str, secret: bool| Setting {
        name: name.into(),
        description: format!("The {name}"),
        secret,
        required: true,
    };
    OutputInfo {
        service: service.into(),
        description: format!("Misbehaves: {service}"),
        settings: vec![setting("token", true), setting("channel", false)],
        hosts: vec!["api.example.com".into()],
        options: r#"{"rate": 2.5}"#.into(),
    }
}

pub fn request(url: &str, body: Vec<u8>) -> http::Request {
    http::Request { method: "POST".into(), url: url.into(), headers: vec![], body }
}

pub fn delivered(text: impl Into<String>) -> Disposition {
    Disposition::Delivered(Some(text.into()))
}

/// What came of a request, as a word.
pub fn word(result: Result<http::Response, http::Failure>) -> String {
    match result {
        Ok(response) => format!("{} with {} bytes", response.status, response.body.len()),
        Err(failure) => format!("{:?}: {}", failure.kind, failure.message),
    }
}
