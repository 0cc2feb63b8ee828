//! Apps: logs of services are fetched and handed to the classifier of their cluster. Every minute the function looks whose turn it is,
//! and invokes itself for each; a turn whose time runs short is gone on with by another invocation.

use crate::classifier::millis;
use crate::environment::Environment;
use crate::function::Function;
use crate::live::{LiveSet, Now};
use crate::metrics::{Meter, Metrics};
use crate::outbox::told;
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use streamalert_aws::app_table::DynamoApps;
use streamalert_aws::dead_letters::S3DeadLetters;
use streamalert_aws::functions;
use streamalert_aws::secrets::SsmSecrets;
use streamalert_egress::Egress;
use streamalert_egress::world::Network;
use streamalert_pipeline::apps::{AppState, Ended, Pace, Paced, Turn, Turned, not_ready, problems};
use streamalert_pipeline::backend::{AppTable, BackendError, DeadLetters, SecretStore};
use streamalert_pipeline::config::apps::{AppConfig, SERVICE, secrets_of, source};
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::log_record::{Payload, Position};
use streamalert_pipeline::plugin::{AppPlugin, World};
use streamalert_pipeline::time::Millis;

/// Bytes of logs in one event; docs: a function that is waited for takes 6 MB.
const EVENT_BYTES: usize = 5 << 20;
/// Time kept after a poll for handing its page on and writing its cursor.
const HAND_ON: Duration = Duration::from_secs(60);
/// Time kept for recording what came of a turn, before the function is ended.
const STOP_BEFORE: Duration = Duration::from_secs(5);
/// What has to wait longer is for the next round, a minute later.
const SOON: Millis = 60_000;

pub struct Apps {
    environment: Environment,
    meter: Meter,
    live: LiveSet,
    table: DynamoApps,
    secrets: SsmSecrets,
    dead: S3DeadLetters,
    world: Network,
}

/// `{}`, or anything else that names no app, is all that are due.
#[derive(Default, Deserialize)]
struct Event {
    app: Option<String>,
    /// Also if it is not due; `streamalert app run --aws` says so.
    #[serde(default)]
    now: bool,
}

impl Apps {
    pub fn new(environment: &Environment) -> Result<Self> {
        let Environment { aws, names, .. } = environment;
        Ok(Apps {
            meter: Meter::of(environment, "apps")?,
            live: LiveSet::open(environment)?,
            table: DynamoApps::new(aws.clone(), names),
            secrets: SsmSecrets::new(aws.clone(), names),
            dead: S3DeadLetters::new(aws, names.data_bucket()),
            world: Network::new(Egress::new().context("prepare for requests")?),
            environment: environment.clone(),
        })
    }
}

impl Function for Apps {
    fn handle(&self, event: &[u8], deadline: Instant) -> Result<Value> {
        let begun = Instant::now();
        let event: Event = serde_json::from_slice(event).unwrap_or_else(|error| {
            tracing::warn!(%error, "an event that is none of ours: all apps that are due have their turn");
            Event::default()
        });
        let now = self.live.current(deadline)?;
        let mut metrics = Metrics::of(&self.meter);
        let answer = match &event.app {
            Some(app) => self.one(&now, app, event.now, deadline, &mut metrics).map(|turned| json!({ app: turned })),
            None => self.all(&now, deadline, &mut metrics),
        };
        metrics.add(&[], "Duration", "Milliseconds", begun.elapsed().as_secs_f64() * 1e3);
        metrics.print(&self.meter, millis());
        answer
    }
}

impl Apps {
    /// Each app that is due gets an invocation of its own; where that fails, its turn is taken here.
    fn all(&self, now: &Now, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let states = self.table.all().map_err(|error| anyhow!("{}", told(&error)))?;
        let at = millis();
        let due = |name: &String, config: &AppConfig| {
            states.get(name).is_none_or(|state| !state.is_running(at) && state.is_due(config, at))
        };
        let mut answer = Map::new();
        for (name, config) in now.apps().iter().filter(|(_, config)| config.enabled) {
            self.count_age(name, states.get(name), metrics);
            if !due(name, config) {
                continue;
            }
            let said = match self.invoke(name) {
                Ok(()) => json!("invoked"),
                Err(error) => {
                    tracing::warn!(
                        app = name,
                        error = told(&error),
                        "no invocation of its own; its turn is taken here"
                    );
                    self.one(now, name, false, deadline, metrics).unwrap_or_else(|error| {
                        tracing::error!(app = name, error = format!("{error:#}"), "an app had no turn");
                        json!({ "ended": "failed", "why": format!("{error:#}") })
                    })
                }
            };
            answer.insert(name.clone(), said);
        }
        Ok(answer.into())
    }

