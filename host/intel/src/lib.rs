//! Threat intelligence: indicators are fetched from their sources, and records are looked through for them.
//!
//! | file | its question |
//! |---|---|
//! | [`enricher`] | which records of a batch have hits |
//! | [`download`] | when is a source due, and how far has its download come |
//! | [`feeds`] | what does a page of a source hold: STIX, TAXII, CSV, MISP |
//! | [`pattern`] | which values does a STIX pattern name |
//! | [`web`] | how are sources asked |

pub mod download;
pub mod enricher;
pub mod feeds;
pub mod pattern;
pub mod web;

pub use download::{Downloader, Refreshed};
pub use enricher::Enricher;
