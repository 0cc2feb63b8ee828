//! Gives bytes to a parser, in a sandbox that costs it one payload when it breaks.

use crate::component::Code;
use crate::contract::World;
use crate::host::Watch;
use crate::limits::Budget;
use crate::sandbox::{Exports, Idle, Sandbox};
use crate::session::LogLine;
use crate::wire;
use std::fmt;
use std::sync::Arc;
use streamalert_pipeline::config::Schemas;
use streamalert_pipeline::plugin::{
    ParsedPart, ParsedRecord, ParserInfo, ParserPlugin, PluginError, PluginErrorKind as Kind,
};

/// A live component that parses.
pub struct ParserComponent {
    pub(crate) code: Code,
    pub(crate) info: ParserInfo,
    /// What `info.schemas` says.
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) idle: Arc<Idle>,
}

impl fmt::Debug for ParserComponent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.code.fmt(f)
    }
}

/// What a call of a parser came to, for whoever wants to know more than the pipeline does.
#[derive(Debug)]
pub struct Observed {
    pub parts: Result<Vec<ParsedPart>, PluginError>,
    /// Deterministic: the same component and payload cost the same. 0 when the call failed.
    pub fuel: u64,
    pub logs: Vec<LogLine>,
}

impl ParserPlugin for ParserComponent {
    fn name(&self) -> &str {
        &self.code.name
    }

    fn digest(&self) -> &str {
        &self.code.digest
    }

    fn info(&self) -> &ParserInfo {
        &self.info
    }

    fn sniff(&self, head: &[u8]) -> Result<bool, PluginError> {
        // Not asked, so that a parser which never sniffs costs nothing here.
        if !self.info.sniffs {
            return Ok(false);
        }
        self.with(|sandbox| {
            let budget = self.code.limits().parser_budget(head.len(), 0);
            sandbox.sniff(&self.code.exports, head, budget)
        })
    }

    fn parse(&self, payload: &[u8]) -> Result<Vec<ParsedPart>, PluginError> {
        let (parts, _) = self.with(|sandbox| self.ask(sandbox, payload))?;
        self.mean(parts, payload.len())
    }
}

impl ParserComponent {
    /// The log types it makes records of.
    pub fn schemas(&self) -> &Arc<Schemas> {
        &self.schemas
    }

    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Parses in a fresh sandbox, and keeps what the parser logs.
    pub fn observe(&self, payload: &[u8]) -> Observed {
        let mut sandbox = match self.code.start() {
            Ok(sandbox) => sandbox,
            Err(error) => return Observed { parts: Err(error), fuel: 0, logs: vec![] },
        };
        sandbox.store.data_mut().watch = Some(Watch::default());
        let asked = self.ask(&mut sandbox, payload);
        let logs = sandbox.store.data_mut().watch.take().unwrap_or_default().lines;
        match asked {
            Ok((parts, fuel)) => Observed { parts: self.mean(parts, payload.len()), fuel, logs },
            Err(error) => Observed { parts: Err(error), fuel: 0, logs },
        }
    }

    /// Works with a waiting sandbox or a new one. After an error it is dropped: what a trap left behind in it is nobody's
    /// starting point.
    fn with<T>(&self, work: impl FnOnce(&mut Sandbox) -> Result<T, PluginError>) -> Result<T, PluginError> {
        self.idle.with(&self.code, work)
    }

    fn ask(&self, sandbox: &mut Sandbox, payload: &[u8]) -> Result<(Answer, u64), PluginError> {
        if u32::try_from(payload.len()).is_err() {
            let message = format!("a payload of {} bytes; a parser can count to 4 GiB", payload.len());
            return Err(PluginError::new(Kind::HostCall, message));
        }
        let breaks = payload.iter().filter(|byte| **byte == b'\n').count();
        sandbox.parse(payload, self.code.limits().parser_budget(payload.len(), breaks))
    }

    /// The answer, if it means something.
    fn mean(&self, answer: Answer, length: usize) -> Result<Vec<ParsedPart>, PluginError> {
        let limits = self.code.limits();
        let parts = match answer {
            Ok(parts) => parts,
            Err(reason) if length == 0 => {
                tracing::debug!(plugin = &*self.code.name, reason, "a parser refused an empty payload");
                return Ok(Vec::new());
            }
            Err(reason) => {
                let outcome = Err(cut(reason, limits.parser_reason_bytes));
                return Ok(vec![ParsedPart { offset: 0, length: length as u32, outcome }]);
            }
        };
        if parts.len() > limits.parser_parts {
            let message = format!("answered {} parts; the limit is {}", parts.len(), limits.parser_parts);
            return Err(PluginError::new(Kind::BadAnswer, message));
        }
        let mut parts: Vec<ParsedPart> = parts.into_iter().map(|part| self.part(part)).collect();
        // As they lie in the payload; those about the same piece stay as the parser has them.
        parts.sort_by_key(|part| part.offset);
        places(&parts, length).map_err(|message| PluginError::new(Kind::BadAnswer, message))?;
        Ok(parts)
    }

