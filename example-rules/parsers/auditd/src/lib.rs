//! The log of the Linux audit daemon, `/var/log/audit/audit.log`: an event is several lines that carry the same time and
//! serial number, and lines of several events may lie between one another.

mod fields;

use fields::{Fields, Value};
use std::collections::HashMap;
use std::ops::Range;
use streamalert_parser_sdk::prelude::*;

/// Linux audit records, as auditd writes them; a record for each event, with all its lines.
///
/// What a system call's event is mostly asked for has fields of its own; `records` holds every line, key by key. Values that
/// the kernel encodes in hexadecimal are decoded where the key says that they may be. `time` is in seconds since 1970. An
/// event at the very end of an object may lack lines that the daemon had not written yet.
#[parser(schemas = "schemas.json", takes = "whole", sniff = is_audit_log)]
fn auditd(payload: &[u8]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut open = Open::new();
    for line in lines(payload).filter(|line| !line.bytes.trim_ascii().is_empty()) {
        let text = line.text();
        let (node, header) = match Header::read(&text) {
            Ok(found) => found,
            Err(reason) => {
                // It belongs to no event, and so must not lie within a piece.
                open.clear();
                parts.push(Part::error(line.place, reason));
                continue;
            }
        };
        let key = (node.to_owned(), header.stamp.to_owned());
        let (piece, event) = match open.get(&key) {
            Some(found) => *found,
            None => {
                let found = (pieces.len(), 0);
                pieces.push(Piece { place: line.place.clone(), events: vec![Event::new(key.clone(), &header)] });
                open.insert(key.clone(), found);
                found
            }
        };
        let event = &mut pieces[piece].events[event];
        // The end of an event that has several lines; it says nothing else.
        if header.kind == "EOE" {
            event.types.push(header.kind.to_owned());
            open.remove(&key);
        } else {
            event.add(&header);
        }
        join(&mut pieces, piece, line.place.end, &mut open);
    }
    for piece in pieces {
        for event in piece.events {
            parts.push(Part::record(piece.place.clone(), "auditd:event", event.record()));
        }
    }
    Ok(parts)
}

/// The first line is a line of the audit daemon.
fn is_audit_log(head: &[u8]) -> bool {
    lines(head).next().is_some_and(|line| Header::read(&line.text()).is_ok())
}

/// The node and the time and serial number of an event.
type Key = (String, String);
/// Events that may get more lines → their piece, and their place in it.
type Open = HashMap<Key, (usize, usize)>;

/// Bytes without a gap, and the events whose lines lie there, in order of their first lines.
struct Piece {
    place: Range<usize>,
    events: Vec<Event>,
}

/// Extends a piece up to `end`. Pieces that begin in between hold lines that lie among its own: they become part of it.
fn join(pieces: &mut Vec<Piece>, piece: usize, end: usize, open: &mut Open) {
    pieces[piece].place.end = end;
    if piece + 1 == pieces.len() {
        return;
    }
    for (from, swallowed) in pieces.split_off(piece + 1).into_iter().enumerate() {
        let from = piece + 1 + from;
        let into = &mut pieces[piece].events;
        for (index, event) in swallowed.events.into_iter().enumerate() {
            if let Some(found) = open.get_mut(&event.key).filter(|found| **found == (from, index)) {
                *found = (piece, into.len());
            }
            into.push(event);
        }
    }
}

/// `node=… type=KIND msg=audit(STAMP): …`
struct Header<'a> {
    kind: &'a str,
    /// `seconds.milliseconds:serial`
    stamp: &'a str,
    seconds: f64,
    serial: u64,
    rest: &'a str,
}

