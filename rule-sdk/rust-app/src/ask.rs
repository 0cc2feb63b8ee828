//! What a poll is told.

use crate::{Settings, Stop, reject};
use serde::de::DeserializeOwned;

/// The next page is wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ask {
    /// The operator's name for the app.
    pub app: String,
    /// Seconds since 1970 by the host's clock. The service's own, which its times are of, is in the `Date` of its answers.
    pub now: i64,
    /// Seconds since 1970 from which on logs are wanted; the same in every poll, until an operator resets the app.
    pub since: i64,
    /// 1 at first and after each page; one more for each time that no page came.
    pub attempt: u32,
    /// What the page before this one said.
    pub cursor: Option<String>,
    pub(crate) settings: Settings,
}

impl Ask {
    #[cfg_attr(target_family = "wasm", allow(dead_code))]
    pub(crate) fn new(app: &str, now: i64, since: i64) -> Self {
        Ask { app: app.into(), now, since, attempt: 1, cursor: None, settings: Settings::new() }
    }

    /// A setting, be it secret or not. Blank counts as not given.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)
    }

    /// A setting that was required, so that it is there; empty if it is not.
    pub fn required(&self, name: &str) -> &str {
        self.setting(name).unwrap_or_default()
    }

    /// A required setting that is a URL, or the host of one, as a URL without a slash at its end: what a path is put behind.
    pub fn base(&self, name: &str) -> String {
        crate::app::with_scheme(self.required(name).trim_end_matches('/'))
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The cursor as the app's own type, which [`Page::cursor`](crate::Page::cursor) wrote; none at the very first poll.
    pub fn cursor<T: DeserializeOwned>(&self) -> Result<Option<T>, Stop> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        serde_json::from_str(cursor).map(Some).map_err(|error| {
            reject(format!(
                "the cursor is none of this version of the app ({error}): `streamalert app reset {}` begins anew",
                self.app
            ))
        })
    }
}
