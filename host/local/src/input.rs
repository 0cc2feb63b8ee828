//! Reads files, folders and pipes as streams of payloads: decompressed, and cut where an input ends. A file of any size
//! takes the memory of its largest input.

mod decompress;

use decompress::Decompressed;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use streamalert_pipeline::classifier::{Framing, complete_inputs};
use streamalert_pipeline::config::cluster::SERVICES;
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::limits::INPUT_BYTES_MAX;
use streamalert_pipeline::log_record::{Payload, Position, Source};

/// Bytes of a payload, unless one input is larger: some hundred records, so that the queue costs nothing beside them, and
/// a file of some megabytes still keeps all cores busy.
pub const PAYLOAD_BYTES: usize = 512 << 10;
/// What lies beside logs in a folder and is none: how they came about, and what they mean.
const NO_LOGS: [&str; 2] = ["md", "py"];
/// Bytes read from a pipe at once: what a pipe holds.
const EAGER_BYTES: usize = 64 << 10;
/// Bytes that a letter keeps of something too long or cut off: enough to see what it was.
const SAMPLE_BYTES: usize = 64 << 10;

/// What a stream holds next.
#[derive(Debug)]
pub enum Piece {
    Payload(Payload),
    Dead(Box<DeadLetter>),
}

struct TooLong {
    sample: Vec<u8>,
    offset: u64,
    /// It has line breaks inside, so the next input begins where a line begins as documents do.
    many_lines: bool,
}

/// Cuts a stream into payloads that end where an input ends.
pub struct Pieces<R: Read> {
    source: Arc<Source>,
    stream: Decompressed<R>,
    buffer: Vec<u8>,
    /// Where `buffer` begins in the decompressed object.
    offset: u64,
    ended: bool,
    /// We are looking for the end of an input that is too long.
    too_long: Option<TooLong>,
    payload_bytes: usize,
    input_bytes_max: usize,
    /// Hands on what is there instead of waiting for more: for pipes, where more may take hours.
    eager: bool,
}

impl<R: Read> Pieces<R> {
    pub fn new(source: Arc<Source>, reader: R) -> Self {
        Self::with_sizes(source, reader, PAYLOAD_BYTES, INPUT_BYTES_MAX)
    }

    fn with_sizes(source: Arc<Source>, reader: R, payload_bytes: usize, input_bytes_max: usize) -> Self {
        Pieces {
            source,
            stream: Decompressed::new(reader),
            buffer: Vec::new(),
            offset: 0,
            ended: false,
            too_long: None,
            payload_bytes,
            input_bytes_max,
            eager: false,
        }
    }

    pub fn eager(self) -> Self {
        Pieces { eager: true, ..self }
    }

    /// `None` at the end. An error is the reader's: what came before it stands, what comes after it is unknown.
    pub fn read_piece(&mut self) -> io::Result<Option<Piece>> {
        // What the last payload left may be complete by itself.
        let mut want = if self.eager { self.buffer.len().max(1) } else { self.payload_bytes };
        loop {
            if self.too_long.is_some() {
                if let Some(letter) = self.skip_to_next_line()? {
                    return Ok(Some(Piece::Dead(Box::new(letter))));
                }
                continue;
            }
            self.fill(want)?;
            if self.ended {
                return Ok(self.last());
            }
            match complete_inputs(&self.buffer, &Framing::default()) {
                0 if self.buffer.len() >= self.input_bytes_max => {
                    self.too_long = Some(TooLong {
                        sample: self.buffer[..self.buffer.len().min(SAMPLE_BYTES)].to_vec(),
                        offset: self.offset,
                        many_lines: memchr::memchr(b'\n', &self.buffer).is_some(),
                    });
                    self.drop_bytes(self.buffer.len());
                }
                // Small enough to look again at every byte that comes.
                0 if self.eager && self.buffer.len() < EAGER_BYTES => want = self.buffer.len() + 1,
                // Each look starts from the beginning; by doubling, all looks together cost two.
                0 => want = (self.buffer.len() * 2).min(self.input_bytes_max),
                end => return Ok(Some(Piece::Payload(self.take(end)))),
            }
        }
    }

