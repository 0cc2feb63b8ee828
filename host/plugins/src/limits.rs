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
    /// Fuel for instantiating a component and for `describe`: language runtimes start here.
    pub fuel_to_start: u64,
    /// Wall clock of one call, whatever its rows. Fuel is the guard that normally ends a loop; this one is for a starved machine.
    pub deadline: Duration,
    /// Wall clock one row adds: five times what its fuel takes.
    pub deadline_per_row: Duration,
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
    /// Rules of one component.
    pub rules: usize,
    /// Bytes of one text in `describe`: a description, a value of a condition, the options.
    pub text_bytes: usize,
    /// Values of one condition, conditions of one rule, logs of one rule.
    pub list_items: usize,
}

impl Default for PluginLimits {
    fn default() -> Self {
        PluginLimits {
            fuel_per_call_base: 20_000_000,
            fuel_per_row: 1_000_000,
            fuel_to_start: 2_000_000_000,
            deadline: Duration::from_secs(2),
            deadline_per_row: Duration::from_millis(50),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            answer_bytes: 4 << 20,
            stack_bytes: 512 << 10,
            log_lines: 20,
            log_line_bytes: 1024,
            instance_batches: 1000,
            instances: 512,
            component_bytes: 64 << 20,
            rules: 1000,
            text_bytes: 64 << 10,
            list_items: 10_000,
        }
    }
}

impl PluginLimits {
    pub fn fuel(&self, rows: usize) -> u64 {
        self.fuel_per_call_base.saturating_add(self.fuel_per_row.saturating_mul(rows as u64))
    }

    /// In ticks of the epoch; one more, since the current tick is already under way.
    pub fn ticks(&self, rows: usize) -> u64 {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let wall = self.deadline.saturating_add(self.deadline_per_row.saturating_mul(rows));
        (wall.as_millis() / EPOCH_TICK.as_millis()).min(u128::from(u32::MAX)) as u64 + 1
    }
}

/// Fuel of a host call as such: it takes about as long as this many instructions.
pub const HOST_CALL_FUEL: u64 = 100;
/// Bytes the host moves for one unit of fuel: copying 8 bytes takes about as long as an instruction.
pub const BYTES_PER_FUEL: u64 = 8;
/// Live handles of one instance (stdio streams, pollables): language runtimes hold a few dozen.
pub const HANDLES_MAX: usize = 10_000;
/// Reads that explain mode keeps; a rule that makes more is not explained by more.
pub const EXPLAIN_READS_MAX: usize = 10_000;
/// Bytes of what these reads hold, all together: the largest record once.
pub const EXPLAIN_BYTES_MAX: usize = 16 << 20;
/// Frames of a guest's backtrace that go into a message.
pub const BACKTRACE_FRAMES: usize = 4;
