//! What the services take, and how patient we are with them. Each number with its unit and its reason.

use std::time::Duration;
use streamalert_pipeline::batches::BatchLimits;

/// Attempts of one call, the first one included. What fails five times over two seconds is down, and the source of what was
/// to be stored keeps it.
pub const ATTEMPTS_MAX: u32 = 5;
/// Pause before the second attempt, doubled for each later one and spread at random.
pub const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two attempts: a function is paid by the time it waits.
pub const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// Services of one region answer a connection within milliseconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Without a byte for so long, an attempt has failed: the slowest answers (large objects, scans) begin within a second.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls under way at a time, of one kind.
pub const CALLS_AT_ONCE: usize = 16;

/// Bytes of one message, and of one batch of them; docs: "Amazon SQS message quotas".
pub use streamalert_pipeline::limits::QUEUE_MESSAGE_BYTES_MAX as SQS_BYTES_MAX;
/// Messages of one call of SQS; docs: "Amazon SQS message quotas".
pub const SQS_BATCH_MAX: usize = 10;
/// The same as one call takes them.
pub const SQS_BATCH: BatchLimits =
    BatchLimits { items: SQS_BATCH_MAX, item_bytes: SQS_BYTES_MAX, bytes: SQS_BYTES_MAX, around: 0, between: 0 };
/// Bytes of one call of Firehose; docs: `PutRecordBatch`.
pub use streamalert_pipeline::limits::ARCHIVE_BATCH_BYTES_MAX as FIREHOSE_BATCH_BYTES_MAX;
/// Records of one call of Firehose; docs: `PutRecordBatch`.
pub use streamalert_pipeline::limits::ARCHIVE_BATCH_LINES_MAX as FIREHOSE_BATCH_MAX;
/// Bytes of one record of Firehose, before base64; docs: "Amazon Data Firehose quota".
pub use streamalert_pipeline::limits::ARCHIVE_LINE_BYTES_MAX as FIREHOSE_RECORD_BYTES_MAX;
/// Bytes of one item, names and values; docs: "Quotas in Amazon DynamoDB".
pub const DYNAMODB_ITEM_BYTES_MAX: usize = 400 << 10;
/// Items of `BatchWriteItem`.
pub const DYNAMODB_WRITE_BATCH_MAX: usize = 25;
/// Keys of `BatchGetItem`.
pub const DYNAMODB_GET_BATCH_MAX: usize = 100;
/// Actions of `TransactWriteItems`, and bytes of their items all together.
pub const DYNAMODB_TRANSACTION_MAX: usize = 100;
pub const DYNAMODB_TRANSACTION_BYTES_MAX: usize = 4 << 20;
/// Bytes of an event for an asynchronous invocation; docs: "Lambda quotas" (1 MB since October 2025, 256 KB before: the
/// smaller one, as regions follow one after another).
pub const LAMBDA_EVENT_BYTES_MAX: usize = 256 << 10;
/// How long a function may take at most, with room for its answer to arrive; docs: "Lambda quotas".
pub const LAMBDA_ANSWER_TIMEOUT: Duration = Duration::from_secs(15 * 60 + 10);
/// Bytes of the answer of a function.
pub const LAMBDA_ANSWER_BYTES_MAX: usize = 6 << 20;
/// Keys of one `DeleteObjects`.
pub const S3_DELETE_MAX: usize = 1000;

/// Times a broken download of one object is taken up where it broke: 5 GB over a bad line.
pub const OBJECT_RESUMES_MAX: u32 = 10;
/// Days after which the bucket forgets what was too large to travel: SQS keeps a message for 14, and for 14 more if it goes back from
/// the dead letters.
pub const CLAIM_DAYS: i32 = 30;
/// Bytes of text in one message before compression, about: logs shrink to a tenth, so a message is far below its limit, and
/// ten of them in one event are still unpacked in the memory of a small function.
pub const MESSAGE_TEXT_BYTES: usize = 2 << 20;
/// Bytes of text that a message may unpack to: one record of the largest kind and what stands around it, with room.
pub const BATCH_TEXT_BYTES_MAX: usize = 64 << 20;
/// Of zstd, 1 to 22: at 3 it packs logs to a tenth at several hundred MB/s.
pub const ZSTD_LEVEL: i32 = 3;
/// Bytes of lines that are put together to one record of Firehose: it is paid by started 5 KB.
pub const FIREHOSE_PACKED_BYTES: usize = 500 << 10;

