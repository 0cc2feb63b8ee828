//! What a parser of yours costs on a file: `cargo run --release --example measure_parser -p streamalert-plugins PARSER.wasm FILE`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args().skip(1);
    let (Some(component), Some(payload)) = (files.next(), files.next()) else {
        return Err("name a component and a file to parse".into());
    };
    let payload = std::fs::read(payload)?;
    let found = streamalert_plugins::measure::measure_parser(&std::fs::read(component)?, &payload)?;
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    let seconds = found.parse as f64 / 1e9;
    println!("call without bytes        {:8.3} µs", found.call as f64 / 1000.0);
    println!("sniff at 512 bytes        {:8.3} µs", found.sniff as f64 / 1000.0);
    println!("payload                   {:8.3} MB in {:.1} ms", megabytes(payload.len()), seconds * 1000.0);
    println!("                          {:8.1} MB/s", megabytes(payload.len()) / seconds);
    println!(
        "parts                     {:8} ({:.0} ns each)",
        found.parts,
        found.parse as f64 / found.parts.max(1) as f64
    );
    println!(
        "JSON                      {:8.3} MB ({:.1} MB/s)",
        megabytes(found.json_bytes),
        megabytes(found.json_bytes) / seconds
    );
    println!("fuel                      {:8.1} a byte", found.fuel as f64 / payload.len().max(1) as f64);
    Ok(())
}
