//! What a search costs, as a ratio to the engine alone: DataFusion's own table over the same files with the same conditions.
//!
//! `STREAMALERT_SEARCH_ROWS=5000000 cargo bench --workspace --bench search`: 5 million records, each file linked into 20 times as
//! many hours, which makes 100 million; without the variable there are fewer. STREAMALERT_SEARCH_FOLDER says where the files go
//! (1 GB of 5 million, removed at the end).

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use mimalloc::MiMalloc;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamalert_archive::convert::{Unknown, convert};
use streamalert_archive::folder::hour;
use streamalert_archive::journal::{Journal, Kind};
use streamalert_archive::table::Tables;
use streamalert_archive::{Archive, Bounds};
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::log_record::{Position, Source};
use streamalert_pipeline::record_batch::{BatchRecord, RecordBatch};
use streamalert_search::{Engine, Settings};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const HOUR: i64 = 3_600_000;
/// 2026-01-01T00:00:00Z.
const FROM: i64 = 1_767_225_600_000;
const HOURS: i64 = 10;
const COPIES: i64 = 20;
const ROUNDS: usize = 5;
const RATIO_MAX: f64 = 3.0;
const SCHEMA: &str = r#"{"cloudtrail:events": {"parser": "json", "schema": {
    "eventVersion": "string", "userIdentity": {"type": "string", "userName": "string", "arn": "string"},
    "eventTime": "string", "eventSource": "string", "eventName": "string", "awsRegion": "string",
    "sourceIPAddress": "string", "userAgent": "string", "errorCode": "string", "requestParameters": {},
    "responseElements": {}, "eventID": "string", "readOnly": "boolean", "recipientAccountId": "string"}}}"#;

