//! What looks records through for indicators of compromise, by the configuration that is live.

use crate::environment::Environment;
use crate::live::Now;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_aws::ioc_table::DynamoIocs;
use streamalert_intel::Enricher;
use streamalert_pipeline::config::ThreatIntelConfig;
use streamalert_pipeline::threat_intel::IocTable;

pub struct Lookout {
    environment: Environment,
    /// Remembers what is known of values, for as long as the configuration is live.
    enricher: Mutex<Option<Arc<Enricher>>>,
}

/// The table that a configuration means.
pub fn table(environment: &Environment, config: &ThreatIntelConfig) -> Arc<dyn IocTable> {
    let name = config.table.clone().unwrap_or_else(|| environment.names.iocs_table());
    Arc::new(DynamoIocs::new(environment.aws.clone(), name))
}

impl Lookout {
    pub fn new(environment: &Environment) -> Self {
        Lookout { environment: environment.clone(), enricher: Mutex::default() }
    }

    /// `None`: it is switched off.
    pub fn now(&self, now: &Now) -> Option<Arc<Enricher>> {
        let intel = now.threat_intel()?;
        let mut enricher = self.enricher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(enricher) = &*enricher
            && Arc::ptr_eq(enricher.intel(), intel)
        {
            return Some(enricher.clone());
        }
        let config = now.threat_intel_config();
        let made = Arc::new(Enricher::new(intel.clone(), table(&self.environment, config), config.cache));
        *enricher = Some(made.clone());
        Some(made)
    }
}
