//! A parser that does with each payload what the payload says.

mod parsing;

use parsing::{Guest, Parsed, ParserInfo, Part, info, log, record};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

struct Unruly;

parsing::export_parser!(Unruly with_types_in parsing);

/// Counts the calls of this instance: whoever reads 1 was given a fresh one.
static CALLS: AtomicU32 = AtomicU32::new(0);

impl Guest for Unruly {
    fn describe() -> ParserInfo {
        info("unruly")
    }

    fn sniff(head: Vec<u8>) -> bool {
        match &head[..] {
            b"trap" => panic!("no nose"),
            b"loop" => spin(),
            head => head.starts_with(b"mine"),
        }
    }

    fn parse(payload: Vec<u8>) -> Result<Vec<Part>, String> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        let length = payload.len() as u32;
        let good = |json: &str| Ok(vec![record(0, length, json)]);
        match &payload[..] {
            b"trap" => panic!("on purpose"),
            b"loop" => spin(),
            b"memory" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(Vec::with_capacity(1 << 20)));
                }
            }
            b"recursion" => good(&deeper(u64::from(calls)).to_string()),
            b"log flood" => loop {
                log::write(log::Level::Error, "\x1b[2J all is well");
            },
            // As a list of parts that share one text it would fit into 4 GB; this guest's memory ends first.
            b"gigabyte" => Ok(vec![record(0, 1, "{}"); (1 << 30) / size_of::<Part>()]),
            b"long text" => good(&"x".repeat(8 << 20)),
            b"many parts" => Ok(vec![Part { offset: 0, length: 1, outcome: Err(String::new()) }; 100_000]),
            b"outside" => Ok(vec![record(0, length + 1, "{}")]),
            b"far outside" => Ok(vec![record(u32::MAX, u32::MAX, "{}")]),
            b"overlap" => Ok(vec![record(0, 4, "{}"), record(2, 4, "{}")]),
            b"nothing" => Ok(vec![record(3, 0, "{}")]),
            b"utf-8" => {
                // SAFETY: it is not; that is the point. Nothing in this guest looks at the text.
                let json = unsafe { String::from_utf8_unchecked(vec![b'"', 0xff, b'"']) };
                Ok(vec![Part { offset: 0, length, outcome: Ok(Parsed { log_type: String::new(), json }) }])
            }
            b"foreign type" => {
                let parsed = Parsed { log_type: "cloudtrail:events".into(), json: "{}".into() };
                Ok(vec![Part { offset: 0, length, outcome: Ok(parsed) }])
            }
            b"refuse" => Err("cannot read \u{1b}[2J this".into()),
            b"long reason" => Err("x".repeat(100_000)),
            _ => good(&format!("{{\"n\": {calls}}}")),
        }
    }
}

fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let here = black_box([n; 16]);
    deeper(here[3].wrapping_add(1)).wrapping_add(here[7])
}
