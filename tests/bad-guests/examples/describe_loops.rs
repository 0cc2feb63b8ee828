//! Never finishes saying what rules it has.

use bad_guests::{BatchInfo, Finding, Guest, RuleInfo};
use std::hint::black_box;

struct Talker;

bad_guests::export!(Talker);

impl Guest for Talker {
    fn describe() -> Vec<RuleInfo> {
        let mut n = 0u64;
        loop {
            n = black_box(n.wrapping_add(1));
        }
    }

    fn evaluate(_: u32, _: BatchInfo) -> Vec<Finding> {
        vec![]
    }
}
