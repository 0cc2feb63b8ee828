//! An output whose `deliver` is not that of the contract, though it goes by its name.

wit_bindgen::generate!({
    inline: "
        package streamalert:plugin@0.1.0;
        interface delivery {
            record setting { name: string, description: string, secret: bool, required: bool }
            record output-info {
                service: string, description: string, settings: list<setting>, hosts: list<string>, options: string,
            }
            record given { name: string, value: string }
            record fault { setting: string, message: string }
            describe: func() -> output-info;
            validate: func(settings: list<given>) -> list<fault>;
            deliver: func(alert: string) -> bool;
        }
        world output { export delivery; }
    ",
});

use exports::streamalert::plugin::delivery::{Fault, Given, Guest, OutputInfo};

struct Other;

export!(Other);

impl Guest for Other {
    fn describe() -> OutputInfo {
        OutputInfo {
            service: "other".into(),
            description: String::new(),
            settings: vec![],
            hosts: vec![],
            options: "{}".into(),
        }
    }

    fn validate(_: Vec<Given>) -> Vec<Fault> {
        vec![]
    }

    fn deliver(_: String) -> bool {
        true
    }
}
