//! What one guest may cost. Every number with its unit and its reason.

use std::time::Duration;

/// How often the epoch advances: the grain of the wall-clock guard. A thread that wakes a hundred times a second costs nothing.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub struct PluginLimits {
    /// Fuel (roughly, wasm instructions) of one call, whatever its rows: room for a garbage collection of a full heap.
    pub fuel_per_call_base: u64,
    /// Fuel one row adds. A rule needs hundreds to some thousands, one in an interpreted language a hundred times that; with
    /// a million a runaway rule is ended within 0.3 s for a full batch, and within 20 ms for a single row.
    pub fuel_per_row: u64,
    /// Fuel that one byte of a row adds beyond [`ROW_BYTES_FREE`]: an interpreter makes a string of a long text character by
    /// character at every read, and QuickJS takes 100 to 200 for one beyond ASCII.
    pub fuel_per_long_byte: u64,
    /// Fuel for instantiating a component and for `describe`: language runtimes start here.
    pub fuel_to_start: u64,
    /// Wall clock of one call, whatever its rows. Fuel is the guard that normally ends a loop; this one is for a starved machine.
    pub deadline: Duration,
    /// Wall clock one row adds: five times what its fuel takes.
    pub deadline_per_row: Duration,
    /// Wall clock one MiB of such bytes adds: five times what its fuel takes.
    pub deadline_per_long_mib: Duration,
    /// Bytes of linear memory of one instance, all its memories together. Rust guests need 1 MiB, Python 12, Go 8.
    pub memory_bytes: usize,
    /// Elements of one table. Go programs have some ten thousand functions that are called indirectly.
    pub table_elements: usize,
    /// Bytes a guest may hand to the host in one call or answer, counted after lifting: the same text twice counts twice.
    pub answer_bytes: usize,
    /// Bytes of wasm stack: recursion of some thousand frames, and a quarter of the smallest thread we run on.
    pub stack_bytes: usize,
    /// Lines a guest may log in one call; the rest is counted.
    pub log_lines: usize,
    /// Bytes of one logged line; the rest is cut.
    pub log_line_bytes: usize,
    /// Batches an instance serves, about: what a guest leaks or remembers does not grow for ever.
    pub instance_batches: u32,
    /// Instances alive at once, of all components: components × working threads, with room.
    pub instances: u32,
    /// Bytes of a component file. The largest language runtimes make 20 MB.
    pub component_bytes: usize,
    /// Rules of one component. Imported collections have some thousand.
    pub rules: usize,
    /// Bytes of all that a component says of itself, counted like `answer_bytes`: 3 KB for each of the most rules there may be.
    pub describe_bytes: usize,
    /// Bytes of one text in `describe`: a description, a value of a condition, the options.
    pub text_bytes: usize,
    /// Values of one condition, conditions of one rule, logs of one rule.
    pub list_items: usize,
    /// Fuel that one byte of a payload adds to a parser's call. A Rust parser needs ten to a few hundred for each, one in an
    /// interpreted language some thousand; with this a runaway parser is ended within 4 s for each megabyte.
    pub parser_fuel_per_byte: u64,
    /// Fuel that one line of a payload adds, however short: a record of it has to be begun, filled, written and handed over, which
    /// takes QuickJS and Python a hundred thousand.
    pub parser_fuel_per_line: u64,
    /// Fuel of one call of a parser, however large its payload: about a minute.
    pub parser_fuel_max: u64,
    /// Wall clock one MiB of a payload adds: five times what its fuel takes.
    pub parser_deadline_per_mib: Duration,
    /// Wall clock one line adds: five times what its fuel takes.
    pub parser_deadline_per_line: Duration,
    /// Wall clock of one call of a parser, however large its payload: five times what the most fuel takes.
    pub parser_deadline_max: Duration,
    /// Bytes of linear memory of an instance that parses: the payload and all its records as JSON lie there at once. JSON is up
    /// to twelve times as large as a binary format, so this serves binary objects of 20 MB and text of 60 MB.
    pub parser_memory_bytes: usize,
    /// Bytes one byte of a payload adds to what a parser may answer, beyond `answer_bytes`; binary formats grow twelvefold, and
    /// each part counts some 70 bytes besides.
    pub parser_answer_per_byte: usize,
    /// Parts of one answer. The smallest records there are have some 50 bytes, which makes 50 MB.
    pub parser_parts: usize,
    /// Bytes of one text by which a parser refuses a payload or a part of it; the rest is cut.
    pub parser_reason_bytes: usize,
    /// Bytes of the schema file a parser brings along. The widest one shipped has 12 KB.
    pub parser_schema_bytes: usize,
    /// Fuel of one call of an output or publisher, besides what the alert adds: reading the largest answer of a service as
    /// JSON takes a tenth of it. A runaway is ended within 1.5 s.
    pub delivery_fuel: u64,
    /// Fuel that one byte of the alert and its publication adds. To read it and write it again, an output in Rust needs some
    /// hundred, one in an interpreted language some thousand.
    pub delivery_fuel_per_byte: u64,
    /// Wall clock of such a call, without what it waits for the network: five times what its fuel takes.
    pub delivery_deadline: Duration,
    /// Bytes an output may hand to the host at once: the largest request, and what is around it.
    pub delivery_answer_bytes: usize,
    /// Requests of one attempt to deliver. Logging in, some uploads and a message take ten.
    pub delivery_requests: usize,
    /// Bytes of a reason, or of a place where an alert went; the rest is cut.
    pub delivery_reason_bytes: usize,
    /// Bytes of what an attempt leaves to the next.
    pub delivery_progress_bytes: usize,
    /// Fuel of one poll: an answer of 8 MB is read, taken apart and written again, or a token is signed by a key of 4096 bits.
    pub poll_fuel: u64,
    /// Wall clock of a poll, without what it waits for the network: five times what its fuel takes.
    pub poll_deadline: Duration,
    /// Requests of one poll. A login, a query and some files take ten.
    pub poll_requests: usize,
    /// Bytes of a cursor: an item of DynamoDB holds three of them.
    pub poll_cursor_bytes: usize,
    /// Logs of one page; the largest page of any service known here has 10,000.
    pub poll_logs: usize,
    /// Bytes of all that a page holds.
    pub poll_answer_bytes: usize,
    /// Settings, and hosts, of one output or app. An operator has to fill them in.
    pub output_items: usize,
}

