//! A parser whose name cannot be, and whose schemas are none.

mod parsing;

use parsing::{Guest, ParserInfo, Part, info};

struct Nameless;

parsing::export_parser!(Nameless with_types_in parsing);

impl Guest for Nameless {
    fn describe() -> ParserInfo {
        let schemas =
            r#"{"a": {"parser": "json", "schema": {"x": "text"}}, "b": {"parser": "csv", "schema": {}}, "c": 1}"#;
        ParserInfo { schemas: schemas.into(), ..info("no name\n") }
    }

    fn sniff(_: Vec<u8>) -> bool {
        true
    }

    fn parse(_: Vec<u8>) -> Result<Vec<Part>, String> {
        Ok(vec![])
    }
}
