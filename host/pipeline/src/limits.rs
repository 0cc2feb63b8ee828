//! Every number, with unit and reason.

/// Bytes of one input (document, line). A CloudTrail file of the largest kind is 50 MB; beyond that memory is at risk.
pub const INPUT_BYTES_MAX: usize = 64 << 20;
/// Bytes of one classified record. Twice what DynamoDB and SQS together could ever carry inline, and far below the 28-bit
/// lengths of the packed layout.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Levels of nesting in one input. Real logs stay below 30; recursion over 128 levels fits any stack.
pub const DEPTH_MAX: usize = 128;
/// Keys of one object. Vendors' widest have a few hundred.
pub const KEYS_MAX: usize = 10_000;
/// Names of duplicate keys that one record tells of.
pub const DUPLICATES_MAX: usize = 16;
/// Records of one input. A CloudTrail file has some ten thousand; what is beyond becomes one dead letter.
pub const RECORDS_PER_INPUT_MAX: u32 = 1_000_000;
/// Inputs of each sequence of keys that are looked at for types that would take them too.
pub const AMBIGUITY_SAMPLES: u32 = 16;
/// Bytes of one input in a text format. Multi-line messages stay below a few hundred KB.
pub const TEXT_INPUT_BYTES_MAX: usize = 4 << 20;
/// Shapes (key sequences) one candidate set remembers. Sources send a few dozen; the cap stops a hostile one.
pub const SHAPES_MAX: usize = 4096;
/// Times `embedded_json` and envelopes may be unpacked inside one another.
pub const UNWRAP_DEPTH_MAX: usize = 4;

/// Records that go through the rules as one batch: large enough that call overhead vanishes (a call costs 0.1 µs, a record
/// 3 µs), small enough that a reload is seen within milliseconds.
pub const BATCH_RECORDS: usize = 256;

/// Bytes of a finding's context; of a larger one, only how large it was goes along.
pub const CONTEXT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a title; longer ones are cut on a character boundary.
pub const TITLE_BYTES_MAX: usize = 512;
/// Bytes of a dedup key; a longer one is cut and ends in its digest.
pub const DEDUP_KEY_BYTES_MAX: usize = 1024;
/// Outputs one finding may add; of more, their number goes along.
pub const FINDING_OUTPUTS_MAX: usize = 32;

/// Rows of one batch that a rule may run out of fuel or time on, one after another without a success, before it is no longer
/// asked about the rest of that batch: each costs tens of milliseconds. Traps cost microseconds and are not counted. What
/// is not asked becomes dead letters of that rule and can be sent again.
pub const RUNAWAYS_IN_A_ROW_MAX: usize = 16;
/// After that, batches the rule is left out of: 2, then 4, 8 … up to this many, until it gets through a batch again. Else
/// one endless loop would slow every log down for as long as it is live.
pub const SUSPENDED_BATCHES_MAX: u32 = 64;

/// Bytes of one archived line with its newline: what Firehose takes as a record, 1,000 KiB.
pub const ARCHIVE_LINE_BYTES_MAX: usize = 1000 << 10;
/// Lines and bytes of one call of Firehose.
pub const ARCHIVE_BATCH_LINES_MAX: usize = 500;
pub const ARCHIVE_BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of one SQS message.
pub const QUEUE_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes one object may unpack to: 1 TiB. Real objects stay below 100 GB; an hour at full speed is enough to lose to one.
pub const UNPACKED_BYTES_MAX: u64 = 1 << 40;
/// Bytes unpacked for each byte that came, over all layers together. Deflate tops out at 1,032; repeated log lines reach a
/// few hundred.
pub const UNPACK_RATIO_MAX: u64 = 800;
/// Bytes unpacked before the ratio is looked at: 64 MiB harm nobody, and small objects of one repeated line are honest.
pub const UNPACK_RATIO_FREE_BYTES: u64 = 64 << 20;
/// Times an object may be compressed over: gzip in zip is usual, a third layer has been seen only in bombs.
pub const UNPACK_LAYERS_MAX: usize = 2;
/// Bytes of a header line that travels with every payload. The widest CSV exports have some thousand columns.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a container that must be there whole before it can be read (Parquet: its table of contents stands at the
/// end). What a function's disk holds by default would be 512 MB; writers aim at 128 MB to 1 GB.
pub const CONTAINER_BYTES_MAX: u64 = 8 << 30;
/// Bytes of one block of a container, packed or unpacked. Avro writers cut at 16 KB to 4 MB.
pub const CONTAINER_BLOCK_BYTES_MAX: usize = 64 << 20;
/// Records in one Kinesis record that the producer's library put together: twice what has been seen.
pub const AGGREGATE_RECORDS_MAX: usize = 128 << 10;

/// Alerts in one merged alert, if the rule says nothing. More than some dozens nobody reads, and services have limits.
pub const MERGE_MEMBERS: u32 = 50;
/// The most a rule may ask for.
pub const MERGE_MEMBERS_MAX: u32 = 1_000;
/// Bytes of records in one merged alert; a group that has so many is sent at once. What queues and tables carry is in MB.
pub const MERGE_BYTES_MAX: u64 = 4 << 20;
/// Minutes of the longest merge window: a week.
pub const MERGE_MINUTES_MAX: u32 = 7 * 24 * 60;
/// Levels and nodes of a record that are looked through for a merge key.
pub const MERGE_NODES_MAX: usize = 10_000;

/// Milliseconds before the second attempt of a delivery; each later one waits twice as long as the one before.
pub const RETRY_FIRST_MS: i64 = 2_000;
/// Milliseconds between attempts at most, if the service does not ask for more: an outage of hours costs a few attempts an
/// hour, and its end is noticed within minutes.
pub const RETRY_LONGEST_MS: i64 = 15 * 60_000;
/// Milliseconds a service may ask us to wait: a day. More is a mistake of its clock or ours.
pub const RETRY_AFTER_MAX_MS: i64 = 24 * 3_600_000;
/// Attempts after which somebody should look: about an hour after the first.
pub const ATTEMPTS_WARNED: u32 = 12;
/// Traps, endless loops and nonsense answers of an output before a delivery is given up: the next attempt runs the same code on
/// the same alert.
pub const PLUGIN_FAULTS_MAX: u32 = 5;
/// Bytes of an error that is kept with a delivery.
pub const DELIVERY_ERROR_BYTES_MAX: usize = 1 << 10;
/// Outputs of one alert: its rule's, its finding's, the defaults.
pub const ALERT_OUTPUTS_MAX: usize = 64;

/// Nanoseconds that versions on trial may take for each that all live rules take, and beyond that, since the rules were loaded: a
/// version as fast as the one before is always within, and one that is far slower costs a run some times its rules' time at most.
pub const TRIAL_TIMES_MAX: u64 = 2;
pub const TRIAL_NANOSECONDS_FREE: u64 = 2_000_000_000;
/// Rules that one digest of trials names; of more, how many there are. Some hundred bytes each: services take a quarter of a MB.
pub const DIGEST_RULES_MAX: usize = 200;
/// Bytes of a rule's name in it.
pub const DIGEST_NAME_BYTES_MAX: usize = 256;
