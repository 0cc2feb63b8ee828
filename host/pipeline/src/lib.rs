//! The stages of StreamAlert as plain functions over plain data, and the traits they need.
//! No clock, no environment, no network, no files: time, ids and configuration come in as arguments.
//!
//! | room | what happens there |
//! |---|---|
//! | [`classifier`] | bytes become typed records: schemas, JSON, extraction, normalization |
//! | [`rules_engine`] | the prefilter picks rules per record, rules judge batches, findings become alerts |
//! | [`log_record`], [`record_batch`], [`alert`], [`dead_letter`], [`skip`] | the nouns every stage shares |
//! | [`artifacts`] | the normalized values of a record as rows |
//! | [`archive`], [`columns`], [`batches`] | what kept records, their fields and the calls that send them look like |
//! | [`apps`] | fetching logs of services: whose turn it is, and what a turn is |
//! | [`plugin`] | what a plugin is to the pipeline, and whose fault a failure is |
//! | [`lookup`] | the operator's tables, as rules see them |
//! | [`threat_intel`] | indicators of compromise, found in records and attached to them |
//! | [`schedule`], [`scheduled_queries`] | questions that are asked of the archive again and again |
//! | [`backend`] | everything the pipeline asks of the outside world |
//! | [`live`] | what is live together |
//! | [`staging`], [`trials`], [`rule_promotion`] | rules on trial: what becomes of a changed rule, a version beside the live one, the end of a trial |
//! | [`printable`] | texts of logs as a terminal may have them |
//! | [`config`] | schema and cluster files |
//! | [`limits`] | every number, with unit and reason |

pub mod alert;
pub mod alert_merger;
pub mod alert_processor;
pub mod apps;
pub mod archive;
pub mod artifacts;
pub mod backend;
pub mod batches;
pub mod classifier;
pub mod columns;
pub mod config;
pub mod dead_letter;
pub mod event_time;
pub mod limits;
pub mod live;
pub mod log_record;
pub mod lookup;
pub mod plugin;
pub mod printable;
pub mod record_batch;
pub mod rule_promotion;
pub mod rules_engine;
pub mod schedule;
pub mod scheduled_queries;
pub mod skip;
pub mod staging;
pub mod threat_intel;
pub mod time;
pub mod trials;
