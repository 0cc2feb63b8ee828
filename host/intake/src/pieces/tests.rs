use super::*;
use bzip2::write::BzEncoder;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
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

fn source() -> Arc<Source> {
    Arc::new(Source::new("s3", "bucket", "key"))
}

fn all<R: Read>(mut pieces: Pieces<R>) -> Vec<Piece> {
    std::iter::from_fn(|| pieces.read_piece().unwrap()).collect()
}

fn limits(payload_bytes: usize, input_bytes: usize) -> Limits {
    Limits { payload_bytes, input_bytes, ..Limits::default() }
}

fn read(bytes: &[u8], payload_bytes: usize, max: usize) -> Vec<Piece> {
    all(Pieces::with_limits(source(), Drip(bytes), Framing::default(), limits(payload_bytes, max)))
}

/// `offset:text` of payloads, `offset+length reason` of letters.
fn shown(pieces: &[Piece]) -> Vec<String> {
    let show = |piece: &Piece| match piece {
        Piece::Payload(payload) => format!("{}:{}", payload.offset, String::from_utf8_lossy(&payload.bytes)),
        Piece::Dead(letter) => {
            format!("{}+{} {}", letter.position.offset, letter.position.length, letter.reason.code())
        }
        Piece::Skip(skip) => skip.code().to_owned(),
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
    let whole =
        |piece: &Piece| matches!(piece, Piece::Payload(payload) if payload.bytes.len() >= document.trim_end().len());
    assert!(pieces.iter().any(whole));
}

#[test]
fn documents_need_nothing_between_them() {
    for text in ["{\"a\": 1}{\"b\": 2}{\"c\": 3}", "{\"a\": 1}\r\n{\"b\": 2}\r\n", "{\n \"a\": 1\n}\n{\n \"b\": 2\n}\n"]
    {
        for payload_bytes in 1..text.len() {
            let pieces = read(text.as_bytes(), payload_bytes, 1_000);
            assert_eq!(whole(&pieces), text.as_bytes());
            for piece in &pieces {
                let Piece::Payload(payload) = piece else { unreachable!() };
                let values = serde_json::Deserializer::from_slice(&payload.bytes).into_iter::<serde_json::Value>();
                assert!(values.into_iter().all(|value| value.is_ok()), "{:?}", shown(&pieces));
            }
        }
    }
}

#[test]
fn a_pipe_is_not_waited_for() {
    let text = b"{\"a\": 1}\n{\"b\": 2}\n{\"c\": 3}\n";
    let mut pieces = Pieces::new(source(), Drip(text), Framing::default()).eager();
    let all: Vec<Piece> = std::iter::from_fn(|| pieces.read_piece().unwrap()).collect();
    assert!(all.len() > 1, "{:?}", shown(&all));
    assert_eq!(whole(&all), text);
    // Three lines at once and then silence: all three come.
    let silence = Drip(text).chain(Silent);
    let mut pieces = Pieces::new(source(), silence, Framing::default()).eager();
    let mut all = Vec::new();
    while let Ok(Some(piece)) = pieces.read_piece() {
        all.push(piece);
    }
    assert_eq!(whole(&all), text);
    // The same behind a line that is too long, and behind a document that is.
    let long = "x".repeat(3_000);
    let lines = "  \"key\": 1,\n".repeat(300);
    for (too_long, then) in
        [(format!("{{\"a\": \"{long}\n"), ""), (format!("{{\n{lines}  \"end\": 0\n}}\n"), "{\"c\": 3}\n")]
    {
        let text = format!("{too_long}{{\"b\": 2}}\n{then}");
        let limits = Limits { input_bytes: 1_000, ..Limits::default() };
        let silence = Drip(text.as_bytes()).chain(Silent);
        let mut pieces = Pieces::with_limits(source(), silence, Framing::default(), limits).eager();
        let mut all = Vec::new();
        while let Ok(Some(piece)) = pieces.read_piece() {
            all.push(piece);
        }
        let end = too_long.len();
        let expected = [format!("0+{end} limit"), format!("{end}:{{\"b\": 2}}\n")];
        assert_eq!(shown(&all)[..2], expected, "{then}");
    }
}

#[test]
fn the_last_line_needs_no_end_and_nothing_is_skipped() {
    assert_eq!(shown(&read(b"{\"a\": 1}", 100, 1_000)), ["0:{\"a\": 1}"]);
    assert_eq!(shown(&read(b"", 100, 1_000)), ["empty_object"]);
    assert_eq!(shown(&read(&gzip(b""), 100, 1_000)), ["empty_object"]);
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

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn snappy(text: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(text).unwrap();
    encoder.into_inner().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

type Method = zip::CompressionMethod;

/// Entries as (name, bytes, method). With `streamed` the archiver could not go back, so sizes follow the data.
fn zip(entries: &[(&str, &[u8], Method)], streamed: bool) -> Vec<u8> {
    let options = |method: Method| zip::write::SimpleFileOptions::default().compression_method(method);
    if streamed {
        let mut writer = zip::ZipWriter::new_stream(Vec::new());
        for (name, bytes, method) in entries {
            writer.start_file(*name, options(*method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        return writer.finish().unwrap().into_inner();
    }
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes, method) in entries {
        match name.strip_suffix('/') {
            Some(folder) => writer.add_directory(folder, options(Method::Stored)).unwrap(),
            None => {
                writer.start_file(*name, options(*method)).unwrap();
                writer.write_all(bytes).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

/// `object:offset:text`.
fn named(pieces: &[Piece]) -> Vec<String> {
    let show = |piece: &Piece| match piece {
        Piece::Payload(payload) => {
            format!("{}:{}:{}", payload.source.object, payload.offset, String::from_utf8_lossy(&payload.bytes))
        }
        Piece::Dead(letter) => format!("{} {}: {}", letter.source.object, letter.reason.code(), letter.message),
        Piece::Skip(skip) => skip.code().to_owned(),
    };
    pieces.iter().map(show).collect()
}

fn lines(count: u64) -> String {
    (0..count).map(|number| format!("{{\"number\": {}}}\n", number * 7_919 % 1_000_003)).collect()
}

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKS: [(&str, Pack); 5] = [("gzip", gzip), ("zlib", zlib), ("bzip2", bzip2), ("snappy", snappy), ("zstd", zstd)];

#[test]
fn every_compression_is_known_by_its_content_once_and_twice() {
    let text = lines(500);
    for (outer_name, outer) in PACKS {
        assert!(whole(&read(&outer(text.as_bytes()), 1_000, 10_000)) == text.as_bytes(), "{outer_name}");
        for (name, inner) in PACKS {
            let bytes = outer(&inner(text.as_bytes()));
            assert!(whole(&read(&bytes, 1_000, 10_000)) == text.as_bytes(), "{name} in {outer_name}");
            let three = read(&gzip(&bytes), 1_000, 10_000);
            let [Piece::Dead(letter)] = &three[..] else { panic!("{:?}", shown(&three)) };
            assert_eq!(letter.reason, Reason::Compression);
            assert!(letter.message.contains("within 2 other layers"), "{}", letter.message);
        }
    }
}

#[test]
fn all_frames_of_every_kind_are_read() {
    for pack in [gzip as Pack, bzip2, snappy, zstd] {
        let bytes = [pack(b"{\"a\": 1}\n"), pack(b""), pack(b"{\"b\": 2}\n")].concat();
        assert_eq!(whole(&read(&bytes, 1_000, 1_000)), b"{\"a\": 1}\n{\"b\": 2}\n");
    }
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9][..], &zstd(b"{\"a\": 1}\n")].concat();
    assert_eq!(whole(&read(&skippable, 1_000, 1_000)), b"{\"a\": 1}\n");
}

#[test]
fn whatever_the_compression_a_cut_costs_only_what_was_cut() {
    let text = lines(20_000);
    for (name, pack) in PACKS {
        let bytes = pack(text.as_bytes());
        for cut in [bytes.len() - 1, bytes.len() * 2 / 3, bytes.len() / 2] {
            let mut pieces = read(&bytes[..cut], 1_000, 100_000);
            let Some(Piece::Dead(letter)) = pieces.pop() else { panic!("{name}: no letter at {cut}") };
            assert!(letter.message.contains("ends early"), "{name}: {}", letter.message);
            let good = whole(&pieces);
            assert_eq!(letter.position.offset, good.len() as u64, "{name} cut at {cut}");
            assert!(text.as_bytes().starts_with(&good));
            // Bzip2 unpacks in blocks of 900 KB, so a cut one may give nothing.
            assert!(name == "bzip2" || good.len() > text.len() / 4, "{name} {cut}: {}", good.len());
        }
    }
    // Damage below shows as damage, not as the end of what stands on it.
    let bytes = gzip(&zstd(text.as_bytes()));
    let pieces = read(&bytes[..bytes.len() / 2], 1_000, 100_000);
    let Some(Piece::Dead(letter)) = pieces.last() else { panic!() };
    assert!(letter.message.starts_with("the gzip data ends early"), "{}", letter.message);
}

#[test]
fn the_entries_of_a_zip_are_objects_of_their_own() {
    let (a, b, c) = (&b"{\"a\": 1}\n"[..], lines(3), gzip(b"{\"c\": 3}\n"));
    for method in [Method::Stored, Method::Deflated, Method::Bzip2, Method::Zstd] {
        let entries = [("a.json", a, method), ("logs/b.json", b.as_bytes(), method), ("c.gz", &c, method)];
        for streamed in [false, true] {
            if streamed && method == Method::Stored {
                continue;
            }
            let bytes = zip(&entries, streamed);
            let expected = [
                "key!/a.json:0:{\"a\": 1}\n".to_owned(),
                format!("key!/logs/b.json:0:{b}"),
                "key!/c.gz:0:{\"c\": 3}\n".to_owned(),
            ];
            assert_eq!(named(&read(&bytes, 1_000, 1_000)), expected, "{method} {streamed}");
            assert_eq!(named(&read(&gzip(&bytes), 1_000, 1_000))[..2], expected[..2]);
        }
    }
    let folders = zip(&[("logs/", b"", Method::Stored), ("logs/empty", b"", Method::Deflated)], false);
    assert_eq!(named(&read(&folders, 1_000, 1_000)), ["empty_object"]);
    assert_eq!(named(&read(&zip(&[], false), 1_000, 1_000)), ["empty_object"]);
    let inner = zip(&[("x", a, Method::Deflated), ("y", a, Method::Stored)], false);
    let outer = zip(&[("in.zip", &inner, Method::Deflated), ("z", a, Method::Deflated)], true);
    assert_eq!(
        named(&read(&outer, 1_000, 1_000)),
        ["key!/in.zip!/x:0:{\"a\": 1}\n", "key!/in.zip!/y:0:{\"a\": 1}\n", "key!/z:0:{\"a\": 1}\n"]
    );
}

#[test]
fn an_entry_that_cannot_be_read_costs_no_other() {
    let text = &b"{\"a\": 1}\n"[..];
    for streamed in [false, true] {
        let entries =
            [("one", text, Method::Deflated), ("two", text, Method::Deflated), ("end", text, Method::Deflated)];
        let good = zip(&entries, streamed);
        let begins: Vec<usize> = memchr::memmem::find_iter(&good, b"PK\x03\x04").collect();
        let check = |change: &dyn Fn(&mut Vec<u8>), says: &str| {
            let mut bytes = good.clone();
            change(&mut bytes);
            let pieces = named(&read(&bytes, 1_000, 1_000));
            assert_eq!(pieces.len(), 3, "{streamed} {pieces:?}");
            assert_eq!(pieces[0], "key!/one:0:{\"a\": 1}\n");
            assert!(pieces[1].starts_with("key!/two compression: ") && pieces[1].contains(says), "{pieces:?}");
            assert_eq!(pieces[2], "key!/end:0:{\"a\": 1}\n");
        };
        check(&|bytes| bytes[begins[1] + 6] |= 1, "encrypted");
        check(&|bytes| bytes[begins[1] + 8] = 98, "method 98");
        check(&|bytes| bytes[begins[1] + 33] = 0xff, "damaged");
    }
    let good = zip(&[("one", text, Method::Stored), ("two", text, Method::Stored)], false);
    let mut bytes = good.clone();
    bytes[33] ^= 1;
    let pieces = named(&read(&bytes, 1_000, 1_000));
    assert!(pieces[1].contains("checksum"), "{pieces:?}");
    assert_eq!(pieces[2], "key!/two:0:{\"a\": 1}\n");
    // Nor does a bad checksum hide that the archive is cut off after it.
    let pieces = named(&read(&bytes[..50 + text.len()], 1_000, 1_000));
    assert!(pieces[1].contains("checksum") && pieces[2].contains("zip archive ends early"), "{pieces:?}");
    let pieces = named(&read(&good[..33 + text.len()], 1_000, 1_000));
    assert_eq!(pieces[0], "key!/one:0:{\"a\": 1}\n");
    assert!(pieces[1].contains("zip archive ends early"), "{pieces:?}");
    let pieces = named(&read(&good[..38], 1_000, 1_000));
    assert_eq!(pieces.len(), 1, "{pieces:?}");
    assert!(pieces[0].contains("zip data ends early"), "{pieces:?}");
}

#[test]
fn a_bomb_goes_off_in_the_open() {
    let zeros = vec![b'0'; 3 << 20];
    let mut text = lines(10).into_bytes();
    text.extend_from_slice(&zeros);
    let small = Limits { unpack_ratio_free_bytes: 1 << 20, ..limits(1_000, 8 << 20) };
    for (bytes, limits, says) in [
        (gzip(&text), small, "times as much"),
        (gzip(&gzip(&text)), small, "times as much"),
        (zip(&[("a", &text, Method::Deflated)], false), small, "times as much"),
        (gzip(lines(50_000).as_bytes()), Limits { unpacked_bytes: 100_000, ..limits(1_000, 8 << 20) }, "100000 bytes"),
    ] {
        let mut pieces = all(Pieces::with_limits(source(), &bytes[..], Framing::default(), limits));
        let Some(Piece::Dead(letter)) = pieces.pop() else { panic!() };
        assert_eq!(letter.reason, Reason::Limit);
        assert!(letter.message.contains(says), "{}", letter.message);
        let good = whole(&pieces);
        // The last line ends with the newline that the letter begins with.
        assert!(good.starts_with(lines(10).trim_end().as_bytes()), "{}", good.len());
        assert_eq!(letter.position.offset, good.len() as u64);
    }
    // Honest logs are not that good to pack, and small ones may be.
    assert_eq!(whole(&read(&gzip("{\"a\": 1}\n".repeat(100_000).as_bytes()), 1 << 16, 1 << 20)).len(), 900_000);
}

#[test]
fn the_name_says_nothing_and_what_is_foreign_is_told() {
    for bytes in [&b"\xfd7zXZ\x00\x00"[..], b"7z\xbc\xaf\x27\x1c....", b"\x04\x22\x4d\x18...."] {
        let pieces = named(&read(bytes, 1_000, 1_000));
        assert!(pieces.len() == 1 && pieces[0].contains("cannot be read here"), "{pieces:?}");
    }
    assert_eq!(shown(&read(b"x^2 is a square", 1_000, 1_000)), ["0:x^2 is a square"]);
}

#[test]
fn text_is_utf_8_in_the_end() {
    let text = "{\"a\": \"é\"}\n{\"b\": 2}\n";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), wide.clone(), gzip(&[b"\xff\xfe", &wide[..]].concat())] {
        assert_eq!(whole(&read(&bytes, 8, 1_000)), text.as_bytes());
    }
}

#[test]
fn the_header_in_force_travels_with_every_payload() {
    let framing = Framing { header: true, ..Framing::default() };
    let heads = |bytes: &[u8]| {
        let pieces = all(Pieces::with_limits(source(), bytes, framing, limits(20, 1_000)));
        let head = |piece: &Piece| match piece {
            Piece::Payload(payload) => String::from_utf8_lossy(&payload.head).into_owned(),
            other => panic!("{other:?}"),
        };
        pieces.iter().map(head).collect::<Vec<_>>()
    };
    let mut found = heads(b"time,user\r\n1,root\n2,alice\n3,bob and more of it\n4,x\n");
    assert!(found.len() > 2);
    assert_eq!(found.remove(0), "");
    assert!(found.iter().all(|head| head == "time,user"), "{found:?}");
    let text =
        "#Version: 1\n#Fields: a b\n1 2\n3 4 and more of it\n#Fields: c d\n5 6 and more of it\n7 8 #Fields: no\n9 9";
    let found = heads(text.as_bytes());
    assert_eq!((found.first().unwrap().as_str(), found.last().unwrap().as_str()), ("", "#Fields: c d"));
    assert!(found.iter().any(|head| head == "#Fields: a b"), "{found:?}");
    // Without a header nothing is carried along.
    let Piece::Payload(last) = read(b"a\nb\nccccccccccccc\ndddddddd\n", 8, 100).pop().unwrap() else { panic!() };
    assert!(last.head.is_empty());
}

#[test]
fn an_object_for_a_parser_is_one_payload() {
    let framing = Framing { whole: true, ..Framing::default() };
    let text = lines(100);
    let all_of = |max: usize| shown(&all(Pieces::with_limits(source(), text.as_bytes(), framing, limits(100, max))));
    assert_eq!(all_of(text.len()), [format!("0:{text}")]);
    assert_eq!(all_of(text.len() - 1), [format!("0+{} limit", text.len())]);
    let bytes = gzip(text.as_bytes());
    let cut = all(Pieces::with_limits(source(), &bytes[..bytes.len() / 2], framing, limits(100, 10_000)));
    assert!(
        matches!(&cut[..], [Piece::Dead(letter)] if letter.reason == Reason::Compression && letter.position.offset == 0)
    );
}

#[test]
fn reading_goes_on_at_any_cursor_as_if_it_had_not_stopped() {
    let text =
        format!("time,user\n{}", (0..300).map(|number| format!("{number},user-{}\n", number % 7)).collect::<String>());
    let wide: Vec<u8> = lines(200).encode_utf16().flat_map(u16::to_be_bytes).collect();
    let entries =
        [("a", text.as_bytes(), Method::Deflated), ("b", &b""[..], Method::Stored), ("c", &wide, Method::Zstd)];
    let long = format!("{{\"a\": 1}}\n{{\"long\": \"{}\n{}", "x".repeat(3_000), lines(100));
    let bytes = gzip(long.as_bytes());
    let objects = [
        text.clone().into_bytes(),
        gzip(text.as_bytes()),
        zstd(text.as_bytes()),
        gzip(&zip(&entries, true)),
        bytes[..bytes.len() - 9].to_vec(),
        zip(&entries, false)[..200].to_vec(),
        // The inner archive ends within its entry.
        zip(
            &[("cut", &zip(&entries, false)[..200], Method::Stored), ("d", b"{\"a\": 1}\n{}\n", Method::Stored)],
            false,
        ),
        Vec::new(),
    ];
    for object in &objects {
        for framing in [Framing::default(), Framing { header: true, ..Framing::default() }] {
            let limits = limits(200, 1_000);
            let open = || Pieces::with_limits(source(), &object[..], framing, limits);
            let told = |pieces: &[Piece]| {
                let head = |piece: &Piece| match piece {
                    Piece::Payload(payload) => payload.head.to_vec(),
                    _ => Vec::new(),
                };
                named(pieces).into_iter().zip(pieces.iter().map(head)).collect::<Vec<_>>()
            };
            let expected = told(&all(open()));
            for stop in 0..=expected.len() {
                let mut pieces = open();
                let first: Vec<Piece> = (0..stop).map(|_| pieces.read_piece().unwrap().unwrap()).collect();
                let cursor = serde_json::to_string(&pieces.cursor()).unwrap();
                let rest = all(open().from_cursor(serde_json::from_str(&cursor).unwrap()));
                assert_eq!([told(&first), told(&rest)].concat(), expected, "stopped after {stop} at {cursor}");
            }
        }
    }
    let mut pieces =
        Pieces::new(source(), &b"{}\n"[..], Framing::default()).from_cursor(Cursor { offset: 99, ..Cursor::default() });
    assert!(pieces.read_piece().unwrap_err().to_string().contains("shorter"));
}
