//! What a large object costs: `cargo run --release -p streamalert-intake --example big -- memory 5` reads 5 GB of JSON lines
//! out of gzip that is made on the way, in a process of its own, and prints its largest memory. `… -- speed` compares
//! reading gzip with decompressing and classifying apart.

use cpu_time::ProcessTime;
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_intake::{Piece, Pieces};
use streamalert_pipeline::classifier::{Classifier, Framing};
use streamalert_pipeline::config::{Clusters, Schemas};
use streamalert_pipeline::log_record::Source;

/// No object may take more than this.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
const SPEED_BYTES: u64 = 256 << 20;

const SCHEMA: &str = r#"{"big:event": {"parser": "json", "schema": {
    "id": "integer", "time": "string", "user": "string", "address": "string", "action": "string", "ok": "boolean"
}}}"#;

/// JSON lines as services write them, different from line to line.
struct Lines {
    number: u64,
    left: u64,
    line: Vec<u8>,
    at: usize,
}

impl Lines {
    fn new(bytes: u64) -> Self {
        Lines { number: 0, left: bytes, line: Vec::new(), at: 0 }
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.number += 1;
            let (id, mix) = (self.number, self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let action = ["GetObject", "PutObject", "AssumeRole", "DeleteBucket"][(mix >> 60) as usize % 4];
            let (user, a, b, second) = (mix % 5_000, mix >> 8 & 255, mix >> 16 & 255, id / 500 % 60);
            self.line.clear();
            self.line.extend_from_slice(
                format!(
                    "{{\"id\": {id}, \"time\": \"2024-05-01T10:20:{second:02}Z\", \"user\": \"user-{user}\", \
                     \"address\": \"10.0.{a}.{b}\", \"action\": \"{action}\", \"ok\": {}}}\n",
                    mix & 1 == 0
                )
                .as_bytes(),
            );
            self.left = self.left.saturating_sub(self.line.len() as u64);
            self.at = 0;
        }
        let count = buffer.len().min(self.line.len() - self.at);
        buffer[..count].copy_from_slice(&self.line[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn source() -> Arc<Source> {
    Arc::new(Source::new("s3", "bucket", "big.gz"))
}

/// Bytes and payloads.
fn drain(mut pieces: Pieces<impl Read>, mut each: impl FnMut(Piece)) -> io::Result<(u64, u64)> {
    let (mut bytes, mut count) = (0, 0);
    while let Some(piece) = pieces.read_piece()? {
        match &piece {
            Piece::Payload(payload) => bytes += payload.bytes.len() as u64,
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
        count += 1;
        each(piece);
    }
    Ok((bytes, count))
}

fn largest_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB").parse();
    kilobytes.ok().map(|kilobytes: u64| kilobytes << 10)
}

fn memory(gigabytes: u64) -> io::Result<()> {
    let begun = Instant::now();
    let gzip = GzEncoder::new(io::BufReader::new(Lines::new(gigabytes << 30)), Compression::fast());
    let (bytes, payloads) = drain(Pieces::new(source(), gzip, Framing::default()), drop)?;
    let memory = largest_memory().unwrap_or(0);
    println!(
        "{bytes} bytes decompressed, {payloads} payloads, {:.0} s with making them, {} MB of memory at most",
        begun.elapsed().as_secs_f64(),
        memory >> 20
    );
    if memory < MEMORY_BYTES_MAX { Ok(()) } else { Err(io::Error::other("too much memory")) }
}

/// Of the processor: what else goes on does not count.
fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<Duration> {
    let begun = ProcessTime::now();
    work()?;
    Ok(begun.elapsed())
}

fn speed() -> io::Result<()> {
    let mut gzip = Vec::new();
    GzEncoder::new(io::BufReader::new(Lines::new(SPEED_BYTES)), Compression::default()).read_to_end(&mut gzip)?;
    let schemas = Schemas::read(&[("big.json".to_owned(), SCHEMA.to_owned())]).map_err(io::Error::other)?;
    let classifier = Arc::new(Classifier::new(Arc::new(schemas), Arc::new(Clusters::default())));
    let mut worker = classifier.worker();
    let mut plain = Vec::new();
    Lines::new(SPEED_BYTES).read_to_end(&mut plain)?;
    let mut buffer = vec![0; 512 << 10];
    let decompress = timed(|| {
        let mut decoder = GzDecoder::new(&gzip[..]);
        while decoder.read(&mut buffer)? > 0 {}
        Ok(())
    })?;
    let mut records = 0;
    let mut classify = |piece: Piece| {
        if let Piece::Payload(payload) = piece {
            records += worker.classify(payload).batch.records.len();
        }
    };
    let cut = timed(|| drain(Pieces::new(source(), &gzip[..], Framing::default()), drop))?;
    // Payload by payload, as the other: memory that is taken and given back costs both the same.
    let parse = timed(|| drain(Pieces::new(source(), &plain[..], Framing::default()), &mut classify))?;
    let both = timed(|| drain(Pieces::new(source(), &gzip[..], Framing::default()), &mut classify))?;
    let apart = decompress + parse;
    println!("gzip alone {decompress:?}, cut too {cut:?}");
    println!("plain lines cut and classified {parse:?}, with gzip alone {apart:?}");
    println!("gzip cut and classified {both:?}: {:.2} times apart", both.as_secs_f64() / apart.as_secs_f64());
    println!("{records} records in both");
    Ok(())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let gigabytes = |text: &str| text.parse().map_err(io::Error::other);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory", count] => {
            // Memory is counted from a process's beginning.
            let status = Command::new(std::env::current_exe()?).args(["memory-here", count]).status()?;
            if status.success() { Ok(()) } else { Err(io::Error::other("it failed")) }
        }
        ["memory-here", count] => memory(gigabytes(count)?),
        ["speed"] => speed(),
        _ => Err(io::Error::other("say `memory GIGABYTES` or `speed`")),
    }
}