    /// How long ago an app came to the end of what there was: what alarms look at.
    fn count_age(&self, app: &str, state: Option<&AppState>, metrics: &mut Metrics) {
        if let Some(succeeded) = state.and_then(|state| state.succeeded) {
            let age = (millis() - succeeded).max(0) as f64 / 1e3;
            metrics.add(&[("App", app)], "SecondsSinceSuccess", "Seconds", age);
        }
    }

    fn invoke(&self, app: &str) -> Result<(), BackendError> {
        let Environment { aws, names, .. } = &self.environment;
        functions::start(aws, &names.function("apps"), &json!({ "app": app }).to_string())
    }

    fn one(&self, now: &Now, app: &str, force: bool, deadline: Instant, metrics: &mut Metrics) -> Result<Value> {
        let config = now.apps().get(app).ok_or_else(|| anyhow!("there is no app {app} in apps.json"))?;
        if !config.enabled {
            return Ok(json!({ "ended": "disabled" }));
        }
        let of = [("App", app)];
        let turned = match self.turn(now, app, config, force, deadline) {
            Ok(turned) => turned,
            Err(error) => {
                metrics.count(&of, "Failures", 1);
                return Err(error);
            }
        };
        metrics.count(&of, "Pages", turned.pages);
        metrics.count(&of, "Logs", turned.logs);
        let failed = matches!(turned.ended, Ended::Failed { .. } | Ended::Rejected { .. });
        metrics.count(&of, "Failures", u64::from(failed));
        if let Ended::More { at } = turned.ended
            && at - millis() < SOON
            && let Err(error) = self.invoke(app)
        {
            tracing::warn!(app, error = told(&error), "the next round goes on with it");
        }
        Ok(said(app, &turned))
    }

