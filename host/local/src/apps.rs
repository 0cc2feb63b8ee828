//! The apps of a run: whose turn it is gets a thread, and what it fetches goes through the door as all logs do.

use crate::app_figures::AppFigures;
use crate::app_table::{Owner, SqliteApps};
use crate::clock::millis;
use crate::run::Progress;
use crate::runner::{Door, Receipt};
use crate::secrets::variable_of;
use crate::stop::Stop;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use streamalert_pipeline::apps::{Ended, Pace, Paced, Turn, Turned, not_ready, problems};
use streamalert_pipeline::backend::{AppTable, BackendError, SecretStore};
use streamalert_pipeline::config::apps::{AppConfig, AppConfigs, secrets_of, source};
use streamalert_pipeline::live::Live;
use streamalert_pipeline::log_record::Payload;
use streamalert_pipeline::plugin::World;
use streamalert_pipeline::printable::printable;
use streamalert_pipeline::time::{Millis, rfc3339};

/// Apps at a time. They wait for services most of the time.
const RUNNING_MAX: usize = 8;
/// How often somebody looks whose turn it is.
const LOOK: Duration = Duration::from_millis(500);
/// How often a wait looks whether it should end.
const WAIT_LOOK: Duration = Duration::from_millis(100);

/// What the apps of a run are made of.
pub struct Setup {
    pub configs: AppConfigs,
    pub table: Arc<SqliteApps>,
    pub live: Arc<ArcSwap<Live>>,
    pub secrets: Arc<dyn SecretStore>,
    pub world: Arc<dyn World>,
    pub door: Door,
    pub stop: Stop,
    pub progress: Arc<Progress>,
}

/// What may be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fetch {
    #[default]
    Nothing,
    /// All apps that are switched on, each when it is its turn, until the run is stopped.
    All,
    /// This app, now, and no further than there is something.
    Once(String),
}

/// How a turn that was asked for went wrong.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    #[error(
        "no component has apps of the type {0}; `streamalert build example-rules --out plugins` builds those that come along"
    )]
    NoComponent(String),
    #[error("is not ready: {0}")]
    NotReady(String),
    #[error(transparent)]
    Backend(#[from] BackendError),
}

pub struct Apps {
    setup: Setup,
    owner: Owner,
    turns: AtomicU64,
    figures: Arc<AppFigures>,
    running: Mutex<BTreeSet<String>>,
    /// What was told of each app last, so that it is told once.
    told: Mutex<BTreeMap<String, String>>,
}

