//! What can be said of schemas and clusters before a record comes: types that would take the same records, and what is
//! probably not meant.

use super::schema::{Field, FieldKind, Fields, LogPattern, LogType, Parser, Wildcard};
use super::{Clusters, ConfigFault, Schemas};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Two types at one place of an input that may take the same record exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rivals {
    /// Where their order puts such records.
    pub taken_by: String,
    pub also_fits: String,
    /// Keys that only one of the two names. Empty: both have the same keys.
    pub differ_by: Vec<String>,
    pub decided_by: DecidedBy,
    /// The second never gets a record: whatever it would take, the first takes.
    pub starved: bool,
    /// How to tell them apart.
    pub remedy: String,
}

/// What puts the first of two rivals first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    Priority,
    /// Both have the same priority or none, so the order of files and of types within them counts.
    Order,
}

/// All pairs of types that could take the same record, the preferred one first.
pub fn rivals(schemas: &Schemas) -> Vec<Rivals> {
    let types: Vec<&Arc<LogType>> = schemas.iter().collect();
    let mut found = Vec::new();
    for (index, first) in types.iter().enumerate() {
        found.extend(types[index + 1..].iter().filter_map(|second| between(first, second)));
    }
    found
}

fn between(first: &LogType, second: &LogType) -> Option<Rivals> {
    if !same_place(first, second) || !patterns_meet(first, second) {
        return None;
    }
    let keys = Keys::of(first, second);
    // Cells that are told apart by one column here and by another there are told apart.
    let both = !first.options.log_patterns.is_empty() && !second.options.log_patterns.is_empty();
    if !keys.meet() || (keys.by_place && both) {
        return None;
    }
    let starved = keys.within() && patterns_within(first, second) && envelope_within(first, second);
    let decided_by = if first.priority == second.priority { DecidedBy::Order } else { DecidedBy::Priority };
    let differ_by = keys.differ();
    let remedy = remedy(first, second, starved, decided_by, &differ_by);
    Some(Rivals {
        taken_by: first.name.clone(),
        also_fits: second.name.clone(),
        differ_by,
        decided_by,
        starved,
        remedy,
    })
}

/// Whether their records lie at the same place of an input and are read in the same way.
fn same_place(a: &LogType, b: &LogType) -> bool {
    let path = |log_type: &LogType| log_type.options.json_path.as_ref().map(|path| path.text.clone());
    a.component == b.component
        && a.parser == b.parser
        && path(a) == path(b)
        && a.options.embedded_json == b.options.embedded_json
        && a.options.json_regex_key == b.options.json_regex_key
        && a.options.text == b.options.text
}

/// The keys of two types, side by side.
struct Keys<'a> {
    first: &'a LogType,
    second: &'a LogType,
    /// Cells have no names of their own: what counts is their number.
    by_place: bool,
}

impl<'a> Keys<'a> {
    fn of(first: &'a LogType, second: &'a LogType) -> Self {
        let by_place = matches!(first.parser, Parser::Csv | Parser::Space) && !first.options.text.header;
        Keys { first, second, by_place }
    }

    /// Whether some record fits both.
    fn meet(&self) -> bool {
        let (first, second) = (&self.first.fields, &self.second.fields);
        if first.0.is_empty() || second.0.is_empty() {
            return true;
        }
        if self.by_place {
            let cells = cells(first).0.max(cells(second).0)..=cells(first).1.min(cells(second).1);
            let meet = |(a, b): (&Field, &Field)| kinds_meet(&a.kind, &b.kind);
            return !cells.is_empty() && first.0.iter().zip(&second.0).take(*cells.start()).all(meet);
        }
        let offered = self.first.parser.offered();
        let known = |fields: &Fields, name: &str| fields.position(name).is_some() || offered.contains(&name);
        let fits = |own: &Fields, other: &Fields| own.0.iter().all(|field| field.optional || known(other, &field.name));
        let mut shared = first.0.iter().filter_map(|a| Some((a, &second.0[second.position(&a.name)?]))).peekable();
        let any = shared.peek().is_some() || !offered.is_empty();
        // A key that a record may lack is in nobody's way.
        any && fits(first, second)
            && fits(second, first)
            && shared.all(|(a, b)| (a.optional && b.optional) || kinds_meet(&a.kind, &b.kind))
    }