    /// What a turn needs; an error says what is missing.
    fn ready<'a>(&self, now: &'a Now, app: &str, config: &AppConfig) -> Result<Ready<'a>> {
        let plugins = &now.live.rules.plugins;
        let (plugin, kind) = plugins
            .app(&config.kind)
            .ok_or_else(|| anyhow!("no component that is live has apps of the type {}", config.kind))?;
        let secrets = self.secrets.get(&secrets_of(app)).map_err(|error| anyhow!("{}", told(&error)))?;
        let place = |_: &str| " in the parameter store: `streamalert app update-auth --aws` asks for it".to_owned();
        let problems = problems(&**plugin, kind, config, &secrets, &place);
        if !problems.is_empty() {
            return Err(anyhow!("is not ready: {}", problems.join("; ")));
        }
        Ok(Ready { plugin, kind, secrets, classifier: self.classifier(now, app)? })
    }

    fn turn(&self, now: &Now, app: &str, config: &AppConfig, force: bool, deadline: Instant) -> Result<Turned> {
        let Ready { plugin, kind, secrets, classifier: function } = match self.ready(now, app, config) {
            Ok(ready) => ready,
            Err(error) => {
                // Where `streamalert app status` finds it.
                let kept = not_ready(&self.table, app, config, &error.to_string(), millis());
                if let Err(error) = kept {
                    tracing::warn!(app, error = told(&error), "the state of an app cannot be written");
                }
                return Err(anyhow!("app {app}: {error}"));
            }
        };
        let info = plugin.apps()[kind].clone();
        // A poll ends while there is time left to hand its page on.
        let left = |reserve: Duration| {
            deadline.saturating_duration_since(Instant::now()).saturating_sub(reserve).as_secs().max(1)
        };
        let mut config = config.clone();
        let wanted = config.caller().timeout_seconds.unwrap_or_default();
        config.timeout_seconds = Some(wanted.min(u32::try_from(left(STOP_BEFORE)).unwrap_or(u32::MAX)));
        let needs = Duration::from_secs(wanted.into()) + HAND_ON;
        let until = millis() + i64::try_from(left(needs)).unwrap_or(0) * 1000;
        let (caller, asks) = (info.caller(), config.caller());
        let pace = Arc::new(Pace::of(&info, &config));
        let wait = move |wait| {
            let fits = Instant::now() + wait + needs < deadline;
            if fits {
                thread::sleep(wait);
            }
            fits
        };
        let owner = format!("{:032x}", unique());
        let turn = Turn {
            app,
            config: &config,
            plugin: &**plugin,
            kind,
            table: &self.table,
            owner: &owner,
            outside: &|| {
                Arc::new(Paced {
                    inner: self.world.outside(&caller, &asks, &secrets),
                    pace: pace.clone(),
                    clock: Arc::new(millis),
                    wait: Arc::new(wait),
                })
            },
            pace: &pace,
            hand_on: &|logs| self.hand_on(app, &function, logs),
            clock: &millis,
            wait: &wait,
            until,
            force,
        };
        turn.take().map_err(|error| anyhow!("app {app}: {}", told(&error)))
    }

    /// That of the cluster which knows the app.
    fn classifier(&self, now: &Now, app: &str) -> Result<String> {
        let clusters = now.clusters();
        let (cluster, _) = clusters.find(&source(app)).ok_or_else(|| {
            anyhow!("no cluster has it among data_sources.{SERVICE}, so none of its logs could be classified")
        })?;
        Ok(self.environment.names.function(&format!("classifier-{}", cluster.name)))
    }

    /// Logs are safe when the classifier has answered: then they are on their way to the rules, in the archive, or dead letters.
    fn hand_on(&self, app: &str, function: &str, logs: &[String]) -> Result<(), BackendError> {
        let mut from = 0;
        while from < logs.len() {
            let mut bytes = 0;
            let fits = logs[from..].iter().take_while(|log| {
                bytes += log.len() + 1;
                bytes <= EVENT_BYTES
            });
            let count = fits.count();
            if count == 0 {
                self.too_large(app, &logs[from])?;
                from += 1;
                continue;
            }
            // They are JSON, and go as they are.
            let event = format!(
                "{{\"Records\":[{{\"{SERVICE}\":{},\"logs\":[{}]}}]}}",
                Value::from(app),
                logs[from..from + count].join(",")
            );
            let invoked = functions::invoke(&self.environment.aws, function, &event)?;
            if let Err(error) = invoked.answer {
                return Err(BackendError::other(format!("have {function} classify logs of app {app}"), error));
            }
            from += count;
        }
        Ok(())
    }

    fn too_large(&self, app: &str, log: &str) -> Result<(), BackendError> {
        let payload = Payload::new(Arc::new(source(app)), 0, log.as_bytes());
        let position = Position { offset: 0, length: log.len() as u64, index: 0 };
        let message = format!("a log of {} bytes; {EVENT_BYTES} can be handed on", log.len());
        self.dead.put(&[DeadLetter::new(&payload, "", position, Reason::Limit, message)])
    }
}

/// What a turn is taken with.
struct Ready<'a> {
    plugin: &'a Arc<dyn AppPlugin>,
    kind: usize,
    secrets: BTreeMap<String, String>,
    /// The function that classifies its logs.
    classifier: String,
}

fn unique() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = || u128::from(RandomState::new().hash_one(millis()));
    half() << 64 | half()
}

fn said(app: &str, turned: &Turned) -> Value {
    let (ended, why) = match &turned.ended {
        Ended::Done => ("done", None),
        Ended::More { at } => ("more", Some(json!(at))),
        Ended::NotDue { at } => ("not_due", Some(json!(at))),
        Ended::Taken => ("taken", None),
        Ended::Failed { reason, .. } => {
            tracing::warn!(app, reason, "an app is to be tried again");
            ("failed", Some(json!(reason)))
        }
        Ended::Rejected { reason } => {
            tracing::error!(app, reason, "an app is refused: its settings or credentials have to be mended");
            ("rejected", Some(json!(reason)))
        }
    };
    json!({ "pages": turned.pages, "logs": turned.logs, "ended": ended, "why": why })
}