/// Times a write of DynamoDB is done again because others write the same at the same time: a noisy rule on a hundred functions,
/// each of which merges into one group.
pub const CONFLICTS_MAX: u32 = 40;
/// Pause before the first of these times, doubled for each later one and spread at random: a transaction takes about so long.
pub const CONFLICT_PAUSE_FIRST: Duration = Duration::from_millis(8);
pub const CONFLICT_PAUSE_LONGEST: Duration = Duration::from_millis(500);
/// Bytes of an alert, packed, that lie in the table: what is left of an item when its names, rule and numbers are in it.
/// Larger ones lie in S3.
pub const ALERT_INLINE_BYTES_MAX: usize = DYNAMODB_ITEM_BYTES_MAX - (16 << 10);
/// Bytes of an alert's text: one record of the largest kind, its context, and what stands around them.
pub const ALERT_TEXT_BYTES_MAX: u64 = 64 << 20;
/// Outputs one alert of the table may have from the start: as many as fit a transaction with the alert, its group, and room.
pub const ALERT_DELIVERIES_MAX: usize = 90;
/// Bytes of the alerts of one lease: some thousand of the usual size, or one of the largest. Each is held a few times over.
pub const LEASE_BYTES_MAX: u64 = 16 << 20;
/// Days that an alert is kept once nothing of it is owed.
pub const ALERT_DAYS: i64 = 90;
/// Days that it is known what came of a trial, after it last raised anything: longer than any trial is promoted after.
pub const TRIAL_DAYS: i64 = 400;
/// Parts that the counts of a trial lie in: functions that raise alerts of one rule at the same time are seldom in one another's way.
pub const TRIAL_PARTS: u64 = 8;

/// For which credentials without an end are not asked for again, in calls that are signed by hand: what the SDK has as default.
pub const CREDENTIALS_KEPT: Duration = Duration::from_secs(15 * 60);
/// So long before their end, others are asked for: longer than a call and its repetitions take.
pub const CREDENTIALS_MARGIN: Duration = Duration::from_secs(2 * 60);

/// One delivery to an output of AWS, all its calls and their repetitions, if nobody says how long it may take.
pub const OUTPUT_ATTEMPT: Duration = Duration::from_secs(30);
/// Bytes of one message of SNS with its attributes; docs: `Publish`.
pub const SNS_BYTES_MAX: usize = 256 << 10;
/// Characters of its subject: fewer than 100; docs: `Publish`.
pub const SNS_SUBJECT_MAX: usize = 99;
/// Bytes of a mail with its attachments. SES takes 40 MB; many who receive refuse more than this.
pub const SES_BYTES_MAX: usize = 10 << 20;
/// Recipients of one mail; docs: "Service quotas in Amazon SES".
pub const SES_RECIPIENTS_MAX: usize = 50;
/// Bytes of one log event with what is counted around each; docs: `PutLogEvents` (1 MB since April 2025, 256 KB before: the
/// smaller one, as regions follow one after another).
pub const LOG_EVENT_BYTES_MAX: usize = 256 << 10;
pub const LOG_EVENT_BYTES_AROUND: usize = 26;
/// Log events of one call, and their bytes all together.
pub const LOG_BATCH_MAX: usize = 10_000;
pub const LOG_BATCH_BYTES_MAX: usize = 1 << 20;
/// Events of one call of EventBridge; docs: `PutEvents`.
pub const EVENTS_BATCH_MAX: usize = 10;
/// Bytes of them all together; docs: "Calculating PutEvents event entry size" (1 MB since January 2026, 256 KB before).
pub const EVENTS_BYTES_MAX: usize = 256 << 10;
/// Bytes that an event's time counts as.
pub const EVENT_TIME_BYTES: usize = 14;
/// Findings of one call of Security Hub; docs: `BatchImportFindings`.
pub const FINDINGS_BATCH_MAX: usize = 100;
/// Bytes of one finding, and of one call; docs: `BatchImportFindings`.
pub const FINDING_BYTES_MAX: usize = 240 << 10;
pub const FINDINGS_BYTES_MAX: usize = 6 << 20;
/// Characters of a finding's texts; docs: "AWS Security Finding Format".
pub const FINDING_TITLE_MAX: usize = 256;
pub const FINDING_DESCRIPTION_MAX: usize = 1024;
pub const FINDING_ID_MAX: usize = 512;
/// Fields of a product, characters of their names and of their values.
pub const FINDING_FIELDS_MAX: usize = 50;
pub const FINDING_FIELD_NAME_MAX: usize = 128;
pub const FINDING_FIELD_VALUE_MAX: usize = 1024;
/// Bytes of an object's key.
pub const S3_KEY_BYTES_MAX: usize = 1024;

/// Rows of one page of an answer of Athena, the row of names included; docs: `GetQueryResults`.
pub const ATHENA_PAGE_ROWS: usize = 1000;
/// Pause before the second look at a query that runs, half as much again for each later one: short queries take a second or two.
pub const ATHENA_WAIT_FIRST: Duration = Duration::from_millis(250);
/// The longest pause between two looks: nobody who waits for minutes sees it.
pub const ATHENA_WAIT_LONGEST: Duration = Duration::from_secs(5);
/// Partitions of one `BatchCreatePartition` or `BatchUpdatePartition`.
pub const GLUE_PARTITIONS_BATCH: usize = 100;
/// Partitions of one page of `GetPartitions`.
pub const GLUE_PARTITIONS_PAGE: usize = 1000;