/// Bytes of a row that its own fuel is meant for: most records are smaller.
pub const ROW_BYTES_FREE: usize = 4 << 10;

impl Default for PluginLimits {
    fn default() -> Self {
        PluginLimits {
            fuel_per_call_base: 20_000_000,
            fuel_per_row: 1_000_000,
            fuel_per_long_byte: 1_000,
            fuel_to_start: 2_000_000_000,
            deadline: Duration::from_secs(2),
            deadline_per_row: Duration::from_millis(50),
            deadline_per_long_mib: Duration::from_secs(5),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            answer_bytes: 4 << 20,
            stack_bytes: 512 << 10,
            log_lines: 20,
            log_line_bytes: 1024,
            instance_batches: 1000,
            instances: 512,
            component_bytes: 64 << 20,
            rules: 10_000,
            describe_bytes: 32 << 20,
            text_bytes: 64 << 10,
            list_items: 10_000,
            parser_fuel_per_byte: 4_000,
            parser_fuel_per_line: 250_000,
            parser_fuel_max: 60_000_000_000,
            parser_deadline_per_mib: Duration::from_secs(20),
            parser_deadline_per_line: Duration::from_micros(1250),
            parser_deadline_max: Duration::from_secs(300),
            parser_memory_bytes: 256 << 20,
            parser_answer_per_byte: 32,
            parser_parts: 1_000_000,
            parser_reason_bytes: 1024,
            parser_schema_bytes: 1 << 20,
            delivery_fuel: 1_000_000_000,
            delivery_fuel_per_byte: 4_000,
            delivery_deadline: Duration::from_secs(7),
            delivery_answer_bytes: 10 << 20,
            delivery_requests: 100,
            delivery_reason_bytes: 1024,
            delivery_progress_bytes: 64 << 10,
            poll_fuel: 8_000_000_000,
            poll_deadline: Duration::from_secs(40),
            poll_requests: 100,
            poll_cursor_bytes: 128 << 10,
            poll_logs: 50_000,
            poll_answer_bytes: 32 << 20,
            output_items: 64,
        }
    }
}

