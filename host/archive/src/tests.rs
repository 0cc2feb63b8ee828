//! Pieces of a journal become files, files become fewer, and every record comes back as it was.

use crate::compact::{compact, expire};
use crate::convert::{Unknown, convert};
use crate::folder::{Archive, hour};
use crate::journal::{Journal, Kind};
use crate::keeper::Keeper;
use crate::read::{Row, parts, records};
use crate::table::Tables;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use streamalert_pipeline::classifier::Before;
use streamalert_pipeline::config::{ArchiveConfig, Schemas};
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};
use streamalert_pipeline::time::parse;

/// 2026-01-02T03:04:05.678Z
const ARRIVED: i64 = 1_767_323_045_678;

struct Place {
    folder: tempfile::TempDir,
    archive: Archive,
    journal: Journal,
    tables: Tables,
}

fn tables(schema: &str) -> Tables {
    let text = format!(r#"{{"test:row": {{"parser": "json", "schema": {schema}}}}}"#);
    Tables::of(&Schemas::read(&[("s.json".to_owned(), text)]).unwrap())
}

fn record(number: u64, json: &str) -> BatchRecord {
    let mut identity = [7; 32];
    identity[..8].copy_from_slice(&number.to_be_bytes());
    BatchRecord {
        source: Arc::new(Source::new("s3", "bucket", format!("object-{}", number % 2))),
        position: Position { offset: number, length: 10, index: 3 },
        identity,
        event_time: number.is_multiple_of(2).then(|| "2026-01-02".to_owned()),
        json: json.to_owned(),
    }
}

fn batch(log_type: &str, arrived: i64, records: Vec<BatchRecord>) -> RecordBatch {
    RecordBatch { cluster: "prod".into(), log_type: log_type.to_owned(), arrived, rule: None, records }
}

impl Place {
    fn new(schema: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let journal = Journal::open(folder.path(), "j").unwrap();
        Place { folder, archive, journal, tables: tables(schema) }
    }

    fn piece(&self, frames: &[(Kind, String)]) -> PathBuf {
        let frames: Vec<(Kind, &[u8])> = frames.iter().map(|(kind, text)| (*kind, text.as_bytes())).collect();
        self.journal.begin(&frames).unwrap();
        assert_eq!(self.journal.end(&[]).unwrap(), None);
        self.journal.close(Duration::ZERO).unwrap().path
    }

    fn keep(&self, batches: &[RecordBatch]) {
        let frames: Vec<(Kind, String)> = batches.iter().map(|batch| (Kind::Records, batch.to_text())).collect();
        let done = convert(&self.archive, &self.tables, &self.piece(&frames), Unknown::Keep).unwrap();
        assert_eq!(done.notices, [] as [String; 0]);
    }

    fn names(&self, table: &str) -> Vec<String> {
        let hours = self.archive.hours(table).unwrap();
        hours.iter().flat_map(|hour| self.archive.files(table, hour).unwrap()).map(|file| file.name).collect()
    }

    /// All records of a table, with when they arrived.
    fn all(&self, table: &str) -> Vec<(i64, BatchRecord)> {
        let mut all = Vec::new();
        for hour in self.archive.hours(table).unwrap() {
            for file in self.archive.files(table, &hour).unwrap() {
                for part in 0..parts(&file).unwrap().len() {
                    let mut read = records(&file, part, None, 100).unwrap();
                    assert_eq!(read.log_type(), Some("test:row"));
                    let mut add = |row: Row<'_>| {
                        assert_eq!(row.cluster, "prod");
                        let Before { source, position, identity, json } = row.record;
                        let (event_time, json) = (row.event_time.map(str::to_owned), json.to_owned());
                        let record = BatchRecord { source, position, identity, event_time, json };
                        all.push((parse(row.arrived).unwrap(), record));
                    };
                    while read.read(&mut add).unwrap() > 0 {}
                }
            }
        }
        all.sort_by_key(|(_, record)| record.position);
        all
    }
}

#[test]
fn records_come_back_to_the_last_digit() {
    let place = Place::new(r#"{"n": "integer", "o": {"a.b": "float"}, "l": []}"#);
    let texts = [
        r#"{"n":1,"o":{"a.b":1.50},"l":["x",{"k":1e400}]}"#,
        r#"{"n":123456789012345678901234567890,"o":"no object","l":5,"new":{"é":"\u0000\n"}}"#,
        "{}",
        r#"{"n":null,"o":null,"l":null}"#,
    ];
    let rows: Vec<BatchRecord> = texts.iter().enumerate().map(|(at, text)| record(at as u64, text)).collect();
    place.keep(&[batch("test:row", ARRIVED, rows.clone())]);
    assert_eq!(place.archive.hours("test_row").unwrap(), ["2026-01-02-03"]);
    let all = place.all("test_row");
    assert!(all.iter().all(|(arrived, _)| *arrived == ARRIVED));
    assert_eq!(all.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), rows);
}