    /// Whether every record that fits the second fits the first too.
    fn within(&self) -> bool {
        let (first, second) = (&self.first.fields, &self.second.fields);
        if first.0.is_empty() {
            return true;
        }
        if self.by_place {
            let within = |(wide, narrow): (&Field, &Field)| kind_within(&narrow.kind, &wide.kind);
            let (wide, narrow) = (cells(first), cells(second));
            return wide.0 <= narrow.0 && wide.1 >= narrow.1 && first.0.iter().zip(&second.0).all(within);
        }
        let offered = self.first.parser.offered();
        let always = |name: &str| second.position(name).is_some_and(|at| !second.0[at].optional);
        !second.0.is_empty()
            && first.0.iter().all(|field| field.optional || always(&field.name))
            && second.0.iter().all(|narrow| match first.position(&narrow.name) {
                Some(at) => kind_within(&narrow.kind, &first.0[at].kind),
                None => offered.contains(&narrow.name.as_str()),
            })
    }

    fn differ(&self) -> Vec<String> {
        let only = |own: &'a LogType, other: &'a LogType| {
            own.fields.0.iter().filter(|field| other.fields.position(&field.name).is_none()).map(|f| f.name.clone())
        };
        only(self.first, self.second).chain(only(self.second, self.first)).collect()
    }
}

/// How many cells a row has at least and at most.
fn cells(fields: &Fields) -> (usize, usize) {
    (fields.0.iter().rposition(|field| !field.optional).map_or(1, |last| last + 1), fields.0.len())
}

/// Whether some value that is not empty fits both.
fn kinds_meet(a: &FieldKind, b: &FieldKind) -> bool {
    use FieldKind::{Any, List, Object, String};
    match (a, b) {
        // The text of any value is its JSON.
        (Any | String, _) | (_, Any | String) => true,
        (Object(a), Object(b)) => {
            a.0.len() == b.0.len()
                && a.0
                    .iter()
                    .all(|field| b.position(&field.name).is_some_and(|at| kinds_meet(&field.kind, &b.0[at].kind)))
        }
        (List, List) => true,
        (Object(_) | List, _) | (_, Object(_) | List) => false,
        _ => true,
    }
}

/// Whether every value of `narrow` fits `wide`.
fn kind_within(narrow: &FieldKind, wide: &FieldKind) -> bool {
    matches!(wide, FieldKind::Any | FieldKind::String)
        || narrow == wide
        || matches!((narrow, wide), (FieldKind::Integer, FieldKind::Float))
}

fn same_field(a: &LogPattern, b: &LogPattern) -> bool {
    a.path == b.path && a.in_envelope == b.in_envelope
}

/// False if some field's patterns can never both match.
fn patterns_meet(first: &LogType, second: &LogType) -> bool {
    first.options.log_patterns.iter().all(|a| {
        let mut others = second.options.log_patterns.iter().filter(|b| same_field(a, b));
        others.all(|b| (0..a.wildcards.len()).any(|i| (0..b.wildcards.len()).any(|j| !apart((a, i), (b, j)))))
    })
}

/// Whether no text matches both wildcards, as far as that can be seen: one of them is no wildcard, or they begin or end
/// differently.
fn apart((a, i): (&LogPattern, usize), (b, j): (&LogPattern, usize)) -> bool {
    let (one, other) = (a.wildcards[i].as_str(), b.wildcards[j].as_str());
    let wild = |c: char| matches!(c, '*' | '?' | '[');
    if !one.contains(wild) {
        return !b.wildcards[j].is_match(one);
    }
    if !other.contains(wild) {
        return !a.wildcards[i].is_match(other);
    }
    let begin = |text: &str| text.split(wild).next().unwrap_or_default().to_owned();
    let end = |text: &str| text.rsplit(|c: char| wild(c) || c == ']').next().unwrap_or_default().to_owned();
    let (p, q) = (begin(one), begin(other));
    let (s, t) = (end(one), end(other));
    !(p.starts_with(&q) || q.starts_with(&p)) || !(s.ends_with(&t) || t.ends_with(&s))
}

