//! What the sandbox costs with a component of yours: `cargo run --release --example measure -p streamalert-plugins FILE.wasm`

use streamalert_packed::{Builder, Record};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name a component")?;
    let packed: Vec<Vec<u8>> = (0..256)
        .map(|n| {
            let mut bytes = Vec::new();
            Builder::json(&mut bytes, &serde_json::json!({ "n": n, "text": "x".repeat(1000) }));
            bytes
        })
        .collect();
    // SAFETY: the builder wrote each of them.
    let records = packed.iter().map(|bytes| unsafe { Record::trusted(bytes) });
    let found = streamalert_plugins::measure::measure(
        &std::fs::read(&file)?,
        records,
        streamalert_plugins::measure::Effort::Measured,
    )?;
    let us = |ns: u64| ns as f64 / 1000.0;
    println!("create an instance        {:8.2} µs", us(found.create));
    println!("drop it                   {:8.2} µs", us(found.drop));
    println!("load, code in the cache   {:8.2} µs", us(found.load_cached));
    println!("load, compiling           {:8.0} µs", us(found.load_compiling));
    println!("session with one call     {:8.3} µs", us(found.session));
    println!("call                      {:8.3} µs", us(found.call));
    Ok(())
}