    /// Reads until the buffer holds `want` bytes or the stream ends.
    fn fill(&mut self, want: usize) -> io::Result<()> {
        while !self.ended && self.buffer.len() < want {
            let have = self.buffer.len();
            let room = if self.eager { want.max(have + EAGER_BYTES) } else { want };
            self.buffer.resize(room, 0);
            let read = self.stream.read(&mut self.buffer[have..]);
            self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(())
    }

    fn take(&mut self, end: usize) -> Payload {
        let bytes: Arc<[u8]> = Arc::from(&self.buffer[..end]);
        let payload = Payload::new(self.source.clone(), self.offset, bytes);
        self.buffer.drain(..end);
        self.offset += end as u64;
        payload
    }

    /// What is left when the stream has ended.
    fn last(&mut self) -> Option<Piece> {
        let Some(damage) = self.stream.damage() else {
            return (!self.buffer.is_empty()).then(|| Piece::Payload(self.take(self.buffer.len())));
        };
        // What was complete before the damage is good; the rest was cut in the middle.
        match complete_inputs(&self.buffer, &Framing::default()) {
            0 => {
                let damage = damage.to_owned();
                self.stream.forget_damage();
                let cut = std::mem::take(&mut self.buffer);
                let message = format!(
                    "{damage}, after {} decompressed bytes; everything before byte {} was taken, get the object again and send it whole",
                    self.offset + cut.len() as u64,
                    self.offset
                );
                let sample = &cut[..cut.len().min(SAMPLE_BYTES)];
                let letter = self.letter(sample, self.offset, cut.len() as u64, Reason::Compression, message);
                self.offset += cut.len() as u64;
                Some(Piece::Dead(Box::new(letter)))
            }
            end => Some(Piece::Payload(self.take(end))),
        }
    }

    fn drop_bytes(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.offset += count as u64;
    }

    /// Drops bytes up to the next line that can begin an input; the letter when it is found.
    fn skip_to_next_line(&mut self) -> io::Result<Option<DeadLetter>> {
        self.fill(self.payload_bytes)?;
        let many_lines = self.too_long.as_ref().is_some_and(|input| input.many_lines);
        let begins = |end: &usize| !many_lines || matches!(self.buffer.get(end + 1), None | Some(b'{' | b'['));
        let end = memchr::memchr_iter(b'\n', &self.buffer).find(begins);
        match end {
            // Only the next byte tells whether this is it.
            Some(end) if many_lines && end + 1 == self.buffer.len() && !self.ended => {
                self.drop_bytes(end);
                self.fill(self.payload_bytes.max(2))?;
                return Ok(None);
            }
            Some(end) => self.drop_bytes(end + 1),
            None => {
                self.drop_bytes(self.buffer.len());
                if !self.ended {
                    return Ok(None);
                }
            }
        }
        let Some(TooLong { sample, offset, .. }) = self.too_long.take() else { return Ok(None) };
        let message = format!(
            "an input of more than {} bytes: neither a document nor a line ended; going on at byte {}",
            self.input_bytes_max, self.offset
        );
        Ok(Some(self.letter(&sample, offset, self.offset - offset, Reason::Limit, message)))
    }

    /// A letter about `length` bytes of which it keeps `sample`.
    fn letter(&self, sample: &[u8], offset: u64, length: u64, reason: Reason, message: String) -> DeadLetter {
        let payload = Payload::new(self.source.clone(), offset, sample);
        let position = Position { offset, length: sample.len() as u64, index: 0 };
        let mut letter = DeadLetter::new(&payload, "", position, reason, message);
        letter.position.length = length;
        letter
    }
}

/// What the inputs stand for when they are not simply files here, `s3:a-bucket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredSource {
    pub service: String,
    pub resource: String,
}

