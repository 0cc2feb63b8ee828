//! Bytes as they arrive become payloads: envelopes unpacked, objects decompressed, decoded and cut where an input ends.
//!
//! | room | what happens there |
//! |---|---|
//! | [`unwrap`], [`payloads`] | the doorstep: events of Lambda, SQS, SNS … give bytes and names of objects |
//! | [`Pieces`] | an object as a stream of payloads; a file of any size takes the memory of its largest input |
//! | `unpack` | compression and archives, layer by layer, by content |
//! | `text` | other encodings become UTF-8 |
//! | `rows` | Parquet and Avro become JSON lines |

mod doorstep;
mod pieces;
mod rows;
mod text;
mod unpack;

pub use doorstep::{Arrival, Dead, Delivery, Object, payloads, unwrap};
pub use pieces::{Cursor, Piece, Pieces};

use streamalert_pipeline::limits::{INPUT_BYTES_MAX, UNPACK_RATIO_FREE_BYTES, UNPACK_RATIO_MAX, UNPACKED_BYTES_MAX};

/// Bytes of a payload, unless one input is larger: some hundred records, so that the queue costs nothing beside them, and
/// a file of some megabytes still keeps all cores busy.
pub const PAYLOAD_BYTES: usize = 512 << 10;

/// What one object may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a payload, about.
    pub payload_bytes: usize,
    /// Bytes of one input.
    pub input_bytes: usize,
    /// Bytes the object may unpack to.
    pub unpacked_bytes: u64,
    /// Bytes unpacked for each byte that came.
    pub unpack_ratio: u64,
    /// Bytes unpacked before the ratio is looked at.
    pub unpack_ratio_free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes: PAYLOAD_BYTES,
            input_bytes: INPUT_BYTES_MAX,
            unpacked_bytes: UNPACKED_BYTES_MAX,
            unpack_ratio: UNPACK_RATIO_MAX,
            unpack_ratio_free_bytes: UNPACK_RATIO_FREE_BYTES,
        }
    }
}
