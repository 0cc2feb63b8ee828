//! What is live together: the rules, and the classifier with the parsers that came with them. A batch sees one of these
//! from start to end.

use crate::classifier::Classifier;
use crate::config::{Clusters, ConfigFault, Schemas};
use crate::plugin::PluginSet;
use crate::rules_engine::{Clock, Rules};
use crate::staging::Fleet;
use crate::trials::Allowance;
use std::sync::Arc;

/// What the configuration says, whatever components there are.
#[derive(Clone, Default)]
pub struct Base {
    pub schemas: Arc<Schemas>,
    pub clusters: Arc<Clusters>,
}

pub struct Live {
    pub classifier: Arc<Classifier>,
    pub rules: Rules,
    /// Older versions, which stay live while newer ones are on trial beside them; see [`crate::trials`].
    pub older: Option<Rules>,
    pub allowance: Allowance,
}

impl Live {
    /// The classifier of `before` goes on if its parsers do: it has learnt the shapes of records. Parsers whose log types
    /// clash are left out, and why is said.
    pub fn new(set: PluginSet, base: &Base, before: Option<&Live>) -> (Live, Vec<ConfigFault>) {
        let same = |before: &&Live| parsers(&before.rules.plugins) == parsers(&set);
        let (classifier, faults) = match before.filter(same) {
            Some(before) => (before.classifier.clone(), Vec::new()),
            None => {
                let (classifier, faults) = Classifier::with_parsers(&base.schemas, base.clusters.clone(), &set.parsers);
                (Arc::new(classifier), faults)
            }
        };
        let rules = Rules::new(set, classifier.schemas());
        (Live { classifier, rules, older: None, allowance: Allowance::default() }, faults)
    }

    /// With these older versions of components, and a clock.
    pub fn beside(mut self, older: PluginSet, clock: Clock) -> Live {
        self.older = (!older.plugins.is_empty()).then(|| Rules::new(older, self.classifier.schemas()).timed_by(clock));
        self.rules = self.rules.timed_by(clock);
        self
    }

    /// Name and digest of the component of each rule, as it was loaded last.
    pub fn fleet(&self) -> Fleet {
        self.rules.iter().map(|(plugin, rule)| (rule.name.clone(), plugin.digest().to_owned())).collect()
    }
}

/// File name and digest of every parser.
fn parsers(set: &PluginSet) -> Vec<(&str, &str)> {
    set.parsers.iter().map(|parser| (parser.name(), parser.digest())).collect()
}
