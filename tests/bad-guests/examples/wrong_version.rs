//! Built against a release of the contract that is not out yet.

wit_bindgen::generate!({
    inline: "
        package streamalert:plugin@0.9.0;
        interface detection { describe: func() -> list<string>; }
        world rule { export detection; }
    ",
});

struct Early;

export!(Early);

impl exports::streamalert::plugin::detection::Guest for Early {
    fn describe() -> Vec<String> {
        vec!["from the future".into()]
    }
}
