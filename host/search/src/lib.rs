//! SQL over the archive of one machine.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | a query and its answer, within bounds of time and memory |
//! | [`tables`] | what tables there are, and which files a query reads |
//! | [`opened`] | which files a query has open: where one cannot be read, it is named |
//! | [`fit`] | files whose columns had another type when they were written |
//! | [`json`] | functions over JSON that Athena has too |

pub mod engine;
pub mod fit;
pub mod json;
pub mod opened;
pub mod tables;

pub use engine::{Engine, Settings};
