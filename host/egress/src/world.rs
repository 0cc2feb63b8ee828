//! What outputs may do in the world: requests to the hosts that both they and the operator name, and their own secrets.

use crate::{Egress, HostRule, Policy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use streamalert_pipeline::config::output::OutputConfig;
use streamalert_pipeline::config::{AppConfigs, Outputs};
use streamalert_pipeline::plugin::{HttpFailure, HttpRequest, HttpResponse, OutputInfo, Outside, World};

/// Seconds one delivery may take, if the operator says nothing.
const DELIVERY_SECONDS: u32 = 30;

pub struct Network(Arc<Egress>);

impl Network {
    pub fn new(egress: Egress) -> Self {
        Network(Arc::new(egress))
    }
}

/// What is wrong with the hosts of the configuration; with the output they are of.
pub fn faults(outputs: &Outputs) -> Vec<String> {
    let mut faults = Vec::new();
    for (output, config) in &outputs.configured {
        for host in &config.hosts {
            if let Err(why) = HostRule::parse(host) {
                faults.push(format!("outputs.json: {output}: hosts: `{host}`: {why}"));
            }
        }
    }
    faults
}

/// The same of the hosts of apps.
pub fn app_faults(apps: &AppConfigs) -> Vec<String> {
    let hosts = apps.iter().flat_map(|(app, config)| config.hosts.iter().map(move |host| (app, host)));
    let fault = |(app, host): (&String, &String)| {
        let why = HostRule::parse(host).err()?;
        Some(format!("apps.json: {app}: hosts: `{host}`: {why}"))
    };
    hosts.filter_map(fault).collect()
}

/// Settings of an output, secret ones among them.
pub fn settings(config: &OutputConfig, secrets: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut settings = config.settings();
    settings.retain(|(name, _)| !secrets.contains_key(name));
    settings.extend(secrets.iter().map(|(name, value)| (name.clone(), value.clone())));
    settings
}

/// The operator's hosts; those that are none were told of at the start.
pub fn rules(config: &OutputConfig) -> Vec<HostRule> {
    config.hosts.iter().filter_map(|host| HostRule::parse(host).ok()).collect()
}

impl World for Network {
    fn outside(
        &self,
        info: &OutputInfo,
        config: &OutputConfig,
        secrets: &BTreeMap<String, String>,
    ) -> Arc<dyn Outside> {
        let settings = settings(config, secrets);
        let time_limit = Duration::from_secs(config.timeout_seconds.unwrap_or(DELIVERY_SECONDS).into());
        let mut policy = Policy::new(Policy::intersect(&info.hosts, &settings, &rules(config)));
        policy.private_networks = config.private_networks;
        policy.time_limit = time_limit;
        if let Some(bytes) = config.response_bytes {
            policy.response_bytes = bytes as usize;
        }
        // Only what the output calls secret is for its eyes by that way.
        let secret = |name: &str| info.settings.iter().any(|setting| setting.secret && setting.name == name);
        let secrets =
            secrets.iter().filter(|(name, _)| secret(name)).map(|(name, value)| (name.clone(), value.clone()));
        Arc::new(Errand {
            egress: self.0.clone(),
            policy,
            secrets: secrets.collect(),
            deadline: Mutex::new(Instant::now() + time_limit),
        })
    }
}

/// One delivery.
struct Errand {
    egress: Arc<Egress>,
    policy: Policy,
    secrets: BTreeMap<String, String>,
    deadline: Mutex<Instant>,
}

impl Errand {
    fn deadline(&self) -> MutexGuard<'_, Instant> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for Errand {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let deadline = *self.deadline();
        self.egress.send(&self.policy, deadline, request)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.get(name).cloned()
    }

    fn time_left(&self) -> Option<Duration> {
        Some(self.deadline().saturating_duration_since(Instant::now()))
    }

    fn waited(&self, time: Duration) {
        *self.deadline() += time;
    }
}
