use crate::{Cursor, Limits, Piece, Pieces};
use apache_avro::types::Value;
use apache_avro::{
    Bzip2Settings, Codec, Days, DeflateSettings, Duration, Millis, Months, Schema, Writer, ZstandardSettings,
};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::io::{Read, Write};
use std::sync::Arc;
use streamalert_pipeline::classifier::Framing;
use streamalert_pipeline::dead_letter::Reason;
use streamalert_pipeline::log_record::Source;

fn pieces(bytes: &[u8]) -> Pieces<&[u8]> {
    let limits = Limits { payload_bytes: 100, ..Limits::default() };
    Pieces::with_limits(Arc::new(Source::new("s3", "bucket", "key")), bytes, Framing::default(), limits)
}

fn all<R: Read>(mut pieces: Pieces<R>) -> Vec<Piece> {
    std::iter::from_fn(|| pieces.read_piece().unwrap()).collect()
}

/// Text of payloads, `reason: message` of letters.
fn shown(pieces: &[Piece]) -> Vec<String> {
    let show = |piece: &Piece| match piece {
        Piece::Payload(payload) => String::from_utf8(payload.bytes.to_vec()).unwrap(),
        Piece::Dead(letter) => format!("{}: {}", letter.reason.code(), letter.message),
        Piece::Skip(skip) => skip.code().to_owned(),
    };
    pieces.iter().map(show).collect()
}

fn text(pieces: &[Piece]) -> String {
    shown(pieces).concat()
}

const CODECS: [fn() -> Codec; 5] = [
    || Codec::Null,
    || Codec::Deflate(DeflateSettings::default()),
    || Codec::Snappy,
    || Codec::Bzip2(Bzip2Settings::default()),
    || Codec::Zstandard(ZstandardSettings::default()),
];