impl<'a> Header<'a> {
    /// The node, if the line names one, and the rest.
    fn read(line: &'a str) -> Result<(&'a str, Header<'a>), String> {
        const FORM: &str = "no line of auditd: it does not begin with `type=… msg=audit(…): `";
        let line = line.trim_end();
        let (node, line) = match line.strip_prefix("node=") {
            Some(rest) => rest.split_once(' ').ok_or(FORM)?,
            None => ("", line),
        };
        let (kind, rest) = line.strip_prefix("type=").and_then(|rest| rest.split_once(' ')).ok_or(FORM)?;
        let (stamp, rest) = rest.strip_prefix("msg=audit(").and_then(|rest| rest.split_once("):")).ok_or(FORM)?;
        let (seconds, serial) = stamp.split_once(':').ok_or(FORM)?;
        let number = |_| format!("`{stamp}` is no time and serial number");
        let seconds: f64 = seconds.parse().map_err(|_| ()).map_err(number)?;
        let serial = serial.parse().map_err(|_| ()).map_err(number)?;
        Ok((node, Header { kind, stamp, seconds, serial, rest: rest.trim_start() }))
    }
}

struct Event {
    key: Key,
    seconds: f64,
    serial: u64,
    types: Vec<String>,
    /// Of the record, by name; what comes first counts.
    own: Vec<(&'static str, Value)>,
    /// `a0`, `a1` and so on by number.
    args: Vec<(usize, String)>,
    paths: Vec<Object>,
    records: Vec<Object>,
}

impl Event {
    fn new(key: Key, header: &Header) -> Self {
        Event {
            key,
            seconds: header.seconds,
            serial: header.serial,
            types: Vec::new(),
            own: Vec::new(),
            args: Vec::new(),
            paths: Vec::new(),
            records: Vec::new(),
        }
    }

    fn add(&mut self, header: &Header) {
        let fields = Fields::read(header.kind, header.rest);
        let mut record = Object::new().with("type", header.kind);
        for (key, value) in fields.iter() {
            if key != "type" {
                record.put(key, value);
            }
        }
        match header.kind {
            "PATH" => self.paths.push(path(&fields)),
            "EXECVE" => self.args.extend(fields.args()),
            _ => {
                for name in OWN {
                    let new = self.own.iter().all(|(known, _)| *known != name);
                    if let Some(value) = fields.get(name).filter(|_| new) {
                        self.own.push((name, value.clone()));
                    }
                }
            }
        }
        self.types.push(header.kind.to_owned());
        self.records.push(record);
    }

    fn record(mut self) -> Object {
        let mut record = Object::with_capacity(1024);
        record.put("time", self.seconds);
        record.put("serial", self.serial);
        let (node, _) = self.key;
        if !node.is_empty() {
            record.put("node", node);
        }
        record.put("types", self.types);
        for (name, value) in self.own {
            match INTEGERS.contains(&name) {
                // A number or nothing: `exit=?` is no number.
                true => {
                    if let Some(number) = value.number() {
                        record.put(name, number);
                    }
                }
                false => record.put(name, value.text()),
            }
        }
        if !self.args.is_empty() {
            self.args.sort();
            record.put("args", self.args.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
        }
        if !self.paths.is_empty() {
            record.put("paths", self.paths);
        }
        record.put("records", self.records);
        record
    }
}

/// Keys that become fields of the event, wherever in it they are found first.
const OWN: [&str; 18] = [
    "success",
    "syscall",
    "arch",
    "exit",
    "pid",
    "ppid",
    "auid",
    "uid",
    "gid",
    "euid",
    "egid",
    "ses",
    "tty",
    "comm",
    "exe",
    "key",
    "cwd",
    "proctitle",
];
/// Of these, the numbers.
const INTEGERS: [&str; 10] = ["syscall", "exit", "pid", "ppid", "auid", "uid", "gid", "euid", "egid", "ses"];

/// One file that the system call was about.
fn path(fields: &Fields) -> Object {
    let mut path = Object::new();
    for name in ["item", "name", "inode", "mode", "ouid", "ogid", "nametype"] {
        if let Some(value) = fields.get(name) {
            path.put(name, value);
        }
    }
    path
}

#[cfg(test)]
mod tests;
