//! StreamAlert's helpers for rules, under their old names, with their faults mended.
//!
//! Where a helper takes `impl Into<Option<&str>>`, both `"text"` and what [`Record::text`](crate::Record::text) returns
//! will do; `None` is always "no". Where it takes `impl Into<Field>`, so will a `&Record`.

mod network;
mod search;
mod text;
mod time;

pub use network::{Networks, in_network, is_private_ip, is_public_ip, valid_ip};
pub use search::{
    get_first_key, get_keys, has_value, has_value_from_list, has_value_from_substring_list, has_value_with_substring,
};
pub use text::{contains_any, ends_with_any, matches_any, path_matches_any, safe_json, starts_with_any};
pub use time::{event_time, last_hour, parse_time, seconds_between};
