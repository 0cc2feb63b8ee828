//! Lookup tables: the operator's allow lists, inventories, GeoIP databases, wherever they lie.
//!
//! | file | its question |
//! |---|---|
//! | [`content`] | how do bytes become a table |
//! | [`csv`] | what are the rows of a text with delimiters |
//! | `mmdb` | what does an address find in one of MaxMind's databases |
//! | [`cache`] | which keys are remembered, and which are forgotten |
//! | [`tables`] | what does a batch see, and when is it something newer |
//! | [`file`] | how is a table in a file read and written |
//! | [`edit`] | how is one entry changed without losing another |

pub mod cache;
pub mod content;
pub mod csv;
pub mod edit;
pub mod file;
mod mmdb;
pub mod tables;

pub use cache::Cache;
pub use tables::{Status, Tables};