#[test]
fn doing_a_piece_again_changes_nothing() {
    let place = Place::new(r#"{"n": "integer"}"#);
    let frames = [
        (Kind::Records, batch("test:row", ARRIVED, vec![record(1, r#"{"n":1}"#)]).to_text()),
        (Kind::Records, batch("test:row", ARRIVED + 3_600_000, vec![record(2, r#"{"n":2}"#)]).to_text()),
        (Kind::Alerts, format!("{{\"id\":\"{}\",\"created\":\"2026-01-02T03:04:05Z\"}}", "a".repeat(32))),
    ];
    let piece = place.piece(&frames);
    let bytes = std::fs::read(&piece).unwrap();
    convert(&place.archive, &place.tables, &piece, Unknown::Keep).unwrap();
    assert!(!piece.exists());
    let before = (place.names("test_row"), place.names("alerts"), place.all("test_row"));
    assert_eq!((before.0.len(), before.1.len(), before.2.len()), (2, 1, 2));
    // It was ended before the piece was removed.
    std::fs::write(&piece, bytes).unwrap();
    convert(&place.archive, &place.tables, &piece, Unknown::Keep).unwrap();
    assert_eq!((place.names("test_row"), place.names("alerts"), place.all("test_row")), before);
}

#[test]
fn small_files_become_one_and_copies_go() {
    let place = Place::new(r#"{"n": "integer"}"#);
    let rows = |numbers: std::ops::Range<u64>| numbers.map(|n| record(n, &format!("{{\"n\":{n}}}"))).collect();
    for from in [0, 5, 10] {
        place.keep(&[batch("test:row", ARRIVED, rows(from..from + 10))]);
    }
    let hour = hour(ARRIVED);
    assert_eq!(compact(&place.archive, "test_row", &hour, 4, "few").unwrap().files, 0, "three are few");
    let reading = place.archive.reading().unwrap();
    let merged = compact(&place.archive, "test_row", &hour, 2, "x").unwrap();
    assert_eq!((merged.files, merged.rows, merged.copies), (3, 20, 10));
    assert_eq!(place.names("test_row"), ["merged-x-0.parquet"]);
    assert_eq!(place.all("test_row").len(), 20);
    let folder = place.archive.folder("test_row", &hour);
    let there = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(there(), 5, "three files, one in their place, and the note of it");
    drop(reading);
    compact(&place.archive, "test_row", &hour, 2, "y").unwrap();
    assert_eq!(there(), 1);
    // Of two versions of the schema each keeps its columns.
    let changed = Place { tables: tables(r#"{"n": "string"}"#), ..place };
    changed.keep(&[batch("test:row", ARRIVED, rows(19..22))]);
    changed.keep(&[batch("test:row", ARRIVED, rows(21..24))]);
    let merged = compact(&changed.archive, "test_row", &hour, 2, "z").unwrap();
    assert_eq!((merged.files, merged.copies), (2, 2), "one copy in the other file, one among themselves");
    assert_eq!(changed.names("test_row"), ["merged-x-0.parquet", "merged-z-0.parquet"]);
    assert_eq!(changed.all("test_row").len(), 24);
    assert_eq!(expire(&changed.archive, ARRIVED + 86_400_000, Some(1), None).unwrap(), 0);
    assert_eq!(expire(&changed.archive, ARRIVED + 2 * 86_400_000, None, Some(1)).unwrap(), 0);
    assert_eq!(expire(&changed.archive, ARRIVED + 2 * 86_400_000, Some(1), None).unwrap(), 1);
    assert!(changed.all("test_row").is_empty());
}

#[test]
fn what_cannot_be_read_is_kept_aside_and_the_rest_goes_on() {
    let place = Place::new(r#"{"n": "integer"}"#);
    let good = batch("test:row", ARRIVED, vec![record(1, r#"{"n":1}"#)]).to_text();
    let newer = good.replacen("\"version\":1", "\"version\":99", 1);
    let piece = place.piece(&[(Kind::Records, newer), (Kind::Records, good.clone())]);
    let done = convert(&place.archive, &place.tables, &piece, Unknown::Keep).unwrap();
    assert!(done.notices[0].contains("version 99"), "{:?}", done.notices);
    assert_eq!(place.all("test_row").len(), 1);
    assert!(!piece.exists() && place.folder.path().join(".journal/damaged/j-00000000").exists());

    // Of a log type that no schema has, what is known of every record is kept, by whoever knows no better.
    let unknown = good.replace("test:row", "brought:by-parser");
    let piece = place.piece(&[(Kind::Records, unknown)]);
    convert(&place.archive, &place.tables, &piece, Unknown::Leave).unwrap();
    assert!(piece.exists() && place.names("brought_by_parser").is_empty());
    convert(&place.archive, &place.tables, &piece, Unknown::Keep).unwrap();
    assert_eq!(place.names("brought_by_parser"), ["j-00000001-brought_by_parser.parquet"]);
}

#[test]
fn a_table_that_cannot_be_written_keeps_no_other_back() {
    let place = Place::new(r#"{"n": "integer"}"#);
    let (root, later) = (place.folder.path(), ARRIVED + 3_600_000);
    let rows = |log_type, arrived, number| batch(log_type, arrived, vec![record(number, r#"{"n":1}"#)]).to_text();
    let alert = |id: &str, created: &str| format!(r#"{{"id":"{id}","created":"{created}"}}"#);
    // Nothing can be written for one table, and for one hour of another.
    std::fs::write(root.join("bad_table"), "").unwrap();
    std::fs::create_dir_all(root.join("test_row")).unwrap();
    let hour_of = |at| root.join("test_row").join(format!("dt={}", hour(at)));
    std::fs::write(hour_of(later), "").unwrap();
    std::fs::write(root.join("alerts"), "").unwrap();
    let piece = place.piece(&[
        (Kind::Records, rows("bad:table", ARRIVED, 1)),
        (Kind::Records, rows("test:row", ARRIVED, 2)),
        (Kind::Records, rows("test:row", later, 3)),
        (Kind::Alerts, alert("a", "2026-01-02T03:00:00Z") + "\n" + &alert("b", "2026-01-02T04:00:00Z")),
        (Kind::Known, "a".into()),
        (Kind::Records, "no batch".into()),
    ]);
    let again = || convert(&place.archive, &place.tables, &piece, Unknown::Keep).unwrap();
    let done = again();
    assert_eq!(done.touched, [("test_row".to_owned(), hour(ARRIVED))]);
    assert!(done.unwritten.is_some() && done.notices[0].contains("could not be read"), "{done:?}");
    // What became files is in the piece no more: merged meanwhile, it would stand there twice.
    let file = place.archive.files("test_row", &hour(ARRIVED)).unwrap().remove(0);
    std::fs::remove_file(&file.path).unwrap();
    let stays = std::fs::read(&piece).unwrap();
    let done = again();
    assert!(done.unwritten.is_some() && done.touched.is_empty() && done.notices.is_empty(), "{done:?}");
    assert_eq!(std::fs::read(&piece).unwrap(), stays);
    for path in [root.join("bad_table"), hour_of(later), root.join("alerts")] {
        std::fs::remove_file(path).unwrap();
    }
    let done = again();
    assert!(done.unwritten.is_none() && done.rows == 3 && !piece.exists(), "{done:?}");
    let named = |name: &str, at: &str| (name.to_owned(), at.to_owned());
    let touched =
        [named("alerts", "2026-01-02-04"), named("bad_table", "2026-01-02-03"), named("test_row", "2026-01-02-04")];
    assert_eq!(done.touched, touched);
}

#[test]
fn what_waits_for_files_is_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("test_row"), "").unwrap();
    let schemas = Schemas::read(&[(
        "s.json".to_owned(),
        r#"{"test:row": {"parser": "json", "schema": {"n": "integer"}}}"#.to_owned(),
    )]);
    let schemas = Arc::new(schemas.unwrap());
    let clock = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_millis()).unwrap()
    };
    let of = schemas.clone();
    let keeper =
        Keeper::start(folder.path(), ArchiveConfig::default(), Box::new(move || of.clone()), clock, Box::new(|_| {}));
    let keeper = keeper.unwrap();
    let begun = clock();
    keeper.begin(&[batch("test:row", begun, vec![record(1, r#"{"n":1}"#)]).to_text()], &[]).unwrap();
    keeper.end(&[]).unwrap();
    assert_eq!(keeper.behind_since(), None, "it has not waited for long");
    while keeper.behind_since().is_none() {
        assert!(clock() - begun < 60_000);
        std::thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..30 {
        // Also while it is tried and cannot be written.
        assert!(keeper.behind_since().is_some_and(|since| since <= begun), "{:?}", keeper.behind_since());
        std::thread::sleep(Duration::from_millis(100));
    }
    std::fs::remove_file(folder.path().join("test_row")).unwrap();
    keeper.finish();
    assert_eq!(keeper.behind_since(), None);
    let archive = Archive::at(folder.path().to_owned());
    assert_eq!(archive.hours("test_row").unwrap(), [hour(begun)]);
}

#[test]
fn ranges_are_kept_of_numbers_and_times_and_not_of_texts() {
    let place = Place::new(r#"{"n": "integer", "s": "string", "o": {"s": "string", "n": "integer"}, "l": []}"#);
    let text = r#"{"n":1,"s":"a","o":{"s":"b","n":2},"l":["c"]}"#;
    place.keep(&[batch("test:row", ARRIVED, vec![record(0, text)])]);
    let hours = place.archive.hours("test_row").unwrap();
    let file = place.archive.files("test_row", &hours[0]).unwrap().remove(0);
    let read = SerializedFileReader::new(std::fs::File::open(&file.path).unwrap()).unwrap();
    let columns = read.metadata().row_group(0).columns();
    let with: Vec<String> = columns
        .iter()
        .filter(|column| column.statistics().is_some_and(|of| of.min_bytes_opt().is_some()))
        .map(|column| column.column_path().string())
        .collect();
    let ours =
        ["streamalert_time", "streamalert_arrived", "streamalert_offset", "streamalert_length", "streamalert_index"];
    let wanted: Vec<&str> = ["n", "o.n"].into_iter().chain(ours).collect();
    assert_eq!(with, wanted);
}
