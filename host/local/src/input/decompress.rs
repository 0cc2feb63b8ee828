//! Gzip by content, not by name: all members, padding tolerated, and damage remembered instead of failing the good part.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes read from the file at once.
const READ_BYTES: usize = 64 << 10;

/// A stream that is plain whether it was compressed or not. It ends at damage; `damage` says so.
pub struct Decompressed<R: Read> {
    state: State<R>,
    damage: Option<String>,
}

enum State<R: Read> {
    Start(R),
    Plain(BufReader<Told<io::Chain<io::Cursor<Vec<u8>>, R>>>),
    Gzip(Box<GzDecoder<Compressed<R>>>),
    Ended,
}

type Compressed<R> = BufReader<Told<io::Chain<io::Cursor<Vec<u8>>, R>>>;

/// Marks errors of the reader, so that they are not taken for damage of what it reads.
struct Told<R>(R);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ReadFailed(#[source] io::Error);

impl<R: Read> Read for Told<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, ReadFailed(error)),
        })
    }
}

impl<R: Read> Decompressed<R> {
    pub fn new(reader: R) -> Self {
        Decompressed { state: State::Start(reader), damage: None }
    }

    /// Why the stream ended before its end.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    pub fn forget_damage(&mut self) {
        self.damage = None;
    }

    fn start(&mut self, mut reader: R) -> io::Result<()> {
        let mut head = vec![0; MAGIC.len()];
        let mut have = 0;
        while have < head.len() {
            match reader.read(&mut head[have..]) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        head.truncate(have);
        let compressed = head == MAGIC;
        let stream = BufReader::with_capacity(READ_BYTES, Told(io::Cursor::new(head).chain(reader)));
        self.state = if compressed { State::Gzip(Box::new(GzDecoder::new(stream))) } else { State::Plain(stream) };
        Ok(())
    }

    /// Goes to the next member, over padding. Whatever else follows is damage.
    fn next_member(&mut self, decoder: GzDecoder<Compressed<R>>) -> io::Result<()> {
        let mut stream = decoder.into_inner();
        loop {
            let ahead = stream.fill_buf()?;
            match ahead.iter().position(|byte| *byte != 0) {
                None if ahead.is_empty() => return Ok(()),
                None => {
                    let padding = ahead.len();
                    stream.consume(padding);
                }
                Some(padding) => {
                    let member = ahead[padding] == MAGIC[0];
                    stream.consume(padding);
                    if member {
                        self.state = State::Gzip(Box::new(GzDecoder::new(stream)));
                    } else {
                        self.damage = Some("something that is not gzip follows the compressed data".to_owned());
                    }
                    return Ok(());
                }
            }
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Start(reader) => self.start(reader)?,
                State::Plain(mut stream) => {
                    let read = stream.read(buffer);
                    self.state = State::Plain(stream);
                    return read;
                }
                State::Gzip(mut decoder) => match decoder.read(buffer) {
                    Ok(0) => self.next_member(*decoder)?,
                    Ok(count) => {
                        self.state = State::Gzip(decoder);
                        return Ok(count);
                    }
                    Err(error) if error.get_ref().is_some_and(|inner| inner.is::<ReadFailed>()) => return Err(error),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => self.state = State::Gzip(decoder),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.damage = Some("the compressed data ends early".to_owned());
                    }
                    Err(error) => self.damage = Some(format!("the compressed data is damaged ({error})")),
                },
            }
        }
    }
}