impl PluginLimits {
    /// Of a call about so many rows, which have so many bytes beyond [`ROW_BYTES_FREE`] each.
    pub fn fuel(&self, rows: usize, long_bytes: usize) -> u64 {
        let rows = self.fuel_per_row.saturating_mul(rows as u64);
        let bytes = self.fuel_per_long_byte.saturating_mul(long_bytes as u64);
        self.fuel_per_call_base.saturating_add(rows).saturating_add(bytes)
    }

    /// In ticks of the epoch; one more, since the current tick is already under way.
    pub fn ticks(&self, rows: usize, long_bytes: usize) -> u64 {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let mib = u32::try_from(long_bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let bytes = self.deadline_per_long_mib.saturating_mul(mib);
        ticks(self.deadline.saturating_add(self.deadline_per_row.saturating_mul(rows)).saturating_add(bytes))
    }

    /// What an output or a publisher may cost on an alert and a publication of so many bytes together.
    pub fn delivery_budget(&self, bytes: usize) -> Budget {
        let fuel = self.delivery_fuel.saturating_add(self.delivery_fuel_per_byte.saturating_mul(bytes as u64));
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let wall = self.delivery_deadline.saturating_add(self.parser_deadline_per_mib.saturating_mul(mib));
        Budget { fuel, ticks: ticks(wall), answer: self.delivery_answer_bytes }
    }

    /// What a poll may cost.
    pub fn poll_budget(&self) -> Budget {
        Budget { fuel: self.poll_fuel, ticks: ticks(self.poll_deadline), answer: self.poll_answer_bytes }
    }

    /// What a parser may cost on a payload of so many bytes and line breaks.
    pub fn parser_budget(&self, bytes: usize, breaks: usize) -> Budget {
        let fuel = self.parser_fuel_per_byte.saturating_mul(bytes as u64);
        let fuel = fuel.saturating_add(self.parser_fuel_per_line.saturating_mul(breaks as u64));
        let fuel = self.fuel_per_call_base.saturating_add(fuel);
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let wall = self.deadline.saturating_add(self.parser_deadline_per_mib.saturating_mul(mib));
        let lines = u32::try_from(breaks).unwrap_or(u32::MAX);
        let wall = wall.saturating_add(self.parser_deadline_per_line.saturating_mul(lines));
        Budget {
            fuel: fuel.min(self.parser_fuel_max),
            ticks: ticks(wall.min(self.parser_deadline_max)),
            answer: self.answer_bytes.saturating_add(self.parser_answer_per_byte.saturating_mul(bytes)),
        }
    }
}

/// What one call may cost.
pub struct Budget {
    pub fuel: u64,
    /// Of the epoch.
    pub ticks: u64,
    /// Bytes of the answer.
    pub answer: usize,
}

/// Of the epoch; one more, since the current one is already under way.
pub fn ticks(wall: Duration) -> u64 {
    (wall.as_millis() / EPOCH_TICK.as_millis()).min(u128::from(u32::MAX)) as u64 + 1
}

/// Fuel of a host call as such: it takes about as long as this many instructions.
pub const HOST_CALL_FUEL: u64 = 100;
/// Bytes the host moves for one unit of fuel: copying 8 bytes takes about as long as an instruction.
pub const BYTES_PER_FUEL: u64 = 8;
/// Live handles of one instance (stdio streams, pollables): language runtimes hold a few dozen.
pub const HANDLES_MAX: usize = 10_000;
/// Keys that are read ahead for one that a rule asks a table about: two calls of DynamoDB bring so many.
pub const READ_AHEAD_KEYS: usize = 200;
/// Reads that explain mode keeps; a rule that makes more is not explained by more.
pub const EXPLAIN_READS_MAX: usize = 10_000;
/// Bytes of what these reads hold, all together: the largest record once.
pub const EXPLAIN_BYTES_MAX: usize = 16 << 20;
/// Frames of a guest's backtrace that go into a message.
pub const BACKTRACE_FRAMES: usize = 4;