fn main() {
    let wanted = std::env::args().any(|argument| argument == "--bench");
    let said = std::env::var("STREAMALERT_SEARCH_ROWS").ok().map(|rows| rows.parse().expect("a number of records"));
    let rows: i64 = said.unwrap_or(if wanted { 200_000 } else { 4_000 });
    let folder = match std::env::var_os("STREAMALERT_SEARCH_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let schemas = Schemas::read(&[("s.json".to_owned(), SCHEMA.to_owned())]).unwrap();
    let begun = Instant::now();
    let bytes = write(folder.path(), rows, &schemas);
    println!(
        "search: {rows} records in {:.1} s, {} MB of Parquet; linked into {} hours: {} records",
        begun.elapsed().as_secs_f64(),
        bytes >> 20,
        HOURS * COPIES,
        rows * COPIES
    );
    let last = |hours: i64| hour(FROM + (hours - 1) * HOUR);
    let all = HOURS * COPIES;
    let queries = [
        ("a tenth of the hours, one name", format!("dt <= '{}' AND eventname = 'DeleteTrail'", last(all / 10))),
        ("all hours, one name", format!("dt >= '{}' AND eventname = 'DeleteTrail'", hour(FROM))),
        ("all hours, one address", format!("dt >= '{}' AND sourceipaddress = '10.0.3.77'", hour(FROM))),
        ("one hour, part of a text", format!("dt = '{}' AND useragent LIKE '%kali%'", last(7))),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut worst = 0.0f64;
    for (name, condition) in queries {
        let query = format!(
            "SELECT count(*), max(eventtime), count(DISTINCT awsregion) FROM cloudtrail_events WHERE {condition}"
        );
        let (mut ours, mut alone) = (Vec::new(), Vec::new());
        let mut counts = [0, 0];
        for round in 0..=ROUNDS {
            // One after the other, in turns: both find the same files in memory.
            let (first, mine) = runtime.block_on(timed(async || search(folder.path(), &schemas, &query).await));
            let (second, theirs) = runtime.block_on(timed(async || engine_alone(folder.path(), &query).await));
            counts = [first, second];
            assert_eq!(first, second, "{query}");
            if round > 0 {
                ours.push(mine);
                alone.push(theirs);
            }
        }
        let (ours, alone) = (median(ours), median(alone));
        let ratio = ours.as_secs_f64() / alone.as_secs_f64();
        worst = worst.max(ratio);
        println!(
            "  {name:<34} {:>10} rows   {ours:>10.1?}   engine alone {alone:>10.1?}   ratio {ratio:.2}",
            counts[0]
        );
    }
    if wanted {
        assert!(
            worst <= RATIO_MAX,
            "a search takes {worst:.2} times what the engine alone takes; {RATIO_MAX} is allowed"
        );
    } else {
        println!("  (tried only: the figures mean nothing)");
    }
}

async fn timed<T>(work: impl AsyncFnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let done = work().await;
    (done, begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// As the command does it, from opening the archive on.
async fn search(root: &Path, schemas: &Schemas, query: &str) -> i64 {
    let settings = Settings {
        archive: Archive::at(root),
        tables: Tables::of(schemas),
        bounds: Bounds::default(),
        memory: 2 << 30,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let engine = Engine::open(settings).unwrap();
    let mut rows = engine.query(query).await.unwrap();
    let batch = poll_fn(|context| rows.as_mut().poll_next(context)).await.unwrap().unwrap();
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

/// The same by the engine's own table.
async fn engine_alone(root: &Path, query: &str) -> i64 {
    let context = SessionContext::new_with_config(SessionConfig::new().with_collect_statistics(false));
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()))
        .with_file_extension(".parquet")
        .with_table_partition_cols(vec![("dt".to_owned(), DataType::Utf8)]);
    let url = ListingTableUrl::parse(format!("{}/", root.join("cloudtrail_events").display())).unwrap();
    let config = ListingTableConfig::new(url).with_listing_options(options);
    let config = config.infer_schema(&context.state()).await.unwrap();
    context.register_table("cloudtrail_events", Arc::new(ListingTable::try_new(config).unwrap())).unwrap();
    let batches = context.sql(query).await.unwrap().collect().await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// Records by the way they take in a run: journal, then files. Gives back what the files have before they are linked.
fn write(root: &Path, rows: i64, schemas: &Schemas) -> u64 {
    let archive = Archive::open(root).unwrap();
    let tables = Tables::of(schemas);
    let journal = Journal::open(root, "bench").unwrap();
    let source = Arc::new(Source::new("s3", "trail-bucket", "AWSLogs/1.json.gz"));
    let mut dice = 88_172_645_463_325_252u64;
    let mut roll = move |below: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % below
    };
    let per_hour = (rows / HOURS).max(1);
    for of_hour in 0..HOURS {
        for from in (0..per_hour).step_by(10_000) {
            let records =
                (from..per_hour.min(from + 10_000)).map(|n| record(&source, of_hour * per_hour + n, &mut roll));
            let batch = RecordBatch {
                cluster: "prod".into(),
                log_type: "cloudtrail:events".into(),
                arrived: FROM + of_hour * HOUR + n_millis(from, per_hour),
                rule: None,
                records: records.collect(),
            };
            journal.begin(&[(Kind::Records, batch.to_text().as_bytes())]).unwrap();
            if let Some(piece) = journal.end(&[]).unwrap() {
                convert(&archive, &tables, &piece.path, Unknown::Keep).unwrap();
            }
        }
        if let Some(piece) = journal.close_all() {
            convert(&archive, &tables, &piece.path, Unknown::Keep).unwrap();
        }
    }
    let mut bytes = 0;
    for of_hour in 0..HOURS {
        for file in archive.files("cloudtrail_events", &hour(FROM + of_hour * HOUR)).unwrap() {
            bytes += file.bytes;
            for copy in 1..COPIES {
                let folder = archive.folder("cloudtrail_events", &hour(FROM + (copy * HOURS + of_hour) * HOUR));
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::hard_link(&file.path, folder.join(&file.name)).unwrap();
            }
        }
    }
    bytes
}

fn n_millis(n: i64, of: i64) -> i64 {
    n * (HOUR - 1) / of.max(1)
}

fn record(source: &Arc<Source>, number: i64, roll: &mut impl FnMut(u64) -> u64) -> BatchRecord {
    const NAMES: [&str; 12] = [
        "GetObject",
        "PutObject",
        "AssumeRole",
        "DescribeInstances",
        "ListBuckets",
        "Decrypt",
        "GetSecretValue",
        "ConsoleLogin",
        "CreateUser",
        "AttachUserPolicy",
        "StopLogging",
        "DeleteTrail",
    ];
    const AGENTS: [&str; 4] = [
        "aws-cli/2.15.0 Python/3.11 Linux/6.1",
        "Boto3/1.34.2 md/Botocore",
        "console.amazonaws.com",
        "aws-sdk-go-v2/1.24 kali",
    ];
    // The rare ones are rare.
    let name = NAMES[(roll(12) * roll(12) / 11) as usize];
    let (user, agent) = (roll(5_000), AGENTS[(roll(4) * roll(4) / 3) as usize]);
    let region = ["us-east-1", "eu-west-1", "us-west-2"][roll(3) as usize];
    let (a, b) = (roll(1 << 60), roll(1 << 60));
    let json = format!(
        "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\"userName\":\"user-{user}\",\
         \"arn\":\"arn:aws:iam::123456789012:user/user-{user}\"}},\"eventTime\":\"2026-01-01T{:02}:{:02}:{:02}Z\",\
         \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"{name}\",\"awsRegion\":\"{region}\",\
         \"sourceIPAddress\":\"10.0.{}.{}\",\"userAgent\":\"{agent}\",\"errorCode\":null,\
         \"requestParameters\":{{\"bucketName\":\"bucket-{}\",\"key\":\"a/b/{a:x}\"}},\"responseElements\":null,\
         \"eventID\":\"{a:015x}-{b:015x}\",\"readOnly\":{},\"recipientAccountId\":\"123456789012\"}}",
        number / 3_600 % 24,
        number / 60 % 60,
        number % 60,
        roll(40),
        roll(250),
        roll(300),
        roll(2) == 0
    );
    let mut identity = [0; 32];
    identity[..8].copy_from_slice(&a.to_le_bytes());
    identity[8..16].copy_from_slice(&(number as u64).to_le_bytes());
    identity[16..24].copy_from_slice(&b.to_le_bytes());
    identity[24..].copy_from_slice(&a.wrapping_mul(b).to_le_bytes());
    BatchRecord {
        source: source.clone(),
        position: Position { offset: number as u64 * 900, length: json.len() as u64, index: 0 },
        identity,
        event_time: None,
        json,
    }
}
