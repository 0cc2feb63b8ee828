//! Objects cut into payloads: the first byte chooses how they are read from [`WAYS`], the second where reading goes on once
//! more, the rest is the object.

use super::choose;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use streamalert_formats::csv;
use streamalert_intake::{Cursor, Limits, Piece, Pieces};
use streamalert_pipeline::classifier::Framing;
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::log_record::Source;

const UNPACKED_BYTES: u64 = 1 << 20;
/// Bytes that may come of an object: what it may unpack to, as UTF-8 instead of UTF-16 or as the JSON of rows.
const MADE_BYTES_MAX: u64 = 4 * UNPACKED_BYTES;

struct Way {
    framing: Framing,
    payload_bytes: usize,
    input_bytes: usize,
    /// Bytes that come at once.
    drip: usize,
    eager: bool,
}

static WAYS: LazyLock<[Way; 10]> = LazyLock::new(|| {
    let way =
        |framing, payload_bytes, input_bytes, drip| Way { framing, payload_bytes, input_bytes, drip, eager: false };
    let json = Framing::default();
    let text = Framing { text: true, ..json };
    let csv = Framing { csv: Some(csv::Dialect::default()), quote: b'"', ..text };
    [
        way(json, 64, 1 << 10, usize::MAX),
        way(json, 1, 16, 1),
        way(text, 32, 128, 7),
        way(csv, 16, 64, usize::MAX),
        way(Framing { header: true, ..csv }, 256, 4 << 10, 100),
        way(Framing { xml: true, ..text }, 64, 512, 3),
        way(Framing { syslog: true, ..text }, 64, 256, usize::MAX),
        way(Framing { header: true, ..text }, 8, 32, 2),
        way(Framing { whole: true, ..json }, 64, 4 << 10, usize::MAX),
        Way {
            eager: true,
            ..way(Framing { csv: csv.csv, xml: true, syslog: true, header: true, ..text }, 64, 1 << 10, 5)
        },
    ]
});

/// Hands out a few bytes at a time.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.len().min(buffer.len()).min(self.step);
        let (now, later) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.bytes = later;
        Ok(count)
    }
}

/// Reading ends, hands on no more than the limits say and no byte twice or never, and goes on at any cursor.
pub fn pieces(data: &[u8]) {
    let Some((way, rest)) = choose(data, WAYS.len()) else { return };
    let Some((stop, bytes)) = choose(rest, 26) else { return };
    let way = &WAYS[way];
    let (all, cursors) = read(open(way, bytes));
    // Where a pipe is cut depends on how much came at once.
    if let Some(cursor) = cursors.into_iter().nth(stop).filter(|_| !way.eager) {
        let (rest, _) = read(open(way, bytes).from_cursor(cursor.clone()));
        let first = &all[stop + 1..];
        // Whether an input is found too long, and where what is lost begins, depends on where the last cut was.
        let lost = |reason: Option<Reason>| {
            let mut letters = all.iter().chain(&rest).filter_map(letter);
            letters.any(|letter| letter.position.length > 0 && reason.is_none_or(|reason| letter.reason == reason))
        };
        if !lost(Some(Reason::Limit)) {
            let told = |pieces: &[Piece]| -> Vec<(String, Reason)> {
                pieces.iter().filter_map(letter).map(|letter| (letter.source.object.clone(), letter.reason)).collect()
            };
            assert_eq!(told(&rest), told(first), "tells otherwise at {cursor:?}");
        }
        if !lost(None) {
            assert_eq!(joined(&rest), joined(first), "goes on otherwise at {cursor:?}");
        }
    }
}

fn letter(piece: &Piece) -> Option<&DeadLetter> {
    match piece {
        Piece::Dead(letter) => Some(letter),
        Piece::Payload(_) | Piece::Skip(_) => None,
    }
}

fn open<'a>(way: &Way, bytes: &'a [u8]) -> Pieces<Drip<'a>> {
    let limits = Limits {
        payload_bytes: way.payload_bytes,
        input_bytes: way.input_bytes,
        unpacked_bytes: UNPACKED_BYTES,
        unpack_ratio: 100,
        unpack_ratio_free_bytes: 64 << 10,
    };
    let source = Arc::new(Source::new("s3", "bucket", "key"));
    let pieces = Pieces::with_limits(source, Drip { bytes, step: way.drip }, way.framing, limits);
    if way.eager { pieces.eager() } else { pieces }
}

/// Everything an object holds, and the cursor after each piece.
fn read(mut pieces: Pieces<Drip<'_>>) -> (Vec<Piece>, Vec<Cursor>) {
    let (mut all, mut cursors) = (Vec::new(), Vec::new());
    let mut made = 0;
    // Cursor and end of the last piece. When reading goes on, the first offset may be any.
    let mut last: Option<(Cursor, u64)> = None;
    while let Some(piece) = pieces.read_piece().expect("a reader that never fails") {
        let cursor = pieces.cursor();
        let (offset, length) = match &piece {
            Piece::Payload(payload) => {
                assert!(!payload.bytes.is_empty(), "an empty payload");
                (payload.offset, payload.bytes.len() as u64)
            }
            Piece::Dead(letter) => (letter.position.offset, letter.position.length),
            Piece::Skip(_) => (0, 0),
        };
        if let Some((before, end)) = &last {
            // A cursor at the beginning of a part stands behind all of the part before.
            let new_part = offset == 0 && (cursor.part > before.part || before.offset == 0);
            assert!(offset == *end || new_part, "bytes {end} to {offset} are lost or twice");
        }
        last = Some((cursor.clone(), offset + length));
        made += length;
        assert!(made <= MADE_BYTES_MAX, "{made} bytes were made");
        // Every piece has a byte, or is about a part or a row of a container.
        assert!(all.len() as u64 <= MADE_BYTES_MAX, "reading does not end");
        all.push(piece);
        cursors.push(cursor);
    }
    assert!(pieces.read_piece().is_ok_and(|piece| piece.is_none()), "something follows the end");
    (all, cursors)
}

/// Payloads that follow one another as one: where they are cut is nobody's business.
fn joined(pieces: &[Piece]) -> Vec<(String, u64, Vec<u8>)> {
    let mut out: Vec<(String, u64, Vec<u8>)> = Vec::new();
    for piece in pieces {
        match (piece, out.last_mut()) {
            (Piece::Payload(payload), Some((object, offset, bytes)))
                if *object == payload.source.object && *offset + bytes.len() as u64 == payload.offset =>
            {
                bytes.extend_from_slice(&payload.bytes);
            }
            (Piece::Payload(payload), _) => {
                out.push((payload.source.object.clone(), payload.offset, payload.bytes.to_vec()));
            }
            (Piece::Dead(letter), _) => {
                let what = format!("{} {} {:?}", letter.source.object, letter.reason.code(), letter.position);
                out.push((what, u64::MAX / 2, Vec::new()));
            }
            (Piece::Skip(skip), _) => out.push((skip.code().to_owned(), u64::MAX / 2, Vec::new())),
        }
    }
    out
}
