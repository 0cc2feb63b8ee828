//! Rules and a parser in one component.

mod parsing;

use bad_guests::{BatchInfo, Finding, RuleInfo, good, rule};

struct Both;

bad_guests::export!(Both);
parsing::export_parser!(Both with_types_in parsing);

impl bad_guests::Guest for Both {
    fn describe() -> Vec<RuleInfo> {
        vec![rule("both")]
    }

    fn evaluate(_: u32, batch: BatchInfo) -> Vec<Finding> {
        good(&batch)
    }
}

impl parsing::Guest for Both {
    fn describe() -> parsing::ParserInfo {
        parsing::info("both")
    }

    fn sniff(_: Vec<u8>) -> bool {
        false
    }

    fn parse(_: Vec<u8>) -> Result<Vec<parsing::Part>, String> {
        Ok(vec![])
    }
}
