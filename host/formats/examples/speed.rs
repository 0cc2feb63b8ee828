//! How fast the line parsers read: megabytes of input per second, on one core. `cargo run --release --example speed`; a word
//! after it picks the lines whose name has it.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};
use streamalert_formats::{Fields, csv, kv, syslog};

/// Bytes of every input: more than the caches hold.
const INPUT_BYTES: usize = 32 << 20;
/// The best of these is printed: the others met the neighbours.
const ROUNDS: usize = 7;

fn main() {
    let plain = input(|n, line| {
        let _ = write!(
            line,
            "2019/10/31 11:05:{:02},0011C103117,TRAFFIC,end,2049,2019/10/31 11:05:16,10.0.{}.{},203.0.113.{},0.0.0.0,0.0.0.0,\
             allow-all,,,dns,vsys1,trust,untrust,ethernet1/2,ethernet1/1,log-to-siem,{},1,{},53,0,0,0x19,udp,allow,{},75,97,2,\
             2019/10/31 11:04:45,0,any,0,{},0x0,10.0.0.0-10.255.255.255,United States,0,1,1,aged-out",
            n % 60,
            n % 256,
            n % 250,
            n % 200,
            n * 7 % 100_000,
            1024 + n % 60_000,
            n % 5000,
            n * 31
        );
    });
    let quoted = input(|n, line| {
        let _ = write!(
            line,
            "\"{n}\",\"2023-01-02T03:04:{:02}Z\",\"ann{}@example.com\",\"10.0.{}.7\",\"Mozilla/5.0 (X11; Linux x86_64), like Gecko\",\
             \"GET /index.html?a=1&b=2\",\"200\",\"said \"\"hello\"\" to {n}\",\"\"",
            n % 60,
            n % 100,
            n % 256
        );
    });
    for (name, text) in [("csv, no quotes", &plain), ("csv, all quoted", &quoted)] {
        let dialect = csv::Dialect::default();
        let mut cells = csv::Cells::default();
        report(name, text, || {
            let (mut at, mut count) = (0, 0);
            while at < text.len() {
                let rest = &text[at..];
                at += csv::row(rest, &dialect, &mut cells);
                count += cells.iter(rest).map(|cell| black_box(cell).len()).sum::<usize>();
            }
            count
        });
        report("  csv-core alone", text, || csv_core_cells(text.as_bytes()));
        report("  cutting rows", text, || csv::last_row_end(text.as_bytes(), &dialect));
    }

    let pairs = input(|n, line| {
        let _ = write!(
            line,
            "date=2023-01-02 time=03:04:{:02} devname=\"FG 100\" devid=\"FG100E3916\" logid=\"0000000013\" type=\"traffic\" \
             subtype=\"forward\" level=\"notice\" vd=\"root\" srcip=10.1.{}.7 srcport={} dstip=203.0.113.{} dstport=443 \
             proto=6 action=\"accept\" policyid={} service=\"HTTPS\" duration={} sentbyte={} msg=\"a longer text, = quoted\"",
            n % 60,
            n % 256,
            1024 + n % 60_000,
            n % 200,
            n % 40,
            n % 300,
            n * 13
        );
    });
    let dialect = kv::Dialect { escape: Some('\\'), ..kv::Dialect::default() };
    report_lines("kv", &pairs, |line, fields| kv::parse(line, &dialect, fields).expect("pairs"));

    let old = input(|n, line| {
        let _ = write!(
            line,
            "<86>Jan {:2} 19:35:{:02} web-{}.example.com sshd[{}]: Accepted publickey for ann from 10.0.0.{} port {} ssh2: RSA \
             SHA256:abcdefghijklmnopqrstuvwxyz0123456789",
            1 + n % 28,
            n % 60,
            n % 40,
            1000 + n % 30_000,
            n % 256,
            1024 + n % 60_000
        );
    });
    report_lines("syslog, RFC 3164", &old, |line, fields| syslog::parse(line, fields).expect("syslog"));

    let new = input(|n, line| {
        let _ = write!(
            line,
            "<165>1 2023-10-11T22:14:{:02}.003Z web-{}.example.com app {} ID{} [origin@32473 ip=\"10.0.0.{}\" software=\"app\"]\
             [meta sequenceId=\"{n}\"] request done: status=200 bytes={} path=/index.html user=ann",
            n % 60,
            n % 40,
            1000 + n % 30_000,
            n % 50,
            n % 256,
            n * 17
        );
    });
    report_lines("syslog, RFC 5424", &new, |line, fields| syslog::parse(line, fields).expect("syslog"));
}

/// A parser of one line at a time, into fields that are used again.
fn report_lines(name: &str, text: &str, parse: impl for<'a> Fn(&'a str, &mut Fields<'a>)) {
    report(name, text, || {
        let mut count = 0;
        let mut fields = Fields::new();
        for line in text.lines() {
            fields.clear();
            parse(line, &mut fields);
            count += black_box(&fields).len();
        }
        count
    });
}

fn csv_core_cells(mut bytes: &[u8]) -> usize {
    let mut reader = csv_core::Reader::new();
    let (mut out, mut ends) = ([0; 4096], [0; 256]);
    let mut count = 0;
    loop {
        let (result, read, _, cells) = reader.read_record(bytes, &mut out, &mut ends);
        bytes = &bytes[read..];
        if let csv_core::ReadRecordResult::End = result {
            return count;
        }
        let mut start = 0;
        for end in &ends[..cells] {
            count += black_box(&out[start..*end]).len();
            start = *end;
        }
    }
}

fn input(mut write: impl FnMut(usize, &mut String)) -> String {
    let mut text = String::with_capacity(INPUT_BYTES + 4096);
    for n in 0.. {
        if text.len() >= INPUT_BYTES {
            break;
        }
        write(n, &mut text);
        text.push('\n');
    }
    text
}

fn report(name: &str, text: &str, mut parse: impl FnMut() -> usize) {
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(parse());
        best = best.min(start.elapsed());
    }
    println!("{name:<22} {:>7.0} MB/s", text.len() as f64 / 1e6 / best.as_secs_f64());
}