fn avro(schema: &str, rows: Vec<Value>, codec: Codec) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
    for row in rows {
        writer.append_value(row).unwrap();
        // A block each.
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

fn record(fields: Vec<(&str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[test]
fn avro_of_every_type_becomes_json() {
    let schema = r#"{"type": "record", "name": "Row", "namespace": "a.b", "fields": [
        {"name": "int", "type": "int"}, {"name": "long", "type": "long"}, {"name": "double", "type": "double"},
        {"name": "bool", "type": "boolean"}, {"name": "text", "type": "string"}, {"name": "bytes", "type": "bytes"},
        {"name": "none", "type": ["null", "string"]}, {"name": "some", "type": ["null", "string"]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}},
        {"name": "list", "type": {"type": "array", "items": "long"}},
        {"name": "map", "type": {"type": "map", "values": {"type": "array", "items": "string"}}},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "decimal", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "date", "type": {"type": "int", "logicalType": "date"}},
        {"name": "time", "type": {"type": "long", "logicalType": "time-micros"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"name": "for", "type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}},
        {"name": "next", "type": ["null", "Row"]}
    ]}"#;
    let row = |next: Option<Value>| {
        let (branch, next) = next.map_or((0, Value::Null), |next| (1, next));
        record(vec![
            ("int", Value::Int(-5)),
            ("long", Value::Long(i64::MAX)),
            ("double", Value::Double(f64::INFINITY)),
            ("bool", Value::Boolean(true)),
            ("text", Value::String("Zoë \"\n".to_owned())),
            ("bytes", Value::Bytes(vec![0xff])),
            ("none", Value::Union(0, Box::new(Value::Null))),
            ("some", Value::Union(1, Box::new(Value::String("x".to_owned())))),
            ("kind", Value::Enum(1, "b".to_owned())),
            ("list", Value::Array(vec![Value::Long(1), Value::Long(-300)])),
            ("map", Value::Map([("k".to_owned(), Value::Array(vec![]))].into())),
            ("fixed", Value::Fixed(2, b"ok".to_vec())),
            ("decimal", Value::Decimal(apache_avro::Decimal::from([0xff_u8, 0x85]))),
            ("date", Value::Date(19_723)),
            ("time", Value::TimeMicros(1)),
            ("at", Value::TimestampMillis(1_704_067_200_123)),
            ("local", Value::LocalTimestampMicros(0)),
            ("for", Value::Duration(Duration::new(Months::new(1), Days::new(2), Millis::new(3_004)))),
            ("next", Value::Union(branch, Box::new(next))),
        ])
    };
    let begin = concat!(
        r#"{"int":-5,"long":9223372036854775807,"double":"Infinity","bool":true,"text":"Zoë \"\n","bytes":"/w==","#,
        r#""none":null,"some":"x","kind":"b","list":[1,-300],"map":{"k":[]},"fixed":"ok","decimal":-1.23,"#,
        r#""date":"2024-01-01","time":"00:00:00.000001","at":"2024-01-01T00:00:00.123Z","#,
        r#""local":"1970-01-01T00:00:00.000000","for":"P1M2DT3.004S","next":"#,
    );
    for codec in CODECS {
        let bytes = avro(schema, vec![row(None), row(Some(row(None)))], codec());
        assert_eq!(text(&all(pieces(&bytes))), format!("{begin}null}}\n{begin}{begin}null}}}}\n"));
    }
    assert_eq!(shown(&all(pieces(&avro(schema, vec![], Codec::Null)))), ["empty"]);
}

fn numbered(count: i64, codec: Codec) -> Vec<u8> {
    let schema = r#"{"type": "record", "name": "Row", "fields": [{"name": "n", "type": "long"}]}"#;
    avro(schema, (0..count).map(|n| record(vec![("n", Value::Long(n))])).collect(), codec)
}

#[test]
fn damaged_avro_costs_what_is_damaged() {
    for codec in CODECS {
        let good = numbered(50, codec());
        let sync = good[good.len() - 16..].to_vec();
        let ends: Vec<usize> = memchr::memmem::find_iter(&good, &sync).collect();
        // A cut costs the end.
        let cut = all(pieces(&good[..ends[30] - 1]));
        let found = text(&cut[..cut.len() - 1]);
        assert_eq!(found, (0..29).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
        assert!(shown(&cut).last().unwrap().starts_with("compression: the Avro data ends early"), "{:?}", shown(&cut));
        // A block that does not unpack costs itself.
        let mut damaged = good.clone();
        damaged[ends[10] - 1] ^= 0xff;
        damaged[ends[10] - 2] ^= 0xff;
        let found = all(pieces(&damaged));
        let letters: Vec<_> = found.iter().filter(|piece| matches!(piece, Piece::Dead(_))).collect();
        match codec() {
            // What is not packed is not checked.
            Codec::Null | Codec::Deflate(_) => {}
            codec => {
                assert_eq!(letters.len(), 1, "{codec:?} {:?}", shown(&found));
                assert!(text(&found).ends_with("{\"n\":49}\n"), "{codec:?} {:?}", shown(&found));
            }
        }
    }
    let mut unknown = numbered(2, Codec::Deflate(DeflateSettings::default()));
    let at = memchr::memmem::find(&unknown, b"deflate").unwrap();
    unknown[at..at + 7].copy_from_slice(b"strange");
    assert!(shown(&all(pieces(&unknown)))[0].contains("packed by strange"));
}

#[test]
fn a_row_that_json_cannot_say_costs_no_other() {
    let schema = r#"{"type": "record", "name": "Row", "fields": [{"name": "text", "type": "string"}]}"#;
    let rows =
        ["first", "SECOND", "third", "FOURTH"].map(|text| record(vec![("text", Value::String(text.to_owned()))]));
    let mut bytes = avro(schema, rows.to_vec(), Codec::Null);
    for wrong in ["SECOND", "FOURTH"] {
        let at = memchr::memmem::find(&bytes, wrong.as_bytes()).unwrap();
        bytes[at] = 0xff;
    }
    let found = all(pieces(&bytes));
    let shown_all = shown(&found);
    assert_eq!(shown_all[0], "{\"text\":\"first\"}\n");
    assert!(shown_all[1].contains("not UTF-8"), "{shown_all:?}");
    assert_eq!(shown_all[2], "{\"text\":\"third\"}\n");
    assert!(shown_all[3].contains("not UTF-8") && shown_all.len() == 4, "{shown_all:?}");
    let (Piece::Dead(a), Piece::Dead(b)) = (&found[1], &found[3]) else { panic!() };
    assert_ne!(a.id, b.id);
    // And reading goes on at any place.
    for stop in 0..=4 {
        let mut first = pieces(&bytes);
        for _ in 0..stop {
            first.read_piece().unwrap().unwrap();
        }
        let rest = all(pieces(&bytes).from_cursor(first.cursor()));
        assert_eq!(shown(&rest), shown_all[stop..], "{:?}", first.cursor());
    }
}

const MESSAGE: &str = "message row {
    required int64 id;
    optional binary name (UTF8);
    optional boolean ok;
    optional double score;
    required int32 day (DATE);
    required int64 millis (TIMESTAMP(MILLIS,true));
    required int64 nanos (TIMESTAMP(NANOS,false));
    required int96 old;
    required int32 price (DECIMAL(9,2));
    required fixed_len_byte_array(16) large (DECIMAL(38,4));
    required fixed_len_byte_array(16) key (UUID);
    required int32 count (INTEGER(32,false));
    optional binary raw;
    optional group tags (LIST) { repeated group list { optional binary element (UTF8); } }
    optional group props (MAP) { repeated group key_value { required binary key (UTF8); optional int64 value; } }
    required group user { optional binary name (UTF8); }
}";

fn bytes_of(texts: &[&[u8]]) -> Vec<ByteArray> {
    texts.iter().map(|text| ByteArray::from(text.to_vec())).collect()
}

/// Three rows in each group.
fn write_columns<W: Write + Send>(group: &mut SerializedRowGroupWriter<W>, name: &[u8]) {
    macro_rules! column {
        ($ty:ty, $values:expr, $defs:expr, $reps:expr) => {{
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<$ty>().write_batch($values, $defs, $reps).unwrap();
            column.close().unwrap();
        }};
    }
    let large = |number: i128| FixedLenByteArray::from(ByteArray::from(number.to_be_bytes().to_vec()));
    column!(Int64Type, &[1, i64::MAX, 3], None, None);
    column!(ByteArrayType, &bytes_of(&[name, "Zoë".as_bytes()]), Some(&[1, 1, 0]), None);
    column!(BoolType, &[true], Some(&[1, 0, 0]), None);
    column!(DoubleType, &[0.1, f64::NAN], Some(&[1, 1, 0]), None);
    column!(Int32Type, &[19_723, 0, -1], None, None);
    column!(Int64Type, &[1_704_067_200_123, 0, -1], None, None);
    column!(Int64Type, &[1_704_067_200_123_456_789, 0, -1], None, None);
    let mut old = Int96::new();
    old.set_data(0, 0, 2_440_588);
    column!(Int96Type, &[old, old, old], None, None);
    column!(Int32Type, &[12_345, -5, 0], None, None);
    column!(FixedLenByteArrayType, &[large(10_i128.pow(37)), large(-1), large(0)], None, None);
    column!(FixedLenByteArrayType, &[large(1), large(2), large(3)], None, None);
    column!(Int32Type, &[-1, 1, 2], None, None);
    column!(ByteArrayType, &bytes_of(&[b"plain", b"\xff\xfe"]), Some(&[1, 1, 0]), None);
    column!(ByteArrayType, &bytes_of(&[b"a", b"b"]), Some(&[3, 3, 2, 1, 0]), Some(&[0, 1, 1, 0, 0]));
    column!(ByteArrayType, &bytes_of(&[b"x", b"y"]), Some(&[2, 2, 1, 0]), Some(&[0, 1, 0, 0]));
    column!(Int64Type, &[7], Some(&[3, 2, 1, 0]), Some(&[0, 1, 0, 0]));
    column!(ByteArrayType, &bytes_of(&[b"root"]), Some(&[1, 0, 0]), None);
}

fn parquet(compression: Compression, names: &[&[u8]]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(MESSAGE).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    for name in names {
        let mut group = writer.next_row_group().unwrap();
        write_columns(&mut group, name);
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

fn rows(name: &str) -> [String; 3] {
    [
        format!(
            "{}{}{}",
            r#"{"id":1,"name":"NAME","ok":true,"score":0.1,"day":"2024-01-01","millis":"2024-01-01T00:00:00.123Z","#
                .replace("NAME", name),
            r#""nanos":"2024-01-01T00:00:00.123456789","old":"1970-01-01T00:00:00.000Z","price":123.45,"large":1000000000000000000000000000000000.0000,"#,
            r#""key":"00000000-0000-0000-0000-000000000001","count":4294967295,"raw":"plain","tags":["a","b",null],"props":{"x":7,"y":null},"user":{"name":"root"}}"#
        ),
        concat!(
            r#"{"id":9223372036854775807,"name":"Zoë","ok":null,"score":"NaN","day":"1970-01-01","millis":"1970-01-01T00:00:00.000Z","#,
            r#""nanos":"1970-01-01T00:00:00.000000000","old":"1970-01-01T00:00:00.000Z","price":-0.05,"large":-0.0001,"#,
            r#""key":"00000000-0000-0000-0000-000000000002","count":1,"raw":"//4=","tags":[],"props":{},"user":{"name":null}}"#
        )
        .to_owned(),
        concat!(
            r#"{"id":3,"name":null,"ok":null,"score":null,"day":"1969-12-31","millis":"1969-12-31T23:59:59.999Z","#,
            r#""nanos":"1969-12-31T23:59:59.999999999","old":"1970-01-01T00:00:00.000Z","price":0.00,"large":0.0000,"#,
            r#""key":"00000000-0000-0000-0000-000000000003","count":2,"raw":null,"tags":null,"props":null,"user":{"name":null}}"#
        )
        .to_owned(),
    ]
}

#[test]
fn parquet_of_every_type_becomes_json() {
    let expected = [rows("one"), rows("two")].concat().join("\n") + "\n";
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ] {
        let bytes = parquet(compression, &[b"one", b"two"]);
        assert_eq!(text(&all(pieces(&bytes))), expected, "{compression}");
    }
    assert_eq!(shown(&all(pieces(&parquet(Compression::SNAPPY, &[])))), ["empty"]);
}

#[test]
fn damaged_parquet_costs_what_is_damaged() {
    // A text that is none costs its row.
    let bytes = parquet(Compression::UNCOMPRESSED, &[b"one", b"\xffwo"]);
    let found = shown(&all(pieces(&bytes)));
    let letters: Vec<&String> = found.iter().filter(|text| !text.starts_with('{')).collect();
    assert!(
        letters.len() == 1 && letters[0].contains("row 1 of row group 1") && letters[0].contains("name: text"),
        "{letters:?}"
    );
    assert!(found.concat().ends_with(&format!("{}\n", rows("two")[2])));
    assert_eq!(found.iter().filter(|text| text.starts_with('{')).flat_map(|text| text.lines()).count(), 5);
    // A page that is none costs its group.
    let mut damaged = parquet(Compression::SNAPPY, &[b"one", b"two"]);
    damaged[4..40].fill(0xff);
    let found = shown(&all(pieces(&damaged)));
    assert!(found[0].starts_with("compression: row group 0") && found[0].contains("3 of its 3 rows"), "{}", found[0]);
    assert_eq!(found[1..].concat(), rows("two").join("\n") + "\n");
    // Without its end nothing is known.
    let good = parquet(Compression::SNAPPY, &[b"one"]);
    for cut in [5, good.len() / 2, good.len() - 1] {
        let found = all(pieces(&good[..cut]));
        let [Piece::Dead(letter)] = &found[..] else { panic!("{:?}", shown(&found)) };
        assert!(letter.reason == Reason::Compression && letter.message.contains("Parquet"), "{}", letter.message);
    }
    // Whatever is changed, nothing breaks.
    for at in (0..good.len()).step_by(7) {
        let mut changed = good.clone();
        changed[at] ^= 0x55;
        all(pieces(&changed));
    }
}

#[test]
fn rows_go_on_at_any_cursor() {
    let parquet = parquet(Compression::SNAPPY, &[b"one", b"\xff", b"three"]);
    for bytes in [parquet, numbered(100, Codec::Snappy)] {
        let expected = shown(&all(pieces(&bytes)));
        for stop in 0..=expected.len() {
            let mut first = pieces(&bytes);
            for _ in 0..stop {
                first.read_piece().unwrap().unwrap();
            }
            let cursor: Cursor = first.cursor();
            assert_eq!(shown(&all(pieces(&bytes).from_cursor(cursor.clone()))), expected[stop..], "{cursor:?}");
        }
    }
}
