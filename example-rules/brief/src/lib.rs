//! What the outputs have in common: what an alert tells people ([`Brief`]), and how it is handed over.

mod brief;
#[cfg(not(target_family = "wasm"))]
pub mod check;
mod fit;
mod handover;

pub use brief::{Brief, told};
pub use fit::{pieces, shortened};
pub use handover::{Hint, accepted_or, answer_or, base, send_parts, yes};
