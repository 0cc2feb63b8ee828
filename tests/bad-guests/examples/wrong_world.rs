//! A component of a world this host knows nothing of.

wit_bindgen::generate!({
    inline: "
        package acme:tools;
        interface greeter { greet: func(name: string) -> string; }
        world tool { export greeter; }
    ",
});

struct Tool;

export!(Tool);

impl exports::acme::tools::greeter::Guest for Tool {
    fn greet(name: String) -> String {
        format!("hello {name}")
    }
}
