//! What a guest may call: the records it is asked about, the operator's tables, the log; `errand` has the rest. And what its
//! instance may grow to.

use crate::component::Shared;
use crate::errand::Errand;
use crate::fault::raise;
use crate::limits::{BYTES_PER_FUEL, EXPLAIN_BYTES_MAX, EXPLAIN_READS_MAX, HOST_CALL_FUEL, PluginLimits};
use crate::secrets::Secrets;
use crate::session::LogLine;
use crate::wire::{self, Level, Packed, Value};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use streamalert_pipeline::plugin::{Batch, PluginErrorKind, Read};
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{ResourceLimiter, StoreContextMut, Trap};

/// What the store of one instance holds for the host.
pub struct State {
    pub shared: Arc<Shared>,
    pub plugin: Arc<str>,
    /// The rule that is being asked; empty while the component starts, and in what is no rule.
    pub rule: Arc<str>,
    pub batch: Option<Arc<Batch>>,
    /// Set while explain mode watches.
    pub watch: Option<Watch>,
    /// `service:descriptor`, while something is published or delivered.
    pub output: Option<Arc<str>>,
    /// Set while an output delivers.
    pub errand: Option<Errand>,
    /// What no line of the log may show.
    pub secrets: Secrets,
    pub stdio: [Vec<u8>; 2],
    /// When the call that is under way has run too long.
    pub until: Instant,
    /// The batch whose packed buffer was fetched already: once is free, since it is the host's way of handing over records.
    pub fetched: Option<u64>,
    lines: usize,
    memory: usize,
    memory_max: usize,
    elements: usize,
    refused: Option<usize>,
}

#[derive(Default)]
pub struct Watch {
    pub reads: Vec<Read>,
    /// Bytes of what was read so far; a record can be large, and be read whole again and again.
    bytes: usize,
    pub lines: Vec<LogLine>,
}

impl Watch {
    fn has_room(&self, bytes: usize) -> bool {
        self.reads.len() < EXPLAIN_READS_MAX && self.bytes + bytes <= EXPLAIN_BYTES_MAX
    }
}

impl State {
    pub fn new(shared: Arc<Shared>, plugin: Arc<str>, memory_max: usize) -> Self {
        State {
            shared,
            plugin,
            rule: "".into(),
            batch: None,
            watch: None,
            output: None,
            errand: None,
            secrets: Secrets::default(),
            stdio: Default::default(),
            until: Instant::now(),
            fetched: None,
            lines: 0,
            memory: 0,
            memory_max,
            elements: 0,
            refused: None,
        }
    }

    pub fn limits(&self) -> &PluginLimits {
        &self.shared.limits
    }

    /// Bytes of memory the instance holds, and may hold.
    pub fn memory(&self) -> usize {
        self.memory
    }

    pub fn memory_max(&self) -> usize {
        self.memory_max
    }

    /// Bytes of memory the guest was refused during this call.
    pub fn refused_bytes(&self) -> Option<usize> {
        self.refused
    }

    pub fn begin(&mut self) {
        self.lines = 0;
        self.refused = None;
    }

    pub fn finish(&mut self) {
        crate::wasi::flush(self);
        let dropped = self.lines.saturating_sub(self.limits().log_lines);
        if dropped > 0 {
            tracing::warn!(plugin = &*self.plugin, rule = &*self.rule, dropped, "plugin logs too much");
        }
    }