impl Apps {
    pub fn new(setup: Setup) -> Result<Arc<Self>, BackendError> {
        let owner = setup.table.owner()?;
        let enabled = setup.configs.iter().filter(|(_, config)| config.enabled).map(|(name, _)| name);
        let figures = Arc::new(AppFigures::new(setup.table.clone(), enabled));
        Ok(Arc::new(Apps {
            setup,
            owner,
            turns: AtomicU64::new(0),
            figures,
            running: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    /// What `GET /metrics` tells of them.
    pub fn figures(&self) -> Arc<AppFigures> {
        self.figures.clone()
    }

    /// Looks whose turn it is until the run is stopped; then waits for the turns that are under way.
    pub fn start(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let apps = self.clone();
        thread::Builder::new().name("apps".into()).spawn(move || {
            let mut turns: Vec<JoinHandle<()>> = Vec::new();
            while !apps.setup.stop.is_requested() {
                turns.retain(|turn| !turn.is_finished());
                apps.look(&mut turns);
                apps.rest(LOOK);
            }
            for turn in turns {
                // It panicked: the panic was printed, and its lease ends by itself.
                let _ = turn.join();
            }
        })
    }

    fn look(self: &Arc<Self>, turns: &mut Vec<JoinHandle<()>>) {
        let states = match self.setup.table.all() {
            Ok(states) => states,
            Err(error) => return self.tell("", format!("the states of apps cannot be read: {}", chain(&error))),
        };
        let now = millis();
        for (name, config) in self.setup.configs.iter().filter(|(_, config)| config.enabled) {
            let due = states.get(name).is_none_or(|state| !state.is_running(now) && state.is_due(config, now));
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if !due || running.contains(name) || running.len() >= RUNNING_MAX {
                continue;
            }
            running.insert(name.clone());
            drop(running);
            let (apps, app) = (self.clone(), name.clone());
            let turn = thread::Builder::new().name(format!("app-{name}")).spawn(move || {
                // Also after a panic.
                let _ends = Ends(&apps, &app);
                apps.turn_and_tell(&app);
            });
            match turn {
                Ok(turn) => turns.push(turn),
                Err(error) => {
                    self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
                    self.tell(name, format!("there is no thread for it: {error}"));
                }
            }
        }
    }

    fn turn_and_tell(&self, app: &str) {
        let Some(config) = self.setup.configs.get(app) else { return };
        match self.turn(app, config, false) {
            Ok(Turned { logs, pages, ended }) => match ended {
                Ended::Done | Ended::More { .. } => {
                    tracing::info!(app, logs, pages, "fetched");
                    if self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(app).is_some() {
                        self.setup.progress.tell(&format!("app {app}: works again"));
                    }
                }
                Ended::NotDue { .. } | Ended::Taken => {}
                Ended::Failed { reason, at } => {
                    tracing::info!(app, reason, at, "to be tried again");
                    self.tell(app, format!("{}; it is tried again", printable(&reason)));
                }
                Ended::Rejected { reason } => self.tell(app, format!("is refused: {}", printable(&reason))),
            },
            Err(error) => {
                self.tell(app, error_text(&error));
                // What cannot begin is looked at again, and not twice a second.
                self.rest(Duration::from_secs(5));
            }
        }
    }

    /// Says it unless it was said already.
    fn tell(&self, app: &str, text: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(app) != Some(&text) {
            let of = if app.is_empty() { "apps".to_owned() } else { format!("app {app}") };
            self.setup.progress.tell(&format!("warning: {of}: {text}"));
            told.insert(app.to_owned(), text);
        }
    }

    /// A turn of one app, in this thread. What keeps it from beginning is kept in its state, where `app status` finds it.
    pub fn turn(&self, app: &str, config: &AppConfig, force: bool) -> Result<Turned, TurnError> {
        let turned = self.take(app, config, force);
        self.figures.count(app, &turned);
        if let Err(error) = &turned {
            let reason = printable(&error_text(error));
            if let Err(error) = not_ready(&*self.setup.table, app, config, &reason, millis()) {
                self.tell("", format!("the state of app {app} cannot be written: {}", chain(&error)));
            }
        }
        turned
    }

    fn take(&self, app: &str, config: &AppConfig, force: bool) -> Result<Turned, TurnError> {
        let setup = &self.setup;
        let live = setup.live.load_full();
        let (plugin, kind) =
            live.rules.plugins.app(&config.kind).ok_or_else(|| TurnError::NoComponent(config.kind.clone()))?;
        let info = plugin.apps()[kind].clone();
        let secrets = setup.secrets.get(&secrets_of(app))?;
        let place = |setting: &str| format!(" (or the variable {})", variable_of(&secrets_of(app), setting));
        let problems = problems(&**plugin, kind, config, &secrets, &place);
        if !problems.is_empty() {
            return Err(TurnError::NotReady(problems.join("; ")));
        }
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{}.{number}", self.owner.name);
        let (caller, asks) = (info.caller(), config.caller());
        let pace = Arc::new(Pace::of(&info, config));
        let turn = Turn {
            app,
            config,
            plugin: &**plugin,
            kind,
            table: &*setup.table,
            owner: &owner,
            outside: &|| {
                let stop = setup.stop.clone();
                Arc::new(Paced {
                    inner: setup.world.outside(&caller, &asks, &secrets),
                    pace: pace.clone(),
                    clock: Arc::new(millis),
                    wait: Arc::new(move |wait| {
                        rest(&stop, wait);
                        // Where the run is to stop, the page under way is still fetched.
                        true
                    }),
                })
            },
            pace: &pace,
            hand_on: &|logs| self.hand_on(app, logs),
            clock: &millis,
            wait: &|wait| self.rest(wait),
            until: Millis::MAX,
            force,
        };
        Ok(turn.take()?)
    }

    /// Through the door, and back when all of it is stored.
    fn hand_on(&self, app: &str, logs: &[String]) -> Result<(), BackendError> {
        let closed = || BackendError::other("hand on the logs of an app", "the run is ending");
        let (stored, wait) = channel();
        let receipt = Receipt::new(move |_| {
            // Nobody waits when the run has failed.
            let _ = stored.send(());
        });
        let source = Arc::new(source(app));
        for log in logs {
            // Each is at the beginning of its own payload: its place says nothing, and its identity is what it says.
            let payload = Payload::new(source.clone(), 0, log.as_bytes());
            self.setup.door.payload(payload, &receipt, None).map_err(|_| closed())?;
        }
        receipt.whole();
        drop(receipt);
        wait.recv().map_err(|_| closed())
    }

    fn rest(&self, time: Duration) -> bool {
        rest(&self.setup.stop, time)
    }

    /// One turn of one app, whether it is due or not, for a run that is there for nothing else.
    pub fn once(&self, app: &str) {
        let progress = &self.setup.progress;
        let Some(config) = self.setup.configs.get(app) else {
            return progress.failed(format!("there is no app {app} in apps.json"));
        };
        match self.turn(app, config, true) {
            Ok(Turned { pages, logs, ended }) => {
                progress.tell(&format!("app {app}: {logs} logs on {pages} pages"));
                match ended {
                    Ended::Done => {}
                    Ended::More { at } => progress.tell(&format!("app {app}: there is more, from {} on", rfc3339(at))),
                    Ended::NotDue { .. } | Ended::Taken => {
                        progress.failed(format!("app {app}: another run is at it; nothing was fetched here"));
                    }
                    Ended::Failed { reason, .. } => progress.failed(format!("app {app}: {}", printable(&reason))),
                    Ended::Rejected { reason } => {
                        progress.failed(format!("app {app} is refused: {}", printable(&reason)));
                    }
                }
            }
            Err(error) => progress.failed(format!("app {app}: {}", error_text(&error))),
        }
    }
}

/// Waits so long, unless the run is to stop: then it says `false`.
fn rest(stop: &Stop, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        if stop.is_requested() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(WAIT_LOOK));
    }
}

/// An app is running no more.
struct Ends<'a>(&'a Apps, &'a str);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(self.1);
    }
}

fn error_text(error: &TurnError) -> String {
    match error {
        TurnError::Backend(error) => chain(error),
        other => other.to_string(),
    }
}

fn chain(error: &BackendError) -> String {
    match &error.source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
