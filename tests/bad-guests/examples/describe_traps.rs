//! Cannot say what rules it has.

use bad_guests::{BatchInfo, Finding, Guest, RuleInfo};

struct Mute;

bad_guests::export!(Mute);

impl Guest for Mute {
    fn describe() -> Vec<RuleInfo> {
        panic!("no words")
    }

    fn evaluate(_: u32, _: BatchInfo) -> Vec<Finding> {
        vec![]
    }
}