/// Whether what matches the second's patterns matches the first's.
fn patterns_within(first: &LogType, second: &LogType) -> bool {
    first.options.log_patterns.iter().all(|wide| {
        let narrow = second.options.log_patterns.iter().find(|narrow| same_field(wide, narrow));
        narrow.is_some_and(|narrow| {
            let is_wide = |one: &Wildcard| wide.wildcards.iter().any(|other| other.as_str() == one.as_str());
            narrow.wildcards.iter().all(is_wide)
        })
    })
}

fn envelope_within(first: &LogType, second: &LogType) -> bool {
    first.envelope.0.iter().all(|field| {
        field.optional || second.envelope.position(&field.name).is_some_and(|at| !second.envelope.0[at].optional)
    })
}

/// Fields whose values often say what a record is.
pub const TELLING_FIELDS: [&str; 14] = [
    "eventType",
    "event_type",
    "type",
    "kind",
    "category",
    "eventCategory",
    "log_type",
    "logType",
    "eventName",
    "event_name",
    "action",
    "event",
    "operation",
    "messageType",
];

fn remedy(first: &LogType, second: &LogType, starved: bool, by: DecidedBy, differ_by: &[String]) -> String {
    let (a, b) = (&first.name, &second.name);
    let patterns = |log_type: &LogType| !log_type.options.log_patterns.is_empty();
    if starved && patterns(second) && !patterns(first) {
        return format!("give {b}, which has log_patterns, a `priority` before that of {a}");
    }
    if !starved && patterns(first) && !patterns(second) {
        return match by {
            DecidedBy::Priority => format!("nothing, if {b} is for what the log_patterns of {a} leave"),
            DecidedBy::Order => format!("say with `priority` that {b} is for what the log_patterns of {a} leave"),
        };
    }
    let is_text = |log_type: &LogType, name: &str| {
        log_type.fields.position(name).is_some_and(|at| log_type.fields.0[at].kind == FieldKind::String)
    };
    let telling = TELLING_FIELDS.iter().find(|name| is_text(first, name) && is_text(second, name));
    let how = match telling {
        Some(field) => format!("give both `log_patterns` on a field whose values differ, such as `{field}`"),
        None => "give both `log_patterns` on a field whose values differ".to_owned(),
    };
    let is_optional = |log_type: &LogType, name: &str| {
        log_type.fields.position(name).is_some_and(|at| log_type.fields.0[at].optional)
    };
    let optional: Vec<&str> = differ_by
        .iter()
        .map(String::as_str)
        .filter(|name| is_optional(first, name) || is_optional(second, name))
        .take(KEYS_NAMED_MAX)
        .collect();
    let or = match (optional.is_empty(), by) {
        (false, _) => format!(
            ", or take keys that their records always have ({}) out of `optional_top_level_keys`",
            optional.join(", ")
        ),
        (true, DecidedBy::Order) => ", or say with `priority` which is meant".to_owned(),
        (true, DecidedBy::Priority) => String::new(),
    };
    how + &or
}

/// Keys that a remedy names.
const KEYS_NAMED_MAX: usize = 5;

/// What is no fault and is probably not meant.
pub fn remarks(schemas: &Schemas, clusters: Option<&Clusters>) -> Vec<ConfigFault> {
    let mut found = Vec::new();
    for log_type in schemas.iter() {
        let mut remark = |path: &str, message: String| {
            let path = if path.is_empty() { log_type.name.clone() } else { format!("{}.{path}", log_type.name) };
            found.push(ConfigFault { file: log_type.file.clone(), path, message });
        };
        if let Some(clusters) = clusters {
            let sources = clusters.clusters.iter().flat_map(|cluster| cluster.data_sources.values());
            if !sources.flat_map(|resources| resources.values()).any(|source| source.may_send(log_type)) {
                let source = log_type.source();
                remark(
                    "",
                    format!(
                        "no cluster lets a source send it, so only sources that no cluster names can; add `{source}` to \
                     one in conf/clusters"
                    ),
                );
            }
        }
        needed_after_all(log_type, &mut remark);
        seldom_there(log_type, &mut remark);
    }
    found
}

