//! AWS behind the traits of the pipeline.
//!
//! | file | its question |
//! |---|---|
//! | [`clients`] | how are services reached: region, endpoint, timeouts, retries |
//! | [`call`] | what does a failed call mean, and how are many made at a time |
//! | [`limits`] | what do the services take |
//! | [`names`] | what are our queues, tables, buckets and functions called |
//! | [`objects`] | how is S3 read and written |
//! | [`claim_check`] | where does what is too large to travel lie |
//! | [`queue`] | how do records reach the rules engine |
//! | [`archive`] | how do records reach the archive |
//! | [`athena`] | how are questions asked over it |
//! | [`query_engine`], [`query_desk`] | how are they asked again and again, and what is known of each |
//! | [`glue`] | which tables and partitions does the catalog know |
//! | [`alert_table`] | what is owed to whom, what waits for others |
//! | [`rules_bucket`] | what have users uploaded, and what has become of it |
//! | [`settings`] | which installation does the command line talk to |
//! | [`ioc_table`] | what is known of which value, and by whom |
//! | [`lookup`] | what lies in lookup tables of S3 and DynamoDB |
//! | [`rule_table`] | which rules are on trial |
//! | [`app_table`] | how far have apps come |
//! | [`rule_costs`] | what have rules cost |
//! | [`outputs`] | which services does StreamAlert deliver alerts to itself |
//! | `signed` | how are services called that have no client here |
//! | [`secrets`] | where are the credentials of outputs |
//! | [`functions`] | how are functions invoked |
//! | [`dead_letters`] | where does what could not be processed lie |

pub mod alert_table;
pub mod app_table;
pub mod archive;
pub mod athena;
pub mod call;
pub mod claim_check;
pub mod clients;
pub mod dead_letters;
pub mod functions;
pub mod glue;
pub mod ioc_table;
mod keyed_table;
pub mod limits;
pub mod lookup;
#[cfg(test)]
mod loopback;
pub mod names;
pub mod objects;
pub mod outputs;
pub mod query_desk;
pub mod query_engine;
pub mod queue;
pub mod rule_costs;
pub mod rule_table;
pub mod rules_bucket;
pub mod secrets;
pub mod settings;
pub mod signed;

pub use clients::{Aws, Connection};
pub use names::Names;
pub use settings::Settings;
