//! Gives alerts to publishers, in a sandbox that costs one publication when it breaks.

use crate::component::Code;
use crate::contract::World;
use crate::host::printable;
use crate::sandbox::{Exports, Idle, Sandbox};
use crate::wire;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use streamalert_pipeline::plugin::{PluginError, PluginErrorKind as Kind, PublisherInfo, PublisherPlugin};

/// A live component of publishers.
pub struct PublisherComponent {
    pub(crate) code: Code,
    pub(crate) publishers: Vec<PublisherInfo>,
    pub(crate) idle: Arc<Idle>,
}

impl fmt::Debug for PublisherComponent {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl PublisherPlugin for PublisherComponent {
    fn name(&self) -> &str {
        &self.code.name
    }

    fn digest(&self) -> &str {
        &self.code.digest
    }

    fn publishers(&self) -> &[PublisherInfo] {
        &self.publishers
    }

    fn publish(
        &self,
        publisher: usize,
        alert: &str,
        publication: &str,
        output: &str,
    ) -> Result<Result<Map<String, Value>, String>, PluginError> {
        let answer = self.idle.with(&self.code, |sandbox| sandbox.publish(publisher, alert, publication, output))?;
        match answer {
            Err(reason) => Ok(Err(printable(&reason, self.code.limits().delivery_reason_bytes))),
            Ok(json) => match serde_json::from_str(&json) {
                Ok(publication) => Ok(Ok(publication)),
                Err(error) => {
                    let message = format!("the publication is no JSON object: {error}");
                    Err(PluginError::new(Kind::BadAnswer, message))
                }
            },
        }
    }
}

impl PublisherComponent {
    pub fn code(&self) -> &Code {
        &self.code
    }
}

/// Number of the publisher, alert, publication, output.
type Given<'a> = (u32, &'a str, &'a str, &'a str);
type Answer = Result<String, String>;

impl Sandbox {
    /// Once, before anything else: here the types of `publishing` are checked, too.
    pub(crate) fn describe_publishers(&mut self, exports: &Exports) -> Result<Vec<wire::PublisherInfo>, PluginError> {
        let world = World::Publisher;
        let describe = self.function::<(), (Vec<wire::PublisherInfo>,)>(exports.describe, "describe", world)?;
        self.check_work::<Given, (Answer,)>(world)?;
        let budget = self.starting();
        self.call(budget, |store| describe.call(store, ())).map(|((publishers,), _)| publishers)
    }

    fn publish(
        &mut self,
        publisher: usize,
        alert: &str,
        publication: &str,
        output: &str,
    ) -> Result<Answer, PluginError> {
        self.store.data_mut().output = Some(output.into());
        let budget = self.store.data().limits().delivery_budget(alert.len() + publication.len());
        // SAFETY: `describe_publishers` checked the type when the component was loaded.
        let publish = unsafe { self.work::<Given, (Answer,)>() };
        let given = (publisher as u32, alert, publication, output);
        self.call(budget, |store| publish.call(store, given)).map(|((answer,), _)| answer)
    }
}
