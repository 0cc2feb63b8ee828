//! The fuzz targets over their seeds and some mutations of them, always the same: what cargo-fuzz does for hours, for a
//! moment and without it.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Inputs of each target, besides the seeds.
const MUTATIONS: usize = 3_000;
/// Bytes of an input that is mutated further.
const GROWN_BYTES_MAX: usize = 16 << 10;
/// What means something to some parser.
const TOKENS: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"=",
    b"|",
    b"-",
    b"<",
    b">",
    b"<Event>",
    b"</Event>",
    b"#Fields:",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"\xef\xbb\xbf",
    b"\xff",
    b"99999999999999999999",
];

/// Xorshift: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// One to four changes of `seed`, some with a piece of `other`.
fn mutated(seed: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = at + dice.below((bytes.len() - at).min(64) + 1);
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            5 => {
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from);
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => drop(bytes.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied())),
        }
    }
    bytes
}

/// Shows the input, if the target panics on it.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} panics on b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

fn run((name, target): targets::Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    let mut inputs: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(inputs.len() > 5, "{}: hardly any seeds", folder.display());
    let check = |input: &[u8]| {
        let shown = Shown(name, input);
        target(input);
        drop(shown);
    };
    inputs.iter().for_each(|input| check(input));
    check(b"");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let seeds = inputs.len();
    for _ in 0..MUTATIONS {
        let (seed, other) = (dice.below(inputs.len()), dice.below(inputs.len()));
        let input = mutated(&inputs[seed], &inputs[other], &mut dice);
        check(&input);
        // Some are changed further, so that changes add up.
        if dice.below(8) == 0 && input.len() <= GROWN_BYTES_MAX {
            match inputs.len() < 2 * seeds {
                true => inputs.push(input),
                false => {
                    let at = seeds + dice.below(seeds);
                    inputs[at] = input;
                }
            }
        }
    }
}

#[test]
fn formats() {
    run(targets::TARGETS[0]);
}

#[test]
fn classify() {
    run(targets::TARGETS[1]);
}

#[test]
fn convert() {
    run(targets::TARGETS[2]);
}

#[test]
fn unwrap() {
    run(targets::TARGETS[3]);
}

#[test]
fn pieces() {
    run(targets::TARGETS[4]);
}
