//! Asks apps for pages. Each poll has an instance of its own, as each delivery has.

use crate::component::Code;
use crate::contract::World;
use crate::errand::Errand;
use crate::host::{State, Watch, printable};
use crate::limits::PluginLimits;
use crate::sandbox::{Exports, Sandbox};
use crate::secrets::Secrets;
use crate::session::LogLine;
use crate::wire;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use streamalert_pipeline::plugin::{
    AppInfo, AppPage, AppPlugin, Ask, Outside, PluginError, PluginErrorKind as Kind, Polled, SettingFault,
};

/// A live component of apps.
pub struct AppComponent {
    pub(crate) code: Code,
    pub(crate) apps: Vec<AppInfo>,
}

impl fmt::Debug for AppComponent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.code.fmt(f)
    }
}

/// What a poll came to, for whoever wants to know more than the pipeline does.
#[derive(Debug)]
pub struct ObservedPoll {
    pub polled: Result<Polled, PluginError>,
    /// 0 when the call failed.
    pub fuel: u64,
    pub logs: Vec<LogLine>,
}

impl AppPlugin for AppComponent {
    fn name(&self) -> &str {
        &self.code.name
    }

    fn digest(&self) -> &str {
        &self.code.digest
    }

    fn apps(&self) -> &[AppInfo] {
        &self.apps
    }

    fn validate(&self, kind: usize, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        let info = self.info(kind)?;
        let is_secret = |name: &str| info.settings.iter().any(|setting| setting.secret && setting.name == name);
        let hidden = settings.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str());
        let mut sandbox = self.sandbox(Secrets::new(hidden))?;
        let faults = sandbox.validate_app(&self.code.exports, kind, settings)?;
        let limits = self.code.limits();
        if faults.len() > limits.output_items {
            let message = format!("finds {} faults; the limit is {}", faults.len(), limits.output_items);
            return Err(PluginError::new(Kind::BadAnswer, message));
        }
        let shown = |text: &str| shown(sandbox.store.data(), text, limits);
        let fault =
            |fault: wire::Fault| SettingFault { setting: shown(&fault.setting), message: shown(&fault.message) };
        Ok(faults.into_iter().map(fault).collect())
    }

    fn poll(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> Result<Polled, PluginError> {
        self.attempt(kind, ask, outside, None).polled
    }
}

impl AppComponent {
    /// Polls, and keeps what the app logs.
    pub fn observe(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>) -> ObservedPoll {
        self.attempt(kind, ask, outside, Some(Watch::default()))
    }

    fn attempt(&self, kind: usize, ask: &Ask, outside: &Arc<dyn Outside>, watch: Option<Watch>) -> ObservedPoll {
        let failed = |error| ObservedPoll { polled: Err(error), fuel: 0, logs: vec![] };
        let info = match self.info(kind) {
            Ok(info) => info,
            Err(error) => return failed(error),
        };
        let secret = info.settings.iter().filter(|setting| setting.secret);
        let values: Vec<String> = secret.filter_map(|setting| outside.secret(&setting.name)).collect();
        let mut sandbox = match self.sandbox(Secrets::new(values.iter().map(String::as_str))) {
            Ok(sandbox) => sandbox,
            Err(error) => return failed(error),
        };
        let limits = self.code.limits();
        let state = sandbox.store.data_mut();
        state.output = Some(format!("app {}", ask.app).into());
        state.watch = watch;
        state.errand = Some(Errand::new(outside.clone(), &info.settings, limits.poll_requests, limits.poll_deadline));
        let answer = sandbox.poll(kind, ask);
        let state = sandbox.store.data_mut();
        let logs = state.watch.take().unwrap_or_default().lines;
        match answer {
            Ok((answer, fuel)) => ObservedPoll { polled: mean(answer, state, limits), fuel, logs },
            Err(error) => {
                let message = state.secrets.hide(&error.message).into_owned();
                ObservedPoll { polled: Err(PluginError { message, ..error }), fuel: 0, logs }
            }
        }
    }

    fn info(&self, kind: usize) -> Result<&AppInfo, PluginError> {
        self.apps.get(kind).ok_or_else(|| PluginError::new(Kind::HostCall, format!("there is no app number {kind}")))
    }

    fn sandbox(&self, secrets: Secrets) -> Result<Sandbox, PluginError> {
        let mut sandbox = self.code.start()?;
        sandbox.store.data_mut().secrets = secrets;
        Ok(sandbox)
    }

    pub fn code(&self) -> &Code {
        &self.code
    }
}