impl FromStr for DeclaredSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let services = SERVICES.join(", ");
        let (service, resource) =
            text.split_once(':').ok_or_else(|| format!("write SERVICE:RESOURCE, with a service of {services}"))?;
        if !SERVICES.contains(&service) {
            return Err(format!("`{service}` is no service; use one of {services}"));
        }
        if resource.is_empty() {
            return Err("the resource is empty".to_owned());
        }
        Ok(DeclaredSource { service: service.to_owned(), resource: resource.to_owned() })
    }
}

/// The source of a file. By its canonical path, so that one file is one source however it is named: alert ids derive from it.
pub fn file_source(path: &Path, declared: Option<&DeclaredSource>) -> io::Result<Source> {
    let path = fs::canonicalize(path)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (service, resource) = match declared {
        Some(declared) => (declared.service.clone(), declared.resource.clone()),
        None => ("file".to_owned(), path.parent().map(text).unwrap_or_default()),
    };
    Ok(Source::new(service, resource, text(&path)))
}

/// The source of what comes by pipe. It has no name of its own: the same bytes at the same place are the same record.
pub fn stdin_source(declared: Option<&DeclaredSource>) -> Source {
    match declared {
        Some(declared) => Source::new(declared.service.clone(), declared.resource.clone(), String::new()),
        None => Source::new("stdin".to_owned(), "-".to_owned(), String::new()),
    }
}

/// Something to read from start to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    Stdin,
    File(PathBuf),
}

/// The inputs that arguments stand for, and what of them is left out and why. Folders are walked in order of names.
#[derive(Debug, Default)]
pub struct Found {
    pub inputs: Vec<Input>,
    pub ignored: Vec<(PathBuf, &'static str)>,
    /// Of all files, as they lie on the disk.
    pub bytes: u64,
}

pub fn find(arguments: &[PathBuf]) -> io::Result<Found> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            found.inputs.push(Input::Stdin);
            continue;
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", argument.display()));
        let kind = fs::metadata(argument).map_err(named)?;
        if kind.is_dir() {
            walk(argument, &mut seen, &mut found).map_err(named)?;
        } else if seen.insert(fs::canonicalize(argument).map_err(named)?) {
            found.bytes += kind.len();
            found.inputs.push(Input::File(argument.clone()));
        }
    }
    Ok(found)
}

fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, found: &mut Found) -> io::Result<()> {
    // Links may lead in circles.
    if !seen.insert(fs::canonicalize(folder)?) {
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for path in entries {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            found.ignored.push((path, "hidden"));
            continue;
        }
        if path.extension().is_some_and(|end| NO_LOGS.iter().any(|no_log| end == *no_log)) {
            found.ignored.push((path, "no log by its name; name the file itself to have it read"));
            continue;
        }
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => walk(&path, seen, found)?,
            Ok(kind) if kind.is_file() => {
                if seen.insert(fs::canonicalize(&path)?) {
                    found.bytes += kind.len();
                    found.inputs.push(Input::File(path));
                }
            }
            Ok(_) => found.ignored.push((path, "neither a file nor a folder")),
            Err(_) => found.ignored.push((path, "a link that leads nowhere")),
        }
    }
    Ok(())
}

