//! What is known of scheduled queries: an object for each in the data bucket, changed only by whoever has it. Whoever takes one
//! writes until when, and a writer that was too slow finds that the object is another's.

use crate::Aws;
use crate::objects::Bucket;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::scheduled_queries::drive::Desk;
use streamalert_pipeline::scheduled_queries::state::State;
use streamalert_pipeline::time::Millis;

/// Where they lie.
pub const QUERIES: &str = "queries/";

pub struct S3Desk<'a> {
    aws: Arc<Aws>,
    bucket: Bucket,
    now: &'a (dyn Fn() -> Millis + Sync),
    /// What is taken is ours up to this time.
    until: Millis,
    /// ETag and what was written last.
    ours: Mutex<HashMap<String, (Option<String>, Kept)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Somebody is at it; 0 if nobody is.
    #[serde(default)]
    busy_until: Millis,
    state: State,
}

impl<'a> S3Desk<'a> {
    pub fn new(bucket: Bucket, now: &'a (dyn Fn() -> Millis + Sync), until: Millis) -> Self {
        S3Desk { aws: bucket.aws.clone(), bucket, now, until, ours: Mutex::default() }
    }

    fn key(name: &str) -> String {
        format!("{QUERIES}{name}.json")
    }

    fn read(&self, name: &str) -> Result<(Option<String>, Kept), BackendError> {
        let key = Self::key(name);
        let Some(object) = self.aws.wait(self.bucket.get(&key))? else { return Ok((None, Kept::default())) };
        let kept = serde_json::from_slice(&object.bytes);
        let kept = kept.map_err(|error| BackendError::other(self.bucket.action("read", &key), error))?;
        Ok((Some(object.etag), kept))
    }

    fn write(&self, name: &str, etag: Option<&str>, kept: &Kept) -> Result<String, BackendError> {
        let key = Self::key(name);
        let text = serde_json::to_vec_pretty(kept);
        let text = text.map_err(|error| BackendError::other(self.bucket.action("write", &key), error))?;
        self.aws.wait(self.bucket.exchange(&key, etag, text))
    }

    fn change(&self, name: &str, state: &State, busy_until: Millis) -> Result<(), BackendError> {
        let mut ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((etag, before)) = ours.get_mut(name) else {
            let action = self.bucket.action("write", &Self::key(name));
            return Err(BackendError { kind: BackendErrorKind::Conflict, action, source: None });
        };
        let kept = Kept { busy_until, state: state.clone() };
        if kept == *before {
            return Ok(());
        }
        *etag = Some(self.write(name, etag.as_deref(), &kept)?);
        *before = kept;
        Ok(())
    }
}

impl Desk for S3Desk<'_> {
    fn peek(&self, name: &str) -> Result<State, BackendError> {
        Ok(self.read(name)?.1.state)
    }

    fn take(&self, name: &str) -> Result<Option<State>, BackendError> {
        let (etag, mut kept) = self.read(name)?;
        if kept.busy_until > (self.now)() {
            return Ok(None);
        }
        kept.busy_until = self.until;
        let etag = match self.write(name, etag.as_deref(), &kept) {
            Ok(etag) => etag,
            Err(error) if error.kind == BackendErrorKind::Conflict => return Ok(None),
            Err(error) => return Err(error),
        };
        let state = kept.state.clone();
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), (Some(etag), kept));
        Ok(Some(state))
    }

    fn keep(&self, name: &str, state: &State) -> Result<(), BackendError> {
        self.change(name, state, self.until)
    }

    fn give_back(&self, name: &str, state: &State) -> Result<(), BackendError> {
        let kept = self.change(name, state, 0);
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        kept
    }
}
