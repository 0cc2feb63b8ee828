//! The stages as functions of AWS Lambda. Each file is one function: it reads its environment, makes its adapters and handles
//! events; what a stage does stands in the pipeline.
//!
//! | file | its question |
//! |---|---|
//! | [`function`] | what is a function, and which one is this |
//! | [`environment`] | what does every function get told |
//! | [`live`] | which rules, parsers, outputs and schemas are live for this invocation |
//! | [`index`] | how do functions know |
//! | [`conf`], [`uploads`] | what have users put into the rules bucket |
//! | [`outputs`] | where do alerts go on AWS |
//! | [`metrics`] | what do dashboards hear |
//! | `classifier`, `rules_engine`, `alert_merger`, `alert_processor`, `plugin_compiler` | the stages |
//! | `apps` | logs of services that do not send them |
//! | `rule_promotion` | the end of trials |
//! | `athena_partitioner` | the archive's partitions |
//! | [`lookout`], `threat_intel_downloader` | indicators of compromise, in records and from their sources |
//! | `scheduled_queries` | what is asked of the archive again and again |

pub mod alert_merger;
pub mod alert_processor;
pub mod apps;
pub mod athena_partitioner;
pub mod classifier;
pub mod conf;
pub mod environment;
pub mod function;
pub mod index;
pub mod live;
pub mod lookout;
pub mod metrics;
pub mod outbox;
pub mod outputs;
pub mod plugin_compiler;
pub mod rule_promotion;
pub mod rules_engine;
pub mod scheduled_queries;
pub mod threat_intel_downloader;
pub mod uploads;
pub mod wake;
