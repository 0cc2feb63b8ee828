//! What the commands for rule authors share: build a component, run inputs through it, say why a rule did or did not fire.
//!
//! | file | its question |
//! |---|---|
//! | [`checkout`] | where are the SDK and the configuration |
//! | [`toolchain`] | what builds for WebAssembly here |
//! | [`languages`] | which language is this, and what builds it |
//! | [`components`] | how does a crate become components in a folder |
//! | [`cases`] | what does a case file say |
//! | [`defaults`] | what is a full input, given a part of a record |
//! | [`trial`] | how does an input go through the real classifier and the real components |
//! | [`reasons`] | which condition did not hold, and what did the record have there |
//! | [`verdict`] | did a case come out as it says, and if not, why |
//! | [`paint`] | may there be colours |

pub mod cases;
pub mod checkout;
pub mod components;
pub mod defaults;
pub mod languages;
pub mod paint;
pub mod reasons;
pub mod toolchain;
pub mod trial;
pub mod verdict;
