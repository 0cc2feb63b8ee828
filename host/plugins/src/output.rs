//! Gives parcels to an output. Each call has an instance of its own: nothing that one descriptor's secrets or one alert left in
//! its memory is there when the next comes. That costs less than a thousandth of what the network does.

use crate::component::Code;
use crate::contract::World;
use crate::errand::Errand;
use crate::host::{State, Watch, printable};
use crate::limits::PluginLimits;
use crate::sandbox::{Exports, Sandbox};
use crate::secrets::Secrets;
use crate::session::LogLine;
use crate::wire;
use std::fmt;
use std::sync::Arc;
use streamalert_pipeline::plugin::{
    Disposition, OutputInfo, OutputPlugin, Outside, Parcel, PluginError, PluginErrorKind as Kind, SettingFault,
};

/// A live component that delivers.
pub struct OutputComponent {
    pub(crate) code: Code,
    pub(crate) info: Arc<OutputInfo>,
}

impl fmt::Debug for OutputComponent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.code.fmt(f)
    }
}

/// What an attempt came to, for whoever wants to know more than the pipeline does.
#[derive(Debug)]
pub struct ObservedDelivery {
    pub disposition: Result<Disposition, PluginError>,
    /// 0 when the call failed.
    pub fuel: u64,
    pub logs: Vec<LogLine>,
}

impl OutputPlugin for OutputComponent {
    fn name(&self) -> &str {
        &self.code.name
    }

    fn digest(&self) -> &str {
        &self.code.digest
    }

    fn info(&self) -> &OutputInfo {
        &self.info
    }

    fn validate(&self, settings: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        let is_secret = |name: &str| self.info.settings.iter().any(|setting| setting.secret && setting.name == name);
        let hidden = settings.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str());
        let mut sandbox = self.sandbox(Secrets::new(hidden))?;
        let faults = sandbox.validate(&self.code.exports, settings)?;
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

    fn deliver(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        self.attempt(parcel, outside, None).disposition
    }
}

impl OutputComponent {
    /// Delivers, and keeps what the output logs.
    pub fn observe(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> ObservedDelivery {
        self.attempt(parcel, outside, Some(Watch::default()))
    }

    fn attempt(&self, parcel: &Parcel, outside: &Arc<dyn Outside>, watch: Option<Watch>) -> ObservedDelivery {
        let secret = self.info.settings.iter().filter(|setting| setting.secret);
        let values: Vec<String> = secret.filter_map(|setting| outside.secret(&setting.name)).collect();
        let mut sandbox = match self.sandbox(Secrets::new(values.iter().map(String::as_str))) {
            Ok(sandbox) => sandbox,
            Err(error) => return ObservedDelivery { disposition: Err(error), fuel: 0, logs: vec![] },
        };
        let limits = self.code.limits();
        let state = sandbox.store.data_mut();
        state.output = Some(format!("{}:{}", self.info.service, parcel.descriptor).into());
        state.watch = watch;
        let requests = limits.delivery_requests;
        state.errand = Some(Errand::new(outside.clone(), &self.info.settings, requests, limits.delivery_deadline));
        let answer = sandbox.deliver(parcel);
        let state = sandbox.store.data_mut();
        let logs = state.watch.take().unwrap_or_default().lines;
        match answer {
            Ok((answer, fuel)) => ObservedDelivery { disposition: mean(answer, state, limits), fuel, logs },
            Err(error) => {
                let message = state.secrets.hide(&error.message).into_owned();
                ObservedDelivery { disposition: Err(PluginError { message, ..error }), fuel: 0, logs }
            }
        }
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
fn mean(answer: wire::Disposition, state: &State, limits: &PluginLimits) -> Result<Disposition, PluginError> {
    let shown = |text: String| shown(state, &text, limits);
    Ok(match answer {
        wire::Disposition::Delivered(place) => Disposition::Delivered(place.map(shown)),
        wire::Disposition::Reject(reason) => Disposition::Reject(shown(reason)),
        wire::Disposition::Retry(wire::Again { reason, after, progress }) => {
            // Half of it would lead the next attempt astray.
            let max = limits.delivery_progress_bytes;
            if let Some(bytes) = progress.as_ref().map(String::len).filter(|bytes| *bytes > max) {
                let message = format!("leaves {bytes} bytes of progress; the limit is {max}");
                return Err(PluginError::new(Kind::BadAnswer, message));
            }
            Disposition::Retry { reason: shown(reason), after, progress }
        }
    })
}

fn shown(state: &State, text: &str, limits: &PluginLimits) -> String {
    printable(&state.secrets.hide(text), limits.delivery_reason_bytes)
}

impl Sandbox {
    /// Once, before anything else: here the types of `delivery` are checked, too.
    pub(crate) fn describe_output(&mut self, exports: &Exports) -> Result<wire::OutputInfo, PluginError> {
        let describe = self.function::<(), (wire::OutputInfo,)>(exports.describe, "describe", World::Output)?;
        self.check_work::<(wire::Parcel,), (wire::Disposition,)>(World::Output)?;
        self.aside::<(&[wire::Given],), (Vec<wire::Fault>,)>(exports, "validate")?;
        let budget = self.starting();
        self.call(budget, |store| describe.call(store, ())).map(|((info,), _)| info)
    }

    fn validate(&mut self, exports: &Exports, settings: &[(String, String)]) -> Result<Vec<wire::Fault>, PluginError> {
        let validate = self.aside::<(&[wire::Given],), (Vec<wire::Fault>,)>(exports, "validate")?;
        let bytes = settings.iter().map(|(name, value)| name.len() + value.len()).sum();
        let budget = self.store.data().limits().delivery_budget(bytes);
        let settings = given(settings);
        self.call(budget, |store| validate.call(store, (&settings,))).map(|((faults,), _)| faults)
    }

    fn deliver(&mut self, parcel: &Parcel) -> Result<(wire::Disposition, u64), PluginError> {
        let progress = parcel.progress.as_deref();
        let bytes = parcel.alert.len() + parcel.publication.len() + progress.map_or(0, str::len);
        let budget = self.store.data().limits().delivery_budget(bytes);
        // SAFETY: `describe_output` checked the type when the component was loaded.
        let deliver = unsafe { self.work::<(wire::Parcel,), (wire::Disposition,)>() };
        let settings = given(&parcel.settings);
        let parcel = wire::Parcel {
            descriptor: &parcel.descriptor,
            idempotency_key: &parcel.idempotency_key,
            attempt: parcel.attempt,
            now: parcel.now,
            alert: &parcel.alert,
            publication: &parcel.publication,
            settings: &settings,
            progress,
        };
        self.call(budget, |store| deliver.call(store, (parcel,))).map(|((answer,), fuel)| (answer, fuel))
    }
}

pub(crate) fn given(settings: &[(String, String)]) -> Vec<wire::Given<'_>> {
    settings.iter().map(|(name, value)| wire::Given { name, value }).collect()
}
