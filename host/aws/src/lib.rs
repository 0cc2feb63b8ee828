//! AWS behind the traits of the pipeline.
//!
//! | file | its question |
//! |---|---|
//! | [`clients`] | how are services reached: region, endpoint, timeouts, retries |
//! | [`call`] | what does a failed call mean, and how are many made at a time |
//! | [`limits`] | what do the services take |
//! | [`names`] | what are our queues, tables, buckets and functions called |

pub mod call;
pub mod clients;
pub mod limits;
pub mod names;

pub use clients::{Aws, Connection};
pub use names::Names;