pub fn open(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Gives a few bytes at a time, as pipes do.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(7);
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// Whoever reads it would wait for ever.
    struct Silent;

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("this would wait for ever"))
        }
    }

    fn read(bytes: &[u8], payload_bytes: usize, max: usize) -> Vec<Piece> {
        let source = Arc::new(stdin_source(None));
        let mut pieces = Pieces::with_sizes(source, Drip(bytes), payload_bytes, max);
        std::iter::from_fn(|| pieces.read_piece().unwrap()).collect()
    }

    /// `offset:text` of payloads, `offset+length reason` of letters.
    fn shown(pieces: &[Piece]) -> Vec<String> {
        let show = |piece: &Piece| match piece {
            Piece::Payload(payload) => format!("{}:{}", payload.offset, String::from_utf8_lossy(&payload.bytes)),
            Piece::Dead(letter) => {
                format!("{}+{} {}", letter.position.offset, letter.position.length, letter.reason.code())
            }
        };
        pieces.iter().map(show).collect()
    }

    fn whole(pieces: &[Piece]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in pieces {
            let Piece::Payload(payload) = piece else { panic!("{piece:?}") };
            assert_eq!(payload.offset, bytes.len() as u64);
            bytes.extend_from_slice(&payload.bytes);
        }
        bytes
    }

    #[test]
    fn a_stream_is_cut_between_lines_and_nothing_of_it_is_lost() {
        let text: String = (0..500).map(|number| format!("{{\"number\": {number}}}\n")).collect();
        for bytes in [text.clone().into_bytes(), gzip(text.as_bytes())] {
            let pieces = read(&bytes, 100, 10_000);
            assert!(pieces.len() > 50, "{}", pieces.len());
            assert_eq!(whole(&pieces), text.as_bytes());
            for piece in &pieces {
                let Piece::Payload(payload) = piece else { unreachable!() };
                let lines = std::str::from_utf8(&payload.bytes).unwrap().trim_end().lines();
                assert!(lines.into_iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
            }
        }
    }

    #[test]
    fn an_input_larger_than_a_payload_comes_whole() {
        let document = format!("{{\n\"text\": \"{}\"\n}}\n", "x".repeat(5_000));
        let text = format!("{{\"a\": 1}}\n{document}{{\"b\": 2}}\n");
        let pieces = read(text.as_bytes(), 100, 10_000);
        assert_eq!(whole(&pieces), text.as_bytes());
        let whole = |piece: &Piece| matches!(piece, Piece::Payload(payload) if payload.bytes.len() >= document.trim_end().len());
        assert!(pieces.iter().any(whole));
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let text = b"{\"a\": 1}\n{\"b\": 2}\n{\"c\": 3}\n";
        let mut pieces = Pieces::new(Arc::new(stdin_source(None)), Drip(text)).eager();
        let all: Vec<Piece> = std::iter::from_fn(|| pieces.read_piece().unwrap()).collect();
        assert!(all.len() > 1, "{:?}", shown(&all));
        assert_eq!(whole(&all), text);
        // Three lines at once and then silence: all three come.
        let silence = Drip(text).chain(Silent);
        let mut pieces = Pieces::new(Arc::new(stdin_source(None)), silence).eager();
        let mut all = Vec::new();
        while let Ok(Some(piece)) = pieces.read_piece() {
            all.push(piece);
        }
        assert_eq!(whole(&all), text);
    }

    #[test]
    fn the_last_line_needs_no_end_and_nothing_gives_nothing() {
        assert_eq!(shown(&read(b"{\"a\": 1}", 100, 1_000)), ["0:{\"a\": 1}"]);
        assert!(read(b"", 100, 1_000).is_empty());
        assert!(read(&gzip(b""), 100, 1_000).is_empty());
    }

    #[test]
    fn too_long_an_input_is_a_letter_and_the_next_line_is_read() {
        let text = format!("{{\"a\": 1}}\n{{\"long\": \"{}\n{{\"b\": 2}}\n", "x".repeat(3_000));
        let pieces = shown(&read(text.as_bytes(), 100, 1_000));
        assert_eq!(pieces, ["0:{\"a\": 1}\n", "9+3011 limit", "3020:{\"b\": 2}\n"]);
        let endless = format!("[{}", "1,".repeat(3_000));
        assert_eq!(shown(&read(endless.as_bytes(), 100, 1_000)), ["0+6001 limit"]);
        let lines = "  \"key\": 1,\n".repeat(300);
        let document = format!("{{\n{lines}  \"end\": 0\n}}\n");
        let end = document.len();
        let text = format!("{document}{{\"b\": 2}}\n");
        for payload_bytes in 90..130 {
            let pieces = shown(&read(text.as_bytes(), payload_bytes, 1_000));
            assert_eq!(pieces, [format!("0+{end} limit"), format!("{end}:{{\"b\": 2}}\n")], "{payload_bytes}");
        }
    }

    #[test]
    fn all_members_of_a_gzip_are_read_and_padding_is_none() {
        let mut bytes = gzip(b"{\"a\": 1}\n{\"b\"");
        bytes.extend(gzip(b": 2}\n"));
        bytes.extend(gzip(b""));
        bytes.extend(gzip(b"{\"c\": 3}\n"));
        bytes.extend([0; 600]);
        assert_eq!(whole(&read(&bytes, 1_000, 1_000)), b"{\"a\": 1}\n{\"b\": 2}\n{\"c\": 3}\n");
    }

    #[test]
    fn a_cut_gzip_gives_what_was_complete_and_a_letter_for_the_rest() {
        let text: String = (0..2_000).map(|number| format!("{{\"number\": {}}}\n", number * 7_919 % 10_007)).collect();
        let bytes = gzip(text.as_bytes());
        for cut in [bytes.len() / 2, bytes.len() - 1, bytes.len() - 8, 11, 5, 3] {
            let mut pieces = read(&bytes[..cut], 100, 10_000);
            let Some(Piece::Dead(letter)) = pieces.pop() else { panic!("no letter at {cut}") };
            assert_eq!(letter.reason, Reason::Compression);
            assert!(letter.message.contains("ends early"), "{}", letter.message);
            let good = whole(&pieces);
            assert_eq!(letter.position.offset, good.len() as u64, "cut at {cut}");
            assert!(text.as_bytes().starts_with(&good));
            let cut_line = letter.input.bytes();
            assert!(text.as_bytes()[good.len()..].starts_with(&cut_line));
        }
    }

    #[test]
    fn damage_and_garbage_are_told_of() {
        let text: String = (0..2_000).map(|number| format!("{{\"number\": {}}}\n", number * 7_919 % 10_007)).collect();
        let mut damaged = gzip(text.as_bytes());
        let middle = damaged.len() / 2;
        damaged[middle..middle + 40].fill(0xff);
        let pieces = shown(&read(&damaged, 100, 10_000));
        assert!(pieces.last().unwrap().ends_with(" compression"), "{:?}", pieces.last());
        let mut checksum = gzip(b"{\"a\": 1}\n");
        let end = checksum.len();
        checksum[end - 8] ^= 1;
        assert_eq!(shown(&read(&checksum, 1_000, 1_000)), ["0:{\"a\": 1}\n", "9+0 compression"]);
        let mut followed = gzip(b"{\"a\": 1}\n");
        followed.extend(b"{\"b\": 2}\n");
        assert_eq!(shown(&read(&followed, 1_000, 1_000)), ["0:{\"a\": 1}\n", "9+0 compression"]);
    }

    #[test]
    fn a_file_is_one_source_however_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir(root.join("logs")).unwrap();
        fs::write(root.join("logs/a.json"), "{}").unwrap();
        let plain = file_source(&root.join("logs/a.json"), None).unwrap();
        assert_eq!(plain, file_source(&root.join("logs/../logs/./a.json"), None).unwrap());
        assert_eq!(plain.resource, root.join("logs").display().to_string());
        let declared: DeclaredSource = "s3:bucket".parse().unwrap();
        let source = file_source(&root.join("logs/a.json"), Some(&declared)).unwrap();
        assert_eq!((source.service.as_str(), source.resource.as_str(), source.object), ("s3", "bucket", plain.object));
        for wrong in ["s3", "s3:", "ftp:x", ":x"] {
            assert!(wrong.parse::<DeclaredSource>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn folders_are_walked_in_order_and_what_is_left_out_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        for file in ["b/c/two.json", "b/one.json", "a.json", ".hidden.json", "README.md"] {
            fs::write(root.join(file), "{}").unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root, root.join("b/circle")).unwrap();
            std::os::unix::fs::symlink(root.join("nowhere"), root.join("b/dangling")).unwrap();
        }
        let found = find(&[root.to_path_buf(), root.join("a.json"), PathBuf::from("-")]).unwrap();
        let file = |name: &str| Input::File(root.join(name));
        assert_eq!(found.inputs, [file("a.json"), file("b/c/two.json"), file("b/one.json"), Input::Stdin]);
        assert_eq!(found.bytes, 6);
        assert_eq!(found.ignored.len(), if cfg!(unix) { 3 } else { 2 });
        let error = find(&[root.join("nowhere")]).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
