//! Publishers that do with each alert what their number says.

mod publishing;

use publishing::{Guest, PublisherInfo, info, log};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

struct Unruly;

publishing::export_publishers!(Unruly with_types_in publishing);

/// Counts the calls of this instance: whoever reads 1 was given a fresh one.
static CALLS: AtomicU32 = AtomicU32::new(0);

const NAMES: [&str; 11] =
    ["good", "same", "trap", "loop", "memory", "log_flood", "huge", "no_json", "no_object", "utf_8", "refuse"];

impl Guest for Unruly {
    fn describe() -> Vec<PublisherInfo> {
        NAMES.iter().map(|name| info(name)).collect()
    }

    fn publish(publisher: u32, alert: String, publication: String, output: String) -> Result<String, String> {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        match NAMES[publisher as usize] {
            "good" => Ok(format!(r#"{{"calls": {calls}, "alert": {}, "output": "{output}"}}"#, alert.len())),
            "same" => Ok(publication),
            "trap" => panic!("on purpose"),
            "loop" => {
                let mut n = 0u64;
                loop {
                    n = black_box(n.wrapping_add(1));
                }
            }
            "memory" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(Vec::with_capacity(1 << 20)));
                }
            }
            "log_flood" => loop {
                log::write(log::Level::Error, "\x1b[2J all is well");
            },
            "huge" => Ok(format!(r#"{{"x": "{}"}}"#, "x".repeat(11 << 20))),
            "no_json" => Ok("{".into()),
            "no_object" => Ok("[]".into()),
            // SAFETY: it is not; that is the point. Nothing in this guest looks at the text.
            "utf_8" => Ok(unsafe { String::from_utf8_unchecked(vec![b'"', 0xff, b'"']) }),
            _ => Err(format!("\x1b[2J{}", "x".repeat(100_000))),
        }
    }
}