/// Fields that are listed as optional and that every record must have all the same; and patterns on what no field is.
fn needed_after_all(log_type: &LogType, remark: &mut dyn FnMut(&str, String)) {
    let fields = &log_type.fields;
    if matches!(log_type.parser, Parser::Csv | Parser::Space) && !log_type.options.text.header {
        let needed = cells(fields).0;
        for field in fields.0.iter().take(needed).filter(|field| field.optional) {
            let last = &fields.0[needed - 1].name;
            remark(
                "configuration.optional_top_level_keys",
                format!(
                    "`{}` is needed all the same, since columns go by their place and `{last}` comes after it; only the \
                 last columns can be absent",
                    field.name
                ),
            );
        }
    }
    for pattern in log_type.options.log_patterns.iter().filter(|pattern| !pattern.in_envelope) {
        let name = &pattern.path[0];
        let at = format!("configuration.log_patterns.{name}");
        match fields.position(name) {
            Some(index) if fields.0[index].optional => remark(
                &at,
                format!("`{name}` is listed as optional and is needed all the same: without it no pattern matches"),
            ),
            None if !fields.0.is_empty() && !log_type.parser.offered().contains(&name.as_str()) => {
                remark(&at, format!("`{name}` is no field of the schema; is it spelt as there?"));
            }
            _ => {}
        }
    }
}

