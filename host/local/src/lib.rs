//! One machine: everything the pipeline asks of the outside world, as folders, SQLite and an HTTP door.
//!
//! | room | what happens there |
//! |---|---|
//! | [`run`] | opens the doors, waits for the end, drains |
//! | [`input`], [`inbox`], [`http`], [`apps`] | the doors: files and pipes, a watched folder, HTTP, services whose logs are fetched |
//! | [`runner`] | queue, workers, the one writer that stores and then acknowledges |
//! | [`reload`] | changed components become the live rules and parsers |
//! | [`sqlite`], [`dead_letters`], [`file_output`] | where results go |
//! | [`native_outputs`], [`secrets`] | what the post room (`streamalert_delivery`) has of this machine |
//! | [`resend`] | dead letters are tried again |
//! | [`tally`], [`alert_text`] | what a person is told |
//! | [`config_folder`] | schemas, clusters and lookup tables as files |
//! | [`ioc_table`], [`intel`] | indicators of compromise, and records looked through for them |
//! | [`scheduled_queries`] | questions that are asked of the archive again and again |
//! | [`app_table`], [`app_figures`] | how far apps have come, and their metrics |
//! | [`edit`] | files that commands change, by one at a time |
//! | [`rule_table`], [`staging`], [`promotion`] | which rules are on trial, how they come to be, and how it ends |

pub mod alert_text;
pub mod app_figures;
pub mod app_table;
pub mod apps;
pub mod archived;
pub mod clock;
pub mod config_folder;
pub mod dead_letters;
pub mod edit;
pub mod file_output;
pub mod http;
pub mod inbox;
pub mod input;
pub mod intel;
pub mod ioc_table;
pub mod native_outputs;
pub mod promotion;
pub mod reload;
pub mod resend;
pub mod rule_table;
pub mod run;
pub mod runner;
pub mod scheduled_queries;
pub mod secrets;
pub mod sqlite;
mod sqlite_file;
pub mod staging;
pub mod stop;
pub mod tally;
