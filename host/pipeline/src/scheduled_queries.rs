//! Questions that are asked of the archive again and again, and whose answers come in as events like any log.
//!
//! | file | its question |
//! |---|---|
//! | [`parameters`] | what stands in a question for the time it is asked for |
//! | [`state`] | what is known of a query: what is due, what is under way, what came of it |
//! | [`events`] | what does a row of an answer become |
//! | [`drive`] | what is done next |

pub mod drive;
pub mod events;
pub mod parameters;
pub mod state;
