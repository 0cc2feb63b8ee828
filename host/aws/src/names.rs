//! What our queues, tables, buckets and functions are called: by prefix, unless something says otherwise.

use serde::{Deserialize, Serialize};

/// `aws.json` of the configuration, and the environment of every function. All names but the prefix have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Of all names: lower-case letters, digits and `-`, as bucket names ask for.
    pub prefix: String,
    #[serde(default)]
    rules_bucket: Option<String>,
    #[serde(default)]
    data_bucket: Option<String>,
    #[serde(default)]
    records_queue: Option<String>,
    #[serde(default)]
    alerts_table: Option<String>,
    #[serde(default)]
    rules_table: Option<String>,
    #[serde(default)]
    apps_table: Option<String>,
    #[serde(default)]
    archive_bucket: Option<String>,
    #[serde(default)]
    results_bucket: Option<String>,
    #[serde(default)]
    workgroup: Option<String>,
    #[serde(default)]
    database: Option<String>,
    /// By which functions are invoked: whoever moves it rolls back. Without one, what was uploaded last is invoked.
    #[serde(default)]
    alias: Option<String>,
}

impl Names {
    pub fn new(prefix: impl Into<String>) -> Self {
        Names {
            prefix: prefix.into(),
            rules_bucket: None,
            data_bucket: None,
            records_queue: None,
            alerts_table: None,
            rules_table: None,
            apps_table: None,
            archive_bucket: None,
            results_bucket: None,
            workgroup: None,
            database: None,
            alias: None,
        }
    }

    /// `STREAMALERT_PREFIX`, and over it a variable for each name: `STREAMALERT_RULES_BUCKET` …
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let prefix = set("STREAMALERT_PREFIX")
            .ok_or("STREAMALERT_PREFIX is not set: name the prefix of this installation's resources")?;
        Ok(Names {
            prefix,
            rules_bucket: set("STREAMALERT_RULES_BUCKET"),
            data_bucket: set("STREAMALERT_DATA_BUCKET"),
            records_queue: set("STREAMALERT_RECORDS_QUEUE"),
            alerts_table: set("STREAMALERT_ALERTS_TABLE"),
            rules_table: set("STREAMALERT_RULES_TABLE"),
            apps_table: set("STREAMALERT_APPS_TABLE"),
            archive_bucket: set("STREAMALERT_ARCHIVE_BUCKET"),
            results_bucket: set("STREAMALERT_RESULTS_BUCKET"),
            workgroup: set("STREAMALERT_WORKGROUP"),
            database: set("STREAMALERT_DATABASE"),
            alias: set("STREAMALERT_ALIAS"),
        })
    }

    fn named(&self, own: &Option<String>, what: &str) -> String {
        own.clone().unwrap_or_else(|| format!("{}-streamalert-{what}", self.prefix))
    }

    /// Components, configuration, and what is compiled of them.
    pub fn rules_bucket(&self) -> String {
        self.named(&self.rules_bucket, "rules")
    }

    /// Dead letters, cursors, and what was too large for a message or an item.
    pub fn data_bucket(&self) -> String {
        self.named(&self.data_bucket, "data")
    }

    /// Name or URL of the queue between classifier and rules engine.
    pub fn records_queue(&self) -> String {
        self.named(&self.records_queue, "records")
    }

    pub fn alerts_table(&self) -> String {
        self.named(&self.alerts_table, "alerts")
    }

    pub fn rules_table(&self) -> String {
        self.named(&self.rules_table, "rules")
    }

    /// How far apps have come.
    pub fn apps_table(&self) -> String {
        self.named(&self.apps_table, "apps")
    }

    /// Parquet of records and alerts, a folder for each table.
    pub fn archive_bucket(&self) -> String {
        self.named(&self.archive_bucket, "archive")
    }

    /// Answers of Athena.
    pub fn results_bucket(&self) -> String {
        self.named(&self.results_bucket, "athena-results")
    }

    /// Of Athena.
    pub fn workgroup(&self) -> String {
        self.workgroup.clone().unwrap_or_else(|| format!("{}-streamalert", self.prefix))
    }

    /// Of the catalog that Athena looks tables up in.
    pub fn database(&self) -> String {
        self.database.clone().unwrap_or_else(|| format!("{}_streamalert", self.prefix.replace('-', "_")))
    }

    /// Indicators of compromise, unless `threat_intel.json` names another table.
    pub fn iocs_table(&self) -> String {
        self.named(&None, "iocs")
    }

    /// By which functions are invoked, if they are.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The function of a stage, `rules_engine`, `alert_processor` …, as it is invoked.
    pub fn function(&self, stage: &str) -> String {
        let name = format!("{}-streamalert-{}", self.prefix, stage.replace('_', "-"));
        match &self.alias {
            Some(alias) => format!("{name}:{alias}"),
            None => name,
        }
    }
}