/// Fields that are required although not every message of the format has them.
fn seldom_there(log_type: &LogType, remark: &mut dyn FnMut(&str, String)) {
    let seldom: &[&str] = match log_type.parser {
        Parser::Syslog => &["version", "sequence", "device", "process_id", "message_id", "structured_data"],
        Parser::Cef | Parser::Leef => &["syslog_timestamp", "syslog_host"],
        Parser::WindowsEvent => &["EventData", "UserData", "RenderingInfo"],
        _ => return,
    };
    let required: BTreeSet<&str> =
        log_type.fields.0.iter().filter(|field| !field.optional).map(|field| field.name.as_str()).collect();
    for name in seldom.iter().filter(|name| required.contains(**name)) {
        remark(
            &format!("schema.{name}"),
            format!(
                "is required, and not every message of {} has it; list it under `optional_top_level_keys`, unless its \
             absence makes a record one of another type",
                log_type.parser.name()
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn schemas(types: Value) -> Schemas {
        Schemas::read(&[("s.json".to_owned(), types.to_string())]).unwrap()
    }

    /// `first > second`, `>>` if the second is starved, with what they differ by.
    #[track_caller]
    fn check(types: Value, expected: &[&str]) {
        let shown: Vec<String> = rivals(&schemas(types))
            .iter()
            .map(|r| {
                let sign = if r.starved { ">>" } else { ">" };
                format!("{} {sign} {} {}", r.taken_by, r.also_fits, r.differ_by.join(",")).trim().to_owned()
            })
            .collect();
        assert_eq!(shown, expected);
    }

    fn json_type(schema: Value, configuration: Value) -> Value {
        json!({"parser": "json", "schema": schema, "configuration": configuration})
    }

    #[test]
    fn equal_keys_and_keys_that_may_be_absent_make_rivals() {
        let plain = |schema: Value| json_type(schema, json!({}));
        check(json!({"a": plain(json!({"x": "string"})), "b": plain(json!({"x": "string"}))}), &["a >> b"]);
        check(json!({"a": plain(json!({"x": "integer"})), "b": plain(json!({"x": "string"}))}), &["a > b"]);
        check(json!({"a": plain(json!({"x": []})), "b": plain(json!({"x": "integer"}))}), &[]);
        check(json!({"a": plain(json!({"x": "string"})), "b": plain(json!({"x": "string", "y": "string"}))}), &[]);
        let optional = json_type(json!({"x": "string", "y": "string"}), json!({"optional_top_level_keys": ["y"]}));
        check(json!({"a": plain(json!({"x": "string"})), "b": optional.clone()}), &["a > b y"]);
        check(json!({"b": optional, "a": plain(json!({"x": "string"}))}), &["b >> a y"]);
        check(json!({"any": plain(json!({})), "b": plain(json!({"x": "string"}))}), &["any >> b x"]);
        let nested = |inner: Value| plain(json!({"x": inner}));
        check(json!({"a": nested(json!({"p": "string"})), "b": nested(json!({"q": "string"}))}), &[]);
        check(json!({"a": nested(json!({"p": "string"})), "b": nested(json!({"p": "string"}))}), &["a >> b"]);
    }

    #[test]
    fn other_places_and_patterns_that_exclude_each_other_make_none() {
        let with = |configuration: Value| json_type(json!({"x": "string"}), configuration);
        let patterns = |x: Value| with(json!({"log_patterns": {"x": x}}));
        check(json!({"a": with(json!({"json_path": "r[*]"})), "b": with(json!({}))}), &[]);
        check(json!({"a": patterns(json!("login")), "b": patterns(json!(["logout", "lock*"]))}), &[]);
        check(json!({"a": patterns(json!("log*")), "b": patterns(json!("logout"))}), &["a > b"]);
        check(json!({"a": patterns(json!("user.*")), "b": patterns(json!("group.*"))}), &[]);
        check(json!({"a": patterns(json!("*.x")), "b": patterns(json!("*.y"))}), &[]);
        // The pattern comes too late.
        let found = rivals(&schemas(json!({"a": with(json!({})), "b": patterns(json!("log*"))})));
        assert!(found[0].starved && found[0].remedy.contains("a `priority` before that of a"), "{found:?}");
        let priority = with(json!({"priority": 1, "log_patterns": {"x": "log*"}}));
        let found = rivals(&schemas(json!({"a": with(json!({})), "b": priority})));
        assert_eq!((found[0].taken_by.as_str(), found[0].starved), ("b", false));
        assert_eq!(found[0].decided_by, DecidedBy::Priority);
    }

    #[test]
    fn rows_are_rivals_by_their_number_of_cells() {
        let row = |schema: Value, optional: Value, delimiter: &str| {
            json!({"parser": "csv", "schema": schema,
                   "configuration": {"optional_top_level_keys": optional, "delimiter": delimiter}})
        };
        let two = row(json!({"a": "string", "b": "string"}), json!([]), ",");
        let other_two = row(json!({"c": "string", "d": "integer"}), json!([]), ",");
        let three = row(json!({"a": "string", "b": "string", "c": "string"}), json!(["c"]), ",");
        check(json!({"t": two.clone(), "u": other_two}), &["t >> u a,b,c,d"]);
        check(json!({"t": two.clone(), "u": three}), &["t > u c"]);
        check(json!({"t": two, "u": row(json!({"a": "string", "b": "string"}), json!([]), ";")}), &[]);
    }

    #[test]
    fn what_is_probably_not_meant_is_remarked() {
        let types = json!({
            "row": {"parser": "csv", "schema": {"a": "string", "b": "string"},
                    "configuration": {"optional_top_level_keys": ["a"]}},
            "p": json_type(json!({"x": "string"}), json!({"optional_top_level_keys": ["x"], "log_patterns": {"x": "1", "y": "2"}})),
            "sys": {"parser": "syslog", "schema": {"message": "string", "process_id": "string"}},
        });
        let schemas = schemas(types);
        let clusters = r#"{"data_sources": {"file": {"*": ["row", "p"]}}}"#;
        let clusters = Clusters::read(&[("c.json".to_owned(), clusters.to_owned())], &schemas).unwrap();
        let said: Vec<String> = remarks(&schemas, Some(&clusters)).iter().map(ToString::to_string).collect();
        let expected = [
            "s.json: row.configuration.optional_top_level_keys: `a` is needed all the same",
            "s.json: p.configuration.log_patterns.x: `x` is listed as optional",
            "s.json: p.configuration.log_patterns.y: `y` is no field",
            "s.json: sys: no cluster lets a source send it",
            "s.json: sys.schema.process_id: is required, and not every message of syslog has it",
        ];
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        said.iter().zip(expected).for_each(|(said, start)| assert!(said.starts_with(start), "{said}"));
    }

    #[test]
    fn a_name_that_comes_twice_in_a_file_is_told_of() {
        let text = r#"{"a": {"parser": "json", "schema": {"x": "string", "x": "integer"}},
                       "a": {"parser": "json", "schema": {"y": "string"}}}"#;
        let schemas = Schemas::read(&[("s.json".to_owned(), text.to_owned())]).unwrap();
        let paths: Vec<&str> = schemas.warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, ["a.schema.x", "a"]);
    }
}
