//! Sleeps for an hour, once or for ever, through WASI's clock.

wit_bindgen::generate!({
    inline: r#"
        package bad:guests;
        world sleeper {
            include streamalert:plugin/rule@0.1.0;
            import wasi:clocks/monotonic-clock@0.2.0;
        }
    "#,
    path: ["sleep/io.wit", "sleep/clocks.wit", "../../wit"],
    world: "bad:guests/sleeper",
    generate_all,
});

use exports::streamalert::plugin::detection::{BatchInfo, Finding, Guest, RuleInfo};
use wasi::clocks::monotonic_clock::subscribe_duration;

struct Sleeper;

export!(Sleeper);

const HOUR: u64 = 3_600_000_000_000;

impl Guest for Sleeper {
    fn describe() -> Vec<RuleInfo> {
        ["sleeps_an_hour", "sleeps_for_ever", "wide_awake"]
            .map(|name| RuleInfo {
                name: name.into(),
                description: String::new(),
                logs: vec!["test:row".into()],
                when: vec![],
                options: "{}".into(),
            })
            .into()
    }

    fn evaluate(rule: u32, batch: BatchInfo) -> Vec<Finding> {
        match rule {
            0 => subscribe_duration(HOUR).block(),
            1 => loop {
                subscribe_duration(HOUR).block();
            },
            _ => {}
        }
        let finding =
            |row| Finding { row, title: None, severity: None, dedup_key: None, context: None, outputs: vec![] };
        batch.rows.into_iter().map(finding).collect()
    }
}
