//! Two rules of one name.

use bad_guests::{BatchInfo, Finding, Guest, RuleInfo, rule};

struct Twins;

bad_guests::export!(Twins);

impl Guest for Twins {
    fn describe() -> Vec<RuleInfo> {
        vec![rule("twin"), rule("other"), rule("twin")]
    }

    fn evaluate(_: u32, _: BatchInfo) -> Vec<Finding> {
        vec![]
    }
}
