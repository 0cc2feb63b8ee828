//! The stages as functions of AWS Lambda. Each file is one function: it reads its environment, makes its adapters and handles
//! events; what a stage does stands in the pipeline.
//!
//! | file | its question |
//! |---|---|
//! | [`function`] | what is a function, and which one is this |
//! | [`environment`] | what does every function get told |
//! | `live` | which rules, parsers, outputs and schemas are live for this invocation |
//! | [`metrics`] | what do dashboards hear |
//! | `classifier`, `rules_engine`, `alert_merger`, `alert_processor`, `plugin_compiler` | the stages |

pub mod environment;
pub mod function;
pub mod metrics;