    fn part(&self, part: wire::Part) -> ParsedPart {
        let outcome = match part.outcome {
            Err(reason) => Err(cut(reason, self.code.limits().parser_reason_bytes)),
            Ok(wire::Parsed { log_type, json }) => match log_type.is_empty() || self.schemas.get(&log_type).is_some() {
                true => Ok(ParsedRecord { log_type, json }),
                false => Err(format!(
                    "the parser calls it {}, which is none of its log types",
                    crate::host::printable(&log_type, LOG_TYPE_SHOWN)
                )),
            },
        };
        ParsedPart { offset: part.offset, length: part.length, outcome }
    }
}

/// Bytes shown of a log type that is none.
const LOG_TYPE_SHOWN: usize = 80;

/// Parts, or why there are none for the whole payload.
type Answer = Result<Vec<wire::Part>, String>;

/// Parts in rising order must lie within the payload, hold something, and not overlap but for being the same.
fn places(parts: &[ParsedPart], length: usize) -> Result<(), String> {
    let mut before: Option<(u64, u64)> = None;
    for part in parts {
        let place = (u64::from(part.offset), u64::from(part.offset) + u64::from(part.length));
        if part.length == 0 {
            return Err(format!("a part at byte {} has no bytes", place.0));
        }
        if place.1 > length as u64 {
            return Err(format!("a part ends at byte {} of a payload of {length} bytes", place.1));
        }
        match before {
            Some(before) if before != place && before.1 > place.0 => {
                let ((a, b), (c, d)) = (before, place);
                return Err(format!("the parts from {a} to {b} and from {c} to {d} overlap"));
            }
            _ => before = Some(place),
        }
    }
    Ok(())
}

fn cut(mut reason: String, max: usize) -> String {
    reason.truncate(reason.floor_char_boundary(max));
    reason
}

impl Sandbox {
    /// Once, before anything else: here the types of `parsing` are checked, too.
    pub(crate) fn describe_parser(&mut self, exports: &Exports) -> Result<wire::ParserInfo, PluginError> {
        let describe = self.function::<(), (wire::ParserInfo,)>(exports.describe, "describe", World::Parser)?;
        self.check_work::<(&[u8],), (Answer,)>(World::Parser)?;
        self.aside::<(&[u8],), (bool,)>(exports, "sniff")?;
        let budget = self.starting();
        self.call(budget, |store| describe.call(store, ())).map(|((info,), _)| info)
    }

    fn sniff(&mut self, exports: &Exports, head: &[u8], budget: Budget) -> Result<bool, PluginError> {
        let sniff = self.aside::<(&[u8],), (bool,)>(exports, "sniff")?;
        self.call(budget, |store| sniff.call(store, (head,))).map(|((claimed,), _)| claimed)
    }

    fn parse(&mut self, payload: &[u8], budget: Budget) -> Result<(Answer, u64), PluginError> {
        // SAFETY: `describe_parser` checked the type when the component was loaded.
        let parse = unsafe { self.work::<(&[u8],), (Answer,)>() };
        self.call(budget, |store| parse.call(store, (payload,))).map(|((answer,), fuel)| (answer, fuel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(length: usize, pieces: &[(u32, u32)], expected: &str) {
        let part = |&(offset, length): &(u32, u32)| ParsedPart { offset, length, outcome: Err(String::new()) };
        let mut parts: Vec<ParsedPart> = pieces.iter().map(part).collect();
        parts.sort_by_key(|part| part.offset);
        assert_eq!(places(&parts, length).err().unwrap_or_default(), expected, "{pieces:?}");
    }

    #[test]
    fn parts_lie_within_the_payload_one_behind_the_other_or_on_top_of_each_other() {
        check(0, &[], "");
        check(10, &[(0, 5), (5, 5)], "");
        check(10, &[(8, 2), (0, 3)], "");
        check(10, &[(2, 3), (2, 3), (2, 3), (5, 1)], "");
        check(10, &[(0, 11)], "a part ends at byte 11 of a payload of 10 bytes");
        check(10, &[(u32::MAX, u32::MAX)], "a part ends at byte 8589934590 of a payload of 10 bytes");
        check(10, &[(3, 0)], "a part at byte 3 has no bytes");
        check(10, &[(0, 5), (4, 5)], "the parts from 0 to 5 and from 4 to 9 overlap");
        check(10, &[(2, 3), (2, 4)], "the parts from 2 to 5 and from 2 to 6 overlap");
    }

    #[test]
    fn reasons_are_cut_between_letters() {
        assert_eq!(cut("äöü".into(), 3), "ä");
        assert_eq!(cut("abc".into(), 3), "abc");
    }
}
