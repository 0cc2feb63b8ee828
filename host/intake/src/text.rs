//! Text in other encodings becomes UTF-8.
//!
//! A half of a surrogate pair that stands alone has no UTF-8. It is written as six characters, such as `\ud83d`;
//! where the text is JSON, as `\\ud83d`, so that the value holds those six characters and nothing is lost. The same goes
//! for what is no character at all.

use std::io::{self, Read};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// With a byte order mark, which goes.
    Utf8,
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

impl Encoding {
    /// By where the zeros of the first characters stand: the first two of any log are ASCII.
    pub fn by_zeros(head: &[u8]) -> Option<Encoding> {
        let text = |byte: u8| (b' '..=b'~').contains(&byte) || matches!(byte, b'\t' | b'\r' | b'\n');
        match *head {
            [a, 0, 0, 0, ..] if text(a) => Some(Encoding::Utf32Le),
            [0, 0, 0, a, ..] if text(a) => Some(Encoding::Utf32Be),
            [a, 0, b, 0, ..] if text(a) && text(b) => Some(Encoding::Utf16Le),
            [0, a, 0, b, ..] if text(a) && text(b) => Some(Encoding::Utf16Be),
            _ => None,
        }
    }

    fn unit(self) -> usize {
        match self {
            Encoding::Utf8 => 1,
            Encoding::Utf16Le | Encoding::Utf16Be => 2,
            Encoding::Utf32Le | Encoding::Utf32Be => 4,
        }
    }

    fn read(self, unit: &[u8]) -> u32 {
        match self {
            Encoding::Utf8 => u32::from(unit[0]),
            Encoding::Utf16Le => u32::from(u16::from_le_bytes([unit[0], unit[1]])),
            Encoding::Utf16Be => u32::from(u16::from_be_bytes([unit[0], unit[1]])),
            Encoding::Utf32Le => u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]),
            Encoding::Utf32Be => u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]),
        }
    }
}

/// Bytes read from below at once.
const READ_BYTES: usize = 32 << 10;
const MARK: u32 = 0xfeff;

/// Turns what it reads into UTF-8.
pub struct Transcoder {
    encoding: Encoding,
    input: Vec<u8>,
    output: Vec<u8>,
    given: usize,
    begun: bool,
    /// The first character that is no white space opens a JSON value; `None` before it.
    json: Option<bool>,
}

impl Transcoder {
    pub fn new(encoding: Encoding) -> Self {
        Transcoder { encoding, input: Vec::new(), output: Vec::new(), given: 0, begun: false, json: None }
    }

    /// As [`Read::read`], from `below`.
    pub fn read(&mut self, below: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
        if self.encoding == Encoding::Utf8 && self.begun && self.given == self.output.len() {
            return below.read(out);
        }
        while self.given == self.output.len() {
            let have = self.input.len();
            self.input.resize(have + READ_BYTES, 0);
            let read = below.read(&mut self.input[have..]);
            self.input.truncate(have + *read.as_ref().unwrap_or(&0));
            let ended = read? == 0;
            self.output.clear();
            self.given = 0;
            self.convert(ended);
            if ended && self.output.is_empty() {
                return Ok(0);
            }
        }
        let count = out.len().min(self.output.len() - self.given);
        out[..count].copy_from_slice(&self.output[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }

    /// All whole characters of the input go to the output; with `ended` what is left of it too.
    fn convert(&mut self, ended: bool) {
        if self.encoding == Encoding::Utf8 {
            const MARK: &[u8] = &[0xef, 0xbb, 0xbf];
            if !self.begun && self.input.len() < MARK.len() && !ended {
                return;
            }
            let from = if !self.begun && self.input.starts_with(MARK) { MARK.len() } else { 0 };
            self.begun = true;
            self.output.extend_from_slice(&self.input[from..]);
            self.input.clear();
            return;
        }
        let (encoding, width) = (self.encoding, self.encoding.unit());
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while at + width <= input.len() {
            let unit = encoding.read(&input[at..]);
            let mut taken = width;
            let code = match (unit, width) {
                (0xd800..=0xdbff, 2) => match input.get(at + 2..at + 4).map(|next| encoding.read(next)) {
                    Some(low @ 0xdc00..=0xdfff) => {
                        taken = 4;
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    // Its other half may be on the way.
                    None if !ended => break,
                    _ => unit,
                },
                _ => unit,
            };
            at += taken;
            self.put(code);
        }
        self.input.extend_from_slice(&input[at..]);
        if ended {
            for byte in std::mem::take(&mut self.input) {
                self.escape(&format!("\\x{byte:02x}"));
            }
        }
    }

    fn put(&mut self, code: u32) {
        if !std::mem::replace(&mut self.begun, true) && code == MARK {
            return;
        }
        if self.json.is_none() && !matches!(code, 0x09 | 0x0a | 0x0d | 0x20) {
            self.json = Some([u32::from(b'{'), u32::from(b'[')].contains(&code));
        }
        match char::from_u32(code) {
            Some(character) if character.is_ascii() => self.output.push(code as u8),
            Some(character) => self.output.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.escape(&format!("\\u{code:04x}")),
        }
    }

    fn escape(&mut self, text: &str) {
        if self.json == Some(true) {
            self.output.push(b'\\');
        }
        self.output.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcode(encoding: Encoding, bytes: &[u8]) -> String {
        /// A few bytes at a time.
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(3);
                self.0.read(&mut buffer[..count])
            }
        }
        let mut transcoder = Transcoder::new(encoding);
        let (mut below, mut text, mut out) = (Drip(bytes), Vec::new(), [0; 5]);
        loop {
            match transcoder.read(&mut below, &mut out).unwrap() {
                0 => return String::from_utf8(text).unwrap(),
                count => text.extend_from_slice(&out[..count]),
            }
        }
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "{\"name\": \"Zoë 🦀 日本\"}\r\n{\"b\": 2}";
        let marked = format!("\u{feff}{text}");
        assert_eq!(transcode(Encoding::Utf8, marked.as_bytes()), text);
        for text_16 in [text, &marked] {
            assert_eq!(transcode(Encoding::Utf16Le, &utf16(text_16, u16::to_le_bytes)), text);
            assert_eq!(transcode(Encoding::Utf16Be, &utf16(text_16, u16::to_be_bytes)), text);
            let wide: Vec<u8> = text_16.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
            assert_eq!(transcode(Encoding::Utf32Le, &wide), text);
            let wide: Vec<u8> = text_16.chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
            assert_eq!(transcode(Encoding::Utf32Be, &wide), text);
        }
    }

    #[test]
    fn what_has_no_utf_8_is_told_in_characters() {
        let mut json = utf16("{\"a\": \"x", u16::to_le_bytes);
        json.extend(0xd83e_u16.to_le_bytes());
        json.extend(utf16("y\"}", u16::to_le_bytes));
        assert_eq!(transcode(Encoding::Utf16Le, &json), "{\"a\": \"x\\\\ud83ey\"}");
        let mut text = utf16("x=", u16::to_le_bytes);
        text.extend(0xdc00_u16.to_le_bytes());
        text.extend(0xd800_u16.to_le_bytes());
        text.push(b'!');
        assert_eq!(transcode(Encoding::Utf16Le, &text), "x=\\udc00\\ud800\\x21");
    }
}
