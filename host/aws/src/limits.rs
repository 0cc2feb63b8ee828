//! What the services take, and how patient we are with them. Each number with its unit and its reason.

use std::time::Duration;

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
pub const SQS_BYTES_MAX: usize = 1 << 20;
/// Messages of one call of SQS; docs: "Amazon SQS message quotas".
pub const SQS_BATCH_MAX: usize = 10;
/// Bytes of one record of Firehose, before base64; docs: "Amazon Data Firehose quota".
pub const FIREHOSE_RECORD_BYTES_MAX: usize = 1000 << 10;
/// Records of one call of Firehose; docs: `PutRecordBatch`.
pub const FIREHOSE_BATCH_MAX: usize = 500;
/// Bytes of one call of Firehose; docs: `PutRecordBatch`.
pub const FIREHOSE_BATCH_BYTES_MAX: usize = 4 << 20;
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
/// Bytes of the answer of a function.
pub const LAMBDA_ANSWER_BYTES_MAX: usize = 6 << 20;
/// Keys of one `DeleteObjects`.
pub const S3_DELETE_MAX: usize = 1000;

/// Times a broken download of one object is taken up where it broke: 5 GB over a bad line.
pub const OBJECT_RESUMES_MAX: u32 = 10;
/// Days after which the bucket forgets what was too large to travel: as long as SQS keeps a message.
pub const CLAIM_DAYS: i32 = 14;
/// Bytes of text in one message before compression, about: logs shrink to a tenth, so a message is far below its limit, and
/// ten of them in one event are still unpacked in the memory of a small function.
pub const MESSAGE_TEXT_BYTES: usize = 2 << 20;
/// Bytes of text that a message may unpack to: one record of the largest kind and what stands around it, with room.
pub const BATCH_TEXT_BYTES_MAX: usize = 64 << 20;
/// Of zstd, 1 to 22: at 3 it packs logs to a tenth at several hundred MB/s.
pub const ZSTD_LEVEL: i32 = 3;
/// Bytes of lines that are put together to one record of Firehose: it is paid by started 5 KB.
pub const FIREHOSE_PACKED_BYTES: usize = 500 << 10;
