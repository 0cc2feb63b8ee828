//! What some bytes are, by how they begin.

use crate::text::Encoding;
use flate2::{Decompress, FlushDecompress, Status};

/// Bytes looked at. All signatures are shorter; text without a byte order mark and zlib are told better by more.
pub const HEAD_BYTES: usize = 256;

/// Bytes without which nothing can be told. Even a pipe of single lines has them at once.
const LEAST_BYTES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gzip,
    Zlib,
    Zstd,
    Bzip2,
    Snappy,
    Zip,
    Parquet,
    Avro,
    Text(Encoding),
    /// Known, and not readable here.
    Foreign(&'static str),
    /// Bytes as they are.
    Plain,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Gzip => "gzip",
            Kind::Zlib => "zlib",
            Kind::Zstd => "zstd",
            Kind::Bzip2 => "bzip2",
            Kind::Snappy => "snappy",
            Kind::Zip => "zip",
            Kind::Parquet => "Parquet",
            Kind::Avro => "Avro",
            Kind::Foreign(name) => name,
            Kind::Text(_) | Kind::Plain => "plain",
        }
    }

    /// It unpacks to bytes that are sniffed again.
    pub fn is_layer(self) -> bool {
        matches!(self, Kind::Gzip | Kind::Zlib | Kind::Zstd | Kind::Bzip2 | Kind::Snappy | Kind::Zip)
    }
}

const SIGNATURES: [(&[u8], Kind); 18] = [
    (&[0x1f, 0x8b], Kind::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], Kind::Zstd),
    (b"\xff\x06\x00\x00sNaPpY", Kind::Snappy),
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK\x07\x08PK\x03\x04", Kind::Zip),
    (b"PAR1", Kind::Parquet),
    (b"PARE", Kind::Foreign("Parquet with an encrypted footer")),
    (b"Obj\x01", Kind::Avro),
    (b"\xfd7zXZ\x00", Kind::Foreign("xz")),
    (&[0x04, 0x22, 0x4d, 0x18], Kind::Foreign("lz4")),
    (b"7z\xbc\xaf\x27\x1c", Kind::Foreign("7z")),
    (b"Rar!\x1a\x07", Kind::Foreign("rar")),
    // Longer marks before the shorter ones they begin with.
    (&[0xff, 0xfe, 0x00, 0x00], Kind::Text(Encoding::Utf32Le)),
    (&[0x00, 0x00, 0xfe, 0xff], Kind::Text(Encoding::Utf32Be)),
    (&[0xff, 0xfe], Kind::Text(Encoding::Utf16Le)),
    (&[0xfe, 0xff], Kind::Text(Encoding::Utf16Be)),
    (&[0xef, 0xbb, 0xbf], Kind::Text(Encoding::Utf8)),
];

/// `None`: more bytes would tell more. With `ended` there are none.
pub fn sniff(head: &[u8], ended: bool) -> Option<Kind> {
    let open = |signature: &[u8]| head.len() < signature.len() && signature.starts_with(head);
    if !ended && (head.len() < LEAST_BYTES || SIGNATURES.iter().any(|(signature, _)| open(signature))) {
        return None;
    }
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(*kind);
    }
    if is_zstd_frame(head) {
        return Some(Kind::Zstd);
    }
    if head.starts_with(b"BZh") {
        return bzip2(head, ended);
    }
    if may_be_zlib(head) {
        return zlib(head, ended);
    }
    Some(Encoding::by_zeros(head).map_or(Kind::Plain, Kind::Text))
}

/// A frame of data, or one that holds anything else and is passed over.
pub fn is_zstd_frame(head: &[u8]) -> bool {
    match head {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        [first, 0x2a, 0x4d, 0x18, ..] => first & 0xf0 == 0x50,
        _ => false,
    }
}

/// `BZh` and a digit may be text; then a block or the end follows.
fn bzip2(head: &[u8], ended: bool) -> Option<Kind> {
    const BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    const END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
    let rest = head.get(4..).unwrap_or_default();
    let length = rest.len().min(BLOCK.len());
    let fits = rest[..length] == BLOCK[..length] || rest[..length] == END[..length];
    let digit = head.get(3).is_none_or(u8::is_ascii_digit);
    match fits && digit {
        // Cut off within its first bytes: damaged bzip2 rather than text, unless it is but three letters.
        true if length == BLOCK.len() || ended && length > 0 => Some(Kind::Bzip2),
        true if !ended => None,
        _ => Some(Kind::Plain),
    }
}

fn may_be_zlib(head: &[u8]) -> bool {
    let [method, flags, ..] = *head else { return false };
    let preset_dictionary = flags & 0x20 != 0;
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]) % 31 == 0 && !preset_dictionary
}

/// Two bytes are a weak signature, `x^` is one: what looks like text is text unless it unpacks to its end.
fn zlib(head: &[u8], ended: bool) -> Option<Kind> {
    if head.len() < HEAD_BYTES && !ended {
        return None;
    }
    let mut scratch = vec![0; 64 * HEAD_BYTES];
    let result = Decompress::new(true).decompress(head, &mut scratch, FlushDecompress::None);
    let whole = matches!(result, Ok(Status::StreamEnd));
    let text = head.iter().all(|byte| (b' '..=b'~').contains(byte) || byte.is_ascii_whitespace());
    let zlib = whole || result.is_ok() && !text;
    Some(if zlib { Kind::Zlib } else { Kind::Plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_by_how_they_begin() {
        let check = |head: &[u8], expected: Kind| assert_eq!(sniff(head, true), Some(expected), "{head:?}");
        check(&[0x1f, 0x8b, 8], Kind::Gzip);
        check(&[0x5a, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], Kind::Zstd);
        check(b"BZh91AY&SY", Kind::Bzip2);
        check(b"BZhelp: a line of text", Kind::Plain);
        check(b"BZh9 is a plate number", Kind::Plain);
        check(b"x^2 + y^2", Kind::Plain);
        check(b"8O", Kind::Plain);
        check(b"{\"a\": 1}", Kind::Plain);
        check(b"PK\x03\x04", Kind::Zip);
        check(b"PK is a postcode", Kind::Plain);
        check(b"Object stored", Kind::Plain);
        check(b"", Kind::Plain);
        check(b"{\0\"\0a\0\"\0", Kind::Text(Encoding::Utf16Le));
        check(b"\0{\0\"\0a\0\"", Kind::Text(Encoding::Utf16Be));
        check(b"{\0\0\0\"\0\0\0", Kind::Text(Encoding::Utf32Le));
        check(&[0xff, 0xfe, b'{', 0], Kind::Text(Encoding::Utf16Le));
        check(&[1, 0, 2, 0, 3, 0], Kind::Plain);
    }

    #[test]
    fn no_more_is_asked_for_than_is_needed() {
        assert_eq!(sniff(b"{\"a\"", false), Some(Kind::Plain));
        for open in [&b""[..], b"x", b"BZh9", b"PK\x07\x08P", b"x\x9c..."] {
            assert_eq!(sniff(open, false), None, "{open:?}");
        }
        assert_eq!(sniff(b"PKZ file", false), Some(Kind::Plain));
    }
}
