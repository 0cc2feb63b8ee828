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