/// The answer, if it means something, without secrets in what people read.
fn mean(answer: wire::Answer, state: &State, limits: &PluginLimits) -> Result<Polled, PluginError> {
    let shown = |text: &str| shown(state, text, limits);
    let bad = |message: String| Err(PluginError::new(Kind::BadAnswer, message));
    Ok(match answer {
        wire::Answer::Reject(reason) => Polled::Reject(shown(&reason)),
        wire::Answer::Retry(wire::PollAgain { reason, after }) => Polled::Retry { reason: shown(&reason), after },
        wire::Answer::Page(wire::Page { logs, cursor, more, wait }) => {
            // Half of it would lead the next poll astray.
            if cursor.len() > limits.poll_cursor_bytes {
                return bad(format!(
                    "has a cursor of {} bytes; the limit is {}",
                    cursor.len(),
                    limits.poll_cursor_bytes
                ));
            }
            if logs.len() > limits.poll_logs {
                return bad(format!("has a page of {} logs; the limit is {}", logs.len(), limits.poll_logs));
            }
            let mut lines = Vec::with_capacity(logs.len());
            for (index, log) in logs.into_iter().enumerate() {
                if !log.trim_start().starts_with('{') || serde_json::from_str::<&RawValue>(&log).is_err() {
                    return bad(format!("log {index} of its page is no JSON object: {}", shown(&log)));
                }
                lines.push(on_one_line(log));
            }
            Polled::Page(AppPage { logs: lines, cursor, more, wait })
        }
    })
}

/// In JSON, line breaks can stand only where blanks can.
fn on_one_line(log: String) -> String {
    let flat = match log.contains(['\n', '\r']) {
        true => Cow::Owned(log.replace(['\n', '\r'], " ")),
        false => Cow::Borrowed(log.trim()),
    };
    match flat.trim() {
        trimmed if trimmed.len() == log.len() => log,
        trimmed => trimmed.to_owned(),
    }
}

fn shown(state: &State, text: &str, limits: &PluginLimits) -> String {
    printable(&state.secrets.hide(text), limits.delivery_reason_bytes)
}

type Ask1<'a> = (u32, wire::Ask<'a>);
type Validate<'a> = (u32, &'a [wire::Given<'a>]);

impl Sandbox {
    /// Once, before anything else: here the types of `polling` are checked, too.
    pub(crate) fn describe_apps(&mut self, exports: &Exports) -> Result<Vec<wire::AppInfo>, PluginError> {
        let describe = self.function::<(), (Vec<wire::AppInfo>,)>(exports.describe, "describe", World::App)?;
        self.check_work::<Ask1, (wire::Answer,)>(World::App)?;
        self.aside::<Validate, (Vec<wire::Fault>,)>(exports, "validate")?;
        let budget = self.starting();
        self.call(budget, |store| describe.call(store, ())).map(|((apps,), _)| apps)
    }

    fn validate_app(
        &mut self,
        exports: &Exports,
        kind: usize,
        settings: &[(String, String)],
    ) -> Result<Vec<wire::Fault>, PluginError> {
        let validate = self.aside::<Validate, (Vec<wire::Fault>,)>(exports, "validate")?;
        let budget = self.store.data().limits().poll_budget();
        let settings = crate::output::given(settings);
        self.call(budget, |store| validate.call(store, (kind as u32, &settings))).map(|((faults,), _)| faults)
    }

    fn poll(&mut self, kind: usize, ask: &Ask) -> Result<(wire::Answer, u64), PluginError> {
        let budget = self.store.data().limits().poll_budget();
        // SAFETY: `describe_apps` checked the type when the component was loaded.
        let poll = unsafe { self.work::<Ask1, (wire::Answer,)>() };
        let settings = crate::output::given(&ask.settings);
        let ask = wire::Ask {
            app: &ask.app,
            now: ask.now,
            since: ask.since,
            attempt: ask.attempt,
            cursor: ask.cursor.as_deref(),
            settings: &settings,
        };
        self.call(budget, |store| poll.call(store, (kind as u32, ask))).map(|((answer,), fuel)| (answer, fuel))
    }
}

#[cfg(test)]
mod tests {
    use super::on_one_line;

    #[test]
    fn a_log_is_one_line() {
        for (log, expected) in [
            ("{\"a\": 1}", "{\"a\": 1}"),
            (" {\"a\":\r\n1}\n", "{\"a\":  1}"),
            ("{\"a\": \"x\\ny\"} ", "{\"a\": \"x\\ny\"}"),
        ] {
            assert_eq!(on_one_line(log.into()), expected);
        }
    }
}
