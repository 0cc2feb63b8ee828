//! A host for tests: asks for pages one after the other and keeps the cursor as a host does.

use crate::{App, Ask, Http, Page, Settings, Stop};
use std::borrow::Cow;
use std::marker::PhantomData;

/// Polls an app as ordinary code.
pub struct Poller<A> {
    pub ask: Ask,
    more: bool,
    wait: Option<u32>,
    app: PhantomData<A>,
}

impl<A: App> Default for Poller<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: App> Poller<A> {
    /// At noon of the second of January 2026, for logs from an hour before on.
    pub fn new() -> Self {
        let now = 1_767_355_200;
        Poller { ask: Ask::new("sample", now, now - 3600), more: false, wait: None, app: PhantomData }
    }

    /// With a setting, secret or not.
    pub fn with(mut self, setting: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.ask.settings.put(setting, value);
        self
    }

    /// As of this second.
    pub fn at(mut self, now: i64) -> Self {
        self.ask.now = now;
        self
    }

    /// Lets so many seconds go by.
    pub fn pass(&mut self, seconds: i64) {
        self.ask.now += seconds;
    }

    /// For logs from this second on.
    pub fn since(mut self, since: i64) -> Self {
        self.ask.since = since;
        self
    }

    pub fn settings(&self) -> &Settings {
        self.ask.settings()
    }

    /// One page: its logs. The cursor is kept.
    pub fn poll(&mut self, http: &dyn Http) -> Result<Vec<String>, Stop> {
        let polled = A::poll(&self.ask, http);
        self.ask.attempt = if polled.is_ok() { 1 } else { self.ask.attempt + 1 };
        let Page { logs, cursor, more, wait } = polled?;
        (self.ask.cursor, self.more, self.wait) = (Some(cursor), more, wait);
        Ok(logs)
    }

    /// All pages there are right now: their logs.
    pub fn poll_all(&mut self, http: &dyn Http) -> Result<Vec<String>, Stop> {
        let mut logs = self.poll(http)?;
        while self.more {
            logs.extend(self.poll(http)?);
        }
        Ok(logs)
    }

    /// Whether the last page said that there is more.
    pub fn more(&self) -> bool {
        self.more
    }

    /// How long the last page asked to wait.
    pub fn wait(&self) -> Option<u32> {
        self.wait
    }
}
