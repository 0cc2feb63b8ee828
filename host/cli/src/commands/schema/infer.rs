//! `streamalert schema infer`: a draft of log types, from samples.

use super::super::run::say;
use crate::draft::{Draft, Sample, draft, slug, taken};
use crate::intake::Piece;
use crate::{Failure, intake};
use anyhow::anyhow;
use std::path::PathBuf;
use std::sync::Arc;
use streamalert_local::input::Input;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::printable::printable;

/// Draft log types from sample events
///
/// The draft is a schema file on stdout; what was guessed is said on stderr. JSON in any wrapping, csv, kv, logfmt, syslog,
/// CEF, LEEF, W3C, cells between spaces, and Windows events are recognised by trying them. Names, types and optional fields
/// are those of the sample: read the draft before you use it.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Files of sample events, or - for stdin
    #[arg(value_name = "SAMPLE", required = true)]
    samples: Vec<PathBuf>,
    /// Name of the log type [default: after the first file]
    #[arg(long, value_name = "SOURCE:SUBTYPE", value_parser = parse_name)]
    name: Option<String>,
    /// Spell out objects that have the same keys in all records, instead of {}
    #[arg(long)]
    nested: bool,
}

const AFTER_HELP: &str = "Exit codes:
  0  the draft takes every record of the sample
  1  it does not, or a sample could not be read
  2  a wrong argument, or a sample without records";

/// Bytes of samples that are looked at: a draft needs some hundred records of each kind, and all values are kept in memory.
const SAMPLE_BYTES_MAX: usize = 32 << 20;
/// Records that are shown when the draft does not take them.
const SHOWN_MAX: usize = 5;

pub fn run(args: Args) -> Result<(), Failure> {
    let inputs = intake::inputs(&args.samples)?;
    let mut samples = Vec::new();
    let mut left = SAMPLE_BYTES_MAX;
    for input in &inputs {
        samples.extend(read(input, &mut left)?);
    }
    let name = args.name.unwrap_or_else(|| name_of(inputs.first()));
    let drafted = draft(&samples, &name, args.nested);
    if drafted.types.is_empty() {
        drafted.notes.iter().for_each(|note| eprintln!("{}", printable(note)));
        return Err(Failure::Usage(anyhow!("no record was found in the sample")));
    }
    talk(&drafted);
    let text = drafted.text();
    let checked = check(&drafted, &text, &samples);
    say(&text)?;
    checked
}

/// The objects in an input: one, or those of an archive.
fn read(input: &Input, left: &mut usize) -> Result<Vec<Sample>, Failure> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut cut = false;
    intake::read(input, None, None, |piece| {
        match piece {
            Piece::Dead(letter) => eprintln!("not looked at: {}", printable(&letter.message)),
            Piece::Skip(_) => {}
            Piece::Payload(payload) if cut || payload.bytes.len() > *left => cut = true,
            Piece::Payload(payload) => {
                *left -= payload.bytes.len();
                match samples.last_mut() {
                    Some(sample) if sample.source == *payload.source => sample.bytes.extend_from_slice(&payload.bytes),
                    _ => samples.push(Sample { source: (*payload.source).clone(), bytes: payload.bytes.to_vec() }),
                }
            }
        }
        Ok(())
    })?;
    if cut {
        eprintln!("only the first {} MiB of the samples were looked at", SAMPLE_BYTES_MAX >> 20);
    }
    Ok(samples)
}

fn talk(drafted: &Draft) {
    let empty = if drafted.empty > 0 { format!(", {} documents without any", drafted.empty) } else { String::new() };
    let kinds = if drafted.types.len() == 1 { "one kind".to_owned() } else { format!("{} kinds", drafted.types.len()) };
    eprintln!("{} records of {kinds}{empty}", drafted.records);
    for drafted in &drafted.types {
        eprintln!("  {:<40} {:>8}", printable(&drafted.name), drafted.records);
    }
    drafted.notes.iter().for_each(|note| eprintln!("{}", printable(note)));
}

/// Whether the draft is what it is meant to be: a schema file that takes the sample.
fn check(drafted: &Draft, text: &str, samples: &[Sample]) -> Result<(), Failure> {
    let schemas = Schemas::read(&[("draft".to_owned(), text.to_owned())])
        .map_err(|faults| Failure::Running(anyhow!("the draft needs work before it can be loaded: {faults}")))?;
    let taken = taken(&Arc::new(schemas), samples);
    let as_meant = drafted.types.iter().all(|t| taken.by_type.get(&t.name).copied().unwrap_or(0) == t.records as u64);
    let strays = taken.dead.len() <= drafted.left_out;
    if taken.inexact == 0 && taken.unaccounted == 0 && strays && as_meant {
        eprintln!("the draft takes all of them{}", if taken.dead.is_empty() { "" } else { " but what was left out" });
        return Ok(());
    }
    for letter in taken.dead.iter().take(SHOWN_MAX) {
        eprintln!("not taken, byte {}: {}", letter.position.offset, printable(&letter.message));
    }
    if !as_meant {
        let counts: Vec<String> = taken.by_type.iter().map(|(name, count)| format!("{name} {count}")).collect();
        eprintln!("it takes: {}", printable(&counts.join(", ")));
    }
    Err(Failure::Running(anyhow!(
        "the draft takes {} of {} records{}, and {} are left over",
        taken.records(),
        drafted.records,
        if taken.inexact > 0 {
            format!(", {} of them only with keys it does not know", taken.inexact)
        } else {
            String::new()
        },
        taken.dead.len()
    )))
}

fn name_of(input: Option<&Input>) -> String {
    let stem = match input {
        Some(Input::File(path)) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        _ => String::new(),
    };
    let stem = slug(stem.split('.').next().unwrap_or_default());
    format!("{}:events", if stem.is_empty() { "sample" } else { &stem })
}

fn parse_name(text: &str) -> Result<String, String> {
    match text.split(':').collect::<Vec<_>>()[..] {
        [source] | [source, _] if !source.is_empty() && !text.ends_with(':') => Ok(text.to_owned()),
        _ => Err("write SOURCE:SUBTYPE".to_owned()),
    }
}
