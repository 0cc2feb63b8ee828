//! What is live together: the rules, and the classifier with the parsers that came with them. A batch sees one of these
//! from start to end.

use crate::classifier::Classifier;
use crate::config::{Clusters, ConfigFault, Schemas};
use crate::plugin::PluginSet;
use crate::rules_engine::Rules;
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
        (Live { classifier, rules }, faults)
    }
}

/// File name and digest of every parser.
fn parsers(set: &PluginSet) -> Vec<(&str, &str)> {
    set.parsers.iter().map(|parser| (parser.name(), parser.digest())).collect()
}
