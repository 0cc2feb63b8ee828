//! Where classified records are kept for searching: the name of each log type's stream and table.

use crate::columns::{clean, distinct_names};
use crate::config::{LogType, Schemas};
use md5::{Digest, Md5};
use std::sync::Arc;

/// Characters of a stream's name; the service's limit.
const STREAM_NAME_MAX: usize = 64;
/// Of a name that is too long, the characters that stay before its digest of eight.
const STREAM_NAME_KEPT: usize = STREAM_NAME_MAX - 8;

/// The name of a log type's delivery stream: what StreamAlert calls it, so that streams which exist go on.
pub fn stream_name(prefix: &str, log_type: &str) -> String {
    let name = match prefix {
        "" => clean(&format!("streamalert_{log_type}")),
        prefix => clean(&format!("{prefix}_streamalert_{log_type}")),
    };
    if name.chars().count() <= STREAM_NAME_MAX {
        return name;
    }
    let mut kept: String = name.chars().take(STREAM_NAME_KEPT - 1).collect();
    kept.push('_');
    for byte in &Md5::digest(&name)[..4] {
        kept.push_str(&format!("{byte:02x}"));
    }
    kept
}

/// The log types that are kept, each with its table.
#[derive(Debug, Default)]
pub struct Tables {
    pub tables: Vec<(String, Arc<LogType>)>,
    /// Names that no log type goes by.
    pub unknown: Vec<String>,
}

/// The log types that `enabled` names, by source or in full. A table is named after its log type; of two types with one
/// name, such as `a:b` and `a_b`, the one that needs no cleaning has it.
pub fn tables(enabled: &[&str], schemas: &Schemas) -> Tables {
    let names: Vec<&str> = schemas.iter().map(|log_type| log_type.name.as_str()).collect();
    let tables = schemas
        .iter()
        .zip(distinct_names(&names))
        .filter(|(log_type, _)| enabled.iter().any(|name| log_type.is_named_by(name)))
        .map(|(log_type, table)| (table, log_type.clone()))
        .collect();
    let unknown = enabled.iter().filter(|name| !schemas.knows(name)).map(|name| (*name).to_owned()).collect();
    Tables { tables, unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_fits_and_says_what_it_can() {
        assert_eq!(stream_name("", "a:b.c"), "streamalert_a_b_c");
        let long = stream_name("a-prefix", &format!("source:{}", "x".repeat(60)));
        assert_eq!(long.len(), STREAM_NAME_MAX);
        assert!(long.starts_with("a_prefix_streamalert_source_xxx"), "{long}");
        assert_ne!(long, stream_name("a-prefix", &format!("source:{}", "x".repeat(61))));
    }

    #[test]
    fn types_that_are_cleaned_to_one_name_have_tables_of_their_own() {
        let text = r#"{"a:b": {"parser": "json", "schema": {"x": "string"}}, "a_b": {"parser": "json", "schema": {"y": "string"}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        let found = tables(&["a", "a_b", "zz"], &schemas);
        let names: Vec<(&str, &str)> =
            found.tables.iter().map(|(table, t)| (table.as_str(), t.name.as_str())).collect();
        assert_eq!(names, [("a_x3a_b", "a:b"), ("a_b", "a_b")]);
        assert_eq!(found.unknown, ["zz"]);
    }
}
