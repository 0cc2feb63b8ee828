//! Rules that break one limit each, and a good one among them.

use bad_guests::{BatchInfo, Finding, Guest, RuleInfo, finding, good, log, lookup, records, rule};
use std::hint::black_box;

struct Unruly;

bad_guests::export!(Unruly);

type Rule = (&'static str, fn(&BatchInfo) -> Vec<Finding>);

/// The good one comes last: whatever the others leave behind in this instance must not reach it.
const RULES: &[Rule] = &[
    ("endless_loop", |_| {
        let mut n = 0u64;
        loop {
            n = black_box(n.wrapping_add(1));
        }
    }),
    ("deep_recursion", |batch| vec![finding(deeper(batch.id) as u32)]),
    ("allocation_bomb", |_| {
        // Not written to: that would cost fuel, and end it sooner.
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            hoard.push(black_box(Vec::with_capacity(1 << 20)));
        }
    }),
    ("trap_on_the_seventh", |batch| {
        let seventh = |row: &u32| matches!(records::get(*row, "n"), records::Value::Integer(7));
        assert!(!batch.rows.iter().any(seventh), "the seventh record");
        good(batch)
    }),
    // One gigabyte of findings: the guest's own memory ends first.
    ("a_gigabyte_of_findings", |batch| vec![finding(batch.rows[0]); (1 << 30) / size_of::<Finding>()]),
    // As many as fit into the guest: the answer is what is too much.
    ("too_many_findings", |batch| vec![finding(batch.rows[0]); 100_000]),
    ("one_long_text", |batch| vec![Finding { title: Some("x".repeat(8 << 20)), ..finding(batch.rows[0]) }]),
    ("invalid_utf8", |batch| {
        // SAFETY: it is not; that is the point. Nothing in this guest looks at the text.
        let title = unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) };
        vec![Finding { title: Some(title), ..finding(batch.rows[0]) }]
    }),
    ("row_out_of_range", |_| vec![finding(4_000_000_000)]),
    ("row_of_another_rule", |batch| vec![finding(batch.rows[0]), finding(batch.rows[0])]),
    ("context_is_no_object", |batch| vec![Finding { context: Some("[1, 2]".into()), ..finding(batch.rows[0]) }]),
    ("output_is_none", |batch| vec![Finding { outputs: vec!["slack".into()], ..finding(batch.rows[0]) }]),
    ("host_call_flood", |batch| {
        loop {
            black_box(records::get(batch.rows[0], "n"));
            black_box(lookup::get("no such table", "key"));
        }
    }),
    ("log_flood", |_| {
        loop {
            log::write(log::Level::Error, "\x1b[2J all is well");
        }
    }),
    ("good_neighbour", good),
];

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let here = black_box([n; 16]);
    deeper(here[3].wrapping_add(1)).wrapping_add(here[7])
}

impl Guest for Unruly {
    fn describe() -> Vec<RuleInfo> {
        RULES.iter().map(|(name, _)| rule(name)).collect()
    }

    fn evaluate(rule: u32, batch: BatchInfo) -> Vec<Finding> {
        RULES[rule as usize].1(&batch)
    }
}