    /// A line for the log, if this call has one left.
    pub fn log(&mut self, level: Level, message: &str) {
        self.lines += 1;
        if self.lines > self.limits().log_lines {
            return;
        }
        let message = printable(&self.secrets.hide(message), self.limits().log_line_bytes);
        let (plugin, rule, output) = (&*self.plugin, &*self.rule, self.output.as_deref());
        match level {
            Level::Debug => tracing::debug!(plugin, rule, output, message, "plugin says"),
            Level::Info => tracing::info!(plugin, rule, output, message, "plugin says"),
            Level::Warn => tracing::warn!(plugin, rule, output, message, "plugin says"),
            Level::Error => tracing::error!(plugin, rule, output, message, "plugin says"),
        }
        if let Some(watch) = &mut self.watch {
            let level = match level {
                Level::Debug => "debug",
                Level::Info => "info",
                Level::Warn => "warn",
                Level::Error => "error",
            };
            watch.lines.push(LogLine { level, message });
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory - current.min(self.memory) + desired;
        if total > self.memory_max {
            self.refused = Some(total);
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = Some(self.memory);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.elements - current.min(self.elements) + desired;
        if total > self.limits().table_elements {
            return Ok(false);
        }
        self.elements = total;
        Ok(true)
    }
}

/// Cut to `max` bytes, and free of what could move a terminal's cursor or turn its text around.
pub fn printable(text: &str, max: usize) -> String {
    let text = &text[..text.floor_char_boundary(max)];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Takes the price of a host call that moved `bytes`, so that a flood of calls ends like any other loop.
pub fn charge(cx: &mut StoreContextMut<State>, bytes: usize) -> wasmtime::Result<()> {
    let price = HOST_CALL_FUEL + bytes as u64 / BYTES_PER_FUEL;
    let left = cx.get_fuel()?;
    cx.set_fuel(left.saturating_sub(price))?;
    if left < price { Err(Trap::OutOfFuel.into()) } else { Ok(()) }
}

/// A text the guest passed, charged for.
pub fn text<'a>(cx: &'a mut StoreContextMut<State>, text: &WasmStr, what: &str) -> wasmtime::Result<Cow<'a, str>> {
    let length = match text.to_str(&*cx) {
        Ok(text) => text.len(),
        Err(error) => return raise(PluginErrorKind::BadAnswer, format!("{what} is not text: {error}")),
    };
    charge(cx, length)?;
    text.to_str(&*cx)
}

/// `streamalert:plugin` at `version`, all of it. What a component of which world may import is checked before.
pub fn link(linker: &mut Linker<State>, version: &str) -> wasmtime::Result<()> {
    linker.instance(&format!("streamalert:plugin/types@{version}"))?;

    let mut records = linker.instance(&format!("streamalert:plugin/records@{version}"))?;
    records.func_wrap("get", |mut cx: StoreContextMut<State>, (row, path): (u32, WasmStr)| {
        let path = match path.to_str(&cx) {
            Ok(path) => path,
            Err(error) => return raise(PluginErrorKind::BadAnswer, format!("a path is not text: {error}")),
        };
        let node = cx.data().batch.as_ref().and_then(|batch| batch.record(row)).and_then(|record| record.get(&path));
        let value = Value::of(node);
        let bytes = path.len() + value.bytes();
        let watched = cx.data().watch.as_ref().is_some_and(|watch| watch.has_room(bytes));
        let read = watched.then(|| wire::read(row, &path, node));
        if let (Some(read), Some(watch)) = (read, &mut cx.data_mut().watch) {
            watch.bytes += bytes;
            watch.reads.push(read);
        }
        charge(&mut cx, bytes)?;
        Ok((value,))
    })?;
    records.func_wrap("json", |mut cx: StoreContextMut<State>, (row,): (u32,)| {
        let batch = cx.data().batch.clone();
        let record = batch.as_ref().and_then(|batch| batch.record(row));
        // Half of the price before the work, so that the last call of a flood is not free.
        charge(&mut cx, record.map_or(0, |record| record.bytes().len()))?;
        let json = record.map(|record| record.to_json()).unwrap_or_default();
        charge(&mut cx, json.len())?;
        Ok((json,))
    })?;
    records.func_wrap("packed", |mut cx: StoreContextMut<State>, (): ()| {
        let batch = cx.data().batch.clone();
        let id = batch.as_ref().map(|batch| batch.id);
        if cx.data().fetched != id {
            cx.data_mut().fetched = id;
        } else {
            charge(&mut cx, batch.as_ref().map_or(0, |batch| batch.packed().len()))?;
        }
        Ok((Packed(batch),))
    })?;

    let mut lookup = linker.instance(&format!("streamalert:plugin/lookup@{version}"))?;
    lookup.func_wrap("get", |mut cx: StoreContextMut<State>, (table, key): (WasmStr, WasmStr)| {
        let table = text(&mut cx, &table, "the name of a table")?.into_owned();
        let key = text(&mut cx, &key, "the key of a table")?.into_owned();
        let found = crate::lookup::get(&mut cx, &table, &key)?;
        Ok((found,))
    })?;

    let mut log = linker.instance(&format!("streamalert:plugin/log@{version}"))?;
    log.func_wrap("write", |mut cx: StoreContextMut<State>, (level, message): (Level, WasmStr)| {
        let message = {
            let whole = text(&mut cx, &message, "a log line")?;
            // What goes beyond this is not looked at anyway; no need to copy it.
            whole[..whole.floor_char_boundary(crate::secrets::TEXT_BYTES_MAX + 4)].to_owned()
        };
        cx.data_mut().log(level, &message);
        Ok(())
    })?;
    crate::errand::link(linker, version)
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn log_lines_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\nc\u{202e}d é", 100), r"a\u{1b}[2Jb\nc\u{202e}d é");
        assert_eq!(printable("äöü", 3), "ä");
    }
}
